"""The web search as the settings want it: the simulated vendors, or those that have a key."""

import httpx

from core.clock import Clock
from core.settings import Settings
from integrations.web_search.brave import BraveSearch
from integrations.web_search.client import SearchVendor, WebSearch
from integrations.web_search.serpapi import SerpApi
from integrations.web_search.serper import Serper


def live_search(settings: Settings, http: httpx.AsyncClient, clock: Clock) -> WebSearch:
    """The public vendors that have a key. None: every search is refused with "search_not_set_up".

    Refused("search_key_wrong") for a key that cannot be one (line breaks, other letters).
    """
    return WebSearch(live_vendors(settings, http, clock), clock)


def live_vendors(settings: Settings, http: httpx.AsyncClient, clock: Clock) -> list[SearchVendor]:
    """Those that have a key, in the order in which they are asked. Failures as of `live_search`."""
    vendors: list[SearchVendor] = []
    if settings.serpapi_key is not None:
        vendors.append(SerpApi(http, settings.serpapi_key.get_secret_value(), clock))
    if settings.brave_key is not None:
        vendors.append(BraveSearch(http, settings.brave_key.get_secret_value(), clock))
    if settings.serper_key is not None:
        vendors.append(Serper(http, settings.serper_key.get_secret_value(), clock))
    return vendors


def sandbox_search(url: str, http: httpx.AsyncClient, clock: Clock) -> WebSearch:
    """All three, simulated, behind `url` (`simulator.launch.shared(folder).acquire()["url"]`)."""
    from integrations.web_search.simulator.wires import SANDBOX_KEY

    return WebSearch(
        [
            SerpApi(http, SANDBOX_KEY, clock, base_url=f"{url}/serpapi"),
            BraveSearch(http, SANDBOX_KEY, clock, base_url=f"{url}/brave"),
            Serper(http, SANDBOX_KEY, clock, base_url=f"{url}/serper"),
        ],
        clock,
    )
