"""The hands of a cadence: how its messages leave, when a business day is, who answered, and what becomes a task.

business/outreach knows steps, business/messaging conversations and hours, business/crm people and tasks; this joins
them (`Reach`), begins what follows a first message (`begin_after`), and holds what asks a person about a single step
(`StepHandler`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from business.approvals.model import Change, Preview, ReadBack
from business.crm.service import Crm
from business.messaging.channels import WHATSAPP, Channels
from business.messaging.channels import Channel as Outlet
from business.messaging.conversation import open_chat
from business.messaging.hours import after_business_days
from business.messaging.known import has_window, place_of
from business.messaging.opting import LEAVES
from business.messaging.outbox import Draft, Outbox
from business.messaging.rules import MessageRules
from business.messaging.templates import Filled, Purpose
from business.messaging.templates_store import templates_of
from business.messaging.window import is_open
from business.outreach.cadence import Cadence, Step, cadence_from, said, template_of
from business.outreach.runs import AREA, Cadences, Lead, Run, Situation
from business.people.service import People
from business.sales.stages import AWAY, Stage
from core.clock import Clock
from core.db import Connection, Database, fetch_all, fetch_one
from core.errors import ArgumentsWrong, Refused
from integrations.whatsapp_cloud import messages
from prompts.texts import Texts
from tools.fallback import known_ways
from tools.first_contact import fitting, zone_of
from tools.message_values import known_values
from tools.notify import Notify

STEP = "cadence_step"
_OPEN = ("waiting", "claimed", "ask")
_SUBJECT = {"pt-BR": "Assunto", "en": "Subject", "es": "Asunto"}
_NOT_BEFORE = timedelta(days=14)
"""Conversations that went quiet longer ago than this are left in peace: a house that begins to use this does not write
to everybody it ever talked to."""


class Reach:
    """`Reach` of business/outreach/runs.py."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        channels: Channels,
        outbox: Outbox,
        rules: MessageRules,
        crm: Crm,
        people: People,
        texts: Texts,
    ) -> None:
        self._db = db
        self._clock = clock
        self._channels = channels
        self._outbox = outbox
        self._rules = rules
        self._crm = crm
        self._people = people
        self._texts = texts

    async def situation(self, conn: Connection, run: Run) -> Situation:
        """Why it must not go on, or when the message before left."""
        chats = await fetch_all(
            conn,
            """SELECT id, address, held, last_received_at, closed_at FROM chats
               WHERE id = %(chat)s OR company_id = %(company)s OR contact_id = %(contact)s""",
            {"chat": run.chat_id, "company": run.company_id, "contact": run.contact_id},
        )
        if run.chat_id and not any(one["id"] == run.chat_id for one in chats):
            return Situation("gone")
        if any(one["last_received_at"] and one["last_received_at"] > run.started_at for one in chats):
            return Situation("replied")
        if any(one["held"] != "bot" for one in chats):
            return Situation("person")
        stopped = await fetch_all(
            conn,
            """SELECT 1 FROM consent_entries WHERE act = 'stopped' AND at > %(since)s AND (contact_id = %(contact)s
                 OR chat_id = ANY(%(chats)s) OR address = ANY(%(addresses)s)) LIMIT 1""",
            {
                "since": run.started_at,
                "contact": run.contact_id,
                "chats": [one["id"] for one in chats],
                "addresses": [one["address"] for one in chats],
            },
        )
        if stopped:  # by whatever channel, and whether or not it is told as a contact of the CRM
            return Situation("opted_out")
        deals = await fetch_all(
            conn,
            """SELECT s.kind, d.closed_at FROM crm_deals d JOIN crm_stages s
                 ON s.tenant_id = d.tenant_id AND s.id = d.stage_id
               WHERE d.id = %(deal)s OR (%(company)s::text IS NOT NULL AND d.company_id = %(company)s)
               ORDER BY d.created_at DESC LIMIT 1""",
            {"deal": run.deal_id, "company": run.company_id},
        )
        if deals and deals[0]["kind"] in ("won", "lost"):
            return Situation(str(deals[0]["kind"]))
        said_no = await fetch_all(
            conn,
            """SELECT 1 FROM sales_leads WHERE chat_id = ANY(%(chats)s) AND stage = ANY(%(away)s)
                 AND stage_at > %(since)s LIMIT 1""",
            {"chats": [one["id"] for one in chats], "away": list(AWAY), "since": run.started_at},
        )
        if said_no:  # to whoever wrote it down; an older no has not kept a person from approving this
            return Situation("said_no")
        meetings = await fetch_all(
            conn,
            """SELECT 1 FROM appointments WHERE state <> 'cancelled' AND ends_at > %(since)s
                 AND (chat_id = ANY(%(chats)s) OR company_id = %(company)s OR contact_id = %(contact)s) LIMIT 1""",
            {
                "since": run.started_at,  # ahead, or over meanwhile: who has met is not asked for a first talk
                "chats": [one["id"] for one in chats],
                "company": run.company_id,
                "contact": run.contact_id,
            },
        )
        if meetings:
            return Situation("meeting")
        last = await fetch_all(
            conn,
            """SELECT t.step, o.state, o.reason, o.claimed_at, o.decision, EXISTS (SELECT 1 FROM outbox f
                   WHERE f.key = 'fallback:' || o.id AND f.state NOT IN ('failed', 'dropped')) AS instead
               FROM outreach_touches t JOIN outbox o ON o.tenant_id = t.tenant_id AND o.id = t.ref
               WHERE t.run_id = %(run)s AND t.what = 'message' ORDER BY t.step DESC LIMIT 1""",
            {"run": run.id},
        )
        if not last:
            return Situation()
        verdict = (last[0]["decision"] or {}).get("rule")
        if last[0]["state"] == "dropped" and verdict in ("opted_out", "marketing_stopped", "person_has_it"):
            return Situation({"person_has_it": "person"}.get(str(verdict), "opted_out"))
        if last[0]["state"] == "dropped" and last[0]["reason"] == "person":
            return Situation("by_person")
        if last[0]["step"] < 0 and last[0]["state"] in ("dropped", "failed") and not last[0]["instead"]:
            return Situation("not_sent")  # nobody follows up on what was never said
        return Situation(left_at=last[0]["claimed_at"], open=last[0]["state"] in _OPEN)

    async def moment(self, conn: Connection, run: Run, start: datetime, *, days: int, hours: int) -> datetime:
        """By the calendar of where the lead lives. Hours that end at night are the message rules' to move."""
        if hours:
            return start + timedelta(hours=hours)
        chat = await fetch_one(conn, "SELECT * FROM chats WHERE id = %(chat)s", {"chat": run.chat_id})
        settings, zone = await self._rules.of(conn, run.tenant_id), await zone_of(conn, run.tenant_id)
        where = place_of(chat or {"place": "", "address": ""}, zone)
        return after_business_days(settings.calendar(where), start, days)

    async def words(self, conn: Connection, run: Run) -> Mapping[str, str]:
        """What the tables know of the conversation, or of the company where there is none yet."""
        chat = await fetch_one(conn, "SELECT * FROM chats WHERE id = %(chat)s", {"chat": run.chat_id})
        row = chat or {
            "tenant_id": run.tenant_id, "owner_id": run.owner_id, "contact_id": run.contact_id, "name": run.name,
            "company_id": run.company_id,
        }  # fmt: skip
        found = await known_values(conn, row)
        told = {name: value for name, value in run.words.items() if value and name != "language"}
        return {"topic": self._texts.say(run.language, "outbox.topic"), "company": run.name, **found, **told}

    async def send(self, conn: Connection, run: Run, step: Step, text: str, subject: str, key: str) -> str | None:
        """Into the conversation that there is, or into a new one by this channel."""
        if not text:
            return None
        found = await self._way(conn, run, step.channel)
        if found is None:
            return None
        outlet, chat_id = found
        chat = await fetch_one(conn, "SELECT * FROM chats WHERE id = %(chat)s FOR UPDATE", {"chat": chat_id})
        assert chat is not None
        if outlet.provider == "email":
            text = f"{_SUBJECT.get(run.language, 'Assunto')}: {subject or run.name}\n\n{text}"
        values = dict(await self.words(conn, run))
        if not chat["messages_in"] and "topic" not in run.words:
            values.pop("topic", None)  # a template must not speak of what somebody asked who never wrote
        template = await self._template(conn, run, outlet, chat, values)
        draft = Draft(
            Purpose.FOLLOW_UP,
            key,
            content=messages.text(text) if template is None else None,
            template=template,
            segment=chat["segment"],
            answers=chat["messages_in"],
            planned_at=self._clock.now(),
            values=values,
            language=run.language.replace("-", "_"),
        )
        return await self._outbox.put(conn, run.tenant_id, str(chat_id), draft)

    async def _template(
        self, conn: Connection, run: Run, outlet: Outlet, chat: Mapping[str, Any], values: Mapping[str, str]
    ) -> Filled | None:
        """As what the run's step leaves to somebody who may not be written to freely. None where they may, and where
        nothing fits: then the message rules ask a person."""
        if not has_window(outlet) or is_open(chat["last_from_contact"], self._clock.now()):
            return None
        found = {one.template.name: one for one in fitting(await templates_of(conn, outlet.id), run.language, values)}
        told = await fetch_all(
            conn,
            "SELECT DISTINCT template FROM outbox WHERE chat_id = %(chat)s AND purpose = %(purpose)s AND attempts > 0",
            {"chat": chat["id"], "purpose": str(Purpose.FOLLOW_UP)},
        )
        step = run.cadence.steps[run.step]
        name = template_of(step, list(found), run.language, {row["template"] for row in told})
        return found[name] if name is not None else None

    async def task(self, run: Run, step: Step, text: str, key: str) -> str | None:
        """A task of the lead's owner, the text on the timeline below it."""
        who = await self._people.responsible(run.tenant_id, run.owner_id or run.started_by)
        params = {"name": run.name, "step": run.step + 1}
        title = self._texts.say(who.language, f"outreach.task.{step.channel}", **params)
        about: dict[str, Any] = {"company_id": run.company_id, "contact_id": run.contact_id, "deal_id": run.deal_id}
        known = await self._crm.tasks(who, done=None, company_id=run.company_id, contact_id=run.contact_id)
        there = next((one for one in known if one.title == title and one.created_at >= run.started_at), None)
        if there is None:
            note = self._texts.say(who.language, "outreach.task.text", title=title, text=text)
            if any(about.values()):
                written = await self._crm.timeline(who, limit=20, **_one_of(about))
                if note not in [one.text for one in written]:
                    await self._crm.write_activity(who, "note", note, **about)
            there = await self._crm.add_task(who, title, due_at=self._clock.now(), owner_id=who.user_id, **about)
        return there.id

    async def drop(self, conn: Connection, run: Run, why: str) -> None:
        """Follow-ups of its conversations that wait. What a first message waits for is not the cadence's to take."""
        chats = await fetch_all(
            conn,
            """SELECT DISTINCT o.chat_id FROM outreach_touches t
               JOIN outbox o ON o.tenant_id = t.tenant_id AND o.id = t.ref
               WHERE t.run_id = %(run)s AND t.what = 'message' AND o.state IN ('waiting', 'ask')""",
            {"run": run.id},
        )
        for one in sorted(row["chat_id"] for row in chats):
            await fetch_one(conn, "SELECT id FROM chats WHERE id = %(chat)s FOR UPDATE", {"chat": one})
            await self._outbox.drop(conn, one, f"cadence:{why}", purposes=[Purpose.FOLLOW_UP])

    async def answered(self, conn: Connection) -> Sequence[str]:
        """Runs whose people wrote since they began, on any channel."""
        rows = await fetch_all(
            conn,
            """SELECT r.id FROM outreach_runs r WHERE r.state IN ('running', 'waiting') AND (
                   EXISTS (SELECT FROM chats c WHERE c.tenant_id = r.tenant_id AND c.id = r.chat_id
                       AND c.last_received_at > r.started_at)
                   OR EXISTS (SELECT FROM chats c WHERE c.tenant_id = r.tenant_id AND c.company_id = r.company_id
                       AND c.last_received_at > r.started_at)
                   OR EXISTS (SELECT FROM chats c WHERE c.tenant_id = r.tenant_id AND c.contact_id = r.contact_id
                       AND c.last_received_at > r.started_at)) LIMIT 500""",
        )
        return [row["id"] for row in rows]

    async def declined(self, conn: Connection) -> Sequence[str]:
        """Runs that wait for a yes that will not come."""
        rows = await fetch_all(
            conn,
            """SELECT r.id FROM outreach_runs r JOIN outreach_touches t
                 ON t.tenant_id = r.tenant_id AND t.run_id = r.id AND t.step = r.step AND t.what = 'proposal'
               JOIN proposals p ON p.tenant_id = t.tenant_id AND p.id = t.ref
               WHERE r.state = 'waiting' AND p.state IN ('rejected', 'expired', 'failed')
                 AND NOT EXISTS (SELECT FROM proposals q WHERE q.tenant_id = p.tenant_id  -- edited: another one stands
                     AND q.change->>'kind' = p.change->>'kind' AND q.change->>'target' = p.change->>'target'
                     AND q.state NOT IN ('rejected', 'expired', 'failed')) LIMIT 500""",
        )
        return [row["id"] for row in rows]

    async def quiet(self, conn: Connection, hours: int, most: int) -> Sequence[Lead]:
        """The bot had the last word, which did not ask whether they want no more; nothing waits, nobody was asked for,
        they said no to nothing (not now, never), no person closes a sale with them, and no meeting stands or was held
        since they wrote."""
        now = self._clock.now()
        rows = await fetch_all(  # no OR between chat, contact and company: each compares all with all, each minute
            conn,
            """WITH silent AS MATERIALIZED (
               SELECT c.* FROM chats c JOIN channels n ON n.tenant_id = c.tenant_id AND n.id = c.channel_id
               WHERE c.held = 'bot' AND c.closed_at IS NULL AND c.messages_in > 0 AND c.answered_in >= c.messages_in
                 AND c.waiting_since IS NULL AND NOT c.goodbye_sent AND c.last_received_at <= %(before)s
                 AND c.last_received_at > %(oldest)s AND n.state = 'active'
                 AND NOT EXISTS (SELECT FROM outreach_runs r WHERE r.tenant_id = c.tenant_id AND r.chat_id = c.id
                     AND (r.state IN ('running', 'waiting') OR r.started_at > c.last_received_at))
                 AND NOT EXISTS (SELECT FROM outreach_runs r WHERE r.tenant_id = c.tenant_id
                     AND r.company_id = c.company_id
                     AND (r.state IN ('running', 'waiting') OR r.started_at > c.last_received_at))
                 AND NOT EXISTS (SELECT FROM consent_entries e WHERE e.tenant_id = c.tenant_id AND e.act = 'stopped'
                     AND e.address = c.address)
                 AND NOT EXISTS (SELECT FROM consent_entries e WHERE e.tenant_id = c.tenant_id AND e.act = 'stopped'
                     AND e.contact_id = c.contact_id)
                 AND NOT EXISTS (SELECT FROM sales_leads s WHERE s.tenant_id = c.tenant_id AND s.chat_id = c.id
                     AND s.stage = ANY(%(settled)s))
                 AND NOT EXISTS (SELECT FROM appointments a WHERE a.tenant_id = c.tenant_id AND a.state <> 'cancelled'
                     AND a.ends_at > c.last_received_at AND a.chat_id = c.id)
                 AND NOT EXISTS (SELECT FROM appointments a WHERE a.tenant_id = c.tenant_id AND a.state <> 'cancelled'
                     AND a.ends_at > c.last_received_at AND a.contact_id = c.contact_id)
                 AND NOT EXISTS (SELECT FROM appointments a WHERE a.tenant_id = c.tenant_id AND a.state <> 'cancelled'
                     AND a.ends_at > c.last_received_at AND a.company_id = c.company_id)
                 AND NOT EXISTS (SELECT FROM crm_deals d JOIN crm_stages s
                     ON s.tenant_id = d.tenant_id AND s.id = d.stage_id
                     WHERE d.tenant_id = c.tenant_id AND d.id = c.deal_id AND s.kind <> 'open'))
               SELECT * FROM silent c WHERE (
                   SELECT m.author = 'bot' AND m.content::text NOT LIKE %(asks_to_leave)s
                   FROM chat_messages m WHERE m.tenant_id = c.tenant_id AND m.chat_id = c.id
                     AND m.direction = 'out' AND m.status NOT IN ('dropped', 'failed') ORDER BY m.seq DESC LIMIT 1)
               ORDER BY c.last_received_at LIMIT %(most)s""",
            {
                "before": now - timedelta(hours=hours),
                "oldest": now - _NOT_BEFORE,
                "settled": [Stage.CLOSE, *AWAY],
                "asks_to_leave": f'%"{LEAVES}"%',
                "most": most,
            },
        )
        return [
            Lead(
                row["name"] or row["address"], row["company_id"], row["contact_id"], row["deal_id"], row["id"],
                row["owner_id"], {"language": row["language"]}, row["last_received_at"],
            )
            for row in rows
        ]  # fmt: skip

    async def _way(self, conn: Connection, run: Run, channel: str) -> tuple[Outlet, str] | None:
        """(channel, conversation) by which to write to them."""
        wanted = WHATSAPP if channel == "whatsapp" else (channel,)
        outlets = [
            o for o in await self._channels.of(run.tenant_id, conn) if o.provider in wanted and o.state == "active"
        ]
        if not outlets:
            return None
        rows = await fetch_all(
            conn,
            """SELECT id, channel_id FROM chats WHERE channel_id = ANY(%(channels)s)
                 AND (id = %(chat)s OR company_id = %(company)s OR contact_id = %(contact)s)
               ORDER BY id = %(chat)s DESC NULLS LAST, last_at DESC LIMIT 1""",
            {
                "channels": [one.id for one in outlets],
                "chat": run.chat_id,
                "company": run.company_id,
                "contact": run.contact_id,
            },
        )
        if rows:
            return next(one for one in outlets if one.id == rows[0]["channel_id"]), str(rows[0]["id"])
        mails, mobiles = await known_ways(conn, run.contact_id, run.company_id)
        addresses = mails if channel == "email" else [one.lstrip("+") for one in mobiles]
        # The sandbox's companies exist nowhere: what their conversation began in says in which world they are.
        if not addresses or not await self._same_world(conn, run, outlets[0]):
            return None
        chat = await open_chat(
            conn, run.tenant_id, outlets[0], addresses[0], name=run.name, at=self._clock.now(),
            company_id=run.company_id, contact_id=run.contact_id, deal_id=run.deal_id, owner_id=run.owner_id,
            language=run.language,
        )  # fmt: skip
        return outlets[0], chat.id

    async def _same_world(self, conn: Connection, run: Run, outlet: Outlet) -> bool:
        row = await fetch_one(
            conn,
            """SELECT n.environment FROM chats c JOIN channels n ON n.tenant_id = c.tenant_id AND n.id = c.channel_id
               WHERE c.id = %(chat)s""",
            {"chat": run.chat_id},
        )
        return row is None or row["environment"] == outlet.environment


def frozen(
    cadence: Cadence,
    texts: Texts,
    language: str,
    words: Mapping[str, str],
    *,
    templates: Sequence[Mapping[str, str]] | None = None,
) -> dict[str, Any]:
    """A cadence as it goes into a first message that is approved with it: the steps, with the templates that they leave
    as, and how each of them is shown to whoever approves. `templates`: name and text of those as which its WhatsApp
    steps may leave while the person has not written, the best first; None where free words may leave."""
    known = {"topic": texts.say(language, "outbox.topic"), **words}
    reads = {one["name"]: one["text"] for one in templates or ()}
    told: set[str] = set()
    steps, shown = [], []
    for number, step in enumerate(cadence.steps, 1):
        name = template_of(step, list(reads), language, told)
        text = reads[name] if name is not None else said(step.text, language, known)
        leaves = "words"
        if templates is not None and step.channel == "whatsapp":
            leaves = "none" if name is None else "template"
        params = {
            "n": number, "days": step.after_days, "hours": step.after_hours, "channel": step.channel,
            "text": " ".join(text.split()), "leaves_as": leaves, "template": name or "", "language": language,
            "again": name in told,
        }  # fmt: skip
        shown.append({"key": "outreach.step", "params": params})
        if name is not None:
            step = replace(step, template={**step.template, language: name})
            told.add(name)
        steps.append(step)
    return {"name": cadence.name, "plan": replace(cadence, steps=tuple(steps)).record(), "shown": shown}


class BeginAfter:
    """Begins the cadence of a first message: `started` of tools/first_contact.py."""

    def __init__(self, cadences: Cadences) -> None:
        self._cadences = cadences

    async def __call__(
        self, conn: Connection, tenant_id: str, data: Mapping[str, Any], chat_id: str, outbox_id: str
    ) -> None:
        chat = await fetch_one(conn, "SELECT * FROM chats WHERE id = %(chat)s", {"chat": chat_id})
        assert chat is not None
        values = (data["way"] or {}).get("values") or {}
        words = {name: str(values[name]) for name in ("name", "sender", "house") if values.get(name)}
        lead = Lead(
            data["name"], chat["company_id"], chat["contact_id"], chat["deal_id"], chat_id, chat["owner_id"],
            {**words, "company": data["name"], "language": data["way"]["language"]},
        )  # fmt: skip
        plan = cadence_from(data["cadence"]["plan"])
        await self._cadences.start(conn, tenant_id, plan, lead, by=data.get("owner") or "system", first=outbox_id)

    async def stop(self, conn: Connection, tenant_id: str, chat_id: str, outbox_id: str) -> None:
        """The message that it began with is not sent: `stopped` of tools/first_contact.py."""
        await self._cadences.end_of_first(conn, chat_id, outbox_id, "by_person")


class _Approvals(Protocol):
    async def create(self, identity: Any, change: Change, *, tool: str, effect: str, door: str) -> Any: ...


class StepHandler:
    """Changes of kind "cadence_step": one message of a cadence whose account wants a yes for each."""

    kind = STEP
    area = AREA
    outcome = "first_contact_queued"

    def __init__(self, db: Database, cadences: Cadences) -> None:
        self._db = db
        self._cadences = cadences

    def effect(self, change: Change) -> str:
        return "SEND"

    async def preview(self, tenant_id: str, change: Change) -> Preview:
        data = change.data
        return Preview(
            title="outreach.step_title",
            title_params={"name": data["name"], "n": data["step"] + 1},
            lines=[
                ("first_contact.company", data["name"]),
                ("first_contact.channel", (f"outreach.channel.{data['channel']}", {})),
                ("first_contact.text", data["text"]),
            ],
            editable={"text": data["text"]},
        )

    async def recheck(self, tenant_id: str, change: Change) -> None:
        """Refused("run_moved_on"): answered, stopped, or done already."""
        if await self._waiting(tenant_id, change) is None:
            raise Refused("run_moved_on", "the run does not wait for this step")

    async def apply(self, tenant_id: str, change: Change) -> None:
        data = change.data
        async with self._db.tenant(tenant_id) as conn:
            sent = await self._cadences.approved(conn, data["run"], data["step"], data["text"], data["subject"])
        if sent is None:
            raise Refused("run_moved_on", "the run does not wait for this step")

    async def read_back(self, tenant_id: str, change: Change) -> ReadBack:
        key = f"cadence:{change.data['run']}:{change.data['step']}"
        async with self._db.tenant(tenant_id) as conn:
            row = await fetch_one(conn, "SELECT 1 FROM outbox WHERE key = %(key)s", {"key": key})
        return ReadBack.APPLIED if row else ReadBack.NOT_APPLIED

    def inverse(self, change: Change) -> Change | None:
        return None

    def edit(self, change: Change, edits: dict[str, str]) -> Change:
        """Another text. ArgumentsWrong: edit_not_possible (field), first_contact_text (most)."""
        if wrong := set(edits) - {"text"}:
            raise ArgumentsWrong("edit_not_possible", f"cannot edit {sorted(wrong)}", field=min(wrong))
        text = edits.get("text", change.data["text"]).strip()
        if not 0 < len(text) <= 1_000:
            raise ArgumentsWrong("first_contact_text", "1 to 1000 letters", most=1_000)
        return Change(change.kind, change.target, {**change.data, "text": text})

    async def _waiting(self, tenant_id: str, change: Change) -> Run | None:
        async with self._db.tenant(tenant_id) as conn:
            run = await self._cadences.get(conn, change.data["run"])
        ok = run is not None and run.state == "waiting" and run.step == change.data["step"]
        return run if ok else None


def step_change(run: Run, step: Step, text: str, subject: str) -> Change:
    """A step of a run, as a change that a person approves."""
    data = {
        "run": run.id, "step": run.step, "name": run.name, "channel": step.channel, "text": text, "subject": subject,
        "about": [one for one in (run.company_id, run.contact_id) if one],
    }  # fmt: skip
    return Change(STEP, f"{run.id}:{run.step}", data)


class ProposeStep:
    """`propose` of Rounds: a proposal of the lead's owner, told to them."""

    def __init__(self, people: People, approvals: _Approvals, tell: Any = None) -> None:
        self._people = people
        self._approvals = approvals
        self._tell = tell

    async def __call__(self, run: Run, step: Step, text: str, subject: str, key: str) -> str:
        who = await self._people.responsible(run.tenant_id, run.owner_id or run.started_by)
        change = step_change(run, step, text, subject)
        made = await self._approvals.create(who, change, tool="cadence", effect="SEND", door="chat")
        if self._tell is not None:
            await self._tell(run.tenant_id, who.user_id, "ask", {"name": run.name, "detail": text[:200]}, key=key)
        return str(made.id)


class TellEnded:
    """`ended` of Rounds: the lead's owner hears that nobody answered."""

    def __init__(self, notify: Notify) -> None:
        self._notify = notify

    async def __call__(self, conn: Connection, run: Run) -> None:
        params = {"name": run.name, "chat": run.chat_id or ""}
        owner = run.owner_id or run.started_by
        await self._notify.tell(
            run.tenant_id, owner, "cadence_ended", params, key=f"cadence_ended:{run.id}", within=conn
        )


def _one_of(about: Mapping[str, str | None]) -> dict[str, Any]:
    """The first of company, contact and deal that there is."""
    return dict(next([(name, value)] for name, value in about.items() if value))
