"""The command line from outside: what it prints and how it ends."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.contracts.source import ROOT


def mutirao(*arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    bare = {name: value for name, value in os.environ.items() if not name.startswith("MUTIRAO_")}
    return subprocess.run(
        [sys.executable, "-c", "from app import main; main()", *arguments],
        env={**bare, "PYTHONPATH": str(ROOT), "MUTIRAO_LANGUAGE": "en", **environ},
        cwd=ROOT,
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
