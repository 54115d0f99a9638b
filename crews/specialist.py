"""A crew that needs no code of its own: one agent with a prompt and tools, declared where the crews are listed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.turn import Turn
from crews.contract import CrewDeps, CrewResult, CrewTask
from crews.kickoff import answer_of
from crews.opening import moment, opened
from llm.messages import OnText, ToolCall
from prompts.texts import Texts
from tools.spec import ToolSpec


@dataclass(frozen=True)
class Specialist:
    """What such a crew is made of. `run` is what a CrewEntry wants (crews/registry.py)."""

    name: str
    """The crew's name, which a follow-up goes back to."""
    role: str
    """Of llm/catalog.toml."""
    prompt: str
    """prompts/<prompt>.<language>.md: who the agent is and how it answers. Takes no variables, so that it is the same
    in every turn and providers can cache it."""
    tools: Sequence[ToolSpec] = ()

    async def run(self, turn: Turn, tasks: list[CrewTask], deps: CrewDeps, on_text: OnText | None) -> CrewResult:
        """Serve all tasks in one kickoff. A limit of the turn ends it with a sentence that says so."""
        text, by_model = await answer_of(
            turn,
            deps,
            self.role,
            opening=self._opening(turn, tasks, deps),
            tools=self.tools,
            playbook=_NeedsModel(deps.texts, turn.language),
            on_text=on_text,
        )
        last = tasks[-1] if tasks else None
        intent = (last.base or last.intent) if last else None
        return CrewResult(
            text=text,
            by_model=by_model,
            reworded=lambda: deps.texts.say(turn.language, "specialist.not_reworded"),
            session={"last_crew": self.name, **({"last_intent": intent} if intent else {})},
        )

    def _opening(self, turn: Turn, tasks: list[CrewTask], deps: CrewDeps) -> list[dict[str, Any]]:
        """The prompt, the conversation so far as text, and the request with the moment it was made."""
        request = deps.texts.say(
            turn.language,
            "specialist.request",
            now=moment(turn),
            tasks=[task.text for task in tasks] or [turn.text],
        )
        return opened(turn, deps.texts, deps.prompts.fill(self.prompt, turn.language).text, request)


@dataclass(frozen=True)
class _NeedsModel:
    """The last link of the chain: without a model it can only say that it needs one."""

    texts: Texts
    language: str

    def next_step(self) -> list[ToolCall] | str:
        return self.texts.say(self.language, "specialist.needs_model")
