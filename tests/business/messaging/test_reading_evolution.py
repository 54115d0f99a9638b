"""What Evolution posts becomes items that are kept, and items become what came from outside."""

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest

from business.messaging import gateway_doors
from business.messaging.arrivals import Echoed, Edited, Incoming, Reacted, Seen, Told
from business.messaging.gateway_doors import HEADER, EvolutionDoor, hook_keys
from business.messaging.reading import read
from core.errors import ArgumentsWrong
from integrations.evolution.client import EvolutionClient
from integrations.evolution.simulator.state import INSTANCE
from integrations.evolution.webhooks import EVENTS
from integrations.gateways import Item
from tests.integrations.evolution.conftest import LEAD, Control, Ours, client, evolution, ours
from tests.integrations.evolution.conftest import _evolution as _evolution

__all__ = ["client", "evolution", "ours"]  # fixtures of the wire
NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)
KEY = hook_keys("house secret")


async def nothing(tenant_id: str, channel_id: str) -> dict[str, str]:
    return {}


DOOR = EvolutionDoor(nothing, KEY)


def items(body: Any) -> list[Item]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    found = DOOR.items(INSTANCE, raw, NOW)
    for item in found:  # as PostgreSQL will keep it
        assert item.kind in ("message", "echo", "status", "notice")
        assert json.loads(json.dumps(item.item)) == item.item
    return found


def arrived(item: Item) -> Any:
    return read(f"evolution:{INSTANCE}", item.kind, item.item)


def upsert(message: dict[str, Any], *, key: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    whole = {"remoteJid": f"{LEAD}@s.whatsapp.net", "fromMe": False, "id": "3EB0AAAA"} | (key or {})
    data = {"key": whole, "pushName": "Ana", "message": message, "messageTimestamp": 1_763_650_800} | more
    return {"event": "messages.upsert", "instance": INSTANCE, "data": data, "apikey": "SECRET-KEY"}


async def test_a_conversation_over_the_wire_is_read_as_it_happened(
    client: EvolutionClient, evolution: Control, ours: Ours
) -> None:
    await client.set_webhook(ours.url, {HEADER: KEY("evolution", "chan_1")})
    evolution.ask("/__config", addressing="lid", statuses="read")
    first = evolution.write("Oi, vi o anúncio", name="Ana")["key"]["id"]
    evolution.write(
        media={"kind": "audio", "content": "T2dnUw==", "mime": "audio/ogg; codecs=opus", "voice": True}, reply_to=first
    )
    evolution.write("do grupo", group=True)
    evolution.ask("/__phone/react", id=first, emoji="❤️")
    evolution.ask("/__phone/edit", id=first, text="Oi, vi o anúncio de vocês")
    evolution.ask("/__phone/delete", id=first)
    own = (await client.send_text(LEAD, "Olá, Ana!")).id
    evolution.ask("/__phone/echo", contact=LEAD, text="sou eu, no celular")
    evolution.ask("/__state", state="close")
    evolution.settle()
    for headers, body in ours.posts:
        assert await DOOR.admits("t", "chan_1", headers, {}, body)
        assert not await DOOR.admits("t", "chan_2", headers, {}, body)
    kept = [item for _, body in ours.posts for item in items(body)]
    assert evolution.key not in json.dumps([item.item for item in kept])
    assert "do grupo" not in json.dumps([item.item for item in kept])
    came = [arrived(item) for item in kept]

    said = [one for one in came if isinstance(one, Incoming)]
    assert [(one.kind, one.text, one.reply_to) for one in said] == [
        ("text", "Oi, vi o anúncio", None),
        ("audio", "", first),
    ]
    who = said[0].who
    assert (who.wa_id, who.name, who.address) == (LEAD, "Ana", LEAD)
    assert who.lid is not None and who.lid.endswith("@lid") and who.user_id == who.lid
    voice = said[1].attachment
    assert voice is not None and (voice.kind, voice.id, voice.mime, voice.voice) == (
        "audio", said[1].id, "audio/ogg", True,
    )  # fmt: skip
    assert [(one.of, one.emoji) for one in came if isinstance(one, Reacted)] == [(first, "❤️")]
    assert [(one.of, one.text) for one in came if isinstance(one, Edited)] == [
        (first, "Oi, vi o anúncio de vocês"),
        (first, None),
    ]
    assert [(one.id == own, one.text, one.to.wa_id) for one in came if isinstance(one, Echoed)] == [
        (True, "Olá, Ana!", LEAD),
        (False, "sou eu, no celular", LEAD),
    ]
    assert [(one.id, one.status) for one in came if isinstance(one, Seen)] == [
        (own, "sent"), (own, "delivered"), (own, "read"),
    ]  # fmt: skip
    told = [(one.what, one.grave) for one in came if isinstance(one, Told)]
    assert told == [("evolution.group", False), ("evolution.connection.close", True)]

    # The same told again is the same row; nothing of a second copy is new.
    again = {item.key for _, body in ours.posts for item in items(body)}
    assert again == {item.key for item in kept} and len(again) == len(kept)


CONTENTS: dict[str, tuple[dict[str, Any], tuple[str, str, str]]] = {
    "a link": ({"extendedTextMessage": {"text": "veja https://e.co"}}, ("text", "veja https://e.co", "")),
    "a picture that is gone soon": (
        {"ephemeralMessage": {"message": {"imageMessage": {"caption": "oi", "mimetype": "image/jpeg"}}}},
        ("image", "oi", ""),
    ),
    "a document with words": (
        {"documentWithCaptionMessage": {"message": {"documentMessage": {"fileName": "a.pdf", "caption": "leia"}}}},
        ("document", "leia", ""),
    ),
    "a place": (
        {"locationMessage": {"degreesLatitude": -22.9, "degreesLongitude": -47.06, "name": "Loja"}},
        ("location", "Loja (-22.900000, -47.060000)", ""),
    ),
    "a button": (
        {"buttonsResponseMessage": {"selectedButtonId": "b1", "selectedDisplayText": "Quero"}},
        ("interactive", "Quero", "b1"),
    ),
    "a row": (
        {"listResponseMessage": {"title": "Plano A", "singleSelectReply": {"selectedRowId": "r1"}}},
        ("interactive", "Plano A", "r1"),
    ),
    "a card": (
        {"contactMessage": {"displayName": "Bia", "vcard": "BEGIN:VCARD\nTEL;waid=5511:+55 11 97777-0000\nEND:VCARD"}},
        ("contacts", "Bia, +55 11 97777-0000", ""),
    ),
    "a poll": ({"pollCreationMessageV3": {"name": "Qual?", "options": [{"optionName": "A"}]}}, ("poll", "Qual?", "")),
    "something new": ({"hologramMessage": {"x": 1}}, ("unsupported", "[hologramMessage]", "")),
    "nothing": ({}, ("unsupported", "[none]", "")),
}


@pytest.mark.parametrize("name", CONTENTS)
def test_every_kind_of_message_has_words_to_read(name: str) -> None:
    message, (kind, text, choice) = CONTENTS[name]
    [item] = items(upsert({"messageContextInfo": {}, **message}))
    found = arrived(item)
    assert isinstance(found, Incoming)
    assert (found.kind, found.text, found.choice) == (kind, text, choice)
    assert found.at == datetime.fromtimestamp(1_763_650_800, UTC)


def test_people_are_known_by_telephone_linked_id_or_both_and_groups_are_nobody() -> None:
    def who(**key: Any) -> Any:
        return arrived(items(upsert({"conversation": "oi"}, key=key))[0])

    hidden = who(remoteJid="123456@lid").who
    assert (hidden.wa_id, hidden.address) == (None, "123456@lid")
    assert who(remoteJid="123456@lid", remoteJidAlt=f"{LEAD}:7@s.whatsapp.net").who.wa_id == LEAD
    for jid in ("1203@g.us", "status@broadcast", "1@newsletter", "1@broadcast", "", None, 7):
        assert who(remoteJid=jid) == Told("evolution.group")
    advertised = upsert(
        {"conversation": "oi"},
        contextInfo={"externalAdReply": {"ctwaClid": "c1", "sourceId": "120", "title": "Promo"}, "isForwarded": True},
    )
    found = arrived(items(advertised)[0])
    assert found.referral == {"ctwa_clid": "c1", "source_id": "120", "headline": "Promo"} and found.forwarded


def test_all_33_events_are_kept_and_none_of_their_secrets() -> None:
    secret = "2@QR-PAIRING-CODE"
    assert len(EVENTS) == 33
    for event in [*EVENTS, "SOMETHING_NEW", ""]:
        body = {
            "event": event,
            "instance": INSTANCE,
            "apikey": "SECRET-KEY",
            "data": {"qrcode": {"code": secret}, "creds": secret, "state": "close", "status": "open"},
        }
        found = items(body)
        assert len(found) == 1 and secret not in json.dumps(found[0].item) and "SECRET" not in str(found[0])
        if found[0].kind == "notice":
            assert isinstance(arrived(found[0]), Told)
        assert items(body)[0].key == found[0].key
    grave = {event for event in EVENTS if _grave({"event": event, "instance": INSTANCE, "data": {"state": "close"}})}
    assert grave == {"connection.update", "status.instance", "logout.instance", "remove.instance", "instance.delete"}
    # The telephone's address book and history are other people's.
    history = {"event": "messages.set", "instance": INSTANCE, "data": [{"message": {"conversation": "segredo"}}] * 9}
    assert items(history)[0].item["data"] == {"count": 9}


def _grave(body: dict[str, Any]) -> bool:
    try:
        found = arrived(items(body)[0])
    except ArgumentsWrong:  # a message event without a message
        return False
    return isinstance(found, Told) and found.grave


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b"{", b'"x"', b"\xff", b"[" * 100_000, b'{"instance": "other", "event": "call"}']
)
def test_what_is_no_webhook_of_this_instance_is_refused(body: bytes) -> None:
    with pytest.raises(ArgumentsWrong) as refused:
        DOOR.items(INSTANCE, body, NOW)
    assert refused.value.code in ("gateway_body_broken", "gateway_other_number")


def test_odd_bodies_are_kept_whatever_they_hold() -> None:
    odd: list[Any] = [None, 7, "x", [], [None, 3], {"key": None}, {"key": {"id": 5}}, {"message": "x"}, {"key": {}}]
    for event in EVENTS:
        for data in odd:
            for item in items({"event": event, "instance": INSTANCE, "data": data}):
                with suppress(ArgumentsWrong):  # and nothing else
                    arrived(item)


@pytest.mark.parametrize("depth", [50, 400, 900, 3_000])
def test_a_deep_body_is_kept_or_refused_and_never_breaks_the_door(depth: int) -> None:
    deep = b'{"event": "messages.upsert", "instance": "vendas", "data": {"key": {"id": "1", "remoteJid": "5511@c.us"},'
    deep += b'"message": {"conversation": ' + b'{"a": ' * depth + b"1" + b"}" * depth + b"}}}"
    with suppress(ArgumentsWrong):
        [item] = DOOR.items(INSTANCE, deep, NOW)
        assert item.kind in ("message", "unread")
        assert isinstance(read(f"evolution:{INSTANCE}", item.kind, item.item), Incoming | Told)


async def test_a_webhook_comes_in_with_our_key_or_evolutions_own_and_with_nothing_else() -> None:
    asked = []

    async def secrets_of(tenant_id: str, channel_id: str) -> dict[str, str]:
        asked.append(channel_id)
        return {"api_key": "K-OF-" + channel_id}

    door = EvolutionDoor(secrets_of, KEY)
    key = KEY("evolution", "chan_1")

    async def admits(body: bytes = b"{}", **more: Any) -> bool:
        return await door.admits("t", "chan_1", more.get("headers", {}), more.get("query", {}), body)

    assert await admits(headers={HEADER: key}) and await admits(query={"key": key})
    assert await admits(query={"key": f"{key}/messages-upsert"})  # what Evolution appends by event
    assert not asked
    assert await admits(b'{"apikey": "K-OF-chan_1"}') and await admits(b'{"apikey": "K-OF-chan_1"}')
    assert asked == ["chan_1"]  # remembered for a burst
    for body in (b"{}", b'{"apikey": ""}', b'{"apikey": null}', b'{"apikey": "K-OF-chan_2"}', b"x", b'{"apikey": 1}'):
        assert not await admits(body)
    for wrong in ("", key[:-1], key + "0", KEY("evolution", "chan_2"), KEY("uazapi", "chan_1"), "é"):
        assert not await admits(headers={HEADER: wrong}) and not await admits(query={"key": wrong})
    assert not await EvolutionDoor(nothing, KEY).admits("t", "chan_1", {}, {}, b'{"apikey": ""}')
    address = gateway_doors.hook_address("https://casa.example/", "evolution", "chan_1", KEY)
    assert address.url == "https://casa.example/webhooks/evolution/chan_1" and address.key == key
