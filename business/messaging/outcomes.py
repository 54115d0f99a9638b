"""What became of an attempt to send a row: it left, it was refused, it cannot reach the person by its channel, nobody
knows.

A refusal leaves more behind than the row's own fate: what is forbidden from then on (failures.py), a line of the
ledger, the same wish once more, another channel, somebody told.
"""

import contextlib
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from business.messaging.failures import DAY, MARKETING_CAP, PAIR_RATE, Block, Where, consequence
from business.messaging.ledger import Ledger
from business.messaging.model import Author, Why
from business.messaging.outbox import Broke, Outbox, aside
from business.messaging.senders import Refusal
from business.messaging.statuses import Progress, Status, joined, status_named
from business.messaging.templates import Purpose
from core.clock import Clock
from core.db import Connection, fetch_one
from core.ids import new_id

UNKNOWN_HOLDS = timedelta(seconds=20)
"""How long those behind wait for a word of a message of which nobody knows whether it left; statuses take seconds."""
UNKNOWN_TOLD = timedelta(minutes=3)
"""After that a person is told."""
REMEMBERED = timedelta(days=61)
"""How long a limit that is over is counted when it is met again."""


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


class Outcomes:
    """`row`: of the outbox, with what is needed of its chat and channel (outbox.locked_row). `conn` is the caller's
    transaction of the tenant."""

    def __init__(self, outbox: Outbox, clock: Clock, ledger: Ledger, *, fallback: Fallback | None = None) -> None:
        self._outbox = outbox
        self._clock = clock
        self._ledger = ledger
        self._fallback = fallback

    async def left(self, conn: Connection, row: Mapping[str, Any], external_id: str) -> None:
        """The row left, and is known by this id from now on; what came early of it is joined by settling.early."""
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
        await join_status(conn, row["chat_id"], row["message_id"], status, self._clock.now(), None)

    async def unknown(self, conn: Connection, row: Mapping[str, Any], why: str) -> None:
        """Nobody knows whether it left: a status tells, or a person decides."""
        await conn.execute("UPDATE outbox SET state = 'unknown', reason = %s WHERE id = %s", [why[:300], row["id"]])
        for wait in (UNKNOWN_HOLDS, UNKNOWN_TOLD):
            await self._outbox.wake(conn, row["tenant_id"], row["chat_id"], at=row["claimed_at"] + wait)

    async def refused(
        self, conn: Connection, row: Mapping[str, Any], refusal: Refusal, *, answered: bool = True
    ) -> None:
        """What a refusal of this row leaves behind: blocks, a line of the ledger, people told, and the row's own fate.

        `answered`: the gateway refused at once, so nothing left and the same row may go again; else a status said so
        later, and what goes again is a row of its own.
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
            await self._outbox.wake(conn, row["tenant_id"], row["chat_id"], at=again_at)
            if found.tell:
                await self._outbox.tell(conn, row, _kind(refusal), refusal.code, reason, _why(refusal))
            return
        await conn.execute(
            "UPDATE outbox SET state = 'failed', error = %s, reason = %s, finished_at = %s WHERE id = %s",
            [refusal.code or None, reason, now, row["id"]],
        )
        if answered:
            await join_status(conn, row["chat_id"], row["message_id"], Status.FAILED, now, refusal.code or None)
        if again_at is not None:
            await self._again(conn, row, again_at)
            if found.tell:
                await self._outbox.tell(conn, row, _kind(refusal), refusal.code, reason, _why(refusal))
        elif await self.undeliverable(conn, row, refusal):
            return
        elif found.tell or answered:
            await self._outbox.tell(conn, row, _kind(refusal), refusal.code, reason, _why(refusal))

    async def undeliverable(self, conn: Connection, row: Mapping[str, Any], refusal: Refusal) -> bool:
        """Whether another channel says it instead, because this one cannot reach the person."""
        if self._fallback is None or refusal.action != "stop_contact" or refusal.marketing:
            return False
        text = await fetch_one(conn, "SELECT text FROM chat_messages WHERE id = %s", [row["message_id"]])
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
        with contextlib.suppress(Broke):
            async with aside(conn, "fallback_broke", row["id"]):
                found = await self._fallback(conn, lost)
        if found is None:
            return False
        await conn.execute("UPDATE outbox SET reason = %s WHERE id = %s", [f"fallback:{found}", row["id"]])
        return True

    async def _again(self, conn: Connection, row: Mapping[str, Any], at: datetime) -> None:
        """The same wish once more as a row and a message of its own: the first one stays failed in the conversation."""
        message = await fetch_one(conn, "SELECT * FROM chat_messages WHERE id = %s", [row["message_id"]])
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
                {"new": message_id, "now": now, "old": row["message_id"], "key": again_key(row)},
            )
            if not added.rowcount:
                return
            await conn.execute(
                """INSERT INTO outbox (tenant_id, id, chat_id, message_id, key, content, purpose, author, once, facts,
                                       reply_to, attempts, not_before, template, created_at)
                   SELECT tenant_id, %s, chat_id, %s, %s, content, purpose, author, once, facts, reply_to, attempts,
                          %s, CASE WHEN facts ? 'template' THEN template ELSE '' END, %s FROM outbox WHERE id = %s""",
                [new_id("out"), message_id, again_key(row), at, now, row["id"]],
            )
        await self._outbox.wake(conn, row["tenant_id"], row["chat_id"], at=at)

    async def _times(self, conn: Connection, row: Mapping[str, Any], refusal: Refusal, now: datetime) -> int:
        """How often this limit was met lately, this time included."""
        span = {MARKETING_CAP: timedelta(days=60), PAIR_RATE: timedelta(hours=1)}.get(refusal.code, DAY)
        found = await fetch_one(
            conn,
            """SELECT count(*) AS times FROM message_blocks WHERE code = %s AND at > %s AND lifted_at IS NULL
               AND channel_id = %s AND (address IS NULL OR address = %s)""",
            [refusal.code, now - span, row["channel_id"], row["address"]],
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


async def join_status(
    conn: Connection, chat_id: str, message_id: str, status: Status, at: datetime, code: int | None
) -> Progress:
    await conn.execute("SELECT 1 FROM chats WHERE id = %s FOR NO KEY UPDATE", [chat_id])
    found = await fetch_one(
        conn, "SELECT status, status_at, error, contradicted, at FROM chat_messages WHERE id = %s", [message_id]
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


def again_key(row: Mapping[str, Any]) -> str:
    """Of the row that says the same wish once more."""
    return f"{row['key']}~{row['attempts']}"


def _kind(refusal: Refusal) -> str:
    if refusal.action == "stop_number":
        return "number_stopped"
    return "template_refused" if refusal.scope == "template" else "refused"


def _why(refusal: Refusal) -> Why | None:
    if not refusal.sentence:
        return None
    return Why(refusal.sentence, {"detail": refusal.text, "trace": "", "wait": math.ceil((refusal.wait or 0) / 60)})
