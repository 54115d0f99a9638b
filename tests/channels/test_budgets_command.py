"""`mutirao budgets` on a whole house: what it prints, what it changes, and what it refuses."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import click
import pytest

from channels.commands import Run, budgets
from channels.services import Services
from core.errors import ArgumentsWrong
from core.tenancy import Identity, Role
from core.turn import ModelCall, Turn
from llm.budget_book import Budget
from llm.catalog import Model
from tests.channels.test_terminal import mutirao
from tests.journeys.conftest import House, OpenHouse, open_house  # noqa: F401

LUNA = Model("openai", "gpt-5.6-luna", "Luna", 100_000, frozenset({"tools"}))


@dataclass
class Terminal:
    """`await terminal("show")` is `mutirao budgets show` in the house, and returns what it prints."""

    house: House
    capsys: pytest.CaptureFixture[str]

    async def __call__(self, *arguments: str) -> str:
        asked: list[Callable[[Services], Awaitable[int | None]]] = []
        cli = click.Group()
        run: Run = asked.append
        budgets.add_to(cli, run)
        cli.main(["budgets", *arguments], standalone_mode=False)
        await asked[0](self.house.services)
        return self.capsys.readouterr().out


@pytest.fixture
async def terminal(open_house: OpenHouse, capsys: pytest.CaptureFixture[str]) -> Terminal:  # noqa: F811
    return Terminal(await open_house(usd_brl="5.40@2026-11-19", language="pt-BR"), capsys)


async def spend(house: House, who: Identity, usd: Decimal | None, role: str = "ads_analyst") -> Turn:
    """One request of 1.000 tokens that cost this much."""
    turn = Turn("turn_1", who, "conv_1", "chat", "?", "pt-BR", house.services.clock.now())
    admission = await house.services.budgets.admit(turn, role, LUNA, 900, 100)
    assert admission.granted
    call = ModelCall(LUNA.provider, LUNA.name, role, 900, 100, 300, usd, 0.1)
    await house.services.budgets.settle(turn, admission, call)
    return turn


async def test_show_tells_budget_use_share_ceiling_and_the_last_days_in_dollars_and_reais(terminal: Terminal) -> None:
    who = await terminal.house.person()
    await spend(terminal.house, who, Decimal("2.50"))
    await spend(terminal.house, who, None, role="router")
    await terminal("set", "--agent", "ads_analyst", "--day-tokens", "4000")
    await terminal.house.services.budgets.close()
    lines = (await terminal("show")).splitlines()

    assert "20/11/2026" in lines[0]
    whole, analyst, router = (line.split("  ") for line in lines[3:6])
    cells = [[cell.strip() for cell in row if cell.strip()] for row in (whole, analyst, router)]
    assert cells[0] == [
        "empresa toda",
        "US$ 10,00 (R$ 54,00)",
        "US$ 2,50 (R$ 13,50) · 2.000 tokens",
        "25%",
        "US$ 15,00 (R$ 81,00)",
        "–",
        "2",
        "1",
    ]
    assert cells[1][:5] == ["ads_analyst*", "4.000 tokens", "US$ 2,50 (R$ 13,50) · 1.000 tokens", "25%", "6.000 tokens"]
    assert cells[2][:2] == ["router", "sem limite"]
    today = next(line for line in lines if line.startswith("20/11/2026"))
    assert today.split()[-4:] == ["2.000", "600", "2", "1"]
    assert sum(line[2:3] == "/" for line in lines) == 7
    text = "\n".join(lines)
    assert "1 chamada foi a um modelo de preço desconhecido" in text
    assert "19/11/2026: R$ 5,40 por dólar" in text
    assert "150%" in text


async def test_alerts_are_listed_newest_first_with_what_was_spent_then(terminal: Terminal) -> None:
    assert "Nenhum aviso" in await terminal("alerts")
    who = await terminal.house.person(Role.DIRETOR)
    turns = [await spend(terminal.house, who, Decimal(usd)) for usd in ("8.10", "4.10")]
    assert [told["percent"] for turn in turns for _, told in turn.notices] == [80, 120]
    lines = (await terminal("alerts")).splitlines()
    assert len(lines) == 3
    assert "120%" in lines[1] and "US$ 12,20" in lines[1]
    assert "80%" in lines[2] and "US$ 8,10" in lines[2]
    assert lines[1].startswith("20/11/2026 12:00  empresa toda")


WRONG = [
    (["--day-usd", "-5"], "budget_absurd"),
    (["--day-usd", "1000000"], "budget_absurd"),
    (["--day-usd", "1.000"], "budget_usd_unclear"),
    (["--day-usd", "cinco"], "budget_usd_unclear"),
    (["--day-usd", "1e3"], "budget_usd_unclear"),
    (["--day-tokens", "2.5"], "budget_tokens_unclear"),
    (["--day-tokens", "99999999999999"], "budget_absurd"),
    (["--day-tokens", "-1"], "budget_absurd"),
    (["--agent", "ads_analist", "--day-usd", "5"], "budget_agent_unknown"),
    ([], "budget_nothing_to_set"),
]


async def test_set_changes_the_company_or_one_agent_and_takes_it_back_and_refuses_what_is_absurd(
    terminal: Terminal,
) -> None:
    async def line(role: str = "") -> Budget:
        standing = await terminal.house.services.budgets.standing(terminal.house.tenant_id)
        return {line.role: line.budget for line in standing}[role]

    assert "próxima chamada" in await terminal("set", "--day-usd", "12,50", "--day-tokens", "2000000")
    assert await line() == Budget(Decimal("12.50"), 2_000_000)
    await terminal("set", "--day-usd", "none", "--day-tokens", "default")
    assert await line() == Budget()
    await terminal("set", "--day-usd", "default")
    assert await line() == Budget(Decimal(10))
    await terminal("set", "--agent", "router", "--day-usd", "0.75", "--tenant", terminal.house.tenant_id)
    assert await line("router") == Budget(Decimal("0.75"))
    for arguments, code in WRONG:
        with pytest.raises(ArgumentsWrong) as told:
            await terminal("set", *arguments)
        assert told.value.code == code
        assert terminal.house.services.texts.error("pt-BR", told.value)
    assert await line() == Budget(Decimal(10))


def test_a_slip_of_the_pen_is_one_sentence_and_opens_nothing(tmp_path: Path) -> None:
    done = mutirao("budgets", "set", "--day-usd", "cinco", MUTIRAO_DATA_DIR=str(tmp_path / "var"))
    assert done.returncode == 1
    assert done.stderr.startswith("cinco is not an amount of dollars")
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "var").exists()
