"""What a proposal may become, and what it never may. Fault list F17 and control 5 of the reliability facts."""

import asyncio
from datetime import timedelta

import psycopg
import pytest
from structlog.testing import capture_logs

from business.approvals.model import ProposalState
from business.approvals.service import ATTEMPTS, Approvals
from core.audit import verify_chain
from core.clock import FixedClock
from core.db import Database
from core.errors import ArgumentsWrong, Refused
from core.permissions import Permissions
from core.tenancy import Role
from tests.business.approvals.conftest import Propose, nothing_above_999
from tests.business.approvals.dials import DialHandler, turn_dial
from tests.business.approvals.witness import Witness
from tests.conftest import Tenants


async def refused_code(awaited: object) -> str:
    with pytest.raises(Refused) as caught:
        await awaited  # type: ignore[misc]
    return caught.value.code


async def actions(database: Database, tenants: Tenants) -> list[str]:
    async with database.tenant(tenants.one.id) as conn:
        rows = await (
            await conn.execute("SELECT action FROM audit_log WHERE action LIKE 'proposal%' ORDER BY id")
        ).fetchall()
        assert (await verify_chain(conn)).whole
    return [row["action"] for row in rows]


async def test_an_approved_change_is_done_once_read_back_and_audited(
    approvals: Approvals, tenants: Tenants, witness: Witness, propose: Propose, database: Database
) -> None:
    proposal = await propose()
    assert proposal.state is ProposalState.PENDING
    assert witness.writes_of("volume") == []

    done = await approvals.approve(tenants.one[Role.DIRETOR], proposal.id, "chat")

    assert done.state is ProposalState.EXECUTED
    assert done.outcome == "proposal_executed"
    assert done.decided_by == tenants.one[Role.DIRETOR].user_id
    assert witness.writes_of("volume") == ["150"]
    assert await actions(database, tenants) == [
        "proposal.created",
        "proposal.approved",
        "proposal.executing",
        "proposal.executed",
    ]


async def test_a_second_yes_is_refused_and_nothing_is_done_again(
    approvals: Approvals, tenants: Tenants, witness: Witness, propose: Propose
) -> None:
    proposal = await propose()
    await approvals.approve(tenants.one[Role.ADMIN], proposal.id, "chat")

    assert await refused_code(approvals.approve(tenants.one[Role.ADMIN], proposal.id, "chat")) == "proposal_decided"
    assert witness.writes_of("volume") == ["150"]


async def test_of_eight_approvers_at_once_in_two_processes_one_wins(
    approvals: Approvals,
    tenants: Tenants,
    witness: Witness,
    propose: Propose,
    permissions: Permissions,
    database: Database,
    clock: FixedClock,
) -> None:
    proposal = await propose()
    second_database = Database(database.app_dsn)
    await second_database.open()
    handler = DialHandler(witness.url)
    second = Approvals(second_database, permissions, clock, {handler.kind: handler}, check=nothing_above_999)

    answers = await asyncio.gather(
        *(
            door.approve(tenants.one[role], proposal.id, "chat")
            for door in (approvals, second)
            for role in (Role.ADMIN, Role.DIRETOR) * 2
        ),
        return_exceptions=True,
    )
    await second_database.close()

    won = [answer for answer in answers if not isinstance(answer, BaseException)]
    lost = [answer for answer in answers if isinstance(answer, BaseException)]
    assert len(won) == 1
    assert {getattr(answer, "code", repr(answer)) for answer in lost} == {"proposal_decided"}
    assert witness.writes_of("volume") == ["150"]


async def test_executing_from_many_callers_at_once_writes_once(
    approvals: Approvals, tenants: Tenants, witness: Witness, propose: Propose
) -> None:
    proposal = await propose()
    answers = await asyncio.gather(
        approvals.approve(tenants.one[Role.ADMIN], proposal.id, "chat"),
        *(approvals.execute(tenants.one.id, proposal.id) for _ in range(5)),
        approvals.reconcile(tenants.one.id),
    )
    assert (await approvals.get(tenants.one[Role.ADMIN], proposal.id)).state is ProposalState.EXECUTED
    assert answers[-1] in (0, 1)
    assert witness.writes_of("volume") == ["150"]


async def test_after_its_expiry_a_yes_is_refused(
    approvals: Approvals, tenants: Tenants, witness: Witness, propose: Propose, clock: FixedClock
) -> None:
    proposal = await propose()
    clock.advance(timedelta(hours=24))

    assert await refused_code(approvals.approve(tenants.one[Role.ADMIN], proposal.id, "chat")) == "proposal_expired"
    assert (await approvals.get(tenants.one[Role.ADMIN], proposal.id)).state is ProposalState.EXPIRED
    assert witness.writes_of("volume") == []


async def test_expiring_marks_only_what_is_past_its_time(
    approvals: Approvals, tenants: Tenants, propose: Propose, clock: FixedClock
) -> None:
    old = await propose("old")
    clock.advance(timedelta(hours=23))
    young = await propose("young")
    clock.advance(timedelta(hours=2))

    listed = await approvals.list(tenants.one[Role.ADMIN], state=ProposalState.PENDING)
    assert [one.id for one in listed] == [young.id]
    assert await approvals.expire(tenants.one.id) == 1
    assert (await approvals.get(tenants.one[Role.ADMIN], old.id)).state is ProposalState.EXPIRED


async def test_a_change_that_was_rewritten_in_the_database_is_refused(
    approvals: Approvals, tenants: Tenants, witness: Witness, propose: Propose, owner_dsn: str
) -> None:
    proposal = await propose()
    with psycopg.connect(owner_dsn, autocommit=True) as conn:
        conn.execute("ALTER TABLE proposals DISABLE TRIGGER keeps_its_change")
        conn.execute(
            "UPDATE proposals SET change = jsonb_set(change, '{data,to}', '\"900\"') WHERE id = %s", [proposal.id]
        )

    assert await refused_code(approvals.approve(tenants.one[Role.ADMIN], proposal.id, "chat")) == "proposal_altered"
    assert witness.writes_of("volume") == []


async def test_another_tenant_sees_no_proposal_and_cannot_decide_it(
    approvals: Approvals, tenants: Tenants, witness: Witness, propose: Propose
) -> None:
    proposal = await propose()
    stranger = tenants.other[Role.ADMIN]

    assert await approvals.list(stranger) == []
    for attempt in (
        approvals.get(stranger, proposal.id),
        approvals.approve(stranger, proposal.id, "chat"),
        approvals.reject(stranger, proposal.id, "chat"),
        approvals.edit(stranger, proposal.id, {"to": "120"}, "chat"),
        approvals.undo(stranger, proposal.id, "chat"),
    ):
        assert await refused_code(attempt) == "proposal_unknown"
    assert witness.writes_of("volume") == []


async def test_only_roles_with_the_right_approve(
    approvals: Approvals, tenants: Tenants, witness: Witness, propose: Propose
) -> None:
    for role in Role:
        for effect in ("WRITE", "SPEND"):
            allowed = role in (Role.ADMIN, Role.DIRETOR)
            dial = f"{role}-{effect}"
            proposal = await propose(dial, by=role, effect=effect)
            assert approvals.may_approve(tenants.one[role], proposal, "chat") is allowed
            if allowed:
                await approvals.approve(tenants.one[role], proposal.id, "chat")
            else:
                code = await refused_code(approvals.approve(tenants.one[role], proposal.id, "chat"))
                assert code == "approval_not_allowed"
                assert (await approvals.get(tenants.one[Role.ADMIN], proposal.id)).state is ProposalState.PENDING
            assert len(witness.writes_of(dial)) == int(allowed)


async def test_a_role_lost_since_login_does_not_approve(
    approvals: Approvals, tenants: Tenants, witness: Witness, propose: Propose, database: Database
) -> None:
    proposal = await propose()
    was_director = tenants.one[Role.DIRETOR]  # the session still says Diretor
    async with database.tenant(tenants.one.id) as conn:
        await conn.execute("UPDATE users SET role = 'Comercial' WHERE id = %s", [was_director.user_id])

    assert await refused_code(approvals.approve(was_director, proposal.id, "chat")) == "approval_not_allowed"
    assert witness.writes_of("volume") == []


async def test_a_user_switched_off_neither_approves_nor_rejects(
    approvals: Approvals, tenants: Tenants, propose: Propose, database: Database
) -> None:
    proposal = await propose(by=Role.ADMIN)
    async with database.tenant(tenants.one.id) as conn:
        await conn.execute("UPDATE users SET active = false WHERE id = %s", [tenants.one[Role.ADMIN].user_id])

    for attempt in (
        approvals.approve(tenants.one[Role.ADMIN], proposal.id, "chat"),
        approvals.reject(tenants.one[Role.ADMIN], proposal.id, "chat"),
    ):
        assert await refused_code(attempt) == "approval_not_allowed"


async def test_what_was_proposed_through_mcp_is_not_approved_through_mcp(
    approvals: Approvals, tenants: Tenants, witness: Witness, propose: Propose
) -> None:
    proposal = await propose(door="mcp", by=Role.ADMIN)

    assert await refused_code(approvals.approve(tenants.one[Role.ADMIN], proposal.id, "mcp")) == "proposal_same_door"
    assert witness.writes_of("volume") == []
    assert (await approvals.approve(tenants.one[Role.ADMIN], proposal.id, "terminal")).state is ProposalState.EXECUTED


async def test_an_edit_through_mcp_does_not_launder_its_door(
    approvals: Approvals, tenants: Tenants, propose: Propose
) -> None:
    proposal = await propose(door="chat", by=Role.ADMIN)
    edited = await approvals.edit(tenants.one[Role.ADMIN], proposal.id, {"to": "160"}, "mcp")

    assert edited.door == "mcp"
    assert await refused_code(approvals.approve(tenants.one[Role.ADMIN], edited.id, "mcp")) == "proposal_same_door"


async def test_a_yes_to_a_world_that_moved_on_fails_and_says_so(
    approvals: Approvals, tenants: Tenants, witness: Witness, propose: Propose
) -> None:
    proposal = await propose()
    witness.dials["volume"] = "777"  # somebody else turned it meanwhile

    done = await approvals.approve(tenants.one[Role.ADMIN], proposal.id, "chat")

    assert (done.state, done.outcome) == (ProposalState.FAILED, "proposal_world_differs")
    assert witness.writes_of("volume") == []


async def test_a_refused_write_fails_and_is_not_sent_again(
    approvals: Approvals, tenants: Tenants, witness: Witness, propose: Propose, clock: FixedClock
) -> None:
    proposal = await propose()
    witness.fail_writes_with = 400

    done = await approvals.approve(tenants.one[Role.ADMIN], proposal.id, "chat")
    clock.advance(timedelta(hours=1))
    await approvals.reconcile(tenants.one.id)

    assert (done.state, done.outcome) == (ProposalState.FAILED, "proposal_not_applied")
    assert witness.writes_of("volume") == []


async def test_a_write_whose_answer_was_lost_is_read_back_and_found_done(
    approvals: Approvals, tenants: Tenants, witness: Witness, propose: Propose
) -> None:
    proposal = await propose()
    witness.cut_after_writing = True

    done = await approvals.approve(tenants.one[Role.ADMIN], proposal.id, "chat")

    assert done.state is ProposalState.EXECUTED
    assert witness.writes_of("volume") == ["150"]


async def test_a_lost_answer_that_cannot_be_read_back_is_unknown_until_it_can(
    approvals: Approvals, tenants: Tenants, witness: Witness, propose: Propose, clock: FixedClock
) -> None:
    proposal = await propose()

    def go_dark(point: str) -> None:
        if point == "done":
            witness.refuse_looks_with = 503

    witness.at, witness.cut_after_writing = go_dark, True
    done = await approvals.approve(tenants.one[Role.ADMIN], proposal.id, "chat")
    assert (done.state, done.outcome) == (ProposalState.UNKNOWN, "outcome_unknown")

    clock.advance(timedelta(minutes=5))
    assert await approvals.reconcile(tenants.one.id) == 0  # still dark: still unknown, nothing sent
    witness.refuse_looks_with = None
    assert await approvals.reconcile(tenants.one.id) == 1

    assert (await approvals.get(tenants.one[Role.ADMIN], proposal.id)).state is ProposalState.EXECUTED
    assert witness.writes_of("volume") == ["150"]


async def test_an_unseen_write_is_not_sent_again_before_its_lease_is_over_and_once_after(
    approvals: Approvals, tenants: Tenants, witness: Witness, propose: Propose, clock: FixedClock
) -> None:
    proposal = await propose()
    witness.fail_writes_with = 418  # the handler breaks: nobody knows what happened

    done = await approvals.approve(tenants.one[Role.ADMIN], proposal.id, "chat")
    assert done.state is ProposalState.UNKNOWN
    witness.fail_writes_with = None
    clock.advance(timedelta(seconds=10))
    await approvals.reconcile(tenants.one.id)
    assert witness.writes_of("volume") == []

    clock.advance(timedelta(seconds=30))
    await approvals.reconcile(tenants.one.id)
    settled = await approvals.get(tenants.one[Role.ADMIN], proposal.id)
    assert (settled.state, settled.attempts) == (ProposalState.EXECUTED, 2)
    assert witness.writes_of("volume") == ["150"]


async def test_after_a_long_outage_a_write_that_left_no_trace_is_not_sent_again(
    approvals: Approvals, tenants: Tenants, witness: Witness, propose: Propose, clock: FixedClock
) -> None:
    proposal = await propose()
    witness.fail_writes_with = 418
    await approvals.approve(tenants.one[Role.ADMIN], proposal.id, "chat")
    witness.fail_writes_with = None
    clock.advance(timedelta(minutes=16))  # well within the proposal's 24 hours, but nobody is watching any more
    await approvals.reconcile(tenants.one.id)

    settled = await approvals.get(tenants.one[Role.ADMIN], proposal.id)
    assert (settled.state, settled.outcome, settled.attempts) == (ProposalState.FAILED, "proposal_not_applied", 1)
    assert witness.writes_of("volume") == []


async def test_a_token_that_expires_before_the_look_is_no_bug_and_the_outcome_stays_unknown(
    approvals: Approvals, tenants: Tenants, witness: Witness, propose: Propose, clock: FixedClock
) -> None:
    proposal = await propose()

    def expire(point: str) -> None:
        if point == "done":
            witness.refuse_looks_with = 401

    witness.at, witness.cut_after_writing = expire, True
    with capture_logs() as logs:
        done = await approvals.approve(tenants.one[Role.ADMIN], proposal.id, "chat")
    assert done.state is ProposalState.UNKNOWN
    assert [(one["event"], one["log_level"], one["code"]) for one in logs] == [
        ("proposal_not_seen", "warning", "meta_token_expired")
    ]
    witness.refuse_looks_with = None
    clock.advance(timedelta(minutes=1))
    await approvals.reconcile(tenants.one.id)
    assert (await approvals.get(tenants.one[Role.ADMIN], proposal.id)).state is ProposalState.EXECUTED


async def test_after_some_attempts_that_left_no_trace_it_gives_up(
    approvals: Approvals, tenants: Tenants, witness: Witness, propose: Propose, clock: FixedClock
) -> None:
    proposal = await propose()
    witness.fail_writes_with = 418
    await approvals.approve(tenants.one[Role.ADMIN], proposal.id, "chat")
    for _ in range(ATTEMPTS + 1):
        clock.advance(timedelta(minutes=1))
        await approvals.reconcile(tenants.one.id)

    settled = await approvals.get(tenants.one[Role.ADMIN], proposal.id)
    assert (settled.state, settled.outcome) == (ProposalState.FAILED, "proposal_not_applied")
    assert settled.attempts == ATTEMPTS


async def test_a_second_attempt_needs_an_approver_who_still_may(
    approvals: Approvals,
    tenants: Tenants,
    witness: Witness,
    propose: Propose,
    clock: FixedClock,
    database: Database,
) -> None:
    proposal = await propose()
    witness.fail_writes_with = 418
    await approvals.approve(tenants.one[Role.DIRETOR], proposal.id, "chat")
    witness.fail_writes_with = None
    async with database.tenant(tenants.one.id) as conn:
        await conn.execute("UPDATE users SET active = false WHERE id = %s", [tenants.one[Role.DIRETOR].user_id])
    clock.advance(timedelta(minutes=1))
    await approvals.reconcile(tenants.one.id)

    settled = await approvals.get(tenants.one[Role.ADMIN], proposal.id)
    assert (settled.state, settled.outcome) == (ProposalState.FAILED, "approval_not_allowed")
    assert witness.writes_of("volume") == []


async def test_a_lost_write_found_as_something_else_is_told_and_left_alone(
    approvals: Approvals, tenants: Tenants, witness: Witness, propose: Propose, clock: FixedClock
) -> None:
    proposal = await propose()
    witness.fail_writes_with = 418
    await approvals.approve(tenants.one[Role.ADMIN], proposal.id, "chat")
    witness.fail_writes_with, witness.dials["volume"] = None, "42"
    clock.advance(timedelta(minutes=1))
    await approvals.reconcile(tenants.one.id)

    settled = await approvals.get(tenants.one[Role.ADMIN], proposal.id)
    assert (settled.state, settled.outcome) == (ProposalState.FAILED, "proposal_world_differs")
    assert witness.writes_of("volume") == []


async def test_stopping_the_caller_does_not_tear_a_write(
    approvals: Approvals, tenants: Tenants, witness: Witness, propose: Propose
) -> None:
    proposal = await propose()
    approving: asyncio.Task[object] | None = None
    loop = asyncio.get_running_loop()

    def stop(point: str) -> None:
        if point == "received" and approving is not None:
            loop.call_soon_threadsafe(approving.cancel)

    witness.at = stop
    approving = asyncio.create_task(approvals.approve(tenants.one[Role.ADMIN], proposal.id, "chat"))
    with pytest.raises(asyncio.CancelledError):
        await approving
    await approvals.close()

    assert (await approvals.get(tenants.one[Role.ADMIN], proposal.id)).state is ProposalState.EXECUTED
    assert witness.writes_of("volume") == ["150"]


async def test_an_undo_is_a_proposal_of_its_own_and_puts_the_world_back(
    approvals: Approvals, tenants: Tenants, witness: Witness, propose: Propose
) -> None:
    proposal = await propose()
    assert await refused_code(approvals.undo(tenants.one[Role.ADMIN], proposal.id, "chat")) == "undo_not_executed"
    await approvals.approve(tenants.one[Role.ADMIN], proposal.id, "chat")

    undo = await approvals.undo(tenants.one[Role.ADMIN], proposal.id, "chat")
    assert (undo.state, undo.undo_of) == (ProposalState.PENDING, proposal.id)
    assert witness.writes_of("volume") == ["150"]
    await approvals.approve(tenants.one[Role.ADMIN], undo.id, "chat")

    assert witness.writes_of("volume") == ["150", "100"]


async def test_what_has_no_way_back_cannot_be_undone(approvals: Approvals, tenants: Tenants, propose: Propose) -> None:
    proposal = await propose("one-way")
    await approvals.approve(tenants.one[Role.ADMIN], proposal.id, "chat")
    assert await refused_code(approvals.undo(tenants.one[Role.ADMIN], proposal.id, "chat")) == "undo_impossible"


async def test_an_edit_makes_a_new_proposal_and_voids_the_old(
    approvals: Approvals, tenants: Tenants, witness: Witness, propose: Propose
) -> None:
    proposal = await propose()
    edited = await approvals.edit(tenants.one[Role.DIRETOR], proposal.id, {"to": "120"}, "chat")

    assert edited.id != proposal.id
    assert await refused_code(approvals.approve(tenants.one[Role.ADMIN], proposal.id, "chat")) == "proposal_decided"
    old = await approvals.get(tenants.one[Role.ADMIN], proposal.id)
    assert (old.state, old.outcome) == (ProposalState.REJECTED, "proposal_replaced")
    await approvals.approve(tenants.one[Role.ADMIN], edited.id, "chat")
    assert witness.writes_of("volume") == ["120"]


async def test_an_edit_beyond_the_policy_or_of_nonsense_changes_nothing(
    approvals: Approvals, tenants: Tenants, propose: Propose
) -> None:
    proposal = await propose()
    code = await refused_code(approvals.edit(tenants.one[Role.ADMIN], proposal.id, {"to": "1000"}, "chat"))
    assert code == "policy_forbids"
    with pytest.raises(ArgumentsWrong):
        await approvals.edit(tenants.one[Role.ADMIN], proposal.id, {"to": "muito"}, "chat")
    assert (await approvals.get(tenants.one[Role.ADMIN], proposal.id)).state is ProposalState.PENDING


async def test_proposing_the_same_again_gives_the_proposal_that_waits(propose: Propose) -> None:
    first, second = await asyncio.gather(propose(), propose())
    assert first.id == second.id


async def test_a_newer_proposal_for_the_same_object_replaces_the_older(
    approvals: Approvals, tenants: Tenants, propose: Propose
) -> None:
    first = await propose(to="150")
    other_conversation = await propose(to="150", conversation="conv_2")
    second = await propose(to="120")

    pending = await approvals.list(tenants.one[Role.ADMIN], state=ProposalState.PENDING)
    assert [one.id for one in pending] == [second.id, other_conversation.id]
    assert (await approvals.get(tenants.one[Role.ADMIN], first.id)).outcome == "proposal_replaced"


async def test_a_rejected_proposal_is_final(
    approvals: Approvals, tenants: Tenants, witness: Witness, propose: Propose
) -> None:
    proposal = await propose(by=Role.COMERCIAL)
    rejected = await approvals.reject(tenants.one[Role.COMERCIAL], proposal.id, "chat")  # its own proposer may

    assert rejected.state is ProposalState.REJECTED
    assert await refused_code(approvals.approve(tenants.one[Role.ADMIN], proposal.id, "chat")) == "proposal_decided"
    assert await refused_code(approvals.reject(tenants.one[Role.ADMIN], proposal.id, "chat")) == "proposal_decided"
    assert witness.writes_of("volume") == []


async def test_who_sees_only_own_proposals_sees_only_those(
    approvals: Approvals, tenants: Tenants, propose: Propose
) -> None:
    mine = await propose("a", by=Role.CLIENTE)
    theirs = await propose("b", by=Role.ADMIN)

    assert [one.id for one in await approvals.list(tenants.one[Role.CLIENTE])] == [mine.id]
    assert await refused_code(approvals.get(tenants.one[Role.CLIENTE], theirs.id)) == "proposal_unknown"
    assert len(await approvals.list(tenants.one[Role.ADMIN])) == 2


async def test_an_approval_that_nobody_began_in_time_is_not_acted_on(
    approvals: Approvals, tenants: Tenants, witness: Witness, propose: Propose, clock: FixedClock, database: Database
) -> None:
    soon, late = await propose("soon"), await propose("late")
    async with database.tenant(tenants.one.id) as conn:  # as a process leaves it that is killed after the yes
        await conn.execute(
            "UPDATE proposals SET state = 'approved', decided_by = %s, decided_at = %s",
            [tenants.one[Role.ADMIN].user_id, clock.now()],
        )
    clock.advance(timedelta(minutes=1))
    async with database.tenant(tenants.one.id) as conn:
        old = clock.now() - timedelta(minutes=20)
        await conn.execute("UPDATE proposals SET decided_at = %s WHERE id = %s", [old, late.id])
    await approvals.reconcile(tenants.one.id)

    assert (await approvals.get(tenants.one[Role.ADMIN], soon.id)).state is ProposalState.EXECUTED
    given_up = await approvals.get(tenants.one[Role.ADMIN], late.id)
    assert (given_up.state, given_up.outcome) == (ProposalState.FAILED, "proposal_too_late")
    assert witness.writes_of("late") == []


async def test_a_change_whose_own_effect_is_stronger_than_its_tool_says_counts_as_the_stronger(
    approvals: Approvals, tenants: Tenants
) -> None:
    change = turn_dial("volume", "100", "150", effect="SPEND")
    proposal = await approvals.create(tenants.one[Role.ADMIN], change, tool="t", effect="WRITE", door="chat")
    assert proposal.effect == "SPEND"


async def test_an_edited_undo_is_no_undo_any_more_and_the_policy_is_asked_about_it(
    approvals: Approvals, tenants: Tenants, propose: Propose
) -> None:
    proposal = await propose()
    await approvals.approve(tenants.one[Role.ADMIN], proposal.id, "chat")
    undo = await approvals.undo(tenants.one[Role.ADMIN], proposal.id, "chat")
    edited = await approvals.edit(tenants.one[Role.ADMIN], undo.id, {"to": "130"}, "chat")

    assert (undo.tool, edited.tool, edited.undo_of) == ("undo", "edited_undo", None)
    code = await refused_code(approvals.edit(tenants.one[Role.ADMIN], edited.id, {"to": "1000"}, "chat"))
    assert code == "policy_forbids"


async def test_what_was_only_proposed_about_an_erased_object_is_deleted_and_what_was_done_stays(
    approvals: Approvals, tenants: Tenants, propose: Propose, witness: Witness
) -> None:
    done = await propose(to="120")
    await approvals.approve(tenants.one[Role.ADMIN], done.id, door="chat")
    waiting = await propose(to="150")
    assert waiting.change.target == done.change.target
    assert await approvals.forget(tenants.other.id, [done.change.target]) == 0
    assert await approvals.forget(tenants.one.id, [done.change.target]) == 1
    left = await approvals.list(tenants.one[Role.ADMIN])
    assert [(one.id, one.state, one.preview.lines) for one in left] == [(done.id, ProposalState.EXECUTED, [])]
