"""The product with the crews of a job, opened as `mutirao serve` opens it, on a database of its own."""

import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from app import open_services
from bench.side_by_side.job import Job
from channels.services import Services
from core.door import IncomingMessage, Reply
from core.settings import Settings
from core.tenancy import Identity, Role
from core.turn import Progress, silent

_ROOT = Path(__file__).parents[2]
_NOBODY = "http://127.0.0.1:9"  # where the accounts of ads would be: none is asked for anything


@dataclass(frozen=True)
class Product:
    """`turn` is what every door calls: `Supervisor.handle`, with routing, CrewAI, the model router, the tool runner,
    the checks of what leaves, PostgreSQL and the record behind it."""

    services: Services
    person: Identity

    async def turn(self, conversation: str, text: str, progress: Progress = silent) -> Reply:
        return await self.services.handle(IncomingMessage(self.person, conversation, text, "chat"), progress)


@asynccontextmanager
async def open_product(
    url: str, job: Job, dsns: tuple[str, str] | None = None, **settings: Any
) -> AsyncIterator[Product]:
    """The product with the model at `url` (OpenAI's wire), warmed up as `serve` does it.

    Its embedded PostgreSQL belongs to a helper process (database.py), so that it goes away however this one ends.
    `dsns` (owner, app): a migrated database to use instead. `settings`: others than the defaults.
    """
    with _database(dsns) as (owner, app, folder):
        chosen = Settings(
            data_dir=folder / "var",
            database_owner_url=owner,
            database_url=app,
            model="openai/gpt-4o-mini",
            openai_api_key=SecretStr("sk-mock"),
            openai_base_url=url,
            log_level="WARNING",
            **settings,
        )
        crews = job.crews(folder)
        async with open_services(chosen, graph_url=_NOBODY, crews=crews, prompt_folders=[folder]) as services:
            tenant = await services.people.tenant(None)
            person = await services.people.identity_by_role(tenant.id, Role.ADMIN)
            await services.warm()
            yield Product(services, person)


@contextmanager
def _database(dsns: tuple[str, str] | None) -> Iterator[tuple[str, str, Path]]:
    """(owner's DSN, application's DSN, folder of this product's own)."""
    if dsns is not None:
        with tempfile.TemporaryDirectory(prefix="mutirao-peer-") as name:
            yield *dsns, Path(name)
        return
    command = [sys.executable, "-m", "bench.side_by_side.database"]
    with subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as keeper:
        assert keeper.stdin is not None and keeper.stdout is not None
        owner, app, folder = (keeper.stdout.readline().strip() for _ in range(3))
        yield owner, app, Path(folder)
        keeper.stdin.close()
