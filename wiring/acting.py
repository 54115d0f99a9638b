"""The wiring of what may act: tools under policy and approvals, and who looks for companies in the background."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from business.ads.changes import AdsChangeHandler
from business.approvals.model import ChangeHandler
from business.approvals.service import Approvals
from business.crm.changes import CrmErasure
from business.outreach.rounds import Rounds
from business.prospecting.contact import FirstContactBatch, FirstContactHandler, KeepFirstContact
from business.prospecting.quota import WebQuota
from business.prospecting.work import Work
from crews.contract import CrewDeps
from crews.hunter.job import Hunts
from crews.hunter.likeness import Likeness
from crews.hunter.scouts import Scouts
from tools.contact_message import ContactMessage
from tools.policy import Policies, load_policy
from tools.reach import ProposeStep, StepHandler, TellEnded
from tools.runner import ToolRunner
from tools.scouting import SCOUTING_TOOLS
from wiring.ads import Ads
from wiring.floor import Floor
from wiring.outreach import Outreach
from wiring.records import Records


@dataclass(frozen=True)
class Acting:
    approvals: Approvals
    rounds: Rounds
    make_runner: Callable[..., ToolRunner]
    """Wants the tools and their services."""


def open_acting(floor: Floor, ads: Ads, records: Records, outreach: Outreach) -> Acting:
    policies = Policies(floor.db, load_policy())
    blocked, first_contacts = outreach.leads.blocked, outreach.first_contacts
    handlers: list[ChangeHandler] = [
        AdsChangeHandler(ads.connections.client_for),
        FirstContactHandler(floor.db, blocked, first_contacts),
        FirstContactBatch(floor.db, blocked, first_contacts),
        ContactMessage(floor.db, blocked, first_contacts),
        KeepFirstContact(first_contacts),
        StepHandler(floor.db, outreach.cadences),
        CrmErasure(records.crm, floor.people.identity, records.searches.forget, records.traces.forget),
    ]
    approvals = Approvals(
        floor.db,
        floor.permissions,
        floor.clock,
        {handler.kind: handler for handler in handlers},
        check=policies.check,
        hours=floor.settings.proposal_hours,
    )
    floor.stack.push_async_callback(approvals.close)  # a write that is on its way is seen to its end
    propose = ProposeStep(floor.people, approvals, outreach.notify.tell)
    rounds = Rounds(floor.db, floor.clock, outreach.cadences, propose=propose, ended=TellEnded(outreach.notify))
    make_runner = partial(
        ToolRunner, permissions=floor.permissions, approvals=approvals, policies=policies, texts=floor.texts
    )
    return Acting(approvals, rounds, make_runner)


def open_hunts(floor: Floor, records: Records, outreach: Outreach, acting: Acting) -> Hunts:
    """Scouts read strangers' words: their runner reaches nothing else."""
    db, clock, settings, opened = floor.db, floor.clock, floor.settings, records.sources.open
    quota = WebQuota(db, clock, monthly=settings.web_search_monthly, days=settings.web_search_days)
    runner = acting.make_runner(tools=SCOUTING_TOOLS, services={})
    scouting = CrewDeps(floor.router, runner, floor.prompts, floor.texts)
    hunts = Hunts(
        db, clock, floor.jobs, floor.people, records.searches, Work(db, clock), records.crm, opened,
        floor.conversations, floor.texts, outreach.leads,
        scouts=Scouts(scouting, clock, opened, quota),
        likeness=Likeness(floor.memory, records.crm, clock),
        web=quota,
        unsay=acting.approvals.forget,
        withdraw=acting.approvals.withdraw,
    )  # fmt: skip
    floor.stack.push_async_callback(hunts.close)
    return hunts
