"""What leaves: each wish once, in order, asked anew at the last moment, and every refusal with what follows from it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from business.messaging.templates import Filled, Purpose
from business.messaging.templates_store import templates_of
from core.db import Database
from core.errors import Refused
from core.permissions import Permissions
from core.tenancy import Role
from integrations.whatsapp_cloud.errors import RULES
from integrations.whatsapp_cloud.simulator import launch
from tests.business.messaging.outbox_house import WEDNESDAY, House, Wire, open_house
from tests.conftest import Tenants

DAY = timedelta(hours=24)


@pytest.fixture(scope="session")
def running_wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    folder = tmp_path_factory.mktemp("outbox-whatsapp")
    wire = Wire(launch.start(folder), folder)
    yield wire
    wire.close()


@pytest.fixture
def wire(running_wire: Wire) -> Wire:
    running_wire.reset()
    return running_wire


@pytest.fixture
async def house(
    database: Database, tenants: Tenants, permissions: Permissions, wire: Wire, tmp_path: Path
) -> AsyncIterator[House]:
    async with httpx.AsyncClient(trust_env=False) as http:
        made = await open_house(database, tenants, permissions, wire, tmp_path, http)
        yield made
        await made.jobs.close()


async def test_a_wish_leaves_once_however_often_it_is_put_and_run_and_in_the_order_in_which_it_was_put(
    house: House,
) -> None:
    chat = await house.chat()
    ids = [await house.put(chat, f"parte {n}", key=f"answer:{n}") for n in (1, 2, 3)]
    assert await house.put(chat, "outra coisa", key="answer:2") == ids[1]
    assert {row["status"] for row in [await house.row(one) for one in ids]} == {"queued"}

    await asyncio.gather(*(house.run(chat) for _ in range(5)))
    for _ in range(3):  # a pair gets one in 6 seconds
        house.clock.advance(timedelta(seconds=6))
        await asyncio.gather(*(house.run(chat) for _ in range(3)))

    assert house.texts == ["parte 1", "parte 2", "parte 3"]
    rows = [await house.row(one) for one in ids]
    assert [(row["state"], row["status"], row["attempts"]) for row in rows] == [("sent", "accepted", 1)] * 3
    assert [one["biz_opaque_callback_data"] for one in house.sent] == ids
    chats = await house.rows("SELECT answered_in, version FROM chats WHERE id = %s", chat)
    assert chats[0]["answered_in"] == 1 and chats[0]["version"] >= 6


async def test_what_changed_between_put_and_send_is_asked_about_again(house: House) -> None:
    now = house.clock.now()
    written: dict[str, Any] = {"answers": 1}
    cases: list[tuple[str, dict[str, Any], dict[str, Any], str, str]] = [
        ("a person took over", {"held": "person", "held_since": now}, written, "dropped", "person_has_it"),
        ("handed back since", {"segment": 1}, written, "dropped", "other_segment"),
        ("the contact wrote more", {"messages_in": 2}, written, "dropped", "newer_message"),
        ("the window closed", {"last_from_contact": now - DAY - DAY}, written, "ask", "window"),
        ("the window closed on a person's words", {"last_from_contact": now - DAY - DAY},
         {"author": "person"}, "ask", "window"),
    ]  # fmt: skip
    for what, changes, draft, state, reason in cases:
        chat = await house.chat()
        row = await house.put(chat, what, **draft)
        await house.change(chat, **changes)
        await house.run(chat)
        found = await house.row(row)
        assert (what, found["state"], found["reason"]) == (what, state, reason)
        assert found["status"] == ("dropped" if state == "dropped" else "queued")
        assert found["decision"]["rule"] == reason

    out = await house.chat()
    row = await house.put(out, "ainda?")
    address = (await house.rows("SELECT address FROM chats WHERE id = %s", out))[0]["address"]
    house.blocked_since[address] = now - timedelta(seconds=10)
    await house.run(out)
    # Who wrote before the stop is written to no more; who wrote after it is answered.
    assert (await house.row(row))["reason"] == "opted_out"
    late = await house.chat(wrote=timedelta(minutes=1), address="5511988887777")
    house.blocked_since["5511988887777"] = now - DAY
    assert (await house.say(late, "respondo"))["state"] == "sent"
    assert house.texts == ["respondo"]
    assert {alert.kind for alert in house.alerts} == {"ask"}


async def test_a_follow_up_waits_for_its_hour_and_holds_back_no_answer(house: House) -> None:
    house.clock.at = WEDNESDAY + timedelta(hours=9)  # nine in the evening
    await house.templates.sync(house.tenant_id)
    chat = await house.chat(wrote=DAY * 2)
    follow = await house.put(chat, "e aí?", purpose=Purpose.FOLLOW_UP, values={"topic": "as mesas"})
    await house.run(chat)
    row = await house.row(follow)
    assert (row["state"], row["decision"]["rule"]) == ("waiting", "quiet_hours")
    assert row["not_before"] == WEDNESDAY + timedelta(hours=21)  # nine in the morning

    await house.change(chat, last_from_contact=house.clock.now(), messages_in=2)
    assert (await house.say(chat, "oi, Ana", answers=2))["state"] == "sent"

    await house.change(chat, last_from_contact=house.clock.now() - DAY * 2)
    house.clock.at = WEDNESDAY + timedelta(hours=21)
    await house.run(chat)
    row = await house.row(follow)
    assert (row["state"], row["template"], row["marketing"]) == ("sent", "retomar_conversa", True)
    assert row["text"] == "Olá, Ana! Ficou faltando terminar a nossa conversa sobre as mesas. Quer continuar?"
    assert house.texts == ["oi, Ana", "retomar_conversa"]


async def test_a_first_contact_leaves_as_the_template_that_was_approved_and_its_address_is_learnt(
    house: House,
) -> None:
    await house.templates.sync(house.tenant_id)
    async with house.db.tenant(house.tenant_id) as conn:
        templates = {one.name: one for one in await templates_of(conn, house.channel.id)}
    first = templates["primeiro_contato"]
    assert first.variables == ("name", "sender", "house", "opening")
    filled = Filled(first, (("name", "Ana"), ("sender", "Rui"), ("house", "Aurora"), ("opening", "Vi o seu estúdio.")))
    chat = await house.chat(wrote=None, address="5534999990001")
    told: dict[str, Any] = {"purpose": Purpose.FIRST_CONTACT, "template": filled}
    asked = await house.say(chat, "primeiro", key="unapproved", **told)
    assert (asked["state"], asked["reason"]) == ("ask", "approval")

    # Only who may approve says yes; then it leaves, once.
    admin, seller = house.tenants.one[Role.ADMIN], house.tenants.one[Role.COMERCIAL]
    with pytest.raises(Refused, match="approves no first contacts"):
        await house.outbox.resolve(seller, asked["id"], "send")
    await house.outbox.resolve(admin, asked["id"], "send")
    with pytest.raises(Refused, match="it is waiting"):
        await house.outbox.resolve(admin, asked["id"], "drop")
    await house.run(chat)
    row = await house.row(asked["id"])
    assert (row["state"], row["once"], row["outside"], row["status"]) == ("sent", True, True, "accepted")
    body = house.sent[-1]["template"]["components"][0]["parameters"]
    assert [one["text"] for one in body] == ["Ana", "Rui", "Aurora", "Vi o seu estúdio."]
    # WhatsApp has registered the number without its ninth digit: the answer will come from there.
    found = await house.rows("SELECT address, user_id FROM chats WHERE id = %s", chat)
    assert found[0]["address"] == "553499990001"


async def test_every_refusal_is_followed_by_what_the_table_says(house: House) -> None:
    """All rows of integrations/whatsapp_cloud/errors.py, as the answer to the request."""
    await house.templates.sync(house.tenant_id)
    admin = house.tenants.one[Role.ADMIN]
    for code, rule in RULES.items():
        house.clock.at += timedelta(minutes=6)
        began = house.clock.at
        chat, before = await house.chat(), len(house.sent)
        house.wire.fail("error", code=code, status=500 if not rule.sure else 400, times=1)
        row = await house.say(chat, f"erro {code}", values={"topic": "as mesas"})
        sends = len(house.sent) - before
        action = str(rule.action) if rule.sure else "unknown"
        match action:
            case "unknown":
                assert (code, row["state"], sends) == (code, "unknown", 1)
            case "retry":
                assert (code, row["state"], row["attempts"], sends) == (code, "waiting", 1, 1)
                assert row["not_before"] > began
                house.clock.at = max(row["not_before"], began + timedelta(seconds=7))
                await house.run(chat)
                assert (await house.row(row["id"]))["state"] == "sent"
            case "wait":
                assert (code, row["state"], sends) == (code, "waiting", 1)
                assert row["not_before"] >= began + timedelta(seconds=rule.wait or 0)
                blocks = await house.outbox.blocks(admin, house.channel.id)
                assert [(one["code"], one["place"]) for one in blocks if one["code"] == code] == [(code, rule.scope)]
            case "template":
                assert (code, row["state"], row["template"], sends) == (code, "waiting", "", 1)
                house.clock.at += timedelta(seconds=7)
                await house.run(chat)
                assert (await house.row(row["id"]))["template"] == "retomar_conversa"
            case "stop_number":
                assert (code, row["state"], row["reason"], sends) == (code, "ask", "number", 1)
                house.clock.at += timedelta(seconds=7)
                await house.outbox.lift(admin, house.channel.id)
                await house.run(chat)
                assert (await house.row(row["id"]))["state"] == "sent"
            case "stop_contact":
                assert (code, row["state"], row["status"], row["said"], sends) == (code, "failed", "failed", code, 1)
                again = await house.say(chat, "mais uma")
                # Of the marketing kind an answer is not concerned.
                assert again["state"] in (("sent", "waiting") if rule.marketing else ("dropped",))
            case "fix" if rule.scope == "message":
                assert (code, row["state"], row["status"], sends) == (code, "failed", "failed", 1)
            case "fix":
                assert (code, row["state"], sends) == (code, "failed", 1)
        async with house.db.tenant(house.tenant_id) as conn:
            await conn.execute("UPDATE message_blocks SET lifted_at = now()")
    assert {alert.kind for alert in house.alerts} >= {"number_stopped", "refused"}
