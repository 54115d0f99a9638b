"""What is known about a company, piece by piece, each with where it is from and when: the only ground of a score.

Unknown is the absence of evidence. That somebody looked and there was none is evidence, too: its value is False
("website: False", seen on the map). Sources may disagree; both pieces are kept and neither is silently preferred.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from business.prospecting.model import Size
from integrations.minha_receita.client import SOURCE as REGISTRY
from integrations.minha_receita.payloads import MICRO, OTHER_SIZE, SMALL, Company
from integrations.web_pages.client import Site
from integrations.web_search.payloads import Place as MapPlace

WEBSITE = "site"
"""The source of what a company's own pages tell."""


_BRASILIA = ZoneInfo("America/Sao_Paulo")


class Kind(StrEnum):
    """What a piece of evidence is about. The comment says the type of its value."""

    ACTIVE = "active"  # bool
    HEAD_OFFICE = "head_office"  # bool
    ACTIVITY = "activity"  # text: CNAE subclass of the main activity
    FURTHER_ACTIVITY = "further_activity"  # text: one of the further ones
    CITY = "city"  # text: IBGE code, 7 digits
    OPENED = "opened"  # date
    SIZE = "size"  # text: micro, small, other
    MEI = "mei"  # bool
    CAPITAL = "capital"  # Decimal, reais
    CHANGED = "changed"  # date: the newest partner joined
    PHONE = "phone"  # text or False
    WHATSAPP = "whatsapp"  # text or False
    EMAIL = "email"  # text or False
    WEBSITE = "website"  # text or False
    INSTAGRAM = "instagram"  # text or False
    LINKEDIN = "linkedin"  # text or False
    MOBILE_READY = "mobile_ready"  # bool: its site is made for telephones
    META_PIXEL = "meta_pixel"  # bool: its site carries Meta's pixel
    COPYRIGHT_YEAR = "copyright_year"  # int: the newest year beside a ©
    RATING = "rating"  # Decimal, 1 to 5
    REVIEWS = "reviews"  # int
    CLOSED_ON_MAP = "closed_on_map"  # bool
    HIRING = "hiring"  # text or False: an open position
    NEWS = "news"  # date: it was in the news
    LIKENESS = "likeness"  # Decimal, 0 to 1: how like it is to customers that were won


YES_NO = frozenset({Kind.ACTIVE, Kind.HEAD_OFFICE, Kind.MEI, Kind.MOBILE_READY, Kind.META_PIXEL, Kind.CLOSED_ON_MAP})
TEXTS = frozenset({Kind.ACTIVITY, Kind.FURTHER_ACTIVITY, Kind.CITY, Kind.SIZE})
PRESENCES = frozenset({Kind.PHONE, Kind.WHATSAPP, Kind.EMAIL, Kind.WEBSITE, Kind.INSTAGRAM, Kind.LINKEDIN, Kind.HIRING})
"""A text when it is there, False when it was looked for and is not."""
DAYS = frozenset({Kind.OPENED, Kind.CHANGED, Kind.NEWS})
WHOLE = frozenset({Kind.COPYRIGHT_YEAR, Kind.REVIEWS})
AMOUNTS = frozenset({Kind.CAPITAL, Kind.RATING, Kind.LIKENESS})
NUMBERS = WHOLE | AMOUNTS

Value = str | bool | int | Decimal | date


@dataclass(frozen=True)
class Evidence:
    """One thing that one source told."""

    kind: Kind
    value: Value
    source: str
    """Who told it: "Minha Receita", "site", the name of a search vendor."""
    reference: str
    """Where exactly: an address that a person can open."""
    at: datetime
    """When it was told; aware."""

    def __post_init__(self) -> None:
        value = self.value
        right = (
            (isinstance(value, bool) and self.kind in YES_NO)
            or (isinstance(value, str) and value != "" and self.kind in TEXTS | PRESENCES)
            or (value is False and self.kind in PRESENCES)
            or (type(value) is date and self.kind in DAYS)
            or (type(value) is int and self.kind in WHOLE)
            or (isinstance(value, Decimal) and value.is_finite() and self.kind in AMOUNTS)
        )
        if not right:
            raise ValueError(f"{value!r} is no {self.kind}")

    @property
    def day(self) -> date:
        """The day on which the source told it, by Brasília's clock: the companies and those who read it are there."""
        return self.at.astimezone(_BRASILIA).date()

    def record(self) -> dict[str, Any]:
        """As JSON values; `evidence_from` gives it back."""
        value: Any = self.value
        if isinstance(value, Decimal):
            value = str(value)
        elif isinstance(value, date):
            value = value.isoformat()
        return {
            "kind": str(self.kind),
            "value": value,
            "source": self.source,
            "reference": self.reference,
            "at": self.at.isoformat(),
        }


def evidence_from(record: Mapping[str, Any]) -> Evidence:
    """A piece that was kept. ValueError when the record is none."""
    try:
        kind, value = Kind(record["kind"]), record["value"]
        if kind in DAYS:
            value = date.fromisoformat(value)
        elif kind in AMOUNTS:
            value = Decimal(value)
        return Evidence(kind, value, record["source"], record["reference"], datetime.fromisoformat(record["at"]))
    except (KeyError, TypeError, InvalidOperation) as error:
        raise ValueError(f"no evidence: {error!r}") from None


def sorted_evidence(evidence: Iterable[Evidence]) -> tuple[Evidence, ...]:
    """Each piece once, in an order that depends on the pieces alone."""
    return tuple(sorted(set(evidence), key=lambda one: (one.kind, one.source, one.reference, one.at, str(one.value))))


def from_the_web(evidence: Iterable[Evidence]) -> tuple[Evidence, ...]:
    """Without what the registry tells and what follows from our own book: both are looked at anew each time."""
    return tuple(one for one in evidence if one.source != REGISTRY and one.kind is not Kind.LIKENESS)


def of_kind(evidence: Iterable[Evidence], *kinds: Kind) -> tuple[Evidence, ...]:
    return tuple(one for one in evidence if one.kind in kinds)


# --- where it is from -----------------------------------------------------------------------------

_SIZES = {MICRO: Size.MICRO, SMALL: Size.SMALL, OTHER_SIZE: Size.OTHER}


def of_company(company: Company) -> tuple[Evidence, ...]:
    """What the registry tells. A telephone or e-mail that it does not have is unknown: companies have others."""
    found: list[tuple[Kind, Value | None]] = [
        (Kind.ACTIVE, company.active),
        (Kind.HEAD_OFFICE, company.head_office),
        (Kind.ACTIVITY, company.activity.code if company.activity else None),
        *((Kind.FURTHER_ACTIVITY, one.code) for one in company.further_activities),
        (Kind.CITY, company.address.city_ibge),
        (Kind.OPENED, company.opened),
        (Kind.SIZE, str(_SIZES[company.size]) if company.size in _SIZES else None),
        (Kind.MEI, _is_mei(company)),
        (Kind.CAPITAL, company.capital),
        *((Kind.PHONE, phone) for phone in company.phones),
        (Kind.EMAIL, company.email),
        (Kind.CHANGED, _newest_partner(company)),
    ]
    where = company_url(company)
    return sorted_evidence(
        Evidence(kind, value, REGISTRY, where, company.fetched_at) for kind, value in found if value is not None
    )


_SOLE_TRADER = "2135"
"""Empresário (Individual), the only legal nature that can be MEI (Lei Complementar 123/2006, art. 18-A, § 1º)."""


def _is_mei(company: Company) -> bool | None:
    """As the registry tells; where it tells nothing (null for most who never asked for the scheme), a limited company
    surely is none."""
    if company.mei is None and company.nature_code not in (None, _SOLE_TRADER):
        return False
    return company.mei


def company_url(company: Company) -> str:
    """The address of this one company where the answer came from, whatever search brought it."""
    base = company.source_url.partition("?")[0].rstrip("/")
    return base if base.endswith(company.cnpj) else f"{base}/{company.cnpj}"


def _newest_partner(company: Company) -> date | None:
    """Only the day: who it was is nobody's concern here."""
    return max((one.joined for one in company.partners or () if one.joined is not None), default=None)


def of_map(place: MapPlace, vendor: str, reference: str, at: datetime) -> tuple[Evidence, ...]:
    """What a map's entry tells, when it is known to be of the company. One without a website proves nothing: many that
    have one do not say so there."""
    found: list[tuple[Kind, Value | None]] = [
        (Kind.PHONE, place.phone),
        (Kind.WEBSITE, place.website or None),
        (Kind.RATING, Decimal(str(place.rating)) if place.rating is not None else None),
        (Kind.REVIEWS, place.reviews),
        (Kind.CLOSED_ON_MAP, place.closed),
    ]
    return sorted_evidence(Evidence(kind, value, vendor, reference, at) for kind, value in found if value is not None)


def of_site(site: Site) -> tuple[Evidence, ...]:
    """What a company's own pages tell, when they are known to be its own. What they do not show stays unknown, but
    for what shows on every page: whether it is made for telephones, and whether it carries the pixel."""
    found: list[Evidence] = []
    for page in site.pages:
        facts = page.facts
        told: list[tuple[Kind, Value | None]] = [
            *((Kind.PHONE, one.given) for one in facts.phones),
            *((Kind.WHATSAPP, one.given) for one in facts.whatsapp),
            *((Kind.EMAIL, one.value) for one in facts.emails),
            *((Kind.INSTAGRAM, one.handle) for one in facts.profiles if one.network == "instagram"),
            *((Kind.LINKEDIN, one.handle) for one in facts.profiles if one.network == "linkedin"),
        ]
        found += [Evidence(kind, value, WEBSITE, page.url, page.fetched_at) for kind, value in told if value]
    if site.pages:
        first = site.pages[0]
        years = [page.facts.copyright_year for page in site.pages if page.facts.copyright_year is not None]
        whole: list[tuple[Kind, Value]] = [
            (Kind.WEBSITE, first.url),
            (Kind.MOBILE_READY, first.facts.mobile_ready),
            (Kind.META_PIXEL, any(page.facts.meta_pixel for page in site.pages)),
            *((Kind.COPYRIGHT_YEAR, max(years)) for _ in years[:1]),
        ]
        found += [Evidence(kind, value, WEBSITE, first.url, first.fetched_at) for kind, value in whole]
    return sorted_evidence(found)
