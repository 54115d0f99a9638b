"""The product beside its peers, by the three functions that ../shared/bench/README.md names.

    BENCH_PEER=mutirao_peer:$PWD/.venv/bin/python BENCH_PEER_DIR=$PWD/bench/side_by_side

A turn is `Supervisor.handle` with everything behind it: PostgreSQL, routing, a CrewAI kickoff, the model router, the
tool runner, the checks of what leaves, the record. Only what is compared is the job's own: the specialists' prompts and
tools (specialists.py), and a model for small talk, which the product answers by itself.
"""

import subprocess
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(_ROOT))

from pydantic import SecretStr  # noqa: E402

from app import open_services  # noqa: E402
from bench.side_by_side.specialists import entries  # noqa: E402
from channels.services import Services  # noqa: E402
from core.door import IncomingMessage  # noqa: E402
from core.ids import new_id  # noqa: E402
from core.settings import Settings  # noqa: E402
from core.tenancy import Identity, Role  # noqa: E402
from core.turn import Event, TextChunk, TextWithdrawn, silent  # noqa: E402

_NOBODY = "http://127.0.0.1:9"  # no account of ads is asked for anything
_open = AsyncExitStack()
_services: Services
_person: Identity


async def setup(url: str, toolset: str) -> None:
    """Open the product on a database of its own, with the model at `url` (OpenAI's wire). `toolset`: small or full."""
    global _services, _person
    import scenario  # of ../shared/bench, whose worker runs this

    specialists, tools = scenario.build(toolset)
    keeper = subprocess.Popen(  # noqa: ASYNC220 - nothing else runs yet
        [sys.executable, "-m", "bench.side_by_side.database"],
        cwd=_ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    _open.callback(keeper.communicate)
    assert keeper.stdout is not None
    owner, app, folder = (keeper.stdout.readline().strip() for _ in range(3))
    crews = entries(
        specialists,
        tools,
        scenario.specialist_prompt,
        scenario.COORDINATOR.format(catalog=scenario.catalog(specialists)),
        Path(folder),
    )
    settings = Settings(
        data_dir=Path(folder) / "var",
        database_owner_url=owner,
        database_url=app,
        model="openai/gpt-4o-mini",
        openai_api_key=SecretStr("sk-mock"),
        openai_base_url=url,
        log_level="WARNING",
    )
    opened = open_services(settings, graph_url=_NOBODY, crews=crews, prompt_folders=[Path(folder)])
    _services = await _open.enter_async_context(opened)
    tenant = await _services.people.tenant(None)
    _person = await _services.people.identity_by_role(tenant.id, Role.ADMIN)
    await _services.warm()


async def close() -> None:
    """For those who go on living: the worker of the bench just ends."""
    await _open.aclose()


async def new_conversation() -> str:
    return new_id("conv")


async def turn(conversation: str, text: str, on_token: Callable[[Any, str], None] | None) -> str:
    """The answer; with `on_token`, what the person sees of it as it comes."""
    progress = silent if on_token is None else _Shown(on_token)
    return (await _services.handle(IncomingMessage(_person, conversation, text, "chat"), progress)).text


class _Shown:
    """Passes text on under a number that is new for each text that is begun anew."""

    def __init__(self, on_token: Callable[[Any, str], None]) -> None:
        self._on_token, self._message = on_token, 0

    def __call__(self, event: Event) -> None:
        if isinstance(event, TextChunk):
            self._on_token(self._message, event.text)
        elif isinstance(event, TextWithdrawn):
            self._message += 1
