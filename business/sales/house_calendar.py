"""The house's own calendar: free times within its hours, meetings that cannot overlap, a reminder before each.

That nobody is in two meetings is kept by the database: every five minutes of a host's time are one row
(`appointment_steps`) that exists once.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import psycopg

from business.sales.calendar import MOST_MINUTES, STEP_MINUTES, UNSAID, Appointment, Guest, News, Slot, Way
from core.clock import Clock
from core.db import Connection, Database, fetch_all, fetch_one
from core.errors import ArgumentsWrong, Refused
from core.ids import new_id

Span = tuple[datetime, datetime]
Opening = Callable[[str, datetime, datetime], Awaitable[Sequence[Span]]]
"""(tenant id, from, until): when people of ours are there, in UTC. The house's hours and days off."""
Tell = Callable[[Connection, Appointment], Awaitable[None]]
"""Puts the reminder of a meeting where messages wait to leave, in the transaction that notes that it did."""

NOTICE = timedelta(hours=2)
"""Nobody is booked for sooner than this."""
GRID = timedelta(minutes=30)
"""Times that are offered begin on the half hour."""
MOST_DAYS = 31
_STEP = timedelta(minutes=STEP_MINUTES)
_GUEST_HOURS = (8, 20)  # by the guest's clock: a house in São Paulo offers Acre nothing at 6 in the morning
_DAY_BEFORE, _HOUR_BEFORE = timedelta(hours=24), timedelta(hours=1)
_BEING_ASKED = timedelta(minutes=1)
"""How long a time may be held while whoever holds it still asks the outside calendar."""


class HouseCalendar:
    """`Calendar` on the table `appointments`."""

    def __init__(self, db: Database, clock: Clock, opening: Opening, *, notice: timedelta = NOTICE) -> None:
        self._db = db
        self._clock = clock
        self._opening = opening
        self._notice = notice

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
        busy: Sequence[Span] = (),
    ) -> list[Slot]:
        """See `Calendar`. `busy`: what an outside calendar has besides."""
        if since.tzinfo is None or until.tzinfo is None or until - since > timedelta(days=MOST_DAYS):
            raise ArgumentsWrong("calendar_span", f"at most {MOST_DAYS} days, aware", most=MOST_DAYS)
        length = _length(minutes)
        since = max(since, self._clock.now() + self._notice)
        if until <= since:
            return []
        taken = await self._taken(tenant_id, host_id, since, until)
        found = []
        for opens, closes in await self._opening(tenant_id, since, until):
            starts = _on_grid(max(opens, since))
            while starts + length <= min(closes, until):
                slot = Slot(starts, starts + length, host_id)
                if _decent(slot, zone) and not _overlaps(slot, busy) and taken.isdisjoint(_steps(starts, length)):
                    found.append(slot)
                starts += GRID
        return _spread(found, zone, most)

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
        """See `Calendar`."""
        return await self.hold(
            tenant_id, starts_at, guest=guest, title=title, key=key, host_id=host_id, minutes=minutes, way=way,
            about=about, state="booked",
        )  # fmt: skip

    async def hold(
        self,
        tenant_id: str,
        starts_at: datetime,
        *,
        guest: Guest,
        title: str,
        key: str,
        host_id: str | None,
        minutes: int,
        way: Way = UNSAID,
        about: str = "",
        state: str = "held",
    ) -> Appointment:
        """Take the time. "held": until an outside calendar has it too (`settle`) or cannot have it (`cancel`)."""
        length = _length(minutes)
        if known := await self.by_key(tenant_id, key):
            return known
        await self._must_be_possible(tenant_id, starts_at, length)
        starts_at, now = starts_at.astimezone(UTC), self._clock.now()
        try:
            async with self._db.tenant(tenant_id) as conn:
                row = await fetch_one(
                    conn,
                    """INSERT INTO appointments (tenant_id, id, key, host_id, title, starts_at, ends_at, guest_name,
                           guest_email, zone, contact_id, company_id, deal_id, chat_id, how, place, link, about,
                           state, remind_at, news, created_at, changed_at)
                       VALUES (current_tenant(), %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s,
                               %s, %s, '{booked}', %s, %s)
                       ON CONFLICT (tenant_id, key) DO NOTHING RETURNING *""",
                    [
                        new_id("appt"), key, host_id, title[:300], starts_at, starts_at + length, guest.name[:200],
                        guest.email, guest.zone, guest.contact_id, guest.company_id, guest.deal_id, guest.chat_id,
                        way.how, "" if way.how == "link" else way.place, way.place if way.how == "link" else "",
                        about[:2000], state, remind_at(starts_at, now), now, now,
                    ],
                )  # fmt: skip
                if row is not None:
                    await _take(conn, row["id"], host_id, starts_at, length)
                    return appointment_of(row)
        except psycopg.errors.UniqueViolation:
            raise Refused("calendar_taken", f"{starts_at.isoformat()} is taken") from None
        known = await self.by_key(tenant_id, key)  # somebody was first with the same key
        assert known is not None
        return known

    async def by_key(self, tenant_id: str, key: str) -> Appointment | None:
        """The meeting of this key, None when there is none that stands."""
        async with self._db.tenant(tenant_id) as conn:
            row = await fetch_one(conn, "SELECT * FROM appointments WHERE key = %s", [key])
        return appointment_of(row) if row else None

    async def get(self, tenant_id: str, appointment_id: str) -> Appointment:
        """Refused("calendar_unknown")."""
        async with self._db.tenant(tenant_id) as conn:
            return appointment_of(await _row(conn, appointment_id))

    async def settle(
        self,
        tenant_id: str,
        appointment_id: str,
        external_id: str | None,
        link: str,
        *,
        at: datetime,
        news: News | None = None,
    ) -> Appointment:
        """The outside calendar has the meeting as it was `at` that time: booked, unless it was moved meanwhile. None
        for `external_id`: it never will, and the meeting stands here alone. A link that the guest was not told is news.
        """
        async with self._db.tenant(tenant_id) as conn:
            await conn.execute(
                """UPDATE appointments SET
                       state = CASE WHEN starts_at = %(at)s THEN 'booked' ELSE 'held' END,
                       external_id = coalesce(%(outside)s, external_id),
                       link = CASE WHEN link = '' THEN %(link)s ELSE link END,
                       news = news
                           || CASE WHEN %(news)s::text IS NULL THEN '{}' ELSE ARRAY[%(news)s::text] END
                           || CASE WHEN link = '' AND %(link)s <> '' AND NOT 'booked' = ANY (news) THEN '{link}'::text[]
                                   ELSE '{}' END,
                       changed_at = %(now)s
                   WHERE id = %(id)s AND state <> 'cancelled'""",
                {
                    "at": at, "outside": external_id, "link": link, "news": news, "now": self._clock.now(),
                    "id": appointment_id,
                },
            )  # fmt: skip
            return appointment_of(await _row(conn, appointment_id))

    async def held(self, tenant_id: str, older_than: timedelta) -> list[Appointment]:
        """Times that are taken and of which nobody knows whether the outside calendar has them: a process died, an
        answer was lost."""
        async with self._db.tenant(tenant_id) as conn:
            rows = await fetch_all(
                conn,
                "SELECT * FROM appointments WHERE state = 'held' AND changed_at < %s ORDER BY created_at LIMIT 100",
                [self._clock.now() - older_than],
            )
            return [appointment_of(row) for row in rows]

    async def left_outside(self, tenant_id: str) -> list[Appointment]:
        """Cancelled meetings that are still to come and that the outside calendar may still have."""
        async with self._db.tenant(tenant_id) as conn:
            rows = await fetch_all(
                conn,
                """SELECT * FROM appointments WHERE state = 'cancelled' AND external_id IS NOT NULL AND ends_at > %s
                   ORDER BY changed_at LIMIT 100""",
                [self._clock.now()],
            )
            return [appointment_of(row) for row in rows]

    async def gone_outside(self, tenant_id: str, appointment_id: str) -> None:
        """The outside calendar has a cancelled meeting no more."""
        async with self._db.tenant(tenant_id) as conn:
            query = "UPDATE appointments SET external_id = NULL WHERE id = %s AND state = 'cancelled'"
            await conn.execute(query, [appointment_id])

    async def untold(self, tenant_id: str) -> list[str]:
        """Meetings of which there is news; not those about which an outside calendar is being asked right now."""
        async with self._db.tenant(tenant_id) as conn:
            rows = await fetch_all(
                conn,
                """SELECT id FROM appointments WHERE news <> '{}' AND (state <> 'held' OR changed_at < %s)
                   ORDER BY changed_at LIMIT 100""",
                [self._clock.now() - _BEING_ASKED],
            )
            return [row["id"] for row in rows]

    async def news(self, conn: Connection, appointment_id: str) -> tuple[Appointment, list[News]] | None:
        """A meeting with what is to be told of it, which counts as told when the caller's transaction is through. None
        when there is nothing, or somebody else is telling it."""
        query = "SELECT * FROM appointments WHERE id = %s AND news <> '{}' FOR UPDATE SKIP LOCKED"
        row = await fetch_one(conn, query, [appointment_id])
        if row is None:
            return None
        await conn.execute("UPDATE appointments SET news = '{}' WHERE id = %s", [appointment_id])
        return appointment_of(row), row["news"]

    async def move(
        self,
        tenant_id: str,
        appointment_id: str,
        starts_at: datetime,
        *,
        zone: str | None = None,
        hold: bool = False,
    ) -> Appointment:
        """See `Calendar`. `hold`: an outside calendar has to be told yet (`settle`). Its key, which names the time that
        was booked first, is free again."""
        current = await self.get(tenant_id, appointment_id)
        length = current.ends_at - current.starts_at
        await self._must_be_possible(tenant_id, starts_at, length)
        starts_at, now = starts_at.astimezone(UTC), self._clock.now()
        try:
            async with self._db.tenant(tenant_id) as conn:
                row = await _row(conn, appointment_id, lock=True)
                if row["state"] == "cancelled":
                    raise Refused("calendar_cancelled", "the meeting was cancelled")
                if row["starts_at"] == starts_at:
                    return appointment_of(row)
                await conn.execute("DELETE FROM appointment_steps WHERE appointment_id = %s", [appointment_id])
                await _take(conn, appointment_id, row["host_id"], starts_at, length)
                await conn.execute(
                    """UPDATE appointments SET starts_at = %s, ends_at = %s, zone = coalesce(%s, zone),
                           remind_at = %s, reminded_at = NULL,
                           state = CASE WHEN %s THEN 'held' ELSE state END,
                           key = CASE WHEN key LIKE '%% ' || id THEN key ELSE key || ' ' || id END,
                           news = array_append(array_remove(news, 'moved'), 'moved'), changed_at = %s WHERE id = %s""",
                    [starts_at, starts_at + length, zone, remind_at(starts_at, now), hold, now, appointment_id],
                )
                return appointment_of(await _row(conn, appointment_id))
        except psycopg.errors.UniqueViolation:
            raise Refused("calendar_taken", f"{starts_at.isoformat()} is taken") from None

    async def cancel(
        self,
        tenant_id: str,
        appointment_id: str,
        reason: str = "",
        *,
        outside: str | None = None,
        lost: bool = False,
        by_house: bool = False,
    ) -> Appointment:
        """See `Calendar`. Its key is free again, so that the same time can be booked anew.

        `outside`: the id by which an outside calendar may have it. `lost`: it was called off by ourselves, and its
        guest has to be told. What nobody was told of is called off without a word.
        """
        async with self._db.tenant(tenant_id) as conn:
            row = await _row(conn, appointment_id, lock=True)
            if row["state"] != "cancelled":
                unheard = "booked" in row["news"] and not by_house
                gone = "lost" if lost else "called_off" if by_house else "cancelled"
                news = [] if unheard and not lost else [gone]
                await conn.execute("DELETE FROM appointment_steps WHERE appointment_id = %s", [appointment_id])
                await conn.execute(
                    """UPDATE appointments SET state = 'cancelled', reason = %s, key = key || ' ' || id,
                           external_id = coalesce(nullif(external_id, ''), %s), news = %s, changed_at = %s
                       WHERE id = %s""",
                    [reason[:500], outside, news, self._clock.now(), appointment_id],
                )
            return appointment_of(await _row(conn, appointment_id))

    async def coming(
        self,
        tenant_id: str,
        *,
        contact_id: str | None = None,
        chat_id: str | None = None,
        host_id: str | None = None,
        appointment_id: str | None = None,
    ) -> list[Appointment]:
        """See `Calendar`; 100 at most."""
        async with self._db.tenant(tenant_id) as conn:
            rows = await fetch_all(
                conn,
                """SELECT * FROM appointments WHERE state <> 'cancelled' AND ends_at > %(now)s
                     AND (%(contact)s::text IS NULL OR contact_id = %(contact)s)
                     AND (%(chat)s::text IS NULL OR chat_id = %(chat)s)
                     AND (%(host)s::text IS NULL OR host_id = %(host)s)
                     AND (%(id)s::text IS NULL OR id = %(id)s)
                   ORDER BY starts_at LIMIT 100""",
                {
                    "now": self._clock.now(), "contact": contact_id, "chat": chat_id, "host": host_id,
                    "id": appointment_id,
                },
            )  # fmt: skip
            return [appointment_of(row) for row in rows]

    async def remind(self, tenant_id: str, tell: Tell) -> int:
        """Hand every meeting whose reminder is due to `tell`, once each. How many. A meeting that has begun is not
        told of any more."""
        told = 0
        while True:
            now = self._clock.now()
            async with self._db.tenant(tenant_id) as conn:
                row = await fetch_one(
                    conn,
                    """SELECT * FROM appointments
                       WHERE state <> 'cancelled' AND reminded_at IS NULL AND remind_at <= %s AND starts_at > %s
                       ORDER BY remind_at LIMIT 1 FOR UPDATE SKIP LOCKED""",
                    [now, now],
                )
                if row is None:
                    return told
                await conn.execute("UPDATE appointments SET reminded_at = %s WHERE id = %s", [now, row["id"]])
                await tell(conn, appointment_of(row))
            told += 1

    async def starts(self, tenant_id: str, ids: Sequence[str]) -> dict[str, datetime]:
        """When those of these meetings begin that stand: none that was cancelled."""
        async with self._db.tenant(tenant_id) as conn:
            query = "SELECT id, starts_at FROM appointments WHERE id = ANY(%s) AND state <> 'cancelled'"
            rows = await fetch_all(conn, query, [list(ids)])
        return {row["id"]: row["starts_at"] for row in rows}

    async def _must_be_possible(self, tenant_id: str, starts_at: datetime, length: timedelta) -> None:
        if starts_at.tzinfo is None or starts_at.second or starts_at.microsecond or starts_at.minute % STEP_MINUTES:
            raise ArgumentsWrong("calendar_minutes", "on the step", step=STEP_MINUTES, most=MOST_MINUTES)
        now = self._clock.now()
        if starts_at <= now:
            raise Refused("calendar_past", f"{starts_at.isoformat()} is over")
        ends_at = starts_at + length
        spans = await self._opening(tenant_id, starts_at, ends_at)
        if not any(opens <= starts_at and ends_at <= closes for opens, closes in spans):
            raise Refused("calendar_closed", f"{starts_at.isoformat()} is outside the hours")
        if starts_at < now + self._notice:
            raise Refused("calendar_soon", f"{starts_at.isoformat()} is sooner than people of ours can know of it")

    async def _taken(self, tenant_id: str, host_id: str | None, since: datetime, until: datetime) -> set[datetime]:
        async with self._db.tenant(tenant_id) as conn:
            rows = await fetch_all(
                conn,
                "SELECT at FROM appointment_steps WHERE host = %s AND at >= %s AND at < %s",
                [host_id or "", since, until],
            )
            return {row["at"] for row in rows}


def remind_at(starts_at: datetime, booked_at: datetime) -> datetime | None:
    """When to remind: a day before; an hour before what was booked later than that; not at all what is too near."""
    left = starts_at - booked_at
    if left > _DAY_BEFORE + timedelta(hours=2):
        return starts_at - _DAY_BEFORE
    return starts_at - _HOUR_BEFORE if left > _HOUR_BEFORE * 2 else None


def appointment_of(row: dict[str, Any]) -> Appointment:
    """A row of `appointments`. A time that is only held counts as booked."""
    return Appointment(
        id=row["id"],
        tenant_id=row["tenant_id"],
        title=row["title"],
        starts_at=row["starts_at"],
        ends_at=row["ends_at"],
        guest=Guest(
            row["guest_name"], row["zone"], row["contact_id"], row["company_id"], row["deal_id"], row["chat_id"],
            row["guest_email"],
        ),
        host_id=row["host_id"],
        state="cancelled" if row["state"] == "cancelled" else "booked",
        link=row["link"],
        external_id=row["external_id"] or None,
        reason=row["reason"],
        how=row["how"],
        place=row["place"],
        about=row["about"],
        settled=row["state"] != "held",
    )  # fmt: skip


async def _row(conn: Connection, appointment_id: str, *, lock: bool = False) -> dict[str, Any]:
    query = "SELECT * FROM appointments WHERE id = %s" + (" FOR UPDATE" if lock else "")
    row = await fetch_one(conn, query, [appointment_id])
    if row is None:
        raise Refused("calendar_unknown", f"there is no meeting {appointment_id[:80]!r}")
    return row


async def _take(
    conn: Connection, appointment_id: str, host_id: str | None, starts: datetime, length: timedelta
) -> None:
    """UniqueViolation when one of the steps is somebody's already."""
    await conn.execute(
        """INSERT INTO appointment_steps (tenant_id, host, at, appointment_id)
           SELECT current_tenant(), %s, at, %s FROM unnest(%s::timestamptz[]) AS at""",
        [host_id or "", appointment_id, list(_steps(starts, length))],
    )


def _steps(starts: datetime, length: timedelta) -> Iterable[datetime]:
    return (starts + _STEP * number for number in range(length // _STEP))


def _length(minutes: int) -> timedelta:
    if not STEP_MINUTES <= minutes <= MOST_MINUTES or minutes % STEP_MINUTES:
        raise ArgumentsWrong("calendar_minutes", f"{minutes} minutes", step=STEP_MINUTES, most=MOST_MINUTES)
    return timedelta(minutes=minutes)


def _on_grid(moment: datetime) -> datetime:
    seconds = GRID.total_seconds()
    return datetime.fromtimestamp(-(-moment.timestamp() // seconds) * seconds, UTC)


def _decent(slot: Slot, zone: str) -> bool:
    clock = ZoneInfo(zone)
    starts, ends = slot.starts_at.astimezone(clock), slot.ends_at.astimezone(clock)
    earliest, latest = _GUEST_HOURS
    return starts.hour >= earliest and (ends.hour, ends.minute) <= (latest, 0) and starts.date() == ends.date()


def _overlaps(slot: Slot, busy: Sequence[Span]) -> bool:
    return any(begins < slot.ends_at and slot.starts_at < ends for begins, ends in busy)


def _spread(slots: Sequence[Slot], zone: str, most: int) -> list[Slot]:
    """The first of each half day, then the second of each, until there are `most`; by time."""
    clock = ZoneInfo(zone)
    halves: dict[tuple[Any, bool], list[Slot]] = {}
    for slot in slots:
        local = slot.starts_at.astimezone(clock)
        halves.setdefault((local.date(), local.hour >= 12), []).append(slot)
    chosen: list[Slot] = []
    for turn in range(max(map(len, halves.values()), default=0)):
        for half in halves.values():
            if turn < len(half) and len(chosen) < most:
                chosen.append(half[turn])
    return sorted(chosen, key=lambda slot: slot.starts_at)
