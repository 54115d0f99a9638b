"""One declaration, every framework's form of it: OpenAI function, CrewAI tool, LangChain tool, MCP tool.

All of them end in `ToolRunner.call`. Schemas are short on purpose: they are sent with every model call, and the user
pays for each token of them.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from core.turn import Turn
from tools.runner import ToolOutcome, ToolRunner
from tools.spec import ToolArgs, ToolSpec

_KEPT = ("type", "enum", "description", "items", "minimum", "maximum", "maxItems")


def parameters(spec: ToolSpec) -> dict[str, Any]:
    """The JSON schema of a tool's arguments: no titles, no references, no nulls, no defaults; closed.

    Only what a call cannot do without is required. A default stands in words in the field's description or the
    tool's docstring where the model has to know it.
    """
    full = spec.args.model_json_schema()
    definitions = full.get("$defs", {})
    properties = {name: _clean(schema, definitions) for name, schema in full.get("properties", {}).items()}
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    if full.get("required"):
        schema["required"] = list(full["required"])
    schema["additionalProperties"] = False
    return schema


def _clean(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        inner = definitions[schema["$ref"].removeprefix("#/$defs/")]
        schema = {**inner, **{key: value for key, value in schema.items() if key != "$ref"}}
        if "description" in inner and inner["description"] == schema.get("description"):
            schema.pop("description")  # the docstring of an enum class is for people who read code
    if "anyOf" in schema:
        options = [option for option in schema["anyOf"] if option.get("type") != "null"]
        # A Decimal is offered by pydantic as number or patterned string: number is enough for a model.
        chosen = next((option for option in options if option.get("type") in ("number", "integer")), options[0])
        schema = {**chosen, **{key: value for key, value in schema.items() if key != "anyOf"}}
        return _clean(schema, definitions)
    if "const" in schema:
        schema = {**schema, "enum": [schema["const"]]}
    kept = {key: schema[key] for key in _KEPT if key in schema}
    if "items" in kept:
        kept["items"] = _clean(kept["items"], definitions)
    if schema.get("type") == "object" and "properties" in schema:
        kept["properties"] = {name: _clean(inner, definitions) for name, inner in schema["properties"].items()}
        kept["required"] = schema.get("required", [])
        kept["additionalProperties"] = False
    return kept


def openai_tool(spec: ToolSpec) -> dict[str, Any]:
    """The tool in OpenAI's chat format, which `llm/` translates for every provider."""
    return {
        "type": "function",
        "function": {"name": spec.name, "description": spec.description, "parameters": parameters(spec)},
    }


def crewai_tools(
    runner: ToolRunner, turn: Turn, names: Sequence[str], loop: asyncio.AbstractEventLoop | None = None
) -> list[Any]:
    """CrewAI tools bound to this turn, calling back on `loop` (default: the running one) from CrewAI's threads.

    CrewAI checks arguments by itself and rewrites schemas so that every field is required
    (1.15.30, utilities/agent_utils.py). Its check is left empty, so that every call reaches the runner as it was
    made; the model should be sent `openai_tool(spec)` instead of CrewAI's rewriting.
    """
    from crewai.tools import BaseTool
    from crewai.tools.tool_failure import ToolFailure
    from pydantic import BaseModel, ConfigDict, PrivateAttr

    home = loop or asyncio.get_running_loop()

    class Arguments(BaseModel):
        """Takes anything: the runner checks."""

        model_config = ConfigDict(extra="allow")

    class MutiraoTool(BaseTool):  # type: ignore[misc, unused-ignore]
        _spec: ToolSpec = PrivateAttr()

        def _run(self, **arguments: Any) -> Any:
            calling = asyncio.run_coroutine_threadsafe(runner.call(turn, self._spec.name, arguments), home)
            outcome: ToolOutcome = calling.result()
            if outcome.ok:
                return outcome.text_for_model
            # CrewAI would add the code in words; the text holds it already.
            return ToolFailure(message=outcome.text_for_model, retryable=False)

    tools = []
    for name in names:
        spec = runner.tools[name]
        schema = parameters(spec)
        own = type(f"{name}_arguments", (Arguments,), {"model_json_schema": classmethod(_answering(schema))})
        tool = MutiraoTool(name=name, description=spec.description, args_schema=own, cache_function=_never)
        tool._spec = spec
        tools.append(tool)
    return tools


def langchain_tool(runner: ToolRunner, turn: Turn, name: str) -> Any:
    """A LangChain StructuredTool bound to this turn. It must be awaited (`ainvoke`)."""
    from langchain_core.tools import StructuredTool

    spec = runner.tools[name]

    async def run(**arguments: Any) -> str:
        return (await runner.call(turn, spec.name, arguments)).text_for_model

    return StructuredTool(
        name=spec.name, description=spec.description, args_schema=parameters(spec), coroutine=run, func=None
    )


def mcp_tool(spec: ToolSpec) -> Any:
    """The tool as MCP lists it. The hints follow from the effect; a proposing tool changes nothing by itself."""
    from mcp.types import Tool, ToolAnnotations

    return Tool(
        name=spec.name,
        description=spec.description,
        inputSchema=parameters(spec),
        annotations=ToolAnnotations(
            readOnlyHint=not spec.proposes,
            destructiveHint=spec.proposes,
            idempotentHint=True,
            openWorldHint=True,
        ),
    )


def _answering(schema: dict[str, Any]) -> Any:
    def model_json_schema(cls: type[ToolArgs], *args: Any, **kwargs: Any) -> dict[str, Any]:
        return {**schema, "title": cls.__name__}

    return model_json_schema


def _never(_arguments: Any = None, _result: Any = None) -> bool:
    """CrewAI must not cache: the runner does, per turn."""
    return False
