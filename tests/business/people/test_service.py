"""Tenants and users are added with care, and let in with more."""

import asyncio
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from business.people.service import FAILURES_FROM_ONE_PLACE, FAILURES_PER_ADDRESS, FAILURES_PER_EMAIL, People
from core.clock import FixedClock
from core.db import Database
from core.errors import ArgumentsWrong, MutiraoError, Refused
from core.tenancy import Role
from tests.conftest import PASSWORD, Tenants

# --- tenants and users ------------------------------------------------------------------------


async def test_a_tenant_gets_a_short_name_from_its_name(people: People) -> None:
    tenant = await people.add_tenant("  Agência Ipê & Filhos ")
    assert (tenant.name, tenant.slug) == ("Agência Ipê & Filhos", "agencia-ipe-filhos")
    assert await people.tenants() == [tenant]
    assert await people.tenant(tenant.slug) == await people.tenant(tenant.id) == await people.tenant(None) == tenant


async def test_which_tenant_is_asked_when_there_are_two_and_told_when_there_is_none(people: People) -> None:
    with pytest.raises(ArgumentsWrong) as told:
        await people.tenant(None)
    assert told.value.code == "tenant_none"
    await people.add_tenant("Um")
    await people.add_tenant("Dois")
    with pytest.raises(ArgumentsWrong) as told:
        await people.tenant(None)
    assert (told.value.code, told.value.params) == ("tenant_needed", {"known": "um, dois"})
    with pytest.raises(ArgumentsWrong) as told:
        await people.tenant("tres")
    assert told.value.code == "tenant_unknown"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"name": " "}, "name_empty"),
        ({"name": "日本"}, "name_empty"),
        ({"language": "fr"}, "language_unknown"),
        ({"slug": "um"}, "tenant_exists"),
    ],
)
async def test_an_impossible_tenant_is_told(
    people: People, tenants: Tenants, change: dict[str, Any], code: str
) -> None:
    with pytest.raises(ArgumentsWrong) as told:
        await people.add_tenant(**{"name": "Nova", **change})
    assert told.value.code == code


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"email": "no address"}, "email_invalid"),
        ({"email": "a@b"}, "email_invalid"),
        ({"name": ""}, "name_empty"),
        ({"role": "Root"}, "role_unknown"),
        ({"password": "123456789"}, "password_short"),
        ({"password": "x" * 257}, "password_long"),
        ({"email": "ADMIN@um.example"}, "user_exists"),
        ({"tenant_id": "tenant_none"}, "tenant_unknown"),
    ],
)
async def test_an_impossible_user_is_told(people: People, tenants: Tenants, change: dict[str, Any], code: str) -> None:
    good = {
        "tenant_id": tenants.other.id,
        "email": "novo@dois.example",
        "name": "Novo",
        "role": "Comercial",
        "password": "dez letras",
    }
    with pytest.raises(ArgumentsWrong) as told:
        await people.add_user(**{**good, **change})
    assert told.value.code == code
    assert len(await people.users(tenants.other.id)) == len(Role)


async def test_an_identity_follows_the_database_at_every_call(people: People, tenants: Tenants, owner_dsn: str) -> None:
    client = tenants.one[Role.CLIENTE]
    assert client.accounts == frozenset({"act_100000000000001"})
    assert tenants.one[Role.ADMIN].accounts is None
    with psycopg.connect(owner_dsn) as conn:
        conn.execute("UPDATE users SET role = 'Diretor', language = 'es' WHERE id = %s", [client.user_id])
    now = await people.identity(client.tenant_id, client.user_id)
    assert (now.role, now.accounts, now.language) == (Role.DIRETOR, None, "es")
    with psycopg.connect(owner_dsn) as conn:
        conn.execute("UPDATE users SET active = false WHERE id = %s", [client.user_id])
    with pytest.raises(Refused) as told:
        await people.identity(client.tenant_id, client.user_id)
    assert told.value.code == "user_gone"


async def test_an_identity_of_another_tenant_is_not_found(people: People, tenants: Tenants) -> None:
    with pytest.raises(Refused):
        await people.identity(tenants.one.id, tenants.other[Role.ADMIN].user_id)


async def test_a_records_owner_stands_for_it_and_the_oldest_admin_where_they_are_gone(
    people: People, tenants: Tenants
) -> None:
    one, admin = tenants.one, tenants.one[Role.ADMIN]
    assert await people.responsible(one.id, one[Role.COMERCIAL].user_id) == one[Role.COMERCIAL]
    assert await people.responsible(one.id, None) == admin
    assert await people.responsible(one.id, tenants.other[Role.COMERCIAL].user_id) == admin


async def test_the_terminal_speaks_as_the_oldest_user_of_a_role(people: People, tenants: Tenants) -> None:
    assert await people.identity_by_role(tenants.one.id, Role.DIRETOR) == tenants.one[Role.DIRETOR]
    lonely = await people.add_tenant("Vazia")
    with pytest.raises(ArgumentsWrong) as told:
        await people.identity_by_role(lonely.id, Role.ADMIN)
    assert told.value.code == "user_of_role_unknown"


# --- login ------------------------------------------------------------------------------------


async def refused(people: People, email: str, password: str, address: str = "127.0.0.1") -> MutiraoError:
    with pytest.raises(Refused) as told:
        await people.login(email, password, address)
    return told.value


async def test_the_right_password_lets_in_whatever_the_case_of_the_address(people: People, tenants: Tenants) -> None:
    assert await people.login(" Admin@UM.example ", PASSWORD, "127.0.0.1") == tenants.one[Role.ADMIN]
    # Another keyboard sends ê as two characters.
    assert await people.login("admin@um.example", PASSWORD.replace("ê", "e\u0302"), "127.0.0.1")


async def test_unknown_wrong_inactive_and_agents_are_refused_in_the_same_words(
    people: People, tenants: Tenants, owner_dsn: str
) -> None:
    with psycopg.connect(owner_dsn) as conn:
        conn.execute("UPDATE users SET active = false WHERE email = 'comercial@um.example'")
        conn.execute("UPDATE users SET password_hash = NULL WHERE email = 'diretor@um.example'")
    told = [
        await refused(people, "nobody@um.example", PASSWORD),
        await refused(people, "admin@um.example", "wrong password"),
        await refused(people, "comercial@um.example", PASSWORD),
        await refused(people, "diretor@um.example", PASSWORD),
        await refused(people, "agente_ia@um.example", PASSWORD),
        await refused(people, "", ""),
        await refused(people, "x\ud800@um.example", "\ud800" * 5_000),
    ]
    assert {(error.code, str(error), *error.params) for error in told} == {
        ("login_wrong", "unknown e-mail or wrong password")
    }


async def test_five_failures_from_one_place_close_that_place_for_the_person_for_fifteen_minutes(
    people: People, tenants: Tenants, clock: FixedClock
) -> None:
    for _ in range(FAILURES_FROM_ONE_PLACE):
        assert (await refused(people, "admin@um.example", "wrong", "10.0.0.1")).code == "login_wrong"
    clock.advance(timedelta(minutes=5, seconds=30))
    told = await refused(people, "ADMIN@um.example", PASSWORD, "10.0.0.1")
    assert (told.code, told.params) == ("login_too_many", {"minutes": 10})
    assert await people.login("diretor@um.example", PASSWORD, "10.0.0.1")
    # A stranger who guesses elsewhere does not lock the person out.
    assert await people.login("admin@um.example", PASSWORD, "127.0.0.1")


async def test_fifty_failures_from_many_places_close_an_address_of_mail(people: People, tenants: Tenants) -> None:
    for n in range(FAILURES_PER_EMAIL):
        assert (await refused(people, "admin@um.example", "wrong", f"10.0.0.{n}")).code == "login_wrong"
    assert (await refused(people, "admin@um.example", PASSWORD, "127.0.0.1")).code == "login_too_many"


async def test_a_new_password_ends_the_wait(people: People, tenants: Tenants) -> None:
    for _ in range(FAILURES_FROM_ONE_PLACE):
        await refused(people, "admin@um.example", "wrong")
    admin = tenants.one[Role.ADMIN]
    await people.set_password(admin.tenant_id, admin.user_id, "outra-senha-longa")
    assert await people.login("admin@um.example", "outra-senha-longa", "127.0.0.1")


async def test_a_success_forgets_the_failures_of_that_person(people: People, tenants: Tenants) -> None:
    for _ in range(3):
        for _ in range(FAILURES_FROM_ONE_PLACE - 1):
            await refused(people, "admin@um.example", "wrong")
        assert await people.login("admin@um.example", PASSWORD, "127.0.0.1")


async def test_twenty_failures_close_a_place_for_everybody(people: People, tenants: Tenants) -> None:
    for n in range(FAILURES_PER_ADDRESS):
        await refused(people, f"guess{n}@um.example", "wrong", "10.9.9.9")
    assert (await refused(people, "admin@um.example", PASSWORD, "10.9.9.9")).code == "login_too_many"
    assert await people.login("admin@um.example", PASSWORD, "127.0.0.1")


async def test_many_guesses_at_once_are_counted_one_by_one(people: People, tenants: Tenants) -> None:
    told = await asyncio.gather(*(refused(people, "admin@um.example", f"guess {n}") for n in range(12)))
    assert sorted(error.code for error in told) == ["login_too_many"] * 7 + ["login_wrong"] * 5


async def test_what_is_kept_of_attempts_names_nobody(people: People, tenants: Tenants, owner_dsn: str) -> None:
    await refused(people, "admin@um.example", "wrong")
    with psycopg.connect(owner_dsn) as conn:
        text = str(conn.execute("SELECT * FROM login_attempts").fetchall())
        hashes = conn.execute("SELECT DISTINCT left(password_hash, 10) FROM users").fetchall()
    assert "admin@um" not in text
    assert hashes == [("$argon2id$",)]


async def test_a_login_is_audited_and_an_old_hash_is_renewed(
    database: Database, clock: FixedClock, tenants: Tenants, owner_dsn: str
) -> None:
    strong = People(database, clock, sandbox=True)
    assert await strong.login("admin@um.example", PASSWORD, "127.0.0.1")
    with psycopg.connect(owner_dsn) as conn:
        (hashed,) = conn.execute("SELECT password_hash FROM users WHERE email = 'admin@um.example'").fetchone() or ("",)
        audited = conn.execute("SELECT actor, action FROM audit_log ORDER BY id DESC LIMIT 1").fetchone()
    assert "m=65536" in hashed
    assert audited == (tenants.one[Role.ADMIN].user_id, "login")
    assert await strong.login("admin@um.example", PASSWORD, "127.0.0.1")


# --- demo users -------------------------------------------------------------------------------


async def test_a_demo_user_made_in_the_sandbox_is_impossible_outside_it(
    people: People, database: Database, clock: FixedClock, tenants: Tenants
) -> None:
    demo = await people.add_user(tenants.one.id, "demo@um.example", "Demo", "Admin", PASSWORD, demo=True)
    assert (await people.login(demo.email, PASSWORD, "127.0.0.1")).user_id == demo.id
    production = People(database, clock, sandbox=False)
    assert (await refused(production, demo.email, PASSWORD)).code == "login_wrong"
    with pytest.raises(Refused):
        await production.identity(tenants.one.id, demo.id)
    with pytest.raises(Refused) as told:
        await production.add_user(tenants.one.id, "d2@um.example", "Demo", "Admin", PASSWORD, demo=True)
    assert told.value.code == "demo_outside_sandbox"
