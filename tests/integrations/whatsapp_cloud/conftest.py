"""A WhatsApp in a process of its own, clients that ask it, and an address of ours to which it posts."""

import dataclasses
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from core.errors import Refused
from integrations.sandbox_http import Launched
from integrations.whatsapp_cloud.client import WhatsAppCloud
from integrations.whatsapp_cloud.signature import HEADER, challenge, verify
from integrations.whatsapp_cloud.simulator import launch
from integrations.whatsapp_cloud.simulator.courier import Config
from integrations.whatsapp_cloud.simulator.launch import Secrets
from integrations.whatsapp_cloud.simulator.state import ACCOUNTS
from integrations.whatsapp_cloud.webhooks import Item, parse

WABA, NUMBER = ACCOUNTS[0].waba_id, ACCOUNTS[0].number_id
LEAD = "5519999990001"
PLAIN = dataclasses.asdict(Config())


class Control:
    """A simulator's own endpoints."""

    def __init__(self, launched: Launched, folder: Path) -> None:
        self.url = launched.base_url
        self.folder = folder
        self.secrets: Secrets = launch.secrets_of(folder)
        self._http = httpx.Client(base_url=launched.base_url, verify=False, timeout=20)

    def ask(self, path: str, **asked: Any) -> Any:
        answer = self._http.post(path, json=asked)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def get(self, path: str, **query: str) -> Any:
        return self._http.get(path, params=query).json()

    def fail(self, kind: str, **more: Any) -> None:
        self.ask("/__faults", faults=[{"kind": kind, **more}])

    def seen(self) -> int:
        """Requests to the API so far."""
        return int(self.get("/__witness", since="1000000")["count"])

    def since(self, count: int) -> list[dict[str, Any]]:
        return list(self.get("/__witness", since=str(count))["requests"])

    def settle(self) -> None:
        assert self.ask("/__settle", seconds=10)["settled"]

    def write(self, words: str = "oi", who: str = LEAD, **more: Any) -> dict[str, Any]:
        return dict(self.ask("/__phone/write", **({"from": who, "type": "text", "text": {"body": words}} | more)))

    def thread(self, who: str = LEAD) -> list[dict[str, Any]]:
        return list(self.get("/__phone/thread", contact=who)["messages"])

    def reset(self) -> None:
        self._http.delete("/__faults").raise_for_status()
        self.ask("/__config", **PLAIN)

    def close(self) -> None:
        self._http.close()


class Ours:
    """Our address: what came to it, signed rightly or not. `answers` are the statuses of the next posts."""

    def __init__(self, secrets: Secrets) -> None:
        self.posts: list[bytes] = []
        self.unsigned: list[bytes] = []
        self.answers: list[int] = []
        ours = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                try:
                    said = challenge(secrets.verify_token, dict(parse_qsl(urlsplit(self.path).query)))
                except Refused:
                    said = ""
                self._say(200 if said else 403, said.encode())

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                try:
                    verify(secrets.app_secret, body, self.headers.get_all(HEADER))
                    ours.posts.append(body)
                    self._say(ours.answers.pop(0) if ours.answers else 200, b"")
                except Refused:
                    ours.unsigned.append(body)
                    self._say(401, b"")

            def _say(self, status: int, words: bytes) -> None:
                self.send_response(status)
                self.send_header("content-length", str(len(words)))
                self.end_headers()
                self.wfile.write(words)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            request_queue_size = 64  # many post at once

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/webhook"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def items(self) -> list[Item]:
        return [item for body in self.posts for item in parse(body)]

    def clear(self) -> None:
        self.posts.clear()
        self.unsigned.clear()
        self.answers.clear()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="session")
def whatsapp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Control]:
    folder = tmp_path_factory.mktemp("whatsapp")
    launched = launch.start(folder)
    control = Control(launched, folder)
    yield control
    control.close()
    launched.stop()


@pytest.fixture
def control(whatsapp: Control) -> Iterator[Control]:
    """The shared WhatsApp, without an address of ours; faults and settings are taken back."""
    whatsapp.reset()
    yield whatsapp
    whatsapp.reset()


@pytest.fixture(scope="session")
def _ours(whatsapp: Control) -> Iterator[Ours]:
    ours = Ours(whatsapp.secrets)
    yield ours
    ours.close()


@pytest.fixture
def ours(control: Control, _ours: Ours) -> Ours:
    """Our address, known to the WhatsApp; what came before is forgotten."""
    control.ask("/__webhook", url=_ours.url)
    control.settle()
    _ours.clear()
    return _ours


@pytest.fixture
async def connect(control: Control) -> AsyncIterator[Callable[..., WhatsAppCloud]]:
    async with httpx.AsyncClient(verify=False) as http:

        def client(**options: Any) -> WhatsAppCloud:
            token = options.pop("token", control.secrets.token)
            return WhatsAppCloud(http, token, **({"base_url": control.url, "pause": 0.01} | options))

        yield client


@pytest.fixture
def client(connect: Callable[..., WhatsAppCloud]) -> WhatsAppCloud:
    return connect()
