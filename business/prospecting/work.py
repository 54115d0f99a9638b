"""The work on a search: one process at a time, by a lease that runs out, so that another goes on after a crash.

Everything that is done for one company is one transaction: the candidate, the counts, the cost, how far its query has
been walked. So a process that dies loses at most the company in its hands, and no company is counted or kept twice. A
process whose lease has run out, or whose search was paused, learns it at its next write and writes nothing.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from psycopg.types.json import Jsonb

from business.prospecting.enrich import Used
from business.prospecting.evidence import Evidence, evidence_from, from_the_web
from business.prospecting.lessons import Lesson, Said, traits_of
from business.prospecting.plan import Check
from business.prospecting.rules import RuleSet
from business.prospecting.score import Score, record
from business.prospecting.searches import (
    Candidate,
    CandidateState,
    Cost,
    Progress,
    Search,
    State,
    candidate_of,
    company_key,
    forgotten_in,
    lessons_in,
    rules_in,
    said_in,
    search_in,
)
from core.clock import Clock
from core.db import Database, fetch_all, fetch_one
from core.errors import Refused, Unavailable
from core.ids import new_id

LEASE = timedelta(seconds=60)
"""Renewed with every write and, by `alive`, three times in its course: so a crash is noticed within a minute."""


class Interrupted(Exception):
    """The search is no longer this process's: paused, ended, or taken over. No error: the work is left as it is."""


@dataclass(frozen=True)
class Place:
    """How far one query has been walked."""

    cursor: str | None
    """What the page in hand is asked with; None: the first."""
    item: int
    """How many of its companies are done."""
    pages: int
    """Read to their end by this search."""
    ended_at: datetime | None
    """When the registry had no further page."""


@dataclass(frozen=True)
class Taken:
    """A search that this process works on."""

    tenant_id: str
    worker: str
    search: Search
    places: dict[str, Place]
    """Step key → where it is."""
    rules: RuleSet
    lessons: tuple[Lesson, ...]


@dataclass(frozen=True)
class Fresh:
    """A company to be kept."""

    cnpj: str
    name: str | None
    bronze: dict[str, Any]
    evidence: Sequence[Evidence]
    score: Score


class Work:
    """What finding.py writes with. All moments come from `clock`."""

    def __init__(self, db: Database, clock: Clock, *, lease: timedelta = LEASE) -> None:
        self._db = db
        self._clock = clock
        self.lease = lease

    def now(self) -> datetime:
        return self._clock.now()

    async def take(self, tenant_id: str, search_id: str, worker: str) -> Taken | None:
        """The search for this process, when it is running and no other process has it; else None.

        `worker` names the process, another one each time it starts. Refused("prospect_unknown").
        """
        now = self._clock.now()
        async with self._db.tenant(tenant_id) as conn:
            taken = await conn.execute(
                """UPDATE prospect_searches SET lease_by = %s, lease_until = %s
                   WHERE id = %s AND state = 'running'
                     AND (lease_by IS NULL OR lease_by = %s OR lease_until <= %s)""",
                [worker, now + self.lease, search_id, worker, now],
            )
            search = await search_in(conn, search_id, None)
            if not taken.rowcount:
                return None
            rows = await fetch_all(conn, "SELECT * FROM prospect_cursors WHERE search_id = %s", [search_id])
            places = {row["step"]: Place(row["cursor"], row["item"], row["pages"], row["ended_at"]) for row in rows}
            return Taken(tenant_id, worker, search, places, await rules_in(conn), await lessons_in(conn))

    async def known(self, tenant_id: str, cnpjs: Iterable[str]) -> set[str]:
        """Which of these companies the tenant has as candidates already, of whatever search that was not corrected."""
        keys = {company_key(tenant_id, cnpj): cnpj for cnpj in cnpjs}
        async with self._db.tenant(tenant_id) as conn:
            rows = await fetch_all(
                conn,
                "SELECT company_key FROM prospect_candidates WHERE company_key = ANY(%s) AND NOT released",
                [list(keys)],
            )
            return {keys[row["company_key"]] for row in rows}

    async def remembered(self, tenant_id: str, cnpjs: Iterable[str]) -> dict[str, tuple[Evidence, ...]]:
        """What was learnt on the web about companies of a search that was corrected: it need not be learnt again."""
        async with self._db.tenant(tenant_id) as conn:
            rows = await fetch_all(
                conn,
                "SELECT cnpj, evidence FROM prospect_candidates WHERE company_key = ANY(%s) AND released",
                [[company_key(tenant_id, cnpj) for cnpj in cnpjs]],
            )
            return {row["cnpj"]: from_the_web(map(evidence_from, row["evidence"])) for row in rows}

    async def keep(
        self, taken: Taken, step: str, place: Place, progress: Progress, cost: Cost, fresh: Fresh | None = None
    ) -> Candidate | None:
        """Write how far it is and, with `fresh`, a candidate; None when the company is a candidate already. One of a
        search that was corrected becomes this search's, and stays saved if it was.

        `progress` counts without this candidate; its verdict, or that it is a duplicate, is added here. Interrupted.
        """
        now = self._clock.now()
        async with self._db.tenant(taken.tenant_id) as conn:
            held = await conn.execute(
                """UPDATE prospect_searches SET lease_until = %s, progress = %s, cost = %s, updated_at = %s
                   WHERE id = %s AND lease_by = %s AND state = 'running'""",
                [
                    now + self.lease, Jsonb(progress.record()), Jsonb(cost.record()), now, taken.search.id,
                    taken.worker,
                ],
            )  # fmt: skip
            if not held.rowcount:
                raise Interrupted(taken.search.id)
            await conn.execute(
                """UPDATE prospect_cursors SET cursor = %s, item = %s, pages = %s, ended_at = %s
                   WHERE search_id = %s AND step = %s""",
                [place.cursor, place.item, place.pages, place.ended_at, taken.search.id, step],
            )
            if fresh is None:
                return None
            group = company_key(taken.tenant_id, fresh.cnpj[:8])
            # The same company found by two searches at once: one of them has it, as the unique key says. Its branches
            # are looked for under a lock, so that only one of a house is new.
            await conn.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"prospect:{group}"])
            row = await fetch_one(
                conn,
                """INSERT INTO prospect_candidates (tenant_id, id, search_id, company_key, group_key, cnpj, name,
                       bronze, evidence, score, verdict, scored, rules_version, state, duplicate_of, step,
                       found_at, updated_at)
                   SELECT current_tenant(), %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s,
                       CASE WHEN same.id IS NULL THEN 'new' ELSE 'duplicate' END, same.id, %s, %s, %s
                   FROM (SELECT 1) AS one LEFT JOIN LATERAL (
                       SELECT id FROM prospect_candidates
                       WHERE group_key = %s AND duplicate_of IS NULL ORDER BY seq LIMIT 1
                   ) same ON true
                   ON CONFLICT (tenant_id, company_key) DO UPDATE SET seq = DEFAULT, released = false,
                       search_id = excluded.search_id, bronze = excluded.bronze, evidence = excluded.evidence,
                       score = excluded.score, verdict = excluded.verdict, scored = excluded.scored,
                       rules_version = excluded.rules_version, step = excluded.step,
                       outcome = CASE prospect_candidates.state WHEN 'saved' THEN 'unchanged' END,
                       found_at = excluded.found_at, updated_at = excluded.updated_at
                   WHERE prospect_candidates.released AND prospect_candidates.cnpj IS NOT NULL RETURNING *""",
                [
                    new_id("cand"), taken.search.id, company_key(taken.tenant_id, fresh.cnpj), group, fresh.cnpj,
                    fresh.name, Jsonb(fresh.bronze), Jsonb([one.record() for one in fresh.evidence]),
                    fresh.score.total, fresh.score.verdict, Jsonb(record(fresh.score)), fresh.score.version, step,
                    now, now, group,
                ],
            )  # fmt: skip
            candidate = candidate_of(row) if row is not None else None
            await conn.execute(
                "UPDATE prospect_searches SET progress = %s WHERE id = %s",
                [Jsonb(counted(progress, candidate).record()), taken.search.id],
            )
        return candidate

    @asynccontextmanager
    async def alive(self, taken: Taken) -> AsyncIterator[None]:
        """Renew the lease in the background while something slow is done."""
        renewing = asyncio.create_task(self._renew(taken), name="lease of a search")
        try:
            yield
        finally:
            renewing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await renewing

    async def _renew(self, taken: Taken) -> None:
        while True:
            await asyncio.sleep(self.lease.total_seconds() / 3)
            # A database that is away is noticed at the next write; the lease is renewed when it is back.
            with contextlib.suppress(Unavailable):
                async with self._db.tenant(taken.tenant_id) as conn:
                    await conn.execute(
                        "UPDATE prospect_searches SET lease_until = %s WHERE id = %s AND lease_by = %s",
                        [self._clock.now() + self.lease, taken.search.id, taken.worker],
                    )

    async def waiting(self, tenant_id: str) -> list[str]:
        """Ids of searches that should be worked on and that nobody does: for a round that starts them again."""
        async with self._db.tenant(tenant_id) as conn:
            rows = await fetch_all(
                conn,
                """SELECT id FROM prospect_searches
                   WHERE state = 'running' AND (lease_by IS NULL OR lease_until <= %s) ORDER BY created_at""",
                [self._clock.now()],
            )
            return [row["id"] for row in rows]

    async def finish(self, taken: Taken, state: State, ended: str) -> None:
        """Done or failed, and why. Nothing when the search is no longer this process's."""
        async with self._db.tenant(taken.tenant_id) as conn:
            await conn.execute(
                """UPDATE prospect_searches SET state = %s, ended = %s, lease_by = NULL, lease_until = NULL,
                       updated_at = %s WHERE id = %s AND lease_by = %s AND state = 'running'""",
                [state, ended, self._clock.now(), taken.search.id, taken.worker],
            )

    async def let_go(self, taken: Taken) -> None:
        """Give the lease back without an end: the next process may go on at once."""
        async with self._db.tenant(taken.tenant_id) as conn:
            await conn.execute(
                "UPDATE prospect_searches SET lease_by = NULL, lease_until = NULL WHERE id = %s AND lease_by = %s",
                [taken.search.id, taken.worker],
            )

    async def look(self, tenant_id: str, search_id: str) -> Search:
        """The search as it stands. Refused("prospect_unknown")."""
        async with self._db.tenant(tenant_id) as conn:
            return await search_in(conn, search_id, None)

    async def found(self, tenant_id: str, search_id: str) -> list[Candidate]:
        """All candidates of a search, the best first."""
        async with self._db.tenant(tenant_id) as conn:
            rows = await fetch_all(
                conn, "SELECT * FROM prospect_candidates WHERE search_id = %s ORDER BY score DESC, seq", [search_id]
            )
            return [candidate_of(row) for row in rows]

    async def charge(self, tenant_id: str, search_id: str, used: Used) -> None:
        """Add what was looked up after a search had ended to its cost; while it runs its worker's counts stand."""
        async with self._db.tenant(tenant_id) as conn:
            query = "SELECT id FROM prospect_searches WHERE id = %s AND state <> 'running' FOR UPDATE"
            if await fetch_one(conn, query, [search_id]) is not None:
                cost = charged((await search_in(conn, search_id, None)).cost, used)
                update = "UPDATE prospect_searches SET cost = %s WHERE id = %s"
                await conn.execute(update, [Jsonb(cost.record()), search_id])

    async def judged_by(self, tenant_id: str) -> tuple[RuleSet, tuple[Lesson, ...]]:
        """The tenant's rules and lessons as they are now."""
        async with self._db.tenant(tenant_id) as conn:
            return await rules_in(conn), await lessons_in(conn)

    async def learnt(self, tenant_id: str, candidate: Candidate, evidence: Sequence[Evidence], of: Score) -> Candidate:
        """A candidate of which more is known now, and its score with that. What became of it stays.
        Refused("prospect_unknown") when it was erased meanwhile."""
        async with self._db.tenant(tenant_id) as conn:
            row = await fetch_one(
                conn,
                """UPDATE prospect_candidates SET evidence = %s, score = %s, verdict = %s, scored = %s,
                   rules_version = %s, updated_at = %s WHERE id = %s AND cnpj IS NOT NULL RETURNING *""",
                [
                    Jsonb([one.record() for one in evidence]), of.total, of.verdict, Jsonb(record(of)), of.version,
                    self._clock.now(), candidate.id,
                ],
            )  # fmt: skip
            if row is None:  # erased meanwhile
                raise Refused("prospect_unknown", f"no candidate {candidate.id!r}")
            return candidate_of(row)

    async def heard(self, tenant_id: str, company_id: str, said: Said) -> None:
        """What became in the CRM of a company that was a candidate. A lost deal does not take back that somebody
        rejected it as not of this kind."""
        now = self._clock.now()
        async with self._db.tenant(tenant_id) as conn:
            rows = await fetch_all(
                conn,
                "SELECT * FROM prospect_candidates WHERE company_id = %s AND (state = 'saved' OR %s = 'won')",
                [company_id, said],
            )
            for row in rows:
                await said_in(conn, row["id"], said, traits_of(candidate_of(row).evidence, now.date()), "crm", now)

    async def joined(self, tenant_id: str, kept_id: str, other_id: str) -> None:
        """Two companies of the CRM are one now: candidates that became the other are the kept one's."""
        async with self._db.tenant(tenant_id) as conn:
            update = "UPDATE prospect_candidates SET company_id = %s WHERE company_id = %s"
            await conn.execute(update, [kept_id, other_id])

    async def forget(self, tenant_id: str, company_ids: Sequence[str]) -> list[str]:
        """Erase the candidates that became these companies of the CRM; their ids."""
        async with self._db.tenant(tenant_id) as conn:
            return await forgotten_in(conn, self._clock.now(), "company_id", company_ids)

    async def fail(self, tenant_id: str, search_id: str, code: str) -> None:
        """Give a running search up, whoever worked on it: its job has failed too often."""
        async with self._db.tenant(tenant_id) as conn:
            await conn.execute(
                """UPDATE prospect_searches SET state = 'failed', ended = %s, lease_by = NULL, lease_until = NULL,
                       updated_at = %s WHERE id = %s AND state = 'running'""",
                [code, self._clock.now(), search_id],
            )


def charged(cost: Cost, used: Used) -> Cost:
    """The cost with that of a look."""
    searches = dict(cost.searches)
    for vendor, units in used.searches.items():
        searches[vendor] = searches.get(vendor, 0) + units
    return replace(
        cost,
        searches=searches,
        sites=cost.sites + used.sites,
        model_calls=cost.model_calls + used.model_calls,
        model_usd=cost.model_usd + used.model_usd,
    )


def counted(progress: Progress, candidate: Candidate | None) -> Progress:
    """The counts with a candidate that has just been kept; None was known already."""
    if candidate is None:
        return with_left_out(progress, Check.KNOWN)
    name = "duplicates" if candidate.state is CandidateState.DUPLICATE else str(candidate.verdict)
    return replace(progress, **{name: getattr(progress, name) + 1})


def with_left_out(progress: Progress, why: Check, count: int = 1) -> Progress:
    """The counts with companies that were left out."""
    return replace(progress, left_out={**progress.left_out, str(why): progress.left_out.get(why, 0) + count})
