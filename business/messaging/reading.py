"""An inbox row → what came from outside, whichever gateway it came by."""

from collections.abc import Mapping
from typing import Any

from business.messaging.arrivals import Arrival, Told
from business.messaging.reading_cloud import read_cloud
from business.messaging.reading_evolution import read_evolution
from business.messaging.reading_mapped import read_mapped
from core.errors import ArgumentsWrong


def read(number: str, kind: str, item: Mapping[str, Any]) -> Arrival:
    """`number` is the row's "provider:number", `kind` and `item` as they were kept.

    ArgumentsWrong for what cannot be understood: the row stays, with the error as its outcome.
    """
    if kind == "unread":
        return Told("unread", detail=str(item.get("reason", ""))[:200])
    provider, _, _ = number.partition(":")
    if provider == "whatsapp_cloud":
        return read_cloud(kind, item)
    if provider == "evolution":
        return read_evolution(item)
    if provider in ("uazapi", "lancepilot"):
        return read_mapped(item)
    raise ArgumentsWrong("gateway_item_broken", f"no reader for {provider!r}")
