"""The figures, what they should be, and how they are shown."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.machine import Machine


@dataclass(frozen=True)
class Figure:
    """One measured number. `target` is the most it should be (`issues/`, "Speed"), None where nothing is promised."""

    group: str
    name: str
    value: float
    unit: str
    target: float | None = None

    @property
    def missed(self) -> bool:
        return self.target is not None and self.value > self.target


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def p95(values: Sequence[float]) -> float:
    """The value that 95 % do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * 95 // 100) - 1)]


def table(machine: Machine, figures: Sequence[Figure], foreign_cores: float) -> str:
    """Everything as text for a terminal."""
    lines = [
        f"{machine.at}, {machine.system}, {machine.cores} cores, Python {machine.python}; "
        f"the reference loop takes {machine.reference_ms:.1f} ms of CPU",
        f"others kept {foreign_cores:.1f} cores busy meanwhile (load before: {machine.load_before:.1f})",
    ]
    width = max((len(figure.name) for figure in figures), default=0)
    group = ""
    for figure in figures:
        if figure.group != group:
            group = figure.group
            lines += ["", group]
        target = "" if figure.target is None else f"   ≤ {_number(figure.target)}"
        missed = "   MISSED" if figure.missed else ""
        lines.append(f"  {figure.name:<{width}}  {_number(figure.value):>8} {figure.unit:<10}{target}{missed}".rstrip())
    return "\n".join([*lines, "", verdict(figures)])


def verdict(figures: Sequence[Figure]) -> str:
    """One sentence that says which promises were not kept."""
    promised = [figure for figure in figures if figure.target is not None]
    missed = [f"{f.group}: {f.name} {_number(f.value)} {f.unit} (≤ {_number(f.target)})" for f in promised if f.missed]
    if not missed:
        return f"All {len(promised)} targets are met."
    return f"{len(missed)} of {len(promised)} targets are missed: " + "; ".join(missed) + "."


def write_json(file: Path, machine: Machine, figures: Sequence[Figure], foreign_cores: float) -> None:
    """The same for programs; `figures` as in `Figure`, with `missed`."""
    data = {
        "machine": {**asdict(machine), "foreign_cores": round(foreign_cores, 2)},
        "figures": [{**asdict(figure), "missed": figure.missed} for figure in figures],
    }
    file.write_text(json.dumps(data, ensure_ascii=False, indent=1), encoding="utf-8")


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.2f}".rstrip("0").rstrip(".")
