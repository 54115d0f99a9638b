"""The sandbox's Evolution server: a stand-in in a process of its own, for who tries that gateway out."""

import asyncio
from pathlib import Path

from integrations.evolution.simulator import launch
from integrations.evolution.simulator.state import INSTANCE

__all__ = ["INSTANCE", "SandboxEvolution"]


class SandboxEvolution:
    """Of one data folder; several processes of it share one. `folder`: `<data_dir>/simulators/evolution`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._server = launch.shared(self._folder)
        self._url = ""

    async def open(self) -> str:
        """Start it or join in, once; gives its address. Errors as SharedServer.acquire."""
        if not self._url:
            details = await asyncio.to_thread(self._server.acquire)
            self._url = str(details["url"])
        return self._url

    @property
    def api_key(self) -> str:
        """Its key, once it has been started."""
        return launch.api_key(self._folder)

    async def close(self) -> None:
        """Leave; the last one stops it. Its conversations stay in the folder."""
        if self._url:
            self._url = ""
            await asyncio.to_thread(self._server.release)
