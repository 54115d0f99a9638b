"""Whom to ask: the first vendor with a key and quota, and the next one at once when it fails."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from core.clock import FixedClock
from core.errors import Refused, Unavailable
from integrations import sandbox_companies
from integrations.web_search.client import WebSearch, is_linkedin_company
from integrations.web_search.payloads import PlaceQuery, Query
from integrations.web_search.simulator import launch
from tests.integrations.web_search.conftest import VENDORS, Control

ARCHITECTS = Query("arquitetura campinas")


async def test_serpapi_is_asked_first_and_the_others_not_at_all(search: WebSearch, control: Control) -> None:
    answer = await search.pages(ARCHITECTS)
    assert answer.vendor == "SerpAPI" and answer.passed_over == ()
    assert control.asked() == ["/serpapi/search.json"]


@pytest.mark.parametrize("fault", [{"kind": "drop"}, {"kind": "html", "status": 502}, {"kind": "cut"}])
async def test_a_vendor_that_fails_is_passed_over_for_the_next_at_once(
    search: WebSearch, control: Control, fault: dict[str, Any]
) -> None:
    control.fail(fault | {"path": "serpapi", "times": 9})
    answer = await search.pages(ARCHITECTS)
    assert answer.vendor == "Brave" and answer.results
    assert [one.split(":")[0] for one in answer.passed_over] == ["SerpAPI"]
    assert control.asked() == ["/serpapi/search.json", "/brave/res/v1/web/search"]
    assert (await search.pages(ARCHITECTS)).vendor == "Brave"  # tried again: a failure of a moment is no reason to rest


async def test_a_vendor_whose_month_is_spent_rests_until_its_month_is_over(
    search: WebSearch, control: Control, clock: FixedClock
) -> None:
    spent = {"x-ratelimit-policy": "1;w=1, 9;w=2592000", "x-ratelimit-limit": "1, 9"}
    spent |= {"x-ratelimit-remaining": "0, 0", "x-ratelimit-reset": "1, 86400"}
    control.answer('{"error": "Your account has run out of searches."}', 429, path="serpapi")
    control.answer("{}", 429, spent, path="brave")
    first = await search.pages(ARCHITECTS)
    assert (first.vendor, first.passed_over) == (
        "Serper",
        ("SerpAPI: search_quota_spent", "Brave: search_quota_spent"),
    )
    control.forget()
    assert (await search.pages(ARCHITECTS)).vendor == "Serper"
    assert control.asked() == ["/serper/search"]
    clock.advance(timedelta(hours=2))  # SerpAPI does not say when; Brave said a day
    assert (await search.pages(ARCHITECTS)).vendor == "SerpAPI"
    control.fail({"kind": "drop", "path": "serpapi", "times": 1})
    assert (await search.pages(ARCHITECTS)).vendor == "Serper"
    clock.advance(timedelta(days=1))
    control.fail({"kind": "drop", "path": "serpapi", "times": 1})
    assert (await search.pages(ARCHITECTS)).vendor == "Brave"


async def test_a_wrong_key_is_not_tried_with_every_question(
    vendor: Callable[..., Any], control: Control, clock: FixedClock
) -> None:
    search = WebSearch([vendor("serpapi", key="wrong"), vendor("brave")], clock)
    assert (await search.pages(ARCHITECTS)).passed_over == ("SerpAPI: search_key_wrong",)
    control.forget()
    assert (await search.news(ARCHITECTS)).vendor == "Brave"
    assert control.asked() == ["/brave/res/v1/news/search"]


async def test_whoever_counts_the_months_says_who_may_not_be_asked(search: WebSearch, control: Control) -> None:
    answer = await search.places(PlaceQuery("arquitetura", "Campinas"), spent={"SerpAPI", "Brave"})
    assert answer.vendor == "Serper" and control.asked() == ["/serper/places"]
    with pytest.raises(Unavailable) as failed:
        await search.pages(ARCHITECTS, spent=set(search.vendors))
    assert failed.value.code == "search_failed"
    assert failed.value.params["tried"].count("search_quota_spent") == 3


async def test_when_all_fail_every_reason_is_told(search: WebSearch, control: Control) -> None:
    control.fail({"kind": "html", "status": 503, "path": "serpapi", "times": 9})
    control.answer("{}", 422, path="brave", times=9)
    control.answer('{"message": "Unauthorized."}', 403, path="serper", times=9)
    with pytest.raises(Unavailable) as failed:
        await search.pages(ARCHITECTS)
    assert failed.value.code == "search_failed"
    assert failed.value.params["tried"] == (
        "SerpAPI: source_unavailable; Brave: search_query_wrong; Serper: search_key_wrong"
    )


async def test_the_only_vendor_is_asked_a_second_time_when_a_moment_may_help(
    vendor: Callable[..., Any], control: Control, clock: FixedClock
) -> None:
    search = WebSearch([vendor("brave")], clock, pause=0.01)
    control.fail({"kind": "drop"})
    assert (await search.pages(ARCHITECTS)).vendor == "Brave"
    control.fail({"kind": "drop", "times": 2})
    with pytest.raises(Unavailable) as failed:
        await search.pages(ARCHITECTS)
    assert failed.value.code == "source_unavailable"


async def test_a_vendor_that_wants_a_long_break_is_not_waited_for(
    vendor: Callable[..., Any], control: Control, clock: FixedClock
) -> None:
    search = WebSearch([vendor("serper")], clock)
    control.answer("", 429, {"retry-after": "3600"})
    with pytest.raises(Unavailable) as failed:
        await search.pages(ARCHITECTS)
    assert (failed.value.code, failed.value.retry_after) == ("source_throttled", 3600.0)
    assert len(control.asked()) == 1


async def test_without_a_key_nobody_is_asked(clock: FixedClock) -> None:
    with pytest.raises(Refused) as failed:
        await WebSearch([], clock).pages(ARCHITECTS)
    assert failed.value.code == "search_not_set_up"


async def test_a_small_quota_is_used_up_vendor_by_vendor(
    tmp_path: Path, vendor: Callable[..., Any], clock: FixedClock
) -> None:
    launched = launch.start(tmp_path / "small", quota=2)
    try:
        search = WebSearch([vendor(name, url=launched.base_url) for name in VENDORS], clock, pause=0.01)
        vendors = [(await search.pages(ARCHITECTS)).vendor for _ in range(6)]
        assert vendors == ["SerpAPI"] * 2 + ["Brave"] * 2 + ["Serper"] * 2
        with pytest.raises(Unavailable):
            await search.pages(ARCHITECTS)
    finally:
        launched.stop()


# --- LinkedIn -------------------------------------------------------------------------------------


async def test_linkedin_is_known_from_search_results_alone(search: WebSearch, control: Control) -> None:
    company = next(one for one in sandbox_companies.companies() if one.linkedin and not one.parent)
    answer = await search.linkedin(company.trade_name, company.city.name)
    assert f"https://br.linkedin.com/company/{company.linkedin.slug}" in [page.url for page in answer.results]
    assert all(is_linkedin_company(page.url) for page in answer.results)
    assert "site%3Alinkedin.com%2Fcompany" in control.queries()[0]


async def test_other_pages_among_linkedin_results_are_left_out(search: WebSearch, control: Control) -> None:
    urls = ["https://www.linkedin.com/company/ipe", "https://linkedin.com/in/ana", "https://linkedin.com.evil.example/company/x",
            "https://evil.example/company/linkedin.com", "https://notlinkedin.com/company/x"]  # fmt: skip
    rows = [{"title": "x", "link": url} for url in urls]
    control.answer(json.dumps({"search_metadata": {"status": "Success"}, "organic_results": rows}))
    answer = await search.linkedin('Ipê "Arquitetura"', "Campinas")
    assert [page.url for page in answer.results] == urls[:1]


# --- the sandbox's web ----------------------------------------------------------------------------


async def test_the_classic_question_finds_offices_closed_ones_and_directories(search: WebSearch) -> None:
    found: list[str] = []
    for page in range(1, 6):
        answer = await search.places(PlaceQuery("escritório de arquitetura", "Campinas", -22.905, -47.061, page=page))
        found += [one.place_id for one in answer.results if one.place_id]
    expected = {
        one.maps.place_id
        for one in sandbox_companies.companies()
        if one.activity == "architecture" and one.city.name == "Campinas" and one.maps
    }
    assert len(found) == len(set(found)) and len(set(found) & expected) >= 50
    pages = await search.pages(Query("escritórios de arquitetura em Campinas"))
    assert any("guiadapraca" in page.url for page in pages.results)


async def test_operators_narrow_the_search(search: WebSearch) -> None:
    everything = await search.pages(Query("arquitetura campinas"))
    only = await search.pages(Query("arquitetura campinas site:instagram.com"))
    assert only.results and all("instagram.com" in page.url for page in only.results)
    without = await search.pages(Query("arquitetura campinas -guia"))
    assert not any("guiadapraca" in page.url for page in without.results) and everything.results
