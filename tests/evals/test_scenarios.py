"""Every scenario, played by the product on its playbooks, by its reference solution, and by nobody.

The last two check the suite: what the reference cannot reach is impossible, what doing nothing reaches is nothing.
"""

import asyncio

import pytest

from evals import report
from evals.players import Idle, Player, Product, Reference
from evals.runner import Played, play
from evals.scenario import load_all
from evals.world import open_stage
from tests.evals.conftest import OFFLINE

SCENARIOS = load_all()
NAMES = [found.name for found in SCENARIOS]


@pytest.fixture(scope="module")
def played(stage_dsns: tuple[str, str]) -> dict[tuple[str, str], Played]:
    """(player, scenario) → its playing, all in one stage."""

    async def all_of_them() -> dict[tuple[str, str], Played]:
        players: list[Player] = [Product(), Reference(), Idle()]
        async with open_stage(OFFLINE, stage_dsns) as stage:
            return {
                (player.name, one.found.name): one for player in players for one in await play(stage, SCENARIOS, player)
            }

    return asyncio.run(all_of_them())


@pytest.mark.parametrize("name", NAMES)
def test_the_product_passes_every_scenario_on_its_playbooks(name: str, played: dict[tuple[str, str], Played]) -> None:
    one = played["product", name]
    assert one.passed, "\n" + report.block(one)


@pytest.mark.parametrize("name", NAMES)
def test_the_reference_reaches_the_state_and_the_figures(name: str, played: dict[tuple[str, str], Played]) -> None:
    one = played["reference", name]
    told = {dimension: one.verdicts[dimension].differences for dimension in ("state", "forbidden", "figures")}
    assert not one.broke and not any(told.values()), f"{one.broke} {told}"


@pytest.mark.parametrize("name", NAMES)
def test_doing_nothing_fails_every_scenario(name: str, played: dict[tuple[str, str], Played]) -> None:
    one = played["idle", name]
    assert not one.broke
    assert not all(one.verdicts[dimension].passed for dimension in ("state", "figures", "words"))


def test_there_are_scenarios_enough_in_each_language_and_group() -> None:
    languages = [found.scenario.language for found in SCENARIOS]
    assert len(SCENARIOS) >= 24
    assert languages.count("pt-BR") >= 20 and languages.count("en") >= 8 and languages.count("es") >= 3
    assert {found.group for found in SCENARIOS} == {"ads", "approvals", "routing"}
    assert len(set(NAMES)) == len(NAMES)
