"""`mutirao whatsapp templates | rules | blocks`: what a company may say there, by which rules, and what is stopped."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from business.messaging.templates import Purpose
from business.messaging.templates_store import VALUES, Kept
from channels.commands import Run, admin_of, table_lines
from channels.services import Services
from core import formats
from core.errors import ArgumentsWrong
from core.tenancy import Identity
from integrations.whatsapp_cloud.templates import CATEGORIES, Definition, TemplateButton

_LEFT = "left"
_FINE = ("APPROVED", "PENDING")


def add_to(cli: click.Group, run: Run) -> None:
    """Give the command line its `whatsapp`."""

    def options(command: Any) -> Any:
        command = click.option("--channel", help="Id do número. Padrão: o primeiro da API oficial.")(command)
        return click.option("--tenant", help="Empresa (slug). Padrão: a única, ou a de exemplo.")(command)

    @cli.group("whatsapp")
    def whatsapp() -> None:
        """Modelos, regras e paradas das mensagens no WhatsApp."""

    # --- templates ----------------------------------------------------------------------------

    @whatsapp.group("templates")
    def templates() -> None:
        """Modelos: o que se pode dizer fora da janela de 24 horas."""

    @templates.command("list")
    @options
    def _list(tenant: str | None, channel: str | None) -> None:
        """Mostra os modelos da conta, para que servem e por que algum foi recusado."""

        async def work(services: Services) -> None:
            who = await admin_of(services, tenant)
            found = await services.messaging.templates.list(who, channel)
            click.echo("\n".join(_shown(services, who, found)))

        run(work)

    @templates.command("sync")
    @options
    def _sync(tenant: str | None, channel: str | None) -> None:
        """Traz do WhatsApp os modelos da conta, com a situação e a qualidade de agora."""

        async def work(services: Services) -> None:
            who = await admin_of(services, tenant)
            done = await services.messaging.templates.sync(who.tenant_id, channel)
            told = {name: len(getattr(done, name)) for name in ("added", "changed", "gone")}
            click.echo(services.texts.say(who.language, "outbox.templates.synced", total=done.total, **told))
            click.echo("\n".join(_shown(services, who, await services.messaging.templates.list(who, channel))))

        run(work)

    @templates.command("use")
    @click.argument("name")
    @click.option("--language", default="pt_BR", show_default=True)
    @click.option("--for", "uses", multiple=True, help=f"Para quê (pode repetir): {', '.join(Purpose)}. Nenhum: nada.")
    @click.option(
        "--hole", "holes", multiple=True, help=f"O que preenche: 1=name. Valem: {', '.join(VALUES)} e outros."
    )
    @options
    def _use(
        name: str,
        language: str,
        uses: tuple[str, ...],
        holes: tuple[str, ...],
        tenant: str | None,
        channel: str | None,
    ) -> None:
        """Diz para que um modelo serve e o que preenche as suas variáveis."""

        async def work(services: Services) -> None:
            who = await admin_of(services, tenant)
            kept = await services.messaging.templates.use(
                who, name, language, _purposes(uses), _pairs(holes), channel_id=channel
            )
            say = partial(services.texts.say, who.language)
            shown = ", ".join(say(f"outbox.purpose.{one}") for one in kept.purposes)
            click.echo(say("outbox.templates.used", name=kept.name, language=kept.language, purposes=shown))

        run(work)

    @templates.command("create")
    @click.argument("name")
    @click.option("--body", required=True, help="O texto, com variáveis {{1}}, {{2}}…; @ARQUIVO lê de um arquivo.")
    @click.option("--category", type=click.Choice(CATEGORIES), default="MARKETING", show_default=True)
    @click.option("--language", default="pt_BR", show_default=True)
    @click.option("--header", help="Uma linha de título, sem variáveis.")
    @click.option("--footer", help="Uma linha no fim, como: Responda SAIR para não receber mais mensagens.")
    @click.option("--button", "buttons", multiple=True, help="Botão de resposta rápida (pode repetir).")
    @click.option("--url-button", "links", multiple=True, help="Botão que abre um endereço: Ver o site=https://…")
    @click.option("--phone-button", "phones", multiple=True, help="Botão que liga: Ligar=+5511…")
    @click.option("--example", "examples", multiple=True, help="Um valor de exemplo para cada variável: 1=Ana.")
    @click.option("--for", "uses", multiple=True, help="Como em `use`.")
    @click.option("--hole", "holes", multiple=True, help="Como em `use`.")
    @options
    def _create(
        name: str,
        body: str,
        category: str,
        language: str,
        header: str | None,
        footer: str | None,
        buttons: tuple[str, ...],
        links: tuple[str, ...],
        phones: tuple[str, ...],
        examples: tuple[str, ...],
        uses: tuple[str, ...],
        holes: tuple[str, ...],
        tenant: str | None,
        channel: str | None,
    ) -> None:
        """Entrega um modelo novo ao WhatsApp, que decide em minutos ou dias."""

        async def work(services: Services) -> None:
            who = await admin_of(services, tenant)
            definition = Definition(
                name=name,
                language=language,
                category=category,
                body=_text(body[1:]) if body.startswith("@") else body,
                header=header,
                footer=footer,
                buttons=(
                    *(TemplateButton("QUICK_REPLY", one) for one in buttons),
                    *(TemplateButton("URL", name, url=url) for name, url in _pairs(links, "Ver=https://…").items()),
                    *(
                        TemplateButton("PHONE_NUMBER", name, phone_number=number)
                        for name, number in _pairs(phones, "Ligar=+55…").items()
                    ),
                ),
                examples=_pairs(examples),
            )
            kept = await services.messaging.templates.create(who, definition, _purposes(uses), _pairs(holes), channel)
            told = {"name": kept.name, "language": kept.language, "status": kept.status}
            click.echo(services.texts.say(who.language, "outbox.templates.created", **told))

        run(work)

    # --- rules --------------------------------------------------------------------------------

    @whatsapp.group("rules")
    def rules() -> None:
        """Quando se escreve a alguém: horários, feriados, tentativas, promoções."""

    @rules.command("show")
    @click.option("--tenant")
    def _show(tenant: str | None) -> None:
        """Mostra o arquivo de regras que vale para a empresa."""

        async def work(services: Services) -> None:
            who = await admin_of(services, tenant)
            text, own = await services.messaging.rules.text(who.tenant_id)
            click.echo(services.texts.say(who.language, f"outbox.rules.title_{'own' if own else 'ours'}"), err=True)
            click.echo(text)

        run(work)

    @rules.command("set")
    @click.argument("file")
    @click.option("--tenant")
    def _set(file: str, tenant: str | None) -> None:
        """Grava um arquivo de regras para a empresa; com um erro nele, nada muda."""

        async def work(services: Services) -> None:
            who = await admin_of(services, tenant)
            found = await services.messaging.rules.save(who, _text(file))
            click.echo(services.texts.say(who.language, "outbox.rules.set", version=found.version))

        run(work)

    @rules.command("default")
    @click.option("--tenant")
    def _default(tenant: str | None) -> None:
        """Volta às regras padrão."""

        async def work(services: Services) -> None:
            who = await admin_of(services, tenant)
            await services.messaging.rules.save(who, None)
            click.echo(services.texts.say(who.language, "outbox.rules.default"))

        run(work)

    # --- blocks -------------------------------------------------------------------------------

    @whatsapp.group("blocks")
    def blocks() -> None:
        """O que o WhatsApp recusou e o que isso impede agora."""

    @blocks.command("list")
    @options
    def _blocks(tenant: str | None, channel: str | None) -> None:
        """Lista as paradas que valem agora, as mais novas primeiro."""

        async def work(services: Services) -> None:
            who = await admin_of(services, tenant)
            names = {one.id: one.name for one in await services.messaging.channels.of(who.tenant_id)}
            found = await services.messaging.outbox.blocks(who, channel)
            click.echo("\n".join(_block_lines(services, who, found, names)))

        run(work)

    @blocks.command("lift")
    @click.argument("block_id", required=False)
    @options
    def _lift(block_id: str | None, tenant: str | None, channel: str | None) -> None:
        """Retira as paradas de um número, depois de resolver a causa; ou uma só, pelo id."""

        async def work(services: Services) -> None:
            who = await admin_of(services, tenant)
            mine = await services.messaging.channels.of(who.tenant_id)
            count = 0
            for one in mine:
                if channel in (None, one.id):
                    count += await services.messaging.outbox.lift(who, one.id, block_id=block_id)
            click.echo(services.texts.say(who.language, "outbox.blocks.lifted", count=count))

        run(work)


# --- what is shown ------------------------------------------------------------------------------


def _shown(services: Services, who: Identity, found: Sequence[Kept]) -> list[str]:
    say = partial(services.texts.say, who.language)
    if not found:
        return [say("outbox.templates.none")]
    rows = [
        [
            one.name,
            one.language,
            one.category,
            one.status,
            one.quality,
            ", ".join(say(f"outbox.purpose.{purpose}") for purpose in one.purposes) or "–",
            " ".join(f"{hole}={one.holes.get(hole, '?')}" for hole in one.variables) or "–",
        ]
        for one in found
    ]
    columns = ["name", "language", "category", "status", "quality", "for", "holes"]
    lines = table_lines([say(f"outbox.templates.column.{one}") for one in columns], rows, [_LEFT] * len(columns))
    for one in found:
        told = {"name": one.name, "language": one.language}
        if one.status == "REJECTED":
            key = f"outbox.reason.{one.reason}"
            reason = say(key) if services.texts.has(key) else say("outbox.reason.other", reason=one.reason or "?")
            lines.append(say("outbox.templates.refused", reason=reason, **told))
        elif one.status not in _FINE and one.status != "DELETED":
            lines.append(say("outbox.templates.paused", status=one.status, **told))
        elif not one.fillable:
            lines.append(say("outbox.templates.unfillable", **told))
    return lines


def _block_lines(
    services: Services, who: Identity, found: Sequence[Mapping[str, Any]], names: Mapping[str, str]
) -> list[str]:
    say = partial(services.texts.say, who.language)
    if not found:
        return [say("outbox.blocks.none")]

    def moment(at: Any) -> str:
        if at is None:
            return say("outbox.block.for_good")
        local = at.astimezone(ZoneInfo(who.time_zone))
        return f"{formats.day(local.date(), who.language)} {local:%H:%M}"

    rows = [
        [
            one["id"],
            say(f"outbox.block.{one['place']}"),
            one["name"] or one["address"] or names.get(one["channel_id"], "–"),
            say(f"outbox.block.{one['covers']}"),
            str(one["code"]),
            moment(one["at"]),
            moment(one["until"]),
        ]
        for one in found
    ]
    columns = ["id", "place", "about", "covers", "code", "since", "until"]
    return table_lines([say(f"outbox.blocks.column.{one}") for one in columns], rows, [_LEFT] * len(columns))


# --- what is typed ------------------------------------------------------------------------------


def _purposes(told: Sequence[str]) -> list[Purpose]:
    for one in told:
        if one not in tuple(Purpose):
            allowed = ", ".join(Purpose)
            raise ArgumentsWrong("template_purpose", f"{one!r} is no use", purpose=one[:40], allowed=allowed)
    return [Purpose(one) for one in told]


def _pairs(told: Sequence[str], shape: str = "1=…") -> dict[str, str]:
    found = {}
    for one in told:
        name, sign, value = one.partition("=")
        if not sign:
            raise click.BadParameter(f"{one}: {shape}")
        found[name.strip()] = value.strip()
    return found


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ArgumentsWrong("file_unreadable_rules", str(error), path=path[:200]) from None
