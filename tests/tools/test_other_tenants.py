"""Nobody reaches another company's things: every tool and every service, tried with the other's ids, names, telephones,
documents, searches, files and proposals.

What is tried is listed per tool and per method, and both lists are held against what there is: whoever adds a tool or a
method adds how it is tried. A tool's first case is also called by its own company, and must work there: so the case
reaches what it is meant to reach.
"""

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from business.crm.identity import KeyKind
from business.crm.imports import CrmImports
from business.crm.model import CompanyData, ContactData, CustomField, FieldType, StageKind, Subject
from business.crm.privacy import BlockReason
from business.crm.service import Crm
from business.crm.upsert import made_ready
from business.prospecting.lessons import Said
from business.prospecting.model import IdealCustomer
from business.prospecting.searches import CandidateState, Searches
from channels.crm_acts import CrmActs
from channels.crm_views import CrmViews
from core.door import View
from core.errors import ArgumentsWrong, Refused
from core.tenancy import Identity
from crews.hunter.job import Hunts
from crews.registry import CREWS
from memory.long_term import LongTermMemory
from memory.long_term import Subject as About
from memory.shelf_edge import EdgeShelves
from tests.conftest import Dsns
from tests.journeys.conftest import houses
from tests.tools.other_tenants import CAMPAIGN, SAID, SENTENCE, Scene, Told, set_scene, told_by
from tools.leads import Leads

CONTACT, COMPANY, PHONE, CNPJ = Subject.CONTACT, Subject.COMPANY, KeyKind.PHONE, KeyKind.CNPJ


# --- services -------------------------------------------------------------------------------------

Try = Callable[[Any, Identity, Told, Scene], Awaitable[Any]]
REFUSED, EMPTY, OWN = "refused", "empty", "own"
"""What the other company must get: a refusal; an answer that tells nothing; what it has or makes itself."""


async def _events(crm: Crm, who: Identity, told: Told, scene: Scene) -> list[Any]:
    async with crm.events(who.tenant_id, "a reader") as (_, found):
        return [one for one in found if one.subject_id in told.values()]


async def _batch(crm: Crm, who: Identity, told: Told, scene: Scene) -> Any:
    async with scene.house.services.db.tenant(who.tenant_id) as conn:
        data = ContactData(SAID, name=told["name"], keys=((PHONE, told["phone"]),))
        return await crm.upsert_batch(conn, who, [made_ready(data)], write=True, into=told["contact"])


CRM: dict[str, tuple[str, Try]] = {
    # method: (what must come of it: "refused", "empty", "own" for what makes something of one's own, the call)
    "contact": (REFUSED, lambda c, w, t, s: c.contact(w, t["contact"])),
    "company": (REFUSED, lambda c, w, t, s: c.company(w, t["company"])),
    "contacts_with": (EMPTY, lambda c, w, t, s: c.contacts_with(w, PHONE, t["phone"])),
    "companies_with": (EMPTY, lambda c, w, t, s: c.companies_with(w, CNPJ, t["cnpj"])),
    "contacts_of_company": (REFUSED, lambda c, w, t, s: c.contacts_of_company(w, t["company"])),
    "search": (EMPTY, lambda c, w, t, s: c.search(w, t["name"])),
    "deal": (REFUSED, lambda c, w, t, s: c.deal(w, t["deal"])),
    "deals": (EMPTY, lambda c, w, t, s: c.deals(w, contact_id=t["contact"], stage_id=t["stage"])),
    "board": (OWN, lambda c, w, t, s: c.board(w)),
    "faces": (EMPTY, lambda c, w, t, s: c.faces(w, [replace(s.things["deal"], id=t["deal"])])),
    "stages": (OWN, lambda c, w, t, s: c.stages(w)),
    "timeline": (REFUSED, lambda c, w, t, s: c.timeline(w, contact_id=t["contact"])),
    "tasks": (EMPTY, lambda c, w, t, s: c.tasks(w, contact_id=t["contact"], owner_id=t["user"])),
    "merges": (REFUSED, lambda c, w, t, s: c.merges(w, CONTACT, t["twin"])),
    "fields": (EMPTY, lambda c, w, t, s: c.fields(w, "contact")),
    "where_from": (REFUSED, lambda c, w, t, s: c.where_from(w, CONTACT, t["contact"])),
    "export_person": (REFUSED, lambda c, w, t, s: c.export_person(w, t["contact"])),
    "blocked": (EMPTY, lambda c, w, t, s: c.blocked(w.tenant_id, [(PHONE, t["phone"])])),
    "events": (EMPTY, _events),
    "team": (OWN, lambda c, w, t, s: c.team(w)),
    "must_be_allowed_to_unblock": (OWN, lambda c, w, t, s: _now(c.must_be_allowed_to_unblock(w))),
    "must_be_allowed_to_erase": (OWN, lambda c, w, t, s: _now(c.must_be_allowed_to_erase(w))),
    "may_change": (OWN, lambda c, w, t, s: _now(c.may_change(w))),
    "add_task": (REFUSED, lambda c, w, t, s: c.add_task(w, "ligar", contact_id=t["contact"])),
    "finish_task": (REFUSED, lambda c, w, t, s: c.finish_task(w, t["task"])),
    "assign": (REFUSED, lambda c, w, t, s: c.assign(w, "contact", t["contact"], w.user_id)),
    "change_deal": (REFUSED, lambda c, w, t, s: c.change_deal(w, t["deal"], {"title": "x"})),
    "move_deal": (REFUSED, lambda c, w, t, s: c.move_deal(w, t["deal"], t["stage"])),
    "create_deal": (REFUSED, lambda c, w, t, s: c.create_deal(w, "x", contact_id=t["contact"])),
    "qualify": (REFUSED, lambda c, w, t, s: c.qualify(w, COMPANY, t["company"], score=80, reason="x")),
    "write_activity": (REFUSED, lambda c, w, t, s: c.write_activity(w, "note", "x", deal_id=t["deal"])),
    "delete_activity": (REFUSED, lambda c, w, t, s: c.delete_activity(w, t["note"])),
    "tag": (REFUSED, lambda c, w, t, s: c.tag(w, CONTACT, t["contact"], add=["x"])),
    "remove_key": (REFUSED, lambda c, w, t, s: c.remove_key(w, CONTACT, t["contact"], PHONE, t["phone"])),
    "clear_fields": (REFUSED, lambda c, w, t, s: c.clear_fields(w, CONTACT, t["contact"], ["name"])),
    "merge": (REFUSED, lambda c, w, t, s: c.merge(w, CONTACT, t["contact"], t["twin"])),
    "undo_merge": (REFUSED, lambda c, w, t, s: c.undo_merge(w, t["merge"])),
    "erase": (REFUSED, lambda c, w, t, s: c.erase(w, CONTACT, t["contact"])),
    "opt_out": (REFUSED, lambda c, w, t, s: c.opt_out(w, t["contact"], words="parar")),
    "unblock": (EMPTY, lambda c, w, t, s: c.unblock(w, PHONE, t["phone"])),
    "block": (OWN, lambda c, w, t, s: c.block(w, PHONE, t["phone"], reason=BlockReason.ASKED)),
    "define_field": (OWN, lambda c, w, t, s: c.define_field(
        w, CustomField("contact", t["field"], "Meu campo", FieldType.NUMBER)
    )),
    "set_stages": (REFUSED, lambda c, w, t, s: c.set_stages(
        w, [(t["stage"], "x", StageKind.OPEN), (None, "y", StageKind.WON), (None, "z", StageKind.LOST)]
    )),
    "upsert_contact": (OWN, lambda c, w, t, s: c.upsert_contact(
        w, ContactData(SAID, name=t["name"], keys=((PHONE, t["phone"]), (KeyKind.CPF, t["cpf"])))
    )),
    "upsert_company": (REFUSED, lambda c, w, t, s: c.upsert_company(
        w, CompanyData(SAID, trade_name=t["firm"], keys=((CNPJ, t["cnpj"]),)), into=t["company"]
    )),
    "upsert_batch": (REFUSED, _batch),
}  # fmt: skip

SEARCHES: dict[str, tuple[str, Try]] = {
    "get": (REFUSED, lambda c, w, t, s: c.get(w, t["search"])),
    "latest": (OWN, lambda c, w, t, s: c.latest(w)),
    "candidates": (REFUSED, lambda c, w, t, s: c.candidates(w, t["search"])),
    "candidate": (REFUSED, lambda c, w, t, s: c.candidate(w, t["candidate"])),
    "found_after": (REFUSED, lambda c, w, t, s: c.found_after(w, t["search"])),
    "pause": (REFUSED, lambda c, w, t, s: c.pause(w, t["search"])),
    "resume": (REFUSED, lambda c, w, t, s: c.resume(w, t["search"])),
    "mark": (REFUSED, lambda c, w, t, s: c.mark(w, t["candidate"], CandidateState.SAVED, t["second"])),
    "forget": (EMPTY, lambda c, w, t, s: c.forget(w, t["found_cnpj"])),
    "check_may_change": (OWN, lambda c, w, t, s: _now(c.check_may_change(w))),
    "say": (REFUSED, lambda c, w, t, s: c.say(w, t["candidate"], Said.WON)),
    "learnt": (EMPTY, lambda c, w, t, s: c.learnt(w)),
    "rules": (OWN, lambda c, w, t, s: c.rules(w)),
    "set_rules": (OWN, lambda c, w, t, s: c.set_rules(w, None)),
    "release": (REFUSED, lambda c, w, t, s: c.release(w, t["search"])),
    "start": (REFUSED, lambda c, w, t, s: c.start(w, "x", IdealCustomer())),
}

HUNTS: dict[str, tuple[str, Try]] = {
    "follow": (REFUSED, lambda c, w, t, s: c.follow(w, t["search"], 0.1, lambda _: None)),
    "pause": (REFUSED, lambda c, w, t, s: c.pause(w, t["search"])),
    "resume": (REFUSED, lambda c, w, t, s: c.resume(w, t["search"])),
    "decide": (REFUSED, lambda c, w, t, s: c.decide(w, t["candidate"], "save")),
    "look_up": (REFUSED, lambda c, w, t, s: c.look_up(w, t["candidate"])),
    "hear": (OWN, lambda c, w, t, s: c.hear(w.tenant_id)),
    "month": (OWN, lambda c, w, t, s: c.month(w)),
    "run": (EMPTY, lambda c, w, t, s: c.run(w.tenant_id, t["search"])),
    "start": (REFUSED, lambda c, w, t, s: c.start(w, t["conversation"], "x", IdealCustomer(), "pt-BR")),
}

LEADS: dict[str, tuple[str, Try]] = {
    # With the other's rows in hand, as no caller can have them.
    "save": (REFUSED, lambda c, w, t, s: c.save(w, s.things["search"], replace(s.things["found"], id=t["candidate"]))),
    "close_deal": (EMPTY, lambda c, w, t, s: c.close_deal(
        w, replace(s.things["found"], id=t["candidate"], company_id=t["company"]), won=True
    )),
    "renew": (OWN, lambda c, w, t, s: c.renew(
        w, s.things["search"], replace(s.things["found"], id=t["candidate"], company_id=t["company"])
    )),
    "draft": (REFUSED, lambda c, w, t, s: c.draft(w, t["candidate"], "oi", "pt-BR")),
    "forget": (REFUSED, lambda c, w, t, s: c.forget(w, t["candidate"])),
    "blocked": (OWN, lambda c, w, t, s: c.blocked(w.tenant_id, [("phone", t["phone"])])),
}  # fmt: skip

IMPORTS: dict[str, tuple[str, Try]] = {
    "get": (REFUSED, lambda c, w, t, s: c.get(w.tenant_id, t["import"])),
    "run": (REFUSED, lambda c, w, t, s: c.run(w.tenant_id, t["import"])),
    "preview": (REFUSED, lambda c, w, t, s: c.preview(w, t["file"])),
    "start": (REFUSED, lambda c, w, t, s: c.start(w, t["file"])),
    "announce_in": (REFUSED, lambda c, w, t, s: c.announce_in(w.tenant_id, t["import"], "conv_x")),
    "take_announcement": (EMPTY, lambda c, w, t, s: c.take_announcement(w.tenant_id, t["import"])),
    "export": (OWN, lambda c, w, t, s: _exported(c, w, t)),
    "export_file": (OWN, lambda c, w, t, s: _exported(c, w, t)),
    "export_person": (REFUSED, lambda c, w, t, s: c.export_person(w, t["contact"])),
}

MEMORY: dict[str, tuple[str, Try]] = {
    "search": (EMPTY, lambda c, w, t, s: _found(c.search(w.tenant_id, "customers", "jardim"))),
    "similar": (EMPTY, lambda c, w, t, s: _found(
        c.similar(w.tenant_id, "customers", [t["item"], About("company", t["company"])])
    )),
    "forget": (EMPTY, lambda c, w, t, s: _in_tenant(s, w, lambda conn: c.forget(
        conn, w.tenant_id, "customers", [t["item"]]
    ))),
    "forget_subject": (EMPTY, lambda c, w, t, s: _in_tenant(s, w, lambda conn: c.forget_subject(
        conn, w.tenant_id, About("company", t["company"])
    ))),
}  # fmt: skip

OTHERS: list[tuple[str, Callable[[Scene, Identity, Told], Awaitable[Any]]]] = [
    ("approvals.get", lambda s, w, t: s.house.services.approvals.get(w, t["proposal"])),
    ("approvals.approve", lambda s, w, t: s.house.services.approvals.approve(w, t["proposal"], door="chat")),
    ("approvals.reject", lambda s, w, t: s.house.services.approvals.reject(w, t["proposal"], door="chat")),
    ("approvals.edit", lambda s, w, t: s.house.services.approvals.edit(w, t["proposal"], {}, door="chat")),
    ("approvals.undo", lambda s, w, t: s.house.services.approvals.undo(w, t["proposal"], door="chat")),
    ("files.info", lambda s, w, t: s.house.services.files.info(w.tenant_id, t["file"])),
    ("files.read", lambda s, w, t: s.house.services.files.read(w.tenant_id, t["file"])),
    ("turns.find", lambda s, w, t: s.house.services.turns.find(w.tenant_id, t["turn"])),
    ("people.identity", lambda s, w, t: s.house.services.people.identity(w.tenant_id, t["user"])),
]

NOT_A_PERSONS: dict[type, set[str]] = {
    LongTermMemory: {"declare", "warm", "close", "catch_up", "rebuild", "standing", "put"},
    Hunts: {"revive", "close"},
}
"""What looks after all tenants by the clock; the memory's `put` writes where the transaction's tenant is."""


VIEWS = ["{contact}", "{company}", "{deal}", "{name}"]
ACTS: dict[str, dict[str, str]] = {
    "move": {"deal": "{deal}", "stage": "{stage}"},
    "note": {"text": "x"},
    "task": {"title": "x"},
    "finish_task": {"task": "{task}"},
    "tag": {"add": "x"},
    "deal": {"title": "x"},
    "leave_alone": {},
}
"""What a page may ask for, with what it names."""


async def _try_views(scene: Scene) -> None:
    """The board and the pages in the chat, and every button on them."""
    services, who, told = scene.house.services, scene.other, scene.told
    views = CrmViews(services.crm, services.people, services.texts, services.clock)
    acts = CrmActs(services.crm, services.texts)
    with scene.untouched("board", makes=True):
        assert not scene.leaked(await views.draw(who, "crm_board"))
    for subject in VIEWS:
        with scene.untouched(subject):
            for call in (
                views.draw(who, "crm_record", told.filled(subject)),
                _first(views.tables(who, View("crm_record", "", told.filled(subject)))),
            ):
                seen = await told_by(call)
                assert isinstance(seen, str) and not scene.leaked(seen), subject
    for name, did in ACTS.items():
        for subject in ("{contact}", "{company}"):
            with scene.untouched(name):
                seen = await told_by(acts.do(who, told.filled(subject), {"do": name} | told.filled(did)))
                assert not scene.leaked(seen), name
                assert seen.startswith(("crm_unknown", "crm_stage_unknown", "view_")), (name, seen)


async def _first(tables: Awaitable[list[Any]]) -> Any:
    """The first table, or that there is none."""
    found = await tables
    return found[0] if found else "nothing"


async def _now(value: Any) -> Any:
    return value


async def _found(recall: Awaitable[Any]) -> list[Any]:
    return [one.item for one in (await recall).found]


async def _in_tenant(scene: Scene, who: Identity, call: Callable[[Any], Awaitable[Any]]) -> Any:
    async with scene.house.services.db.tenant(who.tenant_id) as conn:
        return await call(conn)


async def _exported(imports: CrmImports, who: Identity, told: Told) -> str:
    path = Path("/tmp") / f"{who.user_id}.csv"
    try:
        await imports.export(who, CONTACT, path, tag=told["tag"])
        return path.read_text(encoding="utf-8")
    finally:
        path.unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("kind", "cases"),
    [(Crm, CRM), (Searches, SEARCHES), (Hunts, HUNTS), (Leads, LEADS), (CrmImports, IMPORTS), (LongTermMemory, MEMORY)],
)
def test_every_method_of_the_services_is_tried(kind: type, cases: dict[str, Any]) -> None:
    public = {name for name, _ in inspect.getmembers(kind, inspect.isfunction) if not name.startswith("_")}
    assert public - NOT_A_PERSONS.get(kind, set()) == set(cases), "say how these are tried"


def test_every_tool_and_every_button_is_tried() -> None:
    # Those of contacts' turns refuse everybody else; tests/tools/test_sdr.py tries them in such turns.
    ours = {tool.name for crew in CREWS for tool in crew.tools if not tool.for_contact}
    assert ours == set(CASES), "say how these tools are tried"
    assert set(CrmActs(None, None)._acts) == set(ACTS), "say how these acts are tried"  # type: ignore[arg-type]


async def _try_services(scene: Scene, *, own: bool) -> None:
    services, who, told = scene.house.services, scene.other, scene.told
    for kind, service, cases in (
        (Crm, services.crm, CRM),
        (Searches, services.searches, SEARCHES),
        (Hunts, services.hunts, HUNTS),
        (Leads, services.hunts.leads, LEADS),
        (CrmImports, services.crm_imports, IMPORTS),
        (LongTermMemory, scene.memory, MEMORY),
    ):
        for name, (expected, call) in cases.items():
            what = f"{kind.__name__}.{name}"
            if (expected == OWN) is not own:
                continue
            with scene.untouched(what, makes=own or name == "events"):
                seen = await told_by(call(service, who, told, scene))
                assert not scene.leaked(seen), f"{what}: told {scene.leaked(seen)}"
            if expected == REFUSED:
                assert isinstance(seen, str), f"{what}: gave {seen!r}"
            elif expected == EMPTY:
                assert not _holds(seen), f"{what}: gave {seen!r}"
    for what, asked in [] if own else OTHERS:
        with scene.untouched(what):
            with pytest.raises((Refused, ArgumentsWrong)):
                await asked(scene, who, told)


def _holds(seen: Any) -> bool:
    """Whether there is something in it: a list or dictionary of nothing is nothing."""
    if isinstance(seen, dict):
        return any(_holds(value) for value in seen.values())
    fields = vars(seen) if hasattr(seen, "__dict__") else {}
    return any(_holds(value) for value in fields.values()) if fields else bool(seen)


# --- tools ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """Arguments, and what the other company gets. `home` are those that work in the company whose things they are: True
    for the same; False where the first case of the tool shows it already. `session` is the conversation's, which may
    hold the other's ids, too."""

    args: dict[str, Any]
    then: str = REFUSED
    home: dict[str, Any] | bool = False
    session: dict[str, Any] = field(default_factory=dict)


ENTITIES = {
    "entities": [
        {"n": 1, "id": "{candidate}", "name": "{found}", "kind": "candidate"},
        {"n": 2, "id": "{contact}", "name": "{name}", "kind": "contact"},
        {"n": 3, "id": "{deal}", "name": "{title}", "kind": "deal"},
    ],
    "focus": {"id": "{contact}", "name": "{name}", "kind": "contact"},
    "hunt": {"search": "{search}", "sentence": SENTENCE, "wish": IdealCustomer().record(), "state": "done"},
}
"""A conversation's memory as it would be had it been the other company's."""

CASES: dict[str, list[Case]] = {
    "list_accounts": [Case({}, home=True)],
    "ads_report": [
        Case({"account": "{account}"}, home=True), Case({"target": "{campaign}"}), Case({"account": "{account_name}"}),
    ],
    "ads_trend": [Case({"account": "{account}"}, home=True), Case({"target": "{campaign}"})],
    "ads_diagnose": [Case({"account": "{account}"}, home=True)],
    "pause_ad_object": [
        Case({"target": "{campaign}"}, home=True), Case({"target": "{campaign}", "account": "{account}"}),
    ],
    "resume_ad_object": [Case({"target": "{campaign}"}, home={"target": "[VENDAS] Liquidação de Inverno"})],
    "set_ads_budget": [Case({"target": "{campaign}", "amount": 150}, home=True)],
    # the CRM
    "crm_search": [
        Case({"query": "{name}"}, EMPTY, True), Case({"query": "{phone}"}, EMPTY), Case({"query": "{cnpj}"}, EMPTY),
        Case({"tag": "{tag}"}, EMPTY), Case({"query": "{contact}"}, EMPTY),
    ],
    "crm_record": [
        Case({"record": "{contact}"}, home=True), Case({"record": "{company}"}), Case({"record": "{name}"}),
        Case({"record": "{phone}"}), Case({"record": "{cnpj}"}), Case({"record": "{email}"}),
        Case({"record": "2"}, session=ENTITIES),
    ],
    "crm_board": [Case({}, OWN, True), Case({"stage": "{stage}"}), Case({}, OWN, session=ENTITIES)],
    "crm_tasks": [Case({"record": "{contact}"}, home=True), Case({"owner": "{user}"}), Case({"record": "{name}"})],
    "crm_export": [Case({"what": "{contact}"}, home=True), Case({"what": "{name}"}), Case({"tag": "{tag}"}, OWN)],
    "crm_save": [
        Case({"record": "{contact}", "title": "Diretora"}, home=True),
        Case({"record": "{name}", "city": "Itu"}),
        Case({"name": "{name}", "reach": ["{phone}", "{email}", "{cpf}"]}, OWN),
        Case({"kind": "company", "name": "{firm}", "reach": ["{cnpj}"], "dry_run": True}, EMPTY),
        Case({"name": "Rui", "reach": ["11 98888-0001"], "custom": ["{field}=x"]}),
    ],
    "crm_deal": [
        Case({"deal": "{deal}", "title": "Outro"}, home=True), Case({"of": "{contact}", "title": "Muro"}),
        Case({"deal": "{title}", "outcome": "won"}), Case({"deal": "3", "outcome": "lost"}, session=ENTITIES),
    ],
    "crm_task": [
        Case({"title": "Regar", "record": "{contact}"}, home=True), Case({"finish": "{task}"}),
        Case({"title": "Regar", "owner": "{user}"}),
    ],
    "crm_mark": [
        Case({"record": "{contact}", "note": "ligou"}, home=True), Case({"record": "{deal}", "add_tags": ["x"]}),
        Case({"record": "{name}", "owner": "eu"}), Case({"record": "{company}", "remove_tags": ["{tag}"]}),
    ],
    "crm_merge": [
        Case({"records": ["{contact}", "{twin}"]}, home=True), Case({"records": ["{twin}"], "undo": True}),
        Case({"records": ["{merge}"], "undo": True}),
    ],
    "crm_do_not_contact": [
        Case({"record": "{contact}"}, home=True), Case({"record": "{name}"}), Case({"record": "{phone}"}, OWN),
    ],
    "crm_erase": [Case({"record": "{contact}"}, home=True), Case({"record": "{name}"}), Case({"record": "{company}"})],
    "crm_setup": [Case({}, OWN, True), Case({"field": "{field} preferido", "field_of": "contact"}, OWN)],
    "crm_import": [
        Case({}, session={"pending_crm_import": {"file_id": "{file}", "name": "lista-tremembe.csv"}}, home=True),
        Case({"preview": True}, session={"pending_crm_import": {"file_id": "{file}", "name": "lista-tremembe.csv"}}),
    ],
    # the hunter
    "find_companies": [
        Case({"change": "sem MEI"}, session=ENTITIES, home={"request": "ache 3 padarias na Lua"}),
        Case({"change": "mais"}, session=ENTITIES),
    ],
    "companies_found": [
        Case({"search": "{search}"}, home=True), Case({}, session=ENTITIES), Case({}, OWN),
    ],
    "search_status": [Case({"search": "{search}"}, home=True), Case({}, OWN, session=ENTITIES)],
    "steer_search": [
        Case({"action": "pause", "search": "{search}"}, home=True), Case({"action": "pause"}, session=ENTITIES),
        Case({"action": "resume", "search": "{search}"}),
    ],
    "explain_score": [
        Case({"company": "{candidate}"}, home=True), Case({"company": "{found}"}),
        Case({"company": "1"}, session=ENTITIES), Case({"company": "{found_cnpj}"}), Case({}, OWN),
    ],
    "decide_company": [
        Case({"company": "{candidate}", "decision": "save"}, home=True),
        Case({"company": "{found}", "decision": "won"}), Case({"company": "1", "decision": "reject"}, session=ENTITIES),
        Case({"company": "{second}", "decision": "not_this_kind"}),
    ],
    "draft_first_message": [
        Case({"company": "{candidate}"}, home=True), Case({"company": "{found}"}),
        Case({"company": "1"}, session=ENTITIES), Case({"company": "{company}"}),
    ],
    "start_cadence": [
        Case({"companies": ["{candidate}"]}), Case({"companies": ["{found}", "1"]}, session=ENTITIES),
    ],
    "list_cadences": [Case({}, OWN), Case({"alive": False}, OWN)],
    "stop_cadence": [Case({"company": "{name}"}), Case({"company": "Ipê"})],
    # conversations; with one to find in test_other_tenants_messages.py
    "list_conversations": [Case({"search": "{name}"}, EMPTY, True), Case({"search": "{phone}"}, EMPTY), Case({}, OWN)],
    "show_conversation": [Case({"conversation": "{name}"}), Case({"conversation": "{phone}"})],
    "list_templates": [Case({}, OWN, True)],
    "message_contact": [
        Case({"contact": "{contact}", "text": "oi"}), Case({"contact": "{name}", "text": "oi"}),
        Case({"contact": "{phone}", "text": "oi"}), Case({"contact": "2", "text": "oi"}, session=ENTITIES),
    ],
    "whatsapp_status": [Case({}, OWN, True)],
    "draft_first_messages": [
        Case({"companies": ["{candidate}", "{found}"]}), Case({"companies": ["1", "2"]}, session=ENTITIES),
    ],
}  # fmt: skip
SAY = f"pausa, retoma, muda {CAMPAIGN} para 150 reais"


def _said(args: dict[str, Any]) -> str:
    """A message that names all that the call says, so that it is not refused for what nobody said."""
    values = [one for value in args.values() for one in (value if isinstance(value, list) else [value])]
    return " ".join([SAY, *map(str, values)])


async def _try_tools(scene: Scene, *, own: bool) -> None:
    runner, told = scene.house.services.runner, scene.told
    wrong: list[str] = []
    for name, cases in CASES.items():
        for case in cases:
            what = f"{name} {case.args}"
            if (case.then == OWN) is not own:
                continue
            with scene.untouched(what, makes=case.then == OWN):
                turn = scene.turn(scene.other, _said(told.filled(case.args)), **told.filled(case.session))
                outcome = await runner.call(turn, name, told.filled(case.args))
            seen = outcome.text_for_model + repr(outcome.data) + repr(outcome.error and outcome.error.params)
            if leaked := scene.leaked(seen):
                wrong.append(f"{what}: told {leaked}")
            if (case.then == REFUSED) is outcome.ok or outcome.error_code in ("tool_bug", "arguments_wrong"):
                wrong.append(f"{what}: {outcome.text_for_model[:300]}")
    assert wrong == []


async def _work_at_home(scene: Scene) -> None:
    """What was tried does what it should in the company whose things they are."""
    runner, told = scene.house.services.runner, scene.told
    wrong: list[str] = []
    for name, cases in CASES.items():
        for case in cases:
            if case.home:
                args = case.args if case.home is True else case.home
                turn = scene.turn(
                    scene.one, _said(told.filled(args)), **(told.filled(case.session) if case.home is True else {})
                )
                own = await runner.call(turn, name, told.filled(args))
                if not own.ok:
                    wrong.append(f"{name} {args} does not work at home: {own.text_for_model[:300]}")
    assert wrong == []


async def test_nothing_tells_or_changes_anything_of_another_company(dsns: Dsns, clock: Any, tmp_path: Path) -> None:
    """One company is set up once, for it takes longer than all that is tried."""
    with psycopg.connect(dsns.owner, autocommit=True) as behind:
        async with houses(dsns, clock) as open_house:
            house = await open_house()
            memory = LongTermMemory(house.services.db, clock, EdgeShelves(tmp_path / "memory"))
            try:
                scene = await set_scene(house, behind, memory)
                await _try_services(scene, own=False)
                await _try_views(scene)
                await _try_tools(scene, own=False)
                await _try_services(scene, own=True)  # who has made a record of that name finds their own
                await _try_tools(scene, own=True)
                await _work_at_home(scene)
            finally:
                await memory.close()
