"""Connecting a WhatsApp number: is the credential good, is the number ours, and does what people write reach us?

Every look is a `Step` with a state; its words are `connect.whatsapp.<step>.<state>` in prompts/texts (gateways.yaml).
Only a credential or a number that is refused stops: all else can be mended while the number is already kept.
"""

import secrets as random_secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import httpx

from business.messaging.channels import WHATSAPP, Channel, Channels, Provider
from business.messaging.gateway_clients import evolution_client, mapped_client, on_loopback
from business.messaging.gateway_doors import HOOKS, HookKey, hook_address, hook_keys
from business.messaging.pace import MOST_PEOPLE, MOST_PER_SECOND, PER_SECOND_COEXISTING
from business.messaging.sender_cloud import SANDBOX_TOKEN
from core.errors import ArgumentsWrong, MutiraoError, Refused
from core.settings import Settings
from core.tenancy import Identity
from core.vault import Vault
from integrations.evolution.simulator.state import KEY_PREFIX
from integrations.gateway_maps.mapping import load
from integrations.web_pages.addresses import is_public
from integrations.whatsapp_cloud.client import GRAPH_URL, WhatsAppCloud

State = Literal["ok", "wrong", "missing", "unknown", "note"]
CLOUD_PATH = "/webhooks/whatsapp"
_PAUSE = 0.1  # seconds between two tries: somebody waits at the terminal


@dataclass(frozen=True)
class Step:
    """One look: `name` and `state` find its words, `params` fill them; `error` is what stopped it, to be explained."""

    name: str
    state: State
    params: Mapping[str, Any] = field(default_factory=dict)
    error: MutiraoError | None = None


@dataclass(frozen=True)
class Wanted:
    """What a person tells of the number. `number`: phone number id or instance; `account`: WhatsApp business account
    or workspace; `token`: the access token or API key; `app_secret`: of a Meta app of this number's own."""

    provider: Provider
    number: str
    token: str = field(repr=False)
    account: str = ""
    name: str = ""
    base_url: str = ""
    app_secret: str = field(default="", repr=False)
    paces: Mapping[str, Any] = field(default_factory=dict)
    """What was told of how fast and how much it sends, as `paces_of` checked it."""


def paces_of(
    provider: Provider, *, coexistence: bool | None = None, per_second: int | None = None, people: str = ""
) -> dict[str, Any]:
    """The settings of a number that known.py reads: what is None or "" stays as it is.

    `coexistence`: the number is used in the WhatsApp Business app too, which allows 20 messages a second. `per_second`:
    1 to 1,000 (WhatsApp's highest), 0 for what the gateway tells. `people`: how many different ones may be written to
    first in 24 hours, 1 to 100,000, "unlimited", or "told" for what WhatsApp says.

    ArgumentsWrong("channel_pace", what).
    """
    found: dict[str, Any] = {}
    if provider != "whatsapp_cloud" and (coexistence is not None or people):
        raise ArgumentsWrong("channel_pace", "WhatsApp's own API alone", what="provider")
    if coexistence is not None:
        found["coexistence"] = coexistence
    if per_second is not None:
        if not 0 <= per_second <= (PER_SECOND_COEXISTING if coexistence else MOST_PER_SECOND):
            raise ArgumentsWrong(
                "channel_pace", f"{per_second} a second", what="coexistence" if coexistence else "pace"
            )
        found["per_second"] = per_second
    if people:
        number = int(people) if people.isascii() and people.isdecimal() and len(people) < 10 else 0
        if people not in ("unlimited", "told") and not 1 <= number <= MOST_PEOPLE:
            raise ArgumentsWrong("channel_pace", f"{people[:20]} people", what="people")
        found["portfolio_limit"] = {"unlimited": None, "told": "told"}.get(people, number)
    return found


@dataclass(frozen=True)
class Connected:
    channel: Channel
    steps: tuple[Step, ...]


def verify_token(settings: Settings, vault: Vault) -> str:
    """What Meta has to bring when it checks our address: the setting, else one that the data folder keeps."""
    if settings.whatsapp_verify_token is not None:
        return settings.whatsapp_verify_token.get_secret_value()
    return vault.named_secret("whatsapp_verify_token")


class Connecting:
    def __init__(self, channels: Channels, http: httpx.AsyncClient, settings: Settings, vault: Vault) -> None:
        self._channels = channels
        self._http = http
        self._settings = settings
        self._vault = vault
        self._hook_key: HookKey = hook_keys(vault.named_secret(HOOKS))
        self._data_dir: Path = settings.data_dir

    async def connect(self, who: Identity, wanted: Wanted) -> Connected:
        """Look, keep, and tell the gateway our address.

        Nothing is kept when credential or number are refused: ArgumentsWrong("channel_malformed", what),
        ("whatsapp_token_malformed"), Refused("channel_other_world") for a token of the simulator outside it or the
        other way round, and what the gateway says (whatsapp_…, gateway_…). Others as `Channels.save`.
        """
        if wanted.provider not in WHATSAPP:
            raise ArgumentsWrong("channel_malformed", f"no WhatsApp: {wanted.provider}", what="provider")
        self._check_token(wanted)
        known = [c for c in await self._channels.of(who.tenant_id) if c.number == wanted.number]
        old = next((c for c in known if c.provider == wanted.provider), None)
        wanted = replace(
            wanted,
            base_url=wanted.base_url or (old.base_url if old else ""),
            account=wanted.account or (old.account if old else ""),
        )
        if wanted.provider == "whatsapp_cloud":
            return await self._cloud(who, wanted)
        if wanted.provider == "evolution":
            return await self._evolution(who, wanted)
        return await self._mapped(who, wanted)

    async def look(self, channel: Channel) -> list[Step]:
        """The same looks at a number that is connected, for the doctor: changes nothing here or outside."""
        secrets = await self._channels.secrets(channel)
        try:
            if channel.provider == "whatsapp_cloud":
                return await self._look_cloud(channel, secrets)
            if channel.provider == "evolution":
                return await self._look_evolution(channel, secrets)
            return await self._look_mapped(channel, secrets)
        except MutiraoError as error:
            return [Step("number", "wrong", {"number": channel.number}, error)]

    # --- WhatsApp itself ----------------------------------------------------------------------

    async def _cloud(self, who: Identity, wanted: Wanted) -> Connected:
        client = self._client(wanted.token, wanted.app_secret, wanted.base_url)
        number = await client.number(wanted.number)
        told: list[Step] = [self._number(number.display, number.verified_name, number.quality)]
        if not wanted.account:
            told.append(Step("account", "missing"))
        else:
            try:
                await client.subscribe(wanted.account)
                told.append(Step("account", "ok", {"account": wanted.account}))
            except MutiraoError as error:
                told.append(Step("account", "wrong", {"account": wanted.account}, error))
        kept = {"token": wanted.token} | ({"app_secret": wanted.app_secret} if wanted.app_secret else {})
        channel = await self._channels.save(
            who,
            "whatsapp_cloud",
            wanted.number,
            name=wanted.name or number.verified_name or "",
            phone="".join(sign for sign in number.display if sign.isdecimal()),
            account=wanted.account,
            base_url="" if wanted.base_url == GRAPH_URL else wanted.base_url,
            secrets=kept,
            settings=wanted.paces,
        )
        return Connected(channel, (*told, *await self._address(channel, number.webhook_url, bool(wanted.app_secret))))

    async def _look_cloud(self, channel: Channel, secrets: Mapping[str, str]) -> list[Step]:
        client = self._client(secrets.get("token", ""), secrets.get("app_secret", ""), channel.base_url)
        number = await client.number(channel.number)
        told = [self._number(number.display, number.verified_name, number.quality)]
        if not channel.account:
            told.append(Step("account", "missing"))
        return [*told, *await self._address(channel, number.webhook_url, "app_secret" in secrets)]

    def _client(self, token: str, app_secret: str, base_url: str) -> WhatsAppCloud:
        shared = self._settings.whatsapp_app_secret
        proof = app_secret or (shared.get_secret_value() if shared is not None else "")
        live = self._channels.environment("whatsapp_cloud") == "live"
        return WhatsAppCloud(
            self._http,
            token,
            base_url=base_url or GRAPH_URL,
            app_secret=(proof or None) if live else None,
            pause=_PAUSE,
        )

    @staticmethod
    def _number(display: str, name: str | None, quality: str | None) -> Step:
        params = {"phone": display, "name": name or "–", "quality": quality or "UNKNOWN"}
        return Step("number", "wrong" if quality == "RED" else "note" if quality == "YELLOW" else "ok", params)

    async def _address(self, channel: Channel, told: str | None, own_app: bool) -> list[Step]:
        """Whether what people write reaches us: app secret, public address, handshake, and where Meta posts."""
        if channel.environment == "sandbox":
            return [Step("webhook", "note")]  # the server tells the simulator its address by itself
        path = f"{CLOUD_PATH}/{channel.id}" if own_app else CLOUD_PATH
        token = verify_token(self._settings, self._vault)
        steps = []
        if not own_app and self._settings.whatsapp_app_secret is None:
            steps.append(Step("secret", "missing"))
        base = self._settings.public_url
        if base is None:
            return [*steps, Step("address", "missing", {"path": path})]
        url = base + path
        parts = urlsplit(base)
        if parts.scheme != "https" or not _public_name(parts.hostname or ""):
            return [*steps, Step("address", "wrong", {"url": base})]
        steps.append(await self._handshake(url, token))
        if told is None:
            steps.append(Step("webhook", "missing", {"url": url, "token": token}))
        elif told.rstrip("/") != url:
            steps.append(Step("webhook", "wrong", {"url": url, "told": told, "token": token}))
        else:
            steps.append(Step("webhook", "ok", {"url": url}))
        return steps

    async def _handshake(self, url: str, token: str) -> Step:
        """Ask our own address what Meta will ask it."""
        challenge = random_secrets.token_hex(8)
        query = {"hub.mode": "subscribe", "hub.challenge": challenge, "hub.verify_token": token}
        try:
            answer = await self._http.get(url, params=query, timeout=10.0, follow_redirects=False)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return Step("handshake", "wrong", {"url": url, "why": type(error).__name__})
        if answer.status_code == 200 and answer.text == challenge:
            return Step("handshake", "ok", {"url": url})
        return Step("handshake", "wrong", {"url": url, "why": f"HTTP {answer.status_code}"})

    # --- gateways -----------------------------------------------------------------------------

    async def _evolution(self, who: Identity, wanted: Wanted) -> Connected:
        world = self._channels.environment("evolution")
        client = evolution_client(self._http, wanted.base_url, wanted.number, {"api_key": wanted.token}, world)
        state, phone = await client.state(), await client.phone() or ""
        channel = await self._channels.save(
            who,
            "evolution",
            wanted.number,
            name=wanted.name or wanted.number,
            phone=phone,
            base_url=wanted.base_url,
            secrets={"api_key": wanted.token},
        )
        steps = [self._connection(state, phone), Step("evolution", "note")]
        base = self._gateway_base(channel)
        if base is None:
            return Connected(channel, (*steps, Step("address", "missing", {"path": "/webhooks/evolution"})))
        address = hook_address(base, "evolution", channel.id, self._hook_key)
        try:
            await client.set_webhook(address.url, {address.header: address.key})
            steps.append(Step("hook", "ok", {"url": address.url}))
        except MutiraoError as error:
            steps.append(Step("hook", "wrong", {"url": address.url}, error))
        return Connected(channel, tuple(steps))

    async def _look_evolution(self, channel: Channel, secrets: Mapping[str, str]) -> list[Step]:
        client = evolution_client(self._http, channel.base_url, channel.number, secrets, channel.environment)
        steps = [self._connection(await client.state(), channel.phone), Step("evolution", "note")]
        base, hook = self._gateway_base(channel), await client.webhook()
        if base is None:
            return [*steps, Step("address", "missing", {"path": "/webhooks/evolution"})]
        address = hook_address(base, "evolution", channel.id, self._hook_key)
        same = hook is not None and hook.enabled and hook.url.rstrip("/") == address.url
        carried = hook is not None and any(
            name.lower() == address.header and value == address.key for name, value in hook.headers.items()
        )
        state: State = "ok" if same and carried else "missing"
        return [*steps, Step("hook", state, {"url": address.url})]

    @staticmethod
    def _connection(state: str, phone: str) -> Step:
        return Step("connection", "ok" if state == "open" else "wrong", {"state": state, "phone": phone or "–"})

    async def _mapped(self, who: Identity, wanted: Wanted) -> Connected:
        world = self._channels.environment(wanted.provider)
        client = mapped_client(
            self._http, wanted.provider, wanted.base_url, wanted.account, wanted.number, {"token": wanted.token},
            world, self._data_dir,
        )  # fmt: skip
        told, up = await client.state()
        channel = await self._channels.save(
            who,
            wanted.provider,
            wanted.number,
            name=wanted.name,
            phone=wanted.number if wanted.number.isdecimal() else "",
            account=wanted.account,
            base_url=wanted.base_url,
            secrets={"token": wanted.token},
            # LancePilot stands before WhatsApp's own API, so its 24 hours hold; the others are WhatsApp Web.
            settings={**wanted.paces, **({"window": True} if wanted.provider == "lancepilot" else {})},
        )
        return Connected(channel, tuple(self._of_map(channel, told, up)))

    async def _look_mapped(self, channel: Channel, secrets: Mapping[str, str]) -> list[Step]:
        client = mapped_client(
            self._http, channel.provider, channel.base_url, channel.account, channel.number, secrets,
            channel.environment, self._data_dir,
        )  # fmt: skip
        return self._of_map(channel, *await client.state())

    def _of_map(self, channel: Channel, told: str, up: bool | None) -> list[Step]:
        steps = []
        if not load(channel.provider, self._data_dir).verified:
            path = str(self._data_dir / "gateway_maps" / f"{channel.provider}.yaml")
            steps.append(Step("unverified", "unknown", {"provider": channel.provider, "path": path}))
        state: State = "unknown" if up is None else "ok" if up else "wrong"
        steps.append(Step("connection", state, {"state": told or "–", "phone": channel.phone or "–"}))
        base = self._gateway_base(channel)
        if base is None:
            return [*steps, Step("address", "missing", {"path": f"/webhooks/{channel.provider}"})]
        address = hook_address(base, channel.provider, channel.id, self._hook_key)
        return [*steps, Step("hook", "note", {"url": address.with_key})]

    # --- inside -------------------------------------------------------------------------------

    def _gateway_base(self, channel: Channel) -> str | None:
        """Where a gateway reaches us: the public address; on this machine, our own port."""
        if self._settings.public_url is not None and channel.environment == "live":
            return self._settings.public_url
        if on_loopback(channel.base_url):
            return f"http://127.0.0.1:{self._settings.port}"
        return None

    def _check_token(self, wanted: Wanted) -> None:
        token = wanted.token
        if not token or not token.isascii() or any(sign.isspace() or not sign.isprintable() for sign in token):
            raise ArgumentsWrong("whatsapp_token_malformed", "a token is one word of letters and digits")
        of_sandbox = token.startswith((SANDBOX_TOKEN, KEY_PREFIX))
        sandbox = self._channels.environment(wanted.provider) == "sandbox"
        if of_sandbox is not sandbox:
            code = "whatsapp_token_not_of_sandbox" if sandbox else "whatsapp_token_of_sandbox"
            raise Refused(code, "the token belongs to the other world")


def _public_name(host: str) -> bool:
    """Whether Meta could reach a host of this name: a name with a dot that is no inner one, or a public address."""
    if is_public(host):
        return True
    last = host.rpartition(".")[2]
    return "." in host and not last.isdecimal() and last not in ("local", "localhost", "internal", "lan", "invalid")
