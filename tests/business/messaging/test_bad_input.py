"""Hostile and broken input on the whole way from a webhook's body to a conversation: statuses in any order, before we
know our own message, of messages that are nobody's; items that are no messages; texts made to break what reads them."""

import itertools
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from business.messaging.outbox import Draft
from business.messaging.statuses import Status
from business.messaging.templates import Purpose
from core.clock import FixedClock
from core.db import Database
from core.permissions import Permissions
from integrations.whatsapp_cloud import messages as said
from tests.business.messaging.chat_house import LEAD, NOON, ChatHouse, chat_house, status, webhook, wrote
from tests.conftest import Tenants
from tests.integrations.whatsapp_cloud.test_webhooks import BAD

STRANGER = "5511977776666"


@pytest.fixture
async def house(
    database: Database, clock: FixedClock, permissions: Permissions, tenants: Tenants, tmp_path: Path
) -> AsyncIterator[ChatHouse]:
    async with chat_house(database, clock, permissions, tenants, tmp_path) as house:
        yield house


async def test_in_all_24_orders_and_whenever_our_own_answer_is_written_down_a_status_never_goes_back(
    house: ChatHouse,
) -> None:
    await house.sort(webhook(wrote("1")))
    chat = await house.chat()
    told = {"sent": NOON, "delivered": NOON + timedelta(seconds=1), "read": NOON + timedelta(seconds=2)}
    failed: dict[str, Any] = {"errors": [{"code": 131026, "title": "x"}]}
    orders = list(itertools.permutations([*told, "failed"]))
    rows: dict[str, str] = {}
    async with house.db.tenant(house.id) as conn:
        for number in range(len(orders)):
            draft = Draft(Purpose.ANSWER, f"k{number}", said.text(f"texto {number}"), answers=1)
            rows[f"o{number}"] = await house.outbox.put(conn, house.id, chat["id"], draft)
        await conn.execute("UPDATE outbox SET state = 'claimed', claimed_at = %s, attempts = 1", [NOON])
    for step in range(4):
        bodies = []
        for number, order in enumerate(orders):
            if number % 5 == step or (step == 0 and number % 5 == 4):  # what was told before this came early
                await _left(house, rows[f"o{number}"], f"wamid.o{number}")
            name = order[step]
            at = told.get(name, NOON + timedelta(seconds=3))
            bodies.append(webhook(status(f"o{number}", name, at, **(failed if name == "failed" else {}))))
        await house.sort(*bodies)
    # Again, in other bodies and by other orders: nothing changes any more.
    before = await _ends(house)
    await house.sort(webhook(*(status(f"o{n}", one, told[one]) for one in told for n in range(len(orders)))))
    assert await _ends(house) == before
    assert {(row["status"], row["contradicted"]) for row in before} == {("read", True)}
    assert len(before) == len(orders)
    assert {row["status_at"] for row in before} == {told["read"]}
    assert await house.rows("SELECT 1 FROM early_statuses") == []

    # Of nobody's message: kept for one that may come, a conversation is not made of it.
    await house.sort(webhook(status("unknown", "delivered", who=STRANGER), status("unknown", "teleported")))
    (early,) = await house.rows("SELECT external_id, status FROM early_statuses")
    assert early == {"external_id": "wamid.unknown", "status": "delivered"}
    assert await house.rows("SELECT 1 FROM chats WHERE address = %s", STRANGER) == []


async def _left(house: ChatHouse, outbox_id: str, wamid: str) -> None:
    """WhatsApp answered our request: as sending.py writes it down."""
    (row,) = await house.rows("SELECT * FROM outbox WHERE id = %s", outbox_id)
    async with house.db.tenant(house.id) as conn:
        await house.attempts.left(conn, row, wamid)
        await house.attempts.accepted(conn, row, Status.ACCEPTED)
        await house.settling.early(conn, row, wamid)


async def _ends(house: ChatHouse) -> list[dict[str, Any]]:
    return await house.rows(
        "SELECT status, status_at, contradicted FROM chat_messages WHERE direction = 'out' ORDER BY seq"
    )


ODD: dict[str, bytes] = {
    **{name: json.dumps(bad).encode() for name, bad in BAD.items()},
    "surrogates": rb'{"id": "wamid.\ud800", "from": "\ud83d", "type": "text", "text": {"body": "\udfff\u0000"}}',
    "NUL": rb'{"id": "wamid.nul\u0000", "from": "1\u0000", "type": "\u0000", "\u0000": 1}',
    "deep": b'{"id": ' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    "huge numbers": b'{"id": "wamid.n", "from": "1", "timestamp": ' + b"9" * 4_000 + b"}",
    "no numbers": b'{"id": "wamid.nan", "from": "1", "timestamp": 1e999, "x": NaN}',
    "invalid UTF-8": b'{"id": "wamid.b\xff", "from": "1", "type": "text", "text": {"body": "\xff\xfe"}}',
    "text of another shape": b'{"id": "wamid.s", "from": "1", "type": "text", "text": ["oi"]}',
    "long id": json.dumps({"id": "wamid." + "k" * 15_001, "from": "1"}).encode(),
}
TEXTS: dict[str, str] = {
    # what was written: what one reads of it
    "\ud800oi\u0000": "\ufffdoi\ufffd",
    "👍🏽👩‍👩‍👧": "👍🏽👩‍👩‍👧",
    "<script>alert(1)</script> {{ 7*7 }} ${x} %s": "<script>alert(1)</script> {{ 7*7 }} ${x} %s",
    "'; DROP TABLE chats; --": "'; DROP TABLE chats; --",
    "مرحبا كيف الحال": "مرحبا كيف الحال",
    "x" * 65_536: "x" * 65_536,
}


async def test_odd_items_take_no_sibling_along_and_hostile_texts_stay_texts(house: ChatHouse) -> None:
    for n, (name, raw) in enumerate(ODD.items()):
        siblings = [wrote(f"a{n}", f"antes {n}"), wrote(f"b{n}", f"depois {n}")]
        odd = wrote(f"odd{n}")
        odd["messages"] = ["ODD"]
        body = webhook(siblings[0], odd, siblings[1]).replace(b'"ODD"', raw)
        await house.sort(body)
        texts = [one.text for one in await house.messages() if one.text.endswith(f" {n}")]
        assert texts == [f"antes {n}", f"depois {n}"], name
    assert await house.rows("SELECT 1 FROM inbox WHERE sorted_at IS NULL") == [], "nothing is tried for ever"
    read = [one.id for one in await house.messages()]

    for n, text in enumerate(TEXTS):
        await house.sort(webhook(wrote(f"t{n}", text, at=NOON + timedelta(seconds=n))))
    fresh = [one.text for one in await house.messages() if one.id not in read]
    assert [one.strip() for one in fresh] == list(TEXTS.values())
    chat = await house.chat()
    assert (chat["address"], chat["held"]) == (LEAD, "bot")
    assert len(await house.queued()) == 1, "one turn, as ever"
    # Whoever looks on finds them by what was written, and nothing else by what looks like a pattern.
    who = house.who()
    assert [one.chat.id for one in await house.chats.list(who, search="DROP TABLE")] == [chat["id"]]
    assert await house.chats.list(who, search="%_%'") == []
