"""Numbers, money, dates and windows as people of a language write them (CLDR, through Babel).

Spaces are ordinary spaces, not CLDR's no-break ones, so that a text can be searched, compared and typed back.
Halves are rounded away from zero, as Ads Manager and statements of account do.
"""

import re
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

from babel.numbers import format_currency, format_decimal

from core.money import Money, meta_offset

_LOCALE = {"pt-BR": "pt_BR", "en": "en_US", "es": "es"}
# Spanish speakers of the region write the sign first, and know R$; CLDR's "es" would say "1.234,56 BRL".
_ES_SIGNS = {"BRL": "R$", "USD": "US$", "EUR": "€"}
_MONTHS_EN = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_WEEKDAYS = {
    "pt-BR": ("segunda-feira", "terça-feira", "quarta-feira", "quinta-feira", "sexta-feira", "sábado", "domingo"),
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "es": ("lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo"),
}
_TO = {"pt-BR": "a", "en": "to", "es": "al"}


_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|!~:])")


def plain(text: str) -> str:
    """`text` so that Markdown shows it as it is, on one line: no link, image, HTML or table of its own."""
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))


def _locale(language: str) -> str:
    return _LOCALE.get(language, "pt_BR")


def _plain(text: str) -> str:
    return text.replace("\u00a0", " ").replace("\u202f", " ")


def _round(value: Decimal, decimals: int) -> Decimal:
    rounded = value.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)
    return abs(rounded) if rounded == 0 else rounded  # "-0,0" says nothing


def money(value: Money, language: str) -> str:
    """`R$ 1.234,56` (pt-BR, es), `R$1,234.56` (en); no decimals where Meta's smallest unit is the main unit."""
    decimals = 0 if meta_offset(value.currency) == 1 else 2
    amount = _round(value.amount, decimals)
    digits = "#,##0" if decimals == 0 else "#,##0.00"
    if language == "es":
        sign = "-" if amount < 0 else ""
        return f"{sign}{_ES_SIGNS.get(value.currency, value.currency)} {number(abs(amount), 'es', decimals)}"
    separator = "\u00a0" if language != "en" else ""
    text = format_currency(
        amount, value.currency, format=f"¤{separator}{digits}", locale=_locale(language), currency_digits=False
    )
    if language == "en" and text.lstrip("-").startswith(value.currency):
        text = text.replace(value.currency, value.currency + " ", 1)  # a code, unlike a sign, keeps its distance
    return _plain(text)


def number(value: Decimal | int, language: str, decimals: int = 0) -> str:
    """`12.345` or `12.345,67` (pt-BR, es), `12,345.67` (en)."""
    pattern = "#,##0" + ("." + "0" * decimals if decimals else "")
    return _plain(format_decimal(_round(Decimal(value), decimals), format=pattern, locale=_locale(language)))


def percent(value: Decimal, language: str, decimals: int = 1, signed: bool = False) -> str:
    """`value` counts percent: Decimal("12.3") is `12,3%`. `signed` writes `+12,3%` for what is above zero."""
    rounded = _round(value, decimals)
    sign = "+" if signed and rounded > 0 else ""
    return f"{sign}{number(rounded, language, decimals)}%"


def day(value: date, language: str) -> str:
    """`20/11/2026` (pt-BR, es), `Nov 20, 2026` (en)."""
    if language == "en":
        return f"{_MONTHS_EN[value.month - 1]} {value.day}, {value.year:04d}"
    return f"{value.day:02d}/{value.month:02d}/{value.year:04d}"


def weekday(value: date, language: str) -> str:
    """`sexta-feira` (pt-BR), `Friday` (en), `viernes` (es)."""
    return _WEEKDAYS.get(language, _WEEKDAYS["pt-BR"])[value.weekday()]


def window(since: date, until: date, language: str) -> str:
    """`13/11/2026 a 19/11/2026`, or the one day when both are the same."""
    if since == until:
        return day(since, language)
    return f"{day(since, language)} {_TO.get(language, 'a')} {day(until, language)}"


def phone(given: str) -> str:
    """A Brazilian number as people write it, "(19) 3668-9288", with the digits that were told and no others; a link to
    WhatsApp as its number; anything else as it was given."""
    if link := re.search(r"(?:wa\.me/|phone=)\+?(\d{10,15})", given):
        given = f"+{link[1]}"
    digits = re.sub(r"\D", "", given)
    if len(digits) in (12, 13) and digits.startswith("55"):
        digits = digits[2:]
    abroad = given.lstrip().startswith("+") and not given.lstrip().startswith("+55")
    if abroad or len(digits) not in (10, 11) or digits.startswith("0"):
        return given
    return f"({digits[:2]}) {digits[2:-4]}-{digits[-4:]}"
