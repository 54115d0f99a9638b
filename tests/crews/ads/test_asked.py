"""What is an order to change something now, and what only sounds like one. Review of 190 turns."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crews.ads.asked import asks_for_change, several_amounts


@pytest.mark.parametrize(
    ("text", "effect"),
    [
        ("pausa a campanha Remarketing", "pause"),
        ("pausa ela", "pause"),
        ("Pausar a Remarketing", "pause"),
        ("você pode pausar a Remarketing?", "pause"),
        ("can you pause Remarketing?", "pause"),
        ("dá pra pausar a primeira?", "pause"),
        ("quero pausar o Vídeo 03", "pause"),
        ("na verdade pausa a campanha inteira", "pause"),
        ("desliga o Vídeo 03", "pause"),
        ("turn Remarketing off", "pause"),
        ("para de veicular a Remarketing", "pause"),
        ("pausa hoje a Remarketing", "pause"),
        ("não gostei da Remarketing, pausa ela", "pause"),
        ("tudo bem, pausa a Remarketing", "pause"),
        ("apaga la campaña Remarketing", "pause"),
        ("pausa la campaña Remarketing", "pause"),
        ("pausa a segunda", "pause"),
        ("pausa a Black Friday", "pause"),
        ("reativa a Liquidação de Inverno", "resume"),
        ("ativa a campanha de novo", "resume"),
        ("liga a Liquidação", "resume"),
        ("turn it back on", "resume"),
        ("volta a rodar a Liquidação de Inverno", "resume"),
        ("aumenta o orçamento da Remarketing em 20%", "budget"),
        ("aumenta 20% a Remarketing", "budget"),
        ("aumenta o orçamento", "budget"),
        ("coloca a Remarketing em 130 por dia", "budget"),
        ("set Remarketing to 130", "budget"),
        ("increase Remarketing budget by $50", "budget"),
        ("sube el presupuesto de Remarketing a 150 reales", "budget"),
        ("muda o orçamento do Público amplo para R$ 90", "budget"),
        ("não aumenta, baixa 30%", "budget"),
        ("dobra o orçamento da Remarketing", "budget"),
        ("duplica o orçamento da Remarketing", "budget"),
        ("tira R$ 50 da Remarketing", "budget"),
        ("passa a Remarketing para 150", "budget"),
        ("reduz o orçamento da Remarketing em 20%, até R$ 100", "budget"),
    ],
)
def test_an_order_is_read_as_the_change_it_names(text: str, effect: str) -> None:
    said = asks_for_change(text)
    assert (said.effect, said.but) == (effect, None)


@pytest.mark.parametrize(
    ("text", "but"),
    [
        ("não pausa nada", "negated"),
        ("nunca pause a Remarketing", "negated"),
        ("don't pause anything", "negated"),
        ("no pauses Remarketing", "negated"),
        ("não aumente o orçamento", "negated"),
        ("não quero que pause a Remarketing", "negated"),
        ("não é para pausar a Remarketing", "negated"),
        ("não quero pausar esse", "negated"),
        ("pausa nada não", "negated"),
        ("posso pausar?", "question"),
        ("devo pausar a Remarketing?", "question"),
        ("o que acontece se eu pausar?", "question"),
        ("should I pause Remarketing?", "question"),
        ("vale a pena pausar a Remarketing?", "question"),
        ("debería pausar Remarketing?", "question"),
        ("como faço para pausar uma campanha?", "question"),
        ("e se eu aumentar 20% a Remarketing?", "question"),
        ("se o CPA passar de 50 pausa a Remarketing", "condition"),
        ("pausa a Remarketing se o CPA passar de 50", "condition"),
        ("pause Remarketing if CPA goes above 50", "condition"),
        ("quando gastar 500 pausa a Remarketing", "condition"),
        ("pausa a Remarketing amanhã", "later"),
        ("pausa a Remarketing até segunda", "later"),
        ("pause Remarketing until Monday", "later"),
        ("pausa Remarketing mañana", "later"),
        ("pausa a Remarketing às 18h", "later"),
        ("pausa tudo", "everything"),
        ("pausa todas as campanhas", "everything"),
        ("pausa a conta inteira", "everything"),
        ("pause all campaigns", "everything"),
        ("dobra o orçamento de tudo", "everything"),
        ("passa 50 reais da Prospecção para a Remarketing", "transfer"),
        ("move 50 from Prospecção to Remarketing", "transfer"),
        ("transfere R$ 50 da Prospecção para Remarketing", "transfer"),
        ("muda o orçamento da Remarketing em -50", "unclear"),
        ("zera o orçamento da Remarketing", "zero"),
        ("muda o orçamento da Remarketing para R$ 0", "zero"),
        ("arquiva a campanha Remarketing", "unsupported"),
        ("delete the Remarketing campaign", "unsupported"),
        ("apaga a campanha Remarketing", "unsupported"),
        ("renomeia a Remarketing", "unsupported"),
        ("muda o nome da campanha Remarketing para Teste", "unsupported"),
        ("muda a segmentação da Remarketing", "unsupported"),
        ("duplica a campanha Remarketing", "unsupported"),
        ("change the targeting of Remarketing", "unsupported"),
        ("troca o público da Remarketing", "unsupported"),
        ("agenda a Remarketing para sábado", "unsupported"),
    ],
)
def test_what_only_sounds_like_an_order_is_none(text: str, but: str) -> None:
    said = asks_for_change(text)
    assert said.but == but
    assert not said.asked


@pytest.mark.parametrize(
    "text",
    [
        "você pausou a Remarketing?",
        "did you pause Remarketing?",
        "quem pausou a campanha?",
        "quais campanhas estão pausadas?",
        "qual o orçamento da Remarketing?",
        "quanto investimos ontem?",
        "como foi a pausa da Remarketing?",
        "quantos agendamentos?",
        "e a campanha ativa?",
        "subiu o custo?",
        "aumentou o gasto?",
        "para R$ 140",
        "compara com a semana passada",
        "",
    ],
)
def test_a_question_about_what_was_or_is_asks_for_no_change(text: str) -> None:
    assert not asks_for_change(text).asked


@pytest.mark.parametrize(
    ("text", "several"),
    [
        ("aumenta o orçamento da Remarketing em 20% e da Prospecção em 10%", True),
        ("muda o orçamento da Remarketing de R$ 100 para R$ 150", False),
        ("aumenta 20% a Remarketing 2", False),
        ("mil e quinhentos reais", False),
    ],
)
def test_several_amounts_are_told_from_one(text: str, several: bool) -> None:
    assert several_amounts(text) is several


@given(st.text())
def test_any_text_may_be_asked_whether_it_asks_for_a_change(text: str) -> None:
    asks_for_change(text)
