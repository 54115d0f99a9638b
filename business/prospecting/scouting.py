"""What may be taken for a company's of what a look at the web brought: every claim is checked here, whoever makes it.

A claim is a kind, a value, a quote and an address. It becomes evidence when the address was found or read in this very
look, the quote stands there word for word, the value follows from it by code, and what stands there is the company's:
it shows its CNPJ, its telephone beside its name, or its own website; or it bears exactly its name, tells its city, and
nobody else of that name was seen there. Else it is refused with the reason, and stays unknown.

The last of these ties is the weakest, so it asks for most: the company itself has to be on the map by that name, both
the map and the web have to have been asked, and where there is a website of that name, it has to link to the profile.
Measured in docs/guides/prospecting-sources.md. Pages are strangers' words: nothing here follows what they say.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from urllib.parse import unquote, urljoin, urlsplit

from business.prospecting.enrich import city_of, is_their_site, is_theirs, name_of, same_phone, telling
from business.prospecting.evidence import WEBSITE, Evidence, Kind, Value, of_kind, of_site, sorted_evidence
from core.errors import ArgumentsWrong, Refused
from core.words import folded
from integrations.minha_receita.payloads import Company
from integrations.web_pages.client import Page, Site
from integrations.web_pages.extract import PageFacts, facts_of
from integrations.web_search.payloads import Answer, News
from integrations.web_search.payloads import Page as Result
from integrations.web_search.payloads import Place as MapPlace

NOTABLE = (
    Kind.WEBSITE, Kind.HIRING, Kind.NEWS, Kind.LINKEDIN, Kind.INSTAGRAM, Kind.PHONE, Kind.WHATSAPP, Kind.EMAIL,
)  # fmt: skip
"""What a scout may claim. Everything else is taken from the registry, the map or the company's own pages by code."""
SOCIAL = ("instagram.com", "facebook.com", "linkedin.com", "youtube.com", "tiktok.com", "twitter.com", "x.com", "wa.me")
"""Never a company's own website, though its telephone stands there."""
LONGEST_QUOTE = 400
_LONGEST_POSITION = 80
_HIRING = re.compile(
    r"\b(?:vagas?|contrata(?:-se|mos|ndo)?|estamos contratando|trabalhe conosco|oportunidades?|processo seletivo"
    r"|we.?re hiring|hiring|open positions?|careers|join our team|vacantes?|empleos?|buscamos|estamos buscando)\b",
    re.IGNORECASE,
)
_WHATSAPP = re.compile(r"\bwhats|\bzap\b|wa\.me/|api\.whatsapp\.com", re.IGNORECASE)
_TITLE_END = re.compile(r" [|•·–—-] | \(@| ?[|•] ?")
_SAYS_LITTLE = frozenset("brasil brazil oficial official ltda me epp".split())
_MONTHS = {
    name: place
    for names in (
        "janeiro fevereiro marco abril maio junho julho agosto setembro outubro novembro dezembro",
        "january february march april may june july august september october november december",
        "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
    )
    for place, name in enumerate(names.split(), 1)
}
_DAY = re.compile(
    r"(?<!\d)(?:(?P<y>20\d\d)-(?P<m>\d\d)-(?P<d>\d\d)|(?P<d2>\d{1,2})/(?P<m2>\d{1,2})/(?P<y2>20\d\d)"
    r"|(?P<d3>\d{1,2})\.?º? (?:de )?(?P<m3>[a-z]{3,10}) (?:de )?(?P<y3>20\d\d)"
    r"|(?P<m4>[a-z]{3,10}) (?P<d4>\d{1,2}),? (?P<y4>20\d\d))(?!\d)"
)


@dataclass(frozen=True)
class Seen:
    """Something that this look found or read."""

    url: str
    title: str
    text: str
    """What a quote is looked for in: title and words; of a page that was read also the addresses it links to."""
    source: str
    """The search vendor, or "site" for a page that was read."""
    at: datetime
    news: bool = False
    """A search of the news brought it."""
    day: date | None = None
    """Of a news item: when it was published, as the vendor told."""
    page: Page | None = None


class Finds:
    """One look at one company: what was found so far, and the evidence that followed from it.

    `evidence` is what was known before: a website that was confirmed to be theirs, telephones.
    """

    def __init__(self, company: Company, evidence: Sequence[Evidence]) -> None:
        self.company = company
        self.name = name_of(company)
        self.city = city_of(company)
        self.evidence = tuple(evidence)
        self.noted: list[Evidence] = []
        self.seen: dict[str, Seen] = {}
        self._map: list[MapPlace] | None = None
        self._web_asked = False
        self._own = {
            host(str(one.value))
            for one in of_kind(evidence, Kind.WEBSITE)
            if one.value is not False and one.source == WEBSITE
        }
        """Hosts that are known to be theirs."""
        self._mapped = {host(str(one.value)) for one in of_kind(evidence, Kind.WEBSITE) if one.value is not False}
        self._read: dict[str, list[Page]] = {}

    # --- what was found -----------------------------------------------------------------------

    def add_results(self, answer: Answer[Result], *, by_name: bool) -> None:
        """Pages that a search brought. `by_name`: it asked for the name and the city, so namesakes would show."""
        self._web_asked = self._web_asked or by_name
        for one in answer.results:
            self._add(Seen(one.url, one.title, _joined(one.title, one.snippet), answer.vendor, answer.asked_at))

    def add_news(self, answer: Answer[News]) -> None:
        for one in answer.results:
            day = one.published.date() if one.published is not None else None
            text = _joined(one.title, one.snippet, one.source, one.told_date)
            item = Seen(one.url, one.title, text, answer.vendor, answer.asked_at, True, day)
            known = self.seen.get(_key(one.url))
            if known is None or known.page is None:
                self.seen[_key(one.url)] = item

    def add_places(self, answer: Answer[MapPlace]) -> None:
        self._map = [*(self._map or []), *answer.results]

    def add_page(self, page: Page) -> None:
        """A page that was read. When its site turns out to be theirs, what it tells is evidence at once."""
        before = self.seen.get(page.asked) or self.seen.get(page.url)
        facts = page.facts
        links = "\n".join([*(one.url for one in facts.profiles), *(one.url for one in facts.links)])
        text = _joined(facts.title, facts.description, facts.text, links)
        news, day = (before.news, before.day) if before else (False, None)
        seen = Seen(page.url, facts.title or "", text, WEBSITE, page.fetched_at, news, day, page)
        self.seen[_key(page.url)] = self.seen[_key(page.asked)] = seen
        where = host(page.url)
        pages = self._read.setdefault(where, [])
        pages.append(page)
        if where in self._own or self._is_own(where, pages):
            self._own.add(where)
            home = urljoin(page.url, "/")
            told = of_site(Site(tuple(sorted(pages, key=lambda one: len(one.url)))))
            self._keep(replace(one, value=home) if one.kind is Kind.WEBSITE else one for one in told)

    def _add(self, seen: Seen) -> None:
        self.seen.setdefault(_key(seen.url), seen)

    def _keep(self, pieces: Iterable[Evidence]) -> None:
        """Of the pages of one site the last telling holds; what was known before is not told twice."""
        known = {(one.kind, _plain(one.value)) for one in (*self.evidence, *self.noted)}
        self.noted += [one for one in pieces if (one.kind, _plain(one.value)) not in known]

    # --- whose it is --------------------------------------------------------------------------

    @property
    def own_hosts(self) -> frozenset[str]:
        """Hosts that are known to be the company's own."""
        return frozenset(self._own)

    @property
    def on_map(self) -> bool | None:
        """Whether exactly one entry of the map is theirs; None when the map was not asked."""
        return None if self._map is None else len([one for one in self._map if is_theirs(self.company, one)]) == 1

    def alone(self) -> bool:
        """Whether map and web were asked and nobody else of this name was seen in the city."""
        if self._map is None or not self._web_asked:
            return False
        city = folded(self.city)
        entries = [one for one in self._map if self._bears_name(one.name) and city in folded(one.address or "")]
        named = [_profile(one) for one in self.seen.values() if self._is_named(one)]
        handles = [{handle.lower() for network, handle in named if network == kind} for kind in _NETWORKS]
        return all(len(found) <= 1 for found in (entries, self.named_sites(), *handles))

    def named_sites(self) -> frozenset[str]:
        """Hosts of websites that are the company's, or of that name in the city: a namesake's for all one knows."""
        named = {host(one.url) for one in self.seen.values() if self._is_named(one)}
        return frozenset(one for one in named | self._own | self._mapped if not is_social(one))

    def to_read(self) -> list[str]:
        """Addresses of such websites that this look found and nobody has read."""
        found = {host(one.url): one.url for one in self.seen.values() if one.page is None and self._is_named(one)}
        known = self._own | self._mapped | self._read.keys()
        return [url for where, url in found.items() if where not in known and not is_social(where)]

    def tie(self, seen: Seen) -> str | None:
        """What shows that this is about the company: own, cnpj, phone, site, name. None: nothing does, or another's
        CNPJ stands there."""
        if host(seen.url) in self._own:
            return "own"
        facts = _facts(seen)
        listing = _lists_many(facts)
        if facts.cnpjs and not listing:
            return "cnpj" if self.company.cnpj[:8] in {one.value[:8] for one in facts.cnpjs} else None
        shares_name = bool(telling(self.name) & set(folded(seen.text).split()))
        if shares_name and not listing and any(self._is_ours(one.given) for one in facts.phones):
            return "phone"
        if shares_name and any(_stands(one, seen.text) for one in self._own):
            return "site"
        return "name" if self._is_named(seen) and self.on_map and self.alone() else None

    def _is_named(self, seen: Seen) -> bool:
        """A profile or page whose title is the name, in the city."""
        title = " ".join(seen.title.split())
        return self._bears_name(_TITLE_END.split(title)[0]) and self._tells_city(seen.text)

    def _bears_name(self, title: str) -> bool:
        """The same words, but for those that any title may add: the city, "oficial"."""
        extra = set(folded(self.city).split()) | {folded(self.company.address.uf or "")} | _SAYS_LITTLE
        ours = folded(self.name).split()
        if len(telling(self.name)) < 2:
            return False  # one word is no name to go by
        return [one for one in folded(title).split() if one not in extra or one in ours] == ours

    def _tells_city(self, text: str) -> bool:
        return bool(self.city) and f" {folded(self.city)} " in f" {folded(text)} "

    def _is_ours(self, phone: str) -> bool:
        ours = [*self.company.phones, *(str(one.value) for one in of_kind(self.evidence, Kind.PHONE, Kind.WHATSAPP))]
        return any(same_phone(phone, one) for one in ours)

    def _is_own(self, where: str, pages: Sequence[Page]) -> bool:
        """Whether a site is theirs: its address has a word of the name in it or stands on their entry of the map, and
        it shows their CNPJ or telephone. Neither does alone: directories show everybody's CNPJ, an accountant's site
        the telephone of all clients."""
        if is_social(where):
            return False
        ours = telling(self.name) - set(folded(self.city).split())
        if where not in self._mapped and not any(len(one) > 3 and one in where for one in ours):
            return False
        return is_their_site(self.company, Site(tuple(pages)), on_map=where in self._mapped)

    # --- a claim ------------------------------------------------------------------------------

    def note(self, kind: Kind, value: str, quote: str, url: str) -> Evidence:
        """The evidence that a claim amounts to; kept in `noted`.

        ArgumentsWrong: scout_url_unknown, scout_quote_missing, scout_value_not_in_quote. Refused("scout_not_theirs").
        """
        seen = self.seen.get(_key(url))
        if seen is None:
            raise ArgumentsWrong("scout_url_unknown", f"{url[:200]} was neither found nor read in this look")
        told = " ".join(quote.split())
        if not 3 <= len(told) <= LONGEST_QUOTE or told not in " ".join(seen.text.split()):
            raise ArgumentsWrong("scout_quote_missing", "the quote does not stand there word for word")
        found = self._value(kind, value.strip(), told, seen)
        tie = self.tie(seen)
        if kind is Kind.NEWS:
            named = self._names_us(seen.text) and self._tells_city(seen.text) and self.on_map and self.alone()
            tie = "name" if seen.news and named and tie != "own" else None  # a directory's date is no news
        needs_own = kind not in (Kind.LINKEDIN, Kind.INSTAGRAM, Kind.NEWS)
        if tie is None or (needs_own and tie != "own") or (tie == "name" and self._contradicted(kind, seen)):
            raise Refused("scout_not_theirs", "nothing shows that this is the company's and not a namesake's")
        piece = Evidence(kind, found, seen.source, seen.url, seen.at)
        self._keep([piece])
        return piece

    def _value(self, kind: Kind, value: str, quote: str, seen: Seen) -> Value:
        """The value as it follows from the quote and its address by code."""
        if kind in (Kind.LINKEDIN, Kind.INSTAGRAM):
            shown = [_profile(seen)] if seen.page is None else [(p.network, p.handle) for p in seen.page.facts.profiles]
            for network, handle in shown:
                if network == kind and folded(handle) in (folded(value), folded(urlsplit(value).path)):
                    return handle
            raise _not_there(f"no {kind} profile of that name in its address")
        if kind is Kind.NEWS:
            days = {*days_in(quote), *([seen.day] if seen.day else [])}
            wanted = next(iter(days_in(value)), None)
            if wanted is None or wanted not in days or wanted > seen.at.date():
                raise _not_there("the day does not stand in the quote")
            return wanted
        if kind is Kind.WEBSITE:
            if host(value) != host(seen.url):
                raise _not_there("it is another address")
            return urljoin(seen.url, "/")
        told: PageFacts = facts_of(quote, seen.url, html=False)
        if kind is Kind.EMAIL:
            found = next((one.value for one in told.emails if one.value == value.lower()), None)
        elif kind in (Kind.PHONE, Kind.WHATSAPP):
            found = next((one.given for one in told.phones if same_phone(one.given, value)), None)
            if kind is Kind.WHATSAPP and not _WHATSAPP.search(quote):
                raise _not_there("the quote does not say WhatsApp")
        elif kind is Kind.HIRING:
            said = " ".join(value.split())
            found = said if said in quote and _HIRING.search(quote) and 3 <= len(said) <= _LONGEST_POSITION else None
        else:
            raise ArgumentsWrong("scout_kind_unknown", f"{kind} is not for a scout to claim")
        if found is None:
            raise _not_there("the value does not follow from the quote")
        return found

    def _contradicted(self, kind: Kind, seen: Seen) -> bool:
        """Whether a website speaks against a profile that goes by the name alone: there is one of the company, or of
        that name in the city, and it does not link to the profile (or was not read)."""
        if kind not in (Kind.LINKEDIN, Kind.INSTAGRAM):
            return False
        sites = self.named_sites()
        pages = [page for where in sites for page in self._read.get(where, [])]
        linked = {(one.network, one.handle.lower()) for page in pages for one in page.facts.profiles}
        network, handle = _profile(seen)
        return bool(sites) and (network, handle.lower()) not in linked

    def _names_us(self, text: str) -> bool:
        return len(telling(self.name)) >= 2 and f" {folded(self.name)} " in f" {folded(text)} "

    def result(self) -> tuple[Evidence, ...]:
        """What was known before and what was noted."""
        return sorted_evidence((*self.evidence, *self.noted))


def days_in(text: str) -> list[date]:
    """The days that a text names in full: 2026-11-09, 09/11/2026, 9 de novembro de 2026, November 9, 2026."""
    found = []
    for match in _DAY.finditer(" ".join(_lower(text).split())):
        told = {name[0]: value for name, value in match.groupdict().items() if value is not None}
        month = told["m"] if told["m"].isdigit() else str(_MONTHS.get(told["m"], 0))
        try:
            found.append(date(int(told["y"]), int(month), int(told["d"])))
        except ValueError:
            continue
    return found


def positions_in(text: str) -> list[tuple[str, str]]:
    """(position, the line it stands in) of open positions as small firms announce them: "Vaga aberta: Vendedor."."""
    found = []
    for line in text.splitlines():
        if match := _POSITION.search(line):
            said = match.group(1).strip(" .:;-–—")
            if 3 <= len(said) <= _LONGEST_POSITION:
                found.append((said, line.strip()[:LONGEST_QUOTE]))
    return found


_POSITION = re.compile(
    r"\b(?:vagas? abertas?|vaga|estamos contratando|contrata-se|contratamos|we are hiring|we're hiring|open position"
    r"|vacante|buscamos)\s*(?:para|for|:|-|–)\s*([^.:;!?\n]{3,80})",
    re.IGNORECASE,
)


def is_social(where: str) -> bool:
    """Whether a host is a network's or an app's, where everybody has a page."""
    return any(where == one or where.endswith(f".{one}") for one in SOCIAL)


def _facts(seen: Seen) -> PageFacts:
    return seen.page.facts if seen.page is not None else facts_of(seen.text, seen.url, html=False)


def _lists_many(facts: PageFacts) -> bool:
    """Whether a page lists many firms: telephones and numbers on it are of others, too."""
    return len(facts.phones) > 4 or len({one.value[:8] for one in facts.cnpjs}) > 1


def host(address: str) -> str:
    """Small letters, without www; of a bare host, too."""
    try:
        found = urlsplit(address if "://" in address else f"https://{address}").hostname or ""
    except ValueError:
        return ""
    return found.lower().removeprefix("www.")


_NETWORKS = ("linkedin", "instagram")
_HANDLES = {
    "linkedin.com": ("linkedin", re.compile(r"/(company/[^/?#]{1,100})(?:/.*)?$")),
    "instagram.com": (
        "instagram",
        re.compile(r"/(?!p/|reels?/|explore|stories|accounts|share)([A-Za-z0-9._]{1,30})/?$"),
    ),
}


def _profile(seen: Seen) -> tuple[str, str]:
    """(network, handle) of a search result that is a company's profile; ("", "") for others."""
    parts = urlsplit(seen.url)
    where = (parts.hostname or "").lower()
    for site, (network, pattern) in _HANDLES.items():
        if (where == site or where.endswith(f".{site}")) and (match := pattern.match(parts.path)):
            return network, unquote(match.group(1))
    return "", ""


def _key(url: str) -> str:
    return url.partition("#")[0].rstrip("/")


def _stands(where: str, text: str) -> bool:
    """Whether a host stands in a text as a word of its own."""
    return re.search(rf"(?<![\w.-]){re.escape(where)}(?![\w-]|\.\w)", text.lower().replace("www.", "")) is not None


def _plain(value: Value) -> str:
    return str(value).strip().lower().rstrip("/")


def _lower(text: str) -> str:
    return text.lower().replace("ç", "c")


def _joined(*texts: str | None) -> str:
    return "\n".join(one for one in texts if one)


def _not_there(why: str) -> ArgumentsWrong:
    return ArgumentsWrong("scout_value_not_in_quote", why)
