"""What shall leave: every message is a row first, one for each wish, in the order of its conversation.

A row is put in the transaction that decides to say it, and leaves when that has committed (sending.py). Its id travels
with the message and comes back with its statuses; where a gateway has no room for it, the gateway's own id joins them.
"""

import contextlib
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import psycopg
import structlog
from psycopg.types.json import Jsonb

from business.messaging.arrivals import Echoed, Seen
from business.messaging.changes import changed
from business.messaging.failures import DAY, MARKETING_CAP, PAIR_RATE, Block, Where, consequence
from business.messaging.ledger import Ledger
from business.messaging.model import Author, Outgoing, Why
from business.messaging.sender_cloud import refusal_of
from business.messaging.senders import Refusal
from business.messaging.statuses import RANK, Progress, Status, joined, status_named
from business.messaging.templates import Filled, Purpose
from business.messaging.templates_store import words_of
from core.audit import audit
from core.clock import Clock
from core.db import Connection, Database
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
OWN_ECHO = timedelta(minutes=15)
"""How long after we sent it an echo may be of a message whose id we never learnt."""
REMEMBERED = timedelta(days=61)
"""How long a limit that is over is counted when it is met again."""
EARLY_KEPT = timedelta(days=8)
"""How long a status of nobody's is kept: WhatsApp repeats its webhooks for seven days."""
COLD = frozenset({Purpose.FIRST_CONTACT, Purpose.CAMPAIGN})
"""Attempted once, whatever comes of it."""


@dataclass(frozen=True)
class Draft:
    """A message that shall leave. The same `key` again is the same message, whatever else it says.

    `content` is what is said; None: the `template`. Its media may be files of ours (MediaRef(id=<file id>)). `text` is
    what one reads of it; "" is taken from the content. `answers`: how many messages of the contact it has taken into
    account; `segment`: the one in which it was begun; `superseded`: how many answers were thrown away before it in a
    row; `planned_at`: when a follow-up was planned; `until`: from when on it is of no use; `approved`: a person
    approved exactly this. `values`: for a template, should one be needed, beside those that are always known
    (sending.Sending); `language`: of it, "" for the conversation's. `reply_to`: the gateway's id of the message that is
    quoted.
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


@dataclass(frozen=True)
class Undelivered:
    """A message that its channel cannot bring to this person (not on WhatsApp, too old a version)."""

    tenant_id: str
    chat_id: str
    outbox_id: str
    contact_id: str | None
    address: str
    purpose: Purpose
    text: str
    author: Author
    code: int


Fallback = Callable[[Connection, Undelivered], Awaitable[str | None]]
"""Say it by another channel, by putting it into that chat's outbox (where the policy is asked as for everything): the
id of the row, or None when there is no other way or the account wants none. In the transaction of the refusal."""


class Outbox:
    """The rows of all tenants; each call sees one tenant's. `conn` is the caller's transaction of the tenant."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        jobs: Jobs,
        permissions: Permissions,
        *,
        tell: Tell | None = None,
        fallback: Fallback | None = None,
    ) -> None:
        self._db = db
        self._clock = clock
        self._jobs = jobs
        self._permissions = permissions
        self._rights = Rights(permissions, "messaging", "messaging_not_allowed")
        self._ledger = Ledger(jobs)
        self._tell = tell
        self._fallback = fallback

    async def put(self, conn: Connection, tenant_id: str, chat_id: str, draft: Draft) -> str:
        """The id of the row, which is also in the conversation from now on ("queued"); it leaves after the commit.

        The same key twice is one row. ArgumentsWrong("chat_unknown").
        """
        now = self._clock.now()
        content, text = _said(draft)
        outbox_id, message_id = new_id("out"), new_id("msg")
        # The lock on the chat makes the order of the rows that of the commits.
        chat = await _one(conn, "SELECT segment, channel_id FROM chats WHERE id = %s FOR NO KEY UPDATE", chat_id)
        if chat is None:
            raise ArgumentsWrong("chat_unknown", f"no chat {chat_id!r}")
        found = await _one(conn, "SELECT id FROM outbox WHERE key = %s", draft.key)
        if found is not None:
            return str(found["id"])
        segment = draft.segment if draft.author == "bot" else chat["segment"]
        facts = facts_of(draft)
        if draft.template is not None:  # what it says now, which is what whoever wants it has seen
            named = draft.template.template
            facts["template"]["words"] = await words_of(conn, chat["channel_id"], named.name, named.language)
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
        # Jobs wait by the server's clock, so what is told them is how long from now.
        delay = (at - self._clock.now()).total_seconds() if at is not None else 0.0
        when = datetime.now(UTC) + timedelta(seconds=delay) if delay > 0.02 else None
        await self._jobs.defer(conn, SEND_CHAT, at=when, tenant_id=tenant_id, chat_id=chat_id)

    async def drop(self, conn: Connection, chat_id: str, why: str, *, purposes: Sequence[Purpose] | None = None) -> int:
        """The bot's messages of this conversation that have not left never will: a person took over, the contact wrote
        again, opted out. `purposes`: only these; else all but what was agreed (a meeting's reminder) and the goodbye,
        of which the policy decides. One that is being sent in this moment leaves. Returns how many."""
        rows = await _all(
            conn,
            """UPDATE outbox SET state = 'dropped', reason = %s, finished_at = %s
               WHERE chat_id = %s AND state IN ('waiting', 'ask') AND author = 'bot'
                 AND purpose = ANY(%s) RETURNING tenant_id, message_id""",
            why,
            self._clock.now(),
            chat_id,
            [str(one) for one in purposes or _OUT_OF_DATE],
        )
        if rows:
            await self._never_left(conn, [row["message_id"] for row in rows])
            await changed(conn, rows[0]["tenant_id"], chat_id)
        return len(rows)

    async def waiting(self, conn: Connection, prefix: str) -> dict[str, str]:
        """Key → id of what has not left and whose key begins so."""
        rows = await _all(
            conn,
            "SELECT key, id FROM outbox WHERE state IN ('waiting', 'ask') AND starts_with(key, %s) ORDER BY seq",
            prefix,
        )
        return {row["key"]: row["id"] for row in rows}

    async def take_back(self, conn: Connection, outbox_id: str, why: str) -> bool:
        """This one never leaves, because what it speaks of is no longer so. False when it has left already."""
        row = await self._of_chat(conn, "o.id = %s", outbox_id)
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

    async def resolve(self, who: Identity, outbox_id: str, choice: Literal["send", "drop"]) -> None:
        """A person decides about a row that waits for one, or whose outcome nobody knows: "send" (the policy is asked
        anew; what it only wanted a person for, this is) or "drop".

        Refused: messaging_not_allowed, message_not_waiting (it has left or was decided), message_needs_approver (first
        contacts and campaigns). ArgumentsWrong("message_unknown").
        """
        own = self._rights.writes(who)
        async with self._db.tenant(who.tenant_id) as conn:
            row = await self._of_chat(conn, "o.id = %s", outbox_id)
            if row is None or (own is not None and row["owner_id"] not in (None, own)):
                raise ArgumentsWrong("message_unknown", f"no message {outbox_id[:80]!r}")
            if row["state"] not in ("ask", "unknown"):
                raise Refused("message_not_waiting", f"it is {row['state']}")
            if choice == "drop":
                if row["state"] == "unknown":  # it may have left: nobody can take it back
                    await self._end(conn, row, "unknown", "given_up")
                else:
                    await self.finish(conn, row, "person")
            else:
                if row["once"] and not self._permissions.may_approve(who.role, "SEND", "messaging"):
                    raise Refused("message_needs_approver", f"{who.role} approves no first contacts")
                facts = row["facts"] | {"approved": True, "as_template": True}
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

    async def reconsider(self, conn: Connection, tenant_id: str, channel_id: str, rules: Sequence[str]) -> int:
        """What waits for a person by one of these rules of the policy is asked about anew: a number works again, a
        template was approved. Returns how many."""
        rows = await _all(
            conn,
            """UPDATE outbox o SET state = 'waiting', not_before = NULL FROM chats c
               WHERE c.tenant_id = o.tenant_id AND c.id = o.chat_id AND c.channel_id = %s AND o.state = 'ask'
                 AND o.decision->>'rule' = ANY(%s) RETURNING o.chat_id""",
            channel_id,
            list(rules),
        )
        for chat_id in sorted({row["chat_id"] for row in rows}):
            await self.wake(conn, tenant_id, chat_id)
        return len(rows)

    async def blocks(self, who: Identity, channel_id: str | None = None) -> list[dict[str, Any]]:
        """What WhatsApp has refused and what that forbids now, the newest first: rows of message_blocks."""
        self._rights.reads(who)
        async with self._db.tenant(who.tenant_id) as conn:
            return await _all(
                conn,
                """SELECT * FROM message_blocks WHERE lifted_at IS NULL AND (until IS NULL OR until > %s)
                   AND (%s::text IS NULL OR channel_id = %s) ORDER BY at DESC LIMIT 200""",
                self._clock.now(),
                *[channel_id] * 2,
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

    async def wake_channel(self, conn: Connection, tenant_id: str, channel_id: str) -> None:
        """Have everything asked about anew that waits on a channel: it was paused and works again, a template was
        approved."""
        rows = await _all(
            conn,
            """UPDATE outbox o SET not_before = NULL, reason = '' FROM chats c
               WHERE c.tenant_id = o.tenant_id AND c.id = o.chat_id AND c.channel_id = %s AND o.state = 'waiting'
                 AND o.reason = %s RETURNING o.chat_id""",
            channel_id,
            PAUSED,
        )
        for chat_id in sorted({row["chat_id"] for row in rows}):
            await self.wake(conn, tenant_id, chat_id)
        await self.reconsider(conn, tenant_id, channel_id, ("number", "template", "window"))

    # --- what comes back ----------------------------------------------------------------------

    async def settle(self, conn: Connection, tenant_id: str, channel_id: str, seen: Seen) -> str | None:
        """Join a status to the message it is of; returns the chat's id. One that no row knows (yet) is kept, and joined
        when a row learns its id: None."""
        status = status_named(seen.status)
        if status is None:
            return None
        row = await self._found(conn, channel_id, seen)
        if row is None:
            at_app = await _one(
                conn,
                """SELECT m.id, m.chat_id FROM chat_messages m JOIN chats c USING (tenant_id)
                   WHERE m.external_id = %s AND m.direction = 'out' AND c.id = m.chat_id AND c.channel_id = %s""",
                seen.id,
                channel_id,
            )
            if at_app is not None:  # a person wrote it elsewhere: an echo, whose statuses come to us, too
                await self._join(conn, at_app["chat_id"], at_app["id"], status, seen.at, seen.code)
                await changed(conn, tenant_id, at_app["chat_id"])
                return str(at_app["chat_id"])
            await conn.execute(
                """INSERT INTO early_statuses (tenant_id, external_id, status, at, error, outbox_id, received_at)
                   VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING""",
                [tenant_id, seen.id, str(status), seen.at, seen.code, seen.callback, self._clock.now()],
            )
            await conn.execute("DELETE FROM early_statuses WHERE received_at < %s", [self._clock.now() - EARLY_KEPT])
            return None
        await self._told(conn, row, seen.id, status, seen.at, seen.code, seen.detail)
        await changed(conn, tenant_id, row["chat_id"])
        return str(row["chat_id"])

    async def adopt(self, conn: Connection, tenant_id: str, chat_id: str, echo: Echoed) -> bool:
        """Whether an echo is of a message that we sent ourselves: False when a person (or another tool) wrote it.

        Known by its id, or, while the answer to our own sending is still out (or was lost), by its words.
        """
        await conn.execute("SELECT 1 FROM chats WHERE id = %s FOR NO KEY UPDATE", [chat_id])
        if await _one(
            conn, "SELECT 1 FROM chat_messages WHERE chat_id = %s AND external_id = %s", chat_id, echo.id
        ) or await _one(conn, "SELECT 1 FROM outbox WHERE chat_id = %s AND external_id = %s", chat_id, echo.id):
            return True
        rows = await _all(
            conn,
            """SELECT o.id, m.text, m.kind FROM outbox o JOIN chat_messages m USING (tenant_id)
               WHERE m.id = o.message_id AND o.chat_id = %s AND o.external_id IS NULL AND o.attempts > 0
                 AND o.state IN ('claimed', 'unknown', 'waiting') AND o.claimed_at > %s ORDER BY o.seq""",
            chat_id,
            self._clock.now() - OWN_ECHO,
        )
        ours = next((row for row in rows if _same_words(row["text"], row["kind"], echo)), None)
        if ours is None:
            return False
        row = await self._of_chat(conn, "o.id = %s", ours["id"])
        assert row is not None
        await self._told(conn, row, echo.id, Status.SENT, echo.at, None, "")
        await changed(conn, tenant_id, chat_id)
        return True

    async def _found(self, conn: Connection, channel_id: str, seen: Seen) -> dict[str, Any] | None:
        """The row of a status, its chat locked: by our own id, if the gateway gives it back, else by the gateway's."""
        if seen.callback:
            row = await self._of_chat(conn, "o.id = %s AND c.channel_id = %s", seen.callback, channel_id)
            if row is not None:
                return row
        return await self._of_chat(conn, "o.external_id = %s AND c.channel_id = %s", seen.id, channel_id)

    async def _of_chat(self, conn: Connection, where: str, *values: object) -> dict[str, Any] | None:
        """A row with what is needed of its chat and channel. The chat is locked before the row is read for good."""
        join = "JOIN chats c ON c.tenant_id = o.tenant_id AND c.id = o.chat_id"
        found = await _one(conn, f"SELECT o.id, o.chat_id FROM outbox o {join} WHERE {where} LIMIT 1", *values)
        if found is None:
            return None
        await conn.execute("SELECT 1 FROM chats WHERE id = %s FOR NO KEY UPDATE", [found["chat_id"]])
        return await _one(
            conn,
            f"""SELECT o.*, c.address, c.contact_id, c.channel_id, c.owner_id, n.provider FROM outbox o {join}
                JOIN channels n ON n.tenant_id = c.tenant_id AND n.id = c.channel_id WHERE o.id = %s""",
            found["id"],
        )

    async def _told(
        self,
        conn: Connection,
        row: Mapping[str, Any],
        external_id: str,
        status: Status,
        at: datetime,
        code: int | None,
        detail: str,
    ) -> None:
        """A status of a row of ours, and what follows from it."""
        arrived = RANK[status] >= RANK[Status.DELIVERED]
        if row["external_id"] not in (None, external_id):
            # Of an earlier attempt, which was thought to have failed: there are two of them now.
            if arrived:
                await conn.execute("UPDATE chat_messages SET contradicted = true WHERE id = %s", [row["message_id"]])
                log.error("message_left_twice", outbox=row["id"], attempts=row["attempts"])
            return
        if row["attempts"] == 0:
            log.warning("status_of_unsent", outbox=row["id"], status=str(status))
            return
        if row["external_id"] is None or row["state"] in ("claimed", "unknown"):
            await self.left(conn, row, external_id)
            await self.wake(conn, row["tenant_id"], row["chat_id"])  # for those behind it
        progress = await self._join(conn, row["chat_id"], row["message_id"], status, at, code)
        if status is Status.FAILED and progress.status is Status.FAILED and row["state"] != "failed":
            refusal = _meaning(row["provider"], code, detail)
            await self.refused(conn, row, refusal, answered=False)
        elif arrived and row["state"] == "failed":
            await conn.execute("UPDATE outbox SET state = 'sent', reason = 'arrived' WHERE id = %s", [row["id"]])
            again = await _one(
                conn, "SELECT * FROM outbox WHERE key = %s AND state IN ('waiting', 'ask')", _again_key(row)
            )
            if again is not None:
                await self.finish(conn, again, "arrived")

    async def _join(
        self, conn: Connection, chat_id: str, message_id: str, status: Status, at: datetime, code: int | None
    ) -> Progress:
        await conn.execute("SELECT 1 FROM chats WHERE id = %s FOR NO KEY UPDATE", [chat_id])
        found = await _one(
            conn, "SELECT status, status_at, error, contradicted, at FROM chat_messages WHERE id = %s", message_id
        )
        assert found is not None
        before = status_named(found["status"] or "") or Status.QUEUED
        known = Progress(before, found["status_at"] or found["at"], found["error"], found["contradicted"])
        after = joined(known, status, at, code)
        if after != known:
            await conn.execute(
                "UPDATE chat_messages SET status = %s, status_at = %s, error = %s, contradicted = %s WHERE id = %s",
                [str(after.status), after.at, after.error, after.contradicted, message_id],
            )
        return after

    # --- what became of an attempt ------------------------------------------------------------

    async def left(self, conn: Connection, row: Mapping[str, Any], external_id: str) -> None:
        """The row left, and is known by this id from now on; what came early of it is joined by `early`."""
        now = self._clock.now()
        await conn.execute(
            """UPDATE outbox SET state = 'sent', external_id = %s, finished_at = %s, reason = '', error = NULL
               WHERE id = %s""",
            [external_id, now, row["id"]],
        )
        # An echo of it that was taken for a person's, because it came before we knew its id.
        await conn.execute(
            "DELETE FROM chat_messages WHERE chat_id = %s AND external_id = %s AND id <> %s",
            [row["chat_id"], external_id, row["message_id"]],
        )
        await conn.execute("UPDATE chat_messages SET external_id = %s WHERE id = %s", [external_id, row["message_id"]])
        answers = row["facts"].get("answers", 0) if row["purpose"] == Purpose.ANSWER else 0
        await conn.execute(
            """UPDATE chats SET answered_in = greatest(answered_in, least(%s, messages_in)),
                   entry_answered_at = coalesce(entry_answered_at, CASE WHEN entry_at IS NOT NULL THEN %s END),
                   goodbye_sent = goodbye_sent OR %s, superseded = CASE WHEN %s > 0 THEN 0 ELSE superseded END
               WHERE id = %s""",
            [answers, now, row["purpose"] == Purpose.GOODBYE, answers, row["chat_id"]],
        )

    async def accepted(self, conn: Connection, row: Mapping[str, Any], status: Status) -> None:
        """The gateway took it. That is not delivery."""
        await self._join(conn, row["chat_id"], row["message_id"], status, self._clock.now(), None)

    async def early(self, conn: Connection, row: Mapping[str, Any], external_id: str) -> None:
        """Join the statuses that came before the row knew its id."""
        rows = await _all(
            conn,
            "DELETE FROM early_statuses WHERE external_id = %s OR outbox_id = %s RETURNING *",
            external_id,
            row["id"],
        )
        for one in sorted(rows, key=lambda early: early["at"]):
            fresh = await self._of_chat(conn, "o.id = %s", row["id"])
            assert fresh is not None
            await self._told(conn, fresh, one["external_id"], Status(one["status"]), one["at"], one["error"], "")

    async def refused(
        self, conn: Connection, row: Mapping[str, Any], refusal: Refusal, *, answered: bool = True
    ) -> None:
        """What a refusal of this row leaves behind: blocks, a line of the ledger, people told, and the row's own fate.

        `answered`: the gateway refused at once, so nothing left and the same row may go again; else a status said so
        later, and what goes again is a row of its own. `row` as `_of_chat` gives it.
        """
        now = self._clock.now()
        times = row["attempts"] if refusal.action == "retry" else await self._times(conn, row, refusal, now)
        found = consequence(
            refusal.code,
            refusal.action,
            refusal.scope,
            now,
            wait=refusal.wait,
            sure=refusal.sure,
            marketing=refusal.marketing,
            times=max(times, 1),
            template=row["template"],
            once=row["once"],
        )
        if found.block is not None:
            await self._block(conn, row, found.block)
        if found.entry is not None:
            await self._ledger.write(
                conn,
                row["tenant_id"],
                found.entry,
                address=row["address"],
                contact_id=row["contact_id"],
                chat_id=row["chat_id"],
            )
        again_at = found.again_at
        stopped = found.block is not None and found.block.where in (Where.NUMBER, Where.APP, Where.TEMPLATE)
        if (found.as_template and not row["template"]) or (again_at is None and stopped):
            again_at = now  # the policy knows of the block: it finds another way, or asks a person
        if again_at is not None and not answered and row["once"] and refusal.action == "retry":
            again_at = None  # a first contact that failed for no reason may yet arrive: a person decides
        reason = refusal.text[:300] or refusal.action
        if again_at is not None and answered:
            await conn.execute(
                "UPDATE outbox SET state = 'waiting', not_before = %s, error = %s, reason = %s WHERE id = %s",
                [again_at, refusal.code or None, reason, row["id"]],
            )
            await self.wake(conn, row["tenant_id"], row["chat_id"], at=again_at)
            if found.tell:
                await self.tell(conn, row, _kind(refusal), refusal.code, reason, _why(refusal))
            return
        await conn.execute(
            "UPDATE outbox SET state = 'failed', error = %s, reason = %s, finished_at = %s WHERE id = %s",
            [refusal.code or None, reason, now, row["id"]],
        )
        if answered:
            await self._join(conn, row["chat_id"], row["message_id"], Status.FAILED, now, refusal.code or None)
        if again_at is not None:
            await self._again(conn, row, again_at)
            if found.tell:
                await self.tell(conn, row, _kind(refusal), refusal.code, reason, _why(refusal))
        elif await self.undeliverable(conn, row, refusal):
            return
        elif found.tell or answered:
            await self.tell(conn, row, _kind(refusal), refusal.code, reason, _why(refusal))

    async def undeliverable(self, conn: Connection, row: Mapping[str, Any], refusal: Refusal) -> bool:
        """Whether another channel says it instead, because this one cannot reach the person."""
        if self._fallback is None or refusal.action != "stop_contact" or refusal.marketing:
            return False
        text = await _one(conn, "SELECT text FROM chat_messages WHERE id = %s", row["message_id"])
        lost = Undelivered(
            row["tenant_id"],
            row["chat_id"],
            row["id"],
            row["contact_id"],
            row["address"],
            Purpose(row["purpose"]),
            text["text"] if text else "",
            row["author"],
            refusal.code,
        )
        found = None
        with contextlib.suppress(_Broke):
            async with _aside(conn, "fallback_broke", row["id"]):
                found = await self._fallback(conn, lost)
        if found is None:
            return False
        await conn.execute("UPDATE outbox SET reason = %s WHERE id = %s", [f"fallback:{found}", row["id"]])
        return True

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
        with contextlib.suppress(_Broke):
            async with _aside(conn, "alert_broke", row["id"]):
                await self._tell(conn, alert)

    async def _again(self, conn: Connection, row: Mapping[str, Any], at: datetime) -> None:
        """The same wish once more as a row and a message of its own: the first one stays failed in the conversation."""
        message = await _one(conn, "SELECT * FROM chat_messages WHERE id = %s", row["message_id"])
        assert message is not None
        now, message_id = self._clock.now(), new_id("msg")
        async with conn.transaction():
            added = await conn.execute(
                """INSERT INTO chat_messages (tenant_id, id, chat_id, direction, author, author_id, kind, text, content,
                                              reply_to, at, received_at, segment, turn_id, status, status_at)
                   SELECT tenant_id, %(new)s, chat_id, direction, author, author_id, kind, text, content, reply_to,
                          %(now)s, %(now)s, segment, turn_id, 'queued', %(now)s
                   FROM chat_messages WHERE id = %(old)s
                     AND NOT EXISTS (SELECT FROM outbox WHERE key = %(key)s)""",
                {"new": message_id, "now": now, "old": row["message_id"], "key": _again_key(row)},
            )
            if not added.rowcount:
                return
            await conn.execute(
                """INSERT INTO outbox (tenant_id, id, chat_id, message_id, key, content, purpose, author, once, facts,
                                       reply_to, attempts, not_before, template, created_at)
                   SELECT tenant_id, %s, chat_id, %s, %s, content, purpose, author, once, facts, reply_to, attempts,
                          %s, CASE WHEN facts ? 'template' THEN template ELSE '' END, %s FROM outbox WHERE id = %s""",
                [new_id("out"), message_id, _again_key(row), at, now, row["id"]],
            )
        await self.wake(conn, row["tenant_id"], row["chat_id"], at=at)

    async def _times(self, conn: Connection, row: Mapping[str, Any], refusal: Refusal, now: datetime) -> int:
        """How often this limit was met lately, this time included."""
        span = {MARKETING_CAP: timedelta(days=60), PAIR_RATE: timedelta(hours=1)}.get(refusal.code, DAY)
        found = await _one(
            conn,
            """SELECT count(*) AS times FROM message_blocks WHERE code = %s AND at > %s AND lifted_at IS NULL
               AND channel_id = %s AND (address IS NULL OR address = %s)""",
            refusal.code,
            now - span,
            row["channel_id"],
            row["address"],
        )
        return int(found["times"]) + 1 if found else 1

    async def _block(self, conn: Connection, row: Mapping[str, Any], block: Block) -> None:
        of_person = block.where in (Where.PAIR, Where.CONTACT)
        await conn.execute(
            "UPDATE message_blocks SET lifted_at = until WHERE lifted_at IS NULL AND until < %s",
            [block.at - REMEMBERED],
        )
        await conn.execute(
            """INSERT INTO message_blocks
                   (tenant_id, id, place, channel_id, address, name, covers, code, at, until)
               VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)""",
            [
                row["tenant_id"], new_id("block"), str(block.where), row["channel_id"],
                row["address"] if of_person else None, block.name, block.covers, block.code, block.at, block.until,
            ],
        )  # fmt: skip

    async def _end(self, conn: Connection, row: Mapping[str, Any], state: str, reason: str) -> None:
        await conn.execute(
            "UPDATE outbox SET state = %s, reason = %s, finished_at = %s WHERE id = %s",
            [state, reason, self._clock.now(), row["id"]],
        )

    async def _never_left(self, conn: Connection, message_ids: Sequence[str]) -> None:
        await conn.execute(
            "UPDATE chat_messages SET status = 'dropped', status_at = %s WHERE id = ANY(%s)",
            [self._clock.now(), list(message_ids)],
        )


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


class _Broke(Exception):
    """Something that others do about a message failed: undone, logged, and no reason to lose what became of it."""


@contextlib.asynccontextmanager
async def _aside(conn: Connection, event: str, outbox_id: str) -> AsyncIterator[None]:
    try:
        async with conn.transaction():
            yield
    except psycopg.OperationalError:  # the database's own trouble: all of it is done again
        raise
    except Exception as error:
        log.exception(event, outbox=outbox_id)
        raise _Broke from error


_OUT_OF_DATE = tuple(one for one in Purpose if one not in (Purpose.NOTICE, Purpose.GOODBYE))


def _again_key(row: Mapping[str, Any]) -> str:
    return f"{row['key']}~{row['attempts']}"


def _meaning(provider: str, code: int | None, detail: str) -> Refusal:
    """What the code of a status means; other gateways than WhatsApp's own have none of their own."""
    if provider == "whatsapp_cloud" and code is not None:
        return refusal_of(code, detail)
    return Refusal(code or 0, "fix", "message", text=detail)


def _kind(refusal: Refusal) -> str:
    if refusal.action == "stop_number":
        return "number_stopped"
    return "template_refused" if refusal.scope == "template" else "refused"


def _why(refusal: Refusal) -> Why | None:
    if not refusal.sentence:
        return None
    return Why(refusal.sentence, {"detail": refusal.text, "trace": "", "wait": math.ceil((refusal.wait or 0) / 60)})


def _same_words(text: str, kind: str, echo: Echoed) -> bool:
    ours, theirs = " ".join(text.split()), " ".join(echo.text.split())
    return ours in theirs if ours else not theirs and kind == echo.kind


async def _one(conn: Connection, query: str, *values: object) -> dict[str, Any] | None:
    return await (await conn.execute(query.encode(), values)).fetchone()


async def _all(conn: Connection, query: str, *values: object) -> list[dict[str, Any]]:
    return await (await conn.execute(query.encode(), values)).fetchall()
