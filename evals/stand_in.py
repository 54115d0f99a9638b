"""A local server that speaks the wires of OpenAI, Anthropic and Gemini, with answers and faults from a script.

It lets the model layer be tried through the official libraries with no model: in tests (which faults are survived, how
many requests each provider saw) and in the bench (a model of fixed latency). Loopback only. Streamed answers only.

    with StandIn([Answer(calls=[("ads_report", {"days": 7})]), Answer("Gastou R$ 12,34.")]) as server:
        settings = Settings(openai_api_key="x", openai_base_url=server.openai_url)

`Unreachable` stands for a provider that no connection reaches.
"""

import asyncio
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from http import HTTPStatus
from typing import Any, Literal

Wire = Literal["openai", "anthropic", "google"]

_PIECES = re.compile(r"\S+\s*|\s+")


@dataclass(frozen=True)
class Answer:
    """What the server does with one request.

    A `calls` entry is (tool, arguments); arguments given as text are sent as they are, so that broken JSON can be
    played. `finish` is the wire's own word for the end (length, max_tokens, MAX_TOKENS, …), None its usual one.
    """

    text: str = ""
    calls: Sequence[tuple[str, dict[str, Any] | str]] = ()
    status: int = 200
    body: str | None = None
    """Sent as it is instead of a stream; with an error status None is the provider's usual body."""
    headers: dict[str, str] = field(default_factory=dict)
    latency: float = 0.0
    """Seconds before the first byte."""
    hangs: bool = False
    """Takes the request and never answers."""
    pause: float = 0.0
    """Seconds between the pieces of the stream."""
    drip: float = 0.0
    """Seconds between the single bytes of the stream."""
    twice: int | None = None
    """The event of this number (from 0) is sent two times."""
    hangs_after: int | None = None
    """Nothing more comes after this many events of the stream."""
    cut_after: int | None = None
    """The connection breaks after this many events of the stream."""
    cut_at: str | None = None
    """The connection breaks right after these characters of the stream, in the middle of their event."""
    silent_end: bool = False
    """The stream ends cleanly but without saying that the answer is over."""
    error_after: str | None = None
    """After the text comes an error event of this type instead of the rest."""
    same_ids: bool = False
    """Every call has the same id (Gemini's have none)."""
    finish: str | None = None
    prompt_tokens: int = 100
    """All of them, those read from and written to the cache included, on every wire."""
    completion_tokens: int = 20
    cached_tokens: int = 0
    cache_written_tokens: int = 0
    audio_seconds: float | None = None
    """What a transcription says it was paid by; None: it does not say."""


@dataclass(frozen=True)
class Seen:
    """One request as it arrived. `at` is monotonic time in seconds."""

    wire: Wire
    model: str
    body: dict[str, Any]
    """JSON, or the fields of a form; its file is {"name", "mime", "content"}."""
    headers: dict[str, str]
    at: float


Script = Sequence[Answer] | Callable[[Seen], Answer]


class StandIn:
    """The server, in a thread of its own. A list of answers is given out in order, one per request, and then 500.

    `port` 0 takes any free one; a chosen one lets a provider come (back) at an address that is known before.
    """

    def __init__(self, script: Script, port: int = 0) -> None:
        self._answer: Callable[[Seen], Answer] = script if callable(script) else _in_order(script)
        self._changed = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="stand-in", daemon=True)
        self._port = port
        self.seen: list[Seen] = []
        self.left: list[Seen] = []
        """The requests whose client went away before the answer was over."""
        self._mistakes: list[BaseException] = []
        """Of the script: they are raised where the server is closed, not taken for faults of a provider."""

    def __enter__(self) -> "StandIn":
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._shut(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        if kind is None and self._mistakes:
            raise self._mistakes[0]

    @property
    def url(self) -> str:
        """For Anthropic and Google."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def openai_url(self) -> str:
        return f"{self.url}/v1"

    def wait_until(self, condition: Callable[["StandIn"], bool], seconds: float = 30.0) -> bool:
        """Whether the condition over `seen` and `left` became true in time. Blocks: from a loop, call in a thread."""
        with self._changed:
            return self._changed.wait_for(lambda: condition(self), seconds)

    async def _listen(self) -> asyncio.Server:
        # A wave of callers must not fill the queue of connections: they would look like a provider that is away.
        server = await asyncio.start_server(self._serve, "127.0.0.1", self._port, backlog=1_024)
        self._port = server.sockets[0].getsockname()[1]
        return server

    async def _shut(self) -> None:
        self._server.close()
        open_ones = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in open_ones:
            task.cancel()
        await asyncio.gather(*open_ones, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            seen = await _read(reader)
            with self._changed:
                try:
                    answer = self._answer(seen)
                except Exception as error:
                    self._mistakes.append(error)
                    return
                finally:
                    self.seen.append(seen)
                    self._changed.notify_all()
            playing = asyncio.ensure_future(_play(seen, answer, writer))
            gone = asyncio.ensure_future(reader.read(1))
            await asyncio.wait({playing, gone}, return_when=asyncio.FIRST_COMPLETED)
            failed = playing.exception() if playing.done() else None
            if failed is not None and not isinstance(failed, ConnectionError):
                self._mistakes.append(failed)
            elif failed is not None or not playing.done():
                with self._changed:
                    self.left.append(seen)
                    self._changed.notify_all()
            for task in (playing, gone):
                task.cancel()
            await asyncio.gather(playing, gone, return_exceptions=True)
        finally:
            writer.close()


class Unreachable:
    """An address at which nobody answers: `how` is "refused" (nothing listens there) or "deaf" (a queue of connections
    that is full and never emptied, so that connecting takes for ever). What it offers is what a StandIn does."""

    def __init__(self, how: Literal["refused", "deaf"]) -> None:
        self._how = how
        self._taken: list[socket.socket] = []
        self.seen: list[Seen] = []
        """Always empty."""

    def __enter__(self) -> "Unreachable":
        place = socket.socket()
        self._taken.append(place)
        place.bind(("127.0.0.1", 0))  # held without listening, nobody else gets it and connections are refused
        self._address = place.getsockname()
        if self._how == "deaf":
            place.listen(0)
            for _ in range(3):  # how many a queue of length 0 takes is the system's to decide: 1 on Linux
                waiting = socket.socket()
                waiting.setblocking(False)
                waiting.connect_ex(self._address)
                self._taken.append(waiting)
        return self

    def __exit__(self, *_: object) -> None:
        for one in self._taken:
            one.close()

    @property
    def url(self) -> str:
        """For Anthropic and Google."""
        return f"http://{self._address[0]}:{self._address[1]}"

    @property
    def openai_url(self) -> str:
        return f"{self.url}/v1"


def _in_order(answers: Sequence[Answer]) -> Callable[[Seen], Answer]:
    remaining = iter(answers)
    return lambda _: next(remaining, Answer(status=500, body='{"error": {"message": "the script is over"}}'))


async def _read(reader: asyncio.StreamReader) -> Seen:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    path = head[0].split(" ")[1]
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
    raw = await _body(reader, headers)
    kind = headers.get("content-type", "")
    body = _form(kind, raw) if kind.startswith("multipart/") else json.loads(raw or "{}")
    if named := re.match(r"/v1beta/models/([^:]+):streamGenerateContent", path):
        return Seen("google", named[1], body, headers, time.monotonic())
    if path.startswith("/v1beta/"):
        return Seen("google", "", body, headers, time.monotonic())
    wire: Wire = "anthropic" if path.startswith("/v1/messages") or "anthropic-version" in headers else "openai"
    return Seen(wire, body.get("model", ""), body, headers, time.monotonic())


async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding") != "chunked":
        return await reader.readexactly(int(headers.get("content-length", 0)))
    whole = b""
    while size := int(await reader.readline(), 16):
        whole += (await reader.readexactly(size + 2))[:-2]
    await reader.readline()
    return whole


def _form(kind: str, raw: bytes) -> dict[str, Any]:
    message = BytesParser(policy=HTTP).parsebytes(b"content-type: " + kind.encode() + b"\r\n\r\n" + raw)
    fields: dict[str, Any] = {}
    for part in message.iter_parts():
        name, content = str(part.get_param("name", header="content-disposition")), part.get_payload(decode=True)
        if part.get_filename() is not None:
            fields[name] = {"name": part.get_filename(), "mime": part.get_content_type(), "content": content}
        else:
            fields[name] = content.decode() if isinstance(content, bytes) else ""
    return fields


async def _play(seen: Seen, answer: Answer, writer: asyncio.StreamWriter) -> None:
    if answer.hangs:
        await asyncio.Event().wait()
    await asyncio.sleep(answer.latency)
    if answer.status != 200 or answer.body is not None:
        content = answer.body if answer.body is not None else _error_body(seen.wire, answer.status)
        kind = "text/html" if content.lstrip().startswith("<") else "application/json"
        _head(writer, answer, kind, f"Content-Length: {len(content.encode())}")
        writer.write(content.encode())
        await writer.drain()
        return
    if isinstance(seen.body.get("file"), dict):
        used = {} if answer.audio_seconds is None else {"usage": {"type": "duration", "seconds": answer.audio_seconds}}
        words = json.dumps({"text": answer.text, **used}).encode()
        _head(writer, answer, "application/json", f"Content-Length: {len(words)}")
        writer.write(words)
        await writer.drain()
        return
    _head(writer, answer, "text/event-stream", "Transfer-Encoding: chunked")
    events = list(_EVENTS[seen.wire](seen, answer))
    if answer.cut_at and not any(answer.cut_at in event for event in events):
        raise ValueError(f"no event of the answer has {answer.cut_at!r} in it")
    if answer.twice is not None:
        events.insert(answer.twice, events[answer.twice])
    for number, event in enumerate(events):
        if number == answer.hangs_after:
            await asyncio.Event().wait()
        if number == answer.cut_after:
            writer.transport.abort()
            return
        if number:
            await asyncio.sleep(answer.pause)
        before, cut, _ = event.partition(answer.cut_at) if answer.cut_at else (event, "", "")
        data = (before + cut).encode(errors="backslashreplace")  # half of a pair travels as JSON's escape of it
        if answer.drip:
            await _drip(writer, data, answer.drip)
        else:
            _chunk(writer, data)
        await writer.drain()
        if cut:
            writer.transport.abort()
            return
    writer.write(b"0\r\n\r\n")
    await writer.drain()


def _chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")


async def _drip(writer: asyncio.StreamWriter, data: bytes, pause: float) -> None:
    for byte in data:
        await asyncio.sleep(pause)
        _chunk(writer, bytes([byte]))
        await writer.drain()


def _head(writer: asyncio.StreamWriter, answer: Answer, kind: str, length: str) -> None:
    lines = [f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase if answer.status < 520 else 'Overloaded'}"]
    lines += [f"Content-Type: {kind}", length, "Connection: close"]
    lines += [f"{name}: {value}" for name, value in answer.headers.items()]
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())


def _error_body(wire: Wire, status: int) -> str:
    if wire == "google":
        return json.dumps({"error": {"code": status, "message": f"stand-in error {status}", "status": "UNKNOWN"}})
    error = {"type": "stand_in_error", "message": f"stand-in error {status}"}
    return json.dumps({"type": "error", "error": error} if wire == "anthropic" else {"error": error})


def _arguments(arguments: dict[str, Any] | str) -> str:
    return arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)


def _halves(text: str) -> list[str]:
    """Tool JSON comes in pieces; two are enough to be cut between."""
    middle = len(text) // 2
    return [text[:middle], text[middle:]] if middle else [text]


def _openai_events(seen: Seen, answer: Answer) -> Iterator[str]:
    def event(delta: dict[str, Any] | None, finish: str | None = None, **more: Any) -> str:
        choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
        chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 0, "model": seen.model}
        return f"data: {json.dumps({**chunk, 'choices': choices, **more}, ensure_ascii=False)}\n\n"

    yield event({"role": "assistant", "content": ""})
    for piece in _PIECES.findall(answer.text):
        yield event({"content": piece})
    if answer.error_after:
        yield f"data: {json.dumps({'error': {'message': 'stand-in error', 'type': answer.error_after}})}\n\n"
        return
    for index, (name, arguments) in enumerate(answer.calls):
        function = {"name": name, "arguments": ""}
        call_id = "call_0" if answer.same_ids else f"call_{index}"
        yield event({"tool_calls": [{"index": index, "id": call_id, "type": "function", "function": function}]})
        for piece in _halves(_arguments(arguments)):
            yield event({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    if answer.silent_end:
        return
    yield event({}, answer.finish or ("tool_calls" if answer.calls else "stop"))
    if (seen.body.get("stream_options") or {}).get("include_usage"):
        total = answer.prompt_tokens + answer.completion_tokens
        counts = {"prompt_tokens": answer.prompt_tokens, "completion_tokens": answer.completion_tokens}
        cache = {"cached_tokens": answer.cached_tokens, "cache_write_tokens": answer.cache_written_tokens}
        yield event(None, usage={**counts, "total_tokens": total, "prompt_tokens_details": cache})
    yield "data: [DONE]\n\n"


def _anthropic_events(seen: Seen, answer: Answer) -> Iterator[str]:
    def event(kind: str, **more: Any) -> str:
        return f"event: {kind}\ndata: {json.dumps({'type': kind, **more}, ensure_ascii=False)}\n\n"

    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": seen.model, "content": []}
    cache = {
        "cache_read_input_tokens": answer.cached_tokens,
        "cache_creation_input_tokens": answer.cache_written_tokens,
    }
    usage = {"input_tokens": answer.prompt_tokens - sum(cache.values()), "output_tokens": 1, **cache}
    yield event("message_start", message={**message, "stop_reason": None, "stop_sequence": None, "usage": usage})
    index = 0
    if answer.text:
        yield event("content_block_start", index=index, content_block={"type": "text", "text": ""})
        for piece in _PIECES.findall(answer.text):
            yield event("content_block_delta", index=index, delta={"type": "text_delta", "text": piece})
        yield event("content_block_stop", index=index)
        index += 1
    if answer.error_after:
        yield event("error", error={"type": answer.error_after, "message": "stand-in error"})
        return
    for name, arguments in answer.calls:
        block = {
            "type": "tool_use",
            "id": "toolu_0" if answer.same_ids else f"toolu_{index}",
            "name": name,
            "input": {},
        }
        yield event("content_block_start", index=index, content_block=block)
        for piece in _halves(_arguments(arguments)):
            yield event("content_block_delta", index=index, delta={"type": "input_json_delta", "partial_json": piece})
        yield event("content_block_stop", index=index)
        index += 1
    if answer.silent_end:
        return
    reason = answer.finish or ("tool_use" if answer.calls else "end_turn")
    delta = {"stop_reason": reason, "stop_sequence": None}
    yield event("message_delta", delta=delta, usage={"output_tokens": answer.completion_tokens})
    yield event("message_stop")


def _google_events(seen: Seen, answer: Answer) -> Iterator[str]:
    def event(parts: list[dict[str, Any]], finish: str | None = None, **more: Any) -> str:
        candidate: dict[str, Any] = {"content": {"role": "model", "parts": parts}, "index": 0}
        if finish:
            candidate["finishReason"] = finish
        return f"data: {json.dumps({'candidates': [candidate], **more}, ensure_ascii=False)}\r\n\r\n"

    for piece in _PIECES.findall(answer.text):
        yield event([{"text": piece}])
    if answer.error_after:
        code = 429 if answer.error_after == "RESOURCE_EXHAUSTED" else 503
        error = {"code": code, "message": "stand-in error", "status": answer.error_after}
        yield f"data: {json.dumps({'error': error})}\r\n\r\n"
        return
    for name, arguments in answer.calls:
        if isinstance(arguments, str):  # Gemini sends whole objects: broken arguments are a broken event
            yield f'data: {{"candidates": [{{"content": {{"parts": [{{"functionCall": {{"args": {arguments}\r\n\r\n'
        else:
            yield event([{"functionCall": {"name": name, "args": arguments}}])
    if answer.silent_end:
        return
    counts = {"promptTokenCount": answer.prompt_tokens, "candidatesTokenCount": answer.completion_tokens}
    if answer.cached_tokens:
        counts["cachedContentTokenCount"] = answer.cached_tokens
    yield event([], answer.finish or "STOP", usageMetadata=counts)


_EVENTS: dict[Wire, Callable[[Seen, Answer], Iterator[str]]] = {
    "openai": _openai_events,
    "anthropic": _anthropic_events,
    "google": _google_events,
}
