"""How a message leaves by a gateway that is read by a map (Uazapi, LancePilot): only what the map names can be said."""

from collections.abc import Awaitable, Callable
from typing import Any

from business.messaging.channels import Channel
from business.messaging.sender_evolution import HeldFiles, as_words, refusal_of
from business.messaging.senders import Brought, Refusal, Taken
from integrations.gateway_maps.client import MappedClient, in_base64
from integrations.gateways import cannot
from integrations.whatsapp_cloud import media
from integrations.whatsapp_cloud.messages import Content

OpenClient = Callable[[Channel], Awaitable[MappedClient]]


class MappedSender:
    def __init__(self, open_client: OpenClient) -> None:
        self._open = open_client
        self._held = HeldFiles()

    async def send(
        self, channel: Channel, to: str, content: Content, *, callback: str, reply_to: str | None = None
    ) -> Taken:
        """As `Sender.send`. `callback` travels along where the map has a field for it."""
        try:
            client = await self._open(channel)
            what, said = self._said(content)
            sent = await client.say(what, to, said | {"reply_to": reply_to, "callback": callback})
        finally:
            self._held.forget(content)
        return Taken(sent.id, sent.address)

    async def mark_read(self, channel: Channel, message_id: str, *, typing: bool = False) -> None:
        await (await self._open(channel)).mark_read(message_id)

    async def fetch(self, channel: Channel, media_id: str, *, most: int) -> Brought:
        found = await (await self._open(channel)).fetch(media_id, most=most)
        return Brought(found.content, found.mime)

    async def upload(self, channel: Channel, kind: str, content: bytes, mime: str, name: str) -> str:
        """Kept in this process until it is sent. Refused as `media.check_upload`."""
        media.check_upload(kind, content, mime)
        return self._held.keep(content, mime, name)

    def refusal(self, error: Exception) -> Refusal:
        return refusal_of(error)

    def _said(self, content: Content) -> tuple[str, dict[str, Any]]:
        """(which of the map's `send`, the values that it may name)."""
        raw = content.payload
        match content.kind:
            case "text":
                return "text", {"text": raw["body"]}
            case "interactive":
                return "text", {"text": as_words(raw)}
            case "image" | "video" | "audio" | "document" | "sticker":
                return "media", self._file(content.kind, raw)
            case "location":
                where = {"latitude": float(raw["latitude"]), "longitude": float(raw["longitude"])}
                return "location", where | {"name": raw.get("name"), "address": raw.get("address")}
            case "contacts" if len(raw) == 1:
                phones = ",".join(str(one.get("phone") or "") for one in raw[0].get("phones") or [])
                return "contact", {"name": raw[0]["name"]["formatted_name"], "phones": phones}
            case "reaction":
                return "reaction", {"message_id": raw["message_id"], "emoji": raw["emoji"]}
        raise cannot(content.kind)

    def _file(self, kind: str, raw: dict[str, Any]) -> dict[str, Any]:
        name, mime, file = raw.get("filename"), None, raw.get("link")
        if file is None:
            held = self._held.get(str(raw["id"]))
            if held is None:
                raise cannot("media")
            content, mime, held_name = held
            name, file = name or held_name, in_base64(content)
        told = "voice" if kind == "audio" and raw.get("voice") else kind
        return {"kind": told, "file": file, "mime": mime, "name": name, "text": raw.get("caption")}
