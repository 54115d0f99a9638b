"""Rules that every tool keeps, whoever adds it."""

import re
import unicodedata
from typing import Any

import pytest

from core.errors import ArgumentsWrong
from crews.registry import CREWS
from prompts.texts import Texts
from tools.adapters import openai_tool, parameters
from tools.policy import load_policy
from tools.runner import parse_arguments
from tools.spec import Effect, ToolSpec

TOOLS = [tool for crew in CREWS for tool in crew.tools]
# strands-agents/tools #532: a tenant that a model can name is no tenant.
NEVER_ARGUMENTS = re.compile(
    r"tenant|user_?id|contact_?id|role$|door|turn|conversation_?id|approv|token|secret|password|clock|^now$"
)
KNOWN_KEYS = {"type", "enum", "description", "items", "minimum", "maximum", "maxItems", "properties", "required"}


def each(tool: ToolSpec) -> str:
    return tool.name


@pytest.mark.parametrize("tool", TOOLS, ids=each)
def test_a_tool_says_what_it_is_for_in_few_words_and_nothing_hidden(tool: ToolSpec) -> None:
    text = openai_tool(tool)["function"]["description"]
    assert 20 <= len(text) <= 900
    shown = str(openai_tool(tool))
    hidden = [c for c in shown if unicodedata.category(c) in ("Cf", "Co", "Cs", "Cc")]
    assert hidden == []
    assert re.fullmatch(r"[a-z][a-z0-9_]{2,60}", tool.name)


@pytest.mark.parametrize("tool", TOOLS, ids=each)
def test_a_schema_is_closed_small_and_plain(tool: ToolSpec) -> None:
    schema = parameters(tool)
    assert schema["type"] == "object" and schema["additionalProperties"] is False
    assert len(str(schema)) <= 1_600

    def walk(part: dict[str, Any]) -> None:
        assert set(part) <= KNOWN_KEYS | {"additionalProperties"}, part
        for inner in part.get("properties", {}).values():
            assert "type" in inner, inner
            walk(inner)
        if "items" in part:
            walk(part["items"])

    walk(schema)
    required = {name for name, field in tool.args.model_fields.items() if field.is_required()}
    assert set(schema.get("required", [])) == required


@pytest.mark.parametrize("tool", TOOLS, ids=each)
def test_who_asks_and_for_whom_is_never_an_argument(tool: ToolSpec) -> None:
    assert [name for name in parameters(tool)["properties"] if NEVER_ARGUMENTS.search(name)] == []
    with pytest.raises(ArgumentsWrong):
        parse_arguments(tool, {"tenant_id": "ten_2"})


@pytest.mark.parametrize("tool", TOOLS, ids=each)
def test_effect_area_and_words_exist(tool: ToolSpec) -> None:
    assert tool.effect in Effect
    assert tool.area in {crew.area for crew in CREWS}
    assert Texts.load().has(f"tool.{tool.name}"), "its step has no title in prompts/texts/*/tools.yaml"
    assert load_policy().decision(tool.name, tool.effect) is not None


def test_names_are_unique() -> None:
    names = [tool.name for tool in TOOLS]
    assert len(names) == len(set(names))
