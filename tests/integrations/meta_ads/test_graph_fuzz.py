"""Whatever is asked, the simulator answers as Graph does: a body or an error object, never a crash."""

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from integrations.meta_ads.simulator.graph import Graph
from integrations.meta_ads.simulator.state import State
from tests.integrations.meta_ads.conftest import AURORA, NOW, TODAY

_NODES = ["me", AURORA, "act_1", "120100000000000001", "120200000000000001", "120300000000000005", "debug_token", ""]
_EDGES = ["", "insights", "campaigns", "adsets", "ads", "adaccounts", "permissions", "insights/x"]
_DAYS = [(TODAY + timedelta(days=n)).isoformat() for n in (-100, -8, -1, 0, 3)] + ["2026-13-01", ""]
_PARAMS = {
    "fields": st.sampled_from(["spend,actions", '["reach"]', "name,campaign{name}", "{", "id,,", "[1", "ação", ""]),
    "level": st.sampled_from(["account", "campaign", "ad", "x", ""]),
    "time_range": st.builds(
        lambda one, other: json.dumps({"since": one, "until": other}), st.sampled_from(_DAYS), st.sampled_from(_DAYS)
    )
    | st.sampled_from(["[]", "{}", "null", "1", "{"]),
    "time_increment": st.sampled_from(["1", "7", "monthly", "0", "-1", "x"]),
    "breakdowns": st.sampled_from(["age", '["age","gender"]', "x", "[["]),
    "filtering": st.sampled_from(
        ["[]", "[1]", "{}", '[{"field":1}]', '[{"field":"campaign.id","operator":"IN","value":5}]',
         '[{"field":"spend","operator":"GREATER_THAN","value":"x"}]', '[{"field":"ad.name","operator":"?"}]']
    ),
    "action_attribution_windows": st.sampled_from(['["1d_click"]', "7d_view", "x"]),
    "limit": st.sampled_from(["1", "0", "-5", "9999999", "x"]),
    "after": st.sampled_from(["", "x", "c2FuZGJveDoz", "c2FuZGJveDotMw=="]),
    "summary": st.sampled_from(["true", '["spend"]', "[]"]),
    "sort": st.sampled_from(["spend_descending", "x", "_"]),
    "effective_status": st.sampled_from(['["PAUSED"]', "ACTIVE", "[1]"]),
    "batch": st.sampled_from(["", "[]", "[1]", "{", '[{"method":"GET","relative_url":"me"}]']),
    "status": st.sampled_from(["PAUSED", "paused", ""]),
    "daily_budget": st.sampled_from(["5000", "-1", "1e4", "٣", ""]),
}  # fmt: skip


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graph]:
    state = State(tmp_path_factory.mktemp("fuzz"), TODAY)
    yield Graph(state, lambda: NOW)
    state.close()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    method=st.sampled_from(["GET", "POST"]),
    node=st.sampled_from(_NODES),
    edge=st.sampled_from(_EDGES),
    params=st.fixed_dictionaries({"execution_options": st.just('["validate_only"]')}, optional=_PARAMS),
)
def test_every_question_gets_a_body_or_an_error_object(
    graph: Graph, method: str, node: str, edge: str, params: dict[str, str]
) -> None:
    answer = graph.answer(method, f"/v26.0/{node}/{edge}", params, graph.state.token, "http://127.0.0.1:1")
    body = json.loads(json.dumps(answer.body))
    if answer.status == 200:
        assert isinstance(body, dict | list)
    else:
        assert body["error"]["message"]
        assert body["error"]["code"]
    assert graph.state.writes == []
