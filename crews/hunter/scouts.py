"""Three hunters that learn more about one company, each where it pays: Google (its website, open positions, news),
social networks, LinkedIn (through search results alone; its pages are never opened).

Each first does by code what code can. Where a model is set up and something worth reading is left, an agent reads on
with three tools (tools/scouting.py) in a turn of its own, with limits of its own and under the tenant's budgets. Both
make their claims to the same check (business/prospecting/scouting.py): what does not pass is no evidence, whoever
thought so. What fails stays unknown and is counted.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from urllib.parse import urljoin

import structlog

from business.prospecting.enrich import Judge, Used, telling
from business.prospecting.evidence import WEBSITE, Evidence, Kind, of_kind, sorted_evidence
from business.prospecting.plan import Pays
from business.prospecting.quota import WebQuota
from business.prospecting.score import SIGNAL_KINDS, Outcome
from business.prospecting.scouting import Finds, Seen, days_in, host, is_social, positions_in
from business.prospecting.searches import Search
from business.prospecting.sources import OpenSources
from core.clock import Clock
from core.errors import ArgumentsWrong, MutiraoError, Refused
from core.ids import new_id
from core.tenancy import Identity
from core.turn import Limits, Turn
from core.words import folded
from crews.contract import CrewDeps
from crews.kickoff import kick_off
from integrations.minha_receita.payloads import Company
from llm.messages import ToolCall
from llm.offline import PROVIDER as OFFLINE
from tools.scouting import SCOUTING_TOOLS, Look

LIMITS = Limits(steps=8, model_calls=5, tokens=20_000, cost_usd=Decimal("0.03"), seconds=45.0)
"""Of one agent for one company."""
MOST_USD = Decimal("1.00")
"""Of all agents for one search, in one process; the tenant's budgets come on top."""
_JOBS = ("trabalhe", "vaga", "carreira", "career", "jobs", "oportunidade", "empleo", "faca parte", "join")

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Hunter:
    role: str
    """Of llm/catalog.toml."""
    prompt: str
    """prompts/<prompt>.<language>.md"""
    kinds: frozenset[Kind]
    """What it can find."""
    by_code: Callable[[Look, frozenset[Kind]], Awaitable[None]]
    """Its work without a model, for the kinds that are still unknown."""
    left: Callable[[Finds], bool]
    """Whether there is something left that a model could read and code could not."""


class Scouts:
    """`deps` has a runner of SCOUTING_TOOLS alone. `quota` counts the tenants' searches of the web."""

    def __init__(self, deps: CrewDeps, clock: Clock, open_sources: OpenSources, quota: WebQuota) -> None:
        if set(deps.runner.tools) != {tool.name for tool in SCOUTING_TOOLS}:
            raise ValueError("scouts read strangers' words: their runner must reach no other tools")
        self._deps = deps
        self._clock = clock
        self._open_sources = open_sources
        self._quota = quota
        self._spent: dict[str, Decimal] = {}

    async def look(
        self, who: Identity, search: Search, company: Company, evidence: Sequence[Evidence], judge: Judge
    ) -> tuple[tuple[Evidence, ...], Used]:
        """The evidence with what the hunters found, and what it cost. For the person whose search it is, and under
        their tenant's quota and budgets. Raises nothing for sources or models that are away."""
        used, known = Used(), sorted_evidence(evidence)
        finds = Finds(company, known)
        if not finds.name or not any(unknown(judge, known, hunter.kinds) for hunter in HUNTERS):
            return known, used
        try:
            sources = await self._open_sources()
        except MutiraoError as error:
            used.fail(error)
            return known, used
        wished = frozenset(SIGNAL_KINDS[wish.signal] for wish in judge.profile.wishes)
        look = Look(finds, self._quota.of(who.tenant_id, sources.web), sources.pages, used, wished=wished)
        for hunter in HUNTERS:
            if wanted := unknown(judge, finds.result(), hunter.kinds):
                await _counted(hunter.by_code(look, wanted), used)
        for hunter in HUNTERS:
            if unknown(judge, finds.result(), hunter.kinds) and hunter.left(finds):
                await self._ask(hunter, who, search, look, judge)
        return finds.result(), used

    async def _ask(self, hunter: Hunter, who: Identity, search: Search, look: Look, judge: Judge) -> None:
        """Let an agent read on, where a model serves its role and the search may still spend."""
        if not self._deps.router.chain(hunter.role) or self._spent.get(search.id, Decimal(0)) >= MOST_USD:
            return
        turn = Turn(
            id=new_id("turn"),
            identity=who,
            conversation_id=search.id,
            door="job",
            text="",
            language=search.language,
            now=self._clock.now(),
            limits=LIMITS,
        )
        turn.kept[Look] = look
        wanted = unknown(judge, look.finds.result(), hunter.kinds)
        opening = [
            {"role": "system", "content": self._deps.prompts.fill(hunter.prompt, search.language).text},
            {"role": "user", "content": self._request(look, search, wanted)},
        ]
        try:
            await kick_off(turn, self._deps, hunter.role, opening=opening, tools=SCOUTING_TOOLS, playbook=_Silent())
        except MutiraoError as error:
            if error.code != "turn_limit":  # which ends many a look: what was noted until then holds
                look.used.fail(error)
        asked = [call for call in turn.model_calls if call.provider != OFFLINE]
        look.used.model_calls += len(asked)
        look.used.model_usd += turn.cost_usd
        if asked and all(call.failure is not None for call in asked):
            look.used.failed += 1
        self._spent[search.id] = self._spent.get(search.id, Decimal(0)) + turn.cost_usd
        while len(self._spent) > 1_000:
            del self._spent[next(iter(self._spent))]
        log.debug("scouted", role=hunter.role, search=search.id, calls=len(asked), noted=len(look.finds.noted))

    def _request(self, look: Look, search: Search, wanted: frozenset[Kind]) -> str:
        finds = look.finds
        site = next((str(one.value) for one in of_kind(finds.result(), Kind.WEBSITE) if one.source == WEBSITE), None)
        return self._deps.prompts.fill(
            "scout_request",
            search.language,
            name=finds.name,
            city=finds.city,
            uf=finds.company.address.uf or "",
            activity=finds.company.activity.name if finds.company.activity else "",
            website=site,
            wanted=sorted(str(kind) for kind in wanted),
        ).text


class _Silent:
    """Where no model answers after all, nothing more is found: by code it has been tried before."""

    def next_step(self) -> list[ToolCall] | str:
        return "-"


def unknown(judge: Judge, evidence: Sequence[Evidence], kinds: frozenset[Kind]) -> frozenset[Kind]:
    """Which of `kinds` are unknown and worth to be looked for; empty where it does not pay (plan.pays).

    Where something asked for is unknown, that alone is looked for. Where the score could cross the threshold, what
    could carry it there; who is about to be written to is looked up whole.
    """
    now, reason = judge.score(evidence), judge.why(evidence)
    open_ = frozenset(kind for kind in kinds if not of_kind(evidence, kind))
    if reason in (None, Pays.RANK) or not open_:
        return frozenset()
    if reason is Pays.WISH:
        return open_ & {SIGNAL_KINDS[wish.signal] for wish in judge.profile.wishes}
    if reason is Pays.CONTACT:
        return open_
    gains = {
        one.rule.about: one.of - one.points
        for one in now.rules
        if one.outcome is Outcome.UNKNOWN and one.rule.about in SCOUTED and one.rule.test != "absent"
    }  # to find what should be absent carries nothing
    if now.total + sum(gains.values()) < judge.rules.qualified:
        return frozenset()
    return open_ & {kind for kind in gains if kind is not None}


# --- by code ----------------------------------------------------------------------------------------


async def _google(look: Look, wanted: frozenset[Kind]) -> None:
    if Kind.WEBSITE in wanted and not look.finds.own_hosts:
        await _counted(_own_site(look), look.used)
    if Kind.HIRING in wanted and look.finds.own_hosts:
        await _counted(_open_positions(look), look.used)
    if Kind.NEWS in wanted:
        await _counted(_in_the_news(look), look.used)


async def _own_site(look: Look) -> None:
    """Their website among what a search for name and city brings: the host has a word of the name in it. Whether it is
    theirs the pages say (Finds.add_page)."""
    await look.web()
    words = [word for word in telling(look.finds.name) if len(word) > 3]
    found = {host(one.url): one.url for one in look.finds.seen.values() if one.page is None}
    shared = {url: sum(word in where for word in words) for where, url in found.items() if not is_social(where)}
    for url in sorted((url for url, count in shared.items() if count), key=lambda url: -shared[url])[:2]:
        page = await look.read(urljoin(url, "/"))
        for link in page.facts.links:  # where the contacts stand, by which it may be known
            if host(link.url) == host(url) and "contat" in folded(f"{link.text} {link.url}"):
                await _counted(_read(look, link.url), look.used)
                break
        if look.finds.own_hosts:
            return


async def _open_positions(look: Look) -> None:
    """An open position on their own website: on its first page, or on that about work."""
    address = next(
        (str(one.value) for one in of_kind(look.finds.result(), Kind.WEBSITE) if one.source == WEBSITE), None
    )
    if address is None:
        return
    first = await look.read(address)
    pages = [first]
    for link in first.facts.links:
        words = folded(f"{link.text} {link.url.partition(host(address))[2]}")
        if host(link.url) == host(first.url) and any(word in words for word in _JOBS):
            pages.append(await look.read(link.url))
            break
    for page in pages:
        for position, line in positions_in(page.facts.text)[:1]:
            _note(look.finds, Kind.HIRING, position, line, page.url)


async def _in_the_news(look: Look) -> None:
    """The newest news that name the company and its city; asked for only where no namesake can be meant."""
    await _who_else(look)
    if not (look.finds.on_map and look.finds.alone()):
        return
    await look.news()
    name, city = f" {folded(look.finds.name)} ", f" {folded(look.finds.city)} "
    news = [
        one for one in look.finds.seen.values() if one.news and one.page is None and name in f" {folded(one.text)} "
    ]
    for one in sorted(news, key=lambda one: str(one.day or ""), reverse=True)[:2]:
        if one.day is not None and city in f" {folded(one.text)} ":
            if _note(look.finds, Kind.NEWS, one.day.isoformat(), one.title, one.url):
                return
            continue
        page = await look.read(one.url)  # the day, or the city, stands in the article
        line = next((line for line in page.facts.text.splitlines() if days_in(line)), one.title)
        day = next(iter(days_in(line)), one.day)
        if day is not None and _note(look.finds, Kind.NEWS, day.isoformat(), line, page.url):
            return


async def _social(look: Look, wanted: frozenset[Kind]) -> None:
    if Kind.INSTAGRAM in wanted:
        await _profiles(look, Kind.INSTAGRAM, "instagram.com", partial(look.web, site="instagram.com"))


async def _linkedin(look: Look, wanted: frozenset[Kind]) -> None:
    if Kind.LINKEDIN in wanted:
        await _profiles(look, Kind.LINKEDIN, "linkedin.com", look.linkedin)


async def _profiles(look: Look, kind: Kind, site: str, search: Callable[[], Awaitable[None]]) -> None:
    """Profiles among the search results; which of them is theirs the check says.

    The search for name and city brings them as well as one for that network alone (measured over the whole sandbox: it
    found no profile more), so `search` is spent only on what was wished for.
    """

    def shown() -> list[Seen]:
        return [one for one in look.finds.seen.values() if one.page is None and host(one.url).endswith(site)]

    await look.web()
    if not shown() and kind in look.wished:
        await search()
    found = shown()
    if found:
        await look.places()
        for url in look.finds.to_read()[:2]:
            await _counted(_read(look, url), look.used)
    for one in found:
        handle = one.url.partition("?")[0].rstrip("/").partition(f"{site}/")[2]
        if _note(look.finds, kind, handle, one.title, one.url):
            return


async def _who_else(look: Look) -> None:
    """Ask what shows namesakes: the map and the web, each for name and city."""
    await look.places()
    await look.web()


async def _read(look: Look, url: str) -> None:
    await look.read(url)


def _note(finds: Finds, kind: Kind, value: str, quote: str, url: str) -> bool:
    try:
        finds.note(kind, value, " ".join(quote.split())[:400], url)
    except (ArgumentsWrong, Refused):
        return False
    return True


async def _counted(looking: Awaitable[None], used: Used) -> None:
    """What fails stays unknown."""
    try:
        await looking
    except MutiraoError as error:
        if error.code != "scout_enough":
            used.fail(error)


# --- who they are -----------------------------------------------------------------------------------


def _news_left(finds: Finds) -> bool:
    return bool(finds.own_hosts) or any(one.page is None for one in finds.seen.values())


def _profiles_left(*sites: str) -> Callable[[Finds], bool]:
    return lambda finds: any(host(one.url).endswith(sites) for one in finds.seen.values() if one.page is None)


HUNTERS = (
    Hunter(
        role="hunter_google",
        prompt="scout_google",
        kinds=frozenset({Kind.WEBSITE, Kind.HIRING, Kind.NEWS, Kind.PHONE, Kind.WHATSAPP, Kind.EMAIL}),
        by_code=_google,
        left=_news_left,
    ),
    Hunter(
        role="hunter_social",
        prompt="scout_social",
        kinds=frozenset({Kind.INSTAGRAM}),
        by_code=_social,
        left=_profiles_left("instagram.com", "facebook.com"),
    ),
    Hunter(
        role="hunter_linkedin",
        prompt="scout_linkedin",
        kinds=frozenset({Kind.LINKEDIN}),
        by_code=_linkedin,
        left=_profiles_left("linkedin.com"),
    ),
)
"""In this order: a website links to the profiles, which then need not be searched for."""
SCOUTED = frozenset(kind for hunter in HUNTERS for kind in hunter.kinds)
