"""The embedded PostgreSQL: made, shared, survived and stopped, as root and as an ordinary user."""

import json
import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from core.errors import SetupError
from core.postgres import Postgres, changed_modes
from tests.conftest import in_memory, wait_until


@pytest.fixture
def folder() -> Iterator[Path]:
    """A private folder with a short path, as a home has."""
    with tempfile.TemporaryDirectory(prefix="mutirao-pg-", dir=in_memory()) as name:
        yield Path(name)


@pytest.fixture(scope="module")
def made() -> Iterator[Path]:
    """A data folder whose cluster is made and not running."""
    with tempfile.TemporaryDirectory(prefix="mutirao-pg-", dir=in_memory()) as name:
        Postgres.start(Path(name) / "var", durable=False).stop()
        yield Path(name) / "var"


@pytest.fixture
def var(folder: Path, made: Path) -> Path:
    """A data folder of the test's own, spared its half second of initdb."""
    subprocess.run(["cp", "-a", made, folder / "var"], check=True)
    return folder / "var"


def value(dsn: str, sql: str) -> object:
    with psycopg.connect(dsn) as conn:
        row = conn.execute(sql.encode()).fetchone()
        assert row is not None
        return row[0]


def test_it_speaks_utf8_and_utc_over_a_socket_only_and_protects_its_writes(folder: Path) -> None:
    with Postgres.start(folder / "var") as postgres:
        wanted = {
            "server_encoding": "UTF8",
            "timezone": "UTC",
            "listen_addresses": "",
            "fsync": "on",
            "max_connections": "100",
            "data_checksums": "on",
        }
        assert {name: value(postgres.owner_dsn, f"SHOW {name}") for name in wanted} == wanted
        assert value(postgres.app_dsn, "SELECT upper('ação')") == "AÇÃO"


def test_passwords_are_asked_and_kept_where_only_we_can_read_them(var: Path) -> None:
    with Postgres.start(var, durable=False) as postgres:
        passwords = var / "postgres/passwords.json"
        assert stat.S_IMODE(passwords.stat().st_mode) == 0o600
        assert stat.S_IMODE((var / "postgres/cluster").stat().st_mode) == 0o700
        wrong = postgres.app_dsn.replace(json.loads(passwords.read_text())["mutirao_app"], "guess")
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(wrong)


def test_data_survives_a_restart(var: Path) -> None:
    with Postgres.start(var, durable=False) as postgres, psycopg.connect(postgres.owner_dsn) as conn:
        conn.execute("CREATE TABLE kept AS SELECT 7 AS n")
    with Postgres.start(var, durable=False) as postgres:
        assert value(postgres.owner_dsn, "SELECT n FROM kept") == 7


def test_its_process_is_never_root_and_only_folders_on_the_way_were_opened(folder: Path) -> None:
    private = folder / "private"
    private.mkdir(mode=0o700)
    with Postgres.start(private / "var", durable=False) as postgres:
        pid = postgres.pid()
        uid = int(subprocess.run(["ps", "-o", "uid=", "-p", str(pid)], capture_output=True, check=True).stdout)
    changes = {change["path"]: (change["before"], change["after"]) for change in changed_modes(private / "var")}
    if os.geteuid() == 0:
        assert uid != 0
        assert changes[str(private.resolve())] == ("0700", "0701")
        assert all(
            int(after, 8) == int(before, 8) | 0o1 for path, (before, after) in changes.items() if "pgserver" not in path
        )
    else:
        assert uid == os.geteuid()
        assert changes == {}
        assert stat.S_IMODE(private.stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["x" * 120, "ação, com vírgula", "a'quote \\ and space"])
def test_a_long_or_odd_path_works_and_leaves_no_socket_folder_behind(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sockets = folder / "tmp"
    sockets.mkdir(mode=0o711)
    monkeypatch.setattr(tempfile, "tempdir", str(sockets))
    with Postgres.start(folder / name / "var", durable=False) as postgres:
        assert value(postgres.app_dsn, "SELECT 1") == 1
    assert list(sockets.iterdir()) == []


def test_after_kill_9_of_everything_it_recovers(var: Path) -> None:
    postgres = Postgres.start(var, durable=False)
    with psycopg.connect(postgres.owner_dsn) as conn:
        conn.execute("CREATE TABLE kept AS SELECT 7 AS n")
    pid = postgres.pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: postgres.pid() is None)
    with Postgres.start(var, durable=False) as again:
        assert value(again.owner_dsn, "SELECT n FROM kept") == 7
        postgres.stop()
        assert again.pid() is not None
    assert again.pid() is None


def test_a_user_killed_with_9_leaves_a_server_that_the_next_one_finds_and_stops(var: Path) -> None:
    code = (
        f"import sys; sys.path[:0] = [{str(Path(__file__).parents[2])!r}]\n"
        "from pathlib import Path\nfrom core.postgres import Postgres\n"
        f"postgres = Postgres.start(Path({str(var)!r}), durable=False)\n"
        "print(postgres.pid(), flush=True); sys.stdin.read()"
    )
    user = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert user.stdout is not None
    pid = int(user.stdout.readline())
    user.kill()
    user.communicate()
    with Postgres.start(var, durable=False) as postgres:
        assert postgres.pid() == pid
    assert postgres.pid() is None


def test_a_process_number_used_again_by_another_program_does_not_stop_it(var: Path) -> None:
    postgres = Postgres.start(var, durable=False)
    pid = postgres.pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: postgres.pid() is None)
    postgres.stop()
    note = var / "postgres/cluster/postmaster.pid"
    _, *rest = note.read_text().splitlines()
    note.write_text("\n".join([str(os.getpid()), *rest]) + "\n")
    with Postgres.start(var, durable=False) as again:
        assert value(again.app_dsn, "SELECT 1") == 1


def test_a_server_that_nobody_wrote_down_is_taken_over(var: Path) -> None:
    lost = Postgres.start(var, durable=False)
    (var / "postgres/server.json").unlink()
    with Postgres.start(var, durable=False) as found:
        pid = found.pid()
        assert value(found.app_dsn, "SELECT 1") == 1
        lost.stop()
        assert found.pid() == pid is not None
    assert found.pid() is None


def test_a_set_up_that_was_killed_is_done_again(folder: Path) -> None:
    half = folder / "var/postgres/cluster.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18")
    (folder / "var/postgres/passwords.json").write_text("{")
    with Postgres.start(folder / "var", durable=False) as postgres:
        assert value(postgres.app_dsn, "SELECT 1") == 1


def test_a_folder_copied_while_its_server_runs_does_not_touch_the_original(var: Path) -> None:
    with Postgres.start(var, durable=False) as original:
        with psycopg.connect(original.owner_dsn, autocommit=True) as conn:
            conn.execute("CREATE TABLE kept AS SELECT 7 AS n")
            conn.execute("CHECKPOINT")
        subprocess.run(["cp", "-a", var, var.with_name("copy")], check=True)
        with Postgres.start(var.with_name("copy"), durable=False) as copy:
            assert copy.pid() not in (None, original.pid())
            assert value(copy.owner_dsn, "SELECT n FROM kept") == 7
        assert value(original.owner_dsn, "SELECT n FROM kept") == 7


def test_a_folder_that_cannot_be_written_is_one_clear_error(folder: Path) -> None:
    (folder / "var").write_text("a file")
    with pytest.raises(SetupError) as told:
        Postgres.start(folder / "var")
    assert told.value.code == "data_dir_unwritable"


def test_another_major_version_is_refused_and_untouched(var: Path) -> None:
    Postgres.start(var, durable=False).stop()
    version = var / "postgres/cluster/PG_VERSION"
    version.write_text("17\n")
    with pytest.raises(SetupError) as told:
        Postgres.start(var, durable=False)
    assert (told.value.code, told.value.params["found"], told.value.params["needed"]) == (
        "postgres_other_version",
        "17",
        "18",
    )


@pytest.mark.parametrize("broken", ["missing", "changed"])
def test_lost_passwords_are_told_and_no_server_is_left_running(var: Path, broken: str) -> None:
    Postgres.start(var, durable=False).stop()
    passwords = var / "postgres/passwords.json"
    if broken == "missing":
        passwords.unlink()
    else:
        passwords.write_text(json.dumps({"mutirao_admin": "x", "mutirao_app": "y"}))
    with pytest.raises(SetupError) as told:
        Postgres.start(var, durable=False)
    assert told.value.code == "postgres_passwords_lost"
    assert not (var / "postgres/cluster/postmaster.pid").exists()


def test_its_log_holds_neither_statements_nor_values(var: Path) -> None:
    with Postgres.start(var, durable=False) as postgres, psycopg.connect(postgres.owner_dsn) as conn:
        conn.execute("CREATE TABLE one (email text UNIQUE)")
        conn.execute("INSERT INTO one VALUES (%s)", ["ana@ipe.example"])
        with pytest.raises(psycopg.errors.UniqueViolation):
            conn.execute("INSERT INTO one VALUES (%s)", ["ana@ipe.example"])
    assert "ana@ipe" not in (var / "postgres/server.log").read_text()
