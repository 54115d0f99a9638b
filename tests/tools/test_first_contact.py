"""First messages: shown as they will be read, approved alone or several as one, and in the outbox exactly once."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from agents.approvals import proposal_card
from business.approvals.model import Change, ChangeHandler, Proposal, ProposalState, ReadBack
from business.approvals.service import Approvals
from business.crm.service import Crm
from business.messaging.consent import Act, Entry, How, Scope
from business.messaging.hands import Hands
from business.messaging.ledger import Ledger
from business.messaging.waking import Waking
from business.people.service import People
from business.prospecting.contact import (
    FirstContactBatch,
    FirstContactHandler,
    KeepFirstContact,
    opening_of,
    plan_batch,
    plan_first_contact,
)
from core.db import Database
from core.errors import ArgumentsWrong, Refused
from core.permissions import Permissions
from core.tenancy import Role
from prompts.texts import Texts
from tests.business.messaging.conftest import running_wire, wire
from tests.business.messaging.outbox_house import House, Wire, open_house
from tests.conftest import Tenants
from tools.contact_notes import ContactNotes
from tools.first_contact import FirstContacts, address_of

__all__ = ["running_wire", "wire"]

SANDBOX, REAL = "http://127.0.0.1:9/11222333000181", "https://minhareceita.org/11222333000181"
VALUES = {"sender": "Rui", "house": "Aurora", "source": "site da própria empresa"}


@pytest.fixture
async def house(
    database: Database, tenants: Tenants, permissions: Permissions, wire: Wire, tmp_path: Path
) -> AsyncIterator[House]:
    async with httpx.AsyncClient(trust_env=False, verify=False) as http:
        made = await open_house(database, tenants, permissions, wire, tmp_path, http)
        await made.templates.sync(made.tenant_id)
        yield made
        await made.jobs.close()


class Desk:
    """Leads, what is proposed to them, and who approves."""

    def __init__(self, house: House, permissions: Permissions) -> None:
        self.house, self.who = house, house.tenants.one[Role.DIRETOR]
        hands = Hands(drop=house.outbox.drop, wake=Waking(house.jobs, house.clock).wake)
        self.contacts = FirstContacts(house.db, house.clock, house.channels, house.outbox, house.rules, hands)
        self.handlers: list[ChangeHandler] = [
            *(kind(house.db, self._blocked, self.contacts) for kind in (FirstContactHandler, FirstContactBatch)),
            KeepFirstContact(self.contacts),
        ]
        self.blocked: set[str] = set()
        by_kind = {one.kind: one for one in self.handlers}
        self.approvals = Approvals(house.db, permissions, house.clock, by_kind, check=self._allowed)
        self.texts = Texts.load()

    async def _allowed(self, tenant_id: str, tool: str, effect: str, change: Change) -> None:
        """A policy that lets everything be proposed."""

    async def _blocked(self, tenant_id: str, keys: Sequence[tuple[str, str]]) -> bool:
        return bool(self.blocked & {given for _, given in keys})

    async def lead(self, number: int, name: str) -> None:
        """A company of the CRM that a search found and saved."""
        async with self.house.db.tenant(self.who.tenant_id) as conn:
            now = self.house.clock.now()
            await conn.execute(
                """INSERT INTO prospect_searches (tenant_id, id, wish, sentence, language, profile, plan, rules_version,
                       state, created_at, updated_at)
                   VALUES (current_tenant(), 'srch_1', 'w', 's', 'pt-BR', '{}', '{}', '1', 'done', %s, %s)
                   ON CONFLICT DO NOTHING""",
                [now, now],
            )
            await conn.execute(
                """INSERT INTO crm_companies (tenant_id, id, trade_name, uf, created_at, updated_at)
                   VALUES (current_tenant(), %s, %s, 'SP', %s, %s)""",
                [f"com_{number}", name, now, now],
            )
            await conn.execute(
                """INSERT INTO prospect_candidates (tenant_id, id, search_id, company_key, group_key, score, verdict,
                       scored, rules_version, state, step, found_at, updated_at, company_id)
                   VALUES (current_tenant(), %s, 'srch_1', %s, %s, 80, 'qualified', '{}', '1', 'saved', '1', %s, %s,
                       %s)""",
                [f"cand_{number}", f"k{number}", f"g{number}", now, now, f"com_{number}"],
            )

    async def change(self, number: int, name: str, *, reference: str = SANDBOX, text: str = "", to: str = "") -> Change:
        to = to or f"+551999999{number:04d}"
        text = text or f"Olá! Aqui é Rui. Vi que {name} cuida de jardins em Campinas. Posso ligar?"
        values = VALUES | {"name": name, "opening": opening_of(text)}
        sandbox = reference == SANDBOX
        way = await self.contacts.way(
            self.who.tenant_id, channel="whatsapp", to=to, sandbox=sandbox, language="pt-BR", values=values
        )
        return plan_first_contact(
            company_id=f"com_{number}", candidate_id=f"cand_{number}", name=name, channel="whatsapp", to=to,
            keys=[("phone", to)], text=text, notice="Somos a Aurora … responda SAIR", known_from="website",
            known_on=date(2026, 11, 18), reference=reference, way=way, owner_id=self.who.user_id,
        )  # fmt: skip

    async def propose(self, change: Change) -> Proposal:
        return await self.approvals.create(self.who, change, tool="t", effect="SEND", door="chat")

    def card(self, proposal: Proposal) -> str:
        card = proposal_card(proposal, self.texts, "pt-BR", "America/Sao_Paulo")
        lines = "\n".join(f"{label}: {value}" for label, value in card.lines)
        return "\n".join([card.title, lines, *card.warnings, card.outcome])

    async def outbox(self) -> list[dict[str, Any]]:
        return await self.house.rows(
            """SELECT o.id, o.key, o.state, o.purpose, o.once, m.text, c.address, c.company_id, c.owner_id, c.id AS chat
               FROM outbox o JOIN chat_messages m ON m.id = o.message_id JOIN chats c ON c.id = o.chat_id
               ORDER BY o.seq"""
        )


@pytest.fixture
def desk(house: House, permissions: Permissions) -> Desk:
    return Desk(house, permissions)


async def test_an_approved_message_is_the_template_that_was_shown_once_in_the_outbox_and_leaves(desk: Desk) -> None:
    await desk.lead(1, "Ipê Paisagismo")
    made = await desk.propose(await desk.change(1, "Ipê Paisagismo"))
    read = (
        "Olá, Ipê Paisagismo! Aqui é Rui, da Aurora. Vi que Ipê Paisagismo cuida de jardins em Campinas."
        " Posso contar mais em dois minutos?"
    )
    card = desk.card(made)
    assert f"A pessoa vai ler: {read}" in card and "Modelo aprovado: primeiro_contato" in card
    assert "Quando sai: Assim que for aprovada" in card and "não há aceite registrado" in card
    assert "não diz de onde veio o contato" in card

    # Only what fills the template can be edited, within limits.
    edited = await desk.approvals.edit(desk.who, made.id, {"opening": "Gostei do jardim  do\nhotel."}, "chat")
    assert "Aqui é Rui, da Aurora. Gostei do jardim do hotel. Posso" in desk.card(edited)
    for wrong in ({"text": "x"}, {"opening": " "}, {"opening": "x" * 501}):
        with pytest.raises(ArgumentsWrong):
            await desk.approvals.edit(desk.who, edited.id, wrong, "chat")

    done = await asyncio.gather(
        *(desk.approvals.approve(desk.who, edited.id, "chat") for _ in range(3)), return_exceptions=True
    )
    (approved,) = [one for one in done if isinstance(one, Proposal)]
    assert approved.state is ProposalState.EXECUTED and approved.outcome == "first_contact_queued"
    assert "sai assim que puder" in desk.card(approved)
    (row,) = await desk.outbox()
    assert (row["purpose"], row["once"], row["state"]) == ("first_contact", True, "waiting")
    assert (
        row["text"]
        == "Olá, Ipê Paisagismo! Aqui é Rui, da Aurora. Gostei do jardim do hotel. Posso contar mais em dois minutos?"
    )
    assert (row["address"], row["company_id"], row["owner_id"]) == ("5519999990001", "com_1", desk.who.user_id)
    # Done once more, as after a crash: the same row.
    handler = desk.handlers[0]
    await handler.apply(desk.who.tenant_id, approved.change)
    assert len(await desk.outbox()) == 1
    assert await handler.read_back(desk.who.tenant_id, approved.change) is ReadBack.APPLIED

    await desk.house.run(row["chat"])
    (sent,) = desk.house.sent
    assert (sent["type"], sent["template"]["name"], sent["to"]) == ("template", "primeiro_contato", "5519999990001")
    assert (await desk.outbox())[0]["state"] == "sent"


async def test_five_messages_are_one_card_edited_and_left_out_and_approved_as_they_stand(desk: Desk) -> None:
    names = ["Ipê", "Jatobá", "Peroba", "Cedro", "Angico"]
    for number, name in enumerate(names, 1):
        await desk.lead(number, name)
    changes = [await desk.change(number, name) for number, name in enumerate(names, 1)]
    made = await desk.propose(plan_batch(changes))
    card = desk.card(made)
    assert card.startswith("5 primeiras mensagens")
    assert all(
        f"{n}. {name} · (19) 99999-000{n}" in card and f"Olá, {name}! Aqui é Rui" in card
        for n, name in enumerate(names, 1)
    )

    with pytest.raises(ArgumentsWrong) as caught:
        await desk.approvals.edit(desk.who, made.id, {"messages": "troca tudo"}, "chat")
    assert caught.value.code == "first_contact_line"
    edits = "2: Vi o projeto\nda praça.\ntirar 4"
    edited = await desk.approvals.edit(desk.who, made.id, {"messages": edits}, "chat")
    card = desk.card(edited)
    assert "Cedro" not in card and "Vi o projeto da praça." in card and "3. Peroba" in card and "4. Angico" in card
    same = await desk.approvals.edit(desk.who, edited.id, {"messages": edited.preview.editable["messages"]}, "chat")
    assert same.id == edited.id

    # One of them asks to be left alone meanwhile: none leaves until it is left out.
    desk.blocked.add("+5519999990003")
    with pytest.raises(Refused) as refused:
        await desk.approvals.approve(desk.who, edited.id, "chat")
    assert refused.value.code == "first_contacts_one"
    assert "Mensagem 3, Peroba: a empresa pediu para não receber mensagens." in desk.texts.error("pt-BR", refused.value)
    assert await desk.outbox() == []
    last = await desk.approvals.edit(desk.who, edited.id, {"messages": "3: -"}, "chat")
    done = await desk.approvals.approve(desk.who, last.id, "chat")
    assert (done.state, done.outcome) == (ProposalState.EXECUTED, "first_contacts_queued")
    rows = await desk.outbox()
    assert sorted(row["address"][-1] for row in rows) == ["1", "2", "5"]
    assert len({row["key"] for row in rows}) == 3
    alone = desk.handlers[1].edit(last.change, {"messages": "1: -\n2: -"})
    assert (alone.kind, alone.data["name"]) == ("first_contact", "Angico")
    # Erased with one of those it is about.
    assert await desk.approvals.forget(desk.who.tenant_id, ["com_5"]) >= 1


async def test_who_wrote_to_us_is_written_to_in_the_conversation_there_is_though_the_crm_has_the_ninth_digit(
    desk: Desk,
) -> None:
    await desk.lead(1, "Ipê")
    house = desk.house
    there = await house.chat(address="551999990001", wrote=timedelta(days=40), answered_in=1)
    made = await desk.propose(await desk.change(1, "Ipê", to="+5519999990001"))
    await desk.approvals.approve(desk.who, made.id, "chat")
    (chat,) = await house.rows("SELECT id, address, company_id FROM chats")
    assert chat == {"id": there, "address": "551999990001", "company_id": "com_1"}
    assert [row["chat"] for row in await desk.outbox()] == [there]


async def test_what_a_person_dictated_is_not_thrown_away_when_its_reader_writes_first(desk: Desk) -> None:
    await desk.lead(1, "Ipê")
    house = desk.house
    dictated = (await desk.change(1, "Ipê")).data | {"by": desk.who.user_id}
    await desk.contacts.put(house.tenant_id, [dictated])
    (row,) = await desk.outbox()
    house.clock.at += timedelta(minutes=5)
    now = house.clock.now()
    await house.change(row["chat"], last_received_at=now, last_from_contact=now, messages_in=1)
    await house.run(row["chat"])
    (asks,) = await house.rows("SELECT id, state, reason FROM outbox")
    assert (asks["state"], asks["reason"], house.sent) == ("ask", "answered_meanwhile", [])
    assert [alert.kind for alert in house.alerts] == ["ask"], "who dictated it hears of it"
    await house.outbox.resolve(desk.who, asks["id"], "send")
    await house.run(row["chat"])
    assert len(house.sent) == 1


async def test_when_it_may_not_leave_the_card_says_so_and_a_yes_waits_or_is_refused(desk: Desk) -> None:
    await desk.lead(1, "Ipê")
    house = desk.house
    house.clock.at = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)  # a holiday's evening; Saturday follows
    made = await desk.propose(await desk.change(1, "Ipê"))
    assert "Quando sai: Em 21/11/2026 às 10:00, no horário de quem recebe" in desk.card(made)
    done = await desk.approvals.approve(desk.who, made.id, "chat")
    (row,) = await desk.outbox()
    await house.run(row["chat"])
    assert (done.state, house.sent, (await desk.outbox())[0]["state"]) == (ProposalState.EXECUTED, [], "waiting")
    assert await desk.approvals.undoable(done)
    never = await desk.approvals.undo(desk.who, done.id, "chat")
    assert desk.card(never).startswith("Não mandar mais: a mensagem que espera")
    assert (await desk.approvals.approve(desk.who, never.id, "chat")).state is ProposalState.EXECUTED
    assert (await desk.outbox())[0]["state"] == "dropped" and not await desk.approvals.undoable(done)
    made = await desk.propose(await desk.change(1, "Ipê"))  # the very same, anew
    done = await desk.approvals.approve(desk.who, made.id, "chat")
    assert [row["state"] for row in await desk.outbox()] == ["dropped", "waiting"]
    house.clock.at = datetime(2026, 11, 21, 13, 1, tzinfo=UTC)
    await house.run(row["chat"])
    assert len(house.sent) == 1 and not await desk.approvals.undoable(done)
    with pytest.raises(Refused) as late:
        await desk.approvals.undo(desk.who, done.id, "chat")
    assert late.value.code == "first_contact_left"

    # Somebody who opted out: shown before the yes, and the yes is refused.
    await desk.lead(2, "Jatobá")
    async with house.db.tenant(desk.who.tenant_id) as conn:
        entry = Entry(house.clock.now(), Act.STOPPED, Scope.ALL, How.WORDS, "sair")
        await Ledger(house.jobs).write(conn, desk.who.tenant_id, entry, address="551999990002", tell=False)
    stopped = await desk.propose(await desk.change(2, "Jatobá", to="+5519999990002"))
    assert "Quando sai: Não pode sair" in desk.card(stopped) and "pediu para não receber" in desk.card(stopped)
    await refused(desk, stopped, "first_contact_never")

    # Worlds do not mix; and what is gone or paused since is said before anything is claimed.
    await desk.lead(3, "Peroba")
    real = await desk.change(3, "Peroba", reference=REAL)
    assert real.data["way"] is None
    await refused(desk, await desk.propose(real), "no_door_to_send")
    await desk.lead(4, "Cedro")
    waiting = await desk.propose(await desk.change(4, "Cedro"))
    await house.channels.pause(house.tenants.one[Role.ADMIN], house.channel.id)
    await refused(desk, waiting, "first_contact_way_gone")
    await house.channels.resume(house.tenants.one[Role.ADMIN], house.channel.id)
    async with house.db.tenant(desk.who.tenant_id) as conn:
        await conn.execute("UPDATE message_templates SET status = 'PAUSED' WHERE name = 'primeiro_contato'")
    await refused(desk, waiting, "first_contact_template_gone")
    nothing = await desk.propose(await desk.change(4, "Cedro", text="Outra."))
    assert nothing.change.data["way"]["template"] is None
    await refused(desk, nothing, "first_contact_no_template")
    house.clock.advance(timedelta(hours=1))


async def refused(desk: Desk, proposal: Proposal, code: str) -> None:
    """A yes is refused with this code, in words, and the proposal goes on waiting."""
    with pytest.raises(Refused) as caught:
        await desk.approvals.approve(desk.who, proposal.id, "chat")
    assert caught.value.code == code
    assert all(desk.texts.error(language, caught.value) for language in ("pt-BR", "en", "es"))
    assert (await desk.approvals.get(desk.who, proposal.id)).state is ProposalState.PENDING


def test_a_number_is_told_to_whatsapp_with_its_country_and_without_the_trunk_zero() -> None:
    for given, told in (
        ("+45 31 42 53 64", "4531425364"), ("+65 9123 4567", "6591234567"), ("+47 912 34 567", "4791234567"),
        ("011 98811-2233", "5511988112233"), ("0 21 11 98811-2233", "5511988112233"), ("1998811-2233", "5519988112233"),
        ("+55 19 3668-9288", "551936689288"), ("98811-2233", ""), ("+45 31", ""), ("oi@ipe.example", ""),
    ):  # fmt: skip
        assert address_of("phone", given) == told


def test_of_a_message_the_template_gets_what_it_does_not_say_itself() -> None:
    assert opening_of("Olá! Aqui é Ana. Vi o site. Gostei. Posso ligar? Obrigada.") == "Vi o site. Gostei."
    assert opening_of("Bom dia, pessoal! Sou o Rui, da Aurora. Vocês atendem hotéis") == "Vocês atendem hotéis."
    assert opening_of("Com quem falo sobre compras?") == "Com quem falo sobre compras?"
    assert len(opening_of("palavra " * 200)) <= 501
    assert opening_of("Olá!") == ""


async def test_the_companys_timeline_tells_what_became_of_its_first_message(
    desk: Desk, people: People, permissions: Permissions
) -> None:
    house, crm = desk.house, Crm(desk.house.db, desk.house.clock, permissions)
    notes = ContactNotes(house.db, house.clock, people, desk.texts)
    names = {1: "Ipê", 2: "Jatobá", 3: "Peroba", 4: "Cedro"}
    for number, name in names.items():
        await desk.lead(number, name)
        made = await desk.propose(await desk.change(number, name))
        await desk.approvals.approve(desk.who, made.id, "chat")
    assert await notes.run(house.tenant_id) == 0, "nothing has left"

    rows = {row["company_id"]: row for row in await desk.outbox()}
    await house.block("number", 131031)  # the number is stopped: a person says no to one
    await house.run(rows["com_4"]["chat"])
    await house.outbox.resolve(house.tenants.one[Role.ADMIN], rows["com_4"]["id"], "drop")
    await house.rows("DELETE FROM message_blocks RETURNING id")
    for number in (1, 2):
        await house.run(rows[f"com_{number}"]["chat"])
        house.clock.advance(timedelta(minutes=1))
    await house.told(await house.row(rows["com_2"]["id"]), "failed", code=131026)
    house.wire.fail("lost")
    await house.run(rows["com_3"]["chat"])
    house.clock.advance(timedelta(minutes=4))
    await house.run(rows["com_3"]["chat"])

    async def timeline(number: int) -> list[str]:
        told = await crm.timeline(desk.who, company_id=f"com_{number}")
        return [f"{one.kind} {one.at:%H:%M} {one.text}" for one in reversed(told)]

    assert await notes.run(house.tenant_id) == 5
    assert await notes.run(house.tenant_id) == 0, "each once"
    by = f"{house.channel.name} para (19) 99999-000"
    (sent,) = await timeline(1)
    assert sent.startswith(f"message 15:00 Primeira mensagem enviada por {by}1:\nOlá, Ipê! Aqui é Rui")
    first, failed = await timeline(2)
    assert first.startswith(f"message 15:01 Primeira mensagem enviada por {by}2:")
    assert failed.startswith(f"note 15:02 A primeira mensagem por {by}2 não foi entregue. ") and "131026" not in failed
    (lost,) = await timeline(3)
    assert lost.startswith(f"note 15:06 Não se sabe se a primeira mensagem por {by}3 saiu")
    assert await timeline(4) == [
        f"note 15:00 A primeira mensagem por {by}4 não foi enviada. Alguém da equipe descartou."
    ]

    # WhatsApp takes back that it failed; and the lost one is heard of after all.
    await house.told(await house.row(rows["com_2"]["id"]), "delivered")
    await house.told(await house.row(rows["com_3"]["id"]), "delivered", id="wamid.late=")
    assert await notes.run(house.tenant_id) == 2
    assert "chegou, afinal" in (await timeline(2))[-1] and any("enviada" in one for one in await timeline(3))
