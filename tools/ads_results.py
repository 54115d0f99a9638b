"""What the ads tools answer, and how the service's reports become it.

A result names for every number the account, the window with its time zone, the attribution and the currency. Figures
are rounded as people read them, in one form: money in the main unit with the currency's decimals, percentages and
ratios with two decimals, changes in percent with one. None is no data, which is not zero.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Literal

from pydantic import BaseModel, Field

from business.ads import metrics
from business.ads.findings import Fact, Finding
from business.ads.metrics import Totals, Value
from business.ads.model import Account, Entity, Level, Window
from business.ads.report import KindTotal, Report, Row, TrendLine
from business.ads.service import Failure
from core.money import Money
from tools.spec import Origin, ToolResult

Metric = Literal[
    "spend", "results", "cost_per_result", "impressions", "reach", "frequency", "clicks", "link_clicks", "ctr", "cpc",
    "cpm", "purchases", "purchase_value", "roas", "leads", "conversations",
]  # fmt: skip


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

    @property
    def overlap(self) -> bool:
        """Whether a day is in both windows."""
        other = self.compare
        return other is not None and self.window.since <= other.until and other.since <= self.window.until

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
            "kind": self.total.result_kind if self.total and not self.kinds else None,
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
                | self._figures_of(row, few)
                for row in self.rows
                if row.level is not Level.ACCOUNT or not self._is_total(row)
            ],
            "rows_in_all": self.rows_in_all if self.rows_in_all > len(self.rows) else None,
            "days_without_data": self.days_without_data,
            "compare_days_without_data": self.compare_days_without_data,
            "notes": self.notes,
        }

    def _is_total(self, row: EntityRow) -> bool:
        """Whether the row says again what the total says: it is what was asked about, or all there is."""
        return row.now is not None and (row.now, row.before) == (self.total, self.before)

    def _figures_of(self, row: EntityRow, figures: Sequence[str]) -> dict[str, Any]:
        if self._is_total(row):
            return {"figures": "those of total"}
        if row.now is None and row.before is None:
            return {"no_data": True}
        return _spoken(row.now, row.before, row.change, figures)

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
        if self.window.partial and not self.compare.partial:
            lacking.append("now ends today, which is not over, so the change is not like for like")
        if self.overlap:
            lacking.append("the two windows overlap: days of both are counted twice")
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
                    "findings": [_told_finding(f, a.window) for f in a.findings] or "nothing passed the rules",
                }
                for a in self.accounts
            ],
            "origin": self.origin if self.origin != "account data" else None,
            "not_answering": self.not_answering,
            "accounts_left_out": self.accounts_left_out or None,
        }


def _told_finding(finding: FindingRow, window: WindowInfo) -> dict[str, Any]:
    """`spend` is told once, and with its days where they are not those of the analysis."""
    told = finding.model_dump(exclude={"evidence", "n"}) | {"evidence": [_told(fact) for fact in finding.evidence]}
    if any(fact.label == "finding.fact.spend" for fact in finding.evidence):
        told["spend"] = None
    days = max(
        ((f.since, f.until) for f in finding.evidence if f.since and f.until), key=lambda d: d[::-1], default=None
    )
    if told["spend"] is not None and days not in (None, (window.since, window.until)):
        told["spend"] = f"{told['spend']} ({days[0]}..{days[1]})" if days else told["spend"]
    return told


def _told(fact: FactRow) -> str:
    unit = {"money": f" {fact.currency}", "percent": "%"}.get(fact.unit, "")
    days = f" ({fact.since}..{fact.until})" if fact.since and fact.unit != "day" else ""
    return f"{fact.label.removeprefix('finding.fact.')} {fact.value}{unit}{days}"


# --- from the service's types to results --------------------------------------------------------------


def account_info(account: Account) -> AccountInfo:
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


def window_info(window: Window) -> WindowInfo:
    return WindowInfo(
        since=window.since, until=window.until, days=window.days, partial=window.partial, time_zone=window.time_zone
    )


def origin_of(accounts: Sequence[Account]) -> Origin:
    return "file" if any(account.source == "file" for account in accounts) else "account data"


def not_answering(failures: Sequence[Failure]) -> list[str]:
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
            return rounded_to(value, 2)
        case _:
            return value


def rounded_to(value: Decimal, decimals: int) -> Decimal:
    rounded = value.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)
    return rounded.quantize(Decimal(1)) if rounded == rounded.to_integral_value() else rounded


def _change(changes: Any) -> dict[str, Decimal]:
    return {name: rounded_to(value, 1) for name, value in changes.items() if value is not None and name in _FIGURES}


def account_report(
    report: Report, entity: Entity | None, *, sort_by: str, descending: bool, limit: int
) -> AccountReport:
    rows = _sorted(report.rows, sort_by, descending)
    notes = []
    if report.partial and (report.compare is None or report.compare.partial):  # else it is said beside the changes
        notes.append("the window includes today, which is not over")
    if report.lengths_differ:
        notes.append("the two windows differ in length")
    if not report.has_data:
        notes.append("no data in the window, which is not zero")
    if report.days_without_data:
        notes.append("some days have no data, which is not zero")
    if len({row.result_kind for row in rows if row.result_kind}) > 1 and sort_by in _OF_RESULTS:
        notes.append("rows of different kinds of result are ranked apart, kind by kind")
    if report.total and report.total.incomplete:
        notes.append("incomplete figures add only the rows that have them")
    return AccountReport(
        account=account_info(report.account),
        attribution=report.attribution,
        window=window_info(report.window),
        compare=window_info(report.compare) if report.compare else None,
        total=_numbers(report.total),
        before=_numbers(report.before),
        change=_change(report.change),
        total_of=entity.name if entity else "account",
        kinds=[_kind(kind) for kind in report.kinds] if len(report.kinds) > 1 else [],
        rows=[_row(n, row) for n, row in enumerate(rows[:limit], start=1)],
        rows_in_all=len(rows),
        days_without_data=report.days_without_data,
        compare_days_without_data=report.compare_days_without_data,
        notes=notes,
        fetched_at=report.fetched_at,
    )


def leading(report: AccountReport, metric: str, descending: bool) -> tuple[bool, Decimal]:
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


def finding_row(n: int, finding: Finding) -> FindingRow:
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


def totals_by_currency(reports: Sequence[AccountReport]) -> list[CurrencyTotal]:
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
                    change[name] = rounded_to(percent, 1)
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


def unit_of(metric: str, account: Account) -> str:
    if metric in ("spend", "cost_per_result", "cpc", "cpm", "purchase_value"):
        return account.currency
    return {"ctr": "%", "roas": "x", "frequency": "x"}.get(metric, "")


def points_of(line: TrendLine, partial: bool) -> dict[str, Any]:
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
