"""The MCP door, spoken to by the official client."""

import os
import shutil
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.shared.memory import create_connected_server_and_client_session
from mcp.types import CallToolResult, TextContent

from business.approvals.model import ProposalState
from business.approvals.service import Approvals
from business.crm.service import Crm
from business.people.service import People
from channels.crm_views import CrmViews
from channels.mcp_server import build
from core.clock import FixedClock
from core.db import Database
from core.door import IncomingMessage, Reply, UsageTotals, View
from core.errors import Refused
from core.formats import money
from core.money import Money
from core.permissions import Permissions
from core.tenancy import Identity, Role
from core.turn import Progress, StepLine, StepStarted
from crews.registry import CREWS
from prompts.texts import Texts
from tests.business.approvals.witness import Witness
from tests.conftest import Dsns, Tenants
from tests.tools.conftest import MakeRunner, approvals, make_runner, policies, texts, witness  # noqa: F401
from tests.tools.test_runner import ALL
from tools.adapters import parameters

Connect = Callable[..., AbstractAsyncContextManager[ClientSession]]


class Asked:
    """Stands where the supervisor's `handle` stands, and remembers what came."""

    def __init__(self) -> None:
        self.messages: list[IncomingMessage] = []

    async def handle(self, message: IncomingMessage, progress: Progress) -> Reply:
        self.messages.append(message)
        if not message.text.strip():
            raise Refused("message_empty", "nothing was said")
        progress(StepStarted("step_1", "crew", "ads", "Analista de anúncios"))
        progress(StepStarted("step_2", "tool", "look", "Consultando"))
        progress(StepLine("step_2", "Ateliê Cambuí — 82"))
        return Reply(
            turn_id="turn_9",
            conversation_id=message.conversation_id,
            text="Tudo certo.",
            language="pt-BR",
            route=[],
            tools=[],
            proposals=[],
            tables=[],
            charts=[],
            usage=UsageTotals(0, 0, 0, Decimal(0), []),
            timing={},
            message_id="msg_1",
            views=[View("crm_board", "Quadro")],
        )


@pytest.fixture
def asked() -> Asked:
    return Asked()


@pytest.fixture
def connect(
    make_runner: MakeRunner,  # noqa: F811
    asked: Asked,
    texts: Texts,  # noqa: F811
    tenants: Tenants,
    people: People,
    clock: FixedClock,
    database: Database,
    permissions: Permissions,
) -> Connect:
    @asynccontextmanager
    async def connected(role: Role = Role.ADMIN) -> AsyncIterator[ClientSession]:
        user = tenants.one[role]

        async def who() -> Identity:
            return await people.identity(user.tenant_id, user.user_id)

        views = CrmViews(Crm(database, clock, permissions), people, texts, clock)
        server = build(who, make_runner(ALL), asked.handle, texts, clock, views)
        async with create_connected_server_and_client_session(server) as session:
            yield session

    return connected


def told(result: CallToolResult) -> str:
    return "\n".join(part.text for part in result.content if isinstance(part, TextContent))


async def test_it_offers_every_tool_as_declared_and_ask(connect: Connect) -> None:
    async with connect() as client:
        offered = {tool.name: tool for tool in (await client.list_tools()).tools}

    assert list(offered) == [*(spec.name for spec in ALL), "ask"]
    for spec in ALL:
        tool = offered[spec.name]
        assert (tool.description, tool.inputSchema) == (spec.description, parameters(spec))
        assert tool.annotations is not None
        assert tool.annotations.readOnlyHint is not spec.proposes
        assert tool.annotations.destructiveHint is spec.proposes


async def test_a_read_gives_the_typed_result(connect: Connect) -> None:
    async with connect() as client:
        result = await client.call_tool("look", {"name": "box"})
    assert not result.isError
    assert result.structuredContent == {"origin": "account data", "name": "box", "width": "12.50", "missing": None}


async def test_a_failure_is_an_error_result_in_words(connect: Connect) -> None:
    wrong: list[tuple[str, dict[str, Any], str]] = [
        ("look", {"name": "box", "depth": 9}, "Um dos valores desse pedido não serve"),
        ("look", {"name": "box", "tenant_id": "ten_2"}, "Um dos valores desse pedido não serve"),
        ("look_at_wages", {"name": "all"}, "O seu perfil não tem acesso"),
        ("fall", {"name": "hard"}, "Algo deu errado do nosso lado"),
        ("delete_everything", {}, "Não tenho a ferramenta"),
        ("ask", {}, "Um dos valores desse pedido não serve"),
        ("ask", {"question": "oi", "tenant": "x"}, "Um dos valores desse pedido não serve"),
    ]
    async with connect() as client:
        for name, arguments, in_words in wrong:
            result = await client.call_tool(name, arguments)
            assert result.isError, name
            assert in_words in told(result)
            assert "EAAG" not in told(result) and "Traceback" not in told(result)


async def test_an_effect_is_proposed_and_cannot_be_approved_through_this_door(
    connect: Connect,
    approvals: Approvals,  # noqa: F811
    tenants: Tenants,
    witness: Witness,  # noqa: F811
) -> None:
    async with connect() as client:
        result = await client.call_tool("turn_the_dial", {"dial": "volume", "to": "150"})
    (proposal,) = await approvals.list(tenants.one[Role.ADMIN])

    assert not result.isError and proposal.id in told(result)
    assert "mutirao approvals approve" in told(result)
    assert (proposal.state, proposal.door) == (ProposalState.PENDING, "mcp")
    with pytest.raises(Refused) as refused:
        await approvals.approve(tenants.one[Role.ADMIN], proposal.id, "mcp")
    assert refused.value.code == "proposal_same_door"
    assert witness.writes_of("volume") == []
    assert (await approvals.approve(tenants.one[Role.ADMIN], proposal.id, "chat")).state is ProposalState.EXECUTED


async def test_no_tool_of_this_door_approves(connect: Connect) -> None:
    async with connect() as client:
        names = {tool.name for tool in (await client.list_tools()).tools}
    assert not any("approve" in name or "approval" in name for name in names)


async def test_a_role_taken_away_while_connected_is_gone_at_the_next_call(
    connect: Connect, people: People, tenants: Tenants
) -> None:
    async with connect(Role.COMERCIAL) as client:
        assert not (await client.call_tool("look", {"name": "box"})).isError
        user = tenants.one[Role.COMERCIAL]
        async with people._db.tenant(user.tenant_id) as conn:
            await conn.execute("UPDATE users SET active = false WHERE id = %s", [user.user_id])
        assert (await client.call_tool("look", {"name": "box"})).isError


async def test_ask_runs_a_turn_with_progress_and_keeps_its_conversation(connect: Connect, asked: Asked) -> None:
    steps: list[str | None] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        steps.append(message)

    async with connect() as client:
        first = await client.call_tool("ask", {"question": "Como foi?"}, progress_callback=on_progress)
        assert first.structuredContent is not None
        conversation = first.structuredContent["conversation"]
        await client.call_tool("ask", {"question": "E ontem?", "conversation": conversation})

    assert told(first).startswith("Tudo certo.")
    assert steps == ["Analista de anúncios", "Consultando", "Ateliê Cambuí — 82"]
    (view,) = first.structuredContent["views"]
    assert view["kind"] == "crm_board" and view["data"]["columns"][0]["name"] == "Novo"
    assert [message.conversation_id for message in asked.messages] == [conversation, conversation]
    assert {message.door for message in asked.messages} == {"mcp"}


async def test_ask_tells_a_refused_message_in_words(connect: Connect, texts: Texts) -> None:  # noqa: F811
    async with connect() as client:
        result = await client.call_tool("ask", {"question": " "})
    assert result.isError
    assert told(result) == texts.error("pt-BR", Refused("message_empty"))


async def test_the_whole_command_speaks_clean_mcp_over_stdio(tmp_path: Path, dsns: Dsns, learnt: Path) -> None:
    """`mutirao mcp` as a desktop client starts it; every line on its stdout is protocol, or the client would fail."""
    shutil.copytree(learnt, tmp_path / "var" / "cache")
    command = StdioServerParameters(
        command=sys.executable,
        args=["-c", "import app; app.main()", "mcp", "--as", "Diretor"],
        cwd=tmp_path,
        env={
            **os.environ,
            "MUTIRAO_DATA_DIR": str(tmp_path / "var"),
            "MUTIRAO_DATABASE_URL": dsns.app,
            "MUTIRAO_DATABASE_OWNER_URL": dsns.owner,
            "PYTHONPATH": str(Path(__file__).parents[2]),
        },
    )
    steps: list[str | None] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        steps.append(message)

    with (tmp_path / "stderr").open("w") as errors:
        async with stdio_client(command, errlog=errors) as streams, ClientSession(*streams) as client:
            await client.initialize()
            names = [tool.name for tool in (await client.list_tools()).tools]
            report = await client.call_tool("ads_report", {"period": "ontem", "account": "Aurora"})
            proposed = await client.call_tool("set_ads_budget", {"target": "Remarketing", "amount": 130})
            answer = await client.call_tool("ask", {"question": "Quanto gastei ontem?"}, progress_callback=on_progress)

    assert names == [*(tool.name for crew in CREWS for tool in crew.tools if not tool.for_contact), "ask"]
    assert not report.isError and report.structuredContent is not None
    spent = Decimal(report.structuredContent["reports"][0]["total"]["spend"])
    assert not answer.isError and money(Money(spent, "BRL"), "pt-BR") in told(answer)
    assert steps
    assert not proposed.isError
    with psycopg.connect(dsns.owner) as conn:
        rows = conn.execute("SELECT door, state, effect FROM proposals").fetchall()
    assert rows == [("mcp", "pending", "SPEND")]
