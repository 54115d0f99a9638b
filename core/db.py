"""The database as the application sees it: transactions that belong to one tenant, and locks between processes.

Every connection works as the role `mutirao_app`, which owns nothing and is bound by row-level security. The tenant is
set for one transaction only, so a connection that goes back to the pool carries nothing of it.
"""

import asyncio
import select
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout

from core.errors import SetupError, Unavailable

Connection = AsyncConnection[DictRow]
"""A connection inside a transaction; rows come as dicts, times aware and in UTC."""

Values = Sequence[object] | Mapping[str, object] | None
"""What fills a statement: a sequence its %s, a mapping its %(name)s; None when it has neither, and % means itself."""

_ROLE = "mutirao_app"
_PATIENCE = 30.0  # seconds that a transaction waits for others of this process; a connection comes within 5 or never


async def fetch_one(conn: Connection, query: str, values: Values = None) -> DictRow | None:
    """The first row that a statement gives, in the caller's transaction; None when it gives none."""
    return await (await conn.execute(query.encode(), values)).fetchone()


async def fetch_all(conn: Connection, query: str, values: Values = None) -> list[DictRow]:
    """All rows that a statement gives, in its order, in the caller's transaction."""
    return await (await conn.execute(query.encode(), values)).fetchall()


class Database:
    """A pool of connections to the application's database, and small ones apart: for locks, which are held longer, and
    for calls of functions, which are shorter than anything.

    `max_pool` connections run transactions. One more holds all locks that were free when they were asked for; up to
    `max_locks` others wait for locks that another process has (a conversation's turn, an import), up to
    `max_brief_locks` for brief ones (a login, an approval). Each pool grows with need; the embedded server takes 100
    of all processes. Open it inside a running event loop.
    """

    def __init__(
        self, app_dsn: str, *, min_pool: int = 1, max_pool: int = 10, max_locks: int = 16, max_brief_locks: int = 6
    ) -> None:
        self.app_dsn = app_dsn
        self._pool = _pool(app_dsn, "mutirao", min_pool, max_pool, autocommit=False)
        self._places = asyncio.Semaphore(max_pool)  # whoever has one waits for nobody but the server
        self._keyring = _Keyring(app_dsn)
        self._locks = _pool(app_dsn, "mutirao locks", 0, max_locks, autocommit=True)
        self._brief_locks = _pool(app_dsn, "mutirao brief locks", 0, max_brief_locks, autocommit=True)
        self._calls = _pool(app_dsn, "mutirao calls", 0, 2, autocommit=True, of_calls=True)
        self._lines: dict[str, _Line] = {}

    async def open(self) -> None:
        """Connect. Unavailable("database_unreachable"); SetupError("database_not_migrated")."""
        # Asked first by a single connection: it fails at once and says why, where a pool would keep trying.
        try:
            async with await AsyncConnection.connect(self.app_dsn, connect_timeout=5) as conn:
                await configure(conn)
        except psycopg.OperationalError as error:
            raise Unavailable("database_unreachable", str(error)) from None
        except psycopg.errors.InvalidParameterValue as error:  # role "mutirao_app" does not exist
            raise SetupError("database_not_migrated", str(error)) from None
        await self._pool.open(wait=True, timeout=10)
        await self._brief_locks.open()
        await self._locks.open()
        await self._calls.open()

    async def close(self) -> None:
        await self._keyring.close()
        await self._locks.close()
        await self._calls.close()
        await self._brief_locks.close()
        await self._pool.close()

    @asynccontextmanager
    async def tenant(self, tenant_id: str, within: Connection | None = None) -> AsyncIterator[Connection]:
        """One transaction that sees and writes this tenant's rows only. Commits at the end, rolls back on any error.

        `within`: the caller's transaction of this tenant, which is used as it is, and is the caller's to end.
        """
        if not tenant_id:
            raise ValueError("a transaction of a tenant needs its id")
        if within is not None:
            yield within
            return
        async with self._transaction() as conn:
            await conn.execute("SELECT set_config('app.tenant_id', %s, true)", [tenant_id])
            yield conn

    @asynccontextmanager
    async def system(self) -> AsyncIterator[Connection]:
        """One transaction of no tenant: it sees no tenant's rows, only what belongs to the whole house."""
        async with self._transaction() as conn:
            yield conn

    async def call(self, statement: str, values: Sequence[Any], timeout: float = 5.0) -> list[DictRow]:
        """The rows of one statement that is its own transaction, in one round trip: for what every model call asks.

        Such a statement calls a function that sets the tenant for itself (`set_config('app.tenant_id', …, true)`); else
        it sees no tenant's rows. It may be sent twice when a connection breaks under it, so twice must be once. A power
        cut may take back the last second of what it wrote.
        Unavailable("database_unreachable") when there is no answer within `timeout` seconds.
        """
        try:
            async with asyncio.timeout(timeout):
                try:
                    return await self._call(statement, values)
                except (PoolTimeout, PoolClosed):
                    raise
                except psycopg.OperationalError:
                    # Nobody looked whether it is alive before it was used, and one that is dead is seldom alone.
                    await self._calls.check()
                    return await self._call(statement, values)
        except (psycopg.OperationalError, TimeoutError) as error:  # the pool's own errors are of the first kind
            raise Unavailable("database_unreachable", str(error) or type(error).__name__) from error

    async def _call(self, statement: str, values: Sequence[Any]) -> list[DictRow]:
        conn = await self._calls.getconn()
        try:
            return await (await conn.execute(statement.encode(), values)).fetchall()
        finally:
            await self._calls.putconn(conn)

    @asynccontextmanager
    async def lock(self, key: str, timeout: float = 60.0, *, brief: bool = False) -> AsyncIterator[None]:
        """Hold the lock `key` among all processes on this database; in each process first come, first served.

        A lock that is free costs one round trip and no connection: a process may hold any number of them. Those who
        wait for the same key within a process cost nothing: only the first in line borrows a connection, when another
        process has the lock. `brief` locks (a login, one write) wait on connections of their own, so that no number of
        turns or imports keeps them waiting.
        It is not re-entrant, and it ends with its process: PostgreSQL frees it when the connection breaks.
        Unavailable("busy", key) when it is not free within `timeout` seconds.
        """
        until = time.monotonic() + timeout
        async with self._first_in_line(key, timeout):
            ring = await self._keyring.take(key)
            if ring is None:
                async with self._waited_for(key, until, self._brief_locks if brief else self._locks):
                    yield
                return
            try:
                yield
            finally:
                await asyncio.shield(self._keyring.give_back(ring, key))

    @asynccontextmanager
    async def _waited_for(self, key: str, until: float, pool: "AsyncConnectionPool[Connection]") -> AsyncIterator[None]:
        """Hold a lock that another process has, as soon as it lets go, on a connection of its own."""
        try:
            conn = await pool.getconn(max(until - time.monotonic(), 0.01))
        except (PoolTimeout, PoolClosed) as error:
            if pool.get_stats().get("pool_size", 0) >= pool.max_size:
                raise Unavailable("busy", "too many locks are waited for", key=key) from None
            raise Unavailable("database_unreachable", str(error)) from None
        held = False
        try:
            patience = f"{max(int((until - time.monotonic()) * 1000), 1)}ms"
            await conn.execute("SELECT set_config('lock_timeout', %s, false)", [patience])
            await conn.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", [key])
            held = True
            yield
        except psycopg.errors.LockNotAvailable:
            if held:
                raise
            raise Unavailable("busy", f"{key} is locked by other work", key=key) from None
        except psycopg.OperationalError as error:
            if held:
                raise
            raise Unavailable("database_unreachable", str(error)) from None
        finally:
            await asyncio.shield(_free(pool, conn, key, held))

    @asynccontextmanager
    async def _first_in_line(self, key: str, timeout: float) -> AsyncIterator[None]:
        """Be the only one of this process that asks the database for `key`."""
        line = self._lines.setdefault(key, _Line())
        line.people += 1
        try:
            try:
                async with asyncio.timeout(timeout):
                    await line.lock.acquire()
            except TimeoutError:
                raise Unavailable("busy", f"{key} is locked by other work", key=key) from None
            try:
                yield
            finally:
                line.lock.release()
        finally:
            line.people -= 1
            if not line.people:
                del self._lines[key]

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Connection]:
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._places.acquire()
        except TimeoutError:
            raise Unavailable("database_unreachable", "every connection was in use") from None
        conn = None
        try:
            async with AsyncExitStack() as begun:
                conn = await self._begin(begun)
                yield conn
        except psycopg.OperationalError as error:  # the pool's own errors are of this kind
            if conn is None or conn.closed or conn.broken:
                raise Unavailable("database_unreachable", str(error)) from error
            raise
        finally:
            self._places.release()

    async def _begin(self, begun: AsyncExitStack) -> Connection:
        """A connection inside a transaction, both of which `begun` ends. Where the server has ended the connection a
        moment ago, BEGIN finds it out, and another is taken: nothing has been done yet."""
        again = True
        while True:
            conn = await self._pool.getconn()
            transaction = conn.transaction()
            try:
                await transaction.__aenter__()
            except BaseException as error:
                await self._pool.putconn(conn)
                if not (again and isinstance(error, psycopg.OperationalError)):
                    raise
                again = False
                await self._pool.check()
                continue
            begun.push_async_callback(self._pool.putconn, conn)
            begun.push_async_exit(transaction)
            return conn


@dataclass
class _Line:
    """Those of this process who hold or want one lock."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    people: int = 0


class _Keyring:
    """One connection that holds any number of locks, made anew when it broke (which freed the locks it had)."""

    _PATIENCE = 5.0  # seconds for a statement that never waits: a connection that takes longer is taken for broken

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._conn: Connection | None = None
        self._one_at_a_time = asyncio.Lock()

    async def take(self, key: str) -> Connection | None:
        """Where the lock `key` is held now; None when another process has it. Unavailable("database_unreachable").

        Nobody else of this process may ask for the key meanwhile: within one session a lock is given twice.
        """
        taking = asyncio.ensure_future(self._take(key))
        try:
            return await asyncio.shield(taking)
        except asyncio.CancelledError:
            await asyncio.shield(self._give_up(taking, key))
            raise

    async def _give_up(self, taking: "asyncio.Future[Connection | None]", key: str) -> None:
        try:
            if (conn := await taking) is not None:
                await self.give_back(conn, key)
        except Unavailable:
            pass

    async def _take(self, key: str) -> Connection | None:
        async with self._one_at_a_time:
            try:
                try:
                    return await self._try(key)
                except psycopg.OperationalError:  # the server was started anew
                    await self.close()
                    return await self._try(key)
            except (psycopg.OperationalError, TimeoutError) as error:
                await self.close()
                raise Unavailable("database_unreachable", str(error) or "no answer") from None

    async def _try(self, key: str) -> Connection | None:
        async with asyncio.timeout(self._PATIENCE):
            if self._conn is None or self._conn.closed:
                self._conn = await AsyncConnection.connect(
                    self._dsn, autocommit=True, row_factory=dict_row, connect_timeout=5
                )
                await configure(self._conn)
            conn = self._conn
            asked = await conn.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0)) AS got", [key])
            row = await asked.fetchone()
        return conn if row is not None and row["got"] else None

    async def give_back(self, conn: Connection, key: str) -> None:
        """Free a lock that `take` gave. A connection that broke has done so already."""
        if conn.closed:
            return
        try:
            async with asyncio.timeout(self._PATIENCE):
                await conn.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", [key])
        except (psycopg.Error, TimeoutError):
            await conn.close()

    async def close(self) -> None:
        if self._conn is not None:
            await self._conn.close()
        self._conn = None


async def _free(pool: "AsyncConnectionPool[Connection]", conn: Connection, key: str, held: bool) -> None:
    try:
        if held and not conn.closed:
            await conn.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", [key])
        else:
            # Whether a cancelled wait got the lock in its last moment nobody knows: ending the session frees it.
            await conn.close()
    except psycopg.Error:
        await conn.close()
    finally:
        await pool.putconn(conn)


async def configure(conn: "AsyncConnection[Any]") -> None:
    """Step down to the application's role for the life of the connection, whoever logged in."""
    await conn.execute(f"SET ROLE {_ROLE}".encode())
    await conn.execute("SET TIME ZONE 'UTC'")
    if not conn.autocommit:
        await conn.commit()


async def _configure_calls(conn: "AsyncConnection[Any]") -> None:
    """What calls write counts for others at once, and is on disk within a second (three times wal_writer_delay).

    Callers of one tenant take turns at its rows: if each kept its lock until the disk had answered, a disk that takes
    6 ms would let some 100 model calls a second through, however many processors there are.
    """
    await configure(conn)
    await conn.execute("SET synchronous_commit TO off")


async def _check(conn: Connection) -> None:
    """Fail for a connection that the server has closed. One that nothing came on needs no round trip to be known well:
    a server says farewell before it closes, and the end of a connection is readable too."""
    watch = select.poll()
    watch.register(conn.fileno(), select.POLLIN | select.POLLHUP | select.POLLERR)
    if watch.poll(0):
        await AsyncConnectionPool.check_connection(conn)


def _pool(
    dsn: str, name: str, least: int, most: int, *, autocommit: bool, of_calls: bool = False
) -> "AsyncConnectionPool[Connection]":
    return AsyncConnectionPool(
        dsn,
        connection_class=AsyncConnection[DictRow],
        kwargs={"row_factory": dict_row, "autocommit": autocommit, "connect_timeout": 5},
        min_size=least,
        max_size=most,
        timeout=5.0,
        # A connection that the server has closed meanwhile (a restart) is replaced before anybody gets it.
        check=None if of_calls else _check,
        configure=_configure_calls if of_calls else configure,
        name=name,
        open=False,
    )
