"""What is kept of each conversation with a lead: its stage and how it came there, what the contact let know, the score.

Written by code alone (tools/sdr.py), each in one transaction that holds the lead's row, so that two turns of one
conversation never count from the same state.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from business.sales.evidence import Evidence, Said, Slot
from business.sales.score import Rules, Score, Verdict, score
from business.sales.stages import Stage, may_go
from core.clock import Clock
from core.db import Connection, Database, fetch_all, fetch_one
from core.ids import new_id
from core.money import Money

_MOST_SAID = 200  # newest messages of the contact in which a quote is looked for


@dataclass(frozen=True)
class Step:
    """A change of stage. `before` None: the first."""

    before: Stage | None
    after: Stage
    why: str
    at: datetime


@dataclass(frozen=True)
class Known:
    """What is known of the lead of a conversation. `evidence` oldest first; the newest of a slot holds."""

    stage: Stage
    stage_at: datetime | None
    evidence: tuple[Evidence, ...]
    score: Score
    steps: tuple[Step, ...]
    hot_told_at: datetime | None = None


@dataclass(frozen=True)
class Told:
    """What the CRM was told last; None for nothing yet."""

    score: int | None
    verdict: Verdict | None
    stage: Stage | None


class SalesRecords:
    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    async def known(
        self, tenant_id: str, chat_id: str, rules: Rules, *, meeting: bool = False, conn: Connection | None = None
    ) -> Known:
        """What is known; a conversation of which nothing was written down is at its introduction with score 0.
        `meeting`: one stands."""
        async with self._db.tenant(tenant_id, conn) as conn:
            lead = await fetch_one(conn, "SELECT * FROM sales_leads WHERE chat_id = %s", [chat_id])
            rows = await fetch_all(conn, "SELECT * FROM sales_evidence WHERE chat_id = %s ORDER BY seq", [chat_id])
            steps = await fetch_all(conn, "SELECT * FROM sales_steps WHERE chat_id = %s ORDER BY seq", [chat_id])
        evidence = tuple(_evidence(row) for row in rows)
        return Known(
            stage=Stage(lead["stage"]) if lead else Stage.INTRODUCTION,
            stage_at=lead["stage_at"] if lead else None,
            evidence=evidence,
            score=score(evidence, rules, meeting=meeting),
            steps=tuple(
                Step(Stage(s["before"]) if s["before"] else None, Stage(s["after"]), s["why"], s["at"]) for s in steps
            ),
            hot_told_at=lead["hot_told_at"] if lead else None,
        )

    async def said(self, tenant_id: str, chat_id: str, conn: Connection | None = None) -> list[Said]:
        """What the contact wrote, oldest first, the newest 200; messages that were taken back are left out."""
        query = """SELECT id, text FROM (SELECT id, seq, text FROM chat_messages WHERE chat_id = %s AND direction = 'in'
                   AND author = 'contact' AND revoked_at IS NULL AND text <> '' ORDER BY seq DESC LIMIT %s) m
                   ORDER BY seq"""
        async with self._db.tenant(tenant_id, conn) as conn:
            rows = await fetch_all(conn, query, [chat_id, _MOST_SAID])
        return [Said(row["id"], row["text"]) for row in rows]

    async def note(self, tenant_id: str, chat_id: str, one: Evidence, turn_id: str) -> bool:
        """Write a piece of evidence down. False when it says what holds already."""
        async with self._db.tenant(tenant_id) as conn:
            await self._lead(conn, tenant_id, chat_id)
            newest = await fetch_one(
                conn,
                "SELECT * FROM sales_evidence WHERE chat_id = %s AND slot = %s ORDER BY seq DESC LIMIT 1",
                [chat_id, one.slot],
            )
            if newest is not None:
                before = _evidence(newest)
                if (before.reading, before.quote, before.amount) == (one.reading, one.quote, one.amount):
                    return False
            await conn.execute(
                """INSERT INTO sales_evidence (tenant_id, id, chat_id, slot, reading, quote, value, amount, currency,
                       message_id, turn_id, at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)""",
                [
                    tenant_id, new_id("evid"), chat_id, one.slot, one.reading, one.quote, one.value,
                    one.amount.amount if one.amount else None, one.amount.currency if one.amount else None,
                    one.message_id, turn_id, self._clock.now(),
                ],
            )  # fmt: skip
        return True

    async def go(self, tenant_id: str, chat_id: str, after: Stage, why: str, turn_id: str | None) -> Stage:
        """Put the conversation on a stage where that makes sense (stages.may_go), and tell on which it is."""
        async with self._db.tenant(tenant_id) as conn:
            before = await self._lead(conn, tenant_id, chat_id)
            if not may_go(before, after):
                return before
            now = self._clock.now()
            await conn.execute(
                "UPDATE sales_leads SET stage = %s, stage_at = %s, updated_at = %s WHERE chat_id = %s",
                [after, now, now, chat_id],
            )
            await conn.execute(
                """INSERT INTO sales_steps (tenant_id, chat_id, before, after, why, turn_id, at)
                   VALUES (%s, %s, %s, %s, %s, %s, %s)""",
                [tenant_id, chat_id, before, after, why[:500], turn_id, now],
            )
        return after

    async def keep_score(self, tenant_id: str, chat_id: str, found: Score) -> Told:
        """Write the score down; returns what the CRM was told last."""
        async with self._db.tenant(tenant_id) as conn:
            await self._lead(conn, tenant_id, chat_id)
            row = await fetch_one(
                conn,
                """UPDATE sales_leads SET score = %s, verdict = %s, rules = %s, updated_at = %s WHERE chat_id = %s
                   RETURNING told_score, told_verdict, told_stage""",
                [found.total, found.verdict, found.version, self._clock.now(), chat_id],
            )
        assert row is not None
        verdict, stage = row["told_verdict"], row["told_stage"]
        return Told(row["told_score"], Verdict(verdict) if verdict else None, Stage(stage) if stage else None)

    async def told(self, tenant_id: str, chat_id: str, found: Score, stage: Stage) -> None:
        """The CRM knows this score and this stage now."""
        await self._set(
            tenant_id, chat_id, told_score=found.total, told_verdict=found.verdict.value, told_stage=stage.value
        )

    async def hot_told(self, tenant_id: str, chat_id: str) -> None:
        """The owner was told that the lead is hot; it is told once."""
        await self._set(tenant_id, chat_id, hot_told_at=self._clock.now())

    async def _set(self, tenant_id: str, chat_id: str, **columns: Any) -> None:
        sets = ", ".join(f"{name} = %s" for name in columns)
        async with self._db.tenant(tenant_id) as conn:
            await conn.execute(
                f"UPDATE sales_leads SET {sets} WHERE chat_id = %s".encode(), [*columns.values(), chat_id]
            )

    async def _lead(self, conn: Connection, tenant_id: str, chat_id: str) -> Stage:
        """The lead's row, made and locked; its stage."""
        now = self._clock.now()
        await conn.execute(
            """INSERT INTO sales_leads (tenant_id, chat_id, stage, stage_at, updated_at) VALUES (%s, %s, %s, %s, %s)
               ON CONFLICT DO NOTHING""",
            [tenant_id, chat_id, Stage.INTRODUCTION, now, now],
        )
        row = await fetch_one(conn, "SELECT stage FROM sales_leads WHERE chat_id = %s FOR UPDATE", [chat_id])
        assert row is not None
        return Stage(row["stage"])


def newest(evidence: Sequence[Evidence], slot: Slot) -> Evidence | None:
    """What holds for one slot."""
    return next((one for one in reversed(evidence) if one.slot is slot), None)


def _evidence(row: dict[str, Any]) -> Evidence:
    amount = None if row["amount"] is None else Money(row["amount"], row["currency"])
    return Evidence(Slot(row["slot"]), row["reading"], row["quote"], row["value"], amount, row["message_id"], row["at"])
