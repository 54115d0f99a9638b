"""The wiring of the CRM, and of the sources of prospecting."""

from dataclasses import dataclass

from business.crm.imports import CrmImports
from business.crm.service import Crm
from business.prospecting.searches import Searches
from business.prospecting.sources import LazySources
from tools.chat_traces import ChatTraces
from wiring.floor import Floor


@dataclass(frozen=True)
class Records:
    crm: Crm
    crm_imports: CrmImports
    traces: ChatTraces
    sources: LazySources
    searches: Searches


def open_records(floor: Floor) -> Records:
    db, clock, permissions = floor.db, floor.clock, floor.permissions
    crm, traces = Crm(db, clock, permissions), ChatTraces(db)
    sources = LazySources(floor.settings, floor.http, clock)
    floor.stack.push_async_callback(sources.close)
    return Records(
        crm=crm,
        crm_imports=CrmImports(
            db, clock, permissions, floor.files, floor.jobs, floor.people.identity, talks=traces.export
        ),
        traces=traces,
        sources=sources,
        searches=Searches(db, clock, permissions),
    )
