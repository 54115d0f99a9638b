"""A database and a stage for whole modules: playing scenarios is quick, setting the stage is not."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from core.ids import new_id
from core.postgres import Postgres
from core.settings import Settings

OFFLINE = Settings(model="offline", ignore_provider_keys=True, log_level="ERROR")


@pytest.fixture(scope="module")
def stage_dsns(server: Postgres, learnt: Path) -> Iterator[tuple[str, str]]:
    """(owner, app) of a migrated database for one module."""
    name = new_id("test")
    maintenance = make_conninfo(server.owner_dsn, dbname="postgres")
    with psycopg.connect(maintenance, autocommit=True) as conn:
        conn.execute(f"CREATE DATABASE {name} TEMPLATE mutirao STRATEGY FILE_COPY".encode())
        conn.execute(f"GRANT CONNECT ON DATABASE {name} TO mutirao_app".encode())
    yield make_conninfo(server.owner_dsn, dbname=name), make_conninfo(server.app_dsn, dbname=name)
    with psycopg.connect(maintenance, autocommit=True) as conn:
        conn.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
