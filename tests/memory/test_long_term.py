"""The long-term memory finds what was kept, over either engine, and loses nothing when the engine does."""

import asyncio
import json
import os
import shutil
import signal
import stat
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from core.clock import FixedClock
from core.db import Database
from core.jobs import Jobs
from core.settings import Settings
from memory.embeddings import HashEmbedding, OpenAIEmbedding
from memory.long_term import Item, LongTermMemory, Subject
from memory.shelf import Point, Where
from memory.shelf_edge import EdgeShelves
from memory.shelf_server import ServerShelves
from tests.conftest import free_port, until
from tests.memory.conftest import EmbeddingStandIn, House, Kept
from tests.memory.qdrant_stand_in import QdrantStandIn

ARCHITECT = Item("c1", "Escritório de arquitetura e interiores em Campinas", "web", "https://um.example")
DENTIST = Item("c2", "Clínica odontológica infantil no Cambuí", "web", "https://dois.example")
BAKERY = Item("c3", "Padaria artesanal, pães de fermentação natural", "user")

WORDS, MEANING = "mutirao_companies_words-pt-1", "mutirao_companies_hash-1-1024"


# --- finding --------------------------------------------------------------------------------------


async def test_what_was_kept_is_found_by_its_words_and_by_its_meaning_and_says_why(kept: Kept) -> None:
    await kept.put(ARCHITECT, DENTIST, BAKERY)
    recall = await kept.memory.search(kept.tenant, "companies", "arquitetura de interiores")
    best = recall.found[0]
    assert best.item == ARCHITECT
    assert {kind: rank for kind, (rank, _) in best.why.items()} == {"words": 1, "meaning": 1}
    assert (set(recall.by), recall.lacking) == ({"words", "meaning"}, ())
    assert best.tainted and not (await kept.memory.search(kept.tenant, "companies", "padaria")).found[0].tainted


async def test_accents_case_and_endings_do_not_matter(kept: Kept) -> None:
    await kept.put(ARCHITECT, DENTIST, BAKERY)
    assert (await kept.ids("CLINICAS ODONTOLOGICAS"))[0] == "c2"
    assert (await kept.ids("pão de fermentacao"))[0] == "c3"


async def test_everything_of_an_item_comes_back_as_it_was_given(kept: Kept) -> None:
    item = Item(
        "c9",
        "Oficina mecânica",
        "file",
        "lista.csv linha 4",
        Subject("company", "co_9"),
        ("b", "a"),
        {"n": 1.5, "x": ["é"]},
    )
    await kept.put(item)
    found = (await kept.memory.search(kept.tenant, "companies", "oficina")).found[0].item
    assert found == Item(item.id, item.text, item.origin, item.reference, item.subject, ("a", "b"), item.payload)


async def test_subject_and_tags_narrow_what_is_found(kept: Kept) -> None:
    mine = Subject("company", "co_1")
    await kept.put(
        Item("a", "nota sobre o contrato", "user", subject=mine, tags=("2026", "contrato")),
        Item("b", "nota sobre o contrato", "user", subject=Subject("company", "co_2"), tags=("2026",)),
        Item("c", "nota sobre o contrato", "user"),
    )
    assert sorted(await kept.ids("contrato")) == ["a", "b", "c"]
    assert await kept.ids("contrato", subjects=[mine]) == ["a"]
    assert sorted(await kept.ids("contrato", tags=["2026"])) == ["a", "b"]
    assert await kept.ids("contrato", tags=["2026", "contrato"]) == ["a"]
    assert await kept.ids("contrato", tags=["202"]) == []


async def test_collections_are_kept_apart(kept: Kept) -> None:
    await kept.put(Item("a", "contrato de mídia", "user"))
    await kept.put(Item("b", "contrato de mídia", "user"), collection="knowledge")
    assert await kept.ids("contrato") == ["a"]
    assert await kept.ids("contrato", collection="knowledge") == ["b"]
    assert await kept.ids("contrato", collection="nothing") == []
    with pytest.raises(ValueError):
        await kept.ids("contrato", collection="companies_words")


async def test_a_memory_in_which_nothing_was_kept_is_empty_and_not_away(kept: Kept) -> None:
    recall = await kept.memory.search(kept.tenant, "companies", "qualquer coisa")
    assert (recall.found, recall.available, recall.lacking) == ([], True, ())


@pytest.mark.parametrize("text", ["", "   ", "de a o", "!!!", "\0", "\ud800 meia letra", "x" * 50_000])
async def test_no_text_makes_a_search_fail(kept: Kept, text: str) -> None:
    await kept.put(ARCHITECT)
    assert (await kept.memory.search(kept.tenant, "companies", text)).available


async def test_a_text_with_broken_letters_is_kept_without_them(kept: Kept) -> None:
    await kept.put(Item("a", "café\0 da \ud800esquina", "web", payload={"t": "\0x"}))
    found = (await kept.memory.search(kept.tenant, "companies", "cafe esquina")).found[0].item
    assert found.text.startswith("café da ") and found.payload == {"t": "x"}


@pytest.mark.parametrize(
    "items",
    [
        [Item("a", " ", "user")],
        [Item("a", "x", "rumour")],
        [Item("a", "x", "user", subject=Subject("a:b", "c"))],
        [Item("a", "x", "user"), Item("a", "y", "user")],
    ],
)
async def test_what_cannot_be_kept_is_refused_before_anything_is_written(kept: Kept, items: list[Item]) -> None:
    with pytest.raises(ValueError):
        await kept.write(*items)
    assert await kept.memory.standing() == await kept.over().memory.standing()
    assert (await kept.memory.standing()).items == 0


# --- changing and deleting --------------------------------------------------------------------------


async def test_an_item_that_says_what_is_there_already_changes_nothing(kept: Kept) -> None:
    assert (await kept.put(ARCHITECT, DENTIST)).created == 2
    again = await kept.write(ARCHITECT, Item("c2", DENTIST.text, "web", DENTIST.reference, payload={"phone": "19"}))
    assert (again.created, again.updated, again.unchanged) == (0, 1, 1)
    # The payload is not in the index: nothing waits for it.
    assert (await kept.memory.standing()).waiting == 0
    assert (await kept.memory.search(kept.tenant, "companies", "odontológica")).found[0].item.payload == {"phone": "19"}


async def test_a_changed_text_is_found_by_its_new_words_alone(kept: Kept) -> None:
    await kept.put(Item("a", "loja de tintas", "user"))
    await kept.put(Item("a", "curso de violão", "user"))
    assert await kept.ids("violão") == ["a"]
    assert await kept.ids("tintas") == []


async def test_what_was_rolled_back_is_never_found(kept: Kept) -> None:
    async def fail() -> None:
        async with kept.db.tenant(kept.tenant) as conn:
            await kept.memory.put(conn, kept.tenant, "companies", [ARCHITECT])
            raise RuntimeError("the turn failed")

    with pytest.raises(RuntimeError):
        await fail()
    await kept.memory.catch_up(kept.tenant)
    assert await kept.ids("arquitetura") == []


async def test_what_was_deleted_is_gone_at_once_and_from_the_index_soon(kept: Kept) -> None:
    await kept.put(ARCHITECT, DENTIST)
    async with kept.db.tenant(kept.tenant) as conn:
        assert await kept.memory.forget(conn, kept.tenant, "companies", ["c1", "never"]) == 1
    assert await kept.ids("arquitetura") == []
    assert await kept.memory.shelves.count(WORDS, kept.tenant) == 2
    done = await kept.memory.catch_up(kept.tenant)
    assert (done.removed, done.waiting) == (1, 0)
    assert [await kept.memory.shelves.count(name, kept.tenant) for name in (WORDS, MEANING)] == [1, 1]


async def test_erasing_a_subject_reaches_every_collection_and_the_index(kept: Kept) -> None:
    ana = Subject("contact", "ct_1")
    for collection in ("companies", "knowledge"):
        await kept.put(
            Item("a", "Ana prefere WhatsApp", "contact", subject=ana),
            Item("b", "Bruno prefere e-mail", "contact", subject=Subject("contact", "ct_2")),
            collection=collection,
        )
    async with kept.db.tenant(kept.tenant) as conn:
        assert await kept.memory.forget_subject(conn, kept.tenant, ana) == 2
    assert (await kept.memory.catch_up(kept.tenant)).waiting == 0
    for collection in ("companies", "knowledge"):
        assert await kept.ids("prefere", collection) == ["b"]
        assert await kept.memory.shelves.count(f"mutirao_{collection}_hash-1-1024", None) == 1


async def test_what_was_deleted_and_came_back_is_found(kept: Kept) -> None:
    await kept.put(ARCHITECT)
    async with kept.db.tenant(kept.tenant) as conn:
        await kept.memory.forget(conn, kept.tenant, "companies", ["c1"])
        await kept.memory.put(conn, kept.tenant, "companies", [ARCHITECT])
    await kept.memory.catch_up(kept.tenant)
    assert await kept.ids("arquitetura") == ["c1"]


async def test_many_items_reach_the_index_though_several_bring_them(kept: Kept) -> None:
    items = [Item(f"i{n}", f"empresa número{n} de exemplo", "file") for n in range(300)]
    await kept.write(*items)
    await asyncio.gather(*(kept.memory.catch_up(kept.tenant) for _ in range(4)))
    assert await kept.memory.shelves.count(MEANING, kept.tenant) == 300
    assert (await kept.ids("número233"))[0] == "i233"


# --- tenants ----------------------------------------------------------------------------------------


async def test_no_question_finds_what_another_tenant_kept(kept: Kept) -> None:
    other = kept.house.other
    secret = Item(
        "c1", "Segredo: margem de 40% na arquitetura", "user", subject=Subject("company", "co_1"), tags=("t",)
    )
    await kept.put(secret, tenant=other)
    await kept.put(Item("mine", "arquitetura de outra pessoa", "user"))
    ways = [
        {},
        {"subjects": [Subject("company", "co_1")]},
        {"tags": ["t"]},
        {"tags": [other]},
        {"subjects": [Subject("tenant", other)]},
        {"tags": ['t"]},"should":[{"key":"tenant","match":{"value":"' + other + '"}}]}']},
    ]
    for way in ways:
        found = await kept.ids("segredo margem arquitetura", **way)
        assert found in ([], ["mine"]), way
    assert (await kept.memory.similar(kept.tenant, "companies", ["c1", Subject("company", "co_1")])).found == []
    async with kept.db.tenant(kept.tenant) as conn:
        assert await kept.memory.forget(conn, kept.tenant, "companies", ["c1"]) == 0
    await kept.memory.catch_up()
    assert await kept.ids("segredo", tenant=other) == ["c1"]


async def test_the_engine_filters_by_tenant_whatever_else_is_asked(kept: Kept) -> None:
    other, shelves = kept.house.other, kept.memory.shelves
    await kept.put(Item("theirs", "arquitetura", "user"), tenant=other)
    point = next(iter(await shelves.ids(MEANING, other)))
    vector = (await shelves.vectors(MEANING, other, [point]))[point]
    assert await shelves.nearest(MEANING, kept.tenant, [vector], 10, Where()) == [[]]
    assert await shelves.vectors(MEANING, kept.tenant, [point]) == {}
    await shelves.remove(MEANING, kept.tenant, [point])
    await shelves.remove(MEANING, kept.tenant, None)
    assert await shelves.count(MEANING, other) == 1
    for nobody in ("", None):
        with pytest.raises(ValueError):
            await shelves.nearest(MEANING, nobody, [vector], 10, Where())  # type: ignore[arg-type]


async def test_a_wrong_index_shows_nobody_the_rows_of_another(kept: Kept) -> None:
    """Even if the index said that another tenant's item is ours, the rows would not give it."""
    other, shelves = kept.house.other, kept.memory.shelves
    await kept.put(Item("theirs", "arquitetura", "user"), tenant=other)
    await kept.put(Item("mine", "padaria", "user"))
    point = next(iter(await shelves.ids(MEANING, other)))
    vector = (await shelves.vectors(MEANING, other, [point]))[point]
    await shelves.put(MEANING, kept.tenant, [Point(point, vector)])
    assert await kept.ids("arquitetura") == []


async def test_how_rare_a_word_is_counts_among_the_tenants_own_items(kept: Kept) -> None:
    async def score(text: str) -> float:
        found = (await kept.memory.search(kept.tenant, "companies", text)).found
        return found[0].why["words"][1]

    await kept.put(Item("a", "arquitetura moderna", "user"), Item("b", "padaria", "user"))
    before = await score("arquitetura")
    await kept.put(*(Item(f"o{n}", "arquitetura", "user") for n in range(20)), tenant=kept.house.other)
    assert await score("arquitetura") == pytest.approx(before)


# --- look-alikes ------------------------------------------------------------------------------------


async def test_look_alikes_are_near_a_known_item_and_say_which(kept: Kept) -> None:
    await kept.put(
        Item("won1", "escritório de arquitetura residencial", "user", subject=Subject("company", "co_1")),
        Item("won2", "clínica odontológica de implantes", "user", subject=Subject("company", "co_2")),
        Item("a", "arquitetura residencial e reformas", "web"),
        Item("b", "odontologia: implantes e próteses, clínica", "web"),
        Item("c", "transportadora de cargas refrigeradas", "web"),
    )
    known = [Subject("company", "co_1"), "won2"]
    recall = await kept.memory.similar(kept.tenant, "companies", known)
    like = {found.item.id: found.like for found in recall.found}
    assert (like["a"], like["b"]) == ("won1", "won2")
    assert [found.item.id for found in recall.found[:2]] in (["a", "b"], ["b", "a"])
    assert not {"won1", "won2"} & set(like)
    fewer = await kept.memory.similar(kept.tenant, "companies", known, without=["a"], limit=1)
    assert [found.item.id for found in fewer.found] == ["b"]
    assert (await kept.memory.similar(kept.tenant, "companies", ["never"])).found == []


# --- an engine that fails -----------------------------------------------------------------------------


async def test_an_index_that_was_wiped_is_filled_again_from_the_rows(kept: Kept) -> None:
    await kept.put(ARCHITECT, DENTIST)
    for name in (WORDS, MEANING):
        await kept.memory.shelves.drop(name)
    recall = await kept.over().memory.search(kept.tenant, "companies", "arquitetura")
    assert (recall.found, recall.available, recall.lacking) == ([], False, ("index_away",))
    assert (await kept.memory.catch_up()).indexed == 4
    assert (await kept.over().ids("arquitetura"))[0] == "c1"


async def test_an_index_with_vectors_of_a_wrong_size_is_made_anew(kept: Kept) -> None:
    await kept.put(ARCHITECT)
    await kept.memory.shelves.drop(MEANING)
    await kept.memory.shelves.make(MEANING, 8)
    recall = await kept.over().memory.search(kept.tenant, "companies", "arquitetura")
    assert [found.item.id for found in recall.found] == ["c1"]
    assert (recall.by, recall.lacking) == (("words",), ("index_away",))
    await kept.memory.catch_up()
    assert "meaning" in (await kept.over().memory.search(kept.tenant, "companies", "arquitetura")).by


async def test_points_that_are_missing_or_too_much_are_noticed_and_mended(kept: Kept) -> None:
    await kept.put(ARCHITECT, DENTIST, BAKERY)
    shelves = kept.memory.shelves
    lost = next(iter(await shelves.ids(WORDS, kept.tenant)))
    await shelves.remove(WORDS, kept.tenant, [lost])
    stray = "00000000-0000-0000-0000-00000000beef"
    await shelves.put(MEANING, kept.tenant, [Point(stray, [0.5] * 1024)])
    kept.clock.advance(timedelta(minutes=11))
    done = await kept.memory.catch_up(kept.tenant)
    assert (done.indexed, done.waiting) == (1, 0)
    assert lost in await shelves.ids(WORDS, kept.tenant)
    assert stray not in await shelves.ids(MEANING, kept.tenant)


async def test_one_call_builds_everything_again(kept: Kept) -> None:
    await kept.put(ARCHITECT, DENTIST)
    await kept.put(Item("k", "manual da marca", "file"), collection="knowledge", tenant=kept.house.other)
    done = await kept.memory.rebuild()
    assert (done.indexed, done.waiting) == (6, 0)
    assert (await kept.ids("arquitetura"))[0] == "c1"
    assert await kept.ids("manual", "knowledge", tenant=kept.house.other) == ["k"]
    assert (await kept.memory.rebuild("knowledge")).indexed == 2


async def test_the_other_engine_is_filled_when_the_settings_change(by_server: Kept, folder: Path) -> None:
    kept = by_server
    await kept.put(ARCHITECT)
    other = EdgeShelves(folder)
    try:
        moved = kept.over(other)
        assert (await moved.memory.search(kept.tenant, "companies", "arquitetura")).lacking == ("being_built",)
        await moved.put(DENTIST)
        assert (await moved.ids("arquitetura"), await moved.ids("odontológica")) == (["c1"], ["c2"])
        # Back again: what changed meanwhile is not what the first one has.
        assert (await kept.memory.catch_up()).indexed == 4
        assert await kept.ids("odontológica") == ["c2"]
    finally:
        await other.close()


async def test_a_server_that_is_away_loses_nothing_and_stops_nobody(
    qdrant: QdrantStandIn, by_server: Kept, clock: FixedClock
) -> None:
    await by_server.put(ARCHITECT)
    gone = by_server.over(ServerShelves(f"http://127.0.0.1:{free_port()}"))
    gone.memory.shelves.place = by_server.memory.shelves.place  # the same server, which nobody reaches
    await gone.write(DENTIST)
    done = await gone.memory.catch_up(gone.tenant)
    assert (done.waiting, done.lacking) == (1, ("index_away",))
    recall = await gone.memory.search(gone.tenant, "companies", "arquitetura")
    assert (recall.found, recall.available, recall.lacking) == ([], False, ("index_away",))
    await gone.memory.shelves.close()
    assert (await by_server.memory.catch_up(gone.tenant)).waiting == 0
    assert await by_server.ids("odontológica") == ["c2"]


@pytest.mark.parametrize("kind", ["drop", "html", "cut", "garble", "answer"])
async def test_whatever_a_broken_server_says_is_no_answer(qdrant: QdrantStandIn, by_server: Kept, kind: str) -> None:
    await by_server.put(ARCHITECT)
    qdrant.fail(kind, 1_000, status=200 if kind == "html" else 500)
    recall = await by_server.memory.search(by_server.tenant, "companies", "arquitetura")
    assert (recall.found, recall.lacking) == ([], ("index_away",))
    await by_server.write(DENTIST)
    assert (await by_server.memory.catch_up()).waiting == 1
    qdrant.http.faults.clear()
    assert (await by_server.memory.catch_up()).waiting == 0


async def test_a_server_that_takes_ten_seconds_is_not_waited_for(qdrant: QdrantStandIn, by_server: Kept) -> None:
    await by_server.put(ARCHITECT)
    hasty = by_server.over(patience=0.2)
    qdrant.fail("slow", 2, seconds=10.0)
    seen = qdrant.http.count
    async with asyncio.timeout(5):
        first = await hasty.memory.search(hasty.tenant, "companies", "arquitetura")
        second = await hasty.memory.search(hasty.tenant, "companies", "arquitetura")
    assert (first.lacking, second.lacking) == (("index_away",), ("index_away",))
    assert qdrant.http.count == seen + 2  # words and meaning, once: the second search left it alone
    qdrant.http.faults.clear()


async def test_a_server_with_a_key_is_asked_with_it(
    memory_db: Database, clock: FixedClock, house: House, recwarn: pytest.WarningsRecorder
) -> None:
    with QdrantStandIn(api_key="k-1") as server:
        settings = Settings(qdrant_url=server.url, qdrant_api_key="k-1", qdrant_prefix="agencia")
        memory = LongTermMemory.from_settings(settings, memory_db, clock)
        mine = Kept(memory, memory_db, clock, house)
        await mine.put(ARCHITECT)
        await memory.close()
        assert sorted(server.collections) == ["agencia_companies_hash-1-1024", "agencia_companies_words-pt-1"]
        wrong = LongTermMemory.from_settings(Settings(qdrant_url=server.url), memory_db, clock)
        assert (await wrong.catch_up()).lacking == ("index_away",)
        await wrong.close()


async def test_the_server_is_told_what_serves_many_tenants(qdrant: QdrantStandIn, by_server: Kept) -> None:
    await by_server.put(ARCHITECT)
    meaning = qdrant.collections[MEANING]
    assert meaning.vectors["v"]["size"] == 1024 and meaning.vectors["v"]["distance"] == "Cosine"
    assert meaning.indexes["tenant"].is_tenant and set(meaning.indexes) == {"tenant", "about", "tags"}
    assert qdrant.collections[WORDS].sparse["v"]["modifier"] == "idf"
    # No text leaves for the index.
    assert "Campinas" not in json.dumps(meaning.points)
    made = next(
        json.loads(body) for method, path, body in qdrant.bodies if (method, path) == ("PUT", f"/collections/{MEANING}")
    )
    assert made["hnsw_config"] == {"m": 0, "payload_m": 16}


# --- embeddings that fail, and change -----------------------------------------------------------------


Remote = Callable[[], OpenAIEmbedding]


async def test_without_an_embedding_items_are_found_by_their_words_and_wait(
    kept: Kept, embeddings: EmbeddingStandIn, remote: Remote
) -> None:
    mine = kept.over(embedding=remote())
    embeddings.fail("answer", 1_000, status=429, body='{"error": {"message": "slow down"}}')
    await mine.write(ARCHITECT)
    done = await mine.memory.catch_up(mine.tenant)
    assert (done.waiting, done.lacking) == (1, ("embedding_away",))
    recall = await mine.memory.search(mine.tenant, "companies", "arquitetura")
    assert ([found.item.id for found in recall.found], recall.by) == (["c1"], ("words",))
    assert recall.lacking == ("being_built",)
    embeddings.heal()
    assert (await mine.memory.catch_up(mine.tenant)).waiting == 0
    assert set((await mine.memory.search(mine.tenant, "companies", "arquitetura")).by) == {"words", "meaning"}
    embeddings.fail("answer", 1_000, status=500)
    recall = await mine.over(embedding=remote()).memory.search(mine.tenant, "companies", "arquitetura")
    assert ([found.item.id for found in recall.found], recall.by, recall.lacking) == (
        ["c1"],
        ("words",),
        ("embedding_away",),
    )


async def test_an_embedding_that_hangs_costs_no_search_its_words(
    by_server: Kept, embeddings: EmbeddingStandIn, remote: Remote
) -> None:
    mine = by_server.over(embedding=remote(), patience=1.0)
    await mine.put(ARCHITECT)
    embeddings.fail("slow", 10, seconds=10.0)
    async with asyncio.timeout(8):
        recall = await mine.memory.search(mine.tenant, "companies", "arquitetura")
        again = await mine.memory.search(mine.tenant, "companies", "arquitetura")
    assert (recall.by, recall.lacking) == (("words",), ("embedding_away",))
    assert again.by == ("words",)
    embeddings.heal()


async def test_another_model_is_filled_in_while_words_go_on(kept: Kept, remote: Remote) -> None:
    await kept.put(ARCHITECT, DENTIST)
    mine = kept.over(embedding=remote())
    recall = await mine.memory.search(mine.tenant, "companies", "arquitetura")
    assert ([found.item.id for found in recall.found], recall.by, recall.lacking) == (
        ["c1"],
        ("words",),
        ("being_built",),
    )
    assert (await mine.memory.catch_up()).indexed == 2  # the words are as they were
    recall = await mine.memory.search(mine.tenant, "companies", "arquitetura")
    assert (set(recall.by), recall.lacking) == ({"words", "meaning"}, ())
    new = "mutirao_companies_text-embedding-3-small-256"
    assert await kept.memory.shelves.count(new, kept.tenant) == 2
    # Erasing reaches the shelf of the former model too, and a day later that shelf is gone.
    async with mine.db.tenant(mine.tenant) as conn:
        await mine.memory.forget(conn, mine.tenant, "companies", ["c1"])
    await mine.memory.catch_up()
    assert [await kept.memory.shelves.count(name, None) for name in (new, MEANING)] == [1, 1]
    mine.clock.advance(timedelta(hours=23))
    await mine.memory.catch_up()
    assert await kept.memory.shelves.look(MEANING) is not None
    mine.clock.advance(timedelta(hours=2))
    await mine.memory.catch_up()
    assert await kept.memory.shelves.look(MEANING) is None


# --- jobs -----------------------------------------------------------------------------------------------


async def test_a_change_is_followed_by_a_job_of_the_same_transaction(by_folder: Kept, house: House) -> None:
    jobs = Jobs(house.dsns.app)
    mine = by_folder.over(jobs=jobs)
    mine.memory.declare()
    await jobs.open()
    stop = asyncio.Event()
    worker = asyncio.create_task(jobs.run_worker(stop))
    try:
        await mine.write(ARCHITECT)
        with psycopg.connect(house.dsns.owner, autocommit=True) as conn:

            def indexed() -> bool:
                row = conn.execute("SELECT words_version * meaning_version FROM memory_items").fetchone()
                return row is not None and row[0] == 1

            await until(indexed)
        assert await mine.ids("arquitetura") == ["c1"]
    finally:
        stop.set()
        await worker
        await jobs.close()


# --- one folder, several processes ------------------------------------------------------------------------


async def test_several_on_one_folder_search_and_write_and_any_may_leave(by_folder: Kept, folder: Path) -> None:
    first, beside = by_folder, by_folder.over(EdgeShelves(folder))
    await first.put(ARCHITECT)
    await beside.put(DENTIST)
    assert (await beside.ids("arquitetura"), await first.ids("odontológica")) == (["c1"], ["c2"])
    await first.memory.shelves.close()
    assert await beside.ids("arquitetura") == ["c1"]
    await beside.memory.shelves.close()
    assert engine_of(folder) is None  # the last one that left has stopped it
    assert await first.ids("odontológica") == ["c2"]


async def test_an_engine_that_is_killed_comes_back_with_everything(by_folder: Kept, folder: Path) -> None:
    await by_folder.put(ARCHITECT, DENTIST)
    killed = engine_of(folder)
    assert killed is not None
    os.kill(killed, signal.SIGKILL)
    assert await by_folder.ids("arquitetura") == ["c1"]
    assert engine_of(folder) not in (None, killed)
    assert (await by_folder.memory.catch_up()).indexed == 0


async def test_whoever_gives_up_while_the_engine_starts_leaves_no_engine_behind(folder: Path) -> None:
    shelves = EdgeShelves(folder)
    asking = asyncio.create_task(shelves.ready())
    await until((folder / "change.lock").exists)
    asking.cancel()
    await asyncio.wait({asking})
    assert await shelves.look("mutirao_x_words") is None
    await shelves.close()
    assert engine_of(folder) is None


async def test_the_engine_talks_to_nobody_but_our_user(by_folder: Kept, folder: Path) -> None:
    await by_folder.put(ARCHITECT)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "engine.sock").stat().st_mode) & 0o077 == 0


async def test_a_question_that_was_given_up_does_not_answer_the_next(by_folder: Kept) -> None:
    shelves = by_folder.memory.shelves
    await by_folder.put(ARCHITECT, DENTIST)
    for _ in range(5):
        asking = asyncio.create_task(shelves.ids(WORDS, by_folder.tenant))
        await asyncio.sleep(0)
        asking.cancel()
        assert await shelves.count(WORDS, by_folder.tenant) == 2


def engine_of(folder: Path) -> int | None:
    """The process of the engine, None when it does not run."""
    try:
        return int(json.loads((folder / "server.json").read_text())["pid"])
    except FileNotFoundError:
        return None


async def test_a_folder_that_cannot_be_used_means_no_recall_and_no_crash(by_folder: Kept, folder: Path) -> None:
    folder.write_text("a file where the folder should be")
    mine = by_folder
    await mine.write(ARCHITECT)
    assert (await mine.memory.catch_up()).lacking == ("index_away",)
    assert not (await mine.memory.search(mine.tenant, "companies", "arquitetura")).available
    folder.unlink()
    assert (await mine.memory.catch_up()).waiting == 0
    await mine.memory.close()


async def test_a_shelf_that_cannot_be_opened_is_built_again(by_folder: Kept, folder: Path) -> None:
    mine = by_folder
    await mine.put(ARCHITECT)
    await mine.memory.shelves.close()
    shutil.rmtree(folder / "shelves" / MEANING / "shard")
    again = mine.over(EdgeShelves(folder))
    assert (await again.memory.search(mine.tenant, "companies", "arquitetura")).by == ("words",)
    await again.memory.catch_up()
    assert set((await again.over(patience=20.0).memory.search(mine.tenant, "companies", "arquitetura")).by) == {
        "words",
        "meaning",
    }
    await again.memory.close()


async def test_a_long_path_to_the_folder_is_no_obstacle(folder: Path) -> None:
    deep = folder / ("d" * 60) / ("e" * 60)
    first, second = EdgeShelves(deep), EdgeShelves(deep)
    await first.make("mutirao_x_words", None)
    assert await second.count("mutirao_x_words", None) == 0
    await second.close()
    await first.close()


async def test_by_default_the_index_is_in_the_data_folder_and_by_spelling(
    memory_db: Database, clock: FixedClock, tmp_path: Path
) -> None:
    memory = LongTermMemory.from_settings(Settings(data_dir=tmp_path), memory_db, clock)
    assert isinstance(memory.shelves, EdgeShelves) and isinstance(memory.embedding, HashEmbedding)
    assert list(tmp_path.iterdir()) == []  # nothing is opened before it is needed
