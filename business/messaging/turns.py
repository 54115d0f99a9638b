"""Bursts: when a turn may begin, and what a newer message does to one that runs.

People write in pieces. A turn waits for a short quiet (or for the longest wait), and answers everything at once; one
that runs is thrown away while nothing has left and nothing was done, else its rest is (fazer-ai/agents #49; chatwoot
#13673). Moments are those of our reception, by our clock: a contact's timestamps have whole seconds and come late.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from business.messaging.settings import Settings


@dataclass(frozen=True)
class Arrival:
    """A message as it was received. `kind`: WhatsApp's type (text, button, interactive, image, audio …)."""

    at: datetime
    kind: str = "text"


# How much of the quiet is waited for after each kind. A pressed button is complete; after a picture or a voice note the
# sentence that belongs to it often follows.
QUIET_SHARE: dict[str, float] = {
    "button": 0.0,
    "interactive": 0.0,
    "reaction": 0.0,
    "image": 1.5,
    "video": 1.5,
    "document": 1.5,
    "audio": 1.5,
    "contacts": 1.5,
}


def turn_due(waiting: Sequence[Arrival], settings: Settings) -> datetime | None:
    """When the turn for these unanswered messages begins: a quiet after the last of them, or the longest wait after the
    first, whichever comes first. None without messages. Asked again with each new message; never later than it was
    possible for the first."""
    if not waiting:
        return None
    last = max(waiting, key=lambda one: one.at)
    quiet = max(QUIET_SHARE.get(one.kind, 1.0) for one in waiting if one.at == last.at)
    return min(last.at + settings.quiet * quiet, min(one.at for one in waiting) + settings.most_wait)


class Stage(StrEnum):
    """How far a running turn is."""

    THINKING = "thinking"  # nothing was done that anybody sees
    ACTED = "acted"  # something was done (a meeting booked), the answer has not left


class Then(StrEnum):
    RESTART = "restart"  # stop it; one new turn answers old and new together
    REWRITE = "rewrite"  # keep what was done, drop the text; the new turn knows what was done
    FINISH = "finish"  # let it end and answer the newer one afterwards


def on_newer(stage: Stage, superseded: int, settings: Settings) -> Then:
    """What a message that comes while a turn is at `stage` does to it. (Parts of its answer that wait to leave are
    dropped by the sorter; what has left has left.)

    `superseded`: how many turns before it were thrown away in a row. After `settings.most_superseded` of them a turn
    may finish, so that who writes without pause gets an answer.
    """
    if superseded >= settings.most_superseded:
        return Then.FINISH
    return Then.REWRITE if stage is Stage.ACTED else Then.RESTART


TYPING_LASTS = timedelta(seconds=25)
"""How long WhatsApp shows that somebody is writing, unless the answer comes before (Meta, typing-indicators,
2026-06-17). It is asked for together with the blue ticks of the message that is being answered."""


def typing_again(shown_at: datetime | None, now: datetime) -> bool:
    """Whether to show it (again): not yet, or nearly over."""
    return shown_at is None or now - shown_at >= TYPING_LASTS - timedelta(seconds=3)
