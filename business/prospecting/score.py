"""How good a company is for a search, 0 to 100, by arithmetic over evidence and a rule file. Every point has a reason.

Four parts, each with its weight (rules.py): fit, need, timing, reachability. A part gives its weight times the share of
points that its rules got. A rule that is met gets all its points, one that is known not to be met none, one of which
nothing is known the share `unknown_counts`. Hence, and tested as properties: more evidence of a wanted kind never
lowers a score, unknown never counts as no, the order of evidence does not matter, a score is always from 0 to 100.

Two limits follow from what the search asked for: while something asked for is unknown, a company does not qualify; one
that is known not to have it is not for a person either. `Score.best` is what the score would be if all that is unknown
turned out well: from it follows whether looking further pays (plan.py).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from typing import Any

from business.prospecting.evidence import Evidence, Kind, of_kind, sorted_evidence
from business.prospecting.lessons import Lesson, points_of, told
from business.prospecting.lines import Line
from business.prospecting.model import IdealCustomer, Signal, WantedPlace
from business.prospecting.rules import PARTS, Part, Rule, RuleSet


class Verdict(StrEnum):
    QUALIFIED = "qualified"
    PERSON = "person"
    """Somebody should look at it."""
    BELOW = "below"
    """Kept with the reason, and not proposed."""


class Outcome(StrEnum):
    YES = "yes"
    PARTLY = "partly"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class RuleScore:
    """What one rule gave."""

    rule: Rule
    outcome: Outcome
    share: Decimal
    """Of its points, 0 to 1."""
    points: Decimal
    """Of the 100, before rounding."""
    of: Decimal
    """What it could have given."""
    evidence: tuple[Evidence, ...]
    """What it was decided by; empty when unknown."""
    disagreeing: bool = False
    """Another source told otherwise."""


@dataclass(frozen=True)
class Limit:
    """Why a score cannot be higher."""

    at: int
    why: str
    """`unknown` or `failed`, for something that was asked for; `not_active`, `closed_on_map`."""
    rule: str = ""


@dataclass(frozen=True)
class Score:
    total: int
    """0 to 100."""
    best: int
    """What it would be if everything unknown turned out well."""
    verdict: Verdict
    rules: tuple[RuleScore, ...]
    weights: tuple[tuple[Part, Decimal, Decimal], ...]
    """(part, points, of)."""
    limits: tuple[Limit, ...]
    """Those that hold it down, the lowest first."""
    lessons: tuple[Lesson, ...]
    lesson_points: Decimal
    version: str
    wish_open: bool
    """Something that was wished for (a website, a telephone …) is not known."""


def score(
    profile: IdealCustomer,
    evidence: Iterable[Evidence],
    rules: RuleSet,
    today: date,
    lessons: Sequence[Lesson] = (),
) -> Score:
    """The score of the company that `evidence` is about. `today` in the tenant's time zone."""
    pieces = sorted_evidence(evidence)
    parts: list[tuple[Part, Decimal, Decimal]] = []
    found: list[RuleScore] = []
    total = best = Decimal(0)
    for part in PARTS:
        weight = rules.weights[part]
        asked = [
            (rule, *_answer(rule, profile, pieces, today, rules.unknown_counts))
            for rule in rules.rules
            if rule.part == part and _applies(rule, profile)
        ]
        whole = sum((rule.points for rule, *_ in asked), Decimal(0))
        if not whole:  # no rule of this part applies here: neither for nor against
            parts.append((part, weight * rules.unknown_counts, weight))
            total += weight * rules.unknown_counts
            best += weight * rules.unknown_counts
            continue
        scored = []
        for rule, outcome, share, by, disagreeing in asked:
            of = weight * rule.points / whole
            scored.append(RuleScore(rule, outcome, share, of * share, of, by, disagreeing))
            best += of * _answer(rule, profile, pieces, today, Decimal(1))[1]
        points = sum((one.points for one in scored), Decimal(0))
        parts.append((part, points, weight))
        found += scored
        total += points
    applying, lesson_points = points_of(profile, pieces, lessons, today, rules.feedback)
    limits = _limits(found, pieces, rules)
    lowest = min((limit.at for limit in limits), default=100)
    lowest_best = min((limit.at for limit in limits if limit.why != "unknown"), default=100)
    value = min(_whole(total + lesson_points), lowest)
    return Score(
        total=value,
        best=max(value, min(_whole(best + lesson_points), lowest_best)),
        verdict=verdict_of(value, rules),
        rules=tuple(found),
        weights=tuple(parts),
        limits=tuple(limit for limit in limits if limit.at < _whole(total + lesson_points)),
        lessons=applying,
        lesson_points=lesson_points,
        version=rules.version,
        wish_open=any(one.rule.test == "asked_wishes" and one.outcome is Outcome.UNKNOWN for one in found),
    )


def verdict_of(total: int, rules: RuleSet) -> Verdict:
    if total >= rules.qualified:
        return Verdict.QUALIFIED
    return Verdict.PERSON if total >= rules.person else Verdict.BELOW


def _whole(points: Decimal) -> int:
    return int(min(max(points, Decimal(0)), Decimal(100)).to_integral_value(ROUND_HALF_UP))


# --- what a rule answers --------------------------------------------------------------------------

_Answer = tuple[Outcome, Decimal, tuple[Evidence, ...], bool]
SIGNAL_KINDS = {
    Signal.WEBSITE: Kind.WEBSITE,
    Signal.INSTAGRAM: Kind.INSTAGRAM,
    Signal.LINKEDIN: Kind.LINKEDIN,
    Signal.PHONE: Kind.PHONE,
    Signal.WHATSAPP: Kind.WHATSAPP,
    Signal.EMAIL: Kind.EMAIL,
}


def _applies(rule: Rule, profile: IdealCustomer) -> bool:
    """Rules about what was asked count only where it was asked. A rule that wants the opposite of what was wished for
    in so many words does not: who wants companies with a website does not want the lack of one."""
    match rule.test:
        case "asked_age":
            return not profile.age.open
        case "asked_size":
            return bool(profile.sizes) or profile.mei is not None
        case "asked_place":
            return bool(profile.places)
        case "asked_wishes":
            return bool(profile.wishes)
        case "asked_activity":
            return True
    against = {True: "absent", False: "present"}
    return not any(
        SIGNAL_KINDS[wish.signal] == rule.about and rule.test == against[wish.has] for wish in profile.wishes
    )


def _answer(rule: Rule, profile: IdealCustomer, pieces: Sequence[Evidence], today: date, unknown: Decimal) -> _Answer:
    match rule.test:
        case "asked_activity":
            return _activity(rule, profile, pieces, unknown)
        case "asked_place":
            return _decided(of_kind(pieces, Kind.CITY), lambda one: in_places(profile.places, str(one.value)), unknown)
        case "asked_age":
            first, last = profile.age.opened(today)
            return _decided(
                of_kind(pieces, Kind.OPENED),
                lambda one: isinstance(one.value, date) and (first or date.min) <= one.value <= (last or date.max),
                unknown,
            )
        case "asked_size":
            return _size(profile, pieces, unknown)
        case "asked_wishes":
            return _wishes(profile, pieces, unknown)
    about = of_kind(pieces, rule.about) if rule.about is not None else ()
    return _decided(about, lambda one: _holds(rule, one, today), unknown)


def _decided(pieces: tuple[Evidence, ...], holds: Callable[[Evidence], bool], unknown: Decimal) -> _Answer:
    """Yes when any source says so; where another says otherwise, that is told."""
    yes = tuple(one for one in pieces if holds(one))
    if yes:
        return Outcome.YES, Decimal(1), yes, len(yes) < len(pieces)
    if pieces:
        return Outcome.NO, Decimal(0), pieces, False
    return Outcome.UNKNOWN, unknown, (), False


def _activity(rule: Rule, profile: IdealCustomer, pieces: Sequence[Evidence], unknown: Decimal) -> _Answer:
    asked = {one.code for one in profile.activities}
    main, further = of_kind(pieces, Kind.ACTIVITY), of_kind(pieces, Kind.FURTHER_ACTIVITY)
    if yes := tuple(one for one in main if one.value in asked):
        return Outcome.YES, Decimal(1), yes, len(yes) < len(main)
    if beside := tuple(one for one in further if one.value in asked):
        share = Decimal(0) if rule.further is None else rule.further
        if not main:
            share = max(share, unknown)  # the main one may be it, too
        return Outcome.PARTLY, share, beside, False
    return (Outcome.NO, Decimal(0), main, False) if main else (Outcome.UNKNOWN, unknown, (), False)


def _size(profile: IdealCustomer, pieces: Sequence[Evidence], unknown: Decimal) -> _Answer:
    """Size and MEI together: both right, or the first that is known to be wrong."""
    answers = []
    if profile.sizes:
        answers.append(_decided(of_kind(pieces, Kind.SIZE), lambda one: one.value in profile.sizes, unknown))
    if profile.mei is not None:
        answers.append(_decided(of_kind(pieces, Kind.MEI), lambda one: one.value is profile.mei, unknown))
    return _all_of(answers, unknown)


def _wishes(profile: IdealCustomer, pieces: Sequence[Evidence], unknown: Decimal) -> _Answer:
    answers = [
        _decided(of_kind(pieces, SIGNAL_KINDS[wish.signal]), _is_there if wish.has else _is_lacking, unknown)
        for wish in profile.wishes
    ]
    return _all_of(answers, unknown)


def _is_there(one: Evidence) -> bool:
    return one.value is not False


def _is_lacking(one: Evidence) -> bool:
    return one.value is False


def _all_of(answers: list[_Answer], unknown: Decimal) -> _Answer:
    """Several things asked for together: the share of them that holds, and the worst outcome."""
    outcomes = [outcome for outcome, *_ in answers]
    share = sum((part for _, part, *_ in answers), Decimal(0)) / len(answers)
    by = tuple(one for _, _, pieces, _ in answers for one in pieces)
    disagreeing = any(one for *_, one in answers)
    if Outcome.NO in outcomes:
        return Outcome.NO, share, by, disagreeing
    if Outcome.UNKNOWN in outcomes:
        return Outcome.UNKNOWN, share, by, disagreeing
    return Outcome.YES, Decimal(1), by, disagreeing


def _holds(rule: Rule, one: Evidence, today: date) -> bool:
    value, limit = one.value, rule.value or Decimal(0)
    match rule.test:
        case "is_true":
            return value is True
        case "is_false":
            return value is False
        case "present":
            return value is not False
        case "absent":
            return value is False
        case "at_least":
            return isinstance(value, int | Decimal) and value >= limit
        case "at_most":
            return isinstance(value, int | Decimal) and value <= limit
        case "years_old":
            return isinstance(value, int) and today.year - value >= limit
        case "within_days":
            return isinstance(value, date) and today - timedelta(days=int(limit)) <= value <= today
        case "older_than_days":
            return isinstance(value, date) and value < today - timedelta(days=int(limit))
    raise ValueError(rule.test)


def in_places(places: Iterable[WantedPlace], ibge: str) -> bool:
    """Whether a city (IBGE code) is one of the places or in one of them: its code begins with that of its state."""
    return any(ibge == place.ibge or (place.kind == "state" and ibge[:2] == place.ibge) for place in places)


def _limits(found: Sequence[RuleScore], pieces: Sequence[Evidence], rules: RuleSet) -> list[Limit]:
    """What was asked for and is unknown, or is known to be otherwise; companies that are not active."""
    limits = []
    for one in found:
        if not one.rule.test.startswith("asked_"):
            continue
        if one.outcome is Outcome.UNKNOWN:
            limits.append(Limit(rules.qualified - 1, "unknown", one.rule.id))
        elif one.outcome is Outcome.NO:
            limits.append(Limit(rules.person - 1, "failed", one.rule.id))
    active = of_kind(pieces, Kind.ACTIVE)
    if active and not any(one.value is True for one in active):
        limits.append(Limit(rules.person - 1, "not_active"))
    elif not active:
        limits.append(Limit(rules.qualified - 1, "unknown", "active"))
    if any(one.value is True for one in of_kind(pieces, Kind.CLOSED_ON_MAP)):
        limits.append(Limit(rules.qualified - 1, "closed_on_map"))
    return sorted(limits, key=lambda one: (one.at, one.why, one.rule))


# --- why ------------------------------------------------------------------------------------------


def explain(of: Score) -> list[Line]:
    """ "Por que a terceira tem 82?": the sum, each part and its weight, each rule and its evidence, what limits it."""
    lines = [
        Line(
            "prospecting.explain.total",
            {"score": of.total, "verdict": Line(f"prospecting.verdict.{of.verdict}"), "version": of.version},
        )
    ]
    for part, points, weight in of.weights:
        lines.append(
            Line(
                "prospecting.explain.part",
                {
                    "part": part,
                    "name": Line(f"prospecting.part.{part}"),
                    "points": _points(points),
                    "of": _points(weight),
                },
            )
        )
        for one in sorted((one for one in of.rules if one.rule.part == part), key=lambda one: (-one.of, one.rule.id)):
            lines.append(
                Line(
                    "prospecting.explain.rule",
                    _rule(one)
                    | {
                        "outcome": str(one.outcome),
                        "judged": Line(f"prospecting.outcome.{one.outcome}", {"share": int(one.share * 100)}),
                        "evidence": [_piece(piece) for piece in one.evidence],
                        "disagreeing": one.disagreeing,
                    },
                )
            )
    if of.lesson_points:
        lines.append(
            Line(
                "prospecting.explain.feedback",
                {"points": _points(of.lesson_points), "lessons": [told(lesson) for lesson in of.lessons]},
            )
        )
    return lines + [_limit(one, of) for one in of.limits]


def reasons(of: Score, most: int = 3) -> list[Line]:
    """Why this verdict, in few words: what speaks most for it, what holds it down, what is missing most.

    That it is as asked is one line: on a list of those that are, it tells nobody apart.
    """
    asked = [one for one in of.rules if one.rule.test.startswith("asked_")]
    as_asked = bool(asked) and all(one.outcome is Outcome.YES for one in asked)
    strong = sorted((one for one in of.rules if one.outcome is Outcome.YES), key=lambda one: -one.points)
    strong = [one for one in strong if not (as_asked and one in asked)]
    weak = sorted((one for one in of.rules if one.outcome is not Outcome.YES), key=lambda one: one.points - one.of)
    lines = [Line("prospecting.reason.as_asked")] if as_asked else []
    lines += [Line("prospecting.reason.for", _rule(one)) for one in strong[:most]]
    lines += [_limit(one, of) for one in of.limits[:1]]
    return lines + [Line(f"prospecting.reason.{_WEAK[one.outcome]}", _rule(one)) for one in weak[:most]]


_WEAK = {Outcome.NO: "against", Outcome.UNKNOWN: "open", Outcome.PARTLY: "partly"}


def _rule(one: RuleScore) -> dict[str, Any]:
    return {
        "rule": one.rule.id,
        "name": _name(one.rule.id, one.rule.label),
        "points": _points(one.points),
        "of": _points(one.of),
    }


def _name(rule_id: str, label: str | None) -> Line:
    return Line(f"prospecting.rule.{rule_id}") if label is None else Line("prospecting.rule_own", {"label": label})


def _limit(limit: Limit, of: Score) -> Line:
    labels = {one.rule.id: one.rule.label for one in of.rules}
    params: dict[str, Any] = {"at": limit.at}
    if limit.rule:
        params["name"] = _name(limit.rule, labels.get(limit.rule))
    return Line(f"prospecting.limit.{limit.why}", params)


def _piece(piece: Evidence) -> Line:
    """A piece of evidence as it is shown: what it is about, what was told, by whom, where, when."""
    value = piece.value
    if isinstance(value, bool):
        key = "prospecting.evidence.yes" if value else "prospecting.evidence.no"
    else:
        key = "prospecting.evidence.day" if isinstance(value, date) else "prospecting.evidence.value"
    return Line(
        key,
        {
            "kind": str(piece.kind),
            "about": Line(f"prospecting.kind.{piece.kind}"),
            "value": str(value) if isinstance(value, int | Decimal) else value,
            "source": piece.source,
            "reference": piece.reference,
            "at": piece.day,
        },
    )


def _points(points: Decimal) -> Decimal:
    """One decimal: 7.5."""
    return points.quantize(Decimal("0.1"), ROUND_HALF_UP)


def record(of: Score) -> dict[str, Any]:
    """As JSON values, to be kept beside the candidate: everything `explain` tells, and the reasons."""
    return {
        "total": of.total,
        "best": of.best,
        "verdict": str(of.verdict),
        "version": of.version,
        "wish_open": of.wish_open,
        "explained": [line.record() for line in explain(of)],
        "reasons": [line.record() for line in reasons(of)],
    }
