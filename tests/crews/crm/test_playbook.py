"""The CRM's conversation without a model: the playbook, its tools and real rows. What was not asked for is not done."""

from typing import Any

import pytest

from business.approvals.service import Approvals
from business.crm.changes import CrmErasure
from business.crm.imports import CrmImports
from business.crm.service import Crm
from business.messaging.ledger import Ledger
from business.people.service import People
from core.clock import FixedClock
from core.db import Database
from core.files import Files
from core.ids import new_id
from core.jobs import Jobs
from core.permissions import Permissions
from core.tenancy import Role
from core.turn import Limits, Turn
from crews.contract import CrewTask
from crews.crm.crew import _session
from crews.crm.playbook import CrmPlaybook
from crews.crm.request import WRITES
from crews.crm.words import Words
from prompts.texts import Texts
from tests.conftest import Tenants
from tools.crm import CRM_TOOLS
from tools.do_not_contact import DoNotContact
from tools.policy import Policies, load_policy
from tools.runner import ToolRunner


class Talk:
    """One conversation of an administrator; `called` is what the last message made the playbook call."""

    def __init__(self, runner: ToolRunner, tenants: Tenants, clock: FixedClock, texts: Texts) -> None:
        self.runner, self.clock, self.texts = runner, clock, texts
        self.who, self.id = tenants.one[Role.ADMIN], new_id("conv")
        self.session: dict[str, Any] = {}
        self.called: list[str] = []

    async def say(self, text: str, intent: str, language: str = "pt-BR") -> str:
        turn = Turn(
            new_id("turn"), self.who, self.id, "chat", text, language, self.clock.now(),
            session=dict(self.session), limits=Limits(),
        )  # fmt: skip
        tasks = [CrewTask(intent, text)]
        playbook = CrmPlaybook(turn, tasks, Words(self.texts, language))
        while not isinstance(step := playbook.next_step(), str):
            for call in step:
                await self.runner.call(turn, call.name, call.arguments)
        self.session |= _session(turn, tasks, playbook, False)
        self.called = [record.name for record in turn.results if not record.error]
        return step

    @property
    def written(self) -> list[str]:
        return [name for name in self.called if name in WRITES]


@pytest.fixture
def talk(
    database: Database, clock: FixedClock, permissions: Permissions, people: People, tenants: Tenants
) -> Talk:  # fmt: skip
    crm = Crm(database, clock, permissions)
    lists = CrmImports(database, clock, permissions, Files(database), None, people.identity)

    async def forget(who: Any, cnpj: str) -> bool:
        return True

    erasure, policies, texts = CrmErasure(crm, people.identity, forget), Policies(database, load_policy()), Texts.load()
    approvals = Approvals(database, permissions, clock, {erasure.kind: erasure}, check=policies.check)
    runner = ToolRunner(
        permissions=permissions, approvals=approvals, policies=policies, texts=texts, tools=CRM_TOOLS,
        services={Crm: crm, CrmImports: lists, DoNotContact: DoNotContact(database, crm, people, Ledger(Jobs("")))},
    )  # fmt: skip
    return Talk(runner, tenants, clock, texts)


async def test_a_question_a_no_a_condition_and_an_exception_change_nothing_and_the_order_itself_does(
    talk: Talk,
) -> None:
    await talk.say("cadastra a Ana Souza, ana@um.example, em Campinas", "crm.save")
    await talk.say("cadastra a Ana Lima, ana.lima@dois.example, em Santos", "crm.save")
    await talk.say("cadastra a empresa Padaria Sol", "crm.save")
    await talk.say("cria um negócio com a Padaria Sol", "crm.deal")
    await talk.say("me lembra de ligar para a Ana Souza amanhã", "crm.task")
    assert talk.written == ["crm_task"]

    for text, intent, language, told in (
        ("não bloqueie a Ana Souza", "crm.privacy", "pt-BR", "não mudei nada"),
        ("não pode ligar para a Ana Souza?", "crm.privacy", "pt-BR", "**Ana Souza**"),
        ("pode ligar para a Ana Souza?", "crm.privacy", "pt-BR", "**Ana Souza**"),
        ("a Ana Souza está bloqueada?", "crm.privacy", "pt-BR", "**Ana Souza**"),
        ("ainda não liguei para a Ana Souza", "crm.privacy", "pt-BR", "não mudei nada"),
        ("a Ana Souza e a Ana Lima são a mesma pessoa?", "crm.save", "pt-BR", "entendi como pergunta"),
        ("não juntem a Ana Souza com a Ana Lima", "crm.save", "pt-BR", "não mudei nada"),
        ("ganhamos o negócio da Padaria Sol?", "crm.deal", "pt-BR", "**Padaria Sol**"),
        ("o negócio da Padaria Sol está perdido?", "crm.deal", "pt-BR", "**Padaria Sol**"),
        ("quase ganhamos a Padaria Sol", "crm.deal", "pt-BR", "não mudei nada"),
        ("acho que perdemos a Padaria Sol", "crm.deal", "pt-BR", "**Padaria Sol**"),
        ("se a Padaria Sol fechar, marca o negócio como ganho", "crm.deal", "pt-BR", "ainda não aconteceu"),
        ("did we win the Padaria Sol deal?", "crm.deal", "en", "**Padaria Sol**"),
        ("¿perdimos la Padaria Sol?", "crm.deal", "es", "**Padaria Sol**"),
        ("já concluí a tarefa de ligar para a Ana?", "crm.task", "pt-BR", "1 tarefa"),
        ("cancela a tarefa de ligar para a Ana", "crm.task", "pt-BR", "Uma tarefa pode ser concluída"),
        ("adia a tarefa de ligar para a Ana para sexta", "crm.task", "pt-BR", "só fica feita"),
        ("não me lembra de ligar para a Ana", "crm.task", "pt-BR", "não mudei nada"),
        ("etiqueta todos como vip, menos a Ana Lima", "crm.save", "pt-BR", "exceção"),
        ("o telefone da Ana Souza não é 11 98811-2233", "crm.save", "pt-BR", "não mudei nada"),
        ("if Ana Souza asks, erase her", "crm.privacy", "en", "has not happened yet"),
        ("no borres a Ana Souza", "crm.privacy", "es", "no cambié nada"),
    ):
        said = await talk.say(text, intent, language)
        assert (talk.written, told in said) == ([], True), (text, talk.called, said)

    tasks = await talk.say("quais são minhas tarefas?", "crm.task")
    assert "1 tarefa" in tasks, "nothing was added, nothing finished"
    assert "não será mais contatado" in await talk.say("não ligar mais para a Ana Souza", "crm.privacy")
    await talk.say("tira a Ana Souza da lista de não contatar", "crm.privacy")
    assert "Não contatar" not in await talk.say("mostra a ficha da Ana Souza", "crm.record")
    await talk.say("anota na Ana Souza que ela não quer mudar se subir", "crm.save")
    assert talk.written == ["crm_mark"]
    assert "ganho" in await talk.say("ganhamos o negócio da Padaria Sol", "crm.deal")
    assert "Tarefa feita" in await talk.say("conclui a tarefa de ligar para a Ana", "crm.task")


async def test_an_answer_that_says_no_is_no_choice(talk: Talk) -> None:
    await talk.say("cadastra a Ana Souza, ana@um.example, em Campinas", "crm.save")
    await talk.say("cadastra a Ana Lima, ana.lima@dois.example, em Santos", "crm.save")
    for answer in ("não", "não é a segunda", "a segunda não"):
        await talk.say("etiqueta a Ana como vip", "crm.save")
        assert talk.session["open"]["candidates"]
        await talk.say(answer, "followup")
        assert talk.written == [], answer
    await talk.say("etiqueta a Ana como vip", "crm.save")
    assert "Etiquetas de **Ana Souza**: vip" in await talk.say("a segunda", "followup")
    await talk.say("cadastra um contato", "crm.save")
    assert "não mudei nada" in await talk.say("não", "followup")
