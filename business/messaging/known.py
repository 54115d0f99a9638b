"""What the policy has to know at the moment of the question, read from the rows: of the contact, the conversation, the
number, the portfolio.

Read in the same transaction as what follows from the answer, after the chat's row was locked: what comes in, what a
person does and what leaves all lock it first, so nothing of it changes between question and answer.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from business.messaging.attention import Attention, Held
from business.messaging.brazil import Place, place
from business.messaging.channels import WHATSAPP, Channel
from business.messaging.consent import Entry
from business.messaging.failures import Block, Where
from business.messaging.ledger import same_addresses, standing_of
from business.messaging.model import Known
from business.messaging.pace import NEW_PORTFOLIO, PER_SECOND, PER_SECOND_COEXISTING, Portfolio
from business.messaging.settings import Settings
from business.messaging.templates import Purpose
from business.messaging.templates_store import templates_of
from business.messaging.window import EntryPoint, is_open
from core.db import Connection, fetch_all, fetch_one

Blocked = Callable[[Connection, Mapping[str, Any]], Awaitable[Sequence[Entry]]]
"""What others (the CRM's list of those not to be contacted) know of the person of this chat, as lines of a ledger."""

DAY = timedelta(hours=24)
LEFT = ("claimed", "sent", "unknown")
"""States of outbox rows that left, or may have."""
_PROACTIVE = [str(one) for one in (Purpose.FOLLOW_UP, Purpose.FIRST_CONTACT, Purpose.CAMPAIGN)]
_NOBODYS_LINE = timedelta(days=1)
_SLOW = 5  # messages a second of a number at a gateway that says nothing of its own: ours


def new_chat(tenant_id: str, address: str, **more: Any) -> dict[str, Any]:
    """The row of a conversation that is not there yet, to ask the policy about a first message. `more`: columns."""
    empty: dict[str, Any] = {
        "tenant_id": tenant_id,
        "id": "",
        "address": address,
        "user_id": None,
        "name": "",
        "contact_id": None,
        "owner_id": None,
        "held": "bot",
        "held_since": None,
        "held_by": None,
        "segment": 0,
        "place": "",
        "entry_at": None,
        "entry_answered_at": None,
        "last_from_contact": None,
        "last_received_at": None,
        "messages_in": 0,
    }
    return empty | more


async def known(
    conn: Connection,
    chat: Mapping[str, Any],
    channel: Channel,
    settings: Settings,
    now: datetime,
    *,
    account_zone: str,
    blocked: Blocked | None = None,
    lock: bool = False,
    free: bool = False,
) -> Known:
    """Everything `policy.decide` asks for. `chat`: its row, or `new_chat`. `free`: the message is no template, so that
    templates are only read where it could not go without one.

    `lock`: until the end of the transaction nobody else reserves a place in the same lines and the same portfolio.
    """
    last = chat["last_from_contact"]
    windowed = has_window(channel)
    if lock and windowed and not is_open(last, now, settings.window_margin):
        await conn.execute("SELECT pg_advisory_xact_lock(hashtextextended('portfolio ' || current_tenant(), 0))")
    theirs = await blocked(conn, chat) if blocked is not None else ()
    standing = await standing_of(
        conn, address=chat["address"], contact_id=chat["contact_id"], user_id=chat["user_id"], more=theirs
    )
    stops = [one.at for one in (standing.stopped, standing.marketing_stopped) if one is not None]
    received, rows = await _left(conn, chat)
    blocks = await _blocks(conn, chat, channel, now, received)
    shut = not is_open(last, now, settings.window_margin) or any(one.covers == "free" for one in blocks)
    pair, number = await _lines(conn, chat, channel, now, lock=lock)
    return Known(
        place=place_of(chat, account_zone),
        messages=chat["messages_in"],
        last_from_contact=last,
        last_received_at=received,
        entry=EntryPoint(chat["entry_at"], chat["entry_answered_at"]) if chat["entry_at"] else None,
        standing=standing,
        attention=Attention(Held(chat["held"]), chat["held_since"], chat["held_by"], chat["segment"]),
        touches=tuple(
            row["at"] for row in rows if row["purpose"] in _PROACTIVE and (received is None or row["at"] > received)
        ),
        marketing_sent=tuple(row["at"] for row in rows if row["marketing"]),
        pair_line=pair,
        number_line=number,
        per_second=per_second(channel),
        portfolio=await _portfolio(conn, chat, channel, now) if windowed else Portfolio(limit=None),
        blocks=blocks,
        templates=await templates_of(conn, channel.id) if windowed and (shut or not free) else (),
        goodbye_sent=any(row["purpose"] == Purpose.GOODBYE and row["at"] >= max(stops) for row in rows if stops),
        windowed=windowed,
    )


def has_window(channel: Channel) -> bool:
    """WhatsApp's own API has a window and templates; a channel's settings ({"window": true}) may say otherwise."""
    return bool(channel.settings.get("window", channel.provider == "whatsapp_cloud"))


def per_second(channel: Channel) -> int:
    """How many messages a second leave by this number: its settings' `per_second`, or what the gateway told, or what is
    usual there."""
    told = channel.settings.get("per_second")
    if isinstance(told, int) and told > 0:
        return min(told, PER_SECOND_COEXISTING) if channel.settings.get("coexistence") else told
    if channel.provider != "whatsapp_cloud":
        return _SLOW
    if channel.settings.get("coexistence"):
        return PER_SECOND_COEXISTING
    return int(channel.settings.get("told", {}).get("per_second") or PER_SECOND)


def portfolio_limit(channel: Channel) -> int | None:
    """How many different people may be written to in 24 hours outside their windows: the settings' `portfolio_limit`,
    or what WhatsApp told, or a new portfolio's; None for unlimited."""
    told = channel.settings.get("told", {})
    limit = channel.settings.get("portfolio_limit", "told")
    if limit == "told":
        limit = told.get("people", NEW_PORTFOLIO)
    return limit if isinstance(limit, int) else None


def place_of(chat: Mapping[str, Any], account_zone: str) -> Place:
    """Where the person lives, by what is known of it."""
    return place(state=chat["place"] or None, phone=chat["address"], account_zone=account_zone)


def pair_line(chat: Mapping[str, Any]) -> str:
    return f"pair:{chat['id']}"


def number_line(channel: Channel) -> str:
    return f"number:{channel.id}"


async def _left(conn: Connection, chat: Mapping[str, Any]) -> tuple[datetime | None, list[dict[str, Any]]]:
    """When anything of this person was last received on any channel, and what left for them, the newest 200."""
    same = "(c.id = %(chat)s OR c.contact_id = %(contact)s)"
    values = {"chat": chat["id"], "contact": chat["contact_id"], "left": list(LEFT)}
    row = await fetch_one(conn, f"SELECT max(c.last_received_at) AS at FROM chats c WHERE {same}", values)
    rows = await fetch_all(
        conn,
        f"""SELECT o.claimed_at AS at, o.purpose, o.marketing FROM outbox o
            JOIN chats c ON c.tenant_id = o.tenant_id AND c.id = o.chat_id
            WHERE {same} AND o.claimed_at IS NOT NULL AND o.state = ANY(%(left)s)
            ORDER BY o.claimed_at DESC LIMIT 200""",
        values,
    )
    return (row["at"] if row else None) or chat["last_received_at"], rows


async def _lines(
    conn: Connection, chat: Mapping[str, Any], channel: Channel, now: datetime, *, lock: bool
) -> tuple[datetime | None, datetime | None]:
    pair, number = pair_line(chat), number_line(channel)
    if lock:
        await conn.execute(
            """INSERT INTO message_lines (tenant_id, line, free_at)
               SELECT current_tenant(), line, %s FROM unnest(%s::text[]) AS line ORDER BY line
               ON CONFLICT DO NOTHING""",
            [now - _NOBODYS_LINE, [pair, number]],
        )
    query = "SELECT line, free_at FROM message_lines WHERE line = ANY(%s) ORDER BY line" + (
        " FOR UPDATE" if lock else ""
    )
    rows = await fetch_all(conn, query, [[pair, number]])
    found = {row["line"]: row["free_at"] for row in rows}
    return found.get(pair), found.get(number)


async def _portfolio(conn: Connection, chat: Mapping[str, Any], channel: Channel, now: datetime) -> Portfolio:
    """People reached outside their windows in 24 hours by all numbers of WhatsApp's own API of this account."""
    limit = portfolio_limit(channel)
    if limit is None:
        return Portfolio(limit=None)
    row = await fetch_one(
        conn,
        """SELECT count(*) AS reached, coalesce(bool_or(address = ANY(%s)), false) AS mine, min(at) AS first
           FROM (SELECT c.address, max(o.claimed_at) AS at FROM outbox o
                 JOIN chats c ON c.tenant_id = o.tenant_id AND c.id = o.chat_id
                 JOIN channels n ON n.tenant_id = c.tenant_id AND n.id = c.channel_id
                 WHERE o.outside AND o.claimed_at > %s AND o.state = ANY(%s) AND n.provider = 'whatsapp_cloud'
                 GROUP BY c.address) AS people""",
        [same_addresses(chat["address"]), now - DAY, list(LEFT)],
    )
    assert row is not None
    return Portfolio(limit, row["reached"], row["mine"], row["first"] + DAY if row["first"] else None)


async def _blocks(
    conn: Connection, chat: Mapping[str, Any], channel: Channel, now: datetime, received: datetime | None
) -> tuple[Block, ...]:
    """Of this contact (by the same kind of channel), pair, number, app and its templates. Somebody who has written
    since can be reached, whatever was said before."""
    family = list(WHATSAPP) if channel.provider in WHATSAPP else [channel.provider]
    rows = await fetch_all(
        conn,
        """SELECT b.* FROM message_blocks b
           LEFT JOIN channels n ON n.tenant_id = b.tenant_id AND n.id = b.channel_id
           WHERE b.lifted_at IS NULL AND (b.until IS NULL OR b.until > %(now)s) AND (
               (b.place IN ('number', 'template') AND b.channel_id = %(channel)s)
               OR (b.place = 'pair' AND b.channel_id = %(channel)s AND b.address = ANY(%(addresses)s))
               OR (b.place = 'contact' AND b.address = ANY(%(addresses)s) AND n.provider = ANY(%(family)s))
               OR (b.place = 'app' AND n.provider = %(provider)s))""",
        {
            "now": now,
            "channel": channel.id,
            "addresses": [*same_addresses(chat["address"]), *([chat["user_id"]] if chat["user_id"] else [])],
            "family": family,
            "provider": channel.provider,
        },
    )
    return tuple(
        Block(Where(row["place"]), row["covers"], row["at"], row["until"], row["code"], row["name"])
        for row in rows
        if not (
            row["place"] in ("contact", "pair") and row["covers"] == "all" and received is not None
            and row["until"] is None and received > row["at"]
        )
    )  # fmt: skip
