"""The tools of the ads analyst: looking at figures, and proposing to pause, resume or change a budget.

A result names for every number the account, the window with its time zone, the attribution and the currency. Figures
are rounded as people read them, in one form: money in the main unit with the currency's decimals, percentages and
ratios with two decimals, changes in percent with one. None is no data, which is not zero.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from business.ads import metrics
from business.ads.findings import Fact, Finding
from business.ads.metrics import Totals, Value
from business.ads.model import Account, Entity, Level, Status, Window
from business.ads.report import KindTotal, Report, Row, TrendLine
from business.ads.service import AdsService, Failure
from business.ads.windows import META_MONTHS, PeriodRequest, default_window, parse_period, previous
from business.approvals.model import Change
from core.errors import ArgumentsWrong, MutiraoError
from core.money import Money
from core.permissions import Scope
from core.tenancy import Identity
from tools.amounts import amount_was_named, way_named
from tools.spec import Effect, Origin, ProposedChange, ToolArgs, ToolContext, ToolResult, tool

MOST_ACCOUNTS = 8  # looked at in one call
MOST_FINDINGS = 12
MOST_DAYS = 93  # points of a trend

Metric = Literal[
    "spend", "results", "cost_per_result", "impressions", "reach", "frequency", "clicks", "link_clicks", "ctr", "cpc",
    "cpm", "purchases", "purchase_value", "roas", "leads", "conversations",
]  # fmt: skip

AccountArg = Annotated[str | None, Field(max_length=300, description="Name or id; omit if none was named.")]
TargetArg = Annotated[str, Field(min_length=1, max_length=300, description="Name or id of a campaign, ad set or ad.")]
ReasonArg = Annotated[
    str | None, Field(max_length=300, description="One sentence of evidence, in the user's language.")
]
PeriodArg = Annotated[
    str | None,
    Field(max_length=200, description="The user's words or YYYY-MM-DD..YYYY-MM-DD; omit for the last 7 days."),
]

# --- what results are made of -------------------------------------------------------------------


class AccountInfo(BaseModel):
    id: str
    name: str
    currency: str
    time_zone: str
    source: str
    active: bool
    data_from: date | None = None
    """Oldest and newest day of an imported file."""
    data_until: date | None = None


class WindowInfo(BaseModel):
    """Whole days in the account's time zone, both ends included. `partial`: the last day is today, not over."""

    since: date
    until: date
    days: int
    partial: bool
    time_zone: str


class Numbers(BaseModel):
    """Figures of one entity or total over one window. Money in the account's currency, ctr in percent."""

    spend: Decimal | None = None
    results: Decimal | None = None
    result_kind: str | None = None
    cost_per_result: Decimal | None = None
    impressions: int | None = None
    reach: int | None = None
    frequency: Decimal | None = None
    clicks: int | None = None
    link_clicks: int | None = None
    ctr: Decimal | None = None
    cpc: Decimal | None = None
    cpm: Decimal | None = None
    purchases: Decimal | None = None
    purchase_value: Decimal | None = None
    roas: Decimal | None = None
    leads: Decimal | None = None
    conversations: Decimal | None = None
    incomplete: list[str] = []
    """Figures that only some of the rows behind them had."""


class EntityRow(BaseModel):
    """`n` is the row's place in the answer: what "the second" refers to. `status` is what it does now."""

    n: int
    id: str
    level: Level
    name: str
    status: str
    campaign: str | None = None
    daily_budget: Decimal | None = None
    lifetime_budget: Decimal | None = None
    now: Numbers | None = None
    """None: no data in the window."""
    before: Numbers | None = None
    change: dict[str, Decimal] = {}
    """Metric → change in percent from `before`; a metric that is missing cannot be compared."""


class KindNumbers(BaseModel):
    kind: str
    now: Numbers
    before: Numbers | None = None
    change: dict[str, Decimal] = {}


class AccountReport(BaseModel):
    account: AccountInfo
    attribution: str
    window: WindowInfo
    compare: WindowInfo | None = None
    total: Numbers | None = None
    """Of the whole account, or of the chosen campaign (`total_of`). None: no data."""
    before: Numbers | None = None
    change: dict[str, Decimal] = {}
    total_of: str = "account"
    kinds: list[KindNumbers] = []
    """Totals by kind of result, where there are several: they are never added."""
    rows: list[EntityRow] = []
    rows_in_all: int = 0
    days_without_data: list[date] = []
    compare_days_without_data: list[date] = []
    notes: list[str] = []
    fetched_at: datetime

    def for_model(self, sort_by: str) -> dict[str, Any]:
        """The figures that answers are made of; all of them where there are few rows, else the usual ones."""
        few = list(_SPOKEN) if len(self.rows) <= 3 else [*_SPOKEN_PER_ROW, sort_by]
        return {
            "account": self.account.name,
            "currency": self.account.currency,
            "time_zone": self.window.time_zone,
            "attribution": self.attribution,
            "window": _span(self.window),
            "compare": _span(self.compare) if self.compare else None,
            "figures": self._compared(),
            "total_of": self.total_of,
            "total": _spoken(self.total, self.before, self.change, _SPOKEN),
            "kinds": [{"kind": k.kind} | _spoken(k.now, k.before, k.change, _SPOKEN_PER_ROW) for k in self.kinds],
            "rows": [
                {
                    "n": row.n,
                    "id": row.id,
                    "name": row.name,
                    "campaign": row.campaign,
                    "status": row.status if row.status != "ACTIVE" else None,
                    "daily_budget": row.daily_budget,
                    "lifetime_budget": row.lifetime_budget,
                    "kind": row.now.result_kind if row.now and self.kinds else None,
                }
                | (_spoken(row.now, row.before, row.change, few) if row.now or row.before else {"no_data": True})
                for row in self.rows
            ],
            "rows_in_all": self.rows_in_all if self.rows_in_all > len(self.rows) else None,
            "days_without_data": self.days_without_data,
            "compare_days_without_data": self.compare_days_without_data,
            "notes": self.notes,
        }

    def _compared(self) -> str | None:
        """How the figures of two periods are to be read, with what is missing said right where they are."""
        if self.compare is None:
            return None
        lacking = [
            f"{which} lacks {len(days)} of {window.days} days, so the change is not like for like"
            for which, days, window in (
                ("now", self.days_without_data, self.window),
                ("before", self.compare_days_without_data, self.compare),
            )
            if days
        ]
        return "; ".join(["[now, before, change in %]", *lacking])


_SPOKEN = ("spend", "results", "cost_per_result", "impressions", "reach", "frequency", "clicks", "ctr", "cpc", "cpm",
           "purchase_value", "roas", "leads", "conversations")  # fmt: skip
_SPOKEN_PER_ROW = ("spend", "results", "cost_per_result", "ctr", "roas")


def _span(window: WindowInfo) -> str:
    return f"{window.since}..{window.until}" + (" (today not over)" if window.partial else "")


def _spoken(
    now: Numbers | None, before: Numbers | None, change: dict[str, Decimal], figures: Sequence[str]
) -> dict[str, Any]:
    """Figure → value, or → [now, before, change in percent] where two periods are compared. Counts of 0 that no
    campaign was run for are left out."""
    told: dict[str, Any] = {}
    for name in dict.fromkeys(figures):
        value = getattr(now, name) if now else None
        if name in ("leads", "conversations") and (not value or value == getattr(now, "results", None)):
            continue
        if before is None:
            told[name] = value
        else:
            present = [value, getattr(before, name), change.get(name)]
            told[name] = None if present == [None, None, None] else present
    return told


class CurrencyTotal(BaseModel):
    """What several accounts of one currency add up to. Reach and results are not added."""

    currency: str
    accounts: int
    now: Numbers | None = None
    before: Numbers | None = None
    change: dict[str, Decimal] = {}


class ReadResult(ToolResult):
    not_answering: list[str] = Field(default_factory=list)
    """Sources that could not be asked, as `source: error code`."""
    accounts_left_out: int = 0


class AccountsResult(ReadResult):
    accounts: list[AccountInfo]


class AdsReport(ReadResult):
    level: Level
    sort_by: str
    order: str
    reports: list[AccountReport]
    totals: list[CurrencyTotal] = Field(default_factory=list)

    def for_model(self) -> Mapping[str, Any]:
        return {
            "level": self.level,
            "sorted": f"{self.sort_by} {self.order}",
            "reports": [report.for_model(self.sort_by) for report in self.reports],
            "totals": [
                {"currency": t.currency, "accounts": t.accounts} | _spoken(t.now, t.before, t.change, _ADDED)
                for t in self.totals
            ],
            "origin": self.origin if self.origin != "account data" else None,
            "not_answering": self.not_answering,
            "accounts_left_out": self.accounts_left_out or None,
        }


class TrendSeries(BaseModel):
    account: AccountInfo
    attribution: str
    window: WindowInfo
    metric: str
    unit: str
    """A currency code, "%", "x" for a ratio, or "" for a count."""
    of: str
    """Name of the campaign, ad set or ad; the account's name for the whole account."""
    result_kind: str | None = None
    points: list[tuple[date, Decimal | None]]
    """(day, value); None is a gap: no data on that day."""
    highest: tuple[date, Decimal] | None = None
    lowest: tuple[date, Decimal] | None = None
    days_without_data: list[date] = []
    fetched_at: datetime


class AdsTrend(ReadResult):
    series: list[TrendSeries]

    def for_model(self) -> Mapping[str, Any]:
        return {
            "series": [
                {
                    "account": s.account.name,
                    "of": s.of,
                    "metric": s.metric,
                    "kind": s.result_kind,
                    "unit": s.unit or None,
                    "window": _span(s.window),
                    "attribution": s.attribution,
                    "days": {str(day): "no data" if value is None else value for day, value in s.points},
                    "highest": s.highest,
                    "lowest": s.lowest,
                }
                for s in self.series
            ],
            "origin": self.origin if self.origin != "account data" else None,
            "not_answering": self.not_answering,
            "accounts_left_out": self.accounts_left_out or None,
        }


class FactRow(BaseModel):
    """One piece of evidence: `label` names what was measured, over `since`..`until` where it has days of its own."""

    label: str
    value: Decimal | int | date | str
    unit: str
    """number, percent, ratio, money, day or name."""
    currency: str | None = None
    since: date | None = None
    until: date | None = None


class FindingRow(BaseModel):
    n: int
    kind: str
    severity: str
    suggestion: str
    level: Level
    id: str
    name: str
    campaign: str | None = None
    spend: Decimal | None = None
    """What it spent in the window."""
    evidence: list[FactRow]


class AccountFindings(BaseModel):
    account: AccountInfo
    attribution: str
    window: WindowInfo
    findings: list[FindingRow]
    checked: int
    """How many campaigns, ad sets and ads were looked at."""


class AdsDiagnosis(ReadResult):
    accounts: list[AccountFindings]

    def for_model(self) -> Mapping[str, Any]:
        return {
            "accounts": [
                {
                    "account": a.account.name,
                    "window": _span(a.window),
                    "attribution": a.attribution,
                    "checked": a.checked,
                    "findings": [
                        f.model_dump(exclude={"evidence", "n"}) | {"evidence": [_told(fact) for fact in f.evidence]}
                        for f in a.findings
                    ]
                    or "nothing passed the rules",
                }
                for a in self.accounts
            ],
            "origin": self.origin if self.origin != "account data" else None,
            "not_answering": self.not_answering,
            "accounts_left_out": self.accounts_left_out or None,
        }


def _told(fact: FactRow) -> str:
    unit = {"money": f" {fact.currency}", "percent": "%"}.get(fact.unit, "")
    days = f" ({fact.since}..{fact.until})" if fact.since and fact.unit != "day" else ""
    return f"{fact.label.removeprefix('finding.fact.')} {fact.value}{unit}{days}"


# --- reading --------------------------------------------------------------------------------------


class NoArgs(ToolArgs):
    pass


@tool(effect=Effect.READ, area="ads")
async def list_accounts(ctx: ToolContext, args: NoArgs) -> AccountsResult:
    """The ad accounts and imported files the user may see, with currency and time zone. Only when asked for accounts:
    the other tools find accounts themselves."""
    found = await _service(ctx).accounts(_identity(ctx))
    return AccountsResult(
        accounts=[_account(account) for account in found.accounts],
        not_answering=_not_answering(found.failures),
        origin=_origin(found.accounts),
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

    One call gives totals and rows, per account. With `compare_with`, each row also has `before` and `change` (percent).
    For a ranking set `sort_by`, `order`, `limit`. Not for day-by-day curves (ads_trend), nor for what to pause
    (ads_diagnose). Money is in the account's currency; ctr in percent; roas as a ratio. A missing figure is no data,
    not zero. Different currencies and reach are never added.
    """
    service, identity = _service(ctx), _identity(ctx)
    level = Level(args.level)
    places, failures, left_out = await _places(ctx, args.account, args.target)

    async def of(place: "_Place") -> AccountReport:
        window, compare = _windows(ctx, place.account, args.period, args.compare_with)
        own_level, ids = await _chosen(service, identity, place, level)
        report = await service.report(identity, place.account, own_level, window, compare, ids)
        return _account_report(report, args, place.entity)

    reports = await asyncio.gather(*(of(place) for place in places))
    if args.sort_by != "spend":  # a ranking begins with the account that leads it, in whatever currency or kind
        reports = sorted(reports, key=lambda report: _leading(report, args.sort_by, args.order == "desc"))
    return AdsReport(
        level=reports[0].rows[0].level if reports[0].rows else level,
        sort_by=args.sort_by,
        order=args.order,
        reports=list(reports),
        totals=_totals_by_currency(reports),
        not_answering=_not_answering(failures),
        accounts_left_out=left_out,
        origin=_origin([place.account for place in places]),
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
    service, identity = _service(ctx), _identity(ctx)
    places, failures, left_out = await _places(ctx, args.account, args.target)

    async def of(place: "_Place") -> list[TrendSeries]:
        window, _ = _windows(ctx, place.account, args.period, None)
        if window.days > MOST_DAYS:
            raise ArgumentsWrong("trend_too_long", f"at most {MOST_DAYS} days", days=window.days, most=MOST_DAYS)
        trend = await service.trend(identity, place.account, args.metric, window, place.entity)
        return [
            TrendSeries(
                account=_account(place.account),
                attribution=trend.attribution,
                window=_window(window),
                metric=args.metric,
                unit=_unit(args.metric, place.account),
                of=place.entity.name if place.entity else place.account.name,
                result_kind=line.kind,
                days_without_data=trend.days_without_data,
                fetched_at=trend.fetched_at,
                **_points(line, window.partial),
            )
            for line in trend.lines
        ]

    series = [one for found in await asyncio.gather(*(of(place) for place in places)) for one in found]
    return AdsTrend(
        series=series,
        not_answering=_not_answering(failures),
        accounts_left_out=left_out,
        origin=_origin([place.account for place in places]),
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
    service, identity = _service(ctx), _identity(ctx)
    places, failures, left_out = await _places(ctx, args.account, None)

    async def of(place: "_Place") -> AccountFindings:
        window, _ = _windows(ctx, place.account, args.period, None)
        found = await service.findings(identity, place.account, window)
        return AccountFindings(
            account=_account(place.account),
            attribution=found.attribution,
            window=_window(found.window),
            findings=[_finding(n, finding) for n, finding in enumerate(found.findings[:MOST_FINDINGS], start=1)],
            checked=found.checked,
        )

    return AdsDiagnosis(
        accounts=list(await asyncio.gather(*(of(place) for place in places))),
        not_answering=_not_answering(failures),
        accounts_left_out=left_out,
        origin=_origin([place.account for place in places]),
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
    change = await _service(ctx).plan_status(_identity(ctx), account, entity, to)
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
    service, identity = _service(ctx), _identity(ctx)

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
    return {**told, "difference": difference, "change_percent": None if percent is None else str(_to(percent, 1))}


async def _one(
    ctx: ToolContext, mention: str | None, target: str, level: Literal["campaign", "adset", "ad"] | None
) -> tuple[Account, Entity]:
    (place,), _, _ = await _places(ctx, mention, target, Level(level) if level else None)
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


# --- which account, which object, which days --------------------------------------------------------


@dataclass(frozen=True)
class _Place:
    account: Account
    entity: Entity | None = None


def _service(ctx: ToolContext) -> AdsService:
    """The service for this turn: what one tool has fetched, the next need not."""
    if AdsService not in ctx.turn.kept:
        ctx.turn.kept[AdsService] = ctx.service(AdsService).for_turn()
    found: AdsService = ctx.turn.kept[AdsService]
    return found


def _identity(ctx: ToolContext) -> Identity:
    """The user, limited to their own accounts where the role sees only its own."""
    identity = ctx.turn.identity
    if ctx.scope is Scope.OWN:
        return replace(identity, accounts=identity.accounts or frozenset())
    return identity


async def _places(
    ctx: ToolContext, mention: str | None, target: str | None, level: Level | None = None
) -> tuple[list[_Place], list[Failure], int]:
    """The accounts that are meant, and in them the object that is meant; also the sources that did not answer, and
    how many accounts were left out.

    Without a name: the file that was imported in this conversation, else all accounts at Meta, else all files. Figures
    of a file and of Meta are never mixed unasked: the file may be an export of the same account. An object that several
    accounts have is looked for in the conversation's account first.
    """
    service, identity = _service(ctx), _identity(ctx)
    mention = mention or _account_of_shown(ctx, target)
    everything = mention is not None and _folded(mention) in _EVERYTHING
    if mention and not everything:
        account = await service.find_account(identity, mention)
        entity = await service.find_entity(identity, account, target, level) if target else None
        return [_Place(account, entity)], [], 0
    found = await service.accounts(identity)
    if target is None:
        imported = [a for a in found.accounts if a.id == ctx.turn.session.get("account") and not everything]
        live = [a for a in found.accounts if a.active and a.source == "meta"]
        chosen = imported or live or found.accounts
        return [_Place(a) for a in chosen[:MOST_ACCOUNTS]], found.failures, max(0, len(chosen) - MOST_ACCOUNTS)

    accounts = found.accounts[:MOST_ACCOUNTS]
    answers = await asyncio.gather(
        *(service.find_entity(identity, account, target, level) for account in accounts), return_exceptions=True
    )
    places = []
    errors: list[BaseException] = []
    for account, answer in zip(accounts, answers, strict=True):
        if isinstance(answer, BaseException):
            errors.append(answer)
        else:
            places.append(_Place(account, answer))
    if len(places) > 1:
        current = {ctx.turn.session.get("last_account"), ctx.turn.session.get("account")}
        here = [place for place in places if current & {place.account.id, place.account.name}]
        exact = [place for place in places if place.entity and place.entity.id == target.strip()]
        places = here if len(here) == 1 else exact or places
    if len(places) == 1:
        return places, [], 0
    if places:
        raise _several(target, places)
    raise _best_error(target, errors)


_EVERYTHING = frozenset(
    {"all", "all accounts", "todas", "todas as contas", "tudo", "todas las cuentas", "todos", "everything"}
)


def _folded(text: str) -> str:
    return " ".join(text.casefold().split())


def _account_of_shown(ctx: ToolContext, target: str | None) -> str | None:
    """The account of an object that was shown in this conversation, by its id: no other account need be asked."""
    shown = ctx.turn.session.get("entities") or []
    return next((str(one["account"]) for one in shown if target and one.get("id") == target.strip()), None)


def _several(target: str, places: Sequence[_Place]) -> ArgumentsWrong:
    candidates = [
        {"id": p.entity.id, "name": p.entity.name, "level": p.entity.level.value, "detail": p.account.name}
        for p in places
        if p.entity
    ]
    names = "; ".join(f"{c['name']} ({c['id']}, {c['detail']})" for c in candidates)
    return ArgumentsWrong(
        "entity_ambiguous", f"{target[:80]!r} may be any of: {names}", mention=target[:80], candidates=candidates
    )


def _best_error(target: str, errors: Sequence[BaseException]) -> BaseException:
    """Of one error per account, the one that helps most: a choice, then what could not be asked, then the closest."""
    known = [error for error in errors if isinstance(error, MutiraoError)]
    if len(known) < len(errors):
        return next(error for error in errors if not isinstance(error, MutiraoError))
    for error in known:
        if error.code == "entity_ambiguous":
            return error
    others = [error for error in known if error.code != "entity_unknown"]
    if others:
        return others[0]
    closest = [name for error in known for name in error.params.get("closest", [])][:5]
    names = "; ".join(f"{c['name']} ({c['id']})" for c in closest)
    return ArgumentsWrong(
        "entity_unknown",
        f"nothing is called {target[:80]!r}" + (f"; closest: {names}" if names else ""),
        mention=target[:80],
        closest=closest,
    )


async def _chosen(
    service: AdsService, identity: Identity, place: _Place, level: Level
) -> tuple[Level, list[str] | None]:
    """The level and the ids of the rows: the object itself, or what lies in it at the level that was asked for."""
    entity = place.entity
    if entity is None:
        return level, None
    depth = list(Level)
    if depth.index(level) <= depth.index(entity.level):
        return entity.level, [entity.id]
    below = await service.entities(identity, place.account, level)
    inside = [e.id for e in below if entity.id in (e.campaign_id, e.parent_id)]
    return level, inside


def _windows(
    ctx: ToolContext, account: Account, period: str | None, compare_with: str | None
) -> tuple[Window, Window | None]:
    now = ctx.turn.now
    months_back = META_MONTHS if account.source == "meta" else None

    def read(text: str, default: Window | None = None) -> PeriodRequest:
        found = parse_period(text, now=now, time_zone=account.time_zone, default=default, months_back=months_back)
        if found is None:
            raise ArgumentsWrong("period_unclear", f"{text[:80]!r} names no period", said=text[:80])
        return found

    window, compare = _default(account, now), None
    if period:
        asked = read(period)
        window, compare = asked.window, asked.compare
    if compare_with:
        if compare_with.strip().lower() in ("previous", "anterior", "previous period", "período anterior"):
            return window, previous(window)
        if compare_with[:4].isdigit():
            return window, read(compare_with).window
        asked = read(f"comparado com {compare_with}", window)
        compare = asked.compare or asked.window
    return window, compare


def _default(account: Account, now: datetime) -> Window:
    """The last 7 days; of an imported file, all its days."""
    if account.data_from and account.data_until:
        return Window(account.data_from, account.data_until, account.time_zone)
    return default_window(account.time_zone, now=now)


# --- from the service's types to results --------------------------------------------------------------


def _account(account: Account) -> AccountInfo:
    return AccountInfo(
        id=account.id,
        name=account.name,
        currency=account.currency,
        time_zone=account.time_zone,
        source=account.source,
        active=account.active,
        data_from=account.data_from,
        data_until=account.data_until,
    )


def _window(window: Window) -> WindowInfo:
    return WindowInfo(
        since=window.since, until=window.until, days=window.days, partial=window.partial, time_zone=window.time_zone
    )


def _origin(accounts: Sequence[Account]) -> Origin:
    return "file" if any(account.source == "file" for account in accounts) else "account data"


def _not_answering(failures: Sequence[Failure]) -> list[str]:
    return [f"{failure.source}: {failure.error.code}" for failure in failures]


def _numbers(totals: Totals | None) -> Numbers | None:
    if totals is None:
        return None
    figures = {name: _rounded(metrics.metric(totals, name)) for name in _FIGURES}
    return Numbers(**figures, result_kind=totals.result_kind, incomplete=sorted(totals.incomplete & set(_FIGURES)))


_FIGURES = [name for name in Numbers.model_fields if name not in ("result_kind", "incomplete")]


def _rounded(value: Value) -> Decimal | int | None:
    match value:
        case Money():
            return value.rounded().amount
        case Decimal():
            return _to(value, 2)
        case _:
            return value


def _to(value: Decimal, decimals: int) -> Decimal:
    rounded = value.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)
    return rounded.quantize(Decimal(1)) if rounded == rounded.to_integral_value() else rounded


def _change(changes: Any) -> dict[str, Decimal]:
    return {name: _to(value, 1) for name, value in changes.items() if value is not None and name in _FIGURES}


def _account_report(report: Report, args: ReportArgs, entity: Entity | None) -> AccountReport:
    rows = _sorted(report.rows, args.sort_by, args.order == "desc")
    notes = []
    if report.partial:
        notes.append("the window includes today, which is not over")
    if report.lengths_differ:
        notes.append("the two windows differ in length")
    if not report.has_data:
        notes.append("no data in the window, which is not zero")
    if report.days_without_data:
        notes.append("some days have no data, which is not zero")
    if len({row.result_kind for row in rows if row.result_kind}) > 1 and args.sort_by in _OF_RESULTS:
        notes.append("rows of different kinds of result are ranked apart, kind by kind")
    if report.total and report.total.incomplete:
        notes.append("incomplete figures add only the rows that have them")
    return AccountReport(
        account=_account(report.account),
        attribution=report.attribution,
        window=_window(report.window),
        compare=_window(report.compare) if report.compare else None,
        total=_numbers(report.total),
        before=_numbers(report.before),
        change=_change(report.change),
        total_of=entity.name if entity else "account",
        kinds=[_kind(kind) for kind in report.kinds] if len(report.kinds) > 1 else [],
        rows=[_row(n, row) for n, row in enumerate(rows[: args.limit], start=1)],
        rows_in_all=len(rows),
        days_without_data=report.days_without_data,
        compare_days_without_data=report.compare_days_without_data,
        notes=notes,
        fetched_at=report.fetched_at,
    )


def _leading(report: AccountReport, metric: str, descending: bool) -> tuple[bool, Decimal]:
    """What accounts are ordered by in a ranking: their first row's figure, accounts without it last."""
    value = getattr(report.rows[0].now, metric, None) if report.rows and report.rows[0].now else None
    return not value, -Decimal(value or 0) if descending else Decimal(value or 0)


_OF_RESULTS = ("results", "cost_per_result")


def _sorted(rows: Sequence[Row], metric: str, descending: bool) -> list[Row]:
    """By the metric, without data last. Results of different kinds are not compared: the kind most spent on first."""
    spent: dict[str, Decimal] = {}
    for row in rows:
        if row.totals and row.totals.spend:
            kind = row.result_kind or ""
            spent[kind] = spent.get(kind, Decimal(0)) + row.totals.spend.amount
    kinds = sorted(spent, key=lambda kind: -spent[kind])

    def key(row: Row) -> tuple[bool, int, Decimal, str]:
        value = metrics.metric(row.totals, metric)
        amount = value.amount if isinstance(value, Money) else Decimal(value or 0)
        kind = row.result_kind or ""
        apart = kinds.index(kind) if metric in _OF_RESULTS and kind in kinds else 0
        return value is None, apart, -amount if descending else amount, row.name

    return sorted(rows, key=key)


def _row(n: int, row: Row) -> EntityRow:
    return EntityRow(
        n=n,
        id=row.id,
        level=row.level,
        name=row.name,
        status=row.effective_status or row.status,
        campaign=row.campaign_name or None if row.level in (Level.ADSET, Level.AD) else None,
        daily_budget=row.daily_budget.amount if row.daily_budget else None,
        lifetime_budget=row.lifetime_budget.amount if row.lifetime_budget else None,
        now=_numbers(row.totals),
        before=_numbers(row.before),
        change=_change(row.change),
    )


def _kind(total: KindTotal) -> KindNumbers:
    now = _numbers(total.totals)
    assert now is not None
    return KindNumbers(kind=total.kind, now=now, before=_numbers(total.before), change=_change(total.change))


def _finding(n: int, finding: Finding) -> FindingRow:
    return FindingRow(
        n=n,
        kind=finding.kind,
        severity=finding.severity,
        suggestion=finding.suggestion,
        level=finding.level,
        id=finding.entity_id,
        name=finding.name,
        campaign=finding.campaign_name or None,
        spend=finding.spend.rounded().amount if finding.spend else None,
        evidence=[_fact(fact) for fact in finding.evidence],
    )


def _fact(fact: Fact) -> FactRow:
    value = fact.value
    return FactRow(
        label=fact.label,
        value=value if isinstance(value, (int, date, str)) else Decimal(_rounded(value) or 0),
        unit=fact.unit,
        currency=value.currency if isinstance(value, Money) else None,
        since=fact.window.since if fact.window else None,
        until=fact.window.until if fact.window else None,
    )


_ADDED = ("spend", "impressions", "clicks", "link_clicks", "purchases", "purchase_value", "leads", "conversations")


def _totals_by_currency(reports: Sequence[AccountReport]) -> list[CurrencyTotal]:
    """One total for each currency that two accounts or more share over the same days."""
    currencies = list(dict.fromkeys(report.account.currency for report in reports))
    totals = []
    for currency in currencies:
        same = [one for one in reports if one.account.currency == currency and one.account.source == "meta"]
        if len(same) < 2 or len({(one.window.since, one.window.until) for one in same}) > 1:
            continue  # a file may be an export of the same account; other days are not added
        now = _added([report.total for report in same])
        before = _added([report.before for report in same]) if all(r.compare for r in same) else None
        change = {}
        if now and before:
            for name in _ADDED:
                percent = metrics.change(getattr(before, name), getattr(now, name))
                if percent is not None:
                    change[name] = _to(percent, 1)
        totals.append(CurrencyTotal(currency=currency, accounts=len(same), now=now, before=before, change=change))
    return totals


def _added(numbers: Sequence[Numbers | None]) -> Numbers | None:
    present = [one for one in numbers if one is not None]
    if not present:
        return None
    sums: dict[str, Any] = {}
    incomplete = {name for one in present for name in one.incomplete}
    for name in _ADDED:
        values = [getattr(one, name) for one in present if getattr(one, name) is not None]
        if values:
            sums[name] = sum(values, Decimal(0))
            if len(values) < len(numbers):
                incomplete.add(name)
    return Numbers(**sums, incomplete=sorted(incomplete & set(_ADDED)))


def _unit(metric: str, account: Account) -> str:
    if metric in ("spend", "cost_per_result", "cpc", "cpm", "purchase_value"):
        return account.currency
    return {"ctr": "%", "roas": "x", "frequency": "x"}.get(metric, "")


def _points(line: TrendLine, partial: bool) -> dict[str, Any]:
    """The values by day, and the highest and lowest of them: today is left out of those while it is not over
    (`partial`), unless there is no other day."""
    points = []
    for point in line.points:
        value = _rounded(point.value)
        points.append((point.day, None if value is None else Decimal(value)))
    over = points[:-1] if partial else points
    known = [(day, value) for day, value in over if value is not None]
    known = known or [(day, value) for day, value in points if value is not None]
    return {
        "points": points,
        "highest": max(known, key=lambda one: one[1]) if known else None,
        "lowest": min(known, key=lambda one: one[1]) if known else None,
    }


ADS_TOOLS = [list_accounts, ads_report, ads_trend, ads_diagnose, pause_ad_object, resume_ad_object, set_ads_budget]
