"""The simulated Evolution's chats as the phone in the browser wants them: in the same form as the Cloud API's simulator
gives them (integrations/whatsapp_cloud/simulator, `/__phone/view` and `/__phone/write`), so that there is one phone.

What WhatsApp Web does not know is not there: buttons, templates, user_preferences, a phone without a connection.
"""

import time
import zlib
from collections.abc import Callable
from typing import Any

from integrations.evolution.simulator.state import OWNER, Message, State, new_id
from integrations.sandbox_chats import wa_id_of

_KINDS = {
    "imageMessage": "image",
    "videoMessage": "video",
    "audioMessage": "audio",
    "documentMessage": "document",
    "stickerMessage": "sticker",
}
_STATUSES = {"SERVER_ACK": "sent", "DELIVERY_ACK": "delivered", "READ": "read", "PLAYED": "read"}
_TYPING = 25.0  # seconds that an announced "composing" is shown at most

Write = Callable[[dict[str, Any]], dict[str, Any]]
"""The simulator's own `/__phone/write`."""


def view(state: State, hooks: dict[str, Any], contact: str) -> dict[str, Any]:
    """{"version", "threads", "thread", "hooks", "leads"}; `version` is another number after every change."""
    contacts = dict.fromkeys([one.contact for one in state.messages.values()] + list(state.met))
    threads = [_row(state, one) for one in contacts]
    threads.sort(key=lambda row: -row["at"])
    known = wa_id_of(contact) if contact else ""
    shown = [_shown(state, one) for one in state.thread(known)] + state.phone_events.get(known, [])
    thread = None
    if known in contacts:
        left = _typing(state, known)
        thread = {"contact": _contact(state, known), "typing": left > 0, "typing_for": left, "messages": shown}
    told = {"threads": threads, "thread": thread, "hooks": hooks, "leads": []}
    stable = repr([threads, shown, bool(thread and thread["typing"]), hooks["pending"]])
    return {"version": zlib.crc32(stable.encode("utf-8", "replace")), **told}


def write(state: State, asked: dict[str, Any], own_write: Write) -> dict[str, Any]:
    """A contact writes, in the words of the Cloud API's simulator. ValueError for what WhatsApp Web has no message for;
    KeyError for a message that is not there."""
    contact, kind = wa_id_of(str(asked["from"])), str(asked.get("type"))
    body = asked.get(kind) or {}
    said: dict[str, Any] = {"contact": contact, "name": _name(state, contact)}
    if "context" in asked:
        said["reply_to"] = str(asked["context"]["id"])
    if kind == "text":
        own_write(said | {"text": body["body"]})
    elif kind in _KINDS.values():
        media = {"kind": kind, "content": body["content"], "mime": body.get("mime_type", "")}
        media |= {"voice": body.get("voice"), "caption": body.get("caption"), "file_name": body.get("filename")}
        own_write(said | {"media": media})
    elif kind == "location":
        where = {"degreesLatitude": body["latitude"], "degreesLongitude": body["longitude"], "name": body.get("name")}
        own_write(said | {"message": {"locationMessage": where}})
    elif kind == "contacts":
        name, phone = body[0]["name"]["formatted_name"], body[0]["phones"][0]["wa_id"]
        vcard = f"BEGIN:VCARD\nVERSION:3.0\nFN:{name}\nTEL;type=CELL;waid={phone}:+{phone}\nEND:VCARD"
        own_write(said | {"message": {"contactMessage": {"displayName": name, "vcard": vcard}}})
    elif kind == "reaction":
        key = state.messages[str(body["message_id"])].raw["key"]
        own_write(said | {"message": {"reactionMessage": {"key": key, "text": body.get("emoji", "")}}})
    else:
        raise ValueError(f"no {kind} here")
    return _shown(state, list(state.thread(contact))[-1])


def note_change(state: State, of: Message, text: str | None) -> None:
    """The contact changed (`text`) or took back (None) a message: the phone shows it until the simulator ends."""
    kind = "revoke" if text is None else "edit"
    body: dict[str, Any] = {"original_message_id": of.id}
    if text is not None:
        body["message"] = {"type": "text", "text": {"body": text}}
    event = _frame(new_id(), of.contact, "in", time.time(), {"type": kind, kind: body})
    state.phone_events.setdefault(of.contact, []).append(event)


def _row(state: State, contact: str) -> dict[str, Any]:
    thread = state.thread(contact)
    last = _shown(state, thread[-1]) if thread else None
    unread = sum(one.from_me and one.status == "DELIVERY_ACK" for one in thread)
    return _contact(state, contact) | {"last": last, "at": thread[-1].at if thread else 0.0, "unread": unread}


def _contact(state: State, contact: str) -> dict[str, Any]:
    return {"wa_id": contact, "phone": contact, "name": _name(state, contact), "stopped": False, "line": "on"}


def _name(state: State, contact: str) -> str:
    if contact in state.met:
        return state.met[contact]
    told = (str(one.raw.get("pushName") or "") for one in reversed(state.thread(contact)) if not one.from_me)
    return next((name for name in told if name and name != contact), f"Contato {contact[-4:]}")


def _typing(state: State, contact: str) -> float:
    """For how many seconds more the phone shows that we write."""
    for presence, begun in reversed(list(zip(state.presences, state.presences_at, strict=True))):
        if wa_id_of(str(presence.get("number", "")).partition("@")[0]) == contact:
            delay = float(presence.get("delay") or 0) / 1000
            answered = any(one.from_me and one.at > begun for one in state.thread(contact))
            is_typing = presence.get("presence") == "composing" and not answered
            return max(0.0, begun + min(max(delay, 1.0), _TYPING) - time.time()) if is_typing else 0.0
    return 0.0


def _shown(state: State, one: Message) -> dict[str, Any]:
    message = one.raw.get("message") or {}
    kind = next((name for name in message if name in _KINDS), "")
    body: dict[str, Any]
    if kind:
        part = message[kind]
        inner = {"mime_type": part.get("mimetype", ""), "caption": part.get("caption")}
        inner |= {"filename": part.get("fileName")} | ({"id": one.id} if one.file else {})
        body = {"type": _KINDS[kind], _KINDS[kind]: inner}
    elif "locationMessage" in message:
        place = message["locationMessage"]
        where = {"latitude": place["degreesLatitude"], "longitude": place["degreesLongitude"]}
        body = {"type": "location", "location": where | {"name": place.get("name") or ""}}
    elif "contactMessage" in message:
        card = {"name": {"formatted_name": message["contactMessage"]["displayName"]}}
        body = {"type": "contacts", "contacts": [card]}
    elif "reactionMessage" in message:
        reaction = message["reactionMessage"]
        body = {"type": "reaction", "reaction": {"message_id": reaction["key"]["id"], "emoji": reaction["text"]}}
    else:
        long = (message.get("extendedTextMessage") or {}).get("text")
        body = {"type": "text", "text": {"body": str(message.get("conversation") or long or "")}}
    reply_to = (one.raw.get("contextInfo") or {}).get("stanzaId")
    shown = _frame(one.id, one.contact, "out" if one.from_me else "in", one.at, body, reply_to)
    status = _STATUSES.get(one.status)
    if not one.from_me:
        later = [two for two in state.thread(one.contact) if two.at >= one.at]  # who reads one has read those before
        status = "read" if any(two.id in state.read_by_us for two in later) else None
    steps = {"delivered": ["sent", "delivered"], "read": ["sent", "delivered", "read"]}.get(status or "", [])
    return shown | {"status": status, "statuses": [[step, one.at, None] for step in steps]}


def _frame(
    identity: str, contact: str, direction: str, at: float, body: dict[str, Any], reply_to: str | None = None
) -> dict[str, Any]:
    same = {"id": identity, "number_id": OWNER, "contact": contact, "direction": direction, "at": at, "body": body}
    return same | {"reply_to": reply_to, "held": False, "seen": None, "status": None, "statuses": []}
