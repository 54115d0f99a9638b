"""By what a tenant talks with people outside: WhatsApp numbers at their gateways, an e-mail sender, an SMS number."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

Provider = Literal["whatsapp_cloud", "evolution", "uazapi", "lancepilot", "email", "sms"]
WHATSAPP: tuple[Provider, ...] = ("whatsapp_cloud", "evolution", "uazapi", "lancepilot")
Environment = Literal["sandbox", "live"]


@dataclass(frozen=True)
class Channel:
    """`number` is what the provider calls it (phone number id, instance, sender address); `phone` how people see it;
    `account` the WhatsApp business account. `base_url` "" is the provider's own. The secret is asked for apart."""

    id: str
    tenant_id: str
    provider: Provider
    number: str
    name: str
    phone: str
    account: str
    environment: Environment
    base_url: str
    state: Literal["active", "paused"]
    owner_id: str | None
    created_at: datetime | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
