"""Looking for companies: page by page from the registry, left out or scored one by one, kept at once. No model.

A search ends when it has as many qualified companies as were wanted, when many more than that wait for a person to
look at them, or when its plan is walked to its end. It can be stopped and taken up anywhere (work.py).
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Protocol
from zoneinfo import ZoneInfo

from business.prospecting.checks import left_out
from business.prospecting.enrich import SHARE_OVER, Judge, Likens, Scouting, Sites, Used, Web, enrich
from business.prospecting.evidence import Evidence, of_company, sorted_evidence
from business.prospecting.plan import Check, Step
from business.prospecting.searches import Candidate, CandidateState, Cost, Progress, Search, State
from business.prospecting.work import Fresh, Interrupted, Place, Taken, Work, charged, counted, with_left_out
from core.errors import MutiraoError, Unavailable
from integrations.minha_receita.client import Query
from integrations.minha_receita.payloads import Company, Page, to_record

MOST_TO_LOOK_AT = 5
"""Times the wanted number: so many for a person to look at are enough; more would be read by nobody."""

SIDE_BY_SIDE = 5
"""Companies looked at at once: one is 4 s of waiting for its own website, which wants a second between two pages."""

OnCandidate = Callable[[Candidate], Awaitable[None]]


class Registry(Protocol):
    """integrations.minha_receita.client.MinhaReceita"""

    def pages(
        self, query: Query, *, page_size: int = 100, cursor: str | None = None, most_pages: int = 10_000
    ) -> AsyncIterator[Page]: ...


async def find(
    work: Work,
    tenant_id: str,
    search_id: str,
    registry: Registry,
    *,
    worker: str,
    pages: Sites | None = None,
    web: Web | None = None,
    scouts: Scouting | None = None,
    likens: Likens | None = None,
    on_candidate: OnCandidate | None = None,
    time_zone: str = "America/Sao_Paulo",
) -> Search:
    """Work on a search until it ends, is paused or taken over; returns it as it then stands.

    `worker` names this process. `on_candidate` is told each company that is new, after it has been kept. When another
    process works on the search, or nobody should, nothing is done. Without `pages` and `web` only the registry is
    asked; `scouts` look further than they do, `likens` compares with customers that were won. Unavailable when the
    registry (or the database) is away: the search stays as it is, to be taken up again. Anything else that the registry
    refuses ends it as failed.
    """
    taken = await work.take(tenant_id, search_id, worker)
    if taken is None:
        return await work.look(tenant_id, search_id)
    hunt = _Hunt(work, taken, registry, pages, web, scouts, likens, on_candidate, time_zone)
    try:
        async with work.alive(taken):
            ended = await hunt.run()
    except Interrupted:
        return await work.look(tenant_id, search_id)
    except MutiraoError as error:
        if isinstance(error, Unavailable):
            await work.let_go(taken)
            raise
        await work.finish(taken, State.FAILED, error.code)
        return await work.look(tenant_id, search_id)
    except BaseException:  # cancelled, or a bug: whoever takes it up need not wait for the lease to run out
        await asyncio.shield(work.let_go(taken))
        raise
    await work.finish(taken, State.DONE, ended)
    return await work.look(tenant_id, search_id)


@dataclass(frozen=True)
class _Ahead:
    """A company that was taken from the page and is not done yet."""

    place: Place
    company: Company
    why: Check | None
    """Why it is left out; then nobody looks at it."""
    look: "asyncio.Task[tuple[tuple[Evidence, ...], Used]] | None"


async def _dropped(looks: "list[asyncio.Task[tuple[tuple[Evidence, ...], Used]]]") -> None:
    """End looks that nobody waits for any more."""
    for look in looks:
        look.cancel()
    await asyncio.gather(*looks, return_exceptions=True)


class _Hunt:
    """One process's work on one search."""

    def __init__(
        self,
        work: Work,
        taken: Taken,
        registry: Registry,
        sites: Sites | None,
        web: Web | None,
        scouts: Scouting | None,
        likens: Likens | None,
        on_candidate: OnCandidate | None,
        time_zone: str,
    ) -> None:
        self._work = work
        self._taken = taken
        self._registry = registry
        self._sites = sites
        self._web = web
        self._scouts = scouts
        self._likens = likens
        self._on_candidate = on_candidate
        self._profile = taken.search.profile
        self._asked = {one.code for one in self._profile.activities}
        today = work.now().astimezone(ZoneInfo(time_zone)).date()
        self._judge = Judge(self._profile, taken.rules, today, taken.lessons)
        self._progress: Progress = taken.search.progress
        self._cost: Cost = taken.search.cost
        self._remembered: dict[str, tuple[Evidence, ...]] = {}

    async def run(self) -> str:
        """Why it ended."""
        for step in self._taken.search.plan.steps:
            if ended := self._enough():
                return ended
            if ended := await self._walk(step):
                return ended
        return self._enough() or "plan_end"

    def _enough(self) -> str | None:
        wanted = self._profile.wanted
        if self._progress.qualified >= wanted:
            return "enough"
        if self._progress.qualified + self._progress.person >= MOST_TO_LOOK_AT * wanted:
            return "enough_to_look_at"
        return None

    async def _walk(self, step: Step) -> str | None:
        """One query of the plan; why the search ended in it, or None when it goes on with the next."""
        place = self._taken.places.get(step.key, Place(None, 0, 0, None))
        if place.ended_at is not None or place.pages >= step.most_pages:
            return None
        asked = self._registry.pages(
            step.query,
            page_size=self._taken.search.plan.page_size,
            cursor=place.cursor,
            most_pages=step.most_pages - place.pages,
        )
        async for page in asked:
            self._cost = replace(self._cost, pages=self._cost.pages + 1)
            if place.item == 0 and page.unreadable:
                self._progress = with_left_out(self._progress, Check.UNREADABLE, len(page.unreadable))
            place = await self._page(step, place, page)
            if ended := self._enough():
                return ended
        return None

    async def _page(self, step: Step, place: Place, page: Page) -> Place:
        """Every company of a page that is not done yet; the place behind the last one that was looked at.

        Several are looked at side by side, for that is mostly waiting, and kept one by one in the registry's order.
        """
        left = page.companies[place.item :]
        known = await self._work.known(self._taken.tenant_id, [company.cnpj for company in left])
        self._remembered = await self._work.remembered(self._taken.tenant_id, [company.cnpj for company in left])
        ahead: deque[_Ahead] = deque()
        try:
            for company in left:
                place = replace(place, item=place.item + 1)
                if step.further and company.activity is not None and company.activity.code in self._asked:
                    continue  # the query for main activities has it
                why = Check.KNOWN if company.cnpj in known else self._left_out(company)
                if why is None:
                    while sum(one.look is not None for one in ahead) >= self._room():
                        if done := await self._next(step, ahead):
                            return done
                look = None if why else asyncio.create_task(self._look(company))
                ahead.append(_Ahead(place, company, why, look))
            while ahead:
                if done := await self._next(step, ahead):
                    return done
        finally:
            await _dropped([one.look for one in ahead if one.look is not None])
        done = Place(page.cursor, 0, place.pages + 1, None if page.cursor else self._work.now())
        await self._work.keep(self._taken, step.key, done, self._progress, self._cost)
        return done

    def _room(self) -> int:
        """How many may be looked at at once: never more than could still be needed, so that none is looked at for
        nothing."""
        return max(1, min(SIDE_BY_SIDE, self._profile.wanted - self._progress.qualified))

    def _left_out(self, company: Company) -> Check | None:
        return left_out(self._profile, of_company(company), self._judge.today)

    async def _next(self, step: Step, ahead: "deque[_Ahead]") -> Place | None:
        """Be done with the first of those ahead; its place when the search has enough with it."""
        one = ahead.popleft()
        self._progress = replace(self._progress, seen=self._progress.seen + 1)
        if one.look is None:
            if one.why is not None:
                self._progress = with_left_out(self._progress, one.why)
            return None  # written with the next company that is kept, or at the end of the page
        try:
            evidence, used = await one.look
        finally:
            await _dropped([one.look])
        await self._keep(step, one.place, one.company, evidence, used)
        return one.place if self._enough() else None

    async def _look(self, company: Company) -> tuple[tuple[Evidence, ...], Used]:
        """All that the sources tell of a company, and what that cost."""
        evidence = sorted_evidence((*of_company(company), *self._remembered.get(company.cnpj, ())))
        if self._likens is not None:
            evidence = sorted_evidence((*evidence, *await self._likens(company, evidence)))
        spent = sum(self._cost.searches.values()) >= self._taken.search.plan.most_searches
        web = None if spent else self._web
        evidence, used = await enrich(company, evidence, self._judge, web, self._sites)
        if spent and self._web is not None:
            used.web_off = used.web_off or SHARE_OVER
        elif self._scouts is not None:
            evidence, more = await self._scouts(self._taken.search, company, evidence, self._judge)
            used.add(more)
        return evidence, used

    async def _keep(
        self, step: Step, place: Place, company: Company, evidence: tuple[Evidence, ...], used: Used
    ) -> None:
        self._charge(used)
        fresh = Fresh(
            cnpj=company.cnpj,
            name=company.trade_name or company.legal_name,
            bronze=to_record(replace(company, partners=None)),  # people, whose names no later step needs
            evidence=evidence,
            score=self._judge.score(evidence),
        )
        kept = await self._work.keep(self._taken, step.key, place, self._progress, self._cost, fresh)
        self._progress = counted(self._progress, kept)
        if kept is not None and kept.state is CandidateState.NEW and self._on_candidate is not None:
            await self._on_candidate(kept)

    def _charge(self, used: Used) -> None:
        self._cost = charged(self._cost, used)
        self._progress = replace(
            self._progress,
            lookups_failed=self._progress.lookups_failed + used.failed,
            web_off=used.web_off or self._progress.web_off,
        )
