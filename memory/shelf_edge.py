"""The index in the data folder, for a laptop and for tests: Qdrant's engine in a process of its own.

The server, a worker and a command in a terminal all ask that one process (memory/edge_process.py): whoever needs it
first starts it, the last that leaves stops it, as with the embedded PostgreSQL (core/processes.py). One that was killed
is started again by the next question.
"""

import asyncio
import contextlib
import json
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from core.errors import MutiraoError, Unavailable
from core.processes import Attached, SharedServer, Started, detached
from memory.edge_process import packed, packed_floats, read, unpacked_floats
from memory.shelf import Hit, Point, Shape, ShelfInfo, Vector, Where, Words

_ROOT = Path(__file__).parents[1]
_LONGEST_SOCKET_PATH = 103  # unix(7): 104 bytes on macOS, 108 on Linux, with the closing NUL


class EdgeShelves:
    """The engine on `folder`, which is made when it is first needed."""

    place = "embedded"

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        self._engine = Attached(engine(self._folder))
        self._connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._asking = asyncio.Lock()

    async def ready(self) -> None:
        if self._connection is None:
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
        found = await self._do("vectors", name=name, tenant_id=_tenant(tenant_id), ids=list(ids))
        return {point: unpacked_floats(vector) for point, vector in found.items()}

    async def ids(self, name: str, tenant_id: str) -> set[str]:
        return set(await self._do("ids", name=name, tenant_id=_tenant(tenant_id)))

    async def count(self, name: str, tenant_id: str | None) -> int:
        return int(await self._do("count", name=name, tenant_id=None if tenant_id is None else _tenant(tenant_id)))

    async def info(self, names: Sequence[str]) -> ShelfInfo:
        points = {name: await self.count(name, None) for name in names if await self.look(name) is not None}
        return ShelfInfo("qdrant-edge", metadata.version("qdrant-edge-py"), points)

    async def close(self) -> None:
        async with self._asking:
            self._hang_up()
            await self._engine.leave()

    # --- asking -------------------------------------------------------------------------------

    async def _do(self, what: str, **arguments: Any) -> Any:
        message = packed({"do": what, "with": arguments})
        async with self._asking:
            try:
                answer = await self._ask(message)
            except (OSError, EOFError):
                # The engine was killed. Every question may be asked twice: it says what shall be, not what to add.
                try:
                    await self._engine.leave()
                    answer = await self._ask(message)
                except (OSError, EOFError) as error:
                    raise _away(f"{type(error).__name__}: {error}") from None
        if "away" in answer:
            raise _away(answer["away"])
        return answer["answer"]

    async def _ask(self, message: bytes) -> Any:
        path = await self._socket()
        answered = False
        try:
            if self._connection is None:
                self._connection = await asyncio.open_unix_connection(path)
            reader, writer = self._connection
            writer.write(message)
            await writer.drain()
            answer = await read(reader)
            answered = True
        finally:
            if not answered:  # given up in the middle: what comes next on it would answer another question
                self._hang_up()
        return answer

    async def _socket(self) -> str:
        """Where the engine listens, once it does."""
        try:
            return str((await self._engine.details())["socket"])
        except MutiraoError as error:
            raise _away(str(error)) from None

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection[1].close()
            self._connection = None


def engine(folder: Path) -> SharedServer:
    """The engine's process of a data folder. `acquire()` gives {"socket"}."""
    log = folder / "engine.log"

    def start() -> Started:
        folder.chmod(0o700)
        path = str(folder / "engine.sock")
        if len(os.fsencode(path)) > _LONGEST_SOCKET_PATH:
            path = tempfile.mkdtemp(prefix="mutirao-memory-") + "/engine.sock"  # in a folder that only we can enter
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        command = [sys.executable, "-m", "memory.edge_process", "--folder", str(folder), "--socket", path]
        process = detached(command, log=log, cwd=_ROOT)
        return Started(process.pid, {"socket": path}, process)

    def answers(details: dict[str, Any]) -> bool:
        with contextlib.suppress(OSError, ValueError), socket.socket(socket.AF_UNIX) as asking:
            asking.settimeout(5.0)
            asking.connect(details["socket"])
            asking.sendall(packed({"do": "ready", "with": {}}))
            with asking.makefile("rb") as reader:
                return "answer" in json.loads(reader.read(int.from_bytes(reader.read(4), "big")))
        return False

    def died(details: dict[str, Any]) -> None:
        path = Path(details["socket"])
        path.unlink(missing_ok=True)
        if path.parent != folder:
            shutil.rmtree(path.parent, ignore_errors=True)

    return SharedServer(folder, "memory index", start, answers, died=died, log=log)


def _told(vector: Vector) -> Any:
    return {"i": vector.indices, "v": vector.values} if isinstance(vector, Words) else packed_floats(vector)


def _tenant(tenant_id: str) -> str:
    if not tenant_id or not isinstance(tenant_id, str):
        raise ValueError("a question to the memory needs a tenant")
    return tenant_id


def _away(reason: str) -> Unavailable:
    return Unavailable("memory_index_away", reason, engine="qdrant-edge", reason=reason[:200])
