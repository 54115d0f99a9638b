"""Conversations with people outside, for tests of the inbox: the real services, and rows as the sorter leaves them."""

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

from psycopg.types.json import Jsonb

from business.crm.service import Crm
from business.messaging.changes import changed
from business.messaging.channels import Channel, Channels
from business.messaging.chats import Chats, QuickReply
from business.messaging.conversation import open_chat
from business.messaging.hands import Hands
from business.messaging.ledger import Ledger
from business.messaging.outbox import Outbox
from business.messaging.rules import MessageRules
from business.messaging.waking import Waking
from business.people.service import People
from business.sales.house_calendar import HouseCalendar
from business.sales.records import SalesRecords
from business.sales.score import default_rules
from core.clock import Clock
from core.db import Database
from core.ids import new_id
from core.jobs import Jobs
from core.notices import Notices
from core.permissions import Permissions
from core.tenancy import Identity
from core.vault import Vault
from prompts.texts import Texts
from tools.call_off import CallOff
from tools.meetings import Meetings, Tell
from tools.opening import Opening


@dataclass
class Outside:
    """What app.py builds of business/messaging for a door, and hands to write conversations down."""

    db: Database
    clock: Clock
    channels: Channels
    chats: Chats
    outbox: Outbox
    jobs: Jobs
    notices: Notices
    sales: SalesRecords
    calendar: HouseCalendar
    call_off: CallOff = field(init=False)

    def attend(self, permissions: Permissions, crm: Crm, people: People, texts: Texts, tell: Tell) -> None:
        """Let people of the house call meetings off."""
        meetings = Meetings(self.db, self.clock, self.calendar, self.sales, crm, people, texts, tell, self.outbox)
        self.call_off = CallOff(self.db, permissions, self.chats, self.calendar, meetings)

    @property
    def desk(self) -> Any:
        """What the page asks of the crew's desk: what is known of a lead, by the rules that ship."""
        rules = default_rules()
        return SimpleNamespace(
            of_chat=lambda tenant_id, chat_id: self.sales.known(tenant_id, chat_id, rules), calendar=self.calendar
        )

    @classmethod
    async def open(cls, db: Database, clock: Clock, permissions: Permissions, vault: Vault) -> "Outside":
        jobs, notices = Jobs(db.app_dsn), Notices(db.app_dsn)
        for name in ("chat_turn", "send_chat", "chat_media", "chat_acquaint", "consent_told"):
            jobs.task(name, _nothing)
        await jobs.open()
        outbox = Outbox(db, clock, jobs, permissions)
        waking = Waking(jobs, clock)

        async def quick(_: Identity) -> list[QuickReply]:
            return [
                QuickReply("Horário", "Atendemos de segunda a sexta, das 9h às 18h."),
                QuickReply("Obrigado", "Obrigado, {nome}! Qualquer coisa, é só chamar."),
                QuickReply("Endereço", "Estamos na Rua das Flores, 120, Centro, Campinas."),
            ]

        hands = Hands(drop=outbox.drop, wake=waking.wake)
        chats = Chats(db, clock, permissions, hands, notices, outbox, Ledger(jobs), quick)
        channels = Channels(db, vault, clock, "sandbox", permissions)
        calendar = HouseCalendar(db, clock, Opening(db, MessageRules(db, permissions)))
        return cls(db, clock, channels, chats, outbox, jobs, notices, SalesRecords(db, clock), calendar)

    async def close(self) -> None:
        await self.notices.close()
        await self.jobs.close()

    async def number(self, admin: Identity, number: str, name: str, provider: Any = "whatsapp_cloud") -> Channel:
        return await self.channels.save(admin, provider, number, name=name, secrets={"token": "t"})

    async def chat(
        self, channel: Channel, address: str, name: str, *, of: dict[str, Any] | None = None, **columns: Any
    ) -> str:
        """A conversation; `of`: whose and with whom, `columns`: any column of `chats`."""
        async with self.db.tenant(channel.tenant_id) as conn:
            now = self.clock.now()
            chat = await open_chat(conn, channel.tenant_id, channel, address, name=name, at=now, **of or {})
            columns = {"last_at": self.clock.now() - timedelta(days=365), **columns}  # its messages bring it forward
            sets = ", ".join(f"{column} = %s" for column in columns)
            values = [Jsonb(v) if isinstance(v, dict) else v for v in columns.values()]
            await conn.execute(f"UPDATE chats SET {sets} WHERE id = %s".encode(), [*values, chat.id])
            await changed(conn, channel.tenant_id, chat.id)
        return chat.id

    async def says(
        self,
        tenant_id: str,
        chat_id: str,
        text: str,
        *,
        ago: timedelta = timedelta(0),
        unread: bool = False,
        **row: Any,
    ) -> str:
        """A message of the contact (or any other row of chat_messages). Returns its id."""
        at = self.clock.now() - ago
        values: dict[str, Any] = {
            "tenant_id": tenant_id, "id": new_id("msg"), "chat_id": chat_id, "direction": "in", "author": "contact",
            "kind": "text", "text": text, "content": {}, "external_id": f"wamid.{new_id('x')}", "at": at,
            "received_at": at, **row,
        }  # fmt: skip
        values["content"] = Jsonb(values["content"])
        names = ", ".join(values)
        holes = ", ".join("%s" for _ in values)
        async with self.db.tenant(tenant_id) as conn:
            query = f"INSERT INTO chat_messages ({names}) VALUES ({holes})"
            await conn.execute(query.encode(), list(values.values()))
            mine = values["direction"] == "in"
            await conn.execute(
                """UPDATE chats SET last_at = greatest(last_at, %(at)s), unread = unread + %(unread)s,
                       messages_in = messages_in + %(mine)s,
                       last_from_contact = CASE WHEN %(mine)s = 1 THEN greatest(last_from_contact, %(at)s)
                                                ELSE last_from_contact END
                   WHERE id = %(id)s""",
                {"at": at, "unread": int(unread), "mine": int(mine), "id": chat_id},
            )
            await changed(conn, tenant_id, chat_id)
        return str(values["id"])

    async def answers(self, tenant_id: str, chat_id: str, text: str, *, status: str = "read", **row: Any) -> str:
        """A message of ours that left."""
        return await self.says(
            tenant_id, chat_id, text,
            **{"direction": "out", "author": "bot", "status": status, "status_at": self.clock.now(), **row},
        )  # fmt: skip

    async def waits(
        self, tenant_id: str, chat_id: str, text: str, state: str, decision: dict[str, Any] | None = None, **row: Any
    ) -> tuple[str, str]:
        """A message of ours that is in the outbox still. Returns (message id, outbox id)."""
        reason, error = row.pop("reason", ""), row.get("error")
        status = {"dropped": "dropped", "failed": "failed"}.get(state, "queued")
        message_id = await self.answers(tenant_id, chat_id, text, status=status, external_id=None, **row)
        outbox_id = new_id("out")
        async with self.db.tenant(tenant_id) as conn:
            await conn.execute(
                """INSERT INTO outbox (tenant_id, id, chat_id, message_id, key, content, purpose, author, state,
                       decision, reason, error, created_at)
                   VALUES (%s, %s, %s, %s, %s, %s, 'answer', %s, %s, %s, %s, %s, %s)""",
                [
                    tenant_id, outbox_id, chat_id, message_id, new_id("key"),
                    json.dumps({"type": "text", "text": {"body": text}}), row.get("author", "bot"), state,
                    Jsonb(decision) if decision else None, reason, error, self.clock.now(),
                ],
            )  # fmt: skip
        return message_id, outbox_id

    async def file(self, tenant_id: str, chat_id: str, file_id: str | None, kind: str, mime: str, **row: Any) -> str:
        """A row of chat_media; `file_id`: what core/files keeps of it. Returns its id."""
        values = {
            "tenant_id": tenant_id, "id": new_id("med"), "chat_id": chat_id, "provider_id": new_id("x"), "kind": kind,
            "mime": mime, "file_id": file_id, "state": "kept" if file_id else "waiting",
            "created_at": self.clock.now(), **row,
        }  # fmt: skip
        names, holes = ", ".join(values), ", ".join("%s" for _ in values)
        async with self.db.tenant(tenant_id) as conn:
            await conn.execute(f"INSERT INTO chat_media ({names}) VALUES ({holes})".encode(), list(values.values()))
        return str(values["id"])


async def _nothing(**_: str) -> None: ...


def decided(
    verdict: str, rule: str, why: str, at: datetime, *, source: str = "Meta, send-messages", **params: Any
) -> dict[str, Any]:
    """The policy's word as the outbox keeps it; moments among `params` as they are recorded."""
    told = {k: {"at": v.isoformat()} if isinstance(v, datetime) else v for k, v in params.items()}
    return {"verdict": verdict, "rule": rule, "source": source, "why": {"key": f"messaging.why.{why}", "params": told},
            "at": at.isoformat(), "until": None, "cautions": []}  # fmt: skip
