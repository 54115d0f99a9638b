"""Conversations as attendants lead them: who sees which, what each step does, and that a page hears of it at once."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from business.messaging.chats import Chats
from business.messaging.ledger import Ledger
from business.messaging.outbox import Draft, locked_row
from business.messaging.outcomes import Outcomes
from business.messaging.templates import Purpose
from core.clock import FixedClock
from core.db import Database
from core.errors import ArgumentsWrong, Refused
from core.notices import Notices
from core.permissions import Permissions
from core.tenancy import Role
from integrations.whatsapp_cloud import messages as said
from tests.business.messaging.chat_house import LEAD, ChatHouse, chat_house, webhook, wrote
from tests.conftest import Tenants

OTHER = "5511988887777"
THIRD = "5521977776666"


@pytest.fixture
async def house(
    database: Database, clock: FixedClock, permissions: Permissions, tenants: Tenants, tmp_path: Path
) -> AsyncIterator[ChatHouse]:
    async with chat_house(database, clock, permissions, tenants, tmp_path) as house:
        yield house


async def names(house: ChatHouse, role: Role = Role.DIRETOR, **wanted: object) -> list[str]:
    return [line.chat.address for line in await house.chats.list(house.who(role), **wanted)]  # type: ignore[arg-type]


async def test_conversations_are_listed_filtered_searched_and_counted_the_newest_first(house: ChatHouse) -> None:
    for number, who in enumerate((LEAD, OTHER, THIRD)):
        await house.sort(webhook(wrote(f"a{number}", f"bom dia {number}%", who=who)))
        house.later(60)
    assert await names(house) == [THIRD, OTHER, LEAD]
    page = await house.chats.list(house.who(), limit=2)
    last = page[-1].chat
    assert await names(house, before=(last.last_at, last.id)) == [LEAD]
    assert page[0].last is not None and (page[0].last.text, page[0].last.direction) == ("bom dia 2%", "in")
    assert await names(house, search="dia 1%") == [OTHER] and await names(house, search="_") == []
    assert await names(house, search="ana") == [THIRD, OTHER, LEAD] and await names(house, search="9888877") == [OTHER]
    me, ids = house.who(), {who: (await house.chat(who))["id"] for who in (LEAD, OTHER, THIRD)}
    await house.chats.take_over(me, ids[LEAD])
    for _ in range(2):
        await house.chats.mark_read(me, ids[OTHER])
    assert [job["args"]["chat_id"] for job in await house.queued("chat_read")] == [ids[OTHER]], "blue ticks, once"
    await house.chats.close(me, ids[THIRD])
    assert await names(house, mine="mine") == [LEAD] and await names(house, mine="unassigned") == [OTHER]
    assert await names(house, state="person") == [LEAD] and await names(house, state="closed") == [THIRD]
    assert await names(house, unread=True) == [LEAD] and await names(house, channel_id="none") == []
    assert await house.chats.counts(me) == {
        "all": 2, "mine": 1, "unassigned": 1, "unread": 1, "bot": 1, "fetching": 0, "person": 1,
    }  # fmt: skip
    # Who writes again is back in the list.
    await house.sort(webhook(wrote("b", "voltei", who=THIRD)))
    assert await names(house) == [THIRD, OTHER, LEAD]
    assert [q.name for q in await house.chats.quick_replies(me)] == ["oi"]


async def test_an_emoji_of_a_colleague_answers_nothing_that_the_bot_was_about_to_answer(house: ChatHouse) -> None:
    outcomes = Outcomes(house.outbox, house.clock, Ledger(house.jobs))
    await house.sort(webhook(wrote("a", "quanto custa?")))
    chat, (asked,) = await house.chat(), await house.messages()
    draft = Draft(Purpose.ANSWER, "bot", said.text("R$ 900,00."), answers=1, segment=chat["segment"])
    async with house.db.tenant(house.id) as conn:
        await house.outbox.put(conn, house.id, chat["id"], draft)
        await conn.execute("UPDATE chats SET waiting_since = NULL")  # the turn is over, its answer waits for its hour
    emoji = await house.chats.react(house.who(), chat["id"], asked.id, "👍", key="k")
    async with house.db.tenant(house.id) as conn:
        row = await locked_row(conn, "o.id = %s", emoji)
        assert row is not None
        await outcomes.left(conn, row, "wamid.emoji")
    assert (await house.chat())["answered_in"] == 0
    house.later(60)
    await house.sort(webhook(wrote("b", "e parcela?")))
    assert (await house.chat())["waiting_since"] == asked.received_at, "the bot answers both"


async def test_a_seller_sees_and_leads_their_own_and_nobody_s_and_other_roles_and_tenants_nothing(
    house: ChatHouse,
) -> None:
    await house.sort(*(webhook(wrote(who, "oi", who=who)) for who in (LEAD, OTHER)))
    mine, theirs = (await house.chat(LEAD))["id"], (await house.chat(OTHER))["id"]
    seller, chats = house.who(Role.COMERCIAL), house.chats
    await chats.assign(house.who(), theirs, house.who(Role.ADMIN).user_id)
    assert await names(house, Role.COMERCIAL) == [LEAD]
    assert (await chats.assign(seller, mine, seller.user_id)).owner_id == seller.user_id
    for act in (
        chats.get(seller, theirs), chats.messages(seller, theirs), chats.note(seller, theirs, "x"),
        chats.take_over(seller, theirs), chats.reply(seller, theirs, "oi", key="k"), chats.mark_read(seller, theirs),
        chats.get(house.tenants.other[Role.ADMIN], mine), chats.take_over(house.tenants.other[Role.ADMIN], mine),
        chats.get(seller, "chat_none"),
    ):  # fmt: skip
        with pytest.raises(Refused) as hidden:
            await act
        assert hidden.value.code == "chat_unknown"
    for role in (Role.CLIENTE,):
        with pytest.raises(Refused) as forbidden:
            await chats.list(house.who(role))
        assert forbidden.value.code == "chats_not_allowed"
    with pytest.raises(Refused, match="messaging"):
        await chats.take_over(house.who(Role.AGENTE_IA), mine)  # it may read, and takes nothing over
    for nobody in (house.tenants.other[Role.ADMIN], house.who(Role.CLIENTE), house.who(Role.AGENTE_IA)):
        with pytest.raises(ArgumentsWrong):
            await chats.assign(seller, mine, nobody.user_id)
    assert await house.rows("SELECT 1 FROM outbox") == []


async def test_notes_tags_and_replies_stand_in_the_conversation_and_only_replies_leave(house: ChatHouse) -> None:
    await house.sort(webhook(wrote("1", "quanto custa?")))
    chat_id, who, chats = (await house.chat())["id"], house.who(), house.chats
    note = await chats.note(who, chat_id, " Cliente antigo\0 ")
    assert (note.direction, note.text, note.author_id) == ("note", "Cliente antigo", who.user_id)
    with pytest.raises(ArgumentsWrong, match="words"):
        await chats.note(who, chat_id, "  ")
    assert (await chats.tag(who, chat_id, ["vip", "vip", " quente "])).tags == ("vip", "quente")
    first = (await house.messages())[0]
    one = await chats.reply(who, chat_id, "R$ 100", key="form-1", reply_to=first.id)
    assert await chats.reply(who, chat_id, "R$ 100", key="form-1") == one
    await chats.reply(who, chat_id, content=said.buttons("Pode ser?", [said.Button("y", "Sim")]), key="form-2")
    with pytest.raises(ArgumentsWrong):
        await chats.reply(who, chat_id, "", key="form-3")
    rows = await house.rows("SELECT author, reply_to FROM outbox ORDER BY seq")
    assert [tuple(row.values()) for row in rows] == [("person", "wamid.1"), ("person", None)]
    assert [m.text for m in await chats.messages(who, chat_id)] == [
        "quanto custa?", "Cliente antigo", "R$ 100", "Pode ser?",
    ]  # fmt: skip
    older = await chats.messages(who, chat_id, before=(await chats.messages(who, chat_id))[2].seq, limit=1)
    assert [m.text for m in older] == ["Cliente antigo"]
    chat = await chats.get(who, chat_id)
    assert (chat.held, chat.owner_id, chat.waiting_since, chat.unread) == ("person", who.user_id, None, 0)


async def test_whoever_looks_on_hears_of_every_change_and_of_no_other_tenant_s(house: ChatHouse) -> None:
    heard: list[str] = []
    foreign: list[str] = []

    async def watch(chats: Chats, role_of: object, into: list[str]) -> None:
        async for chat_id in chats.watch(role_of):  # type: ignore[arg-type]
            into.append(chat_id)

    notices = Notices(house.db.app_dsn)  # another process
    elsewhere = Chats(
        house.db, house.clock, house.chats.permissions, house.hands, notices, house.outbox, house.ledger,
        house.chats.quick,
    )  # fmt: skip
    tasks = [
        asyncio.create_task(watch(elsewhere, house.who(), heard)),
        asyncio.create_task(watch(elsewhere, house.tenants.other[Role.ADMIN], foreign)),
    ]
    try:
        async with asyncio.timeout(10):
            while heard.count("") < 2:  # at the beginning, and when the connection listens
                await asyncio.sleep(0.02)
            await house.sort(webhook(wrote("1", "oi")))
            chat_id = (await house.chat())["id"]
            while chat_id not in heard:
                await asyncio.sleep(0.02)
            for act in (
                lambda: house.chats.note(house.who(), chat_id, "x"),
                lambda: house.chats.take_over(house.who(), chat_id),
                lambda: house.chats.hand_back(house.who(), chat_id),
                lambda: house.chats.reply(house.who(), chat_id, "oi", key="k"),
            ):
                before = heard.count(chat_id)
                await act()
                while heard.count(chat_id) == before:
                    await asyncio.sleep(0.02)
            # The connection is lost: everything is to be read anew.
            gaps = heard.count("")
            async with house.db.system() as conn:
                query = (
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'mutirao notices'"
                )
                await conn.execute(query)
            while heard.count("") == gaps:
                await asyncio.sleep(0.02)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await notices.close()
    assert set(foreign) == {""}
    versions = (await house.chat())["version"]
    assert versions >= 5
