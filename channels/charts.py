"""A `Chart` as a Plotly figure in plain data: what plotly.js in the page draws, written without the plotly package.

The figure has no colours of its own for text and background, so that the page's light and dark themes both suit it.
Series differ in colour, line and marker, because colour alone is no difference for everybody.
"""

import html
import textwrap
from typing import Any

from core.door import Chart

# In the manner of Okabe and Ito's palette for colour-blind readers (https://jfly.uni-koeln.de/color/), each as dark as
# white figures on a bar need (4.5) and as light as a dark page needs (3): WCAG 2.2, 1.4.3 and 1.4.11.
COLOURS = ("#0072B2", "#B84F00", "#007A61", "#AD4A85", "#6A5ACD", "#836800")
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
_MARKERS = ("circle", "square", "diamond", "triangle-up", "x", "cross")
_SIGNS = {"BRL": "R$ ", "USD": "US$ ", "EUR": "€ ", "MXN": "MX$ ", "ARS": "AR$ "}
_GRID = "rgba(128,128,128,0.25)"
_LABEL_WIDTH = 24  # characters of a bar's label before it is broken into lines: what a phone still shows


def figure(chart: Chart, language: str) -> dict[str, Any]:
    """`{"data", "layout", "config"}` for plotly.js. Missing values stay gaps, numbers are written as in `language`."""
    sideways = chart.kind == "bar" and any(len(label) > 10 for label in chart.x)
    value_axis = _value_axis(chart.unit)
    label_axis: dict[str, Any] = {"type": "category", "automargin": True, "fixedrange": True, "showgrid": False}
    if sideways:
        label_axis["autorange"] = "reversed"  # the first row on top, as in the table
    elif len(chart.x) > 8:
        label_axis["nticks"] = 8
    layout: dict[str, Any] = {
        "title": {"text": _safe(chart.title), "x": 0, "xanchor": "left", "font": {"size": 15}},
        "separators": ".," if language == "en" else ",.",
        "height": max(320, 110 + 34 * len(chart.x) * len(chart.series)) if sideways else 340,
        "margin": {"l": 8, "r": 16, "t": 48, "b": 8},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {
            "size": 13,
            "family": "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif",
        },
        "hovermode": "closest" if sideways else "x unified",
        "dragmode": False,  # a finger on the chart scrolls the page
        "showlegend": len(chart.series) > 1,
        "legend": {"orientation": "h", "x": 0, "y": -0.02 if sideways else -0.15, "yanchor": "top"},
        "xaxis": {**value_axis, "showticklabels": False} if sideways else label_axis,  # the bars say their values
        "yaxis": label_axis if sideways else value_axis,
        "barmode": "group",
    }
    return {
        "data": [_trace(chart, index, sideways) for index in range(len(chart.series))],
        "layout": layout,
        "config": {"displayModeBar": False, "responsive": True, "scrollZoom": False},
    }


def _trace(chart: Chart, index: int, sideways: bool) -> dict[str, Any]:
    series, turn = chart.series[index], index % len(COLOURS)
    labels = [_label(label) for label in chart.x] if sideways else [_safe(label) for label in chart.x]
    shown = "%{x" if sideways else "%{y"
    trace: dict[str, Any] = {
        "name": _safe(series.name),
        "hovertemplate": f"{_sign(chart.unit)}{shown}:{_pattern(chart.unit)}}}{_tail(chart.unit)}"
        + (f"<extra>{_safe(series.name)}</extra>" if len(chart.series) > 1 else "<extra></extra>"),
    }
    if chart.kind == "bar":
        trace |= {
            "type": "bar",
            "marker": {"color": COLOURS[turn]},
            "texttemplate": f"{_sign(chart.unit)}{shown}:{_pattern(chart.unit)}}}{'%' if chart.unit == '%' else ''}",
            "textposition": "auto",
            "cliponaxis": False,
        }
        trace |= (
            {"orientation": "h", "x": series.values, "y": labels} if sideways else {"x": labels, "y": series.values}
        )
    else:
        trace |= {
            "type": "scatter",
            "mode": "lines+markers",
            "connectgaps": False,
            "line": {"color": COLOURS[turn], "dash": _DASHES[turn], "width": 2.5},
            "marker": {"symbol": _MARKERS[turn], "size": 7},
            "x": labels,
            "y": series.values,
        }
    return trace


def _value_axis(unit: str) -> dict[str, Any]:
    axis: dict[str, Any] = {
        "rangemode": "tozero",
        "automargin": True,
        "fixedrange": True,
        "gridcolor": _GRID,
        "zerolinecolor": _GRID,
        "tickformat": ",~f",
        "nticks": 6,
    }
    if sign := _sign(unit):
        axis["tickprefix"] = sign
    elif unit == "%":
        axis["ticksuffix"] = "%"
    elif unit:
        axis["title"] = {"text": _safe(unit)}
    return axis


def _sign(unit: str) -> str:
    """`R$ ` for BRL; a currency without a sign of its own keeps its code."""
    if unit in _SIGNS:
        return _SIGNS[unit]
    return f"{unit} " if len(unit) == 3 and unit.isascii() and unit.isupper() else ""


def _tail(unit: str) -> str:
    if unit == "%":
        return "%"
    return "" if _sign(unit) or not unit else f" {_safe(unit)}"


def _pattern(unit: str) -> str:
    """d3-format: money with cents, percent with up to two decimals, counts as they are."""
    if _sign(unit):
        return ",.2f"
    return ",.2~f" if unit == "%" else ",~f"


def _safe(text: str) -> str:
    """Plotly reads a little HTML in its texts: a campaign called `<a href=…>` must stay a name."""
    return html.escape(text, quote=False)


def _label(text: str) -> str:
    lines = textwrap.wrap(text, _LABEL_WIDTH, max_lines=2, placeholder="…") or [text]
    return "<br>".join(_safe(line) for line in lines)
