"""A company with an SDR: one database and one index for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from business.people.service import People
from core.clock import FixedClock
from core.db import Database
from core.jobs import Jobs
from core.permissions import Permissions
from tests.conftest import Dsns
from tests.crews.sdr.talks import House
from tests.memory.conftest import folder


@pytest.fixture
async def house(
    database: Database, dsns: Dsns, clock: FixedClock, people: People, permissions: Permissions, folder: Path
) -> AsyncIterator[House]:
    jobs = Jobs(dsns.app)

    async def nothing(**_: str) -> None: ...

    jobs.task("consent_told", nothing)
    await jobs.open()
    house = House(database, clock, people, permissions, folder)
    await house.open(jobs)
    yield house
    await house.memory.close()
    await jobs.close()


__all__ = ["folder"]
