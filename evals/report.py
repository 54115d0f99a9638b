"""What a run found: a table and blocks for the terminal, a JSON file for comparing runs, an HTML page to read."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import comb
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader

from evals.runner import Played
from evals.scorers import DIMENSIONS


@dataclass(frozen=True)
class Line:
    """All playings of one scenario."""

    name: str
    title: str
    played: list[Played]

    @property
    def passed(self) -> int:
        return sum(one.passed for one in self.played)

    def passed_in(self, dimension: str) -> bool:
        return all(one.verdicts[dimension].passed for one in self.played if one.verdicts)

    @property
    def tokens(self) -> int:
        """Of all playings together."""
        return sum(one.tokens for one in self.played)

    @property
    def cost_usd(self) -> Decimal | None:
        return cost([one.cost_usd for one in self.played])

    @property
    def seconds(self) -> float:
        """Of one playing, on average."""
        return sum(one.seconds for one in self.played) / len(self.played)


def lines(played: Sequence[Played]) -> list[Line]:
    """One line per scenario, in the order played."""
    by_name: dict[str, list[Played]] = {}
    for one in played:
        by_name.setdefault(one.found.name, []).append(one)
    return [Line(name, many[0].found.scenario.title, many) for name, many in by_name.items()]


def pass_hat(of: Sequence[Line], k: int) -> float:
    """pass^k: the chance that k playings of a scenario all pass, averaged over scenarios; from n >= k playings each.

    The estimator of tau-bench (arXiv 2406.12045): C(passed, k) / C(n, k).
    """
    return sum(comb(line.passed, k) / comb(len(line.played), k) for line in of) / len(of)


def cost(costs: Sequence[Decimal | None]) -> Decimal | None:
    """The sum; None when one of them is unknown."""
    return None if any(one is None for one in costs) else sum((one for one in costs if one is not None), Decimal(0))


# --- terminal -----------------------------------------------------------------------------------------


def row(line: Line, width: int) -> str:
    """One scenario in one line of the table."""
    broke = any(one.broke for one in line.played)
    marks = ["!" if broke else "·" if line.passed_in(dimension) else "✗" for dimension in DIMENSIONS]
    cells = [f"{mark:^{len(name)}}" for mark, name in zip(marks, DIMENSIONS, strict=True)]
    verdict = "pass" if line.passed == len(line.played) else "FAIL"
    times = f" {line.passed}/{len(line.played)}" if len(line.played) > 1 else ""
    numbers = f"{line.tokens:>8} {_usd(line.cost_usd):>8} {line.seconds:>6.1f}"
    return f"{line.name:<{width}} {verdict + times:<9} {' '.join(cells)} {numbers}"


def header(width: int) -> str:
    """The head of the table; `·` in a column says that all is as it should be."""
    return f"{'scenario':<{width}} {'':<9} {' '.join(DIMENSIONS)} {'tokens':>8} {'US$':>8} {'s':>6}"


def summary(of: Sequence[Line], model: str) -> str:
    """How many passed, pass^k, what it used."""
    k = len(of[0].played)
    hats = "  ".join(f"pass^{j} {pass_hat(of, j):.1%}" for j in range(1, k + 1))
    whole = sum(line.passed == len(line.played) for line in of)
    used = f"{sum(line.tokens for line in of)} tokens, US$ {_usd(cost([line.cost_usd for line in of]))}"
    seconds = sum(one.seconds for line in of for one in line.played)
    return f"{whole} of {len(of)} scenarios pass with {model}   {hats}   {used}, {seconds:.0f} s"


def block(played: Played) -> str:
    """What differed in a failed playing, with the conversation, to be read at one glance."""
    out = [f"✗ {played.found.name}: {played.found.scenario.title}"]
    if played.broke:
        out.append(f"  could not be played: {played.broke}")
    for name, verdict in played.verdicts.items():
        out += [f"  {name:<10}{difference}" for difference in verdict.differences]
    for heard in played.heard:
        where = heard.answer.route if heard.answer.ended == "done" else [*heard.answer.route, heard.answer.ended]
        out.append(f"  {heard.number}. {heard.step.say!r} → {', '.join(where)}")
        out += [f"       {call['name']} {_plain(call['arguments'])}" for call in heard.answer.tools]
        out += [f"     | {line}" for line in heard.answer.text.splitlines() if line.strip()]
    return "\n".join(out)


def _usd(value: Decimal | None) -> str:
    return "?" if value is None else f"{value:.4f}" if value else "0"


def _plain(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


# --- files --------------------------------------------------------------------------------------------


def as_data(of: Sequence[Line], model: str) -> dict[str, Any]:
    """The run as plain data, for comparing models and prompts."""
    return {
        "model": model,
        "k": len(of[0].played),
        "pass_hat": {str(j): pass_hat(of, j) for j in range(1, len(of[0].played) + 1)},
        "scenarios": [
            {
                "name": line.name,
                "title": line.title,
                "passed": line.passed,
                "tokens": line.tokens,
                "cost_usd": None if line.cost_usd is None else str(line.cost_usd),
                "seconds": round(line.seconds, 3),
                "playings": [_playing(one) for one in line.played],
            }
            for line in of
        ],
    }


def _playing(played: Played) -> dict[str, Any]:
    return {
        "passed": played.passed,
        "broke": played.broke,
        "differences": {name: v.differences for name, v in played.verdicts.items() if v.differences},
        "turns": [
            {
                "say": heard.step.say,
                "route": heard.answer.route,
                "tools": heard.answer.tools,
                "reply": heard.answer.text,
                "tables": heard.answer.tables,
                "proposals": [f"{card.state}: {card.title}" for card in heard.answer.cards],
                "figures": [written for _, written in heard.figures],
                "seconds": round(heard.answer.seconds, 3),
            }
            for heard in played.heard
        ],
    }


def write_json(path: Path, of: Sequence[Line], model: str) -> None:
    path.write_text(json.dumps(as_data(of, model), ensure_ascii=False, indent=1, default=str) + "\n", encoding="utf-8")


def write_html(path: Path, of: Sequence[Line], model: str) -> None:
    """One page that needs nothing from outside: the table, and every conversation to open."""
    environment = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)
    page = environment.get_template("report.html").render(
        run=as_data(of, model), lines=of, dimensions=DIMENSIONS, summary=summary(of, model), usd=_usd, plain=_plain
    )
    path.write_text(page, encoding="utf-8")
