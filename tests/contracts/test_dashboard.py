"""The dashboard and the guide ask for what we tell: metrics and labels that exist, and nothing from outside."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from core.metrics import BREAKER, ENDINGS, Known, Metrics
from tests.conftest import Dsns
from tests.contracts.source import ROOT
from tests.core.finished import asked, model_call, seen, tool_call

DASHBOARDS = sorted((ROOT / "docs/grafana").glob("*.json"))
GUIDE = ROOT / "docs/guides/observe.md"

_SELECTED = re.compile(r"\b((?:mutirao|process|python)_\w+|[a-zA-Z_]\w*(?=[{\[]))(?:\{([^}]*)\})?")
_GROUPED = re.compile(r"\b(?:by|on)\s*\(([^)]*)\)")
_ADDED_BY_PROMETHEUS = {"instance", "job", "le"}


@pytest.fixture
def told(dsns: Dsns) -> dict[str, set[str]]:
    """The labels of each series that a process tells, after a turn in which everything happened."""
    import psycopg
    from prometheus_client import generate_latest

    with psycopg.connect(dsns.owner, autocommit=True) as conn:
        conn.execute("INSERT INTO procrastinate_jobs (queue_name, task_name) VALUES ('default', 'note')")
    known = Known(frozenset({"anthropic/claude"}), frozenset({"ads_analyst"}), frozenset({"ads_report"}))
    metrics = Metrics(known, version="1", breakers=dict, jobs_dsn=dsns.app, missed=lambda: 0)
    metrics.saw(seen(model_call(), model_call(cost_usd=None), tool_call(proposal_id="prop_1"), asked()))
    found: dict[str, set[str]] = {"up": set()}  # Prometheus' own, for each process that it asks
    for family in text_string_to_metric_families(generate_latest(metrics.registry).decode()):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def expressions(dashboard: Any) -> list[str]:
    panels = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    return panels + [one["definition"] for one in dashboard["templating"]["list"] if "definition" in one]


def not_told(expression: str, told: dict[str, set[str]]) -> set[str]:
    """Names of metrics and labels in an expression that no process tells."""
    wrong, labels = set(), set(_ADDED_BY_PROMETHEUS)
    for name, matchers in _SELECTED.findall(expression):
        if name not in told:
            wrong.add(name)
            continue
        labels |= told[name]
        asked_for = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers))
        wrong |= {f"{name}{{{label}}}" for label in asked_for - told[name] - _ADDED_BY_PROMETHEUS}
    grouped = {label.strip() for group in _GROUPED.findall(expression) for label in group.split(",")}
    return wrong | {f"by ({label})" for label in grouped - labels if label}


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.name)
def test_each_metric_and_label_in_a_dashboard_is_one_that_we_tell(path: Path, told: dict[str, set[str]]) -> None:
    asked_for = expressions(json.loads(path.read_text(encoding="utf-8")))
    assert len(asked_for) > 20 and all("mutirao_" in one or "process_" in one for one in asked_for)
    assert {one: wrong for one in asked_for if (wrong := not_told(one, told))} == {}


def test_each_metric_in_the_guide_is_one_that_we_tell(told: dict[str, set[str]]) -> None:
    text = GUIDE.read_text(encoding="utf-8")
    expressions_of_alerts = re.findall(r"expr: (.*)", text)
    assert len(expressions_of_alerts) >= 5
    assert {one: wrong for one in expressions_of_alerts if (wrong := not_told(one, told))} == {}
    named = set(re.findall(r"\bmutirao_[a-z_]+", text))
    series = {name.removesuffix(end) for name in told for end in ("", "_bucket", "_sum", "_count")}
    assert named - series - set(told) == set()


def test_each_metric_of_ours_is_in_a_dashboard(told: dict[str, set[str]]) -> None:
    shown = " ".join(one for path in DASHBOARDS for one in expressions(json.loads(path.read_text(encoding="utf-8"))))
    ours = {re.sub(r"_(bucket|sum|count)$", "", name) for name in told if name.startswith("mutirao_")}
    assert {name for name in ours if not re.search(rf"\b{name}(_bucket)?\b", shown)} == set()


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.name)
def test_a_dashboard_can_be_imported_anywhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    dashboard = json.loads(text)
    panels = dashboard["panels"]
    ids = [panel["id"] for panel in panels]
    assert len(ids) == len(set(ids))
    assert dashboard["uid"] and "id" not in dashboard
    assert "://" not in text and "localhost" not in text
    sources = set(re.findall(r'"uid": "([^"]*)"', text)) - {dashboard["uid"]}
    assert sources == {"${datasource}"}
    assert "datasource" in {one["name"] for one in dashboard["templating"]["list"]}


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.name)
def test_no_two_panels_of_a_dashboard_lie_on_each_other_or_beside_the_page(path: Path) -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24, panel["title"]
        for x in range(at["x"], at["x"] + at["w"]):
            for y in range(at["y"], at["y"] + at["h"]):
                assert taken.setdefault((x, y), panel["title"]) == panel["title"]


def test_the_dashboard_has_a_word_for_each_state_of_a_breaker_and_for_each_bad_end() -> None:
    [dashboard] = [json.loads(path.read_text(encoding="utf-8")) for path in DASHBOARDS]
    [mapped] = [
        m for p in dashboard["panels"] for m in p.get("fieldConfig", {}).get("defaults", {}).get("mappings", [])
    ]
    assert {one["text"]: int(number) for number, one in mapped["options"].items()} == BREAKER
    [badly] = {found for one in expressions(dashboard) for found in re.findall(r'ended!~"([^"]*)"', one)}
    assert {ended for ended in ENDINGS if not re.fullmatch(badly, ended)} == {e for e in ENDINGS if ":" in e}
