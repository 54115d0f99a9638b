"""Sending by e-mail: through Resend, or a mail server of the house's own.

A channel's number is the sender's address, its name what people see. Its settings say by what: {"by": "resend"}, or
{"by": "smtp", "host": …, "port": 587, "security": "starttls", "user": …}; its secrets are {"api_key"} or {"password"}.
A text begins with its subject ("Assunto: …" and an empty line) or gets the house's name for one.

Nobody reads answers here, so they go to a person: to the settings' `reply_to`, else to the mailbox of the
conversation's owner, else back to the sender's address. What we began carries a link by which one leaves (leaving.py).
"""

import hashlib
import re
from collections.abc import Awaitable, Callable
from typing import cast

import httpx

from business.messaging.channels import Channel, Channels
from business.messaging.outbox import reads
from business.messaging.senders import Brought, Refusal, Taken
from core.clock import Clock
from core.db import Database, fetch_one
from core.errors import ArgumentsWrong, MutiraoError, OutcomeUnknown, Refused, Unavailable
from integrations.resend.client import RESEND_URL, Resend
from integrations.resend.client import Mail as ResendMail
from integrations.smtp import client as smtp
from integrations.whatsapp_cloud.messages import Content

_SUBJECT = re.compile(r"\A(?:Assunto|Asunto|Subject):[ \t]*([^\n]{1,200})\n\s*", re.I)
_WORDS = frozenset({"text", "interactive", "template"})
_STOPS = {"mail_no_such_address": "contact", "mail_key_refused": "number", "mail_sender_refused": "number"}


Mailbox = Callable[[str, str], Awaitable[str | None]]
"""(tenant id, outbox id): who of ours reads what is answered to this message; None for nobody."""
LeaveLink = Callable[[str, str], Awaitable[str | None]]
"""(tenant id, outbox id): where one leaves by a click (leaving.py); None for a message that carries no such link."""


class OwnersMailbox:
    """`Mailbox`: of the conversation's owner, while they work here and are no sample."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def __call__(self, tenant_id: str, outbox_id: str) -> str | None:
        async with self._db.tenant(tenant_id) as conn:
            row = await fetch_one(
                conn,
                """SELECT u.email FROM outbox o JOIN chats c ON c.tenant_id = o.tenant_id AND c.id = o.chat_id
                   JOIN users u ON u.tenant_id = c.tenant_id AND u.id = c.owner_id
                   WHERE o.id = %s AND u.active AND NOT u.demo AND u.role <> 'Agente_IA'""",
                [outbox_id],
            )
        return str(row["email"]) if row else None


class EmailSender:
    """See senders.Sender for what each of these does. Files do not travel by e-mail here."""

    def __init__(
        self,
        channels: Channels,
        http: httpx.AsyncClient,
        clock: Clock,
        mailbox: Mailbox | None = None,
        leave: LeaveLink | None = None,
    ) -> None:
        self._channels = channels
        self._http = http
        self._clock = clock
        self._mailbox = mailbox
        self._leave = leave

    async def send(
        self, channel: Channel, to: str, content: Content, *, callback: str, reply_to: str | None = None
    ) -> Taken:
        subject, text = words_of(content, channel)
        secrets = await self._channels.secrets(channel)
        sender = f"{_quoted(channel.name)} <{channel.number}>" if channel.name != channel.number else channel.number
        reply = cast(str | None, channel.settings.get("reply_to"))
        if not reply and self._mailbox is not None:
            reply = await self._mailbox(channel.tenant_id, callback)
        headers = await self._headers(channel.tenant_id, callback)
        if channel.settings.get("by") == "smtp":
            server = server_of(channel, secrets.get("password", ""))
            mail = smtp.Mail(sender, to, subject, text, _mail_id(callback), self._clock.now(), reply, headers)
            return Taken(await smtp.send(server, mail), address=to)
        client = Resend(self._http, secrets.get("api_key", ""), base_url=channel.base_url or RESEND_URL)
        _same_world(channel, channel.base_url or RESEND_URL)
        mail_there = ResendMail(sender, to, subject, text, reply, headers)
        return Taken(await client.send(mail_there, key=callback), address=to)

    async def _headers(self, tenant_id: str, outbox_id: str) -> tuple[tuple[str, str], ...]:
        link = await self._leave(tenant_id, outbox_id) if self._leave is not None else None
        if link is None:
            return ()
        return (("List-Unsubscribe", f"<{link}>"), ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"))

    async def look(self, channel: Channel, key: str = "") -> None:
        """Whether it would take a mail of ours, asked without sending one: with `key`, or the one that is kept. Errors
        as `send`; Refused("channel_without_secret") where a key is wanted and none is kept."""
        told, key = channel.settings, key or await self.key(channel)
        if told.get("by") == "smtp":
            await smtp.look(server_of(channel, key))
            return
        url = channel.base_url or RESEND_URL
        _same_world(channel, url)
        await Resend(self._http, key, base_url=url).look(channel.number.rpartition("@")[2])

    async def key(self, channel: Channel) -> str:
        """By what it sends; "" for a mail server without a login. Refused("channel_without_secret")."""
        by_server = channel.settings.get("by") == "smtp"
        if by_server and not channel.settings.get("user"):
            return ""
        key = (await self._channels.secrets(channel)).get("password" if by_server else "api_key", "")
        if not key:
            raise Refused("channel_without_secret", channel.id, channel=channel.name)
        return key

    async def mark_read(self, channel: Channel, message_id: str, *, typing: bool = False) -> None:
        return None

    async def fetch(self, channel: Channel, media_id: str, *, most: int) -> Brought:
        raise Refused("mail_no_files", "no files by e-mail")

    async def upload(self, channel: Channel, kind: str, content: bytes, mime: str, name: str) -> str:
        raise ArgumentsWrong("mail_no_files", "no files by e-mail")

    def refusal(self, error: Exception) -> Refusal:
        """Busy servers are asked again, wrong addresses stop the contact, wrong keys the channel."""
        return refusal_of(error, _STOPS)


def words_of(content: Content, channel: Channel) -> tuple[str, str]:
    """(subject, text) of a content. ArgumentsWrong("mail_no_files") for what has no words."""
    text = reads(content).strip()
    if content.kind not in _WORDS or not text:
        raise ArgumentsWrong("mail_no_files", f"no {content.kind} by e-mail")
    found = _SUBJECT.match(text)
    subject = found[1].strip() if found else str(channel.settings.get("subject") or channel.name)
    return subject, text[found.end() :] if found else text


def server_of(channel: Channel, password: str) -> smtp.Server:
    """The mail server of a channel. ArgumentsWrong("channel_malformed", what) for settings that name none."""
    told = channel.settings
    host, port, security = told.get("host"), told.get("port", 587), told.get("security", "starttls")
    if (
        not isinstance(host, str)
        or not host
        or not isinstance(port, int)
        or security not in ("starttls", "tls", "none")
    ):
        raise ArgumentsWrong("channel_malformed", "host, port, security", what="host, port, security")
    if (channel.environment == "sandbox") is not (host in ("127.0.0.1", "::1", "localhost")):
        raise Refused("channel_other_world", host, provider=channel.provider, number=channel.number)
    return smtp.Server(host, port, security, str(told.get("user") or ""), password)


def refusal_of(error: Exception, stops: dict[str, str]) -> Refusal:
    """What an error of a sender of ours means: `stops` says of which codes something has to stop."""
    code = error.code if isinstance(error, MutiraoError) else ""
    if isinstance(error, OutcomeUnknown):
        return Refusal(0, "fix", "message", sure=False, text=code)
    if isinstance(error, Unavailable):
        return Refusal(0, "wait", "message", wait=error.retry_after or 60.0, text=code)
    scope = stops.get(code, "message")
    action = {"contact": "stop_contact", "number": "stop_number"}.get(scope, "fix")
    return Refusal(0, action, scope, text=code)


def _same_world(channel: Channel, url: str) -> None:
    local = httpx.URL(url).host in ("127.0.0.1", "::1", "localhost")
    if (channel.environment == "sandbox") is not local:
        raise Refused("channel_other_world", url, provider=channel.provider, number=channel.number)


def _quoted(name: str) -> str:
    clean = " ".join(name.replace('"', "").replace("\\", "").split())
    return f'"{clean}"'


def _mail_id(callback: str) -> str:
    return callback if re.fullmatch(r"[\w.-]{1,100}", callback) else hashlib.sha256(callback.encode()).hexdigest()
