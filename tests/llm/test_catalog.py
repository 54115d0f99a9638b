"""The catalog names only what exists and says clearly what is wrong with it; a user changes it without code."""

from decimal import Decimal
from pathlib import Path

import pytest
from genai_prices.data_snapshot import get_snapshot

from core.errors import SetupError
from evals.stand_in import Answer
from llm.catalog import Catalog, Price, load_catalog
from tests.llm.conftest import MakeRouter, Serve, new_turn, question

ALL = {"openai", "anthropic", "google"}
# Section 2.4 of the product's plan, in its order.
AGENTS = [
    *("hunter_linkedin", "hunter_google", "hunter_social", "lead_qualifier"),
    *("sdr_whatsapp", "sdr_linkedin", "sdr_email", "content_writer", "image_creator"),
    *("trend_analyzer", "news_curator", "competitor_watcher"),
    *("budget_calculator", "contract_drafter", "report_generator"),
]
HELPERS = ["judge", "memory_extraction", "transcription", "vision", "embeddings"]


# --- what is shipped ------------------------------------------------------------------------------


def test_every_agent_of_the_plan_has_a_role_and_those_that_have_code_are_told_apart() -> None:
    plans = load_catalog().describe(ALL)
    assert [plan.role for plan in plans] == ["ads_analyst", "router", "crm", *AGENTS, *HELPERS]
    assert [plan.role for plan in plans if not plan.planned] == [
        "ads_analyst",
        "router",
        "crm",
        "hunter_linkedin",
        "hunter_google",
        "hunter_social",
        "lead_qualifier",
        "sdr_whatsapp",
        "transcription",
        "vision",
    ]


def test_the_roles_that_have_code_are_those_that_the_code_asks_for() -> None:
    root = Path(__file__).parents[2]
    code = "".join(
        path.read_text(encoding="utf-8")
        for folder in ("agents", "crews", "evals", "business", "tools", "memory")
        for path in sorted((root / folder).rglob("*.py"))
    )
    for plan in load_catalog().describe(ALL):
        asked_for = f'ROLE = "{plan.role}"' in code or f'role="{plan.role}"' in code
        assert asked_for != plan.planned, plan.role


def test_every_chain_goes_over_all_providers_that_have_such_a_model() -> None:
    for plan in load_catalog(compatible_model="llama").describe(ALL | {"compatible"}):
        providers = [model.provider for model in plan.models]
        assert len(set(providers)) == len(providers), plan.role
        if plan.tier in ("images", "audio", "embeddings"):
            assert set(providers) == {"openai", "google"}, plan.role
        else:
            assert set(providers) >= ALL, plan.role


def test_every_model_is_known_to_the_price_list_with_the_same_window() -> None:
    catalog = load_catalog()
    models = [model for provider in sorted(ALL) for model in catalog.models_of(provider)]
    assert len(models) == 11
    for model in models:
        _, listed = get_snapshot().find_provider_model(model.name, None, model.provider, None)
        assert not listed.deprecated, model.ref
        assert model.context_window == (listed.context_window or 32_000), model.ref


# --- which link serves ----------------------------------------------------------------------------


def test_links_without_a_key_are_left_out_and_doctor_says_which_setting_they_lack() -> None:
    plans = {plan.role: plan for plan in load_catalog().describe({"google"})}
    analyst = plans["ads_analyst"]
    assert [model.ref for model in analyst.models] == ["google/gemini-3.8-flash"]
    assert analyst.left_out == {
        "compatible/*": "MUTIRAO_COMPATIBLE_MODEL",
        "anthropic/claude-sonnet-4-6": "ANTHROPIC_API_KEY",
        "openai/gpt-5.6-terra": "OPENAI_API_KEY",
    }


def test_a_server_of_ones_own_comes_first() -> None:
    chain = load_catalog(compatible_model="llama3.3").chain("ads_analyst", {"compatible", "openai"})
    assert [model.ref for model in chain] == ["compatible/llama3.3", "openai/gpt-5.6-terra"]


@pytest.mark.parametrize("forced", ["openai/gpt-5.6-luna", "compatible/hand", "anthropic/not-in-the-file"])
def test_a_forced_model_stands_alone_in_every_chain_that_asks_for_text(forced: str) -> None:
    plans = load_catalog(forced=forced).describe(ALL | {"compatible"})
    for plan in plans:
        made_of_text = plan.tier not in ("images", "audio", "embeddings")
        sees = plan.role != "vision" or not forced.startswith("compatible")
        assert [model.ref for model in plan.models] == ([forced] if made_of_text and sees else []), plan.role
    assert next(plan.unfit for plan in plans if plan.role == "image_creator") == {forced: ["images"]}


def test_offline_forces_the_playbooks_whatever_keys_there_are() -> None:
    catalog = load_catalog(forced="offline", compatible_model="llama")
    assert not any(catalog.chain(role, ALL | {"compatible"}) for role in catalog.roles)


@pytest.mark.parametrize("forced", ["gpt-5.6-luna", "openai/", "mistral/large"])
def test_a_forced_model_of_no_known_provider_is_refused(forced: str) -> None:
    with pytest.raises(SetupError) as refused:
        load_catalog(forced=forced)
    assert refused.value.code == "model_unknown_provider"
    assert refused.value.params["model"] == forced


# --- what is wrong with the file ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ('tier = "reasoning"', 'tier = "enormous"', "roles.ads_analyst.tier"),
        ("context_window = 8_192", "context_window = 12", "models.openai/text-embedding-3-small.context_window"),
        ('"openai/gpt-5.6-terra", "google', '"openai/gpt-9", "google', "roles.ads_analyst.chain"),
        ('"openai/gpt-5.6-terra", "google', '"compatible/*", "google', "roles.ads_analyst.chain"),
        ("[providers.google]", "[providers.googol]", "providers"),
        ("[roles.judge]", "[roles.judge", "file"),
        ('[models."openai/gpt-transcribe"]', '[models."openai"]', "models.openai"),
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


# --- the overlay ----------------------------------------------------------------------------------


def overlaid(folder: Path, text: str, **chosen: str) -> Catalog:
    path = folder / "catalog.toml"
    path.write_text(text, encoding="utf-8")
    return load_catalog(overlay=path, **chosen)


async def test_changing_one_roles_model_in_the_data_folder_sends_its_requests_there_and_no_others(
    tmp_path: Path, serve: Serve, make_router: MakeRouter
) -> None:
    (tmp_path / "catalog.toml").write_text(
        '[roles.ads_analyst]\nchain = ["openai/gpt-6.1-next"]\n'
        '[models."openai/gpt-6.1-next"]\ntitle = "GPT 6.1 Next"\ncontext_window = 400_000\n'
        'abilities = ["tools", "streaming"]\n',
        encoding="utf-8",
    )
    anthropic, openai = serve(), serve(Answer("ok"), Answer('{"to": "ads"}'))
    router = make_router(anthropic=anthropic, openai=openai, data_dir=tmp_path)
    await router.complete(new_turn(), question(), playbook=None)
    await router.complete(
        new_turn(), question(role="router", tools=[], response_schema={"type": "object"}), playbook=None
    )
    assert [seen.model for seen in openai.seen] == ["gpt-6.1-next", "gpt-6-luna"]
    assert anthropic.seen == []


def test_a_key_of_the_overlay_takes_the_place_of_ours_and_the_rest_stays(tmp_path: Path) -> None:
    catalog = overlaid(
        tmp_path,
        '[roles.router]\nchain = ["google/gemini-3.5-flash-lite"]\n'
        '[models."google/gemini-3.5-flash-lite"]\neffort = "high"\nweak_in = ["es"]\n',
    )
    [model] = catalog.chain("router", ALL)
    assert (model.effort, model.weak_in) == ("high", {"es"})
    assert (model.title, model.context_window) == ("Gemini 3.5 Flash-Lite", 1_000_000)
    assert [plan.tier for plan in catalog.describe(ALL) if plan.role == "router"] == ["classification"]
    assert catalog.chain("ads_analyst", ALL) == load_catalog().chain("ads_analyst", ALL)
    assert catalog.overlay == tmp_path / "catalog.toml"
    assert catalog.changed == [
        "roles.router.chain",
        "models.google/gemini-3.5-flash-lite.effort",
        "models.google/gemini-3.5-flash-lite.weak_in",
    ]


def test_no_overlay_changes_nothing_and_neither_does_an_empty_one(tmp_path: Path) -> None:
    assert load_catalog(overlay=tmp_path / "catalog.toml").overlay is None
    assert overlaid(tmp_path, "# nothing yet\n").overlay is None


def test_a_model_of_ones_own_server_is_described_in_the_overlay_and_may_stand_in_a_chain(tmp_path: Path) -> None:
    text = (
        '[models."compatible/qwen3"]\ntitle = "Qwen 3"\ncontext_window = 131_072\n'
        'abilities = ["tools", "streaming"]\n'
        '[roles.ads_analyst]\nchain = ["compatible/qwen3", "compatible/*"]\n'
    )
    chain = overlaid(tmp_path, text, compatible_model="llama").chain("ads_analyst", {"compatible"})
    assert [(model.ref, model.context_window) for model in chain] == [
        ("compatible/qwen3", 131_072),
        ("compatible/llama", 32_000),
    ]
    catalog = overlaid(tmp_path, text, compatible_model="qwen3")
    assert [model.ref for model in catalog.chain("ads_analyst", {"compatible"})] == ["compatible/qwen3"], "once"
    assert catalog.chain("news_curator", {"compatible"}) == [], "it has no structured output, which that role needs"
    assert [model.ref for model in catalog.chain("router", {"compatible"})] == ["compatible/qwen3"], "words will do"


def test_a_model_may_have_a_price_of_its_own(tmp_path: Path) -> None:
    text = (
        '[models."compatible/qwen3"]\ntitle = "Qwen 3"\nabilities = ["tools", "streaming"]\n'
        "usd_per_million = { input = 0.2, output = 0.8 }\n"
        '[models."openai/gpt-6-luna"]\nusd_per_million = { input = 1, output = 2, cached = 0.1 }\n'
    )
    catalog = overlaid(tmp_path, text, compatible_model="qwen3")
    own, luna = catalog.chain("router", {"compatible", "openai"})
    assert own.price == Price(Decimal("0.2"), Decimal("0.8"), Decimal("0.2")), "what is cached costs as new"
    assert luna.price == Price(Decimal(1), Decimal(2), Decimal("0.1"))
    assert all(model.price is None for model in load_catalog().chain("ads_analyst", ALL))


def test_an_overlay_written_on_windows_is_read(tmp_path: Path) -> None:
    path = tmp_path / "catalog.toml"
    path.write_bytes('\ufeff[roles.router]\r\nchain = ["openai/gpt-5.6-terra"]\r\n'.encode())
    assert [model.ref for model in load_catalog(overlay=path).chain("router", ALL)] == ["openai/gpt-5.6-terra"]


@pytest.mark.parametrize(
    ("text", "where", "reason"),
    [
        ("[roles.ads_analist]\nchain = []", "roles.ads_analist", "did you mean ads_analyst?"),
        ("[roles.router]\nchain = []", "roles.router.chain", "at least 1"),
        ('[roles.router]\nchains = ["x/y"]', "roles.router.chains", "Extra inputs"),
        ('[roles.router]\nchain = ["openai/gpt-9"]', "roles.router.chain", "openai/gpt-9 is not in [models]"),
        ('[roles.router]\nchain = ["openai/gpt-transcribe"]', "roles.router.chain", "lacks: streaming"),
        ('[models."openai/new"]\ntitle = "New"', "models.openai/new.abilities", "Field required"),
        ('[models."mistral/large"]\ntitle = "L"\nabilities = []', "models.mistral/large", "provider/model"),
        ('[providers.openai]\ntitle = "Mine"', "providers", "only [roles.…] and [models.…]"),
        (
            '[models."openai/gpt-6-luna"]\nusd_per_million = { input = -1, output = 2 }',
            "models.openai/gpt-6-luna.usd_per_million.input",
            "greater than or equal to 0",
        ),
        ("roles = 3", "roles", "must be a table"),
        ("[roles]\nrouter = 3", "roles.router", "must be a table"),
        ("[roles.router\n", "file", "at line 1"),
        ("\0", "file", "at line 1"),
    ],
)
def test_a_broken_overlay_is_named_with_its_key(text: str, where: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(SetupError) as refused:
        overlaid(tmp_path, text)
    assert refused.value.code == "catalog_broken"
    assert refused.value.params["file"] == str(tmp_path / "catalog.toml")
    assert refused.value.params["where"] == where
    assert reason in refused.value.params["reason"]


def test_an_overlay_that_is_no_text_is_said(tmp_path: Path) -> None:
    path = tmp_path / "catalog.toml"
    path.write_bytes("[roles.router]\nchain = []  # não".encode("latin-1"))
    with pytest.raises(SetupError, match=r"catalog\.toml: file: not a text in UTF-8"):
        load_catalog(overlay=path)


def test_the_examples_of_the_guide_are_right(tmp_path: Path) -> None:
    guide = (Path(__file__).parents[2] / "docs" / "guides" / "choose-models.md").read_text(encoding="utf-8")
    examples = [part.partition("```")[0] for part in guide.split("```toml\n")[1:]]
    assert len(examples) == 4
    for example in examples:
        assert overlaid(tmp_path, example).overlay is not None
