"""Meetings with leads: how one meets, who is invited, whose clock it is, and what is said when nothing can be known."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from business.crm.identity import KeyKind
from business.crm.model import ContactData, Source
from business.sales.calendar import Slot
from business.sales.files import SAMPLE
from core.errors import MutiraoError, Refused, Unavailable
from tests.crews.sdr.talks import House, Talk

NO_HOW = "  how: link\n  link: https://ipe.example/conversa\n"


def playbook(house: House, how: str) -> None:
    """The sample's, with other words on how one meets."""
    folder = house.files.folder("agencia-ipe")
    folder.mkdir(parents=True, exist_ok=True)
    text = (SAMPLE / "playbook.yaml").read_text(encoding="utf-8")
    assert NO_HOW in text
    (folder / "playbook.yaml").write_text(text.replace(NO_HOW, how), encoding="utf-8")


async def booked(talk: Talk, *before: str) -> str:
    await talk.say("quero marcar uma conversa", *before)
    said = await talk.say("quinta às 15h")
    assert talk.findings == [] and "book_meeting" in talk.called, (said, talk.findings)
    return said


@pytest.mark.parametrize(
    ("how", "met", "told"),
    [
        ("  how: call\n", "call", "A gente te liga neste número."),
        ("  how: visit\n", "visit", "O endereço é Rua dos Ipês, 120, sala 4, Cambuí, Campinas (SP)."),
        ("", "later", "O time manda por aqui, antes, como a gente se encontra."),
    ],
)
async def test_a_lead_is_told_how_one_meets_as_the_company_says_and_else_the_owner_has_it_to_do(
    house: House, how: str, met: str, told: str
) -> None:
    playbook(house, how)
    talk = await house.talk(phone="551988112233")  # as WhatsApp registered it, without the ninth digit
    assert (await booked(talk)).endswith(told)
    result = next(one.result for one in talk.turn.results if one.name == "book_meeting")
    assert result is not None and result["how"] == met
    tasks = await house.crm.tasks(house.seller)
    assert [one.title for one in tasks] == (
        ["Dizer a Marina, na conversa, como é a reunião de quinta, 26/11, às 15h: link, telefone ou endereço"]
        if met == "later"
        else []
    )
    detail = next(params["detail"] for _, kind, params, _ in house.told if kind == "meeting_booked")
    assert {"call": "liga para +5519988112233", "visit": "Rua dos Ipês", "later": "Falta dizer"}[met] in detail


async def test_only_an_address_that_the_house_wrote_is_invited_and_what_a_lead_types_is_told_to_the_host(
    house: House,
) -> None:
    stranger = await house.talk()
    await booked(stranger, "manda o convite pra vitima@alheia.example")
    (meeting,) = await house.calendar.coming(house.tenant_id, chat_id=stranger.who.chat_id)
    assert meeting.guest.email is None
    assert "E-mail escrito na conversa, sem convite: vitima@alheia.example" in meeting.about
    timeline = await house.crm.timeline(house.seller, contact_id=stranger.who.contact_id)
    assert any("vitima@alheia.example" in one.text for one in timeline if one.kind == "meeting")

    known = await house.talk("Bia", phone="5519977665544")
    for source, address in (
        (Source("whatsapp", "chat_x"), "outra@alheia.example"),
        (Source("person", house.seller.user_id, by_person=True), "bia@clinica.example"),
    ):
        keys = ((KeyKind.PHONE, "+5519977665544"), (KeyKind.EMAIL, address))
        await house.crm.upsert_contact(house.admin, ContactData(source, keys=keys))
    await known.say("quero marcar uma conversa", "meu email é outra@alheia.example")
    await known.say("sexta às 10h")
    (meeting,) = await house.calendar.coming(house.tenant_id, chat_id=known.who.chat_id)
    assert meeting.guest.email == "bia@clinica.example" and "outra@alheia.example" in meeting.about


async def test_a_lead_in_another_zone_is_offered_and_told_times_by_a_clock_that_is_named(house: House) -> None:
    house.agent = replace(house.agent, time_zone="America/Rio_Branco")  # as agents/answering.py makes it of +55 68
    talk = await house.talk("Raí", phone="5568999990000")
    assert "(horário de Rio Branco)" in await talk.say("quero marcar uma conversa")
    said = await talk.say("quinta às 13h")
    assert "Marcado: quinta, 26/11, às 13h (horário de Rio Branco), 30 minutinhos." in said
    timeline = await house.crm.timeline(house.seller, contact_id=talk.who.contact_id)
    (told,) = [one.text for one in timeline if one.kind == "meeting"]
    assert "quinta, 26/11, às 15h" in told, "the house reads its own clock"


@pytest.mark.parametrize(
    ("language", "first", "then"),
    [
        ("pt-BR", "quinta às 15h, horário de Brasília", "muda pra sexta às 10h"),
        ("en", "Thursday at 3 pm Brasília time works", "can we move it to Friday at 10 am?"),
        ("es", "el jueves a las 15h, hora de Brasilia", "¿podemos cambiarla al viernes a las 10h?"),
    ],
)
async def test_a_lead_who_says_another_clock_than_their_numbers_meets_by_the_one_they_said(
    house: House, language: str, first: str, then: str
) -> None:
    talk = await house.talk("Beto", language, phone="5592988112233")
    offer = await talk.say({"pt-BR": "quero marcar uma conversa"}.get(language, "book a call, una reunión"))
    assert "Manaus" in offer
    by_manaus = talk.session["sdr"]["offered"][-1]
    said = await talk.say(first)
    assert "Manaus" not in said and talk.findings == [] and "book_meeting" in talk.called, said
    (meeting,) = await house.calendar.coming(house.tenant_id, chat_id=talk.who.chat_id)
    assert (meeting.local().isoformat()[:16], meeting.guest.zone) == ("2026-11-26T15:00", "America/Sao_Paulo")
    await talk.say(then)
    (meeting,) = await house.calendar.coming(house.tenant_id, chat_id=talk.who.chat_id)
    assert meeting.local().isoformat() == "2026-11-27T10:00:00-03:00", "from then on"
    await talk.say("", choice=f"slot:{by_manaus}")
    (meeting,) = await house.calendar.coming(house.tenant_id, chat_id=talk.who.chat_id)
    assert meeting.starts_at == datetime.fromisoformat(by_manaus), "a button stays the moment that it named"


async def test_a_meeting_by_the_numbers_clock_is_moved_and_reminded_by_the_one_that_is_said_later(house: House) -> None:
    talk = await house.talk("Beto", phone="5592988112233")
    assert "às 15h (horário de Manaus)" in await booked(talk)
    said = await talk.say("na verdade era 15h no horário de Brasília, muda por favor pra quinta às 15h")
    (meeting,) = await house.calendar.coming(house.tenant_id, chat_id=talk.who.chat_id)
    assert said.startswith("Remarcado: agora é quinta, 26/11, às 15h, 30 minutinhos")
    assert meeting.local().isoformat() == "2026-11-26T15:00:00-03:00"


async def test_a_clock_that_nobody_can_know_is_asked_about_before_anything_is_booked(house: House) -> None:
    talk = await house.talk()
    await talk.say("quero marcar uma conversa")
    said = await talk.say("quinta às 18h, horário de Lisboa")
    assert said == (
        "Os horários daqui são pelo horário de Brasília. Para não errar: que dia e hora fica bom para você, "
        "no horário de Brasília?"
    )
    refused = await house.runner.call(talk.turn, "book_meeting", {"starts": "2026-11-26T15:00"})
    assert refused.error_code == "sdr_clock_unclear" and "book_meeting" not in talk.called
    assert "Marcado: quinta, 26/11, às 15h" in await talk.say("então 15h")


class Away:
    """The calendar, while what stands behind it refuses."""

    def __init__(self, inner: Any, error: MutiraoError) -> None:
        self._inner, self._error = inner, error

    async def free(self, *_: Any, **__: Any) -> Sequence[Slot]:
        raise self._error

    def __getattr__(self, name: str) -> Any:
        return self.free if name in ("book", "move") else getattr(self._inner, name)


async def test_a_calendar_that_cannot_be_read_is_said_to_be_so_and_no_time_is_invented(house: House) -> None:
    talk = await house.talk()
    house.desk.calendar = Away(house.calendar, Unavailable("calendar_unavailable"))
    said = await talk.say("quero marcar uma conversa")
    assert said.endswith(
        "Não estou conseguindo ver a agenda agora. Quer que alguém do time combine um horário com você por aqui?"
    )
    assert talk.findings == [] and "às" not in said and house.told == [], "it passes: nobody has to do anything"
    house.desk.calendar = Away(house.calendar, Refused("calendar_key_refused"))
    for _ in range(2):
        assert "Não estou conseguindo ver a agenda" in await talk.say("amanhã às 10h?")
    assert [kind for _, kind, _, _ in house.told] == ["calendar_away"] * 2
    assert len({key for *_, key in house.told}) == 1, "once a day"
    await talk.say("sim, por favor")
    assert talk.turn.hand_over is not None

    other = await house.talk("Rui", phone="5511977665544")
    house.desk.calendar = house.calendar
    await other.say("quero marcar uma conversa")
    house.desk.calendar = Away(house.calendar, Unavailable("calendar_busy"))
    said = await other.say("", choice=f"slot:{other.session['sdr']['offered'][0]}")
    assert "Não estou conseguindo ver a agenda" in said and "não está livre" not in said


async def test_who_picks_a_time_that_somebody_else_was_faster_with_is_offered_others(house: House) -> None:
    slow, fast = await house.talk(), await house.talk("Rui", phone="5511977665544")
    for talk in (slow, fast):
        await talk.say("quero marcar uma conversa")
    picked = slow.session["sdr"]["offered"][0]
    assert "Marcado" in await fast.say("", choice=f"slot:{picked}")
    said = await slow.say("", choice=f"slot:{picked}")
    assert said.startswith("Esse horário já não está livre. Tenho ") and picked not in slow.session["sdr"]["offered"]
    soon = await slow.say("hoje às 13h")  # it is noon
    assert "Marcado" not in soon
