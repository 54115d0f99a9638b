"""What every door (chat, terminal, MCP, evals) hands in and gets back. A door parses, calls `Handle`, renders."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from core.tenancy import Identity
from core.turn import Door, Progress


@dataclass(frozen=True)
class Attachment:
    """A file that came with a message, already stored (core/files.py)."""

    file_id: str
    name: str
    mime: str
    size: int


@dataclass(frozen=True)
class IncomingMessage:
    """One message of a person. An unknown `conversation_id` is created for this user."""

    identity: Identity
    conversation_id: str
    text: str
    door: Door
    attachments: list[Attachment] = field(default_factory=list)


@dataclass(frozen=True)
class Table:
    """Rows to look at. Cells are ready texts in the reply's language; `align` per column is left or right."""

    title: str
    columns: list[str]
    rows: list[list[str]]
    align: list[Literal["left", "right"]]
    view: str = ""
    """The kind of a view of the same reply that shows these rows too: a door that draws it leaves the table out."""


@dataclass(frozen=True)
class Series:
    name: str
    values: list[float | None]
    """None where there is no data: a gap, never a zero."""


@dataclass(frozen=True)
class Chart:
    """A picture of numbers that are in the tool results. `x` are ready labels."""

    title: str
    kind: Literal["line", "bar"]
    x: list[str]
    series: list[Series]
    unit: str
    """For the axis: a currency code, "%", or a noun in the reply's language."""


@dataclass(frozen=True)
class View:
    """Something to look at and to act on, which a door with a screen draws: a board, a person's page.

    `kind` names how it is drawn ("crm_board", "crm_record"); `title` is ready text. `data` is plain JSON: what the view
    shows when it is drawn again is read anew by its kind and `subject`, with the rights of whoever looks.
    """

    kind: str
    title: str
    subject: str = ""
    """What it is about: a record's id, or "" for what belongs to the whole house."""
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ProposalCard:
    """A pending or decided proposal as a door shows it; buttons belong under a pending one."""

    id: str
    tool: str
    effect: str
    state: str
    title: str
    lines: list[tuple[str, str]]
    warnings: list[str]
    evidence: list[str]
    expires_at: str
    outcome: str = ""
    """How it ended, or why it did not happen, in one sentence; empty while it waits."""
    editable: dict[str, str] = field(default_factory=dict)
    """Fields a person may type over, with their present text: {"amount": "150,00"}."""


@dataclass(frozen=True)
class UsageTotals:
    model_calls: int
    prompt_tokens: int
    completion_tokens: int
    cost_usd: Decimal | None
    """None when a call's price is unknown."""
    models: list[str]
    """`provider/model` of each model that took part; empty when the playbook answered alone."""


@dataclass(frozen=True)
class Reply:
    """The answer of a turn. `ended` says how: done, or which limit or stop cut it short."""

    turn_id: str
    conversation_id: str
    text: str
    language: str
    route: list[dict[str, Any]]
    """[{"to": "ads", "intent": "ads.compare", "confidence": 0.97, "why": "…"}] in the order served."""
    tools: list[dict[str, Any]]
    """[{"name": …, "arguments": {…}, "effect": "READ"}] in the order called."""
    proposals: list[ProposalCard]
    tables: list[Table]
    charts: list[Chart]
    usage: UsageTotals
    timing: dict[str, float]
    """Seconds: total, route, crew, tools, model, first_text."""
    message_id: str
    ended: str = "done"
    views: list[View] = field(default_factory=list)


Handle = Callable[[IncomingMessage, Progress], Awaitable[Reply]]


@dataclass(frozen=True)
class Difference:
    """Where a replayed turn first leaves its record. `what` is a text key's end (prompts/texts turns.differs.<what>),
    `params` its values; `was` and `now` show the place."""

    what: str
    was: str
    now: str
    params: dict[str, Any] = field(default_factory=dict)
