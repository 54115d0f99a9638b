"""What people call a place → a city with its IBGE code, a state, several candidates, or honestly unknown.

Reads the bundled table; `client.Places` asks the IBGE about the cities that are not in it. A city is never guessed: a
name that several cities have is ambiguous, one that is nearly a known name is unknown with that name as a suggestion.
"""

import difflib
import re
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal

import yaml

from integrations.brasil_places.words import fold

_DATA = Path(__file__).with_name("cities.yaml")

STATES: dict[str, tuple[str, int]] = {
    "AC": ("Acre", 12), "AL": ("Alagoas", 27), "AM": ("Amazonas", 13), "AP": ("Amapá", 16), "BA": ("Bahia", 29),
    "CE": ("Ceará", 23), "DF": ("Distrito Federal", 53), "ES": ("Espírito Santo", 32), "GO": ("Goiás", 52),
    "MA": ("Maranhão", 21), "MG": ("Minas Gerais", 31), "MS": ("Mato Grosso do Sul", 50), "MT": ("Mato Grosso", 51),
    "PA": ("Pará", 15), "PB": ("Paraíba", 25), "PE": ("Pernambuco", 26), "PI": ("Piauí", 22), "PR": ("Paraná", 41),
    "RJ": ("Rio de Janeiro", 33), "RN": ("Rio Grande do Norte", 24), "RO": ("Rondônia", 11), "RR": ("Roraima", 14),
    "RS": ("Rio Grande do Sul", 43), "SC": ("Santa Catarina", 42), "SE": ("Sergipe", 28), "SP": ("São Paulo", 35),
    "TO": ("Tocantins", 17),
}  # fmt: skip
"""State → (name, IBGE number, with which the codes of its cities begin)."""
UF_BY_NUMBER = {str(number): uf for uf, (_, number) in STATES.items()}


@dataclass(frozen=True)
class Place:
    """A city, or a whole state."""

    kind: Literal["city", "state"]
    name: str
    uf: str
    ibge: str
    """7 digits for a city, 2 for a state."""
    ddd: int | None = None
    """Area code of the city's seat; None when not known, and for states."""


@dataclass(frozen=True)
class Found:
    """The one place that is meant."""

    place: Place
    namesakes: tuple[Place, ...] = ()
    """Other places of that name, each much less likely to be meant; worth a word to the person."""
    around: bool = False
    """The words named the region around it ("Grande Vitória"); this is the city alone."""


@dataclass(frozen=True)
class Ambiguous:
    """Several cities have that name: somebody must say which."""

    candidates: tuple[Place, ...]


@dataclass(frozen=True)
class Unknown:
    """No place that is known here. Not the same as: does not exist."""

    words: str
    near: tuple[Place, ...] = ()
    """Places whose name is nearly that one; suggestions, never taken for it."""
    looked_everywhere: bool = False
    """Whether the list of all cities was asked, or only the bundled table."""


PlaceAnswer = Found | Ambiguous | Unknown

_BEFORE = re.compile(
    r"^(?:(?:in |en |em )?(?:the |la |na |a )?(?:cidade|ciudad|city|municipio) (?:de |do |da |of )?"
    r"|em |no |na |nos |nas |in |en |de )"
)
_AROUND = re.compile(
    r"^(?:em |na |in |en )?(?:the |la |a )?"
    r"(?:(?:regiao|region|arredores|alrededores)(?: metropolitana)? (?:de |do |da |of )|grande |greater )"
)
_STATE = re.compile(
    r"^(?:(?:o |no |the |el |in |em )*(?:estado|interior|state)|all|todo|toda) (?:de |do |da |of |o |a )*"
)


def place_for(words: str, uf: str | None = None) -> PlaceAnswer:
    """The place that `words` name: "Campinas", "em Campinas/SP", "Floripa", "Londrina - PR", "interior do Paraná".

    `uf` (two letters) says the state, and so does one after the name. A capital wins over namesakes, any other city
    only over much smaller ones. "São Paulo" and "Rio de Janeiro" are the cities unless the state is named.
    """
    given = fold(words)
    state = uf.upper() if uf else None
    if state is not None and state not in STATES:
        return Unknown(words)
    name = _BEFORE.sub("", given)
    for country in (" brasil", " brazil"):
        name = name.removesuffix(country)
    if _STATE.match(name) and (found := _state(_STATE.sub("", name))):
        return Found(found)
    if _AROUND.match(given) and isinstance(centre := place_for(_AROUND.sub("", given), uf), Found):
        return replace(centre, around=centre.place.kind == "city")
    if (answer := _city(name, state)) is not None:
        return answer
    # The state behind the city's name: "campinas sp", "campinas sao paulo".
    for code, (full, _) in STATES.items():
        for ending in (f" {code.lower()}", f" {fold(full)}"):
            if name.endswith(ending) and state in (None, code):
                rest = name.removesuffix(ending).removesuffix(" estado de").strip()
                if (answer := _city(rest, code)) is not None:
                    return answer
    if state is None and (found := _state(name)):
        return Found(found)
    near = difflib.get_close_matches(name, _by_name(), n=3, cutoff=0.82) if len(name) > 3 else []
    suggested = [place for one in near for place in _by_name()[one] if state in (None, place.uf)]
    return Unknown(words, tuple(dict.fromkeys(suggested)))


@dataclass(frozen=True)
class Mention:
    """A place that a sentence speaks of."""

    words: str
    """As they stand there."""
    answer: PlaceAnswer


def places_in(sentence: str) -> list[Mention]:
    """The places that a whole sentence speaks of, in its order: "ache 20 dentistas em Campinas e em Santos".

    Known names are found wherever they stand with a capital letter, or after "em", "in", "en"…; a capital name after
    such a word that is no known place is told as `Unknown` ("padarias na Lua"), so that nobody searches elsewhere.
    """
    tokens = [(match.group(), fold(match.group())) for match in re.finditer(r"[^\s,;:()?!/]+|[,;:()?!/]", sentence)]
    found: list[Mention] = []
    place = 0
    while place < len(tokens):
        before = tokens[place - 1][1] if place else ""
        size = next((n for n in range(5, 0, -1) if _is_place(tokens[place : place + n], before)), 0)
        if not size and before in _WHERE:  # a name after "em", though nobody knows it
            while place + size < len(tokens) and _is_name(tokens[place + size]):
                size += 1
        if not size:
            place += 1
            continue
        end = place + size + _state_behind(tokens, place + size)
        words = _joined(tokens[place - _in_front(tokens, place) : end])
        found.append(Mention(words, place_for(words)))
        place = end
    return found


def known_cities() -> tuple[Place, ...]:
    """The bundled table."""
    return tuple(_table()[0])


def check_digit_right(ibge: str) -> bool:
    """Whether a city's code of 7 digits ends in its check digit: weights 1 and 2 in turn, sums of digits."""
    if not re.fullmatch(r"[0-9]{7}", ibge):
        return False
    products = [int(digit) * (1 + place % 2) for place, digit in enumerate(ibge[:6])]
    return (10 - sum(product // 10 + product % 10 for product in products) % 10) % 10 == int(ibge[6])


def among(name: str, places: tuple[Place, ...], state: str | None) -> PlaceAnswer | None:
    """The answer for a folded name among these cities; None when none has it."""
    named = [place for place in places if fold(place.name) == name and state in (None, place.uf)]
    if not named:
        return None
    return Found(named[0]) if len(named) == 1 else Ambiguous(tuple(named))


_WHERE = frozenset("em no na nos nas in en near at the".split())
_ANYWHERE = frozenset(
    "brasil brazil instagram google linkedin facebook internet whatsapp maps tiktok youtube crm excel meta".split()
)
"""What stands after "no" and "in" with a capital letter and is no place to search in."""
_EVERYDAY = frozenset(
    "para serra natal feira campos rio santos franca palmas prudente paulista americana foz bc".split()
)
"""Places whose name is a word of every day: only with its capital letter."""
_AROUND_WORDS = frozenset(
    f"{word} {of}" for word in ("regiao", "regiao metropolitana", "region", "estado", "interior", "state")
    for of in ("de", "do", "da", "of")
) | {"grande", "greater"}  # fmt: skip
_Token = tuple[str, str]


def _is_place(tokens: list[_Token], before: str) -> bool:
    """Whether these words are the name of a known city or state."""
    if not tokens or any(not folded for _, folded in tokens):
        return False
    name = " ".join(folded for _, folded in tokens)
    capital = tokens[0][0][:1].isupper()
    if len(name) == 2:
        return tokens[0][0].isupper() and before in _WHERE and (name.upper() in STATES or name in _by_name())
    if name == "para" and "á" not in tokens[0][0]:
        return False
    if name not in _by_name() and _state(name) is None:
        return False
    return capital or (before in _WHERE and (before == "em" or name not in _EVERYDAY))


def _state_behind(tokens: list[_Token], place: int) -> int:
    """How many tokens after a city say its state: "/SP", "- SP", ", Paraná"."""
    sign = 1 if place < len(tokens) and tokens[place][0] in ("/", "-", "–", ",", "(") else 0
    for size in (4, 3, 2, 1):
        words = tokens[place + sign : place + sign + size]
        name = " ".join(folded for _, folded in words)
        if len(words) == size and words[0][0][:1].isupper() and all(folded for _, folded in words) and _state(name):
            return sign + size
    return 0


def _in_front(tokens: list[_Token], place: int) -> int:
    """How many tokens before a place say that its region or its whole state is meant: "região de", "Grande"."""
    for size in (3, 2, 1):
        if place >= size and " ".join(folded for _, folded in tokens[place - size : place]) in _AROUND_WORDS:
            return size
    return 0


def _is_name(token: _Token) -> bool:
    return token[0][:1].isupper() and token[1] not in _ANYWHERE and len(token[1]) > 1


def _joined(tokens: list[_Token]) -> str:
    words = " ".join(text for text, _ in tokens).replace(" / ", "/").replace(" ,", ",").replace("( ", "(").rstrip(".")
    return f"{words})" if "(" in words else words


def _city(name: str, state: str | None) -> PlaceAnswer | None:
    named = [place for place in _by_name().get(name, []) if state in (None, place.uf)]
    if not named:
        return None
    _, capitals, lesser = _table()
    likely = [place for place in named if place in capitals and fold(place.name) == name]
    likely = likely or [place for place in named if place not in lesser] or named
    if len(likely) == 1:
        return Found(likely[0], tuple(place for place in named if place != likely[0]))
    return Ambiguous(tuple(named))


def _state(name: str) -> Place | None:
    for uf, (full, number) in STATES.items():
        if name in (uf.lower(), fold(full)):
            return Place("state", full, uf, str(number))
    return None


@cache
def _table() -> tuple[list[Place], frozenset[Place], frozenset[Place]]:
    """(all cities, the capitals, those much smaller than their namesakes). ValueError for a code with a slip."""
    data = yaml.safe_load(_DATA.read_text(encoding="utf-8"))
    cities = [Place("city", name, uf, str(code), ddd) for name, uf, code, ddd, *_ in data["cities"]]
    lesser = [Place("city", name, uf, str(code), ddd) for name, uf, code, ddd, *_ in data["lesser"]]
    for place in (*cities, *lesser):
        if not check_digit_right(place.ibge) or UF_BY_NUMBER[place.ibge[:2]] != place.uf:
            raise ValueError(f"{place.name}: {place.ibge} is no code of {place.uf}")
    return [*cities, *lesser], frozenset(cities[: len(STATES)]), frozenset(lesser)


@cache
def _by_name() -> dict[str, list[Place]]:
    data = yaml.safe_load(_DATA.read_text(encoding="utf-8"))
    found: dict[str, list[Place]] = {}
    for place, (name, _, _, _, *others) in zip(_table()[0], [*data["cities"], *data["lesser"]], strict=True):
        for one in dict.fromkeys(fold(each) for each in (name, *others)):
            found.setdefault(one, []).append(place)
    return found
