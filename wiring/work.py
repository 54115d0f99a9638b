"""Which work runs in the background, started by the clock or by a user, besides that of conversations with people
outside (wiring/talking.py)."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from functools import partial

import structlog

from agents.files import told, told_of_list
from business.ads.imports import JOB as IMPORT_JOB
from business.ads.imports import Imports
from business.approvals.service import Approvals
from business.crm.imports import JOB as LIST_JOB
from business.crm.imports import CrmImports
from crews.hunter.job import JOB as SEARCH_JOB
from crews.hunter.job import Hunts
from wiring.floor import Floor

log = structlog.get_logger(__name__)

_INTERRUPTED = timedelta(minutes=15)
"""A turn that runs for longer than any limit allows: its process is dead."""


def declare_jobs(
    floor: Floor,
    approvals: Approvals,
    imports: Imports,
    lists: CrmImports,
    hunts: Hunts,
    others: Sequence[Callable[[str], Awaitable[object]]],
) -> Callable[[], Awaitable[None]]:
    """Returns what is also done at a start. `others`: what else is looked after once a minute for each tenant."""
    db, texts, settings, conversations = floor.db, floor.texts, floor.settings, floor.conversations

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
        for tenant in await floor.people.tenants():
            promises: list[Callable[[], Awaitable[object]]] = [
                partial(approvals.expire, tenant.id),
                partial(approvals.reconcile, tenant.id),
                partial(conversations.close_interrupted, tenant.id, _INTERRUPTED, notice),
                partial(floor.turns.cut, tenant.id, timedelta(days=settings.turn_record_days)),
                partial(hunts.hear, tenant.id),
                partial(hunts.revive, tenant.id),
                *(partial(one, tenant.id) for one in others),
            ]
            for promise in promises:
                try:
                    await promise()
                except Exception:  # one odd row of one house must not stop the others' promises
                    log.exception("promise_not_kept", tenant=tenant.id)

    floor.jobs.task(IMPORT_JOB, read_import)
    floor.jobs.task(LIST_JOB, read_list)
    floor.jobs.task(SEARCH_JOB, hunts.run)
    floor.jobs.periodic("keep_promises", "* * * * *", keep_promises, queue="talk")
    return keep_promises
