"""The rule file of a score: read, checked, and refused with what is wrong and where.

A tenant may have its own file of the same form as score_rules.yaml. `version` of a rule set is the number that its file
says and the hash of its text, so that a kept score always tells by which rules it was made.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml

from business.prospecting.evidence import DAYS, NUMBERS, PRESENCES, YES_NO, Kind
from core.errors import ArgumentsWrong

Part = Literal["fit", "need", "timing", "reachability"]
PARTS: tuple[Part, ...] = ("fit", "need", "timing", "reachability")

_ASKED = ("asked_activity", "asked_place", "asked_age", "asked_size", "asked_wishes")
# test → (kinds of evidence that it can be about, whether it needs a value)
_TESTS: dict[str, tuple[frozenset[Kind], bool]] = {
    "is_true": (YES_NO, False),
    "is_false": (YES_NO, False),
    "present": (PRESENCES, False),
    "absent": (PRESENCES, False),
    "at_least": (NUMBERS, True),
    "at_most": (NUMBERS, True),
    "years_old": (frozenset({Kind.COPYRIGHT_YEAR}), True),
    "within_days": (DAYS, True),
    "older_than_days": (DAYS, True),
}
_OPPOSED = (
    {"is_true", "is_false"},
    {"present", "absent"},
    {"at_least", "at_most"},
    {"within_days", "older_than_days"},
)
_DEFAULT = Path(__file__).with_name("score_rules.yaml")
_LARGEST = 100_000  # characters of a rule file
_MOST_RULES = 100


@dataclass(frozen=True)
class Rule:
    """One line of the file. Met, it gives all its points; see score.py."""

    id: str
    part: Part
    points: Decimal
    test: str
    about: Kind | None = None
    """What evidence it looks at; None for `asked_…`, which know it."""
    value: Decimal | None = None
    further: Decimal | None = None
    """asked_activity: the share for companies that have the activity among their further ones."""
    label: str | None = None
    """How it is called; None for a rule of ours, whose name is in prompts/texts (prospecting.rule.<id>)."""


@dataclass(frozen=True)
class Feedback:
    """Points for each trait shared with a company that was won, lost or "not this kind"."""

    won: Decimal
    lost: Decimal
    not_this_kind: Decimal
    most: Decimal


@dataclass(frozen=True)
class RuleSet:
    version: str
    """ "1-3f2a9c41": the file's own number and the hash of its text."""
    weights: Mapping[Part, Decimal]
    """Percent; together 100."""
    unknown_counts: Decimal
    """0 to 1, never 0: unknown is not no."""
    qualified: int
    person: int
    rules: tuple[Rule, ...]
    feedback: Feedback


def parse_rules(text: str) -> RuleSet:
    """A tenant's rule file. ArgumentsWrong: score_rules_unreadable (detail), score_rules_field (where, given, allowed),
    score_rules_weights (total), score_rules_twice (id), score_rules_opposed (first, second, about)."""
    return _parse(text, frozenset(rule.id for rule in default_rules().rules))


@cache
def default_rules() -> RuleSet:
    """Ours, of score_rules.yaml."""
    return _parse(default_text(), None)


def default_text() -> str:
    """The file itself, to be copied and changed."""
    return _DEFAULT.read_text(encoding="utf-8")


def _parse(text: str, ours: frozenset[str] | None) -> RuleSet:
    """`ours`: ids of rules that have their names in our texts; None when the file is ours."""
    if len(text) > _LARGEST:
        raise ArgumentsWrong("score_rules_unreadable", "too long", detail=f"> {_LARGEST}")
    try:
        data = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        detail = f"line {mark.line + 1}: {getattr(error, 'problem', '')}" if mark else str(error)[:200]
        raise ArgumentsWrong("score_rules_unreadable", detail, detail=detail) from None
    file = _Fields(data, "")
    file.only("version", "unknown_counts", "verdicts", "weights", "rules", "feedback")
    verdicts, weights, feedback = file.fields("verdicts"), file.fields("weights"), file.fields("feedback")
    verdicts.only("qualified", "person")
    weights.only(*PARTS)
    feedback.only("won", "lost", "not_this_kind", "most")
    number = int(file.number("version", 1, 1_000_000, whole=True))
    found = RuleSet(
        version=f"{number}-{hashlib.sha256(text.encode()).hexdigest()[:8]}",
        weights={part: weights.number(part, 0, 100) for part in PARTS},
        unknown_counts=file.number("unknown_counts", "0.1", "0.9"),
        qualified=int(verdicts.number("qualified", 2, 100, whole=True)),
        person=int(verdicts.number("person", 1, 99, whole=True)),
        rules=_rules(file),
        feedback=Feedback(
            feedback.number("won", 0, 20),
            feedback.number("lost", -20, 0),
            feedback.number("not_this_kind", -20, 0),
            feedback.number("most", 0, 30),
        ),
    )
    if found.person >= found.qualified:
        raise verdicts.wrong("person", f"< {found.qualified}")
    if (total := sum(found.weights.values())) != 100:
        raise ArgumentsWrong("score_rules_weights", f"the weights sum up to {total}", total=str(total))
    _check_together(found.rules, ours)
    return found


def _rules(file: "_Fields") -> tuple[Rule, ...]:
    listed = file.get("rules")
    if not isinstance(listed, list) or not 1 <= len(listed) <= _MOST_RULES:
        raise file.wrong("rules", f"1–{_MOST_RULES}")
    found = []
    for place, raw in enumerate(listed, 1):
        one = _Fields(raw, f"rules[{place}]")
        one.only("id", "part", "points", "test", "about", "value", "further", "label")
        test = one.choice("test", (*_ASKED, *_TESTS))
        about: Kind | None = None
        value: Decimal | None = None
        if test in _TESTS:
            kinds, valued = _TESTS[test]
            about = Kind(one.choice("about", sorted(kinds)))
            if valued:
                value = one.number("value", 0, 1_000_000_000)
        unused = {"about": test in _ASKED, "value": value is None, "further": test != "asked_activity"}
        for name, idle in unused.items():
            if idle and one.get(name) is not None:
                raise one.wrong(name, f"– ({test})")
        rule_id = one.get("id")
        if not isinstance(rule_id, str) or not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", rule_id):
            raise one.wrong("id", "a-z, 0-9, _")
        label = one.get("label")
        if label is not None and (not isinstance(label, str) or not 0 < len(label) <= 120):
            raise one.wrong("label", "1–120")
        part = next(each for each in PARTS if each == one.choice("part", PARTS))
        further = one.number("further", 0, 1) if test == "asked_activity" and one.get("further") is not None else None
        found.append(Rule(rule_id, part, one.number("points", "0.1", 1_000), test, about, value, further, label))
    return tuple(found)


def _check_together(rules: tuple[Rule, ...], ours: frozenset[str] | None) -> None:
    ids = [rule.id for rule in rules]
    if twice := next((one for one in ids if ids.count(one) > 1), None):
        raise ArgumentsWrong("score_rules_twice", f"two rules are called {twice}", id=twice)
    for place, rule in enumerate(rules, 1):
        if rule.label is None and ours is not None and rule.id not in ours:
            raise ArgumentsWrong(
                "score_rules_field", "no label", where=f"rules[{place}].label", given="–", allowed="1–120"
            )
    # One piece of evidence must not be wanted by one rule and unwanted by another: more of it would lower a score.
    for rule in rules:
        for other in rules:
            if rule.about is not None and rule.about == other.about and {rule.test, other.test} in _OPPOSED:
                raise ArgumentsWrong(
                    "score_rules_opposed",
                    f"{rule.id} and {other.id} want the opposite",
                    first=rule.id,
                    second=other.id,
                    about=str(rule.about),
                )


class _Fields:
    """One mapping of the file, and where it stands."""

    def __init__(self, raw: Any, where: str) -> None:
        self._where = where
        if not isinstance(raw, dict):
            raise ArgumentsWrong(
                "score_rules_field",
                f"{where or 'file'}: no mapping",
                where=where or "–",
                given=_shown(raw),
                allowed="…: …",
            )
        self._raw = raw

    def get(self, name: str) -> Any:
        return self._raw.get(name)

    def wrong(self, name: str, allowed: str) -> ArgumentsWrong:
        where = f"{self._where}.{name}".strip(".")
        given = _shown(self._raw.get(name))
        return ArgumentsWrong(
            "score_rules_field", f"{where}: {given}, allowed {allowed}", where=where, given=given, allowed=allowed
        )

    def only(self, *names: str) -> None:
        for name in self._raw:
            if name not in names:
                raise self.wrong(str(name)[:40], "–; " + ", ".join(names))

    def fields(self, name: str) -> "_Fields":
        return _Fields(self._raw.get(name), f"{self._where}.{name}".strip("."))

    def number(self, name: str, least: int | str, most: int | str, *, whole: bool = False) -> Decimal:
        value = self._raw.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            found = Decimal(str(value))
            if found.is_finite() and Decimal(least) <= found <= Decimal(most) and not (whole and found % 1):
                return found
        raise self.wrong(name, f"{least}–{most}")

    def choice(self, name: str, allowed: "tuple[str, ...] | list[Kind]") -> str:
        value = self._raw.get(name)
        if not isinstance(value, str) or value not in [str(one) for one in allowed]:
            raise self.wrong(name, ", ".join(str(one) for one in allowed))
        return value


def _shown(value: Any) -> str:
    return "–" if value is None else str(value)[:80]
