"""The simulated vendors in a process of their own, and clients that ask them."""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest

from core.clock import FixedClock
from integrations.sandbox_http import Launched
from integrations.web_search.brave import BraveSearch
from integrations.web_search.client import WebSearch
from integrations.web_search.serpapi import SerpApi
from integrations.web_search.serper import Serper
from integrations.web_search.simulator import launch
from integrations.web_search.simulator.wires import SANDBOX_KEY

VENDORS: dict[str, Any] = {"serpapi": SerpApi, "brave": BraveSearch, "serper": Serper}


class Control:
    """What goes wrong, and what was asked."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, verify=False)  # loopback without TLS; certificates take time to load

    def fail(self, *faults: dict[str, Any]) -> None:
        self._http.post("/__faults", json={"faults": list(faults)}).raise_for_status()

    def answer(self, body: str, status: int = 200, headers: dict[str, str] | None = None, **more: Any) -> None:
        self.fail({"kind": "answer", "body": body, "status": status, "headers": headers or {}} | more)

    def asked(self) -> list[str]:
        """The paths of all questions since `forget`."""
        return [one["path"] for one in self._http.get("/__requests").json()["last"]]

    def queries(self) -> list[str]:
        return [one["query"] for one in self._http.get("/__requests").json()["last"]]

    def forget(self) -> None:
        self._http.delete("/__faults").raise_for_status()
        self._http.delete("/__requests").raise_for_status()

    def close(self) -> None:
        self._http.close()


@pytest.fixture(scope="session")
def searches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launched]:
    launched = launch.start(tmp_path_factory.mktemp("searches"))
    yield launched
    launched.stop()


@pytest.fixture
def control(searches: Launched) -> Iterator[Control]:
    control = Control(searches.base_url)
    control.forget()
    yield control
    control.forget()
    control.close()


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(verify=False) as client:
        yield client


@pytest.fixture
def vendor(searches: Launched, http: httpx.AsyncClient, clock: FixedClock) -> Callable[..., Any]:
    """A client of one vendor, by its name in the address."""

    def build(name: str, key: str = SANDBOX_KEY, **options: Any) -> Any:
        url = options.pop("url", searches.base_url)
        return VENDORS[name](http, key, clock, base_url=f"{url}/{name}", **options)

    return build


@pytest.fixture
def search(vendor: Callable[..., Any], clock: FixedClock) -> WebSearch:
    """All three, in the product's order; a short pause, so that second tries cost no time."""
    return WebSearch([vendor(name) for name in VENDORS], clock, pause=0.01, patience=0.05)
