"""The job of four turns in a process of its own: `python -m bench.side_by_side.load URL`, prints the figures as JSON.

URL is that of a model of fixed latency (bench/model.py). One process, so that its memory and its start are the
product's; conversations at a time: 1 (streaming, CPU by turn), 16 and 64.
"""

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

from bench.side_by_side.job import ANSWERS, TURNS, own_job
from bench.side_by_side.product import Product, open_product
from core.door import Reply
from core.ids import new_id
from core.turn import Event, TextChunk

AT_ONCE = (16, 64)
_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class JobTurnTime:
    """Milliseconds of one turn; `first` is until the first text was shown. CPU is this process's."""

    kind: str
    first: float
    end: float
    cpu: float
    model_calls: int
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True)
class Crowd:
    """Many conversations at a time: waits of single turns in milliseconds, and what went through."""

    at_once: int
    turns: int
    p50: float
    p99: float
    turns_per_second: float
    cpu: float
    """Milliseconds a turn."""


@dataclass(frozen=True)
class JobFigures:
    cold: float
    """Seconds from the start of the process until the first answer."""
    memory_mb: float
    alone: list[JobTurnTime] = field(default_factory=list)
    crowds: list[Crowd] = field(default_factory=list)


async def measure(
    url: str, rounds: int = 8, at_once: Sequence[int] = AT_ONCE, dsns: tuple[str, str] | None = None
) -> JobFigures:
    """`rounds` conversations one after the other, and twice as many conversations as there are at a time."""
    async with open_product(url, own_job(), dsns) as product:
        await one_turn(product, new_id("conv"), "campaigns")
        cold = time.time() - psutil.Process().create_time()
        await _conversation(product)
        alone = [one for _ in range(rounds) for one in await _conversation(product)]
        crowds = [await _crowd(product, lanes) for lanes in at_once]
        memory = psutil.Process().memory_info().rss / 1e6
    return JobFigures(cold, memory, alone, crowds)


async def _crowd(product: Product, lanes: int) -> Crowd:
    waits: list[float] = []
    left = list(range(2 * lanes))

    async def lane() -> None:
        while left:
            left.pop()
            waits.extend(one.end for one in await _conversation(product))

    cpu, began = time.process_time(), time.perf_counter()
    await asyncio.gather(*(lane() for _ in range(lanes)))
    cpu, seconds = time.process_time() - cpu, time.perf_counter() - began
    waits.sort()
    p99 = waits[min(len(waits) - 1, int(len(waits) * 0.99))]
    return Crowd(lanes, len(waits), statistics.median(waits), p99, len(waits) / seconds, cpu / len(waits) * 1000)


async def _conversation(product: Product) -> list[JobTurnTime]:
    conversation = new_id("conv")
    return [await one_turn(product, conversation, kind) for kind in TURNS]


async def one_turn(product: Product, conversation: str, kind: str) -> JobTurnTime:
    """One turn. RuntimeError when the answer is not the model's: its time would be that of something else."""
    shown: list[float] = []

    def watch(event: Event) -> None:
        if isinstance(event, TextChunk) and not shown:
            shown.append(time.perf_counter())

    cpu, began = time.process_time(), time.perf_counter()
    reply: Reply = await product.turn(conversation, TURNS[kind].text, watch)
    cpu, ended = time.process_time() - cpu, time.perf_counter()
    if reply.ended != "done" or not reply.text.startswith(ANSWERS[kind]):
        raise RuntimeError(f"{kind} ended {reply.ended!r} with {reply.text[:200]!r}")
    return JobTurnTime(
        kind=kind,
        first=((shown[0] if shown else ended) - began) * 1000,
        end=(ended - began) * 1000,
        cpu=cpu * 1000,
        model_calls=reply.usage.model_calls,
        prompt_tokens=reply.usage.prompt_tokens,
        completion_tokens=reply.usage.completion_tokens,
    )


async def in_a_process_of_its_own(url: str, rounds: int) -> JobFigures:
    """As `measure`, measured from outside of this process."""
    command = [sys.executable, "-m", "bench.side_by_side.load", url, str(rounds)]
    process = await asyncio.create_subprocess_exec(*command, cwd=_ROOT, stdout=asyncio.subprocess.PIPE)
    told = json.loads((await process.communicate())[0].splitlines()[-1])
    return JobFigures(
        told["cold"],
        told["memory_mb"],
        [JobTurnTime(**one) for one in told["alone"]],
        [Crowd(**one) for one in told["crowds"]],
    )


if __name__ == "__main__":
    print(json.dumps(asdict(asyncio.run(measure(sys.argv[1], int(sys.argv[2]))))))
