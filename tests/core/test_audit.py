"""The audit only grows, and shows when somebody with the keys to the database has touched it."""

import asyncio

import psycopg
import pytest

from core.audit import audit, verify_chain
from core.db import Database
from core.tenancy import Role
from tests.conftest import Tenants


async def write(db: Database, tenant_id: str, n: int) -> None:
    async with db.tenant(tenant_id) as conn:
        await audit(conn, "system", "test", f"subject_{n}", {"n": n, "ç": ["é", None, 1.5]})


async def test_rows_of_many_writers_form_one_whole_chain_per_tenant(database: Database, tenants: Tenants) -> None:
    one, other = tenants.one.id, tenants.other.id
    await asyncio.gather(*(write(database, (one, other)[n % 2], n) for n in range(40)))
    for tenant_id in (one, other):
        async with database.tenant(tenant_id) as conn:
            chain = await verify_chain(conn)
            rows = await (await conn.execute("SELECT tenant_id, prev_hash, hash FROM audit_log ORDER BY id")).fetchall()
        assert chain.whole
        assert chain.rows == 20 + 6  # the tenant and its five users
        assert {row["tenant_id"] for row in rows} == {tenant_id}
        assert [row["prev_hash"] for row in rows] == ["", *[row["hash"] for row in rows[:-1]]]
        assert chain.last_hash == rows[-1]["hash"]


async def test_a_rolled_back_row_leaves_no_gap_in_the_chain(database: Database, tenants: Tenants) -> None:
    async def fail() -> None:
        async with database.tenant(tenants.one.id) as conn:
            await audit(conn, "system", "test", "gone", {})
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        await fail()
    await write(database, tenants.one.id, 1)
    async with database.tenant(tenants.one.id) as conn:
        assert (await verify_chain(conn)).whole


async def test_the_actor_is_the_user_and_the_hash_cannot_be_chosen(database: Database, tenants: Tenants) -> None:
    admin = tenants.one[Role.ADMIN]
    async with database.tenant(tenants.one.id) as conn:
        await audit(conn, admin, "test", "subject", {})
        await conn.execute(
            "INSERT INTO audit_log (id, tenant_id, at, actor, action, subject, prev_hash, hash)"
            " VALUES (1, %s, '2000-01-01', 'x', 'x', 'x', 'chosen', 'chosen')",
            [tenants.one.id],
        )
        rows = await (await conn.execute("SELECT * FROM audit_log ORDER BY id DESC LIMIT 2")).fetchall()
        assert (await verify_chain(conn)).whole
    assert rows[1]["actor"] == admin.user_id
    assert rows[0]["hash"] != "chosen" and rows[0]["at"].year > 2000


@pytest.mark.parametrize("change", ["UPDATE audit_log SET actor = 'x'", "DELETE FROM audit_log", "TRUNCATE audit_log"])
async def test_no_row_can_be_changed_or_removed(
    database: Database, owner_dsn: str, tenants: Tenants, change: str
) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        async with database.tenant(tenants.one.id) as conn:
            await conn.execute(change.encode())
    # Not even by a superuser, as long as the trigger is there.
    with (
        pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"),
        psycopg.connect(owner_dsn) as conn,
    ):
        conn.execute(change.encode())


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE audit_log SET actor = 'somebody else' WHERE id = {id}",
        "UPDATE audit_log SET detail = '{{}}' WHERE id = {id}",
        "UPDATE audit_log SET at = at + interval '1 second' WHERE id = {id}",
        "DELETE FROM audit_log WHERE id = {id}",
    ],
)
async def test_what_somebody_with_all_rights_changes_is_seen(
    database: Database, owner_dsn: str, tenants: Tenants, tampering: str
) -> None:
    for n in range(4):
        await write(database, tenants.one.id, n)
    with psycopg.connect(owner_dsn) as conn:
        row = conn.execute("SELECT id FROM audit_log WHERE subject = 'subject_1'").fetchone()
        assert row is not None
        conn.execute("ALTER TABLE audit_log DISABLE TRIGGER USER")
        conn.execute(tampering.format(id=row[0]).encode())
        conn.execute("ALTER TABLE audit_log ENABLE TRIGGER USER")
    async with database.tenant(tenants.one.id) as inside:
        chain = await verify_chain(inside)
    assert chain.broken_at is not None and chain.broken_at >= row[0]
    async with database.tenant(tenants.other.id) as inside:
        assert (await verify_chain(inside)).whole
