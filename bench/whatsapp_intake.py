"""How fast webhooks are taken in, beside the usual way. In `make bench`, or alone: `python -m bench.whatsapp_intake`.

Both servers check the signature, read the body, write each item under a unique key and answer 200 after the commit, on
the same PostgreSQL (written to disk as in production), one process each, by turns. Both run under uvicorn on uvloop:
uvicorn takes it by itself where it is installed, and `mutirao serve` does. "The usual way" is what one writes first:
starlette, a pool of psycopg connections, one INSERT a request. Ours is the door of the product with its inbox and its
numbers. The load comes from a process of its own: bodies are signed before, and each connection sends the next one when
it has its answer.
"""

import argparse
import hashlib
import hmac
import json
import selectors
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from bench.machine import ForeignLoad, Machine
from bench.report import Figure, median, table, write_json
from core.loop import run as run_loop
from core.migrate import migrate
from core.postgres import Postgres

CONNECTIONS = 64
ROUNDS, SECONDS = 5, 3.0
RATE, P99, ALONE = 2.5, 0.7, 1.5
"""What is promised, as ratios of the usual way: requests a second at least, the slowest hundredth and one connection's
latency at most."""
SECRET, NUMBER, ACCOUNT = "bench", "100000000000201", "100000000000101"
GROUP = "webhooks taken in, with commit (64 connections)"
LONE = "one connection (ms)"
RATIOS = "both side by side (%)"
_ROOT = Path(__file__).parents[1]


def main() -> None:
    arguments = argparse.ArgumentParser(prog="python -m bench.whatsapp_intake", description=__doc__)
    arguments.add_argument("--rounds", type=int, default=ROUNDS, help=f"of each server ({ROUNDS})")
    arguments.add_argument("--seconds", type=float, default=SECONDS, help=f"of each round ({SECONDS})")
    arguments.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    arguments.add_argument("--serve", nargs=2, metavar=("KIND", "DSN"), help=argparse.SUPPRESS)
    arguments.add_argument("--load", nargs=3, metavar=("PORT", "CONNECTIONS", "SECONDS"), help=argparse.SUPPRESS)
    chosen = arguments.parse_args()
    if chosen.serve:
        serve(*chosen.serve)
        return
    if chosen.load:
        port, connections, seconds = chosen.load
        print(json.dumps(load(int(port), int(connections), float(seconds))))
        return
    machine = Machine.now()
    with tempfile.TemporaryDirectory(prefix="mutirao-bench-", ignore_cleanup_errors=True) as name:
        figures = measure(Path(name), chosen.rounds, chosen.seconds)
    print(table(machine, figures))
    if chosen.json:
        write_json(chosen.json, machine, figures)


@dataclass(frozen=True)
class Round:
    """What one round of one server gave: requests a second, and milliseconds."""

    rate: float
    p50: float
    p99: float
    alone: float


def measure(folder: Path, rounds: int = ROUNDS, seconds: float = SECONDS) -> list[Figure]:
    """All figures, in the order in which they are shown."""
    others = ForeignLoad(folder)
    found: dict[str, list[Round]] = {"usual": [], "ours": []}
    with Postgres.start(folder / "var") as postgres:
        migrate(postgres.owner_dsn, app_dsn=postgres.app_dsn)
        _prepare(postgres.owner_dsn)
        for number in range(rounds):
            for kind in ("usual", "ours") if number % 2 == 0 else ("ours", "usual"):
                with _served(kind, postgres.app_dsn) as port:
                    _loaded(port, CONNECTIONS, 1.0)  # warm
                    alone = _loaded(port, 1, min(seconds, 2.0))
                    crowd = _loaded(port, CONNECTIONS, seconds)
                    found[kind].append(Round(crowd["rate"], crowd["p50"], crowd["p99"], alone["p50"]))
                _clear(postgres.owner_dsn)
    figures = []
    names = {"usual": "starlette, one psycopg INSERT a request", "ours": "our door"}
    for kind, name in names.items():
        figures.append(Figure(GROUP, name, "requests/s", median([one.rate for one in found[kind]])))
        figures.append(Figure(GROUP, name, "p50 ms", median([one.p50 for one in found[kind]])))
        figures.append(Figure(GROUP, name, "p99 ms", median([one.p99 for one in found[kind]])))
    figures += [Figure(LONE, name, "p50", median([one.alone for one in found[kind]])) for kind, name in names.items()]

    def ratio(column: str) -> float:
        """Of the two that ran one after the other: what else the machine did was the same for both."""
        pairs = zip(found["ours"], found["usual"], strict=True)
        return median([getattr(ours, column) / getattr(usual, column) for ours, usual in pairs])

    figures += [
        # What is promised is a most: of a rate, the other's in ours.
        Figure(RATIOS, "requests/s: the usual way's in ours", "%", 100 / ratio("rate"), 100 / RATE),
        Figure(RATIOS, "p99: ours in the usual way's", "of p99", 100 * ratio("p99"), 100 * P99),
        Figure(
            RATIOS, "one connection's latency: ours in the usual way's", "of one", 100 * ratio("alone"), 100 * ALONE
        ),
        Figure(RATIOS, "others on this machine meanwhile", "cores busy", others.cores()),
    ]
    return figures


def _prepare(owner_dsn: str) -> None:
    with psycopg.connect(owner_dsn, autocommit=True) as conn:
        conn.execute("SET ROLE mutirao_owner")
        conn.execute("CREATE TABLE bench_usual (number text, key text, item jsonb, at timestamptz DEFAULT now(),"
                     " PRIMARY KEY (number, key))")  # fmt: skip
        conn.execute("GRANT INSERT ON bench_usual TO mutirao_app")


def _clear(owner_dsn: str) -> None:
    with psycopg.connect(owner_dsn, autocommit=True) as conn:
        conn.execute("TRUNCATE inbox, bench_usual")
        conn.execute("CHECKPOINT")  # so that nobody pays for what the one before wrote


# --- the servers ------------------------------------------------------------------------------------


@contextmanager
def _served(kind: str, dsn: str) -> Iterator[int]:
    command = [sys.executable, "-m", "bench.whatsapp_intake", "--serve", kind, dsn]
    process = subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(20)


def serve(kind: str, dsn: str) -> None:
    """One of the servers, until it is told to stop; prints its port."""
    import uvicorn

    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # as app.py
    listener.bind(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)

    async def run() -> None:
        app = await (_ours(dsn) if kind == "ours" else _usual(dsn))
        config = uvicorn.Config(app, log_level="error", access_log=False, lifespan="off", http="httptools")
        await uvicorn.Server(config).serve(sockets=[listener])

    run_loop(run())  # as `mutirao serve` does


async def _ours(dsn: str) -> Any:
    from business.messaging.inbox import Inbox
    from channels.whatsapp.door import WhatsAppDoor
    from channels.whatsapp.numbers import Numbers
    from core.clock import SystemClock
    from core.db import Database

    db, clock = Database(dsn), SystemClock()
    await db.open()
    inbox = Inbox(dsn, clock)
    await inbox.open()
    return WhatsAppDoor(inbox, Numbers(db), clock, app_secret=SECRET, verify_token="bench")


async def _usual(dsn: str) -> Any:
    from psycopg_pool import AsyncConnectionPool
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import PlainTextResponse, Response
    from starlette.routing import Route

    pool = AsyncConnectionPool(dsn, min_size=10, max_size=10, open=False, kwargs={"autocommit": True})
    await pool.open(wait=True)

    async def webhook(request: Request) -> Response:
        body = await request.body()
        expected = "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected, request.headers.get("x-hub-signature-256", "")):
            return Response(status_code=401)
        value = json.loads(body)["entry"][0]["changes"][0]["value"]
        message = value["messages"][0]
        async with pool.connection() as conn:
            await conn.execute(
                "INSERT INTO bench_usual (number, key, item) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
                [value["metadata"]["phone_number_id"], message["id"], json.dumps(value)],
            )
        return PlainTextResponse("ok")

    return Starlette(routes=[Route("/webhooks/whatsapp", webhook, methods=["POST"])])


# --- the load ---------------------------------------------------------------------------------------


def request(number: int) -> bytes:
    """One webhook of WhatsApp's with a message of its own, as it travels."""
    message = {
        "from": "5519999990001",
        "from_user_id": "BR.13491208655302741918",
        "id": f"wamid.HBgNNTUxOTk5OTk5MDAwMRUCABIYFDNBN{number:010d}AA==",
        "timestamp": "1763650000",
        "type": "text",
        "text": {"body": "Oi! Vi o anúncio de vocês e queria saber quanto custa."},
    }
    contact = {"profile": {"name": "Ana"}, "wa_id": "5519999990001", "user_id": "BR.13491208655302741918"}
    metadata = {"display_phone_number": "551940000001", "phone_number_id": NUMBER}
    value = {"messaging_product": "whatsapp", "metadata": metadata, "contacts": [contact], "messages": [message]}
    entry = {"id": ACCOUNT, "changes": [{"value": value, "field": "messages"}]}
    body = json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()
    signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    head = (
        "POST /webhooks/whatsapp HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n"
        f"user-agent: facebookexternalua\r\nx-hub-signature-256: sha256={signature}\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _loaded(port: int, connections: int, seconds: float) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.whatsapp_intake", "--load", str(port), str(connections), str(seconds)]
    told = subprocess.run(command, cwd=_ROOT, stdout=subprocess.PIPE, check=True).stdout
    return dict(json.loads(told))


def load(port: int, connections: int, seconds: float) -> dict[str, float]:
    """Requests a second, and milliseconds. RuntimeError for any answer but 200.

    Sockets and a selector, no event loop: what the load costs is not there for the server.
    """
    first = time.time_ns() % 10**9
    requests = [request(first + n) for n in range(int(seconds * (40_000 if connections > 1 else 10_000)) + 100)]
    taken: list[float] = []
    selector = selectors.DefaultSelector()
    for _ in range(connections):
        connected = socket.create_connection(("127.0.0.1", port))
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(connected, selectors.EVENT_READ)
    began = time.perf_counter()
    since, answers = dict.fromkeys(selector.get_map(), began), dict.fromkeys(selector.get_map(), b"")
    for key in list(selector.get_map().values()):
        since[key.fd] = time.perf_counter()
        key.fileobj.sendall(requests.pop())  # type: ignore[union-attr]
    ends = began + seconds
    while (now := time.perf_counter()) < ends:
        for key, _ in selector.select(1.0):
            answer = answers[key.fd] + key.fileobj.recv(65_536)  # type: ignore[union-attr]
            whole = b"\r\n\r\nok" if b"content-length: 2" in answer else b"\r\n\r\n"
            if not answer.endswith(whole):  # head and body may come apart
                if not b"HTTP/1.1 200".startswith(answer[:12]) or not answer:
                    raise RuntimeError(answer[:200].decode(errors="replace"))
                answers[key.fd] = answer
                continue
            now = time.perf_counter()
            taken.append(now - since[key.fd])
            answers[key.fd], since[key.fd] = b"", now
            key.fileobj.sendall(requests.pop())  # type: ignore[union-attr]
    taken.sort()
    return {
        "rate": len(taken) / (now - began),
        "p50": taken[len(taken) // 2] * 1000,
        "p99": taken[-(-len(taken) * 99 // 100) - 1] * 1000,
    }


if __name__ == "__main__":
    main()
