"""SMTP: send one e-mail through a server of the house's own (RFC 5321), with the standard library in a thread.

What is certain: until the server has the whole mail (the answer to DATA's final dot) nothing is taken. A connection
that breaks while that answer is awaited leaves it open: OutcomeUnknown. Tried against the server in `simulator/`.
"""

import asyncio
import re
import smtplib
import ssl
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address, HeaderRegistry, UnstructuredHeader
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from typing import Any, Literal

from core.errors import ArgumentsWrong, MutiraoError, OutcomeUnknown, Refused, Unavailable

Security = Literal["starttls", "tls", "none"]
"""`none` is for this machine and for tests: a password never travels by it to another."""
_LOCAL = ("127.0.0.1", "::1", "localhost")


class _Whole(UnstructuredHeader):
    """A header on one line: a long link would be folded into encoded words, and be none (RFC 2369 wants an URL)."""

    def fold(self, *, policy: Any) -> str:
        return f"{self.name}: {self}{policy.linesep}"  # type: ignore[attr-defined]


_HEADERS = HeaderRegistry()
_HEADERS.map_to_type("list-unsubscribe", _Whole)  # type: ignore[arg-type]  # as the registry builds them
_WIRE = SMTP.clone(header_factory=_HEADERS)


@dataclass(frozen=True)
class Server:
    """`port` 587 with starttls, 465 with tls. `user` "" does not log in. `timeout`: seconds of silence."""

    host: str
    port: int = 587
    security: Security = "starttls"
    user: str = ""
    password: str = ""
    timeout: float = 20.0


@dataclass(frozen=True)
class Mail:
    """`sender` as "Name <address>" or an address. `id`: for Message-ID, by which a mail is recognised; plain `text`.
    `headers`: further ones, each shorter than 900 characters."""

    sender: str
    to: str
    subject: str
    text: str
    id: str
    at: datetime
    reply_to: str | None = None
    headers: tuple[tuple[str, str], ...] = ()


async def send(server: Server, mail: Mail) -> str:
    """Send it once; the Message-ID. It goes on in its thread when the caller is cancelled.

    ArgumentsWrong("mail_malformed"), Refused: mail_key_refused (login), mail_sender_refused, mail_no_such_address (5xx
    for the recipient), mail_refused; Unavailable: mail_busy (4xx), mail_unavailable; OutcomeUnknown
    ("mail_outcome_unknown").
    """
    message = compose(mail)
    await asyncio.to_thread(_send, server, message, parseaddr(mail.sender)[1], mail.to)
    return str(message["Message-ID"])


async def look(server: Server) -> None:
    """Whether the server answers and lets us in, asked without sending. Errors as `send`, before anything left."""
    await asyncio.to_thread(_look, server)


def compose(mail: Mail) -> EmailMessage:
    """The message as it goes over the wire. ArgumentsWrong("mail_malformed") for what is no address, or breaks a
    header."""
    try:
        name, address = parseaddr(mail.sender)
        _, to = parseaddr(mail.to)
        if "@" not in address or to != mail.to.strip() or "@" not in to:
            raise ValueError("no address")
        message = EmailMessage(_WIRE)
        message["From"] = Address(name, addr_spec=address)
        message["To"] = Address(addr_spec=to)
        message["Subject"] = " ".join(mail.subject.split())
        message["Date"] = format_datetime(mail.at)
        message["Message-ID"] = f"<{mail.id}@{address.rsplit('@', 1)[1]}>"
        if mail.reply_to:
            message["Reply-To"] = Address(addr_spec=parseaddr(mail.reply_to)[1])
        for name, value in mail.headers:
            message[name] = value
        message.set_content(mail.text)
    except (ValueError, TypeError, IndexError) as error:
        raise ArgumentsWrong("mail_malformed", str(error), detail=str(error)[:200]) from None
    return message


def _send(server: Server, message: EmailMessage, sender: str, to: str) -> None:
    try:
        smtp = _connect(server)
    except (OSError, smtplib.SMTPException) as error:
        raise _before(error) from None
    try:
        try:
            if server.user:
                smtp.login(server.user, server.password)
            _expect(smtp.mail(sender), "mail_sender_refused")
            _expect(smtp.rcpt(to), "mail_no_such_address")
            code, answer = smtp.docmd("DATA")
            if code != 354:
                _expect((code, answer), "mail_refused")
        except (OSError, smtplib.SMTPException) as error:
            raise _before(error) from None
        # From here on the server may have it.
        try:
            body = re.sub(rb"(?m)^\.", b"..", message.as_bytes(policy=_WIRE))  # RFC 5321 4.5.2
            smtp.send(body if body.endswith(b"\r\n") else body + b"\r\n")
            smtp.send(b".\r\n")
            result = smtp.getreply()
        except (OSError, smtplib.SMTPException) as error:
            raise OutcomeUnknown("mail_outcome_unknown", f"the answer was lost ({type(error).__name__})") from None
        _expect(result, "mail_refused")
    finally:
        smtp.close()


def _look(server: Server) -> None:
    try:
        smtp = _connect(server)
        try:
            if server.user:
                smtp.login(server.user, server.password)
        finally:
            smtp.close()
    except (OSError, smtplib.SMTPException) as error:
        raise _before(error) from None


def _connect(server: Server) -> smtplib.SMTP:
    if server.security == "none" and server.password and server.host not in _LOCAL:
        raise Refused("mail_not_private", "a password does not travel without TLS")
    context = ssl.create_default_context() if server.security != "none" else None
    if server.security == "tls":
        assert context is not None
        return smtplib.SMTP_SSL(server.host, server.port, timeout=server.timeout, context=context)
    smtp = smtplib.SMTP(server.host, server.port, timeout=server.timeout)
    if server.security == "starttls":
        smtp.starttls(context=context)
    smtp.ehlo_or_helo_if_needed()
    return smtp


def _expect(answer: tuple[int, bytes], code: str) -> None:
    """Nothing for a 2xx; Unavailable for a 4xx, Refused(code) for the rest."""
    status, text = answer
    if 200 <= status < 300:
        return
    detail = f"{status} {text.decode(errors='replace')[:200]}"
    if 400 <= status < 500:
        busy = Unavailable("mail_busy", detail)
        busy.retry_after = 300.0  # RFC 5321 4.5.4.1: retry not sooner than minutes later
        raise busy
    raise Refused(code, detail, detail=detail)


def _before(error: Exception) -> MutiraoError:
    """What broke before the server had the mail: nothing left."""
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return Refused("mail_key_refused", f"{error.smtp_code}")
    return Unavailable("mail_unavailable", f"{type(error).__name__}")
