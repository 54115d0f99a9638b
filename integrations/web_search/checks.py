"""What `mutirao doctor` says of a search vendor. With `--live` it asks what the client has never been seen to ask of
the public address: pages, places and news, three searches of the month's quota."""

import httpx

from core.clock import Clock
from core.doctor import Finding, Say
from core.errors import MutiraoError
from core.settings import Settings
from integrations.source_check import Explain, SourceCheck, Step
from integrations.web_search import brave, serpapi, serper
from integrations.web_search.build import live_vendors
from integrations.web_search.client import SearchVendor
from integrations.web_search.payloads import Answer, PlaceQuery, Query, Result

_SETTING = "MUTIRAO_WEB_SEARCH"
_URLS = {
    serpapi.SerpApi.name: serpapi.PUBLIC_URL,
    brave.BraveSearch.name: brave.PUBLIC_URL,
    serper.Serper.name: serper.PUBLIC_URL,
}
"""The vendors' names, in the order in which they are asked, with their public addresses."""

PAGES = Query("escritório de arquitetura Campinas")
PLACES = PlaceQuery("escritório de arquitetura", "Campinas", -22.905, -47.061)
NEWS = Query("economia Brasil")


def search_checks(
    settings: Settings, http: httpx.AsyncClient, clock: Clock, say: Say, explain: Explain
) -> list[SourceCheck]:
    """One check for each vendor that has a key; one line for all of them while they are simulated or none has a key."""
    if settings.web_search != "live":
        return [SourceCheck("search", ", ".join(_URLS), _SETTING, "", True, [], say, explain)]
    try:
        vendors = live_vendors(settings, http, clock)
    except MutiraoError as error:
        return [NoSearch(say, explain, error)]
    return [SearchCheck(one, _URLS[one.name], False, say, explain) for one in vendors] or [NoSearch(say, explain)]


class SearchCheck(SourceCheck):
    """One vendor that has a key."""

    def __init__(self, vendor: SearchVendor, url: str, sandbox: bool, say: Say, explain: Explain) -> None:
        steps = [
            Step("step_search_pages", self._pages),
            Step("step_search_places", self._places),
            Step("step_search_news", self._news),
        ]
        super().__init__("search", vendor.name, _SETTING, url, sandbox, steps, say, explain)
        self._vendor = vendor

    async def _pages(self) -> str | None:
        return _odd(await self._vendor.pages(PAGES))

    async def _places(self) -> str | None:
        answer = await self._vendor.places(PLACES)
        if not any(place.phone or place.website for place in answer.results):
            return _odd(answer) or "phone, website: null"
        return _odd(answer)

    async def _news(self) -> str | None:
        return _odd(await self._vendor.news(NEWS))


class NoSearch(SourceCheck):
    """Live, and no vendor has a key; with `error` there is one that cannot be a key."""

    def __init__(self, say: Say, explain: Explain, error: MutiraoError | None = None) -> None:
        super().__init__("search", ", ".join(_URLS), _SETTING, "", False, [], say, explain)
        self._error = error

    async def run(self, live: bool) -> list[Finding]:
        if self._error is not None:
            return [Finding(self.area, "broken", self._explain(self._error))]
        return [self._found("note", "search_no_key", source=self._source)]


def _odd(answer: Answer[Result]) -> str | None:
    if not answer.results:
        return "0 results"
    return f"{answer.unreadable} unreadable" if answer.unreadable else None
