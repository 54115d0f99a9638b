"""A server process that all our processes on one data folder share: the embedded PostgreSQL, the simulators.

Whoever needs it first starts it, detached, so that ctrl-C in a terminal does not reach it. Later ones attach.
Every user holds a shared lock on `users.lock`; the last that leaves cleanly stops the server. Locks vanish with
their process, so a user killed with -9 is not counted any more: the server stays, is found by the next one and
stopped properly by the last. A `SharedServer` blocks; on an event loop it is used through `Attached`.
"""

import asyncio
import contextlib
import errno
import fcntl
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from core.errors import SetupError, Unavailable


@dataclass(frozen=True)
class Started:
    """A server that was just started: its process (ours, or one found already running) and how to reach it."""

    pid: int
    details: dict[str, Any]
    process: subprocess.Popen[bytes] | None = None


class SharedServer:
    """One shared server, kept in `folder` (made if missing): its locks, and `server.json` saying how to reach it.

    `start` starts it detached (see `detached`) and returns at once; `answers(details)` says whether it can be used.
    `stop_signal` asks it to end; it is killed when it has not ended `stop_seconds` later.
    `died(details)` may clean up after a server that is gone; `log` is the file whose end explains a failed start.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        start: Callable[[], Started],
        answers: Callable[[dict[str, Any]], bool],
        *,
        stop_signal: signal.Signals = signal.SIGTERM,
        start_seconds: float = 30.0,
        stop_seconds: float = 20.0,
        died: Callable[[dict[str, Any]], None] | None = None,
        log: Path | None = None,
    ) -> None:
        self.folder = folder
        self.name = name
        self._start = start
        self._answers = answers
        self._stop_signal = stop_signal
        self._start_seconds = start_seconds
        self._stop_seconds = stop_seconds
        self._died = died
        self._log = log
        self._users: IO[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    # --- for those who use it -----------------------------------------------------------------

    def acquire(self) -> dict[str, Any]:
        """Attach to the server, starting it if it does not run. Returns its details (port, socket folder, …).

        SetupError("data_dir_unwritable", path) when the folder cannot be written;
        Unavailable("server_not_starting", server, log) when it does not answer in `start_seconds`.
        """
        if self._users is not None:
            raise RuntimeError(f"{self.name} is already acquired by this object")
        with self._changing():
            users = self._open("users.lock")
            try:
                fcntl.flock(users, fcntl.LOCK_SH)
                details = self._running() or self._start_until_it_answers()
            except BaseException:
                with users, contextlib.suppress(OSError):
                    fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    self._stop()  # do not leave behind a server that we started and cannot use
                raise
            self._users = users
            return details

    def release(self) -> None:
        """Leave. Stops the server when nobody else uses it. Does nothing when not acquired."""
        if self._users is None:
            return
        users, self._users = self._users, None
        with users, self._changing():
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                if self._process is not None:
                    self._process.returncode = 0  # somebody else still uses it: not our child to wait for any more
                return
            self._stop()

    def __enter__(self) -> dict[str, Any]:
        return self.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def pid(self) -> int | None:
        """The server's process, None when it does not run."""
        record = self._record()
        return record["pid"] if record and self._alive(record) else None

    # --- starting and stopping, always under the lock -----------------------------------------

    def _running(self) -> dict[str, Any] | None:
        record = self._record()
        if record is None:
            return None
        if self._alive(record):
            # It may be starting still: the one who started it can have been killed while waiting.
            deadline = time.monotonic() + self._start_seconds
            while self._alive(record):
                if self._answers(record["details"]):
                    return dict(record["details"])
                if time.monotonic() > deadline:
                    self._end(record["pid"])  # it hangs
                    break
                time.sleep(0.02)
        self._forget(record)
        return None

    def _start_until_it_answers(self) -> dict[str, Any]:
        # A second try mends what a killed predecessor leaves for a moment (a port, PostgreSQL's shared memory).
        deadline = time.monotonic() + self._start_seconds
        for _ in range(3):
            started = self._start()
            self._process = started.process
            record = {
                "folder": str(self.folder.resolve()),
                "pid": started.pid,
                "born": _born(started.pid),
                "details": started.details,
            }
            self._write(record)
            while self._alive(record):
                if self._answers(started.details):
                    return started.details
                if time.monotonic() > deadline:
                    self._end(started.pid)
                    break
                time.sleep(0.02)
            self._forget(record)
            if time.monotonic() > deadline:
                break
            time.sleep(0.3)
        raise Unavailable(
            "server_not_starting",
            f"{self.name} does not start; the end of its log: {self._log_end()}",
            server=self.name,
            log=str(self._log or ""),
        )

    def _stop(self) -> None:
        record = self._record()
        if record is None:
            return
        if self._alive(record):
            self._end(record["pid"])
        self._forget(record)

    def _end(self, pid: int) -> None:
        record = {"pid": pid, "born": _born(pid)}
        for sign in (self._stop_signal, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, sign)
            deadline = time.monotonic() + self._stop_seconds
            while self._alive(record) and time.monotonic() < deadline:
                time.sleep(0.01)
            if not self._alive(record):
                return

    def _alive(self, record: dict[str, Any]) -> bool:
        if self._process is not None and self._process.pid == record["pid"]:
            return self._process.poll() is None  # reaps our own child
        born = _born(record["pid"])
        # A process number is used again after a while; the moment of birth tells the new one from ours.
        return born is not None and born == record["born"]

    # --- the folder ---------------------------------------------------------------------------

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        """Only one process at a time looks, starts or stops."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(self.folder, error) from error
        with self._open("change.lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _open(self, name: str) -> IO[str]:
        try:
            return (self.folder / name).open("a+")  # close-on-exec: a server never inherits its users' locks
        except OSError as error:
            raise unwritable(self.folder, error) from error

    def _record(self) -> dict[str, Any] | None:
        try:
            record: dict[str, Any] = json.loads((self.folder / "server.json").read_text())
        except (FileNotFoundError, ValueError):
            return None
        # A copy of the folder names the server of the original, which is not ours to use or to stop.
        return record if record.get("folder") == str(self.folder.resolve()) else None

    def _write(self, record: dict[str, Any]) -> None:
        fresh = self.folder / "server.json.new"
        fresh.write_text(json.dumps(record))
        fresh.replace(self.folder / "server.json")

    def _forget(self, record: dict[str, Any]) -> None:
        (self.folder / "server.json").unlink(missing_ok=True)
        if self._died is not None:
            self._died(record["details"])

    def _log_end(self) -> str:
        if self._log is None or not self._log.exists():
            return "(no log)"
        return self._log.read_text(errors="replace")[-1_500:].strip()


class Attached:
    """A SharedServer used on an event loop. It is acquired once, however many ask at the same time; who gives up
    waiting (a task that is cancelled) leaves the start to go on, and `leave` waits for that."""

    def __init__(self, server: SharedServer) -> None:
        self._server = server
        self._acquiring: asyncio.Future[dict[str, Any]] | None = None

    async def details(self) -> dict[str, Any]:
        """How to reach it, when it answers. Errors as SharedServer.acquire; the next one who asks tries again."""
        if self._acquiring is None:
            # No task: those are all cancelled when a loop ends, and nobody would know of the server.
            self._acquiring = asyncio.get_running_loop().run_in_executor(None, self._server.acquire)
        acquiring = self._acquiring
        try:
            return await asyncio.shield(acquiring)
        except Exception:
            if self._acquiring is acquiring:
                self._acquiring = None
            raise

    async def leave(self) -> None:
        """Give it back; the last one stops it. Does nothing when nobody asked for it."""
        acquiring, self._acquiring = self._acquiring, None
        if acquiring is not None:
            await asyncio.wait({acquiring})
            if acquiring.exception() is None:
                await asyncio.to_thread(self._server.release)


def detached(command: list[str], *, log: Path, user: int | None = None, group: int | None = None, **more: Any) -> Any:
    """Start `command` in a session of its own (a ctrl-C in our terminal does not reach it), its words going to `log`.

    `user` and `group` are the ids it runs as, None for our own. The log starts anew above 10 MB.
    """
    with contextlib.suppress(FileNotFoundError):
        if log.stat().st_size > 10_000_000:
            log.unlink()
    with log.open("ab") as out:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            user=user,
            group=group,
            extra_groups=None if user is None else [],
            **more,
        )


def unwritable(path: Path, error: OSError) -> SetupError:
    """The one error for a data folder that cannot be made, written or locked."""
    if error.errno == errno.ENOSPC:
        return SetupError("disk_full", f"no space left for {path}", path=str(path))
    return SetupError("data_dir_unwritable", f"{path} cannot be written: {error.strerror}", path=str(path))


def command_of(pid: int) -> str | None:
    """The command line of a process, None when there is no such process."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        found = subprocess.run(["ps", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False)
        return found.stdout.strip() or None


def _born(pid: int) -> str | None:
    """When the process began, as a text to compare; None when it is gone or a zombie."""
    if Path("/proc/self/stat").exists():  # Linux; elsewhere (macOS) ps says it
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
            boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        except OSError:
            return None
        fields = stat.rpartition(")")[2].split()  # the name in brackets may hold anything
        return None if fields[0] in "ZX" else f"{boot} {fields[19]}"  # field 22: start, in ticks since boot
    found = subprocess.run(["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    state, _, born = found.stdout.strip().partition(" ")
    return None if not state or state.startswith("Z") else born.strip()
