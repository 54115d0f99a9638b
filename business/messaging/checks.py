"""What `mutirao doctor` says of the numbers by which people outside are talked with."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import ClassVar

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
