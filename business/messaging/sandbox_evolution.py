"""The sandbox's Evolution server: a stand-in in a process of its own, for who tries that gateway out."""

from pathlib import Path

from business.messaging.channels import Channel, Channels
from business.messaging.gateway_clients import on_loopback
from core.processes import Attached
from core.tenancy import Identity
from integrations.evolution.simulator import launch
from integrations.evolution.simulator.state import INSTANCE

__all__ = ["INSTANCE", "SandboxEvolution"]


class SandboxEvolution:
    """Of one data folder; several processes of it share one. `folder`: `<data_dir>/simulators/evolution`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._server = Attached(launch.shared(self._folder))

    async def open(self) -> str:
        """Start it or join in, once; gives its address. Errors as SharedServer.acquire."""
        return str((await self._server.details())["url"])

    async def rejoin(self, channels: Channels, admin: Identity) -> Channel | None:
        """Start it again for a company that has tried it, at its address of now; None, and nothing is started, for one
        that has not."""
        known = [one for one in await channels.of(admin.tenant_id) if one.provider == "evolution"]
        found = next((one for one in known if one.number == INSTANCE and on_loopback(one.base_url)), None)
        if found is None or channels.environment("evolution") != "sandbox" or found.state == "paused":
            return None
        url = await self.open()
        if found.base_url == url:
            return found
        return await channels.save(admin, "evolution", INSTANCE, base_url=url, secrets={"api_key": self.api_key})

    @property
    def api_key(self) -> str:
        """Its key, once it has been started."""
        return launch.api_key(self._folder)

    async def close(self) -> None:
        """Leave; the last one stops it. Its conversations stay in the folder."""
        await self._server.leave()
