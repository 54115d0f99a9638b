"""Mails through Resend: taken once whatever gets lost, and each refusal by its name."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from core.errors import ArgumentsWrong, MutiraoError, OutcomeUnknown, Refused, Unavailable
from integrations.resend.client import Mail, Resend
from integrations.resend.simulator import launch
from integrations.resend.simulator.wire import KEY
from integrations.sandbox_http import Launched
from tests.integrations.sandbox import Control

MAIL = Mail(
    "Aurora <oi@aurora.example>", "ana@ipe.example", "Olá", "Oi, Ana.\nTudo bem?", reply_to="rui@aurora.example"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launched]:
    launched = launch.start(tmp_path_factory.mktemp("resend"))
    yield launched
    launched.stop()


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient() as client:
        yield client


def taken(server: Launched) -> list[dict[str, Any]]:
    return list(httpx.get(f"{server.base_url}/__mails").json()["mails"])


async def test_a_mail_is_taken_once_however_its_answers_get_lost(server: Launched, http: httpx.AsyncClient) -> None:
    control = Control(server)
    resend = Resend(http, KEY, base_url=server.base_url, pause=0.01)
    first = await resend.send(MAIL, key="out_1")
    assert await resend.send(MAIL, key="out_1") == first
    for kind in ("cut", "drop", "garble"):
        control.fail(kind)
        await resend.send(MAIL, key=f"lost {kind}")
    mails = taken(server)
    assert [one["key"] for one in mails] == ["out_1", "lost cut", "lost drop", "lost garble"]
    assert mails[0]["to"] == ["ana@ipe.example"] and mails[0]["reply_to"] == "rui@aurora.example"
    control.fail("drop", times=5)
    with pytest.raises(OutcomeUnknown):
        await resend.send(MAIL, key="never answered")
    control.heal()
    control.close()


@pytest.mark.parametrize(
    ("status", "name", "kind", "code"),
    [
        (429, "rate_limit_exceeded", Unavailable, "mail_busy"),
        (429, "daily_quota_exceeded", Unavailable, "mail_busy"),
        (422, "missing_required_field", ArgumentsWrong, "mail_malformed"),
        (403, "validation_error", Refused, "mail_sender_refused"),
        (451, "security_error", Refused, "mail_refused"),
        (500, "application_error", OutcomeUnknown, "mail_outcome_unknown"),
        (409, "concurrent_idempotent_requests", OutcomeUnknown, "mail_outcome_unknown"),
    ],
)
async def test_each_refusal_has_its_kind(
    server: Launched, http: httpx.AsyncClient, status: int, name: str, kind: type[MutiraoError], code: str
) -> None:
    control = Control(server)
    control.answer({"statusCode": status, "name": name, "message": f"no {KEY}"}, status, times=3)
    with pytest.raises(kind) as caught:
        await Resend(http, KEY, base_url=server.base_url, pause=0.01).send(MAIL, key=name)
    assert caught.value.code == code and KEY not in str(caught.value)
    control.heal()
    control.close()


async def test_wrong_keys_senders_and_closed_doors_send_nothing(server: Launched, http: httpx.AsyncClient) -> None:
    before = len(taken(server))

    async def code(key: str, mail: Mail = MAIL, url: str = server.base_url) -> str:
        with pytest.raises(MutiraoError) as caught:
            await Resend(http, key, base_url=url, pause=0.01, retries=0).send(mail, key="k")
        return caught.value.code

    assert await code("re_wrong") == "mail_key_refused"
    assert await code(KEY, Mail("oi@x.refused.example", "a@b.example", "s", "t")) == "mail_sender_refused"
    assert await code(KEY, Mail("oi@x.example", "nobody", "s", "t")) == "mail_malformed"
    assert await code(KEY, url="http://127.0.0.1:9") == "mail_unavailable"
    assert len(taken(server)) == before
