"""Hours and days: when somebody may be bothered, when somebody of ours is there, and what a business day is.

Every question is asked in the zone of the one it is about (the lead's for quiet hours, the account's for business
hours) and answered as a moment in UTC.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

from business.messaging.brazil import Holiday, Place, holiday_on

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_AHEAD = 120  # days that are looked through for an open one: longer than any holidays


@dataclass(frozen=True)
class Hours:
    """Weekday (0 is Monday) → from, to; a weekday that is missing is closed, a `to` of 23:59 means midnight."""

    week: Mapping[int, tuple[time, time]]

    def on(self, weekday: int) -> tuple[time, time] | None:
        return self.week.get(weekday)


@dataclass(frozen=True)
class Calendar:
    """The days off of one place. `extra`: day → name, those of a city or of an account; `working`: days that count as
    working days though they are holidays; `optional`: whether offices' days (Carnaval) count as holidays;
    `any_day`: no holiday counts."""

    place: Place
    extra: Mapping[date, str] = field(default_factory=dict)
    working: frozenset[date] = frozenset()
    optional: bool = True
    any_day: bool = False

    def day_of(self, moment: datetime) -> date:
        return moment.astimezone(self.place.clock).date()

    def holiday(self, day: date) -> Holiday | None:
        if self.any_day or day in self.working:
            return None
        if name := self.extra.get(day):
            return Holiday(day, name, "policy.yaml, extra_holidays")
        return holiday_on(day, self.place.state, optional=self.optional)

    def business_day(self, day: date) -> bool:
        return day.weekday() < 5 and self.holiday(day) is None

    def moment(self, day: date, clock: time) -> datetime:
        """That hour of that day here, in UTC; an hour that a change of clocks leaves out is the first one after it."""
        local = datetime.combine(day, clock, self.place.clock)
        return local.astimezone(UTC)


def closed_because(calendar: Calendar, hours: Hours, now: datetime) -> str | None:
    """Why it is not the hour: "holiday", "weekday" (closed all day) or "hour"; None when it is open."""
    local = now.astimezone(calendar.place.clock)
    if calendar.holiday(local.date()):
        return "holiday"
    span = hours.on(local.weekday())
    if span is None:
        return "weekday"
    return None if _opens(calendar, local.date(), span) <= now < _closes(calendar, local.date(), span) else "hour"


def next_open(calendar: Calendar, hours: Hours, now: datetime) -> datetime | None:
    """`now` when it is open, else the next opening, in UTC. None when there is none in the next 120 days."""
    today = calendar.day_of(now)
    for ahead in range(_AHEAD):
        day = today + timedelta(days=ahead)
        span = hours.on(day.weekday())
        if span is None or calendar.holiday(day) or _closes(calendar, day, span) <= now:
            continue
        return max(_opens(calendar, day, span), now).astimezone(UTC)
    return None


def closes_at(calendar: Calendar, hours: Hours, now: datetime) -> datetime | None:
    """When the present opening ends, in UTC; None when it is closed."""
    if closed_because(calendar, hours, now):
        return None
    day = calendar.day_of(now)
    span = hours.on(day.weekday())
    assert span is not None
    return _closes(calendar, day, span)


def after_business_days(calendar: Calendar, start: datetime, days: int) -> datetime:
    """The same hour, `days` (0 or more) business days later, in UTC. From a day off, counting begins at its end;
    with 0, a day off becomes the next business day."""
    local = start.astimezone(calendar.place.clock)
    day, left = local.date(), days
    while left > 0 or not calendar.business_day(day):
        day += timedelta(days=1)
        if calendar.business_day(day):
            left -= 1
            if left <= 0:
                break
    return start.astimezone(UTC) if day == local.date() else calendar.moment(day, local.time().replace(fold=0))


def business_days_between(calendar: Calendar, first: datetime, last: datetime) -> int:
    """How many business days begin after the day of `first` up to the day of `last`; 0 when `last` is not later."""
    day, end, count = calendar.day_of(first), calendar.day_of(last), 0
    while day < end:
        day += timedelta(days=1)
        count += calendar.business_day(day)
    return count


def _opens(calendar: Calendar, day: date, span: tuple[time, time]) -> datetime:
    return calendar.moment(day, span[0])


def _closes(calendar: Calendar, day: date, span: tuple[time, time]) -> datetime:
    return (
        calendar.moment(day + timedelta(days=1), time.min)
        if (span[1].hour, span[1].minute) == (23, 59)
        else calendar.moment(day, span[1])
    )
