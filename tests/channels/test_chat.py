"""The chat as the page sees it: what it is told while a turn runs, what its buttons do, what it finds again."""

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable

import pytest

from business.approvals.model import ProposalState
from core.door import Chart, IncomingMessage, Series, Table
from core.errors import Refused
from core.tenancy import Role
from core.turn import Progress, StepFinished, StepStarted, TextChunk, TextWithdrawn
from tests.channels.conftest import Socket, Web

OpenTab = Callable[..., Awaitable[Socket]]

SPEND = Chart("Gasto por dia", "line", ["18/11", "19/11"], [Series("Gasto", [10.0, None])], "BRL")


async def test_a_turn_shows_its_steps_its_text_as_it_comes_its_table_and_its_chart(web: Web, tab: OpenTab) -> None:
    async def play(_: IncomingMessage, progress: Progress) -> None:
        progress(StepStarted("s1", "crew", "ads", "Analista de anúncios"))
        progress(StepStarted("s2", "tool", "ads_report", "Lendo o relatório", "s1"))
        progress(StepFinished("s2", 0.42, True, "12 linhas"))
        progress(StepFinished("s1", 1.25, True))
        for piece in ("Você ", "gastou ", "R$ 10,00."):
            progress(TextChunk(piece))

    web.play, web.text = play, "Você gastou R$ 10,00."
    web.tables = [Table("Dias", ["Dia", "Gasto"], [["18/11", "R$ 10,00"], ["19/11", "sem dados"]], ["left", "right"])]
    web.charts = [SPEND]
    socket = await tab(web.admin)
    await socket.message("Como foi?")
    element = await socket.until(lambda s: s.told("element"))
    await socket.until(lambda s: s.told("task_end"))
    steps = {step["name"]: step for step in socket.told("update_message")}
    crew, tool = steps["Analista de anúncios · 1,3 s"], steps["Lendo o relatório · 0,4 s"]
    assert tool["parentId"] == crew["id"] and tool["output"] == "12 linhas" and crew["end"]
    assert [piece["token"] for piece in socket.told("stream_token")] == ["gastou ", "R$ 10,00."]
    answer = socket.told("new_message")[-1]
    assert answer["output"].startswith("Você gastou R$ 10,00.")
    assert "| Dia | Gasto |\n|:---|---:|\n| 18/11 | R$ 10,00 |" in answer["output"]
    assert element[0]["forId"] == answer["id"] and element[0]["type"] == "plotly"
    figure = (await socket.browser.get(element[0]["url"])).json()
    assert figure["data"][0]["y"] == [10.0, None] and figure["layout"]["separators"] == ",."


async def test_text_that_is_withdrawn_leaves_the_page(web: Web, tab: OpenTab) -> None:
    async def play(_: IncomingMessage, progress: Progress) -> None:
        progress(TextChunk("Palpite errado"))
        progress(TextWithdrawn())
        progress(TextChunk("Certo"))

    web.play, web.text = play, "Certo."
    socket = await tab(web.admin)
    await socket.message("Como foi?")
    await socket.until(lambda s: "Certo." in s.texts())
    guess, answer = socket.told("stream_start")
    assert [gone["id"] for gone in socket.told("delete_message")] == [guess["id"]]
    assert socket.told("new_message")[-1]["id"] == answer["id"]


async def test_the_stop_button_ends_the_turn_with_what_is_there(web: Web, tab: OpenTab) -> None:
    begun = asyncio.Event()

    async def play(_: IncomingMessage, progress: Progress) -> None:
        progress(StepStarted("s1", "tool", "ads_report", "Lendo"))
        begun.set()
        await asyncio.sleep(60)

    web.play = play
    socket = await tab(web.admin)
    await socket.message("Como foi?")
    await asyncio.wait_for(begun.wait(), 10)
    await socket.say("stop")
    await socket.until(lambda s: "Parei aqui." in s.texts())
    assert "manually" not in socket.texts()
    assert any("não concluído" in step["name"] for step in socket.told("update_message"))
    await socket.message("E agora?")
    await socket.until(lambda s: len(web.heard) == 2)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (Refused("conversation_not_yours"), "Comece uma nova"),
        (RuntimeError("token EAAB-secret at /root/app.py"), "Algo deu errado do nosso lado"),
    ],
)
async def test_a_failed_turn_is_told_in_a_calm_sentence(web: Web, tab: OpenTab, error: Exception, said: str) -> None:
    async def play(_: IncomingMessage, __: Progress) -> None:
        raise error

    web.play = play
    socket = await tab(web.admin)
    await socket.message("Como foi?")
    await socket.until(lambda s: said in s.texts())
    assert "secret" not in json.dumps(socket.told())


async def test_the_role_is_read_anew_at_every_message(web: Web, tab: OpenTab) -> None:
    socket = await tab(web.admin)
    await socket.message("Primeira")
    await socket.until(lambda _: len(web.heard) == 1)
    async with web.db.tenant(web.admin.tenant_id) as conn:
        await conn.execute("update users set role = 'Comercial' where id = %s", (web.admin.user_id,))
    await socket.message("Segunda")
    await socket.until(lambda _: len(web.heard) == 2)
    assert [message.identity.role for message in web.heard] == [Role.ADMIN, Role.COMERCIAL]


async def test_an_attached_file_is_kept_by_us_and_found_again(web: Web, tab: OpenTab) -> None:
    socket = await tab(web.admin)
    put = await socket.browser.post(
        f"/chat/project/file?session_id={socket.session_id}", files={"file": ("gastos.csv", b"dia;gasto\n", "text/csv")}
    )
    await socket.message("Analise", files=[put.json()["id"]])
    await socket.until(lambda _: web.heard)
    (attachment,) = web.heard[0].attachments
    assert (attachment.name, attachment.mime, attachment.size) == ("gastos.csv", "text/csv", 10)
    assert await web.files.read(web.admin.tenant_id, attachment.file_id) == b"dia;gasto\n"
    address = f"/chat/data/files/{attachment.file_id}"
    await socket.until(lambda s: any(element["url"] == address for element in s.told("element")))
    thread = (await socket.browser.get(f"/chat/project/thread/{web.heard[0].conversation_id}")).json()
    assert [element["url"] for element in thread["elements"]] == [address]


# --- proposals ---------------------------------------------------------------------------------


async def _proposed(web: Web, socket: Socket, amount: str = "150.00") -> str:
    web.proposes = amount
    await socket.message("Aumenta o orçamento")
    (proposal_id,) = await socket.until(
        lambda s: [b.removeprefix("reject-card-") for b in s.buttons() if b.startswith("reject-")]
    )
    return str(proposal_id)


async def test_a_proposal_is_approved_once_executed_and_offers_to_undo(web: Web, tab: OpenTab) -> None:
    socket = await tab(web.admin)
    proposal = await _proposed(web, socket)
    assert socket.buttons() == {f"{name}-card-{proposal}" for name in ("approve", "edit", "reject")}
    assert "Esperando a sua decisão" in socket.texts() and "R$ 150,00" in socket.texts()
    clicks = await asyncio.gather(*(socket.click("approve", proposal) for _ in range(3)))
    assert {click.status_code for click in clicks} == {200}
    await socket.until(lambda s: s.buttons() == {f"undo-card-{proposal}"})
    assert (web.budget.writes, web.budget.amount) == (1, "150.00")

    await socket.click("undo", proposal)
    (undo,) = await socket.until(lambda s: [b for b in s.buttons() if b.startswith("approve-")])
    assert web.budget.amount == "150.00"  # undoing is a proposal with its own yes
    await socket.until(lambda s: f"undo-card-{proposal}" not in s.buttons())
    await socket.click("approve", undo.removeprefix("approve-card-"))
    assert web.budget.amount == "100.00"


async def test_a_rejected_proposal_changes_nothing_and_loses_its_buttons(web: Web, tab: OpenTab) -> None:
    socket = await tab(web.admin)
    proposal = await _proposed(web, socket)
    await socket.click("reject", proposal)
    await socket.until(lambda s: not s.buttons())
    assert web.budget.writes == 0
    await socket.click("approve", proposal)
    await socket.until(lambda s: "já foi rejeitada" in s.texts())
    assert web.budget.writes == 0


async def test_an_edited_proposal_replaces_the_old_one(web: Web, tab: OpenTab) -> None:
    socket = await tab(web.admin)
    proposal = await _proposed(web, socket)
    await socket.click("edit", proposal)
    question = await socket.until(lambda s: s.told("ask"))
    assert "150,00" in question[0]["msg"]["output"]


async def test_a_role_taken_away_is_gone_at_the_next_click(web: Web, tab: OpenTab) -> None:
    socket = await tab(web.admin)
    proposal = await _proposed(web, socket)
    async with web.db.tenant(web.admin.tenant_id) as conn:
        await conn.execute("update users set role = 'Comercial' where id = %s", (web.admin.user_id,))
    await socket.click("approve", proposal)
    await socket.until(lambda s: "cabe a Admin ou Diretor" in s.texts())
    assert web.budget.writes == 0
    assert f"approve-card-{proposal}" not in socket.buttons()


async def test_who_may_not_approve_is_not_offered_to(web: Web, tab: OpenTab) -> None:
    socket = await tab(web.colleague)
    proposal = await _proposed(web, socket)
    assert socket.buttons() == {f"{name}-card-{proposal}" for name in ("edit", "reject")}
    await socket.click("approve", proposal)
    await socket.until(lambda s: "cabe a Admin ou Diretor" in s.texts())
    assert web.budget.writes == 0


async def test_a_click_carries_only_the_id_and_a_foreign_id_is_unknown(web: Web, tab: OpenTab) -> None:
    foreign = await web.propose(web.stranger, str(uuid.uuid4()))
    socket = await tab(web.admin)
    await socket.click("approve", foreign.id)
    await socket.until(lambda s: "Não encontrei essa proposta" in s.texts())
    assert web.budget.writes == 0


async def test_a_reopened_conversation_shows_its_pending_proposal_with_working_buttons(web: Web, tab: OpenTab) -> None:
    web.proposes = "150.00"
    conversation = await web.conversation_of(web.admin, "Aumenta o orçamento")
    (pending,) = await web.approvals.list(web.admin, state=ProposalState.PENDING)
    socket = await tab(web.admin, thread_id=conversation)
    (thread,) = await socket.until(lambda s: s.told("resume_thread"))
    assert [step["id"] for step in thread["steps"]][-1] == f"card-{pending.id}"
    assert f"approve-card-{pending.id}" in socket.buttons()
    await socket.click("approve", pending.id)
    await socket.until(lambda s: s.buttons() == {f"undo-card-{pending.id}"})
    assert web.budget.writes == 1


# --- history -----------------------------------------------------------------------------------


async def test_a_thumb_on_a_running_page_is_kept_for_the_stored_answer(web: Web, tab: OpenTab) -> None:
    socket = await tab(web.admin)
    await socket.message("Como foi?")
    await socket.until(lambda s: "Tudo certo." in s.texts())
    run = next(step for step in socket.told("new_message") if step["name"] == "on_message")
    body = {"feedback": {"forId": run["id"], "value": 0, "comment": "faltou a conta"}, "sessionId": socket.session_id}
    first = await socket.browser.put("/chat/feedback", json=body)
    assert first.status_code == 200
    thread_id = web.heard[0].conversation_id
    thread = (await socket.browser.get(f"/chat/project/thread/{thread_id}")).json()
    (kept,) = [step["feedback"] for step in thread["steps"] if step.get("feedback")]
    assert (kept["value"], kept["comment"]) == (0, "faltou a conta")
    # The same thumb again, now from the reopened page, and then taken back.
    body["feedback"] = {"forId": kept["forId"], "value": 1}
    again = await socket.browser.put("/chat/feedback", json=body)
    async with web.db.tenant(web.admin.tenant_id) as conn:
        rows = await (await conn.execute("select value from feedback")).fetchall()
    assert [row["value"] for row in rows] == [1]
    gone = {"feedbackId": again.json()["feedbackId"]}
    assert (await socket.browser.request("DELETE", "/chat/feedback", json=gone)).status_code == 200


async def test_nobody_thumbs_the_answers_of_another_person(web: Web) -> None:
    conversation = await web.conversation_of(web.admin)
    async with web.logged_in(web.admin) as browser:
        thread = (await browser.get(f"/chat/project/thread/{conversation}")).json()
    run = thread["steps"][1]["id"]
    for other in (web.colleague, web.stranger):
        async with web.logged_in(other) as browser:
            body = {"feedback": {"forId": run, "value": 1}, "sessionId": "s"}
            answer = await browser.put("/chat/feedback", json=body)
            assert answer.status_code == 500 and "feedback refused" in answer.text


async def test_conversations_are_listed_searched_renamed_and_deleted(web: Web) -> None:
    first = await web.conversation_of(web.admin, "Gasto de outubro")
    second = await web.conversation_of(web.admin, "100% de alcance_real")
    card = await web.propose(web.admin, first)

    async def listed(search: str | None = None, number: int = 20, cursor: str | None = None) -> list[str]:
        body = {"pagination": {"first": number, "cursor": cursor}, "filter": {"search": search}}
        return [thread["id"] for thread in (await browser.post("/chat/project/threads", json=body)).json()["data"]]

    async with web.logged_in(web.admin) as browser:
        assert sorted(await listed()) == sorted([first, second])
        page = await listed(number=1)
        assert page + await listed(number=1, cursor=page[0]) == await listed()
        assert await listed("outubro") == [first]
        assert await listed("100%") == [second] and await listed("alcance_real") == [second]
        assert await listed("%x_") == []
        await browser.put("/chat/project/thread", json={"threadId": first, "name": "Fechamento"})
        assert (await browser.get(f"/chat/project/thread/{first}")).json()["name"] == "Fechamento"
        await browser.request("DELETE", "/chat/project/thread", json={"threadId": first})
        assert await listed() == [second]
        assert (await browser.get(f"/chat/project/thread/{first}")).status_code == 404
    assert (await web.approvals.get(web.admin, card.id)).conversation_id is None  # what was proposed stays on record


async def test_a_long_table_comes_whole_as_a_file(web: Web) -> None:
    rows = [[f"=Campanha {n}", f"-{n},0%"] for n in range(30)]
    web.tables = [Table("Campanhas", ["Campanha", "Mudança"], rows, ["left", "right"])]
    conversation = await web.conversation_of(web.admin)
    async with web.logged_in(web.admin) as browser:
        thread = (await browser.get(f"/chat/project/thread/{conversation}")).json()
        (element,) = thread["elements"]
        file = await browser.get(element["url"])
    assert "Mostro 20 de 30 linhas" in thread["steps"][-1]["output"]
    lines = file.content.decode("utf-8-sig").splitlines()
    assert lines[:2] == ["Campanha;Mudança", "'=Campanha 0;-0,0%"] and len(lines) == 31
    async with web.logged_in(web.stranger) as browser:
        assert (await browser.get(element["url"])).status_code == 404
