"""Start the simulated WhatsApp in a process of its own: shared by all processes of a data folder, or for one test."""

from dataclasses import dataclass
from pathlib import Path

from core.processes import SharedServer
from integrations import sandbox_http
from integrations.sandbox_http import Launched
from integrations.whatsapp_cloud.simulator.state import made_secrets

_MODULE = "integrations.whatsapp_cloud.simulator"


@dataclass(frozen=True)
class Secrets:
    """What a sandbox's WhatsApp and we share; made at its first start, in files that only we can read."""

    token: str
    app_secret: str
    verify_token: str


def shared(folder: Path) -> SharedServer:
    """The sandbox's WhatsApp of a data folder. `acquire()` gives {"url"}; the last user stops it. Its conversations
    stay in `folder`, and it comes back on the same port when it can."""
    return sandbox_http.shared(_MODULE, folder)


def start(folder: Path) -> Launched:
    """A WhatsApp of one's own on a free port."""
    return sandbox_http.start(_MODULE, folder)


def secrets_of(folder: Path) -> Secrets:
    """The secrets of the simulator of `folder`, whether it runs or not; made when it has never been started."""
    return Secrets(*made_secrets(folder))
