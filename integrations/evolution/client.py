"""Evolution API 2.x: send, mark as read, presence, files, the state of the instance, its webhook.

Works unchanged against a server of one's own and against the simulator beside it. Facts about the wire:
EvolutionAPI/evolution-api 2.3.6 (commit 3454bec), src/validate/message.schema.ts and src/api/routes/; where the
official openapi-v2.json (2.1.1) says otherwise (webhook/set, sendPresence) the source is followed. Never run against a
real server so far; the simulator is written after the same source, not after recorded answers.

Reads are retried, a few times. A message is sent once: Evolution knows no idempotency key and gives no data of ours
back, so when its answer is lost only the echo (`send.message`) tells whether it left.
"""

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

from core.errors import MutiraoError
from integrations import gateways
from integrations.evolution import errors
from integrations.evolution.payloads import peer_of
from integrations.evolution.webhooks import WANTED
from integrations.gateways import Sent
from integrations.whatsapp_cloud import media
from integrations.whatsapp_cloud.media import Fetched

_NUMBER = re.compile(r"\+?[1-9][0-9]{6,14}|[0-9]{5,30}@lid|[0-9]{7,15}@s\.whatsapp\.net")


@dataclass(frozen=True)
class Webhook:
    """Where an instance posts to. `headers` are what it brings along."""

    enabled: bool
    url: str
    headers: Mapping[str, str]
    events: tuple[str, ...]


@dataclass(frozen=True)
class Contact:
    """A person's contact details, to be shared."""

    name: str
    phone: str
    company: str | None = None
    email: str | None = None
    url: str | None = None


class EvolutionClient:
    """One instance of one server."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        base_url: str,
        api_key: str,
        instance: str,
        *,
        retries: int = 2,
        pause: float = 0.5,
        timeout: float = 30.0,
    ) -> None:
        """`timeout` in seconds: a send waits for WhatsApp."""
        self._http = http
        self._url = base_url.rstrip("/")
        self._key = api_key
        self._instance = instance
        self._retries = retries
        self._pause = pause
        self._timeout = httpx.Timeout(timeout, connect=min(5.0, timeout))

    def __repr__(self) -> str:
        return f"EvolutionClient({self._url!r}, {self._instance!r})"  # never the key

    # --- messages -----------------------------------------------------------------------------
    # `to`: a phone's digits, or a linked id "…@lid". `quoted`: the id of the message that is answered.
    # Errors: ArgumentsWrong, Refused, Unavailable (nothing left), OutcomeUnknown("gateway_outcome_unknown").

    async def send_text(self, to: str, text: str, *, quoted: str | None = None, preview: bool = False) -> Sent:
        return await self._message("sendText", to, {"text": text, "linkPreview": preview}, quoted)

    async def send_media(
        self,
        to: str,
        kind: str,
        file: str,
        *,
        mime: str | None = None,
        name: str | None = None,
        caption: str | None = None,
        quoted: str | None = None,
    ) -> Sent:
        """`kind`: image, video, audio or document; `file`: an address, or the content in base64."""
        if kind == "document":
            name = name or "file"  # wanted for base64 (sendMessage.controller.ts)
        body = {"mediatype": kind, "media": file, "mimetype": mime, "fileName": name, "caption": caption}
        return await self._message("sendMedia", to, body, quoted)

    async def send_voice(self, to: str, file: str, *, quoted: str | None = None) -> Sent:
        """A voice note; Evolution converts what is no Opus."""
        return await self._message("sendWhatsAppAudio", to, {"audio": file, "encoding": True}, quoted)

    async def send_sticker(self, to: str, file: str, *, quoted: str | None = None) -> Sent:
        return await self._message("sendSticker", to, {"sticker": file}, quoted)

    async def send_location(
        self,
        to: str,
        latitude: float,
        longitude: float,
        *,
        name: str = "",
        address: str = "",
        quoted: str | None = None,
    ) -> Sent:
        # Evolution's schema wants both texts, empty or not.
        body = {"latitude": latitude, "longitude": longitude, "name": name, "address": address}
        return await self._message("sendLocation", to, body, quoted)

    async def send_contacts(self, to: str, contacts: Sequence[Contact], *, quoted: str | None = None) -> Sent:
        cards = [
            _given(
                fullName=one.name,
                wuid="".join(sign for sign in one.phone if sign.isdecimal()),
                phoneNumber=one.phone,
                organization=one.company,
                email=one.email,
                url=one.url,
            )
            for one in contacts
        ]
        return await self._message("sendContact", to, {"contact": cards}, quoted)

    async def react(self, to: str, message_id: str, emoji: str, *, from_me: bool = False) -> Sent:
        """An emoji on a message of theirs (`from_me`: of ours); "" takes it off."""
        key = {"id": message_id, "remoteJid": _jid(to), "fromMe": from_me}
        return _sent(await self._write("message/sendReaction", {"key": key, "reaction": emoji}))

    async def _message(self, what: str, to: str, body: dict[str, Any], quoted: str | None) -> Sent:
        if not _NUMBER.fullmatch(to):
            raise gateways.bad_request(f"{to!r} is no address", "number")
        more = {"quoted": {"key": {"id": quoted}}} if quoted else {}
        return _sent(await self._write(f"message/{what}", {"number": to.lstrip("+")} | _given(**body) | more))

    # --- chat ---------------------------------------------------------------------------------

    async def mark_read(self, message_id: str, to: str) -> None:
        """Blue ticks. Doing it again changes nothing."""
        key = {"id": message_id, "remoteJid": _jid(to), "fromMe": False}
        await self._read("POST", "chat/markMessageAsRead", {"readMessages": [key]})

    async def presence(self, to: str, *, seconds: float) -> None:
        """Show that we write. Evolution answers when the time is over."""
        body = {"number": to, "presence": "composing", "delay": int(seconds * 1_000)}
        await self._read("POST", "chat/sendPresence", body, once=True)

    async def chat_of(self, message_id: str) -> str | None:
        """With whom a message was exchanged, as `to` of the other methods; None when the server does not keep it."""
        answer = await self._read("POST", "chat/findMessages", {"where": {"key": {"id": message_id}}})
        inner = answer.get("messages") if isinstance(answer, dict) else None
        records = inner.get("records") if isinstance(inner, dict) else None
        key = records[0].get("key") if isinstance(records, list) and records and isinstance(records[0], dict) else None
        if not isinstance(key, dict):
            return None
        peer = peer_of(key)
        return peer.phone or peer.lid

    async def fetch(self, message_id: str, *, most: int = media.MOST_BYTES) -> Fetched:
        """The file of a message, of at most `most` bytes, checked by its content.

        Errors as gateways.file_of; Refused("whatsapp_media_host") never: the server itself hands it out.
        """
        path = f"{self._url}/chat/getBase64FromMediaMessage/{quote(self._instance, safe='')}"
        body = json.dumps({"message": {"key": {"id": message_id}}, "convertToMp4": False}).encode()
        try:
            async with self._http.stream(
                "POST", path, content=body, headers=self._headers(), timeout=self._timeout, follow_redirects=False
            ) as response:
                # Base64 takes 4 bytes for 3; the answer's other fields a few hundred.
                content = await gateways.read_at_most(response, most * 4 // 3 + 100_000)
        except httpx.HTTPError as error:
            raise gateways.unavailable(f"no answer ({type(error).__name__})") from None
        if not 200 <= response.status_code < 300:
            raise errors.of_read(response.status_code, content, "", self._key)
        answer = gateways.parsed(content)
        if not isinstance(answer, dict) or not isinstance(answer.get("base64"), str):
            raise gateways.answer_broken("no file in the answer")
        told = answer.get("mimetype")
        return gateways.file_of(answer["base64"], told if isinstance(told, str) else "", most)

    # --- the instance -------------------------------------------------------------------------

    async def state(self) -> str:
        """open (connected to WhatsApp), connecting or close; the cheapest way to learn that key and instance fit."""
        answer = await self._read("GET", "instance/connectionState", None)
        inner = answer.get("instance") if isinstance(answer, dict) else None
        found = inner.get("state") if isinstance(inner, dict) else None
        if not isinstance(found, str):
            raise gateways.answer_broken("no state in the answer")
        return found

    async def phone(self) -> str | None:
        """The telephone number that the instance is connected with, in digits; None when it tells none."""
        answer = await self._read("GET", f"instance/fetchInstances?instanceName={quote(self._instance, safe='')}", None)
        one = answer[0] if isinstance(answer, list) and answer and isinstance(answer[0], dict) else {}
        jid = one.get("ownerJid") or (one.get("instance") or {}).get("owner")
        return peer_of({"remoteJid": jid}).phone

    async def webhook(self) -> Webhook | None:
        """Where the instance posts to; None when it posts nowhere."""
        raw = await self._read("GET", "webhook/find", None)
        if not isinstance(raw, dict) or not raw.get("url"):
            return None
        headers = raw.get("headers") if isinstance(raw.get("headers"), dict) else {}
        events = raw.get("events") if isinstance(raw.get("events"), list) else []
        return Webhook(raw.get("enabled") is True, str(raw["url"]), headers or {}, tuple(map(str, events or [])))

    async def set_webhook(self, url: str, headers: Mapping[str, str]) -> None:
        """Let the instance post its events to us, without files in them. Doing it again changes nothing."""
        wanted = {
            "enabled": True,
            "url": url,
            "headers": dict(headers),
            "byEvents": False,
            "base64": False,
            "events": list(WANTED),
        }
        await self._read("POST", "webhook/set", {"webhook": wanted})

    # --- requests -----------------------------------------------------------------------------

    async def _write(self, path: str, body: dict[str, Any]) -> Any:
        """One message, once."""
        try:
            response = await self._send("POST", path, body)
        except gateways.NEVER_SENT as error:
            raise gateways.unavailable(f"no connection ({type(error).__name__})") from None
        except httpx.HTTPError as error:
            raise gateways.outcome_unknown(f"the answer was lost ({type(error).__name__})") from None
        if not 200 <= response.status_code < 300:
            after = response.headers.get("retry-after", "")
            raise errors.of_write(response.status_code, response.content, after, self._key)
        return gateways.parsed(response.content)

    async def _read(self, method: str, path: str, body: dict[str, Any] | None, *, once: bool = False) -> Any:
        pause, last = self._pause, 0 if once else self._retries
        for attempt in range(last + 1):
            try:
                response = await self._send(method, path, body)
            except httpx.HTTPError as error:
                failure: MutiraoError = gateways.unavailable(f"no answer ({type(error).__name__})")
            else:
                if 200 <= response.status_code < 300:
                    return gateways.parsed(response.content)
                after = response.headers.get("retry-after", "")
                failure = errors.of_read(response.status_code, response.content, after, self._key)
            if attempt == last or failure.code != "gateway_unavailable":
                raise failure
            await asyncio.sleep(pause)
            pause *= 2
        raise AssertionError("unreachable")

    async def _send(self, method: str, path: str, body: dict[str, Any] | None) -> httpx.Response:
        place, _, query = path.partition("?")
        whole = f"{self._url}/{place}" + (f"?{query}" if query else f"/{quote(self._instance, safe='')}")
        content = None if body is None else json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
        return await self._http.request(
            method, whole, content=content, headers=self._headers(), timeout=self._timeout, follow_redirects=False
        )

    def _headers(self) -> dict[str, str]:
        return {"apikey": self._key, "content-type": "application/json", "accept": "application/json"}


def _sent(answer: Any) -> Sent:
    key = answer.get("key") if isinstance(answer, dict) else None
    message_id = key.get("id") if isinstance(key, dict) else None
    if not isinstance(key, dict) or not isinstance(message_id, str) or not message_id:
        raise gateways.outcome_unknown("the answer names no message")
    peer = peer_of(key)
    return Sent(message_id, peer.phone or peer.lid)


def _jid(to: str) -> str:
    return to if "@" in to else f"{to.lstrip('+')}@s.whatsapp.net"


def _given(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
