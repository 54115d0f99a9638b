"""A house whose outbox sends to the simulated WhatsApp, for the tests of what leaves."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from psycopg.types.json import Jsonb

from business.messaging.arrivals import Seen
from business.messaging.channels import Channel, Channels
from business.messaging.claiming import Claiming
from business.messaging.consent import Act, Entry, How, Scope
from business.messaging.conversation import open_chat
from business.messaging.ledger import CONSENT_TOLD, Ledger
from business.messaging.outbox import SEND_CHAT, Alert, Draft, Outbox
from business.messaging.outcomes import Outcomes, Undelivered
from business.messaging.rules import MessageRules
from business.messaging.sender_cloud import CloudClients, CloudSender
from business.messaging.senders import Sender
from business.messaging.sending import Sending
from business.messaging.settling import Settling
from business.messaging.templates import Purpose
from business.messaging.templates_store import SYNC_TEMPLATES, TemplateStore
from core.clock import FixedClock
from core.db import Connection, Database
from core.files import Files
from core.jobs import Jobs
from core.permissions import Permissions
from core.tenancy import Role
from core.vault import Vault
from integrations.sandbox_http import Launched
from integrations.whatsapp_cloud import messages
from integrations.whatsapp_cloud.errors import RULES
from integrations.whatsapp_cloud.simulator import launch
from integrations.whatsapp_cloud.simulator.state import ACCOUNTS
from tests.conftest import Tenants

WEDNESDAY = datetime(2026, 11, 18, 15, 0, tzinfo=UTC)
"""Noon in São Paulo, a business day."""
KINDS = {
    code: rule
    for code, rule in sorted(
        set({(one.action, one.scope, one.marketing, one.sure): (code, one) for code, one in RULES.items()}.values())
        | {(code, RULES[code]) for code in (0, 190, 131026, 131047, 131049, 131050, 131056)},
        key=lambda found: found[0],
    )
}
"""Of WhatsApp's codes one of each kind of row, and those that are treated in ways of their own."""


class Wire:
    """The simulated WhatsApp and its controls. Its own window is switched off: it fails only when it is told to."""

    def __init__(self, launched: Launched, folder: Path) -> None:
        self.launched, self.folder, self.url = launched, folder, launched.base_url
        self.secrets = launch.secrets_of(folder)
        self._http = httpx.Client(base_url=launched.base_url, verify=False, timeout=20)

    def ask(self, path: str, **asked: Any) -> Any:
        answer = self._http.post(path, json=asked)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def fail(self, kind: str, **more: Any) -> None:
        self.ask("/__faults", faults=[{"kind": kind, "path": "messages$", **more}])

    def count(self) -> int:
        return int(self._http.get("/__witness", params={"since": "10000000"}).json()["count"])

    def sent(self, since: int) -> list[dict[str, Any]]:
        """The messages that were asked to be sent, as they came over the wire, whatever was answered."""
        found = self._http.get("/__witness", params={"since": str(since)}).json()["requests"]
        return [one["body"] for one in found if one["path"].endswith("/messages")]

    def thread(self, contact: str) -> list[dict[str, Any]]:
        """Both sides of a chat as the phone has it; [] for nobody's."""
        return list(self._http.get("/__phone/thread", params={"contact": contact}).json().get("messages", []))

    def reset(self) -> None:
        self._http.delete("/__faults").raise_for_status()
        self.ask("/__config", window=False, statuses="none")

    def close(self) -> None:
        self._http.close()
        self.launched.stop()


@dataclass
class House:
    """One tenant with a number at the simulator, and chats with people who just wrote."""

    db: Database
    clock: FixedClock
    jobs: Jobs
    channels: Channels
    channel: Channel
    outbox: Outbox
    outcomes: Outcomes
    settling: Settling
    senders: dict[str, Sender]
    sending: Sending
    templates: TemplateStore
    rules: MessageRules
    wire: Wire
    tenants: Tenants
    mark: int
    alerts: list[Alert] = field(default_factory=list)
    blocked_since: dict[str, datetime] = field(default_factory=dict)
    undelivered: list[Undelivered] = field(default_factory=list)
    other_way: list[str] = field(default_factory=list)
    """What the fallback answers: the last of them, or that there is no other way."""

    @property
    def tenant_id(self) -> str:
        return self.tenants.one.id

    @property
    def sent(self) -> list[dict[str, Any]]:
        """What went over the wire since this house was built."""
        return self.wire.sent(self.mark)

    @property
    def texts(self) -> list[str]:
        return [one["text"]["body"] if one["type"] == "text" else one[one["type"]].get("name", "") for one in self.sent]

    async def chat(self, *, wrote: timedelta | None = timedelta(minutes=1), address: str = "", **columns: Any) -> str:
        """A conversation with somebody new. `wrote`: how long ago they wrote; None: never."""
        at = self.clock.now() - wrote if wrote is not None else None
        address = address or f"55199{int(time.time_ns()) % 10**8:08d}"
        async with self.db.tenant(self.tenant_id) as conn:
            chat = await open_chat(conn, self.tenant_id, self.channel, address, name="Ana Lima", at=self.clock.now())
            if at is not None:
                columns = {"last_from_contact": at, "last_received_at": at, "messages_in": 1} | columns
            await self._set(conn, chat.id, columns)
        return chat.id

    async def change(self, chat_id: str, **columns: Any) -> None:
        async with self.db.tenant(self.tenant_id) as conn:
            await self._set(conn, chat_id, columns)

    async def _set(self, conn: Connection, chat_id: str, columns: Mapping[str, Any]) -> None:
        for name, value in columns.items():
            await conn.execute(f"UPDATE chats SET {name} = %s WHERE id = %s".encode(), [value, chat_id])

    async def put(self, chat_id: str, text: str = "Bom dia!", *, key: str = "", **more: Any) -> str:
        said: dict[str, Any] = {"purpose": Purpose.ANSWER, "key": key or f"{chat_id}:{text}", "answers": 1}
        if "template" not in more and "content" not in more:
            said["content"] = messages.text(text)
        draft = Draft(**{**said, **more})
        async with self.db.tenant(self.tenant_id) as conn:
            return await self.outbox.put(conn, self.tenant_id, chat_id, draft)

    async def say(self, chat_id: str, text: str = "Bom dia!", **more: Any) -> dict[str, Any]:
        """Put it, let it leave, and give the row."""
        outbox_id = await self.put(chat_id, text, **more)
        await self.run(chat_id)
        return await self.row(outbox_id)

    async def run(self, chat_id: str) -> None:
        await self.sending.run(self.tenant_id, chat_id)

    async def row(self, outbox_id: str) -> dict[str, Any]:
        """The row, with the status of its message."""
        async with self.db.tenant(self.tenant_id) as conn:
            found = await (
                await conn.execute(
                    """SELECT o.*, m.status, m.text, m.kind, m.contradicted, m.error AS said FROM outbox o
                       JOIN chat_messages m ON m.id = o.message_id WHERE o.id = %s""",
                    [outbox_id],
                )
            ).fetchone()
        assert found is not None
        return found

    async def rows(self, query: str, *values: object) -> list[dict[str, Any]]:
        async with self.db.tenant(self.tenant_id) as conn:
            return await (await conn.execute(query.encode(), values)).fetchall()

    async def told(self, row: Mapping[str, Any], status: str, *, code: int | None = None, id: str = "") -> str | None:
        """A status of it comes."""
        seen = Seen(id or row["external_id"] or "wamid.lost", status, self.clock.now(), row["id"], code)
        async with self.db.tenant(self.tenant_id) as conn:
            return await self.settling.settle(conn, self.tenant_id, self.channel.id, seen)

    async def block(self, place: str, code: int, **columns: Any) -> None:
        async with self.db.tenant(self.tenant_id) as conn:
            await conn.execute(
                """INSERT INTO message_blocks (tenant_id, id, place, channel_id, address, covers, code, at, until)
                   VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)""",
                [
                    self.tenant_id, f"block_{code}_{time.time_ns()}", place, self.channel.id, columns.get("address"),
                    columns.get("covers", "all"), code, self.clock.now(), columns.get("until"),
                ],
            )  # fmt: skip

    async def set_channel(self, **settings: Any) -> None:
        async with self.db.tenant(self.tenant_id) as conn:
            await conn.execute("UPDATE channels SET settings = %s WHERE id = %s", [Jsonb(settings), self.channel.id])


async def nothing(**ids: Any) -> None:
    """A job that the test runs itself."""


async def open_house(
    db: Database,
    tenants: Tenants,
    permissions: Permissions,
    wire: Wire,
    folder: Path,
    http: httpx.AsyncClient,
) -> House:
    """Everything built as app.py builds it, without a worker: the test calls the jobs."""
    clock = FixedClock(WEDNESDAY)
    jobs = Jobs(db.app_dsn)
    for name in (SEND_CHAT, SYNC_TEMPLATES, CONSENT_TOLD):
        jobs.task(name, nothing)
    await jobs.open()
    channels = Channels(db, Vault.load(folder), clock, "sandbox", permissions)
    channel = await channels.save(
        tenants.one[Role.ADMIN],
        "whatsapp_cloud",
        ACCOUNTS[0].number_id,
        account=ACCOUNTS[0].waba_id,
        base_url=wire.url,
        secrets={"token": wire.secrets.token},
    )
    alerts: list[Alert] = []
    since: dict[str, datetime] = {}

    async def tell(conn: Connection, alert: Alert) -> None:
        alerts.append(alert)
        if alert.code == 131053:
            raise KeyError("nobody knows what to say of this one")

    async def blocked(conn: Connection, chat: Mapping[str, Any]) -> Sequence[Entry]:
        at = since.get(chat["address"])
        return [Entry(at, Act.STOPPED, Scope.ALL, How.HOUSE)] if at is not None else []

    async def values(conn: Connection, chat: Mapping[str, Any]) -> Mapping[str, str]:
        return {"name": chat["name"].split(" ")[0], "house": "Aurora", "sender": "Rui"}

    undelivered: list[Undelivered] = []
    other_way: list[str] = []

    async def fallback(conn: Connection, one: Undelivered) -> str | None:
        undelivered.append(one)
        return other_way[-1] if other_way else None

    outbox = Outbox(db, clock, jobs, permissions, tell=tell)
    outcomes = Outcomes(outbox, clock, Ledger(jobs), fallback=fallback)
    settling = Settling(outbox, outcomes, clock)
    rules = MessageRules(db, permissions)
    clients = CloudClients(channels, http)
    senders: dict[str, Sender] = {"whatsapp_cloud": CloudSender(clients)}
    claiming = Claiming(clock, channels, senders, rules.of, outbox, outcomes, blocked=blocked, values_of=values)
    sending = Sending(db, clock, senders, claiming, outbox, outcomes, settling, files=Files(db))
    templates = TemplateStore(db, clock, channels, clients, permissions, jobs)
    return House(
        db, clock, jobs, channels, channel, outbox, outcomes, settling, senders, sending, templates, rules, wire,
        tenants, wire.count(), alerts, since, undelivered, other_way,
    )  # fmt: skip
