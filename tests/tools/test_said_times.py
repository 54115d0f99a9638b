"""Which words of a contact book which time: neither one that they did not agree to, nor none where they plainly did."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from core.tenancy import Identity, Role
from core.turn import Contact, Turn
from tools.sdr import agreed

LEAD = Contact("chat_1", "contact_1", "Marina", "chan_1", "whatsapp_cloud")
NOW = datetime(2026, 11, 23, 13, tzinfo=UTC)  # Monday, 10:00 in São Paulo
TUE_9, TUE_14, WED_10 = "2026-11-24T09:00", "2026-11-24T14:00", "2026-11-25T10:00"
THU_10, THU_14, THU_15, THU_16 = (f"2026-11-26T{hour}:00" for hour in (10, 14, 15, 16))
FRI_10, FRI_15 = "2026-11-27T10:00", "2026-11-27T15:00"
Proposed = tuple[str, list[str]]
THREE = ("Tenho terça, 24/11, às 9h ou 14h, ou quinta, 26/11, às 15h. Qual fica melhor?", [TUE_9, TUE_14, THU_15])
THURSDAY = ("Na quinta à tarde tenho 14h, 15h ou 16h. Qual fica melhor pra você?", [THU_14, THU_15, THU_16])
ONE = ("Tenho quinta, 26/11, às 15h. Serve para você?", [THU_15])
TWO_DAYS = ("Tenho quinta às 15h ou sexta às 15h.", [THU_15, FRI_15])
NOTHING: Proposed = ("Quer marcar uma conversa de 30 minutos?", [])
ENGLISH = ("I have Tue, Nov 24 at 9 am or 2 pm, or Thu, Nov 26 at 3 pm. Which works?", [TUE_9, TUE_14, THU_15])
SPANISH = (
    "Tengo el martes 24/11 a las 9 o a las 14, o el jueves 26/11 a las 15. ¿Cuál te sirve?",
    [TUE_9, TUE_14, THU_15],
)
DAY_ASKED: Proposed = ("Na quinta, que horas fica melhor?", [])
OTHER_LIST = ("Qual fica melhor?\n• ter 24/11 9h\n• ter 24/11 14h\n• qui 26/11 15h", [TUE_9, TUE_14, THU_15])


def turn_of(text: str, said: Proposed, before: str = "", **chat: object) -> Turn:
    history = [("user", before), ("assistant", said[0])]
    session = {"history": history, "sdr": {"offered": said[1]}, "chat": chat}
    return Turn("turn_1", Identity("t", "u", Role.COMERCIAL, "Ana", "a@x.example"), "chat_1", "whatsapp", text, "pt-BR",
                NOW, session=session, contact=LEAD)  # fmt: skip


def books(text: str, said: Proposed, starts: str, before: str = "", **chat: object) -> bool:
    return agreed(turn_of(text, said, before, **chat), datetime.fromisoformat(f"{starts}-03:00"))


@pytest.mark.parametrize(
    ("text", "said", "starts"),
    [
        ("pode ser amanhã às 15h", NOTHING, "2026-11-24T15:00"),
        ("ok ok. marca amanhã 10h pra conversar", NOTHING, "2026-11-24T10:00"),
        ("quinta às 15h pode ser?", NOTHING, THU_15),
        ("às 15h na quinta, se não for incômodo", NOTHING, THU_15),
        ("depois de amanhã às 10h", NOTHING, WED_10),
        ("qui 26/11 14h", NOTHING, THU_14),
        ("dia 26 às 15", NOTHING, THU_15),
        ("26 de novembro, às três da tarde", NOTHING, THU_15),
        ("quinta ou sexta às 15h, tanto faz", NOTHING, FRI_15),
        ("pode ser quinta às 10h ou sexta às 15h", NOTHING, FRI_15),
        ("não consigo na quarta, pode ser sexta às 10h?", NOTHING, FRI_10),
        ("não posso às 14h só às 16h", THURSDAY, THU_16),
        ("passa de quinta pra sexta às 10h", NOTHING, FRI_10),
        ("15", THURSDAY, THU_15),
        ("a de baixo", THURSDAY, THU_16),
        ("o de cima então", THURSDAY, THU_14),
        ("pode ser o do meio", THURSDAY, THU_15),
        ("the bottom one please", ENGLISH, THU_15),
        ("obrigadaaa viu\naté lá!", ONE, THU_15),
        ("às 15", THURSDAY, THU_15),
        ("15h fechado", THURSDAY, THU_15),
        ("pode ser 15 então", THURSDAY, THU_15),
        ("15h então, não precisa ligar", THURSDAY, THU_15),
        ("3 da tarde", THURSDAY, THU_15),
        ("16:30 pode?", THURSDAY, "2026-11-26T16:30"),
        ("pode ser às 15h", DAY_ASKED, THU_15),
        ("a segunda opção", THREE, TUE_14),
        ("prefiro a segunda", THREE, TUE_14),
        ("o primeiro horário", THREE, TUE_9),
        ("fico com a última", THREE, THU_15),
        ("quinta", THREE, THU_15),
        ("quinta tá ótimo", THREE, THU_15),
        ("terça à tarde", THREE, TUE_14),
        ("às 9h", THREE, TUE_9),
        ("a primeira", OTHER_LIST, TUE_9),
        ("siim", ONE, THU_15),
        ("5ª feira 15h", NOTHING, THU_15),
        ("sim", ONE, THU_15),
        ("isso", ONE, THU_15),
        ("pode marcar!", ONE, THU_15),
        ("sim, qual é o link?", ONE, THU_15),
        ("quero sim, por favor", ONE, THU_15),
        ("the second one works", ENGLISH, TUE_14),
        ("Thursday at 3pm works", ENGLISH, THU_15),
        ("amanhã cedo", THREE, TUE_9),
        ("3", THREE, THU_15),
        ("bom dia! quinta 15h", NOTHING, THU_15),
        ("9 is great, thanks!", ENGLISH, TUE_9),
        ("let's do Thursday", ENGLISH, THU_15),
        ("el jueves a las 15", SPANISH, THU_15),
        ("la segunda opción, por favor", SPANISH, TUE_14),
        ("mañana a las 9 de la mañana", SPANISH, TUE_9),
    ],
)
def test_what_they_plainly_chose_is_booked(text: str, said: Proposed, starts: str) -> None:
    assert books(text, said, starts)


@pytest.mark.parametrize(
    ("text", "said", "starts"),
    [
        ("quinta às 15h", NOTHING, FRI_15),
        ("quinta às 15h", TWO_DAYS, FRI_15),
        ("quinta, 27/11, às 15h", NOTHING, THU_15),
        ("quinta, 27/11, às 15h", NOTHING, FRI_15),
        ("depois de amanhã às 15h", NOTHING, "2026-11-24T15:00"),
        ("quinta às 10h ou sexta às 15h", NOTHING, THU_15),
        ("passa de quinta pra sexta às 10h", NOTHING, THU_10),
        ("temos 15 funcionários", THURSDAY, THU_15),
        ("posso pagar 900, 10 lojas", NOTHING, "2026-11-24T10:00"),
        ("tenho as 15 lojas no centro", THURSDAY, THU_15),
        ("preciso disso em 15 horas", THURSDAY, THU_15),
        ("15% de desconto?", THURSDAY, THU_15),
        ("15h não posso", THURSDAY, THU_15),
        ("não posso às 15h só às 16h", THURSDAY, THU_15),
        ("15h não, 16h sim", THURSDAY, THU_15),
        ("em vez de 15h, 16h", THURSDAY, THU_15),
        ("só consigo depois das 15h", THURSDAY, THU_15),
        ("das 14h às 16h estou em reunião", THURSDAY, THU_14),
        ("trabalho das 8 às 15", THURSDAY, THU_15),
        ("às 3 da manhã", THURSDAY, THU_15),
        ("15h", TWO_DAYS, THU_15),
        ("15h", NOTHING, FRI_15),
        ("15h", DAY_ASKED, FRI_15),
        ("15h fechado", THREE, FRI_15),
        ("quinta não dá", THREE, THU_15),
        ("quinta tem outro horário?", THREE, THU_15),
        ("quinta de manhã", THREE, THU_15),
        ("terça", THREE, TUE_9),
        ("primeiro me diz quanto custa", THREE, TUE_9),
        ("só um segundo", THREE, TUE_14),
        ("a segunda opção", THREE, TUE_9),
        ("sim", THREE, TUE_9),
        ("sim", NOTHING, THU_15),
        ("sim, mas às 16h", ONE, THU_15),
        ("isso inclui o Google?", ONE, THU_15),
        ("até lá eu vejo com meu sócio", ONE, THU_15),
        ("até lá!", TWO_DAYS, THU_15),
        ("obrigadaaa viu", ONE, THU_15),
        ("o do meio", TWO_DAYS, THU_15),
        ("a de baixo", THURSDAY, THU_14),
        ("pode me dizer o preço?", ONE, THU_15),
        ("claro que não", ONE, THU_15),
        ("pode ser mais tarde?", ONE, THU_15),
        ("Thursday at 3pm doesn't work", ENGLISH, THU_15),
        ("not Thursday", ENGLISH, THU_15),
        ("el jueves no puedo", SPANISH, THU_15),
        ("tenho reunião quinta às 15h", NOTHING, THU_15),
        ("te respondo às 15h", THREE, THU_15),
        ("por la mañana", SPANISH, TUE_14),
    ],
)
def test_what_they_did_not_choose_is_not_booked(text: str, said: Proposed, starts: str) -> None:
    assert not books(text, said, starts)


def test_what_was_said_before_tells_of_which_day_an_hour_is_and_which_times_are_proposed() -> None:
    assert books("então 15h", ("Que horas, no horário de Brasília?", []), THU_15, "quinta às 18h, horário de Lisboa")
    yesterday = ("Tenho amanhã às 15h. Serve?", ["2026-11-23T15:00"])
    assert books("sim", yesterday, "2026-11-23T15:00") and not books("sim", yesterday, "2026-11-24T15:00")
    narrowed = ("E o seu orçamento? Fechamos quinta às 15h?", THREE[1])
    assert books("fechado", narrowed, THU_15) and not books("fechado", narrowed, TUE_9)
    assert books("", THREE, TUE_9, choice=f"slot:{TUE_9}") and not books("", THREE, TUE_14, choice=f"slot:{TUE_9}")
    stood = [{"text": ONE[0], "on": (NOW - timedelta(days=2)).date().isoformat()}]
    elsewhere = [{"text": "Quer o plano de R$ 900,00?", "on": "2026-11-23"}]
    assert books("👍", ONE, THU_15, kinds=["reaction"], reacted_to=stood)
    assert not books("👍", ONE, THU_15, kinds=["reaction"], reacted_to=elsewhere)
    options = ("Qual fica melhor?\n• qui 26/11 14h\n• qui 26/11 15h", [THU_14, THU_15])
    assert not books("2", options, THU_15) and not books("2", options, THU_14), "two o'clock, or the second?"
    evolution = turn_of("2", options)
    evolution.contact = replace(LEAD, provider="evolution")
    assert agreed(evolution, datetime.fromisoformat(f"{THU_15}-03:00")), "there the choices are numbered"


def test_only_what_they_wrote_or_spoke_agrees_to_a_time() -> None:
    assert books("[Mensagem de voz, transcrita] isso, às três da tarde", THURSDAY, THU_15)
    for text in ("[Foto, descrita] Agenda: quinta às 15h", "[Documento agenda.pdf] Consultas\nquinta às 15h"):
        turn = turn_of(text, NOTHING)
        turn.session["attachments"] = [{"kind": "document", "words": "Consultas\nquinta às 15h", "name": "agenda.pdf"}]
        assert not agreed(turn, datetime.fromisoformat(f"{THU_15}-03:00"))
    moved: Proposed = ("Mais alguma dúvida?", [])
    assert agreed(turn_of("dá pra mudar pra 16h?", moved), *standing(THU_16)), "of the day on which they meet"
    assert not agreed(turn_of("dá pra mudar pra 16h?", moved), *standing("2026-11-27T16:00"))


def standing(starts: str) -> tuple[datetime, list[datetime]]:
    """That time, and a meeting on Thursday at 15:00."""
    return datetime.fromisoformat(f"{starts}-03:00"), [datetime.fromisoformat(f"{THU_15}-03:00")]
