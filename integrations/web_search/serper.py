"""Serper: Google's search, places and news as JSON, paid by credits.

Serper publishes no reference outside its playground. Written after the OpenAPI description in github.com/tryAGI/Serper
(src/libs/Serper/openapi.yaml, read November 2026), LangChain's GoogleSerperAPIWrapper (which key holds which results)
and its error `403 {"message": "Unauthorized.", "statusCode": 403}` as quoted in public notes. UNVERIFIED: never run
against the real service; the words of a spent account ("Not enough credits", HTTP 400) are from memory; dates of news
come as "2 days ago" and are kept as told.
"""

from typing import Any

import httpx

from core.clock import Clock
from integrations.web_search import errors
from integrations.web_search.payloads import (
    Answer,
    News,
    Page,
    Place,
    PlaceQuery,
    Query,
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
from integrations.web_search.wire import Wire

PUBLIC_URL = "https://google.serper.dev"
_KEY_HEADER = "X-API-KEY"
_PER_PAGE = 10
_LANGUAGES = {"pt-BR": "pt-br", "en": "en", "es": "es"}


class Serper:
    """Searches with one Serper key. Failures: `errors.py`."""

    name = "Serper"

    def __init__(
        self, http: httpx.AsyncClient, key: str, clock: Clock, *, base_url: str = PUBLIC_URL, timeout: float = 30.0
    ) -> None:
        self._wire = Wire(http, self.name, base_url, key, timeout)
        self._clock = clock

    async def pages(self, query: Query) -> Answer[Page]:
        body = await self._post("/search", query)
        return self._answer(query.words, body, *read_each(listed(body.get("organic")), _page))

    async def places(self, query: PlaceQuery) -> Answer[Place]:
        """By words alone: this endpoint takes no coordinates."""
        body = await self._post("/places", query)
        return self._answer(query.words, body, *read_each(listed(body.get("places")), _place))

    async def news(self, query: Query) -> Answer[News]:
        body = await self._post("/news", query)
        return self._answer(query.words, body, *read_each(listed(body.get("news")), _news))

    async def _post(self, path: str, query: Query | PlaceQuery) -> dict[str, Any]:
        asked: dict[str, Any] = {"q": query.words, "gl": query.country.lower(), "hl": _LANGUAGES[query.language]}
        if query.page > 1:
            asked["page"] = query.page
        reply = await self._wire.post(path, asked, key_header=_KEY_HEADER)
        if reply.status == 200:
            if not mapped(reply.body.get("searchParameters")):
                raise errors.broken(self.name, "the answer does not say what was searched")
            return reply.body
        detail = self._wire.clean(reply.body.get("message")) or f"HTTP {reply.status}"
        if "credits" in detail.lower() or reply.status == 402:
            raise errors.quota_spent(self.name, detail)
        if reply.status in (401, 403):
            raise errors.key_wrong(self.name, f"HTTP {reply.status}")
        if reply.status == 429:
            raise errors.throttled(self.name, detail, reply.retry_after)
        if reply.status in (400, 422):
            raise errors.query_refused(self.name, detail)
        if reply.status >= 500:
            raise errors.unavailable(self.name, detail)
        raise errors.broken(self.name, detail)

    def _answer(self, asked: str, body: dict[str, Any], results: tuple[Result, ...], unreadable: int) -> Answer[Result]:
        cost = whole(body.get("credits"))
        more = len(results) + unreadable >= _PER_PAGE
        return Answer(
            self.name, asked, results, self._clock.now(), 1 if cost is None else cost, more, unreadable=unreadable
        )


def _page(row: dict[str, Any], place: int) -> Page:
    return Page(
        position=whole(row.get("position")) or place,
        title=needed(row["title"]),
        url=needed_address(row["link"]),
        snippet=words(row.get("snippet")),
        told_date=words(row.get("date"), 60),
    )


def _place(row: dict[str, Any], place: int) -> Place:
    return Place(
        position=whole(row.get("position")) or place,
        name=needed(row["title"]),
        category=words(row.get("category"), 120),
        address=words(row.get("address"), 300),
        phone=words(row.get("phoneNumber"), 60),
        website=address_of(row.get("website")),
        rating=rating(row.get("rating")),
        reviews=whole(row.get("ratingCount")),
        place_id=words(row.get("placeId"), 200),
        cid=words(row.get("cid"), 40),
        latitude=number(row.get("latitude")),
        longitude=number(row.get("longitude")),
        closed=None,
    )


def _news(row: dict[str, Any], place: int) -> News:
    return News(
        position=whole(row.get("position")) or place,
        title=needed(row["title"]),
        url=needed_address(row["link"]),
        source=words(row.get("source"), 120),
        snippet=words(row.get("snippet")),
        published=moment(row.get("date")),
        told_date=words(row.get("date"), 60),
    )
