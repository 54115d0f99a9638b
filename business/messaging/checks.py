"""What `mutirao doctor` says of the channels by which people outside are talked with."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import ClassVar, Protocol

from business.messaging.channels import LEGACY, WHATSAPP, Channel, Channels
from business.messaging.connecting import Connecting, Step
from core.clock import Clock
from core.db import Database, fetch_all
from core.doctor import Finding, Say, State
from core.errors import MutiraoError
from core.settings import Settings
from integrations.gateway_maps.mapping import MAPPED, load

_LATE = timedelta(minutes=2)  # what came in and is not sorted after this long
_STATES: dict[str, State] = {
    "ok": "ok",
    "wrong": "broken",
    "missing": "missing",
    "unknown": "unverified",
    "note": "note",
}


class WhatsAppCheck:
    """Numbers, their quality, the webhook's address, what came for nobody, providers that were never verified. The
    gateways themselves are asked only when `live`; the sandbox's when it runs is not asked at all."""

    area: ClassVar[str] = "whatsapp"

    def __init__(
        self,
        channels: Channels,
        connecting: Connecting,
        tenants: Callable[[], Awaitable[list[tuple[str, str]]]],
        db: Database,
        clock: Clock,
        settings: Settings,
        say: Say,
        explain: Callable[[MutiraoError], str],
    ) -> None:
        """`tenants` gives (id, name) of each."""
        self._channels = channels
        self._connecting = connecting
        self._tenants = tenants
        self._db = db
        self._clock = clock
        self._settings = settings
        self._say = say
        self._explain = explain

    async def run(self, live: bool) -> list[Finding]:
        sandbox = self._channels.environment("whatsapp_cloud") == "sandbox"
        found = [self._found("note", "whatsapp_sandbox")] if sandbox else []
        meta = False
        for tenant_id, name in await self._tenants():
            numbers = [one for one in await self._channels.of(tenant_id) if one.provider in WHATSAPP]
            meta = meta or any(one.provider == "whatsapp_cloud" for one in numbers)
            if not numbers and not sandbox:
                found.append(self._found("missing", "whatsapp_none", tenant=name))
            for one in numbers:
                found += await self._number(name, one, live)
        if meta and not sandbox:
            found += [] if self._settings.whatsapp_app_secret else [self._found("broken", "whatsapp_secret_missing")]
            found += [] if self._settings.public_url else [self._found("missing", "whatsapp_address_missing")]
        return [*found, *await self._inbox()]

    async def _number(self, tenant: str, channel: Channel, live: bool) -> list[Finding]:
        told = {"tenant": tenant, "name": channel.name, "provider": channel.provider}
        found = []
        if channel.id.startswith(LEGACY):
            found.append(self._found("note", "whatsapp_deprecated", tenant=tenant))
        if channel.state == "paused":
            return [*found, self._found("note", "whatsapp_paused", **told)]
        if live and channel.environment == "live":
            try:
                return [*found, *(self._step(told, step) for step in await self._connecting.look(channel))]
            except MutiraoError as error:
                said = self._explain(error)
                return [*found, Finding(self.area, "broken", self._say("doctor.whatsapp_step", **told, said=said))]
        state: State = "unverified" if channel.environment == "live" else "ok"
        live_one = channel.environment == "live"
        found.append(self._found(state, "whatsapp_not_asked" if live_one else "whatsapp_connected", **told))
        if channel.provider in MAPPED and not load(channel.provider, self._settings.data_dir).verified:
            path = str(self._settings.data_dir / "gateway_maps" / f"{channel.provider}.yaml")
            found.append(self._step(told, Step("unverified", "unknown", {"provider": channel.provider, "path": path})))
        if channel.provider == "evolution":  # its licence asks that administrators are told
            found.append(self._step(told, Step("evolution", "note")))
        return found

    async def _inbox(self) -> list[Finding]:
        async with self._db.system() as conn:
            rows = await fetch_all(conn, "SELECT * FROM inbox_waiting_for()")
        unknown = sum(row["waiting"] for row in rows if row["tenant_id"] is None)
        found = [self._found("note", "whatsapp_unknown_numbers", count=unknown)] if unknown else []
        waiting = [row for row in rows if row["tenant_id"] is not None]
        oldest = min((row["oldest"] for row in waiting), default=None)
        if oldest is not None and self._clock.now() - oldest > _LATE:
            minutes = int((self._clock.now() - oldest).total_seconds() // 60)
            count = sum(row["waiting"] for row in waiting)
            found.append(self._found("broken", "whatsapp_waiting", count=count, minutes=minutes))
        return found

    def _step(self, told: dict[str, str], step: Step) -> Finding:
        params = dict(step.params)
        if step.error is not None:
            said = self._explain(step.error)
        else:
            said = self._say(f"connect.whatsapp.{step.name}.{step.state}", **params)
        text = self._say("doctor.whatsapp_step", tenant=told["tenant"], name=told["name"], said=said)
        return Finding(self.area, _STATES[step.state], text)

    def _found(self, state: State, key: str, **params: object) -> Finding:
        return Finding(self.area, state, self._say(f"doctor.{key}", **params))


class Looks(Protocol):
    """A sender that can be asked without sending (sender_email.py, sender_sms.py). Errors say what is wrong."""

    async def key(self, channel: Channel) -> str: ...

    async def look(self, channel: Channel) -> None: ...


class MailAndSmsCheck:
    """E-mail and SMS: which channels there are, whether their key is kept, and, when `live`, whether the service lets
    us in. Nothing is sent. Resend and Twilio were never tried with a real account, which is said, too."""

    area: ClassVar[str] = "mail_sms"

    def __init__(
        self,
        channels: Channels,
        senders: Mapping[str, Looks],
        tenants: Callable[[], Awaitable[list[tuple[str, str]]]],
        say: Say,
        explain: Callable[[MutiraoError], str],
    ) -> None:
        """`senders` by provider; `tenants` gives (id, name) of each."""
        self._channels = channels
        self._senders = senders
        self._tenants = tenants
        self._say = say
        self._explain = explain

    async def run(self, live: bool) -> list[Finding]:
        found = []
        for tenant_id, name in await self._tenants():
            mine = await self._channels.of(tenant_id)
            for provider, sender in self._senders.items():
                channels = [one for one in mine if one.provider == provider]
                if not channels:
                    found.append(self._found("note", f"{provider}_none", tenant=name))
                for one in channels:
                    found.append(await self._channel(name, one, sender, live))
        return found

    async def _channel(self, tenant: str, channel: Channel, sender: Looks, live: bool) -> Finding:
        by = str(channel.settings.get("by") or "resend") if channel.provider == "email" else "twilio"
        told = {"tenant": tenant, "name": channel.number, "by": by}
        if channel.state != "active":
            return self._found("note", "channel_paused", **told)
        try:
            await sender.key(channel)
            if live:
                await sender.look(channel)
        except MutiraoError as error:
            return self._found("broken", "channel_wrong", **told, said=self._explain(error))
        if live:
            return self._found("ok", "channel_answers", **told)
        if channel.environment == "sandbox":
            return self._found("ok", "channel_sandbox", **told)
        return self._found("unverified", "channel_not_asked", **told)

    def _found(self, state: State, key: str, **params: object) -> Finding:
        return Finding(self.area, state, self._say(f"doctor.{key}", **params))
