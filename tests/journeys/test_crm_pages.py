"""The board of deals and a contact's page in the chat, in Chromium: drawn, used by keyboard and mouse, found again."""

import asyncio
from datetime import timedelta
from decimal import Decimal

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from business.crm.identity import KeyKind
from business.crm.model import CompanyData, ContactData, Source
from business.crm.service import Crm
from business.people.service import People
from core.clock import SystemClock
from core.db import Database
from core.money import Money
from core.permissions import Permissions
from core.postgres import Postgres
from core.tenancy import Role
from tests.journeys.test_browser import Chat, Served, browser, served  # noqa: F401

REGISTRY = Source("registry", "https://minhareceita.org/11222333000181")
BOARD = "mostra o quadro de negócios"


async def _fill(served: Served) -> None:  # noqa: F811
    """A firm with a person, three deals and a task that is late, in the running server's database."""
    postgres = await asyncio.to_thread(Postgres.start, served.folder / "var")
    db, clock = Database(postgres.app_dsn), SystemClock()
    await db.open()
    try:
        async with db.system() as conn:
            crm = Crm(db, clock, await Permissions.load(conn))
        people = People(db, clock, sandbox=True)
        who = await people.identity_by_role((await people.tenant(None)).id, Role.ADMIN)
        firm = await crm.upsert_company(
            who, CompanyData(source=REGISTRY, trade_name="Estúdio Norte", city="Campinas", uf="SP")
        )
        keys = ((KeyKind.PHONE, "(19) 99120-4507"), (KeyKind.EMAIL, "helena@norte.example"))
        person = await crm.upsert_contact(
            who, ContactData(source=REGISTRY, name="Helena <i>Prado</i>", company_id=firm.id, keys=keys)
        )
        for title, amount in (("Fachada", 18_000), ("Reforma", 500), ("Interiores", 7_250)):
            theirs = title == "Fachada"
            deal = await crm.create_deal(
                who,
                title,
                amount=Money(Decimal(amount), "BRL"),
                contact_id=person.id if theirs else None,
                company_id=firm.id if theirs else None,
            )
            if theirs:
                await crm.add_task(who, "Mandar proposta", due_at=clock.now() - timedelta(days=2), deal_id=deal.id)
    finally:
        await db.close()
        await asyncio.to_thread(postgres.stop)


@pytest.fixture(scope="module")
def filled(served: Served) -> Served:  # noqa: F811
    asyncio.run(_fill(served))
    return served


def _column(page: Page, name: str) -> Locator:
    return page.locator(".view-column", has=page.locator("h3", has_text=name))


def test_the_board_is_used_by_keyboard_and_mouse_a_page_takes_a_note_and_a_reload_shows_it_all(
    filled: Served,
    browser: Browser,  # noqa: F811
) -> None:
    chat = Chat(browser, filled, viewport={"width": 1280, "height": 900})
    page = chat.page
    chat.log_in()
    expect(page.locator("#chat-input")).to_be_visible()
    chat.ask(BOARD)
    board = page.locator("mutirao-view")
    expect(board.get_by_role("heading", name="Negócios", exact=True)).to_be_visible()
    expect(_column(page, "Novo")).to_contain_text("R$ 25.750,00")
    card = board.locator(".view-card", has_text="Fachada")
    expect(card).to_contain_text("Mandar proposta")
    expect(card).to_contain_text("atrasada")

    # By keyboard: opened, chosen, done; the focus is where the card is now, and what was done is said.
    opener = card.get_by_role("button", name="Mover Fachada para")
    opener.focus()
    expect(opener).to_have_attribute("aria-expanded", "false")
    for key in ("Enter", "Tab", "Tab", "Enter"):
        page.keyboard.press(key)
    expect(board.get_by_role("status")).to_have_text("Fachada está em Qualificado.")
    expect(_column(page, "Qualificado").locator(".view-title")).to_have_text("Fachada")
    expect(_column(page, "Novo")).to_contain_text("R$ 7.750,00")
    expect(board.get_by_role("button", name="Fachada", exact=True)).to_be_focused()

    # By mouse: dragged, and lost with its reason.
    board.locator(".view-card", has_text="Reforma").drag_to(board.locator(".view-column").nth(1))
    expect(board.get_by_role("status")).to_have_text("Reforma está em Contato feito.")
    board.get_by_role("button", name="Mover Interiores para").click()
    board.get_by_role("button", name="Perdido", exact=True).click()
    page.get_by_role("dialog").get_by_label("Motivo").fill("sem verba")
    page.get_by_role("dialog").get_by_role("button", name="Marcar como perdido").click()
    expect(board.get_by_role("status")).to_have_text("Interiores está em Perdido.")
    expect(_column(page, "Perdido")).to_contain_text("sem verba")

    # A person's page: what is known and from where, what is not, and a note.
    card.get_by_role("button", name="Helena").click()
    expect(board.get_by_role("heading", name="Helena <i>Prado</i>")).to_be_focused()
    expect(board.get_by_text("registro público de empresas").first).to_be_visible()
    expect(board.get_by_text("não sabemos").first).to_be_visible()
    board.get_by_role("button", name="Anotar").click()
    page.keyboard.type("Prefere <b>manhã</b>")
    board.get_by_role("button", name="Guardar").dblclick()
    expect(board.locator(".view-text", has_text="Prefere <b>manhã</b>")).to_have_count(1)
    board.get_by_role("button", name="Voltar").click()
    expect(board.get_by_role("heading", name="Negócios", exact=True)).to_be_visible()

    page.goto(filled.url)
    page.locator("a[href*='/thread/']", has_text=BOARD).click()
    expect(_column(page, "Qualificado").locator(".view-title")).to_have_text("Fachada")
    assert chat.hosts == {f"127.0.0.1:{filled.port}"}
    assert chat.broken == []


def test_on_a_phone_the_board_scrolls_in_its_own_place_and_a_page_of_its_own_opens(
    filled: Served,
    browser: Browser,  # noqa: F811
) -> None:
    chat = Chat(browser, filled, viewport={"width": 390, "height": 844}, has_touch=True)
    page = chat.page
    chat.log_in()
    expect(page.locator("#chat-input")).to_be_visible()
    chat.ask(BOARD)
    expect(page.locator("mutirao-view .view-card").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    mover = page.get_by_role("button", name="Mover Reforma para").bounding_box()
    assert mover and mover["height"] >= 32, "a thumb hits it"
    page.goto(f"{filled.url}/chat/view/crm_board")
    expect(page.get_by_role("heading", name="Negócios", exact=True)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert chat.broken == []
