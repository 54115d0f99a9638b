"""The records of turns: kept whole for a time, then cut to their figures; listed without being read.

What stands in a record is agents/record.py's to say; here it becomes a row and comes back.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from core.clock import Clock
from core.db import Connection, Database, fetch_all, fetch_one
from core.errors import ArgumentsWrong, Refused
from core.money import Money
from core.telemetry import mask_data, mask_secrets, may_hold_secret

VERSION = 1
"""Of the records that this code writes, shows and replays. Raised when a record of before could not be replayed."""

_LEAST_OF_AN_ID = 6  # characters at the end of an id that are enough to name a turn


@dataclass(frozen=True)
class Figures:
    """What is known of a turn without its record. Tokens are those of all requests, failed ones included."""

    ended: str = ""
    """done, stopped, limit:<which>, error:<code>."""
    by_model: bool = False
    """A model worded the answer, or a part of it."""
    intents: list[str] = field(default_factory=list)
    models: list[str] = field(default_factory=list)
    """`provider/model` of those that answered."""
    model_calls: int = 0
    failed_calls: int = 0
    tool_calls: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: Decimal = Decimal(0)
    """Of the requests whose price is known; the others are counted in `unpriced`."""
    unpriced: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class TurnLine:
    """A turn as a list shows it. `said` is the beginning of the person's message."""

    id: str
    conversation_id: str
    door: str
    state: str
    """running, done, failed, interrupted, stopped."""
    started_at: datetime
    said: str
    figures: Figures


@dataclass(frozen=True)
class TurnRecord:
    """A turn with its record: {} while it runs and after an interruption. `cut`: only the figures are left of it."""

    line: TurnLine
    version: int
    cut: bool
    record: dict[str, Any]


class TurnRecords:
    """The records of one tenant at a time: row-level security hides those of the others."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    async def list(
        self,
        tenant_id: str,
        *,
        conversation_id: str | None = None,
        since: datetime | None = None,
        failed: bool = False,
        limit: int = 20,
    ) -> list[TurnLine]:
        """The newest turns first. `failed`: only those that ended badly or in which a request to a model failed."""
        async with self._db.tenant(tenant_id) as conn:
            rows = await fetch_all(
                conn,
                f"""{_LINES}
                        where (%(conversation)s::text is null or t.conversation_id = %(conversation)s)
                          and (%(since)s::timestamptz is null or t.started_at >= %(since)s)
                          and (not %(failed)s or t.state in ('failed', 'interrupted') or t.failed_calls > 0)
                        order by t.started_at desc, t.id desc limit %(limit)s""",
                {"conversation": conversation_id, "since": since, "failed": failed, "limit": limit},
            )
        return [_line(row) for row in rows]

    async def find(self, tenant_id: str, turn_id: str) -> TurnRecord:
        """A turn by its id, or by the end of it (6 characters and more) when only one ends so.

        ArgumentsWrong, with `id`: "turn_unknown" to this tenant, "turn_ambiguous".
        """
        ending = re.sub(r"[^0-9a-z_]", "", turn_id.lower())
        if len(ending) < _LEAST_OF_AN_ID:
            raise ArgumentsWrong("turn_unknown", f"no turn {turn_id!r}", id=turn_id)
        async with self._db.tenant(tenant_id) as conn:
            rows = await fetch_all(
                conn, f"{_LINES} where t.id = %s or right(t.id, %s) = %s limit 2", (ending, len(ending), ending)
            )
        if not rows:
            raise ArgumentsWrong("turn_unknown", f"no turn {turn_id!r}", id=turn_id)
        if len(rows) > 1:
            raise ArgumentsWrong("turn_ambiguous", f"several turns end in {turn_id!r}", id=turn_id)
        async with self._db.tenant(tenant_id) as conn:
            kept = await fetch_one(
                conn,
                "select record::text as record, record_version, record_cut from turns where id = %s",
                (rows[0]["id"],),
            )
        if kept is None:
            raise ArgumentsWrong("turn_unknown", f"no turn {turn_id!r}", id=turn_id)
        return TurnRecord(_line(rows[0]), kept["record_version"], kept["record_cut"], decode(kept["record"]))

    async def cut(self, tenant_id: str, older_than: timedelta, most: int = 500) -> int:
        """Cut the records of turns that began longer ago to their figures, `most` at a time. Returns how many."""
        before = self._clock.now() - older_than
        async with self._db.tenant(tenant_id) as conn:
            rows = await fetch_all(
                conn,
                """select id, record::text as record from turns
                   where not record_cut and started_at < %s and state <> 'running'
                   order by started_at limit %s for update skip locked""",
                (before, most),
            )
            for row in rows:
                left = json.dumps(cut_to_figures(decode(row["record"])), ensure_ascii=False, default=_tagged)
                await conn.execute("update turns set record = %s, record_cut = true where id = %s", (left, row["id"]))
        return len(rows)


async def write_record(
    conn: Connection, turn_id: str, state: str, finished_at: datetime, record: Mapping[str, Any], figures: Figures
) -> None:
    """Close a turn with its record, in the caller's transaction."""
    await conn.execute(
        """update turns set state = %s, finished_at = %s, record = %s, record_version = %s, ended = %s, by_model = %s,
               intents = %s, models = %s, model_calls = %s, failed_calls = %s, tool_calls = %s, prompt_tokens = %s,
               cached_tokens = %s, completion_tokens = %s, cost_usd = %s, unpriced = %s, seconds = %s
           where id = %s""",
        (
            state,
            finished_at,
            encode(record),
            record.get("version", 0),
            figures.ended,
            figures.by_model,
            figures.intents,
            figures.models,
            figures.model_calls,
            figures.failed_calls,
            figures.tool_calls,
            figures.prompt_tokens,
            figures.cached_tokens,
            figures.completion_tokens,
            figures.cost_usd,
            figures.unpriced,
            figures.seconds,
            turn_id,
        ),
    )


def replayable(found: TurnRecord) -> dict[str, Any]:
    """The whole record of a turn. Refused, with `id`: "turn_running", "turn_no_record" (interrupted, or from before
    turns were recorded whole), "turn_record_cut" (its time is over), "turn_record_version" (found, known)."""
    turn_id = found.line.id
    if found.line.state == "running":
        raise Refused("turn_running", f"{turn_id} is not over", id=turn_id)
    if found.cut:
        raise Refused("turn_record_cut", f"only figures are left of {turn_id}", id=turn_id)
    if found.version == 0:
        raise Refused("turn_no_record", f"{turn_id} has no record", id=turn_id)
    if found.version != VERSION:
        told = {"found": found.version, "known": VERSION}
        raise Refused("turn_record_version", f"{turn_id} has version {found.version}", id=turn_id, **told)
    return found.record


def cut_to_figures(record: dict[str, Any]) -> dict[str, Any]:
    """What of a record is kept for good: nothing that anybody wrote, no argument, no result."""
    return {
        **{key: record[key] for key in ("version", "code", "turn", "door", "now", "ended", "timing") if key in record},
        "cut": True,
        "route": [{key: part.get(key) for key in ("to", "intent", "confidence")} for part in record.get("route", [])],
        "model_calls": [
            {**call, "failure": (call.get("failure") or "").split(":")[0] or None}
            for call in record.get("model_calls", [])
        ],
        "tools": [
            {key: tool.get(key) for key in ("name", "effect", "error", "seconds")} for tool in record.get("tools", [])
        ],
    }


# --- as JSON --------------------------------------------------------------------------------------


def encode(record: Mapping[str, Any]) -> str:
    """The record as JSON that PostgreSQL takes, without secrets: a token or key that somebody wrote or that a provider
    quoted becomes [secret], and `masked` says that it happened."""
    text = json.dumps(record, ensure_ascii=False, default=_tagged)
    if "NaN" in text or "Infinity" in text:  # no JSON, but Python reads and writes them: from a model, kept as words
        text = json.dumps(json.loads(text, parse_constant=str), ensure_ascii=False)
    if may_hold_secret(text):
        plain = json.loads(text)
        without = mask_data(plain, mask_secrets)
        if without != plain:
            text = json.dumps({**without, "masked": True}, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, from a model: as an escape it can be kept
        text = json.dumps(json.loads(text))
    return text


def decode(text: str) -> dict[str, Any]:
    """The record as it was when it was encoded: money, decimals and dates are what they were."""
    record: dict[str, Any] = json.loads(text, object_hook=_untagged)
    return record


def _tagged(value: Any) -> Any:
    match value:
        case Money():
            return {"$money": [str(value.amount), value.currency]}
        case Decimal():
            return {"$decimal": str(value)}
        case datetime():
            return {"$moment": value.isoformat()}
        case date():
            return {"$date": value.isoformat()}
        case set() | frozenset():
            return sorted(value)
        case _:
            return str(value)


def _untagged(found: dict[str, Any]) -> Any:
    if len(found) != 1:
        return found
    match found:
        case {"$money": [str(amount), str(currency)]}:
            return Money(Decimal(amount), currency)
        case {"$decimal": str(number)}:
            return Decimal(number)
        case {"$moment": str(moment)}:
            return datetime.fromisoformat(moment)
        case {"$date": str(day)}:
            return date.fromisoformat(day)
        case _:
            return found


# --- rows -----------------------------------------------------------------------------------------

_LINES = """
    select t.id, t.conversation_id, t.door, t.state, t.started_at, t.ended, t.by_model, t.intents, t.models,
           t.model_calls, t.failed_calls, t.tool_calls, t.prompt_tokens, t.cached_tokens, t.completion_tokens,
           t.cost_usd, t.unpriced, t.seconds,
           (select left(m.text, 200) from messages m
            where m.tenant_id = t.tenant_id and m.conversation_id = t.conversation_id and m.turn_id = t.id
              and m.role = 'user' limit 1) as said
    from turns t"""


def _line(row: Mapping[str, Any]) -> TurnLine:
    own = ("id", "conversation_id", "door", "state", "started_at")
    figures = {key: value for key, value in row.items() if key not in (*own, "said")}
    return TurnLine(**{key: row[key] for key in own}, said=row["said"] or "", figures=Figures(**figures))
