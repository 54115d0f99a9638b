"""The event loop of the processes that stay: `mutirao serve` and `mutirao worker`."""

import asyncio
import os
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_LOOKUPS = 32
"""Names that may be looked up at once. libuv does it in threads of its own, four and half of them at once, unless it is
told otherwise: two silent resolvers would stop all others."""


def run(main: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run` on uvloop.

    A webhook is a small request that mostly waits for its group's commit: of the CPU that it costs on asyncio's own
    loop, much goes into sockets and callbacks, which uvloop does in C. What one core takes in a second is the limit of
    the intake, so it counts there (bench/whatsapp_intake.py). uvicorn takes uvloop by itself where it makes the loop;
    here the loop is made before the server, since the database and the worker live in it, too.

    Told to stop (SIGTERM) before `main` has a handler of its own, it is cancelled, which gives back what it has opened
    so far, and SystemExit(0) is raised. An exception out of a signal handler may hit any callback and be lost there.
    """
    import uvloop

    async def told() -> T:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        # Not by add_signal_handler: what comes while nothing is awaited would be forgotten by who takes over then.
        signal.signal(signal.SIGTERM, lambda *_: loop.call_soon_threadsafe(task.cancel))
        return await main

    os.environ.setdefault("UV_THREADPOOL_SIZE", str(2 * _LOOKUPS))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            return runner.run(told())
        except asyncio.CancelledError:
            raise SystemExit(0) from None
