"""Whose hand a conversation is in, carried out: one step of attention.py with all that follows from it, in the caller's
transaction, on a row that the caller has locked."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from business.messaging.attention import Attention, Effect, Event, Held, Step, step
from business.messaging.changes import changed
from business.messaging.waking import unanswered_since
from core.db import Connection, fetch_one

Drop = Callable[[Connection, str, str], Awaitable[Any]]
"""Take back what the bot has put into the outbox of a conversation and what has not left: (conn, chat id, why)."""
Wake = Callable[[Connection, str, str, datetime], Awaitable[None]]
"""See to it that a turn of the conversation begins at a moment: (conn, tenant id, chat id, when)."""


@dataclass
class Hands:
    """`drop`: see Drop; `wake`: see Wake."""

    drop: Drop
    wake: Wake

    async def step(
        self, conn: Connection, chat_id: str, before: Attention, event: Event, at: datetime, *, by: str | None = None
    ) -> Step:
        """Write the state after `event`. The effects that speak to somebody (TELL_CONTACT, SUMMARISE, NOTIFY) are the
        caller's; they are in what is returned.

        A running turn needs no call: it sees the row. A person who writes has taken up what waited. After a hand-back
        the bot answers what nobody has taken up, and nothing older.
        """
        done = step(before, event, at, by=by)
        if done.ignored:
            return done
        after = done.after
        sets = {"held": str(after.held), "held_since": after.since, "held_by": after.by, "segment": after.segment}
        if Effect.CLEAN_START in done.effects:
            sets |= {"superseded": 0, "summary": ""}
        if event in (Event.PERSON_WROTE, Event.CLOSED):
            sets |= {"waiting_since": None, "due_at": None, "unread": 0}
        if event is Event.CLOSED:
            sets["closed_at"] = at
        if after.held is Held.PERSON:
            sets["due_at"] = None
        values = ", ".join(f"{name} = %({name})s" for name in sets)
        if Effect.CLEAN_START in done.effects:
            values += ", session = '{}', session_version = session_version + 1"
        if event in (Event.PERSON_WROTE, Event.CLOSED):
            values += ", answered_in = messages_in"
        query = f"UPDATE chats SET {values} WHERE id = %(id)s RETURNING tenant_id, waiting_since"
        row = await fetch_one(conn, query, {**sets, "id": chat_id})
        assert row is not None
        tenant_id = row["tenant_id"]
        if Effect.STOP_TURN in done.effects:
            dropped = await self.drop(conn, chat_id, str(event))
            if dropped and event in (Event.PERSON_TOOK_OVER, Event.HANDED_BACK):
                # What the bot was about to answer is unanswered again.
                query = """UPDATE chats SET waiting_since = coalesce(waiting_since, %s) WHERE id = %s
                           RETURNING waiting_since"""
                since = await unanswered_since(conn, chat_id)
                row = await fetch_one(conn, query, [since, chat_id])
                assert row is not None
        if event is Event.HANDED_BACK and row["waiting_since"] is not None:
            await self.wake(conn, tenant_id, chat_id, at)
        await changed(conn, tenant_id, chat_id)
        return done
