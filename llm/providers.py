"""The providers of models, each over its official library, all behind one form.

Requests come in OpenAI's chat form and are translated here; answers are streamed. The libraries' own repeats are off
and so are their timeouts: both are the router's. The libraries are imported when the first client is built, in a
thread, because they take 0.5 to 1.1 s each. Their own environment variables (base URLs, projects, profiles) are not
read: what is used is in the settings.
"""

import asyncio
import base64
import functools
import hashlib
import json
import re
from abc import abstractmethod
from collections import OrderedDict
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

import httpx

from core.settings import Settings
from llm.catalog import Model
from llm.errors import FailureKind, ModelFailure, failure_from
from llm.messages import ModelRequest, ToolCall, Usage

_NO_KEY = "no-key-needed"
_Client = TypeVar("_Client")

# Connections of a process to one provider; a turn holds at most one at a time. Those that are free are kept for the
# next round of a turn, and for people who think before they answer.
_CONNECTIONS = httpx.Limits(max_connections=200, max_keepalive_connections=20, keepalive_expiry=30)
_FAREWELL = 0.05  # seconds that the end of a response may take after its last event

CONNECT = 1.2
"""Seconds for the connection and again for its TLS: an address that takes no packets must not cost a person the whole
limit of silence. A lost first packet is sent again after 1 s, which still fits."""
connect_within = ContextVar("connect_within", default=CONNECT)
"""The same for the requests of this task."""


async def _connect_soon(request: httpx.Request) -> None:
    """A hook of all clients: the libraries know limits of a client, and Google's none for connecting."""
    request.extensions["timeout"]["connect"] = connect_within.get()


_HTTP: dict[str, Any] = {"timeout": None, "limits": _CONNECTIONS, "event_hooks": {"request": [_connect_soon]}}


@dataclass(frozen=True)
class Finished:
    """The end of a whole answer: every call has arguments that could be read, and nothing was cut off."""

    tool_calls: list[ToolCall]
    usage: Usage
    estimated: bool = False
    """The provider did not tell the tokens: they are reckoned from the text."""


class Provider(Protocol):
    """One provider of models."""

    async def ready(self) -> None:
        """Build the client if there is none yet."""
        ...

    def stream(self, model: Model, request: ModelRequest) -> AsyncGenerator[str | Finished, None]:
        """Ask a model once: pieces of text as they come (an empty one says that the answer begins), then Finished.

        Raises ModelFailure for whatever goes wrong; closing the generator ends the HTTP request. Keeps no deadlines
        and repeats nothing.
        """
        ...

    async def listed(self) -> dict[str, str | None] | None:
        """The models that the provider itself lists, each with its announced end in the provider's words (a date, or
        "deprecated"), None where none is announced; None in place of the list when the server has no such list.

        Raises ModelFailure. Keeps no deadline.
        """
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


def build_providers(settings: Settings) -> dict[str, Provider]:
    """The providers that have a key, by name. One whose base URL is set may do without: a gateway or stand-in."""
    providers: dict[str, Provider] = {}
    for name, kind in (("openai", OpenAI), ("anthropic", Anthropic), ("google", Google)):
        secret = getattr(settings, f"{name}_api_key")
        base_url = getattr(settings, f"{name}_base_url")
        if secret is not None or base_url is not None:
            key = _NO_KEY if secret is None else secret.get_secret_value()
            providers[name] = kind(key, base_url)
    if settings.compatible_base_url is not None:
        secret = settings.compatible_api_key
        key = _NO_KEY if secret is None else secret.get_secret_value()
        providers["compatible"] = Compatible(key, settings.compatible_base_url)
    return providers


class _Lazy(Generic[_Client]):
    """Builds a client once, in a thread: importing its library and reading certificates would hold up the loop."""

    def __init__(self) -> None:
        self._built: _Client | None = None
        self._building = asyncio.Lock()

    @abstractmethod
    def _build(self) -> _Client: ...

    async def ready(self) -> None:
        async with self._building:
            if self._built is None:
                self._built = await asyncio.to_thread(self._build)

    async def _client(self) -> _Client:
        await self.ready()
        assert self._built is not None
        return self._built


# --- OpenAI, and servers that speak its wire ----------------------------------------------------


class OpenAI(_Lazy[Any]):
    """OpenAI's chat completions."""

    _name = "openai"
    _base_url = "https://api.openai.com/v1"
    _longest_answer = "max_completion_tokens"

    def __init__(self, key: str, base_url: str | None = None) -> None:
        super().__init__()
        self._key = key
        self._base_url = base_url or self._base_url
        self._tells_usage = True

    def _build(self) -> Any:
        import openai

        return openai.AsyncOpenAI(
            api_key=self._key,
            base_url=self._base_url,
            max_retries=0,
            timeout=None,
            http_client=openai.DefaultAsyncHttpxClient(**_HTTP),
        )

    async def close(self) -> None:
        if self._built is not None:
            await self._built.close()

    async def stream(self, model: Model, request: ModelRequest) -> AsyncGenerator[str | Finished, None]:
        client = await self._client()
        if "streaming" not in model.abilities and "audio" in model.abilities:
            async for heard in _transcribed(client, model, request):
                yield heard
            return
        body = self._body(model, request)
        said: list[str] = []
        parts = _CallParts()
        usage: Usage | None = None
        ended: str | None = None
        try:
            async with await self._open(client, body) as chunks:
                async for chunk in chunks:
                    yield ""
                    usage = _openai_usage(chunk.get("usage")) or usage
                    for choice in chunk.get("choices") or []:
                        ended = choice.get("finish_reason") or ended
                        delta = choice.get("delta") or {}
                        if delta.get("refusal"):
                            ended = "content_filter"
                        if piece := delta.get("content"):
                            said.append(piece)
                            yield piece
                        for call in delta.get("tool_calls") or []:
                            parts.add(call.get("index"), call.get("id"), call.get("function"))
        except Exception as error:
            raise failure_from(error, model.provider, model.name) from None
        whole = ("stop", "tool_calls", "function_call")
        _refuse_incomplete(model, ended, usage, whole=whole, refused=("content_filter",))
        told = usage or _estimated(body, said, parts)
        yield Finished(read_calls(model, parts.calls()), told, estimated=usage is None)

    async def listed(self) -> dict[str, str | None] | None:
        client = await self._client()
        try:
            return {model.id: getattr(model, "shutdown_date", None) async for model in client.models.list()}
        except Exception as error:
            _raise_unless_no_list(error, self._name)
            return None

    async def _open(self, client: Any, body: dict[str, Any]) -> Any:
        """The stream of an answer, without the count of tokens from servers that do not know how to send it."""
        asked = {"stream_options": {"include_usage": True}} if self._tells_usage else {}
        try:
            return await _post(client, {**body, **asked})
        except Exception as error:
            if not asked or getattr(error, "status_code", None) not in (400, 422) or "stream_options" not in str(error):
                raise
        self._tells_usage = False
        return await _post(client, body)

    def _body(self, model: Model, request: ModelRequest) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": model.name,
            "messages": [_openai_message(model, message) for message in request.messages],
            "stream": True,
            self._longest_answer: request.max_tokens,
            **self._caching(request),
        }
        if "cache_marks" in model.abilities:
            _mark_openai_prefix(body["messages"])
        if request.tools:
            body["tools"] = request.tools
        if "temperature" in model.abilities:
            body["temperature"] = request.temperature
        if model.effort is not None:
            body["reasoning_effort"] = model.effort
        if request.response_schema is not None:
            schema = {"name": "answer", "schema": request.response_schema}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        return body

    def _caching(self, request: ModelRequest) -> dict[str, Any]:
        """Requests that begin alike carry one key, so that they come to the server that has that beginning cached."""
        beginning = hashlib.sha256(_system_text(request.messages).encode()).hexdigest()[:16]
        return {"prompt_cache_key": f"{request.role}-{beginning}"}


async def _transcribed(client: Any, model: Model, request: ModelRequest) -> AsyncGenerator[str | Finished, None]:
    """What is said in the one recording of a request, by OpenAI's /audio/transcriptions, which answers when it is done:
    until then it only shows that it lives. Of the request's words nothing is sent."""
    sounds = [sound for message in request.messages for sound in _recordings(message)]
    if len(sounds) != 1:
        raise ModelFailure("bad_request", model.provider, model.name, detail="not one recording", ours=True)
    content, form, seconds = sounds[0]
    file = (f"audio.{form}", content, AUDIO_TYPES.get(form, "application/octet-stream"))
    asked = asyncio.ensure_future(
        client.audio.transcriptions.create(model=model.name, file=file, response_format="json")
    )
    patience = _TRANSCRIBES + (seconds or 0) * _TRANSCRIBES_EACH
    begun = asyncio.get_running_loop().time()
    try:
        while not (await asyncio.wait({asked}, timeout=_LIVES))[0]:
            if asyncio.get_running_loop().time() - begun > patience:
                raise ModelFailure("timeout", model.provider, model.name, detail=f"after {patience:.0f} s")
            yield ""
        try:
            answer = await asked
        except Exception as error:
            raise failure_from(error, model.provider, model.name) from None
        yield str(getattr(answer, "text", "") or "")
        used = getattr(answer, "usage", None)
        told = getattr(used, "seconds", None)
        tokens = getattr(used, "input_tokens", None), getattr(used, "output_tokens", None)
        if told is None and tokens[0]:
            yield Finished([], Usage(int(tokens[0]), int(tokens[1] or 0)))
        else:
            lasts = told if told is not None else seconds
            usage = Usage(audio_seconds=None if lasts is None else float(lasts))
            yield Finished([], usage, estimated=told is None)
    finally:
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)


_LIVES = 2.0
_TRANSCRIBES, _TRANSCRIBES_EACH = 15.0, 0.2
"""Seconds that a transcription may take, and more for each second of the recording."""


async def _post(client: Any, body: dict[str, Any]) -> Any:
    """A stream of chunks as plain data: `chat.completions.create` without its typed forms of request and answer.

    The library goes through every value of a request by its type hints, and makes a model of every chunk: 2 to 5 ms of
    CPU for each call with ten messages and five tools. `post` is its own way for what it has no method for; errors,
    connections and the stream are the same.
    """
    return await client.post("/chat/completions", body=body, cast_to=object, stream=True, stream_cls=_chunks())


@functools.cache
def _chunks() -> Any:
    """The library's stream, which reads on for a moment after the last event: it breaks off there, and a response that
    was not read to its end takes its connection with it, so that every request would wait for a new one (TCP, TLS)."""
    from openai import AsyncStream

    class Chunks(AsyncStream[object]):
        async def _iter_events(self) -> AsyncGenerator[Any, None]:
            events = super()._iter_events()
            async for event in events:
                if event.data.startswith("[DONE]"):
                    with suppress(Exception):  # the answer is whole, whatever comes
                        async with asyncio.timeout(_FAREWELL):
                            async for _ in events:
                                pass
                yield event

    return Chunks


class Compatible(OpenAI):
    """Any server with OpenAI's chat completions: Ollama, vLLM, Together, OpenRouter, a stand-in."""

    _name = "compatible"
    _longest_answer = "max_tokens"  # the older name, which all of them know

    def _caching(self, request: ModelRequest) -> dict[str, Any]:
        """Nothing: many of them refuse what they do not know, and cache without being told."""
        return {}


def _mark_openai_prefix(messages: list[dict[str, Any]]) -> None:
    """Mark the end of the system text: tools and system are cached for every conversation, not only for this one.

    Without it GPT-5.6 and later keep one mark of their own, at the end of the whole prompt, from which only the same
    conversation goes on. Less than 1,024 tokens are not cached; the mark itself costs nothing. Source: OpenAI, "Prompt
    caching".
    """
    system = [message for message in messages if message["role"] == "system"]
    if system and isinstance(system[-1]["content"], str):
        mark = {"mode": "explicit"}
        system[-1]["content"] = [{"type": "text", "text": system[-1]["content"], "prompt_cache_breakpoint": mark}]


def _openai_message(model: Model, message: dict[str, Any]) -> dict[str, Any]:
    content = message.get("content")
    _pictures(model, message)  # looked at: they go as they are
    if isinstance(content, list):  # how long a recording is we know for ourselves
        content = [{key: value for key, value in part.items() if key != "seconds"} for part in content]
    return {**message, "content": _whole(content) if isinstance(content, str | None) else content}


def _openai_usage(told: Any) -> Usage | None:
    if told is None:
        return None
    details = told.get("prompt_tokens_details") or {}
    cached, written = details.get("cached_tokens") or 0, details.get("cache_write_tokens") or 0
    return Usage(told.get("prompt_tokens") or 0, told.get("completion_tokens") or 0, cached, written)


@dataclass
class _CallParts:
    """Tool calls as they come in pieces: by index, or by id from servers that leave the index out."""

    _parts: dict[Any, dict[str, str]] = field(default_factory=dict)
    _last: Any = None

    def add(self, index: int | None, call_id: str | None, function: dict[str, Any] | None) -> None:
        key = index if index is not None else (call_id or self._last)
        self._last = key
        part = self._parts.setdefault(key, {"id": "", "name": "", "arguments": ""})
        part["id"] = part["id"] or call_id or ""
        if function is not None:
            part["name"] += function.get("name") or ""
            part["arguments"] += function.get("arguments") or ""

    def calls(self) -> list[tuple[str, str, str]]:
        return [(part["id"], part["name"], part["arguments"]) for part in self._parts.values()]


def _estimated(body: dict[str, Any], said: list[str], parts: _CallParts) -> Usage:
    """About one token per four characters, for servers that do not count: the turn's limit of tokens must hold."""
    asked = len(json.dumps([body["messages"], body.get("tools", [])], ensure_ascii=False, default=str))
    answered = sum(map(len, said)) + sum(len(name) + len(arguments) for _, name, arguments in parts.calls())
    return Usage(asked // 4 + 1, answered // 4 + 1)


# --- Anthropic ----------------------------------------------------------------------------------


class Anthropic(_Lazy[Any]):
    """Anthropic's messages. They take no temperature any more: the library has no argument for it."""

    def __init__(self, key: str, base_url: str | None = None) -> None:
        super().__init__()
        self._key = key
        self._base_url = base_url or "https://api.anthropic.com"

    def _build(self) -> Any:
        import anthropic

        return anthropic.AsyncAnthropic(
            api_key=self._key,
            base_url=self._base_url,
            max_retries=0,
            timeout=None,
            http_client=anthropic.DefaultAsyncHttpxClient(**_HTTP),
        )

    async def close(self) -> None:
        if self._built is not None:
            await self._built.close()

    async def stream(self, model: Model, request: ModelRequest) -> AsyncGenerator[str | Finished, None]:
        client = await self._client()
        body = self._body(model, request)
        blocks: dict[int, dict[str, str]] = {}  # the tool calls, by their place in the answer
        prompt_tokens = cached_tokens = written_tokens = completion_tokens = 0
        stopped: str | None = None
        over = False
        try:
            async with await client.messages.create(**body) as events:
                async for event in events:
                    yield ""
                    match event.type:
                        case "message_start":
                            used = event.message.usage
                            cached_tokens = used.cache_read_input_tokens or 0
                            written_tokens = used.cache_creation_input_tokens or 0
                            prompt_tokens = used.input_tokens + cached_tokens + written_tokens
                        case "content_block_start" if event.content_block.type == "tool_use":
                            block = event.content_block
                            blocks[event.index] = {"id": block.id, "name": block.name, "arguments": ""}
                        case "content_block_delta" if event.delta.type == "text_delta":
                            yield event.delta.text
                        case "content_block_delta" if event.delta.type == "input_json_delta":
                            blocks[event.index]["arguments"] += event.delta.partial_json
                        case "message_delta":
                            stopped = event.delta.stop_reason or stopped
                            completion_tokens = event.usage.output_tokens or 0
                        case "message_stop":
                            over = True
        except Exception as error:
            raise failure_from(error, model.provider, model.name) from None
        usage = Usage(prompt_tokens, completion_tokens, cached_tokens, written_tokens)
        whole = ("end_turn", "tool_use", "stop_sequence")
        _refuse_incomplete(model, stopped if over else None, usage, whole=whole, refused=("refusal",))
        calls = read_calls(model, [(block["id"], block["name"], block["arguments"]) for block in blocks.values()])
        yield Finished(calls, usage)

    async def listed(self) -> dict[str, str | None] | None:
        client = await self._client()
        try:
            return {
                model.id: None if (stage := getattr(model, "lifecycle", None)) in (None, "active") else str(stage)
                async for model in client.models.list(limit=1_000)
            }
        except Exception as error:
            _raise_unless_no_list(error, "anthropic")
            return None

    def _body(self, model: Model, request: ModelRequest) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": model.name,
            "messages": _anthropic_messages(model, request.messages),
            "max_tokens": request.max_tokens,
            "stream": True,
        }
        if system := _system_text(request.messages):
            body["system"] = [{"type": "text", "text": system, "cache_control": _KEEP}]
        if request.tools:
            _mark_rounds(body["messages"])
        if model.effort == "none":
            body["thinking"] = {"type": "disabled"}
        elif model.effort is not None:
            body["output_config"] = {"effort": model.effort}
        if request.response_schema is not None:
            wanted = {"type": "json_schema", "schema": _closed(request.response_schema)}
            body["output_config"] = {**body.get("output_config", {}), "format": wanted}
        tools = [
            {
                "name": tool["function"]["name"],
                "description": tool["function"].get("description", ""),
                "input_schema": tool["function"]["parameters"],
            }
            for tool in request.tools
        ]
        if tools:
            body["tools"] = tools
        return body


def _anthropic_messages(model: Model, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """User and assistant in turns, as they want it; a tool's result is told by the user."""
    turns: list[dict[str, Any]] = []
    for message in _spoken(messages):
        content = _whole(message.get("content"))
        blocks: list[dict[str, Any]] = []
        if message["role"] == "tool":
            blocks.append({"type": "tool_result", "tool_use_id": message["tool_call_id"], "content": content})
        elif content.strip():
            blocks.append({"type": "text", "text": content})
        for kind, data in _pictures(model, message):
            source = {"type": "base64", "media_type": kind, "data": data}
            blocks.append({"type": "image", "source": source})
        for call_id, name, arguments in _calls_of(message):
            blocks.append({"type": "tool_use", "id": call_id, "name": name, "input": arguments})
        role = "assistant" if message["role"] == "assistant" else "user"
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        elif blocks:
            turns.append({"role": role, "content": blocks})
    return turns


_KEEP = {"type": "ephemeral"}
"""Cache everything up to here (tools, system, messages, in this order) for five minutes; at most four such marks.

Writing costs 1.25 times the price of a token, reading 0.1. What is shorter than the model's minimum (1,024 tokens for
Sonnet 4.6) is not cached and costs as if there were no mark. Source: Anthropic, "Prompt caching". The mark on the
system text pays: it and the tools are the same in all turns of a role, and a turn asks at least twice.
"""


def _mark_rounds(turns: list[dict[str, Any]]) -> None:
    """Mark in a conversation with tools what the next round will send again, where that pays.

    That is the end of what the user said, because after the first round of calls comes nearly always a second request;
    and from the second round of calls on also the newest results, because then more rounds are likely. The first
    results are not marked: most turns end with them, and writing them would only cost.
    """
    called = [number for number, turn in enumerate(turns) if any(b["type"] == "tool_use" for b in turn["content"])]
    asked = turns[: called[0]] if called else turns
    if asked:
        asked[-1]["content"][-1]["cache_control"] = _KEEP
    if len(called) > 1:
        turns[-1]["content"][-1]["cache_control"] = _KEEP


def _closed(schema: Any) -> Any:
    """The schema with every object closed, which they ask for."""
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value) for key, value in schema.items()}
    return {**closed, "additionalProperties": False} if closed.get("type") == "object" else closed


# --- Google -------------------------------------------------------------------------------------


class Google(_Lazy[Any]):
    """Gemini over google-genai."""

    # Gemini 3 wants the signature of its thoughts back with each function call it made; a call that another model
    # made carries this instead. Source: Gemini API, "Thought signatures".
    _foreign_signature = b"skip_thought_signature_validator"
    _signatures_kept = 2_000

    def __init__(self, key: str, base_url: str | None = None) -> None:
        super().__init__()
        self._key = key
        self._base_url = base_url or "https://generativelanguage.googleapis.com"
        self._signatures: OrderedDict[str, bytes] = OrderedDict()
        self._calls_seen = 0

    def _build(self) -> Any:
        from google import genai
        from google.genai import types

        return genai.Client(
            api_key=self._key,
            vertexai=False,
            http_options=types.HttpOptions(
                base_url=self._base_url,
                api_version="v1beta",
                retry_options=types.HttpRetryOptions(attempts=1),
                httpx_async_client=httpx.AsyncClient(**_HTTP),
            ),
        )

    async def close(self) -> None:
        if self._built is not None:
            await self._built.aio.aclose()
            self._built.close()

    async def stream(self, model: Model, request: ModelRequest) -> AsyncGenerator[str | Finished, None]:
        client = await self._client()
        contents, config = self._body(model, request)
        calls: list[ToolCall] = []
        usage = Usage()
        ended: str | None = None
        blocked = False
        try:
            chunks = await client.aio.models.generate_content_stream(model=model.name, contents=contents, config=config)
            async for chunk in chunks:
                yield ""
                usage = _google_usage(chunk.usage_metadata) or usage
                blocked = blocked or bool(chunk.prompt_feedback and chunk.prompt_feedback.block_reason)
                for candidate in (chunk.candidates or [])[:1]:
                    ended = candidate.finish_reason.value if candidate.finish_reason else ended
                    for part in (candidate.content.parts if candidate.content else None) or []:
                        if part.function_call is not None:
                            calls.append(_readable(model, self._noted(part)))
                        elif part.text and not part.thought:
                            yield part.text
        except Exception as error:
            raise failure_from(error, model.provider, model.name) from None
        refusals = ("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR")
        _refuse_incomplete(model, "SAFETY" if blocked else ended, usage, whole=("STOP",), refused=refusals)
        yield Finished(calls, usage)

    async def listed(self) -> dict[str, str | None] | None:
        client = await self._client()
        try:
            models = await client.aio.models.list(config={"page_size": 1_000})
            return {(model.name or "").removeprefix("models/"): None async for model in models}
        except Exception as error:
            _raise_unless_no_list(error, "google")
            return None

    def _noted(self, part: Any) -> ToolCall:
        """The call under an id that is ours: theirs may be missing, and results go back by order. Keeps its
        signature for when the conversation comes back, of the last 2,000 calls of this process."""
        self._calls_seen += 1
        call_id = f"call_google_{self._calls_seen}"
        if part.thought_signature:
            self._signatures[call_id] = part.thought_signature
            if len(self._signatures) > self._signatures_kept:
                self._signatures.popitem(last=False)
        return ToolCall(call_id, part.function_call.name or "", dict(part.function_call.args or {}))

    def _body(self, model: Model, request: ModelRequest) -> tuple[list[Any], Any]:
        from google.genai import types

        config = types.GenerateContentConfig(
            system_instruction=_system_text(request.messages) or None,
            max_output_tokens=request.max_tokens,
            temperature=request.temperature if "temperature" in model.abilities else None,
            thinking_config=types.ThinkingConfig(thinking_level=model.effort) if model.effort else None,
            automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
        )
        if request.tools:
            functions = [
                types.FunctionDeclaration(
                    name=tool["function"]["name"],
                    description=tool["function"].get("description", ""),
                    parameters_json_schema=tool["function"]["parameters"],
                )
                for tool in request.tools
            ]
            config.tools = [types.Tool(function_declarations=functions)]
        if request.response_schema is not None:
            config.response_mime_type = "application/json"
            config.response_json_schema = request.response_schema
        return self._contents(model, request.messages), config

    def _contents(self, model: Model, messages: list[dict[str, Any]]) -> list[Any]:
        from google.genai import types

        contents: list[Any] = []
        names: dict[str, str] = {}  # of the functions, by the id of the call
        for message in _spoken(messages):
            content = _whole(message.get("content"))
            parts: list[Any] = []
            if message["role"] == "tool":
                name = names.get(message["tool_call_id"]) or message.get("name") or "tool"
                answer = types.FunctionResponse(name=name, response={"result": content})
                parts.append(types.Part(function_response=answer))
            elif content.strip():
                parts.append(types.Part(text=content))
            for kind, data in _pictures(model, message):
                parts.append(types.Part(inline_data=types.Blob(mime_type=kind, data=base64.b64decode(data))))
            for sound, form, _ in _recordings(message):
                kind = AUDIO_TYPES.get(form, f"audio/{form}")
                parts.append(types.Part(inline_data=types.Blob(mime_type=kind, data=sound)))
            for call_id, name, arguments in _calls_of(message):
                names[call_id] = name
                foreign = self._foreign_signature if model.name.startswith("gemini-3") else None
                parts.append(
                    types.Part(
                        function_call=types.FunctionCall(name=name, args=arguments),
                        thought_signature=self._signatures.get(call_id, foreign),
                    )
                )
            role = "model" if message["role"] == "assistant" else "user"
            if contents and contents[-1].role == role:
                contents[-1].parts += parts
            elif parts:
                contents.append(types.Content(role=role, parts=parts))
        return contents


def _google_usage(told: Any) -> Usage | None:
    if told is None:
        return None
    written = (told.candidates_token_count or 0) + (told.thoughts_token_count or 0)
    return Usage(told.prompt_token_count or 0, written, told.cached_content_token_count or 0)


# --- what all of them share ---------------------------------------------------------------------


def _raise_unless_no_list(error: Exception, provider: str) -> None:
    """ModelFailure, but for what servers answer that have no list of models: not found, or something else."""
    failure = failure_from(error, provider, "models")
    if failure.status not in (404, 405, 501) and failure.kind != "broken_answer":
        raise failure from None


def read_calls(model: Model, raw: list[tuple[str, str, str]]) -> list[ToolCall]:
    """Tool calls (id, name, JSON of the arguments) that may be executed, with ids of their own.

    ModelFailure("broken_answer") when the arguments of any cannot be read as an object: a call that was cut off must
    not run with what is left of it (langchain-litellm #260: cut JSON became a valid call with no arguments).
    """
    calls: list[ToolCall] = []
    taken: set[str] = set()
    for number, (call_id, name, text) in enumerate(raw, 1):
        arguments: Any = None
        with suppress(ValueError, RecursionError):
            arguments = json.loads(text) if text.strip() else {}
        own_id = call_id if call_id and call_id not in taken else f"{call_id or 'call'}_{number}"
        taken.add(own_id)
        calls.append(_readable(model, ToolCall(own_id, name, arguments)))
    return calls


_NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}")


def _readable(model: Model, call: ToolCall) -> ToolCall:
    """The call, when its name and arguments can be sent back with its result; else ModelFailure("broken_answer").

    Providers answer 400 to a conversation with a name of other characters, and NaN or half of a surrogate pair are no
    JSON: such a call would make the rest of the turn fail everywhere.
    """
    if not _NAME.fullmatch(call.name):
        detail = "a call of a tool whose name is none"
    else:
        detail = f"the arguments of the call of {call.name} cannot be read"
        try:
            if isinstance(call.arguments, dict):
                json.dumps(call.arguments, ensure_ascii=False, allow_nan=False).encode()
                return call
        except (TypeError, ValueError, RecursionError):
            pass
    raise ModelFailure("broken_answer", model.provider, model.name, detail=detail)


def _refuse_incomplete(
    model: Model, ended: str | None, usage: Usage | None, *, whole: tuple[str, ...], refused: tuple[str, ...]
) -> None:
    """ModelFailure unless the answer ended as a whole one does; one cut at its longest length is not whole."""
    if ended in whole:
        return
    kind: FailureKind = "refused" if ended in refused else "broken_answer"
    detail = "the stream broke off" if ended is None else f"ended with {ended}"
    cut_by_us = ended in ("length", "max_tokens", "MAX_TOKENS")
    raise ModelFailure(
        kind, model.provider, model.name, detail=detail, ours=cut_by_us, usage=usage if ended is not None else None
    )


def _system_text(messages: list[dict[str, Any]]) -> str:
    return "\n\n".join(_whole(message.get("content")) for message in messages if message["role"] == "system")


def _spoken(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages but for the system's. A last word of the assistant is given to the user: CrewAI asks for the final
    answer in the assistant's name, which some models refuse to go on from and others take for their own answer."""
    spoken = [message for message in messages if message["role"] != "system"]
    if spoken and spoken[-1]["role"] == "assistant" and not spoken[-1].get("tool_calls"):
        spoken[-1] = {**spoken[-1], "role": "user"}
    return spoken


def _calls_of(message: Mapping[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    calls = message.get("tool_calls") or []
    return [(call["id"], call["function"]["name"], json.loads(call["function"]["arguments"] or "{}")) for call in calls]


def _pictures(model: Model, message: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The pictures of a message in OpenAI's form, each (media type, base64). They come as data, never as addresses,
    which a provider would go to: ModelFailure for those, so that no model answers about what it did not see."""
    content = message.get("content")
    pictures = []
    for part in content if isinstance(content, list) else []:
        if part.get("type") == "image_url":
            head, comma, data = part["image_url"]["url"].partition(";base64,")
            if not comma or not head.startswith("data:image/"):
                detail = "a picture that is no data"
                raise ModelFailure("bad_request", model.provider, model.name, detail=detail, ours=True)
            pictures.append((head.removeprefix("data:"), data))
    return pictures


AUDIO_TYPES = {
    "ogg": "audio/ogg",
    "mp3": "audio/mpeg",
    "mp4": "audio/mp4",
    "aac": "audio/aac",
    "amr": "audio/amr",
    "wav": "audio/wav",
}
"""Forms of recordings, as the parts of a message name them, and their media types."""


def _recordings(message: Mapping[str, Any]) -> list[tuple[bytes, str, float | None]]:
    """The recordings of a message in OpenAI's form, each (content, form, seconds if known)."""
    content = message.get("content")
    return [
        (base64.b64decode(part["input_audio"]["data"]), part["input_audio"]["format"], part.get("seconds"))
        for part in (content if isinstance(content, list) else [])
        if part.get("type") == "input_audio"
    ]


def _whole(content: Any) -> str:
    """The text of a message's content; half characters (lone surrogates), which no wire carries, become "?"."""
    if isinstance(content, list):
        content = "\n".join(part["text"] for part in content if isinstance(part, dict) and "text" in part)
    return (content or "").encode("utf-8", "replace").decode("utf-8")
