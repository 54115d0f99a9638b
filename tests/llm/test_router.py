"""Down the chain: the next provider on failure, the playbook last, limits and stops on the way."""

import asyncio
import time
from decimal import Decimal

import pytest

from core.errors import Refused, SetupError, Unavailable
from core.turn import Event, StepFinished, StepStarted, Turn
from evals.stand_in import Answer
from llm.errors import ModelFailure
from llm.messages import ToolCall
from tests.llm.conftest import MakeRouter, Serve, SpendPlaybook, new_turn, question


class Shown:
    """What a reader sees: pieces, and what is taken back."""

    def __init__(self) -> None:
        self.text = ""
        self.taken_back = 0

    def __call__(self, piece: str | None) -> None:
        if piece is None:
            self.text, self.taken_back = "", self.taken_back + 1
        else:
            self.text += piece


async def test_a_provider_that_answers_500_falls_to_the_next(serve: Serve, make_router: MakeRouter, turn: Turn) -> None:
    broken, well = serve(Answer(status=500)), serve(Answer("Gastou R$ 12,34."))
    answer = await make_router(anthropic=broken, openai=well).complete(turn, question(), playbook=SpendPlaybook())
    assert (answer.provider, answer.model, answer.text) == ("openai", "gpt-5.6-terra", "Gastou R$ 12,34.")
    assert (len(broken.seen), len(well.seen)) == (1, 1)
    first, second = turn.model_calls
    assert first.failure is not None
    assert first.failure.startswith("unavailable: anthropic/claude-sonnet-4-6 answered 500")
    assert first.cost_usd is None, "what a failed call cost is not known"
    assert second.failure is None
    assert first.prompt_hash == second.prompt_hash != ""


async def test_without_any_provider_the_playbook_answers_and_says_that_no_model_took_part(
    make_router: MakeRouter, turn: Turn
) -> None:
    router, playbook, shown = make_router(), SpendPlaybook(), Shown()
    first = await router.complete(turn, question(), playbook=playbook, on_text=shown)
    assert first.tool_calls == [ToolCall("call_1", "spend", {"days": 7})]
    assert (first.provider, first.model, first.cost_usd) == ("offline", "playbook", Decimal(0))
    second = await router.complete(turn, question(), playbook=playbook, on_text=shown)
    assert second.text == shown.text == "Gastou R$ 12,34."
    assert [(call.provider, call.prompt_tokens) for call in turn.model_calls] == [("offline", 0), ("offline", 0)]


async def test_the_playbook_takes_over_when_every_provider_fails(
    serve: Serve, make_router: MakeRouter, turn: Turn
) -> None:
    servers = [serve(Answer(status=status)) for status in (401, 429, 500)]
    router = make_router(anthropic=servers[0], openai=servers[1], google=servers[2])
    answer = await router.complete(turn, question(), playbook=SpendPlaybook())
    assert answer.provider == "offline"
    kinds = [call.failure.partition(":")[0] for call in turn.model_calls if call.failure]
    assert kinds == ["auth", "rate_limited", "unavailable"]
    assert [len(server.seen) for server in servers] == [1, 1, 1]


async def test_without_a_playbook_every_failure_is_kept(serve: Serve, make_router: MakeRouter, turn: Turn) -> None:
    router = make_router(anthropic=serve(Answer(status=401)), openai=serve(Answer(status=503)))
    with pytest.raises(Unavailable) as failed:
        await router.complete(turn, question(), playbook=None)
    assert failed.value.code == "models_unavailable"
    assert [text.partition(":")[0] for text in failed.value.params["failures"]] == ["auth", "unavailable"]
    assert failed.value.__context__ is None, "CrewAI looks for a 429 in the chain of causes"


async def test_a_provider_that_hangs_is_left_at_its_first_byte_limit(
    serve: Serve, make_router: MakeRouter, turn: Turn
) -> None:
    hanging, well = serve(Answer(hangs=True)), serve(Answer("ok"))
    router = make_router(anthropic=hanging, openai=well, model_first_byte_seconds=0.3)
    await router.warm()
    started = time.monotonic()
    answer = await router.complete(turn, question(), playbook=None)
    assert answer.provider == "openai"
    assert 0.3 <= time.monotonic() - started < 10
    assert (turn.model_calls[0].failure or "").startswith("timeout: anthropic/")
    assert await asyncio.to_thread(hanging.wait_until, lambda server: len(server.left) == 1), "the request is given up"


async def test_a_provider_that_drips_is_left_at_the_deadline_of_the_whole(
    serve: Serve, make_router: MakeRouter, turn: Turn
) -> None:
    dripping, well = serve(Answer("a b c d e f g h i j k l m n o p", pause=0.1)), serve(Answer("ok"))
    router = make_router(anthropic=dripping, openai=well, model_first_byte_seconds=0.3, model_deadline_seconds=0.6)
    await router.warm()
    shown = Shown()
    started = time.monotonic()
    answer = await router.complete(turn, question(), playbook=SpendPlaybook(), on_text=shown)
    assert answer.provider == "offline", "after the deadline no further model is asked"
    assert time.monotonic() - started < 10
    assert (len(well.seen), shown.text) == (0, "")


async def test_text_of_an_answer_that_broke_off_is_taken_back(
    serve: Serve, make_router: MakeRouter, turn: Turn
) -> None:
    cut, well = serve(Answer("Você gastou R$ 99", cut_after=4)), serve(Answer("Gastou R$ 12,34."))
    shown = Shown()
    answer = await make_router(openai=cut, google=well).complete(turn, question(), playbook=None, on_text=shown)
    assert answer.text == shown.text == "Gastou R$ 12,34."
    assert shown.taken_back == 1


async def test_words_before_a_tool_call_are_taken_back(serve: Serve, make_router: MakeRouter, turn: Turn) -> None:
    shown = Shown()
    server = serve(Answer("Vou olhar.", calls=[("spend", {"days": 7})]))
    await make_router(openai=server).complete(turn, question(), playbook=None, on_text=shown)
    assert (shown.text, shown.taken_back) == ("", 1)


async def test_json_that_breaks_off_is_not_passed_on(serve: Serve, make_router: MakeRouter, turn: Turn) -> None:
    cut, well = serve(Answer('{"to": "ad')), serve(Answer('{"to": "ads"}'))
    router = make_router(openai=cut, google=well)
    request = question(role="router", tools=[], response_schema={"type": "object"})
    answer = await router.complete(turn, request, playbook=None)
    assert (answer.provider, answer.text) == ("google", '{"to": "ads"}')


async def test_a_stopped_turn_ends_its_request_at_once(serve: Serve, make_router: MakeRouter, turn: Turn) -> None:
    server = serve(Answer(hangs=True))
    router = make_router(openai=server)
    asking = asyncio.ensure_future(router.complete(turn, question(), playbook=SpendPlaybook()))
    assert await asyncio.to_thread(server.wait_until, lambda s: len(s.seen) == 1)
    turn.stopped.set()
    with pytest.raises(Refused) as stopped:
        await asyncio.wait_for(asking, 10)
    assert stopped.value.code == "turn_stopped"
    assert await asyncio.to_thread(server.wait_until, lambda s: len(s.left) == 1)
    assert [call.failure is None for call in turn.model_calls] == [False]


@pytest.mark.parametrize("provider", ["openai", "anthropic", "google"])
async def test_a_cancelled_caller_ends_its_request(
    provider: str, serve: Serve, make_router: MakeRouter, turn: Turn
) -> None:
    server = serve(Answer("a b c d e f g h", pause=0.5))
    asking = asyncio.ensure_future(
        make_router(**{provider: server}).complete(turn, question(), playbook=SpendPlaybook())
    )
    assert await asyncio.to_thread(server.wait_until, lambda s: len(s.seen) == 1)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert await asyncio.to_thread(server.wait_until, lambda s: len(s.left) == 1)


async def test_doctor_asks_each_provider_once(serve: Serve, make_router: MakeRouter) -> None:
    broken, well = serve(Answer(status=401)), serve(Answer("ok"))
    told = await make_router(anthropic=broken, google=well).check()
    assert told["google"] is None
    assert (told["anthropic"] or "").startswith("auth: anthropic/claude-sonnet-4-6 answered 401")
    assert (len(broken.seen), len(well.seen)) == (1, 1)


async def test_limits_of_the_turn_hold_before_every_attempt(serve: Serve, make_router: MakeRouter) -> None:
    server = serve(Answer("um", prompt_tokens=900, completion_tokens=200), Answer("dois"))
    router, turn = make_router(openai=server), new_turn(tokens=1_000)
    await router.complete(turn, question(), playbook=None)
    with pytest.raises(Refused) as reached:
        await router.complete(turn, question(), playbook=SpendPlaybook())
    assert (reached.value.code, reached.value.params) == ("turn_limit", {"limit": "tokens"})
    assert len(server.seen) == 1


async def test_each_attempt_is_shown_as_a_step(serve: Serve, make_router: MakeRouter, turn: Turn) -> None:
    events: list[Event] = []
    turn.progress = events.append
    router = make_router(anthropic=serve(Answer(status=500)), openai=serve(Answer("ok")))
    await router.complete(turn, question(), playbook=None)
    started = [event for event in events if isinstance(event, StepStarted)]
    finished = [event for event in events if isinstance(event, StepFinished)]
    assert [(event.kind, event.name, event.title) for event in started] == [
        ("model", "anthropic/claude-sonnet-4-6", "Claude Sonnet 4.6"),
        ("model", "openai/gpt-5.6-terra", "GPT-5.6 Terra"),
    ]
    assert [(event.ok, event.summary) for event in finished] == [(False, "unavailable"), (True, "")]
    assert [event.step_id for event in started] == [event.step_id for event in finished]


async def test_a_forced_model_takes_every_roles_place(serve: Serve, make_router: MakeRouter, turn: Turn) -> None:
    server = serve(Answer("um"), Answer("dois"))
    router = make_router(openai=server, google=server, model="openai/gpt-5.6-luna")
    for role in ("ads_analyst", "judge"):
        await router.complete(turn, question(role=role), playbook=None)
    assert [seen.model for seen in server.seen] == ["gpt-5.6-luna", "gpt-5.6-luna"]
    assert all("temperature" not in seen.body for seen in server.seen), "that model answers 400 to a temperature"


async def test_calls_of_the_playbook_are_numbered_on_from_those_of_a_model(make_router: MakeRouter, turn: Turn) -> None:
    made = {"id": "x", "type": "function", "function": {"name": "spend", "arguments": "{}"}}
    messages = [*question().messages, {"role": "assistant", "tool_calls": [made]}]
    answer = await make_router().complete(turn, question(messages=messages), playbook=SpendPlaybook())
    assert [call.id for call in answer.tool_calls] == ["call_2"]


@pytest.mark.parametrize(("told", "seconds"), [("7", 7.0), ("Fri, 20 Nov 2026 12:00:30 GMT", 30.0), ("never", None)])
async def test_the_wait_a_provider_asks_for_is_read(
    told: str, seconds: float | None, serve: Serve, make_router: MakeRouter
) -> None:
    headers = {"Retry-After": told, "Date": "Fri, 20 Nov 2026 12:00:00 GMT"}
    router = make_router(openai=serve(Answer(status=429, headers=headers)))
    deadline = asyncio.get_running_loop().time() + 5
    outcome = await router._ask(router.chain("ads_analyst")[0], question(), lambda _: None, deadline)
    assert isinstance(outcome, ModelFailure)
    assert outcome.retry_after == seconds


def test_a_forced_model_without_a_key_is_a_broken_setting(make_router: MakeRouter) -> None:
    with pytest.raises(SetupError) as refused:
        make_router(model="anthropic/claude-haiku-4-5")
    assert (refused.value.code, refused.value.params["setting"]) == ("model_without_key", "ANTHROPIC_API_KEY")


def test_where_keys_are_ignored_a_forced_model_leaves_the_playbooks(make_router: MakeRouter) -> None:
    assert make_router(model="anthropic/claude-haiku-4-5", ignore_provider_keys=True).chain("judge") == []
