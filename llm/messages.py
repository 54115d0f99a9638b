"""What goes to a model and what comes back, in one form for every provider.

Messages and tools are in OpenAI's chat format (role/content/tool_calls/tool_call_id; type function), which is
what CrewAI produces; each provider translates from it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Protocol

from core.turn import Turn


@dataclass(frozen=True)
class Usage:
    """`prompt_tokens` includes `cached_tokens` (read from the provider's cache) and `cache_written_tokens`."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    cache_written_tokens: int = 0
    audio_seconds: float | None = None
    """Of models that are paid by how long a recording is; None for those that are paid by tokens."""


@dataclass(frozen=True)
class ToolCall:
    """A call that a model asks for. `arguments` is parsed: an answer whose tool JSON cannot be read is a failure."""

    id: str
    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class ModelRequest:
    role: str
    """A role of catalog.toml: ads_analyst, router, …"""
    messages: list[dict[str, Any]]
    """A picture is a part {"type": "image_url", "image_url": {"url": "data:image/…;base64,…"}}, a recording a part
    {"type": "input_audio", "input_audio": {"data": base64, "format": "ogg"}, "seconds": how long it is or None}."""
    tools: list[dict[str, Any]] = field(default_factory=list)
    response_schema: dict[str, Any] | None = None
    """JSON schema the answer must follow, None for free text."""
    max_tokens: int = 2_000
    temperature: float = 0.2


@dataclass(frozen=True)
class ModelAnswer:
    text: str
    tool_calls: list[ToolCall]
    provider: str
    """`offline` when the playbook answered and no model took part."""
    model: str
    usage: Usage = Usage()
    cost_usd: Decimal | None = None
    seconds: float = 0.0


class Playbook(Protocol):
    """What a crew does without a model: it holds the turn and decides the next step from it.

    `next_step` returns the tool calls to make now, or the final text when nothing is left to call.
    It reads the typed turn (request, results so far), never the prompt.
    """

    def next_step(self) -> list[ToolCall] | str: ...


OnText = Callable[[str | None], None]
"""Receives pieces of an answer's text as the model writes them; None takes back all pieces given so far.

None comes when what was written turns out not to be the answer: the model broke off and the next one begins
afresh, or it asked for tools after some words of preparation. So the pieces after the last None are the text of
the answer, once each. Called from the event loop's thread; must not block.
"""


class Models(Protocol):
    """What crews need of whoever answers for models: llm/router.py, and agents/replay.py with recorded answers."""

    def chain(self, role: str) -> Sequence[object]:
        """What serves a role besides the playbook; empty when only that can answer."""
        ...

    async def complete(
        self,
        turn: Turn,
        request: ModelRequest,
        *,
        playbook: Playbook | None,
        on_text: OnText | None = None,
        background: bool = False,
        can_do_without: bool = False,
    ) -> ModelAnswer:
        """See llm/router.py."""
        ...
