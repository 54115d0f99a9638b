"""kill -9 in the middle of an approved write: exactly one write, or none; never two. Fault F1 and F17."""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from business.approvals.model import Proposal, ProposalState
from business.approvals.service import Approvals
from core.clock import FixedClock, SystemClock
from core.db import Database
from core.permissions import Permissions
from core.tenancy import Role
from tests.business.approvals.conftest import nothing_above_999
from tests.business.approvals.dials import DialHandler, turn_dial
from tests.business.approvals.witness import Witness
from tests.conftest import Tenants, until

ROOT = Path(__file__).parents[3]


class Forker:
    """Starts children that approve, and kills them."""

    def __init__(self, dsn: str, witness: Witness, tenants: Tenants) -> None:
        self._common = {
            "dsn": dsn,
            "witness": witness.url,
            "tenant": tenants.one.id,
            "user": tenants.one[Role.ADMIN].user_id,
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.business.approvals.forker"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, proposal: Proposal) -> int:
        """Begin to approve in a child. Its pid."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps({**self._common, "proposal": proposal.id}) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def wait(self) -> str:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()

    def close(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(timeout=30)


@pytest.fixture
def forker(database: Database, witness: Witness, tenants: Tenants) -> Iterator[Forker]:
    forker = Forker(database.app_dsn, witness, tenants)
    yield forker
    forker.close()


class After:
    """The system as it comes up again, a minute later."""

    def __init__(self, database: Database, permissions: Permissions, witness: Witness, tenants: Tenants) -> None:
        self.clock = FixedClock(SystemClock().now())
        handler = DialHandler(witness.url)
        self.approvals = Approvals(database, permissions, self.clock, {handler.kind: handler}, check=nothing_above_999)
        self.tenants = tenants
        self._witness = witness

    async def propose(self, dial: str) -> Proposal:
        self._witness.dials[dial] = "100"
        return await self.approvals.create(
            self.tenants.one[Role.COMERCIAL],
            turn_dial(dial, "100", "150"),
            tool="turn_dial",
            effect="WRITE",
            door="chat",
            conversation_id="conv_1",
        )

    async def settle(self, proposal: Proposal, *, wait: bool = True) -> Proposal:
        if wait:  # what had reached the other side is still carried out there, after its sender is dead
            await until(self._witness.quiet)
        self.clock.at = SystemClock().now() + timedelta(minutes=1)
        await self.approvals.reconcile(self.tenants.one.id)
        return await self.approvals.get(self.tenants.one[Role.ADMIN], proposal.id)


@pytest.fixture
def after(database: Database, permissions: Permissions, witness: Witness, tenants: Tenants) -> After:
    return After(database, permissions, witness, tenants)


@pytest.mark.parametrize("point", ["asked", "announced", "received", "done", "answered", "asked the second time"])
async def test_a_process_killed_at_a_named_point_leaves_exactly_one_write_after_the_restart(
    point: str, forker: Forker, after: After, witness: Witness
) -> None:
    proposal = await after.propose("volume")
    reached, killed, name = threading.Event(), threading.Event(), point.split(" ")[0]
    times = 2 if "second" in point else 1
    seen: list[str] = []

    def hold(at: str) -> None:
        seen.append(at)
        if at == name and seen.count(name) == times and not killed.is_set():
            reached.set()
            killed.wait(20)

    witness.at = hold
    child = forker.start(proposal)
    await until(reached.is_set)
    os.kill(child, signal.SIGKILL)
    assert await asyncio.to_thread(forker.wait) == "killed"
    killed.set()

    settled = await after.settle(proposal)

    assert settled.state is ProposalState.EXECUTED
    assert witness.writes_of("volume") == ["150"]


@pytest.mark.parametrize("seed", range(4))
async def test_processes_killed_at_any_moment_never_leave_two_writes(
    seed: int, forker: Forker, after: After, witness: Witness
) -> None:
    moments = random.Random(seed)
    outcomes = []
    for number in range(6):
        dial = f"dial-{seed}-{number}"
        proposal = await after.propose(dial)
        child = forker.start(proposal)
        await asyncio.sleep(moments.uniform(0.02, 0.14))  # the moment of the kill is what is varied here
        os.kill(child, signal.SIGKILL)  # it keeps its pid until it is waited for, even when it has ended by itself
        at_kill = (await after.approvals.get(after.tenants.one[Role.ADMIN], proposal.id)).state.value
        await asyncio.to_thread(forker.wait)

        settled = await after.settle(proposal)
        writes = witness.writes_of(dial)
        outcomes.append((at_kill, settled.state.value, len(writes)))
        if settled.state is ProposalState.PENDING:  # killed before the yes was kept: nobody has decided
            assert writes == []
        else:
            assert (settled.state, writes) == (ProposalState.EXECUTED, ["150"]), outcomes
    print(outcomes)


async def test_a_process_that_is_only_stopped_is_not_overtaken(forker: Forker, after: After, witness: Witness) -> None:
    proposal = await after.propose("volume")
    reached, go_on = threading.Event(), threading.Event()

    def hold(at: str) -> None:
        if at == "announced":
            reached.set()
            go_on.wait(20)

    witness.at = hold
    child = forker.start(proposal)
    await until(reached.is_set)
    os.kill(child, signal.SIGSTOP)  # claimed, not sent, and silent for longer than its lease
    go_on.set()
    overtaken = await after.settle(proposal, wait=False)
    assert overtaken.state is ProposalState.EXECUTING
    assert witness.writes_of("volume") == []

    os.kill(child, signal.SIGCONT)
    assert await asyncio.to_thread(forker.wait) == "ended"
    assert (await after.settle(proposal)).state is ProposalState.EXECUTED
    assert witness.writes_of("volume") == ["150"]
