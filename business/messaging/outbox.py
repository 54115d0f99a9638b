"""What shall leave: every message is a row first, one for each wish, in the order of its conversation.

A row is put in the transaction that decides to say it, and leaves when that has committed (sending.py). What became of
it is written down by outcomes.py, the statuses that come back are joined to it by settling.py.
"""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import psycopg
import structlog
from psycopg.types.json import Jsonb

from business.messaging.changes import changed
from business.messaging.model import Author, Outgoing, Why
from business.messaging.templates import Filled, Purpose
from business.messaging.templates_store import words_of
from core.audit import audit
from core.clock import Clock
from core.db import Connection, Database, fetch_all, fetch_one
from core.errors import ArgumentsWrong, Refused
from core.ids import new_id
from core.jobs import Jobs
from core.permissions import Permissions, Rights
from core.tenancy import Identity
from integrations.whatsapp_cloud.messages import Content

log = structlog.get_logger(__name__)

SEND_CHAT = "send_chat"
"""The job that lets a conversation's rows leave: (tenant_id, chat_id)."""
OUR_FILE = "file_"
"""A media id that begins so is a file of ours (core/files.py): it is brought to the gateway right before it leaves."""
PAUSED = "channel_paused"
"""Why a row waits whose channel is paused, or has nobody who sends by it."""
COLD = frozenset({Purpose.FIRST_CONTACT, Purpose.CAMPAIGN})
"""Attempted once, whatever comes of it."""
_OUT_OF_DATE = tuple(one for one in Purpose if one not in (Purpose.NOTICE, Purpose.GOODBYE))


@dataclass(frozen=True)
class Draft:
    """A message that shall leave. The same `key` again is the same message, whatever else it says.

    `content` is what is said; None: the `template`. Its media may be files of ours (MediaRef(id=<file id>)). `text` is
    what one reads of it; "" is taken from the content. `answers`: how many messages of the contact it has taken into
    account; `segment`: the one in which it was begun; `superseded`: how many answers were thrown away before it in a
    row; `planned_at`: when a follow-up was planned; `until`: from when on it is of no use; `approved`: a person
    approved exactly this. `values`: for a template, should one be needed, beside those that are always known
    (claiming.Claiming); `language`: of it, "" for the conversation's. `reply_to`: the gateway's id of the message that
    is quoted.
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
    until: datetime | None = None
    approved: bool = False
    values: Mapping[str, str] = field(default_factory=dict)
    language: str = ""
    reply_to: str | None = None
    not_before: datetime | None = None


@dataclass(frozen=True)
class Alert:
    """Something that a person has to look at. `kind`: ask (a message waits for a decision), refused (it failed for
    good), unknown (nobody knows whether it left), number_stopped, template_refused. `why`: the reason as a sentence
    that is not said yet, None for none; `detail`: for the log; `key`: the same matter, once."""

    tenant_id: str
    chat_id: str
    outbox_id: str
    kind: str
    code: int
    detail: str
    key: str
    why: Why | None = None


Tell = Callable[[Connection, Alert], Awaitable[None]]
"""Tell somebody, in the transaction in which it happened."""


class Outbox:
    """The rows of all tenants; each call sees one tenant's. `conn` is the caller's transaction of the tenant."""

    def __init__(
        self, db: Database, clock: Clock, jobs: Jobs, permissions: Permissions, *, tell: Tell | None = None
    ) -> None:
        self._db = db
        self._clock = clock
        self._jobs = jobs
        self._permissions = permissions
        self._rights = Rights(permissions, "messaging", "messaging_not_allowed")
        self._tell = tell

    # --- wishes ------------------------------------------------------------------------------

    async def put(self, conn: Connection, tenant_id: str, chat_id: str, draft: Draft) -> str:
        """The id of the row, which is also in the conversation from now on ("queued"); it leaves after the commit.

        The same key twice is one row. ArgumentsWrong("chat_unknown").
        """
        now = self._clock.now()
        content, text = _said(draft)
        outbox_id, message_id = new_id("out"), new_id("msg")
        # The lock on the chat makes the order of the rows that of the commits.
        chat = await fetch_one(conn, "SELECT segment, channel_id FROM chats WHERE id = %s FOR NO KEY UPDATE", [chat_id])
        if chat is None:
            raise ArgumentsWrong("chat_unknown", f"no chat {chat_id!r}")
        found = await fetch_one(conn, "SELECT id FROM outbox WHERE key = %s", [draft.key])
        if found is not None:
            return str(found["id"])
        segment = draft.segment if draft.author == "bot" else chat["segment"]
        facts = _facts_of(draft)
        if draft.template is not None:  # what it says now, which is what whoever wants it has seen
            named = draft.template.template
            facts["template"]["words"] = await words_of(conn, chat["channel_id"], named.name, named.language)
        kept = await fetch_one(
            conn,
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
                "facts": Jsonb(facts),
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
        if kept is None:  # another transaction had the key in another chat a moment ago
            row = await fetch_one(conn, "SELECT id FROM outbox WHERE key = %s", [draft.key])
            assert row is not None
            return str(row["id"])
        await conn.execute("UPDATE chats SET last_at = greatest(last_at, %s) WHERE id = %s", [now, chat_id])
        await changed(conn, tenant_id, chat_id)
        await self.wake(conn, tenant_id, chat_id, at=draft.not_before)
        return outbox_id

    async def wake(self, conn: Connection | None, tenant_id: str, chat_id: str, at: datetime | None = None) -> None:
        """Have somebody look what may leave of this conversation, not before `at`."""
        # Jobs wait by the server's clock, so what is told them is how long from now.
        delay = (at - self._clock.now()).total_seconds() if at is not None else 0.0
        when = datetime.now(UTC) + timedelta(seconds=delay) if delay > 0.02 else None
        await self._jobs.defer(conn, SEND_CHAT, at=when, tenant_id=tenant_id, chat_id=chat_id)

    async def waiting(self, conn: Connection, prefix: str) -> dict[str, str]:
        """Key → id of what has not left and whose key begins so."""
        rows = await fetch_all(
            conn,
            "SELECT key, id FROM outbox WHERE state IN ('waiting', 'ask') AND starts_with(key, %s) ORDER BY seq",
            [prefix],
        )
        return {row["key"]: row["id"] for row in rows}

    # --- what never leaves -------------------------------------------------------------------

    async def drop(self, conn: Connection, chat_id: str, why: str, *, purposes: Sequence[Purpose] | None = None) -> int:
        """The bot's messages of this conversation that have not left never will: a person took over, the contact wrote
        again, opted out. `purposes`: only these; else all but what was agreed (a meeting's reminder) and the goodbye,
        of which the policy decides. One that is being sent in this moment leaves. Returns how many."""
        rows = await fetch_all(
            conn,
            """UPDATE outbox SET state = 'dropped', reason = %s, finished_at = %s
               WHERE chat_id = %s AND state IN ('waiting', 'ask') AND author = 'bot'
                 AND purpose = ANY(%s) RETURNING tenant_id, message_id""",
            [why, self._clock.now(), chat_id, [str(one) for one in purposes or _OUT_OF_DATE]],
        )
        if rows:
            await self._never_left(conn, [row["message_id"] for row in rows])
            await changed(conn, rows[0]["tenant_id"], chat_id)
        return len(rows)

    async def take_back(self, conn: Connection, outbox_id: str, why: str) -> bool:
        """This one never leaves, because what it speaks of is no longer so. False when it has left already."""
        row = await locked_row(conn, "o.id = %s", outbox_id)
        if row is None or row["state"] not in ("waiting", "ask"):
            return False
        await self.finish(conn, row, why)
        await changed(conn, row["tenant_id"], row["chat_id"])
        return True

    async def finish(
        self, conn: Connection, row: Mapping[str, Any], reason: str, *, decision: Mapping[str, Any] | None = None
    ) -> None:
        """This one never leaves, by the policy's word or a person's."""
        await conn.execute(
            """UPDATE outbox SET state = 'dropped', reason = %s, finished_at = %s, decision = coalesce(%s, decision)
               WHERE id = %s""",
            [reason, self._clock.now(), Jsonb(decision) if decision is not None else None, row["id"]],
        )
        await self._never_left(conn, [row["message_id"]])

    async def _never_left(self, conn: Connection, message_ids: Sequence[str]) -> None:
        await conn.execute(
            "UPDATE chat_messages SET status = 'dropped', status_at = %s WHERE id = ANY(%s)",
            [self._clock.now(), list(message_ids)],
        )

    # --- what is asked about anew ------------------------------------------------------------

    async def wake_channel(self, conn: Connection, tenant_id: str, channel_id: str) -> None:
        """Have everything asked about anew that waits on a channel: it was paused and works again, a template was
        approved."""
        rows = await fetch_all(
            conn,
            """UPDATE outbox o SET not_before = NULL, reason = '' FROM chats c
               WHERE c.tenant_id = o.tenant_id AND c.id = o.chat_id AND c.channel_id = %s AND o.state = 'waiting'
                 AND o.reason = %s RETURNING o.chat_id""",
            [channel_id, PAUSED],
        )
        for chat_id in sorted({row["chat_id"] for row in rows}):
            await self.wake(conn, tenant_id, chat_id)
        await self.reconsider(conn, tenant_id, channel_id, ("number", "template", "window"))

    async def reconsider(self, conn: Connection, tenant_id: str, channel_id: str, rules: Sequence[str]) -> int:
        """What waits for a person by one of these rules of the policy is asked about anew: a number works again, a
        template was approved. Returns how many."""
        rows = await fetch_all(
            conn,
            """UPDATE outbox o SET state = 'waiting', not_before = NULL FROM chats c
               WHERE c.tenant_id = o.tenant_id AND c.id = o.chat_id AND c.channel_id = %s AND o.state = 'ask'
                 AND o.decision->>'rule' = ANY(%s) RETURNING o.chat_id""",
            [channel_id, list(rules)],
        )
        for chat_id in sorted({row["chat_id"] for row in rows}):
            await self.wake(conn, tenant_id, chat_id)
        return len(rows)

    # --- what people decide ------------------------------------------------------------------

    async def tell(
        self,
        conn: Connection,
        row: Mapping[str, Any],
        kind: str,
        code: int = 0,
        detail: str = "",
        why: Why | None = None,
    ) -> None:
        """Somebody has to look."""
        log.warning("message_needs_a_person", outbox=row["id"], kind=kind, code=code)
        if self._tell is None:
            return
        about = {
            "number_stopped": row["channel_id"],
            "template_refused": row["template"] or row["id"],
            "ask": f"{row['chat_id']}:{row['facts'].get('answers', 0)}:{row['purpose']}",  # the parts of one answer
        }.get(kind, row["id"])
        key = f"{kind}:{about}:{code}"
        alert = Alert(row["tenant_id"], row["chat_id"], row["id"], kind, code, detail[:300], key, why)
        with contextlib.suppress(Broke):
            async with aside(conn, "alert_broke", row["id"]):
                await self._tell(conn, alert)

    async def resolve(self, who: Identity, outbox_id: str, choice: Literal["send", "drop"]) -> None:
        """A person decides about a row that waits for one, or whose outcome nobody knows: "send" (the policy is asked
        anew; what it only wanted a person for, this is) or "drop".

        Refused: messaging_not_allowed, message_not_waiting (it has left or was decided), message_needs_approver (first
        contacts and campaigns). ArgumentsWrong("message_unknown").
        """
        own = self._rights.writes(who)
        async with self._db.tenant(who.tenant_id) as conn:
            row = await locked_row(conn, "o.id = %s", outbox_id)
            if row is None or (own is not None and row["owner_id"] not in (None, own)):
                raise ArgumentsWrong("message_unknown", f"no message {outbox_id[:80]!r}")
            if row["state"] not in ("ask", "unknown"):
                raise Refused("message_not_waiting", f"it is {row['state']}")
            if choice == "drop":
                if row["state"] == "unknown":  # it may have left: nobody can take it back
                    await conn.execute(
                        "UPDATE outbox SET state = 'unknown', reason = 'given_up', finished_at = %s WHERE id = %s",
                        [self._clock.now(), row["id"]],
                    )
                else:
                    await self.finish(conn, row, "person")
            else:
                if row["once"] and not self._permissions.may_approve(who.role, "SEND", "messaging"):
                    raise Refused("message_needs_approver", f"{who.role} approves no first contacts")
                facts = row["facts"] | {"approved": True, "as_template": True}
                if "planned_at" in facts:  # with what the contact wrote until now
                    facts["planned_at"] = self._clock.now().isoformat()
                if "seen" in facts.get("template", {}):  # other words since: those they see now
                    facts["template"] = facts["template"] | {"words": facts["template"]["seen"]}
                await conn.execute(
                    """UPDATE outbox SET state = 'waiting', facts = %s, not_before = NULL, finished_at = NULL
                       WHERE id = %s""",
                    [Jsonb(facts), outbox_id],
                )
                await self.wake(conn, who.tenant_id, row["chat_id"])
            await changed(conn, who.tenant_id, row["chat_id"])
            await audit(conn, who, f"message.{choice}", outbox_id, {"was": row["state"]})

    async def blocks(self, who: Identity, channel_id: str | None = None) -> list[dict[str, Any]]:
        """What WhatsApp has refused and what that forbids now, the newest first: rows of message_blocks."""
        self._rights.reads(who)
        async with self._db.tenant(who.tenant_id) as conn:
            return await fetch_all(
                conn,
                """SELECT * FROM message_blocks WHERE lifted_at IS NULL AND (until IS NULL OR until > %s)
                   AND (%s::text IS NULL OR channel_id = %s) ORDER BY at DESC LIMIT 200""",
                [self._clock.now(), *[channel_id] * 2],
            )

    async def lift(self, who: Identity, channel_id: str, *, block_id: str | None = None) -> int:
        """Somebody has looked: what stopped a number, its app or its templates (or one block of any kind) stops them no
        more, and what waited for that is asked about anew. How many blocks. Refused("messaging_not_allowed")."""
        self._rights.writes_all(who)
        async with self._db.tenant(who.tenant_id) as conn:
            gone = await conn.execute(
                """UPDATE message_blocks SET lifted_at = %s WHERE lifted_at IS NULL AND channel_id = %s
                   AND (id = %s OR (%s::text IS NULL AND place IN ('number', 'app', 'template')))""",
                [self._clock.now(), channel_id, block_id, block_id],
            )
            await self.wake_channel(conn, who.tenant_id, channel_id)
            await audit(conn, who, "message.blocks_lifted", channel_id, {"blocks": gone.rowcount})
        return gone.rowcount


async def locked_row(conn: Connection, where: str, *values: object) -> dict[str, Any] | None:
    """A row with what is needed of its chat and channel. The chat is locked before the row is read for good."""
    join = "JOIN chats c ON c.tenant_id = o.tenant_id AND c.id = o.chat_id"
    found = await fetch_one(conn, f"SELECT o.id, o.chat_id FROM outbox o {join} WHERE {where} LIMIT 1", [*values])
    if found is None:
        return None
    await conn.execute("SELECT 1 FROM chats WHERE id = %s FOR NO KEY UPDATE", [found["chat_id"]])
    return await fetch_one(
        conn,
        f"""SELECT o.*, c.address, c.contact_id, c.channel_id, c.owner_id, n.provider FROM outbox o {join}
            JOIN channels n ON n.tenant_id = c.tenant_id AND n.id = c.channel_id WHERE o.id = %s""",
        [found["id"]],
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


def _facts_of(draft: Draft) -> dict[str, Any]:
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
    if draft.until is not None:
        facts["until"] = draft.until.isoformat()
    if draft.template is not None:
        facts["template"] = {
            "name": draft.template.template.name,
            "language": draft.template.template.language,
            "values": dict(draft.template.values),
        }
    return facts


def outgoing(row: Mapping[str, Any], template: Filled | None, values: Mapping[str, str], language: str) -> Outgoing:
    """The policy's question about a row. `values` and `language`: what is known of the conversation, beside the row's
    own."""
    facts = row["facts"]
    planned, until = facts.get("planned_at"), facts.get("until")
    return Outgoing(
        purpose=Purpose(row["purpose"]),
        author=row["author"],
        template=template,
        answers=facts.get("answers", 0),
        segment=facts.get("segment", 0),
        superseded=facts.get("superseded", 0),
        planned_at=datetime.fromisoformat(planned) if planned else None,
        until=datetime.fromisoformat(until) if until else None,
        approved=facts.get("approved", False),
        values={**values, **facts.get("values", {})},
        language=facts.get("language") or language,
    )


class Broke(Exception):
    """Something that others do about a message failed: undone, logged, and no reason to lose what became of it."""


@contextlib.asynccontextmanager
async def aside(conn: Connection, event: str, outbox_id: str) -> AsyncIterator[None]:
    """What others do about a message, in a savepoint. Broke when it fails."""
    try:
        async with conn.transaction():
            yield
    except psycopg.OperationalError:  # the database's own trouble: all of it is done again
        raise
    except Exception as error:
        log.exception(event, outbox=outbox_id)
        raise Broke from error
