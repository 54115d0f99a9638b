"""What the gateways over WhatsApp Web share: an item of a webhook, their failures, and how an answer is understood.

A gateway has no idempotency key. A message leaves once; when its answer is lost, or is an error that a gateway also
gives after a message has left, nobody knows (OutcomeUnknown). Sentences: prompts/texts/<language>/gateways.yaml.
"""

import base64
import binascii
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import httpx

from core.errors import ArgumentsWrong, MutiraoError, OutcomeUnknown, Refused, Unavailable
from integrations.whatsapp_cloud import media

NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol, httpx.InvalidURL)
"""Failures after which it is certain that no byte of the request has left."""
MOST_ANSWER = 2_000_000
"""Bytes of an answer that holds no file."""


@dataclass(frozen=True)
class Item:
    """One thing that a webhook tells: a row of the inbox. `key` is the same whenever the gateway tells it again; `kind`
    is message, echo, status, notice or unread; `item` can be read without its envelope and holds no secret."""

    key: str
    kind: str
    item: dict[str, Any]


@dataclass(frozen=True)
class Sent:
    """`address`: whom it went to, as the gateway resolved it: a phone's digits, or a linked id "…@lid"."""

    id: str
    address: str | None = None


def unavailable(why: str, retry_after: float | None = None) -> Unavailable:
    """The gateway does not answer; nothing was sent."""
    error = Unavailable("gateway_unavailable", why)
    error.retry_after = retry_after
    return error


def disconnected(why: str) -> Unavailable:
    """The gateway answers, but its telephone is not connected to WhatsApp; nothing was sent."""
    error = Unavailable("gateway_disconnected", why)
    error.retry_after = 60.0
    return error


def throttled(why: str, retry_after: float | None = None) -> Unavailable:
    error = Unavailable("gateway_throttled", why)
    error.retry_after = retry_after or 30.0
    return error


def token_refused(why: str) -> Refused:
    return Refused("gateway_token", why)


def number_missing(why: str) -> Refused:
    """The gateway knows no such number (instance) of ours."""
    return Refused("gateway_number_missing", why)


def not_on_whatsapp(why: str) -> Refused:
    return Refused("gateway_not_on_whatsapp", why)


def bad_request(why: str, detail: str) -> ArgumentsWrong:
    """The gateway refused the request as such, before it did anything."""
    return ArgumentsWrong("gateway_bad_request", why, detail=detail[:200])


def cannot(what: str) -> ArgumentsWrong:
    """`what` cannot be said by this gateway: template, media, reaction …"""
    return ArgumentsWrong("gateway_cannot", f"this gateway cannot send: {what}", detail=what)


def outcome_unknown(why: str) -> OutcomeUnknown:
    return OutcomeUnknown("gateway_outcome_unknown", why)


def answer_broken(why: str) -> Unavailable:
    return Unavailable("gateway_answer_broken", why)


def cleaned(words: str, secrets: Iterable[str]) -> str:
    """A gateway's words without our secrets, at most 300 characters."""
    for secret in secrets:
        if secret:
            words = words.replace(secret, "[…]")
    return words[:300]


def parsed(content: bytes) -> Any:
    """The JSON of an answer; None when it is none."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


async def read_at_most(response: httpx.Response, most: int) -> bytes:
    """The body of a streamed answer. ArgumentsWrong("whatsapp_media_too_big") beyond `most` bytes."""
    found = bytearray()
    async for piece in response.aiter_bytes():
        found += piece
        if len(found) > most:
            raise too_big(most, len(found))
    return bytes(found)


def too_big(most: int, found: int) -> ArgumentsWrong:
    return ArgumentsWrong(
        "whatsapp_media_too_big",
        f"{found} bytes of at most {most}",
        kind="file",
        most=round(most / 1024 / 1024, 1),
        found=round(found / 1024 / 1024, 1),
    )


def file_of(text: str, told: str, most: int) -> media.Fetched:
    """A file that came as base64, checked by its content as those of WhatsApp itself are.

    Unavailable("gateway_answer_broken"), ArgumentsWrong("whatsapp_media_too_big"), Refused("whatsapp_media_lies").
    """
    text = text.partition("base64,")[2] if text.startswith("data:") else text
    if len(text) * 3 // 4 > most + 3:
        raise too_big(most, len(text) * 3 // 4)
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise answer_broken("the file is no base64") from None
    if not content:
        raise answer_broken("the file is empty")
    if len(content) > most:
        raise too_big(most, len(content))
    found = media.mime_of(content)
    if not media.honest(told, found):
        raise Refused("whatsapp_media_lies", f"told {told}, is {found}", told=told[:100], found=found)
    return media.Fetched(content, found)


@dataclass(frozen=True)
class Meaning:
    """What may be done about a failure, in the words of the Cloud API's table (whatsapp_cloud/errors.py)."""

    action: str
    scope: str
    wait: float | None = None
    sure: bool = True


MEANINGS = {
    "gateway_unavailable": Meaning("retry", "number", 5.0),
    "gateway_answer_broken": Meaning("retry", "number", 5.0, sure=False),
    "gateway_disconnected": Meaning("wait", "number", 60.0),
    "gateway_throttled": Meaning("wait", "number", 30.0),
    "gateway_token": Meaning("stop_number", "number"),
    "gateway_number_missing": Meaning("stop_number", "number"),
    "gateway_not_on_whatsapp": Meaning("stop_contact", "contact"),
    "gateway_outcome_unknown": Meaning("retry", "number", 5.0, sure=False),
}
_FIX = Meaning("fix", "message")


def meaning(error: Exception) -> Meaning:
    """Of a failure of a gateway; what is not in the table has to be mended by somebody."""
    return MEANINGS.get(error.code, _FIX) if isinstance(error, MutiraoError) else _FIX
