"""The whole house in this process: everything app.py builds, on a database of the test's own and a sandbox whose
clock stands still at the test's moment."""

import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from app import open_services
from business.people.sample import ensure_sample_company
from business.people.service import People
from channels.services import Services
from core.clock import Clock, FixedClock
from core.db import Database
from core.door import IncomingMessage, Reply
from core.ids import new_id
from core.settings import Settings
from core.tenancy import Identity, Role
from core.turn import Event
from integrations.meta_ads.simulator import launch
from tests.conftest import CHEAP_HASHER, Dsns


@dataclass
class House:
    """`ask` is one turn of a person of the sample company, through the same handle that every door uses."""

    services: Services
    graph: launch.Launched
    tenant_id: str
    events: list[Event]

    async def person(self, role: Role = Role.ADMIN) -> Identity:
        return await self.services.people.identity_by_role(self.tenant_id, role)

    async def ask(self, text: str, conversation: str = "", role: Role = Role.ADMIN, **more: Any) -> Reply:
        message = IncomingMessage(await self.person(role), conversation or new_id("conv"), text, "chat", **more)
        return await self.services.handle(message, self.events.append)

    async def ledger(self, account: str, since: str, until: str) -> list[dict[str, Any]]:
        """What really happened, ad by ad and day by day, as the sandbox keeps it; money in cents."""
        return list((await self._get("/__ledger", account=account, since=since, until=until))["rows"])

    async def writes(self) -> list[dict[str, Any]]:
        return list((await self._get("/__writes"))["writes"])

    async def writes_asked(self) -> int:
        """How many writes have come in at the sandbox, executed or not."""
        seen = (await self._get("/__requests"))["last"]
        return sum(request["method"] == "POST" and request["path"].rsplit("/", 1)[-1].isdigit() for request in seen)

    async def status_of(self, object_id: str) -> str:
        who = await self.person()
        [connected] = await self.services.connections.of(who.tenant_id)
        return str((await connected.client.get(object_id, ["status"]))["status"])

    async def fault(self, *faults: dict[str, Any]) -> None:
        async with httpx.AsyncClient(base_url=self.graph.base_url) as http:
            (await http.post("/__faults", json={"faults": list(faults)})).raise_for_status()

    async def _get(self, path: str, **params: str) -> Any:
        async with httpx.AsyncClient(base_url=self.graph.base_url) as http:
            return (await http.get(path, params=params)).json()


OpenHouse = Callable[..., Any]


@asynccontextmanager
async def houses(dsns: Dsns, clock: Clock) -> AsyncIterator[OpenHouse]:
    """Opens houses with settings of the caller's choice; all of them share the database and the sandbox."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mutirao-house-")))
        graph = launch.start(folder / "graph", clock.now())
        stack.callback(graph.stop)

        async def open_one(**settings: Any) -> House:
            chosen = Settings(
                data_dir=folder / "var",
                database_url=dsns.app,
                database_owner_url=dsns.owner,
                log_level="WARNING",
                **settings,
            )
            await _demo_users(dsns, clock, chosen)
            services = await stack.enter_async_context(open_services(chosen, clock, graph.base_url))
            tenant = await services.people.tenant(None)
            house = House(services, graph, tenant.id, [])
            if not await services.connections.of(tenant.id):
                checked = await services.connections.check(graph.token)
                await services.connections.save(await house.person(), checked, [a.id for a in checked.accounts])
            return house

        yield open_one


async def _demo_users(dsns: Dsns, clock: Clock, settings: Settings) -> None:
    """The sample company as the house makes it itself, with hashes that cost little: to make four that withstand a
    thief takes as long as all the rest of opening a house, three times over."""
    db = Database(dsns.app)
    await db.open()
    await ensure_sample_company(settings, People(db, clock, sandbox=True, hasher=CHEAP_HASHER), db)
    await db.close()


@pytest.fixture
async def open_house(dsns: Dsns, clock: FixedClock, learnt: Path) -> AsyncIterator[OpenHouse]:
    """Opens a house with settings of the test's choice; all of them share the database and the sandbox."""
    async with houses(dsns, clock) as open_one:
        yield open_one


@pytest.fixture
async def house(open_house: OpenHouse) -> House:
    """The house as a newcomer has it: no model, the sample company."""
    found: House = await open_house()
    return found
