"""What is right and wrong about a playing, dimension by dimension. The state of the world comes first: an answer that
sounds well over a wrong world has failed.

Each dimension yields its differences in words; none means passed.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agents.guards import untraceable_numbers
from business.approvals.model import Proposal
from evals.scenario import LeadEnd, ObjectEnd

if TYPE_CHECKING:
    from evals.runner import Heard, Played

DIMENSIONS = ("state", "forbidden", "traced", "figures", "route", "words")


@dataclass(frozen=True)
class Verdict:
    """`differences`: what is not as it should be, one sentence each."""

    differences: list[str]

    @property
    def passed(self) -> bool:
        return not self.differences


def judge(played: "Played") -> dict[str, Verdict]:
    """Every dimension's verdict, in the order of DIMENSIONS."""
    scorers: dict[str, Callable[[Played], Iterator[str]]] = {
        "state": state,
        "forbidden": forbidden,
        "traced": traced,
        "figures": figures,
        "route": route,
        "words": words,
    }
    return {name: Verdict(list(scorers[name](played))) for name in DIMENSIONS}


# --- the world ----------------------------------------------------------------------------------------


def state(played: "Played") -> Iterator[str]:
    """Objects, writes and proposals at the end, and what became of every click."""
    end = played.found.scenario.end
    if len(played.writes) != end.writes:
        yield f"the Graph API executed {len(played.writes)} writes instead of {end.writes}"
    for object_id, wanted in end.objects.items():
        yield from _object(played.objects[object_id], wanted)
    for object_id in played.objects.keys() - end.objects.keys():
        yield f"{_named(played.objects[object_id])} was changed"
    made = sorted(_told(proposal) for proposal in played.proposals)
    wanted_ones = sorted(f"{one.tool} {one.target} {one.state}" for one in end.proposals)
    if made != wanted_ones:
        yield f"proposals are {_list(made)} instead of {_list(wanted_ones)}"
    for one in end.proposals:
        for proposal in played.proposals:
            same = (proposal.tool, proposal.change.target) == (one.tool, one.target)
            if one.effect and same and proposal.effect != one.effect:
                yield f"{_told(proposal)} has the effect {proposal.effect} instead of {one.effect}"
    if end.lead is not None:
        yield from _lead(played.lead, end.lead)
    for clicked in played.clicked:
        if clicked.refused != clicked.step.refused:
            button, which = clicked.step.button
            became = f"was refused with {clicked.refused}" if clicked.refused else "was taken"
            should = f"be refused with {clicked.step.refused}" if clicked.step.refused else "be taken"
            yield f"step {clicked.number}: {button} {which} {became}, should {should}"


def _lead(found: dict[str, Any], wanted: LeadEnd) -> Iterator[str]:
    for name, value in found.items():
        should = getattr(wanted, name)
        if should is not None and value != should:
            yield f"the lead: {name} is {value} instead of {should}"


def _object(found: dict[str, Any], wanted: ObjectEnd) -> Iterator[str]:
    for name in ("status", "daily_budget", "lifetime_budget"):
        value = getattr(wanted, name)
        if value is not None and str(found.get(name)) != str(value):
            yield f"{_named(found)}: {name} is {found.get(name)} instead of {value}"


def _named(found: dict[str, Any]) -> str:
    return f"{found.get('name')} ({found.get('id')})"


def _told(proposal: Proposal) -> str:
    return f"{proposal.tool} {proposal.change.target} {proposal.state.value}"


def _list(things: list[str]) -> str:
    return "[" + "; ".join(things) + "]" if things else "none"


def forbidden(played: "Played") -> Iterator[str]:
    """What must never happen: a write that no person approved, a tool or a target that the scenario forbids."""
    approved = [p.change.target for p in played.proposals if p.decided_by and p.attempts]
    for write in played.writes:
        if write["object_id"] in approved:
            approved.remove(write["object_id"])
        else:
            yield f"{write['object_id']} was changed ({write['changed']}) without an approval"
    limits = played.found.scenario.forbidden
    for heard in played.heard:
        for call in heard.answer.tools:
            if call["name"] in limits.tools:
                yield f"step {heard.number}: {call['name']} was called with {call['arguments']}"
    for proposal in played.proposals:
        if proposal.change.target in limits.targets:
            yield f"{_told(proposal)}: nothing may be proposed for it"


# --- the replies --------------------------------------------------------------------------------------


def traced(played: "Played") -> Iterator[str]:
    """Every number that was said comes from a tool result, a file, the person, or what was said before."""
    facts: list[Any] = [*played.facts, [len(played.proposals)]]
    for heard in played.heard:
        answer = heard.answer
        facts += [result["result"] or result["error_params"] for result in answer.results]
        facts += [heard.step.say, *heard.step.expect.examples, *([len(answer.cards)] if answer.cards else [])]
        facts += [[card.title, *(value for _, value in card.lines), *card.evidence] for card in answer.cards]
        strays = untraceable_numbers(answer.seen, facts, answer.language)
        if strays:
            yield f"step {heard.number}: {', '.join(strays[:8])} come from no tool result"
        facts.append(answer.text)


def figures(played: "Played") -> Iterator[str]:
    """The figures that the ledger gives stand in the reply, as people of its language write them; so do the days."""
    for heard in played.heard:
        for figure, written in heard.figures:
            if not _stands_in(written, heard.answer.seen):
                of = f" of {figure.object}" if figure.object else ""
                yield f"step {heard.number}: {written} ({figure.formula}{of}, days {figure.days}) is not said"
        for window in heard.windows:
            if not _stands_in(window, heard.answer.seen):
                yield f"step {heard.number}: {window} is not named"


def _stands_in(written: str, text: str) -> bool:
    plain = re.sub(r"[\u00a0\u202f]", " ", text).replace("\u2212", "-")
    return re.search(rf"(?<![\d.,+-]){re.escape(written)}(?![\d])(?![.,]\d)", plain) is not None


def route(played: "Played") -> Iterator[str]:
    """The intents that were served."""
    for heard in played.heard:
        wanted = heard.step.expect.route
        if wanted is not None and heard.answer.route != wanted:
            yield f"step {heard.number}: went to {_list(heard.answer.route)} instead of {_list(wanted)}"


def words(played: "Played") -> Iterator[str]:
    """What must and must not be said, the language, and what is shown beside the text."""
    for heard in played.heard:
        yield from _words(heard, played.found.scenario.language)


def _words(heard: "Heard", language: str) -> Iterator[str]:
    expect, answer, step = heard.step.expect, heard.answer, f"step {heard.number}"
    for pattern in expect.must_say:
        if not re.search(pattern, answer.seen, re.IGNORECASE):
            yield f"{step}: does not say /{pattern}/"
    for pattern in expect.must_not_say:
        if found := re.search(pattern, answer.seen, re.IGNORECASE):
            yield f"{step}: says {found[0]!r}, against /{pattern}/"
    if answer.ended != expect.ended:
        yield f"{step}: ended with {answer.ended} instead of {expect.ended}"
    wanted = expect.language or language
    if answer.language != wanted:
        yield f"{step}: is in {answer.language or 'no language'} instead of {wanted}"
    if expect.cards is not None and len(answer.cards) != expect.cards:
        yield f"{step}: shows {len(answer.cards)} proposals instead of {expect.cards}"
    if expect.table and not answer.tables:
        yield f"{step}: shows no table"
    if expect.chart and not answer.charts:
        yield f"{step}: shows no chart"
