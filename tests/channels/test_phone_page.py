"""The phone in the browser: who may hold it, what it does becomes WhatsApp's webhooks, and it is not there in live."""

import asyncio
import re
import shutil
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from playwright.async_api import async_playwright, expect
from starlette.staticfiles import StaticFiles

from business.messaging.sandbox import SandboxWhatsApp
from business.messaging.sandbox_evolution import INSTANCE, SandboxEvolution
from channels import phone_page
from channels.phone_page import PhoneNumber, PhonePage
from channels.web import Gate
from core.permissions import Permissions
from core.tenancy import Identity, Role
from integrations.whatsapp_cloud import messages as say
from integrations.whatsapp_cloud.client import WhatsAppCloud
from integrations.whatsapp_cloud.simulator.state import ACCOUNTS
from prompts.texts import Texts
from tests.conftest import free_port, until

HOST = "http://localhost:8000"
PUBLIC = Path(__file__).parents[2] / "channels" / "chat_assets" / "public"
SWITCHES = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"]
OURS, THEIRS = ACCOUNTS
LEAD = "5519995550001"
PEOPLE = {
    "ana": Identity("tenant_ours", "ana", Role.COMERCIAL, "Ana", "ana@ipe.example"),
    "bia": Identity("tenant_theirs", "bia", Role.ADMIN, "Bia", "bia@pau.example"),
    "eva": Identity("tenant_new", "eva", Role.ADMIN, "Eva", "eva@new.example"),
    "cia": Identity("tenant_ours", "cia", Role.CLIENTE, "Cia", "cia@ipe.example"),
}


class Browser:
    """A browser of our page; `who` is logged in."""

    def __init__(self, app: Any, who: str) -> None:
        cookies = {"mutirao_session": who} if who else {}
        transport = httpx.ASGITransport(app)
        self.http = httpx.AsyncClient(transport=transport, base_url=HOST, cookies=cookies, headers={"Origin": HOST})

    async def view(self, **asked: str) -> dict[str, Any]:
        answer = await self.http.get(phone_page.DATA, params={"contact": LEAD, **asked})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def do(self, act: str, status: int = 200, **more: Any) -> dict[str, Any]:
        did = {"do": act, "number": OURS.number_id, "contact": LEAD, **more}
        answer = await self.http.post(phone_page.DATA, json=did)
        assert answer.status_code == status, answer.text
        return dict(answer.json())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("phone")


@pytest.fixture
async def sandbox(folder: Path) -> AsyncIterator[SandboxWhatsApp]:
    sandbox = SandboxWhatsApp(folder)
    await sandbox.open()
    yield sandbox
    await sandbox.close()


@pytest.fixture
async def phone(sandbox: SandboxWhatsApp, texts: Texts) -> AsyncIterator[PhonePage]:
    async def numbers(tenant_id: str) -> Sequence[PhoneNumber]:
        owned = {"tenant_ours": [OURS], "tenant_theirs": [THEIRS]}.get(tenant_id, [])
        return [PhoneNumber(one.number_id, one.name, one.display) for one in owned]

    access = {(str(role), "messaging"): "RW" for role in (Role.ADMIN, Role.COMERCIAL)}
    phone = PhonePage(sandbox, numbers, Permissions(access), texts)
    yield phone
    await phone.close()


def gated(phone: PhonePage, texts: Texts, *, sandbox: bool = True) -> Gate:
    app = FastAPI()
    app.state.closing = lambda: False
    app.mount("/chat/public", StaticFiles(directory=PUBLIC))
    phone_page.add_phone(app, phone, texts)

    async def identity(tenant_id: str, user_id: str) -> Identity:
        return PEOPLE[user_id]

    return Gate(
        app,
        pages=[(re.compile(phone_page.PAGE), phone_page.page("pt-BR"))],
        read_cookie=lambda cookie: ("", cookie) if cookie in PEOPLE else None,
        read_identity=identity,
        allowed_origins=[],
        upload_bytes=20_000_000,
        sandbox=sandbox,
    )


async def test_the_lead_writes_presses_reacts_changes_and_sends_a_voice_note(
    phone: PhonePage, sandbox: SandboxWhatsApp, texts: Texts
) -> None:
    ana = Browser(gated(phone, texts), "ana")
    await ana.do("meet", name="Rita", contact="+55 (19) 99555-0001")
    for words in ("oi", "quanto custa?"):
        await ana.do("text", body=words)
    async with httpx.AsyncClient(verify=False) as http:
        ours = WhatsAppCloud(http, sandbox.secrets.token, base_url=sandbox.url)
        asked = await ours.send(OURS.number_id, LEAD, say.buttons("Vamos conversar?", [say.Button("sim", "Sim")]))
    await ana.do("choose", of=asked.message_id, kind="button", id="sim", title="Sim")
    await ana.do("react", of=asked.message_id, emoji="👍")
    voice = (PUBLIC / "phone_samples" / "voice_pt.ogg").read_bytes()
    query = {"number": OURS.number_id, "contact": LEAD, "kind": "audio", "mime": "audio/ogg", "voice": "1"}
    sent = await ana.http.post(phone_page.FILE, params=query, content=voice)
    assert sent.status_code == 200
    webp = b"RIFF\x1a\0\0\0WEBPVP8L\r\0\0\0\x2f\0\0\0\x10\x07\x10\x11\x11\x88\x88\xfe\x07\0"
    query = {"number": OURS.number_id, "contact": LEAD, "kind": "sticker", "mime": "image/webp", "caption": "oi"}
    sticker = await ana.http.post(phone_page.FILE, params=query, content=webp)
    assert sticker.status_code == 200 and "caption" not in sticker.json()["body"]["sticker"]
    await ana.do("card", name="Bia Nunes", phone="+55 (19) 99888-0007")
    first = (await ana.view())["thread"]["messages"][0]["id"]
    await ana.do("edit", of=first, body="olá")
    await ana.do("take_back", of=first)
    await ana.do("marketing", value="stop")

    view = await ana.view()
    kinds = [(one["direction"], one["body"]["type"]) for one in view["thread"]["messages"]]
    assert kinds == [
        ("in", "text"),
        ("in", "text"),
        ("out", "interactive"),
        ("in", "interactive"),
        ("in", "reaction"),
        ("in", "audio"),
        ("in", "sticker"),
        ("in", "contacts"),
        ("in", "edit"),
        ("in", "revoke"),
    ]
    assert view["thread"]["messages"][3]["body"]["interactive"]["button_reply"] == {"id": "sim", "title": "Sim"}
    (card,) = view["thread"]["messages"][7]["body"]["contacts"]
    assert (card["name"]["formatted_name"], card["phones"][0]["wa_id"]) == ("Bia Nunes", "5519998880007")
    assert view["thread"]["contact"]["stopped"] and view["threads"][0]["unread"] == 1
    assert view["words"]["send"] == "Enviar" and len(view["leads"]) == 5 and view["leads"][0]["about"]

    media_id = sent.json()["body"]["audio"]["id"]
    whole = await ana.http.get(phone_page.MEDIA, params={"id": media_id})
    part = await ana.http.get(phone_page.MEDIA, params={"id": media_id}, headers={"Range": "bytes=4-7"})
    assert (whole.content, whole.headers["content-type"]) == (voice, "audio/ogg")
    assert (part.status_code, part.content) == (206, voice[4:8])
    foreign = await Browser(gated(phone, texts), "bia").http.get(phone_page.MEDIA, params={"id": media_id})
    assert foreign.status_code == 404, "another company's file"


async def test_only_who_handles_conversations_holds_the_phone_and_only_of_their_own_company(
    phone: PhonePage, texts: Texts
) -> None:
    gate = gated(phone, texts)
    for who, status in {"": 401, "nobody": 401, "cia": 403, "eva": 403}.items():
        assert (await Browser(gate, who).http.get(phone_page.DATA)).status_code == status
    bia = Browser(gate, "bia")
    await bia.do("text", 403, body="oi")  # our number, not theirs
    assert (await bia.view(number=OURS.number_id))["number"]["number"] == THEIRS.number_id
    elsewhere = await bia.http.post(phone_page.DATA, json={}, headers={"Origin": "https://evil.example"})
    assert elsewhere.status_code == 403
    ana = Browser(gate, "ana")
    for wrong in ({"do": "text", "body": " "}, {"do": "fly"}, {"do": "text", "body": "oi", "contact": "12"}):
        await ana.do(**{"act": wrong["do"], "status": 400, **{k: v for k, v in wrong.items() if k != "do"}})  # type: ignore[arg-type]
    too_big = {"number": OURS.number_id, "contact": LEAD, "kind": "image", "mime": "image/png"}
    refused = await ana.http.post(phone_page.FILE, params=too_big, content=bytes(6 * 1024 * 1024))
    assert refused.status_code == 400 and "5" in refused.json()["error"]


async def test_the_page_is_there_in_the_sandbox_alone_and_asks_no_other_host(phone: PhonePage, texts: Texts) -> None:
    page = await Browser(gated(phone, texts), "").http.get("/sandbox/phone")
    assert page.status_code == 200 and "http://" not in page.text and "https://" not in page.text
    assert "media-src 'self'" in page.headers["content-security-policy"]
    assert "microphone=(self)" in page.headers["permissions-policy"]
    live = Browser(gated(phone, texts, sandbox=False), "ana").http
    for path in ("/sandbox/phone", phone_page.DATA, phone_page.MEDIA):
        assert (await live.get(path)).status_code == 404


async def test_a_number_at_the_evolution_api_is_written_to_from_the_same_phone(texts: Texts, tmp_path: Path) -> None:
    evolution = SandboxEvolution(tmp_path / "evolution")
    url = await evolution.open()

    async def numbers(tenant_id: str) -> Sequence[PhoneNumber]:
        return [PhoneNumber(INSTANCE, "Vendas", "5511900000001", "evolution")]

    phone = PhonePage({"evolution": evolution}, numbers, Permissions({("Comercial", "messaging"): "RW"}), texts)
    ana = Browser(gated(phone, texts), "ana")
    on = {"number": INSTANCE}
    await ana.do("meet", name="Rita", **on)
    version = str((await ana.view())["version"])
    first = (await ana.do("text", body="oi", **on))["id"]
    assert str((await ana.view(since=version))["version"]) != version
    async with httpx.AsyncClient(base_url=url, headers={"apikey": evolution.api_key}, verify=False) as http:
        answer = await http.post(f"/message/sendText/{INSTANCE}", json={"number": LEAD, "text": "Olá!"})
        await http.post(f"/chat/markMessageAsRead/{INSTANCE}", json={"readMessages": [{"id": first}]})
    await ana.do("read", **on)
    await ana.do("react", of=answer.json()["key"]["id"], emoji="👍", **on)
    await ana.do("edit", of=first, body="olá", **on)
    await ana.do("marketing", 400, value="stop", **on)
    sent = {**on, "contact": LEAD, "kind": "image", "mime": "image/jpeg"}
    photo = (PUBLIC / "phone_samples" / "foto.jpg").read_bytes()
    media = (await ana.http.post(phone_page.FILE, params=sent, content=photo)).json()["body"]["image"]["id"]
    assert (await ana.http.get(phone_page.MEDIA, params={"id": media})).content == photo
    thread = (await ana.view())["thread"]
    assert thread["contact"]["name"] == "Rita"
    card = await ana.do("card", name="Bia", phone="+5519998880007", **on)
    assert card["body"]["contacts"] == [{"name": {"formatted_name": "Bia"}}]
    shown = [(one["direction"], one["body"]["type"], one["status"]) for one in thread["messages"]]
    assert shown == [
        ("in", "text", "read"),
        ("out", "text", "read"),
        ("in", "reaction", None),
        ("in", "image", None),
        ("in", "edit", None),
    ]
    await phone.close()
    await evolution.close()


async def test_in_the_browser_a_burst_is_answered_a_row_chosen_and_a_voice_note_recorded(
    phone: PhonePage, sandbox: SandboxWhatsApp, texts: Texts
) -> None:
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium on this machine; CI installs it and skips nothing")
    gate, port = gated(phone, texts), free_port()
    server = uvicorn.Server(uvicorn.Config(gate, port=port, log_level="error", lifespan="off"))
    serving = asyncio.create_task(server.serve())
    url, who = f"http://127.0.0.1:{port}", "5519995550077"
    fake = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
    async with async_playwright() as playwright, httpx.AsyncClient(verify=False) as http:
        browser = await playwright.chromium.launch(executable_path=program, args=[*SWITCHES, *fake])
        context = await browser.new_context(locale="pt-BR")
        await context.add_cookies([{"name": "mutirao_session", "value": "ana", "url": url}])
        page, hosts, broken = await context.new_page(), set[str](), list[str]()
        page.on("request", lambda request: hosts.add(httpx.URL(request.url).netloc.decode()))
        page.on("pageerror", lambda error: broken.append(str(error)))
        await until(lambda: server.started)
        await page.goto(f"{url}/sandbox/phone")
        await page.get_by_role("button", name="Novo contato").click()
        await page.get_by_label("Nome").fill("<b>Rita</b>")
        await page.get_by_label("Número com código do país").fill("+55 19 99555-0077")
        await page.get_by_role("button", name="Criar").click()
        box = page.get_by_label("Mensagem", exact=True)
        for words in ("oi", "tudo bem?", "quanto *custa*?"):
            await box.fill(words)
            await box.press("Enter")
        await expect(page.locator(".mine .text")).to_have_text(["oi", "tudo bem?", "quanto custa?"])

        ours = WhatsAppCloud(http, sandbox.secrets.token, base_url=sandbox.url)
        thread = (await http.get(f"{sandbox.url}/__phone/thread", params={"contact": who})).json()["messages"]
        await ours.mark_read(OURS.number_id, thread[-1]["id"], typing=True)
        await expect(page.locator(".dots")).to_be_visible()
        await expect(page.locator(".tick.read")).to_have_count(3)
        rows = say.Section("Terça", [say.Row("t9", "Ter 9h", "por vídeo"), say.Row("t10", "Ter 10h")])
        await ours.send(OURS.number_id, who, say.option_list("Qual horário?", "Ver horários", [rows]))
        await page.get_by_role("button", name="Ver horários").click()
        await page.get_by_label("Ter 10h").check()
        await page.get_by_role("button", name="Enviar", exact=True).last.click()
        await expect(page.locator(".mine").last).to_contain_text("Ter 10h")
        room = "https://ipe.example/conversa"
        await ours.send(OURS.number_id, who, say.link_button("Marcado: terça, às 10h.", "Entrar na conversa", room))
        await expect(page.get_by_role("link", name="Entrar na conversa")).to_have_attribute("href", room)
        await page.get_by_label("Gravar mensagem de voz").click()
        await page.get_by_label("Terminar e enviar a gravação").click()
        await expect(page.locator(".mine audio")).to_have_count(1)
        await browser.close()
        server.should_exit = True
        thread = (await http.get(f"{sandbox.url}/__phone/thread", params={"contact": who})).json()["messages"]
    await serving
    assert [one["status"] for one in thread if one["direction"] == "out"] == ["read"] * 2, "it was looked at"
    assert thread[-1]["body"]["audio"]["mime_type"] == "audio/ogg; codecs=opus"
    assert hosts == {f"127.0.0.1:{port}"} and broken == []
