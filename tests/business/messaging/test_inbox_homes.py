"""What came for a number before it was connected is read by whoever connects it; what is old is cut to its keys."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from business.messaging.inbox import Received
from business.messaging.retention import KEPT_WHOLE, InboxRetention
from core.clock import FixedClock
from core.db import Database
from core.permissions import Permissions
from core.tenancy import Role
from integrations.whatsapp_cloud.webhooks import walk
from tests.business.messaging.chat_house import ChatHouse, chat_house, webhook, wrote
from tests.conftest import Tenants


@pytest.fixture
async def house(
    database: Database, clock: FixedClock, permissions: Permissions, tenants: Tenants, tmp_path: Path
) -> AsyncIterator[ChatHouse]:
    async with chat_house(database, clock, permissions, tenants, tmp_path) as house:
        yield house


def items(text: str, number: str, tenant_id: str | None) -> list[Received]:
    body: Any = webhook(wrote(text, text), number=number)
    return [Received(f"whatsapp_cloud:{number}", one.key, tenant_id, one.kind, one.stored) for one in walk(body)]


async def connect(house: ChatHouse, number: str, account: str = "") -> None:
    await house.channels.save(
        house.tenants.one[Role.ADMIN], "whatsapp_cloud", number, account=account, secrets={"token": "t"}
    )


async def test_messages_of_a_number_that_is_connected_later_are_read_by_its_tenant_alone(
    house: ChatHouse, owner_dsn: str
) -> None:
    await house.inbox.keep([*items("quero comprar", "999", None), *items("de outro", "777", None)])
    account = [Received("whatsapp_cloud:account:w1", "a1", None, "unread", {"reason": "odd"})]
    await house.inbox.keep(account)
    await house.channels.save(
        house.tenants.other[Role.ADMIN], "whatsapp_cloud", "888", account="w2", secrets={"token": "t"}
    )
    assert await house.sorter.sort(house.tenants.other.id) == 0
    await connect(house, "999", "w1")
    await house.inbox.keep(items("quero comprar", "999", house.id))  # WhatsApp brings it again
    assert await house.sorter.sort(house.id) == 2
    assert [row["text"] for row in await house.rows("SELECT text FROM chat_messages")] == ["quero comprar"]

    # Saved while the door's list was a second old: the clock finds it.
    await house.inbox.keep(items("e o preço?", "999", None))
    assert (await house.channels.bring_home(house.tenants.other.id), await house.sorter.sort(house.id)) == (0, 0)
    assert (await house.channels.bring_home(house.id), await house.sorter.sort(house.id)) == (1, 1)
    assert await house.channels.bring_home(house.id) == 0
    with psycopg.connect(owner_dsn) as conn:
        left = conn.execute("SELECT number FROM inbox WHERE tenant_id IS NULL").fetchall()
    assert left == [("whatsapp_cloud:777",)]


async def test_what_is_old_is_cut_to_its_key_and_what_waits_stays_whole(house: ChatHouse, owner_dsn: str) -> None:
    retention = InboxRetention(house.db, house.clock)
    await house.sort(webhook(wrote("1", "meu CPF é 1")))
    await house.inbox.keep(items("de ninguém", "777", None))
    assert await retention.cut() == 0
    house.clock.at += KEPT_WHOLE + timedelta(hours=1)
    await house.sort(webhook(wrote("2", "oi")))
    query = "UPDATE inbox SET received_at = received_at - interval '40 days' WHERE sorted_at IS NULL"
    await house.keep(webhook(wrote("3", "espera")))
    async with house.db.tenant(house.id) as conn:
        await conn.execute(query.encode())
    assert (await retention.cut(), await retention.cut()) == (2, 0)
    with psycopg.connect(owner_dsn) as conn:
        cut = conn.execute("SELECT tenant_id IS NULL, item = '{}', key <> '' FROM inbox ORDER BY id").fetchall()
    assert cut == [(False, True, True), (True, True, True), (False, False, True), (False, False, True)]
    await house.sort(webhook(wrote("1", "meu CPF é 1")))
    assert len(await house.rows("SELECT 1 FROM chat_messages")) == 3
