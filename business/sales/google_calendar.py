"""The house's calendar with a Google Calendar behind it: what the host has there is not offered, what is booked here is
an event there.

The house's own table comes first: it takes the time, then Google is told, with an id that makes one event of it however
often it is told. A process that dies in between leaves a time that is held; `mend` tells Google again.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog

from business.sales.calendar import Appointment, Guest, Slot
from business.sales.house_calendar import HouseCalendar
from core.audit import audit
from core.clock import Clock
from core.db import Database
from core.errors import ArgumentsWrong, MutiraoError, OutcomeUnknown, Refused, Unavailable
from core.tenancy import Identity, Role
from core.vault import Vault
from integrations.google_calendar.client import GoogleCalendar, NewEvent

log = structlog.get_logger(__name__)

_MEND_AFTER = timedelta(minutes=1)


@dataclass(frozen=True)
class Link:
    """A calendar outside: its client and its id there."""

    client: GoogleCalendar
    calendar: str


LinkOf = Callable[[str, str | None], Awaitable[Link | None]]
"""(tenant id, host id): the host's own calendar, else the house's, else None."""


class LinkedCalendar:
    """`Calendar`: the house's, with whatever calendars its hosts have linked."""

    def __init__(self, house: HouseCalendar, link_of: LinkOf) -> None:
        self._house = house
        self._link_of = link_of

    async def free(
        self,
        tenant_id: str,
        *,
        since: datetime,
        until: datetime,
        host_id: str | None = None,
        zone: str = "America/Sao_Paulo",
        minutes: int = 30,
        most: int = 6,
    ) -> list[Slot]:
        """See `Calendar`."""
        link = await self._link_of(tenant_id, host_id)
        busy = await link.client.busy(link.calendar, since, until) if link is not None else []
        return await self._house.free(
            tenant_id, since=since, until=until, host_id=host_id, zone=zone, minutes=minutes, most=most, busy=busy
        )

    async def book(
        self,
        tenant_id: str,
        starts_at: datetime,
        *,
        guest: Guest,
        title: str,
        key: str,
        host_id: str | None = None,
        minutes: int = 30,
    ) -> Appointment:
        """See `Calendar`. When nobody knows whether Google has it, it is booked here, and Google is told again."""
        link = await self._link_of(tenant_id, host_id)
        if link is None:
            return await self._house.book(
                tenant_id, starts_at, guest=guest, title=title, key=key, host_id=host_id, minutes=minutes
            )
        if (known := await self._house.by_key(tenant_id, key)) is not None and known.external_id:
            return known
        held = await self._house.hold(
            tenant_id, starts_at, guest=guest, title=title, key=key, host_id=host_id, minutes=minutes
        )
        if held.external_id:
            return held
        try:
            return await self._tell(link, held)
        except OutcomeUnknown as error:
            log.warning("calendar_event_unknown", appointment=held.id, reason=error.code)
            return held
        except MutiraoError:
            await self._house.cancel(tenant_id, held.id, "calendar")
            raise

    async def move(self, tenant_id: str, appointment_id: str, starts_at: datetime) -> Appointment:
        """See `Calendar`. When nobody knows whether Google moved it, it is moved here, and Google is told again."""
        before = await self._house.get(tenant_id, appointment_id)
        link = await self._link_of(tenant_id, before.host_id)
        if link is None or before.external_id is None:
            return await self._house.move(tenant_id, appointment_id, starts_at)
        length = before.ends_at - before.starts_at
        busy = await link.client.busy(link.calendar, starts_at, starts_at + length)
        # Its own event is there, too: where the new time overlaps the old one, it is not in its own way.
        if any(span != (before.starts_at, before.ends_at) for span in busy):
            raise Refused("calendar_taken", "the host has something there")
        moved = await self._house.move(tenant_id, appointment_id, starts_at)
        try:
            await link.client.move(link.calendar, before.external_id, moved.starts_at, moved.ends_at, before.guest.zone)
        except OutcomeUnknown as error:  # the guest may have the new time already: it holds, and Google is told again
            log.warning("calendar_event_unknown", appointment=moved.id, reason=error.code)
            await self._house.doubt(tenant_id, moved.id)
        except MutiraoError:
            await self._house.move(tenant_id, appointment_id, before.starts_at)
            raise
        return moved

    async def cancel(self, tenant_id: str, appointment_id: str, reason: str = "") -> Appointment:
        """See `Calendar`. Google that cannot be told keeps an event that says nothing any more: it is logged."""
        gone = await self._house.cancel(tenant_id, appointment_id, reason)
        link = await self._link_of(tenant_id, gone.host_id)
        if link is not None and gone.external_id is not None:
            try:
                await link.client.delete(link.calendar, gone.external_id)
            except MutiraoError as error:
                log.warning("calendar_event_left", appointment=gone.id, reason=error.code)
        return gone

    async def coming(
        self,
        tenant_id: str,
        *,
        contact_id: str | None = None,
        chat_id: str | None = None,
        host_id: str | None = None,
    ) -> list[Appointment]:
        """See `Calendar`."""
        return await self._house.coming(tenant_id, contact_id=contact_id, chat_id=chat_id, host_id=host_id)

    async def mend(self, tenant_id: str) -> int:
        """Tell Google of the times that are held. For the clock; how many were settled."""
        settled = 0
        for held in await self._house.held(tenant_id, _MEND_AFTER):
            link = await self._link_of(tenant_id, held.host_id)
            try:
                if link is None:
                    await self._house.settle(tenant_id, held.id, "", "")
                elif held.external_id:
                    await self._move_again(link, held, held.external_id)
                else:
                    await self._tell(link, held, again=True)
                settled += 1
            except (OutcomeUnknown, Unavailable) as error:
                log.warning("calendar_event_unknown", appointment=held.id, reason=error.code)
            except MutiraoError as error:
                await self._house.cancel(tenant_id, held.id, error.code)
        return settled

    async def _move_again(self, link: Link, held: Appointment, event_id: str) -> None:
        """A meeting whose new time its guest was told: what Google refuses of it is no reason to take it back."""
        try:
            await link.client.move(link.calendar, event_id, held.starts_at, held.ends_at, held.guest.zone)
        except (OutcomeUnknown, Unavailable):
            raise
        except MutiraoError as error:
            log.warning("calendar_event_left", appointment=held.id, reason=error.code)
        await self._house.settle(held.tenant_id, held.id, event_id, held.link)

    async def _tell(self, link: Link, held: Appointment, *, again: bool = False) -> Appointment:
        event_id = event_id_of(held.id)
        if not again and await link.client.busy(link.calendar, held.starts_at, held.ends_at):
            known = await link.client.get(link.calendar, event_id)
            if known is None or known.cancelled:
                raise Refused("calendar_taken", "the host has something there")
        event = await link.client.insert(
            link.calendar,
            NewEvent(event_id, held.title, held.starts_at, held.ends_at, held.guest.zone, guest=held.guest.email),
        )
        return await self._house.settle(held.tenant_id, held.id, event.id, event.link)


def event_id_of(appointment_id: str) -> str:
    """Of a-v and 0-9: ours without the underscore."""
    return appointment_id.replace("_", "")


class Links:
    """The calendars that hosts have linked, their credentials sealed. `open_client` builds a client of credentials."""

    def __init__(
        self, db: Database, vault: Vault, clock: Clock, open_client: Callable[[Mapping[str, Any]], GoogleCalendar]
    ) -> None:
        self._db = db
        self._vault = vault
        self._clock = clock
        self._open = open_client
        self._clients: dict[bytes, GoogleCalendar] = {}

    async def of(self, tenant_id: str, host_id: str | None) -> Link | None:
        """`LinkOf`. SetupError as Vault.open."""
        async with self._db.tenant(tenant_id) as conn:
            row = await (
                await conn.execute(
                    "SELECT * FROM calendar_links WHERE host IN (%s, '') ORDER BY host = '' LIMIT 1", [host_id or ""]
                )
            ).fetchone()
        if row is None:
            return None
        secret = bytes(row["secret"])
        client = self._clients.get(secret)
        if client is None:
            bound = _bound(tenant_id, row["host"])
            client = self._open(json.loads(self._vault.open(row["key_id"], secret, bound_to=bound)))
            self._clients[secret] = client
        return Link(client, row["calendar"])

    async def save(
        self, who: Identity, calendar: str, credentials: Mapping[str, Any], *, host_id: str | None = None
    ) -> Link:
        """Link a calendar after asking it for its busy times of a day. Refused("calendar_not_allowed") for who is not
        Admin and links another's; errors of the client when Google does not let us look."""
        if who.role is not Role.ADMIN and host_id != who.user_id:
            raise Refused("calendar_not_allowed", "one's own, or an Admin")
        if not 0 < len(calendar) <= 300:
            raise ArgumentsWrong("calendar_malformed", "no calendar", detail="calendar")
        client = self._open(credentials)
        now = self._clock.now()
        await client.busy(calendar, now, now + timedelta(days=1))
        host = host_id or ""
        content = json.dumps(dict(credentials)).encode()
        key_id, sealed = self._vault.seal(content, bound_to=_bound(who.tenant_id, host))
        async with self._db.tenant(who.tenant_id) as conn:
            await conn.execute(
                """INSERT INTO calendar_links (tenant_id, host, provider, calendar, key_id, secret, created_at)
                   VALUES (current_tenant(), %s, 'google', %s, %s, %s, %s)
                   ON CONFLICT (tenant_id, host) DO UPDATE SET calendar = excluded.calendar, key_id = excluded.key_id,
                       secret = excluded.secret, created_at = excluded.created_at""",
                [host, calendar, key_id, sealed, now],
            )
            await audit(conn, who, "calendar.linked", host or who.tenant_id, {"calendar": calendar})
        return Link(client, calendar)


def _bound(tenant_id: str, host: str) -> str:
    return f"calendar_links/{tenant_id}/{host}"
