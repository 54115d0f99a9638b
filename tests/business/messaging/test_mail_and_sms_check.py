"""What the doctor says of e-mail, SMS and linked calendars: connected, with a key, and let in when it may ask."""

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import httpx
import pytest

from business.messaging.channels import Channels
from business.messaging.checks import Looks, MailAndSmsCheck
from business.messaging.sender_email import EmailSender
from business.messaging.sender_sms import SmsSender
from business.sales.checks import CalendarCheck
from business.sales.google_calendar import Links
from core.clock import FixedClock
from core.db import Database
from core.doctor import Finding
from core.permissions import Permissions
from core.tenancy import Role
from core.vault import Vault
from integrations.google_calendar.client import GoogleCalendar
from integrations.google_calendar.simulator import launch as google
from integrations.google_calendar.simulator.wire import CALENDAR, CLIENT
from integrations.google_calendar.tokens import Tokens
from integrations.resend.simulator import launch as resend
from integrations.resend.simulator.wire import KEY
from integrations.smtp.simulator.server import MailServer
from integrations.twilio.simulator import launch as twilio
from integrations.twilio.simulator.wire import NUMBER, SID, TOKEN
from prompts.texts import Texts
from tests.conftest import Tenants

TEXTS = Texts.load()
SAY, EXPLAIN = partial(TEXTS.say, "en"), partial(TEXTS.error, "en")


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False, verify=False) as client:
        yield client


def told(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(one.state, one.text) for one in findings]


async def test_the_doctor_looks_at_mail_and_sms_and_sends_nothing(
    database: Database, tenants: Tenants, clock: FixedClock, permissions: Permissions, tmp_path: Path,
    http: httpx.AsyncClient,
) -> None:  # fmt: skip
    channels = Channels(database, Vault.load(tmp_path), clock, "sandbox", permissions)
    admin = tenants.one[Role.ADMIN]

    async def ours() -> list[tuple[str, str]]:
        return [(admin.tenant_id, "Aurora")]

    senders: dict[str, Looks] = {"email": EmailSender(channels, http, clock), "sms": SmsSender(channels, http)}
    check = MailAndSmsCheck(channels, senders, ours, SAY, EXPLAIN)
    assert [(state, "no e-mail" in text or "no SMS" in text) for state, text in told(await check.run(True))] == [
        ("note", True), ("note", True),
    ]  # fmt: skip

    mails, texts = resend.start(tmp_path / "resend"), twilio.start(tmp_path / "twilio")
    try:
        async with MailServer(user="rui", password="segredo") as server:
            by_smtp = {"by": "smtp", "host": "127.0.0.1", "port": server.port, "security": "none", "user": "rui"}
            for number, key, settings in (
                ("oi@aurora.example", KEY, {"by": "resend"}),
                ("oi@outra.example", KEY, {"by": "resend"}),
                ("eu@aurora.example", "re_wrong", {"by": "resend"}),
                ("rui@aurora.example", "segredo", by_smtp),
                ("ana@aurora.example", "errada", by_smtp),
            ):
                secret = {"password" if settings is by_smtp else "api_key": key}
                await channels.save(
                    admin, "email", number, base_url="" if settings is by_smtp else mails.base_url, secrets=secret,
                    settings=settings,
                )  # fmt: skip
            await channels.save(
                admin, "email", "sem@aurora.example", base_url=mails.base_url, settings={"by": "resend"}
            )
            await channels.save(admin, "sms", NUMBER, account=SID, base_url=texts.base_url, secrets={"token": TOKEN})
            found = {text.split(" ")[1]: (state, text) for state, text in told(await check.run(True))}
            states = {name: state for name, (state, _) in found.items()}
            assert states == {
                "oi@aurora.example": "ok", "oi@outra.example": "broken", "eu@aurora.example": "broken",
                "rui@aurora.example": "ok", "ana@aurora.example": "broken", "sem@aurora.example": "broken",
                NUMBER: "ok",
            }  # fmt: skip
            assert "not verified a real message by resend" in found["oi@aurora.example"][1]
            assert "not verified" not in found["rui@aurora.example"][1] and "twilio" in found[NUMBER][1]
            assert not any(secret in text for _, text in found.values() for secret in (KEY, TOKEN, "segredo"))
            assert server.mails == [] and (await http.get(f"{mails.base_url}/__mails")).json() == {"mails": []}
            assert (await http.get(f"{texts.base_url}/__messages")).json() == {"messages": []}
    finally:
        mails.stop()
        texts.stop()
    # Nobody is there any more: seen only by who may ask. A key that is not kept is seen by everybody.
    quiet = {text.split(" ")[1]: state for state, text in told(await check.run(False))}
    assert quiet["sem@aurora.example"] == "broken" and quiet["oi@aurora.example"] == quiet[NUMBER] == "ok"

    live = Channels(database, Vault.load(tmp_path), clock, "live", permissions)
    for number in ("vivo@aurora.example", "pausa@aurora.example"):
        await live.save(admin, "email", number, secrets={"api_key": "re_live"}, settings={"by": "resend"})
    async with database.tenant(admin.tenant_id) as conn:
        await conn.execute("UPDATE channels SET state = 'paused' WHERE number = 'pausa@aurora.example'")
    outside = MailAndSmsCheck(live, senders, ours, SAY, EXPLAIN)
    quiet = {text.split(" ")[1]: state for state, text in told(await outside.run(False))}
    assert (quiet["vivo@aurora.example"], quiet["pausa@aurora.example"]) == ("unverified", "note")


async def test_the_doctor_looks_at_linked_calendars(
    database: Database, tenants: Tenants, clock: FixedClock, tmp_path: Path, http: httpx.AsyncClient
) -> None:
    admin, wired = tenants.one[Role.ADMIN], google.start(tmp_path / "google")

    async def ours() -> list[tuple[str, str]]:
        return [(admin.tenant_id, "Aurora")]

    def opened(credentials: object) -> GoogleCalendar:
        tokens = Tokens(http, CLIENT, clock, url=f"{wired.base_url}/token")
        return GoogleCalendar(http, tokens, base_url=f"{wired.base_url}/calendar/v3", pause=0.01)

    links = Links(database, Vault.load(tmp_path), clock, opened)
    check = CalendarCheck(database, clock, links.of, ours, SAY, EXPLAIN)
    try:
        ((state, text),) = told(await check.run(True))
        assert state == "note" and "house's calendar alone" in text
        await links.save(admin, CALENDAR, CLIENT)
        ((state, text),) = told(await check.run(False))
        assert state == "unverified" and "Google was not asked" in text
        ((state, text),) = told(await check.run(True))
        assert state == "ok" and "not verified a real event" in text
    finally:
        wired.stop()
    ((state, text),) = told(await check.run(True))
    assert state == "broken" and CALENDAR in text
    other = CalendarCheck(
        database, clock, Links(database, Vault.load(tmp_path / "other"), clock, opened).of, ours, SAY, EXPLAIN
    )
    assert [one.state for one in await other.run(False)] == ["broken"], "its credentials cannot be opened here"
