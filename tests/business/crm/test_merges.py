"""Merges can be undone and do not depend on their order."""

import itertools
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.rows import dict_row

from business.crm.identity import KeyKind
from business.crm.merges import joined, parted
from business.crm.model import Outcome, Subject
from business.crm.rows import empty_row
from business.crm.service import Crm
from core.clock import FixedClock
from core.errors import ArgumentsWrong, Refused
from core.tenancy import Identity, Role
from tests.business.crm.conftest import CNPJ, CPF, EMAIL, PHONE, SPOKEN, firm, person
from tests.business.crm.test_upsert import everything
from tests.conftest import Tenants

NOT_RESTORED = {"crm_merges", "crm_events", "crm_event_readers"}


def records(owner_dsn: str) -> dict[str, Any]:
    return {name: rows for name, rows in everything(owner_dsn).items() if name not in NOT_RESTORED}


async def id_of(crm: Crm, who: Identity, *args: Any, **fields: Any) -> str:
    made = await crm.upsert_contact(who, person(*args, **fields), as_new=True)
    assert made.outcome is Outcome.CREATED and made.id
    return made.id


async def three(crm: Crm, who: Identity, clock: FixedClock) -> list[str]:
    """Three records of one person, each with things that hang on it."""
    a = await id_of(crm, who, "Ana Lima", (PHONE, "19 98765-4329"), (EMAIL, "ana@ipe.com.br"), tags=("x",))
    clock.advance(timedelta(hours=1))
    b = await id_of(
        crm, who, "Ana Lúcia Lima", (PHONE, "+5519987654329"), (CPF, "52998224725"), city="Itu", source=SPOKEN
    )
    clock.advance(timedelta(hours=1))
    c = await id_of(crm, who, "A. Lima", (EMAIL, "ANA@ipe.com.br"), city="Campinas", title="Sócia", tags=("y",))
    for one in (a, b, c):
        deal = await crm.create_deal(who, f"Site de {one[-4:]}", contact_id=one)
        await crm.write_activity(who, "note", "gostou", contact_id=one)
        await crm.write_activity(who, "call", "ligou", deal_id=deal.id)
        await crm.add_task(who, "ligar", contact_id=one)
    return [a, b, c]


async def test_everything_follows_and_goes_back(crm: Crm, tenants: Tenants, clock: FixedClock, owner_dsn: str) -> None:
    who = tenants.one[Role.DIRETOR]
    a, b, _ = await three(crm, who, clock)
    before = records(owner_dsn)
    clock.advance(timedelta(days=1))
    merge = await crm.merge(who, Subject.CONTACT, a, b)
    found = await crm.contact(who, a)
    assert (found.name, found.city, found.tags) == ("Ana Lúcia Lima", "Itu", ("x",))  # a person had said it
    assert {key.kind for key in found.keys} == {PHONE, EMAIL, CPF}
    assert len(await crm.deals(who, contact_id=a)) == 2
    assert len(await crm.tasks(who, contact_id=a)) == 2
    assert len(await crm.timeline(who, contact_id=a)) == 6
    with pytest.raises(Refused) as told:
        await crm.contact(who, b)
    assert told.value.code == "crm_unknown"
    assert [one.id for one in await crm.search(who, "52998224725")] == [a]
    same = await crm.upsert_contact(who, person("Ana Lúcia Lima", (CPF, "529.982.247-25")))
    assert (same.outcome, same.id) == (Outcome.UNCHANGED, a)
    await crm.undo_merge(who, merge)
    await crm.undo_merge(who, merge)  # once is enough, twice is no harm
    assert records(owner_dsn) == before
    assert [one.other_id for one in await crm.merges(who, Subject.CONTACT, a)] == [b]


async def test_later_merges_are_undone_first(crm: Crm, tenants: Tenants, clock: FixedClock, owner_dsn: str) -> None:
    who = tenants.one[Role.ADMIN]
    a, b, c = await three(crm, who, clock)
    before = records(owner_dsn)
    first = await crm.merge(who, Subject.CONTACT, b, c)
    second = await crm.merge(who, Subject.CONTACT, a, b)
    with pytest.raises(Refused) as told:
        await crm.undo_merge(who, first)
    assert (told.value.code, told.value.params["merge"]) == ("crm_merge_later_first", second)
    await crm.undo_merge(who, second)
    await crm.undo_merge(who, first)
    assert records(owner_dsn) == before


async def test_what_was_changed_after_the_merge_stays_when_it_is_undone(
    crm: Crm, tenants: Tenants, clock: FixedClock
) -> None:
    who = tenants.one[Role.ADMIN]
    a, b, _ = await three(crm, who, clock)
    merge = await crm.merge(who, Subject.CONTACT, a, b)
    clock.advance(timedelta(minutes=5))
    await crm.upsert_contact(who, person("Ana Lúcia Lima", title="Diretora", tags=("z",), source=SPOKEN), into=a)
    note = await crm.write_activity(who, "note", "depois", contact_id=a)
    await crm.undo_merge(who, merge)
    found = await crm.contact(who, a)
    assert (found.title, found.name, found.city, found.tags) == ("Diretora", "Ana Lima", None, ("x", "z"))
    assert note.id in {entry.id for entry in await crm.timeline(who, contact_id=a)}
    assert (await crm.contact(who, b)).city == "Itu"


async def test_the_people_of_a_company_follow_it(crm: Crm, tenants: Tenants, owner_dsn: str) -> None:
    who = tenants.one[Role.ADMIN]
    one = await crm.upsert_company(who, firm("Ipê Arquitetura", (CNPJ, "11.222.333/0001-81")))
    other = await crm.upsert_company(who, firm("Ipê Arquitetos", (PHONE, "19 3251-4329"), city="Campinas"))
    assert one.id and other.id
    ana = await id_of(crm, who, "Ana Lima", (PHONE, "19 98765-4329"), company_id=other.id)
    before = records(owner_dsn)
    merge = await crm.merge(who, Subject.COMPANY, one.id, other.id)
    assert [contact.id for contact in await crm.contacts_of_company(who, one.id)] == [ana]
    assert (await crm.company(who, one.id)).city == "Campinas"
    await crm.undo_merge(who, merge)
    assert records(owner_dsn) == before


async def test_a_record_is_not_merged_with_itself_nor_with_what_is_not_there(
    crm: Crm, tenants: Tenants, clock: FixedClock
) -> None:
    who, seller = tenants.one[Role.ADMIN], tenants.one[Role.COMERCIAL]
    a = await id_of(crm, who, "Ana Lima", (PHONE, "19 98765-4329"), owner_id=who.user_id)
    mine = await id_of(crm, seller, "Bruno Reis", (PHONE, "19 98765-4330"))
    with pytest.raises(ArgumentsWrong):
        await crm.merge(who, Subject.CONTACT, a, a)
    for asker, kept, other in ((who, a, "con_0"), (seller, mine, a), (tenants.other[Role.ADMIN], a, mine)):
        with pytest.raises(Refused) as told:
            await crm.merge(asker, Subject.CONTACT, kept, other)
        assert told.value.code == "crm_unknown"
    clock.advance(timedelta(hours=1))
    await crm.assign(who, "contact", a, who.user_id)
    merge = await crm.merge(who, Subject.CONTACT, a, mine)
    for stranger, code in ((tenants.other[Role.ADMIN], "crm_merge_unknown"), (seller, "crm_unknown")):
        with pytest.raises(Refused) as told:
            await crm.undo_merge(stranger, merge)
        assert told.value.code == code


# --- properties -----------------------------------------------------------------------------------

PHONES = [(PHONE, f"19 98765-43{n:02d}") for n in range(3)] + [(PHONE, f"+55 19 98765 43{n:02d}") for n in range(3)]
MAILS = [(EMAIL, f"ana{n}@ipe.com.br") for n in range(2)] + [(KeyKind.INSTAGRAM, "@ana.ipe")]
people = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["Ana Lima", "Ana Lúcia Lima", "Bruno Reis"]),
        "title": st.sampled_from([None, "Sócia", "Diretora"]),
        "city": st.sampled_from([None, "Itu", "Campinas"]),
        "keys": st.lists(st.sampled_from(PHONES + MAILS), min_size=1, max_size=3, unique=True),
        "tags": st.lists(st.sampled_from("abc"), max_size=2, unique=True),
        "hours": st.integers(0, 2),
        "spoken": st.booleans(),
    }
)
SLOW = {"max_examples": 8, "deadline": None, "suppress_health_check": [HealthCheck.function_scoped_fixture]}


async def make(crm: Crm, who: Identity, clock: FixedClock, drawn: list[dict[str, Any]]) -> list[str]:
    ids = []
    for one in drawn:
        clock.advance(timedelta(hours=one["hours"]))
        source = {"source": SPOKEN} if one["spoken"] else {}
        fields = {"title": one["title"], "city": one["city"], "tags": tuple(one["tags"]), **source}
        ids.append(await id_of(crm, who, one["name"], *one["keys"], **fields))
        await crm.write_activity(who, "note", f"{len(ids)}", contact_id=ids[-1])
    return ids


def kept_as(owner_dsn: str, contact_id: str) -> dict[str, Any]:
    """What the kept record is, has and can be found by; when it was written is another matter."""
    with psycopg.connect(owner_dsn, row_factory=dict_row) as conn:
        row = conn.execute("SELECT to_jsonb(r) - 'updated_at' AS row FROM crm_contacts r WHERE id = %s", [contact_id])
        keys = conn.execute("SELECT to_jsonb(k) AS row FROM crm_keys k WHERE subject_id = %s ORDER BY 1", [contact_id])
        words = conn.execute("SELECT word AS row FROM crm_words WHERE subject_id = %s ORDER BY 1", [contact_id])
        notes = conn.execute("SELECT id AS row FROM crm_activities WHERE contact_id = %s ORDER BY 1", [contact_id])
        return {
            name: [found["row"] for found in cursor.fetchall()]
            for name, cursor in (("row", row), ("keys", keys), ("words", words), ("notes", notes))
        }


@settings(**SLOW)  # type: ignore[arg-type]
@given(drawn=st.lists(people, min_size=3, max_size=3))
async def test_the_order_of_merges_does_not_matter_and_undoing_restores_every_row(
    drawn: list[dict[str, Any]], crm: Crm, tenants: Tenants, clock: FixedClock, owner_dsn: str
) -> None:
    who = tenants.one[Role.ADMIN]
    a, b, c = await make(crm, who, clock, drawn)
    before = records(owner_dsn)
    outcomes = []
    for steps in (((a, b), (a, c)), ((a, c), (a, b)), ((b, c), (a, b)), ((c, b), (a, c))):
        clock.advance(timedelta(minutes=1))
        merges = [await crm.merge(who, Subject.CONTACT, kept, other) for kept, other in steps]
        outcomes.append(kept_as(owner_dsn, a))
        for merge in reversed(merges):
            await crm.undo_merge(who, merge)
        assert records(owner_dsn) == before
    assert all(outcome == outcomes[0] for outcome in outcomes[1:])


def rows_of(fields: list[tuple[Any, ...]]) -> list[dict[str, Any]]:
    made = []
    for n, (name, city, at, spoken, tags) in enumerate(fields):
        row = empty_row("t", f"con_{n}", Subject.CONTACT, f"2026-11-{at + 1:02d}T00:00:00+00:00")
        fact = {"source": f"s{n}", "reference": "", "by_person": spoken, "at": row["created_at"]}
        row |= {"name": name, "city": city, "tags": sorted(set(tags))}
        row["facts"] = {field: fact for field in ("name", "city") if row[field] is not None}
        made.append(row)
    return made


drawn_rows = st.lists(
    st.tuples(
        st.sampled_from([None, "Ana", "Bia"]), st.sampled_from([None, "Itu"]), st.integers(0, 3), st.booleans(),
        st.lists(st.sampled_from("abc")),
    ),
    min_size=3,
    max_size=4,
).map(rows_of)  # fmt: skip


@given(drawn_rows)
def test_joining_rows_gives_the_same_in_every_order(rows: list[dict[str, Any]]) -> None:
    first, *others = rows
    results = []
    for order in itertools.permutations(others):
        row = first
        for other in order:
            row = joined(row, other, Subject.CONTACT)
        results.append(row)
    assert all(result == results[0] for result in results)
    assert joined(first, first, Subject.CONTACT) == {**first, "tags": sorted(first["tags"])}


@given(drawn_rows)
def test_parting_what_was_joined_gives_what_was_before(rows: list[dict[str, Any]]) -> None:
    before, other, *_ = rows
    after = joined(before, other, Subject.CONTACT)
    assert parted(before, after, after, Subject.CONTACT, "later") == before
