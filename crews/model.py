"""What CrewAI takes for a language model: every call goes to our router, with the turn and the playbook at hand."""

import asyncio
import concurrent.futures
import functools
import json
from collections.abc import Sequence
from typing import Any

from core.errors import Refused
from core.turn import Turn
from crews.fence import CrewEnded, import_crewai
from llm.messages import ModelAnswer, ModelRequest, Models, OnText, Playbook

_MESSAGE_KEYS = ("role", "content", "tool_calls", "tool_call_id", "name")


def crew_model(
    router: Models,
    turn: Turn,
    role: str,
    *,
    playbook: Playbook | None,
    on_text: OnText | None = None,
    opening: Sequence[dict[str, Any]] = (),
    tools: Sequence[dict[str, Any]] = (),
    loop: asyncio.AbstractEventLoop | None = None,
) -> Any:
    """A model for one kickoff: give it to the crew's agents as `llm`, with `max_retry_limit=0`.

    `role` is a role of llm/catalog.toml. `opening` are the messages a model is sent in place of those CrewAI writes
    from role, goal and task; what follows (calls and their results) stays CrewAI's. `tools` are the OpenAI forms of the
    crew's tools, sent in place of CrewAI's own rewriting of them (it makes every field required). `loop` is the loop
    the router lives on, by default the running one; CrewAI calls from a thread of its own, never from the loop.
    """
    model = _model_class()(model=role, provider="mutirao")
    model._router = router
    model._turn = turn
    model._playbook = playbook
    model._on_text = on_text
    model._opening = list(opening)
    model._sent_tools = {tool["function"]["name"]: tool for tool in tools}
    model._loop = loop or asyncio.get_running_loop()
    return model


@functools.cache
def _model_class() -> Any:
    """The subclass of CrewAI's BaseLLM, made at the first use: CrewAI takes seconds to import."""
    import_crewai()
    from crewai.events.types.llm_events import LLMCallType
    from crewai.llms.base_llm import BaseLLM, llm_call_context
    from pydantic import PrivateAttr

    class RoutedModel(BaseLLM):  # type: ignore[misc, unused-ignore]
        """One per kickoff, so that its count of tokens is that kickoff's."""

        _router: Models = PrivateAttr()
        _turn: Turn = PrivateAttr()
        _playbook: Playbook | None = PrivateAttr()
        _on_text: OnText | None = PrivateAttr()
        _opening: list[dict[str, Any]] = PrivateAttr()
        _sent_tools: dict[str, dict[str, Any]] = PrivateAttr()
        _loop: asyncio.AbstractEventLoop = PrivateAttr()
        _running: "concurrent.futures.Future[ModelAnswer] | None" = PrivateAttr(default=None)

        def call(
            self,
            messages: str | list[Any],
            tools: list[dict[str, Any]] | None = None,
            callbacks: list[Any] | None = None,
            available_functions: dict[str, Any] | None = None,
            from_task: Any = None,
            from_agent: Any = None,
            response_model: Any = None,
        ) -> Any:
            """Text, or tool calls in OpenAI's form for CrewAI to run. CrewEnded when no answer can be had.

            For CrewAI's own executor, which calls from threads of its own.
            """
            request = self._request(messages, tools, response_model)
            sent: Any = request.messages
            with llm_call_context():
                self._emit_call_started_event(sent, from_task=from_task, from_agent=from_agent)
                answer = self._answer(request)
                if isinstance(answer, Exception):
                    self._emit_call_failed_event(str(answer), from_task=from_task, from_agent=from_agent)
                    raise CrewEnded(answer)
                response = self._response(answer)
                self._emit_call_completed_event(
                    response=response,
                    call_type=LLMCallType.TOOL_CALL if answer.tool_calls else LLMCallType.LLM_CALL,
                    from_task=from_task,
                    from_agent=from_agent,
                    messages=sent,
                )
                return response

        async def acall(
            self,
            messages: str | list[Any],
            tools: list[dict[str, Any]] | None = None,
            callbacks: list[Any] | None = None,
            available_functions: dict[str, Any] | None = None,
            from_task: Any = None,
            from_agent: Any = None,
            response_model: Any = None,
        ) -> Any:
            """As `call`, on the router's own loop, for crews/kickoff.py. Sends none of CrewAI's events."""
            answer = await self._awaited(self._request(messages, tools, response_model))
            if isinstance(answer, Exception):
                raise CrewEnded(answer)
            return self._response(answer)

        def _request(
            self, messages: str | list[Any], tools: list[dict[str, Any]] | None, response_model: Any
        ) -> ModelRequest:
            return ModelRequest(
                role=self.model,
                messages=opened(plain_messages(messages), self._opening),
                tools=[self._sent_tools.get(tool["function"]["name"]) or plain_tool(tool) for tool in tools or []],
                response_schema=None if response_model is None else response_model.model_json_schema(),
            )

        def _response(self, answer: ModelAnswer) -> str | list[dict[str, Any]]:
            used = answer.usage
            self._track_token_usage_internal(
                {
                    "prompt_tokens": used.prompt_tokens,
                    "completion_tokens": used.completion_tokens,
                    "total_tokens": used.prompt_tokens + used.completion_tokens,
                    "cached_prompt_tokens": used.cached_tokens,
                }
            )
            return openai_calls(answer) if answer.tool_calls else answer.text

        async def _awaited(self, request: ModelRequest) -> ModelAnswer | Exception:
            """As `_answer`, without a thread."""
            try:
                return await self._router.complete(self._turn, request, playbook=self._playbook, on_text=self._on_text)
            except Exception as error:
                return error

        def _answer(self, request: ModelRequest) -> ModelAnswer | Exception:
            """The router's answer, or what it raised: raising it from here would leave it in CrewEnded's context."""
            self._running = asyncio.run_coroutine_threadsafe(
                self._router.complete(self._turn, request, playbook=self._playbook, on_text=self._on_text), self._loop
            )
            try:
                return self._running.result()
            except concurrent.futures.CancelledError:
                return Refused("turn_stopped", "this turn was cancelled")
            except Exception as error:
                return error

        def cancel(self) -> None:
            """End the model call that is running, if there is one."""
            if self._running is not None:
                self._running.cancel()

        def supports_function_calling(self) -> bool:
            return True

        def supports_stop_words(self) -> bool:
            return False

        def get_context_window_size(self) -> int:
            """Usable tokens: 85 % of the window, as CrewAI's own models say it; the rest is for the answer."""
            return int(self._router.context_window(self.model) * 0.85)

        def get_input_tokens_count(self, messages: Any, tools: Any = None, response_model: Any = None) -> int:
            """About one token per four characters. CrewAI asks it to see whether a prompt still fits."""
            return len(messages if isinstance(messages, str) else json.dumps(messages, default=str)) // 4 + 1

    return RoutedModel


def plain_messages(messages: Any) -> list[dict[str, Any]]:
    """CrewAI's messages in OpenAI's form. Copies: its list goes on growing; keys of its own are left out."""
    if isinstance(messages, str):
        return [{"role": "user", "content": messages}]
    return [{key: message[key] for key in _MESSAGE_KEYS if message.get(key) is not None} for message in messages]


def opened(messages: list[dict[str, Any]], opening: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The conversation with our own beginning, and of CrewAI's part only the calls and their results: its sentences
    in between ("Analyze the tool result …") are English and cost tokens in every round."""
    if not opening:
        return messages
    return [
        *opening,
        *(m for m in messages if m["role"] == "tool" or (m["role"] == "assistant" and m.get("tool_calls"))),
    ]


def plain_tool(tool: dict[str, Any]) -> dict[str, Any]:
    """A tool as CrewAI writes it, with only those fields required that have no default, and not in strict mode.

    CrewAI makes every field required, so that a model fills in what it was not told.
    """
    function = tool["function"]
    schema = function["parameters"]
    properties = schema.get("properties", {})
    required = [name for name in schema.get("required", []) if "default" not in properties.get(name, {})]
    return {
        "type": "function",
        "function": {
            "name": function["name"],
            "description": function.get("description", ""),
            "parameters": {**schema, "required": required},
        },
    }


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
