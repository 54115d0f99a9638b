"""What webhooks brought is kept whole for as long as somebody may want to look at it, and then cut to its keys."""

from datetime import datetime, timedelta

import structlog

from core.clock import Clock
from core.db import Database, fetch_all, fetch_one

log = structlog.get_logger(__name__)

KEPT_WHOLE = timedelta(days=30)
"""From when it was received. By then what is needed of an item lies in conversations: WhatsApp repeats its webhooks for
seven days and gives a file out for thirty. The key stays, so that whatever brings it again brings nothing."""
_AT_ONCE = 5_000  # rows of one tenant in one transaction


class InboxRetention:
    """The clock's, once a night: raw items hold names, telephones and words of people (LGPD, art. 16)."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    async def run(self) -> None:
        """The job."""
        if cut := await self.cut():
            log.info("inbox_cut", items=cut)

    async def cut(self) -> int:
        """Cut everybody's; how many items. What is not sorted yet stays, however old, unless its number is nobody's."""
        before = self._clock.now() - KEPT_WHOLE
        async with self._db.system() as conn:
            tenants = [row["id"] for row in await fetch_all(conn, "SELECT id FROM list_tenants()")]
            row = await fetch_one(conn, "SELECT cut_homeless_inbox(%s) AS cut", [before])
        cut = int(row["cut"]) if row else 0
        for tenant_id in tenants:
            while some := await self._cut(tenant_id, before):
                cut += some
        return cut

    async def _cut(self, tenant_id: str, before: datetime) -> int:
        async with self._db.tenant(tenant_id) as conn:
            done = await conn.execute(
                """UPDATE inbox SET item = '{}' WHERE (number, key) IN (
                   SELECT number, key FROM inbox WHERE tenant_id = current_tenant() AND received_at < %s
                     AND sorted_at IS NOT NULL AND item <> '{}' LIMIT %s)""",
                [before, _AT_ONCE],
            )
        return done.rowcount
