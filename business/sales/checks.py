"""What `mutirao doctor` says of the files by which companies sell (which there are, and what is wrong with one), and of
the calendars that their people have linked."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, ClassVar

from business.sales.files import SalesFiles
from business.sales.google_calendar import LinkOf
from core.clock import Clock
from core.db import Database, fetch_all
from core.doctor import Finding, Say, State
from core.errors import ArgumentsWrong, MutiraoError


class SalesFilesCheck:
    """`tenants` gives (slug, name) of every company."""

    area: ClassVar[str] = "sales"

    def __init__(
        self,
        files: SalesFiles,
        tenants: Callable[[], Awaitable[list[tuple[str, str]]]],
        say: Say,
        explain: Callable[[MutiraoError], str],
    ) -> None:
        self._files = files
        self._tenants = tenants
        self._say = say
        self._explain = explain

    async def run(self, live: bool) -> list[Finding]:
        findings = []
        for slug, name in await self._tenants():
            try:
                found = self._files.of(slug, name)
            except ArgumentsWrong as error:
                reason = self._explain(error)
                findings.append(self._found("broken", "sales_broken", company=name, reason=reason))
                continue
            items, documents = len(found.catalogue.items), sum(1 for _ in self._files.documents(slug))
            if items:
                told = {"company": name, "persona": found.persona.name, "items": items, "documents": documents}
                findings.append(self._found("ok", "sales_files", **told))
            else:
                folder = self._files.folder(slug)
                findings.append(self._found("note", "sales_none", company=name, folder=folder))
        return findings

    def _found(self, state: State, key: str, /, **params: object) -> Finding:
        return Finding(self.area, state, self._say(f"doctor.{key}", **params))


class CalendarCheck:
    """Calendars at Google: which are linked, whether their credentials can be opened and, when `live`, whether Google
    shows us their busy times. Nothing is written there. It was never tried with a real account, which is said, too."""

    area: ClassVar[str] = "calendar"

    def __init__(
        self,
        db: Database,
        clock: Clock,
        link_of: LinkOf,
        tenants: Callable[[], Awaitable[list[tuple[str, str]]]],
        say: Say,
        explain: Callable[[MutiraoError], str],
    ) -> None:
        """`tenants` gives (id, name) of each."""
        self._db = db
        self._clock = clock
        self._link_of = link_of
        self._tenants = tenants
        self._say = say
        self._explain = explain

    async def run(self, live: bool) -> list[Finding]:
        findings = []
        for tenant_id, name in await self._tenants():
            async with self._db.tenant(tenant_id) as conn:
                rows = await fetch_all(
                    conn,
                    """SELECT l.host, l.calendar, u.name FROM calendar_links l
                       LEFT JOIN users u ON u.tenant_id = l.tenant_id AND u.id = l.host ORDER BY l.host""",
                )
            if not rows:
                findings.append(self._found("note", "calendar_none", company=name))
            for row in rows:
                findings.append(await self._link(tenant_id, name, row, live))
        return findings

    async def _link(self, tenant_id: str, company: str, row: dict[str, Any], live: bool) -> Finding:
        told = {"company": company, "who": row["name"] or "", "calendar": row["calendar"]}
        try:
            link = await self._link_of(tenant_id, row["host"] or None)
            if live and link is not None:
                now = self._clock.now()
                await link.client.busy(link.calendar, now, now + timedelta(days=1))
        except MutiraoError as error:
            return self._found("broken", "calendar_wrong", **told, said=self._explain(error))
        return (
            self._found("ok", "calendar_answers", **told)
            if live
            else self._found("unverified", "calendar_not_asked", **told)
        )

    def _found(self, state: State, key: str, /, **params: object) -> Finding:
        return Finding(self.area, state, self._say(f"doctor.{key}", **params))
