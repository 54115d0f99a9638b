"""The reminder of a meeting, where messages wait to leave: in the guest's conversation, by the guest's clock."""

from datetime import datetime, timedelta

from business.messaging.outbox import Draft, Outbox
from business.messaging.templates import Purpose
from business.sales.calendar import Appointment
from business.sales.house_calendar import HouseCalendar
from core.clock import Clock
from core.db import Connection, Database, fetch_one
from core.formats import day
from integrations.whatsapp_cloud import messages
from prompts.texts import Texts
from tools.meetings import clock_told

_KEY = "reminder:"


class Reminders:
    """For the clock: `await run(tenant_id)`."""

    def __init__(self, db: Database, calendar: HouseCalendar, outbox: Outbox, texts: Texts, clock: Clock) -> None:
        self._db = db
        self._calendar = calendar
        self._outbox = outbox
        self._texts = texts
        self._clock = clock

    async def run(self, tenant_id: str) -> int:
        """Put every reminder that is due into its conversation, once, and take those back that wait for a meeting that
        was moved or cancelled. How many meetings were looked at."""
        await self._take_back(tenant_id)
        return await self._calendar.remind(tenant_id, self.put)

    async def _take_back(self, tenant_id: str) -> None:
        async with self._db.tenant(tenant_id) as conn:
            waiting = await self._outbox.waiting(conn, _KEY)
        if not waiting:
            return
        starts = await self._calendar.starts(tenant_id, [key.split(":")[1] for key in waiting])
        for key, outbox_id in waiting.items():
            _, meeting_id, starts_at = key.split(":", 2)
            if meeting_id not in starts or starts[meeting_id] != datetime.fromisoformat(starts_at):
                async with self._db.tenant(tenant_id) as conn:
                    await self._outbox.take_back(conn, outbox_id, "meeting_changed")

    async def put(self, conn: Connection, meeting: Appointment) -> None:
        """A meeting without a conversation is reminded of by nobody: its invitation is in the calendar."""
        if meeting.guest.chat_id is None:
            return
        row = await fetch_one(conn, "SELECT * FROM chats WHERE id = %s FOR UPDATE", [meeting.guest.chat_id])
        if row is None:
            return
        language, local = row["language"], meeting.local()
        at = f"{local:%H:%M}{await clock_told(conn, meeting, language, self._texts)}"
        when = self._texts.say(language, "outreach.when", day=local.date(), time=at)
        soon = meeting.starts_at - self._clock.now() < timedelta(hours=12)
        text = self._texts.say(
            language, "outreach.reminder", name=row["name"].split(" ")[0], when=when, link=meeting.link, soon=soon,
            time=at, title=meeting.title,
        )  # fmt: skip
        how = self._texts.say(language, "meeting.reminder_how", how=meeting.met_by, place=meeting.place)
        draft = Draft(
            Purpose.NOTICE,
            f"{_KEY}{meeting.id}:{meeting.starts_at.isoformat()}",
            content=messages.text(f"{text} {how}".strip()),
            segment=row["segment"],
            answers=row["messages_in"],
            until=meeting.starts_at,
            values={"when": f"{day(local.date(), language)} {at}"},
            language=language.replace("-", "_"),
        )
        await self._outbox.put(conn, meeting.tenant_id, row["id"], draft)
