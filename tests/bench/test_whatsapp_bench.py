"""The benches of webhooks send what the door takes, at the rate they tell. How fast it is, is not tested."""

from bench import whatsapp_busy, whatsapp_intake
from integrations.whatsapp_cloud.signature import HEADER, verify
from integrations.whatsapp_cloud.webhooks import walk


def test_each_request_of_the_load_is_signed_and_has_one_message_of_its_own() -> None:
    keys = set()
    for number in (1, 2):
        head, _, body = whatsapp_intake.request(number).partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
        assert int(headers["content-length"]) == len(body)
        verify(whatsapp_intake.SECRET, body, headers[HEADER.lower()])
        (found,) = walk(body)
        assert (found.kind, found.number_id) == ("message", whatsapp_intake.NUMBER)
        keys.add(found.key)
    assert len(keys) == 2


def test_a_busy_house_gets_every_person_s_messages_and_statuses_in_between() -> None:
    found = [one for body in whatsapp_busy.bodies(16.0, 1) for one in walk(body)]
    assert len(found) == 16 * whatsapp_busy.RATE == len({one.key for one in found})
    writers = [one.stored["raw"]["from"] for one in found if one.kind == "message"]
    assert len(set(writers)) == whatsapp_busy.PEOPLE and len(writers) == 2 * whatsapp_busy.PEOPLE
    assert {one.kind for one in found} == {"message", "status"}
