"""A registry in a process of its own, and clients that ask it."""

from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from core.clock import FixedClock
from integrations.minha_receita.client import MinhaReceita
from integrations.minha_receita.simulator import launch
from integrations.sandbox_http import Launched
from tests.integrations.sandbox import Control

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launched]:
    """One registry for all tests."""
    launched = launch.start(tmp_path_factory.mktemp("registry"))
    yield launched
    launched.stop()


@pytest.fixture
def control(registry: Launched) -> Iterator[Control]:
    control = Control(registry)
    control.heal()
    yield control
    control.heal()
    control.close()


@pytest.fixture
async def connect(registry: Launched) -> AsyncIterator[Callable[..., MinhaReceita]]:
    """Clients for the registry; without pauses, so that retries cost no time."""
    async with httpx.AsyncClient(verify=False) as http:

        def client(**options: Any) -> MinhaReceita:
            return MinhaReceita(
                http, FixedClock(NOW), **({"base_url": registry.base_url, "gap": 0, "pause": 0.01} | options)
            )

        yield client


@pytest.fixture
def client(connect: Callable[..., MinhaReceita], control: Control) -> MinhaReceita:
    return connect()
