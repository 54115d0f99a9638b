"""Whom a sentence looks for, in three languages, and what it leaves open. Every line of the tables is a story."""

from datetime import date
from typing import Any

import pytest

from business.prospecting.model import (
    DEFAULT_WANTED,
    AgeRange,
    Doubt,
    Reading,
    Size,
    WantedPlace,
    customer_from,
    months_before,
    with_place,
)
from business.prospecting.profile import corrected, read_profile

TODAY = date(2026, 11, 20)
ARCHITECTURE, DENTIST, BAKERY, GYM, RESTAURANT, ACCOUNTING, LAW, CLOTHES, INN = (
    "7111100", "8630504", "1091102", "9313100", "5611201", "6920601", "6911701", "4781400", "5590603",
)  # fmt: skip


def told(reading: Reading) -> dict[str, Any]:
    """What was understood, without what was not said."""
    profile = reading.profile
    first, last = profile.age.opened(TODAY)
    found: dict[str, Any] = {
        "codes": [one.code for one in profile.activities],
        "places": [one.name if one.kind == "city" else one.uf for one in profile.places],
        "wanted": profile.wanted if profile.wanted_said else None,
        "nationwide": profile.nationwide,
        "sizes": [str(one) for one in profile.sizes],
        "mei": {True: "only", False: "none", None: None}[profile.mei],
        "opened": [first and first.isoformat(), last and last.isoformat()] if not profile.age.open else None,
        "wishes": {str(one.signal): one.has for one in profile.wishes},
        "branches": profile.branches,
        "not": [one.code for one in profile.without_activities] + [one.name for one in profile.without_places],
        "contact": (profile.contact_most or True) if profile.wants_contact else False,
        "doubts": [str(one) for one in reading.doubts()],
    }
    return {name: value for name, value in found.items() if value not in (None, False, [], {})}


SENTENCES: list[tuple[str, dict[str, Any]]] = [
    # the sentence of the whole, and its sisters
    ("ache 20 escritórios de arquitetura em Campinas com mais de 3 anos e fale com os melhores",
     {"codes": [ARCHITECTURE], "places": ["Campinas"], "wanted": 20, "opened": [None, "2023-11-19"], "contact": True}),
    ("find 20 architecture firms in Campinas that have been open for more than 3 years and talk to the best ones",
     {"codes": [ARCHITECTURE], "places": ["Campinas"], "wanted": 20, "opened": [None, "2023-11-19"], "contact": True}),
    ("busca 20 estudios de arquitectura en Campinas con más de 3 años y habla con los mejores",
     {"codes": [ARCHITECTURE], "places": ["Campinas"], "wanted": 20, "opened": [None, "2023-11-19"], "contact": True}),
    ("ACHE 20 ESCRITÓRIOS DE ARQUITETURA EM CAMPINAS",
     {"codes": [ARCHITECTURE], "places": ["Campinas"], "wanted": 20}),
    ("ache 20 escritorios de arquitetura em campinas com mais de tres anos",
     {"codes": [ARCHITECTURE], "places": ["Campinas"], "wanted": 20, "opened": [None, "2023-11-19"]}),
    ("arquitetura, campinas, 3+ anos",
     {"codes": [ARCHITECTURE], "places": ["Campinas"], "opened": [None, "2023-11-20"]}),
    ("7111-1/00 em Campinas", {"codes": [ARCHITECTURE], "places": ["Campinas"]}),
    # vague
    ("preciso de clientes", {"doubts": ["activity_missing", "place_missing"]}),
    ("quero vender mais", {"doubts": ["activity_missing", "place_missing"]}),
    ("I need customers", {"doubts": ["activity_missing", "place_missing"]}),
    ("necesito clientes", {"doubts": ["activity_missing", "place_missing"]}),
    ("me ajuda a achar clientes em Campinas", {"places": ["Campinas"], "doubts": ["activity_missing"]}),
    ("dentistas", {"codes": [DENTIST], "doubts": ["place_missing"]}),
    ("unicórnios em Campinas", {"places": ["Campinas"], "doubts": ["activity_unknown"]}),
    ("clínicas em Campinas", {"places": ["Campinas"], "doubts": ["activity_guess"]}),
    # impossible
    ("padarias na Lua", {"codes": [BAKERY], "doubts": ["place_unknown"]}),
    ("padarias na lua", {"codes": [BAKERY], "doubts": ["place_unknown"]}),
    ("bakeries on the Moon", {"codes": [BAKERY], "doubts": ["place_unknown"]}),
    ("panaderías en la Luna", {"codes": [BAKERY], "doubts": ["place_unknown"]}),
    ("0 padarias em Campinas",
     {"codes": [BAKERY], "places": ["Campinas"], "wanted": 1, "doubts": ["count_impossible"]}),
    ("5000 padarias em Campinas",
     {"codes": [BAKERY], "places": ["Campinas"], "wanted": 500, "doubts": ["count_too_many"]}),
    ("padarias em Campinas abertas desde 2030",
     {"codes": [BAKERY], "places": ["Campinas"], "opened": ["2030-01-01", None], "doubts": ["age_impossible"]}),
    # places
    ("encontre 15 dentistas em Campinas e em Santos",
     {"codes": [DENTIST], "places": ["Campinas", "Santos"], "wanted": 15}),
    ("dentistas em Campinas, Valinhos e Vinhedo", {"codes": [DENTIST], "places": ["Campinas", "Valinhos", "Vinhedo"]}),
    ("academias no Paraná e em Santa Catarina", {"codes": [GYM], "places": ["PR", "SC"]}),
    ("quero 30 dentistas em SP", {"codes": [DENTIST], "places": ["SP"], "wanted": 30}),
    ("Find me gyms in the state of Paraná", {"codes": [GYM], "places": ["PR"]}),
    ("restaurantes na região de Campinas", {"codes": [RESTAURANT], "places": ["Campinas"], "doubts": ["place_around"]}),
    ("restaurantes em Campo Grande",
     {"codes": [RESTAURANT], "places": ["Campo Grande"], "doubts": ["place_namesakes"]}),
    ("contabilidade em Campinas no estado de São Paulo", {"codes": [ACCOUNTING], "places": ["Campinas"]}),
    ("contabilidade em Londrina - PR", {"codes": [ACCOUNTING], "places": ["Londrina"]}),
    ("dentistas no interior de São Paulo", {"codes": [DENTIST], "places": ["SP"]}),
    ("arquitetos de valinhos", {"codes": [ARCHITECTURE], "places": ["Valinhos"]}),
    ("pousadas na serra gaúcha", {"codes": [INN], "doubts": ["place_unknown"]}),
    ("dentistas em Campinas e em Valhinhos", {"codes": [DENTIST], "places": ["Campinas"], "doubts": ["place_unknown"]}),
    ("dentistas no Brasil todo", {"codes": [DENTIST], "nationwide": True}),
    ("dentists anywhere in Brazil", {"codes": [DENTIST], "nationwide": True}),
    # age
    ("academias abertas nos últimos 2 anos em Curitiba",
     {"codes": [GYM], "places": ["Curitiba"], "opened": ["2024-11-20", None]}),
    ("gyms opened in the last 18 months in Curitiba",
     {"codes": [GYM], "places": ["Curitiba"], "opened": ["2025-05-20", None]}),
    ("gimnasios abiertos en el último año en Curitiba",
     {"codes": [GYM], "places": ["Curitiba"], "opened": ["2025-11-20", None]}),
    ("academias entre 3 e 10 anos em Salvador",
     {"codes": [GYM], "places": ["Salvador"], "opened": ["2016-11-20", "2023-11-20"]}),
    ("padarias com menos de 5 anos em Recife",
     {"codes": [BAKERY], "places": ["Recife"], "opened": ["2021-11-21", None]}),
    ("padarias com pelo menos 10 anos em Recife",
     {"codes": [BAKERY], "places": ["Recife"], "opened": [None, "2016-11-20"]}),
    ("padarias com 10 anos de mercado em Joinville",
     {"codes": [BAKERY], "places": ["Joinville"], "opened": [None, "2016-11-20"]}),
    ("law firms in Rio de Janeiro founded before 2010",
     {"codes": [LAW], "places": ["Rio de Janeiro"], "opened": [None, "2009-12-31"]}),
    ("advogados no Rio de Janeiro desde 2020",
     {"codes": [LAW], "places": ["Rio de Janeiro"], "opened": ["2020-01-01", None]}),
    ("academias recém-abertas em Fortaleza", {"codes": [GYM], "places": ["Fortaleza"], "opened": ["2025-11-20", None]}),
    ("padarias tradicionais em Recife", {"codes": [BAKERY], "places": ["Recife"], "doubts": ["age_vague"]}),
    # size, MEI, branches
    ("lojas de roupas em São Paulo, sem ser MEI", {"codes": [CLOTHES], "places": ["São Paulo"], "mei": "none"}),
    ("dentistas em Campinas, só MEI", {"codes": [DENTIST], "places": ["Campinas"], "mei": "only"}),
    (
        "architects in Campinas or São Paulo older than five years, 10 companies, skip sole traders",
        {"codes": [ARCHITECTURE], "places": ["Campinas", "São Paulo"], "wanted": 10, "mei": "none",
         "opened": [None, "2021-11-19"]},
    ),
    ("contadores em Goiânia que não sejam MEI e tenham telefone",
     {"codes": [ACCOUNTING], "places": ["Goiânia"], "mei": "none", "wishes": {"phone": True}}),
    ("I want 25 law firms in Rio de Janeiro with a website and more than 10 years in business; reach out to the best",
     {"codes": [LAW], "places": ["Rio de Janeiro"], "wanted": 25, "opened": [None, "2016-11-19"],
      "wishes": {"website": True}, "contact": True}),
    ("gimnasios en el estado de São Paulo con más de 2 años, quiero 40",
     {"codes": [GYM], "places": ["SP"], "wanted": 40, "opened": [None, "2024-11-19"]}),
    ("lojas de roupas em todo o Paraná exceto Curitiba", {"codes": [CLOTHES], "places": ["PR"], "not": ["Curitiba"]}),
    ("creches em Salvador abertas em 2022",
     {"codes": ["8511200"], "places": ["Salvador"], "opened": ["2022-01-01", "2022-12-31"]}),
    ("pequenas padarias em Campinas", {"codes": [BAKERY], "places": ["Campinas"], "sizes": ["micro", "small"]}),
    ("padarias de pequeno porte em Campinas", {"codes": [BAKERY], "places": ["Campinas"], "sizes": ["small"]}),
    ("large bakeries in Campinas",
     {"codes": [BAKERY], "places": ["Campinas"], "sizes": ["other"], "doubts": ["size_coarse"]}),
    ("academias em Campinas incluindo filiais", {"codes": [GYM], "places": ["Campinas"], "branches": True}),
    # wishes
    ("restaurantes com site e Instagram em Curitiba",
     {"codes": [RESTAURANT], "places": ["Curitiba"], "wishes": {"website": True, "instagram": True}}),
    ("find gyms in Campinas without a website", {"codes": [GYM], "places": ["Campinas"], "wishes": {"website": False}}),
    ("restaurantes sin sitio web en Curitiba",
     {"codes": [RESTAURANT], "places": ["Curitiba"], "wishes": {"website": False}}),
    ("dentistas de campinas com whatsapp", {"codes": [DENTIST], "places": ["Campinas"], "wishes": {"whatsapp": True}}),
    ("dentistas no Instagram em Campinas", {"codes": [DENTIST], "places": ["Campinas"], "wishes": {"instagram": True}}),
    ("criação de sites em Campinas", {"codes": ["6201502"], "places": ["Campinas"]}),
    # exclusions, how many, what then, and what nobody can tell
    ("dentistas em SP exceto Campinas", {"codes": [DENTIST], "places": ["SP"], "not": ["Campinas"]}),
    ("restaurantes em Campinas, sem incluir padarias",
     {"codes": [RESTAURANT], "places": ["Campinas"], "not": [BAKERY]}),
    ("vinte escritórios de contabilidade em Belo Horizonte",
     {"codes": [ACCOUNTING], "places": ["Belo Horizonte"], "wanted": 20}),
    ("a dozen bakeries in Recife", {"codes": [BAKERY], "places": ["Recife"], "wanted": 12}),
    ("fale com os 5 melhores dentistas de Campinas", {"codes": [DENTIST], "places": ["Campinas"], "contact": 5}),
    ("ache dentistas em Campinas mas não fale com ninguém", {"codes": [DENTIST], "places": ["Campinas"]}),
    ("dentistas com mais de 10 funcionários em Campinas",
     {"codes": [DENTIST], "places": ["Campinas"], "doubts": ["cannot_check"]}),
    ("dentistas no centro de Campinas", {"codes": [DENTIST], "places": ["Campinas"], "doubts": ["cannot_check"]}),
    ("lojas de roupas e dentistas em Recife", {"codes": [CLOTHES, DENTIST], "places": ["Recife"]}),
]  # fmt: skip


@pytest.mark.parametrize(("sentence", "expected"), SENTENCES, ids=[one for one, _ in SENTENCES])
def test_a_sentence_says_whom_to_look_for_and_what_it_leaves_open(sentence: str, expected: dict[str, Any]) -> None:
    found = told(read_profile(sentence, "pt-BR", TODAY))
    assert sorted(found.pop("codes", [])) == sorted(expected.get("codes", []))
    assert found == {name: value for name, value in expected.items() if name != "codes"}


SAID = "ache 20 escritórios de arquitetura em Campinas com mais de 3 anos e fale com os melhores"
CORRECTIONS: list[tuple[str, tuple[str, ...], dict[str, Any]]] = [
    ("só em Valinhos também", ("places",), {"places": ["Campinas", "Valinhos"]}),
    ("inclui Valinhos e Vinhedo", ("places",), {"places": ["Campinas", "Valinhos", "Vinhedo"]}),
    ("also in Sorocaba", ("places",), {"places": ["Campinas", "Sorocaba"]}),
    ("em valinhos também", ("places",), {"places": ["Campinas", "Valinhos"]}),
    ("só em Valinhos", ("places",), {"places": ["Valinhos"]}),
    ("troca Campinas por Valinhos", ("places",), {"places": ["Valinhos"]}),
    ("remove Campinas and add Valinhos", ("places",), {"places": ["Valinhos"]}),
    ("tira Campinas", ("places",), {"places": [], "doubts": ["place_missing"]}),
    ("no Brasil todo", ("places", "nationwide"), {"places": [], "nationwide": True}),
    ("mais de 5 anos", ("age",), {"opened": [None, "2021-11-19"]}),
    ("qualquer idade", ("age",), {"opened": None}),
    ("tira as MEI", ("mei",), {"mei": "none"}),
    ("quita las MEI", ("mei",), {"mei": "none"}),
    ("inclui engenharia", ("activities",), {"codes": [ARCHITECTURE, "7112000"]}),
    ("agora dentistas", ("activities",), {"codes": [DENTIST]}),
    ("troca arquitetura por dentistas", ("activities",), {"codes": [DENTIST]}),
    ("quero 30", ("wanted",), {"wanted": 30}),
    ("com site", ("wishes",), {"wishes": {"website": True}}),
    ("pequenas", ("sizes",), {"sizes": ["micro", "small"]}),
    ("não fale com ninguém", ("wants_contact",), {"contact": False}),
    ("fale com os 5 melhores", ("contact_most",), {"contact": 5}),
    ("fale com os 3 primeiros", ("contact_most",), {"contact": 3}),
    ("na verdade é em Sorocaba, não Campinas", ("places",), {"places": ["Sorocaba"]}),
    ("e em Recife?", ("places",), {"places": ["Recife"]}),
    ("e em Recife", ("places",), {"places": ["Campinas", "Recife"]}),
    ("na Lua", ("places",), {"places": [], "doubts": ["place_unknown"]}),
    ("bla bla", (), {}),
]  # fmt: skip


@pytest.mark.parametrize(("sentence", "changes", "expected"), CORRECTIONS, ids=[one for one, _, _ in CORRECTIONS])
def test_a_correction_changes_what_it_speaks_of_and_nothing_else(
    sentence: str, changes: tuple[str, ...], expected: dict[str, Any]
) -> None:
    first = read_profile(SAID, "pt-BR", TODAY)
    reading = corrected(first.profile, sentence, "pt-BR", TODAY)
    assert reading.changes == changes
    after = {
        name: value for name, value in (told(first) | expected).items() if value not in (None, False, [], {})
    }  # fmt: skip
    assert told(reading) == after


def test_sole_traders_are_taken_out_and_brought_back() -> None:
    first = read_profile(SAID, "pt-BR", TODAY).profile
    without = corrected(first, "tira as MEI").profile
    assert without.mei is False
    assert corrected(without, "pode ser MEI").profile == first


def test_a_wish_that_does_not_matter_any_more_is_dropped() -> None:
    first = read_profile("dentistas com site e telefone em Campinas", "pt-BR", TODAY).profile
    assert [str(one.signal) for one in corrected(first, "não precisa de site").profile.wishes] == ["phone"]


def test_names_are_in_the_language_that_was_asked_for() -> None:
    for language, name in (("pt-BR", "padaria"), ("en", "bakery"), ("es", "panadería")):
        assert read_profile("padarias em Recife", language, TODAY).profile.activities[0].name == name


def test_an_unknown_place_becomes_known_when_somebody_says_which_it_is() -> None:
    reading = read_profile("padarias em Monte Verde", "pt-BR", TODAY)
    assert not reading.ready and reading.doubts() == (Doubt.PLACE_UNKNOWN,)
    resolved = with_place(reading, reading.unclear[0].words, WantedPlace("city", "Monte Verde", "MG", "3110509"))
    assert resolved.ready and resolved.unclear == ()


def test_a_typo_is_told_with_the_place_that_it_may_mean_and_never_taken_for_it() -> None:
    reading = read_profile("lanchonetes em Campinaas", "pt-BR", TODAY)
    assert reading.profile.places == () and not reading.ready
    assert "Campinas" in [one.name for one in reading.unclear[0].choices]


def test_nothing_said_about_the_number_means_the_usual_one() -> None:
    profile = read_profile("dentistas em Campinas", "pt-BR", TODAY).profile
    assert (profile.wanted, profile.wanted_said) == (DEFAULT_WANTED, False)


def test_the_same_wish_has_the_same_key_however_it_is_said_and_another_one_has_not() -> None:
    key = read_profile(SAID, "pt-BR", TODAY).profile.key
    same = read_profile("find 5 architecture firms in Campinas that are more than 3 years old", "en", TODAY)
    assert same.profile.key == key
    for other in ("só em Valinhos", "mais de 4 anos", "tira as MEI", "com site", "pequenas"):
        assert corrected(read_profile(SAID, "pt-BR", TODAY).profile, other, "pt-BR", TODAY).profile.key != key


def test_a_profile_that_was_kept_comes_back_as_it_was() -> None:
    profile = read_profile(SAID + ", sem MEI, com site, exceto padarias", "pt-BR", TODAY).profile
    assert customer_from(profile.record()) == profile


def test_more_than_three_years_leaves_out_the_company_that_turns_three_today() -> None:
    age = AgeRange(least_months=36, least_strict=True)
    assert age.opened(TODAY) == (None, date(2023, 11, 19))
    assert AgeRange(least_months=36).opened(TODAY) == (None, date(2023, 11, 20))
    assert months_before(date(2026, 3, 31), 1) == date(2026, 2, 28)
    assert list(Size) == [Size.MICRO, Size.SMALL, Size.OTHER]


@pytest.mark.parametrize(
    "sentence", ["", "   ", "🦄🦄", "a" * 5_000, "em em em no na", "???", "20", "100000000000 mil"]
)
def test_nonsense_is_asked_about_and_breaks_nothing(sentence: str) -> None:
    assert not read_profile(sentence, "pt-BR", TODAY).ready
