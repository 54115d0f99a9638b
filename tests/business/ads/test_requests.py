"""How few requests a question costs, without a figure or a failure getting lost on the way."""

import asyncio
from dataclasses import replace
from datetime import date

import pytest

from business.ads.graph_source import GraphSource
from business.ads.model import Figures, Level, Window
from business.ads.service import AdsService
from core.errors import Unavailable
from tests.business.ads.conftest import World, identity, service_over

ZONE = "America/Sao_Paulo"
NOW = Window(date(2026, 11, 13), date(2026, 11, 19), ZONE)
BEFORE = Window(date(2026, 11, 6), date(2026, 11, 12), ZONE)
EARLIER = Window(date(2026, 10, 1), date(2026, 10, 7), ZONE)
MONTH = Window(date(2026, 10, 21), date(2026, 11, 19), ZONE)


@pytest.mark.parametrize(
    ("windows", "daily", "requests"),
    [
        ([NOW, BEFORE], False, 1),
        ([NOW, BEFORE, EARLIER], False, 1),
        ([NOW, NOW], False, 1),
        ([NOW, MONTH, BEFORE], False, 2),  # a row of a week could be taken for the month's
        ([NOW, BEFORE], True, 1),
        ([NOW, EARLIER], True, 2),  # the days between are not wanted
    ],
)
async def test_windows_asked_in_one_moment_are_one_request_and_each_gets_its_own_rows(
    world: World, windows: list[Window], daily: bool, requests: int
) -> None:
    (account, _) = await GraphSource(world.client).accounts()
    alone = [await GraphSource(world.client).figures(account, Level.CAMPAIGN, one, daily=daily) for one in windows]

    source = GraphSource(world.client)
    before = await world.requests()
    together = await asyncio.gather(*(source.figures(account, Level.CAMPAIGN, one, daily=daily) for one in windows))

    assert await world.requests() - before == requests

    def ordered(rows: list[Figures]) -> list[Figures]:
        return sorted(rows, key=lambda row: (row.since, row.entity_id))

    assert [ordered(rows) for rows in together] == [ordered(rows) for rows in alone]
    assert all(together)


async def test_a_comparison_of_an_account_costs_five_requests(service: AdsService, world: World) -> None:
    ads = service.for_turn()
    account = (await ads.accounts(identity())).accounts[0]
    before = await world.requests()
    report = await ads.report(identity(), account, Level.CAMPAIGN, NOW, BEFORE)
    assert await world.requests() - before == 5  # campaigns, ad sets, and figures of campaigns, account and days
    assert report.before is not None


async def test_in_a_turn_no_list_is_fetched_twice(service: AdsService, world: World) -> None:
    ads = service.for_turn()
    account = (await ads.accounts(identity())).accounts[0]
    first = await ads.entities(identity(), account, Level.AD)
    before = await world.requests()
    assert await ads.entities(identity(), account, Level.AD) == first
    assert await ads.find_account(identity(), account.name) == account
    assert await world.requests() == before


async def test_what_failed_is_asked_for_again(world: World) -> None:
    ads = service_over(lambda: GraphSource(world.client)).for_turn()
    await world.fail(kind="error", status=500, code=2, times=50)
    with pytest.raises(Unavailable):
        await ads.accounts(identity())
    await world.heal()
    assert len((await ads.accounts(identity())).accounts) == 2


async def test_another_turn_sees_what_has_changed(my_world: World) -> None:
    service = service_over(lambda: GraphSource(my_world.client))
    ads = service.for_turn()
    account = (await ads.accounts(identity())).accounts[0]
    campaign = (await ads.entities(identity(), account, Level.CAMPAIGN))[0]
    other = "PAUSED" if campaign.status == "ACTIVE" else "ACTIVE"
    await my_world.client.set_status(campaign.id, other)
    (changed,) = [
        one for one in await service.for_turn().entities(identity(), account, Level.CAMPAIGN) if one.id == campaign.id
    ]
    assert changed.status == other
    assert replace(changed, status=campaign.status, effective_status=campaign.effective_status) == campaign
