"""The registry's simulator, the simulated web, and searches of two tenants."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from business.prospecting.finding import find
from business.prospecting.model import IdealCustomer
from business.prospecting.profile import read_profile
from business.prospecting.searches import Search, Searches
from business.prospecting.work import Work
from core.clock import FixedClock
from core.db import Database
from core.permissions import Permissions
from core.tenancy import Role
from integrations.minha_receita.client import MinhaReceita
from integrations.minha_receita.simulator import launch
from integrations.sandbox_http import Launched
from tests.conftest import Tenants
from tests.integrations.sandbox import Control

SAID = "ache 20 escritórios de arquitetura em Campinas com mais de 3 anos e fale com os melhores"


@pytest.fixture(scope="session")
def registry_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launched]:
    """One registry for all tests."""
    launched = launch.start(tmp_path_factory.mktemp("prospecting"))
    yield launched
    launched.stop()


@pytest.fixture
def control(registry_server: Launched) -> Iterator[Control]:
    control = Control(registry_server)
    control.heal()
    yield control
    control.heal()
    control.close()


@pytest.fixture
async def registry(registry_server: Launched, control: Control, clock: FixedClock) -> AsyncIterator[MinhaReceita]:
    async with httpx.AsyncClient(verify=False) as http:
        yield MinhaReceita(http, clock, base_url=registry_server.base_url, gap=0, retries=0, pause=0.01)


@dataclass
class Desk:
    """What a tenant does with searches."""

    searches: Searches
    work: Work
    tenants: Tenants
    registry: MinhaReceita
    clock: FixedClock

    def profile(self, sentence: str = SAID) -> IdealCustomer:
        return read_profile(sentence, "pt-BR", self.clock.now().date()).profile

    async def start(self, sentence: str = SAID, role: Role = Role.DIRETOR) -> Search:
        return await self.searches.start(self.tenants.one[role], sentence, self.profile(sentence))

    async def run(self, search: Search, worker: str = "one", **more: Any) -> Search:
        return await find(self.work, self.tenants.one.id, search.id, self.registry, worker=worker, **more)

    async def asked(self, sentence: str = SAID) -> Search:
        return await self.run(await self.start(sentence))


@pytest.fixture
async def desk(
    database: Database, clock: FixedClock, permissions: Permissions, tenants: Tenants, registry: MinhaReceita
) -> Desk:
    return Desk(Searches(database, clock, permissions), Work(database, clock), tenants, registry, clock)
