"""The board and the pages of the CRM behind the gate: who sees what, what clicks do, what is there after a reload."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from business.crm.identity import KeyKind
from business.crm.model import CompanyData, ContactData, Source, Stage, StageKind, Subject
from channels.crm_views import CrmViews
from core.clock import FixedClock
from core.door import IncomingMessage, Table, View
from core.money import Money
from core.tenancy import Role
from core.turn import Progress, StepFinished, StepLine, StepStarted
from prompts.texts import Texts
from tests.channels.conftest import Socket, Web

OpenTab = Callable[..., Awaitable[Socket]]
REGISTRY = Source("registry", "https://minhareceita.org/11222333000181")
FILE = Source("import", "contatos.csv, 12")
CLICK = {"do": "move", "once": "one click"}


@dataclass
class Filled:
    """One firm with a person and two deals: the Admin's with a task, and the Comercial's."""

    company: str
    contact: str
    deal: str
    sellers_deal: str
    task: str
    stages: list[Stage]

    def stage(self, kind: StageKind) -> Stage:
        return next(stage for stage in reversed(self.stages) if stage.kind is kind)


@pytest.fixture
async def filled(web: Web, clock: FixedClock) -> Filled:
    crm, who = web.crm, web.admin
    company = await crm.upsert_company(
        who,
        CompanyData(
            source=REGISTRY, trade_name="Estúdio Norte", city="Campinas", uf="SP", main_cnae="7111100", size="small",
            keys=((KeyKind.CNPJ, "11222333000181"),),
        ),
    )  # fmt: skip
    keys = ((KeyKind.PHONE, "(19) 99120-4507"), (KeyKind.EMAIL, "helena@norte.example"))
    contact = await crm.upsert_contact(
        who, ContactData(source=FILE, name="Helena <b>Prado</b>", company_id=company.id, keys=keys, tags=("vip",))
    )
    assert company.id and contact.id
    amount = Money(Decimal("18000"), "BRL")
    deal = await crm.create_deal(who, "Fachada", contact_id=contact.id, company_id=company.id, amount=amount)
    sellers = await crm.create_deal(web.colleague, "Reforma", amount=Money(Decimal("500"), "USD"))
    task = await crm.add_task(who, "Mandar proposta", due_at=clock.now() - timedelta(days=1), deal_id=deal.id)
    return Filled(company.id, contact.id, deal.id, sellers.id, task.id, await crm.stages(who))


async def look(browser: httpx.AsyncClient, kind: str, subject: str = "", **more: Any) -> Any:
    answer = await browser.get("/chat/data/view", params={"kind": kind, "subject": subject, **more})
    return answer.json() if answer.status_code == 200 else answer


async def act(browser: httpx.AsyncClient, kind: str, subject: str = "", /, **did: Any) -> httpx.Response:
    return await browser.post("/chat/data/view", params={"kind": kind, "subject": subject}, json=did)


def cards(board: Any) -> dict[str, str]:
    """Which stage each card stands on, by their names."""
    return {card["title"]: column["name"] for column in board["columns"] for card in column["cards"]}


# --- the board ---------------------------------------------------------------------------------


async def test_the_board_tells_count_sum_by_currency_and_what_stands_on_each_card(
    web: Web, filled: Filled, clock: FixedClock
) -> None:
    clock.advance(timedelta(days=3))
    async with web.logged_in(web.admin) as browser:
        board = await look(browser, "crm_board")
    assert [column["name"] for column in board["columns"]] == [stage.name for stage in filled.stages]
    first = board["columns"][0]
    assert first["count"] == 2 and set(first["sums"]) == {"R$ 18.000,00", "US$ 500,00"}
    card = next(card for card in first["cards"] if card["title"] == "Fachada")
    assert [link["name"] for link in card["about"]] == ["Estúdio Norte", "Helena <b>Prado</b>"]
    assert (card["amount"], card["since"], card["owner"]) == ("R$ 18.000,00", "há 3 dias", web.admin.name)
    assert card["task"]["title"] == "Mandar proposta" and card["task"]["late"]
    assert board["may_change"] and board["words"]["move"] == "Mover"


async def test_a_card_is_moved_won_lost_with_its_reason_and_a_second_click_changes_nothing(
    web: Web, filled: Filled
) -> None:
    lost, won = filled.stage(StageKind.LOST), filled.stage(StageKind.WON)
    async with web.logged_in(web.admin) as browser:
        move = {**CLICK, "deal": filled.deal, "stage": filled.stages[1].id}
        answers = await asyncio.gather(*(act(browser, "crm_board", **move) for _ in range(3)))
        assert {answer.status_code for answer in answers} == {200}
        assert cards(answers[0].json())["Fachada"] == "Contato feito"
        assert answers[0].json()["said"] == "Fachada está em Contato feito."
        again = await act(browser, "crm_board", **{**move, "once": "another click"})
        assert cards(again.json()) == cards(answers[0].json())
        moves = await web.crm.timeline(web.admin, deal_id=filled.deal)
        assert [entry.kind for entry in moves].count("stage") == 1
        ended = await act(browser, "crm_board", do="move", deal=filled.deal, stage=won.id)
        assert cards(ended.json())["Fachada"] == "Ganho"
        ended = await act(browser, "crm_board", do="move", deal=filled.deal, stage=lost.id, reason="preço")
        assert cards(ended.json())["Fachada"] == "Perdido"
        page = await look(browser, "crm_record", filled.deal)
    assert {"label": "Motivo da perda", "value": "preço", "source": "", "url": ""} in page["fields"]


async def test_a_seller_sees_and_moves_their_own_deals_and_a_client_sees_no_board(web: Web, filled: Filled) -> None:
    async with web.logged_in(web.colleague) as browser:
        assert cards(await look(browser, "crm_board")) == {"Reforma": "Novo"}
        theirs = await act(browser, "crm_board", do="move", deal=filled.sellers_deal, stage=filled.stages[2].id)
        assert cards(theirs.json()) == {"Reforma": "Qualificado"}
        others = await act(browser, "crm_board", do="move", deal=filled.deal, stage=filled.stages[2].id)
        assert others.status_code == 404 and others.json() == {"error": "Não encontrei esse registro no CRM."}
        for subject in (filled.company, filled.contact, filled.deal):
            assert (await look(browser, "crm_record", subject)).status_code == 404
        finished = await act(browser, "crm_record", filled.sellers_deal, do="finish_task", task=filled.task)
        assert finished.status_code == 404
    async with web.logged_in(web.tenants.one[Role.CLIENTE]) as browser:
        refused = await look(browser, "crm_board")
        assert refused.status_code == 403 and "não permite" in refused.json()["error"]
    assert (await web.crm.deal(web.admin, filled.deal)).stage == filled.stages[0]


async def test_another_company_sees_and_changes_nothing_by_the_ids_of_this_one(web: Web, filled: Filled) -> None:
    acts: list[tuple[str, dict[str, str]]] = [
        ("", {"do": "move", "deal": filled.deal, "stage": filled.stages[1].id}),
        (filled.contact, {"do": "note", "text": "oi"}),
        (filled.deal, {"do": "task", "title": "oi"}),
        (filled.contact, {"do": "finish_task", "task": filled.task}),
        (filled.company, {"do": "tag", "add": "oi"}),
        (filled.company, {"do": "deal", "title": "oi"}),
        (filled.contact, {"do": "leave_alone"}),
    ]
    async with web.logged_in(web.stranger) as browser:
        assert cards(await look(browser, "crm_board")) == {}
        for subject in (filled.company, filled.contact, filled.deal):
            assert (await look(browser, "crm_record", subject)).status_code == 404
        for subject, did in acts:
            kind = "crm_record" if subject else "crm_board"
            assert (await act(browser, kind, subject, **did)).status_code == 404, did
    async with web.logged_in(web.admin) as browser:
        page = await look(browser, "crm_record", filled.contact)
    assert page["tags"] == ["vip"] and [entry["what"] for entry in page["timeline"]] == ["Negócio aberto"]


async def test_what_is_no_view_no_act_or_no_id_is_refused_in_a_sentence(web: Web, filled: Filled) -> None:
    async with web.logged_in(web.admin) as browser:
        for kind, subject in (
            ("passwords", ""),
            ("crm_record", ""),
            ("crm_record", "user_1"),
            ("crm_record", "con_'--"),
        ):
            answer = await look(browser, kind, subject)
            assert answer.status_code == 404 and answer.json()["error"], kind
        wrong: list[dict[str, Any]] = [
            {"do": "drop"},
            {"do": "move", "deal": filled.deal, "stage": "stage_of_nobody"},
            {"do": "note", "text": "   "},
            {"do": "task", "title": "Ligar", "due": "amanhã"},
            {"do": "deal", "title": "Casa", "amount": "muito"},
            {"do": "note", "text": {"$ne": ""}},
            {},
        ]
        for did in wrong:
            answer = await act(browser, "crm_record", filled.contact, **did)
            assert answer.status_code == 400 and answer.json()["error"], did
        text = await browser.post("/chat/data/view", params={"kind": "crm_board"}, content=b"not json")
        assert text.status_code == 400
    async with web.browser() as browser:
        assert (await look(browser, "crm_board")).status_code == 401
    async with web.logged_in(web.admin) as browser:
        browser.headers["Origin"] = "https://elsewhere.example"
        assert (await act(browser, "crm_record", filled.contact, do="note", text="oi")).status_code == 403


# --- a page ------------------------------------------------------------------------------------


async def test_a_page_tells_each_field_with_its_source_and_what_is_unknown_and_shows_the_score(
    web: Web, filled: Filled
) -> None:
    await web.crm.qualify(web.admin, Subject.COMPANY, filled.company, score=82, reason="Fica em Campinas\nTem site")
    async with web.logged_in(web.admin) as browser:
        page = await look(browser, "crm_record", filled.company)
        person = await look(browser, "crm_record", filled.contact)
    fields = {row["label"]: row for row in page["fields"]}
    city = fields["Cidade"]
    assert city["value"] == "Campinas" and city["url"] == REGISTRY.reference
    assert city["source"].startswith("registro público de empresas, ")
    assert fields["Atividade principal (CNAE)"]["value"] == "7111-1/00" and fields["Porte"]["value"] == "pequeno porte"
    assert fields["Site"]["value"] is None and fields["Site"]["source"] == ""
    assert page["keys"][0]["value"] == "11.222.333/0001-81"
    assert page["score"]["value"] == "82" and page["score"]["reasons"] == ["Fica em Campinas", "Tem site"]
    assert [link["id"] for link in page["linked"]["items"]] == [filled.contact]
    telephone = next(row for row in person["keys"] if row["label"] == "Telefone")
    assert (telephone["value"], telephone["href"]) == ("(19) 99120-4507", "tel:+5519991204507")
    assert telephone["source"].startswith("planilha (contatos.csv, 12), ")


async def test_notes_tasks_tags_and_deals_are_written_once_however_often_a_click_is_sent(
    web: Web, filled: Filled
) -> None:
    async with web.logged_in(web.admin) as browser:
        for did in (
            {"do": "note", "text": "Prefere <script>alert(1)</script> de manhã", "once": "n"},
            {"do": "task", "title": "Ligar", "due": "2026-12-01", "once": "t"},
            {"do": "tag", "add": "Arquitetura, campinas", "once": "g"},
            {"do": "deal", "title": "Nova loja", "amount": "1.234,56", "once": "d"},
        ):
            answers = await asyncio.gather(*(act(browser, "crm_record", filled.contact, **did) for _ in range(3)))
            assert {answer.status_code for answer in answers} == {200}, did
        page = answers[-1].json()
        assert [entry["text"] for entry in page["timeline"] if entry["what"] == "Nota"] == [
            "Prefere <script>alert(1)</script> de manhã"
        ]
        assert [(task["title"], task["due"]) for task in page["tasks"]] == [("Ligar", "até 01/12/2026")]
        assert page["tags"] == ["arquitetura", "campinas", "vip"]
        assert {deal["title"]: deal["amount"] for deal in page["deals"]} == {
            "Fachada": "R$ 18.000,00",
            "Nova loja": "R$ 1.234,56",
        }
        done = await act(browser, "crm_record", filled.contact, do="finish_task", task=page["tasks"][0]["id"])
        assert done.json()["tasks"] == []
        untagged = await act(browser, "crm_record", filled.contact, do="tag", remove="vip")
        assert untagged.json()["tags"] == ["arquitetura", "campinas"]


async def test_who_is_to_be_left_alone_is_on_the_list_once_and_the_page_says_so(web: Web, filled: Filled) -> None:
    async with web.logged_in(web.admin) as browser:
        for once in ("one", "two"):
            left = await act(
                browser, "crm_record", filled.contact, do="leave_alone", reason="Disse por telefone", once=once
            )
        page = left.json()
        no_keys = await act(browser, "crm_record", filled.company, do="leave_alone")
    assert page["blocked"].startswith("Não contatar: pediu para não receber mensagens, desde ")
    assert not page["may_leave_alone"] and all(row["blocked"] for row in page["keys"])
    told = [entry["text"] for entry in page["timeline"] if entry["what"] == "Pediu para não ser contatado"]
    assert told == ["Disse por telefone"]
    assert no_keys.status_code == 400


async def test_a_door_of_text_gets_tables_and_none_of_what_is_not_theirs(
    web: Web, filled: Filled, clock: FixedClock, texts: Texts
) -> None:
    views = CrmViews(web.crm, web.people, texts, clock)
    sums, deals = await views.tables(web.admin, View("crm_board", ""))
    assert sums.rows[0] == ["Novo", "2", "R$ 18.000,00 + US$ 500,00"]
    assert ["Novo", "Fachada", "Estúdio Norte, Helena <b>Prado</b>", "R$ 18.000,00", "desde hoje"] in [
        row[:5] for row in deals.rows
    ]
    for language, sum_, today in (("en", "R$18,000.00", "since today"), ("es", "R$ 18.000,00", "desde hoy")):
        stages, cards_told = await views.tables(replace(web.admin, language=language), View("crm_board", ""))
        assert sum_ in stages.rows[0][2] and cards_told.rows[0][4] == today
    known, *_ = await views.tables(web.admin, View("crm_record", "", filled.company))
    assert ["Site", "não sabemos", ""] in known.rows and "Estúdio Norte" in known.title
    assert await views.tables(web.colleague, View("crm_record", "", filled.company)) == []


# --- in the conversation -----------------------------------------------------------------------


async def test_a_view_stands_in_the_answer_as_a_link_and_is_drawn_on_a_reload_with_todays_rights(
    web: Web, tab: OpenTab, filled: Filled
) -> None:
    web.views = [View("crm_board", "Quadro"), View("crm_record", "A [ficha](x)", filled.company), View("other", "?")]
    web.tables = [
        Table("", ["Etapa"], [["Novo"]] * 30, ["left"], view="crm_board"),
        Table("", ["Tarefa"], [["Ligar"]], ["left"]),
    ]
    socket = await tab(web.colleague)
    await socket.message("mostra o quadro")
    await socket.until(lambda s: "/chat/view/crm_board" in s.texts())
    answer = socket.told("new_message")[-1]["output"]
    page = f"/chat/view/crm_record/{filled.company}"
    table = "| Tarefa |\n|:---|\n| Ligar |"  # what the board shows is not told twice
    assert (
        answer
        == f"Tudo certo.\n\n{table}\n\n[Abrir\\: Quadro](/chat/view/crm_board)\n\n[Abrir\\: A \\[ficha\\](x)]({page})"
    )
    conversation = web.heard[0].conversation_id
    thread = (await socket.browser.get(f"/chat/project/thread/{conversation}")).json()
    assert thread["steps"][-1]["output"] == answer and thread["elements"] == []
    assert cards(await look(socket.browser, "crm_board")) == {"Reforma": "Novo"}
    async with web.db.tenant(web.admin.tenant_id) as conn:
        await conn.execute("update users set role = 'Cliente' where id = %s", (web.colleague.user_id,))
    assert (await look(socket.browser, "crm_board")).status_code == 403


async def test_the_page_of_a_view_runs_our_script_alone_and_shows_nothing_by_itself(web: Web, filled: Filled) -> None:
    async with web.browser() as browser:
        page = await browser.get(f"/chat/view/crm_record/{filled.company}")
        script = await browser.get("/chat/public/views.js")
        odd = await browser.get("/chat/view/crm_record/../../x")
    assert page.status_code == 200 and "Estúdio" not in page.text
    policy = page.headers["content-security-policy"]
    assert "unsafe-eval" not in policy and "frame-ancestors 'none'" in policy
    assert page.text.count("<script") == 1 and "{{nonce}}" not in page.text
    assert script.status_code == 200
    assert not any(word in script.text for word in ("innerHTML", "eval(", "new Function", "insertAdjacentHTML"))
    assert odd.status_code == 404


async def test_what_a_running_step_finds_grows_line_by_line_and_is_there_after_a_reload(web: Web, tab: OpenTab) -> None:
    async def play(_: IncomingMessage, progress: Progress) -> None:
        progress(StepStarted("s1", "tool", "find_companies", "Procurando"))
        progress(StepLine("s1", "Ateliê | Cambuí — 82"))
        progress(StepLine("s1", "Traço — 71"))
        progress(StepFinished("s1", 2.0, True, "2 empresas"))

    web.play = play
    socket = await tab(web.admin)
    await socket.message("ache")
    await socket.until(lambda s: "2 empresas" in s.texts())
    shown = [step["output"] for step in socket.told("update_message") if step["name"].startswith("Procurando")]
    first, both = "- Ateliê \\| Cambuí — 82", "- Ateliê \\| Cambuí — 82\n- Traço — 71"
    assert [one for one in shown if one] == [first, both, f"{both}\n\n2 empresas"]
    await socket.until(lambda s: s.told("task_end"))
    thread = (await socket.browser.get(f"/chat/project/thread/{web.heard[0].conversation_id}")).json()
    (kept,) = [step for step in thread["steps"] if step["type"] == "tool"]
    assert kept["output"] == f"{both}\n\n2 empresas" and not kept["defaultOpen"]


async def test_what_a_search_announces_later_is_shown_on_the_page_that_began_it_and_on_one_opened_meanwhile(
    web: Web, tab: OpenTab
) -> None:
    web.drafts = True
    first = await tab(web.admin)
    await first.message("ache 20 escritórios")
    await first.until(lambda s: "Tudo certo." in s.texts())
    conversation = web.heard[0].conversation_id
    second = await tab(web.admin, conversation, str(uuid.uuid4()))
    await second.until(lambda s: s.told("resume_thread"))
    await web.conversations.announce(web.admin.tenant_id, conversation, "Achei as 20.")
    await web.conversations.announce(web.admin.tenant_id, conversation, "E mais uma coisa.")
    for socket in (first, second):
        await socket.until(lambda s: "Achei as 20." in s.texts() and "E mais uma coisa." in s.texts())
        said = [step["output"] for step in socket.told("new_message")]
        assert said.count("Achei as 20.") == 1
