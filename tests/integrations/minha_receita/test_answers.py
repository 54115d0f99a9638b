"""The client against answers written by hand from the documents (answers.py says which)."""

import ast
import inspect
import json
import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import ArgumentsWrong, MutiraoError, Refused, Unavailable
from integrations import reading as reading_module
from integrations.minha_receita import client as client_module
from integrations.minha_receita import errors as errors_module
from integrations.minha_receita import payloads as payloads_module
from integrations.minha_receita.client import MinhaReceita, Query, normal_cnpj
from integrations.minha_receita.payloads import (
    ACTIVE,
    MICRO,
    Activity,
    Company,
    Page,
    from_record,
    read_company,
    to_record,
)
from integrations.reading import Answer
from tests.integrations.minha_receita import answers
from tests.integrations.minha_receita.conftest import NOW
from tests.integrations.sandbox import Control

CAMPINAS = Query(cities=("3509502",), activities=("7111100",))


async def pages(client: MinhaReceita, query: Query = CAMPINAS, **more: Any) -> list[Page]:
    return [page async for page in client.pages(query, **more)]


# --- one company ----------------------------------------------------------------------------------


async def test_a_documented_company_is_read_with_every_field_that_we_keep(
    client: MinhaReceita, control: Control
) -> None:
    control.answer(answers.FULL)
    company = await client.company("11.222.333/0001-81")
    assert company is not None
    assert (company.cnpj, company.legal_name, company.trade_name) == (
        "11222333000181", "CASA DE TAIPA ARQUITETURA LTDA", "ATELIE CASA DE TAIPA",
    )  # fmt: skip
    assert (company.status, company.active, company.status_name) == (ACTIVE, True, "ATIVA")
    assert company.opened == company.status_since == date(2009, 3, 2)
    assert company.activity == Activity("7111100", "Serviços de arquitetura")
    assert [one.code for one in company.further_activities] == ["7410202", "0111301"]
    where = company.address
    assert (where.street, where.number, where.extra, where.district) == ("RUA DOS ALECRINS", "914", "SALA 32", "CAMBUI")
    assert (where.cep, where.city, where.uf, where.city_ibge) == ("13024411", "CAMPINAS", "SP", "3509502")
    assert (company.phones, company.email) == (("1932510000",), None)
    assert (company.size, company.size_name, company.capital) == (MICRO, "MICRO EMPRESA", Decimal(20000))
    assert (company.mei, company.simples, company.head_office) == (False, True, True)
    assert (company.nature_code, company.nature) == ("2062", "Sociedade Empresária Limitada")
    assert company.odd == ()


async def test_source_and_moment_stand_with_every_company(client: MinhaReceita, control: Control) -> None:
    control.answer(answers.FULL)
    company = await client.company("11222333000181")
    assert company is not None
    assert (company.source_url, company.fetched_at) == (f"{control.url}/11222333000181", NOW)


async def test_partners_stay_masked_and_a_company_among_them_is_told_apart(
    client: MinhaReceita, control: Control
) -> None:
    control.answer(answers.FULL)
    company = await client.company("11222333000181")
    assert company is not None and company.partners is not None
    person, holding = company.partners
    assert (person.document, person.person, person.age) == ("***112108**", True, "Entre 41 a 50 anos")
    assert (holding.document, holding.person) == ("11444777000161", False)


@pytest.mark.parametrize("raw", [answers.ONLY_CNPJ, answers.ALL_NULL, answers.ALL_BLANK])
async def test_what_is_absent_null_or_blank_is_unknown(
    client: MinhaReceita, control: Control, raw: dict[str, Any]
) -> None:
    control.answer(raw)
    company = await client.company("11444777000161")
    assert company is not None
    known = {name for name, value in vars(company).items() if value not in (None, (), "")}
    assert known - {"odd"} == {"cnpj", "address", "source_url", "fetched_at"}
    assert {value for value in vars(company.address).values()} == {None}
    assert company.active is None and company.mei is None and company.head_office is None


async def test_no_list_of_partners_is_unknown_and_an_empty_one_is_none_at_all(
    client: MinhaReceita, control: Control
) -> None:
    control.answer(answers.ONLY_CNPJ)
    unknown = await client.company("11444777000161")
    control.answer(answers.MEI)
    alone = await client.company("58741197000108")
    assert unknown is not None and alone is not None
    assert (unknown.partners, alone.partners) == (None, ())


async def test_a_sole_trader_has_no_further_activity_zero(client: MinhaReceita, control: Control) -> None:
    control.answer(answers.MEI)
    company = await client.company("58741197000108")
    assert company is not None
    assert (company.mei, company.further_activities, company.capital) == (True, (), Decimal("500.0"))


async def test_a_cnpj_that_the_registry_does_not_have_is_none(client: MinhaReceita, control: Control) -> None:
    control.answer('{"message": "CNPJ 11.222.333/0001-81 não encontrado."}', 404)
    assert await client.company("11222333000181") is None


async def test_a_server_that_does_not_know_letters_in_a_cnpj_refuses_with_its_own_words(
    client: MinhaReceita, control: Control
) -> None:
    control.answer('{"message": "CNPJ 12.ABC.345/01DE-35 inválido."}', 400)
    with pytest.raises(Refused) as caught:
        await client.company("12.ABC.345/01DE-35")
    assert (caught.value.code, caught.value.params["detail"]) == (
        "registry_refused", "CNPJ 12.ABC.345/01DE-35 inválido.",
    )  # fmt: skip


async def test_an_answer_about_somebody_else_is_not_believed(client: MinhaReceita, control: Control) -> None:
    control.answer(answers.FULL)
    with pytest.raises(Unavailable) as caught:
        await client.company("11444777000161")
    assert caught.value.code == "source_answer_broken"


@pytest.mark.parametrize(
    "cnpj", ["", "11222333000180", "112223330001", "00000000000000", "1122233300018A", "x" * 40, "١" * 14]
)
async def test_what_is_no_cnpj_is_not_even_asked(client: MinhaReceita, control: Control, cnpj: str) -> None:
    with pytest.raises(ArgumentsWrong) as caught:
        await client.company(cnpj)
    assert caught.value.code == "registry_cnpj_wrong"
    assert control.asked() == []


def test_check_digits_of_letters_are_those_of_the_tax_office() -> None:
    # The example of the tax office's own paper on the alphanumeric CNPJ: 12.ABC.345/01DE-35.
    assert normal_cnpj("12.abc.345/01de-35") == "12ABC34501DE35"


# --- a search -------------------------------------------------------------------------------------


@pytest.mark.parametrize("last", [{}, {"cursor": None}, {"cursor": ""}])
async def test_no_cursor_in_any_form_is_the_last_page(
    client: MinhaReceita, control: Control, last: dict[str, Any]
) -> None:
    control.answer(answers.page(answers.FULL, cursor="42"))
    control.answer(answers.page(answers.MEI, **last))
    found = await pages(client, page_size=1)
    assert [(one.companies[0].cnpj, one.cursor) for one in found] == [
        ("11222333000181", "42"), ("58741197000108", None),
    ]  # fmt: skip
    first, second = control.asked()
    assert first["query"] == "municipio=3509502&cnae_fiscal=7111100&limit=1"
    assert second["query"] == "municipio=3509502&cnae_fiscal=7111100&limit=1&cursor=42"


async def test_an_empty_last_page_and_a_cursor_as_a_number_are_fine(client: MinhaReceita, control: Control) -> None:
    control.answer(answers.page(answers.FULL, cursor=42))
    control.answer(answers.page(cursor=None))
    assert [len(page.companies) for page in await pages(client)] == [1, 0]


async def test_a_malformed_entry_never_costs_its_siblings_and_is_reported(
    client: MinhaReceita, control: Control
) -> None:
    control.answer(answers.page(None, answers.FULL, "x", [], {"razao_social": "SEM NUMERO"}, {"cnpj": 5}, answers.MEI))
    (page,) = await pages(client)
    assert [one.cnpj for one in page.companies] == ["11222333000181", "58741197000108"]
    assert [(one.place, one.why) for one in page.unreadable] == [
        (0, "no object"), (2, "no object"), (3, "no object"), (4, "no CNPJ"), (5, "no CNPJ"),
    ]  # fmt: skip


async def test_fields_of_a_wrong_type_are_unknown_and_named_and_the_others_stay(
    client: MinhaReceita, control: Control
) -> None:
    control.answer(answers.page(answers.WRONG_TYPES, answers.MEI))
    (page,) = await pages(client)
    odd, sibling = page.companies
    assert (odd.legal_name, odd.status, odd.opened, odd.capital, odd.mei, odd.size) == (None,) * 6
    assert odd.activity == Activity("7111100", "Serviços de arquitetura")  # punctuation is no other type
    assert (odd.trade_name, odd.phones) == ("ATELIE CASA DE TAIPA", ("1932510000",))
    assert odd.partners is not None and len(odd.partners) == 1
    assert set(odd.odd) == {
        "razao_social", "situacao_cadastral", "data_inicio_atividade", "data_situacao_cadastral", "capital_social",
        "codigo_municipio_ibge", "opcao_pelo_mei", "codigo_porte", "identificador_matriz_filial", "qsa",
        "qsa.data_entrada_sociedade", "cnaes_secundarios",
    }  # fmt: skip
    assert sibling.odd == ()


async def test_a_company_that_comes_on_two_pages_is_told_once(client: MinhaReceita, control: Control) -> None:
    control.answer(answers.page(answers.FULL, cursor="1"))
    control.answer(answers.page(answers.FULL, answers.MEI))
    assert [len(page.companies) for page in await pages(client)] == [1, 1]


async def test_pages_that_turn_in_a_circle_end(client: MinhaReceita, control: Control) -> None:
    control.answer(answers.page(answers.FULL, cursor="7"), times=3)
    with pytest.raises(Unavailable) as caught:
        await pages(client)
    assert caught.value.code == "source_answer_broken"
    assert len(control.asked()) == 2


async def test_a_search_is_taken_up_where_it_was_left(client: MinhaReceita, control: Control) -> None:
    await pages(client, cursor="460", page_size=20, most_pages=1)
    assert control.asked()[0]["query"].endswith("limit=20&cursor=460")


async def test_a_search_that_takes_too_long_is_asked_in_smaller_pages(client: MinhaReceita, control: Control) -> None:
    said = "Tempo de requisição esgotou (Timeout). Essa busca solicitou 100 CNPJs, experimente um número menor."
    control.answer({"message": said}, 408)
    control.answer({"message": said}, 408)
    control.answer(answers.page(answers.FULL))
    (page,) = await pages(client)
    assert len(page.companies) == 1
    assert [one["query"].split("limit=")[1] for one in control.asked()] == ["100", "50", "25"]


async def test_a_search_that_never_ends_is_given_up_at_the_smallest_page(
    client: MinhaReceita, control: Control
) -> None:
    control.answer({"message": "Tempo de requisição esgotou (Timeout)"}, 408, times=20)
    with pytest.raises(Unavailable) as caught:
        await pages(client)
    assert caught.value.code == "source_unavailable"
    assert len(control.asked()) == 3


@pytest.mark.parametrize(
    "query",
    [
        Query(),
        Query(ufs=("XX",)),
        Query(cities=("6291",)),
        Query(cities=("3509502,7107",)),
        Query(activities=("711110",)),
        Query(any_activity="arquitetura"),
        Query(natures=("206-2",)),
        Query(partner="123.456.789-01", ufs=("SP",)),
        Query(partner="***112108**"),
    ],
)
async def test_what_the_server_would_ignore_is_refused_before_it_is_asked(
    client: MinhaReceita, control: Control, query: Query
) -> None:
    with pytest.raises(ArgumentsWrong) as caught:
        await pages(client, query)
    assert caught.value.code == "registry_query_wrong"
    assert control.asked() == []


@pytest.mark.parametrize("size", [0, 1_001])
async def test_pages_have_at_most_a_thousand_companies(client: MinhaReceita, control: Control, size: int) -> None:
    with pytest.raises(ArgumentsWrong):
        await pages(client, page_size=size)


# --- what goes wrong ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (400, '{"message": "inválido"}', ArgumentsWrong, "registry_query_wrong"),
        (404, '{"message": "Erro inesperado na busca."}', Unavailable, "source_unavailable"),
        (405, '{"message": "Essa URL aceita apenas o método GET."}', Refused, "registry_refused"),
        (418, "", Refused, "registry_refused"),
        (302, "", Unavailable, "source_answer_broken"),
        (200, "", Unavailable, "source_answer_broken"),
        (200, "<!DOCTYPE html><html></html>", Unavailable, "source_answer_broken"),
        (200, "null", Unavailable, "source_answer_broken"),
        (200, "[]", Unavailable, "source_answer_broken"),
        (200, '{"message": "x"}', Unavailable, "source_answer_broken"),
        (200, '{"data": {}}', Unavailable, "source_answer_broken"),
        (200, '{"data": [], "cursor": {"a": 1}}', Unavailable, "source_answer_broken"),
        (200, "[" * 100_000, Unavailable, "source_answer_broken"),
        (500, '{"message": "x"}', Unavailable, "source_unavailable"),
        (503, "<html></html>", Unavailable, "source_unavailable"),
    ],
)
async def test_every_other_answer_has_its_name_and_is_never_an_empty_result(
    client: MinhaReceita, control: Control, status: int, body: str, kind: type[MutiraoError], code: str
) -> None:
    control.answer(body, status, times=9, headers={"location": "http://127.0.0.1:9/"} if status == 302 else {})
    with pytest.raises(kind) as caught:
        await pages(client)
    assert caught.value.code == code


@pytest.mark.parametrize("fault", ["drop", "cut", "garble", "html"])
async def test_an_outage_that_passes_is_not_noticed(client: MinhaReceita, control: Control, fault: str) -> None:
    control.fail(fault)
    assert (await pages(client, page_size=1_000))[0].companies
    assert len(control.asked()) == 2


async def test_an_outage_that_lasts_is_told_after_three_attempts(client: MinhaReceita, control: Control) -> None:
    control.fail("drop", times=9)
    with pytest.raises(Unavailable) as caught:
        await client.company("11222333000181")
    assert (caught.value.code, caught.value.params["source"]) == ("source_unavailable", "Minha Receita")
    assert len(control.asked()) == 3


async def test_silence_ends_after_the_time_limit(connect: Callable[..., MinhaReceita], control: Control) -> None:
    control.fail("hang", seconds=3, times=3)
    with pytest.raises(Unavailable) as caught:
        await connect(timeout=0.2, retries=0).company("11222333000181")
    assert caught.value.code == "source_unavailable"


async def test_an_answer_that_drips_ends_after_twice_the_time_limit(
    connect: Callable[..., MinhaReceita], control: Control
) -> None:
    control.fail("drip", times=3)
    with pytest.raises(Unavailable) as caught:
        await connect(timeout=0.3, retries=0).updated()
    assert caught.value.code == "source_unavailable"


async def test_nobody_at_the_address_is_unavailable(connect: Callable[..., MinhaReceita]) -> None:
    with pytest.raises(Unavailable) as caught:
        await connect(base_url="http://127.0.0.1:9").updated()
    assert caught.value.code == "source_unavailable"


async def test_a_short_break_that_is_asked_for_is_kept_and_a_long_one_handed_back(
    client: MinhaReceita, control: Control
) -> None:
    control.answer("", 429, headers={"retry-after": "0"})
    assert await client.updated() is not None
    control.answer("", 429, headers={"retry-after": "600"})
    with pytest.raises(Unavailable) as caught:
        await client.updated()
    assert (caught.value.code, caught.value.retry_after, caught.value.params["wait"]) == ("source_throttled", 600, 10)


@pytest.mark.parametrize("after", ["-5", "soon", "99999999999", "Fri, 20 Nov 2026 15:00:00 GMT"])
async def test_an_absurd_break_is_our_own_pause(client: MinhaReceita, control: Control, after: str) -> None:
    control.answer("", 429, headers={"retry-after": after})
    assert await client.updated() is not None


async def test_requests_say_who_asks_and_keep_their_distance(
    connect: Callable[..., MinhaReceita], control: Control
) -> None:
    import asyncio

    client = connect(gap=0.1)
    began = asyncio.get_running_loop().time()
    await asyncio.gather(*(client.updated() for _ in range(4)))
    assert asyncio.get_running_loop().time() - began >= 0.29
    assert {one["agent"].split("/")[0] for one in control.asked()} == {"mutirao"}


async def test_the_day_of_the_data_is_unknown_when_the_server_does_not_say_it(
    client: MinhaReceita, control: Control
) -> None:
    control.answer({"message": "2026-11-09"})
    assert await client.updated() == date(2026, 11, 9)
    control.answer({"message": "não sei"})
    assert await client.updated() is None


# --- the list, once more for one company -----------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (404, "<html>nginx</html>", Unavailable, "source_answer_broken"),
        (404, "{}", Unavailable, "source_answer_broken"),
        (405, '{"message": "Essa URL aceita apenas o método GET."}', Refused, "registry_refused"),
        (408, '{"message": "Tempo de requisição esgotou (Timeout)"}', Unavailable, "source_unavailable"),
        (302, "", Unavailable, "source_answer_broken"),
        (200, "null", Unavailable, "source_answer_broken"),
        (200, '[{"cnpj": "11222333000181"}]', Unavailable, "source_answer_broken"),
        (200, '{"razao_social": "SEM NUMERO"}', Unavailable, "source_answer_broken"),
        (502, "<html></html>", Unavailable, "source_unavailable"),
    ],
)
async def test_only_the_registrys_own_404_says_that_there_is_no_such_company(
    client: MinhaReceita, control: Control, status: int, body: str, kind: type[MutiraoError], code: str
) -> None:
    control.answer(body, status, times=9, headers={"location": "http://127.0.0.1:9/"} if status == 302 else {})
    with pytest.raises(kind) as caught:
        await client.company("11222333000181")
    assert caught.value.code == code


@pytest.mark.parametrize("blank", ["absent", None, ""])
def test_a_field_that_is_not_there_takes_only_what_it_tells(blank: str | None) -> None:
    def read(raw: dict[str, Any]) -> dict[str, Any]:
        found = read_company(raw, Answer(200, raw, "http://127.0.0.1/", NOW))
        assert isinstance(found, Company) and found.odd == ()
        code, called = (found.activity.code, found.activity.name) if found.activity else (None, None)
        return vars(found) | vars(found.address) | {"address": None, "activity": code, "activity_name": called}

    whole = read(answers.FULL)
    for name in answers.FULL.keys() - {"cnpj"}:
        raw = {key: value for key, value in answers.FULL.items() if key != name}
        told = read(raw if blank == "absent" else raw | {name: blank})
        for field, was in whole.items():
            now = told[field]
            less = now in (None, ()) or (isinstance(now, str) and isinstance(was, str) and now in was)
            assert now == was or less, (name, field, now)


async def test_a_partner_of_whom_little_is_told_is_kept_with_that(client: MinhaReceita, control: Control) -> None:
    nameless = {"cnpj_cpf_do_socio": "***112108**", "nome_socio": None, "identificador_de_socio": 2}
    foreign = {"nome_socio": "JOHN TEST", "cnpj_cpf_do_socio": "", "identificador_de_socio": 3}
    control.answer(answers.FULL | {"qsa": [nameless, foreign, {}]})
    company = await client.company("11222333000181")
    assert company is not None and company.partners is not None
    told = [(one.name, one.document) for one in company.partners if one.name or one.document]
    assert told == [(None, "***112108**"), ("JOHN TEST", None)]


def test_only_the_base_url_tells_the_simulator_and_the_public_address_apart() -> None:
    """No line of the client, beside what it says of itself, knows of a sandbox or of this machine."""
    for module in (client_module, payloads_module, errors_module, reading_module):
        tree = ast.parse(Path(module.__file__ or "").read_text(encoding="utf-8"))
        prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        words = [
            str(getattr(node, field))
            for node in ast.walk(tree)
            for field in ("id", "attr", "arg", "value", "module")
            if isinstance(getattr(node, field, None), str) and id(node) not in prose
        ]
        strange = [word for word in words if re.search(r"sandbox|simulat|loopback|localhost|127\.0", word, re.I)]
        assert strange == [], module.__name__
    assert inspect.signature(MinhaReceita).parameters["base_url"].default == "https://minhareceita.org"


# --- whatever comes -------------------------------------------------------------------------------

_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["codigo", "nome_socio", "x"]), inner),
    max_leaves=6,
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(answers.FULL)), _ANYTHING))
def test_whatever_stands_in_the_fields_a_company_with_a_cnpj_is_read(fields: dict[str, Any]) -> None:
    raw = answers.FULL | fields | {"cnpj": "11222333000181"}
    company = read_company(raw, Answer(200, raw, "http://127.0.0.1/", NOW))
    assert isinstance(company, Company)
    assert {name.split(".")[0] for name in company.odd} <= set(fields)  # what was sound before stays sound
    assert company.opened is None or 1800 <= company.opened.year <= 2027
    assert from_record(json.loads(json.dumps(to_record(company)))) == company
