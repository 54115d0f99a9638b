"""Who may be written to: the ledger of consents and opt-outs, and the words by which people opt out.

An opt-out holds for every channel and every campaign (Lei 13.709/2018, LGPD, art. 8 §5 and art. 18 IX; WhatsApp
Business Messaging Policy: "respect all requests to block, discontinue, or otherwise opt out"). Only the contact
takes it back. Who writes to us after it is answered, and nothing else.

WhatsApp tells of marketing alone by the webhook user_preferences (stop, resume; Meta,
webhooks/reference/user_preferences, 2026-05-21) and by error 131050.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from core.words import folded

_FILE = Path(__file__).with_name("opt_out.yaml")
_LONGEST = 2_000  # characters of a message that are looked through
_POLITE = re.compile(
    r"\b(por favor|porfavor|por gentileza|favor|pf|pfv|pls|please|porfa|obrigad[oa]s?|obg|grato|grata|gracias|thanks"
    r"|thank you|bom dia|boa tarde|boa noite|ola|oi|hola|hello|hi|buenos dias|buenas tardes|moc[ao]|senhora?|gente|ok)"
    r"\b"
)

_CLAUSE = re.compile(r"[.,;!?…()\n]+")
_MESSAGES = re.compile(r"mensage|msg|mensaje|messag|text|propagand|spam|nada|e ?mail|contat|sms")
_NO_MORE = re.compile(r"\b(mais|mas|novamente|de novo|anymore)\b|\bstop\b|\bpar[ae]m?\b")


class Act(StrEnum):
    CONSENTED = "consented"  # the contact agreed to be written to
    STOPPED = "stopped"
    RESUMED = "resumed"


class Scope(StrEnum):
    ALL = "all"
    MARKETING = "marketing"


class How(StrEnum):
    """How it is known."""

    WORDS = "words"  # the contact wrote it
    BUTTON = "button"  # a quick reply of ours or of WhatsApp
    FORM = "form"  # a form that the contact filled in, a checkbox
    WHATSAPP = "whatsapp"  # user_preferences, error 131050
    PERSON = "person"  # one of ours wrote down what the contact said
    IMPORT = "import"  # a column of a file
    HOUSE = "house"  # the house's own list of those not to be contacted; never a line that is written


_BY_CONTACT = frozenset({How.WORDS, How.BUTTON, How.FORM, How.WHATSAPP})


@dataclass(frozen=True)
class Entry:
    """A line of the ledger. `at`: when the contact said it; `wording`: what was written or asked, word by word."""

    at: datetime
    act: Act
    scope: Scope
    how: How
    wording: str = ""


@dataclass(frozen=True)
class Standing:
    """What holds now: the entry that stops everything, the one that stops marketing, and the consent, None for none."""

    stopped: Entry | None = None
    marketing_stopped: Entry | None = None
    consent: Entry | None = None


def standing(ledger: Iterable[Entry]) -> Standing:
    """What the ledger comes to, in whatever order it is handed in: by time, at the same moment the opt-out last.

    A stop of everything is lifted only by the contact (words, a button, a form), or by a person of ours who wrote down
    what the contact said; WhatsApp's "resume" lifts only what WhatsApp's "stop" stopped: marketing. A file that is
    imported lifts nothing. What stands on the house's own list only the contact lifts, here: one of ours takes it from
    that list, who may. A stop takes the consent with it.
    """
    stopped = marketing = consent = None
    for entry in sorted(ledger, key=_order):
        listed = stopped is not None and stopped.how is How.HOUSE
        written_down = entry.how is How.PERSON and bool(entry.wording.strip())
        lifts = entry.how in _BY_CONTACT or (written_down and not listed)
        if entry.act is Act.STOPPED:
            if entry.scope is Scope.ALL:
                stopped = entry if stopped is None or (entry.how is How.HOUSE and not listed) else stopped
            else:
                marketing = marketing or entry
            consent = None
            continue
        if not lifts and (stopped or marketing):
            continue
        if entry.how is not How.WHATSAPP:
            stopped = stopped if entry.scope is Scope.MARKETING else None
        if stopped is None:
            marketing = None
            if entry.act is Act.CONSENTED:
                consent = entry
        elif entry.scope is Scope.MARKETING or entry.how is How.WHATSAPP:
            marketing = None
    return Standing(stopped, marketing, consent)


def _order(entry: Entry) -> tuple[datetime, bool, bool, str, str, str]:
    return entry.at, entry.act is Act.STOPPED, entry.scope is Scope.ALL, entry.act, entry.how, entry.wording


@dataclass(frozen=True)
class Heard:
    """An opt-out in a message. Not `sure`: the contact is asked before anything is written into the ledger. `alone`:
    nothing else was said."""

    scope: Scope
    sure: bool
    words: str
    alone: bool = False


def heard_opt_out(text: str, *, offered: Iterable[str] = (), unasked: bool = False) -> Heard | None:
    """Whether the contact opts out by `text`: Portuguese, Spanish or English; None when not.

    `offered`: the choices of our last message (titles of buttons, "1 - cancelar a reunião"): who repeats one of them
    answers us and opts out of nothing. `unasked`: our last message was one that nobody asked for, or it offered to
    leave; words that answer many a question ("cancelar") mean that, then.
    """
    text = text[:_LONGEST]
    said = folded(text)
    if not said or said in {folded(one) for one in offered}:
        return None
    alone = _alone(text)
    words = _words()
    for pattern in words.marketing:
        if found := pattern.search(alone):
            return Heard(Scope.MARKETING, True, found[0], found[0] == alone)
    if alone in words.whole or (unasked and alone in words.refusals):
        return Heard(Scope.ALL, True, alone, True)
    if alone in words.answers or (unasked and alone in words.perhaps):
        return Heard(Scope.ALL, unasked and alone in words.answers, alone, True)
    return _within(" , ".join(filter(None, map(folded, _CLAUSE.split(text)))))


def _within(said: str) -> Heard | None:
    """An opt-out among other words: `said` in small letters, with " , " between the clauses."""
    words = _words()
    instead = words.instead.search(said)
    unsure: Heard | None = None
    for pattern in words.anywhere if instead else (*words.anywhere, *words.calls):
        for found in pattern.finditer(said):
            begin, end = said.rfind(" , ", 0, found.end()) + 1, said.find(" , ", found.end())
            clause, behind = said[begin : end if end >= 0 else None], said[found.end() : end if end >= 0 else None]
            if any(one.search(clause) for one in words.never):
                continue
            named = " ".join([found[0], *behind.split()[:2]])
            if not _MESSAGES.search(named) and any(one.search(clause) for one in words.unless):
                continue
            if words.not_so.search(clause) and (words.rather.search(said) or not _NO_MORE.search(found[0])):
                continue
            by_program = words.program.search(clause)
            if by_program and words.person.search(said):
                continue
            heard = Heard(Scope.ALL, not (by_program or words.for_now.search(behind)), found[0].strip(" ,"))
            if heard.sure:
                return heard
            unsure = unsure or heard
    maybe = next(filter(None, (one.search(said) for one in words.maybe)), None)
    return unsure or (Heard(Scope.ALL, False, maybe[0]) if maybe else None)


def confirms(text: str) -> bool:
    """Whether it says yes to the question whether somebody wants no more messages."""
    return _alone(text) in _words().confirmed


def calls_off(text: str) -> bool:
    """Whether it may call off something that was agreed: "cancelar"."""
    return _alone(text).removeprefix("quero ").startswith("cancel")


def offers_to_leave(ours: str, word: str) -> bool:
    """Whether a message of ours says that `word` is for leaving ("para não receber mais, responda CANCELAR")."""
    said, asked = folded(ours), _alone(word)
    return bool(asked) and f" {asked} " in f" {said} " and bool(_words().offers.search(said))


def heard_resume(text: str) -> bool:
    """Whether somebody who had opted out wants messages again. Asked only of those."""
    alone = _alone(text)
    return alone in _words().again


def _alone(text: str) -> str:
    """The words without politeness around them."""
    return " ".join(_POLITE.sub(" ", folded(text[:_LONGEST])).split())


def preference_entry(value: str, at: datetime, detail: str = "") -> Entry | None:
    """The line for a webhook user_preferences of the category marketing_messages ("stop", "resume"); None for a value
    that we do not know."""
    act = {"stop": Act.STOPPED, "resume": Act.RESUMED}.get(value.strip().lower())
    return Entry(at, act, Scope.MARKETING, How.WHATSAPP, detail[:500]) if act else None


@dataclass(frozen=True)
class _Words:
    """opt_out.yaml, which says what each is."""

    whole: frozenset[str]
    answers: frozenset[str]
    refusals: frozenset[str]
    perhaps: frozenset[str]
    again: frozenset[str]
    confirmed: frozenset[str]
    anywhere: tuple[re.Pattern[str], ...]
    calls: tuple[re.Pattern[str], ...]
    maybe: tuple[re.Pattern[str], ...]
    marketing: tuple[re.Pattern[str], ...]
    unless: tuple[re.Pattern[str], ...]
    never: tuple[re.Pattern[str], ...]
    offers: re.Pattern[str]
    instead: re.Pattern[str]
    not_so: re.Pattern[str]
    rather: re.Pattern[str]
    program: re.Pattern[str]
    person: re.Pattern[str]
    for_now: re.Pattern[str]


@cache
def _words() -> _Words:
    data: Mapping[str, Any] = yaml.safe_load(_FILE.read_text(encoding="utf-8"))
    read: dict[str, Any] = {}
    for name, value in data.items():
        if isinstance(value, dict):  # whole messages by language
            read[name] = frozenset(word for words in value.values() for word in words)
        elif isinstance(value, str):
            read[name] = re.compile(value)
        else:
            read[name] = tuple(re.compile(one) for one in value)
    return _Words(**{**read, "confirmed": frozenset(data["confirmed"])})
