"""Each dimension notices what it is there for: players that cheat, lie or babble are caught by it."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from core.tenancy import Role
from evals.players import Answered, Product
from evals.runner import Played, play_once
from evals.scenario import Found, Say, Write, load
from evals.world import World, open_stage
from tests.evals.conftest import OFFLINE

SCENARIO = {
    "title": "Quanto gastou a Loja Aurora ontem",
    "now": "2026-11-20T12:00:00-03:00",
    "steps": [
        {
            "say": "quanto a Loja Aurora gastou ontem?",
            "expect": {
                "route": ["ads.overview"],
                "figures": [{"formula": "spend / 100", "account": "Loja Aurora", "days": [-1, -1], "as": "money"}],
                "windows": [[-1, -1]],
                "must_say": ["gastou"],
            },
        }
    ],
    "forbidden": {"tools": ["ads_diagnose"]},
}


class Twisted(Product):
    """The product, with something done to its answer."""

    def __init__(self, twist: Callable[[Answered], Answered]) -> None:
        self.twist = twist

    async def answer(self, world: World, role: Role, step: Say) -> Answered:
        return self.twist(await super().answer(world, role, step))


class Rogue(Product):
    """Changes the world behind everybody's back, as a leaked token would let it."""

    async def answer(self, world: World, role: Role, step: Say) -> Answered:
        answered = await super().answer(world, role, step)
        await world.write(Write(write="[TRÁFEGO] Blog e lookbook", status="PAUSED"))
        world.written_before -= 1  # it is not the scenario's doing
        return answered


TWISTS: dict[str, Callable[[Answered], Answered]] = {
    "nothing": lambda a: a,
    "a number from nowhere": lambda a: replace(a, text=a.text + "\nO ROAS foi 9,87."),
    "another figure": lambda a: replace(a, text=a.text.replace("R$ ", "R$ 1"), tables=[]),
    "another route": lambda a: replace(a, route=["ads.diagnose"]),
    "another language": lambda a: replace(a, language="en"),
    "a forbidden tool": lambda a: replace(a, tools=[*a.tools, {"name": "ads_diagnose", "arguments": {}}]),
}


@pytest.fixture(scope="module")
def played(stage_dsns: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Played]:
    path = Path(tmp_path_factory.mktemp("scenarios")) / "ads" / "ontem.yaml"
    path.parent.mkdir()
    path.write_text(yaml.safe_dump(SCENARIO, allow_unicode=True), encoding="utf-8")
    found = Found("ads", load(path))

    async def all_of_them() -> dict[str, Played]:
        async with open_stage(OFFLINE, stage_dsns) as stage:
            plays = {name: await play_once(stage, found, Twisted(twist)) for name, twist in TWISTS.items()}
            return plays | {"a write of its own": await play_once(stage, found, Rogue())}

    return asyncio.run(all_of_them())


@pytest.mark.parametrize(
    ("twist", "caught_by"),
    [
        ("nothing", set()),
        ("a number from nowhere", {"traced"}),
        ("another figure", {"traced", "figures"}),
        ("another route", {"route"}),
        ("another language", {"words", "traced"}),  # 2.158 is another number in English
        ("a forbidden tool", {"forbidden"}),
        ("a write of its own", {"state", "forbidden"}),
    ],
)
def test_what_is_wrong_is_caught_by_its_dimension(twist: str, caught_by: set[str], played: dict[str, Played]) -> None:
    failed = {name: verdict.differences for name, verdict in played[twist].verdicts.items() if not verdict.passed}
    assert set(failed) == caught_by, failed


def test_a_difference_says_what_was_wrong(played: dict[str, Played]) -> None:
    (told,) = played["a number from nowhere"].verdicts["traced"].differences
    assert told == "step 1: 9,87 come from no tool result"
    told_writes = played["a write of its own"].verdicts["state"].differences
    assert "the Graph API executed 1 writes instead of 0" in told_writes
