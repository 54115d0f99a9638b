"""The rows of `proposals`. Every change of state is one guarded UPDATE: it says which state it comes from."""

import json
from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from psycopg.types.json import Jsonb

from business.approvals.model import Change, Preview, Proposal, ProposalState
from core.db import Connection, fetch_all, fetch_one
from core.money import Money


async def insert(conn: Connection, proposal: Proposal) -> None:
    await conn.execute(
        """INSERT INTO proposals (id, tenant_id, conversation_id, turn_id, tool, effect, change, change_hash, preview,
                                  evidence, state, door, proposed_by, attempts, outcome, undo_of, created_at,
                                  expires_at)
           VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 0, '', %s, %s, %s)""",
        [
            proposal.id,
            proposal.tenant_id,
            proposal.conversation_id,
            proposal.turn_id,
            proposal.tool,
            proposal.effect,
            Jsonb({"kind": proposal.change.kind, "target": proposal.change.target, "data": proposal.change.data}),
            proposal.change_hash,
            Jsonb(preview_data(proposal.preview)),
            Jsonb(packed(proposal.evidence)),
            proposal.state.value,
            proposal.door,
            proposal.proposed_by,
            proposal.undo_of,
            proposal.created_at,
            proposal.expires_at,
        ],
    )


async def find(conn: Connection, proposal_id: str, *, lock: bool = False) -> Proposal | None:
    query = "SELECT * FROM proposals WHERE id = %s" + (" FOR UPDATE" if lock else "")
    row = await fetch_one(conn, query, [proposal_id])
    return from_row(row) if row else None


async def find_all(
    conn: Connection,
    *,
    states: list[ProposalState] | None = None,
    conversation_id: str | None = None,
    proposed_by: str | None = None,
    undo_of: str | None = None,
    limit: int = 100,
) -> list[Proposal]:
    """Newest first. A filter that is None does not filter."""
    rows = await fetch_all(
        conn,
        """SELECT * FROM proposals
           WHERE (%(states)s::text[] IS NULL OR state = ANY(%(states)s))
             AND (%(conversation)s::text IS NULL OR conversation_id = %(conversation)s)
             AND (%(by)s::text IS NULL OR proposed_by = %(by)s)
             AND (%(undo_of)s::text IS NULL OR undo_of = %(undo_of)s)
           ORDER BY created_at DESC, id DESC LIMIT %(limit)s""",
        {
            "states": [state.value for state in states] if states is not None else None,
            "conversation": conversation_id,
            "by": proposed_by,
            "undo_of": undo_of,
            "limit": limit,
        },
    )
    return [from_row(row) for row in rows]


async def pending_of_target(
    conn: Connection, conversation_id: str | None, user_id: str, change: Change
) -> list[Proposal]:
    """Pending proposals of the same kind and action for the same object in this conversation, or of this user.

    Takes a lock that lasts until the transaction ends, so that two equal proposals cannot be made at once.
    """
    place = conversation_id or user_id
    await conn.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"{place} {change.kind} {change.target}"]
    )
    rows = await fetch_all(
        conn,
        """SELECT * FROM proposals
           WHERE state = 'pending' AND coalesce(conversation_id, proposed_by) = %s
             AND change->>'kind' = %s AND change->>'target' = %s
             AND (change->'data'->>'action') IS NOT DISTINCT FROM %s
           ORDER BY created_at DESC FOR UPDATE""",
        [place, change.kind, change.target, change.data.get("action")],
    )
    return [from_row(row) for row in rows]


async def decide(
    conn: Connection,
    proposal: Proposal,
    state: ProposalState,
    *,
    by: str | None,
    door: str | None,
    at: datetime,
    outcome: str = "",
) -> bool:
    """From pending to approved, rejected or expired. False when somebody else was first."""
    done = await conn.execute(
        """UPDATE proposals SET state = %s, decided_by = %s, decided_door = %s, decided_at = %s, outcome = %s,
                  finished_at = CASE WHEN %s = 'approved' THEN NULL ELSE %s END
           WHERE id = %s AND state = 'pending' AND change_hash = %s
             AND (%s <> 'approved' OR expires_at > %s)""",
        [
            state.value,
            by,
            door,
            at,
            outcome,
            state.value,
            at,
            proposal.id,
            proposal.change_hash,
            state.value,
            at,
        ],
    )
    return done.rowcount == 1


async def claim(conn: Connection, proposal_id: str, at: datetime) -> int | None:
    """From approved to executing. The number of this attempt (it fences later writes), None when it was not free."""
    row = await fetch_one(
        conn,
        """UPDATE proposals SET state = 'executing', claimed_at = %s, attempts = attempts + 1
           WHERE id = %s AND state = 'approved' RETURNING attempts""",
        [at, proposal_id],
    )
    return int(row["attempts"]) if row else None


async def release(conn: Connection, proposal_id: str, attempt: int) -> bool:
    """Back to approved, for one more attempt after the world was seen unchanged."""
    done = await conn.execute(
        """UPDATE proposals SET state = 'approved'
           WHERE id = %s AND state IN ('executing', 'unknown') AND attempts = %s""",
        [proposal_id, attempt],
    )
    return done.rowcount == 1


async def finish(
    conn: Connection,
    proposal_id: str,
    state: ProposalState,
    *,
    came_from: list[str],
    attempt: int,
    at: datetime,
    outcome: str,
) -> bool:
    """To executed, failed or unknown. False when another process has taken the proposal over since `attempt`."""
    done = await conn.execute(
        """UPDATE proposals SET state = %s, outcome = %s,
                  finished_at = CASE WHEN %s = 'unknown' THEN NULL ELSE %s END
           WHERE id = %s AND state = ANY(%s) AND attempts = %s""",
        [state.value, outcome, state.value, at, proposal_id, came_from, attempt],
    )
    return done.rowcount == 1


async def expire(conn: Connection, now: datetime) -> list[str]:
    """Pending ones past their time become expired. Their ids."""
    rows = await fetch_all(
        conn,
        """UPDATE proposals SET state = 'expired', finished_at = %s
           WHERE state = 'pending' AND expires_at <= %s RETURNING id""",
        [now, now],
    )
    return [row["id"] for row in rows]


async def withdraw(conn: Connection, targets: Sequence[str]) -> list[str]:
    """Delete the proposals about these objects that never did anything; their ids. A change of several objects names
    them under `about`."""
    rows = await fetch_all(
        conn,
        """DELETE FROM proposals p
           WHERE (change->>'target' = ANY(%s) OR jsonb_exists_any(change->'data'->'about', %s))
             AND state IN ('pending', 'rejected', 'expired')
             AND NOT EXISTS (SELECT FROM proposals u WHERE u.undo_of = p.id)
           RETURNING id""",
        [list(targets), list(targets)],
    )
    return [row["id"] for row in rows]


async def forget(conn: Connection, targets: Sequence[str]) -> list[str]:
    """The same, and of what was done to these objects the preview goes: what is left is what was done to which id, by
    whom and when."""
    await conn.execute(
        """UPDATE proposals SET preview = preview || '{"title_params": {"name": "…"}, "lines": [], "editable": {}}',
               evidence = '[]'
           WHERE (change->>'target' = ANY(%s) OR jsonb_exists_any(change->'data'->'about', %s))
             AND state NOT IN ('pending', 'rejected', 'expired')""",
        [list(targets), list(targets)],
    )
    return await withdraw(conn, targets)


async def approver_role(conn: Connection, user_id: str) -> str | None:
    """The role that this user has now; None when unknown or switched off. The row stays as it is until the commit."""
    row = await fetch_one(conn, "SELECT role FROM users WHERE id = %s AND active FOR SHARE", [user_id])
    return str(row["role"]) if row else None


def from_row(row: dict[str, Any]) -> Proposal:
    code, params = read_outcome(row["outcome"] or "")
    return Proposal(
        id=row["id"],
        tenant_id=row["tenant_id"],
        conversation_id=row["conversation_id"],
        turn_id=row["turn_id"],
        tool=row["tool"],
        effect=row["effect"],
        change=Change(**row["change"]),
        change_hash=row["change_hash"],
        preview=preview_from(row["preview"]),
        evidence=unpacked(row["evidence"]),
        state=ProposalState(row["state"]),
        door=row["door"],
        proposed_by=row["proposed_by"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        decided_by=row["decided_by"],
        decided_door=row["decided_door"],
        decided_at=row["decided_at"],
        claimed_at=row["claimed_at"],
        attempts=row["attempts"],
        finished_at=row["finished_at"],
        outcome=code,
        outcome_params=params,
        undo_of=row["undo_of"],
    )


# --- values in jsonb --------------------------------------------------------------------------
# Parameters of texts may be money, decimals and dates, which are written by language only when they are shown.


def packed(value: Any) -> Any:
    """`value` as JSON data from which `unpacked` makes it again."""
    match value:
        case Money():
            return {"$money": [str(value.amount), value.currency]}
        case Decimal():
            return {"$decimal": str(value)}
        case date() if not isinstance(value, datetime):
            return {"$date": value.isoformat()}
        case datetime():
            return {"$time": value.isoformat()}
        case dict():
            return {str(name): packed(inner) for name, inner in value.items()}
        case list() | tuple():
            return [packed(inner) for inner in value]
        case str() | int() | bool() | None:
            return value
        case _:
            return str(value)


def unpacked(value: Any) -> Any:
    match value:
        case {"$money": [amount, currency]}:
            return Money(Decimal(amount), currency)
        case {"$decimal": number}:
            return Decimal(number)
        case {"$date": day}:
            return date.fromisoformat(day)
        case {"$time": moment}:
            return datetime.fromisoformat(moment)
        case dict():
            return {name: unpacked(inner) for name, inner in value.items()}
        case list():
            return [unpacked(inner) for inner in value]
        case _:
            return value


def preview_data(preview: Preview) -> dict[str, Any]:
    return {
        "title": preview.title,
        "title_params": packed(preview.title_params),
        "lines": [[label, packed(value)] for label, value in preview.lines],
        "warnings": [[key, packed(params)] for key, params in preview.warnings],
        "editable": preview.editable,
    }


def preview_from(data: dict[str, Any]) -> Preview:
    return Preview(
        title=data["title"],
        title_params=unpacked(data["title_params"]),
        lines=[(label, unpacked(value)) for label, value in data["lines"]],
        warnings=[(key, unpacked(params)) for key, params in data["warnings"]],
        editable=data.get("editable", {}),
    )


def write_outcome(code: str, params: dict[str, Any]) -> str:
    return json.dumps({"code": code, "params": packed(params)}, ensure_ascii=False)


def read_outcome(text: str) -> tuple[str, dict[str, Any]]:
    if not text:
        return "", {}
    data = json.loads(text)
    return data["code"], unpacked(data["params"])
