"""A conversation by Evolution whose server tells of what we send before it answers us: all of it stays the bot's."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from business.messaging.claiming import Claiming
from business.messaging.gateway_clients import evolution_opener
from business.messaging.gateway_doors import EvolutionDoor, hook_keys, secrets_of
from business.messaging.inbox import Received
from business.messaging.outbox import Draft
from business.messaging.sender_evolution import EvolutionSender, option_of
from business.messaging.senders import Sender
from business.messaging.sending import Sending
from business.messaging.templates import Purpose
from core.door import View
from core.files import Files
from core.tenancy import Role
from integrations.evolution.simulator.state import INSTANCE
from integrations.sandbox_http import listen
from integrations.whatsapp_cloud import messages as say
from tests.agents.test_answering import Desk, desk
from tests.business.messaging.chat_house import ChatHouse
from tests.conftest import until
from tests.integrations.evolution.conftest import LEAD, Control, evolution
from tests.integrations.evolution.conftest import _evolution as _evolution

__all__ = ["desk", "evolution"]  # fixtures


@asynccontextmanager
async def hook(house: ChatHouse) -> AsyncIterator[str]:
    """Where the server posts to: what comes is sorted when that is answered."""
    door = EvolutionDoor(secrets_of(house.channels), hook_keys("of this house"))

    async def sorted_at_once(request: Request) -> Response:
        found = door.items(INSTANCE, await request.body(), house.clock.now())
        kept = [Received(f"evolution:{INSTANCE}", one.key, house.id, one.kind, one.item) for one in found]
        await house.inbox.keep(kept)
        await house.sort()
        return Response()

    app, door_bell = Starlette(routes=[Route("/", sorted_at_once, methods=["POST"])]), listen(0)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    serving = asyncio.create_task(server.serve(sockets=[door_bell]))
    await until(lambda: server.started)
    try:
        yield f"http://127.0.0.1:{door_bell.getsockname()[1]}/"
    finally:
        server.should_exit = True
        await serving


async def test_choices_and_files_whose_echo_comes_before_the_answer_stay_the_bots(
    desk: Desk, evolution: Control
) -> None:
    house, begun, before = desk.house, evolution.seen(), len(evolution.get("/__thread", contact=LEAD))
    admin, files = house.who(Role.ADMIN), Files(house.db)
    secrets = {"api_key": evolution.key}
    channel = await house.channels.save(admin, "evolution", INSTANCE, base_url=evolution.url, secrets=secrets)
    async with httpx.AsyncClient(trust_env=False, verify=False) as http, hook(house) as url:
        open_client = evolution_opener(house.channels, http)
        await (await open_client(channel)).set_webhook(url, {})
        evolution.ask("/__config", echo="before")
        senders: dict[str, Sender] = {"evolution": EvolutionSender(open_client)}
        claiming = Claiming(house.clock, house.channels, senders, house.rules.of, house.outbox, house.attempts)
        sending = Sending(
            house.db, house.clock, senders, claiming, house.outbox, house.attempts, house.settling, files=files
        )

        async def leaves() -> dict[str, Any]:
            chat = await house.chat(LEAD)
            await sending.run(house.id, chat["id"])
            house.later(10)  # the pace of one conversation
            return await house.chat(LEAD)

        for words, count in (("quero marcar", 3), ("tem outros?", 5), ("2.", 0)):
            choices = [{"id": f"slot:{n}", "title": f"Terça, {n + 9}h"} for n in range(count)]
            desk.crew.said = f"Sobre {words}: qual horário?"
            desk.crew.views = [View("choices", "", data={"label": "Horários", "choices": choices})] if count else []
            at = house.clock.now().timestamp()
            await asyncio.to_thread(evolution.write, words, at=at)
            await asyncio.to_thread(evolution.settle)
            await desk.due(who=LEAD)
            await desk.run(LEAD)
            chat = await leaves()
            assert (words, chat["held"], chat["waiting_since"]) == (words, "bot", None)

        chosen = desk.crew.turns[-1]
        assert (chosen.text, chosen.session["chat"]["choice"]) == ("Terça, 10h", "slot:1")
        (message,) = await house.rows(
            "SELECT content FROM chat_messages WHERE kind = 'interactive' AND direction = 'in'"
        )
        assert message["content"]["wrote"] == "2."

        pdf = await files.store(admin, b"%PDF-1.4 contrato", name="contrato.pdf", mime="application/pdf")
        document = say.document(say.MediaRef(id=pdf.id), "contrato.pdf")
        async with house.db.tenant(house.id) as conn:
            draft = Draft(Purpose.ANSWER, "file", document, answers=chat["messages_in"], author="bot")
            await house.outbox.put(conn, house.id, chat["id"], draft)
        assert (await leaves())["held"] == "bot"

    rows = await house.rows("SELECT state, external_id FROM outbox ORDER BY seq")
    thread = evolution.get("/__thread", contact=LEAD)[before:]
    ours = [one for one in thread if one["from_me"]]
    assert [(row["state"], row["external_id"]) for row in rows] == [("sent", one["id"]) for one in ours]
    assert len(ours) == 4 and "\n\n1. Terça, 9h\n2. Terça, 10h" in ours[0]["raw"]["message"]["conversation"]
    written = await house.rows("SELECT author, status FROM chat_messages WHERE direction = 'out' ORDER BY seq")
    assert [(row["author"], row["status"]) for row in written] == [("bot", "delivered")] * 4
    assert [one["body"].get("mediatype") for one in evolution.since(begun)][-1] == "document"


@pytest.mark.parametrize(
    ("answer", "place"),
    [
        *(
            (one, 2)
            for one in ("2", " 2. ", "2)", "(2)", "*2*", "2️⃣", "opção 2", "a opção 2", "Número 2!", "la opción 2")
        ),
        ("n° 10", 10),
        *((one, 0) for one in ("0", "11", "2h", "2 pessoas", "às 2", "2 ou 3", "9", "R$ 2", "2%", "", "dois")),
    ],
)
def test_an_option_is_named_by_its_number_alone_and_not_by_an_hour(answer: str, place: int) -> None:
    rows = tuple(say.Row(f"slot:{n}", "ter 24/11 9h" if n == 1 else f"qua 25/11 {n + 9}h") for n in range(1, 11))
    asked = say.option_list("Qual horário?", "Horários", [say.Section(None, rows)]).payload
    expected = (rows[place - 1].id, rows[place - 1].title) if place else None
    assert option_of(asked, answer) == expected
    assert option_of(say.link_button("Entre", "Entrar", "https://ipe.example").payload, answer) is None
