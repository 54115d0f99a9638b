"""What WhatsApp cannot bring goes by e-mail, else by SMS, once; and a meeting is reminded of in its conversation."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from business.messaging.conversation import open_chat
from business.messaging.sender_email import EmailSender
from business.messaging.sender_sms import SmsSender
from business.messaging.templates import Purpose
from business.sales.calendar import Guest
from business.sales.house_calendar import HouseCalendar
from core.clock import FixedClock
from core.db import Database
from core.permissions import Permissions
from core.tenancy import Role
from integrations.smtp.simulator.server import MailServer
from prompts.texts import Texts
from tests.business.messaging.conftest import running_wire, wire
from tests.business.messaging.outbox_house import House, Wire, open_house
from tests.conftest import Tenants
from tools.fallback import Fallback
from tools.opening import Opening
from tools.reminders import Reminders

__all__ = ["running_wire", "wire"]


@pytest.fixture
async def house(
    database: Database, tenants: Tenants, permissions: Permissions, wire: Wire, tmp_path: Path
) -> AsyncIterator[House]:
    async with httpx.AsyncClient(trust_env=False, verify=False) as http:
        clock = FixedClock()
        made = await open_house(database, tenants, permissions, wire, tmp_path, http)
        made.outcomes._fallback = Fallback(clock, made.channels, made.outbox)
        made.senders |= {
            "email": EmailSender(made.channels, http, made.clock),
            "sms": SmsSender(made.channels, http),
        }
        yield made
        await made.jobs.close()


async def keyed(house: House, subject: str, subject_id: str, mail: str) -> None:
    async with house.db.tenant(house.tenant_id) as conn:
        now = house.clock.now()
        columns = "(tenant_id, id, trade_name, created_at, updated_at)"
        if subject == "contact":
            columns = "(tenant_id, id, name, created_at, updated_at)"
        await conn.execute(
            f"INSERT INTO crm_{'companies' if subject == 'company' else 'contacts'} {columns}"
            " VALUES (current_tenant(), %s, 'Ipê', %s, %s)".encode(),
            [subject_id, now, now],
        )
        await conn.execute(
            """INSERT INTO crm_keys (tenant_id, subject, subject_id, kind, value, given, source, at)
               VALUES (current_tenant(), %s, %s, 'email', %s, %s, 'web', %s)""",
            [subject, subject_id, mail, mail, now],
        )


async def test_a_message_that_whatsapp_cannot_bring_goes_by_email_once_and_a_first_message_never(house: House) -> None:
    chat = await house.chat(address="5519999990001")
    await keyed(house, "contact", "con_1", "ana@ipe.example")
    await house.change(chat, contact_id="con_1")
    async with MailServer() as server:
        await house.channels.save(
            house.tenants.one[Role.ADMIN], "email", "oi@aurora.example", name="Aurora", secrets={"password": "x"},
            settings={"by": "smtp", "host": "127.0.0.1", "port": server.port, "security": "none"},
        )  # fmt: skip
        sent = await house.say(chat, "A proposta segue hoje.")
        assert sent["state"] == "sent"
        await house.told(sent, "failed", code=131026)  # not on WhatsApp
        await house.told(sent, "failed", code=131026)
        (other,) = await house.rows("SELECT * FROM chats WHERE address = 'ana@ipe.example'")
        await house.run(other["id"])
        await house.run(other["id"])
        ((_, to, message),) = server.mails
        assert (to, message["Subject"]) == ("ana@ipe.example", "Aurora")
        assert message.get_content().strip() == "A proposta segue hoje."
        assert (await house.row(sent["id"]))["reason"].startswith("fallback:")
        first = await house.put(chat, "Olá!", key="first:1", purpose=Purpose.FIRST_CONTACT, approved=True)
        await house.run(chat)
        assert (await house.row(first))["state"] != "waiting"
        assert len(await house.rows("SELECT 1 FROM outbox WHERE key LIKE 'fallback:%%'")) == 1

        # What a person wrote for WhatsApp is laid ready, and leaves when a person says so.
        person = await house.chat(address="5519999990002", contact_id="con_1")
        written = await house.say(person, "Ana, sou o Bruno.", author="person")
        await house.told(written, "failed", code=131026)
        (ready,) = await house.rows("SELECT * FROM outbox WHERE key = %s", f"fallback:{written['id']}")
        await house.run(other["id"])
        assert (ready["state"], len(server.mails)) == ("ask", 1)
        assert [one.why.key for one in house.alerts if one.outbox_id == ready["id"] and one.why] == [
            "outbox.other_channel"
        ]
        await house.outbox.resolve(house.tenants.one[Role.ADMIN], ready["id"], "send")
        house.clock.at += timedelta(seconds=10)  # the pace of a conversation
        await house.run(other["id"])
        assert server.mails[1][2].get_content().strip() == "Ana, sou o Bruno."


async def test_an_answer_never_goes_to_the_companys_mailbox_or_into_somebody_elses_conversation(house: House) -> None:
    await keyed(house, "company", "com_1", "contato@ipe.example")
    await keyed(house, "contact", "con_1", "recepcao@ipe.example")
    await keyed(house, "contact", "con_2", "recepcao2@ipe.example")
    mail = await house.channels.save(
        house.tenants.one[Role.ADMIN], "email", "oi@aurora.example", name="Aurora", secrets={"password": "x"},
        settings={"by": "smtp", "host": "127.0.0.1", "port": 1, "security": "none"},
    )  # fmt: skip
    async with house.db.tenant(house.tenant_id) as conn:
        await open_chat(conn, house.tenant_id, mail, "recepcao@ipe.example", at=house.clock.now(), contact_id="con_2")
    nobodys = await house.chat(address="5519999990001", company_id="com_1")
    anas = await house.chat(address="5519999990002", company_id="com_1", contact_id="con_1")
    for chat in (nobodys, anas):
        sent = await house.say(chat, "Ana, sobre a sua demissão que comentou…")
        await house.told(sent, "failed", code=131026)
        assert (await house.row(sent["id"]))["state"] == "failed"
    assert await house.rows("SELECT 1 FROM outbox WHERE key LIKE 'fallback:%%'") == []


async def test_a_meeting_is_reminded_of_in_its_conversation_by_the_guests_clock(house: House) -> None:
    house.clock.at = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
    chat = await house.chat(wrote=timedelta(minutes=1))
    calendar = HouseCalendar(house.db, house.clock, Opening(house.db, house.rules))
    reminders = Reminders(house.db, calendar, house.outbox, Texts.load(), house.clock)
    guest = Guest("Ana Lima", "America/Manaus", chat_id=chat)
    await calendar.book(
        house.tenant_id, datetime(2026, 11, 23, 18, 0, tzinfo=UTC), guest=guest, title="Conversa", key="k"
    )
    assert await reminders.run(house.tenant_id) == 0
    house.clock.at = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
    assert (await reminders.run(house.tenant_id), await reminders.run(house.tenant_id)) == (1, 0)
    await house.run(chat)
    (text,) = house.texts
    assert text == (
        "Oi, Ana! Lembrete da nossa reunião de hoje: 23/11/2026 às 14:00 (horário de Manaus). Se precisar mudar, é só "
        "avisar por aqui."
    )


async def test_a_reminder_that_waits_is_taken_back_when_its_meeting_changes_and_never_leaves_after_it(
    house: House,
) -> None:
    house.clock.at = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
    calendar = HouseCalendar(house.db, house.clock, Opening(house.db, house.rules))
    reminders = Reminders(house.db, calendar, house.outbox, Texts.load(), house.clock)
    await house.rows("UPDATE channels SET state = 'paused' RETURNING id")
    chats = [await house.chat(wrote=timedelta(minutes=1)) for _ in range(2)]
    booked = [
        await calendar.book(
            house.tenant_id, datetime(2026, 11, 23, 17, minute, tzinfo=UTC),
            guest=Guest("Ana Lima", "America/Sao_Paulo", chat_id=chat), title="Conversa", key=chat,
        )
        for chat, minute in zip(chats, (0, 30), strict=True)
    ]  # fmt: skip
    house.clock.at = datetime(2026, 11, 23, 16, 45, tzinfo=UTC)
    assert await reminders.run(house.tenant_id) == 2
    await calendar.cancel(house.tenant_id, booked[1].id, reason="não posso")
    await reminders.run(house.tenant_id)
    rows = {one["chat_id"]: one for one in await house.rows("SELECT chat_id, state, reason FROM outbox")}
    assert (rows[chats[1]]["state"], rows[chats[1]]["reason"]) == ("dropped", "meeting_changed")
    assert rows[chats[0]]["state"] == "waiting"
    await house.rows("UPDATE channels SET state = 'active' RETURNING id")
    house.clock.at = datetime(2026, 11, 23, 17, 0, tzinfo=UTC)
    await house.run(chats[0])
    rows = {one["chat_id"]: one for one in await house.rows("SELECT chat_id, state, reason FROM outbox")}
    assert (rows[chats[0]]["state"], rows[chats[0]]["reason"]) == ("dropped", "too_late")
    assert house.sent == []
