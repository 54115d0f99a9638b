"""Who is speaking: a person or program of one tenant, with one role."""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    ADMIN = "Admin"
    DIRETOR = "Diretor"
    COMERCIAL = "Comercial"
    AGENTE_IA = "Agente_IA"
    CLIENTE = "Cliente"


@dataclass(frozen=True)
class Identity:
    """The user of a turn. `role` is read again from the database at every turn, never cached in a session.

    `accounts` limits a role whose access to Ads is partial (Cliente) to these ad account ids; None is no limit.
    """

    tenant_id: str
    user_id: str
    role: Role
    name: str
    email: str
    language: str = "pt-BR"
    time_zone: str = "America/Sao_Paulo"
    accounts: frozenset[str] | None = None
