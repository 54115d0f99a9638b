"""How a proposal looks to the person who decides: worded in their language, with nothing hidden in it."""

import unicodedata
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from business.approvals.model import Proposal, ProposalState
from core import formats
from core.door import ProposalCard
from core.money import Money
from prompts.texts import Texts


def proposal_card(proposal: Proposal, texts: Texts, language: str, time_zone: str) -> ProposalCard:
    """The card of a proposal as it stands, for any door. Times are told in `time_zone` (an IANA name)."""
    preview = proposal.preview
    seen = _Seen(texts, language)
    lines = [(texts.say(language, label), seen.value(value)) for label, value in preview.lines]
    warnings = [texts.say(language, key, **seen.params(params)) for key, params in preview.warnings]
    if seen.hidden:
        warnings.append(texts.say(language, "proposal.warning.hidden_characters"))
    if seen.mixed:
        warnings.append(texts.say(language, "proposal.warning.look_alikes", words=", ".join(sorted(seen.mixed))))
    pending = proposal.state is ProposalState.PENDING
    return ProposalCard(
        id=proposal.id,
        tool=proposal.tool,
        effect=proposal.effect,
        state=proposal.state.value,
        title=texts.say(language, preview.title, **seen.params(preview.title_params)),
        lines=lines,
        warnings=warnings,
        evidence=[seen.evidence(item) for item in proposal.evidence],
        expires_at=_moment(proposal.expires_at, language, time_zone),
        outcome=_outcome(proposal, texts, language),
        editable=dict(preview.editable) if pending else {},
    )


def _outcome(proposal: Proposal, texts: Texts, language: str) -> str:
    if proposal.outcome:
        for key in (f"proposal.outcome.{proposal.outcome}", f"error.{proposal.outcome}"):
            if texts.has(key):
                return texts.say(language, key, **proposal.outcome_params)
        return texts.say(language, "error.unnamed", code=proposal.outcome)
    key = f"proposal.outcome.{proposal.state.value}"
    return texts.say(language, key) if texts.has(key) else ""


def _moment(at: datetime, language: str, time_zone: str) -> str:
    local = at.astimezone(ZoneInfo(time_zone))
    return f"{formats.day(local.date(), language)} {local:%H:%M}"


class _Seen:
    """Words values, and remembers what in them could deceive an eye."""

    def __init__(self, texts: Texts, language: str) -> None:
        self._texts = texts
        self._language = language
        self.hidden = False
        self.mixed: set[str] = set()

    def value(self, value: Any) -> str:
        match value:
            case Money():
                return formats.money(value, self._language)
            case bool() | None:
                return str(value)
            case int():
                return formats.number(value, self._language)
            case Decimal():
                decimals = max(0, -int(value.as_tuple().exponent))
                return formats.number(value, self._language, min(decimals, 2))
            case datetime():
                return value.isoformat(timespec="minutes")
            case date():
                return formats.day(value, self._language)
            case [str(key), dict(params)] if self._texts.has(key):
                return self._texts.say(self._language, key, **self.params(params))
            case _:
                return self._text(str(value))

    def evidence(self, item: Any) -> str:
        """A sentence as it is, a measured fact as "what: value (days)"."""
        if not isinstance(item, dict):
            return self.value(item)
        value, unit = item["value"], item["unit"]
        shown = formats.percent(value, self._language, 2) if unit == "percent" else self.value(value)
        label = self._texts.say(self._language, item["label"]) if self._texts.has(item["label"]) else item["label"]
        days = ""
        if item["since"] and unit != "day":
            days = f" ({formats.window(item['since'], item['until'], self._language)})"
        return f"{label}: {shown}{days}"

    def params(self, params: dict[str, Any]) -> dict[str, Any]:
        return {name: self._text(value) if isinstance(value, str) else value for name, value in params.items()}

    def _text(self, text: str) -> str:
        shown = visible(text)
        self.hidden = self.hidden or shown != text
        self.mixed.update(mixed_words(text))
        return shown


def visible(text: str) -> str:
    """`text` with characters that print nothing or turn the line around written out, such as ‹U+202E›.

    Digits that are no ASCII digits are written out too: they can make one amount look like another.
    """
    shown, before = [], ""
    for character in text:
        joins_emoji = character == "\u200d" and (
            before == "\ufe0f" or unicodedata.category(before or " ") in ("So", "Sk")
        )
        shown.append(character if joins_emoji else _shown(character))
        before = character
    return "".join(shown)


def _shown(character: str) -> str:
    if character.isascii() and character.isprintable():
        return character
    if character == "\n":
        return " ⏎ "
    kind = unicodedata.category(character)
    if kind in ("Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp") or character in _BLANK:
        return f"‹U+{ord(character):04X}›"
    if kind == "Nd":
        return f"{character}‹{unicodedata.decimal(character)}›"
    return character


_BLANK = frozenset("\u115f\u1160\u3164\uffa0\u2800\u034f")  # print as nothing, yet count as letters or marks


def mixed_words(text: str) -> set[str]:
    """Words that mix Latin letters with Cyrillic or Greek ones, as look-alike names do."""
    mixed = set()
    for word in text.split():
        scripts = {unicodedata.name(letter, "").split(" ")[0] for letter in word if letter.isalpha()}
        if "LATIN" in scripts and scripts & {"CYRILLIC", "GREEK"}:
            mixed.add(word)
    return mixed
