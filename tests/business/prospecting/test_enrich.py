"""Learning more about a company where it pays, against the simulated map, sites and registry of the same companies."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from business.prospecting.enrich import is_theirs, same_phone
from business.prospecting.evidence import Kind, of_kind
from business.prospecting.score import Verdict
from core.clock import FixedClock
from core.errors import Unavailable
from core.tenancy import Role
from integrations.minha_receita.payloads import Company, from_record
from integrations.sandbox_companies import by_cnpj
from integrations.sandbox_http import Launched
from integrations.web_pages.client import WebPages
from integrations.web_pages.fetcher import Limits
from integrations.web_pages.simulator import launch as sites_launch
from integrations.web_pages.simulator.sites_resolver import SimulatedSites
from integrations.web_search.client import WebSearch
from integrations.web_search.payloads import Place
from integrations.web_search.serper import Serper
from integrations.web_search.simulator import launch as search_launch
from integrations.web_search.simulator.wires import SANDBOX_KEY
from tests.business.prospecting.conftest import Desk

NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)


@dataclass
class Web:
    search: WebSearch
    pages: WebPages


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("web")


@pytest.fixture(scope="module")
def servers(folder: Path) -> Iterator[tuple[Launched, Launched]]:
    search, sites = search_launch.start(folder / "search"), sites_launch.start(folder)
    yield search, sites
    search.stop()
    sites.stop()


@pytest.fixture
async def web(servers: tuple[Launched, Launched], folder: Path, clock: FixedClock) -> AsyncIterator[Web]:
    search, sites = servers
    limits = Limits(total=20.0, silence=10.0, pause=0.0)
    pages = WebPages(SimulatedSites(sites.base_url), clock, trust=sites_launch.trust(folder), limits=limits)
    async with httpx.AsyncClient(verify=False) as http:
        vendor = Serper(http, SANDBOX_KEY, clock, base_url=f"{search.base_url}/serper")
        yield Web(WebSearch([vendor], clock, pause=0.01, patience=0.05), pages)
    await pages.aclose()


async def test_a_website_that_was_asked_for_is_found_on_the_web_and_is_truly_theirs(desk: Desk, web: Web) -> None:
    search = await desk.start("ache 6 escritórios de arquitetura em Campinas com site e mais de 3 anos")
    done = await desk.run(search, web=web.search, pages=web.pages)
    assert done.ended == "enough" and done.cost.searches["Serper"] > 0 and done.cost.sites > 0
    qualified = await desk.searches.candidates(desk.tenants.one[Role.DIRETOR], done.id, verdict=Verdict.QUALIFIED)
    assert len(qualified) == 6
    for one in await desk.searches.candidates(desk.tenants.one[Role.DIRETOR], done.id):
        truth = by_cnpj()[str(one.cnpj)]
        for piece in of_kind(one.evidence, Kind.WEBSITE):
            if piece.value is False:
                assert truth.website is None, f"{one.cnpj}: there is one"
            else:
                assert truth.website is not None and truth.website.host in str(piece.value), "a namesake's website"
        for piece in of_kind(one.evidence, Kind.META_PIXEL):
            assert truth.website is not None and truth.website.meta_pixel == piece.value
        if one.verdict is Verdict.QUALIFIED:
            assert of_kind(one.evidence, Kind.WEBSITE)


async def test_those_that_make_the_list_are_looked_up_within_its_share_of_the_quota_and_the_best_told_from_the_good(
    desk: Desk, web: Web
) -> None:
    search = await desk.start("ache 6 escritórios de arquitetura em Campinas com mais de 3 anos")
    done = await desk.run(search, web=web.search, pages=web.pages)
    found = await desk.searches.candidates(desk.tenants.one[Role.DIRETOR], done.id, verdict=Verdict.QUALIFIED)
    assert done.ended == "enough" and len({one.score for one in found}) >= 2
    assert len(found) <= sum(done.cost.searches.values()) <= done.plan.most_searches + 10


async def test_a_web_that_fails_leaves_things_unknown_and_the_search_alive(desk: Desk) -> None:
    class Away:
        async def places(self, query: Any) -> Any:
            raise Unavailable("search_failed", "away", tried="x")

        pages = places

    done = await desk.run(await desk.start("ache 2 escritórios de arquitetura em Campinas com site"), web=Away())
    assert done.ended == "enough_to_look_at" and done.progress.lookups_failed >= 10
    assert done.progress.qualified == 0 and done.cost.searches == {}


# --- whose entry it is ------------------------------------------------------------------------------


@pytest.fixture
async def company(desk: Desk) -> Company:
    done = await desk.asked("ache 1 escritório de arquitetura em Campinas com mais de 3 anos")
    found = await desk.searches.candidates(desk.tenants.one[Role.DIRETOR], done.id, verdict=Verdict.QUALIFIED)
    bronze = found[0].bronze
    assert bronze is not None
    kept = from_record(bronze)
    address = replace(kept.address, street="RUA MARIA MONTEIRO", number="120", cep="13025151")
    return replace(
        kept, trade_name="IPE ARQUITETURA", legal_name="IPE PROJETOS LTDA", phones=("1932324455",), address=address
    )


def entry(**told: Any) -> Place:
    blank: dict[str, Any] = dict.fromkeys(Place.__dataclass_fields__)
    return Place(**(blank | {"position": 1, "name": "Ipê Arquitetura"} | told))


async def test_an_entry_of_the_map_is_theirs_by_telephone_and_name_or_by_name_and_address(company: Company) -> None:
    here = "R. Maria Monteiro, 120 - Cambuí, Campinas - SP, 13025-151"
    assert is_theirs(company, entry(phone="(19) 3232-4455"))
    assert is_theirs(company, entry(address=here))
    assert not is_theirs(company, entry())  # a name alone is no proof
    assert not is_theirs(company, entry(address=here.replace("120", "1200").replace("13025-151", "13010-000")))
    assert not is_theirs(company, entry(name="Contábil Silva", phone="(19) 3232-4455"))  # their accountant's
    assert not is_theirs(company, entry(name="Ipê Modas", address=here))  # the same building
    assert not is_theirs(company, entry(phone="(11) 3232-4455"))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("(19) 99876-5432", "1998765432", True),
        ("+55 19 3232-4455", "1932324455", True),
        ("019 3232 4455", "(19) 3232-4455", True),
        ("3232-4455", "3232-4455", False),
        ("0800 123 4567", "0800 123 4567", False),
        ("(19) 3232-4455", "(11) 3232-4455", False),
        ("", "", False),
    ],
)
def test_one_telephone_is_recognised_in_its_writings_and_no_other(one: str, other: str, same: bool) -> None:
    assert same_phone(one, other) is same
