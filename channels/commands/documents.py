"""`mutirao documents list | add | remove | sync`: the texts that answers to leads and customers may be taken from."""

from pathlib import Path

import click

from channels.commands import Run
from channels.services import Services
from core.errors import ArgumentsWrong


def add_to(cli: click.Group, run: Run) -> None:
    """Give the command line its `documents`."""

    @cli.group("documents")
    def documents() -> None:
        """Documentos (texto e Markdown) de onde o atendimento tira respostas."""

    tenant_option = click.option("--tenant", help="Empresa (slug). Padrão: a única, ou a de exemplo.")

    @documents.command("list")
    @tenant_option
    def _list(tenant: str | None) -> None:
        """Lista os documentos."""

        async def work(services: Services) -> None:
            found = await services.people.tenant(tenant)
            library, say = services.messaging.library, services.texts.say
            shown = await library.list(found.id)
            for one in shown:
                line = {"name": one.name, "title": one.title, "passages": one.passages}
                click.echo(say(services.settings.language, "documents.line", **line))
            if not shown:
                folder = services.messaging.sales_files.folder(found.slug) / "documents"
                click.echo(say(services.settings.language, "documents.none", folder=folder))

        run(work)

    @documents.command("add")
    @click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
    @tenant_option
    def _add(paths: tuple[Path, ...], tenant: str | None) -> None:
        """Lê arquivos .md e .txt. Um de mesmo nome é substituído."""

        async def work(services: Services) -> None:
            found = await services.people.tenant(tenant)
            library = services.messaging.library
            for path in paths:
                try:
                    text = path.read_bytes().decode("utf-8-sig")
                except (OSError, UnicodeDecodeError):
                    raise ArgumentsWrong("sales_documents_unreadable", str(path), name=path.name) from None
                kept = await library.add(found.id, path.name, text)
                told = {"name": kept.name, "passages": kept.passages}
                click.echo(services.texts.say(services.settings.language, "documents.added", **told))
            await library.catch_up(found.id)

        run(work)

    @documents.command("remove")
    @click.argument("name")
    @tenant_option
    def _remove(name: str, tenant: str | None) -> None:
        """Esquece um documento."""

        async def work(services: Services) -> None:
            found = await services.people.tenant(tenant)
            library = services.messaging.library
            if not await library.remove(found.id, name):
                raise ArgumentsWrong("sales_document_unknown", f"no document {name[:80]!r}", name=name[:80])
            await library.catch_up(found.id)
            click.echo(services.texts.say(services.settings.language, "documents.removed", name=name))

        run(work)

    @documents.command("sync")
    @tenant_option
    def _sync(tenant: str | None) -> None:
        """Traz a pasta de documentos da empresa: lê o que é novo ou mudou, esquece o que saiu."""

        async def work(services: Services) -> None:
            found = await services.people.tenant(tenant)
            library, files = services.messaging.library, services.messaging.sales_files
            done = await library.sync(found.id, found.slug)
            await library.catch_up(found.id)
            told = {"added": done.added, "changed": done.changed, "removed": done.removed, "skipped": done.skipped}
            folder = files.documents_folder(found.slug)
            click.echo(services.texts.say(services.settings.language, "documents.synced", folder=folder, **told))

        run(work)
