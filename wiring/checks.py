"""What the doctor looks at."""

from collections.abc import Awaitable, Callable

from business.ads.checks import MetaAdsCheck
from business.messaging.checks import MailAndSmsCheck, WhatsAppCheck
from business.messaging.connecting import Connecting
from business.messaging.outbox_check import OutboxCheck
from business.messaging.sender_email import EmailSender
from business.messaging.sender_sms import SmsSender
from business.prospecting.sources import live_places
from business.sales.checks import CalendarCheck, SalesFilesCheck
from channels.services import Messaging
from channels.whatsapp.checks import IntakeCheck
from core import doctor
from core.errors import MutiraoError
from integrations.brasil_places.checks import PlacesCheck
from integrations.minha_receita.checks import RegistryCheck
from integrations.minha_receita.client import MinhaReceita
from integrations.web_pages.checks import PagesCheck
from integrations.web_pages.client import WebPages
from integrations.web_pages.resolver import PublicResolver
from integrations.web_search.checks import search_checks
from llm.checks import ModelsCheck
from memory.checks import MemoryCheck
from wiring.ads import Ads
from wiring.floor import Floor
from wiring.talking import webhook_secrets


def doctors_checks(floor: Floor, ads: Ads, messaging: Messaging) -> Callable[[bool], Awaitable[list[doctor.Finding]]]:
    """True also asks the real services."""
    settings, texts, clock, http, db = floor.settings, floor.texts, floor.clock, floor.http, floor.db

    def say(key: str, /, **params: object) -> str:
        return texts.say(settings.language, key, **params)

    def explain(error: MutiraoError) -> str:
        return texts.error(settings.language, error)

    async def tenants() -> list[tuple[str, str]]:
        return [(tenant.id, tenant.name) for tenant in await floor.people.tenants()]

    async def sellers() -> list[tuple[str, str]]:
        return [(tenant.slug, tenant.name) for tenant in await floor.people.tenants()]

    async def checks(live: bool) -> list[doctor.Finding]:
        channels = messaging.channels
        connecting = Connecting(channels, http, settings, floor.vault)
        secret, _ = webhook_secrets(settings, floor.vault, messaging.sandbox)
        parts = [
            *doctor.floor_checks(settings, say),
            ModelsCheck(floor.router, say),
            MemoryCheck(floor.memory, say),
            MetaAdsCheck(ads.connections, tenants, settings.meta_ads != "live", say, explain),
            *_source_checks(floor, say, explain),
            WhatsAppCheck(channels, connecting, tenants, db, clock, settings, say, explain),
            OutboxCheck(db, channels, tenants, clock, say),
            MailAndSmsCheck(
                channels,
                {"email": EmailSender(channels, http, clock), "sms": SmsSender(channels, http)},
                tenants,
                say,
                explain,
            ),
            CalendarCheck(db, clock, messaging.links.of, tenants, say, explain),
            SalesFilesCheck(messaging.sales_files, sellers, say, explain),
            IntakeCheck(messaging.inbox, clock, say, secret=bool(secret)),
        ]
        return await doctor.examine(parts, explain, live=live)

    return checks


def _source_checks(floor: Floor, say: doctor.Say, explain: Callable[[MutiraoError], str]) -> list[doctor.Check]:
    """The public sources at their real addresses; while the sandbox stands for one, nothing is asked."""
    settings, http, clock = floor.settings, floor.http, floor.clock
    registry = MinhaReceita(http, clock, base_url=settings.minha_receita_url)
    return [
        RegistryCheck(registry, settings.minha_receita != "live", say, explain),
        PlacesCheck(live_places(settings, http, clock), settings.brasil_places != "live", say, explain),
        *search_checks(settings, http, clock, say, explain),
        PagesCheck(WebPages(PublicResolver(), clock), settings.web_pages != "live", say, explain),
    ]
