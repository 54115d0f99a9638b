"""Which proposal a person means in words."""

from datetime import UTC, datetime

import pytest

from agents.talk import _named
from business.approvals.model import Change, Preview, Proposal, ProposalState

NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)


def proposal_for(name: str) -> Proposal:
    change = Change("ads_change", name, {"action": "status", "name": name})
    return Proposal(
        id=f"prop_{name}",
        tenant_id="ten_1",
        conversation_id="conv_1",
        turn_id=None,
        tool="pause_ad_object",
        effect="WRITE",
        change=change,
        change_hash="",
        preview=Preview("", []),
        evidence=[],
        state=ProposalState.EXECUTED,
        door="chat",
        proposed_by="user_1",
        created_at=NOW,
        expires_at=NOW,
    )


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("desfaz o aumento da Remarketing", ["[VENDAS] Remarketing | Carrinho"]),
        ("desfaz a da prospeccao", ["[VENDAS] Prospecção | Primavera"]),
        ("desfaz as vendas", []),  # a word of both names tells nothing
        ("desfaz", []),
    ],
)
def test_a_proposal_is_meant_by_a_word_that_only_its_object_has(text: str, meant: list[str]) -> None:
    both = [proposal_for("[VENDAS] Remarketing | Carrinho"), proposal_for("[VENDAS] Prospecção | Primavera")]
    assert [one.change.data["name"] for one in _named(both, text)] == meant
