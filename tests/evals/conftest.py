"""A database and a stage for whole modules: playing scenarios is quick, setting the stage is not."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.postgres import Postgres
from core.settings import Settings
from tests.conftest import fresh_database

OFFLINE = Settings(model="offline", ignore_provider_keys=True, log_level="ERROR")


@pytest.fixture(scope="module")
def stage_dsns(server: Postgres, learnt: Path) -> Iterator[tuple[str, str]]:
    """(owner, app) of a migrated database for one module."""
    with fresh_database(server) as dsns:
        yield dsns.owner, dsns.app
