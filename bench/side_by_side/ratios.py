"""What a run beside the peers says of our goals: `python -m bench.side_by_side.ratios FILE`, of their run_peers.py.

The goals are ratios of two peers of the same run. As its report does, of each plan the runs count in which others used
less than a quarter of a core, or the quieter half; medians of those.
"""

import json
import statistics
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OURS, BARE, NAIVE = "mutirao_peer", "bare_openai", "lg_crewai_naive"
_QUIET = 0.25  # cores that others may use in a quiet run

Run = Mapping[str, Any]


@dataclass(frozen=True)
class Ratio:
    """`value` is ours over the other peer's; met when it is at most `goal`, or at least that where `more` is better."""

    what: str
    ours: float
    other: str
    theirs: float
    goal: float
    more: bool = False

    @property
    def value(self) -> float:
        return self.ours / self.theirs if self.theirs else float("nan")

    @property
    def met(self) -> bool:
        return self.value >= self.goal if self.more else self.value <= self.goal


def ratios(runs: Sequence[Run]) -> list[Ratio]:
    """Every goal that the runs tell of. `runs`: the entries of the file's "runs"."""
    by_plan: dict[tuple[str, str], list[Run]] = defaultdict(list)
    for run in runs:
        if run["out"]:
            by_plan[run["plan"], run["peer"]].append(run["out"])
    for (plan, peer), these in by_plan.items():
        if wrong := sum(one.get("bad", 0) + one.get("errors", 0) for one in these):
            raise ValueError(f"{wrong} turns of {peer} in {plan} went wrong: that is no measure")

    def median(plan: str, peer: str, get: Callable[[Run], float]) -> float | None:
        these = sorted(by_plan[plan, peer], key=lambda one: float(one["foreign"]))
        quiet = [one for one in these if one["foreign"] < _QUIET] or these[: max(1, (len(these) + 1) // 2)]
        return statistics.median(get(one) for one in quiet) if quiet else None

    def total(key: str) -> Callable[[Run], float]:
        return lambda run: sum(turn[key] for turn in run["per_turn"].values())

    def mean(key: str) -> Callable[[Run], float]:
        return lambda run: statistics.mean(turn[key] for turn in run["per_turn"].values())

    wanted: list[tuple[str, str, str, Callable[[Run], float], float, bool]] = [
        ("model calls, 22 tools", "c1_full", BARE, total("trips"), 1.0, False),
        ("prompt tokens, 22 tools", "c1_full", BARE, total("prompt"), 0.40, False),
        ("completion tokens, 22 tools", "c1_full", BARE, total("completion"), 1.1, False),
        ("first text of the answer, ms", "c1_stream", BARE, mean("ttft_final_ms"), 1.4, False),
        ("turns/s, 64 conversations", "c64", NAIVE, lambda run: float(run["turns_s"]), 2.0, True),
    ]
    found = []
    for what, plan, other, get, goal, more in wanted:
        ours, theirs = median(plan, OURS, get), median(plan, other, get)
        if ours is not None and theirs is not None:
            found.append(Ratio(what, ours, other, theirs, goal, more))
    return found


def table(found: Sequence[Ratio]) -> str:
    """Markdown."""
    lines = ["| | ours | beside | theirs | ratio | goal |", "|---|---|---|---|---|---|"]
    for one in found:
        goal = f"{'≥' if one.more else '≤'} {one.goal:g}{'' if one.met else ', missed'}"
        ours, theirs = (f"{value:,.0f}" if value >= 100 else f"{value:.3g}" for value in (one.ours, one.theirs))
        lines.append(f"| {one.what} | {ours} | {one.other} | {theirs} | {one.value:.2f} | {goal} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(ratios([run for file in sys.argv[1:] for run in json.loads(Path(file).read_text())["runs"]])))
