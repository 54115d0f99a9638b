"""Imports as rows: one per file, made good after a crash, announced once, of one tenant."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from business.ads.importer import Hints
from business.ads.imports import JOB, Imports
from core.clock import FixedClock
from core.db import Database
from core.errors import ArgumentsWrong, Refused
from core.files import Files
from core.jobs import Jobs
from core.money import Money
from core.tenancy import Identity, Role
from tests.conftest import Dsns, Tenants

HEAD = "Nome da campanha;Dia;Valor usado (BRL);Impressões\n"


@dataclass
class Desk:
    """Where the director of one tenant brings files; jobs wait in the queue, nobody works them off."""

    database: Database
    files: Files
    imports: Imports
    tenants: Tenants

    @property
    def me(self) -> Identity:
        return self.tenants.one[Role.DIRETOR]

    async def stored(self, text: str, name: str = "export.csv") -> str:
        file = await self.files.store(self.me, text.encode(), name=name, mime="text/csv")
        return file.id

    async def count(self, table: str) -> int:
        async with self.database.tenant(self.me.tenant_id) as conn:
            row = await (await conn.execute(f"SELECT count(*) AS n FROM {table}".encode())).fetchone()
        assert row is not None
        return int(row["n"])


@pytest.fixture
async def desk(database: Database, tenants: Tenants, clock: FixedClock, dsns: Dsns) -> AsyncIterator[Desk]:
    jobs = Jobs(dsns.app)

    async def never(**ids: Any) -> None:
        raise AssertionError("nobody works here")

    jobs.task(JOB, never)
    await jobs.open()
    files = Files(database)
    yield Desk(database, files, Imports(database, files, jobs, clock), tenants)
    await jobs.close()


def lines(count: int) -> str:
    return HEAD + "".join(f"Campanha {n % 7};2026-11-{n % 19 + 1:02d};{n % 90},25;{n % 50}\n" for n in range(count))


async def test_a_crash_in_the_middle_is_made_good_by_running_again(desk: Desk) -> None:
    started = await desk.imports.start(desk.me, await desk.stored(lines(12_000)))
    first_batch = asyncio.Event()

    def progress(rows: int) -> None:
        first_batch.set()

    dying = asyncio.create_task(desk.imports.run(desk.me.tenant_id, started.id, progress))
    await first_batch.wait()
    dying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await dying
    assert (await desk.imports.get(desk.me.tenant_id, started.id)).state == "reading"
    assert 0 < await desk.count("ad_import_rows") < 12_000

    done = await desk.imports.run(desk.me.tenant_id, started.id)
    assert (done.state, done.rows) == ("done", 12_000)
    assert await desk.count("ad_import_rows") == 12_000
    assert await desk.count("ad_imports") == 1
    total = sum((Decimal(n % 90) + Decimal("0.25") for n in range(12_000)), Decimal(0))
    assert done.total_spend == Money(total, "BRL")


async def test_an_import_that_a_crash_left_is_finished_by_whoever_brings_the_file_again(
    desk: Desk, tmp_path: Path
) -> None:
    left = await desk.imports.start(desk.me, await desk.stored(lines(10)))
    path = tmp_path / "again.csv"
    path.write_text(lines(10), encoding="utf-8")
    done = await desk.imports.import_path(desk.me, path)
    assert (done.id, done.state, done.rows) == (left.id, "done", 10)
    assert await desk.count("files") == 1  # the second copy is not kept


async def test_run_twice_at_once_it_is_read_once(desk: Desk) -> None:
    started = await desk.imports.start(desk.me, await desk.stored(lines(100)))
    both = await asyncio.gather(*(desk.imports.run(desk.me.tenant_id, started.id) for _ in range(2)))
    assert [done.rows for done in both] == [100, 100]
    assert await desk.count("ad_import_rows") == 100


async def test_the_same_file_brought_twice_at_once_is_one_import(desk: Desk) -> None:
    files = [await desk.stored(lines(5), name) for name in ("a.csv", "b.csv")]
    first, second = await asyncio.gather(*(desk.imports.start(desk.me, file) for file in files))
    assert first.id == second.id
    assert sorted([first.already, second.already]) == [False, True]
    assert await desk.count("ad_imports") == 1


async def test_other_hints_read_the_same_file_anew_instead_of_a_second_time(desk: Desk) -> None:
    text = "Campanha;Dia;Valor usado (BRL);Impressões;Pessoas\nA;2026-11-01;1,50;100;40\n"
    file = await desk.stored(text)
    first = await desk.imports.run(desk.me.tenant_id, (await desk.imports.start(desk.me, file)).id)
    assert first.ignored == ["Pessoas"]
    again = await desk.imports.start(desk.me, file, Hints(columns={"Pessoas": "reach"}))
    assert (again.id, again.state, again.already) == (first.id, "waiting", False)
    second = await desk.imports.run(desk.me.tenant_id, again.id)
    assert (second.ignored, second.rows) == ([], 1)
    assert (await desk.imports.start(desk.me, file)).already  # what was said stays said
    assert (await desk.imports.start(desk.me, file, Hints(columns={"Pessoas": "reach"}))).already
    assert await desk.count("ad_imports") == 1


async def test_what_the_beginning_did_not_show_ends_the_import_with_the_question(desk: Desk) -> None:
    text = HEAD + "A;2026-11-01;10;10\n" * 2_500 + "B;2026-11-02;1.234;10\n"
    file = await desk.stored(text)
    failed = await desk.imports.run(desk.me.tenant_id, (await desk.imports.start(desk.me, file)).id)
    assert failed.state == "failed"
    assert failed.error == ("import_decimals_ambiguous", {"example": "1.234"})
    assert await desk.count("ad_import_rows") == 0
    done = await desk.imports.run(desk.me.tenant_id, (await desk.imports.start(desk.me, file, Hints(decimals=","))).id)
    assert done.total_spend == Money(Decimal(26_234), "BRL")


async def test_a_file_without_one_good_line_fails_and_says_so(desk: Desk) -> None:
    file = await desk.stored(HEAD + "A;2027-01-01;1,50;1\n")
    failed = await desk.imports.run(desk.me.tenant_id, (await desk.imports.start(desk.me, file)).id)
    assert failed.error == ("import_no_rows", {"bad": 1})


async def test_every_bad_line_is_counted_by_its_reason_and_the_first_ones_are_told(desk: Desk) -> None:
    bad = "".join(f"B;2026-11-01;-{n},50;1\n" for n in range(1, 301)) + "C;2026-11-31;1,50;1\n" * 2
    file = await desk.stored(HEAD + "A;2026-11-01;1,50;1\n" + bad)
    done = await desk.imports.run(desk.me.tenant_id, (await desk.imports.start(desk.me, file)).id)
    assert (done.rows, done.bad, len(done.problems)) == (1, 302, 200)
    assert done.reasons == {"import.bad.negative": 300, "import.bad.date": 2}
    assert done.problems[0] == (
        "import.bad.negative",
        {"line": 3, "column": "Valor usado (BRL)", "value": "-1,50"},
    )


@pytest.mark.parametrize(("total", "notes"), [("4,00", 0), ("4,01", 0), ("9,00", 1)])
async def test_the_files_own_total_is_compared_with_the_sum(desk: Desk, total: str, notes: int) -> None:
    file = await desk.stored(HEAD + f";;{total};3\nA;2026-11-01;1,50;1\nB;2026-11-01;2,50;2\n")
    done = await desk.imports.run(desk.me.tenant_id, (await desk.imports.start(desk.me, file)).id)
    assert (done.totals, done.total_spend, len(done.notes)) == (1, Money(Decimal("4.00"), "BRL"), notes)
    if notes:
        assert done.notes[0][1]["told"] == Money(Decimal("9.00"), "BRL")


async def test_it_is_announced_once_to_the_conversation_that_waits(desk: Desk) -> None:
    me = desk.me.tenant_id
    started = await desk.imports.start(desk.me, await desk.stored(lines(3)))
    assert (await desk.imports.announce_in(me, started.id, "conv_1")).state == "waiting"
    assert await desk.imports.take_announcement(me, started.id) is None  # not over yet
    await desk.imports.run(me, started.id)
    taken = await asyncio.gather(*(desk.imports.take_announcement(me, started.id) for _ in range(4)))
    assert sorted(taken, key=str) == [None, None, None, "conv_1"]


async def test_nothing_is_announced_when_it_was_over_before_anybody_waited(desk: Desk) -> None:
    me = desk.me.tenant_id
    started = await desk.imports.start(desk.me, await desk.stored(lines(3)))
    await desk.imports.run(me, started.id)
    assert (await desk.imports.announce_in(me, started.id, "conv_1")).state == "done"
    assert await desk.imports.take_announcement(me, started.id) is None


@pytest.mark.parametrize("role", [Role.COMERCIAL, Role.AGENTE_IA, Role.CLIENTE])
async def test_who_may_not_change_ads_brings_no_files(desk: Desk, tmp_path: Path, role: Role) -> None:
    path = tmp_path / "export.csv"
    path.write_text(lines(3), encoding="utf-8")
    with pytest.raises(Refused) as refused:
        await desk.imports.import_path(desk.tenants.one[role], path)
    assert refused.value.code == "import_not_allowed"
    assert (await desk.count("files"), await desk.count("ad_imports")) == (0, 0)


async def test_a_workbook_is_imported_whatever_its_file_is_called(desk: Desk, tmp_path: Path) -> None:
    from openpyxl import Workbook

    book = Workbook()
    assert book.active is not None
    book.active.append(["Nome da campanha", "Dia", "Valor usado (BRL)", "Impressões"])
    book.active.append(["Natal", date(2026, 11, 1), 1234.56, 45210])
    book.active.append(["Natal", "2026-11-02", "980,44", "39.000"])
    book.active.append([None, None, 2215, 84210])
    path = tmp_path / "Relatório sem fim"
    book.save(path)
    done = await desk.imports.import_path(desk.me, path)
    assert (done.state, done.rows, done.totals, done.notes) == ("done", 2, 1, [])
    assert done.total_spend == Money(Decimal("2215.00"), "BRL")


async def test_another_tenant_can_neither_start_nor_read_it(desk: Desk) -> None:
    file = await desk.stored(lines(3))
    started = await desk.imports.start(desk.me, file)
    stranger = desk.tenants.other[Role.DIRETOR]
    for attempt in (
        desk.imports.start(stranger, file),
        desk.imports.get(stranger.tenant_id, started.id),
        desk.imports.run(stranger.tenant_id, started.id),
    ):
        with pytest.raises(Refused):
            await attempt
    assert await desk.imports.take_announcement(stranger.tenant_id, started.id) is None


async def test_a_file_that_cannot_be_read_is_not_kept(desk: Desk, tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    path.write_text("Campanha;Dia;Valor usado\nA;2026-11-01;1,50\n", encoding="utf-8")
    with pytest.raises(ArgumentsWrong) as asked:
        await desk.imports.import_path(desk.me, path)
    assert asked.value.code == "import_currency_unknown"
    assert await desk.count("files") == 0


async def test_names_with_every_kind_of_mark_arrive_as_they_are(desk: Desk) -> None:
    names = ['{Natal, "50%"}', "back\\slash", "NULL", "emoji 🎄", "it's", "  spaces  ", "=1+1", "a\tb"]
    text = HEAD + "".join(f'"{name.replace(chr(34), chr(34) * 2)}";2026-11-01;1,00;1\n' for name in names)
    file = await desk.stored(text)
    done = await desk.imports.run(desk.me.tenant_id, (await desk.imports.start(desk.me, file)).id)
    assert done.rows == len(names)
    async with desk.database.tenant(desk.me.tenant_id) as conn:
        found = await (await conn.execute("SELECT campaign FROM ad_import_rows ORDER BY row_no")).fetchall()
    assert [row["campaign"] for row in found] == [name.strip() for name in names]


async def test_the_days_of_a_file_are_those_of_the_persons_zone(desk: Desk, clock: FixedClock) -> None:
    clock.at = clock.at.replace(day=21, hour=1)  # still the 20th in São Paulo
    file = await desk.stored(HEAD + "A;2026-11-20;1,00;1\nB;2026-11-21;1,00;1\n")
    done = await desk.imports.run(desk.me.tenant_id, (await desk.imports.start(desk.me, file)).id)
    assert (done.since, done.until, done.reasons) == (date(2026, 11, 20), date(2026, 11, 20), {"import.bad.future": 1})
