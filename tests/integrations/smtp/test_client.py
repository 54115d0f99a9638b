"""Mails through a server of one's own: what leaves, what certainly does not, and what nobody knows."""

from datetime import UTC, datetime

import pytest

from core.errors import MutiraoError
from integrations.smtp.client import Mail, Server, send
from integrations.smtp.simulator.server import MailServer

AT = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)


def mail(to: str = "ana@ipe.example", subject: str = "Olá, Ana", sender: str = "Aurora <oi@aurora.example>") -> Mail:
    return Mail(sender, to, subject, "Oi.\n.ponto\n..dois\nção — fim", "out_1", AT)


async def test_a_mail_arrives_as_it_was_written_and_every_failure_says_whether_it_left() -> None:
    async with MailServer(user="rui", password="segredo") as house:

        async def outcome(one: Mail, password: str = "segredo", port: int | None = None) -> str:
            server = Server("127.0.0.1", port or house.port, "none", "rui", password, timeout=3)
            try:
                return await send(server, one)
            except MutiraoError as error:
                return error.code + (" tells the password" if "segredo" in str(error) else "")

        assert await outcome(mail()) == "<out_1@aurora.example>"
        sender, to, message = house.mails[0]
        assert (sender, to, message["Subject"]) == ("oi@aurora.example", "ana@ipe.example", "Olá, Ana")
        assert message["From"] == "Aurora <oi@aurora.example>"
        assert message.get_content().replace("\r\n", "\n").strip() == "Oi.\n.ponto\n..dois\nção — fim"
        assert await outcome(mail(), "errada") == "mail_key_refused"
        assert await outcome(mail("no-such@ipe.example")) == "mail_no_such_address"
        assert await outcome(mail("later@ipe.example")) == "mail_busy"
        assert await outcome(mail("gone@ipe.example")) == "mail_unavailable"
        assert await outcome(mail("lost@ipe.example")) == "mail_outcome_unknown"
        assert await outcome(mail(), port=9) == "mail_unavailable"
        assert await outcome(mail("ana")) == await outcome(mail(sender="ninguém")) == "mail_malformed"
        # A subject cannot bring headers of its own.
        assert (await outcome(mail(subject="Oi\r\nBcc: todos@ipe.example"))).startswith("<")
        assert house.mails[-1][2]["Subject"] == "Oi Bcc: todos@ipe.example" and house.mails[-1][2]["Bcc"] is None
        assert len(house.mails) == 3
    with pytest.raises(MutiraoError) as caught:
        await send(Server("mail.example.com", 25, "none", "rui", "segredo"), mail())
    assert caught.value.code == "mail_not_private"
