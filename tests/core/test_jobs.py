"""A job runs if its transaction commits, once it is there, and again when its worker is killed."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest

from core.db import Database
from core.errors import Unavailable
from core.jobs import MOST_RESCUES, Jobs
from tests.conftest import Dsns, Tenants, until


class Seen:
    """Job functions that write down what they were called with."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.failures_left = 0

    async def note(self, subject_id: str) -> None:
        if self.failures_left:
            self.failures_left -= 1
            raise Unavailable("database_unreachable", "for a while")
        self.calls.append(subject_id)

    async def tick(self) -> None:
        self.calls.append("tick")


@contextlib.asynccontextmanager
async def working(jobs: Jobs) -> AsyncIterator[None]:
    stop = asyncio.Event()
    worker = asyncio.create_task(jobs.run_worker(stop))
    yield
    stop.set()
    await asyncio.wait_for(worker, 15)


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
async def jobs(dsns: Dsns, seen: Seen) -> AsyncIterator[Jobs]:
    made = Jobs(dsns.app, heartbeat=0.2, stalled=1.0)
    made.task("note", seen.note)
    await made.open()
    yield made
    await made.close()


def waiting(dsn: str) -> list[tuple[str, str]]:
    with psycopg.connect(dsn) as conn:
        return conn.execute("SELECT task_name, status::text FROM procrastinate_jobs ORDER BY id").fetchall()


async def test_jobs_run_soon_and_leave_nothing_behind(jobs: Jobs, seen: Seen, owner_dsn: str) -> None:
    async with working(jobs):
        for n in range(10):
            await jobs.defer(None, "note", subject_id=f"import_{n}")
        await until(lambda: len(seen.calls) == 10)
        await until(lambda: waiting(owner_dsn) == [])
    assert sorted(seen.calls) == [f"import_{n}" for n in range(10)]


async def test_a_job_of_a_rolled_back_transaction_does_not_run_and_of_a_committed_one_does(
    jobs: Jobs, seen: Seen, database: Database, tenants: Tenants
) -> None:
    async def fail() -> None:
        async with database.tenant(tenants.one.id) as conn:
            await jobs.defer(conn, "note", subject_id="lost")
            raise RuntimeError("stop")

    async with working(jobs):
        with pytest.raises(RuntimeError):
            await fail()
        async with database.tenant(tenants.one.id) as conn:
            await jobs.defer(conn, "note", subject_id="kept")
            await asyncio.sleep(0.5)  # longer than the poll: it must wait for the commit
            assert seen.calls == []
        await until(lambda: seen.calls == ["kept"])


async def test_a_failing_job_is_tried_again_later(jobs: Jobs, seen: Seen, owner_dsn: str) -> None:
    seen.failures_left = 1
    async with working(jobs):
        await jobs.defer(None, "note", subject_id="import_1")
        await until(lambda: seen.failures_left == 0)
        await until(lambda: waiting(owner_dsn) == [("note", "todo")])
        with psycopg.connect(owner_dsn) as conn:
            conn.execute("UPDATE procrastinate_jobs SET scheduled_at = now()")
        await until(lambda: seen.calls == ["import_1"])


async def test_a_job_that_always_fails_is_kept_as_failed_for_a_while(jobs: Jobs, seen: Seen, owner_dsn: str) -> None:
    async def break_down(subject_id: str) -> None:
        raise RuntimeError("a bug")

    jobs.task("broken", break_down, attempts=1)
    async with working(jobs):
        await jobs.defer(None, "broken", subject_id="import_1")
        await until(lambda: waiting(owner_dsn) == [("broken", "failed")])


async def test_what_is_periodic_runs_by_the_clock(dsns: Dsns, seen: Seen) -> None:
    jobs = Jobs(dsns.app)
    jobs.periodic("tick", "* * * * * *", seen.tick)
    await jobs.open()
    async with working(jobs):
        await until(lambda: len(seen.calls) >= 2)
    await jobs.close()


WORKER = """
import asyncio, sys
sys.path[:0] = [{root!r}]
from core.jobs import Jobs

async def hang(subject_id):
    print("began", flush=True)
    await asyncio.Event().wait()

async def main():
    jobs = Jobs({dsn!r}, heartbeat=0.2, stalled=1.0)
    jobs.task("note", hang)
    await jobs.open()
    await jobs.run_worker(asyncio.Event())

asyncio.run(main())
"""


async def test_the_job_of_a_killed_worker_is_rescued(jobs: Jobs, seen: Seen, dsns: Dsns) -> None:
    code = WORKER.format(root=str(Path(__file__).parents[2]), dsn=dsns.app)
    doomed = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    assert doomed.stdout is not None
    await jobs.defer(None, "note", subject_id="import_1")
    assert await asyncio.wait_for(doomed.stdout.readline(), 20) == b"began\n"
    assert waiting(dsns.owner) == [("note", "doing")]
    os.kill(doomed.pid, signal.SIGKILL)
    await doomed.wait()
    async with working(jobs):
        await until(lambda: seen.calls == ["import_1"])
    assert waiting(dsns.owner) == []


async def test_a_live_workers_job_is_not_taken_from_it(jobs: Jobs, dsns: Dsns) -> None:
    began, go_on = asyncio.Event(), asyncio.Event()
    runs = 0

    async def long(subject_id: str) -> None:
        nonlocal runs
        runs += 1
        began.set()
        await go_on.wait()

    jobs.task("long", long)
    async with working(jobs):
        await jobs.defer(None, "long", subject_id="import_1")
        await began.wait()
        for _ in range(10):
            assert await jobs.rescue() == 0
            await asyncio.sleep(0.2)
        go_on.set()
    assert runs == 1


async def test_a_job_that_kills_its_worker_each_time_is_given_up(jobs: Jobs, seen: Seen, owner_dsn: str) -> None:
    await jobs.defer(None, "note", subject_id="import_1")
    with psycopg.connect(owner_dsn) as conn:
        conn.execute("UPDATE procrastinate_jobs SET status = 'doing', attempts = %s", [MOST_RESCUES])
    assert await jobs.rescue() == 0
    assert waiting(owner_dsn) == [("note", "failed")]


@pytest.mark.parametrize("text", ["o que a cliente escreveu", "ação", "x" * 101])
async def test_a_job_carries_ids_only(jobs: Jobs, text: str, owner_dsn: str) -> None:
    with pytest.raises(ValueError, match="ids"):
        await jobs.defer(None, "note", subject_id=text)
    assert waiting(owner_dsn) == []


async def test_a_worker_outlives_a_cut_connection(jobs: Jobs, seen: Seen, owner_dsn: str) -> None:
    async with working(jobs):
        await jobs.defer(None, "note", subject_id="before")
        await until(lambda: seen.calls == ["before"])
        with psycopg.connect(owner_dsn) as conn:
            conn.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        await jobs.defer(None, "note", subject_id="after")
        await until(lambda: seen.calls == ["before", "after"])


async def test_an_unreachable_database_is_told(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as told:
        await Jobs(f"host={tmp_path} dbname=x user=y").open()
    assert told.value.code == "database_unreachable"


async def test_a_round_that_was_killed_while_the_next_one_waits_does_not_stop_the_clock(dsns: Dsns, jobs: Jobs) -> None:
    with psycopg.connect(dsns.owner, autocommit=True) as conn:
        for status in ("doing", "todo"):  # the first without a worker: it was killed, and forgotten
            conn.execute(
                """INSERT INTO procrastinate_jobs (queue_name, task_name, lock, queueing_lock, args, status)
                   VALUES ('default', 'note', 'tick', 'tick', '{"subject_id": "next"}', %s)""",
                [status],
            )
        assert await jobs.rescue() == 1
        rows = conn.execute("SELECT status::text, count(*) FROM procrastinate_jobs GROUP BY 1").fetchall()
    assert rows == [("todo", 1)]
    assert await jobs.rescue() == 0
