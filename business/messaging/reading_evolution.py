"""Items of Evolution API → what came from outside."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from business.messaging.arrivals import Arrival, Attachment, Echoed, Edited, Incoming, Reacted, Seen, Told, Who
from business.messaging.reading_cloud import NO_MOMENT
from core.errors import ArgumentsWrong
from integrations.evolution import payloads
from integrations.evolution.payloads import Changed, Peer, Said
from integrations.evolution.webhooks import EDITS, MESSAGES

_STATUSES = {
    "PENDING": "accepted",
    "SERVER_ACK": "sent",
    "DELIVERY_ACK": "delivered",
    "READ": "read",
    "PLAYED": "played",
    "ERROR": "failed",
}
_GONE = {"logout.instance", "remove.instance", "instance.delete"}


def read_evolution(item: Mapping[str, Any]) -> Arrival:
    """One item as integrations/evolution/webhooks.items made it.

    WhatsApp's linked id stands for the business-scoped user id (`Who.user_id`), so that somebody whose telephone is
    hidden can be answered. ArgumentsWrong("gateway_item_broken") for one that names no message.
    """
    event, data = str(item.get("event") or ""), item.get("data")
    raw: Mapping[str, Any] = data if isinstance(data, Mapping) else {}
    received = _when(item)
    if item.get("left_out"):
        return Told("evolution.group")
    if event in MESSAGES:
        found = payloads.message(raw)
        if found is None:
            raise ArgumentsWrong("gateway_item_broken", "a message without an id")
        return _changed(found, received) if isinstance(found, Changed) else _said(found, received)
    if event in EDITS:
        edited = payloads.edit(raw)
        return Told("evolution.protocol") if edited is None else _changed(edited, received)
    if event == "messages.delete":
        deleted = payloads.deletion(raw)
        if deleted is None:
            raise ArgumentsWrong("gateway_item_broken", "a deletion without an id")
        return _changed(deleted, received)
    if event == "messages.update":
        return _status(raw, received)
    return _notice(event, raw)


def _said(said: Said, received: datetime) -> Arrival:
    who, at = _who(said.peer, said.name), said.at or received
    if said.kind == "reaction":
        if said.reacts_to is None:
            raise ArgumentsWrong("gateway_item_broken", "a reaction to nothing")
        if said.from_me:
            return Echoed(said.id, who, at, "reaction", said.text, content={"of": said.reacts_to})
        return Reacted(said.id, said.reacts_to, who, at, said.text)
    attachment = None
    if said.media is not None:
        file = said.media
        attachment = Attachment(file.kind, said.id, file.mime, file.name, file.voice)
    if said.from_me:
        return Echoed(said.id, who, at, said.kind, said.text, attachment, said.content)
    return Incoming(
        said.id,
        who,
        at,
        said.kind,
        said.text,
        said.choice,
        attachment,
        said.reply_to,
        said.referral,
        said.forwarded,
        said.content,
    )


def _changed(changed: Changed, received: datetime) -> Arrival:
    if changed.from_me:
        return Told("evolution.own_edit", detail=changed.of)
    who = _who(changed.peer, "") if changed.peer is not None else Who()
    at = changed.at or received
    suffix = "delete" if changed.text is None else f"edit:{int(at.timestamp())}"
    return Edited(f"{changed.of}:{suffix}", changed.of, who, at, changed.text)


def _status(raw: Mapping[str, Any], received: datetime) -> Arrival:
    found = payloads.progress(raw)
    if found is None:
        return Told("evolution.update")
    who = _who(found.peer, "")
    if found.status == "DELETED":
        if found.from_me:
            return Told("evolution.own_edit", detail=found.id)
        return Edited(f"{found.id}:delete", found.id, who, received, None)
    if not found.from_me:
        return Told("evolution.read_by_us")
    return Seen(found.id, _STATUSES.get(found.status, found.status.lower()), received, to=who)


def _notice(event: str, raw: Mapping[str, Any]) -> Told:
    state = str(raw.get("state") or raw.get("status") or "").lower()
    if event in ("connection.update", "status.instance"):
        grave = state in ("close", "closed", "refused")
        reason = raw.get("statusReason") or raw.get("disconnectionReasonCode") or ""
        return Told(f"evolution.connection.{state or 'unknown'}", grave, str(reason)[:200])
    return Told(f"evolution.{event}", event in _GONE)


def _who(peer: Peer, name: str) -> Who:
    return Who(wa_id=peer.phone, phone=peer.phone, user_id=peer.lid, lid=peer.lid, name=name)


def _when(item: Mapping[str, Any]) -> datetime:
    try:
        found = datetime.fromisoformat(str(item.get("received")))
    except ValueError:
        return NO_MOMENT
    return found if found.tzinfo else NO_MOMENT
