"""A file comes with a message: it is read, asked about where it is not clear, and answered from like an account."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from agents.files import FileIntake, parse_hints
from business.ads.importer import Hints
from core.door import Attachment, Reply
from core.ids import new_id
from core.tenancy import Role
from core.turn import Event, StepFinished, StepStarted, Turn
from tests.conftest import until
from tests.journeys.conftest import House

PURCHASE, CHAT = (
    "actions:offsite_conversion.fb_pixel_purchase",
    "actions:onsite_conversion.messaging_conversation_started_7d",
)
OCTOBER = f"""\
Início dos relatórios;Término dos relatórios;Nome da campanha;Dia;Veiculação da campanha;Resultados;\
Indicador de resultados;Valor usado (BRL);Impressões;Alcance;Cliques no link;Valor de conversão da compra
2026-10-01;2026-10-03;;;;;;3.083,50;145.110;;2.612;
2026-10-01;2026-10-01;Dia das Crianças;2026-10-01;active;12;{PURCHASE};1.234,56;45.210;30.100;812;3.456,70
2026-10-02;2026-10-02;Dia das Crianças;2026-10-02;active;8;{PURCHASE};980,44;39.000;27.500;700;2.100,00
2026-10-03;2026-10-03;Dia das Crianças;2026-10-03;active;5;{PURCHASE};573,00;42.000;29.000;700;1.000,30
2026-10-01;2026-10-01;Agenda no WhatsApp;2026-10-01;inactive;31;{CHAT};150,00;9.800;8.000;210;
2026-10-02;2026-10-02;Agenda no WhatsApp;2026-10-02;inactive;29;{CHAT};145,50;9.100;7.700;190;
"""
# By hand:
#   Dia das Crianças     1.234,56 + 980,44 + 573,00 = 2.788,00   12 + 8 + 5 = 25 purchases   111,52 each
#                        sales 3.456,70 + 2.100,00 + 1.000,30 = 6.557,00   ROAS 6.557,00 / 2.788,00 = 2,35
#   Agenda no WhatsApp   150,00 + 145,50 = 295,50                31 + 29 = 60 conversations   4,925 → R$ 4,93 each
#   together             3.083,50, as the file's own line of totals says

MONTH = """\
Campaign name,Reporting starts,Reporting ends,Amount spent (BRL),Impressions
Holiday,2026-10-01,2026-10-31,100.50,2700
Brand,2026-10-01,2026-10-31,49.50,600
"""


@dataclass
class Talk:
    """One conversation of one person, who may send files."""

    house: House
    role: Role = Role.ADMIN
    id: str = field(default_factory=lambda: new_id("conv"))

    async def say(self, text: str, file: str | bytes = "", name: str = "outubro.csv") -> Reply:
        attached = []
        if file:
            content = file.encode() if isinstance(file, str) else file
            person = await self.house.person(self.role)
            stored = await self.house.services.files.store(person, content, name=name, mime="text/csv")
            attached = [Attachment(stored.id, stored.name, stored.mime, stored.size)]
        return await self.house.ask(text, self.id, self.role, attachments=attached)


def cells(reply: Reply) -> dict[str, list[str]]:
    """Campaign → the rest of its line in the answer's table."""
    (table,) = reply.tables
    return {row[1]: row[2:] for row in table.rows}


async def test_a_portuguese_export_is_answered_with_what_a_hand_calculation_gives(house: House) -> None:
    talk = Talk(house)
    reply = await talk.say("como foi esse período?", OCTOBER)

    assert "Importei 5 linhas de outubro.csv, de 01/10/2026 a 03/10/2026, com gasto total de R$ 3.083,50" in reply.text
    assert "A linha de total do arquivo não entra na soma" in reply.text
    assert "**outubro.csv** gastou R$ 3.083,50 (01/10/2026 a 03/10/2026)" in reply.text
    assert "25 compras, R$ 111,52 cada, ROAS 2,35 (vendas de R$ 6.557,00)" in reply.text
    assert "60 conversas iniciadas, R$ 4,93 cada" in reply.text
    assert "atribuição da exportação" in reply.text
    assert "Loja Aurora" not in reply.text  # the connected accounts are not what is spoken of
    assert cells(reply)["Dia das Crianças"][:2] == ["R$ 2.788,00", "25 compras"]
    assert cells(reply)["Agenda no WhatsApp"][:2] == ["R$ 295,50", "60 conversas iniciadas"]

    followed = await talk.say("e por campanha?")
    assert cells(followed)["Dia das Crianças"][:2] == ["R$ 2.788,00", "25 compras"]
    assert "3.083,50" in followed.text

    one_day = await talk.say("e só no dia 02/10/2026?")
    assert "R$ 1.125,94" in one_day.text  # 980,44 + 145,50
    assert cells(one_day)["Agenda no WhatsApp"][0] == "R$ 145,50"


async def test_whatever_is_said_with_a_file_is_answered_from_the_file(house: House) -> None:
    for text in ("analisa esse arquivo", "what does this file say?", "qué dice este archivo", "como foi?", "olha aí"):
        reply = await Talk(house).say(text, OCTOBER)
        assert "Dia das Crianças" in reply.text, text
        assert "3.083,50" in reply.text or "3,083.50" in reply.text, text


async def test_a_file_without_a_word_is_read_and_asked_about_later(house: House) -> None:
    talk = Talk(house)
    reply = await talk.say("", OCTOBER)
    assert "Importei 5 linhas" in reply.text
    assert "como foram as campanhas?" in reply.text
    assert not reply.tables
    assert "R$ 2.788,00" in (await talk.say("como foram as campanhas?")).text
    asked = await talk.say("qual campanha teve o melhor custo por resultado?")
    assert "Agenda no WhatsApp" in asked.text
    assert "R$ 4,93" in asked.text


async def test_a_file_in_the_middle_of_a_conversation_is_what_is_spoken_of_from_then_on(house: House) -> None:
    talk = Talk(house)
    assert "Loja Aurora" in (await talk.say("quanto gastei ontem?")).text
    assert "R$ 3.083,50" in (await talk.say("e nesse arquivo?", OCTOBER)).text
    ranked = await talk.say("qual campanha gastou mais?")
    assert "Dia das Crianças" in ranked.text
    assert "Loja Aurora" not in ranked.text
    assert "Loja Aurora" in (await talk.say("e como foi a Loja Aurora ontem?")).text


async def test_later_and_elsewhere_the_file_is_asked_about_by_its_name(house: House) -> None:
    await Talk(house).say("", OCTOBER)
    reply = await Talk(house).say("como foi o arquivo outubro.csv?")
    assert "R$ 3.083,50" in reply.text
    unasked = await Talk(house).say("quanto gastei ontem?")
    assert "outubro.csv" not in unasked.text


async def test_a_file_of_a_whole_month_answers_that_month_and_says_why_not_a_week(house: House) -> None:
    talk = Talk(house)
    reply = await talk.say("como foi?", MONTH, "month.csv")
    assert "R$ 150,00" in reply.text
    assert "sem os dias" in reply.text
    week = await talk.say("e de 5 a 11 de outubro?")
    assert "01/10/2026 a 31/10/2026 como um período só" in week.text
    assert not week.tables


OPEN = [
    ("Campanha;Dia;Valor usado\nNatal;2026-11-01;10,50\n", "não diz a moeda", "moeda = BRL"),
    ("Campanha;Dia;Valor usado\nPáscoa;2026-11-01;10,50\n", "não diz a moeda", "em reais"),
    ("Campanha;Dia;Valor usado (BRL)\nNatal;2026-11-01;10.500\n", "10.500", "decimais = ponto"),
    ("Campanha;Dia;Investido (BRL)\nNatal;2026-11-01;10,50\n", "o valor gasto", '"Investido (BRL)" = valor gasto'),
    ("Campaign name,Day,Amount spent (BRL)\nNatal,03/04/2026,10.50\n", "03/04/2026", "dia/mês"),
]


async def test_what_a_file_leaves_open_is_asked_and_answered_in_the_chat(house: House) -> None:
    for text, question, answer in OPEN:
        talk = Talk(house)
        asked = await talk.say("como foi?", text, "nota.csv")
        assert question in asked.text
        assert not asked.tables
        settled = await talk.say(answer)
        assert "Importei 1 linha de nota.csv" in settled.text
        assert "R$ 10,50" in settled.text
        assert "R$ 10,50" in (await talk.say("como foi?")).text


async def test_a_slip_in_an_answer_does_not_stand_in_the_way_of_the_next(house: House) -> None:
    talk = Talk(house)
    await talk.say("como foi?", "Campanha;Dia;Investido\nNatal;2026-11-01;10,50\n", "nota.csv")
    assert "não existe" in (await talk.say("Investidos = spend")).text
    assert "não diz a moeda" in (await talk.say("Investido = spend")).text
    assert "R$ 10,50" in (await talk.say("BRL")).text


async def test_lines_that_were_left_out_are_told_with_line_and_reason(house: House) -> None:
    bad = "Natal;2026-11-31;1,00\nNatal;2026-11-01;-5,00\nNatal;2027-01-01;1,00\n" + "Natal;2026-11-01;abc\n" * 4
    reply = await Talk(house).say("", "Campanha;Dia;Valor usado (BRL)\nNatal;2026-11-01;10,50\n" + bad)
    assert "Importei 1 linha" in reply.text
    assert "7 linhas ficaram de fora" in reply.text
    assert 'linha 3: "2026-11-31" não é uma data (coluna Dia)' in reply.text
    assert "linha 4: Valor usado (BRL) não pode ser negativo (-5,00)" in reply.text
    assert "4 com um valor que não é número" in reply.text


USELESS = {
    b"%PDF-1.7\n": "não é uma planilha",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "Excel antigo",
    b"PK\x03\x04broken": "corrompido",
    "Oi, segue o relatório.\n".encode(): "Não encontrei uma tabela",
    b"Campanha;Dia;Valor usado;Moeda\nA;2026-11-01;1,5;BRL\nB;2026-11-01;1,5;USD\n": "mistura moedas (BRL, USD)",
}


async def test_a_file_that_cannot_be_used_is_told_in_a_sentence(house: House) -> None:
    for content, told in USELESS.items():
        reply = await Talk(house).say("como foi?", content)
        assert told in reply.text
        assert not reply.tables
        assert reply.ended == "done"


async def test_a_client_neither_brings_files_nor_sees_those_of_others(house: House) -> None:
    await Talk(house).say("", OCTOBER)
    client = Talk(house, Role.CLIENTE)
    refused = await client.say("como foi?", OCTOBER, "meu.csv")
    assert "não importa arquivos" in refused.text
    for text in ("como foi o arquivo outubro.csv?", "quais contas eu tenho?"):
        reply = await Talk(house, Role.CLIENTE).say(text)
        assert "3.083,50" not in reply.text
        assert "arquivo importado" not in reply.text


# --- a long file ------------------------------------------------------------------------------------


def long_file(lines: int) -> bytes:
    body = "".join(f"Campanha {n % 7};2026-10-{n % 30 + 1:02d};1,25\n" for n in range(lines))
    return ("Campanha;Dia;Valor usado (BRL)\n" + body).encode()


async def a_turn(house: House, conversation: str, text: str, session: dict[str, Any], seen: list[Event]) -> Turn:
    return Turn(
        id=new_id("turn"),
        identity=await house.person(),
        conversation_id=conversation,
        door="chat",
        text=text,
        language="pt-BR",
        now=datetime(2026, 11, 20, 15, 0, tzinfo=UTC),
        session=session,
        progress=seen.append,
    )


async def test_a_long_file_is_read_in_the_background_and_announced_once(house: House) -> None:
    services, seen, session = house.services, list[Event](), dict[str, Any]()
    conversation = (await house.ask("oi")).conversation_id
    stored = await services.files.store(await house.person(), long_file(30_000), name="longo.csv", mime="text/csv")
    impatient = FileIntake(services.imports, services.texts, wait=0.0)

    turn = await a_turn(house, conversation, "", session, seen)
    answer = await impatient.take(turn, [{"file_id": stored.id, "name": "longo.csv"}])
    assert answer is not None
    assert "em segundo plano" in answer.text
    assert "account" not in session

    stop = asyncio.Event()
    worker = asyncio.create_task(services.jobs.run_worker(stop))
    identity = await house.person()

    async def announced() -> list[str]:
        said = await services.conversations.said(identity.tenant_id, conversation, last=50)
        return [message.text for message in said if "longo.csv" in message.text]

    told: list[str] = []

    async def look() -> None:
        while not told:
            told.extend(await announced())
            await asyncio.sleep(0.05)

    await asyncio.wait_for(look(), 60)
    stop.set()
    await worker
    assert await announced() == [told[0]]
    assert "Importei 30.000 linhas de longo.csv" in told[0]
    assert "R$ 37.500,00" in told[0]  # 30.000 × 1,25

    # The next message is about the file, though nothing was attached to it.
    assert await impatient.take(await a_turn(house, conversation, "como foi?", session, seen), []) is None
    assert session["account"].startswith("file_")


async def test_a_file_that_is_read_within_the_turn_is_not_announced(house: House) -> None:
    talk = Talk(house)
    await talk.say("", OCTOBER)
    stop = asyncio.Event()
    worker = asyncio.create_task(house.services.jobs.run_worker(stop))
    waiting = [1]

    async def look() -> None:
        while waiting[0]:
            async with house.services.db.system() as conn:
                row = await (
                    await conn.execute(
                        "SELECT count(*) AS n FROM procrastinate_jobs WHERE task_name = 'ads_import'"
                        " AND status IN ('todo', 'doing')"
                    )
                ).fetchone()
            waiting[0] = row["n"] if row else 0
            await asyncio.sleep(0.05)

    await asyncio.wait_for(look(), 30)
    stop.set()
    await worker
    said = await house.services.conversations.said(house.tenant_id, talk.id, last=50)
    assert len([message for message in said if "Importei" in message.text]) == 1


async def test_a_long_reading_shows_how_far_it_is(house: House) -> None:
    seen, session = list[Event](), dict[str, Any]()
    services = house.services
    stored = await services.files.store(await house.person(), long_file(60_000), name="longo.csv", mime="text/csv")
    conversation = (await house.ask("oi")).conversation_id
    turn = await a_turn(house, conversation, "", session, seen)
    answer = await FileIntake(services.imports, services.texts, wait=120.0, look=0.05).take(
        turn, [{"file_id": stored.id, "name": "longo.csv"}]
    )
    assert answer is not None
    assert "Importei 60.000 linhas" in answer.text
    first, *inner = [event for event in seen if isinstance(event, StepStarted)]
    assert first.title == "Lendo o arquivo"
    assert len(inner) == 1  # at 50.000, then at twice as many each time
    assert all(step.parent_id == first.step_id and "linhas lidas" in step.title for step in inner)
    (last,) = [event for event in seen if isinstance(event, StepFinished) and event.step_id == first.step_id]
    assert (last.ok, last.summary) == (True, "60.000 linhas lidas")


async def test_a_stopped_turn_leaves_the_file_to_be_read_and_announced(house: House) -> None:
    seen, session = list[Event](), dict[str, Any]()
    services = house.services
    identity = await house.person()
    stored = await services.files.store(identity, long_file(60_000), name="longo.csv", mime="text/csv")
    conversation = (await house.ask("oi")).conversation_id
    turn = await a_turn(house, conversation, "", session, seen)
    intake = FileIntake(services.imports, services.texts, wait=120.0)
    taking = asyncio.create_task(intake.take(turn, [{"file_id": stored.id, "name": "longo.csv"}]))
    await until(lambda: "reading_import" in session)
    taking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taking
    done = await services.imports.run(identity.tenant_id, session["reading_import"])
    assert done.rows == 60_000
    assert await services.imports.take_announcement(identity.tenant_id, done.id) == conversation


# --- what people write ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "asked", "hints"),
    [
        (
            "Valor gasto = spend\nDia do anúncio = dia",
            "",
            Hints(columns={"Valor gasto": "spend", "Dia do anúncio": "day"}),
        ),
        ('"Investido" = "valor usado"', "", Hints(columns={"Investido": "spend"})),
        ("moeda = reais; decimais = vírgula", "", Hints(currency="BRL", decimals=",")),
        ("currency = usd", "", Hints(currency="USD")),
        ("dates = month/day", "", Hints(dates="mdy")),
        ("fechas = día/mes", "", Hints(dates="dmy")),
        ("Moeda = currency", "", Hints(columns={"Moeda": "currency"})),
        ("em reais", "import_currency_unknown", Hints(currency="BRL")),
        ("É em dólares.", "import_currency_unknown", Hints(currency="USD")),
        ("vírgula", "import_decimals_ambiguous", Hints(decimals=",")),
        ("mês/dia", "import_dates_ambiguous", Hints(dates="mdy")),
        ("vírgula", "import_currency_unknown", None),
        ("quanto gastei ontem?", "import_currency_unknown", None),
        ("sim", "import_currency_unknown", None),
        ("=", "", None),
    ],
)
def test_what_a_person_says_about_a_file_is_understood(text: str, asked: str, hints: Hints | None) -> None:
    assert parse_hints(text, Hints(), asked) == hints
