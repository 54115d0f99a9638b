"""What the simulators of public sources share: a process on loopback that answers, remembers the requests, and fails on
demand. A simulator is a function from a request to an answer; the rest is here.

Control, for tests and evals (all under `/__…`):

GET  /__health     {"ready", "pid", "name"}
GET|DELETE /__requests   {"count", "last": [{"method", "path", "query", "agent"}]}: since the start, the newest 500
GET|POST|DELETE /__faults   what goes wrong next; see `Fault`

Run: `python -m integrations.<vendor>.simulator --dir DIR [--port N | --socket FD]`; see `main`.
"""

import argparse
import asyncio
import contextlib
import http.client
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from core.errors import Unavailable
from core.processes import SharedServer, Started, detached

_ROOT = Path(__file__).parents[1]
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
KINDS = ("answer", "html", "cut", "hang", "drop", "drip", "garble", "slow", "lost")

Responder = Callable[[Request], Response]
"""What a simulator says to a request, whose body is in `request.state.body`."""


@dataclass
class Fault:
    """Something that goes wrong with the next `times` requests whose path (with query) matches.

    kind: "answer" (`status`, `body` and `headers` instead of the real answer), "html" (a page, with `status`), "cut" (a
    body that ends too early), "hang" (no answer for `seconds`, then the connection is lost), "drop" (connection lost at
    once), "drip" (the real answer, a byte now and then), "garble" (the real answer with half its bytes missing), "slow"
    (the real answer after `seconds`), "lost" (everything done, then the connection is lost).
    """

    kind: str
    times: int = 1
    path: str = ""
    """A regular expression searched in path?query; empty matches all."""
    status: int = 500
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 60.0


class SandboxHttp:
    """One simulator behind HTTP: `respond` answers, everything else is control."""

    def __init__(self, name: str, respond: Responder) -> None:
        self.name = name
        self.faults: list[Fault] = []
        self.count = 0
        self.last: list[dict[str, str]] = []
        self._respond = respond
        self.app = Starlette(
            routes=[
                Route("/__health", self._health),
                Route("/__requests", self._requests, methods=["GET", "DELETE"]),
                Route("/__faults", self._faults, methods=["GET", "POST", "DELETE"]),
                Route("/{path:path}", self._answer, methods=_METHODS),
            ]
        )

    async def _answer(self, request: Request) -> Response:
        request.state.body = await request.body()
        path = request.url.path
        whole = f"{path}?{request.url.query}" if request.url.query else path
        self.count += 1
        asked = {"method": request.method, "path": path, "query": request.url.query}
        self.last = [*self.last[-499:], asked | {"agent": request.headers.get("user-agent", "")}]
        fault = next((one for one in self.faults if re.search(one.path, whole)), None)
        if fault is None:
            return self._respond(request)
        fault.times -= 1
        if fault.times <= 0:
            self.faults.remove(fault)
        if fault.kind in ("hang", "slow"):
            await asyncio.sleep(fault.seconds)
        if fault.kind in ("hang", "drop"):
            return Lost()
        if fault.kind == "answer":
            return Response(fault.body, fault.status, fault.headers, media_type="application/json")
        if fault.kind == "html":
            page = "<!DOCTYPE html><html><body><h1>Sorry, something went wrong.</h1></body></html>"
            return Response(page, fault.status, media_type="text/html")
        real = self._respond(request)
        if fault.kind == "lost":
            return Lost()
        if fault.kind == "cut":
            return Cut(bytes(real.body))
        if fault.kind == "drip":
            return Drip(bytes(real.body), real.status_code, media_type=real.media_type)
        if fault.kind == "garble":
            return Response(bytes(real.body)[::2], real.status_code, media_type=real.media_type)
        return real

    # --- control ------------------------------------------------------------------------------

    async def _health(self, request: Request) -> Response:
        return JSONResponse({"ready": True, "pid": os.getpid(), "name": self.name})

    async def _requests(self, request: Request) -> Response:
        if request.method == "DELETE":
            self.count, self.last = 0, []
        return JSONResponse({"count": self.count, "last": self.last})

    async def _faults(self, request: Request) -> Response:
        return await faults_wanted(request, self.faults, Fault, KINDS)


async def faults_wanted(
    request: Request, faults: list[Any], kind_of_fault: Callable[..., Any], kinds: Collection[str]
) -> Response:
    """A simulator's control of its faults: POST {"faults": [...]} adds to `faults`, DELETE clears them; tells those
    that wait. What is no fault of the simulator's own `kinds` is answered 400 and adds nothing."""
    if "origin" in request.headers:  # a page in the browser has no business here
        return JSONResponse({"error": "not from a page"}, 403)
    if request.method == "POST":
        try:
            asked = [kind_of_fault(**one) for one in (await request.json())["faults"]]
        except (ValueError, KeyError, TypeError) as error:
            return JSONResponse({"error": f"not a list of faults: {error}"}, 400)
        if unknown := [one.kind for one in asked if one.kind not in kinds]:
            return JSONResponse({"error": f"no such kind: {unknown[0]}"}, 400)
        faults += asked
    if request.method == "DELETE":
        faults.clear()
    return JSONResponse({"faults": [asdict(fault) for fault in faults]})


# --- the process ----------------------------------------------------------------------------------


def main(name: str, build: Callable[[argparse.Namespace], Responder], *options: tuple[str, dict[str, Any]]) -> None:
    """The command line of a simulator: serve until SIGTERM or SIGINT. `options` are its own arguments, for `build`."""
    parser = argparse.ArgumentParser(prog=f"{name} simulator")
    parser.add_argument("--dir", type=Path, required=True, help="where its log and port are kept")
    parser.add_argument("--port", type=int, default=0, help="port on loopback; 0 takes a free one")
    parser.add_argument("--socket", type=int, help="file descriptor of a listening socket handed over by the parent")
    for flag, more in options:
        parser.add_argument(flag, **more)
    asked = parser.parse_args()
    server = listen(asked.port) if asked.socket is None else socket.socket(fileno=asked.socket)
    simulator = SandboxHttp(name, build(asked))
    serve(simulator.app, server)


def serve(
    app: Starlette,
    server: socket.socket,
    *,
    lifespan: Literal["on", "off"] = "off",
    ready: Callable[[], object] = lambda: None,
) -> None:
    """Serve a simulator until SIGTERM or SIGINT. Says on standard output, as one JSON line, where it listens;
    `ready` is called when that is said."""
    config = uvicorn.Config(
        app,
        http=Abortable,
        ws="none",
        loop="asyncio",
        lifespan=lifespan,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=1,
    )
    url = f"http://127.0.0.1:{server.getsockname()[1]}"
    sys.stdout.write(json.dumps({"ready": True, "url": url, "pid": os.getpid()}) + "\n")
    sys.stdout.flush()
    ready()
    uvicorn.Server(config).run(sockets=[server])


def shared(module: str, folder: Path, *arguments: str) -> SharedServer:
    """The simulator `module` of a data folder, one process for all of ours. `acquire()` gives {"url"}; the last user
    stops it. It comes back on the same port when it can, so addresses in use stay good."""
    log = folder / "simulator.log"

    def launch() -> Started:
        server = listen_again(folder)
        with server:
            pid = detached(
                [*_command(module, folder, server), *arguments], log=log, pass_fds=(server.fileno(),), cwd=_ROOT
            )
            port = server.getsockname()[1]
        (folder / "port").write_text(str(port))
        return Started(pid.pid, {"url": f"http://127.0.0.1:{port}"}, pid)

    return SharedServer(folder, f"{module} simulator", launch, ready, log=log)


@dataclass
class Launched:
    """A simulator of one's own, for a test."""

    base_url: str
    process: subprocess.Popen[bytes]

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)


def start(module: str, folder: Path, *arguments: str) -> Launched:
    """Start one on a free port and wait until it answers. Unavailable("server_not_starting") after 15 seconds."""
    folder.mkdir(parents=True, exist_ok=True)
    with listen(0) as server, (folder / "simulator.log").open("ab") as log:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        process = subprocess.Popen(
            [*_command(module, folder, server), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(server.fileno(),),
            cwd=_ROOT,
        )
    deadline = time.monotonic() + 15
    while not ready({"url": url}):
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            end = (folder / "simulator.log").read_text(errors="replace")[-1_000:]
            raise Unavailable("server_not_starting", f"{module} does not start: {end}", server=module, log="")
        time.sleep(0.01)
    return Launched(url, process)


def listen(port: int) -> socket.socket:
    """A listening socket on loopback; port 0 takes any free one. OSError when the port is taken."""
    server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        server.bind(("127.0.0.1", port))
        server.listen(128)
    except OSError:
        server.close()
        raise
    return server


def listen_again(folder: Path) -> socket.socket:
    """A listening socket on the port of last time, which stands in `folder`; on any other when that is taken."""
    with contextlib.suppress(OSError, ValueError):
        return listen(int((folder / "port").read_text()))
    return listen(0)


def _command(module: str, folder: Path, server: socket.socket) -> list[str]:
    return [sys.executable, "-m", module, "--dir", str(folder.resolve()), "--socket", str(server.fileno())]


def ready(details: dict[str, Any]) -> bool:
    """Whether the simulator at details["url"] answers."""
    connection = http.client.HTTPConnection(details["url"].removeprefix("http://"), timeout=2)
    try:
        connection.request("GET", "/__health")
        return bool(json.load(connection.getresponse()).get("ready"))
    except (OSError, http.client.HTTPException, ValueError):
        return False
    finally:
        connection.close()


# --- a network that fails -------------------------------------------------------------------------


class Abortable(H11Protocol):
    """Lets a request cut its connection."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        inner = self.app

        async def app(scope: Any, receive: Any, send: Any) -> None:
            scope["mutirao.transport"] = transport
            await inner(scope, receive, send)

        self.app = app


class Lost(Response):
    """No answer at all: the connection is gone."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        scope["mutirao.transport"].abort()


class Cut(Response):
    """Half of the promised body, then the connection is gone."""

    def __init__(self, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        promised = dict(headers or {}) | {"content-length": str(len(body))}
        super().__init__(body[: len(body) // 2], 200, promised, media_type="application/json")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        scope["mutirao.transport"].close()


class Drip(Response):
    """The whole body, byte by byte, so slowly that it never ends for who waits; no silence, and no answer."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        for byte in self.body:
            await send({"type": "http.response.body", "body": bytes([byte]), "more_body": True})
            await asyncio.sleep(0.05)
