"""Who looks on: traces and metrics of finished turns."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import get_args

from core.observe import Onlookers
from llm.errors import FailureKind
from llm.router import Router
from tools.runner import ToolRunner
from wiring.floor import Floor

_LOOK_SECONDS = 15.0
"""Between looks at the breakers while metrics are served: a scrape's usual interval."""


def open_onlookers(floor: Floor) -> Onlookers:
    """Who looks at finished turns: traces, when there is a collector; metrics join when they are served."""
    onlookers = Onlookers()
    if floor.settings.otlp_endpoint is not None:
        from core.traces import Traces

        traces = Traces(floor.settings.otlp_endpoint, version=version("mutirao"))
        floor.stack.push_async_callback(asyncio.to_thread, traces.close)
        onlookers.add("traces", traces.saw)
    floor.stack.push_async_callback(asyncio.to_thread, onlookers.close)
    return onlookers


@contextmanager
def metrics_served(floor: Floor, onlookers: Onlookers, runner: ToolRunner) -> Iterator[None]:
    """Prometheus' port, if the settings name one, until the end of the block."""
    if floor.settings.metrics_port is None:
        yield
        return
    from core.metrics import Known, Metrics

    roles = floor.router.describe()
    metrics = Metrics(
        Known(
            models=frozenset(model.ref for role in roles for model in role.models),
            roles=frozenset(role.role for role in roles),
            tools=frozenset(runner.tools),
            failures=frozenset(get_args(FailureKind)),
        ),
        version=version("mutirao"),
        breakers=floor.router.states,
        jobs_dsn=floor.db.app_dsn,
        missed=lambda: onlookers.missed,
    )
    with metrics.served(floor.settings):
        onlookers.add("metrics", metrics.saw)
        looking = asyncio.get_running_loop().create_task(_keep_looking(floor.router))
        try:
            yield
        finally:
            looking.cancel()
            onlookers.remove("metrics")


async def _keep_looking(router: Router) -> None:
    """Breakers are told by metrics as Redis has them, also in a process that has nothing to ask a model."""
    while True:
        await router.look()
        await asyncio.sleep(_LOOK_SECONDS)
