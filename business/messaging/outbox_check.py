"""What `mutirao doctor` says of what should leave: numbers that were stopped, messages that wait too long, decisions
that nobody took, outcomes that nobody knows, templates that are missing."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, ClassVar

from business.messaging.channels import Channel, Channels
from business.messaging.claiming import PAUSE
from business.messaging.templates import Purpose, usable
from business.messaging.templates_store import templates_of
from core.clock import Clock
from core.db import Connection, Database, fetch_all, fetch_one
from core.doctor import Finding, Say, State

_LATE = timedelta(minutes=2)  # a message that might leave and has not been looked at for this long
_LATELY = timedelta(days=7)
_NEEDED = (Purpose.FIRST_CONTACT, Purpose.FOLLOW_UP, Purpose.NOTICE)


class OutboxCheck:
    """Asks nobody outside. `tenants` gives (id, name) of each."""

    area: ClassVar[str] = "outbox"

    def __init__(
        self,
        db: Database,
        channels: Channels,
        tenants: Callable[[], Awaitable[list[tuple[str, str]]]],
        clock: Clock,
        say: Say,
    ) -> None:
        self._db = db
        self._channels = channels
        self._tenants = tenants
        self._clock = clock
        self._say = say

    async def run(self, live: bool) -> list[Finding]:
        found: list[Finding] = []
        for tenant_id, name in await self._tenants():
            async with self._db.tenant(tenant_id) as conn:
                mine = await self._channels.of(tenant_id, conn)
                found += await self._stopped(conn, name, mine)
                found += await self._rows(conn, name)
                for channel in mine:
                    if channel.provider == "whatsapp_cloud" and channel.state == "active":
                        found += await self._templates(conn, name, channel)
        return found

    async def _stopped(self, conn: Connection, tenant: str, mine: list[Channel]) -> list[Finding]:
        rows = await fetch_all(
            conn,
            """SELECT DISTINCT channel_id, code FROM message_blocks
               WHERE place IN ('number', 'app') AND until IS NULL AND lifted_at IS NULL ORDER BY channel_id, code""",
        )
        names = {one.id: one.name for one in mine}
        return [
            self._found("broken", "outbox_stopped", tenant=tenant, name=names[row["channel_id"]], code=row["code"])
            for row in rows
            if row["channel_id"] in names
        ]

    async def _rows(self, conn: Connection, tenant: str) -> list[Finding]:
        now = self._clock.now()
        row = await fetch_one(
            conn,
            """SELECT count(*) FILTER (WHERE state = 'waiting' AND coalesce(not_before, created_at) < %s) AS late,
                      count(*) FILTER (WHERE state = 'ask') AS asks,
                      count(*) FILTER (WHERE state = 'unknown' AND claimed_at > %s) AS unknown
               FROM outbox WHERE state IN ('waiting', 'ask', 'unknown')""",
            [now - max(_LATE, PAUSE), now - _LATELY],
        )
        assert row is not None
        found = []
        if row["late"]:
            found.append(self._found("broken", "outbox_late", tenant=tenant, count=row["late"]))
        if row["asks"]:
            found.append(self._found("note", "outbox_asks", tenant=tenant, count=row["asks"]))
        if row["unknown"]:
            found.append(self._found("note", "outbox_unknown", tenant=tenant, count=row["unknown"]))
        return found

    async def _templates(self, conn: Connection, tenant: str, channel: Channel) -> list[Finding]:
        kept = [one for one in await templates_of(conn, channel.id) if usable(one)]
        missing = [purpose for purpose in _NEEDED if not any(purpose in one.purposes for one in kept)]
        if not missing:
            return []
        what = ", ".join(self._say(f"outbox.purpose.{purpose}") for purpose in missing)
        return [self._found("missing", "outbox_templates", tenant=tenant, name=channel.name, what=what)]

    def _found(self, state: State, key: str, **params: Any) -> Finding:
        return Finding(self.area, state, self._say(f"doctor.{key}", **params))
