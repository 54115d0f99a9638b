"""Bringing an Ads Manager export in: kept raw, checked, typed, and then an account like any other.

The file is stored first; reading it is a job that any worker can do, and do again from the start if its process dies.
"""

import asyncio
import json
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import date
from decimal import Decimal
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import psycopg
import structlog

from business.ads.file_source import PREFIX
from business.ads.importer import Bad, Hints, Item, Layout, Row, TotalsLine, inspect, read, result_kind
from business.ads.windows import today_in
from core.clock import Clock
from core.db import Connection, Database, fetch_one
from core.errors import ArgumentsWrong, MutiraoError, Refused, Unavailable
from core.files import Files
from core.ids import new_id
from core.jobs import Jobs
from core.money import Money
from core.permissions import Permissions, Scope
from core.tenancy import Identity

JOB = "ads_import"
_AREA = "ads"  # whoever may change things there may bring files
_BATCH = 5_000  # rows per transaction
_PROBLEMS_KEPT = 200  # bad lines told one by one; all are counted by their reason
_ROUNDED = Decimal("0.005")  # of one money unit: an export rounds each line
_MOST_MB = 1_000  # of a file that is imported on this machine, where no upload has to be limited

log = structlog.get_logger(__name__)

Progress = Callable[[int], None]
"""Told how many lines have been read so far."""


@dataclass(frozen=True)
class Imported:
    """What became of an import. `state` is waiting, reading, done or failed."""

    id: str
    account_id: str
    file_id: str
    name: str
    state: str
    already: bool = False
    """The very same file had been imported before: nothing was added."""
    rows: int = 0
    bad: int = 0
    problems: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """(text key, params) of the first bad lines; params hold `line`, a number or "3–9"."""
    notes: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """(text key, params) of what else should be known: a line of totals that is not the sum."""
    reasons: dict[str, int] = field(default_factory=dict)
    """Reason (text key) → how many lines were left out for it."""
    totals: int = 0
    """Lines of totals: compared, not counted."""
    currency: str = ""
    total_spend: Money | None = None
    since: date | None = None
    until: date | None = None
    daily: bool = True
    ignored: list[str] = field(default_factory=list)
    """Columns that no field takes."""
    hints: Hints = field(default_factory=Hints)
    error: tuple[str, dict[str, Any]] | None = None

    def told(self) -> dict[str, Any]:
        """Parameters of the text `import.done`."""
        return {
            "name": self.name,
            "already": self.already,
            "rows": self.rows,
            "bad": self.bad,
            "totals": self.totals,
            "spend": self.total_spend,
            "since": self.since,
            "until": self.until,
            "daily": self.daily,
            "ignored": self.ignored,
        }


class Imports:
    """The imports of all tenants; each call sees one tenant's."""

    def __init__(self, db: Database, files: Files, jobs: Jobs, clock: Clock) -> None:
        self._db = db
        self._files = files
        self._jobs = jobs
        self._clock = clock

    async def start(self, identity: Identity, file_id: str, hints: Hints | None = None) -> Imported:
        """Check the file's beginning and put the rest in the queue.

        The same file again returns the import it has (`already`), which may still be waiting or reading; with other
        hints than before it is read anew. Refused("import_not_allowed") for a role that may not change ads; else raises
        what `importer.inspect` raises: nothing is queued for a file that cannot be read.
        """
        await self._check_role(identity)
        hints = hints or Hints()
        info = await self._files.info(identity.tenant_id, file_id)
        async with self._db.tenant(identity.tenant_id) as conn:
            existing = await _same_file(conn, info.sha256)
        if existing is not None and _as_before(existing, hints):
            return _imported(existing, already=True)
        await self._with_copy(identity.tenant_id, file_id, lambda path: asyncio.to_thread(inspect, path, hints))
        async with self._db.tenant(identity.tenant_id) as conn:
            # Two people, or two clicks, with the same file at once: the second finds the first one's import.
            await conn.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"import:{identity.tenant_id}:{info.sha256}"]
            )
            existing = await _same_file(conn, info.sha256)
            if existing is not None and _as_before(existing, hints):
                return _imported(existing, already=True)
            import_id = existing["id"] if existing else new_id("imp")
            await conn.execute(
                """INSERT INTO ad_imports (id, tenant_id, file_id, name, time_zone, state, columns, created_at)
                   VALUES (%s, %s, %s, %s, %s, 'waiting', %s, %s)
                   ON CONFLICT (id) DO UPDATE SET state = 'waiting', columns = excluded.columns, report = '{}'""",
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
        """Import a file of this machine and wait until it is done (the terminal's way).

        Raises as `start`; ArgumentsWrong("file_too_large" | "file_unreadable").
        """
        mime = (
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
            if path.suffix == ".xlsx"
            else "text/csv"
        )
        await self._check_role(identity)
        stored = await self._files.store_path(identity, path, mime=mime, max_mb=_MOST_MB)
        try:
            started = await self.start(identity, stored.id, hints)
        except ArgumentsWrong:
            await self._files.delete(identity.tenant_id, stored.id)  # what cannot be read is not kept
            raise
        if started.file_id != stored.id:
            await self._files.delete(identity.tenant_id, stored.id)
        if started.state == "done":
            return started
        return await self.run(identity.tenant_id, started.id, progress)

    async def run(self, tenant_id: str, import_id: str, progress: Progress | None = None) -> Imported:
        """Read the whole file. Safe to run again after a crash: what was half read is read anew. One at a time.

        A file that cannot be read ends as `failed`; Unavailable leaves it to be run again.
        """
        async with self._db.lock(f"import:{import_id}", timeout=3_600):
            async with self._db.tenant(tenant_id) as conn:
                row = await fetch_one(conn, "SELECT * FROM ad_imports WHERE id = %s", (import_id,))
                if row is None:
                    raise Refused("import_gone", f"no import {import_id}")
                if row["state"] in ("done", "failed"):
                    return _imported(row)
                await conn.execute("DELETE FROM ad_import_rows WHERE import_id = %s", (import_id,))
                await conn.execute("UPDATE ad_imports SET state = 'reading', rows_ok = 0 WHERE id = %s", (import_id,))
            try:
                await self._with_copy(
                    tenant_id, row["file_id"], lambda path: self._read(tenant_id, row, path, progress)
                )
            except (ArgumentsWrong, Refused) as error:
                await self._fail(tenant_id, import_id, error)
            except (Unavailable, psycopg.OperationalError):
                raise
            except Exception:
                log.exception("import_failed", import_id=import_id)
                await self._fail(tenant_id, import_id, MutiraoError("import_bug", id=import_id))
        return await self.get(tenant_id, import_id)

    async def get(self, tenant_id: str, import_id: str) -> Imported:
        """Refused("import_gone") when the tenant has no such import."""
        async with self._db.tenant(tenant_id) as conn:
            row = await fetch_one(conn, "SELECT * FROM ad_imports WHERE id = %s", (import_id,))
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

    async def take_announcement(
        self, tenant_id: str, import_id: str, *, within: Connection | None = None
    ) -> str | None:
        """The conversation that waits to be told, once: the next caller gets None. `within`: the caller's transaction,
        in which it is told."""
        async with self._db.tenant(tenant_id, within) as conn:
            row = await fetch_one(
                conn,
                """UPDATE ad_imports i SET report = i.report - 'announce_in' FROM ad_imports old
                   WHERE i.id = %s AND old.id = i.id AND i.state IN ('done', 'failed') AND i.report ? 'announce_in'
                   RETURNING old.report ->> 'announce_in' AS conversation""",
                (import_id,),
            )
        return None if row is None else str(row["conversation"])

    # --- reading ------------------------------------------------------------------------------

    async def _read(self, tenant_id: str, row: dict[str, Any], path: Path, progress: Progress | None) -> None:
        import_id, hints = row["id"], Hints(**row["columns"])
        layout = await asyncio.to_thread(inspect, path, hints)
        tally = _Tally(layout)
        batches = _Batches(read(path, layout, today=today_in(row["time_zone"], self._clock.now())), tally)
        upcoming = asyncio.create_task(asyncio.to_thread(batches.take))
        try:
            while (batch := await upcoming) is not None:
                # The next lines are read while the database takes these.
                upcoming = asyncio.create_task(asyncio.to_thread(batches.take))
                async with self._db.tenant(tenant_id) as conn:
                    if batch.columns:
                        await conn.execute(_INSERT, [tenant_id, import_id, *batch.columns])
                    await conn.execute(
                        "UPDATE ad_imports SET rows_ok = %s, rows_bad = %s WHERE id = %s",
                        [batch.rows, batch.bad, import_id],
                    )
                if progress:
                    progress(batch.rows + batch.bad)
        finally:
            upcoming.cancel()
        if tally.rows == 0:
            raise ArgumentsWrong("import_no_rows", "no line of the file could be taken", bad=tally.bad)
        async with self._db.tenant(tenant_id) as conn:
            await conn.execute("SELECT sum_ad_import(%s)", [import_id])
            # The hints may have been said anew meanwhile: then it waits to be read again.
            await conn.execute(
                """UPDATE ad_imports SET state = 'done', currency = %s, account_name = %s, report = report || %s,
                          data_from = %s, data_until = %s WHERE id = %s AND state = 'reading'""",
                (
                    layout.currency, layout.account, json.dumps(tally.report(), default=str), tally.since, tally.until,
                    import_id,
                ),
            )  # fmt: skip

    async def _fail(self, tenant_id: str, import_id: str, error: MutiraoError) -> None:
        async with self._db.tenant(tenant_id) as conn:
            await conn.execute("DELETE FROM ad_import_rows WHERE import_id = %s", (import_id,))
            await conn.execute(
                """UPDATE ad_imports SET state = 'failed', report = report || %s WHERE id = %s AND state = 'reading'""",
                (json.dumps({"error": [error.code, error.params]}, default=str), import_id),
            )

    async def _with_copy(self, tenant_id: str, file_id: str, work: Callable[[Path], Awaitable[Any]]) -> Any:
        """Work on a copy of the stored file on this machine's disk: workbooks need to seek."""
        with tempfile.TemporaryDirectory(prefix="mutirao-import-") as folder:
            path = Path(folder) / "export"
            await self._files.copy_to(tenant_id, file_id, path)
            return await work(path)

    async def _check_role(self, identity: Identity) -> None:
        async with self._db.tenant(identity.tenant_id) as conn:
            permissions = await Permissions.load(conn)
        if permissions.write_scope(identity.role, _AREA) is not Scope.ALL:
            raise Refused("import_not_allowed", f"{identity.role} may not bring files of ads")


async def _same_file(conn: Connection, sha256: str) -> dict[str, Any] | None:
    query = """SELECT i.* FROM ad_imports i JOIN files f ON f.id = i.file_id
               WHERE f.sha256 = %s AND i.state <> 'failed' ORDER BY i.created_at DESC LIMIT 1"""
    return await fetch_one(conn, query, [sha256])


def _as_before(existing: dict[str, Any], hints: Hints) -> bool:
    """Nothing new was said about the file."""
    return hints == Hints() or Hints(**existing["columns"]) == hints


class _Tally:
    """Counts what is read, and compares totals lines with it."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.rows = self.bad = self.totals_lines = 0
        self.spend = Decimal(0)
        self.since: date | None = None
        self.until: date | None = None
        self.daily = True
        self._reasons: Counter[str] = Counter()
        self._bad: list[Bad] = []
        self._whole: list[TotalsLine] = []

    def add(self, batch: list[Item]) -> list[Row]:
        rows = []
        for item in batch:
            if isinstance(item, Row):
                rows.append(item)
            elif isinstance(item, Bad):
                self.bad += 1
                self._reasons[item.reason] += 1
                if len(self._bad) < _PROBLEMS_KEPT:
                    self._bad.append(item)
            else:
                self.totals_lines += 1
                if item.whole and item.spend is not None:
                    self._whole = [*self._whole[-1:], item]
        if rows:
            self.spend += sum((row.numbers["spend"] or 0 for row in rows), Decimal(0))
            since, until = min(row.since for row in rows), max(row.until for row in rows)
            self.since = since if self.since is None else min(self.since, since)
            self.until = until if self.until is None else max(self.until, until)
            self.daily = self.daily and all(row.since == row.until for row in rows)
        self.rows += len(rows)
        return rows

    def report(self) -> dict[str, Any]:
        problems: list[list[Any]] = [
            [b.reason, {**b.params, "line": f"{b.line}–{b.last}" if b.last else b.line}] for b in self._bad
        ]
        notes: list[list[Any]] = []
        slack = _ROUNDED * (self.rows + 1)
        if len(self._whole) == 1:  # several are the sums of parts that the file does not name
            (whole,) = self._whole
            if whole.spend is not None and abs(whole.spend - self.spend) > slack:
                params = {"line": whole.line, "told": whole.spend, "summed": self.spend}
                notes.append(["import.totals_differ", params])
        return {
            "problems": problems,
            "notes": notes,
            "reasons": dict(self._reasons),
            "totals_lines": self.totals_lines,
            "spend": str(self.spend),
            "daily": self.daily,
            "ignored": self.layout.ignored,
        }


@dataclass(frozen=True)
class _Batch:
    """Rows as the database takes them, and how far the reading has come with them."""

    columns: list[str]
    """One array per column, in PostgreSQL's way of writing them; empty when there is no row."""
    rows: int
    bad: int


class _Batches:
    """Turns lines into batches, in a thread of its own."""

    def __init__(self, lines: Iterator[Item], tally: _Tally) -> None:
        self._lines = lines
        self._tally = tally
        self._quoted: dict[str, str] = {"": '""'}

    def take(self) -> _Batch | None:
        items = list(islice(self._lines, _BATCH))
        if not items:
            return None
        rows = self._tally.add(items)
        return _Batch(self._columns(rows) if rows else [], self._tally.rows, self._tally.bad)

    def _columns(self, rows: list[Row]) -> list[str]:
        columns = [
            _array(str(row.line) for row in rows),
            _array(row.since.isoformat() for row in rows),
            _array(row.until.isoformat() for row in rows),
        ]
        for name in _TEXTS:
            columns.append(_array(self._quote(getattr(row, name)) for row in rows))
        columns.append(_array(self._quote(_kind(row.result_type)) for row in rows))
        for name in _COUNTS:
            numbers = [row.numbers.get(name) for row in rows]
            columns.append(_array("NULL" if number is None else str(int(number)) for number in numbers))
        for name in _AMOUNTS:
            numbers = [row.numbers.get(name) for row in rows]
            columns.append(_array("NULL" if number is None else str(number) for number in numbers))
        return columns

    def _quote(self, text: str) -> str:
        quoted = self._quoted.get(text)
        if quoted is None:
            if len(self._quoted) >= _BATCH * 4:
                self._quoted = {"": '""'}
            quoted = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
            self._quoted[text] = quoted
        return quoted


@lru_cache(maxsize=1_000)
def _kind(result_type: str) -> str:
    """What the line counts, by one word for all languages; what is not known stays as the file says it."""
    return result_kind(result_type) or result_type


def _array(values: Iterator[str]) -> str:
    return "{" + ",".join(values) + "}"


_TEXTS = ("campaign", "adset", "ad", "status", "objective")
_COUNTS = ("impressions", "clicks", "link_clicks", "reach")
_AMOUNTS = ("spend", "results", "purchases", "purchase_value", "leads", "conversations")
_TYPES = {
    "row_no": "int",
    "since": "date",
    "until": "date",
    **dict.fromkeys((*_TEXTS, "result_type"), "text"),
    **dict.fromkeys(_COUNTS, "bigint"),
    **dict.fromkeys(_AMOUNTS, "numeric"),
}
# All rows of a batch in one statement: COPY does not run under row-level security. The arrays are written by us, which
# takes a tenth of the time that psycopg takes for lists of a million elements.
_INSERT = f"""INSERT INTO ad_import_rows (tenant_id, import_id, {", ".join(_TYPES)})
              SELECT %s, %s, * FROM unnest({", ".join(f"%s::{kind}[]" for kind in _TYPES.values())})"""


def _with_money(params: dict[str, Any], currency: str) -> dict[str, Any]:
    """Amounts are kept as text."""
    return {**params, **{name: Money(Decimal(params[name]), currency) for name in ("told", "summed")}}


def _imported(row: dict[str, Any], already: bool = False) -> Imported:
    report = row["report"]
    spend = report.get("spend")
    error = report.get("error")
    return Imported(
        id=row["id"],
        account_id=PREFIX + row["id"],
        file_id=row["file_id"],
        name=row["name"],
        state=row["state"],
        already=already,
        rows=row["rows_ok"],
        bad=row["rows_bad"],
        problems=[(key, params) for key, params in report.get("problems", [])],
        notes=[(key, _with_money(params, row["currency"])) for key, params in report.get("notes", [])],
        reasons=report.get("reasons", {}),
        totals=report.get("totals_lines", 0),
        currency=row["currency"],
        total_spend=Money(Decimal(spend), row["currency"]) if spend is not None and row["currency"] else None,
        since=row["data_from"],
        until=row["data_until"],
        daily=report.get("daily", True),
        ignored=report.get("ignored", []),
        hints=Hints(**row["columns"]),
        error=(error[0], error[1]) if error else None,
    )
