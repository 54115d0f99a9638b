"""A webhook of a mapped gateway → items, and an item → plain values, both by the gateway's map.

The items hold the values, not the gateway's body: so they are read the same way after the map has changed, and no token
that travels in a body is kept.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from integrations.gateway_maps.mapping import GatewayMap, first, moment, text, true
from integrations.gateways import Item

_FILES = {"image", "video", "audio", "voice", "document", "sticker"}


def items(gateway: GatewayMap, body: Mapping[str, Any], received: datetime) -> list[Item]:
    """What `body` tells. A message without an id is known by its content; what the map does not know is a notice."""
    webhook = gateway.part("webhook")
    event, kind = _event(webhook, body)
    frame = {"provider": gateway.provider, "received": received.isoformat(), "event": event[:100]}
    if kind == "message":
        return [_message(webhook, frame, one, body) for one in _each(webhook, body)]
    if kind == "status" and (found := list(_statuses(webhook, frame, body))):
        return found
    if kind == "connection":
        rules = webhook.get("connection") or {}
        state = text(body, rules.get("state")).lower()
        down = state in [str(one).lower() for one in rules.get("down") or []]
        return [Item(f"connection:{_digest(body)}", "notice", frame | {"state": state[:50], "down": down})]
    names = sorted(str(name)[:60] for name in body)[:50]
    return [Item(f"other:{_digest(body)}", "notice", frame | {"names": names})]


def _event(webhook: Mapping[str, Any], body: Mapping[str, Any]) -> tuple[str, str]:
    """(the gateway's word, ours)."""
    rules = webhook.get("events") or {}
    told = [str(found) for path in webhook.get("event") or [] if (found := text(body, path))]
    for word in told:
        for kind, names in rules.items():
            if word.lower() in [str(name).lower() for name in names]:
                return word, str(kind)
    # A body that names no event, and holds something with an id and a sender, is a message.
    rule = webhook.get("message") or {}
    if not told and any(text(_joined(one, body), rule.get("id")) for one in _each(webhook, body)):
        return "", "message"
    return (told[0] if told else ""), "other"


def _each(webhook: Mapping[str, Any], body: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    found = first(body, webhook.get("items"))
    for one in found if isinstance(found, list) else [found if isinstance(found, Mapping) else body]:
        if isinstance(one, Mapping):
            yield one


def _joined(one: Mapping[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
    """The message, with the whole webhook as "body" unless it has a field of that name."""
    return {"body": body, **one}


def _message(
    webhook: Mapping[str, Any], frame: dict[str, Any], one: Mapping[str, Any], body: Mapping[str, Any]
) -> Item:
    rule, raw = webhook.get("message") or {}, _joined(one, body)
    from_me = true(raw, rule.get("from_me"))
    phone = text(raw, rule.get("chat" if from_me else "phone"))
    group = true(raw, rule.get("group")) or phone.endswith(("@g.us", "@broadcast", "@newsletter"))
    message_id = text(raw, rule.get("id"))[:200] or _digest(one)
    if group:
        return Item(f"group:{message_id}", "notice", frame | {"left_out": "group"})
    said = text(raw, rule.get("text"))
    told = text(raw, rule.get("kind")).lower()
    kind = str((webhook.get("kinds") or {}).get(told, "text" if said else "unsupported"))
    lid = text(raw, rule.get("lid"))
    values: dict[str, Any] = {
        "id": message_id,
        "from_me": from_me,
        "phone": _digits(phone),
        "lid": next((one for one in (lid, phone) if one.endswith("@lid")), None),
        "name": "" if from_me else text(raw, rule.get("name"))[:200],
        "kind": "audio" if kind == "voice" else kind,
        "text": said,
        "at": _iso(first(raw, rule.get("time"))),
        "choice": text(raw, rule.get("choice")),
        "reply_to": text(raw, rule.get("reply_to")) or None,
        "callback": text(raw, rule.get("callback")) or None,
    }
    if kind in _FILES:
        mime = text(raw, rule.get("mime")).partition(";")[0].strip()
        media_id = text(raw, rule.get("media_id")) or message_id
        file = {"id": media_id, "mime": mime, "name": text(raw, rule.get("file_name"))[:240], "voice": kind == "voice"}
        values["file"] = file
    if kind == "location":
        values["content"] = {
            name: found for name in ("latitude", "longitude") if (found := first(raw, rule.get(name))) is not None
        }
    if kind == "reaction":
        values["reacts_to"] = text(raw, rule.get("reacts_to")) or None
    if kind == "unsupported":
        values["content"] = {"what": told[:80]}
    name = "echo" if from_me else "message"
    return Item(f"{name}:{message_id}", name, frame | {"message": values})


def _statuses(webhook: Mapping[str, Any], frame: dict[str, Any], body: Mapping[str, Any]) -> Iterator[Item]:
    """One body may tell the status of several messages."""
    rule, names = webhook.get("status") or {}, webhook.get("statuses") or {}
    # The list of ids stands beside the status, or each part of a list has its own.
    wholes = [body] if first(body, rule.get("id")) is not None else list(_each(webhook, body))
    for raw in wholes:
        told = text(raw, rule.get("status")).lower().replace("_", "").replace(" ", "")
        if not told:
            continue
        ids = first(raw, rule.get("id"))
        for one in ids if isinstance(ids, list) else [ids]:
            if isinstance(one, str | int) and str(one):
                values = {
                    "id": str(one)[:200],
                    "status": str(names.get(told, told))[:50],
                    "phone": _digits(text(raw, rule.get("phone"))),
                    "at": _iso(first(raw, rule.get("time"))),
                }
                yield Item(f"status:{values['id']}:{values['status']}", "status", frame | {"status": values})


def _digits(phone: str) -> str | None:
    """The number of "5511999990001:3@s.whatsapp.net" or "+55 11 99999-0001"; None for a linked id or nothing."""
    user, _, host = phone.partition("@")
    if host.lower() in ("lid", "g.us", "broadcast", "newsletter"):
        return None
    digits = "".join(sign for sign in user.partition(":")[0] if sign.isdecimal() and sign.isascii())
    return digits if 7 <= len(digits) <= 15 else None


def _iso(raw: Any) -> str | None:
    found = moment(raw)
    return found.isoformat() if found else None


def _digest(raw: Any) -> str:
    return hashlib.sha256(json.dumps(raw, sort_keys=True, default=str).encode()).hexdigest()[:32]
