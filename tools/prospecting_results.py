"""What the prospecting tools answer, and how searches, candidates and kept scores become it.

Every field of a company stands with its source, the address where a person finds it again and the day it was told.
None is unknown. Sentences (reasons, doubts, plans) are in the language of the turn; everything with a number in it is
also there as a number, because a number that a model may repeat must stand in a result by itself.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel, Field

from business.prospecting.evidence import Evidence, Kind, of_kind
from business.prospecting.lines import Line, said
from business.prospecting.model import IdealCustomer
from business.prospecting.quota import MonthUse
from business.prospecting.rules import PARTS, RuleSet, default_rules
from business.prospecting.score import Verdict
from business.prospecting.searches import Candidate, CandidateState, Search
from core import formats
from integrations.brasil_places.cities import known_cities
from tools.spec import Origin, ToolResult

MOST_ROWS = 30
"""Companies in one answer: more are read by nobody in a chat; the rest is asked for by verdict."""
_SHOWN = (Kind.PHONE, Kind.WHATSAPP, Kind.EMAIL, Kind.WEBSITE, Kind.INSTAGRAM, Kind.LINKEDIN, Kind.OPENED)
"""What is told of a company in a list, besides its name, its city and its score."""

Say = Callable[..., str]
"""A text of prompts/texts by key, in the language of the turn."""


class Known(BaseModel):
    """One thing that one source told of a company. `value` False: it was looked for and is not there."""

    about: str
    """What it is about, as evidence is (business/prospecting/evidence.py Kind)."""
    value: str | bool | int | Decimal | date
    source: str
    reference: str
    """An address that a person can open."""
    on: date


class CompanyRow(BaseModel):
    n: int
    """Its place in this list, by which people name it."""
    id: str
    name: str
    cnpj: str | None
    city: str | None
    score: int
    """0 to 100."""
    verdict: Literal["qualified", "person", "below"]
    note: str | None
    """Why it waits for a person although it qualifies, or was rejected."""
    state: str
    """new, saved (it is in the CRM), duplicate, rejected."""
    reasons: list[str]
    phone: str | None
    email: str | None
    website: str | None
    known: list[Known]

    def short(self) -> dict[str, Any]:
        """For a model: sources by name and day, without addresses."""
        told = self.model_dump(mode="json", exclude={"known", "cnpj"})
        return told | {"sources": sorted({f"{one.source} {one.on}" for one in self.known})}


class LeftOut(BaseModel):
    why: str
    count: int


class SearchInfo(BaseModel):
    id: str
    sentence: str
    state: Literal["running", "paused", "done", "failed"]
    ended: str | None
    """Why it ended, in a sentence."""
    wanted: int
    seen: int
    """Companies looked at."""
    qualified: int
    person: int
    """Waiting for a person's look."""
    below: int
    duplicates: int
    """Found again at another address of the same house; not counted as new."""
    left_out: list[LeftOut]
    lookups_failed: int
    web_off: str | None
    """Why the web was not asked any more, in a sentence."""
    cost: dict[str, Any]
    """Pages of the registry, websites, searches by vendor, calls of models and their price; as kept."""
    month: dict[str, int]
    """Search vendor → units of this month's quota that are used."""
    month_limit: int
    """For each vendor."""
    started: date


class FoundCompanies(ToolResult):
    """What came of asking for companies. `state` asking: something is missing, and nothing was searched."""

    origin: Origin = "web"
    state: Literal["asking", "running", "paused", "done", "failed"]
    sentence: str
    profile: list[str]
    """Whom is looked for, line by line, for correction."""
    questions: list[str] = Field(default_factory=list)
    """What has to be answered before anything is searched."""
    notes: list[str] = Field(default_factory=list)
    """What was not clear and did not keep the search from starting."""
    choices: list[str] = Field(default_factory=list)
    """Names that a question offers."""
    goes_on: bool = False
    """The same wish as an earlier search: these are the next companies."""
    plan: list[str] = Field(default_factory=list)
    learnt: list[str] = Field(default_factory=list)
    """What earlier feedback changes in this search."""
    search: SearchInfo | None = None
    companies: list[CompanyRow] = Field(default_factory=list)
    more: int = 0
    """Companies of the search that are not in `companies`."""
    contact: bool = False
    """First messages for the best were asked for, too."""
    contact_most: int | None = None
    qualified_from: int | None = None
    """The score from which a company qualifies, and the one from which a person should look at it."""
    person_from: int | None = None
    simulated: bool = False
    """The sandbox's companies: they do not exist."""
    opened_since: date | None = None
    opened_until: date | None = None
    wish: dict[str, Any] = Field(default_factory=dict)
    """The profile as kept, for the next correction."""

    def for_model(self) -> Mapping[str, Any]:
        told = self.model_dump(mode="json", exclude={"companies", "wish", "origin"})
        return told | {"companies": [row.short() for row in self.companies]}


class CompanyList(ToolResult):
    """A search's companies, the best first."""

    origin: Origin = "web"
    search: SearchInfo
    verdict: Literal["qualified", "person", "below", "all"]
    companies: list[CompanyRow]
    more: int

    def for_model(self) -> Mapping[str, Any]:
        told = self.model_dump(mode="json", exclude={"companies", "origin"})
        return told | {"companies": [row.short() for row in self.companies]}


class SearchStatus(ToolResult):
    """The newest searches first."""

    searches: list[SearchInfo]
    learnt: list[str] = Field(default_factory=list)
    """What feedback gives or takes from the next search on."""


class ScorePart(BaseModel):
    part: str
    name: str
    points: Decimal
    of: Decimal


class ScoreRule(BaseModel):
    part: str
    rule: str
    name: str
    outcome: Literal["yes", "partly", "no", "unknown"]
    judged: str
    points: Decimal
    of: Decimal
    looks_at: str
    """What has to be known for it: "site"."""
    evidence: list[Known]
    disagreeing: bool


class RuleInFile(BaseModel):
    part: str
    name: str
    points: Decimal
    """Within its part; the part's weight is shared in proportion."""


class ScoreExplained(ToolResult):
    """Why a company has its score, from the kept lines of the rule file and their evidence; or, of no company, how any
    score is made."""

    origin: Origin = "web"
    company: CompanyRow | None
    version: str
    """Of the rule file: its number and the hash of its text."""
    parts: list[ScorePart]
    rules: list[ScoreRule] = Field(default_factory=list)
    limits: list[str] = Field(default_factory=list)
    """What holds the score down whatever the sum."""
    feedback: list[str] = Field(default_factory=list)
    """What was said of other companies and counts here."""
    file: list[RuleInFile] = Field(default_factory=list)
    qualified_from: int
    person_from: int
    unknown_counts: Decimal
    """The share of its points that a rule gets while nothing is known, 0 to 1."""

    def for_model(self) -> Mapping[str, Any]:
        told = self.model_dump(mode="json", exclude={"company", "rules", "origin"})
        rules = [
            one.model_dump(mode="json", exclude={"evidence", "looks_at"})
            | {"evidence": [piece.model_dump(mode="json", exclude={"reference"}) for piece in one.evidence]}
            for one in self.rules
        ]
        return told | {"company": self.company.short() if self.company else None, "rules": rules}


class Decided(ToolResult):
    """What became of a company, and what that changes from the next search on."""

    company: CompanyRow
    decision: str
    changes: list[str]


# --- how they are made ----------------------------------------------------------------------------


def company_row(n: int, found: Candidate, say: Say) -> CompanyRow:
    """`found` must not be erased (its name is None then)."""
    pieces = found.evidence
    return CompanyRow(
        n=n,
        id=found.id,
        name=found.name or "",
        cnpj=found.cnpj,
        city=city_of(pieces),
        score=found.score,
        verdict=found.verdict.value,
        note=said(found.note, say) if found.note else None,
        state=found.state.value,
        reasons=reasons_of(found, say),
        phone=formats.phone(_text(pieces, Kind.PHONE) or _text(pieces, Kind.WHATSAPP) or "") or None,
        email=_text(pieces, Kind.EMAIL),
        website=_text(pieces, Kind.WEBSITE),
        known=[
            Known(about=one.kind.value, value=one.value, source=one.source, reference=one.reference, on=one.day)
            for one in of_kind(pieces, *_SHOWN)
        ],
    )


def reasons_of(found: Candidate, say: Say) -> list[str]:
    """Why this verdict, in what tells one company of a search from the others: what holds it down, what it is only in
    part, what speaks for it beyond being what was asked for and, where it does not qualify, what is not known."""
    held = [said(line, say).rstrip(".") for line in found.explained() if line.key.startswith("prospecting.limit.")]
    judged: dict[str, list[str]] = {"partly": [], "yes": [], "unknown": []}
    rules = [line.params for line in found.explained() if line.key == "prospecting.explain.rule"]
    for told in sorted(rules, key=lambda told: -told["of"]):
        outcome, rule = told["outcome"], told["rule"]
        if outcome == "unknown" and rule not in _ASKED_FOR and rule != "likeness":
            judged[outcome].append(_looked_at(rule, said(told["name"], say), say))
        elif outcome == "partly" or (outcome == "yes" and rule not in _ASKED_FOR):
            judged[outcome].append(said(told["name"], say))
    if found.verdict is Verdict.QUALIFIED:
        judged["unknown"] = []
    more = [say(f"hunter.reason.{outcome}", names=unique(names)[:_NAMED]) for outcome, names in judged.items() if names]
    return held[:1] + more


def _looked_at(rule: str, name: str, say: Say) -> str:
    """What a rule looks at, for saying that it is not known: "site" rather than "não tem site". A tenant's own rules
    have their own names."""
    about = next((one.about for one in default_rules().rules if one.id == rule), None)
    return say(f"prospecting.kind.{about}") if about else name


def unique(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


_ASKED_FOR = frozenset({"activity", "place", "age", "size", "wishes", "head_office"})
"""Rules that every company of a search meets alike."""
_NAMED = 3


def rows_of(candidates: Iterable[Candidate], say: Say, *, rejected: bool = False) -> list[CompanyRow]:
    """The companies worth showing in their order, numbered from 1: not erased ones, nor what is another's duplicate,
    nor (unless asked for) what a person rejected."""
    hidden = {CandidateState.DUPLICATE} if rejected else {CandidateState.DUPLICATE, CandidateState.REJECTED}
    shown = [one for one in candidates if one.name and one.state not in hidden]
    return [company_row(n, one, say) for n, one in enumerate(shown, start=1)]


def city_of(pieces: Sequence[Evidence]) -> str | None:
    """ "Campinas/SP"; None while unknown or where sources disagree."""
    codes = {str(one.value) for one in of_kind(pieces, Kind.CITY)}
    if len(codes) != 1:
        return None
    code = codes.pop()
    city = next((one for one in known_cities() if one.ibge == code), None)
    return f"{city.name}/{city.uf}" if city else None


def _text(pieces: Sequence[Evidence], kind: Kind) -> str | None:
    return next((str(one.value) for one in of_kind(pieces, kind) if one.value is not False), None)


def search_info(search: Search, month: MonthUse, say: Say, time_zone: Any) -> SearchInfo:
    """`time_zone`: a tzinfo, for the day on which it was started."""
    done = search.progress
    return SearchInfo(
        id=search.id,
        sentence=search.sentence,
        state=search.state.value,
        ended=ended_in_words(search.ended, say),
        wanted=search.profile.wanted,
        seen=done.seen,
        qualified=done.qualified,
        person=done.person,
        below=done.below,
        duplicates=done.duplicates,
        left_out=[
            LeftOut(why=say(f"prospecting.check.{check}"), count=count)
            for check, count in sorted(done.left_out.items(), key=lambda one: -one[1])
        ],
        lookups_failed=done.lookups_failed,
        web_off=_why_off(done.web_off, say),
        cost=search.cost.record(),
        month=month.used,
        month_limit=month.limit,
        started=search.created_at.astimezone(time_zone).date(),
    )


def _why_off(code: str, say: Say) -> str | None:
    return say(f"hunts.web_off.{code}") if code else None


_ENDS = ("enough", "enough_to_look_at", "plan_end")


def ended_in_words(ended: str | None, say: Say) -> str | None:
    """Why a search ended; the code of an error gives no sentence of its own here."""
    return say(f"prospecting.ended.{ended}") if ended in _ENDS else None


def profile_lines(profile: IdealCustomer, today: date, say: Say) -> list[str]:
    return [said(line, say) for line in profile.described(today)]


def score_explained(found: Candidate, rules: RuleSet, say: Say) -> ScoreExplained:
    """From the lines kept with the candidate: the score is not made anew, for evidence and rules may have changed.
    `rules` are today's, and only tell where the verdicts begin."""
    parts, of_rules, limits, feedback = [], [], [], []
    for line in found.explained():
        params, name = line.params, line.key.removeprefix("prospecting.")
        if name == "explain.part":
            parts.append(
                ScorePart(part=params["part"], name=said(params["name"], say), points=params["points"], of=params["of"])
            )
        elif name == "explain.rule":
            part = parts[-1].part
            of_rules.append(
                ScoreRule(
                    part=part,
                    rule=params["rule"],
                    name=said(params["name"], say),
                    outcome=params["outcome"],
                    judged=said(params["judged"], say),
                    points=params["points"],
                    of=params["of"],
                    looks_at=_looked_at(params["rule"], said(params["name"], say), say),
                    evidence=[_known(piece) for piece in params["evidence"]],
                    disagreeing=params["disagreeing"],
                )
            )
        elif name == "explain.feedback":
            feedback.append(said(line, say))
        elif name.startswith("limit."):
            limits.append(said(line, say))
    return ScoreExplained(
        company=company_row(0, found, say),
        version=found.rules_version,
        parts=parts,
        rules=of_rules,
        limits=limits,
        feedback=feedback,
        qualified_from=rules.qualified,
        person_from=rules.person,
        unknown_counts=rules.unknown_counts,
    )


def _known(piece: Line) -> Known:
    told = piece.params
    return Known(
        about=told["kind"], value=told["value"], source=told["source"], reference=told["reference"], on=told["at"]
    )


def rules_explained(rules: RuleSet, say: Say) -> ScoreExplained:
    """How any score is made: the weights of the parts and the points of the rules, as the file says."""
    return ScoreExplained(
        origin="account data",
        company=None,
        version=rules.version,
        parts=[
            ScorePart(
                part=part, name=say(f"prospecting.part.{part}"), points=rules.weights[part], of=rules.weights[part]
            )
            for part in PARTS
        ],
        file=[
            RuleInFile(
                part=rule.part,
                name=rule.label if rule.label is not None else say(f"prospecting.rule.{rule.id}"),
                points=rule.points,
            )
            for rule in rules.rules
        ],
        qualified_from=rules.qualified,
        person_from=rules.person,
        unknown_counts=rules.unknown_counts,
    )
