"""A server that several processes share: started once, found again, stopped by the last that leaves."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core.errors import SetupError, Unavailable
from core.processes import Attached, SharedServer, Started, detached
from tests.conftest import until, wait_until

SERVER = "import pathlib, sys, time; pathlib.Path(sys.argv[1]).touch(); time.sleep(600)"


def shared(folder: Path, *, code: str = SERVER, seconds: float = 20.0) -> SharedServer:
    """A server that says it is ready by making a file."""
    ready = folder / "ready"

    def start() -> Started:
        ready.unlink(missing_ok=True)
        process = detached([sys.executable, "-c", code, str(ready)], log=folder / "log")
        return Started(process.pid, {"ready": str(ready)}, process)

    def answers(details: dict[str, Any]) -> bool:
        return Path(details["ready"]).exists()

    return SharedServer(folder, "stand-in", start, answers, start_seconds=seconds, log=folder / "log")


def running(pid: int) -> bool:
    return subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, check=False).stdout.strip()[
        :1
    ] not in (
        b"",
        b"Z",
    )


USER = """
import sys; sys.path[:0] = [{root!r}]
from pathlib import Path
from tests.core.test_processes import shared
server = shared(Path({folder!r}))
server.acquire()
print(server.pid(), flush=True)
if sys.stdin.readline().strip() == "leave":
    server.release()
"""


def another_user(folder: Path) -> tuple["subprocess.Popen[str]", int]:
    """A process that uses the server until it is told to leave, or killed."""
    code = USER.format(root=str(Path(__file__).parents[2]), folder=str(folder))
    user = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert user.stdout is not None
    return user, int(user.stdout.readline())


def test_it_is_started_once_and_the_last_to_leave_stops_it(tmp_path: Path) -> None:
    first, second = shared(tmp_path), shared(tmp_path)
    assert first.acquire() == second.acquire()
    pid = first.pid()
    assert pid is not None and second.pid() == pid
    assert os.getsid(pid) == pid  # a session of its own: ctrl-C does not reach it
    first.release()
    assert second.pid() == pid
    second.release()
    assert second.pid() is None and not running(pid)
    second.release()  # leaving twice is nothing


async def test_on_a_loop_who_gives_up_waiting_leaves_no_server_behind(tmp_path: Path) -> None:
    server = shared(tmp_path)
    attached = Attached(server)
    impatient, patient = asyncio.create_task(attached.details()), asyncio.create_task(attached.details())
    await until(lambda: server.pid() is not None)
    impatient.cancel()  # as SIGTERM does to who is still starting
    assert Path((await patient)["ready"]).exists()  # the other one got it, from the same start
    pid = server.pid()
    await attached.leave()
    assert pid is not None and not running(pid)


async def test_on_a_loop_a_start_that_nobody_waits_for_any_more_is_ended_too(tmp_path: Path) -> None:
    server = shared(tmp_path)
    attached = Attached(server)
    waiting = asyncio.create_task(attached.details())
    await until(lambda: server.pid() is not None)
    pid = server.pid()
    waiting.cancel()
    await attached.leave()
    assert pid is not None and not running(pid)
    await attached.leave()  # leaving twice is nothing


def test_after_kill_9_of_its_users_it_is_found_again_and_stopped_by_the_next(tmp_path: Path) -> None:
    user, pid = another_user(tmp_path)
    user.kill()
    user.communicate()
    assert running(pid)
    server = shared(tmp_path)
    server.acquire()
    assert server.pid() == pid
    server.release()
    wait_until(lambda: not running(pid))


def test_a_user_that_leaves_keeps_it_for_another_process(tmp_path: Path) -> None:
    user, pid = another_user(tmp_path)
    server = shared(tmp_path)
    server.acquire()
    server.release()
    assert running(pid)
    user.communicate("leave\n")
    wait_until(lambda: not running(pid))


def test_a_server_that_died_is_started_again(tmp_path: Path) -> None:
    server = shared(tmp_path)
    server.acquire()
    before = server.pid()
    assert before is not None
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: server.pid() is None)
    later = shared(tmp_path)
    later.acquire()
    after = later.pid()
    assert after not in (None, before)
    later.release()
    server.release()
    assert later.pid() is None


def test_a_copy_of_the_folder_gets_a_server_of_its_own(tmp_path: Path) -> None:
    original = shared(tmp_path / "original")
    original.acquire()
    shutil.copytree(tmp_path / "original", tmp_path / "copy")
    copy = shared(tmp_path / "copy")
    copy.acquire()
    assert copy.pid() not in (None, original.pid())
    copy.release()
    assert original.pid() is not None
    original.release()


def test_one_that_never_answers_is_told_with_its_log_and_not_left_running(tmp_path: Path) -> None:
    server = shared(tmp_path, code="import time; print('cannot bind', flush=True); time.sleep(600)", seconds=0.8)
    with pytest.raises(Unavailable) as told:
        server.acquire()
    assert told.value.code == "server_not_starting"
    assert "cannot bind" in str(told.value)
    assert server.pid() is None


def test_an_unwritable_folder_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError) as told:
        shared(tmp_path / "file" / "folder").acquire()
    assert told.value.code == "data_dir_unwritable"
