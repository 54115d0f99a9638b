"""The doctor tells of the public sources what is so: simulated, not asked, or asked and as expected or not."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from core.clock import SystemClock
from core.doctor import Finding
from core.errors import MutiraoError
from integrations import sandbox_companies as sandbox
from integrations.brasil_places.checks import PlacesCheck
from integrations.brasil_places.client import Places
from integrations.brasil_places.simulator import launch as places_sandbox
from integrations.minha_receita.checks import RegistryCheck
from integrations.minha_receita.client import MinhaReceita
from integrations.minha_receita.simulator import launch as registry_sandbox
from integrations.sandbox_http import Launched
from prompts.texts import Texts
from tests.integrations.sandbox import Control

TEXTS = Texts.load()
SOME = sandbox.companies()[0]
CEP = next(cep for cep, street in sandbox.streets().items() if street.city.name == "Campinas")


def say(key: str, /, **params: object) -> str:
    return TEXTS.say("en", key, **params)


def explain(error: MutiraoError) -> str:
    return TEXTS.error("en", error)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launched]:
    launched = registry_sandbox.start(tmp_path_factory.mktemp("registry"))
    yield launched
    launched.stop()


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launched]:
    launched = places_sandbox.start(tmp_path_factory.mktemp("places"))
    yield launched
    launched.stop()


@pytest.fixture
def control(registry: Launched) -> Iterator[Control]:
    control = Control(registry)
    control.heal()
    yield control
    control.heal()
    control.close()


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(verify=False) as client:
        yield client


def registry_check(http: httpx.AsyncClient, registry: Launched, sandboxed: bool = False) -> RegistryCheck:
    client = MinhaReceita(http, SystemClock(), base_url=registry.base_url, gap=0, pause=0.01)
    return RegistryCheck(client, sandboxed, say, explain, known=SOME.cnpj)


def states(findings: list[Finding]) -> list[str]:
    return [finding.state for finding in findings]


async def test_while_the_sandbox_stands_for_it_nothing_is_asked_even_live(
    http: httpx.AsyncClient, registry: Launched, control: Control
) -> None:
    (finding,) = await registry_check(http, registry, sandboxed=True).run(live=True)
    assert (finding.state, "MUTIRAO_MINHA_RECEITA=live" in finding.text) == ("note", True)
    assert control.asked() == []


async def test_without_live_it_is_said_that_nobody_has_asked_yet(http: httpx.AsyncClient, registry: Launched) -> None:
    (finding,) = await registry_check(http, registry).run(live=False)
    assert (finding.state, registry.base_url in finding.text) == ("unverified", True)


async def test_live_asks_every_question_that_the_client_asks(http: httpx.AsyncClient, registry: Launched) -> None:
    findings = await registry_check(http, registry).run(live=True)
    assert states(findings) == ["ok"] * 5
    assert "50 companies read" in findings[-1].text


async def test_live_names_what_is_not_as_documented_and_goes_on(
    http: httpx.AsyncClient, registry: Launched, control: Control
) -> None:
    control.answer({"cnpj": SOME.cnpj, "razao_social": 5})
    control.fail("html", status=503, path="^/updated", times=9)
    control.answer(
        {"data": [{"cnpj": None}, {"cnpj": SOME.cnpj, "capital_social": "x"}], "cursor": None}, path="limit="
    )
    findings = await registry_check(http, registry).run(live=True)
    assert states(findings) == ["broken", "ok", "broken", "broken", "broken"]
    assert "is not answering" in findings[2].text
    assert "1 unreadable; fields that could not be read: capital_social" in findings[-1].text


async def test_places_are_asked_each_question_once(http: httpx.AsyncClient, services: Launched) -> None:
    places = Places(http, SystemClock(), gap=0, pause=0.01, **places_sandbox.urls(services.base_url))
    check = PlacesCheck(places, False, say, explain, known=CEP)
    assert states(await check.run(live=False)) == ["unverified"]
    assert states(await check.run(live=True)) == ["ok"] * 5
    assert states(await PlacesCheck(places, True, say, explain).run(live=True)) == ["note"]
