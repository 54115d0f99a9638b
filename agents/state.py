"""What travels through the supervisor's graph. It lives for one turn; what lasts are rows (docs/decisions/0003)."""

from dataclasses import dataclass, field
from typing import Any, TypedDict

from agents.routing import RoutePart, RoutePlan
from core.door import Chart, Table, View
from core.turn import Turn


@dataclass(frozen=True)
class HeldBack:
    """A model's text of which something did not pass the checks: `text` as the model wrote it, `numbers` that no result
    gave ("***" for what is secret); `reworded` when nothing of it left."""

    text: str
    numbers: list[str]
    reworded: bool


@dataclass
class Answer:
    """What one node of the graph says to the parts it served. `footer` names what its numbers are of."""

    text: str
    footer: str = ""
    by_model: bool = False
    tables: list[Table] = field(default_factory=list)
    charts: list[Chart] = field(default_factory=list)
    views: list[View] = field(default_factory=list)
    held_back: HeldBack | None = None


class TurnState(TypedDict, total=False):
    turn: Turn
    plan: RoutePlan
    todo: list[str]
    """Nodes still to run, in the order of the message; each at most once."""
    parts: dict[str, list[RoutePart]]
    """Node → the parts of the message it serves."""
    answers: dict[str, Answer]
    session: dict[str, Any]
    """What the next turn should remember, gathered from the nodes."""
    ended: str
