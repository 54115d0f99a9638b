"""`mutirao calendar list | cancel`: the meetings that are to come, and calling one off."""

from datetime import datetime
from functools import partial
from zoneinfo import ZoneInfo

import click

from channels.commands import Run, admin_of, table_lines
from channels.services import Services
from core import formats
from core.tenancy import Identity

_COLUMNS = ("id", "when", "guest", "host", "how")


def add_to(cli: click.Group, run: Run) -> None:
    """Give the command line its `calendar`."""

    @cli.group("calendar")
    def calendar() -> None:
        """Reuniões marcadas com quem é de fora."""

    @calendar.command("list")
    @click.option("--tenant", help="Empresa (slug). Padrão: a única, ou a de exemplo.")
    def _list(tenant: str | None) -> None:
        """Lista as reuniões que ainda vêm, pelo relógio da empresa."""

        async def work(services: Services) -> None:
            who = await admin_of(services, tenant)
            say = partial(services.texts.say, who.language)
            found = await services.messaging.call_off.coming(who)
            if not found:
                click.echo(say("calendar.none"))
                return
            names = {one.id: one.name for one in await services.people.users(who.tenant_id)}
            rows = [
                [
                    one.id,
                    _when(who, one.starts_at),
                    one.guest.name,
                    names.get(one.host_id or "", "–"),
                    one.link or one.place or say(f"calendar.met_by.{one.met_by}"),
                ]
                for one in found
            ]
            heads = [say(f"calendar.column.{name}") for name in _COLUMNS]
            click.echo("\n".join(table_lines(heads, rows, ["left"] * len(heads))))

        run(work)

    @calendar.command("cancel")
    @click.argument("meeting")
    @click.option("--reason", default="", help="Para a equipe; a pessoa não lê.")
    @click.option("--tenant", help="Empresa (slug). Padrão: a única, ou a de exemplo.")
    def _cancel(meeting: str, reason: str, tenant: str | None) -> None:
        """Desmarca uma reunião (o id está em `list`): a pessoa é avisada e perguntada por outro horário."""

        async def work(services: Services) -> None:
            who = await admin_of(services, tenant)
            gone = await services.messaging.call_off(who, meeting, reason)
            key = "calendar.cancelled" if gone.guest.chat_id else "calendar.cancelled_untold"
            said = services.texts.say(who.language, key, name=gone.guest.name, when=_when(who, gone.starts_at))
            click.echo(said)

        run(work)


def _when(who: Identity, at: datetime) -> str:
    local = at.astimezone(ZoneInfo(who.time_zone))
    return f"{formats.day(local.date(), who.language)} {local:%H:%M}"
