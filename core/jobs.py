"""Jobs: work that outlives a request, kept in PostgreSQL by procrastinate, so that any process on it can take a hand.

A job is deferred inside the caller's transaction: it runs if that commits, and only then. Its arguments are ids.
A job may run more than once (its worker was killed in the middle), so what it calls must bear that.

What procrastinate 3.10 needs to be told (measured): it polls every 5 s, which is also how long a lost notification
waits; a job whose worker was killed stays "doing" for ever; finished jobs are kept.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

import procrastinate
import psycopg
import structlog
from procrastinate import exceptions, jobs
from psycopg import AsyncConnection

from core.db import configure
from core.errors import Unavailable

log = structlog.get_logger(__name__)

POLL = 0.3  # seconds between looks for work, beside the notifications
HEARTBEAT = 4.0  # seconds between a worker's signs of life
STALLED = 15.0  # seconds without one after which its jobs are given to another, 22 at the latest
_LONG_LIFE = 3.0  # seconds of a worker after which it is begun again at once
MOST_RESCUES = 5  # starts of one job; one that kills its worker each time must not go on for ever
KEEP_FAILED_HOURS = 24 * 7

DEFAULT = "default"
QUEUES: dict[str, int] = {DEFAULT: 4, "talk": 24, "send": 20, "media": 3}
"""Queue → how many of its jobs one process runs at once. People who wait for an answer have queues of their own: a hunt
of minutes must not keep them waiting, nor a film that is fetched. A turn mostly waits for a model; a message mostly for
its gateway, of which none gets more than a part of the places (business/messaging/lanes.py)."""


class Jobs:
    """The kinds of jobs, the queue, and the worker.

    `app_dsn` is the application's database; `queues` as QUEUES. Kinds are told by `task` and `periodic` before `open`.
    """

    def __init__(
        self,
        app_dsn: str,
        *,
        queues: Mapping[str, int] = QUEUES,
        heartbeat: float = HEARTBEAT,
        stalled: float = STALLED,
    ) -> None:
        self._app_dsn = app_dsn
        self._queues = dict(queues)
        self._heartbeat = heartbeat
        self._stalled = stalled
        connector = procrastinate.PsycopgConnector(
            conninfo=app_dsn,
            configure=configure,
            min_size=0,
            # A worker listens on one; a job needs one for a moment, to be fetched and to be ended.
            max_size=len(self._queues) * 2 + 6,
            name="mutirao jobs",
            timeout=5.0,
        )
        # A worker that was down for longer than max_delay seconds does not make up for what it missed.
        self._app = procrastinate.App(connector=connector, periodic_defaults={"max_delay": 600})

    def task(self, name: str, fn: Callable[..., Awaitable[None]], *, attempts: int = 3, queue: str = DEFAULT) -> None:
        """A kind of job: `await fn(**ids)`. A failure is tried again after 3, 9, 27… s, `attempts` times in all."""
        if queue not in self._queues:
            raise ValueError(f"no queue {queue!r}")
        retry = procrastinate.RetryStrategy(max_attempts=attempts, exponential_wait=3) if attempts > 1 else False

        async def run(**ids: Any) -> None:
            await fn(**ids)

        self._app.task(name=name, retry=retry, queue=queue)(run)

    def periodic(self, name: str, cron: str, fn: Callable[[], Awaitable[None]], *, queue: str = DEFAULT) -> None:
        """`await fn()` by the clock, once among all workers; the next round waits for one that is not over.

        `cron` has five fields, or six with seconds at the end; times are UTC.
        """

        async def run(timestamp: int) -> None:  # when it was due
            await fn()

        task = self._app.task(name=name, queueing_lock=name, lock=name, queue=queue)(run)
        self._app.periodic(cron=cron)(task)

    async def open(self) -> None:
        """Connect, for `defer` and `run_worker`. Unavailable("database_unreachable")."""
        try:
            # A single connection says at once what a pool would keep trying.
            await (await AsyncConnection.connect(self._app_dsn, connect_timeout=5)).close()
            await self._app.open_async()
        except (psycopg.OperationalError, exceptions.ConnectorException) as error:
            raise Unavailable("database_unreachable", str(error)) from None

    async def close(self) -> None:
        await self._app.close_async()

    async def defer(
        self,
        conn: "AsyncConnection[Any] | None",
        name: str,
        /,
        *,
        at: datetime | None = None,
        lock: str | None = None,
        **ids: str | int,
    ) -> int:
        """Put a job in the queue and return its number. With `conn` it is part of that transaction.

        Unavailable("database_unreachable") without one.

        `at`: not before that moment. `lock`: jobs of one name run one after the other in the order in which they were
        deferred; one that waits for its moment holds back those behind it.
        `ids` are ids and numbers only: the queue's tables have no row-level security.
        """
        for key, value in ids.items():
            if not isinstance(value, int) and (len(value) > 100 or not value.isascii() or " " in value):
                raise ValueError(f"a job carries ids, not {key}={value!r}")
        try:
            task = self._app.tasks[name].configure(connection=conn, schedule_at=at, lock=lock)
            return await task.defer_async(**ids)
        except exceptions.ConnectorException as error:
            if conn is not None:  # the caller's transaction broke: they are told as by any statement of theirs
                raise (error.__cause__ if isinstance(error.__cause__, psycopg.Error) else error) from None
            raise Unavailable("database_unreachable", str(error)) from None

    async def run_worker(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set, then let running jobs finish for up to 10 s. Outlives a database that goes away."""
        rescuer = asyncio.create_task(self._rescue_for_ever(), name="rescue of stalled jobs")
        try:
            async with asyncio.TaskGroup() as workers:
                for queue in self._queues:
                    workers.create_task(self._work(queue, stop), name=f"work at {queue}")
        finally:
            rescuer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await rescuer

    async def _work(self, queue: str, stop: asyncio.Event) -> None:
        """One queue's worker, made anew when it ended."""
        pause = 0.2
        while not stop.is_set():
            began = time.monotonic()
            worker = asyncio.create_task(
                self._app.run_worker_async(
                    queues=[queue],
                    name=f"mutirao {queue}",
                    concurrency=self._queues[queue],
                    fetch_job_polling_interval=POLL,
                    abort_job_polling_interval=5.0,
                    shutdown_graceful_timeout=10.0,
                    delete_jobs=jobs.DeleteJobCondition.SUCCESSFUL,
                    update_heartbeat_interval=self._heartbeat,
                    stalled_worker_timeout=self._stalled,
                    install_signal_handlers=False,
                ),
                name="worker",
            )
            stopping = asyncio.create_task(stop.wait())
            try:
                await asyncio.wait({worker, stopping}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                stopping.cancel()
                worker.cancel()
                await asyncio.wait({worker})
            if stop.is_set():
                return
            error = None if worker.cancelled() else worker.exception()
            reason = type(error).__name__ if error else "side task"
            if time.monotonic() - began > _LONG_LIFE:
                pause = 0.2  # it had worked: this is another misfortune than the last one
            log.warning("worker_ended", queue=queue, reason=reason, again_in=pause)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await stop.wait()
            pause = min(pause * 2, 10.0)

    async def rescue(self) -> int:
        """Give the jobs of workers that show no sign of life back to the queue; returns how many."""
        rescued = 0
        manager = self._app.job_manager
        for job in await manager.get_stalled_jobs(seconds_since_heartbeat=self._stalled):
            # Another worker may rescue the same job in this moment: then it is not "doing" any more.
            with contextlib.suppress(exceptions.ConnectorException):
                if job.attempts >= MOST_RESCUES:
                    await manager.finish_job(job, jobs.Status.FAILED, delete_job=False)
                    log.error("job_given_up", job=job.id, task=job.task_name, attempts=job.attempts)
                    continue
                try:
                    await manager.retry_job(job)
                except exceptions.UniqueViolation:
                    # The next round of a periodic job waits already, for the lock that this one holds for ever.
                    await manager.finish_job(job, jobs.Status.FAILED, delete_job=True)
                rescued += 1
                log.warning("job_rescued", job=job.id, task=job.task_name)
        return rescued

    async def _rescue_for_ever(self) -> None:
        while True:
            try:
                await self.rescue()
                await self._app.job_manager.delete_old_jobs(
                    KEEP_FAILED_HOURS, include_failed=True, include_cancelled=True, include_aborted=True
                )
            except exceptions.ConnectorException as error:
                log.warning("rescue_failed", reason=str(error))
            await asyncio.sleep(self._stalled / 2)
