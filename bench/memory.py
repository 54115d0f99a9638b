"""The long-term memory, measured: how fast the embedded one is, how much it takes, and how well it finds.

`python -m bench.memory` takes about a minute, starts an embedded PostgreSQL of its own and leaves nothing behind.
`--items 10000` says how many (0: only the quality). Quality is read from tests/memory/data/paraphrases.yaml: for each
question the place of the one note that answers it, among all notes.
"""

import argparse
import asyncio
import json
import random
import resource
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg
import yaml

from bench.machine import Machine
from core.clock import SystemClock
from core.db import Database
from core.migrate import migrate
from core.postgres import Postgres
from memory.long_term import Item, LongTermMemory, Recall
from memory.shelf_edge import EdgeShelves

PAIRS = Path(__file__).parents[1] / "tests" / "memory" / "data" / "paraphrases.yaml"
TENANT = "tenant_bench"


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.memory")
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--part", choices=["dev", "test"], default="test", help="of the labelled questions")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mutirao-bench-") as name:
        folder = Path(name)
        with Postgres.start(folder) as postgres:
            migrate(postgres.owner_dsn, app_dsn=postgres.app_dsn)
            with psycopg.connect(postgres.owner_dsn) as conn:
                conn.execute("INSERT INTO tenants (id, name, slug) VALUES (%s, 'Bench', 'bench')", [TENANT])
            db = Database(postgres.app_dsn)
            await db.open()
            memory = LongTermMemory(db, SystemClock(), EdgeShelves(folder / "memory"), patience=30.0)
            try:
                print(Machine.now())
                await quality(memory, db, asked.part)
                if asked.items:
                    engine = json.loads((folder / "memory" / "server.json").read_text())["pid"]
                    await speed(memory, db, asked.items, engine)
            finally:
                await memory.close()
                await db.close()


async def quality(memory: LongTermMemory, db: Database, part: str) -> None:
    """How often the note that answers is first, or among the first three."""
    data = yaml.safe_load(PAIRS.read_text(encoding="utf-8"))
    notes = [pair["note"] for which in ("dev", "test") for pair in data[which]] + data["others"]
    await keep(memory, db, "paraphrases", [Item(note, note, "user") for note in notes])
    print(f"\n{len(data[part])} questions ({part}), {len(notes)} notes      first / first three, of each kind")
    ways = {"words (BM25)": ("words",), "hash": ("meaning",), "both": ("words", "meaning")}
    places: dict[str, list[tuple[str, int]]] = {way: [] for way in ways}
    for pair in data[part]:
        recall = await memory.search(TENANT, "paraphrases", pair["ask"], limit=50)
        for way, kinds in ways.items():
            places[way].append((pair["kind"], place(recall, pair["note"], kinds)))
    for way, found in places.items():
        line = [f"{way:14}"]
        for kind in ("forms", "typos", "part", "synonyms", None):
            mine = [where for of, where in found if kind in (of, None)]
            if not mine:
                continue
            first, three = sum(where == 1 for where in mine), sum(where <= 3 for where in mine)
            line.append(f"{kind or 'all':>9} {first / len(mine):4.0%} /{three / len(mine):4.0%} of {len(mine)}")
        print("  ".join(line))


def place(recall: Recall, note: str, kinds: tuple[str, ...]) -> int:
    """Where a note is among what these kinds found; 1,000 when nowhere."""
    if len(kinds) == 2:
        ids = [found.item.id for found in recall.found]
    else:
        ranked = [(found.why[kind][0], found.item.id) for kind in kinds for found in recall.found if kind in found.why]
        ids = [note_id for _, note_id in sorted(ranked)]
    return ids.index(note) + 1 if note in ids else 1_000


async def speed(memory: LongTermMemory, db: Database, count: int, engine: int) -> None:
    draw = random.Random(1)
    words = (
        "loja clínica escritório arquitetura padaria oficina escola moda pet imóveis saúde beleza obra curso".split()
    )
    places = "Campinas Santos Recife Curitiba Belém Goiânia Natal Vitória Manaus Maringá".split()
    items = [
        Item(
            f"i{n}",
            f"{' '.join(draw.sample(words, 4))} {draw.choice(places)} número {n}",
            "web",
            tags=[draw.choice(places)],
        )
        for n in range(count)
    ]
    before, start = memory_mb(), time.perf_counter()
    await write(memory, db, "speed", items)
    rows, start = time.perf_counter() - start, time.perf_counter()
    stall = Stall()
    await memory.catch_up(TENANT)
    print(f"\n{count:,} items: rows {rows:.1f} s, index {time.perf_counter() - start:.1f} s,", end=" ")
    print(f"RSS {before:.0f} MB before, {memory_mb():.0f} MB after, the engine's {memory_mb(engine):.0f} MB;", end=" ")
    print(f"the loop stood still for {await stall.worst() * 1e3:.0f} ms at most")
    await timed("one item, row", 50, lambda n: write(memory, db, "speed", [Item(f"n{n}", f"nota {n} nova", "user")]))
    await timed(
        "one item, row and index", 50, lambda n: keep(memory, db, "speed", [Item(f"m{n}", f"outra {n}", "user")])
    )
    asks = [" ".join(draw.sample(words, 2)) for _ in range(300)]
    await timed("search", 300, lambda n: memory.search(TENANT, "speed", asks[n]))
    await timed("search, one tag", 300, lambda n: memory.search(TENANT, "speed", asks[n], tags=["Santos"]))
    known = [f"i{n}" for n in range(20)]
    await timed("similar to 20", 20, lambda n: memory.similar(TENANT, "speed", known))
    start = time.perf_counter()
    await memory.rebuild("speed")
    print(f"rebuild of {count:,}: {time.perf_counter() - start:.1f} s, the engine's RSS {memory_mb(engine):.0f} MB")
    await timed("search after it", 300, lambda n: memory.search(TENANT, "speed", asks[n]))


async def write(memory: LongTermMemory, db: Database, collection: str, items: list[Item]) -> None:
    for start in range(0, len(items), 1_000):
        async with db.tenant(TENANT) as conn:
            await memory.put(conn, TENANT, collection, items[start : start + 1_000])


async def keep(memory: LongTermMemory, db: Database, collection: str, items: list[Item]) -> None:
    await write(memory, db, collection, items)
    await memory.catch_up(TENANT)


async def timed(what: str, times: int, call: Any) -> None:
    taken = []
    for n in range(times):
        start = time.perf_counter()
        await call(n)
        taken.append((time.perf_counter() - start) * 1_000)
    cuts = statistics.quantiles(taken, n=20)
    print(f"{what:26} p50 {statistics.median(taken):6.1f} ms   p95 {cuts[18]:6.1f} ms   of {times}")


class Stall:
    """How long the event loop did nothing else, since it was made."""

    def __init__(self) -> None:
        self._gaps = [0.0]
        self._task = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        last = time.perf_counter()
        while True:
            await asyncio.sleep(0.001)
            now = time.perf_counter()
            self._gaps.append(now - last)
            last = now

    async def worst(self) -> float:
        """In seconds."""
        self._task.cancel()
        return max(self._gaps)


def memory_mb(pid: int | str = "self") -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


if __name__ == "__main__":
    asyncio.run(main())
