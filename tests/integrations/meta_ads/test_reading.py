"""What the client reads: every page, numbers as numbers, what is absent as None."""

import hashlib
import hmac
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest

from core.errors import ArgumentsWrong, Refused
from core.money import Money
from integrations.meta_ads.client import MetaAdsClient
from integrations.meta_ads.simulator.launch import Launched
from integrations.meta_ads.simulator.world import CAMPAIGNS
from tests.integrations.meta_ads.conftest import AURORA, TODAY, VITORIA, Control

WEEK = {"since": TODAY - timedelta(days=7), "until": TODAY - timedelta(days=1)}


async def test_the_token_is_checked_with_its_owner_scopes_and_expiry(client: MetaAdsClient) -> None:
    info = await client.check_token()
    assert info.valid
    assert info.owner.name == "Sistema Agência Ipê"
    assert info.missing("ads_read", "ads_management", "pages_messaging") == ["pages_messaging"]
    assert info.expires is not None
    assert info.expires.date() > TODAY + timedelta(days=50)


async def test_both_accounts_come_with_currency_zone_and_attribution(client: MetaAdsClient) -> None:
    aurora, vitoria = await client.ad_accounts()
    assert (aurora.id, aurora.name, aurora.currency, aurora.time_zone) == (
        AURORA, "Loja Aurora", "BRL", "America/Sao_Paulo",
    )  # fmt: skip
    assert aurora.active
    assert aurora.attribution == "7d_click,1d_view"
    assert vitoria.attribution == "7d_click"
    assert (await client.ad_account(VITORIA)) == vitoria


@pytest.mark.parametrize("page_limit", [1, 3, 500])
async def test_every_page_is_read_whatever_its_size(
    reading_graph: Launched, connect: Callable[..., MetaAdsClient], page_limit: int
) -> None:
    client = connect(reading_graph, page_limit=page_limit)
    campaigns = await client.campaigns(AURORA)
    assert [one.id for one in campaigns] == [one.id for one in CAMPAIGNS if one.account_id == AURORA]
    rows = await client.insights(AURORA, level="campaign", fields=["campaign_id", "spend"], time_increment=1, **WEEK)
    assert len(rows) == 5 * 7
    assert len({(row.campaign_id, row.since) for row in rows}) == 5 * 7


async def test_accounts_are_read_without_the_fields_that_need_business_management(client: MetaAdsClient) -> None:
    """PostHog/posthog#80771: one such field made Meta refuse the whole request of tokens with ads_read only."""
    for field in ("business", "owner", "is_prepay_account"):
        with pytest.raises(Refused) as caught:
            await client.get(AURORA, ["name", field])
        assert caught.value.code == "meta_permission"
    assert len(await client.ad_accounts()) == 2


async def test_ads_can_be_read_below_a_campaign_and_below_an_ad_set(client: MetaAdsClient) -> None:
    campaign = CAMPAIGNS[1]
    assert [one.id for one in await client.ads(campaign.id)] == [ad.id for s in campaign.adsets for ad in s.ads]
    assert [one.id for one in await client.ads(campaign.adsets[0].id)] == [ad.id for ad in campaign.adsets[0].ads]


async def test_a_budget_stands_where_it_lives_and_is_absent_elsewhere(client: MetaAdsClient) -> None:
    campaigns = {one.id: one for one in await client.campaigns(AURORA)}
    adsets = await client.adsets(AURORA)
    winner = campaigns["120100000000000001"]
    assert winner.daily_budget == 12_000
    assert Money.from_meta_units(winner.daily_budget, "BRL") == Money(Decimal("120.00"), "BRL")
    assert campaigns["120100000000000003"].daily_budget is None
    assert campaigns["120100000000000005"].lifetime_budget == 900_000
    for adset in adsets:
        above = campaigns[adset.campaign_id]
        has_own = adset.daily_budget is not None or adset.lifetime_budget is not None
        assert has_own != (above.daily_budget is not None or above.lifetime_budget is not None)


async def test_a_paused_campaign_shows_in_the_effective_status_of_everything_below_it(client: MetaAdsClient) -> None:
    paused = next(one for one in CAMPAIGNS if one.paused_since)
    assert (await client.campaign(paused.id)).effective_status == "PAUSED"
    assert {one.effective_status for one in await client.ads(paused.id)} == {"CAMPAIGN_PAUSED"}
    assert {one.status for one in await client.ads(paused.id)} == {"ACTIVE"}


async def test_what_was_not_asked_for_is_none_and_what_was_not_counted_is_empty(client: MetaAdsClient) -> None:
    (row,) = await client.insights("120100000000000004", level="campaign", fields=["spend", "action_values"], **WEEK)
    assert row.spend is not None
    assert row.spend > 0
    assert row.impressions is None
    assert row.reach is None
    assert row.actions is None
    assert row.action_values == {}


async def test_days_without_delivery_have_no_row(client: MetaAdsClient) -> None:
    rows = await client.insights(
        VITORIA,
        level="account",
        fields=["spend"],
        time_increment=1,
        since=TODAY - timedelta(days=14),
        until=TODAY - timedelta(days=10),
    )
    assert [(TODAY - row.since).days for row in rows] == [14, 11, 10]


async def test_attribution_windows_add_up_to_the_default(client: MetaAdsClient) -> None:
    (row,) = await client.insights(
        "120100000000000001",
        level="campaign",
        fields=["actions", "action_values", "attribution_setting"],
        action_attribution_windows=["1d_click", "7d_click", "28d_click", "1d_view"],
        since=TODAY - timedelta(days=60),
        until=TODAY - timedelta(days=1),
    )
    assert row.attribution_setting == "7d_click_1d_view"
    assert row.actions is not None
    purchases = row.actions["purchase"]
    assert purchases.value == purchases.windows["7d_click"] + purchases.windows["1d_view"]
    assert purchases.windows["1d_click"] < purchases.windows["7d_click"] < purchases.windows["28d_click"]


@pytest.mark.parametrize("window", ["7d_view", "28d_view"])
async def test_a_dead_attribution_window_is_refused_before_meta_is_asked(
    client: MetaAdsClient, control: Control, window: str
) -> None:
    before = control.requests()
    with pytest.raises(ArgumentsWrong) as caught:
        await client.insights(AURORA, level="ad", fields=["actions"], action_attribution_windows=[window], **WEEK)
    assert (caught.value.code, caught.value.params) == ("meta_window_dead", {"window": window})
    assert control.requests() == before


async def test_breakdowns_add_up_to_the_whole(client: MetaAdsClient) -> None:
    fields = ["impressions", "spend", "actions", "reach"]
    (whole,) = await client.insights(AURORA, level="account", fields=fields, **WEEK)
    for breakdowns in (["age"], ["gender"], ["age", "gender"], ["publisher_platform"], ["region"], ["country"]):
        rows = await client.insights(AURORA, level="account", fields=fields, breakdowns=breakdowns, **WEEK)
        assert sum(row.impressions or 0 for row in rows) == whole.impressions
        assert sum(row.spend or 0 for row in rows) == whole.spend
        assert all(set(row.breakdown) == set(breakdowns) for row in rows)


async def test_filtering_narrows_to_the_asked_campaigns(client: MetaAdsClient) -> None:
    wanted = ["120100000000000001", "120100000000000003"]
    rows = await client.insights(
        AURORA,
        level="campaign",
        fields=["campaign_id", "spend"],
        filtering=[{"field": "campaign.id", "operator": "IN", "value": wanted}],
        **WEEK,
    )
    assert [row.campaign_id for row in rows] == wanted


async def test_a_question_too_big_for_one_answer_is_asked_as_a_report_job(
    client: MetaAdsClient, control: Control
) -> None:
    asked = {"level": "ad", "fields": ["ad_id", "spend", "impressions"], **WEEK}
    direct = await client.insights(AURORA, **asked)
    control.fail({"kind": "error", "method": "GET", "path": "insights", "code": 100, "subcode": 1504018})
    assert await client.insights(AURORA, **asked) == direct


async def test_the_app_secret_proof_is_sent_and_a_wrong_one_refused(
    reading_graph: Launched, connect: Callable[..., MetaAdsClient], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folders = tmp_path_factory.getbasetemp().glob("graph*")
    own = next(folder for folder in folders if (folder / "token").read_text().strip() == reading_graph.token)
    secret = (own / "app_secret").read_text().strip()
    assert len(hmac.new(secret.encode(), b"", hashlib.sha256).hexdigest()) == 64
    assert (await connect(reading_graph, app_secret=secret).me()).id
    with pytest.raises(ArgumentsWrong) as caught:
        await connect(reading_graph, app_secret="not the secret").me()
    assert caught.value.code == "meta_bad_request"


async def test_another_token_is_refused(reading_graph: Launched, connect: Callable[..., MetaAdsClient]) -> None:
    with pytest.raises(Refused) as caught:
        await connect(reading_graph, token="EAAnotours").me()
    assert caught.value.code == "meta_token_expired"


@pytest.mark.parametrize("object_id", ["", "1/../2", "act_1?fields=x", "ação", "999999"])
async def test_what_is_no_object_is_not_found(client: MetaAdsClient, object_id: str) -> None:
    with pytest.raises(ArgumentsWrong) as caught:
        await client.get(object_id, ["name"])
    assert caught.value.code == "meta_not_found"
