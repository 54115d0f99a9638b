"""How good a lead is by what it said, 0 to 100: arithmetic over evidence and a rule file (qualify.yaml). Every point
has the words it came from; the same evidence always gives the same score."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from business.sales.evidence import READINGS, Evidence, Slot, latest
from business.sales.fields import Part, read_yaml

_DEFAULT = Path(__file__).with_name("qualify.yaml")


class Verdict(StrEnum):
    HOT = "hot"  # somebody of ours should talk to them now
    WARM = "warm"
    COLD = "cold"


class _Verdicts(Part):
    hot: Annotated[int, Field(ge=2, le=100)]
    warm: Annotated[int, Field(ge=1, le=99)]


class _File(Part):
    version: Annotated[int, Field(ge=1, le=1_000_000)]
    verdicts: _Verdicts
    weights: dict[Slot, Annotated[Decimal, Field(ge=0, le=100)]]
    readings: dict[Slot, dict[str, Annotated[Decimal, Field(ge=0, le=1)]]]
    meeting: Annotated[Decimal, Field(ge=0, le=50)] = Decimal(0)

    @model_validator(mode="after")
    def _together(self) -> "_File":
        if self.verdicts.warm >= self.verdicts.hot:
            raise ValueError(f"verdicts.warm must be below {self.verdicts.hot}")
        if set(self.weights) != set(Slot) or sum(self.weights.values()) != 100:
            raise ValueError("weights: need, timeline, authority and budget, together 100")
        for slot, readings in READINGS.items():
            if set(self.readings.get(slot, {})) != set(readings):
                raise ValueError(f"readings.{slot}: {', '.join(readings)}")
        return self


@dataclass(frozen=True)
class Rules:
    """`version`: the file's number and the hash of its text, so that a kept score tells by which rules it was made."""

    version: str
    hot: int
    warm: int
    weights: Mapping[Slot, Decimal]
    readings: Mapping[Slot, Mapping[str, Decimal]]
    meeting: Decimal


@dataclass(frozen=True)
class Line:
    """What one slot gave. `evidence` None: nothing is known."""

    slot: Slot
    points: Decimal
    of: Decimal
    evidence: Evidence | None


@dataclass(frozen=True)
class Score:
    """`best`: what it would be if everything unknown turned out well. `meeting`: points for a meeting that stands."""

    total: int
    best: int
    verdict: Verdict
    lines: tuple[Line, ...]
    meeting: Decimal
    version: str

    @property
    def missing(self) -> tuple[Slot, ...]:
        """Slots of which nothing is known, in the order in which one asks."""
        return tuple(line.slot for line in self.lines if line.evidence is None)


def score(evidence: Iterable[Evidence], rules: Rules, *, meeting: bool = False) -> Score:
    """The score of a conversation: `evidence` as it was written down, oldest first; the newest of a slot counts."""
    known = latest(evidence)
    lines = []
    best = Decimal(0)
    for slot in Slot:
        weight, one = rules.weights[slot], known.get(slot)
        share = Decimal(0) if one is None else rules.readings[slot].get(one.reading, Decimal(0))
        lines.append(Line(slot, weight * share, weight, one))
        best += weight if one is None else weight * share
    extra = rules.meeting if meeting else Decimal(0)
    total = _whole(sum((line.points for line in lines), extra))
    verdict = Verdict.HOT if total >= rules.hot else Verdict.WARM if total >= rules.warm else Verdict.COLD
    return Score(total, max(total, _whole(best + rules.meeting)), verdict, tuple(lines), extra, rules.version)


@cache
def default_rules() -> Rules:
    """Ours, of qualify.yaml."""
    return parse_rules(default_text())


def default_text() -> str:
    """The file itself, to be copied and changed."""
    return _DEFAULT.read_text(encoding="utf-8")


def parse_rules(text: str, name: str = "qualify.yaml") -> Rules:
    """A tenant's rule file. ArgumentsWrong: sales_file_unreadable (file, detail), sales_file_field (file, where,
    detail)."""
    file = read_yaml(text, _File, name)
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    return Rules(
        f"{file.version}-{digest}", file.verdicts.hot, file.verdicts.warm, file.weights, file.readings, file.meeting
    )


def _whole(points: Decimal) -> int:
    return int(min(max(points, Decimal(0)), Decimal(100)).to_integral_value(ROUND_HALF_UP))
