"""What shall leave: every message is a row first, one for each wish, in the order of its conversation.

A row is put in the transaction that decides to say it, and leaves when that has committed (sending.py). Its id travels
with the message and comes back with its statuses; where a gateway has no room for it, the gateway's own id joins them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from business.messaging.arrivals import Echoed, Seen
from business.messaging.changes import changed
from business.messaging.model import Author, Outgoing
from business.messaging.templates import Filled, Purpose
from core.clock import Clock
from core.db import Connection, Database
from core.errors import ArgumentsWrong
from core.ids import new_id
from core.jobs import Jobs
from core.permissions import Permissions, Rights
from core.tenancy import Identity
from integrations.whatsapp_cloud.messages import Content

SEND_CHAT = "send_chat"
"""The job that lets a conversation's rows leave: (tenant_id, chat_id)."""
OUR_FILE = "file_"
"""A media id that begins so is a file of ours (core/files.py): it is brought to the gateway right before it leaves."""
COLD = frozenset({Purpose.FIRST_CONTACT, Purpose.CAMPAIGN})
"""Attempted once, whatever comes of it."""


@dataclass(frozen=True)
class Draft:
    """A message that shall leave. The same `key` again is the same message, whatever else it says.

    `content` is what is said; None: the `template`. Its media may be files of ours (MediaRef(id=<file id>)). `text` is
    what one reads of it; "" is taken from the content. `answers`: how many messages of the contact it has taken into
    account; `segment`: the one in which it was begun; `superseded`: how many answers were thrown away before it in a
    row; `planned_at`: when a follow-up was planned; `approved`: a person approved exactly this. `values`: for a
    template, should one be needed, beside those that are always known (sending.Sending). `reply_to`: the gateway's id
    of the message that is quoted.
    """

    purpose: Purpose
    key: str
    content: Content | None = None
    template: Filled | None = None
    text: str = ""
    author: Author = "bot"
    author_id: str | None = None
    turn_id: str | None = None
    answers: int = 0
    segment: int = 0
    superseded: int = 0
    planned_at: datetime | None = None
    approved: bool = False
    values: Mapping[str, str] = field(default_factory=dict)
    language: str = "pt_BR"
    reply_to: str | None = None
    not_before: datetime | None = None


class Outbox:
    """The rows of all tenants; each call sees one tenant's. `conn` is the caller's transaction of the tenant."""

    def __init__(self, db: Database, clock: Clock, jobs: Jobs, permissions: Permissions) -> None:
        self._db = db
        self._clock = clock
        self._jobs = jobs
        self._rights = Rights(permissions, "messaging", "messaging_not_allowed")

    async def put(self, conn: Connection, tenant_id: str, chat_id: str, draft: Draft) -> str:
        """The id of the row, which is also in the conversation from now on ("queued"); it leaves after the commit.

        The same key twice is one row. ArgumentsWrong("chat_unknown").
        """
        now = self._clock.now()
        content, text = _said(draft)
        outbox_id, message_id = new_id("out"), new_id("msg")
        # The lock on the chat makes the order of the rows that of the commits.
        chat = await _one(conn, "SELECT segment FROM chats WHERE id = %s FOR NO KEY UPDATE", chat_id)
        if chat is None:
            raise ArgumentsWrong("chat_unknown", f"no chat {chat_id!r}")
        found = await _one(conn, "SELECT id FROM outbox WHERE key = %s", draft.key)
        if found is not None:
            return str(found["id"])
        segment = draft.segment if draft.author == "bot" else chat["segment"]
        kept = await (
            await conn.execute(
                """WITH wish AS (
                       INSERT INTO outbox (tenant_id, id, chat_id, message_id, key, content, purpose, author, once,
                                           facts, reply_to, not_before, template, created_at)
                       VALUES (%(tenant)s, %(id)s, %(chat)s, %(message)s, %(key)s, %(content)s, %(purpose)s,
                               %(author)s, %(once)s, %(facts)s, %(reply_to)s, %(not_before)s, %(template)s, %(now)s)
                       ON CONFLICT (tenant_id, key) DO NOTHING RETURNING id
                   )
                   INSERT INTO chat_messages (tenant_id, id, chat_id, direction, author, author_id, kind, text, content,
                                              reply_to, at, received_at, segment, turn_id, status, status_at)
                   SELECT %(tenant)s, %(message)s, %(chat)s, 'out', %(author)s, %(author_id)s, %(kind)s, %(text)s,
                          %(content)s, %(reply_to)s, %(now)s, %(now)s, %(segment)s, %(turn)s, 'queued', %(now)s
                   FROM wish RETURNING id""",
                {
                    "tenant": tenant_id,
                    "id": outbox_id,
                    "chat": chat_id,
                    "message": message_id,
                    "key": draft.key,
                    "content": Jsonb(content),
                    "purpose": str(draft.purpose),
                    "author": draft.author,
                    "author_id": draft.author_id,
                    "once": draft.purpose in COLD,
                    "facts": Jsonb(facts_of(draft)),
                    "reply_to": draft.reply_to,
                    "not_before": draft.not_before,
                    "template": draft.template.template.name if draft.template else "",
                    "now": now,
                    "kind": content.get("type", "template"),
                    "text": text,
                    "segment": segment,
                    "turn": draft.turn_id,
                },
            )
        ).fetchone()
        if kept is None:  # another transaction had the key in another chat a moment ago
            row = await _one(conn, "SELECT id FROM outbox WHERE key = %s", draft.key)
            assert row is not None
            return str(row["id"])
        await conn.execute("UPDATE chats SET last_at = greatest(last_at, %s) WHERE id = %s", [now, chat_id])
        await changed(conn, tenant_id, chat_id)
        await self.wake(conn, tenant_id, chat_id, at=draft.not_before)
        return outbox_id

    async def wake(self, conn: Connection | None, tenant_id: str, chat_id: str, at: datetime | None = None) -> None:
        """Have somebody look what may leave of this conversation, not before `at`."""
        await self._jobs.defer(conn, SEND_CHAT, at=at, tenant_id=tenant_id, chat_id=chat_id)

    async def drop(
        self, conn: Connection, tenant_id: str, chat_id: str, why: str, *, purposes: Sequence[Purpose] | None = None
    ) -> int:
        """The bot's messages of this conversation that have not left never will: a person took over, the contact wrote
        again, opted out. `purposes`: only these. One that is being sent in this moment leaves. Returns how many."""
        rows = await (
            await conn.execute(
                """UPDATE outbox SET state = 'dropped', reason = %s, finished_at = %s
                   WHERE chat_id = %s AND state IN ('waiting', 'ask') AND author = 'bot'
                     AND (%s::text[] IS NULL OR purpose = ANY(%s)) RETURNING message_id""",
                [why, self._clock.now(), chat_id, *([[str(one) for one in purposes] if purposes else None] * 2)],
            )
        ).fetchall()
        if rows:
            await conn.execute(
                "UPDATE chat_messages SET status = 'dropped', status_at = %s WHERE id = ANY(%s)",
                [self._clock.now(), [row["message_id"] for row in rows]],
            )
            await changed(conn, tenant_id, chat_id)
        return len(rows)

    async def settle(self, conn: Connection, tenant_id: str, channel_id: str, seen: Seen) -> str | None:
        """Join a status to the message it is of; returns the chat's id. One that no row knows (yet) is kept, and joined
        when a row learns its id: None."""
        raise NotImplementedError

    async def adopt(self, conn: Connection, tenant_id: str, chat_id: str, echo: Echoed) -> bool:
        """Whether an echo is of a message that we sent ourselves: False when a person (or another tool) wrote it."""
        raise NotImplementedError

    async def resolve(self, who: Identity, outbox_id: str, choice: str) -> None:
        """A person decides about a row that waits for one: "send" (asked again, as approved) or "drop"."""
        raise NotImplementedError


def facts_of(draft: Draft) -> dict[str, Any]:
    """What policy.Outgoing wants to know later, as JSON values."""
    facts: dict[str, Any] = {
        "answers": draft.answers,
        "segment": draft.segment,
        "superseded": draft.superseded,
        "approved": draft.approved,
        "values": dict(draft.values),
        "language": draft.language,
    }
    if draft.planned_at is not None:
        facts["planned_at"] = draft.planned_at.isoformat()
    if draft.template is not None:
        facts["template"] = {
            "name": draft.template.template.name,
            "language": draft.template.template.language,
            "values": dict(draft.template.values),
        }
    return facts


def outgoing(row: Mapping[str, Any], template: Filled | None) -> Outgoing:
    """The policy's question about a row."""
    facts = row["facts"]
    planned = facts.get("planned_at")
    return Outgoing(
        purpose=Purpose(row["purpose"]),
        author=row["author"],
        template=template,
        answers=facts.get("answers", 0),
        segment=facts.get("segment", 0),
        superseded=facts.get("superseded", 0),
        planned_at=datetime.fromisoformat(planned) if planned else None,
        approved=facts.get("approved", False),
        values=facts.get("values", {}),
        language=facts.get("language", "pt_BR"),
    )


def _said(draft: Draft) -> tuple[dict[str, Any], str]:
    """The content as JSON, and what one reads of it. Of a template the content is made when it leaves."""
    if draft.template is not None:
        return {"type": "template"}, draft.text or draft.template.text
    if draft.content is None:
        raise ValueError("a draft says something: content or template")
    return draft.content.as_json(), draft.text or reads(draft.content)


def reads(content: Content) -> str:
    """What one reads of a content: the body, the caption, the name of a place; "" for a file without words."""
    payload = content.payload
    if content.kind == "contacts":
        return ", ".join(str(card["name"]["formatted_name"]) for card in payload)
    if content.kind == "interactive":
        return str(payload["body"]["text"])
    if content.kind == "reaction":
        return str(payload["emoji"])
    for name in ("body", "caption", "name", "filename"):
        if payload.get(name):
            return str(payload[name])
    return ""


async def _one(conn: Connection, query: str, *values: object) -> dict[str, Any] | None:
    return await (await conn.execute(query.encode(), values)).fetchone()
