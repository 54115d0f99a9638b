"""A memory over either engine, and a stand-in for the providers of embeddings."""

import asyncio
import json
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from core.clock import FixedClock
from core.db import Database
from core.postgres import Postgres
from integrations.sandbox_http import Abortable, Fault, SandboxHttp, listen
from memory.embeddings import Embedding, OpenAIEmbedding, hash_vector
from memory.long_term import Item, LongTermMemory
from memory.shelf import Shelves
from memory.shelf_edge import EdgeShelves, engine
from memory.shelf_server import ServerShelves
from tests.conftest import Dsns, fresh_database
from tests.memory.qdrant_stand_in import QdrantStandIn


@dataclass(frozen=True)
class House:
    """One database for all tests of a file, and two tenants in it."""

    dsns: Dsns
    one: str = "tenant_one"
    other: str = "tenant_other"


@pytest.fixture(scope="module")
def house(server: Postgres) -> Iterator[House]:
    with fresh_database(server) as dsns:
        with psycopg.connect(dsns.owner) as conn:
            for tenant in (House.one, House.other):
                conn.execute("INSERT INTO tenants (id, name, slug) VALUES (%s, %s, %s)", [tenant, tenant, tenant[7:]])
        yield House(dsns)


@pytest.fixture
async def memory_db(house: House) -> AsyncIterator[Database]:
    """The database of the house, with nothing in its memory."""
    with psycopg.connect(house.dsns.owner) as conn:
        conn.execute("TRUNCATE memory_items, memory_removals, memory_collections, memory_shelves")
    db = Database(house.dsns.app)
    await db.open()
    yield db
    await db.close()


@pytest.fixture(scope="module")
def qdrant_server() -> Iterator[QdrantStandIn]:
    with QdrantStandIn() as server:
        yield server


@pytest.fixture
def qdrant(qdrant_server: QdrantStandIn) -> QdrantStandIn:
    """A server with nothing in it."""
    qdrant_server.forget()
    return qdrant_server


@contextmanager
def place() -> Iterator[Path]:
    """Where an embedded index may lie: in memory where the machine has that, since each write goes to the disk."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="mutirao-memory-", dir=memory if memory.is_dir() else None) as name:
        yield Path(name) / "memory"


@pytest.fixture
def folder() -> Iterator[Path]:
    """A place for an index of this test's own."""
    with place() as path:
        yield path


@pytest.fixture(scope="module")
def running() -> Iterator[Path]:
    """A place with an engine that runs for all tests of a file."""
    with place() as path:
        with engine(path):
            yield path


@pytest.fixture(params=["embedded", "server"])
async def shelves(request: pytest.FixtureRequest, house: House, memory_db: Database) -> AsyncIterator[Shelves]:
    """One engine after the other: what holds for one must hold for the other."""
    made: Shelves
    if request.param == "embedded":
        made = EdgeShelves(request.getfixturevalue("running"))
    else:
        made = ServerShelves(request.getfixturevalue("qdrant").url)
    yield made
    with psycopg.connect(house.dsns.owner) as conn:
        names = [name for (name,) in conn.execute("SELECT name FROM memory_shelves").fetchall()]
    for name in names:
        await made.drop(name)
    await made.close()


@dataclass
class Kept:
    """A memory and the two tenants that use it."""

    memory: LongTermMemory
    db: Database
    clock: FixedClock
    house: House

    @property
    def tenant(self) -> str:
        return self.house.one

    async def put(self, *items: Item, collection: str = "companies", tenant: str | None = None) -> Any:
        """Keep items and let the index follow."""
        kept = await self.write(*items, collection=collection, tenant=tenant)
        await self.memory.catch_up(tenant or self.tenant)
        return kept

    async def write(self, *items: Item, collection: str = "companies", tenant: str | None = None) -> Any:
        """Keep items; the index does not know yet."""
        tenant = tenant or self.tenant
        async with self.db.tenant(tenant) as conn:
            return await self.memory.put(conn, tenant, collection, items)

    async def ids(self, text: str, collection: str = "companies", **more: Any) -> list[str]:
        """What is found for a text."""
        recall = await self.memory.search(more.pop("tenant", self.tenant), collection, text, **more)
        return [found.item.id for found in recall.found]

    def over(self, shelves: Shelves | None = None, embedding: Embedding | None = None, **more: Any) -> "Kept":
        """The same rows, over another engine or another model: as after a restart with other settings."""
        shelves, embedding = shelves or self.memory.shelves, embedding or self.memory.embedding
        more.setdefault("patience", 20.0)
        return Kept(LongTermMemory(self.db, self.clock, shelves, embedding, **more), self.db, self.clock, self.house)


@pytest.fixture
async def kept(shelves: Shelves, memory_db: Database, clock: FixedClock, house: House) -> Kept:
    return over(shelves, memory_db, clock, house)


@pytest.fixture
async def by_server(qdrant: QdrantStandIn, memory_db: Database, clock: FixedClock, house: House) -> AsyncIterator[Kept]:
    """A memory over the server alone, for what the server does wrong."""
    shelves = ServerShelves(qdrant.url)
    await shelves.ready()
    yield over(shelves, memory_db, clock, house)
    await shelves.close()


@pytest.fixture
async def by_folder(folder: Path, memory_db: Database, clock: FixedClock, house: House) -> AsyncIterator[Kept]:
    """A memory over the embedded engine alone."""
    shelves = EdgeShelves(folder)
    yield over(shelves, memory_db, clock, house)
    await shelves.close()


def over(shelves: Shelves, db: Database, clock: FixedClock, house: House) -> Kept:
    # A loaded machine may take long for a search; only the tests of slowness say how long is too long.
    return Kept(LongTermMemory(db, clock, shelves, patience=20.0), db, clock, house)


# --- embeddings over the wire -----------------------------------------------------------------------


class EmbeddingStandIn:
    """Speaks OpenAI's `embeddings` and Gemini's `batchEmbedContents`, with the hash's vectors cut to what is asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.http = SandboxHttp("embeddings", self._respond)
        self._socket = listen(0)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        config = uvicorn.Config(
            self.http.app, http=Abortable, ws="none", lifespan="off", log_level="warning", access_log=False
        )
        config.timeout_graceful_shutdown = 1
        self._server = uvicorn.Server(config)
        run = self._server.serve(sockets=[self._socket])
        self._thread = threading.Thread(target=lambda: asyncio.run(run), name="embeddings", daemon=True)

    def __enter__(self) -> "EmbeddingStandIn":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(10)

    def fail(self, kind: str, times: int = 1, **more: Any) -> None:
        self.http.faults.append(Fault(kind, times, **more))

    def heal(self) -> None:
        self.http.faults.clear()

    def _respond(self, request: Request) -> Response:
        body = json.loads(request.state.body)
        self.asked.append({"path": request.url.path, **body})
        if request.url.path.endswith("/embeddings"):
            size = body.get("dimensions", 1024)
            data = [
                {"object": "embedding", "index": place, "embedding": hash_vector(text, size)}
                for place, text in enumerate(body["input"])
            ]
            data.reverse()  # the index says the order, not the place
            usage = {"prompt_tokens": 1, "total_tokens": 1}
            return JSONResponse({"object": "list", "data": data, "model": body["model"], "usage": usage})
        assert request.url.path.endswith(":batchEmbedContents"), request.url.path
        answers = []
        for one in body["requests"]:
            text = "".join(part["text"] for part in one["content"]["parts"])
            answers.append({"values": hash_vector(text, one["outputDimensionality"])})
        return JSONResponse({"embeddings": answers})


@pytest.fixture(scope="module")
def embedding_server() -> Iterator[EmbeddingStandIn]:
    with EmbeddingStandIn() as server:
        yield server


@pytest.fixture
def embeddings(embedding_server: EmbeddingStandIn) -> EmbeddingStandIn:
    """One that was asked nothing yet, and is well."""
    embedding_server.asked.clear()
    embedding_server.heal()
    return embedding_server


@pytest.fixture
async def remote(embeddings: EmbeddingStandIn) -> AsyncIterator[Callable[[], OpenAIEmbedding]]:
    """Makes embeddings over OpenAI's library and the stand-in."""
    made: list[OpenAIEmbedding] = []

    def make() -> OpenAIEmbedding:
        made.append(OpenAIEmbedding("text-embedding-3-small", 256, "key", f"{embeddings.url}/v1"))
        return made[-1]

    yield make
    for one in made:
        await one.close()
