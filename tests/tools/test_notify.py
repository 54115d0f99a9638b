"""People of the house are told once, in the chat where they are, and by e-mail where it is wished."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from business.conversations.service import Conversations
from business.messaging.channels import Channels
from business.messaging.chats import Chats, QuickReply
from business.messaging.conversation import open_chat
from business.messaging.hands import Hands
from business.messaging.ledger import Ledger
from business.messaging.outbox import Alert, Outbox
from business.messaging.sender_email import EmailSender
from business.messaging.waking import Waking
from business.people.service import People
from core.clock import FixedClock
from core.db import Database
from core.jobs import Jobs
from core.notices import Notices
from core.permissions import Permissions
from core.tenancy import Identity, Role
from core.vault import Vault
from integrations.smtp.simulator.server import MailServer
from prompts.texts import Texts
from tests.conftest import Tenants
from tools.notify import MAIL_JOB, Notify


@pytest.fixture
async def jobs(database: Database) -> AsyncIterator[Jobs]:
    found = Jobs(database.app_dsn)

    async def nothing(**ids: object) -> None:
        """The test does it itself."""

    found.task(MAIL_JOB, nothing)
    await found.open()
    yield found
    await found.close()


async def test_a_matter_is_told_once_where_the_person_is_and_mailed_where_it_is_wished(
    database: Database,
    tenants: Tenants,
    people: People,
    permissions: Permissions,
    clock: FixedClock,
    jobs: Jobs,
    tmp_path: Path,
) -> None:
    async def quick(_: Identity) -> list[QuickReply]:
        return []

    texts, conversations = Texts.load(), Conversations(database, clock)
    channels = Channels(database, Vault.load(tmp_path), clock, "sandbox", permissions)
    house, seller, admin = tenants.one.id, tenants.one[Role.COMERCIAL], tenants.one[Role.ADMIN]
    desk = await channels.save(admin, "whatsapp_cloud", "100000000000909", name="Vendas", secrets={"token": "t"})
    async with httpx.AsyncClient() as http, MailServer() as server:
        mail = EmailSender(channels, http, clock)
        notify = Notify(database, clock, people, conversations, texts, jobs, channels, mail)

        async def told(user: str) -> list[tuple[str, str]]:
            async with database.tenant(house) as conn:
                rows = await conn.execute(
                    """SELECT m.conversation_id, m.text FROM messages m JOIN conversations c ON c.id = m.conversation_id
                       WHERE c.user_id = %s AND m.role = 'assistant' ORDER BY m.created_at, m.id""",
                    [user],
                )
                return [(row["conversation_id"], row["text"]) for row in await rows.fetchall()]

        params = {"name": "Ana", "detail": "Pediu proposta.", "chat": "chat_1", "when": clock.now()}
        assert await notify.tell(house, seller.user_id, "hot_lead", params, key="hot:chat_1") == 1
        assert await notify.tell(house, seller.user_id, "hot_lead", params, key="hot:chat_1") == 0
        ((place, text),) = await told(seller.user_id)
        assert place == f"notices_{seller.user_id}"
        assert text == "🔥 Lead quente: Ana. Pediu proposta. [Abrir a conversa](/chat/inbox/chat_1)"
        # In the conversation of today where there is one, and by the person's own clock.
        await conversations.accept(seller, "conv_today", "chat", "oi", "turn_1", [])
        await notify.tell(house, seller.user_id, "meeting_booked", params, key="meet:1")
        where, text = (await told(seller.user_id))[-1]
        assert where == "conv_today" and "Reunião marcada com Ana: 20/11/2026 às 12:00." in text
        # A contact may call themselves what they like: it is no link in a message of ours.
        sly = {"name": "Ana](/x) [Sua senha expirou](https://evil.example)", "detail": "<https://evil.example>"}
        await notify.tell(house, seller.user_id, "hot_lead", sly, key="hot:sly")
        where, text = (await told(seller.user_id))[-1]
        assert r"Ana\](/x) \[Sua senha expirou\](https\://evil.example). \<https\://evil.example\>" in text
        # Nobody's matter is the heads'; who is gone passes theirs on; nobody of the other house hears of it.
        assert await notify.tell(house, None, "number_stopped", {"detail": "qualidade"}, key="n") == 2
        assert await notify.tell(house, "user_gone", "ask", {"name": "Ana"}, key="g") == 2
        assert any("parado" in text for _, text in await told(admin.user_id))
        with pytest.raises(KeyError):
            await notify.tell(house, None, "weather", {}, key="w")
        async with database.tenant(house) as conn:
            alert = Alert(house, "chat_none", "out_1", "number_stopped", 131031, "locked", "number_stopped:c:131031")
            await notify.alert(conn, alert)
            await notify.alert(conn, alert)
        assert sum("parado" in text for _, text in await told(admin.user_id)) == 2

        # Who is given a conversation by a colleague is told; who takes one themselves is not.
        async with database.tenant(house) as conn:
            chat = await open_chat(conn, house, desk, "5519999990009", name="Bia", at=clock.now())
        outbox = Outbox(database, clock, jobs, permissions)
        chats = Chats(
            database, clock, permissions, Hands(outbox.drop, Waking(jobs, clock).wake), Notices(database.app_dsn),
            outbox, Ledger(jobs), quick, assigned=notify.assigned,
        )  # fmt: skip
        before = len(await told(seller.user_id))
        await chats.assign(seller, chat.id, seller.user_id)
        assert len(await told(seller.user_id)) == before
        await chats.assign(admin, chat.id, None)
        await chats.assign(admin, chat.id, seller.user_id)
        (given,) = (await told(seller.user_id))[before:]
        assert f"{admin.name} passou para você a conversa com Bia." in given[1] and chat.id in given[1]

        # By e-mail only where the account wishes it, at most once.
        await channels.save(
            admin, "email", "oi@um.example", name="Um", secrets={"password": "x"},
            settings={"by": "smtp", "host": "127.0.0.1", "port": server.port, "security": "none"},
        )  # fmt: skip
        async with database.tenant(house) as conn:
            await conn.execute("""UPDATE tenants SET settings = settings || '{"notices_by_email": true}'""")
        await notify.tell(house, seller.user_id, "hot_lead", params, key="hot:2")
        async with database.tenant(house) as conn:
            row = await (await conn.execute("SELECT md5(key) AS id FROM notices WHERE key = 'hot:2'")).fetchone()
        assert row is not None
        for _ in range(2):
            await notify.send_mail(house, seller.user_id, row["id"])
        ((_, to, message),) = server.mails
        assert to == "comercial@um.example" and message["Subject"] == "Mutirão: aviso"
        assert message.get_content().strip().endswith("Pediu proposta. Abrir a conversa")
