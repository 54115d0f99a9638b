"""Every provider through its own library against a server that speaks its wire: what comes whole, what is refused."""

import json
from typing import Any

import pytest

from core.turn import Turn
from evals.stand_in import Answer, Seen, StandIn
from llm.catalog import load_catalog
from llm.errors import FailureKind
from llm.messages import ModelAnswer, ModelRequest, ToolCall, Usage
from llm.providers import read_calls
from llm.router import Router
from tests.llm.conftest import MakeRouter, Serve, SpendPlaybook, new_turn, question

PROVIDERS = ["openai", "anthropic", "google", "compatible"]


@pytest.fixture(params=PROVIDERS)
def provider(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def only(make_router: MakeRouter, provider: str, server: StandIn, **settings: Any) -> Router:
    if provider == "compatible":
        return make_router(compatible_base_url=server.openai_url, compatible_model="llama", **settings)
    return make_router(**{provider: server}, **settings)


async def failure_of(router: Router, turn: Turn, request: ModelRequest | None = None) -> str:
    """Ask, let the playbook answer, and say why the one model did not."""
    answer = await router.complete(turn, request or question(), playbook=SpendPlaybook())
    assert answer.provider == "offline"
    failure = turn.model_calls[0].failure
    assert failure is not None
    return failure


async def test_text_is_streamed_in_pieces_and_counted(
    provider: str, serve: Serve, make_router: MakeRouter, turn: Turn
) -> None:
    server = serve(Answer("Você gastou R$ 12,34 ontem.", prompt_tokens=120, completion_tokens=9))
    pieces: list[str | None] = []
    answer = await only(make_router, provider, server).complete(turn, question(), playbook=None, on_text=pieces.append)
    assert answer.text == "Você gastou R$ 12,34 ontem." == "".join(map(str, pieces))
    assert len(pieces) > 2
    assert answer.usage == Usage(120, 9)
    assert answer.provider == provider
    assert (answer.cost_usd is None) == (provider == "compatible")
    [call] = turn.model_calls
    assert (call.prompt_tokens, call.completion_tokens, call.failure) == (120, 9, None)
    assert len(call.prompt_hash) == 12
    assert len(server.seen) == 1


async def test_tool_calls_come_parsed_and_their_results_go_back(
    provider: str, serve: Serve, make_router: MakeRouter, turn: Turn
) -> None:
    server = serve(
        Answer("Vou olhar.", calls=[("spend", {"days": 7, "note": "ação"}), ("spend", {"days": 14})]),
        Answer("Gastou mais."),
    )
    router = only(make_router, provider, server)
    first = await router.complete(turn, question(), playbook=None)
    assert [(call.name, call.arguments) for call in first.tool_calls] == [
        ("spend", {"days": 7, "note": "ação"}),
        ("spend", {"days": 14}),
    ]
    assert len({call.id for call in first.tool_calls}) == 2
    followed = question().messages + conversation(first, {"spend": "12.34"})
    second = await router.complete(turn, question(messages=followed), playbook=None)
    assert second.text == "Gastou mais."
    assert told_back(server.seen[1]) == ["spend 7 12.34", "spend 14 12.34"]


def conversation(answer: ModelAnswer, results: dict[str, str]) -> list[dict[str, Any]]:
    """The answer's calls and their results, as CrewAI puts them."""
    calls = [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": json.dumps(call.arguments)}}
        for call in answer.tool_calls
    ]
    told = [
        {"role": "tool", "tool_call_id": call.id, "name": call.name, "content": results[call.name]}
        for call in answer.tool_calls
    ]
    return [{"role": "assistant", "tool_calls": calls}, *told]


def told_back(seen: Seen) -> list[str]:
    """ "tool days result" of each call in a request, read from the wire's own form and joined by its own rules."""
    if seen.wire == "openai":
        [asked] = [message for message in seen.body["messages"] if message["role"] == "assistant"]
        results = {m["tool_call_id"]: m["content"] for m in seen.body["messages"] if m["role"] == "tool"}
        made = [(c["id"], c["function"]["name"], json.loads(c["function"]["arguments"])) for c in asked["tool_calls"]]
        return [f"{name} {arguments['days']} {results[call_id]}" for call_id, name, arguments in made]
    if seen.wire == "anthropic":
        assert [m["role"] for m in seen.body["messages"]] == ["user", "assistant", "user"]
        uses = [b for b in seen.body["messages"][1]["content"] if b["type"] == "tool_use"]
        results = {b["tool_use_id"]: b["content"] for b in seen.body["messages"][2]["content"]}
        return [f"{use['name']} {use['input']['days']} {results[use['id']]}" for use in uses]
    asked, answered = seen.body["contents"][1:]
    assert (asked["role"], answered["role"]) == ("model", "user")
    pairs = zip(asked["parts"], answered["parts"], strict=True)
    return [
        f"{call['functionCall']['name']} {call['functionCall']['args']['days']} "
        f"{result['functionResponse']['response']['result']}"
        for call, result in pairs
    ]


async def test_system_words_tools_and_limits_reach_the_wire(
    provider: str, serve: Serve, make_router: MakeRouter, turn: Turn
) -> None:
    server = serve(Answer("ok"))
    await only(make_router, provider, server).complete(turn, question(max_tokens=321), playbook=None)
    [seen] = server.seen
    sent = json.dumps(seen.body)
    assert "You read figures." in sent
    assert "What was spent in the last days." in sent
    assert "321" in sent
    [tool] = seen.body["tools"]
    schema = {
        "openai": lambda: tool["function"]["parameters"],
        "anthropic": lambda: tool["input_schema"],
        "google": lambda: tool["functionDeclarations"][0]["parameters_json_schema"],
    }[seen.wire]()
    assert (schema["required"], schema["properties"]) == (["days"], {"days": {"type": "integer"}})


async def test_an_answer_by_schema_is_json(provider: str, serve: Serve, make_router: MakeRouter, turn: Turn) -> None:
    schema = {"type": "object", "properties": {"to": {"type": "string"}}, "required": ["to"]}
    server = serve(Answer('{"to": "ads"}'))
    answer = await only(make_router, provider, server).complete(
        turn, question(role="router", tools=[], response_schema=schema), playbook=None
    )
    assert json.loads(answer.text) == {"to": "ads"}
    assert answer.tool_calls == []
    assert '"required": ["to"]' in json.dumps(server.seen[0].body)


FAULTS: dict[str, tuple[Answer, FailureKind]] = {
    "asked to wait": (Answer(status=429, headers={"Retry-After": "7"}), "rate_limited"),
    "500": (Answer(status=500), "unavailable"),
    "502 with a page": (Answer(status=502, body="<html><h1>Bad gateway</h1></html>"), "unavailable"),
    "503 without a body": (Answer(status=503, body=""), "unavailable"),
    "529": (Answer(status=529), "unavailable"),
    "wrong key": (Answer(status=401), "auth"),
    "forbidden": (Answer(status=403), "auth"),
    "bad request": (Answer(status=400), "bad_request"),
    "unknown model": (Answer(status=404), "bad_request"),
    "too large": (Answer(status=413), "too_large"),
    "a page instead of an answer": (Answer(body="<html>Welcome</html>"), "broken_answer"),
    "an empty body": (Answer(body=""), "broken_answer"),
    "an empty answer": (Answer(""), "broken_answer"),
    "a stream that stops silently": (Answer("Você gas", silent_end=True), "broken_answer"),
    "a stream that breaks in a word": (Answer("Você gastou muito ontem", cut_after=3), "unavailable"),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_each_fault_has_one_kind_and_is_asked_once(
    provider: str, fault: str, serve: Serve, make_router: MakeRouter, turn: Turn
) -> None:
    answer, kind = FAULTS[fault]
    server = serve(answer)
    failure = await failure_of(only(make_router, provider, server), turn)
    assert failure.startswith(f"{kind}: {provider}/"), failure
    assert len(server.seen) == 1, "no library may repeat a request by itself"


OVERLOADED = {
    "openai": "server_error",
    "compatible": "overloaded_error",
    "anthropic": "overloaded_error",
    "google": "UNAVAILABLE",
}


async def test_an_error_event_within_a_stream_takes_the_text_back(
    provider: str, serve: Serve, make_router: MakeRouter, turn: Turn
) -> None:
    server = serve(Answer("Você gastou R$ 99", error_after=OVERLOADED[provider]))
    shown: list[str | None] = []
    answer = await only(make_router, provider, server).complete(
        turn, question(), playbook=SpendPlaybook(), on_text=shown.append
    )
    assert answer.provider == "offline"
    assert (turn.model_calls[0].failure or "").startswith(f"unavailable: {provider}/")
    assert shown[0] is not None
    assert shown[-1] is None


LENGTH = {"openai": "length", "compatible": "length", "anthropic": "max_tokens", "google": "MAX_TOKENS"}
REFUSED = {"openai": "content_filter", "compatible": "content_filter", "anthropic": "refusal", "google": "SAFETY"}


async def test_a_tool_call_cut_by_length_is_not_passed_on(
    provider: str, serve: Serve, make_router: MakeRouter, turn: Turn
) -> None:
    server = serve(Answer(calls=[("spend", {"days": 7})], finish=LENGTH[provider]))
    assert (await failure_of(only(make_router, provider, server), turn)).startswith("broken_answer")


async def test_text_cut_by_length_is_not_passed_on_as_whole(
    provider: str, serve: Serve, make_router: MakeRouter, turn: Turn
) -> None:
    server = serve(Answer("Você gas", finish=LENGTH[provider]))
    assert (await failure_of(only(make_router, provider, server), turn)).startswith("broken_answer")


async def test_a_refusal_is_told_apart_from_an_outage(
    provider: str, serve: Serve, make_router: MakeRouter, turn: Turn
) -> None:
    server = serve(Answer("", finish=REFUSED[provider]))
    assert (await failure_of(only(make_router, provider, server), turn)).startswith("refused")


@pytest.mark.parametrize("arguments", ['{"days": 7', '{"days": 7,}', "[7]", "days=7"])
async def test_tool_arguments_that_cannot_be_read_are_not_passed_on(
    provider: str, arguments: str, serve: Serve, make_router: MakeRouter, turn: Turn
) -> None:
    server = serve(Answer(calls=[("spend", arguments)]))
    assert (await failure_of(only(make_router, provider, server), turn)).startswith("broken_answer")


async def test_a_stream_cut_inside_tool_json_is_not_passed_on(
    provider: str, serve: Serve, make_router: MakeRouter, turn: Turn
) -> None:
    server = serve(
        Answer(calls=[("spend", {"days": 7}), ("spend", {"days": 14})], cut_after=3 if provider != "google" else 1)
    )
    answer = await only(make_router, provider, server).complete(turn, question(), playbook=SpendPlaybook())
    assert answer.provider == "offline"
    assert answer.tool_calls == [ToolCall("call_1", "spend", {"days": 7})], "the playbook's call, not the cut one"


async def test_an_unknown_tool_is_passed_on_for_the_runner_to_say_so(
    provider: str, serve: Serve, make_router: MakeRouter, turn: Turn
) -> None:
    server = serve(Answer(calls=[("no_such_tool", {})]))
    answer = await only(make_router, provider, server).complete(turn, question(), playbook=None)
    assert [(call.name, call.arguments) for call in answer.tool_calls] == [("no_such_tool", {})]


async def test_failures_never_carry_a_key_nor_the_words_that_make_crewai_repeat(
    provider: str, serve: Serve, make_router: MakeRouter
) -> None:
    told = "Rate limit: too many requests, throttled; key sk-live-0123456789abcdef is spent"
    for status in (400, 401, 429, 500):
        server = serve(Answer(status=status, body=json.dumps({"error": {"message": told, "type": "rate_limit_error"}})))
        failure = await failure_of(only(make_router, provider, server), new_turn())
        assert "0123456789" not in failure
        assert not any(word in failure.lower() for word in ("rate limit", "too many requests", "throttled"))


async def test_half_characters_in_a_message_do_not_break_the_wire(
    provider: str, serve: Serve, make_router: MakeRouter, turn: Turn
) -> None:
    server = serve(Answer("ok"))
    messages = [{"role": "user", "content": "oi \ud800 tudo bem? 👍"}]
    answer = await only(make_router, provider, server).complete(turn, question(messages=messages), playbook=None)
    assert answer.text == "ok"


async def test_a_server_that_knows_no_stream_options_is_asked_again_without_and_its_tokens_are_estimated(
    serve: Serve, make_router: MakeRouter, turn: Turn
) -> None:
    unknown = json.dumps({"error": {"message": "Unrecognized request argument supplied: stream_options"}})
    server = serve(Answer(status=400, body=unknown), Answer("Gastou R$ 12,34."), Answer("De novo."))
    router = make_router(compatible_base_url=server.openai_url, compatible_model="llama")
    answer = await router.complete(turn, question(), playbook=None)
    assert answer.text == "Gastou R$ 12,34."
    assert answer.usage.prompt_tokens > 50
    assert answer.usage.completion_tokens == len("Gastou R$ 12,34.") // 4 + 1
    await router.complete(turn, question(), playbook=None)
    assert ["stream_options" in seen.body for seen in server.seen] == [True, False, False]
    assert len(turn.model_calls) == 2


async def test_environment_variables_of_the_libraries_do_not_move_requests_elsewhere(
    provider: str, serve: Serve, make_router: MakeRouter, turn: Turn, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_BASE_URL", "ANTHROPIC_BASE_URL", "GOOGLE_GEMINI_BASE_URL"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/elsewhere")
    monkeypatch.setenv("GOOGLE_GENAI_USE_VERTEXAI", "true")
    server = serve(Answer("ok"))
    answer = await only(make_router, provider, server).complete(turn, question(), playbook=None)
    assert answer.text == "ok"


async def test_a_last_word_in_the_assistants_name_is_given_to_the_user(
    serve: Serve, make_router: MakeRouter, turn: Turn
) -> None:
    server = serve(Answer("ok"))
    messages = [*question().messages, {"role": "assistant", "content": "Give your final answer now."}]
    await make_router(anthropic=server).complete(turn, question(messages=messages, tools=[]), playbook=None)
    assert [message["role"] for message in server.seen[0].body["messages"]] == ["user"]


def test_two_hundred_calls_with_the_same_id_or_none_get_ids_of_their_own() -> None:
    [model] = load_catalog().chain("ads_analyst", {"openai"})
    calls = read_calls(model, [("same", "spend", "{}")] * 100 + [("", "spend", "")] * 100)
    assert len({call.id for call in calls}) == 200
    assert {str(call.arguments) for call in calls} == {"{}"}


# --- what the providers cache ---------------------------------------------------------------------


async def test_what_was_read_from_and_written_to_the_cache_is_counted_and_priced(
    provider: str, serve: Serve, make_router: MakeRouter, turn: Turn
) -> None:
    server = serve(
        Answer("ok", prompt_tokens=2_000, completion_tokens=10, cached_tokens=1_500, cache_written_tokens=300),
        Answer("ok", prompt_tokens=2_000, completion_tokens=10),
    )
    router = only(make_router, provider, server)
    cached = await router.complete(turn, question(), playbook=None)
    plain = await router.complete(turn, question(), playbook=None)
    written = 0 if provider == "google" else 300  # Gemini caches by itself and tells only what it read
    assert (cached.usage, plain.usage) == (Usage(2_000, 10, 1_500, written), Usage(2_000, 10))
    if provider == "compatible":
        assert cached.cost_usd is None
    else:
        assert cached.cost_usd is not None
        assert plain.cost_usd is not None
        assert cached.cost_usd < plain.cost_usd


def rounds(number: int) -> list[dict[str, Any]]:
    """A conversation with an earlier exchange, the question, and this many rounds of calls, two calls in each."""
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": "You read figures."},
        {"role": "user", "content": "Oi"},
        {"role": "assistant", "content": "Olá!"},
        {"role": "user", "content": "Quanto gastei?"},
    ]
    for n in range(number):
        answer = ModelAnswer("", [ToolCall(f"{n}a", "spend", {"days": n}), ToolCall(f"{n}b", "spend", {})], "x", "y")
        messages += conversation(answer, {"spend": f"result {n}"})
    return messages


def marked(body: Any) -> list[str]:
    """What the blocks that carry a cache mark say, in the order of the prompt."""
    if isinstance(body, list):
        return [said for part in body for said in marked(part)]
    if not isinstance(body, dict):
        return []
    if "cache_control" in body:
        assert body["cache_control"] == {"type": "ephemeral"}
        return [body.get("text") or body["content"]]
    return [said for key in ("tools", "system", "messages", "content") for said in marked(body.get(key))]


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (0, ["You read figures.", "Quanto gastei?"]),
        (1, ["You read figures.", "Quanto gastei?"]),
        (2, ["You read figures.", "Quanto gastei?", "result 1"]),
        (5, ["You read figures.", "Quanto gastei?", "result 4"]),
    ],
)
async def test_anthropic_is_told_to_cache_the_system_the_question_and_in_long_turns_the_newest_results(
    number: int, expected: list[str], serve: Serve, make_router: MakeRouter, turn: Turn
) -> None:
    server = serve(Answer("ok"))
    await make_router(anthropic=server).complete(turn, question(messages=rounds(number)), playbook=None)
    assert marked(server.seen[0].body) == expected, "no more than four marks are allowed"


async def test_anthropic_caches_only_the_system_of_a_request_that_no_other_round_follows(
    serve: Serve, make_router: MakeRouter, turn: Turn
) -> None:
    server = serve(Answer("ok"))
    await make_router(anthropic=server).complete(turn, question(messages=rounds(0), tools=[]), playbook=None)
    assert marked(server.seen[0].body) == ["You read figures."]


async def test_openai_gets_the_same_cache_key_for_the_same_system_text_and_a_mark_at_its_end(
    serve: Serve, make_router: MakeRouter, turn: Turn
) -> None:
    server = serve(Answer("ok"), Answer("ok"), Answer("ok"))
    router = make_router(openai=server)
    other_words = [{"role": "system", "content": "You write."}, {"role": "user", "content": "Oi"}]
    for messages in (rounds(0), rounds(1), other_words):
        await router.complete(turn, question(messages=messages), playbook=None)
    first, second, third = (seen.body["prompt_cache_key"] for seen in server.seen)
    assert first == second != third
    assert first.startswith("ads_analyst-")
    assert len(first) <= 64, "OpenAI takes no longer one"
    [system] = server.seen[0].body["messages"][0]["content"]
    assert system == {
        "type": "text",
        "text": "You read figures.",
        "prompt_cache_breakpoint": {"mode": "explicit"},
    }


async def test_marks_are_not_sent_to_those_who_may_refuse_them(
    serve: Serve, make_router: MakeRouter, turn: Turn
) -> None:
    own, older = serve(Answer("ok")), serve(Answer("ok"))
    await make_router(compatible_base_url=own.openai_url, compatible_model="llama").complete(
        turn, question(), playbook=None
    )
    await make_router(openai=older, model="openai/gpt-older").complete(turn, question(), playbook=None)
    assert "prompt_cache_key" not in own.seen[0].body
    for server in (own, older):
        assert server.seen[0].body["messages"][0] == {"role": "system", "content": "You read figures."}


async def test_the_question_that_is_asked_is_not_changed_by_its_marks(
    serve: Serve, make_router: MakeRouter, turn: Turn
) -> None:
    for name in ("anthropic", "openai"):
        request = question(messages=rounds(2))
        before = json.dumps(request.messages)
        await make_router(**{name: serve(Answer("ok"))}).complete(turn, request, playbook=None)
        assert json.dumps(request.messages) == before


# --- how hard they think --------------------------------------------------------------------------


async def test_a_small_claude_is_told_not_to_think_and_a_gpt_too(
    serve: Serve, make_router: MakeRouter, turn: Turn
) -> None:
    asked = question(role="router", tools=[], response_schema={"type": "object"})
    claude, gpt = serve(Answer('{"to": "ads"}')), serve(Answer('{"to": "ads"}'))
    await make_router(anthropic=claude).complete(turn, asked, playbook=None)
    await make_router(openai=gpt).complete(turn, asked, playbook=None)
    assert claude.seen[0].model == "claude-haiku-5-5"
    assert claude.seen[0].body["thinking"] == {"type": "disabled"}
    assert "effort" not in claude.seen[0].body["output_config"]
    assert gpt.seen[0].body["reasoning_effort"] == "none"


# --- pictures -------------------------------------------------------------------------------------

PIXEL = "iVBORw0KGgo="


def with_picture(url: str) -> list[dict[str, Any]]:
    parts = [{"type": "text", "text": "O que é isto?"}, {"type": "image_url", "image_url": {"url": url}}]
    return [{"role": "user", "content": parts}]


@pytest.mark.parametrize("name", ["openai", "anthropic", "google"])
async def test_a_picture_reaches_every_model_that_sees(
    name: str, serve: Serve, make_router: MakeRouter, turn: Turn
) -> None:
    server = serve(Answer("Um pixel."))
    messages = with_picture(f"data:image/png;base64,{PIXEL}")
    await only(make_router, name, server).complete(turn, question(messages=messages), playbook=None)
    body = server.seen[0].body
    [words, picture] = body["contents"][0]["parts"] if name == "google" else body["messages"][0]["content"]
    assert words["text"] == "O que é isto?"
    expected = {
        "openai": {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
        "anthropic": {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}},
        "google": {"inlineData": {"mime_type": "image/png", "data": PIXEL}},
    }
    assert {key: value for key, value in picture.items() if key != "cache_control"} == expected[name]


async def test_a_picture_is_not_sent_to_a_server_that_may_not_see_it(
    serve: Serve, make_router: MakeRouter, turn: Turn
) -> None:
    server = serve(Answer("Um gato!"))
    messages = with_picture(f"data:image/png;base64,{PIXEL}")
    router = only(make_router, "compatible", server)
    answer = await router.complete(turn, question(messages=messages), playbook=SpendPlaybook())
    assert answer.provider == "offline"
    assert server.seen == []


@pytest.mark.parametrize("name", ["openai", "anthropic", "google"])
async def test_an_address_of_a_picture_is_refused_because_a_provider_would_go_there(
    name: str, serve: Serve, make_router: MakeRouter, turn: Turn
) -> None:
    server = serve(Answer("ok"))
    asked = question(messages=with_picture("https://example.invalid/x.png"))
    failure = await failure_of(only(make_router, name, server), turn, asked)
    assert failure.startswith("bad_request")
    assert failure.endswith("(a picture that is no data)")
    assert server.seen == []
