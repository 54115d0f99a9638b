"""Every fault a provider of models can play, through its own library: who answers, what is counted, what is not done.

Each row of FAULTS is played by the first provider of a chain. The breaker is set to open at the first failure it
counts, so that the next turn tells whether it did.
"""

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from core.errors import Unavailable
from core.turn import ModelCall
from evals.stand_in import Answer, Seen, StandIn, Unreachable
from llm.errors import FailureKind
from llm.router import Router
from tests.conftest import RedisServer
from tests.faults.conftest import Provider, Shown
from tests.llm.conftest import MakeRouter, Serve, new_turn, question

NEXT = {"anthropic": "openai", "openai": "google", "google": None}
"""Who is asked after whom: the chain of the ads analyst. After the last comes the playbook."""

WORDS = "Gastou R$ 12,34."
MODEL_WORDS = "Foram doze reais, disse o outro modelo."

SCALE = 0.07
"""Of the limits where a fault is one of time: 8 s of silence are 0.56 s, the deadline of 30 s is 2.1 s."""

OVERLOADED = {"openai": "server_error", "anthropic": "overloaded_error", "google": "UNAVAILABLE"}
THROTTLED = {"openai": "rate_limit_exceeded", "anthropic": "rate_limit_error", "google": "RESOURCE_EXHAUSTED"}
LENGTH = {"openai": "length", "anthropic": "max_tokens", "google": "MAX_TOKENS"}
REFUSED = {"openai": "content_filter", "anthropic": "refusal", "google": "SAFETY"}
TOO_LONG = (
    '{"error": {"message": "This model\'s maximum context length is 8192 tokens", "code": "context_length_exceeded"}}'
)


@dataclass(frozen=True)
class Fault:
    """What the first provider does with every request, and what must come of it."""

    what: Answer | Callable[[str], Answer] | Literal["refused", "deaf"]
    kind: FailureKind
    counts: bool = True
    """Whether it makes the breaker open."""
    shows: bool = False
    """Whether a reader saw some of its text, which is then taken back."""
    scale: float = 1.0
    at: tuple[str, ...] = ("anthropic", "openai", "google")
    leaves_time: bool = True
    """Whether another model can still be asked before the deadline."""

    def played_by(self, wire: str) -> Answer:
        assert not isinstance(self.what, str)
        return self.what if isinstance(self.what, Answer) else self.what(wire)


def throttled(retry_after: str | None) -> Fault:
    headers = {"Date": "Fri, 20 Nov 2026 12:00:00 GMT"} | ({"Retry-After": retry_after} if retry_after else {})
    return Fault(Answer(status=429, headers=headers), "rate_limited")


def cut_call(arguments: str) -> Fault:
    return Fault(Answer(calls=[("spend", arguments)]), "broken_answer")


class Talker:
    """A playbook that needs no tools."""

    def next_step(self) -> str:
        return WORDS


LONG = "Você gastou bastante dinheiro nesta semana, mas menos do que na outra, e hoje ainda não acabou o dia inteiro."
CALL = ("spend", {"days": 7})

FAULTS: dict[str, Fault] = {
    "429": throttled(None),
    "429 until seconds": throttled("7"),
    "429 until a date": throttled("Fri, 20 Nov 2026 12:00:30 GMT"),
    "429 until the past": throttled("-1"),
    "429 until for ever": throttled("1000000000"),
    "429 until junk": throttled("soon, maybe"),
    "500": Fault(Answer(status=500), "unavailable"),
    "500 without a body": Fault(Answer(status=500, body=""), "unavailable"),
    "502 with a page": Fault(Answer(status=502, body="<html><h1>Bad gateway</h1></html>"), "unavailable"),
    "503": Fault(Answer(status=503), "unavailable"),
    "529": Fault(Answer(status=529), "unavailable"),
    "401": Fault(Answer(status=401), "auth"),
    "400": Fault(Answer(status=400), "bad_request", counts=False),
    "400 for the length": Fault(Answer(status=400, body=TOO_LONG), "too_large", counts=False),
    "413": Fault(Answer(status=413), "too_large", counts=False),
    "a refusal": Fault(lambda wire: Answer("", finish=REFUSED[wire]), "refused", counts=False),
    "an empty body": Fault(Answer(body=""), "broken_answer"),
    "a page": Fault(Answer(body="<html>Welcome</html>"), "broken_answer"),
    "half a JSON": Fault(Answer(body='{"choices": [{"delta": {"con'), "broken_answer"),
    "no connection": Fault("refused", "unavailable"),
    "connecting for ever": Fault("deaf", "timeout", scale=SCALE),
    "first byte after 120 s": Fault(Answer(WORDS, latency=120 * SCALE), "timeout", scale=SCALE),
    "a byte each 5 s": Fault(Answer(WORDS, drip=5 * SCALE), "timeout", scale=SCALE),
    "a word each 5 s": Fault(
        Answer(LONG, pause=5 * SCALE), "timeout", scale=SCALE, shows=True, leaves_time=False, at=("openai",)
    ),
    "silence within the text": Fault(Answer(LONG, hangs_after=4), "timeout", scale=SCALE, shows=True),
    "cut in a word": Fault(Answer(LONG, cut_at="dinh"), "unavailable", shows=True),
    "an end in a word": Fault(Answer("Você gastou bastante din", silent_end=True), "broken_answer", shows=True),
    "cut in tool JSON": Fault(Answer(calls=[CALL], cut_at="day"), "unavailable"),
    "cut between two calls": Fault(Answer(calls=[CALL, ("spend", {"weeks": 2})], cut_at="wee"), "unavailable"),
    "an end in tool JSON": Fault(Answer(calls=[("spend", '{"days"')], silent_end=True), "broken_answer"),
    "an end before the end": Fault(Answer(calls=[CALL], silent_end=True), "broken_answer"),
    "an error after words": Fault(lambda wire: Answer(LONG, error_after=OVERLOADED[wire]), "unavailable", shows=True),
    "throttled after words": Fault(lambda wire: Answer(LONG, error_after=THROTTLED[wire]), "rate_limited", shows=True),
    "truncated arguments": cut_call('{"days": 7'),
    "a trailing comma": cut_call('{"days": 7,}'),
    "arguments that are a list": cut_call("[7]"),
    "arguments that are words": cut_call("days=7"),
    "half a character": cut_call('{"days": "\\ud83d"}'),
    "a name that is none": Fault(Answer(calls=[("spend money\0", {})]), "broken_answer"),
    "a name without end": Fault(Answer(calls=[("spend" * 10_000, {})]), "broken_answer"),
    "a number that is none": cut_call('{"days": NaN}'),
    "arguments nested without end": cut_call('{"days": ' * 5_000 + "7" + "}" * 5_000),
    # Gemini sends whole objects; there a repeated call is two equal calls, which the runner does once.
    "a piece of tool JSON twice": Fault(Answer(calls=[CALL], twice=2), "broken_answer", at=("anthropic", "openai")),
    "words without end": Fault(Answer("palavra " * 6_000), "broken_answer", shows=True),
    "text cut at our length": Fault(
        lambda wire: Answer(LONG, finish=LENGTH[wire]), "broken_answer", counts=False, shows=True
    ),
    "a call cut at our length": Fault(
        lambda wire: Answer(calls=[CALL], finish=LENGTH[wire]), "broken_answer", counts=False
    ),
}


@pytest.fixture
def start() -> Iterator[Callable[[Fault, str], Provider]]:
    """Starts the provider of a fault; it does the same with every request."""
    with ExitStack() as stack:

        def start_one(fault: Fault, wire: str) -> Provider:
            if isinstance(fault.what, str):
                return stack.enter_context(Unreachable(fault.what))
            answer = fault.played_by(wire)
            return stack.enter_context(StandIn(lambda _: answer))

        yield start_one


Start = Callable[[Fault, str], Provider]


def asked(calls: list[ModelCall], provider: str) -> list[str]:
    """What came of each request to a provider: a failure's kind or "answered"."""
    return [
        call.failure.partition(":")[0] if call.failure else "answered" for call in calls if call.provider == provider
    ]


@pytest.mark.parametrize(
    ("name", "wire"), [pytest.param(name, wire, id=f"{name} at {wire}") for name in FAULTS for wire in FAULTS[name].at]
)
async def test_while_a_person_waits_each_fault_is_met_once_and_the_next_link_answers(
    name: str, wire: str, start: Start, serve: Serve, make_router: MakeRouter
) -> None:
    fault, after = FAULTS[name], NEXT[wire]
    broken, well = start(fault, wire), serve(*[Answer(MODEL_WORDS)] * 2)
    chain: dict[str, Any] = {wire: broken} | ({after: well} if after else {})
    router = make_router(**chain, model_breaker_failures=1, model_time_scale=fault.scale)
    await router.warm()
    shown, turn = Shown(), new_turn()

    answer = await router.complete(turn, question(), playbook=Talker(), on_text=shown)

    by_model = after is not None and fault.leaves_time
    who, said = (after, MODEL_WORDS) if by_model else ("offline", WORDS)
    assert (answer.provider, answer.text, answer.tool_calls) == (who, said, [])
    assert (shown.text, len(shown.taken_back)) == (said, int(fault.shows)), (
        "the text stands once, what broke off is gone"
    )
    assert asked(turn.model_calls, wire) == [fault.kind]
    assert len(broken.seen) == int(isinstance(broken, StandIn)), "one request: no library repeats it, nor do we"
    assert len(well.seen) == int(by_model)
    assert [(completion.provider, completion.text) for completion in turn.completions] == [(who, said)]

    again = new_turn()
    await router.complete(again, question(), playbook=Talker())
    assert asked(again.model_calls, wire) == ([] if fault.counts else [fault.kind])
    assert len(broken.seen) == int(isinstance(broken, StandIn)) * (1 if fault.counts else 2)
    assert any("breaker open" in why for why in again.completions[0].passed_over) == fault.counts


async def test_a_repeated_piece_of_an_answer_is_neither_a_failure_nor_counted_twice(
    serve: Serve, make_router: MakeRouter
) -> None:
    for wire, last in (("openai", 4), ("anthropic", 4), ("google", 2)):  # the event that ends the answer
        server = serve(Answer("Gastou pouco.", twice=last))
        turn = new_turn()
        answer = await make_router(**{wire: server}).complete(turn, question(), playbook=None)
        assert (answer.text, len(server.seen)) == ("Gastou pouco.", 1)
        assert [(call.prompt_tokens, call.completion_tokens) for call in turn.model_calls] == [(100, 20)]


# --- waiting: only where nobody else can answer --------------------------------------------------

WAIT_SCALE = 0.02
"""2, 4, 8 s are 40, 80, 160 ms; a background deadline of 300 s is 6 s."""
WAITING: dict[str, Any] = {"model_time_scale": WAIT_SCALE, "model_first_byte_seconds": 100}
"""An answer has 2 s to come even on a slow machine."""


def gaps(server: StandIn) -> list[float]:
    """Seconds between the requests a server saw, as long as they would be at the real scale."""
    moments = [seen.at for seen in server.seen]
    return [(after - before) / WAIT_SCALE for before, after in itertools.pairwise(moments)]


async def failures_of(router: Router, background: bool) -> list[str]:
    """Ask without a playbook where no model will answer; every failure that is told."""
    with pytest.raises(Unavailable) as failed:
        await router.complete(new_turn(), question(), playbook=None, background=background)
    assert failed.value.code == "models_unavailable"
    return [str(text).partition(":")[0] for text in failed.value.params["failures"]]


@pytest.mark.parametrize(
    "fault",
    [Answer(status=429), Answer(status=500), Answer(LONG, cut_at="dinh")],
    ids=["429", "500", "cut"],
)
async def test_in_the_background_the_only_model_is_asked_again_after_2_4_and_8_seconds(
    fault: Answer, serve: Serve, make_router: MakeRouter
) -> None:
    server = serve(fault, fault, fault, Answer(WORDS))
    router, turn, shown = make_router(openai=server, **WAITING), new_turn(), Shown()
    await router.warm()
    answer = await router.complete(turn, question(), playbook=Talker(), on_text=shown, background=True)
    assert (answer.provider, shown.text) == ("openai", WORDS)
    assert len(server.seen) == 4
    assert all(gap >= wait for gap, wait in zip(gaps(server), (2, 4, 8), strict=True)), gaps(server)
    assert [(call.attempt, call.failure is None) for call in turn.model_calls] == [
        (1, False),
        (2, False),
        (3, False),
        (4, True),
    ]


async def test_in_the_background_a_silent_model_is_asked_again_too(serve: Serve, make_router: MakeRouter) -> None:
    server = serve(Answer(WORDS, latency=120 * SCALE), Answer(WORDS))
    router, turn = make_router(openai=server, model_time_scale=SCALE), new_turn()
    await router.warm()
    assert (await router.complete(turn, question(), playbook=None, background=True)).text == WORDS
    assert asked(turn.model_calls, "openai") == ["timeout", "answered"]
    assert len(server.seen) == 2


@pytest.mark.parametrize(
    ("told", "least"),
    [("12", 12), ("Fri, 20 Nov 2026 12:00:12 GMT", 12), ("0", 2)],
    ids=["seconds", "a date", "no time at all"],
)
async def test_the_wait_a_provider_asks_for_is_kept(
    told: str, least: float, serve: Serve, make_router: MakeRouter
) -> None:
    """A shorter one than ours does not count."""
    headers = {"Retry-After": told, "Date": "Fri, 20 Nov 2026 12:00:00 GMT"}
    server = serve(Answer(status=429, headers=headers), Answer(WORDS))
    router = make_router(openai=server, **WAITING)
    await router.warm()
    answer = await router.complete(new_turn(), question(), playbook=None, background=True)
    assert (answer.text, len(server.seen)) == (WORDS, 2)
    assert gaps(server)[0] >= least


@pytest.mark.parametrize("told", ["-1", "1000000000", "NaN", "inf", "soon, maybe", "Fri, 20 Nov 2015 12:00:00 GMT"])
async def test_an_absurd_wait_is_not_heeded(told: str, serve: Serve, make_router: MakeRouter) -> None:
    headers = {"Retry-After": told, "Date": "Fri, 20 Nov 2026 12:00:00 GMT"}
    server = serve(Answer(status=429, headers=headers), Answer(WORDS))
    router = make_router(openai=server, **WAITING)
    await router.warm()
    answer = await router.complete(new_turn(), question(), playbook=None, background=True)
    assert (answer.text, len(server.seen)) == (WORDS, 2)
    assert gaps(server)[0] >= 2


async def test_a_wait_beyond_the_deadline_is_not_begun(serve: Serve, make_router: MakeRouter) -> None:
    for told in ("301", "86000"):
        server = serve(Answer(status=429, headers={"Retry-After": told}), Answer(WORDS))
        assert await failures_of(make_router(openai=server), background=True) == ["rate_limited"]
        assert len(server.seen) == 1


async def test_in_the_background_a_provider_that_comes_back_late_is_asked_by_one_trial(
    serve: Serve, make_router: MakeRouter
) -> None:
    server = serve(*[Answer(status=500)] * 5, Answer(WORDS))
    router, turn = make_router(openai=server, **WAITING), new_turn()
    await router.warm()
    answer = await router.complete(turn, question(), playbook=Talker(), background=True)
    assert (answer.provider, len(server.seen)) == ("openai", 6)
    assert gaps(server)[3] >= 16, "the waits go on doubling"
    assert gaps(server)[4] >= 60, "then the breaker is open"


NEVER_AGAIN = ["401", "400", "413", "a refusal", "a page", "truncated arguments", "a call cut at our length"]


@pytest.mark.parametrize("name", NEVER_AGAIN)
async def test_what_would_fail_again_is_not_asked_again(name: str, start: Start, make_router: MakeRouter) -> None:
    server = start(FAULTS[name], "openai")
    router = make_router(openai=server)  # at the real scale: a wait would be seen
    assert await failures_of(router, background=True) == [FAULTS[name].kind]
    assert len(server.seen) == 1


async def test_a_person_who_waits_gets_the_playbook_rather_than_a_wait(serve: Serve, make_router: MakeRouter) -> None:
    server = serve(Answer(status=429, headers={"Retry-After": "1"}), Answer(MODEL_WORDS))
    answer = await make_router(openai=server).complete(new_turn(), question(), playbook=Talker())
    assert (answer.provider, answer.text, len(server.seen)) == ("offline", WORDS, 1)


async def test_without_a_playbook_a_person_waits_as_long_as_the_deadline_allows(
    serve: Serve, make_router: MakeRouter
) -> None:
    patient = serve(Answer(status=503), Answer(status=503), Answer(WORDS))
    router = make_router(openai=patient, model_time_scale=SCALE)
    await router.warm()
    assert (await router.complete(new_turn(), question(), playbook=None)).text == WORDS
    assert len(patient.seen) == 3
    hasty = serve(Answer(status=503), Answer(status=503), Answer(WORDS))
    router = make_router(openai=hasty, model_deadline_seconds=5.5, model_time_scale=0.2)
    await router.warm()
    assert await failures_of(router, background=False) == ["unavailable", "unavailable"]  # 2 + 4 s are more than 5.5
    assert len(hasty.seen) == 2


async def test_another_link_is_asked_before_any_wait(serve: Serve, make_router: MakeRouter) -> None:
    throttling, well = serve(Answer(status=429, headers={"Retry-After": "20"})), serve(Answer(WORDS))
    router = make_router(anthropic=throttling, openai=well)  # at the real scale: a wait would be seen
    answer = await router.complete(new_turn(), question(), playbook=None, background=True)
    assert (answer.provider, len(throttling.seen), len(well.seen)) == ("openai", 1, 1)


async def test_an_address_that_takes_no_connection_costs_less_than_a_silent_model(make_router: MakeRouter) -> None:
    with Unreachable("deaf") as nobody:
        wires = ("anthropic", "openai", "google")
        routers = [make_router(**{wire: nobody}) for wire in wires]
        turns = [new_turn() for _ in wires]
        began = time.monotonic()
        for answer in await asyncio.gather(
            *(router.complete(turn, question(), playbook=Talker()) for router, turn in zip(routers, turns, strict=True))
        ):
            assert answer.provider == "offline"
        assert time.monotonic() - began < 8
    assert [asked(turn.model_calls, wire) for wire, turn in zip(wires, turns, strict=True)] == [["timeout"]] * 3


async def test_a_tail_of_drops_ends_at_the_deadline_of_the_whole(serve: Serve, make_router: MakeRouter) -> None:
    """Three providers, each of which says a word every 5 s: together they get one deadline, not three."""
    dripping = [serve(Answer(LONG, pause=5 * SCALE)) for _ in range(3)]
    router = make_router(anthropic=dripping[0], openai=dripping[1], google=dripping[2], model_time_scale=SCALE)
    await router.warm()
    began, turn, shown = time.monotonic(), new_turn(), Shown()
    answer = await router.complete(turn, question(), playbook=Talker(), on_text=shown)
    assert time.monotonic() - began < 3 * 30 * SCALE
    assert (answer.provider, shown.text) == ("offline", WORDS)
    assert [len(server.seen) for server in dripping] == [1, 0, 0]


# --- the breaker ---------------------------------------------------------------------------------


async def ask(router: Router, times: int = 1) -> list[str]:
    """Who answered so many turns at once."""
    asked = [router.complete(new_turn(), question(), playbook=Talker()) for _ in range(times)]
    return [answer.provider for answer in await asyncio.gather(*asked)]


class Switch:
    """A script that fails until it is switched on."""

    def __init__(self, broken: Answer) -> None:
        self.answer = broken

    def __call__(self, _: Seen) -> Answer:
        return self.answer

    def heal(self) -> None:
        """From now on it answers, after a moment in which others may ask too."""
        self.answer = Answer(MODEL_WORDS, latency=0.2)


Play = Callable[[Callable[[Seen], Answer]], StandIn]


@pytest.fixture
def play() -> Iterator[Play]:
    """Starts stand-ins that follow a function."""
    with ExitStack() as stack:
        yield lambda script: stack.enter_context(StandIn(script))


async def test_five_failures_open_the_breaker_and_after_its_time_twenty_callers_make_one_trial(
    play: Play, make_router: MakeRouter
) -> None:
    script = Switch(Answer(status=500))
    server = play(script)
    router = make_router(openai=server, model_breaker_seconds=3)
    for _ in range(8):  # the last three within 3 s
        assert await ask(router) == ["offline"]
    assert len(server.seen) == 5

    while len(server.seen) == 5:  # its time passes; whoever comes first makes the trial, which fails
        await ask(router, 20)
    assert len(server.seen) == 6
    assert server.seen[5].at - server.seen[4].at >= 3

    script.heal()
    answered: list[str] = []
    while "openai" not in answered:
        answered = await ask(router, 20)
        assert answered.count("openai") <= 1, "while the one trial runs, the others pass over"
    assert len(server.seen) == 7
    assert await ask(router, 20) == ["openai"] * 20, "a trial that went well closes it"
    assert len(server.seen) == 27


async def test_a_wave_of_callers_does_not_keep_a_breaker_from_opening(play: Play, make_router: MakeRouter) -> None:
    server = play(Switch(Answer(status=500, latency=0.1)))
    router = make_router(openai=server)
    await router.warm()
    assert await ask(router, 20) == ["offline"] * 20
    assert len(server.seen) <= 20
    seen = len(server.seen)
    await ask(router, 20)
    assert len(server.seen) == seen


async def test_what_is_our_own_fault_never_opens_it(serve: Serve, make_router: MakeRouter) -> None:
    ours = [Answer(status=400), Answer(status=413), Answer(finish="content_filter"), Answer(LONG, finish="length")]
    server = serve(*ours * 5)
    router = make_router(openai=server)
    for _ in range(20):
        await ask(router)
    assert len(server.seen) == 20


async def test_a_success_between_failures_begins_the_count_anew(serve: Serve, make_router: MakeRouter) -> None:
    server = serve(*[*[Answer(status=500)] * 4, Answer(MODEL_WORDS)] * 4)
    router = make_router(openai=server)
    told = [(await ask(router))[0] for _ in range(20)]
    assert told == [*["offline"] * 4, "openai"] * 4
    assert len(server.seen) == 20


async def test_turns_that_a_person_stopped_are_not_the_providers_failures(play: Play, make_router: MakeRouter) -> None:
    script = Switch(Answer(hangs=True))
    server = play(script)
    router = make_router(openai=server, model_breaker_failures=2)
    for number in range(1, 5):
        asking = asyncio.ensure_future(router.complete(new_turn(), question(), playbook=Talker()))
        assert await asyncio.to_thread(server.wait_until, lambda s, n=number: len(s.seen) == n)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    script.heal()
    assert await ask(router) == ["openai"]


async def test_a_trial_that_is_stopped_makes_room_for_another(play: Play, make_router: MakeRouter) -> None:
    script = Switch(Answer(status=500))
    server = play(script)
    router = make_router(openai=server, model_breaker_failures=1, model_breaker_seconds=0.3)
    await ask(router)
    script.answer = Answer(hangs=True)
    trial = asyncio.ensure_future(ask(router))
    while len(server.seen) == 1:
        if trial.done():
            trial = asyncio.ensure_future(ask(router))
        await asyncio.sleep(0)
    trial.cancel()
    await asyncio.gather(trial, return_exceptions=True)
    script.heal()
    answered = ["offline"]
    async with asyncio.timeout(20):
        while answered == ["offline"]:
            answered = await ask(router)
    assert answered == ["openai"]


@pytest.mark.redis
async def test_processes_share_their_breakers_over_redis(play: Play, make_router: MakeRouter, redis_url: str) -> None:
    script = Switch(Answer(status=500))
    server = play(script)
    shared = {"openai": server, "redis_url": redis_url, "model_breaker_seconds": 1}
    one, other = make_router(**shared), make_router(**shared)
    for router in (one, one, one, other, other):
        assert await ask(router) == ["offline"]
    assert len(server.seen) == 5
    while len(server.seen) == 5:
        await asyncio.gather(ask(one, 10), ask(other, 10))
    assert len(server.seen) == 6, "one trial among both"
    assert server.seen[5].at - server.seen[4].at >= 1
    script.heal()
    answered: list[str] = []
    while "openai" not in answered:
        answered = [*itertools.chain(*await asyncio.gather(ask(one, 10), ask(other, 10)))]
    assert len(server.seen) == 7
    assert await asyncio.gather(ask(one), ask(other)) == [["openai"], ["openai"]]


@pytest.mark.redis
async def test_when_redis_dies_each_process_goes_on_from_what_it_knows(
    play: Play, make_router: MakeRouter, redis_server: RedisServer
) -> None:
    server = play(Switch(Answer(status=500)))
    one, other = (make_router(openai=server, redis_url=redis_server.url) for _ in range(2))
    for router in (one, other, one):
        await ask(router)
    redis_server.kill()
    for _ in range(9):
        assert await ask(one) == ["offline"]
    assert len(server.seen) == 5, "it knew of three failures"
    for _ in range(9):
        assert await ask(other) == ["offline"]
    assert 5 + 2 <= len(server.seen) <= 5 + 4, "it knew of its own at the least"


# --- who may be asked at all -----------------------------------------------------------------------


async def test_a_model_without_tools_is_not_asked_for_a_task_with_tools(
    serve: Serve, make_router: MakeRouter, tmp_path: Path
) -> None:
    overlay = """
        [models."openai/words-only"]
        title = "Words only"
        abilities = ["streaming"]
        [roles.content_writer]
        chain = ["anthropic/claude-sonnet-4-6", "openai/words-only"]
    """
    (tmp_path / "catalog.toml").write_text(overlay)
    broken, without_tools = serve(*[Answer(status=500)] * 2), serve(Answer(MODEL_WORDS))
    router = make_router(anthropic=broken, openai=without_tools, data_dir=tmp_path)
    turn, writer = new_turn(), question(role="content_writer")
    assert (await router.complete(turn, writer, playbook=Talker())).provider == "offline"
    assert turn.completions[0].passed_over == ["openai/words-only: no tools"]
    assert (len(broken.seen), len(without_tools.seen)) == (1, 0)
    writer = question(role="content_writer", tools=[])
    assert (await router.complete(new_turn(), writer, playbook=Talker())).provider == "openai"
