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
from business.messaging.ledger import Ledger, standing_of
from business.messaging.outbox import Draft, Outbox
from business.messaging.templates import Purpose
from core.db import fetch_one
from integrations.whatsapp_cloud import messages as said

LEAVES = "opt_out_yes"
"""Id of the button by which a contact says that they want no more messages."""

Say = Callable[[str, str], str]
"""A sentence for a contact: (language, text key)."""


@dataclass(frozen=True)
class Opting:
    """One per process."""

    outbox: Outbox
    ledger: Ledger
    say: Say

    async def hear(self, batch: Batch, chat: Thread, one: Incoming, text: str, at: datetime) -> bool:
        """Whether the message was an opt-out, or the end of one: it is written down and confirmed, and nothing else is
        said to it."""
        pressed = one.kind in ("button", "interactive")
        how = consent.How.BUTTON if pressed else consent.How.WORDS
        if pressed and one.choice == LEAVES:
            heard: consent.Heard | None = consent.Heard(consent.Scope.ALL, True, text)
        elif pressed and one.content.get("source") != "template":
            heard = None  # one of our own choices: it means what we meant by it
        else:
            heard = consent.heard_opt_out(text)
            if heard and heard.sure and not pressed:
                heard = consent.heard_opt_out(text, offered=await _offered(batch, chat))
        if heard is not None and heard.sure:
            await self.left(batch, chat, consent.Entry(at, consent.Act.STOPPED, heard.scope, how, text[:500]), one.id)
            return True
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

    async def left(self, batch: Batch, chat: Thread, entry: consent.Entry, message_id: str) -> None:
        """The line in the ledger, nothing of the bot's leaves any more but the one confirmation."""
        await self._note(batch, chat, entry)
        await self.outbox.drop(batch.conn, chat.id, "opted_out")
        batch.with_answers.discard(chat.id)
        every = entry.scope is consent.Scope.ALL
        if every:
            chat.set(waiting_since=None)
            await batch.conn.execute("UPDATE chats SET answered_in = messages_in WHERE id = %s", [chat.id])
        key = "messaging.to_contact.goodbye" if every else "messaging.to_contact.goodbye_marketing"
        await self._speak(batch, chat, key, Purpose.GOODBYE, f"goodbye:{chat.id}:{message_id}")

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


async def _offered(batch: Batch, chat: Thread) -> list[str]:
    """The choices of our last message: who repeats one of them answers it."""
    await batch.write()
    query = """SELECT text, content FROM chat_messages WHERE chat_id = %s AND direction = 'out'
               AND status IS DISTINCT FROM 'dropped' ORDER BY seq DESC LIMIT 1"""
    row = await fetch_one(batch.conn, query, [chat.id])
    if row is None:
        return []
    lines = [line.strip() for line in row["text"].splitlines()]
    numbered = [part.strip() for line in lines for part in (line, line.partition("-")[2], line.partition(".")[2])]
    return [*numbered, *_titles(row["content"])]


def _titles(content: Mapping[str, Any]) -> list[str]:
    """Titles of the buttons or rows of a message of ours."""
    action = content.get("interactive", {}).get("action", {}) if isinstance(content.get("interactive"), dict) else {}
    buttons = [one.get("reply", {}).get("title", "") for one in action.get("buttons", [])]
    rows = [row.get("title", "") for section in action.get("sections", []) for row in section.get("rows", [])]
    return [title for title in (*buttons, *rows) if title]
