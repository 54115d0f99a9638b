"""Turns through the same `handle` that every door calls, in this process: times, CPU, requests, model calls.

PostgreSQL, the simulator and the stand-in model are processes of their own, so the CPU time of this one is ours.
"""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from bench.machine import reference_run
from channels.services import Services
from core.door import IncomingMessage, Reply
from core.ids import new_id
from core.settings import Settings
from core.tenancy import Identity, Role
from core.turn import Event, TextChunk
from evals.world import open_stage
from integrations.meta_ads.client import MetaAdsClient
from integrations.meta_ads.simulator.world import ACCOUNTS

KINDS = {
    "overview": (
        "Como foram minhas campanhas nos últimos 7 dias comparado com os 7 anteriores?",
        "How did my campaigns do in the last 7 days compared to the 7 before?",
        "¿Cómo fueron mis campañas en los últimos 7 días comparado con los 7 anteriores?",
    ),
    "diagnose": ("O que devo pausar?", "What should I pause?", "¿Qué debería pausar?"),
    "follow-up": ("E a segunda?", "And the second one?", "¿Y la segunda?"),
    "small talk": ("Oi, bom dia!", "Hi, good morning!", "¡Hola, buenos días!"),
}
"""One conversation of the bench: an overview of all accounts, and what people say next. In three languages by turns."""


@dataclass(frozen=True)
class Timed:
    """One turn. Times in milliseconds; `first` is until the first text was shown (the end, when nothing streamed)."""

    kind: str
    first: float
    end: float
    cpu: float
    graph_requests: int
    model_calls: int
    prompt_tokens: int
    completion_tokens: int
    tools: tuple[str, ...]
    ended: str


@dataclass
class Bench:
    """The opened product with its sample agency connected, and a person who asks."""

    services: Services
    person: Identity
    client: MetaAdsClient

    @property
    def folder(self) -> Path:
        """Where the processes of this bench have their files."""
        return self.services.settings.data_dir

    async def turn(self, kind: str, text: str, conversation: str) -> Timed:
        shown: list[float] = []

        def watch(event: Event) -> None:
            if isinstance(event, TextChunk) and not shown:
                shown.append(time.perf_counter())

        requests = self.client.usage.requests
        message = IncomingMessage(self.person, conversation, text, "chat")
        cpu, began = time.process_time(), time.perf_counter()
        reply: Reply = await self.services.handle(message, watch)
        cpu, ended = time.process_time() - cpu, time.perf_counter()
        return Timed(
            kind=kind,
            first=((shown[0] if shown else ended) - began) * 1000,
            end=(ended - began) * 1000,
            cpu=cpu * 1000,
            graph_requests=self.client.usage.requests - requests,
            model_calls=reply.usage.model_calls,
            prompt_tokens=reply.usage.prompt_tokens,
            completion_tokens=reply.usage.completion_tokens,
            tools=tuple(tool["name"] for tool in reply.tools),
            ended=reply.ended,
        )

    async def conversation(self, number: int, kinds: Sequence[str] = tuple(KINDS)) -> list[Timed]:
        """One turn of each kind, in a new conversation."""
        conversation = new_id("conv")
        return [await self.turn(kind, KINDS[kind][number % len(KINDS[kind])], conversation) for kind in kinds]

    async def conversations(
        self, rounds: int, watched: AbstractContextManager[object] | None = None
    ) -> tuple[list[Timed], list[float]]:
        """The turns, each conversation inside `watched`, and what the reference loop (machine.py) took between them."""
        turns, references = [], []
        for number in range(rounds):
            references.append(reference_run())
            with watched or nullcontext():
                turns += await self.conversation(number)
        return turns, references


@asynccontextmanager
async def open_bench(settings: Settings, dsns: Sequence[str] | None = None) -> AsyncIterator[Bench]:
    """The product on a data folder of its own (`dsns`: on a database that is there), warmed up as `serve` does it."""
    async with open_stage(settings, dsns) as stage:
        services = stage.services
        answer = await stage.graph.post("/__reset", json={"now": stage.clock.now().isoformat()})
        tenant = await services.people.tenant(None)
        person = await services.people.identity_by_role(tenant.id, Role.ADMIN)
        checked = await services.connections.check(str(answer.json()["token"]))
        await services.connections.save(person, checked, [account.id for account in ACCOUNTS])
        (connected,) = await services.connections.of(tenant.id)
        await services.warm()
        yield Bench(services, person, connected.client)
