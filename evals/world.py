"""The stage of the evaluation: the product as it ships, with a simulator and a clock that each scenario finds new.

One database and one simulator serve a whole run. A scenario gets a tenant of its own (row-level security keeps the
others out), a world that begins at its `now`, and a token that only this world takes.
"""

import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import yaml
from psycopg.types.json import Jsonb

from app import open_services
from business.approvals.model import Proposal
from business.crm.identity import KeyKind
from business.crm.model import ContactData, Source
from business.messaging import templates_store
from business.messaging.attention import Attention, Effect, Event, Held, step
from business.messaging.brazil import place
from business.people.sample import CLIENT_ACCOUNT
from business.sales.files import SAMPLE
from channels.services import Services
from core.clock import FixedClock
from core.ids import new_id
from core.postgres import Postgres
from core.settings import Settings
from core.tenancy import Identity, Role
from core.turn import Contact, Limits, Turn
from evals.scenario import Day, Days, Faults, Scenario, Talk, Write
from integrations.meta_ads.simulator import launch
from integrations.meta_ads.simulator.world import ACCOUNTS, TIME_ZONE
from integrations.whatsapp_cloud.simulator.state import ACCOUNTS as WHATSAPP_ACCOUNTS
from integrations.whatsapp_cloud.simulator.state import TEMPLATES

_ZONE = ZoneInfo(TIME_ZONE)
USES = Path(templates_store.__file__).with_name("template_uses.yaml")
_NAMES = {
    Role.ADMIN: "Ana Prado",
    Role.DIRETOR: "Diego Ramos",
    Role.COMERCIAL: "Carla Nunes",
    Role.CLIENTE: "Beatriz Lima",
    Role.AGENTE_IA: "Agente",
}


@dataclass
class World:
    """What one playing of a scenario acts on and is judged by."""

    services: Services
    scenario: Scenario
    clock: FixedClock
    tenant_id: str
    graph: httpx.AsyncClient
    token: str
    written_before: int = 0
    """Writes in the ledger that are the scenario's own."""
    limits: Limits = field(default_factory=Limits)
    """Of each turn: a person who plays the model takes longer than a model."""
    people: dict[Role, Identity] = field(default_factory=dict)
    lead: "Lead | None" = None
    conversations: dict[Role, str] = field(default_factory=dict)

    async def who(self, role: Role) -> Identity:
        """The person of that role, added to the company when first needed."""
        if role not in self.people:
            people = self.services.people
            email = f"{role.value.lower()}@{self.tenant_id.replace('_', '-')}.example"
            accounts = [CLIENT_ACCOUNT] if role is Role.CLIENTE else []
            user = await people.add_user(self.tenant_id, email, _NAMES[role], role, None, accounts=accounts)
            self.people[role] = await people.identity(self.tenant_id, user.id)
            self.conversations[role] = new_id("conv")
        return self.people[role]

    async def talk(self) -> "Lead":
        """The conversation with the lead that writes from outside; begun when first needed, with the sample company's
        sales files."""
        if self.lead is None:
            self.lead = await _lead(self)
        return self.lead

    def today(self) -> date:
        return self.clock.now().astimezone(_ZONE).date()

    def day(self, day: Day) -> date:
        return day if isinstance(day, date) else self.scenario_today + timedelta(days=day)

    @property
    def scenario_today(self) -> date:
        return self.scenario.now.astimezone(_ZONE).date()

    def days(self, days: Days) -> tuple[date, date]:
        return self.day(days[0]), self.day(days[1])

    # --- what happens outside of us ---------------------------------------------------------------

    async def fail(self, faults: Faults) -> None:
        """These things go wrong next; an empty list heals everything."""
        await self._ask("DELETE", "/__faults")
        if faults.faults:
            await self._ask("POST", "/__faults", json={"faults": faults.faults})

    async def write(self, change: Write) -> None:
        """Somebody changes an object in Ads Manager. The figures of today follow."""
        changed = {
            name: value
            for name in ("status", "daily_budget", "lifetime_budget", "name")
            if (value := getattr(change, name)) is not None
        }
        await self._ask("POST", f"/v26.0/{change.write}", data=changed, headers=self._with_token)
        self.written_before += 1

    async def wait(self, how_long: timedelta) -> None:
        """Time passes for us and for Meta, and the work of every minute is done."""
        self.clock.advance(how_long)
        await self._ask("POST", "/__clock", json={"now": self.clock.now().isoformat()})
        await self.services.approvals.expire(self.tenant_id)
        await self.services.approvals.reconcile(self.tenant_id)

    # --- what it is judged by ---------------------------------------------------------------------

    async def ledger(self, account_id: str, since: date, until: date) -> list[dict[str, Any]]:
        """Events by ad and day, as they happened in the simulated world."""
        asked = {"account": account_id, "since": since.isoformat(), "until": until.isoformat()}
        return list((await self._ask("GET", "/__ledger", params=asked))["rows"])

    async def writes(self) -> list[dict[str, Any]]:
        """What the Graph API executed, without the scenario's own changes."""
        return list((await self._ask("GET", "/__writes"))["writes"])[self.written_before :]

    async def object(self, object_id: str) -> dict[str, Any]:
        """An object as the Graph API tells it now."""
        fields = "name,status" if object_id.startswith("1203") else "name,status,daily_budget,lifetime_budget"
        return await self._ask("GET", f"/v26.0/{object_id}", params={"fields": fields}, headers=self._with_token)

    async def proposals(self) -> list[Proposal]:
        """Every proposal of the company, in the order in which they were made."""
        found = await self.services.approvals.list(await self.who(Role.ADMIN))
        return sorted(found, key=lambda proposal: (proposal.created_at, proposal.id))

    async def record(self, turn_id: str) -> dict[str, Any]:
        """What was kept of a turn."""
        async with self.services.db.tenant(self.tenant_id) as conn:
            row = await (await conn.execute("SELECT record FROM turns WHERE id = %s", [turn_id])).fetchone()
        return dict(row["record"]) if row else {}

    async def imports(self) -> list[dict[str, Any]]:
        """The reports of the files that were imported."""
        async with self.services.db.tenant(self.tenant_id) as conn:
            rows = await (await conn.execute("SELECT * FROM ad_imports ORDER BY created_at")).fetchall()
        return [dict(row) for row in rows]

    @property
    def _with_token(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token}"}

    async def _ask(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        answer = await self.graph.request(method, path, **more)
        if answer.status_code != 200:
            raise RuntimeError(f"the simulator refuses {method} {path}: {answer.text[:300]}")
        return dict(answer.json())


@dataclass
class Lead:
    """A conversation with somebody outside, as it is kept: what was said, what the crew keeps, what was asked for."""

    contact: Contact
    agent: Identity
    history: list[tuple[str, str]] = field(default_factory=list)
    session: dict[str, Any] = field(default_factory=dict)
    handed: str = ""
    language: str = ""
    """Of the last turn, as a chat keeps it; empty before the first, which begins in the scenario's."""
    attention: Attention = field(default_factory=Attention)
    """In whose hand it is, by the product's own rules."""

    @property
    def silent(self) -> bool:
        """Whether a person of ours has it: what the lead writes begins no turn."""
        return self.attention.held is Held.PERSON

    def person(self, text: str, at: datetime) -> None:
        """A person of ours writes to the lead; with no text they hand the conversation back, which begins anew."""
        if text:
            self.history.append(("assistant", text))
        event = Event.PERSON_WROTE if text else Event.HANDED_BACK
        done = step(self.attention, event, at)
        self.attention = done.after
        if Effect.CLEAN_START in done.effects:
            self.session = {}

    def answered(self, turn: Turn, text: str) -> None:
        """Keep what the conversation keeps of a turn and its answer."""
        self.session = {name: value for name, value in turn.session.items() if name != "chat"}
        self.history += [("user", turn.text), ("assistant", text)]
        self.language = turn.language
        if turn.hand_over is not None:
            self.handed = turn.hand_over.reason
            self.attention = step(self.attention, Event.ASKED_FOR_PERSON, turn.now).after

    def turn(self, world: World, text: str, choice: str = "") -> Turn:
        chat_now = {"open": True, "held": str(self.attention.held), "choice": choice}
        session = {**self.session, "chat": chat_now}
        now, language = world.clock.now(), self.language or world.scenario.language
        chat = self.contact.chat_id
        return Turn(
            new_id("turn"), self.agent, chat, "evals", text, language, now, session=session, contact=self.contact,
            limits=world.limits,
        )  # fmt: skip

    async def wrote(self, world: World, text: str) -> None:
        """Keep the burst as messages of the contact."""
        async with world.services.db.tenant(world.tenant_id) as conn:
            for line in text.split("\n"):
                await conn.execute(
                    """INSERT INTO chat_messages
                           (tenant_id, id, chat_id, direction, author, kind, text, at, received_at)
                       VALUES (%s, %s, %s, 'in', 'contact', 'text', %s, %s, %s)""",
                    [world.tenant_id, new_id("msg"), self.contact.chat_id, line, *[world.clock.now()] * 2],
                )

    async def end(self, world: World) -> dict[str, Any]:
        """How it stands: as evals.scenario.LeadEnd."""
        services, chat = world.services, self.contact.chat_id
        known = await services.messaging.desk.of_chat(world.tenant_id, chat)
        calendar = services.messaging.desk.calendar
        coming = await calendar.coming(world.tenant_id, chat_id=chat) if calendar else []
        async with services.db.tenant(world.tenant_id) as conn:
            found = await conn.execute("SELECT 1 FROM consent_entries WHERE chat_id = %s AND act = 'stopped'", [chat])
            stopped = await found.fetchone()
        return {
            "stage": known.stage.value,
            "verdict": known.score.verdict.value,
            "evidence": {line.slot.value: line.evidence.reading for line in known.score.lines if line.evidence},
            "meeting": local(coming[0].starts_at).strftime("%Y-%m-%dT%H:%M") if coming else "none",
            "handed": self.handed or "none",
            "opted_out": stopped is not None,
        }


async def _lead(world: World) -> Lead:
    services, tenant_id = world.services, world.tenant_id
    owner = await world.who(Role.ADMIN)
    slug = (await services.people.tenant(tenant_id)).slug
    shutil.copytree(SAMPLE, services.messaging.sales_files.folder(slug))
    await services.messaging.library.sync(tenant_id, slug)
    await services.messaging.library.catch_up(tenant_id)
    data = ContactData(Source("conversation", by_person=True), name="Marina", owner_id=owner.user_id)
    contact_id = (await services.crm.upsert_contact(owner, data)).id
    deal = await services.crm.create_deal(owner, "Marina", contact_id=contact_id)
    chat_id, now = new_id("chat"), world.clock.now()
    await _numbered(world)
    async with services.db.tenant(tenant_id) as conn:
        await conn.execute(
            """INSERT INTO chats (tenant_id, id, channel_id, address, name, contact_id, deal_id, owner_id, last_at,
                   created_at) VALUES (%s, %s, 'channel', %s, 'Marina', %s, %s, %s, %s, %s)""",
            [tenant_id, chat_id, world.scenario.phone, contact_id, deal.id, owner.user_id, now, now],
        )
    who = Contact(chat_id, contact_id, "Marina", "channel", "whatsapp_cloud", None, deal.id, owner.user_id)
    agent, phone = await services.people.agent(tenant_id), world.scenario.phone
    lives = place(phone=phone, account_zone=agent.time_zone)
    return Lead(who, replace(agent, time_zone=lives.zone))


async def _numbered(world: World) -> None:
    """The company's number, connected, with the sample account's templates; once."""
    owner, now = await world.who(Role.ADMIN), world.clock.now()
    async with world.services.db.tenant(world.tenant_id) as conn:
        made = await conn.execute(
            """INSERT INTO channels (tenant_id, id, provider, number, name, phone, account, environment, owner_id,
                   created_at)
               VALUES (%s, 'channel', 'whatsapp_cloud', %s, 'Vendas', '551940000001', %s, 'sandbox', %s, %s)
               ON CONFLICT DO NOTHING""",
            [world.tenant_id, world.tenant_id, WHATSAPP_ACCOUNTS[0].waba_id, owner.user_id, now],
        )
        if not made.rowcount:
            return
        uses = yaml.safe_load(USES.read_text(encoding="utf-8"))
        for one in TEMPLATES:
            use = uses[one["name"]]
            await conn.execute(
                """INSERT INTO message_templates (tenant_id, channel_id, name, language, category, status, quality,
                       body, purposes, holes, synced_at)
                   VALUES (%s, 'channel', %s, %s, %s, %s, %s, %s, %s, %s, %s)""",
                [
                    world.tenant_id, one["name"], one["language"], one["category"], one["status"],
                    one["quality_score"]["score"], one["components"][0]["text"], use["for"],
                    Jsonb({str(n): hole for n, hole in enumerate(use["holes"], 1)}), now,
                ],
            )  # fmt: skip


async def _talked(world: World, talk: Talk) -> None:
    """A conversation as it would be kept, had it been had."""
    services, tenant_id, now = world.services, world.tenant_id, world.clock.now()
    owner = await world.who(Role.ADMIN)
    await _numbered(world)
    keys = ((KeyKind.WA_ID, talk.phone),)
    data = ContactData(Source("conversation", by_person=True), name=talk.talk, keys=keys, owner_id=owner.user_id)
    contact_id = (await services.crm.upsert_contact(owner, data)).id
    said = [(now - line.ago, *line.said) for line in talk.lines]
    theirs = [at for at, by, _ in said if by == "contact"]
    answered = max((at for at, by, _ in said if by != "contact"), default=None)
    waits = [at for at in theirs if answered is None or at > answered]
    chat_id, person = new_id("chat"), owner.user_id if talk.held == "person" else None
    async with services.db.tenant(tenant_id) as conn:
        await conn.execute(
            """INSERT INTO chats (tenant_id, id, channel_id, address, name, contact_id, owner_id, held, held_since,
                   held_by, last_at, last_from_contact, last_received_at, messages_in, answered_in, waiting_since,
                   unread, created_at, language)
               VALUES (%s, %s, 'channel', %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)""",
            [
                tenant_id, chat_id, talk.phone, talk.talk, contact_id, owner.user_id, talk.held,
                max((at for at, _, _ in said), default=now), person,
                max((at for at, _, _ in said), default=now), max(theirs, default=None), max(theirs, default=None),
                len(theirs), len(theirs) - len(waits), min(waits, default=None), len(waits),
                min((at for at, _, _ in said), default=now), world.scenario.language,
            ],
        )  # fmt: skip
        for at, by, text in said:
            await conn.execute(
                """INSERT INTO chat_messages (tenant_id, id, chat_id, direction, author, author_id, kind, text, at,
                       received_at, status, status_at) VALUES (%s, %s, %s, %s, %s, %s, 'text', %s, %s, %s, %s, %s)""",
                [
                    tenant_id, new_id("msg"), chat_id, "in" if by == "contact" else "out", by,
                    owner.user_id if by == "person" else None, text, at, at, None if by == "contact" else "read", at,
                ],
            )  # fmt: skip


@dataclass
class Stage:
    """The product and the simulator of a run."""

    services: Services
    clock: FixedClock
    graph: httpx.AsyncClient
    limits: Limits = field(default_factory=Limits)

    async def world(self, scenario: Scenario) -> World:
        """A new world as the scenario begins."""
        self.clock.at = scenario.now
        answer = await self.graph.post("/__reset", json={"now": scenario.now.isoformat()})
        answer.raise_for_status()
        slug = new_id("evals").replace("_", "-")
        tenant = await self.services.people.add_tenant("Agência Ipê", slug=slug)
        token = str(answer.json()["token"])
        world = World(self.services, scenario, self.clock, tenant.id, self.graph, token, limits=self.limits)
        checked = await self.services.connections.check(token)
        await self.services.connections.save(await world.who(Role.ADMIN), checked, [account.id for account in ACCOUNTS])
        for beginning in scenario.before:
            if isinstance(beginning, Write):
                await world.write(beginning)
            elif isinstance(beginning, Talk):
                await _talked(world, beginning)
            else:
                await world.fail(beginning)
        return world


@asynccontextmanager
async def open_stage(
    settings: Settings, dsns: Sequence[str] | None = None, *, catalog: str = ""
) -> AsyncIterator[Stage]:
    """The stage, for as long as it is needed; everything lies in a folder that is gone afterwards.

    `settings` say which model plays and where it is; servers and folders are the stage's own. `dsns` (owner, app) name
    a migrated database to use; None starts one. `catalog` is laid over ours (llm/catalog.toml): who serves which role.
    """
    with tempfile.TemporaryDirectory(prefix="mutirao-evals-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        if catalog:
            (folder / "catalog.toml").write_text(catalog, encoding="utf-8")
        postgres = None
        if dsns is None:
            postgres = Postgres.start(folder, durable=False)
            dsns = postgres.owner_dsn, postgres.app_dsn
        own = {
            "data_dir": folder,
            "database_owner_url": dsns[0],
            "database_url": dsns[1],
            "redis_url": None,
            "mode": "sandbox",
            "meta_ads": "sandbox",
        }
        clock = FixedClock()
        simulator = launch.start(folder / "graph", clock.now())
        try:
            async with (
                httpx.AsyncClient(base_url=simulator.base_url, timeout=30) as graph,
                open_services(settings.model_copy(update=own), clock, simulator.base_url) as services,
            ):
                yield Stage(services, clock, graph, settings.limits)
        finally:
            simulator.stop()
            if postgres is not None:
                postgres.stop()


def local(moment: datetime) -> datetime:
    """The moment as the accounts' clocks show it."""
    return moment.astimezone(_ZONE)
