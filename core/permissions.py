"""Who may see and do what: the matrix of roles and areas, read from the table `role_permissions`.

Its first fifteen areas are the modules of the Somos Produtora document (section 2.1); ads, messaging, approvals,
users and settings are ours. An agent acts within what its user may see and what an agent may see.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import IntEnum

from core.db import Connection, fetch_all
from core.errors import Refused
from core.tenancy import Identity, Role


class Scope(IntEnum):
    """How far a right reaches. The smaller of two scopes is what both allow."""

    NONE = 0
    OWN = 1  # only one's own: a seller's deals, a client's accounts
    ALL = 2  # everything in the tenant


MAY_APPROVE_SPENDING = frozenset({Role.ADMIN, Role.DIRETOR})
_SCOPES = {
    # access: (read, write)
    "RW": (Scope.ALL, Scope.ALL),
    "RW*": (Scope.OWN, Scope.OWN),
    "R": (Scope.ALL, Scope.NONE),
    "R*": (Scope.OWN, Scope.NONE),
    "-": (Scope.NONE, Scope.NONE),
}


@dataclass(frozen=True)
class Permissions:
    """The whole matrix: (role, area) → access, one of RW, R, RW*, R*, -. What is not in it is not allowed."""

    access: Mapping[tuple[str, str], str]
    at_most: Scope = Scope.ALL
    read_only: bool = False

    def narrowed(self, *, at_most: Scope = Scope.ALL, read_only: bool = False) -> "Permissions":
        """The same matrix for an agent that works for somebody and may do less than they."""
        return replace(self, at_most=min(at_most, self.at_most), read_only=read_only or self.read_only)

    @classmethod
    async def load(cls, conn: Connection) -> "Permissions":
        """Read the matrix; any connection will do, it is the same for all tenants."""
        rows = await fetch_all(conn, "SELECT role, area, access FROM role_permissions")
        return cls({(row["role"], row["area"]): row["access"] for row in rows})

    @property
    def areas(self) -> frozenset[str]:
        return frozenset(area for _, area in self.access)

    def read_scope(self, role: Role, area: str) -> Scope:
        """What this role may see of the area."""
        return min(_SCOPES[self.access.get((role, area), "-")][0], self.at_most)

    def write_scope(self, role: Role, area: str) -> Scope:
        """What this role may change in the area with its own hands."""
        if self.read_only:
            return Scope.NONE
        return min(_SCOPES[self.access.get((role, area), "-")][1], self.at_most)

    def acting_scope(self, role: Role, area: str) -> Scope:
        """What an agent that works for this role may see: never more than the role, never more than an agent."""
        return min(self.read_scope(role, area), self.read_scope(Role.AGENTE_IA, area))

    def may_approve(self, role: Role, effect: str, area: str) -> bool:
        """Whether this role may say yes to a proposal: RW without a star on its area and on approvals.

        `effect` is WRITE, SEND or SPEND; a SPEND needs Admin or Diretor. An agent approves nothing.
        """
        if role == Role.AGENTE_IA or (effect == "SPEND" and role not in MAY_APPROVE_SPENDING):
            return False
        return self.write_scope(role, area) == self.write_scope(role, "approvals") == Scope.ALL


@dataclass(frozen=True)
class Rights:
    """How far a user's rights reach in the one area of a service; `refusal` is the code of the Refused that it raises.

    "Whose" is None for everybody's records, else the user's own id.
    """

    permissions: Permissions
    area: str
    refusal: str

    def reads(self, who: Identity) -> str | None:
        """Whose records this user sees."""
        return self._reach(who, self.permissions.read_scope(who.role, self.area))

    def writes(self, who: Identity) -> str | None:
        """Whose records this user may change."""
        return self._reach(who, self.permissions.write_scope(who.role, self.area))

    def writes_all(self, who: Identity) -> None:
        """For what belongs to the whole house."""
        if self.writes(who) is not None:
            raise Refused(self.refusal, f"{who.role} may change only their own in {self.area}")

    def _reach(self, who: Identity, scope: Scope) -> str | None:
        if scope is Scope.NONE:
            raise Refused(self.refusal, f"{who.role} may not do this in {self.area}")
        return who.user_id if scope is Scope.OWN else None
