"""Each vendor's client against its wire: the same companies, typed alike, and every refusal by its name."""

import json
import logging
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from core.errors import ArgumentsWrong, MutiraoError, Refused, Unavailable
from integrations import sandbox_companies
from integrations.web_search.payloads import PlaceQuery, Query, Quota, moment
from tests.integrations.web_search.conftest import VENDORS, Control

CAMPINAS = (-22.905, -47.061)
EACH = pytest.mark.parametrize("name", list(VENDORS))
BODIES = {
    "serpapi": lambda rows: {"search_metadata": {"status": "Success"}, "organic_results": rows},
    "brave": lambda rows: {"type": "search", "web": {"results": rows}},
    "serper": lambda rows: {"searchParameters": {"q": "x"}, "organic": rows},
}
Vendor = Callable[..., Any]


def company_with(**has: bool) -> Any:
    """The first architect of Campinas on the map with all of that."""
    for one in sandbox_companies.companies():
        if one.activity != "architecture" or one.city.name != "Campinas" or one.maps is None or one.parent:
            continue
        if all(
            bool(getattr(one, what, None) or getattr(one.maps, what, None)) == wanted for what, wanted in has.items()
        ):
            return one
    raise AssertionError(has)


# --- what comes back ------------------------------------------------------------------------------


@EACH
async def test_a_company_is_found_by_its_name_with_its_own_site_first(vendor: Vendor, name: str) -> None:
    company = company_with(website=True)
    answer = await vendor(name).pages(Query(f"{company.trade_name} Campinas arquitetura"))
    assert f"https://{company.website.host}/" in [page.url for page in answer.results[:3]]
    assert answer.origin == "web" and answer.cost == 1 and answer.unreadable == 0
    assert all(page.title and page.position == place for place, page in enumerate(answer.results, 1))


@EACH
async def test_the_map_tells_what_it_has_and_nothing_else(vendor: Vendor, name: str) -> None:
    company = company_with(website=True, phone=True, rating=True)
    answer = await vendor(name).places(PlaceQuery(company.trade_name, "Campinas", *CAMPINAS))
    place = next(
        one for one in answer.results if one.name == company.maps.title and one.address == company.maps.address
    )
    assert place.website == (f"https://{company.maps.website}/" if company.maps.website else None)
    assert (place.rating, place.reviews) == (company.maps.rating, company.maps.reviews)
    digits = "".join(filter(str.isdigit, place.phone))
    assert digits.endswith("".join(filter(str.isdigit, company.maps.phone)))
    assert place.latitude == company.maps.latitude
    assert place.place_id == (company.maps.place_id if name == "serpapi" else None)
    unrated = company_with(rating=False)
    answer = await vendor(name).places(PlaceQuery(unrated.trade_name, "Campinas", *CAMPINAS))
    place = next(one for one in answer.results if one.address == unrated.maps.address)
    assert place.rating is None and not place.reviews


async def test_serpapi_tells_which_places_closed_for_good(vendor: Vendor) -> None:
    closed = company_with(permanently_closed=True)
    answer = await vendor("serpapi").places(PlaceQuery(closed.trade_name, "Campinas", *CAMPINAS))
    told = {one.place_id: one.closed for one in answer.results}
    assert told[closed.maps.place_id] is True
    others = await vendor("serpapi").places(PlaceQuery("escritório de arquitetura", "Campinas", *CAMPINAS))
    assert {one.closed for one in others.results} >= {False}


@EACH
async def test_news_come_with_their_source_and_a_moment_only_where_one_is_told(vendor: Vendor, name: str) -> None:
    company = next(one for one in sandbox_companies.companies() if one.news)
    told = company.news[0]
    answer = await vendor(name).news(Query(told.title))
    found = next(one for one in answer.results if one.title == told.title)
    assert found.source == told.outlet
    if name == "serper":
        assert found.published is None and found.told_date.startswith("há ")
    else:
        assert found.published.date() == told.published


@EACH
async def test_pages_of_results_follow_one_another_without_repeats(vendor: Vendor, name: str) -> None:
    client = vendor(name)
    first = await client.pages(Query("arquitetura campinas"))
    second = await client.pages(Query("arquitetura campinas", page=2))
    assert first.more and second.results
    assert not {one.url for one in first.results} & {one.url for one in second.results}


@EACH
async def test_nothing_found_is_an_empty_answer_and_no_failure(vendor: Vendor, name: str) -> None:
    answer = await vendor(name).pages(Query("padarias xyzzyq na plughlua"))
    assert answer.results == () and not answer.more


@EACH
async def test_three_languages_ask_in_their_own_codes(vendor: Vendor, control: Control, name: str) -> None:
    for language in ("pt-BR", "en", "es"):
        answer = await vendor(name).pages(Query("architects Campinas", language))
        assert answer.results
    if name != "serper":
        codes = {"serpapi": "hl=pt-br", "brave": "search_lang=pt-br"}
        assert codes[name] in control.queries()[0]


async def test_what_is_left_is_told_by_brave_with_each_answer_and_by_serpapi_when_asked(vendor: Vendor) -> None:
    quota = (await vendor("brave").pages(Query("arquitetura"))).quota
    assert quota.limit == 1_000_000 and quota.left < 1_000_000 and quota.resets_in > 86_400
    account = await vendor("serpapi").account()
    assert isinstance(account, Quota) and account.left <= account.limit


# --- unreadable answers ---------------------------------------------------------------------------


@EACH
async def test_one_unreadable_result_never_loses_its_siblings(vendor: Vendor, control: Control, name: str) -> None:
    link = "url" if name == "brave" else "link"
    sound = {"title": "Estúdio Ipê", link: "https://ipe.example/"}
    odd: list[Any] = [None, 7, "x", [], {}, {"title": None, link: 3}, {"title": "x", link: "javascript:alert(1)"},
                      {"title": {"a": 1}, link: "https://a.example"}, {"title": "x", link: "https://[::1"}]  # fmt: skip
    control.answer(json.dumps(BODIES[name]([*odd, sound, *odd])))
    answer = await vendor(name).pages(Query("x"))
    assert [page.title for page in answer.results] == ["Estúdio Ipê"]
    assert answer.unreadable == 2 * len(odd)


@EACH
async def test_odd_figures_are_unknown_and_not_zero(vendor: Vendor, control: Control, name: str) -> None:
    odd = [True, "muitos", {}, [], "NaN", "Infinity", -3, 12, None]
    rows = {
        "serpapi": [{"title": "x", "rating": one, "reviews": "?"} for one in odd],
        "brave": [{"title": "x", "rating": {"ratingValue": one, "reviewCount": "?"}} for one in odd],
        "serper": [{"title": "x", "rating": one, "ratingCount": "?"} for one in odd],
    }
    bodies = {
        "serpapi": {"search_metadata": {"status": "Success"}, "local_results": rows["serpapi"]},
        "brave": {"type": "locations", "results": rows["brave"]},
        "serper": {"searchParameters": {"q": "x"}, "places": rows["serper"]},
    }
    control.answer(json.dumps(bodies[name]))
    answer = await vendor(name).places(PlaceQuery("x", "Campinas"))
    assert [(one.rating, one.reviews, one.website, one.closed) for one in answer.results] == [(None,) * 4] * len(odd)


@EACH
async def test_markup_and_invisible_signs_are_taken_out_of_words(vendor: Vendor, control: Control, name: str) -> None:
    link = "url" if name == "brave" else "link"
    text = "<strong>Ipê</strong> &amp; Cia\u202e\u200b\x00\n arquitetura"
    control.answer(json.dumps(BODIES[name]([{"title": text, link: "https://ipe.example/"}])))
    (page,) = (await vendor(name).pages(Query("x"))).results
    assert page.title == "Ipê & Cia arquitetura"


@EACH
@pytest.mark.parametrize("fault", [{"kind": "html", "status": 200}, {"kind": "cut"}, {"kind": "garble"}])
async def test_a_broken_answer_is_a_failure_and_never_an_empty_result(
    vendor: Vendor, control: Control, name: str, fault: dict[str, Any]
) -> None:
    control.fail(fault)
    with pytest.raises(Unavailable) as failed:
        await vendor(name).pages(Query("arquitetura campinas"))
    assert failed.value.code in ("source_answer_broken", "source_unavailable")


@EACH
@pytest.mark.parametrize("body", ["{}", '{"organic_results": []}', "[]", '"x"', "null", "[" * 100_000])
async def test_json_of_another_shape_is_broken(vendor: Vendor, control: Control, name: str, body: str) -> None:
    control.answer(body)
    with pytest.raises(Unavailable) as failed:
        await vendor(name).pages(Query("x"))
    assert failed.value.code == "source_answer_broken"


async def test_a_search_that_failed_inside_serpapi_is_unavailable_although_it_says_200(
    vendor: Vendor, control: Control
) -> None:
    control.answer('{"search_metadata": {"status": "Error"}, "error": "We couldn\'t get valid results."}')
    with pytest.raises(Unavailable) as failed:
        await vendor("serpapi").pages(Query("x"))
    assert failed.value.code == "source_unavailable"


async def test_a_name_that_google_knows_for_sure_is_one_place(vendor: Vendor, control: Control) -> None:
    control.answer('{"search_metadata": {"status": "Success"}, "place_results": {"title": "Ipê", "type": ["A", "B"]}}')
    (place,) = (await vendor("serpapi").places(PlaceQuery("Ipê", "Campinas"))).results
    assert (place.name, place.category, place.closed) == ("Ipê", "A", None)


# --- refusals -------------------------------------------------------------------------------------

REFUSALS: list[tuple[str, int, str, dict[str, str], type[MutiraoError], str]] = [
    ("serpapi", 401, '{"error": "Invalid API key."}', {}, Refused, "search_key_wrong"),
    ("serpapi", 403, '{"error": "gone"}', {}, Refused, "search_key_wrong"),
    ("serpapi", 429, '{"error": "Your account has run out of searches."}', {}, Unavailable, "search_quota_spent"),
    ("serpapi", 429, '{"error": "hourly throughput"}', {"retry-after": "9"}, Unavailable, "source_throttled"),
    ("serpapi", 400, '{"error": "Missing query `q` parameter."}', {}, ArgumentsWrong, "search_query_wrong"),
    ("serpapi", 503, "<html>", {}, Unavailable, "source_unavailable"),
    ("serpapi", 302, "", {"location": "http://127.0.0.1/"}, Unavailable, "source_answer_broken"),
    ("brave", 422, '{"error": {"code": "SUBSCRIPTION_TOKEN_INVALID"}}', {}, Refused, "search_key_wrong"),
    ("brave", 422, '{"errors": [{"code": "SUBSCRIPTION_TOKEN_INVALID"}]}', {}, Refused, "search_key_wrong"),
    ("brave", 422, '{"error": {"code": "VALIDATION"}}', {}, ArgumentsWrong, "search_query_wrong"),
    ("brave", 429, '{"error": {"code": "RATE_LIMITED", "meta": {"quota_limit": 2000, "quota_current": 15}}}', {},
     Unavailable, "source_throttled"),
    ("brave", 429, '{"error": {"code": "RATE_LIMITED", "meta": {"quota_limit": 2000, "quota_current": 2000}}}', {},
     Unavailable, "search_quota_spent"),
    ("brave", 429, "{}", {"x-ratelimit-policy": "1;w=1, 2000;w=2592000", "x-ratelimit-limit": "1, 2000",
                          "x-ratelimit-remaining": "1, 0", "x-ratelimit-reset": "1, 5000"},
     Unavailable, "search_quota_spent"),
    ("brave", 429, "{}", {"x-ratelimit-policy": "50;w=1, 0;w=2592000", "x-ratelimit-limit": "50, 0",
                          "x-ratelimit-remaining": "0, 0"}, Unavailable, "source_throttled"),
    ("brave", 500, "", {}, Unavailable, "source_unavailable"),
    ("serper", 403, '{"message": "Unauthorized.", "statusCode": 403}', {}, Refused, "search_key_wrong"),
    ("serper", 400, '{"message": "Not enough credits", "statusCode": 400}', {}, Unavailable, "search_quota_spent"),
    ("serper", 400, '{"message": "bad q", "statusCode": 400}', {}, ArgumentsWrong, "search_query_wrong"),
    ("serper", 429, "", {"retry-after": "2"}, Unavailable, "source_throttled"),
    ("serper", 502, "", {}, Unavailable, "source_unavailable"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "status", "body", "headers", "kind", "code"), REFUSALS)
async def test_every_refusal_has_its_name(
    vendor: Vendor, control: Control, name: str, status: int, body: str, headers: dict[str, str],
    kind: type[MutiraoError], code: str,
) -> None:  # fmt: skip
    control.answer(body, status, headers)
    with pytest.raises(kind) as failed:
        await vendor(name).pages(Query("arquitetura"))
    assert failed.value.code == code
    if "retry-after" in headers:
        assert failed.value.retry_after == float(headers["retry-after"])


@EACH
async def test_a_wrong_key_is_refused_by_the_wire_itself(vendor: Vendor, name: str) -> None:
    with pytest.raises(Refused) as failed:
        await vendor(name, key="a-real-key-of-somebody").pages(Query("x"))
    assert failed.value.code == "search_key_wrong"


@EACH
@pytest.mark.parametrize("fault", [{"kind": "drop"}, {"kind": "hang", "seconds": 1.0}])
async def test_no_answer_in_time_is_unavailable(
    vendor: Vendor, control: Control, name: str, fault: dict[str, Any]
) -> None:
    control.fail(fault)
    with pytest.raises(Unavailable) as failed:
        await vendor(name, timeout=0.2).pages(Query("x"))
    assert failed.value.code == "source_unavailable"


@pytest.mark.parametrize(
    "build",
    [
        lambda: Query(""),
        lambda: Query("  "),
        lambda: Query("x" * 401),
        lambda: Query("a " * 51),
        lambda: Query("x", page=0),
        lambda: Query("x", page=11),
        lambda: PlaceQuery("x", "Campinas", latitude=1.0),
    ],
)
def test_a_question_that_no_vendor_takes_is_refused_before_it_is_sent(build: Callable[[], Any]) -> None:
    with pytest.raises(ArgumentsWrong):
        build()


# --- the key is told nowhere ----------------------------------------------------------------------

CANARY = "canary-4f9a-key"


@EACH
@pytest.mark.parametrize(
    "fault",
    [
        None,
        {"kind": "drop"},
        {"kind": "hang", "seconds": 0.6},
        {"kind": "answer", "status": 500, "body": json.dumps({"error": f"bad {CANARY}", "message": f"bad {CANARY}"})},
        {"kind": "answer", "status": 400, "body": json.dumps({"error": f"bad {CANARY}", "message": f"bad {CANARY}"})},
        {"kind": "answer", "status": 422, "body": json.dumps({"error": {"detail": f"bad {CANARY}"}})},
        {"kind": "html", "status": 200},
    ],
)
async def test_the_key_is_in_no_error_no_log_and_no_address(
    vendor: Vendor, control: Control, caplog: pytest.LogCaptureFixture, name: str, fault: dict[str, Any] | None
) -> None:
    for name_of_logger in (None, "httpx", "httpcore"):  # a house opened before in this process quiets them
        caplog.set_level(logging.DEBUG, logger=name_of_logger)
    if fault:
        control.fail(fault)
    with pytest.raises(MutiraoError) as failed:
        await vendor(name, key=CANARY, timeout=0.2 if fault and fault["kind"] == "hang" else 10).pages(Query("x"))
    chain: list[BaseException] = [failed.value]
    while (deeper := chain[-1].__cause__ or chain[-1].__context__) is not None:
        chain.append(deeper)
    told = [f"{one!r} {one} {getattr(one, 'params', '')}" for one in chain]
    told += ["".join(traceback.format_exception(failed.value)), caplog.text]
    told += [str(one.request.url) for one in chain if getattr(one, "_request", None) is not None]  # type: ignore[attr-defined]
    assert all(CANARY not in text for text in told)
    if fault is None and name != "serper":
        assert "q=x" in caplog.text  # the address was logged indeed, without the key


def test_a_key_with_a_line_break_is_refused_at_once_and_not_told(vendor: Vendor) -> None:
    with pytest.raises(Refused) as failed:
        vendor("brave", key="abc\r\nx: y")
    assert "abc" not in str(failed.value)


@pytest.mark.parametrize(
    ("told", "meant"),
    [
        ("2024-09-06T07:00:00Z", datetime(2024, 9, 6, 7, tzinfo=UTC)),
        ("2024-09-06T07:00:00", datetime(2024, 9, 6, 7, tzinfo=UTC)),
        ("09/06/2024, 07:00 PM, +0000 UTC", datetime(2024, 9, 6, 19, tzinfo=UTC)),
        ("há 3 dias", None),
        ("3 days ago", None),
        ("", None),
        (20240906, None),
    ],
)
def test_moments_are_read_only_where_they_are_moments(told: Any, meant: datetime | None) -> None:
    assert moment(told) == meant
