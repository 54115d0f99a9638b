"""The composition root: reads the settings, builds everything once, hands it to the doors. `mutirao` = `app:main`."""

import asyncio
import gc
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import timedelta
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit

import httpx
import structlog

from agents.answering import Turns
from agents.approvals import proposal_card
from agents.files import FileIntake, told, told_of_list
from agents.intents import Classifier
from agents.intents import warm as shipped_classifier
from agents.replay import replay
from agents.supervisor import Supervisor
from agents.talk import Talk
from business.ads.changes import AdsChangeHandler
from business.ads.checks import MetaAdsCheck
from business.ads.connections import MetaConnections
from business.ads.file_source import FileSource
from business.ads.graph_source import GraphSource
from business.ads.imports import JOB as IMPORT_JOB
from business.ads.imports import Imports
from business.ads.model import AdsSource
from business.ads.result_rules import result_rules
from business.ads.service import AdsService
from business.approvals.model import ChangeHandler
from business.approvals.service import Approvals
from business.conversations.records import TurnRecords
from business.conversations.service import Conversations
from business.crm.changes import CrmErasure
from business.crm.imports import JOB as LIST_JOB
from business.crm.imports import CrmImports
from business.crm.service import Crm
from business.messaging import media, templates_store
from business.messaging.channels import Channels
from business.messaging.chats import Chat, Chats, QuickReply
from business.messaging.checks import MailAndSmsCheck, WhatsAppCheck
from business.messaging.connecting import Connecting, verify_token
from business.messaging.gateway_clients import evolution_opener, mapped_opener
from business.messaging.gateway_doors import gateway_doors, secrets_of
from business.messaging.hands import Hands
from business.messaging.inbox import Inbox
from business.messaging.ledger import CONSENT_TOLD, Ledger
from business.messaging.opening import ACQUAINT_JOB
from business.messaging.opting import Opting
from business.messaging.outbox import SEND_CHAT, Outbox
from business.messaging.outbox_check import OutboxCheck
from business.messaging.outcomes import Outcomes
from business.messaging.receipts import READ_JOB, Receipts
from business.messaging.retention import InboxRetention
from business.messaging.rules import MessageRules
from business.messaging.sandbox import SandboxWhatsApp
from business.messaging.sandbox_evolution import SandboxEvolution
from business.messaging.sender_cloud import CloudClients, CloudSender
from business.messaging.sender_email import EmailSender, OwnersMailbox
from business.messaging.sender_evolution import EvolutionSender
from business.messaging.sender_mapped import MappedSender
from business.messaging.sender_sms import SmsSender
from business.messaging.senders import Sender
from business.messaging.sending import Sending
from business.messaging.settling import Settling
from business.messaging.sorter import Sorter
from business.messaging.sorting import Sorting
from business.messaging.templates_store import TemplateStore
from business.messaging.waking import CHAT_TURN, Waking
from business.outreach.rounds import Rounds
from business.outreach.runs import Cadences
from business.people.sample import demo_logins, ensure_sample_company
from business.people.service import People
from business.prospecting.contact import FirstContactBatch, FirstContactHandler, KeepFirstContact
from business.prospecting.quota import WebQuota
from business.prospecting.searches import Searches
from business.prospecting.sources import LazySources, live_places
from business.prospecting.work import Work
from business.sales.checks import CalendarCheck, SalesFilesCheck
from business.sales.files import SalesFiles
from business.sales.google_calendar import LinkedCalendar, Links
from business.sales.house_calendar import HouseCalendar
from business.sales.records import SalesRecords
from channels.phone_page import PhoneNumber, PhonePage, Wire
from channels.services import Messaging, Services
from channels.terminal import commands
from channels.whatsapp.checks import IntakeCheck
from channels.whatsapp.door import WhatsAppDoor, in_front
from channels.whatsapp.numbers import Numbers
from core import doctor
from core.clock import Clock, SystemClock
from core.db import Connection, Database
from core.errors import MutiraoError, SetupError
from core.files import Files
from core.http import QueuedClient, mend_idle_checks
from core.jobs import Jobs
from core.loop import run as run_loop
from core.migrate import migrate
from core.notices import Notices
from core.observe import Onlookers
from core.permissions import Permissions, Scope
from core.postgres import Postgres
from core.settings import Settings
from core.telemetry import configure_logging
from core.tenancy import Identity, Role
from core.turn import HandOver
from core.vault import Vault
from crews.contract import CrewDeps
from crews.fence import import_crewai, prepare
from crews.hunter.job import JOB as SEARCH_JOB
from crews.hunter.job import Hunts
from crews.hunter.likeness import Likeness
from crews.hunter.scouts import Scouts
from crews.registry import CREWS, CrewEntry
from integrations.brasil_places.checks import PlacesCheck
from integrations.documents.reader import DocumentReader
from integrations.google_calendar.client import GoogleCalendar
from integrations.google_calendar.tokens import Tokens
from integrations.meta_ads.client import MetaAdsClient
from integrations.meta_ads.simulator import launch as simulator
from integrations.minha_receita.checks import RegistryCheck
from integrations.minha_receita.client import MinhaReceita
from integrations.web_pages.checks import PagesCheck
from integrations.web_pages.client import WebPages
from integrations.web_pages.resolver import PublicResolver
from integrations.web_search.checks import search_checks
from llm.budget import Budgets
from llm.checks import ModelsCheck
from llm.errors import FailureKind
from llm.router import Router
from memory.checks import MemoryCheck
from memory.long_term import LongTermMemory
from memory.session import SessionStore
from prompts.prompt import Prompts
from prompts.texts import Texts
from tools.acquaint import Acquaintance
from tools.call_off import CallOff
from tools.chat_traces import ChatTraces
from tools.contact_message import ContactMessage
from tools.contact_notes import ContactNotes
from tools.do_not_contact import DoNotContact
from tools.fallback import Fallback
from tools.first_contact import FirstContacts
from tools.leads import Leads
from tools.library import JOB as DOCUMENTS_JOB
from tools.library import Library
from tools.media_words import MediaWords
from tools.meetings import Meetings
from tools.message_values import MessageValues
from tools.messages import MessageDesk
from tools.notify import MAIL_JOB, Notify
from tools.number_news import NumberNews
from tools.opening import Opening
from tools.policy import Policies, load_policy
from tools.prospecting import Hunting
from tools.reach import BeginAfter, ProposeStep, Reach, StepHandler, TellEnded
from tools.reminders import Reminders
from tools.runner import ToolRunner
from tools.scouting import SCOUTING_TOOLS
from tools.sdr_desk import SdrDesk

log = structlog.get_logger(__name__)

_THREADS = 32
"""No conversation holds a thread while it waits for a model. Looking up a host's name holds one for as long as the
resolver is silent, and passwords and files wait in the same pool: asyncio's own has 6 on two cores."""
_LOOK_SECONDS = 15.0
"""Between looks at the breakers while metrics are served: a scrape's usual interval."""
_INTERRUPTED = timedelta(minutes=15)
"""A turn that runs for longer than any limit allows: its process is dead."""


@asynccontextmanager
async def open_services(
    settings: Settings,
    clock: Clock | None = None,
    graph_url: str | None = None,
    *,
    crews: Sequence[CrewEntry] = CREWS,
    prompt_folders: Sequence[Path] = (),
) -> AsyncIterator[Services]:
    """Everything, built once and closed in reverse: servers, database, model layer, tools, crews, supervisor.

    `graph_url`: a Graph API that the caller runs itself (evals and the bench, whose simulator lives at `clock`'s time),
    instead of the data folder's sandbox. Nothing is connected to it yet. `crews`: others than those that ship, with
    the folders their prompts lie in.
    """
    clock = clock or SystemClock()
    configure_logging(settings.log_level)
    mend_idle_checks()
    budgets = Budgets.from_settings(settings, None, clock)
    router = Router.from_settings(settings, budgets=budgets)  # first, so that a model without its key is told at once
    async with AsyncExitStack() as stack:
        app_dsn = await _database(settings, stack)
        texts, prompts, vault = Texts.load(), Prompts(*prompt_folders), Vault.load(settings.data_dir)
        db = Database(app_dsn)
        await db.open()
        stack.push_async_callback(db.close)
        budgets.use(db)
        stack.push_async_callback(budgets.close)
        async with db.system() as conn:
            permissions = await Permissions.load(conn)
        people = People(db, clock, sandbox=settings.sandbox)
        files = Files(db, max_mb=settings.upload_max_mb)
        jobs = Jobs(app_dsn)
        conversations, turns = Conversations(db, clock), TurnRecords(db, clock)
        sessions = SessionStore(db, settings.redis_url)
        stack.push_async_callback(sessions.close)
        memory = LongTermMemory.from_settings(settings, db, clock, jobs=jobs)
        stack.push_async_callback(memory.close)
        notices = Notices(app_dsn)
        stack.push_async_callback(notices.close)

        # Ads: Meta's Graph API at the address the settings say, and imported files.
        http = await stack.enter_async_context(QueuedClient())
        url, sandbox_token = (graph_url, "") if graph_url else await _graph(settings, stack)
        _only_loopback_unless_live(settings, url)
        connections = MetaConnections(db, vault, clock, _client_opener(settings, http, url), settings.meta_ads)

        async def sources_of(tenant_id: str) -> list[AdsSource]:
            connected = await connections.of(tenant_id)
            graph: list[AdsSource] = [GraphSource(c.client, c.account_ids) for c in connected]
            return [*graph, FileSource(db, tenant_id)]

        ads = AdsService(sources_of, clock, partial(result_rules, db))
        imports = Imports(db, files, jobs, clock)

        # The CRM, and the sources of prospecting.
        crm = Crm(db, clock, permissions)
        traces = ChatTraces(db)
        crm_imports = CrmImports(db, clock, permissions, files, jobs, people.identity, talks=traces.export)
        sources = LazySources(settings, http, clock)
        stack.push_async_callback(sources.close)
        searches = Searches(db, clock, permissions)

        # People outside: by which numbers we talk with them, under which rules, and what leaves.
        channels, rules = Channels(db, vault, clock, settings.whatsapp, permissions), MessageRules(db, permissions)
        clients = CloudClients(channels, http)
        senders = _senders(settings, db, channels, clients, http, clock)
        notify = Notify(db, clock, people, conversations, texts, jobs, channels, senders["email"])
        ledger = Ledger(jobs)
        outbox = Outbox(db, clock, jobs, permissions, tell=notify.alert)
        outcomes = Outcomes(outbox, clock, ledger, fallback=Fallback(clock, channels, outbox))
        settling = Settling(outbox, outcomes, clock)
        do_not_contact = DoNotContact(db, crm, people, ledger)
        reach = Reach(db, clock, channels, outbox, rules, crm, people, texts)
        cadences = Cadences(db, clock, permissions, reach)
        begin = BeginAfter(cadences)
        first_contacts = FirstContacts(
            db, clock, channels, outbox, rules, blocked=do_not_contact.blocked, started=begin, stopped=begin.stop
        )
        leads = Leads(db, crm, searches, texts, first_contacts)

        # What may act: tools, under policy and approvals.
        policies = Policies(db, load_policy())
        handlers: list[ChangeHandler] = [
            AdsChangeHandler(connections.client_for),
            FirstContactHandler(db, leads.blocked, first_contacts),
            FirstContactBatch(db, leads.blocked, first_contacts),
            ContactMessage(db, leads.blocked, first_contacts),
            KeepFirstContact(first_contacts),
            StepHandler(db, cadences),
            CrmErasure(crm, people.identity, searches.forget, traces.forget),
        ]
        approvals = Approvals(
            db,
            permissions,
            clock,
            {handler.kind: handler for handler in handlers},
            check=policies.check,
            hours=settings.proposal_hours,
        )
        stack.push_async_callback(approvals.close)  # a write that is on its way is seen to its end
        propose = ProposeStep(people, approvals, notify.tell)
        rounds = Rounds(db, clock, cadences, propose=propose, ended=TellEnded(notify))
        make_runner = partial(ToolRunner, permissions=permissions, approvals=approvals, policies=policies, texts=texts)

        # Who looks for companies in the background. Scouts read strangers' words: their runner reaches nothing else.
        quota = WebQuota(db, clock, monthly=settings.web_search_monthly, days=settings.web_search_days)
        scouting = CrewDeps(router, make_runner(tools=SCOUTING_TOOLS, services={}), prompts, texts)
        hunts = Hunts(
            db, clock, jobs, people, searches, Work(db, clock), crm, sources.open, conversations, texts, leads,
            scouts=Scouts(scouting, clock, sources.open, quota),
            likeness=Likeness(memory, crm, clock),
            web=quota,
            unsay=approvals.forget,
            withdraw=approvals.withdraw,
        )  # fmt: skip
        stack.push_async_callback(hunts.close)

        # What is sold there: files of each company, what a lead said of their need, meetings.
        sales_records, sales_files = SalesRecords(db, clock), SalesFiles(settings.data_dir)
        library = Library(db, clock, memory, sales_files)
        house_calendar = HouseCalendar(db, clock, Opening(db, rules))
        reminders = Reminders(db, house_calendar, outbox, texts, clock)
        links = Links(db, vault, clock, lambda credentials: GoogleCalendar(http, Tokens(http, credentials, clock)))
        calendar = LinkedCalendar(house_calendar, links.of)

        async def tell(tenant_id: str, user_id: str | None, kind: str, about: dict[str, Any], key: str) -> None:
            await notify.tell(tenant_id, user_id, kind, about, key=key)

        meetings = Meetings(db, clock, house_calendar, sales_records, crm, people, texts, tell, outbox)
        desk = SdrDesk(
            db, clock, sales_records, sales_files, library, crm, people, texts,
            calendar=calendar, followed=meetings, tell=tell, ledger=ledger,
        )  # fmt: skip

        # Conversations with people outside, as people of ours see and lead them.
        waking = Waking(jobs, clock)
        hands = Hands(drop=outbox.drop, wake=waking.wake)
        number_news = NumberNews(notify, texts, clock)
        templates = TemplateStore(db, clock, channels, clients, permissions, jobs, tell=number_news.template)

        async def quick_replies(who: Identity) -> list[QuickReply]:
            tenant = await people.tenant(who.tenant_id)
            found = sales_files.of(tenant.slug, tenant.name).playbook.quick_replies
            return [QuickReply(one.name, one.text.of(who.language)) for one in found]

        receipts = Receipts(db, jobs, channels, senders)
        chats = Chats(
            db, clock, permissions, hands, notices, outbox, ledger, quick_replies, receipts.ask, notify.assigned
        )
        message_desk = MessageDesk(db, chats, templates, channels, outbox, people, permissions)

        runner = make_runner(
            tools=[tool for crew in crews for tool in crew.tools],
            services={
                Texts: texts,
                AdsService: ads,
                Crm: crm,
                CrmImports: crm_imports,
                DoNotContact: do_not_contact,
                Searches: searches,
                LazySources: sources,
                Hunting: hunts,
                Leads: leads,
                SdrDesk: desk,
                Cadences: cadences,
                MessageDesk: message_desk,
                FirstContacts: first_contacts,
            },
        )

        # What decides: models, crews, supervisor.
        stack.push_async_callback(router.close)
        prepare(settings.data_dir)
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS, thread_name_prefix="mutirao"))
        served = {crew.name: crew.serves for crew in crews}

        def classifier() -> Classifier:
            return shipped_classifier(settings.data_dir / "cache").serving(served)

        onlookers = _onlookers(settings, stack)
        supervisor = Supervisor(
            db=db,
            conversations=conversations,
            sessions=sessions,
            permissions=permissions,
            approvals=approvals,
            deps=CrewDeps(router, runner, prompts, texts),
            crews=list(crews),
            classifier=classifier,
            talk=Talk(texts, approvals),
            intake=FileIntake(imports, texts, crm_imports),
            clock=clock,
            limits=settings.limits,
            ended=onlookers.ended,
        )

        # What is said there: what comes in is sorted into conversations, answered, and leaves by the outbox.
        sandbox = None
        if settings.whatsapp != "live":
            sandbox = SandboxWhatsApp(settings.data_dir / "simulators" / "whatsapp")
        sending = Sending(
            db,
            clock,
            channels,
            senders,
            rules.of,
            outbox,
            outcomes,
            settling,
            files=files,
            blocked=do_not_contact.blocked,
            values_of=MessageValues(texts),
        )
        acquaintance = Acquaintance(db, crm, people, channels, texts)
        media_words = MediaWords(router, prompts, clock, DocumentReader())
        media_work = media.MediaWork(db, clock, channels, senders, files, media_words, people.agent)

        async def acquaint(tenant_id: str, chat_id: str) -> None:
            await acquaintance(tenant_id, chat_id)

        async def wanted(conn: Connection, chat: Chat, why: HandOver, key: str) -> None:
            about = {"name": chat.name, "detail": why.summary, "chat": chat.id}
            kind = "person_waited" if why.reason == "waits" else "person_wanted"
            await notify.tell(chat.tenant_id, chat.owner_id, kind, about, key=key, within=conn)

        opting = Opting(outbox, ledger, texts.say)
        sorting = Sorting(outbox, settling, opting, hands, waking, templates=templates.told, warn=number_news.number)
        sorter = Sorter(db, clock, jobs, channels, rules, notices, sorting)
        answering = Turns(
            db, clock, supervisor.answer_contact, people.agent, channels, rules, outbox, hands, waking, notices, texts,
            senders, acquaint, tell=wanted, media_told=media.told, limits=settings.limits,
        )  # fmt: skip

        inbox = Inbox(app_dsn, clock)

        def door() -> WhatsAppDoor:
            secret, token = _webhook_secrets(settings, vault, sandbox)
            return WhatsAppDoor(
                inbox, Numbers(db), clock, app_secret=secret, verify_token=token,
                gateways=gateway_doors(channels, vault, settings.data_dir), secrets_of=secrets_of(channels),
            )  # fmt: skip

        async def revive_sending() -> None:
            await sending.revive()

        jobs.task(CHAT_TURN, answering.run, queue="talk", attempts=6)
        jobs.task(SEND_CHAT, sending.run, queue="send")
        jobs.task(media.JOB, media_work.run, queue="media", attempts=media.ATTEMPTS)
        jobs.task(ACQUAINT_JOB, acquaint, queue="talk")
        jobs.task(READ_JOB, receipts.tell, queue="send", attempts=1)
        jobs.task(CONSENT_TOLD, do_not_contact.told, queue="talk")
        jobs.task(MAIL_JOB, notify.send_mail)
        jobs.task(DOCUMENTS_JOB, library.run)
        jobs.task(templates_store.SYNC_TEMPLATES, templates.run)
        jobs.periodic("sync_all_templates", "17 * * * *", templates.sync_all)
        jobs.periodic("cut_inbox", "23 6 * * *", InboxRetention(db, clock).run)
        jobs.periodic("revive_sending", "* * * * * */15", revive_sending, queue="send")

        messaging = Messaging(
            channels=channels,
            inbox=inbox,
            chats=chats,
            outbox=outbox,
            rules=rules,
            templates=templates,
            clients=clients,
            sales_files=sales_files,
            sales_records=sales_records,
            library=library,
            desk=desk,
            links=links,
            cadences=cadences,
            call_off=CallOff(db, permissions, chats, calendar, meetings),
            door=door,
            sandbox=sandbox,
            answer=supervisor.answer_contact,
        )

        async def furnish() -> None:
            """The sandbox's WhatsApp, with the sample company's number, templates, documents and hours."""
            if sandbox is None or not settings.sandbox:
                return
            tenant = await ensure_sample_company(settings, people, db)
            admin = await people.identity_by_role(tenant.id, Role.ADMIN)
            stack.push_async_callback(sandbox.close)
            await sandbox.open()
            if await sandbox.connect(channels, admin):
                await templates.sync_all()
                await rules.give_demo(tenant.id)
            evolution = SandboxEvolution(settings.data_dir / "simulators" / "evolution")
            stack.push_async_callback(evolution.close)
            await evolution.rejoin(channels, admin)
            await library.sync(tenant.id, tenant.slug)

        async def work(stop: asyncio.Event) -> None:
            """Jobs and the inbox; what the sandbox needs is put there meanwhile."""
            furnishing = asyncio.create_task(furnish(), name="furnishing the sandbox")
            furnishing.add_done_callback(_told_if_failed)
            try:
                await asyncio.gather(jobs.run_worker(stop), sorter.run(stop))
            finally:
                furnishing.cancel()
                await asyncio.wait({furnishing})

        keep_promises = _declare_jobs(
            jobs, db, people, approvals, imports, crm_imports, hunts, conversations, turns, texts, settings,
            [
                answering.revive, answering.remind, channels.of, channels.bring_home, rounds.run,
                reminders.run, calendar.mend, meetings.run, partial(media_work.again, jobs),
                ContactNotes(db, clock, people, texts).run,
            ],
        )  # fmt: skip
        memory.declare()
        await jobs.open()
        stack.push_async_callback(jobs.close)
        if settings.sandbox:
            await _sample_company(settings, people, connections, db, sandbox_token)

        async def checks(live: bool) -> list[doctor.Finding]:
            def say(key: str, /, **params: object) -> str:
                return texts.say(settings.language, key, **params)

            def explain(error: MutiraoError) -> str:
                return texts.error(settings.language, error)

            async def tenants() -> list[tuple[str, str]]:
                return [(tenant.id, tenant.name) for tenant in await people.tenants()]

            async def sellers() -> list[tuple[str, str]]:
                return [(tenant.slug, tenant.name) for tenant in await people.tenants()]

            parts = [
                *doctor.floor_checks(settings, say),
                ModelsCheck(router, say),
                MemoryCheck(memory, say),
                MetaAdsCheck(connections, tenants, settings.meta_ads != "live", say, explain),
                *_source_checks(settings, http, clock, say, explain),
                WhatsAppCheck(
                    channels, Connecting(channels, http, settings, vault), tenants, db, clock, settings, say, explain
                ),
                OutboxCheck(db, channels, tenants, clock, say),
                MailAndSmsCheck(
                    channels,
                    {"email": EmailSender(channels, http, clock), "sms": SmsSender(channels, http)},
                    tenants,
                    say,
                    explain,
                ),
                CalendarCheck(db, clock, links.of, tenants, say, explain),
                SalesFilesCheck(sales_files, sellers, say, explain),
                IntakeCheck(inbox, clock, say, secret=bool(_webhook_secrets(settings, vault, sandbox)[0])),
            ]
            return await doctor.examine(parts, explain, live=live)

        yield Services(
            settings=settings,
            clock=clock,
            texts=texts,
            db=db,
            vault=vault,
            files=files,
            jobs=jobs,
            permissions=permissions,
            people=people,
            conversations=conversations,
            turns=turns,
            approvals=approvals,
            ads=ads,
            connections=connections,
            imports=imports,
            crm=crm,
            searches=searches,
            hunts=hunts,
            crm_imports=crm_imports,
            messaging=messaging,
            runner=runner,
            budgets=budgets,
            handle=supervisor.handle,
            replay=partial(replay, supervisor),
            card=proposal_card,
            checks=checks,
            warm=lambda: _warm(router, supervisor),
            keep_promises=keep_promises,
            work=work,
            metrics=lambda: _metrics(settings, onlookers, router, runner, db),
            banner=_banner(settings, texts, router),
        )


# --- servers ------------------------------------------------------------------------------------


async def _database(settings: Settings, stack: AsyncExitStack) -> str:
    """A migrated database; the embedded server is started when no other is named. Returns the application's DSN."""
    if settings.database_url is not None:
        owner = settings.database_owner_url or settings.database_url
        await asyncio.to_thread(migrate, owner, app_dsn=settings.database_url)
        return settings.database_url
    postgres = await asyncio.to_thread(Postgres.start, settings.data_dir)
    stack.push_async_callback(asyncio.to_thread, postgres.stop)
    await asyncio.to_thread(migrate, postgres.owner_dsn, app_dsn=postgres.app_dsn)
    return postgres.app_dsn


async def _graph(settings: Settings, stack: AsyncExitStack) -> tuple[str, str]:
    """(address of the Graph API, token of the sandbox or ""). The sandbox is a process that several of ours share."""
    if settings.meta_ads == "live":
        return settings.meta_graph_url, ""
    server = simulator.shared((settings.data_dir / "simulators" / "meta_ads").resolve())
    details = await asyncio.to_thread(server.acquire)
    stack.push_async_callback(asyncio.to_thread, server.release)
    return str(details["url"]), Path(details["token_file"]).read_text(encoding="utf-8").strip()


def _source_checks(
    settings: Settings, http: httpx.AsyncClient, clock: Clock, say: doctor.Say, explain: Callable[[MutiraoError], str]
) -> list[doctor.Check]:
    """The public sources at their real addresses; while the sandbox stands for one, nothing is asked."""
    registry = MinhaReceita(http, clock, base_url=settings.minha_receita_url)
    return [
        RegistryCheck(registry, settings.minha_receita != "live", say, explain),
        PlacesCheck(live_places(settings, http, clock), settings.brasil_places != "live", say, explain),
        *search_checks(settings, http, clock, say, explain),
        PagesCheck(WebPages(PublicResolver(), clock), settings.web_pages != "live", say, explain),
    ]


def _client_opener(settings: Settings, http: httpx.AsyncClient, url: str) -> Callable[[str], MetaAdsClient]:
    secret = settings.meta_app_secret.get_secret_value() if settings.meta_app_secret else None

    def open_client(token: str) -> MetaAdsClient:
        return MetaAdsClient(http, token, base_url=url, app_secret=secret if settings.meta_ads == "live" else None)

    return open_client


def _only_loopback_unless_live(settings: Settings, url: str) -> None:
    """The sandbox talks to this machine only: SetupError("sandbox_not_local") for any other Graph address."""
    if settings.meta_ads != "live" and (urlsplit(url).hostname or "") not in ("127.0.0.1", "::1", "localhost"):
        raise SetupError("sandbox_not_local", f"{url} is not on this machine", url=url)


async def _sample_company(
    settings: Settings, people: People, connections: MetaConnections, db: Database, token: str
) -> None:
    """The sandbox's tenant, users and their connection to the simulator."""
    tenant = await ensure_sample_company(settings, people, db)
    if token and not await connections.of(tenant.id):
        admin = await people.identity_by_role(tenant.id, Role.ADMIN)
        checked = await connections.check(token)
        await connections.save(admin, checked, [account.id for account in checked.accounts])


# --- jobs ---------------------------------------------------------------------------------------


def _declare_jobs(
    jobs: Jobs,
    db: Database,
    people: People,
    approvals: Approvals,
    imports: Imports,
    lists: CrmImports,
    hunts: Hunts,
    conversations: Conversations,
    turns: TurnRecords,
    texts: Texts,
    settings: Settings,
    others: Sequence[Callable[[str], Awaitable[object]]],
) -> Callable[[], Awaitable[None]]:
    """Which work runs in the background, started by the clock or by a user. Returns what is also done at a start.

    `others`: what else is looked after once a minute for each tenant.
    """

    async def read_import(tenant_id: str, import_id: str) -> None:
        done = await imports.run(tenant_id, import_id)
        await tell(imports, tenant_id, import_id, lambda language: told(texts, language, done))

    async def read_list(tenant_id: str, import_id: str) -> None:
        done = await lists.run(tenant_id, import_id)
        await tell(lists, tenant_id, import_id, lambda language: told_of_list(texts, language, done))

    async def tell(brought: Imports | CrmImports, tenant_id: str, import_id: str, words: Callable[[str], str]) -> None:
        """Say in its conversation how an import ended, in one transaction with the note that it was said."""
        async with db.tenant(tenant_id) as conn:
            if conversation := await brought.take_announcement(tenant_id, import_id, within=conn):
                language = (await conversations.state(tenant_id, conversation, conn)).language or settings.language
                await conversations.announce(tenant_id, conversation, words(language), within=conn)

    async def keep_promises() -> None:
        """Proposals past their time expire, writes of unknown outcome are looked at, searches that nobody works on go
        on, dead turns are closed, old records of turns are cut to their figures."""
        notice = texts.say(settings.language, "turn.interrupted")
        for tenant in await people.tenants():
            promises: list[Callable[[], Awaitable[object]]] = [
                partial(approvals.expire, tenant.id),
                partial(approvals.reconcile, tenant.id),
                partial(conversations.close_interrupted, tenant.id, _INTERRUPTED, notice),
                partial(turns.cut, tenant.id, timedelta(days=settings.turn_record_days)),
                partial(hunts.hear, tenant.id),
                partial(hunts.revive, tenant.id),
                *(partial(one, tenant.id) for one in others),
            ]
            for promise in promises:
                try:
                    await promise()
                except Exception:  # one odd row of one house must not stop the others' promises
                    log.exception("promise_not_kept", tenant=tenant.id)

    jobs.task(IMPORT_JOB, read_import)
    jobs.task(LIST_JOB, read_list)
    jobs.task(SEARCH_JOB, hunts.run)
    jobs.periodic("keep_promises", "* * * * *", keep_promises, queue="talk")
    return keep_promises


# --- people outside -----------------------------------------------------------------------------


def _senders(
    settings: Settings,
    db: Database,
    channels: Channels,
    clients: CloudClients,
    http: httpx.AsyncClient,
    clock: Clock,
) -> dict[str, Sender]:
    """By provider, how a message leaves."""
    mapped = MappedSender(mapped_opener(channels, http, settings.data_dir))
    return {
        "whatsapp_cloud": CloudSender(clients),
        "evolution": EvolutionSender(evolution_opener(channels, http)),
        "uazapi": mapped,
        "lancepilot": mapped,
        "email": EmailSender(channels, http, clock, OwnersMailbox(db)),
        "sms": SmsSender(channels, http),
    }


def _webhook_secrets(settings: Settings, vault: Vault, sandbox: SandboxWhatsApp | None) -> tuple[str, str]:
    """(app secret, verify token) of Meta's webhook; without a secret in live mode there is no such address."""
    if sandbox is not None:
        return sandbox.secrets.app_secret, sandbox.secrets.verify_token
    secret = settings.whatsapp_app_secret
    return secret.get_secret_value() if secret else "", verify_token(settings, vault)


def _told_if_failed(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("sandbox_not_furnished", exc_info=error)


# --- seen from outside --------------------------------------------------------------------------


def _onlookers(settings: Settings, stack: AsyncExitStack) -> Onlookers:
    """Who looks at finished turns: traces, when there is a collector; metrics join when they are served."""
    onlookers = Onlookers()
    if settings.otlp_endpoint is not None:
        from core.traces import Traces

        traces = Traces(settings.otlp_endpoint, version=version("mutirao"))
        stack.push_async_callback(asyncio.to_thread, traces.close)
        onlookers.add("traces", traces.saw)
    stack.push_async_callback(asyncio.to_thread, onlookers.close)
    return onlookers


@contextmanager
def _metrics(
    settings: Settings, onlookers: Onlookers, router: Router, runner: ToolRunner, db: Database
) -> Iterator[None]:
    """Prometheus' port, if the settings name one, until the end of the block."""
    if settings.metrics_port is None:
        yield
        return
    from core.metrics import Known, Metrics

    roles = router.describe()
    metrics = Metrics(
        Known(
            models=frozenset(model.ref for role in roles for model in role.models),
            roles=frozenset(role.role for role in roles),
            tools=frozenset(runner.tools),
            failures=frozenset(get_args(FailureKind)),
        ),
        version=version("mutirao"),
        breakers=router.states,
        jobs_dsn=db.app_dsn,
        missed=lambda: onlookers.missed,
    )
    with metrics.served(settings):
        onlookers.add("metrics", metrics.saw)
        looking = asyncio.get_running_loop().create_task(_keep_looking(router))
        try:
            yield
        finally:
            looking.cancel()
            onlookers.remove("metrics")


async def _keep_looking(router: Router) -> None:
    """Breakers are told by metrics as Redis has them, also in a process that has nothing to ask a model."""
    while True:
        await router.look()
        await asyncio.sleep(_LOOK_SECONDS)


# --- serving ------------------------------------------------------------------------------------


async def _warm(router: Router, supervisor: Supervisor) -> None:
    """Import what the first turn needs, while the person still reads the page."""
    await asyncio.to_thread(supervisor.classifier)
    await asyncio.to_thread(import_crewai)
    await asyncio.to_thread(lambda: supervisor.graph)
    await router.warm()
    # Half a million objects of libraries: going through them stops every turn for 0.3 s now and then. A turn makes
    # twenty thousand of its own, which mostly go by themselves: looking for rings among each 700 was 9 % of its CPU.
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def _banner(settings: Settings, texts: Texts, router: Router) -> list[str]:
    """What the person who types `make run` is told."""
    say = texts.say
    lines = [say(settings.language, "serve.address", url=f"http://{settings.host}:{settings.port}/chat")]
    if settings.sandbox:
        login = demo_logins(settings)[0]
        lines.append(say(settings.language, "serve.demo", email=login.email, password=login.password))
    if settings.sandbox and settings.whatsapp != "live":
        url = f"http://{settings.host}:{settings.port}/sandbox/phone"
        lines.append(say(settings.language, "serve.phone", url=url))
    models = router.chain("ads_analyst")
    if models:
        lines.append(say(settings.language, "serve.model", models=" → ".join(m.ref for m in models)))
    else:
        lines.append(say(settings.language, "serve.no_model"))
    if settings.metrics_port is not None:
        url = f"http://{settings.metrics_host}:{settings.metrics_port}/metrics"
        lines.append(say(settings.language, "serve.metrics", url=url))
    return lines


def serve(settings: Settings) -> None:
    """The web server with the chat, and a worker for the jobs, until it is told to stop."""
    import uvicorn

    listener = _listen(settings)

    async def run() -> None:
        from channels.web import build_web_app

        async with open_services(settings) as services, AsyncExitStack() as stack:
            stack.enter_context(services.metrics())
            messaging = services.messaging
            await messaging.inbox.open()
            stack.push_async_callback(messaging.inbox.close)
            phone = None
            if messaging.sandbox is not None:
                evolution = SandboxEvolution(services.settings.data_dir / "simulators" / "evolution")
                stack.push_async_callback(evolution.close)
                wires: dict[str, Wire] = {"whatsapp_cloud": messaging.sandbox, "evolution": evolution}
                phone = PhonePage(wires, _numbers(messaging), services.permissions, services.texts)
                stack.push_async_callback(phone.close)
            app = build_web_app(
                services, card=proposal_card, starters=partial(_starters, services.permissions), phone=phone
            )
            server = uvicorn.Server(
                uvicorn.Config(
                    in_front(app, messaging.door()),
                    log_level="warning",
                    access_log=False,
                    lifespan="on",
                    timeout_graceful_shutdown=5,
                    ws_max_size=1_000_000,
                )
            )
            app.state.closing = lambda: server.should_exit
            stop = asyncio.Event()
            worker = asyncio.ensure_future(services.work(stop))
            pointing = asyncio.create_task(_point(server, services))
            warming = asyncio.ensure_future(services.warm())
            settling = asyncio.ensure_future(services.keep_promises())  # what a killed server left open
            announcing = asyncio.create_task(_announce(server, services.banner))
            try:
                await server.serve(sockets=[listener])
            finally:
                stop.set()
                aside = (warming, settling, announcing, pointing)
                for task in aside:
                    task.cancel()
                await asyncio.gather(worker, *aside, return_exceptions=True)

    run_loop(run())


def _starters(permissions: Permissions, role: Role) -> list[str]:
    """What a newcomer with this role may click first: of the crews whose area they may see."""
    seen = [crew for crew in CREWS if permissions.read_scope(role, crew.area) is not Scope.NONE]
    return [key for crew in seen for key in crew.starters]


def _numbers(messaging: Messaging) -> Callable[[str], Awaitable[list[PhoneNumber]]]:
    """The numbers of a tenant that the lead's phone of the sandbox may write to."""

    async def of(tenant_id: str) -> list[PhoneNumber]:
        found = await messaging.channels.of(tenant_id)
        return [
            PhoneNumber(one.number, one.name, one.phone, one.provider)
            for one in found
            if one.provider in ("whatsapp_cloud", "evolution") and one.environment == "sandbox"
        ]

    return of


async def _point(server: object, services: Services) -> None:
    """Tell the sandbox's WhatsApp where we are, as soon as we answer its handshake."""
    if services.messaging.sandbox is None:
        return
    while not getattr(server, "started", False):
        await asyncio.sleep(0.05)
    await services.messaging.sandbox.point(f"http://127.0.0.1:{services.settings.port}/webhooks/whatsapp")


async def _announce(server: object, banner: list[str]) -> None:
    while not getattr(server, "started", False):
        await asyncio.sleep(0.05)
    print("\n".join(["", *banner, ""]), flush=True)


def _listen(settings: Settings) -> socket.socket:
    """The port is taken before anything else starts, so that a busy one is told at once."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # With its protocol by name, else asyncio does not know it for TCP and small answers wait 40 ms for the reader.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except PermissionError as error:
        raise SetupError("port_forbidden", str(error), port=settings.port) from None
    except OSError as error:
        raise SetupError("port_busy", str(error), port=settings.port, host=settings.host) from None
    listener.set_inheritable(True)
    return listener


async def serve_mcp(services: Services, identity: Identity) -> None:
    """Offer the tools over stdio to another client."""
    from channels.crm_views import CrmViews
    from channels.mcp_server import serve as serve_stdio

    async def who() -> Identity:
        return await services.people.identity(identity.tenant_id, identity.user_id)  # read anew at every call

    views = CrmViews(services.crm, services.people, services.texts, services.clock)
    await serve_stdio(who, services.runner, services.handle, services.texts, views=views)


def play_evals(arguments: list[str]) -> int:
    """The evaluation lies above this file, so it is started as a program of its own."""
    return subprocess.call(
        [sys.executable, "-m", "evals", *arguments], env={**os.environ, "MUTIRAO_IGNORE_PROVIDER_KEYS": "1"}
    )


def _stop(*_: object) -> None:
    # Python's own way would end the process on the spot, and uvicorn repeats the signal after it has shut down.
    raise SystemExit(0)


def main() -> None:
    """The `mutirao` command. Told to stop (SIGTERM), it ends as it would by itself: servers of ours end with it."""
    signal.signal(signal.SIGTERM, _stop)
    commands(open_services, serve, serve_mcp, play_evals)()
