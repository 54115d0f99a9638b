"""What every test may ask for: a database of its own on one embedded server, two tenants, a clock, a Redis.

Nothing here replaces our own code. A test that reaches for anything but this machine fails by itself.
"""

import asyncio
import contextlib
import fcntl
import ipaddress
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import certifi
import psycopg
import pytest
from argon2 import PasswordHasher
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.sql import SQL, Identifier, Literal

from agents.intents import Classifier, warm
from business.people.model import Tenant
from business.people.service import People
from core.clock import FixedClock
from core.db import Database
from core.ids import new_id
from core.migrate import migrate
from core.permissions import Permissions
from core.postgres import Postgres
from core.tenancy import Identity, Role

# A developer's keys and settings must not reach a test, and no test may cost money.
for _name in list(os.environ):
    if _name.startswith("MUTIRAO_") or _name.endswith(("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY")):
        del os.environ[_name]
os.environ.pop("GOOGLE_API_KEY", None)
os.environ["MUTIRAO_IGNORE_PROVIDER_KEYS"] = "true"

PASSWORD = "ipê-roxo-2026"
"""The password of every user of the `tenants` fixture."""
CHEAP_HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


# --- only this machine ------------------------------------------------------------------------


class OutsideReached(AssertionError):
    """A test tried to leave loopback."""


_reached: list[str] = []


def _only_loopback(event: str, arguments: tuple[Any, ...]) -> None:
    if event in ("socket.connect", "socket.sendto"):
        address = arguments[1]
        if isinstance(address, tuple) and not _is_loopback(address[0]):
            _refuse(f"{event} {address}")
    elif event in ("socket.getaddrinfo", "socket.gethostbyname") and not _is_loopback(arguments[0]):
        _refuse(f"{event} {arguments[0]}")


def _is_loopback(host: str | bytes | None) -> bool:
    name = host.decode() if isinstance(host, bytes) else host
    if name in (None, "", "localhost", "0.0.0.0", "::", socket.gethostname()):
        return True
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(str(name).partition("%")[0]).is_loopback
    # RFC 6761 and 2606: these names never lead anywhere; looking one up is how a test makes a host unreachable.
    return str(name).endswith((".localhost", ".invalid"))


def _refuse(what: str) -> None:
    _reached.append(what)
    raise OutsideReached(f"a test may only reach this machine: {what}")


sys.addaudithook(_only_loopback)


@pytest.fixture(autouse=True)
def only_loopback() -> Iterator[None]:
    """Fails a test that tried to leave loopback, even when the code under test swallowed the refusal."""
    _reached.clear()
    yield
    assert not _reached, f"a test may only reach this machine: {_reached}"


@pytest.fixture(autouse=True, scope="session")
def one_authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Every client of HTTP reads 150 certificates, 20 to 90 ms each time, in the servers we start too. A thousand are
    built here and none is used: one certificate is enough."""
    listed = Path(certifi.where()).read_text(encoding="ascii")
    end = "-----END CERTIFICATE-----\n"
    chosen = tmp_path_factory.mktemp("authority") / "one.pem"
    chosen.write_text(listed[: listed.index(end) + len(end)], encoding="ascii")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(chosen))
        yield


# --- the database -----------------------------------------------------------------------------


def in_memory() -> str | None:
    """A folder for databases that last no longer than their test: in memory where there is room, else None.

    Making a database means 550 small files: 12 ms there, 250 to 500 ms on this machine's disk, for every test that
    has one of its own.
    """
    memory = Path("/dev/shm")  # names below it are mkdtemp's
    roomy = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 2 * 1024**3
    return str(memory) if roomy else None


@dataclass(frozen=True)
class Dsns:
    owner: str
    app: str


@pytest.fixture(scope="session")
def server() -> Iterator[Postgres]:
    """One embedded PostgreSQL for the whole run, without fsync, its first database migrated to serve as template."""
    folder = Path(tempfile.mkdtemp(prefix="mutirao-tests-", dir=in_memory()))
    try:
        with Postgres.start(folder, durable=False) as postgres:
            migrate(postgres.owner_dsn, app_dsn=postgres.app_dsn)
            _cheap_to_enter(postgres)
            yield postgres
            _beside(postgres.owner_dsn).close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _cheap_to_enter(server: Postgres) -> None:
    """The same passwords, hashed once instead of 4,096 times: each of ten thousand connections would take 2 ms more."""
    with psycopg.connect(server.owner_dsn) as conn:
        conn.execute("SET scram_iterations = 1")
        for dsn in (server.owner_dsn, server.app_dsn):
            login = conninfo_to_dict(dsn)
            role, password = Identifier(str(login["user"])), Literal(login["password"])
            conn.execute(SQL("ALTER ROLE {} PASSWORD {}").format(role, password))


@contextlib.contextmanager
def fresh_database(server: Postgres) -> Iterator[Dsns]:
    """A migrated database of its own, dropped at the end."""
    name, beside = new_id("test"), _beside(server.owner_dsn)
    beside.execute(f"CREATE DATABASE {name} TEMPLATE mutirao STRATEGY FILE_COPY".encode())
    beside.execute(f"GRANT CONNECT ON DATABASE {name} TO mutirao_app".encode())
    yield Dsns(make_conninfo(server.owner_dsn, dbname=name), make_conninfo(server.app_dsn, dbname=name))
    beside.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@cache
def _beside(owner_dsn: str) -> psycopg.Connection:
    """To the server's own database, from where the others are made and dropped: one connection for all of them."""
    return psycopg.connect(make_conninfo(owner_dsn, dbname="postgres"), autocommit=True)


@pytest.fixture
def dsns(server: Postgres) -> Iterator[Dsns]:
    """A fresh, migrated database of this test's own."""
    with fresh_database(server) as dsns:
        yield dsns


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A data folder for an embedded server of the test's own. Not under pytest's folder: as root the server runs as
    another user, and every new run of pytest closes its folder to others."""
    with tempfile.TemporaryDirectory(prefix="mutirao-data-", dir=in_memory()) as name:
        yield Path(name) / "var"


@pytest.fixture
def owner_dsn(dsns: Dsns) -> str:
    """The superuser of this test's database: to look behind row-level security."""
    return dsns.owner


@pytest.fixture
async def database(dsns: Dsns) -> AsyncIterator[Database]:
    """This test's database as the application sees it."""
    db = Database(dsns.app)
    await db.open()
    yield db
    await db.close()


# --- people -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class World:
    """A tenant with one user of every role, each `<role>@<slug>.example` with the password PASSWORD."""

    tenant: Tenant
    identities: dict[Role, Identity]

    @property
    def id(self) -> str:
        return self.tenant.id

    def __getitem__(self, role: Role) -> Identity:
        return self.identities[role]


@dataclass(frozen=True)
class Tenants:
    """Two tenants that must never see each other. The Cliente of `one` sees act_100000000000001 only."""

    one: World
    other: World


@pytest.fixture
def clock() -> FixedClock:
    """2026-11-20 15:00 UTC, a Friday noon in São Paulo."""
    return FixedClock()


@pytest.fixture
def people(database: Database, clock: FixedClock) -> People:
    """The people service of the sandbox, its hashing made cheap."""
    return People(database, clock, sandbox=True, hasher=CHEAP_HASHER)


@pytest.fixture
async def tenants(people: People) -> Tenants:
    worlds = []
    for name, slug in (("Agência Um", "um"), ("Loja Dois", "dois")):
        tenant = await people.add_tenant(name, slug=slug)
        identities = {}
        for role in Role:
            email = f"{role.lower()}@{slug}.example"
            accounts = ["act_100000000000001"] if role == Role.CLIENTE else []
            user = await people.add_user(tenant.id, email, f"{role} {slug}", role, PASSWORD, accounts=accounts)
            identities[role] = await people.identity(tenant.id, user.id)
        worlds.append(World(tenant, identities))
    return Tenants(*worlds)


@pytest.fixture
async def permissions(database: Database) -> Permissions:
    async with database.system() as conn:
        return await Permissions.load(conn)


# --- servers of ours in processes of their own ------------------------------------------------


@pytest.fixture(scope="session")
def learnt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `cache` of a data folder in which the house was open before. Laid into a new one it spares a process that the
    test starts the three seconds of learning what people want. One process of a run learns; this one, too, only reads.
    """
    own = tmp_path_factory.getbasetemp()
    run = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    cache = run / "learnt"
    with (run / "learning").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        warm(cache)
        if not any(cache.glob("*.npz")):  # this one had learnt elsewhere already
            Classifier.load(cache=cache)
    return cache


# --- Redis ------------------------------------------------------------------------------------


@dataclass
class RedisServer:
    """A real redis-server of this test's own, which it may kill."""

    url: str
    process: subprocess.Popen[bytes]

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("no redis-server on this machine; CI installs it and skips nothing")
    port = free_port()
    process = subprocess.Popen(
        [
            program,
            "--port",
            str(port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
            "--dir",
            str(tmp_path),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def answers() -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
        return False

    wait_until(answers)
    yield RedisServer(f"redis://127.0.0.1:{port}/0", process)
    process.kill()
    process.wait()


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    return redis_server.url


# --- waiting ----------------------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait for a condition of the outside world, failing at the deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not so after {seconds} s"
        time.sleep(0.02)


async def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """The same inside an event loop."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not so after {seconds} s"
        await asyncio.sleep(0.02)
