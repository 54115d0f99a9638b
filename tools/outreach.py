"""What a model may call about cadences. Thin: steps and runs are in business/outreach, first messages in
tools/prospecting.py.

A cadence begins with first messages that a person approves, together with what follows when nobody answers.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import Field

from business.outreach.cadence import DEFAULT
from business.outreach.runs import Cadences, Run
from business.prospecting.contact import MOST_AT_ONCE
from core.errors import ArgumentsWrong
from core.words import folded
from prompts.texts import Texts
from tools.leads import spoken
from tools.prospecting import first_messages
from tools.reach import frozen
from tools.spec import Effect, ProposedChange, ToolArgs, ToolContext, ToolResult, tool

_SHOWN = 30
_THEIR_LANGUAGE = "pt-BR"


class RunInfo(ToolResult):
    """A lead in a cadence. `step`: steps that are done; `next_on`: when the next one is due, by the user's clock."""

    id: str
    name: str
    cadence: str
    state: Literal["running", "waiting", "stopped", "done"]
    why: str
    step: int
    steps: int
    next_on: str | None


class RunList(ToolResult):
    runs: list[RunInfo]
    cadences: list[str]
    """Names of those that can be begun."""


class StoppedRun(ToolResult):
    run: RunInfo


class StartArgs(ToolArgs):
    targets = ("companies",)

    companies: Annotated[
        list[Annotated[str, Field(max_length=200)]],
        Field(min_length=1, max_length=MOST_AT_ONCE, description="Each by its number in the last list, name or id."),
    ]
    cadence: Annotated[str | None, Field(max_length=60, description="Its name; omit it for the usual one.")] = None
    texts: Annotated[
        list[Annotated[str, Field(max_length=1_000)]] | None,
        Field(max_length=MOST_AT_ONCE, description="As in draft_first_messages."),
    ] = None


class ListArgs(ToolArgs):
    alive: Annotated[bool, Field(description="Only those under way.")] = True


class StopArgs(ToolArgs):
    targets = ("company",)

    company: Annotated[str, Field(max_length=200, description="Name of the lead, as the list of cadences has it.")]


@tool(effect=Effect.SEND, area="sdr")
async def start_cadence(ctx: ToolContext, args: StartArgs) -> ProposedChange:
    """Propose to begin a cadence with 1 to 10 saved companies of the last list: a first message to each, and what
    follows by which channel after how many business days when nobody answers. A person reads and approves all of it;
    nothing is sent by this call. It stops by itself when somebody answers, opts out, or a person takes over."""
    cadences, texts = ctx.service(Cadences), ctx.service(Texts)
    who = ctx.turn.identity
    cadence = await cadences.cadence(who.tenant_id, args.cadence or DEFAULT)

    def follows(values: Mapping[str, str], templates: Sequence[Mapping[str, str]] | None) -> Mapping[str, Any]:
        words = {**values, "company": values["name"]}
        return frozen(cadence, texts, _THEIR_LANGUAGE, words, templates=templates)

    return await first_messages(ctx, args.companies, args.texts, follows)


@tool(effect=Effect.READ, area="sdr")
async def list_cadences(ctx: ToolContext, args: ListArgs) -> RunList:
    """Which leads are in a cadence, at which step, when the next one is due, and how those that are over ended."""
    cadences, who = ctx.service(Cadences), ctx.turn.identity
    runs = await cadences.list(who, alive=args.alive, limit=_SHOWN)
    return RunList(runs=[_info(ctx, one) for one in runs], cadences=await cadences.names(who))


@tool(effect=Effect.DRAFT, area="sdr")
async def stop_cadence(ctx: ToolContext, args: StopArgs) -> StoppedRun:
    """Stop the cadence of one lead: nothing more of it leaves. It cannot be gone on with, only begun anew."""
    cadences, who = ctx.service(Cadences), ctx.turn.identity
    run = _meant(args.company, await cadences.list(who, alive=True, limit=200))
    return StoppedRun(run=_info(ctx, await cadences.stop(who, run.id)))


def _meant(named: str, runs: Sequence[Run]) -> Run:
    """ArgumentsWrong: run_not_named (name, names), run_ambiguous (name, names)."""
    wanted = folded(spoken(named))
    exact = [one for one in runs if folded(one.name) == wanted or one.id == named]
    words = set(wanted.split())
    found = exact or [one for one in runs if words and words <= set(folded(one.name).split())]
    if not found and len(runs) == 1 and not words:
        found = list(runs)
    names = ", ".join(one.name for one in (found or runs)[:8])
    if len(found) > 1:
        raise ArgumentsWrong("run_ambiguous", f"several: {names}", name=named, names=names)
    if not found:
        raise ArgumentsWrong("run_not_named", f"none is called {named!r}", name=named, names=names)
    return found[0]


def _info(ctx: ToolContext, run: Run) -> RunInfo:
    texts, language = ctx.service(Texts), ctx.turn.language
    key = f"outreach.why.{run.reason}"
    return RunInfo(
        id=run.id,
        name=run.name,
        cadence=run.cadence.name,
        state=run.state,
        why=texts.say(language, key) if run.reason and texts.has(key) else "",
        step=min(run.step, len(run.cadence.steps)),
        steps=len(run.cadence.steps),
        next_on=_moment(run.next_at, ctx.turn.identity.time_zone, texts, language) if run.next_at else None,
    )


def _moment(at: datetime, zone: str, texts: Texts, language: str) -> str:
    local = at.astimezone(ZoneInfo(zone))
    return texts.say(language, "outreach.when", day=local.date(), time=f"{local:%H:%M}")


OUTREACH_TOOLS = [start_cadence, list_cadences, stop_cadence]
