"""Traces for an OpenTelemetry collector: one trace per turn, with its model calls and tool calls as spans.

    invoke_agent mutirao
    ├─ chat claude-sonnet-4-6
    └─ execute_tool ads_report

The spans are made when a turn is over, from the times it noted, by the thread of core/observe.py, and sent by a thread
of the SDK. Names and attributes are those of OpenTelemetry's semantic conventions for generative AI (status
"development" in November 2026; https://opentelemetry.io/docs/specs/semconv/gen-ai/, since 1.42 kept in the repository
open-telemetry/semantic-conventions-genai). No message, argument, result or person is in them; what of ours has no name
there begins with `mutirao.`.

The provider is our own and never the process's: what other libraries trace does not pass through here. Opened only when
a collector is set, so the SDK is imported then.
"""

import logging
import re
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import structlog
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, set_span_in_context

from core.observe import SeenTurn
from core.turn import ModelCall, ToolRecord

log = structlog.get_logger(__name__)

PATH = "/v1/traces"  # OTLP over HTTP: https://opentelemetry.io/docs/specs/otlp/
SEND_SECONDS = 5.0
"""For one batch with all its repetitions. It is the sending thread's own time."""
EVERY_SECONDS = 2.0
_LIBRARY_LOGS = ("opentelemetry.exporter", "opentelemetry.sdk._shared_internal", "opentelemetry.sdk.trace")

_CODE = re.compile(r"[a-z][a-z0-9_]{0,40}")

# Where the conventions know a provider by another name than we do; others go by their own.
_PROVIDERS = {"google": "gcp.gemini"}


class Traces:
    """`saw` is fed one finished turn at a time. Nothing here is slowed or broken by a collector that is away."""

    def __init__(self, endpoint: str, *, version: str = "", every: float = EVERY_SECONDS) -> None:
        """`endpoint` is the collector's address, with or without /v1/traces; a batch leaves every `every` seconds.

        Headers, such as a collector's key, are the exporter's own setting: OTEL_EXPORTER_OTLP_HEADERS.
        """
        for name in _LIBRARY_LOGS:  # they complain about each batch, twice
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        url = endpoint if endpoint.endswith(PATH) else endpoint + PATH
        self._exporter = _ComplainsOnce(OTLPSpanExporter(url, timeout=SEND_SECONDS), urlsplit(url).netloc)
        resource = Resource.create({"service.name": "mutirao", "service.version": version})
        self._provider = TracerProvider(sampler=ALWAYS_ON, resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(
            BatchSpanProcessor(
                self._exporter, max_queue_size=4_096, schedule_delay_millis=every * 1_000, max_export_batch_size=512
            )
        )
        self._tracer = self._provider.get_tracer("mutirao", version)

    def saw(self, seen: SeenTurn) -> None:
        """Make the trace of one finished turn."""
        turn, reply = seen.turn, seen.reply
        calls = [call for call in turn.model_calls if call.provider != "offline"]
        begun = [call.started_at for call in calls] + [record.started_at for record in turn.results]
        start = min([seen.ended_at - seen.seconds, *filter(None, begun)])
        answered = [call for call in calls if call.failure is None]
        root = self._tracer.start_span(
            "invoke_agent mutirao",
            context=Context(),  # empty: never a child of what some library has open
            kind=SpanKind.INTERNAL,
            start_time=_nanoseconds(start),
            attributes={
                "gen_ai.operation.name": "invoke_agent",
                "gen_ai.agent.name": "mutirao",
                "gen_ai.provider.name": _provider(answered[-1].provider) if answered else "mutirao",
                "gen_ai.conversation.id": turn.conversation_id,
                "gen_ai.usage.input_tokens": sum(call.prompt_tokens for call in calls),
                "gen_ai.usage.output_tokens": sum(call.completion_tokens for call in calls),
                "mutirao.turn.id": turn.id,
                "mutirao.door": turn.door,
                "mutirao.language": turn.language,
                "mutirao.ended": reply.ended,
                "mutirao.first_text_seconds": seen.seconds if turn.first_text is None else turn.first_text,
                "mutirao.intents": [str(part["intent"]) for part in reply.route],
                "mutirao.numbers_held_back": turn.held_back,
                "mutirao.proposals": len(turn.proposals),
                "mutirao.playbook": any(call.provider == "offline" for call in turn.model_calls),
            },
        )
        inside = set_span_in_context(root, Context())
        for call in calls:
            self._model_call(call, inside, turn.conversation_id, start)
        for record in turn.results:
            self._tool_call(record, inside, turn.conversation_id, start)
        kind, _, detail = reply.ended.partition(":")
        _finish(root, seen.ended_at, (detail or kind) if kind in ("error", "limit") else None)

    def _model_call(self, call: ModelCall, inside: Context, conversation_id: str, turn_start: float) -> None:
        given_up = (call.failure or "").startswith("given_up")  # by us: stopped, or another was faster; no error
        attributes: dict[str, Any] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": _provider(call.provider),
            "gen_ai.request.model": call.model,
            "gen_ai.request.stream": True,
            "gen_ai.conversation.id": conversation_id,
            "gen_ai.usage.input_tokens": call.prompt_tokens,
            "gen_ai.usage.output_tokens": call.completion_tokens,
            "gen_ai.usage.cache_read.input_tokens": call.cached_tokens,
            "gen_ai.usage.cache_creation.input_tokens": call.cache_written_tokens,
            "mutirao.role": call.role,
            "mutirao.prompt.hash": call.prompt_hash,
            "mutirao.completion": call.completion,
            "mutirao.link": call.link,
            "mutirao.attempt": call.attempt,
            "mutirao.hedge": call.hedge,
            "mutirao.given_up": given_up,
            "mutirao.usage.estimated": call.estimated,
        }
        if call.first_seconds is not None:
            attributes["gen_ai.response.time_to_first_chunk"] = call.first_seconds
        if call.cost_usd is not None:
            attributes["mutirao.cost_usd"] = float(call.cost_usd)  # attributes know floats only
        start = call.started_at or turn_start
        span = self._tracer.start_span(
            f"chat {call.model}",
            context=inside,
            kind=SpanKind.CLIENT,
            start_time=_nanoseconds(start),
            attributes=attributes,
        )
        _finish(span, start + call.seconds, None if given_up else call.failure)

    def _tool_call(self, record: ToolRecord, inside: Context, conversation_id: str, turn_start: float) -> None:
        start = record.started_at or turn_start
        # A model may call a tool by any name: what is no name of a tool is not shown.
        name = record.name if record.effect else "unknown"
        span = self._tracer.start_span(
            f"execute_tool {name}",
            context=inside,
            kind=SpanKind.INTERNAL,
            start_time=_nanoseconds(start),
            attributes={
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": name,
                "gen_ai.tool.type": "function",
                "gen_ai.conversation.id": conversation_id,
                "mutirao.effect": record.effect,
                "mutirao.origin": record.origin,
                "mutirao.round": record.round,
                "mutirao.proposal": record.proposal_id is not None,
            },
        )
        _finish(span, start + record.seconds, record.error)

    def close(self, seconds: float = 2.0) -> None:
        """Send what waits, for up to `seconds`; what is left then is lost."""
        closing = threading.Thread(target=self._provider.shutdown, name="last traces", daemon=True)
        closing.start()
        closing.join(seconds)
        self._exporter.shutdown()  # ends a wait between two attempts


def _finish(span: Span, at: float, error: str | None) -> None:
    """End a span. Of `error` its head is shown, when it is a code such as "timeout" in "timeout: openai/gpt (…)"."""
    if error is not None:
        code = error.partition(":")[0]
        span.set_attribute("error.type", code if _CODE.fullmatch(code) else "_OTHER")
        span.set_status(Status(StatusCode.ERROR))
    span.end(_nanoseconds(at))


def _nanoseconds(moment: float) -> int:
    return int(moment * 1_000_000_000)


def _provider(name: str) -> str:
    return _PROVIDERS.get(name, name)


class _ComplainsOnce(SpanExporter):
    """The exporter, with one line in the log when the collector stops taking traces, and one when it takes them."""

    def __init__(self, exporter: SpanExporter, collector: str) -> None:
        self._exporter = exporter
        self._collector = collector.rpartition("@")[2]  # no password that stands before the host
        self._lost = 0
        self._closed = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        try:
            result = self._exporter.export(spans)
        except Exception:  # an answer that is no HTTP, a name that cannot be
            result = SpanExportResult.FAILURE
        if result is not SpanExportResult.SUCCESS:
            if not self._lost:
                log.warning("traces_not_taken", collector=self._collector)
            self._lost += len(spans)
        elif self._lost:
            log.info("traces_taken_again", collector=self._collector, lost=self._lost)
            self._lost = 0
        return result

    def shutdown(self) -> None:
        if not self._closed:
            self._closed = True
            with suppress(Exception):
                self._exporter.shutdown()
