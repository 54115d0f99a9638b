"""How a tool is declared: once, typed, with its docstring as the prompt.

    @tool(effect=Effect.READ, area="ads")
    async def ads_report(ctx: ToolContext, args: ReportArgs) -> ReportResult:
        '''When to use it, units, ranges, what it will not do.'''

A READ or DRAFT tool returns its result. A WRITE, SEND or SPEND tool returns a `Change` (and does nothing):
the runner makes a proposal of it. Tenant, user, clock and amounts the user named come from the context.
"""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, Literal, TypeVar, get_type_hints

from pydantic import BaseModel, ConfigDict, Field

from business.approvals.model import Change
from core.permissions import Scope
from core.turn import Turn

Origin = Literal["user", "account data", "file", "web", "contact"]
S = TypeVar("S")


class Effect(StrEnum):
    READ = "READ"  # looks
    DRAFT = "DRAFT"  # writes something that only we see
    WRITE = "WRITE"  # changes something outside
    SEND = "SEND"  # speaks for the business
    SPEND = "SPEND"  # costs money, or lets it be spent


class ToolArgs(BaseModel):
    """Base of every tool's arguments: unknown ones are refused, so that a slip of the model is told, not ignored."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    targets: ClassVar[tuple[str, ...]] = ()
    """Of a DRAFT: the arguments that name what it is done to, which has to be the user's choice (tools/taint.py)."""


class ToolResult(BaseModel):
    """Base of every tool's result. `origin` says whose words it carries; anything but `user` is data, never orders."""

    origin: Origin = "account data"

    def for_model(self) -> Mapping[str, Any]:
        """What a model is told of the result: every number it may need, in as few tokens as will do."""
        return self.model_dump()


class ProposedChange(ToolResult):
    """What a tool with an effect returns: the exact change, and the sentences that justify it."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    change: Change
    evidence: list[Any] = Field(default_factory=list)
    """As in business/approvals/model.py Proposal.evidence."""
    told: dict[str, Any] | None = None
    """What the model and the turn's record are told of the change; None: its data as they are."""

    def for_model(self) -> Mapping[str, Any]:
        return self.change.data if self.told is None else self.told


@dataclass(frozen=True)
class ToolContext:
    """What a tool may use: the turn (who, when, language, session) and the services of the business modules."""

    turn: Turn
    services: Mapping[type, Any]
    scope: Scope
    """How much of the tool's area this user may see: ALL, or OWN (the accounts of `turn.identity.accounts`)."""
    tell: Callable[[str], None] = lambda _: None
    """Show the person a line of what was found so far, in their language, while the tool runs."""

    def service(self, kind: type[S]) -> S:
        return self.services[kind]


Run = Callable[[ToolContext, Any], Awaitable[ToolResult]]


@dataclass(frozen=True)
class ToolSpec:
    name: str
    description: str
    args: type[ToolArgs]
    result: type[ToolResult]
    effect: Effect
    area: str
    run: Run
    for_contact: bool = False
    """Of turns with a person outside, and of no others (core/turn.py Contact)."""

    @property
    def proposes(self) -> bool:
        return self.effect in (Effect.WRITE, Effect.SEND, Effect.SPEND)


def tool(*, effect: Effect, area: str, for_contact: bool = False) -> Callable[[Run], ToolSpec]:
    """Declare a tool. `area` is a row of the permission matrix; reading needs R on it, approving needs RW.

    `for_contact`: it serves the person outside who is answered (`ctx.turn.contact`), and sees and changes what concerns
    that one. Turns with contacts reach no other tools, and turns of users do not reach it.
    """

    def declare(run: Run) -> ToolSpec:
        hints = get_type_hints(run)
        name = getattr(run, "__name__", "")
        description = inspect.cleandoc(run.__doc__ or "")
        if not description:
            raise TypeError(f"tool {name} has no docstring: it is its prompt")
        spec = ToolSpec(name, description, hints["args"], hints["return"], effect, area, run, for_contact)
        if spec.proposes and not issubclass(spec.result, ProposedChange):
            raise TypeError(f"tool {name} has effect {effect} and must return ProposedChange")
        return spec

    return declare
