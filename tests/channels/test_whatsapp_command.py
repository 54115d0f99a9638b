"""`mutirao whatsapp`: templates, rules and stops of a company, as the terminal shows and changes them."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import click
import pytest

from business.messaging.settings import default_text
from business.people.service import People
from channels.commands import whatsapp
from channels.services import Services
from core.errors import ArgumentsWrong
from prompts.texts import Texts
from tests.business.messaging.conftest import house, running_wire, wire  # noqa: F401
from tests.business.messaging.outbox_house import House


@pytest.fixture
def terminal(
    house: House,  # noqa: F811
    people: People,
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., Awaitable[str]]:
    """`await terminal("templates", "list")` is `mutirao whatsapp templates list`, and returns what it prints."""
    talk = SimpleNamespace(templates=house.templates, rules=house.rules, outbox=house.outbox, channels=house.channels)
    services = SimpleNamespace(people=people, texts=Texts.load(), messaging=talk)

    async def run(*arguments: str) -> str:
        asked: list[Any] = []
        cli = click.Group()
        whatsapp.add_to(cli, asked.append)
        cli.main(["whatsapp", *arguments, "--tenant", "um"], standalone_mode=False)
        await asked[0](cast(Services, services))
        return capsys.readouterr().out

    return run


async def test_the_terminal_brings_uses_and_hands_in_templates_and_says_why_one_was_refused(
    terminal: Callable[..., Awaitable[str]],
    house: House,  # noqa: F811
) -> None:
    assert "sync" in await terminal("templates", "list")
    shown = await terminal("templates", "sync")
    assert " 0 novo(s)" not in shown and "1=name 2=when 3=house" in shown
    used = await terminal("templates", "use", "confirmar_reuniao", "--for", "notice", "--for", "answer")
    assert used.strip() == 'Modelo "confirmar_reuniao" (pt_BR): usado para aviso combinado, resposta.'
    with pytest.raises(ArgumentsWrong, match="no use"):
        await terminal("templates", "use", "confirmar_reuniao", "--for", "tudo")
    body = "Olá, {{1}}! Temos {{2}} com desconto, venha ver."
    fills = ("--example", "1=Ana", "--example", "2=mesas", "--hole", "1=name", "--hole", "2=topic")
    name = f"promocao_{house.mark}"
    made = await terminal("templates", "create", name, "--category", "UTILITY", "--body", body, *fills)
    assert "PENDING" in made
    house.wire.ask(
        "/__template", waba_id=house.channel.account, name=name, language="pt_BR", event="REJECTED",
        reason="INCORRECT_CATEGORY",
    )  # fmt: skip
    shown = await terminal("templates", "sync")
    assert "a categoria não combina com o texto" in shown
    # Buttons that open an address or call; an address that we cannot fill, or none, is not handed in.
    buttons = (
        "--button",
        "Quero ver",
        "--url-button",
        "Site=https://um.example/a?b=1",
        "--phone-button",
        "Ligar=+551140000001",
    )
    await terminal("templates", "create", f"{name}_2", "--body", body, *fills, *buttons)
    (row,) = await house.rows("SELECT components FROM message_templates WHERE name = %s", f"{name}_2")
    kept = {one["type"]: one["url"] or one["phone_number"] for one in row["components"][-1]["buttons"]}
    assert kept == {"QUICK_REPLY": None, "URL": "https://um.example/a?b=1", "PHONE_NUMBER": "+551140000001"}
    for wrong in ("Site=https://um.example/{{1}}", "Site=um.example"):
        with pytest.raises(ArgumentsWrong):
            await terminal("templates", "create", f"{name}_3", "--body", body, *fills, "--url-button", wrong)
    with pytest.raises(click.UsageError, match="AUTHENTICATION"):
        await terminal("templates", "create", f"{name}_4", "--category", "AUTHENTICATION", "--body", "Oi.")


async def test_the_terminal_shows_and_changes_rules_and_lifts_what_was_stopped(
    terminal: Callable[..., Awaitable[str]],
    house: House,  # noqa: F811
    tmp_path: Path,
) -> None:
    assert await terminal("rules", "show") == default_text() + "\n"
    file = tmp_path / "regras.yaml"
    file.write_text("most_touches: 30")
    with pytest.raises(ArgumentsWrong):
        await terminal("rules", "set", str(file))
    file.write_text("most_touches: 3")
    assert "gravadas" in await terminal("rules", "set", str(file))
    assert (await terminal("rules", "show")).strip() == "most_touches: 3"
    await terminal("rules", "default")

    assert "não recusou nada" in await terminal("blocks", "list")
    house.wire.fail("error", code=131042)
    row = await house.say(await house.chat(), "bom dia")
    listed = await terminal("blocks", "list")
    assert "131042" in listed and "alguém resolver" in listed and house.channel.name in listed
    assert "1 parada(s)" in await terminal("blocks", "lift")
    house.clock.at = house.clock.now().replace(minute=5)
    await house.run(row["chat_id"])
    assert (await house.row(row["id"]))["state"] == "sent"
