"""What people send becomes storable, or is told kindly."""

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ArgumentsWrong
from core.messages import LONGEST, clean


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("  Como foram minhas campanhas?\n", "Como foram minhas campanhas?"),
        ("a\r\nb\rc\u2028d", "a\nb\nc\nd"),
        ("a\x00b\x07c\td\x1b[31m", "abc\td[31m"),
        ("meia \ud83d e inteira \ud83d\ude00", "meia \ufffd e inteira 😀"),
        ("ac\u0327a\u0303o", "ação"),
        ("👍", "👍"),
        ("👩🏽‍💻🇧🇷", "👩🏽‍💻🇧🇷"),
        ("?", "?"),
    ],
)
def test_the_words_stay_and_what_cannot_be_stored_goes(sent: str, kept: str) -> None:
    assert clean(sent) == kept


@pytest.mark.parametrize("sent", ["", "   \n\t ", "\x00\x00", "\u200b\u200d\ufeff", "\u2800\u3164", "\u0301", "\ufe0f"])
def test_nothing_to_read_is_told(sent: str) -> None:
    with pytest.raises(ArgumentsWrong) as told:
        clean(sent)
    assert told.value.code == "message_empty"


def test_64_kb_is_told_to_be_sent_as_a_file_and_the_limit_itself_is_taken() -> None:
    with pytest.raises(ArgumentsWrong) as told:
        clean("a" * 65_536)
    assert (told.value.code, told.value.params) == ("message_too_long", {"limit": 32_768})
    assert clean("é" * LONGEST) == "é" * LONGEST


@given(st.text(st.characters(), max_size=200))
def test_whatever_is_taken_can_be_stored_and_is_clean_already(text: str) -> None:
    try:
        kept = clean(text)
    except ArgumentsWrong:
        return
    assert kept.encode("utf-8").decode("utf-8") == kept
    assert "\x00" not in kept
    assert clean(kept) == kept


def test_it_is_stored_by_postgresql_as_it_is(owner_dsn: str) -> None:
    kept = clean("ação \ud83d\x00 👩🏽‍💻 \r\n fim")
    with psycopg.connect(owner_dsn) as conn:
        assert conn.execute("SELECT %s::text, jsonb_build_array(%s::text)", [kept, kept]).fetchone() == (kept, [kept])
