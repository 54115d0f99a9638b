"""From the inbox to the conversations: every item once, in its order, in one transaction with what follows from it.

    inbox → read → conversation, message, file, status, opt-out, who has it → the job of the turn, all or nothing

One sorter works for a tenant at a time, whichever process it is in, and tenants take turns, a batch each; within a
tenant people do, when one of them floods it. A batch in which one item fails is done again item by item, each within a
savepoint of its own: the odd one is set aside ("dead:<why>"), its siblings stand.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import psycopg
import structlog
from psycopg.types.json import Jsonb

from business.messaging import consent
from business.messaging.arrivals import (
    Arrival,
    Attachment,
    Echoed,
    Edited,
    Incoming,
    Moved,
    Reacted,
    Seen,
    TemplateTold,
    Told,
    Who,
    Wished,
)
from business.messaging.attention import Attention, Event, Held
from business.messaging.changes import TOPIC
from business.messaging.channels import Channel, Channels
from business.messaging.hands import Hands
from business.messaging.ledger import Ledger, same_addresses, standing_of
from business.messaging.opening import open_row
from business.messaging.outbox import Draft, Outbox
from business.messaging.reading import read
from business.messaging.rules import MessageRules
from business.messaging.settings import Settings
from business.messaging.templates import Purpose
from business.messaging.turns import Arrival as Burst
from business.messaging.turns import turn_due
from business.messaging.waking import Waking, unanswered_since
from business.messaging.window import SERVICE_WINDOW, opens_window
from core.clock import Clock
from core.db import Connection, Database
from core.errors import MutiraoError, Unavailable
from core.failpoints import reach
from core.ids import new_id
from core.jobs import Jobs
from core.notices import Notices
from integrations.whatsapp_cloud import messages as said

log = structlog.get_logger(__name__)

MEDIA_JOB = "chat_media"
"""Fetches a file that somebody sent: (tenant_id, media_id)."""
ACQUAINT_JOB = "chat_acquaint"
"""Makes a new conversation's person known to the CRM: (tenant_id, chat_id)."""
BATCH = 200  # rows of the inbox in one transaction
POLL = 0.5  # seconds between looks, beside the notices
LATE = SERVICE_WINDOW
"""A message that reaches us this long after it was written is kept, and acted on with care: `chats.session` of its turn
says so."""
LEAVES = "opt_out_yes"
"""Id of the button by which a contact says that they want no more messages."""
_LONGEST = 65_536  # characters of a text that are kept; WhatsApp's own are 4,096
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

_WHOSE = "coalesce(item->'raw'->>'from', item->'raw'->>'from_user_id', item->'data'->'key'->>'remoteJid', key)"
_WAITING = f"""SELECT number, key, kind, item, received_at, {_WHOSE} AS whose FROM inbox
    WHERE tenant_id = %(tenant)s AND sorted_at IS NULL ORDER BY id LIMIT %(most)s""".encode()
_FAIR = f"""SELECT number, key, kind, item, received_at FROM (
        SELECT *, row_number() OVER (PARTITION BY number, {_WHOSE} ORDER BY id) AS nth FROM (
            SELECT id, number, key, kind, item, received_at FROM inbox
            WHERE tenant_id = %(tenant)s AND sorted_at IS NULL ORDER BY id LIMIT %(most)s * 50) far) each_in_turn
    ORDER BY nth, id LIMIT %(most)s""".encode()
"""What waits, the oldest first; and where one person fills it all: the first of each, then the second of each …"""

Row = dict[str, Any]
TemplateNews = Callable[[Connection, str, str, TemplateTold], Awaitable[Any]]
"""What became of a template: (conn, tenant id, channel id, news); whether what waits should be looked at again."""
Warn = Callable[[Connection, str, Channel, Told], Awaitable[None]]
"""A gateway said something about a whole number that a person has to know."""
Say = Callable[[str, str], str]
"""A sentence for a contact: (language, text key)."""


@dataclass
class Sorter:
    """One per process; any number of processes. `run` until told to stop."""

    db: Database
    clock: Clock
    jobs: Jobs
    channels: Channels
    rules: MessageRules
    outbox: Outbox
    hands: Hands
    waking: Waking
    ledger: Ledger
    notices: Notices
    say: Say
    templates: TemplateNews
    warn: Warn
    sorted_rows: int = field(default=0, init=False)
    """Of this process, since it began."""

    async def run(self, stop: asyncio.Event) -> None:
        """Sort until `stop` is set. Outlives a database that goes away."""
        woken = asyncio.Event()

        async def listen() -> None:
            async for _ in self.notices.listen("inbox"):
                woken.set()

        listening = asyncio.create_task(listen(), name="inbox notices")
        pause = POLL
        try:
            while not stop.is_set():
                woken.clear()
                try:
                    busy, pause = await self.round(), POLL
                except (Unavailable, psycopg.Error) as error:
                    log.warning("sorter_waits", reason=str(error).partition("\n")[0][:200])
                    busy, pause = False, min(pause * 2, 5.0)
                except Exception:
                    log.exception("sorter_failed")
                    busy, pause = False, min(pause * 2, 5.0)
                if not busy:
                    await _first(pause, stop.wait(), woken.wait())
        finally:
            listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await listening

    async def round(self) -> bool:
        """A batch of every tenant that has something waiting, who has waited longest first. False: nothing was done."""
        async with self.db.system() as conn:
            query = "SELECT tenant_id FROM inbox_waiting_for() WHERE tenant_id IS NOT NULL ORDER BY oldest"
            waiting = [row["tenant_id"] for row in await (await conn.execute(query)).fetchall()]
        done = 0
        for tenant_id in waiting:
            done += await self.sort(tenant_id)
        return done > 0

    async def sort(self, tenant_id: str, most: int = BATCH) -> int:
        """One batch of a tenant; how many rows. 0 when nothing waits, or another process is at it."""
        for attempt in (1, 2, 3):
            try:
                done = await self._batch(tenant_id, most, careful=attempt == 3)
            except Exception as error:
                if isinstance(error, psycopg.errors.DeadlockDetected) and attempt < 3:
                    continue
                if _of_the_server(error) or attempt == 3:
                    raise
                # Some item is odd: look at each by itself.
                log.info("batch_with_odd_item", tenant=tenant_id, exc_info=True)
                done = await self._batch(tenant_id, most, careful=True)
            reach("sort.after_commit")
            self.sorted_rows += done
            return done
        return 0

    async def _batch(self, tenant_id: str, most: int, *, careful: bool) -> int:
        async with self.db.tenant(tenant_id) as conn:
            lock = "SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0)) AS got"
            got = await (await conn.execute(lock, [f"sort {tenant_id}"])).fetchone()
            if got is None or not got["got"]:
                return 0
            rows = await (await conn.execute(_WAITING, {"tenant": tenant_id, "most": most})).fetchall()
            if len(rows) == most and _flooded(rows):
                rows = await (await conn.execute(_FAIR, {"tenant": tenant_id, "most": most})).fetchall()
            if not rows:
                return 0
            settings = await self.rules.of(conn, tenant_id)
            numbers = await _numbers(self.channels, conn, tenant_id)
            outcomes: list[str] = []
            if careful:
                for row in rows:
                    outcomes += await self._alone(conn, tenant_id, settings, numbers, row)
            else:
                outcomes = await _Work(self, conn, tenant_id, settings, numbers).all(rows)
            await conn.execute(
                """UPDATE inbox i SET sorted_at = %s, outcome = n.outcome
                   FROM unnest(%s::text[], %s::text[], %s::text[]) AS n (number, key, outcome)
                   WHERE i.number = n.number AND i.key = n.key""",
                [self.clock.now(), [r["number"] for r in rows], [r["key"] for r in rows], outcomes],
            )
            reach("sort.before_commit")
        return len(rows)

    async def _alone(
        self, conn: Connection, tenant_id: str, settings: Settings, numbers: "_Numbers", row: Row
    ) -> list[str]:
        try:
            async with conn.transaction():
                return await _Work(self, conn, tenant_id, settings, numbers).all([row])
        except Exception as error:
            if _of_the_server(error):
                raise
            log.exception("item_set_aside", tenant=tenant_id, number=row["number"], key=row["key"])
            return [_dead(error)]


def _flooded(rows: list[Row]) -> bool:
    """Whether one person has written more than half of it."""
    return Counter(row["whose"] for row in rows).most_common(1)[0][1] > len(rows) // 2


_Numbers = Mapping[str, Channel]


async def _numbers(channels: Channels, conn: Connection, tenant_id: str) -> dict[str, Channel]:
    """Channel by what the inbox calls it: "provider:number", and an account by any of its numbers."""
    found: dict[str, Channel] = {}
    for channel in await channels.of(tenant_id, conn):
        found[f"{channel.provider}:{channel.number}"] = channel
        if channel.account:
            found.setdefault(f"{channel.provider}:account:{channel.account}", channel)
    return found


def _of_the_server(error: Exception) -> bool:
    """Whether it is PostgreSQL's trouble, which passes, and not an item's: no connection, no resources, a shutdown, a
    lock. (psycopg calls a row that is too large for an index an operational error, too.)"""
    if isinstance(error, psycopg.OperationalError):
        return error.sqlstate is None or error.sqlstate[:2] in ("08", "40", "53", "55", "57", "58")
    return isinstance(error, Unavailable)


def _dead(error: Exception) -> str:
    why = error.code if isinstance(error, MutiraoError) else type(error).__name__
    return f"dead:{why}"[:200]


@dataclass
class _Chat:
    """A conversation while a batch goes over it. `changed`: to be written."""

    row: Row
    channel: Channel
    changed: bool = False

    @property
    def id(self) -> str:
        return str(self.row["id"])

    def set(self, **values: Any) -> None:
        self.row.update(values)
        self.changed = True


class _Work:
    """One batch within its transaction. What it makes is gathered and written together at the end, or before somebody
    else's hands are needed."""

    def __init__(self, sorter: Sorter, conn: Connection, tenant_id: str, settings: Settings, numbers: _Numbers) -> None:
        self.s = sorter
        self.conn = conn
        self.tenant_id = tenant_id
        self.settings = settings
        self.numbers = numbers
        self.chats: dict[tuple[str, str], _Chat] = {}
        """By (channel id, any address of the person)."""
        self.by_id: dict[str, _Chat] = {}
        self.known: set[tuple[str, str]] = set()
        """(chat id, gateway's id) of messages that are there."""
        self.with_answers: set[str] = set()
        """Chats with something of the bot's in the outbox that has not left."""
        self.messages: list[Row] = []
        self.media: list[Row] = []
        self.touched: set[str] = set()

    async def all(self, rows: list[Row]) -> list[str]:
        """The outcome of each, in their order."""
        arrivals: list[Arrival | str] = [self._read(row) for row in rows]
        await self._look_up(rows, arrivals)
        outcomes = []
        for row, arrival in zip(rows, arrivals, strict=True):
            outcomes.append(arrival if isinstance(arrival, str) else await self._one(row, arrival))
        await self._write()
        await self._tell()
        return outcomes

    def _read(self, row: Row) -> Arrival | str:
        if row["number"] not in self.numbers:
            return "dead:channel_unknown"
        try:
            return read(row["number"], row["kind"], row["item"])
        except MutiraoError as error:
            return _dead(error)
        except Exception as error:
            log.exception("item_unreadable", tenant=self.tenant_id, number=row["number"], key=row["key"])
            return _dead(error)

    # --- what is there already ----------------------------------------------------------------

    async def _look_up(self, rows: list[Row], arrivals: list[Arrival | str]) -> None:
        addresses: set[str] = set()
        ids: set[str] = set()
        for arrival in arrivals:
            match arrival:
                case Incoming() | Echoed():
                    addresses.update(_addresses(_whose(arrival)))
                    ids.add(arrival.id)
                case Edited() | Reacted() | Moved():
                    addresses.update(_addresses(arrival.who))
        if not addresses:
            return
        # Always in one order, so that two processes never wait for one another in a circle.
        found = await (
            await self.conn.execute(
                """SELECT * FROM chats WHERE address = ANY(%(all)s) OR user_id = ANY(%(all)s)
                   ORDER BY id FOR UPDATE""",
                {"all": sorted(addresses)},
            )
        ).fetchall()
        by_channel = {channel.id: channel for channel in self.numbers.values()}
        for row in found:
            if row["channel_id"] in by_channel:
                self._know(_Chat(row, by_channel[row["channel_id"]]))
        chats = list(self.by_id)
        if not chats:
            return
        query = "SELECT chat_id, external_id FROM chat_messages WHERE external_id = ANY(%s) AND chat_id = ANY(%s)"
        for row in await (await self.conn.execute(query, [sorted(ids), chats])).fetchall():
            self.known.add((row["chat_id"], row["external_id"]))
        query = """SELECT DISTINCT chat_id FROM outbox WHERE chat_id = ANY(%s) AND state IN ('waiting', 'ask')
                   AND author = 'bot' AND purpose = 'answer'"""
        for row in await (await self.conn.execute(query, [chats])).fetchall():
            self.with_answers.add(row["chat_id"])

    def _know(self, chat: _Chat) -> _Chat:
        chat = self.by_id.setdefault(chat.id, chat)
        for address in (chat.row["address"], chat.row["user_id"]):
            if address:
                self.chats.setdefault((chat.channel.id, address), chat)
        return chat

    def _find(self, channel: Channel, who: Who) -> _Chat | None:
        for address in _addresses(who):
            if chat := self.chats.get((channel.id, address)):
                return chat
        return None

    async def _chat(self, channel: Channel, who: Who, at: datetime) -> tuple[_Chat, bool]:
        """The conversation with this person, and whether it is new."""
        chat = self._find(channel, who)
        if chat is None:
            row = await open_row(
                self.conn, self.tenant_id, channel, who.address, name=_plain(who.name)[:200], at=at,
                of={"user_id": who.user_id},
            )  # fmt: skip
            chat = self._know(_Chat(row, channel))
            await self.s.jobs.defer(self.conn, ACQUAINT_JOB, tenant_id=self.tenant_id, chat_id=chat.id)
            return chat, True
        if who.user_id and not chat.row["user_id"]:
            chat.set(user_id=who.user_id)
            self._know(chat)
        if who.name and not chat.row["name"]:
            chat.set(name=_plain(who.name)[:200])
        return chat, False

    # --- one item -----------------------------------------------------------------------------

    async def _one(self, row: Row, arrival: Arrival) -> str:
        channel, received = self.numbers[row["number"]], row["received_at"]
        match arrival:
            case Incoming():
                return await self._incoming(channel, arrival, received)
            case Seen():
                await self._write()  # the message may be of this very batch
                chat_id = await self.s.outbox.settle(self.conn, self.tenant_id, channel.id, _timed(arrival, received))
                return "sorted" if chat_id else "early"
            case Echoed():
                return await self._echo(channel, arrival, received)
            case Edited():
                return await self._edited(channel, arrival, received)
            case Reacted():
                return await self._reacted(channel, arrival)
            case Wished():
                return await self._wished(channel, arrival, received)
            case Moved():
                return await self._moved(channel, arrival, received)
            case TemplateTold():
                if await self.s.templates(self.conn, self.tenant_id, channel.id, arrival):
                    await self.s.outbox.wake_channel(self.conn, self.tenant_id, channel.id)
                return "sorted"
            case Told():
                if arrival.grave:
                    log.error("gateway_told", tenant=self.tenant_id, channel=channel.id, what=arrival.what)
                    await self.s.warn(self.conn, self.tenant_id, channel, arrival)
                else:
                    log.info("gateway_told", tenant=self.tenant_id, channel=channel.id, what=arrival.what)
                return "sorted" if arrival.grave else "ignored"

    async def _incoming(self, channel: Channel, one: Incoming, received: datetime) -> str:
        if not one.who.address:
            return "dead:nobody"
        at = _moment(one.at, received)
        chat, _ = await self._chat(channel, one.who, received)
        if (chat.id, one.id) in self.known:
            return "twice"
        text = _plain(one.text)[:_LONGEST]
        row = chat.row
        self._message(chat, one, text, at, received)
        opens = opens_window(one.kind)
        chat.set(
            messages_in=row["messages_in"] + 1,
            last_from_contact=_later(row["last_from_contact"], at) if opens else row["last_from_contact"],
            last_received_at=_later(row["last_received_at"], received),
            last_at=_later(row["last_at"], received),
            unread=row["unread"] + 1,
            closed_at=None,
        )
        if one.referral and row["referral"] is None:
            chat.set(referral=dict(one.referral))
        if one.referral and row["entry_answered_at"] is None:
            chat.set(entry_at=at)
        if await self._opts(chat, one, text, at):
            return "sorted"
        await self._turn(chat, one.kind, received)
        return "sorted"

    def _message(
        self,
        chat: _Chat,
        one: Incoming | Echoed,
        text: str,
        at: datetime,
        received: datetime,
    ) -> None:
        media_id = self._file(chat, one.attachment, received) if one.attachment else None
        content = dict(one.content)
        if isinstance(one, Incoming):
            if one.choice:
                content["choice"] = one.choice
            if one.forwarded:
                content["forwarded"] = True
            if one.referral:
                content["referral"] = dict(one.referral)
            if received - at > LATE:
                content["late"] = True
        if one.attachment and one.attachment.voice:
            content["voice"] = True
        inward = isinstance(one, Incoming)
        self.messages.append(
            {
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
        )
        self.known.add((chat.id, one.id))
        self.touched.add(chat.id)

    def _file(self, chat: _Chat, file: Attachment, received: datetime) -> str:
        media_id = new_id("media")
        self.media.append(
            {
                "tenant_id": self.tenant_id,
                "id": media_id,
                "chat_id": chat.id,
                "provider_id": file.id,
                "kind": file.kind,
                "mime": file.mime[:200],
                "name": _plain(file.name)[:300],
                "state": "waiting",
                "words_state": "waiting" if file.kind in _WITH_WORDS else "none",
                "created_at": received,
            }
        )
        return media_id

    async def _turn(self, chat: _Chat, kind: str, received: datetime) -> None:
        """A message waits for an answer: when the bot has the conversation, its turn has a moment from now on."""
        row = chat.row
        if row["waiting_since"] is None:
            chat.set(waiting_since=received)
        if row["held"] == Held.PERSON:
            return
        if chat.id in self.with_answers and row["superseded"] < self.settings.most_superseded:
            # An answer that was about to leave knows nothing of this message: the next one covers both.
            self.with_answers.discard(chat.id)
            await self._write()
            dropped = await self.s.outbox.drop(self.conn, chat.id, "newer_message", purposes=[Purpose.ANSWER])
            if dropped:
                since = await unanswered_since(self.conn, chat.id)
                chat.set(superseded=row["superseded"] + 1, waiting_since=since or row["waiting_since"])
        burst = [Burst(received, kind)]
        if row["waiting_since"] < received:
            burst.append(Burst(row["waiting_since"]))
        due = turn_due(burst, self.settings)
        assert due is not None
        if row["due_at"] is None:  # else a job waits already, and will see the later moment
            await self.s.waking.job(self.conn, self.tenant_id, chat.id, due)
        chat.set(due_at=due)

    # --- who wants no more ----------------------------------------------------------------------

    async def _opts(self, chat: _Chat, one: Incoming, text: str, at: datetime) -> bool:
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
                heard = consent.heard_opt_out(text, offered=await self._offered(chat))
        if heard is not None and heard.sure:
            await self._left(chat, consent.Entry(at, consent.Act.STOPPED, heard.scope, how, text[:500]), one.id)
            return True
        if not consent.heard_resume(text):
            return False
        row = chat.row
        held = await standing_of(
            self.conn, address=row["address"], contact_id=row["contact_id"], user_id=row["user_id"], more=()
        )
        if held.stopped is None and held.marketing_stopped is None:
            return False
        entry = consent.Entry(at, consent.Act.RESUMED, consent.Scope.ALL, how, text[:500])
        await self._ledger(chat, entry)
        await self.conn.execute("UPDATE chats SET goodbye_sent = false WHERE id = %s", [chat.id])
        await self._speak(chat, "messaging.to_contact.welcome_back", Purpose.ANSWER, f"welcome:{chat.id}:{one.id}")
        return True

    async def _left(self, chat: _Chat, entry: consent.Entry, message_id: str) -> None:
        """The line in the ledger, nothing of the bot's leaves any more but the one confirmation."""
        await self._ledger(chat, entry)
        await self.s.outbox.drop(self.conn, chat.id, "opted_out")
        self.with_answers.discard(chat.id)
        every = entry.scope is consent.Scope.ALL
        if every:
            chat.set(waiting_since=None)
            await self.conn.execute("UPDATE chats SET answered_in = messages_in WHERE id = %s", [chat.id])
        key = "messaging.to_contact.goodbye" if every else "messaging.to_contact.goodbye_marketing"
        await self._speak(chat, key, Purpose.GOODBYE, f"goodbye:{chat.id}:{message_id}")

    async def _ledger(self, chat: _Chat, entry: consent.Entry) -> None:
        await self._write()
        row = chat.row
        await self.s.ledger.write(
            self.conn, self.tenant_id, entry, address=row["address"], contact_id=row["contact_id"], chat_id=chat.id
        )

    async def _speak(self, chat: _Chat, key: str, purpose: Purpose, once: str) -> None:
        """One fixed sentence to the contact; with a person in the conversation it is theirs to say, but a goodbye."""
        if chat.row["held"] == Held.PERSON and purpose is not Purpose.GOODBYE:
            return
        await self._write()
        words = self.s.say(chat.row["language"], key)
        draft = Draft(
            purpose, once[:200], said.text(words), answers=chat.row["messages_in"], segment=chat.row["segment"]
        )
        await self.s.outbox.put(self.conn, self.tenant_id, chat.id, draft)

    async def _offered(self, chat: _Chat) -> list[str]:
        """The choices of our last message: who repeats one of them answers it."""
        await self._write()
        query = """SELECT text, content FROM chat_messages WHERE chat_id = %s AND direction = 'out'
                   AND status IS DISTINCT FROM 'dropped' ORDER BY seq DESC LIMIT 1"""
        row = await (await self.conn.execute(query, [chat.id])).fetchone()
        if row is None:
            return []
        lines = [line.strip() for line in row["text"].splitlines()]
        numbered = [part.strip() for line in lines for part in (line, line.partition("-")[2], line.partition(".")[2])]
        return [*numbered, *_titles(row["content"])]

    async def _wished(self, channel: Channel, one: Wished, received: datetime) -> str:
        entry = consent.preference_entry(one.value, _moment(one.at, received), _plain(one.detail))
        if entry is None:
            return "ignored"
        if not one.who.address:
            return "dead:nobody"
        await self._write()
        query = """SELECT id, address, contact_id FROM chats WHERE channel_id = %(channel)s
                   AND (address = ANY(%(all)s) OR user_id = ANY(%(all)s)) ORDER BY id LIMIT 1"""
        asked = {"channel": channel.id, "all": _addresses(one.who)}
        row = await (await self.conn.execute(query, asked)).fetchone()
        await self.s.ledger.write(
            self.conn,
            self.tenant_id,
            entry,
            address=row["address"] if row else one.who.address,
            contact_id=row["contact_id"] if row else None,
            chat_id=row["id"] if row else None,
        )
        return "sorted"

    # --- what is not a message of theirs --------------------------------------------------------

    async def _echo(self, channel: Channel, one: Echoed, received: datetime) -> str:
        if not one.to.address:
            return "dead:nobody"
        at = min(_moment(one.at, received), received)  # a moment ahead of our clock would outlast a hand-back
        if one.kind == "reaction":
            return "ignored"  # of ours on theirs: nobody has taken over by it
        chat, _ = await self._chat(channel, one.to, received)
        if (chat.id, one.id) in self.known:
            return "twice"
        await self._write()
        if await self.s.outbox.adopt(self.conn, self.tenant_id, chat.id, one):
            return "ours"
        self._message(chat, one, _plain(one.text)[:_LONGEST], at, received)
        chat.set(last_at=_later(chat.row["last_at"], received))
        await self._write()
        row = chat.row
        before = Attention(Held(row["held"]), row["held_since"], row["held_by"], row["segment"])
        await self.s.hands.step(self.conn, chat.id, before, Event.PERSON_WROTE, at)
        await self._again(chat)
        self.with_answers.discard(chat.id)
        return "sorted"

    async def _edited(self, channel: Channel, one: Edited, received: datetime) -> str:
        """Only by who wrote it: a modified client may name any message. Some gateways do not tell who it was."""
        await self._write()
        chat = self._find(channel, one.who)
        if chat is None and one.who.address:
            return "ignored"
        query = """SELECT m.id, m.chat_id, m.text, m.kind, m.received_at FROM chat_messages m
                   JOIN chats c ON c.tenant_id = m.tenant_id AND c.id = m.chat_id
                   WHERE m.external_id = %s AND c.channel_id = %s AND m.direction = 'in'
                         AND (%s::text IS NULL OR m.chat_id = %s) LIMIT 1"""
        of = chat.id if chat else None
        row = await (await self.conn.execute(query, [one.of, channel.id, of, of])).fetchone()
        if row is None:
            return "ignored"
        at = _moment(one.at, received)
        if one.text is None:
            await self.conn.execute("UPDATE chat_messages SET revoked_at = %s WHERE id = %s", [at, row["id"]])
        else:
            await self.conn.execute(
                """UPDATE chat_messages SET text = %s, edited_at = %s, content = content || %s
                   WHERE id = %s AND (edited_at IS NULL OR edited_at <= %s)""",
                [_plain(one.text)[:_LONGEST], at, Jsonb({"was": row["text"][:4_000]}), row["id"], at],
            )
        self.touched.add(row["chat_id"])
        if chat is None:
            chat = await self._by_id(row["chat_id"], channel)
        if one.text is not None and (heard := consent.heard_opt_out(_plain(one.text))) is not None and heard.sure:
            entry = consent.Entry(at, consent.Act.STOPPED, heard.scope, consent.How.WORDS, _plain(one.text)[:500])
            await self._left(chat, entry, one.id)
            return "sorted"
        since = chat.row["waiting_since"]
        if since is not None and row["received_at"] >= since:
            # Not answered yet: a turn that runs has read the old words.
            chat.set(messages_in=chat.row["messages_in"] + 1, last_received_at=received)
            await self._turn(chat, "text", received)
        return "sorted"

    async def _reacted(self, channel: Channel, one: Reacted) -> str:
        await self._write()
        chat = self._find(channel, one.who)
        query = """UPDATE chat_messages m SET reaction = %s FROM chats c
                   WHERE m.external_id = %s AND c.tenant_id = m.tenant_id AND c.id = m.chat_id AND c.channel_id = %s
                         AND (%s::text IS NULL OR c.id = %s) RETURNING m.chat_id"""
        of = chat.id if chat else None
        asked = [_plain(one.emoji)[:40], one.of, channel.id, of, of]
        row = await (await self.conn.execute(query, asked)).fetchone()
        if row is None:
            return "ignored"
        self.touched.add(row["chat_id"])
        return "sorted"

    async def _moved(self, channel: Channel, one: Moved, received: datetime) -> str:
        """Another number, or another telephone behind it: told in the conversation, which goes on with the new one."""
        chat = self._find(channel, one.who)
        if chat is None:
            return "ignored"
        if (chat.id, one.id) in self.known:
            return "twice"
        notice = Incoming(one.id, one.who, one.at, "system", one.text, content={"new_address": one.new_address})
        self._message(chat, notice, _plain(one.text)[:_LONGEST], _moment(one.at, received), received)
        self.messages[-1] |= {"direction": "note", "author": "system"}
        await self._write()
        new = one.new_address
        if new and (channel.id, new) not in self.chats:
            taken = "SELECT 1 FROM chats WHERE channel_id = %s AND address = %s"
            if await (await self.conn.execute(taken, [channel.id, new])).fetchone() is None:
                await self.conn.execute("UPDATE chats SET address = %s WHERE id = %s", [new, chat.id])
                chat.row["address"] = new
                self._know(chat)
                await self.s.jobs.defer(self.conn, ACQUAINT_JOB, tenant_id=self.tenant_id, chat_id=chat.id)
        return "sorted"

    # --- writing --------------------------------------------------------------------------------

    async def _by_id(self, chat_id: str, channel: Channel) -> _Chat:
        if chat_id in self.by_id:
            return self.by_id[chat_id]
        row = await (await self.conn.execute("SELECT * FROM chats WHERE id = %s FOR UPDATE", [chat_id])).fetchone()
        assert row is not None
        return self._know(_Chat(row, channel))

    async def _again(self, chat: _Chat) -> None:
        """Read a conversation anew, after others have changed it."""
        row = await (await self.conn.execute("SELECT * FROM chats WHERE id = %s", [chat.id])).fetchone()
        assert row is not None
        chat.row.update(row)
        chat.changed = False

    async def _write(self) -> None:
        """What was gathered, in the order in which it came."""
        if self.media:
            await _insert(self.conn, "chat_media", _MEDIA, self.media)
            for one in self.media:
                await self.s.jobs.defer(self.conn, MEDIA_JOB, tenant_id=self.tenant_id, media_id=one["id"])
            self.media = []
        if self.messages:
            await _insert(self.conn, "chat_messages", _MESSAGE, self.messages)
            self.messages = []
        changed = [chat for chat in self.by_id.values() if chat.changed]
        if changed:
            values = [{name: chat.row[name] for name in (*_ONES, *_KEPT)} for chat in changed]
            sets = ", ".join(f"{name} = n.{name}" for name in _KEPT)
            query = f"""UPDATE chats c SET {sets} FROM jsonb_populate_recordset(NULL::chats, %s) n
                        WHERE c.tenant_id = n.tenant_id AND c.id = n.id"""
            await self.conn.execute(query.encode(), [Jsonb(_json(values))])
            for chat in changed:
                chat.changed = False
                self.touched.add(chat.id)

    async def _tell(self) -> None:
        """To those who look on."""
        if self.touched:
            ids = sorted(self.touched)
            await self.conn.execute("UPDATE chats SET version = version + 1 WHERE id = ANY(%s)", [ids])
            query = "SELECT pg_notify(%s, %s || ' ' || id) FROM unnest(%s::text[]) AS id"
            await self.conn.execute(query, [TOPIC, self.tenant_id, ids])


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


def _addresses(who: Who) -> list[str]:
    """By what a conversation with them may be known, the surest first: as the gateway named them, then a Brazilian
    telephone in its other writing."""
    told = [one for one in (who.wa_id, who.user_id, who.lid, who.phone, who.email) if one]
    return list(dict.fromkeys([*told, *(form for one in told for form in same_addresses(one))]))


def _moment(at: datetime, received: datetime) -> datetime:
    """A gateway's moment; ours where it told none that can be one."""
    return received if at.year < 2009 or at > received + timedelta(days=1) else at


def _timed(seen: Seen, received: datetime) -> Seen:
    return replace(seen, at=_moment(seen.at, received))


def _later(one: datetime | None, other: datetime) -> datetime:
    return other if one is None else max(one, other)


def _titles(content: Mapping[str, Any]) -> list[str]:
    """Titles of the buttons or rows of a message of ours."""
    action = content.get("interactive", {}).get("action", {}) if isinstance(content.get("interactive"), dict) else {}
    buttons = [one.get("reply", {}).get("title", "") for one in action.get("buttons", [])]
    rows = [row.get("title", "") for section in action.get("sections", []) for row in section.get("rows", [])]
    return [title for title in (*buttons, *rows) if title]


def _plain(text: str) -> str:
    """Text that PostgreSQL can keep."""
    if "\0" not in text and text.isascii():
        return text
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


async def _first(seconds: float, *waited: Any) -> None:
    """Until one of them is over, or `seconds` are."""
    tasks = [asyncio.ensure_future(one) for one in waited]
    try:
        await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in tasks:
            one.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
