"""The long-term memory: texts found again by their words and by their meaning, each with where it is from.

PostgreSQL is the truth (`memory_items`, under row-level security): writing is a row in the caller's transaction. The
index (memory/shelf.py) follows and can be away, slow, wiped or of another make at any time: nothing is lost, a search
says what it had to do without, and `catch_up` brings the index to what the rows say.

A search asks for words (BM25, Portuguese, accents folded) and for meaning (embeddings) at once and joins both lists by
rank (reciprocal rank fusion), so that an item that both know comes first. What comes back is read from the rows again,
under the tenant's own policies: the index only proposes.
"""

import asyncio
import json
import re
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import structlog
from psycopg.types.json import Jsonb

from core.clock import Clock
from core.db import Connection, Database, fetch_all
from core.errors import Unavailable
from core.jobs import Jobs
from core.settings import Settings
from memory import words
from memory.embeddings import Embedding, HashEmbedding, build_embedding
from memory.indexing import Index, Progress, Shelf, Standing
from memory.shelf import KINDS, Hit, Kind, Lack, Shelves, Vector, Where

log = structlog.get_logger(__name__)

JOB = "memory_index"

_RANK_DAMPING = 60  # the k of reciprocal rank fusion (Cormack, Clarke, Büttcher 2009)
_DEPTH = 50  # hits that each of both may propose
_PATIENCE = 2.0  # seconds that the index and the embedding get while somebody waits for a search
_OPENING = 10.0  # seconds that the first search of a process gives the libraries to load
_REST = 5.0  # seconds that an index which failed is left alone, so that not every turn waits for it
_MOST_KNOWN = 50  # items that `similar` starts from
_NAMESPACE = uuid.UUID("6d757469-7261-6f00-8000-6d656d6f7279")
_ORIGINS = {"user", "account data", "file", "web", "contact"}
_KIND = re.compile(r"[a-z_]{1,40}")
_COLLECTION = re.compile(r"[a-z][a-z0-9]{0,39}")


# --- what is kept, and what comes back ------------------------------------------------------------


class Subject(NamedTuple):
    """What an item is about: ("company", its id). Everything about one subject is deleted together."""

    kind: str
    id: str


@dataclass(frozen=True)
class Item:
    """A text to be found again. The same id in the same collection replaces what was there.

    `origin` is one of those of a tool's result (core/turn.py): user, account data, file, web, contact; `reference` says
    where exactly. `tags` are exact words to filter by; `payload` is plain JSON, kept and given back.
    """

    id: str
    text: str
    origin: str
    reference: str = ""
    subject: Subject | None = None
    tags: Sequence[str] = ()
    payload: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Found:
    """An item that was found. `score` orders the results of one search and means nothing beyond it."""

    item: Item
    score: float
    why: dict[Kind, tuple[int, float]]
    """Which of both found it: its rank there (from 1), and its score there (BM25; a cosine)."""
    like: str | None = None
    """Of `similar`: the known item that it is most like."""

    @property
    def tainted(self) -> bool:
        """Somebody outside may have written it: it is material, never an instruction."""
        return self.item.origin not in ("user", "account data")


@dataclass(frozen=True)
class Recall:
    """What a search found, and how it could search: `by` is empty when there is no memory right now."""

    found: list[Found]
    by: tuple[Kind, ...]
    lacking: tuple[Lack, ...] = ()

    @property
    def available(self) -> bool:
        return bool(self.by)


@dataclass(frozen=True)
class Kept:
    """How many items were new, changed, or as they were."""

    created: int
    updated: int
    unchanged: int


# --- the memory -----------------------------------------------------------------------------------


class LongTermMemory:
    """All collections of all tenants. Lives on one event loop.

    With `jobs` every change is followed by a job that brings it into the index, once `declare` was called before they
    were opened; without, whoever writes calls `catch_up`. `prefix` begins the names of the shelves.
    """

    def __init__(
        self,
        db: Database,
        clock: Clock,
        shelves: Shelves,
        embedding: Embedding | None = None,
        *,
        jobs: Jobs | None = None,
        prefix: str = "mutirao",
        patience: float = _PATIENCE,
    ) -> None:
        self.shelves = shelves
        self.embedding = embedding or HashEmbedding()
        self._db = db
        self._clock = clock
        self._jobs = jobs
        self._index = Index(db, clock, shelves, self.embedding, prefix)
        self._patience = patience
        self._resting_until = 0.0  # of the monotonic clock, as the next
        self._embedding_rests_until = 0.0

    @classmethod
    def from_settings(
        cls, settings: Settings, db: Database, clock: Clock, *, jobs: Jobs | None = None
    ) -> "LongTermMemory":
        """The memory as the settings want it: on a Qdrant server if they name one, else in the data folder. Opens
        nothing. SetupError when the setting of the embeddings is broken (`build_embedding`)."""
        shelves: Shelves
        if settings.qdrant_url is not None:
            from memory.shelf_server import ServerShelves

            secret = settings.qdrant_api_key
            shelves = ServerShelves(settings.qdrant_url, None if secret is None else secret.get_secret_value())
        else:
            from memory.shelf_edge import EdgeShelves

            shelves = EdgeShelves(settings.data_dir / "memory")
        embedding = build_embedding(settings)
        return cls(db, clock, shelves, embedding, jobs=jobs, prefix=settings.qdrant_prefix)

    def declare(self) -> None:
        """Tell the jobs what to do when something changed, and to look once a minute for what was left behind."""
        assert self._jobs is not None

        async def after_a_change(tenant_id: str) -> None:
            await self.catch_up(tenant_id)

        async def once_a_minute() -> None:
            await self.catch_up()

        self._jobs.task(JOB, after_a_change)
        self._jobs.periodic("memory_catch_up", "* * * * *", once_a_minute)

    async def warm(self) -> None:
        """Import and open what the first search would wait for. Raises nothing."""
        await self._ready()

    async def close(self) -> None:
        await self.shelves.close()
        await self.embedding.close()

    # --- writing ------------------------------------------------------------------------------

    async def put(self, conn: Connection, tenant_id: str, collection: str, items: Sequence[Item]) -> Kept:
        """Keep items, in the caller's transaction of this tenant. They can be found when the index has followed.

        An item that says what is there already changes nothing and costs no embedding. ValueError for an empty text, an
        unknown origin, or two items with one id.
        """
        _check(collection)
        if len({item.id for item in items}) < len(items):
            raise ValueError("two items with one id")
        if strange := {item.origin for item in items} - _ORIGINS:
            raise ValueError(f"no such origin: {strange}")
        if strange := {item.subject.kind for item in items if item.subject and not _KIND.fullmatch(item.subject.kind)}:
            raise ValueError(f"a kind of subject is small letters, not {strange}")
        rows: list[dict[str, Any]] = [
            {
                "id": item.id,
                "point": str(_point(tenant_id, collection, item.id)),
                "text": item.text,
                "payload": item.payload,
                "kind": item.subject.kind if item.subject else None,
                "subject": item.subject.id if item.subject else None,
                "tags_given": sorted(set(item.tags)),
                "origin": item.origin,
                "reference": item.reference,
            }
            for item in items
        ]
        if any(not row["text"].strip() for row in rows):
            raise ValueError("an item without a text")
        await conn.execute(
            "INSERT INTO memory_collections (tenant_id, collection) VALUES (%s, %s) ON CONFLICT DO NOTHING",
            [tenant_id, collection],
        )
        # What the index holds of an item is its text, subject and tags: only a change of those is one for the index.
        changed = await fetch_all(
            conn,
            """
            WITH given AS (
                SELECT g.*, ARRAY(SELECT jsonb_array_elements_text(g.tags_given)) AS tags
                FROM jsonb_to_recordset(%(rows)s) AS g (id text, point uuid, text text, payload jsonb, kind text,
                    subject text, tags_given jsonb, origin text, reference text)
            )
            INSERT INTO memory_items AS m (tenant_id, collection, id, point, text, payload, subject_kind, subject_id,
                tags, origin, reference, created_at, updated_at)
            SELECT %(tenant)s, %(collection)s, g.id, g.point, g.text, g.payload, g.kind, g.subject, g.tags, g.origin,
                g.reference, %(now)s, %(now)s FROM given g ORDER BY g.id
            ON CONFLICT (tenant_id, collection, id) DO UPDATE SET
                text = excluded.text, payload = excluded.payload, subject_kind = excluded.subject_kind,
                subject_id = excluded.subject_id, tags = excluded.tags, origin = excluded.origin,
                reference = excluded.reference, updated_at = excluded.updated_at,
                version = m.version + ((m.text, m.subject_kind, m.subject_id, m.tags) IS DISTINCT FROM
                    (excluded.text, excluded.subject_kind, excluded.subject_id, excluded.tags))::integer
            WHERE (m.text, m.payload, m.subject_kind, m.subject_id, m.tags, m.origin, m.reference) IS DISTINCT FROM
                (excluded.text, excluded.payload, excluded.subject_kind, excluded.subject_id, excluded.tags,
                 excluded.origin, excluded.reference)
            RETURNING (xmax = 0) AS created, words_version < version OR meaning_version < version AS waits
            """,
            {"rows": Jsonb(_storable(rows)), "tenant": tenant_id, "collection": collection, "now": self._clock.now()},
        )
        if any(row["waits"] for row in changed):
            await self._follow(conn, tenant_id)
        created = sum(row["created"] for row in changed)
        return Kept(created, len(changed) - created, len(items) - len(changed))

    async def forget(self, conn: Connection, tenant_id: str, collection: str, ids: Sequence[str]) -> int:
        """Delete items in the caller's transaction; the index follows. Returns how many were there."""
        return await self._delete(conn, tenant_id, "collection = %s AND id = ANY(%s)", [collection, list(ids)])

    async def forget_subject(self, conn: Connection, tenant_id: str, subject: Subject) -> int:
        """Delete everything about one subject, in all collections. For an erasure that must be over when it is said
        to be, call `catch_up(tenant_id)` after the commit: `waiting` 0 means that the index has forgotten too."""
        return await self._delete(conn, tenant_id, "subject_kind = %s AND subject_id = %s", [*subject])

    async def _delete(self, conn: Connection, tenant_id: str, which: str, values: list[Any]) -> int:
        query = f"""
            WITH gone AS (DELETE FROM memory_items WHERE tenant_id = %s AND {which} RETURNING collection, point)
            INSERT INTO memory_removals (tenant_id, collection, point) SELECT %s, collection, point FROM gone
            ON CONFLICT DO NOTHING RETURNING point"""
        gone = len(await fetch_all(conn, query, [tenant_id, *values, tenant_id]))
        if gone:
            await self._follow(conn, tenant_id)
        return gone

    async def _follow(self, conn: Connection, tenant_id: str) -> None:
        if self._jobs is not None:
            await self._jobs.defer(conn, JOB, tenant_id=tenant_id)

    # --- searching ----------------------------------------------------------------------------

    async def search(
        self,
        tenant_id: str,
        collection: str,
        text: str,
        *,
        limit: int = 10,
        subjects: Sequence[Subject] = (),
        tags: Sequence[str] = (),
        conn: Connection | None = None,
    ) -> Recall:
        """The items of one collection that say something like `text`, best first, at most `limit` (1 to 50).

        `subjects`: only what is about one of these; `tags`: only what has all of them. Raises nothing for a memory that
        is away: see `Recall`. Unavailable("database_unreachable") as everything does.
        """
        _check(collection)
        text = _clean(text)
        where = Where([_about(subject) for subject in subjects], sorted(set(tags)))
        limit = max(1, min(limit, _DEPTH))
        shelves = await self._known(tenant_id, collection, conn)
        if shelves is None:
            return Recall([], KINDS)

        async def by_words(shelf: Shelf) -> list[list[Hit]]:
            asked = words.of_question(text)
            return await self.shelves.nearest(shelf.name, tenant_id, [asked], _DEPTH, where) if asked.indices else [[]]

        async def by_meaning(shelf: Shelf) -> list[list[Hit]]:
            vectors: list[Vector] = [*await self._question(text)]
            hits = await self.shelves.nearest(shelf.name, tenant_id, vectors, _DEPTH, where)
            return [[hit for hit in found if hit.score >= self.embedding.floor] for found in hits]

        lists, lacking = await self._ask_both(shelves, by_words, by_meaning)
        ranked = _fused({kind: [(None, hits) for hits in found] for kind, found in lists.items()})
        found = await self._rows(tenant_id, collection, ranked, limit, where, conn)
        return Recall(found, tuple(lists), lacking)

    async def similar(
        self,
        tenant_id: str,
        collection: str,
        known: Sequence[str | Subject],
        *,
        limit: int = 20,
        tags: Sequence[str] = (),
        without: Iterable[str] = (),
        conn: Connection | None = None,
    ) -> Recall:
        """Items that are like known ones, which are given by item id or by subject: look-alikes of won deals.

        Every known item is asked for its own neighbours (by words and by meaning), and the lists are joined by rank.
        There is no average of the known ones: between an architect and a dentist lies nobody. What is near several of
        them comes first; what is near one is found too, and `Found.like` names it. The known ones and the ids in
        `without` are left out. At most the 50 known items that changed last are asked.
        """
        _check(collection)
        ids = [one for one in known if isinstance(one, str)]
        subjects = [one for one in known if isinstance(one, Subject)]
        async with self._db.tenant(tenant_id, conn) as connection:
            query = """
                SELECT id, point::text AS point, text FROM memory_items
                WHERE tenant_id = %s AND collection = %s AND (id = ANY(%s) OR (subject_kind, subject_id) IN
                      (SELECT * FROM unnest(%s::text[], %s::text[]))) ORDER BY updated_at DESC, id"""
            values = [tenant_id, collection, ids, [one.kind for one in subjects], [one.id for one in subjects]]
            rows = await fetch_all(connection, query, values)
        shelves = await self._known(tenant_id, collection, conn)
        if shelves is None or not rows:
            return Recall([], KINDS)
        hidden = [str(_point(tenant_id, collection, one)) for one in without]
        where = Where(tags=sorted(set(tags)), without=[*(row["point"] for row in rows), *hidden])
        rows = rows[:_MOST_KNOWN]
        asked_words: list[str] = []
        asked_meaning: list[str] = []

        async def by_words(shelf: Shelf) -> list[list[Hit]]:
            vectors: list[Vector] = []
            for row in rows:
                asked = words.of_question(row["text"])
                if asked.indices:
                    asked_words.append(row["id"])
                    vectors.append(asked)
            return await self.shelves.nearest(shelf.name, tenant_id, vectors, _DEPTH, where) if vectors else []

        async def by_meaning(shelf: Shelf) -> list[list[Hit]]:
            points = {row["point"]: row["id"] for row in rows}
            kept = await self.shelves.vectors(shelf.name, tenant_id, list(points))
            asked_meaning.extend(points[point] for point in kept)
            vectors: list[Vector] = [*kept.values()]
            hits = await self.shelves.nearest(shelf.name, tenant_id, vectors, _DEPTH, where) if vectors else []
            return [[hit for hit in found if hit.score >= self.embedding.floor] for found in hits]

        lists, lacking = await self._ask_both(shelves, by_words, by_meaning)
        named: dict[Kind, list[tuple[str | None, list[Hit]]]] = {}
        for kind, hits in lists.items():
            named[kind] = list(zip(asked_words if kind == "words" else asked_meaning, hits, strict=True))
        found = await self._rows(tenant_id, collection, _fused(named), limit, where, conn)
        return Recall(found, tuple(lists), lacking)

    async def _ask_both(
        self,
        shelves: dict[Kind, Shelf],
        by_words: Callable[[Shelf], Awaitable[list[list[Hit]]]],
        by_meaning: Callable[[Shelf], Awaitable[list[list[Hit]]]],
    ) -> tuple[dict[Kind, list[list[Hit]]], tuple[Lack, ...]]:
        """The lists of those that answered in time, and why one did not."""
        lacking: list[Lack] = []
        asking: dict[Kind, Awaitable[list[list[Hit]] | Lack]] = {}
        of_words, of_meaning = shelves.get("words"), shelves.get("meaning")
        if shelves:
            await self._ready()
        if of_words is not None:
            asking["words"] = self._in_time(by_words, of_words)
        # A part of the meanings would put its own items above all others: words alone are fairer until it is whole.
        if of_meaning is not None and (of_meaning.whole or of_words is None):
            asking["meaning"] = self._in_time(by_meaning, of_meaning)
        if of_words is None or of_meaning is None or not (of_words.whole and of_meaning.whole):
            lacking.append("being_built")
        answers = dict(zip(asking, await asyncio.gather(*asking.values()), strict=True))
        lists = {kind: answer for kind, answer in answers.items() if not isinstance(answer, str)}
        lacking += [answer for answer in answers.values() if isinstance(answer, str)]
        return lists, tuple(dict.fromkeys(lacking))

    async def _ready(self) -> None:
        """Import and open what is not yet, which the first search of a process waits for once."""
        if time.monotonic() < self._resting_until:
            return
        try:
            async with asyncio.timeout(_OPENING):
                await words.ready()
                await self.shelves.ready()
        except (Unavailable, TimeoutError) as error:
            self._rest(error)

    async def _question(self, text: str) -> list[list[float]]:
        """The vector of a question, while somebody waits."""
        if time.monotonic() < self._embedding_rests_until:
            raise Unavailable("embedding_away", "it rests", model=self.embedding.name, reason="it rests")
        try:
            async with asyncio.timeout(self._patience * 0.75):
                return await self.embedding.embed([text], question=True)
        except (Unavailable, TimeoutError) as error:
            self._embedding_rests_until = time.monotonic() + _REST
            reason = str(error) or "no answer"
            raise Unavailable("embedding_away", reason, model=self.embedding.name, reason=reason) from None

    async def _in_time(
        self, ask: Callable[[Shelf], Awaitable[list[list[Hit]]]], shelf: Shelf
    ) -> list[list[Hit]] | Lack:
        """The answer of the index while somebody waits; what is lacking when there is none."""
        if time.monotonic() < self._resting_until:
            return "index_away"
        try:
            async with asyncio.timeout(self._patience):
                return await ask(shelf)
        except (Unavailable, TimeoutError) as error:
            if isinstance(error, Unavailable) and error.code == "embedding_away":
                log.warning("embedding_away", reason=error.params["reason"])
                return "embedding_away"
            self._rest(error)
            return "index_away"

    def _rest(self, error: Exception) -> None:
        self._resting_until = time.monotonic() + _REST
        log.warning("memory_index_away", reason=str(error) or type(error).__name__)

    async def _known(self, tenant_id: str, collection: str, conn: Connection | None) -> dict[Kind, Shelf] | None:
        """The shelves that hold this tenant's collection, as far as they are made and its items are put there; None of
        a collection in which it never kept anything."""
        names = [self._index.name(collection, kind) for kind in KINDS]
        query = """
            SELECT s.name, s.kind, s.born, c.words_in, c.words_whole, c.meaning_in, c.meaning_whole
            FROM memory_collections c LEFT JOIN memory_shelves s ON s.name = ANY(%s) AND s.place = %s
            WHERE c.tenant_id = %s AND c.collection = %s"""
        values = [names, self.shelves.place, tenant_id, collection]
        async with self._db.tenant(tenant_id, conn) as connection:
            rows = await fetch_all(connection, query, values)
        if not rows:
            return None
        known: dict[Kind, Shelf] = {}
        for row in rows:
            kind: Kind = row["kind"]
            if row["name"] is not None and row[f"{kind}_in"] == row["born"]:
                known[kind] = Shelf(row["name"], kind, row["born"], row[f"{kind}_whole"])
        return known

    async def _rows(
        self,
        tenant_id: str,
        collection: str,
        ranked: list[tuple[str, float, dict[Kind, tuple[int, float]], str | None]],
        limit: int,
        where: Where,
        conn: Connection | None,
    ) -> list[Found]:
        """The items themselves. What the index holds and the rows do not is left out: it was deleted, or is another's.
        The filters hold here as well, since the index may be behind a change."""
        if not ranked:
            return []
        query = """
            SELECT id, point::text AS point, text, payload, subject_kind, subject_id, tags, origin, reference
            FROM memory_items WHERE tenant_id = %s AND collection = %s AND point = ANY(%s::uuid[])
              AND (cardinality(%s::text[]) = 0 OR subject_kind || ':' || subject_id = ANY(%s)) AND tags @> %s::text[]"""
        about, tags = list(where.about), list(where.tags)
        values = [tenant_id, collection, [point for point, *_ in ranked], about, about, tags]
        async with self._db.tenant(tenant_id, conn) as connection:
            rows = {row["point"]: row for row in await fetch_all(connection, query, values)}
        found = []
        for point, score, why, like in ranked:
            if (row := rows.get(point)) is None:
                continue
            subject = Subject(row["subject_kind"], row["subject_id"]) if row["subject_kind"] else None
            item = Item(
                row["id"], row["text"], row["origin"], row["reference"], subject, tuple(row["tags"]), row["payload"]
            )
            found.append(Found(item, score, why, like))
        return found[:limit]

    # --- the index follows --------------------------------------------------------------------

    async def catch_up(self, tenant_id: str | None = None) -> Progress:
        """Bring the index to what the rows say: for one tenant or, for None, for all. Raises nothing for an index or an
        embedding that is away: what could not be done waits, and is done by a later call.

        Makes shelves that are missing (a new engine, one that was wiped) or of a wrong shape, and fills them from the
        rows. Several may call it at once: one works, the others wait a few seconds and then leave it to that one.
        """
        return await self._index.catch_up(tenant_id)

    async def rebuild(self, collection: str | None = None) -> Progress:
        """Throw the index away, of one collection or of all, and build it from the rows again. Meanwhile searches find
        what is there already, and say that it is being built."""
        return await self._index.rebuild(collection)

    async def standing(self) -> Standing:
        """How many items there are and wait for the index, over all tenants, and the shelves they belong on."""
        return await self._index.standing()


def _fused(
    lists: dict[Kind, list[tuple[str | None, list[Hit]]]],
) -> list[tuple[str, float, dict[Kind, tuple[int, float]], str | None]]:
    """Points of all lists, best first: (point, score, its best rank and score by kind, whose list had it highest)."""
    scores: dict[str, float] = {}
    why: dict[str, dict[Kind, tuple[int, float]]] = {}
    like: dict[str, tuple[int, str | None]] = {}
    for kind, named in lists.items():
        for name, hits in named:
            for rank, hit in enumerate(hits, 1):
                scores[hit.id] = scores.get(hit.id, 0.0) + 1 / (_RANK_DAMPING + rank)
                reasons = why.setdefault(hit.id, {})
                if kind not in reasons or rank < reasons[kind][0]:
                    reasons[kind] = (rank, hit.score)
                if hit.id not in like or rank < like[hit.id][0]:
                    like[hit.id] = (rank, name)
    best = sorted(scores, key=lambda point: (-scores[point], point))
    return [(point, scores[point], why[point], like[point][1]) for point in best]


def _point(tenant_id: str, collection: str, item_id: str) -> uuid.UUID:
    """The id of an item in the index; no other item of any tenant has it."""
    return uuid.uuid5(_NAMESPACE, json.dumps([tenant_id, collection, item_id]))


def _about(subject: Subject) -> str:
    return f"{subject.kind}:{subject.id}"


def _clean(text: str) -> str:
    """Without what no database keeps: NUL, and halves of characters."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def _storable(value: Any) -> Any:
    """JSON data whose texts a database keeps."""
    if isinstance(value, str):
        return _clean(value)
    if isinstance(value, dict):
        return {_clean(str(key)): _storable(inner) for key, inner in value.items()}
    return [_storable(inner) for inner in value] if isinstance(value, list | tuple) else value


def _check(collection: str) -> None:
    if not _COLLECTION.fullmatch(collection):
        raise ValueError(f"a collection is named by small letters and digits, not {collection!r}")
