"""Leads that play themselves: a burst, the first rule that fits, a press, and an end."""

import time

from integrations.whatsapp_cloud import messages as say
from integrations.whatsapp_cloud.client import WhatsAppCloud
from integrations.whatsapp_cloud.simulator.leads import load
from tests.integrations.whatsapp_cloud.conftest import NUMBER, Control


def written(control: Control, who: str, count: int) -> list[str]:
    """What the lead has said, once there is so much of it."""
    deadline, version = time.monotonic() + 10, "0"
    while True:
        view = control.get("/__phone/view", contact=who, since=version, seconds="1")
        version = str(view["version"])
        bodies = [one["body"] for one in (view["thread"] or {}).get("messages", ()) if one["direction"] == "in"]
        if len(bodies) >= count:
            return [one["text"]["body"] if one["type"] == "text" else one["type"] for one in bodies]
        assert time.monotonic() < deadline, bodies


async def test_a_lead_writes_a_burst_and_answers_by_its_script(control: Control, client: WhatsAppCloud) -> None:
    lead = next(one for one in load() if one.id == "easy")
    control.ask("/__config", lead_pace=0.02)
    control.ask("/__phone/play", lead="easy")
    assert written(control, lead.phone, 3) == list(lead.opens)
    await client.send(NUMBER, lead.phone, say.text("Olá! Qual é o seu negócio?"))
    assert written(control, lead.phone, 5)[3:] == [
        "Tenho uma clínica de estética em Campinas",
        "quero mais agendamentos pelo WhatsApp",
    ]
    times = say.buttons("Qual horário fica bom?", [say.Button("s1", "Ter 10h"), say.Button("s2", "Qua 15h")])
    await client.send(NUMBER, lead.phone, times)
    assert written(control, lead.phone, 6)[5] == "interactive", "the first choice that fits is pressed"
    await client.send(NUMBER, lead.phone, say.text("Marcado! Até lá."))
    assert written(control, lead.phone, 7)[6].startswith("Perfeito")
    leads = {one["id"]: one["playing"] for one in control.get("/__phone/view")["leads"]}
    assert leads == dict.fromkeys(["angry", "easy", "haggler", "manipulator", "off_topic"], False)
