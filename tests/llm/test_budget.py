"""What the models of a tenant may cost a day, on a real database; two pools of connections stand for two processes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from business.people.service import People
from core.audit import verify_chain
from core.clock import FixedClock
from core.db import Database
from core.errors import ArgumentsWrong, Refused
from core.settings import Settings
from core.tenancy import Identity, Role
from core.turn import ModelCall, Turn
from evals.stand_in import Answer, StandIn
from llm.budget import Admission, Budgets
from llm.budget_book import MOST_TOKENS, Budget, Change, Spent
from llm.catalog import Model
from llm.messages import Usage
from llm.prices import price_usd
from llm.router import Router
from tests.conftest import Dsns, Tenants, until
from tests.llm.conftest import question

PRICED = Model("openai", "gpt-5.6-luna", "Luna", 100_000, frozenset({"tools"}))
UNPRICED = Model("compatible", "some-model", "Some model", 32_000, frozenset({"tools"}))
ROLE = "ads_analyst"
PROMPT, ANSWER = 1_000, 200
ONE = price_usd(PRICED, Usage(PROMPT, ANSWER)) or Decimal(0)
"""What one request of these tests costs in US dollars."""

Open = Callable[..., Awaitable[Budgets]]


@pytest.fixture
async def open_budgets(dsns: Dsns, clock: FixedClock) -> AsyncIterator[Open]:
    """Budgets over connections of their own, as another process has them: `await open_budgets(usd=ONE * 10)`."""
    opened: list[tuple[Budgets, Database]] = []

    async def open_one(
        usd: Decimal | None = None, tokens: int | None = None, *, agent: Budget | None = None, **more: Any
    ) -> Budgets:
        db = Database(dsns.app)
        await db.open()
        budgets = Budgets(db, clock, tenant=Budget(usd, tokens), agent=agent or Budget(), **more)
        opened.append((budgets, db))
        return budgets

    yield open_one
    for budgets, db in opened:
        await budgets.close()
        await db.close()


def a_turn(who: Identity, clock: FixedClock, name: str = "turn_1") -> Turn:
    return Turn(name, who, "conv_1", "terminal", "Quanto gastei?", "pt-BR", clock.now())


def used(
    prompt: int = PROMPT, answer: int = ANSWER, cost: Decimal | None = ONE, failure: str | None = None
) -> ModelCall:
    return ModelCall(PRICED.provider, PRICED.name, ROLE, prompt, answer, 0, cost, 0.1, failure)


async def ask(budgets: Budgets, turn: Turn, model: Model = PRICED, role: str = ROLE) -> Admission:
    return await budgets.admit(turn, role, model, PROMPT, ANSWER)


async def call(budgets: Budgets, turn: Turn, done: ModelCall | None = None, role: str = ROLE) -> bool:
    """One whole request; False when it was not admitted."""
    admission = await ask(budgets, turn, role=role)
    if admission.granted:
        await asyncio.sleep(0)
        await budgets.settle(turn, admission, done or used())
    return admission.granted


async def counted(budgets: Budgets, tenant_id: str) -> Spent:
    """What is counted today once everything that is over has reached the database."""
    await budgets.close()
    return (await budgets.standing(tenant_id))[0].spent


def keys(turn: Turn) -> list[str]:
    return [key for key, _ in turn.notices]


# --- the ceiling ------------------------------------------------------------------------------


async def test_twenty_racing_runs_in_two_processes_pass_the_ceiling_by_less_than_one_request(
    open_budgets: Open, tenants: Tenants, clock: FixedClock
) -> None:
    budget = ONE * 20  # the ceiling is 30 requests; half a request more makes the last one pass it
    houses = [await open_budgets(budget + ONE / 3), await open_budgets(budget + ONE / 3)]
    turns = [a_turn(tenants.one[Role.ADMIN], clock, f"turn_{n}") for n in range(20)]

    async def run(n: int) -> int:
        done = 0
        while await call(houses[n % 2], turns[n]):
            done += 1
        return done

    done = await asyncio.gather(*(run(n) for n in range(20)))
    await houses[0].close()
    spent = await counted(houses[1], tenants.one.id)
    assert spent.requests == sum(done) == 31  # 30.5 requests are the ceiling
    assert spent.usd == ONE * 31
    assert sum("budget.spent" in keys(turn) for turn in turns) == 20
    assert [keys(turn).count("budget.spent") for turn in turns] == [1] * 20


async def test_what_is_on_its_way_counts_as_spent_until_it_is_known(
    open_budgets: Open, tenants: Tenants, clock: FixedClock
) -> None:
    houses = [await open_budgets(ONE * 2) for _ in range(4)]
    turns = [a_turn(tenants.one[Role.ADMIN], clock, f"turn_{n}") for n in range(20)]
    admissions = await asyncio.gather(*(ask(houses[n % 4], turn) for n, turn in enumerate(turns)))
    assert sum(admission.granted for admission in admissions) == 3
    refused = next(turn for turn, admission in zip(turns, admissions, strict=True) if not admission.granted)
    assert [told["in_flight"] for _, told in refused.notices] == [True], "it is not used up: others hold the rest"
    for n, (turn, admission) in enumerate(zip(turns, admissions, strict=True)):
        await houses[n % 4].settle(turn, admission, used(10, 0, Decimal("0.00000001")))
    for budgets in houses:
        await budgets.close()
    assert await call(houses[0], refused), "the requests turned out small, so others may follow"


async def test_a_budget_of_tokens_stops_models_whose_price_nobody_knows(
    open_budgets: Open, tenants: Tenants, clock: FixedClock
) -> None:
    budgets = await open_budgets(ONE * 100, (PROMPT + ANSWER) * 2)
    turn = a_turn(tenants.one[Role.ADMIN], clock)
    for expected in (True, True, True, False):
        admission = await ask(budgets, turn, UNPRICED)
        assert admission.granted is expected
        assert admission.usd is None
        await budgets.settle(turn, admission, used(cost=None))
    spent = await counted(budgets, tenants.one.id)
    assert (spent.requests, spent.unpriced, spent.tokens) == (3, 3, 3 * (PROMPT + ANSWER))
    assert spent.usd == 0


async def test_an_agent_has_a_budget_of_its_own_and_the_others_go_on(
    open_budgets: Open, tenants: Tenants, clock: FixedClock
) -> None:
    budgets = await open_budgets(ONE * 100, agent=Budget(ONE * 2))
    turn = a_turn(tenants.one[Role.ADMIN], clock)
    assert [await call(budgets, turn) for _ in range(5)] == [True] * 3 + [False] * 2
    assert await call(budgets, turn, role="router")
    [told] = [told for key, told in turn.notices if key == "budget.spent"]
    assert told["agent"] == ROLE
    assert budgets.share(tenants.one.id, ROLE) == pytest.approx(1.5)
    assert budgets.share(tenants.one.id, "router") == pytest.approx(0.03)


async def test_a_budget_of_nothing_asks_no_model_and_no_budget_stops_none(
    open_budgets: Open, tenants: Tenants, clock: FixedClock
) -> None:
    nothing, unlimited = await open_budgets(Decimal(0)), await open_budgets()
    turn, other = a_turn(tenants.one[Role.ADMIN], clock), a_turn(tenants.other[Role.ADMIN], clock)
    assert not (await nothing.admit(turn, ROLE, PRICED, PROMPT, ANSWER, needed=False)).granted
    assert keys(turn) == [], "it was to be asked beside another, which goes on"
    assert not await call(nothing, turn)
    assert keys(turn) == ["budget.spent"]
    assert nothing.share(tenants.one.id, ROLE) == float("inf")
    assert await call(unlimited, other)
    assert unlimited.share(tenants.other.id, ROLE) is None
    assert (await counted(unlimited, tenants.other.id)).usd == ONE, "it is counted all the same"


async def test_midnight_of_the_tenants_own_time_zone_begins_a_new_budget(
    open_budgets: Open, people: People, clock: FixedClock
) -> None:
    clock.at = datetime(2026, 11, 21, 2, 59, tzinfo=UTC)  # in São Paulo 23:59 on the 20th, in Tokyo noon on the 21st
    whos = []
    for slug, zone in (("sp", "America/Sao_Paulo"), ("jp", "Asia/Tokyo")):
        tenant = await people.add_tenant(slug, slug=slug, time_zone=zone)
        user = await people.add_user(tenant.id, f"a@{slug}.example", "A", Role.ADMIN, None)
        whos.append(await people.identity(tenant.id, user.id))
    budgets = await open_budgets(ONE)
    late = None
    for who in whos:
        turn = a_turn(who, clock)
        assert [await call(budgets, turn), await ask(budgets, turn)][0]
        late = late or turn
        assert not (await ask(budgets, turn)).granted
    assert late is not None
    assert dict(late.notices)["budget.spent"]["day"] == "21/11/2026"
    clock.advance(timedelta(minutes=1))
    assert budgets.share(whos[0].tenant_id, ROLE) is None, "nothing is known of the new day"
    assert [(await ask(budgets, a_turn(who, clock))).granted for who in whos] == [True, False]
    assert [(await budgets.standing(who.tenant_id))[0].day for who in whos] == [date(2026, 11, 21)] * 2


# --- counted once -----------------------------------------------------------------------------


async def test_a_failed_request_costs_nothing_and_its_fallback_is_counted_once(
    open_budgets: Open, tenants: Tenants, clock: FixedClock
) -> None:
    budgets = await open_budgets(ONE * 10)
    turn = a_turn(tenants.one[Role.ADMIN], clock)
    first = await ask(budgets, turn)
    await budgets.settle(turn, first, used(0, 0, None, failure="unavailable"))
    second = await ask(budgets, turn)
    for _ in range(3):
        await budgets.settle(turn, second, used())
    spent = await counted(budgets, tenants.one.id)
    assert (spent.requests, spent.unpriced, spent.usd) == (1, 0, ONE)
    assert (await budgets.standing(tenants.one.id))[0].in_flight == Budget(Decimal(0), 0)


async def test_a_given_up_request_that_had_begun_to_answer_is_counted_with_its_estimate(
    open_budgets: Open, tenants: Tenants, clock: FixedClock
) -> None:
    budgets = await open_budgets(ONE * 10)
    turn = a_turn(tenants.one[Role.ADMIN], clock)
    loser = await ask(budgets, turn)
    winner = await ask(budgets, turn)
    await budgets.settle(turn, winner, used())
    lost = replace(used(cost=ONE / 2, failure="timeout"), hedge=True, estimated=True)
    await budgets.settle(turn, loser, lost)
    spent = await counted(budgets, tenants.one.id)
    assert (spent.requests, spent.usd) == (2, ONE * 3 / 2)


async def test_a_provider_that_tells_absurd_figures_does_not_stop_the_counting(
    open_budgets: Open, tenants: Tenants, clock: FixedClock
) -> None:
    budgets = await open_budgets()
    turn = a_turn(tenants.one[Role.ADMIN], clock)
    assert await call(budgets, turn, used(10**30, -5, Decimal("-3")))
    assert await call(budgets, turn)
    spent = await counted(budgets, tenants.one.id)
    assert (spent.requests, spent.prompt_tokens, spent.usd) == (2, MOST_TOKENS + PROMPT, ONE)


async def test_a_tenant_that_is_gone_is_no_odd_error_of_a_request(open_budgets: Open, clock: FixedClock) -> None:
    budgets = await open_budgets()
    turn = a_turn(Identity("tenant_gone", "user_1", Role.ADMIN, "Ana", "ana@example.com"), clock)
    for _ in range(2):
        assert await call(budgets, turn)


async def test_what_was_told_twice_because_an_answer_was_lost_is_counted_once(
    open_budgets: Open, tenants: Tenants, clock: FixedClock, owner_dsn: str
) -> None:
    budgets = await open_budgets(ONE * 10)
    turn = a_turn(tenants.one[Role.ADMIN], clock)
    for reserved in (True, False):
        admission = await ask(budgets, turn)
        admission.reserved = reserved
        again = replace(admission)
        await budgets.settle(turn, admission, used())
        await budgets.close()
        await budgets.settle(turn, again, used())
        await budgets.close()
    assert (await counted(budgets, tenants.one.id)).requests == 2


async def test_a_cancelled_request_gives_its_reservation_back(
    open_budgets: Open, tenants: Tenants, clock: FixedClock
) -> None:
    budgets = await open_budgets(ONE * 1_000)
    turn = a_turn(tenants.one[Role.ADMIN], clock)
    for wait in (0, 0.0002, 0.001, 0.003):
        task = asyncio.create_task(ask(budgets, turn))
        with suppress(asyncio.CancelledError):
            await asyncio.wait([task], timeout=wait)
            if not task.done():
                task.cancel()
            admission = await task
            await budgets.settle(turn, admission, used(0, 0, None, failure="stopped"))
    assert (await counted(budgets, tenants.one.id)).requests == 0
    assert (await budgets.standing(tenants.one.id))[0].in_flight == Budget(Decimal(0), 0)


async def test_what_a_killed_process_reserved_is_free_after_ten_minutes_and_counted_if_it_ends_after_all(
    open_budgets: Open, tenants: Tenants, clock: FixedClock
) -> None:
    killed, alive = await open_budgets(ONE * 2), await open_budgets(ONE * 2)
    turn = a_turn(tenants.one[Role.ADMIN], clock)
    left = [await ask(killed, turn) for _ in range(3)]
    clock.advance(timedelta(minutes=9, seconds=59))
    assert not (await ask(alive, turn)).granted
    clock.advance(timedelta(seconds=2))
    assert (await ask(alive, turn)).granted
    await killed.settle(turn, left[0], used())  # it was only asleep
    assert (await counted(killed, tenants.one.id)).requests == 1


async def test_what_is_over_is_counted_soon_without_another_request(
    open_budgets: Open, tenants: Tenants, clock: FixedClock, owner_dsn: str
) -> None:
    budgets = await open_budgets(ONE * 1_000)
    assert await call(budgets, a_turn(tenants.one[Role.ADMIN], clock))

    def seen() -> bool:
        with psycopg.connect(owner_dsn) as conn:
            return conn.execute("SELECT usd FROM model_spending").fetchall() == [(ONE,)]

    await until(seen)


# --- alerts -----------------------------------------------------------------------------------


async def test_each_mark_is_told_once_however_many_runs_race(
    open_budgets: Open, tenants: Tenants, clock: FixedClock
) -> None:
    houses = [await open_budgets(ONE * 40, agent=Budget(tokens=(PROMPT + ANSWER) * 20)) for _ in range(2)]
    turns = [a_turn(tenants.one[Role.DIRETOR], clock, f"turn_{n}") for n in range(20)]

    async def run(n: int) -> None:
        role = (ROLE, "router", "judge")[n % 3]
        while await call(houses[n % 2], turns[n], role=role):
            pass

    await asyncio.gather(*(run(n) for n in range(20)))
    for budgets in houses:
        await budgets.close()
    found = [(alert.role, alert.percent) for alert in await houses[0].alerts(tenants.one.id)]
    assert len(found) == len(set(found))
    assert {("", 80), ("", 120)} <= set(found)
    told = [(told["agent"], told["percent"]) for turn in turns for key, told in turn.notices if key == "budget.alert"]
    assert sorted(told) == sorted(found), "every one of them reached exactly one turn"


async def test_the_turn_that_reaches_a_mark_is_the_one_that_tells(
    open_budgets: Open, tenants: Tenants, clock: FixedClock
) -> None:
    budgets = await open_budgets(ONE * 10, rate_brl=Decimal("5.40"))
    turns = [a_turn(tenants.one[Role.ADMIN], clock, f"turn_{n}") for n in range(15)]
    for turn in turns:
        assert await call(budgets, turn, used(cost=ONE))
    assert [n for n, turn in enumerate(turns, 1) if turn.notices] == [8, 12]
    [(_, told)] = turns[7].notices
    assert (told["percent"], told["unit"], told["agent"], told["ceiling"]) == (80, "usd", "", 150)
    assert told["spent"].startswith("US$ ")
    assert "R$ " in told["spent"]
    assert budgets.share(tenants.one.id, ROLE) == pytest.approx(1.5)


async def test_one_large_request_over_both_marks_tells_the_higher_and_keeps_both(
    open_budgets: Open, tenants: Tenants, clock: FixedClock
) -> None:
    budgets = await open_budgets(tokens=(PROMPT + ANSWER))
    turn = a_turn(tenants.one[Role.ADMIN], clock)
    assert await call(budgets, turn, used(PROMPT * 2))
    assert [(told["percent"], told["unit"], told["spent"]) for _, told in turn.notices] == [(120, "tokens", "2.200")]
    assert [alert.percent for alert in await budgets.alerts(tenants.one.id)] == [120, 80]


async def test_whoever_may_not_see_costs_is_not_told_of_them(
    open_budgets: Open, tenants: Tenants, clock: FixedClock
) -> None:
    budgets = await open_budgets(ONE)
    turn = a_turn(tenants.one[Role.CLIENTE], clock)
    while await call(budgets, turn):
        pass
    [(key, told)] = turn.notices
    assert key == "budget.spent"
    assert told["may_change"] is False
    assert len(await budgets.alerts(tenants.one.id)) == 2


async def test_a_changed_budget_has_alerts_of_its_own(open_budgets: Open, tenants: Tenants, clock: FixedClock) -> None:
    budgets = await open_budgets(ONE * 2)
    who = tenants.one[Role.ADMIN]
    assert [await call(budgets, a_turn(who, clock)) for _ in range(2)] == [True, True]
    await budgets.set(who, day_usd=ONE * 10)
    turns = [a_turn(who, clock) for _ in range(6)]
    assert [await call(budgets, turn) for turn in turns] == [True] * 6
    assert [told["percent"] for _, told in turns[-1].notices] == [80]
    assert [alert.percent for alert in await budgets.alerts(tenants.one.id)] == [80, 80]


# --- tenants, and a database that is away -----------------------------------------------------


async def test_two_tenants_neither_see_nor_spend_each_others_budget(
    open_budgets: Open, tenants: Tenants, clock: FixedClock
) -> None:
    budgets = await open_budgets(ONE * 2)
    one, other = tenants.one[Role.ADMIN], tenants.other[Role.ADMIN]
    await budgets.set(other, day_usd=ONE * 4)
    mine, theirs = a_turn(one, clock), a_turn(other, clock)
    assert [await call(budgets, mine) for _ in range(4)] == [True] * 3 + [False]
    assert [await call(budgets, theirs) for _ in range(3)] == [True] * 3
    await budgets.close()
    [mine_line, *_], [their_line, *_] = await budgets.standing(one.tenant_id), await budgets.standing(other.tenant_id)
    assert (mine_line.budget.usd, mine_line.spent.requests, mine_line.own) == (ONE * 2, 3, False)
    assert (their_line.budget.usd, their_line.spent.requests, their_line.own) == (ONE * 4, 3, True)
    assert await budgets.alerts(other.tenant_id) == []


async def test_when_the_database_is_away_the_answer_is_given_and_counted_later(
    open_budgets: Open, tenants: Tenants, clock: FixedClock, dsns: Dsns
) -> None:
    db = Database(dsns.app)
    budgets = Budgets(db, clock, tenant=Budget(ONE), agent=Budget())
    turn = a_turn(tenants.one[Role.ADMIN], clock)
    admission = await ask(budgets, turn)  # its pools are not open: nobody answers
    assert admission.granted
    assert not admission.reserved
    await budgets.settle(turn, admission, used())
    await db.open()
    assert (await counted(budgets, tenants.one.id)).usd == ONE
    await db.close()


async def test_connections_that_broke_meanwhile_cost_neither_the_answer_nor_the_count(
    open_budgets: Open, tenants: Tenants, clock: FixedClock, owner_dsn: str
) -> None:
    budgets = await open_budgets(ONE * 10)
    turn = a_turn(tenants.one[Role.ADMIN], clock)
    assert await call(budgets, turn)
    with psycopg.connect(owner_dsn) as conn:
        conn.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    admission = await ask(budgets, turn)
    assert admission.granted
    assert admission.reserved
    await budgets.settle(turn, admission, used())
    assert (await counted(budgets, tenants.one.id)).requests == 2


# --- changing them ----------------------------------------------------------------------------


async def test_a_budget_can_be_set_lifted_and_given_back_to_the_settings_and_each_change_is_audited(
    open_budgets: Open, tenants: Tenants, database: Database
) -> None:
    budgets = await open_budgets(Decimal(10), agent=Budget(tokens=500))
    who = tenants.one[Role.ADMIN]

    async def line(role: str) -> tuple[Budget, bool]:
        found = {line.role: line for line in await budgets.standing(who.tenant_id)}
        return found[role].budget, found[role].own

    await budgets.set(who, day_usd=Decimal("2.50"), day_tokens=9_000)
    await budgets.set(who, agent=ROLE, day_tokens=Change.NO_BUDGET)
    assert await line("") == (Budget(Decimal("2.50"), 9_000), True)
    assert await line(ROLE) == (Budget(), True)
    await budgets.set(who, day_usd=Change.AS_SETTINGS)
    assert await line("") == (Budget(Decimal(10), 9_000), True)
    await budgets.set(who, day_tokens=Change.AS_SETTINGS)
    assert await line("") == (Budget(Decimal(10)), False)
    async with database.tenant(who.tenant_id) as conn:
        rows = await (
            await conn.execute("SELECT actor, subject, detail FROM audit_log WHERE action = 'budget.set' ORDER BY id")
        ).fetchall()
        assert (await verify_chain(conn)).whole
    assert [(row["subject"], row["detail"]) for row in rows] == [
        ("tenant", {"day_usd": "2.50", "day_tokens": "9000"}),
        (ROLE, {"day_tokens": "none"}),
        ("tenant", {"day_usd": "default"}),
        ("tenant", {"day_tokens": "default"}),
    ]
    assert {row["actor"] for row in rows} == {who.user_id}


@pytest.mark.parametrize("amount", ["-1", "NaN", "Infinity", "100001"])
async def test_an_absurd_budget_is_refused_and_changes_nothing(
    open_budgets: Open, tenants: Tenants, amount: str
) -> None:
    budgets = await open_budgets(Decimal(10))
    with pytest.raises(ArgumentsWrong) as told:
        await budgets.set(tenants.one[Role.ADMIN], day_usd=Decimal(amount))
    assert told.value.code == "budget_absurd"
    assert (await budgets.standing(tenants.one.id))[0].own is False


async def test_only_who_may_change_settings_changes_budgets_and_only_of_agents_that_exist(
    open_budgets: Open, tenants: Tenants
) -> None:
    budgets = await open_budgets(Decimal(10))
    with pytest.raises(Refused) as refused:
        await budgets.set(tenants.one[Role.DIRETOR], day_usd=Decimal(20))
    assert refused.value.code == "role_may_not"
    with pytest.raises(ArgumentsWrong) as unknown:
        await budgets.set(tenants.one[Role.ADMIN], agent="ads_analist", day_usd=Decimal(20))
    assert unknown.value.code == "budget_agent_unknown"
    assert (await budgets.standing(tenants.one.id))[0].own is False


async def test_the_last_days_are_told_with_those_that_had_no_requests(
    open_budgets: Open, tenants: Tenants, clock: FixedClock
) -> None:
    budgets = await open_budgets()
    who = tenants.one[Role.ADMIN]
    for days in (0, 2):
        clock.advance(timedelta(days=days))
        assert await call(budgets, a_turn(who, clock))
        assert await call(budgets, a_turn(who, clock), role="router")
    await budgets.close()
    told = await budgets.history(who.tenant_id, 3)
    assert [(day.day, spent.requests) for day, spent in told] == [(22, 2), (21, 0), (20, 2)]
    assert told[0][1].usd == ONE * 2


# --- through the router -----------------------------------------------------------------------


class Sentence:
    """A playbook that always has the same answer."""

    def next_step(self) -> str:
        return "Gastou R$ 12,34."


async def test_twenty_turns_of_two_routers_stop_at_the_ceiling_and_failed_providers_cost_nothing(
    open_budgets: Open, tenants: Tenants, clock: FixedClock
) -> None:
    turns = [a_turn(tenants.one[Role.CLIENTE], clock, f"turn_{n}") for n in range(20)]
    budgets = [await open_budgets(tokens=2_000) for _ in range(2)]
    with StandIn(lambda _: Answer(status=500)) as broken, StandIn(lambda _: Answer("Gastou muito.")) as whole:
        settings = Settings(
            anthropic_api_key="key-a",
            anthropic_base_url=broken.url,
            openai_api_key="key-o",
            openai_base_url=whole.openai_url,
        )
        routers = [Router.from_settings(settings, budgets=each) for each in budgets]

        async def run(n: int) -> int:
            answered = 0
            while True:
                turns[n].model_calls.clear()  # a turn has limits of its own, which are not meant here
                request = question(max_tokens=200, tools=[])
                answer = await routers[n % 2].complete(turns[n], request, playbook=Sentence())
                if answer.provider == "offline":
                    return answered
                answered += 1

        answered = sum(await asyncio.gather(*(run(n) for n in range(20))))
        for router in routers:
            await router.close()
    await budgets[0].close()
    spent = await counted(budgets[1], tenants.one.id)
    assert spent.requests == answered == len(whole.seen), "the fallback is counted, what failed before it is not"
    assert len(broken.seen) >= 5
    assert 2_500 < spent.tokens < 3_000 + spent.tokens // answered
    assert [keys(turn) for turn in turns] == [["budget.spent"]] * 20
    assert all(turn.completions[-1].passed_over[-1].endswith("budget") for turn in turns)
