"""Files that people outside send: fetched from the gateway's own hosts, known by content, kept, and put into words.

What a voice note says, what is on a picture and what a document holds is shown to the attendant and given to the turn
as the contact's own words. Who puts them into words is handed in: here nobody knows of models.
"""

import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any, Protocol

import structlog

from business.messaging.changes import changed
from business.messaging.channels import Channels
from business.messaging.senders import Brought, Sender
from core.clock import Clock
from core.db import Database, fetch_all, fetch_one
from core.errors import ArgumentsWrong, MutiraoError, Refused, Unavailable
from core.files import Files
from core.jobs import Jobs
from core.tenancy import Identity
from integrations.sounds import seconds_of

log = structlog.get_logger(__name__)

JOB = "chat_media"
"""The job of one file: `MediaWork.run`."""
ATTEMPTS = 6
"""Of that job: the last about 6 minutes after the first."""
EXPIRES = timedelta(days=7)
"""How long WhatsApp keeps a file that a person sent (meta:business-phone-numbers/media)."""
_FIRST_AGAIN = timedelta(minutes=15)
_PATIENCE = timedelta(seconds=10)
"""A turn waits 20 s for the words of a file (agents/answering.py), and the job's tries are 3 and 9 s apart."""
_MB = 1024 * 1024
_LOOKS_LIKE = {
    "image": ("image/",),
    "sticker": ("image/",),
    "audio": ("audio/", "video/mp4", "video/3gpp"),
    "video": ("video/",),
}
_BYTES_A_SECOND = 16_000
"""Of a recording whose container does not tell how long it is: MP3 at 128 kbit/s."""
_LONGEST_IN_A_TURN = 4_000  # characters; the attendant sees all of it


@dataclass(frozen=True)
class MediaLimits:
    """What is taken and put into words. Sizes in MB, of one file; `day_…` of one tenant in 24 hours."""

    image_mb: int = 5
    """As WhatsApp itself passes on (pywa limits, integrations/whatsapp_cloud/limits.py); so audio and video."""
    audio_mb: int = 16
    video_mb: int = 16
    document_mb: int = 25
    sticker_mb: int = 1
    audio_seconds: int = 600
    day_seconds: int = 2 * 3600
    day_images: int = 200

    def most_bytes(self, kind: str) -> int:
        return int(getattr(self, f"{kind}_mb", self.document_mb)) * _MB


@dataclass(frozen=True)
class MediaFile:
    """A kept file on its way into words. `mime` by content; `seconds` of a recording, None when it does not tell."""

    kind: str
    mime: str
    name: str
    content: bytes
    seconds: float | None
    language: str


@dataclass(frozen=True)
class Worded:
    """`by`: provider/model, or the reader's name. `cost_usd` None where it is not known."""

    words: str
    by: str
    cost_usd: Decimal | None = None


class Wording(Protocol):
    """Puts files into words."""

    async def __call__(self, who: Identity, file: MediaFile) -> Worded:
        """ArgumentsWrong("media_unread", reason): it cannot be, now or later (no_model, unsupported, no_text,
        protected, broken, budget, too_slow). Unavailable: perhaps later."""
        ...


class MediaWork:
    """`run` is the job's body; it may run again after a crash and goes on where it was."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        channels: Channels,
        senders: Mapping[str, Sender],
        files: Files,
        wording: Wording,
        agent: Callable[[str], Awaitable[Identity]],
        limits: MediaLimits | None = None,
    ) -> None:
        """`agent` gives who acts for a tenant where no user asks."""
        self._db = db
        self._clock = clock
        self._channels = channels
        self._senders = senders
        self._files = files
        self._wording = wording
        self._agent = agent
        self._limits = limits or MediaLimits()

    async def run(self, tenant_id: str, media_id: str) -> None:
        """Fetch, keep, put into words. Unavailable when it is worth another try: the job's."""
        row = await self._row(tenant_id, media_id)
        if row is None or (row["state"] != "waiting" and not _wants_words(row)):
            return
        content = b""
        if row["state"] == "waiting":
            brought = await self._fetch(tenant_id, row)
            if brought is None:
                return
            row, content = await self._keep(tenant_id, row, brought), brought.content
        if _wants_words(row):
            await self._put_into_words(tenant_id, row, content or await self._files.read(tenant_id, row["file_id"]))

    async def again(self, jobs: Jobs, tenant_id: str) -> int:
        """Every minute: files that could not be fetched, or not be put into words because a model was away, are tried
        again after 15, 30, 60, 120… minutes, until WhatsApp has forgotten them or for a day. How many are."""
        async with self._db.tenant(tenant_id) as conn:
            forgotten = await fetch_all(
                conn,
                "UPDATE chat_media SET state = 'gone', reason = 'expired', words_state = 'failed'"
                " WHERE state = 'waiting' AND created_at < %s RETURNING chat_id",
                [self._clock.now() - EXPIRES],
            )
            for row in forgotten:
                await changed(conn, tenant_id, row["chat_id"])
            query = """SELECT id, created_at FROM chat_media WHERE created_at <= %s AND (state = 'waiting'
                       OR (state = 'kept' AND created_at > %s AND (words_state = 'waiting'
                           OR (words_state = 'failed' AND reason = 'unreachable'))))"""
            now = self._clock.now()
            rows = await fetch_all(conn, query, [now - _FIRST_AGAIN, now - timedelta(days=1)])
            found = [row for row in rows if _is_its_minute(self._clock.now() - row["created_at"])]
            for row in found:
                await jobs.defer(conn, JOB, tenant_id=tenant_id, media_id=row["id"])
        return len(found)

    # --- fetching -----------------------------------------------------------------------------

    async def _row(self, tenant_id: str, media_id: str) -> dict[str, Any] | None:
        query = """SELECT m.*, c.channel_id, c.language FROM chat_media m
                   JOIN chats c ON c.tenant_id = m.tenant_id AND c.id = m.chat_id WHERE m.id = %s"""
        async with self._db.tenant(tenant_id) as conn:
            row: dict[str, Any] | None = await fetch_one(conn, query, [media_id])
        return row

    async def _fetch(self, tenant_id: str, row: Mapping[str, Any]) -> Brought | None:
        most = self._limits.most_bytes(row["kind"])
        try:
            channel = await self._channels.get(tenant_id, row["channel_id"])
            brought = await self._senders[channel.provider].fetch(channel, row["provider_id"], most=most)
        except Unavailable:
            if self._is_late(row):
                await self._write(tenant_id, row, words_state=_failed(row), reason="unreachable")
            raise
        except MutiraoError as error:
            state, reason = _WHY.get(error.code, ("gone", error.code))
            await self._write(tenant_id, row, state=state, reason=reason, words_state=_failed(row))
            return None
        if len(brought.content) > most:
            await self._write(tenant_id, row, state="refused", reason="too_big", words_state=_failed(row))
            return None
        wanted = _LOOKS_LIKE.get(row["kind"])
        if wanted is not None and not brought.mime.startswith(wanted):
            await self._write(tenant_id, row, state="refused", reason="lies", words_state=_failed(row))
            return None
        return brought

    async def _keep(self, tenant_id: str, row: dict[str, Any], brought: Brought) -> dict[str, Any]:
        name = row["name"] or row["kind"]
        who = await self._agent(tenant_id)
        stored = await self._files.store(
            who, brought.content, name=name, mime=brought.mime, max_mb=self._limits.most_bytes(row["kind"]) // _MB
        )
        seconds = seconds_of(brought.content, brought.mime) if row["kind"] in ("audio", "video") else None
        fields = {"file_id": stored.id, "mime": brought.mime, "size": stored.size, "seconds": seconds, "reason": ""}
        if not await self._write(tenant_id, row, state="kept", **fields):  # another worker was faster
            await self._files.delete(tenant_id, stored.id)
        return await self._row(tenant_id, row["id"]) or row

    async def _write(self, tenant_id: str, row: Mapping[str, Any], **fields: Any) -> bool:
        """Note it, as long as the file is still waited for."""
        names = ", ".join(f"{name} = %s" for name in fields)
        async with self._db.tenant(tenant_id) as conn:
            done = await conn.execute(
                f"UPDATE chat_media SET {names} WHERE id = %s AND state = 'waiting'".encode(),
                [*fields.values(), row["id"]],
            )
            if done.rowcount:
                await changed(conn, tenant_id, row["chat_id"])
        return bool(done.rowcount)

    # --- words --------------------------------------------------------------------------------

    async def _put_into_words(self, tenant_id: str, row: Mapping[str, Any], content: bytes) -> None:
        seconds = None if row["seconds"] is None else float(row["seconds"])
        file = MediaFile(row["kind"], row["mime"], row["name"], content, seconds, row["language"])
        fields: dict[str, Any]
        try:
            await self._check_caps(tenant_id, row, seconds)
            worded = await self._wording(await self._agent(tenant_id), file)
        except ArgumentsWrong as error:
            fields = {"words_state": "failed", "reason": str(error.params.get("reason") or error.code)}
        except Refused as refused:
            fields = {"words_state": "failed", "reason": refused.code}
        except Unavailable:
            if self._is_late(row):
                await self._say(tenant_id, row, {"words_state": "failed", "reason": "unreachable"})
            raise
        else:
            fields = {"words": worded.words, "words_by": worded.by, "cost_usd": worded.cost_usd}
            fields |= {"words_state": "done", "reason": ""}
        await self._say(tenant_id, row, fields)

    def _is_late(self, row: Mapping[str, Any]) -> bool:
        """Whether nobody should wait for it any longer; until then the job's next try may still be in time."""
        return bool(self._clock.now() - row["created_at"] > _PATIENCE)

    async def _check_caps(self, tenant_id: str, row: Mapping[str, Any], seconds: float | None) -> None:
        """ArgumentsWrong("media_unread", reason) for what costs too much: too_long, day_spent."""
        limits, kind = self._limits, row["kind"]
        lasts = seconds if seconds is not None else int(row["size"] or 0) / _BYTES_A_SECOND
        if kind == "audio" and lasts > limits.audio_seconds:
            raise unread("too_long")
        if kind not in ("audio", "image"):
            return
        query = """SELECT coalesce(sum(seconds), 0) AS seconds, count(*) AS files FROM chat_media
                   WHERE kind = %s AND words_by <> '' AND created_at > %s"""
        async with self._db.tenant(tenant_id) as conn:
            since = self._clock.now() - timedelta(hours=24)
            used = await fetch_one(conn, query, [kind, since])
        assert used is not None
        spent = used["seconds"] >= limits.day_seconds if kind == "audio" else used["files"] >= limits.day_images
        if spent:
            log.warning("media_day_spent", tenant=tenant_id, kind=kind)
            raise unread("day_spent")

    async def _say(self, tenant_id: str, row: Mapping[str, Any], fields: dict[str, Any]) -> None:
        names = ", ".join(f"{name} = %s" for name in fields)
        async with self._db.tenant(tenant_id) as conn:
            done = await conn.execute(
                f"UPDATE chat_media SET {names} WHERE id = %s AND words_state IN ('waiting', 'failed')".encode(),
                [*fields.values(), row["id"]],
            )
            if done.rowcount:
                await changed(conn, tenant_id, row["chat_id"])


def _is_its_minute(age: timedelta) -> bool:
    """Whether a file of this age has, in this minute, become twice as old as when it was asked for last."""
    doubled = _FIRST_AGAIN * 2 ** math.floor(math.log2(age / _FIRST_AGAIN))
    return age - doubled < timedelta(minutes=1)


def unread(reason: str) -> ArgumentsWrong:
    """Why a file is not put into words."""
    return ArgumentsWrong("media_unread", f"not put into words: {reason}", reason=reason)


def told(kind: str, media: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """What a turn is told of a file, as a text key with its values. `media` is a row of chat_media: its words are the
    contact's and to be trusted as little as what they write."""
    kind = str(media.get("kind") or kind)
    if media["words_state"] == "done":
        words = str(media["words"])
        cut = words if len(words) <= _LONGEST_IN_A_TURN else words[:_LONGEST_IN_A_TURN] + " […]"
        return f"media.turn.{kind if kind in _SAID else 'document'}", {"words": cut, "name": media["name"]}
    if media["state"] in ("refused", "gone"):
        return "media.turn.not_received", {"name": media["name"]}
    return f"media.turn.{kind if kind in _UNREAD else 'document'}_unread", {"name": media["name"]}


_SAID = frozenset({"audio", "image", "document"})
_UNREAD = frozenset({"audio", "image", "document", "video", "sticker"})
_WHY = {
    "whatsapp_media_lies": ("refused", "lies"),
    "whatsapp_media_host": ("refused", "host"),
    "whatsapp_media_too_big": ("refused", "too_big"),
}
"""(state, reason) by the codes of errors of a gateway's `fetch`; others: the file is gone."""


def _wants_words(row: Mapping[str, Any]) -> bool:
    again = row["words_state"] == "failed" and row["reason"] == "unreachable"
    return row["state"] == "kept" and (row["words_state"] == "waiting" or again)


def _failed(row: Mapping[str, Any]) -> str:
    return "none" if row["words_state"] == "none" else "failed"
