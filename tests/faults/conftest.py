"""Providers that fail at the wire: routers over stand-in servers, and whole houses over them."""

from typing import Any, Protocol

from evals.stand_in import StandIn, Unreachable
from tests.journeys.conftest import open_house
from tests.llm.conftest import make_router, serve, turn

Provider = StandIn | Unreachable


class HasAddress(Protocol):
    url: str
    openai_url: str


class Shown:
    """What a reader of the stream sees: the text that stands, and what was taken back before it."""

    def __init__(self) -> None:
        self.text = ""
        self.taken_back: list[str] = []

    def __call__(self, piece: str | None) -> None:
        if piece is None:
            self.taken_back.append(self.text)
            self.text = ""
        else:
            self.text += piece


def keyed(wire: str, server: HasAddress) -> dict[str, Any]:
    """The settings that put a server in a provider's place."""
    return {f"{wire}_api_key": "a-key", f"{wire}_base_url": server.openai_url if wire == "openai" else server.url}


__all__ = ["make_router", "open_house", "serve", "turn"]
