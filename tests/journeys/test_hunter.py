"""The sales director's sentence, from a chat without any key to leads in the CRM: companies that exist, told as they
are found, scored and saved once; asked again it finds the next ones; its scores can be asked about; nothing is sent.

What came out is compared with what the sandbox's companies really are (integrations/sandbox_companies.py), which no
part of the product reads: it only sees what their simulators answer over HTTP.
"""

import re
import unicodedata
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Browser, expect
from psycopg.rows import dict_row

from business.approvals.model import ProposalState
from business.crm.identity import KeyKind
from business.crm.model import Company, CompanyData, Outcome, Source
from business.prospecting.rules import default_rules
from business.prospecting.score import Verdict
from business.prospecting.searches import Candidate, Search
from core.tenancy import Role
from core.turn import StepFinished, StepLine, StepStarted
from integrations import sandbox_companies as sandbox
from tests.conftest import Dsns
from tests.journeys.conftest import House
from tests.journeys.test_browser import Chat, Served, browser, served

__all__ = ["browser", "served"]

SENTENCE = "ache 20 escritórios de arquitetura em Campinas com mais de 3 anos e fale com os melhores"
ARCHITECTURE = 7111100
TODAY = date(2026, 11, 20)


def matching(today: date) -> dict[str, sandbox.SandboxCompany]:
    """The companies of the sandbox that the sentence means, by CNPJ."""
    return {
        one.cnpj: one
        for one in sandbox.companies()
        if one.city.name == "Campinas"
        and ARCHITECTURE in (one.cnae, *one.further_cnaes)
        and one.active
        and one.head_office
        and one.older_than(3, today)
    }


def plain(text: str) -> str:
    bare = unicodedata.normalize("NFKD", text)
    return re.sub(r"\W+", " ", "".join(c for c in bare if not unicodedata.combining(c))).strip().casefold()


def digits(text: str) -> str:
    """The last eight of a telephone: what all its writings have in common."""
    return re.sub(r"\D", "", text)[-8:]


# --- at the door, with every assertion ------------------------------------------------------------


class Desk:
    """The sales director's view of a house, and the test's own view behind it."""

    def __init__(self, house: House, owner_dsn: str) -> None:
        self.house = house
        self.owner_dsn = owner_dsn

    async def say(self, text: str) -> Any:
        self.house.events.clear()
        return await self.house.ask(text, "conv_hunt", Role.DIRETOR)

    def lines(self) -> list[str]:
        """What was shown while a tool's step ran."""
        running: set[str] = set()
        told = []
        for event in self.house.events:
            if isinstance(event, StepStarted) and event.kind == "tool":
                running.add(event.step_id)
            elif isinstance(event, StepFinished):
                running.discard(event.step_id)
            elif isinstance(event, StepLine):
                assert event.step_id in running, "told after its step was over"
                told.append(event.text)
        return told

    async def searches(self) -> list[Search]:
        """Oldest first."""
        who = await self.house.person(Role.DIRETOR)
        return list(reversed(await self.house.services.searches.latest(who, 100)))

    async def candidates(self, search: Search) -> list[Candidate]:
        return await self.house.services.searches.candidates(await self.house.person(Role.DIRETOR), search.id)

    async def companies(self) -> list[Company]:
        """Every company of the CRM, as the service tells it."""
        who = await self.house.person(Role.DIRETOR)
        rows = self.behind("SELECT id FROM crm_companies WHERE merged_into IS NULL ORDER BY id")
        return [await self.house.services.crm.company(who, row["id"]) for row in rows]

    def behind(self, query: str) -> list[dict[str, Any]]:
        with psycopg.connect(self.owner_dsn, row_factory=dict_row) as conn:
            return conn.execute(query.encode()).fetchall()


def assert_true(company: Company, real: sandbox.SandboxCompany) -> None:
    """Every field is what a source of the sandbox tells, and says which and when."""
    web = real.website
    assert plain(company.legal_name or "") in ("", plain(real.legal_name))
    known_as = {plain(real.trade_name), plain(real.registered_trade_name), plain(real.legal_name), ""}
    assert plain(company.trade_name or "") in known_as
    assert company.main_cnae == str(real.cnae).zfill(7)
    assert company.opened_on == real.opened
    assert plain(company.city or "").startswith("campinas") and company.city_code == str(real.city.ibge)
    assert company.cep in (None, real.address.cep)
    assert company.cnpj == real.cnpj
    if company.website:
        assert web is not None and web.host in company.website
    printed = [*(web.phones if web else ()), *([web.whatsapp] if web and web.whatsapp else [])]
    listed = [real.maps.phone] if real.maps and real.maps.phone else []
    phones = {digits(one) for one in (*real.phones, *printed, *listed)}
    assert {digits(key.given) for key in company.keys if key.kind is KeyKind.PHONE} <= phones
    emails = {one for one in (web.email if web else None, real.email) if one}
    assert {key.given for key in company.keys if key.kind is KeyKind.EMAIL} <= emails
    for name in ("legal_name", "main_cnae", "opened_on", "city", "website", "address", "cep", "size"):
        if getattr(company, name) is not None:
            fact = company.facts[name]
            assert fact.source and fact.reference and fact.at, name
    assert all(key.source and key.reference and key.at for key in company.keys)
    assert company.purpose


async def test_the_sentence_becomes_twenty_true_leads_and_said_again_the_next_ones(house: House, dsns: Dsns) -> None:
    desk, services = Desk(house, dsns.owner), house.services
    director = await house.person(Role.DIRETOR)
    meant = matching(TODAY)

    # Somebody of the house knows one of them already, which the registry tells early, and has named it themselves.
    listed = [one for one in meant.values() if one.phones and one.maps and one.website and one.website.state == "ok"]
    friend = min((one for one in listed if "shared_phone" not in one.traps), key=lambda one: one.cnpj)
    known = await services.crm.upsert_company(
        director,
        CompanyData(
            Source("person", "chat", by_person=True), trade_name=friend.trade_name, city="Campinas/SP",
            keys=((KeyKind.CNPJ, friend.cnpj),), tags=("amigos",),
        ),
    )  # fmt: skip
    assert known.outcome is Outcome.CREATED

    reply = await desk.say(SENTENCE)
    assert [part["to"] for part in reply.route] == ["hunter"], reply.route
    (search,) = await desk.searches()
    found = await desk.candidates(search)
    qualified = [one for one in found if one.verdict is Verdict.QUALIFIED]
    assert len(qualified) == 20 and search.progress.qualified == 20
    assert {one.cnpj for one in found} <= set(meant), "found what was not asked for"
    assert all(70 <= one.score <= 100 for one in qualified)
    assert all(0 <= one.score < 70 for one in found if one not in qualified)
    assert all(one.reasons() for one in found)

    # Told as found: each by name, before the answer; whom is looked for, too.
    lines = desk.lines()
    assert [one.name for one in found if not any(str(one.name) in line for line in lines)] == []
    text = "\n".join([*lines, reply.text])
    for words in ("arquitetura", "Campinas", "2023"):  # older than three years: opened before the end of 2023
        assert words in text, words

    # Looked at: one table, a row a company, the score in it.
    table = next(one for one in reply.tables if len(one.rows) >= 20)
    for one in qualified:
        assert any(one.name in row and str(one.score) in row for row in table.rows), one.name

    # In the CRM once, true, with source, day and purpose; a deal on the first stage and an event each.
    companies = await desk.companies()
    by_cnpj = {one.cnpj: one for one in companies}
    assert len(by_cnpj) == len(companies)
    saved = {one.cnpj for one in qualified}
    assert set(by_cnpj) == saved
    for cnpj in saved:
        assert_true(by_cnpj[cnpj], meant[str(cnpj)])
    merged = by_cnpj[friend.cnpj]  # with what was said of it and what the registry adds
    assert merged.id == known.id and merged.trade_name == friend.trade_name and "amigos" in merged.tags
    assert merged.opened_on == friend.opened and merged.facts["opened_on"].source != "person"
    first_stage = (await services.crm.stages(director))[0]
    deals = await services.crm.deals(director, limit=100)
    assert sorted(str(one.company_id) for one in deals) == sorted(by_cnpj[one].id for one in saved)
    assert {one.stage.id for one in deals} == {first_stage.id}
    assert {one.owner_id for one in deals} == {director.user_id}
    events = desk.behind("SELECT subject_id, count(*) AS n FROM crm_events WHERE kind = 'LeadQualified' GROUP BY 1")
    assert {one["subject_id"]: one["n"] for one in events} == {by_cnpj[one].id: 1 for one in saved}

    # "Fale com os melhores": drafts that wait for a person, on one card; nothing was sent.
    (batch,) = await services.approvals.list(director)
    assert len(reply.proposals) == 1
    assert (batch.state, batch.effect, batch.change.kind) == (ProposalState.PENDING, "SEND", "first_contacts")
    drafts = batch.change.data["messages"]
    assert 2 <= len(drafts) <= 5
    best = sorted((one.score for one in qualified), reverse=True)[: len(drafts)]
    named = [next(c for c in qualified if c.id == one["candidate"]) for one in drafts]
    assert sorted((one.score for one in named), reverse=True) == best
    words = (reply.text + " ".join(card.title for card in reply.proposals)).casefold()
    assert not re.search(r"\b(enviei|mandei|foi enviada|foram enviadas)\b", words)

    # Why the third has what it has: from the rule file and the evidence, line by line, and it adds up.
    third = next(one for one in found if one.name in table.rows[2])
    reply = await desk.say(f"por que a terceira tem {third.score}?")
    assert f"{third.name}" in reply.text and re.search(rf"\b{third.score}\b", reply.text)
    assert third.rules_version == default_rules().version and third.rules_version in reply.text
    (lines,) = reply.tables
    place = lines.columns.index("Pontos")
    points = sum((Decimal(row[place].replace(",", ".")) for row in lines.rows), Decimal(0))
    assert abs(points - third.score) <= 1, points
    assert len(lines.rows) >= 12 and all(any("Minha Receita" in cell for cell in row) for row in lines.rows[:3])
    reply = await desk.say("por que a terceira tem 12?")
    assert f"{third.score}, não 12" in reply.text

    # Said again: others, as many as there are; nothing is there twice.
    reply = await desk.say(SENTENCE)
    _, again = await desk.searches()
    more = await desk.candidates(again)
    assert {one.cnpj for one in more}.isdisjoint({one.cnpj for one in found})
    assert {one.cnpj for one in more} <= set(meant)
    assert [one for one in more if one.verdict is Verdict.QUALIFIED]
    companies = await desk.companies()
    assert len({one.cnpj for one in companies}) == len(companies)
    assert {one.cnpj for one in companies} == {one.cnpj for one in (*found, *more) if one.verdict is Verdict.QUALIFIED}
    assert len(await services.crm.deals(director, limit=500)) == len(companies)

    # "Not this kind" is told what it changes, and is known in the next search.
    reply = await desk.say("a primeira não é o tipo que eu procuro")
    learnt = await services.searches.learnt(director)
    assert learnt
    assert [one for one in await services.approvals.list(director) if one.state is not ProposalState.PENDING] == []
    assert await house.writes() == []


# --- in the browser -------------------------------------------------------------------------------


@pytest.fixture
def chat(served: Served, browser: Browser) -> Iterator[Chat]:
    chat = Chat(browser, served, viewport={"width": 1280, "height": 1000})
    chat.log_in("diego@ipe.example")
    yield chat
    assert chat.hosts == {f"127.0.0.1:{served.port}"}
    assert chat.broken == []


def test_the_director_sees_them_come_in_asks_why_and_looks_at_the_board(chat: Chat) -> None:
    page = chat.page
    expect(page.locator("#starters button").first).to_be_enabled()
    page.fill("#chat-input", SENTENCE)
    page.click("#chat-submit")
    line = page.get_by_text(re.compile(r"Campinas/SP.*\b\d{1,3}\b"))
    expect(line.first).to_be_visible(timeout=60_000)  # the server has just begun, and so do the registry and the web
    assert page.locator("#stop-button").count(), "shown while the search ran, not after"
    expect(page.locator("#stop-button")).to_have_count(0, timeout=60_000)
    chat.until_answered(SENTENCE)
    table = page.locator("table").first
    expect(table).to_be_visible()
    names = {one.trade_name for one in matching(date.today()).values()}
    names |= {one.legal_name for one in matching(date.today()).values()}
    names = {plain(name) for name in names}
    rows = table.locator("tbody tr")
    assert rows.count() >= 20
    cells = [[plain(cell) for cell in row.locator("td").all_inner_texts()] for row in rows.all()]
    assert all(names & set(row) for row in cells), "a company that the sandbox does not have"
    expect(page.locator("[id^=step-card-]").first).to_contain_text("Esperando a sua decisão")

    score = next(cell for cell in cells[2] if re.fullmatch(r"\d{2,3}", cell) and cell != "3")
    chat.ask(f"por que a terceira tem {score}?")
    assert score in chat.answer and "ponto" in chat.answer
    chat.ask("mostra meus leads")
    board = page.locator("mutirao-view").last
    expect(board.locator(".view-card").first).to_be_visible()
    cards = {plain(card) for card in board.locator(".view-card").all_inner_texts()}
    assert len(cards) >= 8 and all(any(name in card for name in names) for card in cards)
