"""The wiring of what is said with people outside: what comes in is sorted into conversations, answered, and leaves by
the outbox."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from agents.answering import Turns
from agents.supervisor import Supervisor
from business.messaging import media, templates_store
from business.messaging.claiming import Claiming
from business.messaging.connecting import verify_token
from business.messaging.conversation import Chat
from business.messaging.gateway_doors import gateway_doors, secrets_of
from business.messaging.inbox import Inbox
from business.messaging.leaving import Leaving
from business.messaging.ledger import CONSENT_TOLD
from business.messaging.opening import ACQUAINT_JOB
from business.messaging.opting import Opting
from business.messaging.outbox import SEND_CHAT
from business.messaging.receipts import READ_JOB
from business.messaging.retention import InboxRetention
from business.messaging.sandbox import SandboxWhatsApp
from business.messaging.sandbox_evolution import SandboxEvolution
from business.messaging.sending import Sending
from business.messaging.sorter import Sorter
from business.messaging.sorting import Sorting
from business.messaging.waking import CHAT_TURN
from business.people.sample import ensure_sample_company
from channels.leaving import LeaveDoor
from channels.services import Messaging
from channels.whatsapp.door import WhatsAppDoor
from channels.whatsapp.numbers import Numbers
from core.db import Connection
from core.settings import Settings
from core.tenancy import Role
from core.turn import HandOver
from core.vault import Vault
from integrations.documents.reader import DocumentReader
from tools.acquaint import Acquaintance
from tools.call_off import CallOff
from tools.contact_notes import ContactNotes
from tools.library import JOB as DOCUMENTS_JOB
from tools.media_words import MediaWords
from tools.meetings import in_words
from tools.message_values import MessageValues
from tools.notify import MAIL_JOB
from wiring.chatting import Chatting
from wiring.floor import Floor
from wiring.outreach import Outreach
from wiring.records import Records
from wiring.selling import Selling


@dataclass(frozen=True)
class Talking:
    messaging: Messaging
    sorter: Sorter
    promises: list[Callable[[str], Awaitable[object]]]
    """What is looked after once a minute for each tenant."""


def open_talking(
    floor: Floor,
    records: Records,
    outreach: Outreach,
    selling: Selling,
    chatting: Chatting,
    supervisor: Supervisor,
) -> Talking:
    """Its jobs are declared here, too."""
    settings, clock, db, jobs, people, texts = (
        floor.settings, floor.clock, floor.db, floor.jobs, floor.people, floor.texts
    )  # fmt: skip
    channels, rules, senders, outbox = outreach.channels, outreach.rules, outreach.senders, outreach.outbox
    hands, waking, templates, notify = outreach.hands, outreach.waking, chatting.templates, outreach.notify
    sandbox = None
    if settings.whatsapp != "live":
        sandbox = SandboxWhatsApp(settings.data_dir / "simulators" / "whatsapp")
        floor.stack.push_async_callback(sandbox.close)  # whoever opens it: `furnish`, or who tells it our address
    claiming = Claiming(
        clock, channels, senders, rules.of, outbox, outreach.outcomes,
        blocked=outreach.do_not_contact.blocked, values_of=MessageValues(texts),
    )  # fmt: skip
    sending = Sending(
        db, clock, senders, claiming, outbox, outreach.outcomes, outreach.settling, files=floor.files
    )  # fmt: skip
    acquaintance = Acquaintance(db, records.crm, people, channels, texts)
    media_words = MediaWords(floor.router, floor.prompts, clock, DocumentReader())
    media_work = media.MediaWork(db, clock, channels, senders, floor.files, media_words, people.agent)

    async def acquaint(tenant_id: str, chat_id: str) -> None:
        await acquaintance(tenant_id, chat_id)

    async def wanted(conn: Connection, chat: Chat, why: HandOver, key: str) -> None:
        about = {"name": chat.name, "detail": why.summary, "chat": chat.id}
        kind = "person_waited" if why.reason == "waits" else "person_wanted"
        await notify.tell(chat.tenant_id, chat.owner_id, kind, about, key=key, within=conn)

    async def meets(chat: Chat) -> dict[str, str] | None:
        coming = await selling.calendar.coming(chat.tenant_id, chat_id=chat.id)
        return in_words(coming[0].local(), chat.language) if coming else None

    opting = Opting(outbox, outreach.ledger, texts.say)
    sorting = Sorting(
        outbox, outreach.settling, opting, hands, waking, templates=templates.told, warn=chatting.number_news.number
    )
    sorter = Sorter(db, clock, jobs, channels, rules, floor.notices, sorting)
    answering = Turns(
        db, clock, supervisor.answer_contact, people.agent, channels, rules, outbox, hands, waking, floor.notices,
        texts, senders, acquaint, tell=wanted, media_told=media.told, limits=settings.limits, meets=meets,
    )  # fmt: skip

    inbox = Inbox(floor.db.app_dsn, clock)

    def door() -> WhatsAppDoor:
        secret, token = webhook_secrets(settings, floor.vault, sandbox)
        return WhatsAppDoor(
            inbox, Numbers(db), clock, app_secret=secret, verify_token=token,
            gateways=gateway_doors(channels, floor.vault, settings.data_dir), secrets_of=secrets_of(channels),
        )  # fmt: skip

    async def revive_sending() -> None:
        await sending.revive()

    jobs.task(CHAT_TURN, answering.run, queue="talk", attempts=6)
    jobs.task(SEND_CHAT, sending.run, queue="send")
    jobs.task(media.JOB, media_work.run, queue="media", attempts=media.ATTEMPTS)
    jobs.task(ACQUAINT_JOB, acquaint, queue="talk")
    jobs.task(READ_JOB, chatting.receipts.tell, queue="media", attempts=1)
    jobs.task(CONSENT_TOLD, outreach.do_not_contact.told, queue="talk")
    jobs.task(MAIL_JOB, notify.send_mail)
    jobs.task(DOCUMENTS_JOB, selling.library.run)
    jobs.task(templates_store.SYNC_TEMPLATES, templates.run)
    jobs.periodic("sync_all_templates", "17 * * * *", templates.sync_all)
    jobs.periodic("cut_inbox", "23 6 * * *", InboxRetention(db, clock).run)
    jobs.periodic("revive_sending", "* * * * * */15", revive_sending, queue="send")

    messaging = Messaging(
        channels=channels,
        inbox=inbox,
        chats=chatting.chats,
        outbox=outbox,
        rules=rules,
        templates=templates,
        clients=outreach.clients,
        sales_files=selling.files,
        sales_records=selling.records,
        library=selling.library,
        desk=selling.desk,
        links=selling.links,
        cadences=outreach.cadences,
        call_off=CallOff(db, floor.permissions, chatting.chats, selling.calendar, selling.meetings),
        door=door,
        leave_door=LeaveDoor(
            outreach.leave_links, Leaving(db, clock, outbox, outreach.ledger), texts, settings.language
        ),
        sandbox=sandbox,
        answer=supervisor.answer_contact,
    )
    promises: list[Callable[[str], Awaitable[object]]] = [
        answering.revive,
        answering.remind,
        channels.of,
        channels.bring_home,
        partial(media_work.again, jobs),
        ContactNotes(db, clock, people, texts).run,
    ]
    return Talking(messaging, sorter, promises)


async def furnish(floor: Floor, messaging: Messaging) -> None:
    """The sandbox's WhatsApp, with the sample company's number, templates, documents and hours."""
    settings, sandbox = floor.settings, messaging.sandbox
    if sandbox is None or not settings.sandbox:
        return
    tenant = await ensure_sample_company(settings, floor.people, floor.db)
    admin = await floor.people.identity_by_role(tenant.id, Role.ADMIN)
    await sandbox.open()
    if await sandbox.connect(messaging.channels, admin):
        await messaging.templates.sync_all()
        await messaging.rules.give_demo(tenant.id)
    evolution = SandboxEvolution(settings.data_dir / "simulators" / "evolution")
    floor.stack.push_async_callback(evolution.close)
    await evolution.rejoin(messaging.channels, admin)
    await messaging.library.sync(tenant.id, tenant.slug)


def webhook_secrets(settings: Settings, vault: Vault, sandbox: SandboxWhatsApp | None) -> tuple[str, str]:
    """(app secret, verify token) of Meta's webhook; without a secret in live mode there is no such address."""
    if sandbox is not None:
        return sandbox.secrets.app_secret, sandbox.secrets.verify_token
    secret = settings.whatsapp_app_secret
    return secret.get_secret_value() if secret else "", verify_token(settings, vault)
