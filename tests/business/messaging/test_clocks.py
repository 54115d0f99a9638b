"""By which clock a contact says an hour, as people write it on a telephone."""

import pytest

from business.messaging.clocks import UNCLEAR, clock_said

SAID = {
    "America/Sao_Paulo": "quinta às 15h, horário de Brasília | 15h de Brasília | no horário de SP, 15h | 15h BRT"
    " | pode ser 15h no horário de Brasília? | 3 pm São Paulo time | a las 15h, hora de Brasilia | 15h (gmt-3)",
    "America/Manaus": "às 14h, fuso de Manaus | fuso horário do Amazonas | 2 pm Manaus time",
    "America/Belem": "às 14h no horário do Pará",
    "America/Noronha": "horário de Fernando de Noronha",
    UNCLEAR: "15h no horário de Lisboa | 3pm EST | meu fuso é outro | 15h no meu horário | 3 pm my time"
    " | 15h é horário de Brasília? | não é horário de Brasília | 15h de Brasília, 14h em Manaus | 10am Miami time",
    "": "quinta às 15h | que horário para quinta? | qual horário rs | 15h em ponto | horário de atendimento"
    " | quero mais pacientes em Manaus | tenho uma loja no Rio, dá às 15h? | às 15h de segunda | daqui a pouco"
    " | no meu horário de almoço | Thursday at 3 pm | the best time in my life",
}


@pytest.mark.parametrize(("zone", "words"), [(zone, one) for zone, many in SAID.items() for one in many.split(" | ")])
def test_a_clock_is_read_only_where_one_is_said(zone: str, words: str) -> None:
    assert clock_said(words) == zone


@pytest.mark.parametrize(
    ("words", "zone"),
    [("Brasília", "America/Sao_Paulo"), ("é Manaus", "America/Manaus"), ("quinta às 12h", "America/Sao_Paulo"),
     ("12h de Lisboa", UNCLEAR), ("quanto custa?", "")],
)  # fmt: skip
def test_who_was_asked_for_brasilias_hour_answers_with_a_place_or_with_that_hour(words: str, zone: str) -> None:
    assert clock_said(words, asked=True) == zone


def test_their_own_clock_is_the_one_that_they_said_before() -> None:
    assert clock_said("15h no meu horário", known=True) == ""
