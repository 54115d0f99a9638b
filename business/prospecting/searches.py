"""Searches and their candidates, for people: start, look, pause, go on, say what became of a candidate.

Every call takes who asks, and is bounded by what their role may in the area "hunter": a seller looks, and starts
nothing. What is another tenant's or never was is answered alike (`prospect_unknown`). The work itself is done under a
lease (work.py) by finding.py.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal
from zoneinfo import ZoneInfo

from psycopg.types.json import Jsonb

from business.prospecting.evidence import Evidence, evidence_from
from business.prospecting.lessons import (
    Lesson,
    Said,
    Trait,
    asked_for,
    favours,
    lessons_from,
    may_matter,
    told,
    traits_of,
)
from business.prospecting.lines import Line, line_from
from business.prospecting.model import IdealCustomer, customer_from
from business.prospecting.plan import SearchPlan, make_plan, plan_from
from business.prospecting.rules import RuleSet, default_rules, parse_rules
from business.prospecting.score import Verdict
from core.audit import audit
from core.clock import Clock
from core.db import Connection, Database, fetch_all, fetch_one
from core.errors import ArgumentsWrong, Refused
from core.ids import new_id
from core.permissions import Permissions, Rights
from core.tenancy import Identity

AREA = "hunter"
AGAIN_AFTER = timedelta(days=30)
"""A query that was walked to its end is walked again by a search this much later: the registry is renewed monthly."""
_LONGEST_SENTENCE = 600


class State(StrEnum):
    RUNNING = "running"
    """To be worked on, whether or not a process does so in this moment."""
    PAUSED = "paused"
    DONE = "done"
    FAILED = "failed"


class CandidateState(StrEnum):
    NEW = "new"
    SAVED = "saved"
    """It is in the CRM."""
    DUPLICATE = "duplicate"
    REJECTED = "rejected"


@dataclass(frozen=True)
class Progress:
    """What a search has done so far."""

    seen: int = 0
    """Companies looked at."""
    qualified: int = 0
    person: int = 0
    below: int = 0
    duplicates: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)
    """plan.Check → companies."""
    lookups_failed: int = 0
    """Looks at the web that brought nothing because a source failed."""
    web_off: str = ""
    """Why the web was not asked any more, as the code of an error: the month's quota is over, no vendor has a key."""

    @property
    def kept(self) -> int:
        return self.qualified + self.person + self.below

    def record(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__} | {"left_out": dict(self.left_out)}


@dataclass(frozen=True)
class Cost:
    """What a search has used of the sources, in their units."""

    pages: int = 0
    """Pages of the registry that were asked for; one that is read again after a halt counts again."""
    searches: Mapping[str, int] = field(default_factory=dict)
    """Search vendor → units of its monthly quota."""
    sites: int = 0
    """Websites looked at."""
    model_calls: int = 0
    model_usd: Decimal = Decimal(0)
    """Of the calls whose price is known, in US dollars."""

    def record(self) -> dict[str, Any]:
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return plain | {"searches": dict(self.searches), "model_usd": str(self.model_usd)}


@dataclass(frozen=True)
class Search:
    id: str
    sentence: str
    language: str
    profile: IdealCustomer
    plan: SearchPlan
    rules_version: str
    state: State
    ended: str | None
    """enough, enough_to_look_at, plan_end, or the code of the error that ended it."""
    progress: Progress
    cost: Cost
    owner_id: str | None
    created_at: datetime
    updated_at: datetime
    conversation_id: str | None = None
    """Where it was asked for, and where its end is told."""


@dataclass(frozen=True)
class Candidate:
    """A company that a search found. Fields are None after its erasure."""

    id: str
    search_id: str
    cnpj: str | None
    name: str | None
    bronze: Mapping[str, Any] | None
    """What the registry answered (integrations.minha_receita.payloads.from_record)."""
    evidence: tuple[Evidence, ...]
    score: int
    verdict: Verdict
    rules_version: str
    state: CandidateState
    duplicate_of: str | None
    scored: Mapping[str, Any]
    step: str
    """The query that brought it."""
    found_at: datetime
    company_id: str | None = None
    """The company of the CRM that it became."""
    outcome: str | None = None
    """What saving it was there: created, updated (it was known already) or unchanged."""
    note: Line | None = None
    """Why it waits for a person although it qualifies, or was rejected."""

    def explained(self) -> list[Line]:
        """Every line of the score as it was made: see score.explain."""
        return [line_from(line) for line in self.scored["explained"]]

    def reasons(self) -> list[Line]:
        """Why this verdict, in few words: see score.reasons."""
        return [line_from(line) for line in self.scored["reasons"]]


class Searches:
    """Searches and candidates of all tenants; each call sees one tenant's, as far as the user's role reaches."""

    def __init__(self, db: Database, clock: Clock, permissions: Permissions) -> None:
        self._db = db
        self._clock = clock
        self._rights = Rights(permissions, AREA, "prospect_not_allowed")

    # --- searches ---------------------------------------------------------------------------------

    async def start(
        self,
        who: Identity,
        sentence: str,
        profile: IdealCustomer,
        language: str | None = None,
        *,
        conversation_id: str | None = None,
        within: Connection | None = None,
    ) -> Search:
        """A search for `profile`, ready to be worked on. Of the same wish it goes on where the last one stopped.

        `within`: the caller's transaction, as everywhere here.
        ArgumentsWrong("prospect_profile_open") when activity or place is missing; Refused("prospect_not_allowed").
        """
        self._rights.writes(who)
        if not profile.searchable:
            raise ArgumentsWrong("prospect_profile_open", "a search needs an activity and a place")
        now = self._clock.now()
        async with self._db.tenant(who.tenant_id, within) as conn:
            rules = await rules_in(conn)
            taught = await lessons_in(conn)
            plan = make_plan(profile, favours(profile, taught, rules.feedback))
            search_id = new_id("search")
            await conn.execute(
                """INSERT INTO prospect_searches (tenant_id, id, wish, sentence, language, profile, plan, rules_version,
                       state, progress, cost, owner_id, conversation_id, created_at, updated_at)
                   VALUES (current_tenant(), %s, %s, %s, %s, %s, %s, %s, 'running', %s, %s, %s, %s, %s, %s)""",
                [
                    search_id, profile.key, sentence[:_LONGEST_SENTENCE], language or who.language,
                    Jsonb(profile.record()), Jsonb(plan.record()), rules.version, Jsonb(Progress().record()),
                    Jsonb(Cost().record()), who.user_id, conversation_id, now, now,
                ],
            )  # fmt: skip
            # One row for each query, from where the last search of the same wish left it.
            await conn.execute(
                """INSERT INTO prospect_cursors (tenant_id, search_id, step, cursor, item, ended_at)
                   SELECT current_tenant(), %s, step.key, last.cursor, coalesce(last.item, 0), last.ended_at
                   FROM unnest(%s::text[]) AS step (key)
                   LEFT JOIN LATERAL (
                       SELECT c.cursor, c.item, c.ended_at FROM prospect_cursors c
                       JOIN prospect_searches s ON s.tenant_id = c.tenant_id AND s.id = c.search_id
                       WHERE s.wish = %s AND c.step = step.key AND s.id <> %s
                       ORDER BY s.created_at DESC, s.id DESC LIMIT 1
                   ) last ON last.ended_at IS NULL OR last.ended_at > %s""",
                [search_id, [step.key for step in plan.steps], profile.key, search_id, now - AGAIN_AFTER],
            )
            return await search_in(conn, search_id, None)

    async def get(self, who: Identity, search_id: str) -> Search:
        """Refused("prospect_unknown")."""
        own = self._rights.reads(who)
        async with self._db.tenant(who.tenant_id) as conn:
            return await search_in(conn, search_id, own)

    async def latest(self, who: Identity, most: int = 20) -> list[Search]:
        """The newest searches first."""
        own = self._rights.reads(who)
        async with self._db.tenant(who.tenant_id) as conn:
            rows = await fetch_all(
                conn,
                """SELECT * FROM prospect_searches WHERE %s::text IS NULL OR owner_id = %s
                   ORDER BY created_at DESC, id DESC LIMIT %s""",
                [own, own, min(max(most, 1), 100)],
            )
            return [_search(row) for row in rows]

    async def pause(self, who: Identity, search_id: str) -> Search:
        """Halt a running search; whoever works on it stops at the next company. Else it stays as it is."""
        return await self._switch(who, search_id, State.RUNNING, State.PAUSED)

    async def resume(self, who: Identity, search_id: str, *, within: Connection | None = None) -> Search:
        """Let a paused search go on. One that is done or failed stays so: the same sentence starts the next."""
        return await self._switch(who, search_id, State.PAUSED, State.RUNNING, within)

    async def _switch(
        self, who: Identity, search_id: str, was: State, becomes: State, within: Connection | None = None
    ) -> Search:
        own = self._rights.writes(who)
        async with self._db.tenant(who.tenant_id, within) as conn:
            await search_in(conn, search_id, own)
            await conn.execute(
                """UPDATE prospect_searches SET state = %s, updated_at = %s, lease_by = NULL, lease_until = NULL
                   WHERE id = %s AND state = %s""",
                [becomes, self._clock.now(), search_id, was],
            )
            return await search_in(conn, search_id, own)

    def check_may_change(self, who: Identity) -> None:
        """Refused("prospect_not_allowed") for who may only look."""
        self._rights.writes(who)

    async def release(self, who: Identity, search_id: str) -> int:
        """Let the search that corrects this one look again at what it and its owner's others of the same wish found,
        but not at what a person decided about; how many. One that it finds becomes its own, with a new score; the
        others stay."""
        own = self._rights.writes(who)
        async with self._db.tenant(who.tenant_id) as conn:
            await search_in(conn, search_id, own)
            done = await conn.execute(
                """UPDATE prospect_candidates c SET released = true
                   WHERE state IN ('new', 'saved') AND search_id IN (
                           SELECT same.id FROM prospect_searches s
                           JOIN prospect_searches same ON same.tenant_id = s.tenant_id AND same.wish = s.wish
                                AND same.owner_id IS NOT DISTINCT FROM s.owner_id
                           WHERE s.id = %s)
                       AND NOT EXISTS (SELECT 1 FROM prospect_feedback f WHERE f.candidate_id = c.id)""",
                [search_id],
            )
            return done.rowcount

    # --- candidates -------------------------------------------------------------------------------

    async def candidates(
        self, who: Identity, search_id: str, *, verdict: Verdict | None = None, most: int = 500
    ) -> list[Candidate]:
        """What a search found: the best first, of the same score the first found first. Refused("prospect_unknown")."""
        own = self._rights.reads(who)
        async with self._db.tenant(who.tenant_id) as conn:
            await search_in(conn, search_id, own)
            rows = await fetch_all(
                conn,
                """SELECT * FROM prospect_candidates WHERE search_id = %s AND (%s::text IS NULL OR verdict = %s)
                   ORDER BY score DESC, seq LIMIT %s""",
                [search_id, verdict, verdict, min(max(most, 1), 1_000)],
            )
            return [candidate_of(row) for row in rows]

    async def found_after(self, who: Identity, search_id: str, after: int = 0) -> tuple[list[Candidate], int]:
        """What a search found since, in that order: `after` is the number that the last call gave. Duplicates of
        another candidate are left out. Refused("prospect_unknown")."""
        own = self._rights.reads(who)
        async with self._db.tenant(who.tenant_id) as conn:
            await search_in(conn, search_id, own)
            rows = await fetch_all(
                conn,
                """SELECT * FROM prospect_candidates
                   WHERE search_id = %s AND seq > %s AND state <> 'duplicate' ORDER BY seq""",
                [search_id, after],
            )
            return [candidate_of(row) for row in rows], rows[-1]["seq"] if rows else after

    async def candidate(self, who: Identity, candidate_id: str) -> Candidate:
        """Refused("prospect_unknown")."""
        own = self._rights.reads(who)
        async with self._db.tenant(who.tenant_id) as conn:
            return await _candidate_in(conn, candidate_id, own)

    async def mark(
        self,
        who: Identity,
        candidate_id: str,
        state: CandidateState,
        duplicate_of: str | None = None,
        *,
        company_id: str | None = None,
        outcome: str | None = None,
        note: Line | None = None,
    ) -> Candidate:
        """What became of a candidate: saved to the CRM (as which company, with which outcome), a duplicate of another
        candidate, rejected, or new, which waits for a person. `note` says why it waits or was rejected."""
        own = self._rights.writes(who)
        async with self._db.tenant(who.tenant_id) as conn:
            await _candidate_in(conn, candidate_id, own)
            if duplicate_of is not None:
                await _candidate_in(conn, duplicate_of, own)
            await conn.execute(
                """UPDATE prospect_candidates SET state = %s, duplicate_of = %s, company_id = coalesce(%s, company_id),
                   outcome = coalesce(%s, outcome), note = %s, updated_at = %s WHERE id = %s""",
                [
                    state, duplicate_of, company_id, outcome, None if note is None else Jsonb(note.record()),
                    self._clock.now(), candidate_id,
                ],
            )  # fmt: skip
            return await _candidate_in(conn, candidate_id, own)

    async def forget(self, who: Identity, cnpj: str) -> bool:
        """Erase what is known of a company, for good; it is not found again. Whether there was something."""
        self._rights.writes(who)
        async with self._db.tenant(who.tenant_id) as conn:
            gone = await forgotten_in(conn, self._clock.now(), "company_key", [company_key(who.tenant_id, cnpj)])
            for candidate_id in gone:
                await audit(conn, who, "prospect.forgotten", candidate_id, {})
            return bool(gone)

    # --- what is learnt -----------------------------------------------------------------------------

    async def say(self, who: Identity, candidate_id: str, said: Said) -> list[Line]:
        """Won, lost or "not this kind"; the last word counts. What it changes from the next search of the kind on, in
        sentences: what the search itself asks for, all of them have, and it changes nothing.

        "not this kind" rejects the candidate, too. Refused("prospect_unknown").
        """
        own = self._rights.writes(who)
        today = self._today(who)
        async with self._db.tenant(who.tenant_id) as conn:
            found = await _candidate_in(conn, candidate_id, own)
            traits = traits_of(found.evidence, today)
            await said_in(conn, candidate_id, said, traits, who.user_id, self._clock.now())
            if said is Said.NOT_THIS_KIND:
                await conn.execute(
                    "UPDATE prospect_candidates SET state = 'rejected', updated_at = %s WHERE id = %s",
                    [self._clock.now(), candidate_id],
                )
            rules, taught = await rules_in(conn), await lessons_in(conn)
            asked = asked_for((await search_in(conn, found.search_id, None)).profile)
        return told_lessons([one for one in taught if one.trait in traits and one.trait not in asked], rules)

    async def learnt(self, who: Identity, profile: IdealCustomer | None = None) -> list[Line]:
        """All that feedback has taught, strongest first: what it gives or takes in the next search. With a `profile`
        only what can count in a search for it."""
        self._rights.reads(who)
        async with self._db.tenant(who.tenant_id) as conn:
            taught = await lessons_in(conn)
            if profile is not None:
                taught = tuple(one for one in taught if may_matter(one, profile))
            return told_lessons(taught, await rules_in(conn))

    async def rules(self, who: Identity) -> RuleSet:
        """The tenant's own rules, or ours."""
        self._rights.reads(who)
        async with self._db.tenant(who.tenant_id) as conn:
            return await rules_in(conn)

    async def set_rules(self, who: Identity, text: str | None) -> RuleSet:
        """Take a rule file as the tenant's own; None goes back to ours. It counts from the next search on.

        Raises what `parse_rules` does; Refused("prospect_not_allowed") for who may change only their own.
        """
        self._rights.writes_all(who)
        rules = parse_rules(text) if text is not None else default_rules()
        async with self._db.tenant(who.tenant_id) as conn:
            if text is None:
                await conn.execute("DELETE FROM prospect_rules")
            else:
                await conn.execute(
                    """INSERT INTO prospect_rules (tenant_id, text, by_user, at) VALUES (current_tenant(), %s, %s, %s)
                       ON CONFLICT (tenant_id) DO UPDATE
                       SET text = excluded.text, by_user = excluded.by_user, at = excluded.at""",
                    [text, who.user_id, self._clock.now()],
                )
            await audit(conn, who, "prospect.rules", rules.version, {})
        return rules

    def _today(self, who: Identity) -> date:
        return self._clock.now().astimezone(ZoneInfo(who.time_zone)).date()


# --- rows -----------------------------------------------------------------------------------------


def company_key(tenant_id: str, cnpj: str) -> str:
    """How a company is recognised, erased or not; another one in each tenant."""
    return hashlib.sha256(f"{tenant_id}:{cnpj}".encode()).hexdigest()


def told_lessons(taught: "list[Lesson] | tuple[Lesson, ...]", rules: RuleSet) -> list[Line]:
    """Lessons in sentences, with the points that each gives or takes."""
    weighed = sorted(((one.points(rules.feedback), one) for one in taught), key=lambda one: (-abs(one[0]), str(one[1])))
    return [told(one, points) for points, one in weighed if points]


async def search_in(conn: Connection, search_id: str, own: str | None) -> Search:
    found = await fetch_one(
        conn,
        "SELECT * FROM prospect_searches WHERE id = %s AND (%s::text IS NULL OR owner_id = %s)",
        [search_id, own, own],
    )
    if found is None:
        raise Refused("prospect_unknown", f"no search {search_id[:80]!r}")
    return _search(found)


async def rules_in(conn: Connection) -> RuleSet:
    row = await fetch_one(conn, "SELECT text FROM prospect_rules")
    return default_rules() if row is None else parse_rules(row["text"])


async def lessons_in(conn: Connection) -> tuple[Lesson, ...]:
    rows = await fetch_all(conn, "SELECT said, traits FROM prospect_feedback")
    return lessons_from((Said(row["said"]), [Trait(*one) for one in row["traits"]]) for row in rows)


async def said_in(
    conn: Connection, candidate_id: str, said: Said, traits: Iterable[Trait], by: str, at: datetime
) -> None:
    """Keep what was said of a candidate, with its traits as they are: the last word counts."""
    await conn.execute(
        """INSERT INTO prospect_feedback (tenant_id, candidate_id, said, traits, by_user, at)
           VALUES (current_tenant(), %s, %s, %s, %s, %s)
           ON CONFLICT (tenant_id, candidate_id) DO UPDATE
           SET said = excluded.said, traits = excluded.traits, by_user = excluded.by_user, at = excluded.at""",
        [candidate_id, said, Jsonb([[one.kind, one.value] for one in traits]), by, at],
    )


async def forgotten_in(
    conn: Connection, at: datetime, by: Literal["company_key", "company_id"], values: Sequence[str]
) -> list[str]:
    """Erase what is known of companies; the ids of their candidates, which stay so that they are not found again. What
    the web answered goes as a whole: in which answers a company stands, nobody knows for certain."""
    await conn.execute("DELETE FROM web_search_answers")
    gone = await fetch_all(
        conn,
        f"""WITH gone AS (
                UPDATE prospect_candidates SET cnpj = NULL, name = NULL, bronze = NULL, evidence = '[]',
                    scored = '{{"explained": [], "reasons": []}}', state = 'rejected', company_id = NULL,
                    note = NULL, released = false, updated_at = %s
                WHERE {by} = ANY(%s) AND cnpj IS NOT NULL RETURNING tenant_id, id
            ), said AS (DELETE FROM prospect_feedback f USING gone WHERE f.candidate_id = gone.id)
            SELECT id FROM gone""",
        [at, list(values)],
    )
    return [row["id"] for row in gone]


async def _candidate_in(conn: Connection, candidate_id: str, own: str | None) -> Candidate:
    found = await fetch_one(
        conn,
        """SELECT c.* FROM prospect_candidates c
           JOIN prospect_searches s ON s.tenant_id = c.tenant_id AND s.id = c.search_id
           WHERE c.id = %s AND (%s::text IS NULL OR s.owner_id = %s)""",
        [candidate_id, own, own],
    )
    if found is None:
        raise Refused("prospect_unknown", f"no candidate {candidate_id[:80]!r}")
    return candidate_of(found)


def _search(row: Mapping[str, Any]) -> Search:
    return Search(
        id=row["id"],
        sentence=row["sentence"],
        language=row["language"],
        profile=customer_from(row["profile"]),
        plan=plan_from(row["plan"]),
        rules_version=row["rules_version"],
        state=State(row["state"]),
        ended=row["ended"],
        progress=Progress(**row["progress"]),
        cost=Cost(**(row["cost"] | {"model_usd": Decimal(row["cost"].get("model_usd", 0))})),
        owner_id=row["owner_id"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        conversation_id=row["conversation_id"],
    )


def candidate_of(row: Mapping[str, Any]) -> Candidate:
    return Candidate(
        id=row["id"],
        search_id=row["search_id"],
        cnpj=row["cnpj"],
        name=row["name"],
        bronze=row["bronze"],
        evidence=tuple(evidence_from(one) for one in row["evidence"]),
        score=row["score"],
        verdict=Verdict(row["verdict"]),
        rules_version=row["rules_version"],
        state=CandidateState(row["state"]),
        duplicate_of=row["duplicate_of"],
        scored=row["scored"],
        step=row["step"],
        found_at=row["found_at"],
        company_id=row["company_id"],
        outcome=row["outcome"],
        note=None if row["note"] is None else line_from(row["note"]),
    )
