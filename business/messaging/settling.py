"""What comes back of messages: statuses, and echoes of our own sending, joined to the rows that they are of.

A row's id travels with the message and comes back with its statuses; where a gateway has no room for it, the gateway's
own id joins them. What comes before we know that id is kept, and joined when we learn it.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog

from business.messaging.arrivals import Echoed, Seen
from business.messaging.changes import changed
from business.messaging.outbox import Outbox, locked_row
from business.messaging.outcomes import Outcomes, again_key, join_status
from business.messaging.sender_cloud import refusal_of
from business.messaging.sender_evolution import as_words
from business.messaging.senders import Refusal
from business.messaging.statuses import RANK, Status, status_named
from core.clock import Clock
from core.db import Connection, fetch_all, fetch_one

log = structlog.get_logger(__name__)

OWN_ECHO = timedelta(minutes=15)
"""How long after we sent it an echo may be of a message whose id we never learnt."""
_FILES = frozenset({"image", "video", "audio", "document", "sticker"})
EARLY_KEPT = timedelta(days=8)
"""How long a status of nobody's is kept: WhatsApp repeats its webhooks for seven days."""


class Settling:
    """`conn` is the caller's transaction of the tenant."""

    def __init__(self, outbox: Outbox, outcomes: Outcomes, clock: Clock) -> None:
        self._outbox = outbox
        self._outcomes = outcomes
        self._clock = clock

    async def settle(self, conn: Connection, tenant_id: str, channel_id: str, seen: Seen) -> str | None:
        """Join a status to the message it is of; returns the chat's id. One that no row knows (yet) is kept, and joined
        when a row learns its id: None."""
        status = status_named(seen.status)
        if status is None:
            return None
        row = await _found(conn, channel_id, seen)
        if row is None:
            at_app = await fetch_one(
                conn,
                """SELECT m.id, m.chat_id FROM chat_messages m JOIN chats c USING (tenant_id)
                   WHERE m.external_id = %s AND m.direction = 'out' AND c.id = m.chat_id AND c.channel_id = %s""",
                [seen.id, channel_id],
            )
            if at_app is not None:  # a person wrote it elsewhere: an echo, whose statuses come to us, too
                await join_status(conn, at_app["chat_id"], at_app["id"], status, seen.at, seen.code)
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

    async def early(self, conn: Connection, row: Mapping[str, Any], external_id: str) -> None:
        """Join the statuses that came before the row knew its id."""
        rows = await fetch_all(
            conn,
            "DELETE FROM early_statuses WHERE external_id = %s OR outbox_id = %s RETURNING *",
            [external_id, row["id"]],
        )
        for one in sorted(rows, key=lambda early: early["at"]):
            fresh = await locked_row(conn, "o.id = %s", row["id"])
            assert fresh is not None
            await self._told(conn, fresh, one["external_id"], Status(one["status"]), one["at"], one["error"], "")

    async def adopt(self, conn: Connection, tenant_id: str, chat_id: str, echo: Echoed) -> bool:
        """Whether an echo is of a message that we sent ourselves: False when a person (or another tool) wrote it.

        Known by its id, or, while the answer to our own sending is still out (or was lost), by what it shows: some
        gateways post it before they answer.
        """
        await conn.execute("SELECT 1 FROM chats WHERE id = %s FOR NO KEY UPDATE", [chat_id])
        if await fetch_one(
            conn, "SELECT 1 FROM chat_messages WHERE chat_id = %s AND external_id = %s", [chat_id, echo.id]
        ) or await fetch_one(conn, "SELECT 1 FROM outbox WHERE chat_id = %s AND external_id = %s", [chat_id, echo.id]):
            return True
        rows = await fetch_all(
            conn,
            """SELECT o.id, o.content, m.text FROM outbox o JOIN chat_messages m USING (tenant_id)
               WHERE m.id = o.message_id AND o.chat_id = %s AND o.external_id IS NULL AND o.attempts > 0
                 AND o.state IN ('claimed', 'unknown', 'waiting') AND o.claimed_at > %s ORDER BY o.seq""",
            [chat_id, self._clock.now() - OWN_ECHO],
        )
        ours = next((row for row in rows if _shows(echo, row["content"], row["text"])), None)
        if ours is None:
            return False
        row = await locked_row(conn, "o.id = %s", ours["id"])
        assert row is not None
        await self._told(conn, row, echo.id, Status.SENT, echo.at, None, "")
        await changed(conn, tenant_id, chat_id)
        return True

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
            await self._outcomes.left(conn, row, external_id)
            await self._outbox.wake(conn, row["tenant_id"], row["chat_id"])  # for those behind it
        progress = await join_status(conn, row["chat_id"], row["message_id"], status, at, code)
        if status is Status.FAILED and progress.status is Status.FAILED and row["state"] != "failed":
            refusal = _meaning(row["provider"], code, detail)
            await self._outcomes.refused(conn, row, refusal, answered=False)
        elif arrived and row["state"] == "failed":
            await conn.execute("UPDATE outbox SET state = 'sent', reason = 'arrived' WHERE id = %s", [row["id"]])
            again = await fetch_one(
                conn, "SELECT * FROM outbox WHERE key = %s AND state IN ('waiting', 'ask')", [again_key(row)]
            )
            if again is not None:
                await self._outbox.finish(conn, again, "arrived")


async def _found(conn: Connection, channel_id: str, seen: Seen) -> dict[str, Any] | None:
    """The row of a status, its chat locked: by our own id, if the gateway gives it back, else by the gateway's."""
    if seen.callback:
        row = await locked_row(conn, "o.id = %s AND c.channel_id = %s", seen.callback, channel_id)
        if row is not None:
            return row
    return await locked_row(conn, "o.external_id = %s AND c.channel_id = %s", seen.id, channel_id)


def _meaning(provider: str, code: int | None, detail: str) -> Refusal:
    """What the code of a status means; other gateways than WhatsApp's own have none of their own."""
    if provider == "whatsapp_cloud" and code is not None:
        return refusal_of(code, detail)
    return Refusal(code or 0, "fix", "message", text=detail)


def _shows(echo: Echoed, content: Mapping[str, Any], text: str) -> bool:
    """Whether an echo shows what a row says, whose `text` is what one reads of it here: in its words as they left, or,
    where they may be others there, as a thing of the same kind that is not called otherwise."""
    kind, name = content["type"], ""
    said: Any = content.get(kind)  # of a template there is nothing
    if kind == "interactive":
        text = as_words(said)
    elif kind in _FILES:
        text, name = said.get("caption") or "", said.get("filename") or ""
    elif kind in ("location", "contacts"):  # degrees and telephones, as each gateway writes them
        return bool(kind == echo.kind)
    ours, theirs = " ".join(text.split()), " ".join(echo.text.split())
    if ours:
        return ours in theirs
    called = echo.attachment.name if echo.attachment else ""
    return kind == echo.kind and theirs in ("", name) and (not name or called in ("", name))
