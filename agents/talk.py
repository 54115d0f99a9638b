"""What the supervisor answers itself, without a crew and without a model: help, small talk, what is out of scope,
what is not there yet, and questions about proposals."""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from agents.approvals import proposal_card
from agents.routing import RoutePart
from agents.state import Answer
from business.approvals.model import Proposal, ProposalState
from business.approvals.service import Approvals
from core.errors import MutiraoError
from core.turn import Lookup, Turn
from core.words import plain
from prompts.texts import Texts

_SHOWN = 5  # proposals listed in one answer
_NO = re.compile(
    r"\b(?:nao|rejeit\w+|recus\w+|cancel\w*|descart\w+|deixa (?:pra la|quieto)|esquec\w+|no|nope|reject\w*"
    r"|discard\w*|forget"
    r"|never ?mind|rechaz\w+|olvid\w+)\b"
)
_YES = re.compile(
    r"\b(?:sim|aprov\w+|confirm\w+|pode (?:fazer|mandar|ir|pausar|aprovar)|manda|yes|approve\w*|go ahead|do it|si"
    r"|dale)\b"
)
_THANKS = re.compile(r"\b(?:obrigad\w+|brigad\w+|valeu|vlw|agradec\w+|thanks?|thank you|thx|gracias)\b")

Said = tuple[str, dict[str, Any]]
"""A text's key and its values."""

ABOUT_PROPOSALS = ("approvals.list", "approvals.answer", "undo")
"""Intents whose answer lies in the database."""


@dataclass
class Talk:
    texts: Texts
    approvals: Approvals

    async def answer(self, turn: Turn, parts: list[RoutePart]) -> Answer:
        said = [await self._part(turn, part) for part in parts]
        return Answer("\n\n".join(dict.fromkeys(said)))

    async def _part(self, turn: Turn, part: RoutePart) -> str:
        if part.intent in ABOUT_PROPOSALS:
            key, params = await self._looked_up(turn, part)
            return self.texts.say(turn.language, key, **params)
        key = f"talk.{part.intent}"
        if part.intent == "smalltalk" and _THANKS.search(plain(part.text)):
            key = "talk.thanks"
        if not self.texts.has(key):
            key = "talk.unclear"
        return self.texts.say(turn.language, key, name=turn.identity.name.split()[0], role=turn.identity.role.value)

    async def _looked_up(self, turn: Turn, part: RoutePart) -> Said:
        """What `about_proposals` says, kept for the turn's record."""
        before = list(turn.proposals)
        lookup = Lookup(part.intent)
        turn.lookups.append(lookup)
        try:
            key, params = await self.about_proposals(turn, part.intent, part.text)
        except MutiraoError as error:
            lookup.error = (error.code, error.params)
            raise
        lookup.found = {"said": [key, params], "proposals": [p for p in turn.proposals if p not in before]}
        return key, params

    async def about_proposals(self, turn: Turn, intent: str, text: str) -> Said:
        """Answer one of ABOUT_PROPOSALS from the database; proposals to be shown go to `turn.proposals`."""
        answers: dict[str, Callable[[Turn, str], Awaitable[Said]]] = {
            "approvals.list": self._pending,
            "approvals.answer": self._answered_in_words,
            "undo": self._undo,
        }
        return await answers[intent](turn, text)

    async def _pending(self, turn: Turn, text: str) -> Said:
        pending = await self.approvals.list(turn.identity, state=ProposalState.PENDING)
        turn.proposals += [p.id for p in pending[:_SHOWN] if p.id not in turn.proposals]
        return "talk.pending", {"count": len(pending), "shown": min(len(pending), _SHOWN)}

    async def _answered_in_words(self, turn: Turn, text: str) -> Said:
        """A yes in words is not enough to spend money: the proposals are shown again, and the button decides. A no is
        safe: it is taken where it is clear which proposal it is about."""
        pending = await self.approvals.list(
            turn.identity, state=ProposalState.PENDING, conversation_id=turn.conversation_id
        )
        meant = _named(pending, text) or pending
        if len(meant) == 1 and _NO.search(plain(text)) and not _YES.search(plain(text)):
            try:
                await self.approvals.reject(turn.identity, meant[0].id, door=turn.door)
            except MutiraoError as error:
                return self._refused(error)
            return "talk.rejected", {"what": self._title(turn, meant[0])}
        in_order = reversed(pending[:_SHOWN])  # as their cards were shown: "the first" is the first
        turn.proposals += [p.id for p in in_order if p.id not in turn.proposals]
        return "talk.use_buttons" if pending else "talk.nothing_pending", {"count": len(pending)}

    async def _undo(self, turn: Turn, text: str) -> Said:
        """A proposal that puts back the change that is named, else the one that was finished last. What was undone
        already, and the undoing itself, are not looked at."""
        executed = await self.approvals.list(
            turn.identity, state=ProposalState.EXECUTED, conversation_id=turn.conversation_id
        )
        undone = {p.undo_of for p in executed}
        done = [p for p in executed if p.undo_of is None and p.id not in undone]
        done.sort(key=lambda p: p.finished_at or p.created_at, reverse=True)
        done = _named(done, text) or done
        if not done:
            return "talk.nothing_to_undo", {}
        try:
            proposal = await self.approvals.undo(turn.identity, done[0].id, door=turn.door)
        except MutiraoError as error:
            return self._refused(error)
        turn.proposals.append(proposal.id)
        return "talk.undo_proposed", {"what": self._title(turn, done[0])}

    def _refused(self, error: MutiraoError) -> Said:
        key = f"error.{error.code}"
        return key if self.texts.has(key) else "error.unnamed", {"code": error.code, **error.params}

    def _title(self, turn: Turn, proposal: Proposal) -> str:
        return proposal_card(proposal, self.texts, turn.language, turn.identity.time_zone).title


def _named(proposals: Sequence[Proposal], text: str) -> list[Proposal]:
    """Those whose object the text names by a word of its name that not all of them have; in their order."""
    words = [set(re.findall(r"\w{4,}", plain(str(p.change.data.get("name", ""))))) for p in proposals]
    common = set.intersection(*words) if len(words) > 1 else set()
    said = set(re.findall(r"\w{4,}", plain(text)))
    return [p for p, own in zip(proposals, words, strict=True) if said & (own - common)]
