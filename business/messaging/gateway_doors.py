"""How a webhook of a gateway that does not sign shows that it is genuine, and what items it is made of.

Gateways other than WhatsApp itself sign nothing. So the address that we give them ends in the channel's id, and they are
told a key of ours to bring along: a header where they can set one, else `?key=` in the address. A key is derived from
one secret of this installation and the channel, so nothing is looked up for it. Evolution also sends its own API key in
every body; it counts as well, and is taken out before anything is kept.
"""

import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from business.messaging.channels import Provider
from core.errors import ArgumentsWrong

HEADER = "x-mutirao-key"
HookKey = Callable[[str, str], str]
"""(provider, channel id) → the key that the gateway has to bring."""


@dataclass(frozen=True)
class GatewayItem:
    """One thing that a webhook tells: a row of the inbox. `key` is the same whenever the gateway tells it again."""

    key: str
    kind: str  # message, echo, status, notice, unread
    item: dict[str, Any]


class GatewayDoor(Protocol):
    """What the door asks of a provider."""

    async def admits(
        self, tenant_id: str, channel_id: str, headers: Mapping[str, str], query: Mapping[str, str], body: bytes
    ) -> bool:
        """Whether this POST comes from the channel's gateway. `headers` by their names in lower case."""
        ...

    def items(self, number: str, body: bytes, at: datetime) -> list[GatewayItem]:
        """The items for the channel whose gateway calls it `number`, each of them readable without its envelope; `at`:
        when it came, by our clock. Secrets of the gateway are in none of them.

        ArgumentsWrong("gateway_body_broken") for what is no webhook; Refused-like ArgumentsWrong
        ("gateway_other_number") for one that belongs to another number.
        """
        ...


def hook_keys(secret: str) -> HookKey:
    """Keys derived from `secret` (Vault.named_secret("gateway_hooks"))."""

    def key(provider: str, channel_id: str) -> str:
        return hmac.new(secret.encode(), f"{provider}/{channel_id}".encode(), hashlib.sha256).hexdigest()[:48]

    return key


def brings_key(headers: Mapping[str, str], query: Mapping[str, str], expected: str) -> bool:
    """Whether the header or the address carries the key. What a gateway appends to an address comes after a slash."""
    told = headers.get(HEADER) or query.get("key", "").partition("/")[0]
    return hmac.compare_digest(told.encode(), expected.encode())


def parsed(body: bytes) -> dict[str, Any]:
    """The JSON object of a webhook. ArgumentsWrong("gateway_body_broken")."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ArgumentsWrong("gateway_body_broken", "no JSON object")
    return found


SecretsOf = Callable[[str, str], Awaitable[Mapping[str, str]]]
"""(tenant id, channel id) → the channel's secrets, {} when there are none."""


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
