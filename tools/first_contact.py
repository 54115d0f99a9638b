"""By which first messages leave: the house's channels, an approved template where WhatsApp wants one, the outbox.

business/prospecting knows what is said to whom, business/messaging when it may leave and as what; this joins the two.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from business.crm.identity import phone
from business.messaging.attention import Event
from business.messaging.brazil import Place
from business.messaging.channels import WHATSAPP, Channels
from business.messaging.channels import Channel as Outlet
from business.messaging.conversation import open_chat
from business.messaging.hands import Hands
from business.messaging.known import Blocked, has_window, known, new_chat
from business.messaging.model import Author, Outgoing, Verdict, Why
from business.messaging.opening import row_at
from business.messaging.outbox import Draft, Outbox
from business.messaging.policy import decide
from business.messaging.rules import MessageRules
from business.messaging.templates import Filled, Purpose, Template, choose, usable, value_for
from business.messaging.templates_store import templates_of
from business.messaging.waking import unanswered_since
from business.prospecting.contact import Channel, Line, Outlook, Way, message_key, reads
from core.clock import Clock
from core.db import Connection, Database, fetch_all, fetch_one
from core.errors import ArgumentsWrong, Refused
from integrations.whatsapp_cloud import messages

_DEAD = ("failed", "dropped")
_MOST_TRIES = 9  # approvals of the very same words to the same company, each after the one before was refused


class Started(Protocol):
    """Begins what follows a first message: (conn, tenant id, message, chat id, outbox id)."""

    async def __call__(
        self, conn: Connection, tenant_id: str, data: Mapping[str, Any], chat_id: str, outbox_id: str
    ) -> None: ...


class Stopped(Protocol):
    """Ends what would have followed a first message that is not sent after all: as above, without the message."""

    async def __call__(self, conn: Connection, tenant_id: str, chat_id: str, outbox_id: str) -> None: ...


class FirstContacts:
    """`Door` of business/prospecting/contact.py. `blocked`: as messaging's `known` asks it; `started` begins the
    cadence of a message that has one, `stopped` ends it again."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        channels: Channels,
        outbox: Outbox,
        rules: MessageRules,
        hands: Hands,
        *,
        blocked: Blocked | None = None,
        started: Started | None = None,
        stopped: Stopped | None = None,
    ) -> None:
        self._db = db
        self._clock = clock
        self._channels = channels
        self._outbox = outbox
        self._rules = rules
        self._hands = hands
        self._blocked = blocked
        self._started = started
        self._stopped = stopped

    async def way(
        self,
        tenant_id: str,
        *,
        channel: Channel,
        to: str,
        sandbox: bool,
        language: str,
        values: Mapping[str, str],
        talk: tuple[str, str] | None = None,
    ) -> Way | None:
        """How a message would leave: by the oldest active channel that can, whose world is the company's; to whom we
        talk already, in that conversation (`talk`: its channel's id and its address)."""
        if talk is None:
            outlet, address = await self._outlet(tenant_id, channel), address_of(channel, to)
        else:
            outlet, address = await self._channels.get(tenant_id, talk[0]), talk[1]
        if outlet is None or not address or sandbox != (outlet.environment == "sandbox"):
            return None
        found: Way = {
            "channel_id": outlet.id,
            "channel": outlet.name,
            "provider": outlet.provider,
            "address": address,
            "language": language,
        }
        if not has_window(outlet):
            return found
        async with self._db.tenant(tenant_id) as conn:
            templates = await templates_of(conn, outlet.id)
        chosen = choose(templates, Purpose.FIRST_CONTACT, language, values).filled
        # What follows, while they have not written, leaves as a template too; none that speaks of what they asked for.
        after = fitting(templates, language, {name: value for name, value in values.items() if name != "topic"})
        found["follow_up"] = [{"name": one.template.name, "text": one.text} for one in after]
        if chosen is None:
            return found | {"template": None, "values": {}}
        one = chosen.template
        kept = {name: value_for(value) for name, value in values.items() if name in one.variables}
        return found | {"template": {"name": one.name, "language": one.language, "body": one.body}, "values": kept}

    async def outlook(self, tenant_id: str, data: Mapping[str, Any]) -> Outlook:
        """What the rules say of it now, and by the contact's clock when it may leave."""
        now, way = self._clock.now(), data["way"]
        async with self._db.tenant(tenant_id) as conn:
            outlet = await self._standing(conn, tenant_id, data)
            if isinstance(outlet, Refused):
                return Outlook(("first_contact.leaves_never", {}), (), outlet)
            chat = await _chat_row(conn, tenant_id, outlet, data)
            settings, zone = await self._rules.of(conn, tenant_id), await zone_of(conn, tenant_id)
            what = await known(conn, chat, outlet, settings, now, account_zone=zone, blocked=self._blocked)
        try:
            filled = _filled(way, what.templates)
        except Refused as refused:
            return Outlook(("first_contact.leaves_never", {}), (), refused)
        message = Outgoing(
            Purpose.FIRST_CONTACT, _author(data), template=filled, approved=True, language=_underscored(way)
        )
        decision = decide(message, what, settings, now)
        cautions = tuple(_line(one, what.place) for one in decision.cautions)
        if decision.verdict is Verdict.WAIT:
            when = _line(Why("first_contact.leaves_later", {"until": decision.until or now}), what.place)
            return Outlook(when, (_line(decision.why, what.place), *cautions))
        if decision.may_leave:
            return Outlook(("first_contact.leaves_now", {}), cautions)
        refusal = Refused("first_contact_never", decision.rule, rule=decision.rule)
        return Outlook(("first_contact.leaves_never", {}), (_line(decision.why, what.place), *cautions), refusal)

    async def _standing(self, conn: Connection, tenant_id: str, data: Mapping[str, Any]) -> Outlet | Refused:
        """The channel as which it was planned, if it still is one for it."""
        try:
            outlet = await self._channels.get(tenant_id, data["way"]["channel_id"], conn)
        except ArgumentsWrong:
            return Refused("first_contact_way_gone", "the channel is gone")
        if outlet.state != "active":
            return Refused("first_contact_way_gone", "the channel is paused")
        if data["sandbox"] and outlet.environment != "sandbox":
            return Refused("sandbox_never_sends", "a simulated company through a real channel")
        if not data["sandbox"] and outlet.environment == "sandbox":
            return Refused("live_never_to_sandbox", "a real company through the sandbox")
        return outlet

    async def put(self, tenant_id: str, messages_to_send: Sequence[Mapping[str, Any]]) -> None:
        """Open each conversation and put its message into the outbox, all in one transaction. What is there already
        stays one. What a person dictated to somebody who wrote to us takes the conversation over, as their answer from
        the inbox does. Refused: first_contact_way_gone, first_contact_template_gone (template)."""
        now = self._clock.now()
        async with self._db.tenant(tenant_id) as conn:
            there = await self._alive(conn, [message_key(one) for one in messages_to_send])
            # In one order everywhere, so that two batches never wait for each other's conversations.
            for data in sorted(messages_to_send, key=lambda one: str(one["way"]["address"])):
                base, way = message_key(data), data["way"]
                if base in there:
                    continue
                outlet = await self._standing(conn, tenant_id, data)
                if isinstance(outlet, Refused):
                    raise outlet
                filled = _filled(way, await templates_of(conn, outlet.id))
                company = await _company(conn, data["company"])
                chat = await open_chat(
                    conn, tenant_id, outlet, way["address"], name=data["name"], at=now,
                    owner_id=data.get("owner") or company.get("owner_id"), language=way["language"],
                    place=company.get("uf"), company_id=data["company"] if company else None,
                    deal_id=company.get("deal_id"), contact_id=data.get("contact"),
                )  # fmt: skip
                draft = Draft(
                    Purpose.FIRST_CONTACT,
                    await self._fresh(conn, base),
                    content=None if filled else messages.text(text_for(outlet, data)),
                    template=filled,
                    author=_author(data),
                    author_id=data.get("by"),
                    segment=chat.segment,
                    answers=chat.messages_in,
                    planned_at=now,
                    approved=True,
                    values=dict(way.get("values") or {}),
                    language=_underscored(way),
                )
                if draft.author == "person" and chat.messages_in:  # they wrote: it answers them, as from the inbox
                    await self._hands.step(conn, chat.id, chat.attention, Event.PERSON_WROTE, now, by=data["by"])
                outbox_id = await self._outbox.put(conn, tenant_id, chat.id, draft)
                if data.get("cadence") and self._started is not None:
                    await self._started(conn, tenant_id, data, chat.id, outbox_id)

    async def waiting(self, tenant_id: str, keys: Sequence[str]) -> set[str]:
        """Those of the keys of which a message is in the outbox, and was not thrown away or refused."""
        async with self._db.tenant(tenant_id) as conn:
            return await self._alive(conn, keys)

    async def still_here(self, tenant_id: str, keys: Sequence[str]) -> set[str]:
        """Those of the keys of which a message waits: nobody has begun to send it."""
        async with self._db.tenant(tenant_id) as conn:
            rows = await fetch_all(
                conn,
                "SELECT key FROM outbox WHERE key = ANY(%s) AND state IN ('waiting', 'ask')",
                [[one for key in keys for one in _tries(key)]],
            )
            return {row["key"].split("/")[0] for row in rows}

    async def keep(self, tenant_id: str, keys: Sequence[str]) -> int:
        """Take back what waits, and end the cadences that would have followed; what such a message would have answered
        is unanswered again. How many messages."""
        async with self._db.tenant(tenant_id) as conn:
            rows = await fetch_all(
                conn,
                """SELECT id, chat_id, author FROM outbox WHERE key = ANY(%s) AND state IN ('waiting', 'ask')
                   ORDER BY chat_id, id""",
                [[one for key in keys for one in _tries(key)]],
            )
            kept = 0
            for row in rows:
                # The run before the conversation, in the order in which a cadence's own step locks them.
                if self._stopped is not None:
                    await self._stopped(conn, tenant_id, row["chat_id"], row["id"])
                await conn.execute("SELECT id FROM chats WHERE id = %s FOR UPDATE", [row["chat_id"]])
                if not await self._outbox.take_back(conn, row["id"], "kept_by_person"):
                    continue
                kept += 1
                if row["author"] == "person":
                    await conn.execute(
                        """UPDATE chats SET waiting_since = coalesce(waiting_since, %s)
                           WHERE id = %s AND closed_at IS NULL""",
                        [await unanswered_since(conn, row["chat_id"]), row["chat_id"]],
                    )
        return kept

    async def _alive(self, conn: Connection, keys: Sequence[str]) -> set[str]:
        rows = await fetch_all(
            conn,
            "SELECT key FROM outbox WHERE key = ANY(%s) AND state <> ALL(%s)",
            [[one for key in keys for one in _tries(key)], list(_DEAD)],
        )
        return {row["key"].split("/")[0] for row in rows}

    async def _fresh(self, conn: Connection, base: str) -> str:
        """The key itself; "…/2" when the very same message was refused before and is approved anew."""
        rows = await fetch_all(conn, "SELECT key FROM outbox WHERE key = ANY(%s)", [_tries(base)])
        used = {row["key"] for row in rows}
        return next((one for one in _tries(base) if one not in used), _tries(base)[-1])

    async def _outlet(self, tenant_id: str, channel: Channel) -> Outlet | None:
        wanted = ("email",) if channel == "email" else WHATSAPP
        active = [one for one in await self._channels.of(tenant_id) if one.provider in wanted and one.state == "active"]
        return active[0] if active else None


def _tries(key: str) -> list[str]:
    return [key, *(f"{key}/{number}" for number in range(2, _MOST_TRIES + 1))]


async def _chat_row(conn: Connection, tenant_id: str, outlet: Outlet, data: Mapping[str, Any]) -> Mapping[str, Any]:
    """The conversation that there is with this address on this channel, or what one would begin as."""
    address = str(data["way"]["address"])
    row = await row_at(conn, outlet.id, address)
    return row or new_chat(tenant_id, address, place=(await _company(conn, data["company"])).get("uf") or "")


def _filled(way: Mapping[str, Any], templates: Sequence[Template]) -> Filled | None:
    """The template as it was shown; None where none is wanted. Refused: first_contact_no_template,
    first_contact_template_gone (template) when it is not as it was shown, or not usable any more."""
    if "template" not in way:
        return None
    shown = way["template"]
    if shown is None:
        raise Refused("first_contact_no_template", "no approved template for first messages")
    current = next((one for one in templates if (one.name, one.language) == (shown["name"], shown["language"])), None)
    if current is None or current.body != shown["body"] or not usable(current):
        raise Refused("first_contact_template_gone", "the template has changed", template=shown["name"])
    return Filled(current, tuple((name, way["values"].get(name, "")) for name in current.variables))


def _author(data: Mapping[str, Any]) -> Author:
    """Who speaks: somebody of ours who dictated it (`by`), else the bot."""
    return "person" if data.get("by") else "bot"


def _underscored(way: Mapping[str, Any]) -> str:
    return str(way["language"]).replace("-", "_")


def address_of(channel: Channel, to: str) -> str:
    """By what WhatsApp or a mail server is told whom: digits with country code, an e-mail address; "" for neither, and
    for a number without its area code."""
    if channel == "email":
        return to.strip() if "@" in to else ""
    number = phone(to) or ""
    return number[1:] if number.startswith("+") else ""


def text_for(outlet: Outlet, data: Mapping[str, Any]) -> str:
    """The words of a message without template. An e-mail begins with its subject (business/messaging/sender_email)."""
    text = reads(data)
    return f"Assunto: {data['name']}\n\n{text}" if outlet.provider == "email" else text


def fitting(templates: Sequence[Template], language: str, values: Mapping[str, str]) -> list[Filled]:
    """All as which a follow-up may leave in this language, the best first."""
    found: list[Filled] = []
    left = list(templates)
    while (one := choose(left, Purpose.FOLLOW_UP, language, values).filled) is not None:
        found.append(one)
        left.remove(one.template)
    return found


async def zone_of(conn: Connection, tenant_id: str) -> str:
    """The account's time zone."""
    row = await fetch_one(conn, "SELECT time_zone FROM tenants WHERE id = %s", [tenant_id])
    return str(row["time_zone"]) if row else "America/Sao_Paulo"


async def _company(conn: Connection, company_id: str) -> dict[str, Any]:
    """State, owner and open deal of a company of the CRM; {} when it is gone."""
    row = await fetch_one(
        conn,
        """SELECT c.uf, c.owner_id, (SELECT d.id FROM crm_deals d JOIN crm_stages s
                      ON s.tenant_id = d.tenant_id AND s.id = d.stage_id
                      WHERE d.company_id = c.id AND s.kind = 'open' ORDER BY d.created_at DESC LIMIT 1) AS deal_id
           FROM crm_companies c WHERE c.id = %s""",
        [company_id],
    )
    return dict(row) if row else {}


def _line(why: Why, where: Place) -> Line:
    """A reason with its moments by the contact's clock, as values that a preview keeps."""
    params: dict[str, Any] = {}
    for name, one in why.params.items():
        if isinstance(one, datetime):
            local = one.astimezone(where.clock)
            params[name] = {"day": local.date(), "time": local.strftime("%H:%M")}
        else:
            params[name] = one
    return why.key, params
