"""Why a page is not read, as our few kinds of failure. Every error has the param `host` (or `url`).

page_address_wrong (ArgumentsWrong): no address of a public web page; the caller can mend it.
page_not_public, page_never_fetched, page_forbidden_by_robots, page_refused, page_broken (Refused): final.
page_unreachable (Unavailable): no answer, or one that says "not now".
"""

from core.errors import ArgumentsWrong, Refused, Unavailable

_LONGEST = 200


def address_wrong(url: str, why: str) -> ArgumentsWrong:
    shown = "".join(sign if sign.isprintable() else "?" for sign in url)[:_LONGEST]
    return ArgumentsWrong("page_address_wrong", f"{shown}: {why}", url=shown)


def not_public(host: str, why: str) -> Refused:
    """It would lead to this machine, its network, or a cloud's inner services."""
    return Refused("page_not_public", f"{host}: {why}", host=host[:_LONGEST])


def never_fetched(host: str) -> Refused:
    return Refused("page_never_fetched", f"{host} forbids it", host=host)


def forbidden_by_robots(host: str) -> Refused:
    return Refused("page_forbidden_by_robots", f"{host}: robots.txt", host=host)


def unreachable(host: str, why: str, retry_after: float | None = None) -> Unavailable:
    failure = Unavailable("page_unreachable", f"{host}: {why}", host=host)
    failure.retry_after = retry_after
    return failure


def refused(host: str, status: int) -> Refused:
    return Refused("page_refused", f"{host}: HTTP {status}", host=host, status=status)


def broken(host: str, detail: str) -> Refused:
    """An answer came that is no page: wrong type, unknown encoding, redirects without end."""
    return Refused("page_broken", f"{host}: {detail}", host=host, detail=detail)
