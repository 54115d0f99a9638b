"""When the turn of a conversation begins: noted in its row, with a job that wakes at that moment.

A job waits exactly while `chats.due_at` is set: whoever sets it from nothing defers one in the same transaction, and
the job takes it away when it begins. So a burst of hundreds of messages is one job, and one that comes while a turn
runs is another, which waits for its end.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from core.clock import Clock
from core.db import Connection, fetch_one
from core.jobs import Jobs

CHAT_TURN = "chat_turn"
"""The job that answers a conversation: (tenant_id, chat_id)."""


@dataclass
class Waking:
    jobs: Jobs
    clock: Clock

    async def wake(self, conn: Connection, tenant_id: str, chat_id: str, at: datetime) -> None:
        """Have the conversation's turn begin at `at`. The caller has locked its row."""
        query = """UPDATE chats c SET due_at = %s FROM (SELECT id, due_at FROM chats WHERE id = %s) before
                   WHERE c.id = before.id RETURNING before.due_at AS before"""
        row = await fetch_one(conn, query, [at, chat_id])
        if row is not None and row["before"] is None:
            await self.job(conn, tenant_id, chat_id, at)

    async def job(self, conn: Connection | None, tenant_id: str, chat_id: str, at: datetime) -> None:
        """The job alone. Jobs wait by the server's clock, so what is told them is how long from now."""
        delay = at - self.clock.now()
        when = datetime.now(UTC) + delay if delay.total_seconds() > 0.02 else None
        await self.jobs.defer(conn, CHAT_TURN, at=when, lock=f"turn {chat_id}", tenant_id=tenant_id, chat_id=chat_id)


async def unanswered_since(conn: Connection, chat_id: str) -> datetime | None:
    """When we received the first message after the last of ours that left, or will: that is what is unanswered. An
    emoji of ours on one of theirs answers nothing."""
    query = """SELECT min(received_at) AS since FROM chat_messages
               WHERE chat_id = %(chat)s AND direction = 'in' AND revoked_at IS NULL AND seq > coalesce(
                   (SELECT max(seq) FROM chat_messages
                    WHERE chat_id = %(chat)s AND direction = 'out' AND kind <> 'reaction'
                      AND status IS DISTINCT FROM 'dropped'), 0)"""
    row = await fetch_one(conn, query, {"chat": chat_id})
    return row["since"] if row else None
