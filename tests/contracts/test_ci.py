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
