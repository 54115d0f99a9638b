"""Reading an Ads Manager export: CSV or XLSX, headers in Portuguese, English or Spanish, both ways of writing decimals.

The file is read twice and never held in memory: first a sample of it decides encoding, delimiter, columns, currency,
decimal style and order of dates; then every line becomes a `Row`, a `Bad` with line and reason, or a totals line.
What cannot be decided is asked (ArgumentsWrong), not guessed: a wrong decimal style is a number off by 1,000.
"""

import codecs
import csv
import difflib
import io
import itertools
import re
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, Literal

from babel.core import get_global

from business.ads.metrics import ResultKind
from core.errors import ArgumentsWrong
from core.words import squeezed

_SAMPLE_ROWS = 2_000
_HEADER_WITHIN = 12  # lines in which the header must stand; some tools write a title above it
_WIDEST = 400  # columns
_LONGEST_NAME = 5_000  # characters; an ad's name has at most 400
_LONGEST_NUMBER = 40  # characters
_LONGEST_LINE = 4_000_000  # characters read at once: a file may be one endless line
_XLSX_UNPACKED = 1_500_000_000  # bytes: 1,000,000 rows with 15 columns unpack to about 600 MB
_XLSX_STRINGS = 50_000_000  # bytes of shared strings, which openpyxl keeps in memory
_XLSX_SHEETS = 5  # looked at for a table; Ads Reporting writes two
_REMEMBERED = 50_000  # names and days that are not worked out again
_ABSURD = Decimal(10) ** 12
_DAYS_BACK = 15 * 366
_STORED = Decimal("0.0001")
"""Four decimals are what the table keeps; a spreadsheet's 0.30000000000000004 is 0.3."""

# Field → names that Ads Manager gives its column, without accents, currency and case (pt-BR, en, es), as exported
# from the interface of Ads Manager and from Ads Reporting.
_NAMES: dict[str, tuple[str, ...]] = {
    "day": ("dia", "day", "data", "date", "fecha"),
    "since": (
        "inicio dos relatorios",
        "inicio do relatorio",
        "reporting starts",
        "inicio del informe",
        "inicio de los informes",
        "data de inicio",
        "start date",
        "fecha de inicio",
    ),
    "until": (
        "termino dos relatorios",
        "encerramento dos relatorios",
        "termino do relatorio",
        "reporting ends",
        "fin del informe",
        "finalizacion del informe",
        "fin de los informes",
        "data de termino",
        "end date",
        "fecha de finalizacion",
    ),
    "campaign": ("nome da campanha", "campaign name", "nombre de la campana", "campanha", "campaign", "campana"),
    "adset": (
        "nome do conjunto de anuncios",
        "ad set name",
        "nombre del conjunto de anuncios",
        "conjunto de anuncios",
        "ad set",
    ),
    "ad": ("nome do anuncio", "ad name", "nombre del anuncio", "anuncio", "ad"),
    "status": (
        "veiculacao da campanha",
        "veiculacao do conjunto de anuncios",
        "veiculacao do anuncio",
        "veiculacao",
        "status de veiculacao",
        "campaign delivery",
        "ad set delivery",
        "ad delivery",
        "delivery",
        "delivery status",
        "entrega de la campana",
        "entrega del anuncio",
        "entrega",
    ),
    "objective": ("objetivo", "objective", "objetivo da campanha", "campaign objective"),
    "spend": (
        "valor usado",
        "valor gasto",
        "quantia gasta",
        "amount spent",
        "importe gastado",
        "gasto",
        "spend",
        "spent",
        "cost",
        "custo total",
        "investimento",
        "inversion",
    ),
    "impressions": ("impressoes", "impressions", "impresiones"),
    "reach": ("alcance", "reach"),
    "clicks": ("cliques (todos)", "clicks (all)", "clics (todos)", "cliques", "clicks", "clics"),
    "link_clicks": ("cliques no link", "link clicks", "clics en el enlace", "cliques em links"),
    "results": ("resultados", "results", "resultado", "result"),
    "result_type": (
        "indicador de resultados",
        "indicador de resultado",
        "result indicator",
        "tipo de resultado",
        "result type",
        "tipo de resultados",
    ),
    "purchases": ("compras", "purchases", "compras no site", "website purchases", "compras en el sitio web"),
    "purchase_value": (
        "valor de conversao da compra",
        "valor de conversao de compras",
        "purchases conversion value",
        "valor de conversion de compras",
        "purchase conversion value",
        "valor das compras",
    ),
    "leads": ("leads", "cadastros", "clientes potenciais", "clientes potenciales"),
    "conversations": (
        "conversas por mensagem iniciadas",
        "messaging conversations started",
        "conversaciones con mensajes iniciadas",
        "conversas iniciadas por mensagem",
    ),
    "currency": ("moeda", "currency", "moneda", "divisa"),
    "account": ("nome da conta", "account name", "nombre de la cuenta"),
}
_NUMBERS = (
    "spend",
    "impressions",
    "reach",
    "clicks",
    "link_clicks",
    "results",
    "purchases",
    "purchase_value",
    "leads",
    "conversations",
)
_WHOLE = frozenset({"impressions", "reach", "clicks", "link_clicks"})
FIELDS = tuple(_NAMES)
"""The fields a column can be mapped to."""

_KINDS = frozenset(ResultKind) - {ResultKind.RESULT}
# What the column "result indicator" or "result type" says → what was counted.
_RESULT_KINDS: tuple[tuple[str, ResultKind], ...] = (
    (r"purchase|compra", ResultKind.PURCHASE),
    (r"messaging|mensag|mensaj|conversas? |conversacion", ResultKind.CONVERSATION),
    (r"lead|cadastro|clientes? potenci", ResultKind.LEAD),
    (r"landing.?page|pagina de destino", ResultKind.LANDING_PAGE_VIEW),
    (r"link.?click|cliques? no link|clics? en el enlace", ResultKind.LINK_CLICK),
    (r"post.?engagement|envolvimento|engajamento|interaccion", ResultKind.ENGAGEMENT),
    (r"app.?install|instalac", ResultKind.APP_INSTALL),
)
_TOTALS = re.compile(
    r"(?:(?:grand|sub)[ -]?)?totals?(?: geral| general)?|totais|totales"
    r"|(?:resultados de|results from) [\d.,]+"
    r" (?:campanhas?|campaigns?|campanas?|conjuntos?(?: de anuncios)?|ad sets?|anuncios?|ads?)"
)
"""What stands in place of a name in a line of totals. A campaign may well be called "Total Fit" and is none."""
_OF_SIGN = {"R$": "BRL", "US$": "USD", "€": "EUR", "£": "GBP"}
_CURRENCY_IN_HEADER = re.compile(r"\((?:([A-Z]{3})|(R\$|US\$|€|£))\)\s*$")
# A mark with exactly three digits after up to three others proves nothing: 45.210 is _EITHER. Anything else does.
_DOT = re.compile(
    r"^-?\d{1,3}(?:,\d{3})+\.\d+$|^-?\d+\.(?:\d{1,2}|\d{4,})$"
    r"|^-?(?:0|\d{4,})\.\d{3}$|^-?\d{1,3}(?:,\d{3}){2,}$",
    re.ASCII,
)
_COMMA = re.compile(
    r"^-?\d{1,3}(?:\.\d{3})+,\d+$|^-?\d+,(?:\d{1,2}|\d{4,})$"
    r"|^-?(?:0|\d{4,}),\d{3}$|^-?\d{1,3}(?:\.\d{3}){2,}$",
    re.ASCII,
)
_EITHER = re.compile(r"^-?\d{1,3}[.,]\d{3}$", re.ASCII)  # 1.234 is a thousand or one and a bit
_WRITTEN = {
    ",": re.compile(r"-?(?:\d+|\d{1,3}(?:\.\d{3})+)(?:,\d+)?", re.ASCII),
    ".": re.compile(r"-?(?:\d+|\d{1,3}(?:,\d{3})+)(?:\.\d+)?", re.ASCII),
    "": re.compile(r"-?\d+", re.ASCII),
}
"""Decimal mark → how a number is written."""
_ISO = re.compile(r"(\d{4})-(\d{2})-(\d{2})(?:[T ]|$)", re.ASCII)
_PARTS = re.compile(r"(\d{1,2})[/.-](\d{1,2})[/.-](\d{4}|\d{2})", re.ASCII)
_EMPTY = frozenset({"", "-", "–", "—", "n/a", "na", "nan", "null"})

Decimals = Literal[",", "."]
DateOrder = Literal["dmy", "mdy"]


@dataclass(frozen=True)
class Hints:
    """What the user said about the file. `columns` maps a header of the file to a field of FIELDS."""

    columns: dict[str, str] = field(default_factory=dict)
    currency: str | None = None
    decimals: Decimals | None = None
    dates: DateOrder | None = None


@dataclass(frozen=True)
class Form:
    """How the bytes of a file become lines of cells: a workbook, or text in an encoding with a delimiter."""

    workbook: bool
    encoding: str = ""
    delimiter: str = ""


@dataclass(frozen=True)
class Layout:
    """How the file is written, decided from its beginning."""

    columns: dict[str, int]
    """field → position."""
    headers: list[str]
    header_line: int
    ignored: list[str]
    """Headers of the file that no field takes; told to the user."""
    currency: str
    decimals: Decimals | Literal[""]
    """Empty while no number with a mark was seen."""
    dates: DateOrder
    account: str
    """Empty when the file does not name one, or names several."""
    daily: bool
    """Every line of the beginning is of one day."""
    form: "Form"


@dataclass(frozen=True)
class Row:
    """One line, typed. Money in the main unit of the file's currency; a figure that is not there is None."""

    line: int
    since: date
    until: date
    campaign: str
    adset: str
    ad: str
    status: str
    objective: str
    result_type: str
    numbers: dict[str, Decimal | None]


@dataclass(frozen=True)
class Bad:
    """A line that was not taken, and why: a text key of the form import.bad.* with its parameters."""

    line: int
    reason: str
    params: dict[str, Any]
    last: int = 0
    """The last line of it, where a cell goes over several; else 0."""


@dataclass(frozen=True)
class TotalsLine:
    """A line that adds up others, all of them (`whole`) or one name's; compared with the sum, never counted."""

    line: int
    spend: Decimal | None
    whole: bool = True


Item = Row | Bad | TotalsLine


def field_of(header: str) -> str | None:
    """The field that Ads Manager means by this column name, None for a name it does not give."""
    return next((name for name, aliases in _NAMES.items() if squeezed(header) in aliases), None)


def is_currency(code: str) -> bool:
    """Whether this is an ISO 4217 code, in capitals, of today or of the past."""
    return code in get_global("all_currencies")


def result_kind(result_type: str) -> ResultKind | None:
    """What a result indicator such as `actions:offsite_conversion.fb_pixel_purchase` or "Compras no site" counts."""
    words = squeezed(result_type[:200])
    if words in _KINDS:
        return ResultKind(words)
    return next((kind for pattern, kind in _RESULT_KINDS if re.search(pattern, words)), None)


# --- deciding -----------------------------------------------------------------------------------


def inspect(path: Path, hints: Hints) -> Layout:
    """Decide how the file is written from its first lines.

    ArgumentsWrong: import_empty, import_not_a_table(kind), import_too_wide, import_too_large_unpacked,
    import_columns_unknown(missing, headers), import_map_unknown(name, known), import_currency_unknown,
    import_currencies_mixed(currencies), currency_unknown(currency), import_decimals_mixed(one, other),
    import_decimals_ambiguous(example), import_dates_ambiguous(example).
    """
    form = _form(path, hints)
    sample: list[tuple[int, list[Any]]] = []
    with _lines(path, form) as lines:
        for first, _, cells in lines:
            if cells is not None:  # a broken line is reported when the file is read
                sample.append((first, cells))
            if len(sample) >= _SAMPLE_ROWS:
                break
    if not sample:
        raise ArgumentsWrong("import_empty", "the file has no lines")
    at, columns = _header(sample, hints)
    header_line, header = sample[at][0], [_text(cell) for cell in sample[at][1]]
    body = [cells for _, cells in sample[at + 1 :] if _filled(cells)]
    if not body:
        raise ArgumentsWrong("import_empty", "the file has a header and no lines")
    taken = set(columns.values())
    accounts = {_cell(cells, columns.get("account")) for cells in body} - {""}
    return Layout(
        columns=columns,
        headers=header,
        header_line=header_line,
        ignored=[name for i, name in enumerate(header) if name and i not in taken],
        currency=_currency(header, body, columns, hints),
        decimals=hints.decimals or _decimals(body, columns),
        dates=hints.dates or _date_order(body, columns, header),
        account=accounts.pop() if len(accounts) == 1 else "",
        daily="day" in columns or _one_day_each(body, columns),
        form=form,
    )


def _header(sample: list[tuple[int, list[Any]]], hints: Hints) -> tuple[int, dict[str, int]]:
    """The line that names the columns: the one of the first dozen with the most names that are known."""
    for name in hints.columns.values():
        if name not in FIELDS:
            raise ArgumentsWrong("import_map_unknown", f"{name!r} is no field", name=name, known=", ".join(FIELDS))
    best = 0
    best_columns: dict[str, int] = {}
    for i, (_, cells) in enumerate(sample[:_HEADER_WITHIN]):
        if len(cells) > _WIDEST and (wide := sum(1 for cell in cells if _text(cell))) > _WIDEST:
            raise ArgumentsWrong("import_too_wide", f"{wide} columns", columns=wide, most=_WIDEST)
        columns = _match([_text(cell) for cell in cells], hints)
        if len(columns) > len(best_columns):
            best, best_columns = i, columns
    header = [_text(cell) for cell in sample[best][1]]
    given = {squeezed(name) for name in header}
    if absent := [column for column in hints.columns if squeezed(column) not in given]:
        raise ArgumentsWrong(
            "import_map_unknown", f"the file has no column {absent[0]!r}", name=absent[0], known=_shown(header)
        )
    missing = []
    if "spend" not in best_columns:
        missing.append("spend")
    if "day" not in best_columns and not {"since", "until"} <= best_columns.keys():
        missing.append("day")
    if not {"campaign", "adset", "ad"} & best_columns.keys():
        missing.append("campaign")
    if missing:
        if len(best_columns) == 0 and sum(1 for name in header if name) < 3:  # prose, cut at its commas
            raise ArgumentsWrong("import_not_a_table", "no column of an Ads Manager export was found", kind="text")
        raise ArgumentsWrong(
            "import_columns_unknown",
            f"no column was recognised as {', '.join(missing)}; the file has: {_shown(header)}",
            missing=missing,
            headers=_shown(header),
        )
    return best, best_columns


def _shown(header: list[str]) -> str:
    """The names of columns as a person is shown them: a file may hold anything in their place."""
    names = [name[:60] for name in header if name]
    return ", ".join(names[:40]) + (" …" if len(names) > 40 else "")


def _match(header: list[str], hints: Hints) -> dict[str, int]:
    """field → position: what the user said, then known names, then names that are nearly known."""
    said = {squeezed(column): name for column, name in hints.columns.items()}
    names = [squeezed(_CURRENCY_IN_HEADER.sub("", name[:200])) for name in header]
    known = {alias: name for name, aliases in _NAMES.items() for alias in aliases}
    columns: dict[str, int] = {}
    for i, original in enumerate(header):
        if said and (name := said.get(squeezed(original[:200]))) is not None:
            columns[name] = i
    for field_name, aliases in _NAMES.items():
        for alias in aliases:  # the most telling alias first
            if field_name not in columns and alias in names and names.index(alias) not in columns.values():
                columns[field_name] = names.index(alias)
    for i, name in enumerate(names):
        # Slips and singulars ("Valor gastos", "Impressions."), but no meaning is guessed from a part of a name.
        if name and i not in columns.values():
            near = difflib.get_close_matches(name.rstrip(".:"), known, n=1, cutoff=0.9)
            if near and known[near[0]] not in columns:
                columns[known[near[0]]] = i
    return columns


def _currency(header: list[str], body: list[list[Any]], columns: dict[str, int], hints: Hints) -> str:
    """What the money columns' names say, the column of currencies, the signs before amounts, or the user."""
    found = set()
    for name in ("spend", "purchase_value"):
        if name in columns and (sign := _CURRENCY_IN_HEADER.search(header[columns[name]])):
            found |= {code for code in [sign[1] or _OF_SIGN[sign[2]]] if is_currency(code)}
    in_rows = {_cell(cells, columns.get("currency")).upper() for cells in body}
    found |= {code for code in in_rows if is_currency(code)}
    if not found:
        amounts = [_cell(cells, columns["spend"]) for cells in body]
        found = {code for sign, code in _OF_SIGN.items() if any(text.startswith(sign) for text in amounts)}
    if hints.currency:
        if not is_currency(hints.currency.upper()):
            raise ArgumentsWrong("currency_unknown", f"{hints.currency!r} is no currency", currency=hints.currency)
        found.add(hints.currency.upper())
    if len(found) > 1:
        raise ArgumentsWrong("import_currencies_mixed", f"the file has {sorted(found)}", currencies=sorted(found))
    if not found:
        raise ArgumentsWrong("import_currency_unknown", "the file does not say its currency")
    return found.pop()


def _decimals(body: list[list[Any]], columns: dict[str, int]) -> Decimals | Literal[""]:
    """The decimal mark, from cells that can be read in one way only. Cells of a spreadsheet are numbers already."""
    comma = dot = either = ""
    for cells in body:
        for name in _NUMBERS:
            if name not in columns or columns[name] >= len(cells) or not isinstance(cells[columns[name]], str):
                continue
            text = _bare(cells[columns[name]][:_LONGEST_NUMBER])
            if _COMMA.match(text):
                comma = comma or text
            elif _DOT.match(text):
                dot = dot or text
            elif _EITHER.match(text):
                if name in _WHOLE:  # a count has no decimals: the mark separates thousands
                    if "." in text:
                        comma = comma or text
                    else:
                        dot = dot or text
                else:
                    either = either or text
    if comma and dot:
        raise ArgumentsWrong("import_decimals_mixed", f"{comma} and {dot} in one file", one=comma, other=dot)
    if not comma and not dot and either:
        raise ArgumentsWrong("import_decimals_ambiguous", f"{either} can be read in two ways", example=either)
    return "," if comma else "." if dot else ""


def _date_order(body: list[list[Any]], columns: dict[str, int], header: list[str]) -> DateOrder:
    example = ""
    for cells in body:
        for name in ("day", "since", "until"):
            parts = _PARTS.fullmatch(_cell(cells, columns.get(name)))
            if parts:
                first, second = int(parts[1]), int(parts[2])
                if first > 12:
                    return "dmy"
                if second > 12:
                    return "mdy"
                example = example or parts[0]
    names = {squeezed(name[:200]) for name in header}
    english = names & {
        "campaign name",
        "ad set name",
        "ad name",
        "amount spent",
        "day",
        "reporting starts",
        "impressions",
    }
    if example and english:
        raise ArgumentsWrong("import_dates_ambiguous", f"{example} can be read in two ways", example=example)
    return "dmy"


def _one_day_each(body: list[list[Any]], columns: dict[str, int]) -> bool:
    if not {"since", "until"} <= columns.keys():
        return False
    return all(_cell(cells, columns["since"]) == _cell(cells, columns["until"]) for cells in body)


# --- reading ------------------------------------------------------------------------------------


def read(path: Path, layout: Layout, *, today: date) -> Iterator[Item]:
    """Every line after the header, in order. `today` is that of the account's zone: later days are refused.

    ArgumentsWrong, for what the beginning of the file did not show: import_currencies_mixed(currencies),
    import_decimals_ambiguous(example), import_not_a_table(kind).
    """
    reader = _Reader(layout, today)
    with _lines(path, layout.form) as lines:
        for first, last, cells in lines:
            if first <= layout.header_line:
                continue
            item = reader.item(first, cells)
            if item is None:
                continue
            if last != first and isinstance(item, Bad):
                item = Bad(first, item.reason, item.params, last)
            yield item


class _Wrong(Exception):
    """A cell that cannot be taken: a reason and its parameters."""

    def __init__(self, reason: str, **params: str) -> None:
        super().__init__(reason)
        self.reason, self.params = reason, params


class _Reader:
    """Types line after line. It is run a million times, so what repeats (names, days) is worked out once."""

    def __init__(self, layout: Layout, today: date) -> None:
        columns = layout.columns
        self._layout = layout
        self._today = today
        self._decimals = layout.decimals
        self._numbers = [(name, columns[name], name in _WHOLE) for name in _NUMBERS if name in columns]
        self._texts = [columns.get(name) for name in ("campaign", "adset", "ad", "status", "objective", "result_type")]
        self._days = [columns["day"], columns["day"]] if "day" in columns else [columns["since"], columns["until"]]
        self._currency = columns.get("currency")
        self._needed = max(columns.values()) + 1
        signs = [layout.currency, *(sign for sign, code in _OF_SIGN.items() if code == layout.currency)]
        signs += ["$"] if layout.currency not in ("BRL", "EUR", "GBP") else []
        self._sign = re.compile("|".join(re.escape(sign) for sign in signs))
        self._names_known: dict[str, str] = {}
        self._days_known: dict[Any, date | _Wrong] = {}

    def item(self, line: int, cells: Sequence[Any] | None) -> Item | None:
        """None for a line without content."""
        if cells is None:
            return Bad(line, "import.bad.broken", {})
        layout = self._layout
        if len(cells) < self._needed:
            if not _filled(cells):
                return None
            if not layout.form.workbook and not _is_total(_text(cells[0])):
                return Bad(line, "import.bad.cut", {"cells": len(cells), "expected": len(layout.headers)})
            cells = [*cells, *[None] * (self._needed - len(cells))]
        elif len(cells) > len(layout.headers) and _filled(cells[len(layout.headers) :]):
            return Bad(line, "import.bad.shifted", {"cells": len(cells), "expected": len(layout.headers)})
        try:
            campaign, adset, ad, status, objective, result_type = [
                "" if position is None else self._name(cells[position]) for position in self._texts
            ]
            unnamed = not (campaign or adset or ad) or any(map(_is_total, (campaign, adset, ad)))
            if unnamed and not _filled(cells):
                return None
            campaign = campaign or adset or ad  # a file of ads alone: the highest name it has stands for the campaign
            numbers = {name: self._number(name, cells[position], whole) for name, position, whole in self._numbers}
            if unnamed:
                return TotalsLine(line, numbers["spend"])
            if self._is_subtotal(cells):
                return TotalsLine(line, numbers["spend"], whole=False)
            if self._currency is not None and cells[self._currency] != layout.currency:
                self._check_currency(_text(cells[self._currency]).upper())
            since, until = self._day(cells, self._days[0]), self._day(cells, self._days[1])
        except _Wrong as wrong:
            return Bad(line, wrong.reason, wrong.params)
        if until < since:
            return Bad(line, "import.bad.dates_reversed", {"value": f"{since} – {until}"})
        return Row(line, since, until, campaign, adset, ad, status, objective, result_type, numbers)

    def _name(self, cell: Any) -> str:
        if not cell:
            return ""
        known = self._names_known.get(cell) if isinstance(cell, str) else None
        if known is None:
            known = _text(cell)
            if len(known) > _LONGEST_NAME:
                raise _Wrong("import.bad.cell_too_long")
            if len(self._names_known) >= _REMEMBERED:
                self._names_known.clear()
            if isinstance(cell, str):
                self._names_known[cell] = known
        return known

    def _number(self, name: str, cell: Any, whole: bool) -> Decimal | None:
        """A figure, None where the cell is empty."""
        if cell is None or cell == "":
            return None
        if isinstance(cell, str):
            if len(cell) <= 12 and cell.isascii() and cell.isdigit():
                return Decimal(cell)
            number = self._written(name, cell, whole)
            if number is None:
                return None
        elif isinstance(cell, (int, float)) and not isinstance(cell, bool):
            number = Decimal(str(cell))
        else:
            raise self._wrong("number", name, _text(cell))
        if not number.is_finite() or number > _ABSURD:
            raise self._wrong("absurd", name, _text(cell))
        if number < 0:
            raise self._wrong("negative", name, _text(cell))
        if whole and number != number.to_integral_value():
            raise self._wrong("absurd", name, _text(cell))
        exponent = number.as_tuple().exponent
        return number.quantize(_STORED) if isinstance(exponent, int) and exponent < -4 else number

    def _written(self, name: str, cell: str, whole: bool) -> Decimal | None:
        if len(cell) > _LONGEST_NUMBER:
            raise self._wrong("number", name, cell)
        text = cell
        if not _WRITTEN[self._decimals].fullmatch(text):
            text = _SPACES.sub("", self._sign.sub("", text, count=1))
            if text.casefold() in _EMPTY:
                return None
            if not self._decimals:
                self._decide(text, whole)
            if not _WRITTEN[self._decimals].fullmatch(text):
                raise self._wrong("number", name, cell)
        return Decimal(text.replace(".", "").replace(",", ".") if self._decimals == "," else text.replace(",", ""))

    def _decide(self, text: str, whole: bool) -> None:
        """The first number with a mark, after a beginning without any."""
        if _COMMA.match(text) or (whole and _EITHER.match(text) and "." in text):
            self._decimals = ","
        elif _DOT.match(text) or (whole and _EITHER.match(text)):
            self._decimals = "."
        elif _EITHER.match(text):
            raise ArgumentsWrong("import_decimals_ambiguous", f"{text} can be read in two ways", example=text)

    def _day(self, cells: Sequence[Any], position: int) -> date:
        cell = cells[position]
        day = self._days_known.get(cell)
        if day is None:
            day = self._day_of(cell, position)
            if len(self._days_known) >= _REMEMBERED:
                self._days_known.clear()
            self._days_known[cell] = day
        if isinstance(day, _Wrong):
            raise day
        return day

    def _day_of(self, cell: Any, position: int) -> date | _Wrong:
        day = _as_day(cell, self._layout.dates)
        if day is None:
            return _Wrong("import.bad.date", column=self._layout.headers[position][:60], value=_text(cell)[:60])
        if day > self._today:
            return _Wrong("import.bad.future", value=day.isoformat())
        if day < self._today - timedelta(days=_DAYS_BACK):
            return _Wrong("import.bad.too_old", value=day.isoformat())
        return day

    def _is_subtotal(self, cells: Sequence[Any]) -> bool:
        """A campaign's sum above its days: no day, and the range of the whole report."""
        columns = self._layout.columns
        if "day" not in columns or "since" not in columns or "until" not in columns or _text(cells[columns["day"]]):
            return False
        since, until = self._day(cells, columns["since"]), self._day(cells, columns["until"])
        return since < until

    def _check_currency(self, code: str) -> None:
        expected = self._layout.currency
        if code in ("", expected):
            return
        if is_currency(code):
            raise ArgumentsWrong(
                "import_currencies_mixed", f"the file has {code} too", currencies=sorted([code, expected])
            )
        raise _Wrong("import.bad.currency", value=code[:10], expected=expected)

    def _wrong(self, why: str, name: str, value: str) -> _Wrong:
        header = self._layout.headers[self._layout.columns[name]]
        return _Wrong(f"import.bad.{why}", column=header[:60], value=value[:60])


def _as_day(cell: Any, order: DateOrder) -> date | None:
    if isinstance(cell, datetime):
        return cell.date()
    if isinstance(cell, date):
        return cell
    text = _text(cell)[:40]
    try:
        if iso := _ISO.match(text):
            return date(int(iso[1]), int(iso[2]), int(iso[3]))
        if parts := _PARTS.fullmatch(text):
            first, second, year = int(parts[1]), int(parts[2]), int(parts[3])
            year += 2000 if year < 100 else 0
            return date(year, second, first) if order == "dmy" else date(year, first, second)
    except ValueError:
        return None
    return None


def _is_total(name: str) -> bool:
    return bool(name) and name[:1] in "GgSsTtRr" and bool(_TOTALS.fullmatch(squeezed(name[:80]).rstrip(".:")))


# --- lines of a file ----------------------------------------------------------------------------

_Line = tuple[int, int, list[Any] | None]
"""First line, last line, cells; no cells where the line cannot be cut into any."""


def _form(path: Path, hints: Hints) -> Form:
    """What kind of file it is. ArgumentsWrong("import_empty" | "import_not_a_table")."""
    with path.open("rb") as file:
        start = file.read(65_536)
    if not start.strip(b"\xef\xbb\xbf \t\r\n"):
        raise ArgumentsWrong("import_empty", "the file is empty")
    if start.startswith(b"PK"):
        return Form(workbook=True)
    kinds = {b"%PDF": "pdf", b"\x89PNG": "image", b"\xff\xd8\xff": "image", b"GIF8": "image"}
    kinds |= {b"\xd0\xcf\x11\xe0": "xls", b"\x1f\x8b": "zip", b"Rar!": "zip", b"7z\xbc\xaf": "zip"}
    for magic, kind in kinds.items():
        if start.startswith(magic):
            raise ArgumentsWrong("import_not_a_table", f"a {kind} file", kind=kind)
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    elif b"\x00" in start:
        raise ArgumentsWrong("import_not_a_table", "a binary file", kind="binary")
    else:
        encoding = _encoding(path)
    with path.open(encoding=encoding, newline="", errors="replace") as text:
        return Form(workbook=False, encoding=encoding, delimiter=_delimiter(text.read(65_536), hints))


def _encoding(path: Path) -> str:
    """UTF-8, or Windows' Western European, which Excel writes in Brazil: what most of the file's letters are.

    The whole file is looked at, because its first accent may stand in its last line; a damaged letter in a file of
    UTF-8 does not make it Windows'.
    """
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    letters = broken = 0
    with path.open("rb") as file:
        while piece := file.read(1_048_576):
            text = decoder.decode(piece)
            if not text.isascii():
                bad = text.count("\ufffd")
                broken += bad
                letters += len(text) - len(text.encode("ascii", "ignore")) - bad
    return "cp1252" if broken > letters else "utf-8-sig"


def _delimiter(beginning: str, hints: Hints) -> str:
    """The mark by which a line of the first dozen names the most columns, else the one that cuts into most cells."""
    lines = beginning.splitlines()
    lines = lines[:_HEADER_WITHIN] if len(lines) > _HEADER_WITHIN else lines[:-1] or lines
    best, delimiter = (0, 0), ","
    for mark in (";", "\t", ",", "|"):
        try:
            cut = [cells for cells in csv.reader(lines, delimiter=mark) if len(cells) <= _WIDEST * 2]
        except csv.Error:
            continue
        fit = max(((len(_match(cells, hints)), len(cells)) for cells in cut), default=(0, 0))
        if fit > best:
            best, delimiter = fit, mark
    return delimiter


@contextmanager
def _lines(path: Path, form: Form) -> Iterator[Iterator[_Line]]:
    """The lines of a CSV, or of the first table of a workbook, one at a time."""
    if form.workbook:
        yield from _with_sheet(path)
        return
    with path.open(encoding=form.encoding, newline="", errors="replace") as text:
        yield _csv_lines(text, form.delimiter)


def _csv_lines(text: io.TextIOBase, delimiter: str) -> Iterator[_Line]:
    reader = csv.reader(iter(partial(text.readline, _LONGEST_LINE), ""), delimiter=delimiter)
    first = 1
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:  # a cell of more than 128 KB (csv.field_size_limit), such as after a quote that never ends
            yield first, reader.line_num, None
        else:
            if cells:
                yield first, reader.line_num, cells
        first = reader.line_num + 1


def _with_sheet(path: Path) -> Iterator[Iterator[_Line]]:
    """openpyxl reads its XML through defusedxml, which is installed for it; sizes are checked before."""
    from openpyxl import load_workbook

    try:
        with zipfile.ZipFile(path) as archive:
            parts = {info.filename: info.file_size for info in archive.infolist()}
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        raise _damaged("a broken archive") from None
    if "xl/workbook.xml" not in parts:
        raise ArgumentsWrong("import_not_a_table", "an archive that is no workbook", kind="zip")
    if sum(parts.values()) > _XLSX_UNPACKED or parts.get("xl/sharedStrings.xml", 0) > _XLSX_STRINGS:
        raise ArgumentsWrong("import_too_large_unpacked", "the workbook unpacks to more than is safe")
    with path.open("rb") as file:  # by its content: a stored file may be called anything
        try:
            book = load_workbook(file, read_only=True, data_only=True)
        except Exception as error:  # openpyxl raises whatever its XML meets
            raise _damaged(type(error).__name__) from None
        try:
            yield _sheet_lines(_table_of(book))
        finally:
            book.close()


def _table_of(book: Any) -> Any:
    """The first sheet that looks like a table: some exports begin with a cover."""
    if not book.worksheets:
        raise ArgumentsWrong("import_empty", "the workbook has no sheet with cells")
    for sheet in book.worksheets[:_XLSX_SHEETS]:
        sheet.reset_dimensions()  # what a workbook claims of its size is often wrong, and each row would be filled up
        beginning = itertools.islice(_sheet_lines(sheet), _HEADER_WITHIN)
        if any(sum(1 for cell in cells or [] if _text(cell)) >= 3 for _, _, cells in beginning):
            return sheet
    return book.worksheets[0]


def _sheet_lines(sheet: Any) -> Iterator[_Line]:
    rows = sheet.iter_rows(values_only=True)
    line = 0
    while True:
        line += 1
        try:
            cells = next(rows, None)
        except Exception as error:  # openpyxl raises whatever its XML meets, here in the middle of the file
            raise _damaged(f"line {line}: {type(error).__name__}") from None
        if cells is None:
            return
        if any(cell is not None for cell in cells):
            yield line, line, list(cells)


def _damaged(how: str) -> ArgumentsWrong:
    return ArgumentsWrong("import_not_a_table", how, kind="broken")


# --- cells ----------------------------------------------------------------------------------------

_SPACES = re.compile(r"[\s\u00a0\u202f]")
_SIGNS = re.compile(r"[\s\u00a0\u202f$€£]|R\$|US\$|[A-Z]{3}")


def _text(cell: Any) -> str:
    """A cell as text that a database takes: without NUL and without half characters."""
    if cell is None:
        return ""
    text = str(cell).replace("\x00", "").strip()
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _cell(cells: Sequence[Any], position: int | None) -> str:
    return "" if position is None or position >= len(cells) else _text(cells[position])


def _filled(cells: Sequence[Any]) -> bool:
    return any(cell is not None and cell != "" and str(cell).strip() for cell in cells)


def _bare(text: str) -> str:
    """A number without currency signs and spaces."""
    return _SIGNS.sub("", text)
