"""What `mutirao doctor` says of Meta ads: which tenants are connected, and whether their tokens still work."""

from collections.abc import Awaitable, Callable
from typing import ClassVar

from business.ads.connections import FOR_CHANGES, NEEDED, MetaConnections
from core.doctor import Finding, Say, State
from core.errors import MutiraoError

_SOON_DAYS = 7  # a token is warned about this many days before it ends


class MetaAdsCheck:
    """Looks at every tenant's connections. The sandbox is asked always, the real Meta only when `live`."""

    area: ClassVar[str] = "meta ads"

    def __init__(
        self,
        connections: MetaConnections,
        tenants: Callable[[], Awaitable[list[tuple[str, str]]]],
        sandbox: bool,
        say: Say,
        explain: Callable[[MutiraoError], str],
    ) -> None:
        """`tenants` gives (id, name) of each; `sandbox` tells that the simulator stands for Meta."""
        self._connections = connections
        self._tenants = tenants
        self._sandbox = sandbox
        self._say = say
        self._explain = explain

    async def run(self, live: bool) -> list[Finding]:
        findings = [self._found("note", "meta_sandbox")] if self._sandbox else []
        for tenant_id, name in await self._tenants():
            connected = await self._connections.of(tenant_id)
            if not connected:
                findings.append(self._found("missing", "meta_not_connected", tenant=name))
            for one in connected:
                count = len(one.account_ids)
                if not (live or self._sandbox):
                    findings.append(self._found("unverified", "meta_not_asked", tenant=name, count=count))
                    continue
                try:
                    token = await one.client.check_token()
                except MutiraoError as error:
                    findings.append(Finding(self.area, "broken", f"{name}: {self._explain(error)}"))
                    continue
                if missing := token.missing(*NEEDED, *FOR_CHANGES):
                    scopes = ", ".join(missing)
                    findings.append(self._found("broken", "meta_scopes", tenant=name, scopes=scopes))
                elif token.expires and (left := self._connections.days_left(token.expires)) <= _SOON_DAYS:
                    findings.append(self._found("broken", "meta_token_ends", tenant=name, days=max(left, 0)))
                else:
                    findings.append(self._found("ok", "meta_connected", tenant=name, count=count))
        return findings

    def _found(self, state: State, key: str, **params: object) -> Finding:
        return Finding(self.area, state, self._say(f"doctor.{key}", **params))
