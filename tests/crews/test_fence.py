"""CrewAI does nothing behind our back: shown by an audit hook in a process of its own, over import and kickoffs."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

_ROOT = Path(__file__).parents[2]

# Runs in a fresh interpreter: says on its last line what was reached and written, and how the kickoffs ended.
_SCRIPT = """
import asyncio, json, os, sys, warnings
from pathlib import Path

reached, written = [], []

def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        reached.append([event, str(arguments[1:])])
    elif event == "os.mkdir":
        written.append(str(arguments[0]))
    elif event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        written.append(str(arguments[0]))
    elif event == "sqlite3.connect":
        written.append(str(arguments[0]))

before = dict(os.environ)
own_warn = warnings.warn
sys.addaudithook(watch)

from business.approvals.service import Approvals
from core.clock import FixedClock
from core.db import Database
from core.permissions import Permissions
from core.settings import Settings
from core.tenancy import Role
from crews.contract import CrewDeps
from crews.fence import import_crewai, prepare
from crews.kickoff import kick_off
from llm.router import Router
from prompts.prompt import Prompts
from prompts.texts import Texts
from tests.crews.conftest import SpendPlaybook, new_turn
from tests.crews.test_kickoff import OPENING, spend
from tools.policy import Policies, load_policy
from tools.runner import ToolRunner

prepare(Path(sys.argv[1]))
import_crewai()

async def main():
    database = Database("host=/nowhere")  # never opened: a tool that reads nothing needs none
    permissions = Permissions({(role, "ads"): "R" for role in (Role.ADMIN, Role.AGENTE_IA)})
    policies = Policies(database, load_policy())
    runner = ToolRunner(
        permissions=permissions,
        approvals=Approvals(database, permissions, FixedClock(), {}, check=policies.check),
        policies=policies,
        texts=Texts.load(),
        tools=[spend],
        services={},
    )
    deps = CrewDeps(Router.from_settings(Settings()), runner, Prompts(), Texts.load())
    ended = []
    for stopped in (False, True):
        turn = new_turn()
        if stopped:
            turn.stopped.set()
        try:
            told = await kick_off(turn, deps, "ads_analyst", opening=OPENING, tools=[spend], playbook=SpendPlaybook())
            ended.append([told, [(record.name, record.error) for record in turn.results]])
        except Exception as error:
            ended.append(type(error).__name__)
    return ended

ended = asyncio.run(main())
added = sorted(set(os.environ) - set(before))
print(json.dumps(
    {"reached": reached, "written": written, "ended": ended, "added": added, "warn": warnings.warn is own_warn}
))
"""


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("fence")
    home, data = folder / "home", folder / "data"
    for made in (home, data, folder / "tmp"):
        made.mkdir()
    script = folder / "script.py"
    script.write_text(_SCRIPT, encoding="utf-8")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CREWAI", "MUTIRAO", "OTEL"))}
    environment = {
        **kept,
        "HOME": str(home),
        "TMPDIR": str(folder / "tmp"),
        "PYTHONPATH": str(_ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "REDIS_URL": "redis://127.0.0.1:9/0",
        "MUTIRAO_IGNORE_PROVIDER_KEYS": "1",
    }
    done = subprocess.run(
        [sys.executable, str(script), str(data)],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    printed = done.stdout.splitlines()[:-1]
    in_home = [str(path) for path in home.rglob("*")]
    return {**told, "folder": folder, "printed": printed, "stderr": done.stderr, "in_home": in_home}


def test_import_and_kickoffs_work_and_what_stopped_one_comes_out_as_itself(watched: dict[str, Any]) -> None:
    assert watched["ended"] == [["Gastou R$ 12,34.", [["spend", None]]], "Refused"]


def test_nothing_is_reached_over_the_network(watched: dict[str, Any]) -> None:
    assert watched["reached"] == []


def test_nothing_is_written_outside_the_data_folder(watched: dict[str, Any]) -> None:
    allowed = (str(watched["folder"] / "data"), str(watched["folder"] / "tmp"), "/dev/null")
    assert [path for path in watched["written"] if not path.startswith(allowed)] == []
    assert watched["in_home"] == []


def test_no_prompt_or_answer_is_kept_by_crewai(watched: dict[str, Any]) -> None:
    kept = [path for path in (watched["folder"] / "data").rglob("*") if path.is_file()]
    assert [path.name for path in kept] == [".crewai_user.json"]
    assert json.loads(kept[0].read_text()) == {"first_execution_done": True, "trace_consent": False}


def test_nothing_is_printed_even_when_a_kickoff_fails(watched: dict[str, Any]) -> None:
    assert (watched["printed"], watched["stderr"]) == ([], "")


def test_the_process_is_left_as_it_was(watched: dict[str, Any]) -> None:
    assert watched["warn"], "CrewAI replaces warnings.warn"
    chromadb = {"TOKENIZERS_PARALLELISM"}  # harmless; set by 3.11's imports, not by 3.12's
    assert set(watched["added"]) - chromadb == {
        "CREWAI_DISABLE_TELEMETRY",
        "CREWAI_DISABLE_VERSION_CHECK",
        "CREWAI_STORAGE_DIR",
        "CREWAI_TRACING_ENABLED",
    }


def test_without_its_switches_crewai_is_not_imported() -> None:
    code = "from crews.fence import import_crewai\nimport_crewai()"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CREWAI")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=kept, cwd=_ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert "crews.fence.prepare(data_dir) must be called" in done.stderr
