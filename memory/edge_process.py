"""The process that owns an embedded index: Qdrant's engine (`qdrant_edge`) behind a socket that only our user can open.

A process of its own because the engine holds Python's lock for as long as it works (measured, qdrant-edge-py 0.9.0:
0.1 s for a batch or a flush to a busy disk, 11 s for `optimize`, which is therefore never called: searching 10,000
items without it takes 2 ms). Inside the server, every one of those would stop every conversation.

One question at a time, as JSON with its length in front. Run: `python -m memory.edge_process --folder F --socket S`.
"""

import argparse
import asyncio
import base64
import json
import os
import shutil
import signal
import sys
from array import array
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from memory.shelf import VECTOR

LONGEST_MESSAGE = 64 * 1024 * 1024  # bytes; a batch of 64 meanings of 3,072 numbers is 1 MB
_PAGE = 10_000  # points listed at once


class Engine:
    """The shelves, one folder each. What comes in and goes out is plain JSON."""

    def __init__(self, folder: Path) -> None:
        import qdrant_edge

        self._edge = qdrant_edge
        self._folder = folder
        self._shards: dict[str, Any] = {}
        self._questions: dict[str, Callable[..., Any]] = {
            "ready": self._ready,
            "look": self._look,
            "make": self._make,
            "drop": self._drop,
            "put": self._put,
            "settle": self._settle,
            "remove": self._remove,
            "nearest": self._nearest,
            "vectors": self._vectors,
            "ids": self._ids,
            "count": self._count,
        }

    def answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        """{"answer": …} to {"do": name, "with": arguments}, or {"away": why not}."""
        try:
            return {"answer": self._questions[asked["do"]](**asked["with"])}
        except Exception as error:  # the library raises Exception itself
            return {"away": f"{type(error).__name__}: {error}"}

    def close(self) -> None:
        for shard in self._shards.values():
            shard.close()
        self._shards = {}

    def _ready(self) -> bool:
        return True

    def _look(self, name: str) -> dict[str, Any] | None:
        if self._shard(name, missing_ok=True) is None:
            return None
        described: dict[str, Any] = json.loads((self._path(name) / "shape.json").read_text())
        return described

    def _make(self, name: str, size: int | None) -> None:
        edge = self._edge
        self._drop(name)
        path = self._path(name)
        path.mkdir(parents=True)
        if size is None:
            words = edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)
            config = edge.EdgeConfig(sparse_vectors={VECTOR: words})
        else:
            meanings = edge.EdgeVectorParams(size=size, distance=edge.Distance.Cosine)
            config = edge.EdgeConfig(vectors={VECTOR: meanings})
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

    def _drop(self, name: str) -> None:
        shard = self._shards.pop(name, None)
        if shard is not None:
            shard.close()
        shutil.rmtree(self._path(name), ignore_errors=True)

    def _put(self, name: str, tenant_id: str, points: list[Any]) -> None:
        edge = self._edge
        made = [
            edge.Point(point, {VECTOR: self._vector(vector)}, {"tenant": tenant_id, "about": about, "tags": tags})
            for point, vector, about, tags in points
        ]
        self._shard(name).update(edge.UpdateOperation.upsert_points(made))

    def _settle(self, name: str) -> None:
        self._shard(name).flush()

    def _remove(self, name: str, tenant_id: str, ids: list[str] | None) -> None:
        edge = self._edge
        conditions = [self._is("tenant", tenant_id)]
        if ids is not None:
            conditions.append(edge.HasIdCondition(set(ids)))
        shard = self._shard(name)
        shard.update(edge.UpdateOperation.delete_points_by_filter(edge.Filter(must=conditions)))
        shard.flush()

    def _nearest(
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

    def _vectors(self, name: str, tenant_id: str, ids: list[str]) -> dict[str, str]:
        edge = self._edge
        wanted = edge.Filter(must=[self._is("tenant", tenant_id), edge.HasIdCondition(set(ids))])
        request = edge.ScrollRequest(limit=max(len(ids), 1), filter=wanted, with_vector=True, with_payload=False)
        records, _ = self._shard(name).scroll(request)
        return {str(record.id): packed_floats(record.vector[VECTOR]) for record in records}

    def _ids(self, name: str, tenant_id: str) -> list[str]:
        edge = self._edge
        wanted = edge.Filter(must=[self._is("tenant", tenant_id)])
        found: list[str] = []
        after = None
        while True:
            request = edge.ScrollRequest(
                offset=after, limit=_PAGE, filter=wanted, with_vector=False, with_payload=False
            )
            records, after = self._shard(name).scroll(request)
            found += [str(record.id) for record in records]
            if after is None:
                return found

    def _count(self, name: str, tenant_id: str | None) -> int:
        mine = None if tenant_id is None else self._edge.Filter(must=[self._is("tenant", tenant_id)])
        return int(self._shard(name).count(self._edge.CountRequest(exact=True, filter=mine)))

    def _shard(self, name: str, *, missing_ok: bool = False) -> Any:
        """An open shelf. One that cannot be opened (a power cut, a full disk) is as good as none."""
        if name in self._shards:
            return self._shards[name]
        path = self._path(name)
        if (path / "shape.json").exists():
            try:
                self._shards[name] = self._edge.EdgeShard.load(str(path / "shard"))
                return self._shards[name]
            except Exception as error:
                sys.stderr.write(f"shelf {name} cannot be opened: {error}\n")
        if missing_ok:
            return None
        raise LookupError(f"no shelf {name}")

    def _path(self, name: str) -> Path:
        if not name.replace("_", "").replace("-", "").isalnum():
            raise ValueError(f"no name of a shelf: {name!r}")
        return self._folder / "shelves" / name

    def _vector(self, told: Any) -> Any:
        return self._edge.SparseVector(told["i"], told["v"]) if isinstance(told, dict) else unpacked_floats(told)

    def _is(self, key: str, value: str) -> Any:
        return self._edge.FieldCondition(key, match=self._edge.MatchValue(value))


# --- the wire -------------------------------------------------------------------------------------


def packed_floats(vector: Sequence[float]) -> str:
    """A dense vector as text: as a list in JSON a batch of them would take 50 times as long."""
    return base64.b64encode(array("f", vector).tobytes()).decode()


def unpacked_floats(text: str) -> list[float]:
    """The vector of such a text, in the engine's own precision."""
    numbers = array("f")
    numbers.frombytes(base64.b64decode(text))
    return numbers.tolist()


def packed(message: Any) -> bytes:
    """A message as it goes over the socket: four bytes of length, then JSON."""
    data = json.dumps(message, separators=(",", ":")).encode()
    return len(data).to_bytes(4, "big") + data


async def read(reader: asyncio.StreamReader) -> Any:
    """The next message. EOFError at the end, or for one that is too long to be ours."""
    length = int.from_bytes(await reader.readexactly(4), "big")
    if length > LONGEST_MESSAGE:
        raise EOFError(f"a message of {length} bytes")
    return json.loads(await reader.readexactly(length))


async def _serve(folder: Path, path: str) -> None:
    engine = Engine(folder)
    stop = asyncio.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sign, stop.set)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                writer.write(packed(engine.answer(await read(reader))))
                await writer.drain()
        except (OSError, EOFError, ValueError):
            writer.close()  # whoever asked has left

    os.umask(0o077)
    await asyncio.start_unix_server(talk, path)
    await stop.wait()
    engine.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="mutirao memory")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--socket", required=True)
    asked = parser.parse_args()
    asyncio.run(_serve(asked.folder, asked.socket))


if __name__ == "__main__":
    main()
