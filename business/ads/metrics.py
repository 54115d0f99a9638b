"""Totals and ratios of ad figures. No data stays None; what cannot be added has no way to be added.

- A total is the sum of the rows that have the figure, None when no row has it, and named in `incomplete` when only
  some have it.
- Reach counts people, who may be the same in two rows: it is a type of its own without addition, taken only from a
  row of exactly the window and entity that is asked about.
- Ratios come from sums, never from averages of ratios, and are None where the divisor is missing or zero.
- What counts as a result depends on the campaign (`result_of`). Meta's generic action types include their parts
  ("purchase" holds the pixel's purchases, "omni_purchase" holds both), so the first type that is present counts and
  two are never added. Results of different kinds are never added either.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from business.ads.model import Figures, Level, Window
from core.errors import ArgumentsWrong
from core.money import Money


class ResultKind(StrEnum):
    """What a campaign is run for, as Ads Manager's column "Results" counts it."""

    PURCHASE = "purchase"
    LEAD = "lead"
    CONVERSATION = "conversation"
    LANDING_PAGE_VIEW = "landing_page_view"
    LINK_CLICK = "link_click"
    ENGAGEMENT = "post_engagement"
    APP_INSTALL = "app_install"
    RESULT = "result"
    """The results column of an imported file whose kind the file does not tell."""


ACTION_TYPES: dict[ResultKind, tuple[str, ...]] = {
    ResultKind.PURCHASE: (
        "omni_purchase",
        "purchase",
        "onsite_web_purchase",
        "onsite_web_app_purchase",
        "offsite_conversion.fb_pixel_purchase",
        "app_custom_event.fb_mobile_purchase",
    ),
    ResultKind.LEAD: (
        "lead",
        "onsite_conversion.lead_grouped",
        "leadgen_grouped",
        "offsite_conversion.fb_pixel_lead",
    ),
    ResultKind.CONVERSATION: (
        "onsite_conversion.messaging_conversation_started_7d",
        "onsite_conversion.total_messaging_connection",
    ),
    ResultKind.LANDING_PAGE_VIEW: ("omni_landing_page_view", "landing_page_view"),
    ResultKind.LINK_CLICK: ("link_click",),
    ResultKind.ENGAGEMENT: ("post_engagement", "page_engagement"),
    ResultKind.APP_INSTALL: ("omni_app_install", "mobile_app_install"),
    ResultKind.RESULT: ("result",),
}
"""Action types of each kind, the most complete first: the first one that is present counts, alone."""

_MESSAGING = ("WHATSAPP", "MESSENGER", "INSTAGRAM_DIRECT", "MESSAGING")

_OF_GOAL = {
    "CONVERSATIONS": ResultKind.CONVERSATION,
    "REPLIES": ResultKind.CONVERSATION,
    "LEAD_GENERATION": ResultKind.LEAD,
    "QUALITY_LEAD": ResultKind.LEAD,
    "LANDING_PAGE_VIEWS": ResultKind.LANDING_PAGE_VIEW,
    "LINK_CLICKS": ResultKind.LINK_CLICK,
    "POST_ENGAGEMENT": ResultKind.ENGAGEMENT,
    "APP_INSTALLS": ResultKind.APP_INSTALL,
}

_OF_OBJECTIVE = {
    "OUTCOME_SALES": ResultKind.PURCHASE,
    "OUTCOME_LEADS": ResultKind.LEAD,
    "OUTCOME_TRAFFIC": ResultKind.LANDING_PAGE_VIEW,
    "OUTCOME_ENGAGEMENT": ResultKind.ENGAGEMENT,
    "OUTCOME_APP_PROMOTION": ResultKind.APP_INSTALL,
    # older campaigns keep the objectives of before 2022
    "CONVERSIONS": ResultKind.PURCHASE,
    "PRODUCT_CATALOG_SALES": ResultKind.PURCHASE,
    "LEAD_GENERATION": ResultKind.LEAD,
    "MESSAGES": ResultKind.CONVERSATION,
    "LINK_CLICKS": ResultKind.LINK_CLICK,
    "POST_ENGAGEMENT": ResultKind.ENGAGEMENT,
    "APP_INSTALLS": ResultKind.APP_INSTALL,
    "": ResultKind.RESULT,
}


def result_of(
    objective: str, destination: str = "", goal: str = "", rules: Mapping[str, str] | None = None
) -> ResultKind | None:
    """What counts as the result of a campaign, ad set or ad; None where it has none (awareness: reach is no count).

    `objective`, `destination` and `goal` are Meta's objective, destination_type and optimization_goal; an empty one is
    not known. `rules` are an account's own: objective (or "*") → kind. Click-to-message campaigns count conversations
    whatever their objective, because that is what agencies buy with them.
    ArgumentsWrong("result_rule_unknown") for a rule that names no kind.
    """
    own = (rules or {}).get(objective) or (rules or {}).get("*")
    if own:
        try:
            return ResultKind(own)
        except ValueError:
            raise ArgumentsWrong("result_rule_unknown", f"{own!r} is no kind of result", kind=own) from None
    if any(word in destination for word in _MESSAGING):
        return ResultKind.CONVERSATION
    if objective in ("OUTCOME_TRAFFIC", "OUTCOME_ENGAGEMENT", "OUTCOME_LEADS") and goal in _OF_GOAL:
        return _OF_GOAL[goal]
    return _OF_OBJECTIVE.get(objective)


@dataclass(frozen=True, order=False)
class Reach:
    """People who saw something of one entity in one window. It has no sum: the people of two rows overlap."""

    people: int
    entity_id: str
    since: date
    until: date

    @classmethod
    def of(cls, row: Figures, since: date, until: date) -> "Reach | None":
        """From a row of exactly that window, else None."""
        if row.reach is None or (row.since, row.until) != (since, until):
            return None
        return cls(row.reach, row.entity_id, row.since, row.until)


@dataclass(frozen=True)
class Totals:
    """Sums over rows of one currency. A figure that no row had is None; `incomplete` names those that some rows lacked.

    Counts are whole except where an attribution model splits them, so they are Decimals. `results` is None where the
    rows count different kinds of result, or none.
    """

    spend: Money | None = None
    impressions: int | None = None
    clicks: int | None = None
    link_clicks: int | None = None
    landing_page_views: Decimal | None = None
    results: Decimal | None = None
    result_kind: ResultKind | None = None
    purchases: Decimal | None = None
    purchase_value: Money | None = None
    leads: Decimal | None = None
    conversations: Decimal | None = None
    reach: Reach | None = None
    incomplete: frozenset[str] = frozenset()

    @property
    def ctr(self) -> Decimal | None:
        """All clicks per impression, in percent (Meta's `ctr`)."""
        return _percent(self.clicks, self.impressions)

    @property
    def link_ctr(self) -> Decimal | None:
        """Link clicks per impression, in percent (Meta's `inline_link_click_ctr`)."""
        return _percent(self.link_clicks, self.impressions)

    @property
    def cpc(self) -> Money | None:
        """Spend per click, all clicks (Meta's `cpc`)."""
        return _per(self.spend, self.clicks)

    @property
    def link_cpc(self) -> Money | None:
        return _per(self.spend, self.link_clicks)

    @property
    def cpm(self) -> Money | None:
        """Spend per thousand impressions."""
        per_one = _per(self.spend, self.impressions)
        return None if per_one is None else per_one * 1000

    @property
    def cost_per_result(self) -> Money | None:
        return _per(self.spend, self.results)

    @property
    def roas(self) -> Decimal | None:
        """Value of purchases per money spent, a plain ratio: 3.5 is three and a half times."""
        if self.purchase_value is None or self.spend is None or self.spend.amount == 0:
            return None
        if self.purchase_value.currency != self.spend.currency:
            raise ArgumentsWrong(
                "currencies_mixed",
                "value and spend are in different currencies",
                one=self.spend.currency,
                other=self.purchase_value.currency,
            )
        return self.purchase_value.amount / self.spend.amount

    @property
    def frequency(self) -> Decimal | None:
        """Impressions per person reached; only where reach is known for this very window."""
        if self.reach is None or self.reach.people == 0 or self.impressions is None:
            return None
        return Decimal(self.impressions) / self.reach.people


METRICS: dict[str, Callable[[Totals], Any]] = {
    "spend": lambda t: t.spend,
    "impressions": lambda t: t.impressions,
    "reach": lambda t: None if t.reach is None else t.reach.people,
    "frequency": lambda t: t.frequency,
    "clicks": lambda t: t.clicks,
    "link_clicks": lambda t: t.link_clicks,
    "landing_page_views": lambda t: t.landing_page_views,
    "ctr": lambda t: t.ctr,
    "link_ctr": lambda t: t.link_ctr,
    "cpc": lambda t: t.cpc,
    "link_cpc": lambda t: t.link_cpc,
    "cpm": lambda t: t.cpm,
    "results": lambda t: t.results,
    "cost_per_result": lambda t: t.cost_per_result,
    "purchases": lambda t: t.purchases,
    "purchase_value": lambda t: t.purchase_value,
    "roas": lambda t: t.roas,
    "leads": lambda t: t.leads,
    "conversations": lambda t: t.conversations,
}
"""Every figure by name: Money, Decimal, int, or None for no data. Percentages count percent: 1.5 is 1.5 %."""

Value = Money | Decimal | int | None


def metric(totals: Totals | None, name: str) -> Value:
    """One figure of the totals by its name. ArgumentsWrong("metric_unknown", names=…) for another name."""
    if name not in METRICS:
        raise ArgumentsWrong("metric_unknown", f"{name!r} is no metric", metric=name, names=sorted(METRICS))
    value: Value = None if totals is None else METRICS[name](totals)
    return value


def totals(
    rows: Iterable[Figures],
    kinds: Mapping[str, ResultKind | None] | ResultKind | None = None,
    *,
    reach_row: Figures | None = None,
    window: Window | None = None,
) -> Totals | None:
    """The sum of the rows; None when there are none: no data, not zero.

    `kinds` is the kind of result of all rows, or of each entity id. `reach_row` is a row of the whole entity over the
    whole `window`; reach is taken from it, or from the only row when it covers exactly `window`.
    ArgumentsWrong("currencies_mixed") when the rows are in different currencies.
    """
    rows = list(rows)
    if not rows:
        return None
    missing: set[str] = set()

    def add(name: str, values: list[Any]) -> Any:
        present = [v for v in values if v is not None]
        if not present:
            return None
        if len(present) < len(values):
            missing.add(name)
        total = present[0]
        for value in present[1:]:
            total = total + value
        return total

    currencies = {row.spend.currency for row in rows if row.spend is not None}
    if len(currencies) > 1:
        one, other = sorted(currencies)[:2]
        raise ArgumentsWrong("currencies_mixed", f"{one} and {other} cannot be added", one=one, other=other)
    currency = next(iter(currencies), None)

    result_kind, results = _results(rows, kinds)
    value_type = _present_type(ResultKind.PURCHASE, _told(row.action_values for row in rows))
    values = [row.action_values.get(value_type) if value_type else None for row in rows]
    # A row that tells its actions and has no value had no purchase with a value: that is zero, not missing.
    known = [Decimal(0) if v is None and row.actions_known else v for v, row in zip(values, rows, strict=True)]
    value = add("purchase_value", known) if value_type else None

    if 0 < sum(row.actions_known for row in rows) < len(rows):
        missing |= {"results", "purchases", "leads", "conversations"}

    reach = None
    if window is not None:
        single = reach_row or (rows[0] if len(rows) == 1 else None)
        reach = Reach.of(single, window.since, window.until) if single is not None else None

    return Totals(
        spend=add("spend", [row.spend for row in rows]),
        impressions=add("impressions", [row.impressions for row in rows]),
        clicks=add("clicks", [row.clicks for row in rows]),
        link_clicks=add("link_clicks", [row.link_clicks for row in rows]),
        landing_page_views=count(rows, ResultKind.LANDING_PAGE_VIEW),
        results=results,
        result_kind=result_kind,
        purchases=count(rows, ResultKind.PURCHASE),
        purchase_value=Money(value, currency) if value is not None and currency else None,
        leads=count(rows, ResultKind.LEAD),
        conversations=count(rows, ResultKind.CONVERSATION),
        reach=reach,
        incomplete=frozenset(missing),
    )


def count(rows: Iterable[Figures], kind: ResultKind) -> Decimal | None:
    """How often that happened, by the one action type that counts for these rows.

    A row that was sent without the type had none of it (Meta leaves out what did not happen): zero. None only when
    there is no row, or no row tells its actions (a file without such a column).
    """
    rows = [row for row in rows if row.actions_known]
    if not rows:
        return None
    action_type = _present_type(kind, _told(row.actions for row in rows))
    if action_type is None:
        # "link_click" may also be told by its own field
        if kind is ResultKind.LINK_CLICK and (clicks := [r.link_clicks for r in rows if r.link_clicks is not None]):
            return Decimal(sum(clicks))
        return Decimal(0)
    return sum((row.actions.get(action_type, Decimal(0)) for row in rows), Decimal(0))


def _told(actions: Iterable[Mapping[str, Decimal]]) -> frozenset[str]:
    """The action types that any of the rows has."""
    return frozenset().union(*actions)


def _present_type(kind: ResultKind, told: frozenset[str]) -> str | None:
    """The first action type of the kind that was told: one type for all rows, or parts would be mixed."""
    return next((t for t in ACTION_TYPES[kind] if t in told), None)


def _results(
    rows: list[Figures], kinds: Mapping[str, ResultKind | None] | ResultKind | None
) -> tuple[ResultKind | None, Decimal | None]:
    if kinds is None:
        return None, None
    if isinstance(kinds, ResultKind):
        return kinds, count(rows, kinds)
    found = {kinds.get(row.entity_id) for row in rows}
    if len(found) != 1:
        return None, None
    (only,) = found
    return (only, count(rows, only)) if only is not None else (None, None)


def change(before: Value, after: Value) -> Decimal | None:
    """By how many percent `after` lies above `before`; None where either is missing or `before` is zero."""
    if before is None or after is None:
        return None
    if isinstance(before, Money) and isinstance(after, Money):
        return before.change_percent_to(after)
    if isinstance(before, Money) or isinstance(after, Money):
        raise TypeError("money is compared with money")
    return None if before == 0 else (Decimal(after) - Decimal(before)) / Decimal(before) * 100


def changes(before: Totals | None, after: Totals | None) -> dict[str, Decimal | None]:
    """The change of every metric in percent. Results of different kinds are not compared."""
    if before is None or after is None:
        return dict.fromkeys(METRICS)
    compared = {name: change(METRICS[name](before), METRICS[name](after)) for name in METRICS}
    if before.result_kind != after.result_kind:
        compared["results"] = compared["cost_per_result"] = None
    return compared


def days_without_data(daily: Iterable[Figures], window: Window) -> list[date]:
    """The days of the window for which no row was sent. Today is not counted: it may be too early for data."""
    seen = {row.since for row in daily}
    last = window.until - timedelta(days=1) if window.partial else window.until
    days = ((window.since + timedelta(days=n)) for n in range((last - window.since).days + 1))
    return [day for day in days if day not in seen]


def by_kind(rows: Iterable[Figures], kinds: Mapping[str, ResultKind | None], level: Level) -> dict[ResultKind, Totals]:
    """The totals of each kind of result apart, in the order of ResultKind. `rows` are of one level."""
    rows = list(rows)
    assert all(row.level == level for row in rows)
    found: dict[ResultKind, Totals] = {}
    for kind in ResultKind:
        of_kind = [row for row in rows if kinds.get(row.entity_id) is kind]
        if (total := totals(of_kind, kind)) is not None:
            found[kind] = total
    return found


def _percent(part: int | None, whole: int | None) -> Decimal | None:
    return None if part is None or not whole else Decimal(part) / Decimal(whole) * 100


def _per(spend: Money | None, number: int | Decimal | None) -> Money | None:
    return None if spend is None or not number else spend / Decimal(number)
