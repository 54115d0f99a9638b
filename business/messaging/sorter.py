"""From the inbox to the conversations: every item once, in its order, in one transaction with what follows from it.

    inbox → read → conversation, message, file, status, opt-out, who has it → the job of the turn, all or nothing

What each item becomes stands in sorting.py, what is gathered meanwhile in batch.py.

One sorter works for a tenant at a time, whichever process it is in, and tenants take turns, a batch each; within a
tenant people do, when one of them floods it. A batch in which one item fails is done again item by item, each within a
savepoint of its own: the odd one is set aside ("dead:<why>"), its siblings stand. What changes a message that is not
there yet is sorted anew in the batch after that message ("early:<id>").
"""

import asyncio
import contextlib
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import psycopg
import structlog

from business.messaging.arrivals import Arrival
from business.messaging.batch import Batch, Numbers, Row
from business.messaging.channels import Channel, Channels
from business.messaging.reading import read
from business.messaging.rules import MessageRules
from business.messaging.settings import Settings
from business.messaging.sorting import Sorting, too_early
from core.clock import Clock
from core.db import Connection, Database, fetch_all, fetch_one
from core.errors import MutiraoError, Unavailable
from core.failpoints import reach
from core.jobs import Jobs
from core.notices import Notices

log = structlog.get_logger(__name__)

BATCH = 200  # rows of the inbox in one transaction
POLL = 0.5  # seconds between looks, beside the notices

_WHOSE = "coalesce(item->'raw'->>'from', item->'raw'->>'from_user_id', item->'data'->'key'->>'remoteJid', key)"
_WAITING = f"""SELECT number, key, kind, item, received_at, {_WHOSE} AS whose FROM inbox
    WHERE tenant_id = %(tenant)s AND sorted_at IS NULL ORDER BY id LIMIT %(most)s"""
_FAIR = f"""SELECT number, key, kind, item, received_at FROM (
        SELECT *, row_number() OVER (PARTITION BY number, {_WHOSE} ORDER BY id) AS nth FROM (
            SELECT id, number, key, kind, item, received_at FROM inbox
            WHERE tenant_id = %(tenant)s AND sorted_at IS NULL ORDER BY id LIMIT %(most)s * 50) far) each_in_turn
    ORDER BY nth, id LIMIT %(most)s"""
"""What waits, the oldest first; and where one person fills it all: the first of each, then the second of each …"""
_NO_LONGER_EARLY = """UPDATE inbox SET sorted_at = NULL, outcome = NULL
    WHERE tenant_id = current_tenant() AND outcome LIKE 'early:%%' AND outcome = ANY(%s) AND item <> '{}'"""
"""Edits, revocations and reactions wait again once their message is there: gateways promise no order."""


@dataclass
class Sorter:
    """One per process; any number of processes. `run` until told to stop."""

    db: Database
    clock: Clock
    jobs: Jobs
    channels: Channels
    rules: MessageRules
    notices: Notices
    sorting: Sorting
    sorted_rows: int = field(default=0, init=False)
    """Of this process, since it began."""

    async def run(self, stop: asyncio.Event) -> None:
        """Sort until `stop` is set. Outlives a database that goes away."""
        woken = asyncio.Event()

        async def listen() -> None:
            async for _ in self.notices.listen("inbox"):
                woken.set()

        listening = asyncio.create_task(listen(), name="inbox notices")
        pause = POLL
        try:
            while not stop.is_set():
                woken.clear()
                try:
                    busy, pause = await self.round(), POLL
                except (Unavailable, psycopg.Error) as error:
                    log.warning("sorter_waits", reason=str(error).partition("\n")[0][:200])
                    busy, pause = False, min(pause * 2, 5.0)
                except Exception:
                    log.exception("sorter_failed")
                    busy, pause = False, min(pause * 2, 5.0)
                if not busy:
                    await _first(pause, stop.wait(), woken.wait())
        finally:
            listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await listening

    async def round(self) -> bool:
        """A batch of every tenant that has something waiting, who has waited longest first. False: nothing was done."""
        async with self.db.system() as conn:
            query = "SELECT tenant_id FROM inbox_waiting_for() WHERE tenant_id IS NOT NULL ORDER BY oldest"
            waiting = [row["tenant_id"] for row in await fetch_all(conn, query)]
        done = 0
        for tenant_id in waiting:
            done += await self.sort(tenant_id)
        return done > 0

    async def sort(self, tenant_id: str, most: int = BATCH) -> int:
        """One batch of a tenant; how many rows. 0 when nothing waits, or another process is at it."""
        for attempt in (1, 2, 3):
            try:
                done = await self._batch(tenant_id, most, careful=attempt == 3)
            except Exception as error:
                if isinstance(error, psycopg.errors.DeadlockDetected) and attempt < 3:
                    continue
                if _of_the_server(error) or attempt == 3:
                    raise
                # Some item is odd: look at each by itself.
                log.info("batch_with_odd_item", tenant=tenant_id, exc_info=True)
                done = await self._batch(tenant_id, most, careful=True)
            reach("sort.after_commit")
            self.sorted_rows += done
            return done
        return 0

    async def _batch(self, tenant_id: str, most: int, *, careful: bool) -> int:
        async with self.db.tenant(tenant_id) as conn:
            lock = "SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0)) AS got"
            got = await fetch_one(conn, lock, [f"sort {tenant_id}"])
            if got is None or not got["got"]:
                return 0
            rows = await fetch_all(conn, _WAITING, {"tenant": tenant_id, "most": most})
            if len(rows) == most and _flooded(rows):
                rows = await fetch_all(conn, _FAIR, {"tenant": tenant_id, "most": most})
            if not rows:
                return 0
            settings = await self.rules.of(conn, tenant_id)
            numbers = await _numbers(self.channels, conn, tenant_id)
            outcomes: list[str] = []
            came: set[str] = set()
            if careful:
                for row in rows:
                    outcomes += await self._alone(conn, tenant_id, settings, numbers, row, came)
            else:
                outcomes = await self._together(conn, tenant_id, settings, numbers, rows, came)
            await conn.execute(
                """UPDATE inbox i SET sorted_at = %s, outcome = n.outcome
                   FROM unnest(%s::text[], %s::text[], %s::text[]) AS n (number, key, outcome)
                   WHERE i.number = n.number AND i.key = n.key""",
                [self.clock.now(), [r["number"] for r in rows], [r["key"] for r in rows], outcomes],
            )
            if came:
                await conn.execute(_NO_LONGER_EARLY, [[too_early(one) for one in came]])
            reach("sort.before_commit")
        return len(rows)

    async def _together(
        self, conn: Connection, tenant_id: str, settings: Settings, numbers: Numbers, rows: list[Row], came: set[str]
    ) -> list[str]:
        """The outcome of each, in their order. `came`: takes the ids of new messages."""
        batch = Batch(conn, tenant_id, settings, numbers, self.jobs)
        arrivals = [_read(tenant_id, numbers, row) for row in rows]
        await batch.look_up(arrivals)
        outcomes = []
        for row, arrival in zip(rows, arrivals, strict=True):
            outcomes.append(arrival if isinstance(arrival, str) else await self.sorting.become(batch, row, arrival))
        await batch.write()
        await batch.tell()
        came |= batch.came
        return outcomes

    async def _alone(
        self, conn: Connection, tenant_id: str, settings: Settings, numbers: Numbers, row: Row, came: set[str]
    ) -> list[str]:
        """The outcome of one, which takes nothing else along when it fails."""
        try:
            async with conn.transaction():
                return await self._together(conn, tenant_id, settings, numbers, [row], came)
        except Exception as error:
            if _of_the_server(error):
                raise
            log.exception("item_set_aside", tenant=tenant_id, number=row["number"], key=row["key"])
            return [_dead(error)]


def _flooded(rows: list[Row]) -> bool:
    """Whether one person has written more than half of it."""
    return Counter(row["whose"] for row in rows).most_common(1)[0][1] > len(rows) // 2


async def _numbers(channels: Channels, conn: Connection, tenant_id: str) -> dict[str, Channel]:
    """Channel by what the inbox calls it: "provider:number", and an account by any of its numbers."""
    found: dict[str, Channel] = {}
    for channel in await channels.of(tenant_id, conn):
        found[f"{channel.provider}:{channel.number}"] = channel
        if channel.account:
            found.setdefault(f"{channel.provider}:account:{channel.account}", channel)
    return found


def _read(tenant_id: str, numbers: Numbers, row: Row) -> Arrival | str:
    """What a row of the inbox says, or its outcome where that is nothing."""
    if row["number"] not in numbers:
        return "dead:channel_unknown"
    try:
        return read(row["number"], row["kind"], row["item"])
    except MutiraoError as error:
        return _dead(error)
    except Exception as error:
        log.exception("item_unreadable", tenant=tenant_id, number=row["number"], key=row["key"])
        return _dead(error)


def _of_the_server(error: Exception) -> bool:
    """Whether it is PostgreSQL's trouble, which passes, and not an item's: no connection, no resources, a shutdown, a
    lock. (psycopg calls a row that is too large for an index an operational error, too.)"""
    if isinstance(error, psycopg.OperationalError):
        return error.sqlstate is None or error.sqlstate[:2] in ("08", "40", "53", "55", "57", "58")
    return isinstance(error, Unavailable)


def _dead(error: Exception) -> str:
    why = error.code if isinstance(error, MutiraoError) else type(error).__name__
    return f"dead:{why}"[:200]


async def _first(seconds: float, *waited: Any) -> None:
    """Until one of them is over, or `seconds` are."""
    tasks = [asyncio.ensure_future(one) for one in waited]
    try:
        await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in tasks:
            one.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
