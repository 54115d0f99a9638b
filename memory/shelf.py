"""The index of the long-term memory as `LongTermMemory` sees it: shelves of vectors, in Qdrant, embedded or a server.

A shelf holds either words (sparse vectors, BM25) or meanings (dense ones). It knows of an item its id, its tenant, what
it is about and its tags; the text stays in PostgreSQL. Every question is about one tenant: the adapters build that
filter themselves, around whatever else is asked, and there is no way to ask without.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

Kind = Literal["words", "meaning"]
KINDS: tuple[Kind, ...] = ("words", "meaning")

Lack = Literal["index_away", "embedding_away", "being_built"]
"""Why something had to be done without: the index does not answer; no embedding could be had; the index of meanings (or
all of it) is being filled, after a change of model or because it was lost."""

VECTOR = "v"
"""The name of the one vector that each point of a shelf has."""


@dataclass(frozen=True)
class Words:
    """A sparse vector: the weight of each word, by the number that stands for it."""

    indices: list[int]
    values: list[float]


Vector = list[float] | Words


@dataclass(frozen=True)
class Point:
    """An item in a shelf. `about` is its subject, "" for none."""

    id: str
    vector: Vector
    about: str = ""
    tags: Sequence[str] = ()


@dataclass(frozen=True)
class Where:
    """What a hit has to fulfil besides belonging to the tenant: to be about one of `about` (empty: about anything), to
    have all `tags`, and to be none of the points `without`."""

    about: Sequence[str] = ()
    tags: Sequence[str] = ()
    without: Sequence[str] = ()


class Hit(NamedTuple):
    """`score`: a cosine for meanings, BM25 for words."""

    id: str
    score: float


@dataclass(frozen=True)
class Shape:
    """What a shelf holds: vectors of `size` numbers, or words when None."""

    size: int | None


@dataclass(frozen=True)
class ShelfInfo:
    """For the doctor. `version` of the engine."""

    engine: str
    version: str
    points: dict[str, int] = field(default_factory=dict)
    """By shelf; those of all tenants."""


class Shelves(Protocol):
    """An engine. Everything raises Unavailable("memory_index_away", engine, reason) when it does not answer or answers
    nonsense; nobody but `LongTermMemory` asks it, with a deadline of its own around each question."""

    place: str
    """Tells one engine from another, so that a change of engine is noticed."""

    async def ready(self) -> None:
        """Import and open what the first question needs; it may take seconds, where a question must not."""
        ...

    async def look(self, name: str) -> Shape | None:
        """The shape of a shelf, None when there is none of this name."""
        ...

    async def make(self, name: str, size: int | None) -> None:
        """Make an empty shelf, of meanings of `size` numbers or, for None, of words."""
        ...

    async def drop(self, name: str) -> None:
        """Throw a shelf away with everything in it; nothing when there is none."""
        ...

    async def put(self, name: str, tenant_id: str, points: Sequence[Point]) -> None:
        """Add points or replace those with the same ids. They are found from now on, and there for good after
        `settle`."""
        ...

    async def settle(self, name: str) -> None:
        """Return when what was put is on the disk: no power cut takes it any more."""
        ...

    async def remove(self, name: str, tenant_id: str, ids: Sequence[str] | None) -> None:
        """Take this tenant's points away, those with `ids` or, for None, all of them."""
        ...

    async def nearest(
        self, name: str, tenant_id: str, vectors: Sequence[Vector], limit: int, where: Where
    ) -> list[list[Hit]]:
        """For each vector the nearest points of the tenant, best first. For words: those that share one, and how rare a
        word is counts among the tenant's own items alone."""
        ...

    async def vectors(self, name: str, tenant_id: str, ids: Sequence[str]) -> dict[str, Any]:
        """The vectors of those points that are there and the tenant's, by id; of meanings."""
        ...

    async def ids(self, name: str, tenant_id: str) -> set[str]:
        """All points of a tenant: to find out what is missing or too much."""
        ...

    async def count(self, name: str, tenant_id: str | None) -> int:
        """How many points a tenant has in it; of everybody for None."""
        ...

    async def info(self, names: Sequence[str]) -> ShelfInfo: ...

    async def close(self) -> None: ...
