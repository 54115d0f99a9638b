"""Who plays a scenario: the product, the reference solution, or somebody who does nothing.

The last two check the suite itself: a scenario that its reference does not solve asks for the impossible, one that is
passed by doing nothing asks for nothing.
"""

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Protocol

from agents.approvals import proposal_card
from business.approvals.model import ProposalState
from core import formats
from core.door import Attachment, IncomingMessage, ProposalCard, UsageTotals
from core.errors import MutiraoError
from core.ids import new_id
from core.money import Money
from core.tenancy import Identity, Role
from core.turn import Turn, silent
from evals.scenario import FILES, Say
from evals.world import World


@dataclass
class Answered:
    """One reply, by whoever plays, and what was done for it."""

    text: str = ""
    language: str = ""
    route: list[str] = field(default_factory=list)
    tools: list[dict[str, Any]] = field(default_factory=list)
    results: list[dict[str, Any]] = field(default_factory=list)
    cards: list[ProposalCard] = field(default_factory=list)
    tables: list[dict[str, Any]] = field(default_factory=list)
    charts: list[dict[str, Any]] = field(default_factory=list)
    views: list[dict[str, Any]] = field(default_factory=list)
    """What stands under the text: buttons, lists, links."""
    usage: UsageTotals | None = None
    seconds: float = 0.0
    ended: str = "done"

    @property
    def seen(self) -> str:
        """The text and every cell of its tables, but for the numbers of the rows."""
        cells = [cell for table in self.tables for row in [table["columns"], *table["rows"]] for cell in row[1:]]
        return "\n".join([self.text, *(table["title"] for table in self.tables), *cells])


class Player(Protocol):
    name: str
    clicks: bool
    """Whether this player presses the scenario's buttons."""

    async def answer(self, world: World, role: Role, step: Say) -> Answered: ...


class Product:
    """The product, through the same `Handle` as every door."""

    name = "product"
    clicks = True

    async def answer(self, world: World, role: Role, step: Say) -> Answered:
        if step.contact:
            return await self._answer_contact(world, step)
        who = await world.who(role)
        message = IncomingMessage(
            who, world.conversations[role], step.say, "evals", await _stored(world, who, step.attach)
        )
        began = time.monotonic()
        try:
            reply = await world.services.handle(message, silent)
        except MutiraoError as error:  # about the message itself; a door says it
            text = world.services.texts.error(who.language, error)
            return Answered(text, who.language, seconds=time.monotonic() - began, ended=f"error:{error.code}")
        record = await world.record(reply.turn_id)
        return Answered(
            text=reply.text,
            language=reply.language,
            route=[part["intent"] for part in reply.route],
            tools=reply.tools,
            results=record.get("tools", []),
            cards=reply.proposals,
            tables=[asdict(table) for table in reply.tables],
            charts=[asdict(chart) for chart in reply.charts],
            usage=reply.usage,
            seconds=time.monotonic() - began,
            ended=reply.ended,
        )

    async def _answer_contact(self, world: World, step: Say) -> Answered:
        lead = await world.talk()
        await lead.wrote(world, step.say)
        if lead.silent:
            lead.history.append(("user", step.say))
            return Answered(language=step.expect.language or world.scenario.language, ended="silent")
        turn = lead.turn(world, step.say, step.choice)
        began = time.monotonic()
        reply = await world.services.messaging.answer(turn, lead.history)
        lead.answered(turn, reply.text)
        return Answered(
            text=reply.text,
            language=reply.language,
            tools=reply.tools,
            results=(await world.record(reply.turn_id)).get("tools", []),
            views=[asdict(view) for view in reply.views],
            usage=reply.usage,
            seconds=time.monotonic() - began,
            ended=reply.ended,
        )


class Reference:
    """Makes the tool calls that the scenario names, and reads the results out."""

    name = "reference"
    clicks = True

    async def answer(self, world: World, role: Role, step: Say) -> Answered:
        if step.contact:
            return await self._answer_contact(world, step)
        services, who = world.services, await world.who(role)
        conversation, turn_id = world.conversations[role], new_id("turn")
        now = await services.conversations.accept(who, conversation, "evals", step.say or "…", turn_id, [])
        for attached in await _stored(world, who, step.attach):
            started = await services.imports.start(who, attached.file_id)
            await services.imports.run(who.tenant_id, started.id)
        turn = Turn(turn_id, who, conversation, "evals", step.say, world.scenario.language, now)
        said = await services.conversations.said(who.tenant_id, conversation, last=6, before_turn=turn_id)
        turn.session["last_text"] = next((one.text for one in reversed(said) if one.role == "user"), "")
        for call in step.reference:
            ((name, arguments),) = call.items()
            if name == "undo":
                executed = [p for p in await world.proposals() if p.state is ProposalState.EXECUTED]
                turn.proposals.append((await services.approvals.undo(who, executed[-1].id, door="evals")).id)
            elif name == "reject":
                pending = [p for p in await world.proposals() if p.state is ProposalState.PENDING]
                await services.approvals.reject(who, pending[-1].id, door="evals")
            else:
                await services.runner.call(turn, name, arguments)
        proposals = [await services.approvals.get(who, proposal_id) for proposal_id in turn.proposals]
        language = step.expect.language or world.scenario.language
        return Answered(
            text="\n".join(dict.fromkeys(read_out([r.result for r in turn.results], language))),
            language=language,
            tools=[{"name": r.name, "arguments": r.arguments, "effect": r.effect} for r in turn.results],
            results=[asdict(r) for r in turn.results],
            cards=[proposal_card(p, services.texts, language, who.time_zone) for p in proposals],
        )

    async def _answer_contact(self, world: World, step: Say) -> Answered:
        lead = await world.talk()
        await lead.wrote(world, step.say)
        turn = lead.turn(world, step.say)
        for call in step.reference:
            ((name, arguments),) = call.items()
            await world.services.runner.call(turn, name, arguments)
        lead.answered(turn, "")
        return Answered(
            language=step.expect.language or world.scenario.language,
            tools=[{"name": r.name, "arguments": r.arguments, "effect": r.effect} for r in turn.results],
            results=[asdict(r) for r in turn.results],
        )


class Idle:
    """Says nothing, in the right language, and does nothing."""

    name = "idle"
    clicks = False

    async def answer(self, world: World, role: Role, step: Say) -> Answered:
        return Answered(language=step.expect.language or world.scenario.language, ended=step.expect.ended)


async def _stored(world: World, who: Identity, names: list[str]) -> list[Attachment]:
    attached = []
    for name in names:
        mime = "text/csv" if name.endswith(".csv") else "application/octet-stream"
        stored = await world.services.files.store_path(who, FILES / name, mime=mime)
        attached.append(Attachment(stored.id, stored.name, stored.mime, stored.size))
    return attached


def read_out(value: Any, language: str) -> Iterator[str]:
    """Every number in the data in each way in which it may be written, and the windows: all there is to say."""
    match value:
        case dict():
            if "since" in value and "until" in value and value["since"]:
                yield formats.window(_day(value["since"]), _day(value["until"]), language)
            for inner in value.values():
                yield from read_out(inner, language)
        case list() | tuple():
            for inner in value:
                yield from read_out(inner, language)
        case bool() | None:
            return
        case int() | float() | Decimal() | str():
            try:
                number = Decimal(str(value))
            except ArithmeticError:
                return
            if not number.is_finite() or abs(number) > 10**12:
                return
            yield formats.money(Money(number, "BRL"), language)
            yield formats.number(number, language, 0)
            yield formats.number(number, language, 2)
            yield formats.percent(number, language, 2)
            yield formats.percent(number, language, 1, signed=True)


def _day(value: Any) -> date:
    return value if isinstance(value, date) else date.fromisoformat(str(value))
