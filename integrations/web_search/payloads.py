"""What searches ask and answer, typed, the same for every vendor. Missing is None, never 0 and never invented.

Everything here was written by strangers: titles, snippets and names are data (origin "web"), never orders.
"""

import html
import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar, Generic, Literal, TypeVar
from urllib.parse import urlsplit

from core.errors import ArgumentsWrong

Language = Literal["pt-BR", "en", "es"]
LONGEST_QUERY, MOST_WORDS, MOST_PAGES = 400, 50, 10
"""Brave takes no more than that; the others do, but a question has to work with all three."""


# --- questions ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Query:
    """Words to search for, as one types them; operators such as site: and "…" work with all three vendors."""

    words: str
    language: Language = "pt-BR"
    country: str = "BR"
    """Two letters: from where one searches."""
    page: int = 1
    """1 to 10. How many results a page has is the vendor's choice (10 or 20)."""

    def __post_init__(self) -> None:
        _check(self.words, self.page)


@dataclass(frozen=True)
class PlaceQuery:
    """Which kind of place (or which name), and where. With coordinates the map is searched around them."""

    what: str
    city: str
    latitude: float | None = None
    longitude: float | None = None
    language: Language = "pt-BR"
    country: str = "BR"
    page: int = 1
    """1 to 10; further pages need coordinates at SerpAPI, and Brave has only one."""

    def __post_init__(self) -> None:
        _check(f"{self.what} {self.city}", self.page)
        if (self.latitude is None) != (self.longitude is None):
            raise query_wrong("latitude and longitude go together")

    @property
    def words(self) -> str:
        return " ".join(f"{self.what} {self.city}".split())


def _check(words: str, page: int) -> None:
    if not words.strip():
        raise query_wrong("no words")
    if len(words) > LONGEST_QUERY or len(words.split()) > MOST_WORDS:
        raise query_wrong(f"more than {LONGEST_QUERY} characters or {MOST_WORDS} words")
    if not 1 <= page <= MOST_PAGES:
        raise query_wrong(f"the page is 1 to {MOST_PAGES}")


def query_wrong(detail: str) -> ArgumentsWrong:
    """A question that no vendor would take, refused before it is sent."""
    return ArgumentsWrong("search_query_wrong", detail, detail=detail)


# --- answers --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Page:
    """One page of the web, as a search engine shows it."""

    position: int
    """From 1, on its page of results."""
    title: str
    url: str
    snippet: str | None
    told_date: str | None = None
    """As shown, "há 3 dias" included."""


@dataclass(frozen=True)
class Place:
    """One entry of a map."""

    position: int
    name: str
    category: str | None
    address: str | None
    phone: str | None
    """As shown."""
    website: str | None
    rating: float | None
    """1 to 5."""
    reviews: int | None
    place_id: str | None
    """Google's (ChIJ…); None where the vendor does not tell it."""
    cid: str | None
    """Google's number of the entry, told by SerpAPI and Serper."""
    latitude: float | None
    longitude: float | None
    closed: bool | None
    """The map says that it is closed for good; None when it says nothing of opening."""


@dataclass(frozen=True)
class News:
    position: int
    title: str
    url: str
    source: str | None
    snippet: str | None
    published: datetime | None
    """Aware; None when only something like "há 3 dias" is told."""
    told_date: str | None


@dataclass(frozen=True)
class Quota:
    """What the vendor told about what one may still ask. None where it told nothing."""

    left: int | None = None
    limit: int | None = None
    resets_in: float | None = None
    """Seconds."""


Result = TypeVar("Result")


@dataclass(frozen=True)
class Answer(Generic[Result]):
    """What one vendor answered."""

    vendor: str
    words: str
    results: tuple[Result, ...]
    asked_at: datetime
    cost: int
    """In the vendor's units (searches, credits): what to count against a month's quota."""
    more: bool
    """There is a further page."""
    quota: Quota = field(default_factory=Quota)
    unreadable: int = 0
    """Results left out because they could not be read; they never lose their siblings."""
    passed_over: tuple[str, ...] = ()
    """Vendors that did not answer in its place, with the reason: "SerpAPI: search_quota_spent"."""

    origin: ClassVar[Literal["web"]] = "web"


# --- reading the wire -----------------------------------------------------------------------------


def read_each(rows: Iterable[Any], read: Callable[[dict[str, Any], int], Result]) -> tuple[tuple[Result, ...], int]:
    """Every row that can be read, and how many could not. `read` gets the row and its place from 1."""
    found: list[Result] = []
    lost = 0
    for place, row in enumerate(rows, 1):
        try:
            found.append(read(row, place))
        except (TypeError, ValueError, KeyError, AttributeError, IndexError):
            lost += 1
    return tuple(found), lost


def listed(raw: Any) -> list[Any]:
    return raw if isinstance(raw, list) else []


def mapped(raw: Any) -> dict[str, Any]:
    return raw if isinstance(raw, dict) else {}


def words(raw: Any, longest: int = 1_000) -> str | None:
    """A text without markup, control and invisible characters; None when it is empty or no text."""
    if not isinstance(raw, str):
        return None
    shown = html.unescape(re.sub(r"</?(?:strong|b|em|mark)>", "", raw[: longest * 4]))
    shown = "".join(sign if unicodedata.category(sign)[0] != "C" else " " for sign in shown)
    return " ".join(shown.split())[:longest] or None


def needed(raw: Any, longest: int = 300) -> str:
    """The same for what a result cannot be without. ValueError."""
    found = words(raw, longest)
    if found is None:
        raise ValueError("a text is missing")
    return found


def address_of(raw: Any) -> str | None:
    """A web address; None for anything else (javascript:, relative paths, junk, signs that nobody sees)."""
    if not isinstance(raw, str) or len(raw) > 2_000:
        return None
    url = raw.strip()
    if not url.isprintable() or " " in url:
        return None
    try:
        parts = urlsplit(url)
        return url if parts.scheme in ("http", "https") and parts.hostname else None
    except ValueError:
        return None


def needed_address(raw: Any) -> str:
    found = address_of(raw)
    if found is None:
        raise ValueError("no web address")
    return found


def number(raw: Any) -> float | None:
    """A figure, also told as text ("4.6", "1,234"); None for anything else."""
    if isinstance(raw, bool) or raw is None:
        return None
    try:
        found = float(raw.replace(",", "") if isinstance(raw, str) else raw)
    except (TypeError, ValueError):
        return None
    return found if abs(found) < 1e15 else None  # neither infinite nor NaN


def whole(raw: Any) -> int | None:
    found = number(raw)
    return None if found is None else int(found)


def rating(raw: Any) -> float | None:
    found = number(raw)
    return found if found is not None and 1 <= found <= 5 else None


def moment(raw: Any) -> datetime | None:
    """A moment told as ISO 8601 or in Google News' form "09/06/2024, 07:00 AM, +0000 UTC"; UTC when no zone is told."""
    if not isinstance(raw, str):
        return None
    text = raw.strip()
    for read in (
        datetime.fromisoformat,
        lambda one: datetime.strptime(one.removesuffix(" UTC"), "%m/%d/%Y, %I:%M %p, %z"),
    ):
        try:
            found = read(text)
        except ValueError:
            continue
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    return None
