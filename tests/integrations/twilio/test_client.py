"""SMS through Twilio: sent once, and each refusal by its code."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from core.errors import MutiraoError
from integrations.sandbox_http import Launched
from integrations.twilio.client import Twilio
from integrations.twilio.simulator import launch
from integrations.twilio.simulator.wire import NUMBER, SID, TOKEN
from tests.integrations.sandbox import Control


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launched]:
    launched = launch.start(tmp_path_factory.mktemp("twilio"))
    yield launched
    launched.stop()


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient() as client:
        yield client


async def test_a_message_is_sent_once_and_each_refusal_has_its_code(server: Launched, http: httpx.AsyncClient) -> None:
    control = Control(server)

    async def outcome(
        to: str = "+5519987654321", text: str = "Oi", sender: str = NUMBER, token: str = TOKEN, url: str = ""
    ) -> str:
        client = Twilio(http, SID, token, base_url=url or server.base_url)
        try:
            return (await client.send(sender, to, text))[:2]
        except MutiraoError as error:
            return error.code + (" tells the token" if TOKEN in str(error) else "")

    assert await outcome() == "SM"
    assert await outcome(sender="MG0123") == "SM"
    assert await outcome(to="5519") == await outcome(text=" ") == await outcome(text="x" * 1601) == "sms_malformed"
    assert await outcome(to="+15005550001") == await outcome(to="+15005550009") == "sms_no_such_number"
    assert await outcome(to="+15005550003") == "sms_country_refused"
    assert await outcome(to="+15005550004") == "sms_opted_out"
    assert await outcome(sender="+15005550007") == "sms_sender_refused"
    assert await outcome(token="wrong") == "sms_key_refused"
    assert await outcome(url="http://127.0.0.1:9") == "sms_unavailable"
    for kind, code in (
        ("cut", "sms_outcome_unknown"),
        ("drop", "sms_outcome_unknown"),
        ("html", "sms_outcome_unknown"),
    ):
        control.fail(kind)
        assert await outcome() == code
    control.answer({"code": 20429, "message": "Too Many Requests"}, 429)
    assert await outcome() == "sms_busy"
    sent = (await http.get(f"{server.base_url}/__messages")).json()["messages"]
    assert len(sent) == 3, "two, and the one whose answer was cut"
    control.heal()
    control.close()
