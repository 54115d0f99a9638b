"""Twenty deaths on the way of a message: nothing is lost, nothing happens twice. `make chaos` dies a thousand."""

from pathlib import Path

import pytest

from tests.chaos.findings import examine
from tests.chaos.killing import finish, kill_often
from tests.chaos.world import PATHS, World
from tests.conftest import Dsns


@pytest.mark.timeout(300)
def test_twenty_deaths_lose_nothing_and_double_nothing(dsns: Dsns, tmp_path: Path) -> None:
    with World(tmp_path, dsns.owner, dsns.app, hasty=True, seed=20) as world:
        world.born()
        world.prepare()
        world.point()
        world.kill()
        for path in PATHS:
            kill_often(world, path, 5, patience=1.0)
        assert sum(world.kills.values()) == 20
        assert len(world.kills) > 5, "too few died where they should"
        finish(world, 200)  # a yes that died is settled by the clock, once a minute
        found = examine(world)
    assert found.wrong() == {}
    assert found.written > 20 and found.sent > 20 and found.approved == 30
