"""What a model may call about prospecting. Thin: searching, scoring and learning are in business/prospecting, and what
runs in the background in crews/hunter/job.py.

A company is named by its number in the last list, its name or its id. Whom to look for is read from the person's own
words by rules (business/prospecting/profile.py), never from a model's idea of them.
"""

import asyncio
import contextlib
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from typing import Annotated, Any, Literal, Protocol
from zoneinfo import ZoneInfo

from pydantic import Field

from business.approvals.model import Change
from business.prospecting.contact import MOST_AT_ONCE, plan_batch, reads
from business.prospecting.evidence import Kind, of_kind
from business.prospecting.lines import Line, said
from business.prospecting.model import (
    Doubt,
    IdealCustomer,
    Reading,
    Unclear,
    WantedActivity,
    WantedPlace,
    customer_from,
    place_name,
    with_place,
)
from business.prospecting.profile import corrected, read_profile
from business.prospecting.quota import MonthUse
from business.prospecting.score import Verdict
from business.prospecting.searches import Candidate, CandidateState, Search, Searches, State
from business.prospecting.sources import LazySources
from core.errors import ArgumentsWrong, MutiraoError, Refused
from core.tenancy import Identity
from core.turn import Turn
from core.words import ORDINALS, folded, squeezed
from integrations.brasil_places.activities import activity
from integrations.brasil_places.cities import Ambiguous, Found
from prompts.texts import Texts
from tools.leads import Follows, Leads, spoken
from tools.prospecting_results import (
    MOST_ROWS,
    CompanyList,
    Decided,
    FoundCompanies,
    Say,
    ScoreExplained,
    SearchInfo,
    SearchStatus,
    city_of,
    company_row,
    profile_lines,
    rows_of,
    rules_explained,
    score_explained,
    search_info,
)
from tools.spec import Effect, ProposedChange, ToolArgs, ToolContext, tool
from tools.taint import said_by_user

FOLLOWED = 45.0
"""Seconds that a search is followed in the conversation. One that takes longer runs on, and says when it is over."""
CONTACTED = 5
"""How many of the best a first message is prepared for when no number was said."""
_LEFT_FOR_WORDS = 20.0
"""Seconds of the turn that are left for what comes after."""
_SEARCHES_TOLD = 5
_COMPANIES_SEARCHED_BY_NAME = 5
"""Newest searches in which a name is looked for when it was in no list of this conversation."""

OnCandidate = Callable[[Candidate], None]
Decision = Literal["save", "reject", "won", "lost", "not_this_kind"]


class Hunting(Protocol):
    """What runs searches in the background: crews/hunter/job.py `Hunts`."""

    async def start(
        self, who: Identity, conversation_id: str | None, sentence: str, profile: IdealCustomer, language: str
    ) -> Search: ...

    async def follow(self, who: Identity, search_id: str, seconds: float, on_candidate: OnCandidate) -> Search: ...

    async def pause(self, who: Identity, search_id: str) -> Search: ...

    async def resume(self, who: Identity, search_id: str) -> Search: ...

    async def look_up(self, who: Identity, candidate_id: str) -> Candidate: ...

    async def decide(self, who: Identity, candidate_id: str, decision: Decision) -> tuple[Candidate, list[Line]]: ...

    async def month(self, who: Identity) -> MonthUse: ...


def _hunts(ctx: ToolContext) -> Hunting:
    found: Hunting = ctx.services[Hunting]
    return found


def _say(ctx: ToolContext) -> Say:
    return partial(ctx.service(Texts).say, ctx.turn.language)


async def _info(ctx: ToolContext, search: Search) -> SearchInfo:
    return search_info(search, await _hunts(ctx).month(ctx.turn.identity), _say(ctx), _zone(ctx))


def _today(ctx: ToolContext) -> date:
    return ctx.turn.now.astimezone(_zone(ctx)).date()


def _zone(ctx: ToolContext) -> ZoneInfo:
    return ZoneInfo(ctx.turn.identity.time_zone)


SearchArg = Annotated[
    str | None, Field(max_length=60, description="Id of a search; omit for the last one of this conversation.")
]
CompanyArg = Annotated[
    str, Field(min_length=1, max_length=200, description="Number in the last list, name, or id of a company.")
]


# --- finding --------------------------------------------------------------------------------------


class FindArgs(ToolArgs):
    request: Annotated[
        str | None,
        Field(max_length=600, description="A new wish: the user's whole sentence, word for word."),
    ] = None
    change: Annotated[
        str | None,
        Field(
            max_length=600,
            description='What the user corrects of the last wish, in their words: "sem MEI", "na verdade Sorocaba", or '
            'an answer to a question; "mais" for the next companies of the same wish.',
        ),
    ] = None


@tool(effect=Effect.DRAFT, area="hunter")
async def find_companies(ctx: ToolContext, args: FindArgs) -> FoundCompanies:
    """Look for companies that exist (Brazil's public registry, maps, their websites), score each 0 to 100 and save
    those that qualify to the CRM. Use it for every wish for companies or customers; one call per message.

    Give `request` or `change`, in the user's own words: activity, place, number, age, size and signals are read from
    them by rules. state `asking`: ask the `questions`, nothing was searched (a place or trade that nobody knows is
    never replaced by another). `running`: it goes on in the background and tells its end in this conversation. The
    user sees each company as it is found, and a table of all under your answer. It contacts nobody.
    """
    if (args.request is None) == (args.change is None):
        raise ArgumentsWrong("find_one_of", "give request or change, not both")
    before = await _wish_before(ctx)
    reading, sentence = await _read(ctx, args, before)
    _places_were_said(ctx, reading.profile, before)
    if not reading.ready or (args.change is not None and _nothing_understood(reading, args.change)):
        return _asking(ctx, reading, sentence)
    search, goes_on = await _search_for(ctx, reading.profile, sentence, before, again=args.change is None)
    for line in profile_lines(reading.profile, _today(ctx), _say(ctx)):
        ctx.tell(line)
    search = await _hunts(ctx).follow(ctx.turn.identity, search.id, _seconds(ctx), _teller(ctx))
    if reading.profile.wants_contact and search.state is State.DONE:
        await _look_the_best_up(ctx, search, reading.profile.contact_most or CONTACTED)
    return await _found(ctx, search, reading, goes_on=goes_on)


def _places_were_said(ctx: ToolContext, profile: IdealCustomer, before: "_Wish | None") -> None:
    """A place is the user's to name: one that a model puts in the place of another is refused, nothing is searched.
    ArgumentsWrong("prospect_place_not_said", place)."""
    known = set(before.profile.places) if before else set()
    for place in profile.places:
        said_so = said_by_user(ctx.turn, place.name) or (place.kind == "state" and said_by_user(ctx.turn, place.uf))
        if place not in known and not said_so:
            name = place_name(place)
            raise ArgumentsWrong("prospect_place_not_said", f"the user did not say {name}: ask where", place=name)


async def _look_the_best_up(ctx: ToolContext, search: Search, most: int) -> None:
    """Whoever will be written to is looked up before the list is taken: what is found may change a score, and a list
    must show the scores that stay."""
    who, looked = ctx.turn.identity, set[str]()
    while len(looked) < 3 * most:
        saved = rows_of(await ctx.service(Searches).candidates(who, search.id, verdict=Verdict.QUALIFIED), _say(ctx))
        best = [one.id for one in saved if one.phone or one.email or one.id not in looked][:most]
        if not (fresh := [one for one in best if one not in looked]):
            return
        looked.update(fresh)
        with contextlib.suppress(TimeoutError):  # what is known already will do
            async with asyncio.timeout(_LOOK_UP_SECONDS):
                await asyncio.gather(*(_hunts(ctx).look_up(who, one) for one in fresh))


@dataclass(frozen=True)
class _Wish:
    """What was looked for, or asked about, before."""

    profile: IdealCustomer
    sentence: str
    search: Search | None


async def _wish_before(ctx: ToolContext) -> _Wish | None:
    """Of this turn, else of this conversation, else (through MCP, which has none) of the newest search."""
    told = _last_found(ctx) or ctx.turn.session.get("hunt")
    searches, who = ctx.service(Searches), ctx.turn.identity
    if told is None and ctx.turn.door == "mcp":
        newest = await searches.latest(who, 1)
        return _Wish(newest[0].profile, newest[0].sentence, newest[0]) if newest else None
    if told is None:
        return None
    search = await searches.get(who, told["search"]) if told.get("search") else None
    return _Wish(customer_from(told["wish"]), str(told["sentence"]), search)


def _last_found(ctx: ToolContext) -> dict[str, Any] | None:
    """What find_companies said earlier in this turn, in the form in which a conversation keeps it."""
    for record in reversed(ctx.turn.results):
        if record.name == "find_companies" and record.result is not None:
            search = record.result["search"]
            return {
                "wish": record.result["wish"],
                "sentence": record.result["sentence"],
                "search": search["id"] if search else None,
            }
    return None


async def _read(ctx: ToolContext, args: FindArgs, before: _Wish | None) -> tuple[Reading, str]:
    """What the words say, and the sentence that stands for the wish."""
    language, today = ctx.turn.language, _today(ctx)
    if args.change is None or before is None:
        sentence = args.request or args.change or ""
        return await _settled(ctx, read_profile(sentence, language, today)), sentence
    reading = await _settled(ctx, corrected(before.profile, args.change, language, today))
    sentence = f"{before.sentence}; {args.change}" if reading.changes else before.sentence
    return reading, sentence


async def _settled(ctx: ToolContext, reading: Reading) -> Reading:
    """The reading after the public lists were asked about places and trades that our own tables do not have."""
    open_ones = (Doubt.PLACE_UNKNOWN, Doubt.ACTIVITY_UNKNOWN)
    if not any(one.doubt in open_ones and one.words for one in reading.unclear):
        return reading
    places = (await ctx.service(LazySources).open()).places
    for one in reading.unclear:
        if one.doubt is Doubt.PLACE_UNKNOWN:
            answer = await places.place(one.words)
            if isinstance(answer, Found):
                found = answer.place
                reading = with_place(reading, one.words, WantedPlace(found.kind, found.name, found.uf, found.ibge))
            elif isinstance(answer, Ambiguous):
                choices = tuple(WantedPlace(c.kind, c.name, c.uf, c.ibge) for c in answer.candidates)
                reading = _instead(reading, one, Unclear(Doubt.PLACE_AMBIGUOUS, one.words, choices))
        elif one.doubt is Doubt.ACTIVITY_UNKNOWN and not reading.profile.activities:
            try:
                matches = await places.activities(one.words, most=5)
            except MutiraoError:
                continue  # the list does not answer: it stays unknown
            if matches:
                kinds = tuple(WantedActivity(m.code, m.activity.name(ctx.turn.language)) for m in matches)
                reading = _instead(reading, one, Unclear(Doubt.ACTIVITY_GUESS, one.words, kinds))
    return reading


def _instead(reading: Reading, old: Unclear, new: Unclear) -> Reading:
    return replace(reading, unclear=tuple(new if one == old else one for one in reading.unclear))


_MORE = re.compile(
    r"\b(?:mais|outras?|outros|proxim[ao]s?|seguintes?|siguientes?|more|others?|next|mas|otr[ao]s|continu\w+|segue|sigue"
    r"|de novo|again|otra vez|repet\w+|go on|keep going)\b"
)


def asks_for_more(words: str) -> bool:
    """Whether a correction asks for the next companies of the same wish: "mais 20", "as próximas", "more"."""
    return _MORE.search(squeezed(words)) is not None


def _nothing_understood(reading: Reading, change: str) -> bool:
    """A correction that changes nothing and does not ask for more either: it is told so, and nothing is searched."""
    return not reading.changes and not asks_for_more(change)


_STOPS = frozenset(
    {
        Doubt.ACTIVITY_MISSING, Doubt.ACTIVITY_UNKNOWN, Doubt.ACTIVITY_GUESS, Doubt.PLACE_MISSING, Doubt.PLACE_UNKNOWN,
        Doubt.PLACE_AMBIGUOUS, Doubt.AGE_IMPOSSIBLE, Doubt.COUNT_IMPOSSIBLE,
    }
)  # fmt: skip


def _asking(ctx: ToolContext, reading: Reading, sentence: str) -> FoundCompanies:
    say = _say(ctx)
    questions = [one for one in reading.unclear if one.doubt in _STOPS]
    choices = [_name(choice) for one in questions for choice in one.choices]
    first, last = reading.profile.age.opened(_today(ctx))
    return FoundCompanies(
        origin="user",
        state="asking",
        sentence=sentence,
        profile=profile_lines(reading.profile, _today(ctx), say),
        questions=[said(one.line(), say) for one in questions] or [say("hunter.not_understood")],
        notes=[said(one.line(), say) for one in reading.unclear if one.doubt not in _STOPS],
        choices=choices,
        contact=reading.profile.wants_contact,
        contact_most=reading.profile.contact_most,
        opened_since=first,
        opened_until=last,
        wish=reading.profile.record(),
    )


def _name(choice: WantedActivity | WantedPlace) -> str:
    return place_name(choice) if isinstance(choice, WantedPlace) else choice.name


async def _search_for(
    ctx: ToolContext, profile: IdealCustomer, sentence: str, before: _Wish | None, *, again: bool
) -> tuple[Search, bool]:
    """The search to follow, and whether it goes on with an earlier one of the same wish.

    The one under way, when it is the same wish; else a new one, for which the one before is halted.
    """
    who, hunts, old = ctx.turn.identity, _hunts(ctx), before.search if before else None
    same = old is not None and old.profile.key == profile.key
    if old is not None:
        old = await ctx.service(Searches).get(who, old.id)
        if same and old.state is State.RUNNING:
            return old, False
        if same and old.state is State.PAUSED:
            return await hunts.resume(who, old.id), False
        if old.state is State.RUNNING:
            await hunts.pause(who, old.id)
        if not same and not again:  # what it found may be what is wanted now: it is looked at again
            await ctx.service(Searches).release(who, old.id)
    if not same and again:  # the same sentence in another conversation goes on with it, too: the cursors say so
        same = any(one.profile.key == profile.key for one in await ctx.service(Searches).latest(who, 20))
    return await hunts.start(who, ctx.turn.conversation_id, sentence, profile, ctx.turn.language), same


def _seconds(ctx: ToolContext) -> float:
    left = ctx.turn.limits.seconds - (time.monotonic() - ctx.turn.started) - _LEFT_FOR_WORDS
    return max(0.0, min(FOLLOWED, left))


def _teller(ctx: ToolContext) -> OnCandidate:
    """Shows each company as it is found."""
    say = _say(ctx)

    def tell(found: Candidate) -> None:
        if not found.name or found.state is CandidateState.DUPLICATE:
            return
        row = company_row(0, found, say)
        verdict = say(f"prospecting.verdict.{row.verdict}")
        ctx.tell(
            say("hunter.told", name=row.name, city=row.city or say("hunter.unknown"), score=row.score, verdict=verdict)
        )

    return tell


async def _found(ctx: ToolContext, search: Search, reading: Reading, *, goes_on: bool) -> FoundCompanies:
    say, searches, who = _say(ctx), ctx.service(Searches), ctx.turn.identity
    rows = rows_of(await searches.candidates(who, search.id), say)
    first, last = search.profile.age.opened(_today(ctx))
    rules = await searches.rules(who)
    return FoundCompanies(
        state=search.state.value,
        sentence=search.sentence,
        profile=profile_lines(search.profile, _today(ctx), say),
        notes=[said(one.line(), say) for one in reading.unclear],
        goes_on=goes_on,
        plan=[said(line, say) for line in search.plan.explained()],
        learnt=[said(line, say) for line in await searches.learnt(who, search.profile)],
        search=await _info(ctx, search),
        companies=rows[:MOST_ROWS],
        more=max(0, len(rows) - MOST_ROWS),
        contact=reading.profile.wants_contact,
        contact_most=reading.profile.contact_most,
        qualified_from=rules.qualified,
        person_from=rules.person,
        simulated=(await ctx.service(LazySources).open()).sandbox,
        opened_since=first,
        opened_until=last,
        wish=reading.profile.record(),
    )


# --- looking --------------------------------------------------------------------------------------


class ListArgs(ToolArgs):
    search: SearchArg = None
    verdict: Annotated[
        Literal["qualified", "person", "below", "all"],
        Field(description="person: waits for somebody to look at it; below: kept with the reason. Default all."),
    ] = "all"


@tool(effect=Effect.READ, area="hunter")
async def companies_found(ctx: ToolContext, args: ListArgs) -> CompanyList:
    """The companies of a search, the best first, with score, reasons, contact and sources: "mostra as qualificadas",
    "quais estão esperando eu olhar?". Not for contacts and deals of the CRM. It searches nothing."""
    search = await _search(ctx, args.search)
    verdict = None if args.verdict == "all" else Verdict(args.verdict)
    found = await ctx.service(Searches).candidates(ctx.turn.identity, search.id, verdict=verdict)
    rows = rows_of(found, _say(ctx))
    return CompanyList(
        search=await _info(ctx, search),
        verdict=args.verdict,
        companies=rows[:MOST_ROWS],
        more=max(0, len(rows) - MOST_ROWS),
    )


class StatusArgs(ToolArgs):
    search: Annotated[str | None, Field(max_length=60, description="Id of a search; omit for the newest five.")] = None


@tool(effect=Effect.READ, area="hunter")
async def search_status(ctx: ToolContext, args: StatusArgs) -> SearchStatus:
    """How searches for companies stand: state, counts, what was left out, cost; and what feedback has taught. Without
    `search` the newest five."""
    who, searches = ctx.turn.identity, ctx.service(Searches)
    found = [await searches.get(who, args.search)] if args.search else await searches.latest(who, _SEARCHES_TOLD)
    return SearchStatus(
        searches=[await _info(ctx, one) for one in found],
        learnt=[said(line, _say(ctx)) for line in await searches.learnt(who)],
    )


class SteerArgs(ToolArgs):
    action: Literal["pause", "resume"]
    search: SearchArg = None


@tool(effect=Effect.DRAFT, area="hunter")
async def steer_search(ctx: ToolContext, args: SteerArgs) -> SearchStatus:
    """Halt a search for companies, or let a halted one go on. What was found stays. For the next companies of a search
    that is over, use find_companies."""
    search = await _search(ctx, args.search, steering=args.action)
    steer = _hunts(ctx).pause if args.action == "pause" else _hunts(ctx).resume
    done = await steer(ctx.turn.identity, search.id)
    return SearchStatus(searches=[await _info(ctx, done)])


async def _search(ctx: ToolContext, search_id: str | None, *, steering: str | None = None) -> Search:
    """The one named; else the conversation's last; else the newest (the newest that can be steered so).
    Refused("prospect_unknown"), Refused("no_search_yet")."""
    who, searches = ctx.turn.identity, ctx.service(Searches)
    told = _last_found(ctx) or ctx.turn.session.get("hunt") or {}
    if wanted := search_id or told.get("search"):
        found = await searches.get(who, wanted)
        if search_id or not steering or found.state is _STEERED[steering]:
            return found
    latest = await searches.latest(who)
    fitting = [one for one in latest if steering is None or one.state is _STEERED[steering]]
    if not fitting and not latest:
        raise Refused("no_search_yet", "there is no search yet")
    return (fitting or latest)[0]


_STEERED = {"pause": State.RUNNING, "resume": State.PAUSED}


class ExplainArgs(ToolArgs):
    company: Annotated[
        str | None,
        Field(
            max_length=200,
            description="Number in the last list, name, or id; omit to tell how any score is made.",
        ),
    ] = None


@tool(effect=Effect.READ, area="hunter")
async def explain_score(ctx: ToolContext, args: ExplainArgs) -> ScoreExplained:
    """Why a company has its score: every rule with its points, its evidence, source and day, what limits it, and the
    version of the rule file ("por que a terceira tem 82?"). Without a company: weights and rules of any score ("como
    funciona a nota?"). Never explain a score without it."""
    rules = await ctx.service(Searches).rules(ctx.turn.identity)
    if not args.company:
        return rules_explained(rules, _say(ctx))
    found = await _company(ctx, args.company)
    return score_explained(found, rules, _say(ctx))


# --- deciding -------------------------------------------------------------------------------------


class DecideArgs(ToolArgs):
    targets = ("company",)

    company: CompanyArg
    decision: Annotated[
        Decision,
        Field(description="save to the CRM; reject; won or lost as a customer; not_this_kind: not what is looked for."),
    ]


@tool(effect=Effect.DRAFT, area="hunter")
async def decide_company(ctx: ToolContext, args: DecideArgs) -> Decided:
    """Keep what the user says of a company that a search found; one call per company. `changes` says what it changes
    from the next search on: tell it. Only what the user said of this company, never your own judgement."""
    company = await _company(ctx, args.company)
    if not _was_decided(ctx.turn, args.decision):
        raise ArgumentsWrong(
            "prospect_not_decided", f"the user did not say {args.decision}: ask", decision=args.decision
        )
    found, lines = await _hunts(ctx).decide(ctx.turn.identity, company.id, args.decision)
    say = _say(ctx)
    return Decided(
        company=company_row(0, found, say), decision=args.decision, changes=[said(line, say) for line in lines]
    )


_DECIDED = {
    "save": r"salv|guard|mantem|manten|fica|aprov|inclu|coloc|adicion|agreg|crm|sav|keep|add|put",
    "reject": r"reje|rech|descart|tir|sac|quit|remov|exclu|recus|elimin|fora|nao quero|no quiero|drop|discard|out"
    r"|don.?t want",
    "won": r"ganh|gan[aeo]|fech|cerr|conquist|client|contrat|vend|won|win|clos|sign",
    "lost": r"perd|lost|lose|nao quis|nao deu|nao fech|desist|declin|turned us down|no quiso",
    "not_this_kind": r"nao (?:e|eh|sao|era|foi)|no (?:es|son)|tipo|perfil|serve|sirve|not|kind|type|interes|wrong|errad"
    r"|nada a ver",
}
"""Words of which one stands where somebody decides so, in three languages, folded."""


def _was_decided(turn: Turn, decision: Decision) -> bool:
    """Whether the user's own words hold such a decision; a bare yes stands for the message before."""
    if turn.door == "mcp" and not turn.text:
        return True
    said_so = " ".join([turn.text, str(turn.session.get("last_text") or "")])
    return re.search(_DECIDED[decision], folded(said_so)) is not None


class FirstMessageArgs(ToolArgs):
    targets = ("company",)

    company: CompanyArg
    text: Annotated[
        str | None,
        Field(
            max_length=1_000,
            description="The message, in the company's language (Portuguese in Brazil); only facts of the results. "
            "Omit it for the house's plain one.",
        ),
    ] = None


@tool(effect=Effect.SEND, area="hunter")
async def draft_first_message(ctx: ToolContext, args: FirstMessageArgs) -> ProposedChange:
    """Propose a first message to one company that was saved to the CRM and has a telephone or e-mail; for several use
    draft_first_messages. It only makes a proposal that a person reads and approves: nothing is sent by this call. On
    WhatsApp the text fills an approved template; elsewhere who we are, where the contact is from and how to be left
    alone are added below it by code."""
    company = await _company(ctx, args.company)
    if company.state is CandidateState.NEW:
        raise Refused("prospect_not_saved", "only a company that was saved is written to", name=company.name or "")
    texts, who = ctx.service(Texts), ctx.turn.identity
    with contextlib.suppress(TimeoutError):  # what is known already will do
        async with asyncio.timeout(_LOOK_UP_SECONDS):
            company = await _hunts(ctx).look_up(who, company.id)
    if args.text and (wrong := _unknown_number(args.text, company, ctx)):
        raise ArgumentsWrong("prospect_number_unknown", f"{wrong} is nothing that is known of it", number=wrong)
    text = args.text or _plain_message(company, who, texts)
    change = await ctx.service(Leads).draft(who, company.id, text, _THEIR_LANGUAGE)
    evidence = [said(line, _say(ctx)) for line in company.reasons()[:_REASONS]]
    return ProposedChange(origin="web", change=change, evidence=evidence, told=_told(change))


def _unknown_number(text: str, company: Candidate, ctx: ToolContext) -> str | None:
    """The first number of a message to a stranger that stands neither in what is known of the company, nor in why it
    was found, nor in the user's own words."""
    told = [said(line, _say(ctx)) for line in company.reasons()]
    own = [ctx.turn.text, str(ctx.turn.session.get("last_text") or ""), company.name or ""]
    known = {re.sub(r"\D", "", str(one.value)) for one in company.evidence}
    known |= {part for one in company.evidence for part in re.findall(r"\d+", str(one.value))}
    known |= set(re.findall(r"\d+", " ".join([*told, *own])))
    for found in re.findall(r"\d+(?:[.,]\d+)*", text):
        parts = re.findall(r"\d+", found)
        if "".join(parts) not in known and not all(part in known for part in parts):
            return str(found)
    return None


_LOOK_UP_SECONDS = 15.0
_THEIR_LANGUAGE = "pt-BR"
"""All companies of the registry are Brazilian."""
_REASONS = 3


def _plain_message(company: Candidate, who: Identity, texts: Texts) -> str:
    """The house's own first message: who writes, how the company was found, one question. What is not known is left
    out."""
    codes = {str(one.value) for one in of_kind(company.evidence, Kind.ACTIVITY)}
    known = activity(codes.pop()) if len(codes) == 1 else None
    return texts.say(
        _THEIR_LANGUAGE,
        "hunter.first_message",
        sender=who.name,
        name=spoken(company.name or ""),
        activity=known.name(_THEIR_LANGUAGE) if known else None,
        city=city_of(company.evidence),
    )


class FirstMessagesArgs(ToolArgs):
    targets = ("companies",)

    companies: Annotated[
        list[CompanyArg],
        Field(min_length=2, max_length=MOST_AT_ONCE, description="Each by its number in the last list, name or id."),
    ]
    texts: Annotated[
        list[Annotated[str, Field(max_length=1_000)]] | None,
        Field(
            max_length=MOST_AT_ONCE,
            description="One message for each company in the same order, in its language (Portuguese in Brazil), only "
            "facts of the results; or a single one for all. Omit it for the house's own, which names each company.",
        ),
    ] = None


@tool(effect=Effect.SEND, area="hunter")
async def draft_first_messages(ctx: ToolContext, args: FirstMessagesArgs) -> ProposedChange:
    """Propose first messages to several saved companies at once (2 to 10), as one proposal: a person reads every text,
    edits or leaves out some, and approves the rest together. Nothing is sent by this call. Companies that cannot be
    written to (not saved, no telephone or e-mail, asked not to be contacted) are left out and told."""
    return await first_messages(ctx, args.companies, args.texts)


async def first_messages(
    ctx: ToolContext, companies: Sequence[str], words: Sequence[str] | None, follows: Follows | None = None
) -> ProposedChange:
    """First messages to companies as they were named, as one change; those that cannot be written to are left out and
    told. `words`: one text for each, one for all, or None for the house's own.

    ArgumentsWrong: first_contact_texts, first_contact_text (most), prospect_number_unknown (number), and how a company
    was named; what was against the last of them when none is left.
    """
    texts, who = ctx.service(Texts), ctx.turn.identity
    given: list[str | None] = [*words] if words else [None]
    if len(given) not in (1, len(companies)):
        raise ArgumentsWrong("first_contact_texts", "one text for each company, or one for all")
    made: dict[str, Change] = {}
    left_out: list[dict[str, str]] = []
    failure: MutiraoError | None = None
    for number, named in enumerate(companies):
        company = await _company(ctx, named)
        if company.id in made:
            continue
        own = given[number if len(given) > 1 else 0]
        try:
            if company.state is CandidateState.NEW:
                raise Refused("prospect_not_saved", "only saved companies are written to", name=company.name or "")
            if own and (wrong := _unknown_number(own, company, ctx)):
                raise ArgumentsWrong("prospect_number_unknown", f"{wrong} is nothing that is known", number=wrong)
            text = own or _plain_message(company, who, texts)
            made[company.id] = await ctx.service(Leads).draft(who, company.id, text, _THEIR_LANGUAGE, follows)
        except (Refused, ArgumentsWrong) as error:
            if error.code in ("prospect_number_unknown", "first_contact_text"):
                raise
            failure = error
            left_out.append({"company": company.name or "", "why": texts.error(ctx.turn.language, error)})
    if not made:
        assert failure is not None  # there were two at least
        raise failure
    changes = list(made.values())
    reached = [one for one in changes if one.data["way"] is not None]
    if reached and len(reached) < len(changes):  # one that cannot leave would hold back the others
        why = texts.say(ctx.turn.language, "first_contact.no_door_for_it")
        left_out += [{"company": one.data["name"], "why": why} for one in changes if one not in reached]
        changes = reached
    change = plan_batch(changes) if len(changes) > 1 else changes[0]
    told = {"messages": [_told(one) for one in changes], "left_out": left_out}
    return ProposedChange(origin="web", change=change, told=told)


def _told(change: Change) -> dict[str, Any]:
    """What is told of a first message: without keys and what only machines need."""
    names = ("candidate", "name", "channel", "to", "known_from", "known_on", "sandbox")
    filled = (change.data["way"] or {}).get("template")
    return {name: change.data[name] for name in names} | {"text": reads(change.data) if filled else change.data["text"]}


# --- which company --------------------------------------------------------------------------------

_NUMBER = re.compile(r"(?:#|n[.º°o]{0,2}\s*)?(\d{1,3})(?:[ªºao]|st|nd|rd|th)?")


def number_meant(words: str) -> int | None:
    """The place in a list that "3", "#3", "3ª", "a terceira", "the third one" name; None when they name none."""
    plain = squeezed(words)
    bare = re.sub(r"^(?:(?:a|o|the|la|el|empresa|company)\s+)+|\s+(?:one|empresa|company)$", "", plain)
    if found := _NUMBER.fullmatch(bare):
        return int(found[1])
    return ORDINALS.get(bare)


async def _company(ctx: ToolContext, named: str) -> Candidate:
    """ArgumentsWrong: prospect_company_not_in_list (number, count), prospect_company_unknown (name),
    prospect_company_ambiguous (name, candidates). Refused("prospect_unknown") for an id of nobody's."""
    searches, who = ctx.service(Searches), ctx.turn.identity
    shown = await _shown(ctx)
    if (number := number_meant(named)) is not None:
        by_number = {one["n"]: one["id"] for one in shown}
        if number not in by_number:
            raise ArgumentsWrong(
                "prospect_company_not_in_list",
                f"the last list has no number {number}",
                number=number,
                count=len(by_number),
            )
        return await searches.candidate(who, by_number[number])
    if named.startswith("cand_"):
        return await searches.candidate(who, named)
    matches = _named(named, shown)
    if not matches:
        older: list[dict[str, Any]] = []
        for search in await searches.latest(who, _COMPANIES_SEARCHED_BY_NAME):
            older += [_entry(one) for one in await searches.candidates(who, search.id) if one.name]
        matches = _named(named, older)
    if len(matches) > 1:
        raise ArgumentsWrong(
            "prospect_company_ambiguous",
            f"several companies could be {named!r}: {', '.join(one['name'] for one in matches[:5])}; ask which",
            name=named,
            candidates=[{"id": one["id"], "name": one["name"]} for one in matches[:5]],
        )
    if not matches:
        raise ArgumentsWrong("prospect_company_unknown", f"no search found a company called {named!r}", name=named)
    return await searches.candidate(who, matches[0]["id"])


def _named(words: str, entries: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The entry of that whole name, else those that have all its words, else those it has a telling word of."""
    wanted = folded(words)
    found = list({one["id"]: one for one in entries}.values())
    exact = [one for one in found if folded(one["name"]) == wanted or one.get("cnpj") == re.sub(r"\W", "", words)]
    if exact:
        return exact
    asked = set(wanted.split())
    return [one for one in found if asked and asked <= set(folded(one["name"]).split())]


def _entry(one: Candidate) -> dict[str, Any]:
    return {"id": one.id, "name": one.name or "", "cnpj": one.cnpj}


async def _shown(ctx: ToolContext) -> list[dict[str, Any]]:
    """The last list: of this turn, else of this conversation; else, where there is no conversation, what the newest
    search would show."""
    for record in reversed(ctx.turn.results):
        if record.name in ("find_companies", "companies_found") and record.result and record.result["companies"]:
            return list(record.result["companies"])
    entities = [one for one in ctx.turn.session.get("entities", []) if one.get("kind") == "candidate"]
    if entities or ctx.turn.door != "mcp":
        return entities
    searches, who = ctx.service(Searches), ctx.turn.identity
    newest = await searches.latest(who, 1)
    rows = rows_of(await searches.candidates(who, newest[0].id), _say(ctx)) if newest else []
    return [{"n": row.n, "id": row.id, "name": row.name, "cnpj": row.cnpj} for row in rows]


PROSPECTING_TOOLS = [
    find_companies,
    companies_found,
    search_status,
    steer_search,
    explain_score,
    decide_company,
    draft_first_message,
    draft_first_messages,
]
