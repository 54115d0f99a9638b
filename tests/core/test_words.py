"""What people type for the same name compares as equal."""

from hypothesis import given
from hypothesis import strategies as st

from core.words import folded, plain, squeezed


def test_case_and_accents_do_not_tell_names_apart() -> None:
    assert plain("Anúncio 02") == plain("ANU\u0301NCIO 02") == "anuncio 02"
    assert plain("𝕬ção") == "acao"


def test_squeezed_keeps_punctuation_and_folded_does_not() -> None:
    assert squeezed("  Conversão,\t é   ISSO ") == "conversao, e isso"
    assert folded("[VENDAS] Ação_1") == "vendas acao 1"


@given(st.text())
def test_comparing_what_was_compared_changes_nothing(text: str) -> None:
    for form in (plain, squeezed, folded):
        assert form(form(text)) == form(text)


@given(st.text(st.characters(max_codepoint=127)))
def test_the_short_way_for_ascii_is_the_long_way(text: str) -> None:
    assert plain(text + "é")[:-1] == plain(text)
