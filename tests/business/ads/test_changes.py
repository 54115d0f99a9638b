"""Pausing, resuming and budgets: planned from what was read, sent once, read back, undone."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from business.ads import changes
from business.ads.changes import AdsChangeHandler, parse_amount, plan_budget, plan_status
from business.ads.graph_source import GraphSource
from business.ads.model import Account, Entity, Level, Status
from business.ads.service import AdsService
from business.approvals.model import Change, ReadBack
from core import formats
from core.errors import ArgumentsWrong, MutiraoError, OutcomeUnknown, Refused, Unavailable
from core.money import Money
from integrations.meta_ads.client import MetaAdsClient
from integrations.meta_ads.simulator.world import TRUTHS
from tests.business.ads.conftest import AURORA, World, identity, service_over

ME = identity()
ACCOUNT = Account(AURORA, "Loja Aurora", "BRL", "America/Sao_Paulo")


def brl(amount: str) -> Money:
    return Money(Decimal(amount), "BRL")


def entity(level: Level = Level.CAMPAIGN, **options: Any) -> Entity:
    settings: dict[str, Any] = {"id": "120", "name": "Remarketing", "effective_status": "ACTIVE", "campaign_id": "120"}
    settings |= {"status": Status.ACTIVE}
    return Entity(level=level, account_id=AURORA, **(settings | options))


def code_of(run: Any, *args: Any, **kwargs: Any) -> str:
    with pytest.raises(MutiraoError) as wrong:
        run(*args, **kwargs)
    return wrong.value.code


# --- plans -----------------------------------------------------------------------------------------


def test_a_plan_to_pause_holds_the_state_before_and_nothing_but_json() -> None:
    change = plan_status(ACCOUNT, entity(), Status.PAUSED)
    assert change.target == "120"
    assert change.data == {
        "action": "status",
        "account": {"id": AURORA, "name": "Loja Aurora"},
        "level": "campaign",
        "name": "Remarketing",
        "before": "ACTIVE",
        "after": "PAUSED",
        "paused_above": [],
    }
    assert json.loads(change.canonical())["data"] == change.data


def test_what_is_so_already_archived_or_a_file_is_not_planned() -> None:
    assert code_of(plan_status, ACCOUNT, entity(), Status.ACTIVE) == "status_already"
    archived = replace(entity(), status=Status.ARCHIVED)
    assert code_of(plan_status, ACCOUNT, archived, Status.PAUSED) == "entity_archived"
    file = replace(ACCOUNT, id="file_1", source="file")
    assert code_of(plan_status, file, entity(), Status.PAUSED) == "file_not_changeable"
    assert code_of(plan_budget, file, entity(daily_budget=brl("10")), amount=brl("20")) == "file_not_changeable"


@pytest.mark.parametrize(
    ("asked", "after", "raw"),
    [
        ({"amount": brl("150")}, "150.00", 15_000),
        ({"amount": brl("150.25")}, "150.25", 15_025),
        ({"change_amount": brl("-20")}, "100.00", 10_000),
        ({"change_percent": Decimal(20)}, "144.00", 14_400),
        ({"change_percent": Decimal("-33.3")}, "80.04", 8_004),
    ],
)
def test_a_new_budget_is_kept_as_money_and_as_metas_whole_number(asked: dict[str, Any], after: str, raw: int) -> None:
    change = plan_budget(ACCOUNT, entity(daily_budget=brl("120")), **asked)
    assert change.data["budget"] == "daily"
    assert change.data["before"] == {"amount": "120.00", "currency": "BRL"}
    assert change.data["after"] == {"amount": after, "currency": "BRL"}
    assert (change.data["before_raw"], change.data["after_raw"]) == (12_000, raw)


def test_a_currency_without_cents_is_not_multiplied_by_a_hundred() -> None:
    pesos = Money(Decimal(30_000), "CLP")
    change = plan_budget(replace(ACCOUNT, currency="CLP"), entity(daily_budget=pesos), change_percent=Decimal(50))
    assert change.data["after"] == {"amount": "45000", "currency": "CLP"}
    assert change.data["after_raw"] == 45_000


def test_the_wrong_object_is_answered_with_where_the_budget_lives() -> None:
    campaign = entity(daily_budget=brl("120"))
    adset = entity(Level.ADSET, id="200", name="Conjunto", parent_id="120")
    ad = entity(Level.AD, id="300", name="Anúncio", parent_id="200")
    for wrong in (adset, ad):
        with pytest.raises(ArgumentsWrong) as told:
            plan_budget(ACCOUNT, wrong, [campaign, adset], amount=brl("10"))
        assert told.value.code == "budget_lives_elsewhere"
        assert told.value.params["where"] == [{"level": "campaign", "id": "120", "name": "Remarketing"}]
    owner = replace(adset, daily_budget=brl("50"))
    with pytest.raises(ArgumentsWrong) as told:
        plan_budget(ACCOUNT, entity(), [entity(), owner], amount=brl("10"))
    assert told.value.params["where"] == [{"level": "adset", "id": "200", "name": "Conjunto"}]
    assert code_of(plan_budget, ACCOUNT, entity(), [entity()], amount=brl("10")) == "budget_none"


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"amount": brl("120")}, "budget_already"),
        ({"amount": brl("0")}, "amount_not_positive"),
        ({"change_amount": brl("-120")}, "amount_not_positive"),
        ({"change_percent": Decimal(-100)}, "amount_not_positive"),
        ({"amount": brl("10.005")}, "amount_too_fine"),
        ({"amount": Money(Decimal(50), "USD")}, "amount_other_currency"),
        ({"amount": brl("500"), "kind": "lifetime"}, "budget_kind_other"),
    ],
)
def test_a_budget_that_cannot_be_is_told(asked: dict[str, Any], code: str) -> None:
    assert code_of(plan_budget, ACCOUNT, entity(daily_budget=brl("120")), **asked) == code


# --- amounts as people type them ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("R$ 1.234,56", "1234.56"),
        ("R$1.234,56", "1234.56"),
        ("1,234.56", "1234.56"),
        ("150", "150"),
        ("150,00/dia", "150"),
        ("R$ 150 por dia", "150"),
        ("150 reais", "150"),
        ("150.5", "150.5"),
        ("80 BRL", "80"),
        ("1.234.567", "1234567"),
        ("1 234,50", "1234.50"),
        ("R$\u00a01.234,56", "1234.56"),
    ],
)
def test_an_amount_is_read_in_both_styles(text: str, amount: str) -> None:
    assert parse_amount(text, "BRL").amount == Decimal(amount)


@pytest.mark.parametrize(
    ("text", "currency", "code"),
    [
        ("1.234", "BRL", "amount_ambiguous"),
        ("1,234", "BRL", "amount_ambiguous"),
        ("R$ 1.500", "BRL", "amount_ambiguous"),
        ("US$ 50", "BRL", "amount_other_currency"),
        ("R$ 50", "USD", "amount_other_currency"),
        ("50 EUR", "BRL", "amount_other_currency"),
        ("0", "BRL", "amount_not_positive"),
        ("0,001", "BRL", "amount_too_fine"),
        ("12,5", "CLP", "amount_too_fine"),
        ("-5", "BRL", "amount_unreadable"),
        ("", "BRL", "amount_unreadable"),
        ("muito", "BRL", "amount_unreadable"),
        ("1,2,3", "BRL", "amount_unreadable"),
        ("1.23.456,00", "BRL", "amount_unreadable"),
        ("1 50", "BRL", "amount_unreadable"),
        ("١٥٠", "BRL", "amount_unreadable"),
        ("1e5", "BRL", "amount_unreadable"),
        ("99999999999999", "BRL", "amount_absurd"),
    ],
)
def test_an_amount_that_may_mean_two_things_or_none_is_asked_about(text: str, currency: str, code: str) -> None:
    assert code_of(parse_amount, text, currency) == code


def test_both_readings_of_an_ambiguous_amount_are_named() -> None:
    with pytest.raises(ArgumentsWrong) as wrong:
        parse_amount("1.234", "BRL")
    assert (wrong.value.params["one"], wrong.value.params["other"]) == (brl("1234"), brl("1.23"))


def test_where_the_currency_has_no_cents_a_point_groups_thousands() -> None:
    assert parse_amount("1.234", "CLP") == Money(Decimal(1234), "CLP")


@given(st.integers(1, 10**11), st.sampled_from(["pt-BR", "en", "es"]), st.sampled_from(["BRL", "USD", "EUR"]))
def test_an_amount_as_we_write_it_is_read_as_it_was_meant(cents: int, language: str, currency: str) -> None:
    money = Money(Decimal(cents) / 100, currency)
    assert parse_amount(formats.money(money, language), currency) == money


@given(st.text(max_size=30))
def test_no_text_breaks_the_reading_of_an_amount(text: str) -> None:
    try:
        money = parse_amount(text, "BRL")
    except ArgumentsWrong:
        return
    assert money.meta_units() > 0


# --- what the approver sees --------------------------------------------------------------------------


async def nobody(tenant_id: str, account_id: str) -> MetaAdsClient:
    raise AssertionError("a preview asks nobody")


async def test_a_preview_shows_money_raw_number_and_percent() -> None:
    handler = AdsChangeHandler(nobody)
    change = plan_budget(ACCOUNT, entity(daily_budget=brl("120")), amount=brl("150"))
    preview = await handler.preview("t", change)
    lines = dict(preview.lines)
    assert preview.title == "proposal.title.budget_raise"
    assert preview.title_params["budget"] == brl("150")
    assert lines["proposal.line.account"] == f"Loja Aurora ({AURORA})"
    assert lines["proposal.line.campaign"] == "Remarketing (120)"
    assert (lines["proposal.line.daily_before"], lines["proposal.line.daily_after"]) == (brl("120"), brl("150"))
    assert lines["proposal.line.raw"] == ("proposal.raw", {"before": "12000", "after": "15000"})
    assert lines["proposal.line.change"] == ("proposal.change_percent", {"percent": Decimal("25.0")})
    assert preview.editable == {"amount": "150.00"}
    assert preview.warnings == []


async def test_a_big_change_and_a_paused_parent_are_pointed_out() -> None:
    handler = AdsChangeHandler(nobody)
    doubled = plan_budget(ACCOUNT, entity(daily_budget=brl("120")), change_percent=Decimal(100))
    assert [key for key, _ in (await handler.preview("t", doubled)).warnings] == ["proposal.warning.big_change"]
    paused = entity(status=Status.PAUSED)
    ad = entity(Level.AD, id="300", status=Status.PAUSED, parent_id="200")
    resumed = plan_status(ACCOUNT, ad, Status.ACTIVE, [paused, entity(id="121", status=Status.PAUSED)])
    assert (await handler.preview("t", resumed)).warnings == [
        ("proposal.warning.paused_above", {"above": "Remarketing"})
    ]


def test_what_lets_more_money_be_spent_is_spend() -> None:
    handler = AdsChangeHandler(nobody)
    pause = plan_status(ACCOUNT, entity(), Status.PAUSED)
    raised = plan_budget(ACCOUNT, entity(daily_budget=brl("120")), amount=brl("121"))
    effects = []
    for change in (pause, raised):
        back = handler.inverse(change)
        assert back is not None
        effects.append((handler.effect(change), handler.effect(back)))
    assert effects == [("WRITE", "SPEND"), ("SPEND", "WRITE")]


def test_undoing_an_undo_is_the_change_itself() -> None:
    handler = AdsChangeHandler(nobody)
    for change in (
        plan_budget(ACCOUNT, entity(daily_budget=brl("120")), amount=brl("80")),
        plan_status(ACCOUNT, entity(), Status.PAUSED),
    ):
        back = handler.inverse(change)
        assert back is not None
        assert handler.inverse(back) == change


def test_an_edited_amount_is_a_new_change_from_the_same_state() -> None:
    handler = AdsChangeHandler(nobody)
    change = plan_budget(ACCOUNT, entity(daily_budget=brl("120")), amount=brl("150"))
    edited = handler.edit(change, {"amount": "R$ 135,50"})
    assert (edited.data["after_raw"], edited.data["before_raw"]) == (13_550, 12_000)
    assert edited.hash() != change.hash()
    assert handler.edit(change, {}) == change
    assert handler.edit(change, {"amount": "150.00"}) == change
    assert code_of(handler.edit, change, {"amount": "1.234"}) == "amount_ambiguous"
    assert code_of(handler.edit, change, {"amount": "120"}) == "budget_already"
    assert code_of(handler.edit, change, {"target": "999"}) == "edit_not_possible"
    assert code_of(handler.edit, plan_status(ACCOUNT, entity(), Status.PAUSED), {"amount": "1"}) == "edit_not_possible"


# --- at Meta -----------------------------------------------------------------------------------------


@pytest.fixture
def handler(my_world: World) -> AdsChangeHandler:
    async def client_for(tenant_id: str, account_id: str) -> MetaAdsClient:
        assert account_id == AURORA
        return my_world.client

    return AdsChangeHandler(client_for)


@pytest.fixture
def ads(my_world: World) -> AdsService:
    return service_over(lambda: GraphSource(my_world.client))


async def plan(ads: AdsService, mention: str, to: Status) -> Change:
    account = await ads.find_account(ME, AURORA)
    return await ads.plan_status(ME, account, await ads.find_entity(ME, account, mention), to)


async def budget(ads: AdsService, mention: str, **asked: Any) -> Change:
    account = await ads.find_account(ME, AURORA)
    return await ads.plan_budget(ME, account, await ads.find_entity(ME, account, mention), **asked)


async def do(handler: AdsChangeHandler, change: Change) -> ReadBack:
    await handler.recheck("t", change)
    await handler.apply("t", change)
    return await handler.read_back("t", change)


async def test_an_ad_is_paused_read_back_and_resumed_again(
    my_world: World, ads: AdsService, handler: AdsChangeHandler
) -> None:
    change = await plan(ads, TRUTHS.fatigued_ad, Status.PAUSED)
    assert await handler.read_back("t", change) is ReadBack.NOT_APPLIED
    assert await do(handler, change) is ReadBack.APPLIED
    back = handler.inverse(change)
    assert back is not None
    assert await do(handler, back) is ReadBack.APPLIED
    assert len(await my_world.writes()) == 2


async def test_a_budget_arrives_as_metas_whole_number(
    my_world: World, ads: AdsService, handler: AdsChangeHandler
) -> None:
    change = await budget(ads, TRUTHS.winner_campaign, amount=brl("150.50"))
    assert await do(handler, change) is ReadBack.APPLIED
    assert (await my_world.client.campaign(TRUTHS.winner_campaign)).daily_budget == 15_050
    account = await ads.find_account(ME, AURORA)
    seen = await ads.find_entity(ME, account, TRUTHS.winner_campaign)
    assert seen.daily_budget == brl("150.50")


async def test_a_lifetime_budget_and_an_ad_sets_budget_go_where_they_live(
    my_world: World, ads: AdsService, handler: AdsChangeHandler
) -> None:
    lifetime = await budget(ads, "[ENGAJAMENTO] Reels da coleção", change_percent=Decimal(10))
    assert lifetime.data["budget"] == "lifetime"
    assert await do(handler, lifetime) is ReadBack.APPLIED
    of_adset = await budget(ads, "Clientes e seguidoras", amount=brl("160"))
    assert of_adset.data["level"] == "adset"
    assert await do(handler, of_adset) is ReadBack.APPLIED
    with pytest.raises(ArgumentsWrong) as wrong:
        await budget(ads, TRUTHS.broken_pixel_campaign, amount=brl("300"))
    assert wrong.value.code == "budget_lives_elsewhere"
    assert {w["name"] for w in wrong.value.params["where"]} == {"Clientes e seguidoras", "Público amplo | Sudeste"}


async def test_what_somebody_changed_meanwhile_is_not_overwritten(
    my_world: World, ads: AdsService, handler: AdsChangeHandler
) -> None:
    change = await budget(ads, TRUTHS.winner_campaign, amount=brl("150"))
    await my_world.client.set_budget(TRUTHS.winner_campaign, daily_budget=13_000)
    with pytest.raises(Refused) as refused:
        await handler.recheck("t", change)
    assert refused.value.code == "world_moved"
    assert await handler.read_back("t", change) is ReadBack.OTHER
    await my_world.client.set_budget(TRUTHS.winner_campaign, daily_budget=15_000)
    with pytest.raises(Refused) as already:
        await handler.recheck("t", change)
    assert already.value.code == "budget_already"

    pause = await plan(ads, TRUTHS.fatigued_ad, Status.PAUSED)
    await my_world.client.set_status(TRUTHS.fatigued_ad, "PAUSED")
    with pytest.raises(Refused) as paused:
        await handler.recheck("t", pause)
    assert paused.value.code == "status_already"


async def test_a_write_whose_answer_is_lost_is_unknown_and_the_read_back_tells(
    my_world: World, ads: AdsService, handler: AdsChangeHandler
) -> None:
    change = await budget(ads, TRUTHS.winner_campaign, amount=brl("150"))
    await my_world.fail(kind="lost", method="POST", path=TRUTHS.winner_campaign)
    with pytest.raises(OutcomeUnknown):
        await handler.apply("t", change)
    assert await handler.read_back("t", change) is ReadBack.APPLIED
    assert len(await my_world.writes()) == 1

    pause = await plan(ads, TRUTHS.fatigued_ad, Status.PAUSED)
    await my_world.fail(kind="drop", method="POST", path=TRUTHS.fatigued_ad)
    with pytest.raises(OutcomeUnknown):
        await handler.apply("t", pause)
    assert await handler.read_back("t", pause) is ReadBack.NOT_APPLIED
    assert len(await my_world.writes()) == 1


async def test_a_throttle_is_certainly_not_done(my_world: World, ads: AdsService, handler: AdsChangeHandler) -> None:
    change = await plan(ads, TRUTHS.fatigued_ad, Status.PAUSED)
    await my_world.fail(kind="error", method="POST", path=TRUTHS.fatigued_ad, status=400, code=17)
    with pytest.raises(Unavailable) as throttled:
        await handler.apply("t", change)
    assert throttled.value.code == "meta_throttled"
    assert await my_world.writes() == []


async def test_resuming_below_a_paused_campaign_says_so(
    my_world: World, ads: AdsService, handler: AdsChangeHandler
) -> None:
    await my_world.client.set_status(TRUTHS.fatigued_ad, "PAUSED")
    await my_world.client.set_status("120100000000000002", "PAUSED")
    preview = await handler.preview("t", await plan(ads, TRUTHS.fatigued_ad, Status.ACTIVE))
    assert preview.warnings == [("proposal.warning.paused_above", {"above": "[VENDAS] Prospecção | Coleção Primavera"})]


async def test_planning_and_previewing_write_nothing(
    my_world: World, ads: AdsService, handler: AdsChangeHandler
) -> None:
    await handler.preview("t", await plan(ads, TRUTHS.fatigued_ad, Status.PAUSED))
    await handler.preview("t", await budget(ads, TRUTHS.winner_campaign, amount=brl("150")))
    assert await my_world.writes() == []


async def test_a_client_cannot_plan_in_an_account_of_others(ads: AdsService) -> None:
    account = await ads.find_account(ME, AURORA)
    ad = await ads.find_entity(ME, account, TRUTHS.fatigued_ad)
    with pytest.raises(ArgumentsWrong) as hidden:
        await ads.plan_status(identity(frozenset({"act_1"})), account, ad, Status.PAUSED)
    assert hidden.value.code == "account_unknown"


def test_the_plan_of_a_budget_needs_exactly_one_wish() -> None:
    for asked in ({}, {"amount": brl("1"), "change_percent": Decimal(1)}):
        with pytest.raises(TypeError):
            changes.plan_budget(ACCOUNT, entity(daily_budget=brl("120")), **asked)  # type: ignore[arg-type]


def test_a_moment_is_not_part_of_a_plan_so_the_same_wish_is_the_same_change() -> None:
    made = datetime(2026, 1, 1, tzinfo=UTC)
    one = plan_status(ACCOUNT, entity(created=made), Status.PAUSED)
    assert one.hash() == plan_status(ACCOUNT, entity(), Status.PAUSED).hash()
