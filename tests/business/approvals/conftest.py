from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from business.approvals.model import Change, Proposal
from business.approvals.service import Approvals
from core.clock import FixedClock
from core.db import Database
from core.errors import Refused
from core.permissions import Permissions
from core.tenancy import Role
from tests.business.approvals.dials import DialHandler, turn_dial
from tests.business.approvals.witness import Witness
from tests.conftest import Tenants

Propose = Callable[..., Awaitable[Proposal]]


async def nothing_above_999(tenant_id: str, tool: str, effect: str, change: Change) -> None:
    """The policy of these tests."""
    if int(change.data["to"]) > 999:
        raise Refused("policy_forbids", "too high", tool=tool)


@pytest.fixture
def witness(tmp_path: Path) -> Iterator[Witness]:
    witness = Witness(tmp_path / "journal")
    yield witness
    witness.close()


@pytest.fixture
def approvals(database: Database, permissions: Permissions, clock: FixedClock, witness: Witness) -> Approvals:
    handler = DialHandler(witness.url)
    return Approvals(database, permissions, clock, {handler.kind: handler}, check=nothing_above_999)


@pytest.fixture
def propose(approvals: Approvals, tenants: Tenants, witness: Witness) -> Propose:
    """Propose to turn a dial from 100, as this role of tenant one."""

    async def make(
        dial: str = "volume",
        to: str = "150",
        *,
        by: Role = Role.COMERCIAL,
        effect: str = "WRITE",
        door: str = "chat",
        conversation: str | None = "conv_1",
    ) -> Proposal:
        witness.dials.setdefault(dial, "100")
        change = turn_dial(dial, "100", to, effect)
        return await approvals.create(
            tenants.one[by],
            change,
            tool="turn_dial",
            effect=effect,
            door=door,
            conversation_id=conversation,
            turn_id="turn_1",
        )

    return make
