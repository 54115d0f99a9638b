"""Sending by SMS through Twilio. A channel's number is the sender (E.164, or a messaging service MG…), its account the
Twilio account (AC…), its secret {"token"}."""

import httpx

from business.messaging.channels import Channel, Channels
from business.messaging.outbox import reads
from business.messaging.sender_email import refusal_of
from business.messaging.senders import Brought, Refusal, Taken
from core.errors import ArgumentsWrong, MutiraoError, Refused
from integrations.twilio.client import TWILIO_URL, Twilio
from integrations.whatsapp_cloud.messages import Content

_STOPS = {
    "sms_no_such_number": "contact",
    "sms_country_refused": "contact",
    "sms_opted_out": "contact",
    "sms_key_refused": "number",
    "sms_sender_refused": "number",
}


class SmsSender:
    """See senders.Sender for what each of these does. Words only."""

    def __init__(self, channels: Channels, http: httpx.AsyncClient) -> None:
        self._channels = channels
        self._http = http

    async def send(
        self, channel: Channel, to: str, content: Content, *, callback: str, reply_to: str | None = None
    ) -> Taken:
        text = reads(content).strip()
        if not text:
            raise ArgumentsWrong("sms_no_files", f"no {content.kind} by SMS")
        client = self._client(channel, (await self._channels.secrets(channel)).get("token", ""))
        number = to if to.startswith("+") else f"+{to}"
        return Taken(await client.send(channel.number, number, text), address=to)

    async def look(self, channel: Channel, key: str = "") -> None:
        """Whether it would take an SMS of ours, asked without sending one: with `key`, or the one that is kept. Errors
        as `send`; Refused("channel_without_secret")."""
        await self._client(channel, key or await self.key(channel)).look()

    async def key(self, channel: Channel) -> str:
        """Refused("channel_without_secret")."""
        if not (key := (await self._channels.secrets(channel)).get("token", "")):
            raise Refused("channel_without_secret", channel.id, channel=channel.name)
        return key

    def _client(self, channel: Channel, token: str) -> Twilio:
        url = channel.base_url or TWILIO_URL
        local = httpx.URL(url).host in ("127.0.0.1", "::1", "localhost")
        if (channel.environment == "sandbox") is not local:
            raise Refused("channel_other_world", url, provider=channel.provider, number=channel.number)
        return Twilio(self._http, channel.account, token, base_url=url)

    async def mark_read(self, channel: Channel, message_id: str, *, typing: bool = False) -> None:
        return None

    async def fetch(self, channel: Channel, media_id: str, *, most: int) -> Brought:
        raise Refused("sms_no_files", "no files by SMS")

    async def upload(self, channel: Channel, kind: str, content: bytes, mime: str, name: str) -> str:
        raise ArgumentsWrong("sms_no_files", "no files by SMS")

    def refusal(self, error: Exception) -> Refusal:
        number = error.params.get("number", 0) if isinstance(error, MutiraoError) else 0
        found = refusal_of(error, _STOPS)
        return Refusal(int(number or 0), found.action, found.scope, found.wait, found.sure, found.marketing, found.text)
