"""The statuses of a sent message, joined so that none goes back, whatever order they come in.

WhatsApp does not promise their order: `delivered` may follow `failed` and the reverse (YCloud's webhook guide; Chatwoot
#14529, #13377). What proves more wins, so that every order ends the same: `failed` overwrites what only says that it
left, never what says that it arrived, and the contradiction is kept to be looked at.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum


class Status(StrEnum):
    """In the order of what they prove. `queued` is ours: a row of the outbox; the others are WhatsApp's."""

    QUEUED = "queued"
    ACCEPTED = "accepted"  # the API's answer to the request; acceptance is not delivery
    HELD = "held"  # held_for_quality_assessment, paused: accepted, and may never leave
    SENT = "sent"
    FAILED = "failed"
    DELIVERED = "delivered"
    READ = "read"
    PLAYED = "played"  # a voice note that was listened to


RANK = {status: rank for rank, status in enumerate(Status)}

_NAMES = {
    **{str(status): status for status in Status},
    "held_for_quality_assessment": Status.HELD,
    "paused": Status.HELD,
}


@dataclass(frozen=True)
class Progress:
    """How far a message came. `at` is the moment of the status, by WhatsApp's clock (ours for `queued`).

    `error` is the code of the failure, kept also when the message arrived after all; `contradicted` whether WhatsApp
    said both that it failed and that it arrived.
    """

    status: Status
    at: datetime
    error: int | None = None
    contradicted: bool = False


def status_named(name: str) -> Status | None:
    """WhatsApp's word for a status; None for one that we do not know (keep it, and change nothing by it)."""
    return _NAMES.get(name.strip().lower())


def joined(known: Progress | None, status: Status, at: datetime, error: int | None = None) -> Progress:
    """What is known after one more status. The same status again keeps the earlier moment."""
    new = Progress(status, at, error if status is Status.FAILED else None)
    if known is None:
        return new
    arrived, failed = RANK[Status.DELIVERED], Status.FAILED
    ahead, behind = (new, known) if RANK[status] > RANK[known.status] else (known, new)
    if ahead.status is behind.status:
        ahead = replace(ahead, at=min(ahead.at, behind.at))
    codes = [one for one in (known.error, new.error) if one is not None]
    both = known.contradicted or (
        RANK[ahead.status] >= arrived and (failed in (known.status, status) or known.error is not None)
    )
    return replace(ahead, error=min(codes) if codes else None, contradicted=both)


def joined_all(
    statuses: Iterable[tuple[Status, datetime, int | None]], known: Progress | None = None
) -> Progress | None:
    """Several of them, early ones that came before our own row included; the order does not matter."""
    for status, at, error in statuses:
        known = joined(known, status, at, error)
    return known
