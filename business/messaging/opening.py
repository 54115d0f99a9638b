"""The row of a conversation: found by channel and address (a Brazilian telephone in either writing), or made."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from business.messaging.brazil import state_of_phone
from business.messaging.channels import Channel
from business.messaging.ledger import same_addresses
from core.db import Connection, fetch_one
from core.ids import new_id

ACQUAINT_JOB = "chat_acquaint"
"""Makes a new conversation's person known to the CRM: (tenant_id, chat_id)."""
_MAY_BE_SET = ("contact_id", "company_id", "deal_id", "owner_id", "user_id", "language", "place")


async def row_at(conn: Connection, channel_id: str, address: str) -> dict[str, Any] | None:
    """The row of the conversation that stands under this address, or under its other writing: WhatsApp names many who
    write to us without the ninth digit that the CRM keeps. A row of the very address comes first."""
    return await fetch_one(
        conn,
        """SELECT * FROM chats WHERE channel_id = %s AND address = ANY(%s)
           ORDER BY address = %s DESC, last_at DESC LIMIT 1""",
        [channel_id, same_addresses(address), address],
    )


async def open_row(
    conn: Connection,
    tenant_id: str,
    channel: Channel,
    address: str,
    *,
    name: str,
    at: datetime,
    of: Mapping[str, Any],
) -> dict[str, Any]:
    """The whole row of `chats`, locked. `of`: columns that are filled in where they are empty."""
    if odd := of.keys() - set(_MAY_BE_SET):
        raise TypeError(f"not to be set: {sorted(odd)}")
    if there := await row_at(conn, channel.id, address):
        address = there["address"]
    place = of.get("place") or state_of_phone(address) or ""
    query = """
        INSERT INTO chats (tenant_id, id, channel_id, address, name, user_id, contact_id, company_id, deal_id, owner_id,
                           language, place, last_at, created_at)
        VALUES (%(tenant)s, %(id)s, %(channel)s, %(address)s, %(name)s, %(user_id)s, %(contact_id)s, %(company_id)s,
                %(deal_id)s, %(owner_id)s,
                coalesce(%(language)s, (SELECT language FROM tenants WHERE id = %(tenant)s), 'pt-BR'), %(place)s,
                %(at)s, %(at)s)
        ON CONFLICT (tenant_id, channel_id, address) DO UPDATE SET
            name = coalesce(nullif(chats.name, ''), excluded.name),
            user_id = coalesce(chats.user_id, excluded.user_id),
            contact_id = coalesce(chats.contact_id, excluded.contact_id),
            company_id = coalesce(chats.company_id, excluded.company_id),
            deal_id = coalesce(chats.deal_id, excluded.deal_id),
            owner_id = coalesce(chats.owner_id, %(given_owner)s)
        RETURNING *"""
    values = {
        "tenant": tenant_id,
        "id": new_id("chat"),
        "channel": channel.id,
        "address": address,
        "name": name,
        **{key: of.get(key) for key in _MAY_BE_SET},
        "owner_id": of.get("owner_id") or channel.owner_id,
        "given_owner": of.get("owner_id"),
        "place": place,
        "at": at,
    }
    row = await fetch_one(conn, query, values)
    assert row is not None
    return row
