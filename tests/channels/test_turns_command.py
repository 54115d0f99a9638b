"""`mutirao turns` as somebody at a terminal sees it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result

from app import open_services
from business.conversations.records import Figures
from channels.services import Services
from channels.terminal import commands
from core.clock import FixedClock
from core.door import IncomingMessage
from core.ids import new_id
from core.settings import Settings
from core.tenancy import Role
from core.turn import silent
from evals.stand_in import Answer, StandIn
from integrations.meta_ads.simulator import launch
from tests.conftest import Dsns
from tests.core.typed_secrets import TYPED, seen_of

TENANT = "agencia-ipe"
CALL = ("ads_report", {"period": "ontem"})
MESSAGE = "Quanto gastei ontem? Ligue para (11) 98765-4321 ou escreva a ana@ipe.example"


class Terminal:
    """A terminal whose house is this test's: its database, its sandbox, its models, its clock."""

    def __init__(self, settings: Settings, clock: FixedClock, graph_url: str) -> None:
        self._settings = settings
        self._clock = clock
        self._graph_url = graph_url

    @asynccontextmanager
    async def open(self, _: Settings | None = None) -> AsyncIterator[Services]:
        async with open_services(self._settings, self._clock, self._graph_url) as services:
            yield services

    async def types(self, *words: str) -> Result:
        """Type `mutirao turns <words>` for the sample company; what is printed and the exit code."""
        cli = commands(self.open, lambda _: None, _no_mcp, lambda _: 0)
        return await asyncio.to_thread(CliRunner().invoke, cli, ["turns", *words, "--tenant", TENANT])


async def _no_mcp(*_: Any) -> None: ...


Turns = tuple[Terminal, dict[str, str]]


@pytest.fixture
async def turns(dsns: Dsns, clock: FixedClock, tmp_path: Path, learnt: Path) -> AsyncIterator[Turns]:
    """A terminal, and the ids of turns: by a model, by the rules, one that still runs, and another tenant's."""
    graph = launch.start(tmp_path / "graph", clock.now())
    script = [Answer(calls=[CALL], prompt_tokens=1_234), Answer("Foi bem."), Answer(status=500), Answer(status=500)]
    with StandIn(script) as server:
        settings = Settings(
            data_dir=tmp_path / "var",
            database_url=dsns.app,
            database_owner_url=dsns.owner,
            log_level="ERROR",
            openai_api_key="a-key",
            openai_base_url=server.openai_url,
            usd_brl="5.00@2026-11-20",
        )
        terminal = Terminal(settings, clock, graph.base_url)
        async with terminal.open() as services:
            found = await services.people.tenant(None)
            who = await services.people.identity_by_role(found.id, Role.ADMIN)
            checked = await services.connections.check(graph.token)
            await services.connections.save(who, checked, [account.id for account in checked.accounts])
            ids = {}
            for name, text in (("model", MESSAGE), ("rules", "E anteontem?")):
                message = IncomingMessage(who, "conv_1", text, "chat")
                ids[name] = (await services.handle(message, silent)).turn_id
            ids["running"] = new_id("turn")
            await services.conversations.accept(who, "conv_2", "terminal", "oi", ids["running"], [])
            other = await services.people.add_tenant("Outra", slug="outra")
            user = await services.people.add_user(other.id, "eva@outra.example", "Eva", Role.ADMIN, "ipê-roxo-2026")
            eva = await services.people.identity(other.id, user.id)
            ids["foreign"] = new_id("turn")
            await services.conversations.accept(eva, "conv_3", "chat", "segredo da Eva", ids["foreign"], [])
        try:
            yield terminal, ids
        finally:
            graph.stop()


async def test_turns_are_listed_shown_and_replayed_and_a_difference_is_told(turns: Turns, tmp_path: Path) -> None:
    terminal, ids = turns

    listed = await terminal.types("list")
    assert listed.exit_code == 0, listed.output
    lines = listed.output.splitlines()
    assert [ids[name][-8:] for name in ("running", "rules", "model")] == [line.split()[2] for line in lines[1:4]]
    assert "em andamento" in lines[1]
    assert "regras" in lines[2] and "com falha" in lines[2]
    assert "gpt" in lines[3] and "1.374" in lines[3] and "R$" in lines[3]
    assert "98765" not in listed.output and "segredo" not in listed.output
    failed = await terminal.types("list", "--failed", "--since", "1d")
    assert ids["rules"][-8:] in failed.output and ids["model"][-8:] not in failed.output

    shown = await terminal.types("show", ids["model"])
    assert shown.exit_code == 0, shown.output
    for told in ("[phone]", "[email]", "ads_report", '"period": "ontem"', "1.234 + 20 tokens", "US$", "Foi bem."):
        assert told in shown.output, told
    assert "98765" not in shown.output
    assert "98765-4321" in (await terminal.types("show", ids["model"][-8:], "--plain")).output
    as_json = await terminal.types("show", ids["model"], "--json")
    assert json.loads(as_json.output)["completions"][0]["tool_calls"][0]["name"] == "ads_report"
    assert "98765" not in as_json.output

    file = tmp_path / "turn.json"
    file.write_text((await terminal.types("show", ids["model"], "--json", "--plain")).output, encoding="utf-8")
    from_file = await terminal.types("replay", str(file))
    assert (from_file.exit_code, from_file.output) == (0, f"{ids['model'][-8:]}  igual\n")
    again = await terminal.types("replay", "--last", "9")  # the one that still runs is passed over
    assert again.exit_code == 0
    assert again.output.splitlines() == [
        f"{ids['rules'][-8:]}  igual",
        f"{ids['model'][-8:]}  igual",
        "2 iguais, 0 diferentes.",
    ]

    async with terminal.open() as services:
        tenant = await services.people.tenant(TENANT)
        found = await services.turns.find(tenant.id, ids["model"])
        who = await services.people.identity_by_role(tenant.id, Role.ADMIN)
        record = {**found.record, "reply": {**found.record["reply"], "text": "Foi péssimo."}}
        async with services.db.tenant(tenant.id) as conn:
            await services.conversations.finish(
                who,
                "conv_1",
                ids["model"],
                text="",
                language="pt-BR",
                extra={},
                record=record,
                figures=Figures(ended="done"),
                state="done",
                conn=conn,
            )
    again = await terminal.types("replay", ids["rules"], ids["model"])
    assert again.exit_code == 1
    same, differs, was, now = again.output.splitlines()[:4]
    assert same == f"{ids['rules'][-8:]}  igual"
    assert differs == f"{ids['model'][-8:]}  diferente: o texto da resposta"
    assert was == "  era:   Foi péssimo." and now.startswith("  agora: Foi bem.")


async def test_what_cannot_be_done_is_told_in_one_sentence(turns: Turns) -> None:
    terminal, ids = turns
    for words, told in (
        (["show", "turn_0000000"], "Não há turno turn_0000000"),
        (["show", ids["foreign"]], "Não há turno"),
        (["show", ids["running"]], "ainda está em andamento"),
        (["replay", ids["foreign"]], "Não há turno"),
        (["replay", ids["running"]], "ainda está em andamento"),
        (["replay"], "--last"),
        (["replay", __file__], "não é o registro de um turno"),
        (["list", "--since", "ontem"], "2026-11-20"),
    ):
        done = await terminal.types(*words)
        assert done.exit_code == 1 and told in done.output, done.output
        assert len(done.output.strip().splitlines()) == 1
    none = await terminal.types("list", "--conversation", "conv_0")
    assert (none.exit_code, none.output) == (0, "Nenhum turno.\n")


async def test_a_credential_that_was_typed_stands_in_no_record_and_no_log_only_in_the_conversation(
    turns: Turns, owner_dsn: str, capfd: pytest.CaptureFixture[str]
) -> None:
    terminal, _ = turns
    canaries = {name: seen_of(secret) for name, secret in TYPED.items()}
    asked: list[str] = []
    async with terminal.open() as services:
        tenant = await services.people.tenant(TENANT)
        who = await services.people.identity_by_role(tenant.id, Role.ADMIN)
        for secret in ["\n".join(TYPED.values()), *TYPED.values()]:
            message = IncomingMessage(who, f"conv_typed_{len(asked)}", f"{secret}\nQuanto gastei ontem?", "chat")
            asked.append((await services.handle(message, silent)).turn_id)
    told = [
        await terminal.types("show", asked[0], "--json", "--plain"),
        await terminal.types("show", asked[0], "--json"),
        await terminal.types("show", asked[0], "--plain"),
        await terminal.types("list", "--limit", "100"),
    ]
    assert [one.exit_code for one in told] == [0] * 4
    written = capfd.readouterr()
    with psycopg.connect(owner_dsn) as conn:
        records = [text for (text,) in conn.execute("select record::text from turns where record is not null")]
        kept = "".join(text for (text,) in conn.execute("select text from messages where role = 'user'"))
    everywhere = "".join([*(one.output for one in told), written.out, written.err, *records])
    assert len(records) >= len(asked)
    assert {name: part for name, parts in canaries.items() for part in parts if part in everywhere} == {}
    assert all(secret in kept for secret in TYPED.values()), "what people said is theirs, and kept as they said it"
