"""Reading an Ads Manager export: CSV or XLSX, headers in Portuguese, English or Spanish, both ways of writing decimals.

The file is read twice and never held in memory: first a sample of it decides encoding, delimiter, columns, currency,
decimal style and order of dates; then every line becomes a `Row`, a `Bad` with line and reason, or a totals line.
What cannot be decided is asked (ArgumentsWrong), not guessed: a wrong decimal style is a number off by 1,000.
"""

import codecs
import csv
import difflib
import io
import re
import unicodedata
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Literal

from business.ads.metrics import ResultKind
from core.errors import ArgumentsWrong

_SAMPLE_ROWS = 2_000
_HEADER_WITHIN = 12  # lines in which the header must stand; some tools write a title above it
_WIDEST = 400  # columns
_LONGEST_CELL = 5_000  # characters; an ad's name has at most 400
_XLSX_UNPACKED = 1_500_000_000  # bytes: 1,000,000 rows with 15 columns unpack to about 600 MB
_XLSX_STRINGS = 200_000_000  # bytes of shared strings, which openpyxl keeps in memory
_ABSURD = Decimal(10) ** 12
_MONTHS_BACK = 12 * 15

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
_TOTALS = re.compile(r"^(?:total\b|totais\b|totales\b|resultados? de \d+|results? from \d+|resultados? d[ea]s? )")
_CURRENCY_IN_HEADER = re.compile(r"\(([A-Z]{3})\)\s*$")
# A mark with exactly three digits after up to three others proves nothing: 45.210 is _EITHER. Anything else does.
_DOT = re.compile(
    r"^-?\d{1,3}(?:,\d{3})+\.\d+$|^-?\d+\.(?:\d{1,2}|\d{4,})$"
    r"|^-?(?:0|\d{4,})\.\d{3}$|^-?\d{1,3}(?:,\d{3}){2,}$"
)
_COMMA = re.compile(
    r"^-?\d{1,3}(?:\.\d{3})+,\d+$|^-?\d+,(?:\d{1,2}|\d{4,})$"
    r"|^-?(?:0|\d{4,}),\d{3}$|^-?\d{1,3}(?:\.\d{3}){2,}$"
)
_EITHER = re.compile(r"^-?\d{1,3}[.,]\d{3}$")  # 1.234 is a thousand or one and a bit
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
class Layout:
    """How the file is written, decided from its beginning."""

    columns: dict[str, int]
    """field → position."""
    headers: list[str]
    header_line: int
    ignored: list[str]
    """Headers of the file that no field takes; told to the user."""
    currency: str
    decimals: Decimals
    dates: DateOrder
    account: str
    daily: bool


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
    params: dict[str, str]


@dataclass(frozen=True)
class TotalsLine:
    """A line that adds up others; checked against the sum, never counted."""

    line: int
    spend: Decimal | None


def field_of(header: str) -> str | None:
    """The field that Ads Manager means by this column name, None for a name it does not give."""
    return next((name for name, aliases in _NAMES.items() if _plain(header) in aliases), None)


def result_kind(result_type: str) -> ResultKind | None:
    """What a result indicator such as `actions:offsite_conversion.fb_pixel_purchase` or "Compras no site" counts."""
    words = _plain(result_type)
    return next((kind for pattern, kind in _RESULT_KINDS if re.search(pattern, words)), None)


# --- deciding -----------------------------------------------------------------------------------


def inspect(path: Path, hints: Hints) -> Layout:
    """Decide how the file is written from its first lines.

    ArgumentsWrong: import_empty, import_not_a_table(kind), import_too_wide, import_columns_unknown(missing, headers),
    import_map_unknown(field | column), import_currency_unknown, import_currencies_mixed(currencies),
    import_decimals_mixed(one, other), import_decimals_ambiguous(example), import_dates_ambiguous(example).
    """
    sample: list[tuple[int, list[Any]]] = []
    with _lines(path) as lines:
        for numbered in lines:
            sample.append(numbered)
            if len(sample) >= _SAMPLE_ROWS:
                break
    if not sample:
        raise ArgumentsWrong("import_empty", "the file has no lines")
    at, columns = _header(sample, hints)
    header_line, header = sample[at][0], [_text(cell) for cell in sample[at][1]]
    body = [cells for _, cells in sample[at + 1 :] if any(_text(c) for c in cells)]
    if not body:
        raise ArgumentsWrong("import_empty", "the file has a header and no lines")
    taken = set(columns.values())
    return Layout(
        columns=columns,
        headers=header,
        header_line=header_line,
        ignored=[name for i, name in enumerate(header) if name and i not in taken],
        currency=_currency(header, body, columns, hints),
        decimals=hints.decimals or _decimals(body, columns),
        dates=hints.dates or _date_order(body, columns, header),
        account=next((t for c in body if (t := _cell(c, columns.get("account")))), ""),
        daily="day" in columns or _one_day_each(body, columns),
    )


def _header(sample: list[tuple[int, list[Any]]], hints: Hints) -> tuple[int, dict[str, int]]:
    """The line that names the columns: the one of the first dozen with the most names that are known."""
    for name in hints.columns.values():
        if name not in FIELDS:
            raise ArgumentsWrong("import_map_unknown", f"{name!r} is no field", name=name, known=", ".join(FIELDS))
    best, best_columns = 0, {}
    for i, (_, cells) in enumerate(sample[:_HEADER_WITHIN]):
        if len(cells) > _WIDEST:
            raise ArgumentsWrong("import_too_wide", f"{len(cells)} columns", columns=len(cells), most=_WIDEST)
        columns = _match([_text(cell) for cell in cells], hints)
        if len(columns) > len(best_columns):
            best, best_columns = i, columns
    header = [_text(cell) for cell in sample[best][1]]
    given = {_plain(name) for name in header}
    if absent := [column for column in hints.columns if _plain(column) not in given]:
        raise ArgumentsWrong(
            "import_map_unknown", f"the file has no column {absent[0]!r}", name=absent[0], known=", ".join(header[:40])
        )
    missing = []
    if "spend" not in best_columns:
        missing.append("spend")
    if "day" not in best_columns and not {"since", "until"} <= best_columns.keys():
        missing.append("day")
    if not {"campaign", "adset", "ad"} & best_columns.keys():
        missing.append("campaign")
    if missing:
        shown = [name for name in header if name][:40]
        if len(best_columns) == 0 and len(shown) <= 1:
            raise ArgumentsWrong("import_not_a_table", "no column of an Ads Manager export was found", kind="text")
        raise ArgumentsWrong(
            "import_columns_unknown",
            f"no column was recognised as {', '.join(missing)}; the file has: {', '.join(shown)}",
            missing=missing,
            headers=shown,
        )
    return best, best_columns


def _match(header: list[str], hints: Hints) -> dict[str, int]:
    """field → position: what the user said, then known names, then names that are nearly known."""
    said = {_plain(column): name for column, name in hints.columns.items()}
    names = [_plain(_CURRENCY_IN_HEADER.sub("", name)) for name in header]
    known = {alias: name for name, aliases in _NAMES.items() for alias in aliases}
    columns: dict[str, int] = {}
    for i, original in enumerate(header):
        if (name := said.get(_plain(original))) is not None:
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
    found = {m[1] for name in header if (m := _CURRENCY_IN_HEADER.search(name))}
    in_rows = {_cell(cells, columns.get("currency")).upper() for cells in body} - {""}
    found |= {code for code in in_rows if re.fullmatch(r"[A-Z]{3}", code)}
    if len(found) > 1:
        raise ArgumentsWrong("import_currencies_mixed", f"the file has {sorted(found)}", currencies=sorted(found))
    if hints.currency:
        if found and found != {hints.currency}:
            raise ArgumentsWrong(
                "import_currencies_mixed", "the file says another currency", currencies=sorted(found | {hints.currency})
            )
        return hints.currency
    if found:
        return next(iter(found))
    if any("R$" in _cell(cells, columns["spend"]) for cells in body):
        return "BRL"
    raise ArgumentsWrong("import_currency_unknown", "the file does not say its currency")


def _decimals(body: list[list[Any]], columns: dict[str, int]) -> Decimals:
    """The decimal mark, from cells that can be read in one way only. Cells of a spreadsheet are numbers already."""
    comma = dot = either = ""
    for cells in body:
        for name in _NUMBERS:
            if name not in columns or columns[name] >= len(cells) or not isinstance(cells[columns[name]], str):
                continue
            text = _bare(cells[columns[name]])
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
    if comma:
        return ","
    if dot:
        return "."
    if either:
        raise ArgumentsWrong("import_decimals_ambiguous", f"{either} can be read in two ways", example=either)
    return "."  # whole numbers only: both styles read them alike


def _date_order(body: list[list[Any]], columns: dict[str, int], header: list[str]) -> DateOrder:
    example = ""
    for cells in body:
        for name in ("day", "since", "until"):
            parts = re.fullmatch(r"(\d{1,2})[/.-](\d{1,2})[/.-](\d{2,4})", _cell(cells, columns.get(name)))
            if parts:
                first, second = int(parts[1]), int(parts[2])
                if first > 12:
                    return "dmy"
                if second > 12:
                    return "mdy"
                example = example or parts[0]
    names = {_plain(name) for name in header}
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


def read(path: Path, layout: Layout, *, today: date) -> Iterator[Row | Bad | TotalsLine]:
    """Every line after the header, in order. `today` is that of the account's zone: later days are refused."""
    with _lines(path) as lines:
        for line, cells in lines:
            if line > layout.header_line and any(_text(cell) for cell in cells):
                yield _row(line, cells, layout, today)


def _row(line: int, cells: Sequence[Any], layout: Layout, today: date) -> Row | Bad | TotalsLine:
    columns = layout.columns
    if any(isinstance(cell, str) and len(cell) > _LONGEST_CELL for cell in cells):
        return Bad(line, "import.bad.cell_too_long", {})
    names = {name: _cell(cells, columns.get(name)) for name in ("campaign", "adset", "ad")}
    numbers: dict[str, Decimal | None] = {}
    for name in _NUMBERS:
        if name in columns:
            value = _number(cells[columns[name]] if columns[name] < len(cells) else None, layout.decimals)
            if isinstance(value, str):
                return Bad(line, "import.bad.number", {"column": layout.headers[columns[name]], "value": value[:60]})
            numbers[name] = value
    if not any(names.values()) or any(_TOTALS.match(_plain(name)) for name in names.values() if name):
        return TotalsLine(line, numbers.get("spend"))
    for name, number in numbers.items():
        if number is not None and (
            number < 0 or number > _ABSURD or (name in _WHOLE and number != number.to_integral_value())
        ):
            reason = "negative" if number < 0 else "absurd"
            return Bad(line, f"import.bad.{reason}", {"column": layout.headers[columns[name]], "value": str(number)})
    currency = _cell(cells, columns.get("currency")).upper()
    if currency and currency != layout.currency:
        return Bad(line, "import.bad.currency", {"value": currency[:10], "expected": layout.currency})
    days = []
    for name in ("day", "day") if "day" in columns else ("since", "until"):
        cell = cells[columns[name]] if columns[name] < len(cells) else None
        day = _day(cell, layout.dates)
        if day is None:
            return Bad(line, "import.bad.date", {"column": layout.headers[columns[name]], "value": _text(cell)[:60]})
        days.append(day)
    since, until = days
    if until < since:
        return Bad(line, "import.bad.dates_reversed", {"value": f"{since} – {until}"})
    if until > today:
        return Bad(line, "import.bad.future", {"value": until.isoformat()})
    if since < today - timedelta(days=_MONTHS_BACK * 31):
        return Bad(line, "import.bad.too_old", {"value": since.isoformat()})
    return Row(
        line, since, until, names["campaign"], names["adset"], names["ad"],
        _cell(cells, columns.get("status")), _cell(cells, columns.get("objective")), _cell(cells, columns.get("result_type")),
        numbers,
    )  # fmt: skip


def _number(cell: Any, decimals: Decimals) -> Decimal | None | str:
    """A number, None where the cell is empty, or the text itself when it is no number."""
    if cell is None:
        return None
    if isinstance(cell, bool):
        return str(cell)
    if isinstance(cell, (int, float)):
        return Decimal(str(cell)) if cell == cell else None
    text = _bare(cell)
    if text.casefold() in _EMPTY:
        return None
    grouped = r"-?(?:\d+|\d{1,3}(?:%s\d{3})+)(?:%s\d+)?"
    pattern = grouped % ((r"\.", ",") if decimals == "," else (",", r"\."))
    if not re.fullmatch(pattern, text):
        return str(cell).strip()
    text = text.replace(".", "").replace(",", ".") if decimals == "," else text.replace(",", "")
    try:
        return Decimal(text)
    except InvalidOperation:
        return str(cell).strip()


def _day(cell: Any, order: DateOrder) -> date | None:
    if isinstance(cell, datetime):
        return cell.date()
    if isinstance(cell, date):
        return cell
    text = _text(cell)
    try:
        if iso := re.match(r"(\d{4})-(\d{2})-(\d{2})(?:[T ]|$)", text):
            return date(int(iso[1]), int(iso[2]), int(iso[3]))
        if parts := re.fullmatch(r"(\d{1,2})[/.-](\d{1,2})[/.-](\d{4}|\d{2})", text):
            first, second, year = int(parts[1]), int(parts[2]), int(parts[3])
            year += 2000 if year < 100 else 0
            return date(year, second, first) if order == "dmy" else date(year, first, second)
    except ValueError:
        return None
    return None


# --- lines of a file ----------------------------------------------------------------------------


@contextmanager
def _lines(path: Path) -> Iterator[Iterator[tuple[int, list[Any]]]]:
    """(line number, cells) of a CSV or of the first sheet of an XLSX, one at a time."""
    with path.open("rb") as file:
        start = file.read(8)
    if not start.strip():
        raise ArgumentsWrong("import_empty", "the file is empty")
    if start.startswith(b"PK"):
        yield from _with_sheet(path)
    else:
        _refuse_binary(path, start)
        encoding = _encoding(path)
        with path.open(encoding=encoding, newline="", errors="strict" if encoding != "cp1252" else "replace") as text:
            beginning = text.read(65_536)
            text.seek(0)
            yield _csv_lines(text, _delimiter(beginning))


def _csv_lines(text: io.TextIOBase, delimiter: str) -> Iterator[tuple[int, list[Any]]]:
    reader = csv.reader(text, delimiter=delimiter)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num, list(cells)
    except csv.Error as error:
        raise ArgumentsWrong("import_not_a_table", f"line {reader.line_num}: {error}", kind="broken") from None
    except UnicodeDecodeError as error:
        raise ArgumentsWrong(
            "import_not_a_table", f"after line {reader.line_num}: {error.reason}", kind="broken"
        ) from None


def _with_sheet(path: Path) -> Iterator[Iterator[tuple[int, list[Any]]]]:
    """The first sheet. openpyxl reads its XML through defusedxml, which is installed for it; sizes are checked before."""
    from openpyxl import load_workbook

    try:
        with zipfile.ZipFile(path) as archive:
            parts = {info.filename: info.file_size for info in archive.infolist()}
    except zipfile.BadZipFile:
        raise ArgumentsWrong("import_not_a_table", "a broken archive", kind="broken") from None
    if "xl/workbook.xml" not in parts:
        raise ArgumentsWrong("import_not_a_table", "an archive that is no workbook", kind="zip")
    if sum(parts.values()) > _XLSX_UNPACKED or parts.get("xl/sharedStrings.xml", 0) > _XLSX_STRINGS:
        raise ArgumentsWrong("import_too_large_unpacked", "the workbook unpacks to more than is safe")
    try:
        book = load_workbook(path, read_only=True, data_only=True)
    except Exception as error:  # openpyxl raises whatever its XML meets
        raise ArgumentsWrong("import_not_a_table", f"{type(error).__name__} in the workbook", kind="broken") from None
    try:
        sheet = book.worksheets[0]
        yield ((i, list(cells)) for i, cells in enumerate(sheet.iter_rows(values_only=True), 1) if _any(cells))
    finally:
        book.close()


def _any(cells: Sequence[Any]) -> bool:
    return any(cell is not None and str(cell).strip() for cell in cells)


def _refuse_binary(path: Path, start: bytes) -> None:
    kinds = {
        b"%PDF": "pdf",
        b"\x89PNG": "image",
        b"\xff\xd8\xff": "image",
        b"GIF8": "image",
        b"\xd0\xcf\x11\xe0": "xls",
    }
    for magic, kind in kinds.items():
        if start.startswith(magic):
            raise ArgumentsWrong("import_not_a_table", f"a {kind} file", kind=kind)
    with path.open("rb") as file:
        beginning = file.read(65_536)
    if b"\x00" in beginning and not beginning.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ArgumentsWrong("import_not_a_table", "a binary file", kind="binary")


def _encoding(path: Path) -> str:
    """UTF-8 (with or without mark), UTF-16 with mark, else Windows' Western European, which Excel in Brazil writes."""
    with path.open("rb") as file:
        beginning = file.read(1_000_000)
    if beginning.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    try:
        # The cut may go through a character: an incremental decoder waits for its rest.
        codecs.getincrementaldecoder("utf-8")().decode(beginning)
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8-sig"


def _delimiter(beginning: str) -> str:
    """The mark that cuts the first lines into the same number of cells, most cells first."""
    lines = beginning.splitlines()[:20]
    counts: dict[str, int] = {}
    for mark in (",", ";", "\t", "|"):
        try:
            widths = [len(cells) for cells in csv.reader(lines[:-1] or lines, delimiter=mark) if cells]
        except csv.Error:
            continue
        if widths:
            usual = max(set(widths), key=widths.count)
            counts[mark] = usual if widths.count(usual) * 2 >= len(widths) else 1
    return max(counts, key=lambda mark: counts[mark], default=",")


def _text(cell: Any) -> str:
    return "" if cell is None else str(cell).replace("\x00", "").strip()


def _cell(cells: Sequence[Any], position: int | None) -> str:
    return "" if position is None or position >= len(cells) else _text(cells[position])


def _bare(text: str) -> str:
    """A number without its currency sign, percent sign and spaces."""
    return re.sub(r"[\s\u00a0\u202f%]|R\$|US\$|[$€£]|[A-Z]{3}", "", text)


def _plain(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.casefold().strip())
    return " ".join("".join(c for c in decomposed if not unicodedata.combining(c)).split())
