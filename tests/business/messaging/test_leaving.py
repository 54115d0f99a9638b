"""Who presses "unsubscribe" in a mail program is left alone, and nobody else is."""

from datetime import timedelta

import httpx

from business.messaging.conversation import open_chat
from business.messaging.leaving import LeaveLinks, Leaving
from business.messaging.ledger import Ledger
from business.messaging.sender_email import EmailSender
from business.messaging.templates import Purpose
from channels.leaving import LeaveDoor
from core.tenancy import Role
from integrations.smtp.simulator.server import MailServer
from prompts.texts import Texts
from tests.business.messaging.outbox_house import House

ONE_CLICK = {"List-Unsubscribe": "One-Click"}  # RFC 8058, 3.2


async def test_one_click_in_a_mail_program_stops_what_we_begin_on_every_channel(house: House) -> None:
    links = LeaveLinks(house.db, "a secret", "https://casa.example/")
    leaving = Leaving(house.db, house.clock, house.outbox, Ledger(house.jobs))
    door = LeaveDoor(links, leaving, Texts.load(), "pt-BR")
    async with (
        MailServer() as server,
        httpx.AsyncClient() as http,
        httpx.AsyncClient(transport=httpx.ASGITransport(door), base_url="https://casa.example") as outside,
    ):
        house.senders["email"] = EmailSender(house.channels, http, house.clock, leave=links.of)
        channel = await house.channels.save(
            house.tenants.one[Role.ADMIN], "email", "oi@aurora.example", name="Aurora", secrets={"password": "x"},
            settings={"by": "smtp", "host": "127.0.0.1", "port": server.port, "security": "none"},
        )  # fmt: skip
        async with house.db.tenant(house.tenant_id) as conn:
            now = house.clock.now()
            ana, rui, eva = [
                (await open_chat(conn, house.tenant_id, channel, f"{name}@ipe.example", name=name, at=now)).id
                for name in ("ana", "rui", "eva")
            ]
        assert (await house.say(eva, "Sua proposta.", purpose=Purpose.NOTICE))["state"] == "sent"
        for chat in (ana, rui):
            house.clock.advance(timedelta(minutes=1))
            assert (await house.say(chat, "Faz sentido?", purpose=Purpose.FOLLOW_UP))["state"] == "sent"
        told, *begun = [mail for _, _, mail in server.mails]
        assert told["List-Unsubscribe"] is None, "nobody leaves by what they asked for"
        assert [mail["List-Unsubscribe-Post"] for mail in begun] == ["List-Unsubscribe=One-Click"] * 2
        link = dict(begun[0].raw_items())["List-Unsubscribe"].strip("<>")  # as it stands on the wire
        assert link.startswith("https://casa.example/leave/") and len(link) > 100

        page = await outside.get(link)
        assert (page.status_code, "Não quero mais mensagens" in page.text) == (200, True)
        forged = link[:-3] + ("000" if not link.endswith("000") else "111")
        assert (await outside.post(forged, data=ONE_CLICK)).status_code == 404
        assert (await outside.post(link.replace(ana, rui), data=ONE_CLICK)).status_code == 404
        assert await house.rows("SELECT 1 FROM consent_entries") == [], "programs open links by themselves"

        house.clock.advance(timedelta(days=1))
        waits = await house.put(ana, "Última tentativa?", purpose=Purpose.FOLLOW_UP)
        for _ in range(2):
            assert "Pronto" in (await outside.post(link, data=ONE_CLICK)).text
        entries = await house.rows("SELECT act, scope, how, address FROM consent_entries")
        assert entries == [{"act": "stopped", "scope": "all", "how": "button", "address": "ana@ipe.example"}]
        assert (await house.row(waits))["reason"] == "opted_out"
        assert (await house.say(ana, "Oi?", purpose=Purpose.FOLLOW_UP))["state"] == "dropped"
        assert (await house.say(rui, "Oi?", purpose=Purpose.FOLLOW_UP))["state"] == "waiting", "for its day"
        await house.rows("DELETE FROM chats WHERE id = %s RETURNING id", ana)
        assert (await outside.get(link)).status_code == 404
