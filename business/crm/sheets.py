"""Tables of people and companies, as CSV or XLSX: read line by line, never held in memory, and written so that no
spreadsheet takes a name for a formula.

A cell that begins with = + - @ would be run by Excel when somebody opens the file (OWASP, "CSV Injection"): it is
written with an apostrophe in front, which reading takes away again.
"""

import codecs
import csv
import io
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

import yaml

from business.crm.identity import KeyKind
from business.crm.model import CompanyData, ContactData, CustomField, Data, Source, Subject
from core.errors import ArgumentsWrong
from core.words import folded

_HEADER_WITHIN = 10  # lines
_LONGEST_LINE = 200_000  # characters
_UNPACKED = 600_000_000  # bytes of an XLSX
_STRINGS = 60_000_000  # bytes of shared strings, which are held in memory
_FORMULA = re.compile(r"[=+\-@\t\r\n＝＋－＠]")
_NUMBER = re.compile(r"-?\d+(?:[.,]\d+)?")
_ILLEGAL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_KEYS = {str(kind): kind for kind in KeyKind}
_NAMING = {
    Subject.CONTACT: {"name", "first_name", "last_name", *_KEYS},
    Subject.COMPANY: {"trade_name", "legal_name", *_KEYS},
}


@dataclass(frozen=True)
class Layout:
    """How a file is read: which column is which field ("custom.<name>" for the tenant's own)."""

    subject: Subject
    columns: dict[int, str]
    headers: list[str]
    ignored: list[str]
    """Headers that no field takes."""
    header_line: int
    encoding: str
    """Empty for a workbook."""
    delimiter: str

    def named(self) -> dict[str, str]:
        """Header → field, to be shown."""
        return {self.headers[place]: name for place, name in self.columns.items()}


@dataclass(frozen=True)
class Line:
    """One line of a file: its number, the header being among them, and its cells; None where it cannot be cut."""

    number: int
    cells: list[str] | None = field(repr=False)


# --- reading --------------------------------------------------------------------------------------


def inspect(
    path: Path,
    *,
    subject: Subject | None = None,
    columns: dict[str, str] | None = None,
    custom: Iterable[CustomField] = (),
) -> Layout:
    """Find out how a file is written. `columns` maps headers to fields where the names do not say it.

    ArgumentsWrong: crm_import_empty, crm_import_not_a_table (kind), crm_import_columns_unknown (headers),
    crm_import_map_unknown (name, known), crm_import_too_large.
    """
    encoding = _encoding(path)
    delimiter = "" if not encoding else _delimiter(path, encoding)
    beginning = []
    with _opened(path, encoding, delimiter) as lines:
        for line in lines:
            beginning.append(line)
            if len(beginning) > _HEADER_WITHIN:
                break
    if not beginning:
        raise ArgumentsWrong("crm_import_empty", "the file has no lines")
    own = list(custom)
    subjects = [subject] if subject else [Subject.CONTACT, Subject.COMPANY]
    subjects = _that_have(subjects, columns or {}, own)
    best: tuple[float, Line, Subject, dict[int, str]] | None = None
    for line in beginning[:_HEADER_WITHIN]:
        for one in subjects:
            found = _match(line.cells or [], one, columns or {}, own)
            known = len(found) + _leaning(found, one)
            if set(found.values()) & _NAMING[one] and (best is None or known > best[0]):
                best = (known, line, one, found)
    if best is None:
        headers = ", ".join(cell[:40] for cell in (beginning[0].cells or [])[:12] if cell)
        raise ArgumentsWrong("crm_import_columns_unknown", "no column is known", headers=headers)
    _, header, chosen, found = best
    cells = header.cells or []
    ignored = [cell for place, cell in enumerate(cells) if cell and place not in found]
    return Layout(chosen, found, cells, ignored, header.number, encoding, delimiter)


def _that_have(subjects: list[Subject], told: dict[str, str], custom: list[CustomField]) -> list[Subject]:
    """Those of the subjects that have every field which was told. ArgumentsWrong("crm_import_map_unknown")."""
    known = {
        one: {*column_names(one).values(), *(f"custom.{own.name}" for own in custom if own.subject == one), ""}
        for one in subjects
    }
    fitting = [one for one in subjects if {_field_said(name, one) for name in told.values()} <= known[one]]
    if not fitting:
        everything = set().union(*known.values())
        wrong = min({*told.values()} - everything or {*told.values()})
        listed = ", ".join(sorted(everything - {""}))
        raise ArgumentsWrong("crm_import_map_unknown", f"no field {wrong!r}", name=wrong, known=listed)
    return fitting


def _leaning(found: dict[int, str], subject: Subject) -> float:
    """What only companies have (a legal name, an activity) makes a list one of companies."""
    names = set(found.values())
    if subject is Subject.COMPANY:
        return 0.5 if names & {"legal_name", "main_cnae", "registry_status", "opened_on", "size"} else -0.5
    return 0.25 if names & {"cpf", "title", "company_name", "first_name", "last_name"} else 0


def _match(cells: Sequence[str], subject: Subject, told: dict[str, str], custom: list[CustomField]) -> dict[int, str]:
    names = column_names(subject)
    own = {
        folded(text): f"custom.{one.name}" for one in custom if one.subject == subject for text in (one.name, one.label)
    }
    wanted = {folded(header): _field_said(name, subject) for header, name in told.items()}
    found: dict[int, str] = {}
    for place, cell in enumerate(cells[:200]):
        header = folded(cell)
        bare = re.sub(r" ?\d+$", "", header)  # telefone 2
        field_name = wanted.get(header, own.get(header, names.get(header) or names.get(bare)))
        if field_name and (field_name in _KEYS or field_name == "tags" or field_name not in found.values()):
            found[place] = field_name
    return found


def _field_said(name: str, subject: Subject) -> str:
    """A field by its name, or by what people call it: "telefone" is phone."""
    names = column_names(subject)
    return name if name in names.values() else names.get(folded(name), name)


def column_names(subject: Subject) -> dict[str, str]:
    """Folded header → field, of all languages."""
    return {header: name for name, of in _columns()[subject].items() for headers in of.values() for header in headers}


def _columns() -> dict[str, dict[str, dict[str, list[str]]]]:
    text = (Path(__file__).parent / "columns.yaml").read_text(encoding="utf-8")
    loaded: dict[str, dict[str, dict[str, list[str]]]] = yaml.safe_load(text)
    return loaded


def read(path: Path, layout: Layout) -> Iterator[Line]:
    """The lines below the header that have anything in them."""
    with _opened(path, layout.encoding, layout.delimiter) as lines:
        for line in lines:
            if line.number > layout.header_line and (line.cells is None or any(line.cells)):
                yield line


def as_data(layout: Layout, line: Line, source: Source, *, purpose: str | None, tags: tuple[str, ...]) -> Data:
    """What a line tells. ArgumentsWrong("crm_row_cut")."""
    cells = line.cells
    if cells is None or any(cells[len(layout.headers) :]):
        raise ArgumentsWrong("crm_row_cut", "more cells than the header has")
    values: dict[str, Any] = {}
    keys: list[tuple[KeyKind, str]] = []
    labels = list(tags)
    custom: dict[str, Any] = {}
    for place, name in layout.columns.items():
        cell = cells[place] if place < len(cells) else ""
        if not cell:
            continue
        if name in _KEYS:
            keys.append((_KEYS[name], cell))
        elif name == "tags":
            labels += re.split(r"[,;|]", cell)
        elif name.startswith("custom."):
            custom[name.removeprefix("custom.")] = cell
        else:
            values[name] = cell
    more: dict[str, Any] = {"keys": tuple(keys), "tags": tuple(labels), "custom": custom, "purpose": purpose}
    if layout.subject is Subject.CONTACT:
        parts = [values.pop("first_name", ""), values.pop("last_name", "")]
        if whole := " ".join(part for part in parts if part):
            values.setdefault("name", whole)
        return ContactData(source=source, **values, **more)
    opened = _day(values.pop("opened_on", ""))
    for name in ("main_cnae", "cep", "city_code"):
        if name in values:
            values[name] = re.sub(r"\D", "", values[name])
    return CompanyData(source=source, opened_on=opened, **values, **more)


def _day(text: str) -> date | None:
    if parts := re.fullmatch(r"(\d{1,2})[/.-](\d{1,2})[/.-](\d{4})", text):
        text = f"{parts[3]}-{int(parts[2]):02d}-{int(parts[1]):02d}"
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        return None


# --- lines ----------------------------------------------------------------------------------------


def _encoding(path: Path) -> str:
    """UTF-8, UTF-16, or Windows' Western European, which Excel writes; empty for a workbook."""
    with path.open("rb") as file:
        start = file.read(4096)
        if start.startswith(b"PK"):
            return ""
        if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "utf-16"
        if b"\x00" in start or start.startswith((b"%PDF", b"\xd0\xcf\x11\xe0")):
            raise ArgumentsWrong("crm_import_not_a_table", "a binary file", kind="binary")
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            piece = start
            while piece:
                decoder.decode(piece)
                piece = file.read(1_048_576)
        except UnicodeDecodeError:
            return "cp1252"
    return "utf-8-sig"


def _delimiter(path: Path, encoding: str) -> str:
    with path.open(encoding=encoding, newline="", errors="replace") as text:
        beginning = text.read(16_384).splitlines()[:_HEADER_WITHIN]
    counts = {mark: max((line.count(mark) for line in beginning), default=0) for mark in (";", "\t", ",", "|")}
    return max(counts, key=lambda mark: counts[mark])


@contextmanager
def _opened(path: Path, encoding: str, delimiter: str) -> Iterator[Iterator[Line]]:
    if encoding:
        with path.open(encoding=encoding, newline="", errors="replace") as text:
            yield _of_csv(text, delimiter)
        return
    try:
        with zipfile.ZipFile(path) as archive:
            parts = {info.filename: info.file_size for info in archive.infolist()}
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        raise ArgumentsWrong("crm_import_not_a_table", "a broken archive", kind="zip") from None
    if "xl/workbook.xml" not in parts:
        raise ArgumentsWrong("crm_import_not_a_table", "an archive that is no workbook", kind="zip")
    if sum(parts.values()) > _UNPACKED or parts.get("xl/sharedStrings.xml", 0) > _STRINGS:
        raise ArgumentsWrong("crm_import_too_large", "the workbook unpacks to more than is safe")
    from openpyxl import load_workbook  # reads its XML through defusedxml

    with path.open("rb") as file:
        try:
            book = load_workbook(file, read_only=True, data_only=True)
            sheet = book.worksheets[0]
            sheet.reset_dimensions()
        except Exception as error:  # openpyxl raises whatever its XML meets
            raise ArgumentsWrong("crm_import_not_a_table", type(error).__name__, kind="xlsx") from None
        try:
            yield _of_sheet(sheet)
        finally:
            book.close()


def _of_csv(text: io.TextIOBase, delimiter: str) -> Iterator[Line]:
    reader = csv.reader(iter(lambda: text.readline(_LONGEST_LINE), ""), delimiter=delimiter)
    first = 1
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield Line(first, None)
        else:
            yield Line(first, [_text(cell) for cell in cells])
        first = reader.line_num + 1


def _of_sheet(sheet: Any) -> Iterator[Line]:
    rows = sheet.iter_rows(values_only=True)
    number = 0
    while True:
        number += 1
        try:
            cells = next(rows, None)
        except Exception as error:  # openpyxl raises whatever its XML meets
            raise ArgumentsWrong("crm_import_not_a_table", type(error).__name__, kind="xlsx") from None
        if cells is None:
            return
        yield Line(number, [_text(cell) for cell in cells])


def _text(cell: Any) -> str:
    if cell is None:
        return ""
    if isinstance(cell, datetime):
        return cell.date().isoformat()
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))  # a telephone that the spreadsheet took for a number
    text = str(cell).strip()
    return text[1:] if len(text) > 1 and text[0] == "'" and _FORMULA.match(text[1]) else text


# --- writing --------------------------------------------------------------------------------------


def harmless(value: object) -> str:
    """A cell that no spreadsheet runs."""
    text = _ILLEGAL.sub("", "" if value is None else str(value))
    if _FORMULA.match(text.lstrip(" \u00a0")[:1]) and not _NUMBER.fullmatch(text):
        return f"'{text}"
    return text


def headers(subject: Subject, language: str) -> dict[str, str]:
    """Field → header in a language, in the order of an export."""
    names = {name: of.get(language, of["pt-BR"])[0] for name, of in _columns()[subject].items()}
    return {name: text for name, text in names.items() if name not in ("first_name", "last_name")}


class TableWriter:
    """Writes a CSV (with `;` and a byte order mark, as Excel in Brazil opens it) or an XLSX, row by row."""

    def __init__(self, path: Path, *, workbook: bool) -> None:
        self._path = path
        self._book: Any = None
        if workbook:
            from openpyxl import Workbook

            self._book = Workbook(write_only=True)
            self._sheet = self._book.create_sheet("CRM")
        else:
            self._file = path.open("w", encoding="utf-8-sig", newline="")
            self._csv = csv.writer(self._file, delimiter=";")

    def row(self, cells: Iterable[object]) -> None:
        made = [harmless(cell) for cell in cells]
        if self._book is None:
            self._csv.writerow(made)
        else:
            self._sheet.append(made)

    def close(self) -> None:
        if self._book is None:
            self._file.close()
        else:
            self._book.save(self._path)
