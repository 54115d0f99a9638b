"""People and companies are brought in once each, and whoever is not clearly the same is asked about."""

import asyncio
from datetime import date, timedelta
from typing import Any

import psycopg
import pytest

from business.crm.identity import KeyKind, Verdict
from business.crm.model import CustomField, FieldType, Outcome, Source, Subject
from business.crm.service import Crm
from core.clock import FixedClock
from core.db import Database
from core.errors import ArgumentsWrong, MutiraoError, Refused
from core.permissions import Permissions
from core.tenancy import Role
from tests.business.crm.conftest import CNPJ, CPF, EMAIL, FILE, PHONE, SPOKEN, WA_ID, firm, person
from tests.conftest import Dsns, Tenants


def rows(owner_dsn: str, table: str) -> list[dict[str, Any]]:
    with psycopg.connect(owner_dsn) as conn:
        return _rows(conn, table)


def everything(owner_dsn: str) -> dict[str, list[dict[str, Any]]]:
    with psycopg.connect(owner_dsn) as conn:
        names = conn.execute("SELECT tablename FROM pg_tables WHERE tablename LIKE 'crm_%'").fetchall()
        return {name: _rows(conn, name) for (name,) in names}


def _rows(conn: psycopg.Connection, table: str) -> list[dict[str, Any]]:
    found = conn.execute(f"SELECT to_jsonb(t) FROM {table} t ORDER BY 1".encode()).fetchall()
    return [row for (row,) in found]


async def test_a_new_person_is_made_found_again_and_completed(crm: Crm, tenants: Tenants, clock: FixedClock) -> None:
    who = tenants.one[Role.DIRETOR]
    made = await crm.upsert_contact(who, person("Ana Lima", (PHONE, "(19) 98765-4329"), tags=("VIP",)))
    assert made.outcome is Outcome.CREATED and made.id
    clock.advance(timedelta(hours=1))
    again = await crm.upsert_contact(
        who, person("Ana Lima", (WA_ID, "551987654329"), (EMAIL, "Ana@Ipe.com.br"), title="Sócia", source=SPOKEN)
    )
    assert (again.outcome, again.id) == (Outcome.UPDATED, made.id)
    assert again.changes["title"] == (None, "Sócia")
    found = await crm.contact(who, made.id)
    assert (found.name, found.title, found.tags) == ("Ana Lima", "Sócia", ("vip",))
    assert [(key.kind, key.given) for key in found.keys] == [
        (PHONE, "(19) 98765-4329"),
        (EMAIL, "Ana@Ipe.com.br"),
        (WA_ID, "551987654329"),
    ]
    assert found.facts["name"].source == "import" and found.facts["name"].reference == "lista.csv, 12"
    assert found.facts["title"].by_person and found.facts["title"].at == clock.now()
    assert found.city is None and "city" not in found.facts
    assert [one.id for one in await crm.contacts_with(who, PHONE, "+55 19 8765 4329")] == [made.id]


async def test_what_is_known_already_writes_nothing(
    crm: Crm, tenants: Tenants, owner_dsn: str, clock: FixedClock
) -> None:
    who = tenants.one[Role.ADMIN]
    await crm.upsert_contact(who, person("Ana Lima", (PHONE, "19 98765-4329"), city="Campinas", tags=("vip",)))
    before = everything(owner_dsn)
    clock.advance(timedelta(days=1))
    again = await crm.upsert_contact(who, person("ANA LIMA", (PHONE, "019987654329"), city="campinas", tags=("VIP",)))
    assert again.outcome is Outcome.UNCHANGED and again.changes == {}
    shorter = await crm.upsert_contact(who, person("Ana", (PHONE, "019987654329")))
    assert shorter.outcome is Outcome.UNCHANGED
    assert everything(owner_dsn) == before


async def test_a_dry_run_says_what_would_be_and_changes_nothing(crm: Crm, tenants: Tenants, owner_dsn: str) -> None:
    who = tenants.one[Role.ADMIN]
    assert (
        await crm.upsert_contact(who, person("Ana", (PHONE, "19 98765-4329")), dry_run=True)
    ).outcome is Outcome.CREATED
    await crm.upsert_contact(who, person("Ana Lima", (PHONE, "19 98765-4329")))
    before = everything(owner_dsn)
    would = await crm.upsert_contact(who, person("Ana Lima", (PHONE, "19 98765-4329"), city="Itu"), dry_run=True)
    assert would.outcome is Outcome.UPDATED and would.changes == {"city": (None, "Itu")}
    assert everything(owner_dsn) == before


async def test_a_known_record_is_changed_without_saying_its_name_again(crm: Crm, tenants: Tenants) -> None:
    who = tenants.one[Role.DIRETOR]
    ana = await crm.upsert_contact(who, person("Ana Lima", (PHONE, "19 98765-4329")))
    ipe = await crm.upsert_company(who, firm("Ipê Arquitetura", (CNPJ, "11.222.333/0001-81")))
    assert ana.id and ipe.id
    changed = await crm.upsert_contact(who, person(title="Diretora", source=SPOKEN), into=ana.id)
    assert (changed.outcome, changed.id, changed.changes) == (Outcome.UPDATED, ana.id, {"title": (None, "Diretora")})
    moved = await crm.upsert_company(who, firm(city="Itu", source=SPOKEN), into=ipe.id)
    assert (moved.outcome, moved.changes) == (Outcome.UPDATED, {"city": (None, "Itu")})
    with pytest.raises(ArgumentsWrong) as told:
        await crm.upsert_contact(who, person(title="Diretora"))
    assert told.value.code == "crm_nothing_told"


async def test_two_people_behind_one_key_are_candidates_with_reasons_and_a_person_decides(
    crm: Crm, tenants: Tenants
) -> None:
    who = tenants.one[Role.ADMIN]
    ana = await crm.upsert_contact(who, person("Ana Lima", (PHONE, "19 98765-4329")))
    bruno = await crm.upsert_contact(who, person("Ana Lima", (EMAIL, "ana.lima@ipe.com.br")))
    assert bruno.outcome is Outcome.CREATED
    both = person("Ana Lima", (PHONE, "19 98765-4329"), (EMAIL, "ana.lima@ipe.com.br"), title="Sócia")
    asked = await crm.upsert_contact(who, both)
    assert (asked.outcome, asked.id) == (Outcome.AMBIGUOUS, None)
    assert {candidate.id for candidate in asked.candidates} == {ana.id, bruno.id}
    assert all(candidate.match.evidence for candidate in asked.candidates)
    stranger = await crm.upsert_contact(who, person("Zoraide Kuhn", (PHONE, "19 98765-4329")))
    assert stranger.outcome is Outcome.AMBIGUOUS
    assert [c.match.verdict for c in stranger.candidates] == [Verdict.ASK]
    assert {e.text for e in stranger.candidates[0].match.evidence} == {"mobile_same", "name_unlike"}
    decided = await crm.upsert_contact(who, person("Zoraide Kuhn", (PHONE, "19 98765-4329")), as_new=True)
    assert decided.outcome is Outcome.CREATED
    said = await crm.upsert_contact(who, person("Ana P. Lima", (EMAIL, "ap@x.org"), source=SPOKEN), into=ana.id)
    assert (said.outcome, said.id) == (Outcome.UPDATED, ana.id)


async def test_what_a_person_said_is_not_replaced_by_a_machine(crm: Crm, tenants: Tenants) -> None:
    who = tenants.one[Role.ADMIN]
    made = await crm.upsert_contact(who, person("Ana Lima", (CPF, "529.982.247-25"), city="Itu", source=SPOKEN))
    told = await crm.upsert_contact(who, person("Ana Lima", (CPF, "52998224725"), city="Campinas"))
    assert (told.outcome, told.kept) == (Outcome.UNCHANGED, ("city",))
    assert made.id is not None
    assert (await crm.contact(who, made.id)).city == "Itu"


async def test_what_cannot_be_a_key_is_told_and_left_out(crm: Crm, tenants: Tenants) -> None:
    who = tenants.one[Role.ADMIN]
    told = await crm.upsert_contact(who, person("Ana", (PHONE, "99999-9999"), (CPF, "111.111.111-11")))
    assert told.outcome is Outcome.CREATED
    assert told.ignored == (
        (PHONE, "99999-9999", "crm.key.phone_invalid"),
        (CPF, "111.111.111-11", "crm.key.cpf_invalid"),
    )
    with pytest.raises(ArgumentsWrong) as wrong:
        await crm.upsert_contact(who, person(None, (PHONE, "99999-9999")))
    assert wrong.value.code == "crm_nothing_told"


async def test_a_line_without_any_key_is_found_again_by_all_that_it_says(crm: Crm, tenants: Tenants) -> None:
    who = tenants.one[Role.ADMIN]
    line = person("Olga Stravinsky", company_name="Ipê", city="Itu")
    assert (await crm.upsert_contact(who, line)).outcome is Outcome.CREATED
    assert (await crm.upsert_contact(who, line)).outcome is Outcome.UNCHANGED
    assert (await crm.upsert_contact(who, person("Olga Stravinsky"))).outcome is Outcome.AMBIGUOUS


async def test_a_company_is_known_by_its_cnpj_and_its_people_find_it(crm: Crm, tenants: Tenants) -> None:
    who = tenants.one[Role.ADMIN]
    made = await crm.upsert_company(
        who,
        firm("Ipê Arquitetura", (CNPJ, "11.222.333/0001-81"), legal_name="IPE PROJETOS LTDA", main_cnae="7111100",
             further_cnaes=("4120400",), opened_on=date(2019, 3, 1), city="Campinas", uf="SP"),
    )  # fmt: skip
    assert made.id is not None
    again = await crm.upsert_company(who, firm("IPE PROJETOS", (CNPJ, "11222333000181"), website="https://ipe.example"))
    assert (again.outcome, again.id) == (Outcome.UPDATED, made.id)
    found = await crm.company(who, made.id)
    assert (found.cnpj, found.opened_on, found.further_cnaes) == ("11222333000181", date(2019, 3, 1), ("4120400",))
    ana = await crm.upsert_contact(who, person("Ana Lima", (PHONE, "19 98765-4329"), (CNPJ, "11222333000181")))
    assert ana.id is not None
    assert (await crm.contact(who, ana.id)).company_id == made.id
    assert [one.id for one in await crm.contacts_of_company(who, made.id)] == [ana.id]
    assert [one.id for one in await crm.companies_with(who, CNPJ, "11.222.333/0001-81")] == [made.id]


async def test_a_key_that_very_many_share_neither_joins_them_nor_doubles_them(
    crm: Crm, tenants: Tenants, owner_dsn: str
) -> None:
    who = tenants.one[Role.ADMIN]
    firsts = "Zoraide Wilhelmina Epaminondas Hermenegildo Otília Clóvis Iracema Tarcísio Gonçala".split()
    lasts = "Kuhn Piovesan Tavora Bonatto Stravinsky Quintela".split()
    names = [f"{first} {last}" for first in firsts for last in lasts]
    for expected in (Outcome.CREATED, Outcome.UNCHANGED):
        for name in names:
            told = await crm.upsert_contact(who, person(name, (EMAIL, "contato@franquia.com.br")))
            assert told.outcome is expected, name
    assert len(rows(owner_dsn, "crm_contacts")) == len(names)


async def test_eight_writers_with_one_person_make_one_contact(
    dsns: Dsns, tenants: Tenants, clock: FixedClock, permissions: Permissions, owner_dsn: str
) -> None:
    async def writer(n: int) -> Outcome:
        db = Database(dsns.app)  # a process of its own would have its own connections too
        await db.open()
        try:
            data = person("Ana Lima", (PHONE, "19 98765-4329"), (EMAIL, "ana@ipe.com.br"), title=f"Título {n}")
            return (await Crm(db, clock, permissions).upsert_contact(tenants.one[Role.ADMIN], data)).outcome
        finally:
            await db.close()

    outcomes = await asyncio.gather(*(writer(n) for n in range(8)))
    assert outcomes.count(Outcome.CREATED) == 1 and outcomes.count(Outcome.UPDATED) == 7
    assert len(rows(owner_dsn, "crm_contacts")) == 1
    assert len(rows(owner_dsn, "crm_keys")) == 2


async def test_changes_that_come_at_once_by_hand_and_from_a_list_lose_nothing(crm: Crm, tenants: Tenants) -> None:
    who = tenants.one[Role.ADMIN]
    made = await crm.upsert_contact(who, person("Ana Lima", (PHONE, "19 98765-4329"), (CPF, "52998224725")))
    assert made.id
    told = [
        # Different keys of one person: these hold different locks.
        person("Ana Lima", (PHONE, "19 98765-4329") if n % 2 else (CPF, "52998224725"), tags=(f"lista {n}",))
        for n in range(8)
    ]
    await asyncio.gather(
        *(crm.upsert_contact(who, data) for data in told),
        *(crm.tag(who, Subject.CONTACT, made.id, add=[f"mão {n}"]) for n in range(8)),
    )
    found = await crm.contact(who, made.id)
    assert set(found.tags) == {f"{word} {n}" for word in ("lista", "mão") for n in range(8)}
    assert {hit.id for word in ("lista", "mao") for hit in await crm.search(who, word)} == {made.id}


async def test_fields_of_the_tenant_are_typed_and_checked(crm: Crm, tenants: Tenants) -> None:
    who = tenants.one[Role.ADMIN]
    for field in (
        CustomField("contact", "budget", "Orçamento", FieldType.NUMBER),
        CustomField("contact", "met_on", "Conhecido em", FieldType.DATE),
        CustomField("contact", "level", "Nível", FieldType.CHOICE, ("Ouro", "Prata")),
        CustomField("contact", "newsletter", "Boletim", FieldType.YES_NO),
    ):
        await crm.define_field(who, field)
    told = {"budget": "1.234,50", "met_on": "20/11/2026", "level": "ouro", "newsletter": "sim"}
    data = person("Ana", (PHONE, "19 98765-4329"), custom=told)
    made = await crm.upsert_contact(who, data)
    assert made.id is not None
    found = await crm.contact(who, made.id)
    assert found.custom == {"budget": "1234.50", "met_on": "2026-11-20", "level": "Ouro", "newsletter": True}
    for wrong in ({"budget": "1.234"}, {"met_on": "31/02/2026"}, {"level": "Bronze"}, {"newsletter": "talvez"}):
        with pytest.raises(ArgumentsWrong) as error:
            await crm.upsert_contact(who, person("Ana", (PHONE, "19 98765-4329"), custom=wrong))
        assert error.value.code == "crm_field_wrong"
    with pytest.raises(ArgumentsWrong) as error:
        await crm.upsert_contact(who, person("Ana", custom={"nope": 1}))
    assert error.value.code == "crm_field_unknown"
    with pytest.raises(ArgumentsWrong) as error:
        await crm.define_field(who, CustomField("contact", "budget", "Orçamento", FieldType.TEXT))
    assert error.value.code == "crm_field_type_stays"


async def test_fields_and_keys_and_tags_can_be_taken_away(crm: Crm, tenants: Tenants) -> None:
    who = tenants.one[Role.ADMIN]
    made = await crm.upsert_contact(who, person("Ana Lima", (PHONE, "19 98765-4329"), city="Itu", tags=("a", "b")))
    assert made.id is not None
    await crm.clear_fields(who, Subject.CONTACT, made.id, ["city"])
    assert await crm.tag(who, Subject.CONTACT, made.id, add=["C"], remove=["a"]) == ("b", "c")
    assert await crm.remove_key(who, Subject.CONTACT, made.id, PHONE, "+5519987654329")
    assert not await crm.remove_key(who, Subject.CONTACT, made.id, PHONE, "+5519987654329")
    found = await crm.contact(who, made.id)
    assert (found.city, found.keys, found.tags) == (None, (), ("b", "c"))
    assert await crm.search(who, "itu") == [] and await crm.search(who, "4329") == []
    with pytest.raises(ArgumentsWrong):
        await crm.clear_fields(who, Subject.CONTACT, made.id, ["tenant_id"])


async def test_a_comercial_makes_and_changes_only_what_is_theirs(crm: Crm, tenants: Tenants) -> None:
    admin, seller = tenants.one[Role.ADMIN], tenants.one[Role.COMERCIAL]
    others = await crm.upsert_contact(admin, person("Ana Lima", (PHONE, "19 98765-4329")))
    mine = await crm.upsert_contact(seller, person("Bruno Reis", (PHONE, "19 98765-4330")))
    assert others.id and mine.id
    assert (await crm.contact(seller, mine.id)).owner_id == seller.user_id
    with pytest.raises(Refused) as told:
        await crm.contact(seller, others.id)
    assert told.value.code == "crm_unknown"
    with pytest.raises(Refused) as told:
        await crm.upsert_contact(seller, person("Ana Lima", (PHONE, "19 98765-4329"), city="Itu"))
    assert told.value.code == "crm_of_another"
    asked = await crm.upsert_contact(seller, person("Zoraide Kuhn", (PHONE, "19 98765-4329")))
    assert [(c.id, c.name, c.match.evidence) for c in asked.candidates] == [("", None, ())]
    with pytest.raises(Refused):
        await crm.upsert_contact(seller, person("Caio", (EMAIL, "c@x.org"), owner_id=admin.user_id))
    assert [found.id for found in await crm.search(seller)] == [mine.id]


@pytest.mark.parametrize("role", [Role.CLIENTE, Role.AGENTE_IA])
async def test_who_may_not_write_writes_nothing(crm: Crm, tenants: Tenants, role: Role, owner_dsn: str) -> None:
    with pytest.raises(Refused) as told:
        await crm.upsert_contact(tenants.one[role], person("Ana", (PHONE, "19 98765-4329")))
    assert told.value.code == "crm_not_allowed"
    assert rows(owner_dsn, "crm_contacts") == []


async def test_two_tenants_with_one_persons_telephone_have_one_record_each(crm: Crm, tenants: Tenants) -> None:
    data = person("Ana Lima", (PHONE, "19 98765-4329"), (CPF, "529.982.247-25"))
    one = await crm.upsert_contact(tenants.one[Role.ADMIN], data)
    other = await crm.upsert_contact(tenants.other[Role.ADMIN], data)
    assert one.outcome is other.outcome is Outcome.CREATED
    assert one.id != other.id
    with pytest.raises(Refused):
        await crm.upsert_contact(tenants.other[Role.ADMIN], person("Ana", source=Source("person")), into=one.id)


async def test_a_document_belongs_to_one_record(crm: Crm, tenants: Tenants) -> None:
    who = tenants.one[Role.ADMIN]
    await crm.upsert_contact(who, person("Ana Lima", (CPF, "529.982.247-25")))
    with pytest.raises(MutiraoError) as told:
        await crm.upsert_contact(who, person("Zoraide Kuhn", (CPF, "529.982.247-25")), as_new=True)
    assert told.value.code == "crm_key_taken"


async def test_text_of_any_kind_is_kept_or_refused_but_breaks_nothing(crm: Crm, tenants: Tenants) -> None:
    who = tenants.one[Role.ADMIN]
    made = await crm.upsert_contact(who, person("A\x00na \ud800 'ლ; DROP TABLE", (KeyKind.INSTAGRAM, "@ana.arq")))
    assert made.id is not None
    assert (await crm.contact(who, made.id)).name == "Ana ? 'ლ; DROP TABLE"
    with pytest.raises(ArgumentsWrong) as told:
        await crm.upsert_contact(who, person("x" * 5_000, source=FILE))
    assert told.value.code == "crm_text_too_long"
