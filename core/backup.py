"""Backup, restore and reset of everything that lasts: the database, the secrets and the other files of the data folder.

A backup is one tar file: `manifest.json` (what it is, which migrations, a SHA-256 of every member), `database.dump`
(pg_dump's custom format, a consistent picture although the server is in use) and `files/…` (the data folder without
the database cluster, its logs and its locks). It holds the key that opens the stored tokens: keep it like a key.

A restore checks the whole tar and builds a complete new data folder beside the old one, database and all; only then
the two change places, so whatever goes wrong before leaves the old folder as it was.
"""

import contextlib
import fcntl
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import IO, Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from core.clock import Clock, SystemClock
from core.errors import SetupError, Unavailable
from core.migrate import FOLDER as MIGRATIONS
from core.migrate import migrate
from core.postgres import Postgres, _programs
from core.processes import SharedServer, Started
from core.settings import Settings

PRODUCT = "mutirao"
FORMAT = 1
"""Of the tar. A higher one is refused; a lower one is read."""

# Of the data folder these do not go into the tar: the cluster (its dump does), what is made anew at every start, what
# only lives while servers run, the index of the long-term memory (it is filled from the database again).
_LEFT_OUT_FOLDERS = {"postgres", "run", "web", "crewai", "memory", "__pycache__"}
_LEFT_OUT_NAMES = {"server.json"}
_CHUNK = 1 << 20


@dataclass(frozen=True)
class BackupReport:
    path: Path
    bytes: int
    rows: dict[str, int]
    """Rows of each table, counted in the picture of the database that was dumped; {} where a login does not see all."""
    files: int


@dataclass(frozen=True)
class RestoreReport:
    path: Path
    made_at: datetime
    rows: dict[str, int]
    """Rows of each table as restored; equal to what the manifest counted."""
    migrated: list[str]
    """Migrations that this code added to the older data."""


def backup(settings: Settings, target: Path, *, clock: Clock | None = None) -> BackupReport:
    """Write everything that lasts into one tar file, mode 0600. `target` is a file that does not exist yet, or a folder
    (the file is then named by date and time, UTC). The server may be running.

    `clock` says the time that the file is named by and marked with; the system's when None.
    SetupError: backup_exists (path), backup_unwritable (path, reason), backup_nothing (path), backup_failed (reason),
    backup_programs_old (needed, found). Unavailable: database_unreachable.
    """
    now = (clock or SystemClock()).now()
    if settings.database_url is None and not (settings.data_dir / "postgres" / "cluster").exists():
        raise SetupError("backup_nothing", f"{settings.data_dir} holds no data yet", path=str(settings.data_dir))
    if target.is_dir():
        target = target / f"{PRODUCT}-{now:%Y%m%d-%H%M%S}.tar"
    if target.exists():
        raise SetupError("backup_exists", f"{target} exists already", path=str(target))
    with _database(settings) as dsn, _workspace(target) as work:
        dump = work / "database.dump"
        rows = _dump(dsn, dump)
        history = _history(dsn)
        manifest: dict[str, Any] = {
            "product": PRODUCT,
            "format": FORMAT,
            "made_at": now.isoformat(timespec="seconds"),
            "mode": settings.mode,
            "migrations": history,
            "rows": rows,
            "members": {},
        }
        part = work / "part.tar"
        try:
            files = _write_tar(part, manifest, dump, settings.data_dir)
            size = part.stat().st_size
            os.link(part, target)  # never over a file that came into being meanwhile
        except FileExistsError:
            raise SetupError("backup_exists", f"{target} exists already", path=str(target)) from None
        except OSError as error:
            raise _unwritable(target, error) from error
    return BackupReport(target, size, rows, files)


def restore(settings: Settings, file: Path, *, force: bool) -> RestoreReport:
    """Put the content of a backup in the place of the data folder. Everything is checked and built before anything is
    touched. `force` is needed when the folder holds data already; that data is gone afterwards.

    SetupError: backup_broken (path, reason), backup_foreign (path), backup_newer (path, found), restore_external,
    restore_would_replace (path), data_dir_in_use (path), restore_failed (reason), data_dir_unwritable, disk_full.
    """
    if settings.database_url is not None:
        raise SetupError("restore_external", "a database outside is restored with its own means")
    data_dir = settings.data_dir.absolute()
    manifest = read_manifest(file)
    unknown = sorted(set(manifest["migrations"]) - _known_migrations())
    if unknown:
        raise SetupError("backup_newer", f"{file} holds {unknown[0]}", path=str(file), found=unknown[0])
    with _nobody_uses(data_dir):
        if _holds_data(data_dir) and not force:
            raise SetupError("restore_would_replace", f"{data_dir} holds data", path=str(data_dir))
        fresh = _beside(data_dir, "restoring")
        try:
            report = _build(file, manifest, fresh, data_dir)
            old = _beside(data_dir, "replaced")
            old.rmdir()
            _change_places(data_dir, fresh, old)
        except OSError as error:
            raise _unwritable(data_dir, error) from error
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)
    return report


def reset(settings: Settings, *, yes: bool) -> None:
    """Delete the data folder. Nothing happens unless `yes`.

    SetupError: reset_unconfirmed (path), reset_external, reset_foreign_folder (path, name), data_dir_in_use (path).
    """
    data_dir = settings.data_dir.absolute()
    if settings.database_url is not None:
        raise SetupError("reset_external", "a database outside is not ours to delete")
    if not yes:
        raise SetupError("reset_unconfirmed", "say --yes", path=str(data_dir))
    if not data_dir.exists():
        return
    # A slip of the pen in MUTIRAO_DATA_DIR must not delete somebody's home.
    if any(data_dir.iterdir()) and not _holds_data(data_dir) and not (data_dir / "secrets").is_dir():
        name = sorted(entry.name for entry in data_dir.iterdir())[0]
        raise SetupError("reset_foreign_folder", f"{data_dir} is not ours", path=str(data_dir), name=name)
    with _nobody_uses(data_dir):
        gone = _beside(data_dir, "deleted")
        gone.rmdir()
        try:
            data_dir.rename(gone)
        except OSError as error:
            raise _unwritable(data_dir, error) from error
    shutil.rmtree(gone, ignore_errors=True)


def read_manifest(file: Path) -> dict[str, Any]:
    """The manifest of a backup whose every member was read and agrees with its checksum.

    SetupError("backup_broken", path, reason) or SetupError("backup_foreign", path).
    """
    foreign = SetupError("backup_foreign", f"{file} is no backup of ours", path=str(file))
    with contextlib.ExitStack() as opened:
        try:
            tar = opened.enter_context(tarfile.open(file, "r:"))
        except tarfile.TarError:
            raise foreign from None
        except OSError as error:
            raise _broken(file, error.strerror or str(error)) from None
        try:
            first = tar.next()
            if first is None or first.name != "manifest.json":
                raise foreign
            manifest: dict[str, Any] = json.loads(_content(tar, first).read())
            if manifest.get("product") != PRODUCT:
                raise foreign
            if manifest["format"] > FORMAT:
                raise SetupError("backup_newer", "a newer format", path=str(file), found=f"format {manifest['format']}")
            wanted: dict[str, str] = dict(manifest["members"])
            for member in iter(tar.next, None):
                _check_member(member, wanted)
                if _digest(_content(tar, member)) != wanted.pop(member.name):
                    raise ValueError(f"{member.name} is damaged")
            if wanted:
                raise ValueError(f"{sorted(wanted)[0]} is missing")
        except (tarfile.TarError, EOFError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise _broken(file, str(error)) from None
        except OSError as error:
            raise _broken(file, error.strerror or str(error)) from None
    return manifest


# --- the tar ----------------------------------------------------------------------------------


def _write_tar(path: Path, manifest: dict[str, Any], dump: Path, data_dir: Path) -> int:
    """Returns how many files of the data folder went in."""
    members = [("database.dump", dump)]
    members += [(f"files/{found.relative_to(data_dir).as_posix()}", found) for found in _lasting_files(data_dir)]
    with tempfile.TemporaryDirectory(dir=path.parent) as steady:
        # Copies first: a file that changes between its checksum and its place in the tar would look damaged.
        copies = []
        for number, (name, found) in enumerate(members):
            copy = found if found == dump else Path(steady) / str(number)
            if copy != found:
                with contextlib.suppress(FileNotFoundError):
                    shutil.copy2(found, copy)
            if copy.exists():
                copies.append((name, copy))
        for name, copy in copies:
            with copy.open("rb") as content:
                manifest["members"][name] = _digest(content)
        text = json.dumps(manifest, indent=1, sort_keys=True).encode()
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
                info = tarfile.TarInfo("manifest.json")
                info.size, info.mode = len(text), 0o600
                tar.addfile(info, io.BytesIO(text))
                for name, copy in copies:
                    info = tarfile.TarInfo(name)
                    stat = copy.stat()
                    info.size, info.mode, info.mtime = stat.st_size, stat.st_mode & 0o777, int(stat.st_mtime)
                    with copy.open("rb") as content:
                        tar.addfile(info, content)
            out.flush()
            os.fsync(out.fileno())
    return len(copies) - 1


def _lasting_files(data_dir: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(data_dir):
        folders[:] = sorted(name for name in folders if name not in _LEFT_OUT_FOLDERS)
        for name in sorted(names):
            path = Path(folder) / name
            passing = name in _LEFT_OUT_NAMES or name.endswith((".lock", ".log", ".new"))
            if not passing and path.is_file() and not path.is_symlink():
                yield path


def _check_member(member: tarfile.TarInfo, wanted: dict[str, str]) -> None:
    path = PurePosixPath(member.name)
    if member.name not in wanted or not member.isreg() or path.is_absolute() or ".." in path.parts:
        raise ValueError(f"{member.name} does not belong here")


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    content = tar.extractfile(member)
    if content is None:
        raise ValueError(f"{member.name} is no file")
    return content


def _digest(content: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while chunk := content.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


# --- the database -----------------------------------------------------------------------------


@contextlib.contextmanager
def _database(settings: Settings) -> Iterator[str]:
    """A DSN that may read every row."""
    if settings.database_url is not None:
        yield settings.database_owner_url or settings.database_url
        return
    with Postgres.start(settings.data_dir) as server:
        yield server.owner_dsn


def _dump(dsn: str, path: Path) -> dict[str, int]:
    """pg_dump into `path`. Returns the rows of our tables, counted in the same snapshot."""
    try:
        conn = psycopg.connect(dsn, connect_timeout=10)
    except psycopg.OperationalError as error:
        raise Unavailable("database_unreachable", str(error)) from None
    with conn:
        ours = _version_of(_programs() / "pg_dump")
        theirs = conn.info.server_version // 10_000
        if theirs > ours:
            raise SetupError("backup_programs_old", "pg_dump is too old", needed=str(theirs), found=str(ours))
        conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        row = conn.execute("SELECT pg_export_snapshot()").fetchone()
        snapshot = row[0] if row else ""
        # Rows are counted where every row can be seen; a login bound by row-level security would count its own.
        rows = _rows(conn) if _sees_all(conn) else {}
        done = _client("pg_dump", dsn, "--format=custom", f"--snapshot={snapshot}", f"--file={path}")
    if done.returncode != 0:
        reason = _last_line(done.stderr)
        raise SetupError("backup_failed", done.stderr.strip(), reason=reason)
    path.chmod(0o600)
    return rows


def _rows(conn: "psycopg.Connection[Any]") -> dict[str, int]:
    tables = conn.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1").fetchall()
    counts = {}
    for (table,) in tables:
        row = conn.execute(f'SELECT count(*) FROM "{table}"'.encode()).fetchone()
        counts[str(table)] = int(row[0]) if row else 0
    return counts


def _sees_all(conn: "psycopg.Connection[Any]") -> bool:
    row = conn.execute("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user").fetchone()
    return bool(row and row[0])


def _history(dsn: str) -> list[str]:
    with psycopg.connect(dsn, connect_timeout=10) as conn:
        found = conn.execute("SELECT to_regclass('public.schema_migrations') IS NOT NULL").fetchone()
        if not found or not found[0]:
            return []
        return [name for (name,) in conn.execute("SELECT name FROM schema_migrations ORDER BY name").fetchall()]


def _known_migrations() -> set[str]:
    """Ours, and those of the job engine, whose names carry its own name in front (core/migrate.py)."""
    from core.migrate import _engine

    return {path.stem for path in MIGRATIONS.glob("[0-9]*.sql")} | {step.name for step in _engine()}


def _build(file: Path, manifest: dict[str, Any], fresh: Path, final: Path) -> RestoreReport:
    """A complete data folder in `fresh`, its database filled, brought up to date, counted and stopped."""
    with tarfile.open(file, "r:") as tar:
        for member in tar:
            if member.name == "manifest.json":
                continue
            _check_member(member, manifest["members"])
            path = fresh / member.name.removeprefix("files/")
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700 if "secrets" in path.parts else 0o755)
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, member.mode & 0o777), "wb") as out:
                shutil.copyfileobj(_content(tar, member), out, _CHUNK)
    dump = fresh / "database.dump"
    with Postgres.start(fresh) as server:
        migrate(server.owner_dsn, app_dsn=server.app_dsn)  # makes the roles that the dump's objects belong to
        with psycopg.connect(server.owner_dsn, autocommit=True) as conn:
            conn.execute("DROP OWNED BY mutirao_owner, mutirao_login, mutirao_app CASCADE")
        done = _client("pg_restore", server.owner_dsn, "--exit-on-error", "--single-transaction", str(dump), into=True)
        if done.returncode != 0:
            raise SetupError("restore_failed", done.stderr.strip(), reason=_last_line(done.stderr))
        with psycopg.connect(server.owner_dsn) as conn:
            rows = _rows(conn)
        for table, count in manifest["rows"].items():
            if rows.get(table) != count:
                reason = f"{table}: {rows.get(table)} ≠ {count}"
                raise SetupError("restore_failed", reason, reason=reason)
        migrated = migrate(server.owner_dsn, app_dsn=server.app_dsn)
    dump.unlink()
    _move_notes(fresh, final)
    return RestoreReport(final, datetime.fromisoformat(manifest["made_at"]), rows, migrated)


def _move_notes(fresh: Path, final: Path) -> None:
    """What was opened for the server's user is noted by path; the folder is about to get its final name."""
    note = fresh / "postgres" / "changed-modes.json"
    if note.exists():
        note.write_text(note.read_text().replace(str(fresh), str(final)))


def _client(program: str, dsn: str, *arguments: str, into: bool = False) -> "subprocess.CompletedProcess[str]":
    """Run one of PostgreSQL's own programs. The password goes through its environment, never on the command line."""
    parts = conninfo_to_dict(dsn)
    password = parts.pop("password", None)
    target = make_conninfo("", **parts)
    env = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "PGOPTIONS": "-c timezone=UTC"}
    if password:
        env["PGPASSWORD"] = str(password)
    command = [str(_programs() / program), f"--dbname={target}", "--no-password", *arguments]
    return subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, env=env)


def _version_of(program: Path) -> int:
    done = subprocess.run([str(program), "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"(\d+)\.", done.stdout)
    return int(found.group(1)) if found else 0


def _last_line(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    errors = [line for line in lines if "error:" in line]
    return (errors or lines or ["?"])[0].strip()[:300]


# --- the folder -------------------------------------------------------------------------------


def _holds_data(data_dir: Path) -> bool:
    return (data_dir / "postgres" / "cluster").exists()


@contextlib.contextmanager
def _nobody_uses(data_dir: Path) -> Iterator[None]:
    """Stop servers that a killed process left behind, and keep everybody out while the folder is being changed.

    SetupError("data_dir_in_use", path) when a process of ours is using one of its servers.
    """
    with contextlib.ExitStack() as held:
        for lock in sorted(data_dir.glob("**/users.lock")):
            with lock.open("a+") as users:
                try:
                    fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    raise SetupError("data_dir_in_use", f"{data_dir} is in use", path=str(data_dir)) from None
            _stop_left_over(lock.parent)
            change = held.enter_context((lock.parent / "change.lock").open("a+"))
            fcntl.flock(change, fcntl.LOCK_EX)
            users = held.enter_context(lock.open("a+"))
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise SetupError("data_dir_in_use", f"{data_dir} is in use", path=str(data_dir)) from None
        yield


def _stop_left_over(folder: Path) -> None:
    def never() -> Started:
        raise SetupError("data_dir_in_use", f"the server in {folder} ended just now", path=str(folder))

    server = SharedServer(folder, folder.name, never, lambda details: True)
    if server.pid() is not None:
        server.acquire()
        server.release()  # the last one that leaves stops it


def _beside(data_dir: Path, why: str) -> Path:
    """A new empty folder next to the data folder, on the same disk, so that the two can change places."""
    try:
        data_dir.parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=f".{data_dir.name}.{why}-", dir=data_dir.parent))
    except OSError as error:
        raise _unwritable(data_dir.parent, error) from error


def _change_places(data_dir: Path, fresh: Path, old: Path) -> None:
    if data_dir.exists():
        fresh.chmod(data_dir.stat().st_mode & 0o777)
        data_dir.rename(old)
    else:
        fresh.chmod(0o755)
    try:
        fresh.rename(data_dir)
    except OSError:
        if old.exists():
            old.rename(data_dir)
        raise


@contextlib.contextmanager
def _workspace(target: Path) -> Iterator[Path]:
    """A private folder next to the backup's final place (same disk), gone afterwards."""
    try:
        work = Path(tempfile.mkdtemp(prefix=f".{PRODUCT}-backup-", dir=target.absolute().parent))
    except OSError as error:
        raise _unwritable(target, error) from error
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _unwritable(path: Path, error: OSError) -> SetupError:
    reason = error.strerror or str(error)
    return SetupError("backup_unwritable", f"{path}: {reason}", path=str(path), reason=reason)


def _broken(file: Path, reason: str) -> SetupError:
    return SetupError("backup_broken", f"{file}: {reason}", path=str(file), reason=reason)
