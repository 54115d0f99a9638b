"""Breakers and budgets among real processes of the operating system, of which one is killed with what it holds."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from core.tenancy import Role
from tests.conftest import Dsns, Tenants

_ROOT = Path(__file__).parents[2]
_LEASE = 1.0

# Each does what it reads from its standard input, line by line, and tells about it on its standard output.
_ASKS_BREAKER = """
import asyncio, sys, time
from core.telemetry import configure_logging
from llm.breaker import Breakers

REF = "openai/gpt"

async def main(url, lease):
    configure_logging("ERROR")
    breakers = Breakers(failures=5, seconds=0.3, redis_url=url)
    print("ready", flush=True)
    if sys.stdin.readline() == "open it and hold its trial\\n":
        for _ in range(5):
            await breakers.failed(await breakers.enter(REF, lease=lease))
        while (await breakers.enter(REF, lease=lease)).state != "trial":
            await asyncio.sleep(0.02)
        print("trial", time.time(), flush=True)
        await asyncio.Event().wait()
    while True:
        for permitted in await asyncio.gather(*(breakers.enter(REF, lease=30.0) for _ in range(5))):
            if permitted.state == "trial":
                print("trial", time.time(), flush=True)
                await asyncio.sleep(0.2)  # how long the model takes
                await breakers.went_well(permitted)
            if permitted.state == "closed":
                return print("closed", flush=True)
        await asyncio.sleep(0.02)

asyncio.run(main(sys.argv[1], float(sys.argv[2])))
"""

_SPENDS = """
import asyncio, sys
from datetime import timedelta
from core.clock import FixedClock
from core.db import Database
from core.tenancy import Identity, Role
from llm.budget import Budgets
from llm.budget_book import Budget
from core.telemetry import configure_logging
from tests.llm.test_budget import ONE, a_turn, ask, call

async def main(dsn, tenant_id, user_id):
    configure_logging("ERROR")
    clock, db = FixedClock(), Database(dsn)
    await db.open()
    budgets = Budgets(db, clock, tenant=Budget(ONE * 20), agent=Budget())  # the ceiling is half above: 30 requests
    who = Identity(tenant_id, user_id, Role.ADMIN, "Ana", "ana@example.com")
    turns = [a_turn(who, clock, f"turn_{tenant_id[-6:]}_{id(db)}_{n}") for n in range(10)]

    async def until_refused(turn):
        done = 0
        while await call(budgets, turn):
            done += 1
        return done

    print("ready", flush=True)
    while order := (await asyncio.to_thread(sys.stdin.readline)).strip():
        if order == "later":
            clock.advance(timedelta(minutes=10, seconds=1))
        if order == "reserve":
            print(sum([(await ask(budgets, turns[n])).granted for n in range(8)]), flush=True)
        elif order == "three":
            done = [await call(budgets, turns[n]) for n in range(3)]
            await budgets.close()  # counted
            print(sum(done), flush=True)
        else:
            print(sum(await asyncio.gather(*map(until_refused, turns))), flush=True)
    await budgets.close()
    await db.close()

asyncio.run(main(*sys.argv[1:]))
"""


class Process:
    """A Python of its own that is told lines and tells lines."""

    def __init__(self, script: str, *arguments: str) -> None:
        self._running = subprocess.Popen(
            [sys.executable, "-c", script, *arguments],
            cwd=_ROOT,
            env={**os.environ, "PYTHONPATH": str(_ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self._too_late = threading.Timer(60.0, self._running.kill)  # what hangs ends the test, not the run
        self._too_late.start()

    def told(self) -> list[str]:
        """The words of the next line, none when it is over."""
        assert self._running.stdout is not None
        return self._running.stdout.readline().split()

    def tell(self, line: str) -> None:
        assert self._running.stdin is not None
        self._running.stdin.write(f"{line}\n")

    def kill(self) -> None:
        """As by SIGKILL: it cannot say goodbye to anybody."""
        self._too_late.cancel()
        self._running.kill()
        self._running.wait()
        for end in (self._running.stdin, self._running.stdout):
            assert end is not None
            end.close()


Start = Callable[..., list[Process]]


@pytest.fixture
def start() -> Iterator[Start]:
    """`start(3, script, arguments…)`: processes that have imported what they need."""
    with ExitStack() as stack:

        def start_some(number: int, script: str, *arguments: str) -> list[Process]:
            begun = []
            for _ in range(number):
                begun.append(Process(script, *arguments))
                stack.callback(begun[-1].kill)
            assert [process.told() for process in begun] == [["ready"]] * number
            return begun

        yield start_some


def test_the_trial_of_a_killed_process_goes_to_exactly_one_other_after_its_lease(start: Start, redis_url: str) -> None:
    holder, *others = start(3, _ASKS_BREAKER, redis_url, str(_LEASE))
    holder.tell("open it and hold its trial")
    _, given = holder.told()
    holder.kill()
    for other in others:
        other.tell("ask")
    told = []
    for other in others:
        while line := other.told():
            told.append(line)
    trials = [float(moment[0]) for word, *moment in told if word == "trial"]
    assert len(trials) == 1
    assert trials[0] - float(given) > _LEASE - 0.1
    assert told.count(["closed"]) == 2, "its good end is known to all"


def test_ten_runs_in_each_of_two_processes_make_no_request_above_the_ceiling(
    start: Start, dsns: Dsns, tenants: Tenants
) -> None:
    who = tenants.one[Role.ADMIN]
    both = start(2, _SPENDS, dsns.app, who.tenant_id, who.user_id)
    for process in both:
        process.tell("race")
    assert sum(int(process.told()[0]) for process in both) == 30


def test_what_a_killed_process_had_reserved_is_held_for_ten_minutes_and_then_free(
    start: Start, dsns: Dsns, tenants: Tenants
) -> None:
    who = tenants.one[Role.ADMIN]
    killed, other = start(2, _SPENDS, dsns.app, who.tenant_id, who.user_id)
    killed.tell("three")
    assert killed.told() == ["3"]
    killed.tell("reserve")
    assert killed.told() == ["8"]
    killed.kill()
    other.tell("race")
    assert other.told() == ["19"]
    other.tell("later")
    assert other.told() == ["8"]
