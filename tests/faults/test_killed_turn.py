"""A worker killed with -9 wherever a message is sorted or answered, and a database that hangs up: the next worker
finishes, nothing is lost, and nothing is said twice."""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import psycopg
from psycopg.types.json import Jsonb

from tests.conftest import Dsns, Tenants

POINTS = [
    "sort.before_commit", "sort.after_commit", "turn.begun", "turn.answered", "turn.before_commit", "turn.after_commit",
]  # fmt: skip

WORKER = """
import asyncio, importlib, os, sys
from pathlib import Path

import core.failpoints
from agents.answering import Turns
from business.people.service import People
from core.clock import SystemClock
from core.db import Database
from core.door import Reply, UsageTotals
from core.permissions import Permissions
from core.tenancy import Role
from tests.business.messaging.chat_house import chat_house, webhook, wrote

dsn, tenant_id, admin_id, folder, *points = sys.argv[1:]


class One:
    id = tenant_id

    def __init__(self, who):
        self.who = who

    def __getitem__(self, role):
        return self.who


class Two:
    pass


async def answers(turn, history):
    usage = UsageTotals(0, 0, 0, None, [])
    return Reply(turn.id, turn.conversation_id, "Sobre: " + turn.text, "pt-BR", [], [], [], [], [], usage, {}, "")


async def work(point):
    clock, db = SystemClock(), Database(dsn)
    await db.open()
    async with db.system() as conn:
        permissions = await Permissions.load(conn)
    people, tenants = People(db, clock, sandbox=True), Two()
    tenants.one = One(await people.identity(tenant_id, admin_id))
    timing = {"heartbeat": 0.2, "stalled": 1.0}
    async with chat_house(db, clock, permissions, tenants, Path(folder), **timing) as house:
        async def nothing(*args): ...

        turns = Turns(
            db, clock, answers, people.agent, house.channels, house.rules, house.outbox, house.hands, house.waking,
            house.notices, house.texts, {}, nothing, nothing, lambda kind, media: ("", {}),
        )
        house.turn = turns.run
        if point:
            now = clock.now()
            who = f"55199{points.index(point):08d}"
            both = [wrote(f"{point}.{text}", text, who=who, at=now) for text in ("um", "dois")]
            await house.keep(webhook(*both))
        else:
            async with db.system() as conn:  # the database hangs up on everybody else
                await conn.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
        stop = asyncio.Event()
        running = [asyncio.create_task(house.jobs.run_worker(stop)), asyncio.create_task(house.sorter.run(stop))]
        for _ in range(600):
            await asyncio.sleep(0.05)
            try:
                rows = await house.rows(
                    "SELECT (SELECT count(*) FROM inbox WHERE sorted_at IS NULL)"
                    " + (SELECT count(*) FROM chats WHERE waiting_since IS NOT NULL) AS open"
                )
            except Exception:
                continue
            if rows[0]["open"] == 0 and not await house.queued():
                break
        stop.set()
        await asyncio.gather(*running)
    await db.close()


for point in [*points, ""]:
    if (child := os.fork()) == 0:
        os.environ["MUTIRAO_FAILPOINT"] = point
        importlib.reload(core.failpoints)
        asyncio.run(work(point))
        os._exit(0)
    _, status = os.waitpid(child, 0)
    with Path(folder, "ended").open("a") as told:
        print(point, "killed" if os.WIFSIGNALED(status) else os.WEXITSTATUS(status), file=told)
"""


def test_whoever_is_killed_at_any_point_is_followed_by_one_who_finishes(
    dsns: Dsns, tenants: Tenants, tmp_path: Path
) -> None:
    with psycopg.connect(dsns.owner) as conn:
        rules = "quiet_seconds: 0\nmost_wait_seconds: 0\n"
        conn.execute("UPDATE tenants SET settings = %s", [Jsonb({"message_rules": rules})])
    admin = next(iter(tenants.one.identities.values()))
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", WORKER, dsns.app, tenants.one.id, admin.user_id, str(tmp_path), *POINTS],
        env={**os.environ, "PYTHONPATH": root}, cwd=tmp_path, capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    ended = (tmp_path / "ended").read_text().split()
    assert ended == [word for point in POINTS for word in (point, "killed")] + ["0"], (
        done.stdout[-3000:] + done.stderr[-3000:]
    )
    with psycopg.connect(dsns.owner) as conn:
        assert conn.execute("SELECT DISTINCT outcome FROM inbox").fetchall() == [("sorted",)]
        said = conn.execute(
            """SELECT c.address, array_agg(m.text ORDER BY m.seq) FROM chats c JOIN chat_messages m ON m.chat_id = c.id
               GROUP BY 1 ORDER BY 1"""
        ).fetchall()
        jobs = conn.execute("SELECT count(*) FROM procrastinate_jobs WHERE task_name = 'chat_turn'").fetchone()
        worst = conn.execute("SELECT max(created_at) - min(created_at) FROM outbox").fetchone()
    assert said == [(f"55199{n:08d}", ["um", "dois", "Sobre: um\ndois"]) for n in range(len(POINTS))]
    assert jobs == (0,)
    assert worst is not None and worst[0] < timedelta(seconds=60)
