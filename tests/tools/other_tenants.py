"""Two companies that must never see each other: one that has everything, and one that tries with the other's ids.

`Scene.told` are the references of the first (ids, names, telephones, documents); `Scene.secrets` is what the second
must never read unless it said it itself.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from functools import cache
from typing import Any

import httpx
import psycopg

from business.crm.identity import KeyKind
from business.crm.imports import CrmImports
from business.crm.model import CompanyData, ContactData, CustomField, FieldType, Source, Subject
from business.prospecting.finding import find
from business.prospecting.profile import read_profile
from business.prospecting.sources import LazySources
from business.prospecting.work import Work
from core.errors import MutiraoError
from core.money import Money
from core.permissions import Permissions
from core.tenancy import Identity, Role
from core.turn import Turn
from memory.long_term import Item, LongTermMemory
from memory.long_term import Subject as About
from tests.conftest import PASSWORD
from tests.journeys.conftest import House

SAID = Source("person", "chat", by_person=True)
CAMPAIGN = "[VENDAS] Prospecção | Coleção Primavera"
SENTENCE = "ache 2 escritórios de arquitetura em Campinas com mais de 3 anos"

NAME, PHONE, EMAIL = "Zuleica Tremembé Assunção", "(19) 99731-2468", "zuleica@tremembe.example"
CPF, CNPJ, FIRM = "529.982.247-25", "11.222.333/0001-81", "Tremembé Paisagismo"
NOTE, TITLE, TASK = "prefere falar depois do almoço", "Jardim do Tremembé", "levar o orçamento do jardim"
LIST = f"nome;telefone\n{NAME} Filha;(19) 99731-2469\n"


class Told(dict[str, str]):
    """References by name; notes which of them were said since the last `begin`."""

    def __init__(self) -> None:
        super().__init__()
        self.said: set[str] = set()

    def __getitem__(self, name: str) -> str:
        value = super().__getitem__(name)
        self.said.add(value)
        return value

    def begin(self) -> None:
        self.said.clear()

    def filled(self, given: Any) -> Any:
        """The arguments with every "{name}" replaced by what it stands for."""
        if isinstance(given, dict):
            return {key: self.filled(value) for key, value in given.items()}
        if isinstance(given, list):
            return [self.filled(value) for value in given]
        return given.format_map(self) if isinstance(given, str) else given


@dataclass
class Scene:
    house: House
    behind: psycopg.Connection[tuple[str]]
    """Behind row-level security."""
    one: Identity
    """Admin of the company that has everything."""
    other: Identity
    """Admin of the company that tries."""
    told: Told = field(default_factory=Told)
    things: dict[str, Any] = field(default_factory=dict)
    memory: LongTermMemory | None = None

    @property
    def secrets(self) -> set[str]:
        return set(self.told.values()) | {NOTE, TITLE, TASK}

    def turn(self, who: Identity, text: str = "", **session: Any) -> Turn:
        """A turn of a person who named all that a tool may ask for."""
        return Turn("turn_x", who, "conv_x", "chat", text, "pt-BR", self.house.services.clock.now(), session=session)

    def rows(self, tenant_id: str) -> set[str]:
        """Every row of a tenant, whatever its table."""
        found = self.behind.execute(_every_row(self.behind), {"tenant": tenant_id}, prepare=True).fetchall()
        return {row for (row,) in found}

    def leaked(self, seen: Any) -> set[str]:
        """What the answer tells of the first company that was not said in the question."""
        text = seen if isinstance(seen, str) else json.dumps(seen, ensure_ascii=False, default=repr)
        hidden = {secret for secret in self.secrets if not any(secret in said for said in self.told.said)}
        return {secret for secret in hidden if secret in text}

    @contextmanager
    def untouched(self, what: str, *, makes: bool = False) -> Iterator[None]:
        """Within, nothing of the first company changes; and of the second only what it makes anew, if it `makes`."""
        theirs, ours = self.rows(self.one.tenant_id), self.rows(self.other.tenant_id)
        if not makes:  # what was made itself may be told again
            self.told.begin()
        yield
        assert self.rows(self.one.tenant_id) == theirs, f"{what}: changed the other company"
        now = self.rows(self.other.tenant_id)
        gone = {row.split()[0] for row in ours - now}
        assert gone <= ({"crm_event_readers"} if makes else set()), f"{what}: changed rows of its own: {gone}"
        new = {row.split()[0] for row in now - ours} - {"audit_log", "audit"}
        assert makes or not new, f"{what}: made {new}"


@cache
def _every_row(conn: psycopg.Connection[tuple[str]]) -> bytes:
    names = conn.execute(
        """SELECT c.relname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
           WHERE a.attname = 'tenant_id' AND NOT a.attisdropped AND c.relkind IN ('r', 'p')
             AND c.relnamespace = 'public'::regnamespace ORDER BY 1"""
    ).fetchall()
    assert len(names) > 30
    queries = [f"SELECT '{n} ' || md5(to_jsonb(r)::text) FROM {n} r WHERE tenant_id = %(tenant)s" for (n,) in names]
    return " UNION ALL ".join(queries).encode()


async def set_scene(house: House, behind: psycopg.Connection[Any], memory: LongTermMemory) -> Scene:
    """The sample company with one of everything, and a second company with a little of its own."""
    services = house.services
    one = await house.person(Role.ADMIN)
    tenant = await services.people.add_tenant("Loja Vizinha", slug="vizinha")
    user = await services.people.add_user(tenant.id, "eva@vizinha.example", "Eva Reis", Role.ADMIN, PASSWORD)
    scene = Scene(house, behind, one, await services.people.identity(tenant.id, user.id), memory=memory)
    await _fill(scene)
    await _own(scene)
    return scene


async def _fill(scene: Scene) -> None:
    house, one, told = scene.house, scene.one, scene.told
    services, crm = house.services, house.services.crm
    await crm.define_field(one, CustomField("contact", "jardim", "Jardim preferido", FieldType.TEXT))
    company = await crm.upsert_company(
        one, CompanyData(SAID, trade_name=FIRM, city="Campinas/SP", keys=((KeyKind.CNPJ, CNPJ),), purpose="venda")
    )
    contact = await crm.upsert_contact(
        one,
        ContactData(
            SAID, name=NAME, company_id=company.id, tags=("tremembezeira",), custom={"jardim": "japonês"},
            keys=((KeyKind.PHONE, PHONE), (KeyKind.EMAIL, EMAIL), (KeyKind.CPF, CPF)),
        ),
    )  # fmt: skip
    twin = await crm.upsert_contact(one, ContactData(SAID, name=f"{NAME} Neta"), as_new=True)
    gone = await crm.upsert_contact(one, ContactData(SAID, name=f"{NAME} Bisneta"), as_new=True)
    assert company.id and contact.id and twin.id and gone.id
    stages = await crm.stages(one)
    deal = await crm.create_deal(one, TITLE, contact_id=contact.id, amount=Money(Decimal(7313), "BRL"))
    note = await crm.write_activity(one, "note", NOTE, contact_id=contact.id)
    task = await crm.add_task(one, TASK, contact_id=contact.id, due_at=services.clock.now() + timedelta(days=1))
    merge = await crm.merge(one, Subject.CONTACT, twin.id, gone.id)
    file = await services.files.store(one, LIST.encode(), name="lista-tremembe.csv", mime="text/csv")
    told |= {
        "name": NAME, "phone": PHONE, "email": EMAIL, "cpf": CPF, "cnpj": CNPJ, "firm": FIRM,
        "tag": "tremembezeira", "field": "jardim", "company": company.id, "contact": contact.id, "twin": twin.id,
        "stage": stages[1].id, "deal": deal.id, "title": TITLE, "note": note.id, "task": task.id, "merge": merge,
        "file": file.id, "user": one.user_id,
    }  # fmt: skip
    scene.things |= {"deal": deal}
    async with services.db.system() as conn:
        permissions = await Permissions.load(conn)
    imports = CrmImports(services.db, services.clock, permissions, services.files, None, services.people.identity)
    told["import"] = (await imports.start(one, file.id)).id
    second = await services.files.store(one, LIST.encode(), name="de-novo.csv", mime="text/csv")
    told["file"] = second.id
    await _prospect(scene)
    await _advertise(scene)
    assert scene.memory is not None
    async with services.db.tenant(one.tenant_id) as conn:
        item = Item("item_tremembe", f"{FIRM} comprou um jardim", "account data", subject=About("company", company.id))
        await scene.memory.put(conn, one.tenant_id, "customers", [item])
    await scene.memory.catch_up(one.tenant_id)
    told["item"] = "item_tremembe"


async def _prospect(scene: Scene) -> None:
    services, one = scene.house.services, scene.one
    profile = read_profile(SENTENCE, "pt-BR", services.clock.now().date()).profile
    search = await services.searches.start(one, SENTENCE, profile)
    async with httpx.AsyncClient() as http:
        sources = LazySources(services.settings, http, services.clock)
        opened = await sources.open()
        try:
            work = Work(services.db, services.clock)
            await find(work, one.tenant_id, search.id, opened.registry, worker="w", pages=opened.pages, web=opened.web)
        finally:
            await sources.close()
    found = await services.searches.candidates(one, search.id)
    assert found[0].name and found[0].cnpj
    scene.things |= {"search": search, "found": found[0]}
    scene.told |= {
        "search": search.id, "candidate": found[0].id, "found": found[0].name, "found_cnpj": found[0].cnpj,
        "second": found[1].id,
    }  # fmt: skip


async def _advertise(scene: Scene) -> None:
    reply = await scene.house.ask(f"pausa a campanha {CAMPAIGN}", "conv_tremembe")
    scene.told |= {
        "account": "act_100000000000001", "account_name": "Loja Aurora", "campaign": CAMPAIGN,
        "proposal": reply.proposals[0].id, "conversation": "conv_tremembe", "turn": reply.turn_id,
    }  # fmt: skip


async def _own(scene: Scene) -> None:
    services, who = scene.house.services, scene.other
    await services.crm.upsert_contact(
        who, ContactData(SAID, name="Otto Vizinho", keys=((KeyKind.PHONE, "11 3333-1000"),))
    )
    await services.crm.stages(who)
    profile = read_profile("ache 2 padarias em Recife", "pt-BR", services.clock.now().date()).profile
    await services.searches.start(who, "ache 2 padarias em Recife", profile)


async def told_by(call: Any) -> Any:
    """What a call gives, or the refusal's whole text: both are what the other company gets to see."""
    try:
        return await call
    except MutiraoError as error:
        return f"{error.code} {error} {error.params}"
