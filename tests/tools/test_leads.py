"""Leads in the CRM, and the first message to one of them: by what, in whose name, and with which notice."""

from datetime import UTC, datetime

import pytest

from business.approvals.model import Change
from business.crm.identity import KeyKind
from business.crm.privacy import BlockReason
from business.prospecting.contact import whole_text
from business.prospecting.evidence import Evidence, Kind
from business.prospecting.searches import Candidate, CandidateState, Search
from core.errors import Refused
from core.tenancy import Role
from integrations.minha_receita.client import SOURCE as REGISTRY
from tests.crews.hunter.conftest import Desk, desk, registry_control, servers, sources
from tools.leads import spoken, way_to

__all__ = ["desk", "registry_control", "servers", "sources"]

AT = datetime(2026, 11, 20, 15, tzinfo=UTC)
HERE = "https://minhareceita.org/11222333000181"


def known(kind: Kind, value: str, source: str = REGISTRY) -> Evidence:
    return Evidence(kind, value, source, HERE, AT)


def test_the_first_message_goes_by_whatsapp_then_mobile_then_mail_then_landline() -> None:
    ways = [
        known(Kind.WHATSAPP, "https://wa.me/5519991234477", "site"),
        known(Kind.PHONE, "19 99123-4477"),
        known(Kind.EMAIL, "oi@ipe.example"),
        known(Kind.PHONE, "1932324455"),
    ]
    told = []
    while way := way_to(ways):
        told.append((way[0], way[1].value))
        ways.remove(way[1])
    assert told == [
        ("whatsapp", "https://wa.me/5519991234477"), ("phone", "19 99123-4477"), ("email", "oi@ipe.example"),
        ("phone", "1932324455"),
    ]  # fmt: skip


async def test_a_draft_says_who_writes_where_the_contact_is_from_and_how_to_be_left_alone(desk: Desk) -> None:
    desk.without_web()
    done = await desk.hunted("ache 3 escritórios de arquitetura em Campinas com mais de 3 anos")
    one, other, *_ = [each for each in await desk.found(done) if each.state is CandidateState.SAVED]
    leads = desk.hunts.leads
    change = await leads.draft(desk.who, one.id, "Bom dia! Podemos conversar sobre o site de vocês?", "pt-BR")
    again = await leads.draft(desk.who, one.id, "Bom dia! Podemos conversar sobre o site de vocês?", "pt-BR")
    assert isinstance(change, Change) and change == again and change.target == one.company_id
    text = whole_text(change)
    assert "Somos Agência Um." in text and "cadastro público" in text and "20/11/2026" in text and "SAIR" in text
    assert change.data["sandbox"]  # the company is simulated: nothing may ever leave for it
    notes = [
        entry.text for entry in await desk.crm.timeline(desk.who, company_id=one.company_id) if entry.kind == "note"
    ]
    assert len(notes) == 1 and "ainda não enviado" in notes[0] and text in notes[0]

    english = await leads.draft(desk.who, one.id, "Good morning!", "en")
    assert "We are Agência Um." in whole_text(english) and "STOP" in whole_text(english)
    assert "SALIR" in whole_text(await leads.draft(desk.who, one.id, "¡Buen día!", "es"))

    async def why(candidate: Candidate) -> str:
        with pytest.raises(Refused) as caught:
            await leads.draft(desk.who, candidate.id, "Oi", "pt-BR")
        return caught.value.code

    phone = next(
        key.given for key in (await desk.crm.company(desk.who, str(other.company_id))).keys if key.kind == "phone"
    )
    await desk.crm.block(desk.who, KeyKind.PHONE, phone, reason=BlockReason.ASKED)
    assert await why(other) == "lead_blocked"
    await desk.hunts.decide(desk.who, other.id, "reject")
    assert await why(other) == "lead_gone"


async def test_another_tenant_and_a_seller_save_draft_and_forget_nothing(desk: Desk) -> None:
    desk.without_web()
    done: Search = await desk.hunted("ache 2 escritórios de arquitetura em Campinas com mais de 3 anos")
    one = (await desk.found(done))[0]
    leads = desk.hunts.leads
    for who in (desk.tenants.other[Role.ADMIN], desk.tenants.one[Role.COMERCIAL], desk.tenants.one[Role.CLIENTE]):
        for call in (leads.save(who, done, one), leads.draft(who, one.id, "Oi", "pt-BR"), leads.forget(who, one.id)):
            with pytest.raises(Refused) as caught:
                await call
            assert caught.value.code in ("prospect_unknown", "prospect_not_allowed", "crm_not_allowed", "crm_unknown")
    assert (await desk.searches.candidate(desk.who, one.id)).state is CandidateState.SAVED
    assert len(await desk.crm.deals(desk.who, company_id=one.company_id)) == 1


def test_a_company_is_called_as_people_write_it() -> None:
    assert spoken("IBANEZ PROJETOS E ARQUITETURA LTDA") == "Ibanez Projetos e Arquitetura"
    assert spoken("PACHECO VILELA ODONTOLOGIA LTDA - ME") == "Pacheco Vilela Odontologia"
    assert spoken("Studio iPê") == "Studio iPê" and spoken("IBM") == "IBM"
