"""Which Meta tokens a tenant has connected, sealed at rest, and the ad accounts chosen with each.

The sandbox and the live Meta are two worlds: what was connected to one does not exist in the other.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from core.audit import audit
from core.clock import Clock
from core.db import Database, fetch_all
from core.errors import ArgumentsWrong, Refused
from core.ids import new_id
from core.tenancy import Identity
from core.vault import Vault
from integrations.meta_ads.client import MetaAdsClient
from integrations.meta_ads.payloads import AdAccount
from integrations.meta_ads.simulator.state import TOKEN_PREFIX

VENDOR = "meta"
NEEDED = ("ads_read",)
FOR_CHANGES = ("ads_management",)
"""Scopes of Meta's permissions reference: reading insights, and changing status and budgets."""

OpenClient = Callable[[str], MetaAdsClient]
"""Token → a client at the address the settings say: the real one, or the sandbox."""


@dataclass(frozen=True)
class CheckedToken:
    """A token that works: whose it is, what it may do, and which accounts it reaches."""

    token: str
    owner: str
    accounts: list[AdAccount]
    expires: datetime | None
    expiry_known: bool
    may_change: bool
    """False: the token may read but not pause or change budgets (scope ads_management is missing)."""

    def __repr__(self) -> str:
        return f"CheckedToken(owner={self.owner!r}, accounts={len(self.accounts)})"  # never the token


@dataclass(frozen=True)
class Connected:
    """A connection with its client. `account_ids` are the accounts that were chosen."""

    label: str
    account_ids: frozenset[str]
    client: MetaAdsClient


class MetaConnections:
    def __init__(
        self,
        db: Database,
        vault: Vault,
        clock: Clock,
        open_client: OpenClient,
        environment: Literal["sandbox", "live"],
    ) -> None:
        """`environment` is whose address `open_client` talks to; only its connections are seen here."""
        self._db = db
        self._vault = vault
        self._clock = clock
        self._open_client = open_client
        self._environment = environment
        self._clients: dict[str, MetaAdsClient] = {}  # by token: a client paces itself by what Meta last told it

    async def check(self, token: str) -> CheckedToken:
        """Ask Meta about the token. Refused("meta_token_…"), Refused("meta_scope_missing", scopes), Unavailable.

        A token of the other environment is sent nowhere: Refused("meta_token_of_sandbox") and
        Refused("meta_token_not_of_sandbox").
        """
        token = token.strip()
        if not token or not token.isascii() or any(c.isspace() for c in token):
            raise ArgumentsWrong("meta_token_malformed", "a token is one word of letters and digits")
        of_sandbox = token.startswith(TOKEN_PREFIX)
        if self._environment == "sandbox" and not of_sandbox:
            raise Refused("meta_token_not_of_sandbox", "the simulator knows its own token only")
        if self._environment == "live" and of_sandbox:
            raise Refused("meta_token_of_sandbox", "the token is the simulator's")
        client = self._open_client(token)
        info = await client.check_token()
        if missing := info.missing(*NEEDED):
            raise Refused("meta_scope_missing", f"the token lacks {missing}", scopes=", ".join(missing))
        accounts = await client.ad_accounts()
        if not accounts:
            raise Refused("meta_no_accounts", "the token reaches no ad account")
        return CheckedToken(
            token, info.owner.name or info.owner.id, accounts, info.expires, info.expiry_known,
            may_change=not info.missing(*FOR_CHANGES),
        )  # fmt: skip

    async def save(self, identity: Identity, checked: CheckedToken, account_ids: list[str]) -> None:
        """Seal and keep the token for these of its accounts; the same owner's earlier token is replaced.

        ArgumentsWrong("account_unknown", mention) for an account that the token does not reach.
        """
        reached = {account.id for account in checked.accounts}
        wanted = [i if i.startswith("act_") else f"act_{i}" for i in account_ids]
        if strange := [account_id for account_id in wanted if account_id not in reached]:
            raise ArgumentsWrong(
                "account_unknown", f"the token does not reach {strange[0]}", mention=strange[0], closest=[]
            )
        key_id, sealed = self._vault.seal(checked.token.encode(), bound_to=_bound(identity.tenant_id))
        now = self._clock.now()
        async with self._db.tenant(identity.tenant_id) as conn:
            await conn.execute(
                """INSERT INTO connections
                       (id, tenant_id, vendor, environment, label, secret, key_id, accounts, checked_at, created_at)
                   VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
                   ON CONFLICT (tenant_id, vendor, environment, label) DO UPDATE SET status = 'ok',
                   secret = excluded.secret, key_id = excluded.key_id, accounts = excluded.accounts,
                   checked_at = excluded.checked_at""",
                (
                    new_id("conn"), identity.tenant_id, VENDOR, self._environment, checked.owner, sealed, key_id,
                    json.dumps(wanted), now, now,
                ),
            )  # fmt: skip
            await audit(
                conn,
                identity,
                action="connection.saved",
                subject=VENDOR,
                detail={"environment": self._environment, "owner": checked.owner, "accounts": wanted},
            )

    async def remove(self, identity: Identity) -> list[str]:
        """Forget the tenant's tokens of this environment. Returns whose they were; nothing is asked of Meta."""
        async with self._db.tenant(identity.tenant_id) as conn:
            rows = await fetch_all(
                conn,
                "DELETE FROM connections WHERE vendor = %s AND environment = %s RETURNING label",
                (VENDOR, self._environment),
            )
            owners = sorted(row["label"] for row in rows)
            if owners:
                detail = {"environment": self._environment, "owners": owners}
                await audit(conn, identity, action="connection.removed", subject=VENDOR, detail=detail)
        return owners

    async def of(self, tenant_id: str) -> list[Connected]:
        """The tenant's connections of this environment, oldest first."""
        async with self._db.tenant(tenant_id) as conn:
            rows = await fetch_all(
                conn,
                """SELECT label, secret, key_id, accounts FROM connections
                   WHERE vendor = %s AND environment = %s ORDER BY created_at""",
                (VENDOR, self._environment),
            )
        return [Connected(r["label"], frozenset(r["accounts"]), self._client(tenant_id, r)) for r in rows]

    async def client_for(self, tenant_id: str, account_id: str) -> MetaAdsClient:
        """The client that reaches the account. Refused("account_not_connected") when none does any more."""
        for connected in await self.of(tenant_id):
            if account_id in connected.account_ids:
                return connected.client
        raise Refused("account_not_connected", f"no connection reaches {account_id}", account=account_id)

    def days_left(self, expires: datetime) -> int:
        """Whole days until then; negative when it is past."""
        return (expires - self._clock.now()).days

    def _client(self, tenant_id: str, row: dict[str, Any]) -> MetaAdsClient:
        token = self._vault.open(row["key_id"], row["secret"], bound_to=_bound(tenant_id)).decode()
        if token not in self._clients:
            self._clients[token] = self._open_client(token)
        return self._clients[token]


def _bound(tenant_id: str) -> str:
    return f"connections/{VENDOR}/{tenant_id}"
