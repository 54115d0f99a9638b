"""What CI leans on: its script, and the rule that nothing is skipped there."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contracts.source import ROOT


@pytest.mark.parametrize(
    ("skips", "environ", "status"),
    [
        (True, {"CI": "true"}, 1),
        (True, {}, 0),
        (False, {"CI": "true"}, 0),
    ],
)
def test_a_skipped_test_fails_the_run_in_ci_and_only_there(
    tmp_path: Path, skips: bool, environ: dict[str, str], status: int
) -> None:
    shutil.copy(ROOT / "conftest.py", tmp_path)
    text = "import pytest\n\ndef test_one():\n    " + ("pytest.skip('no browser here')" if skips else "pass") + "\n"
    (tmp_path / "test_it.py").write_text(text)
    bare = {name: value for name, value in os.environ.items() if name != "CI"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        env={**bare, **environ},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stdout


def test_the_ci_script_is_well_formed_and_can_be_run() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0
    assert "set -euo pipefail" in script.read_text()


@pytest.mark.parametrize(("failing", "status"), [("", 0), ("check", 1), ("test", 1), ("setup", 1)])
def test_a_step_that_fails_fails_the_script_and_the_others_are_still_run(
    tmp_path: Path, failing: str, status: int
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    # Stands for make, and for everything that would install something.
    fake = f'#!/bin/sh\necho "ran $*"\ncase "$*" in *" {failing or "nothing"}") exit 1;; esac\n'
    for name in ("make", "apt-get", "sudo", "dpkg", "python3", "redis-server", "chromium", "git"):
        (programs / name).write_text(fake if name == "make" else "#!/bin/sh\n")
        (programs / name).chmod(0o755)
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci" / "run")
    done = subprocess.run(
        ["bash", ".ci/run"],
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode != 0) == (status != 0), done.stdout
    assert ("--no-print-directory test" in done.stdout) == (failing != "setup")
