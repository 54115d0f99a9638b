"""An OpenTelemetry collector on loopback: takes OTLP over HTTP and keeps what it was sent."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class SpanSeen:
    name: str
    kind: int
    scope: str
    service: str
    trace: bytes
    id: bytes
    parent: bytes
    start: float
    end: float
    attributes: dict[str, Any]
    failed: bool


@dataclass
class Collector:
    """`status` is what it answers; what comes with an answer other than 200 is not kept."""

    url: str = ""
    status: int = 200
    asked: int = 0
    paths: set[str] = field(default_factory=set)
    spans: list[SpanSeen] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    def named(self, name: str) -> list[SpanSeen]:
        return [span for span in self.spans if span.name == name]

    def take(self, path: str, body: bytes) -> int:
        self.asked += 1
        self.paths.add(path)
        if self.status == 200:
            self.bodies.append(body)
            self.spans += _spans(body)
        return self.status


@contextmanager
def collector(status: int = 200) -> Iterator[Collector]:
    seen = Collector(status=status)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            self.send_response(seen.take(self.path, body))
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    seen.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
    try:
        yield seen
    finally:
        server.shutdown()
        server.server_close()


def _spans(body: bytes) -> list[SpanSeen]:
    request = ExportTraceServiceRequest.FromString(body)
    found = []
    for resource in request.resource_spans:
        service = _plain(resource.resource.attributes)["service.name"]
        for scope in resource.scope_spans:
            for span in scope.spans:
                found.append(
                    SpanSeen(
                        name=span.name,
                        kind=span.kind,
                        scope=scope.scope.name,
                        service=service,
                        trace=span.trace_id,
                        id=span.span_id,
                        parent=span.parent_span_id,
                        start=span.start_time_unix_nano / 1e9,
                        end=span.end_time_unix_nano / 1e9,
                        attributes=_plain(span.attributes),
                        failed=span.status.code == 2,
                    )
                )
    return found


def _plain(attributes: Any) -> dict[str, Any]:
    def value(any_value: Any) -> Any:
        kind = any_value.WhichOneof("value")
        if kind == "array_value":
            return [value(one) for one in any_value.array_value.values]
        return getattr(any_value, kind) if kind else None

    return {one.key: value(one.value) for one in attributes}
