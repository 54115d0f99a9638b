"""The shapes of Graph's wire: error bodies, lists in parameters, filters, pages with cursors."""

import base64
import binascii
import json
import secrets
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode


@dataclass(frozen=True)
class Answer:
    """What goes back over HTTP; `body` is JSON."""

    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)


class GraphFault(Exception):
    """A refusal in Graph's words. HTTP 400 unless said otherwise (throttles come as 400 too)."""

    def __init__(
        self,
        message: str,
        *,
        code: int,
        subcode: int | None = None,
        status: int = 400,
        kind: str = "OAuthException",
        title: str | None = None,
        advice: str | None = None,
        transient: bool = False,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers or {}
        self.error: dict[str, Any] = {"message": message, "type": kind, "code": code}
        if subcode is not None:
            self.error["error_subcode"] = subcode
        if transient or code in (1, 2):
            self.error["is_transient"] = transient
        if title is not None:
            self.error["error_user_title"] = title
        if advice is not None:
            self.error["error_user_msg"] = advice

    def answer(self, trace: str) -> Answer:
        return Answer(self.status, {"error": self.error | {"fbtrace_id": trace}}, self.headers)


def new_trace() -> str:
    """An fbtrace_id as Graph makes them."""
    return "A" + base64.urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("=")


def bad_parameter(
    what: str, *, subcode: int | None = None, title: str | None = None, advice: str | None = None
) -> GraphFault:
    message = "Invalid parameter" if subcode else f"(#100) {what}"
    return GraphFault(message, code=100, subcode=subcode, title=title, advice=advice or (what if subcode else None))


def missing_object(object_id: str, verb: str = "get") -> GraphFault:
    return GraphFault(
        f"Unsupported {verb} request. Object with ID '{object_id}' does not exist, cannot be loaded due to missing "
        "permissions, or does not support this operation. Please read the Graph API documentation at "
        "https://developers.facebook.com/docs/graph-api",
        code=100,
        subcode=33,
        kind="GraphMethodException",
    )


def as_list(raw: Any) -> list[str]:
    """A list parameter: a JSON list or words with commas; commas inside braces do not part."""
    if raw in (None, ""):
        return []
    if isinstance(raw, list):
        return [str(one) for one in raw]
    text = str(raw).strip()
    if text.startswith("["):
        try:
            found = json.loads(text)
        except ValueError:
            raise bad_parameter("a list parameter must be a JSON list or words with commas") from None
        return [str(one) for one in found] if isinstance(found, list) else [str(found)]
    words, depth, word = [], 0, ""
    for sign in text:
        depth += (sign in "{(") - (sign in "})")
        if sign == "," and depth == 0:
            words.append(word.strip())
            word = ""
        else:
            word += sign
    return [one for one in (*words, word.strip()) if one]


def matches(value: Any, one: dict[str, Any]) -> bool:
    """Whether a value passes one entry {field, operator, value} of `filtering`."""
    operator, wanted = str(one.get("operator", "EQUAL")).upper(), one.get("value")
    if operator in ("IN", "NOT_IN"):
        inside = str(value) in {str(item) for item in (wanted if isinstance(wanted, list) else [wanted])}
        return inside == (operator == "IN")
    if operator in ("CONTAIN", "NOT_CONTAIN"):
        return (str(wanted).lower() in str(value or "").lower()) == (operator == "CONTAIN")
    if operator in ("EQUAL", "NOT_EQUAL"):
        return (str(value) == str(wanted)) == (operator == "EQUAL")
    comparisons = {
        "GREATER_THAN": lambda a, b: a > b,
        "GREATER_THAN_OR_EQUAL": lambda a, b: a >= b,
        "LESS_THAN": lambda a, b: a < b,
        "LESS_THAN_OR_EQUAL": lambda a, b: a <= b,
    }
    if operator not in comparisons:
        raise bad_parameter(f"filtering: {operator} is no operator of the sandbox")
    try:
        return bool(comparisons[operator](float(value or 0), float(wanted)))  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise bad_parameter("filtering: the value must be a number") from None


DEFAULT_LIMIT = 25
MOST = 5_000


def page(
    rows: list[dict[str, Any]], url: str, params: dict[str, Any], summary: dict[str, Any] | None
) -> dict[str, Any]:
    """One page of `rows` as Graph gives it: data, cursors, and `next` only while there is more."""
    try:
        limit = int(params.get("limit") or DEFAULT_LIMIT)
        start = _place(params["after"]) if params.get("after") else 0
    except (ValueError, binascii.Error):
        raise bad_parameter("limit must be an integer, after a cursor of this edge") from None
    if limit < 1:
        raise bad_parameter("limit must be at least 1")
    limit = min(limit, MOST)
    data = rows[start : start + limit]
    body: dict[str, Any] = {"data": data}
    if data:
        end = start + len(data)
        body["paging"] = {"cursors": {"before": _cursor(start), "after": _cursor(end)}}
        kept = {name: value for name, value in params.items() if name not in ("access_token", "after")}
        if end < len(rows):
            body["paging"]["next"] = f"{url}?{urlencode(kept | {'after': _cursor(end)})}"
        if start:
            before = max(0, start - limit)
            body["paging"]["previous"] = f"{url}?{urlencode(kept | {'after': _cursor(before)})}"
    if summary is not None:
        body["summary"] = summary
    return body


def _cursor(place: int) -> str:
    return base64.b64encode(f"sandbox:{place}".encode()).decode()


def _place(cursor: str) -> int:
    word, _, place = base64.b64decode(cursor, validate=True).decode().partition(":")
    if word != "sandbox":
        raise ValueError(cursor)
    return int(place)
