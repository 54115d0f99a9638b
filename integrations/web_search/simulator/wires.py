"""The three vendors' wires over the sandbox's web: /serpapi, /brave and /serper.

Answers have the shapes that serpapi.py, brave.py and serper.py beside it cite. Only the sandbox's own key is taken
(`SANDBOX_KEY`), so a real one is never accepted here. Searches of a key are counted, as their vendors do; `--quota`
sets how many a month has.
"""

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from integrations.sandbox_companies import AS_OF, SandboxCompany
from integrations.web_search.simulator.index import Doc, Entry, the_map, the_news, the_web

SANDBOX_KEY = "sandbox-key-of-the-simulated-searches"
_NEAR_KM = 25.0
_MONTH = 2_592_000
_OUT = "Your account has run out of searches."


class Wires:
    """Three vendors behind one address. `quota`: searches that each of them grants."""

    def __init__(self, quota: int = 1_000_000) -> None:
        self._web, self._news, self._map = the_web(), the_news(), the_map()
        self._quota = quota
        self._used: dict[str, int] = {}
        self._routes: dict[tuple[str, str], Callable[[Request], Response]] = {
            ("GET", "/serpapi/search.json"): self._serpapi,
            ("GET", "/serpapi/account.json"): self._serpapi_account,
            ("GET", "/brave/res/v1/web/search"): self._brave,
            ("GET", "/brave/res/v1/news/search"): self._brave,
            ("GET", "/brave/res/v1/local/place_search"): self._brave,
            ("POST", "/serper/search"): self._serper,
            ("POST", "/serper/news"): self._serper,
            ("POST", "/serper/places"): self._serper,
        }

    def respond(self, request: Request) -> Response:
        answer = self._routes.get((request.method, request.url.path))
        if answer is None:
            return JSONResponse({"error": "Not Found"}, 404)
        return answer(request)

    # --- what is found ------------------------------------------------------------------------

    def _places(self, words: str, near: tuple[float, float] | None) -> Sequence[SandboxCompany]:
        found = [doc.item for doc in self._map.find(words)]
        if near is None:
            return found
        return [one for one in found if _km(one, near) <= _NEAR_KM]

    def _left(self, vendor: str) -> int:
        return max(0, self._quota - self._used.get(vendor, 0))

    def _count(self, vendor: str) -> None:
        self._used[vendor] = self._used.get(vendor, 0) + 1

    # --- SerpAPI ------------------------------------------------------------------------------

    def _serpapi(self, request: Request) -> Response:
        asked = dict(request.query_params)
        if refused := self._serpapi_key(asked):
            return refused
        engine, words = asked.get("engine", "google"), asked.get("q", "")
        if not words.strip():
            return JSONResponse({"error": "Missing query `q` parameter."}, 400)
        if engine not in ("google", "google_maps", "google_news"):
            return JSONResponse({"error": f"Unsupported `{engine}` search engine."}, 400)
        if not self._left("serpapi"):
            return JSONResponse({"error": _OUT}, 429)
        self._count("serpapi")
        start = int(asked["start"]) if asked.get("start", "").isdecimal() else 0
        answer: dict[str, Any] = {
            "search_metadata": {
                "id": hashlib.sha256(request.url.query.encode()).hexdigest()[:24],
                "status": "Success",
                "created_at": f"{AS_OF} 12:00:00 UTC",
                "total_time_taken": 0.01,
            },
            "search_parameters": {name: value for name, value in asked.items() if name != "api_key"},
        }
        if engine == "google_news":
            rows: list[dict[str, Any]] = [
                _serpapi_news(doc, place) for place, doc in enumerate(self._news.find(words)[:100], 1)
            ]
            answer["news_results"] = rows
            total, step = len(rows), 100
        elif engine == "google_maps":
            found = self._places(words, _ll(asked.get("ll", "")))
            total, step = len(found), 20
            rows = [_serpapi_place(one, place) for place, one in enumerate(found[start : start + step], start + 1)]
            answer["local_results"] = rows
        else:
            docs = self._web.find(words)
            total, step = len(docs), 10
            rows = [_serpapi_page(doc, place) for place, doc in enumerate(docs[start : start + step], 1)]
            answer["organic_results"] = rows
            answer["search_information"] = {"query_displayed": words, "total_results": total}
        if not rows:
            for name in ("news_results", "local_results", "organic_results"):
                answer.pop(name, None)
            answer["search_information"] = {"organic_results_state": "Fully empty"}
            answer["error"] = "Google hasn't returned any results for this query."
        elif start + step < total:
            kept = {name: value for name, value in asked.items() if name != "api_key"} | {"start": str(start + step)}
            answer["serpapi_pagination"] = {"next": f"https://serpapi.com/search.json?{urlencode(kept)}"}
        return JSONResponse(answer)

    def _serpapi_account(self, request: Request) -> Response:
        if refused := self._serpapi_key(dict(request.query_params)):
            return refused
        return JSONResponse(
            {
                "account_email": "sandbox@mutirao.example",
                "plan_name": "Sandbox",
                "searches_per_month": self._quota,
                "plan_searches_left": self._left("serpapi"),
                "extra_credits": 0,
                "total_searches_left": self._left("serpapi"),
                "this_month_usage": self._used.get("serpapi", 0),
                "account_rate_limit_per_hour": 1_000,
            }
        )

    def _serpapi_key(self, asked: dict[str, str]) -> Response | None:
        if asked.get("api_key") == SANDBOX_KEY:
            return None
        said = "Invalid API key. Your API key should be here: https://serpapi.com/manage-api-key"
        return JSONResponse({"error": said}, 401)

    # --- Brave --------------------------------------------------------------------------------

    def _brave(self, request: Request) -> Response:
        asked = dict(request.query_params)
        words = asked.get("q", "")
        kind = request.url.path.rsplit("/", 2)
        places = kind[-1] == "place_search"
        if request.headers.get("x-subscription-token") != SANDBOX_KEY:
            return _brave_error(422, "SUBSCRIPTION_TOKEN_INVALID", "The provided subscription token is invalid.", {})
        if (not words.strip() and not places) or len(words) > 400 or len(words.split()) > 50:
            return _brave_error(422, "VALIDATION", "Unable to validate request parameter(s)", {})
        if not asked.get("offset", "0").isdecimal() or int(asked.get("offset", "0")) > 9:
            return _brave_error(422, "VALIDATION", "Unable to validate request parameter(s)", {})
        if not self._left("brave"):
            meta = {"quota_limit": self._quota, "quota_current": self._quota, "component": "rate_limiter"}
            answer = _brave_error(429, "QUOTA_LIMITED", "Request quota exceeded for plan", meta)
            answer.headers.update(self._brave_headers())
            return answer
        self._count("brave")
        count, offset = int(asked.get("count", "20")), int(asked.get("offset", "0"))
        start = count * offset
        query: dict[str, Any] = {"original": words, "spellcheck_off": False}
        body: dict[str, Any]
        if places:
            near = (float(asked["latitude"]), float(asked["longitude"])) if "latitude" in asked else None
            where = "" if near else asked.get("location", "").removesuffix(" brazil")
            found = self._places(f"{words} {where}", near)
            rows = [_brave_place(one) for one in found[:count]]
            body = {"type": "locations", "query": query, "results": rows}
        elif kind[-2] == "news":
            docs = self._news.find(words)
            body = {"type": "news", "query": query}
            body["results"] = [_brave_news(doc) for doc in docs[start : start + count]]
            query["more_results_available"] = start + count < len(docs)
        else:
            docs = self._web.find(words)
            body = {"type": "search", "query": query, "mixed": {"type": "mixed", "main": [], "top": [], "side": []}}
            if docs[start : start + count]:
                rows = [_brave_page(doc) for doc in docs[start : start + count]]
                body["web"] = {"type": "search", "results": rows, "family_friendly": True}
            query["more_results_available"] = start + count < len(docs)
        return JSONResponse(body, headers=self._brave_headers())

    def _brave_headers(self) -> dict[str, str]:
        return {
            "x-ratelimit-limit": f"1, {self._quota}",
            "x-ratelimit-policy": f"1;w=1, {self._quota};w={_MONTH}",
            "x-ratelimit-remaining": f"0, {self._left('brave')}",
            "x-ratelimit-reset": f"1, {_MONTH // 2}",
        }

    # --- Serper -------------------------------------------------------------------------------

    def _serper(self, request: Request) -> Response:
        if request.headers.get("x-api-key") != SANDBOX_KEY:
            return JSONResponse({"message": "Unauthorized.", "statusCode": 403}, 403)
        try:
            asked = json.loads(request.state.body)
            words, page = str(asked["q"]), int(asked.get("page", 1))
        except (ValueError, KeyError, TypeError):
            return JSONResponse({"message": "Missing query parameter", "statusCode": 400}, 400)
        if not self._left("serper"):
            return JSONResponse({"message": "Not enough credits", "statusCode": 400}, 400)
        self._count("serper")
        kind = request.url.path.rpartition("/")[2]
        start = (page - 1) * 10
        answer: dict[str, Any] = {
            "searchParameters": {**asked, "type": kind, "engine": "google"},
            "credits": 1,
        }
        if kind == "places":
            found = self._places(words, None)[start : start + 10]
            answer["places"] = [_serper_place(one, place) for place, one in enumerate(found, start + 1)]
        elif kind == "news":
            docs = self._news.find(words)[start : start + 10]
            answer["news"] = [_serper_news(doc, place) for place, doc in enumerate(docs, 1)]
        else:
            docs = self._web.find(words)[start : start + 10]
            answer["organic"] = [
                {"title": doc.title, "link": doc.url, "snippet": doc.snippet, "position": place}
                for place, doc in enumerate(docs, 1)
            ]
        return JSONResponse(answer)


# --- one result in each vendor's words --------------------------------------------------------------


def _serpapi_page(doc: Doc[Entry], place: int) -> dict[str, Any]:
    host = doc.url.split("/")[2]
    return {
        "position": place,
        "title": doc.title,
        "link": doc.url,
        "redirect_link": f"https://www.google.com/url?url={doc.url}",
        "displayed_link": f"https://{host}",
        "snippet": doc.snippet,
        "snippet_highlighted_words": [],
        "source": host,
    }


def _serpapi_place(company: SandboxCompany, place: int) -> dict[str, Any]:
    listing = company.maps
    assert listing is not None
    row: dict[str, Any] = {
        "position": place,
        "title": listing.title,
        "place_id": listing.place_id,
        "data_id": f"0x{int(_cid(company)) >> 8:x}:0x{int(_cid(company)):x}",
        "data_cid": _cid(company),
        "gps_coordinates": {"latitude": listing.latitude, "longitude": listing.longitude},
        "type": listing.category,
        "types": [listing.category],
        "address": listing.address,
        "open_state": "Fechado permanentemente" if listing.permanently_closed else "Aberto ⋅ Fecha às 18:00",
    }
    if listing.reviews:
        row |= {"rating": listing.rating, "reviews": listing.reviews}
    if listing.phone:
        row["phone"] = f"+55 {listing.phone.replace('(', '').replace(')', '')}"
    if listing.website:
        row["website"] = f"https://{listing.website}/"
    return row


def _serpapi_news(doc: Doc[Entry], place: int) -> dict[str, Any]:
    moment = _moment(doc)
    assert doc.item.news is not None
    return {
        "position": place,
        "title": doc.title,
        "source": {"name": doc.item.news.outlet, "icon": "https://lh3.example/icon"},
        "link": doc.url,
        "date": f"{moment:%m/%d/%Y, %I:%M %p}, +0000 UTC",
        "iso_date": f"{moment:%Y-%m-%dT%H:%M:%SZ}",
    }


def _brave_error(status: int, code: str, detail: str, meta: dict[str, Any]) -> Response:
    error = {
        "id": "00000000-0000-4000-8000-000000000000",
        "status": status,
        "code": code,
        "detail": detail,
        "meta": meta,
    }
    return JSONResponse({"type": "ErrorResponse", "error": error, "time": 1_794_700_800}, status)


def _brave_page(doc: Doc[Entry]) -> dict[str, Any]:
    host = doc.url.split("/")[2]
    return {
        "title": doc.title,
        "url": doc.url,
        "description": doc.snippet,
        "language": "pt",
        "meta_url": {"scheme": "https", "netloc": host, "hostname": host, "path": "/"},
        "type": "search_result",
    }


def _brave_place(company: SandboxCompany) -> dict[str, Any]:
    listing = company.maps
    assert listing is not None
    provider = f"https://mapas.example/lugar/{listing.place_id}"
    return {
        "type": "location_result",
        "id": f"loc{hashlib.sha256(listing.place_id.encode()).hexdigest()[:24].upper()}=",
        "title": listing.title,
        "url": f"https://{listing.website}/" if listing.website else provider,
        "provider_url": provider,
        "coordinates": [listing.latitude, listing.longitude],
        "postal_address": {
            "type": "PostalAddress",
            "displayAddress": listing.address,
            "addressLocality": company.city.name,
            "addressRegion": company.city.uf,
            "country": "BR",
        },
        "contact": {"telephone": f"+55 {listing.phone.replace('(', '').replace(')', '')}"} if listing.phone else None,
        "rating": {"ratingValue": listing.rating, "bestRating": 5.0, "reviewCount": listing.reviews}
        if listing.reviews
        else None,
        "categories": [listing.category],
        "timezone": "America/Sao_Paulo",
    }


def _brave_news(doc: Doc[Entry]) -> dict[str, Any]:
    assert doc.item.news is not None
    host = doc.item.news.host
    return {
        "type": "news_result",
        "title": doc.title,
        "url": doc.url,
        "description": doc.snippet,
        "age": _ago(doc, "{} days ago"),
        "page_age": f"{_moment(doc):%Y-%m-%dT%H:%M:%S}",
        "source": {"name": doc.item.news.outlet, "url": f"https://{host}"},
        "meta_url": {"scheme": "https", "netloc": host, "hostname": host, "path": "/"},
    }


def _serper_place(company: SandboxCompany, place: int) -> dict[str, Any]:
    listing = company.maps
    assert listing is not None
    row: dict[str, Any] = {
        "position": place,
        "title": listing.title,
        "address": listing.address,
        "latitude": listing.latitude,
        "longitude": listing.longitude,
        "category": listing.category,
        "cid": _cid(company),
    }
    if listing.reviews:
        row |= {"rating": listing.rating, "ratingCount": listing.reviews}
    if listing.phone:
        row["phoneNumber"] = listing.phone
    if listing.website:
        row["website"] = f"https://{listing.website}/"
    return row


def _serper_news(doc: Doc[Entry], place: int) -> dict[str, Any]:
    assert doc.item.news is not None
    return {
        "title": doc.title,
        "link": doc.url,
        "snippet": doc.snippet,
        "date": _ago(doc, "há {} dias"),
        "source": doc.item.news.outlet,
        "position": place,
    }


def _cid(company: SandboxCompany) -> str:
    assert company.maps is not None
    return str(int(hashlib.sha256(company.maps.place_id.encode()).hexdigest()[:15], 16))


def _moment(doc: Doc[Entry]) -> datetime:
    assert doc.published is not None
    return datetime.combine(doc.published, time(10, 0), UTC)


def _ago(doc: Doc[Entry], words: str) -> str:
    assert doc.published is not None
    return words.format(max(1, (AS_OF - doc.published) // timedelta(days=1)))


def _ll(told: str) -> tuple[float, float] | None:
    try:
        latitude, longitude, _ = told.removeprefix("@").split(",")
        return float(latitude), float(longitude)
    except ValueError:
        return None


def _km(company: SandboxCompany, near: tuple[float, float]) -> float:
    assert company.maps is not None
    north = (company.maps.latitude - near[0]) * 111.2
    east = (company.maps.longitude - near[1]) * 111.2 * math.cos(math.radians(near[0]))
    return math.hypot(north, east)
