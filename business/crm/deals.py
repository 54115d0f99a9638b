"""Deals on their stages, the timeline, and tasks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
import yaml
from psycopg.types.json import Jsonb

from business.crm.access import TABLE, CrmPart, Row, note_activity, of_subject, row_of
from business.crm.custom import checked_custom, fields_of
from business.crm.events import Happened, emit
from business.crm.model import Activity, Deal, Source, Stage, StageKind, Subject, Task
from business.crm.rows import clean, clean_tags, fact_row
from core.db import Connection, fetch_all, fetch_one
from core.errors import ArgumentsWrong, Refused
from core.ids import new_id
from core.money import Money
from core.tenancy import Identity, Role

WRITTEN = frozenset({"note", "call", "meeting", "message", "email"})
"""Kinds of activity that people write; the others are told by what happens."""
_LONGEST_TEXT = 20_000
_LONGEST_TITLE = 300
_DEAL_FIELDS = frozenset({"title", "contact_id", "company_id", "amount", "expected_on", "custom", "tags"})
_DEALS = """SELECT d.*, s.name AS stage_name, s.kind AS stage_kind, s.position AS stage_position
            FROM crm_deals d JOIN crm_stages s ON s.id = d.stage_id"""


@dataclass(frozen=True)
class Column:
    """One stage of the board: how many deals it has, their sums by currency, and the first of them."""

    stage: Stage
    count: int
    sums: tuple[Money, ...]
    deals: tuple[Deal, ...]


class DealsPart(CrmPart):
    # --- stages -------------------------------------------------------------------------------

    async def stages(self, who: Identity) -> list[Stage]:
        """The stages in their order; a tenant that has none gets those of its language."""
        self._reads(who)
        async with self._db.tenant(who.tenant_id) as conn:
            return await _stages(conn)

    async def set_stages(self, who: Identity, stages: Sequence[tuple[str | None, str, StageKind]]) -> list[Stage]:
        """The stages as they shall be, in order: (id, or None for a new one; name; kind). Those left out are removed.

        Refused: crm_not_allowed, crm_stage_in_use (name). ArgumentsWrong: crm_stages_incomplete (there must be an open,
        a won and a lost one), crm_stage_unknown, crm_stage_name (empty or twice), crm_stage_kind_stays (name).
        """
        self._writes_all(who)
        names = [clean(name) for _, name, _ in stages]
        if {kind for _, _, kind in stages} != set(StageKind):
            raise ArgumentsWrong("crm_stages_incomplete", "an open, a won and a lost stage are needed")
        if "" in names or len({name.casefold() for name in names}) < len(names):
            raise ArgumentsWrong("crm_stage_name", "a name is empty or there twice")
        async with self._db.tenant(who.tenant_id) as conn:
            known = {stage.id: stage for stage in await _stages(conn)}
            wanted = [id_ for id_, _, _ in stages if id_]
            if not set(wanted) <= set(known) or len(set(wanted)) < len(wanted):
                raise ArgumentsWrong("crm_stage_unknown", "no such stage")
            query = "SELECT DISTINCT stage_id FROM crm_deals"
            used = {row["stage_id"] for row in await fetch_all(conn, query)}
            for id_, _, kind in stages:
                if id_ and id_ in used and known[id_].kind is not kind:
                    raise ArgumentsWrong("crm_stage_kind_stays", "it has deals", name=known[id_].name)
            for id_ in set(known) - set(wanted):
                if id_ in used:
                    raise Refused("crm_stage_in_use", "it has deals", name=known[id_].name)
                await conn.execute("DELETE FROM crm_stages WHERE id = %s", [id_])
            # Names may change places, so that none may stand in another's way for a moment.
            await conn.execute("UPDATE crm_stages SET name = id")
            for position, ((id_, _, kind), name) in enumerate(zip(stages, names, strict=True)):
                await _write_stage(conn, Stage(id_ or new_id("stage"), name, kind, position))
            return await _stages(conn)

    # --- deals --------------------------------------------------------------------------------

    async def create_deal(
        self,
        who: Identity,
        title: str,
        *,
        contact_id: str | None = None,
        company_id: str | None = None,
        stage_id: str | None = None,
        amount: Money | None = None,
        expected_on: date | None = None,
        owner_id: str | None = None,
        tags: Sequence[str] = (),
        custom: Mapping[str, Any] | None = None,
    ) -> Deal:
        """A new deal, on the first stage unless told otherwise; it is the maker's unless it is given to somebody.

        Refused: crm_not_allowed, crm_unknown. ArgumentsWrong: crm_title_empty, crm_stage_unknown, crm_owner_unknown,
        crm_field_unknown, crm_field_wrong, crm_text_too_long.
        """
        own = self._writes(who)
        if own is not None and owner_id not in (None, own):
            raise Refused("crm_not_allowed", "deals of one's own only")
        title = _title(title)
        now = self._clock.now()
        deal_id = new_id("deal")
        async with self._db.tenant(who.tenant_id) as conn:
            await _must_see(conn, own, contact_id, company_id, None)
            stages = await _stages(conn)
            stage = next((one for one in stages if one.id == stage_id or stage_id is None), None)
            if stage is None:
                raise ArgumentsWrong("crm_stage_unknown", "no such stage")
            checked = checked_custom(await fields_of(conn, "deal"), custom or {})
            try:
                await conn.execute(
                    """INSERT INTO crm_deals (tenant_id, id, title, contact_id, company_id, stage_id, amount, currency,
                           expected_on, custom, tags, owner_id, created_at, updated_at, stage_at, closed_at)
                       VALUES (current_tenant(), %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)""",
                    [
                        deal_id, title, contact_id, company_id, stage.id, amount.amount if amount else None,
                        amount.currency if amount else None, expected_on, Jsonb(checked), clean_tags(tags),
                        owner_id or who.user_id, now, now, now, None if stage.kind is StageKind.OPEN else now,
                    ],
                )  # fmt: skip
            except psycopg.errors.ForeignKeyViolation:
                raise ArgumentsWrong("crm_owner_unknown", "no such user") from None
            await note_activity(
                conn, who, "deal_opened", now, deal_id=deal_id, contact_id=contact_id, company_id=company_id,
                data={"stage": stage.name},
            )  # fmt: skip
            await emit(conn, Happened.DEAL_OPENED, deal_id, now, contact_id=contact_id, company_id=company_id)
            deal = await _deal(conn, deal_id, own)
            await _tell_end(conn, deal, now)
            return deal

    async def deal(self, who: Identity, deal_id: str) -> Deal:
        """Refused("crm_unknown")."""
        async with self._db.tenant(who.tenant_id) as conn:
            return await _deal(conn, deal_id, self._reads(who))

    async def deals(
        self,
        who: Identity,
        *,
        stage_id: str | None = None,
        contact_id: str | None = None,
        company_id: str | None = None,
        owner_id: str | None = None,
        kind: StageKind | None = None,
        limit: int = 100,
    ) -> list[Deal]:
        """Deals that fit all that is told, the latest changed first."""
        own = self._reads(who)
        wanted = {
            "d.stage_id": stage_id, "d.contact_id": contact_id, "d.company_id": company_id, "d.owner_id": owner_id,
            "s.kind": kind,
        }  # fmt: skip
        where = [f"{name} = %s" for name, value in wanted.items() if value is not None]
        values: list[Any] = [value for value in wanted.values() if value is not None]
        if own is not None:
            where.append("d.owner_id = %s")
            values.append(own)
        query = f"{_DEALS} WHERE {' AND '.join(where) or 'true'} ORDER BY d.updated_at DESC, d.id LIMIT %s"
        async with self._db.tenant(who.tenant_id) as conn:
            rows = await fetch_all(conn, query, [*values, max(1, min(limit, 1_000))])
        return [_as_deal(row) for row in rows]

    async def board(self, who: Identity, *, each: int = 20) -> list[Column]:
        """All stages in order, each with its count, its sums by currency and its `each` latest deals."""
        own = self._reads(who)
        query = """SELECT stage_id, currency, count(*) AS n, sum(amount) AS amount FROM crm_deals
                   WHERE %s::text IS NULL OR owner_id = %s GROUP BY stage_id, currency ORDER BY currency"""
        async with self._db.tenant(who.tenant_id) as conn:
            stages = await _stages(conn)
            counted = await fetch_all(conn, query, [own, own])
        columns = []
        for stage in stages:
            rows = [row for row in counted if row["stage_id"] == stage.id]
            sums = tuple(Money(row["amount"], row["currency"]) for row in rows if row["currency"])
            deals = await self.deals(who, stage_id=stage.id, limit=each) if rows else []
            columns.append(Column(stage, sum(row["n"] for row in rows), sums, tuple(deals)))
        return columns

    async def change_deal(self, who: Identity, deal_id: str, changes: Mapping[str, Any]) -> Deal:
        """Set title, contact_id, company_id, amount (Money or None), expected_on, tags or custom (which are added).

        What is as told already is not written. Raises as `create_deal`; ArgumentsWrong("crm_field_unknown", field).
        """
        own = self._writes(who)
        if unknown := set(changes) - _DEAL_FIELDS:
            raise ArgumentsWrong("crm_field_unknown", f"no field {unknown}", field=min(unknown))
        now = self._clock.now()
        async with self._db.tenant(who.tenant_id) as conn:
            before = await _deal(conn, deal_id, own, lock=True)
            values = dict(changes)
            if "title" in values:
                values["title"] = _title(values["title"])
            if "tags" in values:
                values["tags"] = tuple(clean_tags(values["tags"]))
            if "custom" in values:
                values["custom"] = {**before.custom, **checked_custom(await fields_of(conn, "deal"), values["custom"])}
            await _must_see(conn, own, values.get("contact_id"), values.get("company_id"), None)
            after = replace(before, **values)
            if after == before:
                return before
            await conn.execute(
                """UPDATE crm_deals SET title = %s, contact_id = %s, company_id = %s, amount = %s, currency = %s,
                   expected_on = %s, custom = %s, tags = %s, updated_at = %s WHERE id = %s""",
                [
                    after.title, after.contact_id, after.company_id, after.amount.amount if after.amount else None,
                    after.amount.currency if after.amount else None, after.expected_on, Jsonb(after.custom),
                    list(after.tags), now, deal_id,
                ],
            )  # fmt: skip
            changed = sorted(name for name in values if getattr(after, name) != getattr(before, name))
            await note_activity(conn, who, "changed", now, deal_id=deal_id, data={"fields": changed})
            return await _deal(conn, deal_id, own)

    async def move_deal(self, who: Identity, deal_id: str, stage_id: str, *, lost_reason: str | None = None) -> Deal:
        """Put a deal on another stage; on a won or lost one it is closed, on an open one open again.

        Nothing is written when it is there already. Refused: crm_not_allowed, crm_unknown.
        ArgumentsWrong: crm_stage_unknown, crm_text_too_long.
        """
        own = self._writes(who)
        now = self._clock.now()
        async with self._db.tenant(who.tenant_id) as conn:
            before = await _deal(conn, deal_id, own, lock=True)
            stage = next((one for one in await _stages(conn) if one.id == stage_id), None)
            if stage is None:
                raise ArgumentsWrong("crm_stage_unknown", "no such stage")
            if stage.id == before.stage.id:
                return before
            closed = None if stage.kind is StageKind.OPEN else now
            reason = _text(lost_reason or "") or None if stage.kind is StageKind.LOST else None
            await conn.execute(
                """UPDATE crm_deals SET stage_id = %s, stage_at = %s, closed_at = %s, lost_reason = %s, updated_at = %s
                   WHERE id = %s""",
                [stage.id, now, closed, reason, now, deal_id],
            )
            await note_activity(
                conn, who, "stage", now, deal_id=deal_id, contact_id=before.contact_id, company_id=before.company_id,
                data={"from": before.stage.name, "to": stage.name},
            )  # fmt: skip
            await emit(conn, Happened.DEAL_MOVED, deal_id, now, from_stage=before.stage.id, to_stage=stage.id)
            deal = await _deal(conn, deal_id, own)
            await _tell_end(conn, deal, now)
            return deal

    # --- owners and qualification -------------------------------------------------------------

    async def team(self, who: Identity) -> dict[str, str]:
        """The people of the house who may own records: user id → name, by name."""
        self._reads(who)
        query = "SELECT id, name FROM users WHERE active AND role = ANY(%s) ORDER BY name, id"
        async with self._db.tenant(who.tenant_id) as conn:
            rows = await fetch_all(conn, query, [[Role.ADMIN, Role.DIRETOR, Role.COMERCIAL]])
        return {row["id"]: row["name"] for row in rows}

    async def assign(self, who: Identity, kind: str, record_id: str, owner_id: str | None) -> None:
        """Give a "contact", "company" or "deal" to a user of the tenant, or to nobody.

        Refused: crm_not_allowed (also for who may change only their own), crm_unknown.
        ArgumentsWrong("crm_owner_unknown").
        """
        self._writes_all(who)
        now = self._clock.now()
        async with self._db.tenant(who.tenant_id) as conn:
            try:
                if kind == "deal":
                    await _deal(conn, record_id, None, lock=True)
                    await conn.execute(
                        "UPDATE crm_deals SET owner_id = %s, updated_at = %s WHERE id = %s", [owner_id, now, record_id]
                    )
                else:
                    subject = Subject(kind)
                    row = await row_of(conn, subject, record_id, None, lock=True)
                    row["facts"]["owner_id"] = fact_row(Source("person", who.user_id, by_person=True), now.isoformat())
                    query = f"UPDATE {TABLE[subject]} SET owner_id = %s, facts = %s, updated_at = %s WHERE id = %s"
                    await conn.execute(query.encode(), [owner_id, Jsonb(row["facts"]), now, record_id])
                    await conn.execute(
                        "UPDATE crm_words SET owner_id = %s WHERE subject_id = %s", [owner_id, record_id]
                    )
            except psycopg.errors.ForeignKeyViolation:
                raise ArgumentsWrong("crm_owner_unknown", "no such user") from None
            await note_activity(conn, who, "assigned", now, data={"to": owner_id}, **{f"{kind}_id": record_id})

    async def qualify(self, who: Identity, subject: Subject, record_id: str, *, score: int, reason: str) -> None:
        """Say that a contact or company is a lead worth talking to: an entry in its timeline and LeadQualified.

        `score` is 0 to 100. ArgumentsWrong: crm_score_wrong, crm_text_too_long.
        """
        own = self._writes(who)
        if not 0 <= score <= 100:
            raise ArgumentsWrong("crm_score_wrong", f"{score} is not between 0 and 100")
        now = self._clock.now()
        async with self._db.tenant(who.tenant_id) as conn:
            await row_of(conn, subject, record_id, own)
            await note_activity(
                conn, who, "qualified", now, text=_text(reason), data={"score": score}, **of_subject(subject, record_id)
            )
            await emit(conn, Happened.LEAD_QUALIFIED, record_id, now, score=score, subject=str(subject))

    # --- the timeline -------------------------------------------------------------------------

    async def write_activity(
        self,
        who: Identity,
        kind: str,
        text: str,
        *,
        contact_id: str | None = None,
        company_id: str | None = None,
        deal_id: str | None = None,
        at: datetime | None = None,
    ) -> Activity:
        """Add a note, call, meeting, message or email to a contact, company or deal; of a deal it is its contact's too.

        Refused: crm_not_allowed, crm_unknown. ArgumentsWrong: crm_activity_unknown (kind), crm_text_too_long,
        crm_activity_of_nothing.
        """
        own = self._writes(who)
        if kind not in WRITTEN:
            raise ArgumentsWrong("crm_activity_unknown", f"no kind {kind!r}", kind=kind[:40])
        if not (contact_id or company_id or deal_id):
            raise ArgumentsWrong("crm_activity_of_nothing", "of which contact, company or deal?")
        text = _text(text)
        async with self._db.tenant(who.tenant_id) as conn:
            await _must_see(conn, own, contact_id, company_id, deal_id)
            if deal_id and not contact_id and not company_id:
                deal = await _deal(conn, deal_id, own)
                contact_id, company_id = deal.contact_id, deal.company_id
            activity_id = await note_activity(
                conn, who, kind, at or self._clock.now(), text=text,
                contact_id=contact_id, company_id=company_id, deal_id=deal_id,
            )  # fmt: skip
            query = "SELECT * FROM crm_activities WHERE id = %s"
            row = await fetch_one(conn, query, [activity_id])
            assert row is not None
            return _as_activity(row)

    async def delete_activity(self, who: Identity, activity_id: str) -> None:
        """Remove what a person wrote: one's own entry, or any for who may change everything.

        Refused: crm_not_allowed, crm_unknown (also for entries that nobody wrote).
        """
        own = self._writes(who)
        query = "DELETE FROM crm_activities WHERE id = %s AND kind = ANY(%s) AND (%s::text IS NULL OR actor = %s)"
        async with self._db.tenant(who.tenant_id) as conn:
            gone = await conn.execute(query, [activity_id, sorted(WRITTEN), own, own])
        if not gone.rowcount:
            raise Refused("crm_unknown", f"no entry {activity_id[:80]!r}")

    async def timeline(
        self,
        who: Identity,
        *,
        contact_id: str | None = None,
        company_id: str | None = None,
        deal_id: str | None = None,
        limit: int = 50,
        before: datetime | None = None,
    ) -> list[Activity]:
        """What happened with one contact, company or deal, latest first. Refused("crm_unknown")."""
        own = self._reads(who)
        names = {"contact_id": contact_id, "company_id": company_id, "deal_id": deal_id}
        (column, value), *_ = [(name, value) for name, value in names.items() if value] or [("contact_id", "")]
        # Entries of a colleague's deal are not shown to who sees only their own.
        query = f"""SELECT a.* FROM crm_activities a
                    WHERE {column} = %s AND (%s::timestamptz IS NULL OR at < %s)
                      AND (%s::text IS NULL OR deal_id IS NULL
                           OR deal_id IN (SELECT id FROM crm_deals WHERE owner_id = %s))
                    ORDER BY at DESC, id DESC LIMIT %s"""
        async with self._db.tenant(who.tenant_id) as conn:
            await _must_see(conn, own, contact_id, company_id, deal_id)
            values = [value, before, before, own, own, max(1, min(limit, 500))]
            rows = await fetch_all(conn, query, values)
        return [_as_activity(row) for row in rows]

    # --- tasks --------------------------------------------------------------------------------

    async def add_task(
        self,
        who: Identity,
        title: str,
        *,
        due_at: datetime | None = None,
        owner_id: str | None = None,
        contact_id: str | None = None,
        company_id: str | None = None,
        deal_id: str | None = None,
    ) -> Task:
        """Something to do, for oneself unless it is given to somebody. Raises as `create_deal`."""
        own = self._writes(who)
        if own is not None and owner_id not in (None, own):
            raise Refused("crm_not_allowed", "tasks of one's own only")
        title = _title(title)
        task_id = new_id("task")
        async with self._db.tenant(who.tenant_id) as conn:
            await _must_see(conn, own, contact_id, company_id, deal_id)
            try:
                await conn.execute(
                    """INSERT INTO crm_tasks (tenant_id, id, contact_id, company_id, deal_id, title, due_at, owner_id,
                           created_by, created_at)
                       VALUES (current_tenant(), %s, %s, %s, %s, %s, %s, %s, %s, %s)""",
                    [
                        task_id, contact_id, company_id, deal_id, title, due_at, owner_id or who.user_id, who.user_id,
                        self._clock.now(),
                    ],
                )  # fmt: skip
            except psycopg.errors.ForeignKeyViolation:
                raise ArgumentsWrong("crm_owner_unknown", "no such user") from None
            return await _task(conn, task_id, own)

    async def finish_task(self, who: Identity, task_id: str, *, done: bool = True) -> Task:
        """Say that a task is done, or that it is not after all. Refused: crm_not_allowed, crm_unknown."""
        own = self._writes(who)
        async with self._db.tenant(who.tenant_id) as conn:
            task = await _task(conn, task_id, own)
            if (task.done_at is not None) != done:
                at = self._clock.now() if done else None
                await conn.execute("UPDATE crm_tasks SET done_at = %s WHERE id = %s", [at, task_id])
                if task.contact_id or task.company_id or task.deal_id:
                    await note_activity(
                        conn, who, "task_done" if done else "task_open", self._clock.now(), data={"task": task_id},
                        contact_id=task.contact_id, company_id=task.company_id, deal_id=task.deal_id,
                    )  # fmt: skip
            return await _task(conn, task_id, own)

    async def tasks(
        self,
        who: Identity,
        *,
        done: bool | None = False,
        owner_id: str | None = None,
        contact_id: str | None = None,
        company_id: str | None = None,
        deal_id: str | None = None,
        due_before: datetime | None = None,
        limit: int = 100,
    ) -> list[Task]:
        """Tasks that fit all that is told, the first due first; `done` None for both."""
        own = self._reads(who)
        wanted = {"owner_id": owner_id, "contact_id": contact_id, "company_id": company_id, "deal_id": deal_id}
        where = [f"{name} = %s" for name, value in wanted.items() if value is not None]
        values: list[Any] = [value for value in wanted.values() if value is not None]
        if own is not None:
            where.append("owner_id = %s")
            values.append(own)
        if done is not None:
            where.append(f"done_at IS {'NOT ' if done else ''}NULL")
        if due_before is not None:
            where.append("due_at < %s")
            values.append(due_before)
        query = (
            f"SELECT * FROM crm_tasks WHERE {' AND '.join(where) or 'true'} ORDER BY due_at, created_at, id LIMIT %s"
        )
        async with self._db.tenant(who.tenant_id) as conn:
            rows = await fetch_all(conn, query, [*values, max(1, min(limit, 1_000))])
        return [task_from(row) for row in rows]


# --- rows -----------------------------------------------------------------------------------------


async def _stages(conn: Connection) -> list[Stage]:
    query = "SELECT id, name, kind, position FROM crm_stages ORDER BY position"
    rows = await fetch_all(conn, query)
    if not rows:
        # Two first looks at once: the second finds what the first made.
        await conn.execute("SELECT pg_advisory_xact_lock(hashtextextended('crm stages ' || current_tenant(), 0))")
        rows = await fetch_all(conn, query)
    if not rows:
        tenant = await fetch_one(conn, "SELECT language FROM tenants")
        named = first_stages()
        names = named.get(tenant["language"] if tenant else "", named["pt-BR"])
        for position, (name, kind) in enumerate(names):
            await _write_stage(conn, Stage(new_id("stage"), name, StageKind(kind), position))
        rows = await fetch_all(conn, query)
    return [Stage(row["id"], row["name"], StageKind(row["kind"]), row["position"]) for row in rows]


@cache
def first_stages() -> dict[str, list[list[str]]]:
    """Language → [name, kind] of the stages of a new tenant, in one order in all languages."""
    text = (Path(__file__).parent / "stages.yaml").read_text(encoding="utf-8")
    found: dict[str, list[list[str]]] = yaml.safe_load(text)
    return found


async def _write_stage(conn: Connection, stage: Stage) -> None:
    await conn.execute(
        """INSERT INTO crm_stages (tenant_id, id, name, kind, position) VALUES (current_tenant(), %s, %s, %s, %s)
           ON CONFLICT (tenant_id, id) DO UPDATE
           SET name = excluded.name, kind = excluded.kind, position = excluded.position""",
        [stage.id, stage.name, stage.kind, stage.position],
    )


async def _deal(conn: Connection, deal_id: str, own: str | None, *, lock: bool = False) -> Deal:
    query = f"{_DEALS} WHERE d.id = %s AND (%s::text IS NULL OR d.owner_id = %s){' FOR UPDATE OF d' if lock else ''}"
    row = await fetch_one(conn, query, [deal_id, own, own])
    if row is None:
        raise Refused("crm_unknown", f"no deal {deal_id[:80]!r}")
    return _as_deal(row)


async def _task(conn: Connection, task_id: str, own: str | None) -> Task:
    query = "SELECT * FROM crm_tasks WHERE id = %s AND (%s::text IS NULL OR owner_id = %s)"
    row = await fetch_one(conn, query, [task_id, own, own])
    if row is None:
        raise Refused("crm_unknown", f"no task {task_id[:80]!r}")
    return task_from(row)


async def _must_see(
    conn: Connection, own: str | None, contact_id: str | None, company_id: str | None, deal_id: str | None
) -> None:
    if contact_id:
        await row_of(conn, Subject.CONTACT, contact_id, own)
    if company_id:
        await row_of(conn, Subject.COMPANY, company_id, own)
    if deal_id:
        await _deal(conn, deal_id, own)


async def _tell_end(conn: Connection, deal: Deal, at: datetime) -> None:
    if deal.stage.kind is StageKind.OPEN:
        return
    amount = deal.amount
    data = {"contact_id": deal.contact_id, "company_id": deal.company_id}
    if deal.stage.kind is StageKind.WON:
        told = {"amount": str(amount.amount) if amount else None, "currency": amount.currency if amount else None}
        await emit(conn, Happened.DEAL_WON, deal.id, at, **data, **told)
    else:
        await emit(conn, Happened.DEAL_LOST, deal.id, at, **data)


def _as_deal(row: Row) -> Deal:
    amount: Decimal | None = row["amount"]
    return Deal(
        id=row["id"],
        title=row["title"],
        contact_id=row["contact_id"],
        company_id=row["company_id"],
        stage=Stage(row["stage_id"], row["stage_name"], StageKind(row["stage_kind"]), row["stage_position"]),
        amount=None if amount is None else Money(amount, row["currency"]),
        expected_on=row["expected_on"],
        lost_reason=row["lost_reason"],
        custom=row["custom"],
        tags=tuple(row["tags"]),
        owner_id=row["owner_id"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        stage_at=row["stage_at"],
        closed_at=row["closed_at"],
    )


def _as_activity(row: Row) -> Activity:
    return Activity(**{name: value for name, value in row.items() if name != "tenant_id"})


def task_from(row: Row) -> Task:
    return Task(**{name: value for name, value in row.items() if name != "tenant_id"})


def _title(text: str) -> str:
    text = clean(text)
    if not text:
        raise ArgumentsWrong("crm_title_empty", "it needs a title")
    if len(text) > _LONGEST_TITLE:
        raise ArgumentsWrong("crm_text_too_long", "the title is too long", field="title")
    return text


def _text(text: str) -> str:
    """What people write, line breaks and all."""
    text = text.replace("\x00", "").encode("utf-8", "replace").decode().strip()
    if len(text) > _LONGEST_TEXT:
        raise ArgumentsWrong("crm_text_too_long", "the text is too long", field="text")
    return text
