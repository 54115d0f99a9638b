"""By what a tenant talks with people outside: WhatsApp numbers at their gateways, an e-mail sender, an SMS number.

The sandbox and the real gateways are two worlds: what was connected to one does not exist in the other.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

import psycopg
from psycopg.types.json import Jsonb

from core.audit import audit
from core.clock import Clock
from core.db import Connection, Database, fetch_all, fetch_one
from core.errors import ArgumentsWrong, Refused
from core.ids import new_id
from core.permissions import Permissions, Rights
from core.tenancy import Identity
from core.vault import Vault

Provider = Literal["whatsapp_cloud", "evolution", "uazapi", "lancepilot", "email", "sms"]
PROVIDERS: tuple[Provider, ...] = get_args(Provider)
WHATSAPP: tuple[Provider, ...] = ("whatsapp_cloud", "evolution", "uazapi", "lancepilot")
Environment = Literal["sandbox", "live"]

LEGACY = "legacy_"
"""How the id of a channel begins whose credentials lie in the deprecated columns of `tenants`; the tenant's follows."""
_LEGACY_NAMES: dict[str, Provider] = {
    "meta": "whatsapp_cloud",
    "whatsapp_cloud": "whatsapp_cloud",
    "evolution": "evolution",
    "uazapi": "uazapi",
    "lancepilot": "lancepilot",
}


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


class Channels:
    """The channels of every tenant, as one table of providers; after it, the columns where an older installation kept
    one gateway per tenant.

    Credentials are found in this order: the channel's own row; then, for the channel "legacy_…" alone, the columns
    `whatsapp_provider`, `api_url` and `token` of `tenants`. Those are deprecated: they are read last and never written.
    """

    def __init__(
        self,
        db: Database,
        vault: Vault,
        clock: Clock,
        environment: Environment | Mapping[Provider, Environment],
        permissions: Permissions,
    ) -> None:
        """`environment`: in which world we are, where it is not the same for every provider by provider (missing:
        sandbox). Only channels of that world are seen."""
        self._db = db
        self._vault = vault
        self._clock = clock
        self._environment = environment
        self._rights = Rights(permissions, "messaging", "channels_not_allowed")

    def environment(self, provider: Provider) -> Environment:
        """In which world this provider is."""
        if isinstance(self._environment, str):
            return self._environment
        return self._environment.get(provider, "sandbox")

    # --- reading ------------------------------------------------------------------------------

    async def of(self, tenant_id: str, within: Connection | None = None) -> list[Channel]:
        """The tenant's channels of this world, the oldest first, paused ones too.

        A tenant that has no WhatsApp in the table and has one in the deprecated columns gets it as a row of its own
        (id "legacy_…") without credentials, so that conversations have something to belong to.
        """
        async with self._db.tenant(tenant_id, within) as conn:
            found = await self._rows(conn)
            has_whatsapp = any(channel.provider in WHATSAPP for channel in found)
            if not has_whatsapp and await self._bring_legacy(conn, tenant_id):
                found = await self._rows(conn)
            return found

    async def get(self, tenant_id: str, channel_id: str, within: Connection | None = None) -> Channel:
        """ArgumentsWrong("channel_unknown", channel) when the tenant has none of that id in this world."""
        for channel in await self.of(tenant_id, within):
            if channel.id == channel_id:
                return channel
        raise ArgumentsWrong("channel_unknown", f"no channel {channel_id!r}", channel=channel_id)

    async def default(self, tenant_id: str, within: Connection | None = None) -> Channel | None:
        """By which WhatsApp number a new conversation begins: the oldest active one of the table, then the legacy one;
        None when there is none."""
        active = [c for c in await self.of(tenant_id, within) if c.provider in WHATSAPP and c.state == "active"]
        return min(active, key=lambda c: c.id.startswith(LEGACY), default=None)

    async def secrets(self, channel: Channel, within: Connection | None = None) -> dict[str, str]:
        """Names and values: `token` and perhaps `app_secret` at WhatsApp itself, `api_key` or `token` at gateways.

        Refused("channel_without_secret", channel) when nothing is kept for it; SetupError as `Vault.open`.
        """
        async with self._db.tenant(channel.tenant_id, within) as conn:
            row = await fetch_one(conn, "SELECT key_id, secret FROM channels WHERE id = %s", [channel.id])
            if row is not None and row["secret"] is not None:
                opened = self._vault.open(row["key_id"], bytes(row["secret"]), bound_to=_bound(channel))
                return {str(name): str(value) for name, value in json.loads(opened).items()}
            if channel.id == LEGACY + channel.tenant_id:
                query = "SELECT token, token_key_id FROM tenants WHERE id = %s AND token IS NOT NULL"
                row = await fetch_one(conn, query, [channel.tenant_id])
                if row is not None and row["token_key_id"] is not None:
                    bound = legacy_bound(channel.tenant_id)
                    token = self._vault.open(row["token_key_id"], bytes(row["token"]), bound_to=bound).decode()
                    return {_legacy_secret(channel.provider): token}
        raise Refused("channel_without_secret", f"no secret for {channel.id}", channel=channel.name)

    # --- changing -----------------------------------------------------------------------------

    async def save(
        self,
        who: Identity,
        provider: Provider,
        number: str,
        *,
        name: str = "",
        phone: str = "",
        account: str = "",
        base_url: str = "",
        secrets: Mapping[str, str] | None = None,
        settings: Mapping[str, Any] | None = None,
        owner_id: str | None = None,
        id: str | None = None,
    ) -> Channel:
        """Connect a number, or change what is kept of one that this tenant has: what is "" or None stays as it was,
        a number that was paused works again, what came for it before it was connected is the tenant's. `secrets` are
        sealed for this row; `id` names a new row (samples).

        Refused: channels_not_allowed (who may not change all of the area messaging), channel_taken (provider, number)
        when another company has this number, channel_other_world (provider, number) when it belongs to the sandbox and
        we are live, or the other way round. ArgumentsWrong("channel_malformed", what).
        """
        self._rights.writes_all(who)
        number = number.strip()
        _check(provider, number, base_url)
        world = self.environment(provider)
        async with self._db.tenant(who.tenant_id) as conn:
            row = await fetch_one(
                conn, "SELECT * FROM channels WHERE provider = %s AND number = %s FOR UPDATE", [provider, number]
            )
            if row is None:
                channel = Channel(
                    id or new_id("chan"), who.tenant_id, provider, number, name or phone or number, phone, account,
                    world, base_url, "active", owner_id, self._clock.now(), dict(settings or {}),
                )  # fmt: skip
            else:
                if row["environment"] != world:
                    raise Refused("channel_other_world", "of the other world", provider=provider, number=number)
                old = _channel(row)
                channel = replace(
                    old,
                    name=name or old.name,
                    phone=phone or old.phone,
                    account=account or old.account,
                    base_url=base_url or old.base_url,
                    owner_id=owner_id or old.owner_id,
                    state="active",
                    settings={**old.settings, **(settings or {})},
                )
            key_id, sealed = (row["key_id"], row["secret"]) if row is not None else (None, None)
            if secrets:
                content = json.dumps(dict(secrets), ensure_ascii=False).encode()
                key_id, sealed = self._vault.seal(content, bound_to=_bound(channel))
            await self._write(conn, channel, key_id, sealed)
            await _bring_home(conn)
            detail = {"provider": provider, "number": number, "environment": world, "secret": bool(secrets)}
            await audit(conn, who, "channel.saved", channel.id, detail)
        return channel

    async def pause(self, who: Identity, channel_id: str) -> Channel:
        """Nothing leaves by it any more; what comes in is kept and shown. Errors as `get` and `save`."""
        return await self._turn(who, channel_id, "paused")

    async def resume(self, who: Identity, channel_id: str) -> Channel:
        return await self._turn(who, channel_id, "active")

    async def bring_home(self, tenant_id: str) -> int:
        """What came for a number of this tenant while the door did not know yet whose it is becomes the tenant's. For
        the clock; `save` does it for what came before. How many items."""
        async with self._db.tenant(tenant_id) as conn:
            return await _bring_home(conn)

    # --- inside -------------------------------------------------------------------------------

    async def _turn(self, who: Identity, channel_id: str, state: Literal["active", "paused"]) -> Channel:
        self._rights.writes_all(who)
        async with self._db.tenant(who.tenant_id) as conn:
            channel = await self.get(who.tenant_id, channel_id, conn)
            await conn.execute("UPDATE channels SET state = %s WHERE id = %s", [state, channel_id])
            await audit(conn, who, f"channel.{state}", channel_id, {"provider": channel.provider})
        return replace(channel, state=state)

    async def _rows(self, conn: Connection) -> list[Channel]:
        rows = await fetch_all(conn, "SELECT * FROM channels ORDER BY created_at, id")
        found = [_channel(row) for row in rows]
        return [channel for channel in found if channel.environment == self.environment(channel.provider)]

    async def _write(self, conn: Connection, channel: Channel, key_id: str | None, sealed: bytes | None) -> None:
        try:
            async with conn.transaction():
                await conn.execute(
                    """INSERT INTO channels (tenant_id, id, provider, number, name, phone, account, environment,
                           base_url, settings, key_id, secret, state, owner_id, created_at)
                       VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
                       ON CONFLICT (tenant_id, id) DO UPDATE SET name = excluded.name, phone = excluded.phone,
                           account = excluded.account, base_url = excluded.base_url, settings = excluded.settings,
                           key_id = excluded.key_id, secret = excluded.secret, state = excluded.state,
                           owner_id = excluded.owner_id""",
                    [
                        channel.tenant_id, channel.id, channel.provider, channel.number, channel.name, channel.phone,
                        channel.account, channel.environment, channel.base_url, Jsonb(dict(channel.settings)), key_id,
                        sealed, channel.state, channel.owner_id, channel.created_at,
                    ],
                )  # fmt: skip
        except psycopg.errors.UniqueViolation:
            # The row is another tenant's: ours would have been found before.
            raise Refused(
                "channel_taken", "another company has it", provider=channel.provider, number=channel.number
            ) from None

    async def _bring_legacy(self, conn: Connection, tenant_id: str) -> bool:
        """Give the gateway of the deprecated columns a row, once. False when there is none of this world."""
        row = await fetch_one(
            conn,
            "SELECT whatsapp_provider, api_url, name, token IS NOT NULL AS has_token FROM tenants WHERE id = %s",
            [tenant_id],
        )
        if row is None or not row["has_token"]:
            return False
        provider = _LEGACY_NAMES.get((row["whatsapp_provider"] or "").strip().lower())
        if provider is None or self.environment(provider) != "live":  # such columns were filled for the real thing
            return False
        number, base_url = _of_legacy_address(provider, row["api_url"] or "", tenant_id)
        if number is None:
            return False
        channel = Channel(
            LEGACY + tenant_id, tenant_id, provider, number, row["name"], "", "", "live", base_url, "active", None,
            self._clock.now(), {"deprecated": True},
        )  # fmt: skip
        try:
            await self._write(conn, channel, None, None)
        except Refused:  # another company has connected that number since: theirs is the newer word
            return False
        return True


async def _bring_home(conn: Connection) -> int:
    row = await fetch_one(conn, "SELECT bring_inbox_home() AS brought")
    return int(row["brought"]) if row else 0


def legacy_bound(tenant_id: str) -> str:
    """What the deprecated `tenants.token` is sealed for (core/vault.py)."""
    return f"tenants/whatsapp/{tenant_id}"


def _of_legacy_address(provider: Provider, api_url: str, tenant_id: str) -> tuple[str | None, str]:
    """(number, base address) out of the one address that older installations kept: of WhatsApp itself it was that of
    the number (…/v20.0/<phone number id>/messages), of a gateway its server, perhaps with the instance at its end.
    Where it names no number, the gateway's is the tenant itself: its webhooks say by their path whose they are."""
    parts = urlsplit(api_url.strip())
    steps = [step for step in parts.path.split("/") if step]
    base = f"{parts.scheme}://{parts.netloc}" if parts.scheme and parts.netloc else ""
    if provider == "whatsapp_cloud":
        return next((step for step in steps if step.isdecimal()), None), ""
    if provider == "evolution":
        return (steps[-1] if steps else None), base
    return tenant_id, base


def _legacy_secret(provider: Provider) -> str:
    return "api_key" if provider == "evolution" else "token"


def _check(provider: Provider, number: str, base_url: str) -> None:
    if provider not in PROVIDERS:
        raise ArgumentsWrong("channel_malformed", f"no provider {provider!r}", what="provider")
    # "/" and ":" part the number from other words in our paths and keys.
    if not number or len(number) > 200 or not number.isprintable() or any(sign in number for sign in " /\\?#"):
        raise ArgumentsWrong("channel_malformed", "no number of a gateway", what="number")
    if provider == "whatsapp_cloud" and not (number.isascii() and number.isdecimal()):
        raise ArgumentsWrong("channel_malformed", "a phone number id is digits", what="number")
    if base_url and (urlsplit(base_url).scheme not in ("http", "https") or not urlsplit(base_url).hostname):
        raise ArgumentsWrong("channel_malformed", "no web address", what="base_url")


def _channel(row: Mapping[str, Any]) -> Channel:
    return Channel(
        row["id"], row["tenant_id"], row["provider"], row["number"], row["name"], row["phone"], row["account"],
        row["environment"], row["base_url"], row["state"], row["owner_id"], row["created_at"], row["settings"],
    )  # fmt: skip


def _bound(channel: Channel) -> str:
    return f"channels/{channel.tenant_id}/{channel.id}"
