"""`mutirao evals`: what it prints, writes and returns."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from evals.__main__ import OFFLINE, evals, settings_for


def test_a_run_prints_a_table_writes_both_files_and_says_by_its_code_whether_all_passed(tmp_path: Path) -> None:
    files = ["--json", str(tmp_path / "run.json"), "--html", str(tmp_path / "run.html")]
    done = CliRunner().invoke(evals, ["run", "--scenario", "routing/(so-emoji|vazia)", "--k", "2", *files])
    assert done.exit_code == 0, done.output
    assert "2 of 2 scenarios pass with offline   pass^1 100.0%  pass^2 100.0%" in done.output
    assert "routing/so-emoji pass 2/2" in done.output
    assert json.loads((tmp_path / "run.json").read_text())["pass_hat"] == {"1": 1.0, "2": 1.0}
    assert "routing/vazia" in (tmp_path / "run.html").read_text()


def test_a_pattern_that_fits_nothing_is_told() -> None:
    done = CliRunner().invoke(evals, ["run", "--scenario", "nada-assim"])
    assert done.exit_code == 2
    assert "nada-assim" in done.output


def test_scenarios_are_listed_with_their_titles() -> None:
    listed = CliRunner().invoke(evals, ["list", "--scenario", "vazia"]).output
    assert listed.split() == ["routing/vazia", "pt-BR", "Uma", "mensagem", "vazia"]


def test_a_key_in_the_shell_is_read_only_when_a_model_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-shell")
    assert settings_for(OFFLINE).openai_api_key is None
    named = settings_for("openai/gpt-4o-mini")
    assert named.model == "openai/gpt-4o-mini"
    assert named.openai_api_key is not None and named.openai_api_key.get_secret_value() == "sk-of-the-shell"
