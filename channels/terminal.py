"""The terminal door: the `mutirao` command. Each command parses, calls, prints; the rules are elsewhere.

Every foreseeable failure is one sentence on stderr and exit code 1 (2 for a wrong command line).
"""

import asyncio
import json
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import click

from business.ads.importer import Hints
from business.approvals.model import ProposalState
from business.people.service import People
from channels.commands import budgets, calendar, documents, outreach, table_lines, turns, whatsapp
from channels.commands import connect as connecting
from channels.crm_views import CrmViews
from channels.services import Services
from core import backup as backups
from core.doctor import Finding, examine, floor_checks, healthy
from core.door import IncomingMessage, ProposalCard, Reply, Table
from core.errors import ArgumentsWrong, MutiraoError
from core.ids import new_id
from core.loop import run as run_loop
from core.settings import Settings, load_settings
from core.tenancy import Identity, Role
from core.turn import Event, StepFinished, StepLine, StepStarted, silent
from prompts.texts import Texts

OpenServices = Callable[[Settings], AbstractAsyncContextManager[Services]]


def commands(
    open_services: OpenServices,
    serve: Callable[[Settings], None],
    mcp: Callable[[Services, Identity], Awaitable[None]],
    play_evals: Callable[[list[str]], int],
) -> click.Group:
    """The command line, over what app.py has built."""

    def run(
        settings: Settings,
        work: Callable[[Services], Awaitable[int | None]],
        loop: Callable[[Coroutine[Any, Any, int]], int] = asyncio.run,
    ) -> None:
        async def inside() -> int:
            async with open_services(settings) as services:
                return await work(services) or 0

        sys.exit(loop(inside()))

    @click.group(cls=_Sentences, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
    @click.version_option(package_name="mutirao")
    def cli() -> None:
        """Mutirão: agentes de IA que leem e cuidam dos seus anúncios, com a sua aprovação."""

    @cli.command("serve")
    @click.option("--port", type=click.IntRange(1, 65535), help="Porta do servidor (padrão: MUTIRAO_PORT ou 8000).")
    @click.option("--host", help="Endereço em que atende (padrão: só esta máquina).")
    def _serve(port: int | None, host: str | None) -> None:
        """Sobe o chat no navegador e o trabalhador de tarefas."""
        serve(_settings(port=port, host=host))

    # A question may begin with "-", so what is no option of ours is part of it; -h would be found inside words.
    @cli.command("ask", context_settings={"ignore_unknown_options": True, "help_option_names": ["--help"]})
    @click.argument("question")
    @click.option("--as", "role", type=click.Choice([r.value for r in Role]), default=Role.ADMIN.value)
    @click.option("--tenant", help="Empresa (slug). Padrão: a única, ou a de exemplo.")
    @click.option("--conversation", help="Conversa a continuar; uma que não existe é criada.")
    @click.option("--json", "as_json", is_flag=True, help="Imprime a resposta como JSON.")
    def _ask(question: str, role: str, tenant: str | None, conversation: str | None, as_json: bool) -> None:
        """Faz uma pergunta e imprime a resposta."""

        async def work(services: Services) -> None:
            who = await _identity(services.people, tenant, role)
            message = IncomingMessage(who, conversation or new_id("conv"), question, "terminal")
            reply = await services.handle(message, silent if as_json else _show_steps)
            if as_json:
                click.echo(json.dumps(reply_json(reply), ensure_ascii=False, indent=2))
                return
            views = CrmViews(services.crm, services.people, services.texts, services.clock)
            told = {table.view for table in reply.tables}
            shown = [t for view in reply.views if view.kind not in told for t in await views.tables(who, view)]
            click.echo(_readable(reply, [*reply.tables, *shown], services))

        run(_settings(), work)

    # --- approvals ----------------------------------------------------------------------

    @cli.group("approvals")
    def approvals() -> None:
        """Propostas que esperam o sim de uma pessoa."""

    def approval_options(command: Any) -> Any:
        command = click.option("--tenant")(command)
        return click.option("--as", "role", type=click.Choice([r.value for r in Role]), default=Role.ADMIN.value)(
            command
        )

    @approvals.command("list")
    @click.option("--all", "every", is_flag=True, help="Também as já decididas.")
    @approval_options
    def _list(every: bool, role: str, tenant: str | None) -> None:
        """Lista as propostas, as mais novas primeiro."""

        async def work(services: Services) -> None:
            who = await _identity(services.people, tenant, role)
            found = await services.approvals.list(who, state=None if every else ProposalState.PENDING)
            for proposal in found:
                card = services.card(proposal, services.texts, who.language, who.time_zone)
                state = services.texts.say(who.language, f"proposal.state.{card.state}")
                click.echo(f"{card.id}  {state:<20}  {card.title}  ({card.expires_at})")
            if not found:
                click.echo(services.texts.say(who.language, "talk.pending", count=0, shown=0))

        run(_settings(), work)

    @approvals.command("show")
    @click.argument("proposal_id")
    @approval_options
    def _show(proposal_id: str, role: str, tenant: str | None) -> None:
        """Mostra uma proposta inteira."""

        async def work(services: Services) -> None:
            who = await _identity(services.people, tenant, role)
            proposal = await services.approvals.get(who, proposal_id)
            click.echo(
                _card(
                    services.card(proposal, services.texts, who.language, who.time_zone), services.texts, who.language
                )
            )

        run(_settings(), work)

    def decision(name: str, help_text: str) -> None:
        @approvals.command(name, help=help_text)
        @click.argument("proposal_id")
        @approval_options
        def _decide(proposal_id: str, role: str, tenant: str | None) -> None:
            async def work(services: Services) -> None:
                who = await _identity(services.people, tenant, role)
                decide = getattr(services.approvals, name)
                proposal = await decide(who, proposal_id, door="terminal")
                click.echo(
                    _card(
                        services.card(proposal, services.texts, who.language, who.time_zone),
                        services.texts,
                        who.language,
                    )
                )

            run(_settings(), work)

    decision("approve", "Aprova e executa, uma vez só, exatamente o que a proposta mostra.")
    decision("reject", "Rejeita.")
    decision("undo", "Propõe desfazer uma proposta executada (também precisa de aprovação).")

    # --- people and connections -----------------------------------------------------------

    @cli.group("tenant")
    def tenants() -> None:
        """Empresas."""

    @tenants.command("add")
    @click.argument("name")
    @click.option("--slug", help="Nome curto; padrão: derivado do nome.")
    def _tenant_add(name: str, slug: str | None) -> None:
        """Cria uma empresa."""

        async def work(services: Services) -> None:
            tenant = await services.people.add_tenant(name, slug=slug)
            click.echo(f"{tenant.slug}  {tenant.id}")

        run(_settings(), work)

    @tenants.command("list")
    def _tenant_list() -> None:
        """Lista as empresas."""

        async def work(services: Services) -> None:
            for tenant in await services.people.tenants():
                click.echo(f"{tenant.slug}  {tenant.name}")

        run(_settings(), work)

    @cli.group("user")
    def users() -> None:
        """Pessoas que entram no chat."""

    @users.command("add")
    @click.argument("email")
    @click.option("--name", required=True)
    @click.option("--role", type=click.Choice([r.value for r in Role if r is not Role.AGENTE_IA]), required=True)
    @click.option("--tenant", help="Empresa (slug). Padrão: a única, ou a de exemplo.")
    @click.option("--password", prompt="Senha", hide_input=True, confirmation_prompt="Repita a senha")
    def _user_add(email: str, name: str, role: str, tenant: str | None, password: str) -> None:
        """Cria uma pessoa com papel e senha (pelo menos 10 caracteres)."""

        async def work(services: Services) -> None:
            found = await services.people.tenant(tenant)
            user = await services.people.add_user(found.id, email, name, Role(role), password)
            click.echo(f"{user.email}  {user.role.value}  {found.slug}")

        run(_settings(), work)

    @users.command("list")
    @click.option("--tenant", help="Empresa (slug). Padrão: a única, ou a de exemplo.")
    def _user_list(tenant: str | None) -> None:
        """Lista as pessoas de uma empresa."""

        async def work(services: Services) -> None:
            for user in await services.people.users((await services.people.tenant(tenant)).id):
                click.echo(f"{user.email}  {user.role.value}  {user.name}")

        run(_settings(), work)

    @users.command("password")
    @click.argument("email")
    @click.option("--tenant", help="Empresa (slug). Padrão: a única, ou a de exemplo.")
    @click.option("--password", prompt="Senha", hide_input=True, confirmation_prompt="Repita a senha")
    def _user_password(email: str, tenant: str | None, password: str) -> None:
        """Troca a senha de uma pessoa, o que também encerra a espera depois de senhas erradas."""

        async def work(services: Services) -> None:
            found = await services.people.tenant(tenant)
            users = {user.email: user for user in await services.people.users(found.id)}
            if (user := users.get(email.strip().lower())) is None:
                raise ArgumentsWrong("user_unknown", f"no user {email!r}", email=email)
            await services.people.set_password(found.id, user.id, password)
            _say("user.password_set", email=user.email)

        run(_settings(), work)

    @cli.group("connect")
    def connect() -> None:
        """Liga uma conta de fora."""

    @connect.command("meta")
    @click.option("--tenant")
    @click.option("--token", prompt="Token da Meta", hide_input=True)
    @click.option("--accounts", help="Ids das contas (act_…), separados por vírgula; padrão: pergunta.")
    def _connect_meta(tenant: str | None, token: str, accounts: str | None) -> None:
        """Confere um token da Meta, deixa escolher as contas e o guarda cifrado."""

        async def work(services: Services) -> None:
            who = await _identity(services.people, tenant, Role.ADMIN.value)
            checked = await services.connections.check(token)
            click.echo(services.texts.say(who.language, "connect.accounts", owner=checked.owner))
            for account in checked.accounts:
                click.echo(f"  {account.id}  {account.name}  {account.currency}  {account.time_zone}")
            chosen = accounts or click.prompt("Contas (ids separados por vírgula, ou 'todas')", default="todas")
            ids = [a.id for a in checked.accounts] if chosen in ("todas", "all") else _ids(chosen)
            await services.connections.save(who, checked, ids)
            expires = checked.expires.date() if checked.expires else None
            told = {"count": len(ids), "expires": expires, "may_change": checked.may_change}
            click.echo(services.texts.say(who.language, "connect.saved", **told))

        run(_settings(), work)

    @cli.group("disconnect")
    def disconnect() -> None:
        """Desliga uma conta de fora."""

    @disconnect.command("meta")
    @click.option("--tenant")
    def _disconnect_meta(tenant: str | None) -> None:
        """Apaga os tokens da Meta da empresa; no sandbox, a de exemplo volta a ser ligada ao subir o servidor."""

        async def work(services: Services) -> None:
            who = await _identity(services.people, tenant, Role.ADMIN.value)
            owners = await services.connections.remove(who)
            click.echo(services.texts.say(who.language, "connect.removed", owners=owners))

        run(_settings(), work)

    connecting.add_to(connect, disconnect, lambda work: run(_settings(), work))
    outreach.add_to(cli, connect, disconnect, lambda work: run(_settings(), work))
    calendar.add_to(cli, lambda work: run(_settings(), work))

    @cli.group("import")
    def imports() -> None:
        """Traz arquivos para dentro."""

    @imports.command("ads")
    @click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
    @click.option("--tenant")
    @click.option("--as", "role", type=click.Choice([r.value for r in Role]), default=Role.ADMIN.value)
    @click.option("--map", "mapping", multiple=True, help='Coluna do arquivo = campo, como "Valor gasto=spend".')
    @click.option("--currency", help="Moeda, se o arquivo não diz (BRL, USD, …).")
    @click.option("--decimals", type=click.Choice([",", "."]), help="Marca decimal, se não dá para saber.")
    @click.option("--dates", type=click.Choice(["dmy", "mdy"]), help="Ordem das datas, se não dá para saber.")
    def _import_ads(file: Path, tenant: str | None, role: str, mapping: tuple[str, ...], **hints: Any) -> None:
        """Importa uma exportação do Gerenciador de Anúncios (CSV ou XLSX)."""

        async def work(services: Services) -> None:
            who = await _identity(services.people, tenant, role)
            said = Hints(columns=dict(_pair(item) for item in mapping), **hints)
            say = partial(services.texts.say, who.language)

            def rows_done(rows: int) -> None:
                click.echo("\r" + say("step.import_rows", rows=rows), nl=False, err=True)

            done = await services.imports.import_path(who, file, said, progress=rows_done)
            click.echo("", err=True)
            if done.error is not None:
                raise MutiraoError(done.error[0], **done.error[1])
            click.echo(say("import.done", **done.told()))
            for key, params in [*done.notes, *done.problems]:
                click.echo("  " + say(key, **params), err=True)
            if done.bad > len(done.problems):
                why = [say(f"{reason}.count", count=count) for reason, count in done.reasons.items()]
                click.echo("  " + say("import.reasons", reasons="; ".join(why)), err=True)
            click.echo(done.account_id)

        run(_settings(), work)

    budgets.add_to(cli, lambda work: run(_settings(), work))
    documents.add_to(cli, lambda work: run(_settings(), work))
    turns.add_to(cli, lambda work: run(_settings(), work))
    whatsapp.add_to(cli, lambda work: run(_settings(), work))

    # --- running it -----------------------------------------------------------------------

    @cli.command("worker")
    def _worker() -> None:
        """Um trabalhador de tarefas a mais, nesta ou em outra máquina."""

        async def work(services: Services) -> None:
            stop = asyncio.Event()
            for name in (signal.SIGTERM, signal.SIGINT):  # what runs is finished first
                asyncio.get_running_loop().add_signal_handler(name, stop.set)
            with services.metrics():
                await services.warm()  # before it takes anybody's question, not while they wait
                await services.work(stop)

        run(_settings(), work, run_loop)

    @cli.command("mcp")
    @click.option("--as", "role", type=click.Choice([r.value for r in Role]), default=Role.COMERCIAL.value)
    @click.option("--tenant")
    def _mcp(role: str, tenant: str | None) -> None:
        """Oferece as ferramentas a outro cliente de IA, por MCP (stdio). Fala como Comercial, se não disser --as."""

        async def work(services: Services) -> None:
            who = await _identity(services.people, tenant, role)
            click.echo(services.texts.say(who.language, "mcp.speaks_as", name=who.name, role=who.role), err=True)
            await mcp(services, who)

        run(_settings(), work)

    @cli.command("doctor")
    @click.option("--live", is_flag=True, help="Também pergunta aos serviços de verdade.")
    @click.option("--json", "as_json", is_flag=True)
    def _doctor(live: bool, as_json: bool) -> None:
        """Diz o que está configurado, ao alcance, faltando ou por conferir."""

        def told(findings: list[Finding]) -> int:
            as_data = [asdict(finding) for finding in findings]
            click.echo(json.dumps(as_data, ensure_ascii=False, indent=2) if as_json else _findings(findings))
            return 0 if healthy(findings) else 1

        async def work(services: Services) -> int:
            return told(await services.checks(live))

        settings = _settings()
        try:
            run(settings, work)
        except MutiraoError as error:  # the house does not open; its floor can be looked at all the same
            sys.exit(told(asyncio.run(_floor_findings(settings, error))))

    @cli.command("backup")
    @click.argument("target", type=click.Path(path_type=Path))
    def _backup(target: Path) -> None:
        """Guarda banco, chaves e arquivos num só arquivo .tar."""
        made = backups.backup(_settings(), target)
        told = {"mb": f"{made.bytes / 1e6:.1f}", "rows": sum(made.rows.values()), "files": made.files}
        _say("backup.done", path=str(made.path), **told)

    @cli.command("restore")
    @click.argument("source", type=click.Path(exists=True, dir_okay=False, path_type=Path))
    @click.option("--force", is_flag=True, help="Substitui os dados que houver.")
    def _restore(source: Path, force: bool) -> None:
        """Volta um backup."""
        restored = backups.restore(_settings(), source, force=force)
        _say("backup.restored", path=str(restored.path), rows=sum(restored.rows.values()))

    @cli.command("reset")
    @click.option("--yes", is_flag=True, help="Sem perguntar.")
    def _reset(yes: bool) -> None:
        """Apaga todos os dados desta pasta e começa de novo."""
        settings = _settings()
        if not yes:
            answer = click.prompt(f"Apagar tudo em {settings.data_dir}? Escreva sim para apagar", default="não")
            if answer.strip().lower() not in ("sim", "s", "yes", "y", "sí"):
                return
        backups.reset(settings, yes=True)
        _say("backup.reset", path=str(settings.data_dir))

    @cli.command("evals", context_settings={"ignore_unknown_options": True})
    @click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
    def _evals(arguments: tuple[str, ...]) -> None:
        """Joga os cenários de avaliação: `mutirao evals run`."""
        sys.exit(play_evals(list(arguments)))

    return cli


class _Sentences(click.Group):
    """Says every known failure in one sentence instead of a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except MutiraoError as error:
            click.echo(Texts.load().error(_language(), error), err=True)
            sys.exit(1)
        except (KeyboardInterrupt, asyncio.CancelledError):
            sys.exit(130)


def _say(key: str, /, **params: Any) -> None:
    click.echo(Texts.load().say(_language(), key, **params))


def _language() -> str:
    try:
        return load_settings().language
    except MutiraoError:
        return "pt-BR"


def _settings(**chosen: Any) -> Settings:
    return load_settings(**{name: value for name, value in chosen.items() if value is not None})


async def _identity(people: People, tenant: str | None, role: str) -> Identity:
    """Who the terminal speaks as: a user of the tenant with that role. The terminal is trusted as far as the
    operating system lets it read the data folder."""
    return await people.identity_by_role((await people.tenant(tenant)).id, Role(role))


def _ids(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _pair(item: str) -> tuple[str, str]:
    column, equals, field = item.rpartition("=")
    if not equals or not column.strip() or not field.strip():
        raise ArgumentsWrong("import_map_wrong", f"{item!r} is not COLUMN=FIELD", item=item)
    return column.strip(), field.strip()


# --- printing -----------------------------------------------------------------------------


def reply_json(reply: Reply) -> dict[str, Any]:
    """What `ask --json` prints: exactly these keys."""
    return {
        "reply": reply.text,
        "language": reply.language,
        "route": reply.route,
        "tools": reply.tools,
        "proposals": [asdict(card) for card in reply.proposals],
        "usage": {
            **asdict(reply.usage),
            "cost_usd": None if reply.usage.cost_usd is None else str(reply.usage.cost_usd),
        },
        "timing": reply.timing,
        "turn": reply.turn_id,
    }


def _readable(reply: Reply, tables: list[Table], services: Services) -> str:
    lines = [reply.text]
    for table in tables:
        lines += ["", table.title, *table_lines(table.columns, table.rows, table.align)]
    for card in reply.proposals:
        lines += ["", _card(card, services.texts, reply.language)]
        if card.state == ProposalState.PENDING:
            lines.append(f"  → mutirao approvals approve {card.id}")
    return "\n".join(lines)


def _card(card: ProposalCard, texts: Texts, language: str) -> str:
    lines = [f"[{texts.say(language, f'proposal.state.{card.state}')}] {card.title}  ({card.id})"]
    lines += [f"  {label}: {value}" for label, value in card.lines]
    lines += [f"  ! {warning}" for warning in card.warnings]
    lines += [f"  · {evidence}" for evidence in card.evidence]
    lines += [f"  → {card.outcome}"] if card.outcome else []
    return "\n".join(lines)


async def _floor_findings(settings: Settings, stopped: MutiraoError) -> list[Finding]:
    """What can be told when the services did not open: what stopped them, and the state of the floor."""
    texts = Texts.load()

    def say(key: str, /, **params: object) -> str:
        return texts.say(settings.language, key, **params)

    def explain(error: MutiraoError) -> str:
        return texts.error(settings.language, error)

    found = await examine(floor_checks(settings, say), explain)
    return [*found, Finding("start", "broken", explain(stopped))]


def _findings(findings: list[Finding]) -> str:
    marks = {"ok": "✓", "missing": "–", "broken": "✗", "unverified": "?", "note": "·"}
    return "\n".join(f"{marks[f.state]} {f.area:<12} {f.text}" for f in findings)


def _show_steps(event: Event) -> None:
    if isinstance(event, StepStarted) and event.kind in ("crew", "tool"):
        click.echo(click.style(f"… {event.title}", dim=True), err=True)
    elif isinstance(event, StepLine):
        click.echo(click.style(f"  · {event.text}", dim=True), err=True)
    elif isinstance(event, StepFinished) and not event.ok:
        click.echo(click.style(f"  ✗ {event.summary}", dim=True), err=True)
