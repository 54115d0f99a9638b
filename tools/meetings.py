"""What follows from a meeting: its owner hears of it, it stands in the CRM, and its guest is told what they do not know
yet, in their conversation.

The calendar notes what happened in the transaction in which it happened (`HouseCalendar.news`). It is told right after
the turn that did it (`follow`), and by the clock what nobody told: a process that dies in between, or a time that fell
through at Google, is never silent.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from psycopg.types.json import Jsonb

from business.crm.service import Crm
from business.messaging.attention import Held
from business.messaging.outbox import Draft, Outbox
from business.messaging.templates import Purpose
from business.people.service import People
from business.sales.calendar import Appointment, News
from business.sales.house_calendar import HouseCalendar
from business.sales.records import SalesRecords
from business.sales.stages import Stage
from core import formats
from core.clock import Clock
from core.db import Connection, Database, fetch_one
from core.errors import MutiraoError
from core.tenancy import Identity
from integrations.whatsapp_cloud import messages
from prompts.texts import Texts

log = structlog.get_logger(__name__)

Tell = Callable[[str, str | None, str, dict[str, Any], str], Awaitable[None]]
"""(tenant id, whom of ours or None for whoever takes conversations, kind, params, key): say it once per key. Kinds:
hot_lead, meeting_booked, meeting_moved, meeting_cancelled, meeting_lost, meeting_alone, calendar_away; params name,
detail, chat and, of meetings, when (aware)."""

_TO_DO_BEFORE = timedelta(hours=3)
"""So long before a meeting its guest should know how one meets."""


class Meetings:
    """For the clock: `await run(tenant_id)`. Without `outbox` (tests of crews) nothing is said to guests."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        calendar: HouseCalendar,
        records: SalesRecords,
        crm: Crm,
        people: People,
        texts: Texts,
        tell: Tell,
        outbox: Outbox | None = None,
    ) -> None:
        self._db = db
        self._clock = clock
        self._calendar = calendar
        self._records = records
        self._crm = crm
        self._people = people
        self._texts = texts
        self._tell = tell
        self._outbox = outbox

    async def run(self, tenant_id: str) -> int:
        """Tell what nobody has told. Of how many meetings there was news."""
        untold = await self._calendar.untold(tenant_id)
        for appointment_id in untold:
            await self.follow(tenant_id, appointment_id)
        return len(untold)

    async def follow(self, tenant_id: str, appointment_id: str) -> None:
        """Tell what is new of one meeting. What cannot be told now is told by the next round, and breaks nothing."""
        try:
            async with self._db.tenant(tenant_id) as conn:
                found = await self._calendar.news(conn, appointment_id)
                if found is None:
                    return
                meeting, news = found
                owner = await self._people.responsible(tenant_id, meeting.host_id)
                # The guest first: where that fails nothing is told, and the next round says all of it, once.
                asked = [await self._tell_guest(conn, meeting, one) for one in news]
                for one, was_asked in zip(news, asked, strict=True):
                    await self._tell_house(meeting, one, owner, was_asked)
                if meeting.met_by == "later" and meeting.settled and {"booked", "alone"} & set(news):
                    await self._to_do(owner, meeting)
        except Exception:
            log.exception("meeting_not_told", tenant=tenant_id, appointment=appointment_id)

    async def _tell_house(self, meeting: Appointment, news: News, owner: Identity, asked: bool) -> None:
        """`asked`: its guest is asked for another time."""
        if news == "link":
            return
        guest = meeting.guest
        detail, say = meeting.title, partial(self._texts.say, owner.language)
        if news == "lost":
            detail = say("notice.meeting_lost.asked" if asked else "notice.meeting_lost.tell")
        elif news == "called_off":
            detail = say("notice.meeting_called_off.told" if asked else "notice.meeting_lost.tell")
        elif news != "cancelled":
            place = meeting.place or meeting.link
            detail = f"{meeting.title}. {say(f'notice.meeting_how.{meeting.met_by}', place=place)}"
        params = {"name": guest.name or "?", "detail": detail, "when": meeting.starts_at, "chat": guest.chat_id or ""}
        key = f"meeting_{news}:{meeting.id}:{meeting.starts_at.timestamp():.0f}"
        await self._tell(meeting.tenant_id, meeting.host_id, f"meeting_{news}", params, key)
        # The CRM last: what is above has its key and is said once, a line there would stand twice.
        if news != "alone":
            about = f"\n{meeting.about}" if news == "booked" and meeting.about else ""
            await self._note(owner, meeting, f"{self._say_to(owner, f'sdr.crm.meeting_{news}', meeting)}{about}")

    # --- the guest ----------------------------------------------------------------------------

    async def _tell_guest(self, conn: Connection, meeting: Appointment, news: News) -> bool:
        """Whether the guest is asked for another time."""
        match news:
            case "link":
                await self._say(conn, meeting, "sdr.to_guest.link", link=meeting.link)
            case "lost":
                return await self._ask_for_another(conn, meeting)
            case "called_off":
                if meeting.guest.chat_id is not None:
                    chat_id = meeting.guest.chat_id
                    await self._records.go(meeting.tenant_id, chat_id, Stage.SCHEDULING, "cancelled", None)
                return await self._say(conn, meeting, "sdr.to_guest.called_off")
        return False

    async def _ask_for_another(self, conn: Connection, meeting: Appointment) -> bool:
        """Whether the guest of a meeting that fell through is asked for another time: not where a person of ours has
        the conversation, who says it better."""
        chat_id = meeting.guest.chat_id
        if chat_id is None:
            return False
        await self._records.go(meeting.tenant_id, chat_id, Stage.SCHEDULING, "cancelled", None)
        row = await fetch_one(conn, "SELECT held, session FROM chats WHERE id = %s", [chat_id])
        if row is None or row["held"] == Held.PERSON or not await self._say(conn, meeting, "sdr.to_guest.lost"):
            return False
        if "sdr" in row["session"]:  # the crew knows that times are on the table
            kept = Jsonb({"sdr": {**row["session"]["sdr"], "proposed": True}})
            await conn.execute("UPDATE chats SET session = session || %s WHERE id = %s", [kept, chat_id])
        return True

    async def _say(self, conn: Connection, meeting: Appointment, key: str, **values: Any) -> bool:
        """Put words for the guest where messages wait to leave. False where there is no conversation."""
        if meeting.guest.chat_id is None or self._outbox is None:
            return False
        query = "SELECT id, name, language, segment, messages_in FROM chats WHERE id = %s FOR UPDATE"
        row = await fetch_one(conn, query, [meeting.guest.chat_id])
        if row is None:
            return False
        when = in_words(meeting.local(), row["language"])
        when["time"] += await clock_told(conn, meeting, row["language"], self._texts)
        text = self._texts.say(row["language"], key, name=row["name"].split(" ")[0], **when, **values)
        draft = Draft(
            Purpose.NOTICE,
            f"{key}:{meeting.id}:{meeting.starts_at.timestamp():.0f}",
            content=messages.text(text),
            segment=row["segment"],
            answers=row["messages_in"],
            until=meeting.starts_at,
            language=row["language"].replace("-", "_"),
        )
        await self._outbox.put(conn, meeting.tenant_id, row["id"], draft)
        return True

    # --- the house ----------------------------------------------------------------------------

    async def _note(self, owner: Identity, meeting: Appointment, text: str) -> None:
        """In the CRM. What cannot stand there (the contact is gone) never keeps the owner from hearing of it."""
        guest = meeting.guest
        if not (guest.contact_id or guest.deal_id):
            return
        try:
            await self._crm.write_activity(
                owner, "meeting", text, contact_id=guest.contact_id, deal_id=guest.deal_id, at=self._clock.now()
            )
        except MutiraoError as error:
            log.warning("meeting_not_in_crm", appointment=meeting.id, code=error.code)

    async def _to_do(self, owner: Identity, meeting: Appointment) -> None:
        guest, now = meeting.guest, self._clock.now()
        title = self._say_to(owner, "sdr.task.meeting_how", meeting)
        try:
            await self._crm.add_task(
                owner, title, due_at=max(now, meeting.starts_at - _TO_DO_BEFORE), owner_id=owner.user_id,
                contact_id=guest.contact_id, deal_id=guest.deal_id,
            )  # fmt: skip
        except MutiraoError as error:
            log.warning("meeting_not_in_crm", appointment=meeting.id, code=error.code)

    def _say_to(self, owner: Identity, key: str, meeting: Appointment) -> str:
        """A sentence for one of ours, by the house's clock."""
        local = in_words(meeting.local(owner.time_zone), owner.language)
        when = self._texts.say(owner.language, "sdr.at", **local)
        return self._texts.say(owner.language, key, name=meeting.guest.name or "?", when=when)


def in_words(local: datetime, language: str) -> dict[str, str]:
    """As people write it: {"day": "quinta, 26/11", "time": "15h"}; "Thu, Nov 26" and "3 pm"; "jueves 26/11" and "15",
    which is said with "a las"."""
    weekday, day = formats.weekday(local.date(), language), formats.day(local.date(), language)
    match language:
        case "en":
            minutes = f":{local.minute:02d}" if local.minute else ""
            half = "am" if local.hour < 12 else "pm"
            return {
                "day": f"{weekday[:3]}, {day.rsplit(',', 1)[0]}",
                "time": f"{local.hour % 12 or 12}{minutes} {half}",
            }
        case "es":
            return {
                "day": f"{weekday} {day[:5]}",
                "time": f"{local.hour}:{local:%M}" if local.minute else f"{local.hour}",
            }
    minutes = f"{local.minute:02d}" if local.minute else ""
    return {"day": f"{weekday.removesuffix('-feira')}, {day[:5]}", "time": f"{local.hour}h{minutes}"}


async def clock_told(conn: Connection, meeting: Appointment, language: str, texts: Texts) -> str:
    """What stands behind an hour that is said to the guest: " (horário de Manaus)", or nothing."""
    row = await fetch_one(conn, "SELECT time_zone FROM tenants WHERE id = %s", [meeting.tenant_id])
    house = row["time_zone"] if row else meeting.guest.zone
    name = clock_name(meeting.guest.zone, house, meeting.starts_at, language, texts)
    return f" ({name})" if name else ""


def clock_name(zone: str, house: str, at: datetime, language: str, texts: Texts) -> str:
    """What the contact's clock is called where it is another than the house's: "horário de Manaus"; else ""."""
    if at.astimezone(ZoneInfo(zone)).utcoffset() == at.astimezone(ZoneInfo(house)).utcoffset():
        return ""
    return clock_called(zone, language, texts)


def clock_called(zone: str, language: str, texts: Texts) -> str:
    """What the clock of a zone is called: "horário de Brasília"."""
    return texts.say(language, "sdr.clock", place=clock_place(zone))


def clock_place(zone: str) -> str:
    """After which place the clock of a zone is called: "Brasília", "Manaus"."""
    return {"America/Sao_Paulo": "Brasília"}.get(zone, zone.rpartition("/")[2].replace("_", " "))
