"""The simulator answers as the documents and the server's source say, about the companies of the sandbox."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import httpx

from integrations import sandbox_companies as sandbox
from integrations.minha_receita.client import MinhaReceita, Query
from integrations.minha_receita.payloads import ACTIVE, Company
from integrations.minha_receita.simulator import launch
from integrations.sandbox_http import Launched
from tests.integrations.minha_receita.answers import FULL
from tests.integrations.sandbox import Control

TODAY = date(2026, 11, 20)


async def everything(client: MinhaReceita, query: Query, page_size: int = 1_000) -> list[Company]:
    return [company async for company in client.search(query, page_size=page_size)]


def test_a_company_has_exactly_the_documented_fields(registry: Launched) -> None:
    some = sandbox.companies()[0]
    raw = httpx.get(f"{registry.base_url}/{some.cnpj}").json()
    assert set(raw) == set(FULL)
    assert set(raw["qsa"][0]) == set(FULL["qsa"][0])
    assert set(raw["cnaes_secundarios"][0] if raw["cnaes_secundarios"] else FULL["cnaes_secundarios"][0]) == {
        "codigo", "descricao",
    }  # fmt: skip


def test_paths_and_methods_answer_as_documented(registry: Launched) -> None:
    ask = httpx.Client(base_url=registry.base_url)
    assert (ask.get("/").status_code, ask.get("/").headers["location"]) == (302, "https://docs.minhareceita.org")
    for method in ("POST", "HEAD", "PUT", "DELETE"):
        assert ask.request(method, "/").status_code == 405
    assert ask.post("/").json() == {"message": "Essa URL aceita apenas o método GET."}
    assert (ask.get("/foobar").status_code, ask.get("/foobar").json()) == (400, {"message": "CNPJ foobar inválido."})
    unknown = ask.get("/99.999.999/0001-91")
    assert (unknown.status_code, unknown.json()) == (404, {"message": "CNPJ 99.999.999/0001-91 não encontrado."})
    assert ask.get("/updated").json() == {"message": sandbox.AS_OF.isoformat()}
    assert ask.get("/healthz").status_code == 200
    ask.close()


def test_a_limit_that_is_too_large_is_ignored_and_unreadable_values_too(registry: Launched) -> None:
    ask = httpx.Client(base_url=registry.base_url)
    assert len(ask.get("/?uf=sp&limit=5000").json()["data"]) == 256
    assert len(ask.get("/?uf=SP&limit=1000").json()["data"]) < 1_000
    assert ask.get("/?municipio=abc").status_code == 302
    assert len(ask.get("/?uf=SP&cnae=7112000,7410202&limit=1000").json()["data"]) > 0
    ask.close()


async def test_every_company_of_the_sandbox_is_found_and_read_without_a_doubt(client: MinhaReceita) -> None:
    states = tuple(sorted({city.uf for city in sandbox.cities()}))
    found = await everything(client, Query(ufs=states))
    assert len(found) == len(sandbox.companies()) > 2_500
    assert {company.odd for company in found} == {()}
    assert {company.cnpj for company in found} == set(sandbox.by_cnpj())


async def test_the_architects_of_campinas_are_the_known_number(client: MinhaReceita) -> None:
    query = Query(cities=("3509502",), activities=("7111100",))
    found = await everything(client, query, page_size=20)
    assert len(found) == 98
    fit = [
        one for one in found
        if one.status == ACTIVE and one.head_office and one.opened and one.opened < date(2023, 11, 20)
    ]  # fmt: skip
    assert len(fit) == 64
    assert found == sorted(found, key=lambda one: one.cnpj)
    assert sum(not one.cnpj.isdigit() for one in found) == 3


async def test_filters_mean_what_the_server_makes_of_them(client: MinhaReceita) -> None:
    by_state = await everything(client, Query(ufs=("sp",), activities=("7111100",)))
    assert {one.address.city for one in by_state} == {"CAMPINAS", "SAO PAULO", "RIBEIRAO PRETO", "SOROCABA"}
    either = await everything(client, Query(cities=("3509502", "4106902"), activities=("7111100", "8630504")))
    assert {(one.address.city, one.activity.code) for one in either if one.activity} == {
        (city, code) for city in ("CAMPINAS", "CURITIBA") for code in ("7111100", "8630504")
    }
    further = await everything(client, Query(cities=("3509502",), any_activity="7111100"))
    assert len(further) > 98 and {one.activity.code for one in further if one.activity} == {"7111100", "4120400"}
    traders = await everything(client, Query(cities=("3509502",), natures=("2135",)))
    assert {one.nature_code for one in traders} == {"2135"}
    partner = next(one.partners[0] for one in by_state if one.partners)
    shared = await everything(client, Query(ufs=("SP",), partner=partner.document))
    assert all(partner.document in {p.document for p in one.partners or ()} for one in shared) and shared


async def test_privacy_is_that_of_the_public_address_and_a_server_of_ones_own_tells_more(
    client: MinhaReceita, connect: Callable[..., MinhaReceita], tmp_path: Path
) -> None:
    query = Query(cities=("3509502",), activities=("9602502",))
    public = {one.cnpj: one for one in await everything(client, query)}
    assert {one.email for one in public.values()} == {None}
    assert {one.phones for one in public.values() if one.nature_code == "2135"} == {()}
    own = launch.start(tmp_path / "own", privacy=False)
    try:
        told = await everything(connect(base_url=own.base_url), query)
    finally:
        own.stop()
    assert {one.cnpj for one in told} == set(public)
    assert any(one.email for one in told) and any(one.phones for one in told if one.nature_code == "2135")


def test_a_shared_registry_is_found_by_a_second_user_and_stopped_by_the_last(tmp_path: Path) -> None:
    first, second = launch.shared(tmp_path / "r"), launch.shared(tmp_path / "r")
    details = first.acquire()
    assert second.acquire() == details
    first.release()
    assert httpx.get(details["url"] + "/__health").json()["ready"]
    second.release()
    assert second.pid() is None


def test_control_is_not_for_pages_of_a_browser(control: Control, registry: Launched) -> None:
    refused = httpx.post(
        f"{registry.base_url}/__faults", json={"faults": []}, headers={"origin": "http://evil.example"}
    )
    assert refused.status_code == 403
