"""Ads Manager exports from the file to the analyst: totals equal a calculation by hand, nothing is silently dropped."""

import io
import zipfile
from collections.abc import AsyncIterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from business.ads.file_source import FileSource
from business.ads.importer import Bad, Hints, Row, TotalsLine, inspect, read
from business.ads.imports import JOB, Imported, Imports
from business.ads.metrics import ResultKind
from business.ads.model import Account, AdsSource, Level, Status, Window
from business.ads.service import AdsService
from core.clock import FixedClock
from core.db import Database
from core.errors import ArgumentsWrong, MutiraoError, Refused
from core.files import Files
from core.jobs import Jobs
from core.money import Money
from core.tenancy import Identity, Role
from tests.conftest import Tenants

TODAY = date(2026, 11, 20)
ZONE = "America/Sao_Paulo"

PIXEL, CHAT = (
    "actions:offsite_conversion.fb_pixel_purchase",
    "actions:onsite_conversion.messaging_conversation_started_7d",
)
PT = "\n".join(
    ";".join(cells)
    for cells in [
        [
            *("Nome da campanha", "Dia", "Veiculação da campanha", "Valor usado (BRL)", "Impressões", "Alcance"),
            *("Cliques no link", "Cliques (todos)", "Resultados", "Indicador de resultados"),
            *("Valor de conversão da compra", "Início dos relatórios", "Término dos relatórios"),
        ],
        *(
            [*row.split("|"), "2026-11-01", "2026-11-02"]
            for row in (
                f"Natal - Remarketing|2026-11-01|active|1.234,56|45.210|30.100|812|1.020|12|{PIXEL}|3.456,70",
                f"Natal - Remarketing|2026-11-02|active|980,44|39.000|27.500|700|905|8|{PIXEL}|2.100,00",
                f"WhatsApp - Agenda|2026-11-01|inactive|150,00|9.800|8.000|210|260|31|{CHAT}|",
                f"WhatsApp - Agenda|2026-11-02|inactive|145,50|9.100|7.700|190|233|29|{CHAT}|",
                "|||2.510,50|103.110|61.000|1.912|2.418|||5.556,70",  # the line of totals
            )
        ),
    ]
)

EN = """\
Campaign name,Day,Amount spent (USD),Impressions,Link clicks,Website purchases,Purchases conversion value
Holiday,2026-11-01,"1,234.56","45,210",812,12,"3,456.70"
Holiday,2026-11-02,980.44,39000,700,8,2100
"""


def write(folder: Path, text: str, encoding: str = "utf-8", name: str = "export.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def sheet(folder: Path, rows: list[list[Any]]) -> Path:
    from openpyxl import Workbook

    book = Workbook(write_only=True)
    page = book.create_sheet()
    for row in rows:
        page.append(row)
    path = folder / "export.xlsx"
    book.save(path)
    return path


def typed(path: Path, hints: Hints | None = None) -> list[Row | Bad | TotalsLine]:
    return list(read(path, inspect(path, hints or Hints()), today=TODAY))


def rows_of(path: Path, hints: Hints | None = None) -> list[Row]:
    return [item for item in typed(path, hints) if isinstance(item, Row)]


def code_of(path: Path, hints: Hints | None = None) -> str:
    with pytest.raises(ArgumentsWrong) as wrong:
        list(read(path, inspect(path, hints or Hints()), today=TODAY))
    return wrong.value.code


# --- the layout is decided ---------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_a_portuguese_export_is_read_in_every_encoding_that_excel_writes(tmp_path: Path, encoding: str) -> None:
    layout = inspect(write(tmp_path, PT, encoding), Hints())
    assert (layout.currency, layout.decimals, layout.daily) == ("BRL", ",", True)
    first, *_ = rows_of(write(tmp_path, PT, encoding))
    assert (first.campaign, first.since, first.numbers["spend"]) == (
        "Natal - Remarketing",
        date(2026, 11, 1),
        Decimal("1234.56"),
    )
    assert first.numbers["impressions"] == 45_210


def test_an_english_export_is_read_with_its_own_decimals(tmp_path: Path) -> None:
    layout = inspect(write(tmp_path, EN), Hints())
    assert (layout.currency, layout.decimals) == ("USD", ".")
    assert [row.numbers["spend"] for row in rows_of(write(tmp_path, EN))] == [Decimal("1234.56"), Decimal("980.44")]


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(tmp_path: Path, mark: str) -> None:
    text = mark.join(["Nombre de la campaña", "Día", "Importe gastado (MXN)", "Impresiones"]).replace("Día", "Fecha")
    text += "\n" + mark.join(['"Verano"', "2026-11-01", '"1.234,50"', "1000"]) + "\n"
    (row,) = rows_of(write(tmp_path, text))
    assert (row.campaign, row.numbers["spend"]) == ("Verano", Decimal("1234.50"))


def test_a_workbook_is_read_with_real_numbers_and_dates(tmp_path: Path) -> None:
    path = sheet(
        tmp_path,
        [
            ["Nome da campanha", "Dia", "Valor usado (BRL)", "Impressões"],
            ["Natal", datetime(2026, 11, 1), 1234.56, 45210],
            ["Natal", date(2026, 11, 2), 980.44, 39000],
            [None, None, 2215.0, 84210],
        ],
    )
    found = typed(path)
    assert [row.numbers["spend"] for row in found if isinstance(row, Row)] == [Decimal("1234.56"), Decimal("980.44")]
    assert isinstance(found[-1], TotalsLine)


def test_headers_are_matched_by_meaning_and_the_user_can_say_the_rest(tmp_path: Path) -> None:
    path = write(tmp_path, "Nome da Campanha;DIA;Investido;Impressoes\nNatal;01/11/2026;10,50;100\n")
    assert code_of(path) == "import_columns_unknown"
    (row,) = rows_of(path, Hints(columns={"Investido": "spend"}, currency="BRL"))
    assert row.numbers == {"spend": Decimal("10.50"), "impressions": 100}
    assert code_of(path, Hints(columns={"Investido": "money"})) == "import_map_unknown"
    assert code_of(path, Hints(columns={"Gasto total": "spend"})) == "import_map_unknown"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Campanha;Dia;Valor usado (BRL)\nA;2026-11-01;1.234\n", "import_decimals_ambiguous"),
        ("Campanha;Dia;Valor usado (BRL)\nA;2026-11-01;1,50\nB;2026-11-01;2.50\n", "import_decimals_mixed"),
        ("Campanha;Dia;Valor usado\nA;2026-11-01;1,50\n", "import_currency_unknown"),
        ("Campanha;Dia;Valor usado;Moeda\nA;2026-11-01;1,5;BRL\nB;2026-11-01;2,5;USD\n", "import_currencies_mixed"),
        ("Campaign name,Day,Amount spent (USD)\nA,03/04/2026,1.50\n", "import_dates_ambiguous"),
    ],
)
def test_what_cannot_be_decided_is_asked_instead_of_guessed(tmp_path: Path, text: str, code: str) -> None:
    assert code_of(write(tmp_path, text)) == code


def test_an_answered_question_settles_it(tmp_path: Path) -> None:
    path = write(tmp_path, "Campanha;Dia;Valor usado (BRL)\nA;2026-11-01;1.234\n")
    assert rows_of(path, Hints(decimals=","))[0].numbers["spend"] == 1234
    assert rows_of(path, Hints(decimals="."))[0].numbers["spend"] == Decimal("1.234")
    dates = write(tmp_path, "Campaign name,Day,Amount spent (USD)\nA,03/04/2026,1.50\n")
    assert rows_of(dates, Hints(dates="dmy"))[0].since == date(2026, 4, 3)
    assert rows_of(dates, Hints(dates="mdy"))[0].since == date(2026, 3, 4)


# --- bad lines and bad files -------------------------------------------------------------------------


def test_every_bad_line_is_reported_with_its_number_and_reason(tmp_path: Path) -> None:
    head = "Campanha;Dia;Valor usado (BRL);Impressões;Moeda\n"
    lines = [
        "A;2026-11-01;10,50;100;BRL",
        "B;2026-11-01;-3,00;100;BRL",
        "C;2026-11-01;muito;100;BRL",
        "D;30/02/2026;1,00;100;BRL",
        "E;2026-12-01;1,00;100;BRL",
        "F;2026-11-01;1,00;10,5;BRL",
        "G;2026-11-01;99999999999999,00;100;BRL",
        "H;2026-11-01;1,00;100;BRL",
    ]
    found = typed(write(tmp_path, head + "\n".join(lines) + "\n"))
    assert [item.line for item in found if isinstance(item, Row)] == [2, 9]
    assert {item.line: item.reason for item in found if isinstance(item, Bad)} == {
        3: "import.bad.negative",
        4: "import.bad.number",
        5: "import.bad.date",
        6: "import.bad.future",
        7: "import.bad.absurd",
        8: "import.bad.absurd",
    }
    assert len(found) == len(lines)


def test_totals_lines_are_recognised_and_not_counted(tmp_path: Path) -> None:
    found = typed(write(tmp_path, PT))
    assert len([item for item in found if isinstance(item, Row)]) == 4
    (total,) = [item for item in found if isinstance(item, TotalsLine)]
    assert total.spend == Decimal("2510.50")


def a_zip(content: bytes = b"hello") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("note.txt", content)
    return out.getvalue()


def a_bomb() -> bytes:
    """A workbook of a few kilobytes that claims gigabytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
        archive.writestr("xl/sharedStrings.xml", b"0" * 250_000_000)
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "import_empty"),
        (b"\n\n  \n", "import_empty"),
        (b"Campanha;Dia;Valor usado (BRL)\n", "import_empty"),
        (b"%PDF-1.7\n...", "import_not_a_table"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "import_not_a_table"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\x00" * 100, "import_not_a_table"),
        (b"\x00\x01\x02\x03" * 100, "import_not_a_table"),
        (b"PK\x03\x04 but broken", "import_not_a_table"),
        (a_zip(), "import_not_a_table"),
        ("Oi! Tudo bem?\nEste texto não é uma tabela.\n".encode(), "import_not_a_table"),
        (a_bomb(), "import_too_large_unpacked"),
        (b";".join([b"c"] * 500) + b"\n" + b";".join([b"1"] * 500) + b"\n", "import_too_wide"),
    ],
    ids=["nothing", "blank", "only-header", "pdf", "png", "xls", "binary", "broken", "zip", "prose", "bomb", "wide"],
)
def test_a_file_that_is_no_export_is_told_in_words(tmp_path: Path, content: bytes, code: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    assert code_of(path) == code


# --- stored, typed, analysed -------------------------------------------------------------------------


class Office:
    """Imports and the analyst for one tenant's director."""

    def __init__(self, database: Database, tenants: Tenants, clock: FixedClock, jobs: Jobs) -> None:
        self.me: Identity = tenants.one[Role.DIRETOR]
        self.other: Identity = tenants.other[Role.DIRETOR]
        self.imports = Imports(database, Files(database), jobs, clock)

        async def sources(tenant_id: str) -> list[AdsSource]:
            return [FileSource(database, tenant_id)]

        self.ads = AdsService(sources, clock)

    async def bring(self, path: Path, hints: Hints | None = None, **options: Any) -> Imported:
        done = await self.imports.import_path(self.me, path, hints, **options)
        assert done.state == "done", done.error
        return done

    async def account(self, done: Imported) -> Account:
        return await self.ads.find_account(self.me, done.account_id)


@pytest.fixture
async def office(database: Database, tenants: Tenants, clock: FixedClock, dsns: Any) -> AsyncIterator[Office]:
    jobs = Jobs(dsns.app)

    async def run(tenant_id: str, import_id: str) -> None:
        raise AssertionError("the tests run imports themselves")

    jobs.task(JOB, run)
    await jobs.open()
    yield Office(database, tenants, clock, jobs)
    await jobs.close()


def brl(amount: str) -> Money:
    return Money(Decimal(amount), "BRL")


async def test_a_portuguese_export_is_analysed_like_an_account_and_equals_a_hand_calculation(
    office: Office, tmp_path: Path
) -> None:
    done = await office.bring(write(tmp_path, PT))
    assert (done.rows, done.bad, done.problems) == (4, 0, [])
    # 1.234,56 + 980,44 + 150,00 + 145,50
    assert done.total_spend == brl("2510.50")
    assert (done.since, done.until, done.daily) == (date(2026, 11, 1), date(2026, 11, 2), True)

    account = await office.account(done)
    assert (account.currency, account.source) == ("BRL", "file")
    window = Window(date(2026, 11, 1), date(2026, 11, 2), ZONE)
    report = await office.ads.report(office.me, account, Level.CAMPAIGN, window)
    assert report.total is not None
    assert report.total.spend == brl("2510.50")
    assert report.total.impressions == 103_110  # 45.210 + 39.000 + 9.800 + 9.100
    assert report.total.link_clicks == 1_912
    assert report.total.reach is None  # people of two days are not added
    assert report.days_without_data == []
    natal, whatsapp = report.rows
    assert natal.totals is not None
    assert whatsapp.totals is not None
    assert (natal.name, natal.result_kind, natal.totals.results) == ("Natal - Remarketing", ResultKind.PURCHASE, 20)
    assert natal.totals.cost_per_result == brl("110.75")  # 2.215,00 / 20
    assert natal.totals.purchase_value == brl("5556.70")
    assert natal.totals.roas is not None
    assert round(natal.totals.roas, 4) == Decimal("2.5087")
    assert (whatsapp.result_kind, whatsapp.totals.results) == (ResultKind.CONVERSATION, 60)
    assert whatsapp.totals.cost_per_result == brl("4.925")  # 295,50 / 60
    assert {k.kind: k.totals.results for k in report.kinds} == {ResultKind.PURCHASE: 20, ResultKind.CONVERSATION: 60}

    one_day = Window(date(2026, 11, 2), date(2026, 11, 2), ZONE)
    second = await office.ads.report(
        office.me, account, Level.CAMPAIGN, one_day, Window(date(2026, 11, 1), date(2026, 11, 1), ZONE)
    )
    assert second.total is not None
    assert second.before is not None
    assert (second.total.spend, second.before.spend) == (brl("1125.94"), brl("1384.56"))


async def test_the_course_of_a_file_with_days_has_its_points_and_gaps(office: Office, tmp_path: Path) -> None:
    account = await office.account(await office.bring(write(tmp_path, PT)))
    window = Window(date(2026, 11, 1), date(2026, 11, 3), ZONE)
    trend = await office.ads.trend(office.me, account, "spend", window)
    assert [p.value for p in trend.lines[0].points] == [brl("1384.56"), brl("1125.94"), None]


async def test_a_file_of_one_range_answers_that_range_only(office: Office, tmp_path: Path) -> None:
    text = (
        "Campaign name,Reporting starts,Reporting ends,Amount spent (BRL),Reach,Impressions\n"
        "Holiday,2026-10-01,2026-10-31,100.50,900,2700\n"
        "Brand,2026-10-01,2026-10-31,49.50,500,600\n"
    )
    done = await office.bring(write(tmp_path, text))
    assert not done.daily
    account = await office.account(done)
    october = Window(date(2026, 10, 1), date(2026, 10, 31), ZONE)
    report = await office.ads.report(office.me, account, Level.CAMPAIGN, october)
    assert report.total is not None
    assert report.total.spend == brl("150")
    assert report.days_without_data == []  # its days are not told, which is not the same as missing
    assert report.rows[0].totals is not None
    assert report.rows[0].totals.reach is not None
    assert report.rows[0].totals.frequency == 3
    week = Window(date(2026, 10, 5), date(2026, 10, 11), ZONE)
    for ask, code in [
        (office.ads.report(office.me, account, Level.CAMPAIGN, week), "window_not_in_file"),
        (office.ads.trend(office.me, account, "spend", october), "file_without_days"),
    ]:
        with pytest.raises(MutiraoError) as told:
            await ask
        assert told.value.code == code
    assert (await office.ads.findings(office.me, account, october)).findings == []


async def test_levels_that_the_file_does_not_have_are_empty(office: Office, tmp_path: Path) -> None:
    account = await office.account(await office.bring(write(tmp_path, PT)))
    assert [e.name for e in await office.ads.entities(office.me, account, Level.CAMPAIGN)] == [
        "Natal - Remarketing",
        "WhatsApp - Agenda",
    ]
    assert await office.ads.entities(office.me, account, Level.AD) == []


async def test_bad_lines_are_kept_with_their_reasons(office: Office, tmp_path: Path) -> None:
    text = "Campanha;Dia;Valor usado (BRL)\nA;2026-11-01;10,50\nB;2026-11-01;abc\nTotal;;99,00\n"
    done = await office.bring(write(tmp_path, text))
    assert (done.rows, done.bad) == (1, 1)
    assert done.problems[0] == ("import.bad.number", {"column": "Valor usado (BRL)", "value": "abc", "line": 3})
    assert [key for key, _ in done.notes] == ["import.totals_differ"]


async def test_the_same_file_again_is_told_and_not_doubled(office: Office, tmp_path: Path) -> None:
    first = await office.bring(write(tmp_path, PT))
    again = await office.imports.import_path(office.me, write(tmp_path, PT, name="copy.csv"))
    assert again.already
    assert again.id == first.id
    assert len((await office.ads.accounts(office.me)).accounts) == 1


async def test_another_tenant_sees_nothing_of_it(office: Office, tmp_path: Path) -> None:
    done = await office.bring(write(tmp_path, PT))
    with pytest.raises(Refused):
        await office.ads.accounts(office.other)
    with pytest.raises(Refused) as gone:
        await office.imports.get(office.other.tenant_id, done.id)
    assert gone.value.code == "import_gone"
    again = await office.imports.import_path(office.other, write(tmp_path, PT))
    assert not again.already


async def test_a_file_cannot_be_changed_only_read(office: Office, tmp_path: Path) -> None:
    account = await office.account(await office.bring(write(tmp_path, PT)))
    campaign = await office.ads.find_entity(office.me, account, "natal")
    with pytest.raises(Refused) as refused:
        await office.ads.plan_status(office.me, account, campaign, Status.PAUSED)
    assert refused.value.code == "file_not_changeable"


async def test_a_long_file_is_read_in_batches_and_tells_its_progress(office: Office, tmp_path: Path) -> None:
    lines = 12_000
    path = tmp_path / "long.csv"
    with path.open("w", encoding="utf-8") as file:
        file.write("Nome da campanha;Dia;Valor usado (BRL);Impressões\n")
        for n in range(lines):
            file.write(f"Campanha {n % 40};2026-{9 + n % 2:02d}-{n % 28 + 1:02d};{n % 100},25;{n % 997}\n")
    seen: list[int] = []
    done = await office.bring(path, progress=seen.append)
    assert done.rows == lines
    assert seen == [5_000, 10_000, 12_000]
    assert done.total_spend == brl(str(sum(n % 100 for n in range(lines)) + Decimal("0.25") * lines))
