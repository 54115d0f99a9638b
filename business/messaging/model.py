"""What is about to be sent, what may be known about it, and an answer that explains itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Literal
from zoneinfo import ZoneInfo

from business.messaging.attention import Attention
from business.messaging.brazil import Place
from business.messaging.consent import Standing
from business.messaging.failures import Block
from business.messaging.pace import PER_SECOND, Portfolio
from business.messaging.templates import Filled, Purpose, Template
from business.messaging.window import EntryPoint

Author = Literal["bot", "person"]
Param = str | int | datetime


class Verdict(StrEnum):
    SEND = "send"  # as it is, now
    TEMPLATE = "template"  # now, but only as the template that the decision carries
    WAIT = "wait"  # not now: ask again at `until`
    ASK = "ask"  # a person has to decide
    DROP = "drop"  # out of date: this text never leaves
    NEVER = "never"  # not to this contact


@dataclass(frozen=True)
class Why:
    """A sentence that is not said yet: a key of prompts/texts and what fills it. Moments are aware."""

    key: str
    params: Mapping[str, Param] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """As JSON values; `why_from` gives it back."""
        return {
            "key": self.key,
            "params": {
                name: {"at": one.astimezone(UTC).isoformat()} if isinstance(one, datetime) else one
                for name, one in self.params.items()
            },
        }


def why_from(record: Mapping[str, Any]) -> Why:
    return Why(
        record["key"],
        {
            name: datetime.fromisoformat(one["at"]) if isinstance(one, dict) else one
            for name, one in record["params"].items()
        },
    )


def said(why: Why, say: Callable[..., str], zone: str) -> str:
    """The sentence. `say(key, **params)` finds its words in one language; a moment becomes {day, time} in `zone`."""
    clock = ZoneInfo(zone)
    params: dict[str, Any] = {}
    for name, one in why.params.items():
        if isinstance(one, datetime):
            local = (one + timedelta(microseconds=999_999)).astimezone(clock)  # "until" is never told too early
            params[name] = {"day": local.date(), "time": local.strftime("%H:%M:%S" if local.second else "%H:%M")}
        else:
            params[name] = one
    return say(why.key, **params)


def explained(decision: "Decision", say: Callable[..., str], zone: str) -> str:
    """The whole answer for a person: what, why and until when, by which rule, written where; then what to know besides.
    Moments are told in `zone`. Keys: messaging.verdict.*, messaging.rule.*, messaging.explained."""
    lines = [
        said(Why(f"messaging.verdict.{decision.verdict}"), say, zone) + " " + said(decision.why, say, zone),
        say("messaging.explained", rule=say(f"messaging.rule.{decision.rule}"), source=decision.source),
        *(said(one, say, zone) for one in decision.cautions),
    ]
    return "\n".join(lines)


@dataclass(frozen=True)
class Decision:
    """`rule` names the row of policy.RULES, `source` where it is written. `at` is the moment it was asked.

    `until`: for WAIT when to ask again; for SEND and TEMPLATE how long the answer holds, None for no end that is known.
    `free_until`: until when messages cost nothing (entry point). `cautions`: what a person should know all the same.
    `passed`: the rules that had nothing against it, in their order.
    """

    verdict: Verdict
    rule: str
    source: str
    why: Why
    at: datetime
    until: datetime | None = None
    template: Filled | None = None
    free_until: datetime | None = None
    cautions: tuple[Why, ...] = ()
    passed: tuple[str, ...] = ()

    @property
    def may_leave(self) -> bool:
        return self.verdict in (Verdict.SEND, Verdict.TEMPLATE)

    def record(self) -> dict[str, Any]:
        """For the row of the message: JSON values."""
        return {
            "verdict": str(self.verdict),
            "rule": self.rule,
            "source": self.source,
            "why": self.why.record(),
            "at": self.at.astimezone(UTC).isoformat(),
            "until": self.until.astimezone(UTC).isoformat() if self.until else None,
            "template": self.template.template.name if self.template else None,
            "free_until": self.free_until.astimezone(UTC).isoformat() if self.free_until else None,
            "cautions": [one.record() for one in self.cautions],
            "passed": list(self.passed),
        }


@dataclass(frozen=True)
class Outgoing:
    """A message that would like to leave. Without `template` it is a free one: text, media, buttons, lists.

    `answers`: how many messages of the contact there were when it was written; `segment`: the segment of the
    conversation it was written in; `superseded`: how many answers before it were thrown away in a row; `planned_at`:
    when a follow-up was planned; `until`: from when on it is of no use (a reminder, once the meeting has begun);
    `approved`: whether a person approved exactly this. `values` and `language` are for choosing a template.
    """

    purpose: Purpose
    author: Author = "bot"
    template: Filled | None = None
    answers: int = 0
    segment: int = 0
    superseded: int = 0
    planned_at: datetime | None = None
    until: datetime | None = None
    approved: bool = False
    values: Mapping[str, str] = field(default_factory=dict)
    language: str = "pt_BR"


@dataclass(frozen=True)
class Known:
    """What is known of the contact, the conversation, the number and the portfolio at the moment of the question.

    `messages`: how many the contact has written; `last_from_contact`: by the contact's own timestamp;
    `last_received_at`: when we got it. `touches`: our messages since then that were not answers. `pair_line`,
    `number_line`: see pace.py. `goodbye_sent`: whether the opt-out that holds was already confirmed. `windowed`:
    whether the channel has a window and templates at all (WhatsApp's own API; not e-mail, SMS and WhatsApp Web).
    """

    place: Place
    messages: int = 0
    last_from_contact: datetime | None = None
    last_received_at: datetime | None = None
    entry: EntryPoint | None = None
    standing: Standing = field(default_factory=Standing)
    attention: Attention = field(default_factory=Attention)
    touches: tuple[datetime, ...] = ()
    marketing_sent: tuple[datetime, ...] = ()
    pair_line: datetime | None = None
    number_line: datetime | None = None
    per_second: int = PER_SECOND
    portfolio: Portfolio = field(default_factory=Portfolio)
    blocks: tuple[Block, ...] = ()
    templates: tuple[Template, ...] = ()
    goodbye_sent: bool = False
    windowed: bool = True
