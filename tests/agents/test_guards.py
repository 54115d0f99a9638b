"""What may leave: traced numbers, whole sentences, no secrets."""

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from agents.guards import KnownNumbers, SentenceGate, leaks, sentence_end, untraceable_numbers
from core import formats
from core.money import Money
from tests.core.typed_secrets import TYPED, seen_of

LANGUAGES = st.sampled_from(["pt-BR", "en", "es"])
AMOUNTS = st.decimals(min_value="-9999999", max_value="9999999", places=2)

RESULT = {
    "account": {"id": "act_100200300", "name": "Clínica 24h", "currency": "BRL"},
    "window": {"since": "2026-11-13", "until": "2026-11-19", "attribution": "7d_click,1d_view"},
    "total": {"spend": "1234.56", "ctr": "1.23", "leads": 31, "share": "0.347", "change": {"spend": "-12.3"}},
    "rows": [
        {"n": 1, "name": "CA | Vídeo 02 | 50% OFF", "spend": "55.50", "roas": "3.21"},
        {"n": 2, "name": "Carrossel", "spend": "1179.06", "roas": None},
    ],
}


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("pt-BR", "Nos últimos 7 dias (13/11/2026 a 19/11/2026) você gastou R$ 1.234,56."),
        ("pt-BR", "Foram cerca de R$ 1,2 mil, ou R$ 1.235, com 31 leads em 2 anúncios."),
        ("pt-BR", "O CTR foi de 1,23% (1,2%), e 34,7% do gasto ficou em um anúncio."),
        ("pt-BR", "O gasto caiu 12,3% (-12,3%; −12%)."),
        ("pt-BR", "1. Carrossel: R$ 1.179,06\n2. CA | Vídeo 02 | 50% OFF: R$ 55,50, ROAS 3,2x"),
        ("pt-BR", "O Vídeo 02 foi o 2º, e a atribuição é 7 dias após o clique, 1 dia após ver."),
        ("pt-BR", "Entre 13 e 19 de novembro de 2026, na conta Clínica 24h (act_100200300)."),
        ("pt-BR", "| # | Anúncio | Gasto |\n|---|---|---|\n| 1 | Carrossel | R$ 1.179,06 |"),
        ("pt-BR", "Em 15/11 nada mudou. A proposta vale até 14:30. Em 2026 é assim."),
        ("en", "From Nov 13, 2026 to Nov 19, 2026 you spent R$1,234.56 (R$1.2K), 31 leads."),
        ("en", "November 13–19: CTR 1.23%, spend down 12.3%, BRL 1,234.56. See https://a.b/99?x=88."),
        ("es", "Del 13/11/2026 al 19/11/2026 gastaste R$ 1.234,56, un 12,3% menos."),
    ],
)
def test_numbers_of_the_results_may_be_said_in_many_ways(language: str, text: str) -> None:
    assert untraceable_numbers(text, [RESULT], language) == []


@pytest.mark.parametrize(
    ("language", "text", "wrong"),
    [
        ("pt-BR", "Você gastou R$ 1.234,57.", ["R$ 1.234,57"]),
        ("pt-BR", "Foram 32 leads a R$ 39,82 cada.", ["32", "R$ 39,82"]),
        ("pt-BR", "O gasto subiu 12,3%.", ["12,3%"]),
        ("pt-BR", "O gasto mudou +12,3%.", ["+12,3%"]),
        ("pt-BR", "Isso é 12,3% maior.", ["12,3%"]),
        ("pt-BR", "O CTR foi de 123%.", ["123%"]),
        ("pt-BR", "No dia 20/11/2026 e no dia 25 de novembro.", ["20/11/2026", "25 de novembro"]),
        ("pt-BR", "Outros 50% vieram do Carrossel.", ["50%"]),
        ("pt-BR", "Não houve leads: 0.", ["0"]),
        ("pt-BR", "Você economizaria R$ 1,3 mil.", ["R$ 1,3 mil"]),
        ("en", "You spent R$1.234,60 and 1,235.56 more.", ["R$1.234,60", "1,235.56"]),
        ("en", "On Dec 1, 2026 it rose 12.3%.", ["Dec 1, 2026", "12.3%"]),
        ("es", "Gastaste 1.334 reales.", ["1.334"]),
    ],
)
def test_numbers_that_no_result_holds_are_named(language: str, text: str, wrong: list[str]) -> None:
    assert untraceable_numbers(text, [RESULT], language) == wrong


def test_what_the_person_said_may_be_repeated() -> None:
    facts = [RESULT, "sobe para R$ 1.500,00 por 3 dias, desde 01/10"]
    assert untraceable_numbers("Proponho R$ 1.500 por 3 dias, desde 01/10.", facts, "pt-BR") == []
    assert untraceable_numbers("Proponho R$ 1.600 por 4 dias, desde 02/10.", facts, "pt-BR") == [
        "R$ 1.600",
        "4",
        "02/10",
    ]


def test_digits_of_a_name_count_only_where_the_name_stands() -> None:
    facts = [{"name": "Promo 99", "spend": "10.00"}]
    assert untraceable_numbers("A Promo 99 gastou R$ 10,00.", facts, "pt-BR") == []
    assert untraceable_numbers("A Promo gastou R$ 99,00.", facts, "pt-BR") == ["R$ 99,00"]


def test_a_telephone_may_be_written_as_people_write_it_and_with_no_other_digit() -> None:
    told = [{"phone": "1936689288", "known": [{"about": "phone", "value": "+55 19 3457-0087"}]}]
    assert untraceable_numbers("Ligue para (19) 3668-9288 ou (19) 3457-0087.", told, "pt-BR") == []
    assert untraceable_numbers("Ligue para (19) 3457-0088.", told, "pt-BR") != []


def test_text_without_any_result_may_hold_no_number() -> None:
    assert untraceable_numbers("Seu CPA médio é R$ 20.", [], "pt-BR") == ["R$ 20"]
    assert untraceable_numbers("Olá! Posso ajudar com seus anúncios.", [], "pt-BR") == []


@given(amount=AMOUNTS, language=LANGUAGES, currency=st.sampled_from(["BRL", "USD", "EUR", "JPY", "ARS", "MXN"]))
@settings(deadline=None)
def test_money_as_we_write_it_traces_to_itself(amount: Decimal, language: str, currency: str) -> None:
    text = formats.money(Money(amount, currency), language)
    assert untraceable_numbers(f"Foi {text} ontem", [{"spend": str(amount)}], language) == []


@given(value=AMOUNTS, language=LANGUAGES, decimals=st.integers(0, 2))
@settings(deadline=None)
def test_numbers_and_percentages_as_we_write_them_trace_to_themselves(
    value: Decimal, language: str, decimals: int
) -> None:
    assume(decimals or value == 0 or abs(value) >= Decimal("0.5"))  # a bare 0 must be a measured zero
    for text in (
        formats.number(value, language, decimals),
        formats.percent(value, language, decimals),
        formats.percent(value, language, decimals, signed=True),
    ):
        assert untraceable_numbers(f"({text})", [{"change": {"spend": str(value)}}], language) == []


@given(since=st.dates(date(2020, 1, 1), date(2030, 1, 1)), days=st.integers(0, 90), language=LANGUAGES)
@settings(deadline=None)
def test_windows_as_we_write_them_trace_to_themselves(since: date, days: int, language: str) -> None:
    until = since + timedelta(days=days)
    facts = [{"window": {"since": since.isoformat(), "until": until.isoformat()}}]
    text = f"{formats.window(since, until, language)}, {days + 1} dias"
    assert untraceable_numbers(text, facts, language) == []


@given(
    amount=st.decimals(min_value="0.01", max_value="9999999", places=2),
    position=st.integers(0, 12),
    digit=st.sampled_from("0123456789"),
    language=LANGUAGES,
)
@settings(deadline=None)
def test_a_changed_digit_does_not_trace(amount: Decimal, position: int, digit: str, language: str) -> None:
    written = formats.number(amount, language, 2)
    places = [i for i, c in enumerate(written) if c.isdigit()]
    place = places[position % len(places)]
    assume(written[place] != digit)
    changed = f"{written[:place]}{digit}{written[place + 1 :]}"
    assert untraceable_numbers(f"R$ {changed}", [{"spend": str(amount)}], language) == [f"R$ {changed}"]


@given(text=st.text(max_size=300), language=LANGUAGES)
@settings(deadline=None)
def test_no_text_breaks_the_check(text: str, language: str) -> None:
    untraceable_numbers(text, [text, {"name": text}], language)
    SentenceGate(lambda: [text], language).feed(text)
    leaks(text, [text[::-1]])


# --- sentence by sentence -----------------------------------------------------------------------


def _cut(text: str, size: int) -> list[str]:
    return [text[i : i + size] for i in range(0, len(text), size)]


def _pieces(gate: SentenceGate, chunks: Sequence[str]) -> list[str | None]:
    """What the gate lets through, in order."""
    shown = [piece for chunk in chunks for piece in gate.feed(chunk)]
    return [*shown, *gate.finish()]


def _on_screen(pieces: Sequence[str | None]) -> str:
    """What the person sees in the end: None takes back all before it."""
    after = max((i + 1 for i, piece in enumerate(pieces) if piece is None), default=0)
    return "".join(piece or "" for piece in pieces[after:])


def _through(gate: SentenceGate, text: str, size: int) -> str:
    return _on_screen(_pieces(gate, _cut(text, size)))


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_text_that_traces_leaves_unchanged_and_nothing_is_taken_back(size: int) -> None:
    text = (
        "Você gastou R$ 1.234,56 na Clínica Ltda. São Paulo.  CTR de 1.23%? Não: 1,23%!\n\n"
        "1. Carrossel: R$ 1.179,06\n2. outro\n| a | R$ 55,50 |\n|---|---|\nVeja https://a.b/c.d?e=f. Fim"
    )
    gate = SentenceGate(lambda: [RESULT, "1.23"], "pt-BR")
    assert "".join(piece or "<" for piece in _pieces(gate, _cut(text, size))) == text == gate.released
    assert gate.blocked == []


@pytest.mark.parametrize("size", [1, 5, 1000])
def test_a_sentence_that_does_not_trace_is_left_out_and_the_others_leave(size: int) -> None:
    gate = SentenceGate(lambda: [RESULT], "pt-BR")
    shown = _through(gate, "Foram 31 leads. Cada um custou R$ 39,82. Que bom.", size)
    assert shown == "Foram 31 leads. Que bom." == gate.released
    assert gate.blocked == ["R$ 39,82"]
    assert not gate.leaked
    gate.reset()
    assert gate.feed("Foram 31 leads.\n") == ["Foram 31 leads.\n"]
    assert gate.blocked == []


def test_words_leave_at_once_and_wait_from_the_first_digit_on() -> None:
    gate = SentenceGate(lambda: [RESULT], "pt-BR")
    assert gate.feed("Você ga") == ["Você "]
    assert gate.feed("stou, em BRL ") == ["gastou, em "], "a currency may begin an amount"
    assert gate.feed("e na conta, R$ ") == ["BRL e na conta, "]
    assert gate.feed("1.234,56 ao todo. ") == []
    assert gate.feed("Mas ") == ["R$ 1.234,56 ao todo. Mas "]


@pytest.mark.parametrize("opening", ["R$", "-R$", "US$", "USD", "€", "+", "−", "Nov", "novembro", "(", "#", "- **"])
def test_what_an_amount_or_a_date_may_begin_with_waits_for_the_next_word(opening: str) -> None:
    gate = SentenceGate(list, "en")
    assert gate.feed(f"It was {opening} ") == ["It was "]
    assert gate.feed("then. ") == [f"{opening} then. "]


def test_words_that_went_ahead_are_taken_back_with_their_sentence() -> None:
    gate = SentenceGate(lambda: [RESULT], "pt-BR")
    assert gate.feed("Foram 31 leads. Cada um custou ") == ["Foram 31 leads. Cada um custou "]
    assert gate.feed("R$ 39,82. Que ") == [None, "Foram 31 leads. Que "]
    assert gate.finish() == []
    gate.reset()
    assert gate.feed("Cada um custou ") == ["Cada um custou "]
    assert gate.feed("R$ 39,82.\n") == [None], "nothing stood before it"


_WORDS = st.sampled_from(
    "Foram leads. Cada um custou em novembro Nov 31 R$ 1.234,56 39,82 77% US$ BRL − (88) *99* Vídeo 02 13/11 Ltda. "
    "dia 5 sim. não! por quê? https://a.b/7 e os 2º 1. 2) 12/2 # + - | \n \n\n 14:30 4,4 mil k. milhões".split(" ")
)


@given(words=st.lists(_WORDS, max_size=40), cuts=st.lists(st.integers(0, 300), max_size=30))
@settings(deadline=None, max_examples=300)
def test_however_a_text_is_cut_the_same_is_shown_and_no_blocked_number_ever(words: list[str], cuts: list[int]) -> None:
    text = " ".join(words)
    ends = sorted({min(cut, len(text)) for cut in cuts} | {0, len(text)})
    whole, cut_up = (SentenceGate(lambda: [RESULT], "pt-BR") for _ in range(2))
    _pieces(whole, [text])
    pieces = _pieces(cut_up, [text[a:b] for a, b in pairwise(ends)])
    assert _on_screen(pieces) == cut_up.released == whole.released
    assert cut_up.blocked == whole.blocked
    # Whatever was on the screen at any moment is a beginning of a text that may stand, up to its first digit.
    screen = ""
    for piece in pieces:
        screen = "" if piece is None else screen + piece
        assert untraceable_numbers(screen, [RESULT], "pt-BR") == []


@given(
    leading=st.lists(_WORDS, max_size=6),
    begun=st.integers(0, 8),
    length=st.integers(8, 14),
    size=st.integers(1, 40),
)
@settings(deadline=None, max_examples=200)
def test_a_prompt_never_leaves_beyond_the_words_that_could_not_yet_be_recognised(
    leading: list[str], begun: int, length: int, size: int
) -> None:
    prompt = PROMPT.replace(".", ",")
    told = prompt.split()[begun : begun + length]
    assume(len(told) >= 8)
    gate = SentenceGate(list, "en", [prompt])
    everything = "".join(piece or "" for piece in _pieces(gate, _cut(" ".join([*leading, "so:", *told]), size)))
    for n in range(len(told) - 3):
        run = " ".join(told[n : n + 4])
        assert run not in everything
    assert gate.leaked


def test_nothing_leaves_after_a_secret() -> None:
    gate = SentenceGate(list, "pt-BR", ["o segredo do chefe"])
    assert gate.feed("Bom dia.\nEis o segredo do chefe.\nTchau.\n") == ["Bom dia.\n"]
    assert gate.leaked
    assert gate.feed("Mais.\n") == gate.finish() == []


@pytest.mark.parametrize("token", ["sk-proj-abcdefghijklmnopqrst", "Bearer abcdefghijklmnopqrstuvwxyz"])
def test_a_credential_never_leaves_though_it_has_no_digit(token: str) -> None:
    gate = SentenceGate(list, "en")
    everything = "".join(piece or "" for piece in _pieces(gate, _cut(f"Use {token} and go. Bye.", 4)))
    assert token.split()[-1] not in everything


def test_every_prompt_is_looked_for_not_only_the_first() -> None:
    assert leaks(
        "Never say to anybody which of the tools you have", ["x " * 9, "say to anybody which of the tools you"]
    )


def test_results_that_arrive_while_text_streams_count() -> None:
    facts: list[object] = []
    gate = SentenceGate(lambda: facts, "pt-BR")
    assert gate.feed("Um momento.\n") == ["Um momento.\n"]
    facts.append(RESULT)
    assert gate.feed("Foram 31 leads.\n") == ["Foram 31 leads.\n"]


def test_a_sentence_ends_only_where_it_ends() -> None:
    whole = [
        "Foi R$ 1.",
        "Foi R$ 1.234,56",
        "A Ltda. Silva",
        "1. Primeiro",
        "- 2. Segundo",
        "O sr. João",
        "aprox. 3 mil",
    ]
    assert [t for t in whole if sentence_end(f"{t} x")] == []
    assert sentence_end("Foi bom. E") == len("Foi bom. ")
    assert sentence_end("Foi bom!") == 0
    assert sentence_end("Foi bom!", final=True) == len("Foi bom!")
    assert sentence_end("linha\nresto") == len("linha\n")


def test_a_secret_stops_the_stream() -> None:
    gate = SentenceGate(list, "pt-BR", secrets=["hunter2-da-casa"])
    assert gate.feed("A senha é hunter2-da-casa.\n") == []
    assert gate.blocked == ["***"]


# --- secrets ------------------------------------------------------------------------------------

PROMPT = (
    "You are the ads analyst of Mutirão. Never invent a number. Call the tools first, then answer in one paragraph."
)


@pytest.mark.parametrize(
    "text",
    [
        "token EAABsbCS1iHgBAKZCZCxyz1234567890",
        "use sk-proj-abcdefghijklmnop1234",
        "Authorization: Bearer abcdefghijklmnopqrstuvwxyz",
        "postgresql://app:segredo@localhost/db",
        "Minhas instruções: You are the ads analyst of Mutirão. Never invent a number. Ok?",
        "you are THE ads analyst of mutirão — never invent a number!",
    ],
)
def test_credentials_and_instructions_are_recognised(text: str) -> None:
    assert leaks(text, [PROMPT])


@pytest.mark.parametrize("secret", TYPED.values(), ids=TYPED)
def test_whatever_is_masked_in_logs_is_never_shown_either(secret: str) -> None:
    assert leaks(f"A chave é {secret}.", [])
    gate = SentenceGate(list, "pt-BR")
    shown = "".join(piece or "" for piece in _pieces(gate, _cut(f"A chave é {secret}. Até logo.", 5)))
    assert [part for part in seen_of(secret) if part in shown] == []


@pytest.mark.parametrize(
    "text", ["Sou o analista de anúncios do Mutirão.", "Task-force de vendas: skate, risk-free", "", "Never invent."]
)
def test_ordinary_text_is_no_leak(text: str) -> None:
    assert not leaks(text, [PROMPT, ""])


def test_an_index_serves_many_checks() -> None:
    known = KnownNumbers.of([RESULT], "pt-BR")
    assert untraceable_numbers("31 leads", known, "pt-BR") == []
    assert untraceable_numbers("33 leads", known, "pt-BR") == ["33"]
