"""What a card of the board shows beside its deal, for many deals at once."""

from collections.abc import Sequence
from dataclasses import dataclass

from business.crm.access import TABLE, CrmPart
from business.crm.deals import task_from
from business.crm.model import Deal, Subject, Task
from core.db import Connection, fetch_all
from core.errors import Refused
from core.tenancy import Identity

_NAME = {Subject.CONTACT: "name", Subject.COMPANY: "coalesce(trade_name, legal_name)"}


@dataclass(frozen=True)
class Face:
    """None for what there is not, and for what is not the viewer's to see."""

    contact: str | None
    company: str | None
    next_task: Task | None
    """The open one that is due first."""


class FacesPart(CrmPart):
    async def faces(self, who: Identity, deals: Sequence[Deal]) -> dict[str, Face]:
        """By the deals' ids, in three queries however many deals there are. Refused("crm_not_allowed")."""
        own = self._reads(who)
        ids = [deal.id for deal in deals]
        query = """SELECT DISTINCT ON (deal_id) * FROM crm_tasks
                   WHERE deal_id = ANY(%s) AND done_at IS NULL AND (%s::text IS NULL OR owner_id = %s)
                   ORDER BY deal_id, due_at, created_at, id"""
        async with self._db.tenant(who.tenant_id) as conn:
            people = await _names(conn, Subject.CONTACT, [deal.contact_id for deal in deals], own)
            firms = await _names(conn, Subject.COMPANY, [deal.company_id for deal in deals], own)
            tasks = await fetch_all(conn, query, [ids, own, own])
        first = {row["deal_id"]: task_from(row) for row in tasks}
        return {
            deal.id: Face(people.get(deal.contact_id), firms.get(deal.company_id), first.get(deal.id)) for deal in deals
        }

    def may_change(self, who: Identity) -> bool:
        """Whether this user may change anything here at all: their own, or everything."""
        try:
            self._writes(who)
        except Refused:
            return False
        return True


async def _names(
    conn: Connection, subject: Subject, ids: Sequence[str | None], own: str | None
) -> dict[str | None, str | None]:
    query = f"""SELECT id, {_NAME[subject]} AS name FROM {TABLE[subject]}
                WHERE id = ANY(%s) AND merged_into IS NULL AND (%s::text IS NULL OR owner_id = %s)"""
    asked = sorted({id_ for id_ in ids if id_})
    rows = await fetch_all(conn, query, [asked, own, own]) if asked else []
    return {row["id"]: row["name"] for row in rows}
