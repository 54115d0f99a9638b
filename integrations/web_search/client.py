"""Searching the web: pages, places and news, from the first vendor that has a key and quota.

Order: SerpAPI, Brave, Serper (as the composition root hands them in). A vendor that fails is passed over for the next
at once; one whose key is wrong or whose month is spent rests for a while and is not asked again before.

Counting: every answer says what it cost (`Answer.cost`, in the vendor's units) and what the vendor told of its quota.
Whoever keeps the months' counts adds the cost up and names the vendors whose month is over in `spent`.

LinkedIn is known through search results alone (`linkedin`): its pages are never fetched, its terms forbid that.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol, TypeVar
from urllib.parse import urlsplit

from core.clock import Clock
from core.errors import MutiraoError, Refused, Unavailable
from integrations.web_search.errors import transient
from integrations.web_search.payloads import Answer, Language, News, Page, Place, PlaceQuery, Query

Found = TypeVar("Found")
LONGEST_REST = timedelta(days=31)
_REST_AFTER_REFUSAL = timedelta(hours=1)


class SearchVendor(Protocol):
    """SerpApi, BraveSearch, Serper."""

    @property
    def name(self) -> str: ...

    async def pages(self, query: Query) -> Answer[Page]: ...

    async def places(self, query: PlaceQuery) -> Answer[Place]: ...

    async def news(self, query: Query) -> Answer[News]: ...


@dataclass
class _Rest:
    until: datetime
    code: str


class WebSearch:
    """The vendors, in the order in which they are asked.

    When all fail and a moment may help, those that failed only for that moment are asked once more after `pause`
    seconds, or after what they asked for if that is not longer than `patience`.
    """

    def __init__(
        self, vendors: Sequence[SearchVendor], clock: Clock, *, pause: float = 1.0, patience: float = 5.0
    ) -> None:
        self._vendors = tuple(vendors)
        self._clock = clock
        self._pause = pause
        self._patience = patience
        self._resting: dict[str, _Rest] = {}

    @property
    def vendors(self) -> tuple[str, ...]:
        return tuple(vendor.name for vendor in self._vendors)

    async def pages(self, query: Query, *, spent: Collection[str] = ()) -> Answer[Page]:
        """Pages of the web.

        Refused("search_not_set_up") without any vendor; with one vendor left its own failure, with several
        Unavailable("search_failed", tried) naming each reason; ArgumentsWrong("search_query_wrong", detail).
        """
        return await self._first(lambda vendor: vendor.pages(query), spent)

    async def places(self, query: PlaceQuery, *, spent: Collection[str] = ()) -> Answer[Place]:
        """Places of a map. Failures as for `pages`."""
        return await self._first(lambda vendor: vendor.places(query), spent)

    async def news(self, query: Query, *, spent: Collection[str] = ()) -> Answer[News]:
        """News, the newest not necessarily first. Failures as for `pages`."""
        return await self._first(lambda vendor: vendor.news(query), spent)

    async def linkedin(
        self, company: str, city: str = "", *, language: Language = "pt-BR", spent: Collection[str] = ()
    ) -> Answer[Page]:
        """The company's LinkedIn pages as search results show them (site:linkedin.com/company); others are left out.

        The result names the page, and nobody may fetch it.
        """
        named = company.replace('"', " ").strip()
        query = Query(f'site:linkedin.com/company "{named}" {city}'.strip(), language)
        answer = await self.pages(query, spent=spent)
        return replace(answer, results=tuple(one for one in answer.results if is_linkedin_company(one.url)))

    async def _first(
        self, ask: Callable[[SearchVendor], Awaitable[Answer[Found]]], spent: Collection[str]
    ) -> Answer[Found]:
        if not self._vendors:
            raise Refused("search_not_set_up", "no search vendor has a key")
        passed: dict[str, str] = {name: "search_quota_spent" for name in self.vendors if name in spent}
        now = self._clock.now()
        for name, rest in list(self._resting.items()):
            if rest.until <= now:
                del self._resting[name]
            else:
                passed.setdefault(name, rest.code)
        asked = [vendor for vendor in self._vendors if vendor.name not in passed]
        failures: dict[str, MutiraoError] = {}
        for last in (False, True):
            for vendor in asked:
                try:
                    answer = await ask(vendor)
                except MutiraoError as error:
                    failures[vendor.name] = error
                    self._note(vendor.name, error)
                    continue
                told = passed | {name: error.code for name, error in failures.items() if name != vendor.name}
                return replace(answer, passed_over=tuple(f"{name}: {code}" for name, code in told.items()))
            asked = [vendor for vendor in asked if self._worth_a_moment(failures[vendor.name])]
            if last or not asked:
                break
            longest = max(failures[vendor.name].retry_after or 0.0 for vendor in asked)
            await asyncio.sleep(max(self._pause, longest))
        if len(failures) == 1 and not passed:
            raise next(iter(failures.values()))
        reasons = passed | {name: error.code for name, error in failures.items()}
        told_all = "; ".join(f"{name}: {reasons[name]}" for name in self.vendors)
        failure = Unavailable("search_failed", told_all, tried=told_all)
        failure.retry_after = min((one.retry_after for one in failures.values() if one.retry_after), default=None)
        raise failure

    def _worth_a_moment(self, error: MutiraoError) -> bool:
        return transient(error) and (error.retry_after or 0.0) <= self._patience

    def _note(self, name: str, error: MutiraoError) -> None:
        if error.code in ("search_quota_spent", "search_key_wrong"):
            told = timedelta(seconds=error.retry_after) if error.retry_after else _REST_AFTER_REFUSAL
            self._resting[name] = _Rest(self._clock.now() + min(told, LONGEST_REST), error.code)


def is_linkedin_company(url: str) -> bool:
    """https://br.linkedin.com/company/… and the like."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    return (host == "linkedin.com" or host.endswith(".linkedin.com")) and parts.path.startswith("/company/")
