"""Files of people outside: fetched from a WhatsApp on loopback, kept, put into words, or refused with a reason."""

import base64
from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from business.messaging.channels import Channels
from business.messaging.media import MediaLimits, MediaWork, told
from business.messaging.sandbox import NUMBER, SandboxWhatsApp
from business.messaging.sender_cloud import CloudClients, CloudSender
from business.people.service import People
from core.clock import FixedClock
from core.db import Database
from core.errors import Unavailable
from core.files import Files
from core.ids import new_id
from core.permissions import Permissions
from core.settings import Settings
from core.tenancy import Role
from core.vault import Vault
from evals.stand_in import Answer, StandIn
from integrations.documents.reader import DocumentReader
from llm.router import Router
from prompts.prompt import Prompts
from prompts.texts import Texts
from tests.conftest import Tenants
from tools.media_words import MediaWords

SAMPLES = Path(__file__).parents[3] / "channels" / "chat_assets" / "public" / "phone_samples"
VOICE, PHOTO, PDF = ((SAMPLES / name).read_bytes() for name in ("voice_pt.ogg", "foto.jpg", "proposta.pdf"))
LEAD = "5519991230001"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("whatsapp")


class House:
    """A company with its number at the sandbox's WhatsApp, and what puts its files into words."""

    def __init__(self, db: Database, clock: FixedClock, people: People, tenants: Tenants) -> None:
        self.db, self.clock, self.people = db, clock, people
        self.tenant = tenants.one.id
        self.admin = tenants.one[Role.ADMIN]
        self.files = Files(db)
        self.routers: list[Router] = []

    async def open(self, sandbox: SandboxWhatsApp, permissions: Permissions, vault: Vault) -> "House":
        self.channels = Channels(self.db, vault, self.clock, "sandbox", permissions)
        channel = await sandbox.connect(self.channels, self.admin)
        assert channel is not None and channel.number == NUMBER
        assert (await sandbox.connect(self.channels, self.admin)) == await self.channels.get(self.tenant, channel.id)
        self.http = httpx.AsyncClient(verify=False)
        self.sender = CloudSender(CloudClients(self.channels, self.http))
        self.channel, self.url = channel, sandbox.url
        async with self.db.tenant(self.tenant) as conn:
            await conn.execute(
                "INSERT INTO chats (tenant_id, id, channel_id, address, last_at, created_at)"
                " VALUES (%s, 'chat_1', %s, %s, now(), now())",
                [self.tenant, channel.id, LEAD],
            )
        return self

    async def sent(self, kind: str, content: bytes, mime: str, name: str = "") -> str:
        """A file that the lead has sent, as the sorter leaves it."""
        media = {"content": base64.b64encode(content).decode(), "mime_type": mime}
        asked = {"from": LEAD, "type": kind, kind: media}
        provider_id = (await self.http.post(self.url + "/__phone/write", json=asked)).json()["body"][kind]["id"]
        return await self.waiting(kind, provider_id, name)

    async def waiting(self, kind: str, provider_id: str, name: str = "") -> str:
        media_id = new_id("media")
        words = "waiting" if kind in ("audio", "image", "document") else "none"
        async with self.db.tenant(self.tenant) as conn:
            await conn.execute(
                "INSERT INTO chat_media (tenant_id, id, chat_id, provider_id, kind, name, words_state, created_at)"
                " VALUES (%s, %s, 'chat_1', %s, %s, %s, %s, %s)",
                [self.tenant, media_id, provider_id, kind, name, words, self.clock.now()],
            )
        return media_id

    def work(self, limits: MediaLimits | None = None, **keys: object) -> MediaWork:
        router = Router.from_settings(Settings(ignore_provider_keys=False, **keys))  # type: ignore[arg-type]
        self.routers.append(router)
        wording = MediaWords(router, Prompts(), self.clock, DocumentReader())
        senders = {"whatsapp_cloud": self.sender}
        return MediaWork(self.db, self.clock, self.channels, senders, self.files, wording, self.people.agent, limits)

    async def row(self, media_id: str) -> dict[str, Any]:
        async with self.db.tenant(self.tenant) as conn:
            found = await (await conn.execute("SELECT * FROM chat_media WHERE id = %s", [media_id])).fetchone()
        assert found is not None
        return found

    async def after(self, work: MediaWork, media_id: str) -> tuple[str, str, str, str]:
        """(state, words_state, reason, words) once the job is over."""
        await work.run(self.tenant, media_id)
        row = await self.row(media_id)
        return row["state"], row["words_state"], row["reason"], row["words"]


@pytest.fixture
async def house(
    database: Database,
    clock: FixedClock,
    people: People,
    tenants: Tenants,
    permissions: Permissions,
    folder: Path,
    tmp_path: Path,
) -> AsyncIterator[House]:
    sandbox = SandboxWhatsApp(folder)
    house = House(database, clock, people, tenants)
    try:
        await sandbox.open()
        yield await house.open(sandbox, permissions, Vault.load(tmp_path))
    finally:
        for router in house.routers:
            await router.close()
        await house.http.aclose()
        await sandbox.close()


def openai(server: StandIn) -> dict[str, object]:
    return {"openai_api_key": "sk-of-a-test-0123456789", "openai_base_url": server.openai_url}


async def test_a_voice_note_is_kept_and_transcribed_a_photo_described_and_a_pdf_read(house: House) -> None:
    spoken, seen = "Tenho uma clínica em Campinas.", "A fachada de uma clínica."
    with StandIn([Answer(spoken, audio_seconds=8.1), Answer(seen)]) as server:
        work = house.work(**openai(server))
        voice = await house.sent("audio", VOICE, "audio/ogg; codecs=opus")
        photo = await house.sent("image", PHOTO, "image/jpeg")
        assert await house.after(work, voice) == ("kept", "done", "", spoken)
        assert await house.after(work, photo) == ("kept", "done", "", seen)
        await work.run(house.tenant, voice)
        sound, picture = (one.body for one in server.seen)
    row = await house.row(voice)
    assert sound["file"]["content"] == VOICE == await house.files.read(house.tenant, row["file_id"])
    assert (row["words_by"], row["mime"], row["size"]) == ("openai/gpt-transcribe", "audio/ogg", len(VOICE))
    by_the_hour = Decimal("0.27") * Decimal("8.1") / 3600
    assert abs(row["cost_usd"] - by_the_hour) < Decimal("0.000001")
    assert float(row["seconds"]) == pytest.approx(8.1, abs=0.1)
    assert [part["type"] for part in picture["messages"][-1]["content"]] == ["text", "image_url"]

    pdf = await house.sent("document", PDF, "application/pdf", "proposta.pdf")
    state, words_state, _, words = await house.after(house.work(), pdf)  # no model
    assert (state, words_state) == ("kept", "done") and "R$ 1.200,00 por mes" in words
    key, values = told("document", await house.row(pdf))
    assert "Verba atual" in Texts.load().say("en", key, **values)


async def test_without_a_model_a_voice_note_is_kept_and_the_turn_is_told_that_nobody_heard_it(house: House) -> None:
    voice = await house.sent("audio", VOICE, "audio/ogg")
    assert await house.after(house.work(), voice) == ("kept", "failed", "no_model", "")
    assert await house.files.read(house.tenant, (await house.row(voice))["file_id"]) == VOICE
    assert told("audio", await house.row(voice)) == ("media.turn.audio_unread", {"name": ""})


async def test_lies_giants_and_files_that_are_gone_are_refused_with_the_reason(house: House) -> None:
    work = house.work(MediaLimits(image_mb=1))
    refused = {
        "lies": await house.sent("image", b"<html><script>alert(1)</script>", "image/jpeg"),
        "too_big": await house.sent("image", PHOTO + bytes(1024 * 1024), "image/jpeg"),
    }
    for reason, media_id in refused.items():
        assert await house.after(work, media_id) == ("refused", "failed", reason, "")
        assert told("image", await house.row(media_id))[0] == "media.turn.not_received"
    assert (await house.row(refused["lies"]))["file_id"] is None
    gone = await house.after(work, await house.waiting("audio", "999999"))
    assert gone[:2] == ("gone", "failed")


async def test_what_costs_too_much_is_kept_unheard(house: House) -> None:
    with StandIn([Answer("Oi.", audio_seconds=8.1)]) as server:
        keys = openai(server)
        long = await house.sent("audio", VOICE, "audio/ogg")
        assert (await house.after(house.work(MediaLimits(audio_seconds=5), **keys), long))[1:3] == (
            "failed",
            "too_long",
        )
        spent = house.work(MediaLimits(day_seconds=8), **keys)
        first, second = [await house.sent("audio", VOICE, "audio/ogg") for _ in range(2)]
        assert (await house.after(spent, first))[1] == "done"
        assert (await house.after(spent, second))[1:3] == ("failed", "day_spent")
        assert len(server.seen) == 1


async def test_a_provider_that_is_down_is_asked_again_by_the_next_try_of_the_job(house: House) -> None:
    with StandIn([Answer(status=500), Answer(status=500), Answer("Agora sim.", audio_seconds=8.0)]) as server:
        voice = await house.sent("audio", VOICE, "audio/ogg")
        for waited, found in ((0, ("kept", "waiting", "")), (15, ("kept", "failed", "unreachable"))):
            house.clock.advance(timedelta(seconds=waited))
            work = house.work(**openai(server))
            with pytest.raises(Unavailable):
                await work.run(house.tenant, voice)
            row = await house.row(voice)
            assert (row["state"], row["words_state"], row["reason"]) == found
        assert await house.after(work, voice) == ("kept", "done", "", "Agora sim.")


async def test_a_file_that_cannot_be_fetched_is_asked_for_ever_more_seldom_and_told_as_gone_in_the_end(
    house: House,
) -> None:
    asked: list[int] = []

    class Queue:
        async def defer(self, conn: object, name: str, /, **ids: str) -> int:
            asked.append(minute)
            return 1

    work, old = house.work(), await house.waiting("audio", "1")
    for minute in range(1, 130):
        house.clock.advance(timedelta(minutes=1))
        if minute in (14, 15, 16, 29, 30, 31, 59, 60, 61, 119, 120, 121):
            await work.again(Queue(), house.tenant)  # type: ignore[arg-type]
    assert asked == [15, 30, 60, 120]
    house.clock.advance(timedelta(days=7))
    assert await work.again(Queue(), house.tenant) == 0  # type: ignore[arg-type]
    row = await house.row(old)
    assert (row["state"], row["reason"], row["words_state"]) == ("gone", "expired", "failed")
