"""The official facebook-business SDK, our client and a sum over the ledger of events tell the same numbers."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from facebook_business.adobjects.ad import Ad
from facebook_business.adobjects.adaccount import AdAccount
from facebook_business.adobjects.adset import AdSet
from facebook_business.adobjects.adsinsights import AdsInsights
from facebook_business.adobjects.campaign import Campaign
from facebook_business.adobjects.user import User
from facebook_business.api import FacebookAdsApi
from facebook_business.exceptions import FacebookRequestError
from facebook_business.session import FacebookSession

from integrations.meta_ads.client import MetaAdsClient
from integrations.meta_ads.simulator.launch import Launched
from tests.integrations.meta_ads.conftest import AURORA, TODAY, VITORIA, Control

SINCE, UNTIL = TODAY - timedelta(days=30), TODAY - timedelta(days=1)
WINDOW = {"since": SINCE.isoformat(), "until": UNTIL.isoformat()}
FIELDS = ["campaign_id", "adset_id", "ad_id", "impressions", "clicks", "reach", "spend", "actions", "action_values"]


@pytest.fixture
def sdk(reading_graph: Launched, monkeypatch: pytest.MonkeyPatch) -> Iterator[FacebookAdsApi]:
    """The SDK as its users set it up; only its address is ours."""
    monkeypatch.setattr(FacebookSession, "GRAPH", reading_graph.base_url)
    yield FacebookAdsApi.init(access_token=reading_graph.token, crash_log=False)
    FacebookAdsApi.set_default_api(None)


def _action(row: Any, listed: str, name: str) -> Decimal:
    return sum((Decimal(one["value"]) for one in row.get(listed, []) if one["action_type"] == name), Decimal(0))


@pytest.mark.parametrize("account_id", [AURORA, VITORIA])
@pytest.mark.parametrize("level", ["account", "campaign", "adset", "ad"])
async def test_sdk_client_and_ledger_agree(
    sdk: FacebookAdsApi, client: MetaAdsClient, control: Control, account_id: str, level: str
) -> None:
    key = {"account": "account_id", "campaign": "campaign_id", "adset": "adset_id", "ad": "ad_id"}[level]
    fields = [*FIELDS, "account_id"]

    def read_by_sdk() -> list[AdsInsights]:
        params = {"level": level, "time_range": WINDOW, "limit": 4}
        return list(AdAccount(account_id).get_insights(fields=fields, params=params))

    by_sdk = {row[key]: row for row in await asyncio.to_thread(read_by_sdk)}
    ours = await client.insights(account_id, level=level, fields=fields, since=SINCE, until=UNTIL)
    by_us = {str(getattr(row, key)).removeprefix("act_"): row for row in ours}

    sums: dict[str, dict[str, int]] = {}
    for event in control.ledger(account_id, SINCE, UNTIL):
        owner = account_id.removeprefix("act_") if level == "account" else event[key]
        total = sums.setdefault(owner, {})
        for name, count in event.items():
            if isinstance(count, int):
                total[name] = total.get(name, 0) + count

    default = ("click_1d", "click_7d", "view_1d") if account_id == AURORA else ("click_1d", "click_7d")
    assert by_sdk.keys() == by_us.keys() == sums.keys()
    for owner, total in sums.items():
        theirs, mine = by_sdk[owner], by_us[owner]
        assert int(theirs["impressions"]) == mine.impressions == total["impressions"]
        assert int(theirs["clicks"]) == mine.clicks == total["clicks"]
        assert Decimal(theirs["spend"]) == mine.spend == Decimal(total["spend"]) / 100
        assert int(theirs["reach"]) == mine.reach
        assert mine.actions is not None
        assert mine.action_values is not None
        for action, kinds in (
            ("purchase", ("purchase",)),
            ("lead", ("form_lead", "site_lead")),
            ("onsite_conversion.messaging_conversation_started_7d", ("conversation",)),
        ):
            counted = sum(total.get(f"{kind}.{source}", 0) for kind in kinds for source in default)
            assert _action(theirs, "actions", action) == counted
            found = mine.actions.get(action)
            assert (found.value if found else 0) == counted
        value = Decimal(sum(total.get(f"purchase_value.{source}", 0) for source in default)) / 100
        assert _action(theirs, "action_values", "purchase") == value
        assert _action(theirs, "actions", "link_click") == total["link_clicks"]


def test_the_sdk_walks_the_pages_of_every_edge(sdk: FacebookAdsApi) -> None:
    accounts = list(User("me").get_ad_accounts(fields=[AdAccount.Field.name, AdAccount.Field.timezone_name]))
    assert [one["name"] for one in accounts] == ["Loja Aurora", "Clínica Vitória"]
    account = AdAccount(AURORA)
    fields = [
        Campaign.Field.name,
        Campaign.Field.objective,
        Campaign.Field.effective_status,
        Campaign.Field.daily_budget,
    ]
    campaigns = account.get_campaigns(fields=fields, params={"limit": 2})
    assert campaigns.total() == 6
    assert len(list(campaigns)) == 6
    adsets = list(
        account.get_ad_sets(fields=[AdSet.Field.campaign_id, AdSet.Field.destination_type], params={"limit": 5})
    )
    assert len(adsets) == 12
    assert len(list(Campaign(adsets[0]["campaign_id"]).get_ads(fields=[Ad.Field.adset_id], params={"limit": 1}))) == 4


def test_the_sdk_reads_a_report_job(sdk: FacebookAdsApi) -> None:
    params = {"level": "campaign", "time_range": WINDOW}
    job = AdAccount(AURORA).get_insights_async(fields=["campaign_id", "spend"], params=params)
    seen = []
    while not seen or seen[-1] != "Job Completed":
        seen.append(job.api_get()["async_status"])
        assert len(seen) < 10
    assert "Job Running" in seen
    direct = AdAccount(AURORA).get_insights(fields=["campaign_id", "spend"], params=params)
    assert [dict(row) for row in job.get_insights()] == [dict(row) for row in direct]


def test_the_sdk_understands_our_refusals(sdk: FacebookAdsApi) -> None:
    with pytest.raises(FacebookRequestError) as caught:
        AdSet("120200000000000001").api_update(params={"daily_budget": 5_000})
    assert (caught.value.api_error_code(), caught.value.api_error_subcode()) == (100, 1885621)
    with pytest.raises(FacebookRequestError) as caught:
        AdAccount("act_1").api_get(fields=["name"])
    assert (caught.value.http_status(), caught.value.api_error_code(), caught.value.api_error_subcode()) == (
        400,
        100,
        33,
    )
    with pytest.warns(UserWarning, match="spent"), pytest.raises(FacebookRequestError) as caught:
        AdAccount(AURORA).get_insights(fields=["spent"])
    assert caught.value.api_error_code() == 100


def test_the_sdk_checks_a_write_without_doing_it(sdk: FacebookAdsApi, control: Control) -> None:
    Ad("120300000000000005").api_update(params={"status": "PAUSED", "execution_options": ["validate_only"]})
    assert Ad("120300000000000005").api_get(fields=["status"])["status"] == "ACTIVE"
    assert control.writes() == []
