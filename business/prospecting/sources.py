"""Where a search looks, as one bundle that is opened when it is first needed.

Which of them are the sandbox's is for the settings to say; the simulators start with the first search, not with the
product.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx

from core.clock import Clock
from core.processes import Attached, SharedServer
from core.settings import Settings
from integrations.brasil_places.client import Places
from integrations.brasil_places.simulator import launch as places_simulator
from integrations.minha_receita.client import MinhaReceita
from integrations.minha_receita.simulator import launch as registry_simulator
from integrations.web_pages.client import WebPages
from integrations.web_pages.fetcher import Limits
from integrations.web_pages.resolver import PublicResolver
from integrations.web_pages.simulator import launch as pages_simulator
from integrations.web_search.build import live_search, sandbox_search
from integrations.web_search.client import WebSearch
from integrations.web_search.simulator import launch as search_simulator

_LIVE = ("minha_receita", "brasil_places", "web_search", "web_pages")


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


class LazySources:
    """The sources of a process. `open` is an OpenSources; `close` when the process ends.

    Each simulator is a process that all of ours with the same data folder share. `http` is closed by its owner.
    """

    def __init__(self, settings: Settings, http: httpx.AsyncClient, clock: Clock) -> None:
        self._settings = settings
        self._http = http
        self._clock = clock
        self._opening = asyncio.Lock()
        self._opened: Sources | None = None
        self._stack = AsyncExitStack()

    async def open(self) -> Sources:
        """SetupError("data_dir_unwritable"); Unavailable("server_not_starting") when a simulator does not start."""
        async with self._opening:
            if self._opened is None:
                self._opened = await self._open()
            return self._opened

    async def close(self) -> None:
        await self._stack.aclose()

    async def _open(self) -> Sources:
        registry, places, search, pages = await asyncio.gather(
            self._server("minha_receita", registry_simulator.shared),
            self._server("brasil_places", places_simulator.shared),
            self._server("web_search", search_simulator.shared),
            self._server("web_pages", pages_simulator.shared),
        )
        reader = await self._pages(pages)
        self._stack.push_async_callback(reader.aclose)
        return Sources(
            registry=self._registry(registry),
            places=self._places(places),
            web=sandbox_search(search, self._http, self._clock)
            if search
            else live_search(self._settings, self._http, self._clock),
            pages=reader,
            sandbox=any(getattr(self._settings, name) != "live" for name in _LIVE),
        )

    async def _server(self, name: str, shared: Callable[[Path], SharedServer]) -> str | None:
        """The address of a source's simulator, None when the settings say that it is live."""
        if getattr(self._settings, name) == "live":
            return None
        server = Attached(shared(self._folder(name)))
        self._stack.push_async_callback(server.leave)
        return str((await server.details())["url"])

    def _folder(self, name: str) -> Path:
        return (self._settings.data_dir / "simulators" / name).resolve()

    def _registry(self, sandbox: str | None) -> MinhaReceita:
        if sandbox:  # ours need not be spared
            return MinhaReceita(self._http, self._clock, base_url=sandbox, gap=0)
        return MinhaReceita(self._http, self._clock, base_url=self._settings.minha_receita_url)

    def _places(self, sandbox: str | None) -> Places:
        if sandbox:
            urls = places_simulator.urls(sandbox)
            return Places(
                self._http,
                self._clock,
                brasilapi_url=urls["brasilapi_url"],
                viacep_url=urls["viacep_url"],
                ibge_url=urls["ibge_url"],
                gap=0,
            )
        return live_places(self._settings, self._http, self._clock)

    async def _pages(self, sandbox: str | None) -> WebPages:
        if sandbox is None:
            return WebPages(PublicResolver(), self._clock)
        from integrations.web_pages.simulator.sites_resolver import SimulatedSites

        trust = await asyncio.to_thread(pages_simulator.trust, self._folder("web_pages"))
        unspared = Limits(pause=0.0, longest_pause=0.0)  # the sites are ours
        return WebPages(SimulatedSites(sandbox), self._clock, trust=trust, limits=unspared)


def live_places(settings: Settings, http: httpx.AsyncClient, clock: Clock) -> Places:
    """The three services of places at the addresses that the settings name."""
    return Places(
        http,
        clock,
        brasilapi_url=settings.brasilapi_url,
        viacep_url=settings.viacep_url,
        ibge_url=settings.ibge_url,
    )
