"""A search as work in the background, which a crash neither loses nor doubles.

    start: row and job in one transaction → run: find, save each lead at once → announce its end, once
    a process dies: its lease runs out (a minute), `revive` puts the job in the queue again, it goes on where it stopped

A turn may `follow` a search and tell its end itself; then it is not announced. Where no worker takes the search (the
terminal without a server), whoever follows it does the work.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Literal, Protocol
from zoneinfo import ZoneInfo

import psycopg
import structlog

from business.conversations.service import Conversations
from business.crm.events import Happened
from business.crm.service import Crm
from business.people.service import People
from business.prospecting.enrich import Judge, Used
from business.prospecting.evidence import Evidence
from business.prospecting.finding import find
from business.prospecting.lessons import Said
from business.prospecting.lines import Line
from business.prospecting.model import IdealCustomer
from business.prospecting.quota import MonthUse, WebQuota
from business.prospecting.score import Verdict
from business.prospecting.searches import Candidate, CandidateState, Search, Searches, State
from business.prospecting.sources import OpenSources
from business.prospecting.work import Work
from core.clock import Clock
from core.db import Connection, Database, fetch_all, fetch_one
from core.errors import MutiraoError, Refused, Unavailable
from core.ids import new_id
from core.jobs import Jobs
from core.tenancy import Identity
from crews.hunter.ending import ending, listed
from crews.hunter.playbook import entity
from integrations.minha_receita.payloads import Company, from_record
from prompts.texts import Texts
from tools.leads import AMBIGUOUS, Leads

JOB = "prospect_search"
READER = "prospecting"
"""Of the CRM's events."""
QUEUED = timedelta(seconds=60)
"""A job that was put in the queue less than this ago is not put there again."""
NOBODY_TRIED = timedelta(hours=1)
"""A job that waits longer than this was not tried: no process was there."""
GIVE_UP = timedelta(hours=24)
"""A search that came no further for so long (the registry is away) ends as failed."""
_POLL = 0.3  # seconds between looks at the rows of a search that is followed
_PATIENCE = 1.0  # seconds in which a worker would have taken a search
_TURN_PATIENCE = 10.0  # seconds for a turn of the conversation to end, before the end is told in the next round

Decision = Literal["save", "reject", "won", "lost", "not_this_kind"]

log = structlog.get_logger(__name__)


class Scouts(Protocol):
    """crews/hunter/scouts.py"""

    async def look(
        self, who: Identity, search: Search, company: Company, evidence: "tuple[Evidence, ...]", judge: Judge
    ) -> "tuple[tuple[Evidence, ...], Used]": ...


class Likeness(Protocol):
    """crews/hunter/likeness.py"""

    async def evidence(
        self, tenant_id: str, company: Company, evidence: "tuple[Evidence, ...]"
    ) -> "tuple[Evidence, ...]": ...

    async def learn(self, tenant_id: str) -> object: ...


Unsay = Callable[[str, Sequence[str]], Awaitable[object]]
"""(tenant id, ids of records): proposals about them go."""


async def _nothing_said(_tenant_id: str, _ids: Sequence[str]) -> None:
    """Where there are no proposals."""


class Hunts:
    """The searches of all tenants as work. app.py declares `run` as the job JOB, calls `revive` from keep_promises and
    `close` at the end; `web` counts the tenants' searches of the web;
    `unsay` and `withdraw` delete what was proposed about records that are erased, or rejected (business/approvals)."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        jobs: Jobs,
        people: People,
        searches: Searches,
        work: Work,
        crm: Crm,
        open_sources: OpenSources,
        conversations: Conversations,
        texts: Texts,
        leads: Leads,
        *,
        scouts: Scouts | None = None,
        likeness: Likeness | None = None,
        web: WebQuota | None = None,
        unsay: Unsay | None = None,
        withdraw: Unsay | None = None,
    ) -> None:
        self._db = db
        self._clock = clock
        self._jobs = jobs
        self._people = people
        self._searches = searches
        self._work = work
        self._crm = crm
        self._open_sources = open_sources
        self._conversations = conversations
        self._texts = texts
        self._scouts = scouts
        self._likeness = likeness
        self._web = web or WebQuota(db, clock)
        self._unsay = unsay or _nothing_said
        self._withdraw = withdraw or _nothing_said
        self.leads = leads
        self._here: dict[str, asyncio.Task[None]] = {}

    # --- by a person ------------------------------------------------------------------------------

    async def start(
        self, who: Identity, conversation_id: str | None, sentence: str, profile: IdealCustomer, language: str
    ) -> Search:
        """A search and its job, in one transaction; its end is told in the conversation, in `language`.

        Raises what Searches.start does.
        """
        async with self._db.tenant(who.tenant_id) as conn:
            search = await self._searches.start(
                who, sentence, profile, language, conversation_id=conversation_id, within=conn
            )
            await self._queue(conn, who.tenant_id, search.id)
        return search

    async def follow(
        self, who: Identity, search_id: str, seconds: float, on_candidate: Callable[[Candidate], None]
    ) -> Search:
        """Watch a search for up to `seconds` or until it is no longer running; the search as it then stands.

        `on_candidate` is told each company in the order found, those found before included; a duplicate of another is
        not told. An end that is seen here is not announced: the caller tells it. Refused("prospect_unknown").
        """
        search = await self._searches.get(who, search_id)
        await self._follows(search, who.tenant_id, timedelta(seconds=seconds + 5))
        began, after = time.monotonic(), 0
        try:
            while True:
                search = await self._searches.get(who, search_id)  # before its finds, so that none of them is missed
                found, after = await self._searches.found_after(who, search_id, after)
                for candidate in found:
                    on_candidate(candidate)
                spent = time.monotonic() - began
                if search.state is not State.RUNNING or spent >= seconds:
                    break
                if spent > _PATIENCE:
                    await self._work_here(who.tenant_id, search_id)
                await asyncio.sleep(min(_POLL, seconds - spent))
        except BaseException:  # whoever followed is gone and tells nothing: its end is announced
            await asyncio.shield(self._follows(search, who.tenant_id, None))
            raise
        await self._leaves(search, who.tenant_id)
        return search

    async def pause(self, who: Identity, search_id: str) -> Search:
        """Halt a running search at the next company. Raises as Searches.pause."""
        return await self._searches.pause(who, search_id)

    async def resume(self, who: Identity, search_id: str) -> Search:
        """Let a paused search go on, in the background. Raises as Searches.resume."""
        async with self._db.tenant(who.tenant_id) as conn:
            search = await self._searches.resume(who, search_id, within=conn)
            if search.state is State.RUNNING:
                await self._queue(conn, who.tenant_id, search_id)
        return search

    async def decide(self, who: Identity, candidate_id: str, decision: Decision) -> tuple[Candidate, list[Line]]:
        """A person's word on a candidate: save it to the CRM, reject it, or what became of it. The candidate as it then
        is, and sentences on what that changed. What is won, lost or rejected closes its open deal, too.
        Refused: prospect_unknown, prospect_not_allowed, what Leads.save raises.
        """
        candidate = await self._searches.candidate(who, candidate_id)
        if decision == "save":
            search = await self._searches.get(who, candidate.search_id)
            told = candidate.note is not None and candidate.note.key == AMBIGUOUS
            saved = await self.leads.save(who, search, candidate, as_new=told)  # they know which it may be
            return saved, [saved.note] if saved.note else []
        lines: list[Line] = []
        if decision == "reject":
            note = Line("lead.note.by_person", {"name": who.name})
            await self._searches.mark(who, candidate_id, CandidateState.REJECTED, note=note)
        else:
            lines = await self._searches.say(who, candidate_id, Said(decision))
        if decision != "won" and candidate.company_id is not None:
            await self._withdraw(who.tenant_id, [candidate.company_id])  # nobody writes to it any more
        moved = await self.leads.close_deal(who, candidate, won=decision == "won")
        return await self._searches.candidate(who, candidate_id), [*lines, *moved]

    async def look_up(self, who: Identity, candidate_id: str) -> Candidate:
        """Learn more about a company that is about to be written to: scouts look it up whole, what they find counts in
        its score and goes to its company in the CRM. What fails leaves it as it is.
        Refused: prospect_not_allowed, prospect_unknown.
        """
        self._searches.check_may_change(who)
        candidate = await self._searches.candidate(who, candidate_id)
        if candidate.bronze is None or self._scouts is None:
            return candidate
        search = await self._searches.get(who, candidate.search_id)
        rules, lessons = await self._work.judged_by(who.tenant_id)
        today = self._clock.now().astimezone(ZoneInfo(who.time_zone)).date()
        judge = Judge(search.profile, rules, today, lessons, to_contact=True)
        company = from_record(candidate.bronze)
        evidence, used = await self._scouts.look(who, search, company, candidate.evidence, judge)
        await self._work.charge(who.tenant_id, search.id, used)
        if tuple(evidence) == candidate.evidence:
            return candidate
        candidate = await self._work.learnt(who.tenant_id, candidate, evidence, judge.score(evidence))
        await self.leads.renew(who, search, candidate)
        return candidate

    async def month(self, who: Identity) -> MonthUse:
        """How many searches of the web the tenant has used this month, and may."""
        return await self._web.used(who.tenant_id)

    # --- in the background ------------------------------------------------------------------------

    async def run(self, tenant_id: str, search_id: str) -> None:
        """Work on a search until it ends, and tell its end. Safe to be run twice, at once or after a crash.

        Unavailable: to be run again.
        """
        try:
            search = await self._work.look(tenant_id, search_id)
        except Refused:
            return  # erased with its tenant
        if search.state is State.RUNNING:
            try:
                search = await self._hunt(tenant_id, search)
            except (MutiraoError, psycopg.OperationalError):
                raise
            except Exception:  # a bug of ours would be there the next time, too
                log.exception("hunt_failed", search=search_id)
                await self._work.fail(tenant_id, search_id, "prospect_bug")
                search = await self._work.look(tenant_id, search_id)
        if search.state in (State.DONE, State.FAILED):
            await self._announce(tenant_id, search_id)

    async def revive(self, tenant_id: str) -> None:
        """Put searches in the queue again that nobody works on, or whose end nobody told; give up those that came no
        further for a day of tries. For a round by the clock and for the start of a process."""
        now = self._clock.now()
        async with self._db.tenant(tenant_id) as conn:
            await conn.execute(  # nobody tried for a while: the machine was off, and the day of tries begins now
                """UPDATE prospect_searches SET updated_at = %s
                   WHERE state = 'running' AND (lease_by IS NULL OR lease_until <= %s) AND queued_at <= %s""",
                [now, now, now - NOBODY_TRIED],
            )
            await conn.execute(
                """UPDATE prospect_searches SET state = 'failed', ended = 'prospect_no_further', updated_at = %s
                   WHERE state = 'running' AND (lease_by IS NULL OR lease_until <= %s) AND updated_at <= %s""",
                [now, now, now - GIVE_UP],
            )
            rows = await fetch_all(
                conn,
                """SELECT id FROM prospect_searches WHERE (queued_at IS NULL OR queued_at <= %s) AND (
                       (state = 'running' AND (lease_by IS NULL OR lease_until <= %s))
                       OR (state IN ('done', 'failed') AND announced_at IS NULL AND conversation_id IS NOT NULL
                           AND (followed_until IS NULL OR followed_until <= %s)))
                   ORDER BY created_at LIMIT 100 FOR UPDATE SKIP LOCKED""",
                [now - QUEUED, now, now],
            )
            for row in rows:
                await self._queue(conn, tenant_id, row["id"])

    async def hear(self, tenant_id: str) -> None:
        """What happened in the CRM to companies that were candidates: deals won and lost are lessons for the next
        search, and what was erased there is forgotten here, in the memory of look-alikes too."""
        while True:
            async with self._crm.events(tenant_id, READER) as (_, events):
                for event in events:
                    if event.kind in (Happened.DEAL_WON, Happened.DEAL_LOST):
                        said = Said.WON if event.kind is Happened.DEAL_WON else Said.LOST
                        await self._work.heard(tenant_id, event.data.get("company_id") or "", said)
                    elif event.kind is Happened.COMPANY_MERGED:
                        await self._work.joined(tenant_id, event.subject_id, event.data["other_id"])
                    elif event.kind is Happened.ERASED:
                        gone = [event.subject_id, *event.data.get("ids", [])]
                        await self._work.forget(tenant_id, gone)
                        await self._unsay(tenant_id, gone)
            if not events:
                break
        if self._likeness is not None:
            await self._likeness.learn(tenant_id)

    async def close(self) -> None:
        """Let go of what is worked on in this process; another goes on with it."""
        working = list(self._here.values())
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)

    async def _hunt(self, tenant_id: str, search: Search) -> Search:
        try:
            who = await self._people.identity(tenant_id, search.owner_id or "")
        except Refused as gone:  # nobody may act for it any more
            await self._work.fail(tenant_id, search.id, gone.code)
            return await self._work.look(tenant_id, search.id)
        await self._save_what_is_left(who, search)
        sources = await self._open_sources()

        async def save(candidate: Candidate) -> None:
            if candidate.verdict is Verdict.QUALIFIED:
                await self.leads.save(who, search, candidate)

        return await find(
            self._work,
            tenant_id,
            search.id,
            sources.registry,
            worker=new_id("hunt"),
            pages=sources.pages,
            web=self._web.of(tenant_id, sources.web),
            scouts=partial(self._scouts.look, who) if self._scouts else None,
            likens=partial(self._likeness.evidence, tenant_id) if self._likeness else None,
            on_candidate=save,
            time_zone=who.time_zone,
        )

    async def _save_what_is_left(self, who: Identity, search: Search) -> None:
        """Leads that a process which died had found and not saved yet."""
        for candidate in await self._work.found(who.tenant_id, search.id):
            unsaved = candidate.state is CandidateState.NEW and candidate.note is None
            if candidate.verdict is Verdict.QUALIFIED and unsaved:
                await self.leads.save(who, search, candidate)

    async def _work_here(self, tenant_id: str, search_id: str) -> None:
        """Do the work in this process when no other does."""
        if search_id in self._here or search_id not in await self._work.waiting(tenant_id):
            return

        async def work() -> None:
            try:
                await self.run(tenant_id, search_id)
            except (MutiraoError, psycopg.OperationalError) as error:  # `revive` tries again
                log.warning("hunt_interrupted", search=search_id, reason=str(error))
            finally:
                self._here.pop(search_id, None)

        self._here[search_id] = asyncio.create_task(work(), name=f"hunt {search_id}")

    async def _queue(self, conn: Connection, tenant_id: str, search_id: str) -> None:
        await conn.execute("UPDATE prospect_searches SET queued_at = %s WHERE id = %s", [self._clock.now(), search_id])
        await self._jobs.defer(conn, JOB, tenant_id=tenant_id, search_id=search_id)

    # --- telling its end, once --------------------------------------------------------------------

    async def _follows(self, search: Search, tenant_id: str, span: timedelta | None) -> None:
        until = None if span is None else self._clock.now() + span
        async with self._db.tenant(tenant_id) as conn:
            await conn.execute("UPDATE prospect_searches SET followed_until = %s WHERE id = %s", [until, search.id])

    async def _leaves(self, search: Search, tenant_id: str) -> None:
        """Whoever followed tells what they saw: an end that they saw is told, one that came after is not."""
        seen = search.state in (State.DONE, State.FAILED)
        async with self._db.tenant(tenant_id) as conn:
            await conn.execute(
                """UPDATE prospect_searches SET followed_until = NULL,
                       announced_at = CASE WHEN %s THEN coalesce(announced_at, %s) ELSE announced_at END
                   WHERE id = %s""",
                [seen, self._clock.now(), search.id],
            )
            if not seen:
                row = await fetch_one(conn, "SELECT state FROM prospect_searches WHERE id = %s", [search.id])
                if row is not None and row["state"] in (State.DONE, State.FAILED):
                    await self._queue(conn, tenant_id, search.id)

    async def _announce(self, tenant_id: str, search_id: str) -> None:
        """Say in its conversation that a search has ended: in one transaction with the note that it was said, and with
        what "a terceira" means there from then on."""
        if not await self._untold(tenant_id, search_id):
            return
        search = await self._work.look(tenant_id, search_id)
        try:
            async with self._db.lock(f"conversation:{search.conversation_id}", timeout=_TURN_PATIENCE, brief=True):
                await self._tell_end(tenant_id, search)
        except Unavailable as error:  # a turn that takes long would write over it: `revive` has it told afterwards
            if error.code != "busy":
                raise

    async def _untold(self, tenant_id: str, search_id: str) -> bool:
        """Whether its end is to be told: nobody has, and no turn follows it."""
        async with self._db.tenant(tenant_id) as conn:
            row = await fetch_one(
                conn,
                """SELECT 1 FROM prospect_searches WHERE id = %s AND announced_at IS NULL
                   AND conversation_id IS NOT NULL AND (followed_until IS NULL OR followed_until <= %s)""",
                [search_id, self._clock.now()],
            )
        return row is not None

    async def _tell_end(self, tenant_id: str, search: Search) -> None:
        candidates = await self._work.found(tenant_id, search.id)
        text = ending(self._texts, search, candidates, await self._web.used(tenant_id))
        rows = [
            entity({"n": n, "id": one.id, "name": one.name, "score": one.score, "verdict": one.verdict.value})
            for n, one in enumerate(listed(candidates), 1)
        ]
        keeps = {
            "entities": rows,
            "focus": None,
            "spoken_of": [],
            "last_crew": "hunter",
            "last_intent": "hunter.status",
        }
        now = self._clock.now()
        async with self._db.tenant(tenant_id) as conn:
            told = await fetch_one(
                conn,
                """UPDATE prospect_searches s SET announced_at = %s
                   WHERE id = %s AND announced_at IS NULL AND (followed_until IS NULL OR followed_until <= %s)
                   RETURNING (SELECT c.id FROM conversations c WHERE c.id = s.conversation_id) AS conversation""",
                [now, search.id, now],
            )
            if told is not None and told["conversation"] is not None:
                await self._conversations.announce(
                    tenant_id, told["conversation"], text, keeps=keeps if rows else None, within=conn
                )
