"""The server killed with -9 in the middle of an approved write: one write at Meta's sandbox, seen at the next start."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from app import open_services
from business.approvals.model import ProposalState
from core.clock import FixedClock, SystemClock
from core.settings import Settings
from core.tenancy import Role
from integrations.meta_ads.simulator import launch as simulator
from tests.conftest import Dsns, wait_until

ROOT = Path(__file__).parents[2]
TIRED_AD = "120300000000000005"


class Machine:
    """`mutirao` commands on a data folder of the test's own, the sandbox of which outlives them."""

    def __init__(self, folder: Path, dsns: Dsns) -> None:
        self.settings = Settings(
            data_dir=folder, database_url=dsns.app, database_owner_url=dsns.owner, log_level="WARNING"
        )
        self._dsns = dsns
        self._environment = {
            **os.environ,
            "MUTIRAO_DATA_DIR": str(folder),
            "MUTIRAO_DATABASE_URL": dsns.app,
            "MUTIRAO_DATABASE_OWNER_URL": dsns.owner,
            "PYTHONPATH": str(ROOT),
        }
        # One more user of the sandbox, so that it does not stop between two commands.
        self.sandbox = simulator.shared((folder / "simulators" / "meta_ads").resolve())
        self.graph = httpx.Client(base_url=self.sandbox.acquire()["url"])

    def start(self, *command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", "import app; app.main()", *command],
            cwd=self.settings.data_dir,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *command: str) -> str:
        process = self.start(*command)
        out, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        return out

    def writes(self) -> list[dict[str, Any]]:
        return list(self.graph.get("/__writes").json()["writes"])

    def state_of(self, proposal: str) -> str:
        with psycopg.connect(self._dsns.owner) as conn:
            row = conn.execute("SELECT state FROM proposals WHERE id = %s", [proposal]).fetchone()
        assert row is not None
        return str(row[0])

    def close(self) -> None:
        self.graph.close()
        self.sandbox.release()


@pytest.fixture
def machine(tmp_path: Path, dsns: Dsns, learnt: Path) -> Iterator[Machine]:
    folder = tmp_path / "var"
    shutil.copytree(learnt, folder / "cache")
    machine = Machine(folder, dsns)
    yield machine
    machine.close()


@pytest.mark.parametrize("fault", ["hang", "hang_after"])
async def test_a_server_killed_in_the_middle_of_a_write_leaves_exactly_one(machine: Machine, fault: str) -> None:
    asked = json.loads(machine.run("ask", "Pausa o anúncio Vídeo 03 | Provador", "--json"))
    (proposal,) = asked["proposals"]
    assert machine.writes() == []

    # The sandbox takes the write and is silent: before doing it ("hang"), or after ("hang_after").
    faults = [{"kind": fault, "method": "POST", "path": TIRED_AD, "seconds": 60}]
    machine.graph.post("/__faults", json={"faults": faults}).raise_for_status()
    approving = machine.start("approvals", "approve", proposal["id"])
    wait_until(lambda: not machine.graph.get("/__faults").json()["faults"], seconds=60)
    approving.send_signal(signal.SIGKILL)
    approving.communicate(timeout=20)

    assert machine.state_of(proposal["id"]) == "executing"
    assert len(machine.writes()) == (0 if fault == "hang" else 1)

    # It comes up again, two minutes later, and looks.
    clock = FixedClock(SystemClock().now() + timedelta(minutes=2))
    async with open_services(machine.settings, clock) as services:
        tenant = await services.people.tenant(None)
        await services.approvals.reconcile(tenant.id)
        admin = await services.people.identity_by_role(tenant.id, Role.ADMIN)
        settled = await services.approvals.get(admin, proposal["id"])

    assert settled.state is ProposalState.EXECUTED
    assert [(write["object_id"], write["changed"]) for write in machine.writes()] == [(TIRED_AD, {"status": "PAUSED"})]
