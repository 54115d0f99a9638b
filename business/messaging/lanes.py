"""How many conversations of one channel leave at once in this process.

A gateway may take requests and answer none, which is how most of them die. Then its conversations must not take every
place there is for those of others (core.jobs.QUEUES), for as long as a request is waited for.
"""

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

MOST = 12
"""Conversations of one channel at once; fewer than the places of the queue."""
FEW = 2
"""The same of a channel that does not answer, to see whether it does again."""
SLOW = 3.0
"""Seconds; requests take some 0.3, a file of some MB may take longer."""
_LOOK = 0.05


@dataclass
class _Lane:
    people: int = 0
    out: list[float] = field(default_factory=list)
    """When the requests were begun that have no answer yet, oldest first."""
    silent: bool = False
    """The last request that came to an end had been waited for, and had no answer."""


class Lanes:
    def __init__(self, *, most: int = MOST, slow: float = SLOW) -> None:
        self._most = most
        self._slow = slow
        self._lanes: defaultdict[str, _Lane] = defaultdict(_Lane)

    @contextlib.asynccontextmanager
    async def place(self, channel_id: str) -> AsyncIterator[bool]:
        """A place for one conversation, waited for while the channel answers; False when it does not and FEW are at it
        already."""
        lane = self._lanes[channel_id]
        while lane.people >= self._most and not self._hangs(lane):
            await asyncio.sleep(_LOOK)
        if lane.people >= FEW and self._hangs(lane):
            yield False
            return
        lane.people += 1
        try:
            yield True
        finally:
            lane.people -= 1

    @contextlib.contextmanager
    def request(self, channel_id: str) -> Iterator[None]:
        """A request to its gateway; one that ends with an error after a long time had no answer."""
        lane, began = self._lanes[channel_id], time.monotonic()
        lane.out.append(began)
        answered = False
        try:
            yield
            answered = True
        finally:
            lane.out.remove(began)
            lane.silent = not answered and time.monotonic() - began > self._slow

    def _hangs(self, lane: _Lane) -> bool:
        late = time.monotonic() - self._slow
        return lane.silent or sum(began < late for began in lane.out) >= FEW
