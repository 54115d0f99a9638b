"""Gateways whose format is not public, by a map in a file: which field of theirs is which of ours, and what we post.

One reader and one client serve all of them. A map is data: it names fields and paths, and can run nothing. Whoever
knows a server better puts a file of the same name into `data_dir/gateway_maps/`; it wins over ours.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from core.errors import SetupError

FOLDER = Path(__file__).parent
MAPPED = ("uazapi", "lancepilot")
_NEEDED = ("verified", "base_url", "auth", "webhook", "send")
_PLACE = re.compile(r"\{([a-z_]+)\}")
_LATEST_SECONDS = 100_000_000_000  # beyond that a moment is told in milliseconds


@dataclass(frozen=True)
class GatewayMap:
    """`own`: the file is the user's, not ours. `raw` is the file."""

    provider: str
    verified: bool
    own: bool
    raw: Mapping[str, Any]

    @property
    def base_url(self) -> str:
        return str(self.raw.get("base_url") or "")

    @property
    def key_in_header(self) -> bool:
        return bool(self.raw["webhook"].get("key_in") == "header")

    def part(self, *names: str) -> Mapping[str, Any]:
        """A section of the map; empty when it is not there."""
        found: Any = self.raw
        for name in names:
            found = found.get(name) if isinstance(found, Mapping) else None
        return found if isinstance(found, Mapping) else {}


def load(provider: str, data_dir: Path | None = None) -> GatewayMap:
    """The map of a gateway. SetupError("gateway_map_broken", path) for a file that is none."""
    own = data_dir / "gateway_maps" / f"{provider}.yaml" if data_dir is not None else None
    path = own if own is not None and own.is_file() else FOLDER / f"{provider}.yaml"
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        raw = None
    if not isinstance(raw, dict) or any(name not in raw for name in _NEEDED) or not isinstance(raw["webhook"], dict):
        raise SetupError("gateway_map_broken", f"{path} is no map of a gateway", path=str(path))
    return GatewayMap(provider, raw["verified"] is True, path == own, raw)


def at(raw: Any, path: str) -> Any:
    """The value at "a.b.0.c"; None when it is not there or empty."""
    for step in path.split("."):
        if isinstance(raw, Mapping):
            raw = raw.get(step)
        elif isinstance(raw, list) and step.isdecimal() and int(step) < len(raw):
            raw = raw[int(step)]
        else:
            return None
    return raw if raw not in (None, "", [], {}) else None


def first(raw: Any, paths: Any) -> Any:
    """The first value that is there."""
    return next((found for path in _paths(paths) if (found := at(raw, path)) is not None), None)


def text(raw: Any, paths: Any) -> str:
    """The first of them that is a text or a number; ""."""
    for path in _paths(paths):
        found = at(raw, path)
        if isinstance(found, str) or (isinstance(found, int | float) and not isinstance(found, bool)):
            return str(found)
    return ""


def true(raw: Any, paths: Any) -> bool:
    return any(at(raw, path) in (True, 1, "true", "True", "1") for path in _paths(paths))


def moment(raw: Any) -> datetime | None:
    """Seconds or milliseconds since 1970, or ISO 8601."""
    if isinstance(raw, str) and not raw.isdecimal():
        try:
            found = datetime.fromisoformat(raw)
        except ValueError:
            return None
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    try:
        number = float(raw)
        return datetime.fromtimestamp(number / 1_000 if number > _LATEST_SECONDS else number, UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def filled(shape: Any, values: Mapping[str, Any]) -> Any:
    """`shape` with its {places} filled. A field whose only place has no value is left out; a place that is the whole
    text keeps its value's type."""
    if isinstance(shape, Mapping):
        found = {name: filled(value, values) for name, value in shape.items()}
        return {name: value for name, value in found.items() if value is not None}
    if isinstance(shape, list):
        return [one for one in (filled(value, values) for value in shape) if one is not None]
    if not isinstance(shape, str):
        return shape
    whole = _PLACE.fullmatch(shape)
    if whole:
        value = values.get(whole[1])
        return None if value in (None, "") else value
    return _PLACE.sub(lambda place: str(values.get(place[1], "")), shape)


def _paths(paths: Any) -> list[str]:
    if isinstance(paths, str):
        return [paths]
    return [str(path) for path in paths] if isinstance(paths, list) else []
