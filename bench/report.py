"""The figures, what they should be, and how they are shown."""

import json
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path

from bench.machine import Machine


@dataclass(frozen=True)
class Figure:
    """One measured number: `row` says of what, `column` what was measured, in which unit.

    `target` is the most that was promised for it, None where nothing is.
    """

    group: str
    row: str
    column: str
    value: float
    target: float | None = None

    @property
    def missed(self) -> bool:
        return self.target is not None and self.value > self.target


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def p95(values: Sequence[float]) -> float:
    """The value that 95 % do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[-(-len(ordered) * 95 // 100) - 1]


def table(machine: Machine, figures: Sequence[Figure]) -> str:
    """Everything as text for a terminal."""
    lines = [
        f"{machine.at}, {machine.system}, {machine.cores} cores, Python {machine.python}; load before: "
        f"{machine.load_before:.1f}; the reference loop takes {machine.reference_ms:.1f} ms of CPU at best",
    ]
    for group, members in groupby(figures, key=lambda figure: figure.group):
        lines += ["", *_block(group, list(members))]
    return "\n".join([*lines, "", *_verdict(figures)])


def _block(group: str, figures: list[Figure]) -> Iterator[str]:
    """One group as a table with a column for each kind of figure; "!" marks what misses its target."""
    columns = list(dict.fromkeys(figure.column for figure in figures))
    shown = {(f.row, f.column): f"{_number(f.value)}{'!' if f.missed else ' '}" for f in figures}
    promised: dict[str, set[float]] = {}
    for figure in figures:
        if figure.target is not None:
            promised.setdefault(figure.column, set()).add(figure.target)
    targets = {column: f"≤ {' or '.join(_number(t) for t in sorted(of))} " for column, of in promised.items()}
    rows = dict.fromkeys(figure.row for figure in figures)
    cells = [["", *(f"{column} " for column in columns)]]
    cells += [[row, *(shown.get((row, column), "") for column in columns)] for row in rows]
    if targets:
        cells.append(["promised", *(targets.get(column, "") for column in columns)])
    widths = [max(len(line[n]) for line in cells) for n in range(len(columns) + 1)]
    yield group
    for line in cells:
        rest = "  ".join(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))
        yield f"  {line[0]:<{widths[0]}}  {rest}".rstrip()


def _verdict(figures: Sequence[Figure]) -> Iterator[str]:
    """Which promises were not kept."""
    promised = [figure for figure in figures if figure.target is not None]
    missed = [figure for figure in promised if figure.missed]
    if not missed:
        yield f"All {len(promised)} targets are met."
        return
    yield f"{len(missed)} of {len(promised)} targets are missed:"
    for one in missed:
        yield f"  {one.row}, {one.column}: {_number(one.value)} (≤ {_number(one.target)}); {one.group}"


def write_json(file: Path, machine: Machine, figures: Sequence[Figure]) -> None:
    """The same for programs: each figure as in `Figure`, with `missed`."""
    data = {
        "machine": asdict(machine),
        "figures": [{**asdict(figure), "missed": figure.missed} for figure in figures],
    }
    file.write_text(json.dumps(data, ensure_ascii=False, indent=1), encoding="utf-8")


def read_json(file: Path) -> list[Figure]:
    """The figures of a file that `write_json` wrote."""
    told = json.loads(file.read_text(encoding="utf-8"))["figures"]
    return [Figure(**{name: value for name, value in one.items() if name != "missed"}) for one in told]


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.1f}"
