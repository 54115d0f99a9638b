"""Searches as work in the background: a real database and queue, and the simulated sources over HTTP."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from business.conversations.service import Conversations
from business.crm.service import Crm
from business.people.service import People
from business.prospecting.model import IdealCustomer
from business.prospecting.profile import read_profile
from business.prospecting.quota import WebQuota
from business.prospecting.searches import Candidate, Search, Searches
from business.prospecting.sources import Sources
from business.prospecting.work import Work
from core.clock import FixedClock
from core.db import Database
from core.ids import new_id
from core.jobs import Jobs
from core.permissions import Permissions
from core.tenancy import Identity, Role
from crews.hunter.job import JOB, Hunts
from integrations.brasil_places.client import Places
from integrations.minha_receita.client import MinhaReceita
from integrations.minha_receita.simulator import launch as registry_launch
from integrations.sandbox_http import Launched
from integrations.web_pages.client import WebPages
from integrations.web_pages.fetcher import Limits
from integrations.web_pages.simulator import launch as pages_launch
from integrations.web_pages.simulator.sites_resolver import SimulatedSites
from integrations.web_search.build import sandbox_search
from integrations.web_search.simulator import launch as search_launch
from prompts.texts import Texts
from tests.conftest import Tenants
from tests.integrations.sandbox import Control
from tools.leads import Leads

SAID = "ache 20 escritórios de arquitetura em Campinas com mais de 3 anos"


@dataclass(frozen=True)
class Servers:
    registry: Launched
    search: Launched
    pages: Launched
    folder: Path


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Registry, search vendors and company websites: one of each for all tests."""
    folder = tmp_path_factory.mktemp("hunts")
    started = [
        registry_launch.start(folder / "registry"),
        search_launch.start(folder / "search"),
        pages_launch.start(folder / "pages"),
    ]
    registry, search, pages = started
    yield Servers(registry, search, pages, folder / "pages")
    for one in started:
        one.stop()


@pytest.fixture
def registry_control(servers: Servers) -> Iterator[Control]:
    control = Control(servers.registry)
    control.heal()
    yield control
    control.heal()
    control.close()


@pytest.fixture
async def sources(servers: Servers, clock: FixedClock) -> AsyncIterator[Sources]:
    limits = Limits(total=20.0, silence=10.0, pause=0.0)
    pages = WebPages(
        SimulatedSites(servers.pages.base_url), clock, trust=pages_launch.trust(servers.folder), limits=limits
    )
    async with httpx.AsyncClient(verify=False) as http:
        nowhere = "http://127.0.0.1:9"  # nothing of these tests asks for places
        yield Sources(
            registry=MinhaReceita(http, clock, base_url=servers.registry.base_url, gap=0, retries=0, pause=0.01),
            places=Places(http, clock, brasilapi_url=nowhere, viacep_url=nowhere, ibge_url=nowhere),
            web=sandbox_search(servers.search.base_url, http, clock),
            pages=pages,
            sandbox=True,
        )
    await pages.aclose()


@dataclass
class Desk:
    """What a tenant's director does with hunts; `sources` may be replaced."""

    db: Database
    clock: FixedClock
    permissions: Permissions
    people: People
    tenants: Tenants
    jobs: Jobs
    sources: Sources
    texts: Texts
    web: WebQuota

    def __post_init__(self) -> None:
        self.searches = Searches(self.db, self.clock, self.permissions)
        self.work = Work(self.db, self.clock)
        self.crm = Crm(self.db, self.clock, self.permissions)
        self.conversations = Conversations(self.db, self.clock)
        self.who = self.tenants.one[Role.DIRETOR]
        self.hunts = self.another()
        self.jobs.task(JOB, self.hunts.run, attempts=1)

    def another(self, **more: Any) -> Hunts:
        """Another process's."""

        async def opened() -> Sources:
            return self.sources

        return Hunts(
            self.db, self.clock, self.jobs, self.people, self.searches, self.work, self.crm, opened,
            self.conversations, self.texts, Leads(self.db, self.crm, self.searches, self.texts), web=self.web, **more,
        )  # fmt: skip

    def profile(self, sentence: str = SAID) -> IdealCustomer:
        return read_profile(sentence, "pt-BR", self.clock.now().date()).profile

    async def conversation(self, who: Identity | None = None) -> str:
        who, conversation = who or self.who, new_id("conv")
        await self.conversations.accept(who, conversation, "chat", SAID, new_id("turn"), [])
        return conversation

    async def start(self, sentence: str = SAID, conversation: str | None = None, who: Identity | None = None) -> Search:
        return await self.hunts.start(who or self.who, conversation, sentence, self.profile(sentence), "pt-BR")

    async def hunted(self, sentence: str = SAID, conversation: str | None = None) -> Search:
        """A search from its start to its end, run here as a worker would."""
        search = await self.start(sentence, conversation)
        await self.hunts.run(self.who.tenant_id, search.id)
        return await self.searches.get(self.who, search.id)

    async def found(self, search: Search) -> list[Candidate]:
        return await self.searches.candidates(self.who, search.id)

    async def said_in(self, conversation: str) -> list[str]:
        """What was announced there."""
        said = await self.conversations.said(self.who.tenant_id, conversation, last=20)
        return [one.text for one in said if one.role == "assistant"]

    def without_web(self) -> None:
        """The registry alone, which is all that most of these tests need."""
        from integrations.web_search.client import WebSearch

        self.sources = replace(self.sources, web=WebSearch([], self.clock))


@pytest.fixture
async def desk(
    database: Database,
    clock: FixedClock,
    permissions: Permissions,
    people: People,
    tenants: Tenants,
    sources: Sources,
    registry_control: Control,
) -> AsyncIterator[Desk]:
    jobs = Jobs(database.app_dsn)
    desk = Desk(
        database, clock, permissions, people, tenants, jobs, sources, Texts.load(), WebQuota(database, clock)
    )  # fmt: skip
    await jobs.open()
    yield desk
    await desk.hunts.close()
    await jobs.close()
