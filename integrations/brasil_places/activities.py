"""What people call a business → activity codes (CNAE subclasses), from a bundled list in pt-BR, en and es.

`activities_for("escritórios de arquitetura em Campinas")` gives 7111100 first and says which words it was. When nothing
fits, the answer is empty: no code is guessed.
"""

import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from math import log
from pathlib import Path
from typing import Literal

import yaml

from integrations.brasil_places.words import stem, stems

Language = Literal["pt-BR", "en", "es"]
_LANGUAGES: tuple[Language, ...] = ("pt-BR", "en", "es")
_DATA = Path(__file__).with_name("activities.yaml")
SURE = 0.7
"""From this score on the words name the activity; below, they only point to it and a person should confirm."""
_LEAST = 0.3
_TELLS_NOTHING = frozenset(
    stem(word)
    for word in """empresa companhia firma negocio escritorio loja servico estabelecimento comercio local
    company business firm office shop store service place tienda oficina servicio casa centro center""".split()
)
"""Words of many kinds of business: part of terms, but alone they point nowhere."""


@dataclass(frozen=True)
class KnownActivity:
    """One activity of the bundled list."""

    code: str
    """CNAE subclass, 7 digits."""
    official: str
    """The register's words, without commas."""
    names: dict[Language, str]
    """How people call it, in each language."""
    terms: tuple[tuple[Language, str], ...]
    """All that people say for it."""

    def name(self, language: str) -> str:
        return next((self.names[known] for known in _LANGUAGES if known == language), self.names["pt-BR"])


@dataclass(frozen=True)
class ActivityMatch:
    """An activity that the words may mean, with why."""

    activity: KnownActivity
    score: float
    """0 to 1."""
    term: str
    """The listed term that was recognised, or the code."""
    language: Language | None
    whole: bool
    """Whether all of the term stood in the words; False: only a part of it, so it is a suggestion."""

    @property
    def code(self) -> str:
        return self.activity.code

    @property
    def sure(self) -> bool:
        return self.whole and self.score >= SURE


def activities_for(words: str, *, most: int = 8) -> list[ActivityMatch]:
    """The activities that `words` name, best first, at most `most`; [] when nothing fits.

    A term of the list that stands whole in the words wins, the longer the surer; of terms inside longer ones only the
    longer counts ("loja de roupas" is no "loja"). Words that are a part of terms ("clínicas") give suggestions, which
    are not `sure`. A code of seven digits, with or without its punctuation, is itself.
    """
    by_code = known_activities()
    coded = [code for code in re.findall(r"\b\d{4}-?\d/?\d{2}\b", words)]
    found = {
        code: ActivityMatch(by_code[code], 1.0, code, None, True)
        for code in (re.sub(r"\D", "", one) for one in coded)
        if code in by_code
    }
    asked = stems(words)
    whole: list[tuple[set[int], float, str, Language, str]] = []
    parts: dict[str, ActivityMatch] = {}
    for number in sorted({number for root in set(asked) for number in _by_root().get(root, ())}):
        code, language, term, roots = _terms()[number]
        places = _stands_in(roots, asked)
        if places:
            whole.append((places, _weight(roots), code, language, term))
        elif (share := _share(roots, asked)) >= _LEAST:
            match = ActivityMatch(by_code[code], round(0.65 * share, 3), term, language, False)
            if code not in parts or parts[code].score < match.score:
                parts[code] = match
    heaviest = max((weight for _, weight, *_ in whole), default=1.0)
    for places, weight, code, language, term in whole:
        if any(places < others for others, *_ in whole):
            continue  # a part of a longer term that stands there too
        score = round(SURE + (1 - SURE) * weight / heaviest, 3)
        # The first term of the list is the activity's own name: of two codes for one word, its owner comes first.
        score -= 0.001 * (term != by_code[code].names[language])
        if code not in found or found[code].score < score:
            found[code] = ActivityMatch(by_code[code], score, term, language, True)
    if not found:
        found = parts
    return sorted(found.values(), key=lambda match: (-match.score, match.code))[:most]


def activity(code: str) -> KnownActivity | None:
    """The bundled activity of a code, None when the list does not have it."""
    return known_activities().get(code)


@cache
def known_activities() -> dict[str, KnownActivity]:
    """Code → activity, in the order of the list."""
    found = {}
    for code, (official, *spoken) in yaml.safe_load(_DATA.read_text(encoding="utf-8")).items():
        terms = [[term.strip() for term in one.split(";")] for one in spoken]
        found[code] = KnownActivity(
            code,
            official,
            {language: words[0] for language, words in zip(_LANGUAGES, terms, strict=True)},
            tuple((language, term) for language, words in zip(_LANGUAGES, terms, strict=True) for term in words),
        )
    return found


@cache
def _terms() -> list[tuple[str, Language, str, tuple[str, ...]]]:
    return [
        (code, language, term, tuple(stems(term)))
        for code, one in known_activities().items()
        for language, term in one.terms
    ]


@cache
def _by_root() -> dict[str, list[int]]:
    """Root → the places in `_terms` of those that have it: a question comes near a few dozen of 1,400 terms."""
    places: dict[str, list[int]] = {}
    for number, (*_, roots) in enumerate(_terms()):
        for root in set(roots):
            places.setdefault(root, []).append(number)
    return places


@cache
def _rarity() -> dict[str, float]:
    """Of each root: the fewer activities use it, the more it tells."""
    uses = Counter(root for one in known_activities().values() for root in {r for _, t in one.terms for r in stems(t)})
    total = len(known_activities())
    return {root: log(1 + total / count) for root, count in uses.items()}


def _weight(roots: tuple[str, ...]) -> float:
    return sum(_rarity().get(root, 0.0) for root in roots)


def _stands_in(roots: tuple[str, ...], asked: list[str]) -> set[int]:
    """Where the term stands in the words, its words side by side in any order; empty when it does not."""
    size = len(roots)
    wanted = sorted(roots)
    for start in range(len(asked) - size + 1):
        if sorted(asked[start : start + size]) == wanted:
            return set(range(start, start + size))
    return set()


def _share(roots: tuple[str, ...], asked: list[str]) -> float:
    """How much of the term's meaning the words have."""
    total = _weight(roots)
    return sum(_rarity()[root] for root in (set(roots) & set(asked)) - _TELLS_NOTHING) / total if total else 0.0
