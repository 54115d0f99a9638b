"""The amounts of money in a text to a contact: how much, of which item of the catalogue, and for what: a month, once.

An amount belongs to an item where one clause says so: "o Essencial sai por R$ 1.490,00 por mês". Where that cannot be
told, since no item is named there, several are, or they are compared, it belongs to none. Portuguese, English, Spanish.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from business.sales.item_names import ItemNames, bare
from core.words import plain


@dataclass(frozen=True)
class Amount:
    """`words`: as it stands in the text. `item`: the name of the item whose price it is; "" where that cannot be told.
    `per`: what it is for (month, year, week, day, hour, session, person, once, instalment); empty where nothing is
    said."""

    value: Decimal
    words: str
    item: str = ""
    per: frozenset[str] = frozenset()
    parts: int = 0
    """In how many instalments of this amount one pays: "3x de R$ 300,00"."""


# --- how much -----------------------------------------------------------------------------------------

_MONEY = re.compile(
    r"(?:R\$|US\$|U\$S|BRL|USD|€|EUR|\$)\s*(?P<a>\d{1,3}(?:[.\s]\d{3})+(?:,\d{1,2})?"
    r"|\d{1,3}(?:,\d{3})+(?:\.\d{1,2})?|\d+(?:[.,]\d{1,2})?)(?:\s*(?P<ka>mil|k)\b)?"
    r"|(?<![\w.,])(?P<b>\d{1,3}(?:\.\d{3})+(?:,\d{1,2})?|\d+(?:[.,]\d{1,2})?)\s*(?P<kb>mil"
    r"|k)?\s*(?:reais|real|conto|contos|pilas?|dolares|dollars|d[óo]lares|bucks|pesos"
    r"|euros?)\b"
    r"|(?<![\w.,])(?P<c>\d+(?:[.,]\d{1,3})?)\s*(?P<kc>mil|k)\b(?!\s*(?:pessoas|clientes"
    r"|seguidores|visualiza|people|views|km))"
    # Bare numbers that can only be a price: "faço por 800.", "12x de 75".
    r"|\b(?:fa[çc]o|fazer|faz|sai|fica|deixo|fecho|custa|paga)\s+(?:por\s+|em\s+|a\s+)?(?:s[óo]\s+|apenas\s+)?"
    r"(?P<d>\d{1,3}(?:\.\d{3})+|\d{2,6})(?=\s*(?:[.,;!?]|$|por m[êe]s|mensa|ao m[êe]s|[àa] vista))"
    r"|\b\d{1,2}\s*x\s*(?:de\s*)?(?P<e>\d{2,6}(?:,\d{1,2})?)\b",
    re.IGNORECASE,
)
_NUMBER_WORDS = re.compile(
    r"(?<!\d )(?<!\d mil e )\b(?:(?:um|dois|tres|quatro|cinco|seis|sete|oito|nove|dez|vinte|trinta|quarenta"
    r"|cinquenta|sessenta|setenta|oitenta|noventa|cem"
    r"|cento|duzentos|trezentos|quatrocentos|quinhentos|seiscentos|setecentos|oitocentos"
    r"|novecentos|mil)(?: e )?\s?){1,8}\s*(?:reais|real|contos?|por mes)\b"
    r"|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|\w+teen|\w+ty|hundred"
    r"|thousand)(?:[ -]\w+){0,4} (?:reais|dollars|bucks)\b"
)
_UNITS = "um dois tres quatro cinco seis sete oito nove dez"
_TENS = "dez vinte trinta quarenta cinquenta sessenta setenta oitenta noventa"
_HUNDREDS = "cem duzentos trezentos quatrocentos quinhentos seiscentos setecentos oitocentos novecentos"
_WORD_VALUES = {
    **{word: place for place, word in enumerate(_UNITS.split(), 1)},
    **{word: place for place, word in enumerate("one two three four five six seven eight nine ten".split(), 1)},
    **{word: place * 10 for place, word in enumerate(_TENS.split(), 1)},
    **{
        word: place * 10
        for place, word in enumerate("ten twenty thirty forty fifty sixty seventy eighty ninety".split(), 1)
    },
    **{word: place * 100 for place, word in enumerate(_HUNDREDS.split(), 1)},
    "cento": 100,
}


@dataclass(frozen=True)
class _At:
    """An amount with where it stands."""

    value: Decimal
    words: str
    start: int
    end: int


def amounts(text: str) -> Iterator[tuple[Decimal, str]]:
    """Sums of money with the words that tell them."""
    for found in _amounts_at(text):
        yield found.value, found.words


def _amounts_at(text: str) -> Iterator[_At]:
    for found in _MONEY.finditer(text):
        digits = found["a"] or found["b"] or found["c"] or found["d"] or found["e"]
        thousand = bool(found["ka"] or found["kb"] or found["kc"])
        if (value := _decimal(digits)) is not None:
            yield _At(value * (1000 if thousand else 1), found[0].strip(), *found.span())
    for found in _NUMBER_WORDS.finditer(plain(text)):
        if (value := _in_words(found[0])) is not None:
            yield _At(value, found[0].strip(), *found.span())


def _decimal(digits: str) -> Decimal | None:
    digits = re.sub(r"\s", "", digits)
    cents = re.search(r"[.,](\d{1,2})$", digits)
    whole = re.sub(r"[.,]", "", digits[: cents.start()] if cents else digits)
    try:
        return Decimal(f"{whole}.{cents[1]}" if cents else whole)
    except InvalidOperation:
        return None


def _in_words(words: str) -> Decimal | None:
    total = part = 0
    for word in re.findall(r"[a-z]+", words):
        if word in ("mil", "thousand"):
            total, part = total + max(part, 1) * 1000, 0
        elif word == "hundred":
            part = max(part, 1) * 100
        elif word in _WORD_VALUES:
            part += _WORD_VALUES[word]
    value = total + part
    return Decimal(value) if value else None


# --- for what -----------------------------------------------------------------------------------------

_EACH = r"(?:(?:por|ao|al|a la|cada|todo|toda|per|every|each|an?|[ao]|la|p)\s+|p?/\s*)"
_PER = {
    "month": rf"{_EACH}(?:mes|month|mo)\b(?! que| passado)|mensa(?:l|is)\b|mensual(?:es)?\b|monthly\b",
    "year": rf"{_EACH}(?:ano|year|yr|annum)\b(?! que)|anua(?:l|is|les)\b|yearly\b|annual(?:ly)?\b",
    "quarter": rf"{_EACH}(?:trimestre|quarter|semestre)\b|trimestra(?:l|is|les)\b|semestra(?:l|is|les)\b|quarterly\b",
    "week": rf"{_EACH}(?:semana|week)\b(?! que)|semana(?:l|is|les)\b|weekly\b",
    "day": rf"{_EACH}(?:dia|day)\b(?! que)|diari[oa]s?\b|daily\b",
    "hour": rf"{_EACH}(?:hora|hour|h)\b(?! que)|hourly\b",
    "session": rf"{_EACH}(?:sess(?:ao|ion)|visita?)\b(?! que)",
    "person": rf"{_EACH}(?:pessoa|person|persona|cabeca|head)\b",
    "once": r"(?:de )?(?:uma|una) (?:so |sola |unica )?vez\b|once\b|one[- ](?:time|off)\b|up ?front\b"
    r"|(?:em )?(?:(?:pagamento|pago|taxa|parcela|valor) )?unic[oa]s?\b|(?:a|de|al) (?:vista|contado)\b",
}
_AFTER = {kind: re.compile(rf"\s*(?:{pattern})", re.IGNORECASE) for kind, pattern in _PER.items()}
"""What stands right behind an amount."""
_SAID = {kind: re.compile(rf"(?<!\w)(?:{pattern})", re.IGNORECASE) for kind, pattern in _PER.items()}
_COST = "(?:valor|preco|custo)"
_IS = r"(?:\s+(?:de|e|of|is|es|sai por|fica em|em|a partir de|from|desde)){0,2}\s*:?\s*$"
_BEFORE = {
    "month": re.compile(rf"\b(?:mensalidade|{_COST} mensal|monthly (?:fee|price)|cuota mensual){_IS}", re.I),
    "year": re.compile(rf"\b(?:anuidade|{_COST} anual|(?:annual|yearly) (?:fee|price)|cuota anual){_IS}", re.I),
    "instalment": re.compile(
        r"(?:\b(?P<parts>\w+)\s+|\b(?P<x>\d{1,2})\s*)?"
        r"(?:(?<=\d)\s*x|\b(?:vezes|times|veces)|\b(?:parcelas?|prestac\w+|instal+ments?|payments|cuotas))"
        r"(?: (?:iguais|iguales|equal|mensais))?\s*(?:de|of|sem juros de)?\s*$",
        re.I,
    ),
}  # fmt: skip
_TIMES = re.compile(r"(\d{1,2})\s*x", re.IGNORECASE)


def per_of(unit: str) -> frozenset[str]:
    """What a company's unit is for: "por mês" is a month. Empty for one that is none of ours."""
    said = bare(unit)
    return frozenset(kind for kind, pattern in _SAID.items() if pattern.search(said))


def _per_at(clause: str, at: _At) -> frozenset[str]:
    found = {kind for kind, pattern in _BEFORE.items() if pattern.search(clause[: at.start])}
    found |= {kind for kind, pattern in _SAID.items() if pattern.search(at.words)}  # "mil e duzentos por mes"
    if _TIMES.match(at.words):
        found.add("instalment")
    place, more = at.end, True
    while more:
        more = False
        for kind, pattern in _AFTER.items():
            if kind not in found and (behind := pattern.match(clause, place)):
                found.add(kind)
                place, more = behind.end(), True
    return frozenset(found)


def _parts_at(clause: str, at: _At) -> int:
    if found := _TIMES.match(at.words):
        return int(found[1])
    found = _BEFORE["instalment"].search(clause[: at.start])
    return (counted(found["parts"] or found["x"] or "") or 1) if found else 0


def counted(word: str) -> int:
    """How many a word or digits count, 2 to 99; 0 for what is no count."""
    return int(word) if word.isdecimal() and len(word) < 3 else _COUNTS.get(plain(word), 0)


_COUNTS = {
    word: count
    for words in (
        "dois tres quatro cinco seis sete oito nove dez onze doze",
        "two three four five six seven eight nine ten eleven twelve",
        "dos tres cuatro cinco seis siete ocho nueve diez once doce",
        "duas",
    )
    for count, word in enumerate(words.split(), 2)
}


# --- of which item ------------------------------------------------------------------------------------

_CLAUSE = re.compile(
    r",\s+(?:e|and|y)\s+|,\s+|[()]|,?\s+(?:mas|but|pero|porem|ou|or|enquanto|while|mientras)\s+", re.IGNORECASE
)
_COMPARES = re.compile(
    r"\btudo (?:d|o que)|\beverything (?:in|of)\b|\btodo (?:lo )?del?\b|\balem d|\b(?:acima|abaixo|depois|antes) d"
    r"|\b(?:above|below|after|before) the\b|\b(?:em vez|ao inves|en vez|instead)\b"
    r"|\b(?:outr|otr)[oa]s?\b|\b(?:an)?other\b|\b(?:proxim|seguinte|siguiente)|\bnext\b"
    r"|\b(?:mais|menos|more|less|mas|\w+er)\b.{0,30}\b(?:que|than)\b"
    r"|\b(?:diferenca|diferencia|difference|faltam?|sobe|upgrade|compar\w+)\b"
    r"|\b(?:um|a|un) (?:plano|plan|pacote|package)\b",
    re.IGNORECASE,
)
"""Clauses in which an amount may be another's than the item's that is named."""
_ANOTHER = re.compile(
    r"\b(?:d?[oa]s?|el|la|los|plano|planos|pacote|opcao|plan|plans|package|option|paquete|one|ones) (?:de|for|at|of) $"
    r"|\bthe $"
    r"|\b(?:plus|with|mais|com|mas|con|incluindo|including) "
    r"(?:(?!\b(?:sai|fica|custa|e|is|costs?|cuesta|por)\b)[^,;.])+$",
    re.IGNORECASE,
)
"""What stands before an amount that names something by its price ("o de R$ 2.890,00"), or what is added."""
_APPOSED = re.compile(r"\s*(?:so|apenas|only|just|solo)?\s*$", re.IGNORECASE)


class Names(ItemNames):
    """Finds the items of a catalogue in a clause of a text, which may tell a price."""

    def find(self, clause: str, *, priced: bool = False) -> list[tuple[int, int, str]]:
        return super().find(clause, priced=priced or bool(_MONEY.search(clause)))


def read(sentence: str, names: Names) -> Iterator[Amount]:
    """The amounts of one sentence with their items and what they are for."""
    for part in re.split(r";\s+", bare(sentence)):
        before, so_far = "", set[str]()  # the item with which the clause before ended, where no other was named
        for clause in _CLAUSE.split(part):
            sums, items = sorted(_amounts_at(clause), key=lambda one: one.start), names.find(clause)
            for at, item in zip(sums, _items_of(clause, sums, items, before), strict=True):
                yield Amount(at.value, at.words, item, _per_at(clause, at), _parts_at(clause, at))
            so_far |= {name for *_, name in items}
            ended = bool(items) and not clause[items[-1][1] :].strip(" *_")
            before = items[-1][2] if ended and len(so_far) == 1 else ""


def _items_of(clause: str, sums: list[_At], items: list[tuple[int, int, str]], before: str) -> list[str]:
    """Whose each of the sums is: of the one item of the clause; of the item next to it where they take turns; of the
    item that it follows between commas ("o Essencial, R$ 1.490,00, …")."""
    if not sums:
        return []
    nobody = [""] * len(sums)
    if _COMPARES.search(clause):
        return nobody
    own = [not _ANOTHER.search(clause[: at.start]) for at in sums]
    if not items:
        apposed = len(sums) == 1 and bool(_APPOSED.match(clause[: sums[0].start]))
        return [before] if apposed else nobody
    if len({name for *_, name in items}) == 1:
        return [items[0][2] if one else "" for one in own]
    if len(items) != len(sums) or not all(own):
        return nobody
    places = sorted([(start, "item") for start, *_ in items] + [(at.start, "sum") for at in sums])
    turns = [kind for _, kind in places]
    taken = turns in (["item", "sum"] * len(sums), ["sum", "item"] * len(sums))
    return [name for *_, name in items] if taken else nobody
