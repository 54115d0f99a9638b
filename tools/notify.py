"""What people of the house are told: a hot lead, somebody who asks for a person, a number that was stopped, a meeting.

Each matter once for each person, in the transaction in which it happened: a line in their newest conversation of the
chat (one of its own where there is none of today), and an e-mail where the account wishes it and can send one.
"""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import structlog

from business.conversations.service import Conversations
from business.messaging.channels import Channel, Channels
from business.messaging.conversation import Chat
from business.messaging.model import Why, said
from business.messaging.outbox import Alert
from business.messaging.rules import NOTICES
from business.messaging.senders import Sender
from business.people.service import People
from core.clock import Clock
from core.db import Connection, Database, fetch_one
from core.errors import MutiraoError, OutcomeUnknown
from core.formats import plain
from core.jobs import Jobs
from core.tenancy import Identity, Role
from integrations.whatsapp_cloud import messages
from prompts.texts import Texts

log = structlog.get_logger(__name__)

MAIL_JOB = "notice_mail"
"""(tenant_id, user_id, key): a notice as an e-mail."""
KINDS = (
    "hot_lead", "person_wanted", "person_waited", "meeting_booked", "meeting_moved", "meeting_cancelled",
    "meeting_called_off", "meeting_lost", "meeting_alone", "calendar_away", "number_stopped", "number_trouble", "ask",
    "refused", "unknown", "template_refused", "template_stopped", "cadence_ended", "chat_assigned",
)  # fmt: skip
"""Each has its sentence, notice.<kind>; its parameters: name (whom it is about), detail, chat (its id), when."""
_FRESH = timedelta(hours=24)
_HEADS = (Role.ADMIN, Role.DIRETOR)


class Notify:
    def __init__(
        self,
        db: Database,
        clock: Clock,
        people: People,
        conversations: Conversations,
        texts: Texts,
        jobs: Jobs,
        channels: Channels | None = None,
        mail: Sender | None = None,
    ) -> None:
        """`mail`: the sender of e-mails (business/messaging/sender_email.py); without it nothing is mailed."""
        self._db = db
        self._clock = clock
        self._people = people
        self._conversations = conversations
        self._texts = texts
        self._jobs = jobs
        self._channels = channels
        self._mail = mail

    async def tell(
        self,
        tenant_id: str,
        user_id: str | None,
        kind: str,
        params: Mapping[str, Any],
        *,
        key: str,
        within: Connection | None = None,
    ) -> int:
        """Tell one person (None, or one who is gone: the heads of the house) of a matter; how many were told now.

        `key`: the same one is told once to each. `within`: the caller's transaction. Unknown kinds are a KeyError.
        """
        if kind not in KINDS:
            raise KeyError(f"no notice of kind {kind!r}")
        now, told = self._clock.now(), 0
        for who in await self._whom(tenant_id, user_id):
            say = partial(self._texts.say, who.language)
            local = {name: _local(value, who.time_zone, say) for name, value in params.items()}
            words = {"name": "", "detail": "", "chat": "", "when": None} | local
            told_as = {name: plain(value) if isinstance(value, str) else value for name, value in words.items()}
            text = self._texts.say(who.language, f"notice.{kind}", **words)
            # What contacts write, their name first of all, is no Markdown of ours.
            shown = self._texts.say(who.language, f"notice.{kind}", **told_as)
            if words["chat"]:
                link = self._texts.say(who.language, "notice.open_chat", chat=words["chat"])
                text, shown = f"{text} {link}", f"{shown} {link}"
            async with self._db.tenant(tenant_id, within) as conn:
                added = await conn.execute(
                    """INSERT INTO notices (tenant_id, key, kind, user_id, text, at, told_at)
                       VALUES (current_tenant(), %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING""",
                    [key[:300], kind, who.user_id, text, now, now],
                )
                if not added.rowcount:
                    continue
                told += 1
                place = await self._place(conn, who, now)
                # By its notice it is found again when somebody is erased (tools/chat_traces.py).
                await self._conversations.announce(tenant_id, place, shown, {"notice": _id_of(key)}, within=conn)
                if await self._by_mail(conn, tenant_id):
                    await self._jobs.defer(conn, MAIL_JOB, tenant_id=tenant_id, user_id=who.user_id, key=_id_of(key))
        return told

    async def alert(self, conn: Connection, alert: Alert) -> None:
        """What the outbox wants looked at: told to the conversation's owner, a stopped number to the heads."""
        row = await fetch_one(conn, "SELECT name, owner_id FROM chats WHERE id = %s", [alert.chat_id])
        owner = row["owner_id"] if row and alert.kind != "number_stopped" else None
        params = {"name": row["name"] if row else "", "detail": alert.why or "", "chat": alert.chat_id}
        await self.tell(alert.tenant_id, owner, alert.kind, params, key=alert.key, within=conn)

    async def assigned(self, conn: Connection, by: Identity, chat: Chat, user_id: str) -> None:
        """A conversation was given to a colleague."""
        params = {"name": chat.name or chat.address, "detail": by.name, "chat": chat.id}
        key = f"assigned:{chat.id}:{user_id}:{self._clock.now().timestamp():.0f}"
        await self.tell(by.tenant_id, user_id, "chat_assigned", params, key=key, within=conn)

    async def send_mail(self, tenant_id: str, user_id: str, key: str) -> None:
        """The job: mail a notice, at most once. What the mail server refuses is logged and left."""
        if self._mail is None:
            return
        async with self._db.tenant(tenant_id) as conn:
            row = await fetch_one(
                conn,
                """UPDATE notices SET mailed_at = %s WHERE user_id = %s AND md5(key) = %s AND mailed_at IS NULL
                   RETURNING text""",
                [self._clock.now(), user_id, key],
            )
        channel = await self._mail_channel(tenant_id)
        if row is None or channel is None:
            return
        who = await self._people.identity(tenant_id, user_id)
        subject = self._texts.say(who.language, "notice.mail_subject")
        try:
            await self._mail.send(
                channel, who.email, messages.text(f"{subject}\n\n{_plain(row['text'])}"), callback=f"notice-{key}"
            )
        except (MutiraoError, OutcomeUnknown) as error:
            log.warning("notice_not_mailed", tenant=tenant_id, user=user_id, reason=error.code)

    async def _whom(self, tenant_id: str, user_id: str | None) -> Sequence[Identity]:
        users = [one for one in await self._people.users(tenant_id) if one.active]
        found = [one for one in users if one.id == user_id and one.role is not Role.AGENTE_IA]
        found = found or [one for one in users if one.role in _HEADS]
        return [await self._people.identity(tenant_id, one.id) for one in found]

    async def _place(self, conn: Connection, who: Identity, now: datetime) -> str:
        """Their newest conversation of today; else the one that is for notices."""
        place = f"notices_{who.user_id}"
        row = await fetch_one(
            conn,
            """SELECT id FROM conversations WHERE user_id = %s AND door = 'chat' AND updated_at > %s AND id <> %s
               ORDER BY updated_at DESC LIMIT 1""",
            [who.user_id, now - _FRESH, place],
        )
        if row is not None:
            return str(row["id"])
        await conn.execute(
            """INSERT INTO conversations (id, tenant_id, user_id, door, title, language, created_at, updated_at)
               VALUES (%s, current_tenant(), %s, 'chat', %s, %s, %s, %s)
               ON CONFLICT (id) DO UPDATE SET updated_at = excluded.updated_at""",
            [place, who.user_id, self._texts.say(who.language, "notice.title"), who.language, now, now],
        )
        return place

    async def _by_mail(self, conn: Connection, tenant_id: str) -> bool:
        if self._mail is None or await self._mail_channel(tenant_id, conn) is None:
            return False
        row = await fetch_one(conn, "SELECT settings->>%s AS wish FROM tenants WHERE id = %s", [NOTICES, tenant_id])
        return bool(row and row["wish"] == "true")

    async def _mail_channel(self, tenant_id: str, within: Connection | None = None) -> Channel | None:
        if self._channels is None:
            return None
        found = await self._channels.of(tenant_id, within)
        return next((one for one in found if one.provider == "email" and one.state == "active"), None)


def _id_of(key: str) -> str:
    """A key in the form that a job may carry."""
    return hashlib.md5(key[:300].encode(), usedforsecurity=False).hexdigest()


def _local(value: Any, zone: str, say: Callable[..., str]) -> Any:
    """A moment by the person's own clock, a reason in their language, for a text."""
    if isinstance(value, Why):
        return said(value, say, zone)
    if not isinstance(value, datetime):
        return value
    local = value.astimezone(ZoneInfo(zone))
    return {"day": local.date(), "time": f"{local:%H:%M}"}


def _plain(text: str) -> str:
    """Without the chat's links, which lead nowhere in an e-mail."""
    return re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", text)
