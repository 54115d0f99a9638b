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
from core.errors import ArgumentsWrong, Refused
from core.tenancy import Identity
from memory.long_term import LongTermMemory
from memory.long_term import Subject as About
from memory.shelf_edge import EdgeShelves
from tests.conftest import Dsns
from tests.journeys.conftest import houses
from tests.tools.other_tenants import CAMPAIGN, SAID, SENTENCE, Scene, Told, set_scene, told_by

CONTACT, COMPANY, PHONE, CNPJ = Subject.CONTACT, Subject.COMPANY, KeyKind.PHONE, KeyKind.CNPJ


# --- services -------------------------------------------------------------------------------------

Try = Callable[[Any, Identity, Told, Scene], Awaitable[Any]]
GONE = "refused"
"""It must be refused, not merely empty."""


async def _events(crm: Crm, who: Identity, told: Told, scene: Scene) -> list[Any]:
    async with crm.events(who.tenant_id, "a reader") as (_, found):
        return [one for one in found if one.subject_id in told.values()]


async def _batch(crm: Crm, who: Identity, told: Told, scene: Scene) -> Any:
    async with scene.house.services.db.tenant(who.tenant_id) as conn:
        data = ContactData(SAID, name=told["name"], keys=((PHONE, told["phone"]),))
        return await crm.upsert_batch(conn, who, [made_ready(data)], write=True, into=told["contact"])


CRM: dict[str, tuple[str, Try]] = {
    # method: (what must come of it: "refused", "empty", "own" for what makes something of one's own, the call)
    "contact": (GONE, lambda c, w, t, s: c.contact(w, t["contact"])),
    "company": (GONE, lambda c, w, t, s: c.company(w, t["company"])),
    "contacts_with": ("empty", lambda c, w, t, s: c.contacts_with(w, PHONE, t["phone"])),
    "companies_with": ("empty", lambda c, w, t, s: c.companies_with(w, CNPJ, t["cnpj"])),
    "contacts_of_company": (GONE, lambda c, w, t, s: c.contacts_of_company(w, t["company"])),
    "search": ("empty", lambda c, w, t, s: c.search(w, t["name"])),
    "deal": (GONE, lambda c, w, t, s: c.deal(w, t["deal"])),
    "deals": ("empty", lambda c, w, t, s: c.deals(w, contact_id=t["contact"], stage_id=t["stage"])),
    "board": ("own", lambda c, w, t, s: c.board(w)),
    "faces": ("empty", lambda c, w, t, s: c.faces(w, [replace(s.things["deal"], id=t["deal"])])),
    "stages": ("own", lambda c, w, t, s: c.stages(w)),
    "timeline": (GONE, lambda c, w, t, s: c.timeline(w, contact_id=t["contact"])),
    "tasks": ("empty", lambda c, w, t, s: c.tasks(w, contact_id=t["contact"], owner_id=t["user"])),
    "merges": (GONE, lambda c, w, t, s: c.merges(w, CONTACT, t["twin"])),
    "fields": ("empty", lambda c, w, t, s: c.fields(w, "contact")),
    "where_from": (GONE, lambda c, w, t, s: c.where_from(w, CONTACT, t["contact"])),
    "export_person": (GONE, lambda c, w, t, s: c.export_person(w, t["contact"])),
    "blocked": ("empty", lambda c, w, t, s: c.blocked(w.tenant_id, [(PHONE, t["phone"])])),
    "events": ("empty", _events),
    "team": ("own", lambda c, w, t, s: c.team(w)),
    "must_be_allowed_to_erase": ("own", lambda c, w, t, s: _now(c.must_be_allowed_to_erase(w))),
    "may_change": ("own", lambda c, w, t, s: _now(c.may_change(w))),
    "add_task": (GONE, lambda c, w, t, s: c.add_task(w, "ligar", contact_id=t["contact"])),
    "finish_task": (GONE, lambda c, w, t, s: c.finish_task(w, t["task"])),
    "assign": (GONE, lambda c, w, t, s: c.assign(w, "contact", t["contact"], w.user_id)),
    "change_deal": (GONE, lambda c, w, t, s: c.change_deal(w, t["deal"], {"title": "x"})),
    "move_deal": (GONE, lambda c, w, t, s: c.move_deal(w, t["deal"], t["stage"])),
    "create_deal": (GONE, lambda c, w, t, s: c.create_deal(w, "x", contact_id=t["contact"])),
    "qualify": (GONE, lambda c, w, t, s: c.qualify(w, COMPANY, t["company"], score=80, reason="x")),
    "write_activity": (GONE, lambda c, w, t, s: c.write_activity(w, "note", "x", deal_id=t["deal"])),
    "delete_activity": (GONE, lambda c, w, t, s: c.delete_activity(w, t["note"])),
    "tag": (GONE, lambda c, w, t, s: c.tag(w, CONTACT, t["contact"], add=["x"])),
    "remove_key": (GONE, lambda c, w, t, s: c.remove_key(w, CONTACT, t["contact"], PHONE, t["phone"])),
    "clear_fields": (GONE, lambda c, w, t, s: c.clear_fields(w, CONTACT, t["contact"], ["name"])),
    "merge": (GONE, lambda c, w, t, s: c.merge(w, CONTACT, t["contact"], t["twin"])),
    "undo_merge": (GONE, lambda c, w, t, s: c.undo_merge(w, t["merge"])),
    "erase": (GONE, lambda c, w, t, s: c.erase(w, CONTACT, t["contact"])),
    "opt_out": (GONE, lambda c, w, t, s: c.opt_out(w, t["contact"], words="parar")),
    "unblock": ("empty", lambda c, w, t, s: c.unblock(w, PHONE, t["phone"])),
    "block": ("own", lambda c, w, t, s: c.block(w, PHONE, t["phone"], reason=BlockReason.ASKED)),
    "define_field": ("own", lambda c, w, t, s: c.define_field(
        w, CustomField("contact", t["field"], "Meu campo", FieldType.NUMBER)
    )),
    "set_stages": (GONE, lambda c, w, t, s: c.set_stages(
        w, [(t["stage"], "x", StageKind.OPEN), (None, "y", StageKind.WON), (None, "z", StageKind.LOST)]
    )),
    "upsert_contact": ("own", lambda c, w, t, s: c.upsert_contact(
        w, ContactData(SAID, name=t["name"], keys=((PHONE, t["phone"]), (KeyKind.CPF, t["cpf"])))
    )),
    "upsert_company": (GONE, lambda c, w, t, s: c.upsert_company(
        w, CompanyData(SAID, trade_name=t["firm"], keys=((CNPJ, t["cnpj"]),)), into=t["company"]
    )),
    "upsert_batch": (GONE, _batch),
}  # fmt: skip

SEARCHES: dict[str, tuple[str, Try]] = {
    "get": (GONE, lambda c, w, t, s: c.get(w, t["search"])),
    "latest": ("own", lambda c, w, t, s: c.latest(w)),
    "candidates": (GONE, lambda c, w, t, s: c.candidates(w, t["search"])),
    "candidate": (GONE, lambda c, w, t, s: c.candidate(w, t["candidate"])),
    "found_after": (GONE, lambda c, w, t, s: c.found_after(w, t["search"])),
    "pause": (GONE, lambda c, w, t, s: c.pause(w, t["search"])),
    "resume": (GONE, lambda c, w, t, s: c.resume(w, t["search"])),
    "mark": (GONE, lambda c, w, t, s: c.mark(w, t["candidate"], CandidateState.SAVED, t["second"])),
    "forget": ("empty", lambda c, w, t, s: c.forget(w, t["found_cnpj"])),
    "check_may_change": ("own", lambda c, w, t, s: _now(c.check_may_change(w))),
    "say": (GONE, lambda c, w, t, s: c.say(w, t["candidate"], Said.WON)),
    "learnt": ("empty", lambda c, w, t, s: c.learnt(w)),
    "rules": ("own", lambda c, w, t, s: c.rules(w)),
    "set_rules": ("own", lambda c, w, t, s: c.set_rules(w, None)),
    "start": (GONE, lambda c, w, t, s: c.start(w, "x", IdealCustomer())),
}

IMPORTS: dict[str, tuple[str, Try]] = {
    "get": (GONE, lambda c, w, t, s: c.get(w.tenant_id, t["import"])),
    "run": (GONE, lambda c, w, t, s: c.run(w.tenant_id, t["import"])),
    "preview": (GONE, lambda c, w, t, s: c.preview(w, t["file"])),
    "start": (GONE, lambda c, w, t, s: c.start(w, t["file"])),
    "announce_in": (GONE, lambda c, w, t, s: c.announce_in(w.tenant_id, t["import"], "conv_x")),
    "take_announcement": ("empty", lambda c, w, t, s: c.take_announcement(w.tenant_id, t["import"])),
    "export": ("own", lambda c, w, t, s: _exported(c, w, t)),
    "export_file": ("own", lambda c, w, t, s: _exported(c, w, t)),
    "export_person": (GONE, lambda c, w, t, s: c.export_person(w, t["contact"])),
}

MEMORY: dict[str, tuple[str, Try]] = {
    "search": ("empty", lambda c, w, t, s: _found(c.search(w.tenant_id, "customers", "jardim"))),
    "similar": ("empty", lambda c, w, t, s: _found(
        c.similar(w.tenant_id, "customers", [t["item"], About("company", t["company"])])
    )),
    "forget": ("empty", lambda c, w, t, s: _in_tenant(s, w, lambda conn: c.forget(
        conn, w.tenant_id, "customers", [t["item"]]
    ))),
    "forget_subject": ("empty", lambda c, w, t, s: _in_tenant(s, w, lambda conn: c.forget_subject(
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

NOT_A_PERSONS = {"declare", "warm", "close", "catch_up", "rebuild", "standing", "put"}
"""Of the memory: it looks after the index of all; `put` writes where the transaction's tenant is."""


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


def _public(kind: type) -> set[str]:
    return {name for name, _ in inspect.getmembers(kind, inspect.isfunction) if not name.startswith("_")}


async def _try_services(scene: Scene) -> None:
    services, who, told = scene.house.services, scene.other, scene.told
    held = services.runner._services
    for kind, service, cases in (
        (Crm, services.crm, CRM),
        (Searches, services.searches, SEARCHES),
        (CrmImports, held[CrmImports], IMPORTS),
        (LongTermMemory, scene.memory, MEMORY),
    ):
        left = _public(kind) - NOT_A_PERSONS if kind is LongTermMemory else _public(kind)
        assert left == set(cases), f"{kind.__name__}: say how these are tried"
        for name, (expected, call) in cases.items():
            what = f"{kind.__name__}.{name}"
            with scene.untouched(what, makes=expected == "own" or name == "events"):
                seen = await told_by(call(service, who, told, scene))
                assert not scene.leaked(seen), f"{what}: told {scene.leaked(seen)}"
            if expected == GONE:
                assert isinstance(seen, str), f"{what}: gave {seen!r}"
            elif expected == "empty":
                assert not _holds(seen), f"{what}: gave {seen!r}"
    for what, asked in OTHERS:
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

REFUSED, EMPTY, OWN = "refused", "empty", "own"
"""What the other company must get: a refusal; an answer that tells nothing; something that it makes of its own."""


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
    "crm_setup": [Case({}, OWN, True), Case({"field": "{field}", "field_of": "contact"}, OWN)],
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
}  # fmt: skip
SAY = f"pausa, retoma, muda {CAMPAIGN} para 150 reais"


async def _try_tools(scene: Scene) -> None:
    runner, told = scene.house.services.runner, scene.told
    assert set(runner.tools) <= set(CASES), "say how these tools are tried with another company's ids"
    wrong: list[str] = []
    for name, cases in CASES.items():
        for case in cases if name in runner.tools else []:
            what = f"{name} {case.args}"
            with scene.untouched(what, makes=case.then == OWN):
                turn = scene.turn(scene.other, SAY, **told.filled(case.session))
                outcome = await runner.call(turn, name, told.filled(case.args))
            seen = outcome.text_for_model + repr(outcome.data) + repr(outcome.error and outcome.error.params)
            if leaked := scene.leaked(seen):
                wrong.append(f"{what}: told {leaked}")
            if (case.then == REFUSED) is outcome.ok or outcome.error_code in ("tool_bug", "arguments_wrong"):
                wrong.append(f"{what}: {outcome.text_for_model[:300]}")
        for case in cases if name in runner.tools else []:
            if case.home:
                args = case.args if case.home is True else case.home
                turn = scene.turn(scene.one, SAY, **(told.filled(case.session) if case.home is True else {}))
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
                await _try_services(scene)
                await _try_tools(scene)
            finally:
                await memory.close()
