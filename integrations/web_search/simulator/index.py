"""What the sandbox's web holds, found by words: pages, map entries and news about the companies of sandbox_companies.

A small search engine: a page is found when it holds most of the words, and words in the title, and rare ones, weigh
more. It understands site:, "phrases" and -word. As in life it finds more than one asked for: directories ("os 10
melhores…"), companies closed long ago, other cities with the same name.
"""

import hashlib
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Generic, TypeVar

from core.words import folded
from integrations import sandbox_companies as sandbox
from integrations.sandbox_companies import News, SandboxCompany

DIRECTORY = "guiadapraca.example"
_STOPWORDS = frozenset(
    "a as o os e de da do das dos em no na nos nas um uma para por com que y el la los las en the of in and for "
    "near perto melhores best mejores".split()
)
_ALSO = {
    "architecture": "architect architects arquitecto arquitectos arquitectura arquitetos",
    "advertising": "agency agencies marketing agencia",
    "film": "video producer produtora produccion",
    "photo": "photographer photography fotografos fotografia",
    "dentist": "dental dentists odontologica dentistas",
    "beauty": "beauty aesthetic estetica",
    "restaurant": "restaurants restaurantes",
    "clothing": "clothes fashion roupas ropa boutique",
    "daycare": "nursery creche escola guarderia",
    "gym": "gyms fitness academias gimnasio",
    "veterinary": "vet vets pet veterinaria",
    "law": "lawyer lawyers advogados abogados",
    "accounting": "accountant accountants contadores contabilidade",
    "software": "it technology tecnologia software",
    "physiotherapy": "physio fisioterapeutas fisioterapia",
    "realestate": "real estate broker imobiliarias inmobiliaria",
    "bakery": "bakeries padarias panaderia",
    "construction": "builder builders construtoras constructora",
}
Item = TypeVar("Item")


@dataclass(frozen=True)
class Doc(Generic[Item]):
    item: Item
    title: str
    url: str
    snippet: str
    further: str = ""
    """Words by which it is found and that are not shown."""
    published: date | None = None
    weight: float = 1.0
    """Above 1: shown before others that fit as well."""


@dataclass(frozen=True)
class Entry:
    """A page: of a company, of a directory, or a news item."""

    company: SandboxCompany | None
    news: News | None = None


class Index(Generic[Item]):
    """Pages to be found by words."""

    def __init__(self, docs: Iterable[Doc[Item]]) -> None:
        self._docs = list(docs)
        self._words: dict[str, dict[int, float]] = {}
        for place, doc in enumerate(self._docs):
            for text, weight in ((doc.title, 3.0), (doc.snippet, 1.0), (doc.further, 1.0)):
                for word in folded(text).split():
                    found = self._words.setdefault(_stem(word), {})
                    found[place] = max(found.get(place, 0.0), weight)

    def find(self, query: str) -> Sequence[Doc[Item]]:
        """All that fit, the best first; equally good ones in an order of their own, always the same."""
        site = next(iter(re.findall(r"\bsite:(\S+)", query)), "")
        phrases = [folded(one) for one in re.findall(r'"([^"]+)"', query)]
        without = {_stem(one) for one in re.findall(r"(?:^|\s)-(\w+)", folded_keeping_minus(query))}
        plain = re.sub(r"\bsite:\S+|(?:^|\s)-\w+", " ", query)
        words = {_stem(word) for word in folded(plain).split() if word not in _STOPWORDS}
        known = {word for word in words if word in self._words}
        if not words and not site:
            return []
        scores: dict[int, float] = {}
        hits: dict[int, int] = {}
        for word in known:
            rarity = math.log(1 + len(self._docs) / len(self._words[word]))
            for place, weight in self._words[word].items():
                scores[place] = scores.get(place, 0.0) + weight * rarity
                hits[place] = hits.get(place, 0) + 1
        least = max(1, math.ceil(len(words) * 0.6))
        places = [place for place, count in hits.items() if count >= least] if words else range(len(self._docs))
        found = []
        for place in places:
            doc = self._docs[place]
            text = folded(f"{doc.title} {doc.snippet} {doc.further}")
            if site and not _on_site(doc.url, site):
                continue
            if any(phrase not in text for phrase in phrases):
                continue
            if any(place in self._words.get(word, {}) for word in without):
                continue
            tie = hashlib.sha256(doc.url.encode()).hexdigest()
            found.append((-round(scores.get(place, 0.0) * doc.weight, 6), tie, doc))
        return [doc for _, _, doc in sorted(found, key=lambda one: one[:2])]


def folded_keeping_minus(query: str) -> str:
    return " ".join(("-" if part.startswith("-") else "") + folded(part) for part in query.split())


def _stem(word: str) -> str:
    """Words of one kind meet: arquitetura, arquitetos; office, offices."""
    word = word.removesuffix("s") if len(word) > 3 else word
    return word[:8]


def _on_site(url: str, site: str) -> bool:
    host, _, path = url.partition("://")[2].partition("/")
    wanted, _, start = site.removeprefix("https://").removeprefix("http://").partition("/")
    return (host == wanted or host.endswith(f".{wanted}")) and path.startswith(start)


def _about(company: SandboxCompany) -> str:
    """Words that fit the company without being its own."""
    return f"{_ALSO.get(company.activity, '')} {company.city.name} {company.city.uf} {company.address.district}"


def categories() -> dict[str, str]:
    """Activity → how a map calls it: "Escritório de arquitetura"."""
    return {one.activity: one.maps.category for one in sandbox.companies() if one.maps is not None}


def the_web() -> Index[Entry]:
    """Every page that the sandbox's search engine knows."""
    return Index(_pages())


def _pages() -> Iterable[Doc[Entry]]:
    kinds = categories()
    for company in sandbox.companies():
        if company.parent:
            continue
        kind, city = kinds.get(company.activity, company.cnae_text), company.city
        entry = Entry(company)
        where = f"{city.name}, {city.uf}"
        if (site := company.website) is not None:
            title = f"{company.trade_name} | {kind} em {city.name}"
            if site.state == "parked":
                title = f"{site.host} está à venda"
            yield Doc(entry, title, f"https://{site.host}/", site.about, f"{_about(company)} {' '.join(site.services)}")
            if site.team and site.state == "ok":
                told = "; ".join(f"{name}, {role}" for name, role in site.team)
                title = f"Equipe | {company.trade_name}"
                yield Doc(entry, title, f"https://{site.host}/equipe", told, _about(company))
        if (insta := company.instagram) is not None:
            shown = f"{insta.followers} seguidores, {insta.posts} publicações. {insta.bio}"
            title = f"{company.trade_name} (@{insta.handle}) • Fotos e vídeos do Instagram"
            yield Doc(entry, title, f"https://www.instagram.com/{insta.handle}/", shown, _about(company))
        if (linkedin := company.linkedin) is not None:
            shown = f"{linkedin.headline}. {linkedin.employees} funcionários. Sede: {where}."
            url = f"https://br.linkedin.com/company/{linkedin.slug}"
            yield Doc(entry, f"{company.trade_name} | LinkedIn", url, shown, _about(company))
        for news in company.news:
            yield _news(company, news)
    for city in sandbox.cities():
        for activity, kind in kinds.items():
            slug = f"{folded(city.name)}/{activity}".replace(" ", "-")
            told = f"Compare avaliações, telefones e endereços: {kind.lower()} em {city.name} - {city.uf}."
            title = f"Os 10 melhores: {kind.lower()} em {city.name} | Guia da Praça"
            yield Doc(Entry(None), title, f"https://{DIRECTORY}/{slug}", told, _ALSO.get(activity, ""), None, 1.2)


def _news(company: SandboxCompany, news: News) -> Doc[Entry]:
    slug = folded(news.title).replace(" ", "-")
    url = f"https://{news.host}/{news.published:%Y/%m}/{slug}"
    return Doc(Entry(company, news), news.title, url, news.summary, _about(company), news.published)


def the_news() -> Index[Entry]:
    return Index(_news(company, news) for company in sandbox.companies() for news in company.news)


def the_map() -> Index[SandboxCompany]:
    """Every company on the map, found by name, kind and address."""
    return Index(
        Doc(
            company,
            company.maps.title,
            company.maps.place_id,
            company.maps.category,
            f"{_about(company)} {company.maps.address}",
        )
        for company in sandbox.companies()
        if company.maps is not None
    )
