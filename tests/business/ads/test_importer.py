"""What the reader of exports makes of files as people really have them: from Ads Manager, from Excel, and broken."""

import io
import zipfile
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from business.ads.importer import Bad, Hints, Item, Row, TotalsLine, inspect, is_currency, read, result_kind
from business.ads.metrics import ResultKind
from core.errors import ArgumentsWrong

TODAY = date(2026, 11, 20)
HEAD = "Nome da campanha;Dia;Valor usado (BRL);Impressões\n"


def write(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "export.csv"
    path.write_bytes(text.encode(encoding))
    return path


def sheet(folder: Path, *pages: list[list[Any]]) -> Path:
    from openpyxl import Workbook

    book = Workbook(write_only=True)
    for rows in pages:
        page = book.create_sheet()
        for row in rows:
            page.append(row)
    path = folder / "export.xlsx"
    book.save(path)
    return path


def items(path: Path, hints: Hints | None = None) -> list[Item]:
    return list(read(path, inspect(path, hints or Hints()), today=TODAY))


def rows(path: Path, hints: Hints | None = None) -> list[Row]:
    return [item for item in items(path, hints) if isinstance(item, Row)]


def reasons(found: list[Item]) -> dict[int, str]:
    return {item.line: item.reason.removeprefix("import.bad.") for item in found if isinstance(item, Bad)}


def wrong(path: Path, hints: Hints | None = None) -> ArgumentsWrong:
    with pytest.raises(ArgumentsWrong) as raised:
        items(path, hints)
    return raised.value


# --- as Ads Manager writes them ---------------------------------------------------------------------

PT_RANGE = """\
Início dos relatórios,Término dos relatórios,Nome da campanha,Veiculação da campanha,Resultados,\
Indicador de resultados,Valor usado (BRL),Impressões,Alcance,Cliques (todos),Configuração de atribuição
2026-10-01,2026-10-31,,,,,"3.705,35",184310,121004,3310,
2026-10-01,2026-10-31,[VENDAS] Remarketing,active,41,actions:offsite_conversion.fb_pixel_purchase,"2.480,10",\
120300,80100,2210,7 dias após o clique
2026-10-01,2026-10-31,[LEADS] Avaliação,inactive,103,actions:onsite_conversion.lead_grouped,"1.225,25",64010,\
48000,1100,7 dias após o clique
"""

EN_DAYS = """\
Reporting starts,Reporting ends,Campaign name,Day,Campaign delivery,Results,Result indicator,Amount spent (USD),\
Impressions,Reach,Link clicks
2026-11-01,2026-11-02,Holiday,,active,15,actions:omni_purchase,"1,734.56",84210,50000,1512
2026-11-01,2026-11-01,Holiday,2026-11-01,active,9,actions:omni_purchase,"1,234.56",45210,30100,812
2026-11-02,2026-11-02,Holiday,2026-11-02,active,6,actions:omni_purchase,500.00,39000,27500,700
"""

ES_DAYS = """\
Nombre de la campaña;Día;Entrega de la campaña;Resultados;Indicador de resultado;Importe gastado (MXN);Impresiones;\
Clics en el enlace;Inicio del informe;Fin del informe
Verano;2026-11-01;active;12;actions:onsite_conversion.messaging_conversation_started_7d;1.234,50;20.100;310;2026-11-01;2026-11-01
"""


def test_an_export_of_a_month_in_portuguese_with_its_total_in_the_first_line(tmp_path: Path) -> None:
    path = write(tmp_path, PT_RANGE)
    layout = inspect(path, Hints())
    assert (layout.currency, layout.decimals, layout.daily) == ("BRL", ",", False)
    assert layout.ignored == ["Configuração de atribuição"]
    total, remarketing, leads = items(path)
    assert total == TotalsLine(2, Decimal("3705.35"))
    assert isinstance(remarketing, Row)
    assert isinstance(leads, Row)
    assert (remarketing.since, remarketing.until) == (date(2026, 10, 1), date(2026, 10, 31))
    assert (remarketing.numbers["spend"], remarketing.numbers["results"]) == (Decimal("2480.10"), Decimal(41))
    assert result_kind(leads.result_type) is ResultKind.LEAD
    assert remarketing.numbers["spend"] + Decimal("1225.25") == total.spend  # type: ignore[operator]


def test_a_campaigns_sum_above_its_days_is_a_total_not_a_bad_line(tmp_path: Path) -> None:
    subtotal, first, second = items(write(tmp_path, EN_DAYS))
    assert subtotal == TotalsLine(2, Decimal("1734.56"), whole=False)
    assert isinstance(first, Row)
    assert isinstance(second, Row)
    assert (first.since, second.until) == (date(2026, 11, 1), date(2026, 11, 2))


def test_an_export_in_spanish(tmp_path: Path) -> None:
    path = write(tmp_path, ES_DAYS)
    assert inspect(path, Hints()).currency == "MXN"
    (row,) = rows(path)
    assert row.numbers == {"spend": Decimal("1234.50"), "impressions": 20_100, "link_clicks": 310, "results": 12}
    assert result_kind(row.result_type) is ResultKind.CONVERSATION


@pytest.mark.parametrize("text", [PT_RANGE, EN_DAYS, ES_DAYS], ids=["pt", "en", "es"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_saved_again_by_excel_it_says_the_same(tmp_path: Path, text: str, encoding: str) -> None:
    plain = items(write(tmp_path, text))
    assert items(write(tmp_path, text.replace("\n", "\r\n"), encoding)) == plain


def test_a_file_of_ads_alone_shows_them_as_its_campaigns(tmp_path: Path) -> None:
    text = "Nome do anúncio;Dia;Valor usado (BRL)\nVídeo A;2026-11-01;10,50\n"
    (row,) = rows(write(tmp_path, text))
    assert (row.campaign, row.ad) == ("Vídeo A", "Vídeo A")


def test_a_title_above_the_header_is_passed_over(tmp_path: Path) -> None:
    (row,) = rows(write(tmp_path, "Relatório de novembro\n\n" + HEAD + "A;2026-11-01;10,50;100\n"))
    assert (row.line, row.numbers["spend"]) == (4, Decimal("10.50"))


def test_a_name_with_delimiter_quotes_and_a_line_break_stays_one_name(tmp_path: Path) -> None:
    text = HEAD + '"Promo ""50%""; só\nhoje";2026-11-01;10,50;100\nB;2026-11-01;1,00;9\n'
    first, second = rows(write(tmp_path, text))
    assert first.campaign == 'Promo "50%"; só\nhoje'
    assert (first.line, second.line) == (2, 4)


# --- workbooks --------------------------------------------------------------------------------------

COLUMNS = ["Nome da campanha", "Dia", "Valor usado (BRL)", "Impressões"]


def test_a_workbook_whose_numbers_are_text_is_read_as_a_csv_would_be(tmp_path: Path) -> None:
    (row,) = rows(sheet(tmp_path, [COLUMNS, ["Natal", "2026-11-01", "1.234,56", "45.210"]]))
    assert (row.numbers["spend"], row.numbers["impressions"]) == (Decimal("1234.56"), Decimal(45_210))


def test_what_a_spreadsheet_reckons_is_kept_to_four_decimals(tmp_path: Path) -> None:
    (row,) = rows(sheet(tmp_path, [COLUMNS, ["Natal", datetime(2026, 11, 1), 0.1 + 0.2, 3.0]]))
    assert (row.numbers["spend"], row.numbers["impressions"]) == (Decimal("0.3"), Decimal(3))


def test_a_cover_sheet_before_the_table_is_passed_over(tmp_path: Path) -> None:
    path = sheet(tmp_path, [["Agência Ipê"], ["Relatório"]], [COLUMNS, ["Natal", date(2026, 11, 1), 10, 100]])
    assert [row.campaign for row in rows(path)] == ["Natal"]


def test_a_workbook_that_claims_a_million_empty_columns_is_read_all_the_same(tmp_path: Path) -> None:
    path = sheet(tmp_path, [COLUMNS, ["Natal", date(2026, 11, 1), 10, 100]])
    claimed = tmp_path / "claimed.xlsx"
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(claimed, "w") as target:
        for part in source.infolist():
            content = source.read(part)
            if part.filename == "xl/worksheets/sheet1.xml":
                content = content.replace(b"<sheetData>", b'<dimension ref="A1:XFD1048576"/><sheetData>', 1)
            target.writestr(part, content)
    assert len(rows(claimed)) == 1


def test_a_workbook_that_was_cut_off_is_told_as_damaged(tmp_path: Path) -> None:
    path = sheet(tmp_path, [COLUMNS, *(["Natal", date(2026, 11, 1), n, n] for n in range(500))])
    whole = path.read_bytes()
    for part in (0.3, 0.7, 0.99):
        path.write_bytes(whole[: int(len(whole) * part)])
        assert (wrong(path).code, wrong(path).params["kind"]) == ("import_not_a_table", "broken")


def test_a_workbook_damaged_inside_is_told_as_damaged(tmp_path: Path) -> None:
    path = sheet(tmp_path, [COLUMNS, *(["Natal", date(2026, 11, 1), n, n] for n in range(3_000))])
    broken = tmp_path / "broken.xlsx"
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(broken, "w") as target:
        for part in source.infolist():
            content = source.read(part)
            if part.filename == "xl/worksheets/sheet1.xml":
                content = content[: len(content) - 2_000]  # beyond the lines that decide the layout
            target.writestr(part, content)
    assert (wrong(broken).code, wrong(broken).params["kind"]) == ("import_not_a_table", "broken")


def test_an_empty_workbook_is_empty(tmp_path: Path) -> None:
    assert wrong(sheet(tmp_path, [])).code == "import_empty"


# --- decided, or asked ------------------------------------------------------------------------------


def test_a_mark_that_appears_only_far_down_decides_then(tmp_path: Path) -> None:
    many = "".join(f"A;2026-11-01;{n};10\n" for n in range(2_500))
    path = write(tmp_path, HEAD + many + "B;2026-11-02;1.234,56;10\nC;2026-11-02;1.234;10\n")
    assert inspect(path, Hints()).decimals == ""
    *_, b, c = rows(path)
    assert (b.numbers["spend"], c.numbers["spend"]) == (Decimal("1234.56"), Decimal(1234))


def test_a_number_that_can_be_read_in_two_ways_far_down_is_asked_about(tmp_path: Path) -> None:
    path = write(tmp_path, HEAD + "A;2026-11-01;10;10\n" * 2_500 + "B;2026-11-02;1.234;10\n")
    error = wrong(path)
    assert (error.code, error.params) == ("import_decimals_ambiguous", {"example": "1.234"})
    assert rows(path, Hints(decimals=","))[-1].numbers["spend"] == 1234


def test_two_styles_in_one_file_are_asked_about_and_the_other_style_is_left_out_with_its_reason(tmp_path: Path) -> None:
    path = write(tmp_path, HEAD + "A;2026-11-01;1,50;10\nB;2026-11-01;2.50;10\n")
    assert wrong(path).code == "import_decimals_mixed"
    found = items(path, Hints(decimals=","))
    assert isinstance(found[0], Row)
    assert reasons(found) == {3: "number"}


@pytest.mark.parametrize(
    ("cell", "currency"), [("R$ 1.234,56", "BRL"), ("US$ 1.234,56", "USD"), ("€ 1.234,56", "EUR"), ("£1.234,56", "GBP")]
)
def test_the_sign_before_amounts_tells_the_currency(tmp_path: Path, cell: str, currency: str) -> None:
    path = write(tmp_path, f"Campanha;Dia;Valor usado\nA;2026-11-01;{cell}\n")
    assert inspect(path, Hints()).currency == currency
    assert rows(path)[0].numbers["spend"] == Decimal("1234.56")


def test_the_sign_in_the_header_tells_the_currency(tmp_path: Path) -> None:
    assert inspect(write(tmp_path, "Campanha;Dia;Valor usado (R$)\nA;2026-11-01;1,50\n"), Hints()).currency == "BRL"


def test_an_amount_with_another_currencys_sign_is_never_added(tmp_path: Path) -> None:
    found = items(write(tmp_path, HEAD + "A;2026-11-01;R$ 1,50;1\nB;2026-11-01;US$ 1,50;1\nC;2026-11-01;EUR 1,50;1\n"))
    assert isinstance(found[0], Row)
    assert reasons(found) == {3: "number", 4: "number"}


def test_another_currency_far_down_is_refused_as_one_in_the_first_lines_is(tmp_path: Path) -> None:
    head = "Campanha;Dia;Valor usado;Moeda\n"
    for lines in (2, 2_500):
        path = write(tmp_path, head + "A;2026-11-01;1,50;BRL\n" * lines + "B;2026-11-01;1,50;USD\n")
        error = wrong(path)
        assert (error.code, error.params["currencies"]) == ("import_currencies_mixed", ["BRL", "USD"])


def test_a_currency_that_the_user_names_must_exist_and_not_contradict_the_file(tmp_path: Path) -> None:
    silent = write(tmp_path, "Campanha;Dia;Valor usado\nA;2026-11-01;1,50\n")
    assert inspect(silent, Hints(currency="brl")).currency == "BRL"
    assert wrong(silent, Hints(currency="XYZ")).code == "currency_unknown"
    assert (
        wrong(write(tmp_path, HEAD + "A;2026-11-01;1,50;1\n"), Hints(currency="USD")).code == "import_currencies_mixed"
    )
    assert is_currency("ARS")


def test_several_accounts_in_one_file_give_it_no_accounts_name(tmp_path: Path) -> None:
    head = "Nome da conta;Nome da campanha;Dia;Valor usado (BRL)\n"
    assert inspect(write(tmp_path, head + "Ipê;A;2026-11-01;1,50\n"), Hints()).account == "Ipê"
    assert inspect(write(tmp_path, head + "Ipê;A;2026-11-01;1,5\nJuá;A;2026-11-01;1,5\n"), Hints()).account == ""


# --- no line is dropped in silence ------------------------------------------------------------------


def test_every_line_is_a_row_a_reason_or_a_total(tmp_path: Path) -> None:
    lines = [
        "A;2026-11-01;10,50;100",
        "B;2026-11-01;-3,00;100",
        "C;2026-11-01;muito;100",
        "D;30/02/2026;1,00;100",
        "E;2026-12-01;1,00;100",
        "F;1999-01-01;1,00;100",
        "G;2026-11-01;1,00;10,5",
        "H;2026-11-01;99999999999999,00;100",
        "I;2026-11-01",
        "J;2026-11-01;1,00;100;7;8",
        "K;;1,00;100",
        "L;2026-11-01;1e5;100",
        f"M;2026-11-01;{'9' * 400};100",
        f"{'N' * 6_000};2026-11-01;1,00;100",
        "O;2026-11-01;1,00;٣٤",
        "Total;;33,00;900",
        ";;;",
        "P;2026-11-01;;",
    ]
    found = items(write(tmp_path, HEAD + "\n".join(lines) + "\n"))
    assert reasons(found) == {
        3: "negative",
        4: "number",
        5: "date",
        6: "future",
        7: "too_old",
        8: "absurd",
        9: "absurd",
        10: "cut",
        11: "shifted",
        12: "date",
        13: "number",
        14: "number",
        15: "cell_too_long",
        16: "number",
    }
    assert [item.line for item in found if isinstance(item, Row)] == [2, 19]
    assert [item.line for item in found if isinstance(item, TotalsLine)] == [17]
    assert len(found) == len(lines) - 1  # all but the one without content


def test_a_figure_that_is_not_there_is_none_and_not_zero(tmp_path: Path) -> None:
    first, second = rows(write(tmp_path, HEAD + "A;2026-11-01;;–\nB;2026-11-01;0;0\n"))
    assert first.numbers == {"spend": None, "impressions": None}
    assert second.numbers == {"spend": 0, "impressions": 0}


def test_a_campaign_called_total_fit_is_a_campaign(tmp_path: Path) -> None:
    names = [
        "Total Fit | Vendas",
        "Resultados da Black Friday",
        "Totalmente Grátis",
        "Total Geral",
        "Results from 8 ads",
    ]
    found = items(write(tmp_path, HEAD + "".join(f"{name};2026-11-01;1,00;1\n" for name in names)))
    assert [type(item) for item in found] == [Row, Row, Row, TotalsLine, TotalsLine]


def test_a_cell_of_a_megabyte_costs_its_line_only(tmp_path: Path) -> None:
    text = HEAD + "A;2026-11-01;1,00;1\n" + "x" * 1_048_576 + ";2026-11-01;1,00;1\n" + "B;2026-11-01;1,00;1\n"
    found = items(write(tmp_path, text))
    assert [item.line for item in found if isinstance(item, Row)] == [2, 4]
    assert reasons(found) == {3: "broken"}


def test_a_quote_that_never_ends_is_told_with_the_lines_it_swallowed(tmp_path: Path) -> None:
    good = "".join(f"Campanha {n};2026-11-01;1,00;1\n" for n in range(6_000))
    found = items(write(tmp_path, HEAD + "A;2026-11-01;1,00;1\n" + '"B;2026-11-01;1,00;1\n' + good))
    (broken,) = [item for item in found if isinstance(item, Bad)]
    taken = [item for item in found if isinstance(item, Row)]
    assert broken.line == 3
    assert broken.last > broken.line
    assert len(taken) + (broken.last - broken.line + 1) == 6_002  # nothing is missing between them
    assert taken[1].line == broken.last + 1


def test_a_file_of_one_endless_line_is_no_table_and_is_not_read_at_once(tmp_path: Path) -> None:
    path = tmp_path / "line.csv"
    path.write_bytes(b"a;" * 3_000_000)
    assert wrong(path).code in ("import_not_a_table", "import_too_wide", "import_columns_unknown", "import_empty")


def test_nul_and_half_characters_do_not_reach_the_names(tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    path.write_bytes((HEAD + "A").encode() + b"\xff\xc3" + "çã;2026-11-01;1,00;1\n".encode())
    (row,) = rows(path)
    assert row.campaign.startswith("A�")
    assert row.campaign.endswith("çã")


def test_an_accent_in_the_last_line_still_tells_windows_from_utf8(tmp_path: Path) -> None:
    text = "Campanha;Dia;Valor usado (BRL)\n" + "A;2026-11-01;1,00\n" * 80_000 + "Verão;2026-11-01;1,00\n"
    assert rows(write(tmp_path, text, "cp1252"))[-1].campaign == "Verão"


def test_three_hundred_columns_are_read_and_those_without_meaning_named(tmp_path: Path) -> None:
    extra = [f"Coluna {n}" for n in range(296)]
    text = (
        ";".join([*HEAD.strip().split(";"), *extra]) + "\n" + ";".join(["A", "2026-11-01", "1,00", "1", *["x"] * 296])
    )
    path = write(tmp_path, text + "\n")
    assert len(inspect(path, Hints()).ignored) == 296
    assert len(rows(path)) == 1


def test_a_formula_as_a_name_stays_text(tmp_path: Path) -> None:
    assert rows(write(tmp_path, HEAD + '"=HYPERLINK(""x"")";2026-11-01;1,00;1\n'))[0].campaign == '=HYPERLINK("x")'


def test_two_columns_for_one_meaning_take_the_first_and_name_the_other(tmp_path: Path) -> None:
    path = write(tmp_path, "Campanha;Dia;Valor usado (BRL);Valor gasto (BRL)\nA;2026-11-01;1,00;2,00\n")
    assert rows(path)[0].numbers["spend"] == 1
    assert inspect(path, Hints()).ignored == ["Valor gasto (BRL)"]
    assert rows(path, Hints(columns={"Valor gasto (BRL)": "spend"}))[0].numbers["spend"] == 2


def bomb() -> bytes:
    """A sheet of a few kilobytes that unpacks to more than is read."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
        archive.writestr("xl/sharedStrings.xml", b" " * 60_000_000)
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "code", "kind"),
    [
        (b"", "import_empty", None),
        (b"\xef\xbb\xbf\r\n", "import_empty", None),
        (HEAD.encode(), "import_empty", None),
        (b"%PDF-1.7\n", "import_not_a_table", "pdf"),
        (b"\xff\xd8\xff\xe0", "import_not_a_table", "image"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "import_not_a_table", "xls"),
        (b"Rar!\x1a\x07", "import_not_a_table", "zip"),
        (b"\x1f\x8b\x08", "import_not_a_table", "zip"),
        (b"Campanha;Dia\n\x00\x00", "import_not_a_table", "binary"),
        (b"PK\x03\x04", "import_not_a_table", "broken"),
        (bomb(), "import_too_large_unpacked", None),
    ],
    ids=["nothing", "mark", "header", "pdf", "jpeg", "xls", "rar", "gzip", "binary", "zip", "bomb"],
)
def test_what_is_no_export_is_told_by_its_kind(tmp_path: Path, content: bytes, code: str, kind: str | None) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    error = wrong(path)
    assert (error.code, error.params.get("kind")) == (code, kind)
