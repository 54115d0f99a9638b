"""What can go wrong with a model, as a few named kinds, whatever the provider's own library calls it.

Two rules about the text of a failure. It never carries a key: providers like to quote part of it. And it never
carries the words by which CrewAI 1.15.30 recognises a throttled call (crewai/llms/retry.py), because CrewAI would
then repeat the whole chain by itself, three times and with pauses.
"""

import re
from typing import Literal

FailureKind = Literal[
    "rate_limited",  # asked to wait; `retry_after` says how long when the provider said so
    "unavailable",  # not reachable, overloaded, an error of its own
    "timeout",  # nothing in time
    "auth",  # the key is missing, wrong or may not use this model
    "bad_request",  # the provider does not take this request
    "too_large",  # the request is longer than the model takes
    "refused",  # the provider's content rules
    "broken_answer",  # cut off, empty, or not what was asked for; never passed on, never executed
]

_KEY_LIKE = re.compile(r"(?:sk-|AIza|EAA|Bearer\s+)\S+|[A-Za-z0-9_\-*.]{28,}")
_THROTTLE_WORDS = re.compile(r"rate[ -]limit|too many requests|throttl|resource exhausted", re.IGNORECASE)
_LONGEST_DETAIL = 300


class ModelFailure(Exception):
    """One failed attempt. `status` is the HTTP status, None without an answer; `retry_after` is in seconds."""

    def __init__(
        self,
        kind: FailureKind,
        provider: str,
        model: str,
        *,
        status: int | None = None,
        retry_after: float | None = None,
        detail: str = "",
    ) -> None:
        self.kind: FailureKind = kind
        self.provider = provider
        self.model = model
        self.status = status
        self.retry_after = retry_after
        self.text = f"{kind}: {provider}/{model}"
        if status is not None:
            self.text += f" answered {status}"
        if detail := presentable(detail):
            self.text += f" ({detail})"
        super().__init__(self.text)


def presentable(detail: str) -> str:
    """A provider's words as they may be logged: one line, short, without anything that looks like a key."""
    if _THROTTLE_WORDS.search(detail):
        return ""
    line = " ".join(_KEY_LIKE.sub("***", detail).split())
    return line if len(line) <= _LONGEST_DETAIL else line[: _LONGEST_DETAIL - 1] + "…"


def kind_of_status(status: int, body: str = "") -> FailureKind:
    """The kind of an HTTP error status; `body` tells a request that is too long from one that is wrong."""
    if status == 429:
        return "rate_limited"
    if status in (401, 402, 403):
        return "auth"
    if status in (408, 504):
        return "timeout"
    if status == 413:
        return "too_large"
    if status >= 500:
        return "unavailable"
    too_long = re.search(
        r"context.?length|context.?window|too long|maximum.{0,20}tokens|token count", body, re.IGNORECASE
    )
    return "too_large" if too_long else "bad_request"
