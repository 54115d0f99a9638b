"""What a contact let know about budget, authority, need and timeline (BANT), each with the words it was said in.

A reading is one of few values that a rule can weigh; the quote is the contact's own wording, checked by code against
the conversation (tools/sdr.py), so that no model can qualify anybody out of thin air.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from core.money import Money
from core.words import folded, plain


class Slot(StrEnum):
    NEED = "need"
    TIMELINE = "timeline"
    AUTHORITY = "authority"
    BUDGET = "budget"


READINGS: dict[Slot, tuple[str, ...]] = {
    Slot.NEED: ("clear", "vague", "none"),  # a problem that we solve is named; something vague; none
    Slot.TIMELINE: ("now", "soon", "later", "none"),  # within a month, within three, after that, no wish to
    Slot.AUTHORITY: ("decides", "shares", "other"),  # decides alone, together with others, somebody else does
    Slot.BUDGET: ("fits", "fee_only", "open", "below", "none"),
    # pays for our prices; for our fee, but not what the ads cost on top; willing but no figure; too little; none
}
MOST_QUOTE = 500  # letters
_LEAST_QUOTE = 2


@dataclass(frozen=True)
class Evidence:
    """`value` in a few words for a reader; `amount` where one was named; `message_id` of the message that says it, None
    when it is known by the turn alone. `at`: when it was written down."""

    slot: Slot
    reading: str
    quote: str
    value: str = ""
    amount: Money | None = None
    message_id: str | None = None
    at: datetime | None = None


@dataclass(frozen=True)
class Said:
    """A message of the contact."""

    id: str | None
    text: str


def who_said(quote: str, messages: Iterable[Said]) -> Said | None:
    """The newest message of the contact that holds the quote, whatever the case, accents and punctuation; None when no
    message does. `messages` oldest first."""
    wanted = folded(quote)
    if len(wanted) < _LEAST_QUOTE or len(quote) > MOST_QUOTE:
        return None
    found = None
    for message in messages:
        if f" {wanted} " in f" {folded(message.text)} ":
            found = message
    return found


_RATE = re.compile(r"\b(?:por|ao|cada|per|a|al) (?:mes|semana|dia|ano|month|week|day|year)\b|\bmensa\w+\b|/ ?mes\b")
_TIME = re.compile(
    r"\b(?:hoje|amanha|ontem|agora|ja|logo|urgent\w*|imediat\w+|quanto antes|rapido|cedo"
    r"|prazo|semanas?|mes|meses|anos?|dias?"
    r"|quinzena|trimestre|semestre|natal|black friday|verao|inverno|carnaval|pascoa|ferias"
    r"|final|fim|comeco|inicio|futur\w+"
    r"|janeiro|fevereiro|marco|abril|maio|junho|julho|agosto|setembro|outubro|novembro|dezembro"
    r"|january|february|march|april|june|july|august|september|october|november|december"
    r"|enero|febrero|marzo|mayo|junio|julio|septiembre|octubre|noviembre|diciembre"
    r"|now|today|tomorrow|soon|asap|week|weeks|month|months|year|years|days?|later|rush|right away|as possible"
    r"|hoy|manana|ya|pronto|antes|proxim\w+|adelante|pressa|depois|frente|prisa|when|quando"
    r"|cuando)\b|\d{1,2}/\d{1,2}"
)
_MONEY = re.compile(
    r"\d|\b(?:mil|reais|real|conto\w*|verba|orcamento|invest\w+|pag\w+|gast\w+|dinheiro|grana"
    r"|custo|custa\w*|preco|valor|caro"
    r"|barato|budget|money|afford|spend\w*|pay\w*|price|cost\w*|presupuesto|dinero|precio"
    r"|depende|depends|cabe|condic\w+)\b"
)


_TRICK = re.compile(
    r"descont|discount|descuent|autoriz|authori|liberou|liberad|garantiu|promet|aprovad"
    r"|approved|\d ?%|\bprompt\b|instruc"
    r"|\b(?:registr[ae]|anot[ae]|escrev[ae]|grave|salve|note down|write down|record|anota|escribe)\b"
)
"""A quote that tells what our own house is said to have allowed, or orders us to write something down, is no fact."""


def can_mean(slot: Slot, reading: str, quote: str) -> bool:
    """Whether the words can be about the slot at all: a time names one ("10 por mês" is a rate), a budget is about
    money. What they say of it is for whoever reads them."""
    said = plain(quote)
    if _TRICK.search(said):
        return False
    if slot is Slot.TIMELINE and reading != "none":
        return bool(_TIME.search(_RATE.sub(" ", said)))
    return slot is not Slot.BUDGET or bool(_MONEY.search(said))


def latest(evidence: Iterable[Evidence]) -> dict[Slot, Evidence]:
    """What holds now: the newest of each slot. In the order in which they were written down, oldest first."""
    return {one.slot: one for one in evidence}
