"""What may and what may not leave to a contact, sentence by sentence: prices, promises, claims, times, data, links."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from agents.guards import untraceable_numbers
from crews.sdr.crew import named_slots, tidy
from crews.sdr.guard import Grounds, check, grounds, without_promises
from tools.sdr import sums_of

BRIEF: dict[str, Any] = {
    "persona": {
        "name": "Lia", "company": "Agência Ipê", "hours": "de segunda a sexta, das 9h às 18h", "site": "https://ipe.example",
        "email": "contato@ipe.example", "phone": "(19) 3322-1100", "about": "Cuidamos de anúncios.",
    },
    "contact": {"name": "Marina"},
    "evidence": [],
    "prices": [Decimal("1490.00"), Decimal("2890.00"), Decimal("390.00")],
    "catalogue": [
        {"code": "essencial", "name": "Plano Essencial", "price": "R$ 1.490,00", "unit": "por mês", "description": ""},
        {"code": "p2", "name": "Plano Crescimento", "price": "R$ 2.890,00", "unit": "por mês",
         "description": "Tudo do Essencial, com página de captura"},
        {"code": "diag", "name": "Diagnóstico de anúncios", "price": "R$ 390,00", "unit": "uma vez", "description": ""},
        {"code": "site", "name": "Página de captura", "price": None, "unit": "", "description": ""},
    ],
    "discounts": [],
    "meeting": None,
    "how_it_works": "A primeira conversa dura 30 minutos e não custa nada.",
}  # fmt: skip
SLOTS = {"slots": [{"starts": "2026-11-26T15:00"}, {"starts": "2026-11-27T10:30"}]}
BOOKED = {"starts": "2026-11-26T15:00", "link": "https://meet.example/abc", "day": "quinta", "time": "15h"}
MOVED = {**BOOKED, "starts": "2026-11-27T15:00", "day": "sexta", "moved": True}
CALLS = {**BOOKED, "link": "", "how": "call", "place": "+5519988112233"}
HANDED = {"fetched": True, "hours": ""}
FINE = {"passages": [
    {"text": "Não há fidelidade. O plano é mensal e pode ser cancelado com aviso de 30 dias, sem multa.",
     "heading": "Contrato"},
    {"text": "Depois do sim, a campanha fica no ar em até 7 dias úteis.", "heading": "Montagem da campanha"},
]}  # fmt: skip
PASSAGE = {"passages": [{"text": "A verba recomendada é a partir de R$ 900,00 por mês.", "heading": "Verba"}]}


def on(*results: tuple[str, Any], said: str = "quanto custa?", **more: Any) -> Grounds:
    return grounds({**BRIEF, **more.pop("brief", {})}, results, said, **more)


def kinds(text: str, known: Grounds) -> set[str]:
    return {finding.kind for finding in check(text, known)}


NOTHING = on()
HAGGLED = on(
    said="faz por 900? o concorrente cobra 700 reais. até 18h30 consigo. sou da clínica, marina@x.com.br, 19 98811-2233"
)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        # prices and discounts that nobody wrote into the catalogue
        ("O plano sai por R$ 1.200,00 por mês.", "price"),
        ("Fica 900 reais por mês.", "price"),
        ("Consigo por 1,2 mil.", "price"),
        ("Sai por mil e duzentos reais.", "price"),
        ("Claro, mil por mês.", "price"),
        ("Fechado por R$ 900!", "price"),
        ("It is $ 700 a month.", "price"),
        ("Te dou 20% de desconto.", "discount"),
        ("Consigo te dar 20% de desconto no primeiro mês!", "discount"),
        ("Te ligo amanhã no fim da tarde.", "promise"),
        ("Agendei no seu nome para quinta.", "claim"),
        ("Te doy un descuento en el primer mes.", "discount"),
        ("Para você, o primeiro mês é grátis.", "discount"),
        ("Consegui uma condição especial.", "discount"),
        ("I can give you a discount.", "discount"),
        ("Te hago un descuento.", "discount"),
        # promises that nobody keeps
        ("Vou te ligar amanhã.", "promise"),
        ("Te mando em 5 minutos.", "promise"),
        ("Vou verificar com a equipe e te aviso.", "promise"),
        ("Um consultor vai entrar em contato com você.", "promise"),
        ("Entraremos em contato em breve.", "promise"),
        ("Só um momento, por favor.", "promise"),
        ("Deixa eu consultar aqui.", "promise"),
        ("Já te envio o contrato por e-mail.", "promise"),
        ("I'll call you tomorrow.", "promise"),
        ("Let me check with the team.", "promise"),
        ("Someone will contact you.", "promise"),
        ("Voy a consultar y te aviso.", "promise"),
        ("Te llamo mañana.", "promise"),
        ("Amanhã te retorno com a proposta.", "promise"),
        ("O link da chamada chega por aqui antes da conversa.", "promise"),
        ("Você vai receber a proposta por e-mail.", "promise"),
        ("The contract will be sent to you.", "promise"),
        ("O especialista te liga na hora.", "promise"),
        ("O convite vai para contato@ipe.example.", "promise"),
        ("Te mando o convite por e-mail.", "promise"),
        ("Já coloquei o seu e-mail no convite.", "promise"),
        ("The invite goes to your e-mail.", "promise"),
        ("Perfeito 😊 Vou te ligar amanhã", "promise"),
        # results that nobody can promise, fees that nobody spoke of
        ("Garanto que você dobra as vendas.", "guarantee"),
        ("Com certeza você já vende mais esse mês.", "guarantee"),
        ("We guarantee more customers.", "guarantee"),
        ("Você vai dobrar o delivery em 30 dias.", "guarantee"),
        ("Seu faturamento vai triplicar.", "guarantee"),
        ("Te devolvemos o dinheiro se não gostar.", "guarantee"),
        ("Posso fazer por 800.", "price"),
        ("R$ 1.490,00 à vista ou 12x de 75.", "price"),
        ("Fica 10 por cento mais barato para você.", "discount"),
        ("O primeiro mês é por nossa conta.", "discount"),
        ("Metade do preço no primeiro mês.", "discount"),
        ("A primeira conversa dura 30 minutos e com certeza você já vende mais ainda esse mês.", "guarantee"),
        ("Pode ter certeza que a sua agenda lota.", "guarantee"),
        ("You will definitely get more clients.", "guarantee"),
        ("No setup fee at all!", "fee"),
        ("Não tem taxa de adesão.", "fee"),
        ("Que nada, aqui é a Lia, gente de verdade da equipe da Ipê 🙂", "human"),
        ("Marquei amanhã no nome da Beatriz e cancelei a reunião dela de quinta.", "claim"),
        ("Nossa equipe te chama ainda hoje.", "promise"),
        # things that were not done
        ("Agendei sua reunião para quinta.", "claim"),
        ("Sua conversa está marcada!", "claim"),
        ("Pronto, marcado.", "claim"),
        ("Enviei o contrato para o seu e-mail.", "claim"),
        ("Acabei de te mandar o link.", "claim"),
        ("Já chamei um atendente para você.", "claim"),
        ("Cancelei sua reunião.", "claim"),
        ("I've booked you in.", "claim"),
        ("I have sent you the contract.", "claim"),
        ("Te envié la propuesta.", "claim"),
        # times that nobody offered
        ("Tenho quinta às 14h.", "time"),
        ("Pode ser sexta às 10:45?", "time"),
        ("How about 4 pm on Friday?", "time"),
        # other people's data, links of nowhere
        ("O telefone dele é (11) 97766-5544.", "data"),
        ("Fale com joao@cliente.com.br.", "data"),
        ("O CPF é 123.456.789-09.", "data"),
        ("Veja em https://bit.ly/abc", "link"),
        ("Acesse www.outraempresa.com.br para pagar.", "link"),
        # instructions and the inside of the house
        ("Minhas instruções são: nunca dar desconto.", "leak"),
        ("Vou usar book_meeting agora.", "leak"),
        ("O id é chat_01a1fac86c9c781c804ae11a.", "leak"),
        # passing for a person
        ("Sou uma pessoa de verdade, pode confiar.", "human"),
        ("Não sou um robô.", "human"),
        ("I'm a real person.", "human"),
    ],
)  # fmt: skip
def test_what_is_not_so_is_found(text: str, kind: str) -> None:
    assert kind in kinds(text, NOTHING), check(text, NOTHING)


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("O Plano Essencial sai por R$ 1.490,00 por mês. Quer saber o que inclui?", NOTHING),
        ("São 1.490 reais por mês, sem fidelidade.", on(("search_documents", FINE))),
        ("Não tenho desconto para oferecer: os valores são os da tabela.", NOTHING),
        ("Desconto eu não consigo, infelizmente.", NOTHING),
        ("A primeira conversa dura 30 minutos e não custa nada.", NOTHING),
        ("Por 900 não consigo, o Essencial é R$ 1.490,00.", HAGGLED),
        ("Entendi que o seu orçamento é de R$ 900.", HAGGLED),
        ("O Essencial é R$ 1.490,00, fora dos seus R$ 900.", HAGGLED),
        ("A verba é a partir de R$ 900,00 por mês, segundo os documentos.", on(("search_documents", PASSAGE))),
        ("Posso chamar alguém do time para te responder por aqui, quer?", NOTHING),
        ("Quer que eu marque uma conversa?", NOTHING),
        ("Podemos deixar marcado quando você escolher um horário?", NOTHING),
        ("Tenho quinta às 15h ou sexta às 10h30. Qual fica melhor?", on(("free_slots", SLOTS))),
        ("Marcado: quinta, às 15h. O link é https://meet.example/abc", on(("book_meeting", BOOKED))),
        ("Te esperamos na quinta às 15h!", on(("book_meeting", BOOKED))),
        ("Marcado: quinta, às 15h. Ligamos para você neste número.", on(("book_meeting", CALLS))),
        ("Booked for Thursday at 15:00, we'll call you on this number.", on(("book_meeting", CALLS))),
        ("Um especialista vai conversar com você na quinta às 15h.", on(("book_meeting", BOOKED))),
        ("Já chamei alguém do time, que continua com você por aqui.", on(("hand_to_person", HANDED))),
        ("Uma pessoa da equipe vai te responder por aqui.", on(("hand_to_person", HANDED))),
        ("Atendemos de segunda a sexta, das 9h às 18h, e o site é https://ipe.example.", NOTHING),
        ("Pode escrever para contato@ipe.example ou ligar (19) 3322-1100.", NOTHING),
        ("Anotei seu e-mail: marina@x.com.br, e o número (19) 98811-2233.", HAGGLED),
        ("Sou a Lia, assistente virtual da Agência Ipê. Não sou uma pessoa.", NOTHING),
        ("A campanha fica no ar em até 7 dias úteis depois do sim.", on(("search_documents", FINE))),
        ("Para quando você precisa disso?", NOTHING),
        ("O relatório mostra quanto custou cada conversa nas últimas 24 horas.", NOTHING),
        ("Se quiser, é só escolher um dos horários que te passei.", NOTHING),
        ("I can't offer discounts, but the Plano Essencial is R$1,490.00 a month.", NOTHING),
        ("¿Quieres que alguien del equipo te responda por aquí?", NOTHING),
        ("Em 30 minutos de conversa a gente entende o que você precisa e te mostra as opções.", NOTHING),
        ("Depois do Diagnóstico você recebe um plano de ação.", NOTHING),
        ("Agende quando for melhor para você. Se quiser, eu marco agora mesmo.", NOTHING),
        ("Segue o link: https://meet.example/abc", on(("book_meeting", BOOKED))),
        ("Fica marcado para quinta, 26/11, às 15h. Você recebe um lembrete antes.", on(("book_meeting", BOOKED))),
        ("Vou chamar alguém do time, que continua com você por aqui.", on(("hand_to_person", HANDED))),
        ("Perfeito! Me conta: qual é o seu negócio, e o que você quer melhorar?", NOTHING),
        ("Great! What is your business, and when would you like to start?", NOTHING),
        ("No tengo descuentos: los precios son los de la lista.", NOTHING),
        ("There are no discounts, but the plan has no lock-in.", on(("search_documents", FINE))),
        ("Ninguém sério garante um número de vendas.", NOTHING),
        ("Não tem multa, segundo as nossas perguntas frequentes.", on(("search_documents", FINE))),
        ("Como falei, a verba é a partir de R$ 900,00.", on(before="A verba é a partir de R$ 900,00 por mês.")),
        ("You're all set for Thursday at 3 pm.", on(("book_meeting", BOOKED))),
        ("Sem problema! Já passei para sexta, 27/11, às 15h.", on(("book_meeting", MOVED))),
        ("A de quinta está cancelada, agora é sexta às 15h.", on(("book_meeting", MOVED))),
        ("O convite por e-mail não vai, mas o link é este: https://meet.example/abc", on(("book_meeting", BOOKED))),
        ("Com os seus 2 mil por mês cabe o Essencial, de R$ 1.490,00.", on(said="tenho uns 2 mil por mês")),
        ("Com 3 mil por mês dá sim: o Essencial sai por R$ 1.490,00.", on(said="consigo 3 mil por mês, dá?")),
        ("Seu teto de R$ 1.500,00 cobre o Essencial, de R$ 1.490,00.", on(said="meu teto é 1500")),
    ],
)  # fmt: skip
def test_what_is_so_may_leave(text: str, known: Grounds) -> None:
    assert check(text, known) == []


@pytest.mark.parametrize(
    "text",
    [
        # one item's price told as another's
        "O Essencial sai por R$ 2.890,00 por mês.",
        "São 390 reais no plano essencial.",
        "O Plano Crescimento, R$ 1.490,00, tem tudo.",
        "Plano Essencial: R$ 390,00",
        "O mais completo é o Crescimento (R$ 1.490,00).",
        "O Essencial custa R$ 2.890,00 e o Crescimento R$ 1.490,00.",
        "Por R$ 1.490,00 você leva o Crescimento.",
        "For R$390.00 you get the Essencial plan.",
        "El Crescimento cuesta R$ 1.490,00 al mes.",
        # a price for something else than it is for
        "O valor é R$ 1.490,00 por ano.",
        "Fica R$ 1.490,00 à vista.",
        "O Diagnóstico sai por R$ 390,00 por mês.",
        "O Essencial sai em 12x de R$ 1.490,00.",
        "A mensalidade é de R$ 390,00.",
        "São mil quatrocentos e noventa reais por hora.",
        "It's R$1,490.00 a year.",
        "Son R$ 1.490,00 al año.",
    ],
)
def test_an_amount_of_the_catalogue_is_that_items_and_for_what_it_is_for(text: str) -> None:
    assert kinds(text, NOTHING) == {"price"}, check(text, NOTHING)


@pytest.mark.parametrize(
    "text",
    [
        "O Essencial sai por R$ 1.490,00 por mês; o Crescimento, R$ 2.890,00, inclui também uma página de captura.",
        "O Essencial custa R$ 1.490,00 mensais e o Crescimento R$ 2.890,00.",
        "Por R$ 1.490,00 tem o Essencial, e por R$ 2.890,00 o Crescimento.",
        "Se o Essencial for pouco, o próximo sai por R$ 2.890,00.",
        "Quer o Essencial ou o de R$ 2.890,00?",
        "O Crescimento tem tudo do Essencial por R$ 2.890,00.",
        "É essencial saber que o plano de R$ 2.890,00 inclui o Google.",
        "Com página de captura sai por R$ 2.890,00.",
        "O Essencial por três meses são R$ 4.470,00, ou R$ 1.490,00 por mês.",
        "O Diagnóstico custa R$ 390,00, uma vez só.",
        "O Essencial é R$ 1.490,00 e a verba dos anúncios a partir de R$ 900,00 por mês.",
        "The Essencial plan is R$1,490.00 per month.",
        "The Diagnóstico is a one-time R$390.00.",
        "El Essencial cuesta R$ 1.490,00 mensuales.",
    ],
)
def test_what_cannot_be_told_apart_is_not_refused(text: str) -> None:
    assert check(text, on(("search_documents", PASSAGE))) == []


def test_a_document_may_give_an_amount_that_is_also_a_price() -> None:
    same = {"passages": [{"text": "A verba recomendada é a partir de R$ 1.490,00 por semana.", "heading": "Verba"}]}
    told = "No Crescimento a verba é de R$ 1.490,00 por semana."
    assert kinds(told, NOTHING) == {"price"} and check(told, on(("search_documents", same))) == []
    theirs = on(said="o crescimento é 1490 reais?")
    assert check("O Crescimento não sai por R$ 1.490,00.", theirs) == [], "their own figure, told not to be so"


def test_a_person_who_was_fetched_is_promised_but_no_minute() -> None:
    handed = on(("hand_to_person", HANDED))
    assert kinds("Alguém do time vai te ligar em 5 minutos.", handed) == {"promise"}
    assert kinds("Alguém do time vai te responder amanhã.", handed) == {"promise"}


def test_a_meeting_that_was_booked_excuses_no_other_time_and_no_other_promise() -> None:
    booked = on(("book_meeting", BOOKED))
    assert kinds("Marcado: quinta às 16h.", booked) == {"time"}
    assert kinds("Marcado! Também vou te mandar a proposta hoje.", booked) == {"promise"}
    assert kinds("Quinta às 15h a gente te liga neste número.", booked) == {"promise"}, "one meets by a link"
    assert kinds("A gente te liga em 5 minutos.", on(("book_meeting", CALLS))) == {"promise"}


def test_for_what_is_not_our_business_there_is_one_sentence() -> None:
    asked = on(said="me passa uma receita de bolo", off_topic=True)
    assert check("Essa eu não acompanho, por aqui cuido só dos anúncios da Agência Ipê 🙂", asked) == []
    assert kinds("Claro! Bata 3 ovos com 2 xícaras de açúcar e leve ao forno.", asked) == {"off_topic"}
    assert check("Com receita eu não consigo ajudar, só trato de anúncios por aqui.", asked) == []


def test_a_sentence_that_only_promises_is_cut_out_and_nothing_else_is() -> None:
    good = "Que bom que você já sabe aonde quer chegar, Marina! Pra quando você quer isso rodando?"
    promised = "Que bom que você já sabe aonde quer chegar, Marina! Vou montar uma proposta e te mando amanhã. "
    assert without_promises(promised + "Pra quando você quer isso rodando?", NOTHING) == good
    assert without_promises("Vou montar uma proposta e te mando amanhã. Certo?", NOTHING) == "", "little would be left"
    assert without_promises(promised + "Fica R$ 900,00 por mês.", NOTHING) == "", "a price is another matter"


def test_a_sum_that_shows_its_parts_is_right_and_any_other_sum_is_a_price_of_nobody() -> None:
    known = on(("search_documents", PASSAGE))
    assert (
        check("O Essencial é R$ 1.490,00 e a verba a partir de R$ 900,00: somando, R$ 2.390,00 por mês.", known) == []
    )
    assert check("It is R$1,490.00 plus R$ 900 for the ads: R$2,390.00 a month.", known) == []
    assert check("São R$ 1.490,00 por mês, R$ 17.880,00 em 12 meses.", known) == []
    assert kinds("Fica tudo por R$ 2.390,00 por mês.", known) == {"price"}, "no part is shown"
    assert kinds("O Essencial é R$ 1.490,00, e tiro o Diagnóstico: R$ 1.100,00.", known) == {"price"}, (
        "nothing is taken off"
    )


RIGHT_SUMS = (
    "Em 12 meses o Essencial dá R$ 17.880,00 e o Crescimento R$ 34.680,00, sem contar a verba.",
    "Seis meses do Essencial saem por R$ 8.940,00.",
    "O Crescimento dá R$ 34.680,00 em 12 meses; com a verba, a partir de R$ 900,00 por mês (R$ 10.800,00 no ano), fica "
    "a partir de R$ 45.480,00.",
    "O Crescimento com a verba de R$ 900,00 fica em R$ 3.790,00 por mês.",
    "A diferença para o Essencial é de R$ 1.400,00 por mês.",
    "O Crescimento custa R$ 1.400,00 a mais por mês que o Essencial.",
    "Over a year that's R$34,680.00 for Crescimento.",
    "Al año el Essencial son R$ 17.880,00.",
)


@pytest.mark.parametrize("text", RIGHT_SUMS)
def test_a_right_total_may_leave_by_this_guard_and_by_the_one_that_traces_numbers(text: str) -> None:
    assert check(text, on(("search_documents", PASSAGE))) == []
    prices = BRIEF["prices"]
    facts = [
        {"prices": prices, "sums": sums_of(prices)},
        {"numbers": [Decimal(900)], "sums": sums_of(prices, [Decimal(900)])},
        "12 meses, 6 meses",
    ]
    language = "en" if text.startswith("Over") else "es" if text.startswith("Al") else "pt-BR"
    assert untraceable_numbers(text, facts, language) == []


@pytest.mark.parametrize(
    "text",
    [
        # of another item
        "O Crescimento em 12 meses dá R$ 17.880,00, ou R$ 1.490,00 por mês no Essencial.",
        "No Crescimento, em 12 meses, dá R$ 17.880,00. O Essencial custa R$ 1.490,00 por mês.",
        "Em 12 meses o Essencial dá R$ 34.680,00 e o Crescimento R$ 17.880,00.",
        # of other months, of none, of what is paid once
        "O Essencial dá R$ 17.880,00 em 6 meses.",
        "O Essencial em 12 meses sai por R$ 14.900,00.",
        "O Essencial sai por R$ 17.880,00.",
        "O Crescimento sai por R$ 34.680,00 por mês em 12 meses.",
        "O Diagnóstico dá R$ 4.680,00 em 12 meses.",
        # with something that was not added, by a difference that is none
        "O Crescimento sai por R$ 3.790,00 por mês, e a verba é a partir de R$ 900,00.",
        "O Crescimento dá R$ 45.480,00 no ano, e a verba é de R$ 900,00 por mês.",
        "O Crescimento tem tudo do Essencial e sai por R$ 4.380,00.",
        "O Essencial custa R$ 1.400,00 a mais por mês que o Crescimento.",
        "A diferença para o Essencial é de R$ 1.100,00 por mês.",
        "Fica R$ 1.400,00 a menos no Crescimento.",
    ],
)
def test_a_total_of_another_item_or_of_other_months_is_a_price_of_nobody(text: str) -> None:
    assert kinds(text, on(("search_documents", PASSAGE))) == {"price"}, check(text, on(("search_documents", PASSAGE)))


def test_that_a_meeting_was_moved_says_nothing_of_a_person_and_one_that_stands_nothing_of_a_move() -> None:
    moved = on(("book_meeting", MOVED))
    assert kinds("Já chamei alguém do time para sexta.", moved) == {"claim"}
    assert kinds("Passei seu pedido para o time na sexta.", moved) == {"claim"}
    assert kinds("Cancelei a de quinta.", moved) == {"claim"}
    assert kinds("Passei para quinta às 15h.", on(("book_meeting", BOOKED))) == {"claim"}


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("Tenho amanhã às 8h ou às 12h, ou quarta às 12h.", ["24T08", "24T12", "25T12"]),
        ("Terça, 24/11, às 8h ou quarta, 25/11, às 12h?", ["24T08", "25T12"]),
        ("Tenho às 12h na terça ou às 8h na quarta.", ["24T12", "25T08"]),
        ("On Tuesday I have 8 am, or 12 pm on Wednesday.", ["24T08", "25T12"]),
        ("¿Mañana a las 8h o el miércoles por la mañana, a las 8h?", ["24T08", "25T08"]),
        ("Sexta às 8h não tenho, mas terça às 12h sim.", ["24T12"]),
        ("Pode ser às 8h?", []),
    ],
)
def test_an_hour_is_offered_on_the_day_that_it_is_named_with(text: str, named: list[str]) -> None:
    slots = [{"starts": f"2026-11-{day}T{hour}:00"} for day in (24, 25) for hour in ("08", "12")]
    found = [one["starts"][8:13] for one in named_slots(slots, text, date(2026, 11, 23), "America/Manaus")]
    assert found == named


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("Thursday: 2 pm or 3 pm Manaus time, which is 1 pm or 2 pm for you in New York. Which one?", ["14", "15"]),
        ("Na quinta tenho 9h, 10h ou 11h no horário de Manaus, que são 8h, 9h e 10h em Nova York.", ["09", "10", "11"]),
        ("Na quinta tenho 10h no horário de Manaus (9h em Nova York) ou 15h (14h em Nova York).", ["10", "15"]),
        ("Na quinta tenho 10h em Manaus, 11h em Brasília, ou 14h.", ["10", "14"]),
        ("On Thursday: 9 am / 10 am Manaus (8 am / 9 am New York)", ["09", "10"]),
        ("Na quinta, 9h ou 10h (horário de Manaus)? Em Nova York são 8h e 9h.", ["09", "10"]),
        ("On Thursday I have 2 pm Manaus time, which is 1 pm for you.", ["14"]),
        ("Na quinta tenho 16h (horário de Brasília).", ["15"]),
    ],
)
def test_an_hour_by_another_clock_is_no_time_of_its_own(text: str, named: list[str]) -> None:
    slots = [{"starts": f"2026-11-26T{hour:02d}:00"} for hour in range(8, 18)]
    found = [one["starts"][11:13] for one in named_slots(slots, text, date(2026, 11, 23), "America/Manaus")]
    assert found == named


def test_claims_and_links_are_cut_out_where_the_rest_stands() -> None:
    rest = "Isso, a conversa é por vídeo e dura 30 minutos, com um especialista da agência."
    assert without_promises(f"{rest} O link chega por aqui antes. ", NOTHING) == rest
    short = "Isso, por vídeo, 30 minutinhos 😊"
    assert without_promises(f"{short} O link da chamada chega por aqui antes da conversa.", NOTHING) == short
    faq = "You can cancel any time with 30 days notice, according to our FAQ."
    assert without_promises(f"No setup fee at all! {faq}", on(said="x", before=faq)) == faq
    assert without_promises(f"{rest} Te mandei o convite. Veja https://bit.ly/x", NOTHING) == rest


def test_a_lecture_is_shortened_to_its_beginning_and_its_question() -> None:
    lecture = (
        "Temos três planos:\n- **Essencial**: para começar.\n- **Crescimento**: para crescer.\n"
        "- **Escala**: para liderar.\n"
        "Todos têm relatório.\nTodos têm criativos.\nTodos são mensais.\nQual é o seu negócio?\nPara quando?"
    )
    told = tidy(lecture)
    assert told.startswith(
        "Temos três planos: Essencial: para começar, Crescimento: para crescer, Escala: para liderar."
    )
    assert told.endswith("Qual é o seu negócio?") and told.count("?") == 1 and "*" not in told
    assert tidy("Oi! Tudo bem?") == "Oi! Tudo bem?"


def test_a_lecture_does_not_leave() -> None:
    assert "length" in kinds("Somos uma agência. " * 60, NOTHING)
