"""What the Cloud API refuses, as a table: code → what to do about it, for whom, and after how long.

The same codes come in the answer to a request and, later, in a status or an error of a webhook. The sentence for people
stands in `prompts/texts/<language>/whatsapp.yaml` under `error.<text>`. Sources: the classes of pywa/errors.py (commit
0bcf2f1, the line is told), which repeat Meta's page "Error codes"; waits without another source are ours.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from core.errors import ArgumentsWrong, MutiraoError, OutcomeUnknown, Refused, Unavailable


class Action(StrEnum):
    """What may be done about a refusal."""

    RETRY = "retry"
    """The same again, a little later."""
    WAIT = "wait"
    """The same again, not before `Rule.wait` seconds: a limit was reached."""
    TEMPLATE = "template"
    """Only a template may be sent now."""
    STOP_NUMBER = "stop_number"
    """Nothing more from this number until somebody has looked."""
    STOP_CONTACT = "stop_contact"
    """Nothing more of this kind to this contact."""
    FIX = "fix"
    """The message or the template must change; sending it again fails again."""


@dataclass(frozen=True)
class Rule:
    """One row. `scope` is what the action is about: message, pair (number and contact), contact, template, number, app.

    `wait` is in seconds, None when nothing is known. `sure` is False when the code leaves open whether the message was
    taken all the same. `marketing`: only messages of that category are concerned.
    """

    action: Action
    scope: str
    text: str
    meaning: str
    source: str
    wait: float | None = None
    sure: bool = True
    marketing: bool = False


_DAY = 24 * 3600.0
_RETRY, _WAIT, _FIX = Action.RETRY, Action.WAIT, Action.FIX
_NUMBER, _CONTACT = Action.STOP_NUMBER, Action.STOP_CONTACT


def _permission(line: int) -> Rule:
    return Rule(_NUMBER, "app", "whatsapp_permission", "permission not granted or taken away", f"pywa/errors.py:{line}")


def _template(meaning: str, line: int) -> Rule:
    return Rule(_FIX, "template", "whatsapp_template", meaning, f"pywa/errors.py:{line}")


def _wrong(meaning: str, line: int) -> Rule:
    return Rule(_FIX, "message", "whatsapp_bad_request", meaning, f"pywa/errors.py:{line}")


def _later(meaning: str, source: str, wait: float, *, sure: bool = True) -> Rule:
    return Rule(_RETRY, "number", "whatsapp_unavailable", meaning, source, wait, sure)


def _limit(scope: str, meaning: str, line: int, wait: float) -> Rule:
    return Rule(_WAIT, scope, "whatsapp_throttled", meaning, f"pywa/errors.py:{line}", wait)


def _stop(text: str, meaning: str, line: int) -> Rule:
    return Rule(_NUMBER, "number", text, meaning, f"pywa/errors.py:{line}")


RULES: Mapping[int, Rule] = {
    # who we are
    0: _stop("whatsapp_token", "the app user cannot be authenticated", 129),
    190: _stop("whatsapp_token", "the token has expired", 147),
    3: _permission(135),
    10: _permission(141),
    131005: _permission(409),
    # how much
    4: _limit("app", "calls of the app", 168, 60.0),
    80007: _limit("number", "calls of the WhatsApp account", 174, 60.0),
    130429: _limit("number", "messages a second (80, or 20 for coexistence)", 180, 2.0),
    133016: _limit("number", "registrations", 205, 3600.0),
    131064: _limit("number", "messaging limit after template classification violations", 213, 3600.0),
    131056: Rule(
        _WAIT,
        "pair",
        "whatsapp_pair_rate",
        "too many messages to one contact (about one in 6 s)",
        "pywa/errors.py:197",
        6.0,
    ),
    131048: _stop("whatsapp_spam", "too many messages of this number were blocked or reported", 189),
    131049: Rule(
        _WAIT,
        "contact",
        "whatsapp_marketing_cap",
        "not delivered to keep the contact from too much marketing; not before 24 h",
        "pywa/errors.py:485",
        _DAY,
        marketing=True,
    ),
    # the contact
    131047: Rule(
        Action.TEMPLATE,
        "pair",
        "whatsapp_window_closed",
        "more than 24 hours since the contact's last message",
        "pywa/errors.py:291",
    ),
    131026: Rule(
        _CONTACT, "contact", "whatsapp_undeliverable", "not a WhatsApp number, or too old", "pywa/errors.py:285"
    ),
    131050: Rule(
        _CONTACT,
        "contact",
        "whatsapp_marketing_stopped",
        "the contact stopped our marketing messages",
        "pywa/errors.py:445",
        marketing=True,
    ),
    130472: Rule(
        _CONTACT,
        "contact",
        "whatsapp_undeliverable",
        "the contact is part of an experiment of Meta's",
        "pywa/errors.py:268",
        marketing=True,
    ),
    131030: Rule(
        _CONTACT,
        "contact",
        "whatsapp_undeliverable",
        "not in the list of a test number's recipients",
        "pywa/errors.py:318",
    ),
    131062: Rule(
        _FIX,
        "message",
        "whatsapp_needs_phone",
        "this kind of message needs a phone number, not a user id",
        "pywa/errors.py:460",
    ),
    137000: _wrong("the contact's identity key is another one", 454),
    131021: _wrong("sender and recipient are the same number", 421),
    # the number
    131042: _stop("whatsapp_payment", "payment method", 427),
    131044: _stop("whatsapp_payment", "payment method (calls)", 427),
    131037: _stop("whatsapp_number_unready", "the display name is not approved", 475),
    131045: _stop("whatsapp_number_unready", "the number's certificate is wrong", 433),
    133010: Rule(
        _NUMBER, "number", "whatsapp_number_unready", "the number is not registered", "Meta, Error codes (from memory)"
    ),
    368: _stop("whatsapp_blocked", "the account broke a rule of Meta's", 230),
    131031: _stop("whatsapp_blocked", "the account is locked", 240),
    130497: _stop("whatsapp_blocked", "the account may not write to this country", 250),
    # the message
    100: Rule(_FIX, "message", "whatsapp_bad_request", "a parameter is wrong", "Graph API"),
    33: Rule(_FIX, "message", "whatsapp_bad_request", "no such object", "Graph API"),
    131008: _wrong("a parameter is missing", 330),
    131009: _wrong("a parameter's value is wrong", 324),
    131051: _wrong("this type of message is not supported", 297),
    131052: Rule(_FIX, "message", "whatsapp_media", "the media cannot be downloaded", "pywa/errors.py:303"),
    131053: Rule(_FIX, "message", "whatsapp_media", "the media cannot be uploaded", "pywa/errors.py:309"),
    # the template
    131063: _template("marketing templates are switched off for the Cloud API", 469),
    132000: _template("the number of variables is another one", 337),
    132001: _template("there is none of this name and language, or it is not approved", 343),
    132005: _template("the text becomes too long", 349),
    132007: _template("the content breaks a rule", 355),
    132008: _template("a variable's value is wrong", 361),
    132012: _template("a variable's format is wrong", 367),
    132015: _template("paused for low quality", 373),
    132016: _template("disabled for low quality", 379),
    132018: Rule(_FIX, "template", "whatsapp_template", "a variable has line breaks or tabs", "Meta (from memory)"),
    132068: _template("its flow is blocked", 385),
    132069: _template("its flow is throttled", 391),
    # Meta itself
    1: _later("unknown error of Graph", "Graph API", 5.0, sure=False),
    2: _later("Graph is down for a moment", "Graph API", 5.0, sure=False),
    131000: _later("unknown error; the message failed", "pywa/errors.py:403", 5.0),
    131016: _later("a service is down for a moment", "pywa/errors.py:415", 10.0),
    131057: _later("the account is in maintenance", "pywa/errors.py:439", 300.0),
    133004: _later("the server is down for a moment", "Meta, Error codes (from memory)", 30.0),
    135000: _later("generic error", "pywa/errors.py:397", 5.0),
}
"""By Meta's code. 200 to 299 are permissions, too: `rule` knows."""

_UNKNOWN = Rule(_FIX, "message", "whatsapp_bad_request", "a code that this table does not know", "none")
_UNKNOWN_SERVER = _later("a code that this table does not know, with HTTP 5xx", "none", 5.0, sure=False)
_KINDS: Mapping[str, type[MutiraoError]] = {
    "whatsapp_unavailable": Unavailable,
    "whatsapp_throttled": Unavailable,
    "whatsapp_pair_rate": Unavailable,
    "whatsapp_bad_request": ArgumentsWrong,
    "whatsapp_template": ArgumentsWrong,
    "whatsapp_media": ArgumentsWrong,
    "whatsapp_needs_phone": ArgumentsWrong,
}
"""What is not named here is Refused."""
_SECRET = re.compile(r"EAA[A-Za-z0-9]{8,}|access_token=[^&\s\"']+|[0-9a-f]{64}")


def rule(code: int, status: int = 400) -> Rule:
    """The row for Meta's `code`. A code that is not in the table: FIX, or RETRY when it came with HTTP 5xx."""
    if found := RULES.get(code):
        return found
    if 200 <= code <= 299:
        return _permission(153)
    return _UNKNOWN_SERVER if status >= 500 else _UNKNOWN


def rule_of(error: MutiraoError) -> Rule | None:
    """The row behind a failure of the client's; None when Meta gave no code (no answer, a lost one)."""
    code = error.params.get("meta_code")
    return rule(code, error.params.get("status", 400)) if isinstance(code, int) else None


def from_graph(status: int, error: Mapping[str, Any], headers: Mapping[str, str]) -> MutiraoError:
    """The named failure for Graph's `error` object; never raises.

    Params: `detail` (Meta's words, without secrets), `trace` (fbtrace_id), `wait` (minutes, 0 when not told),
    `meta_code`, `status`.
    """
    code = _whole(error.get("code"))
    found = rule(code, status)
    data = error.get("error_data")
    details = data.get("details") if isinstance(data, Mapping) else None
    words = clean(str(error.get("error_user_msg") or details or error.get("message") or ""))
    after = headers.get("retry-after", "")
    wait = float(after) if after.isascii() and after.isdecimal() and len(after) < 7 else found.wait
    kind = _KINDS.get(found.text, Refused)
    failure = kind(
        found.text,
        f"Graph {code} HTTP {status}: {words}",
        detail=words,
        trace=str(error.get("fbtrace_id") or ""),
        wait=math.ceil(wait / 60) if wait else 0,
        meta_code=code,
        status=status,
    )
    failure.retry_after = wait if found.action in (_RETRY, _WAIT) else None
    return failure


def unavailable(why: str) -> Unavailable:
    """Meta does not answer; nothing was sent."""
    return Unavailable("whatsapp_unavailable", why, detail=why, trace="", wait=0)


def answer_broken(why: str) -> Unavailable:
    """An answer to a read came, but not one that can be understood."""
    return Unavailable("whatsapp_answer_broken", why, detail=why)


def outcome_unknown(why: str) -> OutcomeUnknown:
    """A message left and its answer was lost: a status with our callback data may tell what became of it."""
    return OutcomeUnknown("whatsapp_outcome_unknown", why, detail=why)


def clean(words: str) -> str:
    """Meta's words without anything that looks like a token, at most 300 characters."""
    return _SECRET.sub("[…]", words)[:300]


def _whole(raw: Any) -> int:
    try:
        return int(raw)
    except (TypeError, ValueError, OverflowError):
        return -1
