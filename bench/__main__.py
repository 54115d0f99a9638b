"""`make bench` = `python -m bench`: measures everything on a folder of its own and prints a table. It needs no key."""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pydantic import SecretStr

from bench import crm, whatsapp_burst, whatsapp_busy, whatsapp_intake
from bench.machine import ForeignLoad, Machine
from bench.model import model_of_fixed_latency
from bench.parts import Sampler
from bench.report import Figure, median, p95, table, write_json
from bench.server import ChatTurn, Page, chat_turns, serve
from bench.side_by_side.job import TURNS
from bench.side_by_side.load import JobFigures, in_a_process_of_its_own
from bench.turns import KINDS, Bench, Timed, open_bench
from core.settings import Settings

FIRST_PAGE, FIRST_TEXT, WHOLE_TURN, OWN_CPU = 10.0, 500.0, 2_000.0, 60.0
"""What is promised on two cores: seconds, then milliseconds."""
MODEL_CALLS = {"overview": 2, "diagnose": 2, "follow-up": 2, "small talk": 1}
CHAT_TURNS = 50
_OWN_CPU = "own CPU median"
_FOREIGN, _CORES = "others on this machine meanwhile", "cores busy"

SERVER = "mutirao serve"
CHAT = "the chat by its own wire, on the playbooks (ms)"
OFFLINE = "a turn on the playbooks, without a door (ms)"
PARTS = "where the CPU of those turns goes, sampled (ms)"
MODEL = "a turn with a model of fixed latency: 40 ms to the first token, 2 ms for each (ms)"
JOB = "four turns of four crews, with the same model; as the bench of the peers asks them (ms)"
CROWD = "the same by many conversations at a time, in one process (ms)"
_JOB_ROUNDS = 8


def main() -> None:
    arguments = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    arguments.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    arguments.add_argument("--rounds", type=int, default=20, help="turns of each kind (20)")
    arguments.add_argument("--starts", type=int, default=3, help="warm starts of the server (3)")
    arguments.add_argument("--contacts", type=int, default=crm.CONTACTS, help=f"of the CRM ({crm.CONTACTS}; 0: none)")
    chosen = arguments.parse_args()
    if chosen.rounds < 1 or chosen.starts < 1:
        arguments.error("at least one of each")
    machine = Machine.now()
    with tempfile.TemporaryDirectory(prefix="mutirao-bench-", ignore_cleanup_errors=True) as name:
        tempfile.tempdir = name  # every folder of the bench lies in this one, so that its processes are known
        try:
            figures = asyncio.run(measure(Path(name), chosen.rounds, chosen.starts, chosen.contacts))
        finally:
            tempfile.tempdir = None
    print(table(machine, figures))
    if chosen.json:
        write_json(chosen.json, machine, figures)


async def measure(folder: Path, rounds: int, starts: int, contacts: int) -> list[Figure]:
    """All figures, in the order in which they are shown."""
    figures = await server_figures(folder, starts)
    _tell("turns without a model")
    async with open_bench(Settings(log_level="WARNING")) as bench:
        figures += await offline_figures(bench, rounds)
    _tell("turns with a model of fixed latency")
    with model_of_fixed_latency() as url:
        key = SecretStr("bench")
        settings = Settings(log_level="WARNING", model="openai/gpt-5.6-luna", openai_api_key=key, openai_base_url=url)
        async with open_bench(settings) as bench:
            figures += await model_figures(bench, rounds)
    _tell("the job of four turns, alone and in crowds")
    with model_of_fixed_latency("job") as url:
        load = ForeignLoad(folder)
        figures += job_figures(await in_a_process_of_its_own(url, _JOB_ROUNDS))
        figures.append(Figure(CROWD, _FOREIGN, _CORES, load.cores()))
    if contacts:
        _tell(f"the CRM at {contacts:,} contacts")
        figures += await asyncio.to_thread(crm.in_a_process_of_its_own, folder, contacts)
    _tell("webhooks, beside the usual way")
    figures += await asyncio.to_thread(whatsapp_intake.measure, folder / "whatsapp")
    figures += await asyncio.to_thread(whatsapp_busy.measure, folder / "busy")
    _tell("a burst of messages")
    figures += await whatsapp_burst.measure(folder / "burst")
    return figures


# --- the server ---------------------------------------------------------------------------------


async def server_figures(folder: Path, starts: int) -> list[Figure]:
    """The first page of several starts on one data folder, memory, and turns through the chat in the last of them."""
    pages: list[Page] = []
    _tell("the server: first start")
    with serve(folder) as served:
        first = served.page
        await served.settled()
    for number in range(starts):
        _tell(f"the server: warm start {number + 1} of {starts}")
        with serve(folder) as served:
            pages.append(served.page)
            if number == starts - 1:
                await served.settled()
                memory = served.memory_mb()
                _tell("the server: turns through the chat")
                await chat_turns(served, 1)
                cpu, load = served.cpu(), ForeignLoad(folder)
                turns = await chat_turns(served, CHAT_TURNS // len(KINDS))
                cpu = (served.cpu() - cpu) / len(turns) * 1000
                memory_after, foreign = served.memory_mb(), load.cores()
    return [
        Figure(SERVER, "first page, first start ever", "s", first.seconds),
        Figure(SERVER, "first page, warm (median)", "s", median([page.seconds for page in pages]), FIRST_PAGE),
        Figure(SERVER, "memory after the start", "MB", memory),
        Figure(SERVER, f"memory after {len(turns) + len(KINDS)} turns", "MB", memory_after),
        *(figure for kind in KINDS for figure in _waits(CHAT, kind, [t for t in turns if t.kind == kind])),
        Figure(CHAT, "all kinds, with chat and page", "CPU mean", cpu),
        Figure(CHAT, _FOREIGN, _CORES, foreign),
    ]


# --- the job that others are measured by ---------------------------------------------------------


def job_figures(measured: JobFigures) -> list[Figure]:
    """What the bench of the peers compares, of ours alone: its goals are ratios, so nothing is promised here but the
    calls of the model."""
    figures: list[Figure] = []
    for kind, turn in TURNS.items():
        these = [one for one in measured.alone if one.kind == kind]
        most = max(one.model_calls for one in these)
        figures.append(Figure(JOB, kind, "model calls", most, len(turn.calls) + 1))
        figures.append(Figure(JOB, kind, "prompt tokens", median([one.prompt_tokens for one in these])))
        figures.append(Figure(JOB, kind, "completion tokens", median([one.completion_tokens for one in these])))
        figures.append(Figure(JOB, kind, "first text p50", median([one.first for one in these])))
        figures.append(Figure(JOB, kind, "end p50", median([one.end for one in these])))
        figures.append(Figure(JOB, kind, _OWN_CPU, median([one.cpu for one in these])))
    for column in ("model calls", "prompt tokens", "completion tokens"):
        together = sum(figure.value for figure in figures if figure.column == column)
        figures.append(Figure(JOB, "all four", column, together))
    for column in ("first text p50", "end p50", _OWN_CPU):
        values = [figure.value for figure in figures if figure.column == column]
        figures.append(Figure(JOB, "mean of the four", column, sum(values) / len(values)))
    for crowd in measured.crowds:
        row = f"{crowd.at_once} conversations"
        figures.append(Figure(CROWD, row, "end p50", crowd.p50))
        figures.append(Figure(CROWD, row, "p99", crowd.p99))
        figures.append(Figure(CROWD, row, "turns/s", crowd.turns_per_second))
        figures.append(Figure(CROWD, row, "own CPU mean", crowd.cpu))
    figures.append(Figure(CROWD, "memory of the process", "MB", measured.memory_mb))
    figures.append(Figure(CROWD, "from its start to the first answer", "s", measured.cold))
    return figures


# --- turns in this process ------------------------------------------------------------------------


async def offline_figures(bench: Bench, rounds: int, warm_up: int = 3) -> list[Figure]:
    """Waits, CPU and requests per kind of turn, and where the CPU goes."""
    await bench.conversations(warm_up)  # every language once: first uses are not what is measured
    sampler, load = Sampler(), ForeignLoad(bench.folder)
    turns, references = await bench.conversations(rounds, sampler)
    foreign = load.cores()
    figures: list[Figure] = []
    for kind in KINDS:
        these = _of(turns, kind)
        figures += _waits(OFFLINE, kind, these)
        figures += _cpu(OFFLINE, kind, these)
        figures.append(Figure(OFFLINE, kind, "Graph requests", median([t.graph_requests for t in these])))
    figures += _means(OFFLINE, figures, references)
    figures.append(Figure(OFFLINE, _FOREIGN, _CORES, foreign))
    for part, spent in [*sampler.milliseconds().items(), ("together", sampler.cpu * 1000)]:
        figures.append(Figure(PARTS, part, "per turn, mean over the kinds", spent / len(turns)))
    return figures


async def model_figures(bench: Bench, rounds: int, warm_up: int = 3) -> list[Figure]:
    """Round trips, tokens, waits and CPU with the stand-in model."""
    await bench.conversations(warm_up)
    load = ForeignLoad(bench.folder)
    turns, references = await bench.conversations(rounds)
    foreign = load.cores()
    figures: list[Figure] = []
    for kind in KINDS:
        these = _of(turns, kind)
        calls = sum(t.model_calls for t in these)
        most = max(t.model_calls for t in these)
        figures.append(Figure(MODEL, kind, "round trips, most", most, MODEL_CALLS[kind]))
        figures.append(
            Figure(MODEL, kind, "prompt tokens per call", sum(t.prompt_tokens for t in these) / max(calls, 1))
        )
        figures.append(
            Figure(MODEL, kind, "completion tokens per call", sum(t.completion_tokens for t in these) / max(calls, 1))
        )
        figures += _waits(MODEL, kind, these, promised=False)
        figures += _cpu(MODEL, kind, these)
    return [*figures, *_means(MODEL, figures, references), Figure(MODEL, _FOREIGN, _CORES, foreign)]


def _of(turns: Sequence[Timed], kind: str) -> list[Timed]:
    """The turns of a kind. RuntimeError when one did not end well: its times would be those of a failure."""
    these = [turn for turn in turns if turn.kind == kind]
    if broken := [turn.ended for turn in these if turn.ended != "done"]:
        raise RuntimeError(f"{len(broken)} turns of kind {kind} did not end well: {broken[0]}")
    return these


def _waits(
    group: str, kind: str, turns: Sequence[Timed] | Sequence[ChatTurn], *, promised: bool = True
) -> list[Figure]:
    first, end = [turn.first for turn in turns], [turn.end for turn in turns]
    most_first, most_end = (FIRST_TEXT, WHOLE_TURN) if promised else (None, None)
    return [
        Figure(group, kind, "first text p50", median(first), most_first),
        Figure(group, kind, "p95", p95(first), most_first),
        Figure(group, kind, "end p50", median(end), most_end),
        Figure(group, kind, "end p95", p95(end), most_end),
    ]


def _cpu(group: str, kind: str, turns: Sequence[Timed]) -> list[Figure]:
    """The median is what is judged. The least is what is left when nobody else takes the caches away."""
    cpu = [turn.cpu for turn in turns]
    return [
        Figure(group, kind, _OWN_CPU, median(cpu), OWN_CPU),
        Figure(group, kind, "least", min(cpu)),
    ]


def _means(group: str, figures: Sequence[Figure], references: Sequence[float]) -> list[Figure]:
    """CPU of a conversation with one turn of each kind, as other stacks were measured, and the yardstick beside it."""
    medians = [figure.value for figure in figures if figure.column == _OWN_CPU]
    return [
        Figure(group, "mean of the kinds", _OWN_CPU, sum(medians) / len(medians), OWN_CPU),
        Figure(group, "the reference loop meanwhile", _OWN_CPU, median(references)),
        Figure(group, "the reference loop meanwhile", "least", min(references)),
    ]


def _tell(what: str) -> None:
    print(f"… {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
