"""The index on a Qdrant server, over its official client: for production, where several machines share it.

Needs Qdrant 1.19 or later, which can count the rarity of a word among one tenant's items alone. The client is imported
and built in a thread when it is first used; it takes most of a second.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

from core.errors import Unavailable
from memory.shelf import VECTOR, Hit, Point, Shape, ShelfInfo, Vector, Where, Words

_PAGE = 10_000  # points listed at once
_SECONDS = 30  # that the client waits for an answer; whoever asks has a shorter deadline


class ServerShelves:
    """The engine at `url` (https://host:6333). One shelf is one collection."""

    def __init__(self, url: str, api_key: str | None = None) -> None:
        self._url = url
        self._api_key = api_key
        self._client: Any = None
        self._building = asyncio.Lock()
        # A name for the place that is no secret and no address: it is kept in the database.
        self.place = "server " + hashlib.sha256(url.encode()).hexdigest()[:12]

    async def ready(self) -> None:
        async with self._building:
            if self._client is None:
                self._client = await asyncio.to_thread(self._build)

    async def look(self, name: str) -> Shape | None:
        async def ask(client: Any) -> Any:
            return await client.get_collection(name) if await client.collection_exists(name) else None

        found = await self._do(ask)
        if found is None:
            return None
        params = found.config.params
        dense, sparse = params.vectors or {}, params.sparse_vectors or {}
        if isinstance(dense, dict) and VECTOR in dense:
            return Shape(dense[VECTOR].size)
        return Shape(None if VECTOR in sparse else -1)  # -1: a shape of somebody else's, which fits nothing

    async def make(self, name: str, size: int | None) -> None:
        async def ask(client: Any) -> None:
            from qdrant_client import models

            if size is None:
                words = models.SparseVectorParams(modifier=models.Modifier.IDF)
                await client.create_collection(name, vectors_config={}, sparse_vectors_config={VECTOR: words})
            else:
                # Tenants search among their own: a graph for each of them instead of one through everything.
                graph = models.HnswConfigDiff(m=0, payload_m=16)
                meanings = models.VectorParams(size=size, distance=models.Distance.COSINE)
                await client.create_collection(name, vectors_config={VECTOR: meanings}, hnsw_config=graph)
            tenant = models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, is_tenant=True)
            await client.create_payload_index(name, "tenant", field_schema=tenant)
            for key in ("about", "tags"):
                await client.create_payload_index(name, key, field_schema=models.PayloadSchemaType.KEYWORD)

        await self._do(ask)

    async def drop(self, name: str) -> None:
        await self._do(lambda client: client.delete_collection(name))

    async def put(self, name: str, tenant_id: str, points: Sequence[Point]) -> None:
        mine = _tenant(tenant_id)

        async def ask(client: Any) -> None:
            from qdrant_client import models

            made = [
                models.PointStruct(
                    id=point.id,
                    vector={VECTOR: _vector(models, point.vector)},
                    payload={"tenant": mine, "about": point.about, "tags": list(point.tags)},
                )
                for point in points
            ]
            await client.upsert(name, made, wait=True)

        await self._do(ask)

    async def settle(self, name: str) -> None:
        """Nothing: the server answers a change (wait=True) when it is in its log, and keeps that."""

    async def remove(self, name: str, tenant_id: str, ids: Sequence[str] | None) -> None:
        mine = _tenant(tenant_id)

        async def ask(client: Any) -> None:
            from qdrant_client import models

            conditions = [_is(models, "tenant", mine)]
            if ids is not None:
                conditions.append(models.HasIdCondition(has_id=list(ids)))
            chosen = models.FilterSelector(filter=models.Filter(must=conditions))
            await client.delete(name, points_selector=chosen, wait=True)

        await self._do(ask)

    async def nearest(
        self, name: str, tenant_id: str, vectors: Sequence[Vector], limit: int, where: Where
    ) -> list[list[Hit]]:
        mine = _tenant(tenant_id)

        async def ask(client: Any) -> list[Any]:
            from qdrant_client import models

            tenant = _is(models, "tenant", mine)
            must = [tenant, *(_is(models, "tags", tag) for tag in where.tags)]
            if where.about:
                must.append(models.FieldCondition(key="about", match=models.MatchAny(any=list(where.about))))
            without = [models.HasIdCondition(has_id=list(where.without))] if where.without else None
            wanted = models.Filter(must=must, must_not=without)
            corpus = models.IdfCorpusParams(corpus=models.Filter(must=[tenant]))
            requests = [
                models.QueryRequest(
                    query=models.NearestQuery(nearest=_vector(models, vector)),
                    using=VECTOR,
                    filter=wanted,
                    limit=limit,
                    params=models.SearchParams(idf=corpus) if isinstance(vector, Words) else None,
                    with_payload=False,
                )
                for vector in vectors
            ]
            return list(await client.query_batch_points(name, requests))

        return [[Hit(str(point.id), point.score) for point in one.points] for one in await self._do(ask)]

    async def vectors(self, name: str, tenant_id: str, ids: Sequence[str]) -> dict[str, Any]:
        mine = _tenant(tenant_id)

        async def ask(client: Any) -> dict[str, Any]:
            from qdrant_client import models

            conditions = [_is(models, "tenant", mine), models.HasIdCondition(has_id=list(ids))]
            wanted = models.Filter(must=conditions)
            records, _ = await client.scroll(
                name, scroll_filter=wanted, limit=max(len(ids), 1), with_payload=False, with_vectors=True
            )
            return {str(record.id): list(record.vector[VECTOR]) for record in records}

        found: dict[str, Any] = await self._do(ask)
        return found

    async def ids(self, name: str, tenant_id: str) -> set[str]:
        mine = _tenant(tenant_id)

        async def ask(client: Any) -> set[str]:
            from qdrant_client import models

            wanted = models.Filter(must=[_is(models, "tenant", mine)])
            found: set[str] = set()
            after = None
            while True:
                records, after = await client.scroll(
                    name, scroll_filter=wanted, limit=_PAGE, offset=after, with_payload=False, with_vectors=False
                )
                found |= {str(record.id) for record in records}
                if after is None:
                    return found

        found: set[str] = await self._do(ask)
        return found

    async def count(self, name: str, tenant_id: str | None) -> int:
        mine = None if tenant_id is None else _tenant(tenant_id)

        async def ask(client: Any) -> int:
            from qdrant_client import models

            wanted = None if mine is None else models.Filter(must=[_is(models, "tenant", mine)])
            return int((await client.count(name, count_filter=wanted, exact=True)).count)

        return int(await self._do(ask))

    async def info(self, names: Sequence[str]) -> ShelfInfo:
        about = await self._do(lambda client: client.info())
        points = {name: await self.count(name, None) for name in names if await self.look(name) is not None}
        return ShelfInfo(f"Qdrant ({urlsplit(self._url).netloc.rpartition('@')[2]})", about.version, points)

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()
            self._client = None

    async def _do(self, ask: Callable[[Any], Awaitable[Any]]) -> Any:
        await self.ready()
        try:
            return await ask(self._client)
        except Exception as error:  # of the connection, of the server, or an answer that cannot be read
            status = getattr(error, "status_code", None)
            told = type(error).__name__ if status is None else f"{type(error).__name__} {status}"
            raise Unavailable("memory_index_away", f"{told}: {error}", engine="Qdrant", reason=told) from None

    def _build(self) -> Any:
        from qdrant_client import AsyncQdrantClient

        # The port is the address's own; without it the library would take 6333 even for https://host.
        address = urlsplit(self._url)
        port = address.port or {"http": 80, "https": 443}[address.scheme]
        return AsyncQdrantClient(
            url=self._url,
            port=port,
            api_key=self._api_key,
            timeout=_SECONDS,
            prefer_grpc=False,
            check_compatibility=False,  # it would ask the server from within the constructor
        )


def _vector(models: Any, vector: Vector) -> Any:
    return models.SparseVector(indices=vector.indices, values=vector.values) if isinstance(vector, Words) else vector


def _is(models: Any, key: str, value: str) -> Any:
    return models.FieldCondition(key=key, match=models.MatchValue(value=value))


def _tenant(tenant_id: str) -> str:
    if not tenant_id or not isinstance(tenant_id, str):
        raise ValueError("a question to the memory needs a tenant")
    return tenant_id
