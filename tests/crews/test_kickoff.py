"""A kickoff: CrewAI's crew with our rounds, over real tools and real libraries."""

import asyncio
import json
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from business.approvals.service import Approvals
from core.clock import FixedClock
from core.db import Database
from core.errors import Refused
from core.permissions import Permissions
from core.tenancy import Role
from core.turn import Limits, Turn
from crews.contract import CrewDeps, CrewTask
from crews.kickoff import kick_off
from crews.model import crew_model
from crews.specialist import Specialist
from evals.stand_in import Answer, Seen, StandIn
from llm.messages import ToolCall
from llm.router import Router
from prompts.prompt import Prompts
from prompts.texts import Texts
from tests.conftest import Tenants
from tests.crews.conftest import MakeRouter, Serve, SpendPlaybook
from tools.adapters import openai_tool
from tools.policy import Policies, load_policy
from tools.runner import ToolRunner
from tools.spec import Effect, ToolArgs, ToolContext, ToolResult, ToolSpec, tool

OPENING = [{"role": "system", "content": "You read figures."}, {"role": "user", "content": "Quanto gastei?"}]


class DaysArgs(ToolArgs):
    days: int = 7


class Spend(ToolResult):
    spend: str
    days: int


@tool(effect=Effect.READ, area="ads")
async def spend(ctx: ToolContext, args: DaysArgs) -> Spend:
    """What was spent in the last days."""
    return Spend(spend="12.34", days=args.days)


@tool(effect=Effect.READ, area="ads")
async def meet(ctx: ToolContext, args: DaysArgs) -> Spend:
    """Returns when two calls are under way at the same time."""
    await ctx.service(asyncio.Barrier).wait()
    return Spend(spend="0", days=args.days)


@tool(effect=Effect.READ, area="ads")
async def of_another_crew(ctx: ToolContext, args: DaysArgs) -> Spend:
    """Not offered."""
    raise AssertionError("a crew calls its own tools only")


@pytest.fixture
def deps(database: Database, permissions: Permissions, clock: FixedClock, crewai: Any) -> Callable[[Router], CrewDeps]:
    def make(router: Router) -> CrewDeps:
        texts, policies = Texts.load(), Policies(database, load_policy())
        runner = ToolRunner(
            permissions=permissions,
            approvals=Approvals(database, permissions, clock, {}, check=policies.check),
            policies=policies,
            texts=texts,
            tools=[spend, meet, of_another_crew],
            services={asyncio.Barrier: asyncio.Barrier(2)},
        )
        return CrewDeps(router, runner, Prompts(), texts)

    return make


@pytest.fixture
def asked(tenants: Tenants, clock: FixedClock) -> Callable[..., Turn]:
    def make(**limits: Any) -> Turn:
        identity = tenants.one[Role.ADMIN]
        return Turn(
            id="turn_1",
            identity=identity,
            conversation_id="conv_1",
            door="terminal",
            text="Quanto gastei?",
            language="pt-BR",
            now=clock.now(),
            limits=Limits(**limits),
        )

    return make


Deps = Callable[[Router], CrewDeps]
Asked = Callable[..., Turn]


async def _kick_off(turn: Turn, deps: CrewDeps, tools: Sequence[ToolSpec] = (spend,), **more: Any) -> str:
    playbook = more.pop("playbook", None) or SpendPlaybook()
    return await kick_off(turn, deps, "ads_analyst", opening=OPENING, tools=tools, playbook=playbook, **more)


async def test_crewai_runs_the_crew(serve: Serve, make_router: MakeRouter, deps: Deps, asked: Asked) -> None:
    from crewai.events import CrewKickoffCompletedEvent, TaskCompletedEvent, crewai_event_bus

    seen: list[str] = []
    with crewai_event_bus.scoped_handlers():
        for kind in (TaskCompletedEvent, CrewKickoffCompletedEvent):
            crewai_event_bus.on(kind)(lambda _source, event: seen.append(type(event).__name__))
        server = serve(Answer(calls=[("spend", {"days": 30})]), Answer("Gastou R$ 12,34."))
        turn = asked()
        assert await _kick_off(turn, deps(make_router(openai=server))) == "Gastou R$ 12,34."
        crewai_event_bus.flush()
    assert sorted(seen) == ["CrewKickoffCompletedEvent", "TaskCompletedEvent"]
    assert [(r.name, r.arguments, r.error) for r in turn.results] == [("spend", {"days": 30}, None)]
    first, second = (one.body["messages"] for one in server.seen)
    assert [message["role"] for message in first] == ["system", "user"], "the opening, and none of CrewAI's words"
    assert [message["role"] for message in second] == ["system", "user", "assistant", "tool"]
    assert json.loads(second[-1]["content"]) == {"origin": "account data", "spend": "12.34", "days": 30}


async def test_calls_of_one_answer_run_side_by_side_and_are_answered_in_order(
    serve: Serve, make_router: MakeRouter, deps: Deps, asked: Asked
) -> None:
    server = serve(Answer(calls=[("meet", {"days": 1}), ("meet", {"days": 2})]), Answer("Pronto."))
    async with asyncio.timeout(30):
        assert await _kick_off(asked(), deps(make_router(openai=server)), [meet]) == "Pronto."
    results = [m for m in server.seen[1].body["messages"] if m["role"] == "tool"]
    assert [json.loads(result["content"])["days"] for result in results] == [1, 2]


@pytest.mark.parametrize("name", ["of_another_crew", "no_such_tool"])
async def test_a_tool_that_was_not_offered_is_not_run_and_the_model_is_told(
    serve: Serve, make_router: MakeRouter, deps: Deps, asked: Asked, name: str
) -> None:
    server, turn = serve(Answer(calls=[(name, {})]), Answer("Então não sei.")), asked()
    assert await _kick_off(turn, deps(make_router(openai=server))) == "Então não sei."
    told = json.loads(server.seen[1].body["messages"][-1]["content"])
    assert told["code"] == "tool_unknown"
    assert "spend" in told["why"]
    assert turn.results == []


@pytest.mark.parametrize("arguments", [{"self": 1}, {"days": "many"}, {"name": "x", "arguments": {}}])
async def test_arguments_that_the_tool_does_not_take_are_told_to_the_model(
    serve: Serve, make_router: MakeRouter, deps: Deps, asked: Asked, arguments: dict[str, Any]
) -> None:
    server = serve(Answer(calls=[("spend", arguments)]), Answer("Não deu."))
    assert await _kick_off(asked(), deps(make_router(openai=server))) == "Não deu."
    assert json.loads(server.seen[1].body["messages"][-1]["content"])["code"] == "arguments_wrong"


async def test_a_model_that_never_stops_calling_tools_is_stopped_by_the_turns_limit(
    serve: Serve, make_router: MakeRouter, deps: Deps, asked: Asked
) -> None:
    def again(seen: Seen) -> Answer:
        return Answer(calls=[("spend", {"days": len(seen.body["messages"])})])

    server = serve(again)
    with pytest.raises(Refused) as reached:
        await _kick_off(asked(model_calls=3), deps(make_router(openai=server)))
    assert (reached.value.code, reached.value.params) == ("turn_limit", {"limit": "model_calls"})
    assert len(server.seen) == 3


async def test_without_a_model_the_playbook_plays_the_same_rounds(
    make_router: MakeRouter, deps: Deps, asked: Asked
) -> None:
    turn, pieces = asked(), []  # type: ignore[var-annotated]
    assert await _kick_off(turn, deps(make_router()), on_text=pieces.append) == "Gastou R$ 12,34."
    assert [record.arguments for record in turn.results] == [{"days": 7}]
    assert pieces == ["Gastou R$ 12,34."]


async def test_a_cancelled_kickoff_ends_its_request_without_a_thread(
    serve: Serve, make_router: MakeRouter, deps: Deps, asked: Asked
) -> None:
    server = serve(Answer(hangs=True))
    running = asyncio.ensure_future(_kick_off(asked(), deps(make_router(openai=server))))
    assert await asyncio.to_thread(server.wait_until, lambda s: len(s.seen) == 1)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(running, 15)
    assert await asyncio.to_thread(server.wait_until, lambda s: len(s.left) == 1)


async def test_kickoffs_at_the_same_time_share_nothing(make_router: MakeRouter, deps: Deps, asked: Asked) -> None:
    shared = deps(make_router())

    async def one(number: int) -> tuple[str, list[dict[str, Any]]]:
        playbook, turn = SpendPlaybook(), asked()
        playbook.steps = [[ToolCall("", "spend", {"days": number})], f"resposta {number}"]
        return await _kick_off(turn, shared, playbook=playbook), [record.arguments for record in turn.results]

    numbers = range(1, 31)
    assert await asyncio.gather(*map(one, numbers)) == [(f"resposta {n}", [{"days": n}]) for n in numbers]


# --- models, through the crew --------------------------------------------------------------------

CALL = Answer("Vou olhar.", calls=[("spend", {"days": 30})])
SAY = Answer("Em 30 dias você gastou R$ 12,34.")


@pytest.mark.parametrize("provider", ["openai", "anthropic", "google"])
async def test_each_official_library_streams_real_tool_calls_and_words(
    provider: str, serve: Serve, make_router: MakeRouter, deps: Deps, asked: Asked
) -> None:
    server, turn, shown = serve(CALL, SAY), asked(), []  # type: ignore[var-annotated]
    text = await _kick_off(turn, deps(make_router(**{provider: server})), on_text=shown.append)
    last = len(shown) - 1 - shown[::-1].index(None) if None in shown else -1
    assert text == "Em 30 dias você gastou R$ 12,34." == "".join(shown[last + 1 :])
    assert len(shown[last + 1 :]) > 1, "as it came"
    assert [record.arguments for record in turn.results] == [{"days": 30}]
    assert "12.34" in json.dumps(server.seen[1].body), "what the tool told"
    assert [(call.provider, call.failure) for call in turn.model_calls] == [(provider, None)] * 2


async def test_the_tools_own_schema_is_sent_not_crewais_rewriting(
    serve: Serve, make_router: MakeRouter, deps: Deps, asked: Asked
) -> None:
    server = serve(SAY)
    await _kick_off(asked(), deps(make_router(openai=server)))
    assert server.seen[0].body["tools"] == [openai_tool(spend)]


async def test_the_playbook_goes_on_where_a_model_broke_off(
    serve: Serve, make_router: MakeRouter, deps: Deps, asked: Asked
) -> None:
    server, turn, playbook = serve(CALL, Answer(status=503)), asked(), SpendPlaybook()
    playbook.steps = ["Gastou R$ 12,34, sem modelo."]
    text = await _kick_off(turn, deps(make_router(google=server)), playbook=playbook)
    assert text == "Gastou R$ 12,34, sem modelo."
    assert [record.arguments for record in turn.results] == [{"days": 30}]


async def test_a_tool_call_cut_by_length_never_runs(
    serve: Serve, make_router: MakeRouter, deps: Deps, asked: Asked
) -> None:
    cut, turn = serve(Answer(calls=[("spend", {"days": 90})], finish="length")), asked()
    await _kick_off(turn, deps(make_router(openai=cut)))
    assert [record.arguments for record in turn.results] == [{"days": 7}], "only the playbook's call"


async def test_neither_crewai_nor_the_library_asks_a_throttled_model_again(
    serve: Serve, make_router: MakeRouter, deps: Deps, asked: Asked
) -> None:
    throttled = serve(*[Answer(status=429, headers={"Retry-After": "600"})] * 9)  # longer than a turn may take
    playbook = SpendPlaybook()
    playbook.steps = ["Sem modelo."]
    assert await _kick_off(asked(), deps(make_router(openai=throttled)), playbook=playbook) == "Sem modelo."
    assert len(throttled.seen) == 1


async def test_a_stopped_turn_ends_a_kickoff_and_its_request_at_once(
    serve: Serve, make_router: MakeRouter, deps: Deps, asked: Asked
) -> None:
    server, turn = serve(Answer(hangs=True)), asked()
    running = asyncio.ensure_future(_kick_off(turn, deps(make_router(openai=server))))
    assert await asyncio.to_thread(server.wait_until, lambda s: len(s.seen) == 1)
    turn.stopped.set()
    with pytest.raises(Refused) as stopped:
        await asyncio.wait_for(running, 15)
    assert stopped.value.code == "turn_stopped"
    assert await asyncio.to_thread(server.wait_until, lambda s: len(s.left) == 1)


async def test_crewais_own_executor_is_never_built(
    serve: Serve, make_router: MakeRouter, deps: Deps, asked: Asked
) -> None:
    before = {thread.name for thread in threading.enumerate()}
    async with asyncio.timeout(30):
        await _kick_off(asked(), deps(make_router()))
    begun = {thread.name for thread in threading.enumerate()} - before
    assert [name for name in begun if not name.startswith("asyncio")] == [], "and no thread of it"
    with pytest.raises(NotImplementedError, match="kick_off"):
        crew_model(make_router(), asked(), "ads_analyst", playbook=SpendPlaybook(), opening=[], tools=[]).call("oi")


# --- a crew that needs no code ----------------------------------------------------------------------

ANALYST = Specialist(name="ads", role="ads_analyst", prompt="ads_analyst", tools=[spend])


async def test_a_specialist_is_told_its_prompt_the_conversation_and_the_request(
    serve: Serve, make_router: MakeRouter, deps: Deps, asked: Asked
) -> None:
    server, turn = serve(Answer("Gastou R$ 12,34.")), asked()
    turn.session["history"] = [("user", "oi"), ("assistant", "Olá! " * 400)]
    tasks = [CrewTask("ads.overview", "quanto gastei?"), CrewTask("followup", "e ontem?", "ads.compare")]
    result = await ANALYST.run(turn, tasks, deps(make_router(openai=server)), None)
    assert (result.text, result.by_model) == ("Gastou R$ 12,34.", True)
    assert result.session == {"last_crew": "ads", "last_intent": "ads.compare"}
    system, hello, long, request = server.seen[0].body["messages"]
    assert [part["text"] for part in system["content"]] == [Prompts().fill("ads_analyst", "pt-BR").text]
    assert hello == {"role": "user", "content": "oi"}
    assert long["content"] == ("Olá! " * 120).strip() + " …"
    assert request["content"].splitlines() == [
        "Agora: sexta-feira, 20/11/2026 12:00 (America/Sao_Paulo)",
        "quanto gastei?",
        "e ontem?",
    ]
    assert "conferir" in result.reworded()


async def test_a_specialist_without_a_model_says_that_it_needs_one(
    make_router: MakeRouter, deps: Deps, asked: Asked
) -> None:
    result = await ANALYST.run(asked(), [], deps(make_router()), None)
    assert not result.by_model
    assert result.text.startswith("Isto precisa de um modelo de linguagem")
    assert result.session == {"last_crew": "ads"}


async def test_a_specialist_that_reaches_a_limit_says_which(
    serve: Serve, make_router: MakeRouter, deps: Deps, asked: Asked
) -> None:
    server: StandIn = serve(lambda seen: Answer(calls=[("spend", {"days": len(seen.body["messages"])})]))
    result = await ANALYST.run(asked(model_calls=1), [], deps(make_router(openai=server)), None)
    assert not result.by_model
    assert result.text == Texts.load().error("pt-BR", Refused("turn_limit", "", limit="model_calls"))
