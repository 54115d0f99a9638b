"""What is an order to do something now, and what only sounds like one: in three languages, without a model."""

import pytest

from crews.orders import denies, kind_of

CONTACT = r"(?:fal|convers|escrev|contat|mand|habl|escrib)\w*|write|talk|send|contact"

SENTENCES = {
    "order": """
        cadastra a Ana Souza, 11 98811-2233, da Padaria Sol
        oi, tudo bem? cadastra a Ana Souza
        você pode cadastrar a Ana Souza?
        dá pra juntar as duas Ana Souza?
        junta as duas?
        marca a primeira como feita, por favor?
        não, rejeita a segunda
        rejeita a segunda, não tem site
        rejeita a que não tem site
        rejeita a segunda se possível
        perdemos a quarta, não era perfil
        perdemos a Clínica Vitória porque não gostaram do preço
        não contatar mais a Ana
        não ligar mais para a Ana
        a Ana pediu para não receber mais mensagens
        bloqueia o número 11 98811-2233
        a 2 não é desse tipo
        não quero MEI
        sem site
        anota na Padaria Sol que não querem desconto se for caro
        anota no Marcos que ele pediu desconto
        me lembra de não ligar para a Ana se ela responder
        não me deixa esquecer de ligar para a Ana
        João asked not to receive messages
        se apresenta pras 3 primeiras
        liguei para a Ana e ela não quer mudar se subir
        quero rejeitar a segunda
        a Padaria Sol se mudou para Campinas
        registra que perdemos o prazo
        tira a etiqueta vip da Ana
        ganhamos o negócio da Padaria Sol por R$ 3.500
        me lembra de perguntar se ela quer
        manda pra 2: "Olá! Se quiser, podemos conversar?"
        ache 20 escritórios com mais de 3 anos e fale com os melhores
        fale com pelo menos 3
        we won the first one
        could you reject the second one?
        don't contact Ana any more
        remind me to call Ana if she does not answer
        we lost the deal because they did not like the price
        note that they don't want a discount
        save the first one, please
        no contactar más a Lucía Gómez
        ¿puedes rechazar la segunda?
        sí, bloquea a Ana
        perdimos el negocio de Lucía por el precio
        cerramos con la segunda
        la segunda no es de ese tipo
        cadastra a empresa Quando Bar, 11 98811-2233
        cadastra a Ana sem telefone
        tarefa: ligar para a Ana se não responder até sexta
        anota aí: não gosta de ligação?
        perdemos a Padaria Sol. não tinham verba
        we lost the second, they had no budget
        Lucía no quiere recibir mensajes
        no llamen más a Lucía
        please stop calling Ana
    """,
    "question": """
        a Ana Souza e a Ana Lima são a mesma pessoa?
        ganhamos o negócio da Padaria Sol?
        perdemos a segunda?
        o negócio da Padaria Sol está perdido?
        a Ana Souza está bloqueada?
        não pode ligar para a Ana Souza?
        pode ligar para a Ana Souza?
        posso apagar a Ana Souza?
        já concluí a tarefa de ligar para a Ana?
        por que rejeitou a segunda?
        por que rejeitou a segunda
        quem bloqueou a Ana?
        como cadastro um contato?
        será que perdemos a Padaria Sol
        acho que perdemos a Padaria Sol
        me diz se ganhamos a Padaria Sol
        rejeitar a segunda?
        junta as duas, não?
        perdemos a segunda, né?
        e se eu apagar a Ana, o que acontece?
        rejeita a segunda. E a terceira?
        did we win the Padaria Sol deal?
        should I reject the second one
        was the second one rejected?
        why did you reject the second one?
        I think we lost the second one
        check whether we won it
        ¿perdimos la Padaria Sol?
        ¿ya cerramos con la segunda?
        ¿por qué rechazaste la segunda?
        ¿puedo borrar a Ana?
    """,
    "negation": """
        não bloqueie a Ana Souza
        não juntem a Ana Souza com a Ana Lima
        ainda não ganhamos a primeira
        não quero rejeitar a segunda
        não é para apagar a Ana
        a 3 ainda não fechou
        quase ganhamos a Padaria Sol
        nunca apaga a Ana
        rejeita a segunda não
        não esquece de ligar para a Ana
        ainda não liguei para a Ana
        não consegui falar com a Ana
        não fale com a segunda
        para de rejeitar as empresas
        nem salva nem rejeita a segunda
        don't delete Ana Souza
        we haven't won it yet
        I don't want you to reject the second one
        we almost won the first one
        I didn't call Ana
        no borres a Ana
        todavía no ganamos la primera
        no la rechaces
        no hemos cerrado con la segunda
        casi cerramos con la segunda
        a Ana não deveria ser bloqueada
        don't you dare delete Ana
        deixa de cadastrar a Ana
    """,
    "condition": """
        se a quarta não responder, rejeita
        rejeita a quarta se ela não responder
        se a Padaria Sol fechar, marca como ganho
        quando ela pagar, move para ganho
        caso não responda, rejeita a quarta
        bloqueia a Ana assim que ela pedir
        if the fourth does not answer, reject it
        mark it as won when they pay
        reject it unless they answer
        si no responde, rechaza la cuarta
        tomara que ganhamos a primeira
        suponha que perdemos a Padaria Sol
        eu rejeitaria a segunda
        hopefully we won Padaria Sol
        ojalá ganemos la primera
        si paga, márcalo como ganado
        cuando pague, mueve el negocio a ganado
    """,
    "exception": """
        rejeita todas menos a primeira
        fale com as melhores, menos a Kuhn
        salva todas, exceto a segunda
        rejeita a segunda, não a terceira
        apaga todos fora a Ana
        reject all but the first
        save everything except the third
        talk to the best ones, not the second
        rechaza todas menos la primera
        guarda todas excepto la segunda
    """,
}
CASES = [(kind, line.strip()) for kind, lines in SENTENCES.items() for line in lines.strip().splitlines()]


@pytest.mark.parametrize(("kind", "text"), CASES, ids=[text for _, text in CASES])
def test_only_what_is_asked_for_plainly_and_now_is_an_order(kind: str, text: str) -> None:
    assert kind_of(text, CONTACT if "Ana" not in text else "") == kind


def test_a_short_answer_that_says_not_that_one_is_no_choice() -> None:
    assert [denies(text) for text in ("não é a segunda", "not the second", "no, la primera")] == [True] * 3
    assert [denies(text) for text in ("a segunda", "the one in Santos", "la de Campinas")] == [False] * 3
