"""What an attendant may do in the inbox: each click is a call of business/messaging with that person's own rights."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from business.messaging import consent
from business.messaging.chats import Chats
from business.messaging.outbox import Outbox
from business.messaging.templates import Filled, Template, usable, value_for
from channels.clicks import Clicks
from channels.inbox_files import UPLOADS
from core.db import Connection, Database, fetch_one
from core.errors import ArgumentsWrong, Refused
from core.files import Files, clean_name
from core.tenancy import Identity
from integrations.whatsapp_cloud import media, messages
from integrations.whatsapp_cloud.messages import Content, MediaRef
from prompts.texts import Texts
from tools.call_off import CallOff

Did = Mapping[str, Any]
"""What came from the page: {"do": name of the act, "once": an id of the click, …}. Nothing of it is trusted."""
Act = Callable[[Identity, str, Did], Awaitable[str]]
TemplatesOf = Callable[[Connection, str], Awaitable[Sequence[Template]]]
"""(transaction, channel id) → its templates, with names in their holes."""

_HEARD = {"gave": consent.Act.CONSENTED, "stopped": consent.Act.STOPPED, "resumed": consent.Act.RESUMED}
_ONCE = re.compile(r"[\w.-]{8,80}")


class InboxActs:
    """Acts on the conversation `chat_id`. Refused and ArgumentsWrong as business/messaging raises them: what is not
    theirs is not there."""

    def __init__(
        self,
        chats: Chats,
        outbox: Outbox,
        db: Database,
        files: Files,
        texts: Texts,
        templates: TemplatesOf,
        call_off: CallOff,
    ):
        self._chats = chats
        self._outbox = outbox
        self._db = db
        self._files = files
        self._texts = texts
        self._templates = templates
        self._call_off = call_off
        self._clicks = Clicks()
        self._acts: dict[str, Act] = {
            "reply": self._reply,
            "template": self._template,
            "react": self._react,
            "note": self._note,
            "read": self._read,
            "take_over": self._take_over,
            "hand_back": self._hand_back,
            "close": self._close,
            "assign": self._assign,
            "tag": self._tag,
            "consent": self._consent,
            "cancel_meeting": self._cancel_meeting,
            "resolve": self._resolve,
        }

    async def do(self, who: Identity, chat_id: str, did: Did) -> str:
        """Do it, and say in a sentence what was done ("" where the page shows it anyway). The same click twice is done
        once: messages by their key in the outbox, in whatever process, all else by this process' memory.

        ArgumentsWrong("inbox_act_wrong") for what is no act.
        """
        act = self._acts.get(_text(did, "do"))
        if act is None:
            raise ArgumentsWrong("inbox_act_wrong", "no such act")
        once = _text(did, "once")
        return await self._clicks.once((who.user_id, chat_id, once) if once else None, lambda: act(who, chat_id, did))

    async def keep_file(self, who: Identity, chat_id: str, content: bytes, name: str) -> str:
        """A file that is to be sent, checked by its content; returns its id. ArgumentsWrong: inbox_file_type,
        whatsapp_media_too_big, whatsapp_media_type, file_empty, file_too_large."""
        await self._chats.get(who, chat_id)
        name = clean_name(name)
        kind, mime = _kind(name)
        media.check_upload(kind, content, mime)
        return (await self._files.store(who, content, name=name, mime=mime)).id

    # --- writing ------------------------------------------------------------------------------

    async def _reply(self, who: Identity, chat_id: str, did: Did) -> str:
        text, file_id = _text(did, "text"), _text(did, "file")
        content = await self._with_file(who, file_id, text) if file_id else None
        quoted = _text(did, "reply_to") or None
        await self._chats.reply(
            who,
            chat_id,
            text,
            content=content,
            key=_key(who, did),
            reply_to=quoted,
        )
        return ""

    async def _react(self, who: Identity, chat_id: str, did: Did) -> str:
        await self._chats.react(who, chat_id, _text(did, "message"), _text(did, "emoji"), key=_key(who, did))
        return ""

    async def _with_file(self, who: Identity, file_id: str, text: str) -> Content:
        stored = await self._files.info(who.tenant_id, file_id)
        if stored.created_by != who.user_id:
            raise Refused("file_gone", f"{file_id} is somebody else's")
        ref, caption = MediaRef(id=stored.id), text or None
        kind = _kind(stored.name)[0]
        if text and kind in ("audio", "sticker"):
            raise ArgumentsWrong("inbox_file_without_words", "an audio or a sticker carries no text")
        match kind:
            case "sticker":
                return messages.sticker(ref)
            case "image":
                return messages.image(ref, caption)
            case "video":
                return messages.video(ref, caption)
            case "audio":
                return messages.audio(ref, voice=stored.name.lower().endswith(".ogg"))
            case _:
                return messages.document(ref, stored.name, caption)

    async def _template(self, who: Identity, chat_id: str, did: Did) -> str:
        chat = await self._chats.get(who, chat_id)
        name, language, given = _text(did, "name"), _text(did, "language"), did.get("values")
        async with self._db.tenant(who.tenant_id) as conn:
            known = await self._templates(conn, chat.channel_id)
        template = next((one for one in known if one.name == name and one.language == language), None)
        if template is None or not usable(template):
            raise ArgumentsWrong("inbox_template_gone", f"no usable template {name[:80]!r}", name=name[:80])
        raw = given if isinstance(given, Mapping) else {}
        values = {hole: value_for(str(raw.get(hole, "")))[:500] for hole in template.variables}
        if missing := [hole for hole, value in values.items() if not value]:
            raise ArgumentsWrong("inbox_template_values", "a value is missing", missing=", ".join(missing))
        filled = Filled(template, tuple(values.items()))
        await self._chats.reply(who, chat_id, filled.text, template=filled, key=_key(who, did))
        return ""

    async def _note(self, who: Identity, chat_id: str, did: Did) -> str:
        await self._chats.note(who, chat_id, _text(did, "text"))
        return self._say(who, "inbox.said.noted")

    async def _read(self, who: Identity, chat_id: str, _: Did) -> str:
        await self._chats.mark_read(who, chat_id)
        return ""

    # --- leading ------------------------------------------------------------------------------

    async def _take_over(self, who: Identity, chat_id: str, _: Did) -> str:
        await self._chats.take_over(who, chat_id)
        return self._say(who, "inbox.said.taken")

    async def _hand_back(self, who: Identity, chat_id: str, _: Did) -> str:
        await self._chats.hand_back(who, chat_id)
        return self._say(who, "inbox.said.handed_back")

    async def _close(self, who: Identity, chat_id: str, _: Did) -> str:
        await self._chats.close(who, chat_id)
        return self._say(who, "inbox.said.closed")

    async def _assign(self, who: Identity, chat_id: str, did: Did) -> str:
        await self._chats.assign(who, chat_id, _text(did, "user") or None)
        return self._say(who, "inbox.said.assigned")

    async def _tag(self, who: Identity, chat_id: str, did: Did) -> str:
        tags = did.get("tags")
        if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
            raise ArgumentsWrong("inbox_act_wrong", "tags are a list of texts")
        await self._chats.tag(who, chat_id, tags)
        return self._say(who, "inbox.said.tagged")

    async def _consent(self, who: Identity, chat_id: str, did: Did) -> str:
        """What the contact said to one of ours, in their words."""
        heard = _HEARD.get(_text(did, "what"))
        if heard is None:
            raise ArgumentsWrong("inbox_act_wrong", "no such consent")
        await self._chats.consent(who, chat_id, heard, _text(did, "words"))
        return self._say(who, "inbox.said.consent")

    async def _cancel_meeting(self, who: Identity, chat_id: str, did: Did) -> str:
        """Its guest is told in the conversation; the reason is for the house."""
        await self._call_off(who, _text(did, "meeting"), _text(did, "reason")[:500], chat_id=chat_id)
        return self._say(who, "inbox.said.meeting_cancelled")

    async def _resolve(self, who: Identity, chat_id: str, did: Did) -> str:
        """A message that waits for somebody's word: it goes, or it never does."""
        await self._chats.get(who, chat_id)
        outbox_id, send = _text(did, "outbox"), did.get("send") is True
        async with self._db.tenant(who.tenant_id) as conn:
            query = "SELECT 1 FROM outbox WHERE id = %s AND chat_id = %s"
            if await fetch_one(conn, query, [outbox_id, chat_id]) is None:
                raise ArgumentsWrong("inbox_act_wrong", "no such message")
        await self._outbox.resolve(who, outbox_id, "send" if send else "drop")
        return self._say(who, "inbox.said.sends" if send else "inbox.said.dropped")

    def _say(self, who: Identity, key: str) -> str:
        return self._texts.say(who.language, key)


# --- what came from the page ----------------------------------------------------------------------


def _text(did: Did, name: str) -> str:
    value = did.get(name, "")
    if not isinstance(value, str):
        raise ArgumentsWrong("inbox_act_wrong", f"{name} is no text")
    return value.replace("\0", "").strip()


def _key(who: Identity, did: Did) -> str:
    """The key of a message in the outbox: the click's own, which only this person can repeat."""
    once = _text(did, "once")
    if not _ONCE.fullmatch(once):
        raise ArgumentsWrong("inbox_act_wrong", "a message without the id of its click")
    return f"person:{who.user_id}:{once}"


def _kind(name: str) -> tuple[str, str]:
    ending = Path(name).suffix.lower()
    if ending not in UPLOADS:
        raise ArgumentsWrong("inbox_file_type", f"{name[:80]!r} is of no kind that is sent", name=name[:80])
    return UPLOADS[ending]
