"""A burst of messages, until the last of them is answered: `python -m bench.whatsapp_burst`.

Thousands of messages from hundreds of people lie in the inbox at once, in a random order of people. The product sorts,
waits for each one's quiet, lets the playbooks answer and sends to the simulated WhatsApp; one process does all of it.
Counted at the simulator, which syncs each request to disk before it answers.
"""

import argparse
import asyncio
import random
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from app import open_services
from bench.machine import ForeignLoad, Machine
from bench.report import Figure, table, write_json
from business.messaging.inbox import Received
from core.settings import Settings
from core.tenancy import Role
from integrations.whatsapp_cloud.simulator.state import ACCOUNTS

MESSAGES, PEOPLE = 5_000, 500
GROUP = "a burst of WhatsApp messages, until all are answered"
_NUMBER = ACCOUNTS[0].number_id
_WORDS = (
    "oi", "bom dia", "vi o anúncio de vocês", "quanto custa?", "somos uma clínica pequena", "tem contrato?",
    "atende em Campinas?", "preciso para janeiro", "e o suporte?", "pode me explicar?",
)  # fmt: skip


def main() -> None:
    arguments = argparse.ArgumentParser(prog="python -m bench.whatsapp_burst", description=__doc__)
    arguments.add_argument("--messages", type=int, default=MESSAGES, help=f"in all ({MESSAGES})")
    arguments.add_argument("--people", type=int, default=PEOPLE, help=f"who write ({PEOPLE})")
    arguments.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    chosen = arguments.parse_args()
    machine = Machine.now()
    with tempfile.TemporaryDirectory(prefix="mutirao-bench-", ignore_cleanup_errors=True) as name:
        figures = asyncio.run(measure(Path(name), chosen.messages, chosen.people))
    print(table(machine, figures))
    if chosen.json:
        write_json(chosen.json, machine, figures)


async def measure(folder: Path, messages: int = MESSAGES, people: int = PEOPLE) -> list[Figure]:
    """Seconds and rates; fails when a message is missing, doubled or out of its order."""
    load = ForeignLoad(folder)
    async with open_services(Settings(data_dir=folder / "var", log_level="ERROR")) as services:
        messaging = services.messaging
        assert messaging.sandbox is not None
        tenant = await services.people.tenant(None)
        admin = await services.people.identity_by_role(tenant.id, Role.ADMIN)
        await messaging.sandbox.open()
        await messaging.sandbox.connect(messaging.channels, admin)
        await messaging.inbox.open()
        stop = asyncio.Event()
        try:
            await services.warm()
            items = _items(tenant.id, messages, people)
            for start in range(0, len(items), 500):
                await messaging.inbox.keep(items[start : start + 500])
            began, cpu = time.monotonic(), time.process_time()
            working = asyncio.ensure_future(services.work(stop))
            waiting = "SELECT count(*) AS n FROM inbox WHERE sorted_at IS NULL"
            sorted_in = await _until_none(services.db, tenant.id, waiting, began)
            answered = """SELECT count(*) AS n FROM chats c WHERE waiting_since IS NOT NULL OR NOT EXISTS (
                              SELECT FROM outbox o WHERE o.chat_id = c.id AND o.state = 'sent') OR EXISTS (
                              SELECT FROM outbox o WHERE o.chat_id = c.id AND o.state IN ('waiting', 'claimed'))"""
            all_in = await _until_none(services.db, tenant.id, answered, began)
            spent = time.process_time() - cpu
            stop.set()
            await working
            await _check(services.db, tenant.id, items)
        finally:
            stop.set()
            await messaging.inbox.close()
            await messaging.sandbox.close()
    return [
        Figure(GROUP, "sorted into conversations", "s", sorted_in),
        Figure(GROUP, "sorted into conversations", "messages/s", messages / sorted_in),
        Figure(GROUP, "answered, and the answers gone", "s", all_in),
        Figure(GROUP, "answered, and the answers gone", "messages/s", messages / all_in),
        Figure(GROUP, "answered, and the answers gone", "conversations/s", people / all_in),
        Figure(GROUP, "one conversation's share of our CPU", "ms", spent / people * 1000),
        Figure(GROUP, "others on this machine meanwhile", "cores busy", load.cores()),
    ]


def _items(tenant_id: str, messages: int, people: int) -> list[Received]:
    order = [n % people for n in range(messages)]
    random.Random(7).shuffle(order)
    now, found = int(time.time()), []
    for place, person in enumerate(order):
        wa_id = f"55119{person:08d}"
        raw: dict[str, Any] = {
            "from": wa_id,
            "id": f"wamid.{place:06d}",
            "timestamp": str(now),
            "type": "text",
            "text": {"body": _WORDS[place % len(_WORDS)]},
        }
        stored: dict[str, Any] = {"field": "messages", "list": "messages", "number": _NUMBER, "raw": raw}
        stored["contact"] = {"wa_id": wa_id, "profile": {"name": f"Pessoa {person}"}}
        found.append(Received(f"whatsapp_cloud:{_NUMBER}", raw["id"], tenant_id, "message", stored))
    return found


async def _until_none(db: Any, tenant_id: str, query: str, began: float) -> float:
    while True:
        async with db.tenant(tenant_id) as conn:
            row = await (await conn.execute(query)).fetchone()
        if row["n"] == 0:
            return time.monotonic() - began
        await asyncio.sleep(0.2)


async def _check(db: Any, tenant_id: str, items: list[Received]) -> None:
    wanted: dict[str, list[str]] = defaultdict(list)
    for item in items:
        wanted[item.item["raw"]["from"]].append(item.key)
    query = """SELECT c.address, array_agg(m.external_id ORDER BY m.seq) AS ids FROM chats c
               JOIN chat_messages m ON m.chat_id = c.id WHERE m.direction = 'in' GROUP BY 1"""
    async with db.tenant(tenant_id) as conn:
        rows = await (await conn.execute(query)).fetchall()
    if {row["address"]: row["ids"] for row in rows} != wanted:
        raise AssertionError("messages are missing, doubled or out of their order")


if __name__ == "__main__":
    main()
