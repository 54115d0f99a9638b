"""Each account's own rules for its messages: a file of the form of policy.yaml, kept with the account.

`mutirao whatsapp rules show | set | default` reads and changes them.
"""

from pathlib import Path

from psycopg.types.json import Jsonb

from business.messaging.settings import Settings, default_settings, default_text, parse_settings
from core.audit import audit
from core.db import Connection, Database, fetch_one
from core.permissions import Permissions, Rights
from core.tenancy import Identity

_NAME = "message_rules"  # in tenants.settings: the file's text, null for ours by choice
NOTICES = "notices_by_email"  # in tenants.settings: whether what people of the house are told is mailed to them, too
_DEMO = Path(__file__).with_name("demo_rules.yaml")


class MessageRules:
    """The rules of every account; ours (policy.yaml) where it has none of its own."""

    def __init__(self, db: Database, permissions: Permissions) -> None:
        self._db = db
        self._rights = Rights(permissions, "messaging", "messaging_not_allowed")
        self._read: dict[str, Settings] = {}

    async def of(self, conn: Connection, tenant_id: str) -> Settings:
        """What holds for this account now. `conn`: a transaction of the tenant."""
        text = await self._text(conn, tenant_id)
        if text is None:
            return default_settings()
        if text not in self._read:
            if len(self._read) > 200:
                self._read.clear()
            self._read[text] = parse_settings(text)
        return self._read[text]

    async def text(self, tenant_id: str) -> tuple[str, bool]:
        """(the file, whether it is the account's own)."""
        async with self._db.tenant(tenant_id) as conn:
            own = await self._text(conn, tenant_id)
        return (default_text(), False) if own is None else (own, True)

    async def save(self, who: Identity, text: str | None) -> Settings:
        """Take this file from now on; None: ours again. What waits is asked anew when its moment comes.

        Refused("messaging_not_allowed"); ArgumentsWrong as parse_settings, and then nothing is changed.
        """
        self._rights.writes_all(who)
        found = default_settings() if text is None else parse_settings(text)
        async with self._db.tenant(who.tenant_id) as conn:
            await conn.execute(
                "UPDATE tenants SET settings = settings || %s WHERE id = %s", [Jsonb({_NAME: text}), who.tenant_id]
            )
            await audit(
                conn, who, "messaging.rules", who.tenant_id, {"version": found.version, "own": text is not None}
            )
        return found

    async def mail_notices(self, who: Identity, wished: bool) -> None:
        """Whether people of the house get by e-mail, too, what they are told in the chat; errors as `save`."""
        self._rights.writes_all(who)
        async with self._db.tenant(who.tenant_id) as conn:
            await conn.execute(
                "UPDATE tenants SET settings = settings || %s WHERE id = %s", [Jsonb({NOTICES: wished}), who.tenant_id]
            )
            await audit(conn, who, "messaging.notices", who.tenant_id, {"by_email": wished})

    async def give_demo(self, tenant_id: str) -> bool:
        """Let the sample company of the sandbox write at any hour, once: where it has rules of its own they stay."""
        async with self._db.tenant(tenant_id) as conn:
            given = await conn.execute(
                "UPDATE tenants SET settings = settings || %s WHERE id = %s AND NOT settings ? %s",
                [Jsonb({_NAME: _DEMO.read_text(encoding="utf-8")}), tenant_id, _NAME],
            )
        return bool(given.rowcount)

    async def _text(self, conn: Connection, tenant_id: str) -> str | None:
        query = "SELECT settings->>%s AS text FROM tenants WHERE id = %s"
        row = await fetch_one(conn, query, [_NAME, tenant_id])
        return row["text"] if row else None
