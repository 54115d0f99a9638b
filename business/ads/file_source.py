"""Imported exports as a source of ads figures: each import is an account of its own, analysed exactly like Meta's.

A file with a day column answers every window within its days; one that covers a range as a whole answers only that.
"""

import hashlib
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from business.ads.importer import result_kind
from business.ads.metrics import ACTION_TYPES, ResultKind
from business.ads.model import Account, Entity, Figures, Level, Status, Window
from core.db import Database, fetch_all, fetch_one
from core.errors import ArgumentsWrong
from core.money import Money

PREFIX = "file_"
_NAME_COLUMNS = {
    Level.CAMPAIGN: ("campaign",),
    Level.ADSET: ("campaign", "adset"),
    Level.AD: ("campaign", "adset", "ad"),
}
# The objective that makes the rules of metrics.py count the same result as the file does.
_OBJECTIVES = {
    ResultKind.PURCHASE: ("OUTCOME_SALES", ""),
    ResultKind.LEAD: ("OUTCOME_LEADS", ""),
    ResultKind.CONVERSATION: ("OUTCOME_ENGAGEMENT", "WHATSAPP"),
    ResultKind.LANDING_PAGE_VIEW: ("OUTCOME_TRAFFIC", ""),
    ResultKind.LINK_CLICK: ("LINK_CLICKS", ""),
    ResultKind.ENGAGEMENT: ("OUTCOME_ENGAGEMENT", ""),
    ResultKind.APP_INSTALL: ("OUTCOME_APP_PROMOTION", ""),
}


# Accounts and campaigns are asked of the sums by day (migrations/0006), the rest of the lines themselves.
_DAYS = """(SELECT since, until, campaign, lines, impressions, clicks, link_clicks, reach, spend, results, first_type,
                   last_type, purchases, purchase_value, leads, conversations
            FROM ad_import_days WHERE import_id = %s AND since >= %s AND until <= %s) days"""
_LINES = """(SELECT since, until, campaign, adset, ad, 1 AS lines, impressions, clicks, link_clicks, reach, spend,
                    results, nullif(result_type, '') AS first_type, nullif(result_type, '') AS last_type,
                    purchases, purchase_value, leads, conversations
             FROM ad_import_rows WHERE import_id = %s AND since >= %s AND until <= %s) days"""


class FileSource:
    """The finished imports of one tenant."""

    kind = "file"

    def __init__(self, db: Database, tenant_id: str) -> None:
        self._db = db
        self._tenant_id = tenant_id

    async def accounts(self) -> list[Account]:
        async with self._db.tenant(self._tenant_id) as conn:
            rows = await fetch_all(
                conn,
                """SELECT id, account_name, name, currency, time_zone, data_from, data_until FROM ad_imports
                   WHERE state = 'done' ORDER BY created_at DESC, id DESC""",
            )
        return [
            Account(
                id=PREFIX + row["id"],
                # Never the account's name alone: the same account may be connected too.
                name=" · ".join(name for name in (row["account_name"], row["name"]) if name),
                currency=row["currency"],
                time_zone=row["time_zone"],
                source="file",
                data_from=row["data_from"],
                data_until=row["data_until"],
            )
            for row in rows
        ]

    async def entities(self, account_id: str, level: Level) -> list[Entity]:
        if level is Level.ACCOUNT:
            return []
        async with self._db.tenant(self._tenant_id) as conn:
            rows = await fetch_all(
                conn,
                """SELECT * FROM ad_import_entities WHERE import_id = %s AND level = %s
                   ORDER BY campaign, adset, ad""",
                (account_id.removeprefix(PREFIX), level.value),
            )
        return [self._entity(account_id, level, row) for row in rows]

    def _entity(self, account_id: str, level: Level, row: dict[str, Any]) -> Entity:
        objective, destination = _objective(_types(row), row["objective"])
        active = row["active"]
        names = [row[column] for column in _NAME_COLUMNS[level]]
        return Entity(
            id=_id(account_id, names),
            level=level,
            name=names[-1],
            account_id=account_id,
            status=Status.ACTIVE if active else Status.PAUSED,
            effective_status="ACTIVE" if active else row["status"].upper(),
            objective=objective,
            destination=destination,
            parent_id=_id(account_id, names[:-1]) if len(names) > 1 else account_id,
            campaign_id=_id(account_id, names[:1]) if names[0] else None,
        )

    async def figures(
        self,
        account: Account,
        level: Level,
        window: Window,
        *,
        daily: bool = False,
        entity_ids: list[str] | None = None,
    ) -> list[Figures]:
        """ArgumentsWrong("window_not_in_file", since, until) when the file covers ranges that do not fit the window."""
        import_id = account.id.removeprefix(PREFIX)
        columns = _NAME_COLUMNS.get(level, ())
        by_campaign = level in (Level.ACCOUNT, Level.CAMPAIGN)
        group = ", ".join([*columns, *(["since", "until"] if daily else [])])
        selected = "".join(f"{name}, " for name in columns)
        days = "since, until" if daily else "min(since) AS since, max(until) AS until"
        async with self._db.tenant(self._tenant_id) as conn:
            crossing = await fetch_one(
                conn,
                """SELECT min(since) AS since, max(until) AS until FROM ad_import_days
                   WHERE import_id = %s AND since <> until
                     AND since <= %s AND until >= %s AND NOT (since >= %s AND until <= %s)""",
                (import_id, window.until, window.since, window.since, window.until),
            )
            if crossing is not None and crossing["since"] is not None:
                raise ArgumentsWrong(
                    "window_not_in_file",
                    f"the file holds {crossing['since']} to {crossing['until']} as one range, not its days",
                    since=crossing["since"],
                    until=crossing["until"],
                )
            kept = ["since = until"] if daily else []  # a line of several days is no point of a curve
            kept += [f"{columns[-1]} <> ''"] if columns else []  # a file may not have the level at all
            # A fresh import has no statistics: the planner expects two lines, and would fetch a million one by one in
            # the order of their days. In the table's order they take half the time (a bitmap scan, 1,000,000 lines).
            await conn.execute("SET LOCAL enable_indexscan = off")
            rows = await fetch_all(
                conn,
                f"""SELECT {selected} {days}, sum(lines) AS lines,
                           sum(impressions) AS impressions, sum(clicks) AS clicks, sum(link_clicks) AS link_clicks,
                           CASE WHEN sum(lines) = 1 THEN max(reach) END AS reach, sum(spend) AS spend,
                           sum(purchases) AS purchases, sum(purchase_value) AS purchase_value, sum(leads) AS leads,
                           sum(conversations) AS conversations, sum(results) AS results,
                           min(first_type) AS first_type, max(last_type) AS last_type
                    FROM {_DAYS if by_campaign else _LINES} {"WHERE " + " AND ".join(kept) if kept else ""}
                    {f"GROUP BY {group} ORDER BY {group}" if group else ""}""",
                (import_id, window.since, window.until),
            )
        found = [_figures(account, level, window, row, daily) for row in rows if row["lines"]]
        return found if entity_ids is None else [row for row in found if row.entity_id in entity_ids]


def _figures(account: Account, level: Level, window: Window, row: dict[str, Any], daily: bool) -> Figures:
    names = [row[column] for column in _NAME_COLUMNS.get(level, ())]
    actions: dict[str, Decimal] = {}
    for kind, column in (
        (ResultKind.PURCHASE, "purchases"),
        (ResultKind.LEAD, "leads"),
        (ResultKind.CONVERSATION, "conversations"),
    ):
        if row[column] is not None:
            actions[ACTION_TYPES[kind][0]] = row[column]
    if row["results"] is not None:
        kinds = {result_kind(text) for text in _types(row)}
        if not kinds:
            actions["result"] = row["results"]
        elif len(kinds) == 1 and (counted := kinds.pop()) is not None:
            actions.setdefault(ACTION_TYPES[counted][0], row["results"])
    value = row["purchase_value"]
    return Figures(
        entity_id=_id(account.id, names) if names else account.id,
        level=level,
        name=names[-1] if names else account.name,
        # A sum over the lines of a window stands for the window, as Meta's answer does.
        since=row["since"] if daily else window.since,
        until=row["until"] if daily else window.until,
        campaign_id=_id(account.id, names[:1]) if names else None,
        campaign_name=names[0] if names else "",
        adset_id=_id(account.id, names[:2]) if len(names) > 1 else None,
        adset_name=names[1] if len(names) > 1 else "",
        impressions=_whole(row["impressions"]),
        clicks=_whole(row["clicks"]),
        link_clicks=_whole(row["link_clicks"]),
        # People are counted for a line's own dates: they are those of the window only when one line is all of it.
        reach=_whole(row["reach"]) if daily or (row["since"], row["until"]) == (window.since, window.until) else None,
        spend=Money(row["spend"], account.currency) if row["spend"] is not None else None,
        actions=actions,
        action_values={ACTION_TYPES[ResultKind.PURCHASE][0]: value} if value is not None else {},
        actions_known=bool(actions),
    )


def _types(row: dict[str, Any]) -> list[str]:
    return [text for text in (row["first_type"], row["last_type"]) if text]


def _objective(result_types: Iterable[str], objective: str) -> tuple[str, str]:
    """(objective, destination) by which metrics.py counts what the file counts. A result type that is not known, or
    several in one entity, have no kind: their numbers are not added to anything."""
    types = list(result_types)
    if not types:
        return "", ""
    kinds = {result_kind(text) for text in types}
    if len(kinds) == 1 and (kind := kinds.pop()) is not None:
        return _OBJECTIVES[kind]
    return objective or "UNKNOWN", ""


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)


def _id(account_id: str, names: list[str]) -> str:
    """An id made of the names, because exports often carry none: stable between imports of the same file."""
    return f"{account_id}_{hashlib.sha256(chr(31).join(names).encode()).hexdigest()[:16]}"
