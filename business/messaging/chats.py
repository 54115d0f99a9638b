"""Conversations with people outside, as people of ours see and lead them: list, read, take over, answer, hand back.

A conversation is a row of `chats`, what was said rows of `chat_messages` (conversation.py); sorter.py writes what comes
in, outbox.py what leaves. Whoever changes a conversation locks its row first, and then whatever else.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from business.messaging.attention import Event
from business.messaging.changes import TOPIC, changed
from business.messaging.consent import Act, Entry, How
from business.messaging.consent import Scope as Wide
from business.messaging.conversation import (
    COLUMNS,
    MESSAGES,
    Chat,
    Message,
    as_chat,
    as_message,
    chat_of,
    recent,
    write_note,
)
from business.messaging.hands import Hands
from business.messaging.ledger import Ledger, standing_of
from business.messaging.outbox import Draft, Outbox
from business.messaging.templates import Filled, Purpose
from business.messaging.window import is_open
from core.audit import audit
from core.clock import Clock
from core.db import Connection, Database, fetch_all, fetch_one
from core.errors import ArgumentsWrong, Refused
from core.notices import Notices
from core.permissions import Permissions, Rights, Scope
from core.tenancy import Identity, Role
from integrations.whatsapp_cloud import messages as said
from integrations.whatsapp_cloud.messages import Content

AREA = "messaging"
State = Literal["open", "bot", "fetching", "person", "closed", "all"]
"""Of a list: not closed; in whose hand; closed; all."""
Mine = Literal["all", "mine", "unassigned"]

_LONGEST_NOTE = 4_000  # characters
_MOST = 200  # rows of one page


@dataclass(frozen=True)
class ChatLine:
    """A conversation in a list, with the newest of what was said (None while nothing was)."""

    chat: Chat
    last: Message | None


@dataclass(frozen=True)
class QuickReply:
    """A text that an attendant sends often; `name` is what they type to find it."""

    name: str
    text: str


@dataclass
class Chats:
    """For people of ours in the area "messaging": all conversations of the tenant, or for a role that sees its own
    only (Comercial) those that are theirs, or nobody's yet. What is not theirs to see is not there.

    `quick` gives a user's quick replies.
    """

    db: Database
    clock: Clock
    permissions: Permissions
    hands: Hands
    notices: Notices
    outbox: Outbox
    ledger: Ledger
    quick: Callable[[Identity], Awaitable[list[QuickReply]]]
    read: Callable[[Connection, str, str], Awaitable[None]] | None = None
    """Has the contact be told that we read what they wrote: (transaction, tenant id, chat id)."""
    assigned: Callable[[Connection, Identity, Chat, str], Awaitable[None]] | None = None
    """Tells a colleague that a conversation is theirs now: (transaction, who gave it, the conversation, user id)."""
    _rights: Rights = field(init=False)

    def __post_init__(self) -> None:
        self._rights = Rights(self.permissions, AREA, "chats_not_allowed")

    # --- looking ------------------------------------------------------------------------------

    async def list(
        self,
        who: Identity,
        *,
        state: State = "open",
        mine: Mine = "all",
        search: str = "",
        unread: bool = False,
        channel_id: str | None = None,
        limit: int = 50,
        before: tuple[datetime, str] | None = None,
    ) -> list[ChatLine]:
        """Newest first. `before`: (last_at, id) of the last line that is shown already; `search` looks through names,
        addresses and what was said. Refused("chats_not_allowed")."""
        own = self._rights.reads(who)
        where = ["(%(own)s::text IS NULL OR c.owner_id = %(own)s OR c.owner_id IS NULL)"]
        match state:
            case "open":
                where.append("c.closed_at IS NULL")
            case "closed":
                where.append("c.closed_at IS NOT NULL")
            case "bot" | "fetching" | "person":
                where.append("c.closed_at IS NULL AND c.held = %(state)s")
        match mine:
            case "mine":
                where.append("c.owner_id = %(me)s")
            case "unassigned":
                where.append("c.owner_id IS NULL")
        if unread:
            where.append("c.unread > 0")
        if channel_id is not None:
            where.append("c.channel_id = %(channel)s")
        if before is not None:
            where.append("(c.last_at, c.id) < (%(before_at)s, %(before_id)s)")
        wanted = search.strip()[:100].replace("\0", "")
        if wanted:
            where.append(
                """(c.name ILIKE %(like)s OR c.address ILIKE %(like)s OR EXISTS (SELECT FROM chat_messages s
                    WHERE s.tenant_id = c.tenant_id AND s.chat_id = c.id AND s.text ILIKE %(like)s))"""
            )
        query = f"""SELECT {COLUMNS}, (SELECT to_jsonb(l) FROM ({MESSAGES}
                        WHERE m.tenant_id = c.tenant_id AND m.chat_id = c.id AND m.direction <> 'note'
                        ORDER BY m.seq DESC LIMIT 1) l) AS last
                    FROM chats c WHERE {" AND ".join(where)} ORDER BY c.last_at DESC, c.id DESC LIMIT %(limit)s"""
        values = {
            "own": own,
            "me": who.user_id,
            "state": state,
            "channel": channel_id,
            "like": f"%{_escaped(wanted)}%",
            "limit": max(1, min(limit, _MOST)),
            "before_at": before[0] if before else None,
            "before_id": before[1] if before else None,
        }
        async with self.db.tenant(who.tenant_id) as conn:
            rows = await fetch_all(conn, query, values)
        return [ChatLine(as_chat(row), _last(row["last"])) for row in rows]

    async def counts(self, who: Identity) -> dict[str, int]:
        """How many open conversations there are: all, mine, unassigned, unread, bot, fetching, person."""
        own = self._rights.reads(who)
        query = """SELECT count(*) AS all, count(*) FILTER (WHERE owner_id = %(me)s) AS mine,
                          count(*) FILTER (WHERE owner_id IS NULL) AS unassigned,
                          count(*) FILTER (WHERE unread > 0) AS unread, count(*) FILTER (WHERE held = 'bot') AS bot,
                          count(*) FILTER (WHERE held = 'fetching') AS fetching,
                          count(*) FILTER (WHERE held = 'person') AS person
                   FROM chats WHERE closed_at IS NULL
                         AND (%(own)s::text IS NULL OR owner_id = %(own)s OR owner_id IS NULL)"""
        async with self.db.tenant(who.tenant_id) as conn:
            row = await fetch_one(conn, query, {"own": own, "me": who.user_id})
        assert row is not None
        return dict(row)

    async def get(self, who: Identity, chat_id: str) -> Chat:
        """Refused: chats_not_allowed, chat_unknown."""
        own = self._rights.reads(who)
        async with self.db.tenant(who.tenant_id) as conn:
            return _seen(await chat_of(conn, chat_id), own)

    async def of_contact(self, who: Identity, contact_id: str) -> Sequence[Chat]:
        """The conversations with a contact of the CRM, newest first."""
        own = self._rights.reads(who)
        query = f"""SELECT {COLUMNS} FROM chats c WHERE c.contact_id = %s
                    AND (%s::text IS NULL OR c.owner_id = %s OR c.owner_id IS NULL) ORDER BY c.last_at DESC LIMIT 50"""
        async with self.db.tenant(who.tenant_id) as conn:
            rows = await fetch_all(conn, query, [contact_id, own, own])
        return [as_chat(row) for row in rows]

    async def messages(
        self, who: Identity, chat_id: str, *, before: int | None = None, limit: int = 50
    ) -> Sequence[Message]:
        """What was said and noted, oldest first; `before`: the seq from which further back. Refused: chat_unknown."""
        own = self._rights.reads(who)
        async with self.db.tenant(who.tenant_id) as conn:
            _seen(await chat_of(conn, chat_id), own)
            return await recent(conn, chat_id, max(1, min(limit, _MOST)), before=before)

    async def quick_replies(self, who: Identity) -> Sequence[QuickReply]:
        """Texts at hand for attendants: the tenant's file, else ours in its language."""
        self._rights.reads(who)
        return await self.quick(who)

    async def watch(self, who: Identity) -> AsyncIterator[str]:
        """The ids of conversations of this tenant that change, as they do; "" when any may have changed (the
        connection was gone for a while). For a page that looks on; ends when the caller stops asking."""
        self._rights.reads(who)
        async for told in self.notices.listen(TOPIC):
            tenant_id, _, chat_id = told.partition(" ")
            if tenant_id in ("", who.tenant_id):
                yield chat_id

    # --- leading ------------------------------------------------------------------------------

    async def take_over(self, who: Identity, chat_id: str) -> Chat:
        """The bot is silent from now on; a turn that runs is stopped, and what waits of it is dropped."""
        return await self._step(who, chat_id, Event.PERSON_TOOK_OVER, claim=True)

    async def hand_back(self, who: Identity, chat_id: str) -> Chat:
        """The bot goes on, with a clean start. What the contact wrote and nobody answered, it answers."""
        return await self._step(who, chat_id, Event.HANDED_BACK)

    async def close(self, who: Identity, chat_id: str) -> Chat:
        """Done with: out of the list until the contact writes again, which then is the bot's."""
        return await self._step(who, chat_id, Event.CLOSED)

    async def _step(self, who: Identity, chat_id: str, event: Event, *, claim: bool = False) -> Chat:
        own = self._rights.writes(who)
        async with self.db.tenant(who.tenant_id) as conn:
            chat = _seen(await chat_of(conn, chat_id, lock=True), own)
            if claim and chat.owner_id is None:
                await conn.execute("UPDATE chats SET owner_id = %s WHERE id = %s", [who.user_id, chat_id])
            await self.hands.step(conn, chat_id, chat.attention, event, self.clock.now(), by=who.user_id)
            return await chat_of(conn, chat_id)

    async def assign(self, who: Identity, chat_id: str, user_id: str | None) -> Chat:
        """Give the conversation to a colleague, or to nobody (None). A Comercial may only take one that is nobody's, or
        give their own away. ArgumentsWrong("chat_owner_unknown") also for who may answer nobody."""
        own = self._rights.writes(who)
        async with self.db.tenant(who.tenant_id) as conn:
            chat = _seen(await chat_of(conn, chat_id, lock=True), own)
            if user_id is not None:
                query = "SELECT role FROM users WHERE id = %s AND active"
                found = await fetch_one(conn, query, [user_id])
                if found is None or self.permissions.write_scope(Role(found["role"]), AREA) is Scope.NONE:
                    raise ArgumentsWrong("chat_owner_unknown", f"no user {user_id[:80]!r}")
            if chat.owner_id != user_id:
                await conn.execute("UPDATE chats SET owner_id = %s WHERE id = %s", [user_id, chat_id])
                await changed(conn, who.tenant_id, chat_id)
                if user_id not in (None, who.user_id) and self.assigned is not None:
                    await self.assigned(conn, who, chat, user_id)
            return await chat_of(conn, chat_id)

    async def note(self, who: Identity, chat_id: str, text: str) -> Message:
        """Write something for colleagues; it is never sent. ArgumentsWrong("note_empty")."""
        own = self._rights.writes(who)
        text = _storable(text).strip()[:_LONGEST_NOTE]
        if not text:
            raise ArgumentsWrong("note_empty", "a note needs words")
        async with self.db.tenant(who.tenant_id) as conn:
            chat = _seen(await chat_of(conn, chat_id), own)
            return await write_note(conn, chat, text, self.clock.now(), author_id=who.user_id)

    async def mark_read(self, who: Identity, chat_id: str) -> None:
        """Nothing of it is unread any more."""
        own = self._rights.reads(who)
        async with self.db.tenant(who.tenant_id) as conn:
            _seen(await chat_of(conn, chat_id), own)
            done = await conn.execute("UPDATE chats SET unread = 0 WHERE id = %s AND unread > 0", [chat_id])
            if done.rowcount:
                await changed(conn, who.tenant_id, chat_id)
                if self.read is not None:
                    await self.read(conn, who.tenant_id, chat_id)

    async def tag(self, who: Identity, chat_id: str, tags: Sequence[str]) -> Chat:
        """Its tags from now on, 20 at most, 40 characters each."""
        own = self._rights.writes(who)
        kept = list(dict.fromkeys(one for given in tags if (one := _storable(given).strip()[:40])))[:20]
        async with self.db.tenant(who.tenant_id) as conn:
            _seen(await chat_of(conn, chat_id, lock=True), own)
            await conn.execute("UPDATE chats SET tags = %s WHERE id = %s", [kept, chat_id])
            await changed(conn, who.tenant_id, chat_id)
            return await chat_of(conn, chat_id)

    async def consent(self, who: Identity, chat_id: str, act: Act, words: str) -> None:
        """Write down what the contact said to one of ours about being written to, on whatever channel: they agree, they
        want nothing more, or they may be written to again. `words`: theirs. ArgumentsWrong: consent_words without any;
        consent_nothing_stopped, where no conversation stopped what should be resumed: the CRM's list is not theirs."""
        own = self._rights.writes(who)
        words = _storable(words).strip()
        if not words:
            raise ArgumentsWrong("consent_words", "what did the contact say?")
        async with self.db.tenant(who.tenant_id) as conn:
            chat = _seen(await chat_of(conn, chat_id, lock=True), own)
            address, contact_id = chat.address, chat.contact_id
            held = await standing_of(conn, address=address, contact_id=contact_id, user_id=chat.user_id, more=())
            if act is Act.RESUMED and held.stopped is None and held.marketing_stopped is None:
                raise ArgumentsWrong("consent_nothing_stopped", "nothing of the ledger is stopped")
            acts = [Act.RESUMED, act] if act is Act.CONSENTED and held.stopped is not None else [act]
            for one in acts:
                entry = Entry(self.clock.now(), one, Wide.ALL, How.PERSON, words)
                await self.ledger.write(
                    conn, who.tenant_id, entry, address=address, contact_id=contact_id, chat_id=chat_id
                )
            if act is Act.STOPPED:
                await self.outbox.drop(conn, chat_id, "opted_out")
                query = "UPDATE chats SET waiting_since = NULL, answered_in = messages_in WHERE id = %s"
            else:
                query = "UPDATE chats SET goodbye_sent = false WHERE id = %s"
            await conn.execute(query, [chat_id])
            await changed(conn, who.tenant_id, chat_id)
            await audit(conn, who, f"consent.{act}", chat_id, {"how": str(How.PERSON)})

    async def reply(
        self,
        who: Identity,
        chat_id: str,
        text: str = "",
        *,
        key: str,
        content: Content | None = None,
        template: Filled | None = None,
        reply_to: str | None = None,
    ) -> str:
        """Send something in a person's name, which takes the conversation over at once. Returns the outbox id.

        `key`: the form's own; the same one twice is one message. Said is the `content`, else the `template`, else the
        `text`. `reply_to`: our id of the message that is quoted. ArgumentsWrong: reply_empty, and those of the limits.
        """
        own = self._rights.writes(who)
        text = _storable(text).strip()
        if content is None and template is None:
            if not text:
                raise ArgumentsWrong("reply_empty", "nothing to send")
            content = said.text(text)
        async with self.db.tenant(who.tenant_id) as conn:
            chat = _seen(await chat_of(conn, chat_id, lock=True), own)
            if chat.owner_id is None:
                await conn.execute("UPDATE chats SET owner_id = %s WHERE id = %s", [who.user_id, chat_id])
            now = self.clock.now()
            await self.hands.step(conn, chat_id, chat.attention, Event.PERSON_WROTE, now, by=who.user_id)
            quoted = None
            if reply_to is not None:
                query = "SELECT external_id FROM chat_messages WHERE id = %s AND chat_id = %s"
                row = await fetch_one(conn, query, [reply_to, chat_id])
                quoted = row["external_id"] if row else None
            draft = Draft(
                purpose=Purpose.ANSWER,
                key=f"person:{chat_id}:{key}"[:200],
                content=content,
                template=None if content is not None else template,
                text=text,
                author="person",
                author_id=who.user_id,
                answers=chat.messages_in,
                reply_to=quoted,
            )
            return await self.outbox.put(conn, who.tenant_id, chat_id, draft)

    async def react(self, who: Identity, chat_id: str, message_id: str, emoji: str, *, key: str) -> str:
        """Put an emoji on a message of the contact's, "" takes it back. Nobody takes a conversation over by it, and
        what the contact wrote is as unanswered as before. Returns the outbox id; `key` as for `reply`.

        ArgumentsWrong: reaction_to_nothing, and those of the limits; Refused("reaction_too_late") when the 24 hours are
        over in which WhatsApp takes it.
        """
        own = self._rights.writes(who)
        async with self.db.tenant(who.tenant_id) as conn:
            chat = _seen(await chat_of(conn, chat_id, lock=True), own)
            row = await fetch_one(
                conn,
                """SELECT m.external_id,
                          coalesce((n.settings->>'window')::boolean, n.provider = 'whatsapp_cloud') AS windowed
                   FROM chat_messages m, channels n
                   WHERE m.id = %s AND m.chat_id = %s AND m.direction = 'in' AND n.id = %s""",
                [message_id, chat_id, chat.channel_id],
            )
            if row is None or not row["external_id"]:
                raise ArgumentsWrong("reaction_to_nothing", f"no message {message_id[:80]!r} of theirs")
            if row["windowed"] and not is_open(chat.last_from_contact, self.clock.now()):
                raise Refused("reaction_too_late", "the window is closed")
            draft = Draft(
                purpose=Purpose.ANSWER,
                key=f"person:{chat_id}:{key}"[:200],
                content=said.reaction(row["external_id"], emoji.strip() or None),
                author="person",
                author_id=who.user_id,
            )
            await conn.execute("UPDATE chat_messages SET reaction = %s WHERE id = %s", [emoji.strip(), message_id])
            await changed(conn, who.tenant_id, chat_id)
            return await self.outbox.put(conn, who.tenant_id, chat_id, draft)


def _seen(chat: Chat, own: str | None) -> Chat:
    if own is not None and chat.owner_id not in (None, own):
        raise Refused("chat_unknown", f"no conversation {chat.id[:80]!r}")
    return chat


def _last(row: dict[str, Any] | None) -> Message | None:
    if row is None:
        return None
    moments = ("at", "received_at", "status_at", "edited_at", "revoked_at")
    return as_message(row | {name: datetime.fromisoformat(row[name]) if row[name] else None for name in moments})


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _storable(text: str) -> str:
    return text.replace("\0", "").encode("utf-8", "replace").decode()
