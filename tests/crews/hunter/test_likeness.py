"""Look-alikes of won deals: the CRM's events into a real memory, and what it tells of companies of the registry."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest

from business.crm.identity import KeyKind
from business.crm.model import CompanyData, Source, StageKind, Subject
from business.crm.service import Crm
from business.prospecting.evidence import Kind, of_company, of_kind
from business.prospecting.lines import said
from business.prospecting.model import IdealCustomer, WantedActivity, WantedPlace
from business.prospecting.rules import default_rules
from business.prospecting.score import Outcome, score
from core.clock import FixedClock
from core.db import Database
from core.permissions import Permissions
from core.tenancy import Role
from crews.hunter.likeness import COLLECTION, Likeness
from integrations.minha_receita.payloads import Activity, Address, Company
from memory.long_term import LongTermMemory
from memory.shelf_edge import EdgeShelves
from memory.shelf_server import ServerShelves
from tests.conftest import Tenants, World, free_port
from tests.crews.hunter.conftest import Desk

NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)


def company(cnpj: str, activity: str, name: str, city: str = "CAMPINAS", opened: date = date(2012, 5, 2)) -> Company:
    address = Address("RUA MARIA MONTEIRO", "120", None, "CAMBUI", "13025151", city, "SP", "3509502")
    return Company(
        cnpj=cnpj, legal_name=f"{name} LTDA", trade_name=name, status=2, status_name="ATIVA", status_since=None,
        opened=opened, activity=Activity(activity, None), further_activities=(), address=address, phones=(), email=None,
        size=1, size_name="MICRO EMPRESA", capital=None, mei=False, simples=True, nature_code="2062", nature=None,
        head_office=True, partners=(), odd=(), source_url="http://127.0.0.1/", fetched_at=NOW,
    )  # fmt: skip


ARCHITECTS = company("11222333000181", "7111100", "IPE ARQUITETURA")
DENTIST = company("11444777000161", "8630504", "CLINICA SORRISO")
YOUNG_FAR = company("60316817000103", "7111100", "NOVA ARQUITETURA", "RIBEIRAO PRETO", date(2026, 1, 9))


@pytest.fixture
def folder() -> Iterator[Path]:
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="mutirao-like-", dir=memory if memory.is_dir() else None) as name:
        yield Path(name) / "memory"


@pytest.fixture
def crm(database: Database, clock: FixedClock, permissions: Permissions) -> Crm:
    return Crm(database, clock, permissions)


@pytest.fixture
async def likeness(database: Database, clock: FixedClock, crm: Crm, folder: Path) -> AsyncIterator[Likeness]:
    memory = LongTermMemory(database, clock, EdgeShelves(folder), patience=20.0)
    yield Likeness(memory, crm, clock)
    await memory.close()


async def customer(crm: Crm, world: World, name: str, cnpj: str) -> str:
    told = CompanyData(
        source=Source("registry", "http://127.0.0.1/", at=NOW), trade_name=name, legal_name=f"{name} LTDA",
        main_cnae="7111100", size="micro", opened_on=date(2013, 8, 1), city="Campinas", uf="SP",
        website="https://jatoba.example", keys=((KeyKind.CNPJ, cnpj), (KeyKind.PHONE, "(19) 3232-4455")),
        purpose="prospecção",
    )  # fmt: skip
    record_id = (await crm.upsert_company(world[Role.ADMIN], told)).id
    assert record_id is not None
    return record_id


async def close_deal(crm: Crm, world: World, company_id: str, kind: StageKind, deal_id: str | None = None) -> str:
    who = world[Role.ADMIN]
    stage = next(one for one in await crm.stages(who) if one.kind is kind)
    if deal_id is None:
        deal_id = (await crm.create_deal(who, title="Projeto", company_id=company_id)).id
    reason = "preço" if kind is StageKind.LOST else None
    await crm.move_deal(who, deal_id, stage.id, lost_reason=reason)
    return deal_id


async def kept(database: Database, tenant_id: str) -> list[str]:
    async with database.tenant(tenant_id) as conn:
        rows = await conn.execute("SELECT text FROM memory_items WHERE collection = %s", [COLLECTION])
        return [row["text"] for row in await rows.fetchall()]


async def test_a_company_like_a_won_customer_says_so_and_names_it_until_the_deal_is_lost_or_the_customer_erased(
    likeness: Likeness, crm: Crm, tenants: Tenants, database: Database
) -> None:
    one, admin = tenants.one, tenants.one[Role.ADMIN]
    won = await customer(crm, one, "Jatobá Arquitetura", "33000167000101")
    deal = await close_deal(crm, one, won, StageKind.WON)
    (like,) = await likeness.evidence(one.id, ARCHITECTS, of_company(ARCHITECTS))
    assert (like.kind, like.source, like.reference) == (Kind.LIKENESS, "CRM", "Jatobá Arquitetura")
    assert isinstance(like.value, Decimal) and Decimal("0.8") <= like.value <= 1
    (unlike,) = await likeness.evidence(one.id, DENTIST, of_company(DENTIST))
    (half,) = await likeness.evidence(one.id, YOUNG_FAR, of_company(YOUNG_FAR))
    assert Decimal(str(unlike.value)) < Decimal("0.4") < Decimal(str(half.value)) < Decimal("0.8")

    # The rule of the score reads it.
    profile = IdealCustomer(
        activities=(WantedActivity("7111100", "arquitetura"),),
        places=(WantedPlace("city", "Campinas", "SP", "3509502"),),
    )
    told = {
        rule.rule.id: rule
        for rule in score(profile, (*of_company(ARCHITECTS), like), default_rules(), date(2026, 11, 20)).rules
    }["likeness"]
    assert told.outcome is Outcome.YES and told.evidence == (like,)

    # What is kept names nobody, and is this tenant's alone; the customer is not told to be like itself.
    (text,) = await kept(database, one.id)
    assert (
        "7111100" in text and "comsite" in text and not any(word in text.lower() for word in ("jatob", "3232", "3300"))
    )
    assert await likeness.of(tenants.other.id, text) is None
    itself = replace(ARCHITECTS, cnpj="33000167000101")
    assert await likeness.evidence(one.id, itself, of_company(itself)) == ()

    await close_deal(crm, one, won, StageKind.LOST, deal)
    await likeness.learn(one.id)
    assert await kept(database, one.id) == []
    await close_deal(crm, one, won, StageKind.WON, deal)
    await likeness.learn(one.id)
    assert len(await kept(database, one.id)) == 1 and await likeness.learn(one.id) == 0
    await crm.erase(admin, Subject.COMPANY, won)
    assert await likeness.of(one.id, text) is None, "an erased customer is not named, even before the memory knows"
    await likeness.learn(one.id)
    assert await kept(database, one.id) == []


async def test_a_tenant_without_won_deals_starts_no_memory_and_one_whose_memory_is_away_knows_nothing(
    likeness: Likeness, crm: Crm, tenants: Tenants, database: Database, clock: FixedClock, folder: Path
) -> None:
    lost = await customer(crm, tenants.one, "Jatobá Arquitetura", "33000167000101")
    deal = await close_deal(crm, tenants.one, lost, StageKind.LOST)
    assert await likeness.evidence(tenants.one.id, ARCHITECTS, of_company(ARCHITECTS)) == ()
    assert not folder.exists()

    await close_deal(crm, tenants.one, lost, StageKind.WON, deal)
    away = Likeness(
        LongTermMemory(database, clock, ServerShelves(f"http://127.0.0.1:{free_port()}"), patience=0.5), crm, clock
    )
    assert await away.evidence(tenants.one.id, ARCHITECTS, of_company(ARCHITECTS)) == ()
    assert len(await kept(database, tenants.one.id)) == 1, "what was learnt is not lost with the index"


async def test_a_search_tells_which_won_customer_a_company_is_like(desk: Desk, folder: Path) -> None:
    desk.without_web()
    won = await customer(desk.crm, desk.tenants.one, "Jatobá Arquitetura", "33000167000101")
    await close_deal(desk.crm, desk.tenants.one, won, StageKind.WON)
    memory = LongTermMemory(desk.db, desk.clock, EdgeShelves(folder), patience=20.0)
    hunts = desk.another(likeness=Likeness(memory, desk.crm, desk.clock))
    search = await desk.start("ache 5 escritórios de arquitetura em Campinas com mais de 3 anos")
    await hunts.run(desk.who.tenant_id, search.id)
    await memory.close()
    found = await desk.found(search)
    pieces = [piece for one in found for piece in of_kind(one.evidence, Kind.LIKENESS)]
    assert len(pieces) == len(found) >= 5 and {piece.reference for piece in pieces} == {"Jatobá Arquitetura"}
    values = sorted(Decimal(str(piece.value)) for piece in pieces)
    assert values[0] < values[-1] >= Decimal("0.8"), "some are more like it than others"
    say = partial(desk.texts.say, "pt-BR")
    told = " ".join(said(line, say) for line in found[0].explained())
    assert "(CRM: Jatobá Arquitetura, 20/11/2026)" in told, "the reason names the customer"
