"""The catalog names only what exists, says clearly what is wrong with it, and knows what answers cost."""

from decimal import Decimal
from pathlib import Path

import pytest

from core.errors import SetupError
from llm.catalog import load_catalog, price_usd
from llm.messages import Usage

ALL = {"openai", "anthropic", "google"}


def test_every_model_of_the_shipped_catalog_has_a_price() -> None:
    catalog = load_catalog()
    for role in catalog.roles:
        models = catalog.chain(role, ALL)
        assert len(models) == 3
        for model in models:
            assert (price_usd(model, Usage(1_000, 1_000)) or 0) > 0, model.ref


def test_cached_tokens_cost_less_and_an_unknown_price_is_none() -> None:
    [model] = load_catalog().chain("ads_analyst", {"anthropic"})
    full, cached = price_usd(model, Usage(1_000, 0)), price_usd(model, Usage(1_000, 0, 900))
    assert full == Decimal("0.003")
    assert cached is not None
    assert cached < full
    [unknown] = load_catalog(forced="openai/not-a-model").chain("ads_analyst", ALL)
    assert price_usd(unknown, Usage(1_000, 1_000)) is None
    [own] = load_catalog(compatible_model="gpt-5.6-luna").chain("ads_analyst", {"compatible"})
    assert price_usd(own, Usage(1_000, 1_000)) is None, "a server of one's own has a price of its own"


def test_links_without_a_key_are_left_out_and_doctor_says_which_setting_they_lack() -> None:
    plans = {plan.role: plan for plan in load_catalog().describe({"google"})}
    analyst = plans["ads_analyst"]
    assert [model.ref for model in analyst.models] == ["google/gemini-3.8-flash"]
    assert analyst.left_out == {
        "compatible/*": "MUTIRAO_COMPATIBLE_MODEL",
        "anthropic/claude-sonnet-4-6": "ANTHROPIC_API_KEY",
        "openai/gpt-5.6-terra": "OPENAI_API_KEY",
    }
    assert set(plans) == {"ads_analyst", "router", "judge"}


def test_a_server_of_ones_own_comes_first() -> None:
    chain = load_catalog(compatible_model="llama3.3").chain("ads_analyst", {"compatible", "openai"})
    assert [model.ref for model in chain] == ["compatible/llama3.3", "openai/gpt-5.6-terra"]


@pytest.mark.parametrize("forced", ["openai/gpt-5.6-luna", "compatible/hand"])
def test_a_forced_model_stands_alone_in_every_chain(forced: str) -> None:
    catalog = load_catalog(forced=forced)
    assert {tuple(m.ref for m in catalog.chain(role, ALL | {"compatible"})) for role in catalog.roles} == {(forced,)}


def test_offline_forces_the_playbooks_whatever_keys_there_are() -> None:
    catalog = load_catalog(forced="offline", compatible_model="llama")
    assert [catalog.chain(role, ALL | {"compatible"}) for role in catalog.roles] == [[], [], []]


@pytest.mark.parametrize("forced", ["gpt-5.6-luna", "openai/", "mistral/large"])
def test_a_forced_model_of_no_known_provider_is_refused(forced: str) -> None:
    with pytest.raises(SetupError) as refused:
        load_catalog(forced=forced)
    assert refused.value.code == "model_unknown_provider"
    assert refused.value.params["model"] == forced


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ('tier = "strong"', 'tier = "enormous"', "roles.ads_analyst.tier"),
        ("context_window = 200_000", "context_window = 12", "models.anthropic/claude-haiku-4-5.context_window"),
        ('"openai/gpt-5.6-terra", "google', '"openai/gpt-9", "google', "roles.ads_analyst.chain"),
        ("[providers.google]", "[providers.googol]", "providers"),
        ("[roles.judge]", "[roles.judge", "file"),
        (
            'title = "Claude Sonnet 4.6"',
            'title = "Claude Sonnet 4.6"\nprice = 3',
            "models.anthropic/claude-sonnet-4-6.price",
        ),
        ('needs = ["tools"]', 'needs = ["temperature"]', "roles.ads_analyst.chain"),
    ],
)
def test_a_broken_catalog_says_where_and_why(old: str, new: str, where: str, tmp_path: Path) -> None:
    shipped = (Path(__file__).parents[2] / "llm" / "catalog.toml").read_text(encoding="utf-8")
    assert old in shipped
    broken = tmp_path / "catalog.toml"
    broken.write_text(shipped.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(SetupError) as refused:
        load_catalog(file=broken)
    assert refused.value.code == "catalog_broken"
    assert refused.value.params["where"] == where
    assert refused.value.params["reason"]


def test_a_missing_catalog_is_said(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"nothing\.toml: file: No such file"):
        load_catalog(file=tmp_path / "nothing.toml")
