"""Meetings: offered within the hours of both sides, booked once, never two at a time, reminded of once."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

from business.messaging.rules import MessageRules
from business.sales.calendar import Appointment, Guest
from business.sales.house_calendar import HouseCalendar
from core.clock import FixedClock
from core.db import Connection, Database
from core.errors import ArgumentsWrong, Refused
from core.permissions import Permissions
from core.tenancy import Role
from tests.conftest import Tenants
from tools.opening import Opening

ANA = Guest("Ana Prado", "America/Sao_Paulo")


@pytest.fixture
def calendar(database: Database, clock: FixedClock, permissions: Permissions) -> HouseCalendar:
    return HouseCalendar(database, clock, Opening(database, MessageRules(database, permissions)))


async def code(work: Awaitable[object]) -> str:
    with pytest.raises((Refused, ArgumentsWrong)) as caught:
        await work
    return str(caught.value.code)


def at(day: int, hour: int, minute: int = 0) -> datetime:
    """That hour of November 2026 in São Paulo."""
    return datetime(2026, 11, day, hour + 3, minute, tzinfo=UTC)


async def test_times_are_within_the_hours_of_house_and_guest_and_no_holiday(
    calendar: HouseCalendar, clock: FixedClock, tenants: Tenants, database: Database, permissions: Permissions
) -> None:
    house = tenants.one.id
    clock.at = at(19, 15)  # Thursday; Friday the 20th is a holiday
    slots = await calendar.free(house, since=clock.at, until=clock.at + timedelta(days=5), minutes=60)
    told = [slot.local("America/Sao_Paulo").strftime("%a %H:%M") for slot in slots]
    assert told == ["Thu 17:00", "Mon 09:00", "Mon 09:30", "Mon 12:00", "Tue 09:00", "Tue 12:00"]
    assert all(slot.starts_at.date() != datetime(2026, 11, 20).date() for slot in slots)
    acre = await calendar.free(house, since=at(23, 1), until=at(23, 20), zone="America/Rio_Branco", most=30)
    assert acre[0].local("America/Rio_Branco").strftime("%H:%M") == "08:00"  # 10:00 of the house
    assert await calendar.free(house, since=at(20, 8), until=at(20, 20)) == []
    july = datetime(2026, 7, 9, 12, tzinfo=UTC)
    clock.at = july - timedelta(days=2)
    assert len(await calendar.free(house, since=july, until=july + timedelta(hours=9))) == 6
    await MessageRules(database, permissions).save(tenants.one[Role.ADMIN], "house_state: SP")
    assert await calendar.free(house, since=july, until=july + timedelta(hours=9)) == [], "9 July, in São Paulo"
    clock.at = at(19, 15)
    assert await code(calendar.free(house, since=at(1, 9), until=at(1, 9) + timedelta(days=40))) == "calendar_span"
    assert await code(calendar.free(house, since=at(23, 9), until=at(24, 9), minutes=7)) == "calendar_minutes"


async def test_a_time_is_one_meetings_however_many_ask_for_it_and_one_key_is_one_meeting(
    calendar: HouseCalendar, clock: FixedClock, tenants: Tenants
) -> None:
    house, host = tenants.one.id, tenants.one[Role.COMERCIAL].user_id
    monday = at(23, 10)

    def book(key: str, when: datetime = monday, minutes: int = 30) -> Awaitable[Appointment]:
        return calendar.book(house, when, guest=ANA, title="Conversa", key=key, host_id=host, minutes=minutes)

    answers = await asyncio.gather(*(book(f"k{number}") for number in range(8)), return_exceptions=True)
    booked = [one for one in answers if isinstance(one, Appointment)]
    assert len(booked) == 1
    assert {one.code for one in answers if isinstance(one, Refused)} == {"calendar_taken"}
    first, won = booked[0], f"k{answers.index(booked[0])}"
    again = await asyncio.gather(*(book("same", at(23, 14)) for _ in range(5)))
    assert len({one.id for one in again}) == 1
    assert await code(book("overlaps", at(23, 9, 45))) == "calendar_taken"
    await calendar.book(house, monday, guest=ANA, title="Outra linha", key="common")  # another host's time
    assert await code(book("night", at(23, 20))) == "calendar_closed"
    assert await code(book("holiday", at(20, 13))) == "calendar_closed"
    assert await code(book("past", at(19, 10))) == "calendar_past"
    offered = await calendar.free(house, since=at(23, 9), until=at(23, 12), host_id=host, most=20)
    assert [slot.starts_at for slot in offered] == [
        at(23, 9),
        at(23, 9, 30),
        at(23, 10, 30),
        at(23, 11),
        at(23, 11, 30),
    ]

    # Moved to a time that is taken, it stays where it was; else the old time is free.
    assert await code(calendar.move(house, first.id, at(23, 14))) == "calendar_taken"
    assert (await calendar.get(house, first.id)).starts_at == monday
    assert (await calendar.move(house, first.id, at(23, 10, 15))).starts_at == at(23, 10, 15)
    assert (await calendar.move(house, first.id, at(24, 9))).starts_at == at(24, 9)
    second = await book(won)
    assert second.id != first.id and second.starts_at == monday, "the first time, which the moved one no longer has"
    assert [one.id for one in await calendar.coming(house, host_id=host)] == [second.id, again[0].id, first.id]
    gone = await calendar.cancel(house, second.id, "não pode mais")
    assert (gone.state, gone.reason) == ("cancelled", "não pode mais")
    assert (await calendar.cancel(house, second.id)).reason == "não pode mais"
    assert await code(calendar.move(house, second.id, at(25, 9))) == "calendar_cancelled"
    anew = await book(won)
    assert anew.id != second.id and anew.state == "booked"
    assert await code(calendar.get(tenants.other.id, anew.id)) == "calendar_unknown"
    assert await calendar.coming(tenants.other.id) == []


async def test_a_meeting_is_reminded_of_once_the_day_before_or_the_hour_before(
    calendar: HouseCalendar, clock: FixedClock, tenants: Tenants
) -> None:
    house = tenants.one.id
    told: list[str] = []

    def tell(fail: bool = False) -> Callable[[Connection, Appointment], Awaitable[None]]:
        async def put(conn: Connection, meeting: Appointment) -> None:
            if fail:
                raise RuntimeError("died here")
            told.append(meeting.title)

        return put

    clock.at = at(23, 9)
    for title, when in (("far", at(26, 10)), ("soon", at(23, 14)), ("now", at(23, 11)), ("gone", at(26, 11))):
        made = await calendar.book(house, when, guest=ANA, title=title, key=title)
    await calendar.cancel(house, made.id)
    assert await calendar.remind(house, tell()) == 0
    clock.at = at(23, 13)
    with pytest.raises(RuntimeError):
        await calendar.remind(house, tell(fail=True))
    assert (await calendar.remind(house, tell()), told) == (1, ["soon"])
    clock.at = at(25, 10)
    counts = await asyncio.gather(*(calendar.remind(house, tell()) for _ in range(3)))
    assert (sum(counts), told) == (1, ["soon", "far"])
    await calendar.move(house, (await calendar.coming(house))[0].id, at(30, 10))
    clock.at = at(27, 10, 30)  # the 29th is a Sunday: the reminder of Monday's is for then
    assert await calendar.remind(house, tell()) == 0
    clock.at = at(29, 10)
    assert (await calendar.remind(house, tell()), told[-1]) == (1, "far")
