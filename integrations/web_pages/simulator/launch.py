"""Start the simulated sites in a process of their own, and the way there: their resolver and whom to trust."""

import ssl
from pathlib import Path

from core.processes import SharedServer
from integrations import sandbox_http
from integrations.sandbox_http import Launched

_MODULE = "integrations.web_pages.simulator"


def shared(folder: Path) -> SharedServer:
    """The sandbox's sites of a data folder. `acquire()` gives {"url"}; the last user stops it."""
    return sandbox_http.shared(_MODULE, folder)


def start(folder: Path) -> Launched:
    """Sites of one's own on a free port."""
    return sandbox_http.start(_MODULE, folder)


def trust(folder: Path) -> ssl.SSLContext:
    """Certificates of the simulated sites of that folder, and no others. Once the simulator runs."""
    return ssl.create_default_context(cafile=str(folder / "ca.pem"))
