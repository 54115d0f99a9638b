"""The search as the settings want it, and what the doctor says of it."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from core.clock import FixedClock
from core.errors import Refused
from core.settings import Settings, load_settings
from integrations.sandbox_http import Launched
from integrations.web_search.build import live_search, sandbox_search
from integrations.web_search.checks import SearchCheck, search_checks
from integrations.web_search.payloads import Query
from tests.integrations.web_search.conftest import VENDORS, Control


def say(key: str, **params: Any) -> str:
    return " ".join([key, *(f"{name}={value}" for name, value in params.items())])


def explain(error: Exception) -> str:
    return getattr(error, "code", "?")


def test_the_vendors_with_a_key_are_asked_in_a_fixed_order(http: httpx.AsyncClient, clock: FixedClock) -> None:
    keys = {"serper_key": SecretStr("c"), "serpapi_key": SecretStr("a")}
    assert live_search(Settings(**keys), http, clock).vendors == ("SerpAPI", "Serper")
    assert live_search(Settings(), http, clock).vendors == ()


def test_keys_come_from_the_environment_and_are_not_shown() -> None:
    settings = load_settings({"MUTIRAO_BRAVE_KEY": "canary-4f9a", "MUTIRAO_WEB_SEARCH": "live"}, None)
    assert settings.brave_key is not None and "canary" not in repr(settings) and settings.web_search == "live"
    assert (Settings().web_search, Settings().web_pages) == ("sandbox", "sandbox")


def test_a_key_with_a_line_break_is_told_at_once(http: httpx.AsyncClient, clock: FixedClock) -> None:
    with pytest.raises(Refused):
        live_search(Settings(brave_key=SecretStr("a\nb")), http, clock)


async def test_the_sandbox_has_all_three(searches: Launched, http: httpx.AsyncClient, clock: FixedClock) -> None:
    search = sandbox_search(searches.base_url, http, clock)
    assert search.vendors == ("SerpAPI", "Brave", "Serper")
    assert (await search.pages(Query("padarias em Curitiba"))).results


@pytest.mark.parametrize("name", list(VENDORS))
async def test_the_doctor_asks_live_alone_and_names_what_is_not_as_expected(
    vendor: Callable[..., Any], control: Control, name: str
) -> None:
    check = SearchCheck(vendor(name), "https://x.example", False, say, explain)
    (quiet,) = await check.run(live=False)
    assert quiet.state == "unverified" and control.asked() == []
    control.answer('{"nothing": "known"}')
    pages, places, _ = await check.run(live=True)
    assert (pages.state, places.state) == ("broken", "ok")
    assert "source_answer_broken" in pages.text and len(control.asked()) == 3
    (simulated,) = await SearchCheck(vendor(name), "https://x.example", True, say, explain).run(live=True)
    assert simulated.state == "note" and len(control.asked()) == 3


async def test_the_doctor_says_when_the_search_is_live_without_a_key_or_with_one_that_is_none(
    http: httpx.AsyncClient, clock: FixedClock
) -> None:
    async def found(settings: Settings) -> list[str]:
        checks = search_checks(settings, http, clock, say, explain)
        return [finding.state for check in checks for finding in await check.run(live=False)]

    assert await found(Settings()) == ["note"]
    assert await found(Settings(web_search="live")) == ["note"]
    assert await found(Settings(web_search="live", brave_key=SecretStr("a\nb"))) == ["broken"]
    keys = Settings(web_search="live", brave_key=SecretStr("key"), serper_key=SecretStr("key"))
    assert await found(keys) == ["unverified", "unverified"]
