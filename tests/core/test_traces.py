"""A finished turn arrives at an OpenTelemetry collector as one trace; one that is away harms nothing."""

import io
import socket
import time
from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from core.traces import SEND_SECONDS, Traces
from tests.conftest import free_port, wait_until
from tests.core.collector import Collector, collector
from tests.core.finished import ENDED_AT, SECRETS, model_call, seen, tool_call

INTERNAL, CLIENT = 1, 3


@pytest.fixture
def receiver() -> Iterator[Collector]:
    with collector() as running:
        yield running


def sent(receiver: Collector, *seen_turns: object) -> None:
    traces = Traces(receiver.url, version="1.2.3", every=60)
    for one in seen_turns:
        traces.saw(one)  # type: ignore[arg-type]
    traces.close(20)


def test_a_turn_is_one_trace_with_its_calls_inside_at_the_times_they_had(receiver: Collector) -> None:
    sent(receiver, seen(model_call(), tool_call()))
    assert receiver.paths == {"/v1/traces"}
    [turn] = receiver.named("invoke_agent mutirao")
    [chat] = receiver.named("chat claude")
    [tool] = receiver.named("execute_tool ads_report")
    assert len(receiver.spans) == 3
    assert turn.parent == b"" and chat.parent == tool.parent == turn.id
    assert turn.trace == chat.trace == tool.trace
    assert (turn.kind, chat.kind, tool.kind) == (INTERNAL, CLIENT, INTERNAL)
    times = [(span.start - ENDED_AT, span.end - ENDED_AT) for span in (turn, chat, tool)]
    assert times == [(-5, 0), (-4, -2), (-1.5, -1)]
    assert {span.service for span in receiver.spans} == {"mutirao"}


def test_the_spans_carry_what_the_conventions_for_generative_ai_name(receiver: Collector) -> None:
    sent(receiver, seen(model_call(link=1, attempt=2), tool_call(proposal_id="prop_1"), held_back=1))
    chat = receiver.named("chat claude")[0].attributes
    assert {name: value for name, value in chat.items() if name.startswith("gen_ai.")} == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": "claude",
        "gen_ai.request.stream": True,
        "gen_ai.conversation.id": "conv_1",
        "gen_ai.usage.input_tokens": 1_000,
        "gen_ai.usage.output_tokens": 50,
        "gen_ai.usage.cache_read.input_tokens": 600,
        "gen_ai.usage.cache_creation.input_tokens": 100,
        "gen_ai.response.time_to_first_chunk": 0.4,
    }
    assert (chat["mutirao.role"], chat["mutirao.link"], chat["mutirao.attempt"]) == ("ads_analyst", 1, 2)
    assert chat["mutirao.cost_usd"] == 0.0125
    tool = receiver.named("execute_tool ads_report")[0].attributes
    assert tool["gen_ai.operation.name"] == "execute_tool" and tool["gen_ai.tool.name"] == "ads_report"
    assert tool["mutirao.effect"] == "READ" and tool["mutirao.proposal"] is True
    turn = receiver.named("invoke_agent mutirao")[0].attributes
    assert turn["gen_ai.operation.name"] == "invoke_agent" and turn["gen_ai.agent.name"] == "mutirao"
    assert turn["gen_ai.usage.input_tokens"] == 1_000 and turn["mutirao.numbers_held_back"] == 1
    assert turn["mutirao.turn.id"] == "turn_1" and turn["mutirao.intents"] == ["ads.report"]


def test_the_names_are_those_of_the_installed_conventions(receiver: Collector) -> None:
    from opentelemetry.semconv._incubating.attributes import gen_ai_attributes

    known = {value for name, value in vars(gen_ai_attributes).items() if name.startswith("GEN_AI_")}
    sent(receiver, seen(model_call(), tool_call()))
    used = {name for span in receiver.spans for name in span.attributes if name.startswith("gen_ai.")}
    assert len(used) > 12 and used - known == set()


def test_a_google_model_is_told_by_the_name_the_conventions_have_for_its_provider(receiver: Collector) -> None:
    sent(receiver, seen(model_call(provider="google", model="gemini")))
    assert {span.attributes.get("gen_ai.provider.name") for span in receiver.spans} == {"gcp.gemini"}


def test_failures_are_errors_with_their_code_and_without_their_words(receiver: Collector) -> None:
    late = model_call(failure="timeout: anthropic/claude (after 8.0 s)", first_seconds=None, cost_usd=None)
    odd = model_call(model="gpt", failure=f"{SECRETS[1]} said no")
    broken = tool_call(error="graph_unavailable", result=None)
    sent(receiver, seen(late, odd, broken, ended="error:models_unavailable"))
    assert {span.name: (span.failed, span.attributes["error.type"]) for span in receiver.spans} == {
        "invoke_agent mutirao": (True, "models_unavailable"),
        "chat claude": (True, "timeout"),
        "chat gpt": (True, "_OTHER"),
        "execute_tool ads_report": (True, "graph_unavailable"),
    }


def test_a_request_that_we_gave_up_ourselves_is_no_error(receiver: Collector) -> None:
    sent(receiver, seen(model_call(failure="given_up: anthropic/claude (another model was faster)", estimated=True)))
    [chat] = receiver.named("chat claude")
    assert not chat.failed and "error.type" not in chat.attributes
    assert chat.attributes["mutirao.given_up"] is True and chat.attributes["mutirao.usage.estimated"] is True


@pytest.mark.parametrize("ended", ["done", "stopped"])
def test_a_turn_that_its_person_stopped_is_no_error(receiver: Collector, ended: str) -> None:
    sent(receiver, seen(ended=ended))
    [turn] = receiver.spans
    assert not turn.failed and "error.type" not in turn.attributes and turn.attributes["mutirao.ended"] == ended


def test_the_playbook_is_no_model_call_and_the_turn_says_that_it_answered(receiver: Collector) -> None:
    sent(receiver, seen(model_call(provider="offline", model="playbook"), tool_call()))
    assert sorted(span.name for span in receiver.spans) == ["execute_tool ads_report", "invoke_agent mutirao"]
    assert receiver.named("invoke_agent mutirao")[0].attributes["mutirao.playbook"] is True


def test_what_people_said_and_who_they_are_is_nowhere_in_what_is_sent(receiver: Collector) -> None:
    invented = tool_call(name=SECRETS[1], effect="", error="tool_unknown", result=None)
    sent(receiver, seen(model_call(), tool_call(), invented))
    everything = b"".join(receiver.bodies)
    assert b"execute_tool unknown" in everything
    assert [secret for secret in SECRETS if secret.encode() in everything] == []


def test_what_other_libraries_trace_does_not_pass_through_ours(receiver: Collector) -> None:
    traces = Traces(receiver.url, every=60)
    other = TracerProvider(shutdown_on_exit=False).get_tracer("another library")
    with other.start_as_current_span("not ours"), trace.get_tracer("a library").start_as_current_span("nor this"):
        traces.saw(seen(model_call()))
    traces.close(20)
    assert {span.scope for span in receiver.spans} == {"mutirao"} and len(receiver.spans) == 2
    assert receiver.named("invoke_agent mutirao")[0].parent == b""
    assert trace.get_tracer_provider() is not traces._provider


def test_a_collector_that_is_away_costs_no_time_and_one_line_in_the_log(lines: io.StringIO) -> None:
    traces = Traces(f"http://127.0.0.1:{free_port()}", every=0.01)
    begun = time.monotonic()
    for _ in range(600):  # more than a batch
        traces.saw(seen(model_call()))
    traces.close(2)
    assert time.monotonic() - begun < 10
    wait_until(lambda: "traces_not_taken" in lines.getvalue())
    assert len(lines.getvalue().splitlines()) == 1, lines.getvalue()


def test_a_collector_that_takes_the_line_and_never_answers_is_not_waited_for(lines: io.StringIO) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        traces = Traces(f"http://127.0.0.1:{silent.getsockname()[1]}", every=60)
        traces.saw(seen(model_call()))
        begun = time.monotonic()
        traces.close(0.5)
        assert time.monotonic() - begun < SEND_SECONDS - 1
    wait_until(lambda: "traces_not_taken" in lines.getvalue())


def test_a_collector_that_refuses_is_complained_about_once_and_its_return_is_told(lines: io.StringIO) -> None:
    with collector(status=400) as refusing:
        traces = Traces(refusing.url, every=0.01)
        for n in range(3):
            traces.saw(seen())
            wait_until(lambda n=n: refusing.asked > n)  # type: ignore[misc]
        refusing.status = 200
        traces.saw(seen(model_call()))
        wait_until(lambda: len(refusing.spans) == 2)
        traces.close(20)
    said = lines.getvalue()
    assert said.count("traces_not_taken") == said.count("traces_taken_again") == 1
    assert len(said.splitlines()) == 2, said
