"""A process that is killed with -9 in the middle of an approved write: the sandbox holds one write or none, and
what is told is the truth after the next process has looked."""

import asyncio
import os
import signal
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from business.approvals.model import ProposalState
from core.clock import FixedClock
from tests.conftest import Dsns
from tests.journeys.conftest import House

ROOT = Path(__file__).parents[2]
TIRED = "120300000000000005"  # the ad "Vídeo 03 | Provador" of the sandbox

APPROVER = """
import asyncio, sys
from datetime import datetime
from pathlib import Path
from app import open_services
from core.clock import FixedClock
from core.settings import Settings
from core.tenancy import Role

async def main(app, owner, data_dir, graph, now, proposal):
    settings = Settings(database_url=app, database_owner_url=owner, data_dir=Path(data_dir), log_level="ERROR")
    async with open_services(settings, FixedClock(datetime.fromisoformat(now)), graph) as services:
        tenant = await services.people.tenant(None)
        who = await services.people.identity_by_role(tenant.id, Role.ADMIN)
        print("ready", flush=True)
        await services.approvals.approve(who, proposal, door="terminal")

asyncio.run(main(*sys.argv[1:]))
"""


async def killed_while_approving(house: House, dsns: Dsns, clock: FixedClock, proposal: str) -> None:
    """Approve in a process of its own, and kill it as soon as the sandbox has seen the write come in."""
    arguments = [
        dsns.app,
        dsns.owner,
        str(house.services.settings.data_dir),
        house.graph.base_url,
        clock.now().isoformat(),
    ]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", APPROVER, *arguments, proposal, cwd=ROOT, stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert process.stdout is not None
    try:
        assert (await asyncio.wait_for(process.stdout.readline(), 60)).strip() == b"ready"
        async with asyncio.timeout(30):
            while not await house.writes_asked():
                await asyncio.sleep(0.02)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        await process.wait()


@pytest.mark.parametrize("fault", ["hang_after", "hang"])
async def test_a_killed_approval_is_settled_by_looking(house: House, dsns: Dsns, clock: FixedClock, fault: str) -> None:
    # hang_after: the write is done and its answer never comes; hang: it arrives and nothing is done.
    reply = await house.ask("pausa o anúncio Vídeo 03 | Provador")
    [card] = reply.proposals
    await house.fault({"kind": fault, "method": "POST", "path": TIRED})
    await killed_while_approving(house, dsns, clock, card.id)
    assert len(await house.writes()) == (1 if fault == "hang_after" else 0)

    who = await house.person()
    before = await house.services.approvals.get(who, card.id)
    assert before.state in (ProposalState.EXECUTING, ProposalState.UNKNOWN)

    clock.advance(timedelta(minutes=2))  # past the lease of the dead process
    await house.services.approvals.reconcile(house.tenant_id)

    after = await house.services.approvals.get(who, card.id)
    assert after.state is ProposalState.EXECUTED
    assert len(await house.writes()) == 1  # never sent again blindly: only after it was seen not to have happened
    assert await house.status_of(TIRED) == "PAUSED"
