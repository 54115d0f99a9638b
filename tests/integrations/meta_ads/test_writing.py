"""Writes are sent once: the ledger never holds two, and we say so when we do not know whether it holds one."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.errors import ArgumentsWrong, OutcomeUnknown, Refused, Unavailable
from integrations.meta_ads.client import MetaAdsClient
from tests.integrations.meta_ads.conftest import Control

TIRED_AD = "120300000000000005"
WINNER = "120100000000000001"
ADSET_WITH_BUDGET = "120200000000000005"
ADSET_WITHOUT_BUDGET = "120200000000000001"
ENGAGEMENT = "120100000000000005"


async def test_an_ad_is_paused_and_resumed_and_read_back(
    my_graph: Control, connect: Callable[..., MetaAdsClient]
) -> None:
    client = connect(my_graph.launched)
    await client.set_status(TIRED_AD, "PAUSED")
    assert (await client.ad(TIRED_AD)).effective_status == "PAUSED"
    await client.set_status(TIRED_AD, "ACTIVE")
    assert (await client.ad(TIRED_AD)).effective_status == "ACTIVE"
    assert [one["body"] for one in my_graph.writes()] == [{"status": "PAUSED"}, {"status": "ACTIVE"}]


async def test_budgets_change_where_they_live(my_graph: Control, connect: Callable[..., MetaAdsClient]) -> None:
    client = connect(my_graph.launched)
    await client.set_budget(WINNER, daily_budget=15_000)
    await client.set_budget(ADSET_WITH_BUDGET, daily_budget=16_050)
    await client.set_budget(ENGAGEMENT, lifetime_budget=1_000_000)
    assert (await client.campaign(WINNER)).daily_budget == 15_000
    assert (await client.adset(ADSET_WITH_BUDGET)).daily_budget == 16_050
    assert (await client.campaign(ENGAGEMENT)).lifetime_budget == 1_000_000


@pytest.mark.parametrize(
    ("object_id", "budget", "code"),
    [
        (ADSET_WITHOUT_BUDGET, {"daily_budget": 5_000}, "meta_budget_conflict"),
        ("120100000000000003", {"daily_budget": 5_000}, "meta_budget_conflict"),
        (WINNER, {"daily_budget": 599}, "meta_budget_too_low"),
        (WINNER, {"lifetime_budget": 900_000}, "meta_bad_request"),
        (TIRED_AD, {"daily_budget": 5_000}, "meta_bad_request"),
        ("120100000000000999", {"daily_budget": 5_000}, "meta_not_found"),
        (WINNER, {"daily_budget": 0}, "meta_bad_request"),
        (WINNER, {"daily_budget": -5_000}, "meta_bad_request"),
        (WINNER, {}, "meta_bad_request"),
        (WINNER, {"daily_budget": 5_000, "lifetime_budget": 5_000}, "meta_bad_request"),
        (WINNER, {"daily_budget": 10**15}, "meta_bad_request"),
    ],
)
async def test_a_budget_that_cannot_be_is_refused_and_nothing_changes(
    client: MetaAdsClient, control: Control, object_id: str, budget: dict[str, int], code: str
) -> None:
    with pytest.raises(ArgumentsWrong) as caught:
        await client.set_budget(object_id, **budget)
    assert caught.value.code == code
    assert control.writes() == []


async def test_validate_only_checks_and_changes_nothing(client: MetaAdsClient, control: Control) -> None:
    await client.set_status(TIRED_AD, "PAUSED", validate_only=True)
    await client.set_budget(WINNER, daily_budget=20_000, validate_only=True)
    with pytest.raises(ArgumentsWrong):
        await client.set_budget(ADSET_WITHOUT_BUDGET, daily_budget=20_000, validate_only=True)
    assert (await client.ad(TIRED_AD)).status == "ACTIVE"
    assert (await client.campaign(WINNER)).daily_budget == 12_000
    assert control.writes() == []


@pytest.mark.parametrize(
    ("fault", "executed"),
    [
        ({"kind": "lost"}, 1),
        ({"kind": "cut"}, 1),
        ({"kind": "hang_after", "seconds": 3}, 1),
        ({"kind": "drop"}, 0),
        ({"kind": "hang", "seconds": 3}, 0),
        ({"kind": "html", "status": 502}, 0),
        ({"kind": "html", "status": 200}, 0),
        ({"kind": "error", "code": 1, "status": 500}, 0),
        ({"kind": "error", "code": 2, "status": 500, "transient": True}, 0),
        ({"kind": "missing", "fields": ["success"]}, 1),
    ],
)
async def test_a_write_whose_answer_is_lost_is_unknown_and_never_sent_again(
    my_graph: Control, connect: Callable[..., MetaAdsClient], fault: dict[str, Any], executed: int
) -> None:
    client = connect(my_graph.launched, timeout=0.3)
    my_graph.fail({"method": "POST", **fault})
    with pytest.raises(OutcomeUnknown) as caught:
        await client.set_status(TIRED_AD, "PAUSED")
    assert caught.value.code == "meta_outcome_unknown"
    assert caught.value.params["object_id"] == TIRED_AD
    assert my_graph.requests() == 1
    assert len(my_graph.writes()) == executed
    # Looking tells what happened.
    assert (await client.ad(TIRED_AD)).status == ("PAUSED" if executed else "ACTIVE")


async def test_a_write_may_land_after_we_stopped_waiting_and_is_still_one(
    my_graph: Control, connect: Callable[..., MetaAdsClient]
) -> None:
    client = connect(my_graph.launched, timeout=0.3)
    my_graph.fail({"method": "POST", "kind": "slow", "seconds": 0.8})
    with pytest.raises(OutcomeUnknown):
        await client.set_status(TIRED_AD, "PAUSED")
    assert (await client.ad(TIRED_AD)).status == "ACTIVE"
    deadline = time.monotonic() + 10
    while (await client.ad(TIRED_AD)).status == "ACTIVE":
        assert time.monotonic() < deadline
    assert len(my_graph.writes()) == 1


async def test_a_write_that_never_left_is_unavailable_not_unknown(
    my_graph: Control, connect: Callable[..., MetaAdsClient]
) -> None:
    client = connect(my_graph.launched)
    my_graph.launched.stop()
    with pytest.raises(Unavailable) as caught:
        await client.set_status(TIRED_AD, "PAUSED")
    assert caught.value.code == "meta_unavailable"


async def test_a_refused_write_is_refused_and_not_unknown(
    my_graph: Control, connect: Callable[..., MetaAdsClient]
) -> None:
    client = connect(my_graph.launched)
    my_graph.fail(
        {"kind": "error", "code": 190, "subcode": 463},
        {"kind": "error", "code": 200, "status": 403},
        {"kind": "error", "code": 613},
    )
    for kind in (Refused, Refused, Unavailable):
        with pytest.raises(kind):
            await client.set_status(TIRED_AD, "PAUSED")
    assert my_graph.writes() == []


async def test_a_killed_simulator_comes_back_with_every_write_it_answered(
    start_graph: Callable[..., Control], tmp_path: Path, connect: Callable[..., MetaAdsClient]
) -> None:
    first = start_graph(tmp_path)
    await connect(first.launched).set_status(TIRED_AD, "PAUSED")
    await connect(first.launched).set_budget(WINNER, daily_budget=13_000)
    first.launched.stop(kill=True)
    with (tmp_path / "writes.jsonl").open("a") as ledger:
        ledger.write('{"number": 3, "object_id": "1203')  # the line that the kill tore
    second = start_graph(tmp_path)
    client = connect(second.launched)
    assert second.launched.token == first.launched.token
    assert [one["number"] for one in second.writes()] == [1, 2]
    assert (await client.ad(TIRED_AD)).status == "PAUSED"
    assert (await client.campaign(WINNER)).daily_budget == 13_000
    await client.set_status(TIRED_AD, "ACTIVE")
    lines = (tmp_path / "writes.jsonl").read_text().splitlines()
    assert [json.loads(line)["number"] for line in lines] == [1, 2, 3]


async def test_the_token_files_are_for_their_owner_only(my_graph: Control, tmp_path: Path) -> None:
    for name in ("token", "app_secret"):
        assert ((tmp_path / "graph" / name).stat().st_mode & 0o777) == 0o600
