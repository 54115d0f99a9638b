"""What other processes say over PostgreSQL (NOTIFY), heard on one connection of this process.

A notice is a hint, never the news itself: it says where to look. While the connection is away notices are lost, so
every listener is told "" when it comes back: anything may have changed.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import psycopg
import structlog
from psycopg import AsyncConnection

from core.db import configure

log = structlog.get_logger(__name__)

_MOST_WAITING = 10_000  # notices that a listener may leave unread; more are one "" to it
_LONGEST_PAUSE = 5.0  # seconds between attempts to connect


class Notices:
    """Listens for this process. The connection is made at the first `listen` and closed by `close`."""

    def __init__(self, app_dsn: str) -> None:
        self._dsn = app_dsn
        self._heard: dict[str, set[asyncio.Queue[str]]] = {}
        self._task: asyncio.Task[None] | None = None
        self._conn: AsyncConnection[object] | None = None
        self._changed = asyncio.Event()

    async def listen(self, channel: str) -> AsyncIterator[str]:
        """The payloads of `channel` from now on, and "" at first and after each gap."""
        queue: asyncio.Queue[str] = asyncio.Queue(_MOST_WAITING)
        queue.put_nowait("")
        if channel not in self._heard:
            self._heard[channel] = set()
            self._changed.set()
        self._heard[channel].add(queue)
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="notices")
        try:
            while True:
                yield await queue.get()
        finally:
            self._heard[channel].discard(queue)

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _run(self) -> None:
        pause = 0.1
        while True:
            try:
                async with await AsyncConnection.connect(
                    self._dsn, autocommit=True, connect_timeout=5, application_name="mutirao notices"
                ) as conn:
                    await configure(conn)
                    pause = 0.1
                    await self._hear(conn)
            except (psycopg.Error, OSError) as error:
                log.info("notices_lost", reason=str(error).partition("\n")[0])
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _hear(self, conn: "AsyncConnection[object]") -> None:
        listening: set[str] = set()
        while True:
            self._changed.clear()
            for channel in self._heard.keys() - listening:
                await conn.execute(f'LISTEN "{channel}"'.encode())
                listening.add(channel)
                self._tell(channel, "")
            reading = asyncio.ensure_future(self._read(conn))
            changed = asyncio.ensure_future(self._changed.wait())
            try:
                await asyncio.wait({reading, changed}, return_when=asyncio.FIRST_COMPLETED)
                if reading.done():
                    reading.result()  # it only ends by an error
            finally:
                for one in (reading, changed):
                    one.cancel()
                await asyncio.gather(reading, changed, return_exceptions=True)

    async def _read(self, conn: "AsyncConnection[object]") -> None:
        while True:
            async for notice in conn.notifies(timeout=30.0):
                self._tell(notice.channel, notice.payload)
            await conn.execute("SELECT 1")  # a connection that died silently is found out

    def _tell(self, channel: str, payload: str) -> None:
        for queue in self._heard.get(channel, ()):
            try:
                queue.put_nowait(payload)
            except asyncio.QueueFull:
                while not queue.empty():
                    queue.get_nowait()
                queue.put_nowait("")
