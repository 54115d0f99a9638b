"""Finding the periods that a sentence names, in Portuguese, English or Spanish.

Patterns find candidates, the longest from the left stays, and each knows its dates only when it is asked: a date that
cannot be (31/02) is told when it is used, not when it is merely seen. The rules of meaning stand in windows.py.

All patterns run on `plain` text: small letters without accents, of the same length as the original.
"""

import calendar
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import lru_cache, partial
from typing import Literal

from business.ads.model import Window
from core.errors import ArgumentsWrong

Unit = Literal["day", "days", "weekend", "week", "month", "quarter", "half", "year"]


@dataclass(frozen=True)
class Found:
    """A period found in the text. `absolute` gives (since, until), unclipped; `relative` needs the other window."""

    start: int
    end: int
    unit: Unit
    absolute: Callable[[], tuple[date, date]] | None = None
    relative: Callable[[Window, Unit], tuple[date, date]] | None = None
    ends_yesterday: bool = False  # "incluindo hoje" may move it
    weak: bool = (
        False  # "Novembro", "sábado" with no preposition may be part of a name: counts if nothing else is there
    )
    lone: bool = True  # may stand alone; "a anterior" may not, it may be a campaign


# --- words -------------------------------------------------------------------------------------

# All patterns run on a text without accents, in small letters, of the same length as the original.
_MONTHS: dict[str, int] = {}
for _number, _names in enumerate(
    (
        "janeiro january enero jan ene",
        "fevereiro february febrero fev feb",
        "marco march marzo mar",
        "abril april abr apr",
        "maio may mayo mai",
        "junho june junio jun",
        "julho july julio jul",
        "agosto august ago aug",
        "setembro september septiembre setiembre sept set sep",
        "outubro october octubre out oct",
        "novembro november noviembre nov",
        "dezembro december diciembre dez dec dic",
    ),
    start=1,
):
    _MONTHS |= dict.fromkeys(_names.split(), _number)
_LONG_MONTHS = [name for name in _MONTHS if len(name) > 4 or name in ("maio", "mayo", "june", "july")]

_WEEKDAYS: dict[str, int] = {}
for _number, _names in enumerate(
    (
        "segunda-feira segunda monday lunes",
        "terca-feira terca tuesday martes",
        "quarta-feira quarta wednesday miercoles",
        "quinta-feira quinta thursday jueves",
        "sexta-feira sexta friday viernes",
        "sabado saturday",
        "domingo sunday",
    )
):
    _WEEKDAYS |= dict.fromkeys(_names.split(), _number)

_NUMBERS = {
    word: number
    for number, words in (
        (1, "um uma one uno una"),
        (2, "dois duas two dos"),
        (3, "tres three"),
        (4, "quatro four cuatro"),
        (5, "cinco five"),
        (6, "seis six"),
        (7, "sete seven siete"),
        (8, "oito eight ocho"),
        (9, "nove nine nueve"),
        (10, "dez ten diez"),
        (12, "doze twelve doce"),
        (14, "catorze quatorze fourteen"),
        (15, "quinze fifteen quince"),
        (20, "vinte twenty veinte"),
        (30, "trinta thirty treinta"),
        (60, "sessenta sixty sesenta"),
        (90, "noventa ninety"),
    )
    for word in words.split()
}


def _any(words: list[str] | dict[str, int]) -> str:
    return "(?:" + "|".join(sorted((re.escape(w) for w in words), key=len, reverse=True)) + ")"


_MONTH, _LONG, _WEEKDAY = _any(_MONTHS), _any(_LONG_MONTHS), _any(_WEEKDAYS)
_EN_MONTH = (
    r"(?:january|february|march|april|may|june|july|august|september|october|november|december"
    r"|jan|feb|mar|apr|jun|jul|aug|sept|sep|oct|nov|dec)"
)
_COUNT = r"(?:\d{1,12}|" + _any(_NUMBERS) + ")"
_YEAR = r"\d{4}"
_TODAY = r"(?:hoje|today|hoy)"
_YESTERDAY = r"(?:ontem|yesterday|ayer)"
_BEFORE_YESTERDAY = (
    r"(?:anteontem|antes de ontem|the day before yesterday|day before yesterday|anteayer|antier|antes de ayer)"
)
ARTICLES = (
    r"(?:(?:o|os|a|as|ao|aos|na|nas|no|nos|da|das|do|dos|de|del|al|la|las|el|los|lo|em|en|in|the|of|on|dia)\s+){0,4}"
)
_ORD = r"(?:st|nd|rd|th|º|°|o\b)?"


def _day_reference(s: str) -> str:
    """A pattern for one end of a range; `s` tells the group names of the two ends apart."""
    return (
        rf"(?:(?P<iso{s}>\d{{4}}-\d{{1,2}}-\d{{1,2}})(?!\d)"
        rf"|(?P<d{s}>\d{{1,2}})/(?P<m{s}>\d{{1,2}})(?:/(?P<y{s}>\d{{4}}|\d{{2}}))?(?![\d/])"
        rf"|(?P<dd{s}>\d{{1,2}})[.-](?P<dm{s}>\d{{1,2}})[.-](?P<dy{s}>\d{{4}})(?!\d)"
        rf"|(?P<nd{s}>\d{{1,2}}|primeiro|primero){_ORD}\s*(?:de\s+|of\s+|/|-)?(?P<nm{s}>{_MONTH})\b\.?"
        rf"(?:(?:\s+de|\s+del|\s+do|,|/)?\s*(?P<ny{s}>{_YEAR}))?"
        rf"|(?P<em{s}>{_EN_MONTH})\b\.?\s+(?P<ed{s}>\d{{1,2}}){_ORD}(?!\d)(?:,?\s+(?P<ey{s}>{_YEAR})\b)?"
        rf"|(?P<today{s}>{_TODAY})\b|(?P<before{s}>{_BEFORE_YESTERDAY})\b|(?P<yesterday{s}>{_YESTERDAY})\b"
        rf"|(?P<wd{s}>{_WEEKDAY})\b"
        rf"|(?P<bare{s}>\d{{1,2}}|primeiro|primero){_ORD}(?!\d|[/.,]\d|%)\b)"
    )


_NOT_DAYS = (  # "de 3 a 9 campanhas": what follows says that the numbers count something else
    r"(?!\s*(?:%|reais|real|r\$|\$|mil|por cento|percent|dias?\b|days?\b|semanas?|weeks?|mes(?:es)?\b|months?"
    r"|anos?\b|years?|horas?|hours?|minut|campanh|campaign|campan|anuncio|ads?\b|conjunt|leads?\b|result|vezes|veces|times"
    r"|contas?\b|accounts?|cuentas?|usd|brl|euros?|dolar|dollar|x\b|cliques?|clicks?|pessoas|people|pontos))"
)
_SEPARATOR = (
    r"(?:\s*(?P<dash>-|–|—|→|\.\.+)\s*|\s+(?P<sep>a|à|ao|ate|to|until|till|til|through|thru|al|hasta|e|and|y)\s+)"
)
_LEAD = r"(?:(?P<lead>de|do|dos|da|desde|entre|from|between|since|del|dias|days|dia|das|a partir de)\s+)?"
_RANGE = re.compile(
    rf"(?<![\w/.,$-]){_LEAD}{ARTICLES}(?:dias?\s+|days?\s+)?{_day_reference('1')}{_SEPARATOR}{ARTICLES}(?:dia\s+)?"
    rf"{_day_reference('2')}{_NOT_DAYS}"
    rf"(?:\s+(?:(?P<this>(?:d?este|d?esse|de este|of this|do|del) (?:mes|month))(?!\s+(?:passado|pasado|anterior))"
    rf"|(?P<last>(?:do|of|del)(?: the)? (?:mes (?:passado|pasado|anterior)|last month|previous month)))\b)?"
)
_ISO_SLASH = re.compile(r"(?<![\w/-])(?P<a>\d{4}-\d{2}-\d{2})/(?P<b>\d{4}-\d{2}-\d{2})(?![\w/-])")
_ONE_DAY = re.compile(rf"(?<![\w/.,$-])(?P<dia>dia\s+|on the\s+(?=\d+(?:st|nd|rd|th)))?{_day_reference('1')}")
_MONTH_RANGE = re.compile(
    rf"\b(?:(?P<lead>de|entre|from|between|desde|since)\s+)(?P<a>{_LONG})(?:\s+(?:de\s+|del\s+)?(?P<ya>{_YEAR}))?"
    rf"\s+(?:a|ate|to|until|through|hasta|e|and|y)\s+(?P<b>{_LONG})(?:\s+(?:de\s+|del\s+)?(?P<yb>{_YEAR}))?\b"
)
_SINCE = re.compile(rf"(?:\bdesde|\ba partir(?: de| do| da)?|\bsince)\s+{ARTICLES}$")
_FREQUENT = re.compile(r"\b(?:todo|toda|cada|every|each|todos os|proxim[oa]|next)\s+(?:o\s+|a\s+|dia\s+)?$")

# Periods that only make sense beside another one: "os 7 anteriores", "o mês anterior", "the week before".
_BEFORE = r"(?:anteriore?s?|antes|previas?|previos?|previous|prior|before that|before|precedentes?)"
_RELATIVE = re.compile(
    rf"\b(?:(?:the\s+)?(?!one\s+before)(?P<n>{_COUNT})\s+(?P<nunit>dias?|days?|semanas?|weeks?|meses|mes|months?)?\s*{_BEFORE}"
    rf"|(?:previous|prior|preceding)\s+(?P<n2>{_COUNT})(?:\s+(?P<nunit2>days?|weeks?|months?))?"
    rf"|(?P<same>(?:mesm[oa]s?|same|mism[oa]s?)\s+(?:periodo|period|dias|days|semana|week|mes|month|epoca|intervalo))"
    rf"\s+(?:(?:do|da|del|de la|of|in|no|na|en|de|the)\s+)*"
    rf"(?:(?P<sunit>ano|mes|semana)\s+(?:passad[oa]|pasad[oa]|anterior)|last\s+(?P<sunit2>year|month|week)"
    rf"|(?:previous|prior)\s+(?P<sunit3>year|month|week))"
    rf"|(?P<unit>semana|mes|dia|periodo|week|month|day|period|trimestre|quarter|ano|year|fi[mn] de semana|weekend)"
    rf"\s+{_BEFORE}"
    rf"|(?:previous|prior|preceding)\s+(?P<unit2>week|month|day|period|quarter|year|weekend|one)"
    rf"|(?:o|a|os|as|el|la|los|las|ao|aos|the)\s+"
    rf"(?P<bare>anteriore?s?|passad[oa]s?|pasad[oa]s?|previous one|last one|one before))\b"
)
_UNITS: dict[str, Unit] = dict.fromkeys(("fim de semana", "fin de semana", "weekend"), "weekend")
_UNITS |= {"dia": "day", "day": "day", "semana": "week", "week": "week", "mes": "month", "month": "month"}
_UNITS |= {"trimestre": "quarter", "quarter": "quarter", "ano": "year", "year": "year"}


# --- finding -----------------------------------------------------------------------------------


def plain(text: str) -> str:
    """Small letters without accents, one character for each, so that places in both texts are the same."""
    plain = []
    for character in text:
        base = unicodedata.normalize("NFD", character)[0].lower()
        plain.append(base if len(base) == 1 and not base.isspace() else " " if base.isspace() else character)
    return "".join(plain)


@lru_cache(maxsize=32)  # a message is read a dozen times in its turn
def find(text: str, today: date) -> tuple[Found, ...]:
    """All periods of a plain text, left to right; where two overlap the longer, then the earlier one stays."""
    kept: list[Found] = []
    for found in sorted(_candidates(text, today), key=lambda f: (f.start - f.end, f.start)):
        rival = next((k for k in kept if found.start < k.end and k.start < found.end), None)
        if rival is None:
            kept.append(found)
        elif (rival.start, rival.end) == (found.start, found.end) and rival.relative and not rival.absolute:
            # "mês anterior" is the calendar's and also the one before another period
            kept[kept.index(rival)] = replace(rival, absolute=found.absolute)
    kept.sort(key=lambda f: f.start)
    return tuple(_since_then(found, text, today) for found in kept)


def _since_then(found: Found, text: str, today: date) -> Found:
    """ "desde segunda", "desde outubro": from the start of that period until today."""
    absolute, lead = found.absolute, _SINCE.search(text[max(0, found.start - 40) : found.start])
    if absolute is None or lead is None or found.end - found.start > 40:
        return found
    return Found(found.start - len(lead.group()), found.end, "days", lambda: (absolute()[0], max(today, absolute()[0])))


def _candidates(text: str, today: date) -> Iterator[Found]:
    for match in _RANGE.finditer(text):
        if _is_range(match, text):
            yield Found(*match.span(), "days", partial(_range, match, today))
    for match in _ISO_SLASH.finditer(text):
        yield Found(*match.span(), "days", partial(_iso_range, match))
    for match in _MONTH_RANGE.finditer(text):
        yield Found(*match.span(), "days", partial(_month_range, match, today))
    for match in _ONE_DAY.finditer(text):
        if _is_one_day(match, text):
            weak = _is_weak(match, text)
            yield Found(*match.span(), "day", partial(_one_day, match, today), weak=weak)
    for match in _RELATIVE.finditer(text):
        yield _relative(match, today)
    for pattern, unit, build in _CALENDAR:
        for match in pattern.finditer(text):
            if build is _whole_year and not _may_be_year(match, text, today):
                continue
            yield Found(
                *match.span(),
                unit,
                partial(build, match, today),
                ends_yesterday=build in (_last_n, _last_unit),
                weak=build is _named_month and not match["year"] and not _IN_MONTH.search(text[: match.start()][-12:]),
            )


_IN_MONTH = re.compile(r"\b(?:em|in|en|durante|during|desde|since|mes de|month of|todo)\s+$")


def _may_be_year(match: re.Match[str], text: str, today: date) -> bool:
    """ "em 2025" is a year; "aumenta em 2000" is money."""
    explicit = match.group().startswith(("ano", "year"))
    return explicit or (
        2004 <= int(match["year"]) <= today.year + 1 and not _RAISES.search(text[: match.start()][-60:])
    )


def _twice(day: date) -> tuple[date, date]:
    return day, day


# --- arithmetic of days --------------------------------------------------------------------------


def impossible(said: str) -> ArgumentsWrong:
    return ArgumentsWrong("period_impossible", f"{said!r} is no period", said=said[:80])


def minus_days(day: date, count: int) -> date:
    # An absurd count ("últimos 99999999 dias") lands on the first day there is, and is then told too old.
    return date.fromordinal(max(1, day.toordinal() - count))


def minus_months(day: date, count: int) -> date:
    month = day.year * 12 + day.month - 1 - count
    if month < 12:
        return date.min
    year, index = divmod(month, 12)
    return date(year, index + 1, min(day.day, calendar.monthrange(year, index + 1)[1]))


def _last_of_month(first: date) -> date:
    return first.replace(day=calendar.monthrange(first.year, first.month)[1])


# --- dates -------------------------------------------------------------------------------------


def _date(year: int, month: int, day: int, said: str) -> date:
    try:
        return date(year, month, day)
    except ValueError:
        raise impossible(said.strip()) from None


def _iso(text: str) -> date:
    year, month, day = (int(part) for part in text.split("-"))
    return _date(year, month, day, text)


def _iso_range(match: re.Match[str]) -> tuple[date, date]:
    return _iso(match["a"]), _iso(match["b"])


@dataclass(frozen=True)
class _Day:
    """One end of a range as far as it was said."""

    day: int | None = None
    month: int | None = None
    year: int | None = None
    exact: date | None = None
    weekday: int | None = None


def _day(match: re.Match[str], s: str, today: date) -> _Day:
    groups = match.groupdict()
    if iso := groups[f"iso{s}"]:
        return _Day(exact=_iso(iso))
    for day, month, year in ((f"d{s}", f"m{s}", f"y{s}"), (f"dd{s}", f"dm{s}", f"dy{s}")):
        if groups[day]:
            first, second = int(groups[day]), int(groups[month])
            if second > 12 >= first:  # 11/23 can only be the American way
                first, second = second, first
            if not first or not second:
                raise impossible(match.group())
            return _Day(first, second, _full_year(groups[year]))
    if groups[f"nd{s}"]:
        return _Day(_cardinal(groups[f"nd{s}"]), _MONTHS[groups[f"nm{s}"]], _full_year(groups[f"ny{s}"]))
    if groups[f"ed{s}"]:
        return _Day(int(groups[f"ed{s}"]), _MONTHS[groups[f"em{s}"]], _full_year(groups[f"ey{s}"]))
    for name, back in (("today", 0), ("yesterday", 1), ("before", 2)):
        if groups[f"{name}{s}"]:
            return _Day(exact=today - timedelta(days=back))
    if weekday := groups[f"wd{s}"]:
        return _Day(weekday=_WEEKDAYS[weekday])
    return _Day(_cardinal(groups[f"bare{s}"]))


def _cardinal(text: str) -> int:
    return 1 if text.startswith("prim") else int(text)


def _full_year(text: str | None) -> int | None:
    if text is None:
        return None
    return 2000 + int(text) if len(text) == 2 else int(text)


def _is_range(match: re.Match[str], text: str) -> bool:
    groups = match.groupdict()
    lead, bare = groups["lead"], bool(groups["bare1"]) + bool(groups["bare2"])
    weekdays = bool(groups["wd1"]) + bool(groups["wd2"])
    if groups["sep"] in ("e", "and", "y") and lead not in ("entre", "between"):
        return False  # "ontem e hoje" are two days, joined elsewhere
    if bare == 2:  # two plain numbers: only where the sentence says that they are days
        if {"dia", "dias", "days"} & set(match.group().split()) or groups["this"] or groups["last"]:
            return True
        numbers_are_days = all(1 <= _cardinal(groups[f"bare{s}"]) <= 31 for s in "12")
        return bool(lead and groups["sep"]) and numbers_are_days and not _RAISES.search(text[: match.start()][-60:])
    if groups["bare1"]:  # "3 a 9 de outubro", "3-9 out"
        return bool(groups["nd2"] or groups["d2"] or lead)
    if groups["bare2"]:  # "october 3 to 9", "3/11 a 9"
        return bool(groups["ed1"] or groups["nd1"] or groups["d1"])
    if weekdays == 1:
        return bool(lead) and bool(groups["sep"])
    return True


def _range(match: re.Match[str], today: date) -> tuple[date, date]:
    said = match.group()
    one, two = _day(match, "1", today), _day(match, "2", today)
    if match["this"] or match["last"]:
        first = today.replace(day=1) if match["this"] else minus_months(today.replace(day=1), 1)
        one, two = (_Day(d.day, d.month or first.month, d.year or first.year, d.exact, d.weekday) for d in (one, two))
    if one.weekday is not None or two.weekday is not None:
        until = _latest_weekday(two.weekday, today) if two.weekday is not None else _alone(two, today, said)
        since = _latest_weekday(one.weekday, until) if one.weekday is not None else _alone(one, today, said)
        return since, until
    if one.exact or two.exact:
        until = two.exact or _alone(two, today, said)
        since = one.exact or _alone(one, until, said)
        return since, until
    assert one.day is not None and two.day is not None
    if one.month is None and two.month is None:
        return _days_of_month(one.day, two.day, today, said)
    month_two = two.month or one.month
    month_one = one.month or two.month
    assert month_one is not None and month_two is not None
    year_two = two.year or one.year
    if year_two is None:  # the latest such range that has begun
        year_two = today.year
        begins = (month_one, one.day) if month_one <= month_two else (1, 1)
        if begins > (today.month, today.day):
            year_two -= 1
    # "de 28/12 a 3/1" begins in the year before; so it does when the second year alone was said
    year_one = one.year or (year_two - 1 if month_one > month_two else year_two)
    if two.year is None and one.year is not None and month_one > month_two:
        year_two = one.year + 1
    return _date(year_one, month_one, one.day, said), _date(year_two, month_two, two.day, said)


def _days_of_month(first: int, last: int, today: date, said: str) -> tuple[date, date]:
    """ "de 3 a 9": of this month or, when its end has not come, of the last one where both days exist."""
    if not (1 <= first <= 31 and 1 <= last <= 31):
        raise impossible(said.strip())
    month = today.replace(day=1)
    for _ in range(3):
        start = month if first <= last else minus_months(month, 1)
        try:
            since, until = start.replace(day=first), month.replace(day=last)
        except ValueError:
            pass
        else:
            if until <= today:
                # "de 28 a 3" crosses the turn of a month; "de 9 a 3" is a slip
                if (until - since).days > 15 and first > last:
                    raise impossible(said.strip())
                return since, until
        month = minus_months(month, 1)
    raise impossible(said.strip())


def _alone(said_day: _Day, latest: date, said: str) -> date:
    """A day that stands alone, or whose other end is known: the latest such day not after `latest`."""
    if said_day.exact is not None:
        return said_day.exact
    if said_day.weekday is not None:
        return _latest_weekday(said_day.weekday, latest)
    assert said_day.day is not None
    if said_day.month is None:
        month = latest.replace(day=1)
        for _ in range(3):  # no two months in a row lack a 31st, a 30th or a 29th
            if 1 <= said_day.day <= _last_of_month(month).day and month.replace(day=said_day.day) <= latest:
                return month.replace(day=said_day.day)
            month = minus_months(month, 1)
        raise impossible(said.strip())
    if said_day.year is not None:
        return _date(said_day.year, said_day.month, said_day.day, said)
    if said_day.month == 2 and said_day.day == 29:
        year = next(
            (y for y in range(latest.year, latest.year - 9, -1) if calendar.isleap(y) and date(y, 2, 29) <= latest), 0
        )
        return _date(year or latest.year, 2, 29, said)
    this_year = _date(latest.year, said_day.month, said_day.day, said)
    return this_year if this_year <= latest else _date(latest.year - 1, said_day.month, said_day.day, said)


def _latest_weekday(weekday: int, latest: date) -> date:
    return latest - timedelta(days=(latest.weekday() - weekday) % 7)


_RAISES = re.compile(  # "aumenta o orçamento de 20 a 30" is about money
    r"\b(?:aument\w*|diminu\w*|reduz\w*|reduc\w*|reduce\w*|baix[ae]\w*|sub[aei]\w*|mud[ae]\w*|troc\w*|raise\w*|increase\w*|lower\w*"
    r"|change\w*|cambi\w*)\b[^.?!]*$"
)

# "na segunda" is a day, "e a segunda?" and "na segunda campanha" are not: after it, only words like these may come.
_ON_WEEKDAY = re.compile(
    r"(?:\b(?:n[ao]|nest[ae]|ness[ae]|dest[ae]|dess[ae]|est[ae]|ess[ae]|on|last|this|el|ultim[ao]|desde(?: a| o| el)?"
    r"|since|a partir d[ae]|pel[ao])\s+)$"
)
_AFTER_WEEKDAY = re.compile(
    r"\s*(?:$|[^\w\s]|(?:passad[ao]|pasado|ultim[ao]|agora|e|ou|a|o|as|os|como|quanto|qual|quais|foi|foram|teve|com"
    r"|comparad[ao]|vs|versus|em|en|in|on|no|na|nos|nas|por|per|by|for|top|contra|ate|pra|para"
    r"|d[aeo]s? (?:campanha|conta|anuncio|conjunto|loja)s?)\b)"
)


def _is_one_day(match: re.Match[str], text: str) -> bool:
    groups, before, after = match.groupdict(), text[: match.start()], text[match.end() :]
    if _FREQUENT.search(before[-20:]):
        return False
    if groups["d1"] and not groups["y1"] and not groups["dia"]:
        return _may_be_date(groups["d1"], groups["m1"])
    if groups["bare1"]:
        return bool(groups["dia"]) and not re.match(r"\s+(?:campanh|anunci|conjunt|ads?\b|campaign)", after)
    if weekday := groups["wd1"]:
        ordinal = weekday in ("segunda", "terca", "quarta", "quinta", "sexta")
        if ordinal:
            return bool(_ON_WEEKDAY.search(before[-20:]) and _AFTER_WEEKDAY.match(after)) or bool(
                re.match(r"\s+(?:passada|ultima)\b", after)
            )
        return not re.search(r"\b(?:black|cyber|giving)\s+$", before[-10:])
    return True


def _may_be_date(first: str, second: str) -> bool:
    """31/02 is a wrong date; 50/50, 0/10 and 24/7 are none at all."""
    one, two = int(first), int(second)
    if (first, second) == ("24", "7") or not one or not two:
        return False
    return (one < 40 and two <= 12) or (one <= 12 and two <= 31)


def _is_weak(match: re.Match[str], text: str) -> bool:
    return bool(match["wd1"]) and not _ON_WEEKDAY.search(text[max(0, match.start() - 20) : match.start()])


def _one_day(match: re.Match[str], today: date) -> tuple[date, date]:
    said = _day(match, "1", today)
    if said.weekday is not None:  # named by its weekday, today is never meant: people say "hoje"
        return _twice(_latest_weekday(said.weekday, today - timedelta(days=1)))
    return _twice(_alone(said, today, match.group()))


def _latest_month(month: int, year: str | None, today: date) -> date:
    if year is not None:
        return _date(int(year), month, 1, f"{month}/{year}")
    return date(today.year if month <= today.month else today.year - 1, month, 1)


def _month_range(match: re.Match[str], today: date) -> tuple[date, date]:
    until = _latest_month(_MONTHS[match["b"]], match["yb"], today)
    month = _MONTHS[match["a"]]
    since = date(int(match["ya"]) if match["ya"] else until.year - (month > until.month), month, 1)
    return since, _last_of_month(until)


# --- calendar words ----------------------------------------------------------------------------


def _count(text: str) -> int:
    return _NUMBERS.get(text) or int(text)


def _back(count: int, unit: str, until: date) -> date:
    """The first day of the last `count` units that end on `until`."""
    if unit.startswith(("mes", "month")):
        return minus_months(until, min(count, 100_000)) + timedelta(days=1)
    per = {"d": 1, "s": 7, "w": 7, "q": 15, "f": 14, "a": 365, "y": 365}[unit[0]]
    return minus_days(until, count * per - 1)


def _last_n(match: re.Match[str], today: date) -> tuple[date, date]:
    groups = match.groupdict()
    count, unit = next((groups[f"n{i}"], groups[f"u{i}"]) for i in "123" if groups[f"n{i}"])
    if _count(count) < 1:
        raise impossible(match.group().strip())
    until = today - timedelta(days=1)
    return _back(_count(count), unit, until), until


def _last_unit(match: re.Match[str], today: date) -> tuple[date, date]:
    until = today - timedelta(days=1)
    unit = match["unit"] or match["unit2"]
    if unit in ("mes", "month"):  # "no último mês": the last 30 days, not the calendar month
        return minus_days(until, 29), until
    return _back(1, unit, until), until


def _ago(match: re.Match[str], today: date) -> tuple[date, date]:
    count = _count(match["n"] or match["n2"])
    return _twice(minus_days(today, count))


def _week(match: re.Match[str], today: date) -> tuple[date, date]:
    monday = today - timedelta(days=today.weekday())
    return monday, today


def _weeks_before(count: int) -> Callable[[re.Match[str], date], tuple[date, date]]:
    def build(match: re.Match[str], today: date) -> tuple[date, date]:
        monday = today - timedelta(days=today.weekday() + 7 * count)
        return monday, monday + timedelta(days=6)

    return build


def _weekend(match: re.Match[str], today: date) -> tuple[date, date]:
    """The running weekend on a Saturday or Sunday, else the last one; "passado" never means the running one."""
    past = bool(re.search(r"passado|pasado|last|ultimo", match.group()))
    saturday = _latest_weekday(5, today)
    if past and today.weekday() >= 5:
        saturday -= timedelta(days=7)
    return saturday, saturday + timedelta(days=1)


def _this_month(match: re.Match[str], today: date) -> tuple[date, date]:
    return today.replace(day=1), today


def _months_before(count: int) -> Callable[[re.Match[str], date], tuple[date, date]]:
    def build(match: re.Match[str], today: date) -> tuple[date, date]:
        first = minus_months(today.replace(day=1), count)
        return first, _last_of_month(first)

    return build


def _named_month(match: re.Match[str], today: date) -> tuple[date, date]:
    first = _latest_month(_MONTHS[match["month"]], match["year"], today)
    return first, _last_of_month(first)


def _short_month(match: re.Match[str], today: date) -> tuple[date, date]:
    year = _full_year(match["year"])
    first = _date(year or today.year, _MONTHS[match["month"]], 1, match.group())
    return first, _last_of_month(first)


def _numbered_month(match: re.Match[str], today: date) -> tuple[date, date]:
    first = date(int(match["year"]), int(match["number"]), 1)
    return first, _last_of_month(first)


def _last_hours(match: re.Match[str], today: date) -> tuple[date, date]:
    """Figures come by the day: the last 24 hours are today and yesterday, which the answer names."""
    return today - timedelta(days=int(match["n"]) // 24), today


def _block(months: int, back: int) -> Callable[[re.Match[str], date], tuple[date, date]]:
    """The running quarter (3), half (6) or year (12) of months, or the one `back` before it."""

    def build(match: re.Match[str], today: date) -> tuple[date, date]:
        running = date(today.year, (today.month - 1) // months * months + 1, 1)
        first = minus_months(running, back * months)
        return first, today if back == 0 else _last_of_month(first.replace(month=first.month + months - 1))

    return build


_ORDINALS = {"primeiro": 1, "segundo": 2, "terceiro": 3, "quarto": 4, "first": 1, "second": 2, "third": 3, "fourth": 4}
_ORDINALS |= {"primer": 1, "tercer": 3, "cuarto": 4}


def _numbered(match: re.Match[str], today: date) -> tuple[date, date]:
    """ "terceiro trimestre", "Q3 2026", "primeiro semestre"; without a year, the latest one that has begun."""
    groups = match.groupdict()
    months = 6 if groups.get("half") or groups.get("half2") else 3
    word = groups.get("word") or groups["number"]
    index = _ORDINALS.get(word) or int(word)
    if not 1 <= index <= 12 // months:
        raise impossible(match.group().strip())
    month = (index - 1) * months + 1
    year = int(groups["year"]) if groups["year"] else today.year - (month > today.month)
    first = _date(year, month, 1, match.group())
    return first, _last_of_month(first.replace(month=month + months - 1))


def _whole_year(match: re.Match[str], today: date) -> tuple[date, date]:
    year = int(match["year"])
    first = _date(year, 1, 1, match.group())
    return first, date(year, 12, 31)


def _start_of(match: re.Match[str], today: date) -> tuple[date, date]:
    """ "início do mês": that month as a whole, for "desde" to begin with."""
    before = bool(match["last"])
    if match["unit"] in ("semana", "week"):
        return _weeks_before(1)(match, today) if before else _week(match, today)
    return _block(1 if match["unit"] in ("mes", "month") else 12, int(before))(match, today)


def _next(match: re.Match[str], today: date) -> tuple[date, date]:
    """What has not come yet is understood too, so that it can be told."""
    unit = match["unit"] or match["unit2"] or match["unit3"]
    if unit is None:
        return _twice(today + timedelta(days=1))
    if unit in ("semana", "week"):
        monday = today + timedelta(days=7 - today.weekday())
        return monday, monday + timedelta(days=6)
    first = minus_months(today.replace(day=1), -1)
    return first, _last_of_month(first)


_THIS = r"(?:n?d?est[ae]|n?d?ess[ae]|this|the current|current)"
_LAST_ES_PT = r"(?:passad[oa]|pasad[oa]|anterior)"
_DAY_UNITS = r"(?:dias?|d|days?|semanas?|weeks?|meses|mes|months?|anos?|years?|quinzenas?)"
_Build = Callable[[re.Match[str], date], tuple[date, date]]
_CALENDAR: list[tuple[re.Pattern[str], Unit, _Build]] = [
    (
        re.compile(
            rf"\b(?:(?:ultim[oa]s?|pasad[oa]s|passad[oa]s|last|past)\s+(?P<n1>{_COUNT})\s*(?P<u1>{_DAY_UNITS})"
            rf"|(?P<n2>{_COUNT})\s+ultim[oa]s\s+(?P<u2>{_DAY_UNITS})"
            rf"|(?P<n3>{_COUNT})\s+(?P<u3>dias|semanas|meses)\s+(?:passad[oa]s|pasad[oa]s))\b"
        ),
        "days",
        _last_n,
    ),
    (
        re.compile(
            r"\b(?:ultim[oa]\s+(?P<unit>semana|mes|quinzena|quincena|ano)|past\s+(?P<unit2>week|month|fortnight|year))\b"
        ),
        "days",
        _last_unit,
    ),
    (
        re.compile(
            rf"\b(?:(?:ha\s+|hace\s+)?(?P<n>{_COUNT})\s+(?:dias?\s+atras|days?\s+ago)"
            rf"|(?<!desde )hace\s+(?P<n2>{_COUNT})\s+dias?)\b"
        ),
        "day",
        _ago,
    ),
    (
        re.compile(
            rf"\b(?:{_THIS}\s+(?:semana|week)|(?:semana|week) (?:atual|corrente|actual|so far)"
            r"|na semana(?!\s+(?:passad|retrasad|anterior|que\b|d[aeo]\b)))\b"
        ),
        "week",
        _week,
    ),
    (re.compile(rf"\b(?:semana\s+{_LAST_ES_PT}|last week|previous week)\b"), "week", _weeks_before(1)),
    (re.compile(r"\b(?:semana\s+(?:retrasada|antepasada)|(?:the )?week before last)\b"), "week", _weeks_before(2)),
    (
        re.compile(
            r"\b(?:(?:ultimo|last|this|este|esse|neste|nesse)\s+)?(?:(?:fim|final|fin) de semana|finde|weekend)"
            r"(?:\s+(?:passado|pasado))?\b"
        ),
        "weekend",
        _weekend,
    ),
    (
        re.compile(
            rf"\b(?:{_THIS}\s+(?:mes|month)|(?:mes|month) (?:atual|corrente|actual|to date|so far)|mtd"
            rf"|(?:no|en el) mes)\b"
            rf"(?!\s+(?:{_LAST_ES_PT}|retrasado|antepasado|de\s+{_LONG}))"
        ),
        "month",
        _this_month,
    ),
    (re.compile(rf"\b(?:mes\s+{_LAST_ES_PT}|last month|previous month)\b"), "month", _months_before(1)),
    (re.compile(r"\b(?:mes\s+(?:retrasado|antepasado)|(?:the )?month before last)\b"), "month", _months_before(2)),
    (
        re.compile(
            rf"\b(?P<month>{_LONG})(?:(?:\s+de|\s+del|\s+do|,|/|\s+of)?\s*(?P<year>{_YEAR}))?"
            rf"(?:\s+(?:passado|pasado|ultimo))?\b(?!\s+\d{{1,2}}\b)"
        ),
        "month",
        _named_month,
    ),
    (
        re.compile(rf"\b(?P<month>{_MONTH})\.?\s*(?:/|\s+de\s+|\s+)(?P<year>20\d\d|(?<=/)\d\d)\b"),
        "month",
        _short_month,
    ),
    (
        re.compile(rf"\b(?:{_THIS}\s+(?:trimestre|quarter)|(?:trimestre|quarter) (?:atual|actual|to date)|qtd)\b"),
        "quarter",
        _block(3, 0),
    ),
    (
        re.compile(rf"\b(?:trimestre\s+{_LAST_ES_PT}|ultimo trimestre|last quarter|previous quarter)\b"),
        "quarter",
        _block(3, 1),
    ),
    (re.compile(rf"\b{_THIS}\s+semestre\b"), "half", _block(6, 0)),
    (re.compile(rf"\b(?:semestre\s+{_LAST_ES_PT}|ultimo semestre)\b"), "half", _block(6, 1)),
    (
        re.compile(
            rf"\b(?:(?P<word>{_any(list(_ORDINALS))})\s+(?:(?P<half>semestre|half)|trimestre|quarter)"
            rf"|(?P<number>\d)[oº°]\s*(?:(?P<half2>semestre)|trimestre))(?:\s+(?:de\s+|del\s+|of\s+)?(?P<year>{_YEAR}))?\b"
        ),
        "quarter",
        _numbered,
    ),
    (re.compile(rf"\b[qt](?P<number>[1-4])(?:\s*(?:/|de\s+|of\s+)?\s*(?P<year>{_YEAR}))?\b"), "quarter", _numbered),
    (
        re.compile(
            rf"\b(?:{_THIS}\s+(?:ano|year)|ano (?:atual|corrente|actual)|year to date|ytd|no ano)\b"
            rf"(?!\s+(?:{_LAST_ES_PT}|de\s+{_YEAR}))"
        ),
        "year",
        _block(12, 0),
    ),
    (re.compile(rf"\b(?:ano\s+{_LAST_ES_PT}|last year|previous year)\b"), "year", _block(12, 1)),
    (
        re.compile(
            r"\b(?:em|en|in|ano de|ano|year|durante|during|of)\s+(?P<year>\d{4})\b(?![-/.,]\d)(?!\s*(?:reais|r\$|%))"
        ),
        "year",
        _whole_year,
    ),
    (re.compile(r"(?<![\w/.,-])(?P<number>0?[1-9]|1[0-2])/(?P<year>20\d\d)(?![\w/])"), "month", _numbered_month),
    (re.compile(r"\b(?:ultimas|last|past)\s+(?P<n>24|48|72)\s*(?:horas|hours|h)\b"), "days", _last_hours),
    (
        re.compile(
            r"\b(?:inicio|comeco|principios?|beginning|start|comienzo)\s+(?:d[aoe]|del|de la|of(?: the| this)?)\s+"
            rf"(?P<unit>semana|mes|ano|week|month|year)(?P<last>\s+{_LAST_ES_PT})?\b"
        ),
        "days",
        _start_of,
    ),
    (
        re.compile(
            r"\b(?:amanha|tomorrow|manana(?! (?:de|del)\b)|(?:proxim[oa]|next)\s+(?P<unit>semana|mes|week|month)"
            r"|(?P<unit2>semana|mes) que (?:vem|viene)|(?P<unit3>semana|mes) proxim[oa])\b"
        ),
        "days",
        _next,
    ),
]


# --- periods beside another --------------------------------------------------------------------


def _relative(match: re.Match[str], today: date) -> Found:
    groups = match.groupdict()
    count, count_unit = groups["n"] or groups["n2"], groups["nunit"] or groups["nunit2"] or "dias"
    unit = _UNITS.get(groups["unit"] or groups["unit2"] or "", "days")

    def beside(window: Window, window_unit: Unit) -> tuple[date, date]:
        day_before = window.since - timedelta(days=1)
        if count:
            return last_of(day_before)
        if groups["same"]:
            back = _UNITS[groups["sunit"] or groups["sunit2"] or groups["sunit3"]]
            if back == "week":
                return window.since - timedelta(days=7), window.until - timedelta(days=7)
            months = 12 if back == "year" else 1
            return minus_months(window.since, months), minus_months(window.until, months)
        return _unit_before(window, window_unit if unit == "days" else unit)

    def last_of(until: date) -> tuple[date, date]:
        if _count(count) < 1:
            raise impossible(match.group().strip())
        return _back(_count(count), count_unit, until), until

    # "previous 7 days" with nothing beside it are the last 7
    absolute = (lambda: last_of(today - timedelta(days=1))) if count else None
    return Found(*match.span(), unit, absolute, beside, lone=not groups["bare"])


def _unit_before(window: Window, unit: Unit) -> tuple[date, date]:
    """The day, week, month … before the window: calendar units whole, anything else as many days as the window has."""
    before = window.since - timedelta(days=1)
    if unit == "day":
        return before, before
    if unit == "week":  # before the last 7 days: 7 days; before this week: Monday to Sunday
        return window.since - timedelta(days=7), before
    if unit == "weekend":
        return window.since - timedelta(days=7), window.since - timedelta(days=6)
    if unit in ("month", "quarter", "half", "year"):
        months = {"month": 1, "quarter": 3, "half": 6, "year": 12}[unit]
        running = date(window.since.year, (window.since.month - 1) // months * months + 1, 1)
        first = minus_months(running, months)
        return first, running - timedelta(days=1)
    return minus_days(before, window.days - 1), before
