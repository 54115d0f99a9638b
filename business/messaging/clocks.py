"""By which clock a contact says that an hour is: "15h, horário de Brasília", "3 pm São Paulo time".

Portuguese, English and Spanish, as people write on a telephone; the clocks of Brazil, by its states, their capitals and
the names that everybody uses. Of any other it is only known that it was named (`UNCLEAR`), so that it can be asked.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from business.messaging.brazil import place
from core.words import squeezed

UNCLEAR = "?"
"""A clock that is not known: abroad, "daqui", two at once, or one that is asked about or denied."""
ZONE = "zone"
UNCLEAR_NOW = "clock_unclear"
"""Keys of a conversation's session: by which clock its contact says hours; that they named one which nobody can know,
for one turn, and were asked."""
BRASILIA = "America/Sao_Paulo"

_NAMES = {
    "AC": "acre, rio branco", "AL": "alagoas, maceio", "AM": "amazonas, manaus, manaos", "AP": "amapa, macapa",
    "BA": "bahia, salvador", "CE": "ceara, fortaleza", "DF": "brasilia, distrito federal, bsb, brt",
    "ES": "espirito santo", "GO": "goias, goiania", "MA": "maranhao, sao luis", "MG": "minas gerais, minas, "
    "belo horizonte", "MS": "mato grosso do sul, campo grande", "MT": "mato grosso, cuiaba", "PA": "belem",
    "PB": "paraiba, joao pessoa", "PE": "pernambuco, recife", "PI": "piaui, teresina", "PR": "parana, curitiba",
    "RJ": "rio de janeiro, rio", "RN": "rio grande do norte", "RO": "rondonia, porto velho",
    "RR": "roraima, boa vista", "RS": "rio grande do sul, porto alegre", "SC": "santa catarina, florianopolis, floripa",
    "SE": "sergipe, aracaju", "SP": "sao paulo, sampa", "TO": "tocantins, palmas",
}  # fmt: skip
"""By state. Not "natal" and "vitoria", which are words of their own."""
_LETTERS = {"df": "DF", "mg": "MG", "ms": "MS", "mt": "MT", "pr": "PR", "rj": "RJ", "rs": "RS", "sc": "SC", "sp": "SP"}
"""Which mean a state behind a preposition only: "rs" is a laugh, "mt" much. "Pará" is one behind "do"."""
_STATES = {name.strip(): state for state, names in _NAMES.items() for name in names.split(",")}
_UTC = {2: "America/Noronha", 3: BRASILIA, 4: "America/Manaus", 5: "America/Rio_Branco"}
_CITIES = {
    "Europe/Lisbon": "portugal|lisboa|lisbon", "Europe/London": "londres|london|inglaterra",
    "Europe/Madrid": "espanha|espana|spain|madri[dy]?|barcelona", "Europe/Rome": "italia|italy|roma|milao|milano",
    "Europe/Paris": "franca|france|paris", "Europe/Berlin": "alemanha|germany|alemania|berlim|berlin",
    "Europe/Dublin": "irlanda|dublin",
    "America/New_York": "nova york|nova iorque|new york|ny|miami|orlando|boston",
    "America/Los_Angeles": "los angeles|california|san francisco", "America/Toronto": "toronto",
    "America/Argentina/Buenos_Aires": "argentina|buenos aires", "America/Santiago": "santiago",
    "America/Montevideo": "uruguai|uruguay|montevideo", "America/Asuncion": "paraguai|paraguay",
    "America/La_Paz": "bolivia", "America/Lima": "peru|lima", "America/Bogota": "colombia|bogota",
    "Africa/Luanda": "angola|luanda", "Africa/Maputo": "mocambique", "Asia/Tokyo": "japao|japan|toquio|tokyo",
}  # fmt: skip
"""Places abroad with one clock each."""
_SEVERAL = "eua|usa|estados unidos|texas|florida|canada|mexico|chile|china|australia|europa|europe"
_ABROAD = "|".join(names for names in (*_CITIES.values(), _SEVERAL, "[ep][sd]t", "c[sd]t", "cest?", "bst"))
_PLACE = "|".join(sorted(_STATES, key=len, reverse=True)) + r"|fernando de noronha|noronha"
_KNOWN = rf"({_PLACE})\b"
_BEHIND = rf"(?:({'|'.join(_LETTERS)})\b|(?<=do )(para)\b|{_KNOWN})"
_HOUR = r"\d{1,2}\s?(?:(?::\d\d|h(?:s|rs?|oras?)?\s?(?:\d\d)?|[ap]\.?m\.?)\s?)+[,(-]?\s?"
_SAID = tuple(
    re.compile(pattern)
    for pattern in (
        rf"\b(?:fuso|huso|relogio|zona horaria)(?: horario)?(?: (?:de|do|da|del|em|no|na|en) {_BEHIND}| {_KNOWN})",
        rf"\b(?:horario|hora)s?(?: oficial| local)?(?: (?:de|do|da|del) {_BEHIND}| {_KNOWN})",
        rf"\b{_HOUR}(?:(?:de|do|da|em|no|na|en|in) {_BEHIND}|(brasilia|bsb|brt|sao paulo)\b)",
        rf"\b{_KNOWN}(?:'s)? (?:time|clock)\b",
        rf"\btime (?:in|of) {_KNOWN}",
        r"\b(?:utc|gmt) ?[-−–] ?0?([2-5])\b",
    )
)  # fmt: skip
_OTHER = re.compile(
    rf"\b(?:(?:horario|hora|fuso|huso|relogio)s?(?: horario)?(?: local)? (?:de|do|da|dos|del|em|no|na|nos|en) |{_HOUR}"
    rf"(?:(?:de|do|da|dos|em|no|na|nos|en|in) )?)(?:{_ABROAD}|utc|gmt)\b|\b(?:{_ABROAD}|eastern|pacific|central) time\b"
    r"|\bfusos?\b|\bhuso horario\b|\bzona horaria\b|\btime ?zones?\b"
)
_ABROAD_AT = re.compile(
    rf"(?:(?:horario|hora|fuso)s? (?:de|do|da|del) |\b(?:em|no|na|en|in|de) )(?P<at>{_ABROAD})\b"
    rf"|\b(?P<time>{_ABROAD}) time\b"
)
_NEAR = 32  # letters from where an hour begins to the place whose clock it is by
_HERE = re.compile(
    r"\b(?:horario|hora) (?:local|daqui(?! a )|de la\b(?! \w)|de aqui|de ca)\b|\b(?:no|pelo) meu horario\b(?! d[eoa])"
    r"|\b(?:my|local) time\b|\ben mi (?:hora|horario)\b"
)
_DENIED = re.compile(r"\b(?:nao|not|isn'?t|no es)(?: (?:e|eh|is|it|o|no|em|pelo|in|the|el|en))*\s*$")
_ASKED = re.compile(r"\b(?:e|eh|seria|sao|is|es|son|qual)(?: (?:o|no|em|pelo|it|that|in|the|el|en))*\s*$")
_PLACED = re.compile(
    rf"\b(?:em|no|na|nos|en|in|de|do|da|dos|del|horario|hora|for)\s+(?:(?:o|a|los|las|the)\s+)?(?:{_KNOWN}|({_ABROAD})\b)"
    rf"|\b(?:{_KNOWN}|({_ABROAD}))(?:'s)?\s+(?:time|clock)\b|^\W*(?:{_KNOWN}|({_ABROAD}))\W*$"
)
_ANY_DAY = datetime(2026, 1, 1, tzinfo=UTC)  # Brazil has had no summer time since 2019 (Decreto 9.772)


def clock_said(text: str, *, known: bool = False, asked: bool = False) -> str:
    """The zone (an IANA name) of the clock that a contact's own words name; UNCLEAR; "" where they name none.

    `known`: they named one before, so "my time" is that. `asked`: they were asked for the hour by Brasília's clock; a
    place alone answers, too, and an hour alone is Brasília's.
    """
    found: list[str] = []
    unclear = False
    for line in re.split(r"(?<=[.!?])\s+|\n", text):
        said = squeezed(line)
        for pattern in _SAID:
            for match in pattern.finditer(said):
                unclear = unclear or _doubted(said, match)
                found.append(_zone(match))
        for pattern in _SAID:
            said = pattern.sub(" ", said)
        unclear = unclear or bool(_OTHER.search(said)) or (not known and bool(_HERE.search(said)))
    if not unclear and not found and asked:
        said = squeezed(text)
        found = [_zone(match) for match in re.finditer(rf"\b{_KNOWN}", said)]
        if not found and re.search(r"\d", said):
            found = [BRASILIA]
    offsets = {_ANY_DAY.astimezone(ZoneInfo(zone)).utcoffset() for zone in found}
    if unclear or len(offsets) > 1:
        return UNCLEAR
    return found[0] if found else ""


def clock_told(text: str) -> str:
    """The zone of the clock that words of our own give an hour by, as clock_said; a place abroad, too, is its zone
    ("9h em Nova York", "9 am for you in New York"), where all of it has one clock. `text` begins with the hour."""
    said = squeezed(text)
    near = [found for found in _ABROAD_AT.finditer(said) if found.start() < _NEAR]
    abroad = {found["at"] or found["time"] for found in near}
    zones = {next((zone for zone, names in _CITIES.items() if re.fullmatch(names, one)), UNCLEAR) for one in abroad}
    if zones:
        return zones.pop() if len(zones) == 1 else UNCLEAR
    return clock_said(text)


def place_said(words: str) -> str:
    """The zone of the first place in our own words beside an hour ("for you in New York", "horário de Manaus"); UNCLEAR
    for one abroad; "" for none. `words` in plain letters."""
    found = _PLACED.search(words)
    if found is None:
        return ""
    name = next(one for one in found.groups() if one)
    return _zone(found) if name in _STATES or name.endswith("noronha") else UNCLEAR


def clock_of(session: Mapping[str, Any], now: str, before: Iterable[str]) -> tuple[str, dict[str, Any]]:
    """(the zone of the clock that a contact says their hours are by, "" while they named none; what the session of the
    conversation keeps of it). `now`: their own words that wait for an answer; `before`: those of earlier, oldest first,
    which tell it again where a session was cleared."""
    zone = str(session.get(ZONE) or "")
    if not zone:
        named = [clock_said(one) for one in before]
        zone = next((one for one in reversed(named) if one not in ("", UNCLEAR)), "")
    said = clock_said(now, known=bool(zone), asked=bool(session.get(UNCLEAR_NOW)))
    if said not in ("", UNCLEAR):
        zone = said
    return zone, ({ZONE: zone} if zone else {}) | ({UNCLEAR_NOW: True} if said == UNCLEAR else {})


def _doubted(said: str, match: re.Match[str]) -> bool:
    """Whether the clock is denied, or asked about: "15h é horário de Brasília?", not "15h de Brasília, serve?"."""
    before = said[: match.start()]
    return bool(_DENIED.search(before) or (_ASKED.search(before) and said.endswith("?")))


def _zone(match: re.Match[str]) -> str:
    name = next(one for one in match.groups() if one)
    if name.isdigit():
        return _UTC[int(name)]
    if name.endswith("noronha"):
        return "America/Noronha"
    return place(state="PA" if name == "para" else _LETTERS.get(name) or _STATES[name]).zone
