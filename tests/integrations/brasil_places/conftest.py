"""The three services in a process of their own, and clients that ask them."""

from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from core.clock import FixedClock
from integrations.brasil_places.client import Places
from integrations.brasil_places.simulator import launch
from integrations.sandbox_http import Launched
from tests.integrations.sandbox import Control

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)


@pytest.fixture(scope="session")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launched]:
    launched = launch.start(tmp_path_factory.mktemp("places"))
    yield launched
    launched.stop()


@pytest.fixture
def control(services: Launched) -> Iterator[Control]:
    control = Control(services)
    control.heal()
    yield control
    control.heal()
    control.close()


@pytest.fixture
async def connect(services: Launched) -> AsyncIterator[Callable[..., Places]]:
    async with httpx.AsyncClient(verify=False) as http:

        def client(**options: Any) -> Places:
            quick = {"gap": 0, "pause": 0.01} | launch.urls(services.base_url)
            return Places(http, FixedClock(NOW), **(quick | options))

        yield client


@pytest.fixture
def places(connect: Callable[..., Places], control: Control) -> Places:
    return connect()
