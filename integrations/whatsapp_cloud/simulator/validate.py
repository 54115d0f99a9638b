"""What the simulator takes as a message: the shapes of Meta's own OpenAPI description, written down once more.

Source: facebook/openapi business-messaging-api_v23.0.yaml, commit ecba623; each table names its lines. It knows nothing
of `limits.py`: it is the other pair of eyes. Where the file cannot be right or is older than the API, it is patched:

1. `additionalProperties: false` inside an allOf (2110, 2132, …) would refuse even `messaging_product`: taken to mean
   the whole object.
2. `to` is required (2022): since 2026 a business-scoped user id in `recipient` will do (pywa:pywa/api.py:568).
3. A button's `index` has the pattern `^[2-6, 11-14]$` (1652), a footnote gone astray: 0 to 9.
4. `interactive.type` (2293) lacks `cta_url` and its action (meta:messages/interactive-cta-url-messages).
5. `biz_opaque_callback_data` stands with calls only (1478): messages have it too (pywa:pywa/client.py:684).
6. `latitude`, `longitude` are texts (2202): numbers are taken as well, as pywa sends them.
7. `MediaObject` (1859) knows id and link only: captions as in `MediaObject_1` (2051), file names of documents, and
   `voice` (pywa:pywa/_helpers.py:1162).
8. A variable may have a `parameter_name` (meta:templates/overview).
9. `language.policy` is required (1596): pywa leaves it out, as Meta's newer examples do.
10. The types of components (1630) may be written in capitals, too, as pywa does.
11. No limit for a text: 4,096 (pywa:pywa/client.py:678). No limit of rows over all sections: 10 (callback.py:590).
"""

from collections.abc import Callable, Mapping
from typing import Any

Complaint = str | None
"""What is wrong with a value, None for nothing."""
Schema = Callable[[Any, str], Complaint]


def text(most: int | None = None, *, among: tuple[str, ...] | None = None) -> Schema:
    def look(value: Any, where: str) -> Complaint:
        if not isinstance(value, str) or not value:
            return f"{where} must be a non-empty string"
        if most is not None and len(value) > most:
            return f"{where} must be at most {most} characters long"
        return f"{where} must be one of {among}" if among is not None and value not in among else None

    return look


def flag(value: Any, where: str) -> Complaint:
    return None if isinstance(value, bool) else f"{where} must be a boolean"


def number(value: Any, where: str) -> Complaint:
    try:
        float(value)
    except (TypeError, ValueError):
        return f"{where} must be a number"
    return None


def anything(value: Any, where: str) -> Complaint:
    return None


def many(one: Schema, least: int, most: int) -> Schema:
    def look(value: Any, where: str) -> Complaint:
        if not isinstance(value, list) or not least <= len(value) <= most:
            return f"{where} must be an array of {least} to {most}"
        return next((wrong for place, inner in enumerate(value) if (wrong := one(inner, f"{where}[{place}]"))), None)

    return look


def thing(needed: Mapping[str, Schema], may: Mapping[str, Schema] | None = None) -> Schema:
    known = {**needed, **(may or {})}

    def look(value: Any, where: str) -> Complaint:
        if not isinstance(value, dict):
            return f"{where} must be an object"
        if lacking := [name for name in needed if name not in value]:
            return f"{where}.{lacking[0]} is required"
        if extra := [name for name in value if name not in known]:
            return f"Unexpected key '{extra[0]}' on param '{where}'"
        given = [name for name in value if name in needed or value[name] is not None]  # Graph takes null for absent
        return next((wrong for name in given if (wrong := known[name](value[name], f"{where}.{name}"))), None)

    return look


def either(*schemas: Schema) -> Schema:
    def look(value: Any, where: str) -> Complaint:
        wrong = [schema(value, where) for schema in schemas]
        return None if None in wrong else wrong[0]

    return look


def _media(**may: Schema) -> Schema:  # 1859, 2051
    return either(thing({"id": text()}, may), thing({"link": text()}, may))


_CAPTION = text(1024)
_HEADER = either(  # 2307
    thing({"type": text(among=("text",)), "text": text(60)}, {"sub_text": text(60)}),
    *(
        thing({"type": text(among=(kind,)), kind: _media(**more)})
        for kind, more in (("image", {}), ("video", {}), ("document", {"filename": text()}))
    ),
)
_WORDS = {"header": _HEADER, "footer": thing({"text": text(60)})}  # 2353
_BODY = thing({"text": text(1024)})  # 2340
_REPLY = thing({"type": text(among=("reply",)), "reply": thing({"id": text(256), "title": text(20)})})  # 2388
_ROW = thing({"id": text(200), "title": text(24)}, {"description": text(72)})  # 2539
_SECTION = thing({"rows": many(_ROW, 1, 10)}, {"title": text(24)})  # 2514
_LINK = thing({"name": text(among=("cta_url",)), "parameters": thing({"display_text": text(20), "url": text()})})


def _interactive(kind: str, action: Schema) -> Schema:
    return thing({"type": text(among=(kind,)), "body": _BODY, "action": action}, _WORDS)


_PARAMETER = either(  # 1739–1830
    thing({"type": text(among=("text",)), "text": text(32768)}, {"parameter_name": text()}),
    *(
        thing({"type": text(among=(kind,)), kind: _media(**more)})
        for kind, more in (("image", {}), ("video", {}), ("document", {"filename": text()}))
    ),
)
_INDEX = text(among=tuple("0123456789"))
_COMPONENT = either(  # 1627–1725
    thing({"type": text(among=("body", "BODY")), "parameters": many(_PARAMETER, 1, 100)}),
    thing({"type": text(among=("header", "HEADER")), "parameters": many(_PARAMETER, 1, 1)}),
    thing(
        {
            "type": text(among=("button", "BUTTON")),
            "sub_type": text(among=("quick_reply", "url", "catalog", "QUICK_REPLY", "URL")),
            "index": _INDEX,
            "parameters": many(
                either(
                    thing({"type": text(among=("payload",)), "payload": text()}),
                    thing({"type": text(among=("text",)), "text": text()}),
                ),
                1,
                1,
            ),
        }
    ),
)
_PARTS_OF_A_NAME = ("first_name", "last_name", "middle_name", "prefix", "suffix")
_HOME_OR_WORK = text(among=("HOME", "WORK"))
_CARD = thing(  # 2588
    {"name": thing({"formatted_name": text()}, dict.fromkeys(_PARTS_OF_A_NAME, text()))},
    {
        "phones": many(thing({"phone": text()}, {"type": _HOME_OR_WORK, "wa_id": text()}), 0, 50),
        "emails": many(thing({"email": text()}, {"type": _HOME_OR_WORK}), 0, 50),
        "urls": many(thing({"url": text()}, {"type": _HOME_OR_WORK}), 0, 50),
        "org": thing({}, {"company": text(), "department": text(), "title": text()}),
        "birthday": text(),
        "addresses": anything,
    },
)

BODIES: Mapping[str, Schema] = {
    "text": thing({"body": text(4096)}, {"preview_url": flag}),  # 2107
    "image": _media(caption=_CAPTION),
    "video": _media(caption=_CAPTION),
    "document": _media(caption=_CAPTION, filename=text()),
    "audio": _media(voice=flag),
    "sticker": _media(),  # 2217
    "location": thing({"latitude": number, "longitude": number}, {"name": text(), "address": text()}),  # 2185
    "contacts": many(_CARD, 1, 5),  # 2570
    "reaction": thing(
        {"message_id": text()}, {"emoji": lambda value, where: None if value == "" else text()(value, where)}
    ),
    "interactive": either(  # 2284, 2361
        _interactive("button", thing({"buttons": many(_REPLY, 1, 3)})),
        _interactive("list", thing({"button": text(20), "sections": many(_SECTION, 1, 10)})),
        _interactive("cta_url", _LINK),
    ),
    "template": thing(  # 1577
        {"name": text(512), "language": thing({"code": text()}, {"policy": text(among=("deterministic",))})},
        {"components": many(_COMPONENT, 1, 12)},
    ),
}
_FRAME: dict[str, Schema] = {  # 2015
    "messaging_product": text(among=("whatsapp",)),
    "recipient_type": text(among=("individual",)),
    "type": text(among=tuple(BODIES)),
}
_MAY: dict[str, Schema] = {
    "to": text(),
    "recipient": text(),
    "context": thing({"message_id": text()}),
    "biz_opaque_callback_data": text(512),
}
_READ = thing(  # 2788, 13556
    {"messaging_product": text(among=("whatsapp",)), "status": text(among=("read",)), "message_id": text()},
    {"typing_indicator": thing({"type": text(among=("text",))})},
)


def complaint(body: Any) -> Complaint:
    """What Meta would say against the body of POST /{number id}/messages; None when it would take it."""
    if not isinstance(body, dict):
        return "the body must be an object"
    if "status" in body:
        return _READ(body, "body")
    kind = body.get("type")
    if kind not in BODIES:
        return f"(#100) Param type must be one of {sorted(BODIES)}"
    wrong = thing({**_FRAME, str(kind): BODIES[str(kind)]}, _MAY)(body, "body")
    if wrong is None and bool(body.get("to")) == bool(body.get("recipient")):
        wrong = "The parameter to is required."
    if wrong is None and kind == "interactive" and body["interactive"]["type"] == "list":
        wrong = _list_wrong(body["interactive"]["action"]["sections"])
    if wrong is None and kind == "interactive" and body["interactive"]["type"] == "button":
        replies = [one["reply"] for one in body["interactive"]["action"]["buttons"]]
        if any(len({reply[name] for reply in replies}) < len(replies) for name in ("id", "title")):
            wrong = "Duplicate button ids or titles"
    return wrong


def _list_wrong(sections: list[dict[str, Any]]) -> Complaint:
    rows = [row["id"] for section in sections for row in section["rows"]]
    if len(rows) > 10:
        return "Total row count exceed max allowed count: 10"
    if len(set(rows)) < len(rows):
        return "Duplicate row ids"
    return "Section title is required" if len(sections) > 1 and any("title" not in one for one in sections) else None
