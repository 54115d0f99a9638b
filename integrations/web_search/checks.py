"""What `mutirao doctor` says of a search vendor. With `--live` it asks what the client has never been seen to ask of
the public address: pages, places and news, three searches of the month's quota."""

from core.doctor import Say
from integrations.source_check import Explain, SourceCheck, Step
from integrations.web_search.client import SearchVendor
from integrations.web_search.payloads import Answer, PlaceQuery, Query, Result

PAGES = Query("escritório de arquitetura Campinas")
PLACES = PlaceQuery("escritório de arquitetura", "Campinas", -22.905, -47.061)
NEWS = Query("economia Brasil")


class SearchCheck(SourceCheck):
    """One vendor that has a key."""

    def __init__(self, vendor: SearchVendor, url: str, sandbox: bool, say: Say, explain: Explain) -> None:
        steps = [
            Step("step_search_pages", self._pages),
            Step("step_search_places", self._places),
            Step("step_search_news", self._news),
        ]
        super().__init__("search", vendor.name, "MUTIRAO_WEB_SEARCH", url, sandbox, steps, say, explain)
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


def _odd(answer: Answer[Result]) -> str | None:
    if not answer.results:
        return "0 results"
    return f"{answer.unreadable} unreadable" if answer.unreadable else None
