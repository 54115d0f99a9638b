"""A house with a number whose webhooks are kept and sorted, for the tests of what comes in and is answered."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from business.messaging.arrivals import Told
from business.messaging.channels import Channel, Channels
from business.messaging.chats import Chats, QuickReply
from business.messaging.conversation import Message, recent
from business.messaging.hands import Hands
from business.messaging.inbox import Inbox, Received
from business.messaging.ledger import CONSENT_TOLD, Ledger
from business.messaging.media import JOB as MEDIA_JOB
from business.messaging.opening import ACQUAINT_JOB
from business.messaging.opting import Opting
from business.messaging.outbox import SEND_CHAT, Outbox
from business.messaging.outcomes import Outcomes
from business.messaging.receipts import READ_JOB, Receipts
from business.messaging.rules import MessageRules
from business.messaging.settling import Settling
from business.messaging.sorter import Sorter
from business.messaging.sorting import Sorting
from business.messaging.templates_store import SYNC_TEMPLATES
from business.messaging.waking import CHAT_TURN, Waking
from core.clock import Clock, FixedClock
from core.db import Connection, Database
from core.jobs import Jobs
from core.notices import Notices
from core.permissions import Permissions
from core.tenancy import Identity, Role
from core.vault import Vault
from integrations.whatsapp_cloud.simulator.state import ACCOUNTS
from integrations.whatsapp_cloud.webhooks import walk
from prompts.texts import Texts
from tests.conftest import Tenants

NUMBER, WABA = ACCOUNTS[0].number_id, ACCOUNTS[0].waba_id
LEAD = "5519999990001"
NOON = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)


def webhook(*values: dict[str, Any], what: str = "messages", number: str = NUMBER) -> bytes:
    """A body as Meta posts it, with one change for each of `values`."""
    metadata = {"display_phone_number": "551940000001", "phone_number_id": number}
    common = {"messaging_product": "whatsapp", "metadata": metadata}
    changes = [{"field": what, "value": common | value} for value in values]
    return json.dumps({"object": "whatsapp_business_account", "entry": [{"id": WABA, "changes": changes}]}).encode()


def wrote(id: str, text: str = "oi", who: str = LEAD, at: datetime = NOON, **more: Any) -> dict[str, Any]:
    """The value of a change: one message."""
    message = {"from": who, "id": f"wamid.{id}", "timestamp": str(int(at.timestamp()))}
    message |= more if "type" in more else {"type": "text", "text": {"body": text}} | more
    return {"contacts": [{"profile": {"name": "Ana"}, "wa_id": who}], "messages": [message]}


def status(id: str, said: str, at: datetime = NOON, who: str = LEAD, **more: Any) -> dict[str, Any]:
    one = {"id": f"wamid.{id}", "status": said, "timestamp": str(int(at.timestamp())), "recipient_id": who}
    return {"statuses": [one | more]}


def echo(id: str, text: str, who: str = LEAD, at: datetime = NOON) -> dict[str, Any]:
    one = {"from": "551940000001", "to": who, "id": f"wamid.{id}", "timestamp": str(int(at.timestamp()))}
    return {"message_echoes": [one | {"type": "text", "text": {"body": text}}]}


async def no_turn(tenant_id: str, chat_id: str) -> None:
    """Nobody answers here."""


@dataclass
class ChatHouse:
    db: Database
    clock: Clock
    jobs: Jobs
    channels: Channels
    channel: Channel
    rules: MessageRules
    outbox: Outbox
    attempts: Outcomes
    settling: Settling
    waking: Waking
    hands: Hands
    ledger: Ledger
    notices: Notices
    inbox: Inbox
    sorter: Sorter
    chats: Chats
    tenants: Tenants
    texts: Texts
    warned: list[Told] = field(default_factory=list)
    turn: Callable[[str, str], Awaitable[None]] = no_turn
    """The body of the job "chat_turn"."""

    @property
    def id(self) -> str:
        return self.tenants.one.id

    def who(self, role: Role = Role.DIRETOR) -> Identity:
        return self.tenants.one[role]

    async def keep(self, *bodies: bytes) -> None:
        """What the door does with a webhook."""
        for body in bodies:
            for found in walk(body):
                number = f"whatsapp_cloud:{found.number_id or f'account:{found.waba_id}'}"
                await self.inbox.keep([Received(number, found.key, self.id, found.kind, found.stored)])

    async def sort(self, *bodies: bytes) -> int:
        await self.keep(*bodies)
        done = 0
        while more := await self.sorter.sort(self.id):
            done += more
        return done

    async def rows(self, query: str, *values: object) -> list[dict[str, Any]]:
        async with self.db.tenant(self.id) as conn:
            return list(await (await conn.execute(query.encode(), values)).fetchall())

    async def chat(self, who: str = LEAD) -> dict[str, Any]:
        (row,) = await self.rows("SELECT * FROM chats WHERE address = %s", who)
        return row

    async def messages(self, who: str = LEAD) -> list[Message]:
        chat = await self.chat(who)
        async with self.db.tenant(self.id) as conn:
            return await recent(conn, chat["id"], 500)

    async def outcomes(self) -> list[str]:
        return [row["outcome"] for row in await self.rows("SELECT outcome FROM inbox ORDER BY id")]

    async def queued(self, name: str = CHAT_TURN) -> list[dict[str, Any]]:
        query = "SELECT args, status, scheduled_at FROM procrastinate_jobs WHERE task_name = %s ORDER BY id"
        async with self.db.system() as conn:
            return list(await (await conn.execute(query, [name])).fetchall())

    def later(self, seconds: float) -> datetime:
        assert isinstance(self.clock, FixedClock)
        self.clock.advance(timedelta(seconds=seconds))
        return self.clock.now()


@asynccontextmanager
async def chat_house(
    db: Database, clock: Clock, permissions: Permissions, tenants: Tenants, folder: Path, **timing: float
) -> AsyncIterator[ChatHouse]:
    """`timing`: of the jobs' worker."""
    jobs = Jobs(db.app_dsn, **timing)  # type: ignore[arg-type]
    channels = Channels(db, Vault.load(folder), clock, "sandbox", permissions)
    who = tenants.one[Role.ADMIN]
    channel = await channels.save(who, "whatsapp_cloud", NUMBER, account=WABA, name="Vendas", secrets={"token": "t"})
    rules, ledger, texts = MessageRules(db, permissions), Ledger(jobs), Texts.load()
    outbox = Outbox(db, clock, jobs, permissions)
    outcomes = Outcomes(outbox, clock, ledger)
    settling = Settling(outbox, outcomes, clock)
    waking = Waking(jobs, clock)
    hands = Hands(outbox.drop, waking.wake)
    notices, inbox = Notices(db.app_dsn), Inbox(db.app_dsn, clock)
    warned: list[Told] = []

    async def warn(conn: Connection, tenant_id: str, channel: Channel, told: Told) -> None:
        warned.append(told)

    async def templates(conn: Connection, tenant_id: str, channel_id: str, told: Any) -> bool:
        return False

    async def quick(who: Identity) -> list[QuickReply]:
        return [QuickReply("oi", "Olá!")]

    opting = Opting(outbox, ledger, texts.say)
    sorting = Sorting(outbox, settling, opting, hands, waking, templates, warn)
    sorter = Sorter(db, clock, jobs, channels, rules, notices, sorting)
    receipts = Receipts(db, jobs, channels, {})
    chats = Chats(db, clock, permissions, hands, notices, outbox, ledger, quick, receipts.ask)
    house = ChatHouse(
        db, clock, jobs, channels, channel, rules, outbox, outcomes, settling, waking, hands, ledger, notices, inbox,
        sorter, chats, tenants, texts, warned,
    )  # fmt: skip

    async def nothing(**ids: Any) -> None:
        """A job of somebody else's."""

    async def turn(tenant_id: str, chat_id: str) -> None:
        await house.turn(tenant_id, chat_id)

    jobs.task(CHAT_TURN, turn, queue="talk")
    for name in (READ_JOB, ACQUAINT_JOB, MEDIA_JOB, SEND_CHAT, CONSENT_TOLD, SYNC_TEMPLATES):
        jobs.task(name, nothing)
    await jobs.open()
    await inbox.open()
    try:
        yield house
    finally:
        await inbox.close()
        await notices.close()
        await jobs.close()
