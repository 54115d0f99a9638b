"""What every part of the CRM stands on: the database, the clock, and how far a role's rights reach."""

from typing import Any

from psycopg.types.json import Jsonb

from business.crm.model import Subject
from core.clock import Clock
from core.db import Connection, Database, fetch_one
from core.errors import Refused
from core.ids import new_id
from core.permissions import Permissions, Rights
from core.tenancy import Identity

AREA = "crm"
TABLE = {Subject.CONTACT: "crm_contacts", Subject.COMPANY: "crm_companies"}
Row = dict[str, Any]
"""A row as JSON: moments and days as text."""


class CrmPart:
    def __init__(self, db: Database, clock: Clock, permissions: Permissions) -> None:
        self._db = db
        self._clock = clock
        rights = Rights(permissions, AREA, "crm_not_allowed")
        self._reads, self._writes, self._writes_all = rights.reads, rights.writes, rights.writes_all


async def row_of(conn: Connection, subject: Subject, record_id: str, own: str | None, *, lock: bool = False) -> Row:
    """A live record. Refused("crm_unknown") alike for what never was, was erased or merged, or is not theirs to see."""
    query = f"""SELECT to_jsonb(r) AS row FROM {TABLE[subject]} r
                WHERE id = %s AND merged_into IS NULL AND (%s::text IS NULL OR owner_id = %s)"""
    if lock:
        query += " FOR UPDATE"
    found = await fetch_one(conn, query, [record_id, own, own])
    if found is None:
        raise Refused("crm_unknown", f"no {subject} {record_id[:80]!r}")
    row: Row = found["row"]
    return row


async def note_activity(
    conn: Connection,
    who: Identity | str,
    kind: str,
    at: Any,
    *,
    text: str = "",
    data: Row | None = None,
    **of: str | None,
) -> str:
    """Add to the timeline of a contact, company or deal (`contact_id`, `company_id`, `deal_id`)."""
    activity_id = new_id("act")
    await conn.execute(
        """INSERT INTO crm_activities (tenant_id, id, contact_id, company_id, deal_id, kind, text, data, actor, at)
           VALUES (current_tenant(), %s, %s, %s, %s, %s, %s, %s, %s, %s)""",
        [
            activity_id, of.get("contact_id"), of.get("company_id"), of.get("deal_id"), kind, text, Jsonb(data or {}),
            who if isinstance(who, str) else who.user_id, at,
        ],
    )  # fmt: skip
    return activity_id


def of_subject(subject: Subject, record_id: str) -> dict[str, str | None]:
    """The arguments by which an activity says whose it is."""
    return {f"{subject}_id": record_id}
