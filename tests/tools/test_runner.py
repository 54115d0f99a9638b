"""The one door through which tool calls go. Fault F9 and controls 3 to 5 of the reliability facts."""

import asyncio
import json
from decimal import Decimal
from typing import Annotated, Any, Literal

import psycopg
import pytest
from pydantic import Field
from structlog.testing import capture_logs

from business.approvals.model import ProposalState
from business.approvals.service import Approvals
from core.db import Database
from core.errors import OutcomeUnknown, Unavailable
from core.tenancy import Role
from core.turn import Event, Limits, StepFinished, StepLine, StepStarted
from tests.business.approvals.dials import turn_dial
from tests.business.approvals.witness import Witness
from tests.conftest import Tenants, until
from tests.tools.conftest import MakeRunner, MakeTurn
from tools.spec import Effect, ProposedChange, ToolArgs, ToolContext, ToolResult, tool

ran: list[Any] = []


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    ran.clear()


class LookArgs(ToolArgs):
    name: str
    depth: Annotated[int, Field(ge=1, le=5)] = 1
    unit: Literal["cm", "inch"] = "cm"


class Seen(ToolResult):
    name: str
    width: Decimal
    missing: str | None = None


@tool(effect=Effect.READ, area="ads")
async def look(ctx: ToolContext, args: LookArgs) -> Seen:
    """Look at a thing."""
    ran.append(args)
    await asyncio.sleep(0)
    return Seen(name=args.name, width=Decimal("12.50"))


@tool(effect=Effect.READ, area="hr")
async def look_at_wages(ctx: ToolContext, args: LookArgs) -> Seen:
    """Look at what people earn."""
    ran.append(args)
    return Seen(name=args.name, width=Decimal(1))


@tool(effect=Effect.READ, area="ads")
async def fall(ctx: ToolContext, args: LookArgs) -> Seen:
    """Break in the way that `name` says."""
    ran.append(args)
    if args.name == "lost":
        raise OutcomeUnknown("outcome_unknown", "no answer")
    if args.name == "away":
        raise Unavailable("meta_unreachable", "no route")
    raise RuntimeError("connect failed: token EAAGsecretsecretsecretsecret postgresql://u:pw@h/db")


@tool(effect=Effect.READ, area="ads")
async def sleep(ctx: ToolContext, args: LookArgs) -> Seen:
    """Take for ever."""
    ran.append(args)
    await asyncio.Event().wait()
    raise AssertionError


class TurnArgs(ToolArgs):
    dial: str
    to: str
    reason: str = ""


@tool(effect=Effect.SPEND, area="ads")
async def turn_the_dial(ctx: ToolContext, args: TurnArgs) -> ProposedChange:
    """Propose to turn a dial."""
    change = turn_dial(args.dial, "100", args.to, effect="SPEND")
    return ProposedChange(change=change, evidence=[args.reason] if args.reason else [])


class NoteArgs(ToolArgs):
    targets = ("about", "others")

    about: str
    others: list[str] = Field(default_factory=list)
    note: str = ""


@tool(effect=Effect.DRAFT, area="crm")
async def write_a_note(ctx: ToolContext, args: NoteArgs) -> Seen:
    """Write a note about somebody."""
    ctx.tell(f"wrote about {args.about}")
    ran.append(args)
    return Seen(name=args.about, width=Decimal(1))


@tool(effect=Effect.READ, area="ads")
async def read_a_page(ctx: ToolContext, args: LookArgs) -> Seen:
    """Read what others wrote."""
    return Seen(name=args.name, width=Decimal(1), origin="web")


ALL = [look, look_at_wages, fall, sleep, turn_the_dial, write_a_note, read_a_page]


async def test_a_read_runs_at_once_and_gives_compact_typed_data(make_runner: MakeRunner, make_turn: MakeTurn) -> None:
    turn = make_turn()
    outcome = await make_runner(ALL).call(turn, "look", {"name": "box"})

    assert outcome.ok
    assert outcome.text_for_model == '{"origin":"account data","name":"box","width":12.5}'
    assert outcome.data == {"origin": "account data", "name": "box", "width": "12.50", "missing": None}
    (record,) = turn.results
    assert (record.name, record.arguments, record.effect, record.error) == ("look", {"name": "box"}, "READ", None)
    assert record.result == outcome.data and record.origin == "account data"


async def test_wrong_arguments_are_told_and_nothing_runs(make_runner: MakeRunner, make_turn: MakeTurn) -> None:
    wrong: list[tuple[Any, str]] = [
        ({}, "arguments_wrong"),
        ({"name": "box", "depth": 9}, "arguments_wrong"),
        ({"name": "box", "unit": "mile"}, "arguments_wrong"),
        ({"name": "box", "tenant_id": "ten_2"}, "arguments_wrong"),
        ({"name": ["box"]}, "arguments_wrong"),
        ('{"name": "box"', "arguments_unreadable"),
        ('{"name": "box",}', "arguments_unreadable"),
        ('{"name": "box", "depth": NaN}', "arguments_unreadable"),
        ("[]", "arguments_unreadable"),
        ("[" * 100_000, "arguments_unreadable"),
        ("[" * 15_000, "arguments_unreadable"),
        ({"name": "a\0b"}, "arguments_unreadable"),
        ({"name": "a\ud800b"}, "arguments_unreadable"),
    ]
    runner = make_runner(ALL)
    for arguments, code in wrong:
        turn = make_turn()
        outcome = await runner.call(turn, "look", arguments)
        assert outcome.error_code == code, arguments
        told = json.loads(outcome.text_for_model)
        assert told["error"] == "arguments_wrong" and told["why"] and told["then"]
        assert turn.results[0].error == code and turn.results[0].result is None
    assert ran == []


async def test_null_and_empty_optional_arguments_count_as_left_out(
    make_runner: MakeRunner, make_turn: MakeTurn
) -> None:
    outcome = await make_runner(ALL).call(make_turn(), "look", {"name": "box", "depth": None, "unit": ""})
    assert outcome.ok and ran[0].depth == 1


async def test_an_unknown_tool_is_told_with_the_known_ones(make_runner: MakeRunner, make_turn: MakeTurn) -> None:
    outcome = await make_runner(ALL).call(make_turn(), "delete_everything", {})
    assert outcome.error_code == "tool_unknown"
    assert "look" in outcome.text_for_model


async def test_a_bug_is_logged_with_an_id_and_its_text_goes_nowhere(
    make_runner: MakeRunner, make_turn: MakeTurn
) -> None:
    with capture_logs() as logs:
        outcome = await make_runner(ALL).call(make_turn(), "fall", {"name": "hard"})

    assert outcome.error_code == "tool_bug"
    assert "EAAG" not in outcome.text_for_model and "postgresql" not in outcome.text_for_model
    assert outcome.error is not None
    assert logs[0]["bug"] == outcome.error.params["id"]
    assert outcome.error.params["id"] in outcome.text_for_model


async def test_named_failures_say_what_to_do_next(make_runner: MakeRunner, make_turn: MakeTurn) -> None:
    for name, kind in (("lost", "outcome_unknown"), ("away", "unavailable")):
        outcome = await make_runner(ALL).call(make_turn(), "fall", {"name": name})
        assert json.loads(outcome.text_for_model)["error"] == kind
        assert "not call" in outcome.text_for_model


async def test_the_same_call_is_done_once_in_a_turn_also_at_the_same_time(
    make_runner: MakeRunner, make_turn: MakeTurn
) -> None:
    runner, turn = make_runner(ALL), make_turn()
    outcomes = await asyncio.gather(
        runner.call(turn, "look", {"name": "box"}),
        runner.call(turn, "look", '{"name": "box"}'),
        runner.call(turn, "look", {"name": " box ", "depth": 1}),
    )
    again = await runner.call(turn, "look", {"name": "box"})

    assert len(ran) == 1 and len(turn.results) == 1
    assert {id(outcome) for outcome in [*outcomes, again]} == {id(again)}


async def test_two_hundred_calls_at_once_stop_at_the_limit_of_steps(
    make_runner: MakeRunner, make_turn: MakeTurn
) -> None:
    turn = make_turn(limits=Limits(steps=12))
    runner = make_runner(ALL)
    outcomes = await asyncio.gather(*(runner.call(turn, "look", {"name": f"box {n}"}) for n in range(200)))

    assert len(ran) == 12
    assert sum(outcome.ok for outcome in outcomes) == 12
    assert {outcome.error_code for outcome in outcomes if not outcome.ok} == {"turn_limit"}


async def test_a_stopped_turn_leaves_a_running_tool_and_starts_no_other(
    make_runner: MakeRunner, make_turn: MakeTurn
) -> None:
    turn, runner = make_turn(), make_runner(ALL)
    calling = asyncio.create_task(runner.call(turn, "sleep", {"name": "box"}))
    await until(lambda: bool(ran))
    turn.stopped.set()

    assert (await calling).error_code == "turn_stopped"
    assert (await runner.call(turn, "look", {"name": "box"})).error_code == "turn_stopped"
    assert len(ran) == 1


async def test_a_tool_takes_no_longer_than_its_turn_may(make_runner: MakeRunner, make_turn: MakeTurn) -> None:
    turn = make_turn(limits=Limits(seconds=0.05))
    outcome = await make_runner(ALL).call(turn, "sleep", {"name": "box"})
    assert outcome.error_code == "turn_limit"
    assert outcome.error is not None and outcome.error.params == {"limit": "seconds"}


async def test_a_role_without_the_area_is_refused_before_anything_runs(
    make_runner: MakeRunner, make_turn: MakeTurn
) -> None:
    runner = make_runner(ALL)
    for role in Role:  # no agent sees wages, so not even Admin does through one
        outcome = await runner.call(make_turn(role=role), "look_at_wages", {"name": "all"})
        assert outcome.error_code == "role_may_not"
    assert ran == []


async def test_steps_are_told_in_the_users_language_and_in_pairs(make_runner: MakeRunner, make_turn: MakeTurn) -> None:
    told: list[Any] = []
    turn = make_turn(progress=told.append)
    await make_runner(ALL).call(turn, "fall", {"name": "away"})

    started, finished = told
    assert isinstance(started, StepStarted) and isinstance(finished, StepFinished)
    assert (started.kind, started.name, finished.ok) == ("tool", "fall", False)
    assert started.step_id == finished.step_id and finished.summary


async def test_an_effect_becomes_a_proposal_and_nothing_else_happens(
    make_runner: MakeRunner, make_turn: MakeTurn, witness: Witness, approvals: Approvals, tenants: Tenants
) -> None:
    turn = make_turn("vira o volume para 150", role=Role.COMERCIAL)
    outcome = await make_runner(ALL).call(turn, "turn_the_dial", {"dial": "volume", "to": "150", "reason": "alto"})

    assert outcome.ok and outcome.proposal is not None
    assert witness.writes_of("volume") == []
    assert turn.proposals == [outcome.proposal.id] == [turn.results[0].proposal_id]
    assert json.loads(outcome.text_for_model)["state"] == "pending"
    kept = await approvals.get(tenants.one[Role.ADMIN], outcome.proposal.id)
    assert (kept.state, kept.tool, kept.effect) == (ProposalState.PENDING, "turn_the_dial", "SPEND")
    assert kept.evidence == ["alto"] and kept.preview.warnings == []
    assert kept.change == turn_dial("volume", "100", "150", effect="SPEND")


@tool(effect=Effect.SPEND, area="ads")
async def turn_the_dial_slowly(ctx: ToolContext, args: TurnArgs) -> ProposedChange:
    """Propose to turn a dial when another call has found out what to propose."""
    await until(lambda: "quick" in ran)
    return ProposedChange(change=turn_dial(args.dial, "100", args.to, effect="SPEND"), evidence=[])


@tool(effect=Effect.SPEND, area="ads")
async def turn_the_dial_quickly(ctx: ToolContext, args: TurnArgs) -> ProposedChange:
    """Propose to turn a dial at once."""
    ran.append("quick")
    return ProposedChange(change=turn_dial(args.dial, "100", args.to, effect="SPEND"), evidence=[])


async def test_proposals_of_one_answer_come_in_the_order_in_which_they_were_asked_for(
    make_runner: MakeRunner, make_turn: MakeTurn, witness: Witness, approvals: Approvals, tenants: Tenants
) -> None:
    """Record dono-com-pressa: an answer numbered two pauses, and the cards came the other way round."""
    witness.dials["treble"] = "100"
    turn, runner = make_turn("vira tudo para 150"), make_runner([turn_the_dial_slowly, turn_the_dial_quickly, fall])
    first, broken, second = await asyncio.gather(
        runner.call(turn, "turn_the_dial_slowly", {"dial": "volume", "to": "150"}),
        runner.call(turn, "fall", {"name": "hard"}),
        runner.call(turn, "turn_the_dial_quickly", {"dial": "treble", "to": "150"}),
    )
    assert first.proposal is not None and second.proposal is not None and not broken.ok
    assert turn.proposals == [first.proposal.id, second.proposal.id]
    made = await approvals.list(tenants.one[Role.ADMIN], conversation_id="conv_1")
    assert [proposal.id for proposal in made] == [second.proposal.id, first.proposal.id]  # newest first


async def test_a_target_that_the_user_did_not_name_is_marked_with_where_it_came_from(
    make_runner: MakeRunner, make_turn: MakeTurn
) -> None:
    turn, runner = make_turn("o que devo mudar? põe em 150"), make_runner(ALL)
    await runner.call(turn, "look", {"name": "volume"})
    found = await runner.call(turn, "turn_the_dial", {"dial": "volume", "to": "150"})
    invented = await runner.call(turn, "turn_the_dial", {"dial": "treble", "to": "150"})

    assert found.proposal is not None and invented.proposal is not None
    assert found.proposal.preview.warnings == [("proposal.warning.from_account_data", {"value": "volume"})]
    assert invented.proposal.preview.warnings == [("proposal.warning.from_nowhere", {"value": "treble"})]


async def test_a_target_named_in_the_message_before_is_the_users(make_runner: MakeRunner, make_turn: MakeTurn) -> None:
    turn = make_turn("isso, para 150", session={"last_text": "Mexe no VOLUME da sala"})
    outcome = await make_runner(ALL).call(turn, "turn_the_dial", {"dial": "volume", "to": "150"})
    assert outcome.proposal is not None and outcome.proposal.preview.warnings == []


async def test_a_tenant_may_forbid_a_tool_and_broken_rules_forbid_all_effects(
    make_runner: MakeRunner, make_turn: MakeTurn, database: Database, tenants: Tenants
) -> None:
    async def set_policy(policy: str) -> None:
        async with database.tenant(tenants.one.id) as conn:
            await conn.execute(
                "UPDATE tenants SET settings = jsonb_build_object('policy', %s::jsonb) WHERE id = %s",
                [policy, tenants.one.id],
            )

    runner = make_runner(ALL)
    arguments = {"dial": "volume", "to": "150"}
    await set_policy('{"tools": {"turn_the_dial": "never"}}')
    assert (await runner.call(make_turn(), "turn_the_dial", arguments)).error_code == "policy_forbids"
    await set_policy('{"effects": {"SPEND": "perhaps"}}')
    assert (await runner.call(make_turn(), "turn_the_dial", arguments)).error_code == "policy_unreadable"
    assert (await runner.call(make_turn(), "look", {"name": "box"})).ok
    await set_policy('{"effects": {"SPEND": "run"}}')  # a tenant cannot loosen
    assert (await runner.call(make_turn(), "turn_the_dial", arguments)).proposal is not None


async def test_another_tenants_database_row_never_shows_in_a_proposal(
    make_runner: MakeRunner, make_turn: MakeTurn, owner_dsn: str, tenants: Tenants
) -> None:
    await make_runner(ALL).call(make_turn("volume 150"), "turn_the_dial", {"dial": "volume", "to": "150"})
    with psycopg.connect(owner_dsn) as conn:
        rows = conn.execute("SELECT tenant_id FROM proposals").fetchall()
    assert rows == [(tenants.one.id,)]


# --- drafts: docs/decisions/0015 ----------------------------------------------------------------


async def test_a_draft_is_written_at_once_with_the_rights_of_the_person_and_tells_what_it_does(
    make_runner: MakeRunner, make_turn: MakeTurn
) -> None:
    shown: list[Event] = []
    for role, may in ((Role.ADMIN, True), (Role.COMERCIAL, True), (Role.CLIENTE, False), (Role.AGENTE_IA, False)):
        turn = make_turn("anota sobre a Ana", role=role, progress=shown.append)
        outcome = await make_runner(ALL).call(turn, "write_a_note", {"about": "Ana"})
        assert (outcome.ok, outcome.error_code) == ((True, None) if may else (False, "role_may_not")), role
    assert len(ran) == 2 and not turn.proposals
    assert [event.text for event in shown if isinstance(event, StepLine)] == ["wrote about Ana"] * 2


async def test_a_draft_about_somebody_whom_only_a_page_of_the_web_names_is_refused(
    make_runner: MakeRunner, make_turn: MakeTurn
) -> None:
    runner = make_runner(ALL)
    turn = make_turn("o que diz o site deles?")
    await runner.call(turn, "read_a_page", {"name": "Rival Ltda"})
    refused = await runner.call(turn, "write_a_note", {"about": "Rival Ltda", "note": "lost"})
    assert (refused.error_code, ran) == ("not_named_by_user", [])
    assert "Rival Ltda" in refused.text_for_model

    turn = make_turn("anota na Rival Ltda o que diz o site deles")
    await runner.call(turn, "read_a_page", {"name": "Rival Ltda"})
    assert (await runner.call(turn, "write_a_note", {"about": "Rival Ltda", "note": "lost"})).ok
    # Words of others have been read: what they only mention, or what was looked up since, is not the user's choice.
    for asked in ({"about": "Mercado Rei"}, {"about": "Rival Ltda", "others": ["Mercado Rei"]}):
        assert (await runner.call(turn, "write_a_note", asked)).error_code == "not_named_by_user"
    await runner.call(turn, "look", {"name": "Mercado Rei"})
    assert (await runner.call(turn, "write_a_note", {"about": "Mercado Rei"})).error_code == "not_named_by_user"


async def test_a_tenant_may_forbid_a_draft(
    make_runner: MakeRunner, make_turn: MakeTurn, database: Database, tenants: Tenants
) -> None:
    async with database.tenant(tenants.one.id) as conn:
        await conn.execute("""UPDATE tenants SET settings = '{"policy": {"tools": {"write_a_note": "never"}}}'""")
    outcome = await make_runner(ALL).call(make_turn("anota sobre a Ana"), "write_a_note", {"about": "Ana"})
    assert (outcome.error_code, ran) == ("policy_forbids", [])


@pytest.mark.parametrize(
    ("said", "target", "may"),
    [
        ("obrigado, ok", "Mercado Rei", False),  # a name that the user never wrote
        ("mostra a ficha dela", "con_2", False),  # "ela" is what was spoken of last, and no other row
        ("anota nela que ligou", "con_1", True),
        ("rejeita a terceira", "con_3", True),
        ("rejeita a terceira", "con_2", False),
        ("rechaza la cuarta", "4", True),
        ("rechaza la cuarta", "5", False),
        ("rejeita a 2", "con_2", True),
        ("sim", "con_3", True),
        ("pode rejeitar todas", "con_2", True),
        ("salva a melhor", "con_2", True),
        ("descarta a última", "con_3", True),
        ("descarta a última", "con_2", False),
        ("anota na oficina", "con_3", True),
    ],
)
async def test_a_draft_is_done_to_what_the_user_pointed_at_and_to_nothing_beside_it(
    said: str, target: str, may: bool, make_runner: MakeRunner, make_turn: MakeTurn
) -> None:
    rows = [
        {"n": 1, "id": "con_1", "name": "Padaria Sol"},
        {"n": 2, "id": "con_2", "name": "Mercado Rei"},
        {"n": 3, "id": "con_3", "name": "Oficina da Lua Azul"},
    ]
    turn = make_turn(said, session={"entities": rows, "focus": rows[0]})
    outcome = await make_runner(ALL).call(turn, "write_a_note", {"about": target})
    assert outcome.error_code == (None if may else "not_named_by_user")
