"""How a webhook of a gateway that does not sign shows that it is genuine, and what items it is made of.

Gateways other than WhatsApp itself sign nothing. So the address that we give them ends in the channel's id, and they
are told a key of ours to bring along: a header where they can set one, else `?key=` in the address. A key is derived
from one secret of this installation and the channel, so nothing is looked up for it. Evolution also sends its own API
key in every body; it counts as well, and is taken out before anything is kept.
"""

import hashlib
import hmac
import json
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import structlog

from business.messaging.channels import Channels, Provider
from core.errors import ArgumentsWrong, MutiraoError, Unavailable
from core.vault import Vault
from integrations.evolution import webhooks as evolution
from integrations.gateway_maps import webhooks as mapped
from integrations.gateway_maps.mapping import MAPPED, GatewayMap, load
from integrations.gateways import Item

log = structlog.get_logger(__name__)

HEADER = "x-mutirao-key"
HOOKS = "gateway_hooks"
"""The vault's name for the secret that channels' keys are derived from."""
HookKey = Callable[[str, str], str]
"""(provider, channel id) → the key that the gateway has to bring."""
SecretsOf = Callable[[str, str], Awaitable[Mapping[str, str]]]
"""(tenant id, channel id) → the channel's secrets, {} when there are none."""
_KEPT_SECONDS = 30.0  # how long a channel's API key is remembered: one read of the database for a burst of webhooks
_MOST_KEPT = 10_000
_ODD = re.compile(rb"\\u0000|\\u[dD][89a-fA-F]")


class GatewayDoor(Protocol):
    """What the door asks of a provider."""

    async def admits(
        self, tenant_id: str, channel_id: str, headers: Mapping[str, str], query: Mapping[str, str], body: bytes
    ) -> bool:
        """Whether this POST comes from the channel's gateway. `headers` by their names in lower case.

        Unavailable when that cannot be known now.
        """
        ...

    def items(self, number: str, body: bytes, at: datetime) -> list[Item]:
        """The items for the channel whose gateway calls it `number`, each of them readable without its envelope; `at`:
        when it came, by our clock. Secrets of the gateway are in none of them.

        ArgumentsWrong: gateway_body_broken for what is no webhook, gateway_other_number for one of another number.
        """
        ...


def hook_keys(secret: str) -> HookKey:
    """Keys derived from `secret` (Vault.named_secret(HOOKS))."""

    def key(provider: str, channel_id: str) -> str:
        return hmac.new(secret.encode(), f"{provider}/{channel_id}".encode(), hashlib.sha256).hexdigest()[:48]

    return key


def brings_key(headers: Mapping[str, str], query: Mapping[str, str], expected: str) -> bool:
    """Whether the header or the address carries the key. What a gateway appends to an address comes after a slash."""
    told = headers.get(HEADER) or query.get("key", "").partition("/")[0]
    return hmac.compare_digest(told.encode(), expected.encode())


def parsed(body: bytes) -> dict[str, Any]:
    """The JSON object of a webhook, with U+FFFD for what PostgreSQL cannot keep (NUL, halves of a surrogate pair).

    ArgumentsWrong("gateway_body_broken").
    """
    try:
        found = json.loads(body)
        if _ODD.search(body):
            found = _kept(found)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ArgumentsWrong("gateway_body_broken", "no JSON object")
    return found


def _kept(raw: Any) -> Any:
    if isinstance(raw, str):
        return raw.replace("\0", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(raw, dict):
        return {_kept(name): _kept(value) for name, value in raw.items()}
    return [_kept(one) for one in raw] if isinstance(raw, list) else raw


class EvolutionDoor:
    """Evolution API: our key in the header that we ask it to send, or its own API key in the body."""

    def __init__(self, secrets_of: SecretsOf, key: HookKey) -> None:
        self._secrets_of = secrets_of
        self._key = key
        self._kept: dict[tuple[str, str], tuple[float, bytes]] = {}

    async def admits(
        self, tenant_id: str, channel_id: str, headers: Mapping[str, str], query: Mapping[str, str], body: bytes
    ) -> bool:
        if brings_key(headers, query, self._key("evolution", channel_id)):
            return True
        try:
            told = parsed(body).get("apikey")
        except ArgumentsWrong:
            return False
        if not isinstance(told, str) or not told:
            return False
        expected = await self._api_key(tenant_id, channel_id)
        return bool(expected) and hmac.compare_digest(_hash(told), expected)

    def items(self, number: str, body: bytes, at: datetime) -> list[Item]:
        found = parsed(body)
        if found.get("instance") != number:
            raise ArgumentsWrong("gateway_other_number", "the webhook is of another instance")
        return _or_unread(lambda: evolution.items(found, at), body)

    async def _api_key(self, tenant_id: str, channel_id: str) -> bytes:
        """The hash of the channel's API key, b"" when it has none."""
        now = time.monotonic()
        kept = self._kept.get((tenant_id, channel_id))
        if kept is None or now - kept[0] > _KEPT_SECONDS:
            if len(self._kept) >= _MOST_KEPT:
                self._kept.clear()
            secret = (await self._secrets_of(tenant_id, channel_id)).get("api_key", "")
            if not secret:
                return b""
            kept = self._kept[tenant_id, channel_id] = (now, _hash(secret))
        return kept[1]


class MappedDoor:
    """A gateway whose format is read by a map: our key in a header or in the address, nothing else."""

    def __init__(self, gateway: GatewayMap, key: HookKey) -> None:
        self._gateway = gateway
        self._key = key

    async def admits(
        self, tenant_id: str, channel_id: str, headers: Mapping[str, str], query: Mapping[str, str], body: bytes
    ) -> bool:
        return brings_key(headers, query, self._key(self._gateway.provider, channel_id))

    def items(self, number: str, body: bytes, at: datetime) -> list[Item]:
        found = parsed(body)
        return _or_unread(lambda: mapped.items(self._gateway, found, at), body)


def gateway_doors(channels: Channels, vault: Vault, data_dir: Path) -> dict[str, GatewayDoor]:
    """By provider. SetupError("gateway_map_broken", path)."""
    key = hook_keys(vault.named_secret(HOOKS))
    doors: dict[str, GatewayDoor] = {provider: MappedDoor(load(provider, data_dir), key) for provider in MAPPED}
    return doors | {"evolution": EvolutionDoor(secrets_of(channels), key)}


def secrets_of(channels: Channels) -> SecretsOf:
    """Of any tenant's channel, for the door. Unavailable when the database cannot be asked."""

    async def of(tenant_id: str, channel_id: str) -> Mapping[str, str]:
        try:
            return await channels.secrets(await channels.get(tenant_id, channel_id))
        except Unavailable:  # the gateway has to come again: what is refused is lost
            raise
        except MutiraoError:  # disconnected meanwhile, or without a secret
            return {}

    return of


def _or_unread(items: Callable[[], list[Item]], body: bytes) -> list[Item]:
    """The items; of a body that breaks their reader, that it came: the gateway would bring it again and again. What was
    in it is not kept, because secrets may be."""
    try:
        return items()
    except RecursionError as error:  # its trace has a thousand lines, and takes a minute to be written
        log.warning("gateway_body_too_deep", size=len(body))
        told = {"reason": type(error).__name__, "size": len(body)}
    except Exception as error:
        log.exception("gateway_body_unread", size=len(body))
        told = {"reason": type(error).__name__, "size": len(body)}
    return [Item("body:" + hashlib.sha256(body).hexdigest(), "unread", told)]


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


@dataclass(frozen=True)
class HookAddress:
    """What a gateway is told to call."""

    url: str
    header: str
    key: str

    @property
    def with_key(self) -> str:
        """For gateways that can set no header."""
        return f"{self.url}?key={self.key}"


def hook_address(public_url: str, provider: Provider, channel_id: str, key: HookKey) -> HookAddress:
    """`public_url` is where the outside reaches us, such as https://mutirao.example."""
    url = f"{public_url.rstrip('/')}/webhooks/{provider}/{channel_id}"
    return HookAddress(url, HEADER, key(provider, channel_id))
