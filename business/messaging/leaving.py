"""Leaving by one click in a mail program: List-Unsubscribe (RFC 2369) with List-Unsubscribe-Post (RFC 8058).

What we begin by e-mail carries an address of ours (channels/leaving.py), where the outside reaches us. It is signed, so
that nobody takes another person off; whoever has the mail may use it, as they may answer it.
"""

import hashlib
import hmac
from dataclasses import dataclass

from business.messaging.changes import changed
from business.messaging.consent import Act, Entry, How, Scope
from business.messaging.ledger import Ledger, standing_of
from business.messaging.outbox import Outbox
from core.clock import Clock
from core.db import Database, fetch_one

SECRET = "leave_links"
"""The name of the secret that signs them (core.vault.Vault.named_secret)."""
ROOT = "/leave/"
_DETAIL = "List-Unsubscribe"


@dataclass(frozen=True)
class Leaver:
    """Whom a link is of."""

    tenant_id: str
    chat_id: str


class LeaveLinks:
    """`secret` signs them; `public_url`: where the outside reaches us, None for nowhere."""

    def __init__(self, db: Database, secret: str, public_url: str | None) -> None:
        self._db = db
        self._secret = secret.encode()
        self._url = public_url.rstrip("/") if public_url else None

    async def of(self, tenant_id: str, outbox_id: str) -> str | None:
        """The link for a message of the outbox; None for one that answers somebody, and where we cannot be reached."""
        if self._url is None:
            return None
        async with self._db.tenant(tenant_id) as conn:
            row = await fetch_one(conn, "SELECT chat_id FROM outbox WHERE id = %s AND marketing", [outbox_id])
        return self._url + self.path(Leaver(tenant_id, row["chat_id"])) if row else None

    def path(self, who: Leaver) -> str:
        return f"{ROOT}{who.tenant_id}/{who.chat_id}/{self._signed(who)}"

    def read(self, path: str) -> Leaver | None:
        """Whose a path is; None for one that we did not sign."""
        tenant_id, _, rest = path.removeprefix(ROOT).partition("/")
        chat_id, _, signature = rest.partition("/")
        who = Leaver(tenant_id, chat_id)
        right = hmac.compare_digest(signature.encode(), self._signed(who).encode())
        return who if path.startswith(ROOT) and right else None

    def _signed(self, who: Leaver) -> str:
        return hmac.new(self._secret, f"{who.tenant_id}/{who.chat_id}".encode(), hashlib.sha256).hexdigest()[:40]


@dataclass
class Leaving:
    db: Database
    clock: Clock
    outbox: Outbox
    ledger: Ledger

    async def language(self, who: Leaver) -> str | None:
        """In which they are written to; None when the conversation is no more."""
        async with self.db.tenant(who.tenant_id) as conn:
            row = await fetch_one(conn, "SELECT language FROM chats WHERE id = %s", [who.chat_id])
        return str(row["language"]) if row else None

    async def leave(self, who: Leaver) -> bool:
        """Nothing of what we begin reaches them any more, on any channel; again it changes nothing. False when the
        conversation is no more. Unavailable when the database cannot be reached."""
        async with self.db.tenant(who.tenant_id) as conn:
            query = "SELECT address, user_id, contact_id FROM chats WHERE id = %s FOR NO KEY UPDATE"
            chat = await fetch_one(conn, query, [who.chat_id])
            if chat is None:
                return False
            held = await standing_of(conn, **chat, more=())
            if held.stopped is not None:
                return True
            entry = Entry(self.clock.now(), Act.STOPPED, Scope.ALL, How.BUTTON, _DETAIL)
            await self.ledger.write(
                conn, who.tenant_id, entry, address=chat["address"], contact_id=chat["contact_id"], chat_id=who.chat_id
            )
            await self.outbox.drop(conn, who.chat_id, "opted_out")
            await changed(conn, who.tenant_id, who.chat_id)
        return True
