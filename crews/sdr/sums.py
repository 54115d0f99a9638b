"""Whether an amount in a reply that nobody wrote is rightly made of those that are known.

What is done with them has to be said in the sentence, and the parts have to be known: a total ("o Crescimento em 12
meses dá R$ 34.680,00"), what two prices differ by, what is left of what the contact has, an instalment, a price less a
discount that the company gives. Item, months, unit and price must agree. Portuguese, English, Spanish.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import combinations, permutations

from core.words import plain
from crews.sdr.money import Amount, Names, amounts, counted, read

_MOST = 12  # months, sessions, instalments that are counted
Counts = frozenset[tuple[str, int]]
"""How many of what: ("month", 12)."""


@dataclass(frozen=True)
class Terms:
    """What sums are made with. `prices` of the catalogue's items; `theirs`: amounts that the contact named;
    `instalments` and `percents` off that the company gives, with the items of the sentence that says so: none means
    any."""

    names: Names = field(default_factory=Names)
    prices: tuple[Amount, ...] = ()
    besides: tuple[Amount, ...] = ()
    """Amounts of the company's texts that are of no item, such as the money for ads."""
    theirs: frozenset[Decimal] = frozenset()
    asked: frozenset[str] = frozenset()
    """Items that the contact named."""
    instalments: tuple[tuple[frozenset[str], int], ...] = ()
    percents: tuple[tuple[frozenset[str], Decimal], ...] = ()

    @classmethod
    def of(cls, names: Names, prices: Iterable[Amount], said: str, written: Iterable[str]) -> "Terms":
        lines = [(plain(one), frozenset(name for *_, name in names.find(one))) for one in written]
        prices = tuple(dict.fromkeys(prices))
        terms = cls(names, tuple(price for price in prices if price.item and not price.words))
        return replace(
            terms,
            besides=tuple(price for price in prices if price.words and not price.item),
            theirs=frozenset(value for value, _ in amounts(said)),
            asked=terms.inside(said),
            instalments=tuple((items, _instalments(one)) for one, items in lines if _instalments(one) > 1),
            percents=tuple(
                (items, percent) for one, items in lines if _OFF.search(one) for percent in percents_in(one)
            ),
        )

    def inside(self, text: str) -> frozenset[str]:
        """The items that it names: "o plano menor" is the one that costs least a month."""
        found = frozenset(name for *_, name in self.names.find(text))
        monthly = [price for price in self.prices if "month" in price.per]
        if monthly and _CHEAPEST.search(plain(text)):
            return found | {min(monthly, key=lambda price: price.value).item}
        return found


_CHEAPEST = re.compile(
    r"\b(?:plan\w*|pacote|paquete) (?:menor|mais (?:barato|em conta)|mas (?:barato|pequeno))\b"
    r"|\b(?:smallest|cheapest) (?:plan|package)\b"
)


@dataclass(frozen=True)
class Shown:
    """What a text shows that its sums may be made of: amounts that are known, items by name, and what is counted."""

    amounts: frozenset[Decimal]
    items: frozenset[str]
    counts: Counts
    right: tuple[Amount, ...] = ()
    """What adds up in one of its sentences, which the others may say again."""

    @classmethod
    def of(cls, sentences: list[str], known: frozenset[Decimal], terms: Terms) -> "Shown":
        whole = "\n".join(sentences)
        told = frozenset(value for value, _ in amounts(whole) if value in known)
        text = cls(told, terms.inside(whole), counts_in(plain(whole)))
        for one in sentences:
            right = made(list(read(one, terms.names)), one, text, terms)
            text = replace(text, right=(*text.right, *(amount for amount in right if not amount.parts)))
        return text


def made(told: list[Amount], sentence: str, text: Shown, terms: Terms) -> list[Amount]:
    """Those of a sentence's amounts that add up, and those that do with what they come to: "cinco diárias somam
    R$ 450,00, e sobram R$ 50,00"."""
    right = [one for one in told if adds_up(one, sentence, text, terms)]
    if right and len(right) < len(told):
        right_here = tuple(one for one in right if not one.parts)
        times = {one.value * one.parts for one in right if one.parts}
        text = replace(
            text,
            amounts=text.amounts | {one.value for one in right_here} | times & {one.value for one in told},
            right=(*text.right, *right_here),
        )
        right = [one for one in told if one in right or adds_up(one, sentence, text, terms)]
    return right


def adds_up(one: Amount, sentence: str, text: Shown, terms: Terms) -> bool:
    """Whether it is what the sentence says is done with amounts that the text shows, or with an item's own price."""
    said = plain(sentence)
    inside = terms.inside(sentence)
    item = frozenset({one.item}) if one.item else inside if len(inside) == 1 else frozenset()
    meant = inside or text.items or terms.asked
    if one.parts:
        return _each_month(one, said, terms) or _instalment(one, said, item or inside or text.items, text, terms)
    if not one.item and any(one.value == other.value and one.per <= other.per for other in text.right):
        return True
    if f"= {plain(one.words)}" in said or f"={plain(one.words)}" in said:
        return any(
            each.value * each.parts == one.value and each.value in text.amounts
            for each in read(sentence, terms.names)
            if each.parts
        )
    apart = set(_differences(one, sentence, text, terms))
    if one.value in apart or _less(one, said, item, terms):
        return True
    if _left(one, said, item or meant, text, terms) or _short(one, said, item or meant, text, terms):
        return True
    shown = {value for value in text.amounts if not one.item or _part_of(value, item, terms)}
    if one.value in _two_or_three(shown):
        return True
    if _TOGETHER.search(said) and len(inside) > 1:
        return one.value == sum(price.value for price in terms.prices if price.item in inside)
    added, shown_items = _added(said, text, terms), text.items or terms.asked
    counts = counts_in(said) or text.counts
    for count in _so_many(sentence, terms):
        if any(price.value * count == one.value for price in terms.prices if price.item in item):
            return True
    for kind, count in {("month", 1), *counts}:
        own = {price.value for price in terms.prices if price.item in (item or shown_items) and kind in price.per}
        more = {price + value for price in own for value in added} if item or len(shown_items) == 1 else set()
        own |= {price.value for price in terms.besides if kind in price.per and not one.item}
        parts = {value for value in text.amounts if _paid_by(value, kind, terms)}
        parts = {value for value in parts if not item or _part_of(value, item, terms)} | own | more | apart
        if not item:
            parts |= _two_or_three({value for value in parts if value in text.amounts})
        whole = count > 1 and kind not in one.per
        if one.value in more or (whole and any(part * count == one.value for part in parts)):
            return True
    return False


def _two_or_three(values: set[Decimal]) -> set[Decimal]:
    return {sum(some, Decimal(0)) for count in (2, 3) for some in combinations(sorted(values), count)}


def _part_of(value: Decimal, items: frozenset[str], terms: Terms) -> bool:
    """Whether it is one of these items' prices, or the price of none."""
    whose = {price.item for price in terms.prices if price.value == value}
    return not whose or bool(whose & items)


def _paid_by(value: Decimal, kind: str, terms: Terms) -> bool:
    """Whether it can be paid each month (or hour, or session): no price says that it is for something else."""
    told = [price.per for price in terms.prices if price.value == value and price.per]
    return not told or any(kind in per for per in told)


# --- added --------------------------------------------------------------------------------------------

_TOGETHER = re.compile(r"\b(?:som\w+|ao todo|total|junt\w+|(?:al)?together|both|sum\w+|en conjunto)\b")
_WITH_IT = re.compile(r"\b(?:com el[ae]|com isso|with (?:it|that)|con ella|con eso)\b")
_PLUS = re.compile(r"\b(?:com|mais|incluindo|with|plus|including|con|mas)\b[^,;.]{0,40}(?:, a partir de )?$")


def _added(said: str, text: Shown, terms: Terms) -> set[Decimal]:
    """What the sentence adds to a price, such as the money for the ads."""
    if _TOGETHER.search(said) or _WITH_IT.search(said):
        return {value for value in text.amounts if _part_of(value, frozenset(), terms)}
    told = {value for value, words in amounts(said) if _PLUS.search(said[: said.find(words)])}
    return told & text.amounts


# --- how many -----------------------------------------------------------------------------------------

_KINDS = {
    "month": r"meses|mensalidades|months|mensualidades",
    "week": "semanas|weeks",
    "day": "dias|days",
    "hour": "horas|hours",
    "session": "sessoes|sessions|sesiones|visitas|visits",
    "person": "pessoas|people|personas",
}
_COUNTED = re.compile(rf"\b(?P<count>\w+)\s+(?:{'|'.join(f'(?P<{kind}>{words})' for kind, words in _KINDS.items())})\b")
_YEAR = re.compile(
    r"\b(?:(?:o|no|do|ao|por|um|1|a|per|one|el|al|un) (?:ano|year)|anua(?:l|is|les)|yearly|annual(?:ly)?)\b"
)


def counts_in(said: str) -> Counts:
    """How many months, sessions, hours … a text in plain letters counts, 2 to 12; a year is 12 months."""
    found = {(one.lastgroup or "", counted(one["count"])) for one in _COUNTED.finditer(said)}
    found |= {("month", 12)} if _YEAR.search(said) else set()
    return frozenset((kind, count) for kind, count in found if 2 <= count <= _MOST)


def _so_many(sentence: str, terms: Terms) -> Iterator[int]:
    """How many of an item the sentence counts: "duas limpezas"."""
    said = plain(sentence)
    for start, _, _ in terms.names.find(sentence):
        if count := counted((said[:start].split() or [""])[-1]):
            yield count


# --- differences, and what is left --------------------------------------------------------------------

_DIFFERENCE = re.compile(r"\b(?:diferen[cs]a|diferencia|difference)\b")
_MORE_BEFORE = re.compile(r"\b(?:mais|more|mas|extra)\s*$")
_MORE = re.compile(r"\s*(?:\w+ ){0,2}(?:a mais|de mas|more|mas (?=que|car[oa]|al mes|por mes)|mas(?=\W|$))\b")
_LESS = re.compile(r"\s*(?:\w+ ){0,2}(?:a menos|less|cheaper|menos|mais barat[oa]|mas barat[oa])\b")
_SAVES = re.compile(r"\b(?:ahorr\w+|economiz\w+|sav(?:e|es|ing)|poup\w+)\b")
_THAN = re.compile(r"\b(?:que|than)\s+(?:(?:o|a|the|el|la)\s+)?(?:plan\w*\s+)?")
_LEFT = re.compile(r"\b(?:sobra\w*|resta\w*|quedan?|deixa\w*|leaves?|left|remain\w*)\b")
_SHORT = re.compile(r"\b(?:falta\w*|fica\w* faltando|short|missing|lacks?)\b")
_STATED = re.compile(r"\b(?:sobra\w*|deixa\w*|resta\w*|falta\w*|leaves?(?: you)?)(?: (?:so|apenas|ainda|only|just))? $")
_AGAINST = re.compile(r"\b(?:contra|versus|vs|against|frente a[ol]?)\b")


def compared(one: Amount, said: str) -> bool:
    """Whether it is told as what one thing costs more or less than another, or as what is left, or short."""
    at = said.find(plain(one.words))
    behind = said[at + len(plain(one.words)) :] if at >= 0 else ""
    return bool(_MORE.match(behind) or _LESS.match(behind) or (at >= 0 and _STATED.search(said[:at])))


def _differences(one: Amount, sentence: str, text: Shown, terms: Terms) -> Iterator[Decimal]:
    """What prices for the same (a month, an hour) differ by, of the items that are compared, the right way round:
    "R$ 1.400,00 a mais que o Essencial"."""
    said = plain(sentence)
    at = said.find(plain(one.words))
    before, behind = said[:at], said[at + len(plain(one.words)) :]
    neutral = bool(_DIFFERENCE.search(said))
    less = bool(_LESS.match(behind) or _SAVES.search(before))
    if not (neutral or less or _MORE_BEFORE.search(before) or _MORE.match(behind)):
        return
    found = terms.names.find(sentence)
    than = next((hit.end() for hit in _THAN.finditer(said, at)), -1)
    other = next((name for start, _, name in found if than >= 0 and start <= than + 1 and start >= than - 1), "")
    named = frozenset(name for *_, name in found) or text.items
    against = _AGAINST.search(said)  # "o Essencial dá …, contra … do Crescimento": what follows is not spoken of
    ends = min(at, against.start()) if against else at
    nearest = [name for start, _, name in found if start < ends][-1:] or [name for *_, name in found][:1]
    subject = nearest[0] if nearest else ""
    for high, low in permutations(terms.prices, 2):
        if high.per != low.per or high.value <= low.value or (one.per and not one.per & {*high.per, "year"}):
            continue
        if not named or len(named & {high.item, low.item}) < min(2, len(named)):
            continue
        if other:
            right = other == (high.item if less else low.item)
        else:
            right = neutral or subject == (low.item if less else high.item)
        if right:
            yield high.value - low.value


def _left(one: Amount, said: str, items: frozenset[str], text: Shown, terms: Terms) -> bool:
    """Whether it is what is left of what the contact has, after a price that is told or of an item that is."""
    if not _LEFT.search(said):
        return False
    told = {value for value, _ in amounts(said)}
    paid = {price.value for price in terms.prices if price.item in items} | {
        value for value in text.amounts if _part_of(value, items, terms)
    }
    has = terms.theirs & told or terms.theirs
    return any(whole - price == one.value for whole in has for price in paid)


def _short(one: Amount, said: str, items: frozenset[str], text: Shown, terms: Terms) -> bool:
    """Whether it is what the contact lacks of a price, or what is left of theirs lacks of another amount."""
    if not _SHORT.search(said):
        return False
    prices = {price.value for price in terms.prices if price.item in items}
    left = {other.value for other in text.right} | {whole - price for whole in terms.theirs for price in prices}
    goals = {value for value in text.amounts if _part_of(value, frozenset(), terms)}
    return any(price - have == one.value for price in prices for have in terms.theirs) or any(
        goal - have == one.value for goal in goals for have in left if have > 0
    )


_COVERS = re.compile(r"\b(?:cobre\w*|covers?|cubre\w*)\b.{0,20}\b(?:verba|anuncios|ads?|budget|presupuesto)\b")


def covers_too_little(said: str, text: Shown, terms: Terms) -> bool:
    """Whether a sentence says that what is left covers the money for the ads, and it is less than the company says."""
    left = [one.value for one in text.right]
    needed = [one.value for one in terms.besides if "month" in one.per]
    return bool(left and needed and _COVERS.search(said) and not _NO.search(said)) and max(left) < min(needed)


# --- instalments, and discounts -----------------------------------------------------------------------

_PAYS_IN = re.compile(
    r"\b(?:parcel\w+|prestac\w+|instal+ments?|cuotas?"
    r"|(?:em|in|en) (?:ate |up to |hasta )?\w+ ?(?:x|vezes|veces|times))\b"
)
_IN = re.compile(r"\b(\d{1,2}) ?x\b|\b(\w+) (?:x|vezes|veces|times|parcelas|prestac\w+|instal+ments|cuotas)\b")
_OFF = re.compile(r"\b(?:descont\w+|discounts?|descuentos?|off|rebaja\w*)\b")
_PERCENT = re.compile(r"(\d{1,2}(?:[.,]\d)?) ?(?:%|por cento|por ciento|percent)")
_NO = re.compile(r"\b(?:nao|not|sem|without|no (?:se|hay|damos)|nunca|never)\b")


def _instalments(said: str) -> int:
    """In how many instalments the company says that one may pay; 0 where it says nothing of them, or no."""
    if not _PAYS_IN.search(said) or _NO.search(said.split("parcel")[0].split("instal")[0].split("cuota")[0]):
        return 0
    return max((counted(found[1] or found[2]) for found in _IN.finditer(said)), default=0)


def _instalment(one: Amount, said: str, items: frozenset[str], text: Shown, terms: Terms) -> bool:
    """Whether so many of it are the price of an item that may be paid so, or what the sentence says that it comes to:
    what is paid each month only where the company says so of this very item."""
    whole = {value for value, _ in amounts(said)} & text.amounts
    return any(
        one.value * one.parts in whole | {price.value}
        and any(
            one.parts <= most and (price.item in whose or not (whose or "month" in price.per))
            for whose, most in terms.instalments
        )
        for price in terms.prices
        if price.item in items
    )


_MONTHLY = re.compile(r"\b(?:mensa(?:l|is)|mensual\w*|monthly|por mes|mes a mes|a month|month by month)\b")


def _each_month(one: Amount, said: str, terms: Terms) -> bool:
    """Whether it is what one pays each month, so many times: with what that comes to, or said to be so."""
    monthly = {price.value for price in (*terms.prices, *terms.besides) if "month" in price.per}
    whole = {value for value, _ in amounts(said)}
    return one.value in monthly and (one.value * one.parts in whole or bool(_MONTHLY.search(said)))


def percents_in(said: str) -> list[Decimal]:
    return [Decimal(found[1].replace(",", ".")) for found in _PERCENT.finditer(said)]


def _less(one: Amount, said: str, item: frozenset[str], terms: Terms) -> bool:
    """Whether it is the price of the item less a discount that the company gives, and the sentence tells."""
    if not _OFF.search(said):
        return False
    return any(
        price.value * (100 - percent) / 100 == one.value and (price.item in whose or not whose)
        for price in terms.prices
        if price.item in item
        for whose, percent in terms.percents
    )
