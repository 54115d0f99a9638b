"""Tokens of the sandbox and of the live Meta never meet, and a token that is disconnected is gone."""

from pathlib import Path

import httpx
import pytest

from business.ads.connections import MetaConnections
from business.ads.service import AdsService
from core.clock import FixedClock
from core.db import Database
from core.errors import MutiraoError, Refused
from core.tenancy import Role
from core.vault import Vault
from integrations.meta_ads.client import MetaAdsClient
from tests.business.ads.conftest import AURORA, World
from tests.conftest import Tenants


class Both:
    """The same tenant's connections as a process of the sandbox and one of the live Meta see them. The live address is
    the same loopback server, so that any request to it is counted."""

    def __init__(self, database: Database, world: World, http: httpx.AsyncClient, folder: Path) -> None:
        def opened(token: str) -> MetaAdsClient:
            return MetaAdsClient(http, token, base_url=world.launched.base_url, pause=0.01)

        vault = Vault.load(folder)
        self.sandbox = MetaConnections(database, vault, FixedClock(), opened, "sandbox")
        self.live = MetaConnections(database, vault, FixedClock(), opened, "live")


@pytest.fixture
async def both(database: Database, world: World, http: httpx.AsyncClient, tmp_path: Path) -> Both:
    return Both(database, world, http, tmp_path)


async def test_what_is_connected_to_the_sandbox_does_not_exist_for_the_live_meta(
    both: Both, world: World, tenants: Tenants
) -> None:
    who = tenants.one[Role.ADMIN]
    checked = await both.sandbox.check(world.launched.token)
    await both.sandbox.save(who, checked, [AURORA])
    assert [c.account_ids for c in await both.sandbox.of(who.tenant_id)] == [{AURORA}]
    assert await both.live.of(who.tenant_id) == []
    with pytest.raises(Refused, match="no connection reaches"):
        await both.live.client_for(who.tenant_id, AURORA)

    async def nothing(tenant_id: str) -> list[object]:
        return list(await both.live.of(tenant_id))

    with pytest.raises(MutiraoError) as told:
        await AdsService(nothing, FixedClock()).accounts(who)  # type: ignore[arg-type]
    assert told.value.code == "accounts_none"


async def test_a_token_of_the_other_world_is_refused_and_sent_nowhere(both: Both, world: World) -> None:
    before = await world.requests()
    with pytest.raises(Refused) as real:
        await both.sandbox.check("EAAG0realTokenOfSomebody")
    with pytest.raises(Refused) as simulated:
        await both.live.check(world.launched.token)
    assert (real.value.code, simulated.value.code) == ("meta_token_not_of_sandbox", "meta_token_of_sandbox")
    assert await world.requests() == before


async def test_disconnecting_deletes_the_token_and_is_in_the_audit_log(
    both: Both, world: World, tenants: Tenants, database: Database
) -> None:
    who, other = tenants.one[Role.ADMIN], tenants.other[Role.ADMIN]
    checked = await both.sandbox.check(world.launched.token)
    for person in (who, other):
        await both.sandbox.save(person, checked, [AURORA])
    assert await both.live.remove(who) == []
    assert await both.sandbox.remove(who) == [checked.owner]
    assert await both.sandbox.of(who.tenant_id) == [] and len(await both.sandbox.of(other.tenant_id)) == 1
    assert await both.sandbox.remove(who) == []
    async with database.tenant(who.tenant_id) as conn:
        rows = await (
            await conn.execute("SELECT actor, detail FROM audit_log WHERE action = 'connection.removed'")
        ).fetchall()
    assert [row["detail"] for row in rows] == [{"environment": "sandbox", "owners": [checked.owner]}]
