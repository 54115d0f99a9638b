"""What the supervisor answers itself, without a crew and without a model: help, small talk, what is out of scope,
what is not there yet, and questions about proposals."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from agents.routing import RoutePart
from agents.state import Answer
from business.approvals.model import ProposalState
from business.approvals.service import Approvals
from core.errors import MutiraoError
from core.turn import Turn
from prompts.texts import Texts

_SHOWN = 5  # proposals listed in one answer


@dataclass
class Talk:
    texts: Texts
    approvals: Approvals

    async def answer(self, turn: Turn, parts: list[RoutePart]) -> Answer:
        said = [await self._part(turn, part) for part in parts]
        return Answer("\n\n".join(dict.fromkeys(said)))

    async def _part(self, turn: Turn, part: RoutePart) -> str:
        answers: dict[str, Callable[[Turn], Awaitable[str]]] = {
            "approvals.list": self._pending,
            "approvals.answer": self._answered_in_words,
            "undo": self._undo,
        }
        if part.intent in answers:
            return await answers[part.intent](turn)
        key = f"talk.{part.intent}"
        if not self.texts.has(key):
            key = "talk.unclear"
        return self.texts.say(turn.language, key, name=turn.identity.name.split()[0], role=turn.identity.role.value)

    async def _pending(self, turn: Turn) -> str:
        pending = await self.approvals.list(turn.identity, state=ProposalState.PENDING)
        turn.proposals += [p.id for p in pending[:_SHOWN] if p.id not in turn.proposals]
        return self.texts.say(turn.language, "talk.pending", count=len(pending), shown=min(len(pending), _SHOWN))

    async def _answered_in_words(self, turn: Turn) -> str:
        """A yes in words is not enough to spend money: the proposals are shown again, and the button decides."""
        pending = await self.approvals.list(
            turn.identity, state=ProposalState.PENDING, conversation_id=turn.conversation_id
        )
        turn.proposals += [p.id for p in pending[:_SHOWN] if p.id not in turn.proposals]
        key = "talk.use_buttons" if pending else "talk.nothing_pending"
        return self.texts.say(turn.language, key, count=len(pending))

    async def _undo(self, turn: Turn) -> str:
        done = await self.approvals.list(
            turn.identity, state=ProposalState.EXECUTED, conversation_id=turn.conversation_id
        )
        if not done:
            return self.texts.say(turn.language, "talk.nothing_to_undo")
        try:
            proposal = await self.approvals.undo(turn.identity, done[0].id, door=turn.door)
        except MutiraoError as error:
            return self.texts.error(turn.language, error)
        turn.proposals.append(proposal.id)
        return self.texts.say(turn.language, "talk.undo_proposed")
