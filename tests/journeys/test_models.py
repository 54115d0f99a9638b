"""With a model behind each official library: real tool calls, streamed text, and what happens when it fails."""

import re
from typing import Any

import pytest

from core.turn import TextChunk
from evals.stand_in import Answer, Seen, StandIn
from tests.journeys.conftest import House, OpenHouse

QUESTION = "Como foram minhas campanhas nos últimos 7 dias comparado com os 7 anteriores?"
CALL = ("ads_report", {"period": "últimos 7 dias", "compare_with": "7 anteriores"})
WORDS = "As duas contas foram bem; o que mais pesou está na tabela."


def settings_for(wire: str, server: StandIn) -> dict[str, Any]:
    if wire == "compatible":
        return {"compatible_base_url": server.openai_url, "compatible_model": "some-model"}
    return {f"{wire}_api_key": "a-key", f"{wire}_base_url": server.openai_url if wire == "openai" else server.url}


def shown(house: House) -> str:
    return "".join(event.text for event in house.events if isinstance(event, TextChunk))


@pytest.mark.parametrize("wire", ["openai", "anthropic", "google", "compatible"])
async def test_a_model_asks_for_the_report_and_words_it_in_two_round_trips(open_house: OpenHouse, wire: str) -> None:
    with StandIn([Answer(calls=[CALL]), Answer(WORDS)]) as server:
        house = await open_house(**settings_for(wire, server))
        reply = await house.ask(QUESTION)

        assert len(server.seen) == 2
        assert "analista de anúncios do Mutirão" in str(server.seen[0].body)  # our words, not CrewAI's
        assert "expected criteria" not in str(server.seen[1].body)
    assert reply.text.startswith(WORDS)
    assert "America/Sao_Paulo" in reply.text  # what the numbers are of does not depend on the model
    assert [tool["name"] for tool in reply.tools] == ["ads_report"]
    assert reply.usage.model_calls == 2
    assert reply.usage.prompt_tokens == 200
    assert reply.usage.models and reply.usage.models[0].startswith(f"{wire}/")
    assert reply.tables and reply.charts
    assert shown(house) == WORDS


async def test_a_model_is_told_what_became_of_the_proposals_of_the_conversation(open_house: OpenHouse) -> None:
    """Record dono-com-pressa: after the approval the model could only guess whether the video was paused."""
    pause = ("pause_ad_object", {"target": "Vídeo 03 | Provador", "level": "ad"})
    raised = ("set_ads_budget", {"target": "Remarketing", "amount": 130})
    calls: list[tuple[str, dict[str, Any] | str]] = [pause, raised]
    words = "Deixei as duas propostas prontas."
    with StandIn([Answer(calls=calls), Answer(words), Answer("Sim, já está."), Answer("De nada.")]) as server:
        house = await open_house(**settings_for("openai", server))
        first = await house.ask("pausa o Vídeo 03 e põe o orçamento da Remarketing em R$ 130")
        await house.services.approvals.approve(await house.person(), first.proposals[0].id, door="chat")
        await house.ask("o vídeo 03 está pausado?", first.conversation_id)
        before, after = ([m for m in one.body["messages"] if m["role"] == "user"][-1] for one in server.seen[1:3])
    assert "Propostas desta conversa" not in str(before["content"])
    assert (
        'Propostas desta conversa: Pausar o anúncio "Vídeo 03 | Provador" (executada); '
        'Aumentar o orçamento de "[VENDAS] Remarketing | Carrinho abandonado" para R$ 130,00 (esperando aprovação)\n'
    ) in str(after["content"])


async def test_what_was_neither_sent_nor_prepared_is_not_said_to_be(open_house: OpenHouse) -> None:
    """Played owner-and-orders: "I sent Paul the message" above a card that waited, and a card that was not there."""
    pause = ("pause_ad_object", {"target": "Vídeo 03 | Provador", "level": "ad"})
    script = [
        Answer("Gastou pouco. Preparei a mensagem para a Kate Moore; ela espera o seu sim."),
        Answer(calls=[pause]),
        Answer("Preparei a pausa, que espera a sua aprovação. Também enviei o aviso ao cliente."),
        Answer("A pausa ainda espera a sua aprovação. O aviso diz: “Já enviei o comprovante.”"),
    ]
    with StandIn(script) as server:
        house = await open_house(**settings_for("openai", server))
        first = await house.ask("o que devo pausar?")
        assert "Gastou pouco." in first.text and "Não preparei nada" in first.text
        assert "Kate Moore" not in first.text and first.proposals == []
        second = await house.ask("pausa o Vídeo 03", first.conversation_id)
        assert "Preparei a pausa, que espera a sua aprovação." in second.text and len(second.proposals) == 1
        assert "enviei" not in second.text and "Nada foi enviado" in second.text
        third = await house.ask("o vídeo 03 está pausado?", first.conversation_id)
        assert "espera a sua aprovação. O aviso diz: “Já enviei o comprovante.”" in third.text


async def test_small_talk_needs_no_model(open_house: OpenHouse) -> None:
    with StandIn([]) as server:
        house = await open_house(**settings_for("openai", server))
        reply = await house.ask("oi, bom dia!")
        assert server.seen == []
    assert reply.usage.model_calls == 0


async def test_a_provider_that_answers_500_is_followed_by_the_next(open_house: OpenHouse) -> None:
    with StandIn([Answer(status=500)] * 9) as broken, StandIn([Answer(calls=[CALL]), Answer(WORDS)]) as whole:
        house = await open_house(**settings_for("anthropic", whole), **settings_for("openai", broken))
        reply = await house.ask(QUESTION)
        assert broken.seen or whole.seen
        assert len(whole.seen) == 2
    assert reply.text.startswith(WORDS)
    assert all(model.startswith("anthropic/") for model in reply.usage.models)


async def test_when_every_provider_fails_the_playbook_answers_and_says_so(open_house: OpenHouse) -> None:
    with StandIn([Answer(status=500)] * 20) as broken:
        house = await open_house(**settings_for("openai", broken))
        reply = await house.ask(QUESTION)
    assert "Loja Aurora" in reply.text
    assert "R$" in reply.text
    assert "Nenhum modelo de IA respondeu" in reply.text
    assert reply.usage.models == []


async def test_a_number_that_no_tool_gave_does_not_leave(open_house: OpenHouse) -> None:
    invented = "Foi ótimo: você vendeu 1.234.567 reais e o ROAS foi 98,76."
    with StandIn([Answer(calls=[CALL]), Answer(invented)]) as server:
        house = await open_house(**settings_for("openai", server))
        reply = await house.ask(QUESTION)
    assert "1.234.567" not in reply.text
    assert "98,76" not in reply.text
    assert "1.234.567" not in shown(house)
    assert "Loja Aurora" in reply.text  # the same results, in the playbook's words


async def test_a_number_of_the_results_leaves_as_the_model_wrote_it(open_house: OpenHouse) -> None:
    def script(seen: Seen) -> Answer:
        results = [m["content"] for m in seen.body["messages"] if m["role"] == "tool"]
        if not results:
            return Answer(calls=[CALL])
        spend = re.search(r'"spend":\[([\d.]+)', results[0])
        assert spend
        whole, _, cents = spend[1].partition(".")
        return Answer(f"O gasto foi de R$ {int(whole):,}".replace(",", ".") + f",{cents:0<2}.")

    with StandIn(script) as server:
        house = await open_house(**settings_for("openai", server))
        reply = await house.ask(QUESTION)
    assert reply.text.startswith("O gasto foi de R$ ")


async def test_a_model_that_calls_tools_for_ever_is_stopped_and_the_user_gets_what_is_there(
    open_house: OpenHouse,
) -> None:
    count = 0

    def script(_: Seen) -> Answer:
        nonlocal count
        count += 1
        return Answer(calls=[("ads_report", {"period": "ontem", "limit": count % 20 + 1})])

    with StandIn(script) as server:
        house = await open_house(**settings_for("openai", server), turn_max_model_calls=4)
        reply = await house.ask(QUESTION)
        assert len(server.seen) <= 4
    assert "limite" in reply.text
    assert "Loja Aurora" in reply.text


async def test_a_turn_that_ends_at_its_limit_with_nothing_to_show_does_not_point_above(open_house: OpenHouse) -> None:
    house = await open_house(turn_max_seconds=0.001)
    reply = await house.ask("Quanto gastei ontem?")
    say = house.services.texts.say
    assert reply.ended == "limit:seconds"
    assert reply.text == say("pt-BR", "turn.limit", limit="seconds", above=False)
    assert "acima" not in reply.text
    assert "acima" in say("pt-BR", "turn.limit", limit="seconds", above=True)
