"""Breakers: five failures open one, one request is its trial, Redis may come and go. Two objects are two processes."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable

import pytest
import redis.asyncio

from llm.breaker import Breakers, Pass
from tests.conftest import RedisServer, until

REF = "openai/gpt-5.6-terra"
KEY = f"mutirao:breaker:{REF}"
LONG = 60.0

Make = Callable[..., Breakers]


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    made: list[Breakers] = []

    def make_one(redis_url: str | None = None, *, failures: int = 5, seconds: float = LONG) -> Breakers:
        made.append(Breakers(failures=failures, seconds=seconds, redis_url=redis_url))
        return made[-1]

    yield make_one
    for breakers in made:
        await breakers.close()


@pytest.fixture
async def store(redis_url: str) -> AsyncIterator[redis.asyncio.Redis]:
    client = redis.asyncio.Redis.from_url(redis_url, decode_responses=True)
    yield client
    await client.aclose()


@pytest.fixture(params=["one process", "two processes"])
def pair(request: pytest.FixtureRequest, make: Make) -> Callable[..., tuple[Breakers, Breakers]]:
    """Two who ask: over one object without Redis, or over two objects that share one Redis."""

    def make_pair(**limits: float) -> tuple[Breakers, Breakers]:
        if request.param == "one process":
            alone = make(**limits)
            return alone, alone
        url = request.getfixturevalue("redis_url")
        return make(url, **limits), make(url, **limits)

    return make_pair


Pair = Callable[..., tuple[Breakers, Breakers]]


async def enter(breakers: Breakers, lease: float = 30.0) -> Pass:
    return await breakers.enter(REF, lease=lease)


async def fail(breakers: Breakers, times: int) -> list[bool]:
    """Whether the breaker was open after each failure."""
    return [await breakers.failed(await enter(breakers)) for _ in range(times)]


async def enter_when_it_may(breakers: Breakers, seconds: float = 20.0) -> Pass:
    """The first pass that is not refused; each refusal names the wait until it is worth asking again."""
    deadline = time.monotonic() + seconds
    while (permitted := await enter(breakers)).state == "open":
        assert time.monotonic() < deadline, f"still open after {seconds} s"
        await asyncio.sleep(min(permitted.wait + 0.005, 0.05))
    return permitted


async def test_five_failures_in_a_row_open_it_for_everyone(pair: Pair) -> None:
    one, other = pair()
    assert await fail(one, 3) + await fail(other, 2) == [False, False, False, False, True]
    refused = [await enter(one), await enter(other)]
    assert [permitted.state for permitted in refused] == ["open", "open"]
    assert all(LONG - 20 < permitted.wait <= LONG for permitted in refused)
    assert (await one.enter("google/gemini-3.8-flash", lease=1)).state == "closed", "each model has its own"


async def test_an_answer_in_between_begins_the_count_anew(pair: Pair) -> None:
    one, other = pair()
    await fail(one, 4)
    await other.went_well(await enter(other))
    assert await fail(one, 4) == [False] * 4


async def test_what_says_nothing_about_the_model_changes_nothing(pair: Pair) -> None:
    one, other = pair()
    await fail(one, 4)
    for _ in range(9):
        await other.left(await enter(other))
    assert await fail(one, 1) == [True]


async def test_after_its_time_exactly_one_of_many_gets_the_trial(pair: Pair) -> None:
    one, other = pair(seconds=0.3)
    await fail(one, 5)
    states: Counter[str] = Counter()
    deadline = time.monotonic() + 20
    while not states["trial"]:
        assert time.monotonic() < deadline
        asked = await asyncio.gather(*(enter(breakers) for breakers in [one, other] * 20))
        states.update(permitted.state for permitted in asked)
    states.update(permitted.state for permitted in await asyncio.gather(*(enter(one) for _ in range(20))))
    assert states["trial"] == 1
    assert states["closed"] == 0


async def test_a_trial_that_goes_well_closes_it_for_everyone(pair: Pair) -> None:
    one, other = pair(seconds=0.3)
    await fail(one, 5)
    trial = await enter_when_it_may(other)
    assert trial.state == "trial"
    await other.went_well(trial)
    assert [(await enter(breakers)).state for breakers in (one, other)] == ["closed", "closed"]
    assert await fail(one, 4) == [False] * 4, "and the count begins anew"


async def test_a_trial_that_fails_opens_it_for_its_whole_time_again(pair: Pair) -> None:
    one, other = pair(seconds=2.0)
    await fail(one, 5)
    trial = await enter_when_it_may(other)
    failed_at = time.monotonic()
    assert await other.failed(trial)
    refused = await enter(one)
    assert refused.state == "open"
    assert refused.wait > 2.0 - (time.monotonic() - failed_at) - 0.1


async def test_a_trial_that_was_left_goes_to_the_next_who_asks(pair: Pair) -> None:
    one, other = pair(seconds=0.3)
    await fail(one, 5)
    await one.left(await enter_when_it_may(one))
    assert (await enter(other)).state == "trial"


async def test_a_trial_whose_holder_died_is_free_after_its_lease(pair: Pair) -> None:
    one, other = pair(seconds=0.3)
    await fail(one, 5)
    deadline = time.monotonic() + 20
    while (await enter(one, lease=1.0)).state != "trial":
        assert time.monotonic() < deadline
    given = time.monotonic()
    assert (await enter_when_it_may(other)).state == "trial"
    assert time.monotonic() - given >= 0.9


async def test_what_began_before_it_opened_neither_lengthens_nor_ends_it(pair: Pair) -> None:
    one, other = pair()
    early = [await enter(one) for _ in range(7)]
    for permitted in early[:5]:
        await one.failed(permitted)
    before = (await enter(other)).wait
    await one.failed(early[5])
    await one.went_well(early[6])
    after = await enter(other)
    assert after.state == "open"
    assert after.wait <= before + 0.01, "told in whole milliseconds"


async def test_states_say_what_this_process_knows_and_looking_asks_the_others(make: Make, redis_url: str) -> None:
    one, other = make(redis_url, seconds=2.0), make(redis_url, seconds=2.0)
    assert one.states() == {}
    await fail(one, 5)
    assert (one.states(), other.states()) == ({REF: "open"}, {})
    await other.look([REF])
    assert other.states() == {REF: "open"}
    trial = await enter_when_it_may(one)
    await other.look([REF])
    assert (one.states(), other.states()) == ({REF: "trial"}, {REF: "trial"})
    await one.went_well(trial)
    assert (one.states(), other.states()) == ({REF: "closed"}, {REF: "trial"})
    await other.look([REF])
    assert other.states() == {REF: "closed"}, "closed by another, and nothing was asked here since"


async def test_when_its_time_is_over_it_is_told_to_wait_for_its_trial_and_is_not_told_open(make: Make) -> None:
    breakers = make(seconds=0.2)
    await fail(breakers, 5)
    await until(lambda: breakers.states() == {REF: "trial"})
    assert (await enter(breakers)).state == "trial"
    assert breakers.states() == {REF: "trial"}


@pytest.mark.parametrize("shared", [False, True])
async def test_looking_keeps_nothing_alive_that_nobody_reports_on(
    shared: bool, make: Make, request: pytest.FixtureRequest
) -> None:
    breakers = make(request.getfixturevalue("redis_url") if shared else None, seconds=0.1)
    await fail(breakers, 5)
    deadline = time.monotonic() + 20  # it is forgotten after ten times 0.1 s
    while breakers.states() != {REF: "closed"}:
        assert time.monotonic() < deadline
        await breakers.look([REF])
        await asyncio.sleep(0.02)


async def test_looking_into_a_redis_that_was_wiped_or_went_away_makes_nobody_forget(
    make: Make, redis_server: RedisServer, redis_url: str, store: redis.asyncio.Redis
) -> None:
    breakers = make(redis_url)
    await fail(breakers, 5)
    await store.flushall()
    await breakers.look([REF])
    assert breakers.states() == {REF: "open"}
    assert await store.keys("*") == []
    redis_server.kill()
    await breakers.look([REF])
    assert breakers.states() == {REF: "open"}


async def test_a_healthy_model_costs_one_command_for_each_request(
    make: Make, redis_url: str, store: redis.asyncio.Redis
) -> None:
    breakers = make(redis_url)
    for _ in range(10):
        await breakers.went_well(await enter(breakers))
    told = await store.info("commandstats")
    assert told["cmdstat_evalsha"]["calls"] == 11, "ten, and one that loaded the script"
    assert await store.keys("*") == []


# --- Redis comes and goes -------------------------------------------------------------------------


async def test_without_redis_a_breaker_that_was_open_stays_open(
    make: Make, redis_server: RedisServer, redis_url: str
) -> None:
    one, other = make(redis_url), make(redis_url)
    await fail(one, 5)
    assert (await enter(other)).state == "open", "it was told by Redis"
    redis_server.kill()
    assert [(await enter(breakers)).state for breakers in (one, other)] == ["open", "open"]


async def test_a_redis_that_dies_in_the_middle_does_not_begin_the_count_anew(
    make: Make, redis_server: RedisServer, redis_url: str
) -> None:
    breakers = make(redis_url)
    await fail(breakers, 3)
    redis_server.kill()
    assert await fail(breakers, 2) == [False, True]


async def test_without_redis_the_trial_of_a_process_goes_on(
    make: Make, redis_server: RedisServer, redis_url: str
) -> None:
    breakers = make(redis_url, seconds=0.3)
    await fail(breakers, 5)
    trial = await enter_when_it_may(breakers)
    redis_server.kill()
    assert (await enter(breakers)).state == "open"
    await breakers.went_well(trial)
    assert (await enter(breakers)).state == "closed"


async def test_a_redis_that_was_wiped_is_told_what_is_open(
    make: Make, redis_url: str, store: redis.asyncio.Redis
) -> None:
    one, other = make(redis_url), make(redis_url)
    await fail(one, 5)
    await store.flushall()
    await store.script_flush()
    assert (await enter(one)).state == "open"
    told = await enter(other)
    assert told.state == "open"
    assert told.wait <= LONG, "and no longer than it would have been"


async def test_a_breaker_that_another_closed_is_not_opened_by_who_remembers_it_open(make: Make, redis_url: str) -> None:
    one, other = make(redis_url, seconds=0.5), make(redis_url, seconds=0.5)
    await fail(one, 5)
    await other.went_well(await enter_when_it_may(other))
    assert one.states() == {REF: "trial"}, "all it knows is that the time is over"
    assert (await enter(one)).state == "closed"


@pytest.mark.parametrize(
    ("field", "junk"),
    [
        ("open_until", "for ever"),
        ("open_until", "nan"),
        ("open_until", "inf"),
        ("open_until", "99999999999999"),
        ("trial_until", "99999999999999"),
        ("failures", "-7"),
        ("failures", "many"),
    ],
)
async def test_what_is_stored_is_not_trusted(
    field: str, junk: str, make: Make, redis_url: str, store: redis.asyncio.Redis
) -> None:
    breakers = make(redis_url, failures=2, seconds=0.3)
    await store.hset(KEY, mapping={"open_until": "1", "holder": "x", field: junk})
    trial = await enter_when_it_may(breakers)
    await breakers.went_well(trial)
    assert (await enter(breakers)).state == "closed"


async def test_a_key_of_another_kind_is_replaced(make: Make, redis_url: str, store: redis.asyncio.Redis) -> None:
    breakers = make(redis_url)
    await store.set(KEY, "who put this here?")
    assert await fail(breakers, 5) == [False, False, False, False, True]
    assert await store.type(KEY) == "hash"


async def test_states_do_not_stay_in_redis_for_ever(make: Make, redis_url: str, store: redis.asyncio.Redis) -> None:
    await fail(make(redis_url), 5)
    assert 0 < await store.ttl(KEY) <= 10 * LONG


async def test_a_redis_that_does_not_answer_is_left_alone_for_a_while(make: Make) -> None:
    connections: list[asyncio.StreamWriter] = []

    async def take(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    breakers = make(f"redis://127.0.0.1:{port}/0")
    started = time.monotonic()
    assert await fail(breakers, 5) == [False, False, False, False, True]
    assert time.monotonic() - started < 3
    assert len(connections) == 1
    for writer in connections:
        writer.close()
    server.close()
