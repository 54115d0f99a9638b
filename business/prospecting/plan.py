"""From whom to look for to what is asked where: which registry queries in which order, what is checked, what pays.

Pure. The registry filters by activity and place alone, so everything else is checked on its answers (`checks`). Each
step is one query, walked page by page; its `key` names it for its cursor, so that a later search of the same wish goes
on where this one stopped.

Order of the steps: companies whose main activity is the one that was asked for come before those that have it among
their further ones; then what feedback favours; then as it was said, the first place with all its activities first.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from business.prospecting.lines import Line
from business.prospecting.model import IdealCustomer, WantedActivity, WantedPlace, place_name
from integrations.minha_receita.client import Query

PAGE_SIZE = 100
"""As integrations/minha_receita/client.py advises for the public service."""
MOST_PAGES = {"city": 10, "state": 30, "country": 50}
"""Of one search and query: 1,000 companies of a city. A search that needs more goes on when it is asked for again."""
MOST_FURTHER_PAGES = {"city": 5, "state": 10, "country": 0}
"""The same for companies that have the activity among their further ones. They fit less; all of Brazil is too much."""


@dataclass(frozen=True)
class Step:
    """One query of the registry."""

    activity: WantedActivity
    place: WantedPlace | None
    """None: all of Brazil."""
    further: bool
    """Companies that have the activity as main or further one, instead of main only."""
    most_pages: int

    @property
    def key(self) -> str:
        return f"{self.activity.code}@{self.place.ibge if self.place else 'BR'}{'+' if self.further else ''}"

    @property
    def query(self) -> Query:
        cities = (self.place.ibge,) if self.place and self.place.kind == "city" else ()
        states = (self.place.uf,) if self.place and self.place.kind == "state" else ()
        if self.further:
            return Query(ufs=states, cities=cities, any_activity=self.activity.code)
        return Query(ufs=states, cities=cities, activities=(self.activity.code,))


class Check(StrEnum):
    """Why a company of an answer is left out. Unknown is no reason: what is not told is not held against anybody."""

    NOT_ACTIVE = "not_active"
    BRANCH = "branch"
    OTHER_ACTIVITY = "other_activity"
    OTHER_PLACE = "other_place"
    TOO_YOUNG = "too_young"
    TOO_OLD = "too_old"
    OTHER_SIZE = "other_size"
    MEI = "mei"
    NOT_MEI = "not_mei"
    EXCLUDED_ACTIVITY = "excluded_activity"
    EXCLUDED_PLACE = "excluded_place"
    WISH = "wish"
    """Looked up and found otherwise than wished."""
    KNOWN = "known"
    """A candidate already, of this search or an earlier one."""
    UNREADABLE = "unreadable"


class Source(StrEnum):
    """Where more can be learnt about one company."""

    MAP = "map"
    """A search of the map: telephone, website, reviews, "closed for good". Costs one search of a month's quota."""
    SITE = "site"
    """Up to three pages of its own website. Costs no money and some seconds."""


class Pays(StrEnum):
    """Why it is worth to look further at a company."""

    WISH = "wish"
    """Something that was asked for is not known yet."""
    CLOSE = "close"
    """It does not qualify as far as is known, and would if what is unknown turned out well."""
    RANK = "rank"
    """It qualifies: a look at the map and its website tells the best from the good."""
    CONTACT = "contact"
    """It is about to be written to: who writes should know it. Then it is looked up whole."""


SEARCHES_A_COMPANY, SEARCHES_FOR_A_WISH, MOST_SEARCHES = 2, 6, 100
"""Of the web, for each company wanted; more where something was asked for that only the web tells. SerpAPI's free plan
is 250 a month: so it lasts for half a dozen searches of twenty companies."""


def pays(score: int, best: int, qualified: int, *, wish_open: bool, to_contact: bool) -> Pays | None:
    """Whether more should be looked up for a company, and why; None when it would change nothing.

    `score` as far as is known, `best` what it would be if everything unknown turned out well, `qualified` the least
    score that qualifies. Where even the best does not qualify, no search is spent. `to_contact`: it is about to be
    written to.
    """
    if to_contact:
        return Pays.CONTACT
    if best < qualified:
        return None
    if wish_open:
        return Pays.WISH
    if score < qualified:
        return Pays.CLOSE
    return Pays.RANK


@dataclass(frozen=True)
class SearchPlan:
    steps: tuple[Step, ...]
    checks: tuple[Check, ...]
    """What companies are left out for, as far as this profile asks for it."""
    sources: tuple[Source, ...] = (Source.MAP, Source.SITE)
    page_size: int = PAGE_SIZE
    most_searches: int = MOST_SEARCHES
    """Units of a search vendor after which only the registry is asked; the looks under way may add a few."""

    @property
    def most_pages(self) -> int:
        return sum(step.most_pages for step in self.steps)

    def explained(self) -> list[Line]:
        """The plan in sentences: what is asked, in which order, what is checked, what more costs."""
        told = [
            Line(
                "prospecting.plan.step_further" if step.further else "prospecting.plan.step",
                {
                    "activity": step.activity.name,
                    "code": step.activity.code,
                    "place": place_name(step.place),
                    "companies": step.most_pages * self.page_size,
                },
            )
            for step in self.steps
        ]
        told.append(
            Line("prospecting.plan.checks", {"checks": [Line(f"prospecting.check.{one}") for one in self.checks]})
        )
        told += [Line(f"prospecting.plan.source_{one}", {"most": self.most_searches}) for one in self.sources]
        return told

    def record(self) -> dict[str, Any]:
        return dict(_plan().dump_python(self, mode="json"))


@cache
def _plan() -> TypeAdapter[SearchPlan]:
    return TypeAdapter(SearchPlan)


def plan_from(record: Mapping[str, Any]) -> SearchPlan:
    """A plan that was kept. ValueError when the record is none."""
    return _plan().validate_python(record)


def make_plan(profile: IdealCustomer, favours: Mapping[tuple[str, str], int] | None = None) -> SearchPlan:
    """The plan of a profile. `favours`: (activity code, place code) → points of feedback, the highest first.

    ValueError when the profile lacks an activity or a place: `IdealCustomer.searchable` says so before.
    """
    if not profile.searchable:
        raise ValueError("a search needs an activity and a place")
    favours = favours or {}
    places: tuple[WantedPlace | None, ...] = profile.places or (None,)
    pairs = [(place, activity) for place in places for activity in profile.activities]
    pairs.sort(key=lambda pair: -favours.get((pair[1].code, pair[0].ibge if pair[0] else "BR"), 0))
    steps = [
        Step(activity, place, further, most)
        for further, limits in ((False, MOST_PAGES), (True, MOST_FURTHER_PAGES))
        for place, activity in pairs
        if (most := limits[place.kind if place else "country"])
    ]
    each = SEARCHES_FOR_A_WISH if profile.wishes else SEARCHES_A_COMPANY
    return SearchPlan(tuple(steps), _checks(profile), most_searches=min(MOST_SEARCHES, each * profile.wanted))


def _checks(profile: IdealCustomer) -> tuple[Check, ...]:
    first_last = profile.age
    asked = {
        Check.NOT_ACTIVE: True,
        Check.BRANCH: not profile.branches,
        Check.OTHER_ACTIVITY: True,
        Check.OTHER_PLACE: bool(profile.places),
        Check.TOO_YOUNG: first_last.least_months is not None or first_last.until is not None,
        Check.TOO_OLD: first_last.most_months is not None or first_last.since is not None,
        Check.OTHER_SIZE: bool(profile.sizes),
        Check.MEI: profile.mei is False,
        Check.NOT_MEI: profile.mei is True,
        Check.EXCLUDED_ACTIVITY: bool(profile.without_activities),
        Check.EXCLUDED_PLACE: bool(profile.without_places),
        Check.WISH: bool(profile.wishes),
        Check.KNOWN: True,
    }
    return tuple(check for check, wanted in asked.items() if wanted)
