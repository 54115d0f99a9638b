"""Conversations of a lead with the SDR: a real chat in the database, its tools, calendar and documents, no gateway."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from business.approvals.service import Approvals
from business.crm.identity import KeyKind
from business.crm.model import ContactData, Source
from business.crm.service import Crm
from business.messaging.brazil import place
from business.messaging.clocks import UNCLEAR_NOW, clock_of
from business.messaging.ledger import Ledger
from business.people.service import People
from business.sales.files import SAMPLE_SLUG, SalesFiles
from business.sales.house_calendar import HouseCalendar
from business.sales.records import Known, SalesRecords
from core.clock import FixedClock
from core.db import Database
from core.ids import new_id
from core.jobs import Jobs
from core.permissions import Permissions
from core.tenancy import Identity, Role
from core.turn import Contact, Turn
from crews.contract import CrewDeps, CrewResult, CrewTask
from crews.sdr.crew import grounds_of, run
from crews.sdr.guard import check
from crews.sdr.playbook import SdrPlaybook
from crews.sdr.words import Words
from llm.messages import Models
from llm.router import Router
from memory.long_term import LongTermMemory
from memory.shelf_edge import EdgeShelves
from prompts.prompt import Prompts
from prompts.texts import Texts
from tools.library import Library
from tools.meetings import Meetings
from tools.policy import Policies, load_policy
from tools.runner import ToolRunner
from tools.sdr import SDR_TOOLS
from tools.sdr_desk import SdrDesk


class House:
    """The sample company with everything a conversation needs, on a database of its own."""

    def __init__(self, db: Database, clock: FixedClock, people: People, permissions: Permissions, folder: Path) -> None:
        self.db, self.clock, self.people, self.permissions = db, clock, people, permissions
        self.crm = Crm(db, clock, permissions)
        self.texts, self.prompts = Texts.load(), Prompts()
        self.files = SalesFiles(folder / "data")
        self.records = SalesRecords(db, clock)
        self.memory = LongTermMemory(db, clock, EdgeShelves(folder / "memory"))
        self.library = Library(db, clock, self.memory, self.files)
        self.told: list[tuple[str, str, dict[str, Any], str]] = []
        self.tenant_id = ""

    async def open(self, jobs: Jobs) -> None:
        tenant = await self.people.add_tenant("Agência Ipê", slug=SAMPLE_SLUG)
        self.tenant_id = tenant.id
        user = await self.people.add_user(tenant.id, "ana@ipe.example", "Ana Prado", Role.ADMIN, None)
        seller = await self.people.add_user(tenant.id, "carla@ipe.example", "Carla Nunes", Role.COMERCIAL, None)
        self.admin = await self.people.identity(tenant.id, user.id)
        self.seller = await self.people.identity(tenant.id, seller.id)
        self.agent = await self.people.agent(tenant.id)

        async def tell(tenant_id: str, whom: str | None, kind: str, params: dict[str, Any], key: str) -> None:
            self.told.append((whom or "", kind, params, key))

        async def opening(tenant_id: str, since: Any, until: Any) -> Any:
            from datetime import timedelta
            from zoneinfo import ZoneInfo

            zone, found = ZoneInfo("America/Sao_Paulo"), []
            day = since.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
            while day < until:
                if day.weekday() < 5:
                    found.append((day.replace(hour=9), day.replace(hour=18)))
                day += timedelta(days=1)
            return found

        self.calendar = HouseCalendar(self.db, self.clock, opening)
        followed = Meetings(self.db, self.clock, self.calendar, self.records, self.crm, self.people, self.texts, tell)
        self.desk = SdrDesk(
            self.db, self.clock, self.records, self.files, self.library, self.crm, self.people, self.texts,
            calendar=self.calendar, followed=followed, tell=tell, ledger=Ledger(jobs),
        )  # fmt: skip
        policies = Policies(self.db, load_policy())
        approvals = Approvals(self.db, self.permissions, self.clock, {}, check=policies.check)
        self.runner = ToolRunner(
            permissions=self.permissions, approvals=approvals, policies=policies, texts=self.texts, tools=SDR_TOOLS,
            services={SdrDesk: self.desk},
        )  # fmt: skip
        await self.library.sync(tenant.id, SAMPLE_SLUG)
        await self.memory.catch_up(tenant.id)
        async with self.db.tenant(tenant.id) as conn:
            await conn.execute(
                """INSERT INTO channels (tenant_id, id, provider, number, name, environment, owner_id, created_at)
                   VALUES (%s, 'chan_1', 'whatsapp_cloud', '100000000000201', 'Vendas', 'sandbox', %s, %s)""",
                [tenant.id, self.seller.user_id, self.clock.now()],
            )

    def deps(self, router: Models | Router) -> CrewDeps:
        return CrewDeps(router, self.runner, self.prompts, self.texts)

    async def talk(self, name: str = "Marina", language: str = "pt-BR", phone: str = "5519988112233") -> "Talk":
        """A new conversation with somebody who is in the CRM with a deal, owned by the seller."""
        source = Source("conversation", by_person=True)
        data = ContactData(source, name=name, keys=((KeyKind.PHONE, f"+{phone}"),), owner_id=self.seller.user_id)
        contact = (await self.crm.upsert_contact(self.admin, data)).id
        deal = await self.crm.create_deal(self.seller, f"{name}: anúncios", contact_id=contact)
        chat_id = new_id("chat")
        async with self.db.tenant(self.tenant_id) as conn:
            await conn.execute(
                """INSERT INTO chats (tenant_id, id, channel_id, address, name, contact_id, deal_id, owner_id, last_at,
                       created_at) VALUES (%s, %s, 'chan_1', %s, %s, %s, %s, %s, %s, %s)""",
                [self.tenant_id, chat_id, phone, name, contact, deal.id, self.seller.user_id, *[self.clock.now()] * 2],
            )
        who = Contact(chat_id, contact, name, "chan_1", "whatsapp_cloud", None, deal.id, self.seller.user_id)
        return Talk(self, who, language, phone)


class Talk:
    """One conversation. `turn` is the last one; `called` the tools that it called."""

    def __init__(self, house: House, who: Contact, language: str, phone: str) -> None:
        self.house, self.who, self.language, self.phone = house, who, language, phone
        self.session: dict[str, Any] = {}
        self.history: list[tuple[str, str]] = []
        self.turn: Turn
        self.result: CrewResult
        self.findings: list[str] = []

    def _turn(self, identity: Identity, text: str, chat: dict[str, Any]) -> Turn:
        zone, said_clock = clock_of(self.session, text, [words for role, words in self.history if role == "user"])
        self.session.pop(UNCLEAR_NOW, None)
        self.session |= said_clock
        session = {**self.session, "history": list(self.history), "chat": {"open": True, **chat}}
        lives = place(zone=zone, phone=self.phone, account_zone=identity.time_zone)
        identity = replace(identity, time_zone=lives.zone)
        return Turn(
            new_id("turn"), identity, self.who.chat_id, "whatsapp", text, self.language, self.house.clock.now(),
            session=session, contact=self.who,
        )  # fmt: skip

    def turn_of(self, text: str) -> Turn:
        """A turn for a message, before anything is answered."""
        return self._turn(self.house.agent, text, {})

    async def say(self, *texts: str, router: Models | Router | None = None, **chat: Any) -> str:
        """What the SDR answers to a burst. Without a router the playbook alone is played, as the crew does."""
        text = "\n".join(texts)
        async with self.house.db.tenant(self.house.tenant_id) as conn:
            for one in texts:
                await conn.execute(
                    """INSERT INTO chat_messages
                           (tenant_id, id, chat_id, direction, author, kind, text, at, received_at)
                       VALUES (%s, %s, %s, 'in', 'contact', 'text', %s, %s, %s)""",
                    [self.house.tenant_id, new_id("msg"), self.who.chat_id, one, *[self.house.clock.now()] * 2],
                )
        self.turn = turn = self._turn(self.house.agent, text, chat)
        if router is None:
            outcome = await self.house.runner.call(turn, "sdr_brief", {})
            assert outcome.ok, outcome.text_for_model
            playbook = SdrPlaybook(turn, outcome.data, Words(self.house.texts, self.language))
            while not isinstance(step := playbook.next_step(), str):
                for call in step:
                    done = await self.house.runner.call(turn, call.name, call.arguments)
                    assert done.error_code not in ("tool_bug", "arguments_wrong", "arguments_unreadable"), done
            said = playbook.said()
            self.result = CrewResult(step, False, playbook.text, session={"sdr": said.keep})
            self.findings = [f"{f.kind}: {f.words}" for f in check(step, grounds_of(turn, outcome.data, playbook))]
        else:
            self.result = await run(turn, [CrewTask("sdr.answer", text)], self.house.deps(router), None)
            step = self.result.text
        self.session |= self.result.session
        self.history += [("user", text), ("assistant", step)]
        return step

    @property
    def called(self) -> list[str]:
        return [record.name for record in self.turn.results if record.error is None and record.name != "sdr_brief"]

    async def known(self) -> Known:
        return await self.house.desk.of_chat(self.house.tenant_id, self.who.chat_id)
