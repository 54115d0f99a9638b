"""From the inbox to the conversations: every item once, whatever its copies, its order, and what stands beside it."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from business.messaging.inbox import Received
from business.messaging.outbox import Draft
from business.messaging.templates import Purpose
from business.messaging.window import is_open
from core.clock import FixedClock
from core.db import Database
from core.permissions import Permissions
from integrations.whatsapp_cloud import messages as said
from tests.business.messaging.chat_house import LEAD, NOON, NUMBER, ChatHouse, chat_house, echo, webhook, wrote
from tests.conftest import Tenants

OTHER = "5511988887777"


@pytest.fixture
async def house(
    database: Database, clock: FixedClock, permissions: Permissions, tenants: Tenants, tmp_path: Path
) -> AsyncIterator[ChatHouse]:
    async with chat_house(database, clock, permissions, tenants, tmp_path) as house:
        yield house


def pressed(id: str, title: str) -> dict[str, Any]:
    return {"type": "interactive", "interactive": {"type": "button_reply", "button_reply": {"id": id, "title": title}}}


async def put(house: ChatHouse, key: str, text: str = "Olá!", **more: Any) -> str:
    chat = await house.chat()
    draft = Draft(Purpose.ANSWER, key, said.text(text), answers=chat["messages_in"], segment=chat["segment"], **more)
    async with house.db.tenant(house.id) as conn:
        return await house.outbox.put(conn, house.id, chat["id"], draft)


async def sent(house: ChatHouse, outbox_id: str, wamid: str) -> None:
    """As sending.py leaves a row that WhatsApp took."""
    async with house.db.tenant(house.id) as conn:
        await conn.execute(
            """UPDATE outbox SET state = 'sent', external_id = %s, claimed_at = %s, attempts = 1, finished_at = %s
               WHERE id = %s""",
            [wamid, NOON, NOON, outbox_id],
        )
        await conn.execute(
            """UPDATE chat_messages m SET external_id = %s, status = 'accepted' FROM outbox o
               WHERE o.id = %s AND m.id = o.message_id""",
            [wamid, outbox_id],
        )


async def test_a_message_is_one_however_often_and_in_whatever_body_it_comes(house: ChatHouse) -> None:
    first = webhook(wrote("1", "bom dia"))
    spaced = json.dumps(json.loads(first), indent=3).encode()
    both = webhook(wrote("1", "bom dia"), wrote("2", "quanto custa?"))
    await asyncio.gather(*(house.keep(body) for body in [first] * 20 + [spaced] * 5 + [both] * 5))
    await asyncio.gather(*(house.sorter.sort(house.id) for _ in range(4)))
    await house.sort(first, both)
    assert [(one.text, one.external_id) for one in await house.messages()] == [
        ("bom dia", "wamid.1"), ("quanto custa?", "wamid.2"),
    ]  # fmt: skip
    chat = await house.chat()
    assert (chat["messages_in"], chat["unread"], chat["name"], chat["place"]) == (2, 2, "Ana", "SP")
    assert len(await house.queued()) == 1, "a burst is one turn"
    assert chat["due_at"] == NOON + timedelta(seconds=4) and chat["waiting_since"] == NOON
    # A captured body, played again much later, finds its items there.
    house.later(8 * 86_400)
    await house.sort(first)
    assert len(await house.messages()) == 2 and (await house.chat())["messages_in"] == 2


async def test_a_burst_waits_for_a_quiet_and_no_longer_than_the_longest_wait(house: ChatHouse) -> None:
    for number in range(6):
        await house.sort(webhook(wrote(str(number))))
        house.later(3)
    chat = await house.chat()
    assert chat["due_at"] == NOON + timedelta(seconds=15) and len(await house.queued()) == 1
    # A pressed button is complete.
    button: dict[str, Any] = {"type": "button", "button": {"payload": "sim", "text": "Sim"}}
    await house.sort(webhook(wrote("b", who=OTHER, **button)))
    other = await house.chat(OTHER)
    assert other["due_at"] == house.clock.now()
    (message,) = await house.messages(OTHER)
    assert (message.kind, message.text, message.content["choice"]) == ("button", "Sim", "sim")


async def test_a_clock_that_is_ahead_leaves_no_window_open_longer(house: ChatHouse) -> None:
    await house.sort(webhook(wrote("1", at=NOON + timedelta(minutes=4))))
    assert (await house.chat())["last_from_contact"] == NOON + timedelta(minutes=4)
    await house.sort(webhook(wrote("2", at=NOON + timedelta(hours=23), who=OTHER)))
    written = (await house.chat(OTHER))["last_from_contact"]
    assert written == NOON and not is_open(written, NOON + timedelta(hours=24))


async def test_one_odd_item_is_set_aside_and_its_siblings_stand(house: ChatHouse) -> None:
    poll: dict[str, Any] = {"type": "poll_v9", "poll_v9": {"deep": [1]}}
    body = webhook(wrote("1"), wrote("2", **poll), wrote("3", type="unsupported", unsupported={"type": "poll"}))
    await house.keep(body)
    number = f"whatsapp_cloud:{NUMBER}"
    await house.inbox.keep(
        [
            Received(number, "odd", house.id, "message", {"list": "messages", "raw": {"no": "id"}}),
            Received(number, "odder", house.id, "message", {"what": "nobody knows"}),
            Received("whatsapp_cloud:404", "nobody's", house.id, "message", {}),
        ]
    )
    # An item that only the database refuses: an id that is longer than an index takes.
    long = "".join(hashlib.sha256(str(n).encode()).hexdigest() for n in range(200))
    await house.sort(webhook(wrote(long), wrote("4", "depois")))
    outcomes = await house.outcomes()
    assert outcomes[:3] == ["sorted"] * 3 and outcomes[-1] == "sorted"
    assert all(one.startswith("dead:") for one in outcomes[3:7]), outcomes
    assert [(one.kind, one.text) for one in await house.messages()] == [
        ("text", "oi"), ("unknown", "[poll_v9]"), ("unsupported", "[poll]"), ("text", "depois"),
    ]  # fmt: skip


async def test_a_person_without_a_telephone_is_one_person_in_both_generations(house: ChatHouse) -> None:
    user = "BR.13491208655302741918"
    hidden = {
        "contacts": [{"profile": {"name": "Bia", "username": "bia"}, "user_id": user}],
        "messages": [
            {"from_user_id": user, "id": "wamid.h1", "timestamp": str(int(NOON.timestamp())), "type": "text",
             "text": {"body": "oi"}}
        ],
    }  # fmt: skip
    await house.sort(webhook(hidden))
    shown = wrote("h2", "sou eu", who=OTHER)
    shown["contacts"][0] |= {"user_id": user}
    shown["messages"][0] |= {"from_user_id": user}
    await house.sort(webhook(shown))
    (chat,) = await house.rows("SELECT * FROM chats")
    assert (chat["address"], chat["user_id"], chat["messages_in"], chat["name"]) == (user, user, 2, "Bia")
    # Whom we wrote to with the ninth digit and whom WhatsApp knows without it is one conversation, too.
    await house.sort(webhook(wrote("n1", who="551988887777")), webhook(wrote("n2", who="5519988887777")))
    assert len(await house.rows("SELECT * FROM chats")) == 2


async def test_who_opts_out_is_written_down_and_confirmed_once_and_the_bot_says_nothing_else(house: ChatHouse) -> None:
    await house.sort(webhook(wrote("1", "oi")))
    waiting = await put(house, "k", "Temos três planos…")
    await house.sort(webhook(wrote("2", "não quero mais receber mensagens")), webhook(wrote("3", "parar")))
    entries = await house.rows("SELECT act, scope, how FROM consent_entries ORDER BY at")
    assert {(row["act"], row["scope"], row["how"]) for row in entries} == {("stopped", "all", "words")}
    rows = await house.rows("SELECT id, purpose, state FROM outbox ORDER BY seq")
    assert rows[0] == {"id": waiting, "purpose": "answer", "state": "dropped"}
    assert [row["purpose"] for row in rows[1:]] == ["goodbye", "goodbye"]  # the policy lets one of them leave
    assert (await house.chat())["waiting_since"] is None
    # Back again, in the contact's own words.
    house.later(60)
    await house.sort(webhook(wrote("4", "voltar", at=house.clock.now())))
    assert (await house.rows("SELECT act FROM consent_entries ORDER BY at"))[-1]["act"] == "resumed"
    # Inside WhatsApp, for advertising alone.
    wish = {"wa_id": LEAD, "category": "marketing_messages", "value": "stop", "timestamp": str(int(NOON.timestamp()))}
    await house.sort(webhook({"user_preferences": [wish]}, what="user_preferences"))
    assert {"stopped", "resumed"} == {row["act"] for row in await house.rows("SELECT act FROM consent_entries")}
    assert "marketing" in {row["scope"] for row in await house.rows("SELECT scope FROM consent_entries")}


async def test_words_that_repeat_a_choice_of_ours_opt_out_of_nothing(house: ChatHouse) -> None:
    await house.sort(webhook(wrote("1", "oi")))
    asked = said.buttons("A reunião de amanhã?", [said.Button("keep", "Manter"), said.Button("drop", "Cancelar")])
    chat = await house.chat()
    async with house.db.tenant(house.id) as conn:
        draft = Draft(Purpose.ANSWER, "k", asked, answers=1)
        outbox_id = await house.outbox.put(conn, house.id, chat["id"], draft)
    await sent(house, outbox_id, "wamid.o")
    await house.sort(webhook(wrote("2", "cancelar")))
    chosen: dict[str, Any] = {
        "type": "interactive",
        "interactive": {"type": "button_reply", "button_reply": {"id": "drop", "title": "Cancelar"}},
    }
    await house.sort(webhook(wrote("3", **chosen)))
    assert await house.rows("SELECT 1 FROM consent_entries") == []
    leaving: dict[str, Any] = {
        "type": "interactive",
        "interactive": {"type": "button_reply", "button_reply": {"id": "opt_out_yes", "title": "Não quero"}},
    }
    await house.sort(webhook(wrote("4", **leaving)))
    assert len(await house.rows("SELECT 1 FROM consent_entries")) == 1


async def test_a_person_who_writes_in_the_app_takes_over_and_our_own_echoes_do_not(house: ChatHouse) -> None:
    await house.sort(webhook(wrote("1", "oi")))
    ours = await put(house, "k", "Olá!")
    await sent(house, ours, "wamid.o1")
    await house.sort(webhook(echo("o1", "Olá!"), what="smb_message_echoes"))
    assert (await house.chat())["held"] == "bot"
    waiting = await put(house, "k2", "E mais…")
    house.later(5)
    await house.sort(webhook(echo("e1", "Oi Ana, aqui é o Caio", at=house.clock.now()), what="smb_message_echoes"))
    chat = await house.chat()
    assert (chat["held"], chat["waiting_since"], chat["unread"], chat["due_at"]) == ("person", None, 0, None)
    assert (await house.rows("SELECT state FROM outbox WHERE id = %s", waiting))[0]["state"] == "dropped"
    last = (await house.messages())[-1]
    assert (last.direction, last.author, last.text) == ("out", "person", "Oi Ana, aqui é o Caio")
    # While a person has it, what comes in is unread, and no turn is planned.
    await house.sort(webhook(wrote("2", "ok")))
    chat = await house.chat()
    assert (chat["unread"], chat["due_at"]) == (1, None) and chat["waiting_since"] is not None


async def test_nobody_changes_or_takes_back_what_others_wrote_and_an_edit_may_be_an_opt_out(house: ChatHouse) -> None:
    def edit(of: str, text: str) -> dict[str, Any]:
        message = {"type": "text", "text": {"body": text}}
        return {"type": "edit", "edit": {"original_message_id": of, "message": message}}

    await house.sort(webhook(wrote("1", "quanto custa?")))
    ours = echo("ours", "1.490 por mês", at=house.clock.now() + timedelta(hours=3))
    await house.sort(webhook(ours, what="smb_message_echoes"))
    gone: dict[str, Any] = {"type": "revoke", "revoke": {"original_message_id": "wamid.1"}}
    await house.sort(webhook(wrote("2", **edit("wamid.ours", "de graça")), wrote("3", who=OTHER, **gone)))
    assert [one.text for one in await house.messages()] == ["quanto custa?", "1.490 por mês"]
    assert not any(one.revoked_at for one in await house.messages())
    assert (await house.outcomes())[-2:] == ["early:wamid.ours", "early:wamid.1"], "none of theirs, so far"
    # A moment ahead of our clock does not outlast a hand-back.
    chat = await house.chat()
    assert chat["held"] == "person" and chat["held_since"] <= house.clock.now()
    await house.chats.hand_back(house.who(), chat["id"])
    assert (await house.chat())["held"] == "bot"
    await house.sort(webhook(wrote("4", **edit("wamid.1", "SAIR"))))
    (line,) = await house.rows("SELECT act, detail FROM consent_entries")
    assert (line["act"], line["detail"]) == ("stopped", "SAIR")


async def test_a_reaction_to_a_message_that_asks_is_an_answer_and_any_other_to_us_is_unread(house: ChatHouse) -> None:
    async def asks(wamid: str, text: str) -> None:
        """The bot's answer has left, and somebody has looked at the conversation."""
        await sent(house, await put(house, wamid, text), wamid)
        async with house.db.tenant(house.id) as conn:
            await conn.execute("UPDATE chats SET waiting_since = NULL, due_at = NULL, unread = 0")

    def reaction(of: str, emoji: str = "") -> dict[str, Any]:
        return {"type": "reaction", "reaction": {"message_id": of} | ({"emoji": emoji} if emoji else {})}

    await house.sort(webhook(wrote("1", "quero marcar")))
    await asks("wamid.b0", "O Essencial custa R$ 900,00.")
    await asks("wamid.b1", "Pode ser quinta, 26/11, às 15h?")
    await house.sort(webhook(wrote("1b", **reaction("wamid.b0", "👍"))))
    chat = await house.chat()
    assert (chat["unread"], chat["waiting_since"]) == (1, None), "the price asks nothing, whatever is asked beside it"
    await house.sort(webhook(wrote("2", **reaction("wamid.b1", "👍"))))
    last, chat = (await house.messages())[-1], await house.chat()
    assert (last.direction, last.kind, last.text, last.reply_to) == ("in", "reaction", "👍", "wamid.b1")
    assert chat["waiting_since"] is not None and chat["due_at"] is not None and chat["unread"] == 2
    await house.sort(webhook(wrote("2b", **reaction("wamid.b1", "👎"))))
    assert [one.text for one in await house.messages() if one.kind == "reaction"] == ["👎"], "changed: it is no yes"
    assert (await house.chat())["messages_in"] == chat["messages_in"] + 1, "a turn that runs has read the yes"
    await house.sort(webhook(wrote("3", **reaction("wamid.b1"))))
    assert (await house.chat())["messages_in"] == chat["messages_in"] + 2
    assert (await house.messages())[-1].revoked_at is not None, "taken back before it was answered"

    await asks("wamid.b2", "Marcado!")
    for id, emoji in (("4", "❤"), ("5", "")):
        await house.sort(webhook(wrote(id, **reaction("wamid.b2", emoji))))
    chat = await house.chat()
    assert (chat["unread"], chat["waiting_since"]) == (1, None), "thanks are seen, and nobody is answered"
    assert [one.text for one in await house.messages() if one.direction == "in"] == ["quero marcar", "👎"]


async def test_edits_revocations_reactions_media_places_and_new_numbers_find_their_place(house: ChatHouse) -> None:
    image: dict[str, Any] = {
        "type": "image",
        "image": {"id": "m1", "mime_type": "image/jpeg", "sha256": "x", "caption": "olha"},
    }
    voice: dict[str, Any] = {
        "type": "audio",
        "audio": {"id": "m2", "mime_type": "audio/ogg; codecs=opus", "voice": True},
    }
    where: dict[str, Any] = {"type": "location", "location": {"latitude": -22.9, "longitude": -47.06, "name": "Loja"}}
    await house.sort(webhook(wrote("1", "olá"), wrote("2", **image), wrote("3", **voice), wrote("4", **where)))
    files = await house.rows("SELECT kind, mime, words_state FROM chat_media ORDER BY provider_id")
    assert [tuple(row.values()) for row in files] == [
        ("image", "image/jpeg", "waiting"), ("audio", "audio/ogg", "waiting"),
    ]  # fmt: skip
    assert len(await house.queued("chat_media")) == 2
    before = (await house.chat())["messages_in"]
    edit: dict[str, Any] = {"type": "edit", "edit": {"original_message_id": "wamid.1",
            "message": {"type": "text", "text": {"body": "olá, bom dia"}}}}  # fmt: skip
    gone: dict[str, Any] = {"type": "revoke", "revoke": {"original_message_id": "wamid.4"}}
    heart: dict[str, Any] = {"type": "reaction", "reaction": {"message_id": "wamid.2", "emoji": "❤"}}
    await house.sort(webhook(wrote("5", **edit), wrote("6", **gone), wrote("7", **heart)))
    first, picture, sound, place = await house.messages()
    assert first.text == "olá, bom dia" and first.edited_at is not None and first.content["was"] == "olá"
    assert picture.text == "olha" and picture.reaction == "❤" and picture.media is not None
    assert sound.content["voice"] and place.revoked_at is not None and place.text.startswith("Loja (-22.9")
    assert (await house.chat())["messages_in"] == before + 2, "what was read may be out of date: the turn begins anew"
    heart["reaction"] = {"message_id": "wamid.2"}
    await house.sort(webhook(wrote("8", **heart)))
    assert (await house.messages())[1].reaction == ""
    moved: dict[str, Any] = {
        "type": "system",
        "system": {"type": "user_changed_number", "wa_id": OTHER, "body": "mudou"},
    }
    await house.sort(webhook(wrote("9", **moved)))
    await house.sort(webhook(wrote("10", "sou eu", who=OTHER)))
    (chat,) = await house.rows("SELECT address, referral FROM chats")
    assert chat["address"] == OTHER
    ad: dict[str, Any] = {"source_type": "ad", "source_id": "120", "ctwa_clid": "clid", "headline": "Oferta"}
    await house.sort(webhook(wrote("a1", "vi o anúncio", who="5521977776666", referral=ad)))
    came = await house.chat("5521977776666")
    assert came["referral"]["ctwa_clid"] == "clid" and came["entry_at"] == NOON and came["place"] == "RJ"


async def test_what_changes_a_message_and_comes_before_it_waits_for_it(house: ChatHouse) -> None:
    gone: dict[str, Any] = {"type": "revoke", "revoke": {"original_message_id": "wamid.1"}}
    edit: dict[str, Any] = {"type": "edit", "edit": {"original_message_id": "wamid.2",
            "message": {"type": "text", "text": {"body": "900"}}}}  # fmt: skip
    heart: dict[str, Any] = {"type": "reaction", "reaction": {"message_id": "wamid.3", "emoji": "❤"}}
    await house.sort(webhook(wrote("r", **gone), wrote("f", who=OTHER, **gone)))  # of nobody whom we know
    await house.sort(webhook(wrote("e", **edit), wrote("h", **heart), wrote("1", "engano"), wrote("2", "90")))
    await house.sort(webhook(wrote("3", "obrigada")))
    first, second, third = await house.messages()
    assert first.revoked_at is not None and (second.text, second.content["was"]) == ("900", "90")
    assert third.reaction == "❤" and third.revoked_at is None
    # What another person says of it stays without effect, and is looked at no more.
    assert await house.outcomes() == ["sorted", "early:wamid.1", *["sorted"] * 5]
    assert await house.sorter.sort(house.id) == 0


async def test_a_newer_message_takes_the_place_of_an_answer_that_has_not_left_but_not_for_ever(
    house: ChatHouse,
) -> None:
    for number in range(5):
        await house.sort(webhook(wrote(str(number), f"e mais {number}")))
        await put(house, f"k{number}", f"resposta {number}")
    rows = await house.rows("SELECT state FROM outbox ORDER BY seq")
    assert [row["state"] for row in rows] == ["dropped", "dropped", "dropped", "waiting", "waiting"]
    assert (await house.chat())["superseded"] == 3


async def test_a_number_in_trouble_is_told_and_other_news_are_only_kept(house: ChatHouse) -> None:
    await house.sort(
        webhook({"event": "ACCOUNT_RESTRICTION"}, what="account_update"),
        webhook({"event": "VERIFIED_ACCOUNT"}, what="account_update"),
    )
    assert [one.what for one in house.warned] == ["account_update:ACCOUNT_RESTRICTION"]
    assert sorted(await house.outcomes()) == ["ignored", "sorted"]


async def test_a_flood_keeps_no_other_person_and_no_other_tenant_waiting(house: ChatHouse) -> None:
    for start in range(0, 600, 100):
        await house.keep(webhook(*(wrote(f"f{start + n}", "alô?") for n in range(100))))
    await house.keep(webhook(wrote("late", "sou outra pessoa", who=OTHER)))
    await house.inbox.keep([Received("whatsapp_cloud:9", "x", house.tenants.other.id, "unread", {"reason": "odd"})])
    assert await house.sorter.round()
    assert (await house.chat(OTHER))["messages_in"] == 1, "nor another person of the same number"
    waiting = await house.rows("SELECT count(*) AS n FROM inbox WHERE sorted_at IS NULL")
    assert waiting[0]["n"] == 401, "one batch each"
    async with house.db.tenant(house.tenants.other.id) as conn:
        row = await (await conn.execute("SELECT count(*) AS n FROM inbox WHERE sorted_at IS NULL")).fetchone()
    assert row is not None and row["n"] == 0
    stop = asyncio.Event()
    running = asyncio.create_task(house.sorter.run(stop))
    while (await house.rows("SELECT count(*) AS n FROM inbox WHERE sorted_at IS NULL"))[0]["n"]:
        await asyncio.sleep(0.02)
    stop.set()
    await running
    assert len(await house.messages()) == 500 and (await house.chat())["messages_in"] == 600
    assert len(await house.queued()) == 2
    query = "SELECT external_id FROM chat_messages WHERE external_id LIKE 'wamid.f%%' ORDER BY seq"
    order = await house.rows(query)
    assert [row["external_id"] for row in order] == [f"wamid.f{n}" for n in range(600)]
