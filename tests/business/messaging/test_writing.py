"""Texts as WhatsApp shows them, and long answers in parts that a person would have made."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from business.messaging.writing import LONGEST, for_whatsapp, parts, width


@pytest.mark.parametrize(
    ("markdown", "shown"),
    [
        ("**negrito** e __negrito__", "*negrito* e *negrito*"),
        ("***os dois***", "*_os dois_*"),
        ("~~velho~~", "~velho~"),
        ("*já de WhatsApp* e _itálico_", "*já de WhatsApp* e _itálico_"),
        ("# Título **forte**\ntexto", "*Título forte*\ntexto"),
        ("###### Pequeno ##", "*Pequeno*"),
        ("#hashtag fica", "#hashtag fica"),
        ("* um\n+ dois\n- três\n• quatro", "- um\n- dois\n- três\n- quatro"),
        ("1. um\n2. dois", "1. um\n2. dois"),
        ("> citado", "> citado"),
        ("[site](https://ipe.example/a_b_c)", "site: https://ipe.example/a_b_c"),
        ("[https://ipe.example](https://ipe.example)", "https://ipe.example"),
        ("[ipe.example](https://www.ipe.example/)", "https://www.ipe.example/"),
        ("![logo](https://ipe.example/x.png)", "logo: https://ipe.example/x.png"),
        ("[fale](mailto:a_b_c@ipe.example)", "fale: a_b_c@ipe.example"),
        ("<https://ipe.example>", "https://ipe.example"),
        ("https://ipe.example/__x__/**y", "https://ipe.example/__x__/**y"),
        ("a\n\n---\n\nb", "a\n\nb"),
        ("linha<br>outra <br/> mais", "linha\noutra\nmais"),
        ("use `**isto**` assim", "use `**isto**` assim"),
        ("```python\nx = **1**\n```", "```\nx = **1**\n```"),
        ("2 * 3 * 4 = 24 e a_b_c", "2 * 3 * 4 = 24 e a_b_c"),
        ("R$ 1.234,56 ** e só", "R$ 1.234,56 ** e só"),
        ("| Plano | Preço |\n|:--|--:|\n| **Pro** | R$ 10 |\n| Base | |", "- *Pro* — Preço: R$ 10\n- Base"),
        ("a | b não é tabela", "a | b não é tabela"),
        ("oi\u200b\u202e mundo\x00\ud800\ufeff", "oi mundo"),
        ("família 👨‍👩‍👧 e ❤️", "família 👨‍👩‍👧 e ❤️"),
        ("a\r\n\r\n\r\n\r\nb  \n", "a\n\nb"),
        ("\ue0000\ue001", "0"),  # nobody smuggles our own placeholders in
        ("", ""),
    ],
)
def test_markdown_becomes_what_whatsapp_shows(markdown: str, shown: str) -> None:
    assert for_whatsapp(markdown) == shown
    assert for_whatsapp(shown) == shown


def test_a_short_answer_is_one_message_and_an_empty_one_none() -> None:
    assert parts("Oi, tudo bem?") == ["Oi, tudo bem?"]
    assert parts("  \n ") == []
    assert parts("a" * 1_100) == ["a" * 1_100]  # a little more than comfortable is still one


def test_a_long_answer_is_cut_between_paragraphs_before_sentences() -> None:
    first, second, third = ("Frase de teste bem comum. " * 24).strip(), ("Outra coisa. " * 50).strip(), "Fim."
    assert parts(f"{first}\n\n{second}\n\n{third}") == [first, f"{second}\n\n{third}"]


def test_sentences_end_where_a_reader_would_say_so() -> None:
    text = (
        "O Sr. Silva e a Dra. Ana atendem na Av. Brasil, nº 10. O plano custa R$ 1.234,56 por mês! Vale até "
        "20.11.2026? Veja em www.ipe.example.com agora… Ou fale com a gente, p.ex. pelo e-mail a.b@ipe.example. "
        "Até logo."
    )
    found = parts(text, comfortable=60, most=9)
    assert len(found) > 2 and " ".join(found) == text
    assert all(re.search(r"(10|mês|2026|agora|example|logo)[.!?…]+$", one) for one in found)


def test_a_list_is_cut_between_its_lines() -> None:
    text = "\n".join(f"{number}. Item número {number} da lista que se alonga" for number in range(1, 40))
    found = parts(text, comfortable=300, most=10)
    assert "\n".join(found) == text
    assert all(re.match(r"\d+\. Item", one) for one in found)


def test_a_bold_passage_that_is_cut_is_closed_and_opened_again() -> None:
    text = "*" + " ".join(f"palavra{number}" for number in range(300)) + "*"
    found = parts(text, comfortable=500, most=10)
    assert len(found) > 2
    assert all(one.startswith("*") and one.endswith("*") and one.count("*") == 2 for one in found)
    code = "```\n" + "\n".join(f"linha_{number} = *x*" for number in range(200)) + "\n```"
    assert all(one.count("```") == 2 for one in parts(code, comfortable=500, most=10))


def test_a_cut_looks_for_a_place_outside_of_bold() -> None:
    text = "Primeiro o que é simples. " * 12 + "*Isto é forte. E isto também. E mais isto.* " + "Depois o resto. " * 30
    found = parts(text, comfortable=350, most=9)
    assert " ".join(found) == text.strip()
    assert all(one.count("*") % 2 == 0 for one in found)


def test_parts_get_longer_rather_than_many_and_never_longer_than_a_message() -> None:
    text = ("Uma frase que não acaba tão cedo, mas acaba. " * 200).strip()
    assert len(parts(text)) <= 4
    huge = parts(text * 5)
    assert all(width(one) <= LONGEST for one in huge) and len(huge) >= 11


def test_a_word_longer_than_a_message_is_cut_but_no_emoji_is() -> None:
    family = "👨‍👩‍👧"
    found = parts(family * 1_500)
    assert all(width(one) <= LONGEST for one in found) and "".join(found) == family * 1_500
    assert all(not one.startswith("\u200d") and not one.endswith("\u200d") for one in found)
    accents = parts("e\u0301" * 5_000)
    assert all(not one.startswith("\u0301") for one in accents)


@pytest.mark.parametrize(
    "odd", ["**a", "__a ", "`", "```", "[", "[a](", "|a", " ", "~~a", "* ", "- ", "<https:", "(", "\n"]
)
def test_no_text_however_odd_takes_long(odd: str) -> None:
    text = odd * (40_000 // len(odd)) + "x"
    before = time.process_time()
    assert parts(for_whatsapp(text)) or not for_whatsapp(text)
    assert time.process_time() - before < 3  # what takes the square of its length takes half a minute here


texts = st.text(st.sampled_from("ab  .!?\n*_~`[]()#>|-1👍\u200d\u0301é"), max_size=600)


@settings(max_examples=150)
@given(texts, st.integers(20, 200))
def test_nothing_is_lost_or_too_long_whatever_is_written(text: str, longest: int) -> None:
    found = parts(text, longest=longest, comfortable=max(longest // 2, 10), most=4)
    assert all(one.strip() and width(one) <= longest for one in found)
    kept = re.sub(r"[\s*_~`]", "", "".join(found))
    assert kept == re.sub(r"[\s*_~`]", "", text)


@settings(max_examples=150)
@given(st.text(max_size=300) | texts)
def test_any_text_can_be_written_for_whatsapp_and_again(text: str) -> None:
    once = for_whatsapp(text)
    assert once == once.strip() and "\n\n\n" not in once
    once.encode("utf-8")
    for_whatsapp(once)
