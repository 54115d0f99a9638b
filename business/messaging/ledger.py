"""The ledger of consents and opt-outs as rows: one for all channels, found by the person however they are written to.

What the CRM keeps of the same (its list of those not to be contacted) is another module's: it is asked by a callable
(known.py) and told by a job, `CONSENT_TOLD`, whose body whoever builds the house hands to the queue.
"""

import hashlib
from collections.abc import Iterable

from business.messaging.consent import Act, Entry, How, Scope, Standing, standing
from core.db import Connection, fetch_all
from core.jobs import Jobs

CONSENT_TOLD = "consent_told"
"""The job that tells others of a line that stops or resumes everything: (tenant_id, entry_id)."""
_LONGEST = 1_000  # characters of what was said


class Ledger:
    """Nothing is ever taken out of it. `conn` is the caller's transaction of the tenant."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    async def write(
        self,
        conn: Connection,
        tenant_id: str,
        entry: Entry,
        *,
        address: str,
        contact_id: str | None = None,
        chat_id: str | None = None,
        tell: bool = True,
    ) -> bool:
        """Add a line; False when the very same one is there. `address`: by what the person is written to (a wa_id, a
        user id, an e-mail address). `tell=False`: it came from those who would be told."""
        parts = (tenant_id, address, str(entry.act), str(entry.scope), str(entry.how), entry.wording)
        entry_id = "cons_" + hashlib.sha256("\0".join((*parts, entry.at.isoformat())).encode()).hexdigest()[:32]
        added = await conn.execute(
            """INSERT INTO consent_entries
                   (tenant_id, id, contact_id, address, act, scope, how, detail, chat_id, at)
               VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING""",
            [
                tenant_id, entry_id, contact_id, address, entry.act, entry.scope, entry.how,
                entry.wording.replace("\0", "")[:_LONGEST], chat_id, entry.at,
            ],
        )  # fmt: skip
        if added.rowcount and tell and entry.scope is Scope.ALL and entry.act is not Act.CONSENTED:
            await self._jobs.defer(conn, CONSENT_TOLD, tenant_id=tenant_id, entry_id=entry_id)
        return bool(added.rowcount)


async def standing_of(
    conn: Connection, *, address: str, contact_id: str | None = None, user_id: str | None = None, more: Iterable[Entry]
) -> Standing:
    """What holds for this person, on whatever channel it was said. `more`: lines that others keep."""
    kept = await entries(conn, address=address, contact_id=contact_id, user_id=user_id)
    return standing([*kept, *more])


async def entries(
    conn: Connection, *, address: str, contact_id: str | None = None, user_id: str | None = None
) -> list[Entry]:
    """The lines of a person, oldest first: those of the contact, of this address (a Brazilian telephone with and
    without its ninth digit), and of every address by which the same contact is written to."""
    known = [*same_addresses(address), *([user_id] if user_id else [])]
    rows = await fetch_all(
        conn,
        """SELECT at, act, scope, how, detail FROM consent_entries
           WHERE contact_id = %(contact)s
              OR address = ANY(%(known)s || ARRAY(SELECT address FROM chats WHERE contact_id = %(contact)s))
           ORDER BY at, id""",
        {"contact": contact_id, "known": known},
    )
    return [Entry(row["at"], Act(row["act"]), Scope(row["scope"]), How(row["how"]), row["detail"]) for row in rows]


def same_addresses(address: str) -> list[str]:
    """The address, and for a Brazilian mobile telephone its form with or without the ninth digit: WhatsApp registered
    many without it (integrations/whatsapp_cloud/simulator/state.py wa_id_of)."""
    digits = address.lstrip("+")
    if not digits.isascii() or not digits.isdecimal() or not digits.startswith("55"):
        return [address]
    if len(digits) == 13 and digits[4] == "9":
        return [digits, digits[:4] + digits[5:]]
    if len(digits) == 12 and digits[4] in "6789":
        return [digits, digits[:4] + "9" + digits[4:]]
    return [digits]
