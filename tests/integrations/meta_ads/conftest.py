"""Simulators in processes of their own, and clients that ask them."""

from collections.abc import AsyncIterator, Callable, Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from integrations.meta_ads.client import MetaAdsClient
from integrations.meta_ads.simulator import launch
from integrations.meta_ads.simulator.launch import Launched

ZONE = ZoneInfo("America/Sao_Paulo")
NOW = datetime(2026, 11, 20, 15, 0, tzinfo=ZONE)
"""A Friday afternoon: the day on which the tests' worlds begin."""
TODAY = NOW.date()
AURORA, VITORIA = "act_100000000000001", "act_100000000000002"


class Control:
    """The simulator's own endpoints: what went wrong, what was written, what was delivered."""

    def __init__(self, launched: Launched) -> None:
        self.launched = launched
        self._http = httpx.Client(base_url=launched.base_url)

    def fail(self, *faults: dict[str, Any]) -> None:
        self._http.post("/__faults", json={"faults": list(faults)}).raise_for_status()

    def heal(self) -> None:
        self._http.delete("/__faults").raise_for_status()

    def health(self) -> dict[str, Any]:
        return dict(self._http.get("/__health").json())

    def writes(self) -> list[dict[str, Any]]:
        return list(self._http.get("/__writes").json()["writes"])

    def requests(self) -> int:
        return int(self._http.get("/__requests").json()["count"])

    def move_clock(self, to: datetime) -> None:
        self._http.post("/__clock", json={"now": to.isoformat()}).raise_for_status()

    def ledger(self, account_id: str, since: date, until: date) -> list[dict[str, Any]]:
        asked = {"account": account_id, "since": since.isoformat(), "until": until.isoformat()}
        return list(self._http.get("/__ledger", params=asked).json()["rows"])

    def close(self) -> None:
        self._http.close()


@pytest.fixture(scope="session")
def reading_graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launched]:
    """One simulator for all tests that write nothing."""
    launched = launch.start(tmp_path_factory.mktemp("graph"), NOW)
    yield launched
    launched.stop()


@pytest.fixture
def control(reading_graph: Launched) -> Iterator[Control]:
    """The shared simulator's control; its faults are taken back afterwards."""
    control = Control(reading_graph)
    yield control
    control.heal()
    control.close()


@pytest.fixture
def start_graph() -> Iterator[Callable[..., Control]]:
    """Start simulators of one's own; they are stopped afterwards."""
    running: list[Control] = []

    def start(folder: Path, now: datetime | None = NOW) -> Control:
        running.append(Control(launch.start(folder, now)))
        return running[-1]

    yield start
    for one in running:
        one.close()
        if one.launched.process.poll() is None:
            one.launched.stop()


@pytest.fixture
def my_graph(start_graph: Callable[..., Control], tmp_path: Path) -> Control:
    """A fresh world that the test may change."""
    return start_graph(tmp_path / "graph")


@pytest.fixture
async def connect() -> AsyncIterator[Callable[..., MetaAdsClient]]:
    """Clients for a simulator; short pauses, so that retries cost no time."""
    async with httpx.AsyncClient() as http:

        def client(launched: Launched, **options: Any) -> MetaAdsClient:
            token = options.pop("token", launched.token)
            return MetaAdsClient(http, token, **({"base_url": launched.base_url, "pause": 0.01} | options))

        yield client


@pytest.fixture
def client(reading_graph: Launched, connect: Callable[..., MetaAdsClient]) -> MetaAdsClient:
    """A client of the shared simulator."""
    return connect(reading_graph)
