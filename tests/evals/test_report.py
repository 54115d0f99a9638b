"""The report of a run: figures, blocks, files."""

import json
from pathlib import Path

import pytest

from evals import report
from evals.players import Answered
from evals.report import Line, pass_hat
from evals.runner import Heard, Played
from evals.scenario import Found, Say, Scenario
from evals.scorers import DIMENSIONS, Verdict


def a_playing(name: str, passed: bool) -> Played:
    scenario = Scenario.model_validate(
        {"id": name, "title": "Um <título>", "now": "2026-11-20T12:00:00-03:00", "steps": [{"say": "quanto?"}]}
    )
    answer = Answered("Gastou R$ 1,00.", "pt-BR", ["ads.overview"], [{"name": "ads_report", "arguments": {"n": 1}}])
    step = scenario.steps[0]
    assert isinstance(step, Say)
    played = Played(Found("ads", scenario), [Heard(step, 1, answer)], [], [], {}, [], [], 0.5)
    wrong = [] if passed else ["step 1: R$ 2,00 is not said"]
    played.verdicts = {dimension: Verdict(wrong if dimension == "figures" else []) for dimension in DIMENSIONS}
    return played


def a_line(name: str, *outcomes: bool) -> Line:
    return report.lines([a_playing(name, outcome) for outcome in outcomes])[0]


@pytest.mark.parametrize(
    ("outcomes", "k", "chance"),
    [((True, True), 2, 1.0), ((True, False), 1, 0.5), ((True, False), 2, 0.0), ((True, True, True, False), 2, 0.5)],
)
def test_pass_hat_is_the_chance_that_k_playings_all_pass(outcomes: tuple[bool, ...], k: int, chance: float) -> None:
    assert pass_hat([a_line("um", *outcomes)], k) == chance


def test_pass_hat_is_averaged_over_scenarios() -> None:
    assert pass_hat([a_line("um", True), a_line("dois", False)], 1) == 0.5


def test_a_failed_playing_is_told_in_one_block() -> None:
    told = report.block(a_playing("um", False))
    assert told.splitlines() == [
        "✗ ads/um: Um <título>",
        "  figures   step 1: R$ 2,00 is not said",
        "  1. 'quanto?' → ads.overview",
        '       ads_report {"n": 1}',
        "     | Gastou R$ 1,00.",
    ]


def test_the_table_marks_the_dimension_that_failed() -> None:
    assert report.row(a_line("um", True, False), 8).split()[:4] == ["ads/um", "FAIL", "1/2", "·"]
    assert report.row(a_line("um", True, False), 8).count("✗") == 1


def test_the_files_hold_the_conversation_and_the_page_needs_nothing_from_outside(tmp_path: Path) -> None:
    line = a_line("um", False)
    report.write_json(tmp_path / "run.json", [line], "offline")
    report.write_html(tmp_path / "run.html", [line], "offline")
    kept = json.loads((tmp_path / "run.json").read_text())
    page = (tmp_path / "run.html").read_text()
    assert kept["scenarios"][0]["playings"][0]["turns"][0]["reply"] == "Gastou R$ 1,00."
    assert "Gastou R$ 1,00." in page and "Um &lt;título&gt;" in page
    assert "http://" not in page and "https://" not in page and "<script" not in page
