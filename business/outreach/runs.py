"""Runs of cadences: one lead, step after step, until somebody answers, asks to be left alone, or it is over.

A run's step is one transaction: the message is put where it waits to leave, and the run moves on; a process that dies
leaves either both or neither. Whoever answers stops it at once; what the message rules say (hours, holidays, too many)
they say when a message leaves, and the next step counts from the day on which it really left.

What the clock does with them stands in rounds.py. How messages leave, when a business day is and who is whom, others
know: a `Reach` is handed in (tools/reach.py).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

import structlog
from psycopg.types.json import Jsonb

from business.outreach.cadence import DEFAULT, QUIET, Cadence, Step, cadence_from, parse_cadence, shipped
from core.audit import audit
from core.clock import Clock
from core.db import Connection, Database, fetch_all, fetch_one
from core.errors import ArgumentsWrong, Refused
from core.ids import new_id
from core.permissions import Permissions, Rights
from core.tenancy import Identity

log = structlog.get_logger(__name__)

AREA = "sdr"
State = Literal["running", "waiting", "stopped", "done"]
ALIVE = ("running", "waiting")
_AFTER_LAST = 3
"""Business days after the last step until a run counts as unanswered."""


@dataclass(frozen=True)
class Run:
    """See migrations: outreach_runs. `name`: of whom it is about."""

    id: str
    tenant_id: str
    cadence: Cadence
    name: str
    company_id: str | None
    contact_id: str | None
    deal_id: str | None
    chat_id: str | None
    owner_id: str | None
    started_by: str
    words: Mapping[str, str]
    state: State
    reason: str
    step: int
    touches: int
    last_touch_at: datetime | None
    next_at: datetime | None
    started_at: datetime
    ended_at: datetime | None

    @property
    def language(self) -> str:
        return self.words.get("language", "pt-BR")


@dataclass(frozen=True)
class Lead:
    """About whom a run is. One of the ids at least. `quiet_since`: when they wrote last, if the run follows that up."""

    name: str
    company_id: str | None = None
    contact_id: str | None = None
    deal_id: str | None = None
    chat_id: str | None = None
    owner_id: str | None = None
    words: Mapping[str, str] = field(default_factory=dict)
    quiet_since: datetime | None = None


@dataclass(frozen=True)
class Situation:
    """How a run stands before its next step. `stop`: why it must not go on (replied, opted_out, person, won, lost,
    said_no, meeting, gone, by_person, not_sent); `left_at`: when the message before left; `open`: it has not left
    yet."""

    stop: str | None = None
    left_at: datetime | None = None
    open: bool = False


class Reach(Protocol):
    async def situation(self, conn: Connection, run: Run) -> Situation: ...

    async def moment(self, conn: Connection, run: Run, start: datetime, *, days: int, hours: int) -> datetime:
        """`days` business days or `hours` after `start`, where the lead lives."""
        ...

    async def send(self, conn: Connection, run: Run, step: Step, text: str, subject: str, key: str) -> str | None:
        """Put a message into the outbox, once by `key`; its id, None when there is no way to them by this channel."""
        ...

    async def words(self, conn: Connection, run: Run) -> Mapping[str, str]:
        """What fills texts, as far as it is known: name, sender, house, company, topic."""
        ...

    async def task(self, run: Run, step: Step, text: str, key: str) -> str | None:
        """A task of a person with the text ready, once by `key`; None when nobody can do it."""
        ...

    async def drop(self, conn: Connection, run: Run, why: str) -> None:
        """Take back what has not left."""
        ...

    async def answered(self, conn: Connection) -> Sequence[str]:
        """Ids of running runs whose people wrote since they began."""
        ...

    async def declined(self, conn: Connection) -> Sequence[str]:
        """Ids of waiting runs whose step a person refused, or let expire."""
        ...

    async def quiet(self, conn: Connection, hours: int, most: int) -> Sequence[Lead]:
        """Conversations in which the bot had the last word and something is still open, that have been quiet for
        `hours`, and of which no run was begun since."""
        ...


class Cadences:
    """An account's cadences, and the runs of them."""

    def __init__(self, db: Database, clock: Clock, permissions: Permissions, reach: Reach) -> None:
        self._db = db
        self._clock = clock
        self._rights = Rights(permissions, AREA, "outreach_not_allowed")
        self.reach = reach

    # --- files --------------------------------------------------------------------------------

    async def cadence(self, tenant_id: str, name: str = DEFAULT, within: Connection | None = None) -> Cadence:
        """The account's own of this name, else ours. ArgumentsWrong("cadence_unknown", name, known)."""
        async with self._db.tenant(tenant_id, within) as conn:
            row = await fetch_one(conn, "SELECT text FROM cadences WHERE name = %s", [name])
            if row is not None:
                return parse_cadence(row["text"])
            if name in (DEFAULT, QUIET):
                return shipped(name)
            rows = await fetch_all(conn, "SELECT name FROM cadences ORDER BY name")
        known = ", ".join(dict.fromkeys([DEFAULT, *(one["name"] for one in rows)]))
        raise ArgumentsWrong("cadence_unknown", f"no cadence {name!r}", name=name[:60], known=known)

    async def names(self, who: Identity) -> list[str]:
        """Names of all that can be begun."""
        self._rights.reads(who)
        async with self._db.tenant(who.tenant_id) as conn:
            rows = await fetch_all(conn, "SELECT name FROM cadences ORDER BY name")
        return list(dict.fromkeys([DEFAULT, QUIET, *(row["name"] for row in rows)]))

    async def save(self, who: Identity, text: str) -> Cadence:
        """Keep an account's file under its name; runs that began go on as they were. Errors as `parse_cadence`;
        Refused("outreach_not_allowed")."""
        self._rights.writes_all(who)
        found = parse_cadence(text)
        async with self._db.tenant(who.tenant_id) as conn:
            await conn.execute(
                """INSERT INTO cadences (tenant_id, name, text, by_user, at) VALUES (current_tenant(), %s, %s, %s, %s)
                   ON CONFLICT (tenant_id, name) DO UPDATE SET text = excluded.text, by_user = excluded.by_user,
                       at = excluded.at""",
                [found.name, text, who.user_id, self._clock.now()],
            )
            await audit(conn, who, "cadence.saved", found.name, {"steps": len(found.steps)})
        return found

    # --- beginning and ending -----------------------------------------------------------------

    async def start(
        self, conn: Connection, tenant_id: str, cadence: Cadence, lead: Lead, *, by: str, first: str | None = None
    ) -> str | None:
        """Begin a run in the caller's transaction, its first step due as the cadence says, counted from now or from
        when the lead went quiet. `first`: outbox id of the message that begins it. None when the lead is in one
        already, or the cadence has no steps."""
        if not cadence.steps:
            return None
        now = self._clock.now()
        row = await fetch_one(
            conn,
            """INSERT INTO outreach_runs (tenant_id, id, cadence, plan, name, company_id, contact_id, deal_id, chat_id,
                   owner_id, started_by, words, state, step, touches, last_touch_at, next_at, started_at)
               VALUES (current_tenant(), %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 'running', 0, %s, %s, %s, %s)
               ON CONFLICT DO NOTHING RETURNING *""",
            [
                new_id("run"), cadence.name, Jsonb(cadence.record()), lead.name[:200], lead.company_id,
                lead.contact_id, lead.deal_id, lead.chat_id, lead.owner_id, by, Jsonb(dict(lead.words)),
                1 if first else 0, now if first else None, now, now,
            ],
        )  # fmt: skip
        if row is None:
            return None
        run = run_of(row)
        if first:
            await self.touch(conn, run, -1, cadence.steps[0].channel, "message", first, "")
        await self.schedule(conn, run, lead.quiet_since or now)
        return run.id

    async def list(self, who: Identity, *, alive: bool = False, limit: int = 50) -> Sequence[Run]:
        """The newest first; for a role that sees its own, those it owns or began."""
        own = self._rights.reads(who)
        async with self._db.tenant(who.tenant_id) as conn:
            rows = await fetch_all(
                conn,
                """SELECT * FROM outreach_runs
                   WHERE (%(own)s::text IS NULL OR owner_id = %(own)s OR started_by = %(own)s)
                     AND (NOT %(alive)s OR state = ANY(%(states)s))
                   ORDER BY started_at DESC, id DESC LIMIT %(limit)s""",
                {"own": own, "alive": alive, "states": list(ALIVE), "limit": max(1, min(limit, 200))},
            )
            return [run_of(row) for row in rows]

    async def stop(self, who: Identity, run_id: str, reason: str = "by_person") -> Run:
        """End a run; what has not left stays here. Refused: outreach_not_allowed, run_unknown."""
        own = self._rights.writes(who)
        async with self._db.tenant(who.tenant_id) as conn:
            row = await fetch_one(conn, "SELECT * FROM outreach_runs WHERE id = %s FOR UPDATE", [run_id])
            if row is None or (own is not None and own not in (row["owner_id"], row["started_by"])):
                raise Refused("run_unknown", f"no run {run_id[:60]!r}")
            run = run_of(row)
            if run.state in ALIVE:
                await self.end(conn, run, "stopped", reason)
                await audit(conn, who, "outreach.stopped", run.id, {"reason": reason})
            row = await fetch_one(conn, "SELECT * FROM outreach_runs WHERE id = %s", [run_id])
        assert row is not None
        return run_of(row)

    # --- what a person's word does ----------------------------------------------------------------

    async def approved(self, conn: Connection, run_id: str, step: int, text: str, subject: str) -> str | None:
        """A person said yes to a step that waited: put its message, and go on. The outbox id; None when the run is not
        waiting for it any more, or there is no way to them. In the caller's transaction."""
        run = await self.locked(conn, run_id)
        if run is None or run.state != "waiting" or run.step != step:
            return None
        what = run.cadence.steps[step]
        sent = await self.reach.send(conn, run, what, text, subject, f"cadence:{run.id}:{step}")
        await conn.execute("UPDATE outreach_runs SET state = 'running' WHERE id = %s", [run_id])
        if sent:
            await conn.execute(
                "UPDATE outreach_touches SET what = 'message', ref = %s WHERE run_id = %s AND step = %s",
                [sent, run_id, step],
            )
        await self.move_on(conn, run, touched=bool(sent))
        return sent

    async def end_of_first(self, conn: Connection, chat_id: str, first: str, reason: str) -> None:
        """Stop the run that the message `first` (its outbox id) began in this conversation, in the caller's
        transaction. Any other run there has nothing to do with that message."""
        row = await fetch_one(
            conn,
            """SELECT * FROM outreach_runs r WHERE chat_id = %s AND state = ANY(%s) AND EXISTS (
                   SELECT FROM outreach_touches t WHERE t.run_id = r.id AND t.step = -1 AND t.ref = %s) FOR UPDATE""",
            [chat_id, list(ALIVE), first],
        )
        if row is not None:
            await self.end(conn, run_of(row), "stopped", reason)

    async def get(self, conn: Connection, run_id: str) -> Run | None:
        row = await fetch_one(conn, "SELECT * FROM outreach_runs WHERE id = %s", [run_id])
        return run_of(row) if row else None

    # --- rows ---------------------------------------------------------------------------------

    async def locked(self, conn: Connection, run_id: str) -> Run | None:
        """A run, locked until the end of the caller's transaction."""
        row = await fetch_one(conn, "SELECT * FROM outreach_runs WHERE id = %s FOR UPDATE", [run_id])
        return run_of(row) if row else None

    async def move_on(self, conn: Connection, run: Run, *, touched: bool) -> None:
        """The step is done: on to the next. `touched`: a message was put."""
        now = self._clock.now()
        row = await fetch_one(
            conn,
            """UPDATE outreach_runs SET step = step + 1, touches = touches + %s,
               last_touch_at = CASE WHEN %s THEN %s ELSE last_touch_at END WHERE id = %s RETURNING *""",
            [int(touched), touched, now, run.id],
        )
        assert row is not None
        await self.schedule(conn, run_of(row), now)

    async def schedule(self, conn: Connection, run: Run, start: datetime) -> None:
        """When the step that is next is due, counted from `start`."""
        over = run.step >= len(run.cadence.steps)
        days = _AFTER_LAST if over else run.cadence.steps[run.step].after_days
        hours = 0 if over else run.cadence.steps[run.step].after_hours
        at = await self.reach.moment(conn, run, start, days=days, hours=hours)
        await self.wait(conn, run, at)

    async def wait(self, conn: Connection, run: Run, at: datetime) -> None:
        """Look at it again at a moment."""
        await conn.execute("UPDATE outreach_runs SET next_at = %s WHERE id = %s", [at, run.id])

    async def end(self, conn: Connection, run: Run, state: State, reason: str) -> None:
        """It is over; when it was stopped, what has not left never will."""
        await conn.execute(
            "UPDATE outreach_runs SET state = %s, reason = %s, next_at = NULL, ended_at = %s WHERE id = %s",
            [state, reason, self._clock.now(), run.id],
        )
        if state == "stopped":
            await self.reach.drop(conn, run, reason)

    async def touch(
        self, conn: Connection, run: Run, step: int, channel: str, what: str, ref: str | None, reason: str
    ) -> None:
        """Write down once what a step did."""
        await conn.execute(
            """INSERT INTO outreach_touches (tenant_id, run_id, step, channel, what, ref, reason, at)
               VALUES (current_tenant(), %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING""",
            [run.id, step, channel, what, ref, reason, self._clock.now()],
        )


def run_of(row: Mapping[str, Any]) -> Run:
    return Run(
        row["id"], row["tenant_id"], cadence_from(row["plan"]), row["name"], row["company_id"], row["contact_id"],
        row["deal_id"], row["chat_id"], row["owner_id"], row["started_by"], row["words"], row["state"], row["reason"],
        row["step"], row["touches"], row["last_touch_at"], row["next_at"], row["started_at"], row["ended_at"],
    )  # fmt: skip
