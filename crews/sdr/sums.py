"""Whether an amount in a reply that nobody wrote is rightly made of those that are known: totals, and differences.

It is right only where the sentence, the item, the months and the price agree: "o Crescimento em 12 meses dá
R$ 34.680,00", and nothing that another plan comes to. Portuguese, English, Spanish.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from itertools import combinations, permutations

from core.words import plain
from crews.sdr.money import Amount, Names, amounts

_MOST_MONTHS = 12


@dataclass(frozen=True)
class Shown:
    """What a text shows that its sums may be made of: amounts that are known, items by name, and months counted."""

    amounts: frozenset[Decimal]
    items: frozenset[str]
    months: frozenset[int]

    @classmethod
    def of(cls, sentences: Iterable[str], known: frozenset[Decimal], names: Names) -> "Shown":
        whole = "\n".join(sentences)
        return cls(
            frozenset(value for value, _ in amounts(whole) if value in known),
            frozenset(name for *_, name in names.find(whole)),
            months_in(plain(whole)),
        )


def adds_up(one: Amount, sentence: str, text: Shown, prices: Iterable[Amount], names: Names) -> bool:
    """Whether it is a sum of amounts that the text shows (or of an item's price and what the sentence adds to it), such
    a sum or a monthly price for as many months as are counted, or what two monthly prices differ by."""
    said = plain(sentence)
    listed = [price for price in prices if price.item]
    inside = {name for *_, name in names.find(sentence)}
    if _differ(one, sentence, text, listed, names):
        return True
    shown = {value for value in text.amounts if not one.item or _part_of(value, {one.item}, listed)}
    if one.value in _two_or_three(shown):
        return True
    item = {one.item} if one.item else inside if len(inside) == 1 else set()
    own = {price.value for price in listed if price.item in (item or text.items) and "month" in price.per}
    added = _added(said, text, listed)
    if item and one.value in {price + value for price in own for value in added}:
        return True
    parts = {value for value in text.amounts if _monthly(value, listed)}
    parts = {value for value in parts if not item or _part_of(value, item, listed)} | own
    if not item:
        parts |= _two_or_three({value for value in parts if value in text.amounts})
    elif added:
        parts |= {price + value for price in own for value in added}
    months = months_in(said) or text.months
    return "month" not in one.per and any(value * count == one.value for value in parts for count in months)


def _two_or_three(values: set[Decimal]) -> set[Decimal]:
    return {sum(some, Decimal(0)) for count in (2, 3) for some in combinations(sorted(values), count)}


def _part_of(value: Decimal, items: set[str], listed: list[Amount]) -> bool:
    """Whether it is one of these items' prices, or the price of none."""
    whose = {price.item for price in listed if price.value == value}
    return not whose or bool(whose & items)


def _monthly(value: Decimal, listed: list[Amount]) -> bool:
    """Whether it can be paid each month: no price of the catalogue says that it is for something else."""
    told = [price.per for price in listed if price.value == value and price.per]
    return not told or any("month" in per for per in told)


# --- added --------------------------------------------------------------------------------------------

_TOGETHER = re.compile(r"\b(?:som\w+|ao todo|total|junt\w+|(?:al)?together|sum\w+|en conjunto)\b")
_PLUS = re.compile(r"\b(?:com|mais|incluindo|with|plus|including|con|mas)\b[^,;.]{0,40}(?:, a partir de )?$")


def _added(said: str, text: Shown, listed: list[Amount]) -> set[Decimal]:
    """What the sentence adds to a price, such as the money for the ads: the price of no item."""
    free = {value for value in text.amounts if _part_of(value, set(), listed)}
    if _TOGETHER.search(said):
        return free
    return {value for value, words in amounts(said) if value in free and _PLUS.search(said[: said.find(words)])}


# --- months -------------------------------------------------------------------------------------------

_MONTHS = re.compile(
    r"\b(?P<count>\d{1,2}|[a-z]+)\s+(?:meses|mensalidades|months|mensualidades)\b"
    r"|\b(?:(?:o|no|do|ao|por|um|1|a|per|one|el|al|un) (?:ano|year)|anua(?:l|is|les)|yearly|annual(?:ly)?)\b"
)
_COUNTS = {
    word: count
    for words in (
        "dois tres quatro cinco seis sete oito nove dez onze doze",
        "two three four five six seven eight nine ten eleven twelve",
        "dos tres cuatro cinco seis siete ocho nueve diez once doce",
    )
    for count, word in enumerate(words.split(), 2)
}


def months_in(said: str) -> frozenset[int]:
    """How many months a text in plain letters counts, 2 to 12; a year is 12."""
    told = (found["count"] for found in _MONTHS.finditer(said))
    counts = (12 if one is None else int(one) if one.isdigit() else _COUNTS.get(one, 0) for one in told)
    return frozenset(count for count in counts if 2 <= count <= _MOST_MONTHS)


# --- differences --------------------------------------------------------------------------------------

_DIFFERENCE = re.compile(r"\b(?:diferen[cs]a|diferencia|difference)\b")
_MORE = re.compile(r"\b(?:a mais|more|mas)\b.{0,30}?\b(?:que|than)\s+(?:(?:o|a|the|el|la)\s+)?")


def _differ(one: Amount, sentence: str, text: Shown, listed: list[Amount], names: Names) -> bool:
    """Whether two monthly prices differ by it, of the items that are compared: "R$ 1.400,00 a mais que o Essencial"."""
    said = plain(sentence)
    more = _MORE.search(said)
    if not (more or _DIFFERENCE.search(said)) or (one.per and "month" not in one.per):
        return False
    found = names.find(sentence)
    named = {name for *_, name in found} or text.items
    cheaper = next((name for start, _, name in found if more and start == more.end()), "")
    if more and not _DIFFERENCE.search(said) and not cheaper:
        return False
    monthly = {price.item: price.value for price in listed if "month" in price.per}
    return any(
        monthly[high] - monthly[low] == one.value
        for high, low in permutations(monthly, 2)
        if (not cheaper or low == cheaper) and len(named & {high, low}) >= min(2, len(named & monthly.keys()))
    )
