"""A second model beside a slow first one: whoever shows the first sign answers, the other is given up.

Slow is what takes longer than 19 of 20 of the same model's answers did. It costs the prompt twice, so it is a setting.
"""

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from llm.errors import ModelFailure
from llm.messages import ModelAnswer

if TYPE_CHECKING:
    from llm.attempts import Attempt

_KEPT = 200
_ENOUGH = 20


class FirstSigns:
    """How soon each model showed the first sign of its last 200 answers, in seconds; in this process."""

    def __init__(self) -> None:
        self._seconds: dict[str, deque[float]] = {}

    def note(self, ref: str, seconds: float) -> None:
        self._seconds.setdefault(ref, deque(maxlen=_KEPT)).append(seconds)

    def p95(self, ref: str) -> float | None:
        """Within how many seconds 95 of 100 answers begin (nearest rank); None while fewer than 20 are known."""
        known = sorted(self._seconds.get(ref, ()))
        return known[math.ceil(0.95 * len(known)) - 1] if len(known) >= _ENOUGH else None


async def first_to_begin(
    first: "Attempt", patience: float, ask_another: Callable[[], Awaitable["Attempt | None"]]
) -> ModelAnswer | ModelFailure:
    """The outcome of `first`, or of another attempt when `first` shows no sign within `patience` seconds and that one
    does before it. The one that is not needed has ended when this returns, and so has its request.

    `ask_another` gives the second attempt, None when there is none to be had. An attempt that fails before its first
    sign leaves the answer to the other one.
    """
    running: list[asyncio.Future[ModelAnswer | ModelFailure]] = [asyncio.create_task(first.run())]
    try:
        signs: list[asyncio.Future[Any]] = [*running, first.began]
        await asyncio.wait(signs, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        if running[0].done() or first.began.done() or (second := await ask_another()) is None:
            return await running[0]
        running.append(asyncio.create_task(second.run()))
        signs += [running[1], second.began]
        await asyncio.wait(signs, return_when=asyncio.FIRST_COMPLETED)
        if first.began.done():
            winner, loser = 0, second
        elif second.began.done():
            winner, loser = 1, first
        else:  # one of them failed
            return await running[1 if running[0].done() else 0]
        loser.beaten = True
        running[1 - winner].cancel()
        await asyncio.wait([running[1 - winner]])
        return await running[winner]
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
