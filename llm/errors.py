"""What can go wrong with a model, as a few named kinds, whatever the provider's own library calls it.

Two rules about the text of a failure. It never carries a key: providers like to quote part of it. And it never
carries the words by which CrewAI 1.15.30 recognises a throttled call (crewai/llms/retry.py), because CrewAI would
then repeat the whole chain by itself, three times and with pauses.
"""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal

import structlog

from llm.messages import Usage

FailureKind = Literal[
    "rate_limited",  # asked to wait; `retry_after` says how long when the provider said so
    "unavailable",  # not reachable, overloaded, an error of its own
    "timeout",  # nothing in time
    "auth",  # the key is missing, wrong or may not use this model
    "bad_request",  # the provider does not take this request
    "too_large",  # the request is longer than the model takes
    "refused",  # the provider's content rules
    "broken_answer",  # cut off, empty, or not what was asked for; never passed on, never executed
    "given_up",  # ended by us: the user stopped the turn, or another model was faster
]

log = structlog.get_logger(__name__)

_KEY_LIKE = re.compile(r"(?:sk-|AIza|EAA|Bearer\s+)\S+|[A-Za-z0-9_\-*.]{28,}")
_RETRY_DELAY = re.compile(r"""["']?retryDelay["']?\s*:\s*["'](\d+(?:\.\d+)?)s["']""")
_THROTTLE_WORDS = re.compile(r"rate[ -]limit|too many requests|throttl|resource exhausted", re.IGNORECASE)
_LONGEST_DETAIL = 300
_LONGEST_WAIT = 86_400.0  # seconds; a provider that asks for more than a day says nothing useful


class ModelFailure(Exception):
    """One failed attempt. `status` is the HTTP status, None without an answer; `retry_after` is in seconds.

    `ours`: the model is not to blame, we are (an answer cut at the length that we set, a bug). `usage` is what the
    provider told that it consumed, None when it did not tell. `unreachable`: no connection came about in time.
    """

    def __init__(
        self,
        kind: FailureKind,
        provider: str,
        model: str,
        *,
        status: int | None = None,
        retry_after: float | None = None,
        detail: str = "",
        ours: bool = False,
        usage: Usage | None = None,
        unreachable: bool = False,
    ) -> None:
        self.kind: FailureKind = kind
        self.provider = provider
        self.model = model
        self.status = status
        self.retry_after = retry_after
        self.ours = ours
        self.usage = usage
        self.unreachable = unreachable
        self.text = f"{kind}: {provider}/{model}"
        if status is not None:
            self.text += f" answered {status}"
        if detail := presentable(detail):
            self.text += f" ({detail})"
        super().__init__(self.text)

    @property
    def retryable(self) -> bool:
        """Whether the same request may well be answered a little later."""
        return self.kind in ("rate_limited", "unavailable", "timeout") and not self.ours

    @property
    def speaks_against(self) -> bool:
        """Whether it says that the model is not well, so that the breaker counts it; a 400 is about our request."""
        return self.kind in ("rate_limited", "unavailable", "timeout", "auth", "broken_answer") and not self.ours


def presentable(detail: str) -> str:
    """A provider's words as they may be logged: one line, short, without anything that looks like a key."""
    if _THROTTLE_WORDS.search(detail):
        return ""
    line = " ".join(_KEY_LIKE.sub("***", detail).split())
    return line if len(line) <= _LONGEST_DETAIL else line[: _LONGEST_DETAIL - 1] + "…"


def kind_of_status(status: int, body: str = "") -> FailureKind:
    """The kind of an HTTP error status (400 and up); `body` tells apart what providers answer 400 to."""
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
    if re.search(r"context.?length|context.?window|too long|maximum.{0,20}tokens|token count", body, re.IGNORECASE):
        return "too_large"
    if re.search(r"API_KEY_INVALID|api key not valid", body, re.IGNORECASE):  # Google answers 400 to a wrong key
        return "auth"
    return "refused" if re.search(r"content.?(policy|filter)", body, re.IGNORECASE) else "bad_request"


def failure_from(error: Exception, provider: str, model: str) -> ModelFailure:
    """The failure that an exception of a provider's library stands for.

    The three libraries raise their own classes over httpx, httpx2 or plain sockets; what is read here is what they
    have in common: a status, a body, or being an error of the connection. Anything else is an answer that could not
    be understood.
    """
    if isinstance(error, ModelFailure):
        return error
    words = _words_of(error)
    ancestors = {ancestor.__name__ for ancestor in type(error).__mro__}
    status = _status_of(error)
    if status is not None and status >= 400:
        kind = kind_of_status(status, words)
    elif {"TimeoutError", "APITimeoutError", "TimeoutException"} & ancestors:
        kind = "timeout"
    elif named := next((kind for sign, kind in _SIGNS.items() if sign in words), None):  # an error within a stream
        kind = named
    elif {"OSError", "TransportError", "APIConnectionError", "APIError"} & ancestors:
        kind = "unavailable"
    else:
        kind = "broken_answer"
        if isinstance(error, _LIKELY_BUGS):  # or an answer of a shape that nobody foresaw: either way to be looked at
            log.error("model_code_failed", provider=provider, model=model, exc_info=error)
    return ModelFailure(
        kind,
        provider,
        model,
        status=status,
        retry_after=_retry_after(error, words),
        detail=words if kind != "broken_answer" else f"{type(error).__name__}: {words}",
        unreachable="ConnectTimeout" in {type(error).__name__, type(error.__cause__).__name__},
    )


_LIKELY_BUGS = (TypeError, AttributeError, LookupError, NameError, AssertionError, RecursionError, ImportError)

# Types of error that come as an event of a stream that began with 200.
_SIGNS: dict[str, FailureKind] = {
    "rate_limit": "rate_limited",
    "RESOURCE_EXHAUSTED": "rate_limited",
    "insufficient_quota": "rate_limited",
    "overloaded": "unavailable",
    "api_error": "unavailable",
    "server_error": "unavailable",
    "authentication_error": "auth",
    "permission_error": "auth",
    "context_length": "too_large",
    "request_too_large": "too_large",
    "content_filter": "refused",
}


def _status_of(error: Exception) -> int | None:
    """The HTTP status: `status_code` of openai and anthropic, `code` of google-genai."""
    told = (getattr(error, name, None) for name in ("status_code", "code"))
    return next((value for value in told if isinstance(value, int)), None)


def _words_of(error: Exception) -> str:
    body = getattr(error, "body", None) or getattr(error, "details", None)
    return f"{error} {body}" if body is not None and str(body) not in str(error) else str(error)


def _retry_after(error: Exception, words: str) -> float | None:
    """Seconds that the provider asks to wait, None when it does not say so, or nothing sane.

    A Retry-After header is a number or a date, reckoned from the answer's own date or else from our clock; Google says
    it in the error's body (google.rpc.RetryInfo: "retryDelay": "7s").
    """
    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    told = headers.get("retry-after")
    if told is None:
        named = _RETRY_DELAY.search(words)
        if named is None:
            return None
        told = named[1]
    try:
        seconds = float(told)
    except ValueError:
        until = _moment(told)
        if until is None:
            return None
        seconds = (until - (_moment(headers.get("date", "")) or datetime.now(UTC))).total_seconds()
    return seconds if 0 <= seconds <= _LONGEST_WAIT else None


def _moment(told: str) -> datetime | None:
    """An HTTP date, None when it cannot be read. They are all UTC (RFC 9110, 5.6.7), also one that names no zone."""
    try:
        moment = parsedate_to_datetime(told)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


KEY_REFUSED = "key refused"
"""What is told, with the status, of a model whose breaker is open because its key was refused."""


def refused_key(told: str) -> tuple[str, str] | None:
    """Provider and status ("401", "" without one) where a failure's text, or the reason why a link was passed over,
    tells that a key was refused; else None."""
    found = re.match(r"auth: ([^/ ]+)/\S+(?: answered (\d{3}))?", told) or re.match(
        rf"([^/ ]+)/.*, {KEY_REFUSED}(?: \((\d{{3}})\))?$", told
    )
    return (found[1], found[2] or "") if found else None
