"""What a model is told of the conversation before the request. Record dueno-con-tropiezos: footers took the room."""

from datetime import UTC, datetime

import pytest

from core.tenancy import Identity, Role
from core.turn import Turn
from crews.opening import MOST, moment, said_before, shortened
from prompts.texts import Texts

TEXTS = Texts.load()
FOOTER = "_Loja Aurora: 13/11/2026 a 19/11/2026, fuso America/Sao_Paulo, valores em BRL_"


def turn_of(language: str, *history: tuple[str, str]) -> Turn:
    who = Identity("ten_1", "user_1", Role.ADMIN, "Ana", "ana@um.example")
    now = datetime(2026, 11, 20, 15, tzinfo=UTC)
    return Turn("turn_1", who, "conv_1", "chat", "e ontem?", language, now, session={"history": list(history)})


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("pt-BR", "sexta-feira, 20/11/2026 12:00 (America/Sao_Paulo)"),
        ("en", "Friday, Nov 20, 2026 12:00 (America/Sao_Paulo)"),
        ("es", "viernes, 20/11/2026 12:00 (America/Sao_Paulo)"),
    ],
)
def test_the_moment_is_told_with_its_weekday(language: str, said: str) -> None:
    assert moment(turn_of(language)) == said


@pytest.mark.parametrize("language", ["pt-BR", "en", "es"])
def test_the_lines_that_we_put_around_an_answer_are_not_told_again(language: str) -> None:
    ours = [TEXTS.say(language, key) for key in ("guard.left_out", "turn.no_model")]
    reworded = TEXTS.say(language, "guard.reworded")
    answer = "Foi bem.\n\n- **Remarketing**: R$ 28,96."
    whole = "\n\n".join([reworded, answer, ours[0], FOOTER, f"_{ours[1]}_"])
    told = said_before(turn_of(language, ("user", "_e aí_"), ("assistant", whole), ("assistant", FOOTER)), TEXTS)
    assert told == [
        {"role": "user", "content": "_e aí_"},
        {"role": "assistant", "content": answer},
        {"role": "assistant", "content": FOOTER},  # else it would be empty
    ]


def test_room_goes_to_the_answer_and_not_to_its_footer() -> None:
    answer = "A compra custou R$ 59,48. " * 22
    told = said_before(turn_of("pt-BR", ("assistant", f"{answer.strip()}\n\n{FOOTER}")), TEXTS)
    assert told[0]["content"] == answer.strip()


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("Foi bem. " * 100, "Foi bem. …"),
        ("Custou R$ 1.234,56 na loja. " * 40, "na loja. …"),
        ("palavra " * 100, "palavra …"),
        ("x" * 700, "x …"),
        ("Começo.\n1. " + "uma linha " * 90, "linha …"),
        ("- Uma linha da lista\n" * 60, "- Uma linha da lista …"),
    ],
)
def test_a_long_message_ends_after_a_sentence_and_says_that_it_goes_on(text: str, end: str) -> None:
    short = shortened(text)
    assert short.endswith(end)
    assert MOST // 2 <= len(short) <= MOST + 2
    assert text.startswith(short.removesuffix(" …"))


def test_a_message_that_fits_stays_as_it_is() -> None:
    text = "Foi. " * 119 + "Fim!!"
    assert len(text) == MOST
    assert shortened(text) == text
