"""Metrics for Prometheus: what happened in every turn, in a registry of our own, on a port of its own.

Labels come from small known sets: doors, roles, models of the catalog, tools. There is never a tenant, a person or
anybody's words in them, and a name that is not known (a model invents tools) becomes "other".
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import get_args

import psycopg
import structlog
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    disable_created_metrics,
    start_http_server,
)
from prometheus_client.gc_collector import GCCollector
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from core.errors import SetupError
from core.observe import SeenTurn
from core.settings import Settings
from core.turn import Door, ModelCall, ToolRecord

log = structlog.get_logger(__name__)

OTHER = "other"
ENDINGS = frozenset({"done", "stopped", "limit:seconds", "error:bug", "error:busy", "error:turn_limit"})
"""How turns end, as told one by one; the rest is told as error:other and limit:other."""
BREAKER = {"closed": 0, "trial": 1, "open": 2}
JOBS_KEPT_SECONDS = 5.0
"""How long one look at the queue serves all who ask."""

# Upper ends in seconds. A playbook's turn takes 0.05 to 0.5 s, one with models 2 to 30, the limit is 90.
_TURN_SECONDS = (0.1, 0.25, 0.5, 1, 2, 3, 5, 8, 13, 21, 30, 45, 60, 90, 120)
_MODEL_SECONDS = (0.1, 0.25, 0.5, 1, 1.5, 2, 3, 5, 8, 13, 21, 30, 60, 120, 300)
_FIRST_SIGN_SECONDS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 4, 6, 8, 15, 30)  # 8 s is the default limit
_TOOL_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


@dataclass(frozen=True)
class Known:
    """The values that labels may have. `models` are "provider/model"; `failures` the kinds of a failed request."""

    models: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()
    tools: frozenset[str] = frozenset()
    failures: frozenset[str] = frozenset()

    def model(self, provider: str, model: str) -> tuple[str, str]:
        if f"{provider}/{model}" in self.models:
            return provider, model
        providers = {ref.partition("/")[0] for ref in self.models}
        return provider if provider in providers else OTHER, OTHER

    def role(self, name: str) -> str:
        return name if name in self.roles else OTHER

    def tool(self, name: str) -> str:
        return name if name in self.tools else OTHER

    def outcome(self, failure: str | None) -> str:
        """ "ok", or the kind at the head of a failure such as "timeout: openai/gpt answered …"."""
        if failure is None:
            return "ok"
        kind = failure.partition(":")[0]
        return kind if kind in self.failures else OTHER


class Metrics:
    """The registry and everything in it. `saw` is fed one finished turn at a time, by one thread.

    `breakers` tells the state of each breaker ("closed", "trial", "open") by "provider/model", those that never failed
    left out; it is called at each scrape, in another thread. `missed` tells how many turns were never fed.
    """

    def __init__(
        self,
        known: Known,
        *,
        version: str = "",
        breakers: Callable[[], Mapping[str, str]] | None = None,
        jobs_dsn: str | None = None,
        missed: Callable[[], int] | None = None,
    ) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series each, with the time of its begin
        self.registry = CollectorRegistry()
        self._known = known

        def count(name: str, told: str, *labels: str) -> Counter:
            return Counter(f"mutirao_{name}", told, labels, registry=self.registry)

        def spread(name: str, told: str, buckets: Iterable[float], *labels: str) -> Histogram:
            return Histogram(f"mutirao_{name}", told, labels, buckets=tuple(buckets), registry=self.registry)

        Info("mutirao_build", "The version that runs", registry=self.registry).info({"version": version})

        # What users feel.
        self._turns = count("turns", "Turns that are over, by how they ended", "door", "ended")
        self._turn_seconds = spread("turn_seconds", "From a message to its whole reply", _TURN_SECONDS, "door")
        self._first_text = spread(
            "first_text_seconds", "From a message to the first words that are shown", _FIRST_SIGN_SECONDS, "door"
        )
        self._answers = count(
            "answers", "Questions put to the models, by who answered: model, playbook or nobody", "role", "by"
        )
        self._held_back = count("numbers_held_back", "Numbers that a model wrote and no tool result accounts for")
        self._proposals = count("proposals", "Changes put before a person", "tool")

        # Models.
        model = ("provider", "model")
        self._requests = count("model_requests", "Requests to models, by what came of them", *model, "role", "outcome")
        self._model_seconds = spread("model_seconds", "From a request to the end of its answer", _MODEL_SECONDS, *model)
        self._first_sign = spread(
            "model_first_sign_seconds", "From a request to the first sign of an answer", _FIRST_SIGN_SECONDS, *model
        )
        self._tokens = count("model_tokens", "Tokens; cached and cache_written are parts of prompt", *model, "kind")
        self._cost = count("model_cost_usd", "What requests of known price cost, in US dollars", *model, "role")
        self._unpriced = count(
            "model_requests_unpriced", "Requests that used tokens and whose price is unknown", *model
        )
        self._fallbacks = count(
            "model_fallbacks", "Requests to a model because an earlier one of its chain failed or was not asked", *model
        )
        self._retries = count("model_retries", "Requests that ask the same model again after a wait", *model)
        self._hedges = count("model_hedges", "Requests made beside a slow one", *model)

        # Tools.
        self._tool_calls = count("tool_calls", "Calls of tools, by how they ended", "tool", "ended")
        self._tool_seconds = spread("tool_seconds", "How long calls of tools took", _TOOL_SECONDS, "tool")

        # There from the start with 0: Prometheus cannot see the first rise of what appears with 1.
        for door in get_args(Door):
            for ended in (*sorted(ENDINGS), f"limit:{OTHER}", f"error:{OTHER}"):
                self._turns.labels(door, ended)
        for ref in known.models:
            for counter in (self._unpriced, self._fallbacks, self._retries, self._hedges):
                counter.labels(*ref.split("/", 1))

        # What is asked for when somebody scrapes.
        if missed is not None:
            Gauge(
                "mutirao_turns_missed", "Turns that went by uncounted since the start", registry=self.registry
            ).set_function(missed)
        if breakers is not None:
            self.registry.register(_Breakers(breakers, known))
        if jobs_dsn is not None:
            self.registry.register(_Jobs(jobs_dsn))
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)

    def saw(self, seen: SeenTurn) -> None:
        """Count one finished turn."""
        turn = seen.turn
        self._turns.labels(turn.door, _ending(seen.reply.ended)).inc()
        self._turn_seconds.labels(turn.door).observe(max(seen.seconds, 0.0))
        self._first_text.labels(turn.door).observe(max(seen.seconds if turn.first_text is None else turn.first_text, 0))
        if turn.held_back:
            self._held_back.inc(turn.held_back)
        for completion in turn.completions:
            by = {"": "nobody", "offline": "playbook"}.get(completion.provider, "model")
            self._answers.labels(self._known.role(completion.role), by).inc()
        for call in turn.model_calls:
            if call.provider != "offline":
                self._saw_model_call(call)
        for record in turn.results:
            self._saw_tool_call(record)

    def _saw_model_call(self, call: ModelCall) -> None:
        model = self._known.model(call.provider, call.model)
        role = self._known.role(call.role)
        self._requests.labels(*model, role, self._known.outcome(call.failure)).inc()
        self._model_seconds.labels(*model).observe(max(call.seconds, 0.0))
        if call.first_seconds is not None:
            self._first_sign.labels(*model).observe(max(call.first_seconds, 0.0))
        tokens = {
            "prompt": call.prompt_tokens,
            "cached": call.cached_tokens,
            "cache_written": call.cache_written_tokens,
            "completion": call.completion_tokens,
        }
        for kind, number in tokens.items():
            self._tokens.labels(*model, kind).inc(max(number, 0))
        if call.cost_usd is not None:
            self._cost.labels(*model, role).inc(max(float(call.cost_usd), 0.0))  # Prometheus knows floats only
        elif call.failure is None or call.prompt_tokens or call.completion_tokens:
            self._unpriced.labels(*model).inc()
        if call.hedge:
            self._hedges.labels(*model).inc()
        elif call.attempt > 1:
            self._retries.labels(*model).inc()
        elif call.link > 0:
            self._fallbacks.labels(*model).inc()

    def _saw_tool_call(self, record: ToolRecord) -> None:
        tool = self._known.tool(record.name)
        self._tool_calls.labels(tool, _tool_ending(record.error)).inc()
        self._tool_seconds.labels(tool).observe(max(record.seconds, 0.0))
        if record.proposal_id is not None:
            self._proposals.labels(tool).inc()

    @contextmanager
    def served(self, settings: Settings) -> Iterator[str]:
        """Answer scrapes at `settings.metrics_host`:`metrics_port`, from a thread, until the end of the block.

        Gives the address. SetupError("metrics_port_busy" | "metrics_port_forbidden", port, host).
        """
        host, port = settings.metrics_host, settings.metrics_port
        assert port is not None
        try:
            server, thread = start_http_server(port, host, self.registry)
        except PermissionError as error:
            raise SetupError("metrics_port_forbidden", str(error), port=port) from None
        except OSError as error:  # taken, or not an address of this machine
            raise SetupError("metrics_port_busy", str(error), port=port, host=host) from None
        try:
            yield f"http://{f'[{host}]' if ':' in host else host}:{port}/metrics"
        finally:
            server.shutdown()
            server.server_close()
            thread.join(2.0)


def _ending(ended: str) -> str:
    """A reply's `ended` as a label: what follows the colon is free."""
    kind = ended.partition(":")[0]
    if ended in ENDINGS:
        return ended
    return f"{kind}:{OTHER}" if kind in ("limit", "error") else OTHER


def _tool_ending(error: str | None) -> str:
    match error:
        case None:
            return "ok"
        case "arguments_wrong" | "arguments_unreadable" | "tool_unknown":
            return "wrong_arguments"
        case "turn_limit" | "turn_stopped" | "tool_bug" | "policy_forbids" | "role_may_not":
            return error
        case _:
            return "failed"


# --- what is asked for at a scrape ---------------------------------------------------------------


class _Breakers(Collector):
    """The state of each breaker: 0 closed, 1 on trial or waiting for it, 2 open."""

    def __init__(self, states: Callable[[], Mapping[str, str]], known: Known) -> None:
        self._states = states
        self._known = known
        self._complained = False

    def collect(self) -> Iterator[Metric]:
        gauge = GaugeMetricFamily(
            "mutirao_breaker_state", "0 closed, 1 on trial or waiting for it, 2 open", labels=("provider", "model")
        )
        try:
            states = dict(self._states())
        except Exception as error:  # a bug there must not cost the other metrics
            if not self._complained:
                log.warning("breakers_unreadable", reason=type(error).__name__)
            self._complained = True
            return
        for ref in sorted(self._known.models):
            provider, _, model = ref.partition("/")
            gauge.add_metric((provider, model), BREAKER[states.get(ref, "closed")])
        yield gauge


_QUEUE = """
    SELECT j.task_name AS task,
           CASE WHEN j.status = 'doing' THEN 'running'
                WHEN j.status = 'failed' THEN 'failed'
                WHEN j.scheduled_at > now() THEN 'later'
                ELSE 'waiting' END AS state,
           count(*) AS jobs,
           extract(epoch FROM now() - min(coalesce(j.scheduled_at, e.at))) AS oldest
      FROM procrastinate_jobs j
      LEFT JOIN procrastinate_events e ON e.job_id = j.id AND e.type = 'deferred' AND j.status = 'todo'
     WHERE j.status IN ('todo', 'doing', 'failed')
     GROUP BY 1, 2
"""


class _Jobs(Collector):
    """The queue as the database has it, read on a connection of its own and kept for JOBS_KEPT_SECONDS."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._one = threading.Lock()
        self._read_at = float("-inf")
        self._rows: list[tuple[str, str, int, float]] | None = None

    def collect(self) -> Iterator[Metric]:
        rows = self._look()
        up = GaugeMetricFamily("mutirao_database_up", "1 when the queue of jobs could be read, 0 when not")
        up.add_metric((), 0 if rows is None else 1)
        yield up
        if rows is None:
            return  # nothing is known, which is not 0
        jobs = GaugeMetricFamily(
            "mutirao_jobs", "Jobs: waiting, later (not due yet), running, failed", labels=("task", "state")
        )
        for task, state, number, _ in rows:
            jobs.add_metric((task, state), number)
        yield jobs
        oldest = GaugeMetricFamily("mutirao_oldest_job_seconds", "How long the oldest job has waited since it was due")
        oldest.add_metric((), max((age for _, state, _, age in rows if state == "waiting"), default=0.0))
        yield oldest

    def _look(self) -> list[tuple[str, str, int, float]] | None:
        with self._one:
            if time.monotonic() - self._read_at >= JOBS_KEPT_SECONDS:
                self._rows = self._read()
                self._read_at = time.monotonic()
            return self._rows

    def _read(self) -> list[tuple[str, str, int, float]] | None:
        try:
            with psycopg.connect(self._dsn, connect_timeout=2, autocommit=True) as conn:
                conn.execute("SET ROLE mutirao_app")
                conn.execute("SET statement_timeout = '2s'")
                rows = conn.execute(_QUEUE).fetchall()
        except psycopg.Error as error:
            if self._rows is not None:
                log.warning("jobs_unreadable", reason=type(error).__name__)
            return None
        return [(task, state, number, max(float(age or 0), 0.0)) for task, state, number, age in rows]
