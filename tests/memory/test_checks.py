"""What the doctor says of the memory."""

from pathlib import Path

from core.doctor import Finding
from memory.checks import MemoryCheck
from memory.long_term import Item
from memory.shelf_server import ServerShelves
from prompts.texts import Texts
from tests.conftest import free_port
from tests.memory.conftest import EmbeddingStandIn, Kept
from tests.memory.qdrant_stand_in import QdrantStandIn
from tests.memory.test_long_term import Remote

TEXTS = Texts.load()


async def told(kept: Kept, *, live: bool = False) -> list[Finding]:
    check = MemoryCheck(kept.memory, lambda key, /, **params: TEXTS.say("en", key, **params))
    return await check.run(live)


def words(findings: list[Finding]) -> str:
    return " ".join(f"[{found.state}] {found.text}" for found in findings)


async def test_a_memory_that_was_never_used_is_no_fault_and_makes_no_folder(by_folder: Kept, folder: Path) -> None:
    text = words(await told(by_folder))
    assert "[note] Long-term memory: nothing kept yet." in text and "compares spelling" in text
    assert not folder.exists()


async def test_the_engine_the_items_and_what_waits_are_told(by_folder: Kept) -> None:
    await by_folder.put(Item("a", "padaria", "user"), Item("b", "oficina", "user"))
    text = words(await told(by_folder))
    assert "[ok] Long-term memory: index in the data folder (qdrant-edge 0.9.0)." in text
    assert "[ok] The memory has 2 items, all in the index." in text
    await by_folder.write(Item("c", "escola", "user"))
    assert "3 items; 1 change waits" in words(await told(by_folder))


async def test_a_server_is_named_without_its_secrets(by_server: Kept, qdrant: QdrantStandIn) -> None:
    text = words(await told(by_server))
    assert f"[ok] Long-term memory: index on Qdrant ({qdrant.url.removeprefix('http://')}), version 1.20.0." in text


async def test_a_server_too_old_for_our_questions_is_told(by_server: Kept, qdrant: QdrantStandIn) -> None:
    qdrant.fail("answer", path="^/$", status=200, body='{"title": "qdrant", "version": "1.15.4"}')
    assert "[broken] Qdrant is version 1.15.4" in words(await told(by_server))


async def test_a_server_that_is_away_is_told_and_so_is_that_nothing_is_lost(by_folder: Kept) -> None:
    gone = by_folder.over(ServerShelves(f"http://127.0.0.1:{free_port()}"))
    await gone.write(Item("a", "padaria", "user"))
    text = words(await told(gone))
    assert "[broken] The index of the long-term memory does not answer (Qdrant: " in text and "Nothing is lost" in text
    assert "1 item; 1 change waits" in text
    await gone.memory.shelves.close()


async def test_the_model_is_asked_only_when_it_may_be(
    by_folder: Kept, embeddings: EmbeddingStandIn, remote: Remote
) -> None:
    mine = by_folder.over(embedding=remote())
    assert "[unverified] The memory compares meaning by the model text-embedding-3-small (256" in words(
        await told(mine)
    )
    assert embeddings.asked == []
    assert "[ok] The memory's model text-embedding-3-small answered." in words(await told(mine, live=True))
    embeddings.fail("answer", status=401, body='{"error": {"message": "bad key sk-123"}}')
    text = words(await told(mine, live=True))
    assert "[broken]" in text and "AuthenticationError 401" in text and "sk-123" not in text
