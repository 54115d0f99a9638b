"""Where the CPU time of turns goes, by sampling: which part of the product, or which library it called, was at work.

The kernel sends a signal for every few milliseconds of CPU that this process uses; the main thread's stack is looked
at then. What CrewAI does in its own threads is told apart as a whole (their stacks cannot be caught at work).
"""

import signal
import threading
import time
from collections import Counter
from types import FrameType

_EVERY = 0.004  # seconds of CPU; the kernel's own step on most machines
# From the innermost frame outwards, the first of these that a file's path holds names the part.
_PARTS = (
    ("Graph client (httpx, parsing)", ("/integrations/meta_ads/", "/httpx/", "/httpcore/", "/h11/")),
    ("PostgreSQL client", ("/psycopg/", "/psycopg_pool/", "/core/db.py")),
    ("checks of numbers", ("/agents/guards.py",)),
    ("routing", ("/agents/routing.py", "/agents/intents.py", "/agents/language.py")),
    ("ads arithmetic", ("/business/ads/",)),
    ("approvals", ("/business/approvals/", "/tools/taint.py", "/agents/approvals.py")),
    ("wording", ("/prompts/", "/crews/ads/", "/core/formats.py", "/jinja2/", "/babel/")),
    ("CrewAI", ("/crewai/", "/crews/")),
    ("model client", ("/llm/", "/openai/")),
    ("LangGraph", ("/langgraph/", "/langchain_core/")),
    ("tools and their records", ("/tools/", "/pydantic")),
    ("conversation and memory", ("/business/conversations/", "/memory/", "/agents/supervisor.py")),
)
_THREADS = "CrewAI's threads"
_REST = "event loop and the rest"


class Sampler:
    """Counts while it is entered, and may be entered again; only in the main thread, only one at a time."""

    def __init__(self) -> None:
        self._seen: Counter[str] = Counter()
        self.cpu = self.main = 0.0
        """Seconds of CPU in all, and of the main thread's, while it was started."""

    def __enter__(self) -> "Sampler":
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("signals come to the main thread only")
        self._cpu, self._main = time.process_time(), time.thread_time()
        self._before = signal.signal(signal.SIGPROF, self._look)
        signal.setitimer(signal.ITIMER_PROF, _EVERY, _EVERY)
        return self

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, self._before)
        self.cpu += time.process_time() - self._cpu
        self.main += time.thread_time() - self._main

    def milliseconds(self) -> dict[str, float]:
        """CPU by part over the whole time, most first."""
        samples = sum(self._seen.values()) or 1
        found = {part: count / samples * self.main * 1000 for part, count in self._seen.items()}
        found[_THREADS] = (self.cpu - self.main) * 1000
        return dict(sorted(found.items(), key=lambda item: -item[1]))

    def _look(self, _: int, frame: FrameType | None) -> None:
        if frame is not None and frame.f_code.co_name == "select":
            return  # waiting: the CPU was another thread's
        while frame is not None:
            file = frame.f_code.co_filename
            for part, marks in _PARTS:
                if any(mark in file for mark in marks):
                    self._seen[part] += 1
                    return
            frame = frame.f_back
        self._seen[_REST] += 1
