"""What a door may use, built once by app.py and handed to every door."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from business.ads.connections import MetaConnections
from business.ads.imports import Imports
from business.ads.service import AdsService
from business.approvals.model import Proposal
from business.approvals.service import Approvals
from business.conversations.records import TurnRecords
from business.conversations.service import Conversations
from business.crm.imports import CrmImports
from business.crm.service import Crm
from business.messaging.channels import Channels
from business.messaging.chats import Chats
from business.messaging.inbox import Inbox
from business.messaging.outbox import Outbox
from business.messaging.rules import MessageRules
from business.messaging.sandbox import SandboxWhatsApp
from business.messaging.sender_cloud import CloudClients
from business.messaging.templates_store import TemplateStore
from business.outreach.runs import Cadences
from business.people.service import People
from business.prospecting.searches import Searches
from business.sales.files import SalesFiles
from business.sales.google_calendar import Links
from business.sales.records import SalesRecords
from channels.leaving import LeaveDoor
from channels.whatsapp.door import WhatsAppDoor
from core.clock import Clock
from core.db import Database
from core.doctor import Finding
from core.door import Difference, Handle, ProposalCard, Reply
from core.files import Files
from core.jobs import Jobs
from core.permissions import Permissions
from core.settings import Settings
from core.turn import Turn
from core.vault import Vault
from crews.hunter.job import Hunts
from llm.budget import Budgets
from prompts.texts import Texts
from tools.call_off import CallOff
from tools.library import Library
from tools.runner import ToolRunner
from tools.sdr_desk import SdrDesk


@dataclass
class Messaging:
    """Talking with people outside: their conversations, by what they come and leave, and what is sold to them."""

    channels: Channels
    inbox: Inbox
    chats: Chats
    outbox: Outbox
    rules: MessageRules
    templates: TemplateStore
    clients: CloudClients
    sales_files: SalesFiles
    sales_records: SalesRecords
    library: Library
    desk: SdrDesk
    links: Links
    cadences: Cadences
    call_off: CallOff
    """Meetings that are to come, and calling one off, for people of the house."""
    answer: Callable[[Turn, Sequence[tuple[str, str]]], Awaitable[Reply]]
    """What a person outside would be told (agents/supervisor.py, answer_contact). Sends nothing."""
    door: Callable[[], WhatsAppDoor]
    """Makes what takes webhooks in: to be put in front of the web server (channels.whatsapp.door.in_front)."""
    leave_door: LeaveDoor
    """The page by which one leaves from an e-mail, in front of the web server, too (channels.leaving.before)."""
    sandbox: SandboxWhatsApp | None
    """The simulated WhatsApp, not started; None in live mode."""


@dataclass
class Services:
    settings: Settings
    clock: Clock
    texts: Texts
    db: Database
    vault: Vault
    files: Files
    jobs: Jobs
    permissions: Permissions
    people: People
    conversations: Conversations
    turns: TurnRecords
    approvals: Approvals
    ads: AdsService
    connections: MetaConnections
    imports: Imports
    crm: Crm
    crm_imports: CrmImports
    searches: Searches
    hunts: Hunts
    messaging: Messaging
    runner: ToolRunner
    budgets: Budgets
    handle: Handle
    replay: Callable[[dict[str, Any]], Awaitable[Difference | None]]
    """Run a recorded turn again, offline: where it first leaves its record, None when nowhere."""
    card: Callable[[Proposal, Texts, str, str], ProposalCard]
    """How a proposal looks at a door: agents.approvals.proposal_card."""
    checks: Callable[[bool], Awaitable[list[Finding]]]
    """The doctor's findings; True also asks the real services."""
    warm: Callable[[], Awaitable[None]]
    """Import and build in the background what the first turn needs."""
    keep_promises: Callable[[], Awaitable[None]]
    """Settle what is open: proposals past their time, writes of unknown outcome, turns whose process died."""
    work: Callable[[asyncio.Event], Awaitable[None]]
    """Do what waits, jobs and the inbox, until the event is set: what a worker process is for."""
    metrics: Callable[[], AbstractContextManager[None]]
    """Answers Prometheus while it is open, where the settings give it a port: for processes that stay."""
    banner: list[str] = field(default_factory=list)
    """What `serve` tells the person who started it: address, demo login, which model is used."""
