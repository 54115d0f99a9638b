"""The sandbox's DNS: names of the simulated sites lead to the simulator, everything else is checked as ever.

Handed to `WebPages` by the composition root instead of `PublicResolver`. It does not look names up anywhere: what is
no simulated site does not exist, and the hostile zone's inner names get the addresses that stand in its table, which
then fail the same checks as on the public internet.
"""

import asyncio
from urllib.parse import urlsplit

from integrations.web_pages.resolver import Endpoint, PublicResolver
from integrations.web_pages.simulator import sites
from integrations.web_pages.simulator.hostile import INNER_NAMES, PAGES, ZONE


class SimulatedSites:
    """Resolver of the sites behind `url`, the simulator's address on loopback."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.hostname != "127.0.0.1" or parts.port is None:
            raise ValueError("the simulator is on 127.0.0.1")
        self._endpoint = Endpoint(parts.hostname, parts.port)
        self._others = PublicResolver(_zone)

    async def resolve(self, host: str, port: int) -> tuple[Endpoint, ...]:
        """As `Resolver.resolve`."""
        label = host.removesuffix(f".{ZONE}")
        known = await asyncio.to_thread(sites.hosts)  # the first time all companies are made for it
        if host.removeprefix("www.") in known or (label != host and label in PAGES):
            return (self._endpoint,)
        return await self._others.resolve(host, port)


async def _zone(host: str) -> list[str]:
    label = host.removesuffix(f".{ZONE}")
    return INNER_NAMES.get(label, []) if label != host else []
