"""Plays scenarios: every step in order, each in a fresh world, and keeps what is needed to judge them."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import structlog

from business.approvals.model import Proposal
from core import formats
from core.errors import MutiraoError
from core.money import Money
from evals.formula import Formula
from evals.players import Answered, Player
from evals.scenario import Click, Faults, Figure, Found, Person, Say, Wait, Which, Write
from evals.scorers import Verdict, judge
from evals.world import Stage, World

log = structlog.get_logger(__name__)


@dataclass
class Heard:
    """A message, its answer, and the figures that the ledger held at that moment, as the answer should write them."""

    step: Say
    number: int
    """The step's place in the scenario, the first is 1."""
    answer: Answered
    figures: list[tuple[Figure, str]] = field(default_factory=list)
    windows: list[str] = field(default_factory=list)


@dataclass
class Clicked:
    """A pressed button, and the code of the refusal; None when it was taken."""

    step: Click
    number: int
    refused: str | None


@dataclass
class Played:
    """One playing of a scenario: what happened, how the world stood at the end, how long it took (seconds)."""

    found: Found
    heard: list[Heard]
    clicked: list[Clicked]
    writes: list[dict[str, Any]]
    objects: dict[str, dict[str, Any]]
    proposals: list[Proposal]
    facts: list[Any]
    """Everything that a number may come from, beside the tool results: files, counts, what people said."""
    seconds: float
    lead: dict[str, Any] = field(default_factory=dict)
    """How the conversation with the lead stands; empty when none wrote."""
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    broke: str = ""
    """Why it could not be played to the end; empty when it was."""

    @property
    def passed(self) -> bool:
        return not self.broke and all(verdict.passed for verdict in self.verdicts.values())

    @property
    def tokens(self) -> int:
        return sum(
            h.answer.usage.prompt_tokens + h.answer.usage.completion_tokens for h in self.heard if h.answer.usage
        )

    @property
    def cost_usd(self) -> Decimal | None:
        """None when the price of a call is unknown."""
        costs = [h.answer.usage.cost_usd for h in self.heard if h.answer.usage]
        return None if any(cost is None for cost in costs) else sum((c for c in costs if c is not None), Decimal(0))


async def play(
    stage: Stage,
    scenarios: Sequence[Found],
    player: Player,
    *,
    k: int = 1,
    told: Callable[[Played], None] | None = None,
) -> list[Played]:
    """Every scenario `k` times; `told` hears of each as soon as it is over."""
    played = []
    for found in scenarios:
        for _ in range(k):
            try:
                one = await play_once(stage, found, player)
            except Exception as error:  # the other scenarios are still worth playing
                log.exception("scenario_broke", scenario=found.name)
                one = Played(found, [], [], [], {}, [], [], 0.0, broke=f"{type(error).__name__}: {error}")
            played.append(one)
            if told is not None:
                told(one)
    return played


async def play_once(stage: Stage, found: Found, player: Player) -> Played:
    """One scenario in a world of its own, judged."""
    began = time.monotonic()
    world = await stage.world(found.scenario)
    played = Played(found, [], [], [], {}, [], [], 0.0)
    for number, step in enumerate(found.scenario.steps, 1):
        match step:
            case Say():
                played.heard.append(await _say(world, player, step, number))
            case Click():
                played.clicked.append(await _click(world, player, step, number))
            case Person():
                (await world.talk()).person(step.person, world.clock.now())
            case Faults():
                await world.fail(step)
            case Write():
                await world.write(step)
            case Wait():
                await world.wait(step.wait)
    await world.fail(Faults(faults=[]))
    played.writes = await world.writes()
    played.proposals = await world.proposals()
    named = {*found.scenario.end.objects, *(write["object_id"] for write in played.writes)}
    played.objects = {object_id: await world.object(object_id) for object_id in sorted(named)}
    if found.scenario.end.lead is not None:
        played.lead = await (await world.talk()).end(world)
    for imported in await world.imports():
        told = {name: value for name, value in imported.items() if name.startswith(("rows", "data"))}
        played.facts += [imported["report"], told]
    played.verdicts = judge(played)
    played.seconds = time.monotonic() - began
    return played


# --- steps ------------------------------------------------------------------------------------------


async def _say(world: World, player: Player, step: Say, number: int) -> Heard:
    answer = await player.answer(world, step.speaker or world.scenario.role, step)
    language = step.expect.language or world.scenario.language
    figures = [(figure, await _written(world, figure, language)) for figure in step.expect.figures]
    windows = [formats.window(*world.days(days), language) for days in step.expect.windows]
    return Heard(step, number, answer, figures, windows)


async def _written(world: World, figure: Figure, language: str) -> str:
    """The figure as people of the language write it, from the ledger; "?" when there is no such figure."""
    value = await _of_ledger(world, figure, world.days(figure.days))
    if figure.change_from is not None:
        before = await _of_ledger(world, figure, world.days(figure.change_from))
        if value is None or not before:
            return "?"
        return formats.percent((value - before) / before * 100, language, 1, signed=True)
    if value is None:
        return "?"
    match figure.shown:
        case "money":
            return formats.money(Money(value, "BRL"), language)
        case "percent":
            return formats.percent(value, language, 2)
        case "ratio":
            return formats.number(value, language, 2)
        case _:
            return formats.number(value, language, 0 if value == value.to_integral_value() else 2)


async def _of_ledger(world: World, figure: Figure, days: tuple[Any, Any]) -> Decimal | None:
    rows = await world.ledger(figure.account, *days)
    if figure.object is not None:
        rows = [row for row in rows if figure.object in (row["campaign_id"], row["adset_id"], row["ad_id"])]
    return Formula(figure.formula).of(rows)


async def _click(world: World, player: Player, step: Click, number: int) -> Clicked:
    if not player.clicks:
        return Clicked(step, number, "not clicked")
    button, which = step.button
    proposal = _chosen(await world.proposals(), which)
    if proposal is None:
        return Clicked(step, number, "no such proposal")
    approvals, who = world.services.approvals, await world.who(step.speaker or world.scenario.role)
    try:
        match button:
            case "approve":
                await approvals.approve(who, proposal.id, door="evals")
            case "reject":
                await approvals.reject(who, proposal.id, door="evals")
            case "undo":
                await approvals.undo(who, proposal.id, door="evals")
            case _:
                await approvals.edit(who, proposal.id, step.to, door="evals")
    except MutiraoError as error:
        return Clicked(step, number, error.code)
    return Clicked(step, number, None)


def _chosen(proposals: Sequence[Proposal], which: Which) -> Proposal | None:
    if isinstance(which, str) and which != "last":
        proposals, which = [one for one in proposals if one.change.target == which], "last"
    place = -1 if which == "last" else int(which) - 1
    return proposals[place] if -1 <= place < len(proposals) and proposals else None
