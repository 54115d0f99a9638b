"""pywa, which we did not write, speaks with the simulator and reads its webhooks: the stand-in is no mirror of our own
misreadings. pywa reads single items that carry a user_id; batches and the older generation are ours alone."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from pywa import WhatsApp
from pywa import types as theirs
from pywa.errors import TooManyMessages
from pywa.types.base_update import RawUpdate
from pywa.types.templates import BodyText, TemplateLanguage

from integrations.whatsapp_cloud.webhooks import Echo, Message, Preference, Status
from tests.integrations.whatsapp_cloud.conftest import LEAD, NUMBER, WABA, Control, Ours

PNG = b"\x89PNG\r\n\x1a\n" + bytes(50)


@pytest.fixture
def pywa(control: Control) -> Iterator[WhatsApp]:
    client = WhatsApp(phone_id=NUMBER, token=control.secrets.token, waba_id=WABA, api_version=25.0)
    session = client.api._session  # it has no setting for another address
    session.base_url = httpx.URL(f"{control.url}/v25.0")
    yield client
    session.close()


def test_pywa_says_everything_to_the_simulator_that_whatsapp_takes(pywa: WhatsApp, control: Control) -> None:
    first = control.write("oi")["id"]
    person = theirs.Contact(
        name=theirs.Contact.Name(formatted_name="Ana", first_name="Ana"),
        phones=[theirs.Contact.Phone(phone="1", type="WORK")],
    )
    rows = theirs.SectionList("abrir", [theirs.Section("S", [theirs.SectionRow("r", "1", "d")])])
    sent = [
        pywa.send_message(LEAD, "oi", preview_url=True, tracker="k1"),
        pywa.send_message(LEAD, "oi", header="h", footer="f", buttons=[theirs.Button("a", "1")]),
        pywa.send_message(LEAD, "oi", buttons=rows),
        pywa.send_message(LEAD, "oi", buttons=theirs.URLButton("abrir", "https://e.co")),
        pywa.send_image(LEAD, PNG, caption="x", mime_type="image/png"),
        pywa.send_document(LEAD, "https://e.co/a.pdf", filename="a.pdf", caption="c"),
        pywa.send_voice(LEAD, "https://e.co/a.ogg"),
        pywa.send_sticker(LEAD, "https://e.co/a.webp"),
        pywa.send_location(LEAD, -22.9, -47.0, "n", "a"),
        pywa.send_contact(LEAD, person),
        pywa.send_template(
            LEAD, "retomar_conversa", TemplateLanguage.PORTUGUESE_BR, [BodyText.params("Ana", "mesas")]
        ),
        pywa.send_reaction(LEAD, "👍", first),
    ]  # fmt: skip
    assert len({one.id for one in sent}) == len(sent)
    assert pywa.mark_message_as_read(first) and pywa.indicate_typing(first)
    kinds = [one["body"]["type"] for one in control.thread() if one["id"] in {known.id for known in sent}]
    assert kinds == [
        "text", "interactive", "interactive", "interactive", "image", "document", "audio", "sticker", "location",
        "contacts", "template", "reaction",
    ]  # fmt: skip
    assert {one.name for one in pywa.get_templates()} >= {"primeiro_contato", "retomar_conversa"}
    assert pywa.get_business_phone_number().id == NUMBER

    picture = {"content": base64.b64encode(PNG).decode(), "mime_type": "image/png"}
    media_id = control.write(type="image", image=picture)["body"]["image"]["id"]
    assert pywa.get_media_bytes(url=pywa.get_media_url(media_id).url) == PNG
    control.fail("error", code=131056, status=400)
    with pytest.raises(TooManyMessages):
        pywa.send_message(LEAD, "oi")


def test_pywa_reads_the_webhooks_of_the_simulator_as_we_do(pywa: WhatsApp, control: Control, ours: Ours) -> None:
    control.ask("/__config", identity="both", statuses="read")
    of = {"context": {"id": "wamid.x"}}
    sound = {"content": base64.b64encode(b"OggS" + bytes(30)).decode(), "mime_type": "audio/ogg", "voice": True}
    control.write("texto")
    control.write(type="audio", audio=sound)
    button = {"type": "button_reply", "button_reply": {"id": "1", "title": "a"}}
    control.write(type="interactive", interactive=button, **of)
    row = {"id": "1", "title": "a", "description": "d"}
    control.write(type="interactive", interactive={"type": "list_reply", "list_reply": row}, **of)
    control.write(type="button", button={"payload": "1", "text": "a"}, **of)
    control.write(type="location", location={"latitude": 1.0, "longitude": 2.0})
    control.write(type="reaction", reaction={"message_id": "wamid.x", "emoji": "👍"})
    control.write("anúncio", referral={
        "source_url": "u", "source_id": "1", "source_type": "ad", "headline": "h", "body": "b", "media_type": "image",
        "image_url": "i", "ctwa_clid": "z",
    })  # fmt: skip
    pywa.send_message(LEAD, "resposta", tracker="k2")
    control.ask("/__phone/prefer", contact=LEAD, value="stop")
    control.ask("/__phone/echo", contact=LEAD, text="eu")
    control.ask("/__template", waba_id=WABA, name="retomar_conversa", language="pt_BR", event="APPROVED", reason="NONE")
    control.fail("status", code=131026)
    pywa.send_message(LEAD, "falha")
    control.settle()

    assert len(ours.posts) >= 15 and not ours.unsigned
    pairs = list(zip([_read(pywa, raw) for raw in ours.posts], ours.items, strict=True))
    names = [type(read).__name__ for read, _ in pairs]
    assert set(names) == {
        "Message", "CallbackButton", "CallbackSelection", "MessageStatus", "UserMarketingPreferences",
        "OutgoingMessage", "TemplateStatusUpdate",
    }  # fmt: skip
    for read, item in pairs:
        match item:
            case Message():
                assert (read.id, read.from_user.wa_id) == (item.id, item.sender.wa_id)
                assert read.from_user.bsuid == item.sender.user_id
                assert item.sent_at is not None
                assert int(read.timestamp.timestamp()) == int(item.sent_at.timestamp())
            case Status():
                assert read.id == item.message_id
                assert str(read.status.value if hasattr(read.status, "value") else read.status) == item.status
            case Echo():
                assert (read.id, read.text) == (item.id, "eu")
            case Preference():
                assert read.from_user.wa_id == item.person.wa_id
    advertised = next(read for read, _ in pairs if getattr(read, "text", None) == "anúncio")
    assert advertised.referral.ctwa_clid == "z"
    failed = [read for read, item in pairs if isinstance(item, Status) and item.status == "failed"]
    assert failed and failed[0].error.code == 131026


def _read(pywa: WhatsApp, raw: bytes) -> Any:
    assert json.loads(raw)["object"] == "whatsapp_business_account"
    update = RawUpdate(raw, hmac_header=None, update_hash="")
    kind = pywa._get_handler_type(update)
    assert kind is not None, raw
    return pywa._handlers_to_updates[kind].from_update(client=pywa, update=update)
