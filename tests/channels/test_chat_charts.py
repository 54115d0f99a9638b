"""Charts and Markdown say what the numbers say, whatever names they carry."""

from typing import Any

import pytest
from plotly import graph_objects

from channels import charts, markdown
from core import formats
from core.door import Chart, ProposalCard, Series, Table
from prompts.texts import Texts

LINE = Chart("Gasto por dia", "line", ["18/11", "19/11", "20/11"], [Series("Gasto", [1234.5, None, 0.0])], "BRL")
BARS = Chart("Custo", "bar", ["Remarketing do catálogo de verão", "Tráfego"], [Series("Custo", [34.19, 18.9])], "BRL")


def _drawn(figure: dict[str, Any]) -> graph_objects.Figure:
    """Plotly's own check that the figure is one."""
    return graph_objects.Figure(data=figure["data"], layout=figure["layout"])


@pytest.mark.parametrize("chart", [LINE, BARS])
@pytest.mark.parametrize("language", ["pt-BR", "en", "es"])
def test_plotly_accepts_the_figure(chart: Chart, language: str) -> None:
    assert len(_drawn(charts.figure(chart, language)).data) == 1


def test_no_data_is_a_gap_and_zero_is_zero() -> None:
    (trace,) = charts.figure(LINE, "pt-BR")["data"]
    assert trace["y"] == [1234.5, None, 0.0] and trace["connectgaps"] is False


@pytest.mark.parametrize(("language", "separators"), [("pt-BR", ",."), ("es", ",."), ("en", ".,")])
def test_numbers_are_written_as_the_language_does(language: str, separators: str) -> None:
    assert charts.figure(LINE, language)["layout"]["separators"] == separators


@pytest.mark.parametrize(
    ("unit", "axis"),
    [
        ("BRL", {"tickprefix": "R$ "}),
        ("CLP", {"tickprefix": "CLP "}),
        ("%", {"ticksuffix": "%"}),
        ("cliques", {"title": {"text": "cliques"}}),
    ],
)
def test_the_axis_names_the_unit(unit: str, axis: dict[str, Any]) -> None:
    chart = Chart("x", "line", ["1"], [Series("a", [1.0])], unit)
    layout = charts.figure(chart, "pt-BR")["layout"]
    assert axis.items() <= layout["yaxis"].items()


def test_bars_with_long_names_lie_so_that_a_phone_can_show_them() -> None:
    figure = charts.figure(BARS, "pt-BR")
    (trace,) = figure["data"]
    assert trace["orientation"] == "h" and trace["x"] == [34.19, 18.9]
    assert trace["y"][0] == "Remarketing do catálogo<br>de verão"
    assert figure["layout"]["yaxis"]["autorange"] == "reversed"


def test_series_differ_in_more_than_colour() -> None:
    chart = Chart("x", "line", ["1"], [Series("a", [1.0]), Series("b", [2.0])], "BRL")
    one, two = charts.figure(chart, "pt-BR")["data"]
    assert one["line"]["dash"] != two["line"]["dash"] and one["marker"]["symbol"] != two["marker"]["symbol"]


def test_colours_carry_white_figures_and_stand_out_on_both_themes() -> None:
    for colour in charts.COLOURS:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        red, green, blue = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
        light = 0.2126 * red + 0.7152 * green + 0.0722 * blue
        assert 1.05 / (light + 0.05) >= 4.5, colour  # on white
        assert (light + 0.05) / (0.009 + 0.05) >= 3.0, colour  # on the dark theme's ground


def test_a_name_with_html_stays_a_name() -> None:
    name = '<a href="https://evil.example">clique</a>'
    chart = Chart(name, "bar", [name], [Series(name, [1.0]), Series("b", [1.0])], "BRL")
    assert "<a" not in str(charts.figure(chart, "pt-BR"))


# --- Markdown ----------------------------------------------------------------------------------

EVIL = "![x](https://evil.example/?q=1) | **a** <img src=x>\n# h `c` :::warning"


def test_what_others_wrote_makes_no_link_image_or_table_of_its_own() -> None:
    safe = formats.plain(EVIL)
    assert "\n" not in safe
    for sign in "![|*<`#:":
        assert f"\\{sign}" in safe
    table = Table("T", ["Nome"], [[EVIL]], ["left"])
    assert markdown.table(table, Texts.load(), "pt-BR").count("\n") == 4


@pytest.mark.parametrize(
    "state", ["pending", "approved", "executing", "executed", "unknown", "failed", "rejected", "expired"]
)
@pytest.mark.parametrize("language", ["pt-BR", "en", "es"])
def test_a_card_says_where_it_stands_in_every_state(state: str, language: str) -> None:
    card = ProposalCard(
        "prop_1", "t", "SPEND", state, "Pausar *x*", [("Conta", "A|B")], ["Cuidado"], ["CTR caiu"], "21/11/2026 10:00"
    )
    text = markdown.card(card, Texts.load(), language)
    assert text.startswith("**Pausar \\*x\\***") and "A\\|B" in text and "Cuidado" in text and "- CTR caiu" in text
    assert ("21/11/2026 10\\:00" in text) == (state == "pending")


def test_a_spreadsheet_reads_no_cell_as_a_formula_and_every_number_as_a_number() -> None:
    rows = [["=1+1", "+5,2%"], ["@x", "-3"], ["-x", "R$ 1.234,50"]]
    lines = markdown.csv_file(Table("", ["a", "b"], rows, ["left", "right"])).decode("utf-8-sig").splitlines()
    assert lines == ["a;b", "'=1+1;+5,2%", "'@x;-3", "'-x;R$ 1.234,50"]
