"""How a message leaves by Evolution API: WhatsApp Web, so no templates, no media ids, and choices as numbered words, by
whose numbers they are chosen."""

import asyncio
import base64
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog

from business.messaging.channels import Channel
from business.messaging.senders import Brought, Refusal, Taken
from core.errors import MutiraoError
from core.ids import new_id
from integrations.evolution.client import Contact, EvolutionClient
from integrations.gateways import MEANINGS, Sent, cannot, meaning
from integrations.whatsapp_cloud import media
from integrations.whatsapp_cloud.messages import Content

log = structlog.get_logger(__name__)

OpenClient = Callable[[Channel], Awaitable[EvolutionClient]]
"""Channel → its client, with the channel's own address and key."""
_TYPING_SECONDS = 8.0
_HELD_SECONDS = 600.0
_BY_NUMBER = re.compile(
    r"[\s#(*]*(?:(?:[ao]|la|el|the)\s+)?(?:(?:op[çc][ãa]o|opci[óo]n|option|n[úu]mero|number|n[º°.]?)\s*)?"
    r"([0-9]{1,2})[\s.)*!ªº°\ufe0f\u20e3]*",
    re.IGNORECASE,
)


class HeldFiles:
    """Files between `upload` and `send`, in memory: a gateway without an upload takes them with the message. They are
    sent at once, and brought anew for another attempt; what is never sent goes after ten minutes. So there are no more
    than messages that leave at the same time."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        """`now` in seconds."""
        self._now = now
        self._files: dict[str, tuple[float, bytes, str, str]] = {}

    def keep(self, content: bytes, mime: str, name: str) -> str:
        now, file_id = self._now(), new_id("held")
        self._files = {one: kept for one, kept in self._files.items() if now - kept[0] < _HELD_SECONDS}
        self._files[file_id] = (now, content, mime, name)
        return file_id

    def get(self, file_id: str) -> tuple[bytes, str, str] | None:
        """(content, type, name)."""
        found = self._files.get(file_id)
        return found[1:] if found else None

    def forget(self, content: Content) -> None:
        """The file of a message that has been tried to send."""
        if isinstance(content.payload, dict):
            self._files.pop(str(content.payload.get("id")), None)


class EvolutionSender:
    def __init__(self, open_client: OpenClient) -> None:
        self._open = open_client
        self._held = HeldFiles()
        self._typing: set[asyncio.Task[None]] = set()

    async def send(
        self, channel: Channel, to: str, content: Content, *, callback: str, reply_to: str | None = None
    ) -> Taken:
        """As `Sender.send`. `callback` stays here: Evolution has no room for it.

        ArgumentsWrong("gateway_cannot", what) for a template and for a file that this process does not hold.
        """
        try:
            sent = await self._say(await self._open(channel), to, content, reply_to)
        finally:
            self._held.forget(content)
        return Taken(sent.id, sent.address)

    async def mark_read(self, channel: Channel, message_id: str, *, typing: bool = False) -> None:
        client = await self._open(channel)
        to = await client.chat_of(message_id)
        if to is None:
            return
        await client.mark_read(message_id, to)
        if typing:  # Evolution answers only when the time is over
            task = asyncio.create_task(_show_typing(client, to))
            self._typing.add(task)
            task.add_done_callback(self._typing.discard)

    async def fetch(self, channel: Channel, media_id: str, *, most: int) -> Brought:
        found = await (await self._open(channel)).fetch(media_id, most=most)
        return Brought(found.content, found.mime)

    async def upload(self, channel: Channel, kind: str, content: bytes, mime: str, name: str) -> str:
        """Kept in this process until it is sent. Refused as `media.check_upload`."""
        media.check_upload(kind, content, mime)
        return self._held.keep(content, mime, name)

    def refusal(self, error: Exception) -> Refusal:
        return refusal_of(error)

    async def close(self) -> None:
        """Stop showing that we write."""
        for task in list(self._typing):
            task.cancel()
        await asyncio.gather(*self._typing, return_exceptions=True)

    async def _say(self, client: EvolutionClient, to: str, content: Content, quoted: str | None) -> Sent:
        raw = content.payload
        match content.kind:
            case "text":
                return await client.send_text(to, raw["body"], quoted=quoted, preview=raw.get("preview_url") is True)
            case "interactive":
                return await client.send_text(to, as_words(raw), quoted=quoted)
            case "image" | "video" | "audio" | "document" | "sticker":
                return await self._file(client, to, content.kind, raw, quoted)
            case "location":
                return await client.send_location(
                    to,
                    float(raw["latitude"]),
                    float(raw["longitude"]),
                    name=raw.get("name", ""),
                    address=raw.get("address", ""),
                    quoted=quoted,
                )
            case "contacts":
                return await client.send_contacts(to, [_contact(card) for card in raw], quoted=quoted)
            case "reaction":
                return await client.react(to, raw["message_id"], raw["emoji"])
        raise cannot(content.kind)

    async def _file(self, client: EvolutionClient, to: str, kind: str, raw: dict[str, Any], quoted: str | None) -> Sent:
        name, mime, where = raw.get("filename"), None, raw.get("link")
        if where is None:
            held = self._held.get(raw["id"])
            if held is None:
                raise cannot("media")
            content, mime, held_name = held
            name, where = name or held_name, base64.b64encode(content).decode()
        if kind == "sticker":
            return await client.send_sticker(to, where, quoted=quoted)
        if kind == "audio" and raw.get("voice"):
            return await client.send_voice(to, where, quoted=quoted)
        return await client.send_media(to, kind, where, mime=mime, name=name, caption=raw.get("caption"), quoted=quoted)


def refusal_of(error: Exception) -> Refusal:
    """What a failure of any gateway over WhatsApp Web means."""
    found, code = meaning(error), getattr(error, "code", "")
    wait = getattr(error, "retry_after", None) or found.wait
    detail = error.params.get("detail", code) if isinstance(error, MutiraoError) else type(error).__name__
    sentence = f"error.{code}" if code in MEANINGS or code in ("gateway_bad_request", "gateway_cannot") else ""
    return Refusal(0, found.action, found.scope, wait, found.sure, text=str(detail), sentence=sentence)


def as_words(raw: Mapping[str, Any]) -> str:
    """An interactive message as a text: buttons and options numbered, a link under its name. Gateways over WhatsApp Web
    show real buttons on some telephones and nothing at all on others."""
    header, footer, action = raw.get("header") or {}, raw.get("footer") or {}, raw["action"]
    lines = [f"*{header['text']}*", ""] if header.get("type") == "text" else []
    lines.append(raw["body"]["text"])
    number = 0
    if raw["type"] == "cta_url":
        lines += ["", f"{action['parameters']['display_text']}: {action['parameters']['url']}"]
    elif raw["type"] == "button":
        lines.append("")
        for number, button in enumerate(action["buttons"], 1):
            lines.append(f"{number}. {button['reply']['title']}")
    else:
        for section in action["sections"]:
            lines.append("")
            if section.get("title"):
                lines.append(f"*{section['title']}*")
            for row in section["rows"]:
                number += 1
                more = f" – {row['description']}" if row.get("description") else ""
                lines.append(f"{number}. {row['title']}{more}")
    if footer.get("text"):
        lines += ["", f"_{footer['text']}_"]
    return "\n".join(lines)


def option_of(raw: Mapping[str, Any], answer: str) -> tuple[str, str] | None:
    """(id, title) of the option that `answer` names by its number in `as_words` ("2", "opção 2", "2️⃣"); None when it
    says more or something else, and where the number is also the hour of another option."""
    found, action = _BY_NUMBER.fullmatch(answer.strip()), raw["action"]
    options = [button["reply"] for button in action.get("buttons", ())]
    options += [row for section in action.get("sections", ()) for row in section["rows"]]
    number = int(found[1]) if found else 0
    if not 1 <= number <= len(options):
        return None
    hour = re.compile(rf"(?<!\d)0?{number}\s?(?:h|:\d\d|[ap]\.?m)", re.IGNORECASE)
    if any(hour.search(one["title"]) for place, one in enumerate(options, 1) if place != number):
        return None
    return str(options[number - 1]["id"]), str(options[number - 1]["title"])


def _contact(card: dict[str, Any]) -> Contact:
    phones, emails = card.get("phones") or [{}], card.get("emails") or [{}]
    return Contact(
        card["name"]["formatted_name"],
        str(phones[0].get("phone") or ""),
        (card.get("org") or {}).get("company"),
        emails[0].get("email"),
        ((card.get("urls") or [{}])[0]).get("url"),
    )


async def _show_typing(client: EvolutionClient, to: str) -> None:
    try:
        await client.presence(to, seconds=_TYPING_SECONDS)
    except MutiraoError as error:  # a courtesy: nobody waits for it
        log.info("typing_not_shown", code=error.code)
