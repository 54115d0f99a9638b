"""Learning more about one company, where it pays: its entry on a map, and its own website with what that links to.

Nothing found is taken for the company's unless it shows that it is: the map's entry has its registered telephone, or
its name at its address; the website shows its CNPJ or its telephone, or stands on such an entry and shows no other
CNPJ. Anything else is left aside, for a namesake's website is worse than none.

That there is no website is never concluded from one source that shows none: only when it was asked for, the company
was found on the map without one, and a search of the web brought none that could be theirs either.

Profiles on Instagram and LinkedIn are taken from the company's own website only. A search for its name and city brings
namesakes: tried on 79 simulated offices of one city, 4 of them got another one's LinkedIn page.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Protocol
from urllib.parse import quote, urlsplit

from business.prospecting.evidence import Evidence, Kind, of_kind, of_map, of_site, sorted_evidence
from business.prospecting.lessons import Lesson
from business.prospecting.model import IdealCustomer, Signal
from business.prospecting.plan import Pays, pays
from business.prospecting.rules import RuleSet
from business.prospecting.score import Score, score
from business.prospecting.searches import Search
from core.errors import MutiraoError
from core.words import folded
from integrations.minha_receita.payloads import Company
from integrations.web_pages.client import Site
from integrations.web_search.payloads import Answer, PlaceQuery, Query
from integrations.web_search.payloads import Page as WebPage
from integrations.web_search.payloads import Place as MapPlace


class Sites(Protocol):
    """integrations.web_pages.client.WebPages"""

    async def site(self, url: str, *, most: int = 3) -> Site: ...


class Web(Protocol):
    """integrations.web_search.client.WebSearch, or what counts its quota for a tenant."""

    async def places(self, query: PlaceQuery) -> Answer[MapPlace]: ...

    async def pages(self, query: Query) -> Answer[WebPage]: ...


SHARE_OVER = "share_over"
"""The search has had what its plan grants it (plan.SearchPlan.most_searches)."""
WEB_OFF = ("web_search_month_over", "search_not_set_up", SHARE_OVER)
"""Why the web is not asked at all: the month's quota (quota.py), no vendor with a key, this search's share."""


@dataclass
class Used:
    """What a look cost, and how often a source failed."""

    searches: dict[str, int] = field(default_factory=dict)
    sites: int = 0
    failed: int = 0
    web_off: str = ""
    """Why the web is not asked any more: one of WEB_OFF. That is no failure of a source."""
    model_calls: int = 0
    model_usd: Decimal = Decimal(0)
    """Of the calls whose price is known, in US dollars."""

    def search(self, vendor: str, cost: int) -> None:
        self.searches[vendor] = self.searches.get(vendor, 0) + cost

    def fail(self, error: MutiraoError) -> None:
        """A look at the web that brought nothing."""
        if error.code in WEB_OFF:
            self.web_off = error.code
        else:
            self.failed += 1

    def add(self, more: "Used") -> None:
        for vendor, cost in more.searches.items():
            self.search(vendor, cost)
        self.sites += more.sites
        self.failed += more.failed
        self.web_off = more.web_off or self.web_off
        self.model_calls += more.model_calls
        self.model_usd += more.model_usd


@dataclass(frozen=True)
class Judge:
    """What a score needs besides the evidence."""

    profile: IdealCustomer
    rules: RuleSet
    today: date
    lessons: Sequence[Lesson]
    to_contact: bool = False
    """It is about to be written to."""

    def score(self, evidence: Sequence[Evidence]) -> Score:
        return score(self.profile, evidence, self.rules, self.today, self.lessons)

    def pays(self, evidence: Sequence[Evidence]) -> bool:
        """Whether to look further."""
        return self.why(evidence) is not None

    def why(self, evidence: Sequence[Evidence]) -> Pays | None:
        """plan.pays"""
        now = self.score(evidence)
        return pays(now.total, now.best, self.rules.qualified, wish_open=now.wish_open, to_contact=self.to_contact)


class Scouting(Protocol):
    """crews/hunter/scouts.py `Scouts.look`, for the person whose search it is."""

    async def __call__(
        self, search: Search, company: Company, evidence: Sequence[Evidence], judge: Judge
    ) -> tuple[tuple[Evidence, ...], Used]:
        """The evidence with what else was found, where it pays, and what that cost. What fails stays unknown."""
        ...


class Likens(Protocol):
    """crews/hunter/likeness.py `Likeness.evidence`, for one tenant."""

    async def __call__(self, company: Company, evidence: Sequence[Evidence]) -> tuple[Evidence, ...]:
        """How like the company is to customers that were won; nothing when that is unknown."""
        ...


async def enrich(
    company: Company, evidence: Sequence[Evidence], judge: Judge, web: Web | None, sites: Sites | None
) -> tuple[tuple[Evidence, ...], Used]:
    """The evidence with what else was found, and what it cost. A source that fails leaves things unknown."""
    found, used = tuple(evidence), Used()
    on_map = False
    if web is not None and judge.pays(found):
        try:
            more = await _map(company, web, used)
            on_map = bool(more)
            found = sorted_evidence((*found, *more))
        except MutiraoError as error:
            used.fail(error)
    address = next((str(one.value) for one in of_kind(found, Kind.WEBSITE) if one.value is not False), None)
    if sites is not None and address is not None and judge.pays(found):
        found = sorted_evidence((*found, *await _site(company, address, sites, used, on_map=on_map)))
    wanted = judge.profile.wish(Signal.WEBSITE) is not None and not of_kind(found, Kind.WEBSITE)
    if web is not None and wanted and judge.pays(found):
        try:
            found = sorted_evidence((*found, *await _search_site(company, web, sites, used, on_map=on_map)))
        except MutiraoError as error:
            used.fail(error)
    return found, used


# --- the map ----------------------------------------------------------------------------------------


async def _map(company: Company, web: Web, used: Used) -> tuple[Evidence, ...]:
    name = name_of(company)
    if not name:
        return ()
    query = PlaceQuery(name, city_of(company))
    answer = await web.places(query)
    used.search(answer.vendor, answer.cost)
    theirs = [place for place in answer.results if is_theirs(company, place)]
    if len(theirs) != 1:  # none, or two that both could be: then neither is taken
        return ()
    return of_map(theirs[0], answer.vendor, _map_url(theirs[0]), answer.asked_at)


def is_theirs(company: Company, place: MapPlace) -> bool:
    """Whether a map's entry is the company's: its registered telephone, or its name at its address."""
    if place.phone and any(same_phone(place.phone, phone) for phone in company.phones):
        # An accountant's telephone stands for many clients: the name has to have something of theirs, too.
        return bool(telling(place.name) & telling(f"{company.trade_name or ''} {company.legal_name or ''}"))
    names = {folded(name) for name in (company.trade_name, company.legal_name, name_of(company)) if name}
    if folded(place.name) not in names or not place.address:
        return False
    address = company.address
    said = folded(place.address)
    cep = address.cep is not None and address.cep in re.sub(r"\D", "", place.address)
    number = address.number is not None and f" {folded(address.number)} " in f" {said} "
    street = address.street is not None and telling(address.street) <= set(said.split())
    return number and (cep or street)


def same_phone(one: str, other: str) -> bool:
    """Two writings of one telephone: with or without 55, area code in brackets, the ninth digit of mobiles."""
    return _phone(one) == _phone(other) != ""


def _phone(written: str) -> str:
    digits = re.sub(r"\D", "", written)
    if digits.startswith(("0800", "0300", "0500", "0900")):
        return ""  # of a service, and never one company's alone
    digits = digits.removeprefix("0")
    if len(digits) in (12, 13) and digits.startswith("55"):
        digits = digits[2:]
    if len(digits) == 11 and digits[2] == "9":
        digits = digits[:2] + digits[3:]
    return digits if len(digits) == 10 else ""


def _map_url(place: MapPlace) -> str:
    """An address at which a person finds the entry again."""
    words = quote(f"{place.name} {place.address or ''}".strip())
    more = f"&query_place_id={quote(place.place_id)}" if place.place_id else ""
    return f"https://www.google.com/maps/search/?api=1&query={words}{more}"


# --- their website ----------------------------------------------------------------------------------


async def _site(company: Company, address: str, sites: Sites, used: Used, *, on_map: bool) -> tuple[Evidence, ...]:
    url = address if "://" in address else f"https://{address}"
    used.sites += 1
    try:
        site = await sites.site(url)
    except MutiraoError:
        used.failed += 1
        return ()
    return of_site(site) if is_their_site(company, site, on_map=on_map) else ()


def is_their_site(company: Company, site: Site, *, on_map: bool) -> bool:
    """Whether a website is the company's. `on_map`: its address stands on the company's entry."""
    shown = {one.value[:8] for page in site.pages for one in page.facts.cnpjs}
    if shown:
        return company.cnpj[:8] in shown
    phones = [one.given for page in site.pages for one in page.facts.phones]
    return on_map or any(same_phone(one, phone) for one in phones for phone in company.phones)


async def _search_site(
    company: Company, web: Web, sites: Sites | None, used: Used, *, on_map: bool
) -> tuple[Evidence, ...]:
    """A website by a search of the web; that there is none only when the map has them without one."""
    name = name_of(company)
    if not name:
        return ()
    query = Query(f"{name} {city_of(company)}".strip())
    answer = await web.pages(query)
    used.search(answer.vendor, answer.cost)
    words = {word for word in telling(name) if len(word) > 3} or telling(name)
    shared = {one.url: sum(word in _host(one.url) for word in words) for one in answer.results}
    own = sorted((url for url, count in shared.items() if count), key=lambda url: -shared[url])
    for url in own[:2]:
        if sites is not None and (more := await _site(company, url, sites, used, on_map=False)):
            return more
    if own or not on_map or not answer.results:
        return ()  # there is one that may be theirs, or nothing was found at all: unknown
    where = f"{answer.vendor}: {query.words}"
    return (Evidence(Kind.WEBSITE, False, answer.vendor, where, answer.asked_at),)


def _host(url: str) -> str:
    return (urlsplit(url).hostname or "").lower()


def name_of(company: Company) -> str:
    """As people write it: the trade name, or the legal one without its form."""
    name = company.trade_name or _FORM.sub("", company.legal_name or "")
    return name.replace('"', " ").strip()[:120]


_FORM = re.compile(r"(?:\s*-?\s*\b(?:LTDA|ME|EPP|EIRELI|S/?A|SLU|SS)\b\.?)+\s*$", re.IGNORECASE)


def city_of(company: Company) -> str:
    return (company.address.city or "").title()


_SAYS_NOTHING = frozenset(
    "ltda me epp eireli sa s a e de do da dos das rua r avenida av praca servicos comercio empresa".split()
)


def telling(words: str) -> set[str]:
    return set(folded(words).split()) - _SAYS_NOTHING
