"""The wiring of the ads: Meta's Graph API at the address the settings say, and imported files."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from business.ads.connections import MetaConnections
from business.ads.file_source import FileSource
from business.ads.graph_source import GraphSource
from business.ads.imports import Imports
from business.ads.model import AdsSource
from business.ads.result_rules import result_rules
from business.ads.service import AdsService
from business.people.sample import ensure_sample_company
from core.errors import SetupError
from core.processes import Attached
from core.settings import Settings
from core.tenancy import Role
from integrations.meta_ads.client import MetaAdsClient
from integrations.meta_ads.simulator import launch as simulator
from wiring.floor import Floor


@dataclass(frozen=True)
class Ads:
    service: AdsService
    connections: MetaConnections
    imports: Imports
    sandbox_token: str
    """Of the data folder's own simulator; "" when the Graph is another."""


async def open_ads(floor: Floor, graph_url: str | None) -> Ads:
    """`graph_url`: a Graph API that the caller runs itself, instead of the data folder's sandbox."""
    settings, db = floor.settings, floor.db
    url, token = (graph_url, "") if graph_url else await _graph(floor)
    _only_loopback_unless_live(settings, url)
    opener = _client_opener(settings, floor.http, url)
    connections = MetaConnections(db, floor.vault, floor.clock, opener, settings.meta_ads)

    async def sources_of(tenant_id: str) -> list[AdsSource]:
        connected = await connections.of(tenant_id)
        graph: list[AdsSource] = [GraphSource(c.client, c.account_ids) for c in connected]
        return [*graph, FileSource(db, tenant_id)]

    service = AdsService(sources_of, floor.clock, partial(result_rules, db))
    return Ads(service, connections, Imports(db, floor.files, floor.jobs, floor.clock), token)


async def connect_sample_company(floor: Floor, ads: Ads) -> None:
    """The sandbox's tenant, users and their connection to the simulator."""
    tenant = await ensure_sample_company(floor.settings, floor.people, floor.db)
    if ads.sandbox_token and not await ads.connections.of(tenant.id):
        admin = await floor.people.identity_by_role(tenant.id, Role.ADMIN)
        checked = await ads.connections.check(ads.sandbox_token)
        await ads.connections.save(admin, checked, [account.id for account in checked.accounts])


async def _graph(floor: Floor) -> tuple[str, str]:
    """(address of the Graph API, token of the sandbox or ""). The sandbox is a process that several of ours share."""
    if floor.settings.meta_ads == "live":
        return floor.settings.meta_graph_url, ""
    server = Attached(simulator.shared((floor.settings.data_dir / "simulators" / "meta_ads").resolve()))
    floor.stack.push_async_callback(server.leave)
    details = await server.details()
    return str(details["url"]), Path(details["token_file"]).read_text(encoding="utf-8").strip()


def _client_opener(settings: Settings, http: httpx.AsyncClient, url: str) -> Callable[[str], MetaAdsClient]:
    secret = settings.meta_app_secret.get_secret_value() if settings.meta_app_secret else None

    def open_client(token: str) -> MetaAdsClient:
        return MetaAdsClient(http, token, base_url=url, app_secret=secret if settings.meta_ads == "live" else None)

    return open_client


def _only_loopback_unless_live(settings: Settings, url: str) -> None:
    """The sandbox talks to this machine only: SetupError("sandbox_not_local") for any other Graph address."""
    if settings.meta_ads != "live" and (urlsplit(url).hostname or "") not in ("127.0.0.1", "::1", "localhost"):
        raise SetupError("sandbox_not_local", f"{url} is not on this machine", url=url)
