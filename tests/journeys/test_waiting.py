"""A message waits for the one before it: whoever stops or runs out of patience gets a closed turn and a sentence."""

import asyncio
from dataclasses import replace

import pytest

from agents.supervisor import Supervisor
from business.approvals.model import ProposalState
from core.db import Database
from core.door import IncomingMessage
from core.errors import Refused
from core.ids import new_id
from core.tenancy import Role
from core.turn import silent
from tests.journeys.conftest import House


async def _turn(house: House, conversation: str) -> tuple[str, str]:
    """The state of the conversation's only turn, and whether its session was written."""
    async with house.services.db.tenant(house.tenant_id) as conn:
        [turn] = await (
            await conn.execute("SELECT state FROM turns WHERE conversation_id = %s", [conversation])
        ).fetchall()
        [kept] = await (
            await conn.execute("SELECT session_version FROM conversations WHERE id = %s", [conversation])
        ).fetchall()
    return turn["state"], "kept" if kept["session_version"] else "untouched"


async def _waits(db: Database, house: House, conversation: str) -> None:
    async with asyncio.timeout(10):
        while True:
            async with db.tenant(house.tenant_id) as conn:
                found = await conn.execute("SELECT 1 FROM turns WHERE conversation_id = %s", [conversation])
                if await found.fetchone():
                    return


async def test_a_stop_while_waiting_closes_the_turn_as_stopped(house: House) -> None:
    db, conversation = house.services.db, new_id("conv")
    async with db.lock(f"conversation:{conversation}"):
        asked = asyncio.create_task(house.ask("Como foi a semana?", conversation))
        await _waits(db, house, conversation)
        asked.cancel()
        reply = await asked
    assert reply.ended == "stopped" and reply.text
    assert await _turn(house, conversation) == ("stopped", "untouched")
    assert (await house.ask("Como foi a semana?", conversation)).ended == "done"


async def test_running_out_of_patience_closes_the_turn_as_failed_with_a_sentence(house: House) -> None:
    supervisor = getattr(house.services.handle, "__self__", None)
    assert isinstance(supervisor, Supervisor)
    hasty, conversation = replace(supervisor, patience=0.1), new_id("conv")
    message = IncomingMessage(await house.person(), conversation, "Como foi a semana?", "chat")
    async with house.services.db.lock(f"conversation:{conversation}"):
        reply = await hasty.handle(message, silent)
    assert reply.ended == "error:busy"
    assert reply.text == house.services.texts.say("pt-BR", "error.busy")
    assert await _turn(house, conversation) == ("failed", "untouched")


async def test_forty_messages_on_one_conversation_keep_neither_an_approval_nor_a_login_waiting(house: House) -> None:
    services, conversation, admin = house.services, new_id("conv"), await house.person()
    card = (await house.ask("Pausa a campanha de remarketing")).proposals[0]
    released = asyncio.Event()

    async def hold() -> None:
        async with services.db.lock(f"conversation:{conversation}"):
            await released.wait()

    holder = asyncio.create_task(hold())
    asked = [asyncio.create_task(house.ask("oi", conversation)) for _ in range(40)]
    async with asyncio.timeout(15):
        approved = await services.approvals.approve(admin, card.id, door="chat")
        who = await house.person(Role.COMERCIAL)
        with pytest.raises(Refused) as told:
            await services.people.login(who.email, "not the password", "127.0.0.1")
    assert (approved.state, told.value.code) == (ProposalState.EXECUTED, "login_wrong")
    released.set()
    await holder
    assert [reply.ended for reply in await asyncio.gather(*asked)] == ["done"] * 40
