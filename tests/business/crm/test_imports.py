"""Lists are looked at before they come in, come in once, and go out without a formula in them."""

import asyncio
import csv
import io
from pathlib import Path

import pytest
from openpyxl import Workbook, load_workbook

from business.crm.custom import CustomPart
from business.crm.imports import BATCH, JOB, CrmImports
from business.crm.model import CustomField, FieldType, Outcome, Subject
from business.crm.service import Crm
from business.crm.sheets import harmless
from business.people.service import People
from core.clock import FixedClock
from core.db import Database
from core.errors import ArgumentsWrong, MutiraoError, Refused
from core.files import Files
from core.jobs import Jobs
from core.permissions import Permissions
from core.tenancy import Identity, Role
from tests.business.crm.conftest import CPF, PHONE, person
from tests.business.crm.test_upsert import everything, rows
from tests.conftest import Dsns, Tenants, until

LIST = """Nome;Telefone 1;Telefone 2;E-mail;CPF;Empresa;Etiquetas;Observação
Ana Lima;(19) 98765-4329;;ana@ipe.com.br;529.982.247-25;Ipê;vip, feira;x
Bruno Reis;19 3251-4329 / 19 98765-4330;;BRUNO@x.org;;;;
ANA LIMA;;;ana@ipe.com.br;;;quente;
Zoraide Kuhn;+55 19 98765-4329;;;;;;
;99999-9999;;;;;;

Caio Melo;19 98765-4331;;;;;;;a mais
"""


@pytest.fixture
def files(database: Database) -> Files:
    return Files(database)


@pytest.fixture
def lists(database: Database, clock: FixedClock, permissions: Permissions, files: Files, people: People) -> CrmImports:
    return CrmImports(database, clock, permissions, files, None, people.identity)


async def stored(files: Files, who: Identity, content: str | bytes, name: str = "lista.csv") -> str:
    content = content.encode() if isinstance(content, str) else content
    return (await files.store(who, content, name=name, mime="text/csv")).id


async def test_a_preview_says_line_by_line_what_would_be_and_writes_nothing(
    lists: CrmImports, files: Files, crm: Crm, tenants: Tenants, owner_dsn: str
) -> None:
    who = tenants.one[Role.DIRETOR]
    await crm.upsert_contact(who, person("Bruno Reis", (PHONE, "1987654330"), (CPF, "01234567890")))
    file_id = await stored(files, who, LIST)
    before = everything(owner_dsn)
    seen = await lists.preview(who, file_id)
    assert everything(owner_dsn) == before
    assert seen.subject is Subject.CONTACT and seen.ignored == ["Observação"] and not seen.more
    assert seen.columns["Telefone 2"] == "phone" and seen.columns["Empresa"] == "company_name"
    assert [(line.line, line.outcome, line.code) for line in seen.lines] == [
        (2, "created", ""),
        (3, "updated", ""),
        (4, "updated", ""),
        (5, "ambiguous", "crm.rule.keys_agree_but_names_do_not"),
        (6, "refused", "crm_nothing_told"),
        (8, "refused", "crm_row_cut"),
    ]
    ana = seen.lines[0].found
    assert ana is not None and ana.changes["name"] == (None, "Ana Lima") and ana.changes["tags"][1] == ["feira", "vip"]
    assert seen.counts() == {"created": 1, "updated": 2, "ambiguous": 1, "refused": 2}


async def test_a_list_comes_in_once_and_its_file_is_forgotten(
    lists: CrmImports, files: Files, crm: Crm, tenants: Tenants, owner_dsn: str
) -> None:
    who = tenants.one[Role.ADMIN]
    for n, counts in enumerate(
        ({"created": 2, "updated": 1, "ambiguous": 1, "refused": 2}, {"unchanged": 3, "ambiguous": 1, "refused": 2})
    ):
        file_id = await stored(files, who, LIST)
        started = await lists.start(who, file_id, purpose="clientes da feira", tags=("feira-2026",))
        assert (started.state, started.rows) == ("waiting", 0)
        told: list[int] = []
        done = await lists.run(who.tenant_id, started.id, told.append)
        assert (done.state, done.rows, done.outcomes) == ("done", 6, counts), n
        assert told == [6]
        assert done.problems == [
            (5, "ambiguous", "crm.rule.keys_agree_but_names_do_not", {}),
            (6, "refused", "crm_nothing_told", {}),
            (8, "refused", "crm_row_cut", {}),
        ]
        with pytest.raises(Refused):
            await files.info(who.tenant_id, file_id)
    assert len(rows(owner_dsn, "crm_contacts")) == 2
    (found,) = [one for one in await crm.search(who, "ana lima")]
    ana = await crm.contact(who, found.id)
    assert ana.tags == ("feira", "feira-2026", "quente", "vip")
    assert (ana.purpose, ana.facts["name"].source, ana.facts["name"].reference) == (
        "clientes da feira", "import", "lista.csv, 2"
    )  # fmt: skip
    (bruno,) = await crm.contacts_with(who, PHONE, "19 98765-4330")
    assert len(bruno.keys) == 3


async def test_an_import_that_died_goes_on_behind_its_last_batch(
    lists: CrmImports, files: Files, tenants: Tenants, owner_dsn: str
) -> None:
    class Killed(BaseException):
        pass

    def die(rows_done: int) -> None:
        raise Killed

    who = tenants.one[Role.ADMIN]
    lines = "".join(f"Pessoa {n} Kuhn;1998{n:07d}\n" for n in range(BATCH * 2 + 10))
    started = await lists.start(who, await stored(files, who, f"nome;celular\n{lines}"))
    with pytest.raises(Killed):
        await lists.run(who.tenant_id, started.id, die)
    assert (await lists.get(who.tenant_id, started.id)).rows == BATCH
    told: list[int] = []
    done = await lists.run(who.tenant_id, started.id, told.append)
    assert told == [BATCH * 2, BATCH * 2 + 10]
    assert (done.state, sum(done.outcomes.values())) == ("done", BATCH * 2 + 10)
    assert len(rows(owner_dsn, "crm_contacts")) == done.outcomes["created"]
    assert (await lists.run(who.tenant_id, started.id, told.append)).state == "done" and len(told) == 2


async def test_columns_are_known_in_three_languages(lists: CrmImports, files: Files, tenants: Tenants) -> None:
    who = tenants.one[Role.ADMIN]
    for header, subject in (
        ("Full name,Phone number,E-mail address,Company", Subject.CONTACT),
        ("Nombre,Teléfono,Correo electrónico,Compañía", Subject.CONTACT),
        ("First name,Mobile,Email,Job title", Subject.CONTACT),
        ("Razão Social,Telefone,E-mail,Nome Fantasia", Subject.COMPANY),
        ("Legal name,Phone,E-mail address,CNPJ number", Subject.COMPANY),
        ("Razón social,Teléfono,Correo,Ciudad", Subject.COMPANY),
    ):
        file_id = await stored(files, who, f"Lista de 2026\n{header}\nIpê Lima,1998765-4329,a@x.org,\n")
        seen = await lists.preview(who, file_id)
        assert (seen.subject, seen.ignored, seen.counts()) == (subject, [], {"created": 1}), header
        assert set(seen.columns.values()) >= {"phone", "email"}, header


async def test_a_column_with_another_name_can_be_told_and_own_fields_are_known(
    lists: CrmImports, files: Files, crm: CustomPart, tenants: Tenants
) -> None:
    who = tenants.one[Role.ADMIN]
    await crm.define_field(who, CustomField("contact", "budget", "Orçamento", FieldType.NUMBER))
    file_id = await stored(
        files, who, 'Quem,Fone,Orcamento\nAna Lima,19 98765-4329,"1.000,50"\nBia,19987654330,muito\n'
    )
    seen = await lists.preview(who, file_id, columns={"quem": "name"})
    assert seen.columns == {"Quem": "name", "Fone": "phone", "Orcamento": "custom.budget"}
    assert [(line.outcome, line.code) for line in seen.lines] == [("created", ""), ("refused", "crm_field_wrong")]
    with pytest.raises(ArgumentsWrong) as told:
        await lists.preview(who, file_id, columns={"quem": "nomes"})
    assert told.value.code == "crm_import_map_unknown"


async def test_a_file_that_is_no_list_is_told_and_not_queued(
    lists: CrmImports, files: Files, tenants: Tenants, owner_dsn: str
) -> None:
    who = tenants.one[Role.ADMIN]
    for content, code in (
        (b"\n\n", "crm_import_columns_unknown"),
        (b"cor;tamanho\nazul;3\n", "crm_import_columns_unknown"),
        (b"%PDF-1.7", "crm_import_not_a_table"),
        (b"PK\x03\x04broken", "crm_import_not_a_table"),
        (b"\x00\x01\x02", "crm_import_not_a_table"),
    ):
        with pytest.raises(MutiraoError) as told:
            await lists.start(who, await stored(files, who, content))
        assert told.value.code == code, content
    assert rows(owner_dsn, "crm_imports") == []


async def test_workbooks_and_files_of_excel_in_brazil_come_in_too(
    lists: CrmImports, files: Files, crm: Crm, tenants: Tenants
) -> None:
    who = tenants.one[Role.ADMIN]
    book = Workbook()
    assert book.active is not None
    book.active.append(["Nome", "Celular", "Cidade"])
    book.active.append(["Conceição Lobato", 19987654329.0, "São Luís"])
    content = io.BytesIO()
    book.save(content)
    for data, name in (
        (content.getvalue(), "a.xlsx"),
        ("Nome;Celular\nJosé Antunes;19987654330\n".encode("cp1252"), "b.csv"),
    ):
        started = await lists.start(who, await stored(files, who, data, name))
        assert (await lists.run(who.tenant_id, started.id)).outcomes == {"created": 1}
    assert {found.name for found in await crm.search(who)} == {"José Antunes", "Conceição Lobato"}
    (found,) = await crm.contacts_with(who, PHONE, "19 98765-4329")
    assert (found.name, found.city) == ("Conceição Lobato", "São Luís")


@pytest.mark.parametrize("form", ["csv", "xlsx"])
async def test_what_goes_out_comes_back_as_it_was_and_holds_no_formula(
    lists: CrmImports, files: Files, crm: Crm, tenants: Tenants, tmp_path: Path, form: str
) -> None:
    who, other = tenants.one[Role.ADMIN], tenants.other[Role.ADMIN]
    evil = '=HYPERLINK("http://evil.example";"clique")'
    await crm.upsert_contact(who, person(evil, (PHONE, "+55 19 98765-4329"), title="@SUM(1)", city="-2+3", tags=("a",)))
    await crm.upsert_contact(who, person("Bruno \x07 Reis", (PHONE, "19 98765-4330"), (CPF, "529.982.247-25")))
    path = tmp_path / f"crm.{form}"
    assert await lists.export(who, Subject.CONTACT, path, form="xlsx" if form == "xlsx" else "csv") == 2
    if form == "csv":
        cells = [cell for row in csv.reader(io.StringIO(path.read_text("utf-8-sig")), delimiter=";") for cell in row]
    else:
        sheet = load_workbook(path).worksheets[0]
        assert "f" not in {cell.data_type for row in sheet.iter_rows() for cell in row}
        cells = [str(cell.value or "") for row in sheet.iter_rows() for cell in row]
    assert [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))] == []
    started = await lists.start(other, await stored(files, other, path.read_bytes(), path.name))
    done = await lists.run(other.tenant_id, started.id)
    assert (done.outcomes, done.ignored) == ({"created": 2}, [])
    (back,) = await crm.contacts_with(other, PHONE, "19987654329")
    assert (back.name, back.title, back.city, back.tags) == (evil, "@SUM(1)", "-2+3", ("a",))
    assert [key.given for key in back.keys] == ["+55 19 98765-4329"]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1+1", "@x", "\t=1", "  =1", "＝1", "\r=1"])
def test_what_a_spreadsheet_would_run_is_made_harmless(text: str) -> None:
    assert harmless(text).startswith("'")


@pytest.mark.parametrize("text", ["Ana", "-12.5", "19 98765", "a=b", ""])
def test_other_cells_stay_as_they_are(text: str) -> None:
    assert harmless(text) == text


async def test_a_comercial_brings_and_takes_only_their_own(
    lists: CrmImports, files: Files, crm: Crm, tenants: Tenants, tmp_path: Path
) -> None:
    admin, seller = tenants.one[Role.ADMIN], tenants.one[Role.COMERCIAL]
    await crm.upsert_contact(admin, person("Ana Lima", (PHONE, "19 98765-4329")))
    text = "nome;celular\nAna Lima;19987654329\nBruno Reis;19987654330\n"
    started = await lists.start(seller, await stored(files, seller, text))
    done = await lists.run(seller.tenant_id, started.id)
    assert done.outcomes == {"refused": 1, "created": 1} and done.problems == [(2, "refused", "crm_of_another", {})]
    assert await lists.export(seller, Subject.CONTACT, tmp_path / "x.csv") == 1
    assert "Ana" not in (tmp_path / "x.csv").read_text("utf-8-sig")
    for role in (Role.CLIENTE, Role.AGENTE_IA):
        with pytest.raises(Refused):
            await lists.preview(tenants.one[role], started.id)
    with pytest.raises(Refused):
        await lists.export(tenants.one[Role.CLIENTE], Subject.CONTACT, tmp_path / "y.csv")


async def test_files_and_imports_of_another_tenant_are_not_there(
    lists: CrmImports, files: Files, tenants: Tenants
) -> None:
    one, other = tenants.one[Role.ADMIN], tenants.other[Role.ADMIN]
    file_id = await stored(files, one, LIST)
    started = await lists.start(one, file_id)
    for attempt in (lists.preview(other, file_id), lists.start(other, file_id), lists.get(other.tenant_id, started.id),
                    lists.run(other.tenant_id, started.id)):  # fmt: skip
        with pytest.raises(Refused):
            await attempt


async def test_a_user_who_may_not_any_more_ends_the_import(
    lists: CrmImports, files: Files, people: People, tenants: Tenants, database: Database
) -> None:
    who = tenants.one[Role.ADMIN]
    started = await lists.start(who, await stored(files, who, LIST))
    async with database.tenant(who.tenant_id) as conn:
        await conn.execute("UPDATE users SET active = false WHERE id = %s", [who.user_id])
    done = await lists.run(who.tenant_id, started.id)
    assert (done.state, done.error) == ("failed", ("user_gone", {}))


async def test_a_queued_import_is_done_by_a_worker(
    database: Database, clock: FixedClock, permissions: Permissions, files: Files, people: People, tenants: Tenants,
    dsns: Dsns,
) -> None:  # fmt: skip
    jobs = Jobs(dsns.app)
    lists = CrmImports(database, clock, permissions, files, jobs, people.identity)
    ended: list[str] = []

    async def run(tenant_id: str, import_id: str) -> None:
        ended.append((await lists.run(tenant_id, import_id)).state)

    jobs.task(JOB, run)
    await jobs.open()
    stop = asyncio.Event()
    worker = asyncio.create_task(jobs.run_worker(stop))
    try:
        who = tenants.one[Role.ADMIN]
        started = await lists.start(who, await stored(files, who, LIST))
        await until(lambda: bool(ended))
        assert ended == ["done"] and (await lists.get(who.tenant_id, started.id)).rows == 6
    finally:
        stop.set()
        await worker
        await jobs.close()


def test_outcomes_are_what_an_import_counts() -> None:
    assert {*Outcome} == {"created", "updated", "unchanged", "ambiguous"}
