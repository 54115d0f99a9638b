"""How the index follows the rows: what is waiting is put in, what was deleted is taken out, what is lost is found.

Each row has a version, and says which version of it the index of words and that of meanings hold. Whatever differs is
the queue. A shelf that is made anew gets a new birth; rows that speak of an older one are all waiting again.
"""

import asyncio
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

import structlog

from core.clock import Clock
from core.db import Database, fetch_all, fetch_one
from core.errors import Unavailable
from core.ids import new_id
from memory import words
from memory.embeddings import Embedding
from memory.shelf import KINDS, Kind, Lack, Point, Shape, Shelves, Vector

log = structlog.get_logger(__name__)
_T = TypeVar("_T")

_PATIENCE = 60.0  # seconds for one batch
_IN_LINE = 5.0  # seconds that a call waits for another that brings the same collection into the index
_BATCH = 64  # items put into the index at once; wording a request of more would hold up the loop
_ROUND = 2_048  # items after which the rows are told
_COUNTED_EVERY = timedelta(minutes=10)
_UNUSED = timedelta(days=1)  # after which the shelf of a former model is thrown away


@dataclass(frozen=True)
class Progress:
    """What was done. `waiting` changes could not be brought into the index yet, because of `lacking`."""

    indexed: int = 0
    """Into the words and into the meanings, each counted."""
    removed: int = 0
    waiting: int = 0
    lacking: tuple[Lack, ...] = ()

    def __add__(self, other: "Progress") -> "Progress":
        return Progress(
            self.indexed + other.indexed,
            self.removed + other.removed,
            self.waiting + other.waiting,
            tuple(dict.fromkeys([*self.lacking, *other.lacking])),
        )


@dataclass(frozen=True)
class Standing:
    """Over all tenants: items, those that wait for the index, and the names of the shelves that hold them."""

    items: int
    waiting: int
    shelves: list[str]


@dataclass(frozen=True)
class Shelf:
    """A shelf as the database knows it. `whole`: everything of the tenant has been in it."""

    name: str
    kind: Kind
    born: str
    whole: bool = False


class Index:
    """Brings shelves to what the rows say. The words behind the methods are in `LongTermMemory`."""

    def __init__(self, db: Database, clock: Clock, shelves: Shelves, embedding: Embedding, prefix: str) -> None:
        self._db = db
        self._clock = clock
        self._shelves = shelves
        self._embedding = embedding
        self._prefix = prefix
        self._counted: dict[tuple[str, str], datetime] = {}  # by tenant and shelf, when its points were counted

    def name(self, collection: str, kind: Kind) -> str:
        """The shelf of a collection: for meanings it carries model and size, so that another model has another one."""
        make = words.MAKE if kind == "words" else f"{self._embedding.name}-{self._embedding.size}"
        return f"{self._prefix}_{collection}_{make}"

    async def catch_up(self, tenant_id: str | None) -> Progress:
        shelves: dict[str, Shelf] = {}  # those that were looked at in this round, by name
        if tenant_id is not None:
            return await self._tenant(tenant_id, shelves)
        done = Progress()
        for tenant in await self._tenants():
            done += await self._tenant(tenant, shelves)
        await self._throw_away_unused()
        return done

    async def _tenant(self, tenant_id: str, shelves: dict[str, Shelf]) -> Progress:
        done = Progress()
        for collection in await self._collections(tenant_id):
            try:
                async with self._db.lock(f"memory {tenant_id} {collection}", timeout=_IN_LINE):
                    done += await self._catch_up(tenant_id, collection, shelves)
            except Unavailable as error:
                if error.code != "busy":
                    raise
                # Somebody else is at it, and will come to ours.
                done += Progress(waiting=await self._waiting(tenant_id, collection))
        return done

    async def rebuild(self, collection: str | None) -> Progress:
        async with self._db.system() as conn:
            query = "SELECT name FROM memory_shelves WHERE %s::text IS NULL OR collection = %s"
            names = [row["name"] for row in await fetch_all(conn, query, [collection, collection])]
        for name in names:
            async with self._db.lock(f"memory shelf {name}"):
                try:
                    await self._work(self._shelves.drop(name))
                except Unavailable as error:
                    # It is thrown away when it is made anew, as soon as the engine answers.
                    log.warning("memory_index_away", reason=str(error))
                async with self._db.system() as conn:
                    await conn.execute("DELETE FROM memory_shelves WHERE name = %s", [name])
        return await self.catch_up(None)

    async def standing(self) -> Standing:
        items = waiting = 0
        collections: set[str] = set()
        for tenant_id in await self._tenants():
            mine = await self._collections(tenant_id)
            collections.update(mine)
            async with self._db.tenant(tenant_id) as conn:
                query = "SELECT count(*) AS items FROM memory_items WHERE tenant_id = %s"
                row = await fetch_one(conn, query, [tenant_id])
            items += row["items"] if row else 0
            for collection in mine:
                waiting += await self._waiting(tenant_id, collection)
        return Standing(items, waiting, [self.name(one, kind) for one in sorted(collections) for kind in KINDS])

    # --- one collection of one tenant ---------------------------------------------------------

    async def _catch_up(self, tenant_id: str, collection: str, looked_at: dict[str, Shelf]) -> Progress:
        """What `catch_up` does while it holds the lock. Words first: they cost nothing and are found by at once."""
        done = Progress()
        try:
            shelves = [await self._shelf(collection, kind, looked_at) for kind in KINDS]
            done += await self._take_out(tenant_id, collection, shelves)
            for shelf in shelves:
                done += await self._put_in(tenant_id, collection, shelf)
        except Unavailable as error:
            if error.code not in ("memory_index_away", "embedding_away"):
                raise
            lack: Lack = "embedding_away" if error.code == "embedding_away" else "index_away"
            log.warning("memory_waits", collection=collection, lack=lack, reason=str(error))
            done += Progress(lacking=(lack,))
        return replace(done, waiting=await self._waiting(tenant_id, collection))

    async def _put_in(self, tenant_id: str, collection: str, shelf: Shelf) -> Progress:
        """Put what waits into a shelf, then look whether it really holds what the rows say that it does."""
        kind = shelf.kind
        async with self._db.tenant(tenant_id) as conn:
            query = f"""
                UPDATE memory_collections SET {kind}_in = %s, {kind}_whole = false
                WHERE tenant_id = %s AND collection = %s AND {kind}_in IS DISTINCT FROM %s"""
            begun = await conn.execute(query.encode(), [shelf.born, tenant_id, collection, shelf.born])
            if begun.rowcount:
                query = f"UPDATE memory_items SET {kind}_version = 0 WHERE tenant_id = %s AND collection = %s"
                await conn.execute(query.encode(), [tenant_id, collection])
        indexed = await self._put_waiting(tenant_id, collection, shelf)
        if self._to_be_counted(tenant_id, shelf, indexed) and not await self._holds_all(tenant_id, collection, shelf):
            await self._mend(tenant_id, collection, shelf)
            indexed += await self._put_waiting(tenant_id, collection, shelf)
        async with self._db.tenant(tenant_id) as conn:
            query = f"""
                UPDATE memory_collections SET {kind}_whole = true
                WHERE tenant_id = %s AND collection = %s AND {kind}_in = %s AND NOT {kind}_whole"""
            await conn.execute(query.encode(), [tenant_id, collection, shelf.born])
        return Progress(indexed=indexed)

    async def _put_waiting(self, tenant_id: str, collection: str, shelf: Shelf) -> int:
        """Everything that waits, also what begins to while it is at it. Rows are told in rounds, after the index has
        put theirs on the disk: each costs it a write that takes as long for one item as for thousands."""
        indexed = 0
        told: dict[str, int] = {}  # the version of each item that was put in
        after = ""
        while True:
            batch = await self._waiting_after(tenant_id, collection, shelf.kind, after)
            if batch:
                vectors = await self._vectors(shelf.kind, [row["text"] for row in batch])
                points = [
                    Point(row["point"], vector, row["about"] or "", row["tags"])
                    for row, vector in zip(batch, vectors, strict=True)
                ]
                await self._work(self._shelves.put(shelf.name, tenant_id, points))
                told |= {row["id"]: row["version"] for row in batch}
                after = batch[-1]["id"]
            if told and (not batch or len(told) >= _ROUND):
                await self._work(self._shelves.settle(shelf.name))
                await self._tell(tenant_id, collection, shelf.kind, told)
                indexed += len(told)
                told = {}
            if not batch:
                if not after:
                    return indexed
                after = ""

    async def _waiting_after(self, tenant_id: str, collection: str, kind: Kind, after: str) -> list[Any]:
        query = f"""
            SELECT id, point::text AS point, text, subject_kind || ':' || subject_id AS about, tags, version
            FROM memory_items WHERE tenant_id = %s AND collection = %s AND {kind}_version < version AND id > %s
            ORDER BY id LIMIT %s"""
        async with self._db.tenant(tenant_id) as conn:
            return await fetch_all(conn, query, [tenant_id, collection, after, _BATCH])

    async def _tell(self, tenant_id: str, collection: str, kind: Kind, told: dict[str, int]) -> None:
        query = f"""
            UPDATE memory_items m SET {kind}_version = g.version
            FROM unnest(%s::text[], %s::bigint[]) AS g (id, version)
            WHERE m.tenant_id = %s AND m.collection = %s AND m.id = g.id"""
        async with self._db.tenant(tenant_id) as conn:
            await conn.execute(query.encode(), [list(told), list(told.values()), tenant_id, collection])

    async def _take_out(self, tenant_id: str, collection: str, shelves: list[Shelf]) -> Progress:
        """Take out of the index what was deleted; also out of the shelves of former models that are still there."""
        select = "SELECT point::text AS point FROM memory_removals WHERE tenant_id = %s AND collection = %s LIMIT %s"
        names = None
        removed = 0
        while True:
            async with self._db.tenant(tenant_id) as conn:
                found = await fetch_all(conn, select, [tenant_id, collection, _BATCH])
            if not found:
                return Progress(removed=removed)
            points = [row["point"] for row in found]
            if names is None:
                names = [shelf.name for shelf in shelves]
                names += await self._former(collection, names)
            for name in names:
                await self._work(self._shelves.remove(name, tenant_id, points))
            async with self._db.tenant(tenant_id) as conn:
                # What was deleted and has come back meanwhile is put in again.
                for change in (
                    "UPDATE memory_items SET words_version = 0, meaning_version = 0",
                    "DELETE FROM memory_removals",
                ):
                    query = f"{change} WHERE tenant_id = %s AND collection = %s AND point = ANY(%s::uuid[])"
                    await conn.execute(query.encode(), [tenant_id, collection, points])
            removed += len(points)

    async def _former(self, collection: str, present: list[str]) -> list[str]:
        """Shelves of this collection that are there and not used any more."""
        async with self._db.system() as conn:
            query = "SELECT name FROM memory_shelves WHERE collection = %s AND place = %s AND NOT name = ANY(%s)"
            rows = await fetch_all(conn, query, [collection, self._shelves.place, present])
        return [row["name"] for row in rows if await self._work(self._shelves.look(row["name"])) is not None]

    def _to_be_counted(self, tenant_id: str, shelf: Shelf, indexed: int) -> bool:
        """Whether it is time to look: after many changes, and now and then."""
        now = self._clock.now()
        last = self._counted.get((tenant_id, shelf.born))
        if last is not None and indexed < _BATCH and now - last < _COUNTED_EVERY:
            return False
        self._counted[tenant_id, shelf.born] = now
        return True

    async def _holds_all(self, tenant_id: str, collection: str, shelf: Shelf) -> bool:
        """Whether the shelf has as many points as rows say that they are in it. It has fewer when a power cut took its
        last moments or an older copy was put in its place, more when the rows were restored from a backup."""
        query = f"""
            SELECT count(*) AS items FROM memory_items
            WHERE tenant_id = %s AND collection = %s AND {shelf.kind}_version > 0"""
        async with self._db.tenant(tenant_id) as conn:
            row = await fetch_one(conn, query, [tenant_id, collection])
            query = "SELECT count(*) AS removals FROM memory_removals WHERE tenant_id = %s AND collection = %s"
            deleted = await fetch_one(conn, query, [tenant_id, collection])
        assert row is not None and deleted is not None
        if deleted["removals"]:  # deleted since: the next round takes them out
            return True
        return row["items"] == await self._work(self._shelves.count(shelf.name, tenant_id))

    async def _mend(self, tenant_id: str, collection: str, shelf: Shelf) -> None:
        """Let rows wait whose points are missing, and take out points that no row has."""
        there = await self._work(self._shelves.ids(shelf.name, tenant_id))
        query = f"""
            UPDATE memory_items SET {shelf.kind}_version = 0 WHERE tenant_id = %s AND collection = %s
              AND {shelf.kind}_version > 0 AND NOT point = ANY(%s::uuid[])"""
        async with self._db.tenant(tenant_id) as conn:
            missing = (await conn.execute(query.encode(), [tenant_id, collection, list(there)])).rowcount
            select = "SELECT point::text AS point FROM memory_items WHERE tenant_id = %s AND collection = %s"
            rows = await fetch_all(conn, select, [tenant_id, collection])
        orphans = sorted(there - {row["point"] for row in rows})
        for start in range(0, len(orphans), _BATCH):
            await self._work(self._shelves.remove(shelf.name, tenant_id, orphans[start : start + _BATCH]))
        log.warning("memory_index_mended", shelf=shelf.name, missing=missing, orphans=len(orphans))

    async def _vectors(self, kind: Kind, texts: list[str]) -> list[Vector]:
        if kind == "words":
            await words.ready()
            return [words.of_item(text) for text in texts]
        try:
            async with asyncio.timeout(_PATIENCE):
                return [*await self._embedding.embed(texts)]
        except TimeoutError:
            raise Unavailable("embedding_away", "no answer", model=self._embedding.name, reason="no answer") from None

    # --- shelves ------------------------------------------------------------------------------

    async def _shelf(self, collection: str, kind: Kind, looked_at: dict[str, Shelf]) -> Shelf:
        """The shelf as it must be: there, of the right shape, and made for this engine."""
        name, size = self.name(collection, kind), None if kind == "words" else self._embedding.size
        if name in looked_at:
            return looked_at[name]
        born = await self._good(name, size)
        if born is None:
            async with self._db.lock(f"memory shelf {name}"):
                born = await self._good(name, size) or await self._make(name, size, collection, kind)
        looked_at[name] = Shelf(name, kind, born)
        return looked_at[name]

    async def _good(self, name: str, size: int | None) -> str | None:
        """The birth of a shelf that is as it must be, None of any other."""
        shape = await self._work(self._shelves.look(name))
        async with self._db.system() as conn:
            query = "SELECT place, born, used_at FROM memory_shelves WHERE name = %s"
            row = await fetch_one(conn, query, [name])
            if row is None or row["place"] != self._shelves.place or shape != Shape(size):
                return None
            if self._clock.now() - row["used_at"] > _UNUSED / 24:
                await conn.execute("UPDATE memory_shelves SET used_at = %s WHERE name = %s", [self._clock.now(), name])
        return str(row["born"])

    async def _make(self, name: str, size: int | None, collection: str, kind: Kind) -> str:
        """A new, empty shelf. What lies under its name was made for other rows, or wrongly: it goes."""
        await self._work(self._shelves.drop(name))
        await self._work(self._shelves.make(name, size))
        born, place = new_id("shelf"), self._shelves.place
        query = """
            INSERT INTO memory_shelves (name, collection, kind, place, born, used_at) VALUES (%s, %s, %s, %s, %s, %s)
            ON CONFLICT (name) DO UPDATE SET place = excluded.place, born = excluded.born, used_at = excluded.used_at"""
        async with self._db.system() as conn:
            await conn.execute(query, [name, collection, kind, place, born, self._clock.now()])
        log.info("memory_shelf_made", shelf=name, place=place)
        return born

    async def _throw_away_unused(self) -> None:
        """Shelves of former models and former ways to count words, a day after they were last needed."""
        async with self._db.system() as conn:
            query = "SELECT name, collection, kind FROM memory_shelves WHERE place = %s AND used_at < %s"
            before = self._clock.now() - _UNUSED
            rows = await fetch_all(conn, query, [self._shelves.place, before])
        for row in rows:
            if row["name"] == self.name(row["collection"], row["kind"]):
                continue
            try:
                await self._work(self._shelves.drop(row["name"]))
            except Unavailable:
                return
            async with self._db.system() as conn:
                await conn.execute("DELETE FROM memory_shelves WHERE name = %s", [row["name"]])

    async def _work(self, asking: Awaitable[_T]) -> _T:
        """The answer of the index, in the background."""
        try:
            async with asyncio.timeout(_PATIENCE):
                return await asking
        except TimeoutError:
            raise Unavailable("memory_index_away", "no answer", engine="Qdrant", reason="no answer") from None

    # --- rows ---------------------------------------------------------------------------------

    async def _tenants(self) -> Iterable[str]:
        async with self._db.system() as conn:
            return [row["id"] for row in await fetch_all(conn, "SELECT id FROM list_tenants()")]

    async def _collections(self, tenant_id: str) -> list[str]:
        query = "SELECT collection FROM memory_collections WHERE tenant_id = %s ORDER BY collection"
        async with self._db.tenant(tenant_id) as conn:
            return [row["collection"] for row in await fetch_all(conn, query, [tenant_id])]

    async def _waiting(self, tenant_id: str, collection: str) -> int:
        query = """
            SELECT (SELECT count(*) FROM memory_items WHERE tenant_id = %s AND collection = %s
                        AND (words_version < version OR meaning_version < version))
                 + (SELECT count(*) FROM memory_removals WHERE tenant_id = %s AND collection = %s) AS waiting"""
        async with self._db.tenant(tenant_id) as conn:
            row = await fetch_one(conn, query, [tenant_id, collection, tenant_id, collection])
        return int(row["waiting"]) if row else 0
