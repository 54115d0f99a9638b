"""`mutirao connect email | sms | calendar` and `mutirao cadences list | show | set`: other ways to people, and what
follows a first message."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import click

from business.messaging.channels import Channel
from business.messaging.mail_and_sms import connect_outlet
from business.messaging.sender_email import EmailSender
from business.messaging.sender_sms import SmsSender
from business.outreach.cadence import DEFAULT, QUIET, shipped_text
from channels.commands import Run, admin_of, table_lines
from channels.commands.connect import pause
from channels.services import Services
from core.errors import ArgumentsWrong, Unavailable
from core.http import QueuedClient
from core.tenancy import Identity
from integrations.twilio.simulator.wire import NUMBER


def add_to(cli: click.Group, connect: click.Group, disconnect: click.Group, run: Run) -> None:
    """Give `connect` and `disconnect` their `email`, `sms` and `calendar`, and the command line its `cadences`."""

    def of_tenant(command: Any) -> Any:
        return click.option("--tenant", help="Empresa (slug). Padrão: a única, ou a de exemplo.")(command)

    @connect.command("email")
    @of_tenant
    @click.option("--by", type=click.Choice(["resend", "smtp"]), default="resend", show_default=True)
    @click.option("--from", "sender", required=True, help="Endereço de onde saem os e-mails.")
    @click.option("--name", default="", help="Nome que as pessoas veem.")
    @click.option("--key", help="Chave da Resend, ou senha do servidor; se faltar, é perguntada sem aparecer.")
    @click.option("--host", default="", help="SMTP: o servidor.")
    @click.option("--port", type=int, default=587, show_default=True)
    @click.option("--security", type=click.Choice(["starttls", "tls", "none"]), default="starttls", show_default=True)
    @click.option("--user", default="", help="SMTP: usuário, se não for o endereço.")
    @click.option("--reply-to", default="", help="Para onde vão as respostas.")
    @click.option("--url", default="", help="Outro endereço da API (um simulador, nesta máquina).")
    @click.option(
        "--notices/--no-notices",
        default=None,
        help="Mandar os avisos da equipe por e-mail também (lead quente, reunião…).",
    )
    def _email(
        tenant: str | None, by: str, sender: str, name: str, key: str | None, notices: bool | None, **told: Any
    ) -> None:
        """Liga um remetente de e-mail: Resend, ou o servidor da casa."""

        async def work(services: Services) -> None:
            who = await admin_of(services, tenant)
            say = services.texts.say
            secret = key or click.prompt(say(who.language, "connect.outreach.ask.key"), hide_input=True)
            if by == "smtp" and not told["host"]:
                raise ArgumentsWrong("channel_malformed", "--host", what="host")
            settings: dict[str, Any] = {"by": by}
            if by == "smtp":
                settings |= {name: told[name] for name in ("host", "port", "security")}
                settings["user"] = told["user"] or sender
            if told["reply_to"]:
                settings["reply_to"] = told["reply_to"]
            secrets = {"api_key": secret} if by == "resend" else {"password": secret}
            async with QueuedClient() as http:
                channel, unasked = await connect_outlet(
                    services.messaging.channels, EmailSender(services.messaging.channels, http, services.clock), who,
                    "email", sender, name=name, base_url=told["url"], settings=settings, secrets=secrets,
                )  # fmt: skip
            _kept(services, who, channel, by, unasked)
            if notices is not None:
                await services.messaging.rules.mail_notices(who, notices)
                click.echo(say(who.language, f"connect.outreach.notices.{'on' if notices else 'off'}"))

        run(work)

    @connect.command("sms")
    @of_tenant
    @click.option("--number", required=True, help=f"De onde saem (E.164, como {NUMBER}) ou um serviço MG….")
    @click.option("--account", required=True, help="Conta da Twilio (AC…).")
    @click.option("--token", help="Se faltar, é perguntado sem aparecer na tela.")
    @click.option("--name", default="")
    @click.option("--url", default="", help="Outro endereço da API (um simulador, nesta máquina).")
    def _sms(tenant: str | None, number: str, account: str, token: str | None, name: str, url: str) -> None:
        """Liga um número de SMS da Twilio."""

        async def work(services: Services) -> None:
            who = await admin_of(services, tenant)
            say = services.texts.say
            secret = token or click.prompt(say(who.language, "connect.outreach.ask.key"), hide_input=True)
            async with QueuedClient() as http:
                channel, unasked = await connect_outlet(
                    services.messaging.channels, SmsSender(services.messaging.channels, http), who, "sms", number,
                    name=name, account=account, base_url=url, secrets={"token": secret},
                )  # fmt: skip
            _kept(services, who, channel, "twilio", unasked)

        run(work)

    @connect.command("calendar")
    @of_tenant
    @click.option("--calendar", default="primary", show_default=True, help="Identificador da agenda no Google.")
    @click.option(
        "--credentials",
        required=True,
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="JSON da conta de serviço, ou com client_id, client_secret e refresh_token.",
    )
    @click.option("--user", help="E-mail de quem é a agenda; sem ele, é a da empresa.")
    def _calendar(tenant: str | None, calendar: str, credentials: Path, user: str | None) -> None:
        """Liga uma agenda do Google: o que há nela não é oferecido, e o que se marca aqui vai para ela."""

        async def work(services: Services) -> None:
            who = await admin_of(services, tenant)
            host = await _host(services, who, user)
            try:
                found = json.loads(credentials.read_text(encoding="utf-8"))
            except (ValueError, OSError):
                found = {}
            link = await services.messaging.links.save(
                who, calendar, found if isinstance(found, dict) else {}, host_id=host
            )
            click.echo(services.texts.say(who.language, "connect.outreach.calendar", calendar=link.calendar))

        run(work)

    @disconnect.command("email")
    @click.argument("address")
    @of_tenant
    def _no_email(address: str, tenant: str | None) -> None:
        """Pausa um remetente de e-mail: nada mais sai por ele. Ligue-o de novo para voltar."""
        run(partial(pause, tenant, address, ("email",)))

    @disconnect.command("sms")
    @click.argument("number")
    @of_tenant
    def _no_sms(number: str, tenant: str | None) -> None:
        """Pausa um número de SMS: nada mais sai por ele. Ligue-o de novo para voltar."""
        run(partial(pause, tenant, number, ("sms",)))

    @disconnect.command("calendar")
    @click.option("--user", help="E-mail de quem é a agenda; sem ele, a da empresa.")
    @of_tenant
    def _no_calendar(user: str | None, tenant: str | None) -> None:
        """Esquece uma agenda do Google e a sua credencial; o que já está lá fica lá."""

        async def work(services: Services) -> None:
            who = await admin_of(services, tenant)
            gone = await services.messaging.links.remove(who, host_id=await _host(services, who, user))
            click.echo(services.texts.say(who.language, "connect.outreach.calendar_gone", calendar=gone))

        run(work)

    @cli.group("cadences")
    def cadences() -> None:
        """O que segue uma primeira mensagem sem resposta."""

    @cadences.command("list")
    @of_tenant
    def _list(tenant: str | None) -> None:
        """Cadências que existem, e quem está nelas."""

        async def work(services: Services) -> None:
            who = await admin_of(services, tenant)
            say = services.texts.say
            click.echo(", ".join(await services.messaging.cadences.names(who)))
            runs = await services.messaging.cadences.list(who)
            rows = [
                [
                    one.name,
                    one.cadence.name,
                    f"{min(one.step, len(one.cadence.steps))}/{len(one.cadence.steps)}",
                    one.next_at.strftime("%Y-%m-%d %H:%M") if one.next_at else "",
                    say(who.language, f"outreach.why.{one.reason}") if one.reason else one.state,
                ]
                for one in runs
            ]
            if rows:
                heads = say(who.language, "outreach.table").split(" | ")
                click.echo("\n".join(table_lines(heads, rows, ["left"] * len(heads))))

        run(work)

    @cadences.command("show")
    @click.argument("name", default=DEFAULT)
    def _show(name: str) -> None:
        """Mostra o arquivo de uma cadência nossa (padrao, retomada), para copiar e mudar."""
        if name not in (DEFAULT, QUIET):
            raise click.BadParameter(f"{DEFAULT}, {QUIET}")
        click.echo(shipped_text(name))

    @cadences.command("set")
    @click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
    @of_tenant
    def _set(file: Path, tenant: str | None) -> None:
        """Guarda um arquivo de cadência da empresa; as que já começaram seguem como eram."""

        async def work(services: Services) -> None:
            who = await admin_of(services, tenant)
            found = await services.messaging.cadences.save(who, file.read_text(encoding="utf-8"))
            said = services.texts.say(who.language, "outreach.saved", name=found.name, count=len(found.steps))
            click.echo(said)

        run(work)


def _kept(services: Services, who: Identity, channel: Channel, by: str, unasked: Unavailable | None) -> None:
    """That it is kept, what its service said, and what nobody could ask."""
    say = partial(services.texts.say, who.language)
    click.echo(say("connect.outreach.saved", name=channel.name, number=channel.number))
    if unasked is None:
        click.echo(f"  ✓ {say('connect.outreach.looked', by=by)}")
    else:
        why = services.texts.error(who.language, unasked)
        click.echo(f"  ? {say('connect.outreach.unasked', by=by, why=why)}")


async def _host(services: Services, who: Identity, user: str | None) -> str | None:
    """Whose calendar; None for the house's. ArgumentsWrong("chat_owner_unknown")."""
    if not user:
        return None
    people = await services.people.users(who.tenant_id)
    host = next((one.id for one in people if one.email == user.strip().lower()), None)
    if host is None:
        raise ArgumentsWrong("chat_owner_unknown", f"no user {user!r}")
    return host
