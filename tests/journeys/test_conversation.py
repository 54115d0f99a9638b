"""One conversation from several places at once, odd messages, a stop, and a stranger."""

import asyncio

import pytest

from business.approvals.model import ProposalState
from core.door import IncomingMessage
from core.errors import ArgumentsWrong, Refused
from core.ids import new_id
from core.tenancy import Role
from core.turn import StepStarted
from evals.stand_in import Answer, StandIn
from tests.journeys.conftest import House, OpenHouse


async def test_two_messages_at_once_on_one_conversation_are_both_answered_and_kept(open_house: OpenHouse) -> None:
    # Two houses are two servers on one database: what holds here does not rest on anything in one process.
    one, other = await open_house(), await open_house()
    conversation = new_id("conv")
    first, second = await asyncio.gather(
        one.ask("quanto gastei ontem?", conversation), other.ask("quais contas eu tenho?", conversation)
    )
    assert "R$" in first.text
    assert "Loja Aurora" in second.text
    said = await one.services.conversations.said(one.tenant_id, conversation, last=10)
    assert sorted(message.role for message in said) == ["assistant", "assistant", "user", "user"]
    state = await one.services.conversations.state(one.tenant_id, conversation)
    assert state.session_version == 2


@pytest.mark.parametrize("text", ["", "   \n\t", "\x00\x00"])
async def test_a_message_of_nothing_is_refused_with_a_reason(house: House, text: str) -> None:
    with pytest.raises(ArgumentsWrong) as refused:
        await house.ask(text)
    assert refused.value.code == "message_empty"


async def test_an_odd_id_of_a_conversation_is_refused_with_a_reason(house: House) -> None:
    for conversation in ("c" * 101, "minha conversa", "../etc", "ação"):
        with pytest.raises(ArgumentsWrong) as refused:
            await house.ask("oi", conversation)
        assert refused.value.code == "conversation_malformed"


async def test_a_message_of_64_kb_is_refused_with_a_reason(house: House) -> None:
    with pytest.raises(ArgumentsWrong) as refused:
        await house.ask("gasto " * 11_000)
    assert refused.value.code == "message_too_long"


ODD = ["😀🔥🚀", "quanto gastei ontem?\x00", "quanto \ud800 gastei ontem?", "?" * 5_000, "‮olá"]


@pytest.mark.parametrize("text", ODD)
async def test_odd_characters_get_an_answer_and_are_stored(house: House, text: str) -> None:
    conversation = new_id("conv")
    reply = await house.ask(text, conversation)
    assert reply.ended == "done"
    assert reply.text
    assert len(await house.services.conversations.said(house.tenant_id, conversation, last=9)) == 2


async def test_a_conversation_of_somebody_else_does_not_exist(house: House) -> None:
    conversation = new_id("conv")
    await house.ask("oi", conversation)
    with pytest.raises(Refused) as refused:
        await house.ask("o que ela perguntou?", conversation, Role.DIRETOR)
    assert refused.value.code == "conversation_not_yours"


async def test_stop_ends_the_turn_and_keeps_the_message(open_house: OpenHouse) -> None:
    with StandIn(lambda _: Answer(hangs=True)) as server:
        house = await open_house(openai_api_key="a-key", openai_base_url=server.openai_url)
        conversation, asked = new_id("conv"), asyncio.Event()

        def watch(event: object) -> None:
            if isinstance(event, StepStarted) and event.kind == "model":
                asked.set()

        message = IncomingMessage(await house.person(), conversation, "quanto gastei ontem?", "chat")
        turn = asyncio.ensure_future(house.services.handle(message, watch))
        await asyncio.wait_for(asked.wait(), 60)
        turn.cancel()
        reply = await asyncio.wait_for(turn, 20)
    assert reply.ended == "stopped"
    assert "Parei" in reply.text
    said = await house.services.conversations.said(house.tenant_id, conversation, last=5)
    assert [message.role for message in said] == ["user", "assistant"]


async def test_a_seller_may_propose_but_not_approve(house: House) -> None:
    reply = await house.ask("pausa o anúncio Vídeo 03 | Provador", role=Role.COMERCIAL)
    [card] = reply.proposals
    with pytest.raises(Refused) as refused:
        await house.services.approvals.approve(await house.person(Role.COMERCIAL), card.id, door="chat")
    assert refused.value.code == "approval_not_allowed"
    done = await house.services.approvals.approve(await house.person(Role.DIRETOR), card.id, door="chat")
    assert done.state is ProposalState.EXECUTED
    assert len(await house.writes()) == 1
