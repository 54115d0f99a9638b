"""From a sentence to companies that exist: places, activities and registry together, as the prospecting needs them."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import httpx
import pytest

from core.clock import SystemClock
from integrations import sandbox_companies as sandbox
from integrations.brasil_places.activities import activities_for
from integrations.brasil_places.cities import Found, Unknown, places_in
from integrations.minha_receita.client import MinhaReceita, Query
from integrations.minha_receita.simulator import launch
from integrations.sandbox_http import Launched

TODAY = date(2026, 11, 20)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launched]:
    launched = launch.start(tmp_path_factory.mktemp("registry"))
    yield launched
    launched.stop()


@pytest.mark.parametrize(
    "sentence",
    [
        "ache 20 escritórios de arquitetura em Campinas com mais de 3 anos e fale com os melhores",
        "find 20 architecture firms in Campinas that are more than 3 years old",
        "busca 20 estudios de arquitectura en Campinas con más de 3 años",
    ],
)
async def test_the_classic_sentence_leads_to_64_companies_that_truly_match(sentence: str, registry: Launched) -> None:
    activity = next(match for match in activities_for(sentence) if match.sure)
    (mention,) = places_in(sentence)
    assert isinstance(mention.answer, Found)
    query = Query(cities=(mention.answer.place.ibge,), activities=(activity.code,))
    async with httpx.AsyncClient(verify=False) as http:
        client = MinhaReceita(http, SystemClock(), base_url=registry.base_url, gap=0)
        found = [company async for company in client.search(query)]
    truth = sandbox.by_cnpj()
    fit = [one for one in found if one.active and one.head_office and one.opened and one.opened < date(2023, 11, 20)]
    assert len(fit) == 64
    assert all(truth[one.cnpj].older_than(3, TODAY) and truth[one.cnpj].cnae == 7111100 for one in fit)


def test_bakeries_on_the_moon_are_a_known_business_in_an_unknown_place() -> None:
    assert activities_for("padarias na Lua")[0].sure
    assert [mention.answer for mention in places_in("padarias na Lua")] == [Unknown("Lua")]


def test_the_guide_says_how_many_companies_there_are() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "guides" / "prospecting-sources.md").read_text(encoding="utf-8")
    assert f"{len(sandbox.companies()):,} invented companies in {len(sandbox.cities())} cities" in guide
