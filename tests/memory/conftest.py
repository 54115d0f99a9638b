"""A memory over either engine, and a stand-in for the providers of embeddings."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from core.clock import FixedClock
from core.db import Database
from integrations.sandbox_http import Abortable, Fault, SandboxHttp, listen
from memory.embeddings import Embedding, hash_vector
from memory.long_term import Item, LongTermMemory
from memory.shelf import Shelves
from memory.shelf_edge import EdgeShelves
from memory.shelf_server import ServerShelves
from tests.conftest import Tenants
from tests.memory.qdrant_stand_in import QdrantStandIn


@pytest.fixture
def qdrant() -> Iterator[QdrantStandIn]:
    with QdrantStandIn() as server:
        yield server


@pytest.fixture(params=["embedded", "server"])
async def shelves(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Shelves]:
    """One engine after the other: what holds for one must hold for the other."""
    made: Shelves
    if request.param == "embedded":
        made = EdgeShelves(tmp_path / "memory")
    else:
        made = ServerShelves(request.getfixturevalue("qdrant").url)
    yield made
    await made.close()


@dataclass
class Kept:
    """A memory and the two tenants that use it."""

    memory: LongTermMemory
    db: Database
    clock: FixedClock
    tenants: Tenants

    @property
    def tenant(self) -> str:
        return self.tenants.one.id

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
        return Kept(LongTermMemory(self.db, self.clock, shelves, embedding, **more), self.db, self.clock, self.tenants)


@pytest.fixture
async def kept(shelves: Shelves, database: Database, clock: FixedClock, tenants: Tenants) -> Kept:
    # A loaded machine may take long for a search; only the tests of slowness say how long is too long.
    return Kept(LongTermMemory(database, clock, shelves, patience=20.0), database, clock, tenants)


@pytest.fixture
async def by_server(
    qdrant: QdrantStandIn, database: Database, clock: FixedClock, tenants: Tenants
) -> AsyncIterator[Kept]:
    """A memory over the server alone, for what the server does wrong."""
    shelves = ServerShelves(qdrant.url)
    await shelves.ready()
    yield Kept(LongTermMemory(database, clock, shelves, patience=20.0), database, clock, tenants)
    await shelves.close()


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


@pytest.fixture
def embeddings() -> Iterator[EmbeddingStandIn]:
    with EmbeddingStandIn() as server:
        yield server
