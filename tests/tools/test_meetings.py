"""What follows from a meeting: nothing that happens to one is silent, whatever becomes of it at Google."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from business.crm.identity import KeyKind
from business.crm.model import ContactData, Source
from business.crm.service import Crm
from business.messaging.chats import Chats, QuickReply
from business.messaging.hands import Hands
from business.messaging.ledger import Ledger
from business.messaging.waking import Waking
from business.people.service import People
from business.sales.calendar import Appointment, Guest, Way
from business.sales.google_calendar import LinkedCalendar, Links, event_id_of
from business.sales.house_calendar import HouseCalendar
from business.sales.records import SalesRecords
from core.errors import Refused
from core.notices import Notices
from core.permissions import Permissions
from core.tenancy import Identity, Role
from core.vault import Vault
from integrations.google_calendar.client import GoogleCalendar
from integrations.google_calendar.simulator import launch
from integrations.google_calendar.simulator.wire import CALENDAR, CLIENT
from integrations.google_calendar.tokens import Tokens
from integrations.sandbox_http import Launched
from prompts.texts import Texts
from tests.business.messaging.conftest import house, running_wire, wire
from tests.business.messaging.outbox_house import House
from tests.integrations.sandbox import Control
from tools.call_off import CallOff
from tools.meetings import Meetings
from tools.opening import Opening
from tools.reminders import Reminders

__all__ = ["house", "running_wire", "wire"]

THREE = datetime(2026, 11, 25, 18, 0, tzinfo=UTC)
"""Wednesday, 15:00 in São Paulo."""


@dataclass
class Office:
    """A seller with a Google Calendar, and what they hear."""

    house: House
    google: Control
    wired: Launched
    crm: Crm
    mine: HouseCalendar
    calendar: LinkedCalendar
    meetings: Meetings
    reminders: Reminders
    host: str
    told: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    async def book(self, at: datetime, **chat: Any) -> Appointment:
        """By somebody of the CRM who has just written."""
        admin = self.house.tenants.one[Role.ADMIN]
        phone = (KeyKind.PHONE, f"+551998811{at:%d%H}")
        data = ContactData(Source("person", by_person=True), name="Ana Lima", keys=(phone,), owner_id=self.host)
        contact = (await self.crm.upsert_contact(admin, data)).id
        chat_id = await self.house.chat(wrote=timedelta(minutes=1), contact_id=contact, owner_id=self.host, **chat)
        guest = Guest("Ana Lima", contact_id=contact, chat_id=chat_id)
        return await self.calendar.book(
            self.house.tenant_id, at, guest=guest, title="Conversa", key=chat_id, host_id=self.host
        )

    async def later(self, minutes: int = 2) -> None:
        """The clock's round."""
        self.house.clock.at += timedelta(minutes=minutes)
        tenant = self.house.tenant_id
        await self.reminders.run(tenant)
        await self.calendar.mend(tenant)
        await self.meetings.run(tenant)

    async def events(self) -> dict[str, dict[str, Any]]:
        async with httpx.AsyncClient() as http:
            found = (await http.get(f"{self.wired.base_url}/__events")).json()["events"]
        return {one["id"]: one for one in found}

    async def crm_says(self, meeting: Appointment) -> list[str]:
        admin = self.house.tenants.one[Role.ADMIN]
        found = await self.crm.timeline(admin, contact_id=meeting.guest.contact_id)
        return [one.text for one in reversed(found) if one.kind == "meeting"]


@pytest.fixture(scope="module")
def wired(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launched]:
    launched = launch.start(tmp_path_factory.mktemp("meetings"))
    yield launched
    launched.stop()


@pytest.fixture
async def office(
    house: House, wired: Launched, people: People, permissions: Permissions, tmp_path: Path
) -> AsyncIterator[Office]:
    house.clock.at = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
    texts, crm = Texts.load(), Crm(house.db, house.clock, permissions)
    told: list[tuple[str, dict[str, Any]]] = []

    async def tell(tenant_id: str, whom: str | None, kind: str, params: dict[str, Any], key: str) -> None:
        assert whom == host.user_id
        told.append((kind, params))

    async with httpx.AsyncClient() as http:

        def client(found: Any) -> GoogleCalendar:
            tokens = Tokens(http, found, house.clock, url=f"{wired.base_url}/token")
            return GoogleCalendar(http, tokens, base_url=f"{wired.base_url}/calendar/v3", pause=0.01)

        host = house.tenants.one[Role.COMERCIAL]
        links = Links(house.db, Vault.load(tmp_path), house.clock, client)
        await links.save(host, CALENDAR, CLIENT, host_id=host.user_id)
        mine = HouseCalendar(house.db, house.clock, Opening(house.db, house.rules))
        records = SalesRecords(house.db, house.clock)
        meetings = Meetings(house.db, house.clock, mine, records, crm, people, texts, tell, house.outbox)
        reminders = Reminders(house.db, mine, house.outbox, texts, house.clock)
        google = Control(wired)
        yield Office(
            house, google, wired, crm, mine, LinkedCalendar(mine, links.of), meetings, reminders, host.user_id, told
        )
        google.heal()
        google.close()


async def test_a_held_time_that_turns_out_to_be_taken_is_told_to_the_guest_the_owner_and_the_crm(
    office: Office,
) -> None:
    office.google.fail("drop", path="events", times=6)
    lost, persons = await office.book(THREE), await office.book(THREE + timedelta(hours=1), held="person")
    assert not lost.settled and not persons.settled
    for one in (lost, persons):
        await office.meetings.follow(office.house.tenant_id, one.id)
    assert [kind for kind, _ in office.told] == ["meeting_booked"] * 2
    async with httpx.AsyncClient() as http:  # the host takes both times for themselves, at Google
        span = {"start": THREE.isoformat(), "end": (THREE + timedelta(hours=2)).isoformat()}
        await http.post(f"{office.wired.base_url}/__busy", json=span)
    await office.later()
    await office.later()

    assert await office.calendar.coming(office.house.tenant_id) == []
    told = {params["chat"]: params["detail"] for kind, params in office.told if kind == "meeting_lost"}
    assert len(office.told) == 4, "each once"
    assert told == {
        lost.guest.chat_id: "Pedi outro horário na conversa. Veja lá se a mensagem saiu.",
        persons.guest.chat_id: "A pessoa ainda não sabe: avise por lá.",
    }
    for one in (lost, persons):
        await office.house.run(str(one.guest.chat_id))
        booked, gone = await office.crm_says(one)
        assert booked.startswith("Conversa marcada pelo WhatsApp") and "desmarcada por nós" in gone
    (asked,) = office.house.texts
    assert asked == (
        "Tivemos que desmarcar a nossa conversa de quarta, 25/11, às 15h: esse horário deixou de estar livre, "
        "desculpe. Que outro dia e horário ficam bons para você?"
    )
    office.house.clock.at = THREE - timedelta(hours=23)
    assert await office.reminders.run(office.house.tenant_id) == 0, "what does not take place is not reminded of"


async def test_a_meeting_that_google_refuses_stands_is_reminded_of_and_its_owner_is_told_what_to_do(
    office: Office,
) -> None:
    office.google.fail("drop", path="events", times=6)
    meeting, untold = await office.book(THREE + timedelta(days=1)), await office.book(THREE + timedelta(days=9))
    await office.meetings.follow(office.house.tenant_id, meeting.id)  # of the other the process died before it told
    office.google.answer({"error": {"code": 403, "errors": [{"reason": "forbidden"}]}}, 403, path="events", times=2)
    await office.later()
    assert [one.id for one in await office.calendar.coming(office.house.tenant_id)] == [meeting.id, untold.id]
    assert sorted(kind for kind, _ in office.told) == ["meeting_alone"] * 2 + ["meeting_booked"] * 2
    assert "Falta dizer à pessoa como é o encontro" in office.told[-1][1]["detail"]
    task, _ = await office.crm.tasks(office.house.tenants.one[Role.ADMIN], owner_id=office.host)
    assert task.title.startswith("Dizer a Ana Lima, na conversa, como é a reunião de quinta, 26/11, às 15h")
    await office.later(60 * 54)
    await office.house.run(str(meeting.guest.chat_id))
    rows = await office.house.rows("SELECT key FROM outbox WHERE key LIKE 'reminder:%%'")
    assert len(rows) == 1


async def test_a_link_that_comes_after_the_booking_reaches_the_guest_and_a_held_meeting_is_reminded_of(
    office: Office,
) -> None:
    office.google.fail("drop", path="events", times=3)
    meeting = await office.book(THREE + timedelta(days=2))
    await office.meetings.follow(office.house.tenant_id, meeting.id)
    await office.later()
    await office.house.run(str(meeting.guest.chat_id))
    (said,) = office.house.texts
    assert said.startswith("O link da nossa conversa de sexta, 27/11, às 15h: https://meet.google.com/")
    assert await office.crm.tasks(office.house.tenants.one[Role.ADMIN], owner_id=office.host) == []

    office.google.fail("drop", path="calendar/v3", times=99)  # Google is away until the day before
    held = await office.mine.hold(
        office.house.tenant_id, THREE + timedelta(days=7), guest=meeting.guest, title="Conversa", key="k",
        host_id=office.host, minutes=30,
    )  # fmt: skip
    office.house.clock.at = held.starts_at - timedelta(hours=24)
    await office.reminders.run(office.house.tenant_id)
    assert await office.house.rows("SELECT 1 FROM outbox WHERE key LIKE %s", f"reminder:{held.id}:%") != []


async def test_what_is_moved_or_cancelled_while_google_is_in_doubt_ends_there_as_it_is_here(office: Office) -> None:
    tenant = office.house.tenant_id
    day = THREE + timedelta(days=5)
    office.google.fail("lost", path="events", times=2)  # made, and nobody heard of it
    office.google.fail("drop", path="events", times=4)
    moved, gone = await office.book(day), await office.book(day + timedelta(hours=1))
    assert not moved.settled and not gone.settled
    office.google.fail("drop", path="events", times=9)
    await office.calendar.move(tenant, moved.id, day + timedelta(minutes=15))
    await office.calendar.cancel(tenant, gone.id, "não posso")
    office.google.heal()
    await office.later()
    events = await office.events()
    assert events[event_id_of(moved.id)]["start"]["dateTime"] == "2026-11-30T18:15:00Z"
    assert events.get(event_id_of(gone.id), {"status": "cancelled"})["status"] == "cancelled"
    assert [one.starts_at for one in await office.calendar.coming(tenant)] == [day + timedelta(minutes=15)]

    # Google cannot be asked when it is called off: the event goes with the next round.
    office.google.fail("drop", path="events", times=3)
    await office.calendar.cancel(tenant, moved.id)
    assert (await office.events())[event_id_of(moved.id)]["status"] == "confirmed"
    await office.later()
    assert (await office.events())[event_id_of(moved.id)]["status"] == "cancelled"


async def test_how_one_meets_stands_in_the_event_and_in_the_reminder_and_nobody_is_invited_unasked(
    office: Office,
) -> None:
    tenant, at = office.house.tenant_id, THREE + timedelta(days=6)
    chat = await office.house.chat(wrote=timedelta(minutes=1))
    called = await office.calendar.book(
        tenant, at, guest=Guest("Ana", chat_id=chat), title="Conversa", key="call", host_id=office.host,
        way=Way("call", "+5519988112233"), about="<b>Ana</b>, telefone (19) 98811-2233",
    )  # fmt: skip
    assert called.met_by == "call" and called.link == ""
    event = (await office.events())[event_id_of(called.id)]
    assert event["location"] == "+5519988112233" and "attendees" not in event and "conferenceData" not in event
    assert event["description"] == "&lt;b&gt;Ana&lt;/b&gt;, telefone (19) 98811-2233"
    office.house.clock.at = at - timedelta(hours=23)
    await office.reminders.run(tenant)
    (row,) = await office.house.rows("SELECT content FROM outbox WHERE key LIKE 'reminder:%%'")
    assert "Ligamos para você neste número." in str(row["content"])


async def test_a_meeting_that_one_of_us_calls_off_is_gone_everywhere_and_its_guest_is_told_once(
    office: Office, permissions: Permissions
) -> None:
    house, tenant = office.house, office.house.tenant_id
    at = THREE - timedelta(days=1)
    meeting = await office.book(at)
    await office.meetings.follow(tenant, meeting.id)
    hands = Hands(drop=house.outbox.drop, wake=Waking(house.jobs, house.clock).wake)
    notices = Notices(house.db.app_dsn)

    async def quick(_: Identity) -> list[QuickReply]:
        return []

    chats = Chats(house.db, house.clock, permissions, hands, notices, house.outbox, Ledger(house.jobs), quick)
    call_off = CallOff(house.db, permissions, chats, office.calendar, office.meetings)
    host, other = house.tenants.one[Role.COMERCIAL], house.tenants.other[Role.ADMIN]
    assert [one.id for one in await call_off.coming(host)] == [meeting.id]
    assert await call_off.coming(other) == []
    for stranger, code in ((other, "calendar_unknown"), (house.tenants.one[Role.CLIENTE], "chats_not_allowed")):
        with pytest.raises(Refused) as refused:
            await call_off(stranger, meeting.id)
        assert refused.value.code == code
    with pytest.raises(Refused):
        await call_off(host, meeting.id, chat_id="chat_other")

    async with house.db.tenant(tenant) as conn:  # a house with many meetings, all of them before this one
        await conn.execute(
            """INSERT INTO appointments (tenant_id, id, key, title, starts_at, ends_at, zone, state, created_at,
                                         changed_at)
               SELECT tenant_id, 'apt_' || n, 'k' || n, 'x', starts_at - interval '1 hour', ends_at - interval '1 hour',
                      zone, 'booked', created_at, changed_at
               FROM appointments, generate_series(1, 100) n WHERE id = %s""",
            [meeting.id],
        )
    await call_off(host, meeting.id, "estou doente")
    with pytest.raises(Refused):
        await call_off(host, meeting.id)
    await office.meetings.run(tenant)
    await house.run(str(meeting.guest.chat_id))
    assert await call_off.coming(host) == []
    assert (await office.events())[event_id_of(meeting.id)]["status"] == "cancelled"
    (told,) = house.texts
    assert told.startswith("Precisamos desmarcar a nossa conversa de terça, 24/11, às 15h") and "doente" not in told
    assert [kind for kind, _ in office.told] == ["meeting_booked", "meeting_called_off"]
    assert "desmarcada por alguém do time" in (await office.crm_says(meeting))[-1]
    house.clock.at = at - timedelta(hours=23)
    assert await office.reminders.run(tenant) == 0
    await notices.close()


async def test_two_leads_who_want_one_time_at_once_get_one_event_and_a_death_before_telling_is_made_good(
    office: Office,
) -> None:
    at = THREE + timedelta(days=8)
    answers = await asyncio.gather(*(office.book(at) for _ in range(3)), return_exceptions=True)
    (meeting,) = [one for one in answers if isinstance(one, Appointment)]
    assert {one.code for one in answers if isinstance(one, Refused)} == {"calendar_taken"}
    starts = [one["start"]["dateTime"] for one in (await office.events()).values()]
    assert starts.count("2026-12-03T18:00:00Z") == 1
    assert office.told == [], "the process that booked it died here"
    await asyncio.gather(*(office.meetings.run(office.house.tenant_id) for _ in range(3)))
    assert [kind for kind, _ in office.told] == ["meeting_booked"]
    (line,) = await office.crm_says(meeting)
    assert line.startswith("Conversa marcada pelo WhatsApp")
