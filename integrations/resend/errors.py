"""What Resend refuses, by the `name` of its error → the few kinds of core/errors.py.

Source: resend.com/docs/api-reference/errors (names and statuses), read 2026-11. No key appears in any text.
"""

from core.errors import ArgumentsWrong, MutiraoError, OutcomeUnknown, Refused, Unavailable

_KEY = frozenset({"missing_api_key", "invalid_api_key", "restricted_api_key"})
_LIMITS = frozenset({"rate_limit_exceeded", "daily_quota_exceeded", "monthly_quota_exceeded"})
_OURS = frozenset({"missing_required_field", "invalid_parameter", "invalid_attachment", "validation_error"})
_SENDER = frozenset({"invalid_from_address", "not_found"})


def unavailable(why: str) -> Unavailable:
    """Resend was not reached; nothing was sent."""
    return Unavailable("mail_unavailable", why)


def outcome_unknown(why: str) -> OutcomeUnknown:
    return OutcomeUnknown("mail_outcome_unknown", why)


def of_answer(status: int, name: str, message: str) -> MutiraoError:
    """The failure of an answer that is no success. 5xx and 409: the mail may be on its way."""
    detail = f"{status} {name}: {message[:200]}"
    if name in _KEY or status == 401:
        return Refused("mail_key_refused", detail)
    if name in _LIMITS or status == 429:
        error = Unavailable("mail_busy", detail)
        error.retry_after = 3_600.0 if "quota" in name else 2.0
        return error
    if name in _SENDER or (name == "validation_error" and status == 403):
        return Refused("mail_sender_refused", detail)
    if name in _OURS or status in (400, 422):
        return ArgumentsWrong("mail_malformed", detail, detail=message[:200])
    if status in (403, 451):
        return Refused("mail_refused", detail, detail=message[:200])
    if status >= 500 or status == 409:
        return outcome_unknown(detail)
    return Refused("mail_refused", detail, detail=message[:200])
