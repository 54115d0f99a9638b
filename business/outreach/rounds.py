"""The clock's round over the runs of cadences: stop what was answered, begin what went quiet, do what is due.

A step is one transaction. What a person is asked, or is to do, is made after it and outside of it, once by its key: who
dies in between leaves the step to be asked again.
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import psycopg
import structlog

from business.outreach.cadence import QUIET, Step, said
from business.outreach.runs import ALIVE, Cadences, Run, run_of
from core.clock import Clock
from core.db import Connection, Database, fetch_one
from core.errors import MutiraoError
from core.failpoints import reach as failpoint

log = structlog.get_logger(__name__)

_LOOK_AGAIN = timedelta(minutes=30)
"""Between looks at a message that has not left yet."""
_AFTER_ERROR = timedelta(hours=1)
"""Until a run is tried again that could not be done."""
_MOST_AT_ONCE = 200
"""Steps of one tenant in one round, so that others have their turn."""

Propose = Callable[[Run, Step, str, str, str], Awaitable[str]]
"""(run, step, text, subject, key): ask a person about one message; the proposal's id."""
Ended = Callable[[Connection, Run], Awaitable[None]]
"""Somebody is told that a run ended unanswered."""


class Rounds:
    """`propose`: without it, every message goes as if it was approved with the first one; `ended`: see Ended."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        runs: Cadences,
        *,
        propose: Propose | None = None,
        ended: Ended | None = None,
    ) -> None:
        self._db = db
        self._clock = clock
        self._runs = runs
        self._reach = runs.reach
        self._propose = propose
        self._ended = ended

    async def run(self, tenant_id: str) -> int:
        """Stop what was answered, begin what went quiet, do the steps that are due. How many steps were done. Called by
        the clock; two at once do each step once."""
        async with self._db.tenant(tenant_id) as conn:
            over = [(run_id, "replied") for run_id in await self._reach.answered(conn)]
            over += [(run_id, "by_person") for run_id in await self._reach.declined(conn)]
        for run_id, why in over:
            with _aside(run_id):
                async with self._db.tenant(tenant_id) as conn:
                    if (run := await self._runs.locked(conn, run_id)) and run.state in ALIVE:
                        await self._runs.end(conn, run, "stopped", why)
        with _aside(QUIET):
            await self._begin_quiet(tenant_id)
        done = 0
        while done < _MOST_AT_ONCE and await self._one_step(tenant_id):
            done += 1
        return done

    async def _begin_quiet(self, tenant_id: str) -> None:
        async with self._db.tenant(tenant_id) as conn:
            cadence = await self._runs.cadence(tenant_id, QUIET, conn)
            if not cadence.steps:
                return
            first = cadence.steps[0]
            for lead in await self._reach.quiet(conn, first.after_hours or first.after_days * 24, 100):
                await self._runs.start(conn, tenant_id, cadence, lead, by="system")

    async def _one_step(self, tenant_id: str) -> bool:
        """Do the step that is due longest, in one transaction. False when none is due. One that cannot be done is left
        for an hour, and is in nobody's way."""
        now = self._clock.now()
        async with self._db.tenant(tenant_id) as conn:
            row = await fetch_one(
                conn,
                """SELECT * FROM outreach_runs WHERE state = 'running' AND next_at <= %s
                   ORDER BY next_at, id LIMIT 1 FOR UPDATE SKIP LOCKED""",
                [now],
            )
            if row is None:
                return False
            asked = None
            try:
                async with conn.transaction():
                    asked = await self._due(conn, run_of(row), now)
            except psycopg.OperationalError:  # the database's own trouble, not this run's
                raise
            except Exception:
                log.exception("cadence_run_broken", run=row["id"], step=row["step"])
                await conn.execute(
                    "UPDATE outreach_runs SET next_at = %s WHERE id = %s", [now + _AFTER_ERROR, row["id"]]
                )
        if asked is not None:
            with _aside(row["id"]):
                await self._ask(*asked)
        return True

    async def _due(self, conn: Connection, run: Run, now: datetime) -> tuple[Run, Step, str, str, str] | None:
        """The step of one run, in the caller's transaction; what a person has to be asked once that is committed."""
        situation = await self._reach.situation(conn, run)
        if situation.stop:
            await self._runs.end(conn, run, "stopped", situation.stop)
            return None
        if situation.open:  # it waits for its hour, or for a person: the next one counts from when it left
            await self._runs.wait(conn, run, now + _LOOK_AGAIN)
            return None
        last = situation.left_at
        if last is not None and run.last_touch_at is not None and last > run.last_touch_at:
            await conn.execute("UPDATE outreach_runs SET last_touch_at = %s WHERE id = %s", [last, run.id])
            await self._runs.schedule(conn, run, last)
            fresh = await self._runs.locked(conn, run.id)
            if fresh is None or fresh.next_at is None or fresh.next_at > now:
                return None
            run = fresh
        if run.step >= len(run.cadence.steps):
            await self._runs.end(conn, run, "done", "unanswered")
            if self._ended is not None:
                await self._ended(conn, run)
            return None
        step = run.cadence.steps[run.step]
        words = await self._reach.words(conn, run)
        text, subject = said(step.text, run.language, words), said(step.subject, run.language, words)
        key = f"cadence:{run.id}:{run.step}"
        if step.sent and (run.cadence.approval == "once" or self._propose is None):
            sent = await self._reach.send(conn, run, step, text, subject, key)
            what = "message" if sent else "skipped"
            await self._runs.touch(conn, run, run.step, step.channel, what, sent, "" if sent else "no_way")
            await self._runs.move_on(conn, run, touched=bool(sent))
            failpoint("cadence.before_commit")
            return None
        # Whoever dies before it is asked leaves it to be asked again.
        await self._runs.wait(conn, run, now + _LOOK_AGAIN)
        return run, step, text, subject, key

    async def _ask(self, run: Run, step: Step, text: str, subject: str, key: str) -> None:
        """A step that a person does or says yes to: task and proposal are made outside of our transaction, once by
        their key; then the run moves on, or waits."""
        what: str
        ref: str | None
        try:
            if step.sent:
                assert self._propose is not None
                what, ref = "proposal", await self._propose(run, step, text, subject, key)
            else:
                what, ref = "task", await self._reach.task(run, step, text, key)
        except MutiraoError as error:
            log.warning("cadence_step_failed", run=run.id, step=run.step, reason=error.code)
            what, ref = "skipped", None
        async with self._db.tenant(run.tenant_id) as conn:
            current = await self._runs.locked(conn, run.id)
            if current is None or current.state != "running" or current.step != run.step:
                return
            await self._runs.touch(
                conn, run, run.step, step.channel, what if ref else "skipped", ref, "" if ref else "no_way"
            )
            if what == "proposal" and ref:
                await conn.execute("UPDATE outreach_runs SET state = 'waiting', next_at = NULL WHERE id = %s", [run.id])
            else:
                await self._runs.move_on(conn, current, touched=False)


@contextmanager
def _aside(run_id: str) -> Iterator[None]:
    """Whatever goes wrong with one run is logged, and the others go on."""
    try:
        yield
    except psycopg.OperationalError:
        raise
    except Exception:
        log.exception("cadence_run_broken", run=run_id)
