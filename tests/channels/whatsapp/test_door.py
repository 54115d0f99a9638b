"""Every item of every webhook is written down once before the 200; what is not Meta's, or cannot be written, is not."""

import asyncio
import gzip
import json
import random
import time
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from business.messaging.inbox import Inbox
from channels.whatsapp.checks import IntakeCheck
from channels.whatsapp.door import WhatsAppDoor, in_front
from channels.whatsapp.numbers import Numbers
from core.clock import FixedClock
from core.db import Database
from integrations.whatsapp_cloud.signature import HEADER, sign
from integrations.whatsapp_cloud.webhooks import parse, reread
from prompts.texts import Texts
from tests.channels.whatsapp.conftest import OTHER_NUMBER, PATH, SECRET, TOKEN, Outside, Wire
from tests.conftest import Dsns, Tenants
from tests.integrations.whatsapp_cloud.posts import NUMBER, WABA, body, contact, entry, message, one, status, value
from tests.integrations.whatsapp_cloud.test_webhooks import BAD, CONTENTS


def messages(*numbers: int, number: str = NUMBER) -> bytes:
    return body(entry(value(number, contacts=[contact()], messages=[message(n) for n in numbers])))


# --- what is taken in -----------------------------------------------------------------------------


async def test_every_item_of_a_large_body_is_a_row_of_its_tenant_when_the_200_comes(
    outside: Outside, tenants: Tenants, clock: FixedClock
) -> None:
    number, entries = 0, []
    for _ in range(2):
        values = []
        for _ in range(3):
            numbers = range(number, number := number + 10)
            values.append(value(contacts=[contact()], messages=[message(n) for n in numbers]))
        entries.append(entry(*values))
    assert await outside.post(body(*entries)) == 200
    assert outside.keys() == [f"wamid.{n}" for n in range(60)]
    assert {row["tenant_id"] for row in outside.rows()} == {tenants.one.id}
    first = outside.rows()[0]
    assert (first["number"], first["kind"], first["received_at"]) == (f"whatsapp_cloud:{NUMBER}", "message", clock.at)
    assert (first["sorted_at"], first["outcome"]) == (None, None)

    many = body(entry(value(statuses=[status(n, "delivered") for n in range(1_000)])))
    large = body(
        entry(value(contacts=[contact()], messages=[message(n + 100, text={"body": "á" * 300}) for n in range(1_400)]))
    )
    assert 2_700_000 < len(large) < 3_100_000
    assert [await outside.post(raw) for raw in (many, large)] == [200, 200]
    assert len(outside.keys()) == 60 + 1_000 + 1_400


async def test_what_is_kept_is_read_later_as_it_would_have_been_at_once(outside: Outside) -> None:
    for generation in ("phone", "both", "user"):
        raw = body(
            entry(
                value(
                    contacts=[contact(generation)],
                    messages=[
                        message(n, generation, type=kind, **content) | {"id": f"wamid.{generation}.{n}"}
                        for n, (kind, (content, _)) in enumerate(CONTENTS.items())
                    ],
                )
            )
        )
        assert await outside.post(raw) == 200
        rows = [row for row in outside.rows() if f".{generation}." in row["key"]]
        assert [(item.key, item.content, item.sender) for item in parse(raw)] == [  # type: ignore[union-attr]
            (item.key, item.content, item.sender)  # type: ignore[union-attr]
            for item in (reread(row["item"]) for row in rows)
        ]


async def test_the_same_event_is_one_row_however_often_and_in_whatever_body_it_comes(
    outside: Outside, inbox: Inbox, database: Database, clock: FixedClock, dsns: Dsns
) -> None:
    raw = messages(1)
    assert set(await asyncio.gather(*(outside.post(raw) for _ in range(50)))) == {200}
    pretty = json.dumps(json.loads(raw), indent=2, sort_keys=True).encode()
    assert set(await asyncio.gather(*(outside.post(pretty) for _ in range(20)))) == {200}
    assert await outside.post(messages(0, 1, 2)) == 200  # in another batch
    clock.advance(timedelta(days=8))
    assert await outside.post(raw) == 200
    started_anew = Inbox(dsns.app, clock)
    await started_anew.open()
    door = WhatsAppDoor(started_anew, Numbers(database), clock, app_secret=SECRET, verify_token=TOKEN)
    assert await Outside(door, dsns.owner).post(raw) == 200
    await started_anew.close()
    assert sorted(outside.keys()) == ["wamid.0", "wamid.1", "wamid.2"]


async def test_an_old_message_that_comes_for_the_first_time_is_kept(outside: Outside) -> None:
    assert await outside.post(one(timestamp="1600000000")) == 200
    assert outside.keys() == ["wamid.1"]


async def test_whoever_listens_is_told_of_what_came(outside: Outside, dsns: Dsns) -> None:
    with psycopg.connect(dsns.app, autocommit=True) as conn:
        conn.execute("LISTEN inbox")
        assert await outside.post(messages(1)) == 200
        told = await asyncio.to_thread(lambda: list(conn.notifies(timeout=5, stop_after=1)))
    assert [notice.channel for notice in told] == ["inbox"]


# --- whose it is ----------------------------------------------------------------------------------


async def test_each_item_is_the_tenant_s_whose_number_it_is_and_nobody_s_when_nobody_has_it(
    outside: Outside, tenants: Tenants, inbox: Inbox, clock: FixedClock
) -> None:
    update = {"event": "APPROVED", "message_template_name": "oferta", "message_template_id": 7}
    raw = body(
        entry(
            value(messages=[message(1)]),
            value(OTHER_NUMBER, messages=[message(2)]),
            value("999", messages=[message(3)]),
        ),
        entry(update, field="message_template_status_update"),
        entry(update, field="message_template_status_update", waba="404"),
        None,  # type: ignore[arg-type]
    )
    assert await outside.post(raw) == 200
    found = [(row["number"], row["tenant_id"], row["kind"]) for row in outside.rows()]
    assert found == [
        (f"whatsapp_cloud:{NUMBER}", tenants.one.id, "message"),
        (f"whatsapp_cloud:{OTHER_NUMBER}", tenants.other.id, "message"),
        ("whatsapp_cloud:999", None, "message"),
        (f"whatsapp_cloud:account:{WABA}", tenants.one.id, "template"),
        ("whatsapp_cloud:account:404", None, "template"),
        ("whatsapp_cloud:nobody", None, "unread"),
    ]
    waiting = {one.tenant_id: (one.waiting, one.oldest) for one in await inbox.waiting()}
    assert waiting == {tenants.one.id: (2, clock.at), tenants.other.id: (1, clock.at), None: (3, clock.at)}


async def test_a_number_connected_a_moment_ago_is_known_at_once(outside: Outside, tenants: Tenants, dsns: Dsns) -> None:
    assert await outside.post(messages(1, number="777")) == 200
    with psycopg.connect(dsns.owner, autocommit=True) as conn:
        conn.execute("UPDATE channels SET number = '777' WHERE number = %s", [OTHER_NUMBER])
    assert await outside.post(messages(2, number="777")) == 200
    assert [row["tenant_id"] for row in outside.rows()] == [None, tenants.other.id]


async def test_one_tenant_s_app_can_say_nothing_about_another_tenant_s_number(
    outside: Outside, tenants: Tenants
) -> None:
    own = f"{PATH}/ch_own"
    assert await outside.post(messages(1, number="100000000000298"), path=own) == 401  # the installation's secret
    assert await outside.post(messages(1, number="100000000000298"), path=own, secret="segredo-próprio") == 200
    forged = messages(2)  # tenant one's number, signed by the other's app
    assert await outside.post(forged, secret="segredo-próprio") == 401
    assert await outside.post(forged, path=own, secret="segredo-próprio") == 200
    assert await outside.post(messages(2)) == 200  # the real one is not in its way
    assert [(row["key"], row["tenant_id"]) for row in outside.rows()] == [
        ("wamid.1", tenants.other.id),
        ("wamid.2", None),
        ("wamid.2", tenants.one.id),
    ]
    for path in (f"{PATH}/ch_1", f"{PATH}/unknown"):  # two tenants have a channel of that id; nobody has
        assert await outside.post(messages(3), path=path) == 404


# --- who may post ---------------------------------------------------------------------------------


async def test_only_the_exact_bytes_with_the_one_signature_of_our_app_come_in(outside: Outside) -> None:
    raw = messages(1)
    right = sign(SECRET, raw)
    kind = ("content-type", "application/json")
    wrong: list[list[tuple[str, str]]] = [
        [],
        [(HEADER, "")],
        [(HEADER, right), (HEADER, right)],
        [(HEADER, right.upper())],
        [(HEADER, right.replace("sha256=", "SHA256="))],
        [(HEADER, right.replace("sha256=", "sha1="))],
        [(HEADER, right.removeprefix("sha256="))],
        [(HEADER, f"{right},{right}")],
        [(HEADER, right[:-1])],
        [(HEADER, sign("segredo-de-outro-app", raw))],
        [(HEADER, sign("segredo-próprio", raw))],
        [("X-Hub-Signature", right)],
        [(HEADER, "sha256=" + "é" * 64)],
    ]
    for headers in wrong:
        told = [kind, *headers]
        sent = [(name.encode(), text.encode("latin-1")) for name, text in told]
        assert (await outside.http.post(PATH, content=raw, headers=sent)).status_code == 401, headers
    for at in random.Random(5).sample(range(len(raw)), 40):
        flipped = raw[:at] + bytes([raw[at] ^ 1 << at % 8]) + raw[at + 1 :]
        assert await outside.post(flipped, headers=dict([kind, (HEADER, right)])) == 401
    for spot in range(7, len(right)):
        other = right[:spot] + ("0" if right[spot] != "0" else "1") + right[spot + 1 :]
        assert await outside.post(raw, headers=dict([kind, (HEADER, other)])) == 401
    assert outside.rows() == []
    assert await outside.post(raw) == 200


async def test_without_the_app_s_secret_there_is_no_such_route(
    inbox: Inbox, database: Database, clock: FixedClock, dsns: Dsns
) -> None:
    closed = Outside(WhatsAppDoor(inbox, Numbers(database), clock, app_secret="", verify_token=TOKEN), dsns.owner)
    raw = messages(1)
    assert await closed.post(raw) == 404
    assert await closed.post(raw, headers={"content-type": "application/json"}) == 404
    query = {"hub.mode": "subscribe", "hub.verify_token": TOKEN, "hub.challenge": "1"}
    assert (await closed.http.get(PATH, params=query)).status_code == 404
    assert closed.rows() == []


async def test_the_handshake_answers_the_challenge_to_our_token_alone(outside: Outside) -> None:
    right = {"hub.mode": "subscribe", "hub.verify_token": TOKEN, "hub.challenge": "1158201444"}
    answer = await outside.http.get(PATH, params=right)
    assert (answer.status_code, answer.text) == (200, "1158201444")
    assert answer.headers["content-type"].startswith("text/plain")
    for change in (
        {"hub.verify_token": "outro"},
        {"hub.verify_token": ""},
        {"hub.verify_token": TOKEN + "\0"},
        {"hub.mode": "unsubscribe"},
        {"hub.challenge": ""},
        {"hub.challenge": "x" * 201},
        {"hub.challenge": "é"},
    ):
        assert (await outside.http.get(PATH, params=right | change)).status_code == 403, change
    assert (await outside.http.get(PATH)).status_code == 403
    for method in ("PUT", "DELETE", "HEAD", "PATCH"):
        assert (await outside.http.request(method, PATH)).status_code == 405


async def test_paths_that_are_nobody_s_are_not_found_and_other_doors_keep_theirs(outside: Outside) -> None:
    for path in ("/webhooks/", "/webhooks/evolution/ch_1", "/webhooks/other", "/webhooks//whatsapp"):
        assert await outside.post(messages(1), path=path) == 404
    assert await outside.post(messages(1), path=f"{PATH}/") == 200  # as some write it
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append((scope["type"], scope.get("path")))

    both = in_front(app, outside.door)
    for scope in ({"type": "http", "path": "/webhooksx"}, {"type": "lifespan"}, {"type": "websocket", "path": PATH}):
        await both(scope, None, None)  # type: ignore[arg-type]
    assert seen == [("http", "/webhooksx"), ("lifespan", None), ("websocket", PATH)]


# --- bad input ------------------------------------------------------------------------------------

BROKEN: dict[str, bytes] = {
    "nothing": b"",
    "no JSON": b"<html>oi</html>",
    "cut JSON": messages(1)[:-5],
    "an array": b"[]",
    "null": b"null",
    "a number": b"9" * 5_000,
    "no text": b"\xff\xfe\x00",
    "another product": b'{"object": "page", "entry": []}',
    "no entries": b'{"object": "whatsapp_business_account"}',
    "entries that are none": b'{"object": "whatsapp_business_account", "entry": 7}',
    "nested without end": b"[" * 100_000,
    "nested deeply": b"[" * 100_000 + b"]" * 100_000,
}


@pytest.mark.parametrize("name", BROKEN)
async def test_a_signed_body_that_is_no_webhook_is_told_so_and_leaves_nothing(outside: Outside, name: str) -> None:
    assert await outside.post(BROKEN[name]) == 400
    assert outside.rows() == []


async def test_one_odd_item_is_kept_unread_and_takes_no_sibling_along(outside: Outside) -> None:
    odd: dict[str, bytes] = {
        **{name: json.dumps(bad).encode() for name, bad in BAD.items()},
        "surrogate": rb'{"id": "wamid.\ud800", "from": "1", "type": "text", "text": {"body": "\udfff\u0000"}}',
        "NUL": rb'{"id": "wamid.nul\u0000", "from": "1\u0000", "type": "\u0000", "\u0000": 1}',
        "deep": b'{"id": ' + b"[" * 10_000 + b"]" * 10_000 + b"}",
        "digits": b'{"id": "wamid.digits", "from": "1", "timestamp": ' + b"9" * 4_000 + b"}",
        "float": b'{"id": "wamid.1e", "from": "1", "timestamp": 1e999, "x": NaN, "y": -Infinity}',
        "bytes": b'{"id": "wamid.bytes\xff", "from": "1", "type": "text"}',
        "key": json.dumps({"id": "wamid." + "k" * 15_000, "from": "1"}).encode(),
        "keys": json.dumps({"id": "wamid." + "k" * 15_001, "from": "1"}).encode(),
        "emoji": json.dumps({"id": "wamid.👍", "from": "1", "type": "text", "text": {"body": "👍"}}).encode(),
        "rtl": json.dumps({"id": "wamid.rtl", "from": "1", "text": {"body": "‮مرحبا‬"}}).encode(),
        "64 KB": json.dumps({"id": "wamid.64", "from": "1", "text": {"body": "x" * 65_536}}).encode(),
        "next year's": json.dumps(
            {"id": "wamid.new", "from": "1", "type": "hologram", "hologram": {"x": [1]}}
        ).encode(),
    }
    for n, (name, raw) in enumerate(odd.items()):
        whole = body(entry(value(contacts=[contact()], messages=[message(2 * n), "ODD", message(2 * n + 1)])))  # type: ignore[list-item]
        assert await outside.post(whole.replace(b'"ODD"', raw)) == 200, name
        fresh = outside.rows()[-3:]
        assert [row["key"] for row in fresh[::2]] == [f"wamid.{2 * n}", f"wamid.{2 * n + 1}"], name
        reread(fresh[1]["item"])
    assert len(outside.rows()) == 3 * len(odd)
    assert {row["kind"] for row in outside.rows()} == {"message", "unread"}


async def test_bodies_of_another_kind_size_or_speed_are_refused(outside: Outside) -> None:
    raw = messages(1)
    for kind in ("text/plain", "", "application/x-www-form-urlencoded", "application/jsonp"):
        assert await outside.post(raw, kind=kind) == 415, kind
    zipped = gzip.compress(raw)
    headers = {HEADER: sign(SECRET, zipped), "content-type": "application/json", "content-encoding": "gzip"}
    assert await outside.post(zipped, headers=headers) == 415
    huge = raw + b" " * 4_000_000
    assert await outside.post(huge) == 413

    async def drip() -> Any:
        yield raw[:10]
        await asyncio.sleep(30)

    async def unsized() -> Any:
        for _ in range(50):
            yield b" " * 100_000

    signed = {HEADER: sign(SECRET, raw), "content-type": "application/json"}
    for content, told in ((drip(), 408), (unsized(), 413)):
        answer = await outside.http.post(PATH, content=content, headers=signed)
        assert (answer.status_code, answer.headers["connection"]) == (told, "close")
    assert outside.rows() == []
    assert await outside.post(raw, kind="application/json; charset=utf-8") == 200


# --- a database that is away ----------------------------------------------------------------------


async def test_without_the_database_nothing_is_acknowledged_and_with_it_all_goes_on_by_itself(
    wire: Wire, dsns: Dsns, database: Database, clock: FixedClock, tenants: Tenants
) -> None:
    inbox = Inbox(wire.dsn, clock, patience=0.5)
    await inbox.open()
    door = WhatsAppDoor(inbox, Numbers(database), clock, app_secret=SECRET, verify_token=TOKEN)
    outside = Outside(door, dsns.owner)
    assert await outside.post(messages(1)) == 200

    await wire.cut()
    began = time.monotonic()
    answer = await outside.http.post(
        PATH,
        content=messages(2),
        headers={HEADER: sign(SECRET, messages(2)), "content-type": "application/json"},
    )
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert set(await asyncio.gather(*(outside.post(messages(n)) for n in range(3, 40)))) == {503}
    await wire.up()
    assert await outside.post(messages(2)) == 200

    wire.hush()  # neither answer nor refusal
    assert set(await asyncio.gather(*(outside.post(messages(n)) for n in range(3, 40)))) == {503}
    assert time.monotonic() - began < 15  # refused at once, and after half a second of silence
    wire.speak()
    assert set(await asyncio.gather(*(outside.post(messages(n)) for n in range(3, 40)))) == {200}
    assert sorted(outside.keys()) == sorted(f"wamid.{n}" for n in range(1, 40))
    await inbox.close()
    assert await outside.post(messages(50)) == 503


async def test_the_doctor_says_whether_the_door_is_open_and_what_waits(
    outside: Outside, inbox: Inbox, clock: FixedClock
) -> None:
    def say(key: str, /, **params: object) -> str:
        return Texts.load().say("en", key, **params)

    async def told(**more: bool) -> list[tuple[str, str]]:
        found = await IntakeCheck(inbox, clock, say, **({"secret": True} | more)).run(live=False)
        return [(one.state, one.text) for one in found]

    assert [state for state, _ in await told()] == ["ok"]
    assert [state for state, _ in await told(secret=False)] == ["missing"]
    await outside.post(body(entry(value(messages=[message(1)]), value("999", messages=[message(2), message(3)]))))
    assert [state for state, _ in await told()] == ["note", "note"]
    clock.advance(timedelta(minutes=9))
    (late, why), (_, strangers) = await told()
    assert late == "broken" and "1 notice " in why and "for 9 minutes" in why
    assert strangers.startswith("2 notices came for numbers that nobody has connected")
