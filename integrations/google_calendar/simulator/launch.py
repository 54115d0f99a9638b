"""Start Google Calendar's simulator in a process of its own: shared by those of a data folder, or for one test."""

from pathlib import Path

from core.processes import SharedServer
from integrations import sandbox_http
from integrations.sandbox_http import Launched

_MODULE = "integrations.google_calendar.simulator"


def shared(folder: Path) -> SharedServer:
    """The sandbox's calendar of a data folder. `acquire()` gives {"url"}; the last user stops it."""
    return sandbox_http.shared(_MODULE, folder)


def start(folder: Path) -> Launched:
    """One's own on a free port."""
    return sandbox_http.start(_MODULE, folder)
