"""Who may be written to: the words of an opt-out in three languages, what is none, and the ledger in any order."""

import random
from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from business.messaging.consent import (
    Act,
    Entry,
    How,
    Scope,
    Standing,
    heard_opt_out,
    heard_resume,
    preference_entry,
    standing,
)

NOW = datetime(2026, 11, 18, 15, tzinfo=UTC)

OPT_OUTS = """
parar | Parar | PARE | pare! | sair | Sair. | cancelar | descadastrar | remover | não quero mais | nao quero mais
não me mande mais | Não me mande mais mensagens | stop | STOP | Sair por favor | oi, quero sair | me tira dessa lista
por favor não me mandem mais nada | não me envie mais mensagem | para de me mandar mensagem | parem de mandar mensagens!
pare de me encher | não quero mais receber mensagens de vocês | não quero receber propaganda nem mensagens, obrigado
não quero ser contatado | me remova da lista de vocês | remove meu número da sua lista | me descadastra aí
exclua meu contato do seu cadastro | quero me descadastrar | não me procure mais | não me ligue mais | chega!!!
não perturbe | cancela o envio | ME TIRA DA LISTA | tire meu nome desse cadastro | não me perturbem | me tire da base
baja | dar de baja | quiero la baja | No me escriban más | no me manden más mensajes | no quiero más mensajes
dejen de escribirme | bórrenme de la lista | unsubscribe | please stop | Stop texting me | don't message me again
remove me from your list | take me off this list | opt out | pode parar de mandar | 🛑 parar 🛑
""".replace("\n", "|").split("|")

NOT_OPT_OUTS = """
quero cancelar minha reunião de amanhã | dá para parar o anúncio que está ruim? | pode sair mais barato?
não para de chover
quanto custa para remover a pintura? | quero parar de fumar
vou sair do escritório às 18h, pode ser depois?
não me mande o boleto hoje, manda amanhã | não me mande mais o contrato por aqui, use o e-mail | o pedido foi cancelado?
preciso cancelar a assinatura da outra empresa antes | bom dia | sim | ok | obrigado | ? | 👍 | quero sim
meu vizinho não quer mais receber visitas | stop motion vocês fazem?
o produto para de funcionar quando esquenta
quero saber o preço | manda mais | pode mandar
no quiero que se pierda el pedido | what is the end date?
a empresa vai sair da lista de inadimplentes | não quero perder clientes
onde cancelo? | parei de ler na metade, resume?
""".replace("\n", "|").split("|")


@pytest.mark.parametrize("text", [one.strip() for one in OPT_OUTS if one.strip()])
def test_what_people_write_to_be_left_alone_is_understood(text: str) -> None:
    heard = heard_opt_out(text, unasked=True)  # what else some of them answer: test_opting.py
    assert heard is not None and heard.sure and heard.scope is Scope.ALL


@pytest.mark.parametrize("text", [one.strip() for one in NOT_OPT_OUTS if one.strip()])
def test_what_is_about_something_else_opts_nobody_out(text: str) -> None:
    heard = heard_opt_out(text, unasked=True)
    assert heard is None or not heard.sure


@pytest.mark.parametrize(
    "text", ["para", "Não", "não tenho interesse", "no", "no, gracias", "not interested", "deixa pra lá"]
)
def test_a_word_that_may_mean_either_is_asked_about(text: str) -> None:
    heard = heard_opt_out(text, unasked=True)
    assert heard is not None and not heard.sure


@pytest.mark.parametrize(
    "text", ["Parar promoções", "Stop promotions", "Detener promociones", "não quero mais promoções"]
)
def test_who_wants_no_promotions_only_may_be_answered_and_reminded(text: str) -> None:
    heard = heard_opt_out(text)
    assert heard is not None and heard.scope is Scope.MARKETING and heard.sure


def test_who_repeats_a_choice_that_was_offered_answers_it() -> None:
    assert heard_opt_out("Cancelar", offered=["Confirmar", "Remarcar", "Cancelar"]) is None
    assert heard_opt_out("sair", offered=["Confirmar"]) is not None


def test_a_long_text_or_an_odd_one_is_looked_through_without_harm() -> None:
    for text in ("x" * 100_000, "\x00parar\ud800", "‮sair‬", "", " \n", "não " * 3_000):
        heard_opt_out(text)
    assert heard_opt_out("a" * 3_000 + " não me mande mais mensagens") is None  # beyond what is read


def test_only_who_had_left_is_asked_whether_they_come_back() -> None:
    assert all(heard_resume(one) for one in ("Voltar", "quero receber", "START", "alta", "pode mandar, obrigado"))
    assert not any(heard_resume(one) for one in ("sim", "quanto custa para voltar?", ""))


# --- the ledger -----------------------------------------------------------------------------------


def entry(minutes: int, act: Act, scope: Scope = Scope.ALL, how: How = How.WORDS, wording: str = "") -> Entry:
    return Entry(NOW + timedelta(minutes=minutes), act, scope, how, wording)


STOP = entry(0, Act.STOPPED, wording="parar")
LISTED = entry(1, Act.STOPPED, how=How.HOUSE)
NO_ADS = entry(0, Act.STOPPED, Scope.MARKETING, How.WHATSAPP)


@pytest.mark.parametrize(
    ("ledger", "stopped", "marketing", "consents"),
    [
        ([], False, False, False),
        ([STOP], True, False, False),
        ([NO_ADS], False, True, False),
        ([entry(0, Act.CONSENTED, how=How.FORM)], False, False, True),
        ([entry(-5, Act.CONSENTED, how=How.FORM), STOP], True, False, False),
        ([STOP, entry(5, Act.RESUMED)], False, False, False),
        ([STOP, entry(5, Act.CONSENTED, how=How.FORM)], False, False, True),
        # a file, or a person without the contact's words, lifts nothing
        ([STOP, entry(5, Act.CONSENTED, how=How.IMPORT)], True, False, False),
        ([STOP, entry(5, Act.RESUMED, how=How.PERSON)], True, False, False),
        ([STOP, entry(5, Act.RESUMED, how=How.PERSON, wording="pediu por telefone para voltar")], False, False, False),
        # nor does a person of ours what stands on the house's list, before or after what the contact said
        ([LISTED, entry(5, Act.RESUMED, how=How.PERSON, wording="pediu")], True, False, False),
        ([LISTED, entry(5, Act.CONSENTED, how=How.PERSON, wording="pediu")], True, False, False),
        ([LISTED, entry(2, Act.STOPPED), entry(5, Act.RESUMED, how=How.PERSON, wording="pediu")], True, False, False),
        ([STOP, LISTED, entry(5, Act.RESUMED, how=How.PERSON, wording="pediu")], True, False, False),
        ([LISTED, entry(5, Act.RESUMED)], False, False, False),
        # WhatsApp's own switch is about promotions alone
        ([STOP, entry(5, Act.RESUMED, Scope.MARKETING, How.WHATSAPP)], True, False, False),
        ([NO_ADS, entry(5, Act.RESUMED, Scope.MARKETING, How.WHATSAPP)], False, False, False),
        ([STOP, NO_ADS, entry(5, Act.RESUMED, Scope.MARKETING, How.WHATSAPP)], True, False, False),
        ([STOP, NO_ADS, entry(5, Act.RESUMED)], False, False, False),
        ([STOP, entry(5, Act.RESUMED), entry(9, Act.STOPPED)], True, False, False),
        ([NO_ADS, entry(5, Act.CONSENTED, how=How.IMPORT)], False, True, False),
    ],
)
def test_the_ledger_comes_to_the_same_in_any_order(
    ledger: list[Entry], stopped: bool, marketing: bool, consents: bool
) -> None:
    for order in permutations(ledger):
        found = standing(order)
        assert (bool(found.stopped), bool(found.marketing_stopped), bool(found.consent)) == (
            stopped,
            marketing,
            consents,
        )


def test_at_the_same_moment_the_opt_out_wins() -> None:
    assert standing([STOP, entry(0, Act.RESUMED)]).stopped == STOP
    assert standing([entry(0, Act.CONSENTED), STOP]).stopped == STOP


def test_whatsapps_own_switch_becomes_a_line_of_the_ledger() -> None:
    stop = preference_entry("stop", NOW, "User requested to stop marketing messages")
    assert stop is not None and standing([stop]).marketing_stopped == stop
    assert preference_entry("resume", NOW) is not None
    assert preference_entry("maybe", NOW) is None


entries = st.builds(
    Entry,
    st.integers(0, 30).map(lambda minutes: NOW + timedelta(minutes=minutes)),
    st.sampled_from(Act),
    st.sampled_from(Scope),
    st.sampled_from(How),
    st.sampled_from(["", "pediu"]),
)


@settings(max_examples=100)
@given(st.lists(entries, max_size=8), st.integers())
def test_no_ledger_lets_an_opt_out_be_forgotten_without_the_contact(ledger: list[Entry], seed: int) -> None:
    found = standing(ledger)
    shuffled = list(ledger)
    random.Random(seed).shuffle(shuffled)
    assert standing(shuffled) == found
    assert standing([*ledger, entry(60, Act.STOPPED)]).stopped is not None
    by_others = [one for one in ledger if one.how is How.IMPORT or (one.how is How.PERSON and not one.wording)]
    stops = [one for one in by_others if one.act is Act.STOPPED and one.scope is Scope.ALL]
    assert (standing(by_others).stopped is not None) == bool(stops)
    if found.stopped:
        assert found.consent is None
    assert isinstance(found, Standing)
