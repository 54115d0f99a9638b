"""The leads that play themselves (the sandbox's phone) against the playbook, to the end of their scripts."""

import pytest

from integrations.whatsapp_cloud.simulator.leads import Lead, load
from tests.crews.sdr.talks import House, Talk

LEADS = {lead.id: lead for lead in load()}


async def play(talk: Talk, lead: Lead) -> list[tuple[str, str]]:
    """The whole conversation: (what the lead wrote, what it was told)."""
    said: list[tuple[str, str]] = []
    rules, otherwise, burst, choice = list(lead.rules), list(lead.otherwise), list(lead.opens), ""
    while burst or choice:
        reply = await talk.say(*burst, choice=choice)
        assert talk.findings == [], (reply, talk.findings)
        said.append((" / ".join(burst), reply))
        burst, choice = [], ""
        rule = next((one for one in rules if one.when.search(reply)), None)
        if rule is not None:
            rules.remove(rule)
            offered = (talk.session["sdr"].get("offered") or [""])[0]
            if rule.press is not None and offered and "free_slots" in talk.called:
                choice, burst = f"slot:{offered}", [f"seg {offered[8:10]}/{offered[5:7]} {offered[11:13]}h"]
            else:
                burst = list(rule.says)
            if rule.ends:
                said.append((" / ".join(burst), await talk.say(*burst)))
                break
        elif otherwise:
            burst = [otherwise.pop(0)]
    return said


@pytest.mark.parametrize("name", LEADS)
async def test_a_lead_that_plays_itself_is_served_to_the_end(house: House, name: str) -> None:
    lead = LEADS[name]
    talk = await house.talk(lead.name.split()[0], phone=lead.phone)
    said = await play(talk, lead)
    everything = "\n".join(told for _, told in said)
    assert everything.count("Eu sou Lia") == 1, "greeted once"
    assert everything.count("Já chamei alguém do time") <= 1, "fetched once"
    known = await talk.known()
    match name:
        case "easy":
            assert "Marcado:" in everything and known.stage == "close" and known.score.total == 90
            assert said[-1][1].startswith("Eu que agradeço!")
        case "angry":
            assert "Sinto muito" in said[0][1] and known.evidence == ()
        case "haggler":
            assert "Não tenho desconto" in everything and "até 2 vezes no cartão" in everything
        case "off_topic":
            assert everything.count("só trato de assuntos") == 2 and "Meu assunto aqui" in everything
            assert "cuida de anúncios" in everything and known.score.total > 0
        case "manipulator":
            assert "outros clientes" in everything and "prompt" not in everything and known.evidence == ()
