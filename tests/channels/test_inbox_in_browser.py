"""The attendants' inbox in Chromium: two attendants look on while a contact writes; keyboard, drafts, a phone."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from core.clock import FixedClock
from core.tenancy import Identity, Role
from tests.channels.conftest import Web
from tests.channels.test_inbox_pages import HOSTILE, SAMPLES
from tests.conftest import PASSWORD, free_port, until

SWITCHES = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking"]
expect.set_options(timeout=20_000)


@asynccontextmanager
async def serving(web: Web) -> AsyncIterator[str]:
    import uvicorn

    port = free_port()
    server = uvicorn.Server(uvicorn.Config(web.app, port=port, log_level="error", lifespan="off"))
    web.app.state.closing = lambda: server.should_exit
    task = asyncio.create_task(server.serve())
    try:
        await until(lambda: server.started)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await task


@pytest.fixture
async def chromium() -> AsyncIterator[Browser]:
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium on this machine; CI installs it and skips nothing")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=SWITCHES)
        yield browser
        await browser.close()


class Desk:
    """The page in the hands of one attendant. Remembers every host that was asked, and what broke."""

    def __init__(self, page: Page, url: str) -> None:
        self.page, self.url = page, url
        self.hosts: set[str] = set()
        self.broken: list[str] = []
        page.on("request", lambda request: self.hosts.add(urlsplit(request.url).netloc))
        page.on("pageerror", lambda error: self.broken.append(str(error)))
        page.on("dialog", lambda dialog: self.broken.append(f"dialog: {dialog.message}"))

    @classmethod
    async def of(cls, browser: Browser, url: str, who: Identity, **device: Any) -> "Desk":
        context = await browser.new_context(locale="pt-BR", **device)
        form: dict[str, str | float | bool] = {"username": who.email, "password": PASSWORD}
        assert (await context.request.post(f"{url}/chat/login", form=form, headers={"Origin": url})).ok
        return cls(await context.new_page(), url)

    def bubble(self, text: str) -> Any:
        return self.page.locator(".bubble", has_text=text)


async def test_two_attendants_see_each_other_and_the_contact_live_and_nothing_is_sent_twice_or_lost(
    web: Web, chromium: Browser, clock: FixedClock
) -> None:
    out = web.outside
    number = await out.number(web.admin, "100000000000201", "Vendas")
    tenant = number.tenant_id
    summary = "Quer reformar a fachada até março."
    helena = await out.chat(number, "5519991204507", "Helena", held="fetching", summary=summary)
    await out.says(tenant, await out.chat(number, "5511900000001", HOSTILE), "<b>oi</b>", ago=timedelta(hours=2))
    sound = (
        await web.files.store(web.admin, (SAMPLES / "voice_pt.ogg").read_bytes(), name="v.ogg", mime="audio/ogg")
    ).id
    voice = await out.file(tenant, helena, sound, "audio", "audio/ogg", words="Decido com o sócio", words_state="done")
    await out.says(tenant, helena, "", ago=timedelta(hours=1), kind="audio", media_id=voice)
    await out.says(tenant, helena, "Quero falar com uma pessoa", unread=True)
    async with serving(web) as url:
        ana = await Desk.of(chromium, url, web.admin, viewport={"width": 1300, "height": 850})
        diego = await Desk.of(chromium, url, web.tenants.one[Role.DIRETOR], viewport={"width": 1300, "height": 850})
        await ana.page.goto(f"{url}/chat/inbox")
        await expect(ana.page.locator(".line-name")).to_have_text(["Helena", HOSTILE])
        await ana.page.get_by_role("link", name="Helena").click()
        await diego.page.goto(f"{url}/chat/inbox/{helena}")
        for desk in (ana, diego):
            await expect(desk.page.get_by_text("Helena espera por uma pessoa")).to_be_visible()
            await expect(desk.page.locator(".notice", has_text=summary)).to_be_visible()
        await expect(ana.bubble("Decido com o sócio")).to_contain_text("Transcrição")
        await expect(ana.page.locator(".unread-mark")).to_be_visible()
        await expect(ana.page.locator(".unread-count")).to_have_count(0)  # it was read by being looked at

        await ana.page.get_by_role("button", name="Assumir").click()
        await expect(diego.page.locator(".head-state")).to_contain_text("com Admin um")
        await expect(diego.page.locator(".toast")).to_contain_text("Admin um assumiu esta conversa.")
        await out.says(tenant, helena, "Qual é o prazo?")
        for desk in (ana, diego):
            await expect(desk.bubble("Qual é o prazo?")).to_be_visible()
            await expect(desk.page.locator(".unseen[role=status]")).to_have_text("Helena: Qual é o prazo?")

        box = ana.page.get_by_label("Mensagem para Helena")
        await box.fill("Três *semanas*.")
        await box.press("Enter")
        await box.press("Enter")
        await expect(diego.bubble("Três semanas.")).to_have_count(1)
        await expect(ana.bubble("Três semanas.").get_by_role("img", name="na fila")).to_be_visible()
        await box.press_sequentially("/hor")
        await box.press("Enter")
        await expect(box).to_have_value("Atendemos de segunda a sexta, das 9h às 18h.")
        await box.press("Alt+ArrowDown")
        await expect(ana.page.get_by_role("heading", name=HOSTILE)).to_be_visible()
        await ana.page.reload()
        await expect(ana.page.locator(".line", has_text="Helena")).to_contain_text("Rascunho: Atendemos")
        await ana.page.keyboard.press("Control+k")
        await ana.page.keyboard.type("helena")
        await expect(ana.page.locator(".line-name")).to_have_text(["Helena"])
        await ana.page.get_by_role("link", name="Helena").focus()
        await ana.page.keyboard.press("Enter")
        await expect(ana.page.get_by_label("Mensagem para Helena")).to_have_value(
            "Atendemos de segunda a sexta, das 9h às 18h."
        )

        await diego.page.get_by_role("button", name="Pediu para parar").click()
        await diego.page.get_by_label("O que o contato disse").fill("Pediu por telefone que parem")
        await diego.page.get_by_role("button", name="Anotar").click()
        await expect(ana.page.locator(".side")).to_contain_text("“Pediu por telefone que parem”")
        await expect(ana.page.get_by_role("button", name="Pode voltar a escrever")).to_be_visible()

        await ana.page.get_by_role("button", name="Ouvir").click()
        await expect(ana.page.get_by_role("button", name="Pausar")).to_be_visible()
        await expect(ana.page.locator(".player .time")).to_contain_text("/")

        small: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
        phone = await Desk.of(chromium, url, web.admin, **small)
        await phone.page.goto(f"{url}/chat/inbox")
        await phone.page.get_by_role("link", name="Helena").tap()
        await expect(phone.bubble("Três semanas.")).to_be_visible()
        await expect(phone.page.locator(".pane-list")).to_be_hidden()
        assert await phone.page.evaluate("document.documentElement.scrollWidth") <= 390
        await phone.page.get_by_role("button", name="Voltar à lista").tap()
        await expect(phone.page.locator(".pane-list")).to_be_visible()
    for desk in (ana, diego, phone):
        assert desk.broken == [] and desk.hosts == {urlsplit(url).netloc}
    async with web.db.tenant(tenant) as conn:
        rows = await (await conn.execute("SELECT content FROM outbox")).fetchall()
    assert [row["content"]["text"]["body"] for row in rows] == ["Três *semanas*."]
