"""A scenario file that is wrong says which file, which field, and what is wrong."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from evals.formula import Formula
from evals.scenario import ScenarioWrong, load, load_all

GOOD: dict[str, Any] = {"title": "Oi", "now": "2026-11-20T12:00:00-03:00", "steps": [{"say": "oi"}]}


def written(folder: Path, raw: Any) -> Path:
    path = folder / "ads" / "um.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(raw if isinstance(raw, str) else yaml.safe_dump(raw, allow_unicode=True), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"now": "2026-11-20T12:00:00"}, "ads/um.yaml: now: Value error, needs a zone"),
        ({"steps": []}, "ads/um.yaml: steps: List should have at least 1 item"),
        ({"steps": [{"wait": "1 h"}]}, "steps: nobody says anything"),
        ({"steps": [{"sai": "oi"}]}, "steps.0: a step has one of: say, approve"),
        ({"steps": [{"say": "oi", "expext": {}}]}, "steps.0.expext: Extra inputs are not permitted"),
        (
            {"steps": [{"say": "oi", "expect": {"must_say": ["("]}}]},
            "steps.0.expect.must_say.0: Value error, not a reg",
        ),
        ({"steps": [{"say": "oi"}, {"wait": "soon"}]}, "steps.1.wait: Value error, a number and h, min or s"),
        ({"steps": [{"say": "oi"}, {"approve": 1, "reject": 1}]}, "steps.1: Value error, exactly one of"),
        (
            {"steps": [{"say": "oi", "attach": ["no.csv"]}]},
            "steps.0.attach: Value error, there is no evals/files/no.csv",
        ),
        ({"forbidden": {"targets": ["Nada"]}}, "forbidden.targets.0: Value error, the sample world has nothing called"),
        ({"id": "dois"}, "ads/um.yaml: id: is 'dois', the file says 'um'"),
        ({"role": "Dono"}, "ads/um.yaml: role: Input should be"),
    ],
)
def test_a_wrong_field_is_named(change: dict[str, Any], told: str, tmp_path: Path) -> None:
    with pytest.raises(ScenarioWrong) as wrong:
        load(written(tmp_path, GOOD | change))
    assert told in str(wrong.value)


@pytest.mark.parametrize("raw", ["- a\n- b\n", "title: [", ""])
def test_a_file_that_is_no_mapping_is_refused(raw: str, tmp_path: Path) -> None:
    with pytest.raises(ScenarioWrong, match=r"^ads/um\.yaml: "):
        load(written(tmp_path, raw))


def test_objects_of_the_sample_world_are_found_by_name(tmp_path: Path) -> None:
    end = {"objects": {"Vídeo 03 | Provador": {"status": "ACTIVE"}}}
    assert list(load(written(tmp_path, GOOD | {"end": end})).end.objects) == ["120300000000000005"]


def test_scenarios_are_chosen_by_a_pattern_over_group_and_id() -> None:
    chosen = [found.name for found in load_all(pattern="^approvals/desf")]
    assert chosen == ["approvals/desfazer", "approvals/desfazer-por-botao"]


def test_a_formula_is_arithmetic_over_sums_of_the_ledger() -> None:
    rows: list[dict[str, Any]] = [
        {"spend": 1_050, "purchase.click_1d": 2, "ad_id": "1"},
        {"spend": 950, "purchase.view_1d": 2},
    ]
    assert Formula("spend / 100").of(rows) == 20
    assert Formula("spend / 100 / purchases").of(rows) == 5
    assert Formula("(spend - 1000) * 2").of(rows) == 2_000
    assert Formula("spend / clicks").of(rows) is None  # nobody clicked: no figure
    assert Formula("spend").of([]) is None  # no rows: no data, which is not zero


@pytest.mark.parametrize("text", ["spend +", "__import__('os')", "gasto / 100", "spend ** 2", "spend if 1 else 2"])
def test_a_formula_is_nothing_but_arithmetic(text: str) -> None:
    with pytest.raises(ValueError, match=r"formula|is no number"):
        Formula(text)
