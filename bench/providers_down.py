"""How long people wait while every provider of models is away: `python -m bench.providers_down`.

50 people ask at once, each in a conversation of their own, twice: when the providers have just gone, and when their
breakers are open. At the product's own limits, in four ways of being away. Every answer must be the playbook's, say
that no model answered, and have ended well; else there is no figure but an error.
"""

import argparse
import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from bench.machine import ForeignLoad, Machine
from bench.report import Figure, median, p95, table
from bench.turns import KINDS, Bench, open_bench
from core.door import IncomingMessage, Reply
from core.ids import new_id
from core.settings import Settings
from core.turn import silent
from evals.stand_in import Answer, StandIn, Unreachable

PEOPLE = 50
FIRST, OPEN = 5.0, 3.0
"""Seconds that 95 of 100 people wait at most: when the providers have just gone, and once the breakers are open."""
PROVIDERS = ("anthropic", "openai", "google")
WAYS = {
    "refuse connections": "refused",
    "answer 500": "500",
    "cannot be connected to": "deaf",
    "take requests and are silent": "hanging",
}
_ANSWERS = {"500": Answer(status=500), "hanging": Answer(hangs=True)}


def main() -> None:
    arguments = argparse.ArgumentParser(prog="python -m bench.providers_down", description=__doc__)
    arguments.add_argument("--people", type=int, default=PEOPLE, help=f"who ask at once ({PEOPLE})")
    arguments.add_argument("--serve", choices=sorted(_ANSWERS), help=argparse.SUPPRESS)
    chosen = arguments.parse_args()
    if chosen.serve:
        with StandIn(lambda _: _ANSWERS[chosen.serve]) as server:
            print(server.url, flush=True)
            threading.Event().wait()
    machine = Machine.now()
    figures = [figure for row, way in WAYS.items() for figure in asyncio.run(measure(row, way, chosen.people))]
    print(table(machine, figures))


async def measure(row: str, way: str, people: int) -> list[Figure]:
    """The figures of one way of being away."""
    with providers_away(way) as settings:
        async with open_bench(settings) as bench:
            await wave(bench, 1)  # first uses are not what is measured; one failure opens no breaker
            just_gone, left_alone = await wave(bench, people), await wave(bench, people)
    if asked := sum(reply.usage.model_calls for reply in left_alone.replies):
        raise RuntimeError(f"{asked} requests while the breakers should be open")
    group = f"{people} people at once, every provider away: seconds until the whole answer"
    return [
        Figure(group, row, "just gone, p50", median(just_gone.seconds)),
        Figure(group, row, "just gone, p95", p95(just_gone.seconds), FIRST),
        Figure(group, row, "requests", sum(reply.usage.model_calls for reply in just_gone.replies)),
        Figure(group, row, "breakers open, p50", median(left_alone.seconds)),
        Figure(group, row, "breakers open, p95", p95(left_alone.seconds), OPEN),
        Figure(group, row, "own CPU then", left_alone.cpu),
        Figure(group, row, "cores busy with others", left_alone.foreign),
    ]


@contextmanager
def providers_away(way: str) -> Iterator[Settings]:
    """Settings whose three providers are all away."""
    with ExitStack() as stack:
        named: dict[str, str] = {}
        for provider in PROVIDERS:
            if way in _ANSWERS:
                url = stack.enter_context(_server(way))
            else:
                url = stack.enter_context(Unreachable("refused" if way == "refused" else "deaf")).url
            named[f"{provider}_base_url"] = f"{url}/v1" if provider == "openai" else url
        yield Settings(log_level="ERROR", **named)


@contextmanager
def _server(way: str) -> Iterator[str]:
    """The address of a provider in a process of its own, so that its CPU is not ours."""
    command = [sys.executable, "-m", "bench.providers_down", "--serve", way]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


@dataclass(frozen=True)
class Wave:
    replies: list[Reply]
    seconds: list[float]
    cpu: float
    """Seconds of this process for all of them."""
    foreign: float
    """Cores that others kept busy meanwhile."""


async def wave(bench: Bench, people: int) -> Wave:
    """So many turns at once. RuntimeError when one was answered in another way than it should be."""

    async def one(number: int) -> tuple[Reply, float]:
        text = KINDS["overview"][number % len(KINDS["overview"])]
        message = IncomingMessage(bench.person, new_id("conv"), text, "chat")
        began = time.perf_counter()
        reply = await bench.services.handle(message, silent)
        return reply, time.perf_counter() - began

    load, cpu = ForeignLoad(bench.folder), time.process_time()
    turns = await asyncio.gather(*(one(number) for number in range(people)))
    cpu, foreign = time.process_time() - cpu, load.cores()
    for reply, _ in turns:
        mark = bench.services.texts.say(reply.language, "turn.models_down")
        if reply.ended != "done" or mark not in reply.text or not reply.tables or reply.usage.models:
            raise RuntimeError(f"not the playbook's answer, marked: {reply.ended}: {reply.text[:300]}")
    return Wave([reply for reply, _ in turns], [seconds for _, seconds in turns], cpu, foreign)


if __name__ == "__main__":
    main()
