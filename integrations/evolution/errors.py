"""Failures of Evolution API 2.x → the few kinds of core/errors.py.

Its answers to a failed send are told apart by their words, because nearly all of them are HTTP 400: the same 400 is
given for a number that is not on WhatsApp, for a closed connection, and for a mishap *after* the message has left (its
own database, storage or telemetry: whatsapp.baileys.service.ts:2391). So only what is known to come before the send is
sure; everything else is an unknown outcome.
"""

from typing import Any

from core.errors import MutiraoError
from integrations.gateways import (
    bad_request,
    cleaned,
    disconnected,
    not_on_whatsapp,
    number_missing,
    outcome_unknown,
    parsed,
    throttled,
    token_refused,
    unavailable,
)

_INVALID = (
    "requires property",
    "is not of a type",
    "is not one of",
    "must be a url or base64",
    "file name must be informed",
    "must be a single emoji",
)
_CLOSED = ("connection closed", "connection terminated", "precondition required", "not connected", "no sessions")


def refused(status: int, content: bytes, retry_after: str, secret: str) -> MutiraoError | None:
    """The failure that this answer certainly means, before anything was done; None when it leaves that open.

    Shapes: {"status", "error", "response": {"message": [...]}} (main.ts:110); a number that is not on WhatsApp is
    {"exists": false, "jid", "number"} in that list (whatsapp.baileys.service.ts:2138).
    """
    answer = parsed(content)
    told = _messages(answer)
    words = cleaned(" ".join(str(one) for one in told if not isinstance(one, dict)), [secret])
    if status in (401, 403):
        return token_refused(f"HTTP {status}")
    if status == 404:
        return number_missing(f"HTTP 404: {words}")
    if status == 429:
        return throttled("HTTP 429", float(retry_after) if retry_after.isdecimal() else None)
    if any(isinstance(one, dict) and one.get("exists") is False for one in told):
        return not_on_whatsapp("the number is not on WhatsApp")
    if any(mark in words.lower() for mark in _CLOSED):
        return disconnected(words)
    if status == 400 and any(mark in words for mark in _INVALID):
        return bad_request(f"HTTP 400: {words}", words)
    if status in (502, 503, 504) and answer is None:  # of a proxy in front that has nobody behind it
        return unavailable(f"HTTP {status}") if status == 503 else None
    return None


def of_write(status: int, content: bytes, retry_after: str, secret: str) -> MutiraoError:
    """The failure of a message that was sent once."""
    return refused(status, content, retry_after, secret) or outcome_unknown(_words(status, content, secret))


def of_read(status: int, content: bytes, retry_after: str, secret: str) -> MutiraoError:
    """The failure of a request that changes nothing."""
    return refused(status, content, retry_after, secret) or unavailable(_words(status, content, secret))


def _words(status: int, content: bytes, secret: str) -> str:
    told = " ".join(str(one) for one in _messages(parsed(content)))
    return f"HTTP {status}: {cleaned(told, [secret])}"


def _messages(answer: Any) -> list[Any]:
    inner = answer.get("response") if isinstance(answer, dict) else None
    found = inner.get("message") if isinstance(inner, dict) else None
    flat: list[Any] = []
    for one in found if isinstance(found, list) else [found]:
        flat += one if isinstance(one, list) else [one]
    return [one for one in flat if one is not None]
