"""Start the simulator of the three services in a process of its own: shared by a data folder, or for one test."""

from pathlib import Path

from core.processes import SharedServer
from integrations import sandbox_http
from integrations.sandbox_http import Launched

_MODULE = "integrations.brasil_places.simulator"


def shared(folder: Path) -> SharedServer:
    """The sandbox's services of a data folder. `acquire()` gives {"url"}; the last user stops it."""
    return sandbox_http.shared(_MODULE, folder)


def start(folder: Path) -> Launched:
    """Services of one's own on a free port."""
    return sandbox_http.start(_MODULE, folder)


def urls(base: str) -> dict[str, str]:
    """The base URLs for `Places`."""
    return {"brasilapi_url": f"{base}/brasilapi", "viacep_url": f"{base}/viacep", "ibge_url": f"{base}/ibge"}
