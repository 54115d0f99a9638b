"""What every crew is given at kickoff and what it brings back."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from core.door import Chart, Table, View
from core.turn import Turn
from llm.messages import Models, OnText
from prompts.prompt import Prompts
from prompts.texts import Texts
from tools.runner import ToolRunner


@dataclass(frozen=True)
class CrewTask:
    """One thing a crew is asked to do: a part of the user's message, with the intent it was routed by."""

    intent: str
    text: str
    base: str | None = None
    """For intent `followup`: the intent that it continues."""


@dataclass(frozen=True)
class CrewDeps:
    """What every crew uses, built once by app.py."""

    router: Models
    runner: ToolRunner
    prompts: Prompts
    texts: Texts


@dataclass
class CrewResult:
    """`text` is the crew's answer. `reworded` words the same tool results without a model, for when a model's own
    wording may not leave. `footer` names what the numbers are of; it is added after the checks."""

    text: str
    by_model: bool
    reworded: Callable[[], str]
    footer: str = ""
    tables: list[Table] = field(default_factory=list)
    charts: list[Chart] = field(default_factory=list)
    views: list[View] = field(default_factory=list)
    session: dict[str, Any] = field(default_factory=dict)
    worked_out: list[Decimal] = field(default_factory=list)
    """Amounts in the text that no result holds, and that the crew checked to be rightly made of those that one does."""


RunCrew = Callable[[Turn, list[CrewTask], CrewDeps, OnText | None], Awaitable[CrewResult]]
