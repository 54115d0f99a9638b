"""Sentences for people that are not said yet: a key of prompts/texts and what fills it, other sentences among it.

So a score can be kept in the database and explained later in anybody's language.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any


@dataclass(frozen=True)
class Line:
    """`params` holds texts, numbers, dates, further lines, and lists and mappings of these."""

    key: str
    params: dict[str, Any] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """As JSON values; `line_from` gives it back."""
        return {"key": self.key, "params": {name: _plain(value) for name, value in self.params.items()}}


def line_from(record: Mapping[str, Any]) -> Line:
    return Line(record["key"], {name: _back(value) for name, value in record["params"].items()})


def said(line: Line, say: Callable[..., str]) -> str:
    """The sentence. `say(key, **params)` finds its words in one language: partial(texts.say, language)."""
    return say(line.key, **{name: _said(value, say) for name, value in line.params.items()})


def _said(value: Any, say: Callable[..., str]) -> Any:
    if isinstance(value, Line):
        return said(value, say)
    return [_said(one, say) for one in value] if isinstance(value, list) else value


def _plain(value: Any) -> Any:
    if isinstance(value, Line):
        return value.record()
    if isinstance(value, date):
        return {"day": value.isoformat()}
    if isinstance(value, Decimal):
        return {"number": str(value)}
    return [_plain(one) for one in value] if isinstance(value, list) else value


def _back(value: Any) -> Any:
    if isinstance(value, dict) and value.keys() == {"key", "params"}:
        return line_from(value)
    if isinstance(value, dict) and value.keys() == {"day"}:
        return date.fromisoformat(value["day"])
    if isinstance(value, dict) and value.keys() == {"number"}:
        return Decimal(value["number"])
    return [_back(one) for one in value] if isinstance(value, list) else value
