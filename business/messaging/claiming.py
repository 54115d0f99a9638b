"""Which row of a conversation leaves now: the policy is asked in the transaction that claims it.

Within a conversation there are two orders: what is being talked (answers, what a person writes) and what we begin
(reminders, follow-ups, first contacts). What waits for its hour in one holds nothing back in the other.
"""

from collections.abc import Awaitable, Callable, Container, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

import psycopg
import structlog
from psycopg.types.json import Jsonb

from business.messaging.changes import changed
from business.messaging.channels import Channel, Channels
from business.messaging.known import Blocked, known, number_line, pair_line
from business.messaging.model import Decision, Known, Verdict
from business.messaging.outbox import PAUSED, Outbox, outgoing
from business.messaging.outcomes import UNKNOWN_HOLDS, UNKNOWN_TOLD, Outcomes
from business.messaging.pace import number_pace, pair_pace
from business.messaging.policy import decide
from business.messaging.senders import Refusal
from business.messaging.settings import Settings
from business.messaging.templates import Category, Filled, Purpose
from business.messaging.templates_store import content_of, filled_of, words_of
from business.messaging.window import is_open
from core.clock import Clock
from core.db import Connection, fetch_all, fetch_one
from core.errors import ArgumentsWrong, MutiraoError
from core.ids import new_id
from integrations.whatsapp_cloud import messages
from integrations.whatsapp_cloud.messages import Content

log = structlog.get_logger(__name__)

SettingsOf = Callable[[Connection, str], Awaitable[Settings]]
ValuesOf = Callable[[Connection, Mapping[str, Any]], Awaitable[Mapping[str, str]]]
"""What is known of a conversation that may fill a template (templates_store.VALUES), beside what its message brings."""

PAUSE = timedelta(minutes=5)
"""Between two looks at a paused channel; `Outbox.wake_channel` ends it."""
SHORT = timedelta(seconds=1)
"""A wait that is shorter is waited for at once; a job would take as long."""

Lane = Literal["talk", "begin"]
_PROACTIVE = (Purpose.FOLLOW_UP, Purpose.FIRST_CONTACT, Purpose.CAMPAIGN)
_OTHER_WORDS = "…"  # no template's body


@dataclass(frozen=True)
class Claimed:
    """A row that leaves now."""

    row: dict[str, Any]
    channel: Channel
    content: Content
    claim: str


class Claiming:
    """`providers`: by which somebody sends; `settings_of`: the account's rules; `blocked`, `values_of`: what others
    know. `conn` is the caller's transaction of the tenant, and the caller holds the conversation's lock."""

    def __init__(
        self,
        clock: Clock,
        channels: Channels,
        providers: Container[str],
        settings_of: SettingsOf,
        outbox: Outbox,
        outcomes: Outcomes,
        *,
        blocked: Blocked | None = None,
        values_of: ValuesOf | None = None,
    ) -> None:
        self._clock = clock
        self._channels = channels
        self._providers = providers
        self._settings_of = settings_of
        self._outbox = outbox
        self._outcomes = outcomes
        self._blocked = blocked
        self._values_of = values_of

    async def next(self, conn: Connection, chat_id: str) -> Claimed | float | None:
        """The row that leaves now, claimed; or seconds after which to look again; None when nothing may leave now."""
        chat = await fetch_one(
            conn,
            """SELECT c.*, t.time_zone AS account_zone FROM chats c JOIN tenants t ON t.id = c.tenant_id
               WHERE c.id = %s FOR NO KEY UPDATE OF c""",
            [chat_id],
        )
        if chat is None:
            return None
        now = self._clock.now()
        rows = await self._open(conn, chat_id, now)
        if not rows:
            return None
        channel = await self._channel(conn, chat, now)
        if channel is None:
            return None
        held: set[Lane] = set()
        for row in rows:
            lane = _lane(row)
            if row["state"] == "unknown":
                held.add(lane)
            elif row["state"] == "ask":
                await self._ask_again(conn, chat, channel, row, now)
            elif lane not in held:
                if row["not_before"] is not None and row["not_before"] > now:
                    held.add(lane)
                    continue
                done = await self._decided(conn, chat, channel, row, now)
                if isinstance(done, Claimed):
                    return done
                if isinstance(done, datetime):
                    if done - now <= SHORT:
                        return (done - now).total_seconds()
                    held.add(lane)
        return None

    async def _open(self, conn: Connection, chat_id: str, now: datetime) -> list[dict[str, Any]]:
        """The rows that have not come to an end, in their order. We hold the conversation's lock, so whoever claimed
        one and has not written what came of it is dead, or is as good as."""
        rows = await fetch_all(
            conn,
            """SELECT o.*, c.address, c.contact_id, c.channel_id, c.owner_id, n.provider
               FROM outbox o JOIN chats c ON c.tenant_id = o.tenant_id AND c.id = o.chat_id
               JOIN channels n ON n.tenant_id = c.tenant_id AND n.id = c.channel_id
               WHERE o.chat_id = %s AND o.state IN ('waiting', 'claimed', 'unknown', 'ask')
                 AND o.finished_at IS NULL ORDER BY o.seq""",
            [chat_id],
        )
        found = []
        for row in rows:
            if row["state"] == "claimed":
                await self._outcomes.unknown(conn, row, "its process ended while it was sent")
                row = row | {"state": "unknown"}
            if row["state"] == "unknown":
                age = now - row["claimed_at"]
                if age >= UNKNOWN_TOLD:
                    await conn.execute("UPDATE outbox SET finished_at = %s WHERE id = %s", [now, row["id"]])
                    await self._outbox.tell(conn, row, "unknown", 0, row["reason"])
                    await changed(conn, row["tenant_id"], chat_id)
                if age >= UNKNOWN_HOLDS:
                    continue
            found.append(row)
        return found

    async def _channel(self, conn: Connection, chat: Mapping[str, Any], now: datetime) -> Channel | None:
        """By what it leaves; None when that is paused, or belongs to another world, or nobody sends by it."""
        try:
            channel = await self._channels.get(chat["tenant_id"], chat["channel_id"], conn)
        except ArgumentsWrong:
            channel = None
        if channel is not None and channel.state == "active" and channel.provider in self._providers:
            return channel
        await conn.execute(
            """UPDATE outbox SET not_before = %s, reason = %s WHERE chat_id = %s AND state = 'waiting'
               AND (not_before IS NULL OR not_before <= %s)""",
            [now + PAUSE, PAUSED, chat["id"], now],
        )
        await self._outbox.wake(conn, chat["tenant_id"], chat["id"], at=now + PAUSE)
        return None

    async def _decided(
        self, conn: Connection, chat: dict[str, Any], channel: Channel, row: dict[str, Any], now: datetime
    ) -> Claimed | datetime | None:
        """`_decide`; a row at which we break fails by itself, and takes none of those behind it along."""
        try:
            async with conn.transaction():
                return await self._decide(conn, chat, channel, row, now)
        except (MutiraoError, psycopg.Error):
            raise
        except Exception as error:
            log.exception("message_broke", outbox=row["id"])
            await self._outcomes.refused(conn, row, Refusal(0, "fix", "message", text=type(error).__name__))
            await changed(conn, row["tenant_id"], row["chat_id"])
            return None

    async def _decide(
        self, conn: Connection, chat: dict[str, Any], channel: Channel, row: dict[str, Any], now: datetime
    ) -> Claimed | datetime | None:
        """Ask the policy about a row, and do as it says: the claim, the moment until which it waits, or None when that
        was the end of it, or a person decides."""
        decision, knows, settings = await self._ask(conn, chat, channel, row, now)
        match decision.verdict:
            case Verdict.WAIT:
                until = decision.until or now + SHORT
                await conn.execute(
                    "UPDATE outbox SET not_before = %s, decision = %s WHERE id = %s",
                    [until, Jsonb(decision.record()), row["id"]],
                )
                if until - now > SHORT:
                    await self._outbox.wake(conn, row["tenant_id"], row["chat_id"], at=until)
                    await changed(conn, row["tenant_id"], row["chat_id"])
                return until
            case Verdict.DROP | Verdict.NEVER:
                await self._outbox.finish(conn, row, decision.rule, decision=decision.record())
                if decision.rule == "unreachable":
                    code = decision.why.params.get("code", 0)
                    refusal = Refusal(code if isinstance(code, int) else 0, "stop_contact", "contact")
                    await self._outcomes.undeliverable(conn, row, refusal)
                await changed(conn, row["tenant_id"], row["chat_id"])
                return None
            case Verdict.ASK:
                await self._wait_for_person(conn, row, decision)
                return None
        switched = decision.template is not None and decision.verdict is Verdict.TEMPLATE
        if switched and row["author"] == "person" and not row["facts"].get("as_template"):
            # What a person wrote is not exchanged for other words behind their back.
            await self._wait_for_person(conn, row, decision)
            return None
        try:
            content, text = await self._content(conn, channel, row, decision)
        except ArgumentsWrong as error:
            await self._outcomes.refused(conn, row, Refusal(0, "fix", "message", text=str(error)))
            await changed(conn, row["tenant_id"], row["chat_id"])
            return None
        return await self._claim(conn, chat, channel, row, decision, knows, settings, content, text, now)

    async def _ask(
        self, conn: Connection, chat: dict[str, Any], channel: Channel, row: dict[str, Any], now: datetime
    ) -> tuple[Decision, Known, Settings]:
        settings = await self._settings_of(conn, row["tenant_id"])
        told = row["facts"].get("template")
        knows = await known(
            conn,
            chat,
            channel,
            settings,
            now,
            account_zone=chat["account_zone"],
            blocked=self._blocked,
            lock=True,
            free=not told,
        )
        values: Mapping[str, str] = {}
        if knows.templates and self._values_of is not None:
            values = await self._values_of(conn, chat)
        template: Filled | None = None
        if told and knows.windowed:
            template = await filled_of(conn, channel.id, told["name"], told["language"], told["values"])
            words = await words_of(conn, channel.id, told["name"], told["language"])
            if (row["author"] == "person" or row["once"]) and told.get("words", words) != words:
                # What somebody said yes to is not what would leave: the policy asks again.
                template = replace(template, template=replace(template.template, body=_OTHER_WORDS))
        language = str(chat["language"]).replace("-", "_")
        return decide(outgoing(row, template, values, language), knows, settings, now), knows, settings

    async def _ask_again(
        self, conn: Connection, chat: dict[str, Any], channel: Channel, row: dict[str, Any], now: datetime
    ) -> None:
        """A row that waits for a person may have become out of date meanwhile."""
        decision, _, _ = await self._ask(conn, chat, channel, row, now)
        if decision.verdict in (Verdict.DROP, Verdict.NEVER):
            await self._outbox.finish(conn, row, decision.rule, decision=decision.record())
            await changed(conn, row["tenant_id"], row["chat_id"])

    async def _wait_for_person(self, conn: Connection, row: dict[str, Any], decision: Decision) -> None:
        told = row["facts"].get("template")
        if told and decision.why.key == "messaging.why.approved_other_text":
            # They decide about the words as they are now.
            now_is = await filled_of(conn, row["channel_id"], told["name"], told["language"], told["values"])
            words = await words_of(conn, row["channel_id"], told["name"], told["language"])
            facts = row["facts"] | {"template": told | {"seen": words}}
            await conn.execute("UPDATE outbox SET facts = %s WHERE id = %s", [Jsonb(facts), row["id"]])
            await conn.execute("UPDATE chat_messages SET text = %s WHERE id = %s", [now_is.text, row["message_id"]])
        await conn.execute(
            "UPDATE outbox SET state = 'ask', decision = %s, reason = %s WHERE id = %s",
            [Jsonb(decision.record()), decision.rule, row["id"]],
        )
        code = decision.why.params.get("code", 0)
        kind = "number_stopped" if decision.rule == "number" else "ask"
        await self._outbox.tell(conn, row, kind, code if isinstance(code, int) else 0, decision.rule, decision.why)
        await changed(conn, row["tenant_id"], row["chat_id"])

    async def _content(
        self, conn: Connection, channel: Channel, row: Mapping[str, Any], decision: Decision
    ) -> tuple[Content, str | None]:
        """What goes over the wire, and what one reads of it where that is not what the row says."""
        if decision.template is not None:
            return await content_of(conn, channel.id, decision.template), decision.template.text
        if row["content"].get("type") == "template" and "template" in row["facts"]:  # a channel that has none
            message = await fetch_one(conn, "SELECT text FROM chat_messages WHERE id = %s", [row["message_id"]])
            return messages.text(message["text"] if message else ""), None
        return Content.from_json(row["content"]), None

    async def _claim(
        self,
        conn: Connection,
        chat: Mapping[str, Any],
        channel: Channel,
        row: dict[str, Any],
        decision: Decision,
        knows: Known,
        settings: Settings,
        content: Content,
        text: str | None,
        now: datetime,
    ) -> Claimed:
        claim, template = new_id("claim"), decision.template
        outside = knows.windowed and not is_open(knows.last_from_contact, now)
        marketing = row["purpose"] in _PROACTIVE or (
            template is not None and template.template.category is Category.MARKETING
        )
        name = template.template.name if template is not None else ""
        await conn.execute(
            """UPDATE outbox SET state = 'claimed', claim = %s, claimed_at = %s, attempts = attempts + 1,
                   decision = %s, template = %s, marketing = %s, outside = %s, not_before = NULL, reason = ''
               WHERE id = %s""",
            [claim, now, Jsonb(decision.record()), name, marketing, outside, row["id"]],
        )
        if template is not None and decision.verdict is Verdict.TEMPLATE and row["purpose"] == Purpose.ANSWER:
            await self._say_it_once(conn, row)
        if template is not None and text is not None:
            await conn.execute(
                "UPDATE chat_messages SET kind = 'template', text = %s, content = %s WHERE id = %s",
                [text, Jsonb(content.as_json()), row["message_id"]],
            )
        for line, free_at in (
            (pair_line(chat), pair_pace(settings.pair_burst).after(knows.pair_line, now)),
            (number_line(channel), number_pace(knows.per_second).after(knows.number_line, now)),
        ):
            await conn.execute("UPDATE message_lines SET free_at = %s WHERE line = %s", [free_at, line])
        fresh = {"claim": claim, "claimed_at": now, "template": name, "attempts": row["attempts"] + 1}
        return Claimed(row | fresh | {"state": "claimed"}, channel, content, claim)

    async def _say_it_once(self, conn: Connection, row: Mapping[str, Any]) -> None:
        """An answer leaves as a template: its further parts would say the same template again."""
        rest = await fetch_all(
            conn,
            """SELECT id, message_id FROM outbox WHERE chat_id = %s AND state IN ('waiting', 'ask') AND seq > %s
               AND author = 'bot' AND purpose = 'answer' AND facts->'answers' = %s""",
            [row["chat_id"], row["seq"], Jsonb(row["facts"].get("answers", 0))],
        )
        for part in rest:
            await self._outbox.finish(conn, part, "as_template")


def _lane(row: Mapping[str, Any]) -> Lane:
    talk = row["author"] == "person" or row["purpose"] in (Purpose.ANSWER, Purpose.GOODBYE)
    return "talk" if talk else "begin"
