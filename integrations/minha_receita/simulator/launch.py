"""Start the registry's simulator in a process of its own: shared by all processes of a data folder, or for one test."""

from pathlib import Path

from core.processes import SharedServer
from integrations import sandbox_http
from integrations.sandbox_http import Launched

_MODULE = "integrations.minha_receita.simulator"


def shared(folder: Path) -> SharedServer:
    """The sandbox's registry of a data folder. `acquire()` gives {"url"}; the last user stops it."""
    return sandbox_http.shared(_MODULE, folder)


def start(folder: Path, *, privacy: bool = True) -> Launched:
    """A registry of one's own on a free port. `privacy=False` tells e-mails, as a server of one's own may."""
    return sandbox_http.start(_MODULE, folder, *([] if privacy else ["--no-privacy"]))
