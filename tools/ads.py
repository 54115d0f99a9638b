"""The tools of the ads analyst: looking at figures, and proposing to pause, resume or change a budget.

A result names for every number the account, the window with its time zone, the attribution and the currency. Figures
are rounded as people read them, in one form: money in the main unit with the currency's decimals, percentages and
ratios with two decimals, changes in percent with one. None is no data, which is not zero.
"""

import asyncio
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import Field

from business.ads.model import Account, Entity, Level, Status
from business.approvals.model import Change
from core.errors import ArgumentsWrong
from core.money import Money
from tools.ads_results import (
    AccountFindings,
    AccountReport,
    AccountsResult,
    AdsDiagnosis,
    AdsReport,
    AdsTrend,
    Metric,
    TrendSeries,
    account_info,
    account_report,
    finding_row,
    leading,
    not_answering,
    origin_of,
    points_of,
    rounded_to,
    totals_by_currency,
    unit_of,
    window_info,
)
from tools.ads_targets import Place, identity_of, places_of, rows_meant, service_of, windows_of
from tools.amounts import amount_was_named, way_named
from tools.spec import Effect, ProposedChange, ToolArgs, ToolContext, tool

MOST_FINDINGS = 12
MOST_DAYS = 93  # points of a trend

AccountArg = Annotated[str | None, Field(max_length=300, description="Name or id; omit if none was named.")]
TargetArg = Annotated[str, Field(min_length=1, max_length=300, description="Name or id of a campaign, ad set or ad.")]
ReasonArg = Annotated[
    str | None, Field(max_length=300, description="One sentence of evidence, in the user's language.")
]
PeriodArg = Annotated[
    str | None,
    Field(max_length=200, description="The user's words or YYYY-MM-DD..YYYY-MM-DD; omit for the last 7 days."),
]


# --- reading --------------------------------------------------------------------------------------


class NoArgs(ToolArgs):
    pass


@tool(effect=Effect.READ, area="ads")
async def list_accounts(ctx: ToolContext, args: NoArgs) -> AccountsResult:
    """The ad accounts and imported files the user may see, with currency and time zone. Only when asked for accounts:
    the other tools find accounts themselves."""
    found = await service_of(ctx).accounts(identity_of(ctx))
    return AccountsResult(
        accounts=[account_info(account) for account in found.accounts],
        not_answering=not_answering(found.failures),
        origin=origin_of(found.accounts),
    )


class ReportArgs(ToolArgs):
    level: Annotated[
        Literal["account", "campaign", "adset", "ad"], Field(description="Rows of the answer; default campaign.")
    ] = "campaign"
    period: PeriodArg = None
    compare_with: Annotated[
        str | None,
        Field(
            max_length=200, description='Words or dates of the period to compare with; "previous" for the one before.'
        ),
    ] = None
    account: AccountArg = None
    target: Annotated[
        str | None, Field(max_length=300, description="Only this campaign, ad set or ad: name or id.")
    ] = None
    sort_by: Annotated[Metric, Field(description="Default spend.")] = "spend"
    order: Annotated[Literal["desc", "asc"], Field(description="asc for cheapest or lowest.")] = "desc"
    limit: Annotated[int, Field(ge=1, le=25, description="Rows per account, default 10.")] = 10


@tool(effect=Effect.READ, area="ads")
async def ads_report(ctx: ToolContext, args: ReportArgs) -> AdsReport:
    """Figures over one period: overview, one campaign, comparison of two periods, ranking of campaigns, ad sets or ads.

    Gives totals and rows per account; rows tell the budget, and the status when not active. With `compare_with`, each
    figure is [now, before, change in %].
    For a ranking set `sort_by`, `order`, `limit`. Not for day-by-day curves (ads_trend), nor for what to pause
    (ads_diagnose). Money is in the account's currency; ctr in percent; roas as a ratio. A missing figure is no data,
    not zero. Different currencies and reach are never added.
    """
    service, identity = service_of(ctx), identity_of(ctx)
    level = Level(args.level)
    places, failures, left_out = await places_of(ctx, args.account, args.target)

    async def of(place: Place) -> AccountReport:
        window, compare = windows_of(ctx, place.account, args.period, args.compare_with)
        own_level, ids = await rows_meant(service, identity, place, level)
        report = await service.report(identity, place.account, own_level, window, compare, ids)
        return account_report(
            report, place.entity, sort_by=args.sort_by, descending=args.order == "desc", limit=args.limit
        )

    reports = await asyncio.gather(*(of(place) for place in places))
    if args.sort_by != "spend":  # a ranking begins with the account that leads it, in whatever currency or kind
        reports = sorted(reports, key=lambda report: leading(report, args.sort_by, args.order == "desc"))
    return AdsReport(
        level=reports[0].rows[0].level if reports[0].rows else level,
        sort_by=args.sort_by,
        order=args.order,
        reports=list(reports),
        totals=totals_by_currency(reports),
        not_answering=not_answering(failures),
        accounts_left_out=left_out,
        origin=origin_of([place.account for place in places]),
    )


class TrendArgs(ToolArgs):
    metric: Metric = "spend"
    period: PeriodArg = None
    account: AccountArg = None
    target: Annotated[
        str | None, Field(max_length=300, description="Only this campaign, ad set or ad: name or id.")
    ] = None


@tool(effect=Effect.READ, area="ads")
async def ads_trend(ctx: ToolContext, args: TrendArgs) -> AdsTrend:
    """One metric day by day, for "how did it evolve", curves and charts; at most 93 days. A day without a value is no
    data, not zero. For totals or rankings use ads_report."""
    service, identity = service_of(ctx), identity_of(ctx)
    places, failures, left_out = await places_of(ctx, args.account, args.target)

    async def of(place: Place) -> list[TrendSeries]:
        window, _ = windows_of(ctx, place.account, args.period, None)
        if window.days > MOST_DAYS:
            raise ArgumentsWrong("trend_too_long", f"at most {MOST_DAYS} days", days=window.days, most=MOST_DAYS)
        trend = await service.trend(identity, place.account, args.metric, window, place.entity)
        return [
            TrendSeries(
                account=account_info(place.account),
                attribution=trend.attribution,
                window=window_info(window),
                metric=args.metric,
                unit=unit_of(args.metric, place.account),
                of=place.entity.name if place.entity else place.account.name,
                result_kind=line.kind,
                days_without_data=trend.days_without_data,
                fetched_at=trend.fetched_at,
                **points_of(line, window.partial),
            )
            for line in trend.lines
        ]

    series = [one for found in await asyncio.gather(*(of(place) for place in places)) for one in found]
    return AdsTrend(
        series=series,
        not_answering=not_answering(failures),
        accounts_left_out=left_out,
        origin=origin_of([place.account for place in places]),
    )


class DiagnoseArgs(ToolArgs):
    period: PeriodArg = None
    account: AccountArg = None


@tool(effect=Effect.READ, area="ads")
async def ads_diagnose(ctx: ToolContext, args: DiagnoseArgs) -> AdsDiagnosis:
    """What is wrong and what to pause: checks every running campaign, ad set and ad against rules with sample sizes.

    Each finding has its evidence and one `suggestion`: pause (worn out or wasted money), check_tracking (counting
    broke, never a reason to pause), raise_budget (a winner held back), or none. No findings means nothing passed the
    rules. It changes nothing; propose a pause with pause_ad_object only if the user asks what to pause or to pause.
    """
    service, identity = service_of(ctx), identity_of(ctx)
    places, failures, left_out = await places_of(ctx, args.account, None)

    async def of(place: Place) -> AccountFindings:
        window, _ = windows_of(ctx, place.account, args.period, None)
        found = await service.findings(identity, place.account, window)
        return AccountFindings(
            account=account_info(place.account),
            attribution=found.attribution,
            window=window_info(found.window),
            findings=[finding_row(n, finding) for n, finding in enumerate(found.findings[:MOST_FINDINGS], start=1)],
            checked=found.checked,
        )

    return AdsDiagnosis(
        accounts=list(await asyncio.gather(*(of(place) for place in places))),
        not_answering=not_answering(failures),
        accounts_left_out=left_out,
        origin=origin_of([place.account for place in places]),
    )


# --- proposing ------------------------------------------------------------------------------------


class StatusArgs(ToolArgs):
    target: TargetArg
    level: Annotated[Literal["campaign", "adset", "ad"] | None, Field(description="If the user said which.")] = None
    account: AccountArg = None
    reason: ReasonArg = None


@tool(effect=Effect.WRITE, area="ads")
async def pause_ad_object(ctx: ToolContext, args: StatusArgs) -> ProposedChange:
    """Propose to pause one campaign, ad set or ad. It only makes a proposal: a person approves it with a button.

    Call it when the user asks to pause it, or asks what to pause and ads_diagnose suggests `pause` for it; one call per
    object. Never for broken tracking or a winner. It deletes nothing.
    """
    return await _status(ctx, args, Status.PAUSED)


@tool(effect=Effect.SPEND, area="ads")
async def resume_ad_object(ctx: ToolContext, args: StatusArgs) -> ProposedChange:
    """Propose to resume one paused campaign, ad set or ad, which lets it spend again. It only makes a proposal: a
    person approves it with a button. Only when the user asks for it; one call per object."""
    return await _status(ctx, args, Status.ACTIVE)


async def _status(ctx: ToolContext, args: StatusArgs, to: Status) -> ProposedChange:
    account, entity = await _one(ctx, args.account, args.target, args.level)
    change = await service_of(ctx).plan_status(identity_of(ctx), account, entity, to)
    return ProposedChange(change=change, evidence=_evidence(ctx, entity, args.reason))


class BudgetArgs(ToolArgs):
    target: TargetArg
    amount: Annotated[Decimal | None, Field(gt=0, description="New budget in the account's currency.")] = None
    change_amount: Annotated[Decimal | None, Field(description="By how much, negative to lower.")] = None
    change_percent: Annotated[Decimal | None, Field(gt=-100, description="20 raises by 20%, -20 lowers.")] = None
    kind: Annotated[Literal["daily", "lifetime"] | None, Field(description="If the user said which.")] = None
    level: Annotated[Literal["campaign", "adset"] | None, Field(description="If the user said which.")] = None
    account: AccountArg = None
    reason: ReasonArg = None


@tool(effect=Effect.SPEND, area="ads")
async def set_ads_budget(ctx: ToolContext, args: BudgetArgs) -> ProposedChange:
    """Propose a new budget for one campaign or ad set. It only makes a proposal: a person approves it with a button.

    Give exactly one of `amount`, `change_amount`, `change_percent`, and only what the user said in words: if they named
    no amount, ask. A budget lives on the campaign or on its ad sets; the error says where.
    """
    given = [one for one in (args.amount, args.change_amount, args.change_percent) if one is not None]
    if len(given) != 1 or given[0] == 0:
        raise ArgumentsWrong(
            "amount_needed", "give one of amount, change_amount, change_percent; if none was said, ask"
        )
    account, entity = await _one(ctx, args.account, args.target, args.level)
    currency = account.currency
    amount_was_named(
        ctx.turn,
        currency,
        amount=args.amount,
        change_amount=args.change_amount,
        change_percent=args.change_percent,
    )
    service, identity = service_of(ctx), identity_of(ctx)

    async def plan(of: Entity) -> Change:
        return await service.plan_budget(
            identity,
            account,
            of,
            amount=None if args.amount is None else Money(args.amount, currency),
            change_amount=None if args.change_amount is None else Money(args.change_amount, currency),
            change_percent=args.change_percent,
            kind=args.kind,
        )

    try:
        change = await plan(entity)
    except ArgumentsWrong as error:
        # A campaign whose one ad set holds the whole budget: that is the one that is meant.
        where = error.params.get("where", []) if error.code == "budget_lives_elsewhere" else []
        if len(where) != 1 or where[0]["level"] != Level.ADSET.value:
            raise
        change = await plan(await service.find_entity(identity, account, where[0]["id"], Level.ADSET))
    if args.amount is not None:
        _goes_the_way_named(ctx, args.amount, change)
    return ProposedChange(change=change, evidence=_evidence(ctx, entity, args.reason), told=_told_budget(change))


def _goes_the_way_named(ctx: ToolContext, amount: Decimal, change: Change) -> None:
    """ "Raise it to R$ 150" when it is R$ 420 is a mistake about what it is: say so, instead of cutting it."""
    wanted = way_named(ctx.turn, amount)
    told = change.data["before"], change.data["after"]
    before, after = (Money(Decimal(one["amount"]), one["currency"]) for one in told)
    if wanted is None or (after.amount > before.amount) == (wanted == "up"):
        return
    raise ArgumentsWrong(
        "amount_direction",
        f"the user said {wanted}, but the budget of {change.data['name']!r} is {before.amount} now: ask",
        name=change.data["name"],
        budget=before,
        asked=after,
        wanted=wanted,
    )


def _told_budget(change: Change) -> dict[str, Any]:
    """The change in money, and how far it goes, so that nobody has to reckon it. Meta's whole numbers are left out:
    12000 for R$ 120 is only good for a mistake."""
    told = {name: value for name, value in change.data.items() if name not in ("before_raw", "after_raw")}
    before, after = (Money(Decimal(told[end]["amount"]), told[end]["currency"]) for end in ("before", "after"))
    percent = before.change_percent_to(after)
    difference = {"amount": str((after - before).rounded().amount), "currency": before.currency}
    return {
        **told,
        "difference": difference,
        "change_percent": None if percent is None else str(rounded_to(percent, 1)),
    }


async def _one(
    ctx: ToolContext, mention: str | None, target: str, level: Literal["campaign", "adset", "ad"] | None
) -> tuple[Account, Entity]:
    (place,), _, _ = await places_of(ctx, mention, target, Level(level) if level else None)
    assert place.entity is not None
    return place.account, place.entity


def _evidence(ctx: ToolContext, entity: Entity, reason: str | None) -> list[Any]:
    """The facts that ads_diagnose found about the object in this turn, then the model's own sentence."""
    facts: list[Any] = []
    for record in ctx.turn.results:
        for account in (record.result or {}).get("accounts", []) if record.name == "ads_diagnose" else []:
            for finding in account["findings"]:
                if finding["id"] == entity.id:
                    facts = [_measured(fact) for fact in finding["evidence"]]
    return [*facts, reason] if reason else facts


def _measured(fact: dict[str, Any]) -> dict[str, Any]:
    """A FactRow's data as evidence of a proposal (business/approvals/model.py)."""
    value: Any = fact["value"]
    match fact["unit"]:
        case "money":
            value = Money(Decimal(str(value)), fact["currency"])
        case "number" | "percent" | "ratio":
            value = Decimal(str(value))
        case "day":
            value = date.fromisoformat(str(value))
    since, until = fact["since"], fact["until"]
    return {
        "label": fact["label"],
        "value": value,
        "unit": fact["unit"],
        "since": date.fromisoformat(since) if since else None,
        "until": date.fromisoformat(until) if until else None,
    }


ADS_TOOLS = [list_accounts, ads_report, ads_trend, ads_diagnose, pause_ad_object, resume_ad_object, set_ads_budget]
