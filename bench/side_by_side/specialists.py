"""The specialists of the common job as crews of ours, declared through the registry's own entry (crews/registry.py).

They are for the bench alone: crews that do not exist yet, with the prompts and tools that the job gives to every peer.
"""

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import create_model

from core.turn import LANGUAGES
from crews.registry import CrewEntry
from crews.specialist import Specialist
from tools.spec import Effect, ToolArgs, ToolContext, ToolResult, ToolSpec

# What of our intents a specialist of the job serves; the ads analyst has its own by the crew's name.
_SERVES = {
    "ads_analyst": (),
    "prospector": ("planned.prospecting",),
    "sdr": ("planned.whatsapp",),
    "content_writer": ("planned.content",),
    "report_generator": ("planned.reports",),
    "small_talk": ("smalltalk",),
}
_NAMES = {"ads_analyst": "ads"}
_ROLE = "ads_analyst"
_AREA = "ads"


class _Said(ToolResult):
    """A tool's text, handed to the model as it is."""

    data: dict[str, Any]

    def for_model(self) -> Mapping[str, Any]:
        return self.data


def entries(
    specialists: Mapping[str, Mapping[str, Any]],
    tools: Mapping[str, Callable[..., str]],
    prompt_of: Callable[[Mapping[str, Any]], str],
    small_talk: str,
    folder: Path,
) -> list[CrewEntry]:
    """A crew for each of the job's specialists (../shared/bench/scenario.py) and one for small talk, which our own
    supervisor answers without a model. Their prompts are written into `folder`."""
    prompts = {name: prompt_of(one) for name, one in specialists.items()} | {"small_talk": small_talk}
    offered = {name: [_tool(tools[tool]) for tool in one["tools"]] for name, one in specialists.items()}
    for name, text in prompts.items():
        for language in LANGUAGES:
            (folder / f"peer_{name}.{language}.md").write_text(text, encoding="utf-8")
    return [_entry(name, offered.get(name, [])) for name in prompts]


def _entry(name: str, tools: Sequence[ToolSpec]) -> CrewEntry:
    crew = _NAMES.get(name, name)
    specialist = Specialist(name=crew, role=_ROLE, prompt=f"peer_{name}", tools=tools)
    return CrewEntry(
        name=crew,
        area=_AREA,
        tools=list(tools),
        run=specialist.run,
        prompts=[specialist.prompt],
        starters=[],
        serves=_SERVES[name],
    )


def _tool(function: Callable[..., str]) -> ToolSpec:
    """A plain function with a docstring as one of our tools that reads."""
    fields: dict[str, Any] = {
        name: (_type(one.annotation), ... if one.default is inspect.Parameter.empty else one.default)
        for name, one in inspect.signature(function).parameters.items()
    }
    arguments = create_model(f"{function.__name__}_arguments", __base__=ToolArgs, **fields)

    async def run(_context: ToolContext, args: ToolArgs) -> _Said:
        return _Said(data=json.loads(function(**args.model_dump())))

    description = inspect.cleandoc(function.__doc__ or "")
    return ToolSpec(function.__name__, description, arguments, _Said, Effect.READ, _AREA, run)


def _type(annotation: Any) -> Any:
    known = {"int": int, "str": str, "list[str]": list[str]}
    return known[annotation] if isinstance(annotation, str) else annotation
