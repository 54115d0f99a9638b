"""Which calls the playbook makes of what people write. No model, no database: only the turn."""

from datetime import UTC, datetime
from typing import Any

import pytest

from core.tenancy import Identity, Role
from core.turn import ToolRecord, Turn
from crews.ads.playbook import AdsPlaybook
from crews.ads.words import Words
from crews.contract import CrewTask
from prompts.texts import Texts

ACCOUNTS = [{"id": "act_1", "name": "Loja Aurora"}, {"id": "act_2", "name": "Clínica Vitória"}]
SHOWN = [
    {
        "n": 1,
        "id": "101",
        "name": "[VENDAS] Remarketing | Carrinho abandonado",
        "level": "campaign",
        "account": "act_1",
    },
    {"n": 2, "id": "102", "name": "[VENDAS] Prospecção | Coleção Primavera", "level": "campaign", "account": "act_1"},
    {"n": 3, "id": "103", "name": "Vídeo 03 | Provador", "level": "ad", "account": "act_1"},
]


def playbook(text: str, intent: str, base: str | None = None, **session: Any) -> AdsPlaybook:
    who = Identity("ten_1", "user_1", Role.ADMIN, "Ana", "ana@um.example")
    now = datetime(2026, 11, 20, 15, tzinfo=UTC)
    turn = Turn("turn_1", who, "conv_1", "chat", text, "pt-BR", now, session={"accounts": ACCOUNTS, **session})
    return AdsPlaybook(turn, [CrewTask(intent, text, base)], Words(Texts.load(), "pt-BR"))


def calls(text: str, intent: str, base: str | None = None, **session: Any) -> list[tuple[str, dict[str, Any]]]:
    step = playbook(text, intent, base, **session).next_step()
    return [] if isinstance(step, str) else [(call.name, call.arguments) for call in step]


@pytest.mark.parametrize("intent", ["ads.pause", "ads.resume", "ads.budget", "ads.campaign", "ads.diagnose"])
@pytest.mark.parametrize(
    "text",
    [
        "arquiva a campanha Remarketing",
        "muda o nome da campanha Remarketing para Teste",
        "você pausou a Remarketing?",
        "muda a segmentação da Remarketing",
        "não pausa a Remarketing",
        "should I pause Remarketing?",
        "se o CPA passar de 50 pausa a Remarketing",
        "pausa a Remarketing amanhã",
        "passa 50 reais da Prospecção para a Remarketing",
        "zera o orçamento da Remarketing",
    ],
)
def test_whatever_it_was_routed_as_no_change_is_proposed_that_was_not_asked_for(text: str, intent: str) -> None:
    changing = {"pause_ad_object", "resume_ad_object", "set_ads_budget"}
    assert not changing & {name for name, _ in calls(text, intent, entities=SHOWN, focus=SHOWN[0])}


@pytest.mark.parametrize(
    ("text", "name", "more"),
    [
        ("súbele 15% a esa", "set_ads_budget", {"change_percent": "15"}),
        ("bájale un 10% a esa", "set_ads_budget", {"change_percent": "-10"}),
        ("auméntale R$ 30", "set_ads_budget", {"change_amount": "30"}),
        ("ponle R$ 100 a esa", "set_ads_budget", {"amount": "100"}),
        ("páusala", "pause_ad_object", {}),
        ("reactívala", "resume_ad_object", {}),
    ],
)
@pytest.mark.parametrize("intent", ["ads.budget", "ads.pause", "followup"])
def test_spanish_verbs_with_what_they_act_on_are_understood(
    text: str, name: str, more: dict[str, Any], intent: str
) -> None:
    """Record dueno-con-tropiezos: with the model gone, "súbele 15% a esa" was answered with figures."""
    made = calls(text, intent, "ads.ranking" if intent == "followup" else None, entities=SHOWN[:1], focus=SHOWN[0])
    assert made == [(name, {"target": "101", **more})]


def test_several_objects_are_one_proposal_each() -> None:
    assert calls("pausa Remarketing, Prospecção e Ofertas", "ads.pause") == [
        ("pause_ad_object", {"target": name}) for name in ("Remarketing", "Prospecção", "Ofertas")
    ]
    assert calls("pausa os dois primeiros", "ads.pause", entities=SHOWN) == [
        ("pause_ad_object", {"target": one}) for one in ("101", "102")
    ]


def test_several_amounts_go_to_their_own_objects() -> None:
    text = "aumenta o orçamento da Remarketing em 20% e da Prospecção em 10%"
    assert calls(text, "ads.budget") == [
        ("set_ads_budget", {"target": "Remarketing", "change_percent": "20"}),
        ("set_ads_budget", {"target": "Prospecção", "change_percent": "10"}),
    ]


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("aumenta 20% a Remarketing", {"change_percent": "20"}),
        ("coloca a Remarketing em 130 por dia", {"amount": "130"}),
        ("set Remarketing to 130", {"amount": "130"}),
        ("increase Remarketing budget by $50", {"change_amount": "50"}),
        ("sube el presupuesto de Remarketing a 150 reales", {"amount": "150"}),
        ("dobra o orçamento da Remarketing", {"change_percent": "100"}),
    ],
)
def test_common_ways_to_ask_for_a_budget_are_understood(text: str, arguments: dict[str, str]) -> None:
    assert calls(text, "ads.budget") == [("set_ads_budget", {"target": "Remarketing", **arguments})]


def test_a_name_that_is_not_known_is_never_taken_for_the_object_spoken_of_last() -> None:
    assert calls("pausa Vendas", "ads.pause", focus=SHOWN[0]) == [("pause_ad_object", {"target": "Vendas"})]
    named = calls("aumenta o orçamento da campanha vendas em 10%", "ads.budget", focus=SHOWN[0])
    assert named[0][1]["target"] == "vendas"


@pytest.mark.parametrize("text", ["pausa", "pausa ela", "pausa isso por favor"])
def test_the_object_spoken_of_last_is_meant_by_little_words(text: str) -> None:
    assert calls(text, "ads.pause", focus=SHOWN[0]) == [("pause_ad_object", {"target": "101"})]


@pytest.mark.parametrize("text", ["como foi a remarketing ontem?", "como foi o carrinho abandonado ontem?"])
def test_what_was_shown_is_found_by_a_part_of_its_name_in_small_letters(text: str) -> None:
    assert calls(text, "ads.campaign", entities=SHOWN) == [("ads_report", {"target": "101", "period": "ontem"})]


def test_two_accounts_are_asked_for_each_with_its_own_days() -> None:
    assert calls("loja aurora ontem, clínica vitória hoje", "ads.overview") == [
        ("ads_report", {"account": "act_1", "period": "ontem"}),
        ("ads_report", {"account": "act_2", "period": "hoje"}),
    ]
    assert calls("compara as duas contas", "ads.compare", last_account="act_1") == [("ads_report", {})]


def test_the_worst_after_the_best_is_the_other_end_of_the_same_ranking() -> None:
    ranking = {"level": "campaign", "sort_by": "purchases", "order": "desc", "limit": 5}
    (call,) = calls("e a pior?", "followup", "ads.ranking", ranking=ranking)
    assert call == ("ads_report", {**ranking, "order": "asc"})


def test_the_figure_asked_for_is_asked_of_the_tool() -> None:
    assert calls("qual o CPM ontem?", "ads.overview") == [("ads_report", {"sort_by": "cpm", "period": "ontem"})]


def test_the_answer_to_our_question_completes_the_request_that_waits() -> None:
    asked = playbook("aumenta o orçamento", "ads.budget")
    asked.next_step()
    first = asked.open_question()
    assert first is not None
    named = playbook("da Remarketing", "followup", "ads.budget", open=first)
    assert named.next_step() == named.text()  # now the amount is asked for
    second = named.open_question()
    assert calls("20%", "ads.budget", open=second) == [
        ("set_ads_budget", {"target": "Remarketing", "change_percent": "20"})
    ]


@pytest.mark.parametrize("text", ["como foi a Remarketing ontem?", "quanto gastei", "e ontem"])
def test_a_question_of_its_own_is_no_answer_to_ours(text: str) -> None:
    waiting = {"intent": "ads.pause", "text": "pausa Vendas", "candidates": SHOWN[:2]}
    assert [name for name, _ in calls(text, "ads.overview", open=waiting)] == ["ads_report"]


def test_one_of_the_names_we_offered_is_chosen_by_place_by_level_or_by_a_word() -> None:
    waiting = {"intent": "ads.pause", "text": "pausa Coisa", "candidates": SHOWN}
    for text, meant in (("a segunda", "102"), ("o anúncio", "103"), ("a de carrinho", "101")):
        assert calls(text, "followup", "ads.pause", open=waiting) == [("pause_ad_object", {"target": meant})], text


def test_what_an_analysis_found_is_not_proposed_after_a_no() -> None:
    for text, proposed in (("o que devo pausar?", 1), ("não pausa nada, só me diz o que está ruim", 0)):
        book = playbook(text, "ads.diagnose")
        found = {"findings": [{"id": "103", "suggestion": "pause"}]}
        book._turn.results.append(ToolRecord("ads_diagnose", {}, "READ", {"accounts": [found]}, "account data"))
        step = book._calls(book._parts()[0])[1:]
        assert len(step) == proposed, text
