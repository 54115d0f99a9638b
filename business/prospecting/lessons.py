"""What earlier candidates taught: won, lost, "not this kind". A stated rule, no model, and told with every score.

Each piece of feedback is about one company with its traits: activity, city, size, band of age, MEI. A later company
that shares a trait gets the points of the rule file for it (`feedback`: by default +2 for each won, -1 for each lost,
-3 for each "not this kind"), never more than `most` in all. A trait that the search itself asks for teaches nothing:
whoever asks for architects in Campinas again has decided that, and every candidate shares it.

The same sums order the next search: the queries whose activity and city earned most come first (`favours`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any

from business.prospecting.evidence import Evidence, Kind, of_kind
from business.prospecting.lines import Line
from business.prospecting.model import IdealCustomer
from business.prospecting.rules import Feedback
from integrations.brasil_places.activities import activity
from integrations.brasil_places.cities import known_cities

_BANDS = ((2, "0-2"), (5, "2-5"), (10, "5-10"), (20, "10-20"))
"""Years: below two most companies that fail have not failed yet; the others halve what is left."""


class Said(StrEnum):
    """What became of a candidate, or what a person said of it."""

    WON = "won"
    LOST = "lost"
    NOT_THIS_KIND = "not_this_kind"


@dataclass(frozen=True)
class Trait:
    kind: str
    """activity, city, size, age, mei"""
    value: str


@dataclass(frozen=True)
class Lesson:
    """What was said of companies that have a trait."""

    trait: Trait
    won: int = 0
    lost: int = 0
    not_this_kind: int = 0

    def points(self, by: Feedback) -> Decimal:
        """Within ±`most`."""
        total = self.won * by.won + self.lost * by.lost + self.not_this_kind * by.not_this_kind
        return min(max(total, -by.most), by.most)


def told(lesson: Lesson, points: Decimal | None = None) -> Line:
    """A lesson in a sentence; with `points`, what it gives or takes."""
    params: dict[str, Any] = {
        "trait": _named(lesson.trait),
        "won": lesson.won,
        "lost": lesson.lost,
        "not_this_kind": lesson.not_this_kind,
    }
    if points is None:
        return Line("prospecting.lesson.seen", params)
    key = "prospecting.lesson.more" if points > 0 else "prospecting.lesson.less"
    return Line(key, params | {"points": abs(points)})


def _named(trait: Trait) -> Line:
    """A trait as people say it: the name of an activity or a city instead of its code."""
    if trait.kind == "activity":
        known = activity(trait.value)
        names = (
            {language.replace("-", "_"): known.name(language) for language in ("pt-BR", "en", "es")} if known else {}
        )
        return Line("prospecting.trait.activity", {"code": trait.value, "names": names})
    if trait.kind == "city":
        city = next((one for one in known_cities() if one.ibge == trait.value), None)
        return Line("prospecting.trait.city", {"name": f"{city.name}/{city.uf}" if city else trait.value})
    return Line(f"prospecting.trait.{trait.kind}", {"value": trait.value})


def traits_of(evidence: Iterable[Evidence], today: date) -> tuple[Trait, ...]:
    """The traits of a company as far as they are known; where sources disagree, none."""
    pieces = tuple(evidence)
    found = []
    for name, kind in (("activity", Kind.ACTIVITY), ("city", Kind.CITY), ("size", Kind.SIZE), ("mei", Kind.MEI)):
        values = {str(one.value).lower() for one in of_kind(pieces, kind)}
        if len(values) == 1 and values != {"false"}:  # almost nobody is MEI: that one is not sets nobody apart
            found.append(Trait(name, values.pop()))
    opened = {one.value for one in of_kind(pieces, Kind.OPENED) if isinstance(one.value, date)}
    if len(opened) == 1:
        found.append(Trait("age", _band(opened.pop(), today)))
    return tuple(sorted(found, key=lambda one: one.kind))


def _band(opened: date, today: date) -> str:
    years = (today - opened).days / 365.25
    return next((name for limit, name in _BANDS if years < limit), "20+")


def lessons_from(feedback: Iterable[tuple[Said, Sequence[Trait]]]) -> tuple[Lesson, ...]:
    """One lesson for each trait that something was said of."""
    counts: dict[Trait, dict[Said, int]] = {}
    for said, traits in feedback:
        for trait in traits:
            each = counts.setdefault(trait, dict.fromkeys(Said, 0))
            each[said] += 1
    return tuple(
        Lesson(trait, each[Said.WON], each[Said.LOST], each[Said.NOT_THIS_KIND])
        for trait, each in sorted(counts.items(), key=lambda one: (one[0].kind, one[0].value))
    )


def points_of(
    profile: IdealCustomer, evidence: Sequence[Evidence], lessons: Sequence[Lesson], today: date, by: Feedback
) -> tuple[tuple[Lesson, ...], Decimal]:
    """The lessons that apply to a company and their points together, within ±`most`."""
    asked = asked_for(profile)
    mine = set(traits_of(evidence, today))
    applying = tuple(
        lesson for lesson in lessons if lesson.trait in mine and lesson.trait not in asked and lesson.points(by)
    )
    total = sum((lesson.points(by) for lesson in applying), Decimal(0))
    return applying, min(max(total, -by.most), by.most)


def asked_for(profile: IdealCustomer) -> set[Trait]:
    """The traits that every candidate of the search shares because it asks for just these: they set nobody apart."""
    found = set()
    if len(profile.activities) == 1:
        found.add(Trait("activity", profile.activities[0].code))
    if len(profile.places) == 1 and profile.places[0].kind == "city":
        found.add(Trait("city", profile.places[0].ibge))
    if len(profile.sizes) == 1:
        found.add(Trait("size", str(profile.sizes[0])))
    if profile.mei is not None:
        found.add(Trait("mei", str(profile.mei).lower()))
    return found


def may_matter(lesson: Lesson, profile: IdealCustomer) -> bool:
    """Whether a company of the search can have the trait while another has not: a lesson on architects says nothing of
    dentists, and one on Campinas nothing of Recife."""
    kind, value = lesson.trait.kind, lesson.trait.value
    if lesson.trait in asked_for(profile):
        return False
    if kind == "activity":
        return value in {one.code for one in profile.activities}
    if kind == "city":
        return profile.nationwide or any(value.startswith(place.ibge) for place in profile.places)
    if kind == "size":
        return not profile.sizes or value in {str(size) for size in profile.sizes}
    return True


def favours(profile: IdealCustomer, lessons: Sequence[Lesson], by: Feedback) -> dict[tuple[str, str], int]:
    """(activity code, place code) → what feedback earned them, for the order of a plan (plan.make_plan)."""
    earned = {lesson.trait: lesson.points(by) for lesson in lessons}
    places = [place.ibge for place in profile.places] or ["BR"]
    return {
        (one.code, place): int(
            earned.get(Trait("activity", one.code), Decimal(0)) + earned.get(Trait("city", place), Decimal(0))
        )
        for one in profile.activities
        for place in places
    }
