"""The attendants' inbox as rows to lay out: conversations with people outside, what was said, what is known of them.

Everything is drawn for whoever looks, with their own rights (business/messaging/chats.py), as ready words in plain
JSON. What is done there is channels/inbox_acts.py; the addresses are channels/inbox_pages.py.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from business.crm.service import Crm
from business.messaging.channels import Channel, Channels
from business.messaging.chats import AREA, Chat, ChatLine, Chats, Message
from business.messaging.consent import Standing
from business.messaging.known import has_window
from business.messaging.model import Decision, Verdict, explained, said, why_from
from business.messaging.outbox import OUR_FILE
from business.messaging.statuses import Status
from business.messaging.templates_store import wants_more
from business.messaging.window import EntryPoint, closes, free_until
from business.people.service import People
from core import formats
from core.clock import Clock
from core.db import Database
from core.errors import Refused
from core.permissions import Permissions, Scope
from core.tenancy import Identity, Role
from integrations.whatsapp_cloud import errors
from prompts.texts import Texts

Data = dict[str, Any]
"""What the page lays out: plain JSON, its texts ready in the viewer's language."""

SHOWS = ("open", "waiting", "mine", "unassigned", "unread", "closed")
"""The filters of the list; "waiting" are those where a person is being fetched."""
PAGE = 50  # messages that are read at once
UPLOADS: Mapping[str, tuple[str, str]] = {
    ".jpg": ("image", "image/jpeg"),
    ".jpeg": ("image", "image/jpeg"),
    ".png": ("image", "image/png"),
    ".mp4": ("video", "video/mp4"),
    ".3gp": ("video", "video/3gpp"),
    ".mp3": ("audio", "audio/mpeg"),
    ".m4a": ("audio", "audio/mp4"),
    ".aac": ("audio", "audio/aac"),
    ".amr": ("audio", "audio/amr"),
    ".ogg": ("audio", "audio/ogg"),
    ".pdf": ("document", "application/pdf"),
    ".txt": ("document", "text/plain"),
    ".doc": ("document", "application/msword"),
    ".docx": ("document", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ".xls": ("document", "application/vnd.ms-excel"),
    ".xlsx": ("document", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ".ppt": ("document", "application/vnd.ms-powerpoint"),
    ".pptx": ("document", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
}
"""Ending → (WhatsApp's kind, media type): what WhatsApp takes (integrations/whatsapp_cloud/media.py)."""
PICTURES = frozenset({"image/jpeg", "image/png", "image/webp", "image/gif"})
FILMS = frozenset({"video/mp4", "video/3gpp", "video/webm"})

_SOON = timedelta(hours=1)  # before the window's end: it is told in a warmer colour
_SECONDS = timedelta(minutes=1)  # what leaves within it is not told as waiting in the list
_MOST_LINES = 1_000
_HOPELESS = frozenset({"window", "template", "number"})
"""Rules by which a message cannot leave, whoever says yes to it."""
_WORDS = "inbox.word."
"""Texts below this key are the page's own, which it is given once."""
_ICONS = {
    Status.QUEUED: "clock",
    Status.ACCEPTED: "check",
    Status.HELD: "hold",
    Status.SENT: "check",
    Status.FAILED: "alert",
    Status.DELIVERED: "checks",
    Status.READ: "checks",
    Status.PLAYED: "checks",
}
_LINE_ICONS = {"image": "picture", "video": "film", "audio": "mic", "document": "doc", "sticker": "picture",
               "location": "pin", "contacts": "person", "template": "form"}  # fmt: skip
_EMOJI_ONLY = re.compile(r"[\U0001F000-\U0001FAFF\u2600-\u27BF\u2B00-\u2BFF\uFE0F\u200D\u20E3\s]{1,12}")


@dataclass(frozen=True)
class KnownOfLead:
    """What the bot found out in a conversation, in words for people: `evidence` is (label, value, [(quote, message
    id)]), `score` (points, reasons), `meets_at` the next meeting; empty where nothing is known."""

    stage: str = ""
    next: str = ""
    score: tuple[str, Sequence[str]] | None = None
    evidence: Sequence[tuple[str, str, Sequence[tuple[str, str]]]] = ()
    meets_at: datetime | None = None
    meeting_id: str = ""


Knows = Callable[[Identity, Chat], Awaitable[KnownOfLead]]
Stands = Callable[[str, Chat], Awaitable[Standing]]
"""(tenant id, conversation) → what the consent ledger comes to."""


@dataclass(frozen=True)
class _Look:
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


@dataclass
class InboxViews:
    """Draws the list, a conversation and its parts. Refused as business/messaging/chats raises them.

    `knows`: what the bot found out, `stands`: consent; `most_bytes`: of an attachment.
    """

    chats: Chats
    channels: Channels
    db: Database
    people: People
    crm: Crm
    permissions: Permissions
    texts: Texts
    clock: Clock
    knows: Knows
    stands: Stands
    most_bytes: int
    _words: dict[str, dict[str, str]] = field(default_factory=dict, init=False)

    # --- what the page asks for ---------------------------------------------------------------

    async def start(self, who: Identity) -> Data:
        """What stays the same while the page is open."""
        await self.chats.counts(who)  # whoever may not look is refused before anything is told
        users = [user for user in await self.people.users(who.tenant_id) if user.active]
        takers = [u for u in users if self._writes(u.role) and u.role is not Role.AGENTE_IA]
        replies = await self.chats.quick_replies(who)
        return {
            "words": self._own_words(who.language),
            "language": who.language,
            "me": {"id": who.user_id, "name": who.name},
            "may": {"write": self._writes(who.role)},
            "people": [{"id": user.id, "name": user.name} for user in takers],
            "channels": [{"id": one.id, "name": one.name} for one in await self.channels.of(who.tenant_id)],
            "quick": [{"title": one.name, "text": one.text} for one in replies],
            "accept": ",".join(UPLOADS),
            "most_bytes": self.most_bytes,
        }

    async def counts(self, who: Identity) -> Data:
        """For the filters: how many open conversations each shows."""
        counts = await self.chats.counts(who)
        return {"open": counts["all"], "mine": counts["mine"], "unassigned": counts["unassigned"],
                "unread": counts["unread"], "waiting": counts["fetching"]}  # fmt: skip

    async def link(self, who: Identity) -> Data:
        """The link to the inbox elsewhere: {"label", "label_unread", "unread"}."""
        unread = (await self.chats.counts(who))["unread"]
        words = self._own_words(who.language)
        told = words["link_unread"].replace("{n}", str(unread))
        return {"label": words["link"], "label_unread": told, "unread": unread}

    async def list(self, who: Identity, show: str, *, search: str = "", channel: str = "", limit: int = 40) -> Data:
        """{"chats": lines, "more": whether there are older ones, "counts"}. `show`: one of SHOWS, else "open"."""
        look = await self._look(who)
        limit = max(1, min(limit, _MOST_LINES))
        found: list[ChatLine] = []
        wanted: dict[str, Any] = {"search": _searched(search), **_FILTERS.get(show, _FILTERS["open"])}
        if channel:
            wanted["channel_id"] = channel
        while len(found) <= limit:
            last = found[-1].chat if found else None
            before = (last.last_at, last.id) if last else None
            size = min(200, limit + 1 - len(found))
            page = await self.chats.list(who, **wanted, limit=size, before=before)
            found += page
            if len(page) < size:
                break
        lines = found[:limit]
        waiting = await self._open(who, [line.chat.id for line in lines])
        return {
            "chats": [_line(look, line, waiting.get(line.chat.id, {})) for line in lines],
            "more": len(found) > limit,
            "counts": await self.counts(who),
        }

    async def chat(self, who: Identity, chat_id: str) -> Data:
        """{"chat", "messages": the newest, oldest first, "earlier": whether there are older ones}."""
        look = await self._look(who)
        chat = await self.chats.get(who, chat_id)
        page = await self._page(look, chat, None)
        return {"chat": await self._chat(look, chat), **page}

    async def messages(self, who: Identity, chat_id: str, before: int) -> Data:
        """Those before the one of `before` (its seq): {"messages", "earlier"}."""
        look = await self._look(who)
        return await self._page(look, await self.chats.get(who, chat_id), before)

    async def templates(self, who: Identity, chat_id: str) -> Data:
        """Those of the conversation's channel, usable ones first, with what fills them proposed."""
        look = await self._look(who)
        chat = await self.chats.get(who, chat_id)
        async with self.db.tenant(who.tenant_id) as conn:
            rows = await (
                await conn.execute(
                    "SELECT * FROM message_templates WHERE channel_id = %s ORDER BY name, language", [chat.channel_id]
                )
            ).fetchall()
        found = [_template(look, chat, row) for row in rows]
        return {"templates": sorted(found, key=lambda one: (not one["usable"], one["name"], one["language"]))}

    async def media(self, who: Identity, media_id: str, chat_id: str = "") -> Mapping[str, Any]:
        """The row of a file in a conversation that `who` may see; `chat_id` tells where a file of ours was sent.
        Refused("chat_unknown") otherwise."""
        async with self.db.tenant(who.tenant_id) as conn:
            row = await (await conn.execute("SELECT * FROM chat_media WHERE id = %s", [media_id])).fetchone()
            if row is None and media_id.startswith(OUR_FILE):  # it lies in the message itself
                query = """SELECT chat_id, %s AS file_id, 'kept' AS state, '' AS mime, '' AS name FROM chat_messages
                           WHERE chat_id = %s AND direction = 'out' AND content -> (content ->> 'type') ->> 'id' = %s
                           LIMIT 1"""
                row = await (await conn.execute(query, [media_id, chat_id, media_id])).fetchone()
        if row is None:
            raise Refused("chat_unknown", f"no file {media_id[:80]!r}")
        await self.chats.get(who, row["chat_id"])
        return row

    # --- parts --------------------------------------------------------------------------------

    def _writes(self, role: Role) -> bool:
        return self.permissions.write_scope(role, AREA) is not Scope.NONE

    def _own_words(self, language: str) -> dict[str, str]:
        if language not in self._words:
            keys = [key for key in self.texts.sources["pt-BR"] if key.startswith(_WORDS)]
            self._words[language] = {key.removeprefix(_WORDS): self.texts.say(language, key) for key in keys}
        return self._words[language]

    async def _look(self, who: Identity) -> _Look:
        names = {user.id: user.name for user in await self.people.users(who.tenant_id)}
        channels = {channel.id: channel for channel in await self.channels.of(who.tenant_id)}
        return _Look(who, self.texts, names, channels, self.clock.now())

    async def _open(self, who: Identity, chat_ids: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        """Of each conversation that has such: how many messages wait for a person's word (`asks`), and when the first
        of those that wait for their time leaves (`leaves`)."""
        query = """SELECT chat_id, count(*) FILTER (WHERE state = 'ask') AS asks,
                          min(greatest(not_before, (decision->>'until')::timestamptz))
                              FILTER (WHERE state = 'waiting' AND (not_before > %(now)s
                                      OR (decision->>'until')::timestamptz > %(now)s)) AS leaves
                   FROM outbox WHERE state IN ('ask', 'waiting') AND chat_id = ANY(%(chats)s) GROUP BY chat_id"""
        async with self.db.tenant(who.tenant_id) as conn:
            rows = await (await conn.execute(query, {"now": self.clock.now() + _SECONDS, "chats": chat_ids})).fetchall()
        return {row["chat_id"]: row for row in rows}

    async def _page(self, look: _Look, chat: Chat, before: int | None) -> Data:
        found = list(await self.chats.messages(look.who, chat.id, before=before, limit=PAGE + 1))
        earlier = len(found) > PAGE
        found = found[-PAGE:]
        asked = [one.id for one in found if one.direction == "out"]
        quoted = [one.reply_to for one in found if one.reply_to]
        async with self.db.tenant(look.who.tenant_id) as conn:
            query = """SELECT id, message_id, state, decision, reason, error, not_before, template FROM outbox
                       WHERE chat_id = %s AND message_id = ANY(%s)"""
            rows = await (await conn.execute(query, [chat.id, asked])).fetchall()
            query = """SELECT id, external_id, author, author_id, kind, text FROM chat_messages
                       WHERE chat_id = %s AND (external_id = ANY(%s) OR id = ANY(%s))"""
            quotes = await (await conn.execute(query, [chat.id, quoted, quoted])).fetchall()
        outbox = {row["message_id"]: row for row in rows}
        known = {key: row for row in quotes for key in (row["id"], row["external_id"]) if key}
        drawn = [_message(look, chat, one, outbox.get(one.id), known.get(one.reply_to or "")) for one in found]
        return {"messages": drawn, "earlier": earlier}

    async def _chat(self, look: _Look, chat: Chat) -> Data:
        channel = look.channels.get(chat.channel_id)
        window = _window(look, chat, channel)
        standing = await self.stands(look.who.tenant_id, chat)
        known = await self.knows(look.who, chat)
        may_write = self._writes(look.who.role)
        name = _name(look, chat)
        templated = channel is not None and has_window(channel)
        return {
            "id": chat.id,
            "version": chat.version,
            "name": name,
            "first_name": chat.name.split()[0] if chat.name.split() else "",
            "address": _address(chat),
            "channel": channel.name if channel else "",
            "held": chat.held,
            "held_by": look.user(chat.held_by),
            "held_label": _held(look, chat),
            "mine": chat.held == "person" and chat.held_by == look.who.user_id,
            "fetching": look.say("inbox.fetching", name=name) if chat.held == "fetching" else "",
            "closed": chat.closed_at is not None,
            "unread": chat.unread,
            "owner_id": chat.owner_id or "",
            "owner": look.user(chat.owner_id),
            "summary": chat.summary,
            "tags": list(chat.tags),
            "window": window,
            "consent": _consent(look, standing) | {"acts": _may_be_heard(standing) if may_write else []},
            "stopped_writing": "" if window is None or window["open"] else window["stopped"],
            "composer_hint": _hint(look, chat, standing) if may_write else "",
            "may_attach": channel is not None and channel.provider != "sms",
            "templates": templated,
            "quick": True,
            "records": await self._records(look, chat),
            "meeting": look.moment(known.meets_at) if known.meets_at else "",
            "meeting_id": known.meeting_id if may_write else "",
            "ad": _ad(look, chat),
            "known": {
                "stage": known.stage,
                "next": known.next,
                "score": {
                    "value": known.score[0],
                    "of": look.say("inbox.score_of", score=known.score[0]),
                    "reasons": list(known.score[1]),
                }
                if known.score
                else None,
                "evidence": [
                    {"label": label, "value": value, "quotes": [{"text": text, "message": id_} for text, id_ in quotes]}
                    for label, value, quotes in known.evidence
                ],
            },
        }

    async def _records(self, look: _Look, chat: Chat) -> Sequence[Data]:
        """What the CRM shows this viewer of whom the conversation is with."""
        found: list[Data] = []
        for label, id_, read in (
            ("contact", chat.contact_id, self.crm.contact),
            ("company", chat.company_id, self.crm.company),
            ("deal", chat.deal_id, self.crm.deal),
        ):
            if id_ is None:
                continue
            try:
                record: Any = await read(look.who, id_)
            except Refused:
                continue
            names = ("title",) if label == "deal" else ("name", "trade_name", "legal_name")
            name = next((value for one in names if (value := getattr(record, one, None))), look.say("inbox.nameless"))
            stage = f" · {record.stage.name}" if label == "deal" else ""
            found.append({"id": id_, "label": look.say(f"inbox.record.{label}"), "name": f"{name}{stage}"})
        return found


_FILTERS: dict[str, dict[str, Any]] = {
    "open": {},
    "waiting": {"state": "fetching"},
    "mine": {"mine": "mine"},
    "unassigned": {"mine": "unassigned"},
    "unread": {"unread": True},
    "closed": {"state": "closed"},
}


def _searched(search: str) -> str:
    """What is typed, and a telephone as it is stored: "(19) 99120-4507" is 19991204507."""
    search = search.strip()[:100]
    return re.sub(r"\D", "", search) if re.fullmatch(r"\+?[\d\s().-]{6,}", search) else search


# --- a line of the list ---------------------------------------------------------------------------


def _line(look: _Look, line: ChatLine, waiting: Mapping[str, Any]) -> Data:
    chat, last = line.chat, line.last
    ours = last is not None and last.direction == "out"
    return {
        "id": chat.id,
        "name": _name(look, chat),
        "at": chat.last_at.isoformat(),
        "when": look.when(chat.last_at),
        "preview": _preview(look, last) if last else "",
        "preview_by": _author(look, last, short=True) if last and ours else "",
        "preview_icon": ("close" if last.status == "dropped" else _LINE_ICONS.get(last.kind, "")) if last else "",
        "unread": chat.unread,
        "held": chat.held,
        "held_by": look.user(chat.held_by) or look.say("inbox.somebody"),
        "owner": look.user(chat.owner_id),
        "mine": look.who.user_id in (chat.owner_id, chat.held_by),
        "closed": chat.closed_at is not None,
        "waiting_since": chat.waiting_since.isoformat() if chat.waiting_since and chat.held != "bot" else "",
        "asks": waiting.get("asks", 0),
        "leaves": look.say("inbox.leaves", when=look.soon(leaves)) if (leaves := waiting.get("leaves")) else "",
        "failed": bool(ours and last and last.status == "failed"),
    }


def _preview(look: _Look, last: Message) -> str:
    if last.revoked_at is not None:
        return look.say("inbox.word.revoked")
    words = last.text or str((last.media or {}).get("words") or "") or _kind(look, last)
    return " ".join(words.split())[:140]


def _name(look: _Look, chat: Chat) -> str:
    return chat.name or _address(chat) or look.say("inbox.nameless")


def _address(chat: Chat) -> str:
    """The telephone as people write it; an e-mail address as it is; nothing for an id that says nothing to anybody."""
    if re.fullmatch(r"\+?\d{8,15}", chat.address):
        return formats.phone(f"+{chat.address.lstrip('+')}")
    return chat.address if "@" in chat.address and not chat.address.endswith("@lid") else ""


def _held(look: _Look, chat: Chat) -> str:
    if chat.closed_at is not None:
        return look.say("inbox.closed")
    if chat.held == "person" and chat.held_by:
        mine = chat.held_by == look.who.user_id
        return look.say("inbox.with_you") if mine else look.say("inbox.with", name=look.user(chat.held_by))
    return look.say(f"messaging.held.{chat.held}")


# --- a conversation -------------------------------------------------------------------------------


def _window(look: _Look, chat: Chat, channel: Channel | None) -> Data | None:
    """The 24 hours in which text may be written; None where the channel knows none."""
    if channel is None or not has_window(channel):
        return None
    ends = closes(chat.last_from_contact, look.now)
    if ends is None or ends <= look.now:
        key = "inbox.window.never" if ends is None else "inbox.window.closed_hint"
        since = look.moment(ends) if ends else ""
        return {
            "open": False,
            "soon": False,
            "until": ends.isoformat() if ends else "",
            "label": look.say("inbox.window.closed"),
            "hint": look.say(key, since=since),
            "stopped": look.say(key, since=since) + " " + look.say("inbox.window.template_only"),
            "free": "",
        }
    entry = EntryPoint(chat.entry_at, chat.entry_answered_at) if chat.entry_at else None
    free = free_until(entry, look.now)
    today = look.local(ends).date() == look.local(look.now).date()
    return {
        "open": True,
        "soon": ends - look.now <= _SOON,
        "until": ends.isoformat(),
        "label": look.say("inbox.window.closes_at", time=look.clock(ends))
        if today
        else look.say("inbox.window.closes_on", day=look.day(ends), time=look.clock(ends)),
        "hint": look.say("inbox.window.hint"),
        "stopped": "",
        "free": look.say("inbox.window.free", until=look.moment(free)) if free else "",
    }


def _consent(look: _Look, standing: Standing) -> Data:
    for entry, name in ((standing.stopped, "stopped"), (standing.marketing_stopped, "marketing_stopped")):
        if entry is not None:
            label = look.say(f"inbox.consent.{name}", day=formats.day(look.local(entry.at).date(), look.who.language))
            return {
                "stopped": name == "stopped",
                "label": label,
                "detail": f"“{entry.wording}”" if entry.wording else "",
            }
    if (given := standing.consent) is not None:
        day = formats.day(look.local(given.at).date(), look.who.language)
        label = look.say("inbox.consent.given", day=day, how=look.say(f"inbox.consent.how.{given.how}"))
        return {"stopped": False, "label": label, "detail": _quoted(given.wording)}
    return {"stopped": False, "label": look.say("inbox.consent.none"), "detail": look.say("inbox.consent.none_hint")}


def _may_be_heard(standing: Standing) -> Sequence[str]:
    """What a person of ours may write down that the contact said to them (inbox_acts.py)."""
    if standing.stopped or standing.marketing_stopped:
        return ["resumed"] if standing.stopped else ["resumed", "stopped"]
    return ["stopped"] if standing.consent else ["gave", "stopped"]


def _quoted(words: str) -> str:
    return f"“{words}”" if words else ""


def _hint(look: _Look, chat: Chat, standing: Standing) -> str:
    """What happens when one writes now: said before, not after."""
    if chat.closed_at is not None:
        return look.say("inbox.hint.closed")
    if standing.stopped is not None:
        return look.say("inbox.hint.opted_out")
    if chat.held == "person" and chat.held_by not in (None, look.who.user_id):
        return look.say("inbox.hint.other", name=look.user(chat.held_by))
    if chat.held == "bot":
        answering = chat.due_at is not None and chat.waiting_since is not None
        return look.say("inbox.hint.bot_answers" if answering else "inbox.hint.bot")
    return look.say("inbox.hint.fetching") if chat.held == "fetching" else ""


def _ad(look: _Look, chat: Chat) -> Data | None:
    told = chat.referral
    if not told:
        return None
    title = str(told.get("headline") or told.get("source_id") or look.say("inbox.ad"))
    source = look.word(f"inbox.ad.{told.get('source_type')}", look.say("inbox.ad"))
    since = look.moment(chat.entry_at) if chat.entry_at else ""
    id_ = str(told.get("source_id") or "")
    return {
        "title": title[:200],
        "text": str(told.get("body") or "")[:400],
        "note": " · ".join(part for part in (source, id_ if id_ != title else "", since) if part),
    }


def _template(look: _Look, chat: Chat, row: Mapping[str, Any]) -> Data:
    body = str(row["body"])
    holes = row.get("holes") or {}
    proposed = {"name": chat.name.split()[0] if chat.name.split() else "", "sender": look.who.name.split()[0]}
    variables = []
    for name in dict.fromkeys(re.findall(r"\{\{\s*(\w+)\s*\}\}", body)):
        meaning = str(holes.get(name, name)) if isinstance(holes, Mapping) else name
        label = look.word(f"inbox.hole.{meaning}", look.say("inbox.hole", name=name))
        variables.append({"name": name, "label": label, "value": proposed.get(meaning, "")})
    status, more = str(row["status"]).upper(), wants_more(row)
    why = (
        look.say(f"inbox.template_wants.{more}")
        if more
        else look.word(f"inbox.template_status.{status.lower()}", status)
    )
    return {
        "key": f"{row['name']}.{row['language']}",
        "name": row["name"],
        "language": row["language"],
        "category": look.word(f"inbox.category.{str(row['category']).lower()}", str(row["category"])),
        "status": why,
        "usable": status == "APPROVED" and not more,
        "body": body,
        "variables": variables,
    }


# --- a message ------------------------------------------------------------------------------------


def _message(
    look: _Look, chat: Chat, one: Message, outbox: Mapping[str, Any] | None, quoted: Mapping[str, Any] | None
) -> Data:
    side = "system" if one.author == "system" and one.direction == "note" else one.direction
    local = look.local(one.at)
    drawn: Data = {
        "id": one.id,
        "seq": one.seq,
        "side": side,
        "author": one.author,
        "name": _author(look, one) or _name(look, chat),
        "kind_label": _kind(look, one),
        "text": "" if one.revoked_at is not None else one.text,
        "at": one.at.isoformat(),
        "clock": look.clock(one.at),
        "full_time": look.moment(one.at),
        "day": local.date().isoformat(),
        "day_label": look.day(one.at),
        "edited": one.edited_at is not None,
        "revoked": one.revoked_at is not None,
        "reaction": one.reaction,
        "big": bool(one.text and one.kind == "text" and _EMOJI_ONLY.fullmatch(one.text)),
        "forwarded": bool(one.content.get("forwarded")),
        "chosen": one.direction == "in" and one.kind in ("interactive", "button") and bool(one.text),
        **_shape(one),
    }
    if one.revoked_at is None and (file := _file(look, one)):
        drawn["media"] = file
        # A file's name is told by the file itself; a caption is the words below it.
        if drawn["text"] == file["label"]:
            drawn["text"] = ""
    if quoted is not None:
        name = look.say("inbox.bot") if quoted["author"] == "bot" else look.user(quoted["author_id"])
        words = quoted["text"] or look.word(f"inbox.kind.{quoted['kind']}", look.say("inbox.kind.unknown"))
        drawn["quote"] = {"id": quoted["id"], "name": name or _name(look, chat), "text": words[:200]}
    if side == "out":
        drawn |= _fate(look, one, outbox)
    return drawn


def _author(look: _Look, one: Message, *, short: bool = False) -> str:
    """Who of ours said it; "" for the contact."""
    if one.author == "bot":
        return look.say("inbox.bot")
    if one.author == "person" and one.author_id == look.who.user_id:
        return look.say("inbox.you")
    if one.author == "person":
        name = look.user(one.author_id) or look.say("inbox.in_the_app")
        return name.split()[0] if short and look.user(one.author_id) else name
    return look.say("inbox.system") if one.author == "system" else ""


def _kind(look: _Look, one: Message) -> str:
    if one.kind == "audio" and (one.content.get("voice") or (one.media or {}).get("voice")):
        return look.say("inbox.kind.voice")
    return look.word(f"inbox.kind.{one.kind}", look.say("inbox.kind.unknown"))


def _fate(look: _Look, one: Message, outbox: Mapping[str, Any] | None) -> Data:
    """How far a message of ours came, and why it waits, needs a decision, failed or never leaves."""
    state = str(outbox["state"]) if outbox else ""
    decision = _decision(outbox["decision"]) if outbox and outbox["decision"] else None
    drawn: Data = {"template": (outbox or {}).get("template") or _template_name(one)}
    if one.status == "dropped" or state == "dropped":
        drawn |= {"state": "dropped", "why": _why_dropped(look, decision, str((outbox or {}).get("reason") or ""))}
        return drawn
    if one.status == "failed" or state == "failed":
        code = one.error or (outbox or {}).get("error")
        drawn |= {"state": "failed", "why": {"short": _why_failed(look, code, one.reason), "long": ""}}
        drawn["status"] = {"code": "failed", "icon": "alert", "label": look.say("inbox.status.failed")}
        return drawn
    if state == "ask" and outbox is not None:
        why = _explained(look, decision)
        short = why["short"] or look.say("inbox.asks")
        choice = _choice(decision, outbox["decision"])
        return drawn | {"state": "ask", "outbox": outbox["id"], "choice": choice, "why": {**why, "short": short}}
    if state == "unknown" and outbox is not None:
        why = {"short": look.say("inbox.unknown_outcome"), "long": ""}
        drawn |= {"state": "unknown", "outbox": outbox["id"], "choice": "again", "why": why}
    elif state == "waiting" and decision is not None and decision.verdict is Verdict.WAIT:
        drawn |= {"state": "waiting", "why": _explained(look, decision)}
    elif state == "waiting" and outbox is not None and (outbox["not_before"] or look.now) > look.now:
        leaves = look.say("inbox.leaves_at", when=look.moment(outbox["not_before"]))
        drawn |= {"state": "waiting", "why": {"short": leaves, "long": ""}}
    try:
        status = Status(one.status or "")
    except ValueError:
        return drawn
    label = look.say(f"inbox.status.{status}")
    if one.status_at is not None and status is not Status.QUEUED:
        label = look.say("inbox.status_at", status=label, when=look.when(one.status_at))
    if one.contradicted:
        label += " " + look.say("inbox.contradicted")
    drawn["status"] = {"code": str(status), "icon": _ICONS[status], "label": label}
    return drawn


def _choice(decision: Decision | None, record: Mapping[str, Any] | None) -> str:
    """What "send" would do with a message that waits for a decision: it goes as it is ("send"), as the template that
    the policy named ("template"), or it would be asked about again, so that it can only be dropped ("")."""
    if record and record.get("template"):
        return "template"
    return "" if decision is not None and decision.rule in _HOPELESS else "send"


def _template_name(one: Message) -> str:
    told = one.content.get("template")
    return str(told.get("name") or "") if isinstance(told, Mapping) else ""


def _decision(record: Mapping[str, Any]) -> Decision | None:
    """What the row keeps of the policy's word, for explaining it."""
    try:
        return Decision(
            Verdict(record["verdict"]),
            record["rule"],
            record["source"],
            why_from(record["why"]),
            datetime.fromisoformat(record["at"]),
            cautions=tuple(why_from(one) for one in record.get("cautions", ())),
        )
    except (KeyError, ValueError, TypeError):
        return None


def _explained(look: _Look, decision: Decision | None) -> Data:
    if decision is None:
        return {"short": "", "long": ""}
    zone = look.who.time_zone
    try:
        whole = explained(decision, look.say, zone).split("\n")
    except KeyError:  # a rule whose words are not written yet
        return {"short": "", "long": ""}
    cautions = [said(one, look.say, zone) for one in decision.cautions]
    return {"short": whole[0], "long": "\n".join([whole[1], *cautions])}


def _why_dropped(look: _Look, decision: Decision | None, reason: str) -> Data:
    """What made it out of date; the policy's last word may be older than that."""
    words = look.word(f"inbox.dropped.{reason}", "") if reason else ""
    if not words and decision is not None and not decision.may_leave:
        return _explained(look, decision)
    return {"short": look.say("inbox.dropped", why=words).strip(), "long": ""}


def _why_failed(look: _Look, code: int | None, reason: str) -> str:
    if code:
        told = errors.rule(code)
        key = f"error.{told.text}"
        if look.texts.has(key):
            words = look.say(key, detail=reason or told.meaning, wait=0, code=code)
            return look.say("inbox.failed", why=words, code=code)
    words = look.word(f"inbox.failure.{reason}", reason) if reason else look.say("inbox.failure.nameless")
    return look.say("inbox.failed", why=words, code=code or 0)


def _shape(one: Message) -> Data:
    """What a message has beside its words: place, cards, header, footer, buttons, a list of options."""
    content = one.content
    drawn: Data = {}
    payload = content.get(one.kind)
    told: Mapping[str, Any] = payload if isinstance(payload, Mapping) else content
    if one.kind == "location":
        where = (_number(told.get("latitude")), _number(told.get("longitude")))
        if None not in where:
            address = f"https://www.google.com/maps?q={where[0]},{where[1]}"
            name = str(told.get("name") or f"{where[0]}, {where[1]}")
            drawn["place"] = {"name": name, "address": str(told.get("address") or ""), "url": address}
            drawn["text"] = "" if one.text in (name, told.get("address")) else one.text
    elif one.kind == "contacts":
        cards = payload if isinstance(payload, list) else content.get("contacts") or content.get("cards") or []
        drawn["cards"] = [card for raw in cards if isinstance(raw, Mapping) and (card := _card(raw))]
        drawn["text"] = "" if drawn["cards"] else one.text
    elif one.kind == "interactive" and one.direction == "out":
        drawn |= _interactive(told)
    if referral := content.get("referral"):
        drawn["ad"] = (
            str(referral.get("headline") or referral.get("source_id") or "") if isinstance(referral, Mapping) else ""
        )
    return drawn


def _interactive(told: Mapping[str, Any]) -> Data:
    drawn: Data = {}
    if body := _text(told, "body", "text"):
        drawn["text"] = body  # the message's own text tells the options, too
    action = told.get("action")
    action = action if isinstance(action, Mapping) else {}
    for name in ("header", "footer"):
        part = told.get(name)
        if isinstance(part, Mapping) and isinstance(part.get("text"), str):
            drawn[name] = part["text"]
    kind = told.get("type")
    if kind == "button":
        titles = [_text(one, "reply", "title") for one in action.get("buttons", ())]
        drawn["buttons"] = [{"title": title} for title in titles if title]
    elif kind == "cta_url":
        title, url = _text(action, "parameters", "display_text"), _text(action, "parameters", "url")
        drawn["buttons"] = [{"title": title, "url": url if re.match(r"https?://", url) else ""}]
    elif kind == "list":
        sections = [one for one in action.get("sections", ()) if isinstance(one, Mapping)]
        drawn["list"] = {
            "label": str(action.get("button") or ""),
            "sections": [
                {
                    "title": str(one.get("title") or ""),
                    "rows": [
                        {"title": str(row.get("title") or ""), "note": str(row.get("description") or "")}
                        for row in one.get("rows", ())
                    ],
                }
                for one in sections
            ],
        }
    return drawn


def _card(raw: Mapping[str, Any]) -> Data | None:
    named = raw.get("name")
    name = named.get("formatted_name") if isinstance(named, Mapping) else named
    ways: list[str] = []
    for one in raw.get("phones") or ():
        given = one.get("phone") if isinstance(one, Mapping) else one
        if given:
            ways.append(formats.phone(str(given)))
    for one in raw.get("emails") or ():
        given = one.get("email") if isinstance(one, Mapping) else one
        if given:
            ways.append(str(given))
    return {"name": str(name or "?"), "ways": " · ".join(ways)} if name or ways else None


def _file(look: _Look, one: Message) -> Data | None:
    """The file of a message: what came in is a row of chat_media, what one of ours sent a file in the message."""
    row = one.media
    if row is None:
        payload = one.content.get(one.kind)
        id_ = str(payload.get("id") or "") if isinstance(payload, Mapping) else ""
        if one.kind not in ("image", "video", "audio", "document", "sticker") or not id_.startswith(OUR_FILE):
            return None
        assert isinstance(payload, Mapping)
        name = str(payload.get("filename") or "")
        row = {"id": id_, "kind": one.kind, "state": "kept", "file_id": id_, "name": name, "mime": ""}
    kept = row.get("state") == "kept" and bool(row.get("file_id"))
    kind, mime = str(row.get("kind") or one.kind), str(row.get("mime") or "").partition(";")[0]
    label = str(row.get("name") or "") or _kind(look, one)
    words, state = str(row.get("words") or ""), str(row.get("words_state") or "none")
    by = str(row.get("words_by") or "")
    by = "" if by.startswith("mutirao/") else by  # a reader of ours: no model whose word it would be
    known = {"audio": "transcript", "image": "description", "sticker": "description"}.get(kind, "text")
    shows = kind if mime == "" else "image" if mime in PICTURES else "video" if mime in FILMS else "file"
    reason = str(row.get("reason") or "")
    why = look.word(f"media.reason.{reason}", look.say("media.reason.other")) if reason else ""
    gone = f"inbox.media.{row.get('state')}"
    return {
        "id": str(row["id"]),
        "kind": kind,
        "state": str(row.get("state") or ""),
        "shows": "image" if shows == "sticker" else shows,
        "url": f"/chat/data/inbox/media/{row['id']}?chat={one.chat_id}" if kept else "",
        "label": label,
        "name": str(row.get("name") or ""),
        "alt": words[:300] or label,
        "size": _size(look, row.get("size")),
        "seconds": float(row["seconds"]) if row.get("seconds") else 0,
        "note": "" if kept else f"{look.word(gone, '')} {why}".strip(),
        "words": words if state == "done" else "",
        "words_label": look.say(f"inbox.words.{known}", by=by) if state == "done" else "",
        "words_note": why
        if state == "failed" and kept
        else look.say("inbox.words.waiting")
        if state == "waiting"
        else "",
    }


def _size(look: _Look, size: Any) -> str:
    if not isinstance(size, int) or size <= 0:
        return ""
    unit, by = ("MB", 1_048_576) if size >= 1_048_576 else ("kB", 1_024)
    return f"{formats.number(Decimal(size) / by, look.who.language, 1 if unit == 'MB' else 0)} {unit}"


def _number(value: Any) -> float | None:
    try:
        return round(float(value), 6)
    except (TypeError, ValueError):
        return None


def _text(value: Any, *names: str) -> str:
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, str) else ""
