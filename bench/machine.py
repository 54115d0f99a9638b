"""What the figures were measured on, and how busy others kept it meanwhile."""

import os
import platform
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil


@dataclass(frozen=True)
class Machine:
    """`reference_ms`: the least CPU time of a fixed piece of Python in 25 runs, to compare machines by."""

    at: str
    system: str
    python: str
    cores: int
    reference_ms: float
    load_before: float
    """Processes that wanted a core in the last minute, before the bench began."""

    @classmethod
    def now(cls) -> "Machine":
        return cls(
            at=datetime.now(UTC).isoformat(timespec="minutes"),
            system=f"{platform.system()} {platform.machine()}",
            python=platform.python_version(),
            cores=os.cpu_count() or 1,
            reference_ms=min(reference_run() for _ in range(25)),
            load_before=os.getloadavg()[0],
        )


def reference_run() -> float:
    """CPU milliseconds of a fixed amount of plain Python, now. It rises when others use the same core's pipelines and
    caches, and our own CPU times with it."""
    began = time.thread_time()
    table = {f"key {n}": n for n in range(500)}
    for _ in range(100):
        sum(table[key] for key in table if key)
    return (time.thread_time() - began) * 1000


class ForeignLoad:
    """How many cores others kept busy since it was made. `folder` names the processes that are ours beside our
    children: servers on that folder have it in their command line. Ours must live until it is asked."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        self._began = time.monotonic()
        self._busy, self._own = _busy(), self._own_seconds()

    def cores(self) -> float:
        """From 0 to the number of cores."""
        seconds = max(time.monotonic() - self._began, 0.001)
        others = (_busy() - self._busy) - (self._own_seconds() - self._own)
        return max(0.0, others / seconds)

    def _own_seconds(self) -> float:
        own: dict[int, psutil.Process] = {}
        for process in self._roots():
            try:
                own |= {one.pid: one for one in [process, *process.children(recursive=True)]}
            except psutil.Error:
                continue
        return sum(cpu_seconds(process) for process in own.values())

    def _roots(self) -> Iterator[psutil.Process]:
        yield psutil.Process()
        for process in psutil.process_iter():
            try:
                if any(self._folder in word for word in process.cmdline()):
                    yield process
            except psutil.Error:
                continue


def cpu_seconds(process: psutil.Process) -> float:
    """CPU time that the process has used so far, by itself; 0 when it is gone."""
    try:
        times = process.cpu_times()
    except psutil.Error:
        return 0.0
    return float(times.user + times.system)


def _busy() -> float:
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0))
