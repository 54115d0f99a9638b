"""What arrives together is committed together, and nothing that is odd takes the rest along."""

import asyncio
from typing import Any

import psycopg
import pytest

from business.messaging.inbox import Inbox, Received
from core.clock import FixedClock
from core.errors import Unavailable
from tests.conftest import Dsns, Tenants


def item(n: int, tenant_id: str | None = None, **more: Any) -> Received:
    return Received("whatsapp_cloud:1", f"wamid.{n}", tenant_id, "message", {"raw": {"id": n}} | more)


def rows(dsns: Dsns) -> list[tuple[Any, ...]]:
    with psycopg.connect(dsns.owner) as conn:
        return conn.execute("SELECT key, tenant_id, kind, item FROM inbox ORDER BY id").fetchall()


async def test_whatever_comes_while_a_commit_is_under_way_goes_with_the_next(dsns: Dsns, clock: FixedClock) -> None:
    inbox = Inbox(dsns.app, clock)
    await inbox.open()
    await inbox.keep([item(0)])
    before = inbox.commits
    await asyncio.gather(*(inbox.keep([item(n)]) for n in range(1, 201)))
    assert inbox.commits - before <= 3
    assert [row[0] for row in rows(dsns)] == [f"wamid.{n}" for n in range(201)]  # in the order of their coming
    await inbox.keep([])
    await inbox.keep([item(n) for n in range(3_000)])  # more than one commit takes: nobody waits for all of it
    assert len(rows(dsns)) == 3_000
    gone = asyncio.create_task(inbox.keep([item(9_999)]))
    await asyncio.sleep(0)
    gone.cancel()  # the sender hung up: what it brought is kept all the same, and others go on
    await inbox.keep([item(9_998)])
    assert {"wamid.9999", "wamid.9998"} <= {row[0] for row in rows(dsns)}
    await inbox.close()
    with pytest.raises(Unavailable):
        await inbox.keep([item(1)])


async def test_an_odd_item_takes_none_of_its_commit_along(dsns: Dsns, clock: FixedClock, tenants: Tenants) -> None:
    inbox = Inbox(dsns.app, clock)
    await inbox.open()
    odd = item(50, name="a\0b")  # PostgreSQL has no NUL
    gone = item(51, "a tenant that has gone")
    unkeyed = Received("whatsapp_cloud:1", "wamid.\0", tenants.one.id, "message", {})
    impossible = Received("whatsapp_cloud:1", "wamid.x", None, "message", {"text": "half of a pair: \ud800"})
    lots = [[item(n, tenants.one.id)] for n in range(20)]
    lots[7:7] = [[item(100), odd, item(101)], [gone], [unkeyed], [impossible]]
    await asyncio.gather(*(inbox.keep(lot) for lot in lots))
    found = {row[0]: row[1:] for row in rows(dsns)}
    assert len(found) == 26
    assert found["wamid.50"][1] == "unread" and r"a\ufffdb" in found["wamid.50"][2]["text"]
    assert found["wamid.51"] == (None, "message", {"raw": {"id": 51}})
    assert found["wamid.\ufffd"][:2] == (tenants.one.id, "unread")
    assert found["wamid.x"][1] == "unread" and r"of a pair: \ud800" in found["wamid.x"][2]["text"]
    await inbox.close()


async def test_a_flood_is_told_to_come_again_and_memory_has_an_end(dsns: Dsns, clock: FixedClock) -> None:
    inbox = Inbox(dsns.app, clock, most_waiting=100_000)
    await inbox.open()
    flood = [inbox.keep([item(n, text="x" * 1_000)]) for n in range(1_000)]
    told = await asyncio.gather(*flood, return_exceptions=True)
    refused = [one for one in told if isinstance(one, Unavailable)]
    assert {one.code for one in refused} == {"inbox_full"}
    assert len(rows(dsns)) == len(told) - len(refused) == pytest.approx(100, abs=10)
    await inbox.keep([item(5_000)])  # and then it goes on
    await inbox.close()


async def test_the_door_s_role_can_put_in_and_nothing_else(dsns: Dsns, clock: FixedClock, tenants: Tenants) -> None:
    inbox = Inbox(dsns.app, clock)
    await inbox.open()
    await inbox.keep([item(1, tenants.one.id)])
    with psycopg.connect(dsns.app, autocommit=True) as conn:
        conn.execute("SET ROLE mutirao_intake")
        for statement in (
            "SELECT * FROM inbox",
            "DELETE FROM inbox",
            "UPDATE inbox SET kind = 'x'",
            "SELECT * FROM chats",
            "SELECT * FROM channels",
            "INSERT INTO chats (tenant_id, id) VALUES ('x', 'x')",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                conn.execute(statement.encode())
    assert [(one.tenant_id, one.waiting) for one in await inbox.waiting()] == [(tenants.one.id, 1)]
    await inbox.close()
