"""Tenants and users as the rest of the house sees them."""

from dataclasses import dataclass
from datetime import datetime

from core.tenancy import Role


@dataclass(frozen=True)
class Tenant:
    """A company that uses the product. `slug` is its short name in commands: lower case, digits and hyphens."""

    id: str
    slug: str
    name: str


@dataclass(frozen=True)
class User:
    """A person (or the service account of an agent) of one tenant. `accounts` matter to partial roles only."""

    id: str
    tenant_id: str
    email: str
    name: str
    role: Role
    active: bool
    demo: bool
    created_at: datetime
    accounts: frozenset[str] = frozenset()


@dataclass(frozen=True)
class DemoLogin:
    """A demo user of the sandbox, with the password that `make run` shows."""

    email: str
    password: str
    name: str
    role: Role
