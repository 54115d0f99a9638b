"""How the suite is run: long files first, and in CI nothing skipped. (Fixtures are in tests/conftest.py.)"""

import gc
import os
from collections.abc import Generator

import pytest

# Files are dealt out to the processes in this order (pyproject.toml: loadfile, no reordering). A long one that begins
# last keeps one process busy for minutes while the other has nothing left.
_LONG = (
    "tests/setup",
    "tests/evals",
    "tests/journeys",
    "tests/faults",
    "tests/chaos",
    "tests/bench",
    "tests/business/crm",
    "tests/core",
)


# As the server does once it is warm: looking for rings among each 700 new objects was 7 % of the suite's CPU.
gc.set_threshold(20_000, 20, 20)


def pytest_xdist_auto_num_workers() -> int:
    """One process more than there are cores: a sixth of the time is waiting, for servers, kills and browsers. With two
    more it took longer (614 s and 647 s on two cores, in November 2026): they take the caches from each other."""
    return min((os.cpu_count() or 1) + 1, 4)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        return next((n for n, folder in enumerate(_LONG) if item.nodeid.startswith(folder)), len(_LONG))

    items.sort(key=place)
    gc.freeze()  # the libraries stay: nobody goes through half a million objects of theirs again


@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None, object, object]:
    result = yield  # what is skipped there is tested nowhere
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped") if reporter is not None else None
    if os.environ.get("CI") == "true" and skipped and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        reporter.write_line("")
        reporter.write_line(f"{len(skipped)} skipped: in CI that is a failure (conftest.py)", red=True)
    return result
