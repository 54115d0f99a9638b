"""Where a search looks, as one bundle that is opened when it is first needed.

The composition root decides which of them are the sandbox's and which are live; in the sandbox the simulators start
with the first search, not with the product.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from integrations.brasil_places.client import Places
from integrations.minha_receita.client import MinhaReceita
from integrations.web_pages.client import WebPages
from integrations.web_search.client import WebSearch


@dataclass(frozen=True)
class Sources:
    """All four are there always; a search of the web without a key answers Refused("search_not_set_up")."""

    registry: MinhaReceita
    places: Places
    web: WebSearch
    pages: WebPages
    sandbox: bool
    """Any of them is simulated: the companies do not exist, and nothing may be sent to them."""


OpenSources = Callable[[], Awaitable[Sources]]
"""Opens them once; later calls give the same."""
