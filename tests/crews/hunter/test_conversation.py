"""The conversation of the hunt without a model: the playbook, its tools, real rows, and the simulated sources."""

from collections.abc import Sequence
from typing import Any

import pytest

from business.approvals.model import ProposalState
from business.approvals.service import Approvals
from business.prospecting.contact import FirstContactBatch, FirstContactHandler
from business.prospecting.searches import CandidateState, Searches
from business.prospecting.sources import LazySources, Sources
from core.ids import new_id
from core.tenancy import Role
from core.turn import Limits, StepLine, Turn
from crews.contract import CrewTask
from crews.hunter.crew import _session
from crews.hunter.playbook import HunterPlaybook
from crews.hunter.words import HunterWords
from integrations.sandbox_companies import by_cnpj
from memory.session import SessionStore
from prompts.texts import Texts
from tests.crews.hunter.conftest import Desk
from tools.leads import Leads
from tools.policy import Policies, load_policy
from tools.prospecting import PROSPECTING_TOOLS, Hunting
from tools.runner import ToolRunner

SAID = "ache 5 escritórios de arquitetura em Campinas com mais de 3 anos e fale com os 2 melhores"

_LIMITS = Limits()
_NO_TIME = Limits(seconds=20)
"""All of it is kept for words: a search is not followed, and runs on in the background."""


class Opened:
    """The desk's sources, open already."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    async def open(self) -> Sources:
        return self._sources


class Conversation:
    """One conversation with the playbook; `turn` is the last one, `told` what it showed while it ran."""

    turn: Turn
    told: list[str]

    def __init__(self, desk: Desk, conversation_id: str, role: Role = Role.DIRETOR) -> None:
        self.who, self.id = desk.tenants.one[role], conversation_id
        handlers = [kind(desk.db, desk.hunts.leads.blocked) for kind in (FirstContactHandler, FirstContactBatch)]
        policies = Policies(desk.db, load_policy())
        self.approvals = Approvals(
            desk.db, desk.permissions, desk.clock, {one.kind: one for one in handlers}, check=policies.check
        )
        self.texts, self.clock = desk.texts, desk.clock
        services: dict[type, Any] = {
            Texts: desk.texts,
            Searches: desk.searches,
            Hunting: desk.hunts,
            Leads: desk.hunts.leads,
            LazySources: Opened(desk.sources),
        }
        self.runner = ToolRunner(
            permissions=desk.permissions, approvals=self.approvals, policies=policies, texts=desk.texts,
            tools=PROSPECTING_TOOLS, services=services,
        )  # fmt: skip
        self.session: dict[str, Any] = {}

    async def say(self, text: str, intent: str = "followup", language: str = "pt-BR", limits: Limits = _LIMITS) -> str:
        self.told = []

        def progress(event: Any) -> None:
            if isinstance(event, StepLine):
                self.told.append(event.text)

        self.turn = turn = Turn(
            new_id("turn"), self.who, self.id, "chat", text, language, self.clock.now(),
            session=dict(self.session), progress=progress, limits=limits,
        )  # fmt: skip
        words = HunterWords(self.texts, language)
        playbook = HunterPlaybook(turn, [CrewTask(intent, text)], words)
        while not isinstance(step := playbook.next_step(), str):
            for call in step:
                await self.runner.call(turn, call.name, call.arguments)
        self.session |= _session(turn, playbook, playbook.shows_companies()) | {"last_text": text}
        return step

    def result(self, tool: str) -> dict[str, Any]:
        return next(record.result for record in reversed(self.turn.results) if record.name == tool and record.result)

    @property
    def errors(self) -> Sequence[str | None]:
        return [record.error for record in self.turn.results if record.error]


@pytest.fixture
async def talk(desk: Desk) -> Conversation:
    desk.without_web()
    return Conversation(desk, await desk.conversation())


async def test_one_sentence_finds_tells_scores_saves_and_drafts_and_the_next_ones_explain_and_teach(
    talk: Conversation, desk: Desk
) -> None:
    said = await talk.say(SAID, "hunter.search")
    found = talk.result("find_companies")
    assert (found["state"], found["search"]["qualified"], found["simulated"]) == ("done", 5, True)
    # Shown for correction first, then each company as it was found.
    profile = found["profile"]
    assert talk.told[: len(profile)] == profile and "Onde: Campinas/SP" in profile
    names = [row["name"] for row in found["companies"]]
    assert len(talk.told) == len(profile) + len(names)
    assert all(any(line.startswith(f"{name} — Campinas/SP — ") for line in talk.told) for name in names)
    for row in found["companies"]:
        truth = by_cnpj()[row["cnpj"]]
        assert (truth.cnae, truth.city.name, truth.active) == (7111100, "Campinas", True)
        assert row["known"] and all(one["source"] and one["reference"] and one["on"] for one in row["known"])
    assert "5 qualificadas, já no CRM" in said and "Custo: " in said and "- Onde: Campinas/SP" in said
    # The drafts for the best two are one proposal, waiting.
    (pending,) = await talk.approvals.list(talk.who, state=ProposalState.PENDING)
    saved = [row for row in found["companies"] if row["state"] == "saved"]
    assert [one["candidate"] for one in pending.change.data["messages"]] == [row["id"] for row in saved[:2]]
    assert pending.effect == "SEND" and "Preparei 2 primeiras mensagens num só cartão" in said
    assert "Nada foi enviado" in said
    warnings = {key for key, _ in pending.preview.warnings}
    assert not any(key.startswith("proposal.warning.from_") for key in warnings), "our ranking chose, as was asked"
    assert [one["n"] for one in talk.session["entities"]] == list(range(1, len(names) + 1))

    third = found["companies"][2]
    said = await talk.say("por que a terceira tem 82?", "hunter.explain")
    why = talk.result("explain_score")
    assert f"**{third['name']}** tem **{third['score']}** de 100" in said and why["version"] in said
    assert (f"São {third['score']}, não 82." in said) == (third["score"] != 82)
    assert round(sum(float(one["points"]) for one in why["parts"])) == third["score"]
    assert all(one["evidence"] for one in why["rules"] if one["outcome"] == "yes")
    [table] = HunterWords(desk.texts, "pt-BR").score_table(why)
    assert len(table.rows) == len(why["rules"]) and "Minha Receita, 20/11/2026" in table.rows[0][-1]

    # The next ones of the same wish: others than before, and said to be so.
    said = await talk.say("mais 3")
    more = talk.result("find_companies")
    assert more["goes_on"] and said.startswith("Segui de onde a última busca igual parou")
    assert not {row["id"] for row in more["companies"]} & {row["id"] for row in found["companies"]}
    assert more["search"]["wanted"] == 3 and more["search"]["qualified"] == 3

    said = await talk.say("mostra as qualificadas", "hunter.status")
    assert said.startswith("3 qualificadas da busca")
    said = await talk.say("como está a busca?", "hunter.status")
    assert "Última busca: “ache 5 escritórios" in said and len(talk.result("search_status")["searches"]) == 2
    said = await talk.say("a 2 não é desse tipo")
    assert "não é desse tipo; saiu da lista" in said and "Na próxima busca" in said
    second = await desk.searches.candidate(talk.who, more["companies"][1]["id"])
    assert second.state is CandidateState.REJECTED
    assert "Na próxima busca" in await talk.say("o que você aprendeu?", "hunter.status")

    said = await talk.say("fale com a primeira", "hunter.contact")
    assert said.startswith("Preparei a primeira mensagem") and len(talk.turn.proposals) == 1
    assert "a última lista vai até 3" in (await talk.say("explica a nota da 9", "hunter.explain")).lower()


async def test_a_correction_halts_the_last_search_and_looks_again_at_what_it_found(
    talk: Conversation, desk: Desk
) -> None:
    await talk.say("dentistas em Sorocaba", "hunter.search")
    before = talk.result("find_companies")
    said = await talk.say("na verdade só com telefone e sem MEI", "hunter.refine")
    after = talk.result("find_companies")
    assert "- Sem MEI" in said and "- Com telefone" in said and not after["goes_on"]
    assert {row["id"] for row in after["companies"]} <= {row["id"] for row in before["companies"]}
    assert after["companies"] and all(row["phone"] or row["verdict"] == "person" for row in after["companies"])
    said = await talk.say("só as bonitas", "hunter.refine")
    assert talk.result("find_companies")["state"] == "asking" and "Ainda não busquei nada" in said
    assert len(await desk.searches.latest(talk.who)) == 2, "nothing was searched for what was not understood"


async def test_what_is_vague_is_asked_for_what_does_not_exist_is_not_searched_and_answers_go_on(
    talk: Conversation, desk: Desk
) -> None:
    said = await talk.say("quero clientes novos", "hunter.search")
    assert "Que tipo de empresa" in said and "Em que cidade ou estado?" in said and "Por exemplo" in said
    assert talk.session["open"]["intent"] == "hunter.search"
    said = await talk.say("clínicas")
    assert "Que tipo exatamente?" in said
    said = await talk.say("a veterinária")
    assert "clínica veterinária" in said and "Em que cidade ou estado?" in said and "Ainda não busquei nada" in said
    said = await talk.say("na Lua")
    assert 'Não conheço nenhum lugar chamado "Lua"' in said
    assert await desk.searches.latest(talk.who) == []
    said = await talk.say("em Campinas então")
    found = talk.result("find_companies")
    assert found["search"] and "- Onde: Campinas/SP" in said and talk.session["open"] is None

    english = Conversation(desk, await desk.conversation())
    said = await english.say("bakeries on the Moon", "hunter.search", "en")
    assert '"Moon"' in said and "I have not searched for anything yet." in said


async def test_a_person_decides_what_waits_and_a_seller_may_only_look(talk: Conversation, desk: Desk) -> None:
    await talk.say("dentistas em Sorocaba com site", "hunter.search")  # the registry tells no websites: all wait
    said = await talk.say("mostra as que esperam eu olhar", "hunter.status")
    listed = talk.result("companies_found")
    assert listed["verdict"] == "person" and "esperam você olhar" in said
    first, second = (row["id"] for row in listed["companies"][:2])
    assert "ainda não está" in await talk.say("escreve pra primeira", "hunter.contact")
    assert "está no CRM" in await talk.say("salva a 1", "hunter.decide")
    assert (await desk.searches.candidate(talk.who, first)).state is CandidateState.SAVED
    assert "virou cliente" in await talk.say("fechamos com ela", "hunter.decide")
    assert "saiu da lista" in await talk.say("rejeita a segunda")
    assert (await desk.searches.candidate(talk.who, second)).state is CandidateState.REJECTED
    assert "Qual empresa?" in await talk.say("salva", "hunter.decide")
    assert talk.session["open"]["intent"] == "hunter.decide"
    assert "está no CRM" in await talk.say("a terceira")

    seller = Conversation(desk, await desk.conversation(), Role.COMERCIAL)
    seller.session = dict(talk.session)
    said = await seller.say("dentistas em Santos", "hunter.search")
    assert seller.errors == ["role_may_not"] and "não tem acesso" in said
    await seller.say("explica a nota da primeira", "hunter.explain")
    assert seller.errors == [] and seller.result("explain_score")["company"]["id"] == first


async def test_a_search_that_runs_on_is_halted_resumed_and_followed_to_its_end_and_its_best_are_written_to_then(
    talk: Conversation, desk: Desk
) -> None:
    said = await talk.say("ache 2 dentistas em Sorocaba e fale com os melhores", "hunter.search", limits=_NO_TIME)
    found = talk.result("find_companies")
    assert found["state"] == "running" and "continua em segundo plano" in said
    assert 'diga "fale com os melhores"' in said and talk.turn.proposals == []
    assert "continua em segundo plano" in await talk.say("como está a busca?", "hunter.status")
    assert (await talk.say("pausa a busca", "hunter.status")).startswith("Pausei a busca")
    assert (await talk.say("retoma a busca", "hunter.status")).startswith("Retomei a busca")
    said = await talk.say("continua")
    done = talk.result("find_companies")
    assert done["search"]["id"] == found["search"]["id"], "the one under way is followed, no other is begun"
    assert done["state"] == "done" and "Preparei 2 primeiras mensagens" in said and len(talk.turn.proposals) == 1
    assert await desk.said_in(talk.id) == [], "an end that was seen is not announced, too"


async def test_once_the_end_of_a_search_was_told_its_table_is_what_the_third_means(
    talk: Conversation, desk: Desk
) -> None:
    await talk.say("dentistas em Sorocaba com site", "hunter.search")
    await talk.say("explica a nota da terceira", "hunter.explain")
    before = talk.result("explain_score")["company"]["id"]
    await talk.say("ache 5 escritórios de arquitetura em Campinas com mais de 3 anos", "hunter.search", limits=_NO_TIME)
    running = talk.result("find_companies")["search"]["id"]
    sessions = SessionStore(desk.db)
    async with desk.db.tenant(talk.who.tenant_id) as conn:
        await sessions.save(conn, talk.who.tenant_id, talk.id, talk.session | {"metric": "spend"})

    await desk.hunts.run(talk.who.tenant_id, running)
    (table,) = await desk.said_in(talk.id)
    third = [line.split(" | ")[0].strip("| ") for line in table.splitlines() if line.startswith("| ")][4]
    talk.session = await sessions.load(talk.who.tenant_id, talk.id)
    assert talk.session["metric"] == "spend", "what else it knows stays"
    assert third in await talk.say("explica a nota da terceira", "hunter.explain")
    company = talk.result("explain_score")["company"]
    assert (company["name"], company["id"] != before) == (third, True)


async def test_a_question_a_no_a_condition_and_an_exception_decide_nothing_and_write_to_nobody(
    talk: Conversation, desk: Desk
) -> None:
    await talk.say("ache 5 escritórios de arquitetura em Campinas com mais de 3 anos", "hunter.search")
    found = talk.result("find_companies")["companies"]
    for text, intent, told in (
        ("ainda não ganhamos a primeira", "hunter.decide", "não fiz nada"),
        ("perdemos a segunda?", "hunter.decide", found[1]["name"]),
        ("ganhamos a segunda?", "followup", found[1]["name"]),
        ("por que rejeitou a terceira?", "hunter.decide", found[2]["name"]),
        ("se a quarta não responder, rejeita", "hunter.decide", "ainda não aconteceu"),
        ("rejeita todas menos a primeira", "hunter.contact", "exceção"),
        ("rejeita todas menos a primeira", "hunter.decide", "exceção"),
        ("fale com as melhores, menos a primeira", "hunter.contact", "exceção"),
        ("não fale com a segunda", "hunter.contact", "não fiz nada"),
        ("não pausa a busca", "hunter.status", "não fiz nada"),
    ):
        said = await talk.say(text, intent)
        acted = {record.name for record in talk.turn.results} - {"explain_score", "companies_found"}
        assert (acted, told in said) == (set(), True), (text, acted, said)
        assert talk.session["open"] is None
        assert [one["id"] for one in talk.session["entities"]] == [row["id"] for row in found], "the list that is seen"
    states = [(await desk.searches.candidate(talk.who, row["id"])).state.value for row in found]
    assert states == [row["state"] for row in found]
    assert await talk.approvals.list(talk.who, state=ProposalState.PENDING) == []
    assert "saiu da lista" in await talk.say("rejeita a segunda, não tem site", "hunter.decide")
