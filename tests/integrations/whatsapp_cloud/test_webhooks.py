"""Everything that Meta posts is read, item by item; what cannot be read is kept and takes nothing along."""

import dataclasses
import json
import random
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from core.errors import ArgumentsWrong
from integrations.whatsapp_cloud import webhooks
from integrations.whatsapp_cloud.webhooks import (
    Choice,
    Contacts,
    Echo,
    Edit,
    Failure,
    FlowReply,
    Item,
    Media,
    Message,
    Notice,
    Order,
    Place,
    Preference,
    Reaction,
    Revoke,
    Status,
    System,
    TemplateUpdate,
    Text,
    Unknown,
    Unread,
    Unsupported,
    parse,
)
from tests.integrations.whatsapp_cloud.posts import (
    DISPLAY,
    NUMBER,
    PHONE,
    USER,
    WABA,
    body,
    contact,
    entry,
    message,
    one,
    status,
    value,
)

SENT_AT = datetime.fromtimestamp(1763650000, UTC)
FILE = {"id": "1003383421387256", "mime_type": "image/jpeg", "sha256": "SfInY0gGKTsJlUWbwxC1k+FAD0FZHvzwfpvO0zX0GUI="}


def only(raw: bytes) -> Any:
    found = parse(raw)
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize(
    ("generation", "wa_id", "user_id", "username"),
    [("phone", PHONE, None, None), ("both", PHONE, USER, None), ("user", None, USER, "ana.arq")],
)
def test_a_message_of_each_generation_names_its_number_and_its_sender(
    generation: str, wa_id: str | None, user_id: str | None, username: str | None
) -> None:
    raw = body(entry(value(contacts=[contact(generation)], messages=[message(generation=generation)])))
    found = only(raw)
    assert isinstance(found, Message)
    assert (found.where.waba_id, found.where.number_id, found.where.display_number) == (WABA, NUMBER, DISPLAY)
    assert (found.sender.wa_id, found.sender.user_id) == (wa_id, user_id)
    assert (found.sender.name, found.sender.username) == ("Ana", username)
    assert (found.id, found.key, found.sent_at, found.content) == ("wamid.1", "wamid.1", SENT_AT, Text("oi 1"))


def test_the_number_and_the_id_of_a_contact_may_differ_and_both_are_kept() -> None:
    listed = contact("phone") | {"wa_id": "551999990001"}  # registered without the ninth digit
    found = only(body(entry(value(contacts=[listed], messages=[message(generation="phone")]))))
    assert (found.sender.wa_id, found.sender.phone, found.sender.name) == ("551999990001", PHONE, "Ana")
    two = [message(1, "phone"), message(2, "phone") | {"from": "5519999990002"}]
    first, second = parse(body(entry(value(contacts=[listed], messages=two))))
    assert isinstance(first, Message) and isinstance(second, Message)
    assert (first.sender.wa_id, second.sender.wa_id) == (PHONE, "5519999990002")  # whose contact it is, is not sure


def file(kind: str, **more: Any) -> Media:
    plain = Media(kind, FILE["id"], FILE["mime_type"], FILE["sha256"], None, None, False, False, None)
    return dataclasses.replace(plain, **more)


CONTENTS: dict[str, tuple[dict[str, Any], Any]] = {
    "image": ({"image": FILE | {"caption": "fachada"}}, file("image", caption="fachada")),
    "audio": ({"audio": FILE | {"voice": True}}, file("audio", voice=True)),
    "document": ({"document": FILE | {"filename": "a.pdf"}}, file("document", filename="a.pdf")),
    "sticker": ({"sticker": FILE | {"animated": True}}, file("sticker", animated=True)),
    "location": ({"location": {"latitude": -22.9, "longitude": -47.06}}, Place(-22.9, -47.06, None, None, None)),
    "button": ({"button": {"payload": "SIM", "text": "Sim"}}, Choice("template", "SIM", "Sim", None)),
    "reaction": ({"reaction": {"message_id": "wamid.9", "emoji": "👍"}}, Reaction("wamid.9", "👍")),
    "revoke": ({"revoke": {"original_message_id": "wamid.9"}}, Revoke("wamid.9")),
    "unsupported": ({"unsupported": {"type": "poll"}, "errors": [{"code": 131051}]}, Unsupported("poll")),
    "edit": (
        {"edit": {"original_message_id": "wamid.9", "message": {"type": "text", "text": {"body": "ops"}}}},
        Edit("wamid.9", Text("ops")),
    ),
    "interactive": (
        {"interactive": {"type": "list_reply", "list_reply": {"id": "1", "title": "9h", "description": "Ana"}}},
        Choice("list", "1", "9h", "Ana"),
    ),
    "system": (
        {"system": {"type": "user_changed_number", "body": "mudou", "wa_id": "551988887777"}},
        System("user_changed_number", "mudou", "551988887777", None),
    ),
    "order": (
        {"order": {"catalog_id": "7", "text": "", "product_items": [{"quantity": 2}]}},
        Order("7", None, ({"quantity": 2},)),
    ),
    "poll_creation": ({"poll_creation": {"name": "?"}}, Unknown("type")),
}


@pytest.mark.parametrize("kind", CONTENTS)
def test_every_type_of_message_is_read_and_an_unknown_one_is_kept_whole(kind: str) -> None:
    raw, content = CONTENTS[kind]
    found = only(one(type=kind, **raw))
    assert (found.kind, found.content) == (kind, content)
    assert raw.items() <= found.raw.items()


def test_replies_taps_forwards_and_ads_are_told_with_the_message() -> None:
    ad = {"source_type": "ad", "source_id": "120226305854810726", "ctwa_clid": "Aff-n8", "headline": "Fale conosco"}
    found = only(one(context={"from": DISPLAY, "id": "wamid.0"}, referral=ad | {"welcome_message": {"text": "Oi!"}}))
    assert found.reply_to == "wamid.0"
    assert (found.referral.source_id, found.referral.ctwa_clid, found.referral.welcome_text) == (
        "120226305854810726",
        "Aff-n8",
        "Oi!",
    )
    assert only(one(context={"frequently_forwarded": True})).forwarded
    flow = {"type": "nfm_reply", "nfm_reply": {"name": "flow", "body": "Sent", "response_json": '{"a":1}'}}
    assert only(one(type="interactive", interactive=flow)).content == FlowReply("flow", "Sent", '{"a":1}')
    cards = [{"name": {"formatted_name": "Rui"}, "phones": [{"phone": "+55 19", "wa_id": "5519"}]}]
    assert isinstance(only(one(type="contacts", contacts=cards)).content, Contacts)


def test_two_entries_of_three_changes_of_ten_messages_are_sixty_messages_and_a_thousand_statuses_too() -> None:
    number = 0
    entries = []
    for waba in ("1", "2"):
        values = []
        for _ in range(3):
            numbers = range(number, number := number + 10)
            values.append(value(contacts=[contact()], messages=[message(n) for n in numbers]))
        entries.append(entry(*values, waba=waba))
    found = parse(body(*entries))
    assert [item.key for item in found] == [f"wamid.{n}" for n in range(60)]
    assert found[47].where.waba_id == "2"
    many = parse(body(entry(value(statuses=[status(n, "delivered") for n in range(1_000)]))))
    assert len({item.key for item in many}) == 1_000


def test_statuses_carry_our_mark_their_price_and_their_error() -> None:
    priced = {"pricing": {"billable": True, "category": "marketing"}, "biz_opaque_callback_data": "out_7"}
    sent, failed = parse(
        body(
            entry(
                value(
                    statuses=[
                        status(1, "sent", **priced),
                        status(2, "failed", errors=[{"code": 131047, "title": "Re-engagement message"}]),
                    ]
                )
            )
        )
    )
    assert isinstance(sent, Status) and isinstance(failed, Status)
    assert (sent.status, sent.callback_data, sent.billable, sent.category) == ("sent", "out_7", True, "marketing")
    assert (sent.key, sent.recipient_wa_id, sent.at) == ("status:wamid.1:sent", PHONE, SENT_AT)
    assert [problem.code for problem in failed.problems] == [131047]
    hidden = status(3, "read") | {"recipient_id": None, "recipient_user_id": USER}
    assert only(body(entry(value(statuses=[hidden])))).recipient_user_id == USER


def test_what_is_no_message_is_read_by_its_field_and_an_unknown_field_is_kept() -> None:
    stop = {"wa_id": PHONE, "category": "marketing_messages", "value": "stop", "timestamp": 1763650000}
    echo = {"from": DISPLAY, "to": PHONE, "id": "wamid.e", "timestamp": "1", "type": "text", "text": {"body": "eu"}}
    template = {"event": "REJECTED", "message_template_id": 7, "message_template_name": "oferta", "reason": "PROMO"}
    quality = {"new_quality_score": "RED", "previous_quality_score": "GREEN", "message_template_name": "oferta"}
    found = parse(
        body(
            entry(value(user_preferences=[stop], contacts=[contact()]), field="user_preferences"),
            entry(value(message_echoes=[echo], contacts=[contact()]), field="smb_message_echoes"),
            entry(template, field="message_template_status_update"),
            entry(quality, field="message_template_quality_update"),
            entry({"event": "ACCOUNT_RESTRICTION"}, field="account_update"),
            entry(value(calls=[{"id": "wacid.1"}], errors=[{"code": 1}]), field="calls"),
            entry({"anything": [1]}, field="of_next_year"),
            entry(value(errors=[{"code": 131000, "title": "Something went wrong"}])),
        )
    )
    kinds = [Preference, Echo, TemplateUpdate, TemplateUpdate, Notice, Notice, Notice, Failure]
    assert [type(item) for item in found] == kinds
    wish, said, rejected, worse, restricted, call, unknown, failure = found
    assert isinstance(wish, Preference) and (wish.value, wish.person.user_id) == ("stop", USER)
    assert isinstance(said, Echo) and (said.to.wa_id, said.content) == (PHONE, Text("eu"))
    assert isinstance(rejected, TemplateUpdate)
    assert (rejected.template_id, rejected.value, rejected.reason) == ("7", "REJECTED", "PROMO")
    assert isinstance(worse, TemplateUpdate) and (worse.value, worse.previous) == ("RED", "GREEN")
    assert isinstance(restricted, Notice) and restricted.event == "ACCOUNT_RESTRICTION"
    assert isinstance(call, Notice) and "calls" in call.raw
    assert isinstance(unknown, Notice) and (unknown.where.field, unknown.raw) == ("of_next_year", {"anything": [1]})
    assert isinstance(failure, Failure) and failure.problem.code == 131000


BAD: dict[str, Any] = {
    "null": None,
    "a number": 7,
    "a list": [[]],
    "no id": {"from": PHONE, "type": "text"},
    "a number as id": {"from": PHONE, "id": 7, "type": "text"},
    "nobody's": {"id": "wamid.x", "type": "text", "text": {"body": "oi"}},
    "a list as sender": {"id": "wamid.x", "from": [PHONE]},
}


@pytest.mark.parametrize("name", BAD)
def test_one_bad_item_is_kept_and_its_siblings_are_read(name: str) -> None:
    bad = BAD[name]
    people = [contact(), contact() | {"wa_id": "551", "user_id": "BR.2"}]
    mixed = value(contacts=people, messages=[message(1), bad, message(2)], statuses=[status(3, "sent"), None])
    found = parse(body(entry(mixed), {"changes": "none"}, entry(value(messages=[message(4)]))))
    assert [item.key for item in found if isinstance(item, Message)] == ["wamid.1", "wamid.2", "wamid.4"]
    unread = [item for item in found if isinstance(item, Unread)]
    assert len(unread) == 3
    assert unread[0].raw == bad
    assert [item.key for item in found if isinstance(item, Status)] == ["status:wamid.3:sent"]


def test_a_message_whose_content_is_broken_is_still_a_message() -> None:
    for content in ({"text": None}, {"text": {"body": 7}}, {"text": {"body": None}}, {}):
        found = only(one(type="text", **content))
        assert isinstance(found.content, Unknown)
        assert (found.id, found.kind) == ("wamid.1", "text")
    assert only(one(timestamp="amanhã")).sent_at is None
    assert only(one(timestamp="99999999999")).sent_at is None


def test_the_key_is_the_same_in_other_bytes_another_order_and_another_batch() -> None:
    parts = [
        entry(value(contacts=[contact()], messages=[message(1)])),
        entry(value(statuses=[status(1, "read")])),
        entry(value(user_preferences=[{"wa_id": PHONE, "value": "stop"}]), field="user_preferences"),
        entry({"event": "APPROVED", "message_template_name": "a"}, field="message_template_status_update"),
        entry({"x": 1, "y": [None, "á"]}, field="of_next_year"),
    ]
    together = [item.key for item in parse(body(*parts))]
    assert len(set(together)) == 5
    for raw, key in zip(parts, together, strict=True):
        turned = json.dumps(json.loads(body(raw)), indent=2, sort_keys=True, ensure_ascii=False)
        assert only(turned.encode()).key == key


def test_numbers_keep_all_their_digits() -> None:
    long = 12_345_678_901_234_567_890_123
    numbers = [0, -1, 2**53 + 1, 10**18 - 1, 10**18, -(10**18), 2**64, long, -long, 0.1, 1e300]
    notice = only(body(entry({"numbers": numbers, "said": f"No. {long}"}, field="of_next_year")))
    assert isinstance(notice, Notice)
    told = notice.raw["numbers"]
    assert [str(one) for one in told] == [str(one) for one in numbers]  # what no integer of a database holds is a text
    assert all(isinstance(one, int | float) for one in told[:5]) and notice.raw["said"] == f"No. {long}"


def test_nul_and_lone_surrogates_become_what_a_database_can_keep() -> None:
    raw = one(text={"body": "X"}, type="text").replace(b'"X"', rb'"a\u0000b\ud800c\ud83d\ude0a"')
    found = only(raw)
    assert found.content == Text("a\ufffdb\ufffdc😊")
    json.dumps(found.raw, ensure_ascii=False).encode()
    assert only(one(text={"body": "X"}, type="text").replace(b'"X"', b'"\xff\xfe"')).content == Text("\ufffd\ufffd")


def test_deep_nesting_and_endless_numbers_take_nothing_along() -> None:
    deep = b"[" * 200 + b"]" * 200
    raw = body(entry(value(contacts=[contact()], messages=[message(1), "DEEP", message(2)])))
    first, unread, second = parse(raw.replace(b'"DEEP"', b'{"id": ' + deep + b"}"))
    assert isinstance(unread, Unread) and (unread.reason, unread.raw) == ("deep", None)
    assert (first.key, second.key) == ("wamid.1", "wamid.2")
    other = parse(raw.replace(b'"DEEP"', b'{"id": ' + deep + b', "a": 1}'))[1]
    assert other.key != unread.key
    for number in (b"9" * 5_000, b"1e999", b"NaN", b"-Infinity"):
        assert [item.key for item in parse(raw.replace(b'"DEEP"', b'{"id": ' + number + b"}"))][::2] == [
            "wamid.1",
            "wamid.2",
        ]


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "json"),
        (b"\xff\x00", "json"),
        (b"<html>", "json"),
        (b'{"object": ', "json"),
        (b"[" * 100_000, "json"),
        (b"[]", "object"),
        (b"null", "object"),
        (b'{"object": "page", "entry": []}', "object"),
        (b'{"object": "whatsapp_business_account"}', "entry"),
        (b'{"object": "whatsapp_business_account", "entry": {}}', "entry"),
    ],
)
def test_what_is_no_whatsapp_webhook_is_refused_by_name(raw: bytes, reason: str) -> None:
    with pytest.raises(ArgumentsWrong) as refused:
        parse(raw)
    assert (refused.value.code, refused.value.params["reason"]) == ("whatsapp_webhook_broken", reason)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
WHOLE = json.loads(
    body(
        entry(
            value(
                contacts=[contact()],
                messages=[message(1, type=kind, **raw) for kind, (raw, _) in CONTENTS.items()],
                statuses=[status(1, "failed", errors=[{"code": 1, "error_data": {"details": "x"}}])],
            )
        ),
        entry({"event": "APPROVED", "message_template_name": "a"}, field="message_template_status_update"),
    )
)


def _spots(part: Any) -> list[tuple[Any, Any]]:
    keys = list(part) if isinstance(part, dict) else list(range(len(part))) if isinstance(part, list) else []
    return [(part, key) for key in keys] + [spot for key in keys for spot in _spots(part[key])]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 10**6), junk=JSON)
@example(seed=1, junk="\ud800")
def test_whatever_stands_anywhere_in_a_body_nothing_breaks_and_no_other_message_is_lost(seed: int, junk: Any) -> None:
    hostile = json.loads(json.dumps(WHOLE))
    messages = hostile["entry"][0]["changes"][0]["value"]["messages"]
    for number, raw in enumerate(messages):
        raw["id"] = f"wamid.{number}"
    victim = random.Random(seed).choice(messages)
    kept = {raw["id"] for raw in messages if raw is not victim}
    holder, key = random.Random(seed).choice([(messages, messages.index(victim)), *_spots(victim)])
    holder[key] = junk
    found: list[Item] = parse(json.dumps(hostile).encode())
    assert kept <= {item.key for item in found if isinstance(item, Message)}
    assert len(found) >= len(WHOLE["entry"][0]["changes"][0]["value"]["messages"]) + 2
    for item in found:
        assert "\x00" not in json.dumps(item.raw, ensure_ascii=False).encode().decode()


@settings(max_examples=40, deadline=None)
@given(raw=st.binary(max_size=200) | JSON.map(lambda one: json.dumps(one).encode()))
def test_any_bytes_are_read_or_refused_by_name(raw: bytes) -> None:
    code = None
    try:
        webhooks.parse(raw)
    except ArgumentsWrong as refused:
        code = refused.code
    assert code in (None, "whatsapp_webhook_broken")


# --- walked first, read later ---------------------------------------------------------------------


def _walked(raw: bytes) -> list[Item]:
    """What `walk` found, after it has lain in a database as JSON."""
    found = webhooks.walk(raw)
    assert [one.key for one in found] == [item.key for item in parse(raw)]
    return [webhooks.reread(json.loads(json.dumps(one.stored))) for one in found]


KINDS = {
    Message: "message",
    Echo: "echo",
    Status: "status",
    Failure: "failure",
    Preference: "preference",
    TemplateUpdate: "template",
    Notice: "notice",
    Unread: "unread",
}


def test_what_is_walked_first_and_read_later_is_what_is_read_at_once() -> None:
    people = [contact(), {"wa_id": "551", "user_id": "BR.2", "profile": {"name": "Rui", "username": "rui"}}]
    listed = contact("phone") | {"wa_id": "551999990001"}
    group = status(7, "read", recipient_type="group", recipient_participant_id=PHONE)
    echo = {"from": DISPLAY, "to": PHONE, "id": "wamid.e", "timestamp": "1", "type": "text", "text": {"body": "eu"}}
    stop = {"wa_id": PHONE, "category": "marketing_messages", "value": "stop", "timestamp": 1763650000}
    deep: Any = []
    for _ in range(60):
        deep = [deep]
    raw = body(
        *(entry(value(contacts=[contact(g)], messages=[message(generation=g)])) for g in ("phone", "both", "user")),
        entry(value(contacts=[listed], messages=[message(1, "phone")])),
        entry(value(contacts=people, messages=[message(1), message(2) | {"from": "551"}])),
        entry(value(contacts=people, messages=[message(1), None, {"id": 7}, {"id": deep}])),
        entry(value(contacts=[contact("user")], statuses=[status(5, "sent") | {"recipient_id": None}, group])),
        entry(value(contacts=people, statuses=[status(5, "sent"), {"id": "x"}])) | {"time": 1763650009},
        entry(value(contacts=people, errors=[{"code": 1}, 7])),
        entry(value(message_echoes=[echo], contacts=[contact()]), field="smb_message_echoes"),
        entry(value(user_preferences=[stop, {"value": "stop"}], contacts=[contact()]), field="user_preferences"),
        entry({"event": "REJECTED", "message_template_name": "a"}, {}, field="message_template_status_update"),
        entry(value(calls=[{"id": "wacid.1"}], contacts=[contact()]), {"deep": deep}, field="calls"),
        entry(value(messages={"id": "1"}, statuses="?")),
        {"id": WABA, "changes": [None, {"field": "messages"}]},
        {"id": WABA},
        None,
    )  # fmt: skip
    items = parse(raw)
    assert {type(item) for item in items} == set(KINDS)
    assert _walked(raw) == items
    for found, item in zip(webhooks.walk(raw), items, strict=True):
        assert (found.kind, found.number_id) == (KINDS[type(item)], item.where.number_id)
        assert found.waba_id == item.where.waba_id


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 10**6), junk=JSON)
@example(seed=1, junk="\ud800")
def test_whatever_stands_anywhere_a_walk_finds_what_reading_finds(seed: int, junk: Any) -> None:
    hostile = json.loads(json.dumps(WHOLE))
    holder, key = random.Random(seed).choice(_spots(hostile["entry"]))
    holder[key] = junk
    raw = json.dumps(hostile).encode()
    assert _walked(raw) == parse(raw)


def test_an_item_nested_ten_thousand_deep_takes_nothing_along() -> None:
    raw = body(entry(value(contacts=[contact()], messages=[message(1), "DEEP", message(2), "END"])))
    for opening, closing in ((b"[", b"]"), (b'{"a":', b"}")):
        deep = opening * 10_000 + b"0" + closing * 10_000
        hostile = raw.replace(b'"DEEP"', b'{"id": ' + deep + b', "t": "\\"[[{"}').replace(b'"END"', deep)
        found = parse(hostile)
        assert [type(item) for item in found] == [Message, Unread, Message, Unread]
        assert len({item.key for item in found}) == 4
        assert _walked(hostile) == found


def test_what_walk_never_gave_is_refused_by_name() -> None:
    for stored in ({}, {"list": "messages"}, {"list": "nothing", "raw": {}}, {"unread": "x", "raw": None}, {"raw": 7}):
        with pytest.raises(ArgumentsWrong) as refused:
            webhooks.reread(stored)
        assert refused.value.code == "whatsapp_item_broken"
