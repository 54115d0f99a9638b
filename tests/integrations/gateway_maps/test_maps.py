"""Gateways that are read by a map: what the map names is read and sent, the rest is kept or refused; a file wins."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from business.messaging.arrivals import Echoed, Incoming, Reacted, Seen, Told
from business.messaging.channels import Channel
from business.messaging.gateway_doors import MappedDoor, hook_keys
from business.messaging.reading import read
from business.messaging.sender_evolution import HeldFiles
from business.messaging.sender_mapped import MappedSender
from core.errors import ArgumentsWrong, MutiraoError, OutcomeUnknown, SetupError
from integrations.gateway_maps.client import MappedClient
from integrations.gateway_maps.mapping import MAPPED, load
from integrations.whatsapp_cloud import messages as say
from integrations.whatsapp_cloud.messages import Button, Card, MediaRef
from tests.integrations.evolution.conftest import Ours

NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)
LEAD = "5511999990001"
KEY = hook_keys("house secret")
PNG = b"\x89PNG\r\n\x1a\n" + bytes(60)


def arrived(provider: str, body: Any) -> list[Any]:
    door = MappedDoor(load(provider), KEY)
    found = door.items("n", body if isinstance(body, bytes) else json.dumps(body).encode(), NOW)
    assert len({item.key for item in found}) == len(found)
    for item in found:
        assert "SECRET" not in json.dumps(item.item)
    return [read(f"{provider}:n", item.kind, item.item) for item in found]


def uazapi(event: str = "messages", chat: dict[str, Any] | None = None, **message: Any) -> dict[str, Any]:
    whole = {
        "messageid": "3EB0AA", "chatid": f"{LEAD}@s.whatsapp.net", "fromMe": False, "senderName": "Ana",
        "messageTimestamp": 1_763_650_800_000, "messageType": "Conversation", "text": "Oi",
    } | message  # fmt: skip
    return {"EventType": event, "message": whole, "chat": chat or {}, "owner": "551", "token": "SECRET"}


def test_what_uazapi_tells_is_read_by_its_map() -> None:
    [said] = arrived("uazapi", uazapi())
    assert isinstance(said, Incoming)
    assert (said.id, said.who.wa_id, said.who.name, said.text, said.kind) == ("3EB0AA", LEAD, "Ana", "Oi", "text")
    assert said.at == datetime.fromtimestamp(1_763_650_800, UTC)

    hidden = uazapi(chatid="99@lid", sender_pn=f"{LEAD}@s.whatsapp.net", sender_lid="99@lid")
    [said] = arrived("uazapi", hidden)
    assert (said.who.wa_id, said.who.user_id) == (LEAD, "99@lid")
    [said] = arrived("uazapi", uazapi(chatid="99@lid", sender="99@lid"))
    assert (said.who.wa_id, said.who.address) == (None, "99@lid")

    voice = uazapi(messageType="AudioMessage", text="", content={"mimetype": "audio/ogg; codecs=opus"})
    [said] = arrived("uazapi", voice)
    assert said.attachment.voice and (said.kind, said.attachment.mime, said.attachment.id) == (
        "audio", "audio/ogg", "3EB0AA",
    )  # fmt: skip
    pressed = uazapi(messageType="ButtonsResponseMessage", text="Sim", buttonOrListid="b1")
    assert [one.choice for one in arrived("uazapi", pressed)] == ["b1"]
    [echo] = arrived("uazapi", uazapi(fromMe=True, sender="551@s.whatsapp.net", track_id="out_1"))
    assert isinstance(echo, Echoed) and echo.to.wa_id == LEAD
    [liked] = arrived("uazapi", uazapi(messageType="ReactionMessage", text="👍", reaction="3EB0BB"))
    assert isinstance(liked, Reacted) and (liked.of, liked.emoji) == ("3EB0BB", "👍")
    assert arrived("uazapi", uazapi(chatid="12@g.us", isGroup=True, text="segredo")) == [Told("uazapi.group")]

    seen = {"EventType": "messages_update", "state": "Read", "event": {"MessageIDs": ["A", "B"], "Type": "read"}}
    assert [(one.id, one.status) for one in arrived("uazapi", seen) if isinstance(one, Seen)] == [
        ("A", "read"), ("B", "read"),
    ]  # fmt: skip
    down = {"EventType": "connection", "instance": {"status": "disconnected"}, "token": "SECRET"}
    assert arrived("uazapi", down) == [Told("uazapi.connection.disconnected", grave=True)]
    assert arrived("uazapi", {"EventType": "labels", "x": "SECRET"}) == [Told("uazapi.labels")]


def test_lancepilots_webhook_is_guessed_and_what_does_not_fit_is_kept() -> None:
    body = {
        "event": "message",
        "data": {"id": "m1", "from": "+55 11 99999-0001", "type": "text", "text": {"body": "Oi"}},
    }
    [said] = arrived("lancepilot", body)
    assert isinstance(said, Incoming) and (said.id, said.who.wa_id, said.text) == ("m1", LEAD, "Oi")
    assert arrived("lancepilot", {"foo": 1}) == [Told("lancepilot.other")]


@pytest.mark.parametrize("provider", MAPPED)
def test_odd_bodies_break_nothing(provider: str) -> None:
    odd: list[Any] = [None, 7, "x", [], {}, [None], {"id": []}, {"chatid": 5}, {"from": None, "id": "1"}]
    for event in ("message", "messages", "status", "messages_update", "connection", None):
        for value in odd:
            body = {"event": event, "EventType": event, "message": value, "data": value, "status": value}
            try:
                arrived(provider, body)
            except ArgumentsWrong as error:
                assert error.code == "gateway_item_broken"  # noqa: PT017
    with pytest.raises(ArgumentsWrong):
        arrived(provider, b"[1]")


async def test_only_our_key_lets_a_mapped_gateway_in() -> None:
    door = MappedDoor(load("uazapi"), KEY)
    key = KEY("uazapi", "chan_1")
    assert await door.admits("t", "chan_1", {}, {"key": key}, b"{}")
    assert await door.admits("t", "chan_1", {"x-mutirao-key": key}, {}, b"{}")
    for query in ({}, {"key": ""}, {"key": key[:-1]}, {"key": KEY("uazapi", "chan_2")}):
        assert not await door.admits("t", "chan_1", {}, query, b'{"token": "SECRET"}')


def test_a_map_in_the_data_folder_wins_and_a_broken_one_is_told(tmp_path: Path) -> None:
    assert [load(one, tmp_path).verified for one in MAPPED] == [False, False]
    own = tmp_path / "gateway_maps" / "uazapi.yaml"
    own.parent.mkdir()
    own.write_text("verified: true\nbase_url: http://127.0.0.1:1\nauth: {}\nwebhook: {}\nsend: {}\n")
    found = load("uazapi", tmp_path)
    assert found.verified and found.own and found.base_url == "http://127.0.0.1:1"
    for broken in ("", "[]", "verified: true", "a: [", "\x00", "!!python/object/apply:os.system ['true']"):
        own.write_text(broken)
        with pytest.raises(SetupError) as told:
            load("uazapi", tmp_path)
        assert told.value.code == "gateway_map_broken"


# --- sending ------------------------------------------------------------------------------------


class Gateway:
    """A server that answers what it is told and writes down what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str], Any]] = []
        self.answer: tuple[int, Any] = (200, {"messageid": "3EB0NEW", "id": "551:3EB0NEW"})

    def handle(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content) if request.content else None
        self.asked.append((request.method, str(request.url), dict(request.headers), body))
        return httpx.Response(self.answer[0], json=self.answer[1])


CHANNEL = Channel("chan_1", "ten_1", "uazapi", "n", "n", "", "ws 1", "live", "", "active", None)


@pytest.fixture
async def wire() -> AsyncIterator[tuple[Gateway, httpx.AsyncClient]]:
    gateway = Gateway()
    async with httpx.AsyncClient(transport=httpx.MockTransport(gateway.handle)) as http:
        yield gateway, http


def sender(http: httpx.AsyncClient, provider: str) -> MappedSender:
    async def opened(channel: Channel) -> MappedClient:
        url = "https://x.uazapi.com" if provider == "uazapi" else ""
        return MappedClient(http, load(provider), "TOKEN", base_url=url, account=channel.account)

    return MappedSender(opened)


async def test_messages_leave_as_the_map_says_and_nothing_else_does(
    wire: tuple[Gateway, httpx.AsyncClient],
) -> None:
    gateway, http = wire
    uazapi, lancepilot = sender(http, "uazapi"), sender(http, "lancepilot")

    async def sent(content: say.Content, by: MappedSender = uazapi, **more: Any) -> tuple[str, Any]:
        taken = await by.send(CHANNEL, LEAD, content, callback="out_1", **more)
        assert taken.id.endswith("3EB0NEW")
        _, url, headers, body = gateway.asked[-1]
        assert "TOKEN" in (headers.get("token", ""), headers.get("authorization", "")[7:])
        return url.removeprefix("https://x.uazapi.com"), body

    common = {"number": LEAD, "track_id": "out_1", "track_source": "mutirao"}
    assert await sent(say.text("Oi"), reply_to="3EB0AA") == (
        "/send/text", common | {"text": "Oi", "replyid": "3EB0AA"},
    )  # fmt: skip
    question = say.buttons("Pode?", [Button("s", "Sim"), Button("n", "Não")], header="Oi", footer="Aurora")
    assert (await sent(question))[1]["text"] == "*Oi*\n\nPode?\n\n1. Sim\n2. Não\n\n_Aurora_"
    file = await uazapi.upload(CHANNEL, "image", PNG, "image/png", "a.png")
    path, body = await sent(say.image(MediaRef(id=file), "foto"))
    assert path == "/send/media" and (body["type"], body["text"], body["mimetype"]) == ("image", "foto", "image/png")
    with pytest.raises(ArgumentsWrong):  # it has left, and is kept no longer
        await sent(say.image(MediaRef(id=file)))
    failed = await uazapi.upload(CHANNEL, "image", PNG, "image/png", "a.png")
    answer, gateway.answer = gateway.answer, (500, {})
    with pytest.raises(OutcomeUnknown):
        await sent(say.image(MediaRef(id=failed)))
    gateway.answer = answer
    with pytest.raises(ArgumentsWrong):  # another attempt brings it anew
        await sent(say.image(MediaRef(id=failed)))
    voice = await sent(say.audio(MediaRef(link="https://e.co/a.ogg"), voice=True))
    assert voice[1]["type"] == "ptt"
    where = await sent(say.location(-22.9, -47.0, "Loja"))
    assert where[1]["latitude"] == -22.9 and where[1]["name"] == "Loja"
    card = await sent(say.contacts([Card("Ana", ("+5511",))]))
    assert card[1]["fullName"] == "Ana"
    path, body = await sent(say.text("Oi"), lancepilot)
    assert path == f"https://lancepilot.com/api/v3/workspaces/ws%201/contacts/number/{LEAD}/messages/text"
    assert body == {"text": {"body": "Oi"}}

    for content, by in [
        (say.template("hello_world", "en_US"), uazapi),
        (say.image(MediaRef(link="https://e.co/a.png")), lancepilot),
        (say.contacts([Card("A"), Card("B")]), uazapi),
    ]:
        before = len(gateway.asked)
        with pytest.raises(ArgumentsWrong) as refused:
            await by.send(CHANNEL, LEAD, content, callback="out_1")
        assert refused.value.code == "gateway_cannot" and len(gateway.asked) == before
        assert by.refusal(refused.value).action == "fix"


@pytest.mark.parametrize(
    ("status", "answer", "code", "action", "sure"),
    [
        (401, {}, "gateway_token", "stop_number", True),
        (404, {}, "gateway_number_missing", "stop_number", True),
        (429, {}, "gateway_throttled", "wait", True),
        (422, {}, "gateway_bad_request", "fix", True),
        (500, {}, "gateway_outcome_unknown", "retry", False),
        (200, {"ok": True}, "gateway_outcome_unknown", "retry", False),
    ],
)
async def test_what_an_unknown_gateway_refuses_is_sure_only_where_any_server_would_be(
    wire: tuple[Gateway, httpx.AsyncClient], status: int, answer: Any, code: str, action: str, sure: bool
) -> None:
    gateway, http = wire
    gateway.answer = (status, answer)
    by = sender(http, "uazapi")
    with pytest.raises(MutiraoError) as failed:
        await by.send(CHANNEL, LEAD, say.text("Oi"), callback="out_1")
    assert failed.value.code == code and len(gateway.asked) == 1 and "TOKEN" not in str(failed.value)
    refusal = by.refusal(failed.value)
    assert (refusal.action, refusal.sure) == (action, sure) and isinstance(failed.value, OutcomeUnknown) is not sure


async def test_a_file_is_fetched_from_the_gateway_itself_and_is_what_it_says(
    wire: tuple[Gateway, httpx.AsyncClient], ours: Ours
) -> None:
    gateway, http = wire
    by = sender(http, "uazapi")
    gateway.answer = (200, {"base64Data": "iVBORw0KGgo=", "mimetype": "image/png", "fileURL": ours.url})
    found = await by.fetch(CHANNEL, "3EB0AA", most=1_000)
    assert found.mime == "image/png" and not ours.posts
    assert gateway.asked[-1][3] == {"id": "3EB0AA", "return_base64": True, "return_link": False}
    gateway.answer = (200, {"base64Data": "PGh0bWw+", "mimetype": "image/png"})
    with pytest.raises(MutiraoError) as lies:
        await by.fetch(CHANNEL, "3EB0AA", most=1_000)
    assert lies.value.code == "whatsapp_media_lies"
    await by.mark_read(CHANNEL, "3EB0AA", typing=True)
    assert gateway.asked[-1][1].endswith("/message/markread") and gateway.asked[-1][3] == {"id": ["3EB0AA"]}


def test_files_wait_for_their_message_however_many_there_are_and_not_for_ever() -> None:
    seconds = 0.0
    held = HeldFiles(lambda: seconds)
    large = bytes(40_000_000)
    files = [held.keep(large, "application/pdf", f"{n}.pdf") for n in range(3)]
    assert [held.get(one) for one in files] == [(large, "application/pdf", f"{n}.pdf") for n in range(3)]
    seconds = 700.0
    fresh = held.keep(b"%PDF-", "application/pdf", "new.pdf")
    assert [held.get(one) is None for one in (*files, fresh)] == [True, True, True, False]
