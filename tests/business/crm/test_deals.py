"""Deals move over their stages, the timeline tells what happened, tasks are done, and everybody sees what is theirs."""

import asyncio
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from business.crm.events import CrmEvent, Happened, emit
from business.crm.model import CustomField, FieldType, StageKind, Subject
from business.crm.service import Crm
from business.people.service import People
from core.clock import FixedClock
from core.db import Database
from core.errors import ArgumentsWrong, MutiraoError, Refused
from core.money import Money
from core.permissions import Permissions, Scope
from core.tenancy import Identity, Role
from tests.business.crm.conftest import CNPJ, PHONE, firm, person
from tests.business.crm.test_upsert import everything
from tests.conftest import Dsns, Tenants


async def contact(crm: Crm, who: Identity, name: str = "Ana Lima", number: str = "19 98765-4329") -> str:
    made = await crm.upsert_contact(who, person(name, (PHONE, number)))
    assert made.id
    return made.id


async def seen(crm: Crm, tenant_id: str, reader: str = "tests") -> list[CrmEvent]:
    async with crm.events(tenant_id, reader) as (_, found):
        return found


@pytest.mark.parametrize(("language", "first"), [("pt-BR", "Novo"), ("en", "New"), ("es", "Nuevo")])
async def test_a_tenant_begins_with_stages_in_its_language(crm: Crm, people: People, language: str, first: str) -> None:
    tenant = await people.add_tenant("Nova", language=language)
    user = await people.add_user(tenant.id, "a@nova.example", "Ana", Role.ADMIN, None)
    who = await people.identity(tenant.id, user.id)
    both = await asyncio.gather(crm.stages(who), crm.stages(who))
    assert both[0] == both[1] and both[0][0].name == first
    assert [stage.kind for stage in both[0][-2:]] == [StageKind.WON, StageKind.LOST]


async def test_a_deal_is_won_told_and_reopened(crm: Crm, tenants: Tenants, clock: FixedClock) -> None:
    who = tenants.one[Role.DIRETOR]
    ana = await contact(crm, who)
    deal = await crm.create_deal(
        who, "Site novo", contact_id=ana, amount=Money(Decimal("1200.50"), "BRL"), expected_on=date(2026, 12, 1)
    )
    assert (deal.stage.name, deal.owner_id, deal.closed_at) == ("Novo", who.user_id, None)
    stages = {stage.name: stage.id for stage in await crm.stages(who)}
    clock.advance(timedelta(days=2))
    won = await crm.move_deal(who, deal.id, stages["Ganho"])
    assert (won.stage.kind, won.closed_at, won.stage_at) == (StageKind.WON, clock.now(), clock.now())
    again = await crm.move_deal(who, deal.id, stages["Ganho"])
    assert again == won
    clock.advance(timedelta(days=1))
    back = await crm.move_deal(who, deal.id, stages["Proposta enviada"])
    assert back.closed_at is None
    lost = await crm.move_deal(who, deal.id, stages["Perdido"], lost_reason="Sem verba")
    assert lost.lost_reason == "Sem verba"
    happened = await seen(crm, who.tenant_id)
    assert [event.kind for event in happened] == [
        Happened.DEAL_OPENED, Happened.DEAL_MOVED, Happened.DEAL_WON, Happened.DEAL_MOVED, Happened.DEAL_MOVED,
        Happened.DEAL_LOST,
    ]  # fmt: skip
    assert happened[2].data == {"contact_id": ana, "company_id": None, "amount": "1200.5000", "currency": "BRL"}
    entries = await crm.timeline(who, contact_id=ana)
    assert [entry.data for entry in entries if entry.kind == "stage"][::-1] == [
        {"from": "Novo", "to": "Ganho"},
        {"from": "Ganho", "to": "Proposta enviada"},
        {"from": "Proposta enviada", "to": "Perdido"},
    ]


async def test_a_deal_is_changed_field_by_field_and_what_is_so_already_is_not_written(
    crm: Crm, tenants: Tenants, clock: FixedClock, owner_dsn: str
) -> None:
    who = tenants.one[Role.ADMIN]
    await crm.define_field(who, CustomField("deal", "channel", "Canal", FieldType.CHOICE, ("Feira", "Site")))
    made = await crm.upsert_company(who, firm("Ipê", (CNPJ, "11.222.333/0001-81")))
    deal = await crm.create_deal(who, "Site", amount=Money(Decimal(1000), "BRL"))
    changes: dict[str, Any] = {
        "title": "Site e marca", "company_id": made.id, "amount": Money(Decimal(1500), "USD"),
        "custom": {"channel": "feira"}, "tags": ["Quente"],
    }  # fmt: skip
    changed = await crm.change_deal(who, deal.id, changes)
    assert (changed.title, changed.company_id, changed.tags) == ("Site e marca", made.id, ("quente",))
    assert changed.amount == Money(Decimal(1500), "USD") and changed.custom == {"channel": "Feira"}
    before = everything(owner_dsn)
    clock.advance(timedelta(hours=1))
    assert await crm.change_deal(who, deal.id, changes) == changed
    assert everything(owner_dsn) == before
    for wrong, code in (
        ({"stage": "x"}, "crm_field_unknown"),
        ({"title": " "}, "crm_title_empty"),
        ({"contact_id": "con_0"}, "crm_unknown"),
        ({"custom": {"channel": "Rádio"}}, "crm_field_wrong"),
    ):
        with pytest.raises(MutiraoError) as told:
            await crm.change_deal(who, deal.id, wrong)
        assert told.value.code == code


async def test_the_board_counts_and_adds_by_currency(crm: Crm, tenants: Tenants) -> None:
    who = tenants.one[Role.ADMIN]
    for amount, currency in ((100, "BRL"), (50, "BRL"), (7, "USD")):
        await crm.create_deal(who, f"{amount}", amount=Money(Decimal(amount), currency))
    await crm.create_deal(who, "sem valor")
    first, *others = await crm.board(who, each=2)
    assert (first.count, len(first.deals)) == (4, 2)
    assert first.sums == (Money(Decimal(150), "BRL"), Money(Decimal(7), "USD"))
    assert all(column.count == 0 and column.deals == () for column in others)


async def test_stages_are_the_tenants_to_change_but_deals_keep_theirs(crm: Crm, tenants: Tenants) -> None:
    who = tenants.one[Role.ADMIN]
    stages = await crm.stages(who)
    deal = await crm.create_deal(who, "Site", stage_id=stages[1].id)
    new = [(stages[-1].id, "Perdido", StageKind.LOST), (stages[1].id, "Novo", StageKind.OPEN),
           (None, "Visita", StageKind.OPEN), (stages[-2].id, "Fechado", StageKind.WON)]  # fmt: skip
    assert [stage.name for stage in await crm.set_stages(who, new)] == ["Perdido", "Novo", "Visita", "Fechado"]
    assert (await crm.deal(who, deal.id)).stage.name == "Novo"
    for wrong, code in (
        (new[:1] + new[2:], "crm_stage_in_use"),
        (new[:-1], "crm_stages_incomplete"),
        ([*new, (None, "novo", StageKind.OPEN)], "crm_stage_name"),
        ([*new, ("stage_0", "Outra", StageKind.OPEN)], "crm_stage_unknown"),
        ([new[0], (stages[1].id, "Novo", StageKind.WON), new[2]], "crm_stage_kind_stays"),
    ):
        with pytest.raises(MutiraoError) as told:
            await crm.set_stages(who, wrong)
        assert told.value.code == code
    with pytest.raises(Refused):
        await crm.set_stages(tenants.one[Role.COMERCIAL], new)


async def test_notes_and_tasks_are_written_done_and_deleted(crm: Crm, tenants: Tenants, clock: FixedClock) -> None:
    who = tenants.one[Role.ADMIN]
    ana = await contact(crm, who)
    deal = await crm.create_deal(who, "Site", contact_id=ana)
    note = await crm.write_activity(who, "note", "Prefere\nmanhãs", deal_id=deal.id)
    assert (note.text, note.contact_id, note.deal_id) == ("Prefere\nmanhãs", ana, deal.id)
    task = await crm.add_task(who, "Ligar", due_at=clock.now() + timedelta(days=1), contact_id=ana)
    later = await crm.add_task(who, "Visitar", due_at=clock.now() + timedelta(days=9), contact_id=ana)
    assert [one.id for one in await crm.tasks(who, contact_id=ana)] == [task.id, later.id]
    assert [one.id for one in await crm.tasks(who, due_before=clock.now() + timedelta(days=2))] == [task.id]
    done = await crm.finish_task(who, task.id)
    assert done.done_at == clock.now()
    assert [one.id for one in await crm.tasks(who)] == [later.id]
    assert (await crm.finish_task(who, task.id, done=False)).done_at is None
    await crm.delete_activity(who, note.id)
    kinds = [entry.kind for entry in await crm.timeline(who, contact_id=ana)]
    assert sorted(kinds) == ["deal_opened", "task_done", "task_open"]
    with pytest.raises(Refused):
        await crm.delete_activity(who, (await crm.timeline(who, contact_id=ana))[0].id)  # nobody wrote it
    for kind, of, code in (
        ("gossip", {"contact_id": ana}, "crm_activity_unknown"),
        ("note", {}, "crm_activity_of_nothing"),
    ):
        with pytest.raises(ArgumentsWrong) as told:
            await crm.write_activity(who, kind, "x", **of)
        assert told.value.code == code


async def test_a_qualified_lead_is_an_entry_and_an_event(crm: Crm, tenants: Tenants) -> None:
    who = tenants.one[Role.ADMIN]
    ana = await contact(crm, who)
    await crm.qualify(who, Subject.CONTACT, ana, score=82, reason="Tem verba e prazo")
    (event,) = await seen(crm, who.tenant_id)
    assert (event.kind, event.subject_id, event.data) == (
        Happened.LEAD_QUALIFIED, ana, {"score": 82, "subject": "contact"}
    )  # fmt: skip
    assert (await crm.timeline(who, contact_id=ana))[0].text == "Tem verba e prazo"
    with pytest.raises(ArgumentsWrong):
        await crm.qualify(who, Subject.CONTACT, ana, score=101, reason="")


# --- events ---------------------------------------------------------------------------------------


async def test_each_reader_sees_each_event_once_and_again_after_an_error(crm: Crm, tenants: Tenants) -> None:
    who = tenants.one[Role.ADMIN]
    for n in range(3):
        await crm.create_deal(who, f"{n}")

    async def fail() -> None:
        async with crm.events(who.tenant_id, "memory") as (_, found):
            assert len(found) == 3
            raise RuntimeError("the reader's own")

    with pytest.raises(RuntimeError):
        await fail()
    async with crm.events(who.tenant_id, "memory", limit=2) as (_, found):
        assert len(found) == 2
    assert len(await seen(crm, who.tenant_id, "memory")) == 1
    assert await seen(crm, who.tenant_id, "memory") == []
    assert len(await seen(crm, who.tenant_id, "reports")) == 3
    assert await seen(crm, tenants.other.id, "memory") == []


async def test_an_event_of_a_transaction_that_commits_late_is_not_passed_by(
    crm: Crm, tenants: Tenants, dsns: Dsns, clock: FixedClock
) -> None:

    who = tenants.one[Role.ADMIN]
    slow = Database(dsns.app)
    await slow.open()
    async with slow.tenant(who.tenant_id) as conn:
        await emit(conn, Happened.LEAD_QUALIFIED, "con_slow", clock.now())
        await crm.create_deal(who, "quick")  # has a later number, and commits before
        assert await seen(crm, who.tenant_id) == []
    await slow.close()
    assert [event.kind for event in await seen(crm, who.tenant_id)] == [Happened.LEAD_QUALIFIED, Happened.DEAL_OPENED]


# --- who sees and changes what ----------------------------------------------------------------------


async def attempts(crm: Crm, who: Identity, ids: dict[str, str]) -> dict[str, Any]:
    """Every method that takes an id, with somebody else's: name → a call not yet made."""
    c, company, deal, task, note, merge, stage = (
        ids[k] for k in ("contact", "company", "deal", "task", "note", "merge", "stage")
    )
    contact_, firm_ = Subject.CONTACT, Subject.COMPANY
    return {
        "contact": lambda: crm.contact(who, c),
        "company": lambda: crm.company(who, company),
        "contacts_of_company": lambda: crm.contacts_of_company(who, company),
        "upsert into": lambda: crm.upsert_contact(who, person("X Y", (PHONE, "11 97777-1234")), into=c),
        "upsert company into": lambda: crm.upsert_company(who, firm("X", (PHONE, "11 97777-1234")), into=company),
        "upsert company_id": lambda: crm.upsert_contact(who, person("X Y", (PHONE, "1197777"), company_id=company)),
        "clear_fields": lambda: crm.clear_fields(who, contact_, c, ["city"]),
        "tag": lambda: crm.tag(who, firm_, company, add=["x"]),
        "remove_key": lambda: crm.remove_key(who, contact_, c, PHONE, "19 98765-4329"),
        "merge": lambda: crm.merge(who, contact_, c, ids["other_contact"]),
        "undo_merge": lambda: crm.undo_merge(who, merge),
        "merges": lambda: crm.merges(who, firm_, company),
        "create_deal contact": lambda: crm.create_deal(who, "x", contact_id=c),
        "create_deal company": lambda: crm.create_deal(who, "x", company_id=company),
        "deal": lambda: crm.deal(who, deal),
        "change_deal": lambda: crm.change_deal(who, deal, {"title": "x"}),
        "move_deal": lambda: crm.move_deal(who, deal, stage),
        "assign contact": lambda: crm.assign(who, "contact", c, who.user_id),
        "assign deal": lambda: crm.assign(who, "deal", deal, who.user_id),
        "qualify": lambda: crm.qualify(who, contact_, c, score=1, reason=""),
        "write_activity contact": lambda: crm.write_activity(who, "note", "x", contact_id=c),
        "write_activity deal": lambda: crm.write_activity(who, "note", "x", deal_id=deal),
        "delete_activity": lambda: crm.delete_activity(who, note),
        "timeline": lambda: crm.timeline(who, contact_id=c),
        "timeline deal": lambda: crm.timeline(who, deal_id=deal),
        "add_task": lambda: crm.add_task(who, "x", deal_id=deal),
        "finish_task": lambda: crm.finish_task(who, task),
        "opt_out": lambda: crm.opt_out(who, c, words="pare"),
        "where_from": lambda: crm.where_from(who, contact_, c),
        "export_person": lambda: crm.export_person(who, c),
        "erase": lambda: crm.erase(who, contact_, c),
    }  # fmt: skip


async def filled(crm: Crm, who: Identity, clock: FixedClock) -> dict[str, str]:
    """One of everything, all of it `who`'s."""
    c = await contact(crm, who)
    other = await contact(crm, who, "Bruno Zanella", "19 98765-4330")
    third = await contact(crm, who, "Caio Piovesan", "19 98765-4331")
    made = await crm.upsert_company(who, firm("Ipê", (CNPJ, "11.222.333/0001-81"), owner_id=who.user_id))
    for one in (c, other, third):
        await crm.assign(who, "contact", one, who.user_id)
    deal = await crm.create_deal(who, "Site", contact_id=c, company_id=made.id)
    task = await crm.add_task(who, "Ligar", contact_id=c)
    note = await crm.write_activity(who, "note", "x", contact_id=c)
    merge = await crm.merge(who, Subject.CONTACT, other, third)
    stage = (await crm.stages(who))[1].id
    assert made.id
    return {"contact": c, "other_contact": other, "company": made.id, "deal": deal.id, "task": task.id,
            "note": note.id, "merge": merge, "stage": stage}  # fmt: skip


@pytest.mark.parametrize("role", [Role.ADMIN, Role.COMERCIAL])
async def test_every_method_tried_with_another_tenants_ids_finds_nothing_and_changes_nothing(
    crm: Crm, tenants: Tenants, clock: FixedClock, owner_dsn: str, role: Role
) -> None:
    ids = await filled(crm, tenants.one[Role.ADMIN], clock)
    stranger = tenants.other[role]
    await crm.stages(stranger)
    before = everything(owner_dsn)
    for name, attempt in (await attempts(crm, stranger, ids)).items():
        with pytest.raises(MutiraoError) as told:
            await attempt()
        assert told.value.code in {"crm_unknown", "crm_merge_unknown", "crm_not_allowed"}, name
        assert everything(owner_dsn) == before, name
    assert await crm.search(stranger) == [] and await crm.search(stranger, "ana") == []
    assert await crm.contacts_with(stranger, PHONE, "19 98765-4329") == []
    assert await crm.deals(stranger, contact_id=ids["contact"]) == []
    assert await crm.tasks(stranger, done=None) == []
    assert sum(column.count for column in await crm.board(stranger)) == 0


async def test_a_comercial_reaches_nothing_of_a_colleague(
    crm: Crm, tenants: Tenants, clock: FixedClock, owner_dsn: str
) -> None:
    ids = await filled(crm, tenants.one[Role.ADMIN], clock)
    seller = tenants.one[Role.COMERCIAL]
    before = everything(owner_dsn)
    for name, attempt in (await attempts(crm, seller, ids)).items():
        with pytest.raises(Refused) as told:
            await attempt()
        assert told.value.code in {"crm_unknown", "crm_not_allowed"}, name
        assert everything(owner_dsn) == before, name
    assert await crm.search(seller) == [] and await crm.deals(seller) == [] and await crm.tasks(seller) == []
    assert await crm.companies_with(seller, CNPJ, "11222333000181") == []


async def test_a_comercial_does_all_of_it_with_what_is_theirs(crm: Crm, tenants: Tenants, clock: FixedClock) -> None:
    seller, admin = tenants.one[Role.COMERCIAL], tenants.one[Role.ADMIN]
    ana = await contact(crm, seller)
    deal = await crm.create_deal(seller, "Site", contact_id=ana)
    theirs = await crm.create_deal(admin, "Outra coisa", contact_id=ana)
    await crm.write_activity(admin, "note", "segredo", deal_id=theirs.id)
    await crm.write_activity(seller, "note", "meu", contact_id=ana)
    assert [one.id for one in await crm.deals(seller)] == [deal.id]
    assert "segredo" not in {entry.text for entry in await crm.timeline(seller, contact_id=ana)}
    assert len((await crm.export_person(seller, ana))["deals"]) == 1
    await crm.opt_out(seller, ana, words="pare")
    with pytest.raises(Refused):
        await crm.erase(seller, Subject.CONTACT, ana)
    with pytest.raises(Refused):
        await crm.assign(seller, "contact", ana, admin.user_id)
    with pytest.raises(Refused):
        await crm.create_deal(seller, "x", owner_id=admin.user_id)


@pytest.mark.parametrize("role", [Role.CLIENTE, Role.AGENTE_IA])
async def test_who_may_only_look_or_not_even_that_changes_nothing(
    crm: Crm, tenants: Tenants, clock: FixedClock, owner_dsn: str, role: Role
) -> None:
    ids = await filled(crm, tenants.one[Role.ADMIN], clock)
    reads = {"contact", "company", "contacts_of_company", "merges", "deal", "timeline", "timeline deal", "where_from",
             "export_person"}  # fmt: skip
    who = tenants.one[role]
    for name, attempt in (await attempts(crm, who, ids)).items():
        if role is Role.AGENTE_IA and name in reads:
            await attempt()
            continue
        with pytest.raises(Refused) as told:
            await attempt()
        assert told.value.code == "crm_not_allowed", name
    if role is Role.CLIENTE:
        with pytest.raises(Refused):
            await crm.search(who, "ana")


async def test_an_agent_that_works_for_somebody_sees_no_more_than_it_is_given(
    database: Database, clock: FixedClock, permissions: Permissions, crm: Crm, tenants: Tenants
) -> None:
    who = tenants.one[Role.ADMIN]
    ana = await contact(crm, who)
    narrow = Crm(database, clock, permissions.narrowed(at_most=Scope.OWN))
    with pytest.raises(Refused):
        await narrow.contact(who, ana)
    looking = Crm(database, clock, permissions.narrowed(read_only=True))
    assert (await looking.contact(who, ana)).name == "Ana Lima"
    with pytest.raises(Refused):
        await looking.create_deal(who, "x")


async def test_an_owner_of_another_tenant_is_unknown(crm: Crm, tenants: Tenants) -> None:
    who, stranger = tenants.one[Role.ADMIN], tenants.other[Role.ADMIN]
    ana = await contact(crm, who)
    for attempt in (
        crm.assign(who, "contact", ana, stranger.user_id),
        crm.create_deal(who, "x", owner_id=stranger.user_id),
        crm.add_task(who, "x", owner_id=stranger.user_id),
        crm.upsert_contact(who, person("Z W", (PHONE, "11 97777-1234"), owner_id=stranger.user_id)),
    ):
        with pytest.raises(ArgumentsWrong) as told:
            await attempt
        assert told.value.code == "crm_owner_unknown"
    await crm.assign(who, "contact", ana, tenants.one[Role.COMERCIAL].user_id)
    assert (await crm.contact(tenants.one[Role.COMERCIAL], ana)).name == "Ana Lima"
