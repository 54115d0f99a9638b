"""Sites that mean harm: none gets to an inner address, none takes more than its share, every end has a name."""

import asyncio
import time
import tracemalloc
from collections.abc import Callable

import pytest

from core.errors import MutiraoError, Refused, Unavailable
from integrations.web_pages.client import WebPages
from integrations.web_pages.extract import LONGEST_TEXT
from integrations.web_pages.simulator.hostile import INJECTION, INNER_NAMES, REDIRECTS
from tests.integrations.web_pages.conftest import Control

ENDS = {
    "to-file": "page_broken",
    "to-gopher": "page_broken",
    "to-port": "page_broken",
    "to-userinfo": "page_broken",
    "to-script": "page_broken",
    "to-nothing": "page_broken",
    "to-junk": "page_not_public",
    "to-itself": "page_broken",
    "to-linkedin": "page_never_fetched",
}


@pytest.mark.parametrize("label", list(REDIRECTS))
async def test_no_redirect_leads_to_an_inner_address(pages: WebPages, control: Control, label: str) -> None:
    with pytest.raises(Refused) as failed:
        await pages.read(f"http://{label}.hostile.example/")
    assert failed.value.code == ENDS.get(label, "page_not_public")
    assert {one["host"] for one in control.asked()} == {f"{label}.hostile.example"}


@pytest.mark.parametrize("label", list(INNER_NAMES))
async def test_no_name_leads_to_an_inner_address(pages: WebPages, control: Control, label: str) -> None:
    for scheme in ("http", "https"):
        with pytest.raises(Refused) as failed:
            await pages.read(f"{scheme}://{label}.hostile.example/")
        assert failed.value.code == "page_not_public"
    assert control.asked() == []


@pytest.mark.parametrize(
    ("label", "code"),
    [
        ("drip", "page_unreachable"),
        ("slow-head", "page_unreachable"),
        ("silent", "page_unreachable"),
        ("busy", "page_unreachable"),
        ("half", "page_broken"),
        ("headers", "page_broken"),
        ("not-http", "page_broken"),
        ("chain", "page_broken"),
        ("pdf", "page_broken"),
        ("untyped", "page_broken"),
        ("binary", "page_broken"),
        ("packed-wrongly", "page_broken"),
        ("packed-oddly", "page_broken"),
        ("gone", "page_refused"),
        ("login", "page_refused"),
    ],
)
async def test_every_bad_answer_ends_soon_and_by_its_name(
    reader: Callable[..., WebPages], label: str, code: str
) -> None:
    never_done = label in ("drip", "slow-head", "silent")
    pages = reader(total=0.8, silence=0.4) if never_done else reader()
    begun = time.monotonic()
    with pytest.raises((Refused, Unavailable)) as failed:
        await pages.read(f"http://{label}.hostile.example/")
    assert failed.value.code == code
    assert time.monotonic() - begun < 15


async def test_redirects_are_followed_five_times_at_most(pages: WebPages, control: Control) -> None:
    with pytest.raises(Refused):
        await pages.read("http://chain.hostile.example/")
    assert [path for path in control.paths() if path != "/robots.txt"] == ["/", "/1", "/2", "/3", "/4", "/5"]


@pytest.mark.parametrize("label", ["endless", "bomb"])
async def test_a_page_without_end_is_read_up_to_the_cap(reader: Callable[..., WebPages], label: str) -> None:
    pages = reader(body=300_000)
    await pages.read("http://plain.hostile.example/")
    tracemalloc.start()
    page = await pages.read(f"http://{label}.hostile.example/")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert page.cut and len(page.facts.text) <= LONGEST_TEXT
    assert most < 30_000_000  # the bomb unpacks to 200 MB


@pytest.mark.parametrize("label", ["packed", "raw-deflate"])
async def test_packed_pages_are_unpacked(pages: WebPages, label: str) -> None:
    page = await pages.read(f"http://{label}.hostile.example/")
    assert [one.value for one in page.facts.phones] == ["551932324455"] and not page.cut


async def test_cookies_are_not_kept(pages: WebPages, control: Control) -> None:
    for _ in range(2):
        await pages.read("http://cookies.hostile.example/")
    assert all(one["cookie"] == "" for one in control.asked())


async def test_orders_on_a_page_are_words_of_a_stranger(pages: WebPages) -> None:
    page = await pages.read("http://injection.hostile.example/")
    assert page.origin == page.facts.origin == "web"
    assert INJECTION in page.facts.text  # shown words are kept as they are, marked; hidden ones are no words
    assert "hidden:" not in page.facts.text
    assert [one.value for one in page.facts.phones] == ["551932324455"]


async def test_a_slow_site_holds_up_no_other(reader: Callable[..., WebPages]) -> None:
    pages = reader()
    slow = asyncio.create_task(pages.read("http://silent.hostile.example/"))
    done = await asyncio.gather(*(pages.read("https://plain.hostile.example/") for _ in range(3)))
    assert len(done) == 3 and not slow.done()
    slow.cancel()
    with pytest.raises((asyncio.CancelledError, MutiraoError)):
        await slow


async def test_a_busy_site_says_when_to_come_back(pages: WebPages) -> None:
    with pytest.raises(Unavailable) as failed:
        await pages.read("http://busy.hostile.example/")
    assert failed.value.retry_after == 120.0
