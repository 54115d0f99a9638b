"""Who has a conversation: the bot, a person, or the bot while a person is being fetched.

A message by a person pauses the bot at once, from wherever it comes: our inbox, the WhatsApp app (coexistence echo),
another tool. The hand-over is told once. A hand-back begins a new segment: what the bot was about to say before it
is out of date (Chatwoot #13880, #13881, #15068; fazer-ai/agents #158, #457).
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum


class Held(StrEnum):
    BOT = "bot"
    FETCHING = "fetching"  # a person was asked for and has not come; the bot still answers, and starts nothing
    PERSON = "person"


class Event(StrEnum):
    ASKED_FOR_PERSON = "asked_for_person"  # by the contact, or by a guard of ours
    PERSON_WROTE = "person_wrote"  # to the contact, from the app, an echo or the inbox
    PERSON_TOOK_OVER = "person_took_over"  # by the button
    HANDED_BACK = "handed_back"
    CLOSED = "closed"  # the conversation was marked as done


class Effect(StrEnum):
    """What has to be done, each in the same transaction as the change."""

    STOP_TURN = "stop_turn"  # the running turn, and the parts of an answer that have not left
    TELL_CONTACT = "tell_contact"  # that a person comes; once in a segment
    SUMMARISE = "summarise"  # for the person
    NOTIFY = "notify"  # whoever takes conversations over
    CLEAN_START = "clean_start"  # the bot's working memory of the conversation


_PAUSE = (Effect.STOP_TURN,)
# What happens → in which hand it was → (in which it is, what to do).
TABLE: dict[Event, dict[Held, tuple[Held, tuple[Effect, ...]]]] = {
    Event.ASKED_FOR_PERSON: {
        Held.BOT: (Held.FETCHING, (Effect.STOP_TURN, Effect.TELL_CONTACT, Effect.SUMMARISE, Effect.NOTIFY)),
        Held.FETCHING: (Held.FETCHING, (Effect.NOTIFY,)),
        Held.PERSON: (Held.PERSON, (Effect.NOTIFY,)),
    },
    Event.PERSON_WROTE: {
        Held.BOT: (Held.PERSON, (Effect.STOP_TURN, Effect.SUMMARISE)),
        Held.FETCHING: (Held.PERSON, _PAUSE),
        Held.PERSON: (Held.PERSON, ()),
    },
    Event.PERSON_TOOK_OVER: {
        Held.BOT: (Held.PERSON, (Effect.STOP_TURN, Effect.SUMMARISE)),
        Held.FETCHING: (Held.PERSON, _PAUSE),
        Held.PERSON: (Held.PERSON, ()),
    },
    Event.HANDED_BACK: {
        Held.BOT: (Held.BOT, ()),
        Held.FETCHING: (Held.BOT, (Effect.STOP_TURN, Effect.CLEAN_START)),
        Held.PERSON: (Held.BOT, (Effect.CLEAN_START,)),
    },
    Event.CLOSED: {
        Held.BOT: (Held.BOT, (Effect.STOP_TURN, Effect.CLEAN_START)),
        Held.FETCHING: (Held.BOT, (Effect.STOP_TURN, Effect.CLEAN_START)),
        Held.PERSON: (Held.BOT, (Effect.CLEAN_START,)),
    },
}


@dataclass(frozen=True)
class Attention:
    """`segment` counts hand-backs and ends: a text of the bot belongs to the segment in which it was begun. `by`: the
    person's id; `since`: of the present hand."""

    held: Held = Held.BOT
    since: datetime | None = None
    by: str | None = None
    segment: int = 0


@dataclass(frozen=True)
class Step:
    after: Attention
    effects: tuple[Effect, ...]
    ignored: bool = False
    """The event is older than what holds: an echo that came late."""


def step(before: Attention, event: Event, at: datetime, *, by: str | None = None) -> Step:
    """The state after `event`, which happened at `at` (WhatsApp's moment for an echo, ours for a button).

    What happened before the present state began changes nothing: an echo that is delivered after a hand-back must not
    silence the bot again. In the same second (echoes have whole ones) the person goes first. Messages that we sent
    ourselves come back as echoes, too: leave them out by their ids.
    """
    if before.since is not None and at.replace(microsecond=0) < before.since.replace(microsecond=0):
        return Step(before, (), ignored=True)
    held, effects = TABLE[event][before.held]
    after = replace(before, held=held)
    if held is not before.held:
        after = replace(after, since=at)
    if held is Held.PERSON:
        after = replace(after, by=by or before.by)
    if Effect.CLEAN_START in effects:
        after = Attention(Held.BOT, at, None, before.segment + 1)
    return Step(after, effects)
