"""What the Graph API refuses, as our few kinds of failure with a named code each.

The sentence for people stands in `prompts/texts/<language>/meta.yaml` under `error.<code>`. Every error carries the
params `detail` (Meta's own words, without secrets), `trace` (fbtrace_id, for Meta's support) and `wait` (minutes until
Meta answers again, 0 when not told). Sources: Marketing API "Error Codes" (2025-12-11) and "Insights error codes"
(2026-05-21), Graph API "Rate limiting"; subcodes 1885272 and 1885621 from public issue threads.
"""

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from core.errors import ArgumentsWrong, MutiraoError, OutcomeUnknown, Refused, Unavailable

THROTTLES = frozenset({4, 17, 32, 613, *range(80000, 80015)})
"""Application, account, page, custom and business-use-case limits; Meta sends them as HTTP 400."""

_TOO_MUCH_DATA = frozenset({(100, 1504018), (2, 1504038), (100, 1487534)})
_TOO_MUCH_WORDS = re.compile(r"reduce the amount of data", re.IGNORECASE)
_TOKEN_REVOKED = frozenset({458, 460})
_BLOCKED = frozenset({368, 3910001})
_SECRET = re.compile(r"EAA[A-Za-z0-9]{8,}|access_token=[^&\s\"']+|[0-9a-f]{64}")
_LONGEST_DETAIL = 300


def from_graph(status: int, error: Mapping[str, Any], headers: Mapping[str, str]) -> MutiraoError:
    """The named failure for Graph's `error` object. Never raises; an unknown code of a refusal is meta_bad_request."""
    code = _whole(error.get("code"))
    subcode = _whole(error.get("error_subcode"))
    message = str(error.get("message") or "")
    words = clean(str(error.get("error_user_msg") or message))
    about = {"detail": words, "trace": str(error.get("fbtrace_id") or ""), "wait": 0}
    where = f"Graph {code}/{subcode} HTTP {status}: {words}"

    if code in THROTTLES:
        wait = waiting_seconds(headers)
        about["wait"] = math.ceil(wait / 60) if wait else 0
        throttled = Unavailable("meta_throttled", where, **about)
        throttled.retry_after = wait
        return throttled
    if (code, subcode) in _TOO_MUCH_DATA or _TOO_MUCH_WORDS.search(message):
        return ArgumentsWrong("meta_too_much_data", where, **about)
    if code == 2 and subcode in (1504041, 1504042):  # wrong breakdowns and metrics come with the code of an outage
        return ArgumentsWrong("meta_bad_request", where, **about)
    if code in (190, 102, 104):
        if subcode == 459:
            return Refused("meta_token_checkpoint", where, **about)
        if subcode in _TOKEN_REVOKED:
            return Refused("meta_token_revoked", where, **about)
        return Refused("meta_token_expired", where, **about)
    if code in _BLOCKED:
        return Refused("meta_blocked", where, **about)
    if code in (3, 10) or 200 <= code <= 299:
        return Refused("meta_permission", where, **about)
    if subcode == 1885621:
        return ArgumentsWrong("meta_budget_conflict", where, **about)
    if subcode == 1885272:
        return ArgumentsWrong("meta_budget_too_low", where, **about)
    if code in (100, 803) and (subcode == 33 or code == 803):
        return ArgumentsWrong("meta_not_found", where, **about)
    if code in (1, 2, -1, -2, -3, 2601) or status >= 500 or error.get("is_transient") is True:
        return unavailable(where, **about)
    return ArgumentsWrong("meta_bad_request", where, **about)


def unavailable(why: str, **about: Any) -> Unavailable:
    """Meta does not answer, or answers that it cannot just now."""
    return Unavailable("meta_unavailable", why, **({"detail": why, "trace": "", "wait": 0} | about))


def answer_broken(why: str) -> Unavailable:
    """An answer came, but not one that can be understood."""
    return Unavailable("meta_answer_broken", why, detail=why, trace="", wait=0)


def outcome_unknown(why: str, object_id: str) -> OutcomeUnknown:
    """A write left and its answer was lost: look at the object before doing anything again."""
    return OutcomeUnknown("meta_outcome_unknown", why, detail=why, object_id=object_id, trace="", wait=0)


def bad_request(why: str) -> ArgumentsWrong:
    """A question or change that Meta would refuse, refused before it is sent."""
    return ArgumentsWrong("meta_bad_request", why, detail=why, trace="", wait=0)


def window_dead(window: str) -> ArgumentsWrong:
    """Meta stopped counting 7d_view and 28d_view on 2026-01-12 (developer blog, 2025-10-16)."""
    return ArgumentsWrong(
        "meta_window_dead",
        f"the attribution window {window} ended on 2026-01-12; 1d_click, 7d_click, 28d_click, 1d_ev, 1d_view remain",
        window=window,
    )


def transient(error: MutiraoError) -> bool:
    """Whether the same read may go well in a moment."""
    return error.code in ("meta_unavailable", "meta_answer_broken", "meta_throttled")


def waiting_seconds(headers: Mapping[str, str]) -> float | None:
    """How long Meta asks us to wait: Retry-After, or the longest estimated_time_to_regain_access (minutes)."""
    after = headers.get("retry-after", "")
    if after.isdigit():
        return float(after)
    longest = 0.0
    for one in _uses(headers):
        longest = max(longest, float(_whole(one.get("estimated_time_to_regain_access"))))
    return longest * 60 if longest else None


def usage_percent(headers: Mapping[str, str]) -> float:
    """How much of the allowance is used up: the highest percentage in any of Meta's usage headers, 0 when none came."""
    highest = 0.0
    for one in _uses(headers):
        for name in ("call_count", "total_cputime", "total_time", "acc_id_util_pct", "app_id_util_pct"):
            value = one.get(name)
            if isinstance(value, int | float):
                highest = max(highest, float(value))
    return highest


def clean(words: str) -> str:
    """Meta's words without anything that looks like a token; Graph echoes malformed tokens in its messages."""
    return _SECRET.sub("[…]", words)[:_LONGEST_DETAIL]


def _uses(headers: Mapping[str, str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for name in ("x-business-use-case-usage", "x-app-usage", "x-ad-account-usage", "x-fb-ads-insights-throttle"):
        try:
            raw = json.loads(headers.get(name, ""))
        except ValueError:
            continue
        if not isinstance(raw, dict):
            continue
        lists = [one for one in raw.values() if isinstance(one, list)]
        found += [use for one in lists for use in one if isinstance(use, dict)] if lists else [raw]
    return found


def _whole(raw: Any) -> int:
    try:
        return int(raw)
    except (TypeError, ValueError):
        return 0
