"""Reading a public source: secrets stay out of what is told, nothing endless is read, nobody leads us elsewhere."""

from collections.abc import Iterator

import httpx
import pytest

from core.clock import SystemClock
from core.errors import Unavailable
from integrations.brasil_places.simulator import launch
from integrations.reading import MOST_BYTES, Reader
from integrations.sandbox_http import Launched
from tests.integrations.sandbox import Control


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launched]:
    launched = launch.start(tmp_path_factory.mktemp("source"))
    yield launched
    launched.stop()


@pytest.fixture
def control(source: Launched) -> Iterator[Control]:
    control = Control(source)
    control.heal()
    yield control
    control.close()


async def test_a_key_in_the_address_is_sent_and_told_nowhere(source: Launched, control: Control) -> None:
    async with httpx.AsyncClient(verify=False) as http:
        reader = Reader(http, "X", source.base_url, SystemClock())
        answer = await reader.get("/brasilapi/ddd/v1/19", [("q", "a b")], secret=[("api_key", "hush")])
        plain = await reader.get("/brasilapi/ddd/v1/19", secret=[("api_key", "hush")])
        control.answer("", 500, times=9)
        with pytest.raises(Unavailable) as caught:
            await Reader(http, "X", source.base_url, SystemClock(), retries=0).get("/x", secret=[("api_key", "hush")])
    assert answer.url == f"{source.base_url}/brasilapi/ddd/v1/19?q=a+b"
    assert plain.url == f"{source.base_url}/brasilapi/ddd/v1/19"
    assert [one["query"] for one in control.asked()] == ["q=a+b&api_key=hush", "api_key=hush", "api_key=hush"]
    assert "hush" not in str(caught.value) + str(caught.value.params)


async def test_an_answer_without_end_is_not_read_to_its_end(source: Launched, control: Control) -> None:
    control.answer("[" + " " * MOST_BYTES + "]", times=9)
    async with httpx.AsyncClient(verify=False) as http:
        with pytest.raises(Unavailable) as caught:
            await Reader(http, "X", source.base_url, SystemClock(), retries=0).get("/")
    assert caught.value.code == "source_answer_broken"
    control.heal()


async def test_a_source_that_sends_us_elsewhere_is_not_followed(source: Launched, control: Control) -> None:
    control.answer("", 302, headers={"location": f"{source.base_url}/brasilapi/ddd/v1/19"})
    async with httpx.AsyncClient(follow_redirects=True) as http:
        answer = await Reader(http, "X", source.base_url, SystemClock()).get("/")
    assert (answer.status, answer.body, len(control.asked())) == (302, None, 1)
