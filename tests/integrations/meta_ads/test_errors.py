"""Every way in which Meta fails becomes one named failure with a sentence for people."""

import logging
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from core.errors import ArgumentsWrong, MutiraoError, Refused, Unavailable
from integrations.meta_ads.client import MetaAdsClient
from integrations.meta_ads.errors import from_graph, usage_percent, waiting_seconds
from integrations.meta_ads.simulator.launch import Launched
from prompts.texts import Texts
from tests.integrations.meta_ads.conftest import AURORA, TODAY, Control

NAMED: list[tuple[dict[str, Any], type[MutiraoError], str]] = [
    ({"code": 190}, Refused, "meta_token_expired"),
    ({"code": 190, "subcode": 463}, Refused, "meta_token_expired"),
    ({"code": 190, "subcode": 467}, Refused, "meta_token_expired"),
    ({"code": 102}, Refused, "meta_token_expired"),
    ({"code": 190, "subcode": 458}, Refused, "meta_token_revoked"),
    ({"code": 190, "subcode": 460}, Refused, "meta_token_revoked"),
    ({"code": 190, "subcode": 459}, Refused, "meta_token_checkpoint"),
    ({"code": 10, "status": 403}, Refused, "meta_permission"),
    ({"code": 200, "status": 403}, Refused, "meta_permission"),
    ({"code": 294, "status": 403}, Refused, "meta_permission"),
    ({"code": 368}, Refused, "meta_blocked"),
    ({"code": 4}, Unavailable, "meta_throttled"),
    ({"code": 17, "subcode": 2446079}, Unavailable, "meta_throttled"),
    ({"code": 32}, Unavailable, "meta_throttled"),
    ({"code": 613}, Unavailable, "meta_throttled"),
    ({"code": 80000}, Unavailable, "meta_throttled"),
    ({"code": 80004, "subcode": 2446079}, Unavailable, "meta_throttled"),
    ({"code": 100, "subcode": 33}, ArgumentsWrong, "meta_not_found"),
    ({"code": 100, "subcode": 1885621}, ArgumentsWrong, "meta_budget_conflict"),
    ({"code": 100, "subcode": 1885272}, ArgumentsWrong, "meta_budget_too_low"),
    ({"code": 100}, ArgumentsWrong, "meta_bad_request"),
    ({"code": 100, "subcode": 1504018}, ArgumentsWrong, "meta_too_much_data"),
    ({"code": 2, "subcode": 1504038, "status": 500}, ArgumentsWrong, "meta_too_much_data"),
    (
        {"code": 1, "status": 500, "message": "Please reduce the amount of data you're asking for, then retry"},
        ArgumentsWrong,
        "meta_too_much_data",
    ),
    ({"code": 2, "subcode": 1504041, "status": 500}, ArgumentsWrong, "meta_bad_request"),
    ({"code": 1, "subcode": 99, "status": 500}, Unavailable, "meta_unavailable"),
    ({"code": 2, "status": 500, "transient": True}, Unavailable, "meta_unavailable"),
    ({"code": 999_999, "status": 500}, Unavailable, "meta_unavailable"),
    ({"code": 999_999}, ArgumentsWrong, "meta_bad_request"),
]


@pytest.mark.parametrize(("fault", "kind", "code"), NAMED)
async def test_a_graph_error_becomes_the_named_failure(
    client: MetaAdsClient, control: Control, fault: dict[str, Any], kind: type[MutiraoError], code: str
) -> None:
    control.fail({"kind": "error", "times": 10, **fault})
    with pytest.raises(kind) as caught:
        await client.get(AURORA, ["name"])
    assert caught.value.code == code


async def test_an_outage_is_tried_again_and_forgotten_when_it_passes(client: MetaAdsClient, control: Control) -> None:
    for fault in (
        {"kind": "error", "code": 2, "status": 500, "transient": True},
        {"kind": "html", "status": 502},
        {"kind": "drop"},
        {"kind": "cut"},
        {"kind": "error", "code": 4},
    ):
        before = control.requests()
        control.fail(fault)
        assert (await client.ad_account(AURORA)).name == "Loja Aurora"
        assert control.requests() == before + 2


async def test_what_retrying_cannot_help_is_asked_once(client: MetaAdsClient, control: Control) -> None:
    before = control.requests()
    control.fail({"kind": "error", "code": 190, "subcode": 463})
    with pytest.raises(Refused):
        await client.me()
    assert control.requests() == before + 1


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ({"kind": "html", "status": 502}, "meta_unavailable"),
        ({"kind": "html", "status": 200}, "meta_answer_broken"),
        ({"kind": "cut"}, "meta_unavailable"),
        ({"kind": "drop"}, "meta_unavailable"),
        ({"kind": "missing", "fields": ["currency"]}, "meta_answer_broken"),
        ({"kind": "missing", "fields": ["data"]}, "meta_answer_broken"),
    ],
)
async def test_a_broken_answer_is_never_read_as_an_empty_one(
    client: MetaAdsClient, control: Control, fault: dict[str, Any], code: str
) -> None:
    control.fail({"times": 10, **fault})
    with pytest.raises(Unavailable) as caught:
        await client.ad_accounts()
    assert caught.value.code == code


async def test_a_figure_that_is_missing_from_a_row_is_none(client: MetaAdsClient, control: Control) -> None:
    control.fail({"kind": "missing", "fields": ["spend", "reach"], "path": "insights"})
    yesterday = TODAY - timedelta(days=1)
    (row,) = await client.insights(
        AURORA, level="account", fields=["spend", "reach", "clicks"], since=yesterday, until=yesterday
    )
    assert (row.spend, row.reach) == (None, None)
    assert row.clicks


async def test_silence_is_unavailable_after_the_time_limit(
    reading_graph: Launched, control: Control, connect: Callable[..., MetaAdsClient]
) -> None:
    control.fail({"kind": "hang", "seconds": 3, "times": 3})
    with pytest.raises(Unavailable) as caught:
        await connect(reading_graph, timeout=0.2, retries=1).me()
    assert caught.value.code == "meta_unavailable"


async def test_no_server_at_all_is_unavailable(reading_graph: Launched, connect: Callable[..., MetaAdsClient]) -> None:
    with pytest.raises(Unavailable) as caught:
        await connect(reading_graph, base_url="http://127.0.0.1:9").me()
    assert caught.value.code == "meta_unavailable"


async def test_a_long_throttle_is_handed_back_with_its_minutes(client: MetaAdsClient, control: Control) -> None:
    use = '{"1":[{"type":"ads_insights","call_count":100,"estimated_time_to_regain_access":12}]}'
    before = control.requests()
    control.fail({"kind": "error", "code": 80000, "headers": {"x-business-use-case-usage": use}})
    with pytest.raises(Unavailable) as caught:
        await client.get(AURORA, ["name"])
    assert caught.value.retry_after == 12 * 60
    assert caught.value.params["wait"] == 12
    assert control.requests() == before + 1


async def test_the_client_slows_down_near_the_end_of_the_allowance(
    reading_graph: Launched, control: Control, connect: Callable[..., MetaAdsClient]
) -> None:
    client = connect(reading_graph, slowest=0.4)
    control.fail({"kind": "usage", "percent": 100})
    await client.me()
    assert client.usage.percent == 100

    started = time.monotonic()
    await client.me()
    assert time.monotonic() - started >= 0.4
    assert client.usage.percent < 75


async def test_the_token_is_in_no_address_no_exception_and_no_log(
    reading_graph: Launched, control: Control, connect: Callable[..., MetaAdsClient], caplog: pytest.LogCaptureFixture
) -> None:
    client = connect(reading_graph, app_secret="wrong", retries=0)
    with caplog.at_level(logging.DEBUG):
        control.fail({"kind": "error", "code": 190, "message": f"Malformed access token {reading_graph.token}"})
        with pytest.raises(Refused) as caught:
            await client.check_token()
        with pytest.raises(ArgumentsWrong):
            await client.me()
        await connect(reading_graph).check_token()
    assert reading_graph.token not in f"{caught.value!s} {caught.value.params} {caught.value!r}"
    assert reading_graph.token not in caplog.text


def test_an_error_object_of_odd_shapes_is_still_a_named_failure() -> None:
    for error in ({}, {"code": "190"}, {"code": None, "message": None}, {"code": [], "error_subcode": "x"}):
        assert isinstance(from_graph(400, error, {}), MutiraoError)


def test_usage_headers_of_all_kinds_are_understood_and_broken_ones_ignored() -> None:
    headers = {
        "x-app-usage": '{"call_count":28,"total_time":25,"total_cputime":91}',
        "x-fb-ads-insights-throttle": '{"app_id_util_pct":1.5,"acc_id_util_pct":93.25,"ads_api_access_tier":"x"}',
        "x-business-use-case-usage": "not json",
        "x-ad-account-usage": "[]",
    }
    assert usage_percent(headers) == 93.25
    assert waiting_seconds(headers) is None
    assert waiting_seconds({"retry-after": "7"}) == 7


@pytest.mark.parametrize("language", ["pt-BR", "en", "es"])
def test_every_failure_has_a_sentence_in_every_language(language: str) -> None:
    texts = Texts.load()
    codes = {code for _, _, code in NAMED}
    for fault, _, _ in NAMED:
        raw = {"code": fault["code"], "error_subcode": fault.get("subcode"), "message": fault.get("message", "no")}
        sentence = texts.error(language, from_graph(fault.get("status", 400), raw, {"retry-after": "60"}))
        assert len(sentence) > 30
        assert "{{" not in sentence
    for code in codes | {"meta_answer_broken", "meta_outcome_unknown", "meta_window_dead"}:
        assert texts.has(f"error.{code}")
