"""The client against the simulated server: everything that can be said, each failure, files by their content."""

import base64

import httpx
import pytest

from core.errors import ArgumentsWrong, MutiraoError, OutcomeUnknown, Refused, Unavailable
from integrations.evolution.client import Contact, EvolutionClient
from integrations.evolution.simulator.state import INSTANCE, OWNER
from tests.integrations.evolution.conftest import LEAD, Control, Ours

PNG = b"\x89PNG\r\n\x1a\n" + bytes(60)
OGG = b"OggS" + bytes(60)


async def test_everything_is_said_in_evolutions_words_and_named_by_its_id(
    client: EvolutionClient, evolution: Control
) -> None:
    theirs, before = evolution.write("oi")["key"]["id"], evolution.seen()
    file = base64.b64encode(PNG).decode()
    sent = [
        await client.send_text(LEAD, "Olá 👋", quoted=theirs),
        await client.send_media(LEAD, "image", file, mime="image/png", caption="foto"),
        await client.send_media(LEAD, "document", file),
        await client.send_voice(LEAD, base64.b64encode(OGG).decode()),
        await client.send_sticker(LEAD, "https://example.com/a.webp"),
        await client.send_location(LEAD, -22.9, -47.06),
        await client.send_contacts(LEAD, [Contact("Ana", "+55 11 98888-0000")]),
        await client.react(LEAD, theirs, "👍"),
    ]
    assert all(one.id.startswith("3EB0") and one.address == LEAD for one in sent)
    asked = [(one["path"].split("/")[2], one["body"]) for one in evolution.since(before)]
    assert [what for what, _ in asked] == [
        "sendText", "sendMedia", "sendMedia", "sendWhatsAppAudio", "sendSticker", "sendLocation", "sendContact",
        "sendReaction",
    ]  # fmt: skip
    assert asked[0][1] == {
        "number": LEAD, "text": "Olá 👋", "linkPreview": False, "quoted": {"key": {"id": theirs}},
    }  # fmt: skip
    assert asked[6][1]["contact"] == [{"fullName": "Ana", "wuid": "5511988880000", "phoneNumber": "+55 11 98888-0000"}]
    assert asked[7][1]["key"] == {"id": theirs, "remoteJid": f"{LEAD}@s.whatsapp.net", "fromMe": False}

    # Above area code 28 WhatsApp knows many mobiles without the ninth digit: who it was is told, not guessed.
    assert (await client.send_text("5581999990001", "oi")).address == "558199990001"

    assert await client.chat_of(theirs) == LEAD and await client.chat_of("3EB0NOBODY") is None
    await client.mark_read(theirs, LEAD)
    await client.presence(LEAD, seconds=2)
    assert evolution.get("/__presences")[-1] == {"number": LEAD, "presence": "composing", "delay": 2000}
    assert await client.state() == "open" and await client.phone() == OWNER
    assert evolution.key not in repr(client)


FAILURES = [
    ("answer", {"status": 401, "body": "{}"}, Refused, "gateway_token"),
    ("answer", {"status": 429, "headers": {"retry-after": "7"}}, Unavailable, "gateway_throttled"),
    ("answer", {"status": 503, "body": "down"}, Unavailable, "gateway_unavailable"),
    ("answer", {"status": 500, "body": "{}"}, OutcomeUnknown, "gateway_outcome_unknown"),
    ("answer", {"status": 201, "body": "{}"}, OutcomeUnknown, "gateway_outcome_unknown"),
    ("html", {"status": 502}, OutcomeUnknown, "gateway_outcome_unknown"),
    ("drop", {}, OutcomeUnknown, "gateway_outcome_unknown"),
    ("cut", {}, OutcomeUnknown, "gateway_outcome_unknown"),
    ("lost", {}, OutcomeUnknown, "gateway_outcome_unknown"),
]


@pytest.mark.parametrize(("kind", "more", "raised", "code"), FAILURES)
async def test_a_failed_send_is_sure_only_when_the_server_says_so_and_is_never_repeated(
    client: EvolutionClient, evolution: Control, kind: str, more: dict[str, object], raised: type, code: str
) -> None:
    evolution.fail(kind, path="sendText", **more)
    before = len(evolution.get("/__thread", contact=LEAD))
    with pytest.raises(raised) as failed:
        await client.send_text(LEAD, "uma vez")
    assert failed.value.code == code and evolution.key not in str(failed.value)
    if code == "gateway_throttled":
        assert failed.value.retry_after == 7
    done = len(evolution.get("/__thread", contact=LEAD)) - before
    assert done == (1 if kind in ("lost", "cut") else 0)


async def test_what_evolution_refuses_is_told_by_its_meaning(client: EvolutionClient, evolution: Control) -> None:
    async def code(work: object) -> str:
        with pytest.raises(MutiraoError) as failed:
            await work  # type: ignore[misc]
        return failed.value.code

    evolution.ask("/__phone/absent", contact="5511900009999")
    assert await code(client.send_text("5511900009999", "oi")) == "gateway_not_on_whatsapp"
    assert await code(client.send_text("não é número", "oi")) == "gateway_bad_request"
    assert await code(client.send_media(LEAD, "gif", "https://e.co/a.gif")) == "gateway_bad_request"
    assert await code(client.send_media(LEAD, "image", "no file")) == "gateway_bad_request"
    evolution.ask("/__state", state="close")
    assert await code(client.send_text(LEAD, "oi")) == "gateway_disconnected"
    evolution.ask("/__state", state="open")
    async with httpx.AsyncClient() as http:
        elsewhere = EvolutionClient(http, evolution.url, evolution.key, "outra loja/ç")
        assert await code(elsewhere.state()) == "gateway_number_missing"
        assert await code(EvolutionClient(http, evolution.url, "wrong", INSTANCE).state()) == "gateway_token"
        nobody = EvolutionClient(http, "http://127.0.0.1:9", "k", INSTANCE, pause=0.01)
        assert await code(nobody.send_text(LEAD, "oi")) == "gateway_unavailable"
        assert await code(nobody.state()) == "gateway_unavailable"
    evolution.fail("html", path="connectionState", status=500, times=2)
    assert await client.state() == "open"  # a read is asked again


async def test_files_are_brought_within_their_size_and_by_what_they_are(
    client: EvolutionClient, evolution: Control
) -> None:
    def written(content: bytes, mime: str) -> str:
        media = {"kind": "image", "content": base64.b64encode(content).decode(), "mime": mime}
        return str(evolution.write(media=media)["key"]["id"])

    found = await client.fetch(written(PNG, "image/png"))
    assert (found.content, found.mime) == (PNG, "image/png")
    with pytest.raises(Refused) as lies:
        await client.fetch(written(b"<html><script>alert(1)</script>", "image/png"))
    assert lies.value.code == "whatsapp_media_lies"
    big = written(PNG + bytes(300_000), "image/png")
    for most in (1_000, 299_000):  # while it comes, and once it is unpacked
        with pytest.raises(ArgumentsWrong) as too_big:
            await client.fetch(big, most=most)
        assert too_big.value.code == "whatsapp_media_too_big"
    with pytest.raises(MutiraoError):
        await client.fetch("3EB0NOBODY")
    evolution.fail("answer", path="getBase64", status=201, body='{"base64": "###", "mimetype": "image/png"}')
    with pytest.raises(Unavailable) as broken:
        await client.fetch(written(PNG, "image/png"))
    assert broken.value.code == "gateway_answer_broken"


async def test_the_webhook_is_set_with_our_key_and_without_files(
    client: EvolutionClient, evolution: Control, ours: Ours
) -> None:
    await client.set_webhook(ours.url, {"x-mutirao-key": "k1"})
    found = await client.webhook()
    assert found is not None and (found.enabled, found.url) == (True, ours.url)
    assert "MESSAGES_UPSERT" in found.events and "QRCODE_UPDATED" not in found.events
    ours.answers = [503, 500]  # tried again, as the real one does
    evolution.write("tentativas")
    evolution.settle()
    headers, body = ours.posts[-1]
    assert headers["x-mutirao-key"] == "k1" and b"tentativas" in body
    ours.answers = [401]
    evolution.write("perdida")
    evolution.settle()
    assert evolution.get("/__hooks")["given_up"] >= 1 and b"perdida" not in ours.posts[-1][1]
