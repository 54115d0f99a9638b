"""Templates: read from Meta, filled without gaps, created so that Meta takes them."""

import dataclasses
from typing import Any

import pytest

from core.errors import ArgumentsWrong, Unavailable
from integrations.whatsapp_cloud import templates
from integrations.whatsapp_cloud.limits import TEMPLATE_LIMITS, Limit
from integrations.whatsapp_cloud.messages import HeaderMedia, MediaRef, message
from integrations.whatsapp_cloud.simulator.validate import complaint
from integrations.whatsapp_cloud.templates import Definition, Template, TemplateButton, fill, read, shown

RAW = {
    "id": "920070352646140",
    "name": "primeiro_contato",
    "language": "pt_BR",
    "status": "APPROVED",
    "category": "MARKETING",
    "components": [
        {"type": "HEADER", "format": "TEXT", "text": "Olá, {{1}}"},
        {"type": "BODY", "text": "Aqui é {{1}}, da {{2}}. Você ainda procura {{3}}? Abraço, {{1}}."},
        {"type": "FOOTER", "text": "Responda SAIR"},
        {
            "type": "BUTTONS",
            "buttons": [
                {"type": "QUICK_REPLY", "text": "Sim"},
                {"type": "URL", "text": "Ver", "url": "https://e.co/{{1}}"},
            ],
        },
    ],
    "quality_score": {"score": "GREEN"},
    "rejected_reason": "NONE",
}
TEMPLATE = read(RAW)


def plain(**more: Any) -> Template:
    return dataclasses.replace(TEMPLATE, **({"header": None, "buttons": ()} | more))


def test_a_template_is_read_with_its_variables() -> None:
    assert (TEMPLATE.variables, TEMPLATE.header_variable) == (("1", "2", "3"), "1")
    assert [button.variable for button in TEMPLATE.buttons] == [False, True]
    assert (TEMPLATE.quality, TEMPLATE.reason) == ("GREEN", None)
    assert read({"name": "a", "status": "PENDING"}).body == ""
    for raw in (None, {}, {"name": "a"}, {"name": 7, "status": "X"}):
        with pytest.raises(Unavailable):
            read(raw)


def test_a_filled_template_is_what_the_contact_will_read() -> None:
    content = fill(TEMPLATE, ["Rui", "Aurora", "mesas"], header="Ana", button_values={1: "agenda", 0: "sim"})
    assert complaint(message("5519999990001", content)) is None
    assert shown(TEMPLATE, ["Rui", "Aurora", "mesas"]) == (
        "Aqui é Rui, da Aurora. Você ainda procura mesas? Abraço, Rui."
    )
    named = plain(body="Oi {{nome}}, tudo bem em {{cidade}}?")
    body = fill(named, {"cidade": "Campinas", "nome": "Ana"}).payload["components"][0]["parameters"]
    assert [one["parameter_name"] for one in body] == ["nome", "cidade"]
    film = plain(header_media="video", body="Veja.")
    assert fill(film, header=HeaderMedia("video", MediaRef(id="1"))).payload["components"][0]["type"] == "header"


@pytest.mark.parametrize(
    ("template", "values", "more"),
    [
        (plain(), ["Rui", "Aurora"], {}),
        (plain(), ["Rui", "Aurora", " "], {}),
        (plain(), ["Rui", "Aurora", "mesas", "a mais"], {}),
        (plain(), {"1": "a", "2": "b", "tres": "c"}, {}),
        (plain(), ["a", "b", "c"], {"header": "nobody asks"}),
        (plain(header="Olá, {{1}}"), ["a", "b", "c"], {}),
        (plain(header_media="image"), ["a", "b", "c"], {"header": HeaderMedia("video", MediaRef(id="1"))}),
        (plain(buttons=TEMPLATE.buttons), ["a", "b", "c"], {}),
        (plain(buttons=TEMPLATE.buttons), ["a", "b", "c"], {"button_values": {1: "x", 5: "y"}}),
    ],
)
def test_missing_values_and_values_nobody_asks_for_are_refused(
    template: Template, values: Any, more: dict[str, Any]
) -> None:
    with pytest.raises(ArgumentsWrong) as refused:
        fill(template, values, **more)
    assert refused.value.code == "whatsapp_template_values"


@pytest.mark.parametrize("status", ["PENDING", "REJECTED", "PAUSED", "DISABLED"])
def test_only_an_approved_template_is_sent(status: str) -> None:
    with pytest.raises(ArgumentsWrong) as refused:
        fill(plain(status=status), ["a", "b", "c"])
    assert (refused.value.code, refused.value.params["status"]) == ("whatsapp_template_unusable", status)


NEW = Definition(
    "visita_marcada",
    "pt_BR",
    "UTILITY",
    "Olá, {{1}}! Sua visita é {{2}}. Até lá.",
    header="Visita de {{1}}",
    footer="Aurora",
    buttons=(
        TemplateButton("QUICK_REPLY", "Confirmo"),
        TemplateButton("URL", "Mapa", "https://e.co/mapa"),
        TemplateButton("PHONE_NUMBER", "Ligar", phone_number="+551940000001"),
    ),
    examples={"1": "Ana", "2": "amanhã às 9h"},
    header_example="Ana",
)


def test_a_new_template_is_worded_as_meta_wants_it() -> None:
    request = NEW.request()
    kinds = [part["type"] for part in request["components"]]
    assert kinds == ["HEADER", "BODY", "FOOTER", "BUTTONS"]
    assert request["components"][1]["example"] == {"body_text": [["Ana", "amanhã às 9h"]]}
    named = dataclasses.replace(NEW, body="Oi, {{nome}}!", examples={"nome": "Ana"}).request()
    assert named["parameter_format"] == "NAMED"
    assert named["components"][1]["example"] == {"body_text_named_params": [{"param_name": "nome", "example": "Ana"}]}


@pytest.mark.parametrize(
    "change",
    [
        {"name": "Visita Marcada"},
        {"language": "brasileiro"},
        {"category": "SERVICE"},
        {"body": ""},
        {"body": "{{1}}, sua visita é {{2}}. Até lá."},
        {"body": "Sua visita é {{2}}, {{1}}"},
        {"body": "Olá, {{1}} {{2}} aí."},
        {"body": "Olá, {{1}}! Sua visita é {{3}}. Até lá."},
        {"body": "Olá, {{1}}! Sua visita é {{dia}}. Até lá."},
        {"examples": {"1": "Ana"}},
        {"header_example": None},
        {"header": "Visita"},
        {"header": "{{1}} e {{2}}"},
        {"footer": "Até {{1}} já"},
    ],
)
def test_a_template_that_meta_would_reject_is_not_handed_in(change: dict[str, Any]) -> None:
    with pytest.raises(ArgumentsWrong):
        dataclasses.replace(NEW, **change).request()


@pytest.mark.parametrize("limit", TEMPLATE_LIMITS, ids=lambda limit: limit.field)
def test_each_limit_of_a_template_is_kept_and_broken_by_one_more(limit: Limit) -> None:
    assert limit.source
    for size, fits in ((limit.most, True), (limit.most + 1, False)):
        words = "a" * size
        button = TemplateButton("URL", "Ver", "https://e.co/")
        change: dict[str, Any] = {
            "name": {"name": words},
            "header": {"header": words, "header_example": None},
            "body": {"body": words},
            "footer": {"footer": words},
            "buttons[]": {"buttons": (button,) * size},
            "buttons[].text": {"buttons": (dataclasses.replace(button, text=words),)},
            "buttons[].url": {"buttons": (dataclasses.replace(button, url=words),)},
            "buttons[].phone_number": {"buttons": (TemplateButton("PHONE_NUMBER", "a", phone_number=words),)},
        }[limit.field]
        definition = dataclasses.replace(NEW, **change)
        if fits:
            definition.request()
        else:
            with pytest.raises(ArgumentsWrong) as refused:
                definition.request()
            assert refused.value.code in ("whatsapp_too_long", "whatsapp_too_many")
    assert templates.variables("") == ()
