"""A channel at a gateway → its client, with the channel's own address and credential."""

import ipaddress
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from business.messaging.channels import Channel, Channels, Environment
from core.errors import ArgumentsWrong, Refused
from integrations.evolution.client import EvolutionClient
from integrations.gateway_maps.client import MappedClient
from integrations.gateway_maps.mapping import load


def evolution_client(
    http: httpx.AsyncClient, base_url: str, number: str, secrets: Mapping[str, str], environment: Environment
) -> EvolutionClient:
    """Refused("gateway_not_local", url) for an address outside in the sandbox; ArgumentsWrong("channel_malformed")."""
    _check(base_url, environment)
    return EvolutionClient(http, base_url, secrets.get("api_key", ""), number, pause=0.2)


def mapped_client(
    http: httpx.AsyncClient,
    provider: str,
    base_url: str,
    account: str,
    number: str,
    secrets: Mapping[str, str],
    environment: Environment,
    data_dir: Path,
) -> MappedClient:
    """As `evolution_client`; SetupError as mapping.load."""
    gateway = load(provider, data_dir)
    _check(base_url or gateway.base_url, environment)
    return MappedClient(http, gateway, secrets.get("token", ""), base_url=base_url, account=account, number=number)


def evolution_opener(channels: Channels, http: httpx.AsyncClient) -> Callable[[Channel], Awaitable[EvolutionClient]]:
    """For EvolutionSender. Errors also as `Channels.secrets`."""

    async def opened(channel: Channel) -> EvolutionClient:
        secrets = await channels.secrets(channel)
        return evolution_client(http, channel.base_url, channel.number, secrets, channel.environment)

    return opened


def mapped_opener(
    channels: Channels, http: httpx.AsyncClient, data_dir: Path
) -> Callable[[Channel], Awaitable[MappedClient]]:
    """For MappedSender. Errors also as `Channels.secrets`."""

    async def opened(channel: Channel) -> MappedClient:
        secrets = await channels.secrets(channel)
        return mapped_client(
            http,
            channel.provider,
            channel.base_url,
            channel.account,
            channel.number,
            secrets,
            channel.environment,
            data_dir,
        )

    return opened


def on_loopback(url: str) -> bool:
    """Whether an address is this machine's."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check(base_url: str, environment: Environment) -> None:
    if not base_url:
        raise ArgumentsWrong("channel_malformed", "the server's address is missing", what="base_url")
    if environment == "sandbox" and not on_loopback(base_url):
        raise Refused("gateway_not_local", f"{base_url} is not on this machine", url=base_url)
