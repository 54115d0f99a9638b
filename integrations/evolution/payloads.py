"""What Evolution API 2.x says over the wire, as typed values. Missing is None, never a zero.

Shapes: EvolutionAPI/evolution-api 2.3.6 (commit 3454bec), whatsapp.baileys.service.ts (prepareMessage, lines 4486–4535,
is what every message goes through), and WhatsApp Web's own message types as Baileys names them. Older servers (2.0 and
2.1) name a status's message `messageId`; that is read, too. Written after the source, never after recorded traffic.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

_PHONE, _LID = "s.whatsapp.net", "lid"
_WRAPPERS = (
    "ephemeralMessage",
    "viewOnceMessage",
    "viewOnceMessageV2",
    "viewOnceMessageV2Extension",
    "documentWithCaptionMessage",
    "deviceSentMessage",
)
_MEDIA = {
    "imageMessage": "image",
    "videoMessage": "video",
    "ptvMessage": "video",
    "audioMessage": "audio",
    "documentMessage": "document",
    "stickerMessage": "sticker",
}
_NOT_CONTENT = ("messageContextInfo", "senderKeyDistributionMessage", "base64", "mediaUrl", "speechToText")


@dataclass(frozen=True)
class Peer:
    """The other side of a chat. `phone` in digits, `lid` as "…@lid": at least one of them for a person."""

    phone: str | None
    lid: str | None
    group: bool = False
    """A group, a channel, a broadcast list or the status feed: nobody that we talk with."""


@dataclass(frozen=True)
class Media:
    kind: str
    mime: str
    name: str
    voice: bool


@dataclass(frozen=True)
class Said:
    """A message. `kind` in WhatsApp's words (text, image, interactive …); `text` what one reads."""

    id: str
    peer: Peer
    from_me: bool
    name: str
    at: datetime | None
    kind: str
    text: str = ""
    choice: str = ""
    media: Media | None = None
    reply_to: str | None = None
    reacts_to: str | None = None
    referral: Mapping[str, Any] | None = None
    forwarded: bool = False
    content: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Changed:
    """A message was edited (`text`) or taken back (`text` None). `peer` is None when Evolution does not say whose."""

    of: str
    peer: Peer | None
    from_me: bool | None
    text: str | None
    at: datetime | None


@dataclass(frozen=True)
class Progressed:
    """`status`: PENDING, SERVER_ACK, DELIVERY_ACK, READ, PLAYED, ERROR or DELETED."""

    id: str
    status: str
    from_me: bool
    peer: Peer


def peer_of(key: Mapping[str, Any]) -> Peer:
    """Who is meant by a message's key. With `addressingMode` "lid" the telephone stands in `remoteJidAlt`."""
    jids = [_jid(key.get(name)) for name in ("remoteJid", "remoteJidAlt", "senderPn", "previousRemoteJid")]
    first = jids[0]
    if first is None or first[1] not in (_PHONE, "c.us", _LID):
        return Peer(None, None, group=True)
    phone = next((user for user, host in filter(None, jids) if host in (_PHONE, "c.us") and user.isdecimal()), None)
    lid = next((f"{user}@{_LID}" for user, host in filter(None, jids) if host == _LID), None)
    return Peer(phone, lid, group=phone is None and lid is None)


def message(raw: Mapping[str, Any]) -> Said | Changed | None:
    """A message of `messages.upsert` or `send.message`; None for one without an id."""
    key = _map(raw.get("key"))
    message_id = _text(key.get("id"))
    if message_id is None:
        return None
    body, context = _unwrapped(_map(raw.get("message"))), dict(_map(raw.get("contextInfo")))
    peer, from_me, at = peer_of(key), key.get("fromMe") is True, moment(raw.get("messageTimestamp"))
    protocol = _map(body.get("protocolMessage")) or _map(
        _map(_map(_map(body.get("editedMessage")).get("message"))).get("protocolMessage")
    )
    if protocol:
        changed = edit(protocol)
        return None if changed is None else Changed(changed.of, peer, from_me, changed.text, changed.at or at)
    name, part = _kind_of(body)
    context = context or dict(_map(_map(part).get("contextInfo")))
    read = _read(name, part)
    return Said(
        message_id,
        peer,
        from_me,
        "" if from_me else _text(raw.get("pushName")) or "",
        at,
        read.pop("kind"),
        reply_to=_text(context.get("stanzaId")),
        referral=_referral(context),
        forwarded=context.get("isForwarded") is True,
        **read,
    )


def edit(raw: Mapping[str, Any]) -> Changed | None:
    """WhatsApp's protocol message inside `messages.edited`: an edit or a revocation; None for its other uses.

    Its key is written from the sender's point of view, so it does not say whose message it is, only which.
    """
    message_id = _text(_map(raw.get("key")).get("id"))
    kind = raw.get("type")
    if message_id is None:
        return None
    at = moment(raw.get("timestampMs"), scale=1_000)
    if kind in ("REVOKE", 0) and not raw.get("editedMessage"):
        return Changed(message_id, None, None, None, at)
    new = _unwrapped(_map(raw.get("editedMessage")))
    if not new:
        return None
    name, part = _kind_of(new)
    return Changed(message_id, None, None, str(_read(name, part).get("text", "")), at)


def deletion(raw: Mapping[str, Any]) -> Changed | None:
    """`messages.delete`: the message's key, or the message with its key inside."""
    key = _map(raw.get("key")) or raw
    message_id = _text(key.get("id"))
    if message_id is None:
        return None
    return Changed(message_id, peer_of(key), key.get("fromMe") is True, None, moment(raw.get("messageTimestamp")))


def progress(raw: Mapping[str, Any]) -> Progressed | None:
    """`messages.update`; None for one that names no message or no status (a poll's vote)."""
    key = _map(raw.get("key"))
    message_id = _text(raw.get("keyId")) or _text(key.get("id")) or _text(raw.get("messageId"))
    status = _text(raw.get("status")) or _text(_map(raw.get("update")).get("status"))
    if message_id is None or status is None:
        return None
    of = key or raw
    return Progressed(message_id, status.upper(), (of.get("fromMe") is True), peer_of(of))


def moment(raw: Any, *, scale: int = 1) -> datetime | None:
    """Seconds since 1970 (or `scale` times as many), as a number, a text, or WhatsApp's {low, high} pair."""
    if isinstance(raw, Mapping):
        low, high = raw.get("low"), raw.get("high")
        raw = (high << 32) + (low & 0xFFFFFFFF) if isinstance(low, int) and isinstance(high, int) else None
    try:
        return datetime.fromtimestamp(int(raw) / scale, UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return None


# --- inside a message -----------------------------------------------------------------------------


def _jid(raw: Any) -> tuple[str, str] | None:
    """(user, host) of "5511999990001:12@s.whatsapp.net": the device's number is left out."""
    if not isinstance(raw, str) or "@" not in raw or len(raw) > 200:
        return None
    user, _, host = raw.partition("@")
    user = user.partition(":")[0].partition("_")[0]
    return (user, host.lower()) if user else None


def _unwrapped(body: Mapping[str, Any]) -> Mapping[str, Any]:
    for _ in range(4):
        inner = next((_map(_map(body.get(name)).get("message")) for name in _WRAPPERS if name in body), None)
        if not inner:
            break
        body = inner
    return body


def _kind_of(body: Mapping[str, Any]) -> tuple[str, Any]:
    for name, part in body.items():
        if name not in _NOT_CONTENT and part is not None:
            return name, part
    return "", {}


def _read(name: str, part: Any) -> dict[str, Any]:
    """What a message of the type `name` says, as the fields of `Said`."""
    if name == "conversation":
        return {"kind": "text", "text": part if isinstance(part, str) else ""}
    raw = _map(part)
    if name == "extendedTextMessage":
        return {"kind": "text", "text": _text(raw.get("text")) or ""}
    if kind := _MEDIA.get(name):
        file = Media(
            kind,
            (_text(raw.get("mimetype")) or "").partition(";")[0].strip(),
            _text(raw.get("fileName")) or _text(raw.get("title")) or "",
            raw.get("ptt") is True,
        )
        return {"kind": kind, "text": _text(raw.get("caption")) or "", "media": file}
    if name in ("locationMessage", "liveLocationMessage"):
        return _place(raw)
    if name in ("contactMessage", "contactsArrayMessage"):
        cards = [_card(_map(one)) for one in (_list(raw.get("contacts")) or [raw])]
        told = [", ".join(one for one in (card["name"], *card["phones"]) if one) for card in cards]
        return {"kind": "contacts", "text": "\n".join(told), "content": {"cards": cards}}
    if name == "reactionMessage":
        of = _text(_map(raw.get("key")).get("id"))
        return {"kind": "reaction", "text": _text(raw.get("text")) or "", "reacts_to": of}
    if name in ("buttonsResponseMessage", "templateButtonReplyMessage"):
        title = _text(raw.get("selectedDisplayText")) or ""
        choice = _text(raw.get("selectedButtonId")) or _text(raw.get("selectedId")) or ""
        return {"kind": "interactive", "text": title or choice, "choice": choice}
    if name == "listResponseMessage":
        choice = _text(_map(raw.get("singleSelectReply")).get("selectedRowId")) or ""
        return {"kind": "interactive", "text": _text(raw.get("title")) or choice, "choice": choice}
    if name == "interactiveResponseMessage":
        return {"kind": "interactive", "text": _text(_map(raw.get("body")).get("text")) or ""}
    if name.startswith("pollCreationMessage"):
        options = [_text(_map(one).get("optionName")) or "" for one in _list(raw.get("options"))]
        return {"kind": "poll", "text": _text(raw.get("name")) or "", "content": {"options": options}}
    what = name[:80] or "none"
    return {"kind": "unsupported", "text": f"[{what}]", "content": {"what": what}}


def _place(raw: Mapping[str, Any]) -> dict[str, Any]:
    latitude, longitude = raw.get("degreesLatitude"), raw.get("degreesLongitude")
    named = [one for one in (_text(raw.get("name")), _text(raw.get("address"))) if one]
    if not isinstance(latitude, int | float) or not isinstance(longitude, int | float):
        return {"kind": "location", "text": ", ".join(named) or "[location]"}
    where = f"{latitude:.6f}, {longitude:.6f}"
    content = {"latitude": latitude, "longitude": longitude, "name": raw.get("name"), "address": raw.get("address")}
    return {
        "kind": "location",
        "text": f"{', '.join(named)} ({where})" if named else where,
        "content": {name: value for name, value in content.items() if value},
    }


def _card(raw: Mapping[str, Any]) -> dict[str, Any]:
    """A contact out of the vCard: its name and telephones."""
    phones = []
    for line in (_text(raw.get("vcard")) or "").splitlines()[:200]:
        field_name, _, value = line.partition(":")
        if field_name.upper().startswith("TEL") or ".TEL" in field_name.upper():
            phones.append(value.strip()[:40])
    return {"name": (_text(raw.get("displayName")) or "")[:200], "phones": phones}


def _referral(context: Mapping[str, Any]) -> dict[str, Any] | None:
    """The advertisement that a chat came by, in the Cloud API's words."""
    shown = _map(context.get("externalAdReply"))
    found = {
        "ctwa_clid": _text(shown.get("ctwaClid")),
        "source_id": _text(shown.get("sourceId")),
        "source_type": _text(shown.get("sourceType")),
        "source_url": _text(shown.get("sourceUrl")),
        "headline": _text(shown.get("title")),
        "body": _text(shown.get("body")),
    }
    # A link's preview has the same shape; an advertisement has an id or a click's id.
    if not (found["ctwa_clid"] or found["source_id"]):
        return None
    return {name: value for name, value in found.items() if value is not None}


def each(data: Any) -> Iterator[Mapping[str, Any]]:
    """The objects of an event's `data`: one, a list of them, or a list inside {"messages": […]}."""
    inner = data.get("messages") if isinstance(data, Mapping) and isinstance(data.get("messages"), list) else data
    for one in inner if isinstance(inner, list) else [inner]:
        if isinstance(one, Mapping):
            yield one


def _map(raw: Any) -> Mapping[str, Any]:
    return raw if isinstance(raw, Mapping) else {}


def _list(raw: Any) -> list[Any]:
    return raw[:257] if isinstance(raw, list) else []


def _text(raw: Any) -> str | None:
    return raw if isinstance(raw, str) and raw else None
