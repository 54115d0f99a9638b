"""The audit: who did what to what, in rows that can be added and never changed, each chained to the one before.

The chain (migrations/0003_audit.sql) makes a changed, reordered or removed row in the middle visible. Rows cut from
the end are only seen against a hash kept elsewhere (`verify_chain` returns the last one for that purpose).
"""

from dataclasses import dataclass
from typing import Any

from psycopg.types.json import Jsonb

from core.db import Connection, fetch_one
from core.tenancy import Identity


@dataclass(frozen=True)
class Chain:
    """What was found: how many rows, the hash of the last, and the id of the first row that does not fit (or None)."""

    rows: int
    last_hash: str
    broken_at: int | None

    @property
    def whole(self) -> bool:
        return self.broken_at is None


async def audit(conn: Connection, actor: Identity | str, action: str, subject: str, detail: dict[str, Any]) -> None:
    """Add a row for the connection's tenant, in its transaction; the database says when.

    `actor` is a user, or a word for what acts by itself ("system"); `action` a verb such as "proposal.approved";
    `subject` an id. `detail` holds JSON values, no secret and nothing of what people wrote.
    Call it last in a transaction: it holds the tenant's audit lock until the commit.
    """
    name = actor.user_id if isinstance(actor, Identity) else actor
    await conn.execute(
        "INSERT INTO audit_log (tenant_id, actor, action, subject, detail) VALUES (current_tenant(), %s, %s, %s, %s)",
        [name, action, subject, Jsonb(detail)],
    )


async def verify_chain(conn: Connection) -> Chain:
    """Check every row of the connection's tenant against its hash and its predecessor."""
    query = (
        "SELECT count(*) AS rows, audit_first_broken() AS broken_at,"
        " coalesce((array_agg(hash ORDER BY id DESC))[1], '') AS last"
        " FROM audit_log WHERE tenant_id = current_tenant()"
    )
    row = await fetch_one(conn, query)
    assert row is not None
    return Chain(row["rows"], row["last"], row["broken_at"])
