"""The nouns of advertising, as Meta uses them: account, campaign, ad set, ad, and their daily figures.

A figure that Meta did not send is None (no data), which is not 0.
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from core.money import Money


class Level(StrEnum):
    ACCOUNT = "account"
    CAMPAIGN = "campaign"
    ADSET = "adset"
    AD = "ad"


class Status(StrEnum):
    """What the user set; ACTIVE runs only if everything above it is ACTIVE too (see Entity.delivering)."""

    ACTIVE = "ACTIVE"
    PAUSED = "PAUSED"
    ARCHIVED = "ARCHIVED"
    DELETED = "DELETED"


@dataclass(frozen=True)
class Account:
    """An ad account. `id` is `act_…` for Meta, `file_…` for an imported export."""

    id: str
    name: str
    currency: str
    time_zone: str
    """IANA name: the account's own zone, in which its days begin and end."""
    active: bool = True
    attribution: str = ""
    """The account's attribution setting in words of the API, such as `7d_click,1d_view`; empty when not told."""
    source: str = "meta"
    """`meta` or `file`."""
    data_from: date | None = None
    """Oldest and newest day that an imported file covers; None for a live account."""
    data_until: date | None = None


@dataclass(frozen=True)
class Entity:
    """A campaign, ad set or ad."""

    id: str
    level: Level
    name: str
    account_id: str
    status: Status
    effective_status: str
    objective: str = ""
    """Of its campaign: OUTCOME_SALES, OUTCOME_LEADS, OUTCOME_TRAFFIC, OUTCOME_ENGAGEMENT, …; empty in many files."""
    destination: str = ""
    """destination_type of the ad set (WHATSAPP for click-to-WhatsApp); of a campaign, when all its ad sets agree;
    empty when not told."""
    goal: str = ""
    """optimization_goal of the ad set (CONVERSATIONS, LINK_CLICKS, …); of a campaign, when all its ad sets agree."""
    parent_id: str | None = None
    campaign_id: str | None = None
    daily_budget: Money | None = None
    lifetime_budget: Money | None = None
    """Budgets stand where they live: on the campaign (Advantage campaign budget) or on its ad sets, never on both."""
    created: datetime | None = None

    @property
    def delivering(self) -> bool:
        return self.effective_status == "ACTIVE"


@dataclass(frozen=True)
class Window:
    """Whole days in the account's time zone, both ends included. `partial`: the last day is today and not over."""

    since: date
    until: date
    time_zone: str
    partial: bool = False

    @property
    def days(self) -> int:
        return (self.until - self.since).days + 1


@dataclass(frozen=True)
class Figures:
    """What Meta counted for one entity over one window or one day. Missing is None, never 0."""

    entity_id: str
    level: Level
    name: str
    since: date
    until: date
    campaign_id: str | None = None
    campaign_name: str = ""
    adset_id: str | None = None
    adset_name: str = ""
    objective: str = ""
    goal: str = ""
    """Objective and optimization_goal as the row tells them: for entities that are archived and in no list."""
    impressions: int | None = None
    clicks: int | None = None
    """All clicks, as Meta's `clicks`."""
    link_clicks: int | None = None
    reach: int | None = None
    """People. Valid for exactly this window; never summed over days or entities."""
    spend: Money | None = None
    actions: dict[str, Decimal] = field(default_factory=dict)
    """action_type → count, as sent by Meta (generic types include their parts: never add both)."""
    action_values: dict[str, Decimal] = field(default_factory=dict)
    """action_type → value in the account's currency."""
    actions_known: bool = True
    """False where the source does not tell actions at all (a file without such a column): an absent type is then no
    data. Otherwise an absent type did not happen: Meta leaves zeros out."""


class AdsSource(Protocol):
    """Where accounts and figures come from: Meta's Graph API, or an imported export. Two implementations:
    `integrations/meta_ads` (through `business/ads/graph_source.py`) and `business/ads/file_source.py`."""

    kind: str
    """`meta` or `file`, as in Account.source."""

    async def accounts(self) -> list[Account]: ...

    async def entities(self, account_id: str, level: Level) -> list[Entity]:
        """All entities of the level that are not deleted, every page."""
        ...

    async def figures(
        self,
        account: Account,
        level: Level,
        window: Window,
        *,
        daily: bool = False,
        entity_ids: list[str] | None = None,
    ) -> list[Figures]:
        """One row per entity (and day when `daily`) with data in the window; an entity without a row has no data.

        Conversions are counted by the account's own attribution setting.
        """
        ...
