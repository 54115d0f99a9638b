"""The window in which a contact may be answered freely, and the one in which that costs nothing.

24 hours from the contact's last message or call, by the contact's own timestamp, begun anew by each (Meta,
documentation/business-messaging/whatsapp/messages/send-messages, "Customer service windows"). Outside only approved
templates arrive; a text fails with 131047.

Who comes by an advertisement or by the button of a page and is answered within 24 hours opens 72 free hours, counted
from the answer ("free entry point"). They change what a message costs, not what may be sent. Since 2026-10-01
messages in the 24 hours are metered, too; those in the 72 hours stay free (Meta's pricing; make.com's module notes,
2026).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

SERVICE_WINDOW = timedelta(hours=24)
ENTRY_WINDOW = timedelta(hours=72)
SKEW = timedelta(minutes=5)
"""By how much a gateway's clock may be ahead of ours; what is further ahead is a mistake (arrivals.moment_of)."""

_NO_MESSAGE = frozenset({"reaction", "edit", "revoke", "system"})


@dataclass(frozen=True)
class EntryPoint:
    """A conversation that an advertisement or a page's button began. `came_at`: the first message with the referral, by
    its own timestamp; `answered_at`: our first message after it, None before."""

    came_at: datetime
    answered_at: datetime | None = None

    def answer_by(self) -> datetime:
        """Answered later than this, the 72 hours never begin."""
        return self.came_at + SERVICE_WINDOW


def opens_window(kind: str) -> bool:
    """Whether a webhook's message of this type begins the 24 hours.

    Messages and calls do. Of reactions, edits and revocations Meta says nothing: we count none of them, since a text
    that relies on one would fail. `unsupported` is a message that only our side cannot read.
    """
    return kind not in _NO_MESSAGE


def closes(last_from_contact: datetime | None, now: datetime) -> datetime | None:
    """When the 24 hours end (that moment excluded), or None when the contact never wrote."""
    if last_from_contact is None:
        return None
    return min(last_from_contact, now + SKEW) + SERVICE_WINDOW


def is_open(last_from_contact: datetime | None, now: datetime, margin: timedelta = timedelta()) -> bool:
    """Whether a free message that is sent now arrives in time. `margin`: how long before the end nothing is begun."""
    end = closes(last_from_contact, now)
    return end is not None and now < end - margin


def free_until(entry: EntryPoint | None, now: datetime) -> datetime | None:
    """When the 72 free hours end; None when there are none, or when they are over.

    Not answered yet: the end they would have if the answer left now.
    """
    if entry is None:
        return None
    answered = entry.answered_at or now
    if answered >= entry.answer_by():
        return None
    end = answered + ENTRY_WINDOW
    return end if now < end else None
