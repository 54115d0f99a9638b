from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from business.ads.metrics import (
    METRICS,
    Reach,
    ResultKind,
    Totals,
    by_kind,
    change,
    changes,
    count,
    days_without_data,
    metric,
    result_of,
    totals,
)
from business.ads.model import Figures, Level, Window
from core.errors import ArgumentsWrong
from core.money import Money

ZONE = "America/Sao_Paulo"
WEEK = Window(date(2026, 11, 13), date(2026, 11, 19), ZONE)


def brl(amount: str) -> Money:
    return Money(Decimal(amount), "BRL")


def row(entity_id: str = "c1", spend: str | None = None, day: date | None = None, **figures: Any) -> Figures:
    since, until = (day, day) if day else (WEEK.since, WEEK.until)
    actions = {name: Decimal(n) for name, n in figures.pop("actions", {}).items()}
    values = {name: Decimal(n) for name, n in figures.pop("values", {}).items()}
    money = brl(spend) if spend is not None else None
    return Figures(
        entity_id,
        Level.CAMPAIGN,
        entity_id,
        since,
        until,
        spend=money,
        actions=actions,
        action_values=values,
        **figures,
    )


def test_totals_and_ratios_equal_a_calculation_by_hand() -> None:
    first = {"impressions": 10_000, "clicks": 200, "link_clicks": 150}
    second = {"impressions": 5_000, "clicks": 100, "link_clicks": 60}
    rows = [
        row("c1", "100.50", **first, actions={"purchase": "4"}, values={"purchase": "800"}),
        row("c2", "49.50", **second, actions={"purchase": "1"}, values={"purchase": "50"}),
    ]
    found = totals(rows, ResultKind.PURCHASE)
    assert found is not None
    assert found.spend == brl("150.00")
    assert (found.impressions, found.clicks, found.link_clicks) == (15_000, 300, 210)
    assert found.results == 5
    assert found.ctr == 2  # 300 / 15,000 = 2 %
    assert found.link_ctr == Decimal("1.4")
    assert found.cpc == brl("0.5")
    assert found.cpm == brl("10")
    assert found.cost_per_result == brl("30")
    assert found.purchase_value == brl("850")
    assert found.roas is not None
    assert round(found.roas, 4) == Decimal("5.6667")
    assert found.incomplete == frozenset()


def test_no_rows_are_no_data_and_not_zero() -> None:
    assert totals([]) is None
    assert metric(None, "spend") is None


def test_a_figure_that_no_row_has_is_none_and_its_ratios_too() -> None:
    found = totals([row(spend="10", impressions=0)])
    assert found is not None
    assert found.clicks is None
    assert found.ctr is None
    assert found.cpc is None
    assert found.cpm is None  # no impressions: undefined, not zero


def test_a_figure_that_only_some_rows_have_is_marked_incomplete() -> None:
    found = totals([row("c1", "10", clicks=5), row("c2", "20")])
    assert found is not None
    assert found.clicks == 5
    assert found.incomplete == {"clicks"}


def test_what_meta_leaves_out_of_a_delivered_row_did_not_happen() -> None:
    assert count([row(spend="10", impressions=100)], ResultKind.PURCHASE) == 0


def test_a_source_that_tells_no_actions_has_no_data_on_results() -> None:
    assert count([row(spend="10", actions_known=False)], ResultKind.PURCHASE) is None


def test_a_generic_action_type_and_its_parts_are_never_added() -> None:
    # Meta sends all three for the same ten purchases: omni_purchase holds purchase holds the pixel's.
    actions = {"omni_purchase": "10", "purchase": "10", "offsite_conversion.fb_pixel_purchase": "10"}
    assert count([row(actions=actions)], ResultKind.PURCHASE) == 10
    assert (
        count([row(actions={"purchase": "7", "offsite_conversion.fb_pixel_purchase": "7"})], ResultKind.PURCHASE) == 7
    )
    assert count([row(actions={"offsite_conversion.fb_pixel_purchase": "3"})], ResultKind.PURCHASE) == 3


def test_a_type_that_only_looks_alike_does_not_count() -> None:
    actions = {"onsite_conversion.purchase_cancelled": "5", "add_to_cart": "9", "leadgen.other": "2"}
    assert count([row(actions=actions)], ResultKind.PURCHASE) == 0
    assert count([row(actions=actions)], ResultKind.LEAD) == 0


def test_one_action_type_counts_for_all_rows_of_a_sum() -> None:
    rows = [row("c1", actions={"omni_purchase": "4", "purchase": "3"}), row("c2", actions={"purchase": "2"})]
    assert count(rows, ResultKind.PURCHASE) == 4


def test_different_currencies_are_never_added() -> None:
    dollars = Figures("c2", Level.CAMPAIGN, "c2", WEEK.since, WEEK.until, spend=Money(Decimal(1), "USD"))
    with pytest.raises(ArgumentsWrong) as wrong:
        totals([row(spend="1"), dollars])
    assert wrong.value.code == "currencies_mixed"


def test_results_of_different_kinds_are_never_added() -> None:
    rows = [row("c1", "10", actions={"purchase": "2"}), row("c2", "10", actions={"lead": "5"})]
    found = totals(rows, {"c1": ResultKind.PURCHASE, "c2": ResultKind.LEAD})
    assert found is not None
    assert found.results is None
    assert found.cost_per_result is None
    apart = by_kind(rows, {"c1": ResultKind.PURCHASE, "c2": ResultKind.LEAD}, Level.CAMPAIGN)
    assert {kind: t.results for kind, t in apart.items()} == {ResultKind.PURCHASE: 2, ResultKind.LEAD: 5}


# --- reach ---------------------------------------------------------------------------------------


def test_reach_has_no_sum() -> None:
    reach = Reach(100, "c1", WEEK.since, WEEK.until)
    with pytest.raises(TypeError):
        reach + reach  # type: ignore[operator]
    with pytest.raises(TypeError):
        sum([reach, reach])  # type: ignore[call-overload]
    with pytest.raises(TypeError):
        reach < reach  # type: ignore[operator]  # noqa: B015


def test_reach_comes_only_from_a_row_of_exactly_the_window() -> None:
    whole = row(impressions=300, reach=100)
    found = totals([whole], window=WEEK)
    assert found is not None
    assert found.reach is not None
    assert (found.reach.people, found.frequency) == (100, 3)
    for rows in ([whole, row("c2", impressions=5, reach=5)], [row(impressions=300, reach=100, day=date(2026, 11, 13))]):
        summed = totals(rows, window=WEEK)
        assert summed is not None
        assert summed.reach is None
        assert summed.frequency is None


# --- what counts as a result -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("objective", "destination", "goal", "kind"),
    [
        ("OUTCOME_SALES", "WEBSITE", "OFFSITE_CONVERSIONS", ResultKind.PURCHASE),
        ("OUTCOME_LEADS", "ON_AD", "LEAD_GENERATION", ResultKind.LEAD),
        ("OUTCOME_LEADS", "WEBSITE", "OFFSITE_CONVERSIONS", ResultKind.LEAD),
        ("OUTCOME_ENGAGEMENT", "WHATSAPP", "CONVERSATIONS", ResultKind.CONVERSATION),
        ("OUTCOME_SALES", "WHATSAPP", "CONVERSATIONS", ResultKind.CONVERSATION),
        ("OUTCOME_SALES", "MESSAGING_INSTAGRAM_DIRECT_MESSENGER_WHATSAPP", "", ResultKind.CONVERSATION),
        ("OUTCOME_TRAFFIC", "WEBSITE", "LANDING_PAGE_VIEWS", ResultKind.LANDING_PAGE_VIEW),
        ("OUTCOME_TRAFFIC", "", "LINK_CLICKS", ResultKind.LINK_CLICK),
        ("OUTCOME_TRAFFIC", "", "", ResultKind.LANDING_PAGE_VIEW),
        ("OUTCOME_ENGAGEMENT", "ON_POST", "POST_ENGAGEMENT", ResultKind.ENGAGEMENT),
        ("OUTCOME_AWARENESS", "", "REACH", None),
        ("", "", "", ResultKind.RESULT),
    ],
)
def test_the_result_follows_what_the_campaign_is_run_for(
    objective: str, destination: str, goal: str, kind: ResultKind | None
) -> None:
    assert result_of(objective, destination, goal) is kind


def test_an_account_may_count_something_else() -> None:
    assert result_of("OUTCOME_SALES", "WHATSAPP", "", {"OUTCOME_SALES": "purchase"}) is ResultKind.PURCHASE
    assert result_of("OUTCOME_TRAFFIC", "", "", {"*": "lead"}) is ResultKind.LEAD
    with pytest.raises(ArgumentsWrong) as wrong:
        result_of("OUTCOME_SALES", rules={"*": "sale"})
    assert wrong.value.code == "result_rule_unknown"


# --- comparing -------------------------------------------------------------------------------------


def test_a_change_from_zero_or_from_no_data_is_not_said() -> None:
    assert change(brl("100"), brl("125")) == 25
    assert change(Decimal(4), Decimal(3)) == -25
    assert change(0, 5) is None
    assert change(None, 5) is None
    assert change(5, None) is None
    assert set(changes(None, Totals(clicks=1)).values()) == {None}


def test_results_of_another_kind_are_not_compared() -> None:
    before = Totals(results=Decimal(5), result_kind=ResultKind.LEAD, clicks=10)
    after = Totals(results=Decimal(10), result_kind=ResultKind.PURCHASE, clicks=20)
    found = changes(before, after)
    assert found["results"] is None
    assert found["clicks"] == 100


def test_days_without_data_are_listed_and_today_is_not_one_of_them() -> None:
    sent = [row(day=date(2026, 11, day)) for day in (13, 14, 16, 17)]
    assert days_without_data(sent, WEEK) == [date(2026, 11, 15), date(2026, 11, 18), date(2026, 11, 19)]
    today = Window(date(2026, 11, 16), date(2026, 11, 18), ZONE, partial=True)
    assert days_without_data(sent, today) == []


def test_an_unknown_metric_is_told_with_the_known_ones() -> None:
    with pytest.raises(ArgumentsWrong) as wrong:
        metric(Totals(), "roi")
    assert "roas" in wrong.value.params["names"]


figures = st.builds(
    lambda n, spend, impressions, clicks, bought: row(
        f"c{n}",
        None if spend is None else str(spend),
        impressions=impressions,
        clicks=clicks,
        actions={} if bought is None else {"purchase": str(bought)},
    ),
    st.integers(1, 5),
    st.none() | st.decimals(0, 10_000, places=2),
    st.none() | st.integers(0, 10**6),
    st.none() | st.integers(0, 10**4),
    st.none() | st.integers(0, 100),
)


@given(st.lists(figures, min_size=1, max_size=8), st.randoms())
def test_totals_do_not_depend_on_the_order_of_rows_and_never_invent_a_zero(rows: list[Figures], random: Any) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)
    one, other = totals(rows, ResultKind.PURCHASE), totals(shuffled, ResultKind.PURCHASE)
    assert one == other
    assert one is not None
    for name in ("spend", "impressions", "clicks"):
        known = [getattr(r, name) for r in rows if getattr(r, name) is not None]
        assert (getattr(one, name) is None) == (not known)
        assert (name in one.incomplete) == (0 < len(known) < len(rows))
    for name in METRICS:
        metric(one, name)  # defined or None, never an error
