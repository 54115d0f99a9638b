"""A world outside: a loopback server that holds dials and writes every request down before it does anything.

It is the oracle of these tests: what was really done is read here, never from our own rows.
"""

import json
import os
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class Witness:
    """Dials by name, each a text. `at` is called at a named point of a request, in the server's thread:

    asked (a look came), announced (a write is about to leave the client), received (a write came, not done yet),
    done (a write is done, not answered yet), answered (a write was answered).
    """

    def __init__(self, journal: Path) -> None:
        self.dials: dict[str, str] = {}
        self.fail_writes_with: int | None = None
        self.cut_after_writing = False
        self.refuse_looks_with: int | None = None
        self.at: Callable[[str], None] = lambda point: None
        self._journal = journal.open("a", encoding="utf-8")
        self._lock = threading.Lock()
        self._writes: list[tuple[str, str]] = []
        self._open = 0
        self._server = self._serving()
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def writes_of(self, dial: str) -> list[str]:
        with self._lock:
            return [value for name, value in self._writes if name == dial]

    def quiet(self) -> bool:
        """Whether everything that has reached this server is dealt with, also what a dead client had sent."""
        with socket.create_connection(("127.0.0.1", self._server.server_port)) as probe:  # accepted after all before it
            probe.sendall(b"GET /announce/nothing HTTP/1.0\r\n\r\n")
            probe.recv(1)
            with self._lock:
                return self._open == 1

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._journal.close()

    def _note(self, line: str) -> None:
        with self._lock:
            self._journal.write(line + "\n")
            self._journal.flush()
            os.fsync(self._journal.fileno())

    def _serving(witness) -> ThreadingHTTPServer:  # noqa: N805
        class Server(ThreadingHTTPServer):
            def process_request(self, request: Any, client_address: Any) -> None:
                with witness._lock:
                    witness._open += 1
                super().process_request(request, client_address)

            def shutdown_request(self, request: Any) -> None:
                super().shutdown_request(request)
                with witness._lock:
                    witness._open -= 1

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass  # connections of killed clients break

        return Server(("127.0.0.1", 0), witness._handler())

    def _handler(witness) -> type[BaseHTTPRequestHandler]:  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                dial = self.path.rsplit("/", 1)[1]
                if self.path.startswith("/announce/"):
                    if dial != "nothing":
                        witness.at("announced")
                    return self._answer(200, {})
                witness.at("asked")
                if witness.refuse_looks_with:
                    return self._answer(witness.refuse_looks_with, {})
                self._answer(200, {"value": witness.dials.get(dial)})

            def do_POST(self) -> None:
                dial = self.path.rsplit("/", 1)[1]
                size = int(self.headers["Content-Length"])
                body = self.rfile.read(size)
                if len(body) < size:
                    return  # the client was killed while it was writing
                value = json.loads(body)["value"]
                witness._note(f"write {dial} {value}")
                witness.at("received")
                if witness.fail_writes_with:
                    return self._answer(witness.fail_writes_with, {})
                with witness._lock:
                    witness.dials[dial] = value
                    witness._writes.append((dial, value))
                witness.at("done")
                if witness.cut_after_writing:
                    self.close_connection = True
                    self.connection.shutdown(2)
                    return
                self._answer(200, {})
                witness.at("answered")

            def _answer(self, status: int, body: dict[str, object]) -> None:
                data = json.dumps(body).encode()
                try:
                    self.send_response(status)
                    self.send_header("Content-Length", str(len(data)))
                    self.end_headers()
                    self.wfile.write(data)
                except OSError:
                    pass  # the client was killed

            def log_message(self, *_: object) -> None: ...

        return Handler
