"""The WhatsApp on loopback: webhooks as Meta posts them, the phone's side, and a witness that forgets nothing."""

import base64
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from integrations.sandbox_chats import wa_id_of
from integrations.whatsapp_cloud import messages as say
from integrations.whatsapp_cloud.client import WhatsAppCloud
from integrations.whatsapp_cloud.simulator import launch
from integrations.whatsapp_cloud.simulator.state import ACCOUNTS, State
from integrations.whatsapp_cloud.webhooks import (
    Choice,
    Echo,
    Media,
    Message,
    Preference,
    Status,
    System,
    TemplateUpdate,
    Text,
)
from tests.integrations.whatsapp_cloud.conftest import LEAD, NUMBER, WABA, Control, Ours
from tests.integrations.whatsapp_cloud.posts import body, contact, entry, message, value

HELLO = say.text("Olá!")


@pytest.mark.parametrize("identity", ["phone", "both", "user"])
def test_what_a_contact_writes_comes_signed_and_in_the_words_of_each_generation(
    control: Control, ours: Ours, identity: str
) -> None:
    control.ask("/__config", identity=identity)
    written = control.write("Quanto custa?", name="Ana Souza")
    voice = {"content": base64.b64encode(b"OggS" + bytes(30)).decode(), "mime_type": "audio/ogg", "voice": True}
    control.write(type="audio", audio=voice)
    control.write(type="interactive", interactive={"type": "button_reply", "button_reply": {"id": "s", "title": "Sim"}})
    control.settle()
    text, sound, tap = ours.items
    assert isinstance(text, Message) and isinstance(sound, Message) and isinstance(tap, Message)
    assert (text.id, text.content, text.where.number_id) == (written["id"], Text("Quanto custa?"), NUMBER)
    assert (text.sender.wa_id is None, text.sender.user_id is None) == (identity == "user", identity == "phone")
    assert isinstance(sound.content, Media) and sound.content.voice
    assert tap.content == Choice("button", "s", "Sim", None)
    assert text.sender.name == "Ana Souza"
    assert ours.unsigned == []


async def test_a_message_of_ours_gets_its_statuses_with_our_mark(
    client: WhatsAppCloud, control: Control, ours: Ours
) -> None:
    control.write()
    sent = await client.send(NUMBER, LEAD, HELLO, callback_data="out_42")
    control.settle()
    statuses = [item for item in ours.items if isinstance(item, Status)]
    assert [one.status for one in statuses] == ["sent", "delivered"]
    assert {one.callback_data for one in statuses} == {"out_42"}
    control.ask("/__phone/read", contact=LEAD)
    control.ask("/__status", id=sent.message_id, status="sent")  # late, and out of order
    control.settle()
    last = [item.status for item in ours.items if isinstance(item, Status) and item.message_id == sent.message_id]
    assert last == ["sent", "delivered", "read", "sent"]


async def test_statuses_come_in_any_order_early_and_more_than_once(
    client: WhatsAppCloud, control: Control, ours: Ours
) -> None:
    control.write()
    control.settle()
    control.ask("/__config", early=True, statuses="read")
    ours.clear()
    sent = await client.send(NUMBER, LEAD, HELLO)
    assert [item.message_id for item in ours.items if isinstance(item, Status)] == [sent.message_id] * 3  # by now
    ours.clear()
    control.ask("/__config", early=False, paused=True, order="reverse", copies=3, batch=2)
    await client.send(NUMBER, LEAD, HELLO)
    assert control.get("/__hooks")["pending"] == 3
    assert ours.posts == []
    control.ask("/__config", paused=False)
    control.settle()
    told = [item.status for item in ours.items if isinstance(item, Status)]
    assert told == ["read", "delivered"] * 3 + ["sent"] * 3


async def test_free_words_outside_the_window_are_taken_and_fail_later(
    client: WhatsAppCloud, control: Control, ours: Ours
) -> None:
    stranger = "5519999990555"
    await client.send(NUMBER, stranger, HELLO)
    first = say.template("primeiro_contato", "pt_BR", body=["Ana", "Rui", "Aurora", "Vi seu anúncio."])
    await client.send(NUMBER, stranger, first)
    control.write("oi, pode falar", who=stranger)
    await client.send(NUMBER, stranger, HELLO)
    control.ask("/__config", shift=25 * 3600.0)
    await client.send(NUMBER, stranger, HELLO)
    control.settle()
    last = {item.message_id: item for item in ours.items if isinstance(item, Status)}
    assert [one.status for one in last.values()] == ["failed", "delivered", "delivered", "failed"]
    assert [[problem.code for problem in one.problems] for one in last.values()] == [[131047], [], [], [131047]]


async def test_a_contact_who_stopped_marketing_gets_none_and_a_fault_may_fail_any_message(
    client: WhatsAppCloud, control: Control, ours: Ours
) -> None:
    control.write()
    control.ask("/__phone/prefer", contact=LEAD, value="stop")
    first = say.template("primeiro_contato", "pt_BR", body=["Ana", "Rui", "Aurora", "Vi seu anúncio."])
    await client.send(NUMBER, LEAD, first)
    control.ask("/__phone/prefer", contact=LEAD, value="resume")
    control.fail("status", code=131026, body="nunca chega")
    await client.send(NUMBER, LEAD, say.text("isto nunca chega"))
    control.settle()
    assert [item.value for item in ours.items if isinstance(item, Preference)] == ["stop", "resume"]
    failed = [item for item in ours.items if isinstance(item, Status) and item.status == "failed"]
    assert [one.problems[0].code for one in failed] == [131050, 131026]


def test_a_person_writing_in_the_app_echoes_and_meta_s_decisions_about_templates_come(
    control: Control, ours: Ours
) -> None:
    control.write()
    control.ask("/__phone/echo", contact=LEAD, text="Oi, aqui é o Rui")
    control.ask("/__template", waba_id=WABA, name="retomar_conversa", language="pt_BR", event="PAUSED", reason="NONE")
    control.ask("/__template", waba_id=WABA, name="retomar_conversa", language="pt_BR", event="APPROVED")
    control.settle()
    _, echo, paused, approved = ours.items
    assert isinstance(echo, Echo) and echo.content == Text("Oi, aqui é o Rui")
    assert isinstance(paused, TemplateUpdate) and isinstance(approved, TemplateUpdate)
    assert [(one.name, one.value) for one in (paused, approved)] == [
        ("retomar_conversa", "PAUSED"),
        ("retomar_conversa", "APPROVED"),
    ]


def test_a_webhook_is_posted_until_it_is_taken(control: Control, ours: Ours) -> None:
    ours.answers += [503, 500, 429]
    control.write("com paciência")
    control.settle()
    assert len(ours.posts) == 4
    assert len({item.key for item in ours.items}) == 1


def test_anything_can_be_delivered_and_only_what_is_signed_comes_in(control: Control, ours: Ours) -> None:
    raw = body(entry(value(contacts=[contact()], messages=[message(1)]))).decode()
    answers = control.ask("/__deliver", body=raw, copies=20, at_once=True)["statuses"]
    assert answers == [200] * 20
    for wrong in (None, "sha256=" + "0" * 64):
        assert control.ask("/__deliver", body=raw, signature=wrong)["statuses"] == [401]
    assert (len(ours.posts), len(ours.unsigned)) == (20, 2)
    big = [entry(value(contacts=[contact()], messages=[message(n, text={"body": "x" * 2_000}) for n in range(1_200)]))]
    assert control.ask("/__deliver", entries=big)["statuses"] == [200]
    assert len(ours.posts[-1]) > 2_500_000
    assert len(ours.items) == 20 + 1_200


def test_an_address_must_answer_the_handshake_and_be_of_this_machine(control: Control, ours: Ours) -> None:
    for asked in (
        {"url": ours.url, "verify_token": "not ours"},
        {"url": "http://127.0.0.1:9/"},
        {"url": "https://example.org/hook"},
    ):
        assert httpx.post(f"{control.url}/__webhook", json=asked).status_code == 400
    page = {"origin": "https://evil.example"}
    assert httpx.post(f"{control.url}/__config", json={"copies": 9}, headers=page).status_code == 403
    assert httpx.post(f"{control.url}/__config", json={"nonsense": 9}).status_code == 400


def _lines(folder: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


async def test_the_witness_has_every_request_on_disk_even_when_killed_and_conversations_come_back(
    tmp_path: Path,
) -> None:
    first = launch.start(tmp_path)
    try:
        async with httpx.AsyncClient(verify=False) as http:
            client = WhatsAppCloud(http, launch.secrets_of(tmp_path).token, base_url=first.base_url)
            answer = await http.post(
                f"{first.base_url}/__phone/write", json={"from": LEAD, "type": "text", "text": {"body": "oi"}}
            )
            written = answer.json()
            sent = await client.send(NUMBER, LEAD, HELLO, callback_data="out_1")
            await http.post(f"{first.base_url}/__faults", json={"faults": [{"kind": "hang", "path": "messages"}]})
            with pytest.raises(Exception, match="lost"):
                await WhatsAppCloud(http, launch.secrets_of(tmp_path).token, base_url=first.base_url, timeout=0.2).send(
                    NUMBER, LEAD, HELLO, callback_data="out_2"
                )
    finally:
        first.process.kill()
        first.process.wait(10)
    requests = _lines(tmp_path, "witness.jsonl")
    assert [one["body"]["biz_opaque_callback_data"] for one in requests] == ["out_1", "out_2"]
    with (tmp_path / "journal.jsonl").open("a") as torn:
        torn.write('{"kind": "chat", "ch')
    state = State(tmp_path)
    assert [one.id for one in state.thread(NUMBER, LEAD)] == [written["id"], sent.message_id]
    assert state.chats[sent.message_id].status == "delivered"
    state.note("status", id=sent.message_id, status="read", at=1.0, code=None)
    state.close()
    again = State(tmp_path)
    assert again.chats[sent.message_id].status == "read"
    again.close()


def test_two_companies_have_numbers_of_their_own_and_some_numbers_lose_their_ninth_digit() -> None:
    assert len({account.number_id for account in ACCOUNTS} | {account.waba_id for account in ACCOUNTS}) == 4
    assert [wa_id_of(phone) for phone in (LEAD, "5531999990001", "553133330001")] == [
        LEAD,
        "553199990001",
        "553133330001",
    ]


def test_whatever_it_is_asked_it_answers_as_the_api_would(control: Control) -> None:
    token = {"authorization": f"Bearer {control.secrets.token}"}
    frame = {"messaging_product": "whatsapp", "recipient_type": "individual", "type": "text", "text": {"body": "x"}}
    bodies = [b"", b"[" * 10_000, b"\xff", *(json.dumps(one).encode() for one in (None, [], 7, {}, {"type": ["a"]}))]
    bodies += [json.dumps(frame | {"to": wrong}).encode() for wrong in (7, "\ud800", None)]
    with httpx.Client(base_url=control.url, headers=token, verify=False) as http:
        for raw in bodies:
            answer = http.post(f"/v26.0/{NUMBER}/messages", content=raw)
            assert answer.json()["error"]["code"] in (100, 131008, 131009)
        for path in (f"{WABA}/message_templates?limit=x", "1", f"{NUMBER}/media", ""):
            assert http.get(f"/v26.0/{path}").json()["error"]["code"] == 100
        assert http.get(f"/v26.0/{NUMBER}", headers={"authorization": "Bearer x"}).json()["error"]["code"] == 190
        assert http.get("/__witness").status_code == 200


async def test_a_phone_without_a_connection_gets_and_sends_when_it_is_back(
    control: Control, client: WhatsAppCloud, ours: Ours
) -> None:
    who = "5519988880001"
    control.write("oi", who)
    control.ask("/__phone/switch", contact=who, line="airplane")
    sent = await client.send(NUMBER, who, say.text("Bom dia!"))
    held = control.write("estou no avião", who)
    control.settle()
    assert held["held"] and [item.status for item in ours.items if isinstance(item, Status)] == ["sent"]
    assert control.ask("/__phone/read", contact=who) == {"read": 0}
    version = control.get("/__phone/view", contact=who)["version"]

    control.ask("/__phone/switch", contact=who, line="on")
    control.settle()
    view = control.get("/__phone/view", contact=who, since=str(version), seconds="5")
    assert view["version"] > version and view["hooks"]["pending"] == 0
    assert [one["held"] for one in view["thread"]["messages"]] == [False] * 3
    assert [(item.message_id, item.status) for item in ours.items if isinstance(item, Status)][1:] == [
        (sent.message_id, "delivered")
    ]
    assert ours.items[-1].id == held["id"]  # type: ignore[union-attr]

    control.ask("/__phone/switch", contact=who, line="off")
    with pytest.raises(AssertionError, match="off"):
        control.write("não sai", who)
    control.ask("/__phone/switch", contact=who, line="on")


async def test_a_contact_edits_takes_back_and_moves_to_another_number(
    control: Control, client: WhatsAppCloud, ours: Ours
) -> None:
    who = "5519988880002"
    first = control.write("quero 12 mesas", who, name="Rui")
    edit = {"original_message_id": first["id"], "message": {"type": "text", "text": {"body": "quero 13 mesas"}}}
    control.write(who=who, type="edit", edit=edit)
    control.write(who=who, type="revoke", revoke={"original_message_id": first["id"]})
    fresh = control.ask("/__phone/move", contact=who, to="5519988880003")
    control.settle()
    kinds = [type(item.content).__name__ for item in ours.items if isinstance(item, Message)]
    assert kinds == ["Text", "Edit", "Revoke", "System"] and fresh["name"] == "Rui"
    moved = ours.items[-1].content  # type: ignore[union-attr]
    assert isinstance(moved, System) and moved.new_wa_id == fresh["wa_id"]

    values = ["Rui", "Ana", "Aurora", "Vi a sua obra."]
    await client.send(NUMBER, who, say.template("primeiro_contato", "pt_BR", body=values))
    seen = control.thread(who)[-1]["seen"]
    assert seen["body"].startswith("Olá, Rui! Aqui é Ana, da Aurora. Vi a sua obra.")
    assert seen["footer"].startswith("Responda SAIR")
    assert [(one["kind"], one["payload"]) for one in seen["buttons"]] == [
        ("quick_reply", "Pode sim"),
        ("quick_reply", "Agora não"),
    ]
