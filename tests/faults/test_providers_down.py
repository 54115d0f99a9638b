"""Every provider of models is away: people get the playbooks' answers, and the providers are left alone until they
come back. How long it takes is measured by `python -m bench.providers_down`, not here."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from core.clock import FixedClock
from core.door import IncomingMessage, Reply
from core.ids import new_id
from core.postgres import Postgres
from core.tenancy import Role
from core.turn import silent
from evals.stand_in import Answer, StandIn, Unreachable
from llm.router import Router
from tests.conftest import free_port, fresh_database
from tests.faults.conftest import Provider, keyed
from tests.journeys.conftest import House, OpenHouse, houses

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUESTION = "Quanto gastei ontem?"
UNSURE = "e aí, o resultado por favor"
CALL = ("ads_report", {"period": "ontem"})
WORDS = "As duas contas foram bem; o que mais pesou está na tabela."
PEOPLE = 50
PROVIDERS = ("anthropic", "openai", "google")
LIMITS: dict[str, Any] = {"model_time_scale": 0.05, "model_deadline_seconds": 200}
"""8 s of silence are 0.4 s. The deadline is 10 s: on a slow machine 1.5 s can be over before the last was asked."""


@dataclass
class Street:
    """Houses on one database and one sandbox, and what one without any model answers."""

    open_house: OpenHouse
    text: str
    tables: str
    down: str
    """The sentence that says that no model answered."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def street(server: Postgres, learnt: Path) -> AsyncIterator[Street]:
    with fresh_database(server) as dsns:
        async with houses(dsns, FixedClock()) as open_house:
            house = await open_house()
            reply = await house.ask(QUESTION)
            no_model, models_down = (
                house.services.texts.say("pt-BR", f"turn.{key}") for key in ("no_model", "models_down")
            )
            assert no_model in reply.text
            yield Street(open_house, reply.text.replace(no_model, models_down), str(reply.tables), models_down)


@pytest.fixture
def away(request: pytest.FixtureRequest) -> Iterator[dict[str, Provider]]:
    """The providers, all away in the same way for the whole test."""
    with ExitStack() as stack:

        def one() -> Provider:
            if request.param == "refused":
                return stack.enter_context(Unreachable("refused"))
            answer = Answer(status=500) if request.param == "500" else Answer(hangs=True)
            return stack.enter_context(StandIn(lambda _: answer))

        yield {name: one() for name in PROVIDERS}


def settings(providers: dict[str, Provider]) -> dict[str, Any]:
    return {name: value for wire, server in providers.items() for name, value in keyed(wire, server).items()}


async def wave(house: House, people: int = PEOPLE) -> list[Reply]:
    """The replies of so many turns at once, each in a conversation of its own."""
    who = await house.person()
    messages = [IncomingMessage(who, new_id("conv"), QUESTION, "chat") for _ in range(people)]
    return await asyncio.gather(*(house.services.handle(message, silent) for message in messages))


@pytest.mark.parametrize("away", ["refused", "500", "hanging"], indirect=True)
async def test_fifty_people_get_the_playbooks_answer_marked_and_with_the_right_numbers(
    street: Street, away: dict[str, Provider]
) -> None:
    house = await street.open_house(**settings(away), **LIMITS, model_breaker_seconds=86_400)

    replies = await wave(house)

    assert {reply.ended for reply in replies} == {"done"}
    assert {reply.text for reply in replies} == {street.text}, "what rules say without models, and that none answered"
    assert {str(reply.tables) for reply in replies} == {street.tables}
    assert {str(reply.usage.models) for reply in replies} == {"[]"}
    tried = [len(server.seen) for server in away.values()]
    if any(isinstance(server, StandIn) for server in away.values()):
        assert all(1 <= count <= PEOPLE + 4 for count in tried), f"four failures, and then who asked meanwhile: {tried}"

    replies = await wave(house, 5)

    assert {reply.ended for reply in replies} == {"done"}
    assert [len(server.seen) for server in away.values()] == tried, "the breakers are open: nobody is asked"
    assert {reply.usage.model_calls for reply in replies} == {0}
    assert {reply.text for reply in replies} == {street.text}


SCALE = 0.15
"""Of all times below: 8 s of silence are 1.2 s, the turn's 90 s are 13.5 s."""


async def house_over(street: Street, providers: dict[str, StandIn], own: StandIn | None = None) -> House:
    """A house in which the time of turns and models is scaled alike, and nothing has to be imported or learned."""
    keys = settings(dict(providers))
    if own is not None:
        keys |= {"compatible_base_url": own.openai_url, "compatible_model": "some-model"}
    house: House = await street.open_house(**keys, model_time_scale=SCALE, turn_max_seconds=90 * SCALE)
    router = Router.from_settings(house.services.settings)
    await router.warm()
    await router.close()
    await house.ask("Olá!")
    return house


@pytest.mark.parametrize("links", [3, 4])
async def test_one_person_over_silent_providers_asks_each_once_and_gets_the_playbooks_answer(
    street: Street, links: int
) -> None:
    with ExitStack() as stack:
        silents = [stack.enter_context(StandIn(lambda _: Answer(hangs=True))) for _ in range(links)]
        own = silents[3] if links == 4 else None
        house = await house_over(street, dict(zip(PROVIDERS, silents, strict=False)), own)
        assert not any(server.seen for server in silents), "a greeting needs no model"

        reply = await house.ask(QUESTION)

        assert (reply.ended, reply.text, str(reply.tables)) == ("done", street.text, street.tables)
        assert [len(server.seen) for server in silents] == [1] * links
        assert reply.usage.model_calls == links


async def test_the_route_is_asked_of_other_models_than_the_crews_and_each_of_them_once(street: Street) -> None:
    with ExitStack() as stack:
        silents = {name: stack.enter_context(StandIn(lambda _: Answer(hangs=True))) for name in PROVIDERS[:2]}
        house = await house_over(street, silents)

        reply = await house.ask(UNSURE)

        assert reply.ended == "done"
        assert reply.route[0]["to"] == "ads"
        asked = {name: [seen.model for seen in server.seen] for name, server in silents.items()}
        assert [len(set(models)) for models in asked.values()] == [2, 2], "the router's model and the analyst's"
        assert [len(models) for models in asked.values()] == [2, 2]
        assert street.down in reply.text


async def test_who_may_change_the_settings_reads_that_a_key_is_refused_and_others_do_not(street: Street) -> None:
    with ExitStack() as stack:
        refusing = {
            name: stack.enter_context(StandIn(lambda _: Answer(status=401))) for name in ("anthropic", "openai")
        }
        house = await street.open_house(**settings(dict(refusing)), model_breaker_failures=3)
        told = [(await house.ask(QUESTION)).text for _ in range(4)]
        assert [len(server.seen) for server in refusing.values()] == [3, 3], "once a turn, until the breakers are open"
        others = (await house.ask(QUESTION, role=Role.DIRETOR)).text

    sentence = house.services.texts.say("pt-BR", "turn.keys_refused", keys="anthropic (401), openai (401)")
    assert all(sentence in text for text in told), "also while the breakers are open"
    assert sentence not in others
    assert street.down in others


async def test_when_a_provider_comes_back_the_next_turns_are_answered_by_it(street: Street) -> None:
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    house = await street.open_house(anthropic_api_key="a-key", anthropic_base_url=address, model_breaker_seconds=1)
    for _ in range(6):
        assert (await house.ask(QUESTION)).usage.models == []
    answers = iter([Answer(calls=[CALL]), Answer(WORDS)])
    with StandIn(lambda _: next(answers), port) as server:
        async with asyncio.timeout(30):
            while not (reply := await house.ask(QUESTION)).usage.models:
                pass
        assert len(server.seen) == 2
    assert reply.text.startswith(WORDS)
    assert reply.usage.models == ["anthropic/claude-sonnet-4-6"]
