"""A turn, a playbook and routers over stand-in providers: real libraries, real HTTP on loopback."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime

import pytest

from core.settings import Settings
from core.tenancy import Identity, Role
from core.turn import Limits, Turn
from evals.stand_in import Answer, StandIn
from llm.budget import Budgets
from llm.messages import ModelRequest, ToolCall
from llm.router import Router

TOOL = {
    "type": "function",
    "function": {
        "name": "spend",
        "description": "What was spent in the last days.",
        "parameters": {
            "type": "object",
            "properties": {"days": {"type": "integer"}},
            "required": ["days"],
            "additionalProperties": False,
        },
    },
}


class SpendPlaybook:
    """Asks for the spend of 7 days, then says it."""

    def __init__(self) -> None:
        self.steps: list[list[ToolCall] | str] = [[ToolCall("", "spend", {"days": 7})], "Gastou R$ 12,34."]
        self.asked = 0

    def next_step(self) -> list[ToolCall] | str:
        self.asked += 1
        return self.steps[self.asked - 1]


def question(**changes: object) -> ModelRequest:
    """What a crew would ask the ads analyst's model."""
    messages = [{"role": "system", "content": "You read figures."}, {"role": "user", "content": "Quanto gastei?"}]
    return ModelRequest(**{"role": "ads_analyst", "messages": messages, "tools": [TOOL], **changes})  # type: ignore[arg-type]


def new_turn(**limits: object) -> Turn:
    identity = Identity("tenant_1", "user_1", Role.ADMIN, "Ana", "ana@example.com")
    return Turn(
        id="turn_1",
        identity=identity,
        conversation_id="conv_1",
        door="terminal",
        text="Quanto gastei?",
        language="pt-BR",
        now=datetime(2026, 11, 20, 15, 0, tzinfo=UTC),
        limits=Limits(**limits),  # type: ignore[arg-type]
    )


@pytest.fixture
def turn() -> Turn:
    return new_turn()


Serve = Callable[..., StandIn]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts stand-ins: `serve(Answer(...), Answer(...))`, or `serve(a function of the request)`."""
    with ExitStack() as stack:
        yield lambda *script: stack.enter_context(StandIn(script[0] if script and callable(script[0]) else script))


MakeRouter = Callable[..., Router]


@pytest.fixture
async def make_router() -> AsyncIterator[MakeRouter]:
    """Routers from settings: `make_router(anthropic=server, openai=server, model_first_byte_seconds=0.3)`.

    The ads analyst's chain is anthropic, openai, google: those that have a server are in it.
    """
    routers: list[Router] = []

    def make(
        *,
        anthropic: StandIn | None = None,
        openai: StandIn | None = None,
        google: StandIn | None = None,
        budgets: Budgets | None = None,
        **settings: object,
    ) -> Router:
        keyed: dict[str, object] = {}
        for name, server in {"anthropic": anthropic, "openai": openai, "google": google}.items():
            if server is not None:
                keyed[f"{name}_api_key"] = f"key-of-{name}-0123456789abcdef0123456789"
                keyed[f"{name}_base_url"] = server.openai_url if name == "openai" else server.url
        routers.append(Router.from_settings(Settings(**{**keyed, **settings}), budgets=budgets))
        return routers[-1]

    yield make
    for router in routers:
        await router.close()


__all__ = ["TOOL", "Answer", "SpendPlaybook", "new_turn", "question"]
