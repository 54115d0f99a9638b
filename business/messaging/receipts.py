"""Blue ticks for what a person of ours has read: WhatsApp shows them only when it is told."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from business.messaging.channels import Channels
from business.messaging.senders import Sender
from core.db import Connection, Database, fetch_one
from core.errors import MutiraoError
from core.jobs import Jobs

log = structlog.get_logger(__name__)

READ_JOB = "chat_read"
"""Tells the gateway that a conversation was read: (tenant_id, chat_id)."""
_PATIENCE = 5.0  # seconds; a tick that does not come by then is none


@dataclass
class Receipts:
    db: Database
    jobs: Jobs
    channels: Channels
    senders: Mapping[str, Sender]

    async def ask(self, conn: Connection, tenant_id: str, chat_id: str) -> None:
        """Have it told after the caller's transaction."""
        await self.jobs.defer(conn, READ_JOB, tenant_id=tenant_id, chat_id=chat_id)

    async def tell(self, tenant_id: str, chat_id: str) -> None:
        """The job: the newest message of the contact is read, and with it all before. No harm is done where a gateway
        does not take it."""
        query = """SELECT c.channel_id, m.external_id FROM chats c JOIN chat_messages m ON m.chat_id = c.id
                   WHERE c.id = %s AND m.direction = 'in' AND m.external_id IS NOT NULL ORDER BY m.seq DESC LIMIT 1"""
        async with self.db.tenant(tenant_id) as conn:
            row = await fetch_one(conn, query, [chat_id])
            if row is None:
                return
            channel = await self.channels.get(tenant_id, row["channel_id"], conn)
        sender = self.senders.get(channel.provider)
        if sender is None or channel.state != "active":
            return
        try:
            async with asyncio.timeout(_PATIENCE):
                await sender.mark_read(channel, row["external_id"])
        except (MutiraoError, TimeoutError) as error:
            log.info("read_not_told", chat=chat_id, reason=type(error).__name__)
