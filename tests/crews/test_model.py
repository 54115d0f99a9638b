"""A real CrewAI crew over the router: its tool calls, its streaming and its ends, with each official library."""

import asyncio
import json
from typing import Any

import pytest

from core.errors import Refused, Unavailable
from core.turn import Turn
from crews.fence import run_crew
from crews.model import crew_model, opened, plain_messages, plain_tool
from evals.stand_in import Answer
from llm.messages import ToolCall
from tests.crews.conftest import MakeRouter, Serve, SpendPlaybook, new_turn, one_agent_crew

CALL = Answer("Vou olhar.", calls=[("spend", {"days": 30})])
SAY = Answer("Em 30 dias você gastou R$ 12,34.")


class Shown:
    def __init__(self) -> None:
        self.pieces: list[str] = []

    def __call__(self, piece: str | None) -> None:
        self.pieces = [] if piece is None else [*self.pieces, piece]


@pytest.mark.parametrize("provider", ["openai", "anthropic", "google"])
async def test_a_crew_runs_by_real_tool_calls_streamed(
    provider: str, crewai: Any, serve: Serve, make_router: MakeRouter, turn: Turn
) -> None:
    server, ran, shown = serve(CALL, SAY), [], Shown()  # type: ignore[var-annotated]
    model = crew_model(make_router(**{provider: server}), turn, "ads_analyst", playbook=SpendPlaybook(), on_text=shown)
    result = await run_crew(one_agent_crew(model, ran))
    assert result.raw == "Em 30 dias você gastou R$ 12,34." == "".join(shown.pieces)
    assert len(shown.pieces) > 2
    assert ran == [{"days": 30}]
    assert len(server.seen) == 2
    assert '\\"spend\\": \\"12.34\\"' in json.dumps(server.seen[1].body).replace("\\\\", "\\")
    assert [(call.provider, call.failure) for call in turn.model_calls] == [(provider, None), (provider, None)]
    assert result.token_usage.total_tokens == 240


async def test_a_provider_that_answers_500_falls_to_the_next_within_the_kickoff(
    crewai: Any, serve: Serve, make_router: MakeRouter, turn: Turn
) -> None:
    broken, well = serve(Answer(status=500), Answer(status=500)), serve(CALL, SAY)
    model = crew_model(make_router(anthropic=broken, openai=well), turn, "ads_analyst", playbook=SpendPlaybook())
    result = await run_crew(one_agent_crew(model))
    assert result.raw == "Em 30 dias você gastou R$ 12,34."
    assert (len(broken.seen), len(well.seen)) == (2, 2)


async def test_with_no_provider_the_playbook_runs_through_the_same_crew(
    crewai: Any, make_router: MakeRouter, turn: Turn
) -> None:
    ran: list[dict[str, Any]] = []
    shown = Shown()
    model = crew_model(make_router(), turn, "ads_analyst", playbook=SpendPlaybook(), on_text=shown)
    result = await run_crew(one_agent_crew(model, ran))
    assert (result.raw, ran, shown.pieces) == ("Gastou R$ 12,34.", [{"days": 7}], ["Gastou R$ 12,34."])
    assert {call.provider for call in turn.model_calls} == {"offline"}


async def test_the_playbook_goes_on_where_a_model_broke_off(
    crewai: Any, serve: Serve, make_router: MakeRouter, turn: Turn
) -> None:
    server, ran, playbook = serve(CALL, Answer(status=503)), [], SpendPlaybook()  # type: ignore[var-annotated]
    playbook.steps = ["Gastou R$ 12,34, sem modelo."]
    model = crew_model(make_router(google=server), turn, "ads_analyst", playbook=playbook)
    result = await run_crew(one_agent_crew(model, ran))
    assert (result.raw, ran) == ("Gastou R$ 12,34, sem modelo.", [{"days": 30}])


async def test_a_tool_call_cut_by_length_never_runs(
    crewai: Any, serve: Serve, make_router: MakeRouter, turn: Turn
) -> None:
    cut, ran = serve(Answer(calls=[("spend", {"days": 90})], finish="length")), []  # type: ignore[var-annotated]
    model = crew_model(make_router(openai=cut), turn, "ads_analyst", playbook=SpendPlaybook())
    await run_crew(one_agent_crew(model, ran))
    assert ran == [{"days": 7}], "only the playbook's call"


async def test_a_throttled_chain_is_asked_once_and_its_failures_come_out(
    crewai: Any, serve: Serve, make_router: MakeRouter, turn: Turn
) -> None:
    throttled = serve(*[Answer(status=429, headers={"Retry-After": "600"})] * 9)  # longer than a turn may take
    model = crew_model(make_router(openai=throttled), turn, "ads_analyst", playbook=None)
    with pytest.raises(Unavailable) as failed:
        await run_crew(one_agent_crew(model))
    assert failed.value.code == "models_unavailable"
    assert len(throttled.seen) == 1, "neither CrewAI nor the library may ask again"


async def test_a_stopped_turn_ends_a_kickoff_at_once(
    crewai: Any, serve: Serve, make_router: MakeRouter, turn: Turn
) -> None:
    server = serve(Answer(hangs=True))
    model = crew_model(make_router(openai=server), turn, "ads_analyst", playbook=SpendPlaybook())
    running = asyncio.ensure_future(run_crew(one_agent_crew(model)))
    assert await asyncio.to_thread(server.wait_until, lambda s: len(s.seen) == 1)
    turn.stopped.set()
    with pytest.raises(Refused) as stopped:
        await asyncio.wait_for(running, 15)
    assert stopped.value.code == "turn_stopped"
    assert await asyncio.to_thread(server.wait_until, lambda s: len(s.left) == 1)


async def test_a_cancelled_kickoff_ends_its_request(
    crewai: Any, serve: Serve, make_router: MakeRouter, turn: Turn
) -> None:
    server = serve(Answer(hangs=True))
    model = crew_model(make_router(openai=server), turn, "ads_analyst", playbook=SpendPlaybook())
    running = asyncio.ensure_future(run_crew(one_agent_crew(model)))
    assert await asyncio.to_thread(server.wait_until, lambda s: len(s.seen) == 1)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(running, 15)
    assert await asyncio.to_thread(server.wait_until, lambda s: len(s.left) == 1)


async def test_a_limit_of_the_turn_ends_a_kickoff(crewai: Any, serve: Serve, make_router: MakeRouter) -> None:
    server, turn = serve(CALL, CALL, CALL), new_turn(model_calls=2)
    model = crew_model(make_router(openai=server), turn, "ads_analyst", playbook=SpendPlaybook())
    with pytest.raises(Refused) as reached:
        await run_crew(one_agent_crew(model))
    assert (reached.value.code, reached.value.params) == ("turn_limit", {"limit": "model_calls"})
    assert len(server.seen) == 2


async def test_kickoffs_at_the_same_time_do_not_mix(crewai: Any, make_router: MakeRouter) -> None:
    router = make_router()

    async def one(number: int) -> tuple[str, int]:
        playbook, turn = SpendPlaybook(), new_turn()
        playbook.steps = [[ToolCall("", "spend", {"days": number})], f"resposta {number}"]
        ran: list[dict[str, Any]] = []
        model = crew_model(router, turn, "ads_analyst", playbook=playbook)
        return (await run_crew(one_agent_crew(model, ran))).raw, ran[0]["days"]

    numbers = range(1, 13)
    assert await asyncio.gather(*map(one, numbers)) == [(f"resposta {number}", number) for number in numbers]


async def test_the_tools_own_schema_is_sent_in_place_of_crewais_rewriting(
    crewai: Any, serve: Serve, make_router: MakeRouter, turn: Turn
) -> None:
    schema = {"type": "object", "properties": {"days": {"type": "integer"}}, "additionalProperties": False}
    own = {"type": "function", "function": {"name": "spend", "description": "Ours.", "parameters": schema}}
    server = serve(SAY, SAY)
    router = make_router(openai=server)
    for tools in ([own], []):
        model = crew_model(router, turn, "ads_analyst", playbook=None, tools=tools)
        await run_crew(one_agent_crew(model))
    [sent], [rewritten] = (seen.body["tools"] for seen in server.seen)
    assert sent == own
    assert rewritten["function"]["parameters"]["required"] == [], "a field with a default is not required"
    assert "strict" not in rewritten["function"]
    assert all(set(message) <= {"role", "content"} for seen in server.seen for message in seen.body["messages"])


def test_messages_are_copies_without_keys_of_crewais_own() -> None:
    live = [{"role": "user", "content": "oi", "cache_breakpoint": True, "tool_calls": None}]
    sent = plain_messages(live)
    live.append({"role": "assistant", "content": "x"})
    assert sent == [{"role": "user", "content": "oi"}]
    assert plain_messages("oi") == sent


def test_only_fields_without_a_default_stay_required() -> None:
    schema = {
        "type": "object",
        "properties": {"account": {"type": "string"}, "days": {"type": "integer", "default": 7}},
        "required": ["account", "days"],
    }
    function = {"name": "spend", "description": "d", "parameters": schema, "strict": True}
    assert plain_tool({"type": "function", "function": function}) == {
        "type": "function",
        "function": {"name": "spend", "description": "d", "parameters": {**schema, "required": ["account"]}},
    }


def test_an_opening_takes_the_place_of_crewais_words_but_keeps_calls_and_results() -> None:
    call: dict[str, Any] = {"role": "assistant", "tool_calls": [{"id": "1"}]}
    result: dict[str, Any] = {"role": "tool", "tool_call_id": "1", "content": "{}"}
    told: list[dict[str, Any]] = [
        {"role": "system", "content": "You are"},
        {"role": "user", "content": "Current Task"},
        call,
        result,
    ]
    opening = [{"role": "user", "content": "Quanto gastei?"}]
    assert opened(told, opening) == [*opening, call, result]
    assert opened(told, []) == told
