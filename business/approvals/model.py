"""A proposal: something that would change the world outside, waiting for a person's yes.

A tool with an effect never acts. It returns a `Change`; the runner keeps it as a proposal row with its exact
canonical form, hash and preview. A yes runs exactly that change once, by the handler of its kind.
"""

import hashlib
import json
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

UNDO = "undo"
"""Stands as the tool of a proposal that would put back what an executed one changed."""

EDITED_UNDO = "edited_undo"


class ProposalState(StrEnum):
    PENDING = "pending"
    APPROVED = "approved"  # a person said yes; it has not begun to run
    EXECUTING = "executing"  # a process has claimed it and may have sent it
    EXECUTED = "executed"  # done, and read back
    UNKNOWN = "unknown"  # sent, the answer was lost; it is being looked at
    FAILED = "failed"  # it did not happen, and the reason is kept
    REJECTED = "rejected"
    EXPIRED = "expired"


@dataclass(frozen=True)
class Change:
    """One exact effect on the world. `kind` names its handler, `target` the object, `data` everything it needs.

    `data` holds only JSON values (money as {"amount": "12.34", "currency": "BRL"}); it includes the state before.
    """

    kind: str
    target: str
    data: dict[str, Any]

    def canonical(self) -> str:
        return json.dumps(
            {"kind": self.kind, "target": self.target, "data": self.data},
            sort_keys=True,
            ensure_ascii=False,
            separators=(",", ":"),
        )

    def hash(self) -> str:
        return hashlib.sha256(self.canonical().encode()).hexdigest()

    def bound_hash(self, tenant_id: str, tool: str, effect: str) -> str:
        """What an approval is bound to: this exact change, for this tenant, by this tool, with this effect."""
        bound = json.dumps([tenant_id, tool, effect, self.canonical()], ensure_ascii=False)
        return hashlib.sha256(bound.encode()).hexdigest()


@dataclass(frozen=True)
class Preview:
    """What the approver sees, as keys of `prompts/texts` and values: it is worded in the language of who looks.

    A value is a text of the data (a name), Money, Decimal, int, date, or a (key, params) pair that is a text itself.
    """

    title: str
    """Key of the title."""
    lines: list[tuple[str, Any]]
    """(label key, value): account, object, human amount, raw amount, change in percent, state before → after."""
    title_params: dict[str, Any] = field(default_factory=dict)
    warnings: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """(key, params)"""
    editable: dict[str, str] = field(default_factory=dict)
    """Fields that a person may type over, with their present text: {"amount": "150.00"}."""


class ReadBack(StrEnum):
    APPLIED = "applied"  # the world is as the change wanted it
    NOT_APPLIED = "not_applied"  # the world is as it was before
    OTHER = "other"  # the world is neither: somebody else changed it


class ChangeHandler(Protocol):
    """How one kind of change is shown, re-checked, done, looked at and undone, in the module it belongs to."""

    kind: str
    area: str
    """The area of the permission matrix that the approver needs RW on, such as "ads"."""

    def effect(self, change: Change) -> str:
        """WRITE, SEND or SPEND: what this change does to the world. Undoing a pause, for example, is SPEND."""
        ...

    async def preview(self, tenant_id: str, change: Change) -> Preview: ...

    async def recheck(self, tenant_id: str, change: Change) -> None:
        """Raise Refused when the world has moved on since the proposal (other budget, deleted, cap reached)."""
        ...

    async def apply(self, tenant_id: str, change: Change) -> None:
        """Do it, once. Refused / Unavailable: it certainly did not happen. OutcomeUnknown: it may have."""
        ...

    async def read_back(self, tenant_id: str, change: Change) -> ReadBack: ...

    def inverse(self, change: Change) -> Change | None:
        """The change that undoes this one, None when there is none."""
        ...

    def edit(self, change: Change, edits: dict[str, str]) -> Change:
        """The same change with the values a person typed over it (for example {"amount": "120,00"})."""
        ...


@runtime_checkable
class NeedsReadiness(Protocol):
    """A handler whose changes cannot be done at all for the time being: nothing is connected by which they could."""

    async def ready(self, tenant_id: str, change: Change) -> None:
        """Raise Refused with the reason. It is asked before a yes counts, so the proposal stays pending."""
        ...


@runtime_checkable
class NamesOutcome(Protocol):
    """A handler whose changes are not over when they are done: `outcome` is the code that says so instead
    (proposal.outcome.<code>). A message that was approved is in the outbox, and leaves when it may."""

    outcome: str


@runtime_checkable
class KnowsWayBack(Protocol):
    """A handler whose changes can be taken back for a while only: a message that waits can be kept here, one that was
    sent cannot."""

    async def undoable(self, tenant_id: str, change: Change) -> bool: ...


@dataclass(frozen=True)
class Proposal:
    id: str
    tenant_id: str
    conversation_id: str | None
    turn_id: str | None
    tool: str
    effect: str  # WRITE, SEND or SPEND
    change: Change
    change_hash: str
    preview: Preview
    evidence: list[Any]
    """Sentences, or measured facts: {"label": key of a text, "value", "unit": number|percent|ratio|money|day|name,
    "since", "until"}."""
    state: ProposalState
    door: str  # where it was proposed
    proposed_by: str  # user id
    created_at: datetime
    expires_at: datetime
    decided_by: str | None = None
    decided_door: str | None = None
    decided_at: datetime | None = None
    claimed_at: datetime | None = None  # when a process last began to do it
    attempts: int = 0
    finished_at: datetime | None = None
    outcome: str = ""  # the code of a text: how it ended, or why it did not happen
    outcome_params: dict[str, Any] = field(default_factory=dict)
    undo_of: str | None = None
