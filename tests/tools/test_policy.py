"""The house's rules, what a tenant may tighten, and what nobody may loosen."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from business.approvals.model import Change
from core.errors import Refused, SetupError
from tools.policy import Decision, load_policy
from tools.spec import Effect


def budget(before: str, after: str, currency: str = "BRL", kind: str = "daily") -> Change:
    def money(amount: str) -> dict[str, str]:
        return {"amount": amount, "currency": currency}

    return Change(
        "ads_change", "1", {"action": "budget", "budget": kind, "before": money(before), "after": money(after)}
    )


def test_only_looking_and_drafting_run_alone() -> None:
    policy = load_policy()
    alone = [effect for effect in Effect if policy.decision("any", effect) is Decision.RUN]
    assert alone == [Effect.READ, Effect.DRAFT]


@pytest.mark.parametrize(
    "text",
    ["", "effects: {READ: run}", "effects: [", "nonsense: 1"]
    + [
        f"effects: {{READ: run, DRAFT: run, WRITE: {w}, SEND: {s}, SPEND: {p}}}\ncaps: {{budget_raise_percent: 100}}"
        for w, s, p in [("run", "propose", "propose"), ("propose", "run", "propose"), ("propose", "propose", "run")]
    ],
)
def test_a_broken_or_reckless_file_is_one_clear_refusal(tmp_path: Path, text: str) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SetupError) as caught:
        load_policy(file)
    assert caught.value.code == "policy_broken"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (budget("100", "200"), None),
        (budget("100", "200.01"), "cap_raise"),
        (budget("4000", "5000"), None),
        (budget("4000", "5000.01"), "cap_budget"),
        (budget("9000", "8000"), None),  # lowering is never capped
        (budget("60000", "100000", kind="lifetime"), None),
        (budget("60000", "100001", kind="lifetime"), "cap_budget"),
        (budget("10", "11", currency="SEK"), "cap_not_set"),
        (Change("ads_change", "1", {"action": "status", "before": "ACTIVE", "after": "PAUSED"}), None),
    ],
)
def test_a_budget_rises_no_further_than_its_caps(change: Change, code: str | None) -> None:
    if code is None:
        load_policy().check("set_ads_budget", "SPEND", change)
        return
    with pytest.raises(Refused) as caught:
        load_policy().check("set_ads_budget", "SPEND", change)
    assert caught.value.code == code


def test_an_undo_may_go_back_to_what_was_however_far() -> None:
    load_policy().check("undo", "SPEND", budget("100", "5500"))


def test_a_tenant_tightens_and_never_loosens() -> None:
    own: dict[str, Any] = {
        "effects": {"WRITE": "never", "SPEND": "run"},
        "tools": {"resume_ad_object": "never"},
        "caps": {"budget_raise_percent": "20", "daily_budget": {"BRL": "300", "USD": "999999", "SEK": "50"}},
    }
    policy = load_policy().tightened(own)

    assert policy.decision("pause_ad_object", "WRITE") is Decision.NEVER
    assert policy.decision("set_ads_budget", "SPEND") is Decision.PROPOSE
    assert policy.decision("resume_ad_object", "SPEND") is Decision.NEVER
    assert policy.caps.budget_raise_percent == 20
    assert policy.caps.daily_budget["BRL"] == 300
    assert policy.caps.daily_budget["USD"] == load_policy().caps.daily_budget["USD"]
    assert policy.caps.daily_budget["SEK"] == Decimal(50)
