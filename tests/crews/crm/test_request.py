"""Which tool the playbook takes for what people write, with which words of theirs. No model, no database."""

from datetime import UTC, datetime
from typing import Any

import pytest

from business.crm.moments import find_due
from core.errors import ArgumentsWrong
from crews.crm.named import bare_name, keys_in_text
from crews.crm.request import WRITES, understand

NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)  # a Friday noon in São Paulo
ZONE = "America/Sao_Paulo"


def asked(text: str, intent: str) -> tuple[str, dict[str, Any]]:
    found = understand(text, f"crm.{intent}", now=NOW, time_zone=ZONE)
    return (found.tool, found.arguments) if not found.missing else (f"ask {found.missing}", {})


@pytest.mark.parametrize(
    ("text", "intent", "tool", "arguments"),
    [
        ("qual o telefone da Maria?", "record", "crm_search", {"query": "Maria"}),
        ("me mostra a ficha da Padaria Sol", "record", "crm_search", {"query": "Padaria Sol"}),
        ("quem é o João da Silva?", "record", "crm_search", {"query": "João da Silva"}),
        ("show me Ana Souza's record", "record", "crm_search", {"query": "Ana Souza"}),
        ("contatos com a etiqueta vip", "record", "crm_search", {"tag": "vip"}),
        ("abre a ficha da Ana Souza", "record", "crm_search", {"query": "Ana Souza"}),
        ("open Ana Souza's page", "record", "crm_search", {"query": "Ana Souza"}),
        ("quais tarefas eu tenho?", "task", "crm_tasks", {}),
        ("what tasks do I have?", "task", "crm_tasks", {}),
        ("¿qué tareas tengo yo?", "task", "crm_tasks", {}),
        ("hola, muéstrame mis tareas", "task", "crm_tasks", {}),
        ("boa tarde, mostra minhas tarefas", "task", "crm_tasks", {}),
        ("mostra a segunda", "record", "crm_record", {"record": "2"}),
        ("qual o email dela?", "record", "crm_record", {"record": "ela"}),
        ("em que etapa está a Padaria Sol?", "board", "crm_search", {"query": "Padaria Sol"}),
        ("mostra meu funil", "board", "crm_board", {}),
        ("quais são as etapas do funil?", "board", "crm_setup", {}),
        ("o 2", "deal", "crm_record", {"record": "2"}),
        ("quantos negócios fechamos", "board", "crm_board", {}),
        (
            "cadastra a Ana Souza, 11 98811-2233, da Padaria Sol", "save", "crm_save",
            {"kind": "contact", "name": "Ana Souza", "reach": ["11 98811-2233"], "company": "Padaria Sol"},
        ),
        (
            "adiciona o João da Silva, joao@x.com.br, em Campinas", "save", "crm_save",
            {"kind": "contact", "name": "João da Silva", "reach": ["joao@x.com.br"], "city": "Campinas"},
        ),
        (
            "cadastra a empresa Padaria Sol, CNPJ 11.222.333/0001-81, em Campinas", "save", "crm_save",
            {"kind": "company", "name": "Padaria Sol", "reach": ["11.222.333/0001-81"], "city": "Campinas"},
        ),
        (
            "agrega a Ana Souza de la Panadería Sol, ana@sol.com", "save", "crm_save",
            {"kind": "contact", "name": "Ana Souza", "reach": ["ana@sol.com"], "company": "Panadería Sol"},
        ),
        ("o telefone da Ana é 11 91234-5678", "save", "crm_save", {"record": "Ana", "reach": ["11 91234-5678"]}),
        ("Ana's phone is now 11 91234-5678", "save", "crm_save", {"record": "Ana", "reach": ["11 91234-5678"]}),
        ("move a Padaria Sol para proposta", "deal", "crm_deal", {"deal": "Padaria Sol", "stage": "proposta"}),
        ("mueve Padaria Sol a propuesta", "deal", "crm_deal", {"deal": "Padaria Sol", "stage": "propuesta"}),
        (
            "ganhamos o negócio da Padaria Sol por R$ 3.500", "deal", "crm_deal",
            {"deal": "Padaria Sol", "outcome": "won", "amount": "3500"},
        ),
        (
            "we won the Padaria Sol deal for R$ 3,500", "deal", "crm_deal",
            {"deal": "Padaria Sol", "outcome": "won", "amount": "3500"},
        ),
        (
            "perdemos a Clínica Vitória porque achou caro", "deal", "crm_deal",
            {"deal": "Clínica Vitória", "outcome": "lost", "reason": "achou caro"},
        ),
        ("cria um negócio com a Padaria Sol de R$ 5 mil", "deal", "crm_deal", {"of": "Padaria Sol", "amount": "5000"}),
        ("marca o negócio da Ana como ganho", "save", "crm_deal", {"deal": "Ana", "outcome": "won"}),
        (
            "me lembra de ligar para a Ana amanhã às 15h", "task", "crm_task",
            {"title": "Ligar para a Ana", "due": "amanha as 15h", "record": "Ana"},
        ),
        (
            "recuérdame llamar a Ana mañana a las 15", "task", "crm_task",
            {"title": "Llamar a Ana", "due": "manana a las 15", "record": "Ana"},
        ),
        ("quais são minhas tarefas?", "task", "crm_tasks", {}),
        ("que tarefas tenho pra amanhã", "task", "crm_tasks", {"until": "amanha"}),
        ("marca a primeira como feita", "deal", "crm_task", {"finish": "1"}),
        ("a Marina pediu pra sair da lista", "privacy", "crm_do_not_contact", {"record": "Marina"}),
        (
            "perdimos el negocio de Lucía por el precio", "deal", "crm_deal",
            {"deal": "Lucía", "outcome": "lost", "reason": "el precio"},
        ),
        ("cuáles son mis tareas?", "task", "crm_tasks", {}),
        ("no contactar más a Lucía Gómez", "privacy", "crm_do_not_contact", {"record": "Lucía Gómez"}),
        (
            "cria um campo novo no contato: aniversário", "save", "crm_setup",
            {"field": "aniversário", "field_of": "contact"},
        ),
        ("anota no contato da Ana que gosta de café", "save", "crm_mark",
         {"record": "Ana", "note": "Gosta de café", "note_kind": "note"}),
        ("muda a empresa da Bia para Loja Sol", "deal", "crm_save", {"record": "Bia", "company": "Loja Sol"}),
        ("o telefone dela é 19 98822-3344", "save", "crm_save", {"record": "ela", "reach": ["19 98822-3344"]}),
        ("her email is mary@acme.example", "save", "crm_save", {"record": "ela", "reach": ["mary@acme.example"]}),
        ("a cidade dela é São Paulo", "save", "crm_save", {"record": "ela", "city": "São Paulo"}),
        (
            "anota que ela prefere WhatsApp", "save", "crm_mark",
            {"record": "ela", "note": "Ela prefere WhatsApp", "note_kind": "note"},
        ),
        ("terminei a segunda tarefa", "task", "crm_task", {"finish": "2"}),
        (
            "anota na Padaria Sol que pediram desconto", "save", "crm_mark",
            {"record": "Padaria Sol", "note": "Pediram desconto", "note_kind": "note"},
        ),
        (
            "registra que liguei pra Ana Souza", "save", "crm_mark",
            {"record": "Ana Souza", "note": "Liguei pra Ana Souza", "note_kind": "call"},
        ),
        ("tira a etiqueta vip da Ana", "save", "crm_mark", {"record": "Ana", "remove_tags": ["vip"]}),
        ("passa a Padaria Sol para o Carlos", "save", "crm_mark", {"record": "Padaria Sol", "owner": "Carlos"}),
        ("junta as duas Ana Souza", "save", "crm_merge", {"records": ["Ana Souza"]}),
        ("desfaz a união da Ana", "save", "crm_merge", {"records": ["Ana"], "undo": True}),
        ("de onde veio o telefone da Ana?", "privacy", "crm_record", {"record": "Ana"}),
        ("where did you get Ana's data?", "privacy", "crm_record", {"record": "Ana"}),
        ("a Ana pediu para não receber mais mensagens", "privacy", "crm_do_not_contact", {"record": "Ana"}),
        ("bloqueia o número 11 98811-2233", "privacy", "crm_do_not_contact", {"record": "11 98811-2233"}),
        ("apaga tudo da Ana Souza", "privacy", "crm_erase", {"record": "Ana Souza"}),
        ("exporta os dados da Ana Souza", "privacy", "crm_export", {"what": "Ana Souza"}),
        ("exporta meus contatos em excel", "import", "crm_export", {"what": "contacts", "form": "xlsx"}),
    ],
)  # fmt: skip
def test_a_sentence_becomes_the_call_it_asks_for(text: str, intent: str, tool: str, arguments: dict[str, Any]) -> None:
    assert asked(text, intent) == (tool, arguments)


@pytest.mark.parametrize("intent", ["record", "board", "save", "deal", "task", "privacy", "import"])
@pytest.mark.parametrize(
    "text",
    [
        "como cadastro um contato?",
        "não cadastra a Ana",
        "ainda não ganhamos a Padaria Sol",
        "não perdemos a Padaria Sol",
        "se eu apagar a Ana, o que acontece?",
        "posso apagar a Ana Souza?",
        "don't delete Ana Souza",
        "we didn't lose Padaria Sol",
        "quanto custa um CRM?",
        "no borres a Ana",
    ],
)
def test_whatever_it_was_routed_as_nothing_is_written_that_was_not_asked_for(text: str, intent: str) -> None:
    tool, _ = asked(text, intent)
    assert tool not in WRITES - {"crm_import"}, tool


def test_who_is_missing_is_asked_for() -> None:
    assert asked("cadastra um contato", "save")[0] == "ask name"
    assert asked("cadastra ela", "save")[0] == "ask name"
    assert asked("de onde vocês têm meus dados?", "privacy")[0] == "ask whose"
    assert asked("obrigado pelos dados", "save")[0] == "ask name"
    assert asked("cadastra Carlos 19 98822-3344 e Paula 19 98833-4455", "save")[0] == "ask one_by_one"
    assert asked("esquece", "privacy")[0] == "ask whose_erase"
    for text in (
        "apaga a tarefa da Ana",
        "cancela a reunião",
        "delete the deal of Padaria Sol",
        "apaga o negócio da Padaria Sol",
    ):
        assert asked(text, "privacy")[0] == asked(text, "task")[0] == "ask not_erasable", text
    assert asked("qual campanha trouxe o cliente?", "board")[0] == "ask not_there"


def test_a_name_is_what_remains_and_keys_are_taken_out_whole() -> None:
    assert bare_name('busca "Casa do Pão" no crm') == "Casa do Pão"
    keys, rest = keys_in_text("Ana Lima tel (11) 98811-2233, ana@x.com.br, cnpj 11.222.333/0001-81 e @ana.lima")
    assert keys == ["(11) 98811-2233", "ana@x.com.br", "11.222.333/0001-81", "@ana.lima"]
    assert "9881" not in rest and rest.startswith("Ana Lima")


@pytest.mark.parametrize(
    ("text", "local"),
    [
        ("amanhã às 15h", "2026-11-21 15:00"),
        ("next tuesday at 3pm", "2026-11-24 15:00"),
        ("el lunes a las 10", "2026-11-23 10:00"),
        ("25/11", "2026-11-25 09:00"),
        ("19/11", "2027-11-19 09:00"),
        ("dia 5 às 10", "2026-12-05 10:00"),
        ("december 5", "2026-12-05 09:00"),
        ("em 2 horas", "2026-11-20 14:00"),
        ("daqui a 2 dias", "2026-11-22 09:00"),
        ("semana que vem", "2026-11-23 09:00"),
        ("sexta", "2026-11-27 09:00"),
        ("às 10h", "2026-11-21 10:00"),
        ("hoje", "2026-11-20 23:59"),
        ("2026-12-01 14:30", "2026-12-01 14:30"),
        ("a las 4 de la tarde", "2026-11-20 16:00"),
        ("11 98811-2233", None),
        ("liga pra segunda vez", None),
    ],
)
def test_when_something_is_due_lies_ahead(text: str, local: str | None) -> None:
    from zoneinfo import ZoneInfo

    due = find_due(text, now=NOW, time_zone=ZONE)
    assert (due and f"{due.at.astimezone(ZoneInfo(ZONE)):%Y-%m-%d %H:%M}") == local


@pytest.mark.parametrize(("text", "code"), [("31/02", "crm_due_impossible"), ("hoje às 9h", "crm_due_past")])
def test_a_moment_that_cannot_be_is_said_to_be_none(text: str, code: str) -> None:
    with pytest.raises(ArgumentsWrong) as wrong:
        find_due(text, now=NOW, time_zone=ZONE)
    assert wrong.value.code == code
