"""The index in the data folder: Qdrant's engine inside our own process (`qdrant_edge`), for a laptop and for tests.

A folder of vectors bears one process at a time. Whichever of ours needs it first becomes its owner and answers the
others over a socket in that folder, which only the same user can open. When it leaves or is killed, the lock is free
(locks end with their process) and the next one that asks becomes the owner. So the server, a worker and a command in a
terminal work on one index, and none of them has to be there.
"""

import asyncio
import contextlib
import fcntl
import json
import os
import shutil
import tempfile
import threading
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import IO, Any

import structlog

from core.errors import Unavailable
from core.processes import unwritable
from memory.shelf import VECTOR, Hit, Point, Shape, ShelfInfo, Vector, Where, Words

log = structlog.get_logger(__name__)

_LONGEST_SOCKET_PATH = 103  # unix(7): 104 bytes on macOS, 108 on Linux, with the closing NUL
_LONGEST_MESSAGE = 64 * 1024 * 1024  # bytes; a batch of 256 meanings of 3,072 numbers is 10 MB
_HANDOVER = 1.0  # seconds in which a new owner must be found
_QUESTIONS = {
    "ready",
    "look",
    "make",
    "drop",
    "put",
    "settle",
    "remove",
    "nearest",
    "vectors",
    "ids",
    "count",
}
_PAGE = 10_000  # points listed at once
_UNSORTED = 5_000  # points added to a shelf after which it is put in order; up to there searching all is as fast


class EdgeShelves:
    """The engine in `folder` (made if missing), owned by this process or reached through the one that owns it."""

    place = "embedded"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._owner: _Owner | None = None
        self._lock: IO[str] | None = None
        self._server: asyncio.Server | None = None
        self._guests: set[asyncio.StreamWriter] = set()
        self._becoming = asyncio.Lock()
        self._guest: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._asking = asyncio.Lock()

    async def ready(self) -> None:
        if self._owner is None and self._guest is None:
            await self._do("ready")

    async def look(self, name: str) -> Shape | None:
        found = await self._do("look", name=name)
        return None if found is None else Shape(found["size"])

    async def make(self, name: str, size: int | None) -> None:
        await self._do("make", name=name, size=size)

    async def drop(self, name: str) -> None:
        await self._do("drop", name=name)

    async def put(self, name: str, tenant_id: str, points: Sequence[Point]) -> None:
        plain = [[point.id, _told(point.vector), point.about, list(point.tags)] for point in points]
        await self._do("put", name=name, tenant_id=_tenant(tenant_id), points=plain)

    async def settle(self, name: str) -> None:
        await self._do("settle", name=name)

    async def remove(self, name: str, tenant_id: str, ids: Sequence[str] | None) -> None:
        some = None if ids is None else list(ids)
        await self._do("remove", name=name, tenant_id=_tenant(tenant_id), ids=some)

    async def nearest(
        self, name: str, tenant_id: str, vectors: Sequence[Vector], limit: int, where: Where
    ) -> list[list[Hit]]:
        found = await self._do(
            "nearest",
            name=name,
            tenant_id=_tenant(tenant_id),
            vectors=[_told(vector) for vector in vectors],
            limit=limit,
            about=list(where.about),
            tags=list(where.tags),
            without=list(where.without),
        )
        return [[Hit(point, score) for point, score in hits] for hits in found]

    async def vectors(self, name: str, tenant_id: str, ids: Sequence[str]) -> dict[str, Any]:
        found: dict[str, Any] = await self._do("vectors", name=name, tenant_id=_tenant(tenant_id), ids=list(ids))
        return found

    async def ids(self, name: str, tenant_id: str) -> set[str]:
        return set(await self._do("ids", name=name, tenant_id=_tenant(tenant_id)))

    async def count(self, name: str, tenant_id: str | None) -> int:
        return int(await self._do("count", name=name, tenant_id=None if tenant_id is None else _tenant(tenant_id)))

    async def info(self, names: Sequence[str]) -> ShelfInfo:
        points = {name: await self.count(name, None) for name in names if await self.look(name) is not None}
        role = "owner" if self._owner is not None else "guest"
        return ShelfInfo("qdrant-edge", metadata.version("qdrant-edge-py"), role, points)

    async def close(self) -> None:
        """Leave. An owner finishes what it does, and the folder is free for another."""
        self._leave_owner()
        async with self._becoming:
            if self._server is not None:
                self._server.close()
                self._server = None
                (self._folder / "owner.json").unlink(missing_ok=True)
            if self._owner is not None:
                await asyncio.to_thread(self._owner.close)
                self._owner = None
            for writer in list(self._guests):
                writer.close()
            if self._lock is not None:
                self._lock.close()  # and with it the lock
                self._lock = None

    # --- owner or guest -----------------------------------------------------------------------

    async def _do(self, what: str, **arguments: Any) -> Any:
        until = asyncio.get_running_loop().time() + _HANDOVER
        while True:
            owner = self._owner or await self._become()
            try:
                if owner is not None:
                    return await asyncio.to_thread(owner.do, what, arguments)
                return await self._ask(what, arguments)
            except (OSError, EOFError) as error:  # nobody there: the owner left, or is not ready yet
                self._leave_owner()
                if owner is not None or asyncio.get_running_loop().time() > until:
                    raise _away(error) from None
                await asyncio.sleep(0.02)

    async def _become(self) -> "_Owner | None":
        """The owner, if the folder is free; None when another process has it."""
        async with self._becoming:
            if self._owner is not None:
                return self._owner
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
                self._folder.chmod(0o700)
                lock = (self._folder / "owner.lock").open("a+")
            except OSError as error:
                raise _away(unwritable(self._folder, error)) from None
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                lock.close()
                return None
            try:
                owner = await asyncio.to_thread(_Owner, self._folder)
                self._server = await self._listen(owner)
            except OSError as error:
                lock.close()
                raise _away(error) from None
            self._lock, self._owner = lock, owner
            return owner

    async def _listen(self, owner: "_Owner") -> asyncio.Server:
        path = str(self._folder.resolve() / "owner.sock")
        if len(os.fsencode(path)) > _LONGEST_SOCKET_PATH:
            path = tempfile.mkdtemp(prefix="mutirao-") + "/owner.sock"  # a folder that only we can enter
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self._guests.add(writer)
            try:
                while True:
                    asked = json.loads(await _read(reader))
                    try:
                        answer = {"answer": await asyncio.to_thread(owner.do, asked["do"], asked["with"])}
                    except Unavailable as error:
                        answer = {"away": str(error)}
                    await _write(writer, answer)
            except (OSError, EOFError):
                pass  # the guest left, or we do
            finally:
                self._guests.discard(writer)
                writer.close()

        server = await asyncio.start_unix_server(serve, path)
        os.chmod(path, 0o600)
        fresh = self._folder / "owner.json.new"
        fresh.write_text(json.dumps({"socket": path, "pid": os.getpid()}))
        fresh.replace(self._folder / "owner.json")
        return server

    async def _ask(self, what: str, arguments: dict[str, Any]) -> Any:
        async with self._asking:
            if self._guest is None:
                try:
                    path = json.loads((self._folder / "owner.json").read_text())["socket"]
                except ValueError as error:
                    raise EOFError(str(error)) from None
                self._guest = await asyncio.open_unix_connection(path)
            reader, writer = self._guest
            whole = False
            try:
                await _write(writer, {"do": what, "with": arguments})
                answer = json.loads(await _read(reader))
                whole = True
            finally:
                if not whole:  # given up in the middle: what comes next on it would answer another question
                    self._leave_owner()
        if "away" in answer:
            raise _away(answer["away"])
        return answer["answer"]

    def _leave_owner(self) -> None:
        if self._guest is not None:
            self._guest[1].close()
            self._guest = None


class _Owner:
    """The shelves themselves, one folder each. Searching may be done by several threads at once, changing by one."""

    def __init__(self, folder: Path) -> None:
        import qdrant_edge

        self._edge = qdrant_edge
        self._folder = folder
        self._shards: dict[str, Any] = {}
        self._changing = threading.RLock()
        self._added: dict[str, int] = {}
        self._tidying: dict[str, threading.Thread] = {}
        self._closed = False

    def do(self, what: str, arguments: dict[str, Any]) -> Any:
        """One question or change, by name; what comes in and out is plain JSON. EOFError when it is closed."""
        if self._closed:
            raise EOFError("the owner has left")
        if what not in _QUESTIONS:
            raise _away(f"no such question: {what}")
        try:
            return getattr(self, what)(**arguments)
        except (Unavailable, OSError, EOFError):
            raise
        except Exception as error:  # the library raises Exception itself
            raise _away(error) from None

    def close(self) -> None:
        self._closed = True
        with self._changing:
            for thread in list(self._tidying.values()):
                thread.join()
            for shard in self._shards.values():
                shard.close()
            self._shards = {}

    def ready(self) -> None:
        """Nothing: whoever can ask has found the owner."""

    def look(self, name: str) -> dict[str, Any] | None:
        with self._changing:
            if self._shard(name, missing_ok=True) is None:
                return None
            described: dict[str, Any] = json.loads((self._path(name) / "shape.json").read_text())
            return described

    def make(self, name: str, size: int | None) -> None:
        edge = self._edge
        with self._changing:
            self.drop(name)
            path = self._path(name)
            path.mkdir(parents=True)
            if size is None:
                config = edge.EdgeConfig(
                    sparse_vectors={VECTOR: edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)}
                )
            else:
                config = edge.EdgeConfig(
                    vectors={VECTOR: edge.EdgeVectorParams(size=size, distance=edge.Distance.Cosine)}
                )
            shard = edge.EdgeShard.create(str(path / "shard"), config)
            for key, params in (
                ("tenant", edge.KeywordIndexParams(is_tenant=True)),
                ("about", edge.PayloadSchemaType.Keyword),
                ("tags", edge.PayloadSchemaType.Keyword),
            ):
                shard.update(edge.UpdateOperation.create_field_index(key, params))
            shard.flush()
            self._shards[name] = shard
            (path / "shape.json").write_text(json.dumps({"size": size}))  # last: without it there is no shelf

    def drop(self, name: str) -> None:
        with self._changing:
            if name in self._tidying:
                self._tidying[name].join()
            shard = self._shards.pop(name, None)
            if shard is not None:
                shard.close()
            shutil.rmtree(self._path(name), ignore_errors=True)

    def put(self, name: str, tenant_id: str, points: list[Any]) -> None:
        edge = self._edge
        made = [
            edge.Point(point, {VECTOR: self._vector(vector)}, {"tenant": tenant_id, "about": about, "tags": tags})
            for point, vector, about, tags in points
        ]
        with self._changing:
            shard = self._shard(name)
            shard.update(edge.UpdateOperation.upsert_points(made))
            self._added[name] = self._added.get(name, 0) + len(made)
            if self._added[name] >= _UNSORTED and name not in self._tidying:
                self._added[name] = 0
                thread = threading.Thread(target=self._tidy, args=(name, shard), name=f"tidy {name}")
                self._tidying[name] = thread
                thread.start()

    def settle(self, name: str) -> None:
        self._shard(name).flush()

    def _tidy(self, name: str, shard: Any) -> None:
        """Build the graph that makes searching fast. Others search and write meanwhile (measured: nobody waits)."""
        try:
            shard.optimize()
        except Exception as error:
            log.warning("memory_index_untidy", shelf=name, reason=str(error))
        finally:
            self._tidying.pop(name, None)

    def remove(self, name: str, tenant_id: str, ids: list[str] | None) -> None:
        edge = self._edge
        with self._changing:
            shard = self._shard(name)
            conditions = [self._is("tenant", tenant_id)]
            if ids is not None:
                conditions.append(edge.HasIdCondition(set(ids)))
            shard.update(edge.UpdateOperation.delete_points_by_filter(edge.Filter(must=conditions)))
            shard.flush()

    def nearest(
        self,
        name: str,
        tenant_id: str,
        vectors: list[Any],
        limit: int,
        about: list[str],
        tags: list[str],
        without: list[str],
    ) -> list[list[tuple[str, float]]]:
        edge = self._edge
        mine = self._is("tenant", tenant_id)
        must = [mine, *(self._is("tags", tag) for tag in tags)]
        if about:
            must.append(edge.FieldCondition("about", match=edge.MatchAny(about)))
        wanted = edge.Filter(must=must, must_not=[edge.HasIdCondition(set(without))] if without else None)
        idf = edge.SearchParams(idf=edge.IdfParams(corpus=edge.Filter(must=[mine])))
        requests = [
            edge.QueryRequest(
                limit=limit,
                query=edge.Query.Nearest(self._vector(vector), using=VECTOR),
                filter=wanted,
                params=idf if isinstance(vector, dict) else None,
            )
            for vector in vectors
        ]
        found = self._shard(name).query_batch(edge.QueryBatchRequest(requests))
        return [[(str(point.id), point.score) for point in hits] for hits in found]

    def vectors(self, name: str, tenant_id: str, ids: list[str]) -> dict[str, list[float]]:
        edge = self._edge
        wanted = edge.Filter(must=[self._is("tenant", tenant_id), edge.HasIdCondition(set(ids))])
        request = edge.ScrollRequest(limit=max(len(ids), 1), filter=wanted, with_vector=True, with_payload=False)
        records, _ = self._shard(name).scroll(request)
        return {str(record.id): list(record.vector[VECTOR]) for record in records}

    def ids(self, name: str, tenant_id: str) -> list[str]:
        wanted = self._edge.Filter(must=[self._is("tenant", tenant_id)])
        found: list[str] = []
        after = None
        while True:
            request = self._edge.ScrollRequest(
                offset=after, limit=_PAGE, filter=wanted, with_vector=False, with_payload=False
            )
            records, after = self._shard(name).scroll(request)
            found += [str(record.id) for record in records]
            if after is None:
                return found

    def count(self, name: str, tenant_id: str | None) -> int:
        mine = None if tenant_id is None else self._edge.Filter(must=[self._is("tenant", tenant_id)])
        return int(self._shard(name).count(self._edge.CountRequest(exact=True, filter=mine)))

    def _shard(self, name: str, *, missing_ok: bool = False) -> Any:
        """An open shelf. One that cannot be opened (a power cut, a full disk) is as good as none: it is put aside by
        whoever makes it anew."""
        if (shard := self._shards.get(name)) is not None:  # without the lock: searching waits for no change
            return shard
        with self._changing:
            if self._closed:
                raise EOFError("the owner has left")
            if name in self._shards:
                return self._shards[name]
            path = self._path(name)
            if (path / "shape.json").exists():
                try:
                    self._shards[name] = self._edge.EdgeShard.load(str(path / "shard"))
                    return self._shards[name]
                except Exception as error:
                    log.warning("memory_index_broken", shelf=name, reason=str(error))
            if missing_ok:
                return None
            raise _away(f"no shelf {name}")

    def _path(self, name: str) -> Path:
        if not name.replace("_", "").replace("-", "").isalnum():
            raise ValueError(f"no name of a shelf: {name!r}")
        return self._folder / "shelves" / name

    def _vector(self, told: Any) -> Any:
        return self._edge.SparseVector(told["i"], told["v"]) if isinstance(told, dict) else told

    def _is(self, key: str, value: str) -> Any:
        return self._edge.FieldCondition(key, match=self._edge.MatchValue(value))


# --- the wire between guest and owner -------------------------------------------------------------


async def _write(writer: asyncio.StreamWriter, message: Any) -> None:
    data = json.dumps(message, separators=(",", ":")).encode()
    writer.write(len(data).to_bytes(4, "big") + data)
    await writer.drain()


async def _read(reader: asyncio.StreamReader) -> bytes:
    length = int.from_bytes(await reader.readexactly(4), "big")
    if length > _LONGEST_MESSAGE:
        raise EOFError(f"a message of {length} bytes")
    return await reader.readexactly(length)


def _told(vector: Vector) -> Any:
    return {"i": vector.indices, "v": vector.values} if isinstance(vector, Words) else vector


def _tenant(tenant_id: str) -> str:
    if not tenant_id or not isinstance(tenant_id, str):
        raise ValueError("a question to the memory needs a tenant")
    return tenant_id


def _away(error: Exception | str) -> Unavailable:
    reason = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
    return Unavailable("memory_index_away", reason, engine="qdrant-edge", reason=reason[:200])
