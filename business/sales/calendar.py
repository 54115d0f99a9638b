"""Meetings with people outside: which times are free, one meeting for each host and time, moved and cancelled.

Two calendars keep to `Calendar`: the house's own (`house_calendar.py`), and the same with a host's Google Calendar
behind it (`google_calendar.py`). Whoever offers times asks `free` and says them in the guest's zone (`Slot.local`);
whoever books hands in a `key`, so that a booking that is said twice is one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol
from zoneinfo import ZoneInfo

State = Literal["booked", "cancelled"]
How = Literal["", "link", "call", "visit"]
News = Literal["booked", "moved", "cancelled", "called_off", "lost", "link", "alone"]
"""What happened to a meeting and has to be told. `cancelled`: by its guest; `called_off`: by one of the house; `lost`:
its time turned out to be taken, so that it was called off by ourselves; `link`: it has one now that its guest was not
told; `alone`: the outside calendar refuses it, it stands here.
"""

STEP_MINUTES = 5
"""Meetings begin and end on multiples of it: each step of a host's time is one row that exists once."""
MOST_MINUTES = 240


@dataclass(frozen=True)
class Slot:
    """A time that is free, in UTC. `host_id`: whose; None is the house's common line."""

    starts_at: datetime
    ends_at: datetime
    host_id: str | None = None

    def local(self, zone: str) -> datetime:
        """When it begins by the clock of `zone` (an IANA name)."""
        return self.starts_at.astimezone(ZoneInfo(zone))


@dataclass(frozen=True)
class Way:
    """How one meets, as the house says it: by a link (`place`, "" for the outside calendar's own), by a call to a
    number, by a visit to an address. `how` "": the house says nothing of it."""

    how: How = ""
    place: str = ""


UNSAID = Way()


@dataclass(frozen=True)
class Guest:
    """Whom it is with. What is known of them: ids of the CRM and of the conversation, the zone whose clock is theirs.

    `email`: an address that the outside calendar invites by mail. Only one that the house itself has of them: what
    somebody typed into a conversation may be a stranger's, whom we would write to in our name."""

    name: str
    zone: str = "America/Sao_Paulo"
    contact_id: str | None = None
    company_id: str | None = None
    deal_id: str | None = None
    chat_id: str | None = None
    email: str | None = None


@dataclass(frozen=True)
class Appointment:
    """Moments in UTC. `link`: where to meet online, "" for none; `external_id`: of the outside calendar's event."""

    id: str
    tenant_id: str
    title: str
    starts_at: datetime
    ends_at: datetime
    guest: Guest
    host_id: str | None
    state: State
    link: str = ""
    external_id: str | None = None
    reason: str = ""
    """Why it was cancelled, in the words of who did."""
    how: How = ""
    place: str = ""
    """The number that is called, the address of a visit."""
    about: str = ""
    """For its host: who it is, how they are reached."""
    settled: bool = True
    """False: it stands here, and nobody knows yet whether the outside calendar has it as it is."""

    @property
    def met_by(self) -> Literal["link", "call", "visit", "later"]:
        """How one meets; "later": somebody has to tell the guest yet."""
        if self.how in ("call", "visit"):
            return self.how
        return "link" if self.link else "later"

    def local(self, zone: str | None = None) -> datetime:
        """When it begins by the guest's clock, or that of `zone`."""
        return self.starts_at.astimezone(ZoneInfo(zone or self.guest.zone))


class Calendar(Protocol):
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
        """Up to `most` free times of `minutes` between the two moments (aware, at most 31 days apart), the earliest
        first and spread over days and halves of days: within the house's hours, no holiday, not sooner than the notice
        that the house needs, and between 8:00 and 20:00 by the guest's clock (`zone`).

        ArgumentsWrong: calendar_span (most, in days), calendar_minutes (step, most). Unavailable: the outside calendar
        cannot be asked.
        """
        ...

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
        """The meeting, once: the same `key` again gives the same meeting, whatever else is said, until it was moved
        or cancelled.

        `about`: what its host reads of it, and of the guest nobody else. Refused: calendar_taken, calendar_closed
        (outside the house's hours), calendar_past, calendar_soon (sooner than the notice). ArgumentsWrong as for
        `free`. Unavailable: the outside calendar took nothing, and nothing is booked.
        """
        ...

    async def move(
        self, tenant_id: str, appointment_id: str, starts_at: datetime, *, zone: str | None = None
    ) -> Appointment:
        """To another time, as long as it was. The old time stays theirs when the new one is not free. `zone`: of the
        guest's clock, where it is another by now.

        Refused: calendar_unknown, calendar_cancelled, and those of `book`.
        """
        ...

    async def cancel(
        self, tenant_id: str, appointment_id: str, reason: str = "", *, by_house: bool = False
    ) -> Appointment:
        """The time is free again; a cancelled one stays cancelled. `by_house`: one of ours did it, so its guest has to
        be told. Refused("calendar_unknown")."""
        ...

    async def coming(
        self,
        tenant_id: str,
        *,
        contact_id: str | None = None,
        chat_id: str | None = None,
        host_id: str | None = None,
        appointment_id: str | None = None,
    ) -> Sequence[Appointment]:
        """Meetings that are booked and not over, the next first, of all that is asked for together."""
        ...
