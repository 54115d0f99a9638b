"""A small real crew: one agent, one task, one tool; and turns, playbooks and stand-ins as in tests/llm."""

import json
from typing import Any

import pytest

from crews.fence import import_crewai, prepare
from tests.llm.conftest import MakeRouter, Serve, SpendPlaybook, make_router, new_turn, question, serve, turn


@pytest.fixture(scope="session")
def crewai(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """CrewAI, imported once for the run of the tests."""
    prepare(tmp_path_factory.mktemp("crewai"))
    return import_crewai()


def one_agent_crew(model: Any, ran: list[dict[str, Any]] | None = None, say: str = "12.34") -> Any:
    """A crew whose one tool, `spend`, answers `say` and notes its arguments in `ran`."""
    from crewai import Agent, Crew, Process, Task
    from crewai.tools import BaseTool
    from pydantic import BaseModel

    class SpendArguments(BaseModel):
        days: int = 7

    class Spend(BaseTool):
        name: str = "spend"
        description: str = "What was spent in the last days."
        args_schema: type[BaseModel] = SpendArguments

        def _run(self, days: int = 7) -> str:
            if ran is not None:
                ran.append({"days": days})
            return json.dumps({"spend": say, "days": days})

    agent = Agent(
        role="Analyst", goal="Read figures.", backstory="You read ads.", llm=model, tools=[Spend()], max_retry_limit=0
    )
    task = Task(description="Quanto gastei?", expected_output="One sentence.", agent=agent)
    return Crew(agents=[agent], tasks=[task], process=Process.sequential, tracing=False, memory=False, cache=False)


__all__ = [
    "MakeRouter",
    "Serve",
    "SpendPlaybook",
    "make_router",
    "new_turn",
    "one_agent_crew",
    "question",
    "serve",
    "turn",
]
