"""The attendants' inbox behind the gate: who sees and does what, what is told of each message, files, live changes."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import httpx
import pytest
from psycopg.types.json import Jsonb

from business.crm.identity import KeyKind
from business.crm.model import ContactData, Source
from business.messaging.channels import Channel
from business.messaging.consent import Act, Entry, How, Scope
from business.messaging.ledger import Ledger
from business.sales.evidence import Evidence, Slot
from business.sales.stages import Stage
from channels import inbox_pages
from channels.commands import calendar
from channels.inbox_pages import InboxPages
from core.clock import FixedClock
from core.tenancy import Identity, Role
from prompts.texts import Texts
from tests.channels.conftest import Web
from tests.channels.outside import decided
from tests.conftest import until

SAMPLES = Path(__file__).parents[2] / "channels" / "chat_assets" / "public" / "phone_samples"
DATA = "/chat/data/inbox"
WEBP = b"RIFF\x1a\0\0\0WEBPVP8L\r\0\0\0\x2f\0\0\0\x10\x07\x10\x11\x11\x88\x88\xfe\x07\0"
HOSTILE = "<img src=x onerror=alert(1)>"


@dataclass
class Talking:
    """A number with three conversations: nobody's (with Helena), the seller's, and the director's."""

    number: Channel
    helena: str
    sellers: str
    directors: str


@pytest.fixture
async def talking(web: Web, clock: FixedClock) -> Talking:
    out = web.outside
    number = await out.number(web.admin, "100000000000201", "Vendas")
    seller, director = web.colleague.user_id, web.tenants.one[Role.DIRETOR].user_id
    helena = await out.chat(number, "5519991204507", "Helena Prado")
    sellers = await out.chat(number, "5511987654321", HOSTILE, of={"owner_id": seller})
    directors = await out.chat(number, "5521912345678", "Marcos", of={"owner_id": director})
    tenant = number.tenant_id
    await out.says(tenant, helena, "Oi! Quanto custa a fachada?", ago=timedelta(minutes=9), unread=True)
    await out.says(tenant, sellers, "<script>alert(1)</script>", ago=timedelta(minutes=8))
    await out.says(tenant, directors, "Só o diretor lê isto", ago=timedelta(minutes=7), unread=True)
    return Talking(number, helena, sellers, directors)


async def look(browser: httpx.AsyncClient, path: str = "", **query: Any) -> Any:
    answer = await browser.get(f"{DATA}{path}", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def act(browser: httpx.AsyncClient, chat_id: str, /, **did: Any) -> httpx.Response:
    return await browser.post(DATA, params={"id": chat_id}, json=did)


def names(listed: Any) -> list[str]:
    return [line["name"] for line in listed["chats"]]


# --- who ---------------------------------------------------------------------------------------


async def test_nothing_is_read_or_done_without_a_login_and_no_other_site_may_act(web: Web, talking: Talking) -> None:
    below = ("", "/start", "/counts", "/chat?id=c", "/messages?id=c&before=9", "/templates?id=c", "/events", "/media/m")
    async with web.browser() as browser:
        for path in below:
            assert (await browser.get(f"{DATA}{path}")).status_code == 401, path
        assert (await act(browser, talking.helena, do="close")).status_code == 401
        assert (await browser.post(f"{DATA}/file", params={"id": talking.helena}, content=b"x")).status_code == 401
        page = await browser.get(f"/chat/inbox/{talking.helena}")
    assert page.status_code == 200 and "Helena" not in page.text
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "media-src 'self'" in policy and "unsafe-eval" not in policy
    assert 'nonce="' in page.text and "http" not in page.text.replace("http-equiv", "")
    async with web.logged_in(web.admin) as browser:
        browser.headers["Origin"] = "https://evil.example"
        assert (await act(browser, talking.helena, do="close")).status_code == 403


async def test_a_seller_sees_their_own_and_nobodys_and_a_client_none(web: Web, talking: Talking) -> None:
    async with web.logged_in(web.admin) as browser:
        assert names(await look(browser)) == ["Marcos", HOSTILE, "Helena Prado"]
        start = await look(browser, "/start")
        assert start["may"]["write"] and {"Comercial um", "Admin um"} <= {one["name"] for one in start["people"]}
        assert "Agente_IA um" not in {one["name"] for one in start["people"]}
    async with web.logged_in(web.colleague) as browser:
        listed = await look(browser)
        assert names(listed) == [HOSTILE, "Helena Prado"]
        assert (listed["counts"]["open"], listed["counts"]["mine"], listed["counts"]["unassigned"]) == (2, 1, 1)
        assert names(await look(browser, search="diretor")) == []
        for path in ("/chat", "/messages", "/templates"):
            answer = await browser.get(f"{DATA}{path}", params={"id": talking.directors, "before": 99})
            assert answer.status_code == 404, path
        for did in ({"do": "note", "text": "oi"}, {"do": "reply", "text": "oi", "once": "12345678"}, {"do": "assign"}):
            assert (await act(browser, talking.directors, **did)).status_code == 404
        upload = await browser.post(f"{DATA}/file", params={"id": talking.directors, "name": "a.txt"}, content=b"x")
        assert upload.status_code == 404
    async with web.logged_in(web.tenants.one[Role.CLIENTE]) as browser:
        answers = [await browser.get(f"{DATA}{path}") for path in ("/start", "", "/counts", "/events")]
    assert {answer.status_code for answer in answers} == {403}


async def test_another_company_finds_nothing_by_the_ids_of_this_one(web: Web, talking: Talking) -> None:
    out, tenant = web.outside, talking.number.tenant_id
    _, asks = await out.waits(tenant, talking.helena, "Sai?", "ask")
    async with web.logged_in(web.stranger) as browser:
        assert names(await look(browser)) == []
        assert (await browser.get(f"{DATA}/chat", params={"id": talking.helena})).status_code == 404
        for did in (
            {"do": "take_over"}, {"do": "close"}, {"do": "note", "text": "oi"}, {"do": "read"},
            {"do": "reply", "text": "oi", "once": "12345678"}, {"do": "resolve", "outbox": asks, "send": True},
            {"do": "template", "name": "x", "language": "pt_BR", "once": "12345678"},
        ):  # fmt: skip
            assert (await act(browser, talking.helena, **did)).status_code == 404, did
    async with web.logged_in(web.admin) as browser:
        stranger = web.stranger.user_id
        assert (await act(browser, talking.helena, do="assign", user=stranger)).status_code == 400
        # An outbox row of another conversation, by the id of one's own.
        assert (await act(browser, talking.sellers, do="resolve", outbox=asks, send=True)).status_code == 400
        seen = await look(browser, "/chat", id=talking.helena)
        assert seen["chat"]["held"] == "bot" and len(seen["messages"]) == 2


# --- what is shown -----------------------------------------------------------------------------


async def test_the_list_is_filtered_and_searched_by_name_telephone_and_text(
    web: Web, talking: Talking, clock: FixedClock
) -> None:
    out, admin = web.outside, web.admin
    support = await out.number(admin, "suporte", "Suporte", "evolution")
    paula = await out.chat(support, "5541988887777", "Paula", held="fetching", waiting_since=clock.now())
    await out.says(support.tenant_id, paula, "Preciso de ajuda com a nota fiscal", unread=True)
    await out.chats.close(admin, talking.directors)
    async with web.logged_in(admin) as browser:
        assert names(await look(browser, show="waiting")) == ["Paula"]
        assert names(await look(browser, show="unread")) == ["Paula", "Helena Prado"]
        assert names(await look(browser, show="closed")) == ["Marcos"]
        assert names(await look(browser, show="unassigned")) == ["Paula", "Helena Prado"]
        assert names(await look(browser, channel=support.id)) == ["Paula"]
        assert names(await look(browser, search="(41) 98888-7777")) == ["Paula"]
        assert names(await look(browser, search="NOTA fiscal")) == ["Paula"]
        assert names(await look(browser, search="helena")) == ["Helena Prado"]
        assert names(await look(browser, search="%")) == []
        first = await look(browser, limit=1)
        assert names(first) == ["Paula"] and first["more"] and first["counts"]["waiting"] == 1
        line = first["chats"][0]
        assert line["waiting_since"] and line["preview"].startswith("Preciso") and line["unread"] == 1


async def test_a_conversation_tells_fates_reasons_quotes_and_what_is_known(
    web: Web, talking: Talking, clock: FixedClock
) -> None:
    out, tenant, chat = web.outside, talking.number.tenant_id, talking.helena
    now = clock.now()
    said = await out.says(tenant, chat, "Quero trocar o letreiro", ago=timedelta(minutes=5), external_id="wamid.one")
    await out.answers(tenant, chat, "Claro!", reply_to="wamid.one", reaction="👍", status="delivered")
    choices = [{"type": "reply", "reply": {"id": "a", "title": "Segunda"}}]
    asked = {"type": "button", "body": {"text": "Que dia?"}, "action": {"buttons": choices}}
    offered = {"type": "interactive", "interactive": asked}
    await out.answers(tenant, chat, "Que dia?\n• Segunda", kind="interactive", content=offered)
    closed = decided("ask", "window", "window_closed_no_template", now, since=now - timedelta(hours=2), looked=2)
    await out.waits(tenant, chat, "Ainda quer?", "ask", closed)
    late = decided("wait", "quiet_hours", "quiet_hours", now, zone="America/Sao_Paulo", until=now + timedelta(hours=9))
    late["until"] = (now + timedelta(hours=9)).isoformat()
    await out.waits(tenant, chat, "Bom dia!", "waiting", late)
    await out.waits(tenant, chat, "Catálogo", "failed", error=131026)
    await out.waits(tenant, chat, "Tarde", "dropped", reason="person_took_over")
    await out.waits(tenant, chat, "Chegou?", "unknown")
    await out.says(tenant, chat, "apagada", revoked_at=now)
    await out.says(tenant, chat, "", kind="location", content={"latitude": -22.9, "longitude": -47.06, "name": "Praça"})
    note = Evidence(Slot.NEED, "clear", "Quero trocar o letreiro", "letreiro", message_id=said)
    await out.sales.note(tenant, chat, note, "t1")
    await out.sales.go(tenant, chat, Stage.DISCOVERY, "contou o que quer", "t1")
    async with web.db.tenant(tenant) as conn:
        await conn.execute(
            """INSERT INTO appointments (tenant_id, id, key, title, starts_at, ends_at, zone, chat_id, state,
                   created_at, changed_at)
               VALUES (%s, 'm', 'm', 'Conversa', %s, %s, 'America/Sao_Paulo', %s, 'booked', %s, %s)""",
            [tenant, now + timedelta(days=3), now + timedelta(days=3, hours=1), chat, now, now],
        )
    async with web.logged_in(web.admin) as browser:
        shown = await look(browser, "/chat", id=chat)
        line = next(line for line in (await look(browser))["chats"] if line["id"] == chat)
    assert line["asks"] == 1 and re.fullmatch(r"sai (amanhã )?\d\d:\d\d", line["leaves"])
    by = {one["text"] or one["kind_label"]: one for one in shown["messages"]}
    answer = by["Claro!"]
    assert answer["quote"] == {"id": said, "name": "Helena Prado", "text": "Quero trocar o letreiro"}
    assert answer["reaction"] == "👍" and answer["status"]["code"] == "delivered" and answer["name"] == "Robô"
    assert by["Que dia?"]["buttons"] == [{"title": "Segunda"}]
    asks = by["Ainda quer?"]
    assert asks["state"] == "ask" and asks["outbox"] and asks["choice"] == ""  # said yes to, it could not leave either
    assert asks["why"]["short"].startswith("Alguém precisa decidir. A janela de 24 horas fechou")
    assert "Fonte: Meta" in asks["why"]["long"]
    assert by["Bom dia!"]["state"] == "waiting" and by["Bom dia!"]["why"]["short"].startswith(
        "Ainda não. Fora do horário"
    )
    assert "o número não está no WhatsApp" in by["Catálogo"]["why"]["short"]
    assert by["Tarde"]["why"]["short"] == "Não saiu. Uma pessoa assumiu a conversa."
    assert by["Chegou?"]["state"] == "unknown" and by["Chegou?"]["choice"] == "again"
    assert by["Texto"]["revoked"] and by["Localização"]["place"]["url"] == "https://www.google.com/maps?q=-22.9,-47.06"
    known = shown["chat"]["known"]
    assert known["stage"] == "Descoberta" and known["evidence"][0]["quotes"] == [{"text": note.quote, "message": said}]
    assert int(known["score"]["value"]) > 0 and re.fullmatch(r"\d\d/\d\d/\d{4} às \d\d:\d\d", shown["chat"]["meeting"])
    window = shown["chat"]["window"]
    assert window["open"] and window["label"].startswith("fecha ") and shown["chat"]["address"] == "(19) 99120-4507"

    clock.advance(timedelta(hours=25))
    entry = Entry(clock.now(), Act.STOPPED, Scope.ALL, How.WORDS, "não quero mais")
    async with web.db.tenant(tenant) as conn:
        await Ledger(out.jobs).write(conn, tenant, entry, address="5519991204507")
    async with web.logged_in(web.admin) as browser:
        shown = (await look(browser, "/chat", id=chat))["chat"]
    assert not shown["window"]["open"] and "Agora só um modelo aprovado" in shown["stopped_writing"]
    assert shown["consent"]["stopped"] and shown["consent"]["detail"] == "“não quero mais”"


async def test_what_a_contact_said_to_one_of_us_about_being_written_to_is_written_down_and_holds(
    web: Web, talking: Talking, clock: FixedClock
) -> None:
    out, tenant, chat = web.outside, talking.number.tenant_id, talking.helena

    async def heard(browser: httpx.AsyncClient, what: str, words: str) -> Any:
        clock.advance(timedelta(minutes=1))
        answer = await act(browser, chat, do="consent", what=what, words=words)
        assert answer.status_code == 200, answer.text
        return answer.json()["chat"]["consent"]

    async with web.db.tenant(tenant) as conn:
        stop = Entry(clock.now(), Act.STOPPED, Scope.ALL, How.WORDS, "sair")
        await Ledger(out.jobs).write(conn, tenant, stop, address="5519991204507")
    async with web.logged_in(web.admin) as browser:
        assert (await look(browser, "/chat", id=chat))["chat"]["consent"]["acts"] == ["resumed"]
        assert (await act(browser, chat, do="consent", what="resumed", words=" ")).status_code == 400
        assert (await act(browser, chat, do="consent", what="maybe", words="sim")).status_code == 400
        back = await heard(browser, "resumed", "era sair da sala, não da lista")
        assert not back["stopped"] and back["acts"] == ["gave", "stopped"]
        again = await act(browser, chat, do="consent", what="resumed", words="pode")
        assert again.status_code == 400 and "lista de não contatar" in again.json()["error"]
        given = await heard(browser, "gave", "pode me mandar as novidades")
        assert given["label"].startswith("Aceitou receber mensagens") and "dito a alguém da equipe" in given["label"]
        assert given["detail"] == "“pode me mandar as novidades”"
        await out.waits(tenant, chat, "Do robô", "waiting")
        assert (await heard(browser, "stopped", "pediu por telefone"))["stopped"]
        assert [
            one["state"] for one in (await look(browser, "/chat", id=chat))["messages"] if one["text"] == "Do robô"
        ] == ["dropped"]
    async with web.logged_in(web.tenants.one[Role.CLIENTE]) as browser:
        assert (await act(browser, chat, do="consent", what="resumed", words="pode")).status_code in (403, 404)
    async with web.db.tenant(tenant) as conn:
        query = "SELECT action FROM audit_log WHERE action LIKE 'consent.%%' ORDER BY id"
        told = [row["action"] for row in await (await conn.execute(query)).fetchall()]
    assert told == ["consent.resumed", "consent.consented", "consent.stopped"]


async def test_earlier_messages_come_page_by_page_and_hostile_text_stays_text(web: Web, talking: Talking) -> None:
    tenant = talking.number.tenant_id
    for number in range(60):
        await web.outside.says(tenant, talking.sellers, f"linha {number}")
    async with web.logged_in(web.colleague) as browser:
        page = await look(browser, "/chat", id=talking.sellers)
        assert len(page["messages"]) == 50 and page["earlier"] and page["chat"]["name"] == HOSTILE
        before = await look(browser, "/messages", id=talking.sellers, before=page["messages"][0]["seq"])
        assert [one["text"] for one in before["messages"]][:2] == ["<script>alert(1)</script>", "linha 0"]
        assert not before["earlier"]
        raw = await browser.get(f"{DATA}/chat", params={"id": talking.sellers})
        assert raw.headers["content-type"] == "application/json" and raw.headers["x-content-type-options"] == "nosniff"


async def test_a_contacts_page_in_the_crm_leads_to_the_conversations_and_back(web: Web, talking: Talking) -> None:
    given = ContactData(
        source=Source("person", web.admin.user_id), name="Ana Lima", keys=((KeyKind.PHONE, "(19) 98888-0001"),)
    )
    contact = await web.crm.upsert_contact(web.admin, given)
    theirs = await web.outside.chat(talking.number, "5519988880001", "Ana", of={"contact_id": contact.id})
    async with web.logged_in(web.admin) as browser:
        record = await browser.get("/chat/data/view", params={"kind": "crm_record", "subject": contact.id})
        assert [talk["id"] for talk in record.json()["talks"]] == [theirs]
        assert record.json()["words"]["talks"] == "Conversas"
        shown = (await look(browser, "/chat", id=theirs))["chat"]
    assert shown["records"] == [{"id": contact.id, "label": "Contato", "name": "Ana Lima"}]


# --- what is done ------------------------------------------------------------------------------


async def test_an_answer_is_sent_once_however_often_it_is_clicked_and_the_bot_is_silent(
    web: Web, talking: Talking
) -> None:
    out, chat = web.outside, talking.helena
    reply = {"do": "reply", "text": "Oi, Helena! A Ana aqui.", "once": "click-0001"}
    await out.waits(talking.number.tenant_id, chat, "Do robô", "waiting")
    async with web.logged_in(web.admin) as browser:
        answers = await asyncio.gather(*(act(browser, chat, **reply) for _ in range(4)))
        assert {answer.status_code for answer in answers} == {200}
        shown = (await act(browser, chat, **reply)).json()
        mine = [one for one in shown["messages"] if one["text"] == reply["text"]]
        assert len(mine) == 1 and mine[0]["status"]["code"] == "queued" and mine[0]["name"] == "Você"
        assert shown["chat"]["held_label"] == "com você" and shown["chat"]["mine"]
        assert next(one for one in shown["messages"] if one["text"] == "Do robô")["state"] == "dropped"
        assert (await act(browser, chat, do="reply", text="sem id")).status_code == 400
        assert (await act(browser, chat, do="reply", text=" ", once="click-0002")).status_code == 400
        assert (await act(browser, chat, do="dance")).status_code == 400
        assert (await act(browser, chat, do=["reply"])).status_code == 400
        assert (await browser.post(DATA, params={"id": chat}, content=b"[1")).status_code == 400
    async with web.db.tenant(talking.number.tenant_id) as conn:
        rows = await (await conn.execute("SELECT author, state FROM outbox WHERE author = 'person'")).fetchall()
    assert [dict(row) for row in rows] == [{"author": "person", "state": "waiting"}]


async def test_two_attendants_see_whose_it_is_and_a_note_an_owner_a_hand_back_and_an_end_are_kept(
    web: Web, talking: Talking
) -> None:
    chat, seller = talking.helena, web.colleague
    async with web.logged_in(web.admin) as ana, web.logged_in(seller) as carla:
        assert (await act(ana, chat, do="take_over")).json()["said"] == "A conversa é sua. O robô parou."
        assert (await carla.get(f"{DATA}/chat", params={"id": chat})).status_code == 404  # it is the Admin's now
        await act(ana, chat, do="assign", user=seller.user_id)
        theirs = (await look(carla, "/chat", id=chat))["chat"]
        assert theirs["held_label"] == "com Admin um" and not theirs["mine"] and theirs["owner"] == "Comercial um"
        assert "Admin um está atendendo" in theirs["composer_hint"]
        noted = [await act(carla, chat, do="note", text="Ligar <b>amanhã</b>", once="note-0001") for _ in range(2)]
        notes = [one for one in noted[1].json()["messages"] if one["side"] == "note"]
        assert [(one["text"], one["name"]) for one in notes] == [("Ligar <b>amanhã</b>", "Você")]
        tagged = await act(carla, chat, do="tag", tags=["fachada", " <i>vip</i> ", "fachada"])
        assert tagged.json()["chat"]["tags"] == ["fachada", "<i>vip</i>"]
        assert (await act(carla, chat, do="tag", tags=[{"a": 1}])).status_code == 400
        await act(carla, chat, do="read")
        assert (await look(carla, "/counts"))["unread"] == 0
        back = (await act(ana, chat, do="hand_back")).json()["chat"]
        assert back["held_label"] == "com o robô"
        ended = (await act(carla, chat, do="close")).json()["chat"]
        assert ended["closed"] and names(await look(carla, show="closed")) == ["Helena Prado"]
        away = await act(carla, chat, do="assign", user=web.admin.user_id)
        assert away.status_code == 200 and away.json()["gone"]


async def test_a_message_that_waits_for_a_word_is_sent_or_dropped_once(web: Web, talking: Talking) -> None:
    out, tenant = web.outside, talking.number.tenant_id
    _, first = await out.waits(tenant, talking.helena, "Um", "ask")
    _, second = await out.waits(tenant, talking.helena, "Dois", "ask")
    async with web.logged_in(web.admin) as browser:
        assert (await look(browser))["chats"][0]["asks"] == 2
        assert (await act(browser, talking.helena, do="resolve", outbox=first, send=True)).status_code == 200
        dropped = await act(browser, talking.helena, do="resolve", outbox=second, send=False)
        assert next(one for one in dropped.json()["messages"] if one["text"] == "Dois")["state"] == "dropped"
        again = await act(browser, talking.helena, do="resolve", outbox=second, send=True)
        assert again.status_code == 403 and again.json()["error"]
    async with web.db.tenant(tenant) as conn:
        rows = await (await conn.execute("SELECT id, state FROM outbox")).fetchall()
    assert {row["id"]: row["state"] for row in rows} == {first: "waiting", second: "dropped"}


async def test_a_meeting_is_called_off_from_the_conversation_or_the_terminal_and_its_guest_is_told(
    web: Web, talking: Talking, clock: FixedClock, texts: Texts, capsys: pytest.CaptureFixture[str]
) -> None:
    tenant, begins = talking.number.tenant_id, clock.now() + timedelta(days=3)
    async with web.db.tenant(tenant) as conn:
        for chat_id, id in ((talking.helena, "appt_h"), (talking.directors, "appt_d")):
            await conn.execute(
                """INSERT INTO appointments (tenant_id, id, key, title, starts_at, ends_at, zone, guest_name, chat_id,
                       state, created_at, changed_at)
                   VALUES (current_tenant(), %s, %s, 'Conversa', %s, %s, 'America/Sao_Paulo', 'Ana', %s, 'booked',
                           now(), now())""",
                [id, id, begins, begins + timedelta(minutes=30), chat_id],
            )

    async def terminal(*arguments: str) -> str:
        asked: list[Any] = []
        cli = click.Group()
        calendar.add_to(cli, asked.append)
        cli.main(["calendar", *arguments, "--tenant", tenant], standalone_mode=False)
        await asked[0](SimpleNamespace(people=web.people, texts=texts, messaging=web.outside))
        return capsys.readouterr().out

    listed = await terminal("list")
    assert "appt_h" in listed and "appt_d" in listed and "Ana" in listed
    cancel = {"do": "cancel_meeting", "meeting": "appt_h", "reason": "doente"}
    async with web.logged_in(web.colleague) as browser:
        other = await act(browser, talking.helena, **{**cancel, "meeting": "appt_d"})
        assert other.status_code in (403, 404), "a meeting of another conversation"
        assert (await look(browser, "/chat", id=talking.helena))["chat"]["meeting_id"] == "appt_h"
        done = await act(browser, talking.helena, **cancel)
        assert done.status_code == 200 and done.json()["said"].startswith("Reunião desmarcada")
    shown = done.json()
    assert shown["chat"]["meeting_id"] == "" and shown["messages"][-1]["text"].startswith("Precisamos desmarcar")
    assert "aviso à pessoa está na conversa" in await terminal("cancel", "appt_d")
    assert "Nenhuma reunião" in await terminal("list")


async def test_a_template_is_picked_filled_and_put_with_its_values(web: Web, talking: Talking) -> None:
    tenant = talking.number.tenant_id
    async with web.db.tenant(tenant) as conn:
        picture = {"type": "HEADER", "format": "IMAGE"}
        link = {"type": "BUTTONS", "buttons": [{"type": "URL", "text": "Ver", "url": "https://um.example/{{1}}"}]}
        for name, status, more in (
            ("retomar", "APPROVED", []),
            ("natal", "PAUSED", []),
            ("foto", "APPROVED", [picture]),
            ("pedido", "APPROVED", [link]),
        ):
            await conn.execute(
                """INSERT INTO message_templates (tenant_id, channel_id, name, language, category, status, body,
                       components, synced_at) VALUES (%s, %s, %s, 'pt_BR', 'MARKETING', %s, %s, %s, now())""",
                [tenant, talking.number.id, name, status, "Oi, {{name}}! Sobre {{topic}}.", Jsonb(more)],
            )
    picked = {"do": "template", "name": "retomar", "language": "pt_BR", "once": "click-0009"}
    async with web.logged_in(web.admin) as browser:
        found = (await look(browser, "/templates", id=talking.helena))["templates"]
        assert [(one["name"], one["usable"]) for one in found] == [
            ("retomar", True), ("foto", False), ("natal", False), ("pedido", False),
        ]  # fmt: skip
        why = {one["name"]: one["status"] for one in found}
        assert "arquivo" in why["foto"] and "botão" in why["pedido"] and why["natal"] == "pausado pela Meta"
        assert [(one["name"], one["value"]) for one in found[0]["variables"]] == [("name", "Helena"), ("topic", "")]
        empty = await act(browser, talking.helena, **picked, values={"name": "Helena", "topic": " "})
        assert empty.status_code == 400 and "Preencha" in empty.json()["error"]
        for name in ("natal", "foto", "pedido"):
            other = await act(browser, talking.helena, **{**picked, "name": name}, values={"name": "H", "topic": "x"})
            assert other.status_code == 400, name
        sent = await act(browser, talking.helena, **picked, values={"name": "Helena", "topic": "a\nfachada"})
    last = sent.json()["messages"][-1]
    assert (last["text"], last["template"]) == ("Oi, Helena! Sobre a fachada.", "retomar")


async def test_an_emoji_is_put_on_what_they_wrote_and_taken_back_and_the_bot_goes_on(
    web: Web, talking: Talking, clock: FixedClock
) -> None:
    tenant = talking.number.tenant_id

    async def put() -> list[Any]:
        async with web.db.tenant(tenant) as conn:
            query = "SELECT content FROM outbox WHERE chat_id = %s ORDER BY seq"
            return [row["content"] for row in await (await conn.execute(query, [talking.helena])).fetchall()]

    async with web.db.tenant(tenant) as conn:
        query = "UPDATE chats SET last_from_contact = %s, held = 'bot' WHERE id = %s"
        await conn.execute(query, [clock.now(), talking.helena])
        query = "UPDATE chat_messages SET external_id = 'wamid.HELENA' WHERE chat_id = %s RETURNING id"
        row = await (await conn.execute(query, [talking.helena])).fetchone()
    assert row is not None
    react = {"do": "react", "message": row["id"]}
    async with web.logged_in(web.admin) as browser:
        shown = (await act(browser, talking.helena, **react, emoji="👍", once="click-0021")).json()
        assert [one["reaction"] for one in shown["messages"]] == ["👍"], "on its bubble, not as a message"
        assert shown["chat"]["held"] == "bot" and not shown["chat"]["mine"]
        assert (await act(browser, talking.helena, **react, emoji="olá", once="click-0022")).status_code == 400
        shown = (await act(browser, talking.helena, **react, emoji="", once="click-0023")).json()
        assert [one["reaction"] for one in shown["messages"]] == [""]
        clock.advance(timedelta(days=2))
        late = await act(browser, talking.helena, **react, emoji="👍", once="click-0024")
        assert late.status_code == 403 and "24 horas" in late.json()["error"]
    assert [one["reaction"] for one in await put()] == [
        {"message_id": "wamid.HELENA", "emoji": "👍"}, {"message_id": "wamid.HELENA", "emoji": ""},
    ]  # fmt: skip


# --- files -------------------------------------------------------------------------------------


async def test_a_voice_note_is_played_in_parts_by_those_who_may_see_it_and_documents_only_download(
    web: Web, talking: Talking
) -> None:
    out, tenant, admin = web.outside, talking.number.tenant_id, web.admin
    sound = (SAMPLES / "voice_pt.ogg").read_bytes()
    voice = (await web.files.store(admin, sound, name="voz.ogg", mime="audio/ogg")).id
    page = (await web.files.store(admin, b"<script>alert(1)</script>", name="oi.html", mime="text/html")).id
    media = await out.file(tenant, talking.directors, voice, "audio", "audio/ogg", words="Olá", words_state="done")
    trap = await out.file(tenant, talking.directors, page, "document", "text/html", name='fatura "1".html')
    waits = await out.file(tenant, talking.directors, None, "image", "image/jpeg")
    await out.says(tenant, talking.directors, "", kind="audio", media_id=media, content={"voice": True})
    async with web.logged_in(admin) as browser:
        shown = (await look(browser, "/chat", id=talking.directors))["messages"][-1]
        assert shown["media"]["words"] == "Olá" and shown["kind_label"] == "Mensagem de voz"
        whole = await browser.get(shown["media"]["url"])
        assert whole.content == sound and whole.headers["content-type"] == "audio/ogg"
        assert whole.headers["accept-ranges"] == "bytes" and whole.headers["x-content-type-options"] == "nosniff"
        for asked, first, last in (
            ("bytes=10-19", 10, 19),
            ("bytes=100-", 100, len(sound) - 1),
            ("bytes=-5", -5, None),
        ):
            part = await browser.get(shown["media"]["url"], headers={"Range": asked})
            wanted = sound[first : None if last is None else last + 1]
            assert (part.status_code, part.content) == (206, wanted), asked
            assert part.headers["content-range"].endswith(f"/{len(sound)}")
        assert (await browser.get(shown["media"]["url"], headers={"Range": "bytes=9999999-"})).status_code == 416
        html = await browser.get(f"{DATA}/media/{trap}")
        assert html.headers["content-type"] == "application/octet-stream"
        assert html.headers["content-disposition"].startswith("attachment; filename*=UTF-8''fatura")
        assert (await browser.get(f"{DATA}/media/{waits}")).status_code == 404
    for who in (web.colleague, web.stranger):
        async with web.logged_in(who) as browser:
            for file_id in (media, trap, voice):
                assert (await browser.get(f"{DATA}/media/{file_id}")).status_code == 404


async def test_a_file_is_attached_by_what_it_is_and_only_its_bringer_sends_it(web: Web, talking: Talking) -> None:
    async def bring(browser: httpx.AsyncClient, name: str, content: bytes) -> httpx.Response:
        return await browser.post(f"{DATA}/file", params={"id": talking.helena, "name": name}, content=content)

    photo = (SAMPLES / "foto.jpg").read_bytes()
    async with web.logged_in(web.admin) as browser:
        assert (await bring(browser, "virus.exe", b"MZ")).status_code == 400
        assert (await bring(browser, "foto.jpg", b"<script>")).status_code == 400
        assert (await bring(browser, "grande.jpg", b"\xff\xd8\xff" + bytes(1_100_000))).status_code == 400
        kept = (await bring(browser, "../../foto.jpg", photo)).json()["file"]
        sent = await act(browser, talking.helena, do="reply", text="A fachada", file=kept, once="click-0010")
        last = sent.json()["messages"][-1]
        assert (last["text"], last["media"]["shows"]) == ("A fachada", "image")
        assert (await browser.get(last["media"]["url"])).content == photo
        sticker = (await bring(browser, "oi.webp", WEBP)).json()["file"]
        worded = await act(browser, talking.helena, do="reply", text="oi", file=sticker, once="click-0012")
        assert worded.status_code == 400 and "sem texto" in worded.json()["error"]
        sent = await act(browser, talking.helena, do="reply", text="", file=sticker, once="click-0013")
        assert sent.json()["messages"][-1]["media"]["shows"] == "image"
        async with web.db.tenant(talking.number.tenant_id) as conn:
            row = await (await conn.execute("SELECT kind FROM chat_messages ORDER BY seq DESC LIMIT 1")).fetchone()
        assert row is not None and row["kind"] == "sticker"
    async with web.logged_in(web.tenants.one[Role.DIRETOR]) as browser:
        taken = await act(browser, talking.helena, do="reply", text="", file=kept, once="click-0011")
        assert taken.status_code == 404
        assert (await browser.get(last["media"]["url"])).content == photo  # it is in a conversation they may see


# --- live --------------------------------------------------------------------------------------


async def test_changes_are_told_to_those_who_may_see_them_and_the_line_ends_by_itself(
    web: Web, talking: Talking
) -> None:
    out, tenant = web.outside, talking.number.tenant_id
    pages = InboxPages(None, None, out.chats, web.files, None, 0)  # type: ignore[arg-type]
    heard: dict[str, list[list[str]]] = {"admin": [], "seller": []}

    async def listen(name: str, who: Identity) -> None:
        events: AsyncIterator[str] = pages.events(who, life=30)
        async for event in events:
            if event.startswith("event: changed"):
                heard[name].append(json.loads(event.partition("data: ")[2])["chats"])

    tasks = [asyncio.create_task(listen("admin", web.admin)), asyncio.create_task(listen("seller", web.colleague))]
    try:
        # "Look at everything" comes first, once or twice; what changes within the same moment goes into it.
        await until(lambda: bool(heard["admin"] and heard["seller"]))
        while not ([talking.directors] in heard["admin"] and [talking.helena] in heard["seller"]):
            told = len(heard["seller"])
            await out.says(tenant, talking.directors, "Segredo")
            await until(lambda told=told: len(heard["seller"]) > told)  # type: ignore[misc]
            told = len(heard["seller"])
            await out.says(tenant, talking.helena, "Oi")
            await until(lambda told=told: len(heard["seller"]) > told)  # type: ignore[misc]
        assert not any(talking.directors in told for told in heard["seller"])
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    ended = [event async for event in pages.events(web.admin, life=0.2)]
    assert ended[0].startswith("retry:")
    assert inbox_pages.DATA == DATA


async def test_ids_and_clicks_that_cannot_be_are_refused_and_break_nothing(web: Web, talking: Talking) -> None:
    async with web.logged_in(web.admin) as browser:
        for path in (
            "/chat?id=%00", "/templates?id=%00", "?channel=%00", "?limit=99999999999999999999", "/media/%00",
            "/media/file_1?chat=%00", f"/messages?id={talking.helena}&before=99999999999999999999",
        ):  # fmt: skip
            assert (await browser.get(DATA + path)).status_code == 422, path
        for body in (
            b"[" * 100_000,
            b"null",
            b'{"do":"assign","user":"\\ud800"}',
            b'{"do":"resolve","outbox":"\\ud800"}',
        ):
            answer = await browser.post(f"{DATA}?id={talking.helena}", content=body)
            assert (answer.status_code, bool(answer.json()["error"])) == (400, True), body[:60]
        odd = b'{"do":"note","text":"\\ud800 a caminho","once":"\\ud800"}'
        assert (await browser.post(f"{DATA}?id={talking.helena}", content=odd)).status_code == 200
