"""The first message to a lead: shown whole, edited, checked again, and never sent while there is no way to."""

from collections.abc import Sequence
from datetime import date

import pytest

from business.approvals.model import Change, ProposalState
from business.approvals.service import Approvals
from business.prospecting.contact import FirstContactHandler, plan_first_contact, simulated, whole_text
from business.prospecting.lessons import Said
from business.prospecting.score import Verdict
from business.prospecting.searches import CandidateState
from core.db import Database
from core.errors import ArgumentsWrong, Refused
from core.permissions import Permissions
from core.tenancy import Role
from tests.business.prospecting.conftest import Desk

REGISTRY = "https://minhareceita.org/11222333000181"


def message(candidate: str = "cand_1", company: str = "com_1", text: str = "Olá!", reference: str = REGISTRY) -> Change:
    return plan_first_contact(
        company_id=company, candidate_id=candidate, name="Ipê Arquitetura", channel="phone", to="1932324455",
        keys=[("phone", "1932324455"), ("email", "oi@ipe.example")], text=text, notice="Somos … responda SAIR",
        known_from="registry", known_on=date(2026, 11, 20), reference=reference,
    )  # fmt: skip


async def nobody(tenant_id: str, keys: Sequence[tuple[str, str]]) -> bool:
    return False


async def allowed(tenant_id: str, tool: str, effect: str, change: Change) -> None:
    """A policy that lets everything be proposed."""


async def test_a_yes_is_refused_and_the_message_stays_pending_to_be_edited_and_refused(
    desk: Desk, database: Database, permissions: Permissions
) -> None:
    handler = FirstContactHandler(database, nobody)
    approvals = Approvals(database, permissions, desk.clock, {handler.kind: handler}, check=allowed)
    who, seller = desk.tenants.one[Role.DIRETOR], desk.tenants.one[Role.COMERCIAL]
    made = await approvals.create(who, message(), tool="draft_first_message", effect="SEND", door="chat")
    shown = dict(made.preview.lines)
    assert shown["first_contact.to"] == "(19) 3232-4455" and shown["first_contact.text"] == "Olá!"
    assert shown["first_contact.notice"] == "Somos … responda SAIR"
    assert ("first_contact.no_door", {}) in made.preview.warnings
    with pytest.raises(Refused) as caught:
        await approvals.approve(who, made.id, "chat")
    assert caught.value.code == "no_door_to_send"
    assert (await approvals.get(who, made.id)).state is ProposalState.PENDING
    with pytest.raises(Refused) as caught:  # who may not approve is not told of doors
        await approvals.approve(seller, made.id, "chat")
    assert caught.value.code in ("approval_not_allowed", "proposal_unknown")
    edited = await approvals.edit(who, made.id, {"text": "Bom dia!"}, "chat")
    assert whole_text(edited.change) == "Bom dia!\n\nSomos … responda SAIR"  # the notice is nobody's to edit away
    for wrong in ({"notice": ""}, {"text": " "}, {"text": "x" * 1_001}):
        with pytest.raises(ArgumentsWrong):
            await approvals.edit(who, edited.id, wrong, "chat")
    rejected = await approvals.reject(who, edited.id, "chat")
    assert rejected.state is ProposalState.REJECTED
    assert await approvals.reconcile(who.tenant_id) == 0


async def test_before_a_message_leaves_the_company_is_looked_at_again(desk: Desk, database: Database) -> None:
    blocked: set[str] = set()

    async def is_blocked(tenant_id: str, keys: Sequence[tuple[str, str]]) -> bool:
        return bool(blocked & {given for _, given in keys})

    async def why(change: Change) -> str:
        try:
            await handler.recheck(who.tenant_id, change)
        except Refused as refused:
            return refused.code
        return "fine"

    handler = FirstContactHandler(database, is_blocked)
    who = desk.tenants.one[Role.DIRETOR]
    done = await desk.asked("ache 2 escritórios de arquitetura em Campinas com mais de 3 anos")
    one, other = await desk.searches.candidates(who, done.id, verdict=Verdict.QUALIFIED)
    for each in (one, other):
        await desk.searches.mark(who, each.id, CandidateState.SAVED, company_id=f"com_{each.id}", outcome="created")
    change = message(one.id, f"com_{one.id}")
    assert await why(change) == "no_door_to_send"  # nothing else is against it
    assert await why(message(one.id, f"com_{one.id}", reference="http://127.0.0.1:4001/1")) == "sandbox_never_sends"
    assert await why(message(one.id, "com_of_another")) == "lead_gone"
    blocked.add("oi@ipe.example")
    assert await why(change) == "lead_blocked"
    blocked.clear()
    await desk.searches.say(who, other.id, Said.LOST)
    assert await why(message(other.id, f"com_{other.id}")) == "lead_gone"
    assert one.cnpj is not None
    await desk.searches.forget(who, one.cnpj)
    assert await why(change) == "lead_gone"
    with pytest.raises(Refused):
        await handler.apply(who.tenant_id, change)
    assert simulated("http://localhost:9/x") and not simulated(REGISTRY)
