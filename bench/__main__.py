"""`make bench` = `python -m bench`: measures everything on a data folder of its own, prints a table; no key is needed."""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.machine import ForeignLoad, Machine
from bench.model import model_of_fixed_latency
from bench.parts import Sampler
from bench.report import Figure, median, p95, table, write_json
from bench.server import ChatTurn, Page, chat_turns, serve
from bench.turns import KINDS, Bench, Timed, open_bench
from core.settings import Settings

FIRST_PAGE, FIRST_TEXT, WHOLE_TURN, OWN_CPU = 10.0, 500.0, 2_000.0, 60.0
MODEL_CALLS = {"overview": 2, "diagnose": 2, "follow-up": 2, "small talk": 1}
"""What is promised: seconds; milliseconds, three times; round trips of a model."""


def main() -> None:
    arguments = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    arguments.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    arguments.add_argument("--rounds", type=int, default=20, help="turns of each kind (20)")
    arguments.add_argument("--starts", type=int, default=3, help="warm starts of the server (3)")
    chosen = arguments.parse_args()
    machine = Machine.now()
    with tempfile.TemporaryDirectory(prefix="mutirao-bench-", ignore_cleanup_errors=True) as name:
        tempfile.tempdir = name  # so that every folder of the bench lies in this one, and its processes are known
        load = ForeignLoad(Path(name))
        try:
            figures = asyncio.run(_measure(Path(name), chosen.rounds, chosen.starts))
        finally:
            tempfile.tempdir = None
        foreign = load.cores()
    print(table(machine, figures, foreign))
    if chosen.json:
        write_json(chosen.json, machine, figures, foreign)


async def _measure(folder: Path, rounds: int, starts: int) -> list[Figure]:
    figures = await _served(folder, rounds, starts)
    _tell("turns without a model")
    async with open_bench(Settings(log_level="WARNING")) as bench:
        figures += await offline_figures(bench, rounds)
    _tell("turns with a model of fixed latency")
    with model_of_fixed_latency() as url:
        settings = Settings(log_level="WARNING", model="openai/gpt-5.6-luna", openai_api_key="bench", openai_base_url=url)
        async with open_bench(settings) as bench:
            figures += await model_figures(bench, rounds)
    return figures


# --- the server ---------------------------------------------------------------------------------


async def _served(folder: Path, rounds: int, starts: int) -> list[Figure]:
    _tell("the server: first start")
    with serve(folder) as served:
        first, pages = served.page, []
        await served.settled()
    for number in range(starts):
        _tell(f"the server: warm start {number + 1} of {starts}")
        with serve(folder) as served:
            pages.append(served.page)
            if number < starts - 1:
                continue
            await served.settled()
            memory, cpu = served.memory_mb(), served.cpu()
            _tell("the server: turns through the chat")
            await chat_turns(served, 1)
            warm = served.cpu()
            turns = await chat_turns(served, max(1, 50 // len(KINDS)))
            figures = server_figures(first, pages, memory, served.memory_mb(), turns, served.cpu() - warm)
    return figures


def server_figures(
    first: Page, pages: Sequence[Page], memory: float, memory_after: float, turns: Sequence[ChatTurn], cpu: float
) -> list[Figure]:
    """`memory` in MB after the start and after the turns; `cpu` seconds of the server's process over the turns."""
    group = "mutirao serve, and the chat by its own wire (playbooks, no model)"
    figures = [
        Figure(group, "first page, first start ever", first.seconds, "s"),
        Figure(group, "first page, warm (median)", median([page.seconds for page in pages]), "s", FIRST_PAGE),
        Figure(group, "memory after start", memory, "MB"),
        Figure(group, f"memory after {len(turns)} turns", memory_after, "MB"),
    ]
    for kind in KINDS:
        these = [turn for turn in turns if turn.kind == kind]
        figures += _waits(group, kind, [t.first for t in these], [t.end for t in these])
    figures.append(Figure(group, "CPU per turn with chat and page, mean", cpu / len(turns) * 1000, "ms"))
    return figures


# --- turns in this process ------------------------------------------------------------------------


async def offline_figures(bench: Bench, rounds: int) -> list[Figure]:
    """Waits, CPU and requests per kind of turn, and where the CPU goes."""
    group = "a turn on the playbooks, no model"
    await bench.conversations(len(KINDS["overview"]))  # every language once: first uses are not what is measured
    with Sampler() as sampler:
        turns = await bench.conversations(rounds)
    figures: list[Figure] = []
    for kind in KINDS:
        these = _of(turns, kind)
        figures += _waits(group, kind, [t.first for t in these], [t.end for t in these])
    for kind in KINDS:
        figures.append(Figure(group, f"{kind}: own CPU, median", median([t.cpu for t in _of(turns, kind)]), "ms", OWN_CPU))
    for kind in KINDS:
        figures.append(
            Figure(group, f"{kind}: Graph requests", median([t.graph_requests for t in _of(turns, kind)]), "requests")
        )
    parts = "where the CPU of those turns goes, per turn over all kinds (sampled)"
    figures += [Figure(parts, part, spent / len(turns), "ms") for part, spent in sampler.milliseconds().items()]
    return [*figures, Figure(parts, "together", sampler.cpu / len(turns) * 1000, "ms")]


async def model_figures(bench: Bench, rounds: int) -> list[Figure]:
    """Round trips, tokens, waits and CPU with the stand-in model."""
    group = "a turn with a model of fixed latency (40 ms to the first token, 2 ms per token)"
    await bench.conversations(len(KINDS["overview"]))
    turns = await bench.conversations(rounds)
    figures: list[Figure] = []
    for kind in KINDS:
        these = _of(turns, kind)
        calls = sum(t.model_calls for t in these)
        most = max(t.model_calls for t in these)
        figures.append(Figure(group, f"{kind}: model round trips, most", most, "calls", MODEL_CALLS[kind]))
        if calls:
            prompt, completion = (sum(t.prompt_tokens for t in these), sum(t.completion_tokens for t in these))
            figures.append(Figure(group, f"{kind}: prompt tokens per call", prompt / calls, "tokens"))
            figures.append(Figure(group, f"{kind}: completion tokens per call", completion / calls, "tokens"))
        figures += _waits(group, kind, [t.first for t in these], [t.end for t in these], targets=False)
        figures.append(Figure(group, f"{kind}: own CPU, median", median([t.cpu for t in these]), "ms", OWN_CPU))
    return figures


def _of(turns: Sequence[Timed], kind: str) -> list[Timed]:
    these = [turn for turn in turns if turn.kind == kind]
    if broken := [turn.ended for turn in these if turn.ended != "done"]:
        raise RuntimeError(f"{len(broken)} turns of kind {kind} did not end well: {broken[0]}")
    return these


def _waits(
    group: str, kind: str, first: Sequence[float], end: Sequence[float], *, targets: bool = True
) -> list[Figure]:
    promised = (FIRST_TEXT, WHOLE_TURN) if targets else (None, None)
    return [
        Figure(group, f"{kind}: first text, p50", median(first), "ms", promised[0]),
        Figure(group, f"{kind}: first text, p95", p95(first), "ms", promised[0]),
        Figure(group, f"{kind}: end, p50", median(end), "ms", promised[1]),
        Figure(group, f"{kind}: end, p95", p95(end), "ms", promised[1]),
    ]


def _tell(what: str) -> None:
    print(f"… {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
