"""Answers that nobody foresaw: whatever stands in the JSON, results are typed or the failure has a name."""

import copy
import json
from datetime import datetime
from random import Random
from typing import Any

import httpx
import pytest

from core.clock import FixedClock
from core.errors import MutiraoError
from integrations.web_search.payloads import Answer, News, Page, Place, PlaceQuery, Query
from integrations.web_search.simulator.wires import SANDBOX_KEY
from tests.integrations.web_search.conftest import VENDORS, Control

JUNK: list[Any] = [
    None, True, False, 0, -1, 3.7, 10**40, 1e308, "", " ", "x", "\ud800", "\x00", "9" * 5_000,
    [], {}, [[]], [None], {"": None},
    {"a": {"b": []}}, "2024-13-45", "javascript:alert(1)", "https://[", "https://\u0000", ["https://a.example"], "NaN",
]  # fmt: skip
KINDS = {
    "pages": Query("arquitetura campinas"),
    "places": PlaceQuery("arquitetura", "Campinas"),
    "news": Query("contrata"),
}


def spots(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in the JSON."""
    found = [path] if path else []
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else []:
        found += spots(value, (*path, key))
    return found


def changed(tree: Any, rnd: Random) -> Any:
    """The same with a few places broken: another value, or nothing there."""
    tree = copy.deepcopy(tree)
    for _ in range(rnd.choice((1, 1, 3, 12))):
        if not (all_spots := spots(tree)):
            break
        *way, last = rnd.choice(all_spots)
        at = tree
        for step in way:
            at = at[step]
        if isinstance(at, dict) and rnd.random() < 0.3:
            del at[last]
        else:
            at[last] = rnd.choice(JUNK)
    return tree


def sound(row: Any) -> None:
    assert isinstance(row, Page | Place | News) and isinstance(row.position, int)
    texts = [value for value in vars(row).values() if isinstance(value, str)]
    assert all(text == text.strip() and text and "\x00" not in text and len(text) <= 2_000 for text in texts)
    if isinstance(row, Place):
        assert row.name and (row.rating is None or 1 <= row.rating <= 5)
        assert all(isinstance(one, int | None) for one in (row.reviews,))
        assert row.website is None or row.website.startswith(("http://", "https://"))
    else:
        assert row.title and row.url.startswith(("http://", "https://"))
    if isinstance(row, News):
        assert row.published is None or (isinstance(row.published, datetime) and row.published.tzinfo is not None)


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("name", list(VENDORS))
async def test_a_broken_answer_gives_typed_results_or_a_named_failure(
    searches: Any, control: Control, clock: FixedClock, name: str, kind: str
) -> None:
    url = f"{searches.base_url}/{name}"
    recorded: list[httpx.Response] = []

    class Recording(httpx.AsyncHTTPTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            answer = await super().handle_async_request(request)
            await answer.aread()
            recorded.append(answer)
            return answer

    async with httpx.AsyncClient(transport=Recording(verify=False)) as http:
        await getattr(VENDORS[name](http, SANDBOX_KEY, clock, base_url=url), kind)(KINDS[kind])
    real = recorded[0].json()
    rnd = Random(f"{name}/{kind}")
    answered = 0
    for _ in range(120):
        body, status = changed(real, rnd), rnd.choice((200, 200, 200, 400, 429, 500))

        def answer(_: httpx.Request, status: int = status, body: Any = body) -> httpx.Response:
            return httpx.Response(status, content=json.dumps(body).encode())

        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
            try:
                found: Answer[Any] = await getattr(VENDORS[name](http, SANDBOX_KEY, clock, base_url=url), kind)(
                    KINDS[kind]
                )
            except MutiraoError:
                continue
        answered += 1
        assert isinstance(found.cost, int) and isinstance(found.more, bool)
        for row in found.results:
            sound(row)
    assert answered > 20
