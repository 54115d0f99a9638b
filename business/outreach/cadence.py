"""A cadence: which message by which channel after how many days, read from a file and refused with what is wrong where.

Files: default.yaml (after a first message), quiet.yaml (a conversation gone quiet), an account's own in the table
`cadences`.
"""

import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from core.errors import ArgumentsWrong

Channel = Literal["whatsapp", "email", "sms", "linkedin", "call"]
SENT: tuple[Channel, ...] = ("whatsapp", "email", "sms")
"""Channels by which we send; the others are tasks of people."""
WORDS = ("name", "sender", "house", "company", "topic")
"""What fills a text: whom, who writes, of which house, their company, what it is about."""
MOST_STEPS = 12
DEFAULT, QUIET = "padrao", "retomada"
_FOLDER = Path(__file__).parent
_FILES = {DEFAULT: "default.yaml", QUIET: "quiet.yaml"}
_LANGUAGES = ("pt-BR", "en", "es")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,40}")
_HOLE = re.compile(r"\{(\w*)\}")
_TEMPLATE = re.compile(r"[a-z0-9_]{1,512}")
_LARGEST = 50_000  # characters
_LONGEST = 1_500  # of one text


@dataclass(frozen=True)
class Step:
    """`after_days`: business days after the step before left; `after_hours`: plain hours, instead. `text`, `subject`
    and `template` by language; a template is WhatsApp's name of what it leaves as where free words may not."""

    channel: Channel
    text: Mapping[str, str]
    subject: Mapping[str, str]
    after_days: int = 0
    after_hours: int = 0
    template: Mapping[str, str] = field(default_factory=dict)

    @property
    def sent(self) -> bool:
        return self.channel in SENT


@dataclass(frozen=True)
class Cadence:
    name: str
    approval: Literal["once", "each"]
    steps: tuple[Step, ...]

    def record(self) -> dict[str, Any]:
        """As JSON, to be frozen with a run; `cadence_from` gives it back."""
        return {
            "name": self.name,
            "approval": self.approval,
            "steps": [
                {
                    "channel": step.channel, "text": dict(step.text), "subject": dict(step.subject),
                    "after_days": step.after_days, "after_hours": step.after_hours, "template": dict(step.template),
                }
                for step in self.steps
            ],
        }  # fmt: skip


def cadence_from(record: Mapping[str, Any]) -> Cadence:
    return Cadence(record["name"], record["approval"], tuple(Step(**one) for one in record["steps"]))


def said(by_language: Mapping[str, str], language: str, words: Mapping[str, str]) -> str:
    """The text in `language` (else in the first it has), filled. What is not known leaves no hole: "Oi, {name}!"
    becomes "Oi!"."""
    text = by_language.get(language) or next(iter(by_language.values()), "")
    for name in WORDS:
        value = words.get(name, "").strip()
        if value:
            text = text.replace(f"{{{name}}}", value)
    text = re.sub(r",?[ \t]*\{\w+\},?", "", text)
    return re.sub(r"[ \t]{2,}", " ", text).strip()


def template_of(step: Step, names: Sequence[str], language: str, told: Container[str]) -> str | None:
    """As which template a step leaves where WhatsApp takes no free words, of `names` (those that fit, the best first):
    the one it names in `language`, else one that is not among those `told` before, else the best. None where none fits,
    and for the other channels."""
    if step.channel != "whatsapp":
        return None
    named = step.template.get(language)
    fresh = (name for name in names if name not in told)
    return named if named in names else next(fresh, names[0] if names else None)


@cache
def shipped(name: str) -> Cadence:
    """One of ours by its name. KeyError for another."""
    return parse_cadence(shipped_text(name))


def shipped_text(name: str) -> str:
    return (_FOLDER / _FILES[name]).read_text(encoding="utf-8")


def parse_cadence(text: str) -> Cadence:
    """An account's file. ArgumentsWrong: cadence_unreadable (detail), cadence_field (where, allowed)."""
    if len(text) > _LARGEST:
        raise ArgumentsWrong("cadence_unreadable", "too long", detail=f"> {_LARGEST}")
    try:
        data = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        detail = f"line {mark.line + 1}" if mark else str(error)[:200]
        raise ArgumentsWrong("cadence_unreadable", detail, detail=detail) from None
    if not isinstance(data, dict):
        raise ArgumentsWrong("cadence_unreadable", "no mapping", detail="name: …, steps: […]")
    if odd := set(data) - {"version", "name", "approval", "steps"}:
        raise _wrong(min(map(str, odd)), "version, name, approval, steps")
    name, approval, steps = data.get("name"), data.get("approval", "once"), data.get("steps")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise _wrong("name", "a-z 0-9 _ -")
    if approval not in ("once", "each"):
        raise _wrong("approval", "once, each")
    if not isinstance(steps, list) or len(steps) > MOST_STEPS:
        raise _wrong("steps", f"≤ {MOST_STEPS}")
    return Cadence(name, approval, tuple(_step(f"steps[{at}]", one) for at, one in enumerate(steps)))


def _step(where: str, given: Any) -> Step:
    allowed = ("after_days", "after_hours", "channel", "text", "subject", "template")
    if not isinstance(given, dict) or set(given) - set(allowed):
        raise _wrong(where, ", ".join(allowed))
    channel: Any = given.get("channel")
    if channel not in get_args(Channel):
        raise _wrong(f"{where}.channel", ", ".join(get_args(Channel)))
    days, hours = given.get("after_days", 0), given.get("after_hours", 0)
    for name, value, most in (("after_days", days, 60), ("after_hours", hours, 24 * 14)):
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
            raise _wrong(f"{where}.{name}", f"0–{most}")
    if not days and not hours:
        raise _wrong(f"{where}.after_days", "1–60")
    subject = _texts(f"{where}.subject", given["subject"]) if "subject" in given else {}
    text, template = _texts(f"{where}.text", given.get("text")), _names(f"{where}.template", given.get("template", {}))
    return Step(channel, text, subject, days, hours, template)


def _texts(where: str, given: Any) -> Mapping[str, str]:
    """One text for all languages, or one for each."""
    found = {"pt-BR": given} if isinstance(given, str) else given
    if not isinstance(found, dict) or not found or set(found) - set(_LANGUAGES):
        raise _wrong(where, ", ".join(_LANGUAGES))
    for language, text in found.items():
        if not isinstance(text, str) or not 0 < len(text.strip()) <= _LONGEST:
            raise _wrong(f"{where}.{language}", f"1–{_LONGEST}")
        if odd := [name for name in _HOLE.findall(text) if name not in WORDS]:
            raise _wrong(f"{where}.{language} {{{odd[0]}}}", ", ".join(f"{{{name}}}" for name in WORDS))
    return found


def _names(where: str, given: Any) -> Mapping[str, str]:
    """A template for all languages, or one for each."""
    found = dict.fromkeys(_LANGUAGES, given) if isinstance(given, str) else given
    if not isinstance(found, dict) or set(found) - set(_LANGUAGES):
        raise _wrong(where, ", ".join(_LANGUAGES))
    for language, name in found.items():
        if not isinstance(name, str) or not _TEMPLATE.fullmatch(name):
            raise _wrong(f"{where}.{language}", "a-z 0-9 _")
    return found


def _wrong(where: str, allowed: str) -> ArgumentsWrong:
    return ArgumentsWrong("cadence_field", f"{where}: {allowed}", where=where, allowed=allowed)
