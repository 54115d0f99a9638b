"""Who writes becomes one contact, found by whatever the CRM knows of them, one open deal and where they came from."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from business.crm.identity import KeyKind
from business.crm.model import CompanyData, Contact, ContactData, Source
from business.crm.service import Crm
from business.people.service import People
from core.clock import FixedClock
from core.db import Database
from core.permissions import Permissions
from core.tenancy import Role
from tests.business.messaging.chat_house import ChatHouse, chat_house, webhook, wrote
from tests.conftest import Tenants
from tools.acquaint import Acquaintance

MOBILE, OLD_FORM, LANDLINE = "5519998127344", "551998127344", "551932348871"
USER = "BR.13491208655302741918"
HAND = Source("person", by_person=True)


@dataclass
class Desk:
    house: ChatHouse
    crm: Crm
    acquaint: Acquaintance

    @property
    def who(self) -> Any:
        return self.house.who(Role.ADMIN)

    async def contact(self, name: str | None, *keys: tuple[KeyKind, str], **more: Any) -> str:
        made = await self.crm.upsert_contact(self.who, ContactData(HAND, name=name, keys=keys, **more))
        assert made.id is not None
        return made.id

    async def meet(self, address: str, id: str = "1", **more: Any) -> dict[str, Any]:
        await self.house.sort(webhook(wrote(id, "Oi, vi o site", who=address, **more)))
        chat = await self.house.chat(address)
        await asyncio.gather(*(self.acquaint(self.house.id, chat["id"]) for _ in range(2)))
        return await self.house.chat(address)

    async def all(self) -> list[Contact]:
        rows = await self.house.rows("SELECT id FROM crm_contacts WHERE merged_into IS NULL ORDER BY created_at, id")
        return [await self.crm.contact(self.who, row["id"]) for row in rows]


@pytest.fixture
async def desk(
    database: Database, clock: FixedClock, permissions: Permissions, tenants: Tenants, people: People, tmp_path: Path
) -> AsyncIterator[Desk]:
    async with chat_house(database, clock, permissions, tenants, tmp_path) as house:
        crm = Crm(database, clock, permissions)
        yield Desk(house, crm, Acquaintance(database, crm, people, house.channels, house.texts))


async def test_a_stranger_becomes_a_contact_with_a_deal_its_advertisement_and_a_first_line(desk: Desk) -> None:
    ad = {"source_type": "ad", "source_id": "120210", "ctwa_clid": "clid-1"}
    chat = await desk.meet(MOBILE, referral=ad)
    (contact,) = await desk.all()
    assert (contact.name, contact.id) == ("Ana", chat["contact_id"])
    assert [(key.kind, key.given) for key in contact.keys] == [(KeyKind.WA_ID, MOBILE)]
    (deal,) = await desk.crm.deals(desk.who)
    assert deal.id == chat["deal_id"] and deal.contact_id == contact.id
    assert deal.custom == {"ad_source_id": "120210", "ctwa_clid": "clid-1"}
    (line,) = [one for one in await desk.crm.timeline(desk.who, contact_id=contact.id) if one.kind == "message"]
    assert "Oi, vi o site" in line.text
    # The first touch stays.
    async with desk.house.db.tenant(desk.house.id) as conn:
        await conn.execute('UPDATE chats SET deal_id = NULL, referral = \'{"ctwa_clid": "clid-2"}\'')
    again = await desk.meet(MOBILE, "2")
    assert again["deal_id"] == deal.id
    assert (await desk.crm.deal(desk.who, deal.id)).custom["ctwa_clid"] == "clid-1"
    assert len(await desk.all()) == 1


@pytest.mark.parametrize(
    ("known", "writes_from"),
    [
        ((KeyKind.PHONE, "(19) 9812-7344"), MOBILE),
        ((KeyKind.WA_ID, MOBILE), OLD_FORM),
        ((KeyKind.WA_ID, OLD_FORM), MOBILE),
    ],
)
async def test_a_mobile_is_one_person_with_and_without_its_ninth_digit(
    desk: Desk, known: tuple[KeyKind, str], writes_from: str
) -> None:
    contact_id = await desk.contact("Ana Paula Souza", known)
    chat = await desk.meet(writes_from)
    assert chat["contact_id"] == contact_id
    (contact,) = await desk.all()
    assert contact.name == "Ana Paula Souza", "what people call themselves replaces no whole name"


async def test_a_landline_is_a_place_s_and_leads_to_nobody(desk: Desk) -> None:
    await desk.contact("Rui Prado", (KeyKind.PHONE, "(19) 3234-8871"))
    chat = await desk.meet(LANDLINE)
    assert len(await desk.all()) == 2 and chat["contact_id"] is not None
    ana = await desk.crm.contact(desk.who, chat["contact_id"])
    assert [key.value for key in ana.keys] == ["+551932348871"], "and it gets no ninth digit"


async def test_whatsapp_s_own_ids_find_their_person_and_a_name_that_differs_makes_another(desk: Desk) -> None:
    bia = await desk.contact("Bia", (KeyKind.BSUID, USER))
    hidden = {
        "contacts": [{"profile": {"name": "Bia"}, "user_id": USER}],
        "messages": [{"from_user_id": USER, "id": "wamid.h", "timestamp": "1763650000", "type": "text",
                      "text": {"body": "oi"}}],
    }  # fmt: skip
    await desk.house.sort(webhook(hidden))
    chat = await desk.house.chat(USER)
    assert (await desk.acquaint(desk.house.id, chat["id"])).contact_id == bia
    # A telephone that two people have says of neither that it is them.
    for name in ("João Lima", "Marta Reis"):
        await desk.crm.upsert_contact(
            desk.who, ContactData(HAND, name=name, keys=((KeyKind.PHONE, MOBILE),)), as_new=True
        )
    other = await desk.meet(MOBILE)
    assert other["contact_id"] is not None and len(await desk.all()) == 4


async def test_a_company_that_we_wrote_to_keeps_its_deal_when_somebody_there_answers(desk: Desk) -> None:
    company = await desk.crm.upsert_company(
        desk.who, CompanyData(HAND, trade_name="Ateliê Um", keys=((KeyKind.PHONE, MOBILE),))
    )
    deal = await desk.crm.create_deal(desk.who, "Ateliê Um", company_id=company.id)
    chat = await desk.meet(OLD_FORM)
    assert (chat["company_id"], chat["deal_id"]) == (company.id, deal.id)
    kept = await desk.crm.deal(desk.who, deal.id)
    assert kept.contact_id == chat["contact_id"]
    assert (await desk.crm.contact(desk.who, chat["contact_id"])).company_id == company.id
