"""The wiring of conversations with people outside, as people of ours see and lead them."""

from dataclasses import dataclass

from business.messaging.chats import Chats, QuickReply
from business.messaging.hands import Hands
from business.messaging.receipts import Receipts
from business.messaging.templates_store import TemplateStore
from business.messaging.waking import Waking
from core.tenancy import Identity
from tools.messages import MessageDesk
from tools.number_news import NumberNews
from wiring.floor import Floor
from wiring.outreach import Outreach
from wiring.selling import Selling


@dataclass(frozen=True)
class Chatting:
    waking: Waking
    hands: Hands
    number_news: NumberNews
    templates: TemplateStore
    receipts: Receipts
    chats: Chats
    desk: MessageDesk


def open_chatting(floor: Floor, outreach: Outreach, selling: Selling) -> Chatting:
    db, clock, people, permissions = floor.db, floor.clock, floor.people, floor.permissions
    channels, outbox = outreach.channels, outreach.outbox
    waking = Waking(floor.jobs, clock)
    hands = Hands(drop=outbox.drop, wake=waking.wake)
    number_news = NumberNews(outreach.notify, floor.texts, clock)
    templates = TemplateStore(db, clock, channels, outreach.clients, permissions, floor.jobs, tell=number_news.template)

    async def quick_replies(who: Identity) -> list[QuickReply]:
        tenant = await people.tenant(who.tenant_id)
        found = selling.files.of(tenant.slug, tenant.name).playbook.quick_replies
        return [QuickReply(one.name, one.text.of(who.language)) for one in found]

    receipts = Receipts(db, floor.jobs, channels, outreach.senders)
    chats = Chats(
        db, clock, permissions, hands, floor.notices, outbox, outreach.ledger, quick_replies, receipts.ask,
        outreach.notify.assigned,
    )  # fmt: skip
    desk = MessageDesk(db, chats, templates, channels, outbox, people, permissions)
    return Chatting(waking, hands, number_news, templates, receipts, chats, desk)
