"""That a conversation changed: told to whoever looks on, when the transaction commits."""

from core.db import Connection

TOPIC = "chats"
"""NOTIFY's channel. The payload is "<tenant id> <chat id>"."""


async def changed(conn: Connection, tenant_id: str, chat_id: str) -> None:
    """A new version of this conversation, and a word to those who LISTEN. Locks the chat's row."""
    await conn.execute("UPDATE chats SET version = version + 1 WHERE id = %s", [chat_id])
    await conn.execute("SELECT pg_notify(%s, %s)", [TOPIC, f"{tenant_id} {chat_id}"])
