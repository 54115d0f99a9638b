"""Crews that are declared, not coded: routed to, talked to, and side by side in one turn."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from app import open_services
from channels.services import Services
from core.door import IncomingMessage, Reply
from core.ids import new_id
from core.settings import Settings
from core.tenancy import Role
from core.turn import Event, TextChunk, TextWithdrawn
from crews.registry import CrewEntry
from crews.specialist import Specialist
from evals.stand_in import Answer, Seen, StandIn
from tests.conftest import Dsns

SERVES = {"prospector": ("hunter.search",), "writer": ("planned.content",)}
SAYS = {
    "prospector": "Achei padarias boas em Recife.",
    "writer": "Segue o post pedido. Ele rende R$ 987,65 por dia! Fim do post que você pediu hoje.",
}
BOTH = "Encontra padarias em Recife. Escreve um post sobre pão para o Instagram."


def _by_prompt(seen: Seen) -> Answer:
    return next(Answer(text) for name, text in SAYS.items() if f"Você é {name}" in str(seen.body["messages"][0]))


@pytest.fixture
async def services(dsns: Dsns, tmp_path: Path) -> AsyncIterator[Services]:
    crews = []
    for name, served in SERVES.items():
        (tmp_path / f"{name}.pt-BR.md").write_text(f"Você é {name}.", encoding="utf-8")
        crew = Specialist(name=name, role="content_writer", prompt=name)
        crews.append(CrewEntry(name, "ads", [], crew.run, [name], [], served))
    async with AsyncExitStack() as stack:
        model = stack.enter_context(StandIn(_by_prompt))
        settings = Settings(
            data_dir=tmp_path / "var",
            database_owner_url=dsns.owner,
            database_url=dsns.app,
            model="openai/gpt-4o-mini",
            openai_api_key="sk-stand-in",
            openai_base_url=model.openai_url,
        )
        opened = open_services(settings, graph_url="http://127.0.0.1:9", crews=crews, prompt_folders=[tmp_path])
        yield await stack.enter_async_context(opened)


async def _ask(services: Services, text: str) -> tuple[Reply, list[str], str]:
    """The reply, every state of the screen, and the last."""
    screens = [""]

    def watch(event: Event) -> None:
        if isinstance(event, TextChunk):
            screens.append(screens[-1] + event.text)
        elif isinstance(event, TextWithdrawn):
            screens.append("")

    tenant = await services.people.tenant(None)
    person = await services.people.identity_by_role(tenant.id, Role.ADMIN)
    reply = await services.handle(IncomingMessage(person, new_id("conv"), text, "chat"), watch)
    return reply, screens, screens[-1]


async def test_two_crews_answer_in_one_turn_and_what_is_taken_back_of_one_leaves_the_other(services: Services) -> None:
    reply, screens, last = await _ask(services, BOTH)
    assert [part["to"] for part in reply.route] == ["prospector", "writer"]
    assert reply.ended == "done"
    assert reply.text.startswith(f"{SAYS['prospector']}\n\nSegue o post pedido. Fim do post que você pediu hoje.")
    assert any(screen.endswith("Ele rende ") for screen in screens), "words go ahead"
    assert not any("987" in screen for screen in screens), "a number that was not measured is never seen"
    assert last == f"{SAYS['prospector']}\n\nSegue o post pedido. Fim do post que você pediu hoje."


async def test_what_no_crew_serves_is_still_the_supervisors(services: Services) -> None:
    reply, _, _ = await _ask(services, "oi, bom dia!")
    assert [part["to"] for part in reply.route] == ["talk"]
    reply, _, _ = await _ask(services, "Como foram minhas campanhas nos últimos 7 dias?")
    assert [part["to"] for part in reply.route] == ["talk"], "the ads crew is not among these"
    assert reply.ended == "done"
