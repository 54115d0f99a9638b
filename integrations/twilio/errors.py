"""What Twilio refuses, by its code → the few kinds of core/errors.py.

Source: twilio.com/docs/api/errors (21211, 21212, 21408, 21606, 21610, 21612, 21614, 21617, 20003, 20404, 20429, 30…),
read 2026-11. No token appears in any text.
"""

from dataclasses import dataclass

from core.errors import ArgumentsWrong, MutiraoError, OutcomeUnknown, Refused, Unavailable


@dataclass(frozen=True)
class Rule:
    """`kind`: of core/errors; `stop`: nothing more to this contact by SMS, or from this number."""

    kind: type[MutiraoError]
    code: str
    stop: str = ""


RULES: dict[int, Rule] = {
    20003: Rule(Refused, "sms_key_refused", "number"),
    20404: Rule(Refused, "sms_key_refused", "number"),
    20429: Rule(Unavailable, "sms_busy"),
    21211: Rule(Refused, "sms_no_such_number", "contact"),
    21212: Rule(Refused, "sms_sender_refused", "number"),
    21408: Rule(Refused, "sms_country_refused", "contact"),
    21602: Rule(ArgumentsWrong, "sms_malformed"),
    21604: Rule(ArgumentsWrong, "sms_malformed"),
    21606: Rule(Refused, "sms_sender_refused", "number"),
    21608: Rule(Refused, "sms_refused", "contact"),
    21610: Rule(Refused, "sms_opted_out", "contact"),
    21612: Rule(Refused, "sms_no_such_number", "contact"),
    21614: Rule(Refused, "sms_no_such_number", "contact"),
    21617: Rule(ArgumentsWrong, "sms_malformed"),
    63038: Rule(Unavailable, "sms_busy"),
}


def unavailable(why: str) -> Unavailable:
    """Twilio was not reached; nothing was sent."""
    return Unavailable("sms_unavailable", why)


def outcome_unknown(why: str) -> OutcomeUnknown:
    return OutcomeUnknown("sms_outcome_unknown", why)


def of_answer(status: int, code: int, message: str) -> MutiraoError:
    """The failure of an answer that is no success. A 5xx may have been taken: Twilio knows no idempotency key here."""
    detail = f"{status} {code}: {message[:200]}"
    rule = RULES.get(code)
    if rule is not None:
        error = rule.kind(rule.code, detail, number=code, detail=message[:200])
    elif status == 429:
        error = Unavailable("sms_busy", detail)
    elif status >= 500:
        return outcome_unknown(detail)
    else:
        error = Refused("sms_refused", detail, number=code, detail=message[:200])
    if isinstance(error, Unavailable):
        error.retry_after = 5.0
    return error
