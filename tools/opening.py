"""When the house is open, for its calendar: the business hours and days off of its messaging settings."""

from datetime import UTC, datetime, timedelta

from business.messaging.brazil import Place
from business.messaging.hours import closes_at, next_open
from business.messaging.rules import MessageRules
from core.db import Database
from tools.first_contact import zone_of


class Opening:
    """Called with (tenant id, from, until): the spans in which people of ours are there, in UTC."""

    def __init__(self, db: Database, rules: MessageRules) -> None:
        self._db = db
        self._rules = rules

    async def __call__(self, tenant_id: str, since: datetime, until: datetime) -> list[tuple[datetime, datetime]]:
        async with self._db.tenant(tenant_id) as conn:
            settings = await self._rules.of(conn, tenant_id)
            zone = await zone_of(conn, tenant_id)
        calendar = settings.calendar(Place(zone, None, "account"))
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
