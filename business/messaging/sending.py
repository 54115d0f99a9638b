"""What waits in the outbox leaves: one conversation at a time, in order, each message once.

A row is claimed in the transaction that asked the policy (claiming.py); then it is sent, once; then what came of it is
written down. Who dies in between leaves a claim behind of which nobody knows whether it left: WhatsApp takes no key by
which it would tell a second attempt from a second message, so there is none. A status with our callback data tells
(settling.py), or a person decides.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import psycopg
import structlog

from business.messaging.changes import changed
from business.messaging.claiming import SHORT, Claimed, Claiming
from business.messaging.lanes import Lanes
from business.messaging.outbox import OUR_FILE, Outbox
from business.messaging.outcomes import Outcomes
from business.messaging.senders import Refusal, Sender, Taken
from business.messaging.settling import Settling
from business.messaging.statuses import Status
from core.clock import Clock
from core.db import Connection, Database, fetch_all, fetch_one
from core.errors import ArgumentsWrong, MutiraoError, OutcomeUnknown, Unavailable
from core.failpoints import reach
from core.files import Files
from integrations.whatsapp_cloud.messages import Content

log = structlog.get_logger(__name__)

CLAIM_OLD = timedelta(seconds=5)
JOB_LATE = timedelta(seconds=20)
_PATIENCE = 120.0  # seconds in which what came of a message is tried to be written down
_MOST_SHORT_WAITS = 3
_LOCK_WAIT = 1.0  # seconds for another process to be done with a conversation, before we come back by a job
_HANGS = timedelta(seconds=2)  # between two looks at a conversation whose gateway does not answer


class Sending:
    """`senders`: by provider, those of `claiming`'s providers."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        senders: Mapping[str, Sender],
        claiming: Claiming,
        outbox: Outbox,
        outcomes: Outcomes,
        settling: Settling,
        *,
        files: Files | None = None,
        lanes: Lanes | None = None,
    ) -> None:
        self._db = db
        self._clock = clock
        self._senders = senders
        self._claiming = claiming
        self._outbox = outbox
        self._outcomes = outcomes
        self._settling = settling
        self._files = files
        self._lanes = lanes or Lanes()
        self._at_work: dict[str, bool] = {}
        """The conversations of which this process lets something leave now; whether somebody asked again since."""

    async def run(self, tenant_id: str, chat_id: str) -> None:
        """The job: let leave what may leave now of this conversation. May be called as often as one likes, by any
        number of processes. Unavailable when the database cannot be reached."""
        if chat_id in self._at_work:  # it may wait for its gateway for long: nobody waits for it here
            self._at_work[chat_id] = True
            return
        again = True
        while again:
            self._at_work[chat_id] = False
            try:
                await self._run(tenant_id, chat_id)
            finally:
                again = self._at_work.pop(chat_id)

    async def _run(self, tenant_id: str, chat_id: str) -> None:
        async with self._db.tenant(tenant_id) as conn:
            chat = await fetch_one(conn, "SELECT channel_id FROM chats WHERE id = %s", [chat_id])
        if chat is None:
            return
        async with self._lanes.place(chat["channel_id"]) as free:
            if not free:
                await self._wait_for_gateway(tenant_id, chat_id)
                return
            try:
                async with self._db.lock(f"send {chat_id}", timeout=_LOCK_WAIT, brief=True):
                    await self._let_leave(tenant_id, chat_id)
            except Unavailable as error:
                if error.code != "busy":
                    raise
                # Somebody is at it and may have looked already before our row was there.
                await self._outbox.wake(None, tenant_id, chat_id, at=self._clock.now() + SHORT)

    async def _let_leave(self, tenant_id: str, chat_id: str) -> None:
        """All that may leave now, one after the other."""
        waits = 0
        while (more := await self._next(tenant_id, chat_id)) is not None:
            if more > 0:
                waits += 1
                if waits > _MOST_SHORT_WAITS:
                    await self._outbox.wake(None, tenant_id, chat_id, at=self._clock.now() + SHORT)
                    return
                await asyncio.sleep(more)

    async def _wait_for_gateway(self, tenant_id: str, chat_id: str) -> None:
        """What is due of a conversation waits a moment; what waits already needs no further job."""
        now = self._clock.now()
        async with self._db.tenant(tenant_id) as conn:
            await conn.execute("SELECT 1 FROM chats WHERE id = %s FOR NO KEY UPDATE", [chat_id])
            moved = await conn.execute(
                """UPDATE outbox SET not_before = %s WHERE chat_id = %s AND state = 'waiting'
                   AND (not_before IS NULL OR not_before <= %s)""",
                [now + _HANGS, chat_id, now],
            )
            if moved.rowcount:
                await self._outbox.wake(conn, tenant_id, chat_id, at=now + _HANGS)

    async def revive(self) -> int:
        """By the clock: conversations that stand still, because a process died or a job was lost, are looked at again.
        Returns how many."""
        now = self._clock.now()
        async with self._db.system() as conn:
            query = "SELECT * FROM outbox_standing_still(%s, %s)"
            rows = await fetch_all(conn, query, [now - CLAIM_OLD, now - JOB_LATE])
        for row in rows:
            await self._outbox.wake(None, row["tenant_id"], row["chat_id"])
        return len(rows)

    async def _next(self, tenant_id: str, chat_id: str) -> float | None:
        """Let one leave. Seconds after which to look again; None when nothing more may leave now."""
        async with self._db.tenant(tenant_id) as conn:
            found = await self._claiming.next(conn, chat_id)
        if not isinstance(found, Claimed):
            return found
        await self._send(found)
        return 0.0

    async def _send(self, claimed: Claimed) -> None:
        """Once, and then write down what came of it."""
        reach("send.claimed")
        sender, row = self._senders[claimed.channel.provider], claimed.row
        outcome: Taken | Refusal | str
        try:
            content = await self._with_files(sender, claimed)
        except MutiraoError as error:  # nothing has left
            outcome = replace(sender.refusal(error), sure=True)
            if isinstance(error, OutcomeUnknown | Unavailable):
                outcome = replace(outcome, action="retry")
            await self._write_down(claimed, outcome)
            return
        if self._clock.now() - row["claimed_at"] > CLAIM_OLD and not await self._still_ours(claimed):
            # We stood still for so long that we were taken for dead. Nothing has left, and nothing may leave now.
            await self._write_down(claimed, _NOT_BEGUN)
            return
        reach("send.before_request")
        try:
            with self._lanes.request(claimed.channel.id):
                outcome = await sender.send(
                    claimed.channel, row["address"], content, callback=row["id"], reply_to=row["reply_to"]
                )
        except OutcomeUnknown as error:
            outcome = str(error)
        except MutiraoError as error:
            # Senders ask for the channel's secret before they ask the gateway: without our own database nothing left.
            ours = isinstance(error, Unavailable) and error.code == "database_unreachable"
            outcome = _NOT_BEGUN if ours else sender.refusal(error)
        except Exception as error:
            log.exception("sender_broke", outbox=row["id"], provider=claimed.channel.provider)
            outcome = f"{type(error).__name__} while it was sent"
        reach("send.after_request")
        await self._write_down(claimed, outcome)
        reach("send.after_commit")

    async def _still_ours(self, claimed: Claimed) -> bool:
        """Whether nobody has touched the row since we claimed it. (Between this look and the request there is still a
        moment; but it takes minutes, and a person who says so, until a row leaves by another hand.)"""
        query = "SELECT 1 FROM outbox WHERE id = %s AND claim = %s AND state = 'claimed'"
        try:
            async with self._db.tenant(claimed.row["tenant_id"]) as conn:
                return await fetch_one(conn, query, [claimed.row["id"], claimed.claim]) is not None
        except (Unavailable, psycopg.OperationalError):
            return False

    async def _with_files(self, sender: Sender, claimed: Claimed) -> Content:
        """The content with files of ours brought to the gateway."""
        content, row = claimed.content, claimed.row

        async def brought(value: Any, kind: str) -> Any:
            if isinstance(value, list):
                return [await brought(one, kind) for one in value]
            if not isinstance(value, Mapping):
                return value
            changed_value = {name: await brought(one, name) for name, one in value.items()}
            media_id = value.get("id")
            if isinstance(media_id, str) and media_id.startswith(OUR_FILE) and kind in _FILES:
                if self._files is None:
                    raise ArgumentsWrong("file_gone", "no files here")
                info = await self._files.info(row["tenant_id"], media_id)
                bytes_ = await self._files.read(row["tenant_id"], media_id)
                with self._lanes.request(claimed.channel.id):
                    changed_value["id"] = await sender.upload(claimed.channel, kind, bytes_, info.mime, info.name)
            return changed_value

        return Content(content.kind, await brought(content.payload, content.kind))

    async def _write_down(self, claimed: Claimed, outcome: Taken | Refusal | str) -> None:
        """What came of it, for as long as it takes a database to come back. A process that was thought dead, and whose
        row was given to somebody else since, is refused."""
        end, pause = asyncio.get_running_loop().time() + _PATIENCE, 0.1
        while True:
            try:
                async with self._db.tenant(claimed.row["tenant_id"]) as conn:
                    await self._came_of_it(conn, claimed, outcome)
                return
            except (Unavailable, psycopg.OperationalError):
                if asyncio.get_running_loop().time() > end:
                    raise
                await asyncio.sleep(pause)
                pause = min(pause * 2, 2.0)

    async def _came_of_it(self, conn: Connection, claimed: Claimed, outcome: Taken | Refusal | str) -> None:
        row = claimed.row
        await conn.execute("SELECT 1 FROM chats WHERE id = %s FOR NO KEY UPDATE", [row["chat_id"]])
        now_is = await fetch_one(conn, "SELECT state, claim, finished_at FROM outbox WHERE id = %s", [row["id"]])
        allowed = ("claimed", "unknown", "sent") if isinstance(outcome, Taken) else ("claimed", "unknown")
        theirs = now_is is not None and now_is["finished_at"] is not None and not isinstance(outcome, Taken)
        if now_is is None or now_is["claim"] != claimed.claim or now_is["state"] not in allowed or theirs:
            # A status was faster, somebody else has it, or a person was told that nobody knows, and decides.
            log.info("claim_was_lost", outbox=row["id"], state=now_is["state"] if now_is else None)
            return
        if isinstance(outcome, Taken):
            await self._outcomes.left(conn, row, outcome.id)
            await self._outcomes.accepted(conn, row, Status.HELD if outcome.held else Status.ACCEPTED)
            await self._learn_address(conn, row, outcome)
            await self._settling.early(conn, row, outcome.id)
        elif isinstance(outcome, Refusal) and outcome.sure:
            await self._outcomes.refused(conn, row, outcome)
        else:
            await self._outcomes.unknown(conn, row, outcome if isinstance(outcome, str) else outcome.text)
            await self._settling.early(conn, row, "")
        await changed(conn, row["tenant_id"], row["chat_id"])

    async def _learn_address(self, conn: Connection, row: Mapping[str, Any], taken: Taken) -> None:
        """WhatsApp says as what it knows the number we wrote to (often without the ninth digit): the answer will come
        from there, so the conversation is kept under it, as long as nobody has written in it."""
        if taken.user_id:
            await conn.execute(
                "UPDATE chats SET user_id = %s WHERE id = %s AND user_id IS NULL", [taken.user_id, row["chat_id"]]
            )
        if taken.address and taken.address != row["address"]:
            await conn.execute(
                """UPDATE chats c SET address = %s WHERE c.id = %s AND c.messages_in = 0 AND NOT EXISTS
                   (SELECT FROM chats o WHERE o.channel_id = c.channel_id AND o.address = %s)""",
                [taken.address, row["chat_id"], taken.address],
            )


_NOT_BEGUN = Refusal(0, "retry", "message", text="the database was away")
_FILES = ("image", "video", "audio", "document", "sticker")
