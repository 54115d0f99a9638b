"""Who wants no more messages, or wants them again: heard in what they write, press or choose in WhatsApp's settings.

It is written into the ledger, what the bot was about to say is taken back, and one sentence confirms it. What the words
are stands in consent.py.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from business.messaging import consent
from business.messaging.arrivals import Incoming, Wished, moment_of, plain_text
from business.messaging.attention import Held
from business.messaging.batch import Batch, Thread, addresses_of
from business.messaging.channels import Channel
from business.messaging.ledger import Ledger, entries, standing_of
from business.messaging.outbox import Draft, Outbox
from business.messaging.templates import Purpose
from core.db import fetch_one
from core.words import folded
from integrations.whatsapp_cloud import messages as said

LEAVES, STAYS = "opt_out_yes", "opt_out_no"
"""Ids of the buttons by which a contact says that they want no more messages, or that they may go on."""
_UNASKED = (Purpose.FIRST_CONTACT, Purpose.FOLLOW_UP, Purpose.CAMPAIGN)

Say = Callable[[str, str], str]
"""A sentence for a contact: (language, text key)."""


@dataclass(frozen=True)
class Opting:
    """One per process."""

    outbox: Outbox
    ledger: Ledger
    say: Say

    async def hear(self, batch: Batch, chat: Thread, one: Incoming, text: str, at: datetime) -> bool:
        """Whether the message was an opt-out, or the end of one, and nothing else: it is written down and confirmed,
        and nothing else is said to it."""
        pressed = one.kind in ("button", "interactive")
        how = consent.How.BUTTON if pressed else consent.How.WORDS
        if pressed and one.choice == LEAVES:
            heard: consent.Heard | None = consent.Heard(consent.Scope.ALL, True, text, True)
        elif pressed and one.content.get("source") != "template":
            heard = None  # one of our own choices: it means what we meant by it
        else:
            heard = await _heard(batch, chat, text, one.reply_to)
        if heard is not None and heard.sure:
            asks = chat.row["waiting_since"] is not None or chat.id in batch.with_answers
            await self.left(batch, chat, consent.Entry(at, consent.Act.STOPPED, heard.scope, how, text[:500]), one.id)
            return heard.scope is consent.Scope.ALL or (heard.alone and not asks)
        if not consent.heard_resume(text):
            return False
        row = chat.row
        held = await standing_of(
            batch.conn, address=row["address"], contact_id=row["contact_id"], user_id=row["user_id"], more=()
        )
        if held.stopped is None and held.marketing_stopped is None:
            return False
        entry = consent.Entry(at, consent.Act.RESUMED, consent.Scope.ALL, how, text[:500])
        await self._note(batch, chat, entry)
        await batch.conn.execute("UPDATE chats SET goodbye_sent = false WHERE id = %s", [chat.id])
        await self._speak(
            batch, chat, "messaging.to_contact.welcome_back", Purpose.ANSWER, f"welcome:{chat.id}:{one.id}"
        )
        return True

    async def edited(self, batch: Batch, chat: Thread, edit_id: str, text: str, at: datetime) -> bool:
        """Whether what a message was changed to is an opt-out of everything: as `hear`."""
        heard = await _heard(batch, chat, text, None)
        if heard is None or not heard.sure:
            return False
        entry = consent.Entry(at, consent.Act.STOPPED, heard.scope, consent.How.WORDS, text[:500])
        await self.left(batch, chat, entry, edit_id)
        return heard.scope is consent.Scope.ALL

    async def left(self, batch: Batch, chat: Thread, entry: consent.Entry, message_id: str) -> None:
        """The line in the ledger, and the one confirmation; of the bot's nothing else leaves any more, or nothing that
        it begins where only marketing was stopped."""
        await self._note(batch, chat, entry)
        if entry.scope is consent.Scope.ALL:
            await self.outbox.drop(batch.conn, chat.id, "opted_out")
            batch.with_answers.discard(chat.id)
            chat.set(waiting_since=None)
            await batch.conn.execute("UPDATE chats SET answered_in = messages_in WHERE id = %s", [chat.id])
            key = "messaging.to_contact.goodbye"
        else:
            await self.outbox.drop(batch.conn, chat.id, "opted_out", purposes=_UNASKED)
            key = "messaging.to_contact.goodbye_marketing"
        await self._speak(batch, chat, key, Purpose.GOODBYE, f"goodbye:{chat.id}:{message_id}")

    async def moved(self, batch: Batch, chat: Thread, old: str, new: str) -> None:
        """What was said under the old number is said by the new one, too, whether the CRM knows the person or not."""
        for entry in await entries(batch.conn, address=old):
            await self.ledger.write(
                batch.conn, batch.tenant_id, entry, address=new, contact_id=chat.row["contact_id"], chat_id=chat.id,
                tell=False,
            )  # fmt: skip

    async def _note(self, batch: Batch, chat: Thread, entry: consent.Entry) -> None:
        await batch.write()
        row = chat.row
        await self.ledger.write(
            batch.conn, batch.tenant_id, entry, address=row["address"], contact_id=row["contact_id"], chat_id=chat.id
        )

    async def _speak(self, batch: Batch, chat: Thread, key: str, purpose: Purpose, once: str) -> None:
        """One fixed sentence to the contact; with a person in the conversation it is theirs to say, but a goodbye."""
        if chat.row["held"] == Held.PERSON and purpose is not Purpose.GOODBYE:
            return
        await batch.write()
        words = self.say(chat.row["language"], key)
        draft = Draft(
            purpose, once[:200], said.text(words), answers=chat.row["messages_in"], segment=chat.row["segment"]
        )
        await self.outbox.put(batch.conn, batch.tenant_id, chat.id, draft)

    async def wish(self, batch: Batch, channel: Channel, one: Wished, received: datetime) -> str:
        """What somebody chose in WhatsApp itself, whether we talk with them or not: a line of the ledger, to which
        nothing is said. The item's outcome."""
        entry = consent.preference_entry(one.value, moment_of(one.at, received), plain_text(one.detail))
        if entry is None:
            return "ignored"
        if not one.who.address:
            return "dead:nobody"
        await batch.write()
        query = """SELECT id, address, contact_id FROM chats WHERE channel_id = %(channel)s
                   AND (address = ANY(%(all)s) OR user_id = ANY(%(all)s)) ORDER BY id LIMIT 1"""
        asked = {"channel": channel.id, "all": addresses_of(one.who)}
        row = await fetch_one(batch.conn, query, asked)
        await self.ledger.write(
            batch.conn,
            batch.tenant_id,
            entry,
            address=row["address"] if row else one.who.address,
            contact_id=row["contact_id"] if row else None,
            chat_id=row["id"] if row else None,
        )
        return "sorted"


def asked_to_leave(content: Mapping[str, Any]) -> bool:
    """Whether a message of ours asks whether they want no more messages."""
    return LEAVES in [id for id, _ in _choices(content)]


def offered(text: str, content: Mapping[str, Any]) -> list[str]:
    """The choices of a message of ours: who repeats one of them answers it."""
    lines = [line.strip() for line in text.splitlines()]
    numbered = [part.strip() for line in lines for part in (line, line.partition("-")[2], line.partition(".")[2])]
    return [*numbered, *(title for _, title in _choices(content))]


def picked(content: Mapping[str, Any], text: str) -> tuple[str, str]:
    """(id, title) of the choice of a message of ours that they wrote instead of pressing it, by its title or, where a
    gateway has no buttons, its number; empty for none."""
    written = folded(text)
    found = (one for place, one in enumerate(_choices(content), 1) if written in (str(place), folded(one[1])))
    return next(found, ("", ""))


async def _heard(batch: Batch, chat: Thread, text: str, reply_to: str | None) -> consent.Heard | None:
    """What a text says about being written to, as the answer to our last message, or to the one that it quotes."""
    if not (consent.heard_opt_out(text, unasked=True) or consent.confirms(text) or text.strip(" .)").isdecimal()):
        return None
    ours = await _ours(batch, chat, reply_to)
    if ours is None:
        return consent.heard_opt_out(text)
    ids = [id for id, _ in _choices(ours["content"])]
    if LEAVES in ids:
        chosen, _ = picked(ours["content"], text)
        if chosen == LEAVES or (STAYS in ids and consent.confirms(text)):
            return consent.Heard(consent.Scope.ALL, True, text, True)
        return None if chosen else consent.heard_opt_out(text, unasked=STAYS in ids or not consent.calls_off(text))
    if ours["unasked"] or consent.offers_to_leave(f"{ours['text']} {ours['template'] or ''}", text):
        return consent.heard_opt_out(text, unasked=True)
    return consent.heard_opt_out(text, offered=offered(ours["text"], ours["content"]))


async def _ours(batch: Batch, chat: Thread, reply_to: str | None) -> Mapping[str, Any] | None:
    """The last message of ours that left, or the one that is quoted: its `text` and `content`, everything that its
    `template` says, and whether it was `unasked` for."""
    await batch.write()
    query = """SELECT m.text, m.content,
                      coalesce(o.purpose = ANY(%(unasked)s) OR o.marketing, false) AS unasked,
                      (SELECT string_agg(t.components::text, ' ') FROM message_templates t
                       WHERE t.channel_id = %(channel)s AND t.name = o.template AND o.template <> '') AS template
               FROM chat_messages m LEFT JOIN outbox o ON o.tenant_id = m.tenant_id AND o.message_id = m.id
               WHERE m.chat_id = %(chat)s AND m.direction = 'out' AND m.status IS DISTINCT FROM 'dropped'
                 AND (o.id IS NULL OR o.claimed_at IS NOT NULL)
                 AND (%(quoted)s::text IS NULL OR m.external_id = %(quoted)s)
               ORDER BY m.seq DESC LIMIT 1"""
    asked = {"chat": chat.id, "channel": chat.channel.id, "unasked": [str(one) for one in _UNASKED]}
    quoted = await fetch_one(batch.conn, query, {**asked, "quoted": reply_to}) if reply_to else None
    return quoted or await fetch_one(batch.conn, query, {**asked, "quoted": None})


def _choices(content: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(id, title) of the buttons or rows of a message of ours."""
    action = content.get("interactive", {}).get("action", {}) if isinstance(content.get("interactive"), dict) else {}
    buttons = [one.get("reply", {}) for one in action.get("buttons", [])]
    rows = [row for section in action.get("sections", []) for row in section.get("rows", [])]
    return [(one.get("id", ""), one["title"]) for one in (*buttons, *rows) if one.get("title")]
