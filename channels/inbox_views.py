"""The attendants' inbox as rows to lay out: conversations with people outside, what was said, what is known of them.

Everything is drawn for whoever looks, with their own rights (business/messaging/chats.py), as ready words in plain
JSON: a conversation by inbox_chats.py, a message by inbox_messages.py, a file by inbox_files.py. What is done there is
inbox_acts.py; the addresses are inbox_pages.py.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from business.crm.service import Crm
from business.messaging.channels import Channels
from business.messaging.chats import AREA, ChatLine, Chats
from business.messaging.consent import Standing
from business.messaging.conversation import Chat, as_written
from business.messaging.known import has_window
from business.messaging.outbox import OUR_FILE
from business.people.service import People
from channels.inbox_chats import ad_of, consent_of, held_of, hint_of, line_of, may_be_heard, template_of, window_of
from channels.inbox_files import UPLOADS
from channels.inbox_known import Knows
from channels.inbox_look import Data, Look, name_of
from channels.inbox_messages import message_of
from core.clock import Clock
from core.db import Database, fetch_all, fetch_one
from core.errors import Refused
from core.permissions import Permissions, Scope
from core.tenancy import Identity, Role
from prompts.texts import Texts

SHOWS = ("open", "waiting", "mine", "unassigned", "unread", "closed")
"""The filters of the list; "waiting" are those where a person is being fetched."""
PAGE = 50  # messages that are read at once
_SECONDS = timedelta(minutes=1)  # what leaves within it is not told as waiting in the list
_MOST_LINES = 1_000
_WORDS = "inbox.word."
"""Texts below this key are the page's own, which it is given once."""

Stands = Callable[[str, Chat], Awaitable[Standing]]
"""(tenant id, conversation) → what the consent ledger comes to."""


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
            "chats": [line_of(look, line, waiting.get(line.chat.id, {})) for line in lines],
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
            rows = await fetch_all(
                conn, "SELECT * FROM message_templates WHERE channel_id = %s ORDER BY name, language", [chat.channel_id]
            )
        found = [template_of(look, chat, row) for row in rows]
        return {"templates": sorted(found, key=lambda one: (not one["usable"], one["name"], one["language"]))}

    async def media(self, who: Identity, media_id: str, chat_id: str = "") -> Mapping[str, Any]:
        """The row of a file in a conversation that `who` may see; `chat_id` tells where a file of ours was sent.
        Refused("chat_unknown") otherwise."""
        async with self.db.tenant(who.tenant_id) as conn:
            row = await fetch_one(conn, "SELECT * FROM chat_media WHERE id = %s", [media_id])
            if row is None and media_id.startswith(OUR_FILE):  # it lies in the message itself
                query = """SELECT chat_id, %s AS file_id, 'kept' AS state, '' AS mime, '' AS name FROM chat_messages
                           WHERE chat_id = %s AND direction = 'out' AND content -> (content ->> 'type') ->> 'id' = %s
                           LIMIT 1"""
                row = await fetch_one(conn, query, [media_id, chat_id, media_id])
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

    async def _look(self, who: Identity) -> Look:
        names = {user.id: user.name for user in await self.people.users(who.tenant_id)}
        channels = {channel.id: channel for channel in await self.channels.of(who.tenant_id)}
        return Look(who, self.texts, names, channels, self.clock.now())

    async def _open(self, who: Identity, chat_ids: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        """Of each conversation that has such: how many messages wait for a person's word (`asks`), and when the first
        of those that wait for their time leaves (`leaves`)."""
        query = """SELECT chat_id, count(*) FILTER (WHERE state = 'ask') AS asks,
                          min(greatest(not_before, (decision->>'until')::timestamptz))
                              FILTER (WHERE state = 'waiting' AND (not_before > %(now)s
                                      OR (decision->>'until')::timestamptz > %(now)s)) AS leaves
                   FROM outbox WHERE state IN ('ask', 'waiting') AND chat_id = ANY(%(chats)s) GROUP BY chat_id"""
        async with self.db.tenant(who.tenant_id) as conn:
            rows = await fetch_all(conn, query, {"now": self.clock.now() + _SECONDS, "chats": chat_ids})
        return {row["chat_id"]: row for row in rows}

    async def _page(self, look: Look, chat: Chat, before: int | None) -> Data:
        found = list(await self.chats.messages(look.who, chat.id, before=before, limit=PAGE + 1))
        earlier = len(found) > PAGE
        found = found[-PAGE:]
        asked = [one.id for one in found if one.direction == "out"]
        quoted = [one.reply_to for one in found if one.reply_to]
        async with self.db.tenant(look.who.tenant_id) as conn:
            query = """SELECT id, message_id, state, decision, reason, error, not_before, template FROM outbox
                       WHERE chat_id = %s AND message_id = ANY(%s)"""
            rows = await fetch_all(conn, query, [chat.id, asked])
            query = """SELECT id, external_id, author, author_id, kind, text FROM chat_messages
                       WHERE chat_id = %s AND (external_id = ANY(%s) OR id = ANY(%s))"""
            quotes = await fetch_all(conn, query, [chat.id, quoted, quoted])
        outbox = {row["message_id"]: row for row in rows}
        known = {key: row for row in quotes for key in (row["id"], row["external_id"]) if key}
        drawn = [message_of(look, chat, one, outbox.get(one.id), known.get(one.reply_to or "")) for one in found]
        return {"messages": [one for one in drawn if not _on_its_bubble(one)], "earlier": earlier}

    async def _chat(self, look: Look, chat: Chat) -> Data:
        channel = look.channels.get(chat.channel_id)
        window = window_of(look, chat, channel)
        standing = await self.stands(look.who.tenant_id, chat)
        known = await self.knows(look.who, chat)
        may_write = self._writes(look.who.role)
        name = name_of(look, chat)
        templated = channel is not None and has_window(channel)
        return {
            "id": chat.id,
            "version": chat.version,
            "name": name,
            "first_name": chat.name.split()[0] if chat.name.split() else "",
            "address": as_written(chat.address),
            "channel": channel.name if channel else "",
            "held": chat.held,
            "held_by": look.user(chat.held_by),
            "held_label": held_of(look, chat),
            "mine": chat.held == "person" and chat.held_by == look.who.user_id,
            "fetching": look.say("inbox.fetching", name=name) if chat.held == "fetching" else "",
            "closed": chat.closed_at is not None,
            "unread": chat.unread,
            "owner_id": chat.owner_id or "",
            "owner": look.user(chat.owner_id),
            "summary": chat.summary,
            "tags": list(chat.tags),
            "window": window,
            "consent": consent_of(look, standing) | {"acts": may_be_heard(standing) if may_write else []},
            "stopped_writing": "" if window is None or window["open"] else window["stopped"],
            "composer_hint": hint_of(look, chat, standing) if may_write else "",
            "may_attach": channel is not None and channel.provider != "sms",
            "templates": templated,
            "quick": True,
            "records": await self._records(look, chat),
            "meeting": look.moment(known.meets_at) if known.meets_at else "",
            "meeting_id": known.meeting_id if may_write else "",
            "ad": ad_of(look, chat),
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

    async def _records(self, look: Look, chat: Chat) -> Sequence[Data]:
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


def _on_its_bubble(drawn: Data) -> bool:
    """A reaction of ours is shown on the message that it is to; one that did not leave says so by itself."""
    return bool(drawn["our_reaction"]) and drawn.get("state") not in ("failed", "dropped", "ask", "unknown")


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
