"""An Evolution server in a process of its own, a client that asks it, and an address of ours to which it posts."""

import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from integrations.evolution.client import EvolutionClient
from integrations.evolution.simulator import launch
from integrations.evolution.simulator.courier import Config
from integrations.evolution.simulator.state import INSTANCE

LEAD = "5511999990001"
PLAIN = asdict(Config())


class Control:
    """A simulator's own endpoints."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.key = launch.api_key(folder)
        self._http = httpx.Client(base_url=url, timeout=20, trust_env=False, verify=False)

    def ask(self, path: str, **asked: Any) -> Any:
        answer = self._http.post(path, json=asked)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def get(self, path: str, **query: str) -> Any:
        return self._http.get(path, params=query).json()

    def fail(self, kind: str, **more: Any) -> None:
        self.ask("/__faults", faults=[{"kind": kind, **more}])

    def seen(self) -> int:
        return int(self.get("/__witness")["count"])

    def since(self, count: int) -> list[dict[str, Any]]:
        return list(self.get("/__witness", since=str(count))["requests"])

    def write(self, text: str = "oi", who: str = LEAD, **more: Any) -> dict[str, Any]:
        return dict(self.ask("/__phone/write", contact=who, text=text, **more))

    def settle(self) -> None:
        until(lambda: self.get("/__hooks")["pending"] == 0)

    def reset(self) -> None:
        self._http.delete("/__faults").raise_for_status()
        self.ask("/__config", **PLAIN)
        self.ask("/__state", state="open")

    def close(self) -> None:
        self._http.close()


class Ours:
    """Our address: what came to it. `answers` are the statuses of the next posts."""

    def __init__(self) -> None:
        self.posts: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []
        ours = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                status = ours.answers.pop(0) if ours.answers else 200
                if status == 200:
                    ours.posts.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/webhooks/evolution/chan_1"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def bodies(self, event: str) -> list[dict[str, Any]]:
        return [body for _, raw in self.posts if (body := json.loads(raw))["event"] == event]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def until(true: Any, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.01)


@pytest.fixture(scope="session")
def _evolution(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Control]:
    folder = tmp_path_factory.mktemp("evolution")
    launched = launch.start(folder)
    found = Control(launched.base_url, folder)
    yield found
    found.close()
    launched.stop()


@pytest.fixture
def evolution(_evolution: Control) -> Iterator[Control]:
    """The simulator, behaving plainly and posting nowhere."""
    _evolution.reset()
    yield _evolution
    _evolution.ask("/__config", paused=False)
    httpx.post(
        f"{_evolution.url}/webhook/set/{INSTANCE}",
        json={"webhook": {"enabled": False, "url": "", "events": []}},
        headers={"apikey": _evolution.key},
    )


@pytest.fixture
def ours() -> Iterator[Ours]:
    found = Ours()
    yield found
    found.close()


@pytest.fixture
async def client(evolution: Control) -> AsyncIterator[EvolutionClient]:
    async with httpx.AsyncClient(trust_env=False, verify=False) as http:
        yield EvolutionClient(http, evolution.url, evolution.key, INSTANCE, pause=0.01, timeout=5.0)
