"""The insights edge: events added up into rows as Meta words them, numbers as strings, what is not there left out."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

from integrations.meta_ads.simulator import fields as known_fields
from integrations.meta_ads.simulator.delivery import Delivery, add_up
from integrations.meta_ads.simulator.state import ZONE, State, Thing
from integrations.meta_ads.simulator.wire import GraphFault, as_list, bad_parameter, matches
from integrations.meta_ads.simulator.world import INDEX, NOTHING, Account, Counts

LEVELS = ("account", "campaign", "adset", "ad")

WINDOWS: dict[str, tuple[str, ...]] = {
    "1d_click": ("click_1d",),
    "7d_click": ("click_1d", "click_7d"),
    "28d_click": ("click_1d", "click_7d", "click_28d"),
    "1d_view": ("view_1d",),
    "1d_ev": (),
}
"""What each attribution window counts. The sandbox has no engaged views, so 1d_ev counts nothing."""
DEAD_WINDOWS = ("7d_view", "28d_view")
"""Gone since 2026-01-12; Meta answers as if they had not been asked for."""

_ONSITE: dict[str, str] = {
    "link_click": "link_clicks",
    "landing_page_view": "landing_page_views",
    "omni_landing_page_view": "landing_page_views",
    "video_view": "video_views",
    "post_reaction": "reactions",
    "comment": "comments",
    "post": "shares",
    "view_content": "content_views",
    "omni_view_content": "content_views",
    "offsite_conversion.fb_pixel_view_content": "content_views",
    "add_to_cart": "carts",
    "omni_add_to_cart": "carts",
    "offsite_conversion.fb_pixel_add_to_cart": "carts",
    "initiate_checkout": "checkouts",
    "omni_initiated_checkout": "checkouts",
    "offsite_conversion.fb_pixel_initiate_checkout": "checkouts",
    "onsite_conversion.messaging_first_reply": "first_replies",
}
"""Action types counted within a day of the click."""

_CONVERSION_TYPES: dict[str, tuple[str, ...]] = {
    "purchase": ("purchase",),
    "omni_purchase": ("purchase",),
    "offsite_conversion.fb_pixel_purchase": ("purchase",),
    "lead": ("form_lead", "site_lead"),
    "onsite_conversion.lead_grouped": ("form_lead",),
    "offsite_conversion.fb_pixel_lead": ("site_lead",),
    "onsite_conversion.messaging_conversation_started_7d": ("conversation",),
    "onsite_conversion.total_messaging_connection": ("conversation",),
}
"""Generic types (purchase, lead) hold their parts: adding them to the parts counts a conversion twice, as at Meta."""

_VALUE_TYPES = ("purchase", "omni_purchase", "offsite_conversion.fb_pixel_purchase")

_RESULT_OF_GOAL = {
    "LANDING_PAGE_VIEWS": "actions:landing_page_view",
    "LINK_CLICKS": "actions:link_click",
    "POST_ENGAGEMENT": "actions:post_engagement",
    "LEAD_GENERATION": "actions:onsite_conversion.lead_grouped",
    "CONVERSATIONS": "actions:onsite_conversion.messaging_conversation_started_7d",
}

BREAKDOWNS: dict[str, tuple[tuple[str, float], ...]] = {
    "age": (("18-24", 0.17), ("25-34", 0.33), ("35-44", 0.26), ("45-54", 0.14), ("55-64", 0.07), ("65+", 0.03)),
    "gender": (("female", 0.74), ("male", 0.24), ("unknown", 0.02)),
    "publisher_platform": (("instagram", 0.61), ("facebook", 0.33), ("audience_network", 0.04), ("messenger", 0.02)),
    "country": (("BR", 1.0),),
    "region": (
        ("São Paulo (state)", 0.34),
        ("Espírito Santo", 0.19),
        ("Rio de Janeiro (state)", 0.16),
        ("Minas Gerais", 0.15),
        ("Paraná", 0.09),
        ("Bahia", 0.07),
    ),
    "impression_device": (("iphone", 0.35), ("android_smartphone", 0.58), ("desktop", 0.05), ("ipad", 0.02)),
}

_FIRST_MONTHS = 37
"""Insights reach back 37 months (Marketing API, error 3018)."""


@dataclass(frozen=True)
class Asked:
    """An insights request, checked."""

    level: str
    fields: tuple[str, ...]
    since: date
    until: date
    increment: int | str
    windows: tuple[str, ...]
    breakdowns: tuple[str, ...]
    filtering: list[dict[str, Any]]
    sort: tuple[str, ...]
    summary: tuple[str, ...] | None
    periods: tuple[tuple[date, date], ...] = ()
    """Of `time_ranges`: each has rows of its own; `since` and `until` span them all."""


def read_request(node_kind: str, params: dict[str, Any], now: datetime, first_day: date) -> Asked:
    """The parameters of GET or POST …/insights. GraphFault as Meta would refuse them."""
    level = str(params.get("level") or node_kind)
    if level not in LEVELS:
        raise bad_parameter(f"level must be one of the following values: {', '.join(LEVELS)}")
    if LEVELS.index(level) < LEVELS.index(node_kind):
        raise GraphFault(
            "An unknown error occurred", code=1, subcode=99, status=500, kind="OAuthException"
        )  # Meta's answer to a level above the object (error reference: 1/99)
    fields = tuple(as_list(params.get("fields")))
    for name in fields:
        if name not in known_fields.INSIGHTS:
            raise bad_parameter(
                f"{name} is not valid for fields param. please check "
                "https://developers.facebook.com/docs/marketing-api/reference/ads-insights/ for all valid values"
            )
    if not fields:
        fields = ("account_id", *(f"{name}_id" for name in LEVELS[1 : LEVELS.index(level) + 1]), "impressions", "spend")
    periods = tuple(
        _days({"time_range": one}, now.astimezone(ZONE).date(), first_day) for one in _ranges(params.get("time_ranges"))
    )
    if periods:
        since, until = min(first for first, _ in periods), max(last for _, last in periods)
    else:
        since, until = _days(params, now.astimezone(ZONE).date(), first_day)
    breakdowns = tuple(as_list(params.get("breakdowns")))
    if unknown := [name for name in breakdowns if name not in BREAKDOWNS]:
        raise bad_parameter(f"breakdowns[0] must be one of the values of the sandbox, not {unknown[0]}")
    if len(breakdowns) > 1 and set(breakdowns) != {"age", "gender"}:
        raise GraphFault("Invalid breakdown combination", code=2, subcode=1504041, status=500)
    windows = tuple(as_list(params.get("action_attribution_windows")))
    for window in windows:
        if window not in WINDOWS and window not in DEAD_WINDOWS and window not in ("default", "dda", "incrementality"):
            raise bad_parameter(f"action_attribution_windows: {window} is no attribution window")
    summary = None
    if "summary" in params or _true(params.get("default_summary")):
        asked = [name for name in as_list(params.get("summary")) if name in known_fields.INSIGHTS]
        summary = tuple(asked or fields)
    return Asked(
        level=level,
        fields=fields,
        since=since,
        until=until,
        increment="all_days" if periods else _increment(params.get("time_increment")),
        windows=windows,
        breakdowns=breakdowns,
        filtering=read_filtering(params.get("filtering")),
        sort=tuple(as_list(params.get("sort"))),
        summary=summary,
        periods=periods,
    )


def read_filtering(raw: Any) -> list[dict[str, Any]]:
    """`filtering`: a JSON list of {field, operator, value}."""
    if raw in (None, ""):
        return []
    try:
        found = json.loads(raw) if isinstance(raw, str) else raw
    except ValueError:
        found = None
    if not isinstance(found, list) or not all(isinstance(one, dict) and "field" in one for one in found):
        raise bad_parameter("filtering must be a list of {field, operator, value}")
    return found


class Insights:
    """Answers insights requests from what was delivered."""

    def __init__(self, state: State, delivery: Delivery) -> None:
        self._state = state
        self._delivery = delivery
        self._accounts = {account.id: account for account in state.world.accounts}

    def rows(self, ads: list[Thing], account: Account, asked: Asked, now: datetime) -> list[dict[str, Any]]:
        """One row per entity of the level, time step and breakdown value in which something was delivered."""
        today = now.astimezone(ZONE).date()
        last = min(asked.until, today)
        groups: dict[str, list[Thing]] = {}
        for ad in ads:
            owner = account.id if asked.level == "account" else _owner(ad, asked.level).id
            groups.setdefault(owner, []).append(ad)
        rows = []
        for owner_id, members in groups.items():
            if not all(self._passes(owner_id, account, one) for one in asked.filtering if _on_entity(one)):
                continue
            for since, until in asked.periods or _steps(asked.since, asked.until, asked.increment):
                days = [since + timedelta(days=n) for n in range((min(until, last) - since).days + 1)]
                per_ad: list[tuple[Thing, Counts]] = []
                for ad in members:
                    delivered = [c for day in days if (c := self._delivery.counts(ad, day, now)) is not NOTHING]
                    if delivered:
                        per_ad.append((ad, add_up(delivered)))
                for segment, share in _segments(asked.breakdowns):
                    cut = per_ad if share is None else [(ad, _part(counts, share)) for ad, counts in per_ad]
                    total = add_up([counts for _, counts in cut])
                    if not total[INDEX["impressions"]]:
                        continue
                    reach = self._reach(cut, account, 1.0 if share is None else share[1] - share[0])
                    row = self._row(owner_id, account, total, reach, asked, since, until) | segment
                    if all(matches(row.get(one["field"]), one) for one in asked.filtering if not _on_entity(one)):
                        rows.append(row)
        for wish in reversed(asked.sort):
            name, _, order = wish.rpartition("_")
            rows.sort(key=partial(_by, name), reverse=order == "descending")
        return rows

    def summary(self, ads: list[Thing], account: Account, asked: Asked, now: datetime) -> dict[str, Any]:
        """The whole as one row, with its own reach (which is not the sum of the rows')."""
        assert asked.summary is not None
        whole = Asked(
            "account", asked.summary, asked.since, asked.until, "all_days", asked.windows, (), asked.filtering, (), None
        )
        rows = self.rows(ads, account, whole, now)
        return rows[0] if rows else {"date_start": str(asked.since), "date_stop": str(asked.until)}

    # --- one row ------------------------------------------------------------------------------

    def _row(
        self, owner_id: str, account: Account, counts: Counts, reach: int, asked: Asked, since: date, until: date
    ) -> dict[str, Any]:
        names = self._names(owner_id, account, asked.level)
        windows = tuple(
            f"{days}d_{'click' if kind.startswith('CLICK') else 'view'}" for kind, days in account.attribution
        )
        default = tuple(source for window in windows for source in WINDOWS[window])
        row: dict[str, Any] = {}
        for name in asked.fields:
            if name in names:
                row[name] = names[name]
            elif (make := _METRICS.get(name)) is not None:
                value = make(_Sums(counts, reach, default, asked.windows, names))
                if value not in (None, []):
                    row[name] = value
        row["date_start"] = since.isoformat()
        row["date_stop"] = until.isoformat()
        return row

    def _names(self, owner_id: str, account: Account, level: str) -> dict[str, str]:
        windows = "_".join(
            f"{days}d_{'click' if kind.startswith('CLICK') else 'view'}" for kind, days in account.attribution
        )
        names = {
            "account_id": account.id.removeprefix("act_"),
            "account_name": account.name,
            "account_currency": "BRL",
            "attribution_setting": windows,
        }
        if level == "account":
            return names
        for thing in self._state.things[owner_id].above():
            names[f"{thing.kind}_id"] = thing.id
            names[f"{thing.kind}_name"] = thing.name
        campaign: Any = self._state.things[owner_id].campaign.spec
        names |= {"objective": campaign.objective, "buying_type": "AUCTION", "optimization_goal": campaign.goal}
        return names

    def _reach(self, per_ad: list[tuple[Thing, Counts]], account: Account, share: float) -> int:
        """People reached in exactly this window: each ad's people, joined upwards with their overlap."""
        adsets: dict[str, list[float]] = {}
        for ad, counts in per_ad:
            whole = counts[INDEX["first_views"]] / share if share else 0.0
            people = min(self._state.world.people(ad.id, round(whole)) * share, counts[INDEX["impressions"]])
            adsets.setdefault(_owner(ad, "adset").id, []).append(people)
        campaigns: dict[str, list[float]] = {}
        for adset_id, people_of in adsets.items():
            pool = account.people * 0.35 * share
            campaigns.setdefault(self._state.things[adset_id].campaign.id, []).append(_union(people_of, pool))
        joined = [_union(people_of, account.people * 0.6 * share) for people_of in campaigns.values()]
        return max(1, round(_union(joined, account.people * share))) if per_ad else 0

    def _passes(self, owner_id: str, account: Account, one: dict[str, Any]) -> bool:
        kind, _, name = str(one["field"]).partition(".")
        thing = self._state.things.get(owner_id)
        while thing is not None and thing.kind != kind:
            thing = thing.parent
        if thing is None:
            return matches(account.id.removeprefix("act_"), one) if name == "id" and kind == "account" else True
        value = {
            "id": thing.id,
            "name": thing.name,
            "effective_status": thing.effective_status,
            "status": thing.status,
            "delivery_status": "active" if thing.effective_status == "ACTIVE" else "inactive",
            "objective": getattr(thing.campaign.spec, "objective", ""),
        }.get(name)
        return matches(value, one)


@dataclass(frozen=True)
class _Sums:
    counts: Counts
    reach: int
    default: tuple[str, ...]
    windows: tuple[str, ...]
    names: dict[str, str]

    def of(self, event: str) -> int:
        return self.counts[INDEX[event]]

    def sources(self, kinds: tuple[str, ...], sources: tuple[str, ...]) -> int:
        return sum(self.of(f"{kind}.{source}") for kind in kinds for source in sources)

    def actions(self) -> dict[str, int]:
        """Every action type by the default attribution."""
        found = {name: self.of(event) for name, event in _ONSITE.items()}
        found["post_engagement"] = found["page_engagement"] = self._engagement()
        found |= {name: self.sources(kinds, self.default) for name, kinds in _CONVERSION_TYPES.items()}
        return {name: count for name, count in found.items() if count}

    def _engagement(self) -> int:
        return sum(self.of(event) for event in ("link_clicks", "video_views", "reactions", "comments", "shares"))

    def listed(self) -> list[dict[str, str]]:
        rows = []
        for name, event in _ONSITE.items():
            rows += self._listed(name, partial(_clicked, self.of(event)))
        for name in ("post_engagement", "page_engagement"):
            rows += self._listed(name, partial(_clicked, self._engagement()))
        for name, kinds in _CONVERSION_TYPES.items():
            rows += self._listed(name, partial(self.sources, kinds))
        return rows

    def values(self) -> list[dict[str, str]]:
        rows = []
        for name in _VALUE_TYPES:
            rows += self._listed(name, lambda sources: self.sources(("purchase_value",), sources), cents=True)
        return rows

    def roas(self, action_type: str) -> list[dict[str, str]]:
        spend = self.of("spend")
        if not spend:
            return []
        return self._listed(action_type, lambda sources: self.sources(("purchase_value",), sources) / spend, ratio=True)

    def _listed(
        self, name: str, count: Callable[[tuple[str, ...]], float], *, cents: bool = False, ratio: bool = False
    ) -> list[dict[str, str]]:
        word = (lambda n: _money(int(n))) if cents else _ratio if ratio else str
        entry = {}
        if value := count(self.default):
            entry["value"] = word(value)
        for window in self.windows:
            if window in WINDOWS and (value := count(WINDOWS[window])):
                entry[window] = word(value)
        return [{"action_type": name} | entry] if entry else []

    def result(self) -> tuple[str, int] | None:
        goal, objective = self.names.get("optimization_goal"), self.names.get("objective")
        if goal in ("OFFSITE_CONVERSIONS", "VALUE"):
            kind = "purchase" if objective == "OUTCOME_SALES" else "lead"
            indicator = f"actions:offsite_conversion.fb_pixel_{kind}"
        elif goal in _RESULT_OF_GOAL:
            indicator = _RESULT_OF_GOAL[goal]
        else:
            return None
        return indicator, self.actions().get(indicator.removeprefix("actions:"), 0)


def _clicked(count: int, sources: tuple[str, ...]) -> int:
    return count if "click_1d" in sources else 0


def _results(sums: _Sums) -> list[dict[str, Any]]:
    found = sums.result()
    if found is None:
        return []
    indicator, count = found
    entry: dict[str, Any] = {"indicator": indicator}
    if count:
        entry["values"] = [{"value": str(count), "attribution_windows": ["default"]}]
    return [entry]


def _cost_per_result(sums: _Sums) -> list[dict[str, Any]]:
    found = sums.result()
    if found is None:
        return []
    indicator, count = found
    entry: dict[str, Any] = {"indicator": indicator}
    if count:
        cost = _ratio(sums.of("spend") / 100 / count)
        entry["values"] = [{"value": cost, "attribution_windows": ["default"]}]
    return [entry]


def _costs(sums: _Sums) -> list[dict[str, str]]:
    spend = sums.of("spend") / 100
    return [{"action_type": name, "value": _ratio(spend / count)} for name, count in sums.actions().items()]


def _per(above: str, below: str, factor: float = 1.0) -> Callable[[_Sums], str | None]:
    def ratio(sums: _Sums) -> str | None:
        divisor = sums.reach if below == "reach" else sums.of(below)
        return _ratio(factor * sums.of(above) / divisor) if divisor else None

    return ratio


def _outbound(sums: _Sums) -> list[dict[str, str]]:
    count = sums.of("landing_page_views") and sums.of("link_clicks")
    return [{"action_type": "outbound_click", "value": str(count)}] if count else []


_METRICS: dict[str, Callable[[_Sums], Any]] = {
    "impressions": lambda sums: str(sums.of("impressions")),
    "clicks": lambda sums: str(sums.of("clicks")),
    "spend": lambda sums: _money(sums.of("spend")),
    "reach": lambda sums: str(sums.reach),
    "frequency": _per("impressions", "reach"),
    "ctr": _per("clicks", "impressions", 100),
    "cpc": _per("spend", "clicks", 0.01),
    "cpm": _per("spend", "impressions", 10),
    "cpp": _per("spend", "reach", 10),
    "inline_link_clicks": lambda sums: str(sums.of("link_clicks")) if sums.of("link_clicks") else None,
    "inline_link_click_ctr": _per("link_clicks", "impressions", 100),
    "cost_per_inline_link_click": _per("spend", "link_clicks", 0.01),
    "inline_post_engagement": lambda sums: str(sums._engagement()) if sums._engagement() else None,
    "outbound_clicks": _outbound,
    "actions": lambda sums: sums.listed(),
    "action_values": lambda sums: sums.values(),
    "cost_per_action_type": _costs,
    "purchase_roas": lambda sums: sums.roas("omni_purchase"),
    "website_purchase_roas": lambda sums: sums.roas("offsite_conversion.fb_pixel_purchase"),
    "results": _results,
    "cost_per_result": _cost_per_result,
}


# --- small parts ---------------------------------------------------------------------------------


def _owner(ad: Thing, level: str) -> Thing:
    return next(thing for thing in ad.above() if thing.kind == level)


def _union(people: list[float], pool: float) -> float:
    """How many different people stand in groups that overlap by chance within `pool` people."""
    if len(people) == 1:
        return people[0]
    missed = math.prod(1.0 - min(group / pool, 1.0) for group in people)
    return max(max(people, default=0.0), pool * (1.0 - missed))


def _segments(breakdowns: tuple[str, ...]) -> list[tuple[dict[str, str], tuple[float, float] | None]]:
    """Each combination of breakdown values with its slice [from, to) of the whole."""
    if not breakdowns:
        return [({}, None)]
    found: list[tuple[dict[str, str], float]] = [({}, 1.0)]
    for name in breakdowns:
        found = [(labels | {name: value}, part * share) for labels, part in found for value, share in BREAKDOWNS[name]]
    slices: list[tuple[dict[str, str], tuple[float, float] | None]] = []
    at = 0.0
    for place, (labels, part) in enumerate(found, start=1):
        slices.append((labels, (at, 1.0 if place == len(found) else at + part)))
        at += part
    return slices


def _part(counts: Counts, slice_: tuple[float, float]) -> Counts:
    """The counts of a slice of the whole; the slices add up to the whole exactly."""
    return tuple(int(count * slice_[1] + 1e-9) - int(count * slice_[0] + 1e-9) for count in counts)


def _steps(since: date, until: date, increment: int | str) -> list[tuple[date, date]]:
    if increment == "all_days":
        return [(since, until)]
    steps, start = [], since
    while start <= until:
        if increment == "monthly":
            end = (start.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
        else:
            end = start + timedelta(days=int(increment) - 1)
        steps.append((start, min(end, until)))
        start = end + timedelta(days=1)
    return steps


def _increment(raw: Any) -> int | str:
    if raw in (None, "", "all_days"):
        return "all_days"
    if raw == "monthly":
        return "monthly"
    try:
        days = int(raw)
    except (TypeError, ValueError):
        days = 0
    if not 1 <= days <= 90:
        raise bad_parameter("time_increment must be an integer from 1 to 90, monthly or all_days")
    return days


def _ranges(raw: Any) -> list[Any]:
    """`time_ranges`: a JSON list of {since, until}; with it time_range, date_preset and time_increment count nothing
    (Insights API, "Parameters")."""
    if raw in (None, ""):
        return []
    try:
        found = json.loads(raw) if isinstance(raw, str) else raw
    except ValueError:
        found = None
    if not isinstance(found, list):
        raise bad_parameter("time_ranges must be a list of {'since':'YYYY-MM-DD','until':'YYYY-MM-DD'}")
    return found


def _days(params: dict[str, Any], today: date, first_day: date) -> tuple[date, date]:
    given: Any = params.get("time_range")
    if given is None and "time_range[since]" in params:
        given = {"since": params["time_range[since]"], "until": params.get("time_range[until]")}
    if given is not None:
        try:
            span = json.loads(given) if isinstance(given, str) else given
            since, until = date.fromisoformat(span["since"]), date.fromisoformat(span["until"])
        except (ValueError, KeyError, TypeError):
            raise bad_parameter("time_range must be {'since':'YYYY-MM-DD','until':'YYYY-MM-DD'}") from None
    else:
        since, until = _preset(str(params.get("date_preset") or "last_30d"), today, first_day)
    if since > until:
        raise bad_parameter("time_range: since must be on or before until")
    if (today.year - since.year) * 12 + today.month - since.month > _FIRST_MONTHS:
        raise GraphFault(
            "(#3018) The start date of the time range cannot be beyond 37 months from the current date", code=3018
        )
    return since, until


def _preset(name: str, today: date, first_day: date) -> tuple[date, date]:
    """last_…d end yesterday, as in Ads Manager; this_… end today."""
    yesterday = today - timedelta(days=1)
    month = today.replace(day=1)
    quarter = today.replace(month=(today.month - 1) // 3 * 3 + 1, day=1)
    monday = today - timedelta(days=today.weekday())
    sunday = today - timedelta(days=(today.weekday() + 1) % 7)
    before_month = month - timedelta(days=1)
    before_quarter = quarter - timedelta(days=1)
    spans = {
        "today": (today, today),
        "yesterday": (yesterday, yesterday),
        "this_month": (month, today),
        "last_month": (before_month.replace(day=1), before_month),
        "this_quarter": (quarter, today),
        "last_quarter": (before_quarter.replace(month=(before_quarter.month - 1) // 3 * 3 + 1, day=1), before_quarter),
        "this_year": (today.replace(month=1, day=1), today),
        "last_year": (date(today.year - 1, 1, 1), date(today.year - 1, 12, 31)),
        "this_week_mon_today": (monday, today),
        "this_week_sun_today": (sunday, today),
        "last_week_mon_sun": (monday - timedelta(days=7), monday - timedelta(days=1)),
        "last_week_sun_sat": (sunday - timedelta(days=7), sunday - timedelta(days=1)),
        "maximum": (first_day, today),
        "data_maximum": (first_day, today),
        **{f"last_{days}d": (today - timedelta(days=days), yesterday) for days in (3, 7, 14, 28, 30, 90)},
    }
    if name not in spans:
        raise bad_parameter(f"date_preset must be one of the following values: {', '.join(sorted(spans))}")
    return spans[name]


def _on_entity(one: dict[str, Any]) -> bool:
    return str(one["field"]).partition(".")[0] in LEVELS


def _true(raw: Any) -> bool:
    return str(raw).lower() in ("1", "true")


def _money(cents: int) -> str:
    """Centavos in reais as Meta writes them: no needless zeros."""
    return f"{cents // 100}.{cents % 100:02d}".rstrip("0").rstrip(".") if cents % 100 else str(cents // 100)


def _ratio(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".") if value else "0"


def _by(name: str, row: dict[str, Any]) -> float:
    try:
        return float(row[name])
    except (KeyError, TypeError, ValueError):
        return 0.0
