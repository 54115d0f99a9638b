"""Lets metrics and traces see every finished turn, without any turn waiting for them.

On the event loop a turn costs one look at the clock and one put into a queue; all else happens in one thread. What goes
wrong there is logged once and harms no turn.
"""

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from core.door import Reply
from core.turn import Turn

log = structlog.get_logger(__name__)

MOST_WAITING = 1_000
"""Turns that wait to be looked at; beyond it (something hangs) they are counted and let go."""


@dataclass(frozen=True)
class SeenTurn:
    """A turn that is over. `ended_at` is Unix time, `seconds` how long it took, its saving included."""

    turn: Turn
    reply: Reply
    ended_at: float
    seconds: float


Onlooker = Callable[[SeenTurn], None]


class Onlookers:
    """Those who look at finished turns. Its thread runs from the first `add` until `close`."""

    def __init__(self, most_waiting: int = MOST_WAITING) -> None:
        self._most_waiting = most_waiting
        self._waiting: queue.SimpleQueue[SeenTurn | None] = queue.SimpleQueue()
        self._onlookers: dict[str, Onlooker] = {}
        self._complained: set[str] = set()
        self._thread: threading.Thread | None = None
        self.missed = 0
        """Turns that nobody looked at."""

    def add(self, name: str, onlooker: Onlooker) -> None:
        """`onlooker` is called in the thread, for one turn after the other. What it raises is logged once."""
        self._onlookers[name] = onlooker
        if self._thread is None:
            self._thread = threading.Thread(target=self._look, name="onlookers", daemon=True)
            self._thread.start()

    def remove(self, name: str) -> None:
        self._onlookers.pop(name, None)

    def ended(self, turn: Turn, reply: Reply) -> None:
        """The supervisor's hook. Never blocks, never raises."""
        if not self._onlookers:
            return
        if self._waiting.qsize() >= self._most_waiting:
            self.missed += 1
            self._complain("queue", "too many turns wait to be looked at")
            return
        self._waiting.put(SeenTurn(turn, reply, time.time(), time.monotonic() - turn.started))

    def close(self, seconds: float = 2.0) -> None:
        """Look at the turns that wait, for up to `seconds`; then the thread ends."""
        if self._thread is not None:
            self._waiting.put(None)
            self._thread.join(seconds)

    def _look(self) -> None:
        while (seen := self._waiting.get()) is not None:
            for name, onlooker in list(self._onlookers.items()):
                try:
                    onlooker(seen)
                except Exception as error:
                    self._complain(name, type(error).__name__, error)

    def _complain(self, name: str, reason: str, error: Exception | None = None) -> None:
        """Once for each name: what fails for one turn fails for thousands."""
        if name not in self._complained:
            self._complained.add(name)
            log.error("onlooker_failed", onlooker=name, reason=reason, exc_info=error)
