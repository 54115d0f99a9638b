"""The house's calendar with a Google Calendar behind it: what the host has there is not offered, what is booked here is
an event there.

The house's own table comes first: it takes the time, then Google is told, with an id that makes one event of it however
often it is told. A process that dies in between leaves a time that is held; `mend` tells Google again.

What a guest was told stands, whatever Google says afterwards: a meeting that Google refuses is kept here alone, and its
owner hears of it. Only where the host turns out to have something else at that time is it called off, and then the
guest is told, too (tools/meetings.py).
"""

import html
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog

from business.sales.calendar import UNSAID, Appointment, Guest, Slot, Way
from business.sales.house_calendar import HouseCalendar, Span
from core.audit import audit
from core.clock import Clock
from core.db import Database, fetch_one
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
        way: Way = UNSAID,
        about: str = "",
    ) -> Appointment:
        """See `Calendar`. When nobody knows whether Google has it, it is booked here, and Google is told again."""
        link = await self._link_of(tenant_id, host_id)
        if link is None:
            return await self._house.book(
                tenant_id, starts_at, guest=guest, title=title, key=key, host_id=host_id, minutes=minutes, way=way,
                about=about,
            )  # fmt: skip
        held = await self._house.hold(
            tenant_id, starts_at, guest=guest, title=title, key=key, host_id=host_id, minutes=minutes, way=way,
            about=about,
        )  # fmt: skip
        if held.settled:
            return held
        try:
            return await self._tell(link, held)
        except OutcomeUnknown as error:
            log.warning("calendar_event_unknown", appointment=held.id, reason=error.code)
            return held
        except MutiraoError as error:
            outside = None if error.code == "calendar_taken" else event_id_of(held.id)  # a lost answer may have made it
            await self._house.cancel(tenant_id, held.id, "calendar", outside=outside)
            raise

    async def move(
        self, tenant_id: str, appointment_id: str, starts_at: datetime, *, zone: str | None = None
    ) -> Appointment:
        """See `Calendar`. Once it is moved here it stays moved: when nobody knows whether Google has it at the new
        time, Google is told again; when Google refuses, its owner hears of it."""
        before = await self._house.get(tenant_id, appointment_id)
        link = await self._link_of(tenant_id, before.host_id)
        if link is None or before.starts_at == starts_at:
            return await self._house.move(tenant_id, appointment_id, starts_at, zone=zone)
        ends_at = starts_at + (before.ends_at - before.starts_at)
        for busy in await link.client.busy(link.calendar, starts_at, ends_at):
            # Its own event is there, too: where the new time overlaps the old one, it is not in its own way.
            if any(begins < ends_at and starts_at < ends for begins, ends in _beside(busy, before)):
                raise Refused("calendar_taken", "the host has something there")
        moved = await self._house.move(tenant_id, appointment_id, starts_at, zone=zone, hold=True)
        told = await self._tell_again(link, moved) or moved
        if told.state == "cancelled":
            raise Refused("calendar_taken", "the host has something there")
        return told

    async def cancel(
        self, tenant_id: str, appointment_id: str, reason: str = "", *, by_house: bool = False
    ) -> Appointment:
        """See `Calendar`. Google that cannot be told is told again by `mend`."""
        outside = event_id_of(appointment_id)
        gone = await self._house.cancel(tenant_id, appointment_id, reason, outside=outside, by_house=by_house)
        await self._take_out(gone)
        return gone

    async def coming(
        self,
        tenant_id: str,
        *,
        contact_id: str | None = None,
        chat_id: str | None = None,
        host_id: str | None = None,
        appointment_id: str | None = None,
    ) -> list[Appointment]:
        """See `Calendar`."""
        return await self._house.coming(
            tenant_id, contact_id=contact_id, chat_id=chat_id, host_id=host_id, appointment_id=appointment_id
        )

    async def mend(self, tenant_id: str) -> int:
        """Tell Google of the times that are held and of what was cancelled. For the clock; how many were settled."""
        settled = 0
        for held in await self._house.held(tenant_id, _MEND_AFTER):
            try:
                link = await self._link_of(tenant_id, held.host_id)
            except MutiraoError as error:  # its credentials cannot be opened any more
                log.warning("calendar_link_unreadable", appointment=held.id, reason=error.code)
                await self._house.settle(tenant_id, held.id, None, "", at=held.starts_at, news="alone")
                continue
            if link is None:
                await self._house.settle(tenant_id, held.id, None, "", at=held.starts_at)
            elif await self._tell_again(link, held) is None:
                continue
            settled += 1
        for gone in await self._house.left_outside(tenant_id):
            settled += await self._take_out(gone)
        return settled

    async def _tell_again(self, link: Link, held: Appointment) -> Appointment | None:
        """Tell Google of a meeting that its guest may know of already. None: nobody knows yet whether it has it."""
        try:
            return await self._tell(link, held)
        except (OutcomeUnknown, Unavailable) as error:
            log.warning("calendar_event_unknown", appointment=held.id, reason=error.code)
            return None
        except MutiraoError as error:
            log.warning("calendar_event_refused", appointment=held.id, reason=error.code)
            if error.code == "calendar_taken":
                return await self._house.cancel(held.tenant_id, held.id, error.code, lost=True)
            return await self._house.settle(held.tenant_id, held.id, None, "", at=held.starts_at, news="alone")

    async def _tell(self, link: Link, held: Appointment) -> Appointment:
        """Google has it as it stands here. Refused("calendar_taken") when the host has something else there; else as
        the client's errors."""
        times = held.starts_at, held.ends_at
        if held.external_id is not None:
            event = await link.client.move(link.calendar, held.external_id, *times, held.guest.zone)
        else:
            event_id = event_id_of(held.id)
            if await link.client.busy(link.calendar, *times):
                known = await link.client.get(link.calendar, event_id)
                if known is None or known.cancelled:
                    raise Refused("calendar_taken", "the host has something there")
            place = held.place if held.how in ("call", "visit") else held.link
            new = NewEvent(
                event_id, held.title, *times, held.guest.zone, description=html.escape(held.about), location=place,
                guest=held.guest.email, meet=not place,
            )  # fmt: skip
            event = await link.client.insert(link.calendar, new)
            if (event.starts_at, event.ends_at) != times:  # made by a call of before, and moved here since
                event = await link.client.move(link.calendar, event.id, *times, held.guest.zone)
        now = await self._house.settle(held.tenant_id, held.id, event.id, event.link, at=held.starts_at)
        if now.state == "cancelled":  # while Google was told
            await link.client.delete(link.calendar, event.id)
        return now

    async def _take_out(self, gone: Appointment) -> bool:
        """Whether it is settled that Google has a cancelled meeting no more."""
        if gone.external_id is None:
            return False
        try:
            link = await self._link_of(gone.tenant_id, gone.host_id)
            if link is not None:
                await link.client.delete(link.calendar, gone.external_id)
        except (OutcomeUnknown, Unavailable) as error:
            log.warning("calendar_event_unknown", appointment=gone.id, reason=error.code)
            return False
        except MutiraoError as error:
            log.warning("calendar_event_left", appointment=gone.id, reason=error.code)
        await self._house.gone_outside(gone.tenant_id, gone.id)
        return True


def _beside(busy: Span, own: Appointment) -> list[Span]:
    """What of a busy span is not the meeting's own time."""
    begins, ends = busy
    parts = [(begins, min(ends, own.starts_at)), (max(begins, own.ends_at), ends)]
    return [(first, last) for first, last in parts if first < last]


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
            row = await fetch_one(
                conn, "SELECT * FROM calendar_links WHERE host IN (%s, '') ORDER BY host = '' LIMIT 1", [host_id or ""]
            )
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

    async def remove(self, who: Identity, *, host_id: str | None = None) -> str:
        """Forget a link with its credentials; returns which calendar it was. Meetings that stand there stay there.
        Refused("calendar_not_allowed") as `save`; ArgumentsWrong("calendar_not_linked")."""
        if who.role is not Role.ADMIN and host_id != who.user_id:
            raise Refused("calendar_not_allowed", "one's own, or an Admin")
        async with self._db.tenant(who.tenant_id) as conn:
            row = await fetch_one(
                conn, "DELETE FROM calendar_links WHERE host = %s RETURNING calendar", [host_id or ""]
            )
            if row is None:
                raise ArgumentsWrong("calendar_not_linked", f"no calendar of {host_id or 'the house'}")
            await audit(conn, who, "calendar.unlinked", host_id or who.tenant_id, {"calendar": row["calendar"]})
        return str(row["calendar"])


def _bound(tenant_id: str, host: str) -> str:
    return f"calendar_links/{tenant_id}/{host}"
