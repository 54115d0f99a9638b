"""What search vendors refuse, as our few kinds of failure. Every error has the param `source`, the vendor's name.

search_key_wrong (Refused), search_quota_spent (Unavailable), search_query_wrong (ArgumentsWrong), and the three of
`integrations/reading.py`: source_unavailable, source_throttled, source_answer_broken. No key in any text: a vendor's
words are only used where it cannot repeat the key, and are cleaned of it even there.
"""

import math

from core.errors import ArgumentsWrong, MutiraoError, Refused, Unavailable


def key_wrong(source: str, detail: str) -> Refused:
    """The vendor does not know the key, or it may not do this."""
    return Refused("search_key_wrong", f"{source}: {detail}", source=source, detail=detail)


def quota_spent(source: str, detail: str, resets_in: float | None = None) -> Unavailable:
    """The month's searches are used up; waiting helps only when the vendor's month is over."""
    failure = Unavailable("search_quota_spent", f"{source}: {detail}", source=source, detail=detail)
    failure.retry_after = resets_in
    return failure


def query_refused(source: str, detail: str) -> ArgumentsWrong:
    """The vendor does not take the question."""
    return ArgumentsWrong("search_query_wrong", f"{source}: {detail}", detail=detail)


def unavailable(source: str, detail: str) -> Unavailable:
    return Unavailable("source_unavailable", f"{source}: {detail}", source=source, detail=detail, wait=0)


def broken(source: str, detail: str) -> Unavailable:
    return Unavailable("source_answer_broken", f"{source}: {detail}", source=source, detail=detail, wait=0)


def throttled(source: str, detail: str, seconds: float | None) -> Unavailable:
    """Too many questions in a short time. `seconds` until it answers again, None when not told."""
    failure = Unavailable(
        "source_throttled",
        f"{source}: {detail}",
        source=source,
        detail=detail,
        wait=math.ceil(seconds / 60) if seconds else 0,
    )
    failure.retry_after = seconds
    return failure


def transient(error: MutiraoError) -> bool:
    """Whether the same question may go well in a moment."""
    return error.code in ("source_unavailable", "source_answer_broken", "source_throttled")
