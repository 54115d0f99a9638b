"""The CRM's tools through the runner: who is meant, what was said, whose rights count, what is only proposed."""

from datetime import timedelta
from typing import Any

import pytest

from business.approvals.service import Approvals
from business.crm.changes import CrmErasure
from business.crm.identity import KeyKind
from business.crm.imports import CrmImports
from business.crm.model import ContactData, Source
from business.crm.service import Crm
from business.messaging.consent import Act, Entry, How, Scope
from business.messaging.ledger import Ledger, entries, standing_of
from business.people.service import People
from core.clock import FixedClock
from core.db import Database
from core.files import Files
from core.jobs import Jobs
from core.permissions import Permissions
from core.tenancy import Role
from prompts.texts import Texts
from tests.conftest import Tenants
from tests.tools.conftest import MakeTurn
from tools.crm import CRM_TOOLS, PENDING_IMPORT
from tools.do_not_contact import DoNotContact
from tools.policy import Policies
from tools.runner import ToolOutcome, ToolRunner


class Desk:
    """The CRM with its tools. `ask` is one call in a turn whose message is `said`; `do` is one that must work."""

    def __init__(self, runner: ToolRunner, make_turn: MakeTurn, crm: Crm, approvals: Approvals) -> None:
        self.runner, self.make_turn, self.crm, self.approvals = runner, make_turn, crm, approvals

    async def ask(self, said: str, tool: str, role: Role = Role.ADMIN, **arguments: Any) -> ToolOutcome:
        """The person names whom they mean, unless the session shows it already."""
        session = arguments.pop("session", {})
        named = [str(arguments[name]) for name in ("record", "records", "deal", "of", "finish") if name in arguments]
        said = said if session else " ".join([said, *named])
        return await self.runner.call(self.make_turn(said, role=role, session=session), tool, arguments)

    async def do(self, said: str, tool: str, role: Role = Role.ADMIN, **arguments: Any) -> dict[str, Any]:
        outcome = await self.ask(said, tool, role, **arguments)
        assert outcome.ok, outcome.text_for_model
        return outcome.data


@pytest.fixture
def forgotten() -> list[str]:
    return []


@pytest.fixture
def desk(
    database: Database,
    clock: FixedClock,
    permissions: Permissions,
    policies: Policies,
    people: People,
    texts: Texts,
    make_turn: MakeTurn,
    forgotten: list[str],
) -> Desk:
    crm = Crm(database, clock, permissions)
    lists = CrmImports(database, clock, permissions, Files(database), None, people.identity)

    async def forget(who: Any, cnpj: str) -> bool:
        forgotten.append(cnpj)
        return True

    erasure = CrmErasure(crm, people.identity, forget)
    approvals = Approvals(database, permissions, clock, {erasure.kind: erasure}, check=policies.check)
    runner = ToolRunner(
        permissions=permissions,
        approvals=approvals,
        policies=policies,
        texts=texts,
        tools=CRM_TOOLS,
        services={Crm: crm, CrmImports: lists, DoNotContact: DoNotContact(database, crm, people, Ledger(Jobs("")))},
    )
    return Desk(runner, make_turn, crm, approvals)


async def test_a_contact_is_there_once_however_often_it_is_told(desk: Desk) -> None:
    said = "cadastra a Ana Souza, (19) 98811-2233, ana@sol.com.br, da Padaria Sol, em Campinas"
    keys = ["(19) 98811-2233", "ana@sol.com.br"]
    told: dict[str, Any] = {"name": "Ana Souza", "reach": keys, "company": "Padaria Sol"}
    tried = await desk.do(said, "crm_save", **told, dry_run=True)
    assert tried["outcome"] == "created" and tried["dry_run"]
    assert (await desk.do("ana", "crm_search", query="ana"))["records"] == []
    made = await desk.do(said, "crm_save", **told, city="Campinas")
    assert made["outcome"] == "created" and made["changes"]["city"] == [None, "Campinas"]
    assert (await desk.do(said, "crm_save", **told))["outcome"] == "unchanged"
    phone = await desk.do("salva (19) 98811-2233, Ana, cargo gerente", "crm_save", reach=["(19) 98811-2233"],
                          name="Ana", title="gerente")  # fmt: skip
    assert (phone["outcome"], phone["id"], phone["name"]) == ("updated", made["id"], "Ana Souza")

    record = await desk.do("ficha da Ana", "crm_record", record="Ana")
    fields = {row["name"]: row for row in record["fields"]}
    assert fields["phone"]["value"] == "(19) 98811-2233" and fields["phone"]["source"] == "person"
    assert fields["title"]["known_since"].startswith("2026-11-20") and fields["title"]["by_person"]
    assert record["purpose"] is None
    await desk.do("o nome da Ana Souza é Ana", "crm_save", record=made["id"], name="Ana")
    await desk.do("o nome da Ana é Ana Souza", "crm_save", record=made["id"], name="Ana Souza")
    for mention in ("19988112233", "ana@sol.com.br", made["id"], "o contato Ana Souza", "souza"):
        assert (await desk.do(mention, "crm_record", record=mention))["id"] == made["id"], mention
    others = {"n": 1, "id": "x", "name": "y", "kind": "campaign"}
    shown = {"entities": [others, {"n": 2, "id": made["id"], "name": "Ana", "kind": "contact"}]}
    for mention in ("a segunda", "2", "#2", "the second one"):
        assert (await desk.do(mention, "crm_record", record=mention, session=shown))["id"] == made["id"], mention
    pointed = {"focus": {"id": made["id"], "name": "Ana", "kind": "contact"}}
    assert (await desk.do("o telefone dela", "crm_record", record="dela", session=pointed))["id"] == made["id"]


async def test_what_nobody_said_is_not_written_down(desk: Desk) -> None:
    consent = "cadastra a Carla Nunes, 19 97777-2211"
    carla: dict[str, Any] = {"name": "Carla Nunes", "reach": ["19 97777-2211"]}
    for unsaid in ({"purpose": "aceitou receber newsletter"}, {"tags": ["vip"]}):
        refused = await desk.ask(consent, "crm_save", **{**carla, **unsaid})
        assert refused.error_code == "crm_not_said", unsaid
    said = f"{consent}, etiqueta VIP, ela aceitou receber a newsletter"
    kept = await desk.do(said, "crm_save", **carla, purpose="aceitou receber newsletter", tags=["vip"])
    assert (await desk.do("ficha", "crm_record", record=kept["id"]))["purpose"] == "aceitou receber newsletter"
    for apart in ("cadastra a Ana, fone 19 98811 e sala 2233", "o meu 19 e 988 e 112233, cadastra a Ana"):
        glued = await desk.ask(apart, "crm_save", name="Ana", reach=["(19) 98811-2233"])
        assert glued.error_code == "crm_not_said", apart
    shown = {PENDING_IMPORT: {"file_id": "file_x", "name": "feira.csv"}}
    brought = await desk.ask("importa a lista", "crm_import", purpose="consentimento dado", session=shown)
    assert brought.error_code == "crm_not_said"
    invented = await desk.ask("cadastra a Ana", "crm_save", name="Ana Souza", reach=["11 98811-2233"])
    assert invented.error_code == "crm_not_said"
    wrong = await desk.do("cadastra a Ana, 11 11111-1111", "crm_save", name="Ana", reach=["11 11111-1111"])
    assert wrong["not_valid"] == [["11 11111-1111", "crm.key.phone_invalid"]]
    for said, amount, code in (
        ("cria um negócio com a Ana", "3500", "amount_not_named"),
        ("cria um negócio com a Ana de R$ 3.500", "35000", "amount_not_named"),
        ("cria um negócio com a Ana de R$ 3.500", "350000", "amount_not_named"),
        ("cria um negócio com a Ana de R$ 3.500", "3.5", "amount_not_named"),
    ):
        assert (await desk.ask(said, "crm_deal", of="Ana", amount=amount)).error_code == code
    deal = await desk.do("cria um negócio com a Ana de US$ 3.500", "crm_deal", of="Ana", amount="3500")
    assert (deal["did"], deal["deal"]["amount"], deal["deal"]["currency"]) == ("created", "3500.00", "USD")


async def test_a_deal_goes_its_way_and_says_what_it_was_before(desk: Desk, tenants: Tenants) -> None:
    await desk.do("cadastra a empresa Padaria Sol", "crm_save", kind="company", name="Padaria Sol")
    made = await desk.do("cria um negócio com a Padaria Sol", "crm_deal", of="Padaria Sol")
    assert made["deal"]["stage"] == "Novo" and made["deal"]["amount"] is None
    again = await desk.do("cria um negócio com a Padaria Sol", "crm_deal", of="Padaria Sol")
    assert (again["did"], again["deal"]["id"]) == ("unchanged", made["deal"]["id"])
    moved = await desk.do("move a Padaria Sol para proposta", "crm_deal", deal="Padaria Sol", stage="proposta")
    assert (moved["did"], moved["before"]["stage"], moved["deal"]["stage"]) == ("moved", "Novo", "Proposta enviada")
    which = await desk.ask("move a Padaria Sol para lua", "crm_deal", deal="Padaria Sol", stage="lua")
    assert which.error_code == "crm_stage_which" and which.error and "Negociação" in which.error.params["stages"]
    won = await desk.do("ganhamos por 4.200 reais", "crm_deal", deal="Padaria Sol", outcome="won", amount="4200")
    assert (won["did"], won["deal"]["state"], won["deal"]["amount"]) == ("won", "won", "4200.00")
    lost = await desk.do("perdemos", "crm_deal", deal="Padaria Sol", outcome="lost", reason="achou caro")
    assert (lost["did"], lost["deal"]["lost_reason"]) == ("lost", "achou caro")
    board = await desk.do("funil", "crm_board")
    assert {c["stage"]: (c["count"], c["sums"]) for c in board["columns"] if c["count"]} == {
        "Perdido": (1, [{"amount": "4200.00", "currency": "BRL"}])
    }
    none = await desk.ask("x", "crm_deal", deal="Padaria Lua", outcome="won")
    assert none.error_code == "crm_nobody" and none.error
    assert [one["name"] for one in none.error.params["closest"]] == ["Padaria Sol"]


async def test_several_that_fit_are_told_apart_and_never_guessed(desk: Desk) -> None:
    one = await desk.do("cadastra Ana Souza em Campinas ana@um.example", "crm_save", name="Ana Souza", city="Campinas",
                        reach=["ana@um.example"])  # fmt: skip
    two = await desk.do("cadastra Ana Souza em Santos ana@dois.example", "crm_save", name="Ana Souza", city="Santos",
                        reach=["ana@dois.example"], as_new=True)  # fmt: skip
    for tool, arguments in (
        ("crm_record", {"record": "Ana Souza"}),
        ("crm_mark", {"record": "ana", "add_tags": ["vip"]}),
        ("crm_deal", {"of": "Ana Souza"}),
        ("crm_task", {"title": "Ligar", "record": "Ana"}),
        ("crm_do_not_contact", {"record": "Ana Souza"}),
        ("crm_erase", {"record": "Ana Souza"}),
    ):
        outcome = await desk.ask("…", tool, **arguments)
        assert outcome.error_code == "crm_ambiguous", tool
        assert outcome.error and {c["detail"].split(",")[0] for c in outcome.error.params["candidates"]} == {
            "Campinas", "Santos"
        }  # fmt: skip
    unclear = await desk.do("cadastra Ana Souza", "crm_save", name="Ana Souza")
    assert unclear["outcome"] == "ambiguous" and len(unclear["candidates"]) == 2 and unclear["candidates"][0]["why"]

    merged = await desk.do("junta as duas Ana Souza", "crm_merge", records=["Ana Souza"])
    assert (merged["did"], merged["id"]) == ("merged", one["id"])
    assert len((await desk.do("ana", "crm_search", query="ana"))["records"]) == 1
    await desk.do("desfaz", "crm_merge", records=[one["id"]], undo=True)
    found = (await desk.do("ana", "crm_search", query="ana"))["records"]
    assert {row["id"] for row in found} == {one["id"], two["id"]}
    assert (await desk.ask("x", "crm_merge", records=[one["id"]], undo=True)).error_code == "crm_nothing_merged"
    assert (await desk.ask("x", "crm_merge", records=["ana@um.example"])).error_code == "crm_merge_with"


async def test_tasks_notes_tags_and_owners_are_kept(desk: Desk, tenants: Tenants) -> None:
    await desk.do("cadastra Ana", "crm_save", name="Ana")
    task = await desk.do("amanhã às 15h", "crm_task", title="Ligar", due="amanhã às 15h", record="Ana")
    assert task["task"]["due"].startswith("2026-11-21T15:00") and task["task"]["of"] == "Ana" and task["timed"]
    again = await desk.do("amanhã às 15h", "crm_task", title="Ligar", due="amanhã às 15h", record="Ana")
    assert again["did"] == "unchanged"
    late = await desk.ask("ontem", "crm_task", title="Ligar", due="19/11/2026")
    assert late.error_code == "crm_due_past"
    assert (await desk.ask("x", "crm_task", title="Ligar", due="um dia desses")).error_code == "crm_due_unclear"
    assert [one["name"] for one in (await desk.do("x", "crm_tasks", until="amanhã"))["tasks"]] == ["Ligar"]
    assert (await desk.do("x", "crm_tasks", until="hoje"))["tasks"] == []
    assert (await desk.do("x", "crm_task", finish="ligar"))["did"] == "finished"
    assert (await desk.do("x", "crm_tasks"))["tasks"] == []

    seller = tenants.one[Role.COMERCIAL].name
    done = await desk.do(
        "x",
        "crm_mark",
        record="Ana",
        note="Prefere de manhã",
        note_kind="call",
        add_tags=["VIP", "feira"],
        owner=seller,
    )
    assert done["did"] == "noted+tagged+assigned" and done["data"]["tags"] == ["feira", "vip"]
    await desk.do("x", "crm_mark", record="Ana", remove_tags=["feira"])
    record = await desk.do("x", "crm_record", record="Ana")
    assert record["tags"] == ["vip"] and record["owner"] == seller
    assert record["timeline"][-1]["kind"] in ("call", "task_done") and "Prefere de manhã" in str(record["timeline"])
    who = await desk.ask("x", "crm_mark", record="Ana", owner="Zé")
    assert who.error_code == "crm_owner_which"
    assert (await desk.do("x", "crm_mark", record="Ana", owner="ninguém"))["data"]["owner"] is None


async def test_rights_are_those_of_the_person_who_asks(desk: Desk, tenants: Tenants) -> None:
    theirs = await desk.do("cadastra Ana", "crm_save", name="Ana")
    mine = await desk.do("cadastra Bruno", "crm_save", Role.COMERCIAL, name="Bruno")
    assert [r["name"] for r in (await desk.do("x", "crm_search", Role.COMERCIAL))["records"]] == ["Bruno"]
    for mention in ("Ana", theirs["id"]):
        outcome = await desk.ask("x", "crm_mark", Role.COMERCIAL, record=mention, note="x")
        assert outcome.error_code in ("crm_nobody", "crm_unknown"), mention
    assert (await desk.do("x", "crm_record", Role.COMERCIAL, record="Bruno"))["id"] == mine["id"]
    assert (await desk.ask("x", "crm_setup", Role.COMERCIAL, field="Segmento")).error_code == "crm_not_allowed"
    assert (await desk.ask("x", "crm_erase", Role.COMERCIAL, record="Bruno")).error_code == "crm_not_allowed"
    for tool, arguments in (("crm_save", {"name": "Eva"}), ("crm_board", {}), ("crm_search", {})):
        assert (await desk.ask("Eva", tool, Role.CLIENTE, **arguments)).error_code == "role_may_not"
    assert (await desk.ask("Eva", "crm_save", Role.AGENTE_IA, name="Eva")).error_code == "role_may_not"


async def test_an_erasure_is_proposed_and_forgets_what_others_know(
    desk: Desk, tenants: Tenants, forgotten: list[str]
) -> None:
    keys = ["11.222.333/0001-81", "(19) 3232-1010"]
    await desk.do(f"cadastra Padaria Sol {keys}", "crm_save", kind="company", name="Padaria Sol", reach=keys)
    outcome = await desk.ask("apaga a Padaria Sol", "crm_erase", record="Padaria Sol")
    assert outcome.proposal and outcome.proposal.preview.warnings == [("crm.erase.for_ever", {})]
    assert (await desk.do("x", "crm_record", record="Padaria Sol"))["name"] == "Padaria Sol"
    admin = tenants.one[Role.ADMIN]
    done = await desk.approvals.approve(admin, outcome.proposal.id, door="chat")
    assert (done.state, forgotten) == ("executed", ["11222333000181"])
    assert (await desk.ask("x", "crm_record", record="Padaria Sol")).error_code == "crm_nobody"
    back = await desk.do("cadastra Padaria Sol (19) 3232-1010", "crm_save", kind="company", name="Padaria Sol",
                         reach=["(19) 3232-1010"])  # fmt: skip
    assert (await desk.do("x", "crm_record", record=back["id"]))["blocked"] == ["(19) 3232-1010"]


async def test_who_wants_to_be_left_alone_is(
    desk: Desk, tenants: Tenants, database: Database, clock: FixedClock
) -> None:
    await desk.do("cadastra Ana ana@um.example", "crm_save", name="Ana", reach=["ana@um.example"])
    stopped = await desk.do("a Ana não quer mais", "crm_do_not_contact", record="Ana")
    assert (stopped["did"], stopped["data"]["keys"]) == ("blocked", ["ana@um.example"])
    assert (await desk.do("x", "crm_record", record="Ana"))["blocked"] == ["ana@um.example"]
    stranger = await desk.do("x", "crm_do_not_contact", record="(21) 99888-7711")
    assert (stranger["did"], stranger["id"]) == ("blocked", "")
    new = await desk.do("cadastra Eva (21) 99888-7711", "crm_save", name="Eva", reach=["(21) 99888-7711"])
    assert (await desk.do("x", "crm_record", record=new["id"]))["blocked"] == ["(21) 99888-7711"]

    # She had said so in a conversation, too: what was a mistake there holds no longer either, by what she said since.
    tenant = tenants.one.id
    async with database.tenant(tenant) as conn:
        stop = Entry(clock.now() - timedelta(days=1), Act.STOPPED, Scope.ALL, How.WORDS, "sair")
        await Ledger(Jobs("")).write(conn, tenant, stop, address="ana@um.example", tell=False)
    words = "falei sair da sala, não da lista"
    assert (await desk.do("x", "crm_do_not_contact", record="Ana", undo=True, words=words))["did"] == "unblocked"
    assert (await desk.do("x", "crm_record", record="Ana"))["blocked"] == []
    async with database.tenant(tenant) as conn:
        assert (await standing_of(conn, address="ana@um.example", more=())).stopped is None
        (*_, last) = await entries(conn, address="ana@um.example")
    assert (last.act, last.how, last.wording) == (Act.RESUMED, How.PERSON, words)

    # The list is the house's: a seller takes nobody from it, not even who has no key that could stand on it.
    await desk.do("cadastra Bruno", "crm_save", Role.COMERCIAL, name="Bruno")
    for record in ("Bruno", "(21) 99888-7711"):
        refused = await desk.ask("x", "crm_do_not_contact", Role.COMERCIAL, record=record, undo=True, words=words)
        assert refused.error_code == "crm_not_allowed"


async def test_stages_fields_and_files_are_the_houses_own(desk: Desk, tenants: Tenants, database: Database) -> None:
    stages = ["Novo -> Entrada", "Proposta enviada", "Ganho", "Perdido"]
    told = await desk.do("x", "crm_setup", stages=stages, field="Segmento", field_of="contact")
    assert [name for name, _ in told["stages"]] == ["Entrada", "Proposta enviada", "Ganho", "Perdido"]
    assert told["fields"] == [["contact", "Segmento", "text"]]
    await desk.do("cadastra Ana segmento varejo", "crm_save", name="Ana", custom=["segmento=varejo"])
    fields = {row["name"]: row["value"] for row in (await desk.do("x", "crm_record", record="Ana"))["fields"]}
    assert fields["custom.segmento"] == "varejo"

    files, admin = Files(database), tenants.one[Role.ADMIN]
    made = await desk.do("x", "crm_export")
    content = await files.read(admin.tenant_id, made["file"])
    assert made["count"] == 1 and b"Ana" in content and b"varejo" in content
    copy = await desk.do("x", "crm_export", what="Ana")
    text = await files.read(admin.tenant_id, copy["file"])
    assert b'"contact"' in text and b"Ana" in text

    assert (await desk.ask("importa", "crm_import")).error_code == "crm_import_no_file"
    stored = await files.store(admin, b"Nome;Fone de casa\nEva Reis;(19) 3232-1010\n", name="l.csv", mime="text/csv")
    session = {PENDING_IMPORT: {"file_id": stored.id, "name": "l.csv"}}
    shown = await desk.do("x", "crm_import", preview=True, columns=["Fone de casa=phone"], session=session)
    assert shown["columns"] == {"Nome": "name", "Fone de casa": "phone"} and shown["outcomes"] == {"created": 1}
    done = await desk.do("importa", "crm_import", columns=["Fone de casa=phone"], session=session)
    assert (done["state"], done["outcomes"], done["running"]) == ("done", {"created": 1}, False)
    assert (await desk.do("x", "crm_record", record="(19) 3232-1010"))["name"] == "Eva Reis"


async def test_nothing_is_marked_before_it_is_known_that_all_of_it_may_be(desk: Desk, tenants: Tenants) -> None:
    ana = await desk.do("cadastra a Ana Souza", "crm_save", name="Ana Souza")
    told: dict[str, Any] = {"note": "ligou", "add_tags": ["quente"]}
    which = await desk.ask("ligou, passa para o Fulano", "crm_mark", record="Ana Souza", owner="Fulano", **told)
    assert which.error_code == "crm_owner_which"
    record = await desk.do("ficha", "crm_record", record=ana["id"])
    assert (record["tags"], [one for one in record["timeline"] if one["kind"] == "note"]) == ([], [])
    done = await desk.do("ligou, passa para mim", "crm_mark", record="Ana Souza", owner="eu", **told)
    assert done["did"] == "noted+tagged+assigned"
    entries = await desk.crm.timeline(tenants.one[Role.ADMIN], contact_id=ana["id"])
    assert [one.text for one in entries if one.kind == "note"] == ["ligou"]

    bia = await desk.do("cadastra a Bia Reis", "crm_save", Role.COMERCIAL, name="Bia Reis")
    refused = await desk.ask("passa", "crm_mark", Role.COMERCIAL, record="Bia Reis", owner="ninguém", **told)
    assert refused.error_code == "crm_not_allowed"
    seller = tenants.one[Role.COMERCIAL]
    assert (await desk.crm.contact(seller, bia["id"])).tags == ()
    assert not [one for one in await desk.crm.timeline(seller, contact_id=bia["id"]) if one.kind == "note"]


async def test_who_may_be_contacted_again_may_be_by_every_key(desk: Desk, tenants: Tenants) -> None:
    who = tenants.one[Role.ADMIN]
    ana = await desk.do("cadastra a Ana Souza, 19 98811-2233", "crm_save", name="Ana Souza", reach=["19 98811-2233"])
    keys = ((KeyKind.BSUID, "BR.1234567890"),)
    await desk.crm.upsert_contact(who, ContactData(Source("whatsapp", "x"), keys=keys), into=ana["id"])
    held = [(one.kind, one.given) for one in (await desk.crm.contact(who, ana["id"])).keys]
    await desk.do("a Ana pediu para sair", "crm_do_not_contact", record="Ana Souza")
    assert {one.kind for one in await desk.crm.blocked(who.tenant_id, held)} >= {KeyKind.BSUID, KeyKind.PHONE}
    again = await desk.do("a Ana pediu para voltar", "crm_do_not_contact", record="Ana Souza", undo=True)
    assert await desk.crm.blocked(who.tenant_id, held) == [] and again["data"]["keys"] == ["19 98811-2233"]
