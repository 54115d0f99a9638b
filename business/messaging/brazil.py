"""Brazil's holidays and time zones: which day nobody should be bothered, and what time it is where a lead lives.

The tables with their laws are brazil.yaml. Where a lead lives is told best by what is known of it (a zone, a city, a
state) and worst by the area code of a telephone, which people keep when they move: `Place.known_by` says which it was.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

import yaml

_FILE = Path(__file__).with_name("brazil.yaml")

KnownBy = Literal["zone", "city", "state", "area_code", "account"]


@dataclass(frozen=True)
class Holiday:
    """`optional`: no holiday by law, though offices are closed (ponto facultativo). `state`: None for the whole
    country."""

    day: date
    name: str
    source: str
    optional: bool = False
    state: str | None = None


@dataclass(frozen=True)
class Place:
    """What time it is where somebody lives. `zone` is an IANA name, `state` two letters or None."""

    zone: str
    state: str | None
    known_by: KnownBy

    @property
    def clock(self) -> ZoneInfo:
        return ZoneInfo(self.zone)


def easter(year: int) -> date:
    """Easter Sunday of the Gregorian calendar, 1583 and later (Meeus, Jones, Butcher: "Astronomical Algorithms", ch.
    8)."""
    golden = year % 19
    century, rest = divmod(year, 100)
    leap, over = divmod(century, 4)
    correction = (century - (century + 8) // 25 + 1) // 3
    moon = (19 * golden + century - leap - correction + 15) % 30
    quarter, last = divmod(rest, 4)
    weekday = (32 + 2 * over + 2 * quarter - moon - last) % 7
    late = (golden + 11 * moon + 22 * weekday) // 451
    month, day = divmod(moon + weekday - 7 * late + 114, 31)
    return date(year, month, day + 1)


@cache
def holidays(year: int, state: str | None = None) -> tuple[Holiday, ...]:
    """Those of the country and, when it is known, of the state (two letters), by day. Cities' own are not among
    them."""
    found = list(_national(year))
    for day, name in _tables()["states"].get(state, ()):
        month, number = map(int, day.split("-"))
        found.append(Holiday(date(year, month, number), name, "Lei 9.093/1995, art. 1, II", state=state))
    return tuple(sorted(found, key=lambda one: (one.day, one.optional, one.name)))


def holiday_on(day: date, state: str | None = None, *, optional: bool = True) -> Holiday | None:
    """The holiday on `day`, or None. `optional=False` counts only those that are so by law."""
    return next((one for one in holidays(day.year, state) if one.day == day and (optional or not one.optional)), None)


def place(
    *,
    zone: str | None = None,
    city: str | None = None,
    state: str | None = None,
    phone: str | None = None,
    account_zone: str = "America/Sao_Paulo",
) -> Place:
    """Where somebody lives, by the best that is known.

    `zone` is an IANA name that a person or the contact gave (one that does not exist is passed over); `city` the IBGE's
    code of 7 digits; `state` two letters; `phone` a number with country code ("+55 92 …"). What is known of nobody
    falls back to the account's own zone, and `known_by` says so.
    """
    known = _zone_of_state(state) if state else None
    if zone and _exists(zone):
        return Place(zone, state if known else None, "zone")
    if city and city.isdigit() and len(city) == 7:
        in_state = _state_of_city(city)
        if own := _city_zones().get(city):
            return Place(own, in_state, "city")
        if in_state:
            return Place(_zone_of_state(in_state) or account_zone, in_state, "city")
    if known and state:
        return Place(known, state, "state")
    if by_phone := state_of_phone(phone or ""):
        return Place(_zone_of_state(by_phone) or account_zone, by_phone, "area_code")
    return Place(account_zone, None, "account")


def state_of_phone(phone: str) -> str | None:
    """The state of a Brazilian telephone's area code; None for other countries and for numbers without country code."""
    digits = "".join(sign for sign in phone if sign.isdigit())
    if not digits.startswith("55") or len(digits) not in (12, 13):
        return None
    return _states_by_area_code().get(int(digits[2:4]))


def _national(year: int) -> Iterator[Holiday]:
    tables = _tables()
    for one in tables["fixed"]:
        if year >= one.get("since", 0):
            month, number = map(int, one["day"].split("-"))
            yield Holiday(date(year, month, number), one["name"], one["source"])
    sunday = easter(year)
    for one in tables["movable"]:
        day = sunday + timedelta(days=one["easter"])
        yield Holiday(day, one["name"], one["source"], bool(one.get("optional")))


@cache
def _tables() -> Mapping[str, Any]:
    found: Mapping[str, Any] = yaml.safe_load(_FILE.read_text(encoding="utf-8"))
    return found


@cache
def _zones_by_state() -> Mapping[str, str]:
    return {state: zone for zone, states in _tables()["zones"].items() for state in states}


@cache
def _city_zones() -> Mapping[str, str]:
    return {city: zone for zone, cities in _tables()["cities"].items() for city in cities}


@cache
def _states_by_area_code() -> Mapping[int, str]:
    return {code: state for state, codes in _tables()["area_codes"].items() for code in codes}


# The first two digits of the IBGE's code of a city are its state's (IBGE, Divisão Territorial Brasileira).
_STATE_NUMBERS = dict(
    zip(
        (11, 12, 13, 14, 15, 16, 17, 21, 22, 23, 24, 25, 26, 27, 28, 29, 31, 32, 33, 35, 41, 42, 43, 50, 51, 52, 53),
        "RO AC AM RR PA AP TO MA PI CE RN PB PE AL SE BA MG ES RJ SP PR SC RS MS MT GO DF".split(),
        strict=True,
    )
)


def _state_of_city(code: str) -> str | None:
    return _STATE_NUMBERS.get(int(code[:2]))


def _zone_of_state(state: str) -> str | None:
    return _zones_by_state().get(state)


@cache
def _exists(zone: str) -> bool:
    try:
        ZoneInfo(zone)
    except (OSError, ValueError, KeyError):  # ZoneInfoNotFoundError is a KeyError; odd names are ValueErrors
        return False
    return True
