"""What people call a business becomes activity codes, with the words that it was, or honestly none."""

import pytest

from integrations import sandbox_companies as sandbox
from integrations.brasil_places.activities import activities_for, known_activities


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("escritórios de arquitetura em Campinas com mais de 3 anos", "7111100"),
        ("escritório de arquitetura", "7111100"),
        ("ESCRITORIO DE ARQUITETURA", "7111100"),
        ("arquitetos", "7111100"),
        ("architecture firms", "7111100"),
        ("architecture firm", "7111100"),
        ("estudio de arquitectura", "7111100"),
        ("estudios de arquitectura en Campinas", "7111100"),
        ("padarias na Lua", "1091102"),
        ("bakeries", "1091102"),
        ("panaderías", "1091102"),
        ("dentistas", "8630504"),
        ("clínicas odontológicas", "8630504"),
        ("dental clinics in Curitiba", "8630504"),
        ("clínicas de estética", "9602502"),
        ("beauty clinics", "9602502"),
        ("agências de marketing digital", "7311400"),
        ("produtoras de vídeo", "5911199"),
        ("lojas de roupas femininas", "4781400"),
        ("clothing stores", "4781400"),
        ("tiendas de ropa", "4781400"),
        ("academias de ginástica", "9313100"),
        ("gyms", "9313100"),
        ("creches", "8511200"),
        ("day care centers", "8511200"),
        ("restaurantes japoneses", "5611201"),
        ("advogados trabalhistas", "6911701"),
        ("law firms", "6911701"),
        ("bufetes de abogados", "6911701"),
        ("escritórios de contabilidade", "6920601"),
        ("imobiliárias", "6821801"),
        ("real estate agencies", "6821801"),
        ("oficinas mecânicas", "4520001"),
        ("salões de beleza", "9602501"),
        ("pet shops", "4789004"),
        ("clínicas veterinárias", "7500100"),
        ("empresas de software", "6201501"),
        ("escolas de idiomas", "8593700"),
        ("hotéis", "5510801"),
        ("7111-1/00", "7111100"),
        ("CNAE 8630504", "8630504"),
    ],
)
def test_the_first_code_is_the_one_that_is_meant(words: str, code: str) -> None:
    first = activities_for(words)[0]
    assert (first.code, first.sure) == (code, True)
    assert first.term and first.activity.official


def test_every_term_of_the_list_finds_its_own_activity_surely() -> None:
    for code, one in known_activities().items():
        for language, term in one.terms:
            codes = [match.code for match in activities_for(term, most=8) if match.sure]
            assert code in codes, f"{term} ({language})"


def test_a_match_says_which_words_it_was_and_in_which_language() -> None:
    (match, *_) = activities_for("architecture firms in Campinas")
    assert (match.term, match.language, match.whole) == ("architecture firm", "en", True)
    assert (match.activity.name("pt-BR"), match.activity.name("es")) == (
        "escritório de arquitetura", "estudio de arquitectura",
    )  # fmt: skip


def test_two_activities_in_one_sentence_are_both_found() -> None:
    codes = {match.code for match in activities_for("pet shops e clínicas veterinárias") if match.sure}
    assert codes == {"4789004", "7500100"}


def test_of_a_term_inside_a_longer_one_only_the_longer_counts() -> None:
    sure = [match.code for match in activities_for("farmácia de manipulação") if match.sure]
    assert sure == ["4771702"]


def test_a_word_of_many_activities_gives_suggestions_only() -> None:
    found = activities_for("clínicas")
    assert len(found) >= 3 and not any(match.sure for match in found)


@pytest.mark.parametrize(
    "words", ["", "empresas", "lojas", "foguetes espaciais", "na Lua", "xyz", "mineração de asteroides", "123"]
)
def test_nothing_is_guessed_when_nothing_fits(words: str) -> None:
    assert activities_for(words) == []


def test_codes_are_well_formed_and_every_activity_is_named_in_three_languages() -> None:
    assert len(known_activities()) >= 120
    for code, one in known_activities().items():
        assert len(code) == 7 and code.isdigit()
        assert set(one.names) == {"pt-BR", "en", "es"} and all(one.names.values())


def test_the_activities_of_the_sandbox_are_known() -> None:
    assert {f"{one.cnae:07d}" for one in sandbox.companies()} <= set(known_activities())
