"""A server that is told to stop takes along what it started: the embedded database and the simulator."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]


def _free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


def _of(folder: Path) -> list[str]:
    """What runs on a data folder."""
    told = (" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"]))
    return [line for line in told if str(folder) in line]


def test_a_server_that_is_told_to_stop_leaves_nothing_running(tmp_path: Path, learnt: Path) -> None:
    shutil.copytree(learnt, tmp_path / "var" / "cache")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MUTIRAO_")}
    environment |= {"MUTIRAO_DATA_DIR": str(tmp_path / "var"), "MUTIRAO_IGNORE_PROVIDER_KEYS": "true"}
    port = _free_port()
    command = [sys.executable, "-c", "import app; app.main()", "serve", "--port", str(port)]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert any(f":{port}/chat" in line for line in server.stdout), "it never said that it serves"
        assert any("postgres" in line for line in _of(tmp_path))
        assert any("simulator" in line for line in _of(tmp_path))
        server.send_signal(signal.SIGTERM)
        assert server.wait(60) == 0
    assert _of(tmp_path) == []
