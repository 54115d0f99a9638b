"""What WhatsApp says of a number or a template is heard by the heads of the house, as what it is."""

from dataclasses import replace
from pathlib import Path

import httpx

from business.conversations.service import Conversations
from business.messaging.reading_evolution import read_evolution
from business.messaging.sender_cloud import CloudClients
from business.messaging.templates_store import TemplateStore
from business.people.service import People
from core.clock import FixedClock
from core.db import Database
from core.permissions import Permissions
from core.tenancy import Role
from tests.business.messaging.chat_house import chat_house, webhook
from tests.conftest import Tenants
from tools.notify import Notify
from tools.number_news import NumberNews

QUALITY, STATUS = "phone_number_quality_update", "message_template_status_update"


async def test_the_heads_hear_what_befell_a_number_or_a_template_and_never_that_all_stopped_when_it_did_not(
    database: Database, tenants: Tenants, people: People, permissions: Permissions, clock: FixedClock, tmp_path: Path
) -> None:
    async with chat_house(database, clock, permissions, tenants, tmp_path) as house, httpx.AsyncClient() as http:
        notify = Notify(database, clock, people, Conversations(database, clock), house.texts, house.jobs)
        news = NumberNews(notify, house.texts, clock)
        clients = CloudClients(house.channels, http)
        store = TemplateStore(
            database, clock, house.channels, clients, permissions, house.jobs, tell=news.template
        )  # fmt: skip
        house.sorter.sorting = replace(house.sorter.sorting, warn=news.number, templates=store.told)
        await house.rows(
            """INSERT INTO message_templates (tenant_id, channel_id, name, language, category, status, body, components,
                                              synced_at)
               VALUES (current_tenant(), %s, 'oferta', 'pt_BR', 'MARKETING', 'APPROVED', 'Oi', '[]', now())
               RETURNING name""",
            house.channel.id,
        )

        async def told() -> list[str]:
            query = "SELECT text FROM notices WHERE user_id = %s ORDER BY at, key"
            return [row["text"] for row in await house.rows(query, tenants.one[Role.ADMIN].user_id)]

        about = {"message_template_name": "oferta", "message_template_language": "pt_BR", "message_template_id": 1}
        await house.sort(
            webhook({"event": "FLAGGED", "current_limit": "TIER_1K"}, what=QUALITY),
            webhook({"event": "UPGRADE", "current_limit": "TIER_10K"}, what=QUALITY),
            webhook(about | {"event": "REJECTED", "reason": "PROMOTIONAL"}, what=STATUS),
            webhook(about | {"new_quality_score": "RED"}, what="message_template_quality_update"),
            webhook(about | {"event": "APPROVED", "reason": "NONE"}, what=STATUS),
        )
        flagged, red, rejected = sorted(await told(), key=lambda text: ("oferta" in text, text.find("recusado")))
        assert "Vendas" in flagged and "TIER_1K" in flagged and "continuam saindo" in flagged
        assert '"oferta" (pt_BR)' in red and "vermelha" in red
        assert "recusado" in rejected and "Entregue como MARKETING" in rejected
        assert not any("parado" in text for text in await told()), "nothing was stopped"
        assert not await house.rows("SELECT 1 FROM notices WHERE user_id = %s", tenants.one[Role.COMERCIAL].user_id)

        # The same again today is no news; another trouble is. A gateway's telephone that is off is called that.
        await house.sort(webhook(about | {"event": "REJECTED", "reason": "SCAM"}, what=STATUS))
        assert len(await told()) == 3
        off = read_evolution({"event": "connection.update", "instance": "x", "data": {"state": "close"}})
        async with database.tenant(house.id) as conn:
            await news.number(conn, house.id, house.channel, off)  # type: ignore[arg-type]
        assert any("QR code" in text for text in await told())
