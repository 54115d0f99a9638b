"""Reports and trends against the sandbox: every number equals the test's own sum over the ledger of events."""

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import httpx
import psycopg
import pytest
from psycopg.types.json import Jsonb

from business.ads.graph_source import GraphSource
from business.ads.metrics import METRICS, ResultKind
from business.ads.model import Account, Level, Window
from business.ads.report import Report
from business.ads.result_rules import result_rules
from business.ads.service import AdsService
from business.ads.windows import default_window, last_days, previous
from core.db import Database
from core.errors import ArgumentsWrong, Refused, Unavailable
from core.money import Money
from core.tenancy import Role
from integrations.meta_ads.client import MetaAdsClient
from tests.business.ads.conftest import AURORA, NOW, VITORIA, World, identity, service_over
from tests.conftest import Tenants

ZONE = "America/Sao_Paulo"
WEEK = default_window(ZONE, now=NOW)
BEFORE = previous(WEEK)
ME = identity()


async def aurora(service: AdsService) -> Account:
    return await service.find_account(ME, "Loja Aurora")


class Sums:
    """What the ledger says, added up by the test itself."""

    def __init__(self, rows: list[dict[str, Any]], attribution: tuple[str, ...]) -> None:
        self._rows = rows
        self._attribution = attribution

    def of(self, campaign: str | None = None, day: date | None = None) -> "Sums":
        rows = [r for r in self._rows if campaign is None or r["campaign_id"] == campaign]
        return Sums([r for r in rows if day is None or r["date"] == day.isoformat()], self._attribution)

    def count(self, event: str) -> int:
        return sum(int(r.get(event, 0)) for r in self._rows)

    @property
    def spend(self) -> Money:
        return Money(Decimal(self.count("spend")) / 100, "BRL")

    def converted(self, kind: str) -> int:
        """By the default attribution: clicks of up to 7 days, views of 1 day where the account counts views."""
        return sum(self.count(f"{kind}.{source}") for source in self._attribution)

    @property
    def value(self) -> Decimal:
        return Decimal(sum(self.count(f"purchase_value.{source}") for source in self._attribution)) / 100


async def ledger(world: World, account: str, window: Window) -> Sums:
    attribution = ("click_1d", "click_7d", "view_1d") if account == AURORA else ("click_1d", "click_7d")
    rows = await world.ledger(account, window.since, window.until)
    assert rows, "the ledger is empty"
    return Sums(rows, attribution)


async def test_a_report_of_campaigns_equals_the_ledger(world: World, service: AdsService) -> None:
    report = await service.report(ME, await aurora(service), Level.CAMPAIGN, WEEK, BEFORE)
    now, before = await ledger(world, AURORA, WEEK), await ledger(world, AURORA, BEFORE)

    assert report.total is not None
    assert report.before is not None
    assert report.total.spend == now.spend
    assert report.total.impressions == now.count("impressions")
    assert report.total.clicks == now.count("clicks")
    assert report.total.link_clicks == now.count("link_clicks")
    assert report.total.purchases == now.converted("purchase")
    assert report.total.purchase_value == Money(now.value, "BRL")
    assert report.before.spend == before.spend
    assert report.change["spend"] == before.spend.change_percent_to(now.spend)

    assert len(report.rows) == 5
    for row in report.rows:
        mine, earlier = now.of(row.id), before.of(row.id)
        assert row.totals is not None
        assert row.before is not None
        assert row.totals.spend == mine.spend, row.name
        assert row.totals.impressions == mine.count("impressions")
        assert row.before.link_clicks == earlier.count("link_clicks")
        if row.result_kind is ResultKind.PURCHASE:
            assert row.totals.results == mine.converted("purchase"), row.name
    assert [row.totals.spend.amount for row in report.rows if row.totals and row.totals.spend] == sorted(
        (row.totals.spend.amount for row in report.rows if row.totals and row.totals.spend), reverse=True
    )


async def test_the_total_of_several_kinds_of_result_keeps_them_apart(world: World, service: AdsService) -> None:
    report = await service.report(ME, await service.find_account(ME, "vitoria"), Level.CAMPAIGN, WEEK)
    sums = await ledger(world, VITORIA, WEEK)
    assert report.total is not None
    assert report.total.results is None
    by_kind = {k.kind: k.totals.results for k in report.kinds}
    assert by_kind[ResultKind.CONVERSATION] == sums.converted("conversation")
    assert by_kind[ResultKind.LEAD] == sums.converted("form_lead") + sums.converted("site_lead")


async def test_click_to_whatsapp_campaigns_count_conversations_whatever_their_objective(service: AdsService) -> None:
    report = await service.report(ME, await service.find_account(ME, "vitoria"), Level.CAMPAIGN, WEEK)
    kinds = {row.name: (row.objective, row.result_kind) for row in report.rows if row.name.startswith("[WHATSAPP]")}
    assert set(kinds.values()) == {
        ("OUTCOME_ENGAGEMENT", ResultKind.CONVERSATION),
        ("OUTCOME_SALES", ResultKind.CONVERSATION),
    }


async def test_reach_is_asked_at_each_level_and_never_added(service: AdsService) -> None:
    report = await service.report(ME, await aurora(service), Level.CAMPAIGN, WEEK)
    assert report.total is not None
    assert report.total.reach is not None
    rows = [row.totals.reach.people for row in report.rows if row.totals and row.totals.reach]
    assert len(rows) == len(report.rows)
    assert max(rows) < report.total.reach.people < sum(rows)
    two = await service.report(
        ME, await aurora(service), Level.CAMPAIGN, WEEK, entity_ids=[r.id for r in report.rows[:2]]
    )
    assert two.selected
    assert two.total is not None
    assert two.total.reach is None
    assert two.total.frequency is None


async def test_every_number_carries_what_is_needed_to_check_it(service: AdsService) -> None:
    report = await service.report(ME, await aurora(service), Level.CAMPAIGN, WEEK)
    assert (report.account.id, report.account.name, report.currency) == (AURORA, "Loja Aurora", "BRL")
    assert report.window.time_zone == ZONE
    assert report.attribution == "7d_click,1d_view"
    assert report.account.source == "meta"
    assert report.fetched_at == NOW
    assert not report.partial
    assert not report.lengths_differ


async def test_days_without_data_are_named_and_are_not_zeros(world: World, service: AdsService) -> None:
    account = await service.find_account(ME, "vitoria")
    window = Window(date(2026, 11, 6), date(2026, 11, 12), ZONE)
    report = await service.report(ME, account, Level.CAMPAIGN, window)
    silent = [date(2026, 11, 7), date(2026, 11, 8)]
    assert report.days_without_data == silent
    trend = await service.trend(ME, account, "spend", window)
    assert [p.day for p in trend.lines[0].points if p.value is None] == silent
    assert trend.days_without_data == silent
    only_silent = await service.report(ME, account, Level.CAMPAIGN, Window(silent[0], silent[1], ZONE), window)
    assert only_silent.total is None
    assert not only_silent.has_data
    assert only_silent.lengths_differ
    assert set(only_silent.change.values()) == {None}
    assert all(row.totals is None for row in only_silent.rows)


async def test_today_is_partial(service: AdsService) -> None:
    account = await aurora(service)
    report = await service.report(ME, account, Level.CAMPAIGN, last_days(3, ZONE, now=NOW, with_today=True))
    assert report.partial
    assert report.days_without_data == []


async def test_a_trend_equals_the_ledger_day_by_day(world: World, service: AdsService) -> None:
    account = await aurora(service)
    sums = await ledger(world, AURORA, WEEK)
    trend = await service.trend(ME, account, "spend", WEEK)
    assert [p.value for p in trend.lines[0].points] == [
        sums.of(day=WEEK.since + timedelta(days=n)).spend for n in range(7)
    ]
    campaign = await service.find_entity(ME, account, "remarketing", Level.CAMPAIGN)
    of_one = await service.trend(ME, account, "results", WEEK, campaign)
    assert [line.kind for line in of_one.lines] == [ResultKind.PURCHASE]
    assert [p.value for p in of_one.lines[0].points] == [
        sums.of(campaign.id, WEEK.since + timedelta(days=n)).converted("purchase") for n in range(7)
    ]


async def test_results_of_an_account_are_a_line_for_each_kind(service: AdsService) -> None:
    trend = await service.trend(ME, await service.find_account(ME, "vitoria"), "cost_per_result", WEEK)
    assert [line.kind for line in trend.lines] == [ResultKind.LEAD, ResultKind.CONVERSATION, ResultKind.LINK_CLICK]
    assert all(len(line.points) == 7 for line in trend.lines)


async def test_daily_reach_is_that_days_people(service: AdsService) -> None:
    trend = await service.trend(ME, await aurora(service), "reach", WEEK)
    people = [p.value for p in trend.lines[0].points]
    report = await service.report(ME, await aurora(service), Level.ACCOUNT, WEEK)
    assert report.total is not None
    assert report.total.reach is not None
    assert all(isinstance(n, int) and 0 < n < report.total.reach.people for n in people)


async def test_reports_go_down_to_ad_sets_and_ads_and_add_up(service: AdsService) -> None:
    account = await aurora(service)
    by_level = {level: await service.report(ME, account, level, WEEK) for level in Level}
    spends = {level: report.total.spend for level, report in by_level.items() if report.total}
    assert len(set(spends.values())) == 1
    sums: dict[Level, Decimal] = defaultdict(Decimal)
    for level, report in by_level.items():
        sums[level] = sum((r.totals.spend.amount for r in report.rows if r.totals and r.totals.spend), Decimal(0))
    assert len(set(sums.values())) == 1
    ad = by_level[Level.AD].rows[0]
    assert ad.campaign_name.startswith("[VENDAS]")
    assert ad.adset_name
    assert [row.id for row in by_level[Level.ACCOUNT].rows] == [AURORA]


async def test_an_account_may_count_its_own_kind_of_result(
    world: World, database: Database, tenants: Tenants, owner_dsn: str
) -> None:
    me = tenants.one[Role.DIRETOR]
    service = service_over(lambda: GraphSource(world.client), rules_of=partial(result_rules, database))
    account = await service.find_account(me, AURORA)

    async def kinds_with(results: Any) -> set[Any]:
        with psycopg.connect(owner_dsn) as conn:
            conn.execute("UPDATE tenants SET settings = %s WHERE id = %s", [Jsonb({"results": results}), me.tenant_id])
        report = await service.report(me, account, Level.CAMPAIGN, WEEK)
        return {row.result_kind for row in report.rows if row.objective == "OUTCOME_SALES"}

    assert await kinds_with({}) == {ResultKind.PURCHASE}
    assert await kinds_with({AURORA: {"OUTCOME_SALES": "landing_page_view"}}) == {ResultKind.LANDING_PAGE_VIEW}
    for broken in ({AURORA: {"OUTCOME_SALES": "sale"}}, {AURORA: "lead"}, ["lead"]):
        with pytest.raises(Refused) as refused:
            await kinds_with(broken)
        assert refused.value.code == "result_rules_unreadable"


# --- which account, whose --------------------------------------------------------------------------


async def test_without_a_name_several_accounts_are_asked_about(service: AdsService) -> None:
    with pytest.raises(ArgumentsWrong) as wrong:
        await service.find_account(ME)
    assert wrong.value.code == "account_needed"
    assert {c["name"] for c in wrong.value.params["candidates"]} == {"Loja Aurora", "Clínica Vitória"}


async def test_for_a_client_other_accounts_do_not_exist(service: AdsService) -> None:
    client = identity(frozenset({VITORIA}))
    assert [a.id for a in (await service.accounts(client)).accounts] == [VITORIA]
    assert (await service.find_account(client)).id == VITORIA
    with pytest.raises(ArgumentsWrong) as wrong:
        await service.find_account(client, "Loja Aurora")
    assert wrong.value.code == "account_unknown"
    assert "Aurora" not in str([c["name"] for c in wrong.value.params["closest"]])
    other = await aurora(service)
    for ask in (
        service.report(client, other, Level.CAMPAIGN, WEEK),
        service.trend(client, other, "spend", WEEK),
        service.findings(client, other, WEEK),
        service.find_entity(client, other, "blog"),
        service.entities(client, other, Level.AD),
    ):
        with pytest.raises(ArgumentsWrong) as hidden:
            await ask
        assert hidden.value.code == "account_unknown"


async def test_a_client_without_accounts_has_none(service: AdsService) -> None:
    with pytest.raises(Refused) as refused:
        await service.accounts(identity(frozenset()))
    assert refused.value.code == "accounts_none"


async def test_one_source_that_fails_is_told_and_the_others_go_on(world: World, http: httpx.AsyncClient) -> None:
    dead = MetaAdsClient(http, "EAAwrong", base_url=world.launched.base_url, retries=0)
    service = service_over(lambda: GraphSource(world.client), lambda: GraphSource(dead))
    found = await service.accounts(ME)
    assert {a.id for a in found.accounts} == {AURORA, VITORIA}
    assert [f.error.code for f in found.failures] == ["meta_token_expired"]


async def test_when_every_source_fails_the_reason_is_raised(world: World, http: httpx.AsyncClient) -> None:
    dead = MetaAdsClient(http, "EAAwrong", base_url=world.launched.base_url, retries=0)
    with pytest.raises(Refused) as refused:
        await service_over(lambda: GraphSource(dead)).accounts(ME)
    assert refused.value.code == "meta_token_expired"


async def test_of_two_connections_the_one_that_has_the_account_is_asked(world: World) -> None:
    service = service_over(lambda: GraphSource(world.client, [VITORIA]), lambda: GraphSource(world.client, [AURORA]))
    report = await service.report(ME, await aurora(service), Level.CAMPAIGN, WEEK)
    assert report.has_data
    chosen_away = service_over(lambda: GraphSource(world.client, [VITORIA]))
    assert [a.id for a in (await chosen_away.accounts(ME)).accounts] == [VITORIA]


async def test_an_outage_is_an_error_and_never_a_zero(world: World, service: AdsService) -> None:
    account = await aurora(service)
    await world.fail(kind="error", status=500, code=2, times=50, path="insights")
    with pytest.raises(Unavailable) as failed:
        await service.report(ME, account, Level.CAMPAIGN, WEEK)
    assert failed.value.code == "meta_unavailable"


async def test_figures_that_meta_leaves_out_stay_unknown(world: World, service: AdsService) -> None:
    account = await aurora(service)
    await world.fail(kind="missing", times=50, path="insights", fields=["spend", "reach"])
    report = await service.report(ME, account, Level.CAMPAIGN, WEEK)
    assert report.total is not None
    assert report.total.spend is None
    assert report.total.cpc is None
    assert report.total.frequency is None
    assert report.total.clicks is not None


async def test_a_report_asks_few_questions(world: World, service: AdsService) -> None:
    account = await aurora(service)
    before = await world.requests()
    await service.report(ME, account, Level.CAMPAIGN, WEEK, BEFORE)
    assert await world.requests() - before <= 9
    before = await world.requests()
    await service.findings(ME, account, WEEK)
    assert await world.requests() - before <= 10


# --- which object ----------------------------------------------------------------------------------


async def test_an_object_is_found_by_name_at_any_level(service: AdsService) -> None:
    account = await aurora(service)
    ad = await service.find_entity(ME, account, "video 03")
    assert (ad.level, ad.name) == (Level.AD, "Vídeo 03 | Provador")
    assert ad.objective == "OUTCOME_SALES"
    with pytest.raises(ArgumentsWrong) as wrong:
        await service.find_entity(ME, account, "carrinho abandonado")
    assert wrong.value.code == "entity_ambiguous"
    assert {c["level"] for c in wrong.value.params["candidates"]} == {"campaign", "adset"}
    campaign = await service.find_entity(ME, account, "carrinho abandonado", Level.CAMPAIGN)
    assert campaign.daily_budget == Money(Decimal(120), "BRL")
    with pytest.raises(ArgumentsWrong) as unknown:
        await service.find_entity(ME, account, "Dra. Helena")  # an ad of the other account
    assert unknown.value.code == "entity_unknown"


async def test_every_metric_is_defined_or_unknown_for_every_row(service: AdsService) -> None:
    report: Report = await service.report(ME, await aurora(service), Level.AD, WEEK, BEFORE)
    for row in report.rows:
        assert set(row.change) == set(METRICS)


async def test_the_accounts_zone_decides_what_yesterday_was(service: AdsService) -> None:
    account = await aurora(service)
    late = datetime(2026, 11, 20, 2, 30, tzinfo=UTC)  # still the 19th in São Paulo
    assert default_window(account.time_zone, now=late).until == date(2026, 11, 18)
