"""A webhook of Evolution API 2.x → the items that it is made of, each with a key by which it is known again.

All 33 events are kept (src/api/types/wa.types.ts, commit 3454bec): messages and statuses whole; of what we have no use
for only that it was told. What is never kept: the API key, which travels in every body (`apikey`), QR and pairing
codes, session keys, file contents, other people's groups, and the telephone's address book and history.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from integrations.evolution import payloads
from integrations.gateways import Item

EVENTS = (
    "application.startup",
    "instance.create",
    "instance.delete",
    "qrcode.updated",
    "connection.update",
    "status.instance",
    "messages.set",
    "messages.upsert",
    "messages.edited",
    "messages.update",
    "messages.delete",
    "send.message",
    "send.message.update",
    "contacts.set",
    "contacts.upsert",
    "contacts.update",
    "presence.update",
    "chats.set",
    "chats.update",
    "chats.upsert",
    "chats.delete",
    "groups.upsert",
    "groups.update",
    "group-participants.update",
    "call",
    "typebot.start",
    "typebot.change-status",
    "labels.edit",
    "labels.association",
    "creds.update",
    "messaging-history.set",
    "remove.instance",
    "logout.instance",
)
MESSAGES = ("messages.upsert", "send.message")
EDITS = ("messages.edited", "send.message.update")
WANTED = (
    "MESSAGES_UPSERT",
    "MESSAGES_EDITED",
    "MESSAGES_UPDATE",
    "MESSAGES_DELETE",
    "SEND_MESSAGE",
    "SEND_MESSAGE_UPDATE",
    "CONNECTION_UPDATE",
    "LOGOUT_INSTANCE",
    "REMOVE_INSTANCE",
    "STATUS_INSTANCE",
    "CALL",
)
"""The events that we ask an instance to send, in the words of POST /webhook/set (event.controller.ts:128)."""
_OF_MESSAGE = ("key", "pushName", "contextInfo", "messageType", "messageTimestamp", "status", "source")
_OF_EDIT = ("key", "type", "editedMessage", "timestampMs")
_OF_STATUS = ("key", "keyId", "messageId", "remoteJid", "remoteJidAlt", "fromMe", "status", "update")
_KEPT = ("connection.update", "status.instance", "instance.create", "instance.delete", "remove.instance")
_KEPT_FIELDS = ("instance", "state", "status", "statusReason", "disconnectionReasonCode", "wuid")


def items(body: Mapping[str, Any], at: datetime) -> list[Item]:
    """What `body` tells; an item's `item` is {"event", "instance", "received", "data"}.

    `at`: when it came, for the events that bring no moment of their own (Evolution's `date_time` is its local time with
    a false Z: channel.service.ts:436). An event that is not in the list is kept as a notice. One odd part takes none of
    its siblings along.
    """
    event = str(body.get("event") or "").lower().replace("_", ".") or "none"
    event = next((one for one in EVENTS if one.replace("-", ".") == event.replace("-", ".")), event[:100])
    frame = {"event": event, "instance": str(body.get("instance") or "")[:200], "received": at.isoformat()}
    data = body.get("data")
    found: list[Item] = []
    if event in MESSAGES:
        found = [_message(frame, one) for one in payloads.each(data)]
    elif event in EDITS:
        found = [_edit(frame, one) for one in payloads.each(data)]
    elif event == "messages.delete":
        found = [_deletion(frame, one) for one in payloads.each(data)]
    elif event == "messages.update":
        found = [_status(frame, one) for one in payloads.each(data)]
    return found or [_notice(frame, data, body)]


def _message(frame: dict[str, Any], raw: Mapping[str, Any]) -> Item:
    key = _key(raw)
    if payloads.peer_of(key).group:
        return _left_out(frame, raw, key)
    data = {name: _lean(raw[name]) for name in _OF_MESSAGE if name in raw}
    body = raw.get("message")
    if isinstance(body, Mapping):
        # The file itself is fetched when it is wanted; its thumbnail and keys help nobody who reads this row.
        data["message"] = {name: _lean(value) for name, value in body.items() if name not in ("base64", "mediaUrl")}
    kind = "echo" if key.get("fromMe") is True else "message"
    return Item(f"{kind}:{_id(key, raw)}", kind, frame | {"data": data})


def _edit(frame: dict[str, Any], raw: Mapping[str, Any]) -> Item:
    changed = payloads.edit(raw)
    told = _digest([raw.get("timestampMs"), changed.text if changed else raw])
    return Item(f"edit:{_id(_key(raw), raw)}:{told}", "message", frame | {"data": _only(raw, _OF_EDIT)})


def _deletion(frame: dict[str, Any], raw: Mapping[str, Any]) -> Item:
    key = _key(raw) or raw
    if payloads.peer_of(key).group:
        return _left_out(frame, raw, key)
    kept = {name: key[name] for name in ("id", "remoteJid", "remoteJidAlt", "fromMe") if name in key}
    data = {"key": kept, "messageTimestamp": raw.get("messageTimestamp")}
    return Item(f"delete:{_id(key, raw)}", "message", frame | {"data": data})


def _status(frame: dict[str, Any], raw: Mapping[str, Any]) -> Item:
    found = payloads.progress(raw)
    if found is None:
        return Item(f"messages.update:{_digest(raw)}", "notice", frame | {"data": _only(raw, _OF_STATUS)})
    if found.peer.group:
        return _left_out(frame, raw, _key(raw) or raw)
    # A status of somebody else's message says that we have read it; that it is gone concerns us whoever wrote it.
    kind = "message" if found.status == "DELETED" else "status" if found.from_me else "notice"
    return Item(f"status:{found.id}:{found.status}", kind, frame | {"data": _only(raw, _OF_STATUS)})


def _left_out(frame: dict[str, Any], raw: Mapping[str, Any], key: Mapping[str, Any]) -> Item:
    """Groups, channels and the status feed are nobody's conversation with us: that something came, no word of it."""
    return Item(f"group:{_id(key, raw)}:{_digest(raw)}", "notice", frame | {"data": {}, "left_out": "group"})


def _notice(frame: dict[str, Any], data: Any, body: Mapping[str, Any]) -> Item:
    kept: dict[str, Any] = {}
    if frame["event"] in _KEPT and isinstance(data, Mapping):
        kept = {name: _lean(data[name]) for name in _KEPT_FIELDS if name in data}
    elif frame["event"] not in EVENTS:
        kept = {"names": sorted(str(name)[:60] for name in data)[:50]} if isinstance(data, Mapping) else {}
    elif isinstance(data, list):
        kept = {"count": len(data)}
    told = _digest([data, body.get("date_time")])
    return Item(f"{frame['event']}:{told}", "notice", frame | {"data": kept})


def _key(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    key = raw.get("key")
    return key if isinstance(key, Mapping) else {}


def _id(key: Mapping[str, Any], raw: Mapping[str, Any]) -> str:
    found = key.get("id")
    return found[:200] if isinstance(found, str) and found else _digest(raw)


def _digest(raw: Any) -> str:
    return hashlib.sha256(json.dumps(raw, sort_keys=True, default=str).encode()).hexdigest()[:32]


_BULKY = frozenset(
    {
        "jpegThumbnail",
        "thumbnail",
        "thumbnailDirectPath",
        "mediaKey",
        "fileEncSha256",
        "fileSha256",
        "scansSidecar",
        "streamingSidecar",
        "waveform",
        "messageSecret",
        "deviceListMetadata",
        "base64",
        "apikey",
        "quotedMessage",
    }
)


def _only(raw: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: _lean(raw[name]) for name in names if name in raw}


def _lean(raw: Any) -> Any:
    """Without pictures, keys of files, and copies of other messages."""
    if isinstance(raw, Mapping):
        return {name: _lean(value) for name, value in raw.items() if name not in _BULKY}
    return [_lean(one) for one in raw] if isinstance(raw, list) else raw
