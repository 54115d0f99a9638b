"""Clicks of a page, so that none is done twice."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable

_REMEMBERED = 2_000


class Clicks:
    """Remembered in this process alone: what must not happen twice anywhere has a key of its own where it is done."""

    def __init__(self) -> None:
        self._done: OrderedDict[Hashable, asyncio.Future[str]] = OrderedDict()

    async def once(self, click: Hashable | None, act: Callable[[], Awaitable[str]]) -> str:
        """What `act` says. The same `click` again gives the same, done or under way; one that failed may be tried
        again. None: a click without a name, done each time."""
        task = self._done.get(click) if click is not None else None
        if task is None:
            task = asyncio.ensure_future(act())
            if click is not None:
                self._done[click] = task
                while len(self._done) > _REMEMBERED:
                    self._done.popitem(last=False)
        try:
            return await asyncio.shield(task)
        except Exception:
            self._done.pop(click, None)
            raise
