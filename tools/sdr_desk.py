"""What the tools of a conversation with a lead share: the company's sales files, the lead's records, and what follows
from them in the CRM and for the owner.

The CRM is written with the rights of the conversation's owner, for an agent may only read it. What cannot be told
there (nobody owns it, a deal is gone) never breaks the conversation: it is logged, and told with the next change.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import structlog

from business.crm.identity import KeyKind, key
from business.crm.model import Deal, StageKind, Subject
from business.crm.service import Crm
from business.messaging.ledger import Ledger
from business.people.service import People
from business.sales.calendar import Appointment, Calendar, Way
from business.sales.calendar import Slot as FreeTime
from business.sales.evidence import Slot
from business.sales.files import SalesFile, SalesFiles
from business.sales.records import Known, SalesRecords
from business.sales.score import Score, Verdict
from business.sales.stages import Stage
from core.clock import Clock
from core.db import Database, fetch_one
from core.errors import ArgumentsWrong, MutiraoError, OutcomeUnknown, Refused, Unavailable
from core.formats import phone
from core.tenancy import Identity
from core.turn import Contact, Turn
from core.words import folded
from prompts.texts import Texts
from tools.library import Library
from tools.meetings import Meetings, Tell, clock_name

log = structlog.get_logger(__name__)

_HOUSES_OWN = frozenset({"person", "import"})
"""Where an address in the CRM is from that people of ours wrote there, by hand or in a list."""
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
    followed: Meetings | None = None
    """What follows from a meeting that was booked, moved or cancelled."""
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
                owner = await self.people.responsible(tenant_id, who.owner_id)
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

    async def free(self, turn: Turn, *, since: datetime, until: datetime, minutes: int, most: int) -> list[FreeTime]:
        """`Calendar.free` of the conversation's owner, by the contact's clock. A calendar that will not be asked again
        without somebody of ours (its key was taken back) is told to them, once a day."""
        who, tenant_id = contact_of(turn), turn.identity.tenant_id
        assert self.calendar is not None
        try:
            return await self.calendar.free(
                tenant_id, since=since, until=until, host_id=who.owner_id, zone=turn.identity.time_zone,
                minutes=minutes, most=most,
            )  # fmt: skip
        except (ArgumentsWrong, OutcomeUnknown, Unavailable):
            raise
        except MutiraoError as error:
            if self.tell is not None:
                owner = await self.people.responsible(tenant_id, who.owner_id)
                detail = self.texts.error(owner.language, error)
                key = f"calendar_away:{who.owner_id or ''}:{self.clock.now():%Y-%m-%d}"
                params = {"name": who.name or "?", "detail": detail, "chat": who.chat_id}
                await self.tell(tenant_id, who.owner_id, "calendar_away", params, key)
            raise

    async def way(self, turn: Turn) -> Way:
        """How one meets this contact, as the company's playbook says; where it cannot be so (a call to an e-mail
        address, a visit to nowhere), nothing is said of it."""
        sales = await self.sales(turn)
        meeting, address = sales.playbook.meeting, sales.persona.address
        how = meeting.how if meeting else None
        if meeting is None or (how is None and not meeting.link):
            return Way()
        if how == "call":
            number = await self._number(turn)
            return Way("call", number) if number else Way()
        if how == "visit":
            return Way("visit", address.of(turn.language)) if address is not None else Way()
        return Way("link", meeting.link)

    async def guests(self, turn: Turn, written: Sequence[str]) -> tuple[str | None, str]:
        """(the address that the calendar may invite, what the host reads of the contact).

        An invitation is a mail in our name: it goes only to an address that people of ours have written into the CRM
        for this very contact. One that was typed in the conversation may be a stranger's; it is told to the host, who
        can invite it by hand. `written`: addresses in the contact's messages, oldest first.
        """
        who = contact_of(turn)
        owner = await self.people.responsible(turn.identity.tenant_id, who.owner_id)
        trusted: list[str] = []
        if who.contact_id:
            try:
                keys = (await self.crm.contact(owner, who.contact_id)).keys
                trusted = [one.value for one in keys if one.kind is KeyKind.EMAIL and one.source in _HOUSES_OWN]
            except MutiraoError as error:
                log.warning("contact_not_read", chat=who.chat_id, code=error.code)
        named = [one for one in reversed(written) if _email(one) in trusted]
        invited = _email(named[0]) if named else trusted[0] if trusted else None
        others = [one for one in dict.fromkeys(map(_email, written)) if one and one not in trusted]
        number = await self._number(turn)
        about = self.texts.say(
            owner.language, "sdr.crm.about", name=who.name, phone=phone(number) if number else "",
            email=others[-1] if others else "",
        )  # fmt: skip
        return invited, about

    async def clock_of(self, turn: Turn) -> str:
        """What the contact's clock is called where it is another than the house's, so that no hour is misread."""
        house = (await self.people.agent(turn.identity.tenant_id)).time_zone
        return clock_name(turn.identity.time_zone, house, turn.now, turn.language, self.texts)

    async def hours(self, turn: Turn) -> str:
        """When the house is open, in its own words, and by which clock where the contact's is another; "" unknown."""
        written = (await self.sales(turn)).persona.hours
        if written is None:
            return ""
        house = (await self.people.agent(turn.identity.tenant_id)).time_zone
        clock = clock_name(house, turn.identity.time_zone, turn.now, turn.language, self.texts)
        return written.of(turn.language) + (f" ({clock})" if clock else "")

    async def _number(self, turn: Turn) -> str:
        """The telephone that the contact writes from, with + and its ninth digit, without which WhatsApp knows many and
        no telephone rings; "" for what is none (e-mail, an id of WhatsApp)."""
        who = contact_of(turn)
        if who.provider == "email":
            return ""
        async with self.db.tenant(turn.identity.tenant_id) as conn:
            row = await fetch_one(conn, "SELECT address FROM chats WHERE id = %s", [who.chat_id])
        address = row["address"] if row else ""
        number = key(KeyKind.PHONE, f"+{address.lstrip('+')}") if re.fullmatch(r"\+?\d{10,15}", address) else None
        return number.value if number else ""

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


def _email(given: str) -> str:
    """An address in the form that the CRM compares; "" for what is none."""
    made = key(KeyKind.EMAIL, given)
    return made.value if made else ""


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
