"""What is worth looking at in an account: pure rules with sample-size gates, each finding with its evidence.

The rules look at whole days only. Their thresholds are named below with the reason for each; where no source is named,
the reason is the arithmetic in the comment. A finding suggests at most one thing, and only `pause` stops spending:

- `tracking` never suggests a pause: clicks go on, only the counting broke, so pausing would punish a healthy campaign.
- what belongs to a campaign with broken tracking, or to a winner, is never suggested for a pause.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from statistics import median

from business.ads import metrics
from business.ads.metrics import ResultKind, Totals
from business.ads.model import Account, Entity, Figures, Level, Window
from core.money import Money

# --- thresholds ----------------------------------------------------------------------------------

RECENT_DAYS = 7
"""A whole week, so that weekends weigh the same in both periods that are compared."""
EARLIER_SHIFT = 21
"""The week three weeks before: a creative's wear takes weeks, and the same weekdays are compared."""
HISTORY_DAYS = 28

FATIGUE_LEAST_IMPRESSIONS = 5_000
"""In each period. At a click rate of 1 % these are 50 clicks, of which ±28 % is chance (2/√50)."""
FATIGUE_FREQUENCY = Decimal("2.5")
"""People have seen it two to three times within a week; below that a falling click rate has other reasons."""
FATIGUE_FREQUENCY_RISE = Decimal(25)
FATIGUE_CTR_FALL = Decimal(-30)
"""Percent. More than chance explains at the least number of impressions."""
FATIGUE_COST_RISE = Decimal(40)
"""Percent more per result: only then does the wear cost money, and a pause is worth suggesting."""
FATIGUE_LEAST_RESULTS = 8
"""In the better period, so that the cost per result is more than a fluke."""
WORN_CTR_TO_PEERS = Decimal("0.6")
WORN_COST_TO_PEERS = Decimal("1.6")
WORN_FREQUENCY = Decimal(3)
"""A creative that was worn out before the periods compared here: against the other ads of its campaign."""

TRACKING_LEAST_EXPECTED = Decimal(8)
"""Results that the clicks of the silent days should have brought. Chance brings none with probability e⁻⁸ = 0.03 %."""
TRACKING_LEAST_DAYS = 2
"""One silent day may be a late report of conversions."""
TRACKING_LEAST_BASELINE = 10
"""Results before the silence, from which the usual rate is known to within about a third."""
TRACKING_CLICKS_KEPT = Decimal("0.5")
"""Of the usual clicks a day: with fewer the traffic broke, not the counting."""
TRACKING_LEAST_CHECKOUTS = 12
"""Checkouts begun without one purchase: usually every second to third ends in one, so none is no chance."""

WINNER_DAYS_AT_BUDGET = 5
"""Of the last 7 days on which the budget was spent to the end."""
WINNER_BUDGET_USED = Decimal("0.95")
WINNER_COST = Decimal("0.8")
"""At most this share of what the account's other campaigns pay for the same kind of result."""
WINNER_LEAST_RESULTS = 20

WASTED_TIMES_COST = 3
"""Spend without a result, in costs per result of the account. Chance explains none where three are due in 5 % (e⁻³)."""
WASTED_LEAST_BENCHMARK = 10
"""Results of the account from which its cost per result is taken."""
WASTED_LEAST_DAYS = 3
"""An ad younger than this is still being learned (results come up to days after the click)."""

ANOMALY_HIGH, ANOMALY_LOW = Decimal("1.8"), Decimal("0.45")
"""The last day's spend against the median of the same weekday. Daily budgets may be overspent by 75 % on a day
(Meta Business Help, "About daily budgets"), so less than 1.8 times is no alarm."""
ANOMALY_LEAST_WEEKS = 3
ANOMALY_LEAST_SHARE = Decimal("0.05")
"""Of the account's daily spend; smaller campaigns jump without meaning."""
STOPPED_DAYS = 2


class Kind(StrEnum):
    TRACKING = "tracking"
    FATIGUE = "fatigue"
    WASTED = "wasted"
    WINNER = "winner"
    NO_DATA = "no_data"
    SPEND_JUMP = "spend_jump"
    SPEND_DROP = "spend_drop"
    STOPPED = "stopped"


class Suggestion(StrEnum):
    PAUSE = "pause"
    CHECK_TRACKING = "check_tracking"
    RAISE_BUDGET = "raise_budget"
    NONE = "none"


class Severity(StrEnum):
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


_ORDER = {Severity.HIGH: 0, Severity.MEDIUM: 1, Severity.LOW: 2}

FactValue = Money | Decimal | int | date | str


@dataclass(frozen=True)
class Fact:
    """One piece of evidence. `label` is a text key (`finding.fact.…`); `unit` says how to write a plain number."""

    label: str
    value: FactValue
    window: Window | None = None
    unit: str = "number"
    """number, percent (1.5 is 1.5 %), ratio, money, day or name."""


@dataclass(frozen=True)
class Finding:
    kind: Kind
    level: Level
    entity_id: str
    name: str
    evidence: tuple[Fact, ...]
    suggestion: Suggestion
    severity: Severity
    campaign_name: str = ""
    spend: Money | None = None
    """What it concerns, in the window; for the order of findings."""


@dataclass(frozen=True)
class Span:
    """The periods that the rules look at, all of whole days, up to the end of the window that was asked about."""

    window: Window
    whole_days: Window
    """The window without today."""
    recent: Window
    earlier: Window
    history: Window

    @classmethod
    def of(cls, window: Window) -> "Span":
        """From the window asked about; today is left out, unless it is all there is (then yesterday stands for it)."""
        last = window.until - timedelta(days=1) if window.partial else window.until
        zone = window.time_zone

        def ending(until: date, days: int) -> Window:
            return Window(until - timedelta(days=days - 1), until, zone)

        return cls(
            window=window,
            whole_days=Window(min(window.since, last), last, zone),
            recent=ending(last, RECENT_DAYS),
            earlier=ending(last - timedelta(days=EARLIER_SHIFT), RECENT_DAYS),
            history=ending(last, HISTORY_DAYS),
        )


@dataclass(frozen=True)
class Evidence:
    """All that the rules look at. `ads_…` are one row per ad over that period; `…_days` are daily rows."""

    account: Account
    span: Span
    campaigns: Mapping[str, Entity]
    adsets: Mapping[str, Entity]
    ads: Mapping[str, Entity]
    kinds: Mapping[str, ResultKind | None]
    """Entity id → kind of result, of every level."""
    campaign_days: Sequence[Figures]
    """Over span.history."""
    adset_days: Sequence[Figures] = ()
    """Over span.recent, of ad sets with a budget of their own."""
    ads_window: Sequence[Figures] = ()
    """Over span.whole_days."""
    ads_recent: Sequence[Figures] = ()
    ads_earlier: Sequence[Figures] = ()
    days_of: Mapping[str, list[Figures]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        by_campaign: dict[str, list[Figures]] = defaultdict(list)
        for row in self.campaign_days:
            by_campaign[row.entity_id].append(row)
        for rows in by_campaign.values():
            rows.sort(key=lambda r: r.since)
        object.__setattr__(self, "days_of", dict(by_campaign))


def find(evidence: Evidence) -> list[Finding]:
    """All findings, most serious first, then by what they cost."""
    broken = tracking(evidence)
    broken_ids = {f.entity_id for f in broken}
    winners = budget_limited_winners(evidence, broken_ids)
    kept = broken_ids | {f.entity_id for f in winners}
    tired = fatigued(evidence, kept)
    tired_ids = {f.entity_id for f in tired}
    wasted = [f for f in wasted_spend(evidence, kept, broken_ids) if f.entity_id not in tired_ids]
    others = [*no_data(evidence), *anomalies(evidence)]
    found = [*broken, *tired, *wasted, *winners, *others]
    return sorted(found, key=lambda f: (_ORDER[f.severity], -(f.spend.amount if f.spend else Decimal(0)), f.name))


# --- the rules -----------------------------------------------------------------------------------


def tracking(e: Evidence) -> list[Finding]:
    """Campaigns whose conversions vanished while people go on clicking."""
    found = []
    for campaign in e.campaigns.values():
        kind = e.kinds.get(campaign.id)
        days = e.days_of.get(campaign.id, [])
        if not campaign.delivering or kind not in (ResultKind.PURCHASE, ResultKind.LEAD) or not days:
            continue
        finding = _went_silent(e, campaign, kind, days) or _checkouts_without_purchase(e, campaign, kind)
        if finding:
            found.append(finding)
    return found


def _went_silent(e: Evidence, campaign: Entity, kind: ResultKind, days: list[Figures]) -> Finding | None:
    silent: list[Figures] = []
    for row in reversed(days):
        if metrics.count([row], kind) != 0:
            break
        silent.append(row)
    if len(silent) < TRACKING_LEAST_DAYS:
        return None
    before = days[: len(days) - len(silent)]
    results, clicks, clicks_now = metrics.count(before, kind), _link_clicks(before), _link_clicks(silent)
    if not results or results < TRACKING_LEAST_BASELINE or not clicks or not clicks_now:
        return None
    rate = results / clicks
    expected = rate * clicks_now
    kept = (clicks_now / len(silent)) / (clicks / len(before))
    if expected < TRACKING_LEAST_EXPECTED or kept < TRACKING_CLICKS_KEPT:
        return None
    since = Window(silent[-1].since, silent[0].until, e.account.time_zone)
    earlier = Window(before[0].since, before[-1].until, e.account.time_zone)
    total = metrics.totals(silent, kind)
    facts = [
        Fact("finding.fact.silent_since", since.since, since, "day"),
        Fact("finding.fact.link_clicks", int(clicks_now), since),
        Fact(f"finding.fact.results.{kind.value}", 0, since),
        Fact("finding.fact.expected_results", _round(expected), since),
        Fact("finding.fact.results_per_link_click_before", rate * 100, earlier, "percent"),
    ]
    spend = total.spend if total else None
    if spend:
        facts.append(Fact("finding.fact.spend", spend, since, "money"))
    return _finding(Kind.TRACKING, campaign, facts, Suggestion.CHECK_TRACKING, Severity.HIGH, spend)


def _checkouts_without_purchase(e: Evidence, campaign: Entity, kind: ResultKind) -> Finding | None:
    """For a tag that broke before all the days we look at: carts and checkouts are counted, purchases never."""
    if kind is not ResultKind.PURCHASE:
        return None
    rows = e.days_of[campaign.id]
    checkouts = _sum_of(rows, ("omni_initiated_checkout", "offsite_conversion.fb_pixel_initiate_checkout"))
    if metrics.count(rows, kind) != 0 or checkouts < TRACKING_LEAST_CHECKOUTS:
        return None
    window = Window(rows[0].since, rows[-1].until, e.account.time_zone)
    total = metrics.totals(rows, kind)
    facts = [
        Fact("finding.fact.checkouts", int(checkouts), window),
        Fact(f"finding.fact.results.{kind.value}", 0, window),
    ]
    spend = total.spend if total else None
    if spend:
        facts.append(Fact("finding.fact.spend", spend, window, "money"))
    return _finding(Kind.TRACKING, campaign, facts, Suggestion.CHECK_TRACKING, Severity.HIGH, spend)


def fatigued(e: Evidence, kept: set[str]) -> list[Finding]:
    """Ads that the same people have seen too often: less clicked than three weeks ago, or than their campaign's others,
    and dearer for it. Not in campaigns or ad sets of `kept`."""
    found = []
    earlier = {row.entity_id: row for row in e.ads_earlier}
    recent = {row.entity_id: row for row in e.ads_recent}
    for ad in e.ads.values():
        row = recent.get(ad.id)
        kind = e.kinds.get(ad.id)
        if row is None or not ad.delivering or kind is None or _within(ad, kept):
            continue
        now = metrics.totals([row], kind, window=e.span.recent)
        if now is None or (now.impressions or 0) < FATIGUE_LEAST_IMPRESSIONS or now.frequency is None:
            continue
        facts = _worn_since(e, kind, now, earlier.get(ad.id)) or _worn_beside_peers(e, ad, kind, now, recent)
        if not facts:
            continue
        # Without another ad that runs in its ad set, a pause would stop the ad set: the creative needs replacing.
        alone = not any(o.delivering and o.id != ad.id and o.parent_id == ad.parent_id for o in e.ads.values())
        suggestion = Suggestion.NONE if alone else Suggestion.PAUSE
        if alone and (adset := e.adsets.get(ad.parent_id or "")):
            facts.append(Fact("finding.fact.only_ad", adset.name, None, "name"))
        found.append(_finding(Kind.FATIGUE, ad, facts, suggestion, Severity.HIGH, now.spend, e))
    return found


def _worn_since(e: Evidence, kind: ResultKind, now: Totals, earlier: Figures | None) -> list[Fact]:
    before = metrics.totals([earlier], kind, window=e.span.earlier) if earlier else None
    if before is None or (before.impressions or 0) < FATIGUE_LEAST_IMPRESSIONS:
        return []
    frequency = metrics.change(before.frequency, now.frequency)
    ctr = metrics.change(before.link_ctr, now.link_ctr)
    cost = metrics.change(before.cost_per_result, now.cost_per_result)
    if (
        now.frequency is None
        or now.frequency < FATIGUE_FREQUENCY
        or frequency is None
        or frequency < FATIGUE_FREQUENCY_RISE
        or ctr is None
        or ctr > FATIGUE_CTR_FALL
        or (before.results or 0) < FATIGUE_LEAST_RESULTS
    ):
        return []
    dearer = cost is not None and cost >= FATIGUE_COST_RISE
    if not dearer and now.results != 0:  # no result at all is the dearest
        return []
    recent, past = e.span.recent, e.span.earlier
    facts = [
        Fact("finding.fact.frequency", _round(now.frequency, 2), recent, "ratio"),
        *(
            [Fact("finding.fact.frequency_before", _round(before.frequency, 2), past, "ratio")]
            if before.frequency
            else []
        ),
        *([Fact("finding.fact.link_ctr", now.link_ctr, recent, "percent")] if now.link_ctr is not None else []),
        *([Fact("finding.fact.link_ctr_before", before.link_ctr, past, "percent")] if before.link_ctr else []),
    ]
    return facts + _cost_facts(kind, now, before, recent, past)


def _worn_beside_peers(
    e: Evidence, ad: Entity, kind: ResultKind, now: Totals, recent: Mapping[str, Figures]
) -> list[Fact]:
    rows = [
        recent[o.id]
        for o in e.ads.values()
        if o.id != ad.id and o.campaign_id == ad.campaign_id and o.delivering and o.id in recent
    ]
    peers = metrics.totals(rows, kind)
    if peers is None or (peers.impressions or 0) < FATIGUE_LEAST_IMPRESSIONS:
        return []
    if now.frequency is None or now.frequency < WORN_FREQUENCY or now.link_ctr is None or not peers.link_ctr:
        return []
    if now.link_ctr / peers.link_ctr > WORN_CTR_TO_PEERS or (peers.results or 0) < FATIGUE_LEAST_RESULTS:
        return []
    if now.results != 0:
        if now.cost_per_result is None or peers.cost_per_result is None:
            return []
        if now.cost_per_result.amount < peers.cost_per_result.amount * WORN_COST_TO_PEERS:
            return []
    window = e.span.recent
    facts = [
        Fact("finding.fact.frequency", _round(now.frequency, 2), window, "ratio"),
        Fact("finding.fact.link_ctr", now.link_ctr, window, "percent"),
        Fact("finding.fact.link_ctr_peers", peers.link_ctr, window, "percent"),
    ]
    if now.cost_per_result:
        facts.append(Fact(f"finding.fact.cost_per_result.{kind.value}", now.cost_per_result, window, "money"))
    if peers.cost_per_result:
        facts.append(Fact("finding.fact.cost_per_result_peers", peers.cost_per_result, window, "money"))
    if now.spend:
        facts.append(Fact("finding.fact.spend", now.spend, window, "money"))
    return facts


def _cost_facts(kind: ResultKind, now: Totals, before: Totals, recent: Window, past: Window) -> list[Fact]:
    facts = []
    if now.cost_per_result:
        facts.append(Fact(f"finding.fact.cost_per_result.{kind.value}", now.cost_per_result, recent, "money"))
    elif now.results == 0:
        facts.append(Fact(f"finding.fact.results.{kind.value}", 0, recent))
    if before.cost_per_result:
        facts.append(Fact("finding.fact.cost_per_result_before", before.cost_per_result, past, "money"))
    if now.spend:
        facts.append(Fact("finding.fact.spend", now.spend, recent, "money"))
    return facts


def budget_limited_winners(e: Evidence, broken: set[str]) -> list[Finding]:
    """Campaigns and ad sets that spend their whole daily budget and pay clearly less per result than the others."""
    found = []
    days_recent = [r for r in e.campaign_days if e.span.recent.since <= r.since <= e.span.recent.until]
    for owner in [*e.campaigns.values(), *e.adsets.values()]:
        kind = e.kinds.get(owner.id)
        campaign_id = owner.campaign_id or owner.id
        if owner.daily_budget is None or not owner.delivering or kind is None or campaign_id in broken:
            continue
        rows = [r for r in (days_recent if owner.level is Level.CAMPAIGN else e.adset_days) if r.entity_id == owner.id]
        limit = owner.daily_budget.amount * WINNER_BUDGET_USED
        full = [r for r in rows if r.spend is not None and r.spend.amount >= limit]
        own = metrics.totals(rows, kind)
        if len(full) < WINNER_DAYS_AT_BUDGET or own is None or (own.results or 0) < WINNER_LEAST_RESULTS:
            continue
        others = [
            r
            for r in days_recent
            if r.entity_id != campaign_id and r.entity_id not in broken and e.kinds.get(r.entity_id) is kind
        ]
        rest = metrics.totals(others, kind)
        if rest is None or (rest.results or 0) < WASTED_LEAST_BENCHMARK:
            continue
        cost, usual = own.cost_per_result, rest.cost_per_result
        if cost is None or usual is None or cost.amount > usual.amount * WINNER_COST:
            continue
        window = e.span.recent
        facts = [
            Fact(f"finding.fact.cost_per_result.{kind.value}", cost, window, "money"),
            Fact("finding.fact.cost_per_result_others", usual, window, "money"),
            Fact("finding.fact.days_at_budget", len(full), window),
            Fact("finding.fact.daily_budget", owner.daily_budget, None, "money"),
            Fact(f"finding.fact.results.{kind.value}", _round(own.results or Decimal(0)), window),
        ]
        if own.roas is not None and kind is ResultKind.PURCHASE:
            facts.append(Fact("finding.fact.roas", _round(own.roas, 2), window, "ratio"))
        found.append(_finding(Kind.WINNER, owner, facts, Suggestion.RAISE_BUDGET, Severity.MEDIUM, own.spend, e))
    return found


def wasted_spend(e: Evidence, kept: set[str], broken: set[str]) -> list[Finding]:
    """Ads that spent several times what a result costs in this account and brought none."""
    found = []
    benchmark: dict[ResultKind, Money] = {}
    for kind in ResultKind:
        rows = [
            r
            for r in e.ads_window
            if e.kinds.get(r.entity_id) is kind and (e.ads.get(r.entity_id) or r).campaign_id not in broken
        ]
        total = metrics.totals(rows, kind)
        if total and total.cost_per_result and (total.results or 0) >= WASTED_LEAST_BENCHMARK:
            benchmark[kind] = total.cost_per_result
    for row in e.ads_window:
        ad, of_kind = e.ads.get(row.entity_id), e.kinds.get(row.entity_id)
        if ad is None or not ad.delivering or of_kind is None or of_kind not in benchmark or _within(ad, kept | broken):
            continue
        if ad.created and (e.span.whole_days.until - ad.created.date()).days < WASTED_LEAST_DAYS:
            continue
        own = metrics.totals([row], of_kind)
        if own is None or own.spend is None or own.results != 0:
            continue
        if own.spend.amount < benchmark[of_kind].amount * WASTED_TIMES_COST:
            continue
        window = e.span.whole_days
        facts = [
            Fact("finding.fact.spend", own.spend, window, "money"),
            Fact(f"finding.fact.results.{of_kind.value}", 0, window),
            Fact("finding.fact.cost_per_result_account", benchmark[of_kind], window, "money"),
        ]
        if own.link_clicks is not None:
            facts.append(Fact("finding.fact.link_clicks", own.link_clicks, window))
        found.append(_finding(Kind.WASTED, ad, facts, Suggestion.PAUSE, Severity.HIGH, own.spend, e))
    return found


def no_data(e: Evidence) -> list[Finding]:
    """Days of the last four weeks on which the whole account has no data, between days that have some."""
    days = sorted({row.since for row in e.campaign_days})
    running = any(c.delivering for c in e.campaigns.values())
    if not days or not running:
        return []
    missing = [d for d in metrics.days_without_data(e.campaign_days, e.span.history) if d > days[0]]
    if not missing:
        return []
    inside = any(e.span.whole_days.since <= d <= e.span.whole_days.until for d in missing)
    facts = [Fact("finding.fact.day_without_data", d, None, "day") for d in missing[:14]]
    return [
        Finding(
            kind=Kind.NO_DATA,
            level=Level.ACCOUNT,
            entity_id=e.account.id,
            name=e.account.name,
            evidence=(Fact("finding.fact.days_without_data", len(missing), e.span.history), *facts),
            suggestion=Suggestion.NONE,
            severity=Severity.MEDIUM if inside else Severity.LOW,
        )
    ]


def anomalies(e: Evidence) -> list[Finding]:
    """The last whole day's spend against the same weekday of the weeks before, and campaigns that fell silent."""
    last = e.span.whole_days.until
    spent_a_day = metrics.totals(e.campaign_days)
    days = {row.since for row in e.campaign_days}
    if spent_a_day is None or spent_a_day.spend is None or last not in days:
        return []
    least = spent_a_day.spend.amount / len(days) * ANOMALY_LEAST_SHARE
    found = []
    for campaign in e.campaigns.values():
        rows = {r.since: r for r in e.days_of.get(campaign.id, [])}
        if not campaign.delivering or not rows:
            continue
        same_weekday = [
            spend.amount
            for weeks in (1, 2, 3)
            if (row := rows.get(last - timedelta(days=7 * weeks))) and (spend := row.spend) is not None
        ]
        usual = Decimal(median(same_weekday)) if len(same_weekday) >= ANOMALY_LEAST_WEEKS else None
        if usual is None or usual < least:
            continue
        silent = [last - timedelta(days=n) for n in range(STOPPED_DAYS)]
        if not any(day in rows for day in silent):
            window = Window(silent[-1], last, e.account.time_zone)
            facts = [
                Fact("finding.fact.days_without_delivery", STOPPED_DAYS, window),
                Fact("finding.fact.usual_spend", Money(usual, e.account.currency).rounded(), None, "money"),
            ]
            found.append(_finding(Kind.STOPPED, campaign, facts, Suggestion.NONE, Severity.MEDIUM, None))
            continue
        row_now = rows.get(last)
        if row_now is None or row_now.spend is None:
            continue
        ratio = row_now.spend.amount / usual
        if ANOMALY_LOW < ratio < ANOMALY_HIGH:
            continue
        window = Window(last, last, e.account.time_zone)
        facts = [
            Fact("finding.fact.spend", row_now.spend, window, "money"),
            Fact("finding.fact.usual_spend", Money(usual, e.account.currency).rounded(), None, "money"),
        ]
        jump = ratio >= ANOMALY_HIGH
        found.append(
            _finding(
                Kind.SPEND_JUMP if jump else Kind.SPEND_DROP,
                campaign,
                facts,
                Suggestion.NONE,
                Severity.HIGH if jump else Severity.LOW,
                row_now.spend,
            )
        )
    return found


# --- parts ---------------------------------------------------------------------------------------


def _finding(
    kind: Kind,
    entity: Entity,
    facts: list[Fact],
    suggestion: Suggestion,
    severity: Severity,
    spend: Money | None,
    e: Evidence | None = None,
) -> Finding:
    campaign = e.campaigns.get(entity.campaign_id or "") if e and entity.level is not Level.CAMPAIGN else None
    return Finding(
        kind=kind,
        level=entity.level,
        entity_id=entity.id,
        name=entity.name,
        evidence=tuple(facts),
        suggestion=suggestion,
        severity=severity,
        campaign_name=campaign.name if campaign else "",
        spend=spend,
    )


def _within(ad: Entity, ids: set[str]) -> bool:
    return ad.id in ids or ad.parent_id in ids or ad.campaign_id in ids


def _link_clicks(rows: Sequence[Figures]) -> Decimal:
    """Meta counts link clicks itself; landing page views come from the pixel, and may be what broke."""
    return Decimal(sum(row.link_clicks or 0 for row in rows))


def _sum_of(rows: Sequence[Figures], action_types: tuple[str, ...]) -> Decimal:
    """Of the first of the types that is there: parts are never added to their whole."""
    for action_type in action_types:
        if any(action_type in row.actions for row in rows):
            return sum((row.actions.get(action_type, Decimal(0)) for row in rows), Decimal(0))
    return Decimal(0)


def _round(value: Decimal, decimals: int = 0) -> Decimal:
    return round(value, decimals) if decimals else Decimal(round(value))
