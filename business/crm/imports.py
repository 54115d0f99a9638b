"""Lists of people and companies: looked at before they are brought in, brought in as a job, and taken out again.

A preview is the real thing on the file's beginning, rolled back. An import goes by batches, each one transaction that
also notes how far it came: a process that dies leaves whole batches, and whoever takes the job up goes on behind them.
"""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import psycopg
import structlog

from business.crm.access import TABLE, CrmPart, Row
from business.crm.custom import checked_custom, fields_of
from business.crm.identity import KeyKind
from business.crm.model import CustomField, Outcome, Source, Subject, Upserted
from business.crm.privacy import PrivacyPart
from business.crm.sheets import Layout, Line, TableWriter, as_data, headers, inspect, read
from business.crm.upsert import Told, UpsertPart, made_ready
from core.audit import audit
from core.clock import Clock
from core.db import Connection, Database, fetch_all, fetch_one
from core.errors import MutiraoError, Refused, Unavailable
from core.files import Files, StoredFile
from core.ids import new_id
from core.jobs import Jobs
from core.permissions import Permissions
from core.tenancy import Identity

JOB = "crm_import"
BATCH = 250  # lines per transaction
PREVIEW = 200  # lines
_PROBLEMS_KEPT = 200
_MIME = {"csv": "text/csv", "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"}
_PAGE = 1_000  # records of an export read at once

log = structlog.get_logger(__name__)

Progress = Callable[[int], None]
"""Told how many lines have been read so far."""
IdentityOf = Callable[[str, str], Awaitable[Identity]]
"""(tenant id, user id) → who that is now; Refused when they may not act any more."""


@dataclass(frozen=True)
class PreviewLine:
    """What would become of a line: an outcome of `Upserted`, or "refused" with the error's code and parameters."""

    line: int
    outcome: str
    found: Upserted | None
    code: str = ""
    params: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Preview:
    subject: Subject
    columns: dict[str, str]
    """Header → field."""
    ignored: list[str]
    lines: list[PreviewLine]
    more: bool
    """The file goes on behind these lines."""

    def counts(self) -> dict[str, int]:
        """Outcome → lines, of those that were looked at."""
        found: dict[str, int] = {}
        for line in self.lines:
            found[line.outcome] = found.get(line.outcome, 0) + 1
        return found


@dataclass(frozen=True)
class Imported:
    """What became of an import. `state` is waiting, reading, done or failed; `outcomes` counts lines by what became of
    them ("refused" for those with an error); `problems` are the first that were refused or are ambiguous: (line,
    outcome, error code or text key, its values)."""

    id: str
    name: str
    subject: Subject
    state: str
    rows: int
    outcomes: dict[str, int]
    problems: list[tuple[int, str, str, dict[str, Any]]]
    ignored: list[str]
    error: tuple[str, dict[str, Any]] | None
    created_at: datetime


class CrmImports(CrmPart):
    """Imports and exports of all tenants; each call sees one tenant's, as far as the user's role reaches."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        permissions: Permissions,
        files: Files,
        jobs: Jobs | None,
        identity_of: IdentityOf,
        *,
        talks: Callable[[Identity, str], Awaitable[dict[str, Any]]] | None = None,
    ) -> None:
        """`talks`: what conversations keep of a contact, for their export: (who, contact's id)."""
        super().__init__(db, clock, permissions)
        self._talks = talks
        self._files = files
        self._jobs = jobs
        self._identity_of = identity_of
        self._crm = UpsertPart(db, clock, permissions)
        self._privacy = PrivacyPart(db, clock, permissions)

    # --- bringing in --------------------------------------------------------------------------

    async def preview(
        self,
        who: Identity,
        file_id: str,
        *,
        subject: Subject | None = None,
        columns: dict[str, str] | None = None,
        lines: int = PREVIEW,
    ) -> Preview:
        """Which column is taken for what, and what would become of the first `lines` (at most 2,000) lines and why.

        `columns` maps headers to fields, "" for one to be left out. Nothing is written.
        Refused: crm_not_allowed, file_gone; ArgumentsWrong of `sheets.inspect`.
        """
        self._writes(who)
        lines = max(1, min(lines, 2_000))
        async with self._db.tenant(who.tenant_id) as conn:
            custom = await _custom(conn)
        async with self._copy(who.tenant_id, file_id) as path:
            layout = await asyncio.to_thread(inspect, path, subject=subject, columns=columns, custom=custom)
            beginning = await asyncio.to_thread(lambda: list(islice(read(path, layout), lines + 1)))
        ready = [_ready(layout, line, custom, "preview", None, ()) for line in beginning[:lines]]
        async with self._db.tenant(who.tenant_id) as conn, conn.transaction(force_rollback=True):
            results = await self._bring(conn, who, ready)
        return Preview(
            layout.subject,
            layout.named(),
            layout.ignored,
            [_previewed(line.number, result) for line, result in zip(beginning, results, strict=False)],
            len(beginning) > lines,
        )

    async def start(
        self,
        who: Identity,
        file_id: str,
        *,
        subject: Subject | None = None,
        columns: dict[str, str] | None = None,
        purpose: str | None = None,
        tags: tuple[str, ...] = (),
    ) -> Imported:
        """Put a file in the queue. `purpose` says what its people's data may be used for; `tags` go on every record.

        Raises as `preview`; nothing is queued for a file that cannot be read.
        """
        self._writes(who)
        info = await self._files.info(who.tenant_id, file_id)
        import_id = new_id("crmimp")
        async with self._db.tenant(who.tenant_id) as conn:
            custom = await _custom(conn)
        async with self._copy(who.tenant_id, file_id) as path:
            layout = await asyncio.to_thread(inspect, path, subject=subject, columns=columns, custom=custom)
        told = {"columns": columns or {}, "tags": list(tags)}
        async with self._db.tenant(who.tenant_id) as conn:
            await conn.execute(
                """INSERT INTO crm_imports (tenant_id, id, file_id, name, subject, state, columns, purpose, report,
                                            created_by, created_at)
                   VALUES (current_tenant(), %s, %s, %s, %s, 'waiting', %s, %s, %s, %s, %s)""",
                [
                    import_id, file_id, info.name, layout.subject, json.dumps(told), purpose,
                    json.dumps({"ignored": layout.ignored, "problems": []}), who.user_id, self._clock.now(),
                ],
            )  # fmt: skip
            if self._jobs is not None:
                await self._jobs.defer(conn, JOB, tenant_id=who.tenant_id, import_id=import_id)
        return await self.get(who.tenant_id, import_id)

    async def run(self, tenant_id: str, import_id: str, progress: Progress | None = None) -> Imported:
        """The job: read the file to its end, from where an earlier run stopped; then delete the file. One at a time.

        A file that cannot be read, or whose user may not do it any more, ends as `failed`; Unavailable leaves it to be
        run again. Refused("crm_import_gone").
        """
        async with self._db.lock(f"crm import:{import_id}", timeout=3_600):
            async with self._db.tenant(tenant_id) as conn:
                row = await _import_row(conn, import_id)
                if row["state"] in ("done", "failed"):
                    return _imported(row)
                await conn.execute("UPDATE crm_imports SET state = 'reading' WHERE id = %s", [import_id])
                custom = await _custom(conn)
            try:
                who = await self._identity_of(tenant_id, row["created_by"])
                async with self._copy(tenant_id, row["file_id"]) as path:
                    await self._read(who, row, path, custom, progress)
                await self._end(tenant_id, import_id, "done", None)
            except (Unavailable, psycopg.OperationalError):
                raise
            except MutiraoError as error:
                await self._end(tenant_id, import_id, "failed", error)
            except Exception:
                log.exception("crm_import_failed", import_id=import_id)
                await self._end(tenant_id, import_id, "failed", MutiraoError("crm_import_bug", id=import_id))
            # The rows are in the CRM; a copy of everybody's data beside it would be one more place to forget.
            await self._files.delete(tenant_id, row["file_id"])
        return await self.get(tenant_id, import_id)

    async def announce_in(self, tenant_id: str, import_id: str, conversation_id: str) -> Imported:
        """Ask that the conversation be told when the import is over. Returns where it stands now: if that is done or
        failed, nobody else will tell."""
        async with self._db.tenant(tenant_id) as conn:
            await conn.execute(
                """UPDATE crm_imports SET report = report || jsonb_build_object('announce_in', %s::text)
                   WHERE id = %s AND state IN ('waiting', 'reading')""",
                [conversation_id, import_id],
            )
        return await self.get(tenant_id, import_id)

    async def take_announcement(
        self, tenant_id: str, import_id: str, *, within: Connection | None = None
    ) -> str | None:
        """The conversation that waits to be told, once: the next caller gets None. `within`: the caller's transaction,
        in which it is told."""
        query = """UPDATE crm_imports i SET report = i.report - 'announce_in' FROM crm_imports old
                   WHERE i.id = %s AND old.id = i.id AND i.state IN ('done', 'failed') AND i.report ? 'announce_in'
                   RETURNING old.report ->> 'announce_in' AS conversation"""
        async with self._db.tenant(tenant_id, within) as conn:
            row = await fetch_one(conn, query, [import_id])
        return None if row is None else str(row["conversation"])

    async def get(self, tenant_id: str, import_id: str) -> Imported:
        """Refused("crm_import_gone")."""
        async with self._db.tenant(tenant_id) as conn:
            return _imported(await _import_row(conn, import_id))

    @asynccontextmanager
    async def _copy(self, tenant_id: str, file_id: str) -> AsyncIterator[Path]:
        """The stored file on this machine's disk: workbooks need to seek."""
        with tempfile.TemporaryDirectory(prefix="mutirao-crm-") as folder:
            path = Path(folder) / "list"
            await self._files.copy_to(tenant_id, file_id, path)
            yield path

    async def _read(
        self, who: Identity, row: Row, path: Path, custom: list[CustomField], progress: Progress | None
    ) -> None:
        told = row["columns"]
        layout = await asyncio.to_thread(
            inspect, path, subject=Subject(row["subject"]), columns=told["columns"], custom=custom
        )
        done, outcomes, problems = row["rows_done"], dict(row["outcomes"]), list(row["report"]["problems"])
        tags, purpose = tuple(told["tags"]), row["purpose"]
        lines = islice(read(path, layout), done, None)

        def take() -> list[tuple[int, Told | MutiraoError]]:
            batch = list(islice(lines, BATCH))
            return [(line.number, _ready(layout, line, custom, row["name"], purpose, tags)) for line in batch]

        upcoming = asyncio.create_task(asyncio.to_thread(take))
        try:
            while batch := await upcoming:
                upcoming = asyncio.create_task(asyncio.to_thread(take))  # while the database takes these
                async with self._db.tenant(who.tenant_id) as conn:
                    results = await self._bring(conn, who, [ready for _, ready in batch])
                    for (number, _), result in zip(batch, results, strict=True):
                        line = _previewed(number, result)
                        outcomes[line.outcome] = outcomes.get(line.outcome, 0) + 1
                        if line.code and len(problems) < _PROBLEMS_KEPT:
                            problems.append([number, line.outcome, line.code, line.params])
                    done += len(batch)
                    await conn.execute(
                        """UPDATE crm_imports SET rows_done = %s, outcomes = %s,
                           report = report || jsonb_build_object('problems', %s::jsonb) WHERE id = %s""",
                        [done, json.dumps(outcomes), json.dumps(problems), row["id"]],
                    )
                if progress:
                    progress(done)
        finally:
            upcoming.cancel()

    async def _bring(
        self, conn: Connection, who: Identity, ready: list[Told | MutiraoError]
    ) -> list[Upserted | MutiraoError]:
        good = [one for one in ready if isinstance(one, Told)]
        brought = iter(await self._crm.upsert_batch(conn, who, good, write=True) if good else [])
        return [next(brought) if isinstance(one, Told) else one for one in ready]

    async def _end(self, tenant_id: str, import_id: str, state: str, error: MutiraoError | None) -> None:
        told = {"error": [error.code, error.params]} if error else {}
        async with self._db.tenant(tenant_id) as conn:
            await conn.execute(
                "UPDATE crm_imports SET state = %s, report = report || %s WHERE id = %s",
                [state, json.dumps(told, default=str), import_id],
            )

    # --- taking out ---------------------------------------------------------------------------

    async def export(
        self,
        who: Identity,
        subject: Subject,
        path: Path,
        *,
        form: Literal["csv", "xlsx"] = "csv",
        tag: str | None = None,
    ) -> int:
        """Write the contacts or companies that the user may see to `path`, with headers in their language; how many.

        No cell can be run as a formula, and the file can be brought in again. Refused("crm_not_allowed").
        """
        own = self._reads(who)
        names = headers(subject, who.language)
        async with self._db.tenant(who.tenant_id) as conn:
            custom = await fields_of(conn, subject)
        writer = TableWriter(path, workbook=form == "xlsx")
        count, last = 0, ""
        try:
            writer.row([*names.values(), *(one.label for one in custom.values())])
            while True:
                async with self._db.tenant(who.tenant_id) as conn:
                    page = await _page(conn, subject, own, tag, last)
                for row, keys in page:
                    writer.row([*_cells(row, keys, names), *(row["custom"].get(name) for name in custom)])
                count += len(page)
                if len(page) < _PAGE:
                    break
                last = page[-1][0]["id"]
        finally:
            writer.close()
        async with self._db.tenant(who.tenant_id) as conn:
            await audit(conn, who, "crm.list_exported", subject, {"records": count})
        return count

    async def export_file(
        self, who: Identity, subject: Subject, *, form: Literal["csv", "xlsx"] = "csv", tag: str | None = None
    ) -> tuple[StoredFile, int]:
        """As `export`, kept as a file that `who` may fetch: the file and how many records are in it."""
        name = f"crm-{subject}-{self._clock.now():%Y-%m-%d}.{form}"
        with tempfile.TemporaryDirectory(prefix="mutirao-crm-") as folder:
            path = Path(folder) / name
            count = await self.export(who, subject, path, form=form, tag=tag)
            return await self._files.store_path(who, path, mime=_MIME[form]), count

    async def export_person(self, who: Identity, contact_id: str) -> StoredFile:
        """All that is kept of a contact (privacy.py), as a JSON file that `who` may fetch. Refused("crm_unknown")."""
        everything = await self._privacy.export_person(who, contact_id)
        if self._talks is not None:
            everything |= await self._talks(who, contact_id)
        text = json.dumps(everything, ensure_ascii=False, indent=2, default=str)
        return await self._files.store(
            who, text.encode(), name=f"crm-person-{self._clock.now():%Y-%m-%d}.json", mime="application/json"
        )


def _ready(
    layout: Layout, line: Line, custom: list[CustomField], name: str, purpose: str | None, tags: tuple[str, ...]
) -> Told | MutiraoError:
    try:
        source = Source("import", f"{name}, {line.number}")
        data = as_data(layout, line, source, purpose=purpose, tags=tags)
        known = {one.name: one for one in custom if one.subject == layout.subject}
        data.custom.update(checked_custom(known, data.custom))
        return made_ready(data)
    except MutiraoError as error:
        return error


def _previewed(line: int, result: Upserted | MutiraoError) -> PreviewLine:
    if isinstance(result, MutiraoError):
        return PreviewLine(line, "refused", None, result.code, result.params)
    if result.outcome is Outcome.AMBIGUOUS:
        return PreviewLine(line, result.outcome, result, f"crm.rule.{result.candidates[0].match.rule}")
    return PreviewLine(line, result.outcome, result)


async def _custom(conn: Connection) -> list[CustomField]:
    return [one for subject in Subject for one in (await fields_of(conn, subject)).values()]


async def _import_row(conn: Connection, import_id: str) -> Row:
    row = await fetch_one(conn, "SELECT * FROM crm_imports WHERE id = %s", [import_id])
    if row is None:
        raise Refused("crm_import_gone", f"no import {import_id[:80]!r}")
    return row


def _imported(row: Row) -> Imported:
    report = row["report"]
    error = report.get("error")
    return Imported(
        id=row["id"],
        name=row["name"],
        subject=Subject(row["subject"]),
        state=row["state"],
        rows=row["rows_done"],
        outcomes=row["outcomes"],
        problems=[(line, outcome, code, params) for line, outcome, code, params in report["problems"]],
        ignored=report["ignored"],
        error=(error[0], error[1]) if error else None,
        created_at=row["created_at"],
    )


async def _page(
    conn: Connection, subject: Subject, own: str | None, tag: str | None, last: str
) -> list[tuple[Row, list[tuple[str, str]]]]:
    query = f"""SELECT to_jsonb(r) AS row, (SELECT jsonb_agg(jsonb_build_array(k.kind, k.given) ORDER BY k.at, k.value)
                                            FROM crm_keys k WHERE k.subject_id = r.id) AS keys
                FROM {TABLE[subject]} r
                WHERE id > %s AND merged_into IS NULL AND (%s::text IS NULL OR owner_id = %s)
                      AND (%s::text IS NULL OR %s = ANY(tags))
                ORDER BY id LIMIT {_PAGE}"""
    rows = await fetch_all(conn, query, [last, own, own, tag, tag])
    return [(row["row"], [(kind, given) for kind, given in row["keys"] or []]) for row in rows]


def _cells(row: Row, keys: list[tuple[str, str]], names: dict[str, str]) -> Iterator[object]:
    kinds = set(KeyKind)
    for name in names:
        if name in kinds:
            yield "; ".join(given for kind, given in keys if kind == name)
        elif name == "tags":
            yield ", ".join(row["tags"])
        else:
            yield row[name]
