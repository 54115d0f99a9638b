"""Migrations: plain numbered SQL in `migrations/`, applied once each, in order, never changed afterwards.

They run as the role `mutirao_owner`, whoever logs in; the application works as `mutirao_app`, which owns nothing.
The tables of procrastinate (the job engine) come from its own package and are kept up to date in the same history.
"""

import hashlib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import psycopg

from core.errors import SetupError, Unavailable

FOLDER = Path(__file__).resolve().parent.parent / "migrations"
OLDEST_SERVER = 15  # the oldest PostgreSQL that these migrations are written for
_LOCK = 0x6D757469  # "muti": one migration at a time per database

ROLES = {
    "mutirao_owner": "owns the tables",
    "mutirao_app": "is what the application works as",
    "mutirao_login": "owns the functions that look across tenants",
    "mutirao_intake": "puts what webhooks bring into the inbox, and can do nothing else",
}


@dataclass(frozen=True)
class _Step:
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrate(owner_dsn: str, *, app_dsn: str | None = None, folder: Path = FOLDER) -> list[str]:
    """Bring the database up to this code and return the names of what was applied, oldest first; [] when all was there.

    `app_dsn` is the application's login when it differs from `owner_dsn`; it is given the right to work as mutirao_app.
    Safe to call from several processes at once. Each migration is one transaction.
    Unavailable("database_unreachable"). SetupError: database_newer (found), migration_changed (name),
    database_roles_missing (sql: what an administrator has to run), database_too_old (found, needed).
    """
    try:
        conn = psycopg.connect(owner_dsn, autocommit=True, connect_timeout=10)
        login = conn.info.user if app_dsn is None else _login_of(app_dsn)
    except psycopg.OperationalError as error:
        raise Unavailable("database_unreachable", str(error)) from None
    with conn:
        if conn.info.server_version < OLDEST_SERVER * 10_000:
            found = conn.info.server_version // 10_000
            raise SetupError(
                "database_too_old", f"PostgreSQL {found} is too old", found=str(found), needed=str(OLDEST_SERVER)
            )
        conn.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
        _roles(conn, login)
        done = _history(conn)
        ours = _ours(folder)
        engine = _engine()
        _check_history(done, [*ours, *engine])
        applied = [step.name for step in ours if step.name not in done and _apply(conn, step)]
        return applied + _apply_engine(conn, engine, done)


def _login_of(app_dsn: str) -> str:
    with psycopg.connect(app_dsn, connect_timeout=10) as conn:
        return conn.info.user


# --- roles ------------------------------------------------------------------------------------


def _roles(conn: "psycopg.Connection[Any]", login: str) -> None:
    """Create what is missing. A login without that right gets a SetupError with the SQL for somebody who has it."""
    me = conn.info.user
    may_set = "SET" if conn.info.server_version >= 160_000 else "MEMBER"
    have = {name for (name,) in conn.execute("SELECT rolname FROM pg_roles WHERE rolname LIKE 'mutirao%'")}
    wanted = [f"CREATE ROLE {name} NOLOGIN" for name in ROLES if name not in have]
    grants = [("mutirao_owner", me), ("mutirao_login", "mutirao_owner")]
    if login != "mutirao_app":
        grants.append(("mutirao_app", login))
    grants.append(("mutirao_intake", login))
    for role, member in grants:
        known = role in have and (member in have or member in (me, login))
        if not known or not _one(conn, "SELECT pg_has_role(%s, %s, %s)", [member, role, may_set]):
            inherit = (
                " WITH INHERIT FALSE, SET TRUE"
                if may_set == "SET" and role in ("mutirao_login", "mutirao_intake")
                else ""
            )
            wanted.append(f'GRANT {role} TO "{member}"{inherit}')
    right = "SELECT has_schema_privilege('mutirao_owner', 'public', 'CREATE WITH GRANT OPTION')"
    if "mutirao_owner" not in have or not _one(conn, right):
        wanted.append("GRANT USAGE, CREATE ON SCHEMA public TO mutirao_owner WITH GRANT OPTION")
    try:
        with conn.transaction():
            for statement in wanted:
                conn.execute(statement.encode())
    except psycopg.errors.InsufficientPrivilege as error:
        sql = ";\n".join(wanted) + ";"
        raise SetupError("database_roles_missing", f"{error}. An administrator has to run:\n{sql}", sql=sql) from None


# --- steps ------------------------------------------------------------------------------------


def _ours(folder: Path) -> list[_Step]:
    return [_Step(path.stem, path.read_text(encoding="utf-8")) for path in sorted(folder.glob("[0-9]*.sql"))]


def _engine() -> list[_Step]:
    """The changes of procrastinate's schema over its life, oldest first."""
    files = (resources.files("procrastinate") / "sql" / "migrations").iterdir()
    found = [
        _Step(f"procrastinate {f.name.removesuffix('.sql')}", f.read_text()) for f in files if f.name[:1].isdigit()
    ]
    return sorted(found, key=lambda step: step.name)


def _history(conn: "psycopg.Connection[Any]") -> dict[str, str]:
    with conn.transaction():
        conn.execute("SET LOCAL ROLE mutirao_owner")
        conn.execute(
            "CREATE TABLE IF NOT EXISTS schema_migrations ("
            "name text PRIMARY KEY, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        conn.execute("GRANT SELECT ON schema_migrations TO mutirao_app")
        return dict(conn.execute("SELECT name, checksum FROM schema_migrations").fetchall())


def _check_history(done: dict[str, str], known: list[_Step]) -> None:
    checksums = {step.name: step.checksum for step in known}
    for name, checksum in sorted(done.items()):
        if name not in checksums:
            raise SetupError("database_newer", f"the database has {name}, which this code does not know", found=name)
        if checksum != checksums[name]:
            raise SetupError("migration_changed", f"{name} is not what was applied to this database", name=name)


def _apply(conn: "psycopg.Connection[Any]", step: _Step, sql: str | None = None) -> bool:
    with conn.transaction():
        conn.execute("SET LOCAL ROLE mutirao_owner")
        conn.execute((step.sql if sql is None else sql).encode())
        conn.execute("INSERT INTO schema_migrations (name, checksum) VALUES (%s, %s)", [step.name, step.checksum])
    return True


def _apply_engine(conn: "psycopg.Connection[Any]", steps: list[_Step], done: dict[str, str]) -> list[str]:
    """All at once on a new database (its package ships the sum of its steps); one by one on an older one."""
    fresh = [step for step in steps if step.name not in done]
    if not fresh:
        return []
    with conn.transaction():
        if len(fresh) == len(steps):
            conn.execute("SET LOCAL ROLE mutirao_owner")
            conn.execute((resources.files("procrastinate") / "sql" / "schema.sql").read_text().encode())
        for step in fresh:
            _apply(conn, step, "" if len(fresh) == len(steps) else None)
        conn.execute("SET LOCAL ROLE mutirao_owner")
        # The worker is the application too. These tables hold ids and no tenant text, and have no row-level security.
        tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename LIKE 'procrastinate%'"
        for (table,) in conn.execute(tables).fetchall():
            conn.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO mutirao_app".encode())
        sequences = "SELECT sequencename FROM pg_sequences WHERE schemaname = 'public'"
        for (sequence,) in conn.execute(sequences).fetchall():
            if sequence.startswith("procrastinate"):
                conn.execute(f"GRANT USAGE ON SEQUENCE {sequence} TO mutirao_app".encode())
    return ["procrastinate"] if len(fresh) == len(steps) else [step.name for step in fresh]


def _one(conn: "psycopg.Connection[Any]", sql: str, values: list[str] | None = None) -> Any:
    row = conn.execute(sql.encode(), values).fetchone()
    return None if row is None else row[0]
