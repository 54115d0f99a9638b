"""The wiring of conversations with people outside, as people of ours see and lead them."""

from dataclasses import dataclass

from business.messaging.chats import Chats, QuickReply
from business.messaging.receipts import Receipts
from business.messaging.templates_store import TemplateStore
from core.tenancy import Identity
from tools.messages import MessageDesk
from tools.number_news import NumberNews
from wiring.floor import Floor
from wiring.outreach import Outreach
from wiring.selling import Selling


@dataclass(frozen=True)
class Chatting:
    number_news: NumberNews
    templates: TemplateStore
    receipts: Receipts
    chats: Chats
    desk: MessageDesk


def open_chatting(floor: Floor, outreach: Outreach, selling: Selling) -> Chatting:
    db, clock, people, permissions = floor.db, floor.clock, floor.people, floor.permissions
    channels, outbox = outreach.channels, outreach.outbox
    number_news = NumberNews(outreach.notify, floor.texts, clock)
    templates = TemplateStore(db, clock, channels, outreach.clients, permissions, floor.jobs, tell=number_news.template)

    async def quick_replies(who: Identity) -> list[QuickReply]:
        tenant = await people.tenant(who.tenant_id)
        found = selling.files.of(tenant.slug, tenant.name).playbook.quick_replies
        return [QuickReply(one.name, one.text.of(who.language)) for one in found]

    receipts = Receipts(db, floor.jobs, channels, outreach.senders)
    chats = Chats(
        db, clock, permissions, outreach.hands, floor.notices, outbox, outreach.ledger, quick_replies, receipts.ask,
        outreach.notify.assigned,
    )  # fmt: skip
    desk = MessageDesk(db, chats, templates, channels, outbox, people, permissions)
    return Chatting(number_news, templates, receipts, chats, desk)
