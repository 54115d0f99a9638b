"""Whom a search looks for: the ideal customer, as far as a sentence said it.

Everything unsaid is open: no size is every size, no age every age. `key` names what is looked for without saying how
many, so that the same wish said again is recognised and goes on with the next companies.
"""

import calendar
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from enum import StrEnum
from functools import cache
from typing import Any, Literal

from pydantic import TypeAdapter

from business.prospecting.lines import Line

DEFAULT_WANTED = 20
"""How many companies are looked for when no number is said: a list that a person can read in one go."""
MOST_WANTED = 500
"""In one search. The registry is a free public service; who needs more asks again and gets the next ones."""


class Size(StrEnum):
    """The registry's sizes, by yearly revenue (Lei Complementar 123/2006). It does not tell medium from large."""

    MICRO = "micro"
    """Up to R$ 360,000 (ME)."""
    SMALL = "small"
    """Up to R$ 4.8 million (EPP)."""
    OTHER = "other"
    """Above that, or not declared as one of these (DEMAIS)."""


class Signal(StrEnum):
    """What a company may have that a sentence can ask for."""

    WEBSITE = "website"
    INSTAGRAM = "instagram"
    LINKEDIN = "linkedin"
    PHONE = "phone"
    WHATSAPP = "whatsapp"
    EMAIL = "email"


@dataclass(frozen=True)
class WantedActivity:
    code: str
    """CNAE subclass, 7 digits."""
    name: str
    """In the language of the sentence."""


@dataclass(frozen=True)
class WantedPlace:
    kind: Literal["city", "state"]
    name: str
    uf: str
    ibge: str
    """7 digits for a city, 2 for a state."""


def place_name(place: WantedPlace | None) -> str:
    """ "Campinas/SP", "São Paulo (SP)" for the state, "Brasil"."""
    if place is None:
        return "Brasil"
    return f"{place.name}/{place.uf}" if place.kind == "city" else f"{place.name} ({place.uf})"


@dataclass(frozen=True)
class Wish:
    """A signal that the companies shall have, or shall lack ("sem site")."""

    signal: Signal
    has: bool = True


@dataclass(frozen=True)
class AgeRange:
    """How long ago companies were opened. `strict`: "mais de 3 anos" leaves out the one that turns three today."""

    least_months: int | None = None
    least_strict: bool = False
    most_months: int | None = None
    most_strict: bool = False
    since: date | None = None
    """Opened on this day or later ("desde 2020")."""
    until: date | None = None
    """Opened on this day or before ("antes de 2015")."""

    def opened(self, today: date) -> tuple[date | None, date | None]:
        """The first and the last opening day that are right, both included; None where there is no limit."""
        first, last = self.since, self.until
        if self.most_months is not None:
            limit = months_before(today, self.most_months) + timedelta(days=self.most_strict)
            first = limit if first is None else max(first, limit)
        if self.least_months is not None:
            limit = months_before(today, self.least_months) - timedelta(days=self.least_strict)
            last = limit if last is None else min(last, limit)
        return first, last

    @property
    def open(self) -> bool:
        return self == AgeRange()


@dataclass(frozen=True)
class IdealCustomer:
    """Whom to look for. Codes and places are of the public lists; nothing in it is guessed."""

    activities: tuple[WantedActivity, ...] = ()
    places: tuple[WantedPlace, ...] = ()
    nationwide: bool = False
    """ "no Brasil todo" was said. No place and not this: it is still to be asked where."""
    sizes: tuple[Size, ...] = ()
    mei: bool | None = None
    """Sole traders under the MEI scheme: True only these, False none of them, None either."""
    age: AgeRange = field(default_factory=AgeRange)
    wishes: tuple[Wish, ...] = ()
    branches: bool = False
    """Whether branches count, too; else head offices only, each company once."""
    without_activities: tuple[WantedActivity, ...] = ()
    without_places: tuple[WantedPlace, ...] = ()
    wanted: int = DEFAULT_WANTED
    wanted_said: bool = False
    wants_contact: bool = False
    """ "fale com os melhores": first messages shall be prepared for the best."""
    contact_most: int | None = None
    """ "fale com os 5 melhores"; None leaves it to those that qualify."""

    @property
    def searchable(self) -> bool:
        """Whether there is something to look for and somewhere to look."""
        return bool(self.activities) and (bool(self.places) or self.nationwide)

    @property
    def key(self) -> str:
        """The same for the same wish: without numbers wanted, names, order, or what to do with the best."""
        told = {
            "activities": sorted(one.code for one in self.activities),
            "places": sorted(one.ibge for one in self.places) or self.nationwide,
            "sizes": sorted(self.sizes),
            "mei": self.mei,
            "age": _AGE.dump_python(self.age, mode="json"),
            "wishes": sorted((one.signal, one.has) for one in self.wishes),
            "branches": self.branches,
            "not": [sorted(one.code for one in self.without_activities), sorted(p.ibge for p in self.without_places)],
        }
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:24]

    def wish(self, signal: str) -> bool | None:
        """What was said of a signal: True to have, False to lack, None nothing."""
        return next((one.has for one in self.wishes if one.signal == signal), None)

    def described(self, today: date) -> list[Line]:
        """The profile in sentences, to be shown for correction: what was said, one line for each."""
        first, last = self.age.opened(today)
        places = [place_name(one) for one in self.places] or ["Brasil"]
        told: list[tuple[str, bool, dict[str, Any]]] = [
            ("activities", bool(self.activities), {"names": [f"{one.name} ({one.code})" for one in self.activities]}),
            ("places", bool(self.places) or self.nationwide, {"names": places}),
            ("opened_between", bool(first and last), {"first": first, "last": last}),
            ("opened_since", bool(first and not last), {"first": first}),
            ("opened_until", bool(last and not first), {"last": last}),
            ("sizes", bool(self.sizes), {"names": [Line(f"prospecting.size.{one}") for one in self.sizes]}),
            ("mei_only", self.mei is True, {}),
            ("mei_none", self.mei is False, {}),
            ("has", True in [one.has for one in self.wishes], {"names": self._wished(True)}),
            ("lacks", False in [one.has for one in self.wishes], {"names": self._wished(False)}),
            ("branches", self.branches, {}),
            (
                "without",
                bool(self.without_activities or self.without_places),
                {
                    "names": [
                        *(one.name for one in self.without_activities),
                        *(place_name(one) for one in self.without_places),
                    ]
                },
            ),
            ("wanted", True, {"count": self.wanted}),
            ("contact", self.wants_contact, {"most": self.contact_most}),
        ]
        return [Line(f"prospecting.profile.{name}", params) for name, holds, params in told if holds]

    def _wished(self, has: bool) -> list[Line]:
        return [Line(f"prospecting.kind.{one.signal}") for one in self.wishes if one.has is has]

    def record(self) -> dict[str, Any]:
        """As JSON values; `customer_from` gives it back."""
        return dict(_customer().dump_python(self, mode="json"))


_AGE = TypeAdapter(AgeRange)


@cache
def _customer() -> TypeAdapter[IdealCustomer]:
    return TypeAdapter(IdealCustomer)


def customer_from(record: Mapping[str, Any]) -> IdealCustomer:
    """A profile that was kept. ValueError when the record is none."""
    return _customer().validate_python(record)


def months_before(day: date, months: int) -> date:
    """The same day `months` earlier; the month's last where it has no such day. Never before the year 1."""
    count = day.year * 12 + day.month - 1 - months
    if count < 12:
        return date.min
    year, month = divmod(count, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


# --- what was not clear ---------------------------------------------------------------------------


class Doubt(StrEnum):
    """What a sentence left open or what cannot be done as it was said."""

    ACTIVITY_MISSING = "activity_missing"
    ACTIVITY_UNKNOWN = "activity_unknown"
    ACTIVITY_GUESS = "activity_guess"
    """The words only point to activities: `choices`."""
    ACTIVITY_ALSO = "activity_also"
    """The word means further activities: `choices`."""
    PLACE_MISSING = "place_missing"
    PLACE_UNKNOWN = "place_unknown"
    PLACE_AMBIGUOUS = "place_ambiguous"
    PLACE_AROUND = "place_around"
    """ "na região de": only the city itself is looked through."""
    PLACE_NAMESAKES = "place_namesakes"
    SIZE_COARSE = "size_coarse"
    """The registry does not tell medium companies from large ones."""
    AGE_VAGUE = "age_vague"
    AGE_IMPOSSIBLE = "age_impossible"
    COUNT_IMPOSSIBLE = "count_impossible"
    COUNT_TOO_MANY = "count_too_many"
    CANNOT_CHECK = "cannot_check"
    """No source tells it (employees, revenue, districts, distances): `words`."""


@dataclass(frozen=True)
class Unclear:
    doubt: Doubt
    words: str = ""
    """As they were said."""
    choices: tuple[WantedActivity | WantedPlace, ...] = ()

    def line(self) -> Line:
        """The question or the remark, with the choices by name."""
        names = [place_name(one) if isinstance(one, WantedPlace) else one.name for one in self.choices]
        return Line(f"prospecting.doubt.{self.doubt}", {"words": self.words, "choices": names})


@dataclass(frozen=True)
class Reading:
    """What a sentence said."""

    profile: IdealCustomer
    unclear: tuple[Unclear, ...] = ()
    changes: tuple[str, ...] = ()
    """Fields of the profile that a correction changed, in their order."""

    @property
    def ready(self) -> bool:
        """Whether a search can begin. What else is unclear is worth a word, not a halt."""
        stops = (Doubt.AGE_IMPOSSIBLE, Doubt.COUNT_IMPOSSIBLE)
        return self.profile.searchable and not any(one.doubt in stops for one in self.unclear)

    def doubts(self) -> tuple[Doubt, ...]:
        return tuple(one.doubt for one in self.unclear)


def with_place(reading: Reading, words: str, place: WantedPlace) -> Reading:
    """The reading after somebody (or the list of all cities) said which place `words` meant."""
    places = tuple(dict.fromkeys((*reading.profile.places, place)))
    left = (Doubt.PLACE_UNKNOWN, Doubt.PLACE_AMBIGUOUS)
    unclear = tuple(
        one
        for one in reading.unclear
        if not (one.doubt in left and one.words == words) and one.doubt is not Doubt.PLACE_MISSING
    )
    return replace(reading, profile=replace(reading.profile, places=places), unclear=unclear)
