"""The real server, `mutirao serve`, as a browser meets it: how soon the page is there, memory, turns in the chat."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import socketio

from bench.machine import cpu_seconds
from bench.turns import KINDS
from business.people.sample import demo_logins
from core.settings import Settings

_ROOT = Path(__file__).parents[1]
_PATIENCE = 120.0  # seconds for a start or a turn on a busy machine; longer is a failure
_ASSET = re.compile(r'(?:src|href)="(/chat/[^"]+)"')


@dataclass(frozen=True)
class Page:
    """Seconds from the start of the process until /chat and all it refers to had been answered with 200."""

    seconds: float
    assets: int


@dataclass(frozen=True)
class ChatTurn:
    """Milliseconds as a browser sees them, from sending the message."""

    kind: str
    first: float
    end: float


@dataclass
class Served:
    """A running server on `folder`."""

    process: psutil.Process
    url: str
    folder: Path
    page: Page

    def memory_mb(self) -> float:
        return float(self.process.memory_info().rss) / 1e6

    def cpu(self) -> float:
        """Seconds so far."""
        return cpu_seconds(self.process)

    async def settled(self) -> None:
        """Until the warming up after the start is over: less than a twentieth of a core over a second."""
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            before = self.cpu()
            await asyncio.sleep(1)
            if self.cpu() - before < 0.05:
                return


@contextmanager
def serve(folder: Path) -> Iterator[Served]:
    """Start it and fetch the first page; stop it at the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MUTIRAO_")}
    environment |= {
        "MUTIRAO_DATA_DIR": str(folder / "var"),
        "MUTIRAO_IGNORE_PROVIDER_KEYS": "true",
        "MUTIRAO_LOG_LEVEL": "WARNING",
    }
    command = [sys.executable, "-c", "import app; app.main()", "serve", "--port", str(port)]
    with (folder / "serve.log").open("ab") as log:
        began = time.perf_counter()
        process = subprocess.Popen(command, cwd=_ROOT, env=environment, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"
        page = _first_page(url, began, process)
        yield Served(psutil.Process(process.pid), url, folder, page)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def _first_page(url: str, began: float, process: "subprocess.Popen[bytes]") -> Page:
    with httpx.Client(base_url=url, timeout=_PATIENCE) as http:
        while True:
            try:
                html = http.get("/chat", follow_redirects=True)
                if html.status_code == 200:
                    break
            except httpx.TransportError:
                pass
            if process.poll() is not None or time.perf_counter() - began > _PATIENCE:
                raise RuntimeError("the server did not come up")
            time.sleep(0.02)
        assets = sorted(set(_ASSET.findall(html.text)))
        for asset in assets:
            http.get(asset).raise_for_status()
    return Page(time.perf_counter() - began, len(assets))


async def chat_turns(served: Served, rounds: int, kinds: Sequence[str] = tuple(KINDS)) -> list[ChatTurn]:
    """Conversations of one turn of each kind, by the chat's own wire, as the demo user."""
    who = demo_logins(Settings(data_dir=served.folder / "var"))[0]
    async with httpx.AsyncClient(base_url=served.url, timeout=_PATIENCE) as http:
        form = {"username": who.email, "password": who.password}
        (await http.post("/chat/login", data=form, headers={"origin": served.url})).raise_for_status()
        cookie = "; ".join(f"{name}={value}" for name, value in http.cookies.items())
    turns = []
    for number in range(rounds):
        async with _Tab(served.url, cookie) as tab:
            turns += [await tab.say(kind, KINDS[kind][number % len(KINDS[kind])]) for kind in kinds]
    return turns


class _Tab:
    """One browser tab: a connection with a conversation of its own."""

    def __init__(self, url: str, cookie: str) -> None:
        self._url, self._headers = url, {"Cookie": cookie, "Origin": url}
        self._socket = socketio.AsyncClient(reconnection=False)
        self._first: list[float] = []
        self._over = asyncio.Event()
        self._conversation = ""
        for event in ("stream_start", "stream_token", "new_message"):
            self._socket.on(event, self._shown)
        self._socket.on("task_end", lambda *_: self._over.set())
        self._socket.on("first_interaction", self._named)

    async def __aenter__(self) -> "_Tab":
        auth = {
            "sessionId": str(uuid.uuid4()),
            "clientType": "webapp",
            "userEnv": "{}",
            "chatProfile": "",
            "threadId": "",
        }
        await self._socket.connect(
            self._url,
            headers=self._headers,
            auth=auth,
            transports=["websocket"],
            socketio_path="/chat/ws/socket.io",
            wait_timeout=int(_PATIENCE),
        )
        await self._socket.emit("connection_successful")
        await asyncio.wait_for(self._over.wait(), _PATIENCE)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._socket.disconnect()

    async def say(self, kind: str, text: str) -> ChatTurn:
        self._first.clear()
        self._over.clear()
        message = {
            "id": str(uuid.uuid4()),
            "threadId": self._conversation,
            "name": "bench",
            "type": "user_message",
            "output": text,
            "createdAt": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime()),
        }
        began = time.perf_counter()
        await self._socket.emit("client_message", {"message": message, "fileReferences": []})
        await asyncio.wait_for(self._over.wait(), _PATIENCE)
        end = time.perf_counter()
        if not self._first:
            raise RuntimeError(f"no answer to {text!r} in the chat")
        return ChatTurn(kind, (self._first[0] - began) * 1000, (end - began) * 1000)

    def _shown(self, step: dict[str, Any]) -> None:
        """An answer begins, goes on, or is there as a whole; steps that show the work do not count."""
        answers = step.get("type") == "assistant_message" and (step.get("output") or step.get("streaming"))
        if answers or "token" in step:
            self._first.append(time.perf_counter())

    def _named(self, told: dict[str, Any]) -> None:
        self._conversation = str(told.get("thread_id", ""))
