"""Files that people bring or get, kept in PostgreSQL under their tenant in pieces of 1 MB, handled as streams."""

import hashlib
import os
import tempfile
import unicodedata
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import anyio

from core.db import Database, fetch_one
from core.errors import ArgumentsWrong, Refused
from core.ids import new_id
from core.tenancy import Identity

CHUNK = 1_048_576  # bytes
_LONGEST_NAME = 200  # characters


@dataclass(frozen=True)
class StoredFile:
    """What is known of a file. `size` in bytes, `sha256` in hex, `created_by` a user id."""

    id: str
    tenant_id: str
    name: str
    mime: str
    size: int
    sha256: str
    created_by: str
    created_at: datetime


class Files:
    """The files of all tenants; each call sees one tenant's."""

    def __init__(self, db: Database, *, max_mb: int = 50) -> None:
        self._db = db
        self._max_mb = max_mb

    async def store(
        self,
        identity: Identity,
        content: AsyncIterable[bytes] | bytes,
        *,
        name: str,
        mime: str,
        max_mb: int | None = None,
    ) -> StoredFile:
        """Keep a file whole or not at all; memory stays at a few MB however large it is. `max_mb` overrules the limit.

        ArgumentsWrong: file_empty (name), file_too_large (name, limit_mb).
        """
        name = clean_name(name)
        most = max_mb or self._max_mb
        file_id = new_id("file")
        digest = hashlib.sha256()
        size = n = 0
        async with self._db.tenant(identity.tenant_id) as conn:
            async for piece in _pieces(content):
                size += len(piece)
                if size > most * 1_048_576:
                    raise ArgumentsWrong("file_too_large", f"{name} has more than {most} MB", name=name, limit_mb=most)
                digest.update(piece)
                await conn.execute(
                    "INSERT INTO file_chunks (tenant_id, file_id, n, data) VALUES (%s, %s, %s, %s)",
                    [identity.tenant_id, file_id, n, piece],
                )
                n += 1
            if size == 0:
                raise ArgumentsWrong("file_empty", f"{name} is empty", name=name)
            await conn.execute(
                "INSERT INTO files (id, tenant_id, name, mime, size, sha256, created_by)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s)",
                [file_id, identity.tenant_id, name, mime, size, digest.hexdigest(), identity.user_id],
            )
        return await self.info(identity.tenant_id, file_id)

    async def store_path(
        self, identity: Identity, path: Path, *, name: str | None = None, mime: str, max_mb: int | None = None
    ) -> StoredFile:
        """Keep a file of this machine; like `store`. ArgumentsWrong("file_unreadable", name) when it cannot be read."""
        name = clean_name(name or path.name)
        try:
            async with await anyio.open_file(path, "rb") as file:

                async def content() -> AsyncIterator[bytes]:
                    while piece := await file.read(CHUNK):
                        yield piece

                return await self.store(identity, content(), name=name, mime=mime, max_mb=max_mb)
        except OSError as error:
            raise ArgumentsWrong("file_unreadable", f"{path}: {error.strerror}", name=name) from None

    async def info(self, tenant_id: str, file_id: str) -> StoredFile:
        """Refused("file_gone") when the tenant has no such file."""
        async with self._db.tenant(tenant_id) as conn:
            row = await fetch_one(conn, "SELECT * FROM files WHERE id = %s", [file_id])
        if row is None:
            raise Refused("file_gone", f"no file {file_id}")
        return StoredFile(**row)

    async def stream(
        self, tenant_id: str, file_id: str, start: int = 0, stop: int | None = None
    ) -> AsyncIterator[bytes]:
        """The content in pieces of up to 1 MB, from byte `start` to before byte `stop` (None: the end). Holds no
        transaction while its reader works. Refused("file_gone")."""
        size = (await self.info(tenant_id, file_id)).size
        stop = size if stop is None else min(stop, size)
        for n in range(start // CHUNK, (stop + CHUNK - 1) // CHUNK):
            async with self._db.tenant(tenant_id) as conn:
                query = "SELECT data FROM file_chunks WHERE file_id = %s AND n = %s"
                row = await (await conn.execute(query, [file_id, n], binary=True)).fetchone()
            if row is None:
                raise Refused("file_gone", f"file {file_id} was deleted while it was read")
            yield row["data"][max(start - n * CHUNK, 0) : stop - n * CHUNK]

    async def read(self, tenant_id: str, file_id: str) -> bytes:
        """The whole content at once, for small files."""
        return b"".join([piece async for piece in self.stream(tenant_id, file_id)])

    async def copy_to(self, tenant_id: str, file_id: str, path: Path) -> None:
        """Write the content to a file of this machine, for readers that need to seek; complete or not there."""
        handle, fresh = tempfile.mkstemp(dir=path.parent, prefix=path.name)
        try:
            with os.fdopen(handle, "wb") as file:
                async for piece in self.stream(tenant_id, file_id):
                    await anyio.to_thread.run_sync(file.write, piece)
            Path(fresh).replace(path)
        except BaseException:
            Path(fresh).unlink(missing_ok=True)
            raise

    async def delete(self, tenant_id: str, file_id: str) -> None:
        """Remove a file and its content; nothing happens when it is not there."""
        async with self._db.tenant(tenant_id) as conn:
            await conn.execute("DELETE FROM files WHERE id = %s", [file_id])


def clean_name(name: str) -> str:
    """A file's name as people may see it again: no folders, no control characters, at most 200 characters."""
    name = name.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    name = unicodedata.normalize("NFC", name).replace("\\", "/").rpartition("/")[2]
    name = "".join(c for c in name if unicodedata.category(c)[0] != "C").strip(" .")
    stem, dot, suffix = name.rpartition(".")
    if len(name) > _LONGEST_NAME:
        name = stem[: _LONGEST_NAME - len(suffix) - 1] + dot + suffix if len(suffix) < 20 else name[:_LONGEST_NAME]
    return name or "file"


async def _pieces(content: AsyncIterable[bytes] | bytes) -> AsyncIterator[bytes]:
    """The content cut anew into pieces of exactly CHUNK bytes, the last one shorter."""
    if isinstance(content, bytes):
        for start in range(0, len(content), CHUNK):
            yield content[start : start + CHUNK]
        return
    rest = bytearray()
    async for part in content:
        rest += part
        while len(rest) >= CHUNK:
            yield bytes(rest[:CHUNK])
            del rest[:CHUNK]
    if rest:
        yield bytes(rest)
