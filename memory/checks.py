"""What `mutirao doctor` says of the long-term memory: which engine and embedding, whether they answer, what waits."""

import asyncio
from typing import ClassVar

from core.doctor import Finding, Say, State
from core.errors import Unavailable
from memory.long_term import LongTermMemory
from memory.shelf import ShelfInfo

_SECONDS = 5.0  # that the engine gets; the embedding, with `live`, three times that
_OLDEST_SERVER = (1, 19)  # the first that counts a word's rarity among one tenant's items (memory/shelf_server.py)


class MemoryCheck:
    """`live` asks the model of the embeddings for one word, which costs a token."""

    area: ClassVar[str] = "memory"

    def __init__(self, memory: LongTermMemory, say: Say) -> None:
        self._memory = memory
        self._say = say

    async def run(self, live: bool) -> list[Finding]:
        standing = await self._memory.standing()
        embedded = self._memory.shelves.place == "embedded"
        findings: list[Finding] = []
        if standing.items or not embedded:  # the folder of an embedded one is made when there is something to keep
            findings.append(await self._engine(standing.shelves, embedded))
        if not standing.items:
            findings.append(self._found("note", "memory_none_yet"))
        elif standing.waiting:
            findings.append(self._found("note", "memory_waits", items=standing.items, waiting=standing.waiting))
        else:
            findings.append(self._found("ok", "memory_points", items=standing.items))
        return findings + await self._embedding(live)

    async def _engine(self, shelves: list[str], embedded: bool) -> Finding:
        try:
            async with asyncio.timeout(_SECONDS):
                info = await self._memory.shelves.info(shelves)
        except (Unavailable, TimeoutError) as error:
            engine = "qdrant-edge" if embedded else "Qdrant"
            reason = error.params["reason"] if isinstance(error, Unavailable) else f"> {_SECONDS:.0f} s"
            return self._found("broken", "memory_away", engine=engine, reason=reason)
        if embedded:
            return self._found("ok", "memory_embedded", engine=info.engine, version=info.version)
        if _version(info) < _OLDEST_SERVER:
            needed = ".".join(map(str, _OLDEST_SERVER))
            return self._found("broken", "memory_old", version=info.version, needed=needed)
        return self._found("ok", "memory_server", engine=info.engine, version=info.version)

    async def _embedding(self, live: bool) -> list[Finding]:
        embedding = self._memory.embedding
        if embedding.local:
            return [self._found("note", "memory_hash")]
        model = embedding.name
        if not live:
            return [self._found("unverified", "memory_model", model=model, size=embedding.size)]
        try:
            async with asyncio.timeout(3 * _SECONDS):
                await embedding.embed(["olá"], question=True)
        except (Unavailable, TimeoutError) as error:
            reason = error.params["reason"] if isinstance(error, Unavailable) else f"> {3 * _SECONDS:.0f} s"
            return [self._found("broken", "memory_model_fails", model=model, reason=reason)]
        return [
            self._found("ok", "memory_model", model=model, size=embedding.size),
            self._found("ok", "memory_model_answers", model=model),
        ]

    def _found(self, state: State, key: str, /, **params: object) -> Finding:
        return Finding(self.area, state, self._say(f"doctor.{key}", **params))


def _version(info: ShelfInfo) -> tuple[int, int]:
    parts = info.version.split(".")
    return (int(parts[0]), int(parts[1])) if len(parts) > 1 and parts[0].isdigit() and parts[1].isdigit() else (0, 0)
