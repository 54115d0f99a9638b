"""What Meta posts to us, item by item: every entry × change × message × status × error of a body, as typed values.

Nothing is lost and nothing takes its siblings along: an item that cannot be understood is an `Unread` with its raw
part, a message of a type we do not know keeps its raw part in `Unknown`, a field of a change that we do not know is a
`Notice`. Both generations are read: until 2025 a contact is a phone number (`wa_id`), since 2026 it has a user id
(`user_id`) and may hide the phone. Shapes: facebook/openapi business-messaging-api_v23.0.yaml lines 7199–8421 (commit
ecba623), and for what is newer the fixtures of pywa (tests/data/updates, commit 0bcf2f1).

Every item has a `key`, the same in every copy, batch and order of the same event: the inbox keeps (number, key) once.

`parse` reads a body at once. An inbox that must answer first uses `walk`, which finds the items and whose they are,
and reads each of them later with `reread`: the same items, with the same keys.
"""

import hashlib
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

import orjson

from core.errors import ArgumentsWrong

Raw = Mapping[str, Any]

DEEPEST = 40
"""Levels of nesting in one item; Meta needs nine. More is no message and could not be stored."""
_CUT = 100
"""Levels at which a body is cut when it is nested without end, so that what stands beside that can be read."""
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|$)|[\[\]{}]', re.DOTALL)
_SUSPECT = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
"""Escapes that may become NUL or a lone surrogate, neither of which PostgreSQL can keep."""
_DIGITS = bytes.maketrans(b"123456789[,-\t\n\r ", b"000000000:::::::")
_LONG_NUMBER = b":" + 19 * b"0"
"""In a body so translated: a number of 19 digits or more may stand there. (In a text, a quote comes before it.)"""
_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")
_FIRST, _LAST = 1_230_768_000, 4_102_444_800
"""2009 to 2100, as seconds: other moments are no moments of WhatsApp's."""


class Where(NamedTuple):
    """What of its surroundings an item needs: whose it is, the field of its change and the moment of its entry."""

    waba_id: str | None
    field: str
    number_id: str | None
    """The business number's id, by which the tenant is known. None when the change does not name it."""
    display_number: str | None
    entry_time: datetime | None


class Person(NamedTuple):
    """A contact as Meta names it: at least one of wa_id and user_id is there."""

    wa_id: str | None
    """As WhatsApp registered it, for instance without the ninth digit; never rewritten."""
    phone: str | None
    """The number the message came from; "may not always match" the wa_id (openapi:7517)."""
    user_id: str | None
    parent_user_id: str | None
    name: str | None
    username: str | None


@dataclass(frozen=True, slots=True)
class Problem:
    """An error of Meta's; `errors.rule(code)` says what to do."""

    code: int
    title: str
    message: str
    details: str


# --- what a message holds -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Text:
    body: str


@dataclass(frozen=True, slots=True)
class Media:
    """image, video, audio, document or sticker. The id expires after 7 days (meta:business-phone-numbers/media)."""

    kind: str
    id: str
    mime: str | None
    sha256: str | None
    caption: str | None
    filename: str | None
    voice: bool
    animated: bool
    url: str | None


@dataclass(frozen=True, slots=True)
class Place:
    latitude: float
    longitude: float
    name: str | None
    address: str | None
    url: str | None


@dataclass(frozen=True, slots=True)
class SharedContact:
    name: str
    phones: tuple[str, ...]
    wa_ids: tuple[str, ...]
    emails: tuple[str, ...]
    company: str | None


@dataclass(frozen=True, slots=True)
class Contacts:
    cards: tuple[SharedContact, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """A button or a row of a list that was tapped. `source`: button, list, or template (its quick reply)."""

    source: str
    id: str
    title: str
    description: str | None


@dataclass(frozen=True, slots=True)
class FlowReply:
    name: str | None
    body: str | None
    response: str
    """JSON as text, as it came."""


@dataclass(frozen=True, slots=True)
class Reaction:
    message_id: str
    emoji: str | None
    """None: it was taken back."""


@dataclass(frozen=True, slots=True)
class Order:
    catalog_id: str | None
    text: str | None
    items: tuple[Raw, ...]


@dataclass(frozen=True, slots=True)
class System:
    """Such as user_changed_number or customer_identity_changed."""

    event: str
    body: str
    new_wa_id: str | None
    new_user_id: str | None


@dataclass(frozen=True, slots=True)
class Edit:
    original_id: str
    content: "Body"


@dataclass(frozen=True, slots=True)
class Revoke:
    original_id: str


@dataclass(frozen=True, slots=True)
class Unsupported:
    """WhatsApp itself could not pass it on (131051). `what` when it says what it was, for instance a poll."""

    what: str | None


@dataclass(frozen=True, slots=True)
class Unknown:
    """A type that we do not know, or one whose content is not as it should be; the raw message has it all."""

    reason: str


Body = (
    Text
    | Media
    | Place
    | Contacts
    | Choice
    | FlowReply
    | Reaction
    | Order
    | System
    | Edit
    | Revoke
    | Unsupported
    | Unknown
)


@dataclass(frozen=True, slots=True)
class Referral:
    """The ad or post through which a conversation began; its answer within 24 h opens 72 free hours."""

    source_type: str | None
    source_id: str | None
    source_url: str | None
    headline: str | None
    body: str | None
    ctwa_clid: str | None
    welcome_text: str | None


# --- items ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Message:
    """A contact wrote to us."""

    where: Where
    key: str
    raw: Raw
    id: str
    sender: Person
    sent_at: datetime | None
    """By the user's own timestamp, whole seconds; None when it is none."""
    kind: str
    """Meta's type, as told."""
    content: Body
    reply_to: str | None
    forwarded: bool
    referral: Referral | None
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Echo:
    """A person wrote from our number in the WhatsApp app (coexistence): a human took over."""

    where: Where
    key: str
    raw: Raw
    id: str
    to: Person
    sent_at: datetime | None
    kind: str
    content: Body


@dataclass(frozen=True, slots=True)
class Status:
    """What became of a message of ours. In any order; sent, delivered, read, played, failed, or a word not known."""

    where: Where
    key: str
    raw: Raw
    message_id: str
    status: str
    at: datetime | None
    recipient_wa_id: str | None
    recipient_user_id: str | None
    callback_data: str | None
    """What we gave along when we sent it."""
    conversation_id: str | None
    window_ends: datetime | None
    origin: str | None
    billable: bool | None
    category: str | None
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Failure:
    """An error that belongs to no single message."""

    where: Where
    key: str
    raw: Raw
    problem: Problem


@dataclass(frozen=True, slots=True)
class Preference:
    """A contact stopped or resumed marketing messages inside WhatsApp."""

    where: Where
    key: str
    raw: Raw
    person: Person
    category: str
    value: str
    """stop, resume, signup"""
    at: datetime | None
    detail: str | None


@dataclass(frozen=True, slots=True)
class TemplateUpdate:
    """A template's state changed. `what`: status, quality, category or components; `value` the new one."""

    where: Where
    key: str
    raw: Raw
    what: str
    template_id: str | None
    name: str
    language: str | None
    value: str
    previous: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Notice:
    """Anything else: account_update, phone_number_quality_update, calls, history, and what we do not know yet."""

    where: Where
    key: str
    raw: Raw
    event: str | None


@dataclass(frozen=True, slots=True)
class Unread:
    """An item that cannot be understood: kept, for a person to look at."""

    where: Where
    key: str
    raw: Any
    reason: str


Item = Message | Echo | Status | Failure | Preference | TemplateUpdate | Notice | Unread


Kind = Literal["message", "echo", "status", "failure", "preference", "template", "notice", "unread"]


@dataclass(slots=True)
class Found:
    """An item as it waits to be read. `stored` is JSON that `reread` understands: the item as it came, and of its
    envelope what is needed. All its texts can be stored."""

    number_id: str | None
    waba_id: str | None
    kind: Kind
    key: str
    stored: dict[str, Any]


def parse(body: bytes) -> list[Item]:
    """All items of a webhook's body, in its order. Meta's bodies have up to 3 MB.

    ArgumentsWrong("whatsapp_webhook_broken", reason) when the whole is no WhatsApp webhook: "json" (not JSON),
    "object" (no object, or of another product), "entry" (no list of entries). All texts of the items can be stored:
    NUL and lone surrogates have become U+FFFD.
    """
    return [_typed(piece) for piece in _pieces(body)]


def walk(body: bytes) -> list[Found]:
    """The same items as `parse`, with the same keys and errors, to be stored first and read later; what a message says
    is not looked at."""
    return [_found(piece) for piece in _pieces(body)]


def reread(stored: Mapping[str, Any]) -> Item:
    """An item that `walk` found, as `parse` gives it. ArgumentsWrong("whatsapp_item_broken"): `walk` never gave it."""
    try:
        where = Where(
            _str(stored, "waba"),
            stored.get("field") or "",
            _str(stored, "number"),
            _str(stored, "display"),
            _moment(stored.get("time")),
        )
        if "unread" in stored:
            return Unread(where, stored["key"], stored["raw"], stored["unread"])
        contact = stored.get("contact")
        listed = _Listed(_people([contact] if contact else []))
        return _typed(_Piece(where, stored.get("list"), stored["raw"], "", listed, True))
    except (KeyError, TypeError, AttributeError):
        raise ArgumentsWrong("whatsapp_item_broken", "this was not stored by walk()") from None


# --- from bytes to pieces -------------------------------------------------------------------------


def _load(body: bytes) -> Any:
    if _LONG_NUMBER not in body.translate(_DIGITS):  # it would make a float of one and lose digits
        try:
            whole = orjson.loads(body)
        except ValueError:  # what it does not take as JSON may still be readable
            whole = _patiently(body)
    else:
        whole = _patiently(body)
    return _storable(whole) if _SUSPECT.search(body) is not None else whole


def _patiently(body: bytes) -> Any:
    """Of JSON with broken UTF-8, numbers beyond all measure or nesting without end."""
    text = body.decode("utf-8", "replace")
    try:
        try:
            return _DECODER.decode(text)
        except RecursionError:
            return _DECODER.decode(_shallow(text))
    except (ValueError, RecursionError):
        raise _broken("json") from None


def _shallow(text: str) -> str:
    """The JSON with a text in place of everything that is nested deeper than _CUT, the same text for the same thing."""
    parts, depth, done, began = [], 0, 0, 0
    for token in _TOKEN.finditer(text):
        if token[0] in "[{":
            depth += 1
            if depth == _CUT + 1:
                began = token.start()
        elif token[0] in "]}":
            depth -= 1
            if depth == _CUT:
                cut = hashlib.sha256(text[began : token.end()].encode("utf-8", "replace")).hexdigest()
                parts += [text[done:began], f'"deep:{cut[:40]}"']
                done = token.end()
    return "".join([*parts, text[done:]])


def _broken(reason: str) -> ArgumentsWrong:
    return ArgumentsWrong("whatsapp_webhook_broken", f"no WhatsApp webhook: {reason}", reason=reason)


def _int(digits: str) -> int | str:
    return int(digits) if len(digits) < 20 else digits


def _float(digits: str) -> float | str:
    number = float(digits)
    return number if math.isfinite(number) else digits


def _constant(name: str) -> None:
    return None  # NaN and Infinity are no JSON


_DECODER = json.JSONDecoder(parse_int=_int, parse_float=_float, parse_constant=_constant)


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return _UNSTORABLE.sub("\ufffd", value)
    if isinstance(value, dict):
        return {_storable(name): _storable(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_storable(one) for one in value]
    return value


# --- entries and changes --------------------------------------------------------------------------


@dataclass(slots=True)
class _Piece:
    """A part of a body that becomes one item. `fault`: why it cannot be one; `name`: the list it stood in, None for a
    change as a whole; `alone`: the list is about one contact only."""

    where: Where
    name: str | None
    raw: Any
    fault: str
    listed: "_Listed"
    alone: bool


def _pieces(body: bytes) -> Iterator[_Piece]:
    whole = _load(body)
    shallow = body.count(b"{") + body.count(b"[") <= DEEPEST  # then nothing in it can be deeper
    if not isinstance(whole, dict) or whole.get("object") != "whatsapp_business_account":
        raise _broken("object")
    entries = whole.get("entry")
    if not isinstance(entries, list):
        raise _broken("entry")
    for entry in entries:
        yield from _entry(entry, shallow)


def _entry(entry: Any, shallow: bool) -> Iterator[_Piece]:
    if not isinstance(entry, dict):
        yield _Piece(Where(None, "", None, None, None), None, entry, "entry", _Listed([]), False)
        return
    waba_id, at = _str(entry, "id"), _moment(entry.get("time"))
    changes = entry.get("changes")
    if not isinstance(changes, list):
        yield _Piece(Where(waba_id, "", None, None, at), None, entry, "changes", _Listed([]), False)
        return
    for change in changes:
        field = _str(change, "field") if isinstance(change, dict) else None
        value = change.get("value") if isinstance(change, dict) else None
        if field is None or not isinstance(value, dict):
            yield _Piece(Where(waba_id, field or "", None, None, at), None, change, "change", _Listed([]), False)
            continue
        metadata = value.get("metadata")
        number_id = _str(metadata, "phone_number_id") if isinstance(metadata, dict) else None
        display = _str(metadata, "display_phone_number") if isinstance(metadata, dict) else None
        yield from _change(Where(waba_id, field, number_id, display, at), value, shallow)


_ENVELOPE = ("messaging_product", "metadata", "contacts")


def _change(where: Where, value: dict[str, Any], shallow: bool) -> Iterator[_Piece]:
    listed = _Listed(_people(value.get("contacts")))
    lists = [name for name in _READERS if value.get(name) is not None] if where.field != "calls" else []
    for name in lists:
        raws = value[name]
        if not isinstance(raws, list):
            yield _Piece(where, None, raws, name, listed, False)
            continue
        alone = len(raws) == 1 or len({_whom(raw) for raw in raws if isinstance(raw, dict)}) == 1
        for raw in raws:
            fault = "" if isinstance(raw, dict) and (shallow or _flat(raw)) else name
            yield _Piece(where, name, raw, fault, listed, alone)
    rest = {name: one for name, one in value.items() if name not in lists and name not in _ENVELOPE}
    if lists and not any(isinstance(one, dict | list) and one for one in rest.values()):
        return
    if not shallow and not _flat(value):
        yield _Piece(where, None, value, "deep", listed, False)
    else:
        yield _Piece(where, None, value if where.field in _TEMPLATE_FIELDS else rest, "", listed, False)


def _typed(piece: _Piece) -> Item:
    where, raw = piece.where, piece.raw
    if piece.fault:
        return _unread(where, raw, piece.fault)
    if piece.name is not None:
        try:
            return _READERS[piece.name](where, raw, piece.listed, piece.alone)
        except _NotReadable as error:
            return _unread(where, raw, str(error))
    if where.field in _TEMPLATE_FIELDS:
        return _template_update(where, raw)
    return Notice(where, _key(where, raw), raw, _str(raw, "event"))


def _found(piece: _Piece) -> Found:
    """The hot lists by their names alone; what is rare is read for it."""
    where, raw = piece.where, piece.raw
    stored: dict[str, Any] = {"field": where.field, "raw": raw}
    for name, told in (("waba", where.waba_id), ("number", where.number_id), ("display", where.display_number)):
        if told is not None:
            stored[name] = told
    if where.entry_time is not None:
        stored["time"] = int(where.entry_time.timestamp())
    if piece.name is not None:
        stored["list"] = piece.name
    kind: Kind
    try:
        if piece.fault or piece.name is None or piece.name not in _NAMED:
            item = _typed(piece)
            if isinstance(item, Unread):
                raise _NotReadable(item.reason)
            kind, key = _KINDS[type(item)], item.key
            contact = piece.listed.of(_str(raw, "wa_id"), _str(raw, "user_id"), piece.alone) if piece.name else _NOBODY
        else:
            kind = _NAMED[piece.name]
            key, contact = _name(kind, raw, piece.listed, piece.alone)
        if contact is not _NOBODY:
            stored["contact"] = _contact(contact)
    except _NotReadable as error:
        unread = _unread(where, raw, str(error))
        kind, key = "unread", unread.key
        stored |= {"raw": unread.raw, "unread": unread.reason, "key": key}
    return Found(where.number_id, where.waba_id, kind, key, stored)


_NAMED: Mapping[str, Kind] = {"messages": "message", "message_echoes": "echo", "statuses": "status"}


def _name(kind: Kind, raw: Raw, listed: "_Listed", alone: bool) -> "tuple[str, Person]":
    """(key, contact as listed) of a message, an echo or a status."""
    if kind == "status":
        return _status_key(raw), listed.only if alone else _NOBODY
    message_id, end = _needed(raw, "id"), "from" if kind == "message" else "to"
    phone, user_id = _str(raw, end), _str(raw, f"{end}_user_id")
    known = listed.of(phone, user_id, alone)
    if phone is None and user_id is None and known.wa_id is None and known.user_id is None:
        raise _NotReadable("nobody")
    return message_id, known


def _whom(raw: Raw) -> str:
    return str(raw.get("from") or raw.get("to") or raw.get("recipient_id") or raw.get("wa_id"))


class _NotReadable(Exception):
    """An item lacks what makes it one."""


def _unread(where: Where, raw: Any, reason: str) -> Unread:
    if isinstance(raw, dict | list) and not _flat(raw):
        return Unread(where, "deep:" + hashlib.sha256(_leaves(raw).encode()).hexdigest()[:40], None, "deep")
    return Unread(where, _key(where, raw), raw, reason)


def _flat(raw: Any) -> bool:
    """Whether it is nested no deeper than DEEPEST; without recursion, for it may be very deep."""
    level = [raw]
    for _ in range(DEEPEST):
        level = [
            inner
            for one in level
            for inner in (one.values() if isinstance(one, dict) else one)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return True
    return False


def _leaves(raw: Any) -> str:
    """All texts and numbers in it, one after the other; without recursion."""
    found, waiting = [], [raw]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            waiting += [inner for pair in one.items() for inner in pair]
        elif isinstance(one, list):
            waiting += one
        else:
            found.append(str(one))
    return "\n".join(found)


def _key(where: Where, raw: Any) -> str:
    """Of an item without an id of its own: what it says, whatever the order of its fields."""
    said = json.dumps([where.waba_id, where.field, str(where.entry_time), raw], sort_keys=True, ensure_ascii=True)
    return "item:" + hashlib.sha256(said.encode()).hexdigest()[:40]


# --- people ---------------------------------------------------------------------------------------


_NOBODY = Person(None, None, None, None, None, None)


class _Listed:
    """The contacts that a change lists, and which of them an item means."""

    __slots__ = ("_by_user", "_by_wa", "only")

    def __init__(self, people: list[Person]) -> None:
        self.only = people[0] if len(people) == 1 else _NOBODY
        self._by_user: dict[str, Person] = {}
        self._by_wa: dict[str, Person] = {}
        for one in people:
            if one.user_id is not None:
                self._by_user.setdefault(one.user_id, one)
            if one.wa_id is not None:
                self._by_wa.setdefault(one.wa_id, one)

    def of(self, phone: str | None, user_id: str | None, alone: bool) -> Person:
        """By user id, by phone, or the only one there is when the change is about one contact only: then it is meant
        even if the item names a phone and the list another wa_id."""
        known = self._by_user.get(user_id) if user_id is not None else None
        if known is None and phone is not None:
            known = self._by_wa.get(phone)
        return known or (self.only if alone else _NOBODY)


def _contact(person: Person) -> dict[str, Any]:
    """A contact as it is listed, of what `_people` reads of it."""
    profile = {name: told for name, told in (("name", person.name), ("username", person.username)) if told is not None}
    ids = (("wa_id", person.wa_id), ("user_id", person.user_id), ("parent_user_id", person.parent_user_id))
    found: dict[str, Any] = {name: told for name, told in ids if told is not None}
    return found | {"profile": profile} if profile else found


def _people(raws: Any) -> list[Person]:
    found = []
    for raw in raws if isinstance(raws, list) else ():
        if isinstance(raw, dict):
            profile = raw.get("profile")
            profile = profile if isinstance(profile, dict) else {}
            found.append(
                Person(
                    _str(raw, "wa_id"),
                    None,
                    _str(raw, "user_id"),
                    _str(raw, "parent_user_id"),
                    _str(profile, "name"),
                    _str(profile, "username"),
                )
            )
    return found


def _person(phone: str | None, user_id: str | None, parent: str | None, listed: _Listed, alone: bool) -> Person:
    """The contact of an item: named by the item itself, completed from the change's list of contacts."""
    known = listed.of(phone, user_id, alone)
    found = Person(
        known.wa_id or phone,
        phone,
        user_id or known.user_id,
        parent or known.parent_user_id,
        known.name,
        known.username,
    )
    if found.wa_id is None and found.user_id is None:
        raise _NotReadable("nobody")
    return found


# --- messages -------------------------------------------------------------------------------------


def _message(where: Where, raw: dict[str, Any], listed: _Listed, alone: bool) -> Message:
    message_id = _needed(raw, "id")
    context = _dict(raw, "context")
    kind = _str(raw, "type") or ""
    return Message(
        where,
        message_id,
        raw,
        message_id,
        _person(_str(raw, "from"), _str(raw, "from_user_id"), _str(raw, "from_parent_user_id"), listed, alone),
        _moment(raw.get("timestamp")),
        kind,
        _content(kind, raw),
        _str(context, "id"),
        context.get("forwarded") is True or context.get("frequently_forwarded") is True,
        _referral(raw.get("referral")),
        _problems(raw.get("errors")),
    )


def _echo(where: Where, raw: dict[str, Any], listed: _Listed, alone: bool) -> Echo:
    message_id = _needed(raw, "id")
    kind = _str(raw, "type") or ""
    return Echo(
        where,
        message_id,
        raw,
        message_id,
        _person(_str(raw, "to"), _str(raw, "to_user_id"), _str(raw, "to_parent_user_id"), listed, alone),
        _moment(raw.get("timestamp")),
        kind,
        _content(kind, raw),
    )


def _content(kind: str, raw: Raw) -> Body:
    try:
        reader = _CONTENTS.get(kind)
        return reader(kind, raw) if reader is not None else Unknown("type")
    except _NotReadable as error:
        return Unknown(str(error))


def _text(kind: str, raw: Raw) -> Body:
    body = _inner(raw, kind).get("body")
    if not isinstance(body, str):
        raise _NotReadable("text.body")
    return Text(body)


def _media(kind: str, raw: Raw) -> Body:
    media = _inner(raw, kind)
    return Media(
        kind,
        _needed(media, "id"),
        _str(media, "mime_type"),
        _str(media, "sha256"),
        _str(media, "caption"),
        _str(media, "filename"),
        media.get("voice") is True,
        media.get("animated") is True,
        _str(media, "url"),
    )


def _place(kind: str, raw: Raw) -> Body:
    place = _inner(raw, kind)
    try:
        latitude, longitude = float(place["latitude"]), float(place["longitude"])
    except (KeyError, TypeError, ValueError):
        raise _NotReadable("location") from None
    if not (abs(latitude) <= 90 and abs(longitude) <= 180):
        raise _NotReadable("location")
    return Place(latitude, longitude, _str(place, "name"), _str(place, "address"), _str(place, "url"))


def _cards(kind: str, raw: Raw) -> Body:
    cards = []
    for one in _dicts(raw.get("contacts")):
        phones = _dicts(one.get("phones"))
        cards.append(
            SharedContact(
                _str(_dict(one, "name"), "formatted_name") or "",
                tuple(found for phone in phones if (found := _str(phone, "phone"))),
                tuple(found for phone in phones if (found := _str(phone, "wa_id"))),
                tuple(found for email in _dicts(one.get("emails")) if (found := _str(email, "email"))),
                _str(_dict(one, "org"), "company"),
            )
        )
    if not cards:
        raise _NotReadable("contacts")
    return Contacts(tuple(cards))


def _interactive(kind: str, raw: Raw) -> Body:
    inner = _inner(raw, kind)
    what = _str(inner, "type")
    if what in ("button_reply", "list_reply"):
        reply = _inner(inner, what)
        return Choice(
            "button" if what == "button_reply" else "list",
            _needed(reply, "id"),
            _str(reply, "title") or "",
            _str(reply, "description"),
        )
    if what == "nfm_reply":
        reply = _inner(inner, what)
        return FlowReply(_str(reply, "name"), _str(reply, "body"), _needed(reply, "response_json"))
    raise _NotReadable("interactive.type")


def _button(kind: str, raw: Raw) -> Body:
    button = _inner(raw, kind)
    title = _str(button, "text") or ""
    return Choice("template", _str(button, "payload") or title, title, None)


def _reaction(kind: str, raw: Raw) -> Body:
    reaction = _inner(raw, kind)
    return Reaction(_needed(reaction, "message_id"), _str(reaction, "emoji"))


def _order(kind: str, raw: Raw) -> Body:
    order = _inner(raw, kind)
    return Order(_str(order, "catalog_id"), _str(order, "text"), tuple(_dicts(order.get("product_items"))))


def _system(kind: str, raw: Raw) -> Body:
    system = _inner(raw, kind)
    return System(
        _str(system, "type") or "",
        _str(system, "body") or "",
        _str(system, "wa_id") or _str(system, "new_wa_id"),
        _str(system, "user_id"),
    )


def _edit(kind: str, raw: Raw) -> Body:
    edit = _inner(raw, kind)
    message = _inner(edit, "message")
    inside = _str(message, "type") or ""
    return Edit(
        _needed(edit, "original_message_id"), Unknown("type") if inside == "edit" else _content(inside, message)
    )


def _revoke(kind: str, raw: Raw) -> Body:
    return Revoke(_needed(_inner(raw, kind), "original_message_id"))


def _unsupported(kind: str, raw: Raw) -> Body:
    return Unsupported(_str(_dict(raw, kind), "type"))


_CONTENTS = {
    "text": _text,
    **dict.fromkeys(("image", "video", "audio", "document", "sticker"), _media),
    "location": _place,
    "contacts": _cards,
    "interactive": _interactive,
    "button": _button,
    "reaction": _reaction,
    "order": _order,
    "system": _system,
    "edit": _edit,
    "revoke": _revoke,
    "unsupported": _unsupported,
    "unknown": _unsupported,
}


def _referral(raw: Any) -> Referral | None:
    if not isinstance(raw, dict):
        return None
    return Referral(
        _str(raw, "source_type"),
        _str(raw, "source_id"),
        _str(raw, "source_url"),
        _str(raw, "headline"),
        _str(raw, "body"),
        _str(raw, "ctwa_clid"),
        _str(_dict(raw, "welcome_message"), "text"),
    )


# --- statuses, errors, preferences, templates -----------------------------------------------------


def _status_key(raw: Raw) -> str:
    message_id, status = _needed(raw, "id"), _needed(raw, "status")
    if raw.get("recipient_type") != "group":
        return f"status:{message_id}:{status}"
    who = _str(raw, "recipient_participant_id") or _str(raw, "recipient_participant_user_id")
    return f"status:{message_id}:{status}:{who}"


def _status(where: Where, raw: dict[str, Any], listed: _Listed, alone: bool) -> Status:
    key = _status_key(raw)
    message_id, status = raw["id"], raw["status"]
    group = raw.get("recipient_type") == "group"
    conversation, pricing = _dict(raw, "conversation"), _dict(raw, "pricing")
    one = listed.only if alone else _NOBODY
    wa_id = _str(raw, "recipient_participant_id" if group else "recipient_id")
    user_id = _str(raw, "recipient_participant_user_id" if group else "recipient_user_id")
    billable = pricing.get("billable")
    return Status(
        where,
        key,
        raw,
        message_id,
        status,
        _moment(raw.get("timestamp")),
        wa_id or one.wa_id,
        user_id or one.user_id,
        _str(raw, "biz_opaque_callback_data"),
        _str(conversation, "id"),
        _moment(conversation.get("expiration_timestamp")),
        _str(_dict(conversation, "origin"), "type"),
        billable if isinstance(billable, bool) else None,
        _str(pricing, "category"),
        _problems(raw.get("errors")),
    )


def _failure(where: Where, raw: dict[str, Any], listed: _Listed, alone: bool) -> Failure:
    return Failure(where, _key(where, raw), raw, _problem(raw))


def _preference(where: Where, raw: dict[str, Any], listed: _Listed, alone: bool) -> Preference:
    return Preference(
        where,
        _key(where, raw),
        raw,
        _person(_str(raw, "wa_id"), _str(raw, "user_id"), _str(raw, "parent_user_id"), listed, alone),
        _str(raw, "category") or "",
        _needed(raw, "value"),
        _moment(raw.get("timestamp")),
        _str(raw, "detail"),
    )


_READERS: Mapping[str, Callable[[Where, dict[str, Any], _Listed, bool], Item]] = {
    "messages": _message,
    "message_echoes": _echo,
    "statuses": _status,
    "user_preferences": _preference,
    "errors": _failure,
}
_KINDS: Mapping[type[Item], Kind] = {
    Message: "message",
    Echo: "echo",
    Status: "status",
    Failure: "failure",
    Preference: "preference",
    TemplateUpdate: "template",
    Notice: "notice",
}
_TEMPLATE_FIELDS = {
    "message_template_status_update": ("status", "event", None),
    "message_template_quality_update": ("quality", "new_quality_score", "previous_quality_score"),
    "template_category_update": ("category", "new_category", "previous_category"),
    "message_template_components_update": ("components", None, None),
}
"""Field of the change → what changed, where the new value stands, where the one before it."""


def _template_update(where: Where, raw: dict[str, Any]) -> Item:
    what, new, before = _TEMPLATE_FIELDS[where.field]
    name = _str(raw, "message_template_name")
    value = _str(raw, new) if new is not None else "changed"
    if name is None or value is None:
        return _unread(where, raw, "template")
    told = raw.get("message_template_id")
    reason = _str(_dict(raw, "rejection_info"), "reason") or _str(raw, "reason")
    return TemplateUpdate(
        where,
        _key(where, raw),
        raw,
        what,
        str(told) if isinstance(told, int | str) else None,
        name,
        _str(raw, "message_template_language"),
        value,
        _str(raw, before) if before is not None else None,
        None if reason == "NONE" else reason,
    )


def _problems(raws: Any) -> tuple[Problem, ...]:
    return tuple(_problem(one) for one in _dicts(raws))


def _problem(raw: Raw) -> Problem:
    code = raw.get("code")
    code = int(code) if isinstance(code, str) and code.isascii() and code.isdecimal() and len(code) < 12 else code
    return Problem(
        code if isinstance(code, int) and not isinstance(code, bool) else -1,
        _str(raw, "title") or "",
        _str(raw, "message") or "",
        _str(_dict(raw, "error_data"), "details") or "",
    )


# --- fields ---------------------------------------------------------------------------------------


def _str(raw: Any, name: str) -> str | None:
    """A text that is not empty."""
    value = raw.get(name)
    return value if isinstance(value, str) and value else None


def _needed(raw: Raw, name: str) -> str:
    value = _str(raw, name)
    if value is None or len(value) > 20_000:
        raise _NotReadable(name)
    return value


def _dict(raw: Raw, name: str) -> Raw:
    value = raw.get(name)
    return value if isinstance(value, dict) else {}


def _inner(raw: Raw, name: str) -> Raw:
    value = raw.get(name)
    if not isinstance(value, dict):
        raise _NotReadable(name)
    return value


def _dicts(raws: Any) -> list[dict[str, Any]]:
    return [one for one in raws if isinstance(one, dict)] if isinstance(raws, list) else []


def _moment(raw: Any) -> datetime | None:
    """Seconds since 1970, as text or number."""
    if isinstance(raw, str) and raw.isascii() and raw.isdecimal() and len(raw) < 12:
        raw = int(raw)
    if isinstance(raw, bool) or not isinstance(raw, int) or not _FIRST <= raw < _LAST:
        return None
    return datetime.fromtimestamp(raw, UTC)
