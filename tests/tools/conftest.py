from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from business.approvals.service import Approvals
from core.clock import FixedClock
from core.db import Database
from core.permissions import Permissions
from core.tenancy import Role
from core.turn import Limits, Turn
from prompts.texts import Texts
from tests.business.approvals.dials import DialHandler
from tests.business.approvals.witness import Witness
from tests.conftest import Tenants
from tools.policy import Policies, load_policy
from tools.runner import ToolRunner
from tools.spec import ToolSpec

MakeRunner = Callable[..., ToolRunner]
MakeTurn = Callable[..., Turn]


@pytest.fixture(scope="session")
def texts() -> Texts:
    return Texts.load()


@pytest.fixture
def witness(tmp_path: Path) -> Iterator[Witness]:
    witness = Witness(tmp_path / "journal")
    witness.dials["volume"] = "100"
    yield witness
    witness.close()


@pytest.fixture
def policies(database: Database) -> Policies:
    return Policies(database, load_policy())


@pytest.fixture
def approvals(
    database: Database, permissions: Permissions, clock: FixedClock, witness: Witness, policies: Policies
) -> Approvals:
    handler = DialHandler(witness.url)
    return Approvals(database, permissions, clock, {handler.kind: handler}, check=policies.check)


@pytest.fixture
def make_runner(permissions: Permissions, approvals: Approvals, policies: Policies, texts: Texts) -> MakeRunner:
    def make(tools: Sequence[ToolSpec], services: dict[type, Any] | None = None) -> ToolRunner:
        return ToolRunner(
            permissions=permissions,
            approvals=approvals,
            policies=policies,
            texts=texts,
            tools=tools,
            services=services or {},
        )

    return make


@pytest.fixture
def make_turn(tenants: Tenants, clock: FixedClock) -> MakeTurn:
    def make(text: str = "", *, role: Role = Role.ADMIN, door: Any = "chat", **more: Any) -> Turn:
        return Turn(
            id="turn_1",
            identity=tenants.one[role],
            conversation_id="conv_1",
            door=door,
            text=text,
            language="pt-BR",
            now=clock.now(),
            limits=more.pop("limits", Limits()),
            **more,
        )

    return make
