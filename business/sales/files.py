"""Where a company's sales files lie: `<data>/tenants/<slug>/sales/`, each of them optional.

    persona.yaml      who speaks                     playbook.yaml   how it sells
    catalogue.csv     what it costs (or .yaml)       qualify.yaml    how a lead is scored
    documents/        text and Markdown files that answers may be taken from

The sample company of the sandbox has those in business/sales/sample. Any other company without files gets a neutral
voice with its own name, no prices and no documents: nothing is sold that nobody wrote down.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from business.sales.catalogue import Catalogue, parse_catalogue
from business.sales.fields import LARGEST
from business.sales.playbook import Persona, Playbook, parse_persona, parse_playbook
from business.sales.score import Rules, default_rules, parse_rules
from core.errors import ArgumentsWrong

T = TypeVar("T")
SAMPLE_SLUG = "agencia-ipe"
SAMPLE = Path(__file__).with_name("sample")
DOCUMENT_ENDINGS = frozenset({".md", ".markdown", ".txt"})
LARGEST_DOCUMENT = 1_000_000  # bytes
MOST_DOCUMENTS = 500
_NAMES = ("persona.yaml", "playbook.yaml", "catalogue.csv", "catalogue.yaml", "qualify.yaml")


@dataclass(frozen=True)
class SalesFile:
    """All files of a company, read."""

    persona: Persona
    playbook: Playbook
    catalogue: Catalogue
    rules: Rules


class SalesFiles:
    """The files of all companies; read again when one of them changes."""

    def __init__(self, data_dir: Path) -> None:
        self._root = data_dir / "tenants"
        self._read: dict[tuple[str, str], tuple[tuple[tuple[str, int, int], ...], SalesFile]] = {}

    def folder(self, slug: str) -> Path:
        """Where this company's files belong, whether there are any or not."""
        return self._root / slug / "sales"

    def of(self, slug: str, company: str) -> SalesFile:
        """The files of the company `slug`, called `company` where no persona says otherwise.

        ArgumentsWrong: sales_file_unreadable (file, detail), sales_file_field (file, where, detail),
        sales_catalogue_twice (file, code).
        """
        paths = {name: path for name in _NAMES if (path := self._path(slug, name))}
        stamp = tuple((str(p), (s := p.stat()).st_mtime_ns, s.st_size) for p in paths.values())
        kept = self._read.get((slug, company))
        if kept is None or kept[0] != stamp:
            kept = (stamp, _read(paths, company))
            self._read[slug, company] = kept
        return kept[1]

    def documents(self, slug: str) -> Iterator[Path]:
        """The text and Markdown files of the documents folder and below, by path; at most 500. Links are not followed
        out of it."""
        folder = self.folder(slug) / "documents"
        if not folder.is_dir() and slug == SAMPLE_SLUG:
            folder = SAMPLE / "documents"
        if not folder.is_dir():
            return
        inside = folder.resolve()
        found = 0
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() not in DOCUMENT_ENDINGS or not path.is_file():
                continue
            if not path.resolve().is_relative_to(inside):
                continue
            found += 1
            if found > MOST_DOCUMENTS:
                return
            yield path

    def documents_folder(self, slug: str) -> Path:
        """The folder that `documents` looks through."""
        folder = self.folder(slug) / "documents"
        return SAMPLE / "documents" if not folder.is_dir() and slug == SAMPLE_SLUG else folder

    def _path(self, slug: str, name: str) -> Path | None:
        own = self.folder(slug) / name
        if own.is_file():
            return own
        stem = name.split(".")[0]
        if stem == "catalogue" and any((self.folder(slug) / f"catalogue.{end}").is_file() for end in ("csv", "yaml")):
            return None  # their own of the other form
        shipped = SAMPLE / name
        return shipped if slug == SAMPLE_SLUG and shipped.is_file() else None


def _read(paths: dict[str, Path], company: str) -> SalesFile:
    def parsed(name: str, parse: Callable[[str, str], T], otherwise: T) -> T:
        path = paths.get(name)
        return otherwise if path is None else parse(_text(path), str(path))

    catalogue = next((name for name in ("catalogue.csv", "catalogue.yaml") if name in paths), "")
    return SalesFile(
        parsed("persona.yaml", parse_persona, Persona(name="Mutirão", company=company)),
        parsed("playbook.yaml", parse_playbook, Playbook()),
        parsed(catalogue, parse_catalogue, Catalogue()),
        parsed("qualify.yaml", parse_rules, default_rules()),
    )


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST * 4:
            raise ArgumentsWrong("sales_file_unreadable", "too long", file=str(path), detail=f"> {LARGEST}")
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ArgumentsWrong("sales_file_unreadable", "not UTF-8", file=str(path), detail="UTF-8") from None
    except OSError as error:
        detail = error.strerror or "?"
        raise ArgumentsWrong("sales_file_unreadable", detail, file=str(path), detail=detail) from None
