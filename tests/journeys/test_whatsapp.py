"""A lead on WhatsApp, from the hunter's first message to a meeting in the CRM: the chat on one side, the lead's phone
on the other, the attendants' inbox between them, all of it in Chromium against `mutirao serve` without any key.

What was really sent is read from the simulated WhatsApp's witness, which notes every request on disk before it does
anything about it.
"""

import re
from typing import Any

import httpx
import psycopg
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from core.postgres import Postgres
from tests.conftest import wait_until
from tests.journeys.test_browser import Chat, Served, browser, served

__all__ = ["browser", "served"]

SENTENCE = "ache 5 escritórios de arquitetura em Campinas com mais de 3 anos e fale com os 2 melhores"
THREE = ("oi! pode sim", "a gente faz projeto residencial", "como funciona o trabalho de vocês e quanto custa?")
ANA = "Oi! Aqui é a Ana. Posso te mostrar dois casos parecidos?"


class WhatsApp:
    """The simulated WhatsApp of a running server: what it was asked to send, and what lies on a lead's phone."""

    def __init__(self, served: Served) -> None:
        port = (served.folder / "var" / "simulators" / "whatsapp" / "port").read_text().strip()
        self.url = f"http://127.0.0.1:{port}"

    def sent(self, to: str = "") -> list[dict[str, Any]]:
        """Every message that we asked WhatsApp to send (to one lead), oldest first; marks of reading are none."""
        asked = [
            one["body"] for one in httpx.get(f"{self.url}/__witness").json()["requests"] if one["method"] == "POST"
        ]
        return [body for body in asked if isinstance(body, dict) and body.get("to") and body["to"].endswith(to)]

    def ours(self, to: str) -> list[dict[str, Any]]:
        """What we sent as it lies there, with its status."""
        thread = httpx.get(f"{self.url}/__phone/thread", params={"contact": to}).json()
        return [one for one in thread["messages"] if one["direction"] == "out"]


class Phone:
    """The lead's phone in the hands of the lead."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        page.goto(f"{url}/sandbox/phone")

    @property
    def theirs(self) -> Locator:
        """What the house wrote."""
        return self.page.locator(".log .msg:not(.mine):has(.meta)")

    def write(self, *texts: str) -> None:
        box = self.page.get_by_label("Mensagem", exact=True)
        for text in texts:
            box.fill(text)
            box.press("Enter")
        expect(self.page.locator(".mine .text").last).to_have_text(texts[-1])

    def answered(self, before: int) -> str:
        """The newest message of the house, when there is one more than `before`."""
        expect(self.theirs).to_have_count(before + 1)
        return self.theirs.last.inner_text()


@pytest.mark.timeout(300)
def test_a_lead_is_found_written_to_answered_heard_handed_over_booked_and_all_of_it_is_in_the_crm(
    served: Served, browser: Browser
) -> None:
    chat = Chat(browser, served, viewport={"width": 1280, "height": 900})
    chat.log_in()
    expect(chat.page.locator("#chat-input")).to_be_visible()
    whatsapp = WhatsApp(served)

    # Found and proposed; nothing leaves before a person says so.
    chat.page.fill("#chat-input", SENTENCE)
    chat.page.click("#chat-submit")
    expect(chat.button("approve")).to_be_visible(timeout=120_000)
    expect(chat.page.locator("#stop-button")).to_have_count(0, timeout=60_000)
    assert whatsapp.sent() == []
    chat.button("approve").click()
    expect(chat.page.locator("[id^=step-card-]").last).not_to_contain_text("Esperando a sua decisão")

    # The first message: one template, for nobody has written to us yet.
    phone = Phone(_tab(chat), served.url)
    wait_until(lambda: len(whatsapp.sent()) == 2, seconds=90)  # whoever sends has just begun, too
    expect(phone.page.locator(".people .person")).to_have_count(2)
    first = whatsapp.sent()[0]
    lead, name = first["to"], first["template"]["components"][0]["parameters"][0]["text"]
    phone.page.locator(".people .person", has_text=lead[-4:]).click()
    expect(phone.theirs).to_have_count(1)
    expect(phone.theirs.first).to_contain_text(name)
    assert [one["type"] for one in whatsapp.sent(lead)] == ["template"]

    inbox = _tab(chat)
    inbox.goto(f"{served.url}/chat/inbox")
    inbox.get_by_role("link", name=name).click()
    expect(inbox.get_by_role("heading", name=name)).to_be_visible()
    expect(inbox.locator(".bubble")).to_have_count(1)

    # Three quick messages, one answer about all of them.
    phone.write(*THREE)
    answer = phone.answered(1)
    assert "R$" in answer and "Funciona" in answer, answer
    for text in THREE:
        expect(inbox.locator(".bubble", has_text=text)).to_have_count(1)
    assert _texts(whatsapp, lead) == [answer_of(whatsapp, lead)], "three messages, one answer"

    # A voice note: kept, played, and told that nobody here can hear it.
    phone.page.get_by_label("Anexar").click()
    phone.page.get_by_role("menuitem", name="Amostra: mensagem de voz").click()
    assert "Pode me escrever" in phone.answered(2)
    inbox.get_by_role("button", name="Ouvir").click()
    expect(inbox.get_by_role("button", name="Pausar")).to_be_visible()

    # A person is asked for: told once, and shown to those who attend.
    phone.write("quero falar com uma pessoa por favor")
    assert re.search(r"avisei o time|Vou chamar", phone.answered(3))
    expect(inbox.get_by_text(f"{name} espera por uma pessoa").first).to_be_visible()
    phone.write("tem alguém aí?")
    expect(inbox.locator(".bubble", has_text="tem alguém aí?")).to_be_visible()

    inbox.get_by_role("button", name="Assumir").click()
    expect(inbox.locator(".head-state")).to_contain_text("com você")
    box = inbox.get_by_label(f"Mensagem para {name}")
    box.fill(ANA)
    box.press("Enter")
    assert ANA in phone.answered(4)
    phone.write("pode sim Ana, obrigado")
    expect(inbox.locator(".bubble", has_text="pode sim Ana")).to_be_visible()
    wait_until(lambda: not _turns_waiting(served), seconds=20)
    box.fill("Mando ainda hoje.")
    box.press("Enter")
    assert "Mando ainda hoje." in phone.answered(5), "the bot said nothing in between"

    # Handed back, and a meeting is booked.
    inbox.get_by_role("button", name="Devolver ao robô").click()
    expect(inbox.get_by_role("button", name="Assumir")).to_be_visible()
    phone.write("dá pra marcar uma conversa na semana que vem?")
    assert "Qual fica melhor" in phone.answered(6)
    offered = phone.theirs.last.inner_text()
    phone.theirs.last.locator(".choice").click()  # a list: more times than the words name
    assert phone.page.get_by_role("radio").count() > 3
    phone.page.get_by_role("radio").first.check()
    phone.page.get_by_role("button", name="Enviar", exact=True).last.click()
    booked = phone.answered(7)
    assert booked.split("Marcado: ")[1].split(",")[0] in offered, "the time that was chosen"
    expect(phone.theirs.last.get_by_role("link", name="Entrar na conversa")).to_be_visible()

    # Everything left once, in this order, and was read; both parties saw the same.
    assert [one["type"] for one in whatsapp.sent(lead)] == ["template", *["text"] * 5, *["interactive"] * 2]
    keys = [one["biz_opaque_callback_data"] for one in whatsapp.sent()]
    assert len(keys) == len(set(keys))
    wait_until(lambda: [one["status"] for one in whatsapp.ours(lead)] == ["read"] * 8, seconds=20)
    expect(inbox.locator(".message.out").get_by_role("img", name="lida")).to_have_count(8)

    # The CRM shows it all: the conversation, who wrote, the stage, the meeting.
    known = inbox.locator(".side")
    expect(known).to_contain_text("Reunião marcada")
    expect(known).not_to_contain_text("meeting_")
    record = _tab(chat)
    for kind in ("con_", "deal_"):
        record.goto(f"{served.url}{known.locator(f'.records a[href*={kind}]').get_attribute('href')}")
        history = record.locator("mutirao-view")
        expect(history).to_contain_text("Conversa marcada pelo WhatsApp")
        expect(history).to_contain_text(THREE[0])
    expect(history).to_contain_text("De Contato feito para Qualificado")
    record.goto(f"{served.url}/chat/view/crm_board")
    column = record.locator(".view-column", has=record.locator("h3", has_text="Qualificado"))
    expect(column.locator(".view-title")).to_have_text(re.compile(name, re.IGNORECASE))
    assert chat.broken == [] and chat.hosts == {f"127.0.0.1:{served.port}"}


def _tab(chat: Chat) -> Page:
    """One more page of the same person, whose hosts and mishaps are noted too."""
    page = chat.page.context.new_page()
    page.on("request", lambda request: chat._heard(request.url))
    page.on("pageerror", lambda error: chat.broken.append(str(error)))
    return page


def _texts(whatsapp: WhatsApp, lead: str) -> list[str]:
    return [str(one[one["type"]]) for one in whatsapp.sent(lead) if one["type"] != "template"]


def answer_of(whatsapp: WhatsApp, lead: str) -> str:
    return _texts(whatsapp, lead)[-1]


def _turns_waiting(served: Served) -> int:
    postgres = Postgres.start(served.folder / "var")
    try:
        with psycopg.connect(postgres.app_dsn) as conn:
            row = conn.execute(
                "SELECT count(*) FROM procrastinate_jobs WHERE task_name = 'chat_turn' AND status IN ('todo', 'doing')"
            ).fetchone()
            return int(row[0]) if row else 0
    finally:
        postgres.stop()
