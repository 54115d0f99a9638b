"""Webhooks of other gateways: through the same door, each into its own tenant, with no secret left behind."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from business.messaging.arrivals import Incoming
from business.messaging.channels import Channel, Channels
from business.messaging.gateway_doors import HEADER, HOOKS, HookKey, gateway_doors, hook_keys, secrets_of
from business.messaging.inbox import Inbox
from business.messaging.reading import read
from channels.whatsapp.door import WhatsAppDoor
from channels.whatsapp.numbers import Numbers
from core.clock import FixedClock
from core.db import Database
from core.permissions import Permissions
from core.tenancy import Role
from core.vault import Vault
from tests.channels.whatsapp.conftest import Outside
from tests.conftest import Dsns, Tenants

API_KEY = "EVOLUTION-API-KEY-0123456789"


@dataclass
class Gateways:
    outside: Outside
    key: HookKey
    ours: Channel
    theirs: Channel
    mapped: Channel

    async def post(self, channel: Channel, body: Any, *, tail: str = "", **headers: str) -> int:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        told = {"content-type": "application/json"} | headers
        path = f"/webhooks/{channel.provider}/{channel.id}{tail}"
        return (await self.outside.http.post(path, content=raw, headers=told)).status_code

    async def genuine(self, channel: Channel, body: Any, **more: str) -> int:
        return await self.post(channel, body, **{HEADER: self.key(channel.provider, channel.id)}, **more)


@pytest.fixture
async def gateways(
    inbox: Inbox, database: Database, tenants: Tenants, dsns: Dsns, clock: FixedClock, tmp_path: Path
) -> AsyncIterator[Gateways]:
    async with database.system() as conn:
        permissions = await Permissions.load(conn)
    vault = Vault.load(tmp_path)
    channels = Channels(database, vault, clock, "sandbox", permissions)
    one, other = tenants.one[Role.ADMIN], tenants.other[Role.ADMIN]
    ours = await channels.save(one, "evolution", "loja", secrets={"api_key": API_KEY})
    theirs = await channels.save(other, "evolution", "vizinha", secrets={"api_key": "ANOTHER"})
    mapped = await channels.save(one, "uazapi", "5511", secrets={"token": "UAZAPI-TOKEN"})
    door = WhatsAppDoor(
        inbox,
        Numbers(database, soon=0.0),
        clock,
        app_secret="",
        verify_token="",
        gateways=gateway_doors(channels, vault, tmp_path),
        secrets_of=secrets_of(channels),
    )
    outside = Outside(door, dsns.owner)
    async with outside.http:
        yield Gateways(outside, hook_keys(vault.named_secret(HOOKS)), ours, theirs, mapped)


def upsert(n: int, text: str = "oi", instance: str = "loja") -> dict[str, Any]:
    key = {"id": f"3EB0{n:04}", "fromMe": False, "remoteJid": "5511999990001@s.whatsapp.net"}
    data = {"key": key, "pushName": "Ana", "message": {"conversation": text}, "messageTimestamp": 1_763_650_800 + n}
    return {"event": "messages.upsert", "instance": instance, "data": data, "apikey": API_KEY, "server_url": "x"}


async def test_each_message_is_one_row_of_its_tenant_however_often_and_by_whatever_key_it_comes(
    gateways: Gateways, tenants: Tenants
) -> None:
    ours, key = gateways.ours, gateways.key("evolution", gateways.ours.id)
    ways = [
        gateways.genuine(ours, upsert(1)),
        gateways.post(ours, upsert(1)),  # Evolution's own key in the body
        gateways.genuine(ours, upsert(1), tail="/messages-upsert"),
        gateways.post(ours, {**upsert(1), "apikey": None}, tail=f"?key={key}"),
        gateways.genuine(ours, {**upsert(1), "date_time": "later", "apikey": "x"}),
        *(gateways.genuine(ours, upsert(n)) for n in range(2, 8)),
    ]
    assert await asyncio.gather(*ways) == [200] * len(ways)
    assert await gateways.genuine(gateways.theirs, upsert(1, instance="vizinha")) == 200  # another house's message 1
    uazapi = {
        "EventType": "messages",
        "token": "UAZAPI-TOKEN",
        "message": {"messageid": "3EB0", "text": "oi \x00\ud83d ok 😀"},
    }
    uazapi["message"] |= {"chatid": "5511999990001@s.whatsapp.net"}
    assert await gateways.genuine(gateways.mapped, uazapi) == 200

    rows = gateways.outside.rows()
    mine = [row for row in rows if row["number"] == "evolution:loja"]
    assert len(mine) == 7 and {row["tenant_id"] for row in mine} == {tenants.one.id}
    assert [row["tenant_id"] for row in rows if row["number"] == "evolution:vizinha"] == [tenants.other.id]
    assert len(rows) == 9
    kept = json.dumps([row["item"] for row in rows])
    assert API_KEY not in kept and "UAZAPI-TOKEN" not in kept and key not in kept
    for row in rows:
        found = read(row["number"], row["kind"], row["item"])
        assert isinstance(found, Incoming) and found.who.wa_id == "5511999990001"


async def test_what_does_not_bring_its_channels_key_leaves_nothing(gateways: Gateways) -> None:
    ours, key = gateways.ours, gateways.key("evolution", gateways.ours.id)
    body = upsert(1) | {"apikey": None}
    wrong = [key[:-1] + ("0" if key[-1] != "0" else "1"), key[:-1], "", gateways.key("evolution", gateways.theirs.id)]
    for one in wrong:
        assert await gateways.post(ours, body, **{HEADER: one}) == 401
    for api_key in ("ANOTHER", API_KEY[:-1], API_KEY.lower(), 7, "é"):
        assert await gateways.post(ours, body | {"apikey": api_key}) == 401
    assert await gateways.post(gateways.mapped, {"EventType": "messages", "token": "UAZAPI-TOKEN"}) == 401
    assert await gateways.genuine(ours, upsert(1, instance="vizinha")) == 400  # another house's instance
    assert await gateways.genuine(ours, b"[]") == 400
    nobody = "/webhooks/evolution/chan_nobody"
    assert (await gateways.outside.http.post(nobody, json=body, headers={HEADER: key})).status_code == 404
    swapped = f"/webhooks/uazapi/{ours.id}"
    assert (await gateways.outside.http.post(swapped, json=body, headers={HEADER: key})).status_code == 404
    assert (await gateways.outside.http.get(f"/webhooks/evolution/{ours.id}")).status_code == 405
    assert gateways.outside.rows() == []


async def test_a_gateway_is_told_to_come_again_when_nothing_can_be_written(gateways: Gateways, inbox: Inbox) -> None:
    await inbox.close()
    assert await gateways.genuine(gateways.ours, upsert(1)) == 503
    assert gateways.outside.rows() == []
