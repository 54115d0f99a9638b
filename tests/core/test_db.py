"""Tenants never see each other, whatever the application asks; locks hold between processes."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import psycopg
import pytest

from core.db import Database
from core.errors import Unavailable
from core.tenancy import Role
from tests.conftest import Dsns, Tenants, until

# Tables without row-level security, each with its reason. A new one belongs here only with as good a reason.
WITHOUT_TENANT = {
    "schema_migrations": "what was applied to the database; the application may only read it",
    "role_permissions": "the same matrix for every tenant; the application may only read it",
    "memory_shelves": "names of the index that all tenants share; it holds no text, and every search of it is filtered",
    "login_attempts": "an unknown e-mail has no tenant; addresses are hashed",
    "procrastinate_jobs": "the job engine's own: ids only (core/jobs.py refuses anything else)",
    "procrastinate_events": "the job engine's own: ids only",
    "procrastinate_periodic_defers": "the job engine's own: ids only",
    "procrastinate_workers": "the job engine's own: ids only",
}


# --- the contract of row-level security -------------------------------------------------------


def test_every_table_with_tenant_rows_forces_its_policy_and_every_other_is_listed(owner_dsn: str) -> None:
    query = """
        SELECT c.relname, c.relrowsecurity AND c.relforcerowsecurity AS forced,
               c.relname = 'tenants' OR EXISTS (
                   SELECT 1 FROM pg_attribute a
                   WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped
               ) AS of_tenant,
               (SELECT array_agg(pg_get_expr(p.polqual, p.polrelid) ORDER BY p.polname)
                FROM pg_policy p WHERE p.polrelid = c.oid AND p.polroles = '{0}'
                AND p.polpermissive) AS policies -- a restrictive one only narrows
        FROM pg_class c
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'm')
    """
    with psycopg.connect(owner_dsn) as conn:
        rows = conn.execute(query).fetchall()
    of_tenant = {name for name, _, of_tenant, _ in rows if of_tenant}
    assert len(of_tenant) >= 15
    for name, forced, is_of_tenant, policies in rows:
        if is_of_tenant:
            assert forced, f"{name} does not force row-level security"
            column = "id" if name == "tenants" else "tenant_id"
            assert policies == [f"({column} = current_tenant())"], name
        else:
            assert name in WITHOUT_TENANT, f"{name} has no tenant_id and is not listed with a reason"
    assert set(WITHOUT_TENANT) == {name for name, *_ in rows} - of_tenant


def test_the_application_owns_nothing_and_cannot_bypass(owner_dsn: str) -> None:
    with psycopg.connect(owner_dsn) as conn:
        owned = conn.execute(
            "SELECT relname FROM pg_class WHERE relowner = 'mutirao_app'::regrole"
            " UNION SELECT proname FROM pg_proc WHERE proowner = 'mutirao_app'::regrole"
        ).fetchall()
        flags = conn.execute(
            "SELECT rolname FROM pg_roles WHERE rolname IN ('mutirao_app', 'mutirao_owner', 'mutirao_login')"
            " AND (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb)"
        ).fetchall()
        memberships = conn.execute(  # as mutirao_intake it may put rows into the inbox, and see none
            "SELECT roleid::regrole::text FROM pg_auth_members WHERE member = 'mutirao_app'::regrole"
            " AND roleid <> 'mutirao_intake'::regrole"
        ).fetchall()
        logins = conn.execute(
            "SELECT rolname FROM pg_roles WHERE rolname IN ('mutirao_owner', 'mutirao_login') AND rolcanlogin"
        ).fetchall()
    assert owned == flags == memberships == logins == []


def test_only_the_listed_functions_look_across_tenants(owner_dsn: str) -> None:
    with psycopg.connect(owner_dsn) as conn:
        found = conn.execute(
            "SELECT proname, pg_get_userbyid(proowner), proconfig FROM pg_proc"
            " WHERE prosecdef AND pronamespace = 'public'::regnamespace ORDER BY proname"
        ).fetchall()
    path = ["search_path=public, pg_temp"]
    names = (
        "bring_inbox_home", "cut_homeless_inbox", "find_login", "inbox_waiting_for", "list_channels", "list_tenants",
        "outbox_standing_still",
    )  # fmt: skip
    assert found == [(name, "mutirao_login", path) for name in names]


def test_every_text_table_of_the_application_can_be_used_by_it(owner_dsn: str) -> None:
    with psycopg.connect(owner_dsn) as conn:
        closed = conn.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
            " AND NOT has_table_privilege('mutirao_app', oid, 'SELECT')"
        ).fetchall()
    assert closed == []


# --- behaviour --------------------------------------------------------------------------------


async def test_one_connection_that_alternates_two_tenants_leaks_nothing(dsns: Dsns, tenants: Tenants) -> None:
    db = Database(dsns.app, min_pool=1, max_pool=1)
    await db.open()
    try:
        for turn in range(200):
            world = (tenants.one, tenants.other)[turn % 2]
            async with db.tenant(world.id) as conn:
                rows = await (await conn.execute("SELECT DISTINCT tenant_id FROM users")).fetchall()
                assert rows == [{"tenant_id": world.id}]
            if turn % 10 == 0:
                with pytest.raises(RuntimeError):
                    async with db.tenant(world.id):
                        raise RuntimeError("a turn that fails")
            async with db.system() as conn:
                assert await (await conn.execute("SELECT count(*) AS n FROM users")).fetchone() == {"n": 0}
    finally:
        await db.close()


async def test_without_a_tenant_nothing_is_seen_and_nothing_can_be_written(
    database: Database, tenants: Tenants
) -> None:
    async with database.system() as conn:
        for table in ("tenants", "users", "user_accounts", "conversations", "audit_log"):
            assert await (await conn.execute(f"SELECT * FROM {table}".encode())).fetchall() == []
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        async with database.system() as conn:
            await conn.execute("INSERT INTO tenants (id, name, slug) VALUES ('t', 't', 't')")


async def test_a_row_of_another_tenant_can_be_neither_written_nor_moved_nor_found(
    database: Database, tenants: Tenants
) -> None:
    one, other = tenants.one, tenants.other
    victim = other[Role.ADMIN].user_id
    insert = "INSERT INTO user_accounts (tenant_id, user_id, account_id) VALUES (%s, %s, 'act_1')"
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        async with database.tenant(one.id) as conn:
            await conn.execute(insert, [other.id, victim])
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        async with database.tenant(one.id) as conn:
            await conn.execute("UPDATE users SET tenant_id = %s", [other.id])
    # A foreign key looks past the policies; that it carries the tenant keeps a foreign id from being referred to.
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        async with database.tenant(one.id) as conn:
            await conn.execute(insert, [one.id, victim])
    async with database.tenant(one.id) as conn:
        assert (await conn.execute("UPDATE users SET name = 'x' WHERE id = %s", [victim])).rowcount == 0
        assert (await conn.execute("DELETE FROM users WHERE id = %s", [victim])).rowcount == 0


async def test_a_transaction_needs_a_tenant(database: Database) -> None:
    with pytest.raises(ValueError, match="tenant"):
        async with database.tenant(""):
            pass


async def test_an_error_rolls_everything_back(database: Database, tenants: Tenants) -> None:
    async def fail_after_a_write() -> None:
        async with database.tenant(tenants.one.id) as conn:
            await conn.execute("DELETE FROM user_accounts")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        await fail_after_a_write()
    async with database.tenant(tenants.one.id) as conn:
        assert len(await (await conn.execute("SELECT * FROM user_accounts")).fetchall()) == 1


async def test_a_superuser_login_works_as_the_application_too(dsns: Dsns, tenants: Tenants) -> None:
    db = Database(dsns.owner)
    await db.open()
    try:
        async with db.system() as conn:
            row = await (await conn.execute("SELECT current_user AS me, count(*) AS n FROM users")).fetchone()
            assert row == {"me": "mutirao_app", "n": 0}
    finally:
        await db.close()


# --- servers that are away --------------------------------------------------------------------


async def test_a_server_that_is_not_there_is_told_at_once(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(Unavailable) as told:
        await Database(f"host={tmp_path} dbname=x user=y").open()
    assert told.value.code == "database_unreachable"
    assert time.monotonic() - began < 5


async def test_connections_cut_by_the_server_are_replaced(database: Database, owner_dsn: str, tenants: Tenants) -> None:
    def cut_all() -> None:
        with psycopg.connect(owner_dsn) as conn:
            conn.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

    async def cut_in_the_middle() -> None:
        async with database.tenant(tenants.one.id) as conn:
            cut_all()
            await conn.execute("SELECT 1")

    cut_all()
    async with database.tenant(tenants.one.id) as conn:
        assert await (await conn.execute("SELECT count(*) AS n FROM tenants")).fetchone() == {"n": 1}
    with pytest.raises(Unavailable) as told:
        await cut_in_the_middle()
    assert told.value.code == "database_unreachable"


# --- locks ------------------------------------------------------------------------------------


async def test_a_lock_lets_one_in_at_a_time_in_order(dsns: Dsns, database: Database) -> None:
    other = Database(dsns.app)
    await other.open()
    order: list[str] = []
    inside = 0

    async def work(name: str, db: Database) -> None:
        nonlocal inside
        async with db.lock("conv_1", timeout=10):
            inside += 1
            assert inside == 1
            order.append(name)
            await asyncio.sleep(0.01)
            inside -= 1

    await asyncio.gather(*(work(f"{n}", (database, other)[n % 2]) for n in range(10)))
    assert sorted(order) == sorted(str(n) for n in range(10))
    await other.close()


async def test_a_lock_that_is_not_freed_in_time_is_busy_and_another_key_is_free(database: Database) -> None:
    async with database.lock("conv_1"):
        with pytest.raises(Unavailable) as told:
            async with database.lock("conv_1", timeout=0.1):
                pass
        assert told.value.code == "busy"
        async with database.lock("conv_2", timeout=0.1):
            pass
    async with database.lock("conv_1", timeout=0.1):
        pass


async def test_a_cancelled_wait_and_a_cancelled_holder_leave_the_lock_free(database: Database) -> None:
    held = asyncio.Event()

    async def hold() -> None:
        async with database.lock("conv_1"):
            held.set()
            await asyncio.Event().wait()

    holder = asyncio.create_task(hold())
    await held.wait()
    waiter = asyncio.create_task(hold())
    await asyncio.sleep(0.05)
    for task in (waiter, holder):
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    async with database.lock("conv_1", timeout=2):
        pass


async def test_an_error_inside_frees_the_lock_and_is_not_renamed(database: Database) -> None:
    with pytest.raises(psycopg.errors.LockNotAvailable):
        async with database.lock("conv_1"):
            raise psycopg.errors.LockNotAvailable("of the work inside")
    async with database.lock("conv_1", timeout=1):
        pass


async def test_a_process_that_is_killed_frees_its_lock(dsns: Dsns, database: Database) -> None:
    code = (
        "import asyncio, sys\n"
        f"sys.path[:0] = [{str(Path(__file__).parents[2])!r}]\n"
        "from core.db import Database\n"
        "async def main():\n"
        f"    db = Database({dsns.app!r})\n"
        "    await db.open()\n"
        "    async with db.lock('conv_1'):\n"
        "        print('held', flush=True)\n"
        "        await asyncio.Event().wait()\n"
        "asyncio.run(main())"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    assert await process.stdout.readline() == b"held\n"
    with pytest.raises(Unavailable):
        async with database.lock("conv_1", timeout=0.05):
            pass
    process.kill()
    async with database.lock("conv_1", timeout=10):
        pass
    await process.wait()


@pytest.fixture
async def other_process(dsns: Dsns) -> AsyncIterator[Database]:
    """What another process on the same database has."""
    db = Database(dsns.app)
    await db.open()
    yield db
    await db.close()


async def test_a_process_holds_any_number_of_locks_at_once_and_others_see_each(
    database: Database, other_process: Database
) -> None:
    keys = [f"conversation:{n}" for n in range(100)]
    async with AsyncExitStack() as held:
        await asyncio.gather(*(held.enter_async_context(database.lock(key, timeout=5)) for key in keys))
        tried = (keys[0], keys[50], keys[99])
        assert await asyncio.gather(*(_enter(other_process, key, 1) for key in tried)) == ["busy"] * 3
    assert await asyncio.gather(*(_enter(other_process, key, 2) for key in keys)) == ["in"] * 100


async def test_when_too_many_wait_for_another_process_it_is_busy_not_unreachable(
    dsns: Dsns, other_process: Database
) -> None:
    db = Database(dsns.app, max_locks=1)
    await db.open()
    async with other_process.lock("conv_1"), other_process.lock("conv_2"):
        waits = asyncio.create_task(_enter(db, "conv_1", 5))
        await until(lambda: db._locks.get_stats().get("pool_size", 0) == 1)
        assert await _enter(db, "conv_2", 0.1) == "busy"
    assert await waits == "in"
    await db.close()


async def test_more_waits_than_connections_wait_for_each_other(dsns: Dsns, other_process: Database) -> None:
    db = Database(dsns.app, max_locks=2)
    await db.open()
    async with AsyncExitStack() as held:
        for n in range(6):
            await held.enter_async_context(other_process.lock(f"conv_{n}"))
        waiting = [asyncio.create_task(_enter(db, f"conv_{n}", 10)) for n in range(6)]
        await until(lambda: len(db._lines) == 6)
    assert await asyncio.gather(*waiting) == ["in"] * 6
    await db.close()


async def test_waiting_for_turns_of_another_process_keeps_neither_an_approval_nor_a_login_waiting(
    dsns: Dsns, other_process: Database
) -> None:
    db = Database(dsns.app, max_locks=1)
    await db.open()
    async with other_process.lock("conversation:one"), other_process.lock("conversation:two"):
        turns = [asyncio.create_task(_enter(db, f"conversation:{name}", 20)) for name in ("one", "two")]
        await until(lambda: db._locks.get_stats().get("requests_waiting", 0) == 1)
        async with other_process.lock("login 1"):
            login = asyncio.create_task(_enter(db, "login 1", 5, brief=True))
            assert await _enter(db, "proposal prop_1", 2, brief=True) == "in"
        assert await login == "in"
    assert await asyncio.gather(*turns) == ["in", "in"]
    await db.close()


async def test_a_crowd_on_one_conversation_is_served_in_order(database: Database) -> None:
    served: list[int] = []

    async def message(n: int) -> None:
        async with database.lock("conversation:one", timeout=20):
            served.append(n)

    await asyncio.gather(*(message(n) for n in range(40)))
    assert served == list(range(40))


async def test_locks_work_again_after_their_connection_was_ended(database: Database, dsns: Dsns) -> None:
    async with database.lock("conv_1"):
        with psycopg.connect(dsns.owner, autocommit=True) as conn:
            conn.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid()"
            )
    async with database.lock("conv_1", timeout=5), database.lock("conv_2", timeout=5):
        pass


async def test_a_connection_that_the_server_ended_is_replaced_before_anybody_gets_it(
    database: Database, dsns: Dsns
) -> None:
    async with database.system() as conn:
        await conn.execute("SELECT 1")
    with psycopg.connect(dsns.owner, autocommit=True) as owner:
        ended = owner.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchall()
    assert ended
    async with database.system() as conn:
        assert (await (await conn.execute("SELECT 1 AS one")).fetchone()) == {"one": 1}


async def test_those_who_give_up_in_line_leave_nothing_behind(database: Database) -> None:
    async with database.lock("conv_1"):
        waiting = [asyncio.create_task(_enter(database, "conv_1", 0.05)) for _ in range(5)]
        cancelled = asyncio.create_task(_enter(database, "conv_1", 10))
        assert await asyncio.gather(*waiting) == ["busy"] * 5
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
    assert await _enter(database, "conv_1", 1) == "in"
    assert database._lines == {}


async def _enter(db: Database, key: str, timeout: float, brief: bool = False) -> str:
    try:
        async with db.lock(key, timeout=timeout, brief=brief):
            return "in"
    except Unavailable as error:
        return error.code
