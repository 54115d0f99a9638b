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
from business.sales.google_calendar import Links
from channels.commands import connect, outreach
from channels.services import Services
from core.errors import ArgumentsWrong, Refused
from core.settings import Settings
from core.vault import Vault
from integrations.resend.simulator import launch as resend
from integrations.resend.simulator.wire import KEY
from integrations.twilio.simulator import launch as twilio
from integrations.twilio.simulator.wire import NUMBER, SID, TOKEN
from prompts.texts import Texts
from tests.business.messaging.conftest import house, running_wire, wire  # noqa: F401
from tests.business.messaging.outbox_house import House


async def nothing_there(*_: Any) -> list[Any]:
    return []


@pytest.fixture
def terminal(
    house: House,  # noqa: F811
    people: People,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., Awaitable[str]]:
    """`await terminal("connect", "sms", …)` is `mutirao connect sms …`, and returns what it prints."""

    def google(_: Any) -> Any:
        return SimpleNamespace(busy=nothing_there)

    talk = SimpleNamespace(
        templates=house.templates, rules=house.rules, outbox=house.outbox, channels=house.channels, sandbox=None,
        links=Links(house.db, Vault.load(tmp_path), house.clock, google),
    )  # fmt: skip
    services = SimpleNamespace(
        people=people, texts=Texts.load(), messaging=talk, jobs=house.jobs, settings=Settings(data_dir=tmp_path),
        vault=Vault.load(tmp_path), clock=house.clock,
    )  # fmt: skip

    async def run(*arguments: str) -> str:
        asked: list[Any] = []
        cli = click.Group()
        on, off = click.Group("connect"), click.Group("disconnect")
        cli.add_command(on)
        cli.add_command(off)
        connect.add_to(on, off, asked.append)
        outreach.add_to(cli, on, off, asked.append)
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


async def test_email_and_sms_are_asked_before_they_are_kept_and_all_can_be_disconnected(
    terminal: Callable[..., Awaitable[str]],
    house: House,  # noqa: F811
    tmp_path: Path,
) -> None:
    async def states() -> dict[str, str]:
        return {one.number: one.state for one in await house.channels.of(house.tenant_id)}

    mails, texts = resend.start(tmp_path / "resend"), twilio.start(tmp_path / "twilio")
    try:
        email = ("connect", "email", "--from", "oi@aurora.example", "--url", mails.base_url)
        sms = ("connect", "sms", "--number", NUMBER, "--account", SID, "--url", texts.base_url)
        for refused in ((*email, "--key", "re_wrong"), (*sms, "--token", "wrong")):
            with pytest.raises(Refused) as why:
                await terminal(*refused)
            assert why.value.code in ("mail_key_refused", "sms_key_refused")
        assert set(await states()) == {house.channel.number}, "nothing is kept of a wrong credential"
        assert "✓ resend responde" in await terminal(*email, "--key", KEY)
        assert "✓ twilio responde" in await terminal(*sms, "--token", TOKEN)
        with pytest.raises(Refused):
            await terminal(*email, "--key", "re_wrong")
        kept = {one.number: one for one in await house.channels.of(house.tenant_id)}
        assert await house.channels.secrets(kept["oi@aurora.example"]) == {"api_key": KEY}, "what worked stays"
    finally:
        mails.stop()
        texts.stop()
    assert "? twilio não pôde ser perguntado" in await terminal(*sms, "--token", TOKEN)

    assert "Pausado" in await terminal("disconnect", "email", "oi@aurora.example")
    await terminal("disconnect", "sms", NUMBER)
    assert await states() == {house.channel.number: "active", "oi@aurora.example": "paused", NUMBER: "paused"}
    with pytest.raises(ArgumentsWrong):
        await terminal("disconnect", "email", NUMBER)
    file = tmp_path / "google.json"
    file.write_text("{}")
    await terminal("connect", "calendar", "--credentials", str(file))
    assert "Agenda desligada: primary" in await terminal("disconnect", "calendar")
    with pytest.raises(ArgumentsWrong):
        await terminal("disconnect", "calendar")
