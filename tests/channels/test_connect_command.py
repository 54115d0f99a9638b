"""`mutirao connect …` and `disconnect …`: what is told there is what the rules read."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import click
import pytest

from business.messaging.channels import Channel
from business.messaging.known import per_second, portfolio_limit
from business.people.service import People
from channels.commands import connect, outreach
from channels.services import Services
from core.errors import ArgumentsWrong
from core.settings import Settings
from core.vault import Vault
from prompts.texts import Texts
from tests.business.messaging.conftest import house, running_wire, wire  # noqa: F401
from tests.business.messaging.outbox_house import House


@pytest.fixture
def terminal(
    house: House,  # noqa: F811
    people: People,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., Awaitable[str]]:
    """`await terminal("connect", "sms", …)` is `mutirao connect sms …`, and returns what it prints."""
    talk = SimpleNamespace(
        templates=house.templates, rules=house.rules, outbox=house.outbox, channels=house.channels, sandbox=None
    )
    services = SimpleNamespace(
        people=people, texts=Texts.load(), messaging=talk, jobs=house.jobs, settings=Settings(data_dir=tmp_path),
        vault=Vault.load(tmp_path),
    )  # fmt: skip

    async def run(*arguments: str) -> str:
        asked: list[Any] = []
        cli = click.Group()
        on, off = click.Group("connect"), click.Group("disconnect")
        cli.add_command(on)
        cli.add_command(off)
        connect.add_to(on, off, asked.append)
        outreach.add_to(cli, on, asked.append)
        cli.main([*arguments, "--tenant", "um"], standalone_mode=False)
        await asked[0](cast(Services, services))
        return capsys.readouterr().out

    return run


async def test_how_much_a_number_may_send_and_whether_notices_are_mailed_is_told_at_the_terminal(
    terminal: Callable[..., Awaitable[str]],
    house: House,  # noqa: F811
) -> None:
    number = ("--number", house.channel.number, "--account", house.channel.account, "--url", house.wire.url)
    whatsapp = ("connect", "whatsapp", *number, "--token", house.wire.secrets.token)

    async def kept() -> Channel:
        return await house.channels.get(house.tenant_id, house.channel.id)

    await terminal(*whatsapp, "--coexistence", "--portfolio-limit", "10000")
    assert (per_second(await kept()), portfolio_limit(await kept())) == (20, 10_000)
    await terminal(*whatsapp, "--no-coexistence", "--per-second", "40", "--portfolio-limit", "unlimited")
    assert (per_second(await kept()), portfolio_limit(await kept())) == (40, None)
    for wrong, what in [
        (("--per-second", "5000"), "pace"),
        (("--per-second", "-1"), "pace"),
        (("--coexistence", "--per-second", "80"), "coexistence"),
        (("--portfolio-limit", "muitas"), "people"),
        (("--portfolio-limit", "0"), "people"),
        (("--provider", "evolution", "--coexistence"), "provider"),
    ]:
        with pytest.raises(ArgumentsWrong) as refused:
            await terminal(*whatsapp, *wrong)
        assert refused.value.params["what"] == what
        assert len(Texts.load().error("pt-BR", refused.value)) > 60
    assert (per_second(await kept()), portfolio_limit(await kept())) == (40, None), "nothing was changed by those"
    await terminal(*whatsapp, "--per-second", "0", "--portfolio-limit", "told")
    assert (per_second(await kept()), portfolio_limit(await kept())) == (80, 250)

    async def mailed() -> Any:
        query = "SELECT settings->>'notices_by_email' AS wish FROM tenants WHERE id = current_tenant()"
        return (await house.rows(query))[0]["wish"]

    email = "connect email --by smtp --host 127.0.0.1 --from oi@um.example --key x --port 1 --security none".split()
    await terminal(*email)
    assert await mailed() is None
    assert "também por e-mail" in await terminal(*email, "--notices")
    assert await mailed() == "true"
    await terminal(*email, "--no-notices")
    assert await mailed() == "false"
