"""What became of a first message, on its company's timeline: that it left, when and by which channel; that it did not
arrive; that it was not sent after all. The draft of it stands there already (tools/leads.py)."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from psycopg.types.json import Jsonb

from business.messaging.conversation import as_written
from business.messaging.model import said, why_from
from business.people.service import People
from core.clock import Clock
from core.db import Database, fetch_all
from core.tenancy import Identity
from integrations.whatsapp_cloud import errors
from prompts.texts import Texts

_LOOKED_AT = timedelta(days=14)
"""How long after its end a first message is looked at: within a week WhatsApp tells that it failed, or did arrive."""


class ContactNotes:
    """For the clock: `await run(tenant_id)`, as often as one likes. A note is there once: its id says of what it is."""

    def __init__(self, db: Database, clock: Clock, people: People, texts: Texts) -> None:
        self._db = db
        self._clock = clock
        self._people = people
        self._texts = texts

    async def run(self, tenant_id: str) -> int:
        """Write down what happened to first messages since the last look; how many notes that were."""
        async with self._db.tenant(tenant_id) as conn:
            rows = await fetch_all(
                conn,
                """SELECT o.id, o.state, o.claimed_at, o.finished_at, o.external_id, o.error, o.reason, o.decision,
                          m.text, m.status_at, c.id AS chat, c.company_id, c.owner_id, c.address, n.name AS channel,
                          n.provider
                   FROM outbox o
                   JOIN chats c ON c.tenant_id = o.tenant_id AND c.id = o.chat_id
                   JOIN crm_companies k ON k.tenant_id = c.tenant_id AND k.id = c.company_id
                   JOIN channels n ON n.tenant_id = c.tenant_id AND n.id = c.channel_id
                   JOIN chat_messages m ON m.tenant_id = o.tenant_id AND m.id = o.message_id
                   WHERE o.purpose = 'first_contact' AND o.finished_at > %s
                     AND NOT EXISTS (SELECT FROM crm_activities a WHERE a.tenant_id = o.tenant_id
                                     AND a.id = 'first_' || o.id || '_' ||
                                         CASE o.reason WHEN 'arrived' THEN o.reason ELSE o.state END)
                   ORDER BY o.seq LIMIT 200""",
                [self._clock.now() - _LOOKED_AT],
            )
        if not rows:
            return 0
        written, actor = 0, (await self._people.agent(tenant_id)).user_id
        for row in rows:
            reader = await self._people.responsible(tenant_id, row["owner_id"])  # in their language, by their clock
            async with self._db.tenant(tenant_id) as conn:
                for what, at in _happened(row):
                    kind = "note" if what != "sent" else "email" if row["provider"] == "email" else "message"
                    added = await conn.execute(
                        """INSERT INTO crm_activities (tenant_id, id, company_id, kind, text, data, actor, at)
                           SELECT current_tenant(), %s, id, %s, %s, %s, %s, %s FROM crm_companies WHERE id = %s
                           ON CONFLICT DO NOTHING""",
                        [
                            f"first_{row['id']}_{what}", kind, self._words(reader, what, row),
                            Jsonb({"chat": row["chat"]}), actor, at, row["company_id"],
                        ],
                    )  # fmt: skip
                    written += added.rowcount
        return written

    def _words(self, reader: Identity, what: str, row: Mapping[str, Any]) -> str:
        params = {"channel": row["channel"], "to": as_written(row["address"]), "text": row["text"], "why": ""}
        if what == "failed":
            params["why"] = self._why_failed(reader, row)
        elif what == "dropped":
            params["why"] = self._why_dropped(reader, row)
        return self._texts.say(reader.language, f"first_contact.note.{what}", **params)

    def _why_failed(self, reader: Identity, row: Mapping[str, Any]) -> str:
        code = row["error"] if row["provider"] == "whatsapp_cloud" else None
        key = f"error.{errors.rule(code).text}" if code else ""
        if not key or not self._texts.has(key):
            return ""
        return self._texts.say(reader.language, key, detail=row["reason"], trace="", wait=0, code=code)

    def _why_dropped(self, reader: Identity, row: Mapping[str, Any]) -> str:
        say, key = partial(self._texts.say, reader.language), f"inbox.dropped.{row['reason']}"
        if self._texts.has(key):
            return say(key)
        decided = row["decision"] or {}
        return said(why_from(decided["why"]), say, reader.time_zone) if decided.get("rule") == row["reason"] else ""


def _happened(row: Mapping[str, Any]) -> list[tuple[str, datetime]]:
    """(what, when), of a message that has come to its end, for now."""
    left = [("sent", row["claimed_at"])] if row["external_id"] is not None else []
    if row["reason"] == "arrived":  # which WhatsApp told after it had told that it failed
        return [*left, ("arrived", row["status_at"])]
    return left if row["state"] == "sent" else [*left, (row["state"], row["finished_at"])]
