"""What a model says it has done and has not."""

import pytest

from crews.claims import claims_of_preparing, claims_of_sending, without


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("I prepared it for **Kate Moore**; it waits for your yes.", ""),
        ("Kate pediu um preço. Preparé el mensaje para ella. Espera tu aprobación.", "Kate pediu um preço."),
        ("I've prepared the message to Kate.", ""),
        ("I prepared nothing: you named nobody.", "I prepared nothing: you named nobody."),
        ("Preparei um resumo das mensagens de hoje.", "Preparei um resumo das mensagens de hoje."),
        ("Se quiser, preparo a resposta; nada espera a sua aprovação.",) * 2,
        ("Duas mensagens da fila esperam a sua aprovação.",) * 2,
    ],
)
def test_a_model_that_says_it_has_prepared_something_and_has_not_is_not_repeated(said: str, left: str) -> None:
    assert without(said, claims_of_preparing(said)) == left


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("Achei 8. Enviei a primeira mensagem às três melhores; falta a sua aprovação.", "Achei 8."),
        ("Preparei três mensagens. Nada foi enviado.", "Preparei três mensagens. Nada foi enviado."),
        ("- 2 qualificadas\n- Já mandei para as duas.\n- Custo: 3", "- 2 qualificadas\n- Custo: 3"),
        ("I have sent both. They wait for you.", "They wait for you."),
        ("They are proposals: nothing was sent.", "They are proposals: nothing was sent."),
        ("Envié el mensaje a la primera. ¿Sigo?", "¿Sigo?"),
        (
            "Quando o WhatsApp estiver ligado, elas são enviadas.",
            "Quando o WhatsApp estiver ligado, elas são enviadas.",
        ),
    ],
)
def test_a_model_that_says_it_has_sent_something_is_not_repeated(said: str, left: str) -> None:
    """Record cacador-arquitetos: "Enviei a primeira mensagem às três melhores"."""
    assert without(said, claims_of_sending(said)) == left
