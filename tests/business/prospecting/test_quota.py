"""What searches of the web cost a tenant: counted by vendor and month, not asked again, not asked beyond the quota."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from business.prospecting.quota import WebQuota
from business.prospecting.searches import State
from core.clock import FixedClock
from core.db import Database
from core.errors import Unavailable
from core.tenancy import Role
from integrations.sandbox_http import Launched
from integrations.web_search.build import sandbox_search
from integrations.web_search.client import WebSearch
from integrations.web_search.payloads import Answer, PlaceQuery, Query
from integrations.web_search.serpapi import SerpApi
from integrations.web_search.simulator import launch
from integrations.web_search.simulator.wires import SANDBOX_KEY
from tests.business.prospecting.conftest import Desk
from tests.conftest import Tenants
from tests.integrations.sandbox import Control

TALK = "ache 6 escritórios de arquitetura em Campinas com mais de 3 anos e fale com os melhores"


@pytest.fixture(scope="module")
def vendors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launched]:
    launched = launch.start(tmp_path_factory.mktemp("quota"))
    yield launched
    launched.stop()


@pytest.fixture
async def web(vendors: Launched, clock: FixedClock) -> AsyncIterator[WebSearch]:
    async with httpx.AsyncClient(verify=False) as http:
        yield sandbox_search(vendors.base_url, http, clock)


@pytest.fixture
def asked(vendors: Launched) -> Iterator[Control]:
    control = Control(vendors)
    control.heal()
    yield control
    control.heal()
    control.close()


async def test_an_answer_is_counted_once_and_kept_with_its_date_until_it_is_too_old(
    database: Database, clock: FixedClock, tenants: Tenants, web: WebSearch, asked: Control
) -> None:
    quota, one, other = WebQuota(database, clock), tenants.one.id, tenants.other.id
    mine = quota.of(one, web)

    async def all_kinds() -> list[Answer[Any]]:
        return [
            await mine.pages(Query("arquitetura Campinas")),
            await mine.places(PlaceQuery("arquitetura", "Campinas")),
            await mine.news(Query("arquitetura Campinas")),
            await mine.linkedin("Ipê Arquitetura", "Campinas"),
        ]

    first = await all_kinds()
    assert [answer.vendor for answer in first] == ["SerpAPI"] * 4 and first[1].results
    clock.advance(timedelta(hours=23))
    again = await all_kinds()
    for before, after in zip(first, again, strict=True):
        assert (after.results, after.asked_at, after.words, after.more) == (
            before.results, before.asked_at, before.words, before.more,
        )  # fmt: skip
        assert (before.cost, after.cost) == (1, 0)
    assert (await quota.used(one)).used == {"SerpAPI": 4} and len(asked.asked()) == 4
    # Another tenant has neither its answers nor its count, and another question is asked.
    assert (await quota.used(other)).used == {}
    assert (await quota.of(other, web).pages(Query("arquitetura Campinas"))).cost == 1
    assert (await mine.pages(Query("arquitetura Campinas", page=2))).cost == 1
    # News are asked anew after a day, the rest after thirty; a new month counts from nothing.
    clock.advance(timedelta(hours=2))
    assert [one.cost for one in await all_kinds()] == [0, 0, 1, 0]
    clock.advance(timedelta(days=30))
    assert [one.cost for one in await all_kinds()] == [1, 1, 1, 1]
    use = await quota.used(one)
    assert (use.used, use.month.isoformat(), use.limit) == ({"SerpAPI": 4}, "2026-12-01", 250)


async def test_a_vendor_whose_month_is_used_up_is_passed_over_and_then_nothing_is_asked(
    database: Database, clock: FixedClock, tenants: Tenants, web: WebSearch, asked: Control
) -> None:
    quota = WebQuota(database, clock, monthly=2, days=0)
    mine = quota.of(tenants.one.id, web)
    vendors = [(await mine.pages(Query("arquitetura Campinas"))).vendor for _ in range(6)]
    assert vendors == ["SerpAPI", "SerpAPI", "Brave", "Brave", "Serper", "Serper"]
    with pytest.raises(Unavailable) as caught:
        await mine.pages(Query("arquitetura Campinas"))
    assert (caught.value.code, caught.value.params) == ("web_search_month_over", {"limit": 2})
    assert len(asked.asked()) == 6


async def test_what_may_not_be_stored_is_asked_anew(
    database: Database, clock: FixedClock, tenants: Tenants, web: WebSearch
) -> None:
    quota = WebQuota(database, clock, monthly=1)
    mine = quota.of(tenants.one.id, web)
    await mine.pages(Query("arquitetura Santos"))
    answers = [await mine.pages(Query("arquitetura Campinas")) for _ in range(2)]
    assert [(answer.vendor, answer.cost) for answer in answers] == [("Brave", 1), ("Serper", 1)]


async def test_hunts_that_race_spend_no_more_than_the_quota_and_what_failed_is_not_counted(
    database: Database, clock: FixedClock, tenants: Tenants, vendors: Launched, asked: Control
) -> None:
    quota = WebQuota(database, clock, monthly=10, days=0)

    async def hunt(only: WebSearch) -> None:
        mine = quota.of(tenants.one.id, only)
        for _ in range(10):
            with contextlib.suppress(Unavailable):
                await mine.pages(Query("arquitetura Campinas"))

    async with httpx.AsyncClient(verify=False) as http:
        only = WebSearch([SerpApi(http, SANDBOX_KEY, clock, base_url=f"{vendors.base_url}/serpapi")], clock, pause=0.01)
        asked.fail("html", status=503, times=8)
        with pytest.raises(Unavailable):
            await quota.of(tenants.one.id, only).pages(Query("arquitetura Campinas"))
        assert (await quota.used(tenants.one.id)).used["SerpAPI"] == 0
        asked.heal()
        await asyncio.gather(*(hunt(only) for _ in range(4)))
    assert (await quota.used(tenants.one.id)).used["SerpAPI"] == len(asked.asked()) == 10
    nothing = WebQuota(database, clock, monthly=0).of(tenants.other.id, only)
    with pytest.raises(Unavailable):
        await nothing.pages(Query("arquitetura Campinas"))


async def test_a_search_whose_quota_ends_goes_on_by_the_registry_alone_and_says_so(
    desk: Desk, database: Database, web: WebSearch
) -> None:
    quota = WebQuota(database, desk.clock, monthly=1)
    done = await desk.run(await desk.start(TALK), web=quota.of(desk.tenants.one.id, web))
    assert (done.state, done.ended) == (State.DONE, "enough")
    assert done.cost.searches == {"SerpAPI": 1, "Brave": 1, "Serper": 1}
    assert (done.progress.web_off, done.progress.lookups_failed) == ("web_search_month_over", 0)
    without = await desk.run(await desk.start(TALK), web=WebSearch([], desk.clock))
    assert (without.progress.web_off, without.progress.lookups_failed) == ("search_not_set_up", 0)
    assert (await desk.searches.get(desk.tenants.one[Role.DIRETOR], without.id)).progress.qualified == 6
