"""How a message leaves: one sender per provider, all with the same two hands. The outbox knows no provider."""

from dataclasses import dataclass
from typing import Protocol

from business.messaging.channels import Channel
from integrations.whatsapp_cloud.messages import Content


@dataclass(frozen=True)
class Taken:
    """The gateway took it. `id`: its id of the message; `held`: it says itself that it may hold it back."""

    id: str
    address: str | None = None
    user_id: str | None = None
    held: bool = False


@dataclass(frozen=True)
class Refusal:
    """What a gateway's no means, in the terms of failures.consequence. `code` 0 where the gateway has none; `text` in
    its own words; `sentence`: the key of ours for people, filled with `detail`, `trace` and `wait`."""

    code: int
    action: str
    scope: str
    wait: float | None = None
    sure: bool = True
    marketing: bool = False
    text: str = ""
    sentence: str = ""


@dataclass(frozen=True)
class Brought:
    """A file fetched from a gateway, checked by content. `mime` is what it is, not what it was called."""

    content: bytes
    mime: str


class Sender(Protocol):
    """Errors of `send`: ArgumentsWrong (it cannot be said there: nothing left), Refused or Unavailable (nothing
    left, see `refusal`), OutcomeUnknown (nobody knows)."""

    async def send(
        self, channel: Channel, to: str, content: Content, *, callback: str, reply_to: str | None = None
    ) -> Taken:
        """Once. `callback`: our outbox id, which travels along where the gateway has room for it."""
        ...

    async def mark_read(self, channel: Channel, message_id: str, *, typing: bool = False) -> None:
        """Blue ticks, and "is typing"; nothing where the gateway has neither."""
        ...

    async def fetch(self, channel: Channel, media_id: str, *, most: int) -> Brought:
        """A file that somebody sent, of at most `most` bytes, from the gateway's own hosts only."""
        ...

    async def upload(self, channel: Channel, kind: str, content: bytes, mime: str, name: str) -> str:
        """Put a file there to be sent; gives the media id for messages.MediaRef."""
        ...

    def refusal(self, error: Exception) -> Refusal:
        """What an error of `send` means."""
        ...
