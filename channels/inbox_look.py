"""Who looks at the inbox, and how things are written for them: moments, names, kinds of messages."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from business.messaging.channels import Channel
from business.messaging.conversation import Chat, Message, as_written
from core import formats
from core.tenancy import Identity
from prompts.texts import Texts

Data = dict[str, Any]
"""What the page lays out: plain JSON, its texts ready in the viewer's language."""


@dataclass(frozen=True)
class Look:
    """Who looks, and how things are written for them."""

    who: Identity
    texts: Texts
    names: Mapping[str, str]
    """Of the tenant's users, by id."""
    channels: Mapping[str, Channel]
    now: datetime

    def say(self, key: str, /, **params: Any) -> str:
        return self.texts.say(self.who.language, key, **params)

    def word(self, key: str, otherwise: str) -> str:
        """The text of a key that may not be there."""
        return self.say(key) if self.texts.has(key) else otherwise

    def local(self, at: datetime) -> datetime:
        return at.astimezone(ZoneInfo(self.who.time_zone))

    def clock(self, at: datetime) -> str:
        return self.local(at).strftime("%H:%M")

    def day(self, at: datetime) -> str:
        """ "hoje", "ontem", a weekday of this week, a date."""
        day, today = self.local(at).date(), self.local(self.now).date()
        past = (today - day).days
        if past in (-1, 0, 1):
            return self.say(f"inbox.day.{'today' if past == 0 else 'yesterday' if past == 1 else 'tomorrow'}")
        if 1 < past < 7:
            return formats.weekday(day, self.who.language)
        return formats.day(day, self.who.language)

    def when(self, at: datetime) -> str:
        """Short, for a line of a list: the time today, else the day."""
        return self.clock(at) if self.local(at).date() == self.local(self.now).date() else self.day(at)

    def soon(self, at: datetime) -> str:
        """Short, of what is to come: the time today, else day and time."""
        local = self.local(at)
        if local.date() == self.local(self.now).date():
            return self.clock(at)
        near = (local.date() - self.local(self.now).date()).days == 1
        return f"{self.day(at) if near else local.strftime('%d/%m')} {self.clock(at)}"

    def moment(self, at: datetime) -> str:
        return self.say("inbox.moment", day=self.day(at), time=self.clock(at))

    def user(self, user_id: str | None) -> str:
        return self.names.get(user_id or "", "")


def name_of(look: Look, chat: Chat) -> str:
    """Of whom it is with."""
    return chat.name or as_written(chat.address) or look.say("inbox.nameless")


def author_of(look: Look, one: Message, *, short: bool = False) -> str:
    """Who of ours said it; "" for the contact."""
    if one.author == "bot":
        return look.say("inbox.bot")
    if one.author == "person" and one.author_id == look.who.user_id:
        return look.say("inbox.you")
    if one.author == "person":
        name = look.user(one.author_id) or look.say("inbox.in_the_app")
        return name.split()[0] if short and look.user(one.author_id) else name
    return look.say("inbox.system") if one.author == "system" else ""


def kind_of(look: Look, one: Message) -> str:
    """What kind of message it is, in a word."""
    if one.kind == "audio" and (one.content.get("voice") or (one.media or {}).get("voice")):
        return look.say("inbox.kind.voice")
    return look.word(f"inbox.kind.{one.kind}", look.say("inbox.kind.unknown"))
