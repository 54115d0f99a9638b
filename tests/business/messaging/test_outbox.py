"""What leaves: each wish once, in order, asked anew at the last moment, and every refusal with what follows from it."""

import asyncio
import base64
import itertools
import random
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from business.messaging.consent import Act, Entry, How, Scope
from business.messaging.ledger import Ledger
from business.messaging.model import said
from business.messaging.templates import Filled, Purpose
from business.messaging.templates_store import templates_of
from core.errors import ArgumentsWrong, Refused
from core.files import Files
from core.tenancy import Role
from integrations.whatsapp_cloud import messages
from integrations.whatsapp_cloud.messages import MediaRef
from prompts.texts import Texts
from tests.business.messaging.outbox_house import KINDS, WEDNESDAY, House

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
)
DAY = timedelta(hours=24)


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

    # Who takes over takes back what the bot was about to say, but for what was agreed.
    taken = await house.chat()
    told = [await house.put(taken, one, purpose=one) for one in (Purpose.ANSWER, Purpose.FOLLOW_UP, Purpose.NOTICE)]
    async with house.db.tenant(house.tenant_id) as conn:
        assert await house.outbox.drop(conn, taken, "person_took_over") == 2
        assert await house.outbox.drop(conn, taken, "person_took_over") == 0
    assert [(await house.row(one))["state"] for one in told] == ["dropped", "dropped", "waiting"]

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


async def test_an_answer_in_parts_that_comes_too_late_leaves_as_one_template(house: House) -> None:
    await house.templates.sync(house.tenant_id)
    chat = await house.chat(wrote=DAY + DAY)
    parts = [await house.put(chat, f"parte {n}", key=f"part {n}", values={"topic": "as mesas"}) for n in (1, 2, 3)]
    for _ in range(3):
        await house.run(chat)
        house.clock.advance(timedelta(seconds=7))
    assert [(await house.row(one))["state"] for one in parts] == ["sent", "dropped", "dropped"]
    assert house.texts == ["retomar_conversa"]


async def test_a_persons_words_become_a_template_only_when_they_say_so(house: House) -> None:
    await house.templates.sync(house.tenant_id)
    seller = house.tenants.one[Role.COMERCIAL]
    chat = await house.chat(wrote=DAY + DAY)
    row = await house.say(chat, "Oi, Ana, achei a mesa!", author="person", values={"topic": "a mesa"})
    assert (row["state"], row["decision"]["template"], row["text"]) == (
        "ask", "retomar_conversa", "Oi, Ana, achei a mesa!",
    )  # fmt: skip
    await house.outbox.resolve(seller, row["id"], "send")
    await house.run(chat)
    row = await house.row(row["id"])
    assert (row["state"], row["kind"], row["text"][:40]) == (
        "sent", "template", "Olá, Ana! Ficou faltando terminar a noss",
    )  # fmt: skip
    # A colleague's conversation is not theirs to decide about.
    other = await house.chat(wrote=DAY + DAY, owner_id=house.tenants.one[Role.ADMIN].user_id)
    asked = await house.say(other, "Oi!", author="person", values={"topic": "a mesa"})
    with pytest.raises(ArgumentsWrong, match="no message"):
        await house.outbox.resolve(seller, asked["id"], "drop")
    await house.outbox.resolve(house.tenants.one[Role.ADMIN], asked["id"], "drop")
    assert (await house.row(asked["id"]))["status"] == "dropped"


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


async def test_a_template_that_says_something_else_since_it_was_approved_is_asked_about_again(house: House) -> None:
    await house.templates.sync(house.tenant_id)
    async with house.db.tenant(house.tenant_id) as conn:
        first = next(one for one in await templates_of(conn, house.channel.id) if one.name == "primeiro_contato")
    values = (("name", "Ana"), ("sender", "Rui"), ("house", "Aurora"), ("opening", "Vi o seu estúdio."))
    told: dict[str, Any] = {"purpose": Purpose.FIRST_CONTACT, "template": Filled(first, values), "approved": True}
    other = "PROMO {{1}}, {{2}}, {{3}}, {{4}} hoje"
    for part, path, body in (("body", "{0,text}", other), ("footer", "{1,text}", other)):
        chat = await house.chat(wrote=None)
        row = await house.put(chat, part, key=part, **told)
        await house.rows(
            """UPDATE message_templates SET body = %s, components = jsonb_set(components, %s, to_jsonb(%s::text))
               WHERE name = 'primeiro_contato' RETURNING name""",
            body, path, other,
        )  # fmt: skip
        await house.run(chat)
        asked = await house.row(row)
        assert (asked["state"], asked["decision"]["why"]["key"]) == ("ask", "messaging.why.approved_other_text")
        assert len(house.sent) == (0 if part == "body" else 1)
        # Whoever decides sees the words as they are now, and means those.
        assert asked["text"].startswith("PROMO Ana, Rui")
        await house.outbox.resolve(house.tenants.one[Role.ADMIN], row, "send")
        await house.run(chat)
        assert (await house.row(row))["state"] == "sent"


async def test_every_refusal_is_followed_by_what_the_table_says(house: House) -> None:
    """Each kind of row of integrations/whatsapp_cloud/errors.py, as the answer to the request."""
    await house.templates.sync(house.tenant_id)
    admin = house.tenants.one[Role.ADMIN]
    for code, rule in KINDS.items():
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
    texts = Texts.load()
    for alert, language in itertools.product(house.alerts, ("pt-BR", "en", "es")):
        assert alert.why is not None and len(said(alert.why, partial(texts.say, language), "America/Manaus")) > 20


async def test_two_numbers_worth_of_people_never_go_beyond_the_portfolio_and_one_line_is_shared_by_all(
    house: House,
) -> None:
    await house.templates.sync(house.tenant_id)
    await house.set_channel(portfolio_limit=2)
    told: dict[str, Any] = {"purpose": Purpose.FOLLOW_UP, "values": {"topic": "as mesas"}}
    chats = [await house.chat(wrote=DAY * 3) for _ in range(4)]
    rows = [await house.put(chat, "e aí?", **told) for chat in chats]
    await asyncio.gather(*(house.run(chat) for chat in chats))
    found = [await house.row(row) for row in rows]
    assert sorted(row["state"] for row in found) == ["sent", "sent", "waiting", "waiting"]
    assert {row["decision"]["rule"] for row in found if row["state"] == "waiting"} == {"portfolio"}
    # Somebody who has just written is no new person.
    assert (await house.say(await house.chat(), "oi"))["state"] == "sent"

    house.clock.advance(timedelta(hours=25))
    await house.set_channel(per_second=5)
    crowd = [await house.chat() for _ in range(5)]
    rows = [await house.put(chat, "bom dia") for chat in crowd]
    before = len(house.sent)
    await asyncio.gather(*(house.run(chat) for chat in crowd))
    assert len(house.sent) - before == 1  # the clock stands still
    waits = await house.rows("SELECT decision->>'rule' AS rule FROM outbox WHERE state = 'waiting'")
    assert {row["rule"] for row in waits} == {"throughput", "portfolio"}


async def test_a_row_that_cannot_be_read_fails_by_itself_and_holds_nobody_back(house: House) -> None:
    chat = await house.chat()
    broken = await house.put(chat, "quebrada")
    await house.rows('UPDATE outbox SET facts = \'{"planned_at": "ontem"}\' WHERE id = %s RETURNING id', broken)
    odd = await house.put(chat, "esquisita", key="odd")
    await house.rows('UPDATE outbox SET content = \'{"type": "hologram"}\' WHERE id = %s RETURNING id', odd)
    fine = await house.say(chat, "inteira")
    assert [(await house.row(one))["state"] for one in (broken, odd)] == ["failed", "failed"]
    assert fine["state"] == "sent" and house.texts == ["inteira"]
    assert [alert.kind for alert in house.alerts] == ["refused", "refused"]


async def test_a_file_of_ours_is_brought_to_whatsapp_when_it_leaves(house: House) -> None:
    stored = await Files(house.db).store(house.tenants.one[Role.ADMIN], PNG, name="planta.png", mime="image/png")
    chat = await house.chat()
    row = await house.say(chat, "a planta", content=messages.image(MediaRef(id=stored.id), "a planta"), author="person")
    assert (row["state"], row["text"], row["kind"]) == ("sent", "a planta", "image")
    sent = house.sent[-1]["image"]
    assert sent["caption"] == "a planta" and sent["id"].isdecimal()
    gone = await house.say(await house.chat(), "x", content=messages.image(MediaRef(id="file_gone")))
    assert (gone["state"], gone["status"]) == ("failed", "failed")


async def test_nothing_that_must_fail_is_ever_sent_whatever_the_state_of_things(house: House) -> None:
    """Many conversations in states drawn at random; the witness of the wire against rules written down once more."""
    await house.templates.sync(house.tenant_id)
    drawn = random.Random(20261118)
    noon = house.clock.now()
    wanted: dict[str, dict[str, Any]] = {}
    for n in range(50):
        house.clock.at = noon + timedelta(minutes=n)
        now = house.clock.now()
        state: dict[str, Any] = {
            "purpose": drawn.choice(tuple(Purpose)),
            "author": drawn.choice(("bot", "bot", "person")),
            "wrote": drawn.choice((None, timedelta(minutes=1), timedelta(hours=23), timedelta(hours=25))),
            "held": drawn.choice(("bot", "bot", "bot", "person", "fetching")),
            "stop": drawn.choice((None, None, None, "all", "marketing")),
            "block": drawn.choice((None, None, None, "contact", "free")),
            "approved": drawn.random() < 0.6,
            "late": drawn.random() < 0.2,
            "newer": drawn.random() < 0.2,
        }
        chat = await house.chat(wrote=state["wrote"], held=state["held"], held_since=now - DAY)
        address = (await house.rows("SELECT address FROM chats WHERE id = %s", chat))[0]["address"]
        row = await house.put(
            chat, f"número {n}", purpose=state["purpose"], author=state["author"], approved=state["approved"],
            answers=1 if state["wrote"] is not None else 0, values={"topic": "as mesas", "opening": "Vi a loja.",
                                                                    "when": "amanhã às 10h"},
        )  # fmt: skip
        if state["stop"]:
            entry = Entry(now, Act.STOPPED, Scope(state["stop"]), How.WORDS, "sair")
            async with house.db.tenant(house.tenant_id) as conn:
                await Ledger(house.jobs).write(conn, house.tenant_id, entry, address=address)
        if state["block"]:
            place, covers = ("contact", "all") if state["block"] == "contact" else ("pair", "free")
            await house.block(place, 131026, address=address, covers=covers)
        if state["newer"]:
            await house.change(chat, messages_in=5)
        if state["late"]:
            house.clock.at = noon + timedelta(hours=10)  # ten in the evening
        await house.run(chat)
        wanted[row] = state
    for body in house.sent:
        state = wanted[body["biz_opaque_callback_data"]]
        proactive = state["purpose"] in (Purpose.FOLLOW_UP, Purpose.FIRST_CONTACT, Purpose.CAMPAIGN)
        talk = state["purpose"] in (Purpose.ANSWER, Purpose.GOODBYE)
        open_now = state["wrote"] is not None and state["wrote"] < timedelta(hours=13 if state["late"] else 24)
        assert body["type"] == "template" or (open_now and state["block"] is None), state
        assert state["stop"] != "all" or state["purpose"] is Purpose.GOODBYE, state
        assert state["stop"] != "marketing" or not proactive, state
        assert state["block"] != "contact", state
        if state["author"] == "bot":
            assert talk or state["purpose"] is Purpose.NOTICE or state["held"] == "bot", state
            assert state["held"] != "person" or state["purpose"] in (Purpose.GOODBYE, Purpose.NOTICE), state
            assert not (state["newer"] and state["purpose"] is Purpose.ANSWER), state
            assert not (state["late"] and not talk), state
        if state["purpose"] in (Purpose.FIRST_CONTACT, Purpose.CAMPAIGN):
            assert state["approved"] and not state["late"], state
    assert 6 <= len(house.sent) <= 40
