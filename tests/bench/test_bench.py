"""The bench measures: each of its parts once, for the shape of what it says. How fast anything is, is not tested."""

import json
import time
from pathlib import Path

import psutil

from bench.__main__ import CHAT, OFFLINE, model_figures, offline_figures
from bench.machine import ForeignLoad, Machine
from bench.model import model_of_fixed_latency
from bench.parts import Sampler
from bench.report import Figure, p95, read_json, table, write_json
from bench.turns import KINDS, open_bench
from core.settings import Settings
from tests.conftest import Dsns

MACHINE = Machine("2026-11-20T12:00+00:00", "Linux x86_64", "3.11.7", 2, 5.0, 0.5)


async def test_turns_without_a_model_are_measured_by_kind_and_part(dsns: Dsns) -> None:
    async with open_bench(Settings(log_level="WARNING"), (dsns.owner, dsns.app)) as bench:
        figures = await offline_figures(bench, rounds=1, warm_up=0)
    assert all(figure.value >= 0 for figure in figures)
    found = {(figure.row, figure.column): figure.value for figure in figures}
    for kind in KINDS:
        assert 0 < found[kind, "first text p50"] <= found[kind, "end p50"]
        assert found[kind, "own CPU median"] > 0
    assert found["overview", "Graph requests"] > 0 == found["small talk", "Graph requests"]
    parts = [figure for figure in figures if figure.group != OFFLINE]
    assert parts[-1].row == "together"
    assert abs(sum(figure.value for figure in parts[:-1]) - parts[-1].value) < 1


async def test_an_ordinary_question_is_two_round_trips_of_a_model_and_small_talk_none(dsns: Dsns) -> None:
    with model_of_fixed_latency() as url:
        settings = Settings(log_level="WARNING", model="openai/gpt-5.6-luna", openai_api_key="x", openai_base_url=url)
        async with open_bench(settings, (dsns.owner, dsns.app)) as bench:
            figures = await model_figures(bench, rounds=1, warm_up=0)
    found = {(figure.row, figure.column): figure.value for figure in figures}
    trips = {kind: found[kind, "round trips, most"] for kind in KINDS}
    assert trips == {"overview": 2, "diagnose": 2, "follow-up": 2, "small talk": 0}
    assert found["overview", "prompt tokens per call"] > found["overview", "completion tokens per call"] > 0
    assert found["overview", "end p50"] > 80  # the stand-in's own two times 40 ms


def test_the_sampler_tells_cpu_from_waiting() -> None:
    with Sampler() as sampler:
        time.sleep(0.05)
        until = time.thread_time() + 0.1
        while time.thread_time() < until:
            sum(range(1000))
    spent = sampler.milliseconds()
    assert 95 < sum(spent.values()) < 1_000
    assert max(spent, key=lambda part: spent[part]) == "event loop and the rest"


def test_our_own_work_is_no_foreign_load(tmp_path: Path) -> None:
    load = ForeignLoad(tmp_path)
    until = time.thread_time() + 0.2
    while time.thread_time() < until:
        pass
    assert 0 <= load.cores() <= psutil.cpu_count()


def test_the_table_says_what_was_promised_and_what_was_missed(tmp_path: Path) -> None:
    figures = [
        Figure(CHAT, "overview", "first text p50", 120.0, 500),
        Figure(CHAT, "overview", "end p50", 2_400.0, 2_000),
        Figure(CHAT, "small talk", "first text p50", 20.04, 500),
    ]
    text = table(MACHINE, figures)
    assert "2,400!" in text
    assert "20.0" in text
    assert "≤ 2,000" in text
    assert "1 of 3 targets are missed:\n  overview, end p50: 2,400 (≤ 2,000)" in text
    assert table(MACHINE, figures[:1]).endswith("All 1 targets are met.")

    write_json(tmp_path / "bench.json", MACHINE, figures)
    assert read_json(tmp_path / "bench.json") == figures
    data = json.loads((tmp_path / "bench.json").read_text())
    assert [figure["missed"] for figure in data["figures"]] == [False, True, False]
    assert data["machine"]["cores"] == 2


def test_the_95th_of_a_hundred_is_the_95th() -> None:
    assert p95(range(1, 101)) == 95
    assert p95([7]) == 7
