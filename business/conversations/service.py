"""Conversations, their messages and turns: what was asked, what was answered, and what became of it.

A message is committed before any work on it begins, so a killed process loses no question.
"""

import json
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from business.conversations.records import Figures, write_record
from core.clock import Clock
from core.db import Connection, Database, fetch_all, fetch_one
from core.errors import ArgumentsWrong, Refused
from core.ids import new_id
from core.tenancy import Identity

_TITLE_LENGTH = 60
_ID = re.compile(r"[A-Za-z0-9_.:-]{1,100}")


@dataclass(frozen=True)
class Said:
    """A message as it stands in the conversation."""

    id: str
    role: str  # user or assistant
    text: str
    at: datetime
    extra: dict[str, Any]


@dataclass(frozen=True)
class ConversationState:
    language: str | None
    session: dict[str, Any]
    session_version: int


class Conversations:
    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    async def accept(
        self,
        identity: Identity,
        conversation_id: str,
        door: str,
        text: str,
        turn_id: str,
        attachments: list[dict[str, Any]],
    ) -> datetime:
        """Commit a person's message and the turn that will answer it; make the conversation if it is new.

        Returns the moment of acceptance. Refused("conversation_not_yours") for somebody else's conversation;
        ArgumentsWrong("conversation_malformed") for an id that is none.
        """
        if not _ID.fullmatch(conversation_id):
            raise ArgumentsWrong("conversation_malformed", "the id of a conversation is 1 to 100 of A-Za-z0-9_.:-")
        now = self._clock.now()
        async with self._db.tenant(identity.tenant_id) as conn:
            await conn.execute(
                """insert into conversations (id, tenant_id, user_id, door, title, language, created_at, updated_at)
                   values (%s, %s, %s, %s, %s, '', %s, %s) on conflict do nothing""",
                (conversation_id, identity.tenant_id, identity.user_id, door, _title(text), now, now),
            )
            await self._check_owner(conn, identity, conversation_id)
            await conn.execute(
                """with turn as (
                     insert into turns (id, tenant_id, conversation_id, user_id, door, state, record, started_at)
                     values (%(turn)s, %(tenant)s, %(conversation)s, %(user)s, %(door)s, 'running', '{}', %(now)s)
                   ), message as (
                     insert into messages (id, tenant_id, conversation_id, turn_id, role, text, extra, created_at)
                     values (%(id)s, %(tenant)s, %(conversation)s, %(turn)s, 'user', %(text)s, %(extra)s, %(now)s)
                   )
                   update conversations set updated_at = %(now)s, title = coalesce(nullif(title, ''), %(title)s)
                   where id = %(conversation)s""",
                {
                    "turn": turn_id,
                    "tenant": identity.tenant_id,
                    "conversation": conversation_id,
                    "user": identity.user_id,
                    "door": door,
                    "now": now,
                    "id": new_id("msg"),
                    "text": text,
                    "extra": json.dumps({"attachments": attachments} if attachments else {}),
                    "title": _title(text),
                },
            )
        return now

    async def begin_for_contact(self, identity: Identity, conversation_id: str, door: str, turn_id: str) -> datetime:
        """Note that a turn begins that answers a person outside: what they wrote and are answered stands with their
        conversation (business/messaging), here is only the turn's record. Returns the moment."""
        now = self._clock.now()
        async with self._db.tenant(identity.tenant_id) as conn:
            await conn.execute(
                """insert into conversations (id, tenant_id, user_id, door, title, language, created_at, updated_at)
                   values (%s, %s, %s, %s, '', '', %s, %s) on conflict do nothing""",
                (conversation_id, identity.tenant_id, identity.user_id, door, now, now),
            )
            await conn.execute(
                """insert into turns (id, tenant_id, conversation_id, user_id, door, state, record, started_at)
                   values (%s, %s, %s, %s, %s, 'running', '{}', %s)""",
                (turn_id, identity.tenant_id, conversation_id, identity.user_id, door, now),
            )
        return now

    async def finish_for_contact(
        self, identity: Identity, turn_id: str, *, record: dict[str, Any], figures: Figures, state: str
    ) -> None:
        """Close such a turn with its record."""
        async with self._db.tenant(identity.tenant_id) as conn:
            await write_record(conn, turn_id, state, self._clock.now(), record, figures)

    async def _check_owner(self, conn: Any, identity: Identity, conversation_id: str) -> None:
        # Row-level security hides another tenant's conversation: the insert above then did nothing and no row is seen.
        row = await fetch_one(conn, "select user_id from conversations where id = %s", (conversation_id,))
        if row is None or row["user_id"] != identity.user_id:
            raise Refused("conversation_not_yours", "the conversation belongs to somebody else")

    async def state(self, tenant_id: str, conversation_id: str, conn: Connection | None = None) -> ConversationState:
        """What is kept of a conversation beside what was said. `conn`: the caller's transaction, if it has one."""
        async with self._db.tenant(tenant_id, conn) as conn:
            row = await fetch_one(
                conn, "select language, session, session_version from conversations where id = %s", (conversation_id,)
            )
        if row is None:
            return ConversationState(None, {}, 0)
        return ConversationState(row["language"] or None, row["session"], row["session_version"])

    async def said(
        self,
        tenant_id: str,
        conversation_id: str,
        *,
        last: int,
        before_turn: str | None = None,
        conn: Connection | None = None,
    ) -> list[Said]:
        """The newest `last` messages, oldest first, without those of `before_turn`. `conn`: as in `state`."""
        async with self._db.tenant(tenant_id, conn) as conn:
            rows = await fetch_all(
                conn,
                """select id, role, text, created_at, extra from messages
                   where conversation_id = %s and (%s::text is null or turn_id is distinct from %s)
                   order by id desc limit %s""",
                (conversation_id, before_turn, before_turn, last),
            )
        return [Said(r["id"], r["role"], r["text"], r["created_at"], r["extra"]) for r in reversed(rows)]

    async def finish(
        self,
        identity: Identity,
        conversation_id: str,
        turn_id: str,
        *,
        text: str,
        language: str,
        extra: dict[str, Any],
        record: dict[str, Any],
        state: str,
        conn: Any,
        figures: Figures | None = None,
    ) -> str:
        """Write the answer and close the turn with its record, in `conn`'s transaction. Returns the message's id."""
        message_id, now = new_id("msg"), self._clock.now()
        await conn.execute(
            """insert into messages (id, tenant_id, conversation_id, turn_id, role, text, extra, created_at)
               values (%s, %s, %s, %s, 'assistant', %s, %s, %s)""",
            (message_id, identity.tenant_id, conversation_id, turn_id, text, json.dumps(extra, default=str), now),
        )
        await write_record(conn, turn_id, state, now, record, figures or Figures())
        await conn.execute(
            "update conversations set language = %s, updated_at = %s where id = %s", (language, now, conversation_id)
        )
        return message_id

    async def announce(
        self,
        tenant_id: str,
        conversation_id: str,
        text: str,
        extra: dict[str, Any] | None = None,
        *,
        keeps: dict[str, Any] | None = None,
        within: Connection | None = None,
    ) -> str:
        """Say something in a conversation outside a turn: the result of a job that ran in the background.

        `keeps`: what the conversation refers to from then on (its session, memory/session.py), beside what it has;
        whoever gives it holds the lock of the conversation, so that no turn writes over it. `within`: the caller's
        transaction, so that what is said and the note that it was said are one.
        """
        message_id = new_id("msg")
        async with self._db.tenant(tenant_id, within) as conn:
            await conn.execute(
                """insert into messages (id, tenant_id, conversation_id, turn_id, role, text, extra, created_at)
                   values (%s, %s, %s, null, 'assistant', %s, %s, %s)""",
                (message_id, tenant_id, conversation_id, text, json.dumps(extra or {}), self._clock.now()),
            )
            if keeps:
                await conn.execute(
                    """update conversations set session = session || %s::jsonb, session_version = session_version + 1
                       where id = %s""",
                    (json.dumps(keeps), conversation_id),
                )
        return message_id

    async def close_interrupted(self, tenant_id: str, older_than: timedelta, notice: str) -> int:
        """Turns whose process died: marked, and `notice` is said in their conversations, so that nobody waits."""
        limit = self._clock.now() - older_than
        async with self._db.tenant(tenant_id) as conn:
            rows = await fetch_all(
                conn,
                """update turns set state = 'interrupted', finished_at = %s
                   where state = 'running' and started_at < %s returning id, conversation_id""",
                (self._clock.now(), limit),
            )
            for row in rows:
                await conn.execute(
                    """insert into messages (id, tenant_id, conversation_id, turn_id, role, text, extra, created_at)
                       values (%s, %s, %s, %s, 'assistant', %s, '{}', %s)""",
                    (new_id("msg"), tenant_id, row["conversation_id"], row["id"], notice, self._clock.now()),
                )
        return len(rows)


def _title(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _TITLE_LENGTH else line[: _TITLE_LENGTH - 1] + "…"
