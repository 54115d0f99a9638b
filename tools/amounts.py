"""Amounts that a person named: money and percent in Portuguese, English and Spanish.

A model may not choose how much is spent. A budget tool takes an amount only when the user wrote it, in this message
or in the one before ("a primeira" answers "which one?").
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from core.errors import ArgumentsWrong
from core.turn import Turn
from core.words import plain

Direction = Literal["up", "down"]


@dataclass(frozen=True)
class NamedAmount:
    """One amount in a text. `percent`: 20 for "20%", 100 for "dobra", 50 for "metade". `money`: in the main unit;
    `currency` is None for "150", "$ 150" or "150 pesos", which name none. `direction` where a verb told it."""

    kind: Literal["money", "percent"]
    value: Decimal
    currency: str | None
    direction: Direction | None
    said: str
    moves: bool = False
    """Money by which something moves ("aumenta R$ 50", "R$ 50 a mais"), not where it ends ("aumenta para R$ 50")."""


_NUMBER = r"\d{1,3}(?:[.,\s]\d{3})+(?:[.,]\d{1,2})?|\d+(?:[.,]\d+)?"
_BEFORE = {
    "us$": "USD", "u$s": "USD", "r$": "BRL", "€": "EUR", "£": "GBP", "mx$": "MXN", "ar$": "ARS", "$": None,
}  # fmt: skip
_AFTER = {
    "reais": "BRL", "real": "BRL", "conto": "BRL", "contos": "BRL", "euro": "EUR", "euros": "EUR", "pounds": "GBP",
    "libras": "GBP", "dolares": None, "dolar": None, "dollars": None, "dollar": None, "bucks": None, "pesos": None,
    "peso": None, "soles": "PEN", "ienes": "JPY", "yen": "JPY", "guaranies": "PYG",
}  # fmt: skip
_CODES = "brl|usd|eur|gbp|mxn|ars|clp|cop|pen|uyu|pyg|bob|cad|aud|chf|jpy"

_NOT_MONEY = (
    "dias|dia|days?|semanas?|weeks?|mes|meses|months?|anos?|years?|horas?|hours?|minutos?|minutes?|vezes|times|veces"
    "|campanhas?|campaigns?|anuncios?|ads?|conjuntos?"
)
"""What a number counts when it is no money: "7 dias", "3 campanhas"; nor is "2a"."""
_AMOUNT = re.compile(
    rf"(?P<before>us\$|u\$s|r\$|mx\$|ar\$|\$|€|£|(?:\b(?:{_CODES})\b))?\s*"
    rf"(?<![\w.,/])(?<!\d-)(?P<number>{_NUMBER})(?![\w/]*\d)"
    rf"(?:\s*(?P<scale>mil|k|thousand)\b)?"
    rf"(?(before)|(?!\s*(?:{_NOT_MONEY})\b|(?:st|nd|rd|th|[ao])\b))"
    rf"\s*(?P<after>%|€|£|(?:de\s+)?(?:{'|'.join(_AFTER)})\b|(?:{_CODES})\b)?"
)
_FACTORS: list[tuple[str, str, Direction | None]] = [
    (r"\bdobr(?:a|ar|e|o|ando)\b|\bduplic\w+|\bdoubl(?:e|ing)\b|\btwice\b|\bel doble\b", "100", "up"),
    (r"\btriplic\w+|\btripl(?:e|a|ar|ing)\b", "200", "up"),
    (r"\bmetade\b|\bpela metade\b|\bhalf\b|\bhalv(?:e|ing)\b|\bmitad\b", "50", None),
    (r"\bum terco\b|\ba third\b|\bun tercio\b", "33", None),
    (r"\bum quarto\b|\ba quarter\b|\bun cuarto\b", "25", None),
]
_UP = re.compile(
    r"\b(?:aument\w*|sub(?:a|ir|o|e|indo|[ae]l[eoa]s?)|elev\w+|acrescent\w+|increment\w+|rais\w+|increas\w+|mais|more|mas|add|adicion\w+|up)\b|\+"
)
_DOWN = re.compile(
    r"\b(?:reduz\w*|reduc\w+|reduzca|diminu\w+|disminu\w+|baix\w+|baj\w+|cort\w+|cut|lower\w*|decreas\w+|menos|less|down|tira\w*)\b|-\s*$"
)

_ENDS_AT = re.compile(r"(?:\b(?:para|pra|pro|p/|to|at|a|ate|ao|until)|=|:|->|→)\s*$")

_HEAD, _TAIL = 6_000, 2_000
"""Characters of a message in which amounts are looked for: more is pasted text, and costs time."""

_UNITS = {
    "dez": 10, "ten": 10, "diez": 10, "quinze": 15, "fifteen": 15, "quince": 15, "vinte": 20, "twenty": 20,
    "veinte": 20,
    "trinta": 30, "thirty": 30, "treinta": 30, "quarenta": 40, "forty": 40, "cuarenta": 40, "cinquenta": 50,
    "fifty": 50, "cincuenta": 50, "sessenta": 60, "sixty": 60, "sesenta": 60, "setenta": 70, "seventy": 70,
    "oitenta": 80, "eighty": 80, "ochenta": 80, "noventa": 90, "ninety": 90, "cem": 100, "cien": 100, "cento": 100,
    "ciento": 100,
    "duzentos": 200, "doscientos": 200, "trezentos": 300, "trescientos": 300, "quatrocentos": 400, "cuatrocientos": 400,
    "quinhentos": 500, "quinientos": 500, "seiscentos": 600, "seiscientos": 600, "setecentos": 700, "setecientos": 700,
    "oitocentos": 800, "ochocientos": 800, "novecentos": 900, "novecientos": 900, "mil": 1000,
}  # fmt: skip
_FEW = {
    "dois": 2, "duas": 2, "two": 2, "dos": 2, "tres": 3, "three": 3, "quatro": 4, "cuatro": 4, "four": 4, "cinco": 5,
    "five": 5, "seis": 6, "six": 6, "sete": 7, "siete": 7, "seven": 7, "oito": 8, "ocho": 8, "eight": 8, "nove": 9,
    "nueve": 9, "nine": 9,
}  # fmt: skip
_THOUSANDS = re.compile(rf"\b({'|'.join(_FEW)})\s+(?=(?:mil|thousand)\b)")
_WORDS = re.compile(rf"(?<!\d )\b(?:{'|'.join(_UNITS)})(?:(?:\s+(?:e|y)\s+|\s+)(?:{'|'.join(_UNITS)}))*\b")


def amounts_in(text: str) -> list[NamedAmount]:
    """Every amount in the beginning and the end of `text`, in order.

    Bare numbers count as money without a currency: "muda para 150".
    """
    shown = re.sub(r"\bpor\s*cent[oa]\b|\bpor\s+ciento\b|\bper\s*cent\b", "%", _tidy(text))
    shown = _THOUSANDS.sub(lambda found: f"{_FEW[found[1]]} ", shown)
    shown = _WORDS.sub(lambda found: _from_words(found[0]), shown)
    found: list[tuple[int, NamedAmount]] = []
    for match in _AMOUNT.finditer(shown):
        value = _number(match["number"]) * (1000 if match["scale"] else 1)
        after = re.sub(r"^de\s+", "", match["after"] or "")
        direction = _direction(shown, match.start(), match.end())
        if after == "%":
            amount = NamedAmount("percent", value, None, direction, match[0].strip())
        else:
            moves = direction is not None and not _ENDS_AT.search(shown[: match.start()])
            amount = NamedAmount("money", value, _currency(match["before"], after), direction, match[0].strip(), moves)
        found.append((match.start(), amount))
    for pattern, percent, told in _FACTORS:
        for match in re.finditer(pattern, shown):
            way = told or _direction(shown, match.start(), match.end())
            found.append((match.start(), NamedAmount("percent", Decimal(percent), None, way, match[0])))
    return [amount for _, amount in sorted(found, key=lambda item: item[0])]


def budget_amount(text: str) -> NamedAmount | None:
    """The amount that a sentence about a budget most likely means: the last percentage or sum with a currency, else
    the last bare number that is no id."""
    named = amounts_in(text)
    clear = [one for one in named if one.kind == "percent" or one.said.strip("0123456789.,- ")]
    return next(reversed(clear or [one for one in named if one.value < 10**9]), None)


def amount_was_named(
    turn: Turn,
    currency: str,
    *,
    amount: Decimal | None = None,
    change_amount: Decimal | None = None,
    change_percent: Decimal | None = None,
) -> None:
    """Pass when a person named what a model asks for; exactly one of the three is given.

    `amount`: the new budget. `change_amount`, `change_percent`: how far it moves, negative for less. `currency` is the
    account's. ArgumentsWrong("amount_not_named" | "amount_other_currency"). Through MCP the client's own argument
    counts as named: the approval shows it to a person.
    """
    if turn.door == "mcp" and not turn.text:
        return
    named = [one for text in (turn.text, str(turn.session.get("last_text") or "")) for one in amounts_in(text)]
    kind = "money" if change_percent is None else "percent"
    signed = change_percent if change_percent is not None else change_amount
    size = abs(signed) if signed is not None else (amount or Decimal(0))
    asked = f"{size:f}%" if kind == "percent" else f"{size:f} {currency}"
    wanted: Direction | None = None if signed is None else ("up" if signed > 0 else "down")

    same = [one for one in named if one.kind == kind and one.value == size]
    if wanted is not None:
        same = [one for one in same if one.direction in (None, wanted)]
    if not same:
        raise ArgumentsWrong("amount_not_named", f"the user did not name {asked}: ask, do not choose", asked=asked)
    if all(one.currency not in (None, currency) for one in same):
        raise ArgumentsWrong(
            "amount_other_currency",
            f"the user named {same[0].currency}, the account uses {currency}: ask",
            named=same[0].currency,
            account=currency,
        )


def way_named(turn: Turn, amount: Decimal) -> Direction | None:
    """Whether a person spoke of raising or of lowering to `amount`; None when they said neither, or both."""
    said = [one for text in (turn.text, str(turn.session.get("last_text") or "")) for one in amounts_in(text)]
    ways = {one.direction for one in said if one.kind == "money" and one.value == amount}
    return ways.pop() if len(ways) == 1 else None


def _currency(before: str | None, after: str) -> str | None:
    for told in (before, after):
        if told in _BEFORE:
            return _BEFORE[told]
        if told in _AFTER:
            return _AFTER[told]
        if told and told.isalpha() and len(told) == 3:
            return told.upper()
    return None


def _number(text: str) -> Decimal:
    """1.500 and 1,500 are thousands, 1,5 and 1.50 decimals; with both signs, the last one is the decimal sign."""
    text = re.sub(r"\s", "", text)
    signs = [character for character in text if character in ".,"]
    if not signs:
        return Decimal(text)
    last = signs[-1]
    decimals = text.rsplit(last, 1)[1]
    grouped = len(set(signs)) == 1 and len(decimals) == 3 and not text.startswith("0")
    if grouped or (len(signs) > 1 and len(set(signs)) == 1):
        return Decimal(text.replace(last, ""))
    other = "," if last == "." else "."
    return Decimal(text.replace(other, "").replace(last, "."))


def _from_words(words: str) -> str:
    if len(words) > 80:  # "mil mil mil …" is no number
        return words
    total = 0
    for word in re.split(r"\s+", words):
        if word in ("e", "y"):
            continue
        total = (total or 1) * 1000 if word == "mil" else total + _UNITS[word]
    return str(total)


def _direction(text: str, start: int, end: int) -> Direction | None:
    """The nearest verb or sign of its clause: before the amount, else right after it ("20% a mais")."""
    before = re.split(r"[;.!?\n]|,\s", text[max(0, start - 60) : start])[-1]
    told: list[tuple[int, Direction]] = []
    for direction, pattern in (("up", _UP), ("down", _DOWN)):
        told += [(found.start(), direction) for found in pattern.finditer(before)]  # type: ignore[misc]
    if told:
        return max(told)[1]
    after = re.split(r"[;.!?,\n]", text[end : end + 15])[0]
    if _UP.search(after):
        return "up"
    if _DOWN.search(after):
        return "down"
    return None


def _tidy(text: str) -> str:
    """Lower case, without accents and runs of spaces (the patterns would take quadratic time over those)."""
    if len(text) > _HEAD + _TAIL:
        text = f"{text[:_HEAD]}\n{text[-_TAIL:]}"
    return plain("\n".join(" ".join(line.split()) for line in text.splitlines()))
