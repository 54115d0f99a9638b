"""What webhooks brought is kept whole for as long as somebody may want to look at it, and then cut to its keys. Paces
that are over are forgotten."""

from datetime import datetime, timedelta

import structlog

from core.clock import Clock
from core.db import Database, fetch_all, fetch_one

log = structlog.get_logger(__name__)

KEPT_WHOLE = timedelta(days=30)
"""From when it was received. By then what is needed of an item lies in conversations: WhatsApp repeats its webhooks for
seven days and gives a file out for thirty. The key stays, so that whatever brings it again brings nothing."""
LINE_KEPT = timedelta(days=1)
"""How long a pace is kept after its line was free again: from that moment on it is the same as none (pace.py), and each
conversation has one."""
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
        if forgotten := await self.forget_lines():
            log.info("message_lines_forgotten", lines=forgotten)

    async def cut(self) -> int:
        """Cut everybody's; how many items. What is not sorted yet stays, however old, unless its number is nobody's."""
        before = self._clock.now() - KEPT_WHOLE
        async with self._db.system() as conn:
            row = await fetch_one(conn, "SELECT cut_homeless_inbox(%s) AS cut", [before])
        cut = int(row["cut"]) if row else 0
        for tenant_id in await self._tenants():
            while some := await self._cut(tenant_id, before):
                cut += some
        return cut

    async def forget_lines(self) -> int:
        """Take away everybody's paces that were over a day ago; how many. One that is held in this moment stays: its
        holder is about to use it."""
        before, forgotten = self._clock.now() - LINE_KEPT, 0
        for tenant_id in await self._tenants():
            async with self._db.tenant(tenant_id) as conn:
                gone = await conn.execute(
                    """DELETE FROM message_lines WHERE line IN (
                           SELECT line FROM message_lines WHERE free_at < %s FOR UPDATE SKIP LOCKED)""",
                    [before],
                )
            forgotten += gone.rowcount
        return forgotten

    async def _tenants(self) -> list[str]:
        async with self._db.system() as conn:
            return [row["id"] for row in await fetch_all(conn, "SELECT id FROM list_tenants()")]

    async def _cut(self, tenant_id: str, before: datetime) -> int:
        async with self._db.tenant(tenant_id) as conn:
            done = await conn.execute(
                """UPDATE inbox SET item = '{}' WHERE (number, key) IN (
                   SELECT number, key FROM inbox WHERE tenant_id = current_tenant() AND received_at < %s
                     AND sorted_at IS NOT NULL AND item <> '{}' LIMIT %s)""",
                [before, _AT_ONCE],
            )
        return done.rowcount
