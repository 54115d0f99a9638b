"""A batch of the sorter while it is worked on: the conversations it is about, and what is to be written of them.

What comes of it is gathered, and written together: at the end, or before somebody else's hands are needed (`write`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from psycopg.types.json import Jsonb

from business.messaging.arrivals import (
    Arrival,
    Attachment,
    Echoed,
    Edited,
    Incoming,
    Moved,
    Reacted,
    Who,
    plain_text,
)
from business.messaging.changes import TOPIC
from business.messaging.channels import Channel
from business.messaging.ledger import same_addresses
from business.messaging.media import JOB as MEDIA_JOB
from business.messaging.opening import ACQUAINT_JOB, open_row
from business.messaging.settings import Settings
from business.messaging.window import SERVICE_WINDOW
from core.db import Connection, fetch_all, fetch_one
from core.ids import new_id
from core.jobs import Jobs

LONGEST = 65_536  # characters of a text that are kept; WhatsApp's own are 4,096
_LATE = SERVICE_WINDOW
"""A message that reaches us this long after it was written is kept, and acted on with care: `chats.session` of its turn
says so."""
_WITH_WORDS = frozenset({"audio", "image", "document"})
_ONES = ("tenant_id", "id")
_KEPT = (
    "name",
    "user_id",
    "referral",
    "entry_at",
    "last_from_contact",
    "last_received_at",
    "last_at",
    "messages_in",
    "waiting_since",
    "due_at",
    "unread",
    "closed_at",
    "superseded",
)
"""What the sorter itself writes of a conversation; the rest is written by those whose it is."""
_MESSAGE = (
    "tenant_id",
    "id",
    "chat_id",
    "direction",
    "author",
    "kind",
    "text",
    "content",
    "external_id",
    "reply_to",
    "media_id",
    "at",
    "received_at",
    "segment",
    "status",
    "status_at",
    "contradicted",
    "reaction",
)
_MEDIA = ("tenant_id", "id", "chat_id", "provider_id", "kind", "mime", "name", "state", "words_state", "created_at")

Row = dict[str, Any]
Numbers = Mapping[str, Channel]
"""Channel by what the inbox calls it: "provider:number", and an account by any of its numbers."""


@dataclass
class Thread:
    """A conversation while a batch goes over it. `changed`: to be written."""

    row: Row
    channel: Channel
    changed: bool = False
    before: datetime | None = field(init=False)
    """When the last message of earlier batches was received."""

    def __post_init__(self) -> None:
        self.before = self.row["last_received_at"]

    @property
    def id(self) -> str:
        return str(self.row["id"])

    def set(self, **values: Any) -> None:
        self.row.update(values)
        self.changed = True

    def follows(self, received: datetime) -> datetime:
        """The moment from which a message waits for its answer: after all of earlier batches, which a turn may have
        taken up. The inbox's own moment can lie before theirs: a commit that was in doubt when PostgreSQL hung is seen
        after later ones."""
        if self.before is not None:
            received = max(received, self.before + timedelta(microseconds=1))
        return later(self.row["last_received_at"], received)


class Batch:
    """Lives as long as its transaction, `conn`."""

    def __init__(self, conn: Connection, tenant_id: str, settings: Settings, numbers: Numbers, jobs: Jobs) -> None:
        self.conn = conn
        self.tenant_id = tenant_id
        self.settings = settings
        self.numbers = numbers
        self.known: set[tuple[str, str]] = set()
        """(chat id, gateway's id) of messages that are there."""
        self.came: set[str] = set()
        """Gateway's ids of messages that the contacts wrote, new in this batch."""
        self.with_answers: set[str] = set()
        """Chats with something of the bot's in the outbox that has not left."""
        self.touched: set[str] = set()
        """Chats of which those who look on are told."""
        self._jobs = jobs
        self._chats: dict[tuple[str, str], Thread] = {}
        """By (channel id, any address of the person)."""
        self._by_id: dict[str, Thread] = {}
        self._messages: list[Row] = []
        self._media: list[Row] = []

    # --- the conversations --------------------------------------------------------------------

    async def look_up(self, arrivals: Iterable[Arrival | str]) -> None:
        """What is there already of the conversations of these: locked, once for all of them."""
        addresses: set[str] = set()
        ids: set[str] = set()
        for arrival in arrivals:
            match arrival:
                case Incoming() | Echoed():
                    addresses.update(addresses_of(_whose(arrival)))
                    ids.add(arrival.id)
                case Edited() | Reacted() | Moved():
                    addresses.update(addresses_of(arrival.who))
        if not addresses:
            return
        # Always in one order, so that two processes never wait for one another in a circle.
        found = await fetch_all(
            self.conn,
            """SELECT * FROM chats WHERE address = ANY(%(all)s) OR user_id = ANY(%(all)s)
               ORDER BY id FOR UPDATE""",
            {"all": sorted(addresses)},
        )
        by_channel = {channel.id: channel for channel in self.numbers.values()}
        for row in found:
            if row["channel_id"] in by_channel:
                self.know(Thread(row, by_channel[row["channel_id"]]))
        chats = list(self._by_id)
        if not chats:
            return
        query = "SELECT chat_id, external_id FROM chat_messages WHERE external_id = ANY(%s) AND chat_id = ANY(%s)"
        for row in await fetch_all(self.conn, query, [sorted(ids), chats]):
            self.known.add((row["chat_id"], row["external_id"]))
        query = """SELECT DISTINCT chat_id FROM outbox WHERE chat_id = ANY(%s) AND state IN ('waiting', 'ask')
                   AND author = 'bot' AND purpose = 'answer'"""
        for row in await fetch_all(self.conn, query, [chats]):
            self.with_answers.add(row["chat_id"])

    def know(self, chat: Thread) -> Thread:
        """Find it from now on, by its id and by every address of its row."""
        chat = self._by_id.setdefault(chat.id, chat)
        for address in (chat.row["address"], chat.row["user_id"]):
            if address:
                self._chats.setdefault((chat.channel.id, address), chat)
        return chat

    def has(self, channel: Channel, address: str) -> bool:
        return (channel.id, address) in self._chats

    def find(self, channel: Channel, who: Who) -> Thread | None:
        for address in addresses_of(who):
            if chat := self._chats.get((channel.id, address)):
                return chat
        return None

    async def chat(self, channel: Channel, who: Who, at: datetime) -> Thread:
        """The conversation with this person, which may begin now."""
        chat = self.find(channel, who)
        if chat is None:
            row = await open_row(
                self.conn, self.tenant_id, channel, who.address, name=plain_text(who.name)[:200], at=at,
                of={"user_id": who.user_id},
            )  # fmt: skip
            chat = self.know(Thread(row, channel))
            await self.acquaint(chat)
            return chat
        if who.user_id and not chat.row["user_id"]:
            chat.set(user_id=who.user_id)
            self.know(chat)
        if who.name and not chat.row["name"]:
            chat.set(name=plain_text(who.name)[:200])
        return chat

    async def acquaint(self, chat: Thread) -> None:
        """Have the CRM told whom it is with."""
        await self._jobs.defer(self.conn, ACQUAINT_JOB, tenant_id=self.tenant_id, chat_id=chat.id)

    async def by_id(self, chat_id: str, channel: Channel) -> Thread:
        """A conversation that is there, locked from now on."""
        if chat_id in self._by_id:
            return self._by_id[chat_id]
        row = await fetch_one(self.conn, "SELECT * FROM chats WHERE id = %s FOR UPDATE", [chat_id])
        assert row is not None
        return self.know(Thread(row, channel))

    async def again(self, chat: Thread) -> None:
        """Read a conversation anew, after others have changed it."""
        row = await fetch_one(self.conn, "SELECT * FROM chats WHERE id = %s", [chat.id])
        assert row is not None
        chat.row.update(row)
        chat.changed = False

    # --- what is to be written --------------------------------------------------------------

    def add(self, chat: Thread, one: Incoming | Echoed, text: str, at: datetime, received: datetime) -> Row:
        """A message of the conversation, theirs or one that a person of ours wrote elsewhere, and the file with it.
        Its row may be changed until it is written."""
        media_id = self._file(chat, one.attachment, received) if one.attachment else None
        content = dict(one.content)
        if isinstance(one, Incoming):
            if one.choice:
                content["choice"] = one.choice
            if one.forwarded:
                content["forwarded"] = True
            if one.referral:
                content["referral"] = dict(one.referral)
            if received - at > _LATE:
                content["late"] = True
        if one.attachment and one.attachment.voice:
            content["voice"] = True
        inward = isinstance(one, Incoming)
        row: Row = {
            "tenant_id": self.tenant_id,
            "id": new_id("msg"),
            "chat_id": chat.id,
            "direction": "in" if inward else "out",
            "author": "contact" if inward else "person",
            "kind": one.kind[:40] or "unknown",
            "text": text,
            "content": content,
            "external_id": one.id,
            "reply_to": one.reply_to if isinstance(one, Incoming) else None,
            "media_id": media_id,
            "at": at,
            "received_at": received,
            "segment": chat.row["segment"],
            "status": None if inward else "sent",
            "status_at": None if inward else at,
            "contradicted": False,
            "reaction": "",
        }
        self._messages.append(row)
        if inward:
            self.came.add(one.id)
        self.known.add((chat.id, one.id))
        self.touched.add(chat.id)
        return row

    def _file(self, chat: Thread, file: Attachment, received: datetime) -> str:
        media_id = new_id("media")
        self._media.append(
            {
                "tenant_id": self.tenant_id,
                "id": media_id,
                "chat_id": chat.id,
                "provider_id": file.id,
                "kind": file.kind,
                "mime": file.mime[:200],
                "name": plain_text(file.name)[:300],
                "state": "waiting",
                "words_state": "waiting" if file.kind in _WITH_WORDS else "none",
                "created_at": received,
            }
        )
        return media_id

    async def write(self) -> None:
        """What was gathered, in the order in which it came: others may read and change it now."""
        if self._media:
            await _insert(self.conn, "chat_media", _MEDIA, self._media)
            for one in self._media:
                await self._jobs.defer(self.conn, MEDIA_JOB, tenant_id=self.tenant_id, media_id=one["id"])
            self._media = []
        if self._messages:
            await _insert(self.conn, "chat_messages", _MESSAGE, self._messages)
            self._messages = []
        changed = [chat for chat in self._by_id.values() if chat.changed]
        if changed:
            values = [{name: chat.row[name] for name in (*_ONES, *_KEPT)} for chat in changed]
            sets = ", ".join(f"{name} = n.{name}" for name in _KEPT)
            query = f"""UPDATE chats c SET {sets} FROM jsonb_populate_recordset(NULL::chats, %s) n
                        WHERE c.tenant_id = n.tenant_id AND c.id = n.id"""
            await self.conn.execute(query.encode(), [Jsonb(_json(values))])
            for chat in changed:
                chat.changed = False
                self.touched.add(chat.id)

    async def tell(self) -> None:
        """To those who look on."""
        if self.touched:
            ids = sorted(self.touched)
            await self.conn.execute("UPDATE chats SET version = version + 1 WHERE id = ANY(%s)", [ids])
            query = "SELECT pg_notify(%s, %s || ' ' || id) FROM unnest(%s::text[]) AS id"
            await self.conn.execute(query, [TOPIC, self.tenant_id, ids])


def later(one: datetime | None, other: datetime) -> datetime:
    return other if one is None else max(one, other)


async def _insert(conn: Connection, table: str, columns: Iterable[str], rows: list[Row]) -> None:
    names = ", ".join(columns)
    query = f"INSERT INTO {table} ({names}) SELECT {names} FROM jsonb_populate_recordset(NULL::{table}, %s)"
    await conn.execute(query.encode(), [Jsonb(_json(rows))])


def _json(value: Any) -> Any:
    match value:
        case datetime():
            return value.isoformat()
        case dict():
            return {name: _json(one) for name, one in value.items()}
        case list() | tuple():
            return [_json(one) for one in value]
        case _:
            return value


def _whose(one: Incoming | Echoed) -> Who:
    return one.who if isinstance(one, Incoming) else one.to


def addresses_of(who: Who) -> list[str]:
    """By what a conversation with them may be known, the surest first: as the gateway named them, then a Brazilian
    telephone in its other writing."""
    told = [one for one in (who.wa_id, who.user_id, who.lid, who.phone, who.email) if one]
    return list(dict.fromkeys([*told, *(form for one in told for form in same_addresses(one))]))
