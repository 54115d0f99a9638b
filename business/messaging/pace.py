"""How fast messages may follow one another: to one contact, from one number, to new people in a day.

A pace is kept as one moment per line ("the line is free again at"): the generic cell rate algorithm (ITU-T I.371),
which needs neither a list of past messages nor a timer, and is exact over any stretch of time.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

PAIR_GAP = timedelta(seconds=6)
"""One number to one contact: 1 message in 6 seconds, about 10 a minute, else error 131056 (Meta's documentation of
messages, "Pair rate limits"; dev.to/wapgrowai_org, 2026). Bursts of up to 45 are allowed and then owed."""

MOST_BURST = 45

PER_SECOND = 80
"""Messages a second of one number, incoming and outgoing together, all types; 1,000 after Meta's own upgrade. More:
error 130429 (Meta, documentation/business-messaging/whatsapp/throughput, 2026-05-21)."""

MOST_PER_SECOND = 1_000
PER_SECOND_COEXISTING = 20
"""Of a number that is used in the WhatsApp Business app, too; fixed (the same page)."""

NEW_PORTFOLIO = 250
"""Different people a new business portfolio may write to in 24 hours outside their windows; then 2,000, 10,000,
100,000, unlimited (Meta, documentation/business-messaging/whatsapp/messaging-limits). All numbers of the portfolio
share it."""

MOST_PEOPLE = 100_000
"""The highest of them that is a number."""


@dataclass(frozen=True)
class Pace:
    """At most `burst` at once, and then one every `gap`. So in any stretch of time t: at most burst + t / gap."""

    gap: timedelta
    burst: int = 1

    def earliest(self, line: datetime | None, now: datetime) -> datetime:
        """When the next one may leave: `now`, or later. `line` is what `after` gave for the one before, None for
        none."""
        return now if line is None else max(now, line - self.gap * (self.burst - 1))

    def after(self, line: datetime | None, at: datetime) -> datetime:
        """The line once a message left (or, for a number, came in) at `at`. Keep the later of two that race."""
        return (at if line is None else max(line, at)) + self.gap


def pair_pace(burst: int = 1) -> Pace:
    """To one contact. `burst`: 1–45."""
    return Pace(PAIR_GAP, min(max(burst, 1), MOST_BURST))


def number_pace(per_second: int) -> Pace:
    """From one number, so that no second sees more than `per_second` (5 or more): four fifths as the steady rate, one
    fifth at once."""
    burst = max(per_second // 5, 1)
    return Pace(timedelta(seconds=1) / max(per_second - burst, 1), burst)


@dataclass(frozen=True)
class Portfolio:
    """How much of a portfolio's limit is used in the last 24 hours.

    `limit`: different people, None for unlimited (field whatsapp_business_manager_messaging_limit); `reached`: how many
    were; `has_contact`: whether this contact is among them; `frees_at`: when the first of them falls out of the 24
    hours.
    """

    limit: int | None = NEW_PORTFOLIO
    reached: int = 0
    has_contact: bool = False
    frees_at: datetime | None = None

    def room(self, reserved: int = 0) -> int | None:
        """How many more people may be written to when `reserved` places are kept free; None: as many as one likes."""
        return None if self.limit is None else max(self.limit - reserved - self.reached, 0)
