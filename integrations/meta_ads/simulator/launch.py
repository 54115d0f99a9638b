"""Start the simulator in a process of its own: shared by all processes of a data folder, or private to a test."""

import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from core.errors import Unavailable
from core.processes import SharedServer, Started, detached
from integrations.sandbox_http import listen, listen_again, ready

_ROOT = Path(__file__).parents[3]


def shared(folder: Path) -> SharedServer:
    """The sandbox's Graph API of a data folder. `acquire()` gives {"url", "token_file"}; the last user stops it.

    Its state stays in `folder` and it comes back on the same port when it can, so addresses in use stay good.
    """

    def start() -> Started:
        server = listen_again(folder)
        with server:
            process = detached(
                [*_command(folder), "--socket", str(server.fileno())],
                log=folder / "simulator.log",
                pass_fds=(server.fileno(),),
                cwd=_ROOT,
            )
            port = server.getsockname()[1]
        (folder / "port").write_text(str(port))
        details = {"url": f"http://127.0.0.1:{port}", "token_file": str(folder / "token")}
        return Started(process.pid, details, process)

    return SharedServer(folder, "meta_ads simulator", start, ready, log=folder / "simulator.log")


@dataclass
class Launched:
    """A simulator of one's own. `base_url` for MetaAdsClient; `token` is the only one it takes."""

    base_url: str
    token: str
    process: subprocess.Popen[bytes]

    def stop(self, *, kill: bool = False) -> None:
        """End it; `kill` as with kill -9."""
        if kill:
            self.process.kill()
        else:
            self.process.terminate()
        self.process.wait(10)


def start(folder: Path, now: datetime | None = None) -> Launched:
    """Start one on a free port and wait until it answers. `now` fixes its clock (else the system's).

    Unavailable("server_not_starting") when it does not answer within 15 seconds.
    """
    folder.mkdir(parents=True, exist_ok=True)
    command = [*_command(folder), *(["--now", now.isoformat()] if now else [])]
    with listen(0) as server, (folder / "simulator.log").open("ab") as log:
        port = server.getsockname()[1]
        process = subprocess.Popen(
            [*command, "--socket", str(server.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(server.fileno(),),
            cwd=_ROOT,
        )
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 15
    while not ready({"url": url}):
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            end = (folder / "simulator.log").read_text(errors="replace")[-1_000:]
            raise Unavailable("server_not_starting", f"the simulator does not start: {end}", server="simulator", log="")
        time.sleep(0.01)
    return Launched(url, (folder / "token").read_text().strip(), process)


def _command(folder: Path) -> list[str]:
    return [sys.executable, "-m", "integrations.meta_ads.simulator", "--dir", str(folder.resolve())]
