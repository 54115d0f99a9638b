"""A sender that stood still between claim and request (a stopped process, a frozen machine) while PostgreSQL took its
lock away, and another one that went on. And paces, which are forgotten when they are over."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx

from business.messaging.channels import Channel, Channels
from business.messaging.claiming import Claiming
from business.messaging.ledger import Ledger
from business.messaging.outbox import Outbox
from business.messaging.outcomes import UNKNOWN_TOLD, Outcomes
from business.messaging.retention import LINE_KEPT, InboxRetention
from business.messaging.sender_cloud import CloudClients, CloudSender
from business.messaging.sending import Sending
from business.messaging.settling import Settling
from core.db import Database
from core.files import Files
from core.permissions import Permissions
from core.tenancy import Role
from core.vault import Vault
from integrations.whatsapp_cloud import messages
from integrations.whatsapp_cloud.messages import MediaRef
from tests.business.messaging.outbox_house import House

PNG = bytes.fromhex("89504e470d0a1a0a0000000d4948445200000001000000010806000000")


class Dozing(CloudSender):
    """Falls asleep while it brings a file, until it is woken."""

    def __init__(self, clients: CloudClients) -> None:
        super().__init__(clients)
        self.asleep, self.wake = asyncio.Event(), asyncio.Event()

    async def upload(self, channel: Channel, kind: str, content: bytes, mime: str, name: str) -> str:
        self.asleep.set()
        await self.wake.wait()
        return await super().upload(channel, kind, content, mime, name)


class Two:
    """A message with a file, claimed by a sender that has fallen asleep, and another sender on other connections."""

    def __init__(self, house: House, chat: str, row: str, dozing: Dozing, task: "asyncio.Task[None]", other: Sending):
        self.house, self.chat, self.row, self.other = house, chat, row, other
        self._dozing, self._task = dozing, task

    async def other_runs(self, *, after: timedelta) -> dict[str, Any]:
        self.house.clock.advance(after)
        await self.other.run(self.house.tenant_id, self.chat)
        return await self.house.row(self.row)

    async def wakes(self) -> dict[str, Any]:
        self._dozing.wake.set()
        await self._task
        return await self.house.row(self.row)


@asynccontextmanager
async def two(house: House, permissions: Permissions, folder: Path) -> AsyncIterator[Two]:
    db, vault = Database(house.db.app_dsn), Vault.load(folder)
    await db.open()
    try:
        async with httpx.AsyncClient(trust_env=False, verify=False) as http:
            channels = Channels(db, vault, house.clock, "sandbox", permissions)
            clients = CloudClients(channels, http)
            dozing = Dozing(clients)
            outbox = Outbox(db, house.clock, house.jobs, permissions)
            outcomes = Outcomes(outbox, house.clock, Ledger(house.jobs))
            settling = Settling(outbox, outcomes, house.clock)
            senders = {"whatsapp_cloud": dozing}
            claiming = Claiming(house.clock, channels, senders, house.rules.of, outbox, outcomes)
            sleeper = Sending(db, house.clock, senders, claiming, outbox, outcomes, settling, files=Files(db))
            stored = await Files(house.db).store(
                house.tenants.one[Role.ADMIN], PNG, name="planta.png", mime="image/png"
            )
            chat = await house.chat()
            row = await house.put(chat, "a planta", content=messages.image(MediaRef(id=stored.id), "a planta"))
            task = asyncio.create_task(sleeper.run(house.tenant_id, chat))
            await asyncio.wait_for(dozing.asleep.wait(), 20)
            broken = await house.rows(
                """SELECT pg_terminate_backend(pid) AS done FROM pg_locks WHERE locktype = 'advisory'
                   AND (classid::bigint << 32 | objid::bigint) = hashtextextended(%s, 0)""",
                f"send {chat}",
            )
            assert [one["done"] for one in broken] == [True], "its lock is free"
            yield Two(house, chat, row, dozing, task, house.sending)
    finally:
        await db.close()


async def test_who_slept_between_claim_and_request_sends_nothing_that_somebody_else_has_sent(
    house: House, permissions: Permissions, tmp_path: Path
) -> None:
    async with two(house, permissions, tmp_path) as both:
        assert (await both.other_runs(after=timedelta(seconds=8)))["state"] == "unknown"
        assert house.sent == [], "nobody knows whether it left, so nobody sends it again by themselves"
        assert (await both.other_runs(after=UNKNOWN_TOLD))["state"] == "unknown"
        assert [alert.kind for alert in house.alerts] == ["unknown"]
        await house.outbox.resolve(house.tenants.one[Role.ADMIN], both.row, "send")
        sent = await both.other_runs(after=timedelta(seconds=8))
        assert (sent["state"], sent["attempts"], len(house.sent)) == ("sent", 2, 1)
        after = await both.wakes()
        assert (after["state"], after["external_id"], len(house.sent)) == ("sent", sent["external_id"], 1)


async def test_who_slept_gives_the_message_back_unless_a_person_was_asked_about_it(
    house: House, permissions: Permissions, tmp_path: Path
) -> None:
    async with two(house, permissions, tmp_path) as both:
        assert (await both.other_runs(after=timedelta(seconds=8)))["state"] == "unknown"
        back = await both.wakes()
        assert (back["state"], house.sent) == ("waiting", []), "the sleeper alone knows that it never left"
        sent = await both.other_runs(after=timedelta(seconds=8))
        assert (sent["state"], sent["attempts"], len(house.sent)) == ("sent", 2, 1)

    async with two(house, permissions, tmp_path) as both:
        await both.other_runs(after=UNKNOWN_TOLD)
        await house.outbox.resolve(house.tenants.one[Role.ADMIN], both.row, "drop")
        given_up = await both.wakes()
        assert (given_up["state"], given_up["reason"]) == ("unknown", "given_up")
        assert (await both.other_runs(after=timedelta(minutes=5)))["state"] == "unknown"
        assert len(house.sent) == 1


async def test_paces_are_forgotten_once_they_are_over_and_not_while_somebody_holds_them(house: House) -> None:
    retention = InboxRetention(house.db, house.clock)
    chat, other = await house.chat(), await house.chat()
    for one in (chat, other):
        assert (await house.say(one, "oi"))["state"] == "sent"
        house.clock.advance(timedelta(seconds=1))
    lines = "SELECT line FROM message_lines ORDER BY line"
    assert len(await house.rows(lines)) == 3, "two conversations and the number"
    assert await retention.forget_lines() == 0
    house.clock.advance(LINE_KEPT + timedelta(minutes=1))
    async with house.db.tenant(house.tenant_id) as conn:
        await conn.execute("SELECT 1 FROM message_lines WHERE line = %s FOR UPDATE", [f"pair:{chat}"])
        assert await retention.forget_lines() == 2
    assert [row["line"] for row in await house.rows(lines)] == [f"pair:{chat}"]
    await house.change(chat, last_from_contact=house.clock.now(), last_received_at=house.clock.now())
    await house.change(other, last_from_contact=house.clock.now(), last_received_at=house.clock.now())
    assert (await house.say(chat, "de novo"))["state"] == (await house.say(other, "de novo"))["state"] == "sent"
    assert (await retention.forget_lines(), len(await house.rows(lines))) == (0, 3)
