"""Who may see and do what: the matrix of roles and areas, read from the table `role_permissions`.

Its first fifteen areas are the modules of the Somos Produtora document (section 2.1); ads, messaging, approvals,
users and settings are ours. An agent acts within what its user may see and what an agent may see.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from core.db import Connection
from core.tenancy import Role


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

    @classmethod
    async def load(cls, conn: Connection) -> "Permissions":
        """Read the matrix; any connection will do, it is the same for all tenants."""
        rows = await (await conn.execute("SELECT role, area, access FROM role_permissions")).fetchall()
        return cls({(row["role"], row["area"]): row["access"] for row in rows})

    @property
    def areas(self) -> frozenset[str]:
        return frozenset(area for _, area in self.access)

    def read_scope(self, role: Role, area: str) -> Scope:
        """What this role may see of the area."""
        return _SCOPES[self.access.get((role, area), "-")][0]

    def write_scope(self, role: Role, area: str) -> Scope:
        """What this role may change in the area with its own hands."""
        return _SCOPES[self.access.get((role, area), "-")][1]

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
