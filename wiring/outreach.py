"""The wiring towards people outside: by which numbers we talk with them, under which rules, and what leaves."""

from dataclasses import dataclass

from business.messaging.channels import Channels
from business.messaging.gateway_clients import evolution_opener, mapped_opener
from business.messaging.hands import Hands
from business.messaging.leaving import SECRET as LEAVE_SECRET
from business.messaging.leaving import LeaveLinks
from business.messaging.ledger import Ledger
from business.messaging.outbox import Outbox
from business.messaging.outcomes import Outcomes
from business.messaging.rules import MessageRules
from business.messaging.sender_cloud import CloudClients, CloudSender
from business.messaging.sender_email import EmailSender, OwnersMailbox
from business.messaging.sender_evolution import EvolutionSender
from business.messaging.sender_mapped import MappedSender
from business.messaging.sender_sms import SmsSender
from business.messaging.senders import Sender
from business.messaging.settling import Settling
from business.messaging.waking import Waking
from business.outreach.runs import Cadences
from tools.do_not_contact import DoNotContact
from tools.fallback import Fallback
from tools.first_contact import FirstContacts
from tools.leads import Leads
from tools.notify import Notify
from tools.reach import BeginAfter, Reach
from wiring.floor import Floor
from wiring.records import Records


@dataclass(frozen=True)
class Outreach:
    channels: Channels
    rules: MessageRules
    clients: CloudClients
    senders: dict[str, Sender]
    """By provider, how a message leaves."""
    notify: Notify
    ledger: Ledger
    outbox: Outbox
    waking: Waking
    hands: Hands
    outcomes: Outcomes
    settling: Settling
    do_not_contact: DoNotContact
    first_contacts: FirstContacts
    cadences: Cadences
    leads: Leads
    leave_links: LeaveLinks


def open_outreach(floor: Floor, records: Records) -> Outreach:
    db, clock, jobs, permissions, people = floor.db, floor.clock, floor.jobs, floor.permissions, floor.people
    channels = Channels(db, floor.vault, clock, floor.settings.whatsapp, permissions)
    rules = MessageRules(db, permissions)
    clients = CloudClients(channels, floor.http)
    leave_links = LeaveLinks(db, floor.vault.named_secret(LEAVE_SECRET), floor.settings.public_url)
    senders = _senders(floor, channels, clients, leave_links)
    notify = Notify(db, clock, people, floor.conversations, floor.texts, jobs, channels, senders["email"])
    ledger = Ledger(jobs)
    outbox = Outbox(db, clock, jobs, permissions, tell=notify.alert)
    waking = Waking(jobs, clock)
    hands = Hands(drop=outbox.drop, wake=waking.wake)
    outcomes = Outcomes(outbox, clock, ledger, fallback=Fallback(clock, channels, outbox))
    do_not_contact = DoNotContact(db, records.crm, people, ledger)
    reach = Reach(db, clock, channels, outbox, rules, records.crm, people, floor.texts)
    cadences = Cadences(db, clock, permissions, reach)
    begin = BeginAfter(cadences)
    first_contacts = FirstContacts(
        db, clock, channels, outbox, rules, hands, blocked=do_not_contact.blocked, started=begin, stopped=begin.stop
    )
    return Outreach(
        channels=channels,
        rules=rules,
        clients=clients,
        senders=senders,
        notify=notify,
        ledger=ledger,
        outbox=outbox,
        waking=waking,
        hands=hands,
        outcomes=outcomes,
        settling=Settling(outbox, outcomes, clock),
        do_not_contact=do_not_contact,
        first_contacts=first_contacts,
        cadences=cadences,
        leads=Leads(db, records.crm, records.searches, floor.texts, first_contacts),
        leave_links=leave_links,
    )


def _senders(floor: Floor, channels: Channels, clients: CloudClients, links: LeaveLinks) -> dict[str, Sender]:
    mapped = MappedSender(mapped_opener(channels, floor.http, floor.settings.data_dir))
    return {
        "whatsapp_cloud": CloudSender(clients),
        "evolution": EvolutionSender(evolution_opener(channels, floor.http)),
        "uazapi": mapped,
        "lancepilot": mapped,
        "email": EmailSender(channels, floor.http, floor.clock, OwnersMailbox(floor.db), links.of),
        "sms": SmsSender(channels, floor.http),
    }
