"""The first conversation, as a newcomer has it: Chromium against `mutirao serve`, from the login to a restart.

The figures on the page are compared with this test's own sum over the sandbox's ledger of events and with what Meta's
official SDK reads from the same sandbox. No request may leave this machine.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import httpx
import pytest
from facebook_business.adobjects.adaccount import AdAccount
from facebook_business.api import FacebookAdsApi
from facebook_business.session import FacebookSession
from playwright.sync_api import Browser, Page, expect, sync_playwright

from core import formats
from core.money import Money
from crews.registry import CREWS
from tests.conftest import free_port, wait_until

ROOT = Path(__file__).parents[2]
AURORA, VITORIA = "act_100000000000001", "act_100000000000002"
COMPARE = "Como foram minhas campanhas nos últimos 7 dias comparado com os 7 anteriores?"
expect.set_options(timeout=30_000)  # a machine at work on other things is slow, not wrong
SWITCHES = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


class Served:
    """`mutirao serve` in a process of its own, on a data folder that outlives it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None
        self._log = (folder / "serve.log").open("ab")

    def start(self) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MUTIRAO_")}
        environment |= {"MUTIRAO_DATA_DIR": str(self.folder / "var"), "MUTIRAO_IGNORE_PROVIDER_KEYS": "true"}
        command = [sys.executable, "-c", "import app; app.main()", "serve", "--port", str(self.port)]
        self._process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=self._log, stderr=self._log)
        wait_until(self._ready, seconds=90)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(30)

    def close(self) -> None:
        self.stop()
        self._log.close()

    @property
    def password(self) -> str:
        return str(json.loads((self.folder / "var" / "secrets" / "demo.json").read_text())["password"])

    @property
    def graph(self) -> str:
        """The address of the sandbox's Graph API, which this server shares with whoever needs it."""
        return f"http://127.0.0.1:{(self.folder / 'var' / 'simulators' / 'meta_ads' / 'port').read_text()}"

    @property
    def graph_token(self) -> str:
        return (self.folder / "var" / "simulators" / "meta_ads" / "token").read_text().strip()

    def spent(self, account: str, since: str, until: str) -> Decimal:
        """This test's own sum over what really happened, event by event, in reais."""
        asked = {"account": account, "since": since, "until": until}
        rows = httpx.get(f"{self.graph}/__ledger", params=asked).json()["rows"]
        return Decimal(sum(row["spend"] for row in rows)) / 100

    def writes(self) -> list[dict[str, Any]]:
        return list(httpx.get(f"{self.graph}/__writes").json()["writes"])

    def _ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "serve.log").read_text()[-2_000:]
        try:
            return httpx.get(f"{self.url}/health", timeout=2).status_code == 200
        except httpx.TransportError:
            return False


@pytest.fixture(scope="module")
def served(request: pytest.FixtureRequest) -> Iterator[Served]:
    """A newcomer's, in this file; in the others, what a server learns at its first start is there already."""
    folder = Path(tempfile.mkdtemp(prefix="mutirao-browser-"))
    served = Served(folder)
    if request.module.__name__ != __name__:
        shutil.copytree(request.getfixturevalue("learnt"), folder / "var" / "cache")
    try:
        served.start()
        yield served
    finally:
        served.close()
        print((folder / "serve.log").read_text()[-4_000:])  # pytest shows it below a failure
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium on this machine; CI installs it and skips nothing")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=SWITCHES)
        yield chromium
        chromium.close()


class Chat:
    """The page in the hands of a person. Remembers every host that was asked for anything."""

    def __init__(self, browser: Browser, served: Served, **device: Any) -> None:
        self.served = served
        self.hosts: set[str] = set()
        self.broken: list[str] = []
        context = browser.new_context(locale="pt-BR", **device)
        context.set_default_timeout(30_000)
        self.page: Page = context.new_page()
        self.page.on("request", lambda request: self._heard(request.url))
        self.page.on("pageerror", lambda error: self.broken.append(str(error)))

    def _heard(self, url: str) -> None:
        if urlsplit(url).scheme not in ("data", "blob"):
            self.hosts.add(urlsplit(url).netloc)

    def log_in(self, email: str = "ana@ipe.example", password: str = "") -> None:
        self.page.goto(self.served.url)
        self.page.fill("#email", email)
        self.page.fill("#password", password or self.served.password)
        self.page.click("button[type=submit]")

    def ask(self, text: str) -> None:
        self.page.fill("#chat-input", text)
        self.page.click("#chat-submit")
        self.until_answered(text)

    def until_answered(self, text: str) -> None:
        """Until the question stands there and the stop button has gone again."""
        expect(self.page.locator("[data-step-type=user_message]").last).to_contain_text(text)
        expect(self.page.locator("[data-step-type=assistant_message]").last).to_be_visible()
        expect(self.page.locator("#stop-button")).to_have_count(0)

    @property
    def answer(self) -> str:
        """The text of the last answer, without the cards below it."""
        answers = self.page.locator("[data-step-type=assistant_message]:not(:has([id^=step-card-]))")
        return answers.last.inner_text()

    def button(self, name: str) -> Any:
        return self.page.locator(f"button[id^={name}-card-]").last


def test_a_newcomer_asks_approves_undoes_and_finds_it_all_again_after_a_restart(
    served: Served, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    chat = Chat(browser, served, viewport={"width": 1280, "height": 900})
    page = chat.page

    chat.log_in(password="errada")
    expect(page.get_by_text("E-mail ou senha incorretos.")).to_be_visible()
    chat.log_in()
    starter = page.locator("#starters button", has_text=COMPARE)
    expect(starter).to_be_enabled()
    expect(page.locator("#starters button")).to_have_count(sum(len(crew.starters) for crew in CREWS))
    starter.click()
    chat.until_answered(COMPARE)

    # What the person saw: who worked, a table, a chart, and the numbers of the account.
    for step in ("Entendendo o pedido", "Analista de anúncios", "Consultando os números"):
        expect(page.get_by_text(step).first).to_be_visible()
    expect(page.locator("table").first).to_be_visible()
    expect(page.locator(".js-plotly-plot .main-svg").first).to_be_visible()
    yesterday = datetime.now(ZoneInfo("America/Sao_Paulo")).date() - timedelta(days=1)
    now = ((yesterday - timedelta(days=6)).isoformat(), yesterday.isoformat())
    before = ((yesterday - timedelta(days=13)).isoformat(), (yesterday - timedelta(days=7)).isoformat())
    monkeypatch.setattr(FacebookSession, "GRAPH", served.graph)
    FacebookAdsApi.init(access_token=served.graph_token, crash_log=False)
    answer = chat.answer
    for account in (AURORA, VITORIA):
        for since, until in (now, before):
            spent = served.spent(account, since, until)
            assert spent == _read_by_sdk(account, since, until)
            assert formats.money(Money(spent, "BRL"), "pt-BR") in answer
    FacebookAdsApi.set_default_api(None)

    # The fatigued ad is proposed, with evidence; the broken pixel is told apart.
    chat.ask("o que devo pausar?")
    expect(chat.button("approve")).to_be_visible()
    assert re.search(r"Ofertas da Semana.*pixel.*não pausar", chat.answer, re.DOTALL)
    card = page.locator("[id^=step-card-]").last
    for words in ("Vídeo 03 | Provador", "ativo → pausado", "frequência", "CTR", "Esperando a sua decisão"):
        expect(card).to_contain_text(words)
    expect(page.locator("[id^=step-card-]")).to_have_count(1)
    assert served.writes() == []

    # Approved: done once and read back; undone by a proposal of its own.
    chat.button("approve").click()
    expect(card).to_contain_text("Feito e conferido")
    assert len(served.writes()) == 1
    chat.button("undo").click()
    expect(page.locator("[id^=step-card-]")).to_have_count(2)
    expect(chat.button("approve")).to_be_enabled()
    chat.button("approve").click()
    expect(page.locator("[id^=step-card-]").last).to_contain_text("Feito e conferido")
    assert len(served.writes()) == 2

    # A proposal waits; the server is killed and comes back; nothing is lost and the buttons work.
    chat.ask("o que devo pausar?")
    expect(page.locator("[id^=step-card-]")).to_have_count(3)
    expect(chat.button("approve")).to_be_enabled()
    page.locator(".positive-feedback-off").last.click()
    page.click("#submit-feedback")
    expect(page.locator(".positive-feedback-on")).to_have_count(1)
    served.stop(signal.SIGKILL)
    served.start()
    page.goto(served.url)
    page.locator("a[href*='/thread/']", has_text=COMPARE[:30]).click()
    expect(page.locator("[data-step-type=user_message]")).to_have_count(3)
    expect(page.locator(".js-plotly-plot .main-svg").first).to_be_visible()
    assert formats.money(Money(served.spent(AURORA, *now), "BRL"), "pt-BR") in page.inner_text("body")
    expect(page.locator("[id^=step-card-]")).to_have_count(3)
    expect(page.locator(".positive-feedback-on")).to_have_count(1)
    expect(page.get_by_text("Analista de anúncios").first).to_be_visible()
    chat.button("reject").click()
    expect(page.locator("[id^=step-card-]").last).to_contain_text("Rejeitada")
    assert len(served.writes()) == 2

    assert chat.hosts == {f"127.0.0.1:{served.port}"}
    assert chat.broken == []


def _read_by_sdk(account: str, since: str, until: str) -> Decimal:
    params = {"level": "account", "time_range": {"since": since, "until": until}}
    rows = AdAccount(account).get_insights(fields=["spend"], params=params)
    return sum((Decimal(row["spend"]) for row in rows), Decimal(0))


EXPORT = """Início dos relatórios;Término dos relatórios;Nome da campanha;Impressões;Alcance;Valor usado (BRL)
2026-10-01;2026-10-07;Praia;10.000;8.000;1.234,56
2026-10-01;2026-10-07;Montanha;5.000;4.100;765,44
"""


def test_on_a_phone_an_export_is_attached_read_and_the_page_stays_within_its_width(
    served: Served, browser: Browser
) -> None:
    chat = Chat(browser, served, viewport={"width": 390, "height": 844}, has_touch=True)
    page = chat.page
    chat.log_in(email="diego@ipe.example")
    expect(page.locator("#starters button").first).to_be_enabled()
    page.set_input_files("input[type=file]", [{"name": "contrato.pdf", "mimeType": "application/pdf", "buffer": b"%P"}])
    expect(page.get_by_text("só leio CSV ou Excel")).to_be_visible()
    page.set_input_files(
        "input[type=file]", [{"name": "outubro.csv", "mimeType": "text/csv", "buffer": EXPORT.encode()}]
    )
    chat.ask("quanto gastei neste arquivo?")
    expect(page.get_by_text("R$ 2.000,00").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.click("#user-nav-button")
    page.get_by_text("Sair").click()
    expect(page.locator("#password")).to_be_visible()
    assert chat.hosts == {f"127.0.0.1:{served.port}"}


def test_two_questions_at_once_from_two_tabs_of_one_conversation_are_both_answered_and_kept(
    served: Served, browser: Browser
) -> None:
    chat = Chat(browser, served, viewport={"width": 1280, "height": 900})
    chat.log_in(email="carla@ipe.example")
    expect(chat.page.locator("#starters button").first).to_be_enabled()
    chat.ask("oi")
    chat.page.locator("a[href*='/thread/']").first.click()
    chat.page.wait_for_url("**/thread/**")
    second = chat.page.context.new_page()
    second.goto(chat.page.url)
    questions, answers = "[data-step-type=user_message]", "[data-step-type=assistant_message]"
    expect(second.locator(questions)).to_have_count(1)
    for page, text in ((chat.page, "quanto gastei ontem?"), (second, "qual campanha gastou mais ontem?")):
        page.fill("#chat-input", text)
        page.click("#chat-submit")
    for page in (chat.page, second):
        expect(page.locator(answers)).to_have_count(2)
        expect(page.locator("#stop-button")).to_have_count(0)
    chat.page.reload()
    expect(chat.page.locator(questions)).to_have_count(3)
    expect(chat.page.locator(answers)).to_have_count(3)
