"""What a refusal by WhatsApp forbids from then on, and when the same message may be tried again.

What each of Meta's codes means stands in one table, integrations/whatsapp_cloud/errors.py; its rows are told here in
their own words (`action`, `scope`, `wait`, `marketing`), so that other gateways can use the same rules.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from business.messaging.consent import Act, Entry, How, Scope

Covers = Literal["all", "marketing", "free"]

DAY = timedelta(hours=24)
LONGEST = timedelta(days=7)
PAIR_LONGEST = timedelta(minutes=10)
RETRIES = (
    timedelta(seconds=2),
    timedelta(seconds=4),
    timedelta(seconds=8),
    timedelta(seconds=30),
    timedelta(minutes=5),
)
"""After the first, the second … failure that passes by itself; then it is given up."""

USER_STOPPED_MARKETING = 131050
MARKETING_CAP = 131049
SMS_OPTED_OUT = 21610
"""Twilio's: the contact answered STOP to one of our SMS (integrations/twilio/errors.py). Theirs is the only place that
heard it, and it holds for us as every opt-out: on all channels."""
PAIR_RATE = 131056


class Where(StrEnum):
    """What a block is about: this contact from this number, the contact, the number, the whole app, one template."""

    PAIR = "pair"
    CONTACT = "contact"
    NUMBER = "number"
    APP = "app"
    TEMPLATE = "template"


@dataclass(frozen=True)
class Block:
    """`covers`: everything, marketing only, or free messages only (templates may go). `until`: None for until somebody
    looks or, for `free`, until the contact writes. `name`: of the template that is blocked."""

    where: Where
    covers: Covers
    at: datetime
    until: datetime | None
    code: int
    name: str = ""

    def holds(self, now: datetime, last_received_at: datetime | None = None) -> bool:
        if self.covers == "free" and last_received_at is not None and last_received_at > self.at:
            return False
        return self.until is None or now < self.until


@dataclass(frozen=True)
class Consequence:
    """What to write down after a refusal. `again_at`: when the same message may be tried again, None for never as it
    is; `as_template`: it may go as a template instead; `entry`: a line for the contact's ledger; `tell`: a person has
    to look."""

    block: Block | None
    again_at: datetime | None
    as_template: bool = False
    entry: Entry | None = None
    tell: bool = False


def consequence(
    code: int,
    action: str,
    scope: str,
    at: datetime,
    *,
    wait: float | None = None,
    sure: bool = True,
    marketing: bool = False,
    times: int = 1,
    template: str = "",
    once: bool = False,
) -> Consequence:
    """After the refusal `code` at `at`.

    `action`, `scope`, `wait` (seconds), `sure` and `marketing` are the row's. `times`: how often this message (for a
    limit: this pair, contact or number) was refused so in a row, 1 or more. `once`: a first contact or a campaign,
    which is attempted once when it is not sure that it was not taken.
    """
    if not (sure or not once):
        return Consequence(None, None, tell=True)
    if action == "retry":
        left = times <= len(RETRIES)
        pause = max(RETRIES[min(times, len(RETRIES)) - 1], timedelta(seconds=wait or 0))
        return Consequence(None, at + pause if left else None, tell=not left)
    if action == "wait":
        until = at + _pause(code, wait, times)
        where = _where(scope) or Where.NUMBER
        return Consequence(Block(where, "marketing" if marketing else "all", at, until, code), until)
    if action == "template":
        return Consequence(Block(Where.PAIR, "free", at, None, code), None, as_template=True)
    if action == "stop_contact":
        entry = None
        if code == USER_STOPPED_MARKETING:
            entry = Entry(at, Act.STOPPED, Scope.MARKETING, How.WHATSAPP, str(code))
        elif code == SMS_OPTED_OUT:
            entry = Entry(at, Act.STOPPED, Scope.ALL, How.WORDS, f"STOP ({code})")
        covers: Covers = "marketing" if marketing else "all"
        return Consequence(Block(Where.CONTACT, covers, at, None, code), None, entry=entry)
    if action == "stop_number":
        return Consequence(Block(_where(scope) or Where.NUMBER, "all", at, None, code), None, tell=True)
    if scope == "template" and template:  # "fix"
        return Consequence(Block(Where.TEMPLATE, "all", at, None, code, template), None, tell=True)
    return Consequence(None, None, tell=True)


def holding(blocks: Iterable[Block], now: datetime, last_received_at: datetime | None = None) -> tuple[Block, ...]:
    """Those that hold now, the longest first; the ones without an end before all others."""
    held = [one for one in blocks if one.holds(now, last_received_at)]
    return tuple(sorted(held, key=lambda one: (one.until is not None, -(one.until or one.at).timestamp(), one.code)))


def _pause(code: int, wait: float | None, times: int) -> timedelta:
    """How long a limit is waited for.

    The contact's marketing cap: not before 24 hours, then in larger and larger steps (Meta, "Per-user marketing
    template message limits"). The pair rate: 4^x seconds from x = 0 (Meta, "Pair rate limits"), and no shorter than
    the pause of 6 seconds. Others: their own wait, doubled each time.
    """
    times = max(times, 1)
    own = timedelta(seconds=wait or 1)
    if code == MARKETING_CAP:
        return min(max(own, DAY) * 2 ** min(times - 1, 5), LONGEST)
    if code == PAIR_RATE:
        return min(max(own, timedelta(seconds=4.0 ** min(times - 1, 6))), PAIR_LONGEST)
    return min(own * 2 ** min(times - 1, 10), LONGEST)


def _where(scope: str) -> Where | None:
    return Where(scope) if scope in tuple(Where) else None
