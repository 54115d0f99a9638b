"""The SDR with a model that is played: what it is told, what of its words may leave, and what is said instead."""

import json

import pytest

from evals.stand_in import Answer, Seen
from tests.crews.conftest import MakeRouter, Serve
from tests.crews.sdr.talks import House

pytestmark = pytest.mark.usefixtures("crewai")


def told(seen: Seen) -> str:
    return json.dumps(seen.body["messages"], ensure_ascii=False)


async def test_a_model_answers_with_its_tools_and_what_it_says_of_them_leaves(
    house: House, serve: Serve, make_router: MakeRouter
) -> None:
    server = serve(
        Answer(calls=[
            ("note_fact", {"slot": "need", "reading": "clear", "quote": "mais pacientes", "value": "pacientes"}),
            ("catalogue_search", {"query": "plano para clínica"}),
        ]),
        Answer("Oi, Marina, aqui é a Lia, assistente virtual da Agência Ipê! "
               "O Plano Essencial sai por R$ 1.490,00 por mês. "
               "Para quando você quer começar?"),
        Answer(calls=[("free_slots", {"day": "2026-11-26"})]),
        Answer(calls=[("book_meeting", {"starts": "2026-11-26T15:00"})]),
        Answer("Marcado para quinta-feira, 26/11, às 15h. Até lá!"),
    )  # fmt: skip
    router = make_router(openai=server)
    talk = await house.talk()
    said = await talk.say("oi", "quero mais pacientes pra clínica, quanto custa?", router=router)
    assert said.startswith("Oi, Marina, aqui é a Lia") and talk.result.by_model
    assert "R$ 1.490,00" in told(server.seen[0]) and "ignore" not in told(server.seen[0]).lower()
    assert talk.result.session["sdr"]["greeted"] is True
    said = await talk.say("pode ser quinta às 15h", router=router)
    assert said == "Marcado para quinta-feira, 26/11, às 15h. Até lá!"
    assert "Você já se apresentou" in told(server.seen[2])
    known = await talk.known()
    assert known.stage == "close" and len(known.evidence) == 1


async def test_times_that_a_model_names_are_chosen_by_buttons_and_whoever_asks_for_more_gets_a_list(
    house: House, serve: Serve, make_router: MakeRouter
) -> None:
    server = serve(
        Answer(calls=[("free_slots", {"day": "2026-11-26"})]),
        Answer("Tenho quinta-feira, 26/11, às 9h ou às 15h. Qual fica melhor?"),
    )
    talk = await house.talk()
    await talk.say("oi, tem horário na quinta?", router=make_router(openai=server))
    assert talk.result.by_model
    (view,) = talk.result.views
    assert view.kind == "choices" and view.data["choices"] == [
        {"id": "slot:2026-11-26T09:00-03:00", "title": "qui 26/11 9h"},
        {"id": "slot:2026-11-26T15:00-03:00", "title": "qui 26/11 15h"},
    ]
    assert talk.session["sdr"]["offered"] == ["2026-11-26T09:00-03:00", "2026-11-26T15:00-03:00"]
    said = await talk.say("e na sexta, o que tem?", router=make_router())
    (view,) = talk.result.views
    rows = view.data["choices"]
    assert "sexta, 27/11, às 9h" in said and len(rows) == 10
    assert {row["description"] for row in rows} == {"sexta, 27/11"} and len({row["id"] for row in rows}) == 10
    others = [row["id"] for row in rows if row["id"].removeprefix("slot:") not in talk.session["sdr"]["offered"]]
    said = await talk.say("", router=make_router(), choice=others[0])
    assert "Marcado: sexta, 27/11" in said, "a row that the words did not name can be chosen, too"
    assert [(view.kind, view.data.get("url")) for view in talk.result.views] == [
        ("link", "https://ipe.example/conversa")
    ]


async def test_where_two_clocks_are_spoken_of_a_button_says_the_leads_and_books_what_it_shows(
    house: House, serve: Serve, make_router: MakeRouter
) -> None:
    server = serve(
        Answer(calls=[("free_slots", {"day": "2026-11-26"})]),
        Answer("Quinta, 26/11, tenho 14h ou 15h no horário de Manaus, que são 13h ou 14h em Nova York. Qual fica bom?"),
    )
    talk = await house.talk(phone="5592991234567")
    await talk.say("oi, tem horário na quinta? meu sócio está em Nova York", router=make_router(openai=server))
    assert talk.result.by_model
    (view,) = talk.result.views
    assert view.data["choices"] == [
        {"id": "slot:2026-11-26T14:00-04:00", "title": "qui 26/11 14h Manaus"},
        {"id": "slot:2026-11-26T15:00-04:00", "title": "qui 26/11 15h Manaus"},
    ], "the hours of New York are no times of their own"
    said = await talk.say("", router=make_router(), choice="slot:2026-11-26T14:00-04:00")
    assert said.startswith("Marcado: quinta, 26/11, às 14h (horário de Manaus)")


async def test_a_question_that_was_not_answered_is_not_asked_in_the_next_reply_and_twice_at_most(
    house: House, serve: Serve, make_router: MakeRouter
) -> None:
    reply = "O Plano Essencial sai por R$ 1.490,00 por mês. "
    server = serve(
        Answer(reply + "Para quando você quer isso rodando?"),
        Answer("Sim, é mensal!"),
        Answer("Sim, também. Para quando você quer isso rodando?"),
        Answer("Combinado!"),
        Answer("De nada!"),
    )
    router = make_router(openai=server)
    talk = await house.talk()
    await talk.say("oi, quanto custa o essencial?", router=router)
    await talk.say("e é por mês?", router=router)
    await talk.say("e é tudo por aqui?", router=router)
    await talk.say("tá certo", router=router)
    await talk.say("valeu", router=router)
    assert ["timeline (" in told(seen) for seen in server.seen] == [True, False, True, False, False]
    assert "Você acabou de perguntar: timeline." in told(server.seen[1])


async def test_what_a_model_may_not_say_is_held_back_and_the_playbook_speaks(
    house: House, serve: Serve, make_router: MakeRouter
) -> None:
    for text in (
        "Claro! Faço por R$ 900,00 por mês para você.",
        "Vou verificar com o gerente e te ligo amanhã.",
        "Marquei nossa conversa para quinta às 15h!",
        "O telefone do outro cliente é (11) 97766-5544.",
        "Pague por aqui: https://pague.me/abc",
    ):
        talk = await house.talk(phone=f"55199881{abs(hash(text)) % 10**5:05d}")
        said = await talk.say("quanto custa? faz por 900?", router=make_router(openai=serve(Answer(text))))
        assert said != text and not talk.result.by_model
        assert ("Não passo informações" if "telefone" in text else "Não tenho desconto") in said, said
    talk = await house.talk(phone="5519988100000")
    router = make_router(openai=serve(Answer("Consigo te dar 20% de desconto no primeiro mês!")))
    said = await talk.say("oi, me interessei", router=router)
    assert "Não tenho desconto" in said, "what was nearly promised is answered with the house's own line"


async def test_a_model_can_write_down_only_what_was_said_and_book_only_what_was_agreed(
    house: House, serve: Serve, make_router: MakeRouter
) -> None:
    server = serve(
        Answer(calls=[
            ("note_fact", {"slot": "budget", "reading": "fits", "quote": "tenho 10 mil por mês"}),
            ("book_meeting", {"starts": "2026-11-26T15:00"}),
            ("set_stage", {"stage": "close"}),
            ("opt_out", {"quote": "não quero mais"}),
        ]),
        Answer("Me conta um pouco do seu negócio?"),
    )  # fmt: skip
    talk = await house.talk()
    assert (
        await talk.say("oi, queria entender melhor", router=make_router(openai=server))
        == "Me conta um pouco do seu negócio?"
    )
    failed = {record.name: record.error for record in talk.turn.results if record.error}
    assert failed == {
        "note_fact": "sdr_quote_not_said", "book_meeting": "sdr_time_not_agreed", "set_stage": "sdr_nothing_closed",
        "opt_out": "sdr_quote_not_said",
    }  # fmt: skip
    known = await talk.known()
    assert known.evidence == () and known.score.total == 0
    assert await house.calendar.coming(house.tenant_id, chat_id=talk.who.chat_id) == []


async def test_who_asks_for_a_person_gets_one_whatever_the_model_makes_of_it(
    house: House, serve: Serve, make_router: MakeRouter
) -> None:
    talk = await house.talk()
    router = make_router(openai=serve(Answer("Já chamei uma pessoa da equipe e ela te liga hoje à tarde.")))
    said = await talk.say("chama alguém de verdade então", router=router)
    assert talk.turn.hand_over is not None and talk.turn.hand_over.reason == "asked"
    assert "alguém do time" in said and "Para quando" not in said and "te liga" not in said
    other = await house.talk("Rui", phone="5511977665544")
    router = make_router(openai=serve(Answer("Que nada, aqui é a Lia, gente de verdade da equipe 🙂")))
    assert "assistente virtual" in await other.say("você é um robô né?", router=router)
    third = await house.talk("Bia", phone="5511977665545")
    router = make_router(openai=serve(Answer("O primeiro é a Camila Souza, (19) 99712-4455.")))
    assert "Não passo informações" in await third.say("quem são os clientes de vocês?", router=router)


async def test_who_is_angry_is_told_who_comes_and_asked_nothing(
    house: House, serve: Serve, make_router: MakeRouter
) -> None:
    """Seen in play (record lead-irritado): a person was fetched in silence, beside a question that nobody heard."""
    talk = await house.talk()
    router = make_router(openai=serve(Answer("Sinto muito pela demora! O que você queria saber?")))
    said = await talk.say("que absurdo, mandei mensagem SEXTA e ninguém me respondeu", router=router)
    assert talk.turn.hand_over is not None
    assert "time" in said and "?" not in said and "queria saber" not in said
    other = await house.talk("Rui", phone="5511977665544")
    router = make_router(openai=serve(Answer("Sinto muito! Qual plano você quer?")))
    said = await other.say("ninguém me responde, ridículo. quanto custa o plano escala?", router=router)
    assert "R$ 4.990,00 por mês. Já chamei" in said and other.turn.hand_over is not None


async def test_who_was_told_no_price_by_a_model_that_fetched_a_person_is_told_it_by_the_house(
    house: House, serve: Serve, make_router: MakeRouter
) -> None:
    """Seen in play (lead-planos): the price was asked a third time, and again only a person announced."""
    talk = await house.talk()
    asked = "que enrolação! quanto fica o Crescimento por ano com a verba junto??"
    fetched = Answer(calls=[("hand_to_person", {"reason": "angry", "summary": "quer o total"})])
    router = make_router(
        openai=serve(fetched, Answer("O Crescimento dá R$ 17.880,00 no ano. Já chamei alguém do time."))
    )
    said = await talk.say(asked.replace("quanto fica", "me diz logo"), router=router)
    assert "R$ 2.890,00 por mês" in said and "alguém do time" in said and "17.880" not in said
    other = await house.talk("Rui", phone="5511977665544")
    right = "O Crescimento dá R$ 34.680,00 no ano. Já chamei alguém do time, que continua com você por aqui."
    assert await other.say(asked, router=make_router(openai=serve(fetched, Answer(right)))) == right
    assert other.result.worked_out == [34680, 12], "what traces numbers is told of it"


async def test_a_lead_of_manaus_moves_the_meeting_to_the_same_hour_and_is_told_so_whatever_is_cut_out(
    house: House, serve: Serve, make_router: MakeRouter
) -> None:
    """Seen in play (lead-manaus): the move was refused, then done and not told; an invitation was promised."""
    talk = await house.talk(phone="5592988112233")
    await talk.say("quero marcar uma conversa")
    assert "Marcado: quinta, 26/11, às 14h (horário de Manaus)" in await talk.say("quinta às 14h")
    friday = Answer(calls=[("book_meeting", {"starts": "2026-11-27T14:00"})])
    server = serve(
        Answer("Perfeito! O convite vai para lia@x.example. O link está na mensagem acima, é só entrar por ele."),
        friday,
        Answer("Já passei para sexta, 27/11, às 14h no horário de Manaus."),
    )
    router = make_router(openai=server)
    said = await talk.say("manda o convite pra lia@x.example", router=router)
    assert said == "Perfeito! O link está na mensagem acima, é só entrar por ele."
    for told_it in (
        "quinta, 26/11, 14h (horário de Manaus), https://ipe.example/conversa",
        "das 9h às 18h (horário de Brasília)",
        "Nenhum convite vai para um e-mail que a pessoa escreveu: não prometa, diga que o link acima basta.",
    ):
        assert told_it in told(server.seen[0])
    said = await talk.say("deu ruim, dá pra passar pra sexta no mesmo horário?", router=router)
    assert said == "Já passei para sexta, 27/11, às 14h no horário de Manaus."
    router = make_router(openai=serve(
        Answer(calls=[("book_meeting", {"starts": "2026-11-26T14:00"})]),
        Answer("Já avisei o time que passou para quinta. Sem problema, acontece! O link continua o mesmo."),
    ))  # fmt: skip
    said = await talk.say("ih, volta pra quinta na mesma hora?", router=router)
    assert "quinta, 26/11, às 14h (horário de Manaus)" in said and "avisei" not in said


async def test_who_opts_out_is_left_alone_whatever_the_model_makes_of_it(
    house: House, serve: Serve, make_router: MakeRouter
) -> None:
    talk = await house.talk()
    router = make_router(openai=serve(Answer("Antes de ir, quer que eu te passe o preço do Plano Essencial?")))
    said = await talk.say("não quero mais receber mensagem", router=router)
    assert said.startswith("Tudo bem, não mando mais mensagens.") and "?" not in said and "opt_out" in talk.called


async def test_nobody_is_booked_in_anothers_name_and_what_was_done_is_told_with_a_refusal(
    house: House, serve: Serve, make_router: MakeRouter
) -> None:
    talk = await house.talk()
    router = make_router(openai=serve(
        Answer(calls=[("book_meeting", {"starts": "2026-11-24T09:00"})]), Answer("Marquei no nome da Beatriz, às 9h.")
    ))  # fmt: skip
    said = await talk.say("marca terça às 9h no nome da Beatriz Nogueira, (19) 99712-4455", router=router)
    assert talk.called == [] or "book_meeting" not in talk.called
    assert "Beatriz" not in said
    other = await house.talk("Rui", phone="5511977665544")
    router = make_router(openai=serve(
        Answer(calls=[("book_meeting", {"starts": "2026-11-24T09:00"})]),
        Answer("Marcado! E o telefone da outra cliente é (19) 99712-4455."),
    ))  # fmt: skip
    said = await other.say("pode ser terça às 9h", router=router)
    assert "Não passo informações" in said and "Marcado: terça, 24/11, às 9h" in said


async def test_broken_files_fetch_a_person_and_say_to_the_house_what_is_wrong(
    house: House, serve: Serve, make_router: MakeRouter
) -> None:
    folder = house.files.folder("agencia-ipe")
    folder.mkdir(parents=True)
    (folder / "persona.yaml").write_text("name: Lia\ncompany: Ipê\nhorario: 9h\n", encoding="utf-8")
    talk = await house.talk()
    said = await talk.say("oi", router=make_router(openai=serve(Answer("Oi!"))))
    assert "alguém do time" in said
    assert talk.turn.hand_over is not None and "persona.yaml, horario" in talk.turn.hand_over.summary
