"""What comes from outside, the same for every gateway: a message, an echo of ours, a status, a wish, a template's fate.

A reader per provider makes them of an inbox row (reading.py); the sorter knows nothing of providers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from business.messaging.window import SKEW


@dataclass(frozen=True)
class Who:
    """The person outside, as the gateway names them. At least `wa_id` or `user_id` is there (or an e-mail address).

    `wa_id`: as WhatsApp registered it, digits, never rewritten; `phone`: the number as told; `user_id`: WhatsApp's
    business-scoped id; `lid`: WhatsApp's linked id, as gateways over WhatsApp Web know it.
    """

    wa_id: str | None = None
    phone: str | None = None
    user_id: str | None = None
    lid: str | None = None
    email: str | None = None
    name: str = ""

    @property
    def address(self) -> str:
        """By what we write to them; "" when nothing is known."""
        return self.wa_id or self.user_id or self.phone or self.email or ""


@dataclass(frozen=True)
class Attachment:
    """A file of a message. `id` is what the gateway gives it out for (its own id, or an address)."""

    kind: str  # image, video, audio, document, sticker
    id: str
    mime: str = ""
    name: str = ""
    voice: bool = False
    sha256: str = ""


@dataclass(frozen=True)
class Incoming:
    """A person outside wrote. `at` by the gateway's clock. `text`: what one reads (body, caption, title of a choice);
    `choice`: the payload or id of a pressed button or a chosen row. `content`: the rest, as JSON values, to show."""

    id: str
    who: Who
    at: datetime
    kind: str
    text: str = ""
    choice: str = ""
    attachment: Attachment | None = None
    reply_to: str | None = None
    referral: Mapping[str, Any] | None = None
    forwarded: bool = False
    content: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Edited:
    """A person outside changed (`text`) or took back (`text` None) a message of theirs."""

    id: str
    of: str
    who: Who
    at: datetime
    text: str | None


@dataclass(frozen=True)
class Reacted:
    """An emoji on one of the messages; "" takes it off."""

    id: str
    of: str
    who: Who
    at: datetime
    emoji: str


@dataclass(frozen=True)
class Echoed:
    """Something left from our number that is not in our outbox by this id: a person wrote in the app, or a tool did."""

    id: str
    to: Who
    at: datetime
    kind: str
    text: str = ""
    attachment: Attachment | None = None
    content: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Seen:
    """A status of a message of ours. `status` in the gateway's word as statuses.status_named knows it; `callback`: our
    outbox id, if the gateway gives it back; `code`: of a failure."""

    id: str
    status: str
    at: datetime
    callback: str | None = None
    code: int | None = None
    detail: str = ""
    to: Who | None = None


@dataclass(frozen=True)
class Wished:
    """A person stopped or resumed marketing inside WhatsApp. `value`: stop, resume."""

    who: Who
    at: datetime
    value: str
    detail: str = ""


@dataclass(frozen=True)
class TemplateTold:
    """`what`: status, quality, category or components; `value` the new one."""

    name: str
    language: str | None
    what: str
    value: str
    reason: str = ""


@dataclass(frozen=True)
class Moved:
    """A person has another number, or WhatsApp says that the identity behind it changed."""

    id: str
    who: Who
    at: datetime
    new_address: str
    text: str


@dataclass(frozen=True)
class Told:
    """Anything else that the gateway said: kept, told by the doctor and the log alone. `grave`: it concerns the
    whole number (restricted, disconnected, token refused)."""

    what: str
    grave: bool = False
    detail: str = ""


Arrival = Incoming | Edited | Reacted | Echoed | Seen | Wished | TemplateTold | Moved | Told


def moment_of(at: datetime, received: datetime) -> datetime:
    """A gateway's moment; ours where it told none that can be one. One that is ahead of our clock would leave the
    window open longer than its 24 hours."""
    return received if at.year < 2009 or at > received + SKEW else at


def plain_text(text: str) -> str:
    """Text that PostgreSQL can keep."""
    if "\0" not in text and text.isascii():
        return text
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
