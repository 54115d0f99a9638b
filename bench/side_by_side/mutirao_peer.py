"""The product beside its peers, by the three functions that a peer of their bench has.

    BENCH_PEER=mutirao_peer:$PWD/.venv/bin/python BENCH_PEER_DIR=$PWD/bench/side_by_side

The specialists' prompts and tools are the job's own, as every peer has them (job.py).
"""

import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from importlib import import_module
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))  # the worker of the bench runs this from a folder of its own

from bench.side_by_side.job import Job
from bench.side_by_side.product import Product, open_product
from core.ids import new_id
from core.turn import Event, TextChunk, TextWithdrawn, silent

_open = AsyncExitStack()
_product: Product


async def setup(url: str, toolset: str) -> None:
    """Open the product with the model at `url` (OpenAI's wire). `toolset`: small or full."""
    global _product
    scenario = import_module("scenario")  # of the folder of the bench

    specialists, tools = scenario.build(toolset)
    job = Job(
        prompts={name: scenario.specialist_prompt(one) for name, one in specialists.items()}
        | {"small_talk": scenario.COORDINATOR.format(catalog=scenario.catalog(specialists))},
        tools={name: [tools[tool] for tool in one["tools"]] for name, one in specialists.items()},
    )
    _product = await _open.enter_async_context(open_product(url, job))


async def close() -> None:
    """For those who live on; the worker of the bench just ends."""
    await _open.aclose()


async def new_conversation() -> str:
    return new_id("conv")


async def turn(conversation: str, text: str, on_token: Callable[[Any, str], None] | None) -> str:
    """The answer; with `on_token`, what the person sees of it as it comes."""
    return (await _product.turn(conversation, text, silent if on_token is None else _Shown(on_token))).text


class _Shown:
    """Passes text on, under a number that is new for each text that begins anew."""

    def __init__(self, on_token: Callable[[Any, str], None]) -> None:
        self._on_token, self._message = on_token, 0

    def __call__(self, event: Event) -> None:
        if isinstance(event, TextChunk):
            self._on_token(self._message, event.text)
        elif isinstance(event, TextWithdrawn):
            self._message += 1
