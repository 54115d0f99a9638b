"""How long a webhook waits at a busy house: `python -m bench.whatsapp_busy`, a part of `make bench`.

`mutirao serve` itself, door and worker in one process: fifty conversations are answered by the SDR crew on its
playbook, each person writing again every few seconds, while webhooks come at a steady rate, whatever the server does:
what waits counts. WhatsApp is the simulator; what it posts by itself (statuses of the answers) comes on top.
"""

import argparse
import asyncio
import json
import random
import tempfile
import time
from pathlib import Path

from bench.machine import ForeignLoad, Machine
from bench.report import Figure, median, table, write_json
from bench.server import Served, serve
from integrations.whatsapp_cloud.signature import HEADER, sign
from integrations.whatsapp_cloud.simulator import launch
from integrations.whatsapp_cloud.simulator.state import ACCOUNTS

RATE, PEOPLE, SECONDS, EVERY = 50, 50, 30.0, 8.0
"""Webhooks a second; conversations; how long; seconds between two messages of one person."""
MEDIAN, P99 = 25.0, 250.0
"""What is promised: milliseconds."""
GROUP = f"webhooks at {RATE} a second while {PEOPLE} conversations are answered, one process (ms)"
_CONNECTIONS = 8
_WORDS = ("oi", "quanto custa?", "somos uma clínica pequena", "preciso para janeiro", "pode me explicar?", "entendi")


def main() -> None:
    arguments = argparse.ArgumentParser(prog="python -m bench.whatsapp_busy", description=__doc__)
    arguments.add_argument("--seconds", type=float, default=SECONDS, help=f"how long ({SECONDS})")
    arguments.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    chosen = arguments.parse_args()
    machine = Machine.now()
    with tempfile.TemporaryDirectory(prefix="mutirao-bench-", ignore_cleanup_errors=True) as name:
        figures = measure(Path(name), chosen.seconds)
    print(table(machine, figures))
    if chosen.json:
        write_json(chosen.json, machine, figures)


def measure(folder: Path, seconds: float = SECONDS) -> list[Figure]:
    """Median, p99 and the longest wait; how many answers left meanwhile."""
    folder.mkdir(exist_ok=True)
    with serve(folder) as served:
        asyncio.run(served.settled())
        whatsapp = folder / "var" / "simulators" / "whatsapp"
        secret = launch.secrets_of(whatsapp).app_secret
        load = ForeignLoad(folder)
        asyncio.run(_post(served, secret, min(seconds, EVERY), 0))  # first uses of everything
        before, cpu = _answers(whatsapp), served.cpu()
        taken = asyncio.run(_post(served, secret, seconds, 1))
        answers, cpu, foreign = _answers(whatsapp) - before, served.cpu() - cpu, load.cores()
    taken.sort()
    return [
        Figure(GROUP, "from its moment to the 200", "median", median(taken), MEDIAN),
        Figure(GROUP, "from its moment to the 200", "p99", taken[-(-len(taken) * 99 // 100) - 1], P99),
        Figure(GROUP, "from its moment to the 200", "longest", taken[-1]),
        Figure(GROUP, "answers that left meanwhile", "count", answers),
        Figure(GROUP, "CPU of the process", "cores busy", cpu / seconds),
        Figure(GROUP, "others on this machine meanwhile", "cores busy", foreign),
    ]


def _answers(whatsapp: Path) -> int:
    with (whatsapp / "witness.jsonl").open() as lines:
        return sum('/messages"' in line and '"biz_opaque_callback_data"' in line for line in lines)


async def _post(served: Served, secret: str, seconds: float, round_: int) -> list[float]:
    """Milliseconds of each webhook, from the moment in which it was due."""
    due_bodies = bodies(seconds, round_)
    port = int(served.url.rsplit(":", 1)[1])
    free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    for _ in range(_CONNECTIONS):
        free.put_nowait(await asyncio.open_connection("127.0.0.1", port))
    taken: list[float] = []

    async def one(due: float, body: bytes) -> None:
        reader, writer = await free.get()
        head = "POST /webhooks/whatsapp HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n"
        writer.write(f"{head}{HEADER}: {sign(secret, body)}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        taken.append((time.perf_counter() - due) * 1000)
        if not answer.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(answer[:200].decode(errors="replace"))
        free.put_nowait((reader, writer))

    began, under_way = time.perf_counter() + 0.1, []
    for number, body in enumerate(due_bodies):
        due = began + number / RATE
        if (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        under_way.append(asyncio.create_task(one(due, body)))
    await asyncio.gather(*under_way)
    while not free.empty():
        free.get_nowait()[1].close()
    return taken


def bodies(seconds: float, round_: int) -> list[bytes]:
    """In their order: each person's messages at their pace, and statuses in between."""
    account, draw = ACCOUNTS[0], random.Random(7)
    metadata = {"display_phone_number": account.display, "phone_number_id": account.number_id}
    slots: list[dict[str, object] | None] = [None] * int(seconds * RATE)
    for person in range(PEOPLE):
        place = draw.randrange(int(EVERY * RATE))
        while place < len(slots):
            phone = f"55199970{person:05d}"
            told = {"from": phone, "id": f"wamid.bench.{round_}.{person}.{place}", "timestamp": str(int(time.time())),
                    "type": "text", "text": {"body": draw.choice(_WORDS)}}  # fmt: skip
            free = next((at for at in range(place, len(slots)) if slots[at] is None), None)
            if free is not None:
                slots[free] = {"contacts": [{"profile": {"name": "Ana"}, "wa_id": phone}], "messages": [told]}
            place += int(EVERY * RATE)
    bodies = []
    for place, found in enumerate(slots):
        if found is None:
            status = {"id": f"wamid.gone.{round_}.{place}", "status": "read", "timestamp": str(int(time.time())),
                      "recipient_id": "5519999999999"}  # fmt: skip
            found = {"statuses": [status]}
        change = {"field": "messages", "value": {"messaging_product": "whatsapp", "metadata": metadata, **found}}
        entry = {"id": account.waba_id, "changes": [change]}
        bodies.append(json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode())
    return bodies


if __name__ == "__main__":
    main()
