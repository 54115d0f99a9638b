"""Graph's answers as typed values. Numbers come as strings and become numbers; what Meta left out is None, never 0.

Budgets are whole numbers in Meta's smallest units, as sent: `core.money.Money.from_meta_units` makes money of them.
Spend and values are decimals in the currency's main unit. Anything that does not fit raises meta_answer_broken.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from typing import Any, NamedTuple

from integrations.meta_ads.errors import answer_broken

Raw = Mapping[str, Any]


@dataclass(frozen=True)
class Person:
    """Whose token it is: a person or a system user."""

    id: str
    name: str


@dataclass(frozen=True)
class TokenInfo:
    """What Meta says about our token."""

    valid: bool
    scopes: tuple[str, ...]
    expires: datetime | None
    """None: it does not expire, or Meta did not tell (see `expiry_known`)."""
    expiry_known: bool
    owner: Person

    def missing(self, *needed: str) -> list[str]:
        """The scopes of `needed` that it lacks."""
        return [scope for scope in needed if scope not in self.scopes]


@dataclass(frozen=True)
class AdAccount:
    id: str
    """act_…"""
    name: str
    currency: str
    time_zone: str
    account_status: int | None
    """1 active, 2 disabled, 3 unsettled, 7 pending risk review, 9 in grace period, 101 closed, …"""
    attribution: str
    """Such as `7d_click,1d_view`; empty when not told."""
    business_name: str
    least_daily_budget: int | None

    @property
    def active(self) -> bool:
        return self.account_status in (1, 9)


@dataclass(frozen=True)
class Campaign:
    id: str
    name: str
    account_id: str
    """act_…"""
    status: str
    effective_status: str
    objective: str
    daily_budget: int | None
    lifetime_budget: int | None
    created: datetime | None
    updated: datetime | None


@dataclass(frozen=True)
class Adset:
    id: str
    name: str
    account_id: str
    campaign_id: str
    status: str
    effective_status: str
    destination_type: str
    optimization_goal: str
    attribution: str
    daily_budget: int | None
    lifetime_budget: int | None
    created: datetime | None
    updated: datetime | None


@dataclass(frozen=True)
class Ad:
    id: str
    name: str
    account_id: str
    campaign_id: str
    adset_id: str
    status: str
    effective_status: str
    created: datetime | None
    updated: datetime | None


_NO_WINDOWS: Mapping[str, Decimal] = MappingProxyType({})


class ActionCount(NamedTuple):
    """One action type: by the default attribution, and by each window that was asked for and counted something."""

    value: Decimal | None
    windows: Mapping[str, Decimal] = _NO_WINDOWS


Actions = Mapping[str, ActionCount]


@dataclass(frozen=True)
class InsightsRow:
    """One row of insights. A list field that was asked for and is absent is empty; one not asked for is None."""

    since: date
    until: date
    account_id: str | None
    account_name: str | None
    currency: str | None
    campaign_id: str | None
    campaign_name: str | None
    adset_id: str | None
    adset_name: str | None
    ad_id: str | None
    ad_name: str | None
    objective: str | None
    optimization_goal: str | None
    attribution_setting: str | None
    """Such as 7d_click_1d_view."""
    impressions: int | None
    clicks: int | None
    inline_link_clicks: int | None
    reach: int | None
    frequency: Decimal | None
    spend: Decimal | None
    ctr: Decimal | None
    """Percent, of all clicks."""
    cpc: Decimal | None
    cpm: Decimal | None
    actions: Actions | None
    action_values: Actions | None
    cost_per_action_type: Actions | None
    purchase_roas: Actions | None
    breakdown: Mapping[str, str]
    """Of each breakdown asked for, the row's value."""
    raw: Mapping[str, Any] = field(repr=False, compare=False)


def person(raw: Raw) -> Person:
    return Person(text(raw, "id"), str(raw.get("name") or ""))


def ad_account(raw: Raw) -> AdAccount:
    return AdAccount(
        id=text(raw, "id"),
        name=str(raw.get("name") or ""),
        currency=text(raw, "currency"),
        time_zone=text(raw, "timezone_name"),
        account_status=whole(raw, "account_status"),
        attribution=attribution(raw.get("attribution_spec")),
        business_name=str(raw.get("business_name") or ""),
        least_daily_budget=whole(raw, "min_daily_budget"),
    )


def campaign(raw: Raw) -> Campaign:
    return Campaign(
        id=text(raw, "id"),
        name=str(raw.get("name") or ""),
        account_id=account_id(raw),
        status=text(raw, "status"),
        effective_status=text(raw, "effective_status"),
        objective=str(raw.get("objective") or ""),
        daily_budget=whole(raw, "daily_budget") or None,
        lifetime_budget=whole(raw, "lifetime_budget") or None,
        created=moment(raw, "created_time"),
        updated=moment(raw, "updated_time"),
    )


def adset(raw: Raw) -> Adset:
    return Adset(
        id=text(raw, "id"),
        name=str(raw.get("name") or ""),
        account_id=account_id(raw),
        campaign_id=text(raw, "campaign_id"),
        status=text(raw, "status"),
        effective_status=text(raw, "effective_status"),
        destination_type=str(raw.get("destination_type") or ""),
        optimization_goal=str(raw.get("optimization_goal") or ""),
        attribution=attribution(raw.get("attribution_spec")),
        daily_budget=whole(raw, "daily_budget") or None,  # an ad set under a campaign budget may come with "0"
        lifetime_budget=whole(raw, "lifetime_budget") or None,
        created=moment(raw, "created_time"),
        updated=moment(raw, "updated_time"),
    )


def ad(raw: Raw) -> Ad:
    return Ad(
        id=text(raw, "id"),
        name=str(raw.get("name") or ""),
        account_id=account_id(raw),
        campaign_id=text(raw, "campaign_id"),
        adset_id=text(raw, "adset_id"),
        status=text(raw, "status"),
        effective_status=text(raw, "effective_status"),
        created=moment(raw, "created_time"),
        updated=moment(raw, "updated_time"),
    )


def insights_row(raw: Raw, asked: list[str], breakdowns: list[str]) -> InsightsRow:
    """`asked` and `breakdowns` are those of the request."""

    def actions(name: str) -> Actions | None:
        return _actions(raw, name) if name in asked or name in raw else None

    def word(name: str) -> str | None:
        value = raw.get(name)
        return None if value is None else str(value)

    return InsightsRow(
        since=day(raw, "date_start"),
        until=day(raw, "date_stop"),
        account_id=account_id(raw) if "account_id" in raw else None,
        account_name=word("account_name"),
        currency=word("account_currency"),
        campaign_id=word("campaign_id"),
        campaign_name=word("campaign_name"),
        adset_id=word("adset_id"),
        adset_name=word("adset_name"),
        ad_id=word("ad_id"),
        ad_name=word("ad_name"),
        objective=word("objective"),
        optimization_goal=word("optimization_goal"),
        attribution_setting=word("attribution_setting"),
        impressions=whole(raw, "impressions"),
        clicks=whole(raw, "clicks"),
        inline_link_clicks=whole(raw, "inline_link_clicks"),
        reach=whole(raw, "reach"),
        frequency=decimal(raw, "frequency"),
        spend=decimal(raw, "spend"),
        ctr=decimal(raw, "ctr"),
        cpc=decimal(raw, "cpc"),
        cpm=decimal(raw, "cpm"),
        actions=actions("actions"),
        action_values=actions("action_values"),
        cost_per_action_type=actions("cost_per_action_type"),
        purchase_roas=actions("purchase_roas"),
        breakdown={name: str(raw[name]) for name in breakdowns if name in raw},
        raw=raw,
    )


def _actions(raw: Raw, name: str) -> Actions:
    found: dict[str, ActionCount] = {}
    listed = raw.get(name, [])
    if not isinstance(listed, list):
        raise answer_broken(f"{name} is no list")
    for one in listed:
        if not isinstance(one, dict) or "action_type" not in one:
            raise answer_broken(f"an entry of {name} has no action_type")
        windows = _windows(one) if len(one) > 2 else _NO_WINDOWS
        found[str(one["action_type"])] = ActionCount(decimal(one, "value"), windows)
    return found


def _windows(one: Raw) -> Mapping[str, Decimal]:
    """The keys such as 1d_click and 7d_click; 1d_click_first_conversion and the like count in another way."""
    named = {key: decimal(one, key) for key in one if key[:1].isdigit() and key.count("_") == 1}
    return {key: value for key, value in named.items() if value is not None}


def attribution(spec: Any) -> str:
    """An attribution_spec as a word of the API: `7d_click,1d_view`. Empty when there is none."""
    if not isinstance(spec, list):
        return ""
    kinds = {"CLICK_THROUGH": "click", "VIEW_THROUGH": "view", "ENGAGED_VIDEO_VIEW": "ev"}
    words = []
    for one in spec:
        if isinstance(one, dict) and (kind := kinds.get(str(one.get("event_type")))):
            words.append(f"{one.get('window_days')}d_{kind}")
    return ",".join(words)


# --- one field -----------------------------------------------------------------------------------


def text(raw: Raw, name: str) -> str:
    """A field that must be there."""
    value = raw.get(name)
    if value is None or value == "":
        raise answer_broken(f"the answer has no {name}")
    return str(value)


def account_id(raw: Raw) -> str:
    """Meta writes account_id without the act_ that every request needs."""
    return "act_" + text(raw, "account_id").removeprefix("act_")


def whole(raw: Raw, name: str) -> int | None:
    value = raw.get(name)
    if value is None or value == "":
        return None
    try:
        return int(value)
    except (TypeError, ValueError):
        raise answer_broken(f"{name} is no whole number") from None


def decimal(raw: Raw, name: str) -> Decimal | None:
    value = raw.get(name)
    if value is None or value == "":
        return None
    try:
        found = Decimal(value if type(value) is str else str(value))
    except InvalidOperation:
        raise answer_broken(f"{name} is no number") from None
    if not found.is_finite():
        raise answer_broken(f"{name} is no number")
    return found


def day(raw: Raw, name: str) -> date:
    try:
        return date.fromisoformat(text(raw, name))
    except ValueError:
        raise answer_broken(f"{name} is no day") from None


def moment(raw: Raw, name: str) -> datetime | None:
    value = raw.get(name)
    if value is None:
        return None
    try:
        found = datetime.fromisoformat(str(value))  # such as 2026-11-20T09:30:00-0300
    except ValueError:
        raise answer_broken(f"{name} is no moment") from None
    if found.tzinfo is None:
        raise answer_broken(f"{name} has no time zone")
    return found.astimezone(UTC)
