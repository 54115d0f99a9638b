"""When the house is open, for its calendar: the business hours and days off of its messaging settings."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from business.messaging.brazil import Place
from business.messaging.hours import closes_at, next_open
from business.messaging.settings import Settings

SettingsOf = Callable[[str], Awaitable[Settings]]
"""(tenant id): the account's rules for messages."""
ZoneOf = Callable[[str], Awaitable[str]]
"""(tenant id): the account's time zone, an IANA name."""


class Opening:
    """Called with (tenant id, from, until): the spans in which people of ours are there, in UTC."""

    def __init__(self, settings_of: SettingsOf, zone_of: ZoneOf) -> None:
        self._settings_of = settings_of
        self._zone_of = zone_of

    async def __call__(self, tenant_id: str, since: datetime, until: datetime) -> list[tuple[datetime, datetime]]:
        settings = await self._settings_of(tenant_id)
        calendar = settings.calendar(Place(await self._zone_of(tenant_id), None, "account"))
        found, at = [], since.astimezone(UTC)
        while at < until:
            opens = next_open(calendar, settings.business_hours, at)
            if opens is None or opens >= until:
                break
            closes = closes_at(calendar, settings.business_hours, opens)
            assert closes is not None  # it has just opened
            found.append((opens, min(closes, until)))
            at = closes + timedelta(microseconds=1)
        return found
