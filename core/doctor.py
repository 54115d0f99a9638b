"""What `mutirao doctor` looks at: what is configured, reachable, missing or not verified, each in one sentence.

A check looks and never changes anything. The words are in `prompts/texts/<language>/setup.yaml` (keys `doctor.…`) and
reach the checks as a function, since the floor knows no prompts. Every part of the house brings its own checks; those
of the floor are here.
"""

import asyncio
import os
import platform
import shutil
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

import psycopg

from core.errors import MutiraoError
from core.migrate import FOLDER as MIGRATIONS
from core.postgres import Postgres, changed_modes
from core.settings import PREFIX, PROVIDER_KEY_NAMES, Settings

State = Literal["ok", "missing", "broken", "unverified", "note"]
"""ok: looked at and good. missing: not configured, and something does not work without it. broken: configured and
wrong. unverified: cannot be known without asking the outside (`--live`). note: good to know."""

LEAST_FREE_BYTES = 1 << 30
_LOOPBACK = ("127.", "::1", "localhost")
# Names that libraries of ours read from the environment by themselves, and what they do with them (measured).
_FOREIGN_NAMES = ("DATABASE_URL", "REDIS_URL", "MODEL", "MODEL_NAME", "BASE_URL", "OPENAI_MODEL_NAME")


Say = Callable[..., str]
"""say(key, **params): the text of a key in the reader's language."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at, in one sentence in the reader's language."""

    area: str
    state: State
    text: str


class Check(Protocol):
    """A part's look at itself. `live` allows it to ask outside services; without it nothing leaves this machine."""

    async def run(self, live: bool) -> list[Finding]: ...


async def examine(checks: list[Check], explain: Callable[[MutiraoError], str], *, live: bool = False) -> list[Finding]:
    """All findings, in the order of the checks. A check that fails is itself a finding, and the others go on.

    `explain` words an error for people.
    """
    findings: list[Finding] = []
    for check in checks:
        area = str(getattr(check, "area", type(check).__name__.lower()))
        try:
            findings += await check.run(live)
        except MutiraoError as error:
            findings.append(Finding(area, "broken", explain(error)))
        except Exception as error:
            unknown = MutiraoError("check_failed", str(error), error=type(error).__name__)
            findings.append(Finding(area, "broken", explain(unknown)))
    return findings


def healthy(findings: list[Finding]) -> bool:
    """Whether nothing is broken: the exit status of `mutirao doctor`. What is missing may be missing on purpose: a
    company that imports files needs no connected account."""
    return not any(finding.state == "broken" for finding in findings)


def floor_checks(settings: Settings, say: Say) -> list[Check]:
    """The checks of the floor, in the order in which a person would look. They need no open database."""
    kinds: list[type[FloorCheck]] = [Machine, DataFolder, DatabaseCheck, RedisCheck, Access, Models]
    return [kind(settings, say) for kind in kinds]


@dataclass(frozen=True)
class FloorCheck:
    settings: Settings
    say: Say
    area: ClassVar[str] = ""

    async def run(self, live: bool) -> list[Finding]:
        raise NotImplementedError

    def _found(self, state: State, key: str, /, **params: Any) -> Finding:
        return Finding(self.area, state, self.say(f"doctor.{key}", **params))


class Machine(FloorCheck):
    """Python, the product's version, and names in the environment that libraries would read."""

    area = "machine"

    async def run(self, live: bool) -> list[Finding]:
        try:
            version = metadata.version("mutirao")
        except metadata.PackageNotFoundError:
            version = "0"
        system = f"{platform.system()} {platform.machine()}"
        python = platform.python_version()
        supported = (3, 11) <= sys.version_info[:2] <= (3, 12)
        findings = [self._found("ok", "version", version=version, mode=self.settings.mode)]
        if supported:
            findings.append(self._found("ok", "python", python=python, system=system))
        else:
            findings.append(self._found("broken", "python_wrong", python=python))
        strangers = [name for name in _FOREIGN_NAMES if os.environ.get(name)]
        if strangers:
            findings.append(self._found("note", "foreign_names", names=", ".join(strangers), prefix=PREFIX))
        return findings


class DataFolder(FloorCheck):
    """The folder of everything that lasts: there, writable, with room, its secrets closed to others."""

    area = "data"

    async def run(self, live: bool) -> list[Finding]:
        folder = self.settings.data_dir.absolute()
        path = str(folder)
        if not folder.exists():
            above = next(parent for parent in folder.parents if parent.exists())
            if os.access(above, os.W_OK):
                return [self._found("note", "data_none_yet", path=path)]
            return [self._found("broken", "data_unwritable", path=path)]
        if not os.access(folder, os.W_OK | os.X_OK):
            return [self._found("broken", "data_unwritable", path=path)]
        free = shutil.disk_usage(folder).free
        findings = [self._found("ok", "data", path=path, free_gb=round(free / 1e9, 1))]
        if free < LEAST_FREE_BYTES:
            findings.append(self._found("broken", "data_full", free_mb=free // 1_000_000))
        for secret in _readable_by_others(folder / "secrets"):
            findings.append(self._found("broken", "secret_readable", path=str(secret)))
        findings += [
            self._found("note", "mode_changed", path=change["path"], before=change["before"], after=change["after"])
            for change in changed_modes(folder)
        ]
        env_file = Path(".env")
        if env_file.is_file() and env_file.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
            findings.append(self._found("note", "env_readable", path=str(env_file.absolute())))
        return findings


class DatabaseCheck(FloorCheck):
    """PostgreSQL: which, reachable, up to date, and whether the application is really bound by row-level security."""

    area = "database"

    async def run(self, live: bool) -> list[Finding]:
        if self.settings.database_url is not None:
            return await self._look(self.settings.database_url)
        if not (self.settings.data_dir / "postgres" / "cluster").exists():
            return [self._found("note", "postgres_none_yet")]
        server = await asyncio.to_thread(Postgres.start, self.settings.data_dir)
        try:
            return await self._look(server.app_dsn)
        finally:
            await asyncio.to_thread(server.stop)

    async def _look(self, dsn: str) -> list[Finding]:
        try:
            conn = await psycopg.AsyncConnection.connect(dsn, connect_timeout=5)
        except psycopg.OperationalError:
            return [self._found("broken", "postgres_unreachable")]
        async with conn:
            version = (conn.info.parameter_status("server_version") or "?").split(" ")[0]
            if self.settings.database_url is None:
                findings = [self._found("ok", "postgres_embedded", version=version)]
            else:
                findings = [self._found("ok", "postgres_outside", version=version)]
            return findings + await self._migrations(conn) + await self._isolation(conn)

    async def _migrations(self, conn: psycopg.AsyncConnection[Any]) -> list[Finding]:
        known = {path.stem for path in MIGRATIONS.glob("[0-9]*.sql")}
        try:
            async with conn.transaction():
                await conn.execute("SET LOCAL ROLE mutirao_app")
                rows = await (await conn.execute("SELECT name FROM schema_migrations")).fetchall()
        except psycopg.Error:
            return [self._found("missing", "migrations_none")]
        done = {str(name) for (name,) in rows if not str(name).startswith("procrastinate")}
        if newer := sorted(done - known):
            return [self._found("broken", "migrations_newer", name=newer[0])]
        if pending := sorted(known - done):
            return [self._found("note", "migrations_pending", count=len(pending))]
        return [self._found("ok", "migrations", name=max(done, default="-"))]

    async def _isolation(self, conn: psycopg.AsyncConnection[Any]) -> list[Finding]:
        """The application's login may be no superuser, may not bypass the policies and may own no table."""
        findings = []
        query = "SELECT rolname, rolsuper OR rolbypassrls FROM pg_roles WHERE rolname IN (session_user, 'mutirao_app')"
        for name, unbound in await (await conn.execute(query)).fetchall():
            # Our own embedded server's application login is not a superuser; a DSN of one's own can be anything.
            if unbound:
                findings.append(self._found("broken", "rls_bypassed", role=name))
        unforced = """
            SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
            WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace AND a.attname = 'tenant_id'
              AND NOT a.attisdropped AND NOT (c.relrowsecurity AND c.relforcerowsecurity) ORDER BY 1"""
        for (table,) in await (await conn.execute(unforced)).fetchall():
            findings.append(self._found("broken", "rls_not_forced", table=table))
        owned = (
            "SELECT count(*) FROM pg_tables WHERE schemaname = 'public' AND tableowner IN (session_user, 'mutirao_app')"
        )
        row = await (await conn.execute(owned)).fetchone()
        if row and row[0]:
            state: State = "note" if self.settings.database_owner_url is None else "broken"
            findings.append(self._found(state, "rls_owner", count=row[0]))
        return findings or [self._found("ok", "rls")]


class RedisCheck(FloorCheck):
    """Redis is a copy of the sessions: without it everything works, from PostgreSQL."""

    area = "redis"

    async def run(self, live: bool) -> list[Finding]:
        from redis import asyncio as redis
        from redis.exceptions import RedisError

        if self.settings.redis_url is None:
            return [self._found("note", "redis_none")]
        client = redis.Redis.from_url(self.settings.redis_url, socket_timeout=3, socket_connect_timeout=3)
        try:
            info = await client.info("server")
        except (RedisError, OSError):
            return [self._found("broken", "redis_unreachable")]
        finally:
            await client.aclose()
        return [self._found("ok", "redis", version=info.get("redis_version", "?"))]


class Access(FloorCheck):
    """Who can reach the server and who can log in."""

    area = "access"

    async def run(self, live: bool) -> list[Finding]:
        settings = self.settings
        address = f"{settings.host}:{settings.port}"
        local = settings.host.startswith(_LOOPBACK)
        findings = []
        if local:
            findings.append(self._found("ok", "bind_local", address=address))
        elif settings.sandbox:
            findings.append(self._found("broken", "bind_sandbox_open", address=address))
        else:
            findings.append(self._found("note", "bind_open", address=address))
        if "*" in settings.allowed_origins:
            state: State = "note" if settings.sandbox else "broken"
            findings.append(self._found(state, "origins_any"))
        demo = (settings.data_dir / "secrets" / "demo.json").exists()
        if settings.sandbox and demo:
            findings.append(self._found("note", "demo_users"))
        elif demo:
            findings.append(self._found("note", "demo_users_locked"))
        if settings.meta_ads == "live" and settings.meta_app_secret is None:
            findings.append(self._found("note", "meta_no_app_secret"))
        return findings


class Models(FloorCheck):
    """Which keys are there. Whether they work is for the model layer's own check, with `--live`."""

    area = "models"

    async def run(self, live: bool) -> list[Finding]:
        settings = self.settings
        if settings.ignore_provider_keys:
            return [self._found("note", "keys_ignored")]
        present = [name.removesuffix("_api_key") for name in PROVIDER_KEY_NAMES if getattr(settings, name)]
        if settings.compatible_base_url:
            present.append("compatible")
        if settings.model == "offline":
            return [self._found("note", "model_offline")]
        if not present:
            return [self._found("note", "keys_none")]
        return [self._found("unverified", "key_present", provider=name) for name in present]


def _readable_by_others(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    others = stat.S_IRGRP | stat.S_IROTH | stat.S_IWGRP | stat.S_IWOTH
    files = [path for path in sorted(folder.iterdir()) if path.is_file() and path.stat().st_size]  # a lock is empty
    return [path for path in files if path.stat().st_mode & others]
