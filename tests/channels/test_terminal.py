"""The command line from outside: what it prints and how it ends."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.conftest import Dsns
from tests.contracts.source import ROOT


def mutirao(*arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    bare = {name: value for name, value in os.environ.items() if not name.startswith("MUTIRAO_")}
    return subprocess.run(
        [sys.executable, "-c", "from app import main; main()", *arguments],
        env={**bare, "PYTHONPATH": str(ROOT), "MUTIRAO_LANGUAGE": "en", **environ},
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_doctor_tells_of_the_rest_when_the_database_does_not_answer(tmp_path: Path) -> None:
    nowhere = "postgresql://u:p@127.0.0.1:1/x"
    done = mutirao("doctor", "--json", MUTIRAO_DATABASE_URL=nowhere, MUTIRAO_DATA_DIR=str(tmp_path / "var"))
    assert done.returncode == 1, done.stderr
    findings = json.loads(done.stdout)
    assert {"machine", "database", "access", "models", "start"} <= {finding["area"] for finding in findings}
    broken = [finding["text"] for finding in findings if finding["state"] == "broken"]
    assert any("PostgreSQL does not answer" in text for text in broken)
    assert "Traceback" not in done.stderr


def test_a_broken_setting_is_one_sentence_that_names_it() -> None:
    for name, value in (("MUTIRAO_PORT", "eighty"), ("MUTIRAO_PROT", "8000")):
        done = mutirao("doctor", **{name: value})
        assert done.returncode == 1
        assert name in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1


def test_help_is_told_without_opening_anything(tmp_path: Path) -> None:
    done = mutirao("--help", MUTIRAO_DATA_DIR=str(tmp_path / "var"))
    assert done.returncode == 0
    for command in ("serve", "ask", "approvals", "import", "doctor", "backup", "restore", "reset", "mcp", "evals"):
        assert command in done.stdout
    assert not (tmp_path / "var").exists()


def test_a_question_may_begin_with_a_dash_and_an_odd_conversation_is_told(
    dsns: Dsns, data_dir: Path, learnt: Path
) -> None:
    shutil.copytree(learnt, data_dir / "cache")
    house = {
        "MUTIRAO_DATA_DIR": str(data_dir),
        "MUTIRAO_DATABASE_URL": dsns.app,
        "MUTIRAO_DATABASE_OWNER_URL": dsns.owner,
        "MUTIRAO_IGNORE_PROVIDER_KEYS": "1",
    }
    asked = mutirao("ask", "--json", "-how much did I spend yesterday?", **house)
    assert asked.returncode == 0, asked.stderr
    assert "ads_report" in [tool["name"] for tool in json.loads(asked.stdout)["tools"]]
    refused = mutirao("ask", "oi", "--conversation", "minha conversa", **house)
    assert refused.returncode == 1 and "A conversation's id" in refused.stderr, refused.stderr

    gone = mutirao("disconnect", "meta", **house)
    assert gone.returncode == 0 and gone.stdout.startswith("Desligado"), gone.stderr
    real = mutirao("connect", "meta", "--token", "EAAG0tokenOfSomebody", **house)
    assert real.returncode == 1 and "MUTIRAO_META_ADS=live" in real.stderr
    assert len(real.stderr.strip().splitlines()) == 1


def test_an_mcp_client_is_told_as_whom_it_speaks_and_is_no_admin_unasked(dsns: Dsns, data_dir: Path) -> None:
    house = {"MUTIRAO_DATABASE_URL": dsns.app, "MUTIRAO_DATABASE_OWNER_URL": dsns.owner}
    done = mutirao("mcp", MUTIRAO_DATA_DIR=str(data_dir), **house)  # its input ends at once
    assert "no papel Comercial" in done.stderr
    assert done.stdout == ""
