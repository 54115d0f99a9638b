"""Who wants no more messages, and who only answers: what was said before it decides over a word that means both."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from business.messaging.consent import Scope, heard_opt_out
from business.messaging.ledger import standing_of
from business.messaging.outbox import Draft
from business.messaging.templates import Purpose
from core.clock import FixedClock
from core.db import Database
from core.permissions import Permissions
from integrations.whatsapp_cloud import messages as said
from tests.business.messaging.chat_house import NOON, ChatHouse, chat_house, webhook, wrote
from tests.conftest import Tenants

PHRASES = """
# what they write                                            | in a talk | to what nobody asked for
pare                                                         | out | out
PARE!                                                        | out | out
sair                                                         | out | out
SAIR                                                         | out | out
stop                                                         | out | out
Stop, please                                                 | out | out
parar por favor                                              | out | out
baja                                                         | out | out
unsubscribe                                                  | out | out
não quero mais receber mensagens                             | out | out
Não quero receber mais nada de vocês                         | out | out
nao quero receber msg                                        | out | out
não me mande mais mensagens                                  | out | out
vocês, por favor, não me mandem mais mensagem                | out | out
por favor não me manda mais nada                             | out | out
não me chamem mais aqui                                      | out | out
gostaria que não me enviassem mais mensagens                 | out | out
favor não enviar mensagens                                   | out | out
a partir de agora não quero mais receber mensagens           | out | out
não me mandem mais mensagens com promoções e links           | out | out
não quero mais receber mensagens por e-mail                  | out | out
parem de mandar mensagem                                     | out | out
me tira da lista                                             | out | out
quero ser removida da lista                                  | out | out
me deixem em paz                                             | out | out
não me liguem nem mandem mensagem                            | out | out
não me ligue mais aqui                                       | out | out
nunca mais me mande mensagem                                 | out | out
favor não entrar mais em contato                             | out | out
já pedi pra não me mandarem mais mensagem                    | out | out
quero parar de receber mensagens                             | out | out
eu já disse para parar de me mandar mensagem                 | out | out
pare, não quero                                              | out | out
remova meu número                                            | out | out
não manda mais                                               | out | out
não me ligue mais                                            | out | out
no me escriban más, por favor                                | out | out
no quiero recibir mensajes                                   | out | out
please don't text me again                                   | out | out
stop messaging me                                            | out | out
I don't want any more messages                               | out | out
remove my number from your list                              | out | out
take me off your list                                        | out | out
# they answer many a question besides
cancelar                                                     | ask | out
Cancela, por favor                                           | ask | out
quero cancelar                                               | ask | out
remover                                                      | ask | out
chega!                                                       | ask | out
não quero mais                                               | ask | out
cancel                                                       | ask | out
quit                                                         | ask | out
basta                                                        | ask | out
não quero, obrigado                                          | no  | out
no quiero                                                    | no  | out
não                                                          | no  | ask
não tenho interesse                                          | no  | ask
not interested                                               | no  | ask
# for now, or by this program
não me mande mensagem agora, estou dirigindo                 | ask | ask
não me mandem mais mensagens hoje                            | ask | ask
não quero mais mensagens automáticas                         | ask | ask
vou bloquear vocês                                           | ask | ask
não me mande mensagem no sábado                              | ask | ask
don't text me now, I'm driving                               | ask | ask
# of something else
vocês não me mandaram mais notícias                          | no  | no
ninguém me ligou, não me chamaram mais                       | no  | no
não me ligou mais                                            | no  | no
por que vocês não me mandam mais o catálogo?                 | no  | no
não, me mande mais detalhes                                  | no  | no
não me mande áudio, por favor                                | no  | no
não me mande mais áudios                                     | no  | no
não me mande mensagem de voz                                 | no  | no
não me envie por e-mail, manda aqui                          | no  | no
não me ligue mais, manda mensagem                            | no  | no
não me mandem cobrança, já paguei                            | no  | no
não quero receber no cartão                                  | no  | no
não quero mensagem automática, quero falar com uma pessoa    | no  | no
vocês não enviam mais para Manaus?                           | no  | no
não me chame mais de senhora                                 | no  | no
quero parar de mandar mensagem para os clientes um por um    | no  | no
o cliente disse não me mande mais mensagem                   | no  | no
o sistema para de mandar mensagem depois das 20h?            | no  | no
quando o lead responde ele para de receber mensagem?         | no  | no
não entre em contato com meu sócio, fale comigo              | no  | no
vocês nunca mais me mandaram nada                            | no  | no
o celular não liga mais                                      | no  | no
não quero mais esse horário                                  | no  | no
só isso, não quero mais nada                                 | no  | no
quero cancelar a reunião de quinta                           | no  | no
me tira da lista de espera                                   | no  | no
quiero dar de baja mi línea de teléfono                      | no  | no
no me mandaron más el presupuesto                            | no  | no
you never call me back                                       | no  | no
don't call me, text me instead                               | no  | no
can you remove me from the meeting invite?                   | no  | no
can you help me stop texting my customers by hand?           | no  | no
"""
ROWS = [tuple(map(str.strip, line.split("|"))) for line in PHRASES.splitlines() if "|" in line and line[0] != "#"]


@pytest.mark.parametrize(("text", "talking", "unasked"), ROWS)
def test_what_a_phrase_means_in_a_talk_and_to_a_message_that_nobody_asked_for(
    text: str, talking: str, unasked: str
) -> None:
    for expected, heard in ((talking, heard_opt_out(text)), (unasked, heard_opt_out(text, unasked=True))):
        assert heard is None or heard.scope is Scope.ALL
        assert ("no" if heard is None else "out" if heard.sure else "ask") == expected


@pytest.fixture
async def house(
    database: Database, clock: FixedClock, permissions: Permissions, tenants: Tenants, tmp_path: Path
) -> AsyncIterator[ChatHouse]:
    async with chat_house(database, clock, permissions, tenants, tmp_path) as house:
        await house.sort(webhook(wrote("0", "oi")))
        yield house


async def ours(
    house: ChatHouse, key: str, purpose: Purpose, text: str, content: said.Content | None = None, left: bool = True
) -> None:
    """A message of ours as sending.py leaves it, with what waited for an answer taken up."""
    chat = await house.chat()
    draft = Draft(purpose, key, content or said.text(text), answers=chat["messages_in"], segment=chat["segment"])
    async with house.db.tenant(house.id) as conn:
        outbox_id = await house.outbox.put(conn, house.id, chat["id"], draft)
        if left:
            query = "UPDATE outbox SET state = 'sent', external_id = %s, claimed_at = %s WHERE id = %s"
            await conn.execute(query, [f"wamid.{key}", NOON, outbox_id])
            query = """UPDATE chat_messages m SET external_id = %s, status = 'accepted' FROM outbox o
                       WHERE o.id = %s AND m.id = o.message_id"""
            await conn.execute(query, [f"wamid.{key}", outbox_id])
        await conn.execute("UPDATE chats SET waiting_since = NULL, due_at = NULL, unread = 0")


async def lines(house: ChatHouse) -> list[str]:
    rows = await house.rows("SELECT act, scope, detail FROM consent_entries ORDER BY at, detail")
    return [f"{row['act']} {row['scope']}: {row['detail']}" for row in rows]


async def goodbyes(house: ChatHouse) -> int:
    return len(await house.rows("SELECT 1 FROM outbox WHERE purpose = 'goodbye'"))


REMINDER = "Lembrete: a sua conversa é amanhã às 15h. Se precisar mudar, é só avisar por aqui."
BUTTON: dict[str, Any] = {"type": "button", "button": {"payload": "Cancelar", "text": "Cancelar"}}


async def test_cancelling_a_meeting_or_a_no_to_a_question_puts_nobody_on_a_list(house: ChatHouse) -> None:
    await ours(house, "reminder", Purpose.NOTICE, REMINDER)
    await house.sort(webhook(wrote("1", "Cancelar")))
    assert await lines(house) == [] and (await house.chat())["due_at"] is not None, "a turn answers it"
    await ours(house, "again", Purpose.NOTICE, REMINDER)
    await house.sort(webhook(wrote("2", **BUTTON)))  # of the reminder's template
    await ours(house, "asks", Purpose.ANSWER, "Quer marcar uma conversa de 20 minutos?")
    await house.sort(webhook(wrote("3", "Não quero, obrigado")))
    await ours(house, "later", Purpose.FOLLOW_UP, "Oi, Ana! Ficou alguma dúvida?", left=False)
    await house.sort(webhook(wrote("4", "cancelar")))  # of the follow-up nobody has read anything
    assert await lines(house) == [] and await goodbyes(house) == 0


async def test_to_a_person_of_ours_cancel_is_an_answer_and_stop_is_a_stop(house: ChatHouse) -> None:
    await house.chats.take_over(house.who(), (await house.chat())["id"])
    await ours(house, "person", Purpose.ANSWER, "Prefere trocar ou cancelar o pedido?")
    await house.sort(webhook(wrote("1", "Cancelar")))
    chat = await house.chat()
    assert await lines(house) == [] and await goodbyes(house) == 0
    assert chat["waiting_since"] is not None and chat["unread"] == 1, "the person sees that somebody waits"
    for id, text in (("2", "pare"), ("3", "SAIR"), ("4", "não quero mais receber mensagens")):
        await house.sort(webhook(wrote(id, text)))
    assert len(await lines(house)) == 3 and (await house.chat())["waiting_since"] is None


@pytest.mark.parametrize("purpose", [Purpose.FIRST_CONTACT, Purpose.FOLLOW_UP, Purpose.CAMPAIGN])
async def test_cancel_is_an_opt_out_at_once_to_what_nobody_asked_for(house: ChatHouse, purpose: Purpose) -> None:
    await ours(house, "ad", purpose, "Conheça os nossos planos:\n1 - Quero saber mais\nCancelar")
    await ours(house, "price", Purpose.ANSWER, "O Essencial custa R$ 900,00.")
    # The message before the last one is quoted.
    await house.sort(webhook(wrote("1", "Cancelar", context={"id": "wamid.ad"})))
    assert await lines(house) == ["stopped all: Cancelar"] and await goodbyes(house) == 1


async def test_a_message_that_offers_a_word_for_leaving_is_taken_at_its_word(house: ChatHouse) -> None:
    await ours(house, "n", Purpose.NOTICE, f"{REMINDER} Para não receber mais avisos, responda CANCELAR.")
    await house.sort(webhook(wrote("1", "cancelar")))
    assert await lines(house) == ["stopped all: cancelar"]


async def test_the_question_is_answered_by_its_button_its_words_or_its_number(house: ChatHouse) -> None:
    leaves = said.Button("opt_out_yes", "Não quero receber")
    plain = said.buttons("Você prefere não receber mais?", [leaves, said.Button("opt_out_no", "Pode continuar")])
    meeting = said.Button("meeting_off", "Cancelar a conversa")
    either = said.buttons("Cancelar a conversa de quinta, ou não receber mais?", [meeting, leaves])
    number = 0
    for question, expected, texts in (
        (plain, 0, ("2", "Pode continuar", "não")),
        (either, 0, ("1", "Cancelar a conversa", "cancelar", "sim")),
        (plain, 1, ("Sim", "1", "Não quero receber", "cancelar", "não quero")),
        (either, 1, ("2", "Não quero receber", "pare")),
    ):
        for text in texts:
            number += 1
            before = len(await lines(house))
            await ours(house, f"q{number}", Purpose.ANSWER, "", question)
            house.later(1)
            await house.sort(webhook(wrote(f"a{number}", text, at=house.clock.now())))
            assert len(await lines(house)) - before == expected, text


async def test_who_wants_no_promotions_is_still_answered(house: ChatHouse) -> None:
    await ours(house, "ad", Purpose.CAMPAIGN, "Só esta semana!", left=False)
    await ours(house, "answer", Purpose.ANSWER, "Temos três planos.", left=False)
    await house.sort(webhook(wrote("1", "Quanto custa o Pro? Não quero propaganda")))
    assert await lines(house) == ["stopped marketing: Quanto custa o Pro? Não quero propaganda"]
    rows = await house.rows("SELECT purpose, state, reason FROM outbox ORDER BY seq")
    assert [(row["purpose"], row["state"], row["reason"]) for row in rows] == [
        ("campaign", "dropped", "opted_out"), ("answer", "dropped", "newer_message"), ("goodbye", "waiting", ""),
    ]  # fmt: skip
    assert (await house.chat())["due_at"] is not None, "the price is told"
    # Nothing else was asked: the confirmation is all.
    await ours(house, "told", Purpose.ANSWER, "O Pro custa R$ 1.900,00.")
    await house.sort(webhook(wrote("2", "Parar promoções")))
    assert (await house.chat())["due_at"] is None and await goodbyes(house) == 2


async def test_what_was_stopped_under_a_number_is_stopped_under_the_next_one(house: ChatHouse) -> None:
    await house.sort(webhook(wrote("1", "Parar promoções")))
    new = "5511988887777"
    moved: dict[str, Any] = {"type": "system", "system": {"type": "user_changed_number", "wa_id": new, "body": "mudou"}}
    await house.sort(webhook(wrote("2", **moved)))
    async with house.db.tenant(house.id) as conn:
        held = await standing_of(conn, address=new, more=())
    assert (await house.chat(new))["contact_id"] is None and held.marketing_stopped is not None
