"""What an item from outside becomes: a message of a conversation, a word about one of ours, or nothing.

Each in its batch (batch.py), with what follows from it: the turn that answers it, the hand that has the conversation,
the fate of what was about to leave.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import structlog
from psycopg.types.json import Jsonb

from business.messaging.arrivals import (
    Arrival,
    Echoed,
    Edited,
    Incoming,
    Moved,
    Reacted,
    Seen,
    TemplateTold,
    Told,
    Wished,
    moment_of,
    plain_text,
)
from business.messaging.attention import Attention, Event, Held
from business.messaging.batch import LONGEST, Batch, Row, Thread, later
from business.messaging.channels import Channel
from business.messaging.hands import Hands
from business.messaging.opting import Opting
from business.messaging.outbox import Outbox
from business.messaging.sender_evolution import option_of
from business.messaging.settling import Settling
from business.messaging.templates import Purpose
from business.messaging.turns import Arrival as Burst
from business.messaging.turns import turn_due
from business.messaging.waking import Waking, unanswered_since
from business.messaging.window import opens_window
from core.db import Connection, fetch_one

log = structlog.get_logger(__name__)

TemplateNews = Callable[[Connection, str, str, TemplateTold], Awaitable[Any]]
"""What became of a template: (conn, tenant id, channel id, news); whether what waits should be looked at again."""
Warn = Callable[[Connection, str, Channel, Told], Awaitable[None]]
"""A gateway said something about a whole number that a person has to know."""

_ASKED_LAST = """SELECT 1 FROM chat_messages m WHERE m.chat_id = %s AND m.id = %s AND m.author = 'bot'
    AND (m.text LIKE '%%?%%' OR m.kind = 'interactive')
    AND NOT EXISTS (SELECT FROM chat_messages o WHERE o.chat_id = m.chat_id AND o.seq > m.seq
                    AND (o.direction = 'in' OR o.author = 'person') AND o.direction <> 'note')"""
"""Whether a message of the bot's asks something itself, and nobody but the bot has said anything since."""
_ASKED = """SELECT content FROM chat_messages WHERE chat_id = %(chat)s AND direction = 'out'
    AND coalesce(status, '') NOT IN ('dropped', 'failed')
    AND (%(of)s::text IS NULL OR external_id = %(of)s) ORDER BY seq DESC LIMIT 1"""
_LONGEST_NUMBER = 20  # characters of "opção número 10", and a little
_ANSWERED_SO = """SELECT id, text, received_at FROM chat_messages WHERE chat_id = %s AND kind = 'reaction'
    AND direction = 'in' AND reply_to = %s AND revoked_at IS NULL ORDER BY seq DESC LIMIT 1"""
"""The sign on a message that counts as an answer to it."""


@dataclass(frozen=True)
class Sorting:
    """One per process."""

    outbox: Outbox
    settling: Settling
    opting: Opting
    hands: Hands
    waking: Waking
    templates: TemplateNews
    warn: Warn

    async def become(self, batch: Batch, row: Row, arrival: Arrival) -> str:
        """The outcome of an item, once it is in the batch or in its tables. `row`: of the inbox."""
        channel, received = batch.numbers[row["number"]], row["received_at"]
        match arrival:
            case Incoming():
                return await self._incoming(batch, channel, arrival, received)
            case Seen():
                await batch.write()  # the message may be of this very batch
                seen = replace(arrival, at=moment_of(arrival.at, received))
                chat_id = await self.settling.settle(batch.conn, batch.tenant_id, channel.id, seen)
                return "sorted" if chat_id else "early"
            case Echoed():
                return await self._echo(batch, channel, arrival, received)
            case Edited():
                return await self._edited(batch, channel, arrival, received)
            case Reacted():
                return await self._reacted(batch, channel, arrival, received)
            case Wished():
                return await self.opting.wish(batch, channel, arrival, received)
            case Moved():
                return await self._moved(batch, channel, arrival, received)
            case TemplateTold():
                if await self.templates(batch.conn, batch.tenant_id, channel.id, arrival):
                    await self.outbox.wake_channel(batch.conn, batch.tenant_id, channel.id)
                return "sorted"
            case Told():
                if arrival.grave:
                    log.error("gateway_told", tenant=batch.tenant_id, channel=channel.id, what=arrival.what)
                    await self.warn(batch.conn, batch.tenant_id, channel, arrival)
                else:
                    log.info("gateway_told", tenant=batch.tenant_id, channel=channel.id, what=arrival.what)
                return "sorted" if arrival.grave else "ignored"

    # --- a message ------------------------------------------------------------------------------

    async def _incoming(self, batch: Batch, channel: Channel, one: Incoming, received: datetime) -> str:
        if not one.who.address:
            return "dead:nobody"
        at = moment_of(one.at, received)
        chat = await batch.chat(channel, one.who, received)
        if (chat.id, one.id) in batch.known:
            return "twice"
        if one.kind == "text" and channel.provider != "whatsapp_cloud":
            one = await _chosen(batch, chat, one)
        text = plain_text(one.text)[:LONGEST]
        row = chat.row
        received = chat.follows(received)
        batch.add(chat, one, text, at, received)
        opens = opens_window(one.kind)
        chat.set(
            messages_in=row["messages_in"] + 1,
            last_from_contact=later(row["last_from_contact"], at) if opens else row["last_from_contact"],
            last_received_at=received,
            last_at=later(row["last_at"], received),
            unread=row["unread"] + 1,
            closed_at=None,
        )
        if one.referral and row["referral"] is None:
            chat.set(referral=dict(one.referral))
        if one.referral and row["entry_answered_at"] is None:
            chat.set(entry_at=at)
        if await self.opting.hear(batch, chat, one, text, at):
            return "sorted"
        await self._turn(batch, chat, one.kind, received)
        return "sorted"

    async def _turn(self, batch: Batch, chat: Thread, kind: str, received: datetime) -> None:
        """A message waits for an answer: when the bot has the conversation, its turn has a moment from now on."""
        row = chat.row
        if row["waiting_since"] is None:
            chat.set(waiting_since=received)
        if row["held"] == Held.PERSON:
            return
        if chat.id in batch.with_answers and row["superseded"] < batch.settings.most_superseded:
            # An answer that was about to leave knows nothing of this message: the next one covers both.
            batch.with_answers.discard(chat.id)
            await batch.write()
            dropped = await self.outbox.drop(batch.conn, chat.id, "newer_message", purposes=[Purpose.ANSWER])
            if dropped:
                since = await unanswered_since(batch.conn, chat.id)
                chat.set(superseded=row["superseded"] + 1, waiting_since=since or row["waiting_since"])
        burst = [Burst(received, kind)]
        if row["waiting_since"] < received:
            burst.append(Burst(row["waiting_since"]))
        due = turn_due(burst, batch.settings)
        assert due is not None
        if row["due_at"] is None:  # else a job waits already, and will see the later moment
            await self.waking.job(batch.conn, batch.tenant_id, chat.id, due)
        chat.set(due_at=due)

    # --- what is not a message of theirs --------------------------------------------------------

    async def _echo(self, batch: Batch, channel: Channel, one: Echoed, received: datetime) -> str:
        if not one.to.address:
            return "dead:nobody"
        at = min(moment_of(one.at, received), received)  # a moment ahead of our clock would outlast a hand-back
        if one.kind == "reaction":
            return "ignored"  # of ours on theirs: nobody has taken over by it
        chat = await batch.chat(channel, one.to, received)
        if (chat.id, one.id) in batch.known:
            return "twice"
        await batch.write()
        if await self.settling.adopt(batch.conn, batch.tenant_id, chat.id, one):
            return "ours"
        batch.add(chat, one, plain_text(one.text)[:LONGEST], at, received)
        chat.set(last_at=later(chat.row["last_at"], received))
        await batch.write()
        row = chat.row
        before = Attention(Held(row["held"]), row["held_since"], row["held_by"], row["segment"])
        await self.hands.step(batch.conn, chat.id, before, Event.PERSON_WROTE, at)
        await batch.again(chat)
        batch.with_answers.discard(chat.id)
        return "sorted"

    async def _edited(self, batch: Batch, channel: Channel, one: Edited, received: datetime) -> str:
        """Only by who wrote it: a modified client may name any message. Some gateways do not tell who it was."""
        await batch.write()
        chat = batch.find(channel, one.who)
        if chat is None and one.who.address:
            return too_early(one.of)
        query = """SELECT m.id, m.chat_id, m.text, m.kind, m.received_at FROM chat_messages m
                   JOIN chats c ON c.tenant_id = m.tenant_id AND c.id = m.chat_id
                   WHERE m.external_id = %s AND c.channel_id = %s AND m.direction = 'in'
                         AND (%s::text IS NULL OR m.chat_id = %s) LIMIT 1"""
        of = chat.id if chat else None
        row = await fetch_one(batch.conn, query, [one.of, channel.id, of, of])
        if row is None:
            return too_early(one.of)
        at = moment_of(one.at, received)
        if one.text is None:
            await batch.conn.execute("UPDATE chat_messages SET revoked_at = %s WHERE id = %s", [at, row["id"]])
        else:
            await batch.conn.execute(
                """UPDATE chat_messages SET text = %s, edited_at = %s, content = content || %s
                   WHERE id = %s AND (edited_at IS NULL OR edited_at <= %s)""",
                [plain_text(one.text)[:LONGEST], at, Jsonb({"was": row["text"][:4_000]}), row["id"], at],
            )
        batch.touched.add(row["chat_id"])
        if chat is None:
            chat = await batch.by_id(row["chat_id"], channel)
        if one.text is not None and await self.opting.edited(batch, chat, one.id, plain_text(one.text), at):
            return "sorted"
        since = chat.row["waiting_since"]
        if since is not None and row["received_at"] >= since:
            # Not answered yet: a turn that runs has read the old words.
            received = chat.follows(received)
            chat.set(messages_in=chat.row["messages_in"] + 1, last_received_at=received)
            await self._turn(batch, chat, "text", received)
        return "sorted"

    async def _reacted(self, batch: Batch, channel: Channel, one: Reacted, received: datetime) -> str:
        """It stands at the message, and marks the conversation as unread when the message is ours. To a message
        in which the bot asked something last it is an answer, to that one alone. One that is taken back is none any
        more, and until it is answered another in its place is what they say."""
        await batch.write()
        chat = batch.find(channel, one.who)
        query = """UPDATE chat_messages m SET reaction = %s FROM chats c
                   WHERE m.external_id = %s AND c.tenant_id = m.tenant_id AND c.id = m.chat_id AND c.channel_id = %s
                         AND (%s::text IS NULL OR c.id = %s) RETURNING m.id, m.chat_id, m.direction"""
        of, emoji = chat.id if chat else None, plain_text(one.emoji)[:40]
        row = await fetch_one(batch.conn, query, [emoji, one.of, channel.id, of, of])
        if row is None:
            return too_early(one.of)
        batch.touched.add(row["chat_id"])
        theirs, before = chat or await batch.by_id(row["chat_id"], channel), None
        if (since := theirs.row["waiting_since"]) is not None:
            before = await fetch_one(batch.conn, _ANSWERED_SO, [row["chat_id"], one.of])
        if before is not None and before["received_at"] >= since and before["text"] != emoji:
            # Not answered yet: a turn that runs has read it as it was.
            query = "UPDATE chat_messages SET text = %s, revoked_at = %s WHERE id = %s"
            now = [emoji, None] if emoji else [before["text"], received]
            await batch.conn.execute(query, [*now, before["id"]])
            received = theirs.follows(received)
            theirs.set(messages_in=theirs.row["messages_in"] + 1, last_received_at=received)
            await self._turn(batch, theirs, "reaction", received)
        elif not emoji:
            query = """UPDATE chat_messages SET revoked_at = %s
                       WHERE chat_id = %s AND kind = 'reaction' AND direction = 'in' AND reply_to = %s"""
            await batch.conn.execute(query, [received, row["chat_id"], one.of])
        elif row["direction"] == "out":
            bots = chat is not None and chat.row["held"] != Held.PERSON
            if bots and await fetch_one(batch.conn, _ASKED_LAST, [row["chat_id"], row["id"]]):
                answer = Incoming(one.id, one.who, one.at, "reaction", emoji, reply_to=one.of)
                return await self._incoming(batch, channel, answer, received)
            theirs.set(unread=theirs.row["unread"] + 1)
        return "sorted"

    async def _moved(self, batch: Batch, channel: Channel, one: Moved, received: datetime) -> str:
        """Another number, or another telephone behind it: told in the conversation, which goes on with the new one."""
        chat = batch.find(channel, one.who)
        if chat is None:
            return "ignored"
        if (chat.id, one.id) in batch.known:
            return "twice"
        notice = Incoming(one.id, one.who, one.at, "system", one.text, content={"new_address": one.new_address})
        row = batch.add(chat, notice, plain_text(one.text)[:LONGEST], moment_of(one.at, received), received)
        row |= {"direction": "note", "author": "system"}
        await batch.write()
        new = one.new_address
        if new:
            await self.opting.moved(batch, chat, chat.row["address"], new)
        if new and not batch.has(channel, new):
            taken = "SELECT 1 FROM chats WHERE channel_id = %s AND address = %s"
            if await fetch_one(batch.conn, taken, [channel.id, new]) is None:
                await batch.conn.execute("UPDATE chats SET address = %s WHERE id = %s", [new, chat.id])
                chat.row["address"] = new
                batch.know(chat)
                await batch.acquaint(chat)
        return "sorted"


async def _chosen(batch: Batch, chat: Thread, one: Incoming) -> Incoming:
    """A text that names an option of our last message, or of the one it answers, by its number, as the press of a
    button is: gateways over WhatsApp Web have no buttons. `content.wrote` keeps their words."""
    if len(one.text) > _LONGEST_NUMBER or not any(sign.isdecimal() for sign in one.text):
        return one
    row = await fetch_one(batch.conn, _ASKED, {"chat": chat.id, "of": one.reply_to})
    asked = row["content"].get("interactive") if row else None
    found = option_of(asked, one.text) if asked else None
    if found is None:
        return one
    content = {**one.content, "wrote": plain_text(one.text)}
    return replace(one, kind="interactive", choice=found[0], text=found[1], content=content)


def too_early(message_id: str) -> str:
    """The outcome of what is about a message that is not there (yet): sorted anew when it comes (sorter.py)."""
    return f"early:{message_id}"[:200]
