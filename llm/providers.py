"""The providers of models, each over its official library, all behind one form."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

from llm.catalog import Model
from llm.messages import ModelRequest, ToolCall, Usage


@dataclass(frozen=True)
class Finished:
    """The end of a whole answer: every call has arguments that could be read, and nothing was cut off."""

    tool_calls: list[ToolCall]
    usage: Usage


class Provider(Protocol):
    """One provider of models."""

    async def ready(self) -> None:
        """Build the client if there is none yet. Its library is imported in a thread: that takes up to 3 s of CPU."""
        ...

    def stream(self, model: Model, request: ModelRequest) -> AsyncGenerator[str | Finished, None]:
        """Ask a model once: pieces of text as they come (an empty one says that the answer begins), then Finished.

        Raises ModelFailure, and nothing else, for whatever goes wrong; closing the iterator ends the HTTP request.
        Keeps no deadlines and repeats nothing: both are the router's.
        """
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...
