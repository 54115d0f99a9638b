"""The periods people name, as whole days of the ad account's time zone: "últimos 7 dias", "desde segunda", "de 3 a 9".

`parse_period` finds the period (and the period it is compared with) inside a sentence in Portuguese, English or
Spanish, with or without accents. The rules, in the order people ask about them:

- "últimos N dias" ends yesterday, the last whole day; "incluindo hoje" ends today, which makes the window partial.
- A period that is still running (hoje, esta semana, este mês, desde …) ends today and is partial.
- A week is Monday to Sunday. "última semana" is the last seven days, "semana passada" the calendar week.
- A date without a month is of this month or, when it has not come yet, of the last. A month or date without a year
  is the latest one that has begun. Day comes before month ("3/11" is 3 November) unless only the other way exists.
- Numbers are not dates: "de 3 a 9 campanhas" and "e a segunda?" name no period.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from business.ads.model import Window
from business.ads.periods import ARTICLES, Found, Unit, find, impossible, minus_days, minus_months, plain
from core.errors import ArgumentsWrong

META_MONTHS = 37
"""Insights of Meta reach back at most 37 months (Marketing API, Insights, "Limits")."""

_LONGEST_TEXT = 2_000
"""A period stands in the first sentences; a pasted novel is not searched to its end."""


@dataclass(frozen=True)
class PeriodRequest:
    """What a person asked for. `said` and `compare_said` are their own words, empty when a default stands in."""

    window: Window
    compare: Window | None
    said: str
    compare_said: str = ""


# --- windows without words ---------------------------------------------------------------------


def today_in(time_zone: str, now: datetime) -> date:
    """The date it is now in that zone. `now` is aware. ArgumentsWrong("time_zone_unknown") for a name that is none."""
    if now.tzinfo is None:
        raise TypeError("now must be aware")
    try:
        return now.astimezone(ZoneInfo(time_zone)).date()
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ArgumentsWrong("time_zone_unknown", f"{time_zone!r} is no time zone", time_zone=time_zone[:60]) from None


def last_days(count: int, time_zone: str, *, now: datetime, with_today: bool = False) -> Window:
    """The last `count` (≥ 1) days, up to yesterday, or up to today's so far when `with_today`."""
    if count < 1:
        raise impossible(str(count))
    today = today_in(time_zone, now)
    until = today if with_today else today - timedelta(days=1)
    return Window(minus_days(until, count - 1), until, time_zone, partial=with_today)


def default_window(time_zone: str, *, now: datetime) -> Window:
    """What is meant when no period is named: the last 7 days up to yesterday."""
    return last_days(7, time_zone, now=now)


def window_of(
    since: date, until: date, time_zone: str, *, now: datetime, months_back: int | None = META_MONTHS
) -> Window:
    """A window of two dates, checked: order, future, age. An end that has not come yet becomes today.

    ArgumentsWrong: period_impossible (end before start), period_future (it has not begun),
    period_too_old (begins more than `months_back` months ago; None for no limit, as for imported files).
    """
    today = today_in(time_zone, now)
    if until < since:
        raise impossible(f"{since.isoformat()} – {until.isoformat()}")
    if since > today:
        raise ArgumentsWrong("period_future", f"{since} has not come yet", day=since, today=today)
    if months_back is not None and since < (oldest := minus_months(today, months_back)):
        raise ArgumentsWrong(
            "period_too_old",
            f"{since} is more than {months_back} months ago",
            day=since,
            oldest=oldest,
            months=months_back,
        )
    return Window(since, min(until, today), time_zone, partial=until >= today)


def previous(window: Window) -> Window:
    """The same number of days immediately before; never partial."""
    until = window.since - timedelta(days=1)
    return Window(minus_days(until, window.days - 1), until, window.time_zone)


# --- what a sentence asks ------------------------------------------------------------------------

_WITH_TODAY = re.compile(
    r"[,(]?\s*\b(?:(?:incluindo|inclusive|contando(?: com)?|including|incluyendo|contando)(?: o dia de| el dia de)?"
    r"|ate|until|through|till|hasta)\s+(?:o dia de\s+)?(?:hoje|today|hoy)\b\)?"
)
_WITHOUT_TODAY = re.compile(
    r"\b(?:sem(?: contar| incluir)?|excluindo|excluding|without|sin(?: contar| incluir)?|excepto|exceto)"
    r"\s+(?:o dia de\s+)?(?:hoje|today|hoy)\b"
)
# Markers of a comparison; the period must follow at once, with nothing but articles between.
_COMPARED_WITH = re.compile(
    r"(?:\b(?:comparad[oa]s?|comparando|comparar|compara|compare|comparacao|comparacion|comparison|compared|comparing)"
    r"(?:\s+(?:isso|it|this|esto|eso))?(?:\s+(?:com|con|a|ao|aos|as|with|to|against))?"
    r"|\bem relacao|\bcom relacao|\brespecto|\bfrente|\bcontra|\bvs\b\.?|\bversus|\bx|\bdiante|\brelative to|\bagainst"
    r"|\b(?:do que|than)|\b(?:melhor|pior|maior|menor|mais|menos|mejor|peor|mayor|mas)(?:es)? que"
    r"|(?P<loose>\bque|\bcom|\bcon|\bwith|\bto))"
    rf"\s+(?:(?:com|con|to|with)\s+)?{ARTICLES}$"
)
_COMPARES = re.compile(
    r"\b(?:compar\w*|melhor|pior|maior|menor|mais|menos|better|worse|more|less|fewer|higher|lower|mejor|peor|mayor|mas"
    r"|cresc\w*|subi\w*|cai\w*|grew|grow\w*)\b"
)


def parse_period(
    text: str,
    *,
    now: datetime,
    time_zone: str,
    default: Window | None = None,
    months_back: int | None = META_MONTHS,
) -> PeriodRequest | None:
    """The period a sentence names, None when it names none.

    `now` is aware; what "today" is follows from `time_zone`, the account's IANA zone. `default` is the window that a
    lone comparison ("e comparado com o anterior?") refers to: the last answer's; without one, the last 7 days.
    `months_back` limits how old a period may be (Meta's 37 months; None for imported files).

    ArgumentsWrong: period_impossible (31/02, end before start), period_future, period_too_old, time_zone_unknown.
    """
    original = unicodedata.normalize("NFC", text[:_LONGEST_TEXT])  # some keyboards send letter and accent apart
    text = plain(original)
    today = today_in(time_zone, now)
    # "incluindo hoje" is no period of its own, it stretches one: out of the way, same length.
    with_today = bool(_WITH_TODAY.search(text))
    periods_text = _WITHOUT_TODAY.sub(_blank, _WITH_TODAY.sub(_blank, text) if with_today else text)
    found = find(periods_text, today)
    if with_today and not any(f.absolute and f.ends_yesterday for f in found):
        # Not "últimos 7 dias incluindo hoje" but "de 3/11 até hoje", or just today.
        periods_text = _WITHOUT_TODAY.sub(_blank, text)
        found, with_today = find(periods_text, today), False
    if not found:
        return None

    def build(period: tuple[date, date]) -> Window:
        return window_of(*period, time_zone, now=now, months_back=months_back)

    main, other = _roles(found, periods_text)
    unit: Unit = "days"
    if main is None and other is None:
        return None
    if main is None:
        assert other is not None
        window, unit = _implied(other, default, today, time_zone, now)
        said = ""
    else:
        # "e o mês anterior?" is the one before the last answer's; with no last answer it is the one before today
        since, until = (
            main.absolute()
            if main.absolute and not (main.relative and default)
            else _dates(main, default or default_window(time_zone, now=now), unit)
        )
        if main.ends_yesterday and with_today:
            since, until = since + timedelta(days=1), today
        window, unit, said = build((since, until)), main.unit, original[main.start : main.end].strip()
    if other is None:
        return PeriodRequest(window, None, said)
    compare = build(_dates(other, window, unit))
    return PeriodRequest(window, compare, said, original[other.start : other.end].strip())


def _blank(match: re.Match[str]) -> str:
    return " " * len(match.group())


def _roles(found: Sequence[Found], text: str) -> tuple[Found | None, Found | None]:
    """Which period is asked about, and which it is compared with."""
    main: Found | None = None
    other: Found | None = None
    for period in found:
        before = text[max(0, period.start - 80) : period.start]
        marker = _COMPARED_WITH.search(before)
        if marker and marker.group("loose") and not (main and (_COMPARES.search(text) or period.relative)):
            marker = None  # "o que ontem …", "com os últimos 7 dias": a plain word, not a comparison
        # "compare ontem com anteontem": the first period after the verb is the one asked about
        verb_only = marker and re.search(
            r"\b(?:compare|compara|comparar|comparando|comparing)\s+\S*\s*$", marker.group()
        )
        if marker and verb_only and not re.search(r"\b(?:com|con|with|to|a|ao|aos|against)\s", marker.group()):
            marker = None
        if other is None and (marker or (period.relative is not None and main is not None)):
            other = period
        elif main is None and (period.absolute is not None or period.lone):
            main = period
        elif main is not None and period.absolute and other is None:
            main = _joined(main, period, text) or (period if main.weak and not period.weak else main)
    return main, other


def _joined(first: Found, second: Found, text: str) -> Found | None:
    """ "ontem e anteontem", "outubro e novembro": neighbours joined by "and" are one window."""
    between = text[first.end : second.start]
    if not re.fullmatch(rf"\s*(?:,|e|and|y)\s+{ARTICLES}", between):
        return None
    if not first.absolute or not second.absolute:
        return None
    one, two = first.absolute(), second.absolute()
    early, late = sorted((one, two))
    if late[0] - early[1] != timedelta(days=1):
        return None
    return Found(first.start, second.end, "days", lambda: (early[0], late[1]))


def _implied(other: Found, default: Window | None, today: date, zone: str, now: datetime) -> tuple[Window, Unit]:
    """Only a comparison was named: the last answer's window, or the running unit ("vs semana passada" → this week)."""
    if default is not None:
        return default, "days"
    yesterday = today - timedelta(days=1)
    if other.relative is not None and other.unit == "day":  # "comparado com o dia anterior"
        return Window(yesterday, yesterday, zone), "day"
    if other.relative is not None and other.unit == "week":  # "compared with the previous week": 7 days and 7 days
        return default_window(zone, now=now), "days"
    running = {"day": today, "week": today - timedelta(days=today.weekday()), "month": today.replace(day=1)}
    running |= {
        "quarter": minus_months(today.replace(day=1), (today.month - 1) % 3),
        "year": today.replace(month=1, day=1),
    }
    start = running.get(other.unit)
    if start is not None and (other.absolute is None or other.absolute()[1] < start):
        return Window(start, today, zone, partial=True), other.unit
    return default_window(zone, now=now), "days"


def _dates(found: Found, window: Window, unit: Unit) -> tuple[date, date]:
    """The dates of a period beside `window`, which is of that unit."""
    if found.relative is not None:
        return found.relative(window, unit)
    assert found.absolute is not None
    return found.absolute()
