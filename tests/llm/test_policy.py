"""Which links are asked and in which order, and what answers cost."""

import time
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.money import Money
from core.settings import Settings
from llm import prices
from llm.catalog import Ability, Language, Model, Price, load_catalog
from llm.messages import Usage
from llm.policy import plan_links, prompt_tokens
from llm.prices import in_brl, price_usd, typical_usd
from tests.llm.conftest import TOOL, question

SCHEMA = {"type": "object", "properties": {"to": {"type": "string"}}}
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 60_000}}


def model(ref: str, *abilities: Ability, window: int = 100_000, weak_in: Language | None = None) -> Model:
    provider, _, name = ref.partition("/")
    weak: frozenset[Language] = frozenset() if weak_in is None else frozenset({weak_in})
    return Model(provider, name, name, window, frozenset(abilities), weak_in=weak)


def planned(chain: list[Model], language: str = "pt-BR", economy: bool = False, **asked: Any) -> list[str]:
    """The links' names in order, then what was passed over."""
    links, passed_over = plan_links(chain, question(**asked), language=language, economy=economy)
    return [link.ref for link in links] + passed_over


# --- abilities ------------------------------------------------------------------------------------

ABLE: dict[str, tuple[dict[str, Any], list[str]]] = {
    "words need nothing": ({"tools": []}, ["a/words", "a/tools", "a/schemas", "a/eyes"]),
    "tools need tools": (
        {"tools": [TOOL]},
        ["a/tools", "a/eyes", "a/words: no tools", "a/schemas: no tools"],
    ),
    "a schema needs structured output": (
        {"tools": [], "response_schema": SCHEMA},
        ["a/schemas", "a/words: no structured output", "a/tools: no structured output", "a/eyes: no structured output"],
    ),
    "a picture needs vision": (
        {"tools": [], "messages": [{"role": "user", "content": [{"type": "text", "text": "e isto?"}, PICTURE]}]},
        ["a/eyes", "a/words: no vision", "a/tools: no vision", "a/schemas: no vision"],
    ),
    "everything that is missing is said": (
        {"tools": [TOOL], "response_schema": SCHEMA},
        [
            "a/words: no tools, no structured output",
            "a/tools: no structured output",
            "a/schemas: no tools",
            "a/eyes: no structured output",
        ],
    ),
}


@pytest.mark.parametrize("case", ABLE)
def test_a_link_that_lacks_what_the_request_needs_is_not_asked_and_it_is_said_why(case: str) -> None:
    asked, expected = ABLE[case]
    chain = [model("a/words"), model("a/tools", "tools"), model("a/schemas", "structured")]
    assert planned([*chain, model("a/eyes", "tools", "vision")], **asked) == expected


# --- length ---------------------------------------------------------------------------------------


def test_a_prompt_is_a_token_for_every_three_characters_of_messages_calls_tools_and_schema() -> None:
    bare = question(tools=[], messages=[{"role": "user", "content": "ç" * 300}])
    assert prompt_tokens(bare) == 100
    called = {"id": "1", "type": "function", "function": {"name": "n" * 30, "arguments": "a" * 270}}
    spoken = [*bare.messages, {"role": "assistant", "content": None, "tool_calls": [called]}]
    assert prompt_tokens(replace(bare, messages=spoken)) == 200
    assert prompt_tokens(replace(bare, tools=[TOOL])) > 140
    assert prompt_tokens(replace(bare, response_schema=SCHEMA)) > 115


def test_a_picture_counts_as_a_picture_and_not_as_the_characters_that_carry_it() -> None:
    seen = question(tools=[], messages=[{"role": "user", "content": [{"type": "text", "text": "abc"}, PICTURE]}])
    assert prompt_tokens(seen) == 1 + 1_600


def test_a_window_must_hold_the_prompt_and_the_longest_answer() -> None:
    messages = [{"role": "user", "content": "x" * 24_000}]  # 8,000 tokens
    chain = [model("a/just", window=9_000), model("a/short", window=8_999), model("a/long")]
    assert planned(chain, tools=[], messages=messages, max_tokens=1_000) == [
        "a/just",
        "a/long",
        "a/short: 9,000 tokens do not fit into 8,999",
    ]


def test_a_server_of_ones_own_is_passed_over_for_a_long_prompt_and_the_next_link_is_asked() -> None:
    chain = load_catalog(compatible_model="llama").chain("ads_analyst", {"compatible", "anthropic"})
    long = [{"role": "user", "content": "relatório " * 10_000}]
    assert planned(chain, messages=long)[0] == "anthropic/claude-sonnet-4-6"


# --- order ----------------------------------------------------------------------------------------


def test_models_weak_in_the_language_of_the_turn_come_last_and_only_in_that_language() -> None:
    chain = [model("a/weak", weak_in="pt-BR"), model("a/first"), model("a/second")]
    assert planned(chain, tools=[]) == ["a/first", "a/second", "a/weak"]
    assert planned(chain, tools=[], language="en") == ["a/weak", "a/first", "a/second"]


def test_economy_asks_the_cheaper_first_and_leaves_a_server_of_ones_own_where_it_stands() -> None:
    chain = [
        model("compatible/one"),
        model("openai/not-a-model"),
        model("anthropic/claude-sonnet-4-6"),  # 0.0075 for 1,000 + 300 tokens
        model("compatible/two"),
        model("openai/gpt-5.6-luna"),  # 0.00056
        model("google/gemini-3.8-flash"),  # 0.001875
    ]
    assert planned(chain, tools=[]) == [link.ref for link in chain]
    assert planned(chain, tools=[], economy=True) == [
        "compatible/one",
        "openai/gpt-5.6-luna",
        "google/gemini-3.8-flash",
        "compatible/two",
        "anthropic/claude-sonnet-4-6",
        "openai/not-a-model",
    ], "of an unknown price of a provider's the worst is taken for granted"


def test_economy_knows_what_the_catalog_says_of_a_server_of_ones_own() -> None:
    dear = replace(model("compatible/rented"), price=Price(Decimal(90), Decimal(90), Decimal(90)))
    free = replace(model("compatible/own"), price=Price(Decimal(0), Decimal(0), Decimal(0)))
    chain = [dear, model("anthropic/claude-sonnet-4-6"), free]
    assert planned(chain, tools=[], economy=True) == ["compatible/own", "anthropic/claude-sonnet-4-6", dear.ref]


def test_a_weak_model_stays_last_under_economy_however_cheap() -> None:
    chain = [model("openai/gpt-5.6-luna", weak_in="pt-BR"), model("anthropic/claude-sonnet-4-6")]
    assert planned(chain, tools=[], economy=True) == ["anthropic/claude-sonnet-4-6", "openai/gpt-5.6-luna"]


@given(
    chain=st.lists(
        st.builds(
            model,
            st.sampled_from(["openai/gpt-6-luna", "anthropic/claude-sonnet-4-6", "compatible/x", "google/none-such"]),
            st.sampled_from(["tools", "structured", "vision"]),
            window=st.integers(1_000, 4_000),
            weak_in=st.sampled_from([None, "pt-BR", "es"]),
        ),
        max_size=6,
    ),
    schema=st.sampled_from([None, SCHEMA]),
    length=st.integers(0, 9_000),
    economy=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_every_link_is_either_asked_once_or_passed_over_with_a_reason(
    chain: list[Model], schema: dict[str, Any] | None, length: int, economy: bool
) -> None:
    messages = [{"role": "user", "content": "x" * length}]
    asked = question(tools=[], messages=messages, response_schema=schema, max_tokens=500)
    links, passed_over = plan_links(chain, asked, language="pt-BR", economy=economy)
    names = [link.ref for link in links] + [reason.partition(": ")[0] for reason in passed_over]
    assert sorted(names) == sorted(link.ref for link in chain)
    assert all(reason.partition(": ")[2] for reason in passed_over)
    assert all(schema is None or "structured" in link.abilities for link in links)
    assert all(length / 3 + 500 <= link.context_window for link in links)
    weak = ["pt-BR" in link.weak_in for link in links]
    assert weak == sorted(weak)
    if not economy and not any(weak):
        assert links == [link for link in chain if link in links]


def test_no_link_at_all_is_a_plan_too() -> None:
    assert plan_links([], question(), language="pt-BR", economy=True) == ([], [])


# --- what answers cost ----------------------------------------------------------------------------
# Reckoned by hand from the providers' prices as genai-prices 0.2.3 has them (US dollars for a million tokens).

COSTS: dict[str, tuple[str, Usage, str]] = {
    # 3 in, 15 out: 1,000 x 3 + 200 x 15 = 6,000
    "anthropic": ("anthropic/claude-sonnet-4-6", Usage(1_000, 200), "0.006"),
    # 300 uncached x 3, 600 read x 0.30, 100 written x 3.75, 200 out x 15: 900 + 180 + 375 + 3,000
    "anthropic with a cache": ("anthropic/claude-sonnet-4-6", Usage(1_000, 200, 600, 100), "0.004455"),
    # all of it written: 1,000 x 3.75
    "anthropic, written": ("anthropic/claude-sonnet-4-6", Usage(1_000, 0, 0, 1_000), "0.00375"),
    # 2 in, 0.20 read, 2.50 written, 12 out: 300 x 2 + 600 x 0.2 + 100 x 2.5 + 200 x 12 = 600 + 120 + 250 + 2,400
    "openai with a cache": ("openai/gpt-5.6-terra", Usage(1_000, 200, 600, 100), "0.00337"),
    # over 272,000 tokens of prompt all of it costs double, and the answer one and a half: 300,000 x 4 + 1,000 x 18
    "openai, long": ("openai/gpt-5.6-terra", Usage(300_000, 1_000), "1.218"),
    # 0.75 in, 0.075 read, 3.75 out until the end of 2026, twice that afterwards; writing costs nothing more:
    # 400 x 0.75 + 600 x 0.075 + 200 x 3.75 = 300 + 45 + 750
    "google with a cache": ("google/gemini-3.8-flash", Usage(1_000, 200, 600, 100), "0.001095"),
    # 0.10 in, 0.50 out up to 100,000 tokens of prompt: 1,000 x 0.1 + 200 x 0.5
    "a small one": ("anthropic/claude-haiku-5-5", Usage(1_000, 200), "0.0002"),
    "vectors": ("openai/text-embedding-3-small", Usage(1_000, 0), "0.00002"),
}


@pytest.mark.parametrize("case", COSTS)
def test_an_answer_costs_what_the_providers_prices_say(case: str) -> None:
    ref, usage, expected = COSTS[case]
    cost = price_usd(model(ref), usage)
    introductory = ref.startswith("google/") and date.today() >= date(2027, 1, 1)
    assert cost == Decimal(expected) * (2 if introductory else 1)


UNKNOWN: dict[str, Model] = {
    "a model the list does not have": model("openai/not-a-model"),
    "a server of one's own": model("compatible/gpt-5.6-luna"),
    "a model paid by the hour": model("openai/gpt-transcribe", "audio"),
    "a model that draws": model("openai/gpt-image-2.5-sunburst", "images"),
    "a model without any price": model("google/gemma-4-31b-it"),
}


@pytest.mark.parametrize("case", UNKNOWN)
def test_an_unknown_price_is_none_and_not_zero(case: str) -> None:
    assert price_usd(UNKNOWN[case], Usage(1_000, 1_000)) is None
    assert typical_usd(UNKNOWN[case]) is None


OWN_PRICE = Price(Decimal("0.20"), Decimal("0.80"), Decimal("0.02"))
PRICED_HERE: dict[str, tuple[str, Usage, str]] = {
    # 400 x 0.20 + 600 x 0.02 + 200 x 0.80 = 80 + 12 + 160
    "a server of one's own": ("compatible/qwen", Usage(1_000, 200, 600), "0.000252"),
    "a name the list does not have": ("openai/not-a-model", Usage(1_000, 200), "0.00036"),
    "one of unknown price there": ("google/gemma-4-31b-it", Usage(1_000, 200), "0.00036"),
    "a model the list has": ("anthropic/claude-sonnet-4-6", Usage(1_000, 200), "0.006"),
}


@pytest.mark.parametrize("case", PRICED_HERE)
def test_a_price_of_the_catalog_counts_where_the_list_has_none(case: str) -> None:
    ref, usage, expected = PRICED_HERE[case]
    assert price_usd(replace(model(ref), price=OWN_PRICE), usage) == Decimal(expected)


def test_counts_that_contradict_each_other_cost_no_more_than_the_prompt_and_break_nothing() -> None:
    sonnet = model("anthropic/claude-sonnet-4-6")
    assert price_usd(sonnet, Usage(1_000, 0, 5_000, 5_000)) == Decimal("0.0003"), "all of it read from the cache"


def test_every_text_model_of_the_catalog_has_a_price() -> None:
    catalog = load_catalog()
    for plan in catalog.describe({"openai", "anthropic", "google"}):
        for link in plan.models:
            known = price_usd(link, Usage(1_000, 1_000)) is not None
            assert known or plan.tier in ("images", "audio", "embeddings"), link.ref


def test_reais_by_the_dated_setting() -> None:
    rate = Settings(usd_brl="5.40@2026-11-20").rate_brl
    assert rate is not None
    assert in_brl(Decimal("0.5"), rate[0]) == Money(Decimal("2.70"), "BRL")


async def test_a_price_is_quick_once_the_list_is_there() -> None:
    """0.1 ms as measured; the limit is far above so that a busy machine does not matter."""
    await prices.ready()
    sonnet = model("anthropic/claude-sonnet-4-6")
    price_usd(sonnet, Usage(1_000, 200, 600, 100))
    started = time.process_time()
    for _ in range(100):
        price_usd(sonnet, Usage(1_000, 200, 600, 100))
    assert (time.process_time() - started) / 100 < 0.002
