"""What the tools of a conversation with a lead share: the company's sales files, the lead's records, and what follows
from them in the CRM and for the owner.

The CRM is written with the rights of the conversation's owner, for an agent may only read it. What cannot be told
there (nobody owns it, a deal is gone) never breaks the conversation: it is logged, and told with the next change.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import structlog

from business.crm.model import Deal, StageKind, Subject
from business.crm.service import Crm
from business.messaging.ledger import Ledger
from business.people.service import People
from business.sales.calendar import Appointment, Calendar
from business.sales.evidence import Slot
from business.sales.files import SalesFile, SalesFiles
from business.sales.records import Known, SalesRecords
from business.sales.score import Score, Verdict
from business.sales.stages import Stage
from core.clock import Clock
from core.db import Database
from core.errors import ArgumentsWrong, MutiraoError, Refused
from core.tenancy import Identity, Role
from core.turn import Contact, Turn
from core.words import folded
from prompts.texts import Texts
from tools.library import Library

log = structlog.get_logger(__name__)

Tell = Callable[[str, str | None, str, dict[str, Any], str], Awaitable[None]]
"""(tenant id, whom of ours or None for whoever takes conversations, kind, params, key): say it once per key. Kinds:
hot_lead, meeting_booked, meeting_moved, meeting_cancelled; params name, detail, chat and, of meetings,
when (aware)."""

_STEP = Decimal(10)  # points that a score moves before the CRM is told again
_CRM_STAGES = {
    # where a deal belongs when the company wrote nothing: its place among the open stages, the first is 0
    Stage.DISCOVERY: 1,
    Stage.QUALIFICATION: 1,
    Stage.PRESENTATION: 1,
    Stage.SCHEDULING: 2,
    Stage.CLOSE: 2,
}


@dataclass(frozen=True)
class Company:
    slug: str
    name: str


@dataclass
class SdrDesk:
    """Built once by app.py and handed to the tools of the SDR crew."""

    db: Database
    clock: Clock
    records: SalesRecords
    files: SalesFiles
    library: Library
    crm: Crm
    people: People
    texts: Texts
    calendar: Calendar | None = None
    """None: no meetings can be booked."""
    tell: Tell | None = None
    ledger: Ledger | None = None
    """Of consents and opt-outs."""

    async def sales(self, turn: Turn) -> SalesFile:
        """The company's files, as they are in this turn."""
        if SalesFile not in turn.kept:
            company = await self.company(turn.identity.tenant_id)
            turn.kept[SalesFile] = self.files.of(company.slug, company.name)
        found: SalesFile = turn.kept[SalesFile]
        return found

    async def company(self, tenant_id: str) -> Company:
        tenant = await self.people.tenant(tenant_id)
        return Company(tenant.slug, tenant.name)

    async def known(self, turn: Turn, *, meeting: bool) -> Known:
        rules = (await self.sales(turn)).rules
        return await self.records.known(turn.identity.tenant_id, contact_of(turn).chat_id, rules, meeting=meeting)

    async def of_chat(self, tenant_id: str, chat_id: str) -> Known:
        """What is known of a conversation, for those who look on. ArgumentsWrong as for `SalesFiles.of`."""
        company = await self.company(tenant_id)
        rules = self.files.of(company.slug, company.name).rules
        meetings = await self.calendar.coming(tenant_id, chat_id=chat_id) if self.calendar is not None else []
        return await self.records.known(tenant_id, chat_id, rules, meeting=bool(meetings))

    async def meetings(self, turn: Turn) -> list[Appointment]:
        """Those of this conversation that stand, the next first."""
        if self.calendar is None:
            return []
        who = contact_of(turn)
        return list(await self.calendar.coming(turn.identity.tenant_id, chat_id=who.chat_id))

    async def follow(self, turn: Turn) -> Known:
        """Count the score anew, and tell the CRM and the owner what changed."""
        who, tenant_id = contact_of(turn), turn.identity.tenant_id
        known = await self.known(turn, meeting=bool(await self.meetings(turn)))
        told = await self.records.keep_score(tenant_id, who.chat_id, known.score)
        moved = (
            told.score is None or abs(known.score.total - told.score) >= _STEP or told.verdict != known.score.verdict
        )
        moved = moved and bool(known.evidence)
        staged = told.stage is not known.stage
        try:
            if moved or staged:
                owner = await self.owner(tenant_id, who.owner_id)
                if moved and who.contact_id:
                    await self.crm.qualify(
                        owner, Subject.CONTACT, who.contact_id,
                        score=known.score.total, reason=self.reason(known.score, owner.language),
                    )  # fmt: skip
                if staged:
                    await self._move_deal(turn, owner, known.stage)
                await self.records.told(tenant_id, who.chat_id, known.score, known.stage)
            if known.score.verdict is Verdict.HOT and known.hot_told_at is None and self.tell is not None:
                detail = self.reason(known.score, turn.identity.language)
                params = {"name": who.name or "?", "detail": detail, "chat": who.chat_id}
                await self.tell(tenant_id, who.owner_id, "hot_lead", params, f"hot:{who.chat_id}")
                await self.records.hot_told(tenant_id, who.chat_id)
        except MutiraoError as error:
            log.warning("lead_not_told", chat=who.chat_id, code=error.code)
        except Exception:  # what the contact was promised is done; only we were not told
            log.exception("lead_not_told", chat=who.chat_id)
        return known

    async def meeting_told(self, turn: Turn, kind: str, meeting: Appointment, when: str) -> None:
        """The owner hears of a meeting, and it stands in the CRM."""
        who, tenant_id = contact_of(turn), turn.identity.tenant_id
        try:
            owner = await self.owner(tenant_id, who.owner_id)
            if who.contact_id or who.deal_id:
                text = self.texts.say(owner.language, f"sdr.crm.{kind}", when=when)
                await self.crm.write_activity(
                    owner, "meeting", text, contact_id=who.contact_id, deal_id=who.deal_id, at=self.clock.now()
                )
            if self.tell is not None:
                params = {
                    "name": who.name or "?", "detail": meeting.title, "when": meeting.starts_at, "chat": who.chat_id,
                }  # fmt: skip
                await self.tell(
                    tenant_id, who.owner_id, kind, params, f"{kind}:{meeting.id}:{meeting.starts_at.timestamp():.0f}"
                )
        except MutiraoError as error:
            log.warning("meeting_not_told", chat=who.chat_id, code=error.code)
        except Exception:
            log.exception("meeting_not_told", chat=who.chat_id)

    async def owner(self, tenant_id: str, owner_id: str | None) -> Identity:
        """With whose rights the CRM is written: the owner of the conversation, else the oldest Admin."""
        if owner_id:
            try:
                return await self.people.identity(tenant_id, owner_id)
            except Refused:
                pass  # gone since
        return await self.people.identity_by_role(tenant_id, Role.ADMIN)

    def reason(self, found: Score, language: str) -> str:
        """The score in words, with what it is made of."""
        say = self.texts.say
        parts = []
        for line in found.lines:
            if line.evidence is None:
                parts.append(say(language, "sdr.score.unknown", slot=say(language, f"sdr.slot.{line.slot}")))
                continue
            reading = say(language, f"sdr.reading.{line.slot}.{line.evidence.reading}")
            parts.append(
                say(
                    language, "sdr.score.line",
                    slot=say(language, f"sdr.slot.{line.slot}"), reading=reading,
                    quote=line.evidence.quote[:120], points=line.points, of=line.of,
                )
            )  # fmt: skip
        if found.meeting:
            parts.append(say(language, "sdr.score.meeting", points=found.meeting))
        verdict = say(language, f"sdr.verdict.{found.verdict}")
        return say(language, "sdr.score.whole", total=found.total, verdict=verdict, parts="; ".join(parts))

    async def _move_deal(self, turn: Turn, owner: Identity, stage: Stage) -> None:
        """The deal goes forward with the conversation, never back, and is won or lost by people alone."""
        deal = await self._deal(owner, contact_of(turn))
        if deal is None or deal.stage.kind is not StageKind.OPEN:
            return
        stages = [one for one in await self.crm.stages(owner) if one.kind is StageKind.OPEN]
        named = (await self.sales(turn)).playbook.crm_stages.get(stage)
        target = next((one for one in stages if named and folded(one.name) == folded(named)), None)
        place = _CRM_STAGES.get(stage)
        if target is None and place is not None and place < len(stages):
            target = stages[place]
        if target is not None and target.position > deal.stage.position:
            await self.crm.move_deal(owner, deal.id, target.id)

    async def _deal(self, owner: Identity, who: Contact) -> Deal | None:
        if who.deal_id:
            return await self.crm.deal(owner, who.deal_id)
        if who.contact_id:
            found = await self.crm.deals(owner, contact_id=who.contact_id, kind=StageKind.OPEN)
            return found[0] if found else None
        return None


def contact_of(turn: Turn) -> Contact:
    """The person whom the turn answers. The runner lets these tools run in such turns only."""
    if turn.contact is None:
        raise Refused("only_for_contacts", "this turn answers nobody outside")
    return turn.contact


def read_slot(slot: str, reading: str, allowed: tuple[str, ...]) -> None:
    """ArgumentsWrong("sdr_reading_wrong", allowed) for a reading that the slot has not."""
    if reading not in allowed:
        raise ArgumentsWrong("sdr_reading_wrong", f"{slot} is one of {', '.join(allowed)}", allowed=", ".join(allowed))


def asked_next(found: Score, order: Sequence[Slot]) -> list[Slot]:
    """Slots of which nothing is known, in the company's order."""
    return [slot for slot in order if slot in found.missing]


def moment(value: datetime) -> str:
    """A local time as tools tell and take it: 2026-11-26T15:00."""
    return value.strftime("%Y-%m-%dT%H:%M")
