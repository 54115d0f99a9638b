"""Company pages, read safely and politely: checked address, robots.txt, one request at a time to a host, caps.

What comes back was written by strangers (origin "web"): data, never orders. Nothing of it is run, no link is followed
but redirects, and `site` opens only pages of the same host that a person would look at for contacts.
"""

import asyncio
import re
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import ClassVar, Literal
from urllib.parse import urljoin, urlsplit

from core.clock import Clock
from core.errors import ArgumentsWrong, MutiraoError, Refused
from core.words import folded
from integrations.web_pages.addresses import WebAddress, web_address
from integrations.web_pages.errors import broken, forbidden_by_robots, not_public, refused, unreachable
from integrations.web_pages.extract import PageFacts, facts_of
from integrations.web_pages.fetcher import TYPES, Fetcher, Limits, Response, Turns
from integrations.web_pages.resolver import Resolver
from integrations.web_pages.robots import EVERYTHING, MOST_BYTES, Robots, read_robots

_ROBOTS_FOR = timedelta(hours=24)
"""RFC 9309 2.4: not longer."""
_MOST_ROBOTS = 2_000
_CHARSETS = {
    "utf-8": "utf-8", "utf8": "utf-8", "us-ascii": "cp1252", "ascii": "cp1252", "iso-8859-1": "cp1252",
    "latin1": "cp1252", "latin-1": "cp1252", "windows-1252": "cp1252", "cp1252": "cp1252", "iso-8859-15": "iso8859-15",
    "utf-16": "utf-16", "utf-16le": "utf-16-le", "utf-16be": "utf-16-be",
}  # fmt: skip
_META_CHARSET = re.compile(
    rb"""<meta[^>]{0,200}?charset\s{0,9}=\s{0,9}["']?\s{0,9}([a-zA-Z0-9_-]{1,20})""", re.IGNORECASE
)
_WORTH_A_LOOK = (
    "contato", "contact", "contacto", "fale conosco", "sobre", "quem somos", "about", "nosotros", "empresa", "equipe",
    "time", "team", "equipo", "trabalhe conosco", "vagas", "careers",
)  # fmt: skip


@dataclass(frozen=True)
class Page:
    """One page as it was read."""

    asked: str
    url: str
    """Where it was found after redirects: the source to be shown with every fact from it."""
    fetched_at: datetime
    facts: PageFacts
    hops: tuple[str, ...] = ()
    """The addresses that sent on, in order."""
    cut: bool = False
    """It was longer than is read."""

    origin: ClassVar[Literal["web"]] = "web"


@dataclass(frozen=True)
class Site:
    """The pages of one site that were looked at, the one asked for first."""

    pages: tuple[Page, ...]
    failures: tuple[tuple[str, str], ...] = ()
    """(address, code) of pages that could not be read."""


@dataclass
class _Cached:
    robots: Robots
    until: datetime


@dataclass
class _Journey:
    """One page's way: what is left of its time."""

    seconds: float
    hops: list[str] = field(default_factory=list)


class WebPages:
    """Reads pages over `resolver`. Failures: `errors.py`; `aclose` when done.

    The sandbox hands in its own resolver and the simulator's certificate authority (`trust`); the checks are the same.
    """

    def __init__(
        self, resolver: Resolver, clock: Clock, *, trust: ssl.SSLContext | None = None, limits: Limits | None = None
    ) -> None:
        self._fetcher = Fetcher(resolver, trust=trust, limits=limits)
        self._limits = self._fetcher.limits
        self._clock = clock
        self._turns = Turns()
        self._robots: dict[str, _Cached] = {}
        self._asking: dict[str, asyncio.Lock] = {}

    async def aclose(self) -> None:
        await self._fetcher.aclose()

    async def read(self, url: str) -> Page:
        """The page at `url` and what it tells.

        ArgumentsWrong("page_address_wrong"); Refused("page_not_public" | "page_never_fetched" |
        "page_forbidden_by_robots" | "page_refused" | "page_broken"); Unavailable("page_unreachable").
        """
        journey = _Journey(self._limits.total)
        response = await self._follow(web_address(url), journey, check_robots=True)
        host = response.address.host
        if response.status in (429, 503) or response.status >= 500:
            raise unreachable(host, f"HTTP {response.status}", response.retry_after)
        if not 200 <= response.status < 300:
            raise refused(host, response.status)
        if response.content_type not in TYPES:
            raise broken(host, f"{response.content_type[:40] or 'no type told'}, not a page")
        if b"\0" in response.body[:1_000] and not response.charset.startswith("utf-16"):
            raise broken(host, "not text")
        text = _decode(response)
        final = response.address.url
        # In a thread: a large page takes some tenths of a second.
        facts = await asyncio.to_thread(facts_of, text, final, html=response.content_type == "text/html")
        return Page(url, final, self._clock.now(), facts, tuple(journey.hops), response.cut)

    async def site(self, url: str, *, most: int = 3) -> Site:
        """The page at `url` and up to `most - 1` more of its host that tell about contacts and people.

        Fails as `read` does when the first page cannot be read; of the others only what went wrong is told.
        """
        first = await self.read(url)
        pages, failures = [first], []
        for further in _worth_a_look(first)[: max(0, most - 1)]:
            try:
                pages.append(await self.read(further))
            except MutiraoError as error:
                failures.append((further, error.code))
        return Site(tuple(pages), tuple(failures))

    # --- one hop after another ----------------------------------------------------------------

    async def _follow(
        self, address: WebAddress, journey: _Journey, *, check_robots: bool, most: int | None = None
    ) -> Response:
        """The answer behind all redirects, each address checked anew."""
        for _ in range(self._limits.hops + 1):
            pause = self._limits.pause
            if check_robots:
                robots = await self._robots_of(address)
                if not robots.allows(address.target):
                    raise forbidden_by_robots(address.host)
                pause = max(pause, min(robots.crawl_delay, self._limits.longest_pause))
            response = await self._request(address, journey, pause, most)
            if response.status not in (301, 302, 303, 307, 308):
                return response
            journey.hops.append(address.url)
            if not response.location:
                raise broken(address.host, "it sends on to nowhere")
            address = _next(address, response.location)
            if address.url in journey.hops:
                raise broken(address.host, "it sends in circles")
        raise broken(address.host, f"more than {self._limits.hops} redirects")

    async def _request(self, address: WebAddress, journey: _Journey, pause: float, most: int | None) -> Response:
        async with self._turns.of(address.host, pause):
            begun = time.monotonic()
            if journey.seconds <= 0:
                raise unreachable(address.host, "too slow")
            try:
                return await self._fetcher.get(address, journey.seconds, most)
            finally:
                journey.seconds -= time.monotonic() - begun

    async def _robots_of(self, address: WebAddress) -> Robots:
        """The host's robots.txt, kept for a day. None there (4xx): everything allowed. 5xx: not now, says the RFC."""
        # Readers of the same host wait for the first one's answer.
        asking = self._asking.setdefault(address.origin, asyncio.Lock())
        try:
            async with asking:
                now = self._clock.now()
                known = self._robots.get(address.origin)
                if known is not None and known.until > now:
                    return known.robots
                robots = await self._ask_robots(address)
                if len(self._robots) >= _MOST_ROBOTS:
                    self._robots = {name: one for name, one in self._robots.items() if one.until > now}
                    while len(self._robots) >= _MOST_ROBOTS:
                        self._robots.pop(next(iter(self._robots)))
                self._robots[address.origin] = _Cached(robots, now + _ROBOTS_FOR)
                return robots
        finally:
            if not asking.locked():
                self._asking.pop(address.origin, None)

    async def _ask_robots(self, address: WebAddress) -> Robots:
        where = WebAddress(address.scheme, address.host, address.port, "/robots.txt")
        try:
            response = await self._follow(where, _Journey(self._limits.total), check_robots=False, most=MOST_BYTES)
        except Refused as error:
            if error.code == "page_broken":  # circles or nonsense in place of a robots.txt: there is none
                return EVERYTHING
            raise
        if response.status >= 500 or response.status == 429:
            raise unreachable(address.host, f"robots.txt: HTTP {response.status}", response.retry_after)
        sound = 200 <= response.status < 300
        return read_robots(response.body.decode("utf-8", "replace")) if sound else EVERYTHING


def _next(address: WebAddress, location: str) -> WebAddress:
    """Where a redirect leads. A target that nobody may ask is refused: the caller's address was not wrong."""
    try:
        return web_address(urljoin(address.url, location.strip()))
    except ArgumentsWrong:
        raise broken(address.host, "it sends on to something that is no public page") from None
    except ValueError:
        raise not_public(address.host, "it sends on to nonsense") from None


def _decode(response: Response) -> str:
    told = response.charset
    if told not in _CHARSETS and (found := _META_CHARSET.search(response.body[:4_096])):
        told = found.group(1).decode("ascii").lower()
    if told not in _CHARSETS:
        try:
            return response.body.decode("utf-8")
        except UnicodeDecodeError as error:
            # Cut in the middle of a letter at the cap is still UTF-8.
            told = "utf-8" if response.cut and error.start > len(response.body) - 4 else "cp1252"
    return response.body.decode(_CHARSETS.get(told, told), "replace")


def _worth_a_look(page: Page) -> Sequence[str]:
    """Addresses of the same host whose words promise contacts or people, each once, the best words first."""
    host = urlsplit(page.url).hostname or ""
    found: dict[str, int] = {}
    for link in page.facts.links:
        parts = urlsplit(link.url)
        if (parts.hostname or "").removeprefix("www.") != host.removeprefix("www.") or link.url == page.url:
            continue
        words = f" {folded(link.text)} {folded(parts.path)} "
        rank = next((place for place, word in enumerate(_WORTH_A_LOOK) if f" {word}" in words), None)
        bare = link.url.partition("#")[0]
        if rank is not None and bare != page.url:
            found[bare] = min(rank, found.get(bare, rank))
    return sorted(found, key=lambda url: found[url])
