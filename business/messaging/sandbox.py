"""The sandbox's WhatsApp: a stand-in in a process of its own, and the sample company's number at it.

Nothing is started before `open`, which the server calls; a command that never writes to anybody does not wait for it.
"""

import asyncio
import contextlib
from pathlib import Path

import httpx
import structlog

from business.messaging.channels import Channel, Channels
from core.errors import Refused
from core.processes import Attached
from core.tenancy import Identity
from integrations.whatsapp_cloud.simulator import launch
from integrations.whatsapp_cloud.simulator.launch import Secrets
from integrations.whatsapp_cloud.simulator.state import ACCOUNTS

log = structlog.get_logger(__name__)

NUMBER = ACCOUNTS[0].number_id
"""The sample company's phone number id at the stand-in."""
_AGAIN = 0.2
"""Seconds between two tries of telling our address, while our server is still starting."""


class SandboxWhatsApp:
    """The stand-in of one data folder; several processes of it share one. `folder`: `<data_dir>/simulators/whatsapp`.

    `secrets` may be read before `open`: the webhook's door needs them first.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._server = Attached(launch.shared(self._folder))
        self._url = ""

    @property
    def secrets(self) -> Secrets:
        """Token, app secret and verify token, made at the first question, in files that only we can read."""
        return launch.secrets_of(self._folder)

    @property
    def url(self) -> str:
        """Its address on loopback; "" before `open`."""
        return self._url

    async def open(self) -> str:
        """Start it or join in, once; gives its address. Errors as SharedServer.acquire."""
        self._url = str((await self._server.details())["url"])
        return self._url

    async def close(self) -> None:
        """Leave; the last one stops it. Its conversations stay in the folder."""
        self._url = ""
        await self._server.leave()

    async def connect(self, channels: Channels, admin: Identity) -> Channel | None:
        """Give the sample company its number, or renew address and token of it; None when another company has it."""
        base_url, token = await self.open(), self.secrets.token
        account = ACCOUNTS[0]
        for channel in await channels.of(admin.tenant_id):
            if (channel.provider, channel.number) == ("whatsapp_cloud", account.number_id):
                with contextlib.suppress(Refused):
                    if channel.base_url == base_url and (await channels.secrets(channel)).get("token") == token:
                        return channel
        try:
            return await channels.save(
                admin,
                "whatsapp_cloud",
                account.number_id,
                name="Agência Ipê",  # business/people/sample.py: as the lead sees it on top of the chat
                phone=account.display,
                account=account.waba_id,
                base_url=base_url,
                secrets={"token": token, "app_secret": self.secrets.app_secret},
            )
        except Refused as refused:
            log.warning("sandbox_number_not_ours", code=refused.code)
            return None

    async def point(self, webhook: str, *, seconds: float = 60.0) -> bool:
        """Tell it where our webhook is, by Meta's handshake; False when our server did not answer it in time."""
        base_url, asked = await self.open(), {"url": webhook, "verify_token": self.secrets.verify_token}
        deadline = asyncio.get_running_loop().time() + seconds
        told = ""
        async with httpx.AsyncClient(base_url=base_url, timeout=15, trust_env=False) as http:
            while asyncio.get_running_loop().time() < deadline:
                try:
                    answer = await http.post("/__webhook", json=asked)
                    if answer.status_code == 200:
                        return True
                    told = answer.text[:200]
                except httpx.HTTPError as error:
                    told = type(error).__name__
                await asyncio.sleep(_AGAIN)
        log.warning("sandbox_webhook_not_told", why=told)
        return False
