"""A conversation with a person outside, and what was said and noted in it: rows of `chats` and `chat_messages` as
records, for whoever is in a transaction already. What people of ours may see and do of them is chats.py's.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from business.messaging.attention import Attention, Held
from business.messaging.changes import changed
from business.messaging.channels import Channel
from business.messaging.opening import open_row
from core import formats
from core.db import Connection, fetch_all, fetch_one
from core.errors import Refused
from core.ids import new_id


@dataclass(frozen=True)
class Chat:
    """A conversation. For the meaning of each field see migrations/0016_messaging.sql."""

    tenant_id: str
    id: str
    channel_id: str
    address: str
    user_id: str | None
    name: str
    contact_id: str | None
    company_id: str | None
    deal_id: str | None
    owner_id: str | None
    held: str
    held_since: datetime | None
    held_by: str | None
    segment: int
    language: str
    place: str
    referral: Mapping[str, Any] | None
    entry_at: datetime | None
    entry_answered_at: datetime | None
    last_from_contact: datetime | None
    last_received_at: datetime | None
    last_at: datetime
    messages_in: int
    answered_in: int
    waiting_since: datetime | None
    due_at: datetime | None
    superseded: int
    unread: int
    goodbye_sent: bool
    session: Mapping[str, Any]
    session_version: int
    summary: str
    tags: tuple[str, ...]
    closed_at: datetime | None
    version: int
    created_at: datetime

    @property
    def attention(self) -> Attention:
        return Attention(Held(self.held), self.held_since, self.held_by, self.segment)


@dataclass(frozen=True)
class Message:
    """Something that was said, or a note of ours. `seq` orders them; `media` is a row of chat_media, None without."""

    id: str
    chat_id: str
    seq: int
    direction: str
    author: str
    author_id: str | None
    kind: str
    text: str
    content: Mapping[str, Any]
    external_id: str | None
    reply_to: str | None
    media_id: str | None
    at: datetime
    received_at: datetime
    segment: int
    turn_id: str | None
    status: str | None
    status_at: datetime | None
    error: int | None
    contradicted: bool
    edited_at: datetime | None
    revoked_at: datetime | None
    reaction: str
    media: Mapping[str, Any] | None = None
    reason: str = ""
    """Of a message that did not leave: the outbox's word for why."""


_CHAT = tuple(one.name for one in fields(Chat))
_MESSAGE = tuple(one.name for one in fields(Message) if one.name not in ("media", "reason"))
COLUMNS = ", ".join(f"c.{name}" for name in _CHAT)
_OF_MESSAGE = ", ".join(f"m.{name}" for name in _MESSAGE)
MESSAGES = f"""SELECT {_OF_MESSAGE}, to_jsonb(f) AS media, coalesce(o.reason, '') AS reason
    FROM chat_messages m LEFT JOIN chat_media f ON f.tenant_id = m.tenant_id AND f.id = m.media_id
    LEFT JOIN outbox o ON o.tenant_id = m.tenant_id AND o.message_id = m.id"""


def as_chat(row: Mapping[str, Any]) -> Chat:
    return Chat(**{**{name: row[name] for name in _CHAT}, "tags": tuple(row["tags"])})


def as_message(row: Mapping[str, Any]) -> Message:
    return Message(**{**{name: row[name] for name in _MESSAGE}, "media": row["media"], "reason": row["reason"]})


def as_written(address: str) -> str:
    """A conversation's address for people to read: a telephone as they write it, an e-mail address as it is; "" for an
    id that says nothing to anybody."""
    if re.fullmatch(r"\+?\d{8,15}", address):
        return formats.phone(f"+{address.lstrip('+')}")
    return address if "@" in address and not address.endswith("@lid") else ""


async def chat_of(conn: Connection, chat_id: str, *, lock: bool = False) -> Chat:
    """Refused("chat_unknown"). `lock`: keep it from changing to the end of the transaction."""
    query = f"SELECT {COLUMNS} FROM chats c WHERE c.id = %s" + (" FOR UPDATE" if lock else "")
    row = await fetch_one(conn, query, [chat_id])
    if row is None:
        raise Refused("chat_unknown", f"no conversation {chat_id[:80]!r}")
    return as_chat(row)


async def recent(conn: Connection, chat_id: str, limit: int = 30, *, before: int | None = None) -> list[Message]:
    """The newest messages and notes, oldest first. `before`: only those whose seq is smaller."""
    query = f"""{MESSAGES} WHERE m.chat_id = %s AND (%s::bigint IS NULL OR m.seq < %s)
                ORDER BY m.seq DESC LIMIT %s"""
    rows = await fetch_all(conn, query, [chat_id, before, before, limit])
    return [as_message(row) for row in reversed(rows)]


async def open_chat(
    conn: Connection, tenant_id: str, channel: Channel, address: str, *, name: str = "", at: datetime, **of: Any
) -> Chat:
    """The conversation with `address` on `channel`, made when there is none: for whoever writes first.

    `of`: contact_id, company_id, deal_id, owner_id, user_id, language, place; set where they are not known yet.
    """
    return as_chat(await open_row(conn, tenant_id, channel, address, name=name, at=at, of=of))


async def write_note(
    conn: Connection,
    chat: Chat,
    text: str,
    at: datetime,
    *,
    author_id: str | None = None,
    content: Mapping[str, Any] | None = None,
) -> Message:
    """A line for people of ours in the conversation: a note (`author_id`), or what the system did (without)."""
    message_id = new_id("msg")
    await conn.execute(
        """INSERT INTO chat_messages (tenant_id, id, chat_id, direction, author, author_id, kind, text, content, at,
           received_at, segment) VALUES (%s, %s, %s, 'note', %s, %s, 'note', %s, %s, %s, %s, %s)""",
        [
            chat.tenant_id, message_id, chat.id, "person" if author_id else "system", author_id, text,
            Jsonb(dict(content or {})), at, at, chat.segment,
        ],
    )  # fmt: skip
    await changed(conn, chat.tenant_id, chat.id)
    row = await fetch_one(conn, f"{MESSAGES} WHERE m.id = %s", [message_id])
    assert row is not None
    return as_message(row)
