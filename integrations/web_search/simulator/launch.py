"""Start the simulated search vendors in a process of their own: shared by a data folder, or for one test."""

from pathlib import Path

from core.processes import SharedServer
from integrations import sandbox_http
from integrations.sandbox_http import Launched

_MODULE = "integrations.web_search.simulator"


def shared(folder: Path) -> SharedServer:
    """The sandbox's searches of a data folder. `acquire()` gives {"url"}: SerpAPI speaks under /serpapi, Brave under
    /brave, Serper under /serper, all with `wires.SANDBOX_KEY`. The last user stops it."""
    return sandbox_http.shared(_MODULE, folder)


def start(folder: Path, *, quota: int = 1_000_000) -> Launched:
    """Vendors of one's own on a free port, each granting `quota` searches."""
    return sandbox_http.start(_MODULE, folder, "--quota", str(quota))
