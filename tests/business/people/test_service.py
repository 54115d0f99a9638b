from tests.conftest import Tenants
from core.tenancy import Role


async def test_a(tenants: Tenants) -> None:
    assert tenants.one[Role.CLIENTE].accounts == {"act_100000000000001"}
    assert tenants.one[Role.ADMIN].accounts is None


async def test_b(tenants: Tenants) -> None:
    assert tenants.one.id != tenants.other.id
