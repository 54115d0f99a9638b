"""`mutirao connect whatsapp | list` and `mutirao disconnect whatsapp`: the numbers by which a company is written to."""

from collections.abc import Collection
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import click

from business.messaging.channels import WHATSAPP, Channel, Provider
from business.messaging.connecting import Connecting, Step, Wanted, paces_of
from business.messaging.sandbox import NUMBER
from business.messaging.sandbox_evolution import INSTANCE, SandboxEvolution
from business.messaging.templates_store import SYNC_TEMPLATES
from channels.commands import Run, admin_of, table_lines
from channels.services import Services
from core.errors import ArgumentsWrong
from core.http import QueuedClient
from core.tenancy import Identity
from integrations.gateway_maps.mapping import load

_PROVIDERS: dict[str, Provider] = {
    "whatsapp": "whatsapp_cloud",
    "evolution": "evolution",
    "uazapi": "uazapi",
    "lancepilot": "lancepilot",
}
_MARKS = {"ok": "✓", "missing": "–", "wrong": "✗", "unknown": "?", "note": "·"}


def add_to(connect: click.Group, disconnect: click.Group, run: Run) -> None:
    """Give `connect` its `whatsapp` and `list`, and `disconnect` its `whatsapp`."""

    def of_tenant(command: Any) -> Any:
        return click.option("--tenant", help="Empresa (slug). Padrão: a única, ou a de exemplo.")(command)

    @connect.command("whatsapp")
    @of_tenant
    @click.option(
        "--provider",
        type=click.Choice(list(_PROVIDERS)),
        default="whatsapp",
        show_default=True,
        help="whatsapp é a API oficial da Meta.",
    )
    @click.option("--number", help="Meta: identificador do número (só algarismos). Evolution: nome da instância.")
    @click.option("--account", help="Meta: conta do WhatsApp Business (WABA). LancePilot: workspace.")
    @click.option("--token", help="Token ou chave de API; se faltar, é perguntado sem aparecer na tela.")
    @click.option("--app-secret", default="", help="Só se o número está num aplicativo da Meta diferente do principal.")
    @click.option("--url", default="", help="Endereço do servidor (Evolution, Uazapi).")
    @click.option("--name", default="", help="Como o número aparece aqui.")
    @click.option(
        "--coexistence/--no-coexistence",
        default=None,
        help="O número também é usado no aplicativo WhatsApp Business (até 20 mensagens por segundo).",
    )
    @click.option("--per-second", type=int, help="Quantas mensagens saem por segundo; 0: o que o WhatsApp diz.")
    @click.option(
        "--portfolio-limit", help="A quantas pessoas se escreve primeiro em 24 h; unlimited; told: o que diz."
    )
    def _connect(provider: str, tenant: str | None, **told: Any) -> None:
        """Liga um número de WhatsApp: confere token, número e endereço do webhook, e guarda tudo cifrado."""

        async def work(services: Services) -> int:
            who = await admin_of(services, tenant)
            async with AsyncExitStack() as stack:
                wanted = await _wanted(services, who, _PROVIDERS[provider], told, stack)
                http = await stack.enter_async_context(QueuedClient())
                connecting = Connecting(services.messaging.channels, http, services.settings, services.vault)
                found = await connecting.connect(who, wanted)
            say = partial(services.texts.say, who.language)
            channel = found.channel
            click.echo(say("connect.whatsapp.saved", name=channel.name, number=channel.number, id=channel.id))
            for step in found.steps:
                click.echo(step_line(services, who.language, step))
            # What was stopped for the old token, or while it was paused, is asked about anew.
            await services.messaging.outbox.lift(who, channel.id)
            if channel.provider == "whatsapp_cloud" and channel.account:
                await services.jobs.defer(None, SYNC_TEMPLATES, tenant_id=who.tenant_id, channel_id=channel.id)
            return 1 if any(step.state == "wrong" for step in found.steps) else 0

        run(work)

    @connect.command("list")
    @of_tenant
    def _list(tenant: str | None) -> None:
        """Lista os números ligados."""

        async def work(services: Services) -> None:
            who = await admin_of(services, tenant)
            click.echo("\n".join(await _lines(services, who)))

        run(work)

    @disconnect.command("whatsapp")
    @click.argument("number")
    @of_tenant
    def _disconnect(number: str, tenant: str | None) -> None:
        """Pausa um número: nada mais sai por ele, e o que chega continua guardado."""
        run(partial(pause, tenant, number, WHATSAPP))


async def pause(tenant: str | None, number: str, providers: Collection[str], services: Services) -> None:
    """Stop a channel of one of these providers, named by number, telephone or id."""
    who = await admin_of(services, tenant)
    channels = services.messaging.channels
    known = [c for c in await channels.of(who.tenant_id) if number in (c.id, c.number, c.phone)]
    found = next((c for c in known if c.provider in providers), None)
    if found is None:
        raise ArgumentsWrong("channel_unknown", f"no channel {number!r}", channel=number)
    await channels.pause(who, found.id)
    click.echo(services.texts.say(who.language, "connect.whatsapp.paused", name=found.name))


def step_line(services: Services, language: str, step: Step) -> str:
    """One look in words, with its mark."""
    params = dict(step.params)
    if step.error is not None:
        params["reason"] = services.texts.error(language, step.error)
        said = services.texts.say(language, "connect.whatsapp.failed", step=step.name, **params)
    else:
        said = services.texts.say(language, f"connect.whatsapp.{step.name}.{step.state}", **params)
    return f"  {_MARKS[step.state]} {said}"


async def _wanted(
    services: Services, who: Identity, provider: Provider, told: dict[str, Any], stack: AsyncExitStack
) -> Wanted:
    """What was typed; in the sandbox the simulators' own address and credential; else asked for."""
    say = partial(services.texts.say, who.language)
    paces = paces_of(
        provider,
        coexistence=told["coexistence"],
        per_second=told["per_second"],
        people=(told["portfolio_limit"] or "").strip().lower(),
    )
    sandbox = services.messaging.channels.environment(provider) == "sandbox"
    number, token, url = told["number"] or "", told["token"] or "", told["url"]
    if sandbox and provider == "whatsapp_cloud" and services.messaging.sandbox is not None:
        standin = services.messaging.sandbox
        url = await standin.open()
        stack.push_async_callback(standin.close)
        number, token = number or NUMBER, token or standin.secrets.token
    if sandbox and provider == "evolution" and not url:
        evolution = SandboxEvolution(services.settings.data_dir / "simulators" / "evolution")
        url = await evolution.open()
        stack.push_async_callback(evolution.close)
        number, token = number or INSTANCE, token or evolution.api_key
    if provider != "whatsapp_cloud" and not url:
        own = "" if provider == "evolution" else load(provider, services.settings.data_dir).base_url
        url = own or click.prompt(say("connect.whatsapp.ask.url"))
    number = number or click.prompt(say(f"connect.whatsapp.ask.number.{'meta' if _meta(provider) else 'gateway'}"))
    account = told["account"]
    if account is None and not sandbox and provider in ("whatsapp_cloud", "lancepilot"):
        account = click.prompt(say("connect.whatsapp.ask.account"), default="", show_default=False)
    if account is None and sandbox and number == NUMBER:
        account = "100000000000101"
    token = token or click.prompt(say("connect.whatsapp.ask.token"), hide_input=True)
    return Wanted(
        provider, number.strip(), token.strip(), (account or "").strip(), told["name"], url,
        told["app_secret"].strip(), paces,
    )  # fmt: skip


def _meta(provider: Provider) -> bool:
    return provider == "whatsapp_cloud"


async def _lines(services: Services, who: Identity) -> list[str]:
    say = partial(services.texts.say, who.language)
    found = await services.messaging.channels.of(who.tenant_id)
    if not found:
        return [say("connect.whatsapp.none")]

    def row(channel: Channel) -> list[str]:
        state = say(f"connect.whatsapp.state.{channel.state}")
        return [channel.provider, channel.number, channel.phone, channel.name, channel.environment, state, channel.id]

    columns = [say(f"connect.whatsapp.column.{c}") for c in ("provider", "number", "phone", "name", "world", "state")]
    return table_lines([*columns, "id"], [row(channel) for channel in found], ["left"] * 7)
