"""A report: what ads did in a window, with everything a reader needs to check it in Ads Manager.

Pure: from figures and entities to rows, totals, comparisons and a daily trend. The service fetches, this adds up.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal

from business.ads import metrics
from business.ads.metrics import ResultKind, Totals, Value
from business.ads.model import Account, Entity, Figures, Level, Window
from core.money import Money


@dataclass(frozen=True)
class Row:
    """One campaign, ad set or ad. `totals` is None when it has no data in the window, which is not zero."""

    id: str
    level: Level
    name: str
    totals: Totals | None
    before: Totals | None = None
    """The same entity in the window that is compared with; None without one, or without data in it."""
    change: Mapping[str, Decimal | None] = field(default_factory=dict)
    """Metric → change in percent from `before`; None where it cannot be said. Empty without a comparison."""
    result_kind: ResultKind | None = None
    status: str = ""
    effective_status: str = ""
    """Empty where the source does not tell, as for what was deleted since."""
    objective: str = ""
    destination: str = ""
    campaign_id: str | None = None
    campaign_name: str = ""
    adset_id: str | None = None
    adset_name: str = ""
    daily_budget: Money | None = None
    lifetime_budget: Money | None = None


@dataclass(frozen=True)
class KindTotal:
    """What was spent for one kind of result and what it brought. Kinds are never added together."""

    kind: ResultKind
    totals: Totals
    before: Totals | None
    change: Mapping[str, Decimal | None]


@dataclass(frozen=True)
class Report:
    """The figures of one account, in its own currency and days."""

    account: Account
    level: Level
    window: Window
    compare: Window | None
    rows: list[Row]
    """Most spent first; rows without data last."""
    total: Totals | None
    """Of the account, or of the chosen entities; None when there is no data at all. Its `results` is None where
    several kinds of result were bought: see `kinds`."""
    before: Totals | None
    change: Mapping[str, Decimal | None]
    kinds: list[KindTotal]
    days_without_data: list[date]
    compare_days_without_data: list[date]
    attribution: str
    fetched_at: datetime
    """Aware, UTC: when the source was asked."""
    selected: bool = False
    """True when the totals are of chosen entities, not of the whole account."""

    @property
    def currency(self) -> str:
        return self.account.currency

    @property
    def partial(self) -> bool:
        """The window ends today, which is not over: its last day will still grow."""
        return self.window.partial

    @property
    def lengths_differ(self) -> bool:
        """The two windows have different numbers of days: sums are not comparable day by day."""
        return self.compare is not None and self.compare.days != self.window.days

    @property
    def has_data(self) -> bool:
        return self.total is not None


@dataclass(frozen=True)
class Point:
    day: date
    value: Value
    """None is a gap: no data on that day."""


@dataclass(frozen=True)
class TrendLine:
    """`kind` tells the lines apart where a metric of results is asked of an account that buys several kinds."""

    kind: ResultKind | None
    points: list[Point]


@dataclass(frozen=True)
class Trend:
    account: Account
    metric: str
    window: Window
    entity: Entity | None
    lines: list[TrendLine]
    attribution: str
    fetched_at: datetime

    @property
    def days_without_data(self) -> list[date]:
        """Days on which no line has a value; today is not counted."""
        last = self.window.until if not self.window.partial else self.window.until - timedelta(days=1)
        with_value = {p.day for line in self.lines for p in line.points if p.value is not None}
        days = [p.day for p in self.lines[0].points] if self.lines else []
        return [day for day in days if day <= last and day not in with_value]


def kinds_of(
    entities: Sequence[Entity], rules: Mapping[str, str] | None = None, figures: Sequence[Figures] = ()
) -> dict[str, ResultKind | None]:
    """Entity id → what counts as its result, by the account's `rules` (see metrics.result_of).

    `figures` add those that are in no list, such as archived campaigns that spent in the window.
    """
    found = {f.entity_id: metrics.result_of(f.objective, "", f.goal, rules) for f in figures}
    return found | {e.id: metrics.result_of(e.objective, e.destination, e.goal, rules) for e in entities}


def build_report(
    account: Account,
    level: Level,
    window: Window,
    compare: Window | None,
    *,
    entities: Sequence[Entity],
    kinds: Mapping[str, ResultKind | None],
    figures: Sequence[Figures],
    before: Sequence[Figures],
    account_row: Figures | None,
    account_before: Figures | None,
    days: Sequence[Figures],
    compare_days: Sequence[Figures],
    entity_ids: Sequence[str] | None,
    attribution: str,
    fetched_at: datetime,
) -> Report:
    """Put the figures together. `figures` and `before` are one row per entity of `level` over the whole window;
    `account_row` is the account over the window, for its reach; `days` are daily rows of what the report is about: none
    at all where there are figures means that the source does not tell days (a file of one range), not that all lack."""
    now_of, before_of = _by_entity(figures), _by_entity(before)
    known = {e.id: e for e in entities}
    names = {e.id: e.name for e in entities}
    if entity_ids is not None:
        shown = list(dict.fromkeys(entity_ids))
    else:
        shown = list(dict.fromkeys([*now_of, *before_of, *(e.id for e in entities if e.delivering)]))

    rows = [
        _row(
            entity_id,
            level,
            known.get(entity_id),
            kinds.get(entity_id),
            now_of.get(entity_id, []),
            before_of.get(entity_id, []),
            window,
            compare,
            names,
        )
        for entity_id in shown
    ]
    rows.sort(key=lambda r: (r.totals is None, -_spent(r.totals), r.name))

    chosen = None if entity_ids is None else set(entity_ids)
    total_rows = [f for f in figures if chosen is None or f.entity_id in chosen]
    before_rows = [f for f in before if chosen is None or f.entity_id in chosen]
    if chosen is None and level is not Level.ACCOUNT:
        total = _account_total(total_rows, account_row, kinds, window)
        total_before = _account_total(before_rows, account_before, kinds, compare) if compare else None
    else:
        total = metrics.totals(total_rows, kinds, window=window)
        total_before = metrics.totals(before_rows, kinds, window=compare) if compare else None

    of_kind = metrics.by_kind(total_rows, kinds, level)
    of_kind_before = metrics.by_kind(before_rows, kinds, level)
    kind_totals = [
        KindTotal(kind, totals, of_kind_before.get(kind), metrics.changes(of_kind_before.get(kind), totals))
        for kind, totals in of_kind.items()
    ]
    return Report(
        account=account,
        level=level,
        window=window,
        compare=compare,
        rows=rows,
        total=total,
        before=total_before,
        change=metrics.changes(total_before, total) if compare else {},
        kinds=kind_totals,
        days_without_data=_missing_days(figures, days, window),
        compare_days_without_data=_missing_days(before, compare_days, compare) if compare else [],
        attribution=attribution,
        fetched_at=fetched_at,
        selected=chosen is not None,
    )


def _missing_days(figures: Sequence[Figures], days: Sequence[Figures], window: Window) -> list[date]:
    return [] if figures and not days else metrics.days_without_data(days, window)


def _by_entity(rows: Sequence[Figures]) -> dict[str, list[Figures]]:
    found: dict[str, list[Figures]] = defaultdict(list)
    for row in rows:
        found[row.entity_id].append(row)
    return found


def _spent(totals: Totals | None) -> Decimal:
    return totals.spend.amount if totals and totals.spend else Decimal(0)


def _row(
    entity_id: str,
    level: Level,
    entity: Entity | None,
    kind: ResultKind | None,
    now: list[Figures],
    before: list[Figures],
    window: Window,
    compare: Window | None,
    names: Mapping[str, str],
) -> Row:
    some = next(iter([*now, *before]), None)
    totals = metrics.totals(now, kind, window=window)
    totals_before = metrics.totals(before, kind, window=compare) if compare else None
    return Row(
        id=entity_id,
        level=level,
        name=entity.name if entity else some.name if some else entity_id,
        totals=totals,
        before=totals_before,
        change=metrics.changes(totals_before, totals) if compare else {},
        result_kind=kind,
        status=entity.status.value if entity else "",
        effective_status=entity.effective_status if entity else "",
        objective=entity.objective if entity else "",
        destination=entity.destination if entity else "",
        campaign_id=(some.campaign_id if some else None) or (entity.campaign_id if entity else None),
        campaign_name=some.campaign_name if some else "",
        adset_id=(some.adset_id if some else None) or (entity.parent_id if entity and level is Level.AD else None),
        adset_name=some.adset_name if some else "",
        daily_budget=entity.daily_budget if entity else None,
        lifetime_budget=entity.lifetime_budget if entity else None,
    )


def _account_total(
    rows: list[Figures], account_row: Figures | None, kinds: Mapping[str, ResultKind | None], window: Window
) -> Totals | None:
    """The account's own row where there is one (it holds what deleted campaigns spent, and the reach)."""
    summed = metrics.totals(rows, kinds)
    if account_row is None:
        return summed
    own = metrics.totals([account_row], window=window)
    if own is None or summed is None:
        return own
    # The account's row does not know what its campaigns were run for.
    return Totals(
        **{
            **{name: getattr(own, name) for name in own.__dataclass_fields__},
            "results": summed.results,
            "result_kind": summed.result_kind,
        }
    )


def build_trend(
    account: Account,
    metric: str,
    window: Window,
    *,
    entity: Entity | None,
    rows: Sequence[Figures],
    kinds: Mapping[str, ResultKind | None],
    attribution: str,
    fetched_at: datetime,
) -> Trend:
    """One line per kind of result for metrics of results, else one line; every day of the window is a point.

    `rows` are daily: of the entity, of the account, or of its campaigns where kinds have to be told apart.
    """
    metrics.metric(None, metric)  # an unknown name is told even when there is no row
    days = [window.since + timedelta(days=n) for n in range(window.days)]
    by_kind = metric in ("results", "cost_per_result")
    found = {kinds.get(row.entity_id) for row in rows} if by_kind else set()
    lines = []
    line_kinds: list[ResultKind | None] = [k for k in ResultKind if k in found]
    for kind in line_kinds or [None]:
        of_day: dict[date, list[Figures]] = defaultdict(list)
        for row in rows:
            if not by_kind or kind is None or kinds.get(row.entity_id) is kind:
                of_day[row.since].append(row)
        points = [
            Point(day, metrics.metric(metrics.totals(of_day[day], kind, window=_day(day, window)), metric))
            for day in days
        ]
        lines.append(TrendLine(kind, points))
    return Trend(account, metric, window, entity, lines, attribution, fetched_at)


def _day(day: date, window: Window) -> Window:
    return Window(day, day, window.time_zone)
