"""The simulated sites in a process of their own, and readers of pages that know the way there."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.clock import FixedClock
from integrations.sandbox_http import Launched
from integrations.web_pages.client import WebPages
from integrations.web_pages.fetcher import Limits
from integrations.web_pages.simulator import launch
from integrations.web_pages.simulator.sites_resolver import SimulatedSites

LIMITS: dict[str, Any] = {"total": 20.0, "silence": 10.0, "pause": 0.0}
"""Ample, since the machine may be busy: tests of slowness set their own."""


class Control:
    """What the sites were asked."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, verify=False)  # loopback without TLS; certificates take time to load

    def asked(self) -> list[dict[str, Any]]:
        return list(self._http.get("/__requests").json()["last"])

    def paths(self) -> list[str]:
        return [one["path"] for one in self.asked()]

    def forget(self) -> None:
        self._http.delete("/__requests").raise_for_status()

    def close(self) -> None:
        self._http.close()


@pytest.fixture(scope="session")
def sites_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sites")


@pytest.fixture(scope="session")
def sites(sites_folder: Path) -> Iterator[Launched]:
    launched = launch.start(sites_folder)
    yield launched
    launched.stop()


@pytest.fixture
def control(sites: Launched) -> Iterator[Control]:
    control = Control(sites.base_url)
    control.forget()
    yield control
    control.close()


@pytest.fixture
async def reader(sites: Launched, sites_folder: Path, clock: FixedClock) -> AsyncIterator[Callable[..., WebPages]]:
    """Readers of pages; no pause between requests unless asked for."""
    built: list[WebPages] = []

    def build(resolver: Any = None, trust: Any = "sandbox", **limits: Any) -> WebPages:
        built.append(
            WebPages(
                resolver or SimulatedSites(sites.base_url),
                clock,
                trust=launch.trust(sites_folder) if trust == "sandbox" else trust,
                limits=Limits(**(LIMITS | limits)),
            )
        )
        return built[-1]

    yield build
    for one in built:
        await one.aclose()


@pytest.fixture
def pages(reader: Callable[..., WebPages]) -> WebPages:
    return reader()
