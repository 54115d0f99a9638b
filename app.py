"""The composition root: reads the settings, builds everything once (wiring/), hands it to the doors. `mutirao` =
`app:main`."""

import asyncio
import gc
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import structlog

from agents.approvals import proposal_card
from agents.files import FileIntake
from agents.intents import Classifier
from agents.intents import warm as shipped_classifier
from agents.replay import replay
from agents.supervisor import Supervisor
from agents.talk import Talk
from business.ads.service import AdsService
from business.crm.imports import CrmImports
from business.crm.service import Crm
from business.messaging.leaving import ROOT as LEAVE
from business.messaging.sandbox_evolution import SandboxEvolution
from business.outreach.runs import Cadences
from business.people.sample import demo_logins
from business.prospecting.searches import Searches
from business.prospecting.sources import LazySources
from channels.phone_page import PhoneNumber, PhonePage, Wire
from channels.services import Messaging, Services
from channels.terminal import commands
from channels.whatsapp.door import in_front
from core.clock import Clock, SystemClock
from core.errors import SetupError
from core.http import mend_idle_checks
from core.loop import run as run_loop
from core.permissions import Permissions, Scope
from core.settings import Settings
from core.telemetry import configure_logging
from core.tenancy import Identity, Role
from crews.contract import CrewDeps
from crews.fence import import_crewai, prepare
from crews.registry import CREWS, CrewEntry
from llm.router import Router
from prompts.texts import Texts
from tools.do_not_contact import DoNotContact
from tools.first_contact import FirstContacts
from tools.leads import Leads
from tools.messages import MessageDesk
from tools.prospecting import Hunting
from tools.sdr_desk import SdrDesk
from wiring.acting import open_acting, open_hunts
from wiring.ads import connect_sample_company, open_ads
from wiring.chatting import open_chatting
from wiring.checks import doctors_checks
from wiring.floor import open_floor
from wiring.observing import metrics_served, open_onlookers
from wiring.outreach import open_outreach
from wiring.records import open_records
from wiring.selling import open_selling
from wiring.talking import furnish, open_talking
from wiring.work import declare_jobs

log = structlog.get_logger(__name__)

_THREADS = 32
"""No conversation holds a thread while it waits for a model. Looking up a host's name holds one for as long as the
resolver is silent, and passwords and files wait in the same pool: asyncio's own has 6 on two cores."""


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
    configure_logging(settings.log_level)
    mend_idle_checks()
    # A turn makes twenty thousand objects of its own, which mostly go by themselves, and importing the libraries half a
    # million, which all stay: looking for rings among each 700 was 9 % of a turn's CPU, and a second of the start's.
    gc.set_threshold(20_000, 20, 20)
    async with AsyncExitStack() as stack:
        floor = await open_floor(settings, clock or SystemClock(), stack, prompt_folders)
        ads = await open_ads(floor, graph_url)
        records = open_records(floor)
        outreach = open_outreach(floor, records)
        acting = open_acting(floor, ads, records, outreach)
        hunts = open_hunts(floor, records, outreach, acting)
        selling = open_selling(floor, records, outreach)
        chatting = open_chatting(floor, outreach, selling)
        runner = acting.make_runner(
            tools=[tool for crew in crews for tool in crew.tools],
            services={
                Texts: floor.texts,
                AdsService: ads.service,
                Crm: records.crm,
                CrmImports: records.crm_imports,
                DoNotContact: outreach.do_not_contact,
                Searches: records.searches,
                LazySources: records.sources,
                Hunting: hunts,
                Leads: outreach.leads,
                SdrDesk: selling.desk,
                Cadences: outreach.cadences,
                MessageDesk: chatting.desk,
                FirstContacts: outreach.first_contacts,
            },
        )

        # What decides: models, crews, supervisor.
        stack.push_async_callback(floor.router.close)
        prepare(settings.data_dir)
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS, thread_name_prefix="mutirao"))
        served = {crew.name: crew.serves for crew in crews}

        def classifier() -> Classifier:
            return shipped_classifier(settings.data_dir / "cache").serving(served)

        onlookers = open_onlookers(floor)
        supervisor = Supervisor(
            db=floor.db,
            conversations=floor.conversations,
            sessions=floor.sessions,
            permissions=floor.permissions,
            approvals=acting.approvals,
            deps=CrewDeps(floor.router, runner, floor.prompts, floor.texts),
            crews=list(crews),
            classifier=classifier,
            talk=Talk(floor.texts, acting.approvals),
            intake=FileIntake(ads.imports, floor.texts, records.crm_imports),
            clock=floor.clock,
            limits=settings.limits,
            ended=onlookers.ended,
        )

        talking = open_talking(floor, records, outreach, selling, chatting, supervisor)
        promises = [
            *talking.promises,
            acting.rounds.run,
            selling.reminders.run,
            selling.calendar.mend,
            selling.meetings.run,
        ]
        keep_promises = declare_jobs(floor, acting.approvals, ads.imports, records.crm_imports, hunts, promises)
        floor.memory.declare()
        await floor.jobs.open()
        stack.push_async_callback(floor.jobs.close)
        if settings.sandbox:
            await connect_sample_company(floor, ads)

        async def work(stop: asyncio.Event) -> None:
            """Jobs and the inbox; what the sandbox needs is put there meanwhile."""
            furnishing = asyncio.create_task(furnish(floor, talking.messaging), name="furnishing the sandbox")
            furnishing.add_done_callback(_told_if_failed)
            try:
                await asyncio.gather(floor.jobs.run_worker(stop), talking.sorter.run(stop))
            finally:
                furnishing.cancel()
                await asyncio.wait({furnishing})

        yield Services(
            settings=settings,
            clock=floor.clock,
            texts=floor.texts,
            db=floor.db,
            vault=floor.vault,
            files=floor.files,
            jobs=floor.jobs,
            permissions=floor.permissions,
            people=floor.people,
            conversations=floor.conversations,
            turns=floor.turns,
            approvals=acting.approvals,
            ads=ads.service,
            connections=ads.connections,
            imports=ads.imports,
            crm=records.crm,
            searches=records.searches,
            hunts=hunts,
            crm_imports=records.crm_imports,
            messaging=talking.messaging,
            runner=runner,
            budgets=floor.budgets,
            handle=supervisor.handle,
            replay=partial(replay, supervisor),
            card=proposal_card,
            checks=doctors_checks(floor, ads, talking.messaging),
            warm=lambda: _warm(floor.router, supervisor),
            keep_promises=keep_promises,
            work=work,
            metrics=lambda: metrics_served(floor, onlookers, runner),
            banner=_banner(settings, floor.texts, floor.router),
        )


def _told_if_failed(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("sandbox_not_furnished", exc_info=error)


# --- serving ------------------------------------------------------------------------------------


async def _warm(router: Router, supervisor: Supervisor) -> None:
    """Import what the first turn needs, while the person still reads the page."""
    await asyncio.to_thread(supervisor.classifier)
    await asyncio.to_thread(import_crewai)
    await asyncio.to_thread(lambda: supervisor.graph)
    await router.warm()
    gc.freeze()  # half a million objects of libraries: going through them stops every turn for 0.3 s now and then


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
                    in_front(in_front(app, messaging.leave_door, LEAVE), messaging.door()),
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
            signal.signal(signal.SIGTERM, _stop)  # raised by uvicorn once it has shut down
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
