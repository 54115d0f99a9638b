"""Backup, reset, restore: on real data folders, each with its own embedded PostgreSQL."""

import io
import json
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from core.backup import backup, read_manifest, reset, restore
from core.clock import FixedClock
from core.errors import SetupError
from core.migrate import migrate
from core.postgres import Postgres
from core.settings import Settings
from tests.conftest import in_memory

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)


def add_tenant(data_dir: Path, name: str) -> None:
    with Postgres.start(data_dir) as server:
        migrate(server.owner_dsn, app_dsn=server.app_dsn)
        with psycopg.connect(server.owner_dsn) as conn:
            conn.execute(
                "INSERT INTO tenants (id, name, slug) VALUES (%s, %s, %s)", [f"ten_{name}", name, name.lower()]
            )
    secrets = data_dir / "secrets"
    secrets.mkdir(exist_ok=True, mode=0o700)
    key = secrets / "vault.key"
    key.write_text(f"key of {name}")
    key.chmod(0o600)


def tenants(data_dir: Path) -> list[str]:
    with Postgres.start(data_dir) as server, psycopg.connect(server.owner_dsn) as conn:
        return [name for (name,) in conn.execute("SELECT name FROM tenants ORDER BY name").fetchall()]


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """Not pytest's own folder: as root the server runs as another user, and another run of pytest closes it."""
    with tempfile.TemporaryDirectory(prefix="mutirao-backup-", dir=in_memory()) as name:
        yield Path(name)


@pytest.fixture(scope="module")
def made() -> Iterator[Path]:
    """A folder with a data folder, which has the tenant Ipê and a secret, and its backup: made once, then copied."""
    with tempfile.TemporaryDirectory(prefix="mutirao-backup-", dir=in_memory()) as name:
        add_tenant(Path(name) / "var", "Ipe")
        backup(Settings(data_dir=Path(name) / "var"), Path(name) / "saved.tar", clock=FixedClock(NOW))
        yield Path(name)


@pytest.fixture
def settings(made: Path, tmp_path: Path) -> Settings:
    subprocess.run(["cp", "-a", made / "var", tmp_path / "var"], check=True)  # with owners and modes
    return Settings(data_dir=tmp_path / "var")


@pytest.fixture
def saved(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy2(made / "saved.tar", tmp_path / "saved.tar"))


def left_beside(settings: Settings) -> list[str]:
    return sorted(path.name for path in settings.data_dir.parent.iterdir() if path.name.startswith("."))


def test_what_was_backed_up_comes_back_after_a_reset(settings: Settings, saved: Path) -> None:
    reset(settings, yes=True)
    assert not settings.data_dir.exists()

    report = restore(settings, saved, force=False)

    assert tenants(settings.data_dir) == ["Ipe"]
    assert (settings.data_dir / "secrets" / "vault.key").read_text() == "key of Ipe"
    assert (settings.data_dir / "secrets" / "vault.key").stat().st_mode & 0o777 == 0o600
    assert report.rows["tenants"] == 1
    assert report.migrated == []
    assert left_beside(settings) == []


def test_a_restored_database_keeps_row_level_security_and_serves_the_application(
    settings: Settings, saved: Path
) -> None:
    restore(settings, saved, force=True)
    with Postgres.start(settings.data_dir) as server, psycopg.connect(server.app_dsn) as conn:
        assert conn.execute("SELECT count(*) FROM tenants").fetchone() == (0,)
        conn.execute("SELECT set_config('app.tenant_id', 'ten_Ipe', true)")
        assert conn.execute("SELECT name FROM tenants").fetchone() == ("Ipe",)
        assert conn.execute("SELECT name FROM list_tenants()").fetchall() == [("Ipe",)]
        conn.execute("SELECT count(*) FROM procrastinate_jobs")


def test_a_backup_is_readable_by_its_owner_only_and_says_what_it_holds(settings: Settings, saved: Path) -> None:
    assert saved.stat().st_mode & 0o777 == 0o600
    manifest = read_manifest(saved)
    assert manifest["rows"]["tenants"] == 1
    assert manifest["made_at"] == "2026-11-20T15:00:00+00:00"
    assert "0001_people" in manifest["migrations"]
    assert set(manifest["members"]) == {"database.dump", "files/secrets/vault.key"}


def test_a_backup_can_be_made_while_the_server_is_in_use(settings: Settings, tmp_path: Path) -> None:
    with Postgres.start(settings.data_dir):
        report = backup(settings, tmp_path, clock=FixedClock(NOW))
    assert report.path.name == "mutirao-20261120-150000.tar"
    assert report.rows["tenants"] == 1


def test_a_backup_never_overwrites_a_file(settings: Settings, saved: Path) -> None:
    before = saved.read_bytes()
    with pytest.raises(SetupError) as problem:
        backup(settings, saved, clock=FixedClock(NOW))
    assert problem.value.code == "backup_exists"
    assert saved.read_bytes() == before


def test_a_folder_with_data_is_only_replaced_when_told_so(settings: Settings, saved: Path) -> None:
    add_tenant(settings.data_dir, "Later")
    with pytest.raises(SetupError) as problem:
        restore(settings, saved, force=False)
    assert problem.value.code == "restore_would_replace"
    assert tenants(settings.data_dir) == ["Ipe", "Later"]

    restore(settings, saved, force=True)
    assert tenants(settings.data_dir) == ["Ipe"]


def test_nothing_is_restored_or_deleted_while_a_server_runs_on_the_folder(settings: Settings, saved: Path) -> None:
    with Postgres.start(settings.data_dir):
        for attempt in (lambda: restore(settings, saved, force=True), lambda: reset(settings, yes=True)):
            with pytest.raises(SetupError) as problem:
                attempt()
            assert problem.value.code == "data_dir_in_use"
    assert tenants(settings.data_dir) == ["Ipe"]


def cut(saved: Path) -> None:
    saved.write_bytes(saved.read_bytes()[: saved.stat().st_size // 2])


def flip(saved: Path) -> None:
    content = bytearray(saved.read_bytes())
    content[len(content) // 2] ^= 0xFF
    saved.write_bytes(bytes(content))


def no_tar(saved: Path) -> None:
    saved.write_bytes(b"name;spend\nIpe;12,30\n" * 500)


def empty(saved: Path) -> None:
    saved.write_bytes(b"")


def other_tar(saved: Path) -> None:
    with tarfile.open(saved, "w") as tar:
        tar.addfile(tarfile.TarInfo("holiday.jpg"))


def evil_tar(saved: Path) -> None:
    """Checksums that agree, and a member that would land outside the data folder."""
    manifest = {"product": "mutirao", "format": 1, "made_at": NOW.isoformat(), "migrations": [], "rows": {}}
    empty_digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    manifest["members"] = {"files/../../evil": empty_digest}
    text = json.dumps(manifest).encode()
    with tarfile.open(saved, "w") as tar:
        info = tarfile.TarInfo("manifest.json")
        info.size = len(text)
        tar.addfile(info, io.BytesIO(text))
        tar.addfile(tarfile.TarInfo("files/../../evil"))


def newer(saved: Path) -> None:
    with tarfile.open(saved) as tar:
        members = [(member, tar.extractfile(member).read()) for member in tar]  # type: ignore[union-attr]
    manifest = json.loads(members[0][1])
    manifest["migrations"].append("9999_from_the_future")
    members[0] = (members[0][0], json.dumps(manifest).encode())
    with tarfile.open(saved, "w") as tar:
        for member, content in members:
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (cut, "backup_broken"),
        (flip, "backup_broken"),
        (evil_tar, "backup_broken"),
        (no_tar, "backup_foreign"),
        (empty, "backup_foreign"),
        (other_tar, "backup_foreign"),
        (newer, "backup_newer"),
    ],
)
def test_a_file_that_cannot_be_trusted_is_refused_and_nothing_is_lost(
    settings: Settings, saved: Path, damage: Callable[[Path], None], code: str
) -> None:
    damage(saved)
    with pytest.raises(SetupError) as problem:
        restore(settings, saved, force=True)
    assert problem.value.code == code
    assert tenants(settings.data_dir) == ["Ipe"]
    assert left_beside(settings) == []
    assert not (settings.data_dir.parent.parent / "evil").exists()


def test_a_dump_that_cannot_be_restored_leaves_the_old_folder_in_place(settings: Settings, saved: Path) -> None:
    with tarfile.open(saved) as tar:
        members = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
    manifest = json.loads(members["manifest.json"])
    manifest["rows"]["tenants"] = 2  # as if rows had been lost on the way
    members["manifest.json"] = json.dumps(manifest).encode()
    with tarfile.open(saved, "w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    with pytest.raises(SetupError) as problem:
        restore(settings, saved, force=True)
    assert problem.value.code == "restore_failed"
    assert tenants(settings.data_dir) == ["Ipe"]
    assert left_beside(settings) == []


def test_reset_wants_a_yes_and_never_deletes_a_folder_that_is_not_ours(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(SetupError) as problem:
        reset(settings, yes=False)
    assert problem.value.code == "reset_unconfirmed"

    home = tmp_path / "home"
    home.mkdir()
    (home / "letter.txt").write_text("dear")
    with pytest.raises(SetupError) as problem:
        reset(Settings(data_dir=home), yes=True)
    assert problem.value.code == "reset_foreign_folder"
    assert (home / "letter.txt").read_text() == "dear"


def test_without_data_there_is_nothing_to_back_up(tmp_path: Path) -> None:
    with pytest.raises(SetupError) as problem:
        backup(Settings(data_dir=tmp_path / "var"), tmp_path / "saved.tar", clock=FixedClock(NOW))
    assert problem.value.code == "backup_nothing"


def test_a_database_outside_is_backed_up_but_neither_restored_nor_deleted_by_us(
    server: Postgres, owner_dsn: str, tmp_path: Path
) -> None:
    outside = Settings(data_dir=tmp_path / "var", database_url=owner_dsn)
    report = backup(outside, tmp_path / "saved.tar", clock=FixedClock(NOW))
    assert report.rows["role_permissions"] == 100
    for attempt, code in (
        (lambda: restore(outside, report.path, force=True), "restore_external"),
        (lambda: reset(outside, yes=True), "reset_external"),
    ):
        with pytest.raises(SetupError) as problem:
            attempt()
        assert problem.value.code == code


@pytest.fixture(autouse=True)
def no_server_stays(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[None]:
    yield
    assert not list(tmp_path.glob("**/server.json")), "a server was left running"
