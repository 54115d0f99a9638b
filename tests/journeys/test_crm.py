"""The CRM in conversation, without any model: found, written, asked back, erased with a yes, brought in from a list."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from business.crm.model import ContactData, Source
from channels.chat import reply_extra
from channels.chat_data import parts_of
from core.door import Attachment, Reply
from core.ids import new_id
from core.tenancy import Role
from evals.stand_in import Answer, StandIn
from tests.journeys.conftest import House, OpenHouse

LIST = """\
Nome;Telefone;E-mail;Empresa;Observação
Carla Nogueira;(19) 98844-5566;carla@feira.example;Loja Aurora;stand 4
Davi Moura;11 97722-3344;;Padaria Sol;
;;;;nada
"""


class Talk:
    """One conversation of one person; `say` is one turn."""

    def __init__(self, house: House, role: Role = Role.ADMIN) -> None:
        self.house, self.role, self.id = house, role, new_id("conv")

    async def say(self, text: str, *, file: str = "") -> Reply:
        attached = []
        if file:
            who = await self.house.person(self.role)
            stored = await self.house.services.files.store(who, file.encode(), name="feira.csv", mime="text/csv")
            attached = [Attachment(stored.id, stored.name, stored.mime, stored.size)]
        return await self.house.ask(text, self.id, self.role, attachments=attached)


def called(reply: Reply) -> list[tuple[str, dict[str, Any]]]:
    return [(tool["name"], tool["arguments"]) for tool in reply.tools]


async def test_a_day_of_a_seller_goes_by_conversation_alone(house: House) -> None:
    talk = Talk(house)

    empty = await talk.say("mostra meu funil")
    assert "Ainda não há negócios no funil" in empty.text

    made = await talk.say("cadastra a Ana Souza, 11 98811-2233, da Padaria Sol")
    assert "Cadastrei o contato **Ana Souza**" in made.text and "11 98811-2233" in made.text, made.text
    assert [view.kind for view in made.views] == ["crm_record"]
    again = await talk.say("cadastra a Ana Souza, (11) 98811 2233, da Padaria Sol")
    assert "já está assim" in again.text, again.text

    found = await talk.say("qual o telefone da Ana?")
    assert "11 98811-2233" in found.text and "dito por" in found.text, found.text

    deal = await talk.say("cria um negócio com a Ana Souza de R$ 3.500")
    assert "R$ 3.500,00" in deal.text and "Novo" in deal.text, deal.text
    moved = await talk.say("move a Ana Souza para proposta")
    assert "de Novo para Proposta enviada" in moved.text, moved.text
    won = await talk.say("ganhamos o negócio da Ana Souza por R$ 4.200")
    assert "ganho: R$ 4.200,00 (antes R$ 3.500,00)" in won.text, won.text
    board = await talk.say("mostra meu funil")
    assert [view.kind for view in board.views] == ["crm_board"]
    assert any(row[0] == "Ganho" and row[2] == "R$ 4.200,00" for row in board.tables[0].rows)

    task = await talk.say("me lembra de ligar para a Ana amanhã às 15h")
    assert "Ligar para a Ana, sábado, 21/11/2026 15:00 (Ana Souza)" in task.text, task.text
    listed = await talk.say("quais são minhas tarefas?")
    assert "1 tarefa" in listed.text and listed.tables[0].rows[0][1] == "Ligar para a Ana"
    done = await talk.say("conclui a tarefa de ligar para a Ana")
    assert "Tarefa feita" in done.text, done.text

    noted = await talk.say("anota na ficha da Ana que ela prefere falar de manhã")
    assert "Ela prefere falar de manhã" in noted.text, noted.text
    tagged = await talk.say("etiqueta a Ana como vip")
    assert "Etiquetas de **Ana Souza**: vip" in tagged.text, tagged.text

    where = await talk.say("de onde vieram os dados da Ana?")
    assert "no CRM desde 20/11/2026" in where.text and "dito por" in where.text
    assert "ninguém registrou para que" in where.text
    stop = await talk.say("a Ana pediu para não receber mais mensagens")
    assert "não será mais contatado" in stop.text, stop.text
    record = await talk.say("mostra a ficha da Ana")
    assert "**Não contatar**: 11 98811-2233" in record.text and record.tables[0].columns[2] == "De onde"


async def test_what_fits_several_is_asked_back_and_answered_by_its_place(house: House) -> None:
    talk = Talk(house)
    await talk.say("cadastra a Ana Souza, ana@um.example, em Campinas")
    await talk.say("cadastra a Ana Lima, ana.lima@dois.example, em Santos")
    asked = await talk.say("etiqueta a Ana como vip")
    assert re.search(r"1\. Ana Lima \(.*Santos.*\)\s+2\. Ana Souza", asked.text), asked.text
    answer = await talk.say("a segunda")
    assert "Etiquetas de **Ana Souza**: vip" in answer.text, answer.text

    asked = await talk.say("cadastra um contato")
    assert "Quem devo cadastrar?" in asked.text, asked.text
    answer = await talk.say("Bruno Reis, 21 99888-7766")
    assert "Cadastrei o contato **Bruno Reis**" in answer.text, answer.text

    for text in ("como cadastro um contato?", "e se eu apagar a Ana Souza?", "não apaga a Ana Souza"):
        assert not (await talk.say(text)).proposals, text
    unknown = await talk.say("move a Padaria Lua para proposta")
    assert "Não encontrei" in unknown.text, unknown.text


async def test_erasing_waits_for_a_yes_and_leaves_nothing_behind(house: House) -> None:
    talk = Talk(house)
    await talk.say("cadastra a Ana Souza, ana@um.example")
    reply = await talk.say("apaga tudo da Ana Souza")
    (card,) = reply.proposals
    assert card.title == "Apagar para sempre os dados de Ana Souza" and "Não dá para desfazer." in card.warnings
    assert "**Ana Souza**" in (await talk.say("mostra a ficha da Ana Souza")).text
    who = await house.person()
    done = await house.services.approvals.approve(who, card.id, door="chat")
    assert done.state == "executed", done
    assert "Não encontrei" in (await talk.say("mostra a ficha da Ana Souza")).text


async def test_a_list_is_shown_first_and_brought_in_on_a_word(house: House) -> None:
    talk = Talk(house)
    shown = await talk.say("", file=LIST)
    assert "Ainda não gravei nada" in shown.text and "2 novos" in shown.text and "1 com problema" in shown.text, (
        shown.text
    )
    assert "Linha 4" in shown.text and "Observação" in shown.text
    assert "Não encontrei" in (await talk.say("mostra a ficha da Carla Nogueira")).text
    shown = await talk.say("", file=LIST)
    done = await talk.say("importa")
    assert "Importei feira.csv" in done.text and "2 novos" in done.text, done.text
    record = await talk.say("mostra a ficha da Carla Nogueira")
    assert any("arquivo importado (feira.csv, 2)" in row[2] for row in record.tables[0].rows), record.tables
    exported = await talk.say("exporta meus contatos em excel")
    (view,) = exported.views
    assert "2 contatos" in exported.text and view.kind == "file", exported.text
    stored = await house.services.files.info((await house.person()).tenant_id, view.subject)
    assert stored.name == view.title and stored.name.endswith(".xlsx")
    pieces = parts_of(talk.id, exported.message_id, reply_extra(exported))
    assert [part.element["url"] for part in pieces.values()] == [f"/chat/data/files/{stored.id}"]


@pytest.mark.parametrize(
    ("language", "lines"),
    [
        ("en", [("add Ana Souza from Padaria Sol, 11 98811-2233", "I added the contact **Ana Souza**"),
                ("create a deal with Ana Souza for R$ 3,500", "R$3,500.00"),
                ("remind me to call Ana tomorrow at 3pm", "Saturday, Nov 21, 2026 15:00"),
                ("show me the pipeline", "1 open deal"),
                ("we lost the Ana Souza deal because of price", "marked as lost: price")]),
        ("es", [("agrega a Ana Souza, 11 98811-2233", "Agregué el contacto **Ana Souza**"),
                ("crea un negocio con Ana Souza de R$ 3.500", "R$ 3.500,00"),
                ("recuérdame llamar a Ana mañana a las 15", "sábado, 21/11/2026 15:00"),
                ("muéstrame mi embudo de ventas", "1 negocio abierto"),
                ("mueve Ana Souza a negociación", "a Negociação")]),
    ],
)  # fmt: skip
async def test_it_is_spoken_in_other_languages_too(house: House, language: str, lines: list[tuple[str, str]]) -> None:
    talk = Talk(house)
    for text, expected in lines:
        reply = await talk.say(text)
        assert expected in reply.text, (text, reply.text)
        assert reply.language == language


async def test_a_seller_sees_only_their_own_and_a_client_nothing(house: House) -> None:
    admin, seller, client = Talk(house), Talk(house, Role.COMERCIAL), Talk(house, Role.CLIENTE)
    await admin.say("cadastra a Ana Souza, ana@um.example")
    await seller.say("cadastra o Bruno Reis, bruno@um.example")
    assert "Não encontrei" in (await seller.say("mostra a ficha da Ana Souza")).text
    assert "**Bruno Reis**" in (await seller.say("mostra a ficha do Bruno Reis")).text
    refused = await seller.say("apaga tudo do Bruno Reis")
    assert not refused.proposals and "não permite" in refused.text, refused.text
    nothing = await client.say("mostra meu funil")
    assert not nothing.tools and not nothing.views


async def test_a_model_writes_what_was_said_and_is_told_what_it_may_not(open_house: OpenHouse) -> None:
    """The agent's tools, its opening and its tables; what it made up is refused, and a choice that it met is open to a
    bare answer later, when no model is there any more."""
    saved = {"kind": "contact", "name": "Ana Souza", "reach": ["(19) 98811-2233"]}
    made_up = {"kind": "contact", "name": "Ana Souza", "reach": ["(11) 97722-3344"]}
    with StandIn(
        [
            Answer(calls=[("crm_save", made_up)]),
            Answer(calls=[("crm_save", saved)]),
            Answer("Cadastrei a Ana Souza com o telefone (19) 98811-2233."),
            Answer(calls=[("crm_search", {"query": "Ana"}), ("crm_mark", {"record": "Ana", "add_tags": ["vip"]})]),
            Answer("Há duas: qual Ana?"),
        ]
    ) as server:
        house = await open_house(model="openai/gpt-5.6-terra", openai_api_key="sk-x", openai_base_url=server.openai_url)
        talk = Talk(house)
        reply = await talk.say("cadastra a Ana Souza, (19) 98811-2233")
        assert [name for name, _ in called(reply)] == ["crm_save", "crm_save"], reply.tools
        assert reply.text.startswith("Cadastrei a Ana Souza com o telefone (19) 98811-2233."), reply.text
        told = str(server.seen[1].body["messages"])
        assert "crm_not_said" in told and "97722-3344" in told
        assert "CRM do Mutirão" in str(server.seen[0].body["messages"][0])
        assert len(server.seen[0].body["tools"]) == 14

        who = await house.person()
        await house.services.crm.upsert_contact(who, ContactData(Source("person", who.user_id, True), name="Ana Lima"))
        asked = await talk.say("etiqueta a Ana como vip")
        assert asked.text.startswith("Há duas: qual Ana?"), asked.text
        answer = await talk.say("a segunda")  # the script is at its end: the playbook takes over
        assert "Etiquetas de **Ana Souza**: vip" in answer.text, answer.text


async def test_a_long_list_is_brought_in_in_the_background_and_announced_once(house: House) -> None:
    talk, services = Talk(house), house.services
    await talk.say("oi")
    who = await house.person()
    stored = await services.files.store(who, LIST.encode(), name="feira.csv", mime="text/csv")
    started = await services.crm_imports.start(who, stored.id)
    await services.crm_imports.announce_in(who.tenant_id, started.id, talk.id)

    async def announced() -> list[str]:
        said = await services.conversations.said(who.tenant_id, talk.id, last=50)
        return [message.text for message in said if "feira.csv" in message.text]

    stop = asyncio.Event()
    worker = asyncio.create_task(services.jobs.run_worker(stop))
    try:
        await until_async(announced)
    finally:
        stop.set()
        await worker
    (told,) = await announced()
    assert told.startswith("Importei feira.csv: 3 linhas lidas.") and "2 novos" in told, told


async def until_async(look: Callable[[], Awaitable[Any]], seconds: float = 60) -> None:
    """Wait until `look` gives something."""
    async with asyncio.timeout(seconds):
        while not await look():
            await asyncio.sleep(0.05)
