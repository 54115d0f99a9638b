"""The floor of the house: settings, database, models, memory and the records that every part stands on."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from business.conversations.records import TurnRecords
from business.conversations.service import Conversations
from business.people.service import People
from core.clock import Clock
from core.db import Database
from core.files import Files
from core.http import QueuedClient
from core.jobs import Jobs
from core.migrate import migrate
from core.notices import Notices
from core.permissions import Permissions
from core.postgres import Postgres
from core.settings import Settings
from core.vault import Vault
from llm.budget import Budgets
from llm.router import Router
from memory.long_term import LongTermMemory
from memory.session import SessionStore
from prompts.prompt import Prompts
from prompts.texts import Texts


@dataclass(frozen=True)
class Floor:
    """`stack` closes in reverse what was opened, when the house is left."""

    settings: Settings
    clock: Clock
    stack: AsyncExitStack
    texts: Texts
    prompts: Prompts
    vault: Vault
    db: Database
    permissions: Permissions
    people: People
    files: Files
    jobs: Jobs
    conversations: Conversations
    turns: TurnRecords
    sessions: SessionStore
    memory: LongTermMemory
    notices: Notices
    http: QueuedClient
    budgets: Budgets
    router: Router


async def open_floor(settings: Settings, clock: Clock, stack: AsyncExitStack, prompt_folders: Sequence[Path]) -> Floor:
    """`prompt_folders`: where prompts lie besides our own."""
    budgets = Budgets.from_settings(settings, None, clock)
    router = Router.from_settings(settings, budgets=budgets)  # first, so that a model without its key is told at once
    app_dsn = await _database(settings, stack)
    texts, prompts, vault = Texts.load(), Prompts(*prompt_folders), Vault.load(settings.data_dir)
    db = Database(app_dsn)
    await db.open()
    stack.push_async_callback(db.close)
    budgets.use(db)
    stack.push_async_callback(budgets.close)
    async with db.system() as conn:
        permissions = await Permissions.load(conn)
    jobs = Jobs(app_dsn)
    sessions = SessionStore(db, settings.redis_url)
    stack.push_async_callback(sessions.close)
    memory = LongTermMemory.from_settings(settings, db, clock, jobs=jobs)
    stack.push_async_callback(memory.close)
    notices = Notices(app_dsn)
    stack.push_async_callback(notices.close)
    http = await stack.enter_async_context(QueuedClient())
    return Floor(
        settings=settings,
        clock=clock,
        stack=stack,
        texts=texts,
        prompts=prompts,
        vault=vault,
        db=db,
        permissions=permissions,
        people=People(db, clock, sandbox=settings.sandbox),
        files=Files(db, max_mb=settings.upload_max_mb),
        jobs=jobs,
        conversations=Conversations(db, clock),
        turns=TurnRecords(db, clock),
        sessions=sessions,
        memory=memory,
        notices=notices,
        http=http,
        budgets=budgets,
        router=router,
    )


async def _database(settings: Settings, stack: AsyncExitStack) -> str:
    """A migrated database; the embedded server is started when no other is named. Returns the application's DSN."""
    if settings.database_url is not None:
        owner = settings.database_owner_url or settings.database_url
        await asyncio.to_thread(migrate, owner, app_dsn=settings.database_url)
        return settings.database_url
    starting = asyncio.get_running_loop().run_in_executor(None, Postgres.start, settings.data_dir)
    stack.push_async_callback(_given_back, starting)  # at once: who is told to stop meanwhile leaves no server behind
    postgres = await asyncio.shield(starting)
    await asyncio.to_thread(migrate, postgres.owner_dsn, app_dsn=postgres.app_dsn)
    return postgres.app_dsn


async def _given_back(starting: asyncio.Future[Postgres]) -> None:
    await asyncio.wait({starting})
    if starting.exception() is None:
        await asyncio.to_thread(starting.result().stop)
