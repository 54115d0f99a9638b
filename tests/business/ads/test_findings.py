"""The rules, each with its sample-size gate; then the sandbox's planted truths, on several days."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from business.ads import findings as rules
from business.ads.findings import Evidence, Finding, Kind, Span, Suggestion, find
from business.ads.graph_source import GraphSource
from business.ads.metrics import ResultKind
from business.ads.model import Account, Entity, Figures, Level, Status, Window
from business.ads.windows import default_window, last_days
from core.money import Money
from integrations.meta_ads.simulator.world import TRUTHS
from tests.business.ads.conftest import AURORA, NOW, World, identity, service_over

ZONE = "America/Sao_Paulo"
UNTIL = date(2026, 11, 19)
WEEK = Window(UNTIL - timedelta(days=6), UNTIL, ZONE)
SPAN = Span.of(WEEK)
ACCOUNT = Account("act_1", "Loja", "BRL", ZONE)


def brl(amount: float | str | int) -> Money:
    return Money(Decimal(str(amount)), "BRL")


def entity(entity_id: str, level: Level, parent: str | None = None, **options: Any) -> Entity:
    campaign = entity_id if level is Level.CAMPAIGN else options.pop("campaign", "c1")
    settings = {"objective": "OUTCOME_SALES", "parent_id": parent, "campaign_id": campaign, **options}
    return Entity(entity_id, level, entity_id, "act_1", Status.ACTIVE, "ACTIVE", **settings)


def row(entity: Entity, since: date, until: date, **figures: Any) -> Figures:
    actions = {name: Decimal(n) for name, n in figures.pop("actions", {}).items()}
    spend = figures.pop("spend", None)
    return Figures(
        entity.id, entity.level, entity.name, since, until, campaign_id=entity.campaign_id, actions=actions,
        spend=None if spend is None else brl(spend), **figures,
    )  # fmt: skip


def daily(campaign: Entity, per_day: Any, days: int = 28) -> list[Figures]:
    """`per_day(n)` gives the figures of the n-th day before the last (0 is the last), None for no data."""
    rows = []
    for n in range(days - 1, -1, -1):
        figures = per_day(n)
        if figures is not None:
            day = UNTIL - timedelta(days=n)
            rows.append(row(campaign, day, day, **figures))
    return rows


def evidence(campaigns: list[Entity], **options: Any) -> Evidence:
    ads, adsets = options.pop("ads", []), options.pop("adsets", [])
    everything = [*campaigns, *adsets, *ads]
    kinds = options.pop("kinds", {e.id: ResultKind.PURCHASE for e in everything})
    return Evidence(
        account=ACCOUNT,
        span=options.pop("span", SPAN),
        campaigns={c.id: c for c in campaigns},
        adsets={a.id: a for a in adsets},
        ads={a.id: a for a in ads},
        kinds=kinds,
        campaign_days=options.pop("campaign_days", []),
        **options,
    )


def fact(finding: Finding, label: str) -> Any:
    return next(f.value for f in finding.evidence if f.label == f"finding.fact.{label}")


def test_the_periods_leave_today_out() -> None:
    partial = Window(date(2026, 11, 1), date(2026, 11, 20), ZONE, partial=True)
    span = Span.of(partial)
    assert span.whole_days == Window(date(2026, 11, 1), UNTIL, ZONE)
    assert (span.recent.since, span.recent.until) == (date(2026, 11, 13), UNTIL)
    assert (span.earlier.since, span.earlier.until) == (date(2026, 10, 23), date(2026, 10, 29))
    assert span.history.days == 28
    assert span.earlier.since.weekday() == span.recent.since.weekday()
    only_today = Window(date(2026, 11, 20), date(2026, 11, 20), ZONE, partial=True)
    assert Span.of(only_today).whole_days == Window(UNTIL, UNTIL, ZONE)


# --- tracking --------------------------------------------------------------------------------------

SHOP = entity("c1", Level.CAMPAIGN)


def clicks_and_buys(silent_days: int, clicks: int = 100, bought: int = 3, clicks_now: int | None = None) -> Any:
    def day(n: int) -> dict[str, Any]:
        now = clicks if clicks_now is None or n >= silent_days else clicks_now
        return {
            "spend": 50,
            "link_clicks": now,
            "actions": {"landing_page_view": now * 0.8} | ({} if n < silent_days else {"purchase": bought}),
        }

    return day


def test_conversions_that_vanish_while_clicks_go_on_are_broken_tracking_and_no_reason_to_pause() -> None:
    (found,) = rules.tracking(evidence([SHOP], campaign_days=daily(SHOP, clicks_and_buys(4))))
    assert (found.kind, found.suggestion) == (Kind.TRACKING, Suggestion.CHECK_TRACKING)
    assert fact(found, "silent_since") == date(2026, 11, 16)
    assert fact(found, "expected_results") == 12  # 3 a day over 4 days
    assert fact(found, "link_clicks") == 400
    assert fact(found, "results_per_link_click_before") == 3
    assert fact(found, "spend") == brl(200)


def test_a_pixel_that_no_longer_counts_pages_either_is_measured_by_the_same_clicks() -> None:
    figures = daily(
        SHOP,
        lambda n: {
            "spend": 50,
            "link_clicks": 100,
            "actions": {} if n < 4 else {"landing_page_view": 80, "purchase": 3},
        },
    )
    (found,) = rules.tracking(evidence([SHOP], campaign_days=figures))
    assert (fact(found, "link_clicks"), fact(found, "expected_results")) == (400, 12)


@pytest.mark.parametrize(
    ("why", "figures"),
    [
        ("one day may be a late report", clicks_and_buys(1, bought=30)),
        ("so few were due that chance explains it", clicks_and_buys(2)),
        ("the clicks fell too: the traffic broke, not the counting", clicks_and_buys(20, clicks_now=30)),
        ("so few were counted before that the usual rate is not known", clicks_and_buys(25)),
        ("there never were conversions to lose", clicks_and_buys(28)),
        ("conversions go on", clicks_and_buys(0)),
    ],
)
def test_tracking_is_not_called_broken_when(why: str, figures: Any) -> None:
    assert rules.tracking(evidence([SHOP], campaign_days=daily(SHOP, figures))) == [], why


def test_checkouts_without_any_purchase_tell_a_tag_that_broke_long_ago() -> None:
    def day(_: int) -> dict[str, Any]:
        return {"spend": 50, "link_clicks": 100, "actions": {"omni_initiated_checkout": 4}}

    (found,) = rules.tracking(evidence([SHOP], campaign_days=daily(SHOP, day)))
    assert found.suggestion is Suggestion.CHECK_TRACKING
    assert fact(found, "checkouts") == 112


def test_campaigns_that_are_paused_or_bring_no_pixel_events_are_not_suspected() -> None:
    days = daily(SHOP, clicks_and_buys(4))
    paused = replace(SHOP, effective_status="PAUSED")
    assert rules.tracking(evidence([paused], campaign_days=days)) == []
    assert rules.tracking(evidence([SHOP], campaign_days=days, kinds={"c1": ResultKind.CONVERSATION})) == []


# --- fatigue ---------------------------------------------------------------------------------------

TIRED, FRESH = entity("tired", Level.AD, "s1"), entity("fresh", Level.AD, "s1")


def ad_week(ad: Entity, window: Window, impressions: int, reach: int, clicks: int, bought: int, spend: int) -> Figures:
    return row(
        ad, window.since, window.until, impressions=impressions, reach=reach, link_clicks=clicks, spend=spend,
        actions={"purchase": bought} if bought else {},
    )  # fmt: skip


EARLIER = ad_week(TIRED, SPAN.earlier, 30_000, 20_000, 450, 10, 500)
NOW_TIRED = ad_week(TIRED, SPAN.recent, 30_000, 10_000, 240, 4, 500)


def fatigue(now: Figures, earlier: Figures | None = EARLIER, **options: Any) -> list[Finding]:
    options = {"ads": [TIRED, FRESH], **options}
    return rules.fatigued(
        evidence([SHOP], ads_recent=[now], ads_earlier=[earlier] if earlier else [], **options),
        options.pop("kept", set()),
    )


def test_an_ad_seen_too_often_clicked_less_and_dearer_is_worn_out() -> None:
    (found,) = fatigue(NOW_TIRED)
    assert (found.entity_id, found.suggestion) == ("tired", Suggestion.PAUSE)
    assert fact(found, "frequency") == 3
    assert fact(found, "frequency_before") == Decimal("1.5")
    assert fact(found, "link_ctr") == Decimal("0.8")
    assert fact(found, "link_ctr_before") == Decimal("1.5")
    assert fact(found, "cost_per_result.purchase") == brl(125)
    assert fact(found, "cost_per_result_before") == brl(50)


@pytest.mark.parametrize(
    ("why", "now"),
    [
        ("too few impressions", ad_week(TIRED, SPAN.recent, 4_000, 1_300, 32, 1, 100)),
        ("people have not seen it often", ad_week(TIRED, SPAN.recent, 30_000, 16_000, 240, 4, 500)),
        ("the click rate holds", ad_week(TIRED, SPAN.recent, 30_000, 10_000, 400, 4, 500)),
        ("results cost no more than before", ad_week(TIRED, SPAN.recent, 30_000, 10_000, 240, 10, 500)),
    ],
)
def test_an_ad_is_not_called_worn_out_when(why: str, now: Figures) -> None:
    assert fatigue(now) == [], why


@pytest.mark.parametrize(
    ("why", "earlier"),
    [
        ("it was seen as often three weeks ago", ad_week(TIRED, SPAN.earlier, 30_000, 11_500, 450, 10, 500)),
        ("too few results tell what one cost", ad_week(TIRED, SPAN.earlier, 30_000, 20_000, 450, 7, 350)),
        ("too few impressions to compare with", ad_week(TIRED, SPAN.earlier, 4_900, 3_200, 74, 10, 500)),
    ],
)
def test_an_earlier_week_that_says_little_proves_no_wear(why: str, earlier: Figures) -> None:
    assert fatigue(NOW_TIRED, earlier) == [], why


def test_without_reach_nothing_is_said_about_frequency() -> None:
    assert fatigue(replace(NOW_TIRED, reach=None)) == []


def test_the_only_running_ad_of_an_ad_set_is_not_proposed_for_a_pause() -> None:
    (found,) = fatigue(NOW_TIRED, ads=[TIRED, replace(FRESH, effective_status="PAUSED")])
    assert found.suggestion is Suggestion.NONE


def test_an_ad_worn_out_for_long_is_seen_beside_the_others_of_its_campaign() -> None:
    peers = ad_week(FRESH, SPAN.recent, 40_000, 30_000, 600, 15, 600)
    worn = ad_week(TIRED, SPAN.recent, 30_000, 9_000, 210, 4, 500)
    found = rules.fatigued(evidence([SHOP], ads=[TIRED, FRESH], ads_recent=[worn, peers], ads_earlier=[worn]), set())
    assert [f.entity_id for f in found] == ["tired"]
    assert fact(found[0], "link_ctr_peers") == Decimal("1.5")
    assert fact(found[0], "cost_per_result_peers") == brl(40)


def test_what_belongs_to_a_kept_campaign_is_left_alone() -> None:
    assert (
        rules.fatigued(evidence([SHOP], ads=[TIRED, FRESH], ads_recent=[NOW_TIRED], ads_earlier=[EARLIER]), {"c1"})
        == []
    )


# --- wasted spend ----------------------------------------------------------------------------------


def wasted(spend: int, account_results: int = 20, **options: Any) -> list[Finding]:
    ads = [replace(TIRED, **options), FRESH]
    rows = [
        row(TIRED, WEEK.since, WEEK.until, spend=spend, link_clicks=90, impressions=9_000),
        row(FRESH, WEEK.since, WEEK.until, spend=400, actions={"purchase": account_results}),
    ]
    return rules.wasted_spend(evidence([SHOP], ads=ads, ads_window=rows), set(), set())


def test_spend_of_several_costs_per_result_without_a_result_is_wasted() -> None:
    # 20 purchases for 400 + 100: R$ 25 each; the ad spent four times that.
    (found,) = wasted(100)
    assert (found.entity_id, found.suggestion) == ("tired", Suggestion.PAUSE)
    assert fact(found, "cost_per_result_account") == brl(25)
    assert fact(found, "spend") == brl(100)


def test_spend_that_chance_explains_is_not_wasted() -> None:
    assert wasted(60) == []


def test_without_enough_results_in_the_account_nothing_is_called_wasted() -> None:
    assert wasted(900, account_results=9) == []


def test_an_ad_of_yesterday_is_still_being_learned() -> None:
    assert wasted(100, created=NOW - timedelta(days=2)) == []
    assert len(wasted(100, created=NOW - timedelta(days=20))) == 1


# --- winners ---------------------------------------------------------------------------------------

STAR = entity("star", Level.CAMPAIGN, daily_budget=brl(100))
OTHER = entity("other", Level.CAMPAIGN, daily_budget=brl(300))


def winner(star_spend: float, star_bought: int, full_days: int = 7, other_bought: int = 4) -> list[Finding]:
    star = daily(STAR, lambda n: {"spend": star_spend if n < full_days else 50, "actions": {"purchase": star_bought}})
    other = daily(OTHER, lambda n: {"spend": 200, "actions": {"purchase": other_bought}})
    return rules.budget_limited_winners(evidence([STAR, OTHER], campaign_days=[*star, *other]), set())


def test_a_campaign_that_spends_its_budget_and_sells_cheaper_is_held_back() -> None:
    (found,) = winner(99.5, 4)  # about R$ 25 against R$ 50
    assert (found.entity_id, found.kind, found.suggestion) == ("star", Kind.WINNER, Suggestion.RAISE_BUDGET)
    assert fact(found, "days_at_budget") == 7
    assert fact(found, "cost_per_result_others") == brl(50)


@pytest.mark.parametrize(
    ("why", "found"),
    [
        ("money is left over", winner(60, 4)),
        ("its results cost as much as the others'", winner(99.5, 4, other_bought=8)),
        ("14 results may be luck", winner(99.5, 2, other_bought=2)),
        ("it reached its budget on four days only", winner(99.5, 4, full_days=4)),
        ("there is nothing to compare with", winner(99.5, 4, other_bought=0)),
    ],
)
def test_a_campaign_is_no_winner_when(why: str, found: list[Finding]) -> None:
    assert found == [], why


def test_a_winners_ads_are_never_proposed_for_a_pause() -> None:
    star = daily(STAR, lambda n: {"spend": 100, "actions": {"purchase": 4}})
    other = daily(OTHER, lambda n: {"spend": 200, "actions": {"purchase": 4}})
    ad = replace(TIRED, campaign_id="star")
    rows = [
        row(ad, WEEK.since, WEEK.until, spend=500),
        row(FRESH, WEEK.since, WEEK.until, spend=500, actions={"purchase": 20}),
    ]
    found = find(
        evidence(
            [STAR, OTHER], ads=[ad, replace(FRESH, campaign_id="other")], campaign_days=[*star, *other], ads_window=rows
        )
    )
    assert {f.suggestion for f in found} == {Suggestion.RAISE_BUDGET}


# --- no data, anomalies ----------------------------------------------------------------------------


def test_days_without_data_between_days_with_data_are_told() -> None:
    days = daily(SHOP, lambda n: None if n in (3, 4) else {"spend": 50})
    (found,) = rules.no_data(evidence([SHOP], campaign_days=days))
    assert [f.value for f in found.evidence[1:]] == [date(2026, 11, 15), date(2026, 11, 16)]
    assert found.severity == "medium"
    assert found.suggestion is Suggestion.NONE


def test_days_before_the_first_data_are_not_missing() -> None:
    assert rules.no_data(evidence([SHOP], campaign_days=daily(SHOP, lambda n: {"spend": 50}, days=5))) == []


def test_a_jump_of_spend_is_measured_against_the_same_weekday() -> None:
    def day(n: int) -> dict[str, Any]:
        weekend = (UNTIL - timedelta(days=n)).weekday() >= 5
        return {"spend": 120 if n == 0 else 200 if weekend else 60}

    (found,) = rules.anomalies(evidence([SHOP], campaign_days=daily(SHOP, day)))
    assert found.kind is Kind.SPEND_JUMP
    assert fact(found, "usual_spend") == brl(60)
    usual = daily(SHOP, lambda n: day(n) if n else {"spend": 70})
    assert rules.anomalies(evidence([SHOP], campaign_days=usual)) == []


def test_a_running_campaign_without_delivery_is_told() -> None:
    other = daily(OTHER, lambda n: {"spend": 100})
    stopped = daily(SHOP, lambda n: {"spend": 60} if n >= 2 else None)
    (found,) = rules.anomalies(evidence([SHOP, OTHER], campaign_days=[*other, *stopped]))
    assert (found.kind, found.entity_id) == (Kind.STOPPED, "c1")


def test_an_empty_account_has_no_findings() -> None:
    assert find(evidence([])) == []
    assert find(evidence([SHOP], ads=[TIRED])) == []


# --- the sandbox's planted truths ------------------------------------------------------------------


@pytest.mark.parametrize("later", [0, 1, 9, 30, 75])
async def test_the_planted_truths_are_found_today_and_as_time_goes_on(my_world: World, later: int) -> None:
    now = NOW + timedelta(days=later)
    await my_world.move_clock(now)
    service = service_over(lambda: GraphSource(my_world.client), now=now)
    me = identity()
    account = await service.find_account(me, AURORA)
    for window in (
        default_window(ZONE, now=now),
        last_days(30, ZONE, now=now),
        last_days(7, ZONE, now=now, with_today=True),
    ):
        found = (await service.findings(me, account, window)).findings
        paused = [f.entity_id for f in found if f.suggestion is Suggestion.PAUSE]
        assert paused == [TRUTHS.fatigued_ad]
        tracking = [f.entity_id for f in found if f.suggestion is Suggestion.CHECK_TRACKING]
        assert tracking == [TRUTHS.broken_pixel_campaign]
        winners = [f.entity_id for f in found if f.suggestion is Suggestion.RAISE_BUDGET]
        assert winners == [TRUTHS.winner_campaign]
        assert all(f.evidence for f in found)
    silent = await service.find_account(me, TRUTHS.silent_account)
    found = (await service.findings(me, silent, default_window(ZONE, now=now))).findings
    assert [f.kind for f in found] == [Kind.NO_DATA]


async def test_the_clicks_of_broken_tracking_are_the_link_clicks_that_happened(world: World) -> None:
    service = service_over(lambda: GraphSource(world.client))
    account = await service.find_account(identity(), AURORA)
    found = (await service.findings(identity(), account, default_window(ZONE, now=NOW))).findings
    (broken,) = [f for f in found if f.suggestion is Suggestion.CHECK_TRACKING]
    [told] = [f for f in broken.evidence if f.label == "finding.fact.link_clicks"]
    assert told.window is not None
    rows = await world.ledger(AURORA, told.window.since, told.window.until)
    assert told.value == sum(row["link_clicks"] for row in rows if row["campaign_id"] == broken.entity_id)
