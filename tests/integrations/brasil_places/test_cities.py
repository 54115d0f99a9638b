"""What people call a place becomes a city, a state, a question, or an honest "not known"."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations import sandbox_companies as sandbox
from integrations.brasil_places import cities
from integrations.brasil_places.cities import (
    STATES,
    Ambiguous,
    Found,
    Place,
    Unknown,
    check_digit_right,
    known_cities,
    place_for,
    places_in,
)


def found(words: str, uf: str | None = None) -> Place:
    answer = place_for(words, uf)
    assert isinstance(answer, Found), answer
    return answer.place


@pytest.mark.parametrize(
    ("words", "name", "uf"),
    [
        ("Campinas", "Campinas", "SP"),
        ("CAMPINAS", "Campinas", "SP"),
        ("em Campinas/SP", "Campinas", "SP"),
        ("Campinas - SP", "Campinas", "SP"),
        ("Campinas, São Paulo", "Campinas", "SP"),
        ("Campinas, estado de São Paulo", "Campinas", "SP"),
        ("in the city of Campinas", "Campinas", "SP"),
        ("en la ciudad de Curitiba", "Curitiba", "PR"),
        ("na cidade de Londrina", "Londrina", "PR"),
        ("São José dos Campos, Brazil", "São José dos Campos", "SP"),
        ("Floripa", "Florianópolis", "SC"),
        ("BH", "Belo Horizonte", "MG"),
        ("sampa", "São Paulo", "SP"),
        ("no Rio", "Rio de Janeiro", "RJ"),
        ("santa barbara d'oeste", "Santa Bárbara d'Oeste", "SP"),
        ("ribeirao preto", "Ribeirão Preto", "SP"),
        ("Cascavel PR", "Cascavel", "PR"),
        ("Cascavel, Ceará", "Cascavel", "CE"),
    ],
)
def test_a_city_is_understood_as_people_say_it(words: str, name: str, uf: str) -> None:
    place = found(words)
    assert (place.kind, place.name, place.uf) == ("city", name, uf)


@pytest.mark.parametrize(
    ("words", "uf"),
    [
        ("Paraná", "PR"), ("no Rio Grande do Sul", "RS"), ("SP", "SP"), ("estado de São Paulo", "SP"),
        ("no interior do Paraná", "PR"), ("state of Bahia", "BA"), ("Minas Gerais", "MG"),
        ("no estado do Rio de Janeiro", "RJ"),
    ],
)  # fmt: skip
def test_a_state_is_a_state(words: str, uf: str) -> None:
    place = found(words)
    assert (place.kind, place.uf) == ("state", uf)


def test_sao_paulo_is_the_city_unless_the_state_is_said() -> None:
    assert found("São Paulo").ibge == "3550308"
    assert found("estado de São Paulo").ibge == "35"


def test_a_name_of_several_cities_is_asked_back_and_the_state_settles_it() -> None:
    answer = place_for("Cascavel")
    assert isinstance(answer, Ambiguous)
    assert [(one.uf, one.ibge) for one in answer.candidates] == [("PR", "4104808"), ("CE", "2303501")]
    assert found("Cascavel", "ce").ibge == "2303501"
    assert isinstance(place_for("Caxias"), Ambiguous)  # Caxias do Sul to some, a city of Maranhão to others
    assert isinstance(place_for("Viçosa"), Ambiguous)


def test_a_capital_wins_over_its_namesakes_which_are_told() -> None:
    answer = place_for("Palmas")
    assert isinstance(answer, Found)
    assert (answer.place.uf, [one.uf for one in answer.namesakes]) == ("TO", ["PR"])
    assert found("Palmas", "PR").ibge == "4117602"


def test_the_region_around_a_city_is_told_apart_from_it() -> None:
    for words in ("região de Campinas", "região metropolitana de Campinas", "Grande Campinas", "greater Campinas"):
        answer = place_for(words)
        assert isinstance(answer, Found) and answer.around and answer.place.name == "Campinas"
    answer = place_for("Campinas")
    assert isinstance(answer, Found) and not answer.around


@pytest.mark.parametrize(
    "words", ["Lua", "na Lua", "no mundo da Lua", "Atlantis", "Lisboa", "", "  ", "???", "Marte - SP"]
)
def test_a_place_that_is_not_known_is_unknown(words: str) -> None:
    assert place_for(words) == Unknown(words)


def test_a_slip_of_the_pen_is_a_suggestion_and_never_taken_for_the_city() -> None:
    answer = place_for("Canpinas")
    assert isinstance(answer, Unknown)
    assert [one.name for one in answer.near] == ["Campinas"]


def test_a_city_is_not_found_in_a_state_that_it_is_not_in() -> None:
    assert isinstance(place_for("Campinas", "RJ"), Unknown)
    assert isinstance(place_for("Campinas", "XX"), Unknown)


def test_every_code_has_its_check_digit_and_begins_with_its_state() -> None:
    for place in known_cities():
        assert check_digit_right(place.ibge), place
        assert place.ibge.startswith(str(STATES[place.uf][1])), place
    assert len({place.ibge for place in known_cities()}) == len(known_cities())
    assert not check_digit_right("3509503") and not check_digit_right("350950")


def test_the_table_has_the_capitals_and_says_how_many_it_has() -> None:
    assert {place.uf for place in known_cities()[:27]} == set(STATES)
    text = Path(cities.__file__).with_name("cities.yaml").read_text(encoding="utf-8")
    assert int(re.findall(r"(\d+) of Brazil's 5,571", text)[0]) == len(known_cities()) > 200


def test_the_cities_of_the_sandbox_are_known_with_the_same_numbers() -> None:
    for city in sandbox.cities():
        place = found(city.name)
        assert (place.uf, int(place.ibge), place.ddd) == (city.uf, city.ibge, city.ddd)


@pytest.mark.parametrize(
    ("sentence", "places"),
    [
        ("ache 20 escritórios de arquitetura em Campinas com mais de 3 anos e fale com os melhores", ["3509502"]),
        ("Find 15 law firms in Belo Horizonte, Minas Gerais with at least 11 employees", ["3106200"]),
        ("gimnasios en Curitiba y Porto Alegre", ["4106902", "4314902"]),
        ("dentistas em Santos e em São José dos Campos/SP", ["3548500", "3549904"]),
        ("empresas de software em Florianópolis (SC) abertas em 2024", ["4205407"]),
        ("20 pet shops em Campinas, Sorocaba e Jundiaí.", ["3509502", "3552205", "3525904"]),
        ("quero vender para clínicas de estética no Paraná", ["41"]),
        ("academias em SP", ["35"]),
        ("padarias no interior de São Paulo", ["35"]),
        ("imobiliárias na região de Campinas", ["3509502"]),
        ("agências em são paulo e no rio de janeiro", ["3550308", "3304557"]),
        ("fotógrafos em natal", ["2408102"]),
        ("promoções no natal para lojas de roupa", []),
        ("lojas de roupa para vender no Instagram e no Google, em todo o Brasil", []),
        ("que atuam no mercado há 5 anos", []),
        ("me ache clientes bons", []),
        ("", []),
    ],
)
def test_the_places_of_a_whole_sentence_are_found(sentence: str, places: list[str]) -> None:
    answers = [mention.answer for mention in places_in(sentence)]
    assert [answer.place.ibge for answer in answers if isinstance(answer, Found)] == places
    assert all(isinstance(answer, Found) for answer in answers)


@pytest.mark.parametrize(
    ("sentence", "words"),
    [
        ("padarias na Lua", "Lua"),
        ("find bakeries on the Moon", "Moon"),
        ("hotéis em Marte", "Marte"),
        ("restaurantes em Xique-Xique - BA", "Xique-Xique - BA"),
    ],
)
def test_a_place_of_a_sentence_that_is_not_known_is_told_so(sentence: str, words: str) -> None:
    assert [(mention.words, mention.answer) for mention in places_in(sentence)] == [(words, Unknown(words))]


def test_the_region_of_a_sentence_is_the_region() -> None:
    (mention,) = places_in("imobiliárias na região de Campinas")
    assert isinstance(mention.answer, Found) and mention.answer.around
    assert mention.words == "região de Campinas"


@given(st.text(alphabet="aeCPáRioSPna -/,().;'", max_size=40))
def test_whatever_is_written_places_are_looked_for_without_a_crash(sentence: str) -> None:
    for mention in places_in(sentence):
        assert mention.words.strip()
