"""How much of an ad's demand was delivered: its budget, its pauses, and how far today has come.

Counts of a part of a day are the whole day's counts cut off at that part, so today's figures only grow, and a day that
is over never changes again.
"""

from datetime import date, datetime, time, timedelta
from itertools import pairwise
from operator import sub

from integrations.meta_ads.simulator.state import ZONE, State, Thing
from integrations.meta_ads.simulator.world import EVENTS, INDEX, NOTHING, SOURCES, Chance, Counts

_HOURS = (10, 6, 4, 3, 3, 6, 14, 26, 38, 46, 52, 58, 66, 62, 54, 52, 54, 60, 68, 76, 82, 76, 54, 30)
"""Weight of each hour of the day: quiet nights, a peak at lunch, the highest one in the evening."""
_UNTIL_HOUR = tuple(sum(_HOURS[:hour]) / sum(_HOURS) for hour in range(25))

_SPEND = INDEX["spend"]
_IMPRESSIONS = INDEX["impressions"]
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
        counts = self._add_up_day(ad, day, now)
        if not counts[_IMPRESSIONS]:
            counts = NOTHING
        if now.astimezone(ZONE).date() > day:
            self._over[ad.id, day] = counts
        return counts

    def _add_up_day(self, ad: Thing, day: date, now: datetime) -> Counts:
        """Stretch by stretch of the day between changes of status or budget."""
        start = datetime.combine(day, time(0), ZONE)
        end = min(now, start + timedelta(days=1))
        if end <= start:
            return NOTHING
        inside = {when for thing in ad.above() for when, _, _ in thing.changes if start < when < end}
        stretches = []
        for since, until in pairwise([start, *sorted(inside), end]):
            if any(thing.at("status", since) in _CLOSED for thing in ad.above()):
                continue
            whole = self._state.world.demand(ad.id, day, self._affordable(ad, day, since))
            if since == start and until == start + timedelta(days=1):
                return whole
            before, after = part_of_day(day, since), part_of_day(day, until)
            stretches.append(tuple(map(sub, self._until(ad, day, whole, after), self._until(ad, day, whole, before))))
        return add_up(stretches)

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

    def _until(self, ad: Thing, day: date, whole: Counts, part: float) -> Counts:
        """The counts of the day's first `part`. Rounded at thresholds that stay the same all day, so they only grow."""
        if part >= 1.0 or whole is NOTHING:
            return whole
        chance = Chance(f"{self._state.world.seed}|{ad.id}|part", day)
        funnel = chance.threshold()  # one for the whole funnel: there are never more clicks than impressions
        counts = []
        for name, count in zip(EVENTS, whole, strict=True):
            threshold = 0.0 if name == "spend" else chance.threshold() if "." in name else funnel
            counts.append(int(count * part + threshold + 1e-9))
        for purchases, value in _PURCHASES:
            counts[value] = whole[value] * counts[purchases] // whole[purchases] if whole[purchases] else 0
        return tuple(counts)


def add_up(rows: list[Counts]) -> Counts:
    """Name by name; NOTHING for no rows."""
    if not rows:
        return NOTHING
    return tuple(map(sum, zip(*rows, strict=True))) if len(rows) > 1 else rows[0]
