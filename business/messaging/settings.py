"""What an account decides about its messages: policy.yaml read, checked, and refused with what is wrong and where."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from business.messaging.brazil import Place
from business.messaging.hours import WEEKDAYS, Calendar, Hours
from core.errors import ArgumentsWrong

_DEFAULT = Path(__file__).with_name("policy.yaml")
_LARGEST = 50_000  # characters
_MOST_DAYS = 400  # days off that an account may add
_STATES = frozenset("AC AL AM AP BA CE DF ES GO MA MG MS MT PA PB PE PI PR RJ RN RO RR RS SC SE SP TO".split())


@dataclass(frozen=True)
class Settings:
    """See policy.yaml for what each of them means. `version`: the file's number and the hash of its text."""

    version: str
    contact_hours: Hours
    contact_hours_by_state: Mapping[str, Hours]
    notice_hours: Hours
    business_hours: Hours
    holidays: bool
    optional_holidays: bool
    house_state: str
    """Two letters, or none said: whose holidays are days off of the house."""
    extra_holidays: Mapping[date, str]
    working_holidays: frozenset[date]
    most_touches: int
    days_between_touches: int
    marketing_most: int
    marketing_days: int
    reserve_percent: int
    first_contact_without_consent: bool
    """Whether a person may approve one."""
    pair_burst: int
    window_margin: timedelta
    quiet: timedelta
    most_wait: timedelta
    most_superseded: int

    def calendar(self, place: Place) -> Calendar:
        """The days off there; of the house, where it is not known better where somebody is."""
        if place.known_by == "account":
            place = replace(place, state=self.house_state or None)
        return Calendar(
            place, self.extra_holidays, self.working_holidays, self.optional_holidays, any_day=not self.holidays
        )

    def hours_for(self, place: Place) -> Hours:
        """When somebody who lives there may be written to."""
        return self.contact_hours_by_state.get(place.state or "", self.contact_hours)

    def always(self, place: Place) -> bool:
        """Whether there is no hour and no day on which somebody who lives there is left alone."""
        week = self.hours_for(place).week
        return not self.holidays and all(week.get(day) == (time.min, time(23, 59)) for day in range(7))


@cache
def default_settings() -> Settings:
    return parse_settings(default_text())


def default_text() -> str:
    """The file itself, to be copied and changed."""
    return _DEFAULT.read_text(encoding="utf-8")


def parse_settings(text: str) -> Settings:
    """An account's file. What it leaves out is as in ours.

    ArgumentsWrong: messaging_rules_unreadable (detail), messaging_rules_field (where, given, allowed).
    """
    data = _read(text)
    ours = data if text == default_text() else _read(default_text())
    for name in data:
        if name not in ours:
            raise _wrong(str(name), data[name], ", ".join(ours))

    def value(name: str, read: Callable[[str, Any], Any]) -> Any:
        return read(name, data.get(name, ours[name]))

    marketing = value("marketing", _mapping)
    if odd := marketing.keys() - {"most", "days"}:
        raise _wrong(f"marketing.{min(map(str, odd))}", marketing, "most, days")
    return Settings(
        version=f"{value('version', _whole(1, 1_000_000))}-{hashlib.sha256(text.encode()).hexdigest()[:8]}",
        contact_hours=value("contact_hours", _hours),
        contact_hours_by_state=value("contact_hours_by_state", _hours_by_state),
        notice_hours=value("notice_hours", _hours),
        business_hours=value("business_hours", _hours),
        holidays=value("holidays", _yes_no),
        optional_holidays=value("optional_holidays", _yes_no),
        house_state=value("house_state", _state),
        extra_holidays=value("extra_holidays", _named_days),
        working_holidays=value("working_holidays", _days),
        most_touches=value("most_touches", _whole(1, 20)),
        days_between_touches=value("days_between_touches", _whole(0, 60)),
        marketing_most=_whole(0, 30)("marketing.most", marketing.get("most", 2)),
        marketing_days=_whole(1, 90)("marketing.days", marketing.get("days", 7)),
        reserve_percent=value("reserve_percent", _whole(0, 90)),
        first_contact_without_consent=value("first_contact_without_consent", _choice("approve", "never")) == "approve",
        pair_burst=value("pair_burst", _whole(1, 45)),
        window_margin=timedelta(minutes=value("window_margin_minutes", _whole(0, 120))),
        quiet=timedelta(seconds=value("quiet_seconds", _whole(0, 60))),
        most_wait=timedelta(seconds=value("most_wait_seconds", _whole(0, 300))),
        most_superseded=value("most_superseded", _whole(0, 50)),
    )


def _read(text: str) -> dict[str, Any]:
    if len(text) > _LARGEST:
        raise _unreadable(f"> {_LARGEST}")
    try:
        data = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        raise _unreadable(
            f"line {mark.line + 1}: {getattr(error, 'problem', '')}" if mark else str(error)[:200]
        ) from None
    if not isinstance(data, dict):
        raise _unreadable("YAML: name: value")
    return data


def _unreadable(detail: str) -> ArgumentsWrong:
    return ArgumentsWrong("messaging_rules_unreadable", detail, detail=detail)


def _wrong(where: str, given: object, allowed: str) -> ArgumentsWrong:
    shown = str(given)[:80]
    return ArgumentsWrong(
        "messaging_rules_field", f"{where}: {shown!r}, allowed: {allowed}", where=where, given=shown, allowed=allowed
    )


def _whole(least: int, most: int) -> Callable[[str, Any], int]:
    def read(where: str, given: Any) -> int:
        if isinstance(given, bool) or not isinstance(given, int) or not least <= given <= most:
            raise _wrong(where, given, f"{least}–{most}")
        return given

    return read


def _choice(*allowed: str) -> Callable[[str, Any], str]:
    def read(where: str, given: Any) -> str:
        if given not in allowed:
            raise _wrong(where, given, ", ".join(allowed))
        return str(given)

    return read


def _state(where: str, given: Any) -> str:
    if given not in ("", *_STATES):
        raise _wrong(where, given, "AC … TO")
    return str(given)


def _yes_no(where: str, given: Any) -> bool:
    if not isinstance(given, bool):
        raise _wrong(where, given, "yes, no")
    return given


def _mapping(where: str, given: Any) -> dict[Any, Any]:
    if not isinstance(given, dict):
        raise _wrong(where, given, "name: value")
    return given


def _hours(where: str, given: Any) -> Hours:
    week: dict[int, tuple[time, time]] = {}
    for name, span in _mapping(where, given).items():
        at = f"{where}.{name}"
        if name not in WEEKDAYS:
            raise _wrong(at, name, ", ".join(WEEKDAYS))
        if span is None:
            continue
        if not isinstance(span, list) or len(span) != 2:
            raise _wrong(at, span, '["09:00", "18:00"]')
        opens, closes = (_clock(at, one) for one in span)
        if opens >= closes:
            raise _wrong(at, span, '["09:00", "18:00"]')
        week[WEEKDAYS.index(name)] = (opens, closes)
    if not week:
        raise _wrong(where, given, 'mon: ["09:00", "18:00"]')
    return Hours(week)


def _clock(where: str, given: Any) -> time:
    # YAML reads 09:00 without quotes as a number of minutes: refused rather than guessed.
    try:
        return time.fromisoformat("23:59" if given == "24:00" else given)
    except (TypeError, ValueError):
        raise _wrong(where, given, '"09:00"') from None


def _hours_by_state(where: str, given: Any) -> dict[str, Hours]:
    found = {}
    for state, hours in _mapping(where, given).items():
        if state not in _STATES:
            raise _wrong(f"{where}.{state}", state, "AC … TO")
        found[state] = _hours(f"{where}.{state}", hours)
    return found


def _day(where: str, given: Any) -> date:
    if isinstance(given, datetime) or not isinstance(given, date):
        raise _wrong(where, given, "2026-12-24")
    return given


def _named_days(where: str, given: Any) -> dict[date, str]:
    days = {_day(where, day): str(name)[:80] for day, name in _mapping(where, given or {}).items()}
    if len(days) > _MOST_DAYS:
        raise _wrong(where, len(days), f"≤ {_MOST_DAYS}")
    return days


def _days(where: str, given: Any) -> frozenset[date]:
    if not isinstance(given or [], list) or len(given or []) > _MOST_DAYS:
        raise _wrong(where, given, "[2026-12-24]")
    return frozenset(_day(where, day) for day in given or [])
