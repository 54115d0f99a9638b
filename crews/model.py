"""What CrewAI takes for a language model: every call goes to our router, with the turn and the playbook at hand."""

import functools
import json
from collections.abc import Sequence
from typing import Any

from core.turn import Turn
from crews.fence import CrewEnded, import_crewai
from llm.messages import ModelAnswer, ModelRequest, Models, OnText, Playbook


def crew_model(
    router: Models,
    turn: Turn,
    role: str,
    *,
    playbook: Playbook,
    opening: Sequence[dict[str, Any]],
    tools: Sequence[dict[str, Any]],
    on_text: OnText | None = None,
) -> Any:
    """The model of one kickoff, for crews/kickoff.py.

    `role` is a role of llm/catalog.toml. `opening` are the messages a model is told before the calls and results of the
    rounds, in place of CrewAI's words about role, goal and task. `tools` are the crew's, in OpenAI's form.
    """
    model = _model_class()(model=role, provider="mutirao")
    model._router = router
    model._turn = turn
    model._playbook = playbook
    model._on_text = on_text
    model._opening = list(opening)
    model._tools = {tool["function"]["name"]: tool for tool in tools}
    return model


@functools.cache
def _model_class() -> Any:
    """The subclass of CrewAI's BaseLLM, made at the first use: CrewAI takes seconds to import."""
    import_crewai()
    from crewai.llms.base_llm import BaseLLM
    from pydantic import PrivateAttr

    class RoutedModel(BaseLLM):  # type: ignore[misc, unused-ignore]
        """Asked by `Rounds`, on the loop of the services. Sends none of CrewAI's events and counts nothing for it:
        tokens and costs are the turn's."""

        _router: Models = PrivateAttr()
        _turn: Turn = PrivateAttr()
        _playbook: Playbook = PrivateAttr()
        _on_text: OnText | None = PrivateAttr()
        _opening: list[dict[str, Any]] = PrivateAttr()
        _tools: dict[str, dict[str, Any]] = PrivateAttr()

        def call(self, messages: Any, tools: Any = None, *_: Any, **__: Any) -> Any:
            """CrewAI's own executor calls models from threads; it is not used."""
            raise NotImplementedError("crews are run by crews.kickoff.kick_off, which asks acall")

        async def acall(self, messages: Any, tools: Any = None, *_: Any, **__: Any) -> str | list[dict[str, Any]]:
            """Text, or the calls of tools in OpenAI's form. `messages` follow the opening; of `tools` only the names
            are looked at. CrewEnded when no answer can be had."""
            request = ModelRequest(
                role=self.model,
                messages=[*self._opening, *messages],
                tools=[self._tools[tool["function"]["name"]] for tool in tools or []],
            )
            try:
                answer = await self._router.complete(
                    self._turn, request, playbook=self._playbook, on_text=self._on_text
                )
            except Exception as error:
                ended = CrewEnded(error)
            else:
                return openai_calls(answer) if answer.tool_calls else answer.text
            raise ended  # out here, so that it has no context

        def supports_function_calling(self) -> bool:
            return True

    return RoutedModel


def openai_calls(answer: ModelAnswer) -> list[dict[str, Any]]:
    """The answer's tool calls as CrewAI takes them."""
    return [
        {
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": json.dumps(call.arguments, ensure_ascii=False)},
        }
        for call in answer.tool_calls
    ]
