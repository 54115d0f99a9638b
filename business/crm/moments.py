"""When something is due, read from what people say: "amanhã às 15h", "next Tuesday at 3pm", "el 25/11".

Days lie ahead: "sexta" is the next Friday, never today; "25/11" the next 25 November. A day without a time is due at
9:00 of the reader's zone, which is shown to who said it. Periods behind us are business/ads/windows.py.
"""

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from core.errors import ArgumentsWrong
from core.words import squeezed

MORNING = (9, 0)

_DAYS = (
    ("segunda", "lunes", "monday"),
    ("terca", "martes", "tuesday"),
    ("quarta", "miercoles", "wednesday"),
    ("quinta", "jueves", "thursday"),
    ("sexta", "viernes", "friday"),
    ("sabado", "sabado", "saturday"),
    ("domingo", "domingo", "sunday"),
)
_MONTHS = (
    "janeiro enero january jan", "fevereiro febrero february fev feb", "marco marzo march mar",
    "abril april abr apr", "maio mayo may mai", "junho junio june jun", "julho julio july jul",
    "agosto august ago aug", "setembro septiembre september set sep", "outubro octubre october out oct",
    "novembro noviembre november nov", "dezembro diciembre december dez dic dec",
)  # fmt: skip
_MONTH = {word: number for number, words in enumerate(_MONTHS, 1) for word in words.split()}
_WEEKDAY = {word: number for number, words in enumerate(_DAYS) for word in words}
_NUMBERS = {
    **dict.fromkeys(("um", "uma", "un", "una", "one", "a", "an"), 1),
    **dict.fromkeys(("dois", "duas", "dos", "two"), 2),
    **dict.fromkeys(("tres", "three"), 3), **dict.fromkeys(("quatro", "cuatro", "four"), 4),
    **dict.fromkeys(("cinco", "five"), 5),
}  # fmt: skip
_UNITS = {
    "minuto": "minutes", "minute": "minutes", "min": "minutes", "hora": "hours", "hour": "hours", "dia": "days",
    "day": "days", "semana": "weeks", "week": "weeks",
}  # fmt: skip

_ISO = re.compile(r"\b(\d{4})-(\d{2})-(\d{2})(?:[t ](\d{2}):(\d{2}))?(?::\d{2})?(z|[+-]\d{2}:?\d{2})?")
_IN = re.compile(
    rf"\b(?:em|daqui a|dentro de|in|en|within)\s+(\d{{1,3}}|{'|'.join(_NUMBERS)})\s+"
    r"(minutos?|minutes?|min|horas?|hours?|dias?|days?|semanas?|weeks?)\b"
)
_SLASHED = re.compile(r"\b(\d{1,2})/(\d{1,2})(?:/(\d{4}|\d{2}))?\b")
_NAMED = re.compile(
    rf"\b(?:(?:dia|el|on|no dia|the)\s+)?(\d{{1,2}})(?:st|nd|rd|th|o)?\s+(?:de |of )?({'|'.join(_MONTH)})\b"
    r"(?:\s+(?:de |del )?(\d{4}))?"
)
_NAMED_EN = re.compile(rf"\b({'|'.join(_MONTH)})\s+(\d{{1,2}})(?:st|nd|rd|th)?\b(?:,?\s+(\d{{4}}))?")
_DAY_OF_MONTH = re.compile(r"\b(?:no |el |on the )?(?:dia |the )(\d{1,2})(?:st|nd|rd|th)?\b(?!\s*[/:h])")
_WORDS: list[tuple[str, int]] = [
    (r"depois de amanha|day after tomorrow|pasado manana", 2),
    (r"amanha|tomorrow|(?<!la )(?<!esta )(?<!de la )manana", 1),
    (r"hoje|today|hoy|esta (?:tarde|noite|noche)|tonight|this (?:afternoon|evening)", 0),
]
_NEXT_WEEK = re.compile(r"\b(?:semana que vem|proxima semana|next week|(?:la )?(?:proxima semana|semana que viene))\b")
_DAY_NAME = re.compile(
    rf"\b({'|'.join(sorted(_WEEKDAY, key=len, reverse=True))})(?:-feira| feira)?\b(?!\s+(?:vez|da lista))"
)
_CLOCK = re.compile(
    r"\b(?:(?:as?|at|a las?|ate as|by)\s+)?(\d{1,2})(?:(?::|h)(\d{2})\b|\s*(?:h|hs|hrs|horas?|o ?clock)\b)\s*(am|pm)?"
    r"|\b(\d{1,2})\s*(am|pm)\b"
    r"|\b(?:as|at|a las|a la)\s+(\d{1,2})\b(?!\s*[/%])"
)
_PARTS = [
    (r"meio[- ]dia|noon|mediodia", (12, 0)),
    (r"de manha|pela manha|cedo|in the morning|por la manana|de la manana|tomorrow morning", MORNING),
    (r"(?:a|de|da|esta|por la) tarde|afternoon", (14, 0)),
    (r"(?:a|de|da|esta|por la) (?:noite|noche)|tonight|evening", (19, 0)),
]


@dataclass(frozen=True)
class Due:
    """`said` are the words that told it, as they stand in the squeezed text; `timed` whether an hour was said."""

    at: datetime
    timed: bool
    said: tuple[str, ...]


def find_due(text: str, *, now: datetime, time_zone: str) -> Due | None:
    """The moment that `text` names, aware, in UTC's order; None when it names no day and no hour.

    ArgumentsWrong: crm_due_impossible (said), crm_due_past (said) for one that is over.
    """
    if now.tzinfo is None:
        raise TypeError("now must be aware")
    words = squeezed(text[:2_000])
    zone = ZoneInfo(time_zone)
    local = now.astimezone(zone)
    said: list[str] = []
    if found := _IN.search(words):
        count = _NUMBERS.get(found[1]) or int(found[1])
        unit = next(unit for stem, unit in _UNITS.items() if found[2].startswith(stem))
        ahead = timedelta(**{unit: count})
        if unit in ("minutes", "hours"):
            return Due((local + ahead).astimezone(now.tzinfo), True, (found[0],))
        day: date | None = local.date() + ahead
        said.append(found[0])
    else:
        day = _day(words, local.date(), said)
    rest = words
    for one in said:
        rest = rest.replace(one, " , ")
    clock = _clock(rest, said)
    if day is None and clock is None:
        return None
    if day is None:  # "às 15h": today, or tomorrow when that is over
        day = local.date()
        assert clock is not None
        if datetime.combine(day, clock, zone) <= local:
            day += timedelta(days=1)
    at = datetime.combine(day, clock or time(*MORNING), zone)
    if at <= local:
        if clock is None and day == local.date():
            at = datetime.combine(day, time(23, 59), zone)  # "hoje", said after nine
        else:
            raise ArgumentsWrong("crm_due_past", f"{' '.join(said)!r} is over", said=" ".join(said)[:80])
    return Due(at.astimezone(now.tzinfo), clock is not None, tuple(said))


def _day(words: str, today: date, said: list[str]) -> date | None:
    if found := _ISO.search(words):
        said.append(found[0].split("t")[0].split(" ")[0])
        return _date(int(found[1]), int(found[2]), int(found[3]), found[0])
    if found := _SLASHED.search(words):
        said.append(found[0])
        year = found[3] and int(found[3]) + (2000 if len(found[3]) == 2 else 0)
        return _next_of(int(found[1]), int(found[2]), year or None, today, found[0])
    for pattern, day, month in ((_NAMED, 1, 2), (_NAMED_EN, 2, 1)):
        if found := pattern.search(words):
            said.append(found[0])
            return _next_of(int(found[day]), _MONTH[found[month]], int(found[3]) if found[3] else None, today, found[0])
    for told, ahead in _WORDS:
        if found := re.search(rf"\b(?:{told})\b", words):
            said.append(found[0])
            return today + timedelta(days=ahead)
    if found := _DAY_NAME.search(words):
        said.append(found[0])
        ahead = (_WEEKDAY[found[1]] - today.weekday()) % 7 or 7
        if week := _NEXT_WEEK.search(words):
            said.append(week[0])
            ahead = 7 - today.weekday() + _WEEKDAY[found[1]]
        return today + timedelta(days=ahead)
    if found := _NEXT_WEEK.search(words):
        said.append(found[0])
        return today + timedelta(days=7 - today.weekday())
    if found := _DAY_OF_MONTH.search(words):
        said.append(found[0])
        day_number = int(found[1])
        month, year = (today.month, today.year) if day_number > today.day else (today.month % 12 + 1, today.year)
        if month == 1 and today.month == 12 and day_number <= today.day:
            year += 1
        return _date(year, month, day_number, found[0])
    return None


def _next_of(day: int, month: int, year: int | None, today: date, said: str) -> date:
    found = _date(year or today.year, month, day, said)
    if year is None and found < today:
        found = _date(today.year + 1, month, day, said)
    return found


def _date(year: int, month: int, day: int, said: str) -> date:
    try:
        return date(year, month, day)
    except ValueError:
        raise ArgumentsWrong("crm_due_impossible", f"{said!r} is no day", said=said[:80]) from None


def _clock(words: str, said: list[str]) -> time | None:
    found = _CLOCK.search(words)
    if found is None:
        for told, clock in _PARTS:
            if part := re.search(rf"\b(?:{told})\b", words):
                said.append(part[0])
                return time(*clock)
        return None
    hour = int(found[1] or found[4] or found[6])
    minute = int(found[2] or 0)
    half = found[3] or found[5]
    if half == "pm" and hour < 12:
        hour += 12
    elif half == "am" and hour == 12:
        hour = 0
    elif (
        not half
        and hour < 12
        and re.search(r"\b(?:da|de la) (?:tarde|noite|noche)\b|in the (?:afternoon|evening)", words)
    ):
        hour += 12
    if hour > 23 or minute > 59:
        raise ArgumentsWrong("crm_due_impossible", f"{found[0]!r} is no hour", said=found[0].strip()[:80])
    said.append(found[0].strip())
    return time(hour, minute)
