"""Who wants no messages stands in two books: what is said in one holds in the other, on every channel."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from business.crm.identity import KeyKind
from business.crm.model import ContactData, Source
from business.crm.privacy import BlockReason
from business.crm.service import Crm
from business.messaging.consent import Act, Entry, How, Scope
from business.messaging.known import new_chat
from business.messaging.ledger import CONSENT_TOLD, Ledger, standing_of
from business.people.service import People
from core.clock import FixedClock
from core.db import Database
from core.jobs import Jobs
from core.permissions import Permissions
from core.tenancy import Role
from prompts.texts import Texts
from tests.conftest import Tenants
from tools.do_not_contact import DoNotContact
from tools.message_values import MessageValues


@pytest.fixture
async def jobs(database: Database) -> AsyncIterator[Jobs]:
    made = Jobs(database.app_dsn)

    async def nothing(**ids: Any) -> None:
        pass

    made.task(CONSENT_TOLD, nothing)
    await made.open()
    yield made
    await made.close()


async def test_what_is_said_in_one_book_holds_in_the_other_and_on_every_channel_until_it_is_taken_back(
    database: Database, clock: FixedClock, permissions: Permissions, tenants: Tenants, people: People, jobs: Jobs
) -> None:
    who, tenant_id = tenants.one[Role.ADMIN], tenants.one.id
    crm, ledger = Crm(database, clock, permissions), Ledger(jobs)
    books = DoNotContact(database, crm, people, ledger)
    keys = ((KeyKind.PHONE, "+55 34 99999-0001"), (KeyKind.EMAIL, "ana@lojadois.com.br"))
    contact = await crm.upsert_contact(who, ContactData(Source("import", "lista"), name="Ana Lima", keys=keys))
    by_phone = new_chat(tenant_id, "553499990001", contact_id=contact.id)
    by_mail = new_chat(tenant_id, "ana@lojadois.com.br", contact_id=contact.id)
    stranger = new_chat(tenant_id, "5511977776666")

    async def blocked(chat: dict[str, Any]) -> bool:
        async with database.tenant(tenant_id) as conn:
            mine = {"address": chat["address"], "contact_id": chat["contact_id"]}
            theirs = await books.blocked(conn, chat)
            return (await standing_of(conn, **mine, more=theirs)).stopped is not None

    async def said(act: Act, words: str, chat: dict[str, Any], how: How = How.WORDS) -> None:
        """As the sorter or the inbox writes it, and the job that follows, twice."""
        clock.advance(timedelta(minutes=1))
        entry = Entry(clock.now(), act, Scope.ALL, how, words)
        async with database.tenant(tenant_id) as conn:
            named = {"address": chat["address"], "contact_id": chat["contact_id"]}
            assert await ledger.write(conn, tenant_id, entry, **named)
            assert not await ledger.write(conn, tenant_id, entry, **named)
            query = "SELECT task_name, args->>'entry_id' AS entry FROM procrastinate_jobs ORDER BY id DESC LIMIT 1"
            job = await (await conn.execute(query)).fetchone()
            assert job is not None and job["task_name"] == CONSENT_TOLD
        for _ in range(2):
            await books.told(tenant_id, job["entry"])

    assert not await blocked(by_phone)
    await said(Act.STOPPED, "pode parar", by_phone)
    assert await blocked(by_phone) and await blocked(by_mail) and not await blocked(stranger)
    assert await crm.blocked(tenant_id, [(KeyKind.EMAIL, "ana@lojadois.com.br")])
    async with database.tenant(tenant_id) as conn:
        # With the ninth digit or without it, by the contact or by the address alone.
        for address, contact_id in (("5534999990001", None), ("ana@lojadois.com.br", contact.id)):
            assert (await standing_of(conn, address=address, contact_id=contact_id, more=())).stopped is not None

    await said(Act.RESUMED, "quero voltar", by_phone)
    assert not await blocked(by_phone) and not await blocked(by_mail)

    # A stranger's opt-out is kept by the address; one that a person of ours wrote down holds for conversations, too.
    await said(Act.STOPPED, "sair", stranger)
    assert await blocked(stranger)
    await crm.opt_out(who, contact.id, words="pediu por telefone")
    assert await blocked(by_phone) and await blocked(by_mail)
    await said(Act.RESUMED, "voltar", by_phone)

    # A mailbox that is full says nothing of the telephone.
    await crm.block(who, KeyKind.EMAIL, "ana@lojadois.com.br", reason=BlockReason.BOUNCED)
    assert await blocked(by_mail) and not await blocked(by_phone)

    # What one of ours wrote down lifts what was said in the conversation, and nothing that the house decided: not by
    # first writing down a stop, nor by an agreement, nor where the house decided after the stop.
    async def reasons() -> set[str]:
        return {str(one.reason) for one in await crm.blocked(tenant_id, [(KeyKind.PHONE, "+5511977776666")])}

    await said(Act.RESUMED, "voltar", stranger)
    await said(Act.STOPPED, "por telefone", stranger, How.PERSON)
    assert await reasons() == {"said"}
    await said(Act.RESUMED, "era engano", stranger, How.PERSON)
    assert not await reasons() and not await blocked(stranger)
    for reason in (BlockReason.ASKED, BlockReason.ERASED):
        for first in (True, False):
            clock.advance(timedelta(minutes=1))
            if first:
                await crm.block(who, KeyKind.PHONE, "+5511977776666", reason=reason)
            await said(Act.STOPPED, "sair", stranger)
            clock.advance(timedelta(minutes=1))
            if not first:
                await crm.block(who, KeyKind.PHONE, "+5511977776666", reason=reason)
            await said(Act.RESUMED, "pode voltar", stranger, How.PERSON)
            async with database.tenant(tenant_id) as conn:
                agreed = Entry(clock.now() + timedelta(seconds=1), Act.CONSENTED, Scope.ALL, How.PERSON, "aceita")
                await ledger.write(conn, tenant_id, agreed, address=stranger["address"])
            assert await reasons() == {str(reason)} and await blocked(stranger)
            assert await crm.unblock(who, KeyKind.PHONE, "+5511977776666"), "who may change the list does"
            assert not await blocked(stranger)


async def test_templates_are_filled_with_what_the_house_knows(
    database: Database, clock: FixedClock, permissions: Permissions, tenants: Tenants
) -> None:
    who, values = tenants.one[Role.ADMIN], MessageValues(Texts.load())
    crm = Crm(database, clock, permissions)
    keys = ((KeyKind.PHONE, "+55 19 99999-0002"),)
    contact = await crm.upsert_contact(
        who, ContactData(Source("import", "lista"), name="Bruna Reis", company_name="Ipê Móveis", keys=keys)
    )
    async with database.tenant(who.tenant_id) as conn:
        known = new_chat(who.tenant_id, "5519999990002", contact_id=contact.id, owner_id=who.user_id, language="en")
        told = {"name": "Bruna", "sender": "Admin", "house": "Agência Um"}
        assert await values(conn, known) == told, "nobody who never wrote has asked for anything"
        assert await values(conn, known | {"messages_in": 1}) == told | {"topic": "what you asked for"}
        nobody = new_chat(who.tenant_id, "5519999990003", name="+55 19 99999-0003", language="pt-BR")
        assert "name" not in await values(conn, nobody)
