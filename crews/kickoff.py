"""One kickoff of a crew of one agent: CrewAI's Crew, Task and Agent, with our model, our tools and our rounds.

CrewAI's own executor is a Flow of thirty steps that calls models and tools from threads: 12 ms of CPU a kickoff, and a
thread for every conversation that waits for a model. `Rounds` takes its place and runs on the event loop; no other code
of ours runs a crew.
"""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from core.errors import Refused
from core.turn import Turn
from crews.contract import CrewDeps
from crews.fence import crewai_is_imported, import_crewai, run_crew
from crews.model import crew_model
from llm.messages import OnText, Playbook
from llm.offline import PROVIDER as OFFLINE
from tools.adapters import crewai_tools, openai_tool
from tools.spec import ToolSpec

_SEE_OPENING = "See the opening messages."


async def kick_off(
    turn: Turn,
    deps: CrewDeps,
    role: str,
    *,
    opening: Sequence[dict[str, Any]],
    tools: Sequence[ToolSpec],
    playbook: Playbook,
    on_text: OnText | None = None,
) -> str:
    """The answer of an agent that is told `opening` (messages in OpenAI's form) and may use `tools`.

    `role` is a role of llm/catalog.toml; `playbook` answers when no model does. Pieces of a model's text go to
    `on_text` as they come. Raises what ended the turn: Refused("turn_limit" | "turn_stopped"). Nothing of it outlives
    the call: crew, task, agent and tools are this turn's own.
    """
    crewai = import_crewai() if crewai_is_imported() else await asyncio.to_thread(import_crewai)
    model = crew_model(
        deps.router,
        turn,
        role,
        playbook=playbook,
        on_text=on_text,
        opening=opening,
        tools=[openai_tool(tool) for tool in tools],
    )
    agent = crewai.Agent(
        role=role,
        goal="answer what was asked",
        backstory=_SEE_OPENING,
        llm=model,
        tools=crewai_tools(deps.runner, turn, [tool.name for tool in tools]),
        max_iter=turn.limits.model_calls,
        max_retry_limit=0,
        verbose=False,
        allow_delegation=False,
    )
    agent.agent_executor = Rounds(agent)
    task = crewai.Task(description=_SEE_OPENING, expected_output="The answer.", agent=agent)
    crew = crewai.Crew(agents=[agent], tasks=[task], tracing=False, memory=False, cache=False, verbose=False)
    return str((await run_crew(crew)).raw)


async def answer_of(
    turn: Turn,
    deps: CrewDeps,
    role: str,
    *,
    opening: Sequence[dict[str, Any]],
    tools: Sequence[ToolSpec],
    playbook: Playbook,
    on_text: OnText | None,
    so_far: Callable[[], str] = lambda: "",
) -> tuple[str, bool]:
    """A crew's answer, and whether a model worded it. A limit of the turn ends it with what is there (`so_far`, asked
    only then), said in the text. For the rest as `kick_off`."""
    try:
        text = await kick_off(turn, deps, role, opening=opening, tools=tools, playbook=playbook, on_text=on_text)
    except Refused as limit:
        if limit.code not in ("turn_limit", "turn_stopped"):
            raise
        return "\n\n".join(filter(None, [so_far(), deps.texts.error(turn.language, limit)])), False
    return text, bool(turn.model_calls) and turn.model_calls[-1].provider != OFFLINE


class Rounds:
    """An agent's rounds: ask the model, run the tools it asks for side by side, until it answers in words.

    What CrewAI's Agent wants of its executor, and no more: no planning, no memory, no human input, no text protocol for
    models without tool calls; CrewAI's events and hooks of single calls are not sent. One per kickoff. The Agent finds
    it in its field `agent_executor` and tells it what to work with by setting the attributes (1.15.30,
    Agent._update_executor_parameters).
    """

    _resuming = False
    task: Any
    llm: Any
    original_tools: list[Any]

    def __init__(self, agent: Any) -> None:
        self._agent = agent
        self.messages: list[dict[str, Any]] = []

    async def ainvoke(self, _inputs: dict[str, Any]) -> dict[str, Any]:
        """{"output": text}. After the agent's `max_iter` rounds the model is asked once more, with no tools.

        CrewAI's words for role, goal and task are not sent: the model has its opening (crews/model.py).
        """
        tools = {tool.name: tool for tool in self.original_tools}
        offered = [_named(name) for name in tools]
        self.messages = []
        for _ in range(self._agent.max_iter):
            answer = await self._ask(offered)
            if isinstance(answer, str):
                return {"output": answer}
            self.messages.append({"role": "assistant", "tool_calls": answer})
            self.messages += await asyncio.gather(*(_run(tools, call) for call in answer))
        return {"output": str(await self._ask([]))}

    async def _ask(self, tools: list[dict[str, Any]]) -> str | list[dict[str, Any]]:
        answer: str | list[dict[str, Any]] = await self.llm.acall(
            self.messages, tools=tools, from_task=self.task, from_agent=self._agent
        )
        return answer


async def _run(tools: Mapping[str, Any], call: dict[str, Any]) -> dict[str, Any]:
    """The message that answers a call. Tools of ours never raise for what they or the model did wrong."""
    name = call["function"]["name"]
    if name in tools:
        result = await tools[name].answer(json.loads(call["function"]["arguments"]))
    else:
        why = f"there is no tool {name[:80]!r}; there are: {', '.join(tools) or 'none'}"
        result = json.dumps({"error": "arguments_wrong", "code": "tool_unknown", "why": why})
    return {"role": "tool", "content": result, "tool_call_id": call["id"], "name": name}


def _named(name: str) -> dict[str, Any]:
    """A tool by its name alone: crews/model.py knows the rest of it."""
    return {"type": "function", "function": {"name": name, "parameters": {}}}
