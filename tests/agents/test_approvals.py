"""A proposal as its approver sees it: in their language, with nothing hidden. Control 5 of the reliability facts."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from agents.approvals import mixed_words, proposal_card, visible
from business.approvals.model import Change, Preview, Proposal, ProposalState
from core.money import Money
from prompts.texts import Texts

TEXTS = Texts.load()


def proposal(**changed: Any) -> Proposal:
    name = changed.pop("name", "Remarketing")
    preview = Preview(
        title="proposal.title.budget_raise",
        title_params={"name": name, "budget": Money(Decimal("1500"), "BRL")},
        lines=[
            ("proposal.line.campaign", name),
            ("proposal.line.daily_after", Money(Decimal("1500"), "BRL")),
            ("proposal.line.change", ("proposal.change_percent", {"percent": Decimal("25.0")})),
        ],
        editable={"amount": "1500.00"},
    )
    change = Change("ads_change", "1", {})
    whole = Proposal(
        id="prop_1",
        tenant_id="ten_1",
        conversation_id="conv_1",
        turn_id="turn_1",
        tool="set_ads_budget",
        effect="SPEND",
        change=change,
        change_hash=change.bound_hash("ten_1", "set_ads_budget", "SPEND"),
        preview=preview,
        evidence=[
            "rende bem",
            {
                "label": "finding.fact.link_ctr",
                "value": Decimal("0.54"),
                "unit": "percent",
                "since": date(2026, 11, 13),
                "until": date(2026, 11, 19),
            },
        ],
        state=ProposalState.PENDING,
        door="chat",
        proposed_by="user_1",
        created_at=datetime(2026, 11, 20, 15, tzinfo=UTC),
        expires_at=datetime(2026, 11, 21, 15, tzinfo=UTC),
    )
    return replace(whole, **changed)


def test_a_card_is_worded_in_the_language_and_zone_of_who_looks() -> None:
    card = proposal_card(proposal(), TEXTS, "pt-BR", "America/Sao_Paulo")
    english = proposal_card(proposal(), TEXTS, "en", "UTC")

    assert card.lines == [
        ("Campanha", "Remarketing"),
        ("Novo orçamento diário", "R$ 1.500,00"),
        ("Mudança", "+25,0%"),
    ]
    assert card.evidence == ["rende bem", "CTR de link: 0,54% (13/11/2026 a 19/11/2026)"]
    assert card.expires_at == "21/11/2026 12:00"
    assert english.lines[1][1] == "R$1,500.00" and english.expires_at == "Nov 21, 2026 15:00"
    assert card.editable == {"amount": "1500.00"} and card.outcome == ""


@pytest.mark.parametrize("state", [state for state in ProposalState if state is not ProposalState.PENDING])
def test_a_decided_card_says_how_it_ended_and_cannot_be_edited(state: ProposalState) -> None:
    outcome = {ProposalState.EXECUTED: "proposal_executed", ProposalState.FAILED: "proposal_not_applied"}.get(state, "")
    for language in ("pt-BR", "en", "es"):
        card = proposal_card(proposal(state=state, outcome=outcome), TEXTS, language, "America/Sao_Paulo")
        assert card.outcome and card.editable == {}
        assert TEXTS.say(language, f"proposal.state.{state.value}")


def test_a_reason_with_amounts_is_worded_too() -> None:
    params = {"asked": Money(Decimal(9000), "BRL"), "highest": Money(Decimal(5000), "BRL"), "kind": "daily"}
    failed = proposal(state=ProposalState.FAILED, outcome="cap_budget", outcome_params=params)
    assert "R$ 9.000,00" in proposal_card(failed, TEXTS, "pt-BR", "UTC").outcome


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("R$ 1\u200b50", "R$ 1‹U+200B›50"),  # zero width space
        ("R$ \u202e051", "R$ ‹U+202E›051"),  # the line runs backwards from here
        ("Natal\u00ad", "Natal‹U+00AD›"),
        ("A\u2066B", "A‹U+2066›B"),
        ("orçamento \u0661\u0665", "orçamento \u0661‹1›\u0665‹5›"),  # Arabic digits
        ("a\nAprovado: sim", "a ⏎ Aprovado: sim"),
        ("a\u0000b", "a‹U+0000›b"),
        ("\u3164", "‹U+3164›"),  # a letter that prints as nothing
        ("Coleção Ação ñ €", "Coleção Ação ñ €"),
        ("👩\u200d💻 ❤\ufe0f\u200d🔥", "👩\u200d💻 ❤\ufe0f\u200d🔥"),  # emoji are joined by an invisible letter
    ],
)
def test_what_prints_as_nothing_is_written_out(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_hidden_characters_and_look_alikes_are_warned_of() -> None:
    hidden = proposal_card(proposal(name="Remar\u200bketing"), TEXTS, "pt-BR", "UTC")
    alike = proposal_card(proposal(name="Rem\u0430rketing"), TEXTS, "pt-BR", "UTC")  # a Cyrillic а
    clean = proposal_card(proposal(), TEXTS, "pt-BR", "UTC")

    assert "‹U+200B›" in hidden.title and any("invisíveis" in warning for warning in hidden.warnings)
    assert any("Rem\u0430rketing" in warning for warning in alike.warnings)
    assert clean.warnings == []


def test_words_of_one_alphabet_are_not_mixed() -> None:
    assert mixed_words("Коллекция Moda Ελλάδα") == set()
    assert mixed_words("Nаtal") == {"Nаtal"}
