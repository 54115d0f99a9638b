"""What the bot found out about a lead, in words for the attendants' inbox."""

from typing import Any

from business.messaging.chats import Chat
from channels.inbox_views import KnownOfLead, Knows
from core.tenancy import Identity
from prompts.texts import Texts


def known_of_leads(messaging: Any, texts: Texts) -> Knows:
    async def knows(who: Identity, chat: Chat) -> KnownOfLead:
        return KnownOfLead()

    return knows
