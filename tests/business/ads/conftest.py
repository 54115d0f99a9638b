"""The ads service over the sandbox's Graph API: real client, real wire, a world whose figures never move."""

from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from business.ads.graph_source import GraphSource
from business.ads.model import AdsSource
from business.ads.service import AdsService
from core.clock import FixedClock
from core.tenancy import Identity, Role
from integrations.meta_ads.client import MetaAdsClient
from integrations.meta_ads.simulator import launch
from integrations.meta_ads.simulator.launch import Launched

NOW = datetime(2026, 11, 20, 18, 0, tzinfo=UTC)
"""A Friday afternoon in São Paulo, the day on which the world begins."""
AURORA, VITORIA = "act_100000000000001", "act_100000000000002"


class World:
    """A running sandbox with its own end points for tests."""

    def __init__(self, launched: Launched, http: httpx.AsyncClient) -> None:
        self.launched = launched
        self._http = http
        self.client = MetaAdsClient(http, launched.token, base_url=launched.base_url, pause=0.01)

    async def ledger(self, account_id: str, since: date, until: date) -> list[dict[str, Any]]:
        """The raw events per ad and day, of which every figure of the API is made."""
        asked = {"account": account_id, "since": since.isoformat(), "until": until.isoformat()}
        answer = await self._http.get(f"{self.launched.base_url}/__ledger", params=asked)
        return list(answer.json()["rows"])

    async def writes(self) -> list[dict[str, Any]]:
        return list((await self._http.get(f"{self.launched.base_url}/__writes")).json()["writes"])

    async def requests(self) -> int:
        return int((await self._http.get(f"{self.launched.base_url}/__requests")).json()["count"])

    async def fail(self, **fault: Any) -> None:
        answer = await self._http.post(f"{self.launched.base_url}/__faults", json={"faults": [fault]})
        answer.raise_for_status()

    async def heal(self) -> None:
        (await self._http.delete(f"{self.launched.base_url}/__faults")).raise_for_status()

    async def move_clock(self, to: datetime) -> None:
        answer = await self._http.post(f"{self.launched.base_url}/__clock", json={"now": to.isoformat()})
        answer.raise_for_status()


def identity(accounts: frozenset[str] | None = None, role: Role = Role.DIRETOR) -> Identity:
    return Identity("tenant_1", "user_1", role, "Ana", "ana@example.com", accounts=accounts)


def service_over(*sources_of_call: Callable[[], AdsSource], now: datetime = NOW, **options: Any) -> AdsService:
    """A service whose sources are made afresh for each call, as in the product."""

    async def sources(_: str) -> list[AdsSource]:
        return [make() for make in sources_of_call]

    return AdsService(sources, FixedClock(now), **options)


@pytest.fixture(scope="session")
def shared_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launched]:
    """One sandbox for all tests that write nothing."""
    launched = launch.start(tmp_path_factory.mktemp("sandbox"), NOW)
    yield launched
    launched.stop()


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient() as client:
        yield client


@pytest.fixture
async def world(shared_sandbox: Launched, http: httpx.AsyncClient) -> AsyncIterator[World]:
    """The shared sandbox; faults are taken back afterwards."""
    world = World(shared_sandbox, http)
    yield world
    await world.heal()


@pytest.fixture
def my_world(tmp_path: Path, http: httpx.AsyncClient) -> Iterator[World]:
    """A sandbox of one's own, that the test may change."""
    launched = launch.start(tmp_path / "sandbox", NOW)
    yield World(launched, http)
    launched.stop()


@pytest.fixture
def service(world: World) -> AdsService:
    return service_over(lambda: GraphSource(world.client))
