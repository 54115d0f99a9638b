"""People learn where their data is from, get it, are left alone, and are forgotten everywhere."""

import json
from datetime import timedelta

import psycopg
import pytest

from business.crm.events import Happened
from business.crm.identity import KeyKind
from business.crm.model import CustomField, FieldType, Outcome, Subject
from business.crm.privacy import BlockReason
from business.crm.service import Crm
from core.clock import FixedClock
from core.errors import ArgumentsWrong
from core.tenancy import Role
from tests.business.crm.conftest import CNPJ, CPF, EMAIL, PHONE, REGISTRY, SPOKEN, WA_ID, firm, person
from tests.business.crm.test_upsert import everything, rows
from tests.conftest import Tenants

CANARIES = ("Quimera", "Xanadu", "98765-4329", "19987654329", "quimera@ipe", "52998224725", "quimera.ig")


async def test_where_data_is_from_is_told_source_by_source(crm: Crm, tenants: Tenants, clock: FixedClock) -> None:
    who = tenants.one[Role.ADMIN]
    first = clock.now()
    made = await crm.upsert_contact(
        who, person("Ana Lima", (PHONE, "19 98765-4329"), city="Itu", source=REGISTRY, purpose="prospecção B2B")
    )
    clock.advance(timedelta(days=3))
    assert made.id
    await crm.upsert_contact(who, person("Ana Lima", (EMAIL, "ana@x.org"), title="Sócia", source=SPOKEN), into=made.id)
    told = await crm.where_from(who, Subject.CONTACT, made.id)
    assert (told.purpose, told.since) == ("prospecção B2B", first)
    assert [(origin.fields, origin.source, origin.reference, origin.by_person) for origin in told.origins] == [
        (("city", "name", "phone"), "registry", REGISTRY.reference, False),
        (("email", "title"), "person", "chat", True),
    ]
    assert [origin.at for origin in told.origins] == [first, clock.now()]


async def test_who_opted_out_is_on_the_list_in_every_writing_and_after_they_were_erased(
    crm: Crm, tenants: Tenants, owner_dsn: str
) -> None:
    who = tenants.one[Role.ADMIN]
    keys = ((PHONE, "(19) 98765-4329"), (EMAIL, "Ana@x.org"), (CPF, "52998224725"))
    made = await crm.upsert_contact(who, person("Ana Lima", *keys))
    assert made.id
    asked = [(WA_ID, "551987654329"), (EMAIL, "ana@X.ORG"), (PHONE, "19 98765-4330")]
    assert await crm.blocked(who.tenant_id, asked) == []
    await crm.opt_out(who, made.id, words="não me mande mais")
    await crm.opt_out(who, made.id, words="não me mande mais")
    found = await crm.blocked(who.tenant_id, asked)
    assert {(one.kind, one.given, one.reason) for one in found} == {
        (WA_ID, "551987654329", BlockReason.OPTED_OUT),
        (EMAIL, "ana@X.ORG", BlockReason.OPTED_OUT),
    }
    async with crm.events(who.tenant_id, "tests") as (_, events):
        assert [event.kind for event in events] == [Happened.OPTED_OUT] * 2
    await crm.erase(who, Subject.CONTACT, made.id)
    assert len(await crm.blocked(who.tenant_id, asked)) == 2
    assert await crm.blocked(tenants.other.id, asked) == []
    assert "98765" not in json.dumps(rows(owner_dsn, "crm_do_not_contact"))
    back = await crm.upsert_contact(who, person("Ana Lima", (PHONE, "19987654329")))
    assert back.outcome is Outcome.CREATED and len(await crm.blocked(who.tenant_id, asked)) == 2


async def test_a_key_is_blocked_and_unblocked_without_a_record(crm: Crm, tenants: Tenants) -> None:
    who = tenants.one[Role.ADMIN]
    await crm.block(who, PHONE, "19 98765-4329", reason=BlockReason.ASKED)
    assert [one.reason for one in await crm.blocked(who.tenant_id, [(PHONE, "+5519987654329")])] == [BlockReason.ASKED]
    assert await crm.unblock(who, WA_ID, "5519987654329")
    assert not await crm.unblock(who, PHONE, "19 98765-4329")
    with pytest.raises(ArgumentsWrong) as told:
        await crm.block(who, PHONE, "99999-9999", reason=BlockReason.ASKED)
    assert told.value.code == "crm_key_invalid"


async def quimera(crm: Crm, tenants: Tenants, clock: FixedClock) -> tuple[str, str]:
    """A person with traces in every table; her id, and that of a deal of hers."""
    who = tenants.one[Role.ADMIN]
    await crm.define_field(who, CustomField("contact", "hobby", "Hobby", FieldType.TEXT))
    company = await crm.upsert_company(who, firm("Ipê", (CNPJ, "11.222.333/0001-81")))
    made = await crm.upsert_contact(
        who,
        person("Quimera Xanadu", (PHONE, "(19) 98765-4329"), (EMAIL, "quimera@ipe.com.br"), (CPF, "529.982.247-25"),
               company_id=company.id, custom={"hobby": "Quimera voa"}, tags=("xanadu",), title="Xanadu"),
    )  # fmt: skip
    other = await crm.upsert_contact(
        who, person("Quimera X.", (KeyKind.INSTAGRAM, "@quimera.ig"), city="Xanadu"), as_new=True
    )
    undone = await crm.upsert_contact(who, person("Outra Pessoa", (PHONE, "11 98888-1234")))
    bruno = await crm.upsert_contact(who, person("Bruno Zanella", (PHONE, "11 98888-1235")))
    assert made.id and other.id and undone.id and bruno.id and company.id
    await crm.write_activity(who, "note", "Xanadu adora café", contact_id=other.id)
    await crm.merge(who, Subject.CONTACT, made.id, other.id)
    await crm.undo_merge(who, await crm.merge(who, Subject.CONTACT, undone.id, made.id))
    deal = await crm.create_deal(who, "Site da Quimera", contact_id=made.id, company_id=company.id)
    lost = next(stage for stage in await crm.stages(who) if stage.kind == "lost")
    await crm.move_deal(who, deal.id, lost.id, lost_reason="Quimera desistiu")
    await crm.write_activity(who, "call", "Quimera ligou", deal_id=deal.id)
    await crm.add_task(who, "Ligar para Quimera", contact_id=made.id)
    await crm.write_activity(who, "note", "Indicado por quimera xanadu, (19) 98765-4329", contact_id=bruno.id)
    await crm.add_task(who, "Perguntar a QUIMERA@IPE.COM.BR", contact_id=bruno.id)
    await crm.upsert_contact(who, person("Quimera Xanadu", (PHONE, "19987654329"), city="Xanadu"))
    await crm.opt_out(who, made.id, words="Quimera diz pare")
    clock.advance(timedelta(minutes=1))
    return made.id, deal.id


async def test_an_export_holds_everything_and_nothing_of_others(crm: Crm, tenants: Tenants, clock: FixedClock) -> None:
    who = tenants.one[Role.ADMIN]
    contact_id, _ = await quimera(crm, tenants, clock)
    told = json.dumps(await crm.export_person(who, contact_id), default=str, ensure_ascii=False)
    for piece in (*CANARIES, "adora café", "ligou", "desistiu", "Ligar para", "voa", "opted_out"):
        assert piece in told, piece
    assert "Bruno" not in told


async def test_erasure_reaches_every_table_and_leaves_the_figures(
    crm: Crm, tenants: Tenants, clock: FixedClock, owner_dsn: str
) -> None:
    who = tenants.one[Role.ADMIN]
    contact_id, deal_id = await quimera(crm, tenants, clock)
    before = json.dumps(everything(owner_dsn), ensure_ascii=False)
    assert all(canary in before for canary in CANARIES)
    erased = await crm.erase(who, Subject.CONTACT, contact_id, keep_out=True)
    assert {name for name, count in erased.items() if count} >= {
        "crm_contacts", "crm_keys", "crm_words", "crm_activities", "crm_tasks", "crm_deals", "crm_merges", "elsewhere"
    }  # fmt: skip
    with psycopg.connect(owner_dsn) as conn:
        tables = conn.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    for (table,) in tables:  # the audit too
        text = json.dumps(rows(owner_dsn, table), ensure_ascii=False).casefold()
        assert [canary for canary in CANARIES if canary.casefold() in text] == [], table
    deal = await crm.deal(who, deal_id)
    assert (deal.contact_id, deal.title, deal.lost_reason, deal.stage.kind) == (None, deal_id, None, "lost")
    (bruno,) = await crm.contacts_with(who, PHONE, "11 98888-1235")
    notes = [entry.text for entry in await crm.timeline(who, contact_id=bruno.id)]
    assert notes == ["Indicado por […], […]"]
    assert [task.title for task in await crm.tasks(who)] == ["Perguntar a […]"]
    assert (await crm.blocked(who.tenant_id, [(PHONE, "19987654329")]))[0].reason is BlockReason.OPTED_OUT
    async with crm.events(who.tenant_id, "tests") as (_, events):
        assert events[-1].kind is Happened.ERASED and contact_id in events[-1].data["ids"]
        assert len(events[-1].data["ids"]) == 2


async def test_an_erased_company_leaves_its_people(crm: Crm, tenants: Tenants, owner_dsn: str) -> None:
    who = tenants.one[Role.ADMIN]
    company = await crm.upsert_company(who, firm("41.227.605 ANA KUHN", (CNPJ, "11.222.333/0001-81")))
    assert company.id
    ana = await crm.upsert_contact(who, person("Ana Kuhn", (PHONE, "19 98765-4329"), company_id=company.id))
    assert ana.id
    await crm.erase(who, Subject.COMPANY, company.id)
    assert (await crm.contact(who, ana.id)).company_id is None
    assert rows(owner_dsn, "crm_companies") == []
