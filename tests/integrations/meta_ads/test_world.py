"""The planted truths hold in the figures, on whatever day the sandbox is opened first and for weeks after."""

from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta
from pathlib import Path

import pytest

from integrations.meta_ads.simulator.delivery import Delivery, add_up
from integrations.meta_ads.simulator.state import ZONE, State
from integrations.meta_ads.simulator.world import CAMPAIGNS, CONVERSIONS, EVENTS, TRUTHS, World
from tests.integrations.meta_ads.conftest import AURORA, VITORIA

Sum = Callable[[str, int, int], dict[str, float]]


@pytest.fixture(
    params=[(date(2026, 11, 20), 0), (date(2026, 2, 28), 0), (date(2027, 1, 3), 5), (date(2026, 6, 10), 21)]
)
def total(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Sum]:
    """(object id, from, to) → its events of these days, counted from today (-7, -1 are the last seven whole days)."""
    epoch, days_after = request.param
    state = State(tmp_path / "world", epoch)
    delivery = Delivery(state)
    today = epoch + timedelta(days=days_after)
    now = datetime.combine(today, time(15), ZONE)

    def sum_up(object_id: str, since: int, until: int) -> dict[str, float]:
        ads = [
            one
            for one in state.things.values()
            if one.kind == "ad" and (one.account_id == object_id or any(up.id == object_id for up in one.above()))
        ]
        days = [today + timedelta(days=day) for day in range(since, until + 1)]
        per_ad = [add_up([delivery.counts(ad, day, now) for day in days]) for ad in ads]
        found: dict[str, float] = dict(zip(EVENTS, add_up(per_ad), strict=True))
        found["reach"] = state.world.people(ads[0].id, int(found["first_views"])) if len(ads) == 1 else 0
        found["results"] = sum(found[f"{k}.{s}"] for k in CONVERSIONS for s in ("click_1d", "click_7d", "view_1d"))
        found["value"] = sum(found[f"purchase_value.{s}"] for s in ("click_1d", "click_7d", "view_1d"))
        return found

    sum_up.days_after = days_after  # type: ignore[attr-defined]
    yield sum_up
    state.close()


def test_there_are_enough_campaigns_ad_sets_and_ads_of_every_kind() -> None:
    assert len(CAMPAIGNS) >= 8
    assert {one.objective for one in CAMPAIGNS} == {
        "OUTCOME_SALES",
        "OUTCOME_LEADS",
        "OUTCOME_TRAFFIC",
        "OUTCOME_ENGAGEMENT",
    }
    assert sum(one.destination == "WHATSAPP" for one in CAMPAIGNS) == 2
    assert all(2 <= len(one.adsets) <= 3 for one in CAMPAIGNS)
    assert all(2 <= len(adset.ads) <= 3 for one in CAMPAIGNS for adset in one.adsets)
    ids = [one.id for one in CAMPAIGNS] + [s.id for one in CAMPAIGNS for s in one.adsets]
    ids += [ad.id for one in CAMPAIGNS for s in one.adsets for ad in s.ads]
    assert len(ids) == len(set(ids))
    for one in CAMPAIGNS:
        assert sum(adset.share for adset in one.adsets) == pytest.approx(1)
        assert all(sum(ad.share for ad in adset.ads) == pytest.approx(1) for adset in one.adsets)


def test_the_fatigued_ad_wears_out_week_by_week_and_goes_on_spending(total: Sum) -> None:
    after: int = total.days_after  # type: ignore[attr-defined]
    weeks = [total(TRUTHS.fatigued_ad, -7 * week - 7 - after, -7 * week - 1 - after) for week in (3, 2, 1, 0)]
    frequency = [week["impressions"] / week["reach"] for week in weeks]
    click_rate = [week["link_clicks"] / week["impressions"] for week in weeks]
    cost = [week["spend"] / week["results"] for week in weeks]
    assert frequency == sorted(frequency)
    assert frequency[-1] > 3
    assert frequency[0] < 1.7
    assert click_rate == sorted(click_rate, reverse=True)
    assert click_rate[-1] < 0.5 * click_rate[0]
    assert cost == sorted(cost)
    assert cost[-1] > 2.5 * cost[0]
    now = total(TRUTHS.fatigued_ad, -7, -1)
    assert now["spend"] > 0.08 * total(AURORA, -7, -1)["spend"]
    assert now["spend"] / now["results"] > 2.5 * cost[0]


def test_no_other_ad_looks_fatigued(total: Sum) -> None:
    for campaign in CAMPAIGNS:
        if campaign.paused_since or campaign.id == TRUTHS.broken_pixel_campaign:
            continue
        for ad in (ad for adset in campaign.adsets for ad in adset.ads):
            if ad.id == TRUTHS.fatigued_ad:
                continue
            last, before = total(ad.id, -7, -1), total(ad.id, -28, -8)
            assert last["impressions"] / last["reach"] < 1.6
            assert last["link_clicks"] / last["impressions"] > 0.9 * before["link_clicks"] / before["impressions"]
            if before["results"]:
                assert last["spend"] / last["results"] < 1.6 * before["spend"] / before["results"]


def test_the_broken_pixel_loses_purchases_and_nothing_else(total: Sum) -> None:
    broken = TRUTHS.broken_pixel_campaign
    after: int = total.days_after  # type: ignore[attr-defined]
    first = TRUTHS.broken_pixel_from - after
    assert total(broken, first, 0)["results"] == 0
    assert total(broken, first, 0)["value"] == 0
    assert total(broken, first - 7, first - 1)["results"] > 15
    since, before = total(broken, first, first + 6), total(broken, first - 7, first - 1)
    for event in ("spend", "link_clicks", "landing_page_views", "carts", "checkouts"):
        assert since[event] == pytest.approx(before[event], rel=0.2)


def test_the_winner_has_the_best_return_and_spends_its_whole_budget_every_day(total: Sum) -> None:
    for day in range(-30, 0):
        spend = total(TRUTHS.winner_campaign, day, day)["spend"]
        assert 12_000 - 10 <= spend <= 12_000
    returns = {}
    for campaign in CAMPAIGNS:
        week = total(campaign.id, -7, -1)
        if week["value"]:
            returns[campaign.id] = week["value"] / week["spend"]
    assert max(returns, key=lambda one: returns[one]) == TRUTHS.winner_campaign
    assert returns[TRUTHS.winner_campaign] > 2 * sorted(returns.values())[-2]


def test_nobody_else_reaches_a_daily_budget(total: Sum) -> None:
    for campaign in CAMPAIGNS:
        for owner in (campaign, *campaign.adsets):
            if owner.daily_budget and owner.id != TRUTHS.winner_campaign:
                assert max(total(owner.id, day, day)["spend"] for day in range(-60, 0)) < 0.97 * owner.daily_budget


def test_weekends_lift_the_shop_and_empty_the_clinic(tmp_path: Path) -> None:
    world = World("mutirao-1", date(2026, 11, 20))
    spend: dict[tuple[str, bool], list[int]] = {}
    for ad_id, (account, _, _, _) in world.places.items():
        for days in range(1, 85):
            day = world.epoch - timedelta(days=days)
            if not world.silent(account, day):
                key = (account.id, day.weekday() >= 5)
                spend.setdefault(key, []).append(world.demand(ad_id, day)[EVENTS.index("spend")])
    mean = {key: sum(found) / len(found) for key, found in spend.items()}
    assert mean[AURORA, True] > 1.2 * mean[AURORA, False]
    assert mean[VITORIA, True] < 0.5 * mean[VITORIA, False]


def test_the_clinic_has_two_days_without_data_and_the_shop_has_none(total: Sum) -> None:
    after: int = total.days_after  # type: ignore[attr-defined]
    assert [day for day in range(-27, 0) if not total(VITORIA, day - after, day - after)["impressions"]] == [-13, -12]
    assert all(total(AURORA, day, day)["impressions"] for day in range(-60, 1))
