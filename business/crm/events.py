"""Facts for other modules, written in the transaction that makes them true and read once by each reader.

A reader goes by the transactions' numbers and stops before the oldest that still runs: a sequence alone would let it
pass by an event whose transaction commits late.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from psycopg.types.json import Jsonb

from business.crm.access import CrmPart
from core.db import Connection, fetch_all


class Happened(StrEnum):
    LEAD_QUALIFIED = "LeadQualified"  # score, subject
    DEAL_OPENED = "DealOpened"
    DEAL_MOVED = "DealMoved"  # from_stage, to_stage
    DEAL_WON = "DealWon"  # amount, currency, contact_id, company_id
    DEAL_LOST = "DealLost"  # contact_id, company_id
    CONTACT_MERGED = "ContactMerged"  # other_id, merge_id
    CONTACT_UNMERGED = "ContactUnmerged"
    COMPANY_MERGED = "CompanyMerged"
    COMPANY_UNMERGED = "CompanyUnmerged"
    OPTED_OUT = "OptedOut"
    ERASED = "Erased"  # subject, ids: what was derived from them must go too


@dataclass(frozen=True)
class CrmEvent:
    """`data` holds ids and figures, nothing of a person."""

    kind: Happened
    subject_id: str
    data: dict[str, Any]
    at: datetime


async def emit(conn: Connection, kind: Happened, subject_id: str, at: datetime, **data: Any) -> None:
    await conn.execute(
        "INSERT INTO crm_events (tenant_id, kind, subject_id, data, at) VALUES (current_tenant(), %s, %s, %s, %s)",
        [kind, subject_id, Jsonb(data), at],
    )


class EventsPart(CrmPart):
    @asynccontextmanager
    async def events(
        self, tenant_id: str, reader: str, limit: int = 100
    ) -> AsyncIterator[tuple[Connection, list[CrmEvent]]]:
        """The next events that `reader` (a module's name) has not seen, oldest first, and the transaction they are read
        in: what the reader writes in it commits together with its having read them. After an error it sees them again.
        """
        async with self._db.tenant(tenant_id) as conn:
            await conn.execute(
                """INSERT INTO crm_event_readers (tenant_id, reader) VALUES (current_tenant(), %s)
                   ON CONFLICT DO NOTHING""",
                [reader],
            )
            rows = await fetch_all(
                conn,
                """WITH r AS (SELECT xid, seq FROM crm_event_readers WHERE reader = %s FOR UPDATE)
                   SELECT e.kind, e.subject_id, e.data, e.at, e.xid::text AS xid, e.seq FROM crm_events e, r
                   WHERE (e.xid, e.seq) > (r.xid, r.seq) AND e.xid < pg_snapshot_xmin(pg_current_snapshot())
                   ORDER BY e.xid, e.seq LIMIT %s""",
                [reader, limit],
            )
            found = [CrmEvent(Happened(row["kind"]), row["subject_id"], row["data"], row["at"]) for row in rows]
            yield conn, found
            if rows:
                await conn.execute(
                    "UPDATE crm_event_readers SET xid = %s::xid8, seq = %s WHERE reader = %s",
                    [rows[-1]["xid"], rows[-1]["seq"], reader],
                )
