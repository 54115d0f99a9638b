"""A house whose outbox sends to the simulated WhatsApp."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from core.db import Database
from core.permissions import Permissions
from integrations.whatsapp_cloud.simulator import launch
from tests.business.messaging.outbox_house import House, Wire, open_house
from tests.conftest import Tenants


@pytest.fixture(scope="session")
def running_wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    folder = tmp_path_factory.mktemp("outbox-whatsapp")
    wire = Wire(launch.start(folder), folder)
    yield wire
    wire.close()


@pytest.fixture
def wire(running_wire: Wire) -> Wire:
    running_wire.reset()
    return running_wire


@pytest.fixture
async def house(
    database: Database, tenants: Tenants, permissions: Permissions, wire: Wire, tmp_path: Path
) -> AsyncIterator[House]:
    async with httpx.AsyncClient(trust_env=False, verify=False) as http:
        made = await open_house(database, tenants, permissions, wire, tmp_path, http)
        yield made
        await made.jobs.close()
