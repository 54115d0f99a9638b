"""Searches of the web for one tenant: what was asked lately is answered from the database, what a month's quota allows
is asked and counted, and more is not asked.

Before a question goes out, one unit is reserved with the first vendor that has any left, and those that have none are
named as spent; when the answer is there, what it cost takes the reservation's place. So hunts that race spend no more
than the quota, but for questions in flight that fell through to another vendor, and an answer that costs several units.
A process that dies, or is told to stop, leaves its reservation standing: that counts one too many, not one too few.
"""

import hashlib
import json
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any

from psycopg.types.json import Jsonb
from pydantic import TypeAdapter

from core.clock import Clock
from core.db import Connection, Database, fetch_all, fetch_one
from core.errors import MutiraoError, Unavailable
from integrations.web_search.client import WebSearch
from integrations.web_search.payloads import Answer, Language, News, Page, Place, PlaceQuery, Query

MONTHLY = 250
"""Units a month of each vendor: the searches of SerpAPI's free plan (250 as told in May 2026; https://serpapi.com/pricing
says what it is now). A vendor's own count may stand lower; then it says so itself and is passed over."""
GOOD_FOR_DAYS = 30
"""As long as the registry's month. News are asked anew after a day."""
NOT_KEPT = frozenset({"Brave"})
"""Vendors whose answers are asked anew each time: Brave sells the right to store results with some of its plans only
(https://api-dashboard.search.brave.com/terms-of-service), and which plan a key has it does not tell."""
_NEWS_GOOD_FOR = timedelta(days=1)


@dataclass(frozen=True)
class MonthUse:
    """What a tenant has used of the search vendors in a month (UTC)."""

    month: date
    """Its first day."""
    used: dict[str, int]
    """Vendor → units."""
    limit: int
    """For each vendor."""


class WebQuota:
    """Counts and keeps for all tenants. `monthly` for each tenant and vendor, in the vendor's units; answers are good
    for `days` (0: every question is asked)."""

    def __init__(self, db: Database, clock: Clock, *, monthly: int = MONTHLY, days: int = GOOD_FOR_DAYS) -> None:
        self._db = db
        self._clock = clock
        self.monthly = monthly
        self._good_for = timedelta(days=days)

    def of(self, tenant_id: str, web: WebSearch) -> "CountedWeb":
        """The web for one tenant."""
        return CountedWeb(self, tenant_id, web)

    async def used(self, tenant_id: str) -> MonthUse:
        """This month so far."""
        month = _month(self._clock.now())
        async with self._db.tenant(tenant_id) as conn:
            return MonthUse(month, await _used(conn, month), self.monthly)

    async def reserve(self, tenant_id: str, vendors: Sequence[str]) -> tuple[str | None, list[str]]:
        """Count one unit with the first of these vendors that has any left this month: which one, None when none has;
        and those that have none."""
        month = _month(self._clock.now())
        reserved, spent = None, []
        async with self._db.tenant(tenant_id) as conn:
            for vendor in vendors:
                if reserved is None and await _reserve(conn, vendor, month, self.monthly):
                    reserved = vendor
                elif reserved is None or (await _used(conn, month)).get(vendor, 0) >= self.monthly:
                    spent.append(vendor)
        return reserved, spent

    async def give_back(self, tenant_id: str, vendor: str) -> None:
        """Take a reservation back: the question failed, or another vendor answered it."""
        async with self._db.tenant(tenant_id) as conn:
            await _count(conn, vendor, _month(self._clock.now()), -1)

    async def kept(self, tenant_id: str, question: str, kind: str) -> tuple[dict[str, Any], datetime] | None:
        """An answer that is still good, and when it was given."""
        good_for = min(self._good_for, _NEWS_GOOD_FOR) if kind == "news" else self._good_for
        async with self._db.tenant(tenant_id) as conn:
            row = await fetch_one(
                conn,
                "SELECT answer, asked_at FROM web_search_answers WHERE question = %s AND asked_at > %s",
                [question, self._clock.now() - good_for],
            )
        return None if row is None else (row["answer"], row["asked_at"])

    async def keep(
        self,
        tenant_id: str,
        question: str,
        kind: str,
        answer: Answer[Any],
        record: dict[str, Any],
        reserved: str | None,
    ) -> None:
        """Count what an answer cost instead of what was reserved, and keep it; answers past their time go."""
        month = _month(self._clock.now())
        async with self._db.tenant(tenant_id) as conn:
            if reserved is not None:
                await _count(conn, reserved, month, -1)
            await _count(conn, answer.vendor, month, answer.cost)
            if not self._good_for or answer.vendor in NOT_KEPT:
                return
            await conn.execute(
                """INSERT INTO web_search_answers (tenant_id, question, kind, answer, asked_at)
                   VALUES (current_tenant(), %s, %s, %s, %s)
                   ON CONFLICT (tenant_id, question) DO UPDATE
                   SET answer = excluded.answer, asked_at = excluded.asked_at""",
                [question, kind, Jsonb(record), answer.asked_at],
            )
            await conn.execute(
                "DELETE FROM web_search_answers WHERE asked_at <= %s", [self._clock.now() - self._good_for]
            )


class CountedWeb:
    """The web as one tenant may ask it. An answer that was kept costs 0 and says when it was given.

    Raises what WebSearch does; Unavailable("web_search_month_over", limit) when every vendor's month is used up, and
    then nothing is asked.
    """

    def __init__(self, quota: WebQuota, tenant_id: str, web: WebSearch) -> None:
        self._quota = quota
        self._tenant_id = tenant_id
        self._web = web

    async def pages(self, query: Query) -> Answer[Page]:
        """Pages of the web."""
        return await self._asked("pages", asdict(query), lambda spent: self._web.pages(query, spent=spent))

    async def places(self, query: PlaceQuery) -> Answer[Place]:
        """Places of a map."""
        return await self._asked("places", asdict(query), lambda spent: self._web.places(query, spent=spent))

    async def news(self, query: Query) -> Answer[News]:
        """News; kept for a day only."""
        return await self._asked("news", asdict(query), lambda spent: self._web.news(query, spent=spent))

    async def linkedin(self, company: str, city: str = "", *, language: Language = "pt-BR") -> Answer[Page]:
        """A company's LinkedIn pages as search results show them."""
        asked = {"company": company, "city": city, "language": language}
        return await self._asked(
            "linkedin", asked, lambda spent: self._web.linkedin(company, city, language=language, spent=spent)
        )

    async def _asked(
        self, kind: str, asked: dict[str, Any], ask: Callable[[Collection[str]], Awaitable[Answer[Any]]]
    ) -> Answer[Any]:
        question = hashlib.sha256(json.dumps([kind, asked], sort_keys=True).encode()).hexdigest()
        kept = await self._quota.kept(self._tenant_id, question, kind)
        if kept is not None:
            record, asked_at = kept
            return Answer(
                vendor=record["vendor"],
                words=record["words"],
                results=_results(kind).validate_python(record["results"]),
                asked_at=asked_at,
                cost=0,
                more=record["more"],
                unreadable=record["unreadable"],
            )
        reserved, spent = await self._quota.reserve(self._tenant_id, self._web.vendors)
        if reserved is None and self._web.vendors:
            limit = self._quota.monthly
            raise Unavailable("web_search_month_over", f"the month's {limit} searches are used up", limit=limit)
        try:
            answer = await ask(spent)
        except MutiraoError:
            if reserved is not None:
                await self._quota.give_back(self._tenant_id, reserved)
            raise
        record = {
            "vendor": answer.vendor,
            "words": answer.words,
            "results": _results(kind).dump_python(answer.results, mode="json"),
            "more": answer.more,
            "unreadable": answer.unreadable,
        }
        await self._quota.keep(self._tenant_id, question, kind, answer, record, reserved)
        return answer


async def _reserve(conn: Connection, vendor: str, month: date, monthly: int) -> bool:
    done = await conn.execute(
        """INSERT INTO web_search_use AS u (tenant_id, vendor, month, used)
           SELECT current_tenant(), %s, %s, 1 WHERE %s > 0
           ON CONFLICT (tenant_id, vendor, month) DO UPDATE SET used = u.used + 1 WHERE u.used < %s""",
        [vendor, month, monthly, monthly],
    )
    return bool(done.rowcount)


async def _count(conn: Connection, vendor: str, month: date, units: int) -> None:
    await conn.execute(
        """INSERT INTO web_search_use AS u (tenant_id, vendor, month, used)
           VALUES (current_tenant(), %s, %s, greatest(%s, 0))
           ON CONFLICT (tenant_id, vendor, month) DO UPDATE SET used = greatest(u.used + %s, 0)""",
        [vendor, month, units, units],
    )


async def _used(conn: Connection, month: date) -> dict[str, int]:
    rows = await fetch_all(conn, "SELECT vendor, used FROM web_search_use WHERE month = %s ORDER BY vendor", [month])
    return {row["vendor"]: row["used"] for row in rows}


def _month(at: datetime) -> date:
    return at.astimezone(UTC).date().replace(day=1)


@cache
def _results(kind: str) -> TypeAdapter[Any]:
    of = {"places": Place, "news": News}.get(kind, Page)
    return TypeAdapter(tuple[of, ...])  # type: ignore[valid-type]
