"""A door with the inbox behind it, two tenants with a number each, and a PostgreSQL that can be taken away."""

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import dict_row

from business.messaging.inbox import Inbox
from channels.whatsapp.door import WhatsAppDoor
from channels.whatsapp.numbers import Numbers
from core.clock import FixedClock
from core.db import Database
from integrations.whatsapp_cloud.signature import HEADER, sign
from tests.conftest import Dsns, Tenants
from tests.integrations.whatsapp_cloud.posts import NUMBER, WABA

SECRET, TOKEN = "segredo-do-app", "token-de-verificação"
OTHER_NUMBER, OTHER_WABA = "100000000000299", "100000000000199"
PATH = "/webhooks/whatsapp"


@dataclass
class Outside:
    """Who posts to the door."""

    door: WhatsAppDoor
    owner_dsn: str
    http: httpx.AsyncClient = field(init=False)

    def __post_init__(self) -> None:
        transport = httpx.ASGITransport(app=self.door)  # type: ignore[arg-type]
        self.http = httpx.AsyncClient(transport=transport, base_url="http://door")

    async def post(
        self,
        body: bytes,
        *,
        secret: str = SECRET,
        path: str = PATH,
        headers: Any = None,
        kind: str = "application/json",
    ) -> int:
        """The status. `headers` None: signed with `secret`."""
        told = {HEADER: sign(secret, body), "content-type": kind} if headers is None else headers
        return (await self.http.post(path, content=body, headers=told)).status_code

    def rows(self) -> list[dict[str, Any]]:
        """The inbox, behind row-level security, in its order."""
        with psycopg.connect(self.owner_dsn, row_factory=dict_row) as conn:
            return conn.execute("SELECT * FROM inbox ORDER BY id").fetchall()

    def keys(self) -> list[str]:
        return [str(row["key"]) for row in self.rows()]


def connect_number(dsn: str, tenant_id: str, number: str, account: str, channel_id: str = "ch_1") -> None:
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute(
            """INSERT INTO channels (tenant_id, id, provider, number, name, account, environment, created_at)
               VALUES (%s, %s, 'whatsapp_cloud', %s, 'teste', %s, 'sandbox', now())""",
            [tenant_id, channel_id, number, account],
        )


@pytest.fixture
async def inbox(dsns: Dsns, clock: FixedClock) -> AsyncIterator[Inbox]:
    inbox = Inbox(dsns.app, clock)
    await inbox.open()
    yield inbox
    await inbox.close()


@pytest.fixture
async def outside(
    inbox: Inbox, database: Database, tenants: Tenants, dsns: Dsns, clock: FixedClock
) -> AsyncIterator[Outside]:
    """The number of the posts is tenant one's, OTHER_NUMBER the other's; ch_own is a number under an app of its own."""
    connect_number(dsns.owner, tenants.one.id, NUMBER, WABA)
    connect_number(dsns.owner, tenants.other.id, OTHER_NUMBER, OTHER_WABA)
    connect_number(dsns.owner, tenants.other.id, "100000000000298", "100000000000198", "ch_own")

    async def secrets_of(tenant_id: str, channel_id: str) -> dict[str, str]:
        return {"app_secret": "segredo-próprio"} if channel_id == "ch_own" else {}

    numbers = Numbers(database, soon=0.0)
    door = WhatsAppDoor(
        inbox, numbers, clock, app_secret=SECRET, verify_token=TOKEN, secrets_of=secrets_of, patience=0.2
    )
    outside = Outside(door, dsns.owner)
    async with outside.http:
        yield outside


class Wire:
    """A way to PostgreSQL that can be cut, or fall silent, and comes back."""

    def __init__(self, dsn: str) -> None:
        parts = conninfo_to_dict(dsn)
        self._real = Path(str(parts["host"])) / f".s.PGSQL.{parts.get('port', 5432)}"
        self._folder = Path(tempfile.mkdtemp(prefix="wire-", dir="/tmp"))  # a socket's path has to be short
        self.dsn = make_conninfo(dsn, host=str(self._folder), port="5432")
        self._open: set[asyncio.StreamWriter] = set()
        self._flows = asyncio.Event()
        self._flows.set()
        self._server: asyncio.Server | None = None

    async def up(self) -> None:
        self._server = await asyncio.start_unix_server(self._through, str(self._folder / ".s.PGSQL.5432"))

    async def cut(self) -> None:
        """As a server that has gone."""
        assert self._server is not None
        self._server.close()
        (self._folder / ".s.PGSQL.5432").unlink(missing_ok=True)
        for writer in list(self._open):
            writer.transport.abort()

    def hush(self) -> None:
        """As a network that swallows everything."""
        self._flows.clear()

    def speak(self) -> None:
        self._flows.set()

    async def close(self) -> None:
        self._flows.set()
        await self.cut()
        shutil.rmtree(self._folder, ignore_errors=True)

    async def _through(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        their_reader, their_writer = await asyncio.open_unix_connection(str(self._real))
        self._open |= {writer, their_writer}
        ways = [self._flow(reader, their_writer), self._flow(their_reader, writer)]
        try:
            await asyncio.gather(*ways)
        finally:
            self._open -= {writer, their_writer}

    async def _flow(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                await self._flows.wait()
                writer.write(data)
            writer.close()


@pytest.fixture
async def wire(dsns: Dsns) -> AsyncIterator[Wire]:
    wire = Wire(dsns.app)
    await wire.up()
    yield wire
    await wire.close()
