"""What comes from outside is written down before it is acknowledged: each item of each webhook, once.

Many webhooks come at the same time, and a commit costs the same for one row and for a hundred. So whoever comes while
a commit is under way goes with the next one, which begins at once when that is over: no timer, and one that comes alone
waits for nobody. (One statement that unpacks JSON took a tenth of the CPU per row of arrays or of COPY with a temporary
table, and one round trip instead of three: bench/whatsapp_intake.py.)

It writes for all tenants at once as a role that may insert here and do nothing else, so not even a bug can read.
"""

import asyncio
import hashlib
import json
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import orjson
import psycopg
import structlog
from psycopg import AsyncConnection
from psycopg.rows import dict_row

from core.clock import Clock
from core.errors import Unavailable
from core.failpoints import reach

log = structlog.get_logger(__name__)

CHANNEL = "inbox"
"""PostgreSQL's notification of every commit here, for whoever sorts."""
_PATIENCE = 2.0  # seconds for a commit, with connecting: then the sender is told to come again
_MOST_ROWS = 1_000  # in one commit
_MOST_BYTES = 4_000_000
_MOST_WAITING = 64_000_000  # bytes in memory: beyond that a flood is told to come again
_LONGEST_KEY = 300  # characters; an index takes no more than some 2,700 bytes
_INSERT = b"""
    WITH told AS (SELECT pg_notify('inbox', ''))
    INSERT INTO inbox (number, key, tenant_id, kind, item, received_at)
    SELECT a.number, a.key, a.tenant, a.kind, a.item, %s
    FROM told, json_to_recordset(%s::json) AS a(number text, key text, tenant text, kind text, item jsonb)
    ON CONFLICT DO NOTHING
"""


@dataclass(slots=True)
class Received:
    """One item of a webhook. `number`: "provider:number"; `key`: the item's own, the same in every copy of it;
    `tenant_id`: None for a number that nobody has connected; `kind`: as in the table; `item`: what a reader of the
    provider understands."""

    number: str
    key: str
    tenant_id: str | None
    kind: str
    item: dict[str, Any]


@dataclass(frozen=True)
class Waiting:
    """How much of a tenant's waits to be sorted; tenant_id None: of numbers that nobody has connected."""

    tenant_id: str | None
    waiting: int
    oldest: datetime


class _Lot:
    """What one webhook brought (or a part of it), as JSON rows, and who waits for its commit."""

    __slots__ = ("done", "items", "rows", "size")

    def __init__(self, items: Sequence[Received], done: "asyncio.Future[None]") -> None:
        self.items = items
        self.rows = [_row(item) for item in items]
        self.size = sum(map(len, self.rows))
        self.done = done


class Inbox:
    """The way into the table. One connection of its own, made when it is needed and again when it broke.

    `dsn` is the application's. `patience`: seconds after which a commit is given up.
    """

    def __init__(self, dsn: str, clock: Clock, *, patience: float = _PATIENCE, most_waiting: int = _MOST_WAITING):
        self._dsn = dsn
        self._clock = clock
        self._patience = patience
        self._most_waiting = most_waiting
        self._conn: AsyncConnection[Any] | None = None
        self._lots: deque[_Lot] = deque()
        self._bytes = 0
        self._wake = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None
        self._open = False
        self._leaving: set[asyncio.Task[None]] = set()
        self.commits = 0
        """So far, and what they took in, copies included."""
        self.items = 0

    async def open(self) -> None:
        """Ready to keep. A database that is away now is looked for again when something comes."""
        self._open = True
        self._writer = asyncio.create_task(self._write(), name="inbox")

    async def close(self) -> None:
        """Write what waits, and leave."""
        self._open = False
        self._wake.set()
        while self._writer is not None and not self._writer.done():
            await asyncio.wait({self._writer})
        if self._leaving:
            await asyncio.wait(self._leaving, timeout=1)
        await self._leave(self._conn)

    async def keep(self, received: Sequence[Received]) -> None:
        """Return when all of it is committed, each (number, key) once. A repetition is no error.

        Unavailable("database_unreachable") when it cannot be written within about two seconds, "inbox_full" when too
        much waits: whoever sent it has to send it again. Part of it may have been written.
        """
        for at in range(0, len(received), _MOST_ROWS):
            await self._keep(received[at : at + _MOST_ROWS])

    async def _keep(self, items: Sequence[Received]) -> None:
        if not self._open:
            raise Unavailable("database_unreachable", "the inbox is closed")
        if self._bytes > self._most_waiting:
            raise Unavailable("inbox_full", "too much waits to be written")
        lot = _Lot(items, asyncio.get_running_loop().create_future())
        self._bytes += lot.size
        self._lots.append(lot)
        self._wake.set()
        await lot.done

    async def waiting(self) -> list[Waiting]:
        """What waits to be sorted, by tenant. Unavailable("database_unreachable")."""
        try:
            async with await self._connect() as conn, conn.cursor(row_factory=dict_row) as cursor:
                await cursor.execute("SELECT * FROM inbox_waiting_for()")
                return [Waiting(**row) for row in await cursor.fetchall()]
        except psycopg.OperationalError as error:
            raise Unavailable("database_unreachable", str(error)) from None

    # --- the writer -----------------------------------------------------------------------------

    async def _write(self) -> None:
        loop, me = asyncio.get_running_loop(), asyncio.current_task()
        while self._writer is me and (self._open or self._lots):
            if not self._lots:
                self._wake.clear()
                await self._wake.wait()
                continue
            lots = self._next()
            hangs = loop.call_later(self._patience, self._hung, lots)
            try:
                await self._commit(lots)
            except Exception as error:  # whatever it is, nobody may wait for ever, and the next ones get their try
                if not isinstance(error, psycopg.OperationalError):
                    log.exception("inbox_failed", items=sum(len(lot.items) for lot in lots))
                _fail(lots, error)
            finally:
                hangs.cancel()

    def _hung(self, lots: list[_Lot]) -> None:
        """No commit in time: who waits is told, and another writer goes on. A connection that hangs takes its time to
        be cancelled, and nobody waits for that."""
        # All that came meanwhile has waited too; that it waits once more would help nobody.
        _fail([*lots, *self._drained()], TimeoutError("no commit in time"))
        assert self._writer is not None
        conn, self._conn = self._conn, None
        leaving = asyncio.create_task(_abandon(self._writer, conn))
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)
        self._writer = asyncio.create_task(self._write(), name="inbox")

    def _next(self) -> list[_Lot]:
        """The first lots that fit into one commit, at least one."""
        lots = [self._lots.popleft()]
        rows, size = len(lots[0].rows), lots[0].size
        while self._lots:
            first = self._lots[0]
            rows, size = rows + len(first.rows), size + first.size
            if rows > _MOST_ROWS or size > _MOST_BYTES:
                break
            lots.append(self._lots.popleft())
        self._bytes -= sum(lot.size for lot in lots)
        return lots

    def _drained(self) -> list[_Lot]:
        lots = list(self._lots)
        self._lots.clear()
        self._bytes = 0
        return lots

    async def _commit(self, lots: list[_Lot]) -> None:
        """All lots in one transaction. When one of their items is odd, each by itself: it takes nobody along."""
        try:
            await self._insert([row for lot in lots for row in lot.rows])
        except psycopg.OperationalError:
            raise
        except psycopg.Error as error:
            if len(lots) > 1:
                half = len(lots) // 2
                await self._commit(lots[:half])
                await self._commit(lots[half:])
                return
            log.warning("inbox_odd_item", error=type(error).__name__, items=len(lots[0].items))
            try:
                for item in lots[0].items:
                    await self._alone(item)
            except psycopg.OperationalError:
                raise
            except psycopg.Error as beyond_help:
                log.exception("inbox_failed", items=len(lots[0].items))
                _fail(lots, beyond_help)
        for lot in lots:
            if not lot.done.done():
                lot.done.set_result(None)

    async def _alone(self, item: Received) -> None:
        try:
            await self._insert([_row(item)])
        except psycopg.errors.ForeignKeyViolation:  # the tenant has gone in this moment
            await self._insert([_row(replace(item, tenant_id=None))])
        except psycopg.OperationalError:
            raise
        except psycopg.Error as error:
            told = {"text": _plain(json.dumps(item.item)), "error": type(error).__name__}
            item = replace(item, kind="unread", item=told)
            await self._insert([_row(replace(item, number=_plain(item.number), key=_plain(item.key)))])

    async def _insert(self, rows: list[bytes]) -> None:
        values = [self._clock.now(), f"[{b','.join(rows).decode()}]"]
        reach("door.before_commit")
        conn = self._conn
        try:
            await self._execute(values)
        except psycopg.OperationalError:  # the server was started anew, or another door had the same keys: once more
            if self._writer is not asyncio.current_task():
                raise
            await self._leave(self._conn)
            if conn is None:
                raise
            await self._execute(values)
        self.commits += 1
        self.items += len(rows)
        reach("door.after_commit")

    async def _execute(self, values: list[Any]) -> None:
        if self._conn is None:
            self._conn = await self._connect()
        await self._conn.execute(_INSERT, values)

    async def _connect(self) -> AsyncConnection[Any]:
        conn = await AsyncConnection.connect(self._dsn, autocommit=True, connect_timeout=max(2, int(self._patience)))
        await conn.execute("SET ROLE mutirao_intake")
        await conn.execute("SET TIME ZONE 'UTC'")
        return conn

    async def _leave(self, conn: AsyncConnection[Any] | None) -> None:
        """Close it; the next commit makes another, unless another writer has."""
        if conn is self._conn:
            self._conn = None
        if conn is not None:
            with suppress(psycopg.Error):
                await conn.close()


async def _abandon(task: "asyncio.Task[None]", conn: AsyncConnection[Any] | None) -> None:
    """End what hangs, whenever that may be."""
    task.cancel()
    with suppress(asyncio.CancelledError, psycopg.Error, TimeoutError):
        await asyncio.wait_for(asyncio.gather(task, return_exceptions=True), 10)
    if conn is not None:
        with suppress(psycopg.Error):
            await conn.close()


def _row(item: Received) -> bytes:
    row = {
        "number": _short(item.number),
        "key": _short(item.key),
        "tenant": item.tenant_id,
        "kind": item.kind,
        "item": item.item,
    }
    try:
        return orjson.dumps(row)
    except TypeError:  # lone surrogates: the database will say so, and then it is kept in another way
        return json.dumps(row).encode()


def _short(text: str) -> str:
    """As it is, or, where no index could hold it, its beginning and what tells it from all others."""
    if len(text) <= _LONGEST_KEY:
        return text
    return f"{text[:100]}…{hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()}"


def _plain(text: str) -> str:
    """Of what PostgreSQL cannot keep, nothing."""
    return text.replace("\\u0000", "\\ufffd").encode("utf-8", "replace").decode().replace("\x00", "\ufffd")


def _fail(lots: list[_Lot], error: Exception) -> None:
    for lot in lots:
        if not lot.done.done():
            lot.done.set_exception(Unavailable("database_unreachable", str(error) or type(error).__name__))
