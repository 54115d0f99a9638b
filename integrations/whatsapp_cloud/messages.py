"""What we may say on WhatsApp, as the payloads of POST /{phone number id}/messages.

A builder gives a `Content`, which can be stored as JSON and read back; `message` addresses it. Both check everything
against `limits.py`: what Meta would refuse is never sent. Shapes: facebook/openapi business-messaging-api_v23.0.yaml
lines 2015–2804 (see `limits.py` for the commit); `cta_url`, `recipient` and `voice` are newer than that file and follow
Meta's pages and pywa. Errors are those of `limits.check`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from integrations.whatsapp_cloud import limits
from integrations.whatsapp_cloud.limits import MOST_ROWS, empty, malformed, too_many

PHONE = re.compile(r"\+?[1-9][0-9]{6,14}")
"""E.164, with or without the plus. What WhatsApp told as wa_id is used as told, never rewritten (the ninth digit)."""
USER_ID = re.compile(r"[A-Z]{2}\.(?:ENT\.)?[A-Za-z0-9]{1,128}")
"""A business-scoped user id (2026): a user with a username may hide the phone number."""
MESSAGE_ID = re.compile(r"wamid\.[\w+/=.-]{1,500}")
GATEWAY_MESSAGE_ID = re.compile(r"[A-Za-z0-9][\w:.=-]{9,199}")
"""As gateways over WhatsApp Web name a message: a reaction may be stored for them, but not sent by the Cloud API."""
TEMPLATE_NAME = re.compile(r"[a-z0-9_]+")
LANGUAGE = re.compile(r"[a-z]{2,3}(?:_[A-Za-z]{2,4})?")
KINDS = (
    "text",
    "image",
    "video",
    "audio",
    "document",
    "sticker",
    "location",
    "contacts",
    "reaction",
    "interactive",
    "template",
)
_EMOJI = re.compile(r"[^\w\s.,;:!?'\"()\[\]{}<>@&%$/\\|+=-]{1,30}|[0-9#*]\ufe0f?\u20e3")
_PARAMETER_GAP = re.compile(r"[\n\r\t]| {5,}")


@dataclass(frozen=True)
class Content:
    """What is said, without to whom."""

    kind: str
    """One of KINDS."""
    payload: Any
    """The value beside the field named `kind`: an object, for contacts a list."""

    def as_json(self) -> dict[str, Any]:
        return {"type": self.kind, self.kind: self.payload}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> "Content":
        """A content that was stored with `as_json`, checked anew: the table may have changed since."""
        kind = raw.get("type")
        if kind not in KINDS or kind not in raw:
            raise malformed("text", "kind", "type")
        return checked(str(kind), raw[kind])


@dataclass(frozen=True)
class MediaRef:
    """A media object to send: one that was uploaded (`id`), or a public address from which Meta fetches it (`link`)."""

    id: str | None = None
    link: str | None = None

    def as_json(self) -> dict[str, Any]:
        return _given(id=self.id, link=self.link)


@dataclass(frozen=True)
class Button:
    id: str
    title: str


@dataclass(frozen=True)
class Row:
    id: str
    title: str
    description: str | None = None


@dataclass(frozen=True)
class Section:
    title: str | None
    """Needed when there are several."""
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Card:
    """A person's contact details, to be shared."""

    name: str
    phones: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    company: str | None = None
    title: str | None = None
    urls: tuple[str, ...] = ()


@dataclass(frozen=True)
class HeaderMedia:
    """A picture, film or document above an interactive message or a template."""

    kind: str
    """image, video or document"""
    media: MediaRef
    filename: str | None = None

    def as_json(self) -> dict[str, Any]:
        name = {"filename": self.filename} if self.filename is not None and self.kind == "document" else {}
        return {"type": self.kind, self.kind: self.media.as_json() | name}


# --- builders -------------------------------------------------------------------------------------


def text(body: str, *, preview: bool = False) -> Content:
    """Plain words, up to 4,096 characters. `preview` shows a picture of the first address in it."""
    return checked("text", {"body": body, "preview_url": preview})


def image(media: MediaRef, caption: str | None = None) -> Content:
    return _media("image", media, caption=caption)


def video(media: MediaRef, caption: str | None = None) -> Content:
    return _media("video", media, caption=caption)


def audio(media: MediaRef, *, voice: bool = False) -> Content:
    """Sound. `voice` shows it as a voice note; that wants Ogg with the Opus codec (pywa:pywa/client.py:1117)."""
    return _media("audio", media, voice=True if voice else None)


def document(media: MediaRef, filename: str | None = None, caption: str | None = None) -> Content:
    return _media("document", media, filename=filename, caption=caption)


def sticker(media: MediaRef) -> Content:
    return _media("sticker", media)


def location(latitude: float, longitude: float, name: str | None = None, address: str | None = None) -> Content:
    """A place on the map, degrees. The numbers travel as texts (openapi:2205)."""
    where = {"latitude": repr(float(latitude)), "longitude": repr(float(longitude))}
    return checked("location", where | _given(name=name, address=address))


def contacts(cards: Sequence[Card]) -> Content:
    """One to five people's contact details."""
    return checked("contacts", [_card(one) for one in cards])


def reaction(message_id: str, emoji: str | None) -> Content:
    """An emoji on a message of the user's, 30 days old at most; None takes it back (meta: reaction-messages)."""
    return checked("reaction", {"message_id": message_id, "emoji": emoji or ""})


def buttons(
    body: str, choices: Sequence[Button], *, header: str | HeaderMedia | None = None, footer: str | None = None
) -> Content:
    """A question with one to three buttons."""
    action = {"buttons": [{"type": "reply", "reply": {"id": one.id, "title": one.title}} for one in choices]}
    return _interactive("button", body, action, header, footer)


def option_list(
    body: str, label: str, sections: Sequence[Section], *, header: str | None = None, footer: str | None = None
) -> Content:
    """A question with up to ten options behind a button called `label`."""
    action = {
        "button": label,
        "sections": [
            _given(title=section.title)
            | {
                "rows": [
                    {"id": row.id, "title": row.title} | _given(description=row.description) for row in section.rows
                ]
            }
            for section in sections
        ],
    }
    return _interactive("list", body, action, header, footer)


def link_button(
    body: str, label: str, url: str, *, header: str | HeaderMedia | None = None, footer: str | None = None
) -> Content:
    """Words with one button that opens an address."""
    action = {"name": "cta_url", "parameters": {"display_text": label, "url": url}}
    return _interactive("cta_url", body, action, header, footer)


def template(
    name: str,
    language: str,
    *,
    header: str | HeaderMedia | None = None,
    header_name: str | None = None,
    body: Sequence[str] | Mapping[str, str] = (),
    button_values: Mapping[int, tuple[str, str]] | None = None,
) -> Content:
    """An approved template with its variables: `body` by position or, for named ones, by name; `header` is the value of
    the header's variable (called `header_name` when it is named) or its media; `button_values` by the button's place:
    ("url", end of the address) or ("quick_reply", payload). `templates.fill` knows which values a template wants.
    """
    components: list[dict[str, Any]] = []
    if isinstance(header, HeaderMedia):
        components.append({"type": "header", "parameters": [header.as_json()]})
    elif header is not None:
        components.append({"type": "header", "parameters": [_parameter(header, header_name)]})
    if isinstance(body, Mapping) and body:
        components.append({"type": "body", "parameters": [_parameter(value, key) for key, value in body.items()]})
    elif body:
        components.append({"type": "body", "parameters": [_parameter(value, None) for value in body]})
    for place, (kind, value) in sorted((button_values or {}).items()):
        parameter = {"type": "payload", "payload": value} if kind == "quick_reply" else {"type": "text", "text": value}
        components.append({"type": "button", "sub_type": kind, "index": str(place), "parameters": [parameter]})
    # The policy is the only one there is; the official description still demands it (openapi:1608).
    payload: dict[str, Any] = {"name": name, "language": {"policy": "deterministic", "code": language}}
    return checked("template", payload | ({"components": components} if components else {}))


# --- whole requests -------------------------------------------------------------------------------


def message(
    to: str, content: Content, *, reply_to: str | None = None, callback_data: str | None = None
) -> dict[str, Any]:
    """The request for one message. `to`: a phone number, a wa_id or a business-scoped user id, as WhatsApp told it.

    `callback_data` (up to 512 characters) comes back with every status of the message: our key, by which a send whose
    answer was lost is recognised.
    """
    checked(content.kind, content.payload)
    if content.kind == "reaction":
        _message_id(content.payload["message_id"], "reaction.message_id")
    request: dict[str, Any] = {"messaging_product": "whatsapp", "recipient_type": "individual"} | recipient(to)
    if reply_to is not None:
        _message_id(reply_to, "context.message_id")
        request["context"] = {"message_id": reply_to}
    if callback_data is not None:
        request["biz_opaque_callback_data"] = callback_data
        limits.check(request)
    return request | content.as_json()


def read(message_id: str, *, typing: bool = False) -> dict[str, Any]:
    """The request that marks a message of the user's as read, and shows that we write (until the answer, or 25 s)."""
    _message_id(message_id, "message_id")
    request: dict[str, Any] = {"messaging_product": "whatsapp", "status": "read", "message_id": message_id}
    return request | ({"typing_indicator": {"type": "text"}} if typing else {})


def recipient(to: str) -> dict[str, str]:
    """The field that addresses `to`: `recipient` for a user id (pywa:pywa/_helpers.py:1024), else `to`."""
    if USER_ID.fullmatch(to):
        return {"recipient": to}
    if PHONE.fullmatch(to):
        return {"to": to}
    raise malformed("recipient", "phone", "to")


# --- checks that are more than a number -----------------------------------------------------------


def checked(kind: str, payload: Any) -> Content:
    """`payload` as a content, refused when WhatsApp would refuse it."""
    if kind not in KINDS:
        raise malformed("text", "kind", "type")
    if not _right_shape(kind, payload):
        raise malformed("text", "kind", kind)
    for field in _NEEDED.get(kind, ()):
        if field not in payload:
            raise empty(field if field in ("body", "header") else "text", f"{kind}.{field}")
    limits.check({kind: payload})
    if kind in ("image", "video", "audio", "document", "sticker"):
        _check_media(payload, kind)
    elif kind == "location":
        _check_location(payload)
    elif kind == "contacts":
        _check_contacts(payload)
    elif kind == "reaction":
        _check_reaction(payload)
    elif kind == "interactive":
        _check_interactive(payload)
    elif kind == "template":
        _check_template(payload)
    return Content(kind, payload)


def _right_shape(kind: str, payload: Any) -> bool:
    return isinstance(payload, list) if kind == "contacts" else isinstance(payload, Mapping)


_NEEDED = {
    "text": ("body",),
    "location": ("latitude", "longitude"),
    "interactive": ("type", "body", "action"),
    "template": ("name", "language"),
}


def _check_media(payload: Mapping[str, Any], field: str) -> None:
    media_id, link = payload.get("id"), payload.get("link")
    if (media_id is None) == (link is None):
        raise malformed("media", "media", field)
    if media_id is not None and (not isinstance(media_id, str) or not re.fullmatch(r"[\w-]{1,100}", media_id)):
        raise malformed("media", "media", f"{field}.id")
    if link is not None:
        _check_url(link, f"{field}.link", "media")
    allowed = {"id", "link"} | {
        "image": {"caption"},
        "video": {"caption"},
        "audio": {"voice"},
        "document": {"caption", "filename"},
    }.get(field, set())
    if extra := set(payload) - allowed:
        raise malformed("caption" if "caption" in extra else "media", "not_here", f"{field}.{min(extra)}")


def _check_location(payload: Mapping[str, Any]) -> None:
    for name, most in (("latitude", 90.0), ("longitude", 180.0)):
        try:
            degrees = float(payload[name])
        except (TypeError, ValueError):
            raise malformed("location", "range", f"location.{name}") from None
        if not -most <= degrees <= most:  # also false for NaN
            raise malformed("location", "range", f"location.{name}")


def _check_contacts(payload: list[Any]) -> None:
    for place, card in enumerate(payload):
        name = card.get("name") if isinstance(card, Mapping) else None
        if not isinstance(name, Mapping) or not str(name.get("formatted_name") or "").strip():
            raise empty("contact_name", f"contacts[{place}].name.formatted_name")
        for email in card.get("emails", ()):
            if not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", str(email.get("email"))):
                raise malformed("email", "email", f"contacts[{place}].emails")
        for url in card.get("urls", ()):
            _check_url(url.get("url"), f"contacts[{place}].urls", "url")


def _check_reaction(payload: Mapping[str, Any]) -> None:
    of = payload.get("message_id")
    if not (isinstance(of, str) and GATEWAY_MESSAGE_ID.fullmatch(of)):
        _message_id(of, "reaction.message_id")
    emoji = payload.get("emoji")
    if not isinstance(emoji, str) or (emoji and not _EMOJI.fullmatch(emoji)):
        raise malformed("emoji", "emoji", "reaction.emoji")


def _check_interactive(payload: Mapping[str, Any]) -> None:
    kind, action = payload.get("type"), payload["action"]
    body = payload["body"]
    if not isinstance(body, Mapping) or "text" not in body:
        raise empty("body", "interactive.body.text")
    if not isinstance(action, Mapping):
        raise malformed("buttons", "kind", "interactive.action")
    header = payload.get("header")
    if header is not None:
        _check_header(header, text_only=kind == "list")
    if kind == "button":
        replies = [one.get("reply") if isinstance(one, Mapping) else None for one in action.get("buttons", [])]
        if not replies:
            raise empty("buttons", "interactive.action.buttons")
        _check_choices(replies, "button", "interactive.action.buttons[].reply")
    elif kind == "list":
        _check_list(action)
    elif kind == "cta_url":
        parameters = action.get("parameters")
        if not isinstance(parameters, Mapping) or "display_text" not in parameters:
            raise empty("button_title", "interactive.action.parameters.display_text")
        _check_url(parameters.get("url"), "interactive.action.parameters.url", "url")
    else:
        raise malformed("text", "kind", "interactive.type")


def _check_list(action: Mapping[str, Any]) -> None:
    if "button" not in action:
        raise empty("button_title", "interactive.action.button")
    sections = action.get("sections")
    if not sections:
        raise empty("sections", "interactive.action.sections")
    rows: list[Any] = []
    for place, section in enumerate(sections):
        if not isinstance(section, Mapping) or not section.get("rows"):
            raise empty("rows", f"interactive.action.sections[{place}].rows")
        if len(sections) > 1 and "title" not in section:
            raise malformed("section_title", "title_missing", f"interactive.action.sections[{place}].title")
        rows += section["rows"]
    if len(rows) > MOST_ROWS.most:
        raise too_many(MOST_ROWS, len(rows))
    _check_choices(rows, "row", "interactive.action.sections[].rows[]", unique_titles=False)


def _check_choices(found: Sequence[Any], part: str, field: str, *, unique_titles: bool = True) -> None:
    """Ids and titles are there and (openapi:2405 ff.) unique; ids have no space around them."""
    ids, titles = set(), set()
    for one in found:
        if not isinstance(one, Mapping) or "id" not in one:
            raise empty(f"{part}_id", f"{field}.id")
        if "title" not in one:
            raise empty(f"{part}_title", f"{field}.title")
        if one["id"] != one["id"].strip():
            raise malformed(f"{part}_id", "spaces", f"{field}.id")
        if one["id"] in ids:
            raise malformed(f"{part}_id", "unique", f"{field}.id")
        if unique_titles and one["title"] in titles:
            raise malformed(f"{part}_title", "unique", f"{field}.title")
        ids.add(one["id"])
        titles.add(one["title"])


def _check_header(header: Any, *, text_only: bool) -> None:
    kind = header.get("type") if isinstance(header, Mapping) else None
    if kind not in (("text",) if text_only else ("text", "image", "video", "document")) or kind not in header:
        raise malformed("header", "kind", "interactive.header")
    if kind != "text":
        media = {name: value for name, value in header[kind].items() if name != "filename"}
        _check_media(media, str(kind))
        if "caption" in media:
            raise malformed("caption", "not_here", f"interactive.header.{kind}.caption")


def _check_template(payload: Mapping[str, Any]) -> None:
    if not TEMPLATE_NAME.fullmatch(payload["name"]):
        raise malformed("template_name", "name", "template.name")
    language = payload["language"]
    if not isinstance(language, Mapping) or not LANGUAGE.fullmatch(str(language.get("code") or "")):
        raise malformed("language", "language", "template.language.code")
    for component in payload.get("components", ()):
        kind = component.get("type")
        if kind not in ("header", "body", "button"):
            raise malformed("template_name", "kind", "template.components[].type")
        if kind == "button" and not re.fullmatch(r"[0-9]", str(component.get("index"))):
            raise malformed("buttons", "range", "template.components[].index")
        for parameter in component.get("parameters", ()):
            value = parameter.get("text")
            if isinstance(value, str) and _PARAMETER_GAP.search(value):
                # Meta: "Param text cannot have new-line/tab characters or more than 4 consecutive spaces" (132018).
                raise malformed("variable", "newline", "template.components[].parameters[].text")


def _check_url(url: Any, field: str, part: str) -> None:
    try:
        parts = urlsplit(url) if isinstance(url, str) else None
    except ValueError:
        parts = None
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname or re.search(r"\s", str(url)):
        raise malformed(part, "url", field)


def _message_id(value: Any, field: str) -> None:
    if not isinstance(value, str) or not MESSAGE_ID.fullmatch(value):
        raise malformed("message_id", "message_id", field)


# --- putting payloads together --------------------------------------------------------------------


def _media(kind: str, media: MediaRef, **more: Any) -> Content:
    return checked(kind, media.as_json() | _given(**more))


def _interactive(
    kind: str, body: str, action: dict[str, Any], header: str | HeaderMedia | None, footer: str | None
) -> Content:
    payload: dict[str, Any] = {"type": kind}
    if header is not None:
        payload["header"] = {"type": "text", "text": header} if isinstance(header, str) else header.as_json()
    payload["body"] = {"text": body}
    if footer is not None:
        payload["footer"] = {"text": footer}
    return checked("interactive", payload | {"action": action})


def _parameter(value: str, name: str | None) -> dict[str, Any]:
    return {"type": "text", "text": value} | _given(parameter_name=name)


def _card(card: Card) -> dict[str, Any]:
    first, _, last = card.name.strip().partition(" ")
    found: dict[str, Any] = {
        "name": {"formatted_name": card.name, "first_name": first} | _given(last_name=last or None)
    }
    if card.phones:
        found["phones"] = [{"phone": one, "type": "WORK"} for one in card.phones]
    if card.emails:
        found["emails"] = [{"email": one, "type": "WORK"} for one in card.emails]
    if card.urls:
        found["urls"] = [{"url": one, "type": "WORK"} for one in card.urls]
    org = _given(company=card.company, title=card.title)
    return found | ({"org": org} if org else {})


def _given(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
