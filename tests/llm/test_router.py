"""Down the chain: the next provider on failure, the playbook last, limits and stops on the way."""

import asyncio
import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from typing import Any

import pytest
from structlog.testing import capture_logs

from core.clock import FixedClock
from core.db import Database
from core.errors import Refused, SetupError, Unavailable
from core.tenancy import Role
from core.turn import Event, StepFinished, StepStarted, Turn
from evals.stand_in import Answer, Unreachable
from llm.attempts import Heard, listen
from llm.budget import Budgets
from llm.budget_book import Budget
from llm.errors import ModelFailure, refused_key
from llm.messages import ToolCall
from llm.questions import RouterLimits, wait_before_retry
from llm.router import Router
from tests.conftest import Tenants, until
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
    refusing, broken = serve(Answer(status=401)), serve(*[Answer(status=503)] * 9)
    slow_machine: dict[str, Any] = {"model_first_byte_seconds": 3_000, "model_deadline_seconds": 3_000}
    router = make_router(anthropic=refusing, openai=broken, model_time_scale=0.01, **slow_machine)
    with pytest.raises(Unavailable) as failed:
        await router.complete(turn, question(), playbook=None)
    assert failed.value.code == "models_unavailable"
    assert [text.partition(":")[0] for text in failed.value.params["failures"]] == ["auth", *["unavailable"] * 4]
    assert (len(refusing.seen), len(broken.seen)) == (1, 4), "a key that is wrong stays wrong"
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


WAITS = [
    ("7", 7.0),
    ("0", 0.0),
    ("1.5", 1.5),
    ("Fri, 20 Nov 2026 12:00:30 GMT", 30.0),
    ("Fri, 20 Nov 2026 11:59:00 GMT", None),
    ("-1", None),
    ("86401", None),
    ("NaN", None),
    ("never", None),
    ("", None),
]


@pytest.mark.parametrize("provider", ["openai", "anthropic", "google"])
async def test_the_wait_a_provider_asks_for_is_read(provider: str, serve: Serve, make_router: MakeRouter) -> None:
    dated = {"Date": "Fri, 20 Nov 2026 12:00:00 GMT"}
    server = serve(*(Answer(status=429, headers={**dated, "Retry-After": told}) for told, _ in WAITS))
    router = make_router(**{provider: server})
    for told, seconds in WAITS:
        assert (await failure_of(router)).retry_after == seconds, told


async def test_a_date_to_wait_for_is_reckoned_from_our_clock_when_the_answer_has_none(
    serve: Serve, make_router: MakeRouter
) -> None:
    told = format_datetime(datetime.now(UTC) + timedelta(minutes=10), usegmt=True)
    failure = await failure_of(make_router(openai=serve(Answer(status=429, headers={"Retry-After": told}))))
    assert failure.retry_after is not None
    assert 500 < failure.retry_after <= 600


@pytest.mark.parametrize("date", ["yesterday", "", "Fri, 20 Nov 2026 12:00:00 -0000"])
async def test_a_date_to_wait_for_counts_beside_a_date_that_cannot_be_read_or_names_no_zone(
    date: str, serve: Serve, make_router: MakeRouter
) -> None:
    until = datetime(2026, 11, 20, 12, 10, tzinfo=UTC) if "2026" in date else datetime.now(UTC) + timedelta(minutes=10)
    headers = {"Date": date, "Retry-After": format_datetime(until, usegmt=True)}
    failure = await failure_of(make_router(openai=serve(Answer(status=429, headers=headers))))
    assert failure.retry_after is not None
    assert 500 < failure.retry_after <= 600


async def test_a_wrong_key_is_told_apart_from_a_wrong_request_with_google_too(
    serve: Serve, make_router: MakeRouter
) -> None:
    error = {"code": 400, "message": "API key not valid. Please pass a valid API key.", "status": "INVALID_ARGUMENT"}
    server = serve(Answer(status=400, body=json.dumps({"error": error})))
    failure = await failure_of(make_router(google=server))
    assert failure.kind == "auth"
    assert refused_key(failure.text) == ("google", "400")


async def test_google_says_in_the_body_how_long_to_wait(serve: Serve, make_router: MakeRouter) -> None:
    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "17s"}
    error = {"code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED", "details": [info]}
    server = serve(Answer(status=429, body=json.dumps({"error": error})))
    assert (await failure_of(make_router(google=server))).retry_after == 17


async def failure_of(router: Router) -> ModelFailure:
    """What comes of asking the only model of the ads analyst."""
    [model] = router.chain("ads_analyst")
    with pytest.raises(ModelFailure) as failed:
        await listen(
            router.providers[model.provider],
            model,
            question(),
            Heard(),
            silence=10,
            deadline=asyncio.get_running_loop().time() + 10,
            whole_deadline=10,
            waiting=set(),
            on_begin=lambda: None,
            on_text=lambda _: None,
        )
    return failed.value


def test_a_forced_model_without_a_key_is_a_broken_setting(make_router: MakeRouter) -> None:
    with pytest.raises(SetupError) as refused:
        make_router(model="anthropic/claude-haiku-4-5")
    assert (refused.value.code, refused.value.params["setting"]) == ("model_without_key", "ANTHROPIC_API_KEY")


def test_where_keys_are_ignored_a_forced_model_leaves_the_playbooks(make_router: MakeRouter) -> None:
    assert make_router(model="anthropic/claude-haiku-4-5", ignore_provider_keys=True).chain("judge") == []


# --- waiting ----------------------------------------------------------------------------------------

PERSON: dict[str, Any] = {"background": False, "way_out": False}
PERSON_WITH_PLAYBOOK: dict[str, Any] = {"background": False, "way_out": True}
BACKGROUND: dict[str, Any] = {"background": True, "way_out": True}


@pytest.mark.parametrize(
    ("who", "failures", "told", "left", "wait"),
    [
        (PERSON, 1, None, 28, 2),
        (PERSON, 2, None, 25, 4),
        (PERSON, 3, None, 20, 8),
        (PERSON, 4, None, 30, None),
        (PERSON, 1, 7, 28, 7),
        (PERSON, 1, 1, 28, 2),
        (PERSON, 3, 1, 28, 8),
        (PERSON, 1, 28, 28, None),
        (PERSON, 1, None, 2, None),
        (PERSON, 2, 29, 30, 29),
        (PERSON_WITH_PLAYBOOK, 1, None, 28, None),
        (PERSON_WITH_PLAYBOOK, 1, 0, 28, None),
        (BACKGROUND, 1, None, 290, 2),
        (BACKGROUND, 3, None, 280, 8),
        (BACKGROUND, 4, None, 280, 16),
        (BACKGROUND, 5, None, 260, 30),
        (BACKGROUND, 900, None, 31, 30),
        (BACKGROUND, 5, None, 30, None),
        (BACKGROUND, 1, 120, 290, 120),
        (BACKGROUND, 1, 300, 290, None),
    ],
)
def test_how_long_a_model_that_failed_is_waited_for(
    who: dict[str, Any], failures: int, told: float | None, left: float, wait: float | None
) -> None:
    assert wait_before_retry(failures, told, left, RouterLimits(), **who) == wait


async def test_a_turn_that_is_stopped_does_not_wait_on(serve: Serve, make_router: MakeRouter, turn: Turn) -> None:
    server = serve(Answer(status=503))
    router = make_router(openai=server, model_time_scale=10)
    asking = asyncio.ensure_future(router.complete(turn, question(), playbook=None))
    await until(lambda: len(turn.model_calls) == 1)
    turn.stopped.set()
    with pytest.raises(Refused):
        await asyncio.wait_for(asking, 10)
    assert len(server.seen) == 1


async def test_who_can_do_without_an_answer_does_not_wait(serve: Serve, make_router: MakeRouter, turn: Turn) -> None:
    server = serve(Answer(status=503), Answer("tarde"))
    with pytest.raises(Unavailable):
        await make_router(openai=server).complete(turn, question(), playbook=None, can_do_without=True)
    assert len(server.seen) == 1


async def test_work_in_the_background_waits_for_a_breaker_to_let_it_try(
    serve: Serve, make_router: MakeRouter, turn: Turn
) -> None:
    server = serve(Answer(status=401), Answer("voltou"))
    router = make_router(openai=server, model_breaker_failures=1, model_breaker_seconds=30, model_time_scale=0.02)
    await router.warm()
    await router.complete(new_turn(), question(), playbook=SpendPlaybook())
    answer = await router.complete(turn, question(), playbook=SpendPlaybook(), background=True)
    assert (answer.text, len(server.seen)) == ("voltou", 2)
    [model] = router.chain("ads_analyst")
    assert turn.completions[0].passed_over == [f"{model.ref}: breaker open, key refused (401)"]


async def test_what_is_silent_to_some_is_given_up_by_all_who_wait_for_it(serve: Serve, make_router: MakeRouter) -> None:
    hanging = serve(lambda _: Answer(hangs=True))
    router = make_router(openai=hanging, model_first_byte_seconds=4, model_breaker_failures=1)
    await router.warm()
    first, second = new_turn(), new_turn()
    asking = asyncio.ensure_future(router.complete(first, question(), playbook=SpendPlaybook()))
    await until(lambda: len(hanging.seen) == 1)
    asked = time.monotonic()
    await until(lambda: time.monotonic() - asked > 1.5)
    await router.complete(second, question(), playbook=SpendPlaybook())
    await asking
    [one], [other] = ([call for call in turn.model_calls if call.failure] for turn in (first, second))
    assert [(call.failure or "").partition(":")[0] for call in (one, other)] == ["timeout", "timeout"]
    assert other.seconds < one.seconds - 1, "its own limit is as long as the first one's, and it began 1.5 s later"
    assert await asyncio.to_thread(hanging.wait_until, lambda server: len(server.left) == 2)


@pytest.mark.parametrize("provider", ["openai", "anthropic", "google"])
async def test_an_address_that_takes_no_connection_is_left_long_before_the_limit_of_silence(
    provider: str, make_router: MakeRouter, turn: Turn
) -> None:
    with Unreachable("deaf") as deaf:
        router = make_router(**{provider: deaf}, model_first_byte_seconds=20)
        await router.warm()
        answer = await router.complete(turn, question(), playbook=SpendPlaybook())
    assert answer.provider == "offline"
    assert (turn.model_calls[0].failure or "").startswith("timeout:")
    assert turn.model_calls[0].seconds < 10


async def test_after_one_that_could_not_be_connected_to_the_others_have_less_time_for_it(
    make_router: MakeRouter, turn: Turn
) -> None:
    with Unreachable("deaf") as deaf:
        router = make_router(anthropic=deaf, openai=deaf, google=deaf, model_first_byte_seconds=20)
        await router.warm()
        answer = await router.complete(turn, question(), playbook=SpendPlaybook())
    assert answer.provider == "offline"
    first, *others, _ = [call.seconds for call in turn.model_calls]
    assert len(others) == 2
    assert max(others) < first


# --- the questions of one turn ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault", [Answer(status=401), Answer(status=429), Answer(status=503), Answer("O", cut_after=1)]
)
async def test_who_failed_in_a_turn_is_not_asked_again_in_it_but_in_the_next(
    fault: Answer, serve: Serve, make_router: MakeRouter, turn: Turn
) -> None:
    server = serve(lambda _: fault)
    router = make_router(openai=server)
    for asked_of in (turn, turn, turn, new_turn()):
        playbook = SpendPlaybook()
        assert (await router.complete(asked_of, question(), playbook=playbook)).provider == "offline"
    assert len(server.seen) == 2
    ref = router.chain("ads_analyst")[0].ref
    told = [f"{ref}: failed before in this turn"]
    assert [one.passed_over for one in turn.completions] == [[], told, told]


async def test_who_had_too_little_time_to_answer_is_not_asked_again_in_the_turn_but_not_blamed(
    serve: Serve, make_router: MakeRouter, turn: Turn
) -> None:
    silents = [serve(lambda _: Answer(hangs=True)) for _ in range(2)]
    router = make_router(
        anthropic=silents[0],
        openai=silents[1],
        model_first_byte_seconds=2,
        model_deadline_seconds=3,
        model_breaker_failures=1,
    )
    await router.warm()
    for _ in range(3):
        assert (await router.complete(turn, question(), playbook=SpendPlaybook())).provider == "offline"
    assert [len(server.seen) for server in silents] == [1, 1]
    assert [router.states()[model.ref] for model in router.chain("ads_analyst")] == ["open", "closed"]


async def test_what_is_no_fault_of_the_model_does_not_speak_against_it_in_the_turn(
    serve: Serve, make_router: MakeRouter, turn: Turn
) -> None:
    server = serve(Answer(status=400), Answer("ok"))
    router = make_router(openai=server)
    providers = [(await router.complete(turn, question(), playbook=SpendPlaybook())).provider for _ in range(2)]
    assert providers == ["offline", "openai"]


async def test_a_failure_at_one_role_speaks_against_the_same_model_alone(
    serve: Serve, make_router: MakeRouter, turn: Turn
) -> None:
    server = serve(Answer(status=503), Answer("ok"))
    router = make_router(openai=server)
    with pytest.raises(Unavailable):
        await router.complete(turn, question(role="router", tools=[]), playbook=None, can_do_without=True)
    assert (await router.complete(turn, question(), playbook=SpendPlaybook())).provider == "openai"

    everywhere, again = serve(lambda _: Answer(status=503)), new_turn()
    forced = make_router(openai=everywhere, model="openai/gpt-6-luna")
    with pytest.raises(Unavailable):
        await forced.complete(again, question(role="router", tools=[]), playbook=None, can_do_without=True)
    assert (await forced.complete(again, question(), playbook=SpendPlaybook())).provider == "offline"
    assert len(everywhere.seen) == 1


async def test_where_nothing_else_can_answer_who_failed_before_is_asked_last(
    serve: Serve, make_router: MakeRouter, turn: Turn
) -> None:
    first = serve(Answer(status=503), Answer("voltou"))
    second = serve(Answer("um"), Answer(status=401))
    router = make_router(anthropic=first, openai=second)
    answers = [await router.complete(turn, question(), playbook=None) for _ in range(2)]
    assert [answer.text for answer in answers] == ["um", "voltou"]
    assert [call.provider for call in turn.model_calls] == ["anthropic", "openai", "openai", "anthropic"]


async def test_of_a_turns_time_models_get_two_thirds_where_a_playbook_can_answer(
    serve: Serve, make_router: MakeRouter
) -> None:
    server = serve(lambda _: Answer("ok"))
    router = make_router(openai=server)
    late, over = new_turn(seconds=9_000), new_turn(seconds=90)
    late.started -= 6_100
    assert (await router.complete(late, question(), playbook=SpendPlaybook())).provider == "offline"
    assert late.completions[0].passed_over == [f"{router.chain('ads_analyst')[0].ref}: no time left"]
    assert (await router.complete(late, question(), playbook=None)).provider == "openai"

    over.started -= 100
    assert (await router.complete(over, question(), playbook=SpendPlaybook())).provider == "offline"
    with pytest.raises(Refused) as reached:
        await router.complete(over, question(), playbook=None)
    assert reached.value.params == {"limit": "seconds"}
    over.stopped.set()
    with pytest.raises(Refused) as stopped:
        await router.complete(over, question(), playbook=SpendPlaybook())
    assert stopped.value.code == "turn_stopped"
    assert len(server.seen) == 1


# --- what is written down ---------------------------------------------------------------------------


async def test_each_question_and_each_attempt_is_told_in_the_turn(
    serve: Serve, make_router: MakeRouter, turn: Turn
) -> None:
    broken = serve(Answer(status=500))
    well = serve(Answer("Vou olhar.", calls=[("spend", {"days": 7})]), Answer("Gastou R$ 12,34."))
    router = make_router(anthropic=broken, openai=well)
    await router.complete(turn, question(), playbook=SpendPlaybook())
    made = {"id": "call_0", "type": "function", "function": {"name": "spend", "arguments": '{"days": 7}'}}
    said = [{"role": "assistant", "tool_calls": [made]}, {"role": "tool", "tool_call_id": "call_0", "content": "12.34"}]
    await router.complete(turn, question(messages=[*question().messages, *said]), playbook=SpendPlaybook())

    first, second = turn.completions
    assert (first.role, first.shared, first.tools, first.provider) == ("ads_analyst", 0, ["spend"], "openai")
    assert first.messages == [{"role": "user", "content": "Quanto gastei?"}]
    assert [(call["name"], call["arguments"]) for call in first.tool_calls] == [("spend", {"days": 7})]
    assert (second.shared, second.messages, second.text, second.tool_calls) == (2, said, "Gastou R$ 12,34.", [])
    assert first.system_hash == second.system_hash != ""
    assert first.prompt_hash != second.prompt_hash
    assert [(call.completion, call.link, call.attempt, call.hedge) for call in turn.model_calls] == [
        (0, 0, 1, False),
        (0, 1, 1, False),
        (1, 1, 1, False),
    ]
    assert (first.passed_over, second.passed_over) == ([], ["anthropic/claude-sonnet-4-6: failed before in this turn"])
    failed, answered = turn.model_calls[:2]
    assert (failed.first_seconds, failed.estimated) == (None, False)
    assert answered.first_seconds is not None
    assert 0 < answered.first_seconds <= answered.seconds
    assert abs(answered.started_at - time.time()) < 60
    assert answered.prompt_hash == first.prompt_hash


async def test_a_question_is_told_when_the_playbook_answers_and_when_nobody_does(
    make_router: MakeRouter, turn: Turn
) -> None:
    router = make_router()
    await router.complete(turn, question(), playbook=SpendPlaybook())
    with pytest.raises(Unavailable):
        await router.complete(turn, question(), playbook=None)
    answered, open_ = turn.completions
    assert (answered.provider, answered.model, len(answered.tool_calls)) == ("offline", "playbook", 1)
    assert (open_.provider, open_.model, open_.text) == ("", "", "")


async def test_what_an_answer_that_broke_off_consumed_is_reckoned(
    serve: Serve, make_router: MakeRouter, turn: Turn
) -> None:
    cut = serve(Answer("Você gastou bastante dinheiro nesta semana, mas menos", cut_after=5))
    router = make_router(openai=cut)
    await router.complete(turn, question(), playbook=SpendPlaybook())
    call = turn.model_calls[0]
    assert call.estimated
    assert call.prompt_tokens > 30
    assert call.completion_tokens >= 4
    assert call.cost_usd is not None and call.cost_usd > 0


@pytest.mark.parametrize(
    ("provider", "ended"), [("openai", "length"), ("anthropic", "max_tokens"), ("google", "MAX_TOKENS")]
)
async def test_what_an_answer_cut_at_our_length_consumed_is_what_the_provider_told(
    provider: str, ended: str, serve: Serve, make_router: MakeRouter, turn: Turn
) -> None:
    cut = serve(Answer("Você gastou", finish=ended, prompt_tokens=321, completion_tokens=45))
    router = make_router(**{provider: cut}, model_breaker_failures=1)
    await router.complete(turn, question(), playbook=SpendPlaybook())
    call = turn.model_calls[0]
    assert (call.prompt_tokens, call.completion_tokens, call.estimated) == (321, 45, False)
    assert set(router.states().values()) == {"closed"}


async def test_a_stopped_attempt_is_told_as_given_up(serve: Serve, make_router: MakeRouter, turn: Turn) -> None:
    server = serve(Answer("a b c d e f g h " * 50, pause=0.2))
    shown = Shown()
    router = make_router(openai=server, model_breaker_failures=1)
    asking = asyncio.ensure_future(router.complete(turn, question(), playbook=SpendPlaybook(), on_text=shown))
    await until(lambda: shown.text != "")
    turn.stopped.set()
    with pytest.raises(Refused):
        await asyncio.wait_for(asking, 10)
    [call] = turn.model_calls
    assert (call.failure or "").startswith("given_up: openai/")
    assert call.estimated and call.prompt_tokens > 0, "it had begun, and will be charged"
    assert set(router.states().values()) == {"closed"}


async def test_a_bug_of_ours_is_logged_and_the_next_link_answers(
    serve: Serve, make_router: MakeRouter, turn: Turn
) -> None:
    never, well = serve(), serve(Answer("Gastou R$ 12,34."))
    router = make_router(anthropic=never, openai=well, model_breaker_failures=1)
    broken_tool = {"type": "function", "function": {"name": "spend", "description": "no parameters"}}
    with capture_logs() as logs:
        answer = await router.complete(turn, question(tools=[broken_tool]), playbook=None)
    assert (answer.provider, len(never.seen)) == ("openai", 0)
    assert [(log["event"], log["log_level"]) for log in logs] == [("model_code_failed", "error")]
    assert set(router.states().values()) == {"closed"}, "it says nothing about the model"


# --- budgets ----------------------------------------------------------------------------------------


async def test_a_spent_budget_ends_in_the_playbook_without_asking_anyone(
    serve: Serve, make_router: MakeRouter, database: Database, tenants: Tenants, clock: FixedClock
) -> None:
    budgets = Budgets(database, clock, tenant=Budget(tokens=1_000), agent=Budget())
    servers = [serve(Answer("um", prompt_tokens=1_600)), serve(Answer("dois"))]
    router = make_router(anthropic=servers[0], openai=servers[1], budgets=budgets)
    turn = replace(new_turn(), identity=tenants.one[Role.ADMIN])
    assert (await router.complete(turn, question(), playbook=SpendPlaybook())).text == "um"
    assert (await router.complete(turn, question(), playbook=SpendPlaybook())).provider == "offline"
    with pytest.raises(Unavailable):
        await router.complete(turn, question(), playbook=None)
    assert [len(server.seen) for server in servers] == [1, 0]
    cheapest_first = [f"{router.chain('ads_analyst')[1].ref}: budget"]
    assert [completion.passed_over for completion in turn.completions[1:]] == [cheapest_first] * 2
    assert [key for key, _ in turn.notices] == ["budget.alert", "budget.spent"]
    await budgets.close()
