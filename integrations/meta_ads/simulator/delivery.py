"""How much of an ad's demand was delivered: its budget, its pauses, and how far today has come.

Counts of a part of a day are the whole day's counts cut off at that part, so today's figures only grow, and a day that
is over never changes again.
"""

from datetime import date, datetime, time, timedelta
from itertools import pairwise

from integrations.meta_ads.simulator.state import ZONE, State, Thing
from integrations.meta_ads.simulator.world import EVENTS, INDEX, NOTHING, SOURCES, Chance, Counts

_HOURS = (10, 6, 4, 3, 3, 6, 14, 26, 38, 46, 52, 58, 66, 62, 54, 52, 54, 60, 68, 76, 82, 76, 54, 30)
"""Weight of each hour of the day: quiet nights, a peak at lunch, the highest one in the evening."""
_UNTIL_HOUR = tuple(sum(_HOURS[:hour]) / sum(_HOURS) for hour in range(25))

_SPEND = INDEX["spend"]
_PURCHASES = tuple((INDEX[f"purchase.{source}"], INDEX[f"purchase_value.{source}"]) for source in SOURCES)
_CLOSED = ("PAUSED", "ARCHIVED", "DELETED")


def part_of_day(day: date, moment: datetime) -> float:
    """The share (0 to 1) of the day's delivery that lies before the moment."""
    local = moment.astimezone(ZONE)
    if local.date() != day:
        return 1.0 if local.date() > day else 0.0
    hours = local.hour + local.minute / 60 + local.second / 3600
    whole = int(hours)
    return _UNTIL_HOUR[whole] + (hours - whole) * (_UNTIL_HOUR[whole + 1] - _UNTIL_HOUR[whole])


class Delivery:
    """The counts of every ad and day as they stand at a moment."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._over: dict[tuple[str, date], Counts] = {}
        self._owner_demand: dict[tuple[str, date], int] = {}

    def counts(self, ad: Thing, day: date, now: datetime) -> Counts:
        """What the ad counted on the day until `now`; NOTHING when it did not deliver."""
        known = self._over.get((ad.id, day))
        if known is not None:
            return known
        counts = self._cut(ad, day, self._share(ad, day, now))
        if now.astimezone(ZONE).date() > day:
            self._over[ad.id, day] = counts
        return counts

    def _share(self, ad: Thing, day: date, now: datetime) -> float:
        start = datetime.combine(day, time(0), ZONE)
        end = min(now, start + timedelta(days=1))
        if end <= start:
            return 0.0
        inside = {when for thing in ad.above() for when, _, _ in thing.changes if start < when < end}
        edges = [start, *sorted(inside), end]
        share = 0.0
        for since, until in pairwise(edges):
            if any(thing.at("status", since) in _CLOSED for thing in ad.above()):
                continue
            share += (part_of_day(day, until) - part_of_day(day, since)) * self._affordable(ad, day, since)
        return share

    def _affordable(self, ad: Thing, day: date, moment: datetime) -> float:
        """The share of the demand that the daily budget pays for; 1 where there is none or it is not reached."""
        for owner in ad.above():
            budget = owner.at("daily_budget", moment)
            if budget is not None:
                wanted = self._demand_of(owner, day)
                return min(1.0, budget / wanted) if wanted else 1.0
        return 1.0

    def _demand_of(self, owner: Thing, day: date) -> int:
        key = (owner.id, day)
        if key not in self._owner_demand:
            if owner.kind == "ad":
                self._owner_demand[key] = self._state.world.demand(owner.id, day)[_SPEND]
            else:
                self._owner_demand[key] = sum(self._demand_of(child, day) for child in owner.children)
        return self._owner_demand[key]

    def _cut(self, ad: Thing, day: date, share: float) -> Counts:
        world = self._state.world
        whole = world.demand(ad.id, day)
        if share <= 0.0 or whole is NOTHING:
            return NOTHING
        if share >= 1.0 - 1e-12:
            return whole
        # Rounding up at a fixed random threshold keeps the expected number right (0.4 of 2 purchases a day must not
        # become 0 each day) and the counts growing; spend is rounded down so that it stays within the budget.
        chance = Chance(f"{world.seed}|{ad.id}|{day.isoformat()}|part")
        funnel = chance.number()
        counts = []
        for name, count in zip(EVENTS, whole, strict=True):
            threshold = 0.0 if name == "spend" else chance.number() if "." in name else funnel
            counts.append(int(count * share + threshold + 1e-9))
        for purchases, value in _PURCHASES:
            counts[value] = whole[value] * counts[purchases] // whole[purchases] if whole[purchases] else 0
        return tuple(counts) if counts[INDEX["impressions"]] else NOTHING


def add_up(rows: list[Counts]) -> Counts:
    """Name by name; NOTHING for no rows."""
    if not rows:
        return NOTHING
    return tuple(map(sum, zip(*rows, strict=True))) if len(rows) > 1 else rows[0]
