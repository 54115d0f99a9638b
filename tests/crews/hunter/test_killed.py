"""A process that is killed with -9 in the middle of a search, and another that goes on: nothing is lost or doubled."""

import asyncio
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

from business.prospecting.searches import CandidateState, State
from business.prospecting.work import LEASE
from core.tenancy import Role
from tests.crews.hunter.conftest import Desk, Servers

ROOT = Path(__file__).parents[3]
TALK = "ache 20 escritórios de arquitetura em Campinas com mais de 3 anos e fale com os melhores"

WORKER = """
import asyncio, sys
from datetime import datetime
import httpx
from business.conversations.service import Conversations
from business.crm.service import Crm
from business.people.service import People
from business.prospecting.searches import Searches
from business.prospecting.sources import Sources
from business.prospecting.work import Work
from core.clock import FixedClock
from core.db import Database
from core.jobs import Jobs
from core.permissions import Permissions
from crews.hunter.job import JOB, Hunts
from integrations.minha_receita.client import MinhaReceita
from integrations.web_search.build import sandbox_search
from prompts.texts import Texts
from tools.leads import Leads

async def main(dsn, now, registry, search):
    clock, db, jobs = FixedClock(datetime.fromisoformat(now)), Database(dsn), Jobs(dsn)
    await db.open()
    async with db.system() as conn:
        permissions = await Permissions.load(conn)
    async with httpx.AsyncClient(verify=False) as http:
        sources = Sources(MinhaReceita(http, clock, base_url=registry, gap=0), None,
                          sandbox_search(search, http, clock), None, sandbox=True)
        async def opened():
            return sources
        searches, crm, texts = Searches(db, clock, permissions), Crm(db, clock, permissions), Texts.load()
        hunts = Hunts(db, clock, jobs, People(db, clock, sandbox=True), searches, Work(db, clock), crm, opened,
                      Conversations(db, clock), texts, Leads(db, crm, searches, texts))
        jobs.task(JOB, hunts.run)
        await jobs.open()
        await jobs.run_worker(asyncio.Event())

asyncio.run(main(*sys.argv[1:]))
"""


async def work_until_killed(desk: Desk, servers: Servers, search_id: str, at_least: int) -> int:
    """A worker in a process of its own, killed as soon as it has found so many; how many it then has."""
    arguments = [desk.db.app_dsn, desk.clock.now().isoformat(), servers.registry.base_url, servers.search.base_url]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WORKER, *arguments, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    try:
        async with asyncio.timeout(60):
            while (await desk.work.look(desk.who.tenant_id, search_id)).progress.kept < at_least:
                await asyncio.sleep(0.01)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        await process.wait()
    return (await desk.work.look(desk.who.tenant_id, search_id)).progress.kept


async def test_killed_workers_leave_a_search_that_others_end_as_if_nothing_had_happened(
    desk: Desk, servers: Servers
) -> None:
    desk.sources = replace(desk.sources, pages=None)  # type: ignore[arg-type]  # as the workers have it
    conversation = await desk.conversation()
    search = await desk.start(TALK, conversation)
    kept = 0
    for _ in range(2):
        kept = await work_until_killed(desk, servers, search.id, kept + 4)
        assert kept < 20, "it was over before it was killed"
        desk.clock.advance(LEASE)  # the dead process's lease runs out
        await desk.hunts.revive(desk.who.tenant_id)
    stop = asyncio.Event()
    worker = asyncio.create_task(desk.jobs.run_worker(stop))
    said: list[str] = []
    async with asyncio.timeout(60):
        while not said:
            await asyncio.sleep(0.05)
            said = await desk.said_in(conversation)
    stop.set()
    await worker

    done = await desk.searches.get(desk.who, search.id)
    assert (done.state, done.ended, done.progress.qualified) == (State.DONE, "enough", 20)
    saved = [one for one in await desk.found(done) if one.state is CandidateState.SAVED]
    assert len(saved) == len({one.company_id for one in saved}) == 20
    async with desk.db.tenant(desk.who.tenant_id) as conn:
        counted = await conn.execute(
            """SELECT (SELECT count(*) FROM crm_companies) AS companies, (SELECT count(*) FROM crm_deals) AS deals,
                      (SELECT count(*) FROM crm_events WHERE kind = 'LeadQualified') AS qualified"""
        )
        assert await counted.fetchone() == {"companies": 20, "deals": 20, "qualified": 20}
    assert len(said) == 1 and len(await desk.said_in(conversation)) == 1
    # Another tenant's, which nobody disturbs, finds and leaves out the very same.
    other = desk.tenants.other[Role.DIRETOR]
    undisturbed = await desk.hunts.start(other, None, TALK, desk.profile(TALK), "pt-BR")
    await desk.hunts.run(other.tenant_id, undisturbed.id)
    same = await desk.searches.get(other, undisturbed.id)
    assert same.progress == done.progress
