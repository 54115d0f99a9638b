"""Sending by WhatsApp's own API: one client for each channel's token, and what its refusals mean."""

import hashlib
from urllib.parse import urlsplit

import httpx
import psycopg

from business.messaging.channels import Channel, Channels
from business.messaging.senders import Brought, Refusal, Taken
from core.errors import MutiraoError, Refused, SetupError, Unavailable
from integrations.whatsapp_cloud import errors
from integrations.whatsapp_cloud.client import GRAPH_URL, WhatsAppCloud
from integrations.whatsapp_cloud.messages import Content

SANDBOX_TOKEN = "EAASANDBOX"
"""How the simulators' tokens begin (integrations/whatsapp_cloud/simulator/state.py)."""
_HELD = frozenset({"held_for_quality_assessment", "paused"})


class CloudClients:
    """One client for each token and address; made anew when a channel gets another one."""

    def __init__(self, channels: Channels, http: httpx.AsyncClient, *, timeout: float = 20.0) -> None:
        self._channels = channels
        self._http = http
        self._timeout = timeout
        self._made: dict[str, tuple[str, WhatsAppCloud]] = {}

    async def of(self, channel: Channel) -> WhatsAppCloud:
        """Refused: channel_without_secret (channel), channel_other_world (provider, number) for a sandbox's token that
        would leave this machine, or a real one that would stay. Unavailable("database_unreachable"); SetupError as
        Vault.open."""
        try:
            secrets = await self._channels.secrets(channel)
        except psycopg.OperationalError as error:  # before anything was asked of WhatsApp
            raise Unavailable("database_unreachable", str(error)) from None
        token, app_secret = secrets.get("token", ""), secrets.get("app_secret")
        url = channel.base_url or GRAPH_URL
        if token.startswith(SANDBOX_TOKEN) is not _on_loopback(url):
            raise Refused(
                "channel_other_world",
                f"this token does not belong to {urlsplit(url).hostname}",
                provider=channel.provider,
                number=channel.number,
            )
        same = hashlib.sha256(f"{url}\0{token}\0{app_secret}".encode()).hexdigest()
        kept = self._made.get(channel.id)
        if kept is None or kept[0] != same:
            client = WhatsAppCloud(self._http, token, base_url=url, app_secret=app_secret, timeout=self._timeout)
            self._made[channel.id] = kept = (same, client)
        return kept[1]


class CloudSender:
    """See senders.Sender for what each of these does."""

    def __init__(self, clients: CloudClients) -> None:
        self._clients = clients

    async def send(
        self, channel: Channel, to: str, content: Content, *, callback: str, reply_to: str | None = None
    ) -> Taken:
        client = await self._clients.of(channel)
        sent = await client.send(channel.number, to, content, reply_to=reply_to, callback_data=callback)
        return Taken(sent.message_id, sent.wa_id, sent.user_id, sent.status in _HELD)

    async def mark_read(self, channel: Channel, message_id: str, *, typing: bool = False) -> None:
        await (await self._clients.of(channel)).mark_read(channel.number, message_id, typing=typing)

    async def fetch(self, channel: Channel, media_id: str, *, most: int) -> Brought:
        client = await self._clients.of(channel)
        found = await client.fetch(await client.media_info(media_id, channel.number), most=most)
        return Brought(found.content, found.mime)

    async def upload(self, channel: Channel, kind: str, content: bytes, mime: str, name: str) -> str:
        return await (await self._clients.of(channel)).upload(channel.number, kind, content, mime, name)

    def refusal(self, error: Exception) -> Refusal:
        if not isinstance(error, MutiraoError):
            return Refusal(0, "fix", "message", text=type(error).__name__)
        rule = errors.rule_of(error)
        if rule is not None:
            code = int(error.params["meta_code"])
            wait = error.retry_after if error.retry_after is not None else rule.wait
            return _of_rule(code, rule, wait, str(error))
        if isinstance(error, SetupError) or error.code in ("channel_without_secret", "channel_other_world"):
            return Refusal(0, "stop_number", "number", text=str(error))
        if isinstance(error, Unavailable):  # no connection: nothing left
            return Refusal(0, "retry", "number", 5.0, text=str(error))
        return Refusal(0, "fix", "message", text=str(error))


def refusal_of(code: int, detail: str = "") -> Refusal:
    """What a code means that came in a status."""
    rule = errors.rule(code)
    return _of_rule(code, rule, rule.wait, detail)


def _of_rule(code: int, rule: errors.Rule, wait: float | None, text: str) -> Refusal:
    words, sentence = errors.clean(text), f"error.{rule.text}"
    return Refusal(code, str(rule.action), rule.scope, wait, rule.sure, rule.marketing, words, sentence)


def _on_loopback(url: str) -> bool:
    return urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")
