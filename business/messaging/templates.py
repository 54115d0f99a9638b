"""Which template says what a free message may not say any more, and with which values.

Templates are approved for one language each; a paused or disabled one fails with 132015 or 132016, a missing variable
with 132000. A value may hold no line breaks, no tabs and not more than 4 spaces in a row, and may not be empty (132018;
twilio.com/docs/api/errors/63013).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Purpose(StrEnum):
    """Why a message is sent. The first two answer or confirm; the others begin something."""

    ANSWER = "answer"  # to what the contact wrote
    GOODBYE = "goodbye"  # the one confirmation of an opt-out
    NOTICE = "notice"  # what was agreed: a reminder of a meeting, an order
    FOLLOW_UP = "follow_up"  # a conversation gone quiet, a step of a cadence
    FIRST_CONTACT = "first_contact"
    CAMPAIGN = "campaign"


class Category(StrEnum):
    MARKETING = "MARKETING"
    UTILITY = "UTILITY"
    AUTHENTICATION = "AUTHENTICATION"


# What each purpose may be said with, the best first. Selling in a utility template costs the account its categories
# (Meta, templates/template-categorization), so nothing that sells asks for one.
CATEGORIES: dict[Purpose, tuple[Category, ...]] = {
    Purpose.ANSWER: (Category.UTILITY, Category.MARKETING),
    Purpose.GOODBYE: (),  # it is free text within the window, or nothing
    Purpose.NOTICE: (Category.UTILITY,),
    Purpose.FOLLOW_UP: (Category.MARKETING,),
    Purpose.FIRST_CONTACT: (Category.MARKETING,),
    Purpose.CAMPAIGN: (Category.MARKETING,),
}
STOPPED = frozenset({"REJECTED", "PAUSED", "DISABLED", "RED"})
"""States and qualities in which WhatsApp does not take a template, or soon will not: people are told of them."""
_QUALITY = {"GREEN": 0, "YELLOW": 1, "UNKNOWN": 1, "RED": 2}
_HOLE = re.compile(r"\{\{\s*(\w+)\s*\}\}")


@dataclass(frozen=True)
class Template:
    """As WhatsApp holds it. `status` and `quality` in Meta's words (APPROVED, PAUSED …; GREEN, YELLOW, RED, UNKNOWN);
    `body` with its holes ({{1}} or {{first_name}}); `purposes`: what the account uses it for; one without any is never
    chosen, only sent when a person picks it."""

    name: str
    language: str
    category: Category
    body: str
    status: str = "APPROVED"
    quality: str = "UNKNOWN"
    purposes: frozenset[Purpose] = field(default_factory=frozenset)
    fillable: bool = True
    """Whether we have what it asks for; one that wants a file or an address is never sent from here."""

    @property
    def variables(self) -> tuple[str, ...]:
        """Names or numbers of the holes, each once, in their order."""
        return tuple(dict.fromkeys(_HOLE.findall(self.body)))


@dataclass(frozen=True)
class Filled:
    """A template with its values; `text` is what the contact will read in its body."""

    template: Template
    values: tuple[tuple[str, str], ...]

    @property
    def text(self) -> str:
        filled = dict(self.values)
        return _HOLE.sub(lambda hole: filled[hole[1]], self.template.body)


@dataclass(frozen=True)
class Choice:
    """The template, or None and, for each that was looked at, why not: name → "status", "category", "purpose",
    "language", "quality" or "values"."""

    filled: Filled | None
    against: Mapping[str, str]


def choose(
    templates: Iterable[Template],
    purpose: Purpose,
    language: str,
    values: Mapping[str, str],
    *,
    marketing: bool = True,
) -> Choice:
    """The best template for `purpose`: of the wished category, then of the exact language (`pt_BR` before `pt_PT`
    before none), then of the better quality, then the one that says more of `values`, then by name.

    `marketing=False`: the contact wants none. Templates of red quality are not used for what nobody waits for: one more
    complaint pauses them.
    """
    against: dict[str, str] = {}
    fitting: list[tuple[tuple[int, ...], str, Filled]] = []
    wished = CATEGORIES[purpose]
    clean = {name: fitted for name, value in values.items() if (fitted := value_for(value))}
    for one in templates:
        reason = _against(one, purpose, language, clean, marketing)
        if reason:
            against[f"{one.name} ({one.language})"] = reason
            continue
        order = (
            wished.index(one.category),
            0 if _same(one.language, language) else 1,
            _QUALITY.get(one.quality.upper(), 1),
            -len(one.variables),
        )
        filled = Filled(one, tuple((name, clean[name]) for name in one.variables))
        fitting.append((order, one.name, filled))
    if not fitting:
        return Choice(None, against)
    return Choice(min(fitting, key=lambda found: found[:2])[2], against)


def usable(template: Template) -> bool:
    """Whether WhatsApp takes it now, as we can fill it."""
    return template.status.upper() == "APPROVED" and template.fillable


def value_for(raw: str) -> str:
    """A value as a template takes it: in one line, single spaces; "" for nothing that can be said."""
    return " ".join(
        "".join(" " if sign.isspace() else sign for sign in raw if sign.isprintable() or sign.isspace()).split()
    )


def _against(one: Template, purpose: Purpose, language: str, values: Mapping[str, str], marketing: bool) -> str | None:
    if not usable(one):
        return "status"
    if one.category not in CATEGORIES[purpose] or (not marketing and one.category is Category.MARKETING):
        return "category"
    if purpose not in one.purposes:
        return "purpose"
    if one.language.replace("-", "_").split("_")[0].lower() != language.replace("-", "_").split("_")[0].lower():
        return "language"
    if one.quality.upper() == "RED" and purpose not in (Purpose.ANSWER, Purpose.NOTICE):
        return "quality"
    return "values" if any(name not in values for name in one.variables) else None


def _same(one: str, other: str) -> bool:
    return one.replace("-", "_").lower() == other.replace("-", "_").lower()
