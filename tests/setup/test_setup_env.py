"""The bootstrap behind `make`: what it installs, when it does nothing, and what it says when it cannot."""

import json
import os
import shutil
import signal
import stat
import string
import subprocess
import sys
from pathlib import Path

import pytest

import setup_env
from tests.conftest import wait_until
from tests.setup.conftest import Project, wheel

# Environments are made for real here: half a minute on an idle machine, some minutes on a busy one.
pytestmark = pytest.mark.timeout(400)

STAMP = Path(".venv") / setup_env.STAMP


def interpreter(folder: Path, name: str, **told: object) -> Path:
    """An interpreter that answers the probe like this and can do nothing else."""
    answer = {"version": [3, 11], "kind": "CPython", "bits": 64, "venv": True, "base": "/usr", "path": "/usr/bin/x"}
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{json.dumps({**answer, **told})}'\n")
    path.chmod(0o755)
    return path


def test_the_first_run_installs_exactly_the_lock_file_and_the_command(installed: Project) -> None:
    assert installed.installed() == {"apples": "1.0", "mutirao": "0.1"}
    said = subprocess.run([installed.root / ".venv/bin/mutirao", "ask"], capture_output=True, text=True, check=True)
    assert said.stdout.startswith("['ask']")


def test_byte_code_is_compiled_even_where_python_is_told_not_to_write_any(installed: Project) -> None:
    assert installed.environ["PYTHONDONTWRITEBYTECODE"] == "1"
    assert list((installed.root / ".venv").rglob("apples.*.pyc"))
    assert list((installed.root / "core").rglob("*.pyc"))


def test_a_second_run_says_nothing_and_changes_nothing(installed: Project) -> None:
    before = (installed.root / STAMP).stat().st_mtime_ns
    again = installed.run()
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert (installed.root / STAMP).stat().st_mtime_ns == before


def test_a_changed_lock_file_is_installed_and_what_was_dropped_goes(project: Project) -> None:
    project.lock({"apples": "1.0", "pears": "1.0"})
    project.run()
    assert project.installed() == {"apples": "1.0", "pears": "1.0", "mutirao": "0.1"}
    project.lock({"apples": "2.0"})
    done = project.run()
    assert "pears" in done.stdout
    assert project.installed() == {"apples": "2.0", "mutirao": "0.1"}


def test_the_test_tools_come_when_asked_for_and_stay(project: Project) -> None:
    project.lock({"apples": "1.0"}, dev={"tester": "1.0"})
    assert project.run().stdout == "", "what runs has not changed"
    project.run("--dev")
    assert project.installed()["tester"] == "1.0"
    assert project.run().stdout == ""
    project.lock({"apples": "2.0"}, dev={"tester": "1.0"})
    project.run()
    assert project.installed() == {"apples": "2.0", "tester": "1.0", "mutirao": "0.1"}
    assert project.run("--dev").stdout != ""
    assert project.run("--dev").stdout == ""


def test_an_installation_that_was_cut_off_is_begun_anew(fresh: Project) -> None:
    # pip's log is made after the environment and before the stamp.
    log = fresh.root / ".venv" / "setup.log"
    killed = fresh.start()
    wait_until(log.exists, seconds=120)
    killed.kill()
    killed.communicate()
    assert not (fresh.root / STAMP).exists()

    interrupted = fresh.start()
    wait_until(lambda: log.exists() and b"Processing" in log.read_bytes(), seconds=120)
    interrupted.send_signal(signal.SIGINT)
    out, err = interrupted.communicate(timeout=60)
    assert "did not finish" in out
    assert "Traceback" not in err
    assert (fresh.root / STAMP).exists() == (interrupted.returncode == 0), "a finished one came before the signal"

    assert fresh.run().returncode == 0
    assert fresh.installed() == {"apples": "1.0", "mutirao": "0.1"}


def test_two_at_once_wait_for_one_another_and_both_succeed(fresh: Project) -> None:
    first, second = fresh.start(), fresh.start("--dev")
    results = [process.communicate(timeout=100) for process in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0], results
    assert fresh.installed() == {"apples": "1.0", "mutirao": "0.1"}
    assert sum("waiting" in out for out, _ in results) <= 1


def test_when_packages_cannot_be_fetched_the_old_environment_stays_usable(project: Project) -> None:
    project.lock({"apples": "2.0"})
    (project.wheels / "apples-2.0-py3-none-any.whl").unlink()
    failed = project.run()
    assert failed.returncode == 1
    assert len(failed.stderr.strip().splitlines()) == 1
    assert "apples" in failed.stderr
    assert project.installed()["apples"] == "1.0"
    project.lock({"apples": "1.0"})
    assert project.run().stdout == "", "going back to the old lock file needs nothing"


def test_a_package_that_is_not_the_one_that_was_locked_is_refused(project: Project) -> None:
    project.lock({"apples": "2.0"})
    wheel(project.wheels, "apples", "2.0", module="import os  # something else\n")
    failed = project.run()
    assert failed.returncode == 1
    assert "not the one that was checked" in failed.stderr
    assert len(failed.stderr.strip().splitlines()) == 1
    assert project.installed()["apples"] == "1.0"


def test_a_project_that_was_moved_or_lost_its_python_gets_a_new_environment(installed: Project, tmp_path: Path) -> None:
    moved = Project(tmp_path / "elsewhere", installed.wheels, installed.environ)
    shutil.copytree(installed.root, moved.root, symlinks=True)
    assert "moved" in moved.run().stdout
    command = (moved.root / ".venv/bin/mutirao").read_text()
    assert str(moved.root) in command.splitlines()[0]

    (moved.root / ".venv" / "bin" / "python").unlink()
    assert "has moved" in moved.run().stdout
    assert (moved.root / ".venv" / "bin" / "python").exists()


# --- which Python -----------------------------------------------------------------------------


def test_a_python_that_is_too_old_or_too_new_is_named_in_one_sentence(fresh: Project, tmp_path: Path) -> None:
    interpreter(tmp_path / "bin", "python3", version=[3, 9])
    interpreter(tmp_path / "bin", "python3.12", version=[3, 13])
    failed = fresh.run(PATH=str(tmp_path / "bin"), PYTHON="")
    assert failed.returncode == 1
    assert "needs Python 3.11 or 3.12" in failed.stderr
    assert "Python 3.13, Python 3.9" in failed.stderr
    assert len(failed.stderr.strip().splitlines()) == 1


def test_a_python_without_its_venv_module_is_named_with_the_package_to_install(fresh: Project, tmp_path: Path) -> None:
    interpreter(tmp_path / "bin", "python3.11", venv=False)
    failed = fresh.run(PATH=str(tmp_path / "bin"), PYTHON="")
    assert failed.returncode == 1
    assert "sudo apt install python3.11-venv" in failed.stderr


def test_a_shim_that_does_not_run_hides_no_python_behind_it(tmp_path: Path) -> None:
    """pyenv puts a python3.12 on PATH that only prints an error when that version was not chosen."""
    shims, real = tmp_path / "shims", tmp_path / "real"
    for folder in (shims, real):
        folder.mkdir()
    (shims / "python3.12").write_text("#!/bin/sh\necho 'pyenv: python3.12: command not found' >&2\nexit 127\n")
    (shims / "python3.12").chmod(0o755)
    good = interpreter(real, "python3.12", version=[3, 12])
    found = setup_env.find_python({"PATH": f"{shims}:{real}"})
    assert found["version"] == [3, 12]
    assert good.exists()


def test_the_interpreter_that_was_asked_for_is_taken_or_refused_with_the_reason(fresh: Project, tmp_path: Path) -> None:
    old = interpreter(tmp_path / "bin", "old", version=[3, 10])
    failed = fresh.run(PYTHON=str(old))
    assert failed.returncode == 1
    assert "it is Python 3.10" in failed.stderr
    other = interpreter(tmp_path / "bin", "other", kind="PyPy")
    assert "it is PyPy" in fresh.run(PYTHON=str(other)).stderr
    assert "could not be run" in fresh.run(PYTHON="/nowhere/python3").stderr


def test_a_folder_that_cannot_be_written_is_told_in_one_sentence(fresh: Project) -> None:
    if os.geteuid() == 0:  # root writes everywhere, so this is asked as nobody
        for path in [fresh.root, *fresh.root.parents]:
            if path == Path("/tmp"):
                break
            path.chmod(path.stat().st_mode | 0o555)
        python = next(found for found in setup_env.candidates({"PATH": "/usr/bin:/bin:/usr/local/bin"}))
        become = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", python]
    else:
        fresh.root.chmod(stat.S_IRUSR | stat.S_IXUSR)
        become = [sys.executable]
    failed = subprocess.run(
        [*become, str(fresh.root / "setup_env.py")],
        env={**fresh.environ, "PYTHON": "", "PATH": "/usr/local/bin:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    fresh.root.chmod(0o755)
    assert failed.returncode == 1, failed.stdout
    assert "Cannot write to" in failed.stderr
    assert len(failed.stderr.strip().splitlines()) == 1


# --- words ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, "pt"),
        ({"LANG": "C.UTF-8"}, "pt"),
        ({"LANG": "en_US.UTF-8"}, "en"),
        ({"LANG": "es_AR.UTF-8", "LC_ALL": "pt_BR.UTF-8"}, "pt"),
        ({"LANG": "en_US.UTF-8", "MUTIRAO_LANGUAGE": "es"}, "es"),
    ],
)
def test_the_terminal_decides_the_language_and_portuguese_is_the_rest(environ: dict[str, str], expected: str) -> None:
    assert setup_env.language(environ) == expected


def test_every_sentence_exists_in_the_three_languages_with_the_same_gaps() -> None:
    gaps = [{key: sorted(_fields(text)) for key, text in texts.items()} for texts in setup_env.TEXTS.values()]
    assert gaps[0] == gaps[1] == gaps[2]


def _fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


# --- make -------------------------------------------------------------------------------------


def make(project: Project, *arguments: str, **environ: str) -> str:
    done = subprocess.run(
        ["make", "-C", str(project.root), "--no-print-directory", *arguments],
        env={**project.environ, **environ},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_make_alone_lists_every_target_with_a_line_of_help(installed: Project) -> None:
    listed = make(installed)
    for target in ("run", "setup", "test", "check", "evals", "bench", "help"):
        line = next(line for line in listed.splitlines() if line.split()[:2] == ["make", target])
        assert len(line.split()) > 3


def test_make_run_serves_on_the_port_that_was_said_and_ignores_one_lying_in_the_shell(installed: Project) -> None:
    assert make(installed, "run").strip() == "['serve'] None None"
    assert make(installed, "run", "PORT=9000").strip() == "['serve'] 9000 None"
    assert make(installed, "run", PORT="3000").strip() == "['serve'] None None"


def test_make_evals_ignores_provider_keys(installed: Project) -> None:
    assert make(installed, "evals", "ARGS=--only ads").strip() == "['evals', 'run', '--only', 'ads'] None 1"
