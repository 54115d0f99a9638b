"""The client against the WhatsApp on loopback: what leaves, what comes back, and what a failure means."""

import base64
import dataclasses
import hashlib
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from core.errors import ArgumentsWrong, MutiraoError, OutcomeUnknown, Refused, Unavailable
from integrations.whatsapp_cloud import messages as say
from integrations.whatsapp_cloud.client import WhatsAppCloud
from integrations.whatsapp_cloud.errors import Action, rule_of
from integrations.whatsapp_cloud.media import MediaInfo
from integrations.whatsapp_cloud.templates import Definition, fill
from tests.integrations.whatsapp_cloud.conftest import LEAD, NUMBER, WABA, Control
from tests.integrations.whatsapp_cloud.contents import EVERY
from tests.integrations.whatsapp_cloud.test_media import FILES

HELLO = say.text("Olá!")


async def test_every_kind_of_message_is_sent_once_and_taken(client: WhatsAppCloud, control: Control) -> None:
    control.write()
    before = control.seen()
    ids = set()
    for name, content in EVERY.items():
        if content.kind == "template":
            continue
        sent = await client.send(NUMBER, LEAD, content, callback_data=f"out {name}")
        assert sent.wa_id == LEAD
        ids.add(sent.message_id)
    requests = control.since(before)
    assert len(ids) == len(requests) == len([one for one in EVERY.values() if one.kind != "template"])
    assert all(one["path"] == f"/{NUMBER}/messages" and one["authorized"] for one in requests)
    assert requests[0]["body"]["biz_opaque_callback_data"] == "out text"
    assert {one["id"] for one in control.thread() if one["direction"] == "out"} >= ids
    hidden = await client.send(NUMBER, "BR.1" + "0" * 15, HELLO)
    assert (hidden.wa_id, bool(hidden.user_id)) == (None, True)


async def test_what_breaks_a_limit_never_reaches_the_wire(client: WhatsAppCloud, control: Control) -> None:
    before = control.seen()
    broken = dataclasses.replace(HELLO, payload={"body": "a" * 5_000})  # built past the builders
    for act in (
        client.send(NUMBER, LEAD, broken),
        client.send(NUMBER, "nobody", HELLO),
        client.send(NUMBER, LEAD, HELLO, callback_data="a" * 513),
        client.send("../me", LEAD, HELLO),
        client.mark_read(NUMBER, "7"),
        client.upload(NUMBER, "image", FILES["text/html"], "image/png"),
    ):
        with pytest.raises(ArgumentsWrong):
            await act
    assert control.seen() == before


async def test_reading_shows_and_typing_lasts_until_the_answer(client: WhatsAppCloud, control: Control) -> None:
    written = control.write("tem mesa de jantar?")
    await client.mark_read(NUMBER, written["id"], typing=True)
    assert control.get("/__phone/thread", contact=LEAD)["typing"] is True
    assert control.thread()[-1]["status"] == "read"
    await client.send(NUMBER, LEAD, HELLO, reply_to=written["id"])
    assert control.get("/__phone/thread", contact=LEAD)["typing"] is False
    assert control.thread()[-1]["reply_to"] == written["id"]
    with pytest.raises(ArgumentsWrong):
        await client.mark_read(NUMBER, "wamid.nobodys")


@pytest.mark.parametrize(
    ("code", "status", "kind", "action"),
    [
        (190, 401, Refused, Action.STOP_NUMBER),
        (131056, 400, Unavailable, Action.WAIT),
        (130429, 429, Unavailable, Action.WAIT),
        (131047, 400, Refused, Action.TEMPLATE),
        (131026, 400, Refused, Action.STOP_CONTACT),
        (368, 403, Refused, Action.STOP_NUMBER),
        (131009, 400, ArgumentsWrong, Action.FIX),
        (132001, 404, ArgumentsWrong, Action.FIX),
        (131016, 500, Unavailable, Action.RETRY),
    ],
)
async def test_a_refused_message_says_what_may_be_done_and_is_not_sent_again(
    client: WhatsAppCloud, control: Control, code: int, status: int, kind: type[MutiraoError], action: Action
) -> None:
    control.fail("error", code=code, status=status, path="/messages")
    before = control.seen()
    with pytest.raises(kind) as refused:
        await client.send(NUMBER, LEAD, HELLO)
    rule = rule_of(refused.value)
    assert rule is not None and rule.action is action
    assert control.seen() == before + 1


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "lost"},
        {"kind": "cut"},
        {"kind": "drop"},
        {"kind": "hang_after", "seconds": 1},
        {"kind": "html", "status": 502},
        {"kind": "html", "status": 200},
        {"kind": "error", "code": 2, "status": 503},
        {"kind": "error", "code": 1, "status": 500},
        {"kind": "error", "code": 999_999, "status": 500},
    ],
    ids=str,
)
async def test_a_message_whose_answer_is_lost_is_never_sent_twice(
    connect: Callable[..., WhatsAppCloud], control: Control, fault: dict[str, Any]
) -> None:
    control.fail(path="/messages", **fault)
    before = control.seen()
    with pytest.raises(OutcomeUnknown) as unknown:
        await connect(timeout=0.3).send(NUMBER, LEAD, HELLO, callback_data="out_1")
    assert unknown.value.code == "whatsapp_outcome_unknown"
    assert control.seen() == before + 1


async def test_a_bare_429_is_a_pause_and_nothing_was_taken(client: WhatsAppCloud, control: Control) -> None:
    control.fail("html", status=429, path="/messages")
    with pytest.raises(Unavailable) as pause:
        await client.send(NUMBER, LEAD, HELLO)
    assert (pause.value.code, pause.value.retry_after) == ("whatsapp_throttled", 60.0)


async def test_without_a_connection_nothing_was_sent(connect: Callable[..., WhatsAppCloud]) -> None:
    with pytest.raises(Unavailable) as nobody:
        await connect(base_url="http://127.0.0.1:9").send(NUMBER, LEAD, HELLO)
    assert nobody.value.code == "whatsapp_unavailable"


async def test_the_token_is_told_nowhere(connect: Callable[..., WhatsAppCloud], control: Control) -> None:
    wrong = "EAAwrong" + "x" * 20
    control.fail("error", code=190, status=401, message=f"Malformed access token {wrong}")
    with pytest.raises(Refused) as refused:
        await connect(token=wrong).send(NUMBER, LEAD, HELLO)
    assert wrong not in str(refused.value) + str(refused.value.params)
    with pytest.raises(Refused):
        await connect(token=wrong).number(NUMBER)


async def test_media_goes_up_and_comes_down_as_it_is(client: WhatsAppCloud, control: Control) -> None:
    content = FILES["image/png"] + b"x" * 5_000
    media_id = await client.upload(NUMBER, "image", content, "image/png", 'fa"chada\n.png')
    info = await client.media_info(media_id, NUMBER)
    assert (info.mime, info.size, info.sha256) == ("image/png", len(content), hashlib.sha256(content).hexdigest())
    assert (await client.fetch(info)).content == content
    with pytest.raises(ArgumentsWrong):
        await client.media_info("4242424242424242")


async def test_media_that_lies_is_too_big_or_is_elsewhere_is_not_taken(client: WhatsAppCloud, control: Control) -> None:
    page = base64.b64encode(FILES["text/html"]).decode()
    written = control.write(type="image", image={"content": page, "mime_type": "image/jpeg"})
    info = await client.media_info(written["body"]["image"]["id"])
    with pytest.raises(Refused) as lie:
        await client.fetch(info)
    assert (lie.value.code, lie.value.params["found"]) == ("whatsapp_media_lies", "text/html")
    with pytest.raises(ArgumentsWrong) as big:
        await client.fetch(info, most=10)
    assert big.value.code == "whatsapp_media_too_big"
    with pytest.raises(ArgumentsWrong):  # though the size told was smaller
        await client.fetch(dataclasses.replace(info, size=1), most=10)
    with pytest.raises(Unavailable) as other:
        await client.fetch(dataclasses.replace(info, sha256="0" * 64))
    assert other.value.code == "whatsapp_answer_broken"
    before = control.seen()
    for url in ("https://evil.example/x", "http://169.254.169.254/", control.url.replace("127.0.0.1", "localhost")):
        with pytest.raises(Refused) as elsewhere:
            await client.fetch(MediaInfo("1", url, "image/png", None, None))
        assert elsewhere.value.code == "whatsapp_media_host"
    assert control.seen() == before
    control.fail("drop", path="attachments")
    with pytest.raises(Unavailable):
        await client.fetch(info)


async def test_templates_are_listed_page_by_page_created_filled_and_sent(
    client: WhatsAppCloud, control: Control
) -> None:
    found = {one.name: one for one in await client.templates(WABA)}
    first = found["primeiro_contato"]
    assert (first.status, first.category, len(first.variables)) == ("APPROVED", "MARKETING", 4)
    sent = await client.send(NUMBER, "5519999990077", fill(first, ["Ana", "Rui", "Aurora", "Vi seu anúncio."]))
    assert sent.status == "accepted"
    new = Definition("visita", "pt_BR", "UTILITY", "Sua visita é {{1}}. Até lá!", examples={"1": "amanhã"})
    template_id, status = await client.create_template(WABA, new)
    assert status == "PENDING"
    assert {one.id: one.status for one in await client.templates(WABA)}[template_id] == "APPROVED"
    with pytest.raises(ArgumentsWrong) as twice:
        await client.create_template(WABA, new)
    assert "already" in twice.value.params["detail"]
    for content in (say.template("nobody_knows", "pt_BR"), say.template("primeiro_contato", "pt_BR", body=["Ana"])):
        with pytest.raises(ArgumentsWrong) as refused:
            await client.send(NUMBER, LEAD, content)
        assert refused.value.code == "whatsapp_template"


async def test_the_number_shows_that_token_and_number_belong_together(client: WhatsAppCloud) -> None:
    number = await client.number(NUMBER)
    assert (number.id, number.quality, number.throughput) == (NUMBER, "GREEN", "STANDARD")
    await client.subscribe(WABA)
    with pytest.raises(ArgumentsWrong):
        await client.number("999")


async def test_a_read_is_tried_again_and_gives_up_by_name(client: WhatsAppCloud, control: Control) -> None:
    for kind in ("drop", "html", "cut"):
        control.fail(kind, method="GET", times=2, status=502)
        assert (await client.number(NUMBER)).id == NUMBER
    control.fail("error", code=4, status=400, method="GET", times=1, headers={"retry-after": "3600"})
    before = control.seen()
    with pytest.raises(Unavailable) as throttled:
        await client.number(NUMBER)
    assert (throttled.value.code, throttled.value.params["wait"]) == ("whatsapp_throttled", 60)
    assert control.seen() == before + 1
    control.fail("html", method="GET", times=9, status=200)
    with pytest.raises(Unavailable):
        await client.templates(WABA)


async def test_the_app_secret_proves_the_token_where_it_is_known(
    connect: Callable[..., WhatsAppCloud], control: Control
) -> None:
    asked: list[httpx.Request] = []

    async def note(request: httpx.Request) -> None:
        asked.append(request)

    async with httpx.AsyncClient(verify=False, event_hooks={"request": [note]}) as http:
        client = WhatsAppCloud(http, control.secrets.token, base_url=control.url, app_secret="s")
        await client.number(NUMBER)
        control.write()
        await client.send(NUMBER, LEAD, HELLO)
    assert all(len(request.url.params["appsecret_proof"]) == 64 for request in asked)
    assert all(control.secrets.token not in str(request.url) for request in asked)
