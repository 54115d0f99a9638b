"""SerpAPI: Google's search, maps and news as JSON.

Written after its documentation: serpapi.com/search-api, /organic-results, /maps-local-results, /google-news-api,
/api-status-and-error-codes, /search-errors, /account-api (read November 2026). Never run against the real service
here. Not in those pages and so uncertain: how a place that closed for good is told (we read the words of `open_state`,
and a `permanently_closed` as Google's panel has it); that hl=pt-br is taken by all three engines.

The key travels as the parameter `api_key`, the only way there is. Only successful searches count against the plan.
"""

from typing import Any

import httpx

from core.clock import Clock
from core.words import folded
from integrations.web_search import errors
from integrations.web_search.payloads import (
    Answer,
    News,
    Page,
    Place,
    PlaceQuery,
    Query,
    Quota,
    Result,
    address_of,
    listed,
    mapped,
    moment,
    needed,
    needed_address,
    number,
    rating,
    read_each,
    whole,
    words,
)
from integrations.web_search.wire import Reply, Wire

PUBLIC_URL = "https://serpapi.com"
_PER_PAGE, _PLACES_PER_PAGE, _ZOOM = 10, 20, "13z"
_LANGUAGES = {"pt-BR": "pt-br", "en": "en", "es": "es"}
_CLOSED = ("permanently closed", "fechado permanentemente", "permanentemente fechado", "cerrado permanentemente")


class SerpApi:
    """Searches with one SerpAPI key. Failures: `errors.py`."""

    name = "SerpAPI"

    def __init__(
        self, http: httpx.AsyncClient, key: str, clock: Clock, *, base_url: str = PUBLIC_URL, timeout: float = 30.0
    ) -> None:
        self._wire = Wire(http, self.name, base_url, key, timeout)
        self._clock = clock

    async def pages(self, query: Query) -> Answer[Page]:
        asked = {"engine": "google", "q": query.words} | _local(query)
        if query.page > 1:
            asked["start"] = str((query.page - 1) * _PER_PAGE)
        body = await self._search(asked)
        return self._answer(query.words, body, *read_each(listed(body.get("organic_results")), _page))

    async def places(self, query: PlaceQuery) -> Answer[Place]:
        asked = {"engine": "google_maps", "type": "search", "q": query.words} | _local(query)
        if query.latitude is not None and query.longitude is not None:
            asked["ll"] = f"@{query.latitude:.6f},{query.longitude:.6f},{_ZOOM}"
        if query.page > 1:
            asked["start"] = str((query.page - 1) * _PLACES_PER_PAGE)
        body = await self._search(asked)
        # A name that Google knows for sure gives that one place instead of a list.
        rows = listed(body.get("local_results")) or [body[one] for one in ("place_results",) if mapped(body.get(one))]
        return self._answer(query.words, body, *read_each(rows, _place))

    async def news(self, query: Query) -> Answer[News]:
        """Google News; it has one page."""
        asked = {"engine": "google_news", "q": query.words} | _local(query)
        body = await self._search(asked)
        rows: list[Any] = []
        for row in listed(body.get("news_results")):  # a story told by several: its own entry, or only theirs
            stories = listed(mapped(row).get("stories"))
            rows += stories if stories and "link" not in row else [row]
        return self._answer(query.words, body, *read_each(rows, _news))

    async def account(self) -> Quota:
        """What the plan has left. Free of charge; the cheapest way to learn that the key works."""
        body = self._understand(await self._wire.get("/account.json", {}, key_param="api_key"))
        return Quota(left=whole(body.get("total_searches_left")), limit=whole(body.get("searches_per_month")))

    async def _search(self, asked: dict[str, str]) -> dict[str, Any]:
        body = self._understand(await self._wire.get("/search.json", asked, key_param="api_key"))
        status = mapped(body.get("search_metadata")).get("status")
        if status == "Success":
            return body  # with an `error` beside it when there were no results
        if status in ("Error", "Processing", "Queued"):
            raise errors.unavailable(self.name, self._wire.clean(body.get("error")) or f"search {status}")
        raise errors.broken(self.name, "the answer does not say how the search went")

    def _understand(self, reply: Reply) -> dict[str, Any]:
        if reply.status == 200:
            return reply.body
        detail = self._wire.clean(reply.body.get("error")) or f"HTTP {reply.status}"
        if reply.status in (401, 403):
            raise errors.key_wrong(self.name, f"HTTP {reply.status}")
        if reply.status == 429:
            if "run out of searches" in detail.lower() or "searches for the month" in detail.lower():
                raise errors.quota_spent(self.name, detail)
            raise errors.throttled(self.name, detail, reply.retry_after)
        if reply.status == 400:
            raise errors.query_refused(self.name, detail)
        if reply.status >= 500:
            raise errors.unavailable(self.name, detail)
        raise errors.broken(self.name, detail)

    def _answer(self, asked: str, body: dict[str, Any], results: tuple[Result, ...], unreadable: int) -> Answer[Result]:
        more = bool(mapped(body.get("serpapi_pagination")).get("next"))
        return Answer(self.name, asked, results, self._clock.now(), 1, more, unreadable=unreadable)


def _local(query: Query | PlaceQuery) -> dict[str, str]:
    return {"hl": _LANGUAGES[query.language], "gl": query.country.lower()}


def _page(row: dict[str, Any], place: int) -> Page:
    return Page(
        position=whole(row.get("position")) or place,
        title=needed(row["title"]),
        url=needed_address(row["link"]),
        snippet=words(row.get("snippet")),
        told_date=words(row.get("date"), 60),
    )


def _place(row: dict[str, Any], place: int) -> Place:
    where = mapped(row.get("gps_coordinates"))
    kind = row.get("type")
    return Place(
        position=whole(row.get("position")) or place,
        name=needed(row["title"]),
        category=words(kind[0] if isinstance(kind, list) and kind else kind, 120),
        address=words(row.get("address"), 300),
        phone=words(row.get("phone"), 60),
        website=address_of(row.get("website")),
        rating=rating(row.get("rating")),
        reviews=whole(row.get("reviews")),
        place_id=words(row.get("place_id"), 200),
        cid=words(row.get("data_cid"), 40),
        latitude=number(where.get("latitude")),
        longitude=number(where.get("longitude")),
        closed=_closed(row),
    )


def _closed(row: dict[str, Any]) -> bool | None:
    if row.get("permanently_closed") is True:
        return True
    told = words(row.get("open_state"), 120)
    return None if told is None else any(said in folded(told) for said in _CLOSED)


def _news(row: dict[str, Any], place: int) -> News:
    source = row.get("source")
    return News(
        position=whole(row.get("position")) or place,
        title=needed(row["title"]),
        url=needed_address(row["link"]),
        source=words(source.get("name") if isinstance(source, dict) else source, 120),
        snippet=words(row.get("snippet")),
        published=moment(row.get("iso_date")) or moment(row.get("date")),
        told_date=words(row.get("date"), 60),
    )
