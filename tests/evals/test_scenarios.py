"""Every scenario, played by the product on its playbooks, by its reference solution, and by nobody.

The last two check the suite: what the reference cannot reach is impossible, what doing nothing reaches is nothing.
"""

import asyncio
from dataclasses import dataclass

import pytest

from business.conversations.records import replayable
from channels.services import Services
from core.door import Difference
from evals import report
from evals.players import Idle, Player, Product, Reference
from evals.runner import Played, play
from evals.scenario import load_all
from evals.world import open_stage
from tests.evals.conftest import OFFLINE

pytestmark = pytest.mark.timeout(400)
"""The first test waits for all playings; searches for companies take seconds each."""

SCENARIOS = load_all()
NAMES = [found.name for found in SCENARIOS]


@dataclass
class Plays:
    """(player, scenario) → its playing, all on one stage; and (message, where its turn differs when it is replayed)."""

    played: dict[tuple[str, str], Played]
    replayed: list[tuple[str, Difference | None]]


@pytest.fixture(scope="module")
def plays(stage_dsns: tuple[str, str]) -> Plays:
    async def all_of_them() -> Plays:
        players: list[Player] = [Product(), Reference(), Idle()]
        async with open_stage(OFFLINE, stage_dsns) as stage:
            played: dict[tuple[str, str], Played] = {}
            for player in players:
                played |= {(player.name, one.found.name): one for one in await play(stage, SCENARIOS, player)}
                if isinstance(player, Product):
                    replayed = await replay_all(stage.services)
            return Plays(played, replayed)

    async def replay_all(services: Services) -> list[tuple[str, Difference | None]]:
        differences = []
        for tenant in await services.people.tenants():
            for line in await services.turns.list(tenant.id, limit=100):
                record = replayable(await services.turns.find(tenant.id, line.id))
                differences.append((line.said, await services.replay(record)))
        return differences

    return asyncio.run(all_of_them())


@pytest.fixture(scope="module")
def played(plays: Plays) -> dict[tuple[str, str], Played]:
    return plays.played


@pytest.mark.parametrize("name", NAMES)
def test_the_product_passes_every_scenario_on_its_playbooks(name: str, played: dict[tuple[str, str], Played]) -> None:
    one = played["product", name]
    assert one.passed, "\n" + report.block(one)


def test_every_turn_of_every_scenario_is_the_same_when_it_is_replayed(plays: Plays) -> None:
    assert len(plays.replayed) >= len(SCENARIOS)
    assert [(said, difference) for said, difference in plays.replayed if difference is not None] == []


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
    assert {found.group for found in SCENARIOS} >= {"ads", "approvals", "hunter", "routing"}
    assert len(set(NAMES)) == len(NAMES)
