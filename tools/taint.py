"""Where an argument of a change comes from: the user's own words, or data that somebody else may have written.

Names of ads, cells of a file and messages of contacts are data. A change whose target was found there and not named
by the user is still proposed (a person must say yes to it anyway), but the proposal says so.
"""

import json
import re
import unicodedata
from typing import Any

from core.turn import Turn
from tools.spec import ToolArgs

Warning_ = tuple[str, dict[str, Any]]
"""A text's key and its parameters, as in business/approvals/model.py Preview.warnings."""

_PROSE = frozenset({"reason"})  # the model's own sentence: evidence, not an order


def argument_warnings(turn: Turn, args: ToolArgs) -> list[Warning_]:
    """One warning for each named thing in `args` that the user did not name, with where it was found.

    Through MCP there is no user's text to compare with: the client's argument is what was asked.
    """
    if turn.door == "mcp" and not turn.text:
        return []
    warnings: list[Warning_] = []
    for name, value in args.model_dump(mode="json", exclude_unset=True).items():
        schema = type(args).model_fields[name].annotation
        if name in _PROSE or not isinstance(value, str) or "Literal" in str(schema):
            continue
        origin = origin_of(turn, value)
        if origin != "user":
            key = "proposal.warning.from_" + (origin or "nowhere").replace(" ", "_")
            warnings.append((key, {"value": value}))
    return warnings


def origin_of(turn: Turn, value: str) -> str | None:
    """`user`, the origin of the tool result that holds the value, or None when it stands nowhere.

    An id counts as the user's when the thing it belongs to was named by the user.
    """
    if _said_by_user(turn, value):
        return "user"
    found: str | None = None
    for record in turn.results:
        for owner in _owners(record.result, value):
            if _said_by_user(turn, str(owner.get("name") or "")):
                return "user"
            found = record.origin
    if found is None and _folded(value) in _folded(json.dumps(turn.session.get("entities", ""), ensure_ascii=False)):
        found = "account data"
    return found


def _said_by_user(turn: Turn, value: str) -> bool:
    wanted = _folded(value)
    said = (turn.text, str(turn.session.get("last_text") or ""))
    return bool(wanted) and any(re.search(rf"(?<!\w){re.escape(wanted)}(?!\w)", _folded(text)) for text in said)


def _owners(data: Any, value: str) -> list[dict[str, Any]]:
    """The innermost objects in a result that hold `value` as one of their own texts."""
    owners: list[dict[str, Any]] = []
    if isinstance(data, dict):
        if any(isinstance(inner, str) and _folded(inner) == _folded(value) for inner in data.values()):
            owners.append(data)
        for inner in data.values():
            owners += _owners(inner, value)
    elif isinstance(data, list):
        for inner in data:
            owners += _owners(inner, value)
    return owners


def _folded(text: str) -> str:
    """Without case, accents, punctuation and doubled spaces, as people retype names."""
    bare = "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))
    return " ".join(re.findall(r"\w+", bare))
