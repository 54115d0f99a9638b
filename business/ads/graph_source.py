"""Ad accounts and figures from Meta's Graph API, in the words of business/ads/model.py."""

import asyncio
from collections.abc import Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, TypeVar

from business.ads.model import Account, Entity, Figures, Level, Status, Window
from core.money import Money
from integrations.meta_ads.client import MetaAdsClient
from integrations.meta_ads.payloads import Ad, Adset, Campaign, InsightsRow

T = TypeVar("T")

_FIELDS = [
    "impressions",
    "clicks",
    "inline_link_clicks",
    "reach",
    "spend",
    "actions",
    "action_values",
]
_NAMES = {
    Level.ACCOUNT: ["account_id", "account_name"],
    Level.CAMPAIGN: ["campaign_id", "campaign_name", "objective"],
    Level.ADSET: ["campaign_id", "campaign_name", "adset_id", "adset_name", "objective", "optimization_goal"],
    Level.AD: ["campaign_id", "campaign_name", "adset_id", "adset_name", "ad_id", "ad_name", "objective"],
}
_ACCOUNTS = ("accounts", "")
_MOST_IDS = 50
"""Ids in one filter: longer ones make addresses that servers cut."""


_Days = tuple[date, date]
_Question = tuple[str, Level, bool, tuple[str, ...] | None]
"""Account, level, daily, ids: what figures of several windows must share to be asked together."""


@dataclass
class _Asked:
    """A question that is about to be sent, and the windows it is asked for."""

    windows: list[Window] = field(default_factory=list)
    answer: "asyncio.Future[dict[_Days, list[Figures]]]" = field(init=False)


class GraphSource:
    """AdsSource over one token. Made for one turn: it remembers the lists it fetched for as long as it lives."""

    kind = "meta"

    def __init__(self, client: MetaAdsClient, account_ids: Iterable[str] | None = None) -> None:
        """`account_ids` are the accounts chosen when the token was connected; None for all that it reaches."""
        self._client = client
        self._chosen = None if account_ids is None else frozenset(account_ids)
        self._lists: dict[tuple[str, str], asyncio.Task[Any]] = {}
        self._gathering: dict[_Question, _Asked] = {}

    async def accounts(self) -> list[Account]:
        found = await self._once(_ACCOUNTS, self._client.ad_accounts())
        return [
            Account(
                id=raw.id,
                name=raw.name or raw.id,
                currency=raw.currency,
                time_zone=raw.time_zone,
                active=raw.active,
                attribution=raw.attribution,
            )
            for raw in found
            if self._chosen is None or raw.id in self._chosen
        ]

    async def entities(self, account_id: str, level: Level) -> list[Entity]:
        if level is Level.ACCOUNT:
            return []
        if level is Level.AD:
            campaigns, adsets, ads = await asyncio.gather(
                self._campaigns(account_id), self._adsets(account_id), self._ads(account_id)
            )
            campaign_of, adset_of = {c.id: c for c in campaigns}, {a.id: a for a in adsets}
            return [_ad(ad, campaign_of.get(ad.campaign_id), adset_of.get(ad.adset_id)) for ad in ads]
        campaigns, adsets, currency = await asyncio.gather(
            self._campaigns(account_id), self._adsets(account_id), self._currency(account_id)
        )
        if level is Level.CAMPAIGN:
            return [_campaign(c, [a for a in adsets if a.campaign_id == c.id], currency) for c in campaigns]
        campaign_of = {c.id: c for c in campaigns}
        return [_adset(a, campaign_of.get(a.campaign_id), currency) for a in adsets]

    async def figures(
        self,
        account: Account,
        level: Level,
        window: Window,
        *,
        daily: bool = False,
        entity_ids: list[str] | None = None,
    ) -> list[Figures]:
        if entity_ids is not None and not entity_ids:
            return []
        key = (account.id, level, daily, None if entity_ids is None else tuple(entity_ids))
        asked = self._gathering.get(key)
        if asked is None:
            asked = self._gathering[key] = _Asked()
            asked.answer = asyncio.ensure_future(self._answer(key, asked, account))
        asked.windows.append(window)
        answers = await asyncio.shield(asked.answer)
        return answers[_days(window)]

    async def _answer(self, key: "_Question", asked: "_Asked", account: Account) -> dict["_Days", list[Figures]]:
        """The figures of every window that is asked about in the same moment, in as few requests as will do."""
        await asyncio.sleep(0)  # those who ask in the same moment have asked now
        del self._gathering[key]
        _, level, daily, ids = key
        parts = [list(ids[n : n + _MOST_IDS]) for n in range(0, len(ids), _MOST_IDS)] if ids else [None]
        together = _apart(list(dict.fromkeys(_days(window) for window in asked.windows)), touching=daily)
        answers = await asyncio.gather(
            *(self._insights(account, level, group, daily, part) for group in together for part in parts)
        )
        found: dict[_Days, list[Figures]] = {}
        for n, group in enumerate(together):
            rows = [row for part in answers[n * len(parts) : (n + 1) * len(parts)] for row in part]
            figures = [_figures(row, account, level) for row in rows]
            for since, until in group:
                found[since, until] = [one for one in figures if since <= one.since and one.until <= until]
        return found

    async def _insights(
        self,
        account: Account,
        level: Level,
        windows: "list[_Days]",
        daily: bool,
        ids: list[str] | None,
    ) -> list[InsightsRow]:
        (since, until), *also = [(windows[0][0], windows[-1][1])] if daily else windows
        filtering = [{"field": f"{level.value}.id", "operator": "IN", "value": ids}] if ids else None
        return await self._client.insights(
            account.id,
            level=level.value,
            fields=[*_NAMES[level], *_FIELDS],
            since=since,
            until=until,
            also=also,
            time_increment=1 if daily else "all_days",
            filtering=filtering if level is not Level.ACCOUNT else None,
            # Ads Manager counts by each ad set's own setting; this asks for the same (Insights API, "Attribution").
            use_unified_attribution_setting=True,
        )

    # --- lists, each fetched once ---------------------------------------------------------------

    async def _campaigns(self, account_id: str) -> list[Campaign]:
        return await self._once(("campaigns", account_id), self._client.campaigns(account_id))

    async def _adsets(self, account_id: str) -> list[Adset]:
        return await self._once(("adsets", account_id), self._client.adsets(account_id))

    async def _ads(self, account_id: str) -> list[Ad]:
        return await self._once(("ads", account_id), self._client.ads(account_id))

    async def _once(self, key: tuple[str, str], fetch: Coroutine[Any, Any, T]) -> T:
        task = self._lists.get(key)
        if task is None or _failed(task):
            task = self._lists[key] = asyncio.ensure_future(fetch)
        else:
            fetch.close()
        found: T = await asyncio.shield(task)
        return found

    async def _currency(self, account_id: str) -> str:
        """Budgets come without their currency: the account's."""
        listed = self._lists.get(_ACCOUNTS)
        if listed is not None and listed.done() and not _failed(listed):
            for account in listed.result():
                if account.id == account_id:
                    return str(account.currency)
        return (await self._once(("currency", account_id), self._client.ad_account(account_id))).currency


def _failed(task: "asyncio.Task[Any]") -> bool:
    """What failed is not remembered: the next who asks tries again."""
    return task.done() and (task.cancelled() or task.exception() is not None)


def _days(window: Window) -> _Days:
    return window.since, window.until


def _apart(windows: list[_Days], *, touching: bool) -> list[list[_Days]]:
    """The windows in groups without a common day, each group in order of time, so that a row tells its window by its
    days. `touching`: a group is one stretch of days without a gap (for daily rows)."""
    groups: list[list[_Days]] = []
    for window in sorted(windows):
        for group in groups:
            free = (window[0] - group[-1][1]).days
            if free == 1 or (free > 1 and not touching):
                group.append(window)
                break
        else:
            groups.append([window])
    return groups


def status_of(raw: str) -> Status:
    """The status a user set. A new word of Meta's is taken for paused: it must not be taken for running."""
    try:
        return Status(raw)
    except ValueError:
        return Status.PAUSED


def _budget(raw: int | None, currency: str) -> Money | None:
    return None if raw is None else Money.from_meta_units(raw, currency)


def _agreed(words: Iterable[str]) -> str:
    """The one word that all ad sets of a campaign share, else none."""
    found = {word for word in words if word}
    return found.pop() if len(found) == 1 else ""


def _campaign(raw: Campaign, adsets: list[Adset], currency: str) -> Entity:
    return Entity(
        id=raw.id,
        level=Level.CAMPAIGN,
        name=raw.name,
        account_id=raw.account_id,
        status=status_of(raw.status),
        effective_status=raw.effective_status,
        objective=raw.objective,
        destination=_agreed(a.destination_type for a in adsets),
        goal=_agreed(a.optimization_goal for a in adsets),
        parent_id=raw.account_id,
        campaign_id=raw.id,
        daily_budget=_budget(raw.daily_budget, currency),
        lifetime_budget=_budget(raw.lifetime_budget, currency),
        created=raw.created,
    )


def _adset(raw: Adset, campaign: Campaign | None, currency: str) -> Entity:
    return Entity(
        id=raw.id,
        level=Level.ADSET,
        name=raw.name,
        account_id=raw.account_id,
        status=status_of(raw.status),
        effective_status=raw.effective_status,
        objective=campaign.objective if campaign else "",
        destination=raw.destination_type,
        goal=raw.optimization_goal,
        parent_id=raw.campaign_id,
        campaign_id=raw.campaign_id,
        daily_budget=_budget(raw.daily_budget, currency),
        lifetime_budget=_budget(raw.lifetime_budget, currency),
        created=raw.created,
    )


def _ad(raw: Ad, campaign: Campaign | None, adset: Adset | None) -> Entity:
    return Entity(
        id=raw.id,
        level=Level.AD,
        name=raw.name,
        account_id=raw.account_id,
        status=status_of(raw.status),
        effective_status=raw.effective_status,
        objective=campaign.objective if campaign else "",
        destination=adset.destination_type if adset else "",
        goal=adset.optimization_goal if adset else "",
        parent_id=raw.adset_id,
        campaign_id=raw.campaign_id,
        created=raw.created,
    )


def _figures(row: InsightsRow, account: Account, level: Level) -> Figures:
    entity_id, name = {
        Level.ACCOUNT: (account.id, row.account_name or account.name),
        Level.CAMPAIGN: (row.campaign_id, row.campaign_name),
        Level.ADSET: (row.adset_id, row.adset_name),
        Level.AD: (row.ad_id, row.ad_name),
    }[level]
    return Figures(
        entity_id=entity_id or "",
        level=level,
        name=name or entity_id or "",
        since=row.since,
        until=row.until,
        campaign_id=row.campaign_id,
        campaign_name=row.campaign_name or "",
        adset_id=row.adset_id,
        adset_name=row.adset_name or "",
        objective=row.objective or "",
        goal=row.optimization_goal or "",
        impressions=row.impressions,
        clicks=row.clicks,
        link_clicks=row.inline_link_clicks,
        reach=row.reach,
        spend=None if row.spend is None else Money(row.spend, account.currency),
        actions=_counts(row.actions),
        action_values=_counts(row.action_values),
        actions_known=row.actions is not None,
    )


def _counts(actions: Mapping[str, Any] | None) -> dict[str, Decimal]:
    return {name: found.value for name, found in (actions or {}).items() if found.value is not None}
