"""The product as a peer of the bench, without the bench's folder: the job is done, by the model, through CrewAI."""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from bench.__main__ import CROWD, JOB, job_figures
from bench.model import job as good_model
from bench.side_by_side.job import TURNS, own_job
from bench.side_by_side.load import measure, one_turn
from bench.side_by_side.product import open_product
from bench.side_by_side.ratios import ratios
from bench.side_by_side.ratios import table as ratio_table
from core.ids import new_id
from evals.stand_in import Answer, Seen, StandIn
from tests.conftest import Dsns

_FOLDER = Path(__file__).parents[2] / "bench" / "side_by_side"

# What the worker of the bench puts beside a peer: a job of one specialist with one tool.
_SCENARIO = '''
def get_lead(name: str) -> str:
    """The record of a lead."""
    return '{"name": "Ana"}'
def build(toolset):
    assert toolset in ("small", "full")
    sdr = {"role": "SDR", "goal": "Write.", "backstory": "Warm.", "tools": ["get_lead"]}
    return {"sdr": sdr}, {"get_lead": get_lead}
def specialist_prompt(spec):
    return "You are " + spec["role"] + ". " + spec["backstory"]
def catalog(specs):
    return ", ".join(specs)
COORDINATOR = "You are the coordinator of {catalog}."
'''


def _mock(seen: Seen) -> Answer:
    """The tool once, if there is one, then the answer."""
    messages = seen.body["messages"]
    if seen.body.get("tools") and messages[-1]["role"] != "tool":
        return Answer(calls=[("get_lead", {"name": "Ana"})])
    return Answer("Answer c: hello Ana, shall we talk?" if seen.body.get("tools") else "Answer d: welcome")


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[ModuleType]:
    """The peer as the worker imports it: by its name, from a folder on the path, with `scenario` beside it."""
    (tmp_path / "scenario.py").write_text(_SCENARIO, encoding="utf-8")
    before = set(sys.modules), list(sys.path)
    sys.path[:0] = [str(tmp_path), str(_FOLDER)]
    import mutirao_peer

    yield mutirao_peer
    sys.path[:] = before[1]
    for name in ("mutirao_peer", "scenario"):
        sys.modules.pop(name, None)


async def test_the_peer_has_the_three_functions_and_does_a_conversation(peer: Any) -> None:
    with StandIn(_mock) as model:
        await peer.setup(model.openai_url, "full")
        try:
            conversation, shown = await peer.new_conversation(), []
            answer = await peer.turn(conversation, "Write a WhatsApp message for lead Ana", None)
            thanks = await peer.turn(conversation, "hi, thanks!", lambda message, text: shown.append((message, text)))
        finally:
            await peer.close()
    assert answer.startswith("Answer c: hello Ana")
    assert "".join(text for _, text in shown) == thanks == "Answer d: welcome"
    assert {message for message, _ in shown} == {0}
    assert [len(seen.body.get("tools", [])) for seen in model.seen] == [1, 1, 0], "each specialist has its own tools"
    spoken = [message["role"] for message in model.seen[-1].body["messages"]]
    assert spoken == ["system", "user", "assistant", "user"], "of earlier turns the words, not the results"


async def test_our_own_job_is_measured_alone_and_in_a_crowd(dsns: Dsns) -> None:
    with StandIn(good_model) as model:
        measured = await measure(model.openai_url, rounds=1, at_once=[3], dsns=(dsns.owner, dsns.app))
    figures = {(f.group, f.row, f.column): f.value for f in job_figures(measured)}
    assert {kind: figures[JOB, kind, "model calls"] for kind in TURNS} == {
        "campaigns": 2,
        "prospecting": 3,
        "message": 2,
        "small talk": 1,
    }
    assert figures[JOB, "all four", "model calls"] == 8
    assert 0 < figures[JOB, "message", "first text p50"] <= figures[JOB, "message", "end p50"]
    assert figures[CROWD, "3 conversations", "turns/s"] > 0
    assert measured.crowds[0].turns == 24
    assert all(one.first < one.end for one in measured.alone), "text is shown before the answer is whole"


async def test_64_conversations_have_64_requests_in_flight(dsns: Dsns) -> None:
    patience = {"model_first_byte_seconds": 120, "model_deadline_seconds": 120}
    answers = [Answer(hangs=True)] * 64 + [Answer("Something else.")]
    with StandIn(answers) as model:
        async with open_product(model.openai_url, own_job(), (dsns.owner, dsns.app), **patience) as product:
            people = [asyncio.create_task(product.turn(new_id("conv"), TURNS["small talk"].text)) for _ in range(64)]
            waiting = lambda server: len(server.seen) - len(server.left) == 64  # noqa: E731
            assert await asyncio.to_thread(model.wait_until, waiting, 60.0), f"{len(model.seen)} of 64 were asked"
            for one in people:
                one.cancel()
            assert {reply.ended for reply in await asyncio.gather(*people)} == {"stopped"}
            with pytest.raises(RuntimeError, match="small talk ended 'done' with 'Something else"):
                await one_turn(product, new_id("conv"), "small talk")  # what is not the answer is no figure


def _run(plan: str, peer: str, foreign: float = 0.1, **out: Any) -> dict[str, Any]:
    return {"plan": plan, "peer": peer, "out": {"foreign": foreign, "bad": 0, "errors": 0, **out}}


def test_goals_are_told_as_ratios_of_quiet_runs() -> None:
    turns = {"a": {"trips": 2, "prompt": 1000, "completion": 60, "ttft_final_ms": 100}}
    more = {"a": {"trips": 2, "prompt": 4000, "completion": 60, "ttft_final_ms": 80}}
    found = ratios(
        [
            _run("c1_full", "mutirao_peer", per_turn=turns),
            _run("c1_full", "bare_openai", per_turn=more),
            _run("c1_stream", "mutirao_peer", per_turn=turns),
            _run("c1_stream", "bare_openai", per_turn=more),
            _run("c64", "mutirao_peer", turns_s=30.0),
            _run("c64", "mutirao_peer", foreign=1.9, turns_s=10.0),
            _run("c64", "lg_crewai_naive", foreign=1.0, turns_s=20.0),
            _run("c64", "lg_crewai_naive", foreign=1.5, turns_s=10.0),
            {"plan": "c64", "peer": "lg_crewai_naive", "out": None},
        ]
    )
    assert [(round(one.value, 2), one.met) for one in found] == [
        (1.0, True),
        (0.25, True),
        (1.0, True),
        (1.25, True),
        (1.5, False),
    ]
    assert "| turns/s, 64 conversations | 30 | lg_crewai_naive | 20 | 1.50 | ≥ 2, missed |" in ratio_table(found)
    with pytest.raises(ValueError, match="3 turns of mutirao_peer in c1 went wrong"):
        ratios([_run("c1", "mutirao_peer") | {"out": {"bad": 2, "errors": 1, "foreign": 0}}])
