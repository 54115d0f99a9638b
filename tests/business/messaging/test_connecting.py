"""Connecting a number says what is wrong and what to do, keeps it sealed, and tells the gateway where we are."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx
import psycopg
import pytest

from business.messaging.channels import Channel, Channels
from business.messaging.checks import WhatsAppCheck
from business.messaging.connecting import Connecting, Step, Wanted, verify_token
from business.messaging.gateway_clients import evolution_opener
from business.messaging.gateway_doors import HEADER, gateway_doors
from business.messaging.sender_evolution import EvolutionSender
from core.clock import FixedClock
from core.db import Database
from core.doctor import Finding, examine
from core.errors import ArgumentsWrong, MutiraoError
from core.permissions import Permissions
from core.settings import Settings
from core.tenancy import Role
from core.vault import Vault
from integrations.evolution.simulator.state import INSTANCE
from integrations.whatsapp_cloud import messages as say
from integrations.whatsapp_cloud.messages import Button, Card, MediaRef, Row, Section
from integrations.whatsapp_cloud.simulator.state import ACCOUNTS
from prompts.texts import Texts
from tests.conftest import Tenants
from tests.integrations.evolution.conftest import LEAD, Ours, evolution, ours
from tests.integrations.evolution.conftest import Control as Evolution
from tests.integrations.evolution.conftest import _evolution as _evolution
from tests.integrations.whatsapp_cloud.conftest import Control, control, whatsapp

__all__ = ["control", "evolution", "ours", "whatsapp"]  # fixtures of the wire
WABA, NUMBER = ACCOUNTS[0].waba_id, ACCOUNTS[0].number_id
TEXTS = Texts.load()
PNG = b"\x89PNG\r\n\x1a\n" + bytes(60)


class House:
    """Everything that connecting needs, in one world."""

    def __init__(
        self, db: Database, clock: FixedClock, permissions: Permissions, http: httpx.AsyncClient, settings: Settings
    ) -> None:
        self.db, self.clock, self.http = db, clock, http
        self.permissions = permissions
        self.use(settings)

    def use(self, settings: Settings) -> None:
        self.settings = settings
        self.vault = Vault.load(settings.data_dir)
        self.channels = Channels(self.db, self.vault, self.clock, settings.whatsapp, self.permissions)
        self.connecting = Connecting(self.channels, self.http, settings, self.vault)

    async def doctor(self, tenants: Tenants, *, live: bool) -> list[Finding]:
        async def known() -> list[tuple[str, str]]:
            return [(tenants.one.id, "Aurora")]

        def words(key: str, /, **params: object) -> str:
            return TEXTS.say("pt-BR", key, **params)

        def explain(error: MutiraoError) -> str:
            return TEXTS.error("pt-BR", error)

        check = WhatsAppCheck(self.channels, self.connecting, known, self.db, self.clock, self.settings, words, explain)
        return await examine([check], explain, live=live)


@pytest.fixture
async def house(database: Database, clock: FixedClock, tmp_path: Path) -> AsyncIterator[House]:
    async with database.system() as conn:
        permissions = await Permissions.load(conn)
    async with httpx.AsyncClient(trust_env=False, verify=False) as http:
        yield House(database, clock, permissions, http, Settings(data_dir=tmp_path, port=8123))


def states(steps: tuple[Step, ...] | list[Step]) -> dict[str, str]:
    """Also: every step has its words in every language."""
    for step in steps:
        for language in ("pt-BR", "en", "es"):
            if step.error is None:
                assert TEXTS.say(language, f"connect.whatsapp.{step.name}.{step.state}", **step.params)
            else:
                reason = TEXTS.error(language, step.error)
                assert reason in TEXTS.say(language, "connect.whatsapp.failed", step=step.name, reason=reason)
    return {step.name: step.state for step in steps}


async def code(work: object) -> str:
    with pytest.raises(MutiraoError) as failed:
        await work  # type: ignore[misc]
    for language in ("pt-BR", "en", "es"):
        assert len(TEXTS.error(language, failed.value)) > 20
    return failed.value.code


async def test_a_number_of_the_sandbox_is_checked_kept_sealed_and_nothing_is_kept_of_a_wrong_one(
    house: House, control: Control, tenants: Tenants, tmp_path: Path
) -> None:
    who = tenants.one[Role.ADMIN]
    wanted = Wanted("whatsapp_cloud", NUMBER, control.secrets.token, WABA, base_url=control.url)
    assert control.secrets.token not in repr(wanted)
    for wrong, expected in [
        (replace(wanted, token="EAASANDBOXother"), "whatsapp_token"),
        (replace(wanted, token="EAAGrealToken"), "whatsapp_token_not_of_sandbox"),
        (replace(wanted, token=""), "whatsapp_token_malformed"),
        (replace(wanted, token="two words"), "whatsapp_token_malformed"),
        (replace(wanted, number="100000000000999"), "whatsapp_bad_request"),
        (replace(wanted, number="../me"), "whatsapp_malformed"),
        (replace(wanted, base_url="http://127.0.0.1:9"), "whatsapp_unavailable"),
        (replace(wanted, provider="sms"), "channel_malformed"),
    ]:
        assert await code(house.connecting.connect(who, wrong)) == expected
    assert await house.channels.of(who.tenant_id) == []
    assert await code(house.connecting.connect(tenants.one[Role.COMERCIAL], wanted)) == "channels_not_allowed"

    found = await house.connecting.connect(who, wanted)
    assert states(found.steps) == {"number": "ok", "account": "ok", "webhook": "note"}
    assert (found.channel.phone, found.channel.name) == ("551940000001", "Aurora Móveis")
    assert (await house.channels.secrets(found.channel))["token"] == control.secrets.token
    assert states((await house.connecting.connect(who, replace(wanted, account="999"))).steps)["account"] == "wrong"
    taken = house.connecting.connect(tenants.other[Role.ADMIN], wanted)
    assert await code(taken) == "channel_taken"
    assert [(f.state, f.area) for f in await house.doctor(tenants, live=False)] == [
        ("note", "whatsapp"), ("ok", "whatsapp"),
    ]  # fmt: skip


async def test_a_live_number_says_step_by_step_what_is_still_missing(
    house: House, control: Control, tenants: Tenants, tmp_path: Path
) -> None:
    """Meta is not on this machine: the simulator stands in, reached by a token that is not of the sandbox."""
    who = tenants.one[Role.ADMIN]
    live = Settings(data_dir=tmp_path, whatsapp="live")
    house.use(live)
    assert (await house.doctor(tenants, live=False))[0].state == "missing"  # no number
    real = Wanted("whatsapp_cloud", NUMBER, "EAAGrealToken", WABA, base_url=control.url)
    assert await code(house.connecting.connect(who, replace(real, token=control.secrets.token))) == (
        "whatsapp_token_of_sandbox"
    )
    token = control.secrets.token
    answers = {"/v": None}

    def meta(request: httpx.Request) -> httpx.Response:
        if request.url.host == "casa.example":
            query = dict(request.url.params)
            right = query.get("hub.verify_token") == verify_token(house.settings, house.vault)
            return httpx.Response(200 if right else 403, text=query["hub.challenge"] if right else "no")
        if request.url.host == "dead.example":
            raise httpx.ConnectError("no route", request=request)
        assert request.headers["authorization"] == "Bearer EAAGrealToken"
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        asked = httpx.Request(request.method, str(request.url), headers=headers, content=request.content)
        with httpx.Client(trust_env=False, verify=False) as wire:
            body = wire.send(asked).json()
        if answers["/v"] and "display_phone_number" in body:
            body["webhook_configuration"] = {"phone_number": answers["/v"]}
        return httpx.Response(200, json=body)

    async with httpx.AsyncClient(transport=httpx.MockTransport(meta)) as house.http:

        async def connect(**more: object) -> dict[str, str]:
            house.use(Settings(data_dir=tmp_path, whatsapp="live", **more))  # type: ignore[arg-type]
            return states((await house.connecting.connect(who, real)).steps)

        assert await connect() == {"number": "ok", "account": "ok", "secret": "missing", "address": "missing"}
        secret = {"whatsapp_app_secret": "s3cret"}
        for inner in ("http://casa.example", "https://localhost", "https://192.168.0.7", "https://casa.local"):
            assert (await connect(**secret, public_url=inner))["address"] == "wrong"
        assert await connect(**secret, public_url="https://dead.example") == {
            "number": "ok", "account": "ok", "handshake": "wrong", "webhook": "missing",
        }  # fmt: skip
        answers["/v"] = "https://elsewhere.example/hook"
        good = secret | {"public_url": "https://casa.example"}
        assert (await connect(**good))["webhook"] == "wrong"
        answers["/v"] = "https://casa.example/webhooks/whatsapp"
        assert await connect(**good) == {"number": "ok", "account": "ok", "handshake": "ok", "webhook": "ok"}
        told = await house.doctor(tenants, live=True)
        assert {one.state for one in told} == {"ok"} and len(told) == 3
        asleep = await house.doctor(tenants, live=False)
        assert [one.state for one in asleep] == ["unverified"]
    house.use(live)
    alone = [(one.state, "APP_SECRET" in one.text) for one in await house.doctor(tenants, live=False)]
    assert ("broken", True) in alone


async def test_evolution_is_connected_told_our_address_and_sends_all_that_it_can(
    house: House, evolution: Evolution, ours: Ours, tenants: Tenants
) -> None:
    who = tenants.one[Role.ADMIN]
    wanted = Wanted("evolution", INSTANCE, evolution.key, base_url=evolution.url)
    for wrong, expected in [
        (replace(wanted, token="SANDBOXwrong"), "gateway_token"),
        (replace(wanted, number="outra"), "gateway_number_missing"),
        (replace(wanted, base_url="https://evo.example"), "gateway_not_local"),
        (replace(wanted, base_url=""), "channel_malformed"),
        (replace(wanted, base_url="http://127.0.0.1:9"), "gateway_unavailable"),
    ]:
        assert await code(house.connecting.connect(who, wrong)) == expected
    found = await house.connecting.connect(who, wanted)
    assert states(found.steps) == {"connection": "ok", "evolution": "note", "hook": "ok"}
    channel: Channel = found.channel
    assert states(await house.connecting.look(channel))["hook"] == "ok"
    asked = await house.http.get(f"{evolution.url}/webhook/find/{INSTANCE}", headers={"apikey": evolution.key})
    hook = asked.json()
    assert hook["url"] == f"http://127.0.0.1:8123/webhooks/evolution/{channel.id}" and hook["base64"] is False
    door = gateway_doors(house.channels, house.vault, house.settings.data_dir)["evolution"]
    assert await door.admits(who.tenant_id, channel.id, {HEADER: hook["headers"][HEADER]}, {}, b"{}")
    own = json.dumps({"apikey": evolution.key}).encode()
    assert await door.admits(who.tenant_id, channel.id, {}, {}, own)
    assert not await door.admits(tenants.other.id, channel.id, {}, {}, own)

    sender = EvolutionSender(evolution_opener(house.channels, house.http))
    theirs = evolution.write("oi")["key"]["id"]
    picture = await sender.upload(channel, "image", PNG, "image/png", "a.png")
    link = MediaRef(link="https://e.co/a")
    before = evolution.seen()
    for content in (
        say.text("Oi"),
        say.option_list("Qual?", "Ver", [Section("Manhã", (Row("1", "9h", "com a Ana"), Row("2", "10h")))]),
        say.buttons("Pode?", [Button("s", "Sim")]),
        say.link_button("Marque", "Agenda", "https://e.co/agenda"),
        say.image(MediaRef(id=picture), "foto"),
        say.audio(link, voice=True),
        say.sticker(link),
        say.document(link, "a.pdf"),
        say.location(-22.9, -47.0),
        say.contacts([Card("Ana", ("+55 11 98888-0000",), company="Aurora")]),
        say.reaction(theirs, "👍"),
    ):
        taken = await sender.send(channel, LEAD, content, callback="out_1", reply_to=theirs)
        assert taken.id and taken.address == LEAD
    said = [one["body"].get("text") for one in evolution.since(before) if one["path"].startswith("/message/sendText")]
    assert said == [
        "Oi",
        "Qual?\n\n*Manhã*\n1. 9h – com a Ana\n2. 10h",
        "Pode?\n\n1. Sim",
        "Marque\n\nAgenda: https://e.co/agenda",
    ]
    for content in (say.template("hello_world", "en_US"), say.image(MediaRef(id=picture))):
        with pytest.raises(ArgumentsWrong) as cannot:
            await sender.send(channel, LEAD, content, callback="out_1")
        assert cannot.value.code == "gateway_cannot"
    await sender.mark_read(channel, theirs, typing=True)
    await sender.close()
    evolution.ask("/__state", state="close")
    assert states(await house.connecting.look(channel))["connection"] == "wrong"
    with pytest.raises(MutiraoError) as closed:
        await sender.send(channel, LEAD, say.text("Oi"), callback="out_1")
    refusal = sender.refusal(closed.value)
    assert (refusal.action, refusal.scope, refusal.wait, refusal.sure) == ("wait", "number", 60.0, True)
    assert any("Evolution" in one.text for one in await house.doctor(tenants, live=False))


async def test_a_gateway_without_public_format_is_connected_and_marked_unverified(
    house: House, tenants: Tenants, tmp_path: Path
) -> None:
    who, asked = tenants.one[Role.ADMIN], []

    def uazapi(request: httpx.Request) -> httpx.Response:
        asked.append((str(request.url), request.headers.get("token")))
        known = request.headers.get("token") == "abc"
        return httpx.Response(200 if known else 401, json={"instance": {"status": "disconnected"}})

    async with httpx.AsyncClient(transport=httpx.MockTransport(uazapi)) as house.http:
        house.use(Settings(data_dir=tmp_path, whatsapp="live"))
        wanted = Wanted("uazapi", "5511999990001", "abc", base_url="https://loja.uazapi.com")
        assert await code(house.connecting.connect(who, replace(wanted, token="other"))) == "gateway_token"
        found = await house.connecting.connect(who, wanted)
        assert states(found.steps) == {"unverified": "unknown", "connection": "wrong", "address": "missing"}
        house.use(Settings(data_dir=tmp_path, whatsapp="live", public_url="https://casa.example"))
        hook = (await house.connecting.connect(who, wanted)).steps[-1]
        address = f"https://casa.example/webhooks/uazapi/{found.channel.id}?key="
        assert hook.state == "note" and str(hook.params["url"]).startswith(address)
        assert asked[-1] == ("https://loja.uazapi.com/instance/status", "abc")
        for live in (False, True):
            told = await house.doctor(tenants, live=live)
            assert any(one.state == "unverified" and "público" in one.text for one in told)
        lance = Wanted("lancepilot", "5511999990001", "abc", account="ws", base_url="https://lancepilot.com/api/v3")
        assert await code(house.connecting.connect(who, lance)) == "gateway_token"  # another header


async def test_what_came_for_nobody_or_waits_too_long_is_told_by_the_doctor(
    house: House, tenants: Tenants, owner_dsn: str
) -> None:
    with psycopg.connect(owner_dsn) as conn:
        insert = """INSERT INTO inbox (number, key, tenant_id, kind, item, received_at)
                    VALUES (%s, %s, %s, 'message', '{}', %s)"""
        conn.execute(insert, ["whatsapp_cloud:9", "k", None, house.clock.now()])
        conn.execute(insert, ["whatsapp_cloud:1", "k", tenants.one.id, house.clock.now()])
    told = await house.doctor(tenants, live=False)
    assert [one.state for one in told] == ["note", "note"] and "1 aviso" in told[1].text
    house.clock.advance(timedelta(minutes=10))
    assert [one.state for one in await house.doctor(tenants, live=False)] == ["note", "note", "broken"]
