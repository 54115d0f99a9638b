"""Google Calendar: busy times, one event for each id, and each refusal; and the house's calendar in front of it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from business.messaging.rules import MessageRules
from business.sales.calendar import Calendar, Guest
from business.sales.google_calendar import LinkedCalendar, Links, event_id_of
from business.sales.house_calendar import HouseCalendar
from core.clock import FixedClock
from core.db import Database
from core.errors import ArgumentsWrong, MutiraoError, OutcomeUnknown, Refused, Unavailable
from core.permissions import Permissions
from core.tenancy import Role
from core.vault import Vault
from integrations.google_calendar.client import GoogleCalendar, NewEvent
from integrations.google_calendar.simulator import launch
from integrations.google_calendar.simulator.wire import CALENDAR, CLIENT
from integrations.google_calendar.tokens import Tokens
from integrations.sandbox_http import Launched
from tests.conftest import Tenants
from tests.integrations.sandbox import Control
from tools.opening import Opening

MONDAY = datetime(2026, 11, 23, 13, 0, tzinfo=UTC)
"""10:00 in São Paulo."""
HALF = timedelta(minutes=30)


@pytest.fixture(scope="module")
def wired(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launched]:
    launched = launch.start(tmp_path_factory.mktemp("calendar"))
    yield launched
    launched.stop()


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient() as client:
        yield client


def client(wired: Launched, http: httpx.AsyncClient, clock: FixedClock, **credentials: Any) -> GoogleCalendar:
    tokens = Tokens(http, credentials or CLIENT, clock, url=f"{wired.base_url}/token")
    return GoogleCalendar(http, tokens, base_url=f"{wired.base_url}/calendar/v3", pause=0.01)


def event(name: str, at: datetime = MONDAY) -> NewEvent:
    return NewEvent(name, "Conversa", at, at + HALF, "America/Sao_Paulo", guest="ana@ipe.example")


async def code(work: Any) -> str:
    with pytest.raises(MutiraoError) as caught:
        await work
    return str(caught.value.code)


async def test_an_event_is_one_however_its_answers_get_lost_and_moves_and_goes(
    wired: Launched, http: httpx.AsyncClient, clock: FixedClock
) -> None:
    control = Control(wired)
    google = client(wired, http, clock)
    made = await google.insert(CALENDAR, event("abc01"))
    assert made.link.startswith("https://meet.google.com/") and made.starts_at == MONDAY
    assert (await google.insert(CALENDAR, event("abc01"))).id == "abc01"
    for kind in ("cut", "drop", "html"):
        control.fail(kind, path="events", **({"status": 503} if kind == "html" else {}))
        await google.insert(CALENDAR, event(f"lost{ord(kind[0])}", MONDAY + timedelta(days=1)))
    assert await google.busy(CALENDAR, MONDAY - HALF, MONDAY + HALF) == [(MONDAY, MONDAY + HALF)]
    moved = await google.move(CALENDAR, "abc01", MONDAY + HALF, MONDAY + 2 * HALF, "America/Sao_Paulo")
    assert moved.starts_at == MONDAY + HALF
    await google.delete(CALENDAR, "abc01")
    await google.delete(CALENDAR, "abc01")
    found = await google.get(CALENDAR, "abc01")
    assert found is not None and found.cancelled and await google.get(CALENDAR, "never") is None
    events = (await http.get(f"{wired.base_url}/__events")).json()
    assert len(events["events"]) == 4 and events["tokens"] == 1
    # A token that is not taken any more is asked for anew, and once an hour.
    await http.post(f"{wired.base_url}/__revoke")
    assert await google.get(CALENDAR, "abc01")
    clock.advance(timedelta(minutes=56))
    await google.get(CALENDAR, "abc01")
    assert (await http.get(f"{wired.base_url}/__events")).json()["tokens"] == 3
    control.fail("drop", path="events", times=9)
    with pytest.raises(OutcomeUnknown):
        await google.insert(CALENDAR, event("abc09"))
    with pytest.raises(Unavailable):
        await google.get(CALENDAR, "abc09")
    control.heal()
    control.close()


async def test_each_refusal_has_its_kind_and_service_accounts_sign(
    wired: Launched, http: httpx.AsyncClient, clock: FixedClock
) -> None:
    control = Control(wired)
    google = client(wired, http, clock)
    assert await code(google.busy("other@x.example", MONDAY, MONDAY + HALF)) == "calendar_refused"
    assert await code(google.insert(CALENDAR, event("ÀÀÀ"))) == "calendar_malformed"
    wrong = client(wired, http, clock, **{**CLIENT, "refresh_token": "old"})
    assert await code(wrong.busy(CALENDAR, MONDAY, MONDAY + HALF)) == "calendar_key_refused"
    for status, reason, expected in (
        (403, "rateLimitExceeded", "calendar_busy"), (403, "forbidden", "calendar_refused"),
        (429, "rateLimitExceeded", "calendar_busy"),
    ):  # fmt: skip
        body = {"error": {"code": status, "message": "no", "errors": [{"reason": reason}]}}
        control.answer(body, status, path="freeBusy", times=3)
        assert await code(google.busy(CALENDAR, MONDAY, MONDAY + HALF)) == expected
        control.heal()
    key = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    robot = {"client_email": "agenda@x.iam.gserviceaccount.com", "private_key": key.decode(), "subject": CALENDAR}
    assert await client(wired, http, clock, **robot).get(CALENDAR, "never") is None
    with pytest.raises(ArgumentsWrong):
        Tokens(http, {"user": "x"}, clock)
    assert await code(client(wired, http, clock, **{**robot, "private_key": "no"}).get(CALENDAR, "a")) == (
        "calendar_credentials"
    )
    control.close()


async def test_what_the_host_has_at_google_is_not_offered_and_what_is_booked_is_there_once(
    wired: Launched,
    http: httpx.AsyncClient,
    clock: FixedClock,
    database: Database,
    tenants: Tenants,
    permissions: Permissions,
    tmp_path: Path,
) -> None:
    control = Control(wired)
    links = Links(database, Vault.load(tmp_path), clock, lambda found: client(wired, http, clock, **found))
    house = HouseCalendar(database, clock, Opening(database, MessageRules(database, permissions)))
    calendar: Calendar = LinkedCalendar(house, links.of)
    tenant, host = tenants.one.id, tenants.one[Role.COMERCIAL]
    with pytest.raises(Refused):
        await links.save(tenants.one[Role.DIRETOR], CALENDAR, CLIENT, host_id=host.user_id)
    assert await code(links.save(host, "nobody@x.example", CLIENT, host_id=host.user_id)) == "calendar_refused"
    await links.save(host, CALENDAR, CLIENT, host_id=host.user_id)
    tuesday = MONDAY + timedelta(days=8)
    span = {"start": (tuesday - HALF).isoformat(), "end": tuesday.isoformat()}
    await http.post(f"{wired.base_url}/__busy", json=span)
    slots = await calendar.free(tenant, since=tuesday - 2 * HALF, until=tuesday + 2 * HALF, host_id=host.user_id)
    assert [slot.starts_at for slot in slots] == [tuesday - 2 * HALF, tuesday, tuesday + HALF]

    async def book(at: datetime, key: str) -> Any:
        return await calendar.book(
            tenant, at, guest=Guest("Ana", email="ana@ipe.example"), title="Conversa", key=key, host_id=host.user_id
        )

    assert await code(book(tuesday - HALF, "busy")) == "calendar_taken"
    booked = await asyncio.gather(*(book(tuesday, "k1") for _ in range(3)))
    assert len({one.id for one in booked}) == 1
    again = await book(tuesday, "k1")
    assert again.link.startswith("https://meet") and again.external_id == event_id_of(again.id)
    # The answer is lost for good: it is booked here, and Google is told again by the clock.
    control.fail("drop", path="events", times=3)
    lost = await book(tuesday + HALF, "k2")
    assert lost.external_id is None and lost.state == "booked"
    clock.advance(timedelta(minutes=2))
    assert await calendar.mend(tenant) == 1  # type: ignore[attr-defined]
    assert (await house.get(tenant, lost.id)).external_id == event_id_of(lost.id)
    # Google refuses: nothing is booked, and the time is free again.
    control.answer({"error": {"code": 403, "errors": [{"reason": "forbidden"}]}}, 403, path="events")
    assert await code(book(tuesday + 4 * HALF, "k3")) == "calendar_refused"
    assert (await house.book(tenant, tuesday + 4 * HALF, guest=Guest("B"), title="x", key="k4")).state == "booked"
    moved = await calendar.move(tenant, again.id, tuesday + 6 * HALF)
    assert moved.starts_at == tuesday + 6 * HALF
    # Its answer is lost: the guest may have read the new time, so it holds, and Google is told again.
    control.fail("drop", path="events", times=3)
    assert (await calendar.move(tenant, again.id, tuesday + 8 * HALF)).starts_at == tuesday + 8 * HALF
    assert (await house.get(tenant, again.id)).starts_at == tuesday + 8 * HALF
    clock.advance(timedelta(minutes=2))
    assert await calendar.mend(tenant) == 2  # type: ignore[attr-defined]  # and what was refused is not left there
    assert await calendar.mend(tenant) == 0  # type: ignore[attr-defined]
    await calendar.cancel(tenant, lost.id, "não pode")
    events = {one["id"]: one for one in (await http.get(f"{wired.base_url}/__events")).json()["events"]}
    assert events[event_id_of(lost.id)]["status"] == "cancelled"
    assert events[event_id_of(again.id)]["start"]["dateTime"] == "2026-12-01T17:00:00Z"
    assert len(await calendar.coming(tenant, host_id=host.user_id)) == 1
    control.heal()
    control.close()
