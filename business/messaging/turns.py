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

    WAITING = "waiting"  # not begun
    THINKING = "thinking"  # nothing was done that anybody sees
    ACTED = "acted"  # something was done (a meeting booked), the answer has not left
    SENDING = "sending"  # a part of the answer has left
    SENT = "sent"


class Then(StrEnum):
    MERGE = "merge"  # the turn takes the new message along, and waits for its quiet
    RESTART = "restart"  # stop it; one new turn answers old and new together
    REWRITE = "rewrite"  # keep what was done, drop the text; the new turn knows what was done
    STOP_REST = "stop_rest"  # what has left has left; the parts that have not are dropped, a new turn follows
    NEXT = "next"  # a new turn
    FINISH = "finish"  # let it end and answer the newer one afterwards


_ON_NEWER = {
    Stage.WAITING: Then.MERGE,
    Stage.THINKING: Then.RESTART,
    Stage.ACTED: Then.REWRITE,
    Stage.SENDING: Then.STOP_REST,
    Stage.SENT: Then.NEXT,
}


def on_newer(stage: Stage, superseded: int, settings: Settings, *, kind: str = "text") -> Then:
    """What a message that comes while a turn is at `stage` does to it.

    `superseded`: how many turns before it were thrown away in a row. After `settings.most_superseded` of them a turn
    may finish, so that who writes without pause gets an answer. A reaction interrupts nobody.
    """
    if kind == "reaction":
        return Then.NEXT if stage is Stage.SENT else Then.FINISH
    then = _ON_NEWER[stage]
    if then in (Then.RESTART, Then.REWRITE) and superseded >= settings.most_superseded:
        return Then.FINISH
    return then


TYPING_LASTS = timedelta(seconds=25)
"""How long WhatsApp shows that somebody is writing, unless the answer comes before (Meta, typing-indicators,
2026-06-17). It is asked for together with the blue ticks of the message that is being answered."""


def typing_again(shown_at: datetime | None, now: datetime) -> bool:
    """Whether to show it (again): not yet, or nearly over."""
    return shown_at is None or now - shown_at >= TYPING_LASTS - timedelta(seconds=3)
