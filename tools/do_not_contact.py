"""Two books of who wants no messages, which must agree: the CRM's list, by key, and the ledger of conversations, by
what was said. Before anything leaves both are asked; what is said in a conversation is written into the CRM, and what
is taken back there is taken from the CRM. What the house put on its list for another reason is not a conversation's to
lift, but by the person's own words."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from business.crm.identity import KeyKind, key
from business.crm.privacy import BlockReason
from business.crm.service import Crm
from business.crm.upsert import stored_keys
from business.messaging.consent import Act, Entry, How, Scope
from business.messaging.ledger import Ledger, standing_of
from business.people.service import People
from core.db import Connection, Database, fetch_all, fetch_one
from core.errors import Refused
from core.tenancy import Role


class DoNotContact:
    """`blocked` is for Sending and whoever plans a message; `told` is the job CONSENT_TOLD."""

    def __init__(self, db: Database, crm: Crm, people: People, ledger: Ledger) -> None:
        self._db = db
        self._crm = crm
        self._people = people
        self._ledger = ledger

    async def blocked(self, conn: Connection, chat: Mapping[str, Any]) -> Sequence[Entry]:
        """What the CRM's list says of the person of this chat, as lines of the ledger: by the address, or by any other
        key of the same contact. A bounce of one address says nothing of the others. `chat`: tenant_id, address,
        user_id, contact_id."""
        own = keys_of(chat["address"], chat["user_id"])
        others: list[tuple[KeyKind, str]] = []
        if chat["contact_id"]:
            others = [(key.kind, key.given) for key in await stored_keys(conn, chat["contact_id"])]
        found = await self._crm.blocked(chat["tenant_id"], own, conn) if own else []
        if others:
            more = await self._crm.blocked(chat["tenant_id"], others, conn)
            found += [one for one in more if one.reason is not BlockReason.BOUNCED]
        how = {BlockReason.SAID: How.PERSON}
        return [Entry(one.since, Act.STOPPED, Scope.ALL, how.get(one.reason, How.HOUSE)) for one in found]

    async def resume(
        self, tenant_id: str, keys: Sequence[tuple[KeyKind, str]], contact_id: str | None, words: str, at: datetime
    ) -> None:
        """Lift what stops somebody in the ledger, by what one of ours wrote down (`words`); the CRM's list is the
        caller's. `keys`: by which the person is reached; the addresses of the contact's conversations join them."""
        entry = Entry(at, Act.RESUMED, Scope.ALL, How.PERSON, words)
        known = {made.value.lstrip("+") for kind, given in keys if (made := key(kind, given)) is not None}
        async with self._db.tenant(tenant_id) as conn:
            query = "SELECT address FROM chats WHERE contact_id = %s"
            rows = await fetch_all(conn, query, [contact_id])
            stopped = []
            for address in sorted(known | {row["address"] for row in rows}):
                held = await standing_of(conn, address=address, contact_id=contact_id, more=())
                if held.stopped is not None or held.marketing_stopped is not None:
                    stopped.append(address)
            for address in stopped:
                await self._ledger.write(conn, tenant_id, entry, address=address, contact_id=contact_id, tell=False)
            await conn.execute("UPDATE chats SET goodbye_sent = false WHERE address = ANY(%s)", [stopped])

    async def told(self, tenant_id: str, entry_id: str) -> None:
        """A line of the ledger that stops or resumes everything, brought to the CRM. May be called again."""
        async with self._db.tenant(tenant_id) as conn:
            query = "SELECT * FROM consent_entries WHERE id = %s"
            entry = await fetch_one(conn, query, [entry_id])
            if entry is None or entry["scope"] != Scope.ALL:
                return
            chat = {"tenant_id": tenant_id, "user_id": None} | {name: entry[name] for name in ("address", "contact_id")}
            holds = await standing_of(conn, address=entry["address"], contact_id=entry["contact_id"], more=())
            listed = await self.blocked(conn, chat)
            keys = keys_of(entry["address"], None)
            if entry["contact_id"]:
                keys += [(key.kind, key.given) for key in await stored_keys(conn, entry["contact_id"])]
        admin = await self._people.identity_by_role(tenant_id, Role.ADMIN)
        if entry["act"] == Act.STOPPED and holds.stopped is not None and not listed:
            if entry["contact_id"]:
                try:
                    await self._crm.opt_out(admin, entry["contact_id"], words=entry["detail"], reason=BlockReason.SAID)
                except Refused:  # the contact was merged or erased meanwhile
                    pass
            for kind, given in keys_of(entry["address"], None):
                await self._crm.block(admin, kind, given, reason=BlockReason.SAID)
        elif entry["act"] == Act.RESUMED and holds.stopped is None:
            for one in await self._crm.blocked(tenant_id, keys):
                if one.reason is BlockReason.SAID or entry["how"] != How.PERSON:
                    await self._crm.unblock(admin, one.kind, one.given)


def keys_of(address: str, user_id: str | None) -> list[tuple[KeyKind, str]]:
    """The CRM's keys of what a conversation calls an address: a telephone, an e-mail address, a user id."""
    found: list[tuple[KeyKind, str]] = []
    digits = address.lstrip("+")
    if "@" in address:
        found.append((KeyKind.LID if address.endswith("@lid") else KeyKind.EMAIL, address))
    elif digits.isascii() and digits.isdecimal():
        found += [(KeyKind.PHONE, f"+{digits}"), (KeyKind.WA_ID, digits)]
    elif address:
        found.append((KeyKind.BSUID, address))
    if user_id:
        found.append((KeyKind.LID if user_id.endswith("@lid") else KeyKind.BSUID, user_id))
    return found
