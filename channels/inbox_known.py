"""What the bot found out about a lead, in words for the attendants' inbox."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from business.messaging.conversation import Chat
from business.sales.calendar import Appointment
from business.sales.evidence import Evidence
from business.sales.records import Known, newest
from core import formats
from core.tenancy import Identity
from prompts.texts import Texts


@dataclass(frozen=True)
class KnownOfLead:
    """What the bot found out in a conversation, in words for people: `evidence` is (label, value, [(quote, message
    id)]), `score` (points, reasons), `meets_at` the next meeting; empty where nothing is known."""

    stage: str = ""
    next: str = ""
    score: tuple[str, Sequence[str]] | None = None
    evidence: Sequence[tuple[str, str, Sequence[tuple[str, str]]]] = ()
    meets_at: datetime | None = None
    meeting_id: str = ""


Knows = Callable[[Identity, Chat], Awaitable[KnownOfLead]]
"""(viewer, conversation) → what the bot found out in it."""
OfChat = Callable[[str, str], Awaitable[Known]]
"""(tenant id, conversation) → what was written down of its lead."""
Coming = Callable[[str, str], Awaitable[Sequence[Appointment]]]
"""(tenant id, conversation) → its meetings that are still to come, the next first."""

_REASONS = frozenset({"meeting_booked", "meeting_moved", "cancelled"})
"""tools/sdr.py writes these; else a reason is the contact's own words or a model's sentence."""


def known_of_leads(of_chat: OfChat, coming: Coming, texts: Texts) -> Knows:
    """Stage and score stay empty while nothing was found out: a score of 0 would say too much."""

    async def knows(who: Identity, chat: Chat) -> KnownOfLead:
        known = await of_chat(who.tenant_id, chat.id)
        meetings = await coming(who.tenant_id, chat.id)
        starts, meeting_id = (meetings[0].starts_at, meetings[0].id) if meetings else (None, "")
        if not known.evidence and not known.steps:
            return KnownOfLead(meets_at=starts, meeting_id=meeting_id)
        language = who.language

        def say(key: str) -> str:
            return texts.say(language, key) if texts.has(key) else key.rpartition(".")[2]

        evidence: list[tuple[str, str, list[tuple[str, str]]]] = []
        reasons = []
        for line in known.score.lines:
            label, found = say(f"sdr.slot.{line.slot}"), newest(known.evidence, line.slot)
            if found is None:
                evidence.append((label, "", []))
                continue
            reading = say(f"sdr.reading.{line.slot}.{found.reading}")
            evidence.append((label, " · ".join(one for one in (reading, found.value) if one), _quotes(found)))
            of, points = (formats.number(one, language) for one in (line.of, line.points))
            reasons.append(texts.say(language, "inbox.reason", slot=label, reading=reading, points=points, of=of))
        if known.score.meeting:
            points = formats.number(known.score.meeting, language)
            reasons.append(texts.say(language, "inbox.reason_meeting", points=points))
        last = known.steps[-1] if known.steps else None
        return KnownOfLead(
            stage=say(f"sdr.stage.{known.stage}"),
            next=_why(last.why, say) if last else "",
            score=(str(known.score.total), [say(f"sdr.verdict.{known.score.verdict}"), *reasons]),
            evidence=evidence,
            meets_at=starts,
            meeting_id=meeting_id,
        )

    return knows


def _why(why: str, say: Callable[[str], str]) -> str:
    """Why the sale stands where it does: the tools' own reasons in words, anybody else's as they were said."""
    return say(f"inbox.why.{why}") if why in _REASONS else why


def _quotes(found: Evidence) -> list[tuple[str, str]]:
    return [(found.quote, found.message_id or "")] if found.quote else []
