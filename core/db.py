"""The database as the application sees it: transactions that belong to one tenant, and locks between processes.

Every connection works as the role `mutirao_app`, which owns nothing and is bound by row-level security. The tenant is
set for one transaction only, so a connection that goes back to the pool carries nothing of it.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout

from core.errors import SetupError, Unavailable

Connection = AsyncConnection[DictRow]
"""A connection inside a transaction; rows come as dicts, times aware and in UTC."""

_ROLE = "mutirao_app"


class Database:
    """A pool of connections to the application's database, and a small one apart for locks, which are held for long.

    `max_pool` connections run transactions, up to `max_locks` hold locks. Open it inside a running event loop.
    """

    def __init__(self, app_dsn: str, *, min_pool: int = 1, max_pool: int = 10, max_locks: int = 16) -> None:
        self.app_dsn = app_dsn
        self._pool = _pool(app_dsn, "mutirao", min_pool, max_pool, autocommit=False)
        self._locks = _pool(app_dsn, "mutirao locks", 0, max_locks, autocommit=True)

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
        await self._locks.open()

    async def close(self) -> None:
        await self._locks.close()
        await self._pool.close()

    @asynccontextmanager
    async def tenant(self, tenant_id: str) -> AsyncIterator[Connection]:
        """One transaction that sees and writes this tenant's rows only. Commits at the end, rolls back on any error."""
        if not tenant_id:
            raise ValueError("a transaction of a tenant needs its id")
        async with self._transaction() as conn:
            await conn.execute("SELECT set_config('app.tenant_id', %s, true)", [tenant_id])
            yield conn

    @asynccontextmanager
    async def system(self) -> AsyncIterator[Connection]:
        """One transaction of no tenant: it sees no tenant's rows, only what belongs to the whole house."""
        async with self._transaction() as conn:
            yield conn

    @asynccontextmanager
    async def lock(self, key: str, timeout: float = 60.0) -> AsyncIterator[None]:
        """Hold the lock `key` among all processes on this database; first come, first served.

        It is not re-entrant, and it ends with its process: PostgreSQL frees it when the connection breaks.
        Unavailable("busy", key) when it is not free within `timeout` seconds.
        """
        try:
            conn = await self._locks.getconn(timeout)
        except (PoolTimeout, PoolClosed) as error:
            if self._locks.get_stats().get("pool_size", 0) >= self._locks.max_size:
                raise Unavailable("busy", "too many locks are held", key=key) from None
            raise Unavailable("database_unreachable", str(error)) from None
        held = False
        try:
            await conn.execute("SELECT set_config('lock_timeout', %s, false)", [f"{max(int(timeout * 1000), 1)}ms"])
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
            await asyncio.shield(self._free(conn, key, held))

    async def _free(self, conn: Connection, key: str, held: bool) -> None:
        try:
            if held and not conn.closed:
                await conn.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", [key])
            else:
                # Whether a cancelled wait got the lock in its last moment nobody knows: ending the session frees it.
                await conn.close()
        except psycopg.Error:
            await conn.close()
        finally:
            await self._locks.putconn(conn)

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Connection]:
        try:
            conn = await self._pool.getconn()
        except (PoolTimeout, PoolClosed) as error:
            raise Unavailable("database_unreachable", str(error)) from None
        try:
            async with conn.transaction():
                yield conn
        except psycopg.OperationalError as error:
            if conn.closed or conn.broken:
                raise Unavailable("database_unreachable", str(error)) from error
            raise
        finally:
            await self._pool.putconn(conn)


async def configure(conn: "AsyncConnection[Any]") -> None:
    """Step down to the application's role for the life of the connection, whoever logged in."""
    await conn.execute(f"SET ROLE {_ROLE}".encode())
    await conn.execute("SET TIME ZONE 'UTC'")
    if not conn.autocommit:
        await conn.commit()


def _pool(dsn: str, name: str, least: int, most: int, *, autocommit: bool) -> "AsyncConnectionPool[Connection]":
    return AsyncConnectionPool(
        dsn,
        connection_class=AsyncConnection[DictRow],
        kwargs={"row_factory": dict_row, "autocommit": autocommit, "connect_timeout": 5},
        min_size=least,
        max_size=most,
        timeout=5.0,
        # A connection that the server has closed meanwhile (a restart) is replaced before anybody gets it.
        check=AsyncConnectionPool.check_connection,
        configure=configure,
        name=name,
        open=False,
    )
