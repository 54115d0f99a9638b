"""One declaration, four frameworks: the same call, the same runner, the same schema."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from core.tenancy import Role
from crews import fence
from tests.tools.conftest import MakeRunner, MakeTurn
from tests.tools.test_runner import ALL, look, ran, turn_the_dial
from tools.adapters import crewai_tools, langchain_tool, mcp_tool, openai_tool, parameters


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    ran.clear()


def test_a_schema_is_short_closed_and_requires_only_what_is_required() -> None:
    assert openai_tool(look) == {
        "type": "function",
        "function": {
            "name": "look",
            "description": "Look at a thing.",
            "parameters": {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "depth": {"type": "integer", "minimum": 1, "maximum": 5},
                    "unit": {"type": "string", "enum": ["cm", "inch"]},
                },
                "required": ["name"],
                "additionalProperties": False,
            },
        },
    }


def test_mcp_hints_follow_from_the_effect() -> None:
    reads, proposes = mcp_tool(look), mcp_tool(turn_the_dial)
    assert reads.inputSchema == parameters(look)
    assert reads.annotations.readOnlyHint and not reads.annotations.destructiveHint
    assert not proposes.annotations.readOnlyHint and proposes.annotations.destructiveHint


async def test_a_langchain_tool_goes_through_the_runner(make_runner: MakeRunner, make_turn: MakeTurn) -> None:
    turn = make_turn()
    tool = langchain_tool(make_runner(ALL), turn, "look")

    assert json.loads(await tool.ainvoke({"name": "box"})) == {"origin": "account data", "name": "box", "width": 12.5}
    assert "arguments_wrong" in await tool.ainvoke({"name": "box", "depth": 9})
    assert [record.error for record in turn.results] == [None, "arguments_wrong"]
    assert tool.tool_call_schema == {**parameters(look), "description": "Look at a thing."}


@pytest.fixture
def crewai(tmp_path: Path) -> Any:
    fence.prepare(tmp_path)
    return fence.import_crewai()


async def test_a_crewai_tool_goes_through_the_runner_from_another_thread(
    crewai: Any, make_runner: MakeRunner, make_turn: MakeTurn
) -> None:
    turn = make_turn(role=Role.COMERCIAL)
    tools = crewai_tools(make_runner(ALL), turn, ["look", "fall"])

    good = await asyncio.to_thread(tools[0].run, name="box", unit="inch")
    wrong = await asyncio.to_thread(tools[0].run, depth=9)
    broken = await asyncio.to_thread(tools[1].run, name="hard")

    assert json.loads(good)["name"] == "box"
    assert wrong.as_agent_message() == wrong.message and "arguments_wrong" in wrong.message
    assert "EAAG" not in broken.message and "tool_bug" in broken.message
    assert [record.error for record in turn.results] == [None, "arguments_wrong", "tool_bug"]


async def test_crewai_sees_our_schema_and_never_caches(
    crewai: Any, make_runner: MakeRunner, make_turn: MakeTurn
) -> None:
    from crewai.utilities.agent_utils import convert_tools_to_openai_schema

    (tool,) = crewai_tools(make_runner(ALL), make_turn(), ["look"])
    (seen,), functions, _ = convert_tools_to_openai_schema([tool])

    # CrewAI makes every field required (stack facts 3.2); llm/ sends openai_tool(spec) instead of this.
    assert set(seen["function"]["parameters"]["properties"]) == {"name", "depth", "unit"}
    assert seen["function"]["description"] == "Look at a thing."
    assert list(functions) == ["look"]
    assert tool.cache_function() is False
