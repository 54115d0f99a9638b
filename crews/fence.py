"""CrewAI inside a fence: nothing leaves the machine, nothing is written outside the data folder, nothing is printed.

CrewAI 1.15.30 by itself reports runs and kickoffs to its maker, asks for a newer version, keeps a key and a settings
file in the home folder, writes every prompt and answer into one world-readable SQLite file, loads the project's
`.env` and replaces `warnings.warn`. What is done about each is named below. All of it hangs on private parts of that
exact version, which is why it is pinned (docs/decisions/0004); tests/crews/test_fence.py proves the fence.
"""

import functools
import logging
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_QUIET = {
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_TRACING_ENABLED": "false",
    "CREWAI_DISABLE_VERSION_CHECK": "true",
}
_importing = threading.Lock()


def prepare(data_dir: Path) -> None:
    """Set CrewAI's switches, before anything imports it; it may keep files in `data_dir`/crewai only. Cheap."""
    storage = data_dir.resolve() / "crewai"
    storage.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.environ.update(_QUIET, CREWAI_STORAGE_DIR=str(storage))
    try:
        Path.home()
    except RuntimeError:  # no HOME and no such account: CrewAI asks for the home folder's name when it is imported
        os.environ["HOME"] = str(storage)


def import_crewai() -> Any:
    """The crewai package, imported once and fenced. Takes 3 to 6 s of CPU the first time: call it in a thread.

    RuntimeError when `prepare` was not called: without its switches CrewAI would reach for the network.
    """
    with _importing:
        return _fenced_import()


def crewai_is_imported() -> bool:
    """Whether `import_crewai` returns at once."""
    return _fenced_import.cache_info().currsize > 0


@functools.cache
def _fenced_import() -> Any:
    if any(os.environ.get(name) != value for name, value in _QUIET.items()) or "CREWAI_STORAGE_DIR" not in os.environ:
        raise RuntimeError("crews.fence.prepare(data_dir) must be called before CrewAI is imported")
    own_warn = warnings.warn
    dotenv_before = os.environ.get("PYTHON_DOTENV_DISABLED")
    os.environ["PYTHON_DOTENV_DISABLED"] = "1"  # it would load the .env of the project, or of any folder above it
    try:
        from crewai_core import auth, lock_store, settings, user_data
        from crewai_core.auth import token

        # Its locks are files in the temp folder (or Redis, when there is a REDIS_URL). They guard the SQLite file
        # that we do not let it write.
        lock_store.set_lock_backend(_no_lock)
        # Asked at import whether somebody is logged in at CrewAI, it makes a key in the home folder to look.
        token.get_auth_token = auth.get_auth_token = _nobody_is_logged_in
        # Where it keeps its maker's account settings; it makes the folder to see whether it can.
        settings.DEFAULT_CONFIG_PATH = Path(os.environ["CREWAI_STORAGE_DIR"]) / "settings.json"
        # "The first run has been, and traces were declined": else it collects a trace to offer it for upload.
        user_data.update_user_data({"first_execution_done": True, "trace_consent": False})

        import crewai
    finally:
        warnings.warn = own_warn  # it hides warnings of pydantic in the whole process
        if dotenv_before is None:
            del os.environ["PYTHON_DOTENV_DISABLED"]
        else:
            os.environ["PYTHON_DOTENV_DISABLED"] = dotenv_before
    _quieten()
    _lighten()
    return crewai


def _quieten() -> None:
    """Nothing on the console: what fails is told once, by what `run_crew` raises. CrewAI's own log lines quote
    prompts and answers."""
    from crewai.events import event_context
    from crewai.events.event_bus import crewai_event_bus

    logging.getLogger("crewai").setLevel(logging.CRITICAL + 1)
    # A kickoff that fails leaves its events unpaired; it would print that for each of them.
    event_context._default_config.mismatch_behavior = event_context.MismatchBehavior.SILENT
    event_context._default_config.empty_pop_behavior = event_context.MismatchBehavior.SILENT
    # The 90 handlers that it registers for itself print to the console and feed its telemetry, nothing else.
    crewai_event_bus._sync_handlers.clear()


def _lighten() -> None:
    """Take out what every kickoff would do for features that are not used, or do again. Only what Crew, Task, Agent
    and tools do: CrewAI's own executor never runs (crews/kickoff.py)."""
    from crewai import crew, task
    from crewai.events.listeners.tracing import trace_listener
    from crewai.tools import base_tool, structured_tool

    # It looks four times for files attached to a kickoff, each time on a new event loop in a new thread.
    modules: list[Any] = [crew, task]
    for module in modules:
        module.get_all_files = _no_files
    modules[0].clear_files = modules[1].clear_task_files = _no_files
    # It reads its settings file for every crew, to see once more whether traces were declined: 0.2 ms.
    tracing: Any = trace_listener
    tracing.should_auto_collect_first_time_traces = lambda: False
    # Every crew opens its SQLite file of prompts and outputs; `_NoTaskOutputs` stands in for it.
    crew.Crew.__private_attributes__["_task_output_handler"].default_factory = _NoTaskOutputs
    # It words every tool's schema at each kickoff, though their classes are always the same.
    describing: list[Any] = [base_tool, structured_tool]
    for module in describing:
        module.format_description_for_llm = functools.cache(module.format_description_for_llm)


def _no_files(*_: Any, **__: Any) -> None:
    """There are none: attachments are read by our own tools."""


@contextmanager
def _no_lock(_name: str, *, timeout: float = 0) -> Iterator[None]:
    yield


def _nobody_is_logged_in() -> str:
    from crewai_core.auth.token import AuthError

    raise AuthError("CrewAI's own services are not used")


class _NoTaskOutputs:
    """Stands in for the store of prompts and outputs that CrewAI keeps of every kickoff."""

    def reset(self) -> None: ...

    def add(self, *_: Any, **__: Any) -> None: ...

    def update(self, *_: Any, **__: Any) -> None: ...

    def load(self) -> None: ...


class CrewEnded(Exception):
    """Ends a kickoff from inside a model call. Its text is free of the words that make CrewAI try again.

    CrewAI also looks for such words in the chain of causes (crewai/llms/retry.py), so it is raised without one; the
    error that people are told is kept in `error`.
    """

    def __init__(self, error: Exception) -> None:
        super().__init__("the model call ended this crew's work")
        self.error = error


async def run_crew(crew: Any) -> Any:
    """`crew.akickoff` inside the fence, for crews/kickoff.py; returns CrewAI's CrewOutput.

    What ended a model call comes out as itself: Refused("turn_limit" | "turn_stopped"),
    Unavailable("models_unavailable").
    """
    try:
        return await crew.akickoff()
    except Exception as failure:
        ended = _reason_in(failure)
        if ended is None:
            raise
    raise ended.error


def _reason_in(failure: BaseException | None) -> CrewEnded | None:
    seen: set[int] = set()
    while failure is not None and id(failure) not in seen:
        if isinstance(failure, CrewEnded):
            return failure
        seen.add(id(failure))
        failure = failure.__cause__ or failure.__context__
    return None
