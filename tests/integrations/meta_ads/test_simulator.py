"""The sandbox's world: figures that never move, today that grows, pauses and budgets that reach the figures."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from integrations.meta_ads.client import MetaAdsClient
from integrations.meta_ads.simulator import launch
from tests.integrations.meta_ads.conftest import AURORA, NOW, TODAY, VITORIA, Control

TIRED_AD = "120300000000000005"
WINNER = "120100000000000001"
FIELDS = ["ad_id", "impressions", "spend", "reach", "actions", "action_values"]


async def test_figures_are_the_same_after_a_restart_and_in_another_folder_of_the_same_epoch(
    start_graph: Callable[..., Control], tmp_path: Path, connect: Callable[..., MetaAdsClient]
) -> None:
    asked: dict[str, Any] = {"level": "ad", "fields": FIELDS, "time_increment": 1}
    asked |= {"since": TODAY - timedelta(days=20), "until": TODAY}
    first = start_graph(tmp_path / "one")
    before = await connect(first.launched).insights(AURORA, **asked)
    first.launched.stop(kill=True)
    again = start_graph(tmp_path / "one")
    other = start_graph(tmp_path / "two")
    assert len(before) > 300
    assert await connect(again.launched).insights(AURORA, **asked) == before
    assert await connect(other.launched).insights(AURORA, **asked) == before


async def test_days_that_are_over_never_move_while_today_grows(
    my_graph: Control, connect: Callable[..., MetaAdsClient]
) -> None:
    client = connect(my_graph.launched)

    async def week() -> dict[date, Any]:
        rows = await client.insights(
            AURORA,
            level="account",
            fields=["impressions", "spend", "reach", "actions", "action_values"],
            time_increment=1,
            since=TODAY - timedelta(days=3),
            until=TODAY,
        )
        return {row.since: row for row in rows}

    seen = [await week()]
    for hour in (18, 21, 23):
        my_graph.move_clock(NOW.replace(hour=hour))
        seen.append(await week())
    my_graph.move_clock(NOW + timedelta(days=1))
    seen.append(await week())
    for earlier, later in pairwise(seen):
        assert earlier[TODAY].impressions < later[TODAY].impressions
        assert earlier[TODAY].spend < later[TODAY].spend
        for action, count in earlier[TODAY].actions.items():
            assert count.value <= later[TODAY].actions[action].value
        for day in (1, 2, 3):
            assert earlier[TODAY - timedelta(days=day)] == later[TODAY - timedelta(days=day)]
    my_graph.move_clock(NOW + timedelta(days=9))
    assert await week() == seen[-1]


async def test_a_paused_ad_counts_no_further_and_a_resumed_one_goes_on(
    my_graph: Control, connect: Callable[..., MetaAdsClient]
) -> None:
    client = connect(my_graph.launched)

    async def spent(day: date) -> Any:
        rows = await client.insights(TIRED_AD, level="ad", fields=["spend", "impressions"], since=day, until=day)
        return rows[0].spend if rows else None

    at_pause = await spent(TODAY)
    await client.set_status(TIRED_AD, "PAUSED")
    my_graph.move_clock(NOW.replace(hour=20))
    assert await spent(TODAY) == at_pause
    await client.set_status("120100000000000002", "PAUSED")
    await client.set_status(TIRED_AD, "ACTIVE")
    my_graph.move_clock(NOW.replace(hour=21))
    assert await spent(TODAY) == at_pause
    await client.set_status("120100000000000002", "ACTIVE")
    my_graph.move_clock(NOW.replace(hour=23))
    resumed = await spent(TODAY)
    assert resumed > at_pause
    await client.set_status(TIRED_AD, "PAUSED")
    my_graph.move_clock(NOW + timedelta(days=3))
    assert await spent(TODAY) == resumed
    assert await spent(TODAY + timedelta(days=1)) is None


async def test_a_raised_budget_lets_the_winner_spend_more_from_then_on(
    my_graph: Control, connect: Callable[..., MetaAdsClient]
) -> None:
    client = connect(my_graph.launched)
    await client.set_budget(WINNER, daily_budget=18_000)
    my_graph.move_clock(NOW + timedelta(days=3))
    rows = await client.insights(
        WINNER,
        level="campaign",
        fields=["spend"],
        time_increment=1,
        since=TODAY - timedelta(days=2),
        until=TODAY + timedelta(days=2),
    )
    spends = [float(row.spend or 0) for row in rows]
    assert spends[:2] == pytest.approx([120, 120], abs=0.05)
    assert 120 < spends[2] < 180
    assert spends[3:] == pytest.approx([180, 180], abs=0.05)


async def test_reach_is_counted_for_the_window_and_is_less_than_the_sum_of_its_days(client: MetaAdsClient) -> None:
    window = {"since": TODAY - timedelta(days=7), "until": TODAY - timedelta(days=1)}
    fields = ["reach", "impressions", "frequency"]
    (whole,) = await client.insights(AURORA, level="account", fields=fields, **window)
    days = await client.insights(AURORA, level="account", fields=fields, time_increment=1, **window)
    campaigns = await client.insights(AURORA, level="campaign", fields=fields, **window)
    assert whole.reach is not None
    assert max(row.reach or 0 for row in days) < whole.reach < sum(row.reach or 0 for row in days)
    assert max(row.reach or 0 for row in campaigns) < whole.reach < sum(row.reach or 0 for row in campaigns)
    assert whole.impressions == sum(row.impressions or 0 for row in days)
    assert float(whole.frequency or 0) == pytest.approx(whole.impressions / whole.reach, abs=1e-5)
    assert all((row.frequency or 0) >= 1 for row in days)


async def test_time_steps_cover_the_window_without_overlap(client: MetaAdsClient) -> None:
    since, until = date(2026, 9, 20), date(2026, 11, 10)
    (whole,) = await client.insights(AURORA, level="account", fields=["spend"], since=since, until=until)
    for step in (1, 7, 30, "monthly"):
        rows = await client.insights(
            AURORA, level="account", fields=["spend"], since=since, until=until, time_increment=step
        )
        assert rows[0].since == since
        assert rows[-1].until == until
        assert all(a.until + timedelta(days=1) == b.since for a, b in pairwise(rows))
        assert sum(row.spend or 0 for row in rows) == whole.spend


@pytest.mark.parametrize(
    ("preset", "since", "until"),
    [
        ("today", "2026-11-20", "2026-11-20"),
        ("yesterday", "2026-11-19", "2026-11-19"),
        ("last_7d", "2026-11-13", "2026-11-19"),
        ("last_90d", "2026-08-22", "2026-11-19"),
        ("this_month", "2026-11-01", "2026-11-20"),
        ("last_month", "2026-10-01", "2026-10-31"),
        ("last_quarter", "2026-07-01", "2026-09-30"),
        ("this_week_mon_today", "2026-11-16", "2026-11-20"),
        ("last_week_sun_sat", "2026-11-08", "2026-11-14"),
        ("maximum", "2026-08-22", "2026-11-20"),
    ],
)
def test_date_presets_end_yesterday_or_today_as_their_name_says(
    reading_graph: launch.Launched, preset: str, since: str, until: str
) -> None:
    answer = httpx.get(
        f"{reading_graph.base_url}/v26.0/{AURORA}/insights",
        params={"date_preset": preset, "fields": "spend", "access_token": reading_graph.token},
    ).json()
    assert (answer["data"][0]["date_start"], answer["data"][0]["date_stop"]) == (since, until)


def test_numbers_are_strings_and_rows_hold_what_was_asked(reading_graph: launch.Launched) -> None:
    answer = httpx.get(
        f"{reading_graph.base_url}/v26.0/{AURORA}/insights",
        params={"fields": "impressions,spend,ctr,reach,actions", "summary": '["spend"]'},
        headers={"authorization": f"Bearer {reading_graph.token}"},
    )
    (row,) = answer.json()["data"]
    assert set(row) == {"impressions", "spend", "ctr", "reach", "actions", "date_start", "date_stop"}
    assert all(isinstance(row[name], str) for name in ("impressions", "spend", "ctr", "reach"))
    assert all(isinstance(one["value"], str) for one in row["actions"])
    assert answer.json()["summary"]["spend"] == row["spend"]
    assert "x-business-use-case-usage" in answer.headers
    assert "next" not in answer.json()["paging"]


@pytest.mark.parametrize(
    "params",
    [
        {"time_range": "{'since':'2026-11-01'}"},
        {"time_range": '{"since":"2026-11-10","until":"2026-11-01"}'},
        {"time_range": '{"since":"2020-01-01","until":"2026-11-01"}'},
        {"date_preset": "last_5d"},
        {"level": "adgroup"},
        {"fields": "spend,cliques"},
        {"breakdowns": "age,region"},
        {"breakdowns": "signo"},
        {"time_increment": "0"},
        {"action_attribution_windows": '["3d_click"]'},
        {"filtering": '{"field":"x"}'},
        {"filtering": "not json"},
        {"limit": "many"},
        {"after": "###"},
    ],
)
def test_a_malformed_question_is_refused_with_a_graph_error(
    reading_graph: launch.Launched, params: dict[str, str]
) -> None:
    answer = httpx.get(
        f"{reading_graph.base_url}/v26.0/{AURORA}/insights",
        params=params,
        headers={"authorization": f"Bearer {reading_graph.token}"},
    )
    assert answer.status_code in (400, 500)
    assert answer.json()["error"]["fbtrace_id"]


def test_without_a_token_nothing_is_told(reading_graph: launch.Launched) -> None:
    answer = httpx.get(f"{reading_graph.base_url}/v26.0/me/adaccounts")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, 104)


def test_a_shared_simulator_is_found_by_a_second_user_and_keeps_its_state(tmp_path: Path) -> None:
    first, second = launch.shared(tmp_path / "graph"), launch.shared(tmp_path / "graph")
    with first as one:
        token = Path(one["token_file"]).read_text().strip()
        with second as two:
            assert two == one
        answer = httpx.post(
            f"{one['url']}/v26.0/{TIRED_AD}", data={"status": "PAUSED"}, headers={"authorization": f"Bearer {token}"}
        )
        assert answer.json() == {"success": True}
    with launch.shared(tmp_path / "graph") as three:
        assert three["url"] == one["url"]
        writes = httpx.get(f"{three['url']}/__writes").json()["writes"]
        assert [write["object_id"] for write in writes] == [TIRED_AD]


async def test_the_epoch_is_the_day_of_the_first_start_and_stays(
    start_graph: Callable[..., Control], tmp_path: Path, connect: Callable[..., MetaAdsClient]
) -> None:
    start_graph(tmp_path, datetime(2026, 3, 2, 9, 0, tzinfo=NOW.tzinfo)).launched.stop()
    later = start_graph(tmp_path, datetime(2026, 3, 12, 9, 0, tzinfo=NOW.tzinfo))
    assert later.health()["epoch"] == "2026-03-02"
    rows = await connect(later.launched).insights(
        VITORIA,
        level="account",
        fields=["spend"],
        since=date(2025, 11, 1),
        until=date(2026, 3, 12),
        time_increment=1,
    )
    assert rows[0].since == date(2026, 3, 2) - timedelta(days=90)
    assert rows[-1].since == date(2026, 3, 12)
