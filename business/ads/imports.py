"""Bringing an Ads Manager export in: kept raw, checked, typed, and then an account like any other.

The file is stored first; reading it is a job that any worker can do, and do again from the start if its process dies.
"""

import asyncio
import json
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from business.ads.file_source import PREFIX
from business.ads.importer import Bad, Hints, Layout, Row, TotalsLine, inspect, read
from business.ads.windows import today_in
from core.clock import Clock
from core.db import Database
from core.errors import ArgumentsWrong, MutiraoError, Refused
from core.files import Files
from core.ids import new_id
from core.jobs import Jobs
from core.money import Money
from core.tenancy import Identity

JOB = "ads_import"
_BATCH = 5_000  # rows per transaction
_PROBLEMS_KEPT = 200  # bad lines whose reasons are kept; all are counted
_TOTALS_TOLERANCE = Decimal("0.02")  # of one money unit per line: exports round each line

Progress = Callable[[int], None]
"""Told how many lines have been read so far."""


@dataclass(frozen=True)
class Imported:
    """What became of an import. `state` is waiting, reading, done or failed."""

    id: str
    account_id: str
    name: str
    state: str
    already: bool = False
    """The very same file had been imported before: nothing was added."""
    rows: int = 0
    bad: int = 0
    problems: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """(text key, params) of the first bad lines and of what else should be known; params hold `line`."""
    currency: str = ""
    total_spend: Money | None = None
    since: date | None = None
    until: date | None = None
    daily: bool = True
    ignored: list[str] = field(default_factory=list)
    """Columns that no field takes."""
    error: tuple[str, dict[str, Any]] | None = None

    def told(self) -> dict[str, Any]:
        """Parameters of the text `import.done`."""
        return {
            "name": self.name,
            "already": self.already,
            "rows": self.rows,
            "bad": self.bad,
            "spend": self.total_spend,
            "since": self.since,
            "until": self.until,
            "daily": self.daily,
            "ignored": self.ignored,
        }


class Imports:
    """`time_zone` is the zone in which the days of a file are read when nothing else says one."""

    def __init__(self, db: Database, files: Files, jobs: Jobs, clock: Clock) -> None:
        self._db = db
        self._files = files
        self._jobs = jobs
        self._clock = clock

    async def start(self, identity: Identity, file_id: str, hints: Hints | None = None) -> Imported:
        """Check the file's beginning and put the rest in the queue. The same file again returns the import it has.

        Raises what `importer.inspect` raises: nothing is queued for a file that cannot be read.
        """
        info = await self._files.info(identity.tenant_id, file_id)
        existing = await self._same_file(identity.tenant_id, info.sha256)
        if existing is not None:
            return existing
        hints = hints or Hints()
        await self._with_copy(identity.tenant_id, file_id, lambda path: asyncio.to_thread(inspect, path, hints))
        import_id = new_id("imp")
        async with self._db.tenant(identity.tenant_id) as conn:
            await conn.execute(
                """INSERT INTO ad_imports (id, tenant_id, file_id, name, time_zone, state, columns, created_at)
                   VALUES (%s, %s, %s, %s, %s, 'waiting', %s, %s)""",
                (
                    import_id, identity.tenant_id, file_id, info.name, identity.time_zone, json.dumps(asdict(hints)),
                    self._clock.now(),
                ),
            )  # fmt: skip
            await self._jobs.defer(conn, JOB, tenant_id=identity.tenant_id, import_id=import_id)
        return await self.get(identity.tenant_id, import_id)

    async def import_path(
        self, identity: Identity, path: Path, hints: Hints | None = None, progress: Progress | None = None
    ) -> Imported:
        """Import a file of this machine and wait until it is done (the terminal's way)."""
        mime = (
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
            if path.suffix == ".xlsx"
            else "text/csv"
        )
        hints = hints or Hints()
        await asyncio.to_thread(inspect, path, hints)  # before it is stored: what cannot be read is not kept
        stored = await self._files.store_path(identity, path, mime=mime)
        started = await self.start(identity, stored.id, hints)
        if started.already:
            return started
        return await self.run(identity.tenant_id, started.id, progress)

    async def run(self, tenant_id: str, import_id: str, progress: Progress | None = None) -> Imported:
        """Read the whole file. Safe to run again after a crash: what was half read is read anew. One at a time."""
        async with self._db.lock(f"import:{import_id}", timeout=3_600):
            async with self._db.tenant(tenant_id) as conn:
                row = await (await conn.execute("SELECT * FROM ad_imports WHERE id = %s", (import_id,))).fetchone()
                if row is None:
                    raise Refused("import_gone", f"no import {import_id}")
                if row["state"] in ("done", "failed"):
                    return await self.get(tenant_id, import_id)
                await conn.execute("DELETE FROM ad_import_rows WHERE import_id = %s", (import_id,))
                await conn.execute("UPDATE ad_imports SET state = 'reading', rows_ok = 0 WHERE id = %s", (import_id,))
            hints = Hints(**row["columns"])
            today = today_in(row["time_zone"], self._clock.now())
            try:
                await self._with_copy(
                    tenant_id,
                    row["file_id"],
                    lambda path: self._read(tenant_id, import_id, path, hints, today, progress),
                )
            except MutiraoError as error:
                await self._fail(tenant_id, import_id, error)
        return await self.get(tenant_id, import_id)

    async def get(self, tenant_id: str, import_id: str) -> Imported:
        """Refused("import_gone") when the tenant has no such import."""
        async with self._db.tenant(tenant_id) as conn:
            row = await (await conn.execute("SELECT * FROM ad_imports WHERE id = %s", (import_id,))).fetchone()
        if row is None:
            raise Refused("import_gone", f"no import {import_id}")
        return _imported(row)

    async def announce_in(self, tenant_id: str, import_id: str, conversation_id: str) -> Imported:
        """Ask that the conversation be told when the import is over. Returns where it stands now: if that is done or
        failed, nobody else will tell."""
        async with self._db.tenant(tenant_id) as conn:
            await conn.execute(
                """UPDATE ad_imports SET report = report || jsonb_build_object('announce_in', %s::text)
                   WHERE id = %s AND state IN ('waiting', 'reading')""",
                (conversation_id, import_id),
            )
        return await self.get(tenant_id, import_id)

    async def take_announcement(self, tenant_id: str, import_id: str) -> str | None:
        """The conversation that waits to be told, once: the next caller gets None."""
        async with self._db.tenant(tenant_id) as conn:
            row = await (
                await conn.execute(
                    """UPDATE ad_imports i SET report = i.report - 'announce_in' FROM ad_imports old
                       WHERE i.id = %s AND old.id = i.id AND i.state IN ('done', 'failed') AND i.report ? 'announce_in'
                       RETURNING old.report ->> 'announce_in' AS conversation""",
                    (import_id,),
                )
            ).fetchone()
        return None if row is None else str(row["conversation"])

    # --- reading ------------------------------------------------------------------------------

    async def _read(
        self, tenant_id: str, import_id: str, path: Path, hints: Hints, today: date, progress: Progress | None
    ) -> None:
        layout = await asyncio.to_thread(inspect, path, hints)
        tally = _Tally(layout)
        lines = read(path, layout, today=today)
        while batch := await asyncio.to_thread(_take, lines, _BATCH):
            rows = tally.add(batch)
            async with self._db.tenant(tenant_id) as conn:
                await _insert(conn, tenant_id, import_id, rows)
                await conn.execute(
                    "UPDATE ad_imports SET rows_ok = %s, rows_bad = %s WHERE id = %s",
                    (tally.rows, tally.bad, import_id),
                )
            if progress:
                progress(tally.rows + tally.bad)
        if tally.rows == 0:
            raise ArgumentsWrong("import_no_rows", "no line of the file could be taken", bad=tally.bad)
        async with self._db.tenant(tenant_id) as conn:
            await conn.execute(
                """UPDATE ad_imports SET state = 'done', currency = %s, account_name = %s, report = report || %s, data_from = %s,
                          data_until = %s WHERE id = %s""",
                (
                    layout.currency, layout.account, json.dumps(tally.report(), default=str), tally.since, tally.until,
                    import_id,
                ),
            )  # fmt: skip

    async def _fail(self, tenant_id: str, import_id: str, error: MutiraoError) -> None:
        async with self._db.tenant(tenant_id) as conn:
            await conn.execute("DELETE FROM ad_import_rows WHERE import_id = %s", (import_id,))
            await conn.execute(
                """UPDATE ad_imports SET state = 'failed', report = report || %s WHERE id = %s""",
                (json.dumps({"error": [error.code, error.params]}, default=str), import_id),
            )

    async def _with_copy(self, tenant_id: str, file_id: str, work: Callable[[Path], Awaitable[Any]]) -> Any:
        """Work on a copy of the stored file on this machine's disk: workbooks need to seek."""
        with tempfile.TemporaryDirectory(prefix="mutirao-import-") as folder:
            path = Path(folder) / "export"
            await self._files.copy_to(tenant_id, file_id, path)
            return await work(path)

    async def _same_file(self, tenant_id: str, sha256: str) -> Imported | None:
        async with self._db.tenant(tenant_id) as conn:
            row = await (
                await conn.execute(
                    """SELECT i.* FROM ad_imports i JOIN files f ON f.id = i.file_id
                       WHERE f.sha256 = %s AND i.state <> 'failed' ORDER BY i.created_at DESC LIMIT 1""",
                    (sha256,),
                )
            ).fetchone()
        return None if row is None else _imported(row, already=True)


class _Tally:
    """Counts what is read, and checks totals lines against it."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.rows = self.bad = self.totals_lines = 0
        self.spend = Decimal(0)
        self.since: date | None = None
        self.until: date | None = None
        self._bad: list[Bad] = []
        self._totals: list[TotalsLine] = []

    def add(self, batch: list[Row | Bad | TotalsLine]) -> list[Row]:
        rows = [item for item in batch if isinstance(item, Row)]
        for item in batch:
            if isinstance(item, Bad):
                self.bad += 1
                if len(self._bad) < _PROBLEMS_KEPT:
                    self._bad.append(item)
            elif isinstance(item, TotalsLine):
                self.totals_lines += 1
                self._totals = [*self._totals[-50:], item]
        for row in rows:
            self.spend += row.numbers.get("spend") or 0
            self.since = row.since if self.since is None else min(self.since, row.since)
            self.until = row.until if self.until is None else max(self.until, row.until)
        self.rows += len(rows)
        return rows

    def report(self) -> dict[str, Any]:
        problems: list[list[Any]] = [[b.reason, {**b.params, "line": b.line}] for b in self._bad]
        # A file may hold a totals line per campaign; only one that claims more than everything is wrong for certain,
        # and a single one must be the whole.
        told = [t for t in self._totals if t.spend is not None]
        slack = _TOTALS_TOLERANCE * max(self.rows, 1)
        if len(told) == 1 and told[0].spend is not None and abs(told[0].spend - self.spend) > slack:
            params = {"line": told[0].line, "told": str(told[0].spend), "summed": str(self.spend)}
            problems.append(["import.totals_differ", params])
        return {
            "problems": problems,
            "totals_lines": self.totals_lines,
            "spend": str(self.spend),
            "daily": self.layout.daily,
            "ignored": self.layout.ignored,
        }


def _take(lines: Iterator[Row | Bad | TotalsLine], count: int) -> list[Row | Bad | TotalsLine]:
    taken = []
    for item in lines:
        taken.append(item)
        if len(taken) >= count:
            break
    return taken


_COLUMNS = {
    "row_no": "int", "since": "date", "until": "date", "campaign": "text", "adset": "text", "ad": "text", "status": "text",
    "objective": "text", "result_type": "text", "impressions": "bigint", "clicks": "bigint", "link_clicks": "bigint",
    "reach": "bigint", "spend": "numeric", "results": "numeric", "purchases": "numeric", "purchase_value": "numeric",
    "leads": "numeric", "conversations": "numeric",
}  # fmt: skip


async def _insert(conn: Any, tenant_id: str, import_id: str, rows: list[Row]) -> None:
    """All rows in one statement: COPY does not run under row-level security, arrays do."""
    if not rows:
        return
    values: dict[str, list[Any]] = {name: [] for name in _COLUMNS}
    for row in rows:
        for name in _COLUMNS:
            if name == "row_no":
                values[name].append(row.line)
            elif name in ("since", "until", "campaign", "adset", "ad", "status", "objective", "result_type"):
                values[name].append(getattr(row, name))
            else:
                number = row.numbers.get(name)
                whole = number is not None and _COLUMNS[name] == "bigint"
                values[name].append(int(number) if whole and number is not None else number)
    arrays = ", ".join(f"%s::{kind}[]" for kind in _COLUMNS.values())
    await conn.execute(
        f"""INSERT INTO ad_import_rows (tenant_id, import_id, {", ".join(_COLUMNS)})
            SELECT %s, %s, * FROM unnest({arrays})""",
        (tenant_id, import_id, *values.values()),
    )


def _imported(row: dict[str, Any], already: bool = False) -> Imported:
    report = row["report"]
    spend = report.get("spend")
    error = report.get("error")
    return Imported(
        id=row["id"],
        account_id=PREFIX + row["id"],
        name=row["name"],
        state=row["state"],
        already=already,
        rows=row["rows_ok"],
        bad=row["rows_bad"],
        problems=[(key, params) for key, params in report.get("problems", [])],
        currency=row["currency"],
        total_spend=Money(Decimal(spend), row["currency"]) if spend is not None and row["currency"] else None,
        since=row["data_from"],
        until=row["data_until"],
        daily=report.get("daily", True),
        ignored=report.get("ignored", []),
        error=(error[0], error[1]) if error else None,
    )
