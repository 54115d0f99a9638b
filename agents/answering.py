"""Turns with people outside: what a contact wrote becomes one answer in the outbox, once.

    job → due? whose hand? → read the burst → the crew thinks, watched → one transaction: is it still true? → outbox

While the crew thinks, the conversation's row is watched: a newer message, a person of ours or a hand-back ends the
turn, and nothing of it is said. Before the answer is put into the outbox the row is locked and asked again; a worker
that was dead for a while, and whose turn another has done since, finds out there. What is put leaves by sending.py,
which asks a last time.
"""

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import psycopg
import structlog
from psycopg.types.json import Jsonb

from business.messaging import brazil, consent
from business.messaging.attention import Effect, Event, Held
from business.messaging.brazil import Place
from business.messaging.changes import TOPIC, changed
from business.messaging.channels import WHATSAPP, Channel, Channels
from business.messaging.clocks import UNCLEAR_NOW, clock_of
from business.messaging.conversation import Chat, Message, chat_of, recent
from business.messaging.hands import Hands
from business.messaging.hours import closed_because, next_open
from business.messaging.opting import LEAVES, STAYS, asked_to_leave, offered, picked
from business.messaging.outbox import Draft, Outbox
from business.messaging.rules import MessageRules
from business.messaging.senders import Sender
from business.messaging.settings import Settings
from business.messaging.templates import Purpose
from business.messaging.turns import Stage, Then, on_newer, typing_again
from business.messaging.waking import Waking, unanswered_since
from business.messaging.window import is_open
from business.messaging.writing import for_whatsapp, parts
from core.clock import Clock
from core.db import Connection, Database, fetch_all, fetch_one
from core.door import Reply, View
from core.errors import ArgumentsWrong, MutiraoError
from core.failpoints import reach
from core.ids import new_id
from core.notices import Notices
from core.tenancy import Identity
from core.turn import Contact, HandOver, Limits, Turn
from core.words import folded
from integrations.whatsapp_cloud import messages as said
from prompts.texts import Texts

log = structlog.get_logger(__name__)

HISTORY = 20  # messages of before that the crew is told
_LONGEST, _LONGEST_BEFORE = 8_000, 2_000
"""Characters of a burst, and of a message of before, that the crew is told; nobody types more, and tokens cost."""
_LOOKS = 60  # newest rows of a conversation that a turn reads, beside what waits
_MOST_WAITING = 500  # messages of one burst that a turn reads, the newest; the crew is told the end of them anyway
_POLL = 2.0  # seconds between looks at the row, beside the notices
_MEDIA_PATIENCE = timedelta(seconds=20)
_MOST_TRIES = 4  # beginnings of a turn that came to nothing; then a person is fetched
_PAUSES = (3, 10, 30)  # seconds before it is tried again
MOST_AN_HOUR = 40
"""Answers to one contact within an hour; who writes more waits a minute for each, and what they write is answered at
once. Ours: nobody talks so fast, programs do."""
WAITED = timedelta(minutes=15)
"""After so long the team is told that somebody waits for one of them. Ours."""
_PROACTIVE = frozenset({Purpose.FIRST_CONTACT, Purpose.FOLLOW_UP, Purpose.CAMPAIGN})
_COUNTED = "tries"
_DONE = "done"
"""Keys of a session that are ours: beginnings that came to nothing, and what an interrupted turn did already."""
_LINK_WORDS = frozenset(
    "o a e de da do por pelo pela para pra no na nesse neste esse este aqui segue esta entre entra entrar acesse"
    " acessar clique link endereco reuniao conversa chamada sala voce sua nossa so"
    " the here is it s at you can join enter by with this our your for meeting call room"
    " el la es en por tu nuestra enlace puedes unirte reunion llamada con".split()
)
"""Of which a sentence is made that only hands a link over."""


class Answer(Protocol):
    """agents.supervisor.Supervisor.answer_contact."""

    async def __call__(self, turn: Turn, history: Sequence[tuple[str, str]]) -> Reply: ...


Tell = Callable[[Connection, Chat, HandOver, str], Awaitable[None]]
"""A person is wanted in a conversation: (transaction, conversation, why, a key that is the same for the same wish)."""
Agent = Callable[[str], Awaitable[Identity]]
"""Who acts for a tenant where no user asks."""
Acquaint = Callable[[str, str], Awaitable[None]]
"""Make the person of a conversation known to the CRM: (tenant id, chat id)."""
Meets = Callable[[Chat], Awaitable[Mapping[str, str] | None]]
"""The next meeting of a conversation that stands, as {"day", "time"} in words."""
MediaTold = Callable[[str, Mapping[str, Any]], tuple[str, dict[str, Any]]]
"""What a file says, as a text key with its values: (kind, row of chat_media)."""


@dataclass(frozen=True)
class _Begun:
    """A conversation as its turn found it."""

    chat: Chat
    channel: Channel
    settings: Settings
    zone: str
    waiting: list[Message]
    before: list[Message]
    last_purpose: str


@dataclass
class Turns:
    """`run` is the body of the job "chat_turn"; a job that is done again after a crash finds what is left to do."""

    db: Database
    clock: Clock
    answer: Answer
    agent: Agent
    channels: Channels
    rules: MessageRules
    outbox: Outbox
    hands: Hands
    waking: Waking
    notices: Notices
    texts: Texts
    senders: Mapping[str, Sender]
    acquaint: Acquaint
    tell: Tell
    media_told: MediaTold
    limits: Limits = field(default_factory=Limits)
    meets: Meets | None = None

    async def run(self, tenant_id: str, chat_id: str) -> None:
        """Answer what waits in this conversation, if its moment has come and the bot has it."""
        begun = await self._begin(tenant_id, chat_id)
        if begun is None:
            return
        reach("turn.begun")
        with contextlib.suppress(MutiraoError):  # the conversation goes on without the CRM
            await self.acquaint(tenant_id, chat_id)
            begun = await self._again(begun)
        if await self._without_crew(begun):
            return
        agent = await self.agent(tenant_id)
        turn = self._turn(begun, agent)
        reply = await self._think(begun, turn)
        if reply is None:
            return
        reach("turn.answered")
        await self._conclude(begun, turn, reply)

    async def revive(self, tenant_id: str, idle: timedelta = timedelta(seconds=45)) -> int:
        """Jobs for conversations of the bot that wait for an answer and have none: a job was lost. Returns how many."""
        now = self.clock.now()
        query = """SELECT id FROM chats WHERE held <> 'person' AND waiting_since IS NOT NULL
                   AND coalesce(due_at, waiting_since) < %s AND NOT EXISTS (
                       SELECT FROM procrastinate_jobs j
                       WHERE j.lock = 'turn ' || chats.id AND j.status IN ('todo', 'doing'))
                   ORDER BY waiting_since LIMIT 200"""
        async with self.db.tenant(tenant_id) as conn:
            rows = await fetch_all(conn, query, [now - idle])
            for row in rows:
                await self.waking.job(conn, tenant_id, row["id"], now)
        return len(rows)

    async def remind(self, tenant_id: str) -> int:
        """Tell the team of contacts who have waited for a person for a while, once each time, when somebody should be
        there. The bot does not step in: it would talk over whoever is about to answer. Returns how many."""
        now = self.clock.now()
        async with self.db.tenant(tenant_id) as conn:
            query = """SELECT id, waiting_since FROM chats WHERE held IN ('person', 'fetching') AND closed_at IS NULL
                       AND waiting_since < %s ORDER BY waiting_since DESC LIMIT 1000"""
            rows = await fetch_all(conn, query, [now - WAITED])
            if not rows:
                return 0
            settings = await self.rules.of(conn, tenant_id)
            zone = str(await _scalar(conn, "SELECT time_zone FROM tenants WHERE id = %s", tenant_id))
            if closed_because(settings.calendar(Place(zone, None, "account")), settings.business_hours, now):
                return 0
            for row in rows:
                chat = await chat_of(conn, row["id"])
                minutes = int((now - row["waiting_since"]).total_seconds() // 60)
                why = HandOver("waits", self.texts.say(chat.language, "chats.why.waits", minutes=minutes))
                await self.tell(conn, chat, why, f"waits:{chat.id}:{row['waiting_since'].isoformat()}")
        return len(rows)

    # --- the beginning ------------------------------------------------------------------------

    async def _begin(self, tenant_id: str, chat_id: str) -> _Begun | None:
        """Take what waits, or say when: None when there is nothing to do now."""
        now = self.clock.now()
        async with self.db.tenant(tenant_id) as conn:
            chat = await chat_of(conn, chat_id, lock=True)
            if chat.waiting_since is None or chat.held == Held.PERSON:
                await conn.execute("UPDATE chats SET due_at = NULL WHERE id = %s", [chat_id])
                return None
            if chat.due_at is not None and chat.due_at > now + timedelta(milliseconds=50):
                await self.waking.job(conn, tenant_id, chat_id, chat.due_at)
                return None
            query = "SELECT count(*) FROM chat_messages WHERE chat_id = %s AND direction = 'in' AND received_at >= %s"
            waits = int(await _scalar(conn, query, chat_id, chat.waiting_since) or 0)
            rows = await recent(conn, chat_id, _LOOKS + min(waits, _MOST_WAITING))
            if _caught(rows) and (open_since := await unanswered_since(conn, chat_id)) is not None:
                chat = replace(chat, waiting_since=min(open_since, chat.waiting_since))
            waiting, before = _split(rows, chat.waiting_since or now)
            if again := await self._too_early(conn, chat, waiting, now):
                await conn.execute("UPDATE chats SET due_at = %s WHERE id = %s", [again, chat_id])
                await self.waking.job(conn, tenant_id, chat_id, again)
                return None
            if not waiting:  # all of it was taken back
                await conn.execute("UPDATE chats SET due_at = NULL, waiting_since = NULL WHERE id = %s", [chat_id])
                return None
            tries = int(chat.session.get(_COUNTED, 0)) + 1
            await conn.execute(
                "UPDATE chats SET due_at = NULL, session = session || %s WHERE id = %s",
                [Jsonb({_COUNTED: tries}), chat_id],
            )
            chat = replace(await chat_of(conn, chat_id), waiting_since=chat.waiting_since)
            channel = await self.channels.get(tenant_id, chat.channel_id, conn)
            settings = await self.rules.of(conn, tenant_id)
            zone = await _scalar(conn, "SELECT time_zone FROM tenants WHERE id = %s", tenant_id)
            query = """SELECT purpose FROM outbox WHERE chat_id = %s AND state <> 'dropped'
                       ORDER BY created_at DESC, seq DESC LIMIT 1"""
            last = await _scalar(conn, query, chat_id)
            return _Begun(chat, channel, settings, str(zone or "America/Sao_Paulo"), waiting, before, str(last or ""))

    async def _too_early(self, conn: Connection, chat: Chat, waiting: list[Message], now: datetime) -> datetime | None:
        """When to look again: a file is still being read, or one contact asks for more than a person can."""
        for one in waiting:
            media = one.media
            if media and media["words_state"] == "waiting":
                since = datetime.fromisoformat(media["created_at"])
                if now - since < _MEDIA_PATIENCE:
                    return now + timedelta(seconds=1)
        # Each counts once, in however many messages it was said.
        query = """SELECT count(DISTINCT facts->>'answers') FROM outbox WHERE chat_id = %s AND author = 'bot'
                   AND purpose = 'answer' AND created_at > %s"""
        made = await _scalar(conn, query, chat.id, now - timedelta(hours=1))
        if int(made or 0) >= MOST_AN_HOUR and chat.waiting_since and now - chat.waiting_since < timedelta(minutes=1):
            log.warning("contact_writes_too_fast", tenant=chat.tenant_id, chat=chat.id)
            return chat.waiting_since + timedelta(minutes=1)
        return None

    async def _again(self, begun: _Begun) -> _Begun:
        async with self.db.tenant(begun.chat.tenant_id) as conn:
            chat = await chat_of(conn, begun.chat.id)
        known = {name: getattr(chat, name) for name in ("contact_id", "company_id", "deal_id", "owner_id")}
        return replace(begun, chat=replace(begun.chat, **known))

    # --- what needs no crew ---------------------------------------------------------------------

    async def _without_crew(self, begun: _Begun) -> bool:
        """Answers that are the same for everybody; True when one was given."""
        chat, now = begun.chat, self.clock.now()
        if int(chat.session.get(_COUNTED, 0)) > _MOST_TRIES:
            log.error("turn_given_up", tenant=chat.tenant_id, chat=chat.id)
            await self._say_and_fetch(begun, "messaging.to_contact.cannot_answer", "cannot_help")
            return True
        if any(one.content.get("late") for one in begun.waiting) and not is_open(
            chat.last_from_contact, now, begun.settings.window_margin
        ):
            # It reached us days after it was written: nobody acts on it unseen.
            await self._say_and_fetch(begun, "messaging.to_contact.late", "late")
            return True
        if self._perhaps_leaves(begun):
            meeting = await self.meets(chat) if self.meets is not None else None
            if meeting is None or not consent.calls_off(_written(begun)):
                await self._ask_whether_to_stop(begun, meeting)
                return True
        return False

    def _perhaps_leaves(self, begun: _Begun) -> bool:
        """Whether what they wrote may mean that they want no more messages, and may not; they are asked once."""
        ours = _last_of_ours(begun)
        if any(one.kind not in ("text", "button") for one in begun.waiting) or (ours and asked_to_leave(ours.content)):
            return False
        unasked, written = begun.last_purpose in _PROACTIVE, _written(begun)
        choices = offered(ours.text, ours.content) if ours is not None and not unasked else []
        heard = consent.heard_opt_out(written, offered=choices)
        if heard is None and unasked:
            heard = consent.heard_opt_out(written, unasked=True)
        return heard is not None and not heard.sure

    async def _ask_whether_to_stop(self, begun: _Begun, meeting: Mapping[str, str] | None) -> None:
        """`meeting`: day and time of the one that stands, which may be what they mean."""
        say = partial(self.texts.say, begun.chat.language)
        leaves = said.Button(LEAVES, say("messaging.to_contact.opt_out_yes"))
        if meeting is None:
            stays = said.Button(STAYS, say("messaging.to_contact.opt_out_no"))
            content = said.buttons(say("messaging.to_contact.opt_out_question"), [leaves, stays])
        else:
            question = say("messaging.to_contact.opt_out_or_meeting", **meeting)
            off = said.Button("meeting_off", say("messaging.to_contact.meeting_off"))
            content = said.buttons(question, [off, leaves])
        async with self.db.tenant(begun.chat.tenant_id) as conn:
            if await self._still(conn, begun) is not None:
                await self._put(conn, begun, [(content, "")], None)
                await self._answered(conn, begun, begun.chat.session)

    async def _say_and_fetch(self, begun: _Begun, key: str, reason: str) -> None:
        why = HandOver(reason, self.texts.say(begun.chat.language, f"chats.why.{reason}"))
        async with self.db.tenant(begun.chat.tenant_id) as conn:
            chat = await self._still(conn, begun)
            if chat is None:
                return
            await self._fetch(conn, begun, chat, why)
            words = self.texts.say(chat.language, key)
            await self._put(conn, begun, [(said.text(words), "")], None)
            await self._answered(conn, begun, begun.chat.session)

    # --- thinking -------------------------------------------------------------------------------

    def _turn(self, begun: _Begun, agent: Identity) -> Turn:
        chat, now = begun.chat, self.clock.now()
        words = "\n".join(_own_words(one) for one in begun.waiting)
        before = [_own_words(one) for one in begun.before if one.direction == "in"]
        zone, said_clock = clock_of(chat.session, words, before)
        lives = brazil.place(zone=zone, state=chat.place or None, phone=chat.address, account_zone=begun.zone)
        calendar = begun.settings.calendar(Place(begun.zone, None, "account"))
        is_closed = closed_because(calendar, begun.settings.business_hours, now) is not None
        opens = next_open(calendar, begun.settings.business_hours, now) if is_closed else None
        session = {name: value for name, value in chat.session.items() if name not in (_COUNTED, _DONE, UNCLEAR_NOW)}
        session |= said_clock
        pressed = next((str(one.content["choice"]) for one in reversed(begun.waiting) if "choice" in one.content), "")
        session["chat"] = {
            "name": chat.name,
            "channel": begun.channel.provider,
            "messages": chat.messages_in,
            "kinds": [one.kind for one in begun.waiting],
            "choice": pressed,
            "reacted_to": _reacted_to(begun, lives.clock),
            "open": not is_closed,
            "opens_at": opens.isoformat() if opens else None,
            "referral": dict(chat.referral) if chat.referral else None,
            "held": chat.held,
            "late": any(one.content.get("late") for one in begun.waiting),
            "done": list(chat.session.get(_DONE, [])),
        }
        session["attachments"] = [
            {"kind": one.kind, "words": one.media["words"], "name": one.media["name"]}
            for one in begun.waiting
            if one.media
        ]
        texts = (self._words(one, chat.language, now=True) for one in begun.waiting)
        return Turn(
            id=new_id("turn"),
            identity=replace(agent, time_zone=lives.zone),
            conversation_id=chat.id,
            door="whatsapp",
            text=_cut(_choice_of(begun) or "\n".join(filter(None, texts)), _LONGEST),
            language=chat.language if chat.language in ("pt-BR", "en", "es") else "pt-BR",
            now=now,
            session=session,
            limits=self.limits,
            contact=Contact(
                chat_id=chat.id,
                contact_id=chat.contact_id,
                name=chat.name,
                channel_id=chat.channel_id,
                provider=begun.channel.provider,
                company_id=chat.company_id,
                deal_id=chat.deal_id,
                owner_id=chat.owner_id,
            ),
        )

    def _words(self, message: Message, language: str, *, now: bool = False) -> str:
        """A message as the crew reads it: what was written, and of a file what it says. Of one that says nothing (yet),
        only the past is told that it was there: what is answered `now` are the contact's own words."""
        if message.media is None or (now and not message.media["words"]):
            return message.text
        key, params = self.media_told(message.kind, message.media)
        told = self.texts.say(language, key, **params) if key else ""
        return "\n".join(one for one in (told, message.text) if one)

    async def _think(self, begun: _Begun, turn: Turn) -> Reply | None:
        """The crew's answer; None when what was asked is out of date."""
        history = [
            ("user" if one.direction == "in" else "assistant", _cut(words, _LONGEST_BEFORE))
            for one in begun.before[-HISTORY:]
            if (words := self._words(one, turn.language))
        ]
        thinking = asyncio.create_task(self.answer(turn, history), name=f"turn {turn.id}")
        watching = asyncio.create_task(self._watch(begun, turn), name=f"watch {turn.id}")
        typing = asyncio.create_task(self._show_typing(begun), name=f"typing {turn.id}")
        try:
            await asyncio.wait({thinking, watching}, return_when=asyncio.FIRST_COMPLETED)
            if not thinking.done():
                turn.stopped.set()
                thinking.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await thinking
                if not thinking.cancelled():
                    return thinking.result()  # it had just ended: the last check decides
                why = watching.result()
                log.info("turn_overtaken", tenant=begun.chat.tenant_id, chat=begun.chat.id, why=why)
                await self._overtaken(begun, turn, why)
                return None
            return thinking.result()
        finally:
            for task in (thinking, watching, typing):
                task.cancel()
            await asyncio.gather(thinking, watching, typing, return_exceptions=True)

    async def _watch(self, begun: _Begun, turn: Turn) -> str:
        """Ends when the turn should: "person", "segment", or what on_newer says to a newer message."""
        mine = f"{begun.chat.tenant_id} {begun.chat.id}"
        woken = asyncio.Event()

        async def listen() -> None:
            async for told in self.notices.listen(TOPIC):
                if told in ("", mine):
                    woken.set()

        listening = asyncio.create_task(listen())
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_POLL):  # wait_for may swallow a cancellation (Python 3.11)
                        await woken.wait()
                woken.clear()
                with contextlib.suppress(MutiraoError, psycopg.Error):  # away: the last check will know
                    async with self.db.tenant(begun.chat.tenant_id) as conn:
                        chat = await chat_of(conn, begun.chat.id)
                    if why := self._overtaken_by(begun, turn, chat):
                        return why
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    def _overtaken_by(self, begun: _Begun, turn: Turn | None, chat: Chat) -> str:
        """Why a turn that began with `begun` is out of date; "" when it is not."""
        if chat.segment != begun.chat.segment:
            return "segment"
        if chat.held == Held.PERSON:
            return "person"
        if chat.waiting_since is None:
            return "answered"  # by another worker, or an opt-out took it away
        if chat.messages_in > begun.chat.messages_in:
            stage = Stage.ACTED if turn is not None and _acted(turn) else Stage.THINKING
            then = on_newer(stage, chat.superseded, begun.settings)
            return "" if then is Then.FINISH else str(then)
        return ""

    async def _overtaken(self, begun: _Begun, turn: Turn, why: str) -> None:
        """Leave a trace for the turn that follows: that this one was thrown away, and what it had done."""
        async with self.db.tenant(begun.chat.tenant_id) as conn:
            chat = await chat_of(conn, begun.chat.id, lock=True)
            await self._thrown_away(conn, chat, turn, why)

    async def _thrown_away(self, conn: Connection, chat: Chat, turn: Turn, why: str) -> None:
        newer = why in (Then.RESTART, Then.REWRITE)
        kept: dict[str, Any] = {_COUNTED: 0}
        if newer and (acts := [*chat.session.get(_DONE, []), *_acts(turn)]):
            kept[_DONE] = acts[-10:]
        await conn.execute(
            "UPDATE chats SET superseded = superseded + %s, session = session || %s WHERE id = %s",
            [int(newer), Jsonb(kept), chat.id],
        )
        if newer and chat.due_at is None:  # else the newer message has its job
            await self.waking.wake(conn, chat.tenant_id, chat.id, self.clock.now())

    async def _show_typing(self, begun: _Begun) -> None:
        """Blue ticks on what was read, and "is typing", as long as it lasts. Nobody waits for it or fails by it."""
        sender = self.senders.get(begun.channel.provider)
        last = next((one.external_id for one in reversed(begun.waiting) if one.external_id), None)
        if sender is None or last is None or begun.channel.state != "active":
            return
        shown: datetime | None = None
        while True:
            now = self.clock.now()
            if typing_again(shown, now):
                shown = now
                try:
                    async with asyncio.timeout(5):
                        await sender.mark_read(begun.channel, last, typing=True)
                except Exception as error:
                    log.info("typing_not_shown", chat=begun.chat.id, reason=type(error).__name__)
            await asyncio.sleep(2)

    # --- the end ----------------------------------------------------------------------------------

    async def _conclude(self, begun: _Begun, turn: Turn, reply: Reply) -> None:
        """The answer into the outbox, if it is still one."""
        contents = self._contents(begun, reply)
        if not contents and turn.hand_over is None and reply.ended != "done":
            await self._try_again(begun, turn, reply.ended)
            return
        async with self.db.tenant(begun.chat.tenant_id) as conn:
            chat = await self._still(conn, begun, turn)
            if chat is None:
                return
            if turn.hand_over is not None:
                told = await self._fetch(conn, begun, chat, turn.hand_over)
                if not contents and told:
                    contents = [(said.text(self._person_comes(begun)), "")]
            leaves = any(one.name == "opt_out" and (one.result or {}).get("stopped") for one in turn.results)
            await self._put(conn, begun, contents, turn, Purpose.GOODBYE if leaves else Purpose.ANSWER)
            await self._answered(conn, begun, turn.session, turn.language)
            reach("turn.before_commit")
        reach("turn.after_commit")

    async def _still(self, conn: Connection, begun: _Begun, turn: Turn | None = None) -> Chat | None:
        """The conversation, locked, when the turn's answer may still be said; else the turn ends here."""
        chat = await chat_of(conn, begun.chat.id, lock=True)
        if why := self._overtaken_by(begun, turn, chat):
            log.info("answer_out_of_date", tenant=chat.tenant_id, chat=chat.id, why=why)
            if turn is not None:
                await self._thrown_away(conn, chat, turn, why)
            return None
        return chat

    async def _try_again(self, begun: _Begun, turn: Turn, ended: str) -> None:
        """The crew failed: once more after a pause, and in the end (`_without_crew`) a person."""
        async with self.db.tenant(begun.chat.tenant_id) as conn:
            chat = await chat_of(conn, begun.chat.id, lock=True)
            tries = int(chat.session.get(_COUNTED, 1))
            pause = timedelta(seconds=_PAUSES[min(tries, len(_PAUSES)) - 1])
            log.warning("turn_failed", tenant=chat.tenant_id, chat=chat.id, turn=turn.id, ended=ended, tries=tries)
            if acts := _acts(turn):
                kept = [*chat.session.get(_DONE, []), *acts][-10:]
                await conn.execute(
                    "UPDATE chats SET session = session || %s WHERE id = %s", [Jsonb({_DONE: kept}), chat.id]
                )
            if chat.due_at is None:
                await self.waking.wake(conn, chat.tenant_id, chat.id, self.clock.now() + pause)

    async def _fetch(self, conn: Connection, begun: _Begun, chat: Chat, why: HandOver) -> bool:
        """A person of ours is wanted. True when the contact has not been told yet in this segment."""
        done = await self.hands.step(conn, chat.id, chat.attention, Event.ASKED_FOR_PERSON, self.clock.now())
        if Effect.SUMMARISE in done.effects or why.summary:
            summary = why.summary or _short_summary(begun)
            await conn.execute("UPDATE chats SET summary = %s WHERE id = %s", [summary[:4_000], chat.id])
        if Effect.NOTIFY in done.effects:
            await self.tell(conn, chat, why, f"person:{chat.id}:{chat.segment}:{begun.chat.messages_in}")
        return Effect.TELL_CONTACT in done.effects

    def _person_comes(self, begun: _Begun) -> str:
        now, language = self.clock.now(), begun.chat.language
        calendar = begun.settings.calendar(Place(begun.zone, None, "account"))
        hours = begun.settings.business_hours
        back = next_open(calendar, hours, now) if closed_because(calendar, hours, now) else None
        if back is None:
            return self.texts.say(language, "messaging.to_contact.person_comes")
        local = back.astimezone(calendar.place.clock)
        told = {"day": local.date(), "time": local.strftime("%H:%M")}
        return self.texts.say(language, "messaging.to_contact.person_comes_later", back=told)

    async def _put(
        self,
        conn: Connection,
        begun: _Begun,
        contents: list[tuple[said.Content, str]],
        turn: Turn | None,
        purpose: Purpose = Purpose.ANSWER,
    ) -> None:
        chat = begun.chat
        for place, (content, text) in enumerate(contents):
            await self.outbox.put(
                conn,
                chat.tenant_id,
                chat.id,
                Draft(
                    purpose=purpose,
                    key=f"answer:{chat.id}:{chat.segment}:{chat.messages_in}:{place}",
                    content=content,
                    text=text,
                    turn_id=turn.id if turn else None,
                    answers=chat.messages_in,
                    segment=chat.segment,
                    superseded=chat.superseded,
                ),
            )

    async def _answered(
        self, conn: Connection, begun: _Begun, session: Mapping[str, Any], language: str | None = None
    ) -> None:
        """What waited has been taken up; a message that came meanwhile still waits."""
        passing = ("chat", "attachments", "history", _COUNTED, _DONE)
        kept = {name: value for name, value in session.items() if name not in passing}
        since = await _scalar(
            conn,
            """SELECT min(received_at) FROM chat_messages WHERE chat_id = %s AND direction = 'in' AND received_at >= %s
               AND revoked_at IS NULL AND seq > %s""",
            begun.chat.id,
            begun.chat.waiting_since,
            max(one.seq for one in begun.waiting),
        )
        await conn.execute(
            """UPDATE chats SET waiting_since = %s, session = %s, session_version = session_version + 1,
                   language = coalesce(%s, language) WHERE id = %s""",
            [since, Jsonb(kept), language, begun.chat.id],
        )
        await changed(conn, begun.chat.tenant_id, begun.chat.id)

    def _contents(self, begun: _Begun, reply: Reply) -> list[tuple[said.Content, str]]:
        """The reply as messages: its text in parts, then what is to be chosen."""
        formatted = for_whatsapp(reply.text) if begun.channel.provider in WHATSAPP else reply.text.strip()
        texts = parts(formatted)
        found: list[tuple[said.Content, str]] = []
        asked: list[tuple[said.Content, str]] = []
        for view in reply.views:
            body = texts[-1] if texts and len(texts[-1]) <= 1_000 and not view.title else ""
            try:
                if view.kind == "choices":
                    asked.append(_choices(view, body or for_whatsapp(view.title)))
                elif view.kind == "link" and body and begun.channel.provider in WHATSAPP:
                    asked.append(_link(view, body))
                else:
                    continue  # the words tell it
            except ArgumentsWrong as error:
                log.warning("view_not_sayable", chat=begun.chat.id, kind=view.kind, reason=str(error))
                texts += parts(_numbered(view))
                continue
            if body:  # it stands over the buttons
                texts.pop()
        found += [(said.text(one), "") for one in texts]
        return [*found, *asked]


def _choices(view: View, body: str) -> tuple[said.Content, str]:
    """Up to three choices as buttons, more as a list; ArgumentsWrong where they cannot be said so."""
    given = view.data.get("choices", [])
    shown = "\n".join([body, *(f"• {one['title']}" for one in given)])
    if len(given) <= 3 and not any(one.get("description") for one in given):
        return said.buttons(body, [said.Button(one["id"], one["title"]) for one in given]), shown
    rows = tuple(said.Row(one["id"], one["title"], one.get("description") or None) for one in given)
    label = str(view.data.get("label") or "…")
    return said.option_list(body, label, [said.Section(None, rows)]), shown


def _link(view: View, body: str) -> tuple[said.Content, str]:
    """The words with a button for the address. A sentence that tells nothing else than where the link is goes; every
    other stays whole, address and all: it may be the one that says day and hour."""
    label, url = str(view.data["label"]), str(view.data["url"])
    bare = body
    for found in re.finditer(rf"(?:(?<=[.!?]\s)|^)[^.!?\n]*{re.escape(url)}[.!]?", body, re.MULTILINE):
        if _LINK_WORDS.issuperset(folded(found[0].replace(url, " ")).split()):
            bare = bare.replace(found[0], "")
    bare = re.sub(r"(?<=\S) {2,}", " ", bare).strip() or body
    return said.link_button(bare, label, url), f"{bare}\n{label}: {url}"


def _numbered(view: View) -> str:
    lines = [f"{place}. {one['title']}" for place, one in enumerate(view.data.get("choices", []), 1)]
    return "\n".join([view.title, *lines] if view.title else lines)


def _last_of_ours(begun: _Begun) -> Message | None:
    return next((one for one in reversed(begun.before) if one.direction == "out"), None)


def _choice_of(begun: _Begun) -> str:
    """What they picked by its number of the question whether they want no more messages, which the crew did not ask."""
    ours = _last_of_ours(begun)
    return picked(ours.content, _written(begun))[1] if ours and asked_to_leave(ours.content) else ""


def _written(begun: _Begun) -> str:
    return "\n".join(one.text for one in begun.waiting)


def _cut(text: str, most: int) -> str:
    """The end of a text that is too long: what was said last counts."""
    return text if len(text) <= most else "…" + text[-most:]


def _caught(rows: list[Message]) -> bool:
    """Whether our last words never left because of a newer message: what they answered is open again."""
    for one in reversed(rows):
        if one.direction == "out" and one.author == "bot":
            if one.status != "dropped":
                return False
            if one.reason == "newer_message":
                return True
    return False


def _split(rows: list[Message], since: datetime) -> tuple[list[Message], list[Message]]:
    """What waits for an answer, and what was said before it; without notes, what never left and what was taken back."""
    waiting: list[Message] = []
    before: list[Message] = []
    for one in rows:
        if one.direction == "note" or one.status == "dropped" or one.revoked_at is not None:
            continue
        new = one.direction == "in" and one.received_at >= since
        (waiting if new else before).append(one)
    return waiting, before


def _own_words(message: Message) -> str:
    """What a contact wrote or spoke: not what a picture or a document says."""
    heard = message.media["words"] if message.media and message.kind in ("audio", "voice") else ""
    return f"{message.text}\n{heard or ''}"


def _reacted_to(begun: _Begun, clock: ZoneInfo) -> list[dict[str, str]]:
    """The messages that reactions of now stand at: their text, and on which day they were said."""
    said_before = {one.external_id: one for one in begun.before if one.external_id and one.direction == "out"}
    found = [said_before.get(one.reply_to or "") for one in begun.waiting if one.kind == "reaction"]
    return [{"text": one.text, "on": one.at.astimezone(clock).date().isoformat()} for one in found if one is not None]


def _acted(turn: Turn) -> bool:
    return bool(_acts(turn))


def _acts(turn: Turn) -> list[str]:
    """What the turn has done that stays: the tools with what they told."""
    return [f"{one.name}: {one.told[:300]}" for one in turn.results if one.effect != "READ" and one.error is None]


def _short_summary(begun: _Begun) -> str:
    """What was said last, for whoever takes over."""
    rows = [*begun.before, *begun.waiting][-6:]
    return "\n".join(f"{'<' if one.direction == 'in' else '>'} {one.text[:300]}" for one in rows if one.text)


async def _scalar(conn: Connection, query: str, *values: object) -> Any:
    row = await fetch_one(conn, query, values)
    return next(iter(row.values())) if row else None
