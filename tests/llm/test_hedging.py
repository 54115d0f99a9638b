"""A second model beside a slow first one: who is asked when, who answers, what becomes of the other."""

import asyncio
from collections.abc import AsyncGenerator, Callable

import pytest

from core.errors import Refused
from core.turn import Turn
from evals.stand_in import Answer, Seen, StandIn
from llm.breaker import Breakers
from llm.catalog import Model, load_catalog
from llm.hedging import FirstSigns
from llm.messages import ModelAnswer, ModelRequest, Usage
from llm.providers import Finished
from llm.questions import RouterLimits
from llm.router import Router
from tests.llm.conftest import MakeRouter, Serve, SpendPlaybook, new_turn, question

QUICK = Answer("Gastou R$ 12,34.")
SLOW = Answer("Gastou, mas devagar.", latency=60)
MODEL = "openai/some-model"
TALK = question(role="router", tools=[])
"""The router's chain is openai, anthropic, google."""


def after(quick: int, then: Answer) -> Callable[[Seen], Answer]:
    """Quick answers, so many; then always the other."""
    answers = iter([QUICK] * quick)
    return lambda _: next(answers, then)


async def accustomed(router: Router, times: int = 20) -> None:
    """Let the router see how quick the first model is."""
    for _ in range(times):
        assert (await router.complete(new_turn(), TALK, playbook=None)).provider == "openai"


async def gone(server: StandIn, requests: int) -> bool:
    return await asyncio.to_thread(server.wait_until, lambda s: len(s.left) == requests)


class Shown:
    def __init__(self) -> None:
        self.pieces: list[str | None] = []

    def __call__(self, piece: str | None) -> None:
        self.pieces.append(piece)


async def ask(router: Router, turn: Turn, shown: Shown | None = None) -> ModelAnswer:
    return await asyncio.wait_for(router.complete(turn, TALK, playbook=None, on_text=shown), 30)


async def test_a_model_slower_than_its_own_p95_is_given_up_for_one_that_begins(
    serve: Serve, make_router: MakeRouter
) -> None:
    slow, other = serve(after(20, SLOW)), serve(QUICK)
    router = make_router(openai=slow, anthropic=other, model_hedging=True, model_first_byte_seconds=60)
    await accustomed(router)
    turn, shown = new_turn(), Shown()
    answer = await ask(router, turn, shown)
    assert (answer.provider, answer.text) == ("anthropic", QUICK.text)
    assert "".join(piece or "" for piece in shown.pieces) == QUICK.text
    assert None not in shown.pieces
    assert await gone(slow, 1), "its HTTP request is closed"
    given_up, answered = sorted(turn.model_calls, key=lambda call: call.link)
    assert (given_up.failure or "").startswith("given_up: openai/")
    assert (given_up.hedge, given_up.estimated, given_up.link) == (False, True, 0)
    assert given_up.prompt_tokens > 0 and given_up.cost_usd, "its prompt was sent and will be charged"
    assert (answered.failure, answered.hedge, answered.estimated, answered.link) == (None, True, False, 1)
    assert turn.cost_usd == given_up.cost_usd + (answered.cost_usd or 0)
    assert set(router.states().values()) == {"closed"}, "being slower than another is no failure"


async def test_of_two_that_were_asked_the_first_to_begin_answers(serve: Serve, make_router: MakeRouter) -> None:
    slow = serve(after(20, Answer("Demorei um pouco.", latency=1.5)))
    slower = serve(SLOW)
    router = make_router(openai=slow, anthropic=slower, model_hedging=True, model_first_byte_seconds=60)
    await accustomed(router)
    turn, shown = new_turn(), Shown()
    assert (await ask(router, turn, shown)).text == "Demorei um pouco."
    assert len(slower.seen) == 1
    assert await gone(slower, 1)
    assert None not in shown.pieces
    assert {(call.provider, call.hedge, call.failure is None) for call in turn.model_calls} == {
        ("openai", False, True),
        ("anthropic", True, False),
    }


class AtOnce:
    """Answers at once so many times, then not before `go`: no server on a wire can begin two answers at one moment."""

    def __init__(self, go: asyncio.Event, quick: int) -> None:
        self._go, self._quick = go, quick

    async def ready(self) -> None: ...

    async def stream(self, model: Model, request: ModelRequest) -> AsyncGenerator[str | Finished, None]:
        self._quick -= 1
        if self._quick < 0:
            await self._go.wait()
        yield ""
        yield "Sim."
        yield Finished([], Usage(100, 2))

    async def listed(self) -> None: ...

    async def close(self) -> None: ...


async def test_the_prompt_of_one_that_began_at_the_same_moment_and_was_not_needed_is_counted() -> None:
    go = asyncio.Event()
    providers = {"openai": AtOnce(go, 20), "anthropic": AtOnce(go, 0)}
    router = Router(load_catalog(), providers, RouterLimits(hedging=True), breakers=Breakers())
    await accustomed(router)
    turn = new_turn()
    asyncio.get_running_loop().call_later(0.3, go.set)
    await ask(router, turn)
    [not_needed] = [call for call in turn.model_calls if call.failure]
    assert (not_needed.failure or "").startswith("given_up: ") and not_needed.first_seconds
    assert not_needed.prompt_tokens > 0 and not_needed.cost_usd
    await router.close()


async def test_a_second_model_that_fails_leaves_the_answer_to_the_first(serve: Serve, make_router: MakeRouter) -> None:
    slow, broken = serve(after(20, Answer("Demorei.", latency=1.5))), serve(Answer(status=500))
    router = make_router(openai=slow, anthropic=broken, model_hedging=True)
    await accustomed(router)
    turn = new_turn()
    assert (await ask(router, turn)).text == "Demorei."
    assert [call.failure is None for call in turn.model_calls] == [False, True]


async def test_a_first_model_that_fails_late_leaves_the_answer_to_the_second(
    serve: Serve, make_router: MakeRouter
) -> None:
    late, other = serve(after(20, Answer(status=500, latency=1.0))), serve(Answer("Eu sei.", latency=2.5))
    router = make_router(openai=late, anthropic=other, model_hedging=True)
    await accustomed(router)
    assert (await ask(router, new_turn())).text == "Eu sei."
    assert len(other.seen) == 1


async def test_when_the_one_that_began_first_breaks_off_the_slower_one_is_asked_again(
    serve: Serve, make_router: MakeRouter
) -> None:
    answers = iter([QUICK] * 20 + [SLOW])
    slow = serve(lambda _: next(answers, Answer("Agora sim.")))
    breaking = serve(Answer("Você gastou R$ 99", cut_after=4))
    router = make_router(openai=slow, anthropic=breaking, model_hedging=True, model_first_byte_seconds=60)
    await accustomed(router)
    shown = Shown()
    assert (await ask(router, new_turn(), shown)).text == "Agora sim."
    assert "".join(piece or "" for piece in shown.pieces[shown.pieces.index(None) :]) == "Agora sim."


@pytest.mark.parametrize(("hedging", "times"), [(False, 20), (True, 19)])
async def test_nobody_else_is_asked_without_the_setting_or_before_twenty_answers_are_known(
    hedging: bool, times: int, serve: Serve, make_router: MakeRouter
) -> None:
    slow, other = serve(after(times, Answer("Demorei.", latency=0.5))), serve(QUICK)
    router = make_router(openai=slow, anthropic=other, model_hedging=hedging)
    await accustomed(router, times)
    assert (await ask(router, new_turn())).text == "Demorei."
    assert other.seen == []


async def test_a_stopped_turn_ends_both_requests(serve: Serve, make_router: MakeRouter) -> None:
    slow, slower = serve(after(20, SLOW)), serve(SLOW)
    router = make_router(openai=slow, anthropic=slower, model_hedging=True, model_first_byte_seconds=60)
    await accustomed(router)
    turn = new_turn()
    asking = asyncio.ensure_future(router.complete(turn, TALK, playbook=SpendPlaybook()))
    assert await asyncio.to_thread(slower.wait_until, lambda s: len(s.seen) == 1)
    turn.stopped.set()
    with pytest.raises(Refused):
        await asyncio.wait_for(asking, 30)
    assert await gone(slow, 1) and await gone(slower, 1)
    assert len(turn.model_calls) == 2


def test_p95_is_the_nearest_rank_of_the_last_200() -> None:
    signs = FirstSigns()
    for seconds in range(1, 20):
        signs.note(MODEL, seconds)
    assert signs.p95(MODEL) is None
    signs.note(MODEL, 20)
    assert signs.p95(MODEL) == 19
    for seconds in range(1_001, 1_201):
        signs.note(MODEL, seconds)
    assert signs.p95(MODEL) == 1_190
    assert signs.p95("anthropic/other") is None
