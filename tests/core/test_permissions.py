"""Every cell of the matrix, as the Somos Produtora document gives it, and what follows for agents and approvals."""

import pytest

from core.permissions import Permissions, Scope
from core.tenancy import Role

# Section 2.1 of the document, in its own order of roles, and our five areas below it.
MATRIX = """
    area          Admin  Diretor  Comercial  Agente_IA  Cliente
    hunter        RW     RW       R          RW         -
    sdr           RW     RW       R          RW         -
    crm           RW     RW       RW*        R          -
    contracts     RW     RW       R          -          R
    projects      RW     RW       R          -          R
    finance       RW     R        -          -          R*
    inventory     RW     RW       R          -          -
    suppliers     RW     RW       R          -          -
    quotes        RW     RW       RW         RW         R
    content       RW     RW       R          RW         R*
    social        RW     RW       R          RW         -
    hr            RW     R        -          -          -
    intelligence  RW     RW       R          RW         -
    analytics     RW     RW       R          R          R*
    mobile        RW     RW       RW         -          RW
    ads           RW     RW       R          R          R*
    messaging     RW     RW       RW*        R          -
    approvals     RW     RW       R*         -          R*
    users         RW     R        -          -          -
    settings      RW     R        -          -          -
"""
HEADER, *ROWS = [line.split() for line in MATRIX.strip().splitlines()]
CELLS = [(Role(role), row[0], access) for row in ROWS for role, access in zip(HEADER[1:], row[1:], strict=True)]


async def test_every_cell_reads_and_writes_as_the_document_says(permissions: Permissions) -> None:
    assert len(CELLS) == 100 == len(permissions.access)
    assert permissions.areas == {row[0] for row in ROWS}
    for role, area, access in CELLS:
        reach = Scope.OWN if access.endswith("*") else Scope.ALL
        assert permissions.read_scope(role, area) == (Scope.NONE if access == "-" else reach), (role, area)
        assert permissions.write_scope(role, area) == (reach if access.startswith("RW") else Scope.NONE), (role, area)


async def test_an_agent_sees_no_more_than_its_user_and_no_more_than_an_agent(permissions: Permissions) -> None:
    for role, area, _ in CELLS:
        acting = permissions.acting_scope(role, area)
        assert acting <= permissions.read_scope(role, area)
        assert acting <= permissions.read_scope(Role.AGENTE_IA, area)
    assert permissions.acting_scope(Role.ADMIN, "ads") == Scope.ALL
    assert permissions.acting_scope(Role.CLIENTE, "ads") == Scope.OWN
    assert permissions.acting_scope(Role.ADMIN, "finance") == Scope.NONE


async def test_an_unknown_area_allows_nothing(permissions: Permissions) -> None:
    assert permissions.read_scope(Role.ADMIN, "nowhere") == permissions.write_scope(Role.ADMIN, "nowhere") == Scope.NONE
    assert not permissions.may_approve(Role.ADMIN, "WRITE", "nowhere")


@pytest.mark.parametrize("effect", ["WRITE", "SEND", "SPEND"])
async def test_only_admin_and_diretor_approve_ads(permissions: Permissions, effect: str) -> None:
    assert {role for role in Role if permissions.may_approve(role, effect, "ads")} == {Role.ADMIN, Role.DIRETOR}


async def test_spending_needs_admin_or_diretor_whatever_the_matrix_says(permissions: Permissions) -> None:
    generous = Permissions({(role, area): "RW" for role in Role for area in permissions.areas})
    assert {role for role in Role if generous.may_approve(role, "SPEND", "ads")} == {Role.ADMIN, Role.DIRETOR}
    assert generous.may_approve(Role.COMERCIAL, "WRITE", "ads")
    assert not generous.may_approve(Role.AGENTE_IA, "WRITE", "ads")


async def test_rights_on_the_area_alone_do_not_approve(permissions: Permissions) -> None:
    assert permissions.write_scope(Role.COMERCIAL, "quotes") == Scope.ALL
    assert not permissions.may_approve(Role.COMERCIAL, "WRITE", "quotes")
