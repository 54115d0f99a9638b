"""Cadences, from the approved first message to the last step: by the calendar, once, and stopped by whoever answers."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from psycopg.types.json import Jsonb

from business.approvals.model import Change, ChangeHandler, ProposalState
from business.approvals.service import Approvals
from business.conversations.service import Conversations
from business.crm.service import Crm
from business.messaging.conversation import open_chat
from business.messaging.outbox import locked_row
from business.messaging.sender_sms import SmsSender
from business.messaging.templates import Purpose
from business.outreach.cadence import DEFAULT, cadence_from, parse_cadence, said, shipped, shipped_text
from business.outreach.rounds import Rounds
from business.outreach.runs import Cadences, Lead
from business.people.service import People
from business.prospecting.contact import message_key
from core.db import Database, fetch_all
from core.errors import ArgumentsWrong, Refused
from core.permissions import Permissions
from core.tenancy import Role
from core.turn import Limits, Turn
from integrations.smtp.simulator.server import MailServer
from integrations.twilio.errors import of_answer
from prompts.texts import Texts
from tests.business.messaging.conftest import running_wire, wire
from tests.business.messaging.outbox_house import House, Wire, nothing, open_house
from tests.conftest import Tenants
from tests.tools.conftest import MakeRunner
from tests.tools.test_first_contact import Desk
from tools.notify import MAIL_JOB, Notify
from tools.outreach import OUTREACH_TOOLS
from tools.reach import BeginAfter, ProposeStep, Reach, StepHandler, TellEnded, frozen

__all__ = ["running_wire", "wire"]

WEDNESDAY = datetime(2026, 11, 18, 15, 0, tzinfo=UTC)
"""Noon in São Paulo; Friday the 20th is a holiday."""


class Outreach:
    """One house with its cadences."""

    def __init__(self, house: House, desk: Desk, people: People, permissions: Permissions, folder: Path) -> None:
        self.house, self.desk, self.texts = house, desk, desk.texts
        house.jobs.task(MAIL_JOB, nothing)
        self.crm = Crm(house.db, house.clock, permissions)
        conversations = Conversations(house.db, house.clock)
        self.notify = Notify(house.db, house.clock, people, conversations, self.texts, house.jobs)
        reach = Reach(
            house.db, house.clock, house.channels, house.outbox, house.rules, self.crm, people, self.texts
        )  # fmt: skip
        self.cadences = Cadences(house.db, house.clock, permissions, reach)
        self.begin, self.steps = BeginAfter(self.cadences), StepHandler(house.db, self.cadences)
        desk.contacts._started = self.begin
        handlers: list[ChangeHandler] = [*desk.handlers, self.steps]
        by_kind = {one.kind: one for one in handlers}
        self.approvals = Approvals(house.db, permissions, house.clock, by_kind, check=desk._allowed)
        propose = ProposeStep(people, self.approvals, self.notify.tell)
        self.rounds = Rounds(house.db, house.clock, self.cadences, propose=propose, ended=TellEnded(self.notify))

    async def first(self, number: int, name: str, cadence: str = DEFAULT) -> str:
        """A lead whose first message was approved with a cadence, and left; its run."""
        await self.desk.lead(number, name)
        change = await self.desk.change(number, name)
        words = change.data["way"]["values"]
        kept = await self.cadences.cadence(self.desk.who.tenant_id, cadence)
        plan = frozen(kept, self.texts, "pt-BR", words, templates=change.data["way"]["follow_up"])
        made = await self.approvals.create(
            self.desk.who, Change(change.kind, change.target, {**change.data, "cadence": plan}), tool="t",
            effect="SEND", door="chat",
        )  # fmt: skip
        done = await self.approvals.approve(self.desk.who, made.id, "chat")
        assert done.state is ProposalState.EXECUTED
        self.card = self.desk.card(made)
        run = (await self.runs())[-1]
        await self.house.run(run["chat_id"])
        return str(run["id"])

    async def runs(self) -> list[dict[str, Any]]:
        return await self.house.rows("SELECT * FROM outreach_runs ORDER BY started_at, id")

    async def to(self, *, days: int = 0, hours: int = 0, minutes: int = 0) -> None:
        """Time passes in half days, with its rounds and what leaves in them."""
        end = self.house.clock.now() + timedelta(days=days, hours=hours, minutes=minutes)
        while self.house.clock.now() < end:
            self.house.clock.at = min(self.house.clock.now() + timedelta(hours=3), end)
            await self.round()

    async def round(self) -> int:
        done = await self.rounds.run(self.house.tenant_id)
        for row in await self.house.rows("SELECT DISTINCT chat_id FROM outbox WHERE state = 'waiting'"):
            await self.house.run(row["chat_id"])
        return done

    async def touches(self, run: str) -> list[tuple[int, str, str, str]]:
        rows = await self.house.rows("SELECT * FROM outreach_touches WHERE run_id = %s ORDER BY step", run)
        return [(row["step"], row["channel"], row["what"], f"{row['at']:%d %H}") for row in rows]

    async def answered(self, *, hours: int = 1, **columns: Any) -> str:
        """A conversation that the bot has just answered, so long after they wrote."""
        chat = await self.house.chat(wrote=timedelta(hours=hours), **columns)
        assert (await self.house.say(chat))["state"] == "sent"
        return chat

    async def stands(self, chat: str, stage: str) -> None:
        await self.house.rows(
            """INSERT INTO sales_leads (tenant_id, chat_id, stage, stage_at, updated_at)
               VALUES (current_tenant(), %s, %s, %s, now()) ON CONFLICT (tenant_id, chat_id) DO UPDATE SET
                   stage = excluded.stage, stage_at = excluded.stage_at RETURNING chat_id""",
            chat, stage, self.house.clock.now(),
        )  # fmt: skip

    async def meets(self, chat: str, at: datetime, state: str = "booked") -> None:
        """Half an hour's meeting with whom this conversation is with."""
        await self.house.rows(
            """INSERT INTO appointments (tenant_id, id, key, title, starts_at, ends_at, zone, chat_id, state,
                   created_at, changed_at)
               VALUES (current_tenant(), %s, %s, 'Conversa', %s, %s, 'America/Sao_Paulo', %s, %s, now(), now())
               RETURNING id""",
            f"meet_{chat}{at:%H}", f"{chat}{at}", at, at + timedelta(minutes=30), chat, state,
        )  # fmt: skip

    async def left(self, chat: str = "") -> list[str]:
        query = "SELECT template, purpose FROM outbox WHERE state = 'sent' AND chat_id LIKE %s ORDER BY seq"
        rows = await self.house.rows(query, chat or "%")
        return [row["template"] or row["purpose"] for row in rows]


@pytest.fixture
async def outreach(
    database: Database, tenants: Tenants, people: People, permissions: Permissions, wire: Wire, tmp_path: Path
) -> AsyncIterator[Outreach]:
    async with httpx.AsyncClient(trust_env=False, verify=False) as http:
        house = await open_house(database, tenants, permissions, wire, tmp_path, http)
        await house.templates.sync(house.tenant_id)
        yield Outreach(house, Desk(house, permissions), people, permissions, tmp_path)
        await house.jobs.close()


async def test_a_cadence_goes_from_step_to_step_by_business_days_and_ends_unanswered(outreach: Outreach) -> None:
    run = await outreach.first(1, "Ipê Paisagismo")
    assert outreach.card.count("Se não responder: ") == 4
    assert "2 dias úteis depois, por WhatsApp" in outreach.card and "LinkedIn (tarefa para uma pessoa)" in outreach.card
    reads = "Olá, Ipê Paisagismo! Escrevi há alguns dias e volto só para saber se faz sentido conversarmos."
    reads += " Quer saber mais?"
    assert f"WhatsApp (o modelo aprovado voltar_ao_contato, com estas palavras): {reads}" in outreach.card
    last = "Olá, Ipê Paisagismo! Esta é a minha última mensagem por aqui. Se um dia fizer sentido, é só me chamar."
    assert f"WhatsApp (o modelo aprovado voltar_por_ultimo, com estas palavras): {last}" in outreach.card
    assert await outreach.round() == 0, "nothing is due yet"
    await outreach.to(days=4)  # Thursday is one business day, Friday a holiday: Monday is the second
    assert await outreach.left() == ["primeiro_contato"]
    await outreach.to(days=1, hours=3)
    assert await outreach.left() == ["primeiro_contato", "voltar_ao_contato"], "they asked for nothing"
    assert len(await outreach.house.rows("SELECT 1 FROM chat_messages WHERE text = %s", reads)) == 1
    await outreach.to(days=20)
    touches = await outreach.touches(run)
    # No e-mail channel and no address: said and passed over. The task has its text ready.
    assert [(step, channel, what) for step, channel, what, _ in touches] == [
        (-1, "whatsapp", "message"), (0, "whatsapp", "message"), (1, "email", "skipped"), (2, "linkedin", "task"),
        (3, "whatsapp", "message"),
    ]  # fmt: skip
    (task,) = await outreach.crm.tasks(outreach.desk.who, company_id="com_1")
    assert task.title == "LinkedIn: escrever para Ipê Paisagismo (passo 3 da cadência)"
    notes = [one.text for one in await outreach.crm.timeline(outreach.desk.who, company_id="com_1", limit=20)]
    assert any("Texto pronto:\nOlá, Ipê" in note for note in notes)
    (ended,) = await outreach.runs()
    assert (ended["state"], ended["reason"], ended["touches"]) == ("done", "unanswered", 3)
    (notice,) = await outreach.house.rows("SELECT text, user_id FROM notices")
    assert "A cadência com Ipê Paisagismo terminou sem resposta." in notice["text"]
    assert await outreach.left() == ["primeiro_contato", "voltar_ao_contato", "voltar_por_ultimo"]
    assert len([one for one in outreach.house.sent if one["to"] == "5519999990001"]) == 3


async def test_the_house_sees_its_cadences_and_stops_one_by_name(outreach: Outreach, make_runner: MakeRunner) -> None:
    services: dict[type, Any] = {Cadences: outreach.cadences, Texts: outreach.texts}
    runner = make_runner(OUTREACH_TOOLS, services)
    for number, name in enumerate(("Ipê Paisagismo", "Jatobá Jardins"), 1):
        await outreach.first(number, name)
    turn = Turn(
        id="turn_1", identity=outreach.desk.who, conversation_id="conv_1", door="chat", language="pt-BR",
        text="pare a cadência da Ipê", now=outreach.house.clock.now(), limits=Limits(),
    )  # fmt: skip
    listed = (await runner.call(turn, "list_cadences", {})).data
    assert [(one["name"], one["step"], one["steps"]) for one in listed["runs"]] == [
        ("Jatobá Jardins", 0, 4), ("Ipê Paisagismo", 0, 4),
    ]  # fmt: skip
    assert listed["runs"][0]["next_on"] == "23/11/2026 às 12:00" and listed["cadences"] == ["padrao", "retomada"]
    stopped = await runner.call(turn, "stop_cadence", {"company": "Ipê"})
    assert stopped.data["run"]["why"] == "parada por uma pessoa"
    turn.text = "pare a cadência da Peroba"
    unknown = await runner.call(turn, "stop_cadence", {"company": "Peroba"})
    assert not unknown.ok and unknown.error is not None and unknown.error.params["names"] == "Jatobá Jardins"
    said = outreach.texts.say("pt-BR", "hunter.cadences", runs=listed["runs"], alive=True)
    assert "- Ipê Paisagismo: padrao, passo 0 de 4, próximo em 23/11/2026 às 12:00" in said


async def test_two_rounds_at_once_and_a_crash_do_each_step_once_and_an_answer_ends_it(outreach: Outreach) -> None:
    house = outreach.house
    run = await outreach.first(1, "Ipê")
    assert await outreach.cadences.list(outreach.desk.who, alive=True)
    # The lead is in one cadence at a time.
    async with house.db.tenant(house.tenant_id) as conn:
        assert (
            await outreach.cadences.start(conn, house.tenant_id, shipped(DEFAULT), Lead("Ipê", "com_1"), by="x") is None
        )
    house.clock.at = datetime(2026, 11, 23, 15, 1, tzinfo=UTC)  # Monday: due
    counts = await asyncio.gather(*(outreach.rounds.run(house.tenant_id) for _ in range(3)))
    assert sum(counts) == 1
    rows = await house.rows("SELECT key, state FROM outbox ORDER BY seq")
    assert [row["key"].split(":")[0] for row in rows] == ["first", "cadence"]
    # Answered while the second waits for its minute: it never leaves.
    chat = str((await outreach.runs())[0]["chat_id"])
    await house.change(chat, last_received_at=house.clock.now(), messages_in=1)
    await outreach.round()
    (ended,) = await outreach.runs()
    assert (ended["id"], ended["state"], ended["reason"]) == (run, "stopped", "replied")
    assert [row["state"] for row in await house.rows("SELECT state FROM outbox ORDER BY seq")] == ["sent", "dropped"]
    assert await outreach.cadences.list(outreach.desk.who, alive=True) == []


async def test_a_message_that_is_taken_back_ends_the_cadence_that_it_began_and_no_other(outreach: Outreach) -> None:
    desk, tenant = outreach.desk, outreach.house.tenant_id
    desk.contacts._stopped = outreach.begin.stop
    await outreach.first(1, "Ipê")
    dictated = (await desk.change(1, "Ipê", text="Ipê, amanhã não abrimos. Pode ser na segunda?")).data
    await desk.contacts.put(tenant, [dictated])
    assert await desk.contacts.keep(tenant, [message_key(dictated)]) == 1
    assert [row["state"] for row in await outreach.runs()] == ["running"]

    await desk.lead(2, "Jatobá")
    first = (await desk.change(2, "Jatobá")).data
    plan = frozen(
        shipped(DEFAULT), outreach.texts, "pt-BR", first["way"]["values"], templates=first["way"]["follow_up"]
    )
    await desk.contacts.put(tenant, [{**first, "cadence": plan}])
    assert await desk.contacts.keep(tenant, [message_key({**first, "cadence": plan})]) == 1
    assert [(row["name"], row["state"]) for row in await outreach.runs()] == [("Ipê", "running"), ("Jatobá", "stopped")]


async def test_it_stops_for_a_person_an_opt_out_a_deal_and_a_word_of_ours(outreach: Outreach) -> None:
    house, who = outreach.house, outreach.desk.who
    names = ("person", "opted_out", "won", "by_person")
    runs = [await outreach.first(number, name) for number, name in enumerate(names, 1)]
    by_name = {row["name"]: row for row in await outreach.runs()}
    await house.change(by_name["person"]["chat_id"], held="person", held_since=house.clock.now())
    house.blocked_since["5519999990002"] = house.clock.now()  # the CRM's list, asked when a message leaves
    won = next(one for one in await outreach.crm.stages(who) if one.kind == "won")
    await outreach.crm.create_deal(who, "Negócio", company_id="com_3", stage_id=won.id)
    with pytest.raises(Refused):
        await outreach.cadences.stop(house.tenants.other[Role.ADMIN], runs[3])
    await outreach.cadences.stop(who, runs[3])
    await outreach.to(days=12)
    assert [(row["name"], row["state"], row["reason"]) for row in await outreach.runs()] == [
        (name, "stopped", name) for name in names
    ]
    assert len(house.sent) == len(names)


async def test_each_message_may_want_its_own_yes_and_email_goes_by_the_houses_server(
    outreach: Outreach, tmp_path: Path, permissions: Permissions
) -> None:
    from business.messaging.sender_email import EmailSender, OwnersMailbox

    house, who = outreach.house, outreach.desk.who
    text = shipped_text(DEFAULT).replace("approval: once", "approval: each").replace("name: padrao", "name: cuidado")
    await outreach.cadences.save(who, text)
    run = await outreach.first(1, "Ipê", "cuidado")
    async with house.db.tenant(house.tenant_id) as conn:
        await conn.execute(
            """INSERT INTO crm_keys (tenant_id, subject, subject_id, kind, value, given, source, at)
               VALUES (current_tenant(), 'company', 'com_1', 'email', 'oi@ipe.example', 'Oi@ipe.example', 'web',
                   now())"""
        )
    async with MailServer() as server, httpx.AsyncClient() as http:
        await house.channels.save(
            house.tenants.one[Role.ADMIN], "email", "oi@aurora.example", name="Aurora",
            settings={"by": "smtp", "host": "127.0.0.1", "port": server.port, "security": "none"},
            secrets={"password": "x"},
        )  # fmt: skip
        mailbox = OwnersMailbox(house.db)
        house.senders["email"] = EmailSender(house.channels, http, house.clock, mailbox)
        await outreach.to(days=5, hours=3)
        (pending,) = await outreach.approvals.list(who, state=ProposalState.PENDING)
        assert pending.change.kind == "cadence_step" and (await outreach.runs())[0]["state"] == "waiting"
        assert "espera a sua decisão" in (await house.rows("SELECT text FROM notices"))[0]["text"]
        edited = await outreach.approvals.edit(who, pending.id, {"text": "Oi! Faz sentido?"}, "chat")
        await outreach.round()  # the one that was edited is void, and the run waits on
        done = await outreach.approvals.approve(who, edited.id, "chat")
        assert done.state is ProposalState.EXECUTED
        await outreach.to(days=3, hours=4)
        (mail,) = await outreach.approvals.list(who, state=ProposalState.PENDING)
        await outreach.approvals.approve(who, mail.id, "chat")
        await outreach.round()
        assert server.mails == [], "19:00: it waits for the morning"
        await outreach.to(hours=15)
        ((_, to, message),) = server.mails
        assert (to, message["Subject"]) == ("oi@ipe.example", "Aurora: uma conversa de 20 minutos")
        assert "é só me dizer" in message.get_content() and "SAIR" not in message.get_content()
        assert message["Reply-To"] == "diretor@um.example", "the owner reads what is answered"
    assert (await outreach.runs())[0]["id"] == run


async def test_a_conversation_that_went_quiet_is_followed_up_twice_and_not_when_somebody_has_it(
    outreach: Outreach,
) -> None:
    house = outreach.house
    morning = await outreach.answered(hours=10)  # 20 hours of quiet end in the night
    midday = await outreach.answered(hours=1)
    await house.change(await outreach.answered(), held="person", held_since=house.clock.now())
    await house.chat(wrote=timedelta(hours=1), answered_in=0)
    await outreach.answered(last_received_at=house.clock.now() - timedelta(days=30))
    await outreach.to(hours=9)
    assert await outreach.runs() == []
    await outreach.to(hours=12)  # nine in the morning
    assert {(run["chat_id"], run["cadence"]) for run in await outreach.runs()} == {
        (morning, "retomada"), (midday, "retomada"),
    }  # fmt: skip
    assert await outreach.left(midday) == ["answer", "follow_up"], "its own words, free within the 24 hours"
    await outreach.to(days=14)
    for run in await outreach.runs():
        assert (run["state"], run["reason"], run["touches"]) == ("done", "unanswered", 2)
    assert await outreach.left(midday) == ["answer", "follow_up", "retomar_conversa"]
    # The window had closed by the morning; and nobody reads the same words twice.
    assert await outreach.left(morning) == ["answer", "retomar_conversa", "voltar_ao_contato"]


async def test_nobody_who_said_no_who_has_met_us_or_whom_a_person_talked_to_is_followed_up_as_quiet(
    outreach: Outreach,
) -> None:
    house = outreach.house
    now = house.clock.now()
    for stage in ("nurture", "lost", "close"):
        await outreach.stands(await outreach.answered(), stage)
    await outreach.meets(await outreach.answered(), now + timedelta(hours=5))
    finished = await outreach.answered()
    await house.say(finished, "Combinado, Ana!", author="person", author_id=outreach.desk.who.user_id)
    await house.change(finished, held="bot")  # handed back when all was said
    button = '{"interactive": {"action": {"buttons": [{"reply": {"id": "opt_out_yes"}}]}}}'
    asked = "UPDATE chat_messages SET content = %s::jsonb WHERE chat_id = %s AND direction = 'out' RETURNING id"
    assert await house.rows(asked, button, await outreach.answered()), "whether they want no more messages"
    called_off, talks = await outreach.answered(), await outreach.answered()
    await outreach.meets(called_off, now + timedelta(hours=5), state="cancelled")
    await outreach.stands(talks, "qualification")
    await outreach.to(hours=30)
    assert {run["chat_id"]: run["state"] for run in await outreach.runs()} == {called_off: "running", talks: "running"}

    # What happens between two follow-ups counts as much.
    await outreach.meets(called_off, house.clock.now() + timedelta(hours=3))
    await outreach.stands(talks, "lost")
    sent = len(await outreach.left())
    await outreach.to(days=9)
    ended = {run["chat_id"]: (run["state"], run["reason"]) for run in await outreach.runs()}
    assert ended == {called_off: ("stopped", "meeting"), talks: ("stopped", "said_no")}
    assert len(await outreach.left()) == sent


async def test_each_step_has_its_own_template_and_the_card_says_where_the_house_has_none(outreach: Outreach) -> None:
    house, desk = outreach.house, outreach.desk
    await desk.lead(1, "Ipê")
    offered = (await desk.change(1, "Ipê")).data["way"]["follow_up"]
    cadence = await outreach.cadences.cadence(desk.who.tenant_id)

    def card(language: str, templates: list[dict[str, str]], reader: str = "pt-BR") -> list[str]:
        plan = frozen(cadence, outreach.texts, language, {"name": "Ipê"}, templates=templates)
        return [outreach.texts.say(reader, one["key"], **one["params"]) for one in plan["shown"]]

    only = [one for one in offered if one["name"] == "voltar_ao_contato"]
    first, mail, _, last = card("pt-BR", only)
    assert "modelo aprovado voltar_ao_contato, com" in first and "voltar_ao_contato, de novo, com" in last
    assert "modelo" not in mail
    # Nothing is approved in English: it is said before anybody says yes, step by step.
    change = await desk.contacts.way(
        desk.who.tenant_id, channel="whatsapp", to="+5519999990001", sandbox=True, language="en", values={"name": "Ipê"}
    )
    assert change is not None and change["follow_up"] == []
    for reader, words in (("pt-BR", "nenhum modelo aprovado em inglês"), ("en", "no approved template in English")):
        first, mail, _, last = card("en", [], reader)
        assert f" 1: {words}" in first and f" 4: {words}" in last and words not in mail
    # One that WhatsApp has paused since: another one that fits, rather than nothing.
    run = await outreach.first(2, "Jatobá")
    await house.rows("UPDATE message_templates SET status = 'PAUSED' WHERE name = 'voltar_por_ultimo' RETURNING name")
    await outreach.to(days=24)
    assert [row for row in await outreach.touches(run) if row[2] == "message"][-1][0] == 3
    assert await outreach.left() == ["primeiro_contato", "voltar_ao_contato", "voltar_ao_contato"]


def test_a_file_is_read_with_its_words_and_refused_with_the_place_of_what_is_wrong() -> None:
    cadence = shipped(DEFAULT)
    assert cadence_from(cadence.record()) == cadence
    assert said({"pt-BR": "Oi, {name}! De {house}."}, "en", {"house": "Aurora"}) == "Oi! De Aurora."
    good = shipped_text(DEFAULT)
    for text, where in (
        (good.replace("channel: linkedin", "channel: pombo"), "steps[2].channel"),
        (good.replace("{company}", "{preco}"), "steps[2].text.pt-BR {preco}"),
        (good.replace("after_days: 4", "after_days: 0"), "steps[3].after_days"),
        (good.replace("approval: once", "approval: nunca"), "approval"),
        (good.replace("en: check_back", "en: Check back"), "steps[0].template.en"),
        (good + "\nextra: 1", "extra"),
    ):
        with pytest.raises(ArgumentsWrong) as caught:
            parse_cadence(text)
        assert caught.value.params["where"] == where
    for text in ("- a\n- b", "a: [", "x" * 60_000):
        with pytest.raises(ArgumentsWrong) as caught:
            parse_cadence(text)
        assert caught.value.code == "cadence_unreadable"


async def test_a_step_reads_the_rows_of_its_lead_and_not_all_of_the_account(outreach: Outreach, owner_dsn: str) -> None:
    house, reach = outreach.house, outreach.cadences.reach
    await outreach.first(1, "Ipê")
    async with house.db.tenant(house.tenant_id) as conn:
        await conn.execute(
            """INSERT INTO chats (tenant_id, id, channel_id, address, last_at, created_at)
               SELECT current_tenant(), 'chat_' || n, %s, 'a' || n, now(), now() FROM generate_series(1, 60) n""",
            [house.channel.id],
        )
        await conn.execute(
            """INSERT INTO chat_messages (tenant_id, id, chat_id, direction, author, kind, at, received_at)
               SELECT current_tenant(), 'msg_' || n, 'chat_' || n, 'out', 'bot', 'text', now(), now()
               FROM generate_series(1, 60) n"""
        )
        await conn.execute(
            """INSERT INTO outbox (tenant_id, id, chat_id, message_id, key, content, purpose, author, state, created_at)
               SELECT current_tenant(), 'out_' || n, 'chat_' || n, 'msg_' || n, n, '{}', 'answer', 'bot', 'sent', now()
               FROM generate_series(1, 60) n"""
        )
    with psycopg.connect(owner_dsn, autocommit=True) as owner:
        owner.execute("ANALYZE chats, outbox, outreach_runs")
    row = (await outreach.runs())[0]
    async with house.db.tenant(house.tenant_id) as conn:
        await conn.execute("SET LOCAL enable_seqscan = off")  # of 60 rows it makes no difference
        counted = """SELECT relname, coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) AS rows
            FROM pg_stat_xact_user_tables WHERE relname IN ('chats', 'outbox') ORDER BY relname"""
        before = await fetch_all(conn, counted)
        assert await reach.answered(conn) == []
        run = await outreach.cadences.get(conn, row["id"])
        assert run is not None and (await reach.situation(conn, run)).stop is None
        assert await reach.send(conn, run, run.cadence.steps[0], "Oi!", "", "cadence:once")
        after = await fetch_all(conn, counted)
        read = {one["relname"]: one["rows"] - old["rows"] for one, old in zip(after, before, strict=True)}
        assert read.keys() == {"chats", "outbox"} and max(read.values()) < 30, read


@pytest.mark.parametrize("how", ["a person says no", "WhatsApp cannot deliver it"])
async def test_nobody_follows_up_on_a_first_message_that_never_left(outreach: Outreach, how: str) -> None:
    house, desk = outreach.house, outreach.desk
    house.wire.ask("/__config", window=False, statuses="none")
    await desk.lead(1, "Ipê")
    change = await desk.change(1, "Ipê")
    cadence = await outreach.cadences.cadence(desk.who.tenant_id, "padrao")
    plan = frozen(cadence, outreach.texts, "pt-BR", change.data["way"]["values"])
    change = Change(change.kind, change.target, {**change.data, "cadence": plan})
    made = await outreach.approvals.create(desk.who, change, tool="start_cadence", effect="SEND", door="chat")
    await outreach.approvals.approve(desk.who, made.id, "chat")
    run = (await outreach.runs())[-1]
    if how == "a person says no":
        await house.block("number", 131031)
    await house.run(run["chat_id"])
    (row,) = await house.rows("SELECT * FROM outbox")
    if how == "a person says no":
        await house.outbox.resolve(desk.who, row["id"], "drop")
    else:
        await house.told(row, "failed", code=131026)
    await outreach.to(days=6)
    (run,) = await outreach.runs()
    assert (run["state"], run["reason"]) == ("stopped", "by_person" if how == "a person says no" else "not_sent")
    assert len(await house.rows("SELECT 1 FROM outbox")) == 1


async def test_a_run_that_cannot_be_done_is_in_nobodys_way_and_is_tried_again(outreach: Outreach) -> None:
    broken = await outreach.first(1, "Ipê")
    await outreach.first(2, "Jatobá")
    plan = (await outreach.runs())[0]["plan"]
    async with outreach.house.db.tenant(outreach.house.tenant_id) as conn:
        odd = '{"steps": [{"channel": "whatsapp", "odd": 1}]}'
        await conn.execute("UPDATE outreach_runs SET plan = plan || %s::jsonb WHERE id = %s", [odd, broken])
    await outreach.to(days=5, hours=3)
    assert [(run["name"], run["step"], run["state"]) for run in await outreach.runs()] == [
        ("Ipê", 0, "running"), ("Jatobá", 1, "running"),
    ]  # fmt: skip
    async with outreach.house.db.tenant(outreach.house.tenant_id) as conn:
        await conn.execute("UPDATE outreach_runs SET plan = %s WHERE id = %s", [Jsonb(plan), broken])
    await outreach.to(hours=3)
    assert [run["step"] for run in await outreach.runs()] == [1, 1]


async def test_a_stop_that_the_sms_gateway_heard_stops_every_channel(outreach: Outreach) -> None:
    house = outreach.house
    await outreach.first(1, "Ipê")
    (chat,) = await house.rows("SELECT * FROM chats")
    sms = await house.channels.save(
        house.tenants.one[Role.ADMIN], "sms", "+5511900000001", account="AC1", secrets={"token": "t"}
    )
    async with house.db.tenant(house.tenant_id) as conn:
        other = await open_chat(
            conn, house.tenant_id, sms, "5519988887777", at=house.clock.now(), company_id=chat["company_id"]
        )
    put = await house.put(other.id, "Oi!", purpose=Purpose.FOLLOW_UP)
    async with house.db.tenant(house.tenant_id) as conn:
        row = await locked_row(conn, "o.id = %s", put)
        assert row is not None
        house.clock.at += timedelta(minutes=1)
        refusal = SmsSender(house.channels, httpx.AsyncClient()).refusal(of_answer(400, 21610, "unsubscribed"))
        await house.outcomes.refused(conn, row, refusal)
    (entry,) = await house.rows("SELECT act, scope, address FROM consent_entries WHERE act = 'stopped'")
    assert entry == {"act": "stopped", "scope": "all", "address": "5519988887777"}
    await outreach.to(days=6)
    (run,) = await outreach.runs()
    assert (run["state"], run["reason"], len(house.sent)) == ("stopped", "opted_out", 1)
