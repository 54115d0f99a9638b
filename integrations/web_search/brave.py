"""Brave Search: an index of its own, for the web, places and news.

Written after Brave's own descriptions: github.com/brave/brave-search-skills (web-search, place-search, news-search,
read November 2026), the documentation's response headers (api-dashboard.search.brave.com, web-search/response-headers)
and errors as quoted in public threads (egoist/chatwise-releases #1296: 429 RATE_LIMITED with `meta`; #936: 422
VALIDATION; a wrong key is 422 SUBSCRIPTION_TOKEN_INVALID). Never run against the real service here. Uncertain: the
code of a spent month (read from the figures in `meta` and the headers instead); whether a place's `url` is its own
site (taken only when it is not the provider's page).
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

from core.clock import Clock
from core.words import plain
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

PUBLIC_URL = "https://api.search.brave.com"
_KEY_HEADER = "X-Subscription-Token"
_PER_PAGE, _PLACES, _RADIUS = 20, 50, 20_000
_LANGUAGES = {"pt-BR": ("pt-br", "pt-BR"), "en": ("en", "en-US"), "es": ("es", "es-ES")}
_COUNTRY_NAMES = {"BR": "brazil", "PT": "portugal", "US": "united states", "AR": "argentina", "MX": "mexico"}
_MONTH = 28 * 86_400


class BraveSearch:
    """Searches with one Brave key. Failures: `errors.py`."""

    name = "Brave"

    def __init__(
        self, http: httpx.AsyncClient, key: str, clock: Clock, *, base_url: str = PUBLIC_URL, timeout: float = 30.0
    ) -> None:
        self._wire = Wire(http, self.name, base_url, key, timeout)
        self._clock = clock

    async def pages(self, query: Query) -> Answer[Page]:
        asked = {"q": query.words, "result_filter": "web", "text_decorations": "false", "count": str(_PER_PAGE)}
        reply = await self._get("/res/v1/web/search", asked | _local(query) | _offset(query.page), "search")
        rows = listed(mapped(reply.body.get("web")).get("results"))
        return self._answer(query.words, reply, *read_each(rows, _page))

    async def places(self, query: PlaceQuery) -> Answer[Place]:
        """Up to 50 places within 20 km; there is no second page, so asking for one gives an empty answer for free."""
        if query.page > 1:
            return Answer(self.name, query.words, (), self._clock.now(), 0, False)
        asked = {"q": query.what, "count": str(_PLACES)} | _local(query)
        if query.latitude is not None and query.longitude is not None:
            asked |= {"latitude": f"{query.latitude:.6f}", "longitude": f"{query.longitude:.6f}"}
            asked |= {"radius": str(_RADIUS)}
        else:
            country = _COUNTRY_NAMES.get(query.country.upper(), query.country)
            asked["location"] = f"{plain(query.city)} {country}".replace(",", " ")
        reply = await self._get("/res/v1/local/place_search", asked, "locations")
        return self._answer(query.words, reply, *read_each(listed(reply.body.get("results")), _place))

    async def news(self, query: Query) -> Answer[News]:
        asked = {"q": query.words, "count": str(_PER_PAGE)} | _local(query) | _offset(query.page)
        reply = await self._get("/res/v1/news/search", asked, "news")
        return self._answer(query.words, reply, *read_each(listed(reply.body.get("results")), _news))

    async def _get(self, path: str, asked: Mapping[str, str], kind: str) -> Reply:
        reply = await self._wire.get(path, asked, key_header=_KEY_HEADER)
        if reply.status != 200:
            raise self._failure(reply)
        if reply.body.get("type") != kind:
            raise errors.broken(self.name, f"the answer is no {kind!r}")
        return reply

    def _failure(self, reply: Reply) -> Exception:
        told = mapped(reply.body.get("error")) or mapped((listed(reply.body.get("errors")) or [None])[0])
        code, meta = str(told.get("code") or ""), mapped(told.get("meta"))
        detail = self._wire.clean(told.get("detail")) or f"HTTP {reply.status}"
        if reply.status in (401, 403) or code.startswith("SUBSCRIPTION_TOKEN"):
            return errors.key_wrong(self.name, code or f"HTTP {reply.status}")
        if reply.status in (402, 429):
            quota = _quota(reply.headers)
            used, limit = whole(meta.get("quota_current")), whole(meta.get("quota_limit"))
            over = used is not None and limit is not None and limit > 0 and used >= limit
            if reply.status == 402 or over or quota.left == 0 or "QUOTA" in code:
                return errors.quota_spent(self.name, detail, quota.resets_in)
            return errors.throttled(self.name, detail, reply.retry_after or 1.0)  # one request a second, as a rule
        if reply.status in (400, 404, 422):
            return errors.query_refused(self.name, detail)
        if reply.status >= 500:
            return errors.unavailable(self.name, detail)
        return errors.broken(self.name, detail)

    def _answer(self, asked: str, reply: Reply, results: tuple[Result, ...], unreadable: int) -> Answer[Result]:
        more = mapped(reply.body.get("query")).get("more_results_available") is True
        quota = _quota(reply.headers)
        return Answer(self.name, asked, results, self._clock.now(), 1, more, quota, unreadable)


def _local(query: Query | PlaceQuery) -> dict[str, str]:
    search, shown = _LANGUAGES[query.language]
    return {"country": query.country.upper(), "search_lang": search, "ui_lang": shown}


def _offset(page: int) -> dict[str, str]:
    return {"offset": str(page - 1)} if page > 1 else {}  # counts pages, not results


def _quota(headers: Mapping[str, str]) -> Quota:
    """The month's window of "X-RateLimit-Policy: 1;w=1, 15000;w=2592000" and of the headers beside it.

    Plans paid by use have a limit of 0 for the month, which means none.
    """
    windows = [one.partition("w=")[2].strip() for one in headers.get("x-ratelimit-policy", "").split(",")]
    months = [place for place, one in enumerate(windows) if one.isdecimal() and int(one) >= _MONTH]
    if not months:
        return Quota()

    def told(name: str) -> int | None:
        values = headers.get(f"x-ratelimit-{name}", "").split(",")
        return whole(values[months[0]].strip()) if months[0] < len(values) else None

    limit = told("limit")
    if not limit:
        return Quota()
    return Quota(left=told("remaining"), limit=limit, resets_in=told("reset"))


def _page(row: dict[str, Any], place: int) -> Page:
    return Page(
        position=place,
        title=needed(row["title"]),
        url=needed_address(row["url"]),
        snippet=words(row.get("description")),
        told_date=words(row.get("page_age") or row.get("age"), 60),
    )


def _place(row: dict[str, Any], place: int) -> Place:
    where = listed(row.get("coordinates"))
    stars = mapped(row.get("rating"))
    best = number(stars.get("bestRating"))
    address = mapped(row.get("postal_address"))
    return Place(
        position=place,
        name=needed(row["title"]),
        category=words(next(iter(listed(row.get("categories"))), None), 120),
        address=words(address.get("displayAddress") or address.get("streetAddress"), 300),
        phone=words(mapped(row.get("contact")).get("telephone"), 60),
        website=_own_site(row),
        rating=rating(stars.get("ratingValue")) if best in (None, 5.0) else None,
        reviews=whole(stars.get("reviewCount")),
        place_id=None,  # its own ids last eight hours
        cid=None,
        latitude=number(where[0]) if len(where) == 2 else None,
        longitude=number(where[1]) if len(where) == 2 else None,
        closed=None,
    )


def _own_site(row: dict[str, Any]) -> str | None:
    url, provider = address_of(row.get("url")), address_of(row.get("provider_url"))
    if url is None or provider is None or urlsplit(url).hostname == urlsplit(provider).hostname:
        return None
    return url


def _news(row: dict[str, Any], place: int) -> News:
    source = mapped(row.get("source")).get("name") or mapped(row.get("meta_url")).get("hostname")
    return News(
        position=place,
        title=needed(row["title"]),
        url=needed_address(row["url"]),
        source=words(source, 120),
        snippet=words(row.get("description")),
        published=moment(row.get("page_age")),
        told_date=words(row.get("age"), 60),
    )
