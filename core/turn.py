"""What a turn carries while it runs: who asks what, what has been found, what it may still spend.

The turn is made by the supervisor, handed to crews, tools and the model router, and read by the door
when it is over. It is never parsed out of a prompt.
"""

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from core.errors import Refused
from core.tenancy import Identity

LANGUAGES = ("pt-BR", "en", "es")

Door = Literal["chat", "terminal", "mcp", "evals", "job", "whatsapp"]
"""`job` is work in the background for somebody: nobody looks, and nothing can be approved there. `whatsapp` is a
conversation with a person outside, by whichever channel: what they write is data, and they are shown the answer alone.
"""

# --- what a door may show while the turn runs -------------------------------------------------


@dataclass(frozen=True)
class StepStarted:
    """A piece of work begins. `kind` is route, crew, tool or model; `name` is the code name; `title` is for people."""

    step_id: str
    kind: Literal["route", "crew", "tool", "model"]
    name: str
    title: str
    parent_id: str | None = None


@dataclass(frozen=True)
class StepFinished:
    step_id: str
    seconds: float
    ok: bool
    summary: str = ""


@dataclass(frozen=True)
class StepLine:
    """Something that a running step has found already, in one line of plain text for people."""

    step_id: str
    text: str


@dataclass(frozen=True)
class TextChunk:
    """A piece of the reply that has passed the checks and may be shown."""

    text: str


@dataclass(frozen=True)
class TextWithdrawn:
    """What was shown of the reply so far is taken back: it was not the answer, or another model begins anew."""


Event = StepStarted | StepLine | StepFinished | TextChunk | TextWithdrawn
Progress = Callable[[Event], None]
"""Called from the event loop's thread; must not block."""


def silent(_: Event) -> None:
    """A progress for doors that show nothing while a turn runs."""


# --- limits and use ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Limits:
    """Hard caps of one turn. Reaching one ends the turn with what is there, in a plain sentence."""

    steps: int = 12  # tool calls
    model_calls: int = 8
    tokens: int = 60_000  # prompt + completion
    cost_usd: Decimal = Decimal("0.50")
    seconds: float = 90.0


@dataclass(frozen=True)
class ModelCall:
    """One request to a model, answered, failed or given up. `cost_usd` is None where the price is unknown (never 0)."""

    provider: str
    model: str
    role: str
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    cost_usd: Decimal | None
    seconds: float
    failure: str | None = None  # the error's code and short text when the call failed
    prompt_hash: str = ""
    cache_written_tokens: int = 0
    """Prompt tokens that the provider put into its cache (some charge more for them); part of `prompt_tokens`."""
    started_at: float = 0.0
    """Unix time at which the request began."""
    first_seconds: float | None = None
    """Until the first sign of an answer; None when there was none."""
    completion: int = 0
    """Which of the turn's `completions` it was made for."""
    link: int = 0
    """Its place in the chain: 0 is the first choice, more is a fallback."""
    attempt: int = 1
    """2 and more: the same model was asked again after a wait."""
    hedge: bool = False
    """Asked beside another because that one was slow; the one that was not needed is given up and still counted."""
    estimated: bool = False
    """The provider did not tell the tokens (given up, broken off): they are reckoned from the text."""


@dataclass
class Completion:
    """One question put to the model router: what was asked, who was not asked and why, and what came of it."""

    role: str
    prompt_hash: str
    """Of everything that was asked: messages, tools, schema."""
    system_hash: str
    """Of the system messages alone: which version of the prompt it was."""
    messages: list[dict[str, Any]]
    """What was asked beyond the system messages and beyond what the completion before it of this role had asked."""
    shared: int = 0
    """How many messages it has in common with that one, system messages included."""
    tools: list[str] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)
    """Links that were not asked, each "provider/model: why"."""
    provider: str = ""
    """Who answered: "offline" for the playbook, "" when nobody did."""
    model: str = ""
    text: str = ""
    tool_calls: list[dict[str, Any]] = field(default_factory=list)
    """Each {"id", "name", "arguments"}."""


@dataclass
class ToolRecord:
    """One tool call of the turn, as it ran. `result` is the typed result as plain data, None when it failed."""

    name: str
    arguments: dict[str, Any]
    effect: str
    result: dict[str, Any] | None
    origin: str  # user, account data, file, web, contact
    error: str | None = None
    """The error's code when the call failed; `error_params` are what its words need."""
    error_params: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    proposal_id: str | None = None
    started_at: float = 0.0
    """Unix time at which the call began."""
    told: str = ""
    """What a model was told of it: the result in short, or what went wrong and what to do."""
    round: int = 0
    """How many answers of a model came before the one that asked for it: calls of one answer run side by side."""


@dataclass
class Lookup:
    """What a part of the turn that is no tool learned from the database: the turn's record keeps it for a replay.

    `error` is (code, params) when it failed, else `found` is what there was.
    """

    what: str
    found: dict[str, Any] = field(default_factory=dict)
    error: tuple[str, dict[str, Any]] | None = None


@dataclass(frozen=True)
class Contact:
    """The person outside who is answered in this turn. Everything that tools do in it, they do for this one alone.

    `provider` is a business/messaging/channels.Provider; the records of the CRM are None while they are not known.
    """

    chat_id: str
    contact_id: str | None
    name: str
    channel_id: str
    provider: str
    company_id: str | None = None
    deal_id: str | None = None
    owner_id: str | None = None
    """Of ours: whose conversation it is."""


@dataclass(frozen=True)
class HandOver:
    """A person of ours shall take the conversation. `reason`: asked, angry, cannot_help, hot …; `summary`: what they
    need to know, in the conversation's language; "" when the chat's own summary will do."""

    reason: str
    summary: str = ""


@dataclass
class Turn:
    id: str
    identity: Identity
    conversation_id: str
    door: Door
    text: str
    language: str
    now: datetime
    """Aware, UTC: the moment the message was accepted. Every relative date of the turn is reckoned from it."""
    session: dict[str, Any] = field(default_factory=dict)
    """Short-term memory of the conversation: plain data, loaded before and saved after the turn."""
    limits: Limits = field(default_factory=Limits)
    progress: Progress = silent
    results: list[ToolRecord] = field(default_factory=list)
    model_calls: list[ModelCall] = field(default_factory=list)
    completions: list[Completion] = field(default_factory=list)
    notices: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """What the reply must add about the turn itself, as text keys with their values: a budget that is used up."""
    proposals: list[str] = field(default_factory=list)
    lookups: list[Lookup] = field(default_factory=list)
    first_text: float | None = None
    """Seconds until the first words of the reply were shown; None while, or when, it comes as a whole."""
    held_back: int = 0
    """Numbers that a model wrote and that were kept from the reply, because nothing of the turn accounts for them."""
    calls: dict[str, "asyncio.Future[Any]"] = field(default_factory=dict)
    """Tool calls of this turn by name and arguments, running or done: the runner does each of them once."""
    contact: Contact | None = None
    """The person outside whom this turn answers; None in every turn of a user of ours."""
    hand_over: HandOver | None = None
    """Set by a tool or a guard of a contact's turn: after its answer a person of ours is fetched."""
    kept: dict[type, Any] = field(default_factory=dict)
    """What tools keep for one another for the length of the turn, by its type."""
    started: float = field(default_factory=time.monotonic)
    stopped: asyncio.Event = field(default_factory=asyncio.Event)

    def in_order(self) -> list[ToolRecord]:
        """The calls in an order that does not depend on which of two side by side began first."""
        return sorted(self.results, key=lambda r: (r.round, r.name, json.dumps(r.arguments, sort_keys=True)))

    @property
    def tokens(self) -> int:
        return sum(call.prompt_tokens + call.completion_tokens for call in self.model_calls)

    @property
    def cost_usd(self) -> Decimal:
        """What is known to have been spent. Calls of unknown price are told apart in the usage, not counted as 0."""
        return sum((call.cost_usd for call in self.model_calls if call.cost_usd is not None), Decimal(0))

    def check_limits(self, *, time_too: bool = True) -> None:
        """Raise Refused("turn_stopped" | "turn_limit", limit=…) when the turn may not go on.

        Without `time_too` time that is over is let pass: for a last step that takes none to speak of.
        """
        if self.stopped.is_set():
            raise Refused("turn_stopped", "the user stopped this turn")
        used = {
            "steps": len(self.results) >= self.limits.steps,
            "model_calls": sum(c.failure is None and c.provider != "offline" for c in self.model_calls)
            >= self.limits.model_calls,
            "tokens": self.tokens >= self.limits.tokens,
            "cost_usd": self.cost_usd >= self.limits.cost_usd,
            "seconds": time_too and time.monotonic() - self.started >= self.limits.seconds,
        }
        for name, reached in used.items():
            if reached:
                raise Refused("turn_limit", f"the turn's limit of {name} is reached", limit=name)
