"""An imported file as an account: its levels, its windows, what may be added and what may not."""

from collections.abc import AsyncIterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from business.ads.file_source import FileSource
from business.ads.imports import JOB, Imports
from business.ads.metrics import ResultKind, count
from business.ads.model import Account, Figures, Level, Status, Window
from core.clock import FixedClock
from core.db import Database
from core.errors import ArgumentsWrong
from core.files import Files
from core.jobs import Jobs
from core.money import Money
from core.tenancy import Role
from tests.conftest import Dsns, Tenants

ZONE = "America/Sao_Paulo"
PURCHASE, LEAD = "actions:offsite_conversion.fb_pixel_purchase", "actions:onsite_conversion.lead_grouped"

ADS = f"""\
Nome da conta;Nome da campanha;Nome do conjunto de anúncios;Nome do anúncio;Dia;Veiculação do anúncio;\
Valor usado (BRL);Impressões;Alcance;Resultados;Indicador de resultados
Ipê;Natal;Amplo;Vídeo A;2026-11-01;active;100,00;1.000;900;4;{PURCHASE}
Ipê;Natal;Amplo;Vídeo B;2026-11-01;inactive;50,00;500;450;1;{PURCHASE}
Ipê;Natal;Remarketing;Vídeo A;2026-11-02;inactive;25,50;200;150;2;{PURCHASE}
Ipê;Cadastro;Amplo;Foto;2026-11-02;archived;10,00;100;90;7;{LEAD}
Ipê;Mista;Amplo;Foto 2;2026-11-01;active;5,00;50;45;1;{PURCHASE}
Ipê;Mista;Amplo;Foto 2;2026-11-02;active;5,00;50;45;1;{LEAD}
"""

RANGES = """\
Campaign name,Reporting starts,Reporting ends,Amount spent (BRL),Reach
Holiday,2026-10-01,2026-10-15,100.00,900
Holiday,2026-10-16,2026-10-31,50.00,500
"""


def brl(amount: str) -> Money:
    return Money(Decimal(amount), "BRL")


def window(first: int, last: int, month: int = 11) -> Window:
    return Window(date(2026, month, first), date(2026, month, last), ZONE)


class Shelf:
    """Brings a text as a file and gives the source and account it has become."""

    def __init__(self, database: Database, tenants: Tenants, imports: Imports, files: Files) -> None:
        self.me = tenants.one[Role.DIRETOR]
        self._imports = imports
        self._files = files
        self.source = FileSource(database, self.me.tenant_id)
        self.others = FileSource(database, tenants.other.id)

    async def account(self, text: str, name: str = "export.csv") -> Account:
        stored = await self._files.store(self.me, text.encode(), name=name, mime="text/csv")
        started = await self._imports.start(self.me, stored.id)
        done = await self._imports.run(self.me.tenant_id, started.id)
        return next(a for a in await self.source.accounts() if a.id == done.account_id)

    async def spent(self, account: Account, level: Level, days: Window) -> dict[str, Any]:
        return {row.name: row.spend and row.spend.amount for row in await self.source.figures(account, level, days)}


@pytest.fixture
async def shelf(database: Database, tenants: Tenants, clock: FixedClock, dsns: Dsns) -> AsyncIterator[Shelf]:
    jobs = Jobs(dsns.app)

    async def never(**ids: Any) -> None:
        raise AssertionError("nobody works here")

    jobs.task(JOB, never)
    await jobs.open()
    files = Files(database)
    yield Shelf(database, tenants, Imports(database, files, jobs, clock), files)
    await jobs.close()


async def test_every_level_adds_up_to_the_same_money(shelf: Shelf) -> None:
    account = await shelf.account(ADS)
    days = window(1, 2)
    assert await shelf.spent(account, Level.ACCOUNT, days) == {account.name: Decimal("195.50")}
    assert await shelf.spent(account, Level.CAMPAIGN, days) == {
        "Natal": Decimal("175.50"),
        "Cadastro": Decimal("10.00"),
        "Mista": Decimal("10.00"),
    }
    for level in (Level.ADSET, Level.AD):
        rows = await shelf.source.figures(account, level, days)
        assert sum((row.spend.amount for row in rows if row.spend), Decimal(0)) == Decimal("195.50")
    assert len(await shelf.source.figures(account, Level.AD, days)) == 5  # Vídeo A of two ad sets are two ads


async def test_a_day_holds_its_own_lines_only(shelf: Shelf) -> None:
    account = await shelf.account(ADS)
    assert await shelf.spent(account, Level.CAMPAIGN, window(2, 2)) == {
        "Natal": Decimal("25.50"),
        "Cadastro": Decimal("10.00"),
        "Mista": Decimal("5.00"),
    }
    assert await shelf.source.figures(account, Level.CAMPAIGN, window(3, 9)) == []  # no data, which is not zero
    daily = await shelf.source.figures(account, Level.ACCOUNT, window(1, 9), daily=True)
    assert [(row.since.day, row.spend) for row in daily] == [(1, brl("155")), (2, brl("40.50"))]


async def test_people_are_told_for_one_line_and_never_added(shelf: Shelf) -> None:
    account = await shelf.account(ADS)

    async def reach(level: Level, days: Window) -> dict[str, int | None]:
        return {row.name: row.reach for row in await shelf.source.figures(account, level, days)}

    assert await reach(Level.CAMPAIGN, window(1, 2)) == {"Natal": None, "Cadastro": None, "Mista": None}
    assert await reach(Level.CAMPAIGN, window(2, 2)) == {"Natal": 150, "Cadastro": 90, "Mista": 45}
    assert await reach(Level.ACCOUNT, window(2, 2)) == {account.name: None}


async def test_results_of_one_kind_are_counted_and_of_several_are_not_added(shelf: Shelf) -> None:
    account = await shelf.account(ADS)
    rows: dict[str, Figures] = {
        row.name: row for row in await shelf.source.figures(account, Level.CAMPAIGN, window(1, 2))
    }
    assert count([rows["Natal"]], ResultKind.PURCHASE) == 7
    assert count([rows["Cadastro"]], ResultKind.LEAD) == 7
    assert not rows["Mista"].actions_known
    objectives = {e.name: e.objective for e in await shelf.source.entities(account.id, Level.CAMPAIGN)}
    assert objectives == {"Natal": "OUTCOME_SALES", "Cadastro": "OUTCOME_LEADS", "Mista": "UNKNOWN"}


async def test_a_campaign_runs_when_any_of_its_ads_does(shelf: Shelf) -> None:
    account = await shelf.account(ADS)
    campaigns = {e.name: e for e in await shelf.source.entities(account.id, Level.CAMPAIGN)}
    assert campaigns["Natal"].delivering
    assert (campaigns["Cadastro"].status, campaigns["Cadastro"].effective_status) == (Status.PAUSED, "ARCHIVED")
    ads = [(e.name, e.delivering) for e in await shelf.source.entities(account.id, Level.AD)]
    assert ("Vídeo B", False) in ads
    natal = campaigns["Natal"].id
    adsets = await shelf.source.entities(account.id, Level.ADSET)
    assert {e.name for e in adsets if e.parent_id == natal} == {"Amplo", "Remarketing"}


async def test_ranges_answer_windows_that_hold_them_whole(shelf: Shelf) -> None:
    account = await shelf.account(RANGES)
    assert (account.data_from, account.data_until) == (date(2026, 10, 1), date(2026, 10, 31))
    assert await shelf.spent(account, Level.CAMPAIGN, window(1, 31, 10)) == {"Holiday": Decimal(150)}
    assert await shelf.spent(account, Level.CAMPAIGN, window(1, 15, 10)) == {"Holiday": Decimal(100)}
    (whole,) = await shelf.source.figures(account, Level.CAMPAIGN, window(1, 31, 10))
    (half,) = await shelf.source.figures(account, Level.CAMPAIGN, window(1, 15, 10))
    assert (whole.reach, half.reach) == (None, 900)
    assert await shelf.source.figures(account, Level.CAMPAIGN, window(1, 31, 10), daily=True) == []
    with pytest.raises(ArgumentsWrong) as refused:
        await shelf.source.figures(account, Level.CAMPAIGN, window(10, 20, 10))
    assert refused.value.code == "window_not_in_file"


async def test_the_account_is_called_by_account_and_file(shelf: Shelf) -> None:
    assert (await shelf.account(ADS, "outubro.csv")).name == "Ipê · outubro.csv"
    assert (await shelf.account(RANGES, "range.csv")).name == "range.csv"


async def test_another_tenant_sees_no_file(shelf: Shelf) -> None:
    account = await shelf.account(ADS)
    assert await shelf.others.accounts() == []
    assert await shelf.others.entities(account.id, Level.CAMPAIGN) == []
    for level in (Level.ACCOUNT, Level.CAMPAIGN, Level.AD):
        assert await shelf.others.figures(account, level, window(1, 2)) == []
