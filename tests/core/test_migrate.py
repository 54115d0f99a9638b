"""The database is brought up from nothing, from an older state, and not down from a newer one."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from core.errors import SetupError, Unavailable
from core.ids import new_id
from core.migrate import FOLDER, migrate
from core.postgres import Postgres

OURS = [path.stem for path in sorted(FOLDER.glob("*.sql"))]


@pytest.fixture
def empty(server: Postgres) -> Iterator[str]:
    """A database with nothing in it, as its superuser."""
    name = new_id("test")
    maintenance = make_conninfo(server.owner_dsn, dbname="postgres")
    with psycopg.connect(maintenance, autocommit=True) as conn:
        conn.execute(f"CREATE DATABASE {name} TEMPLATE template0".encode())
    yield make_conninfo(server.owner_dsn, dbname=name)
    with psycopg.connect(maintenance, autocommit=True) as conn:
        conn.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def tables(dsn: str) -> set[str]:
    with psycopg.connect(dsn) as conn:
        return {name for (name,) in conn.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}


def test_from_nothing_everything_is_applied_once(empty: str) -> None:
    assert migrate(empty) == [*OURS, "procrastinate"]
    assert migrate(empty) == []
    assert {"tenants", "proposals", "audit_log", "ad_import_rows", "procrastinate_jobs"} <= tables(empty)


@pytest.mark.parametrize("steps", range(1, len(OURS)))
def test_an_older_database_gets_the_rest_and_keeps_its_rows(empty: str, tmp_path: Path, steps: int) -> None:
    for path in sorted(FOLDER.glob("*.sql"))[:steps]:
        shutil.copy(path, tmp_path)
    assert migrate(empty, folder=tmp_path) == [*OURS[:steps], "procrastinate"]
    with psycopg.connect(empty) as conn:
        conn.execute("INSERT INTO tenants (id, name, slug) VALUES ('tenant_1', 'Antiga', 'antiga')")
    assert migrate(empty) == OURS[steps:]
    with psycopg.connect(empty) as conn:
        assert conn.execute("SELECT name FROM tenants").fetchall() == [("Antiga",)]


def test_an_older_job_engine_is_brought_up(empty: str) -> None:
    migrate(empty)
    last = "procrastinate 03.04.00_50_post_add_retry_failed_job_procedure"
    with psycopg.connect(empty) as conn:
        assert conn.execute("DELETE FROM schema_migrations WHERE name = %s", [last]).rowcount == 1
    assert migrate(empty) == [last]


def test_a_newer_database_is_refused_and_untouched(empty: str) -> None:
    migrate(empty)
    with psycopg.connect(empty) as conn:
        conn.execute("INSERT INTO schema_migrations (name, checksum) VALUES ('9999_tomorrow', 'x')")
    before = tables(empty)
    with pytest.raises(SetupError) as told:
        migrate(empty)
    assert (told.value.code, told.value.params) == ("database_newer", {"found": "9999_tomorrow"})
    assert tables(empty) == before


def test_a_rewritten_migration_is_refused(empty: str, tmp_path: Path) -> None:
    for path in FOLDER.glob("*.sql"):
        shutil.copy(path, tmp_path)
    migrate(empty, folder=tmp_path)
    (tmp_path / f"{OURS[0]}.sql").write_text("SELECT 1")
    with pytest.raises(SetupError) as told:
        migrate(empty, folder=tmp_path)
    assert (told.value.code, told.value.params) == ("migration_changed", {"name": OURS[0]})


def test_a_failing_migration_leaves_the_ones_before_it_and_nothing_of_itself(empty: str, tmp_path: Path) -> None:
    for path in FOLDER.glob("*.sql"):
        shutil.copy(path, tmp_path)
    (tmp_path / "9000_broken.sql").write_text("CREATE TABLE half (n int); SELECT 1/0")
    with pytest.raises(psycopg.errors.DivisionByZero):
        migrate(empty, folder=tmp_path)
    assert "half" not in tables(empty)
    (tmp_path / "9000_broken.sql").write_text("CREATE TABLE whole (n int)")
    assert "9000_broken" in migrate(empty, folder=tmp_path)


def test_an_unreachable_server_is_told(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as told:
        migrate(f"host={tmp_path} dbname=x user=y")
    assert told.value.code == "database_unreachable"


# --- one login for everything, as a hosted database gives it ----------------------------------


@pytest.fixture
def hosted(server: Postgres) -> Iterator[str]:
    """A database that belongs to an ordinary login which may create roles, on a cluster of its own roles."""
    name = new_id("host")
    maintenance = make_conninfo(server.owner_dsn, dbname="postgres")
    with psycopg.connect(maintenance, autocommit=True) as conn:
        conn.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'hosted' CREATEROLE".encode())
        # The other tests' databases made the roles already, as somebody else: their administrator lends them.
        for role in ("mutirao_owner", "mutirao_login", "mutirao_app"):
            conn.execute(f"GRANT {role} TO {name} WITH ADMIN TRUE, SET TRUE, INHERIT FALSE".encode())
        conn.execute(f"CREATE DATABASE {name} OWNER {name} TEMPLATE template0".encode())
    yield make_conninfo(server.owner_dsn, dbname=name, user=name, password="hosted")
    with psycopg.connect(maintenance, autocommit=True) as conn:
        conn.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
        conn.execute(f"DROP OWNED BY {name}".encode())
        conn.execute(f"DROP ROLE {name}".encode())


def test_an_ordinary_login_that_owns_its_database_can_migrate_and_work(hosted: str) -> None:
    assert migrate(hosted) == [*OURS, "procrastinate"]
    with psycopg.connect(hosted) as conn:
        conn.execute("SET ROLE mutirao_app")
        assert conn.execute("SELECT count(*) FROM tenants").fetchone() == (0,)
        assert conn.execute("SELECT count(*) FROM role_permissions").fetchone() == (100,)


def test_a_login_without_the_right_is_told_the_sql_for_an_administrator(server: Postgres) -> None:
    name = new_id("weak")
    maintenance = make_conninfo(server.owner_dsn, dbname="postgres")
    with psycopg.connect(maintenance, autocommit=True) as conn:
        conn.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'weak'".encode())
        conn.execute(f"CREATE DATABASE {name} TEMPLATE template0".encode())
    weak = make_conninfo(server.owner_dsn, dbname=name, user=name, password="weak")
    try:
        with pytest.raises(SetupError) as told:
            migrate(weak)
        assert told.value.code == "database_roles_missing"
        with psycopg.connect(make_conninfo(server.owner_dsn, dbname=name), autocommit=True) as conn:
            conn.execute(told.value.params["sql"].encode())
        assert migrate(weak) == [*OURS, "procrastinate"]
    finally:
        with psycopg.connect(maintenance, autocommit=True) as conn:
            conn.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
            conn.execute(f"DROP OWNED BY {name}".encode())
            conn.execute(f"DROP ROLE {name}".encode())
