"""One declaration, every framework's form of it: OpenAI function, CrewAI tool, LangChain tool, MCP tool.

All of them end in `ToolRunner.call`. Schemas are short on purpose: they are sent with every model call, and the user
pays for each token of them.
"""

import asyncio
import copy
import functools
from collections.abc import Sequence
from typing import Any

from core.turn import Turn
from tools.runner import ToolOutcome, ToolRunner
from tools.spec import ToolArgs, ToolSpec

_KEPT = ("type", "enum", "description", "items", "minimum", "maximum", "maxItems")


def parameters(spec: ToolSpec) -> dict[str, Any]:
    """The JSON schema of a tool's arguments: no titles, no references, no nulls, no defaults; closed.

    Only what a call cannot do without is required. A default stands in words in the field's description or the
    tool's docstring where the model has to know it. The same object at every call: copy it before changing it.
    """
    return _parameters(spec.args)


@functools.cache  # pydantic takes 3 ms for each tool, and every turn needs all of a crew's
def _parameters(args: type[ToolArgs]) -> dict[str, Any]:
    full = args.model_json_schema()
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
    bound_tool = _crewai_tool()
    home = loop or asyncio.get_running_loop()
    tools = []
    for name in names:
        spec = runner.tools[name]
        tool = bound_tool(
            name=name, description=spec.description, args_schema=_crewai_arguments(spec.args), cache_function=_never
        )
        tool._spec, tool._runner, tool._turn, tool._home = spec, runner, turn, home
        tools.append(tool)
    return tools


# CrewAI's classes are pydantic's: making one takes about a millisecond, so each is made once.


@functools.cache
def _crewai_tool() -> Any:
    from crewai.tools import BaseTool
    from crewai.tools.tool_failure import ToolFailure
    from pydantic import PrivateAttr

    class MutiraoTool(BaseTool):  # type: ignore[misc, unused-ignore]
        _spec: ToolSpec = PrivateAttr()
        _runner: ToolRunner = PrivateAttr()
        _turn: Turn = PrivateAttr()
        _home: asyncio.AbstractEventLoop = PrivateAttr()
        _structured: Any = PrivateAttr(default=None)

        def to_structured_tool(self) -> Any:
            """CrewAI's second form of the tool, made once: every kickoff asks for it two times."""
            if self._structured is None:
                self._structured = super().to_structured_tool()
            return self._structured

        def _run(self, **arguments: Any) -> Any:
            calling = self._runner.call(self._turn, self._spec.name, arguments)
            outcome: ToolOutcome = asyncio.run_coroutine_threadsafe(calling, self._home).result()
            if outcome.ok:
                return outcome.text_for_model
            # CrewAI would add the code in words; the text holds it already.
            return ToolFailure(message=outcome.text_for_model, retryable=False)

        async def answer(self, arguments: dict[str, Any]) -> str:
            """What a model is told of the call; for an executor that runs on the loop of the services."""
            return (await self._runner.call(self._turn, self._spec.name, arguments)).text_for_model

    return MutiraoTool


@functools.cache
def _crewai_arguments(args: type[ToolArgs]) -> Any:
    """A form of the arguments that takes anything (the runner checks) and answers with our schema when asked."""
    from pydantic import BaseModel, ConfigDict

    class Arguments(BaseModel):
        model_config = ConfigDict(extra="allow")

        @classmethod
        def model_json_schema(cls, *_: Any, **__: Any) -> dict[str, Any]:
            return {**copy.deepcopy(_parameters(args)), "title": cls.__name__}  # CrewAI works on it in place

    return Arguments


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


def _never(_arguments: Any = None, _result: Any = None) -> bool:
    """CrewAI must not cache: the runner does, per turn."""
    return False
