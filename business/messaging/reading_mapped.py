"""Items of gateways that are read by a map → what came from outside."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from business.messaging.arrivals import Arrival, Attachment, Echoed, Incoming, Reacted, Seen, Told, Who
from business.messaging.reading_cloud import NO_MOMENT
from core.errors import ArgumentsWrong


def read_mapped(item: Mapping[str, Any]) -> Arrival:
    """One item as integrations/gateway_maps/webhooks.items made it. ArgumentsWrong("gateway_item_broken")."""
    provider = str(item.get("provider") or "gateway")
    if isinstance(raw := item.get("message"), Mapping):
        return _message(raw, _moment(item.get("received")))
    if isinstance(raw := item.get("status"), Mapping):
        at = _moment(raw.get("at"), _moment(item.get("received")))
        to = Who(wa_id=raw.get("phone"), phone=raw.get("phone"))
        return Seen(str(raw["id"]), str(raw["status"]), at, to=to)
    if item.get("left_out"):
        return Told(f"{provider}.group")
    if "down" in item:
        return Told(f"{provider}.connection.{item.get('state') or 'unknown'}", item["down"] is True)
    return Told(f"{provider}.{item.get('event') or 'other'}")


def _message(raw: Mapping[str, Any], received: datetime) -> Arrival:
    message_id, kind, text = str(raw.get("id") or ""), str(raw.get("kind") or "unsupported"), str(raw.get("text") or "")
    if not message_id:
        raise ArgumentsWrong("gateway_item_broken", "a message without an id")
    lid = raw.get("lid")
    who = Who(wa_id=raw.get("phone"), phone=raw.get("phone"), user_id=lid, lid=lid, name=str(raw.get("name") or ""))
    at, content = _moment(raw.get("at"), received), dict(raw.get("content") or {})
    if kind == "reaction" and raw.get("reacts_to") and not raw.get("from_me"):
        return Reacted(message_id, str(raw["reacts_to"]), who, at, text)
    attachment = None
    if isinstance(file := raw.get("file"), Mapping):
        attachment = Attachment(kind, str(file["id"]), str(file["mime"]), str(file["name"]), file["voice"] is True)
    if kind == "location" and {"latitude", "longitude"} <= content.keys():
        where = f"{content['latitude']}, {content['longitude']}"
        text = f"{text} ({where})" if text else where
    elif kind == "unsupported" and not text:
        text = f"[{content.get('what') or 'unsupported'}]"
    if raw.get("from_me"):
        return Echoed(message_id, who, at, kind, text, attachment, content)
    if not who.address:
        raise ArgumentsWrong("gateway_item_broken", "a message from nobody")
    return Incoming(
        message_id, who, at, kind, text, str(raw.get("choice") or ""), attachment, raw.get("reply_to"), content=content
    )


def _moment(raw: Any, otherwise: datetime = NO_MOMENT) -> datetime:
    try:
        found = datetime.fromisoformat(str(raw))
    except ValueError:
        return otherwise
    return found if found.tzinfo else otherwise
