"""What a company sells and for how much. The only place that prices come from: what is not in it has no price.

A YAML file (`items:`) or a table (catalogue.csv, separated by `,` or `;`) with the columns code, name, price, currency,
unit, description, words. A price is written as people do (1.490,00 or 1490.00); without one the item is "on request".
"""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pydantic import Field

from business.sales.fields import LARGEST, Part, checked, read_yaml
from core.errors import ArgumentsWrong
from core.money import Money
from core.words import folded

_MOST_ITEMS = 1_000
_COLUMNS = ("code", "name", "price", "currency", "unit", "description", "words")
_PRICE = re.compile(r"\d{1,3}(?:\.\d{3})*,\d{1,2}|\d{1,3}(?:,\d{3})+\.\d{1,2}|\d{1,3}(?:\.\d{3})+|\d+(?:[.,]\d{1,2})?")
_COMMON = frozenset(
    "de da do das dos para por com sem um uma o a os as e em no na que qual quanto custa preco precos valor valores"
    " plano planos the of for and with how much price cost plan plans el la los las un una y en"
    " cuanto cuesta precio planes me"
    " voces servico servicos service services servicio servicios mes month oi ola tudo todo"
    " bem bom boa dia tarde noite tem fica sai".split()
)


@dataclass(frozen=True)
class Item:
    """`price` None: told on request. `unit`: what it is for, such as "por mês". `words`: what else people call it."""

    code: str
    name: str
    price: Money | None
    unit: str = ""
    description: str = ""
    words: tuple[str, ...] = ()


class _Raw(Part):
    code: str = Field(min_length=1, max_length=60)
    name: str = Field(min_length=1, max_length=200)
    price: str | int | Decimal | None = None
    currency: str = Field("BRL", pattern=r"^[A-Z]{3}$")
    unit: str = Field("", max_length=80)
    description: str = Field("", max_length=1_000)
    words: list[str] = Field(default_factory=list)


class _File(Part):
    version: int = 1
    items: list[dict[str, Any]] = Field(max_length=_MOST_ITEMS)


@dataclass(frozen=True)
class Catalogue:
    items: tuple[Item, ...] = ()

    @property
    def prices(self) -> list[Money]:
        return [item.price for item in self.items if item.price is not None]

    def search(self, query: str, most: int = 5) -> list[Item]:
        """The items that share a word with the query, the best first; at most `most`, empty for none."""
        wanted = [_stem(word) for word in folded(query).split() if word not in _COMMON]
        ranked = sorted(
            ((_fit(item, wanted), -place, item) for place, item in enumerate(self.items)), key=lambda one: one[:2]
        )
        return [item for fit, _, item in reversed(ranked) if fit > 0][:most]

    def named_in(self, text: str) -> list[Item]:
        """The items that a text names: by their whole name or one of their words, the longest name first."""
        said = f" {folded(text)} "
        found = []
        for item in self.items:
            names = [folded(one) for one in (item.name, item.code, *item.words)]
            if hits := [name for name in names if name and f" {name} " in said]:
                found.append((max(len(hit) for hit in hits), item))
        return [item for _, item in sorted(found, key=lambda one: -one[0])]


def parse_catalogue(text: str, name: str) -> Catalogue:
    """`name` ends in .csv or .yaml. ArgumentsWrong: sales_file_unreadable (file, detail), sales_file_field (file,
    where, detail), sales_catalogue_twice (file, code)."""
    rows = _of_table(text, name) if name.endswith(".csv") else read_yaml(text, _File, name).items
    items, codes = [], set()
    for place, row in enumerate(rows, 1):
        where = f"line {place + 1}" if name.endswith(".csv") else f"items.{place}"
        raw = checked(row, _Raw, name, where)
        if folded(raw.code) in codes:
            raise ArgumentsWrong("sales_catalogue_twice", f"{raw.code} twice", file=name, code=raw.code)
        codes.add(folded(raw.code))
        words = tuple(word.strip() for word in raw.words if word.strip())
        items.append(Item(raw.code, raw.name, _price(raw, name, where), raw.unit, raw.description, words))
    return Catalogue(tuple(items))


def _of_table(text: str, name: str) -> list[dict[str, Any]]:
    text = text.lstrip("\ufeff")
    if len(text) > LARGEST:
        raise ArgumentsWrong("sales_file_unreadable", "too long", file=name, detail=f"> {LARGEST}")
    header = text.split("\n", 1)[0]
    reader = csv.DictReader(io.StringIO(text), delimiter=";" if header.count(";") > header.count(",") else ",")
    columns = [(column or "").strip().lower() for column in reader.fieldnames or []]
    if not {"code", "name"} <= set(columns) or set(columns) - set(_COLUMNS):
        detail = ", ".join(_COLUMNS)
        raise ArgumentsWrong("sales_file_field", f"columns: {columns}", file=name, where="line 1", detail=detail)
    reader.fieldnames = columns
    rows: list[dict[str, Any]] = []
    for row in reader:
        if None in row:
            raise ArgumentsWrong(
                "sales_file_field",
                "too many cells",
                file=name,
                where=f"line {len(rows) + 2}",
                detail=f"> {len(columns)}",
            )
        given = {column: value.strip() for column, value in row.items() if value and value.strip()}
        if not given:
            continue
        words = given.pop("words", "")
        rows.append({**given, "words": [one for one in re.split(r"[|/]", words) if one.strip()]})
        if len(rows) > _MOST_ITEMS:
            raise ArgumentsWrong("sales_file_unreadable", "too many", file=name, detail=f"> {_MOST_ITEMS}")
    return rows


def _price(raw: _Raw, name: str, where: str) -> Money | None:
    if raw.price is None or raw.price == "":
        return None
    digits = re.sub(r"^(?:R\$|US\$|\$|€)\s*|\s+", "", str(raw.price))
    if not _PRICE.fullmatch(digits):
        detail = f"{str(raw.price)[:40]!r}: 1490.00"
        raise ArgumentsWrong("sales_file_field", detail, file=name, where=f"{where}.price", detail=detail)
    whole, mark, cents = digits, "", ""
    if found := re.search(r"[.,](\d{1,2})$", digits):
        whole, mark, cents = digits[: found.start()], ".", found[1]
    return Money(Decimal(re.sub(r"[.,]", "", whole) + mark + cents), raw.currency)


def _fit(item: Item, wanted: Sequence[str]) -> int:
    named = {_stem(word) for one in (item.name, item.code, *item.words) for word in folded(one).split()}
    told = {_stem(word) for word in folded(item.description).split() if len(word) > 4}
    return sum(3 if word in named else 1 if word in told else 0 for word in wanted)


def _stem(word: str) -> str:
    """So much of a word as its plural has, too: "anúncio" and "anúncios"."""
    return word[:-1] if len(word) > 3 and word.endswith("s") else word
