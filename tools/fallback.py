"""When WhatsApp cannot bring a message to somebody: the same words by e-mail, else by SMS, where the house has such a
channel and the CRM knows a way.

Only what the person waits for or has agreed to (an answer, a notice, a follow-up): a first message was approved for one
channel, and goes by that one alone. Whether it may leave is asked of the same rules as for every message.

It goes to this very person: by the contact's own addresses, and never into a conversation that is another's. What one
of ours wrote is only laid ready there: they meant WhatsApp, and say whether it goes by another channel.
"""

from collections.abc import Mapping
from typing import Any

from psycopg.types.json import Jsonb

from business.crm.identity import is_mobile, phone
from business.messaging.channels import Channel, Channels
from business.messaging.conversation import open_chat
from business.messaging.model import Decision, Verdict, Why
from business.messaging.opening import row_at
from business.messaging.outbox import Draft, Outbox
from business.messaging.outcomes import Undelivered
from business.messaging.templates import Purpose
from core.clock import Clock
from core.db import Connection, fetch_all, fetch_one
from integrations.whatsapp_cloud import messages

_CARRIED = frozenset({Purpose.ANSWER, Purpose.NOTICE, Purpose.FOLLOW_UP})
_LONGEST_SMS = 600
"""Letters of a text that goes by SMS: four parts; what is longer waits for a person instead of costing ten."""


class Fallback:
    """Called in the transaction in which a message ends as undeliverable (business/messaging/outcomes.py)."""

    def __init__(self, clock: Clock, channels: Channels, outbox: Outbox) -> None:
        self._clock = clock
        self._channels = channels
        self._outbox = outbox

    async def __call__(self, conn: Connection, lost: Undelivered) -> str | None:
        """The id of the row that goes instead; None when there is no other way. Once for each message."""
        if lost.purpose not in _CARRIED or not lost.text.strip():
            return None
        outlets = [one for one in await self._channels.of(lost.tenant_id, conn) if one.state == "active"]
        chat = await fetch_one(conn, "SELECT * FROM chats WHERE id = %s", [lost.chat_id])
        if chat is None:
            return None
        companys = lost.purpose is Purpose.FOLLOW_UP  # an answer is private: not for whoever reads the company's mail
        for outlet, address in await _ways(conn, outlets, chat, companys=companys):
            if outlet.provider == "sms" and len(lost.text) > _LONGEST_SMS:
                continue
            if not await _theirs(conn, outlet, address, chat):
                continue
            other = await open_chat(
                conn, lost.tenant_id, outlet, address, name=chat["name"], at=self._clock.now(),
                contact_id=chat["contact_id"], company_id=chat["company_id"], deal_id=chat["deal_id"],
                owner_id=chat["owner_id"], language=chat["language"], place=chat["place"],
            )  # fmt: skip
            draft = Draft(
                lost.purpose,
                f"fallback:{lost.outbox_id}",
                content=messages.text(lost.text),
                author=lost.author,
                answers=other.messages_in,
                segment=other.segment,
                planned_at=self._clock.now() if lost.purpose is Purpose.FOLLOW_UP else None,
                language=chat["language"].replace("-", "_"),
            )
            outbox_id = await self._outbox.put(conn, lost.tenant_id, other.id, draft)
            if lost.author == "person":
                await self._ask(conn, outbox_id)
            return outbox_id
        return None

    async def _ask(self, conn: Connection, outbox_id: str) -> None:
        row = await fetch_one(
            conn,
            """SELECT o.*, c.channel_id FROM outbox o JOIN chats c ON c.tenant_id = o.tenant_id AND c.id = o.chat_id
               WHERE o.id = %s AND o.state = 'waiting'""",
            [outbox_id],
        )
        if row is None:
            return
        why = Why("outbox.other_channel")
        asked = Decision(Verdict.ASK, "unreachable", "tools/fallback.py", why, self._clock.now())
        await conn.execute(
            "UPDATE outbox SET state = 'ask', decision = %s, reason = %s WHERE id = %s",
            [Jsonb(asked.record()), asked.rule, outbox_id],
        )
        await self._outbox.tell(conn, row, "ask", detail=asked.rule, why=why)


async def _ways(
    conn: Connection, outlets: list[Channel], chat: Mapping[str, Any], *, companys: bool
) -> list[tuple[Channel, str]]:
    """By which of the house's channels, and where to: the best first. `companys`: by the company's addresses, too."""
    mails, mobiles = await known_ways(conn, chat["contact_id"], chat["company_id"] if companys else None)
    own = _own_number(chat)
    if own:
        mobiles = [own, *mobiles]
    by_mail = [(one, mails[0]) for one in outlets if one.provider == "email" and mails]
    by_sms = [(one, mobiles[0].lstrip("+")) for one in outlets if one.provider == "sms" and mobiles]
    return [*by_mail[:1], *by_sms[:1]]


def _own_number(chat: Mapping[str, Any]) -> str | None:
    number = phone(f"+{chat['address']}") if chat["address"].isdecimal() else None
    return number if number and is_mobile(number) else None


async def _theirs(conn: Connection, outlet: Channel, address: str, chat: Mapping[str, Any]) -> bool:
    """Whether a conversation at this address would be this person's: there is none yet, it is the same contact's, or
    nobody knows whose it is and it is the very number that we write to or has not a word in it."""
    there = await row_at(conn, outlet.id, address)
    if there is None:
        return True
    if there["contact_id"] is not None:
        return bool(there["contact_id"] == chat["contact_id"])
    spoken = await fetch_one(conn, "SELECT 1 FROM chat_messages WHERE chat_id = %s LIMIT 1", [there["id"]])
    return not spoken or f"+{address}" == _own_number(chat)


async def known_ways(conn: Connection, contact_id: str | None, company_id: str | None) -> tuple[list[str], list[str]]:
    """(e-mail addresses, mobiles as +55…) that the CRM knows: the contact's first, then the company's."""
    found = await fetch_all(
        conn,
        """SELECT kind, value, subject FROM crm_keys
           WHERE kind IN ('email', 'phone', 'wa_id')
             AND ((subject = 'contact' AND subject_id = %s) OR (subject = 'company' AND subject_id = %s))
           ORDER BY subject = 'company', value""",
        [contact_id, company_id],
    )
    mails = [row["value"] for row in found if row["kind"] == "email"]
    mobiles = [row["value"] for row in found if row["kind"] != "email" and is_mobile(row["value"])]
    return mails, list(dict.fromkeys(mobiles))
