"""From a name to the address that is connected to: looked up once, checked, and then used as it is.

The name is not looked up a second time when the connection is made, so a DNS server that answers differently then
(rebinding) changes nothing. In the sandbox another resolver is handed in, which knows the simulated sites alone
(`simulator/sites_resolver.py`); the checks here have no switch.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from integrations.web_pages.addresses import is_public
from integrations.web_pages.errors import not_public, unreachable

MOST_ADDRESSES = 3


@dataclass(frozen=True)
class Endpoint:
    """Where to connect: an IP address and a port."""

    address: str
    port: int


class Resolver(Protocol):
    """PublicResolver, and the sandbox's SimulatedSites."""

    async def resolve(self, host: str, port: int) -> tuple[Endpoint, ...]:
        """Where to connect for that name, the first to be tried first. At least one, each of them allowed.

        Refused("page_not_public", host), Unavailable("page_unreachable", host).
        """
        ...


Lookup = Callable[[str], Awaitable[list[str]]]
"""A name's IP addresses; empty when there is no such name."""


async def system_lookup(host: str) -> list[str]:
    """As this machine looks names up."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:  # no such name, no DNS server
        return []
    return [str(address[4][0]) for address in found]


class PublicResolver:
    """Names of the public internet. `timeout` seconds for one look-up."""

    def __init__(self, lookup: Lookup = system_lookup, *, timeout: float = 5.0) -> None:
        self._lookup = lookup
        self._timeout = timeout

    async def resolve(self, host: str, port: int) -> tuple[Endpoint, ...]:
        """All addresses of the name must be public; one that is not spoils the name, whatever stands beside it."""
        try:
            async with asyncio.timeout(self._timeout):
                addresses = list(dict.fromkeys(await self._lookup(host)))
        except TimeoutError:
            raise unreachable(host, "its name is not found in time") from None
        if not addresses:
            raise unreachable(host, "no such name")
        if not all(is_public(address) for address in addresses):
            raise not_public(host, "its name leads to an address that is not public")
        addresses.sort(key=lambda address: ":" in address)  # IPv4 first: many machines have no way to IPv6
        return tuple(Endpoint(address, port) for address in addresses[:MOST_ADDRESSES])
