"""What the Cloud API accepts in a message, as a table: each row names a field of the payload, its limit, its source.

Meta answers most violations with a bare 131009 or 100, some only after a while; so a message is checked against this
table before it leaves. Where sources disagree the stricter one stands here. Sources, read in November 2026:

openapi:N     facebook/openapi, business-messaging-api_v23.0.yaml, commit ecba623, line N
pywa:FILE:N   david-lev/pywa, commit 0bcf2f1, line N, which repeats Meta's pages
meta:PAGE     developers.facebook.com/documentation/business-messaging/whatsapp/PAGE
infobip       infobip.com/docs/whatsapp/message-types-and-templates/free-form-messages

Characters are counted as UTF-16 units, so an emoji counts two: Meta does not say how it counts, and this is the larger.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from core.errors import ArgumentsWrong


@dataclass(frozen=True)
class Limit:
    """One row. `field` is a path into the payload (`[]` stands for every element of a list).

    `most` is in characters for a text and in elements for a list, and `least` is 1: what is there is never empty.
    """

    field: str
    part: str
    """What people call it: a word of the texts `error.whatsapp_too_long` and its like."""
    most: int
    source: str

    @property
    def list(self) -> bool:
        return self.field.endswith("[]")


LIMITS: tuple[Limit, ...] = (
    Limit("text.body", "text", 4096, "pywa:pywa/client.py:678; meta:messages/text-messages"),
    Limit("image.caption", "caption", 1024, "openapi:2065"),
    Limit("video.caption", "caption", 1024, "openapi:2065"),
    Limit("document.caption", "caption", 1024, "openapi:2065"),
    Limit("document.filename", "filename", 240, "infobip"),
    Limit(
        "contacts[]", "contacts", 5, "openapi:2587 (Meta's page says 257 and advises fewer: pywa:pywa/client.py:1519)"
    ),
    Limit("interactive.header.text", "header", 60, "openapi:2327"),
    Limit(
        "interactive.body.text", "body", 1024, "openapi:2350 (for lists meta:messages/interactive-list-messages: 4096)"
    ),
    Limit("interactive.footer.text", "footer", 60, "openapi:2360"),
    Limit("interactive.action.buttons[]", "buttons", 3, "openapi:2387"),
    Limit("interactive.action.buttons[].reply.id", "button_id", 256, "openapi:2408"),
    Limit("interactive.action.buttons[].reply.title", "button_title", 20, "openapi:2412"),
    Limit("interactive.action.button", "button_title", 20, "openapi:2372"),
    Limit("interactive.action.sections[]", "sections", 10, "openapi:2377"),
    Limit("interactive.action.sections[].title", "section_title", 24, "openapi:2521"),
    Limit("interactive.action.sections[].rows[]", "rows", 10, "openapi:2538"),
    Limit("interactive.action.sections[].rows[].id", "row_id", 200, "openapi:2548"),
    Limit("interactive.action.sections[].rows[].title", "row_title", 24, "openapi:2552"),
    Limit("interactive.action.sections[].rows[].description", "row_description", 72, "openapi:2556"),
    Limit(
        "interactive.action.parameters.display_text", "button_title", 20, "meta:messages/interactive-cta-url-messages"
    ),
    Limit("interactive.action.parameters.url", "url", 2000, "pywa:pywa/types/templates.py:2629 (of template buttons)"),
    Limit("template.name", "template_name", 512, "pywa:pywa/client.py:2930"),
    Limit("template.components[].parameters[].text", "variable", 1024, "meta:templates/components (the whole body)"),
    Limit("template.components[].parameters[].payload", "button_id", 256, "pywa:pywa/types/templates.py:2573"),
    Limit("biz_opaque_callback_data", "callback_data", 512, "openapi:1480 (calls); pywa:pywa/client.py:684 (messages)"),
)
MOST_ROWS = Limit(
    "interactive.action.sections[].rows[]", "rows", 10, "pywa:pywa/types/callback.py:590: over all sections together"
)

TEMPLATE_LIMITS: tuple[Limit, ...] = (
    Limit("name", "template_name", 512, "pywa:pywa/client.py:2930"),
    Limit("header", "header", 60, "meta:templates/components"),
    Limit("body", "body", 1024, "meta:templates/components; 8x8 and YCloud repeat it"),
    Limit("footer", "footer", 60, "pywa:pywa/types/templates.py:2150"),
    Limit("buttons[]", "buttons", 10, "pywa:pywa/types/templates.py:2165"),
    Limit("buttons[].text", "button_title", 25, "pywa:pywa/types/templates.py:2296"),
    Limit("buttons[].url", "url", 2000, "pywa:pywa/types/templates.py:2629"),
    Limit("buttons[].phone_number", "phone", 20, "meta:templates/components"),
)
"""Of a template that is created (`templates.Definition.as_fields`)."""


@dataclass(frozen=True)
class MediaLimit:
    """What may be uploaded as one kind of message."""

    types: tuple[str, ...]
    most_bytes: int
    source: str


_MB = 1024 * 1024
MEDIA_LIMITS: Mapping[str, MediaLimit] = {
    "image": MediaLimit(("image/jpeg", "image/png"), 5 * _MB, "AWS End User Messaging guide, supported-media-types"),
    "audio": MediaLimit(
        ("audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", "audio/ogg"),
        16 * _MB,
        "the same; ogg only with the Opus codec (pywa:pywa/client.py:1117)",
    ),
    "video": MediaLimit(("video/mp4", "video/3gpp"), 16 * _MB, "the same; pywa:pywa/client.py:946 for the codecs"),
    "document": MediaLimit(
        (
            "application/pdf",
            "text/plain",
            "application/msword",
            "application/vnd.ms-excel",
            "application/vnd.ms-powerpoint",
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        ),
        100 * _MB,
        "the same",
    ),
    "sticker": MediaLimit(("image/webp",), 500 * 1024, "the same: 500 KB animated, 100 KB static"),
}
STATIC_STICKER_BYTES = 100 * 1024

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def length(text: str) -> int:
    """How long a text is for the table: UTF-16 units."""
    return len(text) + sum(1 for sign in text if ord(sign) > 0xFFFF)


def check(payload: Mapping[str, Any], table: tuple[Limit, ...] = LIMITS) -> None:
    """Refuse what breaks a row of the table or holds characters that cannot be sent (NUL, lone surrogates).

    ArgumentsWrong("whatsapp_too_long" | "whatsapp_too_many", part, most, found, field), ("whatsapp_malformed", part,
    reason, field).
    """
    for limit in table:
        for field, value in _values(payload, limit.field):
            _keep(limit, field, value)


def too_many(limit: Limit, found: int) -> ArgumentsWrong:
    return ArgumentsWrong(
        "whatsapp_too_many",
        f"{limit.field}: {found} of at most {limit.most} ({limit.source})",
        part=limit.part,
        most=limit.most,
        found=found,
        field=limit.field,
    )


def empty(part: str, field: str) -> ArgumentsWrong:
    return malformed(part, "empty", field)


def malformed(part: str, reason: str, field: str) -> ArgumentsWrong:
    """`reason` is one of the words of the text `error.whatsapp_malformed`."""
    return ArgumentsWrong("whatsapp_malformed", f"{field}: {reason}", part=part, reason=reason, field=field)


def _keep(limit: Limit, field: str, value: Any) -> None:
    if limit.list:
        if not isinstance(value, list):
            raise malformed(limit.part, "kind", field)
        if not value:
            raise empty(limit.part, field)
        if len(value) > limit.most:
            raise too_many(limit, len(value))
        return
    if not isinstance(value, str):
        raise malformed(limit.part, "kind", field)
    if not value.strip():
        raise empty(limit.part, field)
    if _CONTROL.search(value):
        raise malformed(limit.part, "control", field)
    found = length(value)
    if found > limit.most:
        raise ArgumentsWrong(
            "whatsapp_too_long",
            f"{field}: {found} characters of at most {limit.most} ({limit.source})",
            part=limit.part,
            most=limit.most,
            found=found,
            field=field,
        )


def _values(payload: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Every value at `path` with its own path, indexes filled in. A list itself for a path that ends in `[]`."""
    head, _, rest = path.partition(".")
    name = head.removesuffix("[]")
    if not isinstance(payload, Mapping) or name not in payload:
        return
    value = payload[name]
    if not rest:
        yield name, value
        return
    inner = enumerate(value) if head.endswith("[]") and isinstance(value, list) else [(None, value)]
    for index, one in inner:
        here = name if index is None else f"{name}[{index}]"
        for field, found in _values(one, rest):
            yield f"{here}.{field}", found
