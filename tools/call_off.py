"""People of the house see the meetings that are to come and call one off: its guest is told in their conversation, the
CRM and the host hear of it (tools/meetings.py)."""

from business.messaging.chats import AREA, Chats
from business.sales.calendar import Appointment, Calendar
from core.audit import audit
from core.db import Database
from core.errors import Refused
from core.permissions import Permissions, Rights
from core.tenancy import Identity
from tools.meetings import Meetings


class CallOff:
    def __init__(
        self, db: Database, permissions: Permissions, chats: Chats, calendar: Calendar, meetings: Meetings
    ) -> None:
        self._db = db
        self._chats = chats
        self._calendar = calendar
        self._meetings = meetings
        self._rights = Rights(permissions, AREA, "chats_not_allowed")

    async def coming(self, who: Identity) -> list[Appointment]:
        """Those that stand and are not over, the next first, 100 at most; their own for who sees only their own.
        Refused("chats_not_allowed")."""
        own = self._rights.reads(who)
        return list(await self._calendar.coming(who.tenant_id, host_id=own))

    async def __call__(
        self, who: Identity, appointment_id: str, reason: str = "", *, chat_id: str | None = None
    ) -> Appointment:
        """Call one off, as the calendar allows it: twice is once. `reason`: for the house, its guest does not read it;
        `chat_id`: it has to be of this conversation.

        Refused: calendar_unknown, chats_not_allowed, chat_unknown, and what the calendar says.
        """
        own = self._rights.writes(who)
        if chat_id is not None:
            await self._chats.get(who, chat_id)
        found = await self._calendar.coming(who.tenant_id, chat_id=chat_id, appointment_id=appointment_id)
        meeting = found[0] if found else None
        if meeting is None:
            raise Refused("calendar_unknown", f"no meeting {appointment_id[:80]!r}")
        if meeting.guest.chat_id is not None:
            await self._chats.get(who, meeting.guest.chat_id)
        elif own is not None and meeting.host_id != own:
            raise Refused("chats_not_allowed", "another host's meeting")
        gone = await self._calendar.cancel(who.tenant_id, meeting.id, reason.strip(), by_house=True)
        async with self._db.tenant(who.tenant_id) as conn:
            await audit(conn, who, "meeting.called_off", meeting.id, {"starts_at": meeting.starts_at.isoformat()})
        await self._meetings.follow(who.tenant_id, meeting.id)
        return gone
