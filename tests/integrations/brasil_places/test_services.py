"""BrasilAPI, ViaCEP and the IBGE: what the bundled tables do not know, and what goes wrong on the way.

Answers by hand follow BrasilAPI's OpenAPI documents (github.com/BrasilAPI/BrasilAPI, pages/docs/doc/*.json, August
2026), viacep.com.br (`{"erro": true}`) and servicodados.ibge.gov.br/api/docs. None was seen live from here.
"""

from datetime import date
from typing import Any

import pytest

from core.errors import ArgumentsWrong, Refused, Unavailable
from integrations import sandbox_companies as sandbox
from integrations.brasil_places.cities import Ambiguous, Found, Unknown, known_cities
from integrations.brasil_places.client import Places
from tests.integrations.brasil_places.conftest import NOW
from tests.integrations.sandbox import Control

STREET = next(iter(sandbox.streets().values()))


def paths(control: Control) -> list[str]:
    return [one["path"] for one in control.asked()]


# --- places ---------------------------------------------------------------------------------------


async def test_a_bundled_city_is_known_without_asking(places: Places, control: Control) -> None:
    answer = await places.place("Campinas")
    assert isinstance(answer, Found) and answer.place.ibge == "3509502"
    assert control.asked() == []


async def test_a_city_that_is_not_bundled_is_asked_for_once(places: Places, control: Control) -> None:
    for words in ("Xique-Xique", "em Paraty", "Holambra"):
        answer = await places.place(words)
        assert isinstance(answer, Found) and answer.place.kind == "city"
    assert paths(control) == ["/ibge/v1/localidades/municipios"]


async def test_with_its_state_only_the_cities_of_that_state_are_asked_for(places: Places, control: Control) -> None:
    for answer in (await places.place("Holambra - SP"), await places.place("Holambra", "sp")):
        assert isinstance(answer, Found) and answer.place.ibge == "3519055"
    assert paths(control) == ["/ibge/v1/localidades/estados/SP/municipios"]


async def test_the_moon_is_in_no_list(places: Places) -> None:
    answer = await places.place("na Lua")
    assert answer == Unknown("na Lua", (), looked_everywhere=True)


async def test_while_the_ibge_is_away_an_unknown_city_may_exist_all_the_same(places: Places, control: Control) -> None:
    control.fail("drop", times=9)
    answer = await places.place("Xique-Xique")
    assert isinstance(answer, Unknown) and not answer.looked_everywhere


async def test_brasilapi_stands_in_for_the_ibge_where_a_state_is_named(places: Places, control: Control) -> None:
    control.fail("answer", status=503, path="^/ibge/", times=9)
    answer = await places.place("Holambra", "SP")
    assert isinstance(answer, Found) and answer.place.ibge == "3519055"


async def test_cities_of_one_name_in_two_states_are_candidates_and_bad_entries_are_left_out(
    places: Places, control: Control
) -> None:
    entries: list[Any] = [
        None,
        {"id": 12, "nome": "Bonito"},
        {"id": 5002209, "nome": "Bonito"},
        {"id": 2602308, "nome": "Bonito", "microrregiao": None},
        {"id": 9902308, "nome": "Bonito"},
        {"nome": "Bonito"},
    ]
    control.answer(entries)
    answer = await places.place("Bonito")
    assert isinstance(answer, Ambiguous)
    assert [(one.uf, one.ibge) for one in answer.candidates] == [("MS", "5002209"), ("PE", "2602308")]


async def test_the_simulators_list_has_every_bundled_city(places: Places) -> None:
    assert {place.ibge for place in known_cities()} < {place.ibge for place in await places.cities()}


# --- activities -----------------------------------------------------------------------------------


async def test_an_activity_that_is_not_bundled_is_a_suggestion_from_the_whole_list(
    places: Places, control: Control
) -> None:
    (match, *_) = await places.activities("cultivo de arroz irrigado")
    assert (match.code, match.sure, match.term) == ("0111301", False, "ARROZ IRRIGADO; CULTIVO DE")
    assert await places.activities("foguetes espaciais") == []
    assert paths(control) == ["/ibge/v2/cnae/subclasses"]


async def test_the_name_of_an_activity_comes_from_the_table_or_the_ibge(places: Places, control: Control) -> None:
    assert await places.activity_name("7111100") == "Serviços de arquitetura"
    assert control.asked() == []
    assert await places.activity_name("0111301") == "CULTIVO DE ARROZ"
    assert await places.activity_name("9999999") is None
    assert await places.activity_name("arroz") is None


# --- postal codes ---------------------------------------------------------------------------------


async def test_a_postal_code_is_a_street_with_its_city_and_source(places: Places) -> None:
    for written in (STREET.cep, f"{STREET.cep[:5]}-{STREET.cep[5:]}"):
        found = await places.postal_code(written)
        assert found is not None
        assert (found.cep, found.street, found.district) == (STREET.cep, STREET.name, STREET.district)
        assert (found.city, found.uf, found.city_ibge) == (STREET.city.name, STREET.city.uf, str(STREET.city.ibge))
        assert (found.source, found.fetched_at) == ("BrasilAPI", NOW)
        assert found.source_url.endswith(f"/brasilapi/cep/v2/{STREET.cep}")


@pytest.mark.parametrize(
    "trouble", [{"status": 500}, {"status": 404, "body": '{"message": "Todos erraram"}'}, {"body": "[]"}]
)
async def test_viacep_stands_in_for_brasilapi(places: Places, control: Control, trouble: dict[str, Any]) -> None:
    control.fail("answer", **({"status": 200} | trouble), path="^/brasilapi/", times=9)
    found = await places.postal_code(STREET.cep)
    assert found is not None
    assert (found.source, found.city_ibge, found.street) == ("ViaCEP", str(STREET.city.ibge), STREET.name)


@pytest.mark.parametrize("said", [{"erro": True}, {"erro": "true"}])
async def test_a_postal_code_that_nobody_knows_is_none(places: Places, control: Control, said: dict[str, Any]) -> None:
    control.answer(said, path="^/viacep/")
    assert await places.postal_code("99999999") is None


async def test_a_town_with_one_postal_code_has_no_street(places: Places, control: Control) -> None:
    raw = {"cep": "13825000", "state": "SP", "city": "Holambra", "neighborhood": None, "street": "", "location": {}}
    control.answer(raw)
    found = await places.postal_code("13825-000")
    assert found is not None
    assert (found.city, found.street, found.district, found.city_ibge, found.latitude) == ("Holambra", *(None,) * 4)


@pytest.mark.parametrize("cep", ["", "1302500", "130250011", "13o25001", "rua"])
async def test_what_is_no_postal_code_is_not_asked(places: Places, control: Control, cep: str) -> None:
    with pytest.raises(ArgumentsWrong) as caught:
        await places.postal_code(cep)
    assert caught.value.code == "postal_code_wrong"
    assert control.asked() == []


async def test_when_both_are_away_that_is_told_and_no_postal_code_is_called_unknown(
    places: Places, control: Control
) -> None:
    control.fail("drop", times=9)
    with pytest.raises(Unavailable) as caught:
        await places.postal_code(STREET.cep)
    assert caught.value.params["source"] == "ViaCEP"


# --- area codes and holidays ----------------------------------------------------------------------


async def test_an_area_code_has_its_state_and_cities(places: Places) -> None:
    found = await places.area_code(19)
    assert found is not None
    assert (found.uf, "CAMPINAS" in found.cities) == ("SP", True)
    assert await places.area_code(20) is None
    assert await places.area_code(5) is None


async def test_the_calendar_has_the_fixed_days_and_those_that_move_with_easter(places: Places) -> None:
    days = {one.day: one.name for one in await places.holidays(2026)}
    assert days[date(2026, 4, 3)] == "Sexta-feira Santa"
    assert days[date(2026, 2, 17)] == "Carnaval"
    assert days[date(2026, 6, 4)] == "Corpus Christi"
    assert days[date(2026, 11, 20)] == "Dia da consciência negra"
    assert date(2023, 11, 20) not in {one.day for one in await places.holidays(2023)}
    assert {one.day for one in await places.holidays(2024)} >= {date(2024, 3, 31), date(2024, 5, 30)}


@pytest.mark.parametrize("year", [1899, 2200, -1])
async def test_a_year_out_of_range_is_not_asked(places: Places, control: Control, year: int) -> None:
    with pytest.raises(ArgumentsWrong):
        await places.holidays(year)
    assert control.asked() == []


async def test_holidays_that_cannot_be_read_are_left_out_and_none_at_all_is_no_answer(
    places: Places, control: Control
) -> None:
    control.answer([{"date": "2026-13-01", "name": "X"}, 5, {"date": "2026-01-01", "name": "Ano novo"}])
    assert [one.name for one in await places.holidays(2026)] == ["Ano novo"]
    control.answer([])
    with pytest.raises(Unavailable):
        await places.holidays(2026)


async def test_a_refusal_is_told_in_the_services_own_words(places: Places, control: Control) -> None:
    control.answer({"message": "Acesso negado", "name": "X"}, 403)
    with pytest.raises(Refused) as caught:
        await places.holidays(2026)
    assert (caught.value.code, caught.value.params["detail"]) == ("places_refused", "Acesso negado")
