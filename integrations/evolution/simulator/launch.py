"""Start the simulated Evolution server in a process of its own: shared by all of a data folder, or for one test."""

from pathlib import Path

from core.processes import SharedServer
from integrations import sandbox_http
from integrations.sandbox_http import Launched

_MODULE = "integrations.evolution.simulator"


def shared(folder: Path) -> SharedServer:
    """The sandbox's Evolution of a data folder. `acquire()` gives {"url"}; the last user stops it."""
    return sandbox_http.shared(_MODULE, folder)


def start(folder: Path) -> Launched:
    """One of one's own on a free port."""
    return sandbox_http.start(_MODULE, folder)


def api_key(folder: Path) -> str:
    """The key of a simulator that has been started in `folder`. OSError when none has."""
    return (folder / "api_key").read_text().strip()
