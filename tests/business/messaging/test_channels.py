"""By what a tenant is reached: one table, sealed secrets, a number that belongs to one house only, old columns last."""

from pathlib import Path

import psycopg
import pytest

from business.messaging.channels import LEGACY, Channels, legacy_bound
from core.clock import FixedClock
from core.db import Database
from core.errors import MutiraoError, Refused, SetupError
from core.permissions import Permissions
from core.tenancy import Role
from core.vault import Vault
from tests.conftest import Tenants

TOKEN = "EAAG-secret-token"


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault.load(tmp_path)


@pytest.fixture
async def permissions(database: Database) -> Permissions:
    async with database.system() as conn:
        return await Permissions.load(conn)


async def test_a_number_is_connected_sealed_changed_paused_and_seen_by_its_house_alone(
    database: Database, vault: Vault, clock: FixedClock, permissions: Permissions, tenants: Tenants, owner_dsn: str
) -> None:
    channels = Channels(database, vault, clock, "sandbox", permissions)
    who = tenants.one[Role.DIRETOR]
    saved = await channels.save(
        who, "whatsapp_cloud", "100000000000201", phone="5511999990000", secrets={"token": TOKEN}
    )
    assert await channels.of(who.tenant_id) == [saved] and await channels.default(who.tenant_id) == saved
    assert await channels.secrets(saved) == {"token": TOKEN}

    again = await channels.save(who, "whatsapp_cloud", "100000000000201", name="Vendas", settings={"a": 1})
    assert (again.id, again.name, again.phone, again.settings) == (saved.id, "Vendas", "5511999990000", {"a": 1})
    assert await channels.secrets(again) == {"token": TOKEN}

    await channels.pause(who, saved.id)
    assert await channels.default(who.tenant_id) is None
    assert (await channels.resume(who, saved.id)).state == "active"

    # Sealed for this row, and for nobody else's eyes.
    with psycopg.connect(owner_dsn) as conn:
        row = conn.execute("SELECT secret FROM channels").fetchone()
        assert row is not None and TOKEN.encode() not in bytes(row[0])
        conn.execute("UPDATE channels SET id = 'moved'")
    with pytest.raises(SetupError, match="does not open"):
        await channels.secrets(await channels.get(who.tenant_id, "moved"))

    assert await channels.of(tenants.other.id) == []
    with pytest.raises(Refused) as taken:
        await channels.save(tenants.other[Role.ADMIN], "whatsapp_cloud", "100000000000201", secrets={"token": "x"})
    assert taken.value.code == "channel_taken" and taken.value.params["number"] == "100000000000201"
    for role in (Role.COMERCIAL, Role.CLIENTE, Role.AGENTE_IA):
        with pytest.raises(Refused, match="messaging"):
            await channels.save(tenants.one[role], "evolution", "vendas")
    with pytest.raises(MutiraoError) as unknown:
        await channels.get(who.tenant_id, "chan_none")
    assert unknown.value.code == "channel_unknown"
    for provider, number, url in [
        ("whatsapp_cloud", "12a", ""), ("evolution", "a/b", ""), ("evolution", "ok", "ftp://x"), ("kik", "1", ""),
    ]:  # fmt: skip
        with pytest.raises(MutiraoError) as wrong:
            await channels.save(who, provider, number, base_url=url)  # type: ignore[arg-type]
        assert wrong.value.code == "channel_malformed"


async def test_the_sandbox_and_the_real_gateways_do_not_see_each_others_numbers(
    database: Database, vault: Vault, clock: FixedClock, permissions: Permissions, tenants: Tenants
) -> None:
    sandbox = Channels(database, vault, clock, "sandbox", permissions)
    live = Channels(database, vault, clock, {"evolution": "live"}, permissions)
    who = tenants.one[Role.ADMIN]
    saved = await sandbox.save(who, "evolution", "vendas", secrets={"api_key": "k"})
    assert await live.of(who.tenant_id) == [] and await live.default(who.tenant_id) is None
    with pytest.raises(Refused) as other:
        await live.save(who, "evolution", "vendas")
    assert other.value.code == "channel_other_world"
    assert await sandbox.of(who.tenant_id) == [saved]


@pytest.mark.parametrize(
    ("provider", "address", "number", "base_url", "name"),
    [
        ("meta", "https://graph.facebook.com/v20.0/109876543210987/messages", "109876543210987", "", "token"),
        ("evolution", "https://evo.example/loja", "loja", "https://evo.example", "api_key"),
        ("uazapi", "https://free.uazapi.com", None, "https://free.uazapi.com", "token"),
    ],
)
async def test_the_old_columns_are_read_last_and_never_written(
    database: Database,
    vault: Vault,
    clock: FixedClock,
    permissions: Permissions,
    tenants: Tenants,
    owner_dsn: str,
    provider: str,
    address: str,
    number: str | None,
    base_url: str,
    name: str,
) -> None:
    tenant_id = tenants.one.id
    key_id, sealed = vault.seal(TOKEN.encode(), bound_to=legacy_bound(tenant_id))
    query = "UPDATE tenants SET whatsapp_provider = %s, api_url = %s, token = %s, token_key_id = %s WHERE id = %s"
    with psycopg.connect(owner_dsn) as conn:
        conn.execute(query, [provider, address, sealed, key_id, tenant_id])
    assert await Channels(database, vault, clock, "sandbox", permissions).of(tenant_id) == []

    channels = Channels(database, vault, clock, "live", permissions)
    legacy = await channels.default(tenant_id)
    assert legacy is not None
    assert (legacy.id, legacy.number, legacy.base_url) == (LEGACY + tenant_id, number or tenant_id, base_url)
    assert legacy.settings == {"deprecated": True}
    assert await channels.secrets(legacy) == {name: TOKEN}

    # A number of the provider table goes first, and the old credentials still serve the conversations they have.
    newer = await channels.save(tenants.one[Role.ADMIN], "whatsapp_cloud", "200000000000001", secrets={"token": "n"})
    assert await channels.default(tenant_id) == newer
    with psycopg.connect(owner_dsn) as conn:
        conn.execute("UPDATE tenants SET token = NULL, token_key_id = NULL WHERE id = %s", [tenant_id])
        kept = conn.execute("SELECT whatsapp_provider, api_url FROM tenants WHERE id = %s", [tenant_id]).fetchone()
    assert kept == (provider, address)
    with pytest.raises(Refused) as gone:
        await channels.secrets(legacy)
    assert gone.value.code == "channel_without_secret"
