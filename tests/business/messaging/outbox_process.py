"""A worker of the outbox in a process of its own: sends what waits in the conversations that it is told, and ends.

python -m tests.business.messaging.outbox_process <dsn> <data folder> <tenant id> <chat id>…
"""

import asyncio
import sys
from datetime import timedelta
from pathlib import Path

import httpx

from business.messaging.channels import Channels
from business.messaging.claiming import Claiming
from business.messaging.ledger import Ledger
from business.messaging.outbox import SEND_CHAT, Outbox
from business.messaging.outcomes import Outcomes
from business.messaging.rules import MessageRules
from business.messaging.sender_cloud import CloudClients, CloudSender
from business.messaging.sending import Sending
from business.messaging.settling import Settling
from core.clock import FixedClock
from core.db import Database
from core.jobs import Jobs
from core.permissions import Permissions
from core.vault import Vault
from tests.business.messaging.outbox_house import WEDNESDAY, nothing


async def main(dsn: str, folder: str, tenant_id: str, *chats: str) -> None:
    db = Database(dsn)
    await db.open()
    async with db.system() as conn:
        permissions = await Permissions.load(conn)
    clock, jobs = FixedClock(WEDNESDAY + timedelta(seconds=1)), Jobs(dsn)
    jobs.task(SEND_CHAT, nothing)
    await jobs.open()
    try:
        await send(db, clock, jobs, permissions, Path(folder), tenant_id, chats)
    finally:
        await jobs.close()
        await db.close()


async def send(
    db: Database,
    clock: FixedClock,
    jobs: Jobs,
    permissions: Permissions,
    folder: Path,
    tenant_id: str,
    chats: tuple[str, ...],
) -> None:
    channels = Channels(db, Vault.load(folder), clock, "sandbox", permissions)
    async with httpx.AsyncClient(trust_env=False, verify=False) as http:
        sender = CloudSender(CloudClients(channels, http))
        outbox = Outbox(db, clock, jobs, permissions)
        outcomes = Outcomes(outbox, clock, Ledger(jobs))
        senders = {"whatsapp_cloud": sender}
        claiming = Claiming(clock, channels, senders, MessageRules(db, permissions).of, outbox, outcomes)
        sending = Sending(db, clock, senders, claiming, outbox, outcomes, Settling(outbox, outcomes, clock))
        await asyncio.gather(*(sending.run(tenant_id, chat) for chat in chats))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
