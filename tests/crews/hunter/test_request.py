"""What a message asks of the hunter, by its words. No database, no model."""

from datetime import date
from typing import Any

import pytest

from business.prospecting.profile import read_profile
from crews.hunter.request import HunterRequest, place_meant, understand, withheld

TODAY = date(2026, 11, 20)
SAID = "ache 20 escritórios de arquitetura em Campinas com mais de 3 anos e fale com os melhores"
NAMES = ["Casa de Taipa Arquitetura", "Estúdio Farol Ltda", "Construtora Horizonte", "Ibanez Projetos", "Coelho"]
LIST = [
    {"n": n, "id": f"cand_{n}", "name": name, "score": 90 - 8 * n, "verdict": "qualified", "kind": "candidate"}
    for n, name in enumerate(NAMES, start=1)
]
HUNT = {
    "search": "search_1",
    "sentence": SAID,
    "state": "done",
    "wish": read_profile(SAID, "pt-BR", TODAY).profile.record(),
}
AFTER: dict[str, Any] = {"entities": LIST, "hunt": HUNT}
ASKED = {
    "hunt": HUNT
    | {"search": None, "state": "asking", "wish": read_profile("ache padarias", "pt-BR", TODAY).profile.record()}
}
LAST_TWO = AFTER | {"spoken_of": ["cand_4", "cand_5"]}
FOURTH = AFTER | {"focus": {"kind": "candidate", "id": "cand_4"}}


def asked(intent: str, text: str, session: dict[str, Any]) -> HunterRequest:
    return understand(f"hunter.{intent}" if intent else "", text, session, TODAY)


@pytest.mark.parametrize(
    ("intent", "text", "session", "expected"),
    [
        ("search", SAID, {}, ("find", ())),
        ("search", "quero clientes novos", {}, ("find", ())),
        ("search", "padarias na Lua", {}, ("find", ())),
        ("search", "ache 10 dentistas em Santos", AFTER, ("find", ())),
        ("search", "agora dentistas", AFTER, ("change", ())),
        ("search", "ache padarias", AFTER, ("find", ())),
        ("search", "clínicas odontológicas", ASKED, ("change", ())),
        ("refine", "em Campinas", ASKED, ("change", ())),
        ("refine", "sem MEI", AFTER, ("change", ())),
        ("refine", "sem MEI", {}, ("find", ())),
        ("refine", "na verdade Sorocaba", AFTER, ("change", ())),
        ("", "só com site", AFTER, ("change", ())),
        ("", "mais 20", AFTER, ("change", ())),
        ("status", "continua a busca", AFTER, ("change", ())),
        ("", "the next ones", AFTER, ("change", ())),
        ("explain", "por que a terceira tem 82?", AFTER, ("explain", ("cand_3",))),
        ("explain", "por que 74?", AFTER, ("explain", ("cand_2",))),
        ("explain", "why does the second one have 82?", AFTER, ("explain", ("cand_2",))),
        ("explain", "explica a nota da Casa de Taipa", AFTER, ("explain", ("cand_1",))),
        ("explain", "por que a nota dela é baixa?", FOURTH, ("explain", ("cand_4",))),
        ("explain", "como funciona a nota?", AFTER, ("rules", ())),
        ("explain", "¿cómo se calcula el puntaje?", {}, ("rules", ())),
        ("", "quem é a primeira?", AFTER, ("explain", ("cand_1",))),
        ("explain", "qual o telefone da segunda?", AFTER, ("explain", ("cand_2",))),
        ("", "e a segunda?", AFTER, ("explain", ("cand_2",))),
        ("status", "como está a busca?", AFTER, ("status", ())),
        ("status", "quanto custou a busca?", AFTER, ("status", ())),
        ("status", "o que você aprendeu comigo?", AFTER, ("status", ())),
        ("status", "pausa a busca", AFTER, ("pause", ())),
        ("status", "resume the search", AFTER, ("resume", ())),
        ("status", "mostra as que esperam eu olhar", AFTER, ("list", ())),
        ("status", "which companies are below the line?", AFTER, ("list", ())),
        ("contact", "fale com os melhores", AFTER, ("contact", ())),
        ("contact", "escreve pra segunda", AFTER, ("contact", ("cand_2",))),
        ("contact", "draft a message to Estúdio Farol", AFTER, ("contact", ("cand_2",))),
        ("contact", "manda mensagem pra elas", LAST_TWO, ("contact", ("cand_4", "cand_5"))),
        ("contact", "fale com a terceira", {}, ("contact", ("3",))),
    ],
)  # fmt: skip
def test_words_say_what_is_asked_and_of_which_company(
    intent: str, text: str, session: dict[str, Any], expected: tuple[str, tuple[str, ...]]
) -> None:
    request = asked(intent, text, session)
    assert (request.asked, request.companies) == expected


@pytest.mark.parametrize(
    ("text", "decision", "companies"),
    [
        ("a 2 não é desse tipo", "not_this_kind", ("cand_2",)),
        ("the fourth has the wrong profile", "not_this_kind", ("cand_4",)),
        ("a quinta não tem nada a ver", "not_this_kind", ("cand_5",)),
        ("fechamos com a terceira", "won", ("cand_3",)),
        ("we won the first one", "won", ("cand_1",)),
        ("cerramos con la segunda", "won", ("cand_2",)),
        ("a Horizonte virou cliente", "won", ("cand_3",)),
        ("perdemos a quarta, não era perfil", "lost", ("cand_4",)),
        ("a 3 não fechou", "lost", ("cand_3",)),
        ("rejeita a 5", "reject", ("cand_5",)),
        ("descarta a última", "reject", ("cand_5",)),
        ("salva a 1 e a 4", "save", ("cand_1", "cand_4")),
        ("guarda la que quedó con 66", "save", ("cand_3",)),
        ("não salva a 2", None, ("cand_2",)),
        ("salva", "save", ()),
    ],
)
def test_what_becomes_of_a_company_is_told_from_what_is_not_to_become_of_it(
    text: str, decision: str | None, companies: tuple[str, ...]
) -> None:
    request = asked("decide", text, AFTER)
    assert (request.asked, request.decision, request.companies) == ("decide", decision, companies)


@pytest.mark.parametrize(
    ("intent", "text", "asked_for", "held"),
    [
        ("decide", "ainda não ganhamos a primeira", "decide", "negation"),
        ("decide", "a 3 ainda não fechou", "decide", "negation"),
        ("decide", "não salva a 2", "decide", "negation"),
        ("decide", "desfaz o descarte da segunda", "decide", "negation"),
        ("decide", "se a quarta não responder, rejeita", "decide", "condition"),
        ("decide", "rejeita todas menos a primeira", "decide", "exception"),
        ("contact", "rejeita todas menos a primeira", "contact", "exception"),
        ("contact", "fale com as melhores, menos a Horizonte", "contact", "exception"),
        ("contact", "não fale com a segunda", "contact", "negation"),
        ("contact", "don't write to the second one", "contact", "negation"),
        ("contact", "vale a pena falar com a segunda?", "explain", "question"),
        ("decide", "perdemos a segunda?", "explain", "question"),
        ("decide", "por que rejeitou a segunda?", "explain", "question"),
        ("decide", "did we win the first one?", "explain", "question"),
        ("decide", "¿ya cerramos con la segunda?", "explain", "question"),
        ("decide", "quais você rejeitou?", "list", "question"),
        ("status", "não pausa a busca", "pause", "negation"),
        ("status", "posso pausar a busca?", "status", "question"),
        ("status", "se demorar, pausa a busca", "pause", "condition"),
        ("search", "não busque padarias em Campinas", "find", "negation"),
        ("decide", "você pode rejeitar a segunda?", "decide", None),
        ("decide", "rejeita a segunda, não tem site", "decide", None),
        ("decide", "number 3 did not close", "decide", None),
        ("contact", "pode falar com a segunda?", "contact", None),
    ],
)
def test_what_is_no_plain_order_is_held_back_and_a_question_looks(
    intent: str, text: str, asked_for: str, held: str | None
) -> None:
    session = {} if intent == "search" else AFTER
    request = asked(intent, text, session)
    assert (request.asked, request.held) == (asked_for, held)
    assert held is None or request.decision is None


def test_first_messages_of_the_same_breath_are_written_when_they_were_plainly_asked_for() -> None:
    wish = "ache 20 dentistas em Santos"
    plain = ("e fale com os melhores", "e fala com os 3 melhores, por favor", "e escreve pras melhores")
    assert {withheld(f"{wish} {more}") for more in plain} == {"order"}
    assert withheld("você consegue achar 20 dentistas em Santos e falar com os melhores?") == "order"
    assert withheld(f"{wish} e fale com os melhores, menos a Farol") == "exception"
    assert withheld(f"{wish} e fale com os melhores se tiverem telefone") == "condition"
    assert withheld(f"{wish}, mas não escreve pra ninguém") == "negation"


@pytest.mark.parametrize(
    ("text", "most"),
    [
        ("fale com os melhores", 5),
        ("fale com os 3 primeiros", 3),
        ("talk to the top two", 2),
        ("habla con las 4 mejores", 4),
        ("fale com as 50 melhores", 8),
        ("fala com todas", 5),
        ("escreve pra segunda", None),
    ],
)
def test_the_best_are_counted_and_never_more_than_a_turn_can_do(text: str, most: int | None) -> None:
    assert asked("contact", text, AFTER).best == most


def test_a_score_that_was_said_is_kept_and_a_message_in_quotes_is_taken_as_it_is() -> None:
    assert asked("explain", "por que a terceira tem 82?", AFTER).score_said == 82
    request = asked("contact", 'manda pra 2: "Olá! Podemos conversar sobre o site de vocês?"', AFTER)
    assert (request.companies, request.message) == (("cand_2",), "Olá! Podemos conversar sobre o site de vocês?")
    assert [place_meant(text) for text in ("a segunda", "3", "the third one", "tanto faz")] == [2, 3, 3, None]
