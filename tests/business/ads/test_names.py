import pytest
from hypothesis import given
from hypothesis import strategies as st

from business.ads.names import Match, Named, match
from core.words import folded

THINGS = [
    Named("120100000000000001", "[VENDAS] Remarketing | Carrinho abandonado", "campaign"),
    Named("120200000000000001", "Carrinho abandonado 14 dias", "adset"),
    Named("120300000000000005", "Vídeo 03 | Provador", "ad"),
    Named("120300000000000006", "Vídeo 01 | Provador", "ad"),
    Named("120300000000000007", "Imagem | Frete grátis", "ad"),
    Named("120100000000000004", "[TRÁFEGO] Blog e lookbook", "campaign"),
    Named("act_100000000000001", "Loja Aurora"),
]


def found(mention: str, things: list[Named] = THINGS) -> str | None:
    result = match(mention, things).found
    return result.name if result else None


@pytest.mark.parametrize(
    ("mention", "name"),
    [
        ("120300000000000005", "Vídeo 03 | Provador"),
        ("act_100000000000001", "Loja Aurora"),
        ("100000000000001", "Loja Aurora"),
        ("[VENDAS] Remarketing | Carrinho abandonado", "[VENDAS] Remarketing | Carrinho abandonado"),
        ("video 03 provador", "Vídeo 03 | Provador"),
        ("VÍDEO 03", "Vídeo 03 | Provador"),
        ("frete gratis", "Imagem | Frete grátis"),
        ("a campanha do blog", "[TRÁFEGO] Blog e lookbook"),
        ("lookbook blog", "[TRÁFEGO] Blog e lookbook"),
        ("remarketng", "[VENDAS] Remarketing | Carrinho abandonado"),
        ("trafgo", "[TRÁFEGO] Blog e lookbook"),
        ("aurora", "Loja Aurora"),
        ("a campanha Tráfego Blog e lookbook da Aurora", "[TRÁFEGO] Blog e lookbook"),
    ],
)
def test_a_name_is_found_by_id_part_words_or_despite_a_slip(mention: str, name: str) -> None:
    assert found(mention) == name


@pytest.mark.parametrize("mention", ["provador", "carrinho abandonado", "video"])
def test_between_two_that_fit_the_choice_is_given_back(mention: str) -> None:
    result = match(mention, THINGS)
    assert result.found is None
    assert len(result.candidates) >= 2


@pytest.mark.parametrize("mention", ["natal", "Vídeo 07", "xyz", "", "   ", "🙂"])
def test_what_fits_nothing_is_not_guessed(mention: str) -> None:
    result = match(mention, THINGS)
    assert result.found is None
    assert result.candidates == ()


def test_a_number_in_a_name_must_be_the_same_number() -> None:
    things = [Named("1", "Vídeo 13"), Named("2", "Vídeo 31")]
    assert found("video 13", things) == "Vídeo 13"
    assert found("video 33", things) is None


def test_namesakes_are_told_apart_only_by_their_exact_spelling() -> None:
    things = [Named("1", "Natal"), Named("2", "NATAL")]
    assert match("Natal", things).found == things[0]
    assert match("natal", things).candidates == tuple(things)


def test_the_closest_names_are_offered() -> None:
    assert match("remarketing natal", THINGS).closest[0].name.startswith("[VENDAS] Remarketing")


@given(st.text(max_size=80), st.lists(st.text(max_size=40), max_size=6))
def test_no_mention_and_no_names_break_the_search(mention: str, names: list[str]) -> None:
    things = [Named(str(n), name) for n, name in enumerate(names)]
    result = match(mention, things)
    assert isinstance(result, Match)
    assert result.found is None or result.found in things
    assert folded(mention) == folded(folded(mention))
