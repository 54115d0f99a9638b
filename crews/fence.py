"""CrewAI inside a fence: nothing leaves the machine, nothing is written outside the data folder, nothing is printed.

CrewAI 1.15.30 by itself reports runs and kickoffs to its maker, asks for a newer version, keeps a key and a settings
file in the home folder, writes every prompt and answer into one world-readable SQLite file, loads the project's
`.env` and replaces `warnings.warn`. What is done about each is named below. All of it hangs on private parts of that
exact version, which is why it is pinned (docs/decisions/0004); tests/crews/test_fence.py proves the fence.
"""

import asyncio
import copy
import functools
import logging
import os
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
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
    """Take out what every kickoff would do for features that are not used, or do again: 20 ms of CPU become 12 with
    CrewAI's own executor (measured, one agent, two tool calls, two model calls), and 2 to 3 with that of
    crews/kickoff.py."""
    from crewai import crew, task
    from crewai.agents import agent_executor
    from crewai.events.listeners.tracing import trace_listener
    from crewai.tools import base_tool, structured_tool
    from crewai.utilities import agent_utils

    # It builds a new pydantic class for a state that the next line of its own code replaces: 6 ms.
    executor: Any = agent_executor.AgentExecutor
    executor._create_initial_state = lambda _: agent_executor.AgentExecutorState()
    # It looks five times for files attached to a kickoff, each time on a new event loop in a new thread: 3 ms.
    modules: list[Any] = [crew, task, agent_executor]
    for module in modules:
        module.get_all_files = _no_files
    modules[0].clear_files = modules[1].clear_task_files = _no_files
    # It reads its settings file for every crew, to see once more whether traces were declined: 0.2 ms.
    tracing: Any = trace_listener
    tracing.should_auto_collect_first_time_traces = lambda: False
    # Every crew opens its SQLite file of prompts and outputs; `_NoTaskOutputs` stands in for it.
    crew.Crew.__private_attributes__["_task_output_handler"].default_factory = _NoTaskOutputs
    # It words every tool's schema three times per kickoff: 5 ms for seven tools, whose classes are always the same.
    describing: list[Any] = [base_tool, structured_tool]
    for module in describing:
        module.format_description_for_llm = functools.cache(module.format_description_for_llm)
    listing: Any = agent_utils
    schema_of = functools.cache(listing.generate_model_description)
    listing.generate_model_description = lambda model, **how: copy.deepcopy(schema_of(model, **how))
    # It keeps a record of past events for every listener at every event, which only "all of these" needs: 2 ms.
    executor._condition_met = _met_by_one_event(executor._condition_met)


def _met_by_one_event(met: Any) -> Any:
    """Flow._condition_met: one event decides about a name, and about "any of these names"."""

    def condition_met(flow: Any, condition: Any, event: str, key: Any) -> bool:
        names = [condition] if isinstance(condition, str) else condition.get("or", [])
        if names and all(isinstance(name, str) for name in names):
            return event in names
        return bool(met(flow, condition, event, key))

    return condition_met


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


async def run_crew(crew: Any, inputs: dict[str, Any] | None = None) -> Any:
    """`crew.akickoff` inside the fence; returns CrewAI's CrewOutput.

    What ended a model call comes out as itself: Refused("turn_limit" | "turn_stopped"),
    Unavailable("models_unavailable"). Cancelled, the running model call is cancelled too, and its HTTP request.
    """
    try:
        return await crew.akickoff(inputs=inputs)
    except asyncio.CancelledError:
        for agent in crew.agents:
            cancel = getattr(agent.llm, "cancel", None)
            if cancel is not None:
                cancel()
        raise
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


def give_threads(loop: asyncio.AbstractEventLoop, workers: int = 64) -> None:
    """Size the loop's thread pool for crews: each kickoff holds a thread while its model thinks.

    asyncio's own pool has 6 threads on 2 cores, which let 2.7 kickoffs of two 1-second model calls through per second;
    128 threads let 12.5 through (measured, CrewAI 1.15.30). Threads are started only when they are needed.
    """
    loop.set_default_executor(ThreadPoolExecutor(workers, thread_name_prefix="crew"))
